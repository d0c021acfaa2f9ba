"""Fairness: who is owed it, in which states, and which strongly connected components have a fair run through all their states."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from txweave.engines.explicit.reach import Arrows, Digraph, Mask
from txweave.engines.explicit.search import Exploration
from txweave.engines.explicit.watch import Watch
from txweave.system import expr as x
from txweave.system.expr import Elem, Expr
from txweave.system.ground import GroundSystem

WORD = 62
"""Bits that fit in a signed word."""


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
    """The explored graph as fairness sees it.  Sets of entities are bits of an integer."""

    def __init__(self, exploration: Exploration, graph: Digraph, watch: Watch) -> None:
        ground = exploration.ground
        self.exploration, self.graph, self.watch = exploration, graph, watch
        self.entities = entities(ground)
        self.weak = self.strong = 0
        self.moves = [0] * len(ground.actions)
        """For each action, the entities of which it is a move."""
        for number, entity in enumerate(self.entities):
            if entity.kind == "weak":
                self.weak |= 1 << number
            else:
                self.strong |= 1 << number
            for action in entity.actions:
                self.moves[action] |= 1 << number
        self.timed = ground.timed
        self.ticks = [action.kind == "tick" for action in ground.actions]
        recurs: Mask = np.array([action.action.recurs for action in ground.actions], dtype=bool)
        self.arrows = Arrows(graph, recurs)
        """The edges that may be taken for ever."""
        self.enabled = self._enabled()
        """For each expanded state, the entities that are enabled there and owed fairness."""

    def _enabled(self) -> list[int]:
        """From all actions that are enabled, those that lead out of bounds or to states that were not expanded too."""
        every = self.graph.all
        offsets, size = every.offsets, self.graph.size
        if len(self.entities) <= WORD:
            # A prefix of bitwise-or per state; an empty row would give its neighbour's value, so each gets an edge without moves.
            bits = np.array([*self.moves, 0], dtype=np.int64)
            actions = np.insert(every.actions, offsets[:size], len(self.moves))
            enabled: list[int] = []
            if size:
                enabled = np.bitwise_or.reduceat(bits[actions], offsets[:size] + np.arange(size)).tolist()
        else:
            enabled = [0] * size
            for state in range(size):
                for action in set(every.actions[offsets[state] : offsets[state + 1]].tolist()):
                    enabled[state] |= self.moves[action]
        sometimes = [(number, e.owed) for number, e in enumerate(self.entities) if e.owed is not x.TRUE]
        if sometimes:
            test = self.exploration.program.conditions([owed for _, owed in sometimes])
            packed = self.exploration.packed
            mask = sum(1 << number for number, _ in sometimes)
            for state in range(size):
                if enabled[state] & mask:
                    bits_here = test(packed[state])
                    for position, (number, _) in enumerate(sometimes):
                        if not bits_here >> position & 1:
                            enabled[state] &= ~(1 << number)
                if not state & 4095:
                    self.watch.poll()
        return enabled

    def components(self, region: Mask) -> list[list[int]]:
        """The largest strongly connected sets of states in which a run can stay for ever, fairly, visiting all of them.

        Edges that may not recur are left out.  A component in which an entity under strong fairness is enabled but never moves
        is split: no fair run visits the states in which it is enabled.  Each fair run that stays in the region lies in one of
        the results.
        """
        inside = bytearray(region.astype(np.uint8).tobytes())
        work = self.arrows.components(np.flatnonzero(region).tolist(), inside, self.watch)[::-1]
        offsets, targets, actions = self.arrows.offsets, self.arrows.targets, self.arrows.actions
        enabled = self.enabled
        found: list[list[int]] = []
        while work:
            self.watch.poll()
            states = work.pop()
            members = set(states)
            moved, ticked, ever, always = 0, False, 0, -1
            for state in states:
                ever |= enabled[state]
                always &= enabled[state]
                for edge in range(offsets[state], offsets[state + 1]):
                    if targets[edge] in members:
                        moved |= self.moves[actions[edge]]
                        ticked = ticked or self.ticks[actions[edge]]
            if (self.timed and not ticked) or always & self.weak & ~moved:
                continue
            starved = ever & self.strong & ~moved
            if not starved:
                found.append(states)
                continue
            rest = [state for state in states if not enabled[state] & starved]
            smaller = bytearray(self.graph.size)
            for state in rest:
                smaller[state] = 1
            work += self.arrows.components(rest, smaller, self.watch)[::-1]
        return found

    def timelocked(self) -> bool:
        """Whether some state has no run with infinitely many ticks."""
        every = np.ones(self.graph.size, dtype=bool)
        offsets, targets, actions = self.arrows.offsets, self.arrows.targets, self.arrows.actions
        ticking: Mask = np.zeros(self.graph.size, dtype=bool)
        inside = bytearray(every.astype(np.uint8).tobytes())
        for states in self.arrows.components(range(self.graph.size), inside, self.watch):
            members = set(states)
            if any(
                self.ticks[actions[edge]] and targets[edge] in members
                for state in states
                for edge in range(offsets[state], offsets[state + 1])
            ):
                ticking[states] = True
        return not bool(self.graph.backward.closure(ticking).all())
