"""One scenario for two sizes: what proofs for any number start from."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from txweave.spec import syntax
    from txweave.system.sorted import System


MOST = 4
"""Rows of a table at most.  What a statement may have locked when it waits is lowered row by row, for few rows only."""


def systems(case: syntax.Case) -> tuple[System, System]:
    """The case's system with two processes of each role and a few rows of each table, and with one more of each.

    The lowering looks at sizes to leave out what cannot be with one process or one row, to unroll cycles of waits, to choose
    sets of rows, and to list the values that a count may have.  The two systems are compared to see that this is all.

    Raises:
        SpecError: the specification is wrong, or has something that is not modelled.
    """
    return _enlarged(case, 2), _enlarged(case, 3)


def _enlarged(case: syntax.Case, least: int) -> System:
    from txweave.semantics import lower
    from txweave.sql.bind import bind_model

    scenario = case.model.scenarios[case.scenario]
    larger = replace(
        scenario,
        roles=tuple(replace(role, count=least) for role in scenario.roles),
        bounds=tuple((name, min(max(size, 2), MOST) + least - 2) for name, size in scenario.bounds),
    )
    model = replace(case.model, scenarios={**case.model.scenarios, case.scenario: larger})
    return lower(bind_model(model), case.scenario)
