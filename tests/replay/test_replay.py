"""Every counterexample of the specifications on the server, and the command that runs them there."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from click.testing import CliRunner, Result
from recorded import CRASHES, case_of, counterexamples, walked

from txweave import tracefile
from txweave.cli import cli
from txweave.engines import explicit
from txweave.replay import replay as replay_module
from txweave.replay.machine import Machine
from txweave.replay.order import OrderError, at_once
from txweave.replay.replay import replay
from txweave.replay.report import schema
from txweave.replay.server import Server
from txweave.semantics import lower
from txweave.spec.load import load_study
from txweave.sql.bind import bind_model
from txweave.system.ground import ground
from txweave.verdict import Limits

SPECS = Path(__file__).parents[2] / "specs"
STUDIES = sorted(SPECS.rglob("*.study.yaml"))
SMALL = [path for path in STUDIES if not {"airflow", "isolation"} & set(path.parts)]
TRANSFER = SPECS / "transfer" / "transfer.model.yaml"


@pytest.mark.parametrize("path", SMALL, ids=lambda p: p.stem)
def test_counterexamples(server: Server, path: Path) -> None:
    replayed = 0
    for case in load_study(path).cases:
        bound = bind_model(case.model)
        system = ground(lower(bound, case.scenario))
        machine = Machine(bound, case.scenario, system.system)
        for name, verdict in explicit.check(system, limits=Limits(max_states=60_000)).verdicts.items():
            if verdict.trace is not None:
                result = replay(server, machine, verdict.trace)
                assert result.outcome == "agrees", f"{case.name} {name}: {result.outcome}\n{result.detail}\n" + "\n".join(
                    result.log
                )
                replayed += 1
    assert replayed


# ------------------------------------------------------------------------------------------------------------ the command


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Counterexamples of the transfer."""
    found = tmp_path_factory.mktemp("replay")
    counterexamples(found, SPECS / "transfer" / "transfer.study.yaml")
    return found


def run(server: Server, *arguments: str) -> Result:
    return CliRunner().invoke(cli, ["replay", *arguments, "--dsn", server.dsn])


def test_a_trace(server: Server, home: Path) -> None:
    result = run(server, str(home / "transfer.as_written.it_ends.trace.json"))
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines() == ["as_written  it_ends: agrees (7 steps)", f"PostgreSQL {server.version}"]


def test_a_trace_that_says_what_the_specification_does_not(server: Server, home: Path, tmp_path: Path) -> None:
    document = json.loads((home / "transfer.as_written.it_ends.trace.json").read_text(encoding="utf-8"))
    document["spec"]["study"] = str(SPECS / "transfer" / "transfer.study.yaml")
    document["spec"]["model"] = str(TRANSFER)
    del document["steps"][2]
    document["loop"] = 6
    path = tmp_path / "wrong.trace.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    result = run(server, str(path))
    assert result.exit_code == 2
    # Without the third step `back` has not tried its deposit: `there` waits for it, and it waits for nobody.
    expected = "wrong.trace.json: step 4: there: move_money.deposit (deadlock_detected): not possible here: there waits in deposit"
    assert expected in result.output


def test_a_model_by_itself_with_a_fix_and_one_property(server: Server) -> None:
    fix = str(SPECS / "transfer" / "ordered.fix.yaml")
    result = run(server, str(TRANSFER), "--fix", fix, "--scenario", "one_hangs", "--property", "it_ends")
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[0].endswith("it_ends: agrees (2 steps)")
    every = run(server, str(TRANSFER), "--scenario", "both_ways")
    assert every.exit_code == 0, every.output
    assert [line.split(":")[0] for line in every.stdout.splitlines()[:-1]] == ["both_ways  nobody_fails", "both_ways  it_ends"]


def test_json_follows_its_schema(server: Server) -> None:
    study = str(SPECS / "transfer" / "transfer.study.yaml")
    result = run(server, study, "--case", "as_written", "--walks", "2", "--format", "json")
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    jsonschema.Draft7Validator.check_schema(schema())
    jsonschema.validate(document, schema())
    (case,) = document["cases"]
    assert [(t["property"], t["outcome"], t["steps"]) for t in case["traces"]] == [
        ("nobody_fails", "agrees", 5),
        ("it_ends", "agrees", 7),
    ]
    assert case["walks"]["number"] == 2
    assert case["walks"]["steps"] > 2
    assert document["exit_status"] == 0


