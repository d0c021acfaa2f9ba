"""Random walks of every specification in ``specs/``, in the model and on the server in step.

Their counterexamples are replayed in ``test_replay.py``; the specifications of Airflow have tests of their own.
"""

from pathlib import Path

import pytest

from txweave.replay.conform import Walked, walk
from txweave.replay.machine import Machine
from txweave.replay.server import Server
from txweave.semantics import lower
from txweave.spec.load import load_study
from txweave.sql.bind import bind_model

SPECS = Path(__file__).parents[2] / "specs"
STUDIES = [path for path in sorted(SPECS.rglob("*.study.yaml")) if "airflow" not in path.parts]
WALKS = 6
"""Of every case."""


@pytest.mark.parametrize("path", STUDIES, ids=lambda p: p.name.removesuffix(".study.yaml"))
def test_walks(server: Server, path: Path) -> None:
    """Every walk agrees, none leaves the modelled ground unsaid, and between them every process of every case has moved."""
    for case in load_study(path).cases:
        bound = bind_model(case.model)
        machine = Machine(bound, case.scenario, lower(bound, case.scenario))
        found = Walked()
        moved = set()
        for number in range(WALKS):
            divergence, run, taken = walk(server, machine, f"{case.name}.{number}", found)
            assert divergence is None, "\n".join([case.name, *run.log, str(divergence)])
            moved |= {op.process for op in taken}
        assert moved >= set(machine.actors), case.name
        bounds = {name.value for name in case.model.scenarios[case.scenario].truncate}
        assert set(found.left) <= bounds, f"{case.name}: {dict(found.left)}"
