"""Deadlock, and states from which something is no longer possible."""

from __future__ import annotations

import numpy as np

from txweave.engines.explicit.reach import Digraph, Mask
from txweave.engines.explicit.search import Exploration
from txweave.engines.explicit.watch import Watch
from txweave.system import expr as x
from txweave.system.ground import GroundProperty


def deadlock(exploration: Exploration) -> int | None:
    """The first expanded state in which no process can move, now or after any time, and not all have finished.

    A tick to a state that is not known well (out of bounds, not expanded) may lead to a move.
    """
    quiet = exploration.quiet
    stuck = set(quiet)
    before: dict[int, list[int]] = {}
    for state, ticks in quiet.items():
        for target in ticks:
            before.setdefault(target, []).append(state)
    lively = [target for target in before if target not in quiet]
    while lively:
        for state in before.get(lively.pop(), ()):
            if state in stuck:
                stuck.remove(state)
                lively.append(state)
    finished = exploration.program.conditions([x.conj(*(condition for _, condition in exploration.ground.finished))])
    return next((state for state in sorted(stuck) if not finished(exploration.packed[state])), None)


def impossible(exploration: Exploration, graph: Digraph, item: GroundProperty, watch: Watch) -> int | None:
    """The first state from which no state with a row can be reached; the exploration must be complete."""
    assert item.rows is not None
    test = exploration.program.conditions([item.rows.some])
    some: Mask = np.zeros(graph.size, dtype=bool)
    for number, state in enumerate(exploration.packed):
        some[number] = bool(test(state))
        if not number & 4095:
            watch.poll()
    lost = np.flatnonzero(~graph.backward.closure(some))
    return int(lost[0]) if lost.size else None
