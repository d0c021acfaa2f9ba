"""Where each character of a YAML scalar's value stands in its source.

One function per family of styles re-reads the source of a scalar, by the rules of YAML 1.1 as PyYAML applies them, and gives
the value together with the offset of every character.  The reader compares the value with the parser's own.
A character that folding or an escape made is mapped to the first character of what made it.
"""

from __future__ import annotations

_ESCAPES = {
    "0": "\0",
    "a": "\x07",
    "b": "\x08",
    "t": "\x09",
    "\t": "\x09",
    "n": "\x0a",
    "v": "\x0b",
    "f": "\x0c",
    "r": "\x0d",
    "e": "\x1b",
    " ": " ",
    '"': '"',
    "\\": "\\",
    "/": "/",
    "N": "\x85",
    "_": "\xa0",
    "L": "\u2028",
    "P": "\u2029",
}
_ESCAPE_LENGTHS = {"x": 2, "u": 4, "U": 8}


class _Value:
    """A value under construction, with the offset of each character."""

    def __init__(self) -> None:
        self.chars: list[str] = []
        self.offsets: list[int] = []

    def add(self, char: str, offset: int) -> None:
        self.chars.append(char)
        self.offsets.append(offset)

    def copy(self, content: str, start: int, end: int) -> None:
        self.chars += content[start:end]
        self.offsets += range(start, end)

    def result(self, end: int) -> tuple[str, tuple[int, ...]]:
        return "".join(self.chars), (*self.offsets, end)


def map_scalar(content: str, start: int, end: int, style: str | None, indent: int) -> tuple[str, tuple[int, ...]]:
    """The value of the scalar at ``content[start:end]`` and its ``len(value) + 1`` offsets.

    Args:
        content: the whole file.
        start: where the scalar starts: its first character, quote, ``|`` or ``>``.
        end: where it ends.
        style: PyYAML's style: None (plain), ``'``, ``"``, ``|`` or ``>``.
        indent: for block scalars, the indentation of the enclosing block (-1 at the top).
    """
    if style in ("|", ">"):
        return _block(content, start, style == ">", indent)
    if style in ("'", '"'):
        return _flow(content, start + 1, end - 1, style)
    return _flow(content, start, end, "")


def _line_break(content: str, index: int) -> int:
    """Length of the line break at ``index``: 2 for CR LF, 1, or 0 when there is none."""
    if content.startswith("\r\n", index):
        return 2
    return 1 if content[index : index + 1] in ("\n", "\r") else 0


def _breaks(content: str, index: int, end: int) -> tuple[list[int], int]:
    """The offsets of the line breaks from ``index`` on, over blank lines, and where the next text starts."""
    found: list[int] = []
    while True:
        while index < end and content[index] in " \t":
            index += 1
        length = _line_break(content, index) if index < end else 0
        if not length:
            return found, index
        found.append(index + length - 1)
        index += length


def _flow(content: str, index: int, end: int, quote: str) -> tuple[str, tuple[int, ...]]:
    """Plain (``quote`` empty) and quoted scalars: lines are folded, quotes escaped."""
    value = _Value()
    while index < end:
        char = content[index]
        if char in " \t\r\n":
            gap = index
            while gap < end and content[gap] in " \t":
                gap += 1
            if gap < end and _line_break(content, gap):
                breaks, after = _breaks(content, gap, end)
                if len(breaks) == 1:
                    value.add(" ", breaks[0])
                for offset in breaks[1:]:
                    value.add("\n", offset)
                index = after
            else:
                value.copy(content, index, gap)
                index = gap
        elif quote == "'" and char == "'":
            value.add("'", index)
            index += 2
        elif quote == '"' and char == "\\":
            index = _escape(content, index, end, value)
        else:
            value.add(char, index)
            index += 1
    return value.result(end)


def _escape(content: str, index: int, end: int, value: _Value) -> int:
    """The escape at ``index`` of a double quoted scalar; returns where the text goes on."""
    code = content[index + 1]
    if code in _ESCAPE_LENGTHS:
        length = _ESCAPE_LENGTHS[code]
        value.add(chr(int(content[index + 2 : index + 2 + length], 16)), index)
        return index + 2 + length
    length = _line_break(content, index + 1)
    if length:  # an escaped line break: the line goes on, less its indentation
        breaks, after = _breaks(content, index + 1 + length, end)
        for offset in breaks:
            value.add("\n", offset)
        return after
    value.add(_ESCAPES[code], index)
    return index + 2


def _block(content: str, start: int, folded: bool, parent: int) -> tuple[str, tuple[int, ...]]:
    """Literal and folded block scalars, with their indentation and chomping indicators."""
    index = start + 1
    keep: bool | None = None
    increment: int | None = None
    while content[index : index + 1] and content[index] in "+-0123456789":
        if content[index] in "+-":
            keep = content[index] == "+"
        else:
            increment = int(content[index])
        index += 1
    while index < len(content) and not _line_break(content, index):  # blanks and a comment
        index += 1
    index += _line_break(content, index)

    scan = _BlockLines(content, index)
    least = max(parent + 1, 1)
    if increment is None:
        breaks, deepest = scan.indentation()
        indent = max(least, deepest)
    else:
        indent = least + increment - 1
        breaks = scan.breaks(indent)
    value = _Value()
    last: int | None = None
    while scan.column == indent and scan.index < len(content):
        for offset in breaks:
            value.add("\n", offset)
        leading = scan.peek() not in (" ", "\t")
        line = scan.index
        while scan.index < len(content) and not _line_break(content, scan.index):
            scan.index += 1
        value.copy(content, line, scan.index)
        last = scan.line_break()
        breaks = scan.breaks(indent)
        if scan.column != indent or scan.index >= len(content):
            break
        if folded and last is not None and leading and scan.peek() not in (" ", "\t"):
            if not breaks:
                value.add(" ", last)
        elif last is not None:
            value.add("\n", last)
    if keep is not False and last is not None:
        value.add("\n", last)
    if keep is True:
        for offset in breaks:
            value.add("\n", offset)
    # One past the last character of the text: never in the indentation of what follows.
    return value.result(value.offsets[-1] + 1 if value.offsets else start + 1)


class _BlockLines:
    """A cursor with its column over the lines of a block scalar."""

    def __init__(self, content: str, index: int) -> None:
        self.content = content
        self.index = index
        self.column = 0

    def peek(self) -> str:
        return self.content[self.index : self.index + 1]

    def _forward(self) -> None:
        self.index += 1
        self.column += 1

    def line_break(self) -> int | None:
        """Pass a line break; the offset of its last character."""
        length = _line_break(self.content, self.index)
        if not length:
            return None
        self.index += length
        self.column = 0
        return self.index - 1

    def indentation(self) -> tuple[list[int], int]:
        """Blank lines at the start, and the deepest column reached, which is the indentation of the text."""
        breaks: list[int] = []
        deepest = 0
        while self.peek() and self.peek() in " \r\n":
            if self.peek() == " ":
                self._forward()
                deepest = max(deepest, self.column)
            else:
                offset = self.line_break()
                assert offset is not None
                breaks.append(offset)
        return breaks, deepest

    def breaks(self, indent: int) -> list[int]:
        """Blank lines, up to the indentation of the next line of text."""
        found: list[int] = []
        while True:
            while self.column < indent and self.peek() == " ":
                self._forward()
            offset = self.line_break()
            if offset is None:
                return found
            found.append(offset)
