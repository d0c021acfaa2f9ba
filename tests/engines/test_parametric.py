"""Proofs for any number of processes and rows: what is proved, what is not, and the translation against the grounded system."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import toys
from txweave import lifting
from txweave.collect import Choice, collect
from txweave.engines import parametric
from txweave.engines.parametric import search as searching
from txweave.engines.parametric.logic import Logic, Sort, after
from txweave.engines.parametric.samples import instance
from txweave.engines.parametric.search import Fact, NotProved, Questions, Search, confirm
from txweave.engines.parametric.template import CHOICE, Refused, Template, lift, listed, relaxed
from txweave.spec.load import parse_model
from txweave.spec.syntax import Case
from txweave.spec.text import SourceFile
from txweave.system import expr as x
from txweave.system.expr import Elem
from txweave.system.sorted import Property, Rows, System, Witness
from txweave.verdict import Limits, Status, Verdict

SPECS = Path(__file__).resolve().parents[2] / "specs"

MODEL = """
model: one-active
database: {engine: postgresql, isolation: read committed}
schema: |
  CREATE TABLE guard (id INTEGER PRIMARY KEY);
  CREATE TABLE job (id SERIAL PRIMARY KEY, active BOOLEAN NOT NULL);
domains: {guard.id: [1]}
data: |
  INSERT INTO guard (id) VALUES (1);
procedures:
  start:
    steps:
      LOCK
      - look:
          sql: SELECT count(*) FROM job WHERE active
          into: running
      - refuse: {if: ":running > 0", then: [{stop: {raise: Busy}}]}
      - insert:
          sql: INSERT INTO job (active) VALUES (TRUE)
      - finish: commit
scenarios:
  two:
    processes:
      starter: {run: start, count: 2, crash: anywhere}
    bounds: {job: 2}
properties:
  one_active:
    never: SELECT count(*) FROM job WHERE active HAVING count(*) > 1
  never_sum:
    never: SELECT sum(guard.id) FROM guard JOIN job ON job.active HAVING sum(guard.id) > 5
"""
LOCK = """- lock:
          sql: SELECT id FROM guard WHERE id = 1 FOR UPDATE"""
WEAK_LOCK = LOCK.replace("FOR UPDATE", "FOR SHARE")


@cache
def pair(lock: str = LOCK) -> tuple[System, System]:
    """The model in two sizes, with a way to lock."""
    model = parse_model(SourceFile("one.model.yaml", MODEL.replace("LOCK", lock)))
    return lifting.systems(_case(model))


@dataclass(frozen=True)
class _Case:
    model: Any
    scenario: str = "two"


def _case(model: Any) -> Case:
    return _Case(model)  # type: ignore[return-value]


def verdict(systems: tuple[System, System], name: str) -> Verdict:
    """The engine's verdict on one property."""
    return parametric.check(*systems, [name], Limits()).verdicts[name]


@cache
def proved() -> tuple[Template, tuple[Fact, ...]]:
    """An invariant of the model with its lock."""
    one, other = pair()
    template = lift(one, other)
    questions = Questions(template)
    facts = Search(questions, parametric.harvest(template, one)).prove("one_active")
    return template, searching.minimise(questions, facts)


# ------------------------------------------------------------------------------------------------------------- verdicts


def test_one_lock_serialises_any_number_of_processes() -> None:
    found = verdict((toys.mutex(2), toys.mutex(3)), "exclusion")
    assert (found.status, found.text) == (Status.PROVED, "proved (any number of proc)")


def test_a_lock_that_nobody_looks_at_proves_nothing() -> None:
    found = verdict((toys.mutex(2, locked=False), toys.mutex(3, locked=False)), "exclusion")
    assert found.status is Status.UNKNOWN
    assert "enter" in found.reason
    assert "critical" in found.notes[0]


def test_statements_under_a_row_lock_are_proved_for_any_number() -> None:
    found = verdict(pair(), "one_active")
    assert found.status is Status.PROVED, found.reason
    assert found.text == "proved (any number of starter, job)"
    assert any("lock on guard#1" in note for note in found.notes), "the argument is about the lock"
    assert any(note.startswith("guard keeps its size") for note in found.notes)


@pytest.mark.parametrize("lock", ["", WEAK_LOCK], ids=["no lock", "a lock that goes with itself"])
def test_without_the_lock_there_is_no_proof(lock: str) -> None:
    found = verdict(pair(lock), "one_active")
    assert found.status is Status.UNKNOWN
    assert "starter." in found.reason, "the step that breaks it is named"


def test_what_has_no_translation_is_refused_by_name() -> None:
    found = verdict(pair(), "never_sum")
    assert found.status is Status.UNKNOWN
    assert "a sum over guard, job is outside" in found.reason


