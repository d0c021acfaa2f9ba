"""Bounded search for the shortest counterexamples of safety properties.

Depth by depth: a violation at depth *d* is the shortest, because every smaller depth was refuted.  Where there is no run of *d*
steps at all the search is exhaustive, and what was not violated holds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from txweave.engines.z3.encode import Encoding, Formula, Unrolling
from txweave.engines.z3.session import GaveUp
from txweave.system.expr import Expr
from txweave.trace import Taken


class Target(Protocol):
    """What a bounded search looks for at a depth."""

    def at(self, unrolling: Unrolling, depth: int) -> bool:
        """Whether a run of ``depth`` steps ends there; the solver then has it as its model."""


@dataclass(frozen=True)
class StateTarget:
    """A state in which a formula holds."""

    name: str
    formula: Expr

    def at(self, unrolling: Unrolling, depth: int) -> bool:
        """Whether a run of ``depth`` steps ends in such a state."""
        here = unrolling.at(unrolling.encoding.formula(self.formula), depth)
        return unrolling.encoding.session.ask(unrolling.solver, [unrolling.named(f"{self.name}@{depth}", here)])


class StuckTarget:
    """A state from which no process can move by itself, however much time passes.

    Time is followed along a tail of ticks that starts in the last state.  There must be one tick action at most, so that the tail
    is a function of that state; it is closed when it comes back to a state that it has passed.  Where a tick would lead out of
    bounds nothing is claimed.
    """

    def __init__(self, name: str, encoding: Encoding) -> None:
        self.name, self.encoding = name, encoding
        ticks = [a for a in encoding.actions if a.kind == "tick"]
        if len(ticks) > 1:
            raise GaveUp(f"Z3 does not answer deadlock where time passes in several ways ({len(ticks)} tick actions)")
        self.tick = ticks[0] if ticks else None
        a = encoding.algebra
        outside = [g.guard for g in encoding.ticks if g is not self.tick]
        self.still = a.negation(
            a.disjunction([encoding.formula(encoding.moves(("step", "database"))), *map(encoding.formula, outside)])
        )
        self.unfinished = encoding.formula(encoding.unfinished())
        self.tail: list[list[list[Formula]]] = []
        self.stills: list[Formula] = []
        self.closed: Formula = a.false

    def at(self, unrolling: Unrolling, depth: int) -> bool:
        """Whether a run of ``depth`` steps ends in such a state."""
        ask, solver = self.encoding.session.ask, unrolling.solver
        if not self.tail:
            self._extend(unrolling)
        start = self._same(unrolling.states[depth], self.tail[0])
        here = unrolling.named(
            f"{self.name}@{depth}", self.encoding.algebra.conjunction([start, unrolling.at(self.unfinished, depth)])
        )
        while True:
            if ask(solver, [here, *self.stills, self.closed]):
                return True
            if not ask(solver, [here, *self.stills]):
                return False
            self._extend(unrolling)

    def _extend(self, unrolling: Unrolling) -> None:
        """One more tick."""
        encoding, a, length = self.encoding, self.encoding.algebra, len(self.tail)
        rows = [encoding.row(f"{self.name}.t{length}.{i}", size) for i, size in enumerate(encoding.sizes)]
        if self.tail:
            unrolling.solver.add(encoding.at(self._passing(), now=self.tail[-1], next=rows))
        elif self.tick is None:
            # No time: the tail is closed where it starts.
            self.closed = unrolling.named(f"{self.name}.closed", a.true)
        self.tail.append(rows)
        self.stills.append(unrolling.named(f"{self.name}.still{length}", encoding.at(self.still, now=rows)))
        if self.tick is not None:
            again = a.disjunction([self._same(rows, earlier) for earlier in self.tail[:-1]])
            self.closed = unrolling.named(f"{self.name}.closed{length}", again)

    def _passing(self) -> Formula:
        """The next bits are those after a tick, or the present ones where time stands still."""
        assert self.tick is not None
        encoding, a = self.encoding, self.encoding.algebra
        guard, updates = encoding.formula(self.tick.guard), dict(self.tick.updates)
        parts = []
        for cell, (now, following) in enumerate(zip(encoding.now, encoding.next, strict=True)):
            for place, (old, new) in enumerate(zip(now, following, strict=True)):
                body = updates.get(cell)
                if body is None:
                    parts.append(a.iff(new, old))
                else:
                    later = a.conjunction([guard, encoding.bit(cell, body, place)])
                    parts.append(a.iff(new, a.disjunction([later, a.conjunction([a.negation(guard), old])])))
        return a.conjunction(parts)

    def _same(self, left: list[list[Formula]], right: list[list[Formula]]) -> Formula:
        a = self.encoding.algebra
        return a.conjunction([a.iff(p, q) for one, other in zip(left, right, strict=True) for p, q in zip(one, other, strict=True)])


@dataclass
class Bounded:
    """What a bounded search found: the shortest runs, and to which depth there is nothing else.

    ``depth``: no run of so many steps or fewer reaches a target that is not in ``found`` (-1: nothing is known).  ``exhausted``:
    there are no longer runs.  ``stopped``: why it ended early.
    """

    found: dict[str, tuple[Taken, ...]] = field(default_factory=dict)
    depth: int = -1
    exhausted: bool = False
    stopped: GaveUp | None = None


def search(encoding: Encoding, targets: Mapping[str, Target], limit: int, progress: Callable[[int], None] | None = None) -> Bounded:
    """Shortest runs to each target, of up to ``limit`` steps."""
    result = Bounded()
    try:
        unrolling = Unrolling(encoding)
        for depth in range(limit + 1):
            if depth:
                unrolling.extend()
            alive = False
            for name, target in targets.items():
                if name not in result.found and target.at(unrolling, depth):
                    result.found[name] = unrolling.run(depth)
                    alive = True
            if not alive and not encoding.session.ask(unrolling.solver):
                result.exhausted = True
            result.depth = depth
            if progress is not None:
                progress(depth)
            if result.exhausted or len(result.found) == len(targets):
                break
    except GaveUp as reason:
        result.stopped = reason
    except KeyboardInterrupt:
        result.stopped = encoding.session.interrupted()
    return result


def crossed(encoding: Encoding, depth: int) -> tuple[str, ...]:
    """The bounds that a step after at most ``depth`` steps crosses.

    Raises:
        GaveUp: Z3 did not decide.
    """
    hit: list[str] = []
    unrolling = Unrolling(encoding)
    for step in range(depth + 1):
        if step:
            unrolling.extend()
        for name, guard in encoding.leaving.items():
            if name not in hit and StateTarget(f"bound {name}", guard).at(unrolling, step):
                hit.append(name)
    return tuple(sorted(hit))
