"""Walks of the model and the server in step, those that once failed, and wrong rules that they find."""

from pathlib import Path

import pytest
import yaml

from txweave.replay.conform import Walked, conform, machine_of, walk
from txweave.replay.server import Server

REGRESSIONS = sorted((Path(__file__).parent / "regressions").glob("*.yaml"))


@pytest.mark.parametrize("seed", [1001, 1002, 1003])  # in each of which somebody waits
def test_walks_agree(server: Server, seed: int) -> None:
    found = conform(server, 32, seed)
    assert not found.failures, found.failures[0].text
    assert found.walks == 32
    assert found.waits > 0


@pytest.mark.parametrize("path", REGRESSIONS, ids=lambda p: p.stem)
def test_walks_that_once_failed(server: Server, path: Path) -> None:
    machine = machine_of(yaml.safe_load(path.read_text(encoding="utf-8")))
    found = Walked()
    for number in range(25):
        divergence, run, _ = walk(server, machine, f"{path.stem}.{number}", found)
        assert divergence is None, "\n".join([*run.log, str(divergence)])
    assert found.steps > 25
