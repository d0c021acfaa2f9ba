"""The judge: replays a trace on the reference interpreter before anybody is told of it.

Engines work on the ground system; the judge reads the sorted one.  From the trace it takes nothing but names: which action with
which parameters is said to lead to which values of which functions.  Enabledness, next states, rows, fairness and what
is owed are all evaluated again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product
from typing import TypeAlias

from txweave.system import reference
from txweave.system.expr import Elem, Value
from txweave.system.reference import BOUND, State, Unspecified, same
from txweave.system.sorted import Action, Fairness, Property, System
from txweave.trace import State as Cells
from txweave.trace import Trace

SMALL = 20_000
"""Up to so many states, what can no longer be reached is explored again."""


_Which: TypeAlias = Callable[[Action], bool]


@dataclass(frozen=True)
class _Owner:
    """A process to which moves of a kind (``step`` or ``database``) are owed, weakly or strongly."""

    process: Elem
    kind: str
    moves: str
    owed: Fairness | None = None

    def __str__(self) -> str:
        return f"{self.process} ({self.kind} fairness, {self.moves})"


def _among(row: tuple[Value, ...], found: list[tuple[Value, ...]]) -> bool:
    return any(len(row) == len(other) and all(map(same, row, other)) for other in found)


@dataclass(frozen=True)
class Judgement:
    """``problems``: why the trace does not show what it should (none: it is confirmed); ``notes``: what was not checked."""

    problems: tuple[str, ...]
    notes: tuple[str, ...] = ()


def judge(trace: Trace, name: str) -> tuple[str, ...]:
    """What is wrong with a trace that should violate the property called ``name``; nothing when it is confirmed."""
    return review(trace, name).problems


def review(trace: Trace, name: str) -> Judgement:
    """As :func:`judge`, and tells as well what was left unchecked."""
    return _Replay(trace).review(name)


class _Replay:
    def __init__(self, trace: Trace) -> None:
        self.trace = trace
        self.system: System = trace.system.system
        self.problems: list[str] = []
        self.notes: list[str] = []
        self.states: list[State] = []

    def review(self, name: str) -> Judgement:
        try:
            self._review(name)
        except (Unspecified, KeyError) as error:
            self.problems.append(f"the reference interpreter fails: {error}")
        return Judgement(tuple(self.problems), tuple(self.notes))

    def _review(self, name: str) -> None:
        item = next((p for p in self.system.properties if p.name == name), None)
        if item is None:
            self.problems.append(f"there is no property {name!r}")
            return
        if not self.replay():
            return
        if item.kind == "leads_to":
            self.lasso(item)
            return
        if self.trace.loop is not None:
            self.problems.append(f"a lasso cannot violate {name!r}")
            return
        last = self.states[-1]
        if item.kind == "never":
            self.never(item, last)
        elif item.kind == "deadlock":
            self.deadlock(last)
        elif item.kind == "always_possible":
            self.impossible(item, last)
        else:
            self.problems.append(f"no kind of property is called {item.kind!r}")

    # ------------------------------------------------------------------------------------------------------- the run

    def replay(self) -> bool:
        """Follow the trace; whether every step is one of the system."""
        state = reference.initial(self.system)
        if not self.agrees("the initial state", state, self.trace.system.initial):
            return False
        self.states.append(state)
        for number, taken in enumerate(self.trace.steps, 1):
            where = f"step {number} ({taken.action.name})"
            action, params = taken.action.action, taken.action.params
            if not any(action is other for other in self.system.actions):
                self.problems.append(f"{where}: the system has no such action")
                return False
            if not self.fits(action, params):
                self.problems.append(f"{where}: these are no values of its parameters: {params}")
                return False
            actor = params[0] if action.actor is not None else None
            if actor != taken.action.actor:
                self.problems.append(f"{where}: it is {actor} that acts, not {taken.action.actor}")
                return False
            if not reference.enabled(self.system, state, action, params):
                self.problems.append(f"{where}: not enabled")
                return False
            state = reference.after(self.system, state, action, params)
            if state[BOUND] is not None:
                self.problems.append(f"{where}: leads out of bounds ({state[BOUND]})")
                return False
            if not self.agrees(where, state, taken.state):
                return False
            self.states.append(state)
        return True

    def fits(self, action: Action, params: tuple[Value, ...]) -> bool:
        """Whether an action's parameters may have these values."""
        return len(params) == len(action.params) and all(
            any(same(value, other) for other in reference.values(self.system, param.domain))
            for param, value in zip(action.params, params, strict=True)
        )

    def agrees(self, where: str, state: State, cells: Cells) -> bool:
        """Whether the state that the trace gives is the reference's."""
        ground = self.trace.system
        if len(cells) != len(ground.cells):
            self.problems.append(f"{where}: {len(cells)} values for {len(ground.cells)} cells")
            return False
        given = dict(ground.fixed)
        given.update({(cell.function, cell.args): value for cell, value in zip(ground.cells, cells, strict=True)})
        wrong = [key for key in {**state, **given} if key not in state or key not in given or not same(state[key], given[key])]
        for function, args in wrong[:3]:
            label = f"{function}({', '.join(map(str, args))})"
            is_, says = state.get((function, args)), given.get((function, args))
            self.problems.append(f"{where}: {label} is {is_!r}, the trace says {says!r}")
        if len(wrong) > 3:
            self.problems.append(f"{where}: {len(wrong) - 3} more values differ")
        return not wrong

    # ------------------------------------------------------------------------------------------------------- safety

    def never(self, item: Property, last: State) -> None:
        assert item.rows is not None
        found = reference.rows(self.system, item.rows, last)
        if not found:
            self.problems.append("the last state has no row")
        elif self.trace.witness is None:
            self.problems.append("the trace does not say which row breaks the property")
        elif not _among(self.trace.witness, found):
            self.problems.append(f"the last state has no row {self.trace.witness}")

    def deadlock(self, last: State) -> None:
        """No process can move by itself after any number of ticks."""
        if reference.finished(self.system, last):
            self.problems.append("every process has finished in the last state")
            return
        pending, seen = [last], {reference.identity(last)}
        while pending:
            state = pending.pop()
            for action, params in self.instances(lambda a: a.kind in ("step", "database")):
                if reference.enabled(self.system, state, action, params):
                    self.problems.append(f"{action.name}{params} can be taken in the last state, or after ticks")
                    return
            for action, params in self.instances(lambda a: a.kind == "tick"):
                if not reference.enabled(self.system, state, action, params):
                    continue
                following = reference.after(self.system, state, action, params)
                if following[BOUND] is not None:
                    self.problems.append(f"time leads out of bounds ({following[BOUND]}): a process may yet move")
                    return
                name = reference.identity(following)
                if name not in seen:
                    seen.add(name)
                    pending.append(following)

    def impossible(self, item: Property, last: State) -> None:
        """No state with a row can be reached any more."""
        assert item.rows is not None
        if reference.rows(self.system, item.rows, last):
            self.problems.append("the last state has a row itself")
            return
        rest = reference.explore(self.system, SMALL, last)
        inside = (state for state in rest.states if state[BOUND] is None)
        if any(reference.rows(self.system, item.rows, state) for state in inside):
            self.problems.append("a state with a row can still be reached from the last state")
        elif rest.bounds:
            self.problems.append(f"bounds can be hit from the last state ({', '.join(sorted(rest.bounds))})")
        elif not rest.complete:
            self.notes.append(f"that no state with a row can be reached was checked for {SMALL} states only")

    # ----------------------------------------------------------------------------------------------------- liveness

    def lasso(self, item: Property) -> None:
        loop, steps = self.trace.loop, self.trace.steps
        if loop is None:
            self.problems.append("only a lasso can violate a leads-to property")
            return
        if not 0 <= loop <= len(steps):
            self.problems.append(f"the loop starts at {loop}, the trace has {len(steps)} steps")
            return
        if reference.identity(self.states[loop]) != reference.identity(self.states[-1]):
            self.problems.append("the loop does not return to the state where it starts")
            return
        if loop == len(steps):
            self.stutters()
        else:
            self.loops(loop)
        self.pending(item, loop)

    def stutters(self) -> None:
        """Nothing that is owed may be possible where a run ends, and time must not be able to end."""
        if self.system.timed:
            self.problems.append("time passes for ever: no run ends")
        for owner in self.owners():
            if self.wants(owner, self.states[-1]):
                self.problems.append(f"{owner} can move in the last state, and it is owed")

    def loops(self, loop: int) -> None:
        """The steps of the loop may be repeated for ever."""
        taken = [step.action for step in self.trace.steps[loop:]]
        around = self.states[loop:-1]
        for action in taken:
            if not action.action.recurs:
                self.problems.append(f"{action.name} is on the loop but does not recur for ever")
        if self.system.timed and not any(action.action.kind == "tick" for action in taken):
            self.problems.append("time does not pass on the loop")
        for owner in self.owners():
            moves = any(a.action.fair and a.action.kind == owner.moves and a.params and a.params[0] == owner.process for a in taken)
            if moves:
                continue
            wants = [self.wants(owner, state) for state in around]
            if all(wants) if owner.kind == "weak" else any(wants):
                often = "always" if owner.kind == "weak" else "again and again"
                self.problems.append(f"{owner} can {often} move on the loop but never does")

    def pending(self, item: Property, loop: int) -> None:
        """The witness is a row at some position, and is not discharged at that or any later one."""
        assert item.rows is not None
        witness = self.trace.witness
        if witness is None:
            self.problems.append("the trace does not say which row is pending")
            return
        there = [_among(witness, reference.rows(self.system, item.rows, state)) for state in self.states]
        if item.goal is None:
            discharged = [not row for row in there]
        else:
            discharged = [_among(witness, reference.rows(self.system, item.goal, state)) for state in self.states]
        if not any(there):
            self.problems.append(f"the row {witness} never occurs")
        elif any(discharged[loop:]):
            self.problems.append(f"the row {witness} is discharged on the loop")
        elif not any(row and not any(discharged[position:]) for position, row in enumerate(there)):
            self.problems.append(f"the row {witness} is discharged each time that it occurs")

    def owners(self) -> Iterator[_Owner]:
        """Everything that fairness is owed to."""
        for item in self.system.fairness:
            if item.kind != "none":
                for element in reference.elements(self.system, item.role):
                    yield _Owner(element, item.kind, "step", item)
        breakers = (p[0] for a, p in self.instances(lambda a: a.kind == "database" and a.actor is not None))
        for process in dict.fromkeys(breakers):
            assert isinstance(process, Elem)
            yield _Owner(process, "weak", "database")

    def wants(self, owner: _Owner, state: State) -> bool:
        """Whether the owner is owed a move in this state, and has one."""
        owed = owner.owed
        if owed is not None and not reference.holds(self.system, owed.owed, state, {owed.process: owner.process}):
            return False
        mine = self.instances(lambda a: a.kind == owner.moves and a.fair and a.actor is not None, owner.process)
        return any(reference.enabled(self.system, state, action, params) for action, params in mine)

    def instances(self, which: _Which, actor: Elem | None = None) -> Iterator[tuple[Action, tuple[Value, ...]]]:
        """Actions of some kind with all values of their parameters; those of one actor, or of all."""
        for action in self.system.actions:
            if which(action):
                for params in product(*(reference.values(self.system, param.domain) for param in action.params)):
                    if actor is None or params[0] == actor:
                        yield action, params
