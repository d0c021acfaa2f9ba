"""Z3 on hand-built systems: known answers, and the traps in which a solver's silence looks like a proof."""

from __future__ import annotations

import os
import signal
import threading
from dataclasses import replace
from typing import Any

import pytest
import z3

import z3_toys as toys
from txweave.certificate import Certificate
from txweave.engines import z3 as engine
from txweave.engines.z3.encode import Encoding
from txweave.engines.z3.invariant import Harvest
from txweave.engines.z3.recheck import proper, recheck
from txweave.engines.z3.session import GaveUp, Session
from txweave.judge import judge
from txweave.proof.text import write
from txweave.system import expr as x
from txweave.system import reference as ref
from txweave.system.expr import Domain, Elem
from txweave.system.ground import GroundSystem, ground
from txweave.system.sorted import Action, Fairness, Function, Property, System, Update
from txweave.trace import State
from txweave.verdict import Limits, Outcome, Progress, Status, Verdict

P0, P1 = Elem("P", 0), Elem("P", 1)


def states(system: System) -> list[State]:
    grounded = ground(system)
    return [toys.cells(grounded, state) for state in ref.explore(system, 5000).states]


def answer(system: System, name: str, depth: int = 8, hint: bool = False, **limits: Any) -> Verdict:
    outcome = engine.check(ground(system), [name], Limits(max_depth=depth, **limits), states(system) if hint else None)
    verdict = outcome.verdicts[name]
    if verdict.trace is not None:
        assert judge(verdict.trace, name) == ()
    return verdict


def length(verdict: Verdict) -> Any:
    assert verdict.trace is not None
    return verdict.trace.length


# ------------------------------------------------------------------------------------------------------------- safety


@pytest.mark.parametrize("hint", [False, True])
def test_shortest_counterexamples(hint: bool) -> None:
    assert length(answer(toys.mutex(False), "exclusive", hint=hint)) == 4
    assert length(answer(toys.mutex(False, 3, crash=True), "exclusive", hint=hint)) == 4
    assert length(answer(toys.mutex(True, 3, crash=True), "no_deadlock", hint=hint)) == 2
    found = answer(toys.counter(5), "below", hint=hint)
    assert length(found) == 5
    assert found.trace is not None
    assert found.trace.witness == (5,)


def test_an_initial_state_may_be_bad() -> None:
    assert length(answer(replace(toys.counter(3), properties=(Property("p", "never", toys.row(x.TRUE, x.const(1))),)), "p")) == 0


def test_no_violation_to_a_depth_is_no_proof() -> None:
    assert answer(toys.counter(5), "below", depth=4).text == "unknown (no violation to depth 4)"
    assert answer(toys.mutex(True), "exclusive", depth=3).text == "unknown (no violation to depth 3)"


def test_the_end_of_all_runs_is_a_proof() -> None:
    assert answer(toys.counter(5), "small").notes == ("no run within bounds has 6 steps",)
    assert answer(toys.counter(5), "small", depth=5).status is Status.UNKNOWN
    assert answer(toys.counter(5), "no_deadlock").status is Status.HOLDS


def test_a_violation_deeper_than_usual_is_found_where_the_hint_shows_it() -> None:
    system = toys.counter(engine.DEPTH + 5)
    grounded = ground(system)
    assert engine.check(grounded, ["below"]).verdicts["below"].text == f"unknown (no violation to depth {engine.DEPTH})"
    assert length(engine.check(grounded, ["below"], reachable=states(system)).verdicts["below"]) == engine.DEPTH + 5


def test_bounds() -> None:
    for hint in (False, True):
        assert answer(toys.counter(4, bound=True), "small", hint=hint).text == "unknown (bound n hit)"
        assert answer(toys.counter(4, bound=True, truncated=True), "small", hint=hint).text == "holds (truncated at n)"
    assert length(answer(replace(toys.counter(4, bound=True), properties=toys.counter(3).properties), "below")) == 3


