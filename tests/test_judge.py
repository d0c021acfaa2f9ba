"""The judge: confirms what is right, and rejects every kind of tampering."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

import z3_toys as toys
from txweave.engines import z3 as engine
from txweave.judge import Judgement, judge, review
from txweave.system import expr as x
from txweave.system.expr import Elem, Value
from txweave.system.ground import GroundAction, GroundSystem, ground
from txweave.system.sorted import Fairness, Property, System, Update
from txweave.trace import State, Taken, Trace
from txweave.verdict import Limits

P0, P1 = Elem("P", 0), Elem("P", 1)


def run(grounded: GroundSystem, *names: str, loop: int | None = None, witness: tuple[Value, ...] | None = None) -> Trace:
    """The trace of the actions with these names, worked out by the reference interpreter."""
    from txweave.system import reference as ref

    system = grounded.system
    state = ref.initial(system)
    steps = []
    for name in names:
        action = next(a for a in grounded.actions if a.name == name)
        state = ref.after(system, state, action.action, action.params)
        steps.append(Taken(action, toys.cells(grounded, state)))
    return Trace(grounded, tuple(steps), loop, witness)


def action(grounded: GroundSystem, name: str) -> GroundAction:
    return next(a for a in grounded.actions if a.name == name)


RACE = ("test(P#1)", "test(P#2)", "set(P#1)", "set(P#2)")


@pytest.fixture
def broken() -> GroundSystem:
    return ground(toys.mutex(False))


@pytest.fixture
def good() -> Trace:
    return run(ground(toys.mutex(False)), *RACE, witness=(P0, P1))


def changed(trace: Trace, number: int, cell: int, value: Value) -> Trace:
    """The trace with another value in the state after a step."""
    steps = list(trace.steps)
    state = list(steps[number].state)
    state[cell] = value
    steps[number] = replace(steps[number], state=tuple(state))
    return replace(trace, steps=tuple(steps))


def test_a_good_trace_is_confirmed(good: Trace) -> None:
    assert judge(good, "exclusive") == ()


def test_every_wrong_value_in_every_state_is_found(good: Trace) -> None:
    tried = 0
    for number, taken in enumerate(good.steps):
        for cell, info in enumerate(good.system.cells):
            for value in info.domain:
                if value != taken.state[cell]:
                    assert judge(changed(good, number, cell, value), "exclusive"), (number, info.name, value)
                    tried += 1
    assert tried > 30


@pytest.mark.parametrize(
    ("tamper", "says"),
    [
        (lambda t: replace(t, steps=t.steps[:-1]), "has no row"),
        (lambda t: replace(t, steps=t.steps[1:]), "P#1"),
        (lambda t: replace(t, steps=(*t.steps[:1], *t.steps[:1], *t.steps[1:])), "not enabled"),
        (lambda t: replace(t, steps=(t.steps[0], t.steps[1], t.steps[3], t.steps[2])), "the trace says"),
        (lambda t: replace(t, witness=(P1, P0)), "no row"),
        (lambda t: replace(t, witness=(P0,)), "no row"),
        (lambda t: replace(t, witness=None), "which row"),
        (lambda t: replace(t, loop=0), "lasso"),
        (lambda t: replace(t, steps=(replace(t.steps[0], state=t.steps[0].state[:-1]), *t.steps[1:])), "values for"),
    ],
)
def test_tampering_with_a_safety_trace(good: Trace, tamper: Any, says: str) -> None:
    problems = judge(tamper(good), "exclusive")
    assert problems
    assert says in " ".join(problems)


def test_actions_must_be_those_of_the_system(good: Trace) -> None:
    first = good.steps[0]

    def with_action(**changes: Any) -> Trace:
        return replace(good, steps=(Taken(replace(first.action, **changes), first.state), *good.steps[1:]))

    assert "not enabled" not in " ".join(judge(good, "exclusive"))
    copy = replace(first.action.action, name="other")
    assert "no such action" in judge(with_action(action=copy), "exclusive")[0]
    assert "acts, not" in judge(with_action(actor=P1), "exclusive")[0]
    assert "values of its parameters" in judge(with_action(params=(Elem("P", 7),)), "exclusive")[0]
    assert "values of its parameters" in judge(with_action(params=()), "exclusive")[0]
    assert "acts, not" in judge(with_action(params=(P1,)), "exclusive")[0]
    # The ground system's own reading of an action counts for nothing.
    assert judge(with_action(guard=x.FALSE, updates=()), "exclusive") == ()


def test_the_initial_state_is_the_systems(good: Trace, broken: GroundSystem) -> None:
    cells = tuple(replace(c, initial="tested") if c.name == "pc(P#1)" else c for c in broken.cells)
    problems = judge(replace(good, system=replace(broken, cells=cells)), "exclusive")
    assert problems == ("the initial state: pc(P#1) is 'idle', the trace says 'tested'",)


def test_constants_are_checked_as_well() -> None:
    system = toys.counter(2)
    from txweave.system.expr import Domain
    from txweave.system.sorted import Function

    system = replace(system, functions=(*system.functions, Function("k", (), Domain((1, 2)), 1)))
    grounded = ground(system)
    trace = run(grounded, "count(P#1)", "count(P#1)", witness=(2,))
    assert judge(trace, "below") == ()
    grounded.fixed["k", ()] = 2
    assert judge(trace, "below")


def test_true_is_not_one() -> None:
    grounded = ground(toys.counter(2))
    trace = run(grounded, "count(P#1)", "count(P#1)", witness=(2,))
    assert judge(changed(trace, 0, 0, True), "below")
    assert judge(replace(trace, witness=(2.0,)), "below")  # type: ignore[arg-type]


def test_other_questions(good: Trace) -> None:
    assert judge(good, "nonsense") == ("there is no property 'nonsense'",)
    assert "only a lasso" in judge(replace(good, loop=None), "gets_in")[0]
    assert judge(good, "no_deadlock")


def test_out_of_bounds_is_no_place_to_go() -> None:
    grounded = ground(toys.counter(2, bound=True))
    count = action(grounded, "count(P#1)! n")
    start = run(grounded, "count(P#1)")
    out: State = (1, "n")
    assert "out of bounds" in judge(replace(start, steps=(*start.steps, Taken(count, out)), witness=(1,)), "small")[0]


def test_what_depends_on_an_open_value_is_a_problem() -> None:
    system = toys.mutex(False)
    loose = x.equal(x.apply("pc", x.apply("lock")), x.const("idle"))
    open_ = replace(system, properties=(Property("open", "never", toys.row(loose, x.const(1))),))
    (problem,) = judge(Trace(ground(open_), (), witness=(1,)), "open")
    assert problem.startswith("the reference interpreter fails: pc(lock()) = 'idle' is ANY")


# ------------------------------------------------------------------------------------------------------ deadlock, dead ends


def test_deadlock() -> None:
    stuck = ground(toys.clocked(False))
    assert judge(Trace(stuck, ()), "no_deadlock") == ()
    assert judge(run(stuck, "tick0"), "no_deadlock") == ()
    waits = ground(toys.clocked(True))
    assert "after ticks" in judge(Trace(waits, ()), "no_deadlock")[0]
    woken = run(waits, "tick0", "tick0", "wake(P#1)")
    assert "finished" in judge(woken, "no_deadlock")[0]


def test_a_deadlock_is_not_claimed_where_time_leads_out_of_bounds() -> None:
    system = toys.clocked(False)
    tick = system.actions[-1]
    longer = replace(tick, updates=(Update("age", (), x.arith("+", x.apply("age"), x.const(2))),))
    edge = ground(replace(system, actions=(replace(system.actions[0], guard=x.FALSE), longer)))
    assert "bounds" in judge(Trace(edge, ()), "no_deadlock")[0]


def test_always_possible() -> None:
    crash = ground(toys.mutex(True, 2, crash=True))
    dead = run(crash, "crash(P#1)", "crash(P#2)")
    assert review(dead, "stays_possible") == Judgement(())
    half = run(crash, "crash(P#1)")
    assert "can still be reached" in judge(half, "stays_possible")[0]
    assert "has a row itself" in judge(run(crash, "test(P#1)"), "stays_possible")[0]
    gone = ground(
        replace(toys.counter(2, bound=True), properties=(Property("p", "always_possible", toys.row(x.FALSE, x.const(1))),))
    )
    assert "bounds can be hit" in judge(Trace(gone, ()), "p")[0]


def test_a_dead_end_too_big_to_explore_again_is_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("txweave.judge.SMALL", 2)
    system = replace(toys.mutex(True), properties=(Property("p", "always_possible", toys.row(x.FALSE, x.const(1))),))
    found = review(Trace(ground(system), ()), "p")
    assert found.problems == ()
    assert "2 states only" in found.notes[0]


# ------------------------------------------------------------------------------------------------------------- lassos


def starving(kind: str = "weak", atomic: bool = True) -> GroundSystem:
    system = toys.mutex(atomic)
    return ground(replace(system, fairness=(Fairness("P", kind, x.local("p", "P")),)))


LOOP = ("test(P#1)", "leave(P#1)")


def test_lassos() -> None:
    trace = run(starving(), *LOOP, loop=0, witness=(P1,))
    assert judge(trace, "gets_in") == ()
    assert judge(run(starving(), *LOOP, *LOOP, loop=2, witness=(P1,)), "gets_in") == ()
    assert judge(run(starving("none"), *LOOP, loop=0, witness=(P1,)), "gets_in") == ()
    strong = judge(run(starving("strong"), *LOOP, loop=0, witness=(P1,)), "gets_in")
    assert strong == ("P#2 (strong fairness, step) can again and again move on the loop but never does",)


@pytest.mark.parametrize(
    ("tamper", "says"),
    [
        (lambda t: replace(t, loop=1), "does not return"),
        (lambda t: replace(t, loop=5), "starts at 5"),
        (lambda t: replace(t, loop=-1), "starts at -1"),
        (lambda t: replace(t, loop=2), "can move in the last state"),
        (lambda t: replace(t, witness=(P0,)), "discharged on the loop"),
        (lambda t: replace(t, witness=None), "which row"),
        (lambda t: replace(t, witness=("x",)), "never occurs"),
        (lambda t: replace(t, steps=t.steps[:1]), "does not return"),
    ],
)
def test_tampering_with_a_lasso(tamper: Any, says: str) -> None:
    problems = judge(tamper(run(starving(), *LOOP, loop=0, witness=(P1,))), "gets_in")
    assert says in " ".join(problems)


def test_weak_fairness_is_owed_on_the_loop() -> None:
    """The second process stays inside for ever while the first does nothing but what it may."""
    system = toys.mutex(False)
    spin = toys.step("spin", lambda p: toys.pc(p, "idle"), lambda p: Update("lock", (), x.apply("lock")))
    spun = replace(system, actions=(*system.actions, spin))
    lazy = run(ground(spun), "spin(P#1)", loop=0, witness=(P1,))
    assert judge(lazy, "gets_in") == ("P#2 (weak fairness, step) can always move on the loop but never does",)
    owed = x.local("p", "P")
    exempt = replace(spun, fairness=(Fairness("P", "weak", owed, x.equal(owed, x.const(P0))),))
    assert judge(run(ground(exempt), "spin(P#1)", loop=0, witness=(P1,)), "gets_in") == ()
    unfair = replace(spun, actions=(*system.actions, replace(spin, fair=False)))
    problems = judge(run(ground(unfair), "spin(P#1)", loop=0, witness=(P1,)), "gets_in")
    assert len(problems) == 2, "an unfair move does not count as one"


def test_what_does_not_recur_is_not_on_a_loop() -> None:
    system = toys.mutex(True)
    slip = toys.step("slip", lambda p: x.TRUE, lambda p: Update("lock", (), x.apply("lock")), kind="error", recurs=False)
    never = replace(system, actions=(*system.actions, slip), fairness=())
    assert "does not recur" in judge(run(ground(never), "slip(P#1)", loop=0, witness=(P1,)), "gets_in")[0]
    stem = run(ground(never), "slip(P#1)", "test(P#1)", "leave(P#1)", loop=1, witness=(P1,))
    assert judge(stem, "gets_in") == ()


def test_stuttering_needs_that_nothing_is_owed() -> None:
    grounded = ground(toys.counter(2))
    assert judge(run(grounded, "count(P#1)", "count(P#1)", loop=2, witness=(2,)), "leaves") == ()
    early = run(grounded, "count(P#1)", loop=1, witness=("x",))
    assert "can move in the last state" in judge(early, "arrives")[0]


def test_a_step_out_of_bounds_counts_as_enabled() -> None:
    system = replace(toys.counter(3, bound=True), properties=(Property("p", "leads_to", toys.row(x.TRUE, x.const(1))),))
    grounded = ground(system)
    stays = run(grounded, "count(P#1)", "count(P#1)", loop=2, witness=(1,))
    assert judge(stays, "p") == ("P#1 (weak fairness, step) can move in the last state, and it is owed",)


def test_time_passes_on_loops_and_never_ends() -> None:
    grounded = ground(toys.clocked(False))
    assert judge(run(grounded, "tick0", "tick0", "tick0", loop=2, witness=(P0,)), "wakes") == ()
    assert "time passes for ever" in judge(run(grounded, "tick0", loop=1, witness=(P0,)), "wakes")[0]
    system = toys.clocked(True)
    noop = toys.step("noop", lambda p: x.TRUE, lambda p: toys.at("pc", p, x.apply("pc", p)))
    idle = run(ground(replace(system, actions=(*system.actions, noop))), "noop(P#1)", loop=0, witness=(P0,))
    assert judge(idle, "wakes") == ("time does not pass on the loop",)


def test_the_servers_moves_are_owed() -> None:
    system = toys.mutex(True)
    rescue = toys.step("rescue", lambda p: toys.pc(p, "idle"), toys.go("in"), kind="database")
    served = ground(replace(system, actions=(*system.actions, rescue), fairness=()))
    problems = judge(run(served, *LOOP, loop=0, witness=(P1,)), "gets_in")
    assert problems == ("P#2 (weak fairness, database) can always move on the loop but never does",)


def test_what_z3_finds_is_confirmed() -> None:
    systems: list[System] = [toys.mutex(False), toys.mutex(True, 2, crash=True), toys.clocked(False), toys.counter(3)]
    confirmed = 0
    for system in systems:
        for name, verdict in engine.check(ground(system), limits=Limits(max_depth=6)).verdicts.items():
            if verdict.trace is not None:
                assert judge(verdict.trace, name) == ()
                confirmed += 1
    assert confirmed >= 7
