from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

import job_tables as jobs
from txweave import check as module
from txweave.check import Options, Watch, combine, compare, disagreements, run_case
from txweave.collect import Choice, Usage, collect, find_files
from txweave.results import CaseResult, Exit, Expected, Relation, worst
from txweave.run import not_run, run_cases
from txweave.sql.tree import Schema
from txweave.system import expr as x
from txweave.system.ground import ground
from txweave.system.sorted import System
from txweave.trace import Trace
from txweave.verdict import Outcome, Status, Verdict

SPEC = """\
model: jobs
schema: |
  CREATE TABLE job (id SERIAL PRIMARY KEY, state TEXT NOT NULL);
domains: {job.state: [new, taken]}
procedures:
  take_job:
    steps:
      - finish: commit
scenarios:
  two: {processes: {worker: {run: take_job, count: 2}}, bounds: {job: 1}}
properties:
  taken_once:
    never: SELECT id FROM job WHERE state = 'taken'
  all_taken:
    whenever: SELECT id FROM job WHERE state = 'new'
    eventually: gone
"""
EXPECT = "expect: {taken_once: {violated: 6}, all_taken: violated}\n"


@pytest.fixture
def hand_built(monkeypatch: pytest.MonkeyPatch):
    """Every case stands for the hand-built system; returns a function that changes it."""
    systems = {"now": jobs.system()}

    def prepare(selected):
        nothing = SimpleNamespace(scenarios={}, parameters={}, procedures={}, properties={}, data=(), schema=(), ghost=())
        return SimpleNamespace(schema=Schema({}), procedures={}, properties={}, source=nothing), ground(systems["now"])

    monkeypatch.setattr(module, "prepare", prepare)

    def change(system: System) -> None:
        systems["now"] = system

    return change


def selected(tmp_path: Path, extra: str = EXPECT):
    path = tmp_path / "jobs.model.yaml"
    path.write_text(SPEC + extra)
    (case,) = collect([str(path)], Choice()).cases
    return case


def test_all_as_expected(tmp_path: Path, hand_built) -> None:
    result = run_case(selected(tmp_path), Options(engine="both"))
    assert not result.failures, result.debug
    assert [(p.name, p.text, p.length, p.relation) for p in result.properties] == [
        ("taken_once", "violated", (6,), Relation.AS_EXPECTED),
        ("all_taken", "violated", (0, 0), Relation.AS_EXPECTED),
    ]
    assert result.exit is Exit.OK
    assert result.states == 30
    assert [a.engine for a in result.properties[0].answers] == ["explicit", "z3"]
    assert result.properties[0].story is not None
    assert result.assumptions == ("Workers crash finitely often.",)


@pytest.mark.parametrize(
    ("expect", "exit_", "difference"),
    [
        ("", Exit.DIFFERS, "violated, expected holds"),
        ("expect: {taken_once: {violated: 5}, all_taken: violated}", Exit.DIFFERS, "in 6 steps instead of 5 steps"),
        ("expect: {taken_once: violated, all_taken: {violated: [0, 0]}}", Exit.OK, ""),
        ("expect: {taken_once: proved, all_taken: violated}", Exit.DIFFERS, "violated, expected proved"),
    ],
)
def test_expectations(tmp_path: Path, hand_built, expect: str, exit_: Exit, difference: str) -> None:
    result = run_case(selected(tmp_path, expect), Options(engine="explicit"))
    assert result.exit is exit_
    assert difference in result.properties[0].difference


def verdict(status: Status, engine: str = "explicit", **more) -> Verdict:
    return Verdict("p", status, engine, **more)


def trace(length: int | tuple[int, int]) -> Trace:
    class Fake(Trace):
        @property
        def length(self):
            return length

    return Fake(None, ())


HOLDS, PROVED, UNKNOWN = verdict(Status.HOLDS), verdict(Status.PROVED), verdict(Status.UNKNOWN, reason="timeout")
CUT = verdict(Status.HOLDS, truncated=("job",))
VIOLATED = verdict(Status.VIOLATED, trace=trace(6))


@pytest.mark.parametrize(
    ("found", "expected", "relation"),
    [
        (HOLDS, "holds", Relation.AS_EXPECTED),
        (CUT, "holds", Relation.AS_EXPECTED),
        (PROVED, "holds", Relation.AS_EXPECTED),
        (PROVED, "proved", Relation.AS_EXPECTED),
        (HOLDS, "proved", Relation.DIFFERS),
        (HOLDS, "violated", Relation.DIFFERS),
        (PROVED, "violated", Relation.DIFFERS),
        (VIOLATED, "violated", Relation.AS_EXPECTED),
        (VIOLATED, "holds", Relation.DIFFERS),
        (UNKNOWN, "holds", Relation.INCONCLUSIVE),
        (UNKNOWN, "violated", Relation.INCONCLUSIVE),
        (UNKNOWN, "proved", Relation.INCONCLUSIVE),
    ],
)
def test_compare(found: Verdict, expected: str, relation: Relation) -> None:
    assert compare(found, Expected(expected))[0] is relation


