"""The cell magic ``%%txweave``: a model or a fix as YAML, with what is wrong in it shown at its line.

``%%txweave name`` puts it into a variable of that name: a :class:`~txweave.api.Model`, or a fix for ``model.with_fix`` and
``tw.compare``.  ``%%txweave name model`` also tries whether the fix fits the model in the variable ``model``.
"""

from __future__ import annotations

from typing import Any

from txweave.collect import Usage
from txweave.report.markup import el, serialised
from txweave.spec import syntax
from txweave.spec.diagnostics import Diagnostic, SpecError

PATH = "<cell>"
"""What a cell is called in messages."""

WHOLE, NEAR = 25, 3
"""A cell of up to so many lines is shown whole, of a longer one so many lines around what is wrong."""


class Shown:
    """What is wrong with a cell: its text, with each message below the line that it is about."""

    def __init__(self, source: str, diagnostics: tuple[Diagnostic, ...]) -> None:
        self.source, self.diagnostics = source, diagnostics

    def lines(self) -> list[tuple[str, str]]:
        """Lines with their kind: ``code``, ``mark`` (what is meant) or ``message``; messages without a place come last."""
        found: list[tuple[str, str]] = []
        here: dict[int, list[Diagnostic]] = {}
        for item in self.diagnostics:
            here.setdefault(item.span.line if item.span is not None else 0, []).append(item)
        text = self.source.splitlines()
        near = {number + offset for number in here for offset in range(-NEAR, NEAR + 1)}
        skipped = False
        for number, line in enumerate(text, 1):
            if len(text) > WHOLE and number not in near:
                if not skipped:
                    found.append(("    ┆", "code"))
                skipped = True
                continue
            skipped = False
            found.append((f"{number:>3} │ {line}", "code"))
            for item in here.get(number, ()):
                assert item.span is not None
                last = item.span.end_column if item.span.end_line == number else len(line) + 1
                found.append(("    │ " + " " * (item.span.column - 1) + "^" * max(last - item.span.column, 1), "mark"))
                for words in _words(item):
                    found.append((f"    │ {words}", "message"))
        known = range(1, len(text) + 1)
        found += [
            (words, "message") for line, items in here.items() if line not in known for item in items for words in _words(item)
        ]
        return found

    def __repr__(self) -> str:
        return "\n".join(line for line, _ in self.lines())

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:  # noqa: ARG002
        styles = {"code": "", "mark": "color:#cf222e", "message": "color:#cf222e;font-weight:600"}
        parts = [el("span", f"{line}\n", {"style": styles[kind]} if styles[kind] else {}) for line, kind in self.lines()]
        return {"text/plain": repr(self), "text/html": serialised(el("pre", *parts))}


def _words(item: Diagnostic) -> list[str]:
    remedy = [f"  {item.remedy}"] if item.remedy else []
    return [f"{item.severity} {item.code}: {item.message}", *remedy]


def read(text: str) -> Any:
    """A model or a fix, by its first key.

    Raises:
        SpecError: everything that is wrong with it.
    """
    from txweave.api import Model
    from txweave.spec.load import parse_fix, parse_model
    from txweave.spec.text import SourceFile

    source = SourceFile(PATH, text)
    first = next((line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")), "")
    if first.startswith("fix:"):
        return Fix(parse_fix(source))
    model = Model(PATH, parse_model(source))
    model.bound()
    return model


def _fits(found: Any, model: Any, name: str) -> None:
    """Apply a fix to a model, for what is wrong with that.

    Raises:
        SpecError: it does not fit.
        Usage: there is no such model, or this is no fix.
    """
    from txweave.api import Model

    if not isinstance(found, Fix):
        raise Usage(f"only a fix has a model that it fits: leave out {name!r}")
    if not isinstance(model, Model):
        raise Usage(f"there is no model in a variable {name!r}")
    model.with_fix(found.source).bound()


class Fix:
    """A fix that was written in a cell."""

    def __init__(self, source: syntax.Fix) -> None:
        self.source = source

    def __repr__(self) -> str:
        title = f": {self.source.title}" if self.source.title else ""
        return f"fix {self.source.name.value}{title}"


def register(shell: Any) -> None:
    """Add the magic to a shell."""

    def txweave(line: str, cell: str) -> Any:
        name, _, target = line.strip().partition(" ")
        if any(word and not word.isidentifier() for word in (name, target.strip())):
            raise Usage(f"%%txweave {line.strip()}: give the name of a variable, and for a fix that of its model")
        try:
            found = read(cell)
            if target.strip():
                _fits(found, shell.user_ns.get(target.strip()), target.strip())
        except SpecError as error:
            return Shown(cell, error.diagnostics)
        value = found.source if isinstance(found, Fix) else found
        if name:
            shell.user_ns[name] = value
        return found

    txweave.__doc__ = __doc__
    shell.register_magic_function(txweave, magic_kind="cell", magic_name="txweave")
