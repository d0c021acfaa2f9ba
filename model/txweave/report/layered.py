"""Layered pictures of graphs: Graphviz lays them out, and they follow the reader's light or dark scheme as all pictures here do."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from xml.etree import ElementTree as ET

from txweave.collect import Usage
from txweave.report.shapes import stylesheet

_SVG = "http://www.w3.org/2000/svg"
_PAINT = ("fill", "stroke", "font-family")


def layered(dot: str, title: str) -> str:
    """An SVG document of a graph in Graphviz's language, laid out in layers (dot).

    Raises:
        Usage: pygraphviz is not installed.
    """
    try:
        import pygraphviz
    except ImportError as error:
        raise Usage("a picture of a graph needs Graphviz: pip install 'txweave[jupyter]' (or pygraphviz)") from error
    with _silent():
        drawn = pygraphviz.AGraph(string=dot).draw(format="svg", prog="dot")
    assert isinstance(drawn, bytes)
    return _themed(drawn.decode("utf-8"), title)


@contextmanager
def _silent() -> Iterator[None]:
    """Nothing that C libraries write to standard error: the wheel's font library complains of the system's configuration."""
    kept = os.dup(2)
    null = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(null, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(null)


def _themed(text: str, title: str) -> str:
    """The picture without the colours that Graphviz gives, which a stylesheet gives instead."""
    source = ET.fromstring(text)  # noqa: S314 - it was made here
    root = ET.Element("svg", {"xmlns": _SVG, "viewBox": source.get("viewBox", ""), "class": "tw graph", "role": "img"})
    points = float(re.sub(r"[^0-9.]", "", source.get("width", "0")))
    root.set("width", f"{points * 4 / 3:.0f}")
    ET.SubElement(root, "title").text = title
    ET.SubElement(root, "style").text = stylesheet(graphs=True)
    root.extend(filter(None, (_plain(child) for child in source)))
    return ET.tostring(root, encoding="unicode") + "\n"


def _plain(element: ET.Element) -> ET.Element | None:
    """The element without namespaces and paint; what is drawn unfilled stays so.  Titles would only be in the way as tooltips."""
    tag = element.tag.partition("}")[2] or element.tag
    if tag == "title":
        return None
    found = ET.Element(tag)
    for name, value in element.attrib.items():
        if name not in _PAINT and not name.startswith("{"):
            found.set(name, value)
    if element.get("fill") == "none" and tag == "path":
        found.set("fill", "none")
    found.text = element.text
    for child in element:
        plain = _plain(child)
        if plain is not None:
            found.append(plain)
    return found
