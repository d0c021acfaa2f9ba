"""Exploration a block at a time against that of single states, number for number, and against the reference interpreter."""

from __future__ import annotations

from itertools import pairwise, product
from pathlib import Path

import numpy as np
import pytest
import test_explicit_program as code
from hypothesis import given, settings
from hypothesis import strategies as st
from test_explicit_program import system_of, tagged, value_of

import random_systems
import toys
from toys import Edge
from txweave.check import prepare
from txweave.collect import Choice, collect
from txweave.engines.explicit import DomainError, Program, check, explore, reach, search
from txweave.engines.explicit.layout import unbox
from txweave.engines.frontier import kernel, queries, store
from txweave.engines.frontier.rows import integers, packed
from txweave.system import expr as x
from txweave.system import reference
from txweave.system.expr import Elem
from txweave.system.ground import OUT, GroundRow, GroundRows, ground
from txweave.verdict import Limits, Status

SPECS = Path(__file__).resolve().parents[2] / "specs"

TOYS = [
    toys.counter(4),
    toys.counter(4, stop=True),
    toys.bounded(),
    toys.mutex(2),
    toys.mutex(3, locked=False),
    toys.philosophers(3),
    toys.philosophers(5, polite=True),
    toys.two_phase_commit(2),
    toys.two_phase_commit(4, careless=True),
    toys.clock(5),
    toys.graph(3, [Edge(0, 1), Edge(0, 1), Edge(1, 1), Edge(1, None), Edge(1, 2)], rows=[2]),
]


def alike(plain, blocks):
    """Everything that was found is the same, in the same order."""
    assert list(blocks.packed) == list(plain.packed)
    assert blocks.parents.tolist() == plain.parents.tolist()
    assert blocks.via.tolist() == plain.via.tolist()
    assert blocks.levels == plain.levels
    assert blocks.expanded == plain.expanded
    assert blocks.taken == plain.taken
    assert blocks.bounds_hit == plain.bounds_hit
    assert blocks.found == plain.found
    assert blocks.stopped == plain.stopped
    for name in ("states", "sources", "targets"):
        assert getattr(blocks.quiet, name).tolist() == getattr(plain.quiet, name).tolist()
    assert (blocks.graph is None) == (plain.graph is None)
    if plain.graph is not None:
        for name in ("offsets", "targets", "actions"):
            assert getattr(blocks.graph, name).tolist() == getattr(plain.graph, name).tolist()


def both(system, wide=1, **options):
    plain = explore(system, wide=None, **options)
    blocks = explore(system, wide=wide, **options)
    alike(plain, blocks)
    return plain, blocks


def watched(system):
    return [item.rows.some for item in system.properties if item.rows is not None]


@pytest.mark.parametrize("size", [1, 3, 1 << 16])
@pytest.mark.parametrize("system", TOYS, ids=lambda s: s.name)
def test_toys(system, size, monkeypatch):
    monkeypatch.setattr("txweave.engines.frontier.search.BLOCK", size)
    monkeypatch.setattr("txweave.engines.frontier.search.LEAST", min(size, 5))  # so that blocks are computed ahead
    made = ground(system)
    both(made, graph=True, quiet=True, watched=watched(made))
    both(made)


@random_systems.examples(250)
@given(random_systems.systems())
def test_random_systems(system):
    made = ground(system)
    limits = Limits(max_states=3000)
    both(made, graph=True, quiet=True, watched=watched(made), limits=limits)
    both(made, wide=4, watched=watched(made), limits=limits)


@random_systems.examples(60)
@given(random_systems.systems(tiny=True))
def test_random_systems_by_the_reference(system):
    expected = reference.explore(system, 1500)
    if not expected.complete:
        return
    inside = [(state, depth) for state, depth in zip(expected.states, expected.depths, strict=True) if state[OUT, ()] is None]
    made = ground(system)
    found = explore(made, wide=1)
    assert len(found.packed) == len(inside)
    for number, (state, depth) in enumerate(inside):
        cells = {(c.function, c.args): v for c, v in zip(made.cells, found.state(number), strict=True)}
        assert cells == {key: value for key, value in state.items() if key in made.index}
        assert found.depth_of(number) == depth
    assert set(found.bounds_hit) == expected.bounds