def test_a_step_out_of_bounds_is_no_deadlock() -> None:
    assert answer(toys.counter(4, bound=True, truncated=True), "no_deadlock").status is Status.HOLDS


def test_deadlock_in_time() -> None:
    assert length(answer(toys.clocked(False), "no_deadlock")) == 0
    assert answer(toys.clocked(True), "no_deadlock").text == "unknown (no violation to depth 8)"
    proved = answer(toys.clocked(True), "no_deadlock", hint=True)
    assert proved.status is Status.HOLDS
    assert proved.certificate is not None
    assert proved.certificate.ticks == 2
    assert "several ways" in answer(toys.clocked(False, 2), "no_deadlock").reason
    assert answer(toys.clocked(True, 2), "no_deadlock", hint=True).status is Status.HOLDS


def test_a_deadlock_is_not_claimed_where_time_leads_out_of_bounds() -> None:
    system = toys.clocked(False)
    tick = replace(system.actions[-1], updates=(Update("age", (), x.arith("+", x.apply("age"), x.const(2))),))
    beyond = replace(system, actions=(replace(system.actions[0], guard=x.FALSE), tick))
    assert answer(beyond, "no_deadlock").text == "unknown (bound age hit)"


# ------------------------------------------------------------------------------------------------------------- lassos


def test_lassos() -> None:
    assert length(answer(toys.mutex(True), "gets_in")) == (0, 2)
    assert length(answer(toys.mutex(False), "gets_in")) == (0, 3)
    assert length(answer(toys.counter(4), "leaves")) == (4, 0)
    assert length(answer(toys.clocked(False), "wakes")) == (2, 1)
    assert answer(toys.clocked(True), "wakes").text == "unknown (no lasso up to length 8; Z3 does not prove liveness)"


def test_strong_fairness_is_stronger() -> None:
    system = toys.mutex(True)
    strong = replace(system, fairness=(Fairness("P", "strong", x.local("p", "P")),))
    assert answer(strong, "gets_in", depth=6).status is Status.UNKNOWN
    alone = replace(system, fairness=())
    # Nothing is owed, so that the run may end where it begins.
    assert length(answer(alone, "gets_in")) == (0, 0)


def test_what_does_not_recur_is_not_on_a_loop() -> None:
    """An error takes turns with being able to move: for ever only if it recurs, else the run may end where nobody can move."""
    n = x.apply("n")
    slip = toys.step("slip", lambda _: x.TRUE, lambda _: Update("n", (), x.arith("-", x.const(2), n)), kind="error")
    go_on = toys.step("go_on", lambda _: x.equal(n, x.const(0)), lambda _: Update("n", (), x.const(1)))
    system = System(
        "slips",
        toys.counter(1).sorts,
        (Function("n", (), Domain((0, 1, 2)), 0),),
        (go_on, slip),
        (
            Property(
                "p", "leads_to", toys.row(x.equal(n, x.const(0)), x.const("v")), toys.row(x.equal(n, x.const(1)), x.const("v"))
            ),
        ),
        (Fairness("P", "weak", x.local("p", "P")),),
    )
    assert length(answer(system, "p")) == (0, 2)
    assert length(answer(replace(system, actions=(go_on, replace(slip, recurs=False))), "p")) == (1, 0)
    clocked = toys.clocked(False)
    once = replace(clocked, actions=tuple(replace(action, recurs=action.kind != "tick") for action in clocked.actions))
    assert answer(once, "wakes").status is Status.UNKNOWN


