"""Each ``holds`` of the headline is one change away from ``violated``: none of them holds for want of anything to break it."""

from __future__ import annotations

from pathlib import Path

import pytest
from weakenings import RESTS_ON, WORSE, worse

from txweave.check import expectation
from txweave.collect import Choice, Selected, collect
from txweave.engines import explicit
from txweave.semantics import lower
from txweave.spec.fixes import apply_fixes
from txweave.spec.load import load_fix, load_model
from txweave.sql.bind import bind_model
from txweave.system.ground import ground
from txweave.verdict import Limits, Status

SPECS = Path(__file__).parents[2] / "specs" / "airflow"
MODEL = load_model(SPECS / "backfill-3.1.6.model.yaml")
FIXES = {fix.name.value: fix for fix in map(load_fix, sorted(SPECS.glob("*.fix.yaml")))}
HEADLINE = {s.case.name: s for s in collect([str(SPECS / "headline.study.yaml")], Choice()).cases}


def holding(selected: Selected) -> list[str]:
    case = selected.case
    return [name for name in case.model.properties if expectation(case, name).verdict != "violated"]


def weakened(selected: Selected, name: str) -> Status:
    """The verdict on a property where the program is worse in it."""
    kept = [FIXES[fix] for fix in selected.case.fixes if fix not in RESTS_ON.get(name, ())]
    # A scenario with room for one backfill has no second one, whatever the program does.
    scenario = "two_requests" if name == "P3_one_active" else selected.case.scenario
    system = ground(lower(bind_model(apply_fixes(MODEL, [*kept, worse(name, scenario)])), scenario))
    found = explicit.check(system, [name], Limits(max_states=500_000), first_violation=True)
    return found.verdicts[name].status


def test_every_property_has_a_weakening() -> None:
    assert set(WORSE) == set(MODEL.properties)


@pytest.mark.parametrize("case", HEADLINE)
def test_what_holds_in_the_headline_can_be_broken(case: str) -> None:
    selected = HEADLINE[case]
    names = holding(selected)
    assert {name: weakened(selected, name) for name in names} == dict.fromkeys(names, Status.VIOLATED)
