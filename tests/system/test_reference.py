"""The reference interpreter: by hand, and against the grounding."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import random_systems as rnd
import z3_toys as toys
from txweave.system import expr as x
from txweave.system import reference as ref
from txweave.system.expr import BOOL, NULL, Domain, Elem, Expr, Value
from txweave.system.ground import OUT, GroundSystem, ground
from txweave.system.sorted import Action, Function, Rows, Sort, StepInfo, System, Update, Witness

P0, P1 = Elem("P", 0), Elem("P", 1)


def key(value: Any) -> tuple[str, Any]:
    return type(value).__name__, value


def naive(node: Expr, state: tuple[Value, ...]) -> Any:
    """The obvious evaluation of a ground expression."""
    match node:
        case x.Const(value):
            return value
        case x.Cell(index):
            return state[index]
        case x.Not(operand):
            return not naive(operand, state)
        case x.And(operands):
            return all(naive(o, state) for o in operands)
        case x.Or(operands):
            return any(naive(o, state) for o in operands)
        case x.Equal(left, right):
            return key(naive(left, state)) == key(naive(right, state))
        case x.Less(left, right):
            a, b = naive(left, state), naive(right, state)
            return a is not None and b is not None and a < b
        case x.Arith(operator, left, right):
            a, b = naive(left, state), naive(right, state)
            if a is None or b is None:
                return None
            return a + b if operator == "+" else a - b if operator == "-" else a * b
        case x.Ite(condition, then, otherwise):
            return naive(then if naive(condition, state) else otherwise, state)
    raise TypeError(node)


def ground_successors(system: GroundSystem, state: tuple[Value, ...]) -> set[Any]:
    found = set()
    for action in system.actions:
        if naive(action.guard, state):
            new = dict(action.updates)
            after = tuple(naive(new[i], state) if i in new else v for i, v in enumerate(state))
            found.add((action.action.name, action.params, tuple(map(key, after))))
    return found


def cells(system: GroundSystem, state: ref.State) -> tuple[Value, ...]:
    return tuple(state[cell.function, cell.args] for cell in system.cells)


def reference_successors(system: System, grounded: GroundSystem, state: ref.State) -> set[Any]:
    return {(a.name, params, tuple(map(key, cells(grounded, s)))) for a, params, s in ref.successors(system, state)}


def same_everywhere(system: System, limit: int) -> int:
    grounded = ground(system)
    found = ref.explore(system, limit)
    assert cells(grounded, ref.initial(system)) == grounded.initial
    for state in found.states:
        here = cells(grounded, state)
        assert reference_successors(system, grounded, state) == ground_successors(grounded, here)
        for item in grounded.properties:
            if item.rows is not None and item.source.rows is not None:
                expected = [tuple(naive(v, here) for v in r.values) for r in item.rows.rows if naive(r.condition, here)]
                assert ref.rows(system, item.source.rows, state) == expected
        assert all(naive(c, here) for _, c in grounded.finished) == ref.finished(system, state)
        for item in grounded.fairness:
            source = system.fairness[0]
            assert naive(item.owed, here) == ref.holds(system, source.owed, state, {source.process: item.process})
    return len(found.states)


@pytest.mark.parametrize("system", [toys.mutex(False), toys.mutex(True, 3, True), toys.counter(3, True), toys.clocked(True)])
def test_ground_and_reference_agree_on_toys(system: System) -> None:
    assert same_everywhere(system, 200) > 3


@rnd.examples(120)
@given(rnd.systems())
def test_ground_and_reference_agree_on_random_systems(system: System) -> None:
    same_everywhere(system, 12)


# ------------------------------------------------------------------------------------------------------------ by hand


def little(*actions: Action, functions: tuple[Function, ...] = ()) -> System:
    own = (
        Function("n", ("P",), Domain((0, 1, 2)), 0, (((1,), 2),)),
        Function("to", ("P",), Domain(sorts=("P",), nullable=True), None),
        Function("on", (), BOOL, False),
    )
    return System("little", (Sort("P", "processes", 2),), (*own, *functions), actions)


def value(node: Expr, env: ref.Env | None = None) -> Any:
    system = little()
    return ref.evaluate(system, node, ref.initial(system), env)


def test_terms() -> None:
    p, q = x.local("p", "P"), x.local("q", "P")
    n = x.apply("n", p)
    assert value(n, {p: P0}) == 0
    assert value(x.count((p,), x.equal(n, x.const(2)))) == 1
    assert value(x.count((p, q), x.TRUE)) == 4
    assert value(x.fold("sum", (p,), x.exists((q,), x.TRUE), n)) == 2
    assert value(x.fold("min", (p,), x.equal(n, n), n)) == 0
    assert value(x.fold("max", (p,), x.equal(p, p), n)) == 2
    assert value(x.fold("sum", (p,), x.less(x.const(5), n), n)) is None
    assert value(x.fold("min", (p,), x.TRUE, x.ite(x.equal(n, x.const(0)), NULL, n))) == 2
    assert value(x.pick((p,), x.TRUE, p, NULL)) == P0
    assert value(x.pick((p,), x.less(x.const(0), n), p, NULL)) == P1
    assert value(x.pick((p,), x.less(n, x.const(0)), p, NULL)) is None
    assert value(x.arith("+", n, NULL), {p: P0}) is None
    assert value(x.arith("*", n, x.const(3)), {p: P1}) == 6
    assert value(x.equal(x.apply("to", p), NULL), {p: P0}) is True
    assert value(x.equal(x.apply("on"), x.const(0))) is False, "False is not 0"


def test_formulas() -> None:
    p, q = x.local("p", "P"), x.local("q", "P")
    n, positive = x.apply("n", p), x.less(x.const(0), x.apply("n", p))
    assert value(x.exists((p,), positive)) is True
    assert value(x.forall((p,), positive)) is False
    assert value(x.forall((p,), x.exists((q,), x.neg(x.equal(p, q))))) is True
    assert value(x.least(q, p, x.TRUE), {p: P0}) is True
    assert value(x.least(q, p, x.equal(q, q)), {p: P1}) is False
    assert value(x.least(q, p, x.less(x.const(0), x.apply("n", q))), {p: P1}) is True
    assert value(x.less(p, q), {p: P0, q: P1}) is True
    assert value(x.ite(positive, x.const("yes"), x.const("no")), {p: P0}) == "no"
    assert n is x.apply("n", p)


def test_what_the_language_leaves_open_is_not_decided() -> None:
    nobody = x.apply("to", x.const(P0))
    loose = x.equal(x.apply("n", nobody), x.const(0))
    assert value(loose) is ref.ANY
    assert value(x.less(nobody, x.const(P0))) is ref.ANY
    assert value(x.conj(loose, x.neg(x.equal(nobody, NULL)))) is False
    assert value(x.conj(x.equal(nobody, NULL), loose)) is ref.ANY
    assert value(x.disj(loose, x.equal(nobody, NULL))) is True
    p = x.local("p", "P")
    assert value(x.count((p,), loose)) is ref.ANY
    assert value(x.fold("sum", (p,), x.TRUE, x.apply("n", nobody))) is ref.ANY
    system = little()
    with pytest.raises(ref.Unspecified):
        ref.holds(system, loose, ref.initial(system))
    with pytest.raises(ref.Unspecified):
        ref.holds(system, nobody, ref.initial(system))
    with pytest.raises(ref.Unspecified):
        ref.rows(system, Rows(("c",), (Witness((), x.TRUE, (x.apply("n", nobody),)),)), ref.initial(system))


def act(name: str, guard: Expr, *updates: Update, params: tuple[x.Local, ...] = (), out: str | None = None) -> Action:
    return Action(name, "step", None, params, guard, updates, StepInfo("m", name), out=out)


def test_transitions_are_simultaneous_and_in_order() -> None:
    p, f = x.local("p", "P"), x.local("f", "P")
    swap = Update("n", (f,), x.arith("-", x.const(2), x.apply("n", f)))
    mark = Update(
        "to",
        (f,),
        x.ite(x.equal(f, p), x.pick((f2 := x.local("g", "P"),), x.equal(x.apply("n", f2), x.const(2)), f2, NULL), NULL),
    )
    system = little(act("swap", x.TRUE, swap, mark, params=(p,)), act("out", x.TRUE, out="row"), act("no", x.FALSE))
    start = ref.initial(system)
    steps = list(ref.successors(system, start))
    assert [(s.action.name, s.params) for s in steps] == [("swap", (P0,)), ("swap", (P1,)), ("out", ())]
    first, second, third = (s.state for s in steps)
    assert (first["n", (P0,)], first["n", (P1,)]) == (2, 0)
    assert (first["to", (P0,)], first["to", (P1,)]) == (P1, None)
    assert (second["to", (P0,)], second["to", (P1,)]) == (None, P1)
    assert third == {**start, (OUT, ()): "row"}
    assert list(ref.successors(system, third)) == []


def test_leaving_a_domain_is_out_of_bounds_and_changes_nothing_else() -> None:
    f = x.local("f", "P")
    system = little(act("up", x.TRUE, Update("n", (f,), x.arith("+", x.apply("n", f), x.const(1))), Update("on", (), x.TRUE)))
    (step,) = ref.successors(system, ref.initial(system))
    assert step.state == {**ref.initial(system), (OUT, ()): "n"}
    as_truth = little(act("up", x.TRUE, Update("n", (f,), x.equal(f, f))), act("up", x.TRUE, Update("on", (), x.const(1))))
    assert [s.state[OUT, ()] for s in ref.successors(as_truth, ref.initial(as_truth))] == ["n", "on"], "True is not 1"


def test_domains_are_sized_by_the_sorts() -> None:
    system = little(functions=(Function("age", ("P", "P"), Domain(ages=(-1, 2)), 0), Function("k", (), Domain(upto=("P", "P")), 0)))
    assert ref.values(system, system.function("age").domain) == list(range(-1, 9))
    assert ref.values(system, system.function("k").domain) == [0, 1, 2, 3, 4]
    assert ref.values(system, Domain(("x",), ("P",), nullable=True)) == [None, "x", P0, P1]


def test_exploration() -> None:
    found = ref.explore(toys.counter(4), 100)
    assert (len(found.states), found.depth, found.complete, found.bounds) == (5, 4, True, frozenset())
    cut = ref.explore(toys.counter(4), 3)
    assert (len(cut.states), cut.complete) == (3, False)
    assert ref.explore(toys.counter(4), 5).complete
    assert ref.explore(toys.counter(4, bound=True), 100).bounds == {"n"}


@rnd.examples(50)
@given(st.lists(st.sampled_from([0, 1, True, False, None, "0"]), min_size=2, max_size=2))
def test_identity_tells_values_of_different_types_apart(pair: list[Value]) -> None:
    one, two = ({("f", ()): v} for v in pair)
    assert (ref.identity(one) == ref.identity(two)) == ref.same(*pair)
