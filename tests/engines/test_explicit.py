"""Exploration: known numbers, shortest counterexamples, coverage, bounds, limits."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import networkx as nx
import pytest

import toys
from toys import Edge
from txweave.engines.explicit import TooLarge, check, explore
from txweave.judge import judge
from txweave.system import reference
from txweave.system.ground import OUT, ground
from txweave.trace import Trace
from txweave.verdict import Limits, Status

TOYS = [
    toys.counter(4),
    toys.counter(4, stop=True),
    toys.bounded(),
    toys.mutex(2),
    toys.mutex(3, locked=False),
    toys.philosophers(3),
    toys.two_phase_commit(2),
    toys.clock(5),
]


@pytest.mark.parametrize(
    ("system", "states", "transitions", "depth"),
    [
        # tlaplus/Examples: 288 distinct states, 1146 generated (the initial one included), depth 11 (in states).
        (toys.two_phase_commit(3), 288, 1145, 10),
        # Stateright: 8832 states for five resource managers.
        (toys.two_phase_commit(5), 8832, 58145, 16),
        # At most one of n is critical: 2^n + n 2^(n-1) states.
        (toys.mutex(2), 8, 14, 3),
        (toys.mutex(5), 32 + 5 * 16, 240 + 80 + 80, 6),
        (toys.mutex(2, locked=False), 9, 18, 4),
        (toys.philosophers(2), 6, 8, 2),
        (toys.counter(5), 6, 6, 5),
        (toys.counter(5, stop=True), 6, 5, 5),
        (toys.bounded(), 3, 5, 2),
        (toys.clock(4), 8, 13, 6),
    ],
)
def test_known_numbers(system, states, transitions, depth):
    outcome = check(ground(system))
    assert (outcome.states, outcome.transitions, outcome.depth) == (states, transitions, depth)
    assert outcome.complete
    assert outcome.stopped == ""


@pytest.mark.parametrize("system", TOYS, ids=lambda s: s.name)
def test_the_same_states_in_the_same_order_as_the_reference(system):
    expected = reference.explore(system, 10_000)
    inside = [(state, depth) for state, depth in zip(expected.states, expected.depths, strict=True) if state[OUT, ()] is None]
    made = ground(system)
    found = explore(made, graph=True)
    assert len(found.packed) == len(inside)
    for number, (state, depth) in enumerate(inside):
        mine = found.state(number)
        assert {(c.function, c.args): v for c, v in zip(made.cells, mine, strict=True)} == {
            key: value for key, value in state.items() if key in made.index
        }
        assert found.depth_of(number) == depth
    assert set(found.bounds_hit) == expected.bounds
    taken = [0] * len(system.actions)
    for state, _ in inside:
        for step in reference.successors(system, state):
            taken[system.actions.index(step.action)] += 1
    assert found.coverage().taken == tuple(taken)
    assert found.transitions == sum(taken)


@pytest.mark.parametrize(
    ("system", "name", "length", "witness"),
    [
        (toys.mutex(2, locked=False), "exclusion", 4, ("proc#1", "proc#2")),
        (toys.philosophers(3), "stuck", 3, None),
        (toys.philosophers(5), "stuck", 5, None),
        (toys.two_phase_commit(3, careless=True), "consistent", 3, ("rm#2", "rm#1")),
        (toys.counter(5), "below", 3, ("3",)),
        (toys.bounded(), "never_full", 2, ("2",)),
        (toys.counter(5, stop=True), "returns", 1, None),
    ],
)
def test_shortest_counterexamples(system, name, length, witness):
    verdict = check(ground(system)).verdicts[name]
    assert verdict.status is Status.VIOLATED
    assert verdict.trace.length == length
    assert (verdict.trace.witness and tuple(map(str, verdict.trace.witness))) == witness
    assert judge(verdict.trace, name) == ()


@pytest.mark.parametrize(
    ("system", "name", "text"),
    [
        (toys.mutex(3), "exclusion", "holds"),
        (toys.mutex(3), "stuck", "holds"),
        (toys.mutex(3), "all_idle", "holds"),
        (toys.philosophers(4, polite=True), "stuck", "holds"),
        (toys.two_phase_commit(3), "consistent", "holds"),
        (toys.bounded(), "never_three", "unknown (bound queue hit)"),
        (toys.bounded(), "stuck", "unknown (bound queue hit)"),
        (toys.bounded(), "can_empty", "unknown (bound queue hit)"),
        (toys.bounded(truncated=True), "never_three", "holds (truncated at queue)"),
        (toys.bounded(truncated=True), "stuck", "holds (truncated at queue)"),
        (toys.bounded(truncated=True), "can_empty", "unknown (bound queue hit)"),
        (toys.counter(5), "never_nine", "unknown (bound n hit)"),
    ],
)
def test_verdicts(system, name, text):
    assert check(ground(system), [name]).verdicts[name].text == text


def test_the_first_row_in_order_is_the_witness():
    edges = [Edge(0, 1)]
    system = toys.graph(2, edges, rows={"late": [1], "b": [1], "a": [1]})
    assert check(ground(system)).verdicts["avoids"].trace.witness == ("late",)


def test_an_invariant_that_the_initial_state_breaks():
    verdict = check(ground(toys.graph(1, [], rows=[0]))).verdicts["avoids"]
    assert verdict.trace.length == 0
    assert judge(verdict.trace, "avoids") == ()


def test_several_invariants_in_one_pass():
    system = toys.mutex(3, locked=False)
    more = tuple(replace(system.properties[0], name=f"again{i}") for i in range(3))
    outcome = check(ground(replace(system, properties=(*more, *system.properties))), ["again0", "again2", "exclusion"])
    assert {name: v.trace.length for name, v in outcome.verdicts.items()} == {"again0": 4, "again2": 4, "exclusion": 4}
    assert outcome.states == 27


def test_a_property_that_does_not_exist():
    with pytest.raises(KeyError, match="typo"):
        check(ground(toys.counter()), ["typo"])


def test_nothing_finishes_is_told():
    system = ground(replace(toys.philosophers(3), finished=()))
    verdict = check(system).verdicts["stuck"]
    assert verdict.status is Status.HOLDS
    assert verdict.notes


# ---------------------------------------------------------------------------------------------------------------- limits


def test_as_many_states_as_allowed_and_no_more():
    system = ground(toys.two_phase_commit(3))
    full = explore(system)
    for most in (1, 2, 100, 287, 288):
        found = explore(system, graph=True, limits=Limits(max_states=most))
        assert len(found.packed) == most
        assert found.packed == full.packed[:most]
        assert found.stopped == ("max-states" if most < 288 else "")
        assert found.graph.offsets.size == found.expanded + 1
        assert [found.depth_of(n) for n in range(most)] == [full.depth_of(n) for n in range(most)]
    outcome = check(system, limits=Limits(max_states=287))
    assert not outcome.complete
    assert outcome.verdicts["consistent"].text == "unknown (max-states)"


def test_a_violation_that_was_found_before_the_limit_stands():
    system = ground(toys.two_phase_commit(3, careless=True))
    at = explore(system, watched=[system.properties[0].rows.some]).found[0]
    assert check(system, limits=Limits(max_states=at + 1)).verdicts["consistent"].trace.length == 3
    assert check(system, limits=Limits(max_states=at)).verdicts["consistent"].text == "unknown (max-states)"


def test_the_first_violation_may_be_enough():
    system = ground(toys.two_phase_commit(3, careless=True))
    outcome = check(system, first_violation=True)
    assert outcome.verdicts["consistent"].trace.length == 3
    assert outcome.states < 623
    assert outcome.stopped == "first-violation"
    assert check(ground(toys.two_phase_commit(3)), first_violation=True).complete


def test_timeout_memory_and_stop():
    system = ground(toys.two_phase_commit(5))
    assert check(system, limits=Limits(timeout=0.0)).verdicts["consistent"].text == "unknown (timeout)"
    assert check(system, limits=Limits(max_memory=1)).verdicts["consistent"].text == "unknown (memory)"
    polls = iter([False, False, True])
    outcome = check(system, limits=Limits(stop=lambda: next(polls, True)))
    assert outcome.stopped == "interrupted"
    assert 0 < outcome.states < 8832


def test_an_interrupt_leaves_what_is_known():
    system = ground(toys.two_phase_commit(5))
    full = explore(system)
    calls = 0

    def interrupt():
        nonlocal calls
        calls += 1
        if calls == 5:
            raise KeyboardInterrupt
        return False

    found = explore(system, graph=True, limits=Limits(stop=interrupt))
    assert found.stopped == "interrupted"
    assert found.packed == full.packed[: len(found.packed)]
    assert 0 < found.expanded < len(found.packed)
    assert found.graph.offsets.size == found.expanded + 1
    calls = 0
    outcome = check(system, limits=Limits(stop=interrupt))
    assert outcome.verdicts["consistent"].text == "unknown (interrupted)"


def test_an_interrupt_during_the_analysis():
    system = ground(toys.mutex(3))
    polls = 0

    def late():
        # The first poll is the exploration's; those after it are the analysis's.
        nonlocal polls
        polls += 1
        if polls > 1:
            raise KeyboardInterrupt
        return False

    outcome = check(system, limits=Limits(stop=late))
    assert outcome.states == 20
    assert outcome.verdicts["exclusion"].status is Status.HOLDS
    assert outcome.verdicts["served"].text == "unknown (interrupted)"
    assert outcome.stopped == "interrupted"


def test_progress_is_reported_now_and_then():
    seen = []
    check(ground(toys.two_phase_commit(6)), limits=Limits(progress=seen.append))
    assert len(seen) <= 1 + 4 * 10
    assert all(a.states <= b.states for a, b in pairwise(seen))


# ----------------------------------------------------------------------------------------------------------------- graph


def test_the_graph():
    system = ground(toys.mutex(2))
    found = explore(system, graph=True)
    graph = found.networkx()
    assert graph.number_of_nodes() == 8
    assert graph.number_of_edges() == 14
    assert graph.nodes[0]["state"] == system.initial
    lengths = nx.single_source_shortest_path_length(graph, 0)
    for number in range(8):
        trace = found.trace_to(number)
        assert trace.length == lengths[number]
        assert trace.states[-1] == found.state(number)
        assert replayed(trace)
    with pytest.raises(TooLarge, match="8 states"):
        found.networkx(limit=7)
    with pytest.raises(ValueError, match="graph=True"):
        explore(system).networkx()


def replayed(trace: Trace) -> bool:
    """Whether the reference interpreter can follow a trace."""
    system = trace.system.system
    state = reference.initial(system)
    for taken in trace.steps:
        action, params = taken.action.action, taken.action.params
        if not reference.enabled(system, state, action, params):
            return False
        state = reference.after(system, state, action, params)
        cells = {(c.function, c.args): v for c, v in zip(trace.system.cells, taken.state, strict=True)}
        if any(state[key] != value for key, value in cells.items()):
            return False
    return True


def test_edges_of_several_actions_between_two_states_are_all_there():
    graph = explore(ground(toys.graph(2, [Edge(0, 1), Edge(0, 1), Edge(1, 1)])), graph=True).networkx()
    assert sorted(graph.edges(keys=True)) == [(0, 1, 0), (0, 1, 1), (1, 1, 2)]