def test_an_empty_cell_leaves_the_other_verdict_standing() -> None:
    for one in (HOLDS, PROVED, VIOLATED, CUT):
        assert combine("p", [UNKNOWN, one]) is one
        assert combine("p", [one, UNKNOWN]) is one
        assert not disagreements([one, UNKNOWN])
    assert combine("p", []).status is Status.UNKNOWN
    assert combine("p", [CUT, HOLDS]) is HOLDS


def test_disagreements() -> None:
    assert disagreements([HOLDS, VIOLATED])
    assert disagreements([VIOLATED, PROVED])
    assert not disagreements([HOLDS, PROVED])
    longer = verdict(Status.VIOLATED, "z3", trace=trace(7))
    assert disagreements([VIOLATED, longer])
    assert not disagreements([VIOLATED, replace(longer, notes=("the stem may not be the shortest",))])
    assert not disagreements([VIOLATED, verdict(Status.VIOLATED, "z3", trace=trace(6))])


def test_the_order_of_exit_statuses() -> None:
    assert worst([Exit.OK, Exit.INCONCLUSIVE, Exit.DIFFERS, Exit.ERROR, Exit.SELF_CHECK]) is Exit.SELF_CHECK
    assert worst([Exit.OK, Exit.INCONCLUSIVE, Exit.DIFFERS, Exit.ERROR]) is Exit.ERROR
    assert worst([Exit.INCONCLUSIVE, Exit.DIFFERS]) is Exit.DIFFERS
    assert worst([Exit.OK, Exit.INCONCLUSIVE]) is Exit.INCONCLUSIVE
    assert worst([]) is Exit.OK


def test_nothing_to_check_is_no_success(tmp_path: Path, hand_built) -> None:
    result = run_case(selected(tmp_path), Options(properties=("no_such",)))
    assert result.properties == ()
    assert result.exit is Exit.ERROR


def test_a_counterexample_that_the_reference_rejects_is_exit_4(tmp_path: Path, hand_built, monkeypatch) -> None:
    from txweave.engines import explicit

    honest = explicit.check

    def lying(*arguments, **options) -> Outcome:
        outcome = honest(*arguments, **options)
        found = outcome.verdicts["taken_once"]
        shorter = replace(found.trace, steps=found.trace.steps[:-1])
        return replace(outcome, verdicts={**outcome.verdicts, "taken_once": replace(found, trace=shorter)})

    monkeypatch.setattr(explicit, "check", lying)
    result = run_case(selected(tmp_path), Options(engine="explicit"))
    assert result.exit is Exit.SELF_CHECK
    assert result.properties[0].relation is Relation.FAILED
    assert "the counterexample of explicit is not one" in result.failures[0]
    assert result.properties[0].story is None, "nobody is told a story that is not true"


def test_engines_that_disagree_are_exit_4(tmp_path: Path, hand_built, monkeypatch) -> None:
    from txweave.engines import z3

    def lying(system, names, *rest) -> Outcome:
        return Outcome("z3", {name: Verdict(name, Status.HOLDS, "z3") for name in names})

    monkeypatch.setattr(z3, "check", lying)
    result = run_case(selected(tmp_path), Options(engine="both"))
    assert result.exit is Exit.SELF_CHECK
    assert "the engines disagree: explicit says violated, z3 says holds" in result.failures[0]


def test_limits_are_inconclusive(tmp_path: Path, hand_built) -> None:
    result = run_case(selected(tmp_path), Options(max_states=3, engine="explicit"))
    assert [p.text for p in result.properties] == ["unknown (max-states)", "violated"]
    assert result.exit is Exit.INCONCLUSIVE


def test_interrupted(tmp_path: Path, hand_built) -> None:
    case = selected(tmp_path)
    result = run_case(case, Options(), Watch(stop=lambda: True))
    assert result.properties[0].status is Status.UNKNOWN
    assert result.exit is Exit.INCONCLUSIVE
    (skipped,) = run_cases([case], Options(), stop=lambda: True)
    assert [p.text for p in skipped.properties] == ["unknown (interrupted)"] * 2
    assert skipped.exit is Exit.INCONCLUSIVE
    assert skipped.explorations == (), "it was not even begun"


