"""Traces: a run of a ground system from its initial state, action by action."""

from __future__ import annotations

from dataclasses import dataclass

from txweave.system.expr import Value
from txweave.system.ground import GroundAction, GroundSystem

State = tuple[Value, ...]
"""One value per cell of the ground system, in the order of its cells."""


@dataclass(frozen=True)
class Taken:
    """One step of a trace: the action and the state after it."""

    action: GroundAction
    state: State


@dataclass(frozen=True)
class Trace:
    """A finite run, or a lasso.

    ``loop`` is the length of the stem: the steps from that number on are repeated for ever.  A lasso whose loop has no steps
    (``loop == len(steps)``) stays in its last state for ever, because nothing that is owed fairness can move.
    ``witness`` is the row that breaks the property: in the last state (safety), or the pending row (liveness).
    """

    system: GroundSystem
    steps: tuple[Taken, ...]
    loop: int | None = None
    witness: tuple[Value, ...] | None = None

    @property
    def states(self) -> tuple[State, ...]:
        """The initial state and the state after each step."""
        return (self.system.initial, *(taken.state for taken in self.steps))

    @property
    def length(self) -> int | tuple[int, int]:
        """Number of steps; for a lasso (stem, loop)."""
        return len(self.steps) if self.loop is None else (self.loop, len(self.steps) - self.loop)
