"""Compositions side by side, and the interleaving that separates them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from txweave.check import Options
from txweave.cli import cli
from txweave.collect import Usage
from txweave.compare import BARE, Comparison, Parting, Separation, compare
from txweave.compose import Composer, load_fixes
from txweave.results import Exit
from txweave.spec.load import load_model
from txweave.verdict import Status

ROOT = Path(__file__).resolve().parents[1]
MODEL = str(ROOT / "specs" / "backfill.model.yaml")
FOLDER = Path(__file__).parent / "fixtures" / "repair"
GUARD, FLUSH, LOCK = (str(FOLDER / f"{name}.fix.yaml") for name in ("exists-guard", "one-transaction", "dag-lock"))
SCENARIO = "two_requests"


def composer() -> Composer:
    return Composer(MODEL, load_model(MODEL), (("dates", "1"),))


def side_by_side(*sets: tuple[str, ...], **options) -> Comparison:
    return compare(composer(), [list(load_fixes(names).values()) for names in sets], [SCENARIO], Options(**options))


@pytest.fixture(scope="module")
def result() -> Comparison:
    return side_by_side((GUARD,), (FLUSH, LOCK))


def separation(result: Comparison, name: str) -> Separation:
    return next(item for item in result.separations if item.property == name)


def parting(result: Comparison, name: str, composition: str) -> Parting:
    return next(item for item in separation(result, name).partings if item.composition == composition)


BOTH = "dag-lock + one-transaction"


def test_verdicts_side_by_side(result: Comparison) -> None:
    (cases,) = result.cases
    assert [case.case for case in cases] == [BARE, "exists-guard", BOTH]
    found = {p.name: [q.status for case in cases for q in case.properties if q.name == p.name] for p in cases[0].properties}
    violated, holds = Status.VIOLATED, Status.HOLDS
    assert found == {
        "no_premature_completion": [violated, holds, holds],
        "one_active_backfill": [violated, violated, holds],
        "never_blocked": [holds, violated, holds],
    }
    assert result.exit == Exit.OK


def test_the_guard_stops_the_interleaving(result: Comparison) -> None:
    found = parting(result, "no_premature_completion", "exists-guard")
    assert [item.same for item in found.aligned] == [True, True, True, False]
    (differs,) = found.aligned[3].there
    assert (differs.step, differs.returned) == ("find", (("finished", "{}"),))
    assert found.impossible is not None
    assert (found.impossible.number, found.impossible.step) == (5, "update")
    assert found.reasons == ("scheduler is at done there, not at update",)
    (change,) = found.changes
    assert change.startswith("only exists-guard: mark_complete.find: and has_runs: EXISTS (SELECT 1 FROM dag_run")
    assert not found.violated


def test_the_lock_stops_the_interleaving(result: Comparison) -> None:
    found = parting(result, "one_active_backfill", BOTH)
    assert [step.step for step in found.aligned[0].there] == ["lock_dag", "count_active"]
    assert found.impossible is not None
    assert (found.impossible.actor, found.impossible.step) == ("request 2", "count_active")
    assert [(step.actor, step.step, step.outcome) for step in found.beyond] == [("request 2", "lock_dag", "waits")]
    assert found.reasons == ("request 2 waits there in lock_dag for request 1", "request 1 holds dag 1 (update)")
    assert found.changes == (f"only {BOTH}: create_backfill.count_active: lock_dag before it",)


def test_a_step_that_is_not_there(result: Comparison) -> None:
    found = parting(result, "no_premature_completion", BOTH)
    publish = found.aligned[2]
    assert (publish.here.step, publish.there, publish.same) == ("publish", (), False)
    assert any("create_backfill.publish: removed" in change for change in found.changes)


def test_one_that_violates_it_as_well(result: Comparison) -> None:
    found = parting(result, "one_active_backfill", "exists-guard")
    assert found.violated
    assert found.impossible is None
    assert found.reasons == ()
    assert all(item.same for item in found.aligned)
    assert found.verdict == "violated"


def test_a_lasso_separates(result: Comparison) -> None:
    found = separation(result, "never_blocked")
    assert found.composition == "exists-guard", "the first that violates it"
    assert found.story.length == (4, 2)
    bare = parting(result, "never_blocked", BARE)
    assert bare.impossible is not None
    assert (bare.impossible.number, bare.impossible.step) == (6, "done")
    both = parting(result, "never_blocked", BOTH)
    assert both.impossible is None
    assert both.reasons == ("every step can be followed there; this run does not violate the property",)


def test_no_separation_where_all_agree() -> None:
    found = side_by_side((GUARD,), properties=("one_active_backfill",))
    assert found.separations == ()
    assert {item.status for case in found.cases[0] for item in case.properties} == {Status.VIOLATED}


def test_unknown_is_inconclusive() -> None:
    found = side_by_side((GUARD,), properties=("no_premature_completion",), max_states=20)
    assert found.exit == Exit.INCONCLUSIVE


def test_usage() -> None:
    with pytest.raises(Usage, match="compared with itself"):
        side_by_side((GUARD,), (GUARD,))
    with pytest.raises(Usage, match="at least one"):
        side_by_side()
    with pytest.raises(Usage, match="did you mean 'never_blocked'"):
        side_by_side((GUARD,), properties=("never_block",))


def command(*arguments: str):
    return CliRunner().invoke(cli, ["compare", MODEL, "--set", "dates=1", *arguments])


def test_the_command() -> None:
    arguments = ("--with", f"{LOCK},{FLUSH}", "--property", "one_active_backfill")
    result = command(*arguments)
    assert result.exit_code == 0, result.output
    table, told = result.output.split("──  ", 1)[0], result.output
    assert "violated (6)" in table
    assert f"the same with {BOTH}  ·  one_active_backfill holds" in told
    assert "✗ step 3 above (request 2 count_active) is not possible there" in told
    assert "request 2 waits there in lock_dag for request 1" in told
    found = json.loads(command(*arguments, "--format", "json", "--no-timing").output)
    assert [item["name"] for item in found["compositions"]] == [BARE, BOTH]
    (separated,) = found["separations"]
    (other,) = separated["others"]
    assert other["impossible"]["number"] == 3
    assert other["beyond"][0]["step"] == "lock_dag"


def test_the_command_is_used_wrongly() -> None:
    for arguments, problem in (
        (("--with", "nowhere.fix.yaml"), "there is no nowhere.fix.yaml"),
        (("--with", GUARD, "--with", GUARD), "compared with itself"),
        (("--with", GUARD, "--scenario", "one_request"), "there is no scenario 'one_request'"),
    ):
        result = command(*arguments)
        assert result.exit_code == 2, arguments
        assert problem in result.output
    age = command("--with", str(FOLDER / "age.fix.yaml"))
    assert age.exit_code == 2
    assert "F201" in age.output