@pytest.mark.parametrize(
    ("path", "chosen"),
    [
        ("two-commits", ()),
        ("job-queue/job-queue", ()),
        ("lease/lease", ()),
        ("transfer/transfer", ()),
        ("philosophers/philosophers", ()),
        ("airflow/headline", ("guard-or-age[scenario=orphan]", "exists-guard[scenario=two_requests]")),
        ("airflow/cutoff", ("within-6min[cut_off=5min]",)),
    ],
)
def test_specifications(path, chosen):
    collection = collect([str(SPECS / f"{path}.study.yaml")], Choice(cases=chosen))
    assert collection.cases
    for selected in collection.cases:
        system = prepare(selected)[1]
        both(system, graph=True, quiet=True, watched=watched(system), limits=Limits(max_states=8000))


def verdicts(outcome):
    return {
        name: (
            v.text,
            v.trace and [(taken.action.name, taken.state) for taken in v.trace.steps],
            v.trace and v.trace.witness,
            v.notes,
        )
        for name, v in outcome.verdicts.items()
    }


def checked(system, monkeypatch, wide, **options):
    monkeypatch.setattr(search.explore, "__kwdefaults__", {**search.explore.__kwdefaults__, "wide": wide})
    return check(system, **options)


@pytest.mark.parametrize("system", TOYS, ids=lambda s: s.name)
def test_verdicts_and_traces(system, monkeypatch):
    made = ground(system)
    plain, blocks = (checked(made, monkeypatch, wide) for wide in (None, 1))
    assert verdicts(plain) == verdicts(blocks)
    assert plain.coverage == blocks.coverage
    assert (plain.states, plain.transitions, plain.depth) == (blocks.states, blocks.transitions, blocks.depth)


@random_systems.examples(120)
@given(random_systems.systems(live=True))
def test_verdicts_of_random_systems(system):
    made = ground(system)
    with pytest.MonkeyPatch.context() as patch:
        plain, blocks = (checked(made, patch, wide, limits=Limits(max_states=2000)) for wide in (None, 1))
        patch.setattr(reach, "FEW", 0)
        scipy = checked(made, patch, 1, limits=Limits(max_states=2000))
    assert verdicts(plain) == verdicts(blocks) == verdicts(scipy)


# ------------------------------------------------------------------------------------------------- limits, interruptions


@pytest.mark.parametrize("most", [1, 2, 3, 50, 100, 287, 288])
def test_as_many_states_as_allowed_and_no_more(most):
    system = ground(toys.two_phase_commit(3))
    _, blocks = both(system, graph=True, quiet=True, watched=watched(system), limits=Limits(max_states=most))
    assert len(blocks.packed) == most
    assert blocks.stopped == ("max-states" if most < 288 else "")


@pytest.mark.parametrize("size", [1, 7, 1 << 16])
@pytest.mark.parametrize("most", [None, 10, 40, 100])
def test_the_first_violation_may_be_enough(size, most, monkeypatch):
    monkeypatch.setattr("txweave.engines.frontier.search.BLOCK", size)
    system = ground(toys.two_phase_commit(4, careless=True))
    rm = [number for number, cell in enumerate(system.cells) if cell.function == "rm"]
    first = [x.equal(x.cell(number), x.const(value)) for number, value in zip(rm, ("committed", "aborted"), strict=False)]
    for conditions in ([first[0]], first, [*first, x.FALSE], [*first, *watched(system)]):
        both(system, graph=True, quiet=True, watched=conditions, first_violation=True, limits=Limits(max_states=most))


def test_a_limit_leaves_what_is_known(monkeypatch):
    monkeypatch.setattr("txweave.engines.frontier.search.BLOCK", 10)
    system = ground(toys.two_phase_commit(4))
    full = explore(system, wide=None, graph=True)
    for many in (1, 5, 30):
        polls = 0

        def stop(many=many):
            nonlocal polls
            polls += 1
            return polls > many

        found = explore(system, wide=1, graph=True, limits=Limits(stop=stop))
        assert found.stopped == "interrupted"
        assert 0 < len(found.packed) < len(full.packed)
        assert list(found.packed) == full.packed[: len(found.packed)]
        assert found.expanded == 10 * many or found.expanded < 10 * many
        assert found.graph.offsets.tolist() == full.graph.offsets[: found.expanded + 1].tolist()
        assert found.levels == [level for level in full.levels if level < len(found.packed)]
    assert explore(system, wide=1, limits=Limits(timeout=0.0)).stopped == "timeout"
    assert explore(system, wide=1, limits=Limits(max_memory=1)).stopped == "memory"
    outcome = checked(system, monkeypatch, 1, limits=Limits(timeout=0.0))
    assert outcome.verdicts["consistent"].text == "unknown (timeout)"


