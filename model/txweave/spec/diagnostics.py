"""Diagnostics: what is wrong in a specification, where, and what would be right.

Every code is declared once, in :mod:`txweave.spec.codes`, with a title and an explanation (``txweave explain CODE``).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from difflib import get_close_matches

from txweave.spec.text import Span


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One finding.

    ``message`` says what is wrong and quotes the offending text; ``remedy`` says what would be right.
    ``related`` are other places that matter, each with a word on why.
    """

    code: str
    span: Span | None
    message: str
    remedy: str = ""
    severity: str = "error"
    related: tuple[tuple[Span, str], ...] = ()

    def render(self) -> str:
        """``path:line:column: error CODE: message`` with the line shown, carets below, remedy and related places."""
        where = f"{self.span}: " if self.span else ""
        lines = [f"{where}{self.severity} {self.code}: {self.message}"]
        if self.span:
            lines += _excerpt(self.span)
        if self.remedy:
            lines.append(f"  = {self.remedy}")
        for span, note in self.related:
            lines.append(f"  {span}: {note}")
        return "\n".join(lines)


def _excerpt(span: Span) -> list[str]:
    number, column = span.line, span.column
    text = span.file.line(number)
    width = (span.end - span.start) if span.end_line == number else len(text) - column + 1
    shown = text.replace("\t", " ")
    offset = 0
    if len(shown) > 160:  # keep the offending part in sight
        offset = max(0, column - 61)
        shown = ("…" if offset else "") + shown[offset : offset + 150] + "…"
        offset -= 1 if offset else 0
    gutter = f"{number:>5} | "
    caret = " " * max(0, column - 1 - offset) + "^" * max(1, min(width, 150))
    return [gutter + shown, " " * 5 + " | " + caret]


class SpecError(Exception):
    """The specification is wrong; carries every diagnostic that was found."""

    def __init__(self, diagnostics: Iterable[Diagnostic]) -> None:
        self.diagnostics = tuple(diagnostics)
        super().__init__("\n".join(d.render() for d in self.diagnostics))

    def __repr__(self) -> str:
        return f"SpecError:\n{self}"

    def _render_traceback_(self) -> list[str]:
        """What IPython shows in place of a traceback, which would say nothing about the specification."""
        return str(self).splitlines()


MAX_DIAGNOSTICS = 200
"""How many findings a report tells: enough for any file that a person wrote."""


@dataclass
class Report:
    """Collects diagnostics so that all errors of a file are told at once."""

    diagnostics: list[Diagnostic] = field(default_factory=list)
    full: bool = False
    """Whether there were more findings than are told; the last one says so."""

    def error(
        self,
        code: str,
        span: Span | None,
        message: str,
        remedy: str = "",
        related: Iterable[tuple[Span, str]] = (),
    ) -> None:
        """Record an error."""
        self._add(Diagnostic(code, span, message, remedy, "error", tuple(related)))

    def warning(self, code: str, span: Span | None, message: str, remedy: str = "") -> None:
        """Record a warning."""
        self._add(Diagnostic(code, span, message, remedy, "warning"))

    def merge(self, diagnostics: Iterable[Diagnostic]) -> None:
        """Record what was found elsewhere."""
        for diagnostic in diagnostics:
            self._add(diagnostic)

    def _add(self, diagnostic: Diagnostic) -> None:
        if self.full or diagnostic in self.diagnostics:
            return
        if len(self.diagnostics) == MAX_DIAGNOSTICS:
            self.full = True
            message = f"more than {MAX_DIAGNOSTICS} findings: this one and what follows is not told"
            diagnostic = Diagnostic("Y025", diagnostic.span, message, "correct what is told, then look again")
        self.diagnostics.append(diagnostic)

    @property
    def failed(self) -> bool:
        """Whether an error was recorded."""
        return any(d.severity == "error" for d in self.diagnostics)

    def check(self) -> None:
        """Raise :class:`SpecError` with everything recorded if there is an error.

        Raises:
            SpecError: at least one error was recorded.
        """
        if self.failed:
            raise SpecError(self.diagnostics)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """``did you mean 'x'?``, or the list of what is known, or nothing when nothing is known."""
    names = sorted(set(known))
    if len(names) > 200:  # in a large file, only words that begin alike
        names = [name for name in names if name[:1] == word[:1]][:200]
    close = get_close_matches(word, names, n=1, cutoff=0.6)
    if close:
        return f"did you mean {close[0]!r}?"
    if names and len(names) <= 12:
        return "known here: " + ", ".join(names)
    return ""
