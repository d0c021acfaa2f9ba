"""Each point of fairness and of liveness by its smallest system, with the exact verdict and length."""

from __future__ import annotations

import pytest

import toys
from toys import Edge, tick
from txweave.engines.explicit import check
from txweave.judge import judge
from txweave.system.ground import ground
from txweave.verdict import Limits, Status


def verdict(size, edges, name="leads", **more):
    outcome = check(ground(toys.graph(size, edges, **more)))
    found = outcome.verdicts[name]
    if found.trace is not None:
        assert judge(found.trace, name) == ()
    return found


def answer(size, edges, **more):
    """``holds``, ``unknown (…)``, or the length of the lasso."""
    found = verdict(size, edges, **more)
    return found.trace.length if found.trace is not None else found.text


def step(source, target, process=0, **more):
    return Edge(source, target, process, **more)


# ------------------------------------------------------------------------------------------------- stutter, weak, strong


def test_without_fairness_a_process_need_not_go_on():
    assert answer(2, [step(0, 1)], rows=[0], goal=[1], fairness=["none"]) == (0, 0)


def test_under_weak_fairness_it_must():
    assert answer(2, [step(0, 1)], rows=[0], goal=[1], fairness=["weak"]) == "holds"


def test_a_run_ends_where_nothing_is_owed():
    assert answer(3, [step(0, 1), step(1, 2)], rows=[0], goal=[2], fairness=["weak"], owed={0: [0]}) == (1, 0)


def test_a_run_does_not_end_while_another_process_is_owed_a_move():
    edges = [step(0, 1, 0), step(1, 0, 0), step(0, 2, 1), step(1, 2, 1)]
    assert answer(3, edges, rows=[0], goal=[2], fairness=["none", "weak"]) == "holds"


def test_an_enabled_action_that_is_not_fair_does_not_keep_a_run_from_ending():
    assert answer(2, [step(0, 1, fair=False)], rows=[0], goal=[1], fairness=["weak"]) == (0, 0)


def test_a_fault_does_not_keep_a_run_from_ending():
    assert answer(2, [step(0, 1, kind="fault")], rows=[0], goal=[1], fairness=["weak"]) == (0, 0)


FLICKER = [step(0, 1, 1), step(1, 0, 1), step(0, 2, 0)]
"""Process 0 is enabled in state 0 only, while process 1 goes to and fro."""


def test_weak_fairness_asks_nothing_of_a_process_that_is_disabled_again_and_again():
    assert answer(3, FLICKER, rows=[0], goal=[2], fairness=["weak", "weak"]) == (0, 2)


def test_strong_fairness_does():
    assert answer(3, FLICKER, rows=[0], goal=[2], fairness=["strong", "weak"]) == "holds"


def test_weak_fairness_is_per_process_not_per_action():
    edges = [step(0, 1), step(1, 0), step(0, 2), step(1, 2)]
    assert answer(3, edges, rows=[0], goal=[2], fairness=["weak"]) == (0, 2)


def test_a_move_to_the_same_state_is_a_move():
    assert answer(2, [step(0, 0), step(0, 1)], rows=[0], goal=[1], fairness=["weak"]) == (0, 1)


def test_the_same_step_of_another_process_is_not():
    assert answer(2, [step(0, 0, 1), step(0, 1, 0)], rows=[0], goal=[1], fairness=["weak", "none"]) == "holds"


def test_enabled_out_of_bounds_is_enabled():
    # Were it not, the run could end in state 0.
    assert answer(1, [step(0, None)], rows=[0], goal=[], fairness=["weak"]) == "unknown (bound edge hit)"


def test_the_loop_is_closed_by_the_last_of_the_obligations():
    # Two processes that are always enabled: both must move, in a loop of two steps or more.
    edges = [step(s, (s + 1) % 3, p) for s in range(3) for p in (0, 1)]
    assert answer(4, edges, rows=[0], goal=[3], fairness=["weak", "weak"]) == (0, 3)


def test_two_edges_between_the_same_states_are_two_edges():
    edges = [step(0, 1, 0), step(0, 1, 1), step(1, 0, 2)]
    assert answer(3, edges, rows=[0], goal=[2], fairness=["strong", "strong", "none"]) == (0, 4)


# ----------------------------------------------------------------------------------------------------------- who is owed


def test_fairness_that_is_not_owed_where_a_process_is_idle():
    assert answer(2, [step(0, 1)], rows=[0], goal=[1], fairness=["weak"], owed={0: []}) == (0, 0)


