"""Z3 against brute force by the reference interpreter, on random small systems: verdicts, lengths, replay by the judge."""

from __future__ import annotations

from collections import Counter

import numpy as np
from hypothesis import given

import random_systems as rnd
import z3_toys as toys
from txweave.engines import z3 as engine
from txweave.engines.z3.logic import Codes, Columns, Translation, tag
from txweave.judge import review
from txweave.system import reference as ref
from txweave.system.ground import ground
from txweave.system.sorted import Property, System
from txweave.verdict import Limits, Status, Verdict

STATES, DEPTH = 120, 8
SEEN: Counter[tuple[str, str]] = Counter()


def compare(system: System) -> None:
    explored = ref.explore(system, STATES)
    grounded = ground(system)
    states = [toys.cells(grounded, state) for state in explored.states]
    # Where the exploration is cut off it is a bad hint; the verdicts must be right all the same.
    outcome = engine.check(grounded, limits=Limits(max_depth=DEPTH), reachable=states if len(states) % 5 else None)
    for item in system.properties:
        verdict = outcome.verdicts[item.name]
        SEEN[item.kind, verdict.status.value] += 1
        assert (verdict.trace is not None) == (verdict.status is Status.VIOLATED)
        if verdict.trace is not None:
            assert review(verdict.trace, item.name).problems == ()
        if item.kind == "leads_to":
            if explored.complete:
                liveness(system, item, verdict)
        else:
            safety(system, item, verdict, explored.bounds)


def safety(system: System, item: Property, verdict: Verdict, bounds: frozenset[str]) -> None:
    expected = toys.violation(system, item.name, STATES)
    if verdict.status is Status.VIOLATED:
        assert verdict.trace is not None
        assert verdict.trace.length == expected or expected == "incomplete"
    elif verdict.status is Status.HOLDS:
        assert expected in (None, "incomplete")
        if expected is None:
            assert frozenset(verdict.truncated) == bounds
    elif isinstance(expected, int):
        assert expected > DEPTH or "several ways" in verdict.reason
    elif expected == "bounds" and "several ways" not in verdict.reason:
        assert "bound" in verdict.reason or "no violation to depth 8" in verdict.reason


def liveness(system: System, item: Property, verdict: Verdict) -> None:
    expected = toys.Graph(system, STATES).lasso(item)
    if verdict.status is Status.VIOLATED:
        assert verdict.trace is not None
        assert expected is not None
        length = verdict.trace.length
        assert isinstance(length, tuple)
        assert length == expected if not verdict.notes else length >= expected
        SEEN["stem", str(length[0])] += 1
    else:
        assert verdict.status is Status.UNKNOWN
        assert expected is None or sum(expected) > DEPTH


@rnd.examples(150)
@given(rnd.systems())
def test_the_translation_into_cases(system: System) -> None:
    """Guards and new values by case maps, in one state and in many at once, are those of the reference."""
    grounded = ground(system)
    known = [state for state in ref.explore(system, 8).states if state[ref.BOUND] is None]
    codes = Codes(grounded.cells)
    columns = Translation(Columns(np.array([codes.encode(toys.cells(grounded, s)) for s in known])), grounded.cells)
    for number, state in enumerate(known):
        here = toys.cells(grounded, state)
        reading = codes.reading(here)
        found = set()
        for action in grounded.actions:
            enabled = reading.formula(action.guard)
            assert columns.formula(action.guard)[number] == enabled
            if not enabled:
                continue
            after = list(here)
            for target, body in action.updates:
                after[target] = codes.value(body, here)
                assert [v for v, column in columns.cases(body).items() if column[number]] == [tag(after[target])]
            found.add((action.action.name, action.params, tuple(map(tag, after))))
        assert found == {
            (s.action.name, s.params, tuple(map(tag, toys.cells(grounded, s.state)))) for s in ref.successors(system, state)
        }


@rnd.examples(60)
@given(rnd.systems(tiny=True, live=True))
def test_tiny_systems(system: System) -> None:
    compare(system)


@rnd.examples(60)
@given(rnd.systems(live=True))
def test_small_systems(system: System) -> None:
    compare(system)


def test_enough_was_seen() -> None:
    """The random systems above are not all trivial."""
    assert SEEN["never", "violated"] > 20
    assert SEEN["never", "holds"] > 20
    assert SEEN["deadlock", "violated"] > 5
    assert SEEN["deadlock", "holds"] > 5
    assert SEEN["leads_to", "violated"] > 10
    assert SEEN["stem", "2"] > 0
