"""Symmetry: processes of one role that nothing tells apart.

**When processes are interchangeable.**  A term of the sorted system means the same after the elements of a sort have been renamed,
if it names none of them and asks for no order among them: quantifiers and counts range over all of them, and equality does not
care.  So a renaming maps every transition to a transition (of the same action), if no action has

- an element of the sort as a constant,
- ``<`` between elements of the sort, or the least or greatest of them,
- a choice of the first element that satisfies something (:class:`~txweave.system.expr.Pick`, :class:`~txweave.system.expr.Least`).

The renamings that also leave the initial values of all functions as they are, those of functions that never change among them (an
argument that differs from process to process is one), make a group of automorphisms: what can be reached is mapped to what can be
reached, in as many steps.  (A function at NULL, to which grounding gives an arbitrary value, is guarded by the lowering.)

**What is preserved** (Clarke, Enders, Filkorn, Jha, *Exploiting symmetry in temporal logic model checking*, 1996).  States that a
renaming maps to each other are bisimilar, up to the names of actions.  A condition that is unchanged by renaming, by the same
test, holds in all of them or in none.  So ``never``, deadlock and ``always_possible`` have the same verdicts and the same shortest
counterexamples.  Fairness is owed to single processes, and a ``leads_to`` follows a single row: a loop of classes may come back
with the processes renamed, and be no loop.  For these properties symmetry is not used.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import permutations, product
from math import factorial

from txweave.system import expr as x
from txweave.system.expr import Domain, Elem, Expr, Value
from txweave.system.sorted import Function, Property, System

MOST = 120
"""Most renamings that are tried for a state; of more elements that could be interchanged only the first are."""


@dataclass(frozen=True)
class Orbit:
    """Elements of a sort that can be interchanged, by their numbers."""

    sort: str
    elements: tuple[int, ...]


def orbits(system: System, properties: Iterable[Property]) -> tuple[Orbit, ...]:
    """The processes that nothing tells apart, neither the system nor the conditions of these properties."""
    roots = [node for action in system.actions for node in (action.guard, *(update.body for update in action.updates))]
    domains = [local.domain for action in system.actions for local in action.params]
    for _, condition in system.finished:
        roots.append(condition)
    for item in properties:
        for rows in (item.rows, item.goal):
            if rows is not None:
                roots += [witness.condition for witness in rows.witnesses]
                domains += [local.domain for witness in rows.witnesses for local in witness.locals]
    ordered = _ordered(system, roots, domains)
    found: list[Orbit] = []
    room = MOST
    for sort in system.sorts:
        if sort.kind != "processes" or sort.name in ordered:
            continue
        for elements in _alike(system, sort.name, sort.size):
            while factorial(len(elements)) > room:
                elements = elements[:-1]
            if len(elements) > 1:
                room //= factorial(len(elements))
                found.append(Orbit(sort.name, elements))
    return tuple(found)


def renamings(found: Iterable[Orbit]) -> Iterator[dict[Elem, Elem]]:
    """All ways to interchange the elements of orbits, but for the one that changes nothing."""
    orbits_ = list(found)
    for choice in product(*(permutations(orbit.elements) for orbit in orbits_)):
        renaming = {
            Elem(orbit.sort, old): Elem(orbit.sort, new)
            for orbit, chosen in zip(orbits_, choice, strict=True)
            for old, new in zip(orbit.elements, chosen, strict=True)
            if old != new
        }
        if renaming:
            yield renaming


def _ordered(system: System, roots: Iterable[Expr], domains: Iterable[Domain]) -> set[str]:
    """The sorts of which something names an element, asks for the order of two, or takes the first."""
    found: set[str] = set()
    for domain in (*domains, *(function.domain for function in system.functions)):
        found.update(value.sort for value in domain.values if isinstance(value, Elem))
    sorts = _Sorts(system)
    seen: set[Expr] = set()
    stack = list(roots)
    while stack:
        node = stack.pop()
        if node in seen:
            continue
        seen.add(node)
        stack.extend(x.children(node))
        match node:
            case x.Const(Elem(sort, _)):
                found.add(sort)
            case x.Local(_, domain):
                found.update(value.sort for value in domain.values if isinstance(value, Elem))
            case x.Pick(bound, _, _, _):
                found.update(sort for local in bound for sort in local.domain.sorts)
            case x.Least(local, _, _):
                found.update(local.domain.sorts)
            case x.Less(left, right):
                found |= sorts.of(left) | sorts.of(right)
            case x.Fold(_, _, _, term):
                found |= sorts.of(term)
    return found


class _Sorts:
    """The sorts whose elements terms may have as values."""

    def __init__(self, system: System) -> None:
        self.domains = {function.name: function.domain for function in system.functions}
        self.memo: dict[Expr, frozenset[str]] = {}

    def of(self, node: Expr) -> frozenset[str]:
        """The sorts of a term."""
        found = self.memo.get(node)
        if found is None:
            found = self.memo[node] = self._of(node)
        return found

    def _of(self, node: Expr) -> frozenset[str]:
        match node:
            case x.Const(Elem(sort, _)):
                return frozenset([sort])
            case x.Local(_, domain):
                return frozenset(domain.sorts)
            case x.Apply(function, _):
                return frozenset(self.domains[function].sorts) if function in self.domains else frozenset()
            case x.Ite(_, then, otherwise):
                return self.of(then) | self.of(otherwise)
            case x.Pick(_, _, term, default):
                return self.of(term) | self.of(default)
            case x.Fold(_, _, _, term):
                return self.of(term)
            case _:
                return frozenset()


def _alike(system: System, sort: str, size: int) -> list[tuple[int, ...]]:
    """The elements of a sort in classes: those of one class can be interchanged without changing an initial value."""
    classes: list[list[int]] = []
    for element in range(size):
        for members in classes:
            if all(_unchanged(function, sort, members[0], element) for function in system.functions):
                members.append(element)
                break
        else:
            classes.append([element])
    return [tuple(members) for members in classes if len(members) > 1]


def _unchanged(function: Function, sort: str, one: int, other: int) -> bool:
    """Whether a function's initial values stay the same when two elements are interchanged."""
    swap = {one: other, other: one}

    def value(item: Value) -> Value:
        return Elem(sort, swap.get(item.number, item.number)) if isinstance(item, Elem) and item.sort == sort else item

    given = dict(function.overrides)
    if value(function.initial) != function.initial:
        return False
    for args, initial in given.items():
        renamed = tuple(swap.get(n, n) if param == sort else n for n, param in zip(args, function.params, strict=True))
        other_value, wanted = given.get(renamed, function.initial), value(initial)
        if type(other_value) is not type(wanted) or other_value != wanted:
            return False
    return True