def test_internal_errors_do_not_hide_other_cases(tmp_path: Path, monkeypatch) -> None:
    def broken(_):
        raise ZeroDivisionError("oops")

    monkeypatch.setattr(module, "prepare", broken)
    result = run_case(selected(tmp_path), Options())
    assert result.exit is Exit.SELF_CHECK
    assert result.failures == ("internal error: ZeroDivisionError: oops",)
    assert "Traceback" in result.debug


def test_vacuity(tmp_path: Path, hand_built) -> None:
    system = jobs.system()
    never = replace(system.properties[1], name="all_taken", rows=replace(system.properties[1].rows, witnesses=()))
    hand_built(replace(system, properties=(system.properties[0], never)))
    result = run_case(selected(tmp_path), Options(engine="explicit"))
    found = {(f.kind, f.subject): f.message for f in result.findings}
    assert "never has a row" in found["never-triggered", "all_taken"]


def test_steps_that_are_never_executed(hand_built) -> None:
    from txweave.sql.program import BoundProcedure, BoundStep, Transaction
    from txweave.vacuity import findings

    system = ground(jobs.system())
    from txweave.engines import explicit

    outcome = explicit.check(system, ["taken_once"])
    steps = tuple(BoundStep(name, Transaction("commit")) for name in ("pick", "take", "finish", "give_up", "unheard_of"))
    bound = SimpleNamespace(procedures={"take_job": BoundProcedure("take_job", steps, {})})
    found = findings(system, bound, [outcome], ["taken_once"])
    assert [f.subject for f in found] == ["take_job.give_up", "take_job.unheard_of"]
    assert all("its process never gets there" in f.message for f in found)
    partial = replace(outcome, complete=False)
    assert findings(system, bound, [partial], ["taken_once"]) == (), "what was not seen may still come"


def test_a_step_that_is_reached_but_waits_for_ever(hand_built) -> None:
    from txweave.engines import explicit
    from txweave.sql.program import BoundProcedure, BoundStep, Transaction
    from txweave.vacuity import findings

    system = jobs.system()
    blocked = tuple(replace(a, guard=x.FALSE) if a.info.step == "take" else a for a in system.actions)
    grounded = ground(replace(system, actions=blocked))
    outcome = explicit.check(grounded, ["taken_once"])
    bound = SimpleNamespace(procedures={"take_job": BoundProcedure("take_job", (BoundStep("take", Transaction("commit")),), {})})
    (found,) = findings(grounded, bound, [outcome], ["taken_once"])
    assert "what it waits for never comes" in found.message


# ------------------------------------------------------------------------------------------------------------- collect


def test_models_without_expectations_count_only_when_named(tmp_path: Path) -> None:
    path = tmp_path / "a" / "jobs.model.yaml"
    path.parent.mkdir()
    path.write_text(SPEC)
    assert len(collect([str(path)], Choice()).cases) == 1
    with pytest.raises(Usage, match="nothing to check"):
        collect([str(tmp_path)], Choice())
    path.write_text(SPEC + EXPECT)
    assert [s.case.name for s in collect([str(tmp_path)], Choice()).cases] == ["two"]


def test_paths(tmp_path: Path) -> None:
    (tmp_path / "x.fix.yaml").write_text("fix: x\n")
    (tmp_path / "jobs.model.yaml").write_text(SPEC)
    (tmp_path / "notes.txt").write_text("")
    with pytest.raises(Usage, match="is a fix"):
        find_files([str(tmp_path / "x.fix.yaml")])
    with pytest.raises(Usage, match="no specification"):
        find_files([str(tmp_path / "notes.txt")])
    with pytest.raises(Usage, match=r"did you mean .*jobs\.model\.yaml"):
        find_files([str(tmp_path / "job.model.yaml")])
    assert find_files([str(tmp_path)]) == [(str(tmp_path / "jobs.model.yaml"), False)]


def test_unknown_names(tmp_path: Path) -> None:
    path = tmp_path / "jobs.model.yaml"
    path.write_text(SPEC)
    with pytest.raises(Usage, match="did you mean 'two'"):
        collect([str(path)], Choice(cases=("tow",)))
    with pytest.raises(Usage, match="no scenario"):
        collect([str(path)], Choice(scenarios=("three",)))


def test_not_run_knows_nothing(tmp_path: Path) -> None:
    result = not_run(selected(tmp_path), Options(properties=("all_taken",)), "interrupted")
    assert [(p.name, p.kind, p.status) for p in result.properties] == [("all_taken", "leads_to", Status.UNKNOWN)]


def test_detached_results_have_no_traces(tmp_path: Path, hand_built) -> None:
    import pickle

    result = run_case(selected(tmp_path), Options(engine="explicit"))
    assert result.properties[0].trace is not None
    again: CaseResult = pickle.loads(pickle.dumps(result.detached()))
    assert again.properties[0].trace is None
    assert again == result
