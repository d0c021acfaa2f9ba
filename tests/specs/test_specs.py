"""The specifications in ``specs/``: each meets its expectations, and each ``holds`` is one line away from ``violated``.

A study names such a line in a comment above the case::

    # weaken PROPERTY, PROPERTY in CASE: FILE: "old text" -> "new text"

FILE is relative to the study and the texts are JSON strings.  The old text stands in FILE once, comments apart; in the study
itself the first place below the comment is meant.
"""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import dataclass
from functools import cache
from math import prod
from pathlib import Path

import pytest

from txweave.check import Options, expectation, prepare, run_case
from txweave.collect import Choice, Selected, collect
from txweave.engines.explicit import explore
from txweave.results import CaseResult, Relation
from txweave.verdict import Status

SPECS = Path(__file__).resolve().parents[2] / "specs"
FILES = sorted(p.relative_to(SPECS).as_posix() for p in SPECS.rglob("*.yaml") if p.relative_to(SPECS).parts[0] != "airflow")
"""All but the models of Airflow, which have tests of their own."""
STUDIES = [path for path in FILES if path.endswith(".study.yaml")]
FEW, Z3_SECONDS = 60, 6.0
TEXT = r'"(?:[^"\\]|\\.)*"'
WEAKENING = re.compile(rf"\s*# weaken (?P<names>[\w, -]+) in (?P<case>\S+): (?P<file>\S+): (?P<old>{TEXT}) -> (?P<new>{TEXT})")

MINIATURE = ("backfill.model.yaml", "exists-guard.fix.yaml", "two-commits.study.yaml")
"""These three stand in the documentation as they are: no lengths, and their weakenings are here."""


@dataclass(frozen=True)
class Weakening:
    """One line of a specification, changed so that properties that held no longer do."""

    study: str
    case: str
    names: tuple[str, ...]
    file: str
    old: str
    new: str
    below: int = 0
    """In the study itself: the line from which on the old text is looked for."""

    def __str__(self) -> str:
        return f"{Path(self.study).name.removesuffix('.study.yaml')}-{self.case}-{'-'.join(self.names)}"

    def apply(self, specs: Path) -> None:
        """Change the line in a copy of the specifications."""
        path = (specs / self.study).parent / self.file
        lines = path.read_text().splitlines(keepends=True)
        inside = path == specs / self.study
        places = [
            number
            for number, line in enumerate(lines)
            if self.old in line and not line.lstrip().startswith("#") and (not inside or number >= self.below)
        ]
        assert places, f"{self.old!r} does not stand in {self.file}"
        if not inside:
            assert len(places) == 1, f"{self.old!r} stands {len(places)} times in {self.file}"
            assert lines[places[0]].count(self.old) == 1
        lines[places[0]] = lines[places[0]].replace(self.old, self.new, 1)
        path.write_text("".join(lines))


def _in(study: str) -> list[Weakening]:
    found = []
    for number, line in enumerate((SPECS / study).read_text().splitlines()):
        if line.lstrip().startswith("# weaken "):
            match = WEAKENING.fullmatch(line)
            assert match is not None, f"{study}:{number + 1}: not a weakening: {line.strip()}"
            names = tuple(name.strip() for name in match["names"].split(","))
            old, new = json.loads(match["old"]), json.loads(match["new"])
            found.append(Weakening(study, match["case"], names, match["file"], old, new, number + 1))
    return found


WEAKENINGS = [
    Weakening(
        "two-commits.study.yaml",
        "as_written",
        ("never_blocked",),
        "backfill.model.yaml",
        "worker: {run: finish_run}",
        "worker: {run: finish_run, fair: none}",
    ),
    Weakening(
        "two-commits.study.yaml",
        "guarded",
        ("no_premature_completion",),
        "exists-guard.fix.yaml",
        "and: {has_runs: EXISTS",
        "and: {has_runs: NOT EXISTS",
    ),
    *(weakening for study in STUDIES if study not in MINIATURE for weakening in _in(study)),
]


