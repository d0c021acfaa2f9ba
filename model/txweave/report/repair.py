"""What a search for fixes found, for the terminal and as JSON."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence

from rich.text import Text

import txweave
from txweave.repair import Fate, Killing, RepairResult, SetResult
from txweave.report import json
from txweave.report.json import Json
from txweave.report.text import Writer

_SAME = {Fate.GOOD: ("ok", "green"), Fate.REJECTED: ("bad", "red"), Fate.UNDECIDED: ("unknown", "yellow")}

# ------------------------------------------------------------------------------------------------------------ terminal


class RepairWriter:
    """Prints the result of a repair."""

    def __init__(self, writer: Writer, *, stories: bool = True) -> None:
        self.writer = writer
        self.stories = stories
        self.told: dict[object, tuple[int, str, Killing]] = {}

    def result(self, result: RepairResult) -> None:
        """Everything: the minimal sets, what each fix does alone, what is undecided, the effort, and the stories."""
        self._head(result)
        self._minimal(result)
        self._alone(result)
        self._open(result)
        self._effort(result)
        if self.stories:
            for number, label, killing in self.told.values():
                assert killing.story is not None
                dot = self.writer.glyph("dot")
                self.writer.line()
                self.writer.story(killing.story, f"[{number}] {killing.property}  {dot}  {label}")

    def _head(self, result: RepairResult) -> None:
        text = Text(result.path, style="bold")
        text.append(f"  {result.model}", style="dim")
        self.writer.line(text)
        self._pair("required", [", ".join(result.required)])
        self._pair("scenario" if len(result.scenarios) == 1 else "scenarios", [", ".join(result.scenarios)])
        if result.settings:
            self._pair("with", [", ".join(f"{name}={value}" for name, value in result.settings)])
        self._pair("fixes", [name + (f": {title}" if title else "") for name, title in result.fixes])
        self._pair("assuming", result.assumptions)
        self.writer.line()

    def _pair(self, title: str, lines: Sequence[str]) -> None:
        width = max(40, self.writer.console.width - 13)
        for index, line in enumerate(lines):
            for number, part in enumerate(textwrap.wrap(line, width, break_on_hyphens=False) or [""]):
                text = Text(f"  {title if index == 0 and number == 0 else '':<10} ", style="dim")
                text.append("  " * bool(number) + part)
                self.writer.line(text)

    def _minimal(self, result: RepairResult) -> None:
        found = result.minimal
        required = "all required properties"
        if not found:
            size = f"of at most {result.at_most} fixes " if result.at_most is not None else ""
            known = "" if result.exit == 1 else " so far"
            self.writer.line(Text(f"no set {size}has {required}{known}", style="bold red"))
        else:
            size = f", among those of at most {result.at_most} fixes" if result.at_most is not None else ""
            which = "a minimal set has" if len(found) == 1 else f"{len(found)} minimal sets have"
            self.writer.line(Text(f"{which} {required}{size}:", style="bold"))
        for item in found:
            text = Text("  ")
            text.append(self.writer.glyph("ok") + " ", style="green")
            text.append(_label(item.fixes), style="bold green")
            text.append(f"  {', '.join(_states(item))}", style="dim")
            self.writer.line(text)
            doubts = result.doubts(item)
            if doubts:
                self._note(f"minimal unless {' or '.join(_label(d.fixes) for d in doubts)} is good, which is undecided")
            for case in item.cases:
                for answer in case.properties:
                    if answer.text != answer.status.value:
                        self._note(f"{answer.name} in {case.scenario}: {answer.text}")
                for finding in case.findings:
                    if finding.kind != "never-executed":
                        self._note(f"{finding.message} ({case.scenario})")
            idle = _idle(item)
            if idle:
                self._note(f"never executed in any scenario: {', '.join(idle)}")
        self.writer.line()

    def _note(self, words: str) -> None:
        for number, part in enumerate(textwrap.wrap(words, max(40, self.writer.console.width - 8), break_on_hyphens=False)):
            self.writer.line(Text("      " + "  " * bool(number) + part, style="dim"))

    def _alone(self, result: RepairResult) -> None:
        """Why nothing suffices, and what each fix does with no more than it requires."""
        rows = [("no fix", ())] + [(_label(fixes), fixes) for _, fixes in result.alone]
        shown: dict[str, tuple[str, ...]] = dict(rows)
        width = max(len(label) for label in shown)
        self.writer.line(Text("alone, with what it requires:", style="bold"))
        for label, fixes in shown.items():
            item = result.find(fixes)
            text = Text("  ")
            glyph, style = _SAME.get(item.fate, ("dash", "dim")) if item is not None else ("dash", "dim")
            text.append(self.writer.glyph(glyph) + " ", style=style)
            text.append(f"{label:<{width}}  ")
            text.append(self._fate(label, item), style=style)
            self.writer.line(text)
        self.writer.line()

    def _fate(self, label: str, item: SetResult | None) -> str:
        if item is None:
            return "larger than the sets that were looked at"
        killing = item.killing
        if killing is None:
            return item.fate.value + (f": {'; '.join(item.reasons)}" if item.reasons else "")
        words = f"{killing.property} violated ({', '.join(map(str, killing.length))}) in {killing.scenario}"
        if killing.replayed:
            words += f", replayed from {_label(killing.origin)}"
        if killing.story is not None and self.stories:
            key = (killing.property, killing.scenario, killing.steps)
            number, _, _ = self.told.setdefault(key, (len(self.told) + 1, label, killing))
            words += f"  [{number}]"
        return words

    def _open(self, result: RepairResult) -> None:
        """What is undecided, and what is ill-formed for another reason than what it requires or excludes."""
        undecided = result.with_fate(Fate.UNDECIDED)
        if undecided:
            self.writer.line(Text("undecided, which is not good:", style="bold yellow"))
            for item in undecided:
                self.writer.line(f"  {self.writer.glyph('unknown')} {_label(item.fixes)}")
                for reason in item.reasons:
                    self._note(reason)
            self.writer.line()
        unseen = result.with_fate(Fate.UNSEEN)
        if unseen:
            self.writer.line(Text(f"{len(unseen):,} sets were not looked at: interrupted", style="bold yellow"))
            self.writer.line()
        reasons: dict[str, int] = {}
        for item in result.with_fate(Fate.ILL_FORMED):
            for reason in item.reasons:
                reasons[reason] = reasons.get(reason, 0) + 1
        if reasons:
            self.writer.line(Text("ill-formed, which is neither good nor bad:", style="bold"))
            for reason, number in reasons.items():
                self._note(f"{reason} ({number} {'set' if number == 1 else 'sets'})")
            self.writer.line()

    def _effort(self, result: RepairResult) -> None:
        counts = effort(result)
        size = f" of at most {result.at_most} fixes" if result.at_most is not None else ""
        parts = [
            f"{counts['replayed']} killed by a replayed counterexample",
            f"{counts['supersets']} contain a good set",
            f"{counts['ill_formed']} ill-formed",
            *([f"{counts['undecided']} undecided"] if counts["undecided"] else []),
            *([f"{counts['unseen']} not looked at"] if counts["unseen"] else []),
        ]
        words = f"{counts['explored']} of {counts['sets']:,} sets{size} explored; {', '.join(parts)}"
        for part in textwrap.wrap(words, max(40, self.writer.console.width)):
            self.writer.line(part)
        for failure in result.failures:
            self.writer.line(Text(f"self-check failed: {failure}", style="bold red"))


def effort(result: RepairResult) -> dict[str, int]:
    """How many sets there are, and how each was decided."""
    return {
        "sets": len(result.sets),
        "explored": result.explorations,
        "states": sum(case.states for item in result.sets for case in item.cases),
        "replayed": sum(item.killing is not None and item.killing.replayed for item in result.sets),
        "supersets": len(result.with_fate(Fate.SUPERSET)),
        "ill_formed": len(result.with_fate(Fate.ILL_FORMED)),
        "undecided": len(result.with_fate(Fate.UNDECIDED)),
        "unseen": len(result.with_fate(Fate.UNSEEN)),
    }


def _idle(item: SetResult) -> list[str]:
    """The steps that no process executes in any of the scenarios: about them the verdicts say nothing."""
    found = [{f.subject for f in case.findings if f.kind == "never-executed"} for case in item.cases]
    return sorted(set.intersection(*found)) if found else []


def _states(item: SetResult) -> Iterable[str]:
    several = len(item.cases) > 1
    return (f"{case.states:,} states" + (f" in {case.scenario}" if several else "") for case in item.cases)


def _label(fixes: Sequence[str]) -> str:
    return " + ".join(fixes) or "no fix"


# ---------------------------------------------------------------------------------------------------------------- JSON


def document(result: RepairResult, *, timing: bool = True) -> Json:
    """Everything about a repair: versioned, and the same bytes for the same result when ``timing`` is off."""
    return {
        "schema_version": json.SCHEMA_VERSION,
        "kind": "repair",
        "txweave": txweave.__version__,
        **({"environment": json.environment()} if timing else {}),
        "exit_status": int(result.exit),
        "path": result.path,
        "model": result.model,
        "title": result.title,
        "scenarios": list(result.scenarios),
        "required": list(result.required),
        "settings": dict(result.settings),
        "assumptions": list(result.assumptions),
        "fixes": [{"name": name, "title": title} for name, title in result.fixes],
        "at_most": result.at_most,
        "minimal": [
            {"fixes": list(item.fixes), "unless_good": [list(doubt.fixes) for doubt in result.doubts(item)]}
            for item in result.minimal
        ],
        "alone": {name: list(fixes) for name, fixes in result.alone},
        "effort": effort(result),
        "sets": [_set(item, timing=timing) for item in result.sets],
        "failures": list(result.failures),
    }


def _set(item: SetResult, *, timing: bool) -> Json:
    killing = item.killing
    return {
        "fixes": list(item.fixes),
        "fate": item.fate.value,
        "reasons": list(item.reasons),
        "diagnostics": [json.diagnostic(d) for d in item.diagnostics],
        "counterexample": None
        if killing is None
        else {
            "property": killing.property,
            "scenario": killing.scenario,
            "length": list(killing.length),
            "origin": list(killing.origin),
            "replayed": killing.replayed,
            "steps": [
                {"process": actor, "procedure": place[0], "step": place[1], "outcome": outcome}
                for actor, place, outcome in killing.steps
            ],
            "story": json.story(killing.story) if killing.story is not None else None,
        },
        "explorations": [json.case(case, timing=timing) for case in item.cases],
    }
