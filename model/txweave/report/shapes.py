"""The elements that pictures are made of, and what all of them share."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import TypeAlias
from xml.etree import ElementTree as ET

LINE = 17
"""Height of a line of text."""

GLYPH = 7.3
"""Width of a character of the 12-pixel monospaced font, rounded up: the reader's own font is not known."""

Span: TypeAlias = tuple[str, str]
"""A piece of text and its class."""


@cache
def stylesheet(*, graphs: bool = False) -> str:
    """The pictures' stylesheet: everything in it is below the class ``tw``.  ``graphs``: with what graphs have beside stories."""
    names = ("picture.css", "graph.css") if graphs else ("picture.css",)
    return "".join((files("txweave.report") / name).read_text(encoding="utf-8") for name in names)


def document(width: int, height: int, name: str, kind: str = "tw") -> ET.Element:
    """An SVG document with its title, stylesheet and hatching."""
    root = ET.Element(
        "svg",
        {
            "xmlns": "http://www.w3.org/2000/svg",
            "viewBox": f"0 0 {width} {height}",
            "width": str(width),
            "class": kind,
            "role": "img",
        },
    )
    ET.SubElement(root, "title").text = name
    ET.SubElement(root, "style").text = stylesheet(graphs=kind != "tw")
    _hatch(root)
    return root


def _hatch(root: ET.Element) -> None:
    definitions = ET.SubElement(root, "defs")
    pattern = ET.SubElement(
        definitions,
        "pattern",
        {"id": "tw-hatch", "width": "6", "height": "6", "patternUnits": "userSpaceOnUse", "patternTransform": "rotate(45)"},
    )
    rect(pattern, 0, 0, 6, 6, "hatchback")
    ET.SubElement(pattern, "line", {"x1": "0", "y1": "0", "x2": "0", "y2": "6", "class": "hatch"})


def rect(parent: ET.Element, x: int, y: int, width: int, height: int, kind: str, radius: int = 0) -> None:
    """A rectangle."""
    ET.SubElement(
        parent,
        "rect",
        {"x": str(x), "y": str(y), "width": str(width), "height": str(height), "rx": str(radius), "class": kind},
    )


def line(parent: ET.Element, x1: int, y1: int, x2: int, y2: int, kind: str, *, below: bool = False) -> None:
    """A line; ``below``: under the bars that are there already."""
    element = ET.Element("line", {"x1": str(x1), "y1": str(y1), "x2": str(x2), "y2": str(y2), "class": kind})
    if below:
        # Under the bars, which are drawn before it is known how long the lane is.
        first = next((i for i, child in enumerate(parent) if child.get("class") in {"bar", "waits", "aborted"}), len(parent))
        parent.insert(first, element)
    else:
        parent.append(element)


def circle(parent: ET.Element, x: int, y: int, radius: int, kind: str) -> None:
    """A circle."""
    ET.SubElement(parent, "circle", {"cx": str(x), "cy": str(y), "r": str(radius), "class": kind})


def text(parent: ET.Element, x: int, y: int, spans: tuple[Span, ...], anchor: str = "start", ground: str = "") -> ET.Element:
    """A line of text; with ``ground`` on a patch of that background, where a line passes behind it."""
    if ground:
        rect(parent, x - 3, y - 13, int(sum(len(words) for words, _ in spans) * GLYPH) + 8, LINE, f"{ground} patch")
    element = ET.SubElement(parent, "text", {"x": str(x), "y": str(y), "text-anchor": anchor, "xml:space": "preserve"})
    for words, kind in spans:
        span = ET.SubElement(element, "tspan", {"class": kind} if kind else {})
        span.text = words
    return element