def ring(entry: int, size: int) -> System:
    """Counts up to ``entry`` and then round a ring; besides, one long detour comes back to where the run begins."""
    n = x.apply("n")

    def hop(name: str, source: int, target: int) -> Action:
        return toys.step(name, lambda _: x.equal(n, x.const(source)), lambda _: Update("n", (), x.const(target)))

    hops = [hop(f"h{k}", k, k + 1) for k in range(entry + size - 1)] + [hop("back", entry + size - 1, entry)]
    far = [hop("d0", 0, 100)] + [hop(f"d{k}", 100 + k, 101 + k) for k in range(4)] + [hop("d", 104, 0)]
    return System(
        "ring",
        toys.counter(1).sorts,
        (Function("n", (), Domain((*range(entry + size), *range(100, 105))), 0),),
        (*hops, *far),
        (Property("p", "leads_to", toys.row(x.TRUE, x.const("v"))),),
        (Fairness("P", "weak", x.local("p", "P")),),
    )


def test_the_shortest_stem_goes_before_the_shortest_loop() -> None:
    """The total is least with a stem of two steps (2 + 1), but there is a lasso without a stem, with a loop of six."""
    assert length(answer(ring(2, 1), "p", depth=10)) == (0, 6)
    short = answer(ring(2, 1), "p", depth=5)
    assert length(short) == (2, 1)
    assert short.notes == ("a stem of 1 steps or fewer was excluded for loops of up to 4 steps only",)


def test_a_stem_is_shown_to_be_shortest_where_there_is_no_other_loop() -> None:
    system = ring(3, 2)
    straight = replace(system, actions=tuple(a for a in system.actions if a.name != "d"))
    found = answer(
        replace(straight, properties=(Property("p", "leads_to", toys.row(x.less(x.const(2), x.apply("n")), x.const("v"))),)),
        "p",
    )
    assert length(found) == (3, 2)
    assert found.notes == ()


def test_enabledness_is_existential_in_the_inputs() -> None:
    """A step whose input must match a pointer that never rests is enabled all the time: owed, though no input always is."""
    p, q = x.local("p", "P"), x.local("q", "P")
    pointer = x.apply("pointer")
    done = x.truth(x.apply("done"))
    other = x.pick((r := x.local("r", "P"),), x.neg(x.equal(r, pointer)), r, x.NULL)
    move = toys.step("move", lambda _: x.TRUE, lambda _: Update("done", (), x.TRUE))
    move = replace(move, actor=p, params=(p, q), guard=x.conj(x.equal(p, x.const(P0)), x.neg(done), x.equal(q, pointer)))
    spin = Action("spin", "error", p, (p,), x.TRUE, (Update("pointer", (), other),), toys.info("spin"))
    system = System(
        "pointer",
        toys.mutex(True).sorts,
        (Function("pointer", (), Domain(sorts=("P",)), P0), Function("done", (), x.BOOL, False)),
        (move, spin),
        (Property("ends", "leads_to", toys.row(x.neg(done), x.const("v"))),),
        (Fairness("P", "weak", x.local("p", "P")),),
    )
    assert answer(system, "ends").status is Status.UNKNOWN
    assert toys.Graph(system, 100).lasso(system.properties[0]) is None
    # With the inputs told apart, as if each were owed for itself, there would be a lasso: so the test can fail.
    assert length(answer(replace(system, fairness=()), "ends")) == (0, 0)
    rests = replace(system, actions=(replace(move, guard=x.conj(move.guard, x.equal(q, x.const(P0)))), spin))
    assert length(answer(rests, "ends")) == (0, 2)


def test_a_goal_may_be_pending_from_within_the_loop() -> None:
    n = x.apply("n")
    system = ring(1, 3)
    later = Property(
        "p", "leads_to", toys.row(x.equal(n, x.const(3)), x.const("v")), toys.row(x.equal(n, x.const(0)), x.const("v"))
    )
    straight = replace(system, actions=tuple(a for a in system.actions if not a.name.startswith("d")), properties=(later,))
    assert length(answer(straight, "p")) == (1, 3) == toys.Graph(straight, 100).lasso(later)


# --------------------------------------------------------------------------------------------------------- invariants


