"""Generated code against evaluation by the book."""

from __future__ import annotations

import time
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import toys
from txweave.engines.explicit import DomainError, Program, check, explore
from txweave.engines.explicit.layout import unbox
from txweave.system import expr as x
from txweave.system.expr import BOOL, Domain, Elem
from txweave.system.ground import GroundAction, GroundCell, GroundRow, GroundRows, GroundSystem, ground
from txweave.system.sorted import Action, Function, Sort, StepInfo, System

DOMAINS = (
    (False, True),
    (None, False, True),
    (0, 1),
    (0, 1, 2, 3),
    (None, 3, 1, 2),
    (-2, -1, 0, 1),
    ("a", "b", "c"),
    ("c", "b", None),
    (Elem("s", 0), Elem("s", 1)),
    (None, Elem("s", 1), Elem("s", 0), Elem("t", 0)),
    (7,),
)
KINDS = {bool: "b", int: "i", str: "s", Elem: "e", type(None): "n"}


def value_of(node, state):
    """Evaluation by the book; ``<`` with a NULL is false."""
    match node:
        case x.Const(value):
            return value
        case x.Cell(index):
            return state[index]
        case x.Not(operand):
            return not value_of(operand, state)
        case x.And(operands):
            return all(value_of(o, state) for o in operands)
        case x.Or(operands):
            return any(value_of(o, state) for o in operands)
        case x.Equal(left, right):
            a, b = value_of(left, state), value_of(right, state)
            return type(a) is type(b) and a == b
        case x.Less(left, right):
            a, b = value_of(left, state), value_of(right, state)
            return a is not None and b is not None and a < b
        case x.Arith(operator, left, right):
            a, b = value_of(left, state), value_of(right, state)
            if a is None or b is None:
                return None
            return {"+": a + b, "-": a - b, "*": a * b}[operator]
        case x.Ite(condition, then, otherwise):
            return value_of(then if value_of(condition, state) else otherwise, state)
    raise AssertionError(node)


def system_of(domains, actions=(), initial=None):
    cells = [GroundCell(f"c{i}", f"c{i}", (), d, (initial or {}).get(i, d[0])) for i, d in enumerate(domains)]
    cells.append(GroundCell("out of bounds", "out of bounds", (), (None, "out of bounds"), None))
    source = Action("a", "step", None, (), x.TRUE, (), StepInfo("", "a"))
    made = tuple(GroundAction(f"a{i}", i, source, (), None, guard, updates) for i, (guard, updates) in enumerate(actions))
    return GroundSystem(System("made", (), (), (source,)), tuple(cells), made, (), (), (), {})


@st.composite
def systems(draw):
    domains = draw(st.lists(st.sampled_from(DOMAINS), min_size=2, max_size=4))
    kinds = [{KINDS[type(v)] for v in d} - {"n"} for d in domains]

    def cells(kind):
        return [x.cell(i) for i, k in enumerate(kinds) if k == {kind}]

    leaves = {
        "i": [*cells("i"), *map(x.const, (-1, 0, 1, 2, 5)), x.NULL],
        "s": [*cells("s"), *map(x.const, ("a", "b", "z")), x.NULL],
        "b": [*cells("b"), x.TRUE, x.FALSE, x.NULL],
    }
    anything = [*(x.cell(i) for i in range(len(domains))), *map(x.const, (None, True, 0, 1, "a", Elem("s", 0), Elem("t", 0)))]

    def term(depth, kind):
        if depth == 0 or draw(st.integers(0, 2)) == 0:
            return draw(st.sampled_from(leaves.get(kind) or anything))
        if kind == "i" and draw(st.booleans()):
            return x.arith(draw(st.sampled_from("+-*")), term(depth - 1, "i"), term(depth - 1, "i"))
        if kind == "b" and draw(st.booleans()):
            return formula(depth - 1)
        return x.ite(formula(depth - 1), term(depth - 1, kind), term(depth - 1, kind))

    pool = []

    def formula(depth):
        choice = draw(st.integers(0, 7))
        if pool and choice == 0:
            return draw(st.sampled_from(pool))  # shared
        if depth == 0 or choice <= 3:
            kind = draw(st.sampled_from(["i", "s", "b", "any"]))
            left, right = term(max(depth - 1, 0), kind), term(max(depth - 1, 0), kind)
            made = x.less(left, right) if kind in "is" and draw(st.booleans()) else x.equal(left, right)
        elif choice == 4:
            made = x.neg(formula(depth - 1))
        elif choice == 5:
            made = x.conj(*(formula(depth - 1) for _ in range(3)))
        elif choice == 6:
            made = x.disj(*(formula(depth - 1) for _ in range(3)))
        else:
            made = x.ite(formula(depth - 1), formula(depth - 1), formula(depth - 1))
        pool.append(made)
        return made

    conditions = [formula(3) for _ in range(4)]
    terms = [term(3, draw(st.sampled_from(["i", "s", "b", "any"]))) for _ in range(3)]
    actions = []
    for _ in range(draw(st.integers(1, 6))):
        updates = []
        for index in draw(st.sets(st.integers(0, len(domains) - 1))):
            body = term(2, next(iter(kinds[index])) if len(kinds[index]) == 1 else "any")
            updates.append((index, body))
        # As grounding does: an action is only possible if the new values are in their domains.
        inside = [x.disj(*(x.equal(body, x.const(v)) for v in domains[index])) for index, body in updates]
        parts = draw(st.lists(st.sampled_from([*pool, *map(x.neg, pool)]), max_size=3))
        actions.append((x.conj(*parts, *inside), tuple(updates)))
    return domains, conditions, terms, actions