@pytest.mark.parametrize("name", ["concatenate", "flatnonzero", "bincount", "argsort"])
@pytest.mark.parametrize("step", [1, 2, 3, 4, 5, 6, 7, 8, 13, 21])
def test_an_interruption_at_any_moment(name, step, monkeypatch):
    system = ground(toys.two_phase_commit(4))
    full = explore(system, wide=None, graph=True, quiet=True)
    monkeypatch.setattr("txweave.engines.frontier.search.BLOCK", 50)
    calls = 0

    def interrupting(function):
        def inner(*args, **kwargs):
            nonlocal calls
            calls += 1
            if calls == step:
                raise KeyboardInterrupt
            return function(*args, **kwargs)

        return inner

    monkeypatch.setattr(np, name, interrupting(getattr(np, name)))
    found = explore(system, wide=100, graph=True, quiet=True)
    monkeypatch.undo()
    assert found.stopped == "interrupted"
    count = len(found.packed)
    assert 0 < found.expanded <= count
    assert list(found.packed) == full.packed[:count]
    assert found.parents.tolist() == full.parents[:count].tolist()
    assert found.graph.offsets.tolist() == full.graph.offsets[: found.expanded + 1].tolist()
    edges = int(found.graph.offsets[-1])
    assert found.graph.targets.tolist() == full.graph.targets[:edges].tolist()
    assert found.graph.actions.tolist() == full.graph.actions[:edges].tolist()


def test_progress_is_reported():
    seen = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("txweave.engines.explicit.watch.PROGRESS", 0.0)
        explore(ground(toys.two_phase_commit(4)), wide=1, limits=Limits(progress=seen.append))
    assert len(seen) > 3
    assert all(a.states <= b.states and a.transitions <= b.transitions for a, b in pairwise(seen))


# ------------------------------------------------------------------------------------------------------------ wide states


def test_values_outside_their_domain_are_not_stored():
    for domain in (tuple(range(3)), tuple(range(255)), tuple(range(256)), tuple(range(300)), (0, 1, 2, 4)):
        system = system_of([domain, (0, 1)], [(x.TRUE, ((0, x.arith("+", x.cell(0), x.const(1))),))])
        with pytest.raises(DomainError, match=r"a0 gives c0 a value outside its domain"):
            explore(system, wide=1)


def test_an_error_in_a_block_that_is_computed_ahead(monkeypatch):
    monkeypatch.setattr("txweave.engines.frontier.search.BLOCK", 1)
    # Two counters, one of which may leave its domain: where it does, other blocks are under way.
    actions = [(x.TRUE, ((0, x.arith("+", x.cell(0), x.const(1))),)), (x.TRUE, ((1, x.const(1)),))]
    with pytest.raises(DomainError, match=r"a0 gives c0 a value outside its domain"):
        explore(system_of([tuple(range(5)), (0, 1)], actions), wide=1)


def test_what_is_computed_ahead_of_the_last_state_does_not_count(monkeypatch):
    monkeypatch.setattr("txweave.engines.frontier.search.BLOCK", 2)
    monkeypatch.setattr("txweave.engines.frontier.search.LEAST", 1)
    # The counter leaves its domain after seven steps; six suffice for the states that are wanted.
    system = system_of(
        [tuple(range(8)), (0, 1)], [(x.TRUE, ((0, x.arith("+", x.cell(0), x.const(1))),)), (x.TRUE, ((1, x.const(1)),))]
    )
    for most in range(1, 14):
        both(system, limits=Limits(max_states=most), graph=True)


