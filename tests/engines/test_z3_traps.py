"""The traps in which a solver says "no bug" of a broken system: each broken one goes the way of the sound one, and fails there."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import z3

import z3_toys as toys
from txweave.engines import z3 as engine
from txweave.engines.z3.session import GaveUp, Session
from txweave.system import expr as x
from txweave.system import reference as ref
from txweave.system.expr import Domain
from txweave.system.ground import ground
from txweave.system.sorted import Action, Fairness, Function, Property, System, Update
from txweave.verdict import Limits, Status, Verdict

ROOT = Path(__file__).resolve().parents[2]


def answer(system: System, name: str, depth: int = 8, **limits: Any) -> Verdict:
    grounded = ground(system)
    states = [toys.cells(grounded, state) for state in ref.explore(system, 5000).states]
    return engine.check(grounded, [name], Limits(max_depth=depth, **limits), states).verdicts[name]


def length(verdict: Verdict) -> Any:
    return verdict.trace.length if verdict.trace is not None else None


def test_a_clock_that_runs_on_does_not_hide_a_lasso() -> None:
    """With an integer clock no state comes again, and no lasso is ever found.  Ages are saturated: the loop has a tick."""
    broken = answer(toys.clocked(False), "wakes")
    assert length(broken) == (2, 1)
    assert broken.trace is not None
    assert [taken.action.kind for taken in broken.trace.steps] == ["tick", "tick", "tick"]
    assert answer(toys.clocked(True), "wakes").status is Status.UNKNOWN
    # What the trap looks like: an age that is not saturated, and the same system passes.
    endless = toys.clocked(False)
    older = Update("age", (), x.arith("+", x.apply("age"), x.const(1)))
    functions = tuple(replace(f, domain=Domain(tuple(range(40)))) if f.name == "age" else f for f in endless.functions)
    actions = tuple(replace(a, updates=(older,)) if a.kind == "tick" else a for a in endless.actions)
    passed = answer(replace(endless, functions=functions, actions=actions), "wakes")
    assert passed.status is Status.UNKNOWN, "that nothing was found is never a pass"


def test_enabledness_is_existential_in_what_a_step_chooses() -> None:
    """A tick by one unit or by two is one owed thing only as a whole; a step that may choose is enabled when some choice is."""
    p, q = x.local("p", "P"), x.local("q", "P")
    turn, done = x.apply("turn"), x.truth(x.apply("done"))
    other = x.pick((r := x.local("r", "P"),), x.neg(x.equal(r, turn)), r, x.NULL)
    choose = replace(
        toys.step("choose", lambda _: x.TRUE, lambda _: Update("done", (), x.TRUE)),
        actor=p,
        params=(p, q),
        guard=x.conj(x.equal(p, x.const(x.Elem("P", 0))), x.neg(done), x.equal(q, turn)),
    )
    spin = Action("spin", "error", p, (p,), x.TRUE, (Update("turn", (), other),), toys.info("spin"))
    system = System(
        "choice",
        toys.mutex(True).sorts,
        (Function("turn", (), Domain(sorts=("P",)), x.Elem("P", 0)), Function("done", (), x.BOOL, False)),
        (choose, spin),
        (Property("ends", "leads_to", toys.row(x.neg(done), x.const("v"))),),
        (Fairness("P", "weak", x.local("p", "P")),),
    )
    assert answer(system, "ends", depth=6).status is Status.UNKNOWN
    # Broken: the choice that is possible is missed half of the time, so that the step is not owed.
    blind = replace(system, actions=(replace(choose, guard=x.conj(choose.guard, x.equal(turn, x.const(x.Elem("P", 0))))), spin))
    assert length(answer(blind, "ends", depth=6)) == (0, 2)


def test_a_loop_comes_back_to_the_same_values_of_every_cell() -> None:
    """A lamp goes on and off while a counter counts to the goal.  Who forgets the counter sees a loop."""
    n, lamp = x.apply("n"), x.apply("lamp")
    toggle = toys.step(
        "toggle",
        lambda _: x.less(n, x.const(5)),
        lambda _: Update("lamp", (), x.neg(x.truth(lamp))),
        lambda _: Update("n", (), x.arith("+", n, x.const(1))),
    )
    system = System(
        "lamp",
        toys.counter(1).sorts,
        (Function("n", (), Domain(tuple(range(6))), 0), Function("lamp", (), x.BOOL, False)),
        (toggle,),
        (
            Property(
                "ends", "leads_to", toys.row(x.less(n, x.const(5)), x.const("v")), toys.row(x.equal(n, x.const(5)), x.const("v"))
            ),
        ),
        (Fairness("P", "weak", x.local("p", "P")),),
    )
    assert answer(system, "ends").status is Status.UNKNOWN
    # Broken: the counter begins again before the goal, and then there is a loop, of every cell.
    again = Update("n", (), x.ite(x.equal(n, x.const(3)), x.const(0), x.arith("+", n, x.const(1))))
    broken = replace(system, actions=(replace(toggle, updates=(toggle.updates[0], again)),))
    assert length(answer(broken, "ends")) == (0, 4)


@pytest.mark.parametrize("system", [toys.mutex(True), toys.mutex(False)])
def test_unknown_is_raised_and_never_read_as_no_bug(monkeypatch: pytest.MonkeyPatch, system: System) -> None:
    monkeypatch.setattr(z3.Solver, "check", lambda *_: z3.unknown)
    monkeypatch.setattr(z3.Solver, "reason_unknown", lambda _: "sat.giveup interpreted functions sent to SAT solver")
    verdict = answer(system, "exclusive")
    assert verdict.status is Status.UNKNOWN
    assert "sat.giveup" in verdict.reason


def test_enumeration_sorts_under_qf_fd_are_noticed() -> None:
    """The solver that is used gives up on them: the session says so instead of finding nothing."""
    with Session() as session:
        sort, _ = z3.EnumSort("pc", ["idle", "in", "out"], ctx=session.context)
        one, other, later = (z3.Const(name, sort) for name in ("one", "other", "later"))
        switch = z3.Bool("switch", ctx=session.context)
        solver = session.solver()
        solver.add(z3.If(switch, one, other) == later, one != other)
        with pytest.raises(GaveUp, match=r"unknown: \(?sat\.giveup"):
            session.ask(solver, [switch])


# ------------------------------------------------------------------------------------------------------------- budgets

SCRIPT = """
import sys
import z3_toys as toys
from txweave.engines import z3
from txweave.engines.z3.session import Session
from txweave.system import reference as ref
from txweave.system.ground import ground
from txweave.verdict import Limits
spent = []
exit_ = Session.__exit__
Session.__exit__ = lambda self, *rest: (spent.append((self.spent, self.queries)), exit_(self, *rest))[1]
for system in (toys.mutex(False, 3, True), toys.mutex(True, 3, True)):
    grounded = ground(system)
    states = [toys.cells(grounded, state) for state in ref.explore(system, 5000).states]
    for budget in (300, 3_000, 30_000):
        found = z3.check(grounded, limits=Limits(max_depth=7, rlimit=budget), reachable=states)
        for name, verdict in found.verdicts.items():
            print(budget, name, verdict.text, verdict.trace and [taken.action.name for taken in verdict.trace.steps])
print(spent)
"""


def test_the_same_input_has_the_same_verdicts_in_three_fresh_processes() -> None:
    """Budgets are counted in work: verdicts, reasons, traces, and what was spent do not depend on the machine."""
    found = set()
    for seed in ("0", "1", "2"):
        path = os.pathsep.join([str(ROOT / "model"), str(ROOT / "tests")])
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT],
            capture_output=True,
            text=True,
            timeout=300,
            check=True,
            env={**os.environ, "PYTHONPATH": path, "PYTHONHASHSEED": seed},
        )
        found.add(done.stdout)
    (text,) = found
    assert "budget of 300 units of work used up" in text
    assert "violated" in text
    assert "holds" in text


def test_a_larger_budget_finds_more_and_never_something_else() -> None:
    system = toys.mutex(True, 3, crash=True)
    verdicts = [answer(system, "exclusive", rlimit=budget) for budget in (1, 1_000, 1_000_000)]
    assert verdicts[0].reason.startswith("budget of 1 units of work used up")
    assert verdicts[-1].status is Status.HOLDS
    assert {v.status for v in verdicts} <= {Status.UNKNOWN, Status.HOLDS}