def test_a_wrong_specification_is_told_with_its_place(server: Server, tmp_path: Path) -> None:
    path = tmp_path / "wrong.model.yaml"
    path.write_text(
        TRANSFER.read_text(encoding="utf-8").replace("SET balance = balance -", "SET balanse = balance -"), encoding="utf-8"
    )
    result = run(server, str(path))
    assert result.exit_code == 2
    assert f"{path}:" in result.stderr
    assert "balanse" in result.stderr
    assert "^^^^^^^" in result.stderr
    document = json.loads(run(server, str(path), "--format", "json").stdout)
    jsonschema.validate(document, schema())
    assert document["exit_status"] == 2
    assert all(case["errors"][0]["span"]["line"] > 1 for case in document["cases"])


def test_unknown_names_are_usage(server: Server, home: Path) -> None:
    assert run(server, str(TRANSFER), "--property", "it_end").exit_code == 2
    assert "did you mean 'it_ends'?" in run(server, str(TRANSFER), "--property", "it_end").output
    assert run(server, str(TRANSFER), "--scenario", "nowhere").exit_code == 2
    trace = str(home / "transfer.as_written.it_ends.trace.json")
    for option in (["--walks", "3"], ["--property", "it_ends"], ["--max-states", "3"]):
        result = run(server, trace, *option)
        assert result.exit_code == 2
        assert f"leave out {option[0]}" in result.output


def test_what_is_not_known_is_3(server: Server) -> None:
    limited = run(server, str(TRANSFER), "--scenario", "both_ways", "--max-states", "5")
    assert limited.exit_code == 3, limited.output
    assert "inconclusive: max-states after " in limited.stdout
    nothing = run(server, str(TRANSFER), "--scenario", "both_ways", "--property", "money_is_conserved")
    assert nothing.exit_code == 3
    assert "nothing to replay" in nothing.stdout


