"""What an export says of a system, whatever the language: transitions, crossings, fairness, properties.

A move that leads out of bounds is no transition of the exported system.  It is a *crossing*: a condition on the state before, which
counts where being able to move counts (fairness, deadlock), and which tells that a bound is hit.  The states are then exactly
those that are expanded and checked.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import product

from txweave.system import expr as x
from txweave.system.expr import Elem, Expr, Value
from txweave.system.ground import GroundAction, GroundCell, GroundProperty, GroundRow, GroundSystem, possible

MOVES = ("step", "database")
"""Kinds of action that count as a move where deadlock is asked for."""


class ExportError(Exception):
    """The system cannot be written in the other language at all."""


@dataclass(frozen=True, eq=False)
class Transition:
    """An action that stays within the bounds: the conjuncts of its guard and its assignments.

    ``hides``: it may lead back to the state it starts from although fairness or time must know that it was taken.
    """

    action: GroundAction
    conjuncts: tuple[Expr, ...]
    updates: tuple[tuple[int, Expr], ...]
    hides: bool

    @property
    def guard(self) -> Expr:
        """The guard, without "not out of bounds"."""
        return x.conj(*self.conjuncts)


@dataclass(frozen=True, eq=False)
class Crossing:
    """An action that would lead beyond ``bound``."""

    action: GroundAction
    bound: str
    guard: Expr


@dataclass(frozen=True)
class Owner:
    """Someone to whom moves are owed: a process (``moves`` is ``step``), or the server at a process's expense (``database``)."""

    process: Elem
    kind: str
    moves: str
    owed: Expr
    transitions: tuple[Transition, ...]
    crossings: tuple[Crossing, ...]

    @property
    def enabled(self) -> Expr:
        """A move is possible (perhaps out of bounds), and owed."""
        return x.conj(self.owed, x.disj(*(t.guard for t in self.transitions), *(c.guard for c in self.crossings)))


@dataclass(frozen=True)
class Response:
    """``rows`` leads to ``goal``, for one row with these values."""

    values: tuple[Value, ...]
    rows: Expr
    goal: Expr


