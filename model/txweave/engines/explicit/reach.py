"""Reachability and strongly connected components of an explored graph, in arrays."""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from txweave.engines.explicit.search import Exploration, Ints
from txweave.engines.explicit.watch import Watch

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Adjacency:
    """Edges in rows: those of node *i* at positions ``offsets[i]`` to ``offsets[i + 1]`` of ``targets``."""

    offsets: Ints
    targets: Ints

    def closure(self, start: Mask, within: Mask | None = None) -> Mask:
        """The nodes that can be reached from ``start``, all the way ``within`` a set."""
        seen = start.copy() if within is None else start & within
        frontier = np.flatnonzero(seen)
        while frontier.size:
            begin, counts = self.offsets[frontier], self.offsets[frontier + 1] - self.offsets[frontier]
            skipped = np.repeat(begin - np.concatenate(([0], np.cumsum(counts)[:-1])), counts)
            reached = np.unique(self.targets[skipped + np.arange(skipped.size)])
            reached = reached[~seen[reached]]
            if within is not None:
                reached = reached[within[reached]]
            seen[reached] = True
            frontier = reached
        return seen


def adjacency(size: int, sources: Ints, targets: Ints) -> Adjacency:
    """Edges (ordered by source) in rows."""
    return Adjacency(np.concatenate(([0], np.cumsum(np.bincount(sources, minlength=size)))), targets)


class Digraph:
    """The edges among the expanded states of an exploration.

    Edges that lead out of bounds or to states that were not expanded are enabled actions, but are no edges here.
    """

    def __init__(self, exploration: Exploration) -> None:
        graph = exploration.graph
        assert graph is not None
        self.size = exploration.expanded
        self.all = graph
        sources = np.repeat(np.arange(self.size), np.diff(graph.offsets))
        inside = (graph.targets >= 0) & (graph.targets < self.size)
        self.sources: Ints = sources[inside]
        self.targets: Ints = graph.targets[inside]
        self.actions: Ints = graph.actions[inside]

    @cached_property
    def forward(self) -> Adjacency:
        """The edges by their source, in order."""
        return adjacency(self.size, self.sources, self.targets)

    @cached_property
    def backward(self) -> Adjacency:
        """The edges by their target."""
        order = np.argsort(self.targets, kind="stable")
        return adjacency(self.size, self.targets[order], self.sources[order])

    @cached_property
    def arrows(self) -> Arrows:
        """All edges, for walking."""
        return Arrows(self)


class Arrows:
    """A selection of edges with their actions, for algorithms that walk."""

    def __init__(self, graph: Digraph, actions: Mask | None = None) -> None:
        keep = np.ones(graph.actions.size, dtype=bool) if actions is None else actions[graph.actions]
        rows = adjacency(graph.size, graph.sources[keep], graph.targets[keep])
        self.size = graph.size
        self.offsets = array("q", rows.offsets.astype(np.int64).tobytes())
        self.targets = array("i", rows.targets.astype(np.int32).tobytes())
        self.actions = array("i", graph.actions[keep].astype(np.int32).tobytes())

    def components(self, nodes: Iterable[int], inside: bytearray, watch: Watch) -> list[list[int]]:
        """Strongly connected components with at least one edge, of the graph restricted to ``inside``.

        Tarjan's algorithm without recursion; ``nodes`` are where to start.  Components are in the order in which they are
        completed, their states ascending.
        """
        offsets, targets = self.offsets, self.targets
        index: dict[int, int] = {}
        low: dict[int, int] = {}
        stack: list[int] = []
        on_stack: set[int] = set()
        found: list[list[int]] = []
        for root in nodes:
            if root in index or not inside[root]:
                continue
            index[root] = low[root] = len(index)
            stack.append(root)
            on_stack.add(root)
            path = [root]
            edges = [offsets[root]]
            while path:
                node, edge = path[-1], edges[-1]
                if edge < offsets[node + 1]:
                    edges[-1] = edge + 1
                    target = targets[edge]
                    if not inside[target]:
                        continue
                    if target not in index:
                        number = index[target] = low[target] = len(index)
                        if not number & 4095:
                            watch.poll()
                        stack.append(target)
                        on_stack.add(target)
                        path.append(target)
                        edges.append(offsets[target])
                    elif target in on_stack and index[target] < low[node]:
                        low[node] = index[target]
                    continue
                path.pop()
                edges.pop()
                if path and low[node] < low[path[-1]]:
                    low[path[-1]] = low[node]
                if low[node] == index[node]:
                    at = len(stack) - 1
                    while stack[at] != node:
                        at -= 1
                    members = stack[at:]
                    del stack[at:]
                    on_stack.difference_update(members)
                    if len(members) > 1 or node in targets[offsets[node] : offsets[node + 1]]:
                        found.append(sorted(members))
        return found
