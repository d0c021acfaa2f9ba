"""What changed between two checks: for the terminal, as Markdown for a pull request's comment, and as JSON."""

from __future__ import annotations

from rich.text import Text

import txweave
from txweave.diff import CaseChange, Difference, Tendency, Verdict
from txweave.report.json import SCHEMA_VERSION, Json
from txweave.report.markdown import cell, code, plain
from txweave.report.text import Writer

_COLOURS = {Tendency.WORSE: "bold red", Tendency.OPEN: "yellow", Tendency.BETTER: "green", Tendency.CHANGED: "cyan"}
_MARKS = {Tendency.WORSE: "❌", Tendency.OPEN: "❓", Tendency.BETTER: "✅", Tendency.CHANGED: "✏️"}


def write(difference: Difference, writer: Writer) -> None:
    """A line for each change, and what it comes to."""
    for change in difference.changes:
        text = Text(f"{change.tendency.value:<8}", style=_COLOURS[change.tendency])
        where = f"{change.path}  {change.case}.{change.name}: "
        text.append(
            f"{where}{_side(change.old)} {writer.glyph('arrow')} {_side(change.new)}{_expected(change.old, change.new)}", ""
        )
        writer.line(text)
    for case in difference.cases:
        writer.line(Text("case    ", style="dim").append(f"{case.path}  {case.case}: {'; '.join(_words(case))}", "default"))
    writer.line(summary(difference))


def markdown(difference: Difference) -> str:
    """The same as Markdown."""
    mark = {0: "✅", 1: "❌"}.get(int(difference.exit), "❓")
    lines = [f"## {mark} txweave: {plain(summary(difference))}", ""]
    if difference.changes:
        lines += ["| | case | property | before | after |", "|:-:|---|---|---|---|"]
        for change in difference.changes:
            after = plain(_side(change.new) + _expected(change.old, change.new))
            where = f"{cell(change.case)} of {cell(change.path)}"
            lines.append(f"| {_MARKS[change.tendency]} | {where} | {cell(change.name)} | {plain(_side(change.old))} | {after} |")
        lines.append("")
    for case in difference.cases:
        lines.append(f"- {code(case.case)} of {code(case.path)}: {plain('; '.join(_words(case)))}")
    return "\n".join(lines).rstrip() + "\n"


def document(difference: Difference) -> Json:
    """The same as JSON; its shape is in ``diff.schema.json``."""
    return {
        "schema_version": SCHEMA_VERSION,
        "kind": "diff",
        "txweave": txweave.__version__,
        "exit_status": int(difference.exit),
        "same": difference.same,
        "changes": [
            {
                "path": change.path,
                "case": change.case,
                "property": change.name,
                "tendency": change.tendency.value,
                "old": _verdict(change.old),
                "new": _verdict(change.new),
            }
            for change in difference.changes
        ],
        "cases": [
            {
                "path": case.path,
                "case": case.case,
                "in_old": case.there[0],
                "in_new": case.there[1],
                "old_states": case.states[0],
                "new_states": case.states[1],
                "steps_added": list(case.added),
                "steps_gone": list(case.gone),
            }
            for case in difference.cases
        ],
    }


def summary(difference: Difference) -> str:
    """What it comes to, in a line."""
    counts = {kind: sum(change.tendency is kind for change in difference.changes) for kind in Tendency}
    words = {Tendency.WORSE: "worse", Tendency.OPEN: "unknown as before", Tendency.BETTER: "better", Tendency.CHANGED: "changed"}
    parts = [f"{counts[kind]} {words[kind]}" for kind in Tendency if counts[kind]]
    return ", ".join([*parts, f"{difference.same} the same"])


def _side(verdict: Verdict | None) -> str:
    if verdict is None:
        return "none"
    return verdict.text + (" (known)" if verdict.known else "")


def _expected(old: Verdict | None, new: Verdict | None) -> str:
    """Whether the new verdict is what is expected, and whether something else was expected before."""
    if new is None:
        return ", no longer checked"
    words = ", as expected" if new.relation == "as expected" else f", expected {new.expected}"
    return words + (f", before expected {old.expected}" if old is not None and old.expected != new.expected else "")


def _words(case: CaseChange) -> list[str]:
    if not all(case.there):
        return ["added" if case.there[1] else "gone"]
    words = []
    if case.states[0] != case.states[1]:
        before, after = (f"{n:,}" if n is not None else "not counted" for n in case.states)
        words.append(f"states {before}, now {after}")
    words += [f"steps added: {', '.join(case.added)}"] if case.added else []
    words += [f"steps gone: {', '.join(case.gone)}"] if case.gone else []
    return words


def _verdict(found: Verdict | None) -> Json | None:
    if found is None:
        return None
    return {
        "verdict": found.status,
        "text": found.text,
        "expected": found.expected,
        "relation": found.relation,
        "known": found.known,
    }
