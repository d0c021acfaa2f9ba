"""Inductive invariants, harvested from explored states and proved by Z3.

It starts from the goals (the property is not violated, the bounds are not crossed) and looks for a counterexample: a state, not
known to be unreachable, in which a goal fails, or from which one step makes a clause fail.  A clause is added that is false there
but true in every harvested state, as short as can be, and it becomes an obligation itself.  The harvest is only a hint: it
chooses clauses.  What is claimed is what :mod:`~txweave.engines.z3.recheck` confirms with a fresh solver.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from txweave.certificate import Certificate
from txweave.engines.z3.encode import Encoding, Formula
from txweave.engines.z3.logic import Codes, Columns, Translation
from txweave.engines.z3.session import GaveUp
from txweave.system import expr as x
from txweave.system.expr import Expr
from txweave.system.ground import GroundSystem
from txweave.trace import State

Matrix: TypeAlias = npt.NDArray[np.uint16]
Cube: TypeAlias = dict[int, npt.NDArray[np.bool_]]
"""For some cells, a set of codes: the states that have one of them in each of these cells."""

CLAUSES = 5_000
"""So many clauses are tried for one property."""

CHUNK = 1 << 16
"""States whose goals are evaluated at a time."""

PAIRS = 1 << 15
"""Up to so many harvested states the shortest clauses are looked for, beyond that greedily."""

THIRDS = 12
"""So many cells, those with whose value the fewest states agree, are tried as one of three."""


class Harvest:
    """Explored states within bounds, as a matrix of codes; the initial state is among them."""

    def __init__(self, system: GroundSystem, states: Iterable[State] | npt.NDArray[Any]) -> None:
        codes = Codes(system.cells)
        width = len(system.cells)
        if isinstance(states, np.ndarray):
            given = states.astype(np.uint16)
        else:
            given = np.array([codes.encode(state) for state in states], dtype=np.uint16).reshape(-1, width)
        start = np.array([codes.encode(system.initial)], dtype=np.uint16)
        rows = np.concatenate([start, given[given[:, width - 1] == 0]])
        self.system = system
        self.matrix: Matrix = np.unique(rows, axis=0)

    def ever(self, formula: Expr) -> bool:
        """Whether a formula holds in one of the states."""
        for begin in range(0, len(self.matrix), CHUNK):
            part = Translation(Columns(self.matrix[begin : begin + CHUNK]), self.system.cells)
            if part.formula(formula).any():
                return True
        return False

    def cube(self, state: Sequence[int]) -> Cube | None:
        """A set of states, as large as can be, that contains ``state`` and no harvested one; None if it is harvested itself."""
        agree = self.matrix == np.array(state, dtype=np.uint16)
        chosen = _shortest(agree) if len(self.matrix) <= PAIRS else _greedy(agree)
        if chosen is None:
            return None
        return self._widen(_dropped(agree, chosen), state)

    def _widen(self, cells: list[int], state: Sequence[int]) -> Cube:
        """Allow each cell all values with which no harvested state comes in."""
        cube: Cube = {}
        for cell in cells:
            mask = np.zeros(len(self.system.cells[cell].domain), np.bool_)
            mask[state[cell]] = True
            cube[cell] = mask
        for cell in cells:
            others = np.ones(len(self.matrix), np.bool_)
            for other, mask in cube.items():
                if other != cell:
                    others &= mask[self.matrix[:, other]]
            taken = np.unique(self.matrix[others, cell])
            wide = np.ones(len(cube[cell]), np.bool_)
            wide[taken] = False
            cube[cell] = wide
        return {cell: mask for cell, mask in sorted(cube.items()) if not mask.all()}


def _dropped(agree: npt.NDArray[np.bool_], cells: list[int]) -> list[int]:
    """The cells without those that are not needed."""
    kept = list(cells)
    for cell in cells:
        rest = [other for other in kept if other != cell]
        if rest and not agree[:, rest].all(axis=1).any():
            kept = rest
    return kept


def _greedy(agree: npt.NDArray[np.bool_]) -> list[int] | None:
    """Cells in which no row agrees altogether: always the one that leaves the fewest rows."""
    chosen: list[int] = []
    rest = agree
    while len(rest):
        counts = rest.sum(axis=0)
        best = int(counts.argmin())
        if counts[best] == len(rest):
            return None
        chosen.append(best)
        rest = rest[rest[:, best]]
    return chosen


def _shortest(agree: npt.NDArray[np.bool_]) -> list[int] | None:
    """As :func:`_greedy`, but with the fewest cells if two will do, or three of which one is among the most telling."""
    columns = [int.from_bytes(np.packbits(column).tobytes(), "big") for column in agree.T]
    counts = [column.bit_count() for column in columns]
    if 0 in counts:
        return [counts.index(0)]
    pair = _pair(columns)
    if pair is not None:
        return list(pair)
    for cell in sorted(range(len(columns)), key=counts.__getitem__)[:THIRDS]:
        if counts[cell] < len(agree):
            pair = _pair([columns[cell] & column for column in columns])
            if pair is not None:
                return [cell, *pair]
    return _greedy(agree)


def _pair(columns: list[int]) -> tuple[int, int] | None:
    """Two cells in which no row agrees, the rows that agree in one of them being as many as can be; columns are sets of rows."""
    best, value = None, -1
    counts = [column.bit_count() for column in columns]
    for first, one in enumerate(columns):
        for second in range(first + 1, len(columns)):
            if counts[first] + counts[second] > value and not one & columns[second]:
                best, value = (first, second), counts[first] + counts[second]
    return best


@dataclass(eq=False)
class Obligation:
    """Something that must not be possible: an assumption under which a solver looks for it."""

    solver: Any
    refuted: Formula


@dataclass
class Strengthening:
    """The search for inductive invariants of one system; clauses that served one property are tried first for the next."""

    encoding: Encoding
    harvest: Harvest
    budget: int = CLAUSES
    """Clauses that may be tried for one property."""
    known: list[Cube] = field(default_factory=list)
    _count: int = 0

    def __post_init__(self) -> None:
        # A state that has no step is to be excluded as well, where it is bad: so one solver knows states, the other steps.
        self.states, self.steps = self.encoding.session.solver(), self.encoding.session.solver()
        self.states.add(self.encoding.within())
        self.steps.add(self.encoding.within(), self.encoding.step())

    def prove(
        self, name: str, goals: Sequence[Expr], own: Expr | None, truncated: Sequence[str] = (), ticks: int = 0
    ) -> Certificate:
        """An inductive invariant that implies every goal (ground formulas).

        The clauses come in the order in which the argument asked for them: each is there because without it a goal would not
        follow, or one before it would not be preserved.  ``own``, the property itself as a closed formula of the sorted system,
        is the first of them.

        Raises:
            GaveUp: none was found, with the reason.
        """
        # What is assumed for this property is not assumed for the next.
        given = self._variable("given")
        pending = deque(self._implied(self.encoding.formula(goal)) for goal in goals)
        clauses: list[Expr] = []
        if own is not None:
            clauses.append(own)
            pending.append(self._preserved(given, own))
        while pending:
            if not self.encoding.session.ask(pending[0].solver, [given, pending[0].refuted]):
                pending.popleft()
                continue
            state = self.encoding.numbers(pending[0].solver.model(), self.encoding.now)
            cube = self._cube(state)
            if len(clauses) >= self.budget:
                raise GaveUp(f"no inductive invariant with {self.budget:,} clauses", "clauses")
            clauses.append(self._clause(cube))
            pending.append(self._preserved(given, clauses[-1]))
        return Certificate(name, tuple(clauses), tuple(truncated), ticks)

    def _cube(self, state: Sequence[int]) -> Cube:
        """States to exclude, this one among them."""
        for cube in self.known:
            if all(mask[state[cell]] for cell, mask in cube.items()):
                return cube
        found = self.harvest.cube(state)
        if found is None:
            raise GaveUp("the harvested states are not all that can be reached")
        self.known.append(found)
        return found

    def _variable(self, hint: str) -> Formula:
        self._count += 1
        return self.encoding.session.z3.Bool(f"{hint}{self._count}", ctx=self.encoding.session.context)

    def _implied(self, goal: Formula) -> Obligation:
        """That no state fails a goal."""
        refuted = self._variable("refuted")
        self.states.add(self.encoding.algebra.implies(refuted, self.encoding.algebra.negation(goal)))
        return Obligation(self.states, refuted)

    def _preserved(self, given: Formula, clause: Expr) -> Obligation:
        """Assume a clause, and that no step makes it fail."""
        a, refuted, now = self.encoding.algebra, self._variable("refuted"), self.encoding.ground(clause)
        following = self.encoding.at(now, now=self.encoding.next)
        self.states.add(a.implies(given, now))
        self.steps.add(a.implies(given, now), a.implies(refuted, a.negation(following)))
        return Obligation(self.steps, refuted)

    def _clause(self, cube: Cube) -> Expr:
        """The clause that excludes a cube: one of its cells has another value."""
        literals = []
        for number, mask in cube.items():
            cell = self.encoding.system.cells[number]
            here = x.apply(cell.function, *map(x.const, cell.args))
            inside = [value for code, value in enumerate(cell.domain) if mask[code]]
            outside = [value for code, value in enumerate(cell.domain) if not mask[code]]
            if len(inside) < len(outside):
                literals.append(x.conj(*(x.neg(x.equal(here, x.const(value))) for value in inside)))
            else:
                literals.append(x.disj(*(x.equal(here, x.const(value)) for value in outside)))
        return x.disj(*literals)