def tagged(values):
    return [(type(v), v) for v in values]


@settings(max_examples=150, deadline=None)
@given(systems())
def test_code_says_what_the_expressions_say(case):
    domains, conditions, terms, actions = case
    system = system_of(domains, actions)
    program = Program(system)
    test = program.conditions(conditions)
    rows = program.rows(GroundRows(("x", "y", "z"), tuple(GroundRow(c, tuple(terms)) for c in conditions)))
    for values in product(*domains):
        state = (*values, None)
        packed = program.layout.pack(state)
        assert tagged(program.layout.unpack(packed)) == tagged(state)
        expected = [bool(value_of(c, state)) for c in conditions]
        assert [bool(test(packed) >> i & 1) for i in range(len(conditions))] == expected
        wanted = tagged(value_of(t, state) for t in terms)
        found = rows(packed)
        assert [number for number, _ in found] == [i for i, holds in enumerate(expected) if holds]
        assert all(tagged(map(unbox, row)) == wanted for _, row in found)
        after = []
        for number, (guard, updates) in enumerate(actions):
            if value_of(guard, state):
                new = list(state)
                for index, body in updates:
                    new[index] = value_of(body, state)
                after.append((number, tagged(new)))
        assert [(a, tagged(program.layout.unpack(s))) for a, s in program.successors(packed)] == after


def test_true_is_not_one():
    program = Program(system_of([(False, True), (0, 1), (None, 1, True)]))
    test = program.conditions([x.equal(x.cell(0), x.cell(1)), x.equal(x.cell(0), x.cell(2)), x.equal(x.cell(1), x.cell(2))])
    assert test(program.layout.pack((True, 1, True, None))) == 0b010
    assert test(program.layout.pack((True, 1, 1, None))) == 0b100
    assert test(program.layout.pack((False, 0, None, None))) == 0


def test_two_values_outside_a_domain_are_not_equal_for_that():
    left = x.ite(x.truth(x.cell(0)), x.cell(1), x.const(5))
    right = x.ite(x.truth(x.cell(2)), x.cell(3), x.const(7))
    program = Program(system_of([(False, True), (0, 1), (False, True), (1, 0)]))
    test = program.conditions([x.equal(left, right)])
    assert test(program.layout.pack((False, 0, False, 0, None))) == 0
    assert test(program.layout.pack((True, 0, True, 0, None))) == 1
    assert test(program.layout.pack((True, 0, False, 0, None))) == 0


def test_less_is_about_values_not_positions():
    program = Program(system_of([("b", "a"), ("b", "a", "c"), (None, 5, 1)]))
    test = program.conditions([x.less(x.cell(0), x.cell(1)), x.less(x.cell(2), x.const(3)), x.less(x.const(3), x.cell(2))])
    assert test(program.layout.pack(("b", "a", 1, None))) == 0b010
    assert test(program.layout.pack(("a", "b", 5, None))) == 0b101
    assert test(program.layout.pack(("a", "a", None, None))) == 0


def test_wide_states():
    domains = [tuple(range(1000))] * 30
    swap = tuple((i, x.cell((i + 1) % 30)) for i in range(30))
    program = Program(system_of(domains, [(x.TRUE, swap)]))
    assert program.layout.width == 30 * 16 - 6  # each in two bytes, of the last pair 10 bits
    state = (*range(900, 930), None)
    ((_, after),) = program.successors(program.layout.pack(state))
    assert program.layout.unpack(after) == (*range(901, 930), 900, None)