@cache
def cases(study: str) -> tuple[Selected, ...]:
    collection = collect([str(SPECS / study)], Choice())
    assert not collection.errors, [d for _, found in collection.errors for d in found]
    return tuple(collection.cases)


def expected_to_hold() -> list[tuple[str, str, str]]:
    return [
        (study, selected.case.name, name)
        for study in STUDIES
        for selected in cases(study)
        for name in selected.case.model.properties
        if expectation(selected.case, name).verdict != "violated"
    ]


@cache
def result(study: str, case: str, engine: str) -> CaseResult:
    (selected,) = [s for s in cases(study) if s.case.name == case]
    return run_case(selected, Options(engine=engine))


ALL_CASES = [(study, selected.case.name) for study in STUDIES for selected in cases(study)]


@pytest.mark.parametrize(("study", "case"), ALL_CASES)
def test_expectations_are_met(study: str, case: str) -> None:
    found = result(study, case, "explicit")
    assert not found.errors
    assert not found.failures, found.debug
    assert found.properties
    for item in found.properties:
        assert item.relation is Relation.AS_EXPECTED, f"{item.name}: {item.difference or item.text}"


LARGE = {
    "two-commits": {"as_written", "guarded"},
    "job-queue": {"as_written", "locked", "skip_locked", "skip_locked_and_a_crash", "taken_first"},
    "one-lock": {"locked", "unlocked"},
    "one-statement": {"as_written", "look_again", "lock_first", "skip_taken"},
    "lease": {"as_written", "no_long_pause", "fenced", "fenced_and_a_worker_dies"},
    "outbox": {"with_an_outbox"},
    "philosophers": {"alike", "one_is_left_handed", "polite"},
    "two-phase-commit": {"all_is_well", "the_coordinator_dies"},
    "g2-two-edges": {"published", "locked"},
    "otv": {"published", "in_two_transactions"},
}
"""Cases with more than FEW states, by study."""


def is_large(study: str, case: str) -> bool:
    return case in LARGE.get(Path(study).name.removesuffix(".study.yaml"), set())


SMALL = [c for c in ALL_CASES if not is_large(*c)]


def test_the_cases_that_z3_is_spared_are_those_with_many_states() -> None:
    assert [c for c in ALL_CASES if (result(*c, "explicit").states or 0) > FEW] == [c for c in ALL_CASES if is_large(*c)]


@pytest.mark.parametrize(("study", "case"), SMALL)
def test_both_engines_meet_them_where_there_are_few_states(study: str, case: str) -> None:
    """Z3 may run out of time; what it says must agree."""
    (selected,) = [s for s in cases(study) if s.case.name == case]
    found = run_case(selected, Options(engine="both", timeout=Z3_SECONDS))
    assert not found.failures, found.debug
    for item in found.properties:
        assert item.relation is Relation.AS_EXPECTED, f"{item.name}: {item.difference or item.text}"
        assert [answer.engine for answer in item.answers] == ["explicit", "z3"]


@pytest.mark.parametrize(("study", "case"), ALL_CASES)
def test_nothing_is_vacuous(study: str, case: str) -> None:
    """No ``whenever`` that never has a row, and no bound that an expectation of ``holds`` would have to hide."""
    found = [f for f in result(study, case, "explicit").findings if f.kind in {"never-triggered", "bound", "truncated"}]
    assert not found, [f.text for f in found]


@pytest.mark.parametrize("study", [study for study in STUDIES if study not in MINIATURE])
def test_every_expectation_is_written_out_and_every_violation_has_its_length(study: str) -> None:
    for selected in cases(study):
        for name in selected.case.model.properties:
            expected = expectation(selected.case, name)
            assert expected.stated, f"{selected.case.name}: nothing is expected of {name}"
            if expected.verdict == "violated":
                assert expected.length is not None, f"{selected.case.name}: {name} is violated in how many steps?"


def test_every_property_that_holds_has_a_weakening_and_no_other() -> None:
    named = [(w.study, w.case, name) for w in WEAKENINGS for name in w.names]
    assert sorted(named) == sorted(expected_to_hold())


