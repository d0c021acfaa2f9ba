"""Deadlock, and states from which something is no longer possible."""

from __future__ import annotations

import numpy as np

from txweave.engines.explicit.reach import Digraph
from txweave.engines.explicit.search import Exploration, Mask
from txweave.engines.explicit.watch import Watch
from txweave.system import expr as x
from txweave.system.ground import GroundProperty


def deadlock(exploration: Exploration, watch: Watch) -> int | None:
    """The first expanded state in which no process can move, now or after any time, and not all have finished.

    A tick to a state that is not known well (out of bounds, not expanded) may lead to a move.
    """
    quiet = exploration.quiet
    stuck: Mask = np.zeros(len(exploration.packed) + 1, dtype=bool)
    stuck[quiet.states] = True
    sources, targets = quiet.sources, quiet.targets
    # The last place stands for -1 and stays lively.
    while (lively := ~stuck[targets]).any():
        stuck[sources[lively]] = False
        sources, targets = sources[~lively], targets[~lively]
    if not stuck.any():
        return None
    finished = x.conj(*(condition for _, condition in exploration.ground.finished))
    first = np.flatnonzero(stuck[:-1] & ~exploration.holds(finished, watch.poll))
    return int(first[0]) if first.size else None


def impossible(exploration: Exploration, graph: Digraph, item: GroundProperty, watch: Watch) -> int | None:
    """The first state from which no state with a row can be reached; the exploration must be complete."""
    assert item.rows is not None
    some = exploration.holds(item.rows.some, watch.poll)
    lost = np.flatnonzero(~graph.backward.closure(some))
    return int(lost[0]) if lost.size else None
