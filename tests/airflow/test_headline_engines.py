"""The cells of the headline as Z3 answers them, which shares no code with the search.

Every violation is found again, in as many steps.  Every ``never`` that holds with one request (and, for one design, with two)
has an inductive invariant that a solver confirms.  What Z3 cannot answer is in ``docs/airflow/model.md``, with the reason.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from txweave.check import expectation, prepare
from txweave.collect import Choice, Selected, collect
from txweave.engines import explicit, z3
from txweave.spec import syntax
from txweave.verdict import Limits, Status

STUDY = Path(__file__).parents[2] / "specs" / "airflow" / "headline.study.yaml"
CASES = {s.case.name: s for s in collect([str(STUDY)], Choice()).cases}
LASSO = 6
"""Length up to which no lasso of a leads-to property that holds is found."""


def violated(selected: Selected) -> dict[str, int | tuple[int, int]]:
    return {name: e.length for name, e in selected.case.expect.items() if e.verdict == "violated" and e.length is not None}


VIOLATIONS = [(case, name) for case, selected in CASES.items() for name in violated(selected)]


def test_there_are_as_many_violations_as_in_the_table() -> None:
    assert len(VIOLATIONS) == 34


@pytest.mark.parametrize(("case", "name"), VIOLATIONS)
def test_z3_finds_the_violation_in_as_many_steps(case: str, name: str) -> None:
    expected = violated(CASES[case])[name]
    depth = expected if isinstance(expected, int) else sum(expected)
    _, system = prepare(CASES[case])
    found = z3.check(system, [name], Limits(max_depth=depth)).verdicts[name]
    assert found.status is Status.VIOLATED, found.text
    assert found.trace is not None
    assert found.trace.length == expected


def holding(case: str, form: type[syntax.Never | syntax.LeadsTo]) -> list[str]:
    found = CASES[case].case
    return [
        name
        for name, item in found.model.properties.items()
        if isinstance(item.formula, form) and expectation(found, name).verdict != "violated"
    ]


CONFIRMED = [*(case for case in CASES if "orphan" in case), "flush-and-row-lock[scenario=two_requests]"]
"""The last: the smallest with two requests, and the design that the search for repairs finds."""


def test_there_are_as_many_invariants_as_in_the_table() -> None:
    assert sum(len(holding(case, syntax.Never)) for case in CONFIRMED) == 55 + 7


@pytest.mark.parametrize("case", CONFIRMED)
def test_z3_confirms_what_never_happens(case: str) -> None:
    names = holding(case, syntax.Never)
    _, system = prepare(CASES[case])
    explored = explicit.explore(system)
    states = [explored.state(number) for number in range(len(explored.packed))]
    found = z3.check(system, names, Limits(max_depth=1), states).verdicts
    assert {name: found[name].text for name in names} == dict.fromkeys(names, "holds")
    assert all(found[name].certificate is not None for name in names)


@pytest.mark.parametrize("case", [case for case in CASES if "orphan" in case])
def test_z3_finds_no_short_lasso_where_liveness_holds(case: str) -> None:
    names = holding(case, syntax.LeadsTo)
    assert names
    _, system = prepare(CASES[case])
    found = z3.check(system, names, Limits(max_depth=LASSO)).verdicts
    # It is a search, and says so: what Z3 does not prove is not called a proof.
    assert {found[name].text for name in names} == {f"unknown (no lasso up to length {LASSO}; Z3 does not prove liveness)"}
