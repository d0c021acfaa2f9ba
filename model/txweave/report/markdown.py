"""Results as Markdown (GitHub's dialect): the verdicts of each file as a table, and each counterexample that is told as a sequence
diagram and a story.

What a specification says is escaped: nothing in it becomes markup.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from txweave.report.outcomes import Item, Report, case_label, items, story_text, verdict
from txweave.report.sequence import sequence_diagram
from txweave.report.story import Place
from txweave.results import CaseResult, Relation

SUMMARY_LIMIT = 1024 * 1024
"""Bytes that GitHub takes of a step's summary; of a larger one it shows nothing at all."""

_MARKS = {Relation.AS_EXPECTED: "✅", Relation.DIFFERS: "❌", Relation.INCONCLUSIVE: "❓", Relation.FAILED: "💥"}


@dataclass(frozen=True)
class _Section:
    """A part of the document that is kept or left out as a whole; ``what`` it is called when it is left out."""

    text: str
    what: str = ""


def render(report: Report, limit: int | None = None) -> str:
    """The document, in at most ``limit`` bytes of UTF-8: what does not fit is left out from the end, and a note says so.

    Nothing, where not even the heading and the note have room.
    """
    head, *sections = _sections(report)
    whole = "".join(section.text for section in (head, *sections))
    if limit is None or _size(whole) <= limit:
        return whole
    # The heading has the counts: whatever is cut, it says what the check came to.
    room = limit - _size(head.text) - _size(_note(sections))
    kept: list[_Section] = []
    for section in sections:
        if _size(section.text) > room:
            break
        room -= _size(section.text)
        kept.append(section)
    found = head.text + "".join(section.text for section in kept) + _note(sections[len(kept) :])
    return found if _size(found) <= limit else ""


def _size(text: str) -> int:
    return len(text.encode())


def _note(left_out: Sequence[_Section]) -> str:
    counts: dict[str, int] = {}
    for section in left_out:
        counts[section.what] = counts.get(section.what, 0) + 1
    words = ", ".join(f"{number} {what if number == 1 else what + 's'}" for what, number in counts.items())
    return f"**Left out, because a summary may not be larger:** {words}. The text that the command prints has all of it.\n"


def _sections(report: Report) -> Iterable[_Section]:
    yield _Section(_heading(report))
    if report.diagnostics:
        rendered = "\n\n".join(found.render() for found in report.diagnostics)
        yield _Section(f"### What is wrong in the specifications\n\n{_fenced(rendered)}\n", "list of errors")
    by_file: dict[str, list[CaseResult]] = {}
    for result in report.results:
        by_file.setdefault(result.path, []).append(result)
    for path, group in by_file.items():
        if not (report.style.quiet and all(result.exit == 0 for result in group)):
            yield _Section(_table(path, group, report), "table of verdicts")
    if report.findings:
        lines = [f"- {plain(finding.message)}{_at(finding.place)}{_of(path, cases)}\n" for path, finding, cases in report.findings]
        yield _Section(f"### What the verdicts do not say\n\n{''.join(lines)}\n", "list of findings")
    for item in report.items:
        if item.result is not None and item.story is not None and report.tells(item.result):
            yield _Section(_story(item), "counterexample")


def _heading(report: Report) -> str:
    items = report.items
    counts = {relation: sum(i.result is not None and i.result.relation is relation for i in items) for relation in Relation}
    parts = [
        (counts[Relation.DIFFERS], "not as expected"),
        (counts[Relation.INCONCLUSIVE], "inconclusive"),
        (counts[Relation.FAILED] + sum(bool(i.failures) and i.result is None for i in items), "failed self-check"),
        (sum(bool(i.diagnostics) for i in items) + len(report.errors), "with errors"),
    ]
    words = [f"{number} {what}" for number, what in parts if number]
    if not words:
        words = ["all as expected" if items and report.exit_status == 0 else "nothing was checked"]
    known = sum(i.known for i in items)
    words += [f"{known} known violation{'' if known == 1 else 's'}"] if known else []
    mark = "✅" if report.exit_status == 0 else "❓" if report.exit_status == 3 else "❌"
    total = sum(i.result is not None for i in items)
    size = f"{total} {'property' if total == 1 else 'properties'} in {len(report.results)} "
    size += "case" if len(report.results) == 1 else "cases"
    return f"## {mark} txweave: {', '.join(words)}\n\n{size}\n\n"