def test_a_state_in_which_nothing_is_owed_satisfies_weak_fairness():
    edges = [step(0, 1, 1), step(1, 0, 1), step(0, 2, 0), step(1, 2, 0)]
    assert answer(3, edges, rows=[0], goal=[2], fairness=["weak", "none"], owed={0: [0]}) == (0, 2)
    assert answer(3, edges, rows=[0], goal=[2], fairness=["weak", "none"]) == "holds"


def test_a_move_that_is_not_owed_is_a_move():
    edges = [step(0, 1), step(1, 0)]
    assert answer(3, edges, rows=[0], goal=[2], fairness=["strong"], owed={0: [0]}) == (0, 2)


def test_the_server_is_owed_its_move():
    # Nobody asked for fairness, but a deadlock is broken.
    edges = [step(0, 0, 1), step(0, 1, 0, kind="database")]
    assert answer(2, edges, rows=[0], goal=[1], fairness=["none", "none"]) == "holds"
    assert answer(2, edges[1:], rows=[0], goal=[1], fairness=["none"]) == "holds"


def test_a_move_of_the_server_is_none_of_the_victims():
    # Process 0 stays enabled; only the server acts, at its expense.
    edges = [step(0, 0, 0, kind="database"), step(0, 1, 0)]
    assert answer(2, edges, rows=[0], goal=[1], fairness=["weak"]) == "holds"


# -------------------------------------------------------------------------------------------------------- what may recur


def test_a_fault_is_not_on_a_loop():
    edges = [step(0, 1), step(1, 0, kind="fault", recurs=False), step(1, 2)]
    assert answer(3, edges, rows=[0], goal=[2], fairness=["weak"]) == "holds"
    edges[1] = step(1, 0, kind="fault")
    assert answer(3, edges, rows=[0], goal=[2], fairness=["weak"]) == (0, 2)


def test_a_fault_may_be_on_the_stem_even_while_the_row_is_pending():
    edges = [step(0, 1, kind="fault", recurs=False), step(0, 2)]
    assert answer(3, edges, rows=[0], goal=[2], fairness=["weak"]) == (1, 0)


def test_an_action_that_may_be_refused_for_ever_may_recur():
    edges = [step(0, 1, fair=False), step(1, 0, fair=False), step(0, 2), step(1, 2)]
    assert answer(3, edges, rows=[0], goal=[2], fairness=["weak"]) == "holds"
    assert answer(3, edges[:2], rows=[0], goal=[2], fairness=["weak"]) == (0, 0)


# -------------------------------------------------------------------------------------------------------- fair components


def test_a_cycle_through_the_goal_is_no_violation():
    # The strongly connected component of the whole graph has a cycle, but none that avoids the goal.
    assert answer(3, [step(0, 1), step(1, 2), step(2, 0)], rows=[0], goal=[2], fairness=["weak"]) == "holds"


def test_a_component_whose_fair_part_is_smaller():
    # 0, 1, 2 are one component; process 1 is enabled in 2 but does not move inside. The fair run stays in 0, 1.
    edges = [step(0, 1), step(1, 0), step(1, 2), step(2, 0), step(2, 3, 1)]
    assert answer(4, edges, rows=[2], goal=[3], fairness=["weak", "strong"]) == (3, 2)


def test_refinement_may_have_to_be_repeated():
    # Without 3, where process 1 is starved, process 2 has no move left, though it is enabled in 2; without 2, there is 0 and 1.
    edges = [
        step(0, 1), step(1, 0), step(1, 2), step(2, 0), step(2, 3), step(3, 0, 2), step(3, 4, 1), step(2, 4, 2),
    ]  # fmt: skip
    found = verdict(5, edges, rows=[3], goal=[4], fairness=["weak", "strong", "strong"])
    assert found.trace.length == (4, 2)
    assert [taken.action.name for taken in found.trace.steps[4:]] == ["e0(p0#1)", "e1(p0#1)"]


def test_refinement_may_leave_nothing():
    # As before, without the way from 1 back to 0: nothing is left once process 2 is taken into account.
    edges = [step(0, 1), step(1, 2), step(2, 0), step(2, 3), step(3, 0, 2), step(3, 4, 1), step(2, 4, 2)]
    assert answer(5, edges, rows=[3], goal=[4], fairness=["weak", "strong", "strong"]) == "holds"
    assert answer(5, edges, rows=[3], goal=[4], fairness=["weak", "strong", "weak"]) == (4, 3)


