"""Fairness: who is owed it, in which states, and which strongly connected components have a fair run through all their states."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from txweave.engines.explicit.reach import Digraph, components, distinct, renumbered
from txweave.engines.explicit.search import Exploration, Ints, Mask
from txweave.engines.explicit.watch import Watch
from txweave.system import expr as x
from txweave.system.expr import Elem, Expr
from txweave.system.ground import GroundSystem

WORD = 62
"""Bits that fit in a signed word."""

Sets: TypeAlias = npt.NDArray[Any]
"""Sets of entities, as bits of integers: of 64 bits, or Python's."""


@dataclass(frozen=True)
class Entity:
    """Something that is owed fairness: a process, or the server's breaking of deadlocks at a process's expense.

    ``actions`` are the indices of its fair actions.
    """

    process: Elem
    kind: str
    owed: Expr
    actions: tuple[int, ...]


def entities(ground: GroundSystem) -> list[Entity]:
    """Everyone who is owed fairness.  Unfair actions belong to nobody."""
    found = [
        Entity(
            item.process,
            item.kind,
            item.owed,
            tuple(a.index for a in ground.actions if a.kind == "step" and a.action.fair and a.actor == item.process),
        )
        for item in ground.fairness
    ]
    victims: dict[Elem, list[int]] = {}
    for action in ground.actions:
        if action.kind == "database" and action.action.fair and action.actor is not None:
            victims.setdefault(action.actor, []).append(action.index)
    found += [Entity(process, "weak", x.TRUE, tuple(actions)) for process, actions in victims.items()]
    for entity in found:
        assert entity.kind in ("weak", "strong"), f"no such fairness: {entity.kind}"
    return found


class Fairness:
    """The explored graph as fairness sees it.  Sets of entities are bits of an integer, of any size if there are many."""

    def __init__(self, exploration: Exploration, graph: Digraph, watch: Watch) -> None:
        ground = exploration.ground
        self.exploration, self.graph, self.watch = exploration, graph, watch
        self.entities = entities(ground)
        self.weak = self.strong = 0
        moves = [0] * len(ground.actions)
        for number, entity in enumerate(self.entities):
            if entity.kind == "weak":
                self.weak |= 1 << number
            else:
                self.strong |= 1 << number
            for action in entity.actions:
                moves[action] |= 1 << number
        self.moves: Sets = np.array(moves, dtype=np.int64 if len(self.entities) <= WORD else object)
        """For each action, the entities of which it is a move."""
        self.timed = ground.timed
        self.ticks: Mask = np.array([action.kind == "tick" for action in ground.actions], dtype=bool)
        recurs: Mask = np.array([action.action.recurs for action in ground.actions], dtype=bool)
        self.recurring: Mask = recurs[graph.actions]
        """The edges that may be taken for ever."""
        self.enabled = self._enabled()
        """For each expanded state, the entities that are enabled there and owed fairness."""

    def _enabled(self) -> Sets:
        """From all actions that are enabled, those that lead out of bounds or to states that were not expanded too."""
        every = self.graph.all
        offsets, size = every.offsets, self.graph.size
        if not size:
            return self.moves[:0]
        # A bitwise-or for each state; an empty row would give its neighbour's value, so each gets an edge without moves.
        bits = np.append(self.moves, 0)
        actions = np.insert(every.actions, offsets[:size], len(self.moves))
        enabled: Sets = np.bitwise_or.reduceat(bits[actions], offsets[:size] + np.arange(size))
        sometimes = [(number, e.owed) for number, e in enumerate(self.entities) if e.owed is not x.TRUE]
        for number, owed in sometimes:
            enabled[~self.exploration.holds(owed, self.watch.poll)[:size]] &= ~(1 << number)
        return enabled

    def components(self, region: Mask) -> list[Ints]:
        """The largest strongly connected sets of states in which a run can stay for ever, fairly, visiting all of them.

        Edges that may not recur are left out.  A component in which an entity under strong fairness is enabled but never moves
        is split: no fair run visits the states in which it is enabled.  Each fair run that stays in the region lies in one of
        the results.
        """
        graph = self.graph
        keep = self.recurring & region[graph.sources] & region[graph.targets]
        sources, targets, actions = graph.sources[keep], graph.targets[keep], graph.actions[keep]
        found: list[Ints] = []
        while sources.size:
            self.watch.poll()
            parts = _Parts(graph.size, sources, targets, self.watch)
            sources, targets, actions = sources[parts.inner], targets[parts.inner], actions[parts.inner]
            if not sources.size:
                break
            moved = parts.over_edges(np.bitwise_or, self.moves[actions])
            ticked = parts.over_edges(np.bitwise_or, self.ticks[actions])
            ever = parts.over_states(np.bitwise_or, self.enabled)
            always = parts.over_states(np.bitwise_and, self.enabled)
            dead = (always & self.weak & ~moved) != 0
            if self.timed:
                dead |= ~ticked
            starved = ever & self.strong & ~moved
            starving = starved != 0
            found += parts.states_of(~dead & ~starving)
            # What is left of the others, without the states in which a starved entity is enabled.
            rest: Mask = np.zeros(graph.size, dtype=bool)
            rest[parts.states] = (starving & ~dead)[parts.labels] & ((self.enabled[parts.states] & starved[parts.labels]) == 0)
            keep = rest[sources] & rest[targets]
            sources, targets, actions = sources[keep], targets[keep], actions[keep]
        return sorted(found, key=lambda states: int(states[0]))

    def timelocked(self) -> bool:
        """Whether some state has no run with infinitely many ticks."""
        graph = self.graph
        sources, targets = graph.sources[self.recurring], graph.targets[self.recurring]
        ticking: Mask = np.zeros(graph.size, dtype=bool)
        if sources.size:
            parts = _Parts(graph.size, sources, targets, self.watch)
            ticks = self.ticks[graph.actions[self.recurring][parts.inner]]
            ticking[sources[parts.inner][ticks]] = True
        return not bool(graph.backward.closure(ticking).all())


