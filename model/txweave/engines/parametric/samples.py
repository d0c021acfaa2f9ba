"""What was seen: the reachable states of small instances, looked at through a few elements at a time.

A *view* is a tuple of sorts.  For each tuple of different elements of these sorts a state shows a row of codes: for each function
at elements of the tuple, which listed value it has, or which element of the tuple it is, or that it is something else.  A set of
codes for some columns that no row has is a candidate for a clause: no elements are ever like that.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, combinations_with_replacement, permutations, product
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from txweave.engines.parametric.template import Template, listed
from txweave.system import expr as x
from txweave.system.expr import Elem, Expr, Local, Value
from txweave.system.ground import GroundSystem, ground
from txweave.system.sorted import System

View: TypeAlias = tuple[str, ...]
Codes: TypeAlias = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Column:
    """A function at elements of a view, given by their positions, with what its codes mean.

    The codes are those of the listed ``values``, then of the positions in ``elements``, then one for anything else.
    """

    function: str
    args: tuple[int, ...]
    values: tuple[Value, ...]
    elements: tuple[int, ...]

    @property
    def other(self) -> int:
        """The code for anything else."""
        return len(self.values) + len(self.elements)

    def atom(self, code: int, names: Sequence[Local]) -> Expr:
        """That the function has the value of a code (not of the one for anything else)."""
        term = x.apply(self.function, *(names[a] for a in self.args))
        if code < len(self.values):
            return x.equal(term, x.const(self.values[code]))
        return x.equal(term, names[self.elements[code - len(self.values)]])

    def among(self, codes: frozenset[int], names: Sequence[Local]) -> Expr:
        """That it has one of some codes."""
        if self.other in codes:
            return x.conj(*(x.neg(self.atom(c, names)) for c in range(self.other) if c not in codes))
        return x.disj(*(self.atom(c, names) for c in sorted(codes)))


Cube: TypeAlias = tuple[tuple[Column, frozenset[int]], ...]
"""For some columns of one view, a set of codes."""


@dataclass(frozen=True)
class Candidate:
    """A clause: no different elements of the view's sorts are in the cube."""

    view: View
    cube: Cube

    def names(self) -> tuple[Local, ...]:
        """New locals for the elements."""
        return tuple(x.local(sort, sort) for sort in self.view)

    def formula(self, names: Sequence[Local]) -> Expr:
        """The clause for given elements, as a formula without quantifiers."""
        same = [x.equal(names[i], names[j]) for i, j in _pairs(self.view)]
        return x.disj(*same, *(x.neg(column.among(codes, names)) for column, codes in self.cube))


def _pairs(view: View) -> list[tuple[int, int]]:
    return [(i, j) for i in range(len(view)) for j in range(i + 1, len(view)) if view[i] == view[j]]


def columns(template: Template, view: View) -> tuple[Column, ...]:
    """The columns of a view."""
    found = []
    for name, function in template.functions.items():
        options = [[i for i, s in enumerate(view) if s == param] for param in function.params]
        for args in product(*options):
            elements = tuple(i for i, s in enumerate(view) if s in function.domain.sorts)
            if len(set(args)) == len(args):
                column = Column(name, args, listed(function.domain), elements)
                if column.other > 0:
                    found.append(column)
    return tuple(found)