def test_the_passing_of_time_is_refused_by_name() -> None:
    """Ages are kept as far as the timestamps of given rows need it, and nobody has shown that this is enough for any number."""
    (case, *_) = collect((str(SPECS / "lease" / "lease.study.yaml"),), Choice()).cases
    one, other = lifting.systems(case.case)
    found = parametric.check(one, other, [p.name for p in one.properties if p.kind == "never"], Limits()).verdicts
    assert found
    assert {v.status for v in found.values()} == {Status.UNKNOWN}
    assert all("the passing of time is outside" in v.reason for v in found.values())


def test_systems_that_differ_in_more_than_their_sizes_are_refused() -> None:
    with pytest.raises(Refused, match="the step enter depends on how many"):
        lift(toys.mutex(2), toys.mutex(3, locked=False))


def test_a_budget_that_is_used_up_is_no_proof(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(searching, "RLIMIT", 1)
    found = verdict((toys.mutex(2), toys.mutex(3)), "exclusion")
    assert found.status is Status.UNKNOWN
    assert "does not decide within its budget" in found.reason


def test_what_is_stopped_is_unknown() -> None:
    found = parametric.check(toys.mutex(2), toys.mutex(3), ["exclusion"], Limits(stop=lambda: True))
    assert found.stopped == "interrupted"
    assert found.verdicts["exclusion"].status is Status.UNKNOWN


# ------------------------------------------------------------------------------------------------------------ invariants


def test_an_invariant_is_confirmed_and_not_without_its_clauses() -> None:
    template, facts = proved()
    assert confirm(template, facts) > len(facts)
    with pytest.raises(NotProved, match="not kept by"):
        confirm(template, [f for f in facts if f.candidate is None])
    lock = next(f for f in facts if "starter 1 and starter 2" in searching.say(template, f))
    with pytest.raises(NotProved, match="not kept by starter"):
        confirm(template, [f for f in facts if f is not lock])


def test_a_clause_that_fails_at_the_start_or_is_not_kept_is_not_confirmed() -> None:
    template, facts = proved()
    p = x.local("p", "starter")
    never = Fact("clause", (p,), x.neg(x.equal(x.apply("starter.~pc", p), x.const("(idle)"))))
    with pytest.raises(NotProved, match="at the start"):
        confirm(template, [*facts, never])
    always = Fact("clause", (p,), x.equal(x.apply("starter.~pc", p), x.const("(idle)")))
    with pytest.raises(NotProved, match=r"not kept by starter\.lock"):
        confirm(template, [*facts, always])


def test_the_clauses_of_a_proof_hold_in_every_state_of_a_larger_instance() -> None:
    """As closed expressions of the system that was given."""
    from txweave.engines import explicit

    one, _ = pair()
    template, facts = proved()
    system = instance(one, {"starter": 3, "job": 3})
    found = explicit.explore(system)
    assert found.complete
    assert len(found.packed) > 100
    numbers = random.Random(1).sample(range(len(found.packed)), 100)
    for number in numbers:
        state = found.state(number)
        if state[-1] is None:
            for fact in facts:
                assert evaluate(system, state, parametric.closed(template, fact)), searching.say(template, fact)


# ---------------------------------------------------------------------------- the translation and the grounded system agree


def evaluate(system: Any, state: tuple[Any, ...], formula: x.Expr) -> bool:
    """A closed formula of the sorted system in a state of the grounded one."""
    from txweave.system.ground import Grounder

    grounder = Grounder(system.system)
    return value(grounder.ground(formula, {}), state) is True


def value(node: x.Expr, state: tuple[Any, ...]) -> Any:
    """The value of a ground expression."""

    def change(item: x.Expr) -> x.Expr | None:
        return x.const(state[item.index]) if isinstance(item, x.Cell) else None

    result = x.transform(node, change)
    assert isinstance(result, x.Const), result
    return result.value


class World:
    """A state of an instance as a finite structure for Z3."""

    def __init__(self, template: Template, system: Any, state: tuple[Any, ...]) -> None:
        import z3

        self.z3 = z3
        self.logic = Logic(template, z3.Context())
        self.solver = z3.Solver(ctx=self.logic.context)
        self.elements = {
            Elem(s, i): z3.Const(f"{s}@{i}", self.logic.sorts[s]) for s in template.sorts for i in range(system.system.sort(s).size)
        }
        for sort in template.sorts:
            own = [e for k, e in self.elements.items() if k.sort == sort]
            any_ = z3.Const("any", self.logic.sorts[sort])
            self.solver.add(z3.ForAll([any_], z3.Or([any_ == e for e in own])), *([z3.Distinct(*own)] if len(own) > 1 else []))
        for name in template.functions:
            for args, result in table(template, system, state, name):
                self.solver.add(self.says(name, args, result))

    def says(self, name: str, args: tuple[Elem, ...], result: Any) -> Any:
        """That a function has just this value."""
        z3, logic = self.z3, self.logic
        terms = [self.elements[a] for a in args]
        parts = []
        for v in logic.values(name):
            here = logic.relation(name, v)(*terms)
            parts.append(here if type(v) is type(result) and v == result else z3.Not(here))
        for sort in logic.function(name).domain.sorts:
            for key, element in self.elements.items():
                if key.sort == sort:
                    here = logic.relation(name, Sort(sort))(*terms, element)
                    parts.append(here if key == result else z3.Not(here))
        return z3.And(parts)

    def possible(self, env: dict[x.Local, Elem], *formulas: Any) -> bool:
        """Whether formulas can hold when locals are these elements."""
        self.solver.push()
        self.solver.add(*(self.logic.constant(k) == self.elements[v] for k, v in env.items()), *formulas)
        answer = self.solver.check()
        self.solver.pop()
        assert answer in (self.z3.sat, self.z3.unsat)
        return bool(answer == self.z3.sat)


def table(template: Template, system: Any, state: tuple[Any, ...], name: str) -> list[tuple[tuple[Elem, ...], Any]]:
    """The values of a template's function in a state."""
    from itertools import product

    found = []
    origin = template.origins[name]
    for args in product(*([Elem(s, i) for i in range(system.system.sort(s).size)] for s in template.functions[name].params)):
        rest = iter(args)
        full = tuple(next(rest) if e is None else e for e in origin.args)
        found.append((args, system.value(state, origin.function, full)))
    return found


def chosen(action: Any) -> bool:
    """Whether an action of a template leaves something open."""
    nodes = [action.guard, *(u.body for u in action.updates)]
    return any(name.startswith(CHOICE) for name in x.functions_in(nodes))


@pytest.mark.parametrize("make", [lambda: pair(), lambda: (toys.mutex(2), toys.mutex(3))], ids=["sql", "mutex"])
def test_template_and_grounded_system_take_the_same_steps(make: Callable[[], tuple[System, System]]) -> None:
    """In states of an instance: an action is enabled in the translation just where it is in the grounded system, and leads
    to the same values.  A free row is any in the template, and the first in the grounded system: there only one way holds."""
    from txweave.engines import explicit

    one, other = make()
    template = lift(one, other)
    system = instance(relaxed(one), dict.fromkeys(template.sorts, 2))
    found = explicit.explore(system)
    assert found.complete
    actions = {a.name: a for a in template.actions}
    numbers = random.Random(2).sample(range(len(found.packed)), min(25, len(found.packed)))
    enabled = disabled = 0
    for number in numbers:
        state = found.state(number)
        if state[-1] is not None:
            continue
        world = World(template, system, state)
        for ground in system.actions:
            fixed = [v for v in ground.params if isinstance(v, Elem) and v.sort not in template.sorts]
            name = ground.action.name + (f" ({', '.join(map(str, fixed))})" if fixed else "")
            action = actions.get(name)
            if action is None or ground.name.endswith("! job"):
                continue
            assert not chosen(action)
            lifted = [v for v in ground.params if isinstance(v, Elem) and v.sort in template.sorts]
            env = dict(zip(action.params, lifted, strict=True))
            guard = world.logic.formula(action.guard)
            if value(ground.guard, state) is not True:
                disabled += 1
                if "Least" not in x.show(ground.action.guard):
                    assert not world.possible(env, guard), (ground.name, state)
                continue
            enabled += 1
            following = list(state)
            for cell, body in ground.updates:
                following[cell] = value(body, state)
            result = []
            for function in template.functions:
                for args, expected in table(template, system, tuple(following), function):
                    names = tuple(x.local(a.sort, a.sort) for a in args)
                    env.update(zip(names, args, strict=True))
                    term = after(action, x.apply(function, *names))
                    if isinstance(expected, Elem) and expected.sort in template.sorts:
                        element = x.local(expected.sort, expected.sort)
                        env[element] = expected
                        result.append(world.logic.formula(x.equal(term, element)))
                    elif expected in listed(template.functions[function].domain):
                        result.append(world.logic.has(term, expected))
            together = world.z3.And(result)
            assert world.possible(env, guard, together), (ground.name, state)
            assert not world.possible(env, guard, world.z3.Not(together)), (ground.name, state)
    assert enabled >= 14
    assert disabled >= 14


def test_a_property_of_several_sorts_is_a_goal() -> None:
    """The exclusion of toys.mutex, with the two processes told apart by a relation that no clause can use."""
    p, q = x.local("p", "proc"), x.local("q", "proc")
    both = x.conj(*(x.equal(x.apply("pc", r), x.const("critical")) for r in (p, q)), x.neg(x.equal(p, q)))
    more = Property("pairs", "never", Rows(("n",), (Witness((), x.less(x.const(1), x.count((p, q), both)), (x.const(1),)),)))
    systems = tuple(replace(s, properties=(more,)) for s in (toys.mutex(2), toys.mutex(3)))
    assert verdict(systems, "pairs").status is Status.PROVED  # type: ignore[arg-type]