class _Parts:
    """The strongly connected components that have edges, of a graph of ``size`` states
    given by its edges (ordered by source)."""

    def __init__(self, size: int, sources: Ints, targets: Ints, watch: Watch) -> None:
        nodes = distinct(np.concatenate((sources, targets)), size)
        here, there = renumbered(sources, nodes, size), renumbered(targets, nodes, size)
        labels = components(len(nodes), here, there, watch.poll)
        self.inner: Mask = labels[here] == labels[there]
        """The edges within a component."""
        inside = distinct(here[self.inner], len(nodes))
        self.states: Ints = nodes[inside]
        """The states of all the components, in order."""
        numbers = distinct(labels[inside], len(nodes))
        self.labels = renumbered(labels[inside], numbers, len(nodes))
        """For each of them the number of its component."""
        self._count = len(numbers)
        self._order = np.argsort(self.labels, kind="stable")
        self._starts = np.searchsorted(self.labels[self._order], np.arange(self._count))
        self._edge_labels = renumbered(labels[here[self.inner]], numbers, len(nodes))

    def over_states(self, join: np.ufunc, values: Sets) -> Sets:
        """For each component its states' values (of all states of the graph) joined."""
        result: Sets = join.reduceat(values[self.states][self._order], self._starts)
        return result

    def over_edges(self, join: np.ufunc, values: Sets) -> Sets:
        """For each component its edges' values joined."""
        order = np.argsort(self._edge_labels, kind="stable")
        starts = np.searchsorted(self._edge_labels[order], np.arange(self._count))
        result: Sets = join.reduceat(values[order], starts)
        return result

    def states_of(self, wanted: Mask) -> list[Ints]:
        """The states of some of the components, in order."""
        if not wanted.any():
            return []
        parts = np.split(self.states[self._order], self._starts[1:])
        return [parts[number] for number in np.flatnonzero(wanted)]
