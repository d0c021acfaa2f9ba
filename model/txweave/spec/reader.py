"""YAML read into a tree of nodes, every key and value with its place, and everything doubtful refused.

The reader consumes the events of PyYAML's pure Python parser (they carry exact offsets) and builds the tree itself: without
recursion, with limits on size, depth and aliases.  Plain scalars mean only what a reader of any YAML version would take them to
mean: ``true``, ``false``, ``null``, decimal integers, and otherwise strings.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import yaml

from txweave.spec.diagnostics import Report, SpecError
from txweave.spec.scalars import map_scalar
from txweave.spec.syntax import Scalar
from txweave.spec.text import SourceFile, Span, Text

MAX_BYTES = 1_000_000
MAX_DEPTH = 64
MAX_EXPANDED = 20_000
"""Nodes that all aliases of a file may stand for together."""
MAX_DIGITS = 18


@dataclass(frozen=True)
class ScalarNode:
    """A scalar.  ``kind``: ``string``, ``integer``, ``boolean``, ``null``, or two kinds of string that only some places take:
    ``letter`` (a plain ``y`` or ``n``, good as a name) and ``word`` (a plain ``TRUE``, ``False``, ``NULL`` …, good in SQL)."""

    text: Text
    kind: str
    value: Scalar
    span: Span
    style: str = ""
    """Empty for plain, else ``'``, ``"``, ``|`` or ``>``."""


@dataclass(frozen=True)
class SequenceNode:
    """A sequence."""

    items: tuple[Node, ...]
    span: Span


@dataclass(frozen=True)
class MappingNode:
    """A mapping; keys are scalars, each once."""

    entries: tuple[tuple[ScalarNode, Node], ...]
    span: Span
    index: dict[str, tuple[ScalarNode, Node]] = field(compare=False, repr=False, default_factory=dict)

    def get(self, name: str) -> Node | None:
        """The value at a key, or None."""
        entry = self.index.get(name)
        return entry[1] if entry else None

    def key(self, name: str) -> ScalarNode | None:
        """The key's own node, or None."""
        entry = self.index.get(name)
        return entry[0] if entry else None


Node: TypeAlias = ScalarNode | SequenceNode | MappingNode


def read_source(path: str | Path, named_at: Span | None = None) -> SourceFile:
    """Read and decode a file; ``named_at`` is where another file names it.

    Raises:
        SpecError: it cannot be read, is too large or is not UTF-8.
    """
    report = Report()
    name = str(path)
    data = b""
    try:
        with Path(path).open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        report.error("Y001", named_at, f"{name}: cannot be read: {reason}", "give the path of a specification file")
        report.check()
    if len(data) > MAX_BYTES:
        message = f"{name}: the file is larger than {MAX_BYTES} bytes"
        report.error("Y003", named_at, message, "split the specification into several files")
        report.check()
    try:
        content = data.decode("utf-8")
    except UnicodeDecodeError as error:
        good = data[: error.start].decode("utf-8", "replace")
        file = SourceFile(name, good + "\ufffd")
        byte = data[error.start]
        message = f"the byte 0x{byte:02x} is not UTF-8"
        report.error("Y002", Span(file, len(good), len(good) + 1), message, "save the file as UTF-8")
        raise SpecError(report.diagnostics) from None
    return SourceFile(name, content)


def read_yaml(source: SourceFile, report: Report) -> MappingNode:
    """The tree of a file.  What is doubtful but can be read goes to ``report``, so that the rest is checked as well.

    Raises:
        SpecError: there is no tree; every finding up to that point is told.
    """
    _check_characters(source, report)
    report.check()
    root = _Builder(source, report).build()
    if root is None:
        report.check()
    assert root is not None
    return root


_REFUSED = re.compile("\t|\r(?!\n)|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufffe\uffff]|(?<!^)\ufeff")


def _check_characters(source: SourceFile, report: Report) -> None:
    """Refuse tabs and characters that some readers take for line breaks or that cannot be printed; the first of each."""
    seen: set[str] = set()
    for match in _REFUSED.finditer(source.content):
        char = match.group()
        if char in seen:
            continue
        seen.add(char)
        span = Span(source, match.start(), match.end())
        if char == "\t":
            report.error("Y004", span, "a tab character", "indent with spaces; within a text write \\t in double quotes")
        else:
            message = f"the character U+{ord(char):04X} is refused"
            report.error("Y021", span, message, "remove it, or write it as an escape in double quotes")


def _index(mark: object) -> int:
    """The offset of a mark; the pure Python parser sets every mark."""
    assert isinstance(mark, yaml.Mark)
    return int(mark.index)


