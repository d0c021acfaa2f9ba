"""Random specifications: the reference interpreter, the explicit search and Z3 say the same of what the semantics makes of them."""

from __future__ import annotations

from collections import defaultdict

import pytest
from small import system

from generate import generate
from txweave.engines import explicit, z3
from txweave.judge import judge
from txweave.system import reference
from txweave.system.ground import ground
from txweave.system.reference import BOUND, identity
from txweave.verdict import Limits, Status

LARGEST = 400
"""The reference explores no more states than this."""


def shortest(made, search, name):
    """Verdict and length by definition, on the states and steps of the reference; None for leads-to, which the judge looks at."""
    item = next(p for p in made.properties if p.name == name)
    inside = [(s, d) for s, d in zip(search.states, search.depths, strict=True) if s[BOUND] is None]
    if item.kind == "never":
        bad = [d for s, d in inside if reference.rows(made, item.rows, s)]
        return min(bad, default=None), True
    if item.kind == "leads_to":
        return None, False
    before, free = defaultdict(set), {}
    ticks = defaultdict(set)
    for state, _ in inside:
        moves = False
        for step in reference.successors(made, state):
            inner = step.state[BOUND] is None
            if inner:
                before[identity(step.state)].add(identity(state))
            if step.action.kind == "tick" and inner:
                ticks[identity(step.state)].add(identity(state))
            moves = moves or step.action.kind in ("step", "database")
        free[identity(state)] = moves
    if item.kind == "deadlock":
        good = {key for key, moves in free.items() if moves}
        edges = ticks
    else:
        good = {identity(s) for s, _ in inside if reference.rows(made, item.rows, s)}
        edges = before
    queue = list(good)
    while queue:
        for earlier in edges[queue.pop()]:
            if earlier not in good:
                good.add(earlier)
                queue.append(earlier)
    bad = [d for s, d in inside if identity(s) not in good and not (item.kind == "deadlock" and reference.finished(made, s))]
    return min(bad, default=None), True


def compare(seed, *, solver=True):
    """Compare the engines on one seed; a short summary."""
    made = system(generate(seed))
    search = reference.explore(made, LARGEST)
    if not search.complete:
        return "large"
    grounded = ground(made)
    found = explicit.explore(grounded)
    inside = {
        tuple(s[c.function, c.args] for c in grounded.cells): d
        for s, d in zip(search.states, search.depths, strict=True)
        if s[BOUND] is None
    }
    mine = {found.state(n): found.depth_of(n) for n in range(len(found.packed))}
    assert mine == inside
    assert set(found.bounds_hit) == search.bounds
    outcome = explicit.check(grounded)
    for name, verdict in outcome.verdicts.items():
        length, known = shortest(made, search, name)
        if verdict.status is Status.VIOLATED:
            assert verdict.trace is not None
            assert judge(verdict.trace, name) == ()
            assert not known or verdict.trace.length == length, name
        elif known:
            # bounds that were hit leave unknown what was not violated; a goal beyond a bound may be reachable
            assert length is None or (verdict.status is Status.UNKNOWN and search.bounds), name
            assert (verdict.status is Status.UNKNOWN) == bool(search.bounds), name
    if solver:
        answer = z3.check(grounded, limits=Limits(max_depth=found.depth + 1, timeout=20))
        for name, verdict in answer.verdicts.items():
            other = outcome.verdicts[name]
            if Status.UNKNOWN in (verdict.status, other.status):
                continue
            assert verdict.status is other.status, name
            if verdict.status is Status.VIOLATED:
                assert verdict.trace is not None
                assert other.trace is not None
                if next(p for p in made.properties if p.name == name).kind == "never":
                    assert verdict.trace.length == other.trace.length, name
    return f"{len(mine)} states" + (", bounds hit" if search.bounds else "")


@pytest.mark.parametrize("seed", range(60))
def test_the_engines_agree(seed):
    assert compare(seed, solver=seed % 6 == 0)


@pytest.mark.parametrize("seed", range(20))
def test_a_seed_always_gives_the_same_system(seed):
    made, again = (ground(system(generate(seed))) for _ in range(2))
    assert [a.name for a in made.actions] == [a.name for a in again.actions]
    assert made.cells == again.cells
