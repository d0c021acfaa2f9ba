"""The search for minimal sets of fixes, against exhaustive checking of all sets."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import pytest
from click.testing import CliRunner

from txweave import follow
from txweave import repair as module
from txweave.check import Options, prepare
from txweave.cli import cli
from txweave.collect import Usage
from txweave.compose import Composer, load_fixes, without_faults
from txweave.engines import explicit
from txweave.follow import violation
from txweave.judge import judge
from txweave.repair import Fate, RepairResult, repair
from txweave.results import Exit
from txweave.spec import syntax
from txweave.spec.diagnostics import SpecError
from txweave.spec.files import parse_fix, parse_model
from txweave.spec.load import load_model
from txweave.spec.text import SourceFile
from txweave.verdict import Status

ROOT = Path(__file__).resolve().parents[1]
MODEL = ROOT / "specs" / "backfill.model.yaml"
FOLDER = Path(__file__).parent / "fixtures" / "repair"
SCENARIO = "two_requests"
EVERYTHING = ("no_premature_completion", "one_active_backfill", "never_blocked")
ONE_DATE = (("dates", "1"),)

COUNTER = """\
model: counter
schema: |
  CREATE TABLE counter (id INTEGER PRIMARY KEY, value INTEGER NOT NULL);
domains:
  counter.id: [1]
  counter.value: [0, 1, 2]
data: |
  INSERT INTO counter (id, value) VALUES (1, 0);
procedures:
  increment:
    steps:
      - read:
          sql: SELECT value FROM counter WHERE id = 1
          into: value
      - write:
          sql: UPDATE counter SET value = :value + 1 WHERE id = 1
      - finish: commit
scenarios:
  two: {processes: {adder: {run: increment, count: 2}}}
  dying: {processes: {adder: {run: increment, count: 2, crash: anywhere}}}
properties:
  no_lost_update:
    never: |
      SELECT counter.value FROM counter, adder WHERE adder.status = 'done'
      GROUP BY counter.id, counter.value HAVING count(*) > counter.value
  never_two:
    never: SELECT id FROM counter WHERE value = 2
  may_count:
    always_possible: SELECT id FROM counter WHERE value > 0
  no_deadlock:
    deadlock: never
"""
ATOMIC = """\
fix: atomic
changes:
  increment.write: {set: {sql: UPDATE counter SET value = value + 1 WHERE id = 1}}
"""
LOCKING = """\
fix: locking
changes:
  increment.read: {set: {sql: SELECT value FROM counter WHERE id = 1 FOR UPDATE}}
"""
HARMLESS = """\
fix: harmless
changes:
  increment.write:
    before:
      - look: {sql: SELECT value FROM counter WHERE id = 1, into: looked}
      - if_looked: {if: ":looked > 5", then: [{never: {raise: Never}}]}
