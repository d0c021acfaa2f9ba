"""What can happen in a state, and what is true there: the answers that an explorer shows, from the judge's interpreter.

Nothing here reads what an engine made: moves are those of :mod:`txweave.system.reference`, truth is evaluated on the sorted system.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from txweave.judge import review
from txweave.report.story import StoryStep, step_of
from txweave.system import reference
from txweave.system.expr import Value
from txweave.system.ground import GroundAction, GroundProperty
from txweave.system.sorted import Property
from txweave.trace import State, Taken, Trace
from txweave.view import Viewer, evaluate

Row: TypeAlias = tuple[Value, ...]


class SelfCheckError(Exception):
    """The grounding and the reference interpreter disagree about a step."""


@dataclass(frozen=True)
class Move:
    """A step that can be taken: ``state`` is where it leads.

    ``label`` names it among the moves of its state, and stays the same from one run of the program to the next.
    """

    action: GroundAction
    state: State
    told: StoryStep
    label: str

    @property
    def taken(self) -> Taken:
        """The move as a step of a trace."""
        return Taken(self.action, self.state)


@dataclass(frozen=True)
class Truth:
    """What is true of a property in one state of a path.

    ``status``: ``holds``, ``broken``, ``owed`` (rows of a ``whenever`` that were not answered yet; ``words`` has since when),
    ``possible`` (what must always be possible is so now) or ``not now``.  ``rows``: those that say so, as SQL literals.
    """

    status: str
    words: str = ""
    rows: tuple[tuple[str, ...], ...] = ()


class Possible:
    """Moves and truth in the states of one system; what was found is remembered."""

    def __init__(self, viewer: Viewer) -> None:
        self.viewer = viewer
        self.system = viewer.system
        self._actions: dict[tuple[int, tuple[Value, ...]], list[GroundAction]] = {}
        for action in self.system.actions:
            self._actions.setdefault((id(action.action), action.params), []).append(action)
        self._moves: dict[State, tuple[Move, ...]] = {}

    def whole(self, state: State) -> reference.State:
        """A state as the reference interpreter has it."""
        found = dict(self.system.fixed)
        found.update({(cell.function, cell.args): value for cell, value in zip(self.system.cells, state, strict=True)})
        return found

    def cells(self, state: reference.State) -> State:
        """The same the other way round."""
        return tuple(state[cell.function, cell.args] for cell in self.system.cells)

    # ---------------------------------------------------------------------------------------------------------- moves

    def moves(self, state: State) -> tuple[Move, ...]:
        """Everything that can happen in a state, in the order of the system's actions; nothing out of bounds.

        Raises:
            SelfCheckError: a step has no counterpart in the finite system.
        """
        found = self._moves.get(state)
        if found is None:
            steps = [self._found(state, step) for step in reference.successors(self.system.system, self.whole(state))]
            told = [step_of(self.viewer, 0, action, state, after) for action, after in steps]
            labels = _labels(told)
            found = tuple(Move(a, after, t, label) for (a, after), t, label in zip(steps, told, labels, strict=True))
            self._moves[state] = found
        return found

    def _found(self, state: State, step: reference.Step) -> tuple[GroundAction, State]:
        after = self.cells(step.state)
        candidates = self._actions.get((id(step.action), step.params), [])
        # An action that may leave a cell's domain was split in two by the grounding.
        action = candidates[0] if len(candidates) == 1 else next((a for a in candidates if evaluate(a.guard, state) is True), None)
        if action is None:
            raise SelfCheckError(f"the finite system has no step {step.action.name}{step.params} here")
        return action, after

    def move(self, state: State, label: str) -> Move | None:
        """The move of this name; one that is alone with the part of it before the arrow will do."""
        moves = self.moves(state)
        exact = next((move for move in moves if move.label == label), None)
        if exact is not None:
            return exact
        close = [move for move in moves if _base(move.told) == label.split(_ARROW)[0]]
        return close[0] if len(close) == 1 else None

    # ---------------------------------------------------------------------------------------------------------- truth

    def rows(self, item: Property, state: State) -> tuple[Row, ...]:
        """The rows of a property's query (of its ``whenever``) in a state, once each."""
        assert item.rows is not None
        return tuple(dict.fromkeys(reference.rows(self.system.system, item.rows, self.whole(state))))

    def truths(self, item: GroundProperty, states: Sequence[State], loop: int | None = None) -> tuple[Truth, ...]:
        """What is true of a property in each state of a path from the initial one; ``loop`` as in a trace."""
        kinds = {"never": self._never, "leads_to": self._leads_to, "always_possible": self._possible, "deadlock": self._deadlock}
        inside = [state for state in states if state[-1] is None]
        found = kinds[item.kind](item.source, inside, loop)
        return (*found, *(Truth("unknown", "out of bounds: not checked") for _ in states[len(inside) :]))

    def _shown(self, rows: Sequence[Row]) -> tuple[tuple[str, ...], ...]:
        return tuple(tuple(map(self.viewer.show, row)) for row in rows)

    def _never(self, item: Property, states: Sequence[State], _: int | None) -> list[Truth]:
        found = []
        for state in states:
            rows = self.rows(item, state)
            found.append(Truth("broken", "a row that must never be", self._shown(rows)) if rows else Truth("holds"))
        return found

    def _leads_to(self, item: Property, states: Sequence[State], loop: int | None) -> list[Truth]:
        found: list[Truth] = []
        since = self.owed(item, states)
        for_ever = [row for row in since[-1] if all(row in owed for owed in since[loop:])] if loop is not None else []
        for number, owed in enumerate(since):
            words = "since " + " and ".join(f"step {first}" if first else "the start" for first in dict.fromkeys(owed.values()))
            if loop is not None and number >= loop and for_ever:
                found.append(Truth("broken", "never answered", self._shown(for_ever)))
            else:
                found.append(Truth("owed", words, self._shown(tuple(owed))) if owed else Truth("holds"))
        return found

    def owed(self, item: Property, states: Sequence[State]) -> list[dict[Row, int]]:
        """For each state of a path the rows of a ``whenever`` that have not been answered, each with the state where it came."""
        owed: dict[Row, int] = {}
        found = []
        for number, state in enumerate(states):
            here = self.rows(item, state)
            for row in here:
                owed.setdefault(row, number)
            if item.goal is None:
                owed = {row: first for row, first in owed.items() if row in here}
            else:
                met = reference.rows(self.system.system, item.goal, self.whole(state))
                owed = {row: first for row, first in owed.items() if row not in met}
            found.append(dict(owed))
        return found

    def _possible(self, item: Property, states: Sequence[State], _: int | None) -> list[Truth]:
        every = [self.rows(item, state) for state in states]
        return [Truth("possible", "it is so now", self._shown(rows)) if rows else Truth("not now", "not now") for rows in every]

    def _deadlock(self, _: Property, states: Sequence[State], __: int | None) -> list[Truth]:
        return [Truth("broken", "no process can ever move again") if self.stuck(state) else Truth("holds") for state in states]

    def stuck(self, state: State) -> bool:
        """Whether no process can ever move again by itself, however much time passes, and not all have finished."""
        if reference.finished(self.system.system, self.whole(state)):
            return False
        waiting, seen = [state], {state}
        while waiting:
            moves = self.moves(waiting.pop())
            if any(move.action.kind in {"step", "database"} for move in moves):
                return False
            for move in moves:
                if move.action.kind == "tick":
                    if move.state[-1] is not None:
                        return False  # what time leads to is not known: not a deadlock that is shown
                    if move.state not in seen:
                        seen.add(move.state)
                        waiting.append(move.state)
        return True

    def shown(self, trace: Trace, name: str) -> tuple[Trace | None, str]:
        """The trace with a row that shows, to the judge, that it violates a property; otherwise nothing, and why not."""
        item = next(p.source for p in self.system.properties if p.name == name)
        witnesses: list[Row | None] = [trace.witness] if trace.witness is not None else [None]
        if trace.witness is None and item.kind == "never":
            witnesses = list(self.rows(item, trace.states[-1]))
        elif trace.witness is None and item.kind == "leads_to":
            witnesses = list(self.owed(item, trace.states)[-1])
        why = "no row shows it"
        for witness in witnesses:
            found = Trace(trace.system, trace.steps, trace.loop, witness)
            judgement = review(found, name)
            if not judgement.problems:
                return found, ""
            why = judgement.problems[0]
        return None, why


_ARROW = " → "


def _base(told: StoryStep) -> str:
    if told.kind == "tick":
        return "time: tick"
    place = f"{told.procedure}.{told.step}" if told.procedure else told.step or told.action
    return f"{told.actor}: {place} ({told.outcome or told.kind})"


def _labels(told: Sequence[StoryStep]) -> list[str]:
    """A name for each move of a state: what it does, with what it returns or notes where that is needed, then a number."""
    bases = [_base(step) for step in told]
    many = {base for base, number in Counter(bases).items() if number > 1}
    longer = [base + (_ARROW + _details(step) if base in many else "") for base, step in zip(bases, told, strict=True)]
    seen: Counter[str] = Counter()
    found = []
    for label in longer:
        seen[label] += 1
        found.append(label if seen[label] == 1 else f"{label} #{seen[label]}")
    return found


def _details(step: StoryStep) -> str:
    parts = [f"{name} = {value}" for name, value in step.returned] + ([step.note] if step.note else [])
    parts = parts or [f"{change.label}: {change.kind}" for change in step.changes] or list(step.events)
    return " ".join("; ".join(parts).split()) or "nothing"
