"""TLC and SPIN confirm the explicit engine: the same states and transitions, the same shortest lengths, the same verdicts.

Each case starts several programs, so that the larger ones are given to one of the two tools only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import agree
import pytest

import random_systems
import toys
from txweave.check import prepare
from txweave.collect import Choice, collect
from txweave.export import promela, run, tla
from txweave.system import expr as x
from txweave.system.ground import GroundSystem, ground
from txweave.system.sorted import System

SPECS = Path(__file__).parents[2] / "specs"

SMALL = [
    ("two-commits", "guarded"),
    *(("job-queue", case) for case in ("as_written", "locked", "skip_locked", "skip_locked_and_a_crash", "taken_first")),
    *(("lost-update", case) for case in ("as_written", "locked", "added_by_the_database", "compared", "compared_and_repeated")),
    *(("outbox", case) for case in ("commit_then_publish", "publish_then_commit", "with_an_outbox", "with_an_outbox_and_a_memory")),
    *(("philosophers", case) for case in ("alike", "one_is_left_handed", "polite")),
    *(("transfer", case) for case in ("as_written", "begun_again", "ordered", "ordered_but_one_hangs", "too_much")),
    *(("write-skew", case) for case in ("as_written", "one_statement", "both_locked", "shift_locked", "shared")),
    ("lease", "no_long_pause"),
    ("airflow/headline", "guard-or-age[scenario=orphan]"),
]
"""Cases that both tools check."""

LARGE = [
    ("two-commits", "as_written"),
    *(("lease", case) for case in ("as_written", "fenced", "fenced_and_a_worker_dies")),
    *(("two-phase-commit", case) for case in ("all_is_well", "the_coordinator_dies")),
]
"""Cases that SPIN checks, and TLC but for liveness."""

LARGEST = [("airflow/headline", "released-3-1[scenario=two_requests]")]
"""Cases of which TLC checks the safety."""

TOYS: dict[str, Callable[[], System]] = {
    "counter": toys.counter,
    "bounded": toys.bounded,
    "mutex, weak": toys.mutex,
    "mutex, strong": lambda: toys.mutex(3, "strong"),
    "mutex, none": lambda: toys.mutex(fairness="none"),
    "written, never read": lambda: toys.two_phase_commit(careless=True),
    "clock": toys.clock,
    "time stops": lambda: toys.graph(2, [toys.tick(0, 1)], rows=[1], timed=True),
    "moves that change nothing": lambda: toys.graph(
        2, [toys.Edge(0, 0, 0), toys.Edge(0, 1, 0), toys.Edge(1, 0, 1)], rows=[0], fairness=["weak", "strong"]
    ),
    "owed at times": lambda: toys.graph(
        3,
        [toys.Edge(0, 1, 0), toys.Edge(1, 2, 0), toys.Edge(2, 1, 0), toys.Edge(1, 0, 1), toys.Edge(2, None, 1)],
        rows=[1],
        goal=[0],
        fairness=["weak", "strong"],
        owed={1: [2]},
    ),
}


def case(study: str, name: str) -> GroundSystem:
    paths = [SPECS / f"{study}.study.yaml", SPECS / study / f"{study}.study.yaml"]
    found = collect([str(path) for path in paths if path.is_file()], Choice())
    assert not found.errors
    return prepare(next(c for c in found.cases if c.case.name == name))[1]


@pytest.fixture
def with_tlc() -> Callable[..., list[str]]:
    run.find_java()
    run.find_jar()
    return agree.with_tlc


@pytest.fixture
def with_spin() -> Callable[..., list[str]]:
    run.find_program("spin", "spin")
    run.find_program("gcc", "gcc")
    return agree.with_spin


@pytest.mark.parametrize(("study", "name"), SMALL)
def test_tlc_confirms_a_specification(study: str, name: str, with_tlc: Callable[..., list[str]], tmp_path: Path) -> None:
    assert with_tlc(case(study, name), tmp_path) == []


@pytest.mark.parametrize(("study", "name"), [*SMALL, *LARGE])
def test_spin_confirms_a_specification(study: str, name: str, with_spin: Callable[..., list[str]], tmp_path: Path) -> None:
    assert with_spin(case(study, name), tmp_path) == []


@pytest.mark.parametrize(("study", "name"), [*LARGE, *LARGEST])
def test_tlc_confirms_the_safety_of_a_larger_specification(
    study: str, name: str, with_tlc: Callable[..., list[str]], tmp_path: Path
) -> None:
    assert with_tlc(case(study, name), tmp_path, live=False) == []


@pytest.mark.parametrize("name", TOYS)
def test_tlc_confirms_a_toy(name: str, with_tlc: Callable[..., list[str]], tmp_path: Path) -> None:
    assert with_tlc(ground(TOYS[name]()), tmp_path) == []


@pytest.mark.parametrize("name", TOYS)
def test_spin_confirms_a_toy(name: str, with_spin: Callable[..., list[str]], tmp_path: Path) -> None:
    assert with_spin(ground(TOYS[name]()), tmp_path) == []


@pytest.mark.parametrize("seed", range(8))
def test_tlc_confirms_a_random_system(seed: int, with_tlc: Callable[..., list[str]], tmp_path: Path) -> None:
    assert with_tlc(ground(random_systems.make(seed, tiny=True, live=True)), tmp_path) == []


@pytest.mark.parametrize("seed", range(8, 32))
def test_spin_confirms_a_random_system(seed: int, with_spin: Callable[..., list[str]], tmp_path: Path) -> None:
    assert with_spin(ground(random_systems.make(seed, tiny=True, live=True)), tmp_path) == []


# ------------------------------------------------------------------------------------------- the comparison can fail


def careless(system: GroundSystem) -> GroundSystem:
    """Without the last conjunct of one guard: that no philosopher holds the fork, that the lock is free."""
    actions = list(system.actions)
    place = next(number for number, action in enumerate(actions) if action.name.startswith("enter"))
    guard = actions[place].guard
    assert isinstance(guard, x.And)
    actions[place] = replace(actions[place], guard=x.conj(*guard.operands[:-1]))
    return replace(system, actions=tuple(actions))


def test_a_guard_that_lost_a_conjunct_is_noticed_by_tlc(
    with_tlc: Callable[..., list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = tla.render
    monkeypatch.setattr(tla, "render", lambda system, title: right(careless(system), title))
    wrong = with_tlc(ground(toys.mutex()), tmp_path)
    assert wrong
    assert "exclusion is violated" in wrong[0]


def test_a_guard_that_lost_a_conjunct_is_noticed_by_spin(
    with_spin: Callable[..., list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    system = ground(toys.mutex())
    system = replace(system, properties=tuple(p for p in system.properties if p.kind == "leads_to"))
    right = promela.render
    monkeypatch.setattr(promela, "render", lambda system, title: right(careless(system), title))
    wrong = with_spin(system, tmp_path)
    assert wrong
    assert wrong[0] == "SPIN: 9, 17, 4 (states, transitions, depth); the engine: (8, 14, 3)"


def test_fairness_that_got_lost_is_noticed(
    with_tlc: Callable[..., list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = tla.render
    monkeypatch.setattr(tla, "render", lambda system, title: right(replace(system, fairness=()), title))
    assert [line for line in with_tlc(ground(toys.mutex(fairness="strong")), tmp_path) if line.startswith("served: ")]
