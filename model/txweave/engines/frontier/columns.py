"""Ground expressions as operations on columns.

An expression is wanted in one of these *forms*: ``TRUTH`` (a column of booleans), ``NULL`` (whether the value is NULL), a
:class:`Ring` (an integer modulo a power of two, 0 for NULL), or a :class:`~txweave.engines.explicit.layout.Codes` (the position in
that domain; all bits set if the value is not in it).

Every operation is total, so that it does not matter that a column is computed for rows in which it is not needed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, NamedTuple

import numpy as np

from txweave.engines.explicit.layout import YES, Boxed, Codes, box
from txweave.engines.explicit.program import DISPATCH, Program
from txweave.engines.explicit.translate import Form as ScalarForm
from txweave.engines.explicit.translate import Piece as ScalarPiece
from txweave.engines.frontier.circuit import ROWS, Circuit, Register
from txweave.engines.frontier.rows import UNITS, Column, Kind, Rows, integers, kind_of, nowhere, ordered
from txweave.system import expr as x
from txweave.system.expr import Elem, Expr

SPAN = 1 << 16
"""Most distance between the integers that a term may be, if it is to be a column."""


class Form(Enum):
    """What an expression is computed as, where that is not a number."""

    TRUTH = "truth"
    NULL = "null"


class Ring(NamedTuple):
    """An integer modulo two to the number of bits of ``kind``."""

    kind: Kind


class Piece(NamedTuple):
    """An expression in a form."""

    node: Expr
    form: Form | Ring | Codes


@dataclass(frozen=True)
class _Recipe:
    """How a piece is made: ``make`` gets the registers of the pieces it ``needs``."""

    needs: tuple[Piece, ...]
    make: Callable[[list[Register]], Register]


def _one_by_one(rows: Rows, what: tuple[Callable[[int], int], np.dtype[Any]]) -> Column:
    """A column of which each entry is computed by itself, by the code for single states."""
    function, kind = what
    everywhere = nowhere(kind) if kind.kind == "u" else 1
    return np.fromiter((function(state) & everywhere for state in integers(rows)), dtype=kind, count=len(rows))


class Columns(Circuit):
    """A circuit of expressions."""

    def __init__(self, program: Program, known: Mapping[int, int] | None = None) -> None:
        super().__init__(program, known)
        self.program, self.facts = program, program.translator.facts
        self._done: dict[Piece, Register] = {}
        self._allowed: dict[Expr, tuple[int, frozenset[int]] | None] = {}
        self._unions: dict[frozenset[Boxed], Codes] = {}

    def truth(self, node: Expr) -> Register:
        """Whether a condition holds."""
        return self.piece(Piece(node, Form.TRUTH))

    def code(self, node: Expr, codes: Codes) -> Register:
        """A term's position in a domain."""
        return self.piece(Piece(node, codes))

    def piece(self, wanted: Piece) -> Register:
        """The register of an expression in a form.  Does not recurse: a cardinality is a chain as long as there are rows."""
        stack = [wanted]
        recipes: dict[Piece, _Recipe] = {}
        while stack:
            piece = stack[-1]
            if piece in self._done:
                stack.pop()
                continue
            recipe = recipes.get(piece)
            if recipe is None:
                recipe = recipes[piece] = self._recipe(piece)
            waiting = [need for need in recipe.needs if need not in self._done]
            if waiting:
                stack.extend(reversed(waiting))
            else:
                self._done[piece] = recipe.make([self._done[need] for need in recipe.needs])
                stack.pop()
        return self._done[wanted]

    def _recipe(self, piece: Piece) -> _Recipe:
        node, form = piece
        if form is Form.TRUTH:
            return self._truth(node)
        if form is Form.NULL:
            return self._null(node)
        if isinstance(form, Ring):
            return self._ring(node, form)
        assert isinstance(form, Codes)
        return self._code(node, form)

    def _single(self, node: Expr, kind: np.dtype[Any], form: ScalarForm | Codes) -> _Recipe:
        """Where a term may have so many values that there are no codes for them: state by state."""
        function = self.program.scalar(ScalarPiece(node, form))

        def make(_: list[Register]) -> Register:
            place = self.keep((function, kind))
            return self.op(_one_by_one, ROWS, place)

        return _Recipe((), make)

    def _truth(self, node: Expr) -> _Recipe:
        if node not in self._allowed:
            self._allowed[node] = self.facts.allowed(node, DISPATCH)
        known = self._allowed[node]
        if known is not None:
            return _Recipe((), lambda _: self.member(*known))
        match node:
            case x.Const(value):
                return _Recipe((), lambda _: self.boolean(value is True))
            case x.Cell(index):
                code = self.layout.fields[index].codes.of.get(YES)
                return _Recipe((), lambda _: self.member(index, frozenset(() if code is None else (code,))))
            case x.Not(operand):
                return _Recipe((Piece(operand, Form.TRUTH),), lambda r: self.not_(r[0]))
            case x.And(operands):
                return _Recipe(tuple(Piece(o, Form.TRUTH) for o in operands), lambda r: self._fold(self.and_, r))
            case x.Or(operands):
                return _Recipe(tuple(Piece(o, Form.TRUTH) for o in operands), lambda r: self._fold(self.or_, r))
            case x.Equal(left, right):
                return self._equal(node, left, right)
            case x.Less(left, right):
                return self._less(node, left, right)
            case x.Ite(condition, then, otherwise):
                needs = tuple(Piece(part, Form.TRUTH) for part in (condition, then, otherwise))
                return _Recipe(needs, lambda r: self.choice(*r))
            case x.Arith():
                return _Recipe((), lambda _: self.false)
            case _:
                raise TypeError(f"{type(node).__name__} does not belong in a ground system: {node!r}")

    @staticmethod
    def _fold(join: Callable[[Register, Register], Register], registers: list[Register]) -> Register:
        result = registers[0]
        for register in registers[1:]:
            result = join(result, register)
        return result

    def _equal(self, node: Expr, left: Expr, right: Expr) -> _Recipe:
        a, b = self.facts.possible[left], self.facts.possible[right]
        if a is None or b is None:
            return self._single(node, np.dtype(bool), ScalarForm.TRUTH)
        if not a & b:
            return _Recipe((), lambda _: self.false)
        # In codes of a domain that has all values of one side: what the other side has besides equals none.
        codes = next(
            (codes for codes in self.program.translator.domains((left, right)) if a <= codes.possible or b <= codes.possible),
            None,
        )
        codes = codes or self._union(a | b)
        return _Recipe((Piece(left, codes), Piece(right, codes)), lambda r: self.same(r[0], r[1]))

    def _union(self, values: frozenset[Boxed]) -> Codes:
        found = self._unions.get(values)
        if found is None:
            found = self._unions[values] = Codes(ordered(values))
        return found

    def _less(self, node: Expr, left: Expr, right: Expr) -> _Recipe:
        a, b = self.facts.possible[left], self.facts.possible[right]
        if a is None or b is None:
            return self._single(node, np.dtype(bool), ScalarForm.TRUTH)
        values = (a | b) - {None}
        kinds = {type(value) for value in values}
        if not kinds:
            return _Recipe((), lambda _: self.false)
        if len(kinds) > 1 or not kinds <= {int, str, Elem}:
            return self._single(node, np.dtype(bool), ScalarForm.TRUTH)
        ranks = self._union(values)
        kind = kind_of(ranks)

        # A NULL has no rank; its code is the greatest, which is less than none, but on the right greater than all.
        def make(r: list[Register]) -> Register:
            if r[0] in self.fixed and r[1] in self.fixed:
                return self.boolean(self.fixed[r[0]] < self.fixed[r[1]] < nowhere(kind))
            found = self.op(np.less, r[0], r[1])
            if None not in b:
                return found
            return self.and_(found, self.not_(self.same(r[1], self.constant(kind, -1))))

        return _Recipe((Piece(left, ranks), Piece(right, ranks)), make)

    def _code(self, node: Expr, codes: Codes) -> _Recipe:
        kind = kind_of(codes)

        def of(value: Boxed) -> int:
            return codes.of.get(value, -1)

        if isinstance(node, x.Const):
            code = of(box(node.value))
            return _Recipe((), lambda _: self.constant(kind, code))
        if isinstance(node, x.Cell):
            own, index = self.layout.fields[node.index].codes, node.index
            if own is codes:
                return _Recipe((), lambda _: self.field(index))
            return _Recipe((), lambda _: self.mapped(self.field(index), [of(v) for v in own.boxes], kind_of(own), kind))
        if node.boolean:
            yes, no = self.constant(kind, of(YES)), self.constant(kind, of(box(False)))
            return _Recipe((Piece(node, Form.TRUTH),), lambda r: self.select(r[0], yes, no, kind))
        support = self.facts.support[node]
        if support is not None and len(support) == 1:
            (cell,) = support
            own = self.layout.fields[cell].codes
            if len(own.boxes) <= DISPATCH:
                table = [of(value) for value in self.facts.table(node, (cell,))]
                return _Recipe((), lambda _: self.mapped(self.field(cell), table, kind_of(own), kind))
        if isinstance(node, x.Ite):
            needs = (Piece(node.condition, Form.TRUTH), Piece(node.then, codes), Piece(node.otherwise, codes))
            return _Recipe(needs, lambda r: self.select(r[0], r[1], r[2], kind))
        assert isinstance(node, x.Arith), f"{type(node).__name__} does not belong in a ground system: {node!r}"
        return self._arith(node, codes, kind)

    def _arith(self, node: x.Arith, codes: Codes, kind: Kind) -> _Recipe:
        values = self.facts.possible[node]
        numbers = [value for value in values or () if value is not None]
        if values is None or any(type(value) is not int for value in numbers):
            return self._single(node, kind, codes)
        null = self.constant(kind, codes.of.get(None, -1))
        if not numbers:
            return _Recipe((), lambda _: null)
        low, high = min(numbers), max(numbers)
        if high - low >= SPAN:
            return self._single(node, kind, codes)
        ring = UNITS[1] if high - low < 1 << 8 else UNITS[2]
        table = [codes.of.get(value, -1) for value in range(low, high + 1)]

        # Sums and products modulo the ring's size are exact where the result's range is no larger than that; NULLs are put in last.
        def make(r: list[Register]) -> Register:
            start = self.constant(ring, low)
            away = self.op(np.subtract, r[0], start) if r[0] not in self.fixed else self.constant(ring, self.fixed[r[0]] - low)
            padded = table + [-1] * (nowhere(ring) + 1 - len(table)) if None in values else table
            return self.select(r[1], null, self.mapped(away, padded, ring, kind), kind)

        return _Recipe((Piece(node, Ring(ring)), Piece(node, Form.NULL)), make)

    def _ring(self, node: Expr, form: Ring) -> _Recipe:
        kind = form.kind

        def of(value: Boxed) -> int:
            return value if type(value) is int else 0

        match node:
            case x.Const(value):
                return _Recipe((), lambda _: self.constant(kind, of(value)))
            case x.Cell(index):
                own = self.layout.fields[index].codes
                return _Recipe((), lambda _: self.mapped(self.field(index), [of(v) for v in own.boxes], kind_of(own), kind))
            case x.Ite(condition, then, otherwise):
                needs = (Piece(condition, Form.TRUTH), Piece(then, form), Piece(otherwise, form))
                return _Recipe(needs, lambda r: self.select(r[0], r[1], r[2], kind))
            case x.Arith(sign, left, right):
                return _Recipe((Piece(left, form), Piece(right, form)), lambda r: self.calculated(sign, r[0], r[1], kind))
            case _:
                return _Recipe((), lambda _: self.constant(kind, 0))

    def _null(self, node: Expr) -> _Recipe:
        values = self.facts.possible[node]
        if values is not None and None not in values:
            return _Recipe((), lambda _: self.false)
        match node:
            case x.Const(value):
                return _Recipe((), lambda _: self.boolean(value is None))
            case x.Cell(index):
                return _Recipe((), lambda _: self.member(index, frozenset([self.layout.fields[index].codes.of[None]])))
            case x.Ite(condition, then, otherwise):
                needs = (Piece(condition, Form.TRUTH), Piece(then, Form.NULL), Piece(otherwise, Form.NULL))
                return _Recipe(needs, lambda r: self.choice(*r))
            case x.Arith(_, left, right):
                return _Recipe((Piece(left, Form.NULL), Piece(right, Form.NULL)), lambda r: self.or_(r[0], r[1]))
            case _:
                return _Recipe((), lambda _: self.false)