class Samples:
    """Rows of the views of the reachable states of some instances of a template."""

    def __init__(self, template: Template) -> None:
        self.template = template
        self.instances: list[tuple[GroundSystem, dict[tuple[str, tuple[Elem, ...]], npt.NDArray[np.int32]]]] = []
        self.views: dict[View, tuple[tuple[Column, ...], Codes]] = {}

    def add(self, system: GroundSystem, states: Sequence[tuple[Value, ...]]) -> None:
        """Take the states of an instance."""
        cells: dict[tuple[str, tuple[Elem, ...]], npt.NDArray[np.int32]] = {}
        for name, origin in self.template.origins.items():
            function = self.template.functions[name]
            values = listed(function.domain)
            for args in product(*([Elem(s, i) for i in range(system.system.sort(s).size)] for s in function.params)):
                rest = iter(args)
                full = tuple(next(rest) if e is None else e for e in origin.args)
                number = system.index.get((origin.function, full))
                if number is None:
                    column = np.full(len(states), self._code(system.fixed[origin.function, full], values), np.int32)
                else:
                    known = {(type(v), v): self._code(v, values) for v in system.cells[number].domain}
                    column = np.fromiter((known[type(s[number]), s[number]] for s in states), np.int32, len(states))
                cells[name, args] = column
        self.instances.append((system, cells))
        self.views.clear()

    def _code(self, value: Value, values: tuple[Value, ...]) -> int:
        """A listed value by its number; an element of a lifted sort as a negative number; -1 for something else."""
        if isinstance(value, Elem) and value.sort in self.template.sorts:
            return -2 - (self.template.sorts.index(value.sort) + len(self.template.sorts) * value.number)
        for number, v in enumerate(values):
            if type(v) is type(value) and v == value:
                return number
        return -1

    def view(self, view: View) -> tuple[tuple[Column, ...], Codes]:
        """The columns of a view, and all its different rows."""
        found = self.views.get(view)
        if found is None:
            head = columns(self.template, view)
            parts = [self._rows(system, cells, view, head) for system, cells in self.instances]
            found = self.views[view] = (
                head,
                _unique(np.concatenate([p for p in parts if len(p)] or [np.zeros((0, len(head)), np.uint8)])),
            )
        return found

    def _rows(self, system: GroundSystem, cells: Any, view: View, head: tuple[Column, ...]) -> Codes:
        found = []
        counts = {s: view.count(s) for s in view}
        options = [list(permutations([Elem(s, i) for i in range(system.system.sort(s).size)], n)) for s, n in counts.items()]
        for choice in product(*options):
            pools = {s: iter(part) for s, part in zip(counts, choice, strict=True)}
            elements = [next(pools[s]) for s in view]
            rows = np.empty((len(next(iter(cells.values()))), len(head)), np.uint8)
            for number, column in enumerate(head):
                source = cells[column.function, tuple(elements[a] for a in column.args)]
                codes = np.where(source >= 0, source, column.other)
                for position, at in enumerate(column.elements):
                    codes = np.where(source == self._code(elements[at], ()), len(column.values) + position, codes)
                rows[:, number] = codes
            found.append(_unique(rows))
        return _unique(np.concatenate(found)) if found else np.zeros((0, len(head)), np.uint8)

    def seen(self, view: View) -> bool:
        """Whether the instances have so many elements."""
        return len(self.view(view)[1]) > 0

    def _spare(self, view: View, sort: str) -> bool:
        """Whether an instance has the elements of a view, and one process more of a sort: what two do when there is no third
        tells little of any number."""
        for grounded, _ in self.instances:
            system = grounded.system
            more = system.sort(sort).kind == "processes"
            if all(system.sort(n).size >= view.count(n) for n in view) and system.sort(sort).size >= view.count(sort) + more:
                return True
        return False

    def room(self, view: View, column: Column) -> bool:
        """Whether an instance has elements outside of a view that the function might be."""
        sorts = self.template.functions[column.function].domain.sorts
        return not sorts or any(g.system.sort(s).size > view.count(s) for g, _ in self.instances for s in sorts)

    def all_views(self, most: int) -> list[View]:
        """The views with so many elements at most, small ones first."""
        found: list[View] = []
        for size in range(1, most + 1):
            for view in combinations_with_replacement(self.template.sorts, size):
                if all(self._spare(view, sort) for sort in view):
                    found.append(view)
        return found


def _unique(rows: Codes) -> Codes:
    if not len(rows):
        return rows
    packed = np.ascontiguousarray(rows).view(np.dtype((np.void, rows.shape[1])))
    return rows[np.unique(packed, return_index=True)[1]]


