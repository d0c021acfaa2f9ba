"""Specifications of one construct each, walked at random in the model and on the server in step."""

from pathlib import Path

import pytest
import yaml

from txweave.replay.conform import Walked, machine_of, walk
from txweave.replay.server import Server

WALKED = sorted((Path(__file__).parent / "walked").glob("*.yaml"))


@pytest.mark.parametrize("path", WALKED, ids=lambda p: p.stem)
def test_walks_agree(server: Server, path: Path) -> None:
    machine = machine_of(yaml.safe_load(path.read_text(encoding="utf-8")))
    found = Walked()
    for number in range(25):
        divergence, run, _ = walk(server, machine, f"{path.stem}.{number}", found)
        assert divergence is None, "\n".join([*run.log, str(divergence)])
    assert found.steps > 100
    assert found.waits > 5
    assert sum(found.left.values()) < 15