def proved(system: System, name: str) -> tuple[GroundSystem, Certificate]:
    verdict = answer(system, name, hint=True)
    assert verdict.status is Status.HOLDS
    assert verdict.certificate is not None
    assert verdict.notes == (f"inductive invariant of {len(verdict.certificate.clauses)} clauses",)
    return ground(system), verdict.certificate


def problems(system: GroundSystem, certificate: Certificate) -> tuple[str, ...]:
    with Session() as session:
        return recheck(session, system, certificate)


def test_an_invariant_is_found_and_readable() -> None:
    grounded, certificate = proved(toys.mutex(True, 2, crash=True), "exclusive")
    assert problems(grounded, certificate) == ()
    first, *rest = map(write, certificate.clauses)
    assert first == write(proper(grounded.find("exclusive")) or x.FALSE)
    assert sorted(rest) == [
        '(or (= (pc |P#1|) "idle") (= (pc |P#1|) "dead") (= lock |P#1|))',
        '(or (= (pc |P#2|) "idle") (= (pc |P#2|) "dead") (= lock |P#2|))',
    ]


def test_wrong_invariants_are_rejected() -> None:
    grounded, certificate = proved(toys.mutex(True), "exclusive")
    first, second, *rest = certificate.clauses
    assert any("does not preserve" in p for p in problems(grounded, replace(certificate, clauses=(first, *rest))))
    wrong = replace(certificate, clauses=(first, x.conj(second, x.equal(x.apply("lock"), x.const(P0))), *rest))
    assert any("not true initially" in p for p in problems(grounded, wrong))
    assert problems(grounded, replace(certificate, clauses=(*certificate.clauses, x.FALSE)))
    assert problems(grounded, replace(certificate, clauses=())) == ("exclusive does not follow",)


def test_an_invariant_of_the_right_system_does_not_do_for_the_broken_one() -> None:
    right, certificate = proved(toys.mutex(True), "exclusive")
    broken = ground(toys.mutex(False))
    assert [c.name for c in right.cells] == [c.name for c in broken.cells]
    assert problems(broken, certificate) == (
        "test(P#1) does not preserve it",
        "test(P#2) does not preserve it",
    )


def test_a_bound_that_is_claimed_is_checked() -> None:
    grounded = ground(toys.counter(3, bound=True, truncated=True))
    verdict = answer(toys.counter(3, bound=True, truncated=True), "small", hint=True)
    assert verdict.truncated == ("n",)
    assert verdict.certificate is not None
    assert problems(grounded, verdict.certificate) == ()
    assert problems(grounded, replace(verdict.certificate, truncated=())) == ("n does not follow",)
    refused = ground(toys.counter(3, bound=True))
    assert problems(refused, verdict.certificate) == ("crossing n is not accepted",)


def test_a_bad_hint_leads_to_no_wrong_claim() -> None:
    for system in (toys.mutex(False), toys.counter(4)):
        grounded = ground(system)
        name = system.properties[0].name
        for size in range(4):
            verdict = engine.check(grounded, [name], Limits(max_depth=3), states(system)[:size]).verdicts[name]
            assert verdict.status is Status.UNKNOWN, "the violation is deeper than the search"
            assert verdict.reason.startswith("the harvested states are not all that can be reached")
    grounded = ground(toys.mutex(True))
    unreachable: State = ("in", "in", P0, None)
    verdict = engine.check(grounded, ["exclusive"], Limits(max_depth=3), [unreachable]).verdicts["exclusive"]
    assert verdict.status is Status.UNKNOWN


def test_a_hint_may_be_a_matrix_and_may_contain_states_out_of_bounds() -> None:
    system = toys.counter(4, bound=True, truncated=True)
    grounded = ground(system)
    known = states(system)
    assert known[-1][-1] is not None
    harvest = Harvest(grounded, known)
    assert len(harvest.matrix) == len(known) - 1
    assert (Harvest(grounded, harvest.matrix).matrix == harvest.matrix).all()
    assert engine.check(grounded, ["small"], reachable=harvest.matrix).verdicts["small"].status is Status.HOLDS


