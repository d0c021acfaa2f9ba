"""Trace files: written in the words of the specification, and found again step by step."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from click.testing import CliRunner
from recorded import SPECS, case_of, counterexamples, walked
from rich.console import Console

from txweave import tracefile
from txweave.check import Options, prepare, run_case
from txweave.cli import cli
from txweave.collect import Choice, collect
from txweave.engines import explicit
from txweave.report.story import tell
from txweave.report.text import Style, Writer
from txweave.tracefile import TraceError
from txweave.view import Viewer, keys_of

MINIATURE = ("backfill.model.yaml", "exists-guard.fix.yaml", "two-commits.study.yaml")
PREMATURE = "two-commits.as_written.no_premature_completion.trace.json"
BLOCKED = "two-commits.guarded.never_blocked.trace.json"


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The miniature and its counterexamples, in a directory of their own."""
    home = tmp_path_factory.mktemp("recorded")
    for name in MINIATURE:
        shutil.copy(SPECS / name, home / name)
    counterexamples(home / "traces", home / "two-commits.study.yaml")
    return home


@pytest.fixture
def home(recorded: Path, tmp_path: Path) -> Path:
    """A copy, to be changed."""
    return Path(shutil.copytree(recorded, tmp_path / "elsewhere"))


def test_every_counterexample_is_found_again(recorded: Path) -> None:
    names = sorted(path.name for path in (recorded / "traces").iterdir())
    assert names == [
        PREMATURE,
        "two-commits.as_written.one_active_backfill.trace.json",
        BLOCKED,
        "two-commits.guarded.one_active_backfill.trace.json",
    ]
    found = 0
    for selected in collect((str(recorded / "two-commits.study.yaml"),), Choice()).cases:
        for item in run_case(selected, Options(engine="explicit")).properties:
            if item.trace is not None:
                run = tracefile.load(recorded / "traces" / f"two-commits.{selected.case.name}.{item.name}.trace.json")
                assert run.notes == ()
                assert run.trace.states == item.trace.states
                assert (run.trace.loop, run.trace.witness) == (item.trace.loop, item.trace.witness)
                found += 1
    assert found == 4


def test_the_file(recorded: Path) -> None:
    document = json.loads((recorded / "traces" / BLOCKED).read_text(encoding="utf-8"))
    jsonschema.Draft7Validator.check_schema(tracefile.schema())
    jsonschema.validate(document, tracefile.schema())
    assert document["spec"]["study"] == "../two-commits.study.yaml"
    assert document["spec"]["model"] == "../backfill.model.yaml"
    assert document["loop"] == 4
    assert [(step["process"], step["step"], step["outcome"]) for step in document["steps"]] == [
        ("request 1", "create_backfill.count_active", "ok"),
        ("request 1", "create_backfill.insert_backfill", "ok"),
        ("request 1", "create_backfill.publish", "ok"),
        ("request 1", "create_backfill.insert_run[1]", "crash"),
        ("scheduler", "mark_complete.find", "ok"),
        ("scheduler", "mark_complete.done", "ok"),
    ]


def test_the_same_bytes_again_and_anywhere(recorded: Path, home: Path) -> None:
    again = counterexamples(home / "traces", home / "two-commits.study.yaml")
    assert len(again) == 4
    for path in again:
        assert path.read_bytes() == (recorded / "traces" / path.name).read_bytes()


def test_reading_and_writing_is_the_identity(home: Path) -> None:
    path = home / "traces" / BLOCKED
    before = path.read_bytes()
    tracefile.write(path, tracefile.read(path))
    assert path.read_bytes() == before


def test_a_model_with_fixes_and_settings(tmp_path: Path) -> None:
    model, fix = SPECS / "transfer" / "transfer.model.yaml", str(SPECS / "transfer" / "retry.fix.yaml")
    paths = counterexamples(tmp_path, model, Choice(fixes=(fix,), settings=(("amount", "2"),), scenarios=("both_ways",)))
    assert [path.name for path in paths] == ["transfer+retry+amount=2.both_ways.it_ends.trace.json"]
    run = tracefile.load(paths[0])
    assert run.selected.case.model.parameters["amount"].value == 2
    assert run.selected.case.fixes == ("retry",)
    assert run.trace.loop is not None


@pytest.mark.parametrize(
    ("spec", "scenario", "fixes"),
    [
        ("transfer/transfer", "both_ways", ()),
        ("transfer/transfer", "one_hangs", ("transfer/ordered",)),
        ("philosophers/philosophers", None, ()),
        ("lease/lease", None, ()),
        ("job-queue/job-queue", None, ()),
        ("outbox/outbox", None, ()),
        ("two-phase-commit/two-phase-commit", None, ()),
    ],
)
def test_walks_are_found_again(tmp_path: Path, spec: str, scenario: str | None, fixes: tuple[str, ...]) -> None:
    model = SPECS / f"{spec}.model.yaml"
    paths = tuple(str(SPECS / f"{name}.fix.yaml") for name in fixes)
    selected = case_of(model, scenario, paths)
    taken = 0
    for seed in range(3):
        path = tmp_path / f"{seed}.trace.json"
        steps = walked(path, selected, seed, paths)
        run = tracefile.load(path)
        assert [run.viewer.view(state) for state in run.trace.states[1:]] == [step.state for step in steps]
        taken += len(steps)
    assert taken > 5


