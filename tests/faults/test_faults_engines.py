"""Rules of the engines and of fixes that only a planted fault showed to be untested."""

from __future__ import annotations

from itertools import permutations
from pathlib import Path

import pytest

import toys
from toys import Edge
from txweave.engines import explicit, z3
from txweave.spec.fixes import apply_fixes
from txweave.spec.load import load_model, parse_fix
from txweave.spec.text import SourceFile
from txweave.system import expr as x
from txweave.system.expr import BOOL
from txweave.system.ground import ground
from txweave.system.sorted import Function, Property, System
from txweave.verdict import Limits, Status

SPECS = Path(__file__).parents[2] / "specs"


def test_numbers_beyond_a_domain_do_not_spoil_a_proof() -> None:
    """Three values take two bits; the fourth number is no value, and no step need be safe there."""
    n, m = x.apply("n"), x.truth(x.apply("m"))
    nowhere = x.conj(*(x.neg(x.equal(n, x.const(value))) for value in range(3)))
    go_on = [toys.action(f"go{v}", x.equal(n, x.const(v)), [("n", x.const((v + 1) % 3))]) for v in range(3)]
    system = System(
        "three",
        (),
        (Function("n", (), toys.between(0, 2), 0), Function("m", (), BOOL, False)),
        (*go_on, toys.action("spoil", nowhere, [("m", x.TRUE)])),
        (Property("clean", "never", toys.query((m, ()))),),
    )
    grounded = ground(system)
    found = explicit.explore(grounded)
    states = [found.state(number) for number in range(len(found.packed))]
    assert len(states) == 3
    assert z3.check(grounded, limits=Limits(max_depth=2), reachable=states).verdicts["clean"].status is Status.HOLDS


@pytest.mark.parametrize("timed", [True, False])
def test_time_passes_on_the_loop_of_a_lasso(timed: bool) -> None:
    edges = [Edge(0, 0, 0), toys.tick(0, 1), toys.tick(1, 1)]
    grounded = ground(toys.graph(2, edges, rows=[0], goal=[1], fairness=["weak"], timed=timed))
    found = z3.check(grounded, ["leads"], Limits(max_depth=5)).verdicts["leads"]
    assert explicit.check(grounded, ["leads"]).verdicts["leads"].status is (Status.HOLDS if timed else Status.VIOLATED)
    assert found.status is (Status.UNKNOWN if timed else Status.VIOLATED)


def test_what_fixes_add_has_one_order() -> None:
    model = load_model(SPECS / "backfill.model.yaml")
    fixes = [
        parse_fix(
            SourceFile(
                f"{name}.fix.yaml",
                f"fix: {name}\ntitle: Adds {name}\ntables: |\n  CREATE TABLE {name}_t (id INTEGER PRIMARY KEY);\n"
                f"procedures:\n  {name}_p:\n    steps: [{{{name}_s: commit}}]\n",
            )
        )
        for name in ("one", "two", "three")
    ]
    made = [apply_fixes(model, order) for order in permutations(fixes)]
    shapes = {(tuple(m.procedures), tuple(text.value for text in m.schema), m.fixes) for m in made}
    assert len(shapes) == 1


def test_the_row_with_the_shortest_stem_is_reported_though_another_was_pending_first() -> None:
    edges = [Edge(source, target, 0) for source, target in ((0, 1), (1, 1), (0, 2), (2, 3), (3, 3))]
    system = toys.graph(4, edges, rows={"first": [0], "second": [1]}, goal={"first": [1], "second": []}, fairness=["weak"])
    found = explicit.check(ground(system), ["leads"]).verdicts["leads"].trace
    assert found is not None
    assert (found.length, found.witness) == ((1, 1), ("second",))
