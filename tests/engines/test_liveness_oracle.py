"""Random small graphs against an oracle that follows the definitions word for word and knows no components and no bit masks."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import toys
from toys import Edge
from txweave.engines.explicit import check, liveness
from txweave.judge import judge
from txweave.system.ground import ground
from txweave.verdict import Status


class Oracle:
    def __init__(self, size, edges, fairness, owed, timed):
        self.edges, self.timed = edges, timed
        self.states = range(size)
        self.owners = [
            (kind, [e for e in edges if e.process == p and e.kind == "step" and e.fair], owed.get(p, set(self.states)))
            for p, kind in enumerate(fairness)
            if kind != "none"
        ]
        for p in range(len(fairness)):
            server = [e for e in edges if e.process == p and e.kind == "database" and e.fair]
            if server:
                self.owners.append(("weak", server, set(self.states)))
        self.distance = self.walk({0: 0})

    def out(self, state) -> Iterator[Edge]:
        return (e for e in self.edges if e.source == state and e.target is not None)

    def enabled(self, owner, state):
        _, moves, owed = owner
        return state in owed and any(e.source == state for e in moves)

    def walk(self, start, within=None):
        """Fewest steps to each state, from states at given distances."""
        best = dict(start)
        while True:
            new = {}
            for state, steps in best.items():
                for e in self.out(state):
                    if (within is None or e.target in within) and best.get(e.target, 10**9) > steps + 1:
                        new[e.target] = min(new.get(e.target, 10**9), steps + 1)
            if not new:
                return best
            best.update(new)

    def fair(self, visited, used):
        if self.timed and not any(e.kind == "tick" for e in used):
            return False
        for owner in self.owners:
            kind, moves, _ = owner
            moved = any(e is m for e in used for m in moves)
            where = [self.enabled(owner, s) for s in visited]
            if (all(where) if kind == "weak" else any(where)) and not moved:
                return False
        return True

    def loop(self, entry, open_, needs):
        """Length of the shortest fair loop through a state that visits one of ``needs``; histories are remembered whole."""
        first = (entry, frozenset([entry]), frozenset())
        seen, frontier, length = {first}, [first], 0
        while frontier:
            length += 1
            following = []
            for state, visited, used in frontier:
                for e in self.out(state):
                    if not e.recurs or e.target not in open_:
                        continue
                    number = next(i for i, other in enumerate(self.edges) if other is e)
                    new = (e.target, visited | {e.target}, used | {number})
                    if e.target == entry and new[1] & needs and self.fair(new[1], [self.edges[i] for i in new[2]]):
                        return length
                    if new not in seen:
                        seen.add(new)
                        following.append(new)
            frontier = following
        return None

    def leads_to(self, pending, open_):
        """(stem, loop) of the shortest lasso."""
        after = self.walk({s: d for s, d in self.distance.items() if s in pending}, open_)
        found = []
        for s, steps in after.items():
            if not self.timed and not any(self.enabled(owner, s) for owner in self.owners):
                found.append((steps, 0))
            loop = self.loop(s, open_, {*self.states})
            if loop is not None:
                found.append((steps, loop))
        for s, steps in self.distance.items():
            if s in open_:
                loop = self.loop(s, open_, pending)
                if loop is not None:
                    found.append((steps, loop))
        return min(found, default=None)

    def timelocked(self):
        ticking = set()
        forever = Oracle.__new__(Oracle)
        forever.edges = [e for e in self.edges if e.recurs]
        for e in forever.edges:
            if e.kind == "tick" and e.target is not None and e.source in forever.walk({e.target: 0}):
                ticking.add(e.source)
        return any(not ticking & set(self.walk({s: 0})) for s in self.distance)

    def stuck(self, finished):
        """Depth of the first state in which nobody can move, ever."""

        def lively(s):
            return any(e.source == s and e.kind in ("step", "database") for e in self.edges) or any(
                e.source == s and e.kind == "tick" and e.target is None for e in self.edges
            )

        found = []
        for s, steps in self.distance.items():
            later = {s}
            while more := {e.target for t in later for e in self.out(t) if e.kind == "tick"} - later:
                later |= more
            if s not in finished and not any(map(lively, later)):
                found.append(steps)
        return min(found, default=None)


SIZE = 5
sets = st.sets(st.integers(0, SIZE - 1), max_size=SIZE)


@st.composite
def cases(draw):
    flags = st.sampled_from([True, True, True, False])
    edges = draw(
        st.lists(
            st.builds(
                Edge,
                st.integers(0, SIZE - 1),
                st.one_of(*[st.integers(0, SIZE - 1)] * 9, st.none()) if draw(st.booleans()) else st.integers(0, SIZE - 1),
                st.sampled_from([0, 0, 1, 1]),
                st.sampled_from(["step"] * 5 + ["fault", "database"]),
                flags,
                flags,
            ),
            min_size=3,
            max_size=8,
        )
    )
    ticks = draw(st.lists(st.builds(toys.tick, st.integers(0, SIZE - 1), st.integers(0, SIZE - 1)), max_size=3))
    return {
        "edges": edges + ticks,
        "rows": {"a": draw(sets), "b": draw(sets)},
        "goal": draw(st.one_of(st.none(), st.fixed_dictionaries({"a": sets, "b": sets}))),
        "fairness": [draw(st.sampled_from(["weak", "strong", "none"])) for _ in range(2)],
        "owed": draw(st.dictionaries(st.sampled_from([0, 1]), sets)),
        "finished": draw(sets),
        "timed": bool(ticks) and draw(st.booleans()),
        "truncated": draw(st.booleans()),
    }


def row_distance(oracle, states):
    return min((d for s, d in oracle.distance.items() if s in states), default=None)


@settings(max_examples=500, deadline=None)
@given(cases())
def test_every_kind_of_property_agrees_with_the_oracle(case):
    rows, goal = case["rows"], case["goal"]
    oracle = Oracle(SIZE, case["edges"], case["fairness"], case["owed"], case["timed"])
    system = ground(toys.graph(SIZE, **case))
    outcome = check(system)
    assert outcome.states == len(oracle.distance)
    # An edge that leads out of bounds from a state that is reached.
    hit = any(e.target is None and e.source in oracle.distance for e in case["edges"])
    assert outcome.coverage.bounds_hit == (("edge",) if hit else ())

    expected = []
    for value, states in rows.items():
        open_ = states if goal is None else set(range(SIZE)) - goal[value]
        found = oracle.leads_to(states & open_, open_)
        if found is not None:
            expected.append((found, value))
    leads = outcome.verdicts["leads"]
    if expected:
        best = min(found for found, _ in expected)
        assert (leads.status, leads.trace.length) == (Status.VIOLATED, best)
        assert (best, *leads.trace.witness) in expected
    elif hit:
        assert leads.text == "unknown (bound edge hit)"
    elif case["timed"] and oracle.timelocked():
        assert leads.text == "unknown (timelock)"
    else:
        assert leads.status is Status.HOLDS

    safe = (Status.HOLDS, ("edge",) if hit else ()) if case["truncated"] or not hit else (Status.UNKNOWN, ())
    for name, depth in (
        ("avoids", row_distance(oracle, rows["a"] | rows["b"])),
        ("stuck", oracle.stuck(case["finished"])),
    ):
        verdict = outcome.verdicts[name]
        if depth is not None:
            assert (verdict.status, verdict.trace.length) == (Status.VIOLATED, depth)
        else:
            assert (verdict.status, verdict.truncated) == safe

    lost = [d for s, d in oracle.distance.items() if not (rows["a"] | rows["b"]) & set(oracle.walk({s: 0}))]
    possible = outcome.verdicts["possible"]
    if hit:
        assert possible.text == "unknown (bound edge hit)"
    elif lost:
        assert (possible.status, possible.trace.length) == (Status.VIOLATED, min(lost))
    else:
        assert possible.status is Status.HOLDS

    for name, verdict in outcome.verdicts.items():
        if verdict.trace is not None:
            assert judge(verdict.trace, name) == ()


@settings(max_examples=150, deadline=None)
@given(cases())
def test_without_a_budget_there_is_a_fair_lasso_with_the_shortest_stem(case):
    system = ground(toys.graph(SIZE, **case))
    exact = check(system, ["leads"]).verdicts["leads"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(liveness, "BUDGET", 0)
        found = check(system, ["leads"]).verdicts["leads"]
    assert found.status is exact.status
    if found.trace is not None:
        assert judge(found.trace, "leads") == ()
        assert found.trace.length[0] == exact.trace.length[0]
        assert found.trace.length[1] >= exact.trace.length[1]
        assert bool(found.notes) or found.trace.length == exact.trace.length
