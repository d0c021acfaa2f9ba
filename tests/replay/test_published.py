"""The anomaly scripts of the isolation literature in their published interleavings: what was published, the server and the model.

Source: Hermitage (https://github.com/ept/hermitage, ``postgres.md``), which gives for each script the statements in order, who
waits, what is read, and whether READ COMMITTED prevents the anomaly.  Each line here is a step of a process (``specs/isolation``)
and what the script says of it.  The scripts that it gives for a higher level only have the answer that follows at READ COMMITTED:
allowed.  Over all interleavings the studies state the same answers.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from txweave.check import expectation
from txweave.replay.machine import Machine
from txweave.replay.replay import Replay
from txweave.replay.schema import contents
from txweave.replay.server import Server
from txweave.semantics import lower
from txweave.spec.load import load_study
from txweave.spec.syntax import Case
from txweave.sql.bind import bind_model
from txweave.system.ground import GroundSystem, ground
from txweave.view import evaluate

SPECS = Path(__file__).parents[2] / "specs" / "isolation"


@dataclass(frozen=True)
class Script:
    """The published answer (``prevented`` or ``allowed``), the steps with what each answers, and the rows at the end."""

    answer: str
    steps: str
    rows: tuple[tuple[int, int], ...]


SCRIPTS = {
    "g0": Script(
        "prevented",
        """
        t1 write_x: ok, count 1
        t2 write_x: waits for t1
        t1 write_y: ok, count 1
        t1 end: ok
        t2 write_x: ok, count 1
        t2 write_y: ok, count 1
        t2 end: ok
        """,
        ((1, 12), (2, 22)),
    ),
    "g1a": Script(
        "prevented",
        """
        t1 write: ok, count 1
        t2 read: ok, rows [(10,)], count 1
        t1 end: ok
        t2 read_again: ok, rows [(10,)], count 1
        t2 end: ok
        """,
        ((1, 10), (2, 20)),
    ),
    "g1b": Script(
        "prevented",
        """
        t1 write: ok, count 1
        t2 read: ok, rows [(10,)], count 1
        t1 overwrite: ok, count 1
        t1 end: ok
        t2 read_again: ok, rows [(11,)], count 1
        t2 end: ok
        """,
        ((1, 11), (2, 20)),
    ),
    "g1c": Script(
        "prevented",
        """
        t1 write: ok, count 1
        t2 write: ok, count 1
        t1 read: ok, rows [(20,)], count 1
        t2 read: ok, rows [(10,)], count 1
        t1 end: ok
        t2 end: ok
        """,
        ((1, 11), (2, 22)),
    ),
    "otv": Script(
        "prevented",
        """
        t1 write_x: ok, count 1
        t1 write_y: ok, count 1
        t2 write_x: waits for t1
        t1 end: ok
        t2 write_x: ok, count 1
        t3 read_x: ok, rows [(11,)], count 1
        t2 write_y: ok, count 1
        t3 read_y: ok, rows [(19,)], count 1
        t2 end: ok
        t3 read_y_again: ok, rows [(18,)], count 1
        t3 read_x_again: ok, rows [(12,)], count 1
        t3 end: ok
        """,
        ((1, 12), (2, 18)),
    ),
    "pmp": Script(
        "allowed",
        """
        t1 find: ok, count 0
        t2 insert: ok, count 1
        t2 end: ok
        t1 find_again: ok, rows [(3,)], count 1
        t1 end: ok
        """,
        ((1, 10), (2, 20), (3, 30)),
    ),
    "pmp-write": Script(
        "allowed",
        """
        t1 add: ok, count 2
        t2 delete: waits for t1
        t1 end: ok
        t2 delete: ok, count 0
        t2 read: ok, rows [(1,)], count 1
        t2 end: ok
        """,
        ((1, 20), (2, 30)),
    ),
    # The script writes 11 twice: both transactions compute it from the 10 that they have read.
    "p4": Script(
        "allowed",
        """
        t1 read: ok, rows [(10,)], count 1
        t2 read: ok, rows [(10,)], count 1
        t1 write: ok, count 1
        t2 write: waits for t1
        t1 end: ok
        t2 write: ok, count 1
        t2 end: ok
        """,
        ((1, 11), (2, 20)),
    ),
    "g-single": Script(
        "allowed",
        """
        t1 read_x: ok, rows [(10,)], count 1
        t2 read_x: ok, rows [(10,)], count 1
        t2 read_y: ok, rows [(20,)], count 1
        t2 write_x: ok, count 1
        t2 write_y: ok, count 1
        t2 end: ok
        t1 read_y: ok, rows [(18,)], count 1
        t1 end: ok
        """,
        ((1, 12), (2, 18)),
    ),
    "g-single-predicate": Script(
        "allowed",
        """
        t1 find: ok, rows [(2,)], count 1
        t2 write: ok, count 1
        t2 end: ok
        t1 find_again: ok, rows [(1,)], count 1
        t1 end: ok
        """,
        ((1, 12), (2, 20)),
    ),
    "g-single-write": Script(
        "allowed",
        """
        t1 read: ok, rows [(10,)], count 1
        t2 read: ok, rows [(1, 10), (2, 20)], count 2
        t2 write_x: ok, count 1
        t2 write_y: ok, count 1
        t2 end: ok
        t1 delete: ok, count 0
        t1 end: ok
        """,
        ((1, 12), (2, 18)),
    ),
    "g2-item": Script(
        "allowed",
        """
        t1 read: ok, rows [(30,)], count 1
        t2 read: ok, rows [(30,)], count 1
        t1 write: ok, count 1
        t2 write: ok, count 1
        t1 end: ok
        t2 end: ok
        """,
        ((1, 11), (2, 21)),
    ),
    "g2": Script(
        "allowed",
        """
        t1 find: ok, rows [(0,)], count 1
        t2 find: ok, rows [(0,)], count 1
        t1 insert: ok, count 1
        t2 insert: ok, count 1
        t1 end: ok
        t2 end: ok
        """,
        ((1, 10), (2, 20), (3, 30), (4, 42)),
    ),
    "g2-two-edges": Script(
        "allowed",
        """
        t1 read: ok, rows [(10, 20)], count 1
        t2 write: ok, count 1
        t2 end: ok
        t3 read: ok, rows [(10, 25)], count 1
        t3 end: ok
        t1 write: ok, count 1
        t1 end: ok
        """,
        ((1, 0), (2, 25)),
    ),
}

STEP = re.compile(r"(?P<process>\w+) (?P<step>\w+): (?P<answer>.+)")


def lines(script: Script) -> list[tuple[str, str, str]]:
    """Process, step and answer of each line."""
    found = []
    for line in script.steps.strip().splitlines():
        match = STEP.fullmatch(line.strip())
        assert match is not None, line
        found.append((match["process"], match["step"], match["answer"]))
    return found


def published(name: str) -> Case:
    """The case of the script as it was published."""
    (case,) = [c for c in load_study(SPECS / f"{name}.study.yaml").cases if c.name == "published"]
    return case


def driven(run: Replay, system: GroundSystem, script: Script) -> bool:
    """Drive model and server through the script; whether the model's state breaks the property on the way."""
    (item,) = system.properties
    assert item.rows is not None
    broken = False
    for process, step, answer in lines(script):
        # The server is not stopped in the middle of a statement here: no pauses.
        offered = [o for o in run.options() if o.process is not None and o.kind != "pause"]
        (op,) = [o for o in offered if o.process.sort == process and o.step == step]
        run.perform(op)
        assert run.log[-1].partition("  ->  ")[2].replace("#1", "") == answer, "\n".join(run.log)
        assert len(run.beliefs) == 1, "the model does not know what has happened"
        broken = broken or evaluate(item.rows.some, run.beliefs[0].state) is True
    assert not run.options(), "the script ends before the processes do"
    return broken


def machine_of(case: Case) -> tuple[Machine, GroundSystem]:
    bound = bind_model(case.model)
    system = ground(lower(bound, case.scenario))
    return Machine(bound, case.scenario, system.system), system


@pytest.mark.parametrize("name", SCRIPTS)
def test_server_and_model_answer_as_published(server: Server, name: str) -> None:
    script = SCRIPTS[name]
    machine, system = machine_of(published(name))
    with Replay(server, machine) as run:
        assert driven(run, system, script) == (script.answer == "allowed")
        rows = contents(server, machine.model, run.schema)["test"]
    assert sorted(rows, key=repr) == list(script.rows)


@pytest.mark.parametrize("name", SCRIPTS)
def test_over_all_interleavings_the_answer_is_the_published_one(name: str) -> None:
    """The study expects the published answer; that it is met is tested with the other specifications."""
    case = published(name)
    (item,) = case.model.properties
    expected = expectation(case, item)
    assert expected.stated
    assert expected.verdict == ("violated" if SCRIPTS[name].answer == "allowed" else "holds")


def test_every_script_has_a_specification_and_no_other() -> None:
    assert sorted(SCRIPTS) == sorted(path.name.removesuffix(".study.yaml") for path in SPECS.glob("*.study.yaml"))
