"""Text that remembers where in a file it stands.

Every string that a user wrote travels through the package as a :class:`Text`: its value, and for each
character of the value the offset in the file that it came from.  One map serves all five YAML scalar styles
(plain, single quoted, double quoted, literal, folded), so that an error inside an SQL statement points at the very word.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field, fields, is_dataclass
from functools import cached_property


@dataclass(frozen=True)
class SourceFile:
    """A file as it was read: ``path`` is what messages print, ``content`` the decoded text."""

    path: str
    content: str = field(repr=False)

    @cached_property
    def _starts(self) -> list[int]:
        starts = [0]
        for index, char in enumerate(self.content):
            if char == "\n":
                starts.append(index + 1)
        return starts

    def position(self, offset: int) -> tuple[int, int]:
        """Line and column (both from 1) of a character offset."""
        offset = max(0, min(offset, len(self.content)))
        line = bisect_right(self._starts, offset)
        return line, offset - self._starts[line - 1] + 1

    def line(self, number: int) -> str:
        """The text of a line (from 1) without its line end; empty beyond the end of the file."""
        if not 1 <= number <= len(self._starts):
            return ""
        start = self._starts[number - 1]
        end = self.content.find("\n", start)
        return self.content[start : len(self.content) if end < 0 else end].rstrip("\r")


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of a file, by offsets: ``start`` inclusive, ``end`` exclusive."""

    file: SourceFile
    start: int
    end: int

    @property
    def path(self) -> str:
        """The file's path as messages print it."""
        return self.file.path

    @property
    def line(self) -> int:
        """Line of the first character, from 1."""
        return self.file.position(self.start)[0]

    @property
    def column(self) -> int:
        """Column of the first character, from 1."""
        return self.file.position(self.start)[1]

    @property
    def end_line(self) -> int:
        """Line of the end, from 1."""
        return self.file.position(self.end)[0]

    @property
    def end_column(self) -> int:
        """Column just after the last character, from 1."""
        return self.file.position(self.end)[1]

    def __str__(self) -> str:
        return f"{self.path}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Text:
    """A user's string and where each of its characters stands.

    ``offsets`` has ``len(value) + 1`` entries: the file offset of every character, and of the end.
    Two texts are equal when value and place are equal; compare ``.value`` to compare words.
    """

    value: str
    file: SourceFile = field(repr=False)
    offsets: tuple[int, ...] = field(repr=False)

    @classmethod
    def of(cls, value: str, path: str = "<python>") -> Text:
        """A text that was not read from a file (Python callers, tests): its own content is its file."""
        return cls(value, SourceFile(path, value), tuple(range(len(value) + 1)))

    def __str__(self) -> str:
        return self.value

    def span(self, start: int = 0, end: int | None = None) -> Span:
        """Where ``value[start:end]`` stands."""
        if end is None:
            end = len(self.value)
        start = max(0, min(start, len(self.value)))
        end = max(start, min(end, len(self.value)))
        first = self.offsets[start]
        last = self.offsets[end - 1] + 1 if end > start else first
        return Span(self.file, first, max(first, last))

    def slice(self, start: int, end: int) -> Text:
        """The text ``value[start:end]``, still at its place."""
        return Text(self.value[start:end], self.file, self.offsets[start : end + 1])


def sources(value: object) -> Iterator[SourceFile]:
    """The files that the texts and places in a piece of syntax come from, as often as they do."""
    if isinstance(value, Text | Span):
        yield value.file
    elif is_dataclass(value):
        for item in fields(value):
            yield from sources(getattr(value, item.name))
    elif isinstance(value, dict):
        for item in value.values():
            yield from sources(item)
    elif isinstance(value, tuple | list):
        for item in value:
            yield from sources(item)