@pytest.mark.parametrize("weakening", WEAKENINGS, ids=str)
def test_weakened_it_is_violated(weakening: Weakening, tmp_path: Path) -> None:
    folder = (SPECS / weakening.study).parent
    copy = tmp_path / "specs"
    copy.mkdir()
    for path in folder.glob("*.yaml"):
        target = copy / path.relative_to(SPECS)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    weakening.apply(copy)
    collection = collect([str(copy / weakening.study)], Choice(cases=(weakening.case,)))
    assert not collection.errors, [d for _, found in collection.errors for d in found]
    (selected,) = collection.cases
    found = run_case(selected, Options(engine="explicit", properties=weakening.names))
    assert not found.errors
    assert not found.failures, found.debug
    assert {item.name: item.status for item in found.properties} == dict.fromkeys(weakening.names, Status.VIOLATED)


def test_two_phase_commit_at_both_grains() -> None:
    """What the specification says of its number of states: the 288 of TLC and Stateright, and the count that follows from them."""
    rules = TwoPhase(3)
    coarse = rules.reachable()
    assert len(coarse) == 288
    fine = sum(prod(1 + rules.places(state, process) for process in (*range(3), "boss")) for state in coarse)

    _, system = prepare(cases("two-phase-commit/two-phase-commit.study.yaml")[0])
    found = explore(system)
    assert len(found.packed) == fine == 6844
    resting = {(point.role, point.name) for point in system.system.points if point.status == "idle"}
    roles = {"first", "second", "third", "boss"}
    counters = {
        number: role
        for role in roles
        for number, cell in enumerate(system.cells)
        if cell.function.startswith(f"{role}.") and cell.function.endswith("pc")
    }
    assert sorted(counters.values()) == sorted(roles)
    states = [found.state(number) for number in range(len(found.packed))]
    assert sum(all((role, state[cell]) in resting for cell, role in counters.items()) for state in states) == 288


class TwoPhase:
    """TwoPhase.tla, with nothing of this package: states are (managers, coordinator, votes received, votes sent)."""

    def __init__(self, count: int) -> None:
        self.count = count

    def effects(self, state, process) -> dict:
        """The states that a process's rules lead to, other than ``state``, each with the number of places inside the rule."""
        managers, boss, received, sent = state
        found = {}
        if process == "boss":
            if boss == "init":
                for r in sent - received:
                    found[managers, boss, received | {r}, sent] = 2
                if len(received) == self.count:
                    found[managers, "committed", received, sent] = 3
                found[managers, "aborted", received, sent] = 3
            return found
        now = managers[process]

        def becomes(value: str, sent: frozenset[int] = sent) -> tuple:
            return (*managers[:process], value, *managers[process + 1 :]), boss, received, sent

        if now == "working":
            found[becomes("prepared", sent | {process})] = 3
        if now == "working" or (boss == "aborted" and now != "aborted"):
            found[becomes("aborted")] = 2
        if boss == "committed" and now != "committed":
            found[becomes("committed")] = 2
        return found

    def places(self, state, process) -> int:
        return sum(self.effects(state, process).values())

    def reachable(self) -> set:
        start = (("working",) * self.count, "init", frozenset(), frozenset())
        seen, todo = {start}, [start]
        while todo:
            state = todo.pop()
            for process in (*range(self.count), "boss"):
                fresh = self.effects(state, process).keys() - seen
                seen |= fresh
                todo += fresh
        return seen


@pytest.mark.parametrize("path", sorted(str(p.relative_to(SPECS)) for p in SPECS.rglob("*.yaml")))
def test_every_specification_names_its_schema_to_editors(path: str) -> None:
    first = (SPECS / path).read_text(encoding="utf-8").splitlines()[0]
    start = "# yaml-language-server: $schema="
    assert first.startswith(start)
    named = ((SPECS / path).parent / first.removeprefix(start)).resolve()
    assert named == SPECS.parent / "model" / "txweave" / "spec" / "schema.json"