def test_a_loop_does_not_pass_the_goal_to_be_shorter():
    edges = [step(0, 1), step(1, 0), step(0, 2), step(2, 3), step(3, 0)]
    assert answer(4, edges, rows=[0], goal=[1], fairness=["weak"]) == (0, 3)


def test_two_starved_processes_are_not_helped_by_each_other():
    # Each is enabled in one half of the loop: with weak fairness neither is owed anything, with strong fairness both are.
    edges = [step(0, 1, 2), step(1, 0, 2), step(0, 2, 0), step(1, 2, 1)]
    assert answer(3, edges, rows=[0], goal=[2], fairness=["weak", "weak", "weak"]) == (0, 2)
    assert answer(3, edges, rows=[0], goal=[2], fairness=["strong", "weak", "weak"]) == "holds"
    assert answer(3, edges, rows=[0], goal=[2], fairness=["weak", "strong", "weak"]) == "holds"


def test_every_assumption_is_needed_where_there_are_several():
    edges = [step(0, 0, 2), step(0, 1, 0), step(1, 1, 2), step(1, 2, 1)]
    assert answer(3, edges, rows=[0], goal=[2], fairness=["weak", "weak", "weak"]) == "holds"
    assert answer(3, edges, rows=[0], goal=[2], fairness=["none", "weak", "weak"]) == (0, 1)
    assert answer(3, edges, rows=[0], goal=[2], fairness=["weak", "none", "weak"]) == (1, 1)


# ------------------------------------------------------------------------------------------------------- stems and rows


def test_the_pending_state_may_be_on_the_loop():
    # The loop is entered before the row is there.
    edges = [step(0, 1), step(1, 2), step(2, 1)]
    assert answer(4, edges, rows=[2], goal=[3], fairness=["weak"]) == (1, 2)


def test_a_loop_that_need_not_pass_the_pending_state_again():
    edges = [step(0, 1), step(1, 2), step(2, 2)]
    assert answer(4, edges, rows=[0], goal=[3], fairness=["weak"]) == (2, 1)


def test_the_loop_must_pass_a_pending_state_if_the_stem_does_not():
    # Loops (1), through no pending state, and (1, 2, 3), through one.
    edges = [step(0, 1), step(1, 1), step(1, 2), step(2, 3), step(3, 1)]
    assert answer(5, edges, rows=[3], goal=[4], fairness=["weak"]) == (1, 3)


def test_the_shortest_way_to_a_loop_does_not_count_if_the_row_was_not_pending():
    # State 3 is one step away, but the row is in 1 only.
    edges = [step(0, 3), step(0, 1), step(1, 2), step(2, 3), step(3, 3)]
    assert answer(5, edges, rows=[1], goal=[4], fairness=["weak"]) == (3, 1)


def test_what_was_reached_before_is_not_pending_any_more():
    edges = [step(0, 1), step(1, 2), step(2, 2)]
    assert answer(3, edges, rows=[0], goal=[1], fairness=["weak"]) == "holds"


def test_a_stem_does_not_pass_the_goal_to_be_shorter():
    edges = [step(0, 1), step(1, 2), step(2, 2), step(0, 3), step(3, 4), step(4, 2)]
    assert answer(5, edges, rows=[0], goal=[1], fairness=["weak"]) == (3, 1)


def test_a_row_that_has_its_goal_at_once_does_not_shorten_the_stem():
    edges = [step(0, 1), step(1, 2), step(2, 2), step(0, 3), step(3, 4), step(4, 2)]
    assert answer(5, edges, rows=[1, 4], goal=[1], fairness=["weak"]) == (3, 1)


def test_a_loop_of_equal_stem_may_be_shorter_for_another_row():
    # The row with the long loop is found first.
    edges = [step(0, 1), step(1, 3), step(3, 1), step(0, 2), step(2, 2)]
    found = verdict(4, edges, rows={"long": [1], "short": [2]}, goal={}, fairness=["weak"])
    assert (found.trace.length, found.trace.witness) == ((1, 1), ("short",))


def test_a_state_with_both_the_row_and_the_goal():
    assert answer(1, [step(0, 0)], rows=[0], goal=[0], fairness=["weak"]) == "holds"


def test_gone_is_violated_only_if_the_row_stays():
    edges = [step(0, 1), step(1, 0)]
    assert answer(2, edges, rows=[0], fairness=["weak"]) == "holds"
    assert answer(2, edges, rows=[0, 1], fairness=["weak"]) == (0, 2)
    # A row that goes and comes back has been gone.
    assert answer(2, edges, rows=[0], fairness=["none"]) == (0, 0)