def test_a_value_outside_its_domain_does_not_matter_where_the_guard_is_false():
    # In one block there are states in which a counter has come to its end and states in which it has not.
    actions = [(x.less(x.cell(i), x.const(2)), ((i, x.arith("+", x.cell(i), x.const(1))),)) for i in range(2)]
    _, blocks = both(system_of([(0, 1, 2), (0, 1, 2)], actions))
    assert len(blocks.packed) == 9


def test_cells_that_are_set_where_a_condition_holds_and_stay_elsewhere():
    # Cells of one word and of another, which share a condition, have it negated, and have one that always or never holds.
    small, nullable, truth, wide = tuple(range(5)), (None, 7, 8), (False, True), tuple(range(0, 90_000, 2))
    first = x.equal(x.cell(0), x.const(3))
    second = x.less(x.cell(0), x.cell(6))

    step = (0, x.ite(x.equal(x.cell(0), x.const(4)), x.const(0), x.arith("+", x.cell(0), x.const(1))))
    mixed = (
        step,
        (1, x.ite(first, x.const(None), x.cell(1))),
        (2, x.ite(first, x.const(True), x.cell(2))),
        (3, x.ite(x.neg(first), x.const(1998), x.cell(3))),
        (4, x.ite(second, x.cell(4), x.const(88_888))),
        (5, x.ite(x.disj(first, second), x.const(4), x.cell(5))),
        (7, x.ite(second, x.const(2), x.cell(7))),
        (8, x.ite(x.neg(second), x.const(44_444), x.cell(8))),
    )
    actions = [
        (x.TRUE, mixed),
        (x.TRUE, (step, (6, x.ite(second, x.const(0), x.cell(6))), (1, x.ite(second, x.const(8), x.cell(1))))),
        (x.less(x.cell(6), x.const(4)), ((6, x.arith("+", x.cell(6), x.const(1))), (2, x.ite(first, x.const(False), x.cell(2))))),
        # Where the guard holds, so does the condition, or it does not.
        (first, ((5, x.ite(first, x.const(1), x.cell(5))), (3, x.ite(x.equal(x.cell(0), x.const(2)), x.const(0), x.cell(3))))),
    ]
    plain, _ = both(
        system_of([small, nullable, truth, wide, wide, small, small, wide, wide], actions, {1: 7, 3: 40, 4: 60}), graph=True
    )
    assert plain.program.layout.words > 1
    assert len(plain.packed) > 100


def test_domains_of_more_than_a_byte():
    domains = [tuple(range(1000)), tuple(range(256)), (None, *range(-40_000, 40_000)), tuple(Elem("s", i) for i in range(300))]
    big = x.ite(x.equal(x.cell(2), x.NULL), x.const(-40_000), x.arith("+", x.cell(2), x.const(20_000)))
    actions = [
        (x.less(x.cell(0), x.const(667)), ((0, x.arith("+", x.cell(0), x.const(333))),)),
        (x.less(x.cell(1), x.cell(0)), ((1, x.arith("+", x.cell(1), x.const(85))), (3, x.const(Elem("s", 299))))),
        (x.neg(x.less(x.const(0), x.cell(2))), ((2, big),)),
        (x.equal(x.cell(0), x.const(999)), ((0, x.const(998)),)),
    ]
    # The second action leaves its domain at 255, where the first component is 333 or more.
    actions[1] = (x.conj(actions[1][0], x.less(x.cell(1), x.const(255))), actions[1][1])
    system = system_of(domains, actions)
    plain, _ = both(system, graph=True)
    assert len(plain.packed) > 20
    assert plain.program.layout.words == 2


def test_terms_of_very_many_values_are_computed_one_by_one():
    wide = tuple(range(0, 2_000, 7))
    product = x.arith("*", x.arith("*", x.cell(0), x.cell(1)), x.arith("+", x.cell(1), x.cell(2)))
    more = x.ite(x.less(x.cell(2), x.const(1400)), x.arith("+", x.cell(2), x.const(70)), x.const(7))
    actions = [
        (x.less(product, x.const(10**9)), ((0, x.cell(1)), (1, x.cell(2)), (2, more))),
        (x.equal(product, x.arith("*", x.cell(2), x.cell(2))), ((2, x.const(7)),)),
        (x.TRUE, ((0, x.ite(x.less(product, x.const(100)), x.const(7), x.const(14))),)),
    ]
    plain, _ = both(system_of([wide] * 3, actions, {0: 7, 1: 14, 2: 21}), graph=True, watched=[x.equal(product, x.const(0))])
    assert plain.program.translator.facts.possible[product] is None
    assert len(plain.packed) > 20


