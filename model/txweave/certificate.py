"""Certificates: inductive invariants of a ground system, as data that a person can read and a separate check can verify."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from txweave.system.expr import Value
from txweave.system.ground import GroundSystem

Literal: TypeAlias = tuple[int, tuple[Value, ...]]
"""A cell's number and the values that it may have."""

Clause: TypeAlias = tuple[Literal, ...]
"""One of the literals is true."""


@dataclass(frozen=True)
class Certificate:
    """An inductive invariant: the clauses, that the property ``name`` is not violated, and that no bound in ``bounds`` is crossed.

    Together these hold in the initial state and every step within bounds preserves them.
    """

    name: str
    clauses: tuple[Clause, ...]
    bounds: tuple[str, ...] = ()
    ticks: int = 0
    """For freedom from deadlock: after how many ticks at most some process can move."""

    @property
    def size(self) -> int:
        """The number of conjuncts."""
        return len(self.clauses) + 1 + len(self.bounds)

    def lines(self, system: GroundSystem) -> tuple[str, ...]:
        """The conjuncts in words."""
        goals = [f"{self.name} is not violated", *(f"no step crosses the bound {bound}" for bound in self.bounds)]
        return (*goals, *(" or ".join(_literal(system, literal) for literal in clause) for clause in self.clauses))


def _literal(system: GroundSystem, literal: Literal) -> str:
    number, values = literal
    cell = system.cells[number]
    others = [v for v in cell.domain if not any(type(v) is type(w) and v == w for w in values)]
    if len(values) == 1:
        return f"{cell.name} = {_text(values[0])}"
    if len(others) == 1:
        return f"{cell.name} ≠ {_text(others[0])}"
    return f"{cell.name} in {{{', '.join(map(_text, values))}}}"


def _text(value: Value) -> str:
    return "NULL" if value is None else repr(value) if isinstance(value, str) else str(value)
