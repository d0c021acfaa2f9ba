from collections.abc import Iterator

import pytest

from txweave.replay.server import Server


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    with Server.start() as running:
        yield running