def test_many_words():
    size = 40
    domains = [tuple(range(50))] * size
    swap = tuple((i, x.cell((i + 1) % size)) for i in range(size))
    system = system_of(domains, [(x.TRUE, swap), (x.equal(x.cell(3), x.const(0)), ((3, x.const(49)),))], {5: 17})
    plain, blocks = both(system, limits=Limits(max_states=400), graph=True)
    assert plain.program.layout.words >= 5
    assert len({*blocks.packed}) == len(blocks.packed)


@pytest.mark.parametrize("bits", [0, 3, 40])
def test_a_hash_only_says_where_to_look(bits, monkeypatch):
    # Of so few bits that very many states have the same.
    hashes = store._hashes
    monkeypatch.setattr(store, "_hashes", lambda rows: hashes(rows) & np.uint64((1 << bits) - 1))
    both(ground(toys.two_phase_commit(3)), graph=True)
    domains = [tuple(range(200))] * 9
    swap = tuple((i, x.cell((i + 1) % 9)) for i in range(9))
    both(system_of(domains, [(x.TRUE, swap), (x.less(x.cell(3), x.const(3)), ((3, x.const(49)),))], {5: 17}), graph=True)


def test_the_store_numbers_states_in_the_order_in_which_they_come():
    random = np.random.default_rng(7)
    numbered: dict[bytes, int] = {}
    states = store.Store(3)
    for size in (1, 10, 0, 3_000, 20_000, 5, 40_000):
        rows = random.integers(0, 30, (size, 3)).astype(np.uint64) << np.uint64(7)
        numbers, fresh = states.add(rows)
        expected, new = [], []
        for place, row in enumerate(rows):
            if row.tobytes() not in numbered:
                new.append(place)
            expected.append(numbered.setdefault(row.tobytes(), len(numbered)))
        assert numbers.tolist() == expected
        assert fresh.tolist() == new
        assert states.count == len(numbered)
    assert [row.tobytes() for row in states.rows[: states.count]] == list(numbered)


def test_more_actions_than_two_bytes_can_number():
    count = (1 << 15) + 10
    found = explore(
        system_of([tuple(range(count + 1))], [(x.equal(x.cell(0), x.const(0)), ((0, x.const(i + 1)),)) for i in range(count)]),
        wide=1,
    )
    assert found.via.tolist() == [-1, *range(count)]


def test_hundreds_of_thousands_of_states():
    # Independent counters: the number of states is a product, and the level of a state is the sum of its counters.
    system = system_of(
        [tuple(range(9))] * 6, [(x.less(x.cell(i), x.const(8)), ((i, x.arith("+", x.cell(i), x.const(1))),)) for i in range(6)]
    )
    found = explore(system)
    assert (len(found.packed), found.transitions, found.depth) == (9**6, 6 * 8 * 9**5, 48)
    assert isinstance(found.packed[7], int)
    assert found.packed[5:7] == [found.packed[5], found.packed[6]]
    assert sum(found.state(9**6 - 2)[:6]) == 47
    assert len(found.path(9**6 - 1)) == 48


# ------------------------------------------------------------------------------------------- columns, conditions and rows


@settings(max_examples=150, deadline=None)
@given(code.systems())
def test_columns_say_what_the_expressions_say(case):
    domains, conditions, terms, actions = case
    program = Program(system_of(domains, actions))
    states = [(*values, None) for values in product(*domains)]
    block = packed([program.layout.pack(state) for state in states], program.layout.words)
    expected = [[bool(value_of(c, state)) for state in states] for c in conditions]
    assert [found.tolist() for found in queries.Conditions(program, conditions)(block)] == expected
    rows = GroundRows(("x", "y", "z"), tuple(GroundRow(c, tuple(terms)) for c in conditions))
    found = {(number, state): values for number, values, where in queries.Query(program, rows)(block) for state in where.tolist()}
    assert set(found) == {(i, n) for i, holds in enumerate(expected) for n, it in enumerate(holds) if it}
    for (_, number), values in found.items():
        assert tagged(map(unbox, values)) == tagged(value_of(t, states[number]) for t in terms)
    batch = kernel.Kernel(program).successors(block)
    after = list(zip(batch.sources.tolist(), batch.actions.tolist(), integers(batch.targets), strict=True))
    assert after == [(n, a, s) for n, state in enumerate(states) for a, s in program.successors(program.layout.pack(state))]


