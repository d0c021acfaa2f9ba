"""Certificates: inductive invariants, as data that a person can read and a separate check can verify."""

from __future__ import annotations

from dataclasses import dataclass

from txweave.system.expr import Expr


@dataclass(frozen=True)
class Certificate:
    """An inductive invariant of a system, for the property called ``name``.

    The clauses hold in the initial state, every step within bounds preserves them together, and together they imply that the
    property is not violated and no bound crossed but for those in ``truncated``.  They come in the order in which the argument
    needs them: the property first, then what each one before needs to be preserved.  A clause is a closed expression of the
    sorted system (:mod:`txweave.system.expr`): about elements for a proof of one instance, quantified for one of any number.
    """

    name: str
    clauses: tuple[Expr, ...]
    truncated: tuple[str, ...] = ()
    """The bounds whose crossing is accepted; no other is crossed."""
    ticks: int = 0
    """For freedom from deadlock: after how many ticks at most some process can move."""
