"""From ground expressions to propositional logic, for any Boolean algebra.

A formula becomes an element of the algebra.  A term becomes a *case map*: for each value that it may take, the condition under
which it does; the conditions exclude each other and one of them holds.  Arithmetic and order are worked out by cases, so
that nothing but propositional logic is left.  There are three algebras: Z3's formulas (:mod:`~txweave.engines.z3.encode`), truth
in one state (:class:`Concrete`) and truth in many states at once (:class:`Columns`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Generic, Protocol, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from txweave.system import expr as x
from txweave.system.expr import Elem, Expr, Value
from txweave.system.ground import GroundCell
from txweave.trace import State

F = TypeVar("F")

Tag: TypeAlias = tuple[type, Value]
"""A value with its type, so that ``True`` and ``1`` differ."""


def tag(value: Value) -> Tag:
    """The value with its type."""
    return (type(value), value)


TRUE_TAG, FALSE_TAG = tag(True), tag(False)


class Algebra(Protocol[F]):
    """A Boolean algebra with an atom for each value (by its number in the domain) of each cell."""

    true: F
    false: F

    def negation(self, operand: F) -> F:
        """Not."""

    def conjunction(self, operands: Sequence[F]) -> F:
        """And."""

    def disjunction(self, operands: Sequence[F]) -> F:
        """Or."""

    def atom(self, cell: int, code: int) -> F:
        """Cell number ``cell`` has value number ``code`` of its domain."""


class Translation(Generic[F]):
    """Translates the expressions of one ground system into one algebra; remembers what it has translated."""

    def __init__(self, algebra: Algebra[F], cells: Sequence[GroundCell]) -> None:
        self.algebra, self.cells = algebra, cells
        self._formulas: dict[Expr, F] = {}
        self._cases: dict[Expr, Mapping[Tag, F]] = {}

    def formula(self, node: Expr) -> F:
        """When the node, a formula, is true."""
        found = self._formulas.get(node)
        if found is None:
            found = self._formulas[node] = self._formula(node)
        return found

    def cases(self, node: Expr) -> Mapping[Tag, F]:
        """When the node, a term, has which value."""
        found = self._cases.get(node)
        if found is None:
            found = self._cases[node] = self._term(node)
        return found

    def _formula(self, node: Expr) -> F:
        a = self.algebra
        match node:
            case x.Const(value):
                return a.true if value is True else a.false
            case x.Not(operand):
                return a.negation(self.formula(operand))
            case x.And(operands):
                return a.conjunction([self.formula(o) for o in operands])
            case x.Or(operands):
                return a.disjunction([self.formula(o) for o in operands])
            case x.Equal(left, right):
                first, second = self.cases(left), self.cases(right)
                return a.disjunction([a.conjunction([f, second[v]]) for v, f in first.items() if v in second])
            case x.Less(left, right):
                first, second = self.cases(left), self.cases(right)
                return a.disjunction(
                    [a.conjunction([f, g]) for v, f in first.items() for w, g in second.items() if _less(v[1], w[1])]
                )
            case x.Ite(condition, then, otherwise):
                return self._choice(self.formula(condition), self.formula(then), self.formula(otherwise))
            case _:
                return self.cases(node).get(TRUE_TAG, a.false)

    def _term(self, node: Expr) -> Mapping[Tag, F]:
        a = self.algebra
        match node:
            case x.Const(value):
                return {tag(value): a.true}
            case x.Cell(index):
                return {tag(v): a.atom(index, code) for code, v in enumerate(self.cells[index].domain)}
            case x.Ite(condition, then, otherwise):
                chosen = self.formula(condition)
                first, second = self.cases(then), self.cases(otherwise)
                return {
                    v: self._choice(chosen, first.get(v, a.false), second.get(v, a.false)) for v in dict.fromkeys([*first, *second])
                }
            case x.Arith(operator, left, right):
                parts: dict[Tag, list[F]] = {}
                for v, f in self.cases(left).items():
                    for w, g in self.cases(right).items():
                        parts.setdefault(tag(_arith(operator, v[1], w[1])), []).append(a.conjunction([f, g]))
                return {v: a.disjunction(fs) for v, fs in parts.items()}
            case _ if node.boolean:
                truth = self.formula(node)
                return {FALSE_TAG: a.negation(truth), TRUE_TAG: truth}
            case _:
                raise TypeError(f"{type(node).__name__} does not belong in a ground system")

    def _choice(self, condition: F, then: F, otherwise: F) -> F:
        a = self.algebra
        if then is otherwise:
            return then
        return a.disjunction([a.conjunction([condition, then]), a.conjunction([a.negation(condition), otherwise])])


def _less(left: Value, right: Value) -> bool:
    """The order of two values of one type; what has no order (NULL above all) is left open by the language: no."""
    if isinstance(left, Elem) and isinstance(right, Elem):
        return left.sort == right.sort and left.number < right.number
    if isinstance(left, str) and isinstance(right, str):
        return left < right
    if type(left) is int and type(right) is int:
        return left < right
    return False


def _arith(operator: str, left: Value, right: Value) -> Value:
    """Arithmetic; NULL in, NULL out.  A case that is no integer cannot arise and counts as NULL."""
    if type(left) is not int or type(right) is not int:
        return None
    if operator == "+":
        return left + right
    return left - right if operator == "-" else left * right


class Concrete:
    """Truth in one state."""

    true, false = True, False

    def __init__(self, codes: Sequence[int]) -> None:
        self.codes = codes

    def negation(self, operand: bool) -> bool:
        """Not."""
        return not operand

    def conjunction(self, operands: Sequence[bool]) -> bool:
        """And."""
        return all(operands)

    def disjunction(self, operands: Sequence[bool]) -> bool:
        """Or."""
        return any(operands)

    def atom(self, cell: int, code: int) -> bool:
        """A cell's value."""
        return self.codes[cell] == code