"""


def source(text: str, name: str) -> SourceFile:
    return SourceFile(name, text)


def counter(*texts: str) -> tuple[Composer, list[syntax.Fix]]:
    model = parse_model(source(COUNTER, "counter.model.yaml"))
    fixes = [parse_fix(source(text, f"{number}.fix.yaml")) for number, text in enumerate(texts)]
    return Composer("counter.model.yaml", model), fixes


def fixes_of_the_miniature() -> list[syntax.Fix]:
    return list(load_fixes([str(FOLDER)]).values())


def miniature(*without: str) -> Composer:
    return Composer(str(MODEL), load_model(MODEL), ONE_DATE, without)


def exhaustively(composer: Composer, fixes: list[syntax.Fix], scenario: str, required: tuple[str, ...], make=prepare) -> dict:
    """Every set by itself: which required properties are violated, or None where it is ill-formed."""
    found: dict[frozenset[str], set[str] | None] = {}
    for size in range(len(fixes) + 1):
        for subset in combinations(fixes, size):
            names = frozenset(fix.name.value for fix in subset)
            try:
                _, system = make(composer.case(subset, scenario, "x"))
            except SpecError:
                found[names] = None
                continue
            verdicts = explicit.check(system, required).verdicts
            assert all(v.status in (Status.HOLDS, Status.VIOLATED) for v in verdicts.values())
            found[names] = {name for name, v in verdicts.items() if v.status is Status.VIOLATED}
    return found


def agrees(result: RepairResult, truth: dict) -> None:
    good = [names for names, violated in truth.items() if violated == set()]
    minimal = {names for names in good if not any(other < names for other in good)}
    assert {frozenset(item.fixes) for item in result.minimal} == minimal
    assert len(result.sets) == len(truth)
    for item in result.sets:
        violated = truth[frozenset(item.fixes)]
        if item.fate is Fate.ILL_FORMED:
            assert violated is None, item.fixes
        elif item.fate is Fate.REJECTED:
            assert item.killing is not None
            assert item.killing.property in violated, item.fixes
        elif item.fate is Fate.GOOD:
            assert violated == set(), item.fixes
        else:
            assert item.fate is Fate.SUPERSET
            assert any(names < frozenset(item.fixes) for names in minimal)


PREPARED: dict[tuple[str, ...], tuple] = {}


def once(selected):
    """A system of the miniature is made once, for the search and for the check of it."""
    key = selected.case.model.fixes
    if key not in PREPARED:
        PREPARED[key] = prepare(selected)
    return PREPARED[key]


@pytest.fixture(scope="module")
def searched() -> RepairResult:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "prepare", once)
        patch.setattr("txweave.check.prepare", once)
        return repair(miniature(), fixes_of_the_miniature(), [SCENARIO], EVERYTHING)


def test_all_sets_of_the_miniature(searched: RepairResult) -> None:
    truth = exhaustively(miniature(), fixes_of_the_miniature(), SCENARIO, EVERYTHING, once)
    agrees(searched, truth)
    assert [item.fixes for item in searched.minimal] == [("dag-lock", "one-transaction")]
    assert any(not violated and len(names) > 2 for names, violated in truth.items() if violated is not None)
    assert searched.exit == Exit.OK


def test_few_explorations_for_many_sets(searched: RepairResult) -> None:
    assert len(searched.sets) == 32
    assert searched.explorations <= 8
    assert searched.explorations == sum(bool(item.cases) for item in searched.sets)
    replayed = [item for item in searched.sets if item.killing is not None and item.killing.replayed]
    assert len(replayed) >= 8
    assert {item.killing.property for item in replayed if item.killing} >= {"one_active_backfill", "never_blocked"}


def test_what_kills_each_fix_alone_is_told(searched: RepairResult) -> None:
    alone = dict(searched.alone)
    assert alone["age"] == ("age", "exists-guard"), "with what it requires"
    for fixes in [(), *alone.values()]:
        item = searched.find(fixes)
        assert item is not None
        assert item.killing is not None
        assert item.killing.story is not None, fixes
        assert item.killing.story.length == item.killing.length
    lock = searched.find(["dag-lock"])
    assert lock is not None
    assert lock.killing is not None
    assert lock.killing.story is not None
    assert lock.killing.replayed
    assert lock.killing.story.steps[0].step == "lock_dag", "the replay takes the step that only this set has"


def test_ill_formed_is_not_rejected(searched: RepairResult) -> None:
    age = searched.find(["age"])
    assert age is not None
    assert age.fate is Fate.ILL_FORMED
    assert age.diagnostics[0].code == "F201"
    clash = searched.find(["age", "exists-guard", "update-again"])
    assert clash is not None
    assert clash.fate is Fate.ILL_FORMED
    assert clash.diagnostics[0].code == "F202"


def test_an_assumption_makes_other_sets_good() -> None:
    composer = miniature("no-crash")
    fixes = [fix for fix in fixes_of_the_miniature() if fix.name.value not in ("age", "update-again")]
    result = repair(composer, fixes, [SCENARIO], EVERYTHING)
    agrees(result, exhaustively(composer, fixes, SCENARIO, EVERYTHING))
    assert ("dag-lock", "exists-guard") in [item.fixes for item in result.minimal]
    assert "no process crashes" in result.assumptions
    assert not any("crash" in line for line in result.assumptions[1:])


def test_more_is_not_safer() -> None:
    """Nothing blocks without a fix; the guard alone breaks that, so that no set with it may be called good unseen."""
    result = repair(miniature(), fixes_of_the_miniature()[:3], [SCENARIO], ["never_blocked"])
    assert [item.fixes for item in result.minimal] == [()]
    assert result.explorations == 1
    fixes = [fix for fix in fixes_of_the_miniature() if fix.name.value in ("exists-guard", "one-transaction")]
    both = ("never_blocked", "no_premature_completion")
    result = repair(miniature(), fixes, [SCENARIO], both)
    agrees(result, exhaustively(miniature(), fixes, SCENARIO, both))
    guard = result.find(["exists-guard"])
    assert guard is not None
    assert guard.killing is not None
    assert guard.killing.property == "never_blocked"


def test_a_fix_that_every_set_has() -> None:
    fixes = {fix.name.value: fix for fix in fixes_of_the_miniature()}
    composer = replace(miniature(), always=(fixes["dag-lock"],))
    result = repair(composer, list(fixes.values()), [SCENARIO], ["one_active_backfill"])
    assert [name for name, _ in result.fixes] == sorted(fixes.keys() - {"dag-lock"})
    assert any("dag-lock" in line for line in result.assumptions)


def test_a_set_must_be_good_in_every_scenario() -> None:
    composer, fixes = counter(ATOMIC, LOCKING, HARMLESS)
    required = ("no_lost_update", "no_deadlock", "may_count")
    one = repair(composer, fixes, ["two"], required)
    agrees(one, exhaustively(composer, fixes, "two", required))
    assert [item.fixes for item in one.minimal] == [("atomic",), ("locking",)]
    both = repair(composer, fixes, ["two", "dying"], required)
    # Both may die before they have counted.
    assert both.minimal == ()
    assert both.exit == Exit.DIFFERS
    assert {item.killing.scenario for item in both.sets if item.killing} == {"two", "dying"}


def test_unknown_is_undecided_and_never_good() -> None:
    composer, fixes = counter(ATOMIC, LOCKING)
    result = repair(composer, fixes, ["two"], ["no_lost_update"], options=Options(max_states=3))
    assert result.minimal == ()
    assert all(item.fate is Fate.UNDECIDED for item in result.sets)
    assert "max-states" in result.sets[0].reasons[0]
    assert result.exit == Exit.INCONCLUSIVE


def test_what_is_not_modelled_is_undecided() -> None:
    paging = "SELECT value FROM counter WHERE id = 1 ORDER BY id LIMIT 1 OFFSET 1"
    refused = f"fix: paged\nchanges:\n  increment.read: {{set: {{sql: {paging}}}}}\n"
    composer, fixes = counter(ATOMIC, refused)
    result = repair(composer, fixes, ["two"], ["no_lost_update"])
    paged = result.find(["paged"])
    assert paged is not None
    assert paged.fate is Fate.UNDECIDED
    assert [item.fixes for item in result.minimal] == [("atomic",)]
    assert result.exit == Exit.INCONCLUSIVE


def test_a_good_set_with_an_undecided_subset_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    composer, fixes = counter(ATOMIC, HARMLESS)
    run = module.run_case

    def forgetful(selected, options, watch):
        result = run(selected, options, watch)
        if selected.case.fixes != ("atomic",):
            return result
        unknown = tuple(replace(p, status=Status.UNKNOWN, text="unknown (timeout)") for p in result.properties)
        return replace(result, properties=unknown)

    monkeypatch.setattr(module, "run_case", forgetful)
    result = repair(composer, fixes, ["two"], ["no_lost_update"])
    (good,) = result.minimal
    assert good.fixes == ("atomic", "harmless")
    assert [item.fixes for item in result.doubts(good)] == [("atomic",)]
    assert result.exit == Exit.INCONCLUSIVE


def test_a_self_check_that_fails_is_no_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    composer, fixes = counter(ATOMIC)
    monkeypatch.setattr("txweave.judge.judge", lambda trace, name: ("it is not one",))
    result = repair(composer, fixes, ["two"], ["no_lost_update"])
    bare = result.find([])
    assert bare is not None
    assert bare.fate is Fate.UNDECIDED
    assert result.exit == Exit.SELF_CHECK


def test_interrupted() -> None:
    composer, fixes = counter(ATOMIC, LOCKING)
    result = repair(composer, fixes, ["two"], ["no_lost_update"], stop=lambda: True)
    assert [item.fate for item in result.sets] == [Fate.UNSEEN] * 4
    assert result.exit == Exit.INCONCLUSIVE


def test_usage() -> None:
    composer, fixes = counter(ATOMIC)
    for required, problem in (([], "say which"), (["no_lost_updates"], "did you mean 'no_lost_update'")):
        with pytest.raises(Usage, match=problem):
            repair(composer, fixes, ["two"], required)
    with pytest.raises(Usage, match="no parameter"):
        repair(replace(composer, settings=(("steps", "1"),)), fixes, ["two"], ["never_two"])
    many = [parse_fix(source(ATOMIC.replace("atomic", f"atomic-{number}"), "a.fix.yaml")) for number in range(17)]
    with pytest.raises(Usage, match="131,072 sets"):
        repair(composer, many, ["two"], ["never_two"])


def test_at_most() -> None:
    composer, fixes = counter(ATOMIC, LOCKING)
    result = repair(composer, fixes, ["two"], ["no_lost_update"], at_most=0)
    assert [item.fixes for item in result.sets] == [()]
    assert result.exit == Exit.DIFFERS
    assert result.at_most == 0


# -------------------------------------------------------------------------------------------------------------- follow


def test_a_replay_counts_only_when_the_judge_confirms_it(monkeypatch: pytest.MonkeyPatch) -> None:
    composer, (atomic, harmless) = counter(ATOMIC, HARMLESS)
    _, bare = prepare(composer.case((), "two", "x"))
    trace = explicit.check(bare, ["no_lost_update"]).verdicts["no_lost_update"].trace
    assert trace is not None
    _, fixed = prepare(composer.case([atomic], "two", "x"))
    assert violation(trace, "no_lost_update", fixed) is None
    _, same = prepare(composer.case([harmless], "two", "x"))
    found = violation(trace, "no_lost_update", same)
    assert found is not None
    assert found.system is same
    assert judge(found, "no_lost_update") == ()
    assert [t.action.action.info.step for t in found.steps].count("look") == 2
    assert violation(trace, "never_two", same) is None, "another property"
    monkeypatch.setattr(follow, "review", lambda trace, name: replace_problems())
    assert violation(trace, "no_lost_update", same) is None


def replace_problems():
    from txweave.judge import Judgement

    return Judgement((), ("not checked to the end",))


def test_faults_that_are_assumed_away() -> None:
    role = syntax.Role(
        name=parse_fix(source(ATOMIC, "a.fix.yaml")).name,
        run=(),
        crash="anywhere",
        hang="anywhere",
        restart=True,
        forever=("crash", "hang"),
    )
    scenario = syntax.Scenario(role.name, (role,))
    model = replace(load_model(MODEL), scenarios={"s": scenario})
    (calm,) = without_faults(model, ["no-crash"]).scenarios["s"].roles
    assert (calm.crash, calm.restart, calm.hang, calm.forever) == (None, False, "anywhere", ("hang",))
    (calm,) = without_faults(model, ["no-hang", "no-errors"]).scenarios["s"].roles
    assert (calm.crash, calm.restart, calm.hang, calm.forever) == ("anywhere", True, None, ("crash",))


# ------------------------------------------------------------------------------------------------------------- command


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "counter.model.yaml").write_text(COUNTER)
    (tmp_path / "fixes").mkdir()
    (tmp_path / "fixes" / "atomic.fix.yaml").write_text(ATOMIC)
    (tmp_path / "fixes" / "harmless.fix.yaml").write_text(HARMLESS)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def command(*arguments: str):
    return CliRunner().invoke(cli, ["repair", "counter.model.yaml", "--fixes", "fixes", *arguments])


LOST = ("--require", "no_lost_update", "--scenario", "two")


def test_the_command_tells(folder: Path) -> None:
    result = command(*LOST)
    assert result.exit_code == 0, result.output
    assert "a minimal set has all required properties" in result.output
    assert "✓ atomic" in result.output
    assert "✗ harmless  no_lost_update violated (8) in two, replayed from no fix  [2]" in result.output
    # How long it took stands on the same line, which may have to be folded for it.
    told = " ".join(result.output.split())
    assert "2 of 4 sets explored; 1 killed by a replayed counterexample, 1 contain a good set" in told
    assert "UPDATE counter SET value = 0 + 1 WHERE" in result.output
    assert "need not start" in result.output
    assert "never executed" not in result.output
    assert "UPDATE" not in command(*LOST, "--no-story").output


def test_the_command_tells_what_a_good_set_never_does(folder: Path) -> None:
    atomic = ATOMIC + "  increment.finish:\n    before:\n      - doubt: {if: ':value > 1', then: [{undo: rollback}]}\n"
    (folder / "fixes" / "atomic.fix.yaml").write_text(atomic)
    result = command(*LOST, "--no-story")
    assert result.exit_code == 0, result.output
    assert "never executed in any scenario: increment.undo" in result.output


def test_the_command_as_json(folder: Path) -> None:
    result = command(*LOST, "--format", "json", "--no-timing")
    found = json.loads(result.output)
    assert found["minimal"] == [{"fixes": ["atomic"], "unless_good": []}]
    assert found["effort"]["explored"] == 2
    assert [item["fate"] for item in found["sets"]] == ["rejected", "good", "rejected", "superset of a good set"]
    assert found["sets"][2]["counterexample"]["origin"] == []
    assert found["sets"][2]["counterexample"]["story"]["steps"]
    assert result.output == command(*LOST, "--format", "json", "--no-timing").output


def test_the_command_finds_none(folder: Path) -> None:
    result = command("--require", "never_two,no_lost_update", "--scenario", "two")
    assert result.exit_code == 1, result.output
    assert "no set has all required properties" in result.output


def test_the_command_is_used_wrongly(folder: Path) -> None:
    for arguments, problem in (
        (("--require", "no_lost_update"), "say which scenario"),
        ((*LOST, "--assume", "no-crush"), "did you mean 'no-crash'"),
        ((*LOST, "--fixes", "nowhere"), "nowhere is no fix"),
        ((*LOST, "--set", "speed=3"), "no parameter 'speed'"),
        (("--require", "no_lost_updates", "--scenario", "two"), "did you mean"),
    ):
        result = command(*arguments)
        assert result.exit_code == 2, arguments
        assert problem in result.output
    (folder / "fixes" / "broken.fix.yaml").write_text("fix: broken\nchange: {}\n")
    result = command(*LOST)
    assert result.exit_code == 2
    assert "broken.fix.yaml:2" in result.output
