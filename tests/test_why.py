"""Why a property breaks: what is said of a counterexample is true of the system, judged by other means than those that found it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from itertools import combinations
from pathlib import Path

import pytest

import txweave as tw
from txweave.judge import judge
from txweave.report.story import Reason, Why
from txweave.system import reference
from txweave.trace import Taken, Trace
from txweave.why import calm, different
from txweave.why.order import Orders, switches
from txweave.why.replay import Runner

ROOT = Path(__file__).resolve().parents[1]

CASES = {
    "race": ("specs/backfill.model.yaml", "", (), "no_premature_completion"),
    "two": ("specs/backfill.model.yaml", "", (), "one_active_backfill"),
    "orphan": ("specs/backfill.model.yaml", "", ("specs/exists-guard.fix.yaml",), "never_blocked"),
    "jobs": ("specs/job-queue/job-queue.model.yaml", "two_workers", (), "done_once"),
    "sales": ("specs/lost-update/lost-update.model.yaml", "two_clerks", (), "every_sale_counts"),
    "doctors": ("specs/write-skew/write-skew.model.yaml", "both_tired", (), "someone_is_on_call"),
    "nobody": ("specs/write-skew/write-skew.model.yaml", "both_tired", (), "one_can_still_go"),
    "transfer": ("specs/transfer/transfer.model.yaml", "both_ways", (), "nobody_fails"),
    "hangs": ("specs/transfer/transfer.model.yaml", "one_hangs", (), "somebody_moves"),
    "lazy": ("specs/job-queue/job-queue.model.yaml", "two_workers", (), "all_done"),
}


@cache
def found(name: str) -> tw.Trace:
    path, scenario, fixes, item = CASES[name]
    if name == "lazy":
        text = (ROOT / path).read_text(encoding="utf-8")
        text = text.replace("worker: {run: work, count: 2}", "worker: {run: work, count: 2, fair: none}")
        model = tw.load(text).scenario(scenario)
    else:
        model = tw.load(str(ROOT / path)).with_fix(*(str(ROOT / fix) for fix in fixes))
        model = model.scenario(scenario) if scenario else model
    trace = tw.check(model, properties=item, engine="explicit")[item].trace
    assert trace is not None
    return trace


def run_of(name: str) -> Trace:
    run = found(name).run
    assert run is not None
    return run


def orders_of(name: str) -> Orders:
    trace, run = found(name), run_of(name)
    assert trace.model is not None
    return Orders(run, CASES[name][3], trace.model.viewer(run.system))


def reasons(name: str) -> dict[str, Reason]:
    return {reason.kind: reason for reason in found(name).why}


# ------------------------------------------------------------------------------------------------------ which order matters


def linear(run: Trace, pairs: tuple[tuple[int, int], ...]) -> Iterator[tuple[int, ...]]:
    """All orders of the steps, by their numbers, that respect the order in each process and these pairs."""
    numbers = range(1, len(run.steps) + 1)
    before = {n: {a for a, b in pairs if b == n} for n in numbers}
    for a, b in combinations(numbers, 2):
        if run.steps[a - 1].action.actor == run.steps[b - 1].action.actor:
            before[b].add(a)

    def go(taken: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
        if len(taken) == len(before):
            yield taken
        for n in numbers:
            if n not in taken and before[n] <= set(taken):
                yield from go((*taken, n))

    return go(())


def breaks(run: Trace, order: tuple[int, ...], name: str) -> bool:
    """Whether the steps, each with its outcome, can be taken in this order and break a ``never`` property: by the reference."""
    system = run.system.system
    rows = next(p for p in system.properties if p.name == name).rows
    assert rows is not None
    states = [reference.initial(system)]
    for number in order:
        told = run.steps[number - 1].action
        info = told.action.info
        following = []
        for state in states:
            if reference.rows(system, rows, state):
                return True
            for step in reference.successors(system, state):
                same = step.action.info.step == info.step and step.action.info.outcome == info.outcome
                if (
                    same
                    and step.action.info.note == info.note
                    and step.params[:1] == told.params[:1]
                    and step.action.kind == told.kind
                ):
                    following.append(step.state)
        states = following[:1]
    return any(reference.rows(system, rows, state) for state in states)


@pytest.mark.parametrize("name", ["race", "two", "jobs", "sales", "doctors", "transfer"])
def test_the_order_that_matters_is_enough_and_none_of_it_can_be_left_out(name: str) -> None:
    run, item, pairs = run_of(name), CASES[name][3], found(name).why.order
    assert pairs
    assert all(breaks(run, order, item) for order in linear(run, pairs))
    for pair in pairs:
        rest = tuple(other for other in pairs if other != pair)
        assert not all(breaks(run, order, item) for order in linear(run, rest)), f"{pair} says nothing"


def test_the_order_that_matters_of_known_races() -> None:
    # Each counts before the other publishes; the scheduler looks after the first commit.
    assert found("two").why.order == ((1, 5), (3, 6))
    assert found("race").why.order == ((3, 4),)
    assert found("two").why.why.fewest
    assert repr(found("race").why).endswith("step 3 before 4; every other order with that breaks the property too.")


def test_the_order_of_a_lasso_is_that_of_its_stem() -> None:
    why = found("orphan").why
    assert why.order == ()
    assert why.why.order_text == "The order of steps of different processes does not matter: in every order this happens."


def test_too_many_steps_are_said_to_be_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("txweave.why.order.NODES", 3)
    assert orders_of("two").smallest() is None
    assert Why((), (), fewest=False, known=False).order_text == "The steps are too many to say which order of them matters."


# ---------------------------------------------------------------------------------------------------------- fewest switches


@pytest.mark.parametrize("name", ["race", "two", "jobs", "sales", "doctors", "transfer"])
def test_no_order_of_the_same_steps_has_fewer_switches(name: str) -> None:
    run, item = run_of(name), CASES[name][3]
    now = switches(taken.action.actor for taken in run.steps)
    for order in linear(run, ()):
        if breaks(run, order, item):
            assert switches(run.steps[n - 1].action.actor for n in order) >= now


def test_an_order_with_more_switches_becomes_calm() -> None:
    trace, run = found("two"), run_of("two")
    assert trace.model is not None
    viewer = trace.model.viewer(run.system)
    runner = Runner(viewer)
    state, steps = run.system.initial, []
    for number in (1, 3, 2, 4, 5, 6):  # both count, both insert, both publish
        action = run.steps[number - 1].action
        after = runner.after(state, action)
        assert after is not None
        steps.append(Taken(action, after))
        state = after
    restless = replace(run, steps=tuple(steps))
    assert judge(restless, "one_active_backfill") == ()
    calmer = calm(restless, "one_active_backfill", viewer)
    assert [taken.action.name for taken in calmer.steps] == [taken.action.name for taken in run.steps]
    assert judge(calmer, "one_active_backfill") == ()
    assert calm(calmer, "one_active_backfill", viewer) is calmer


# ------------------------------------------------------------------------------------------------------------------ reasons


def test_a_stale_read() -> None:
    stale = reasons("sales")["stale"]
    assert stale.steps == (1, 4, 6)
    assert stale.text == (
        "clerk 1 read seen = 0 in step 1 (read). Step 4 (clerk 2, save) came between and made it seen = 1, but clerk 1 went on "
        "with what it had read in step 5 (write). Had step 1 come after step 4, it would have read seen = 1, and the property "
        "would hold in this run."
    )


def test_a_stale_read_does_not_see_what_its_process_wrote_later() -> None:
    # Request 1 has a row of its own by then, which it would count as well.
    assert "Step 5 (request 2, publish) came between and made it active = 1, but" in reasons("two")["stale"].text


def test_a_read_of_half_of_the_work_and_the_condition_that_let_it_pass() -> None:
    early = reasons("race")["early"]
    assert early.steps == (3, 4)
    assert "scheduler read finished = {1} in step 4 (find) while request 1 was in the middle of its work" in early.text
    assert "AND dag_run.state = 'queued') was true for backfill 1, because dag_run 1 and dag_run 2 did not exist yet" in early.text
    assert early.text.endswith("it would have read finished = {}, and the property would hold in this run.")


def test_a_row_that_is_there_and_not_committed() -> None:
    assert "backfill 1 was there already, but not committed: only request 1 could see it." in reasons("two")["early"].text


def test_what_is_not_decisive_is_not_a_reason() -> None:
    # In the doctors' run two statements read, and each reads what the other's commit changes; the commits read nothing.
    assert sorted(reason.kind for reason in found("doctors").why) == ["early", "stale"]
    # That a worker is blocked, or a deadlock broken, has nothing to do with what was read.
    assert [reason.kind for reason in found("transfer").why] == ["deadlock"]


def test_no_reason_without_a_run_that_is_mended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("txweave.why.reasons.breaks", lambda *_: True)
    trace, run = found("sales"), run_of("sales")
    assert trace.model is not None
    from txweave.why import explain

    assert explain(run, "every_sale_counts", trace.model.viewer(run.system)).reasons == ()


def test_what_the_reference_does_not_confirm_is_not_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Runner, "confirmed", lambda *_: False)
    trace, run = found("sales"), run_of("sales")
    assert trace.model is not None
    from txweave.why import explain

    assert explain(run, "every_sale_counts", trace.model.viewer(run.system)).reasons == ()


def test_who_waited_in_a_deadlock() -> None:
    deadlock = reasons("transfer")["deadlock"]
    assert deadlock.text == (
        "Step 5 broke a circle of waits: there waited for back (since step 4), back waited for there (since step 3)."
    )


def test_who_waits_for_ever_for_whom() -> None:
    assert reasons("hangs")["waits"].text == "back waits for there since step 4, which hangs and keeps its locks."


def test_the_point_of_no_return_and_the_condition_that_stays_false() -> None:
    why = reasons("orphan")
    assert why["no return"].steps == (4,)
    assert why["no return"].text.startswith(
        "Step 4 (request 1, crashes: its transaction is rolled back) is the point of no return: whatever happens after it, nothing "
        "can make the row id = 1 go away. Just before it, 12 more steps could: request 1 insert_run[1], insert_run[2], finish;"
    )
    assert why["false"].text == (
        "scheduler's find passes over backfill 1: EXISTS (SELECT 1 FROM dag_run WHERE dag_run.backfill_id = backfill.id) is false, "
        "and stays so. dag_run is written by request 1 (insert_run), which has crashed; request 2 (insert_run), which has not "
        "begun; worker (succeed), which has nothing to do at pick."
    )


@pytest.mark.parametrize(("name", "number"), [("orphan", 4), ("nobody", 6)])
def test_nothing_mends_it_after_that_step_and_something_does_before(name: str, number: int) -> None:
    run, item = run_of(name), CASES[name][3]
    system = run.system.system
    rows = next(p for p in system.properties if p.name == item).rows
    assert rows is not None
    assert reasons(name)["no return"].steps == (number,)
    states = [reference.initial(system)]
    for taken in run.steps:
        states.append(reference.after(system, states[-1], taken.action.action, taken.action.params))

    def good(state: reference.State) -> bool:
        there = reference.rows(system, rows, state)
        return run.witness not in there if name == "orphan" else bool(there)

    after = reference.explore(system, 5_000, states[number])
    assert after.complete
    assert not any(good(state) for state in after.states)
    if name == "nobody":
        assert good(states[number - 1])
    else:
        assert "12 more steps could" in reasons(name)["no return"].text


def test_what_could_still_happen_and_nobody_has_to_do() -> None:
    why = reasons("lazy")
    assert set(why) == {"possible"}
    assert why["possible"].text == (
        "3 steps could still make the row id = 1 go away (worker 1 pick, finish, save), but nothing makes worker 1 take its step."
    )


# ----------------------------------------------------------------------------------------------------------------- reports


def test_reports_say_why() -> None:
    from txweave.report.json import story

    trace = found("race")
    (reason,) = trace.why
    written = story(trace.story)["why"]
    assert written == {
        "reasons": [{"kind": "early", "steps": [3, 4], "text": reason.text}],
        "order": [[3, 4]],
        "fewest": True,
        "text": trace.why.why.order_text,
    }
    told = " ".join(trace.text.split())
    assert f"why {reason.text} What matters of the order: step 3 before 4;" in told


def test_the_page_says_why_and_leads_to_the_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from click.testing import CliRunner

    from txweave.cli import cli

    monkeypatch.chdir(ROOT)
    path, page = CASES["sales"][0], tmp_path / "report.html"
    CliRunner().invoke(cli, ["check", path, "--engine", "explicit", "--format", f"html={page}"])
    text = page.read_text(encoding="utf-8")
    assert "clerk 1 read seen = 0 in step 1 (read). Step 4 (clerk 2, save) came between" in text
    for step in (1, 4, 6):
        anchor = f"two_clerks/every_sale_counts/{step}"
        assert f'href="#{anchor}"' in text
        assert f'id="{anchor}"' in text


# ---------------------------------------------------------------------------------------------------- other counterexamples


def test_counterexamples_that_really_differ() -> None:
    trace = found("transfer")
    assert trace.model is not None
    verdict = tw.check(trace.model, properties="nobody_fails", engine="explicit")["nobody_fails"]
    first, second = verdict.traces(different=2)
    assert first.story == trace.story
    assert {step.actor for step in first.steps if step.kind == "database"} == {"there"}
    assert {step.actor for step in second.steps if step.kind == "database"} == {"back"}, "the other one is the victim"
    assert second.run is not None
    assert judge(second.run, "nobody_fails") == ()
    assert second.why.order
    assert verdict.traces(different=1) == (first,)
    with pytest.raises(tw.Usage, match="at least one"):
        verdict.traces(different=0)


def test_renamed_processes_are_no_other_counterexample() -> None:
    # The other of the two requests may be the one that is too slow.
    trace, run = found("race"), run_of("race")
    assert trace.model is not None
    assert different(run, "no_premature_completion", trace.model.viewer(run.system), 5) == (run,)


def test_a_property_that_holds_has_no_counterexamples() -> None:
    model = tw.load(str(ROOT / "specs/job-queue/job-queue.model.yaml")).scenario("two_workers")
    assert tw.check(model, engine="explicit")["all_done"].traces() == ()