def test_columns_of_sums_beyond_a_byte():
    domains = [tuple(range(0, 200, 3)), tuple(range(0, 200, 7)), (0, 1)]
    total = x.arith("+", x.cell(0), x.cell(1))
    difference = x.arith("-", x.cell(0), x.arith("+", total, x.cell(1)))
    conditions = [
        x.equal(total, x.const(44)),
        x.equal(total, x.const(300)),
        x.less(total, x.const(260)),
        x.less(difference, x.const(-256)),
    ]
    program = Program(system_of(domains))
    states = [(*values, None) for values in product(*domains)]
    block = packed([program.layout.pack(state) for state in states], program.layout.words)
    for condition, mine in zip(conditions, queries.Conditions(program, conditions)(block), strict=True):
        assert mine.tolist() == [bool(value_of(condition, state)) for state in states]
        assert 0 < sum(mine.tolist()) < len(states)


def test_columns_of_sums_with_null_and_of_words_without_order():
    domains = [(None, 5, 1), (None, 0, 100, 200), ("b", "a", None), (False, True)]
    total = x.arith("-", x.arith("+", x.cell(0), x.cell(1)), x.const(7))
    conditions = [
        x.equal(total, x.NULL),
        x.less(total, x.cell(0)),
        x.less(x.cell(0), total),
        x.less(x.cell(2), x.const("b")),
        x.less(x.const("a"), x.cell(2)),
        x.equal(x.ite(x.truth(x.cell(3)), total, x.cell(2)), x.ite(x.truth(x.cell(3)), x.const(94), x.const("a"))),
        x.equal(x.arith("*", total, total), x.const(8836)),
    ]
    program = Program(system_of(domains))
    states = [(*values, None) for values in product(*domains)]
    block = packed([program.layout.pack(state) for state in states], program.layout.words)
    found = queries.Conditions(program, conditions)(block)
    for condition, mine in zip(conditions, found, strict=True):
        assert mine.tolist() == [bool(value_of(condition, state)) for state in states]
        assert 0 < sum(mine.tolist()) < len(states)


@random_systems.examples(80)
@given(random_systems.systems(), st.integers(1, 200))
def test_conditions_and_rows(system, size):
    made = ground(system)
    found = explore(made, wide=None, limits=Limits(max_states=500))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(queries, "BLOCK", size)
        for item in made.properties:
            if item.rows is None:
                continue
            test, rows = found.program.conditions([item.rows.some]), found.program.rows(item.rows)
            assert found.holds(item.rows.some).tolist() == [bool(test(state)) for state in found.packed]
            expected = {}
            for number, state in enumerate(found.packed):
                for _, values in rows(state):
                    expected.setdefault(values, set()).add(number)
            mine = found.where(item.rows)
            assert list(mine) == list(expected)
            assert {values: set(states.tolist()) for values, states in mine.items()} == expected


def test_more_processes_than_bits_in_a_word():
    edges = [Edge(0, 1, 0), Edge(1, 0, 69), Edge(0, 0, 1), Edge(1, 2, 68), Edge(2, 0, 69)]
    for kind in ("weak", "strong"):
        system = ground(toys.graph(3, edges, rows=[0], goal=[2], fairness=[kind] * 70))
        few = ground(
            toys.graph(
                3,
                [Edge(e.source, e.target, {0: 0, 69: 2, 1: 1, 68: 3}[e.process]) for e in edges],
                rows=[0],
                goal=[2],
                fairness=[kind] * 4,
            )
        )
        many, small = check(system).verdicts["leads"], check(few).verdicts["leads"]
        assert many.status is small.status
        assert (many.trace and many.trace.length) == (small.trace and small.trace.length)
    assert many.status is Status.HOLDS
