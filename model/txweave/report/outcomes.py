"""What a check comes to, item by item: the one place that says what is a pass, a failure and an error.

Every format and the pytest plugin read items, so that none of them can forget a verdict or round it up.  Unknown is an error:
it is never a pass, and nothing is ever skipped.
"""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, assert_never

from txweave.report.story import CALM, Place, Story, StoryStep
from txweave.results import CaseResult, Exit, Finding, PropertyResult, Relation
from txweave.spec.diagnostics import Diagnostic

if TYPE_CHECKING:
    from txweave.report.text import Style, Writer


class Outcome(Enum):
    """``PASS``: as expected.  ``FAIL``: a verdict differs from what is expected.  ``ERROR``: there is no verdict to rely on."""

    PASS = "pass"  # noqa: S105 - no password
    FAIL = "fail"
    ERROR = "error"


@dataclass(frozen=True)
class Item:
    """One thing that a check answers for: a property of a case, or, without ``result``, the case itself that has no answer.

    ``message`` is one line.  ``diagnostics``: what is wrong with the specification; ``failures``: self-checks that failed.
    """

    case: CaseResult
    result: PropertyResult | None
    outcome: Outcome
    message: str
    diagnostics: tuple[Diagnostic, ...] = ()
    failures: tuple[str, ...] = ()

    @property
    def known(self) -> bool:
        """Whether it is a known violation, which passes for a while."""
        return self.result is not None and self.result.known is not None

    @property
    def name(self) -> str:
        """The property's name, or what stands for it where there is none."""
        if self.result is not None:
            return self.result.name
        return "specification" if self.diagnostics else "self-check" if self.failures else "properties"

    @property
    def place(self) -> Place | None:
        """The property's place, else the case's."""
        return (self.result.place if self.result is not None else None) or self.case.place

    @property
    def story(self) -> Story | None:
        """The counterexample, where there is one."""
        return self.result.story if self.result is not None else None

    @property
    def text(self) -> str:
        """Everything that is to be said of it, as plain text: the message, what is wrong, the story."""
        parts = [self.message, *(d.render() for d in self.diagnostics), *(f for f in self.failures if f not in self.message)]
        if self.story is not None:
            parts.append(story_text(self.story, case_label(self.case), self.result.text if self.result else ""))
        return "\n\n".join(parts)


@dataclass(frozen=True)
class Report:
    """What is to be reported, to all formats alike.

    ``errors``: files that could not be read.  ``style``: which stories are told, whether seconds are, as for the terminal.
    """

    results: tuple[CaseResult, ...]
    errors: tuple[tuple[str, tuple[Diagnostic, ...]], ...]
    exit_status: Exit
    style: Style

    @property
    def items(self) -> tuple[Item, ...]:
        """The items of all cases."""
        return tuple(item for result in self.results for item in items(result))

    @property
    def diagnostics(self) -> tuple[Diagnostic, ...]:
        """Everything that is wrong with the specifications, once each."""
        found = [d for _, group in self.errors for d in group] + [d for result in self.results for d in result.errors]
        return tuple({d.render(): d for d in found}.values())

    @property
    def findings(self) -> tuple[tuple[str, Finding, tuple[str, ...]], ...]:
        """What makes verdicts say less than they seem to: file, finding, and the cases of the file that it is true of.

        What lint finds is true of the file where it stands, whatever cases there are.
        """
        found: dict[tuple[str, Finding], dict[str, None]] = {}
        for result in self.results:
            for finding in result.findings:
                lint = finding.kind == "lint" and finding.place is not None
                path = finding.place.path if lint and finding.place is not None else result.path
                found.setdefault((path, finding), {}).update({} if lint else {result.case: None})
        return tuple((path, finding, tuple(cases)) for (path, finding), cases in found.items())

    def tells(self, item: PropertyResult) -> bool:
        """Whether a property's story is told, by the options that decide it for the terminal."""
        if item.name in self.style.told or self.style.stories == "all":
            return True
        return self.style.stories == "unexpected" and outcome(item) is Outcome.FAIL


def outcome(item: PropertyResult) -> Outcome:
    """A property's outcome."""
    match item.relation:
        case Relation.AS_EXPECTED:
            return Outcome.PASS
        case Relation.DIFFERS:
            return Outcome.FAIL
        case Relation.INCONCLUSIVE | Relation.FAILED:
            return Outcome.ERROR
        case _:
            assert_never(item.relation)