class _Loader(yaml.SafeLoader):
    """PyYAML's parser, which also notes the indentation around each block scalar."""

    def __init__(self, content: str) -> None:
        super().__init__(content)
        self.block_indents: dict[int, int] = {}

    def scan_block_scalar(self, style: str) -> yaml.ScalarToken:
        indent = self.indent
        token: yaml.ScalarToken = super().scan_block_scalar(style)
        self.block_indents[token.start_mark.index] = indent
        return token


@dataclass
class _Open:
    """A collection that is being read."""

    start: int
    flow: bool
    mapping: bool
    anchor: str | None
    nodes: list[Node] = field(default_factory=list)
    size: int = 1


class _Builder:
    """Builds the tree from the parser's events."""

    def __init__(self, source: SourceFile, report: Report) -> None:
        self.source = source
        self.report = report
        self.loader = _Loader(source.content)
        self.anchors: dict[str, tuple[Node, int] | None] = {}
        self.stack: list[_Open] = []
        self.root: Node | None = None
        self.documents = 0
        self.expanded = 0
        self.stopped = False

    def span(self, start: int, end: int) -> Span:
        return Span(self.source, start, max(start, end))

    def build(self) -> MappingNode | None:
        for event in self._events():
            self._event(event)
            if self.stopped:
                break
        self.loader.dispose()
        if self.stopped:
            return None
        if self.root is None or (isinstance(self.root, ScalarNode) and self.root.kind == "null"):
            self.report.error("Y007", self.span(0, 0), "the file is empty", "start with model:, fix: or study:")
            return None
        if not isinstance(self.root, MappingNode):
            message = "the file is not a mapping of keys to values"
            self.report.error("Y008", self.root.span, message, "start with model:, fix: or study:")
            return None
        return self.root

    def _events(self) -> Iterator[yaml.Event]:
        loader = self.loader
        try:
            while loader.check_event():
                yield loader.get_event()  # type: ignore[no-untyped-call]
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            index = mark.index if mark else 0
            message = (error.problem or error.context or "not YAML").strip()
            if error.context and error.problem:
                message = f"{message} ({error.context.strip()})"
            related = []
            if error.context_mark and error.context_mark.index != index:
                at = error.context_mark.index
                related.append((self.span(at, at + 1), "here begins what could not be read"))
            self.report.error(
                "Y005", self.span(index, index + 1), f"not YAML: {message}", _hint(self.source, index, message), related
            )
            self.stopped = True
        except (yaml.YAMLError, ValueError, OverflowError, IndexError, KeyError, TypeError, AttributeError, AssertionError):
            # The pure Python scanner lets a few malformed escapes and directives through to Python itself.
            index = loader.index
            self.report.error("Y005", self.span(index, index + 1), "not YAML: an escape or directive is malformed")
            self.stopped = True

    def _event(self, event: yaml.Event) -> None:
        start = _index(event.start_mark)
        if isinstance(event, yaml.DocumentStartEvent):
            self.documents += 1
            if self.documents > 1:
                self.report.error("Y006", self.span(start, start + 3), "a second document", "one file holds one specification")
                self.stopped = True
            elif event.version or event.tags:
                self.report.error("Y022", self.span(start, start + 1), "a YAML directive", "remove the line that starts with %")
        elif isinstance(event, yaml.AliasEvent):
            self._alias(event)
        elif isinstance(event, yaml.ScalarEvent):
            self._refuse_tag(event)
            self._declare(event.anchor, start)
            node = self._scalar(event)
            self._place(node, 1, event.anchor)
        elif isinstance(event, yaml.SequenceStartEvent | yaml.MappingStartEvent):
            self._refuse_tag(event)
            self._declare(event.anchor, start)
            if len(self.stack) >= MAX_DEPTH:
                message = f"nested deeper than {MAX_DEPTH} levels"
                self.report.error("Y018", self.span(start, start + 1), message, "a specification needs a dozen levels at most")
                self.stopped = True
                return
            mapping = isinstance(event, yaml.MappingStartEvent)
            self.stack.append(_Open(start, bool(event.flow_style), mapping, event.anchor))
        elif isinstance(event, yaml.SequenceEndEvent | yaml.MappingEndEvent):
            self._close(event)

    def _close(self, event: yaml.Event) -> None:
        top = self.stack.pop()
        end = _index(event.end_mark) if top.flow else max((n.span.end for n in top.nodes), default=top.start + 1)
        span = self.span(top.start, end)
        node: Node = self._mapping(top, span) if top.mapping else SequenceNode(tuple(top.nodes), span)
        self._place(node, top.size, top.anchor)

    def _place(self, node: Node, size: int, anchor: str | None) -> None:
        """Put a finished node into the collection that is open, and remember its anchor."""
        if anchor is not None:
            self.anchors[anchor] = (node, size)
        if self.stack:
            self.stack[-1].nodes.append(node)
            self.stack[-1].size += size
        elif self.root is None:
            self.root = node

    def _declare(self, anchor: str | None, start: int) -> None:
        if anchor is None:
            return
        if anchor in self.anchors:
            span = self.span(start, start + 1 + len(anchor))
            self.report.error("Y016", span, f"the anchor &{anchor} stands twice in the file", "give each anchor its own name")
        self.anchors[anchor] = None

    def _alias(self, event: yaml.AliasEvent) -> None:
        span = self.span(_index(event.start_mark), _index(event.end_mark))
        name = str(event.anchor)
        found = self.anchors.get(name)
        if found is None:
            why = "stands for a node that contains it" if name in self.anchors else "has no anchor before it"
            self.report.error("Y016", span, f"the alias *{name} {why}", f"declare &{name} before its use")
            self.stopped = True
            return
        node, size = found
        self.expanded += size
        if self.expanded > MAX_EXPANDED:
            message = f"the aliases of this file stand for more than {MAX_EXPANDED} nodes"
            self.report.error("Y017", span, message, "write out what is repeated, or repeat less")
            self.stopped = True
            return
        self._place(node, size, None)

    def _refuse_tag(self, event: yaml.ScalarEvent | yaml.CollectionStartEvent) -> None:
        if event.tag is None:
            return
        start = _index(event.start_mark)
        at = self.source.content.find("!", start, _index(event.end_mark))
        written = re.compile(r"!\S*").match(self.source.content, max(at, start))
        end = written.end() if written else start + 1
        shown = self.source.content[at:end] if written else str(event.tag)
        remedy = "remove it; quote a text that would read as something else"
        self.report.error("Y014", self.span(max(at, start), end), f"the tag {shown} is refused", remedy)

    def _mapping(self, top: _Open, span: Span) -> MappingNode:
        entries: list[tuple[ScalarNode, Node]] = []
        index: dict[str, tuple[ScalarNode, Node]] = {}
        for key, value in zip(top.nodes[::2], top.nodes[1::2], strict=False):
            if not isinstance(key, ScalarNode) or key.kind in ("null", "boolean", "integer"):
                self.report.error("Y019", key.span, "a key that is not a plain word or a text", "keys are names")
                continue
            name = key.text.value
            if name == "<<" and not key.style:
                continue  # told where it was read
            previous = entries[-1][0] if entries else None
            empty = isinstance(value, ScalarNode) and not value.style and not value.text.value
            if top.flow and empty:
                self._no_value(key, previous)
                continue
            if name in index:
                first = index[name][0].span
                remedy = "remove or rename one of the two"
                self.report.error(
                    "Y009", key.span, f"the key {_quoted(name)} stands twice", remedy, [(first, "it stands here first")]
                )
                continue
            entries.append((key, value))
            index[name] = (key, value)
        return MappingNode(tuple(entries), span, index)

    def _no_value(self, key: ScalarNode, previous: ScalarNode | None) -> None:
        """In ``{…}`` a comma ends a text: what follows it becomes a key without a value."""
        message = f"{_quoted(key.text.value)} is a key without a value"
        remedy = "give it a value"
        related = []
        if previous is not None:
            name = previous.text.value
            message += f": within {{…}} the comma before it ends the text of {_quoted(name)}"
            remedy = f'quote the whole text of {_quoted(name)} ("…"), or write it as a block below {name}: |'
            related.append((previous.span, "the text that the comma cuts off begins here"))
        self.report.error("Y020", key.span, message, remedy, related)

    def _scalar(self, event: yaml.ScalarEvent) -> ScalarNode:
        start, end = self._extent(event)
        style = event.style or ""
        content = self.source.content
        try:
            value, offsets = map_scalar(content, start, end, event.style, self.loader.block_indents.get(start, -1))
        except (ValueError, OverflowError, IndexError, KeyError):
            value, offsets = "", ()
        if value != event.value:  # the parser decides what is meant; the place is then the scalar's as a whole
            value = event.value
            offsets = (start,) * (len(value) + 1)
        if style in ("|", ">"):
            end = offsets[-1]
        text = Text(value, self.source, offsets)
        span = self.span(start, end)
        if any("\ud800" <= char <= "\udfff" for char in value):
            self.report.error("Y021", span, "an escape makes half of a surrogate pair", "write the character itself")
        if style:
            return ScalarNode(text, "string", value, span, style)
        return self._plain(text, span)

    def _extent(self, event: yaml.ScalarEvent) -> tuple[int, int]:
        """Where the scalar itself stands: the event's marks include its anchor and tag."""
        start, end = _index(event.start_mark), _index(event.end_mark)
        content = self.source.content
        while start < end and (event.anchor is not None or event.tag is not None) and content[start] in "&!":
            while start < end and content[start] not in " \n\r":
                start += 1
            while start < end and content[start] in " \n\r":
                start += 1
        return start, end

    def _plain(self, text: Text, span: Span) -> ScalarNode:
        word = text.value
        kind = plain_kind(word)
        if kind == "integer":
            if len(word.lstrip("-")) > MAX_DIGITS:
                self.report.error("Y024", span, f"the number {word[:30]} is too large", f"at most {MAX_DIGITS} digits")
                return ScalarNode(text, kind, 0, span)
            return ScalarNode(text, kind, int(word), span)
        if kind in ("boolean", "null"):
            return ScalarNode(text, kind, word == "true" if kind == "boolean" else None, span)
        if kind not in ("string", "letter", "word"):
            self._refuse_doubtful(word, span)
            kind = "string"
        return ScalarNode(text, kind, word, span)

    def _refuse_doubtful(self, word: str, span: Span) -> None:
        """Refuse plain words that some YAML versions take for something other than a string."""
        kind = plain_kind(word)
        shown = _quoted(word)
        if kind == "truth":
            message = f"{shown} is a truth value to some readers of YAML and a word to others"
            self.report.error("Y010", span, message, f'write true or false, or quote the word: "{word}"')
        elif kind == "number":
            remedy = f'write a decimal integer without leading zeros, or quote a text: "{word}"'
            self.report.error("Y011", span, f"{shown} is not the same number to every reader of YAML", remedy)
        elif kind == "date":
            self.report.error("Y012", span, f"{shown} is a date to some readers of YAML", f'quote it: "{word}"')
        elif word == "<<":
            self.report.error("Y015", span, "the merge key << is refused", "write the keys out where they belong")
        elif kind == "sign":
            self.report.error("Y013", span, f"{shown} is not a word to every reader of YAML", f'write null, or quote it: "{word}"')


