"""Pictures as files."""

from __future__ import annotations

from pathlib import Path

from txweave.collect import Usage

SCALE = 2.0
"""Pixels of a PNG for each unit of the picture."""


def save(svg: str, path: str | Path) -> None:
    """Write a picture to a file: SVG as it is, or PNG (in the light scheme).

    Raises:
        Usage: another kind of file, what makes a PNG is not installed, or the file cannot be written.
    """
    target = Path(path)
    if target.suffix == ".svg":
        content = svg.encode("utf-8")
    elif target.suffix == ".png":
        content = png(svg)
    else:
        raise Usage(f"a picture is saved as .svg or .png, not as {target.suffix or target.name}")
    try:
        target.write_bytes(content)
    except OSError as error:
        raise Usage(f"cannot write {target}: {error.strerror}") from error


def png(svg: str) -> bytes:
    """The picture in pixels.

    Raises:
        Usage: resvg is not installed.
    """
    try:
        import resvg_py
    except ImportError as error:
        raise Usage("a PNG needs resvg: pip install 'txweave[jupyter]' (or resvg-py); .svg needs nothing") from error
    return bytes(resvg_py.svg_to_bytes(svg_string=svg, zoom=SCALE, monospace_family="DejaVu Sans Mono"))
