"""Compositions side by side, for the terminal and as JSON."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

import txweave
from txweave.compare import Comparison, Parting, Separation
from txweave.report import json
from txweave.report.json import Json
from txweave.report.story import StoryStep
from txweave.report.text import STATUS_COLOURS, Writer
from txweave.results import CaseResult, PropertyResult

# ------------------------------------------------------------------------------------------------------------ terminal


class ComparisonWriter:
    """Prints a comparison."""

    def __init__(self, writer: Writer, *, stories: bool = True) -> None:
        self.writer = writer
        self.stories = stories

    def result(self, result: Comparison) -> None:
        """The tables, then for each property on which compositions differ the interleaving that separates them."""
        head = Text(result.path, style="bold")
        head.append(f"  {result.model}", style="dim")
        self.writer.line(head)
        if result.settings:
            self.writer.line(Text("  with " + ", ".join(f"{name}={value}" for name, value in result.settings), style="dim"))
        for scenario, cases in zip(result.scenarios, result.cases, strict=True):
            self.writer.line()
            self._table(scenario, cases)
        for cases in result.cases:
            for case in cases:
                for failure in case.failures:
                    self.writer.line(Text(f"  {case.case}: self-check failed: {failure}", style="bold red"))
                for finding in case.findings:
                    self._wrapped(f"{case.case}: {finding.message}", 2, "dim")
        if not self.stories:
            return
        for item in result.separations:
            self._separation(item)

    def _table(self, scenario: str, cases: Sequence[CaseResult]) -> None:
        table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0), safe_box=True)
        table.add_column(scenario, overflow="fold")
        for case in cases:
            table.add_column(case.case, overflow="fold")
        for name in dict.fromkeys(item.name for case in cases for item in case.properties):
            table.add_row(Text(name), *(self._cell(answer(case, name)) for case in cases))
        table.add_row(Text("states", style="dim"), *(Text(f"{case.states:,}", style="dim") for case in cases))
        self.writer.console.print(table, highlight=False)

    @staticmethod
    def _cell(item: PropertyResult | None) -> Text:
        if item is None:
            return Text("no answer", style="yellow")
        length = f" ({', '.join(map(str, item.length))})" if item.length is not None else ""
        return Text(item.text + length, style=STATUS_COLOURS[item.status])

    def _separation(self, item: Separation) -> None:
        dot = self.writer.glyph("dot")
        self.writer.line()
        self.writer.story(item.story, f"{item.property}  {dot}  {item.composition}  {dot}  {item.scenario}")
        for parting in item.partings:
            self._parting(item, parting)

    def _parting(self, item: Separation, parting: Parting) -> None:
        rule, dot = self.writer.glyph("rule"), self.writer.glyph("dot")
        text = Text(f"{rule * 2} ", style="cyan")
        text.append(f"the same with {parting.composition}", style="bold cyan")
        text.append(f"  {dot}  {item.property} {parting.verdict}", style="cyan")
        self.writer.line(text)
        numbers = [number for number, aligned in enumerate(parting.aligned, 1) if not aligned.same]
        first = numbers[0] if numbers else len(parting.aligned) + 1
        if first > 1:
            self.writer.line(f"   {'step 1 is' if first == 2 else f'steps 1 to {first - 1} are'} as above")
        shown: list[StoryStep] = []
        for number, aligned in enumerate(parting.aligned, 1):
            if number < first:
                continue
            if not aligned.there:
                self._flush(shown)
                self.writer.line(f"   step {number} ({aligned.here.actor or 'time'} {aligned.here.step}) does not exist there")
            shown += aligned.there
        self._flush([*shown, *parting.beyond])
        if parting.impossible is not None:
            step = parting.impossible
            text = Text(f" {self.writer.glyph('bad')} ", style="bold yellow")
            words = f"{step.actor} {step.step}" if step.actor else "time passes"
            text.append(f"step {step.number} above ({words}) is not possible there", style="bold")
            self.writer.line(text)
        elif parting.violated:
            self.writer.line(Text("   the same interleaving violates it as well", style="bold"))
        for reason in parting.reasons:
            self._wrapped(reason, 3)
        for change in parting.changes:
            self._wrapped(change, 3, "dim")
        self.writer.line()

    def _flush(self, steps: list[StoryStep]) -> None:
        self.writer.steps(steps)
        steps.clear()

    def _wrapped(self, words: str, margin: int, style: str = "") -> None:
        for number, part in enumerate(
            textwrap.wrap(words, max(40, self.writer.console.width - margin - 2), break_on_hyphens=False) or [""]
        ):
            self.writer.line(Text(" " * margin + "  " * bool(number) + part, style=style))


def answer(case: CaseResult, name: str) -> PropertyResult | None:
    """A case's answer on a property."""
    return next((item for item in case.properties if item.name == name), None)


# ---------------------------------------------------------------------------------------------------------------- JSON


def document(result: Comparison, *, timing: bool = True) -> Json:
    """Everything about a comparison: versioned, and the same bytes for the same result when ``timing`` is off."""
    return {
        "schema_version": json.SCHEMA_VERSION,
        "kind": "compare",
        "txweave": txweave.__version__,
        **({"environment": json.environment()} if timing else {}),
        "exit_status": int(result.exit),
        "path": result.path,
        "model": result.model,
        "title": result.title,
        "settings": dict(result.settings),
        "compositions": [{"name": label, "fixes": list(fixes)} for label, fixes in result.compositions],
        "scenarios": [
            {"name": name, "cases": [json.case(case, timing=timing) for case in cases]}
            for name, cases in zip(result.scenarios, result.cases, strict=True)
        ],
        "separations": [_separation(item) for item in result.separations],
    }


def _separation(item: Separation) -> Json:
    return {
        "property": item.property,
        "scenario": item.scenario,
        "composition": item.composition,
        "story": json.story(item.story),
        "others": [
            {
                "composition": parting.composition,
                "verdict": parting.verdict,
                "followed": len(parting.aligned),
                "violated": parting.violated,
                "steps": [
                    {
                        "number": number,
                        "same": aligned.same,
                        "there": [] if aligned.same else [json.step(step) for step in aligned.there],
                    }
                    for number, aligned in enumerate(parting.aligned, 1)
                ],
                "beyond": [json.step(step) for step in parting.beyond],
                "impossible": json.step(parting.impossible) if parting.impossible is not None else None,
                "reasons": list(parting.reasons),
                "changes": list(parting.changes),
            }
            for parting in item.partings
        ],
    }
