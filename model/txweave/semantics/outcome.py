"""Outcomes: the ways in which one atomic step can end."""

from __future__ import annotations

from dataclasses import dataclass, replace

from txweave.semantics.symbolic import State
from txweave.system import expr as x
from txweave.system.expr import Expr, Local
from txweave.system.sorted import Witness


@dataclass(frozen=True)
class Outcome:
    """One way in which a step ends.

    ``exit``: ``ok``; ``error`` (``error`` names it; ``database`` says that the server raised it, which kills the transaction
    up to the last savepoint); ``wait`` (on a row: resumed by ``at``), ``redo`` (the statement is tried again), ``keys`` (the new
    row is written, and some of its unique keys are left to check), ``parents`` (the rows are written, and their foreign keys are
    left to check), ``row 1``, … (an INSERT waits for that row's key; those before it are written); ``pause`` (a statement on rows
    stands between two of them, and goes on with those in ``todo``), ``pause row 1``, …, ``pause drawn 0``, … (its row
    has its exact id), ``pause parents``: nobody is waited for;
    ``out`` (``error`` names the bound or the construct that leads out of the modelled ground).
    """

    exit: str
    guard: Expr
    state: State
    label: str = "ok"
    params: tuple[Local, ...] = ()
    error: str = ""
    database: bool = True
    results: tuple[tuple[str, Expr], ...] = ()
    note: str = ""
    returned: tuple[Witness, ...] | None = None
    affected: Expr | None = None
    claimed: int = 0
    """Of a wait for a unique key: how many of the row's keys come before it."""

    def given(self, guard: Expr, params: tuple[Local, ...] = ()) -> Outcome:
        """The same outcome under one more condition."""
        return replace(self, guard=x.conj(guard, self.guard), params=(*params, *self.params))

    def uncounted(self) -> Outcome:
        """The same outcome of a statement that has waited without noting which rows it had dealt with: nothing is said of them."""
        shown = tuple(item for item in self.results if item[0] != ROWS_AFFECTED)
        return replace(self, results=shown, returned=None, affected=None)


ROWS_AFFECTED = "rows affected"
"""What the row count is called in a story when no variable takes it."""


def ok(
    guard: Expr,
    state: State,
    label: str = "ok",
    params: tuple[Local, ...] = (),
    results: tuple[tuple[str, Expr], ...] = (),
    note: str = "",
) -> Outcome:
    """A normal end."""
    return Outcome("ok", guard, state, label, params, results=results, note=note)


def failed(guard: Expr, state: State, error: str, database: bool = True, params: tuple[Local, ...] = ()) -> Outcome:
    """An error."""
    return Outcome("error", guard, state, error, params, error, database)


def out(guard: Expr, state: State, what: str, params: tuple[Local, ...] = ()) -> Outcome:
    """Out of a bound, or out of the modelled ground."""
    return Outcome("out", guard, state, "out of bounds", params, what)