def test_a_difference_is_4(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = Machine.expected

    def wrong(self: Machine, *arguments: Any) -> Any:
        found = expected(self, *arguments)
        return replace(found, affected=7) if found.affected == 1 else found

    monkeypatch.setattr(Machine, "expected", wrong)
    result = run(server, str(TRANSFER), "--scenario", "both_ways", "--format", "json")
    assert result.exit_code == 4
    document = json.loads(result.stdout)
    jsonschema.validate(document, schema())
    divergence = document["cases"][0]["traces"][0]["divergence"]
    assert divergence["step"] == 1
    assert divergence["expected"] == ["ok, count 7"]
    assert divergence["got"] == "ok, count 1"
    assert divergence["place"] == "move_money.withdraw"
    assert divergence["sql"].startswith("UPDATE account")


# ---------------------------------------------------------------------------------------------------- a server of somebody's


@pytest.fixture
def foreign(server: Server) -> Iterator[Server]:
    """The server as somebody's own: with a table called like one of the specification's."""
    server.monitor.run("CREATE TABLE public.account (id integer, balance integer); INSERT INTO public.account VALUES (1, 77)")
    yield server
    server.monitor.run("DROP TABLE public.account")


def everything(server: Server) -> list[Any]:
    """All that is in the database, apart from the system's own."""
    texts = [
        "SELECT nspname::text FROM pg_namespace WHERE nspname !~ '^pg_' ORDER BY 1",
        "SELECT relname::text, nspname::text FROM pg_class c, pg_namespace n WHERE n.oid = relnamespace AND nspname !~ '^(pg|inf)'",
        "SELECT id, balance, xmin::text, ctid::text FROM public.account",
        "SELECT proname::text FROM pg_proc WHERE pronamespace = 'public'::regnamespace",
    ]
    return [sorted(server.monitor.run(text).rows) for text in texts]


def test_nothing_else_is_touched_and_nothing_remains(foreign: Server) -> None:
    before = everything(foreign)
    result = run(foreign, str(TRANSFER), "--scenario", "both_ways", "--walks", "3")
    assert result.exit_code == 0, result.output
    assert everything(foreign) == before
    assert foreign.monitor.run("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()").rows == (
        (1 + idle(foreign),),
    )


def idle(server: Server) -> int:
    """Sessions of the fixture itself that wait to be used again."""
    return len(server._idle)


def test_nothing_remains_after_an_interruption(foreign: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C in the middle of a statement that waits."""
    before = everything(foreign)
    observe = replay_module.Replay._observe
    seen = []

    def interrupted(self: Any, *arguments: Any) -> None:
        observe(self, *arguments)
        if self.pending:
            seen.append(self.schema)
            self.server.monitor.send("SELECT pg_sleep(60)")
            raise KeyboardInterrupt

    monkeypatch.setattr(replay_module.Replay, "_observe", interrupted)
    result = run(foreign, str(TRANSFER), "--scenario", "both_ways", "--property", "it_ends")
    assert seen
    assert result.exit_code != 0
    assert everything(foreign) == before


def test_waits_go_on_by_themselves_on_a_server_that_cannot_be_stopped(server: Server, tmp_path: Path) -> None:
    """Walks in which a waiter dawdles are put into the server's order first."""
    model = tmp_path / "crashes.model.yaml"
    model.write_text(CRASHES, encoding="utf-8")
    selected = case_of(model)
    dawdled = False
    with Server.start(server.dsn) as theirs:
        assert not theirs.local
        for seed in range(200):
            path = tmp_path / f"{seed}.trace.json"
            walked(path, selected, seed)
            again = tracefile.load(path)
            machine = Machine(again.bound, again.selected.case.scenario, again.system.system)
            try:
                ordered = at_once(machine, again.trace)
            except OrderError:
                continue
            if ordered is again.trace:
                continue
            dawdled = True
            result = replay(theirs, machine, again.trace)
            assert result.outcome == "agrees", (seed, result)
            assert result.steps == len(ordered.steps)
            break
    assert dawdled, "no walk has a waiter that dawdles"


def test_who_may_not_choose_the_victim_is_told_what_to_grant(server: Server, home: Path) -> None:
    database = server.monitor.run("SELECT current_database()").rows[0][0]
    server.monitor.run(f"CREATE ROLE modest LOGIN; GRANT CREATE ON DATABASE {database} TO modest")
    try:
        dsn = server.dsn.replace("//postgres:@", "//modest:@")
        assert dsn != server.dsn
        trace = str(home / "transfer.as_written.it_ends.trace.json")
        refused = CliRunner().invoke(cli, ["replay", trace, "--dsn", dsn])
        assert refused.exit_code == 2
        assert "GRANT SET ON PARAMETER deadlock_timeout TO modest" in refused.output
        server.monitor.run("GRANT SET ON PARAMETER deadlock_timeout TO modest")
        assert CliRunner().invoke(cli, ["replay", trace, "--dsn", dsn]).exit_code == 0
        rows = server.monitor.run("SELECT count(*) FROM pg_namespace WHERE nspname ~ '^txweave'").rows
        assert rows == ((0,),)
    finally:
        server.monitor.run("DROP OWNED BY modest; DROP ROLE modest")


def test_no_server_is_usage() -> None:
    result = CliRunner().invoke(cli, ["replay", str(TRANSFER), "--dsn", "postgresql://nobody@127.0.0.1:1/nowhere"])
    assert result.exit_code == 2
    assert "Error: " in result.output
    assert "Traceback" not in result.output


def test_ctrl_c_ends_with_what_is_known(server: Server) -> None:
    """Pressed once while random walks go on: exit status 3, and nothing stays on the server."""
    command = [sys.executable, "-m", "txweave", "replay", str(TRANSFER), "--scenario", "both_ways", "--walks", "100000"]
    with subprocess.Popen([*command, "--dsn", server.dsn], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 90
        while not server.monitor.run("SELECT 1 FROM pg_namespace WHERE nspname ~ '^txweave'").rows:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=60)
    assert process.returncode == 3, (output, errors)
    assert "Traceback" not in errors
    assert "interrupted" in output + errors
    assert server.monitor.run("SELECT 1 FROM pg_namespace WHERE nspname ~ '^txweave'").rows == ()