class Plan:
    """One system, taken apart."""

    def __init__(self, system: GroundSystem) -> None:
        self.system = system
        self.out = len(system.cells) - 1
        self.cells: tuple[GroundCell, ...] = system.cells[: self.out]
        self._inside = x.equal(x.cell(self.out), x.NULL)
        self.transitions: tuple[Transition, ...] = ()
        self.crossings: tuple[Crossing, ...] = ()
        for action in system.actions:
            conjuncts = self._conjuncts(action.guard)
            bound = next((body for cell, body in action.updates if cell == self.out), None)
            if bound is None:
                hides = self._matters(action) and not _changes(conjuncts, action.updates)
                self.transitions += (Transition(action, conjuncts, action.updates, hides),)
            else:
                assert isinstance(bound, x.Const)
                self.crossings += (Crossing(action, str(bound.value), x.conj(*conjuncts)),)

    def _conjuncts(self, guard: Expr) -> tuple[Expr, ...]:
        parts = guard.operands if isinstance(guard, x.And) else (guard,)
        return tuple(part for part in parts if part is not self._inside and part is not x.TRUE)

    def _matters(self, action: GroundAction) -> bool:
        """Whether fairness or the divergence of time asks for the action itself, and not only for where it leads."""
        return action.kind == "tick" or (action.kind in MOVES and action.action.fair and action.actor is not None)

    @cached_property
    def bounds(self) -> tuple[str, ...]:
        """The bounds that might be crossed."""
        return tuple(sorted({crossing.bound for crossing in self.crossings}))

    @cached_property
    def hides(self) -> bool:
        """Whether some transition that must be noticed may leave every cell as it is."""
        return any(t.hides for t in self.transitions)

    @cached_property
    def once(self) -> bool:
        """Whether some actions do not occur for ever."""
        return not all(t.action.action.recurs for t in self.transitions)

    @cached_property
    def owners(self) -> tuple[Owner, ...]:
        """Everyone who is owed fairness and ever has a move; actions that are not fair belong to nobody."""
        found = [self._owner(f.process, f.kind, "step", f.owed) for f in self.system.fairness]
        victims = dict.fromkeys(a.actor for a in self.system.actions if a.kind == "database" and a.actor is not None)
        found += [self._owner(victim, "weak", "database", x.TRUE) for victim in victims]
        return tuple(owner for owner in found if owner.transitions or owner.crossings)

    def _owner(self, process: Elem, kind: str, moves: str, owed: Expr) -> Owner:
        def mine(action: GroundAction) -> bool:
            return action.kind == moves and action.action.fair and action.actor == process

        return Owner(
            process,
            kind,
            moves,
            owed,
            tuple(t for t in self.transitions if mine(t.action)),
            tuple(c for c in self.crossings if mine(c.action)),
        )

    # -------------------------------------------------------------------------------------------------------- properties

    @cached_property
    def finished(self) -> Expr:
        """Every process counts as finished."""
        return x.conj(*(condition for _, condition in self.system.finished))

    @cached_property
    def can_move(self) -> Expr:
        """A process can move, or the server can; moves out of bounds are moves."""
        return x.disj(
            *(t.guard for t in self.transitions if t.action.kind in MOVES),
            *(c.guard for c in self.crossings if c.action.kind in MOVES),
        )

    @cached_property
    def ticks(self) -> tuple[Transition, ...]:
        """The passing of time."""
        return tuple(t for t in self.transitions if t.action.kind == "tick")

    @cached_property
    def tick_crossings(self) -> Expr:
        """Time leads out of bounds."""
        return x.disj(*(c.guard for c in self.crossings if c.action.kind == "tick"))

    @cached_property
    def aging(self) -> tuple[int, ...]:
        """The cells that ticks change."""
        return tuple(sorted({cell for tick in self.ticks for cell, _ in tick.updates}))

    def responses(self, item: GroundProperty) -> Iterator[Response]:
        """A leads-to property, one response for each row that there may be."""
        assert item.rows is not None
        values = dict.fromkeys(found for row in item.rows.rows for found in self._values(row))
        for value in values:
            chosen = tuple(v for _, v in value)
            rows = item.rows.has(chosen)
            if rows is x.FALSE:
                continue
            goal = x.neg(rows) if item.goal is None else item.goal.has(chosen)
            yield Response(chosen, rows, goal)

    def _values(self, row: GroundRow) -> Iterable[tuple[tuple[str, Value], ...]]:
        """The values that a row may have, each with its type: ``True`` is not ``1``."""
        options = [sorted(possible(v, self.cells), key=_order) for v in row.values]
        for found in product(*options):
            yield tuple((type(v).__name__, v) for v in found)


def _order(value: Value) -> tuple[str, str, int]:
    return type(value).__name__, str(value), value if isinstance(value, int) else 0


def _leaves(body: Expr) -> Iterator[Expr]:
    if isinstance(body, x.Ite):
        yield from _leaves(body.then)
        yield from _leaves(body.otherwise)
    else:
        yield body


def _changes(conjuncts: tuple[Expr, ...], updates: tuple[tuple[int, Expr], ...]) -> bool:
    """Whether a transition surely gives some cell another value: the guard says what the cell is (or is not)."""
    known = set(conjuncts)
    for cell, body in updates:
        here = x.cell(cell)
        if all(isinstance(leaf, x.Const) and _differs(here, leaf, known) for leaf in _leaves(body)):
            return True
        if x.neg(x.equal(here, body)) in known:
            return True
    return False


def _differs(cell: Expr, new: x.Const, known: set[Expr]) -> bool:
    if x.neg(x.equal(cell, new)) in known:
        return True
    for part in known:
        if isinstance(part, x.Equal) and part.left is cell and isinstance(part.right, x.Const):
            return part.right is not new
    return False