def _table(path: str, group: Sequence[CaseResult], report: Report) -> str:
    timing = report.style.timing
    columns = ["", "case", "property", "verdict", "expected", "states", *(["time"] if timing else [])]
    rows = [columns, [":-:", *["---"] * 4, *["--:"] * (len(columns) - 5)]]
    for result in group:
        numbers = [
            f"{result.states:,}" if result.states else "",
            *(["cached" if result.cached else f"{result.seconds:.2f} s"] if timing else []),
        ]
        for item in items(result):
            found = item.result
            if found is not None:
                mark = "⏳" if item.known else _MARKS[found.relation]
                verdicts = [cell(found.name), plain(verdict(found)), plain(found.expected.text)]
            else:
                mark, verdicts = "💥" if item.failures else "❌", ["", plain(item.message), ""]
            rows.append([mark, cell(result.case), *verdicts, *numbers])
            numbers = [""] * len(numbers)
    lines = "".join(f"| {' | '.join(row)} |\n" for row in rows)
    remarks = [
        f"- {code(f'{result.case}.{item.name}')}: {plain(text)}{_at(item.expected.place or item.place)}\n"
        for result in group
        for item in result.properties
        for text in (item.difference, item.known.text(days=timing) if item.known is not None else "", *item.notes)
        if text
    ]
    remarks += [f"- {code(result.case)}: {plain(failure)}\n" for result in group for failure in result.failures]
    return f"### {code(path)}\n\n{lines}\n" + (f"{''.join(remarks)}\n" if remarks else "")


def _story(item: Item) -> str:
    assert item.story is not None
    assert item.result is not None
    story, found = item.story, item.result
    lines = [f"### {code(item.name)} in {code(case_label(item.case))}: {plain(verdict(found))}", ""]
    if story.title:
        lines += [plain(story.title), ""]
    lines += [
        f"```mermaid\n{sequence_diagram(story)}```",
        "",
        "<details><summary>The story</summary>",
        "",
        _fenced(story_text(story, case_label(item.case), found.text)),
        "</details>",
        "",
    ]
    return "\n".join(lines) + "\n"


def _of(path: str, cases: Sequence[str]) -> str:
    return f" in {', '.join(map(code, cases))} of {code(path)}" if cases else ""


def _at(place: Place | None) -> str:
    return f" ({code(f'{place.path}:{place.line}')})" if place is not None else ""


# -------------------------------------------------------------------------------------------------------------- escaping


def plain(text: str) -> str:
    """Words that mean nothing to Markdown: all its punctuation is escaped (CommonMark 0.31, section 2.4)."""
    words = re.sub(r"([\\`*_{}\[\]<>#|~&@:$!]|(?<=www)\.)", r"\\\1", " ".join(text.split()))
    # At the beginning of a paragraph, a list, a rule or an underlined heading.
    return re.sub(r"^([-+=]|[0-9]+(?=[.)]))", lambda m: f"\\{m[1]}" if m[1] in "-+=" else f"{m[1]}\\", words)


def code(text: str) -> str:
    """A code span, whatever number of backquotes is in it."""
    words = " ".join(text.split()) or " "
    fence = "`" * (_longest(words) + 1)
    pad = " " if words[:1] == "`" or words[-1:] == "`" else ""
    return f"{fence}{pad}{words}{pad}{fence}"


def cell(text: str) -> str:
    """A code span in a table, where a bar ends the cell unless it is escaped, in code as well."""
    return code(text).replace("|", r"\|")


def _fenced(text: str) -> str:
    """A block of text as it is."""
    fence = "`" * max(3, _longest(text) + 1)
    return f"{fence}text\n{text.rstrip()}\n{fence}\n"


def _longest(text: str) -> int:
    return max((len(run) for run in re.findall("`+", text)), default=0)
