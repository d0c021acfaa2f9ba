"""Straight-line programs over columns: each numpy call computes one thing for many states at once.

Register 0 is the block of states, one row of 64-bit words for each; every other register is a constant or a column with one entry
for each row.  Equal operations are done once.  Columns are as narrow as their values allow: what is evaluated costs little more
than its bytes.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from txweave.engines.explicit.program import Program
from txweave.engines.frontier.rows import UNITS, Column, Kind, Rows, kind_of, nowhere

Register: TypeAlias = int

ROWS: Register = 0

RUNS = 4
"""Values that lie in more intervals than this are looked up in a table."""


class Op(NamedTuple):
    """``registers[target] = function(registers[left], registers[right])``."""

    function: Callable[[Any, Any], Any]
    target: Register
    left: Register
    right: Register


def _column(rows: Rows, place: tuple[Kind, int]) -> Column:
    kind, index = place
    return np.ascontiguousarray(rows.view(kind)[:, index])


def _cast(column: Column, kind: Kind) -> Column:
    return column.astype(kind)


def _look_up(table: Column, column: Column) -> Column:
    return table.take(column)


class Circuit:
    """A program under construction; ``known`` are cells whose code is the same in all rows."""

    def __init__(self, program: Program, known: Mapping[int, int] | None = None) -> None:
        self.layout = program.layout
        self.known = known or {}
        self.ops: list[Op] = []
        self.initial: list[Any] = [None]
        """The registers before the first operation: constants, and None."""
        self.fixed: dict[Register, int] = {}
        """The value of each register that holds a single number."""
        self._constants: dict[tuple[str, int], Register] = {}
        self._same: dict[tuple[Any, ...], Register] = {}
        self.true, self.false = self._boolean(True), self._boolean(False)

    # -------------------------------------------------------------------------------------------------- registers, ops

    def _boolean(self, value: bool) -> Register:
        register = self.keep(np.bool_(value))
        self.fixed[register] = int(value)
        return register

    def keep(self, value: Any) -> Register:
        """A register for anything that operations use."""
        self.initial.append(value)
        return len(self.initial) - 1

    def constant(self, kind: Kind, value: int) -> Register:
        """A number of a kind, modulo its size."""
        value &= nowhere(kind)
        register = self._constants.get((kind.str, value))
        if register is None:
            register = self._constants[kind.str, value] = self.keep(kind.type(value))
            self.fixed[register] = value
        return register

    def op(self, function: Callable[[Any, Any], Any], left: Register, right: Register) -> Register:
        """The register of an operation's result."""
        name = (function, left, right)
        found = self._same.get(name)
        if found is None:
            found = self._same[name] = self.keep(None)
            self.ops.append(Op(function, found, left, right))
        return found

    def needed(self, wanted: Iterable[Register], but: Iterable[Op] = ()) -> list[Op]:
        """The operations that registers need, in order, without those given."""
        open_ = set(wanted)
        left_out = {op.target for op in but}
        found: list[Op] = []
        for op in reversed(self.ops):
            if op.target in open_ and op.target not in left_out:
                found.append(op)
                open_.update((op.left, op.right))
        return found[::-1]

    # --------------------------------------------------------------------------------------------------------- booleans

    def not_(self, a: Register) -> Register:
        """Negation."""
        if a in self.fixed:
            return self.false if self.fixed[a] else self.true
        return self.op(np.not_equal, a, self.true)

    def and_(self, a: Register, b: Register) -> Register:
        """Conjunction."""
        for one, other in ((a, b), (b, a)):
            if one in self.fixed:
                return other if self.fixed[one] else self.false
        return a if a == b else self.op(np.bitwise_and, min(a, b), max(a, b))

    def or_(self, a: Register, b: Register) -> Register:
        """Disjunction."""
        for one, other in ((a, b), (b, a)):
            if one in self.fixed:
                return self.true if self.fixed[one] else other
        return a if a == b else self.op(np.bitwise_or, min(a, b), max(a, b))

    def choice(self, condition: Register, then: Register, otherwise: Register) -> Register:
        """One of two booleans."""
        if condition in self.fixed:
            return then if self.fixed[condition] else otherwise
        if then == otherwise:
            return then
        if then in self.fixed:
            return self.or_(condition, otherwise) if self.fixed[then] else self.and_(self.not_(condition), otherwise)
        if otherwise in self.fixed:
            return self.or_(self.not_(condition), then) if self.fixed[otherwise] else self.and_(condition, then)
        changed = self.and_(self.op(np.bitwise_xor, min(then, otherwise), max(then, otherwise)), condition)
        return self.op(np.bitwise_xor, otherwise, changed)

    def boolean(self, value: bool) -> Register:
        """A constant."""
        return self.true if value else self.false

    # ---------------------------------------------------------------------------------------------------------- numbers

    def select(self, condition: Register, then: Register, otherwise: Register, kind: Kind) -> Register:
        """One of two numbers of a kind: bit by bit, which is many times faster than ``numpy.where``."""
        if condition in self.fixed:
            return then if self.fixed[condition] else otherwise
        if then == otherwise:
            return then
        ones = self.constant(kind, -1)
        if otherwise in self.fixed:
            mask = self.op(np.multiply, condition, ones)
            rest = self.fixed[otherwise]
            if then in self.fixed:
                chosen = self._masked(mask, self.fixed[then] ^ rest, kind)
            else:
                changed = self.op(np.bitwise_xor, then, otherwise) if rest else then
                chosen = self.op(np.bitwise_and, changed, mask)
            return self.op(np.bitwise_xor, chosen, otherwise) if rest else chosen
        if then in self.fixed:
            return self.select(self.not_(condition), otherwise, then, kind)
        mask = self.op(np.multiply, condition, ones)
        changed = self.op(np.bitwise_and, self.op(np.bitwise_xor, min(then, otherwise), max(then, otherwise)), mask)
        return self.op(np.bitwise_xor, otherwise, changed)

    def _masked(self, mask: Register, bits: int, kind: Kind) -> Register:
        return mask if bits == nowhere(kind) else self.op(np.bitwise_and, mask, self.constant(kind, bits))

    def cast(self, a: Register, old: Kind, new: Kind) -> Register:
        """A number in another kind, modulo its size."""
        if a in self.fixed:
            return self.constant(new, self.fixed[a])
        return a if old == new else self.op(_cast, a, self._keep_once(("kind", new.str), lambda: new))

    def _keep_once(self, name: tuple[Any, ...], value: Callable[[], Any]) -> Register:
        found = self._same.get(name)
        if found is None:
            found = self._same[name] = self.keep(value())
        return found

    def shifted(self, a: Register, bits: int, kind: Kind) -> Register:
        """A number times a power of two."""
        if a in self.fixed:
            return self.constant(kind, self.fixed[a] << bits)
        return self.op(np.left_shift, a, self.constant(kind, bits)) if bits else a

    def joined(self, a: Register, b: Register, kind: Kind) -> Register:
        """The bits of both numbers."""
        if a in self.fixed and b in self.fixed:
            return self.constant(kind, self.fixed[a] | self.fixed[b])
        for one, other in ((a, b), (b, a)):
            if one in self.fixed and not self.fixed[one]:
                return other
        return self.op(np.bitwise_or, min(a, b), max(a, b))

    def mapped(self, a: Register, table: list[int], old: Kind, new: Kind) -> Register:
        """``table[a]``; all that ``a`` can be are places in the table."""
        size = nowhere(new)
        table = [value & size for value in table]
        if a in self.fixed:
            return self.constant(new, table[self.fixed[a]])
        if all(value == table[0] for value in table):
            return self.constant(new, table[0])
        away = table[0]
        if all(value == (place + away) & size for place, value in enumerate(table)):
            wide = self.cast(a, old, new)
            return self.op(np.add, wide, self.constant(new, away)) if away else wide
        entries = self._keep_once(("table", new.str, *table), lambda: np.array(table, dtype=new))
        return self.op(_look_up, entries, a)

    def same(self, a: Register, b: Register) -> Register:
        """Whether two numbers are equal."""
        if a in self.fixed and b in self.fixed:
            return self.boolean(self.fixed[a] == self.fixed[b])
        return self.true if a == b else self.op(np.equal, min(a, b), max(a, b))

    def calculated(self, sign: str, a: Register, b: Register, kind: Kind) -> Register:
        """A sum, difference or product, modulo its size."""
        function, exact = {
            "+": (np.add, operator.add),
            "-": (np.subtract, operator.sub),
            "*": (np.multiply, operator.mul),
        }[sign]
        if a in self.fixed and b in self.fixed:
            return self.constant(kind, exact(self.fixed[a], self.fixed[b]))
        if sign in "+-" and b in self.fixed and not self.fixed[b]:
            return a
        return self.op(function, a, b)

    # ------------------------------------------------------------------------------------------------------------ fields

    def field(self, index: int) -> Register:
        """A cell's code."""
        field = self.layout.fields[index]
        kind = kind_of(field.codes)
        if index in self.known or not field.mask:
            return self.constant(kind, self.known.get(index, 0))
        unit = UNITS[field.unit]
        place, shift = divmod(field.shift, 8 * field.unit)
        code = self.op(_column, ROWS, self._keep_once(("column", unit.str, place), lambda: (unit, place)))
        if shift:
            code = self.op(np.right_shift, code, self.constant(unit, shift))
        if shift + field.mask.bit_length() < 8 * field.unit:
            code = self.op(np.bitwise_and, code, self.constant(unit, field.mask))
        return self.cast(code, unit, kind)

    def member(self, index: int, allowed: frozenset[int]) -> Register:
        """Whether a cell's code is one of these."""
        codes = self.layout.fields[index].codes
        kind, count = kind_of(codes), len(codes.boxes)
        code = self.field(index)
        if code in self.fixed:
            return self.true if self.fixed[code] in allowed else self.false
        inside, outside = _runs(allowed), _runs(frozenset(range(count)) - allowed)
        if min(len(inside), len(outside)) > RUNS:
            table = [value in allowed for value in range(count)]
            return self.op(_look_up, self._keep_once(("table", "bool", *table), lambda: np.array(table)), code)
        turned = len(outside) < len(inside)
        found = self.false
        for low, high in outside if turned else inside:
            found = self.or_(found, self._between(code, low, high, count, kind))
        return self.not_(found) if turned else found

    def _between(self, code: Register, low: int, high: int, count: int, kind: Kind) -> Register:
        if low == 0 and high == count - 1:
            return self.true
        if low == high:
            return self.op(np.equal, code, self.constant(kind, low))
        if low == 0:
            return self.op(np.less_equal, code, self.constant(kind, high))
        if high == count - 1:
            return self.op(np.greater_equal, code, self.constant(kind, low))
        moved = self.op(np.subtract, code, self.constant(kind, low))
        return self.op(np.less_equal, moved, self.constant(kind, high - low))


def _runs(codes: frozenset[int]) -> list[tuple[int, int]]:
    """Codes as intervals."""
    found: list[tuple[int, int]] = []
    for code in sorted(codes):
        if found and found[-1][1] == code - 1:
            found[-1] = (found[-1][0], code)
        else:
            found.append((code, code))
    return found
