"""Reachability and strongly connected components of an explored graph, in arrays."""

from __future__ import annotations

from array import array
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from txweave.engines.explicit.search import Exploration, Ints, Mask

FEW = 200_000
"""Edges up to which components are found before scipy is imported."""


@dataclass(frozen=True)
class Adjacency:
    """Edges in rows: those of node *i* at positions ``offsets[i]`` to ``offsets[i + 1]`` of ``targets``."""

    offsets: Ints
    targets: Ints

    def edges(self, nodes: Ints) -> tuple[Ints, Ints]:
        """The positions of the edges from nodes, one node after the other, and how many each of them has."""
        begin, counts = self.offsets[nodes], self.offsets[nodes + 1] - self.offsets[nodes]
        skipped = np.repeat(begin - np.concatenate(([0], np.cumsum(counts)[:-1])), counts)
        return skipped + np.arange(skipped.size), counts

    def closure(self, start: Mask, within: Mask | None = None) -> Mask:
        """The nodes that can be reached from ``start``, all the way ``within`` a set."""
        seen = start.copy() if within is None else start & within
        frontier = np.flatnonzero(seen)
        while frontier.size:
            reached = self.targets[self.edges(frontier)[0]]
            reached = reached[~seen[reached]]
            if within is not None:
                reached = reached[within[reached]]
            frontier = distinct(reached, seen.size)
            seen[frontier] = True
        return seen


def distinct(numbers: Ints, size: int) -> Ints:
    """Numbers below ``size`` in order, each once."""
    if numbers.size < size // 16:
        from txweave.engines.frontier.rows import values

        return values(numbers)
    there: Mask = np.zeros(size, dtype=bool)
    there[numbers] = True
    return np.flatnonzero(there)


def renumbered(numbers: Ints, kept: Ints, size: int) -> Ints:
    """The places of numbers below ``size`` in ``kept``, where all of them are."""
    places = np.zeros(size, dtype=np.int32)
    places[kept] = np.arange(kept.size, dtype=np.int32)
    return places[numbers]


def adjacency(size: int, sources: Ints, targets: Ints) -> Adjacency:
    """Edges (ordered by source) in rows."""
    return Adjacency(np.concatenate(([0], np.cumsum(np.bincount(sources, minlength=size)))), targets)


class Digraph:
    """The edges among the expanded states of an exploration, ordered by their source.

    Edges that lead out of bounds or to states that were not expanded are enabled actions, but are no edges here.
    """

    def __init__(self, exploration: Exploration) -> None:
        graph = exploration.graph
        assert graph is not None
        self.size = exploration.expanded
        self.all = graph
        sources = np.repeat(np.arange(self.size, dtype=np.int32), np.diff(graph.offsets))
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


class Arrows:
    """A selection of edges with their actions, for algorithms that walk."""

    def __init__(self, graph: Digraph, keep: Mask) -> None:
        rows = adjacency(graph.size, graph.sources[keep], graph.targets[keep])
        self.offsets = array("q", rows.offsets.astype(np.int64).tobytes())
        self.targets = array("i", rows.targets.astype(np.int32).tobytes())
        self.actions = array("i", graph.actions[keep].astype(np.int32).tobytes())


def components(size: int, sources: Ints, targets: Ints, poll: Callable[[], None]) -> Ints:
    """For each node the number of its strongly connected component; edges are ordered by their source."""
    if len(sources) > FEW:
        from scipy.sparse import csr_array  # type: ignore[import-untyped]
        from scipy.sparse.csgraph import connected_components  # type: ignore[import-untyped]

        rows = adjacency(size, sources, targets)
        poll()
        matrix = csr_array((np.ones(len(targets), dtype=np.int8), targets, rows.offsets), shape=(size, size))
        labels: Ints = connected_components(matrix, directed=True, connection="strong")[1]
        return labels
    return _components(adjacency(size, sources, targets), poll)


def _components(graph: Adjacency, poll: Callable[[], None]) -> Ints:
    """Tarjan's algorithm without recursion."""
    offsets, targets = graph.offsets.tolist(), graph.targets.tolist()
    size = len(offsets) - 1
    index = [-1] * size
    low = [0] * size
    component = [-1] * size
    stack: list[int] = []
    number = found = 0
    for root in range(size):
        if index[root] >= 0:
            continue
        index[root] = low[root] = number
        number += 1
        stack.append(root)
        path = [root]
        edges = [offsets[root]]
        while path:
            node, edge = path[-1], edges[-1]
            if edge < offsets[node + 1]:
                edges[-1] = edge + 1
                target = targets[edge]
                if index[target] < 0:
                    index[target] = low[target] = number
                    number += 1
                    if not number & 4095:
                        poll()
                    stack.append(target)
                    path.append(target)
                    edges.append(offsets[target])
                elif component[target] < 0 and index[target] < low[node]:
                    low[node] = index[target]
                continue
            path.pop()
            edges.pop()
            if path and low[node] < low[path[-1]]:
                low[path[-1]] = low[node]
            if low[node] == index[node]:
                member = -1
                while member != node:
                    member = stack.pop()
                    component[member] = found
                found += 1
    return np.array(component, dtype=np.int32)