def instance(system: System, sizes: dict[str, int]) -> GroundSystem:
    """The system with other sizes for some sorts."""
    sorts = tuple(replace(s, size=sizes.get(s.name, s.size)) for s in system.sorts)
    return ground(replace(system, sorts=sorts))


def shortest(rows: Codes, row: Codes, most: int) -> list[int] | None:
    """The fewest columns, up to ``most``, in which no row agrees with ``row``; of these the ones that the most rows share."""
    agree = rows == row
    counts = agree.sum(axis=0)
    if (counts == 0).any():
        return [int(counts.argmin())]
    useful = np.flatnonzero(counts < len(rows))
    part = agree[:, useful]
    for size in range(2, most + 1):
        found = _exactly(part, size)
        if found is not None:
            return [int(useful[c]) for c in found]
    return None


def _exactly(agree: npt.NDArray[np.bool_], size: int) -> list[int] | None:
    if not agree.shape[1]:
        return None
    if not len(agree):
        return []
    if size == 2:
        numbers = agree.astype(np.float32)
        both = numbers.T @ numbers
        counts = numbers.sum(axis=0)
        value = np.where(both == 0, counts[:, None] + counts[None, :] + 1, 0)
        best = int(value.argmax())
        return list(divmod(best, agree.shape[1])) if value.flat[best] else None
    for column in np.argsort(-agree.sum(axis=0), kind="stable"):
        rest = agree[agree[:, column]]
        found = _exactly(rest, size - 1)
        if found is not None:
            return [int(column), *found]
    return None


def around(rows: Codes, row: Codes, head: Sequence[Column]) -> list[Cube]:
    """For each column with a code that no row has: one or two other columns, and all codes that no row has together with theirs.

    That a value is never reached may be true and hard to show, when it would not matter if it were.
    """
    agree = rows == row
    counts = agree.sum(axis=0)
    found = []
    for column in map(int, np.flatnonzero(counts == 0)):
        every = set(range(head[column].other + 1))
        others = [int(n) for n in np.flatnonzero(counts > 0) if counts[n] < len(rows)]
        best: tuple[int, int] | None = None
        cube: Cube = ()
        for chosen in (*((n,) for n in others), *combinations(others, 2), ()):
            inside = {int(c) for c in np.unique(rows[agree[:, list(chosen)].all(axis=1), column])}
            if best is not None and not chosen:
                break
            score = (len(inside), len(chosen))
            if inside and (best is None or score < best):
                best = score
                cube = (
                    (head[column], frozenset(every - inside)),
                    *((head[n], frozenset([int(row[n])])) for n in chosen),
                )
        if cube:
            found.append(cube)
    return found


def widen(rows: Codes, row: Codes, head: Sequence[Column], chosen: Iterable[int]) -> Cube:
    """Allow each column all codes that are seen at all, and with which no row comes in."""
    cube: dict[int, npt.NDArray[np.bool_]] = {}
    for number in chosen:
        mask = np.zeros(head[number].other + 1, np.bool_)
        mask[row[number]] = True
        cube[number] = mask
    for number in sorted(cube, key=lambda n: (-len(cube[n]), n)):
        inside = np.ones(len(rows), np.bool_)
        for other, mask in cube.items():
            if other != number:
                inside &= mask[rows[:, other]]
        wide = np.zeros(len(cube[number]), np.bool_)
        wide[np.unique(rows[:, number])] = True
        wide[np.unique(rows[inside, number])] = False
        cube[number] = wide | cube[number]
    return tuple((head[n], frozenset(int(c) for c in np.flatnonzero(mask))) for n, mask in sorted(cube.items()) if not mask.all())


__all__ = ["Candidate", "Column", "Cube", "Samples", "View", "around", "columns", "instance", "shortest", "widen"]