def test_a_long_chain_is_neither_too_deep_nor_slow():
    # A cardinality over many cells, compared and stored; Python's parser gives up at some hundred parentheses.
    size = 1000
    count = x.const(0)
    for i in range(size):
        count = x.arith("+", count, x.ite(x.equal(x.cell(i), x.const(1)), x.const(1), x.const(0)))
    choice = x.const(0)
    for i in range(size):
        choice = x.ite(x.less(x.cell(i), x.cell((i + 1) % size)), x.const(i % 2), choice)
    system = system_of([(0, 1)] * size, [(x.less(count, x.const(size)), ((0, choice), (1, x.const(1))))])
    program = Program(system)
    assert program.conditions([x.equal(count, x.const(2))])(0b101) == 1
    ((_, after),) = program.successors(0b100)
    assert after == 0b111  # cell 1 is less than cell 2, and 1 is odd


def test_a_shared_graph_is_not_unfolded():
    # As a tree this has 2 to the 60th leaves.
    node = x.cell(0)
    for i in range(60):
        node = x.ite(x.equal(x.cell(1 + i % 3), x.const(0)), x.ite(x.less(x.cell(3), node), node, x.cell(2)), node)
    system = system_of([tuple(range(4))] * 4, [(x.less(node, x.cell(2)), ((0, node),))])
    started = time.monotonic()
    program = Program(system)
    program.successors(program.initial)
    assert time.monotonic() - started < 5
    assert sum(map(len, program.sources)) < 20_000


def test_a_shared_condition_is_tested_once():
    shared = x.less(x.arith("+", x.cell(0), x.cell(1)), x.arith("+", x.cell(2), x.const(3)))
    actions = [(x.conj(shared, x.equal(x.cell(2), x.const(i))), ((0, x.const(0)),)) for i in range(4)]
    actions += [(x.conj(x.neg(shared), x.equal(x.cell(2), x.const(i))), ((1, x.const(0)),)) for i in range(4)]
    program = Program(system_of([tuple(range(100))] * 3, actions))
    assert len(program.successors(program.initial)) == 1
    assert sum(text.count(" + ") for text in program.sources) <= 3 * len(program.sources)


def test_a_condition_whose_cases_are_all_done_leaves_no_empty_branch():
    big = tuple(range(100))
    a, c, d = (x.less(x.arith("+", x.cell(i), x.cell(i + 1)), x.cell((i + 2) % 4)) for i in range(3))
    e = x.less(x.arith("*", x.cell(3), x.cell(0)), x.cell(1))
    guards = [x.conj(a, c), x.conj(a, d), x.conj(a, e), x.conj(x.neg(c), d), x.conj(x.neg(c), e)]
    program = Program(system_of([big] * 4, [(guard, ((0, x.const(0)),)) for guard in guards]))
    for state in product((0, 1, 3), repeat=4):
        found = [action for action, _ in program.successors(program.layout.pack((*state, None)))]
        assert found == [i for i, guard in enumerate(guards) if value_of(guard, state)]


def test_a_value_outside_its_domain_is_not_stored():
    system = system_of([(0, 1, 2)], [(x.TRUE, ((0, x.arith("+", x.cell(0), x.const(1))),))])
    with pytest.raises(DomainError, match=r"a0 gives c0 a value outside its domain"):
        explore(system)


def test_grounding_leads_values_outside_their_domain_out_of_bounds():
    system = ground(toys.counter(5))
    assert Program(system).successors(5) == [(0, -1)]
    assert check(system).coverage.bounds_hit == ("n",)


def test_actions_are_looked_up_by_the_place_of_their_process():
    p = x.local("p", "proc")
    places = Domain(values=tuple(range(50)))
    actions = tuple(
        toys.action(
            f"step{i}",
            x.equal(x.apply("pc", p), x.const(i)),
            params=(p,),
            actor=p,
            at={"pc": toys.one("pc", p, x.const(i + 1), "proc")},
        )
        for i in range(49)
    )
    system = ground(System("places", (Sort("proc", "processes", 2),), (Function("pc", ("proc",), places, 0),), actions))
    found = explore(system)
    assert len(found.packed) == 2500
    # One function for each place of each process, made when it was reached; none tests another place.
    assert len(found.program.sources) == 98
    assert all("if" not in text for text in found.program.sources)


def test_a_boolean_cell_is_a_formula():
    system = system_of([BOOL.values], [(x.truth(x.cell(0)), ((0, x.FALSE),)), (x.neg(x.truth(x.cell(0))), ((0, x.TRUE),))])
    assert len(explore(system).packed) == 2