def items(result: CaseResult) -> tuple[Item, ...]:
    """The items of a case: at least one, also where nothing could be checked."""
    found = []
    told: set[str] = set()
    for item in result.properties:
        mine = tuple(f for f in result.failures if f.startswith(f"{item.name}: "))
        told |= set(mine)
        found.append(Item(result, item, outcome(item), _message(item, mine), failures=mine))
    wrong = tuple(d for d in result.errors if d.severity == "error")
    if wrong:
        more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
        found.append(Item(result, None, Outcome.ERROR, f"the specification is wrong: {wrong[0].message}{more}", result.errors))
    rest = tuple(f for f in result.failures if f not in told)
    if rest:
        found.append(Item(result, None, Outcome.ERROR, rest[0], failures=rest))
    if not found:
        found.append(Item(result, None, Outcome.ERROR, "nothing was checked: there is no property"))
    return tuple(found)


def _message(item: PropertyResult, failures: Sequence[str]) -> str:
    match item.relation:
        case Relation.AS_EXPECTED:
            if item.known is not None:
                return f"{verdict(item)}, {item.known.text()}"
            return verdict(item) + (", as expected" if item.expected.stated else "")
        case Relation.DIFFERS:
            return item.difference or f"{verdict(item)}, expected {item.expected.text}"
        case Relation.INCONCLUSIVE:
            return f"{item.text}, expected {item.expected.text}"
        case Relation.FAILED:
            return "self-check failed: " + ("; ".join(f.partition(": ")[2] for f in failures) or "the verdict cannot be trusted")
        case _:
            assert_never(item.relation)


def verdict(item: PropertyResult) -> str:
    """The verdict in words, with the counterexample's length: ``violated (4, 2)``."""
    return item.text + (f" ({', '.join(map(str, item.length))})" if item.length is not None else "")


def case_label(result: CaseResult) -> str:
    """A case and the fixes that it has."""
    return result.case + (f" with {', '.join(result.fixes)}" if result.fixes else "")


# ------------------------------------------------------------------------------------------------------------ plain text

WIDTH = 100
"""Columns of plain text that is not for a terminal."""


def plain(width: int = WIDTH) -> tuple[Writer, io.StringIO]:
    """A writer of plain text, and what it writes to."""
    from rich.console import Console

    from txweave.report.text import Writer

    out = io.StringIO()
    # Whatever the environment says of terminals (FORCE_COLOR, TERM), or that it is a notebook, is not about this text.
    console = Console(
        file=out, width=width, highlight=False, force_terminal=False, force_jupyter=False, color_system=None, legacy_windows=False
    )
    return Writer(console), out


def story_text(story: Story, heading: str, verdict: str) -> str:
    """A story as plain text."""
    writer, out = plain()
    writer.story(story, f"{story.name}  {writer.glyph('dot')}  {heading}", verdict or "violated")
    return out.getvalue().rstrip() + "\n"


def step_line(step: StoryStep) -> str:
    """One step of a story in one line."""
    place = f"{step.procedure}.{step.step}" if step.procedure and step.step else step.step
    happened = step.note or {"fault": "crashes", "tick": "time passes"}.get(step.kind, "")
    what = happened if step.kind in {"fault", "tick"} else " ".join(step.sql.split()) or happened or step.action
    words = f"{step.actor or 'time'}{f' {place}' if place and step.kind != 'fault' else ''}: {what}"
    parts = [words]
    if step.note and step.note not in what and not any(event.startswith(step.note) for event in step.events):
        parts.append(step.note)
    if step.outcome not in CALM and step.kind != "fault":
        parts.append(step.outcome.replace("_", " "))
    parts += [f"{name} = {value}" for name, value in step.returned]
    parts += step.events
    return "; ".join(parts)


def finding_line(finding: Finding, cases: Sequence[str]) -> str:
    """A finding in one line, with the cases that it is true of."""
    return finding.message + (f" ({', '.join(cases)})" if cases else "")


# ----------------------------------------------------------------------------------------------------------------- paths


@cache
def _root(here: str) -> Path:
    folder = Path(here)
    return next((f for f in (folder, *folder.parents) if (f / ".git").exists()), folder)


def repository_path(path: str) -> str:
    """A path as CI services want it: relative to the repository (the directory with ``.git``, else the current one).

    Outside of it the path is absolute.
    """
    here = str(Path.cwd())
    whole = Path(os.path.normpath(Path(here, path)))
    try:
        return whole.relative_to(_root(here)).as_posix()
    except ValueError:
        return whole.as_posix()
