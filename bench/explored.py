"""txweave's side of the bench: one case, from the files to all its states.  One line of JSON.

    python -m bench.explored PATH CASE

The search is unreduced, as everybody's here; no property is checked, as nobody's is here.
"""

from __future__ import annotations

import json
import resource
import sys
import time


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def main(path: str, name: str) -> None:
    """Explore a case."""
    from bench.models import load
    from txweave.engines.explicit import explore

    ground = load(path, name)
    before, started = _cpu(), time.perf_counter()
    found = explore(ground)
    assert found.complete, found.stopped
    result = {
        "states": len(found.packed),
        # To the exports what leads beyond a bound is no transition; it is one here.
        "transitions": found.transitions if not found.bounds_hit else None,
        "depth": found.depth,
        "seconds": time.perf_counter() - started,
        "cpu": _cpu() - before,
        "bits": found.program.layout.width,
        "words": found.program.layout.words,
        "cells": len(ground.cells),
        "actions": len(ground.actions),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main(*sys.argv[1:3])
