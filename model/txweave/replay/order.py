"""The order that a server keeps: a waiting statement goes on as soon as it can.  A trace may let it wait longer."""

from __future__ import annotations

from txweave.replay.machine import Machine
from txweave.simulate import successor
from txweave.system.expr import Elem
from txweave.system.ground import GroundAction
from txweave.trace import State, Taken, Trace
from txweave.view import Viewer, evaluate


class OrderError(Exception):
    """A trace in which a process waits longer than it must, and that is no run when it does not; tells where."""


def at_once(machine: Machine, trace: Trace) -> Trace:
    """The trace with each waiting process going on as soon as it can; the same object where it does so already.

    The result is a run of the same system.  Whether it shows what the trace shows is for the judge to say.

    Raises:
        OrderError: there is no such run, or it is not known which.
    """
    return _Order(machine, trace).trace()


class _Order:
    def __init__(self, machine: Machine, trace: Trace) -> None:
        self.machine = machine
        self.given = trace
        self.system = trace.system
        self.names = Viewer(trace.system).process_name
        self.rest = [taken.action for taken in trace.steps]
        self.state = trace.system.initial

    def trace(self) -> Trace:
        steps: list[Taken] = []
        moved = False
        while self.rest:
            woken = [p for p in self.machine.actors if self._woken(p)]
            action = self.rest[0]
            if not woken or action.actor in woken:
                if woken and action.kind == "fault":
                    raise OrderError(self._late(action, woken))
                self.rest.pop(0)
                again = self._now(action)
            else:
                again = self._first(woken)
                moved = True
            if again is None:
                raise OrderError(self._late(action, woken))
            self._race(again, woken)
            self.state = successor(again, self.state)
            if self.state[-1] is not None:
                raise OrderError(f"when processes that wait go on at once, the run leads out of bounds ({self.state[-1]})")
            steps.append(Taken(again, self.state))
        return Trace(self.system, tuple(steps), self.given.loop, self.given.witness) if moved else self.given

    def _woken(self, process: Elem) -> bool:
        return self.machine.point(self.state, process).waiting and self.machine.blocker(self.state, process) is None

    def _race(self, chosen: GroundAction, woken: list[Elem]) -> None:
        """Of several that go on at once the server decides who is first; that matters where another takes the turn of this one."""
        for action in self.system.actions:
            if action.kind != "step" or action.actor not in woken or action.actor == chosen.actor:
                continue
            if evaluate(action.guard, self.state) is True and evaluate(chosen.guard, self._after(action)) is not True:
                who = " and ".join(map(self.names, woken))
                info = chosen.action.info
                raise OrderError(f"at {info.step} ({info.outcome}) {who} go on at once, and the server decides who is first")

    def _late(self, action: GroundAction, woken: list[Elem]) -> str:
        number = len(self.given.steps) - len(self.rest) + (1 if self.rest and self.rest[0] is action else 0)
        info = action.action.info
        what = f"step {number} ({'' if action.actor is None else self.names(action.actor) + ': '}{info.step}, {info.outcome})"
        if woken:
            who = " and ".join(map(self.names, woken))
            return f"{what}: on a server {who} has gone on by then, since nothing blocks it; in the trace it still waits"
        return f"{what} is not possible when processes that wait go on at once"

    def _now(self, action: GroundAction) -> GroundAction | None:
        """The action if it can be taken, else another that is called the same."""
        if evaluate(action.guard, self.state) is True:
            return action
        alike = (a for a in self.system.actions if _label(a) == _label(action))
        return next((a for a in alike if evaluate(a.guard, self.state) is True), None)

    def _first(self, woken: list[Elem]) -> GroundAction | None:
        """The next step of those that have been woken, now; it is taken out of the rest."""
        for place, action in enumerate(self.rest):
            if action.actor in woken:
                found = self._now(action) if action.kind == "step" else None
                if found is not None:
                    self.rest.pop(place)
                return found
        mine = (a for a in self.system.actions if a.actor == woken[0] and a.kind == "step")
        options = [a for a in mine if evaluate(a.guard, self.state) is True]
        return options[0] if len({self._after(a) for a in options}) == 1 else None

    def _after(self, action: GroundAction) -> State:
        return successor(action, self.state)


def _label(action: GroundAction) -> tuple[object, ...]:
    info = action.action.info
    return action.actor, action.kind, info.procedure, info.step, info.outcome
