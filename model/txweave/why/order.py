"""The order of steps: which of it matters, and the same steps with fewer switches between processes.

The steps of one process are always in the order in which it took them.  A *linearisation* of a set of constraints ``a < b`` between
steps of different processes is an order of all steps that respects them.  A set of constraints *suffices* if each of its
linearisations is a run, every step with the outcome that it had (the rows that it takes or makes may be others), and breaks
the property too: a ``never`` property by a row in some
state; otherwise by ending in the same state, with the same row still pending.  More constraints leave fewer linearisations, so
that what suffices goes on to suffice when constraints are added.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, pairwise
from typing import TypeAlias

from txweave.system.expr import Elem, Value
from txweave.trace import State, Taken, Trace
from txweave.view import Viewer, evaluate
from txweave.why.replay import Runner

NODES = 4_000
"""Up to so many situations are looked at to find out whether one set of constraints suffices."""

BUDGET = 60_000
"""Up to so many in all, before what has been found so far is taken."""

TRIED = 3_000
"""Up to so many sets of constraints are tried to find a smallest one."""

Pair: TypeAlias = tuple[int, int]
"""The first step, by its number from 1, comes before the second."""

_Node: TypeAlias = tuple[tuple[int, ...], State, bool]


class _TooMany(Exception):  # noqa: N818 - a fact, not an error
    """The limit was met."""


@dataclass(frozen=True)
class Order:
    """Constraints that suffice.  ``fewest``: no smaller set does; otherwise only that none of these can be left out."""

    pairs: tuple[Pair, ...]
    fewest: bool


class Orders:
    """The orders of the steps of a counterexample, of the stem where it is a lasso."""

    def __init__(self, trace: Trace, name: str, viewer: Viewer, runner: Runner | None = None) -> None:
        self.trace = trace
        self.item = trace.system.find(name)
        self.viewer = viewer
        self.runner = runner or Runner(viewer)
        self.steps = trace.steps if trace.loop is None else trace.steps[: trace.loop]
        actors = list(dict.fromkeys(taken.action.actor for taken in self.steps))
        self.threads = [[n for n, taken in enumerate(self.steps) if taken.action.actor == actor] for actor in actors]
        self.thread_of = {n: t for t, thread in enumerate(self.threads) for n in thread}
        self.place_of = {n: place for thread in self.threads for place, n in enumerate(thread)}
        self.end = self.steps[-1].state if self.steps else trace.system.initial
        self._known: dict[State, bool] = {}
        self.spent = 0

    # ------------------------------------------------------------------------------------------------- the property

    def holds(self, state: State) -> bool:
        """Whether a ``never`` property has a row, or the row of a ``leads_to`` property is there."""
        if state not in self._known:
            rows = self.item.rows
            if self.item.kind == "never":
                self._known[state] = rows is not None and evaluate(rows.some, state) is True
            else:
                self._known[state] = self._pending(state)
        return self._known[state]

    def _pending(self, state: State) -> bool:
        rows, witness = self.item.rows, self.trace.witness
        return rows is not None and witness is not None and self.viewer.evaluate(rows.has(witness), state) is True

    def _answered(self, state: State) -> bool:
        goal, witness = self.item.goal, self.trace.witness
        if goal is None:
            return not self._pending(state)
        return witness is not None and self.viewer.evaluate(goal.has(witness), state) is True

    def first(self) -> _Node:
        """The situation before the first step."""
        return (0,) * len(self.threads), self.trace.system.initial, self._flag(self.trace.system.initial, pending=False)

    def _flag(self, state: State, *, pending: bool) -> bool:
        """Whether the row is owed an answer (``leads_to``)."""
        if self.item.kind != "leads_to" or self.item.goal is None:
            return False
        return (pending or self._pending(state)) and not self._answered(state)

    def broken(self, node: _Node) -> bool:
        """Whether the property is broken in a situation: at once (``never``), or where all steps have been taken."""
        done, state, pending = node
        if self.item.kind == "never":
            return self.holds(state)
        whole = all(n == len(thread) for n, thread in zip(done, self.threads, strict=True))
        owed = pending or self.item.kind != "leads_to" or self.item.goal is None or self._owed_later()
        return whole and state == self.end and owed

    def _owed_later(self) -> bool:
        """Whether the row comes up in the loop itself."""
        return any(self._pending(taken.state) for taken in self.trace.steps[len(self.steps) :])

    def after(self, node: _Node, thread: int, *, exactly: bool = False) -> _Node | None:
        """The situation after the next step of a process; None where it cannot be taken with that outcome.

        ``exactly``: with the same rows as well.
        """
        done, state, pending = node
        number = self.threads[thread][done[thread]]
        action = self.steps[number].action
        found = self.runner.after(state, action)
        if found is None and not exactly:
            found = next((s for other in self.runner.alike(action) if (s := self.runner.after(state, other)) is not None), None)
        if found is None:
            return None
        more = (*done[:thread], done[thread] + 1, *done[thread + 1 :])
        return more, found, self._flag(found, pending=pending)

    # ------------------------------------------------------------------------------------------------- what matters

    def suffices(self, pairs: Iterable[Pair]) -> bool:
        """Whether every order of the steps that respects these constraints (numbers from 0) breaks the property.

        Raises:
            _TooMany: there is too much to look at.
        """
        needs: dict[int, list[Pair]] = {}
        for a, b in pairs:
            needs.setdefault(b, []).append((self.thread_of[a], self.place_of[a]))
        seen = {self.first()}
        pending = [self.first()]
        while pending:
            node = pending.pop()
            self.spent += 1
            if len(seen) > NODES or self.spent > BUDGET:
                raise _TooMany
            if self.broken(node):
                continue
            done = node[0]
            ready = False
            for thread, numbers in enumerate(self.threads):
                if done[thread] == len(numbers):
                    continue
                if any(done[other] <= place for other, place in needs.get(numbers[done[thread]], ())):
                    continue
                ready = True
                following = self.after(node, thread)
                if following is None:
                    return False
                if following not in seen:
                    seen.add(following)
                    pending.append(following)
            if not ready:
                return False
        return True

    def smallest(self) -> Order | None:
        """A smallest set of constraints that suffices; None where the steps are too many to find out.

        Of several those between steps that are far apart, which ask for less.
        """
        numbers = range(len(self.steps))
        every = [(a, b) for a in numbers for b in numbers if a < b and self.thread_of[a] != self.thread_of[b]]
        try:
            if self.suffices(()):
                return Order((), fewest=True)
            tried = 0
            for size in (1, 2):
                chosen = list(combinations(sorted(every, key=lambda p: (p[0] - p[1], p)), size))
                if tried + len(chosen) > TRIED:
                    break
                tried += len(chosen)
                for pairs in chosen:
                    if self.suffices(pairs):
                        return self._made(pairs, fewest=True)
            else:
                found = self._greedy(every)
                return self._made(found, fewest=len(found) <= 3)
            return self._made(self._greedy(every), fewest=False)
        except _TooMany:
            return None

    def _greedy(self, every: Sequence[Pair]) -> list[Pair]:
        """What is left when one constraint after the other is dropped, as long as the rest suffices; the better of two orders."""
        found: list[list[Pair]] = []
        for far_first in (False, True):
            left = sorted(every)
            for pair in sorted(every, key=lambda p: ((p[0] - p[1]) if far_first else (p[1] - p[0]), p)):
                rest = [other for other in left if other != pair]
                if self.suffices(rest):
                    left = rest
            found.append(left)
        return min(found, key=len)

    @staticmethod
    def _made(pairs: Iterable[Pair], *, fewest: bool) -> Order:
        return Order(tuple(sorted((a + 1, b + 1) for a, b in pairs)), fewest)

    # ---------------------------------------------------------------------------------------------------- fewest switches

    def calmest(self) -> tuple[Taken, ...]:
        """The same steps in the order with the fewest switches between processes that breaks the property too.

        Of several the one that is first, step by step, in the order of the actions.  Where there are too many orders to look
        at, the steps as they are.
        """
        best: dict[tuple[_Node, int], tuple[tuple[int, ...], tuple[Taken, ...]]] = {(self.first(), -1): ((0,), ())}
        for _ in self.steps:
            following: dict[tuple[_Node, int], tuple[tuple[int, ...], tuple[Taken, ...]]] = {}
            for (node, last), (cost, steps) in best.items():
                if self.item.kind == "never" and self.holds(node[1]):
                    continue  # shorter than the shortest: not among those that are compared
                for thread, numbers in enumerate(self.threads):
                    if node[0][thread] == len(numbers):
                        continue
                    after = self.after(node, thread, exactly=True)
                    if after is None:
                        continue
                    action = self.steps[numbers[node[0][thread]]].action
                    more = (cost[0] + (last not in (-1, thread)), *cost[1:], action.index)
                    key = after, thread
                    if key not in following or more < following[key][0]:
                        following[key] = more, (*steps, Taken(action, after[1]))
            if len(following) > NODES:
                return self.steps
            best = following
        ends = [(cost, steps) for (node, _), (cost, steps) in best.items() if self.broken(node)]
        now = switches(taken.action.actor for taken in self.steps)
        cost, steps = min(ends, key=lambda end: end[0], default=((now,), self.steps))
        return steps if cost[0] < now else self.steps


def switches(actors: Iterable[Elem | None]) -> int:
    """How often one process goes on where another has moved before."""
    row = list(actors)
    return sum(a != b for a, b in pairwise(row))


def calm(trace: Trace, name: str, viewer: Viewer) -> Trace:
    """The counterexample with its steps in the order with the fewest switches between processes; as it is if none has fewer."""
    orders = Orders(trace, name, viewer)
    steps = orders.calmest()
    if steps is orders.steps:
        return trace
    rest = trace.steps[len(steps) :]
    witness = trace.witness
    if orders.item.kind == "never" and orders.item.rows is not None:
        witness = first_row(orders, steps[-1].state)
    return replace(trace, steps=(*steps, *rest), witness=witness)


def first_row(orders: Orders, state: State) -> tuple[Value, ...] | None:
    """The first row of a ``never`` property in a state."""
    assert orders.item.rows is not None
    for row in orders.item.rows.rows:
        if evaluate(row.condition, state) is True:
            return tuple(evaluate(value, state) for value in row.values)
    return None