def test_what_was_proved_for_one_property_serves_the_next_and_what_failed_does_not() -> None:
    system = toys.mutex(True, 3)
    p = x.local("p", "P")
    locked = Property("locked", "never", toys.row(x.conj(toys.pc(p, "in"), x.equal(x.apply("lock"), x.NULL)), p, locals_=(p,)))
    wrong = Property("wrong", "never", toys.row(toys.pc(p, "in"), p, locals_=(p,)))
    system = replace(system, properties=(wrong, *system.properties, locked))
    outcome = engine.check(ground(system), limits=Limits(max_depth=5), reachable=states(system))
    assert [outcome.verdicts[n].status for n in ("wrong", "exclusive", "locked")] == [
        Status.VIOLATED,
        Status.HOLDS,
        Status.HOLDS,
    ]
    certificate = outcome.verdicts["locked"].certificate
    assert certificate is not None
    assert problems(ground(system), certificate) == ()


# ------------------------------------------------------------------------------------------- unknown is never "no bug"


EVERYTHING = [toys.mutex(False), toys.mutex(True, 2, crash=True), toys.counter(3), toys.clocked(True), toys.clocked(False)]


@pytest.mark.parametrize("after", [0, 1, 2, 5, 9])
@pytest.mark.parametrize("system", EVERYTHING)
def test_a_solver_that_does_not_know(monkeypatch: pytest.MonkeyPatch, system: System, after: int) -> None:
    """From some query on, the solver answers unknown: what was found stands, nothing else is claimed."""
    truth = engine.check(ground(system), limits=Limits(max_depth=6), reachable=states(system))
    check, asked = z3.Solver.check, [0]

    def ignorant(self: z3.Solver, *assumptions: Any) -> Any:
        asked[0] += 1
        return check(self, *assumptions) if asked[0] <= after else z3.unknown

    monkeypatch.setattr(z3.Solver, "check", ignorant)
    monkeypatch.setattr(z3.Solver, "reason_unknown", lambda _: "sat.giveup")
    for hint in (None, states(system)):
        asked[0] = 0
        outcome = engine.check(ground(system), limits=Limits(max_depth=6), reachable=hint)
        for name, verdict in outcome.verdicts.items():
            if verdict.status is Status.UNKNOWN:
                assert verdict.reason
                if "answers unknown" in verdict.reason:
                    assert "sat.giveup" in verdict.reason
            else:
                assert after, "nothing was decided"
                assert verdict.status is truth.verdicts[name].status
        if after == 0:
            assert all(v.status is Status.UNKNOWN for v in outcome.verdicts.values())
            assert any("sat.giveup" in v.reason for v in outcome.verdicts.values())


def test_a_recheck_that_is_not_decided_is_no_confirmation(monkeypatch: pytest.MonkeyPatch) -> None:
    grounded, certificate = proved(toys.mutex(True), "exclusive")
    monkeypatch.setattr(z3.Solver, "check", lambda *_: z3.unknown)
    assert "undecided" in problems(grounded, certificate)[0]


def test_the_claim_rests_on_the_recheck(monkeypatch: pytest.MonkeyPatch) -> None:
    """Even if the search is wrong: here it takes the goals for inductive."""
    from txweave.engines.z3.invariant import Strengthening

    def gullible(_: Strengthening, name: str, goals: Any, own: Any, truncated: Any, ticks: int) -> Certificate:
        return Certificate(name, (own,), tuple(truncated), ticks)

    monkeypatch.setattr(Strengthening, "prove", gullible)
    verdict = answer(toys.mutex(True), "exclusive", hint=True)
    assert verdict.status is Status.UNKNOWN
    assert verdict.reason.startswith("the invariant was not confirmed: test(P#1) does not preserve it")