def test_each_row_is_pending_for_itself():
    edges = [step(0, 1), step(1, 0)]
    assert answer(2, edges, rows={"a": [0], "b": [1]}, fairness=["weak"]) == "holds"
    found = verdict(2, edges, rows={"a": [0], "b": [1]}, goal={"a": [1]}, fairness=["weak"])
    assert (found.trace.length, found.trace.witness) == ((0, 2), ("b",))


def test_a_goal_for_another_row_does_not_help():
    found = verdict(2, [step(0, 1), step(1, 1)], rows={"a": [0]}, goal={"b": [1]}, fairness=["weak"])
    assert (found.trace.length, found.trace.witness) == ((1, 1), ("a",))


def test_the_shortest_of_all_rows_is_reported():
    edges = [step(0, 1), step(1, 1), step(1, 2), step(2, 2)]
    for rows in ({"late": [2], "early": [0]}, {"early": [0], "late": [2]}):
        found = verdict(3, edges, rows=rows, goal={"late": [0], "early": [2]}, fairness=["weak"])
        assert (found.trace.length, found.trace.witness) == ((1, 1), ("early",))


def test_whether_the_whenever_ever_happens_is_told():
    system = ground(toys.graph(2, [step(0, 1)], rows=[1], goal=[0], fairness=["none"]))
    assert check(system).coverage.triggered == {"leads": True}
    system = ground(toys.graph(3, [step(0, 1)], rows=[2], goal=[0], fairness=["none"]))
    outcome = check(system)
    assert outcome.coverage.triggered == {"leads": False}
    assert outcome.verdicts["leads"].status is Status.HOLDS


# ----------------------------------------------------------------------------------------------------------------- time


def test_time_goes_on_where_nobody_moves():
    assert answer(2, [tick(0, 1), tick(1, 1)], rows=[0], goal=[1], fairness=[], timed=True) == "holds"
    assert answer(2, [tick(0, 1), tick(1, 1)], rows=[0], goal=[1], fairness=[], timed=False) == (0, 0)


def test_a_tick_may_stay_in_its_state():
    assert answer(2, [tick(0, 0)], rows=[0], goal=[1], fairness=[], timed=True) == (0, 1)


def test_a_loop_without_a_tick_is_no_run_when_time_passes():
    edges = [step(0, 0), tick(0, 1), tick(1, 1)]
    assert answer(2, edges, rows=[0], goal=[1], fairness=["none"], timed=True) == "holds"


def test_a_loop_needs_its_tick_and_its_moves():
    edges = [step(0, 1), step(1, 0), tick(0, 0)]
    assert answer(3, edges, rows=[0], goal=[2], fairness=["none"], timed=True) == (0, 1)
    assert answer(3, edges, rows=[0], goal=[2], fairness=["weak"], timed=True) == (0, 3)


def test_a_timelock_is_told():
    edges = [tick(0, 0), step(0, 1)]
    assert answer(2, edges, rows=[1], goal=[0], fairness=["none"], timed=True) == "unknown (timelock)"
    # A tick that may not recur does not help.
    edges = [tick(0, 0), step(0, 1), Edge(1, 1, None, "tick", recurs=False)]
    assert answer(2, edges, rows=[1], goal=[0], fairness=["none"], timed=True) == "unknown (timelock)"


def test_a_violation_stands_although_there_is_a_timelock():
    edges = [tick(0, 0), step(0, 1)]
    assert answer(2, edges, rows=[0], goal=[1], fairness=["none"], timed=True) == (0, 1)


@pytest.mark.parametrize(("name", "expected"), [("strikes", "holds"), ("sleeps", "holds"), ("wakes", (0, 4))])
def test_the_clock(name, expected):
    found = check(ground(toys.clock())).verdicts[name]
    assert (found.trace.length if found.trace else found.text) == expected


# ------------------------------------------------------------------------------------------------- bounds and limits


def test_beyond_a_bound_liveness_is_unknown_even_if_the_bound_is_accepted():
    edges = [step(0, 1), step(0, None)]
    for truncated in (False, True):
        assert answer(2, edges, rows=[0], goal=[1], fairness=["weak"], truncated=truncated) == "unknown (bound edge hit)"


def test_a_violation_within_the_bounds_stands():
    edges = [step(0, 1), step(0, 2), step(2, None)]
    assert answer(4, edges, rows=[1], goal=[3], fairness=["weak"]) == (1, 0)