def plain_kind(word: str) -> str:
    """What a plain scalar is: ``string``, ``integer``, ``boolean``, ``null``, ``letter`` (y, n), ``word`` (TRUE, Null …), or
    doubtful: ``truth`` (on, yes …), ``number`` (010, 1.5, 12:30 …), ``date``, ``sign`` (~, =, <<)."""
    if word in ("true", "false"):
        return "boolean"
    if word in ("", "null"):
        return "null"
    if _INTEGER.fullmatch(word):
        return "integer"
    if word in ("y", "n", "Y", "N"):
        return "letter"
    if word in ("TRUE", "True", "FALSE", "False", "NULL", "Null"):
        return "word"
    if word.lower() in ("on", "off", "yes", "no"):
        return "truth"
    if word in ("~", "=", "<<"):
        return "sign"
    if _DATE.fullmatch(word):
        return "date"
    return "number" if _NUMBER.fullmatch(word) else "string"


def _quoted(word: str) -> str:
    shown = word if len(word) <= 60 else word[:57] + "…"
    return "'" + shown.replace("\n", "\\n") + "'"


def _hint(source: SourceFile, index: int, problem: str) -> str:
    """What a syntax error most often means in a specification."""
    line = source.line(source.position(index)[0])
    if "flow mapping" in problem and "<scalar>" in problem:
        return "quote a text that contains a comma or a bracket within {…}, or write it as a block (|)"
    if re.search(r"[{,]\s*\w+:\s+:\w", line) or re.search(r"[\[,]\s*:\w", line):
        return "quote a text that starts with ':' within {…} or […]"
    if ": " in line.split(": ", 1)[-1]:
        return "quote a text that contains ': ', or write it as a block (|)"
    return "check the indentation, the quotes and the brackets here and just before"


_INTEGER = re.compile(r"-?(0|[1-9][0-9]*)")
_DATE = re.compile(r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([Tt \t].*)?", re.DOTALL)
_NUMBER = re.compile(
    r"""[-+]?(
      0[0-9_]+                                  # octal by its leading zero
    | 0o[0-7_]+ | 0x[0-9a-fA-F_]+ | 0b[01_]+    # other bases
    | [0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?   # base sixty
    | [0-9][0-9_]*                              # underscores, or a plus sign
    | [0-9][0-9_]*\.[0-9_]*([eE][-+]?[0-9]+)?   # floats
    | \.[0-9_]+([eE][-+]?[0-9]+)?
    | [0-9][0-9_]*[eE][-+]?[0-9]+
    | \.(inf|Inf|INF)
    )|\.(nan|NaN|NAN)""",
    re.VERBOSE,
)
