"""The library as scripts and notebooks use it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import html5lib
import pytest

import txweave as tw
from txweave.results import Relation
from txweave.verdict import Status

ROOT = Path(__file__).resolve().parents[1]
QUEUE = "specs/job-queue/job-queue.model.yaml"
LOCKED = "specs/job-queue/locked.fix.yaml"


@pytest.fixture(autouse=True)
def _in_the_repository(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


def queue() -> tw.Model:
    return tw.load(QUEUE).scenario("two_workers")


def run(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT).stdout


def html(shown: dict[str, str]) -> str:
    return "".join(html5lib.parseFragment(shown["text/html"], namespaceHTMLElements=False).itertext())


# ------------------------------------------------------------------------------------------------------------- importing


def test_importing_the_package_imports_nothing_of_it() -> None:
    code = "import sys, txweave; print([m for m in sys.modules if m.startswith(('txweave.', 'z3', 'sqlglot', 'yaml', 'numpy'))])"
    assert run(code) == "[]\n"


@pytest.mark.parametrize(
    "first", ["", "import txweave.check, txweave.compare", "from txweave.check import Options", "tw.check, tw.compare"]
)
def test_functions_and_modules_of_one_name(first: str) -> None:
    code = f"""
import txweave as tw
{first}
model = tw.load({QUEUE!r}).scenario("two_workers")
print(len(tw.check(model, engine="explicit")))
print(list(tw.compare(model, {LOCKED!r})))
import txweave.check as module
print(module.run_case.__module__, module is tw.check)
"""
    assert run(code) == "2\n['no fix', 'locked']\ntxweave.check True\n"


def test_every_name_is_there() -> None:
    for name in tw.__all__:
        assert getattr(tw, name) is not None
        assert name in dir(tw)
    with pytest.raises(AttributeError, match="no attribute 'chekc'"):
        tw.chekc  # noqa: B018


# ---------------------------------------------------------------------------------------------------------- what is true


def test_from_a_model_to_a_counterexample() -> None:
    result = tw.check(queue(), engine="explicit")
    assert list(result) == ["done_once", "all_done"]
    assert result.holds is False
    assert result["all_done"].holds is True
    assert result["all_done"].trace is None
    bad = result["done_once"]
    assert (bad.holds, bad.status, bad.text) == (False, Status.VIOLATED, "violated (6)")
    trace = bad.trace
    assert trace is not None
    assert trace.story is bad.story
    assert len(trace) == len(trace.steps) == 6
    assert trace.loop is None
    assert "done_once" in trace.text
    assert result.states > 50
    assert any("fairness" in words for words in result.assumptions)
    with pytest.raises(KeyError, match="did you mean 'done_once'"):
        result["done_onse"]


def test_fixes_from_files_and_from_text() -> None:
    model = queue()
    fixed = model.with_fix(LOCKED)
    assert not model.fixes
    assert tw.check(fixed, engine="explicit").holds is True
    same = model.with_fix((ROOT / LOCKED).read_text())
    assert repr(same) == repr(fixed)
    assert tw.check(same, engine="explicit").case.fixes == ("locked",)


def test_unknown_is_not_a_pass() -> None:
    result = tw.check(queue(), engine="explicit", max_states=3, properties="all_done")
    assert list(result) == ["all_done"]
    assert result["all_done"].holds is None
    assert result.holds is None
    assert "? all_done" in repr(result)
    assert "✓" not in html(result._repr_mimebundle_())


def test_a_verdict_that_failed_its_self_check_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("txweave.judge.judge", lambda *_: ["step 2 is not possible"])
    result = tw.check(queue(), engine="explicit", properties="done_once")
    assert result["done_once"].result.relation is Relation.FAILED
    assert result["done_once"].holds is None
    assert result["done_once"].trace is None
    assert "self-check failed" in repr(result)
    assert "self-check failed" in html(result._repr_mimebundle_())


def test_what_a_model_expects_plays_no_part() -> None:
    model = tw.load("specs/two-commits.study.yaml", case="guarded")
    assert model.chosen == "two_requests"
    assert [fix.name.value for fix in model.fixes] == ["exists-guard"]
    verdict = tw.check(model, engine="explicit", properties="never_blocked")["never_blocked"]
    assert verdict.holds is False
    assert verdict.trace is not None
    assert verdict.trace.loop == 4


def test_settings() -> None:
    model = tw.load("specs/transfer/transfer.study.yaml", case="too_much")
    assert dict(model.settings) == {"amount": 3}
    assert "amount = 3" in repr(model)
    less = model.with_settings(amount=1)
    assert dict(model.settings) == {"amount": 3}
    assert tw.check(less, engine="explicit", properties="nobody_fails").holds is True
    assert tw.check(model, engine="explicit", properties="nobody_fails").holds is False


def test_compositions_side_by_side() -> None:
    found = tw.compare(queue(), LOCKED, ["specs/job-queue/skip-locked.fix.yaml"], properties="done_once")
    assert list(found) == ["no fix", "locked", "skip-locked"]
    assert found["no fix"].holds is False
    assert found["locked"].holds is True
    (separation,) = found.separations
    assert separation.property == "done_once"
    assert "the same with locked" in found.text
    assert "✗ violated (6)" in html(found._repr_mimebundle_())


# ------------------------------------------------------------------------------------------------------------ how it looks


def test_each_shows_itself() -> None:
    model = queue().with_fix(LOCKED)
    shown = model._repr_mimebundle_()
    assert shown["text/plain"] == repr(model)
    for words in ("job-queue", "locked", "done_once", QUEUE):
        assert words in shown["text/plain"]
        assert words in html(shown)
    result = tw.check(queue(), engine="explicit")
    shown = result._repr_mimebundle_()
    assert "✗ done_once  violated (6)" in shown["text/plain"]
    assert "✗done_onceviolated (6)" in html(shown)
    trace = result["done_once"].trace
    assert trace is not None
    for drawn in (trace._repr_mimebundle_(), result["done_once"]._repr_mimebundle_()):
        assert ET.fromstring(drawn["image/svg+xml"]).tag.endswith("svg")
        assert "violated" in drawn["text/plain"]
    assert "image/svg+xml" not in result["all_done"]._repr_mimebundle_()
    assert len(trace.picture(fold=(1, 2))) < len(trace.picture())


# ------------------------------------------------------------------------------------------------------------------ errors


def test_what_is_wrong_in_yaml_is_shown_with_its_place() -> None:
    with pytest.raises(tw.SpecError) as caught:
        tw.load(QUEUE).with_fix("fix: other\nchanges:\n  nothing.here:\n    remove: true\n")
    assert "<fix>:3:3: error F204: there is no procedure 'nothing'" in repr(caught.value)
    assert "^^^" in "\n".join(caught.value._render_traceback_())
    with pytest.raises(tw.SpecError, match="<model>:"):
        tw.load("model: x\nkases: {}\n")
    with pytest.raises(tw.SpecError, match=r"nowhere\.model\.yaml"):
        tw.load("nowhere.model.yaml")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: tw.load("README.md"), "no specification"),
        (lambda: tw.load(QUEUE, case="x"), "only a study has cases"),
        (lambda: tw.load("specs/two-commits.study.yaml"), "say which case"),
        (lambda: tw.load("specs/two-commits.study.yaml", case="gaurded"), "did you mean 'guarded'"),
        (lambda: tw.load(QUEUE).scenario("nine"), "there is no scenario 'nine'"),
        (lambda: tw.load(QUEUE).with_fix("a"), "is no fix"),
        (lambda: tw.check(queue(), properties="done_onse"), "did you mean 'done_once'"),
        (lambda: tw.check(queue(), engine="explizit"), "did you mean 'explicit'"),
        (lambda: tw.compare(queue()), "name at least one set of fixes"),
        (lambda: tw.check("specs/airflow/backfill-3.1.6.model.yaml"), "say in which scenario"),
    ],
)
def test_what_cannot_be(call, message: str) -> None:
    with pytest.raises(tw.Usage, match=message):
        call()
