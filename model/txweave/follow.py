"""A run of one system, followed on another: the same processes take the same steps, as far as they can.

Two compositions of one model have different states, so that a run is carried over by what its steps are called: process,
procedure, step and outcome.  A step that the other composition does not have is left out, and steps that only it has are
taken where a process cannot go on otherwise.  Where several rows may be meant, all are tried, up to :data:`WIDTH` runs.
What is found is a run of the other system, nothing more; whether it breaks a property is for :func:`violation` to find out,
and every answer of it was confirmed by the judge.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from txweave.judge import review
from txweave.simulate import successor
from txweave.system.expr import Elem, Value
from txweave.system.ground import GroundAction, GroundProperty, GroundRows, GroundSystem
from txweave.trace import State, Taken, Trace
from txweave.view import evaluate

WIDTH = 16
"""Runs that are followed at a time."""

DETOUR = 4
"""Steps of its own that the other system may put before one that is followed."""

ROUNDS = 4
"""How often a loop is followed until a state comes again."""

WITNESSES = 8
"""How many rows of a ``whenever`` are tried as the one that stays."""

Place: TypeAlias = tuple[str, str]
_Key: TypeAlias = tuple[Elem | None, str, str, str, str]


@dataclass(frozen=True)
class Run:
    """A run of the other system.

    ``marks``: after each followed step (and at the start), how many steps this run had.
    """

    system: GroundSystem
    steps: tuple[Taken, ...] = ()
    marks: tuple[int, ...] = (0,)

    @property
    def last(self) -> State:
        """The state where it is."""
        return self.at(len(self.steps))

    def at(self, position: int) -> State:
        """The state after so many steps."""
        return self.steps[position - 1].state if position else self.system.initial

    def trace(self, loop: int | None = None, witness: tuple[Value, ...] | None = None) -> Trace:
        """The run as a trace."""
        return Trace(self.system, self.steps, loop, witness)


def place_of(action: GroundAction) -> Place:
    """Procedure and step of an action."""
    info = action.action.info
    return info.procedure, info.step


def _key(action: GroundAction) -> _Key:
    return (action.actor, action.kind, *place_of(action), action.action.info.outcome)


class Follower:
    """Follows runs of ``source`` on ``target``."""

    def __init__(self, source: GroundSystem, target: GroundSystem) -> None:
        self.target = target
        known = {place_of(action) for action in source.actions}
        self.there = {place_of(action) for action in target.actions}
        self.by_key: dict[_Key, list[GroundAction]] = {}
        self.faults: dict[tuple[Elem | None, str, str], list[GroundAction]] = {}
        self.new: dict[Elem, list[GroundAction]] = {}
        for action in target.actions:
            self.by_key.setdefault(_key(action), []).append(action)
            if action.kind == "fault":
                self.faults.setdefault((action.actor, action.kind, action.action.info.outcome), []).append(action)
            if action.kind == "step" and action.actor is not None and place_of(action) not in known:
                self.new.setdefault(action.actor, []).append(action)

    def follow(self, steps: Sequence[GroundAction]) -> Iterator[list[Run]]:
        """The runs that follow the first 0, 1, 2 … of ``steps``; ends before the first that none of them can follow."""
        runs = [Run(self.target)]
        yield runs
        for action in steps:
            following: dict[tuple[State, tuple[State, ...]], Run] = {}
            for run in runs:
                for more in self._next(run, action):
                    # Where the runs were at the marks matters as well: a loop must come back to one of these states.
                    following.setdefault((more.last, tuple(more.at(mark) for mark in more.marks)), more)
                    if len(following) == WIDTH:
                        break
                if len(following) == WIDTH:
                    break
            runs = list(following.values())
            if not runs:
                return
            yield runs

    def _next(self, run: Run, action: GroundAction) -> Iterator[Run]:
        """The run with one more step followed."""
        candidates = self.by_key.get(_key(action), [])
        if action.kind == "fault" and place_of(action) not in self.there:
            # The process fails, wherever it is there.
            candidates = self.faults.get((action.actor, action.kind, action.action.info.outcome), [])
        elif place_of(action) not in self.there:
            yield Run(run.system, run.steps, (*run.marks, len(run.steps)))
            return
        ahead = [run]
        for _ in range(DETOUR + 1):
            found = [more for here in ahead for more in self._taken(here, candidates)]
            if found:
                for more in found:
                    yield Run(more.system, more.steps, (*run.marks, len(more.steps)))
                return
            if action.actor is None:
                return
            own = self.new.get(action.actor, [])
            ahead = [more for here in ahead for more in self._taken(here, own)][:WIDTH]

    def detour(self, run: Run, actor: Elem) -> Run:
        """The run, gone on with the steps that only the other system has, as far as the process takes them now."""
        for _ in range(DETOUR):
            found = next(self._taken(run, self.new.get(actor, [])), None)
            if found is None:
                break
            run = found
        return run

    def _taken(self, run: Run, actions: Sequence[GroundAction]) -> Iterator[Run]:
        state = run.last
        for action in actions:
            if evaluate(action.guard, state) is True:
                after = successor(action, state)
                if after[-1] is None:
                    yield Run(run.system, (*run.steps, Taken(action, after)), run.marks)


def violation(trace: Trace, name: str, target: GroundSystem) -> Trace | None:
    """A judged run of ``target`` that follows ``trace`` and violates the property called ``name`` as well.

    None says nothing about the property: the run cannot be followed, or following it was not conclusive.  ``always_possible`` is
    never judged here, because that takes an exploration.
    """
    item = target.find(name)
    follower = Follower(trace.system, target)
    actions = [taken.action for taken in trace.steps]
    if item.kind == "never":
        assert item.rows is not None
        for runs in follower.follow(actions):
            for run in runs:
                if evaluate(item.rows.some, run.last) is True:
                    found = _confirmed(run.trace(witness=_rows(item.rows, run.last)[0]), name)
                    if found is not None:
                        return found
    elif item.kind == "deadlock":
        ends = list(follower.follow(actions))
        if len(ends) == len(actions) + 1:
            return next((t for run in ends[-1] if (t := _confirmed(run.trace(), name)) is not None), None)
    elif item.kind == "leads_to" and trace.loop is not None:
        return _lasso(trace, item, follower)
    return None


def _lasso(trace: Trace, item: GroundProperty, follower: Follower) -> Trace | None:
    """The stem is followed, then the loop, until it comes back to a state in which it began."""
    stem, actions = trace.loop, [taken.action for taken in trace.steps]
    assert stem is not None
    around = actions[stem:]
    for number, runs in enumerate(follower.follow(actions[:stem] + around * ROUNDS)):
        if number < stem or (around and (number == stem or (number - stem) % len(around))):
            continue
        for run in runs:
            begins = [run.marks[n] for n in range(stem, number, len(around))] if around else [len(run.steps)]
            for begin in begins:
                if run.at(begin) == run.last:
                    found = _pending(run, begin, item, trace.witness)
                    if found is not None:
                        return found
    return None


def _pending(run: Run, loop: int, item: GroundProperty, witness: tuple[Value, ...] | None) -> Trace | None:
    """The lasso with the row that stays pending: the same as before, or any that is there."""
    assert item.rows is not None
    candidates: dict[tuple[Value, ...], None] = {witness: None} if witness is not None else {}
    for position in range(len(run.steps), -1, -1):
        candidates.update(dict.fromkeys(_rows(item.rows, run.at(position))))
    for values in list(candidates)[:WITNESSES]:
        found = _confirmed(run.trace(loop, values), item.name)
        if found is not None:
            return found
    return None


def _confirmed(trace: Trace, name: str) -> Trace | None:
    """The trace if the judge has nothing against it, and left nothing unchecked."""
    judgement = review(trace, name)
    return None if judgement.problems or judgement.notes else trace


def _rows(rows: GroundRows, state: State) -> list[tuple[Value, ...]]:
    return [tuple(evaluate(value, state) for value in row.values) for row in rows.rows if evaluate(row.condition, state) is True]
