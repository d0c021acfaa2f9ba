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
from junitparser import JUnitXml

from txweave.cli import cli
from txweave.report.formats import FORMATS
from txweave.report.json import schema
from txweave.report.markdown import SUMMARY_LIMIT

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


def test_a_format_with_a_file_leaves_the_terminal_its_text(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    files = (
        *("json=out.json", "text=out.txt", "junit=out.xml", "sarif=out.sarif", "markdown=out.md", "itf=traces", "github=out.log"),
        "html=out.html",
    )
    arguments = [word for item in files for word in ("--format", item)]
    plain = run("check", MODEL, "--no-timing", *FAST)
    result = run("check", MODEL, "--no-timing", *arguments, *FAST)
    assert result.exit_code == plain.exit_code == 1
    assert result.output == plain.output
    jsonschema.validate(json.loads((folder / "out.json").read_text()), schema())
    assert (folder / "out.txt").read_text() == plain.stdout
    assert JUnitXml.fromfile("out.xml").failures == 1
    assert json.loads((folder / "out.sarif").read_text())["runs"][0]["results"][0]["ruleId"] == "counter/no_lost_update"
    assert "1 not as expected" in (folder / "out.md").read_text()
    assert 'href="#two/no_lost_update"' in (folder / "out.html").read_text()
    assert (folder / "out.log").read_text().startswith(f"::error file={MODEL},line=25,col=3,title=")
    assert [path.name for path in (folder / "traces").iterdir()] == ["specs-counter.two.no_lost_update.itf.json"]


def test_formats_without_a_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    assert run("check", MODEL, "--format", "markdown", *FAST).stdout.startswith("## ❌ txweave: 1 not as expected")
    annotated = run("check", MODEL, "--format", "github", *FAST)
    assert annotated.stderr.startswith("::error file=specs/counter.model.yaml,")
    assert "1 not as expected" in annotated.stdout
    assert "::" not in annotated.stdout
    both = run("check", MODEL, "--format", "github", "--format", "json", *FAST)
    assert json.loads(both.stdout)["exit_status"] == 1
    assert both.stderr == annotated.stderr


def test_markdown_goes_to_the_summary_of_a_job(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    summary = folder / "summary.md"
    summary.write_text("# of another command\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    result = run("check", MODEL, "--format", "markdown", *FAST)
    assert result.exit_code == 1
    assert "no_lost_update" in result.stdout
    assert "## " not in result.stdout, "the terminal still gets its text"
    written = summary.read_text()
    assert written.startswith("# of another command\n## ❌ txweave: 1 not as expected")
    summary.write_text("x" * (SUMMARY_LIMIT - 500))
    assert run("check", MODEL, "--format", "markdown", *FAST).exit_code == 1
    assert summary.stat().st_size <= SUMMARY_LIMIT
    assert "Left out" in summary.read_text()
    summary.write_text("x" * (SUMMARY_LIMIT - 20))
    full = run("check", MODEL, "--format", "markdown", *FAST)
    assert full.exit_code == 2
    assert f"cannot write {summary}: the step's summary is full" in full.stderr


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("jsn", "there is no format 'jsn': did you mean 'json'?"),
        ("itf", "name a directory"),
        ("json=no/such/folder/x", "cannot write no/such/folder/x: there is no directory no/such/folder"),
        ("json=specs", "cannot write specs: it is a directory"),
        (f"itf={STUDY_PATH}", f"cannot write {STUDY_PATH}: it is no directory"),
    ],
)
def test_what_cannot_be_written_is_said_before_the_check(
    folder: Path, monkeypatch: pytest.MonkeyPatch, value: str, message: str
) -> None:
    monkeypatch.setattr("txweave.run.run_cases", lambda *_: pytest.fail("checked"))
    result = run("check", "--format", value, *FAST)
    assert result.exit_code == 2
    assert message in " ".join(result.output.replace("│", " ").split())


def test_one_file_that_cannot_be_written_does_not_cost_the_answer(folder: Path) -> None:
    (folder / "locked").mkdir()
    Path("locked", "specs-counting.as_written.no_lost_update.itf.json").mkdir()
    result = run("check", "--format", "itf=locked", "--format", "json=out.json", *FAST)
    assert result.exit_code == 2
    assert "cannot write locked" in result.stderr
    assert "all as expected" in result.stdout
    assert json.loads((folder / "out.json").read_text())["exit_status"] == 0


def test_traces_of_another_check_are_left_and_named(folder: Path) -> None:
    Path("traces").mkdir()
    Path("traces", "old.itf.json").write_text("{}")
    assert "traces/old.itf.json is not of this check" in run("check", "--format", "itf=traces", *FAST).stderr


def test_trace_files(folder: Path) -> None:
    result = run("check", MODEL, "--traces", "counterexamples", *FAST)
    assert result.exit_code == 1
    (written,) = Path("counterexamples").iterdir()
    assert json.loads(written.read_text())["property"]["name"] == "no_lost_update"
    unwritable = run("check", MODEL, "--traces", f"{MODEL}/x", *FAST)
    assert unwritable.exit_code == 2
    assert "cannot write" in unwritable.stderr
    assert "1 not as expected" in unwritable.stdout


def test_strict(folder: Path) -> None:
    assert run("check", *FAST).exit_code == 0
    result = run("check", "--strict", "--format", "junit=out.xml", *FAST)
    assert result.exit_code == 2
    assert "error L505" in result.stderr
    assert JUnitXml.fromfile("out.xml").errors >= 1


def test_unknown_is_in_every_format(folder: Path) -> None:
    files = {"json": "a", "text": "b", "junit": "c", "sarif": "d", "markdown": "e", "github": "f", "html": "g"}
    arguments = [word for name, file in files.items() for word in ("--format", f"{name}={file}")]
    assert run("check", "--case", "fixed", "--max-states", "3", *arguments, *FAST).exit_code == 3
    for file in files.values():
        assert "unknown (max-states)" in Path(file).read_text(), file
    counted = JUnitXml.fromfile("c")
    assert (counted.tests, counted.errors, counted.failures, counted.skipped) == (2, 2, 0, 0)


def test_formats_of_broken_files(folder: Path) -> None:
    (folder / "specs" / "broken.study.yaml").write_text("study: broken\nmodel: counter.model.yaml\nkases: {}\n")
    result = run("check", "--format", "junit=a", "--format", "sarif=b", "--format", "github", *FAST)
    assert result.exit_code == 2
    assert JUnitXml.fromfile("a").errors == 1
    assert json.loads(Path("b").read_text())["runs"][0]["invocations"][0]["executionSuccessful"] is False
    assert "::error file=specs/broken.study.yaml,line=3," in result.stderr


def test_every_format_is_the_same_in_every_process(folder: Path) -> None:
    names = [name for name in FORMATS if name not in {"text", "json", "itf"}]
    for seed in "12":
        arguments = [word for name in names for word in ("--format", f"{name}={name}{seed}")]
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        result = command("check", "--no-timing", "-j", seed, *arguments, *FAST, env=environment)
        assert result.returncode == 0, result.stderr
    for name in names:
        assert Path(f"{name}1").read_bytes() == Path(f"{name}2").read_bytes(), name


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
        [sys.executable, "-m", "txweave", "check", "big.model.yaml", "--scenario", "two", "--timeout", "60", *FAST],
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
        if b"states" in seen:
            process.send_signal(signal.SIGINT)
    process.wait(timeout=60)
    os.close(master)
    assert b"states" in seen
    assert b"frontier" in seen


# --------------------------------------------------------------------------------------------------------------- shells


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(shell: str) -> None:
    script = subprocess.run(
        [sys.executable, "-c", "from txweave.cli import main; main()"],
        env={**os.environ, "_TXWEAVE_COMPLETE": f"{shell}_source"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "txweave" in script
    assert "_TXWEAVE_COMPLETE" in script


def completed(words: str, incomplete: str) -> str:
    """What click's script for bash would be told."""
    line = f"txweave {words} {incomplete}".replace("  ", " ")
    environment = {
        **os.environ,
        "_TXWEAVE_COMPLETE": "bash_complete",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(words.split()) + 1),
    }
    code = "from txweave.cli import main; main()"
    return subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False).stdout


def test_what_is_completed() -> None:
    assert completed("", "ch").splitlines() == ["plain,check"]
    assert "plain,junit" in completed("check --format", "").splitlines()
    assert completed("check --format", "ju").splitlines() == ["plain,junit"]
    assert "plain,--max-states" in completed("check", "--max").splitlines()
    assert completed("check", "specs/").splitlines() == ["file,specs/"]


@pytest.mark.parametrize("variables", [{"NO_COLOR": "1"}, {"CI": "true", "GITHUB_ACTIONS": "true"}, {"TERM": "dumb"}])
def test_no_colour_without_a_terminal_whatever_the_environment_says(folder: Path, variables: dict[str, str]) -> None:
    plain = command("check", MODEL, "--no-timing", *FAST, env={**os.environ})  # without what readline puts in
    assert "\x1b" not in plain.stdout
    result = command("check", MODEL, "--no-timing", *FAST, env={**os.environ, "FORCE_COLOR": "1", **variables})
    assert result.stdout == plain.stdout


@pytest.mark.parametrize("columns", ["40", "80", "200"])
def test_narrow_and_wide(folder: Path, columns: str) -> None:
    result = command("check", MODEL, *FAST, env={**os.environ, "COLUMNS": columns})
    assert result.returncode == 1
    assert max(map(len, result.stdout.splitlines())) <= max(60, int(columns))


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