Column: TypeAlias = npt.NDArray[np.bool_]


class Columns:
    """Truth in each of many states: the rows of a matrix of codes."""

    def __init__(self, matrix: npt.NDArray[Any]) -> None:
        self.matrix = matrix
        self.true: Column = np.ones(len(matrix), np.bool_)
        self.false: Column = np.zeros(len(matrix), np.bool_)

    def negation(self, operand: Column) -> Column:
        """Not."""
        return ~operand

    def conjunction(self, operands: Sequence[Column]) -> Column:
        """And."""
        result = self.true.copy()
        for operand in operands:
            result &= operand
        return result

    def disjunction(self, operands: Sequence[Column]) -> Column:
        """Or."""
        result = self.false.copy()
        for operand in operands:
            result |= operand
        return result

    def atom(self, cell: int, code: int) -> Column:
        """A cell's value."""
        column: Column = self.matrix[:, cell] == code
        return column


class Codes:
    """Values of cells as numbers in their domains, and back."""

    def __init__(self, cells: Sequence[GroundCell]) -> None:
        self.cells = cells
        self._numbers = [{tag(v): code for code, v in enumerate(cell.domain)} for cell in cells]

    def encode(self, state: State) -> list[int]:
        """The number of each value."""
        return [numbers[tag(v)] for numbers, v in zip(self._numbers, state, strict=True)]

    def decode(self, codes: Sequence[int]) -> State:
        """The value of each number."""
        return tuple(cell.domain[code] for cell, code in zip(self.cells, codes, strict=True))

    def reading(self, state: State) -> Translation[bool]:
        """Truth of expressions in a state."""
        return Translation(Concrete(self.encode(state)), self.cells)

    def value(self, node: Expr, state: State) -> Value:
        """The value of a term in a state."""
        return next(v for (_, v), here in self.reading(state).cases(node).items() if here)
