"""What was measured, as tables: medians with their spread, and ratios only where the counts agree."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from bench.tools import LABELS, Result

OURS = "txweave"

GOALS = {"spin": 1.0, "spin-bfs": 1.0, "tlc": 20.0, "minicheck": 15.0}
"""How many times faster than each, end to end, txweave wants to be on models of :data:`LEAST` states or more."""

LEAST = 500_000


@dataclass(frozen=True)
class Spread:
    """The median of some numbers, and the least and the greatest."""

    median: float
    low: float
    high: float

    @staticmethod
    def of(numbers: Sequence[float]) -> Spread:
        """The spread of numbers, of which there is at least one."""
        return Spread(median(numbers), min(numbers), max(numbers))

    def text(self, digits: int | None = None) -> str:
        """``median (low to high)``."""
        if self.low == self.high:
            return _number(self.median, digits)
        return f"{_number(self.median, digits)} ({_number(self.low, digits)}–{_number(self.high, digits)})"


def _number(value: float, digits: int | None) -> str:
    if digits is None:
        digits = 2 if value < 10 else 1 if value < 100 else 0
    return f"{value:,.{digits}f}"


@dataclass
class Contested:
    """The results on one model, by tool and round; ``absent``: why a tool has none."""

    name: str
    path: str
    case: str
    results: dict[str, list[Result]]
    absent: dict[str, str]

    @property
    def disagreements(self) -> list[str]:
        """Sentences, where not everybody counted the same."""
        found: list[str] = []
        for what in ("states", "transitions"):
            said_of = {tool: {getattr(result, what) for result in results} for tool, results in self.results.items()}
            counts = {tool: sorted(numbers - {None}) for tool, numbers in said_of.items()}
            if len({count for several in counts.values() for count in several}) > 1:
                said = "; ".join(
                    f"{LABELS[tool]}: {', '.join(f'{n:,}' for n in several)}" for tool, several in counts.items() if several
                )
                found.append(f"{self.name}: the numbers of {what} differ ({said})")
        return found

    def ratios(self, of: Callable[[Result], float]) -> dict[str, Spread]:
        """How many times as much each other tool takes, round by round; none at all where counts differ."""
        ours = self.results.get(OURS, [])
        if self.disagreements or not ours:
            return {}
        return {
            tool: Spread.of([of(theirs) / of(mine) for theirs, mine in zip(results, ours, strict=False)])
            for tool, results in self.results.items()
            if tool != OURS and results
        }


COLUMNS: tuple[tuple[str, Callable[[Result], float]], ...] = (
    ("end to end, s", lambda r: r.whole[0]),
    ("end to end, CPU s", lambda r: r.whole[1]),
    ("search, s", lambda r: r.search[0]),
    ("search, CPU s", lambda r: r.search[1]),
)


def table(contested: Contested) -> str:
    """One model: what every tool took, then the ratios."""
    lines = [f"## {contested.name}", "", _about(contested), ""]
    lines += ["| tool | " + " | ".join(name for name, _ in COLUMNS) + " | states/s | transitions/s | peak MB | bytes/state |"]
    lines += ["|---|" + "--:|" * (len(COLUMNS) + 4)]
    for tool, results in contested.results.items():
        if not results:
            continue
        cells = [Spread.of([of(result) for result in results]).text() for _, of in COLUMNS]
        speed = median(r.states / r.search[1] for r in results)
        steps = [r.transitions / r.search[1] for r in results if r.transitions is not None]
        peak = median(r.peak for r in results)
        cells += [f"{speed:,.0f}", f"{median(steps):,.0f}" if steps else "", f"{peak:,.0f}"]
        cells += [f"{peak * 2**20 / results[0].states:,.0f}"]
        lines.append(f"| {LABELS[tool]} | " + " | ".join(cells) + " |")
    lines += [f"| {LABELS[tool]} | {why.splitlines()[0]} |" + " |" * (len(COLUMNS) + 3) for tool, why in contested.absent.items()]
    lines += ["", *_ratios(contested)]
    return "\n".join(lines)


def _about(contested: Contested) -> str:
    known = next((r[0] for r in contested.results.values() if r), None)
    if known is None:
        return f"`{contested.path}`, {contested.case}: nobody gave an answer."
    ours = contested.results.get(OURS)
    more = ours[0].more if ours else {}
    size = f"{known.states:,} states"
    if known.transitions is not None:
        size += f", {known.transitions:,} transitions"
    shape = f", {more['bits']} bits in {more['words']} words, {more['actions']:,} actions, depth {more['depth']}" if more else ""
    return f"`{contested.path}`, {contested.case}: {size}{shape}."


def _ratios(contested: Contested) -> list[str]:
    wrong = contested.disagreements
    if wrong:
        return [f"**No ratios: {sentence}.**" for sentence in wrong]
    if OURS not in contested.results or not contested.results[OURS]:
        return ["No ratios: txweave was not run."]
    by_column = [contested.ratios(of) for _, of in COLUMNS]
    if not by_column[0]:
        return []
    lines = ["| times txweave's | " + " | ".join(name for name, _ in COLUMNS) + " | goal, end to end |"]
    lines += ["|---|" + "--:|" * len(COLUMNS) + "---|"]
    for tool, whole in by_column[0].items():
        goal = ""
        if contested.results[OURS][0].states >= LEAST:
            goal = f"{GOALS[tool]:.0f}: {'met' if whole.median >= GOALS[tool] else 'missed'}"
        lines.append(f"| {LABELS[tool]} | " + " | ".join(column[tool].text() for column in by_column) + f" | {goal} |")
    return lines


def as_json(about: Mapping[str, Any], all_: Sequence[Contested]) -> dict[str, Any]:
    """Everything, every round by itself."""
    return {
        **about,
        "models": [
            {
                "name": one.name,
                "path": one.path,
                "case": one.case,
                "disagreements": one.disagreements,
                "absent": one.absent,
                "results": {tool: [asdict(result) for result in results] for tool, results in one.results.items()},
                "ratios": {
                    name: {tool: asdict(spread) for tool, spread in one.ratios(of).items()}
                    for name, of in zip(
                        ("whole_wall", "whole_cpu", "search_wall", "search_cpu"), (c[1] for c in COLUMNS), strict=True
                    )
                },
            }
            for one in all_
        ],
    }