def test_everything_is_propositional() -> None:
    """No enumeration sorts, bit vectors or integers: QF_FD gives up on some of these, silently for a careless reader."""
    with Session() as session:
        encoding = Encoding(session, ground(toys.mutex(False, 3)))
        seen, stack = set(), [encoding.step(), encoding.within(), encoding.initially()]
        while stack:
            node = stack.pop()
            if node.get_id() not in seen:
                seen.add(node.get_id())
                assert node.sort().kind() == z3.Z3_BOOL_SORT
                stack += node.children()
        assert len(seen) > 50


# -------------------------------------------------------------------------------------------------- limits, interruption


def pigeons(session: Session, number: int = 12) -> Any:
    """A solver with a problem that takes it long."""
    solver = session.solver()
    hole = [[z3.Bool(f"{p}.{h}", ctx=session.context) for h in range(number - 1)] for p in range(number)]
    solver.add(*(z3.Or(*row) for row in hole))
    for h in range(number - 1):
        solver.add(*(z3.Not(z3.And(hole[p][h], hole[q][h])) for p in range(number) for q in range(p)))
    return solver


def gives_up(session: Session) -> GaveUp:
    with session, pytest.raises(GaveUp) as caught:
        session.ask(pigeons(session))
    return caught.value


def test_limits_end_a_query() -> None:
    assert gives_up(Session(Limits(timeout=0.3))).cause == "timeout"
    assert gives_up(Session(Limits(max_memory=1))).cause == "memory"
    exhausted = gives_up(Session(Limits(rlimit=1000)))
    assert exhausted.cause == "rlimit"
    assert exhausted.reason.startswith("budget of 1,000 units of work used up (Z3: ")
    stop = threading.Event()
    threading.Timer(0.3, stop.set).start()
    assert gives_up(Session(Limits(stop=stop.is_set))).cause == "interrupted"


def test_ctrl_c_ends_a_query() -> None:
    threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
    assert gives_up(Session()).cause == "interrupted"


def test_what_is_known_at_an_interruption_is_kept() -> None:
    reached: list[int] = []

    def outcome(**limits: Any) -> Outcome:
        return engine.check(ground(toys.mutex(False)), limits=Limits(max_depth=8, **limits))

    assert outcome(stop=lambda: True).stopped == "interrupted"
    assert outcome(timeout=0).stopped == "timeout"
    assert {v.status for v in outcome(timeout=0).verdicts.values()} == {Status.UNKNOWN}

    def notice(progress: Progress) -> None:
        reached.append(progress.depth)
        if progress.depth == 5:
            raise KeyboardInterrupt

    found = outcome(progress=notice)
    assert reached[:6] == [0, 1, 2, 3, 4, 5]
    assert found.stopped == "interrupted"
    assert found.verdicts["exclusive"].status is Status.VIOLATED
    assert found.verdicts["no_deadlock"].text == "unknown (interrupted; no violation to depth 5)"
    assert found.verdicts["gets_in"].text == "unknown (interrupted)"
    assert len(reached) == 6


def test_only_what_is_asked_is_answered_in_order() -> None:
    outcome = engine.check(ground(toys.mutex(True)), ["no_deadlock", "stays_possible"], Limits(max_depth=2))
    assert list(outcome.verdicts) == ["no_deadlock", "stays_possible"]
    assert outcome.verdicts["stays_possible"].text == "unknown (Z3 does not answer always_possible)"
    assert outcome.engine == "z3"


def test_two_runs_give_the_same_answer() -> None:
    first, second = (engine.check(ground(toys.mutex(False, 3, True)), limits=Limits(max_depth=6)) for _ in range(2))
    for name, verdict in first.verdicts.items():
        other = second.verdicts[name]
        assert verdict.text == other.text
        assert (verdict.trace and [t.state for t in verdict.trace.steps]) == (other.trace and [t.state for t in other.trace.steps])