ROWS = """\
model: rows
schema: |
  CREATE TABLE item (id INTEGER PRIMARY KEY, value INTEGER NOT NULL);
domains:
  item.id: [1, 2, 3]
  item.value: 0..2
data: |
  INSERT INTO item (id, value) VALUES (1, 0), (2, 0), (3, 0);
procedures:
  one:
    steps:
      - touch: {sql: UPDATE item SET value = value + 1 WHERE id = 2}
      - finish: commit
  every:
    steps:
      - touch: {sql: UPDATE item SET value = value + 1}
      - finish: commit
scenarios:
  both:
    processes: {single: {run: one}, whole: {run: every}}
properties:
  never_two: {never: SELECT id FROM item WHERE value = 2 AND id <> 2}
"""


def test_effects_tell_steps_apart_that_are_called_the_same(tmp_path: Path) -> None:
    """Which rows a statement has written when it must wait is up to the server: there are four steps `touch (waits)`."""
    model = tmp_path / "rows.model.yaml"
    model.write_text(ROWS, encoding="utf-8")
    selected = case_of(model)
    path = tmp_path / "walk.trace.json"
    ends = set()
    for seed in range(60):
        steps = walked(path, selected, seed, length=2)
        if steps[-1].outcome == "waits" and steps[-1].actor == "whole":
            run = tracefile.load(path)
            assert run.viewer.view(run.trace.states[-1]) == steps[-1].state
            ends.add(run.trace.states[-1])
    assert len(ends) == 4
    without = edited(path, lambda d: [step.pop("effect", None) for step in d["steps"]])
    assert len(tracefile.load(without).trace.steps) == 2


