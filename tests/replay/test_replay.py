"""Every counterexample of the specifications, on the server."""

from pathlib import Path

import pytest

from txweave.engines import explicit
from txweave.replay.machine import Machine
from txweave.replay.replay import replay
from txweave.replay.server import Server
from txweave.semantics import lower
from txweave.spec.load import load_study
from txweave.sql.bind import bind_model
from txweave.system.ground import ground
from txweave.verdict import Limits

SPECS = Path(__file__).parents[2] / "specs"
STUDIES = sorted(SPECS.rglob("*.study.yaml"))
SMALL = [path for path in STUDIES if "airflow" not in path.parts]


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
