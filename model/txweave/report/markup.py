"""HTML as a tree of elements: nothing that is put into it as text becomes markup."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from typing import TypeAlias
from xml.etree import ElementTree as ET

Child: TypeAlias = "ET.Element | str | None"


def el(tag: str, *children: Child | dict[str, str]) -> ET.Element:
    """An element with its children; a dictionary among them has its attributes."""
    element = ET.Element(tag)
    for child in children:
        if isinstance(child, dict):
            element.attrib.update(child)
        elif isinstance(child, ET.Element):
            element.append(child)
        elif child:
            if len(element):
                element[-1].tail = (element[-1].tail or "") + child
            else:
                element.text = (element.text or "") + child
    return element


_INVISIBLE = {code: 0x2400 + code for code in range(32) if code not in (9, 10)} | {0x7F: 0x2421}
_INVISIBLE |= dict.fromkeys((*range(0x80, 0xA0), *range(0xD800, 0xE000), 0xFFFE, 0xFFFF), 0xFFFD)
"""Characters that HTML does not allow in a document (HTML Living Standard, 13.2.3.5): their pictures, else a replacement."""


def _clean(root: ET.Element) -> None:
    for element in root.iter():
        element.text = element.text.translate(_INVISIBLE) if element.text else element.text
        element.tail = element.tail.translate(_INVISIBLE) if element.tail else element.tail
        for name, value in element.attrib.items():
            element.set(name, value.translate(_INVISIBLE))


def table(head: Sequence[str], rows: Iterable[Sequence[Child]], kind: str = "") -> ET.Element:
    """A table that scrolls by itself where the window is narrow."""
    return el(
        "div",
        el(
            "table",
            el("thead", el("tr", *(el("th", name, {"scope": "col"}) for name in head))),
            el("tbody", *(el("tr", *(el("td", cell) for cell in row)) for row in rows)),
        ),
        {"class": f"wide {kind}".strip()},
    )


def serialised(root: ET.Element) -> str:
    """The tree as HTML, with a line end.  Characters that HTML does not allow are replaced in it."""
    _clean(root)
    return ET.tostring(root, encoding="unicode", method="html") + "\n"


def embedded(svg: str) -> ET.Element:
    """A picture as a part of a page that is shown by whoever it is shown by: an image, so that its styles stay its own."""
    data = base64.b64encode(svg.encode("utf-8")).decode("ascii")
    return el("img", {"src": f"data:image/svg+xml;base64,{data}", "style": "max-width: 100%"})