def edited(path: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    document = json.loads(path.read_text(encoding="utf-8"))
    change(document)
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


EDITS: list[tuple[Callable[[dict[str, Any]], object], str]] = [
    (lambda d: d.pop("steps"), "is no trace file: $: 'steps' is a required property"),
    (lambda d: d.update(trace=2), "the format's version is 2, and this txweave reads version 1"),
    (lambda d: d.update(loop=9), "the loop begins at 9, and there are 6 steps"),
    (lambda d: d["steps"][2].pop("process"), "step 3: say which process moves"),
    (lambda d: d["steps"][2].update(kind="tick"), "step 3: when time passes, no process moves"),
    (lambda d: d["steps"][2].update(color="red"), "$.steps[2]: Additional properties are not allowed ('color' was unexpected)"),
    (lambda d: d["spec"].update(fixes=["a.fix.yaml"]), "leave out $.spec.fixes and $.spec.settings"),
    (lambda d: d["spec"].update(model="../gone.model.yaml"), "there is no "),
    (lambda d: d["spec"].update(case="guardd"), "has no case 'guardd': did you mean 'guarded'?"),
    (lambda d: d["spec"].update(scenario="one_request"), "is now of the scenario 'two_requests', not 'one_request'"),
    (lambda d: d["property"].update(name="never_block"), "there is no property 'never_block': did you mean 'never_blocked'?"),
    (lambda d: d["property"].update(kind="never"), "the property never_blocked is now leads_to, not never"),
    (lambda d: d["property"].update(witness=["2"]), "the row that broke it is never there"),
    (
        lambda d: d["steps"][1].update(process="request 3"),
        "step 2: request 3: create_backfill.insert_backfill (ok): there is no process",
    ),
    (lambda d: d["steps"][1].update(step="create_backfill.insert_backfil"), "did you mean 'create_backfill.insert_backfill'?"),
    (lambda d: d["steps"][1].update(outcome="unique_violation"), "it cannot end so: ok"),
    (lambda d: d["steps"][1].update(returned=[["backfill_id", "2"]]), "it now returns backfill_id 1; the trace says backfill_id 2"),
    (
        lambda d: d["steps"].pop(2),
        "step 3: request 1: create_backfill.insert_run[1] (crash): not possible here: request 1 is at publish",
    ),
    (lambda d: d["steps"].insert(1, {"kind": "tick", "outcome": "ok"}), "step 2: tick (ok): the specification has no time"),
    (lambda d: d.update(loop=3), "every step can be taken, but the run does not violate never_blocked (any more)"),
    (lambda d: (d["steps"].pop(), d.update(loop=None)), "only a lasso can violate a leads-to property"),
]


@pytest.mark.parametrize(("change", "message"), EDITS, ids=[message[:40] for _, message in EDITS])
def test_what_is_wrong_is_named(home: Path, change: Callable[[dict[str, Any]], object], message: str) -> None:
    path = edited(home / "traces" / BLOCKED, change)
    with pytest.raises(TraceError) as caught:
        tracefile.load(path)
    assert message in str(caught.value)
    assert str(caught.value).startswith(str(path))


def test_no_json_is_told_with_its_place(tmp_path: Path) -> None:
    path = tmp_path / "bad.trace.json"
    path.write_text('{\n  "trace": 1,,\n}', encoding="utf-8")
    with pytest.raises(TraceError, match=r"bad\.trace\.json:2:14: this is no JSON"):
        tracefile.load(path)


def model_with(home: Path, old: str, new: str) -> None:
    model = home / "backfill.model.yaml"
    text = model.read_text(encoding="utf-8")
    assert old in text
    model.write_text(text.replace(old, new), encoding="utf-8")


def test_a_comment_is_no_change(home: Path) -> None:
    model_with(home, "procedures:\n", "# what runs\nprocedures:\n")
    assert tracefile.load(home / "traces" / PREMATURE).notes == ()


def test_a_change_that_matters_not_is_noted(home: Path) -> None:
    model_with(home, "bounds: {backfill: 2, dag_run: 4}", "bounds: {backfill: 3, dag_run: 4}")
    (note,) = tracefile.load(home / "traces" / PREMATURE).notes
    assert note == "the specification has changed since the trace was written; every step of it is still allowed"


def test_the_first_step_that_is_not_allowed_any_more_is_named(home: Path) -> None:
    guard = "AND EXISTS (SELECT 1 FROM dag_run WHERE dag_run.backfill_id = backfill.id)\n          rows: finished"
    model_with(home, "rows: finished", guard.replace("          rows", "          rows"))
    model_with(home, "dag_run.state = 'queued')\n          AND", "dag_run.state = 'queued')\n              AND")
    with pytest.raises(TraceError) as caught:
        tracefile.load(home / "traces" / PREMATURE)
    assert "step 4: scheduler: mark_complete.find (ok): it now returns finished {}; the trace says finished 1 row" in str(
        caught.value
    )
    assert "(the specification has changed since the trace was written)" in str(caught.value)


def test_show_tells_the_story_that_check_tells(recorded: Path) -> None:
    (case,) = collect((str(recorded / "two-commits.study.yaml"),), Choice(cases=("guarded",))).cases
    bound, system = prepare(case)
    trace = explicit.check(system, ["never_blocked"]).verdicts["never_blocked"].trace
    assert trace is not None
    expected = StringIO()
    writer = Writer(Console(file=expected, width=100, highlight=False), Style())
    story = tell(trace, "never_blocked", Viewer(system, keys_of(bound)), case.case.model.properties["never_blocked"])
    writer.story(story, "guarded  never_blocked")
    result = CliRunner().invoke(cli, ["show", str(recorded / "traces" / BLOCKED)], env={"COLUMNS": "100"})
    assert result.exit_code == 0, result.output
    # The paths differ: relative to here, or as they were given.
    assert result.stdout.splitlines()[2:] == expected.getvalue().splitlines()[2:]
    assert "for ever" in result.stdout


def test_simulate_saves_a_walk_that_show_tells(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "walk.trace.json"
    model = str(SPECS / "transfer" / "transfer.model.yaml")
    told = CliRunner().invoke(cli, ["simulate", model, "--scenario", "both_ways", "--seed", "3", "--save", str(path)])
    assert told.exit_code == 0, told.output
    shown = CliRunner().invoke(cli, ["show", str(path)])
    assert shown.exit_code == 0, shown.output
    steps = told.stdout.split("\n\n")[1]
    assert steps
    assert steps == shown.stdout.split("\n\n")[1]


def test_options_that_mean_nothing_are_refused(recorded: Path) -> None:
    trace = str(recorded / "traces" / BLOCKED)
    fix = str(recorded / "exists-guard.fix.yaml")
    for arguments in (["show", trace, "--fix", fix], ["show", trace, "--graph", "mark_complete"]):
        result = CliRunner().invoke(cli, arguments)
        assert result.exit_code == 2
        assert f"leave out {arguments[2]}" in result.output
    result = CliRunner().invoke(cli, ["simulate", str(recorded / "backfill.model.yaml"), "--save", "walk"])
    assert result.exit_code == 2
    assert "call it walk.trace.json" in result.output


def test_a_wrong_trace_ends_show_with_2(home: Path) -> None:
    path = edited(home / "traces" / BLOCKED, lambda d: d["steps"].pop(2))
    result = CliRunner().invoke(cli, ["show", str(path)])
    assert result.exit_code == 2
    assert "step 3: request 1" in result.output
