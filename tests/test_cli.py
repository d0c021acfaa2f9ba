from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

import jsonschema
import networkx as nx
import pytest
from click.testing import CliRunner

from txweave.cli import cli
from txweave.report.json import schema

SPEC = """\
model: counter
parameters: {step: 1}
schema: |
  CREATE TABLE counter (id INTEGER PRIMARY KEY, value INTEGER NOT NULL);
domains:
  counter.id: [1]
  counter.value: [0, 1, 2, 3, 4]
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
  two:
    processes: {adder: {run: increment, count: 2}}
  one:
    processes: {adder: {run: increment}}
properties:
  no_lost_update:
    title: Two increments count two
    never: |
      SELECT counter.value FROM counter, adder WHERE adder.status = 'done'
      GROUP BY counter.id, counter.value HAVING count(*) > counter.value
  some_value:
    always_possible: SELECT id FROM counter WHERE value >= 0
"""
FIX = """\
fix: atomic
changes:
  increment.write: {set: {sql: UPDATE counter SET value = value + 1 WHERE id = 1}}
"""
STUDY = """\
study: counting
model: counter.model.yaml
scenario: two
cases:
  as_written: {expect: {no_lost_update: {violated: 6}}}
  fixed: {fixes: [atomic.fix.yaml]}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "specs").mkdir()
    (tmp_path / "specs" / "counter.model.yaml").write_text(SPEC)
    (tmp_path / "specs" / "atomic.fix.yaml").write_text(FIX)
    (tmp_path / "specs" / "counting.study.yaml").write_text(STUDY)
    monkeypatch.chdir(tmp_path)
    return tmp_path


MODEL, STUDY_PATH = "specs/counter.model.yaml", "specs/counting.study.yaml"
FAST = ("--engine", "explicit")


def run(*arguments: str):
    return CliRunner().invoke(cli, list(arguments))


def command(*arguments: str, **options) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # the whole thing, as people call it
        [sys.executable, "-m", "txweave", *arguments], capture_output=True, text=True, timeout=120, check=False, **options
    )


# --------------------------------------------------------------------------------------------------------------- check


def test_default_path_and_all_as_expected(folder: Path) -> None:
    result = command("check")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "all as expected" in result.stdout
    assert "4 properties in 2 cases" in result.stdout
    assert "──" not in result.stdout.split("expected", 1)[1].split("\n\n", 1)[1], "no story of what is expected"
    assert result.stderr == ""


def test_a_violation_is_told(folder: Path) -> None:
    result = run("check", MODEL, "--scenario", "two", *FAST)
    assert result.exit_code == 1
    assert "UPDATE counter SET value = 0 + 1 WHERE" in result.output
    assert "~ counter 1: value 0 → 1" in result.output
    assert "Two increments count two" in result.output
    assert "→ value = 1" in result.output
    assert "1 not as expected" in result.output


def test_each_filter(folder: Path) -> None:
    assert run("check", "--case", "fixed", *FAST).exit_code == 0
    assert "as_written" not in run("check", "--case", "fixed", *FAST).output
    assert run("check", MODEL, "--scenario", "one", *FAST).exit_code == 0
    one = run("check", MODEL, "--property", "some_value", *FAST)
    assert one.exit_code == 0
    assert "no_lost_update" not in one.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--case", "fixt"), "there is no case 'fixt': did you mean 'fixed'?"),
        (("--property", "no_lost_updates"), "did you mean 'no_lost_update'?"),
        (("--story", "no_lost_updates"), "did you mean 'no_lost_update'?"),
        (("--scenario", "tow"), "did you mean 'two'?"),
        (("--scenario", "one"), "no case is left"),
        (("nowhere",), "there is no nowhere"),
        (("specs/atomic.fix.yaml",), "is a fix"),
        (("--fix", "specs/atomic.fix.yaml"), "name the model"),
        (("--set", "step"), "not name=value"),
        (("--set", "step=1", "--set", "step=2", MODEL), "set twice"),
        (("-j", "0"), "0"),
        (("--engine", "tlc"), "tlc"),
    ],
)
def test_wrong_usage_is_2(folder: Path, arguments: tuple[str, ...], message: str) -> None:
    result = run("check", *arguments)
    assert result.exit_code == 2, result.output
    assert message in " ".join(result.output.split())
    assert "Traceback" not in result.output


def test_nothing_to_check_is_2(folder: Path) -> None:
    (folder / "empty").mkdir()
    result = run("check", "empty")
    assert result.exit_code == 2
    assert "nothing to check" in result.output


def test_fix_and_set(folder: Path) -> None:
    fixed = run("check", MODEL, "--scenario", "two", "--fix", "specs/atomic.fix.yaml", *FAST)
    assert fixed.exit_code == 0, fixed.output
    wrong = run("check", MODEL, "--set", "stop=2", *FAST)
    assert wrong.exit_code == 2
    assert "did you mean 'step'?" in wrong.output
    assert run("check", MODEL, "--scenario", "one", "--set", "step=2", *FAST).exit_code == 0


def test_errors_are_shown_and_other_files_are_checked(folder: Path) -> None:
    (folder / "specs" / "broken.study.yaml").write_text("study: broken\nmodel: counter.model.yaml\nkases: {}\n")
    result = command("check", *FAST)
    assert result.returncode == 2
    assert "broken.study.yaml:3:1: error" in result.stderr
    assert "did you mean" in result.stderr
    assert "txweave explain" in result.stderr
    assert "fixed" in result.stdout, "the other study is checked"
    assert "Traceback" not in result.stderr


def test_errors_in_sql_are_shown(folder: Path) -> None:
    path = folder / "specs" / "counter.model.yaml"
    path.write_text(SPEC.replace("SELECT value FROM counter WHERE", "SELECT valu FROM counter WHERE"))
    result = command("check", *FAST)
    assert result.returncode == 2
    assert result.stderr.count("valu FROM counter") == 1, "once, although two cases have it"
    assert "specs/counter.model.yaml:14" in result.stderr


def test_limits_are_3(folder: Path) -> None:
    result = run("check", "--max-states", "3", *FAST)
    assert result.exit_code == 3
    assert "unknown (max-states)" in result.output
    assert "inconclusive" in result.output


def test_engines(folder: Path) -> None:
    both = run("check", "--engine", "both")
    assert both.exit_code == 0, both.output
    header = both.output.splitlines()[1].split()
    assert "explicit" in header
    assert "z3" in header
    assert "Z3 does not answer always_possible" in both.output, "a cell without an answer says why"
    default = run("check")
    assert default.exit_code == 0
    assert "explicit" not in run("check", *FAST).output.splitlines()[1]


def test_stories_on_demand(folder: Path) -> None:
    assert "after 6 steps" not in run("check", *FAST).output
    assert "after 6 steps" in run("check", "--story", *FAST).output
    assert "after 6 steps" in run("check", "--story", "no_lost_update", *FAST).output
    assert "after 6 steps" not in run("check", "--story", "some_value", *FAST).output
    assert "after 6 steps" not in run("check", MODEL, "--no-story", *FAST).output


def test_quiet(folder: Path) -> None:
    assert run("check", "-q", *FAST).output == ""
    assert "no_lost_update" in run("check", "-q", MODEL, *FAST).output


def test_json_is_valid_and_stable(folder: Path) -> None:
    first = command("check", "--format", "json", "--no-timing", *FAST, env={**os.environ, "PYTHONHASHSEED": "1"})
    second = command("check", "--format", "json", "--no-timing", *FAST, "-j", "2", env={**os.environ, "PYTHONHASHSEED": "2"})
    assert first.returncode == second.returncode == 0, first.stderr + second.stderr
    document = json.loads(first.stdout)
    jsonschema.validate(document, schema())
    assert first.stdout == second.stdout, "whatever the hash seed, and in several processes as well"
    steps = document["cases"][0]["properties"][0]["counterexample"]["steps"]
    assert len(steps) == 6
    assert document["exit_status"] == 0


def test_json_of_broken_files(folder: Path) -> None:
    (folder / "specs" / "broken.study.yaml").write_text("study: broken\nmodel: counter.model.yaml\nkases: {}\n")
    result = command("check", "--format", "json", *FAST)
    document = json.loads(result.stdout)
    jsonschema.validate(document, schema())
    assert document["exit_status"] == result.returncode == 2
    assert document["errors"][0]["path"] == "specs/broken.study.yaml"


def test_writing_a_file_never_silences_the_terminal(folder: Path) -> None:
    result = run("check", "--format", "json", "-o", "out.json", *FAST)
    assert result.exit_code == 0
    assert "all as expected" in result.output
    jsonschema.validate(json.loads((folder / "out.json").read_text()), schema())
    assert run("check", "-o", "out.txt", "--no-timing", *FAST).exit_code == 0
    assert "all as expected" in (folder / "out.txt").read_text()
    unwritable = run("check", "-o", "no/such/folder/x", *FAST)
    assert unwritable.exit_code == 2
    assert "cannot write" in unwritable.output


def test_no_timing_is_stable_text(folder: Path) -> None:
    assert run("check", "--no-timing", *FAST).output == run("check", "--no-timing", *FAST).output


def test_internal_errors_ask_for_a_report(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_):
        raise RuntimeError("oops")

    monkeypatch.setattr("txweave.check.prepare", broken)
    monkeypatch.delenv("TXWEAVE_DEBUG", raising=False)
    result = run("check")
    assert result.exit_code == 4
    assert "internal error: RuntimeError: oops" in result.output
    assert "Please report it" in result.output
    assert "Traceback" not in result.output
    monkeypatch.setenv("TXWEAVE_DEBUG", "1")
    assert "Traceback" in run("check").output


BIG = SPEC.replace("count: 2", "count: 9").replace("[0, 1, 2, 3, 4]", "[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]")


def test_ctrl_c_ends_with_what_is_known(folder: Path) -> None:
    (folder / "big.model.yaml").write_text(BIG)
    process = subprocess.Popen(
        [sys.executable, "-m", "txweave", "check", "big.model.yaml", "--scenario", "two", *FAST],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    time.sleep(6)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert "interrupted: ending with what is known" in err
    assert "unknown (interrupted)" in out
    assert process.returncode in (1, 3), out + err
    assert "Traceback" not in err


def test_a_closed_pipe_is_no_trouble(folder: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as closed:
        result = subprocess.run(
            [sys.executable, "-m", "txweave", "check", *FAST], stdout=closed, stderr=subprocess.PIPE, text=True, check=False
        )
    assert result.stderr == ""
    assert result.returncode == 0


def test_progress_on_a_terminal_only(folder: Path) -> None:
    master, slave = pty.openpty()
    (folder / "big.model.yaml").write_text(BIG)
    process = subprocess.Popen(
        [sys.executable, "-m", "txweave", "check", "big.model.yaml", "--scenario", "two", "--timeout", "4", *FAST],
        stdout=subprocess.DEVNULL,
        stderr=slave,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "120"},
    )
    os.close(slave)
    seen = b""
    while True:
        try:
            part = os.read(master, 4096)
        except OSError:
            break
        if not part:
            break
        seen += part
    process.wait(timeout=60)
    os.close(master)
    assert b"states" in seen
    assert b"frontier" in seen


# -------------------------------------------------------------------------------------------------- the other commands


def test_help_is_fast_and_imports_little() -> None:
    slow = {"rich", "z3", "networkx", "sqlglot", "numpy"}
    code = f"import sys, txweave.cli; print(sorted({{m.split('.')[0] for m in sys.modules}} & {slow}))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
    assert command("--help").returncode == 0


def test_version() -> None:
    output = run("--version").output
    assert "txweave " in output
    assert "Python 3." in output
    assert "Z3 " in output


def test_unknown_command() -> None:
    result = run("chekc")
    assert result.exit_code == 2
    assert "did you mean 'check'?" in result.output


def test_show(folder: Path) -> None:
    shown = run("show", MODEL, "--fix", "specs/atomic.fix.yaml", "--set", "step=3")
    assert shown.exit_code == 0, shown.output
    assert "SET value = value + 1" in shown.output
    assert "step: 3" in shown.output
    (folder / "again.model.yaml").write_text(shown.output)
    assert run("show", "again.model.yaml").exit_code == 0
    assert run("show", STUDY_PATH).exit_code == 2
    assert run("show", "specs").exit_code == 2
    assert run("show", "nothing.model.yaml").exit_code == 2


def test_show_graph(folder: Path) -> None:
    output = run("show", MODEL, "--graph", "increment").output
    assert output.startswith("stateDiagram-v2")
    assert "s1_read --> s2_write" in output
    assert "s3_finish --> [*]" in output
    wrong = run("show", MODEL, "--graph", "incremen")
    assert wrong.exit_code == 2
    assert "did you mean 'increment'?" in wrong.output


def test_simulate(folder: Path) -> None:
    first = run("simulate", MODEL, "--scenario", "two", "--seed", "7")
    assert first.exit_code == 0, first.output
    assert "seed 7" in first.output
    assert "nothing more can happen" in first.output
    assert first.output == run("simulate", MODEL, "--scenario", "two", "--seed", "7").output
    assert "seed " in run("simulate", MODEL, "--scenario", "one").output
    assert "after 2 steps, as asked" in run("simulate", MODEL, "--scenario", "two", "--seed", "7", "--steps", "2").output
    assert run("simulate", MODEL).exit_code == 2, "there are two scenarios"
    assert "did you mean 'two'?" in run("simulate", MODEL, "--scenario", "twoo").output


def test_graph(folder: Path) -> None:
    dot = run("graph", MODEL, "--scenario", "one")
    assert dot.exit_code == 0, dot.output
    assert dot.output.startswith('digraph "counter" {')
    assert run("graph", MODEL, "--scenario", "two", "--format", "graphml", "-o", "g.graphml").exit_code == 0
    read = nx.read_graphml(folder / "g.graphml")
    whole = json.loads(run("graph", MODEL, "--scenario", "two", "--format", "json").output)
    assert len(whole["nodes"]) == read.number_of_nodes() > 10
    assert len(whole["edges"]) == read.number_of_edges()
    assert whole["nodes"][0]["state"]["processes"]["adder 1"]["status"] == "idle"
    small = run("graph", MODEL, "--scenario", "two", "--limit", "5")
    assert small.exit_code == 2
    assert "more than 5 states" in small.output


def test_explain() -> None:
    listed = run("explain").output.splitlines()
    assert len(listed) > 100
    code = listed[0].split()[0]
    told = run("explain", code.lower())
    assert told.exit_code == 0
    assert told.output.startswith(f"{code}: ")
    wrong = run("explain", "S999")
    assert wrong.exit_code == 2
    assert "there is no code 'S999'" in wrong.output
