"""Other runs of the system that a counterexample is of: its steps in another order, and what a process would do next."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from copy import copy
from typing import TypeAlias

from txweave.system import reference
from txweave.system.expr import Elem, Expr
from txweave.system.ground import GroundAction, GroundProperty, GroundSystem
from txweave.trace import State, Taken
from txweave.view import Viewer, evaluate

REACH = 20_000
"""Up to so many states it is found out whether something can still happen."""

Run: TypeAlias = tuple[Taken, ...]


class Unsure(Exception):  # noqa: N818 - a fact, not an error
    """There are too many states, or a bound is in the way: nothing is known, and nothing is said."""


class Runner:
    """Takes steps, and remembers where they led."""

    def __init__(self, viewer: Viewer) -> None:
        self.viewer = viewer
        self.system: GroundSystem = viewer.system
        self._after: dict[tuple[State, int], State | None] = {}
        self._moves: dict[tuple[Elem | None, str], list[GroundAction]] = {}
        for action in self.system.actions:
            self._moves.setdefault((action.actor, action.kind), []).append(action)
        self._alike: dict[tuple[Elem | None, str, str, str, str, str], list[GroundAction]] = {}
        self._program: object | None = None
        self._ways: dict[tuple[State, Expr], tuple[GroundAction, ...] | None] = {}

    def after(self, state: State, action: GroundAction) -> State | None:
        """The state after an action; None where it is not enabled or leads out of bounds."""
        key = state, action.index
        if key not in self._after:
            found: State | None = None
            if evaluate(action.guard, state) is True:
                values = list(state)
                for cell, term in action.updates:
                    values[cell] = evaluate(term, state)
                found = tuple(values) if values[-1] is None else None
            self._after[key] = found
        return self._after[key]

    def moves(self, state: State, actor: Elem | None) -> Iterable[Taken]:
        """What a process can do by itself in a state; what stops in the middle of a statement comes last."""
        steps = self._moves.get((actor, "step"), [])
        for action in sorted(steps, key=lambda a: a.action.info.outcome == "pauses"):
            found = self.after(state, action)
            if found is not None:
                yield Taken(action, found)

    def alike(self, action: GroundAction) -> list[GroundAction]:
        """The actions of the same process that are the same step with the same outcome, for any rows."""
        key = _likeness(action)
        if key not in self._alike:
            self._alike[key] = [other for other in self._moves[action.actor, action.kind] if _likeness(other) == key]
        return self._alike[key]

    def instead(self, state: State, action: GroundAction) -> Taken | None:
        """What becomes of a move in another run.

        The same action; else the same step with another outcome; else what the process does there instead; nothing where it can
        do nothing.  A fault or an error comes only where it can.
        """
        found = self.after(state, action)
        if found is not None:
            return Taken(action, found)
        if action.kind == "step":
            options = list(self.moves(state, action.actor))
        else:
            others = self._moves.get((action.actor, action.kind), [])
            outcome = action.action.info.outcome
            options = [Taken(a, s) for a in others if a.action.info.outcome == outcome and (s := self.after(state, a)) is not None]
        here = [taken for taken in options if taken.action.action.info.step == action.action.info.step]
        return next(iter((*here, *options)), None)

    def replay(self, start: State, moves: Iterable[GroundAction]) -> Run:
        """The run in which the processes move in this order; who cannot move is passed over."""
        steps: list[Taken] = []
        state = start
        for action in moves:
            taken = self.instead(state, action)
            if taken is not None:
                steps.append(taken)
                state = taken.state
        return tuple(steps)

    def confirmed(self, steps: Sequence[Taken]) -> bool:
        """Whether a run from the initial state is one of the reference interpreter as well, with the same states."""
        system = self.system.system
        state = reference.initial(system)
        for taken in steps:
            action, params = taken.action.action, taken.action.params
            if not reference.enabled(system, state, action, params):
                return False
            state = reference.after(system, state, action, params)
            cells = zip(self.system.cells[:-1], taken.state, strict=False)
            if not all(reference.same(state[cell.function, cell.args], value) for cell, value in cells):
                return False
        return True

    def way(self, state: State, condition: Expr) -> tuple[GroundAction, ...] | None:
        """A shortest way from a state to one where a condition holds; None where there is none.

        Raises:
            Unsure: there are more than :data:`REACH` states to look at, or a bound is met.
        """
        key = state, condition
        if key not in self._ways:
            self._ways[key] = self._search(state, condition)
        return self._ways[key]

    def _search(self, state: State, condition: Expr) -> tuple[GroundAction, ...] | None:
        from txweave.engines.explicit import explore
        from txweave.engines.explicit.program import Program
        from txweave.verdict import Limits

        if self._program is None:
            self._program = Program(self.system)
        program = copy(self._program)
        assert isinstance(program, Program)
        program.initial = program.layout.pack(state)
        found = explore(
            self.system,
            limits=Limits(max_states=REACH),
            watched=[condition],
            first_violation=True,
            program=program,
            wide=None,
        )
        if 0 in found.found:
            return tuple(self.system.actions[action] for action, _ in found.path(found.found[0]))
        if not found.complete or found.bounds_hit:
            raise Unsure
        return None


def _likeness(action: GroundAction) -> tuple[Elem | None, str, str, str, str, str]:
    info = action.action.info
    return action.actor, action.kind, info.procedure, info.step, info.outcome, info.note


def breaks(item: GroundProperty, steps: Run, start: State) -> bool:
    """Whether a finite run breaks a ``never`` property somewhere."""
    assert item.rows is not None
    return any(evaluate(item.rows.some, state) is True for state in (start, *(taken.state for taken in steps)))