def test_a_state_that_was_not_expanded_is_no_end():
    system = ground(toys.graph(4, [step(i, i + 1) for i in range(3)], rows=[1], goal=[3], fairness=["weak"]))
    assert check(system).verdicts["leads"].status is Status.HOLDS
    for most in (1, 2, 3):
        outcome = check(system, limits=Limits(max_states=most))
        assert outcome.verdicts["leads"].text == "unknown (max-states)"
        assert outcome.verdicts["possible"].text == "unknown (max-states)"


def test_a_violation_among_what_was_expanded_stands():
    edges = [step(0, 1, 1), step(1, 0, 1), step(1, 2, 1), step(2, 3, 1)]
    system = ground(toys.graph(4, edges, rows=[1], goal=[3], fairness=["none", "weak"]))
    outcome = check(system, limits=Limits(max_states=3))
    assert (outcome.stopped, outcome.complete) == ("max-states", False)
    assert outcome.verdicts["leads"].trace.length == (0, 2)


# ------------------------------------------------------------------------------------- deadlock and always possible


def test_deadlock_counts_only_moves():
    edges = [step(0, 1), tick(1, 1), step(1, 0, kind="fault"), step(1, 1, kind="error")]
    assert answer(2, edges, name="stuck", fairness=["none"]) == 1
    assert answer(2, [*edges, step(1, 1, fair=False)], name="stuck", fairness=["none"]) == "holds"
    assert answer(2, [*edges, step(1, 1, kind="database")], name="stuck", fairness=["none"]) == "holds"


def test_what_time_makes_possible_is_no_deadlock():
    edges = [step(0, 1), tick(1, 2), tick(2, 3), step(3, 0)]
    assert answer(4, edges, name="stuck", fairness=["none"]) == "holds"
    assert answer(4, edges[:3], name="stuck", fairness=["none"]) == 1


def test_finished_processes_are_not_stuck():
    assert answer(2, [step(0, 1)], name="stuck", fairness=["none"], finished=[1]) == "holds"
    assert answer(2, [step(0, 1)], name="stuck", fairness=["none"]) == 1


def test_a_move_beyond_a_bound_is_a_move():
    assert answer(1, [step(0, None)], name="stuck", fairness=["none"], truncated=True) == "holds (truncated at edge)"
    assert answer(1, [step(0, None)], name="stuck", fairness=["none"]) == "unknown (bound edge hit)"
    assert answer(1, [Edge(0, None, None, "tick")], name="stuck", fairness=["none"]) == "unknown (bound edge hit)"


def test_a_state_that_was_not_expanded_is_no_deadlock():
    system = ground(toys.graph(3, [step(0, 1), step(1, 2), step(2, 0)], fairness=["none"]))
    for most in (1, 2):
        assert check(system, limits=Limits(max_states=most)).verdicts["stuck"].text == "unknown (max-states)"
    system = ground(toys.graph(3, [tick(0, 1), step(1, 2), step(2, 0)], fairness=["none"]))
    for most in (1, 2):
        assert check(system, limits=Limits(max_states=most)).verdicts["stuck"].text == "unknown (max-states)"


def test_always_possible():
    edges = [step(0, 1), step(1, 0), step(1, 2, kind="fault", recurs=False), step(2, 3), step(3, 2)]
    assert answer(4, edges, name="possible", rows=[0], fairness=["none"]) == 2
    assert answer(4, edges, name="possible", rows=[3], fairness=["none"]) == "holds"
    edges.append(step(3, None))
    assert answer(4, edges, name="possible", rows=[0], fairness=["none"], truncated=True) == "unknown (bound edge hit)"


# --------------------------------------------------------------------------------------------------------------- mutex


@pytest.mark.parametrize(("fairness", "expected"), [("weak", (1, 3)), ("strong", "holds"), ("none", (1, 0))])
def test_mutex_starvation(fairness, expected):
    outcome = check(ground(toys.mutex(2, fairness)))
    served = outcome.verdicts["served"]
    assert (served.trace.length if served.trace else served.text) == expected
    if served.trace:
        assert judge(served.trace, "served") == ()


def test_more_entities_than_bits_of_a_word():
    # Many processes that never can do anything, and one that goes to and fro.
    edges = [step(0, 1), step(1, 0)]
    assert answer(3, edges, rows=[0], goal=[2], fairness=["weak"] * 70) == (0, 2)
