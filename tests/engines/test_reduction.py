"""Reductions against the search without them: the same verdicts, the same counterexamples; and when they are left out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

import generate
import job_tables
import random_systems
import toys
from txweave.check import Options, prepare, run_case
from txweave.collect import Choice, collect
from txweave.engines import explicit
from txweave.engines.explicit import Program, check, explore
from txweave.engines.frontier.rows import integers, packed
from txweave.engines.reduction.key import Reduction, compiled, reduction
from txweave.engines.reduction.live import live
from txweave.engines.reduction.symmetry import MOST, Orbit, orbits, renamings
from txweave.judge import judge
from txweave.semantics import lower
from txweave.spec.load import load_model
from txweave.sql.bind import bind_model
from txweave.system import expr as x
from txweave.system.expr import Domain, Elem
from txweave.system.ground import ground
from txweave.system.sorted import Action, Function, Property, Rows, Sort, StepInfo, System, Update, Witness
from txweave.verdict import Limits, Status

SPECS = Path(__file__).resolve().parents[2] / "specs"


@pytest.fixture(autouse=True)
def _always(monkeypatch):
    """Reductions of small systems, too."""
    monkeypatch.setattr(explicit, "ENOUGH", 1)


def safe(system):
    """The names of the properties that are no leads-to."""
    return [item.name for item in system.properties if item.kind != "leads_to"]


def compared(system, names=None):
    """Checks with and without reductions; what is found must be the same, and be found by single states and by blocks."""
    names = safe(system) if names is None else names
    plain, reduced = check(system, names), check(system, names, reduce=True)
    assert reduced.complete == plain.complete
    assert reduced.depth <= plain.depth
    assert reduced.states <= plain.states
    for name, verdict in plain.verdicts.items():
        other = reduced.verdicts[name]
        assert (other.status, other.text, other.notes) == (verdict.status, verdict.text, verdict.notes), name
        if verdict.trace is not None:
            # Not only as long: the same run.
            assert other.trace.steps == verdict.trace.steps, name
            assert other.trace.witness == verdict.trace.witness, name
            assert judge(other.trace, name) == (), name
    assert reduced.coverage.bounds_hit == plain.coverage.bounds_hit
    assert [bool(n) for n in reduced.coverage.taken] == [bool(n) for n in plain.coverage.taken]
    program = Program(system)
    found = reduction(program, [system.find(name) for name in names])
    if found is not None:
        blocks_are_alike(system, program, found)
        keys_are_alike(system, program, found)
    return plain, reduced


def blocks_are_alike(system, program, found):
    """Blocks of states and single states find the same."""
    watched = [item.rows.some for item in system.properties if item.kind == "never"]
    one = explore(system, program=program, reduction=found, quiet=True, graph=True, watched=watched, wide=None)
    two = explore(system, program=program, reduction=found, quiet=True, graph=True, watched=watched, wide=1)
    assert list(one.packed) == list(two.packed)
    assert one.via.tolist() == two.via.tolist()
    assert one.parents.tolist() == two.parents.tolist()
    assert one.taken == two.taken
    assert one.found == two.found
    assert one.graph.targets.tolist() == two.graph.targets.tolist()
    assert one.graph.actions.tolist() == two.graph.actions.tolist()


def keys_are_alike(system, program, found):
    """The key of each state, of its key, and of all its renamings is one; blocks have the same keys."""
    states = list(explore(system, program=program).packed)[:300]
    keys = [found.key(state) for state in states]
    assert integers(found.keys(packed(states, program.layout.words))) == keys
    assert [found.key(key) for key in keys] == keys
    if found.live is None:
        for renaming in renamings(found.orbits):
            for state, key in zip(states, keys, strict=True):
                assert found.key(renamed(program, state, renaming)) == key


def renamed(program, state, renaming):
    """A packed state with other names for processes, by way of its values."""
    cells, index = program.ground.cells, program.ground.index
    values = list(program.ground.initial)
    for cell, value in zip(cells, program.layout.unpack(state), strict=True):
        there = index[cell.function, tuple(renaming.get(arg, arg) for arg in cell.args)]
        values[there] = renaming.get(value, value) if isinstance(value, Elem) else value
    return program.layout.pack(tuple(values))


# ------------------------------------------------------------------------------------------------------ random systems


def prepared(seed, *, symmetric):
    """A random system whose processes have places; ``symmetric``: without what tells them apart at the start."""
    system = random_systems.make(seed)
    functions = []
    for function in system.functions:
        known = replace(function, about=("pc", random_systems.P)) if function.name == "pc" else function
        functions.append(replace(known, overrides=()) if symmetric and known.name == "pc" else known)
    properties = [item for item in system.properties if not (symmetric and item.name == "rare")]
    possible = next(item for item in system.properties if item.name == "never")
    properties.append(replace(possible, name="possible", kind="always_possible"))
    return replace(system, functions=tuple(functions), properties=tuple(properties))


def test_random_systems():
    kinds = {"live": 0, "symmetry": 0}

    @random_systems.examples(150)
    @given(st.integers(0, 2**32), st.booleans())
    def every(seed, symmetric):
        plain, reduced = compared(ground(prepared(seed, symmetric=symmetric)))
        if reduced.states < plain.states:
            kinds["symmetry" if reduced.reductions[0].startswith("symmetry") else "live"] += 1

    every()
    # Neither kind was left out.
    assert min(kinds.values()) > 10, kinds


# ------------------------------------------------------------------------------------------------------------ SQL


def generated(seed):
    """A generated specification in which one role has two processes."""
    text = generate.generate(seed)
    role = Random(seed).choice("ab")
    return text.replace(f'"{role}": {{"run"', f'"{role}": {{"count": 2, "run"', 1)


SEEDS = (0, 1, 2, 4, 5, 7, 8, 9, 11, 12, 13, 17, 18)
"""Those of the first that make small systems; all below 40 were tried once."""


def test_generated_specifications(tmp_path):
    reduced = 0
    for seed in SEEDS:
        path = tmp_path / f"m{seed}.model.yaml"
        path.write_text(generated(seed), encoding="utf-8")
        system = ground(lower(bind_model(load_model(str(path))), "only"))
        plain, other = compared(system)
        reduced += other.states < plain.states
    assert reduced == len(SEEDS)


def case(path, name):
    (found,) = collect((str(SPECS / path),), Choice(cases=(name,))).cases
    return found


@pytest.mark.parametrize(
    ("path", "name", "counts"),
    [
        ("two-commits.study.yaml", "guarded", (6030, 2856)),
        ("job-queue/job-queue.study.yaml", "skip_locked", (116, 61)),
        ("job-queue/job-queue.study.yaml", "as_written", (100, 57)),
        ("lease/lease.study.yaml", "no_long_pause", (626, 324)),
        ("lost-update/lost-update.study.yaml", "locked", (18, 10)),
        ("two-phase-commit/two-phase-commit.study.yaml", "all_is_well", (6844, 6844)),
    ],
)
def test_specifications(path, name, counts):
    _, system = prepare(case(path, name))
    plain, reduced = compared(system)
    assert (plain.states, reduced.states) == counts


# -------------------------------------------------------------------------------------------------- what is symmetric


def test_interchangeable_processes():
    system = toys.mutex(3)
    assert orbits(system, [p for p in system.properties if p.kind != "leads_to"]) == (Orbit(system.sorts[0].name, (0, 1, 2)),)
    plain, reduced = compared(ground(system))
    assert reduced.states < plain.states / 2
    assert reduced.reductions[0] == f"symmetry of 3 {system.sorts[0].name} processes"


def test_many_processes_are_not_all_interchanged():
    system = toys.mutex(8)
    (orbit,) = orbits(system, [])
    assert len(list(renamings([orbit]))) == MOST - 1


def with_property(system, condition):
    """The system with a ``never`` on one process."""
    p = x.local("p", system.sorts[0].name)
    rows = Rows(("p",), (Witness((p,), condition(p), (p,)),))
    return replace(system, properties=(Property("named", "never", rows),))


def place(system):
    return next(f.name for f in system.functions if f.params == (system.sorts[0].name,))


def test_a_property_that_names_a_process():
    system = toys.mutex(3)
    sort = system.sorts[0].name
    named = with_property(system, lambda p: x.equal(p, x.const(Elem(sort, 1))))
    assert orbits(named, named.properties) == ()
    assert orbits(named, []) != ()
    both = with_property(system, lambda p: x.equal(x.apply(place(system), p), x.apply(place(system), p)))
    assert orbits(both, both.properties) != ()


def test_a_property_that_asks_for_an_order_of_processes():
    system = toys.mutex(3)
    q = x.local("q", system.sorts[0].name)
    for condition in (
        lambda p: x.exists((q,), x.less(p, q)),
        lambda p: x.exists((q,), x.less(x.ite(x.equal(p, q), p, q), p)),
        lambda p: x.equal(x.pick((q,), x.equal(x.apply(place(system), q), x.NULL), q, p), p),
        lambda p: x.least(q, p, x.equal(x.apply(place(system), q), x.NULL)),
        lambda p: x.equal(x.fold("min", (q,), x.TRUE, q), p),
    ):
        assert orbits(with_property(system, condition), with_property(system, condition).properties) == ()


def test_processes_that_begin_differently():
    system = toys.mutex(3)
    sort = system.sorts[0].name
    number = Function("number", (sort,), Domain((0, 1)), 0, (((2,), 1),))
    assert orbits(replace(system, functions=(*system.functions, number)), []) == (Orbit(sort, (0, 1)),)
    favourite = Function("favourite", (), Domain(sorts=(sort,)), Elem(sort, 0))
    assert orbits(replace(system, functions=(*system.functions, favourite)), []) == (Orbit(sort, (1, 2)),)
    truth = Function("truth", (sort,), Domain((0, 1, True)), 1, (((0,), True),))
    assert orbits(replace(system, functions=(*system.functions, truth)), []) == (Orbit(sort, (1, 2)),)
    listed = Function("listed", (), Domain((Elem(sort, 0),), nullable=True), None)
    assert orbits(replace(system, functions=(*system.functions, listed)), []) == ()


def test_an_action_of_one_process():
    system = toys.mutex(3)
    sort = system.sorts[0].name
    first = system.actions[0]
    guarded = replace(first, guard=x.conj(first.guard, x.neg(x.equal(first.params[0], x.const(Elem(sort, 0))))))
    assert orbits(replace(system, actions=(guarded, *system.actions[1:])), []) == ()


def test_neighbours_at_a_table():
    """Each takes the forks beside it: those who sit there are fixed functions that tell the philosophers apart."""
    system = toys.philosophers(3)
    assert orbits(system, []) == ()
    compared(ground(system))


@pytest.mark.parametrize("source", [toys.mutex(3), job_tables.system()], ids=lambda s: s.name)
def test_a_renaming_moves_cells_and_values(source):
    system = ground(source)
    program = Program(system)
    sort = next(sort for sort in source.sorts if sort.kind == "processes")
    renaming = {Elem(sort.name, n): Elem(sort.name, (n + 1) % sort.size) for n in range(sort.size)}
    found = Reduction(program.layout, None, (), (compiled(program, renaming),))
    states = list(explore(system, program=program).packed)
    others = [renamed(program, state, renaming) for state in states]
    assert others != states
    assert [found.key(state) for state in states] == list(map(min, states, others))
    assert integers(found.keys(packed(states, program.layout.words))) == list(map(min, states, others))


# -------------------------------------------------------------------------------------------------------- what is live


def test_what_is_never_read_again_does_not_matter():
    """The id that a request keeps is read while it runs, and no longer when it has crashed or is done."""
    _, system = prepare(case("two-commits.study.yaml", "guarded"))
    program = Program(system)
    found = live(program, [item for item in system.properties if item.kind == "never"])
    fields, index = program.layout.fields, system.index
    process = Elem("request", 0)
    place, kept = fields[index["request.~pc", (process,)]], fields[index["request.backfill_id", (process,)]]
    matters = {
        program.layout.fields[cell].codes.boxes[code]: bool(bits & kept.mask << kept.shift)
        for cell, table in found.tables
        for code, bits in enumerate(table)
        if cell == index["request.~pc", (process,)]
    }
    assert set(matters) == set(place.codes.boxes)
    assert {name for name, wanted in matters.items() if not wanted} == {"(done)", "(failed)", "(crashed)"}
    bits = Reduction(program.layout, found, (), ())
    assert len(explore(system, program=program, reduction=bits).packed) == 4098


def relay(copies):
    """A writer chooses 0 or 1, counts up, and it (or time) copies the number to where a reader finds it: bad if it is 2."""
    p, q = x.local("p", "writer"), x.local("q", "reader")

    def put(function, formal, new, *args):
        return Update(
            function, (formal,) if args else (), x.ite(x.equal(formal, args[0]), new, x.apply(function, formal)) if args else new
        )

    def step(name, actor, role, before, after, *updates, guard=x.TRUE):
        formal = x.local("f", role)
        here = x.equal(x.apply(f"{role}.pc", actor), x.const(before))
        moved = put(f"{role}.pc", formal, x.const(after), actor)
        return Action(name, "step", actor, (actor,), x.conj(here, guard), (*updates, moved), StepInfo("m", name), role)

    shared = Update("shared", (), x.apply("number"))
    actions = [step(f"choose {n}", p, "writer", "a", "b", Update("number", (), x.const(n))) for n in (0, 1)]
    actions.append(step("count", p, "writer", "b", "c", Update("number", (), x.arith("+", x.apply("number"), x.const(1)))))
    actions.append(step("copy", p, "writer", "c", "d", *([shared] if copies == "writer" else [])))
    if copies == "time":
        actions.append(Action("tick", "tick", None, (), x.TRUE, (shared,), StepInfo("", "tick")))
    actions.append(step("read", q, "reader", "a", "bad", guard=x.equal(x.apply("shared"), x.const(2))))
    places = Domain(("a", "b", "c", "d", "bad"))
    functions = (
        Function("writer.pc", ("writer",), places, "a", about=("pc", "writer")),
        Function("reader.pc", ("reader",), places, "a", about=("pc", "reader")),
        Function("number", (), Domain((0, 1, 2)), 0),
        Function("shared", (), Domain((0, 1, 2)), 0),
    )
    rows = Rows(("q",), (Witness((q,), x.equal(x.apply("reader.pc", q), x.const("bad")), (q,)),))
    sorts = (Sort("writer", "processes", 1), Sort("reader", "processes", 1))
    return System("relay", sorts, functions, tuple(actions), (Property("fine", "never", rows),), timed=copies == "time")


@pytest.mark.parametrize("copies", ["writer", "time"])
def test_what_matters_is_handed_on(copies):
    """The number is read by nobody but the copy, the copy by nobody but another process."""
    plain, reduced = compared(ground(relay(copies)))
    assert plain.verdicts["fine"].status is Status.VIOLATED
    assert reduced.reductions == ("live variables",)


def test_what_a_property_reads_matters():
    system = ground(job_tables.system())
    program = Program(system)
    asked = [item for item in system.properties if item.kind == "never"]
    whole = live(program, asked)
    bits = Reduction(program.layout, whole, (), ()) if whole is not None else None
    for item in asked:
        test = program.conditions([item.rows.some])
        for state in explore(system, program=program).packed:
            assert bits is None or test(bits.key(state)) == test(state)


# ------------------------------------------------------------------------------------------------------- what is said


def test_leads_to_properties_are_checked_on_every_state():
    chosen = case("two-commits.study.yaml", "guarded")
    found = run_case(chosen, Options(engine="explicit"))
    (exploration,) = found.explorations
    assert exploration.states == 6030
    assert exploration.reductions == ()
    assert exploration.unreduced == explicit.LEADS_TO
    _, system = prepare(chosen)
    with pytest.raises(ValueError, match="leads-to"):
        reduction(Program(system), system.properties)


def test_reductions_are_told():
    chosen = case("two-commits.study.yaml", "guarded")
    options = Options(engine="explicit", properties=("no_premature_completion", "one_active_backfill"))
    found = run_case(chosen, options)
    (exploration,) = found.explorations
    assert exploration.states == 2856
    assert exploration.reductions == ("symmetry of 2 request processes", "live variables")
    (full,) = run_case(chosen, replace(options, reduction=False)).explorations
    assert (full.states, full.reductions, full.unreduced) == (6030, (), "")


def test_small_systems_are_not_reduced(monkeypatch):
    monkeypatch.setattr(explicit, "ENOUGH", 6030)
    _, system = prepare(case("two-commits.study.yaml", "guarded"))
    names = ["no_premature_completion", "one_active_backfill"]
    found = check(system, names, reduce=True)
    assert (found.states, found.reductions) == (6030, ())
    monkeypatch.setattr(explicit, "ENOUGH", 6029)
    assert check(system, names, reduce=True).states == 2856


def test_a_limit_on_states_is_one_on_classes():
    _, system = prepare(case("two-commits.study.yaml", "guarded"))
    names = ["no_premature_completion"]
    found = check(system, names, Limits(max_states=2856), reduce=True)
    assert found.complete
    short = check(system, names, Limits(max_states=2855), reduce=True)
    assert (short.stopped, short.verdicts[names[0]].text) == ("max-states", "unknown (max-states)")
