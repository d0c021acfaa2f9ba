"""Ground expressions as Promela text: every value is a small number with a name.

Integers are themselves, false and true are 0 and 1, texts and elements are numbered in their order (elements of one sort next to
each other), and NULL is a number that no integer of the system can be.  Values of different types share numbers: they are never
compared.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from txweave.export.kinds import BOOL, INT, NULL, Kinds, in_order
from txweave.export.names import Names
from txweave.export.plan import ExportError
from txweave.system import expr as x
from txweave.system.expr import Elem, Expr, Value
from txweave.system.ground import GroundCell

LARGEST = 2**31 - 1
"""Promela's ``int`` has 32 bits."""


class Codes:
    """The number and the name of every value."""

    def __init__(self, cells: tuple[GroundCell, ...], roots: Iterable[Expr], names: Names, values: Iterable[Value] = ()) -> None:
        order = in_order(roots)
        constants = [node.value for node in order if isinstance(node, x.Const)]
        found = dict.fromkeys((type(v).__name__, v) for v in (*(v for c in cells for v in c.domain), *constants, *values))
        seen = [value for _, value in found]
        texts = sorted(v for v in seen if isinstance(v, str))
        elements = sorted(v for v in seen if isinstance(v, Elem))
        low, high = _range(cells, order)
        self.null = max(high + 1, len(texts), len(elements), 2)
        if low < -LARGEST or self.null > LARGEST:
            raise ExportError("the integers of this system do not fit in 32 bits")
        self.number: dict[Value, int] = dict(zip(texts, range(len(texts)), strict=True))
        self.number.update(zip(elements, range(len(elements)), strict=True))
        self.name: dict[Value, str] = {v: names.give(str(v)) for v in elements}
        self.name.update({v: names.give(v, "s_") for v in texts})

    def code(self, value: Value) -> int:
        """The number that stands for a value."""
        match value:
            case None:
                return self.null
            case bool() | int():
                return int(value)
            case _:
                return self.number[value]

    def text(self, value: Value) -> str:
        """What is written for a value."""
        match value:
            case None:
                return "NULL"
            case bool():
                return "true" if value else "false"
            case int():
                return str(value) if value >= 0 else f"({value})"
            case _:
                return self.name[value]

    def definitions(self) -> list[str]:
        """The names as preprocessor definitions."""
        lines = [f"#define NULL {self.null}"]
        for value, name in sorted(self.name.items(), key=lambda item: (isinstance(item[0], str), self.number[item[0]])):
            lines.append(f"#define {name} {self.number[value]}")
        return lines

    def declare(self, cell: GroundCell, variable: str) -> str:
        """The declaration of a cell's variable, as narrow as its values allow."""
        codes = [self.code(value) for value in cell.domain]
        low, high = min(codes), max(codes)
        initial = self.text(cell.initial)
        if low < 0:
            if low < -(2**15) or high >= 2**15:
                return f"int {variable} = {initial};"
            return f"short {variable} = {initial};"
        bits = max(1, high.bit_length())
        if bits > 16:
            return f"int {variable} = {initial};"
        return f"bit {variable} = {initial};" if bits == 1 else f"unsigned {variable} : {bits} = {initial};"


def _range(cells: tuple[GroundCell, ...], order: list[Expr]) -> tuple[int, int]:
    """Bounds of every integer that is ever computed."""
    span: dict[Expr, tuple[int, int] | None] = {}
    low = high = 0
    for cell in cells:
        for value in cell.domain:
            if type(value) is int:
                low, high = min(low, value), max(high, value)
    for node in order:
        found = _span(node, cells, span)
        span[node] = found
        if found is not None:
            low, high = min(low, found[0]), max(high, found[1])
    return low, high


def _span(node: Expr, cells: tuple[GroundCell, ...], span: dict[Expr, tuple[int, int] | None]) -> tuple[int, int] | None:
    match node:
        case x.Const(value):
            return (value, value) if type(value) is int else None
        case x.Cell(index):
            numbers = [v for v in cells[index].domain if type(v) is int]
            return (min(numbers), max(numbers)) if numbers else None
        case x.Ite(_, then, otherwise):
            ends = [s for s in (span[then], span[otherwise]) if s is not None]
            return (min(s[0] for s in ends), max(s[1] for s in ends)) if ends else None
        case x.Arith(operator, left, right):
            a, b = span[left], span[right]
            if a is None or b is None:
                return None
            if operator == "+":
                return a[0] + b[0], a[1] + b[1]
            if operator == "-":
                return a[0] - b[1], a[1] - b[0]
            ends_ = [p * q for p in a for q in b]
            return min(ends_), max(ends_)
        case _:
            return None


class Terms:
    """Writes expressions."""

    def __init__(self, kinds: Kinds, codes: Codes, variables: list[str]) -> None:
        self.kinds, self.codes, self.variables = kinds, codes, variables

    def write(self, node: Expr, known: Mapping[Expr, str] | None = None) -> str:
        """An expression in brackets, unless it is a name or a number; subexpressions in ``known`` have names."""
        if known and node in known:
            return known[node]

        def inner(part: Expr) -> str:
            return self.write(part, known)

        match node:
            case x.Const(value):
                return self.codes.text(value)
            case x.Cell(index):
                return self.variables[index]
            case x.Not(x.Equal(left, right)) if not self._truth(left, right):
                return f"({inner(left)} != {inner(right)})" if self.kinds.meet(left, right) else "true"
            case x.Not(operand):
                return f"(!{inner(operand)})"  # two in a row would be another operator
            case x.And(operands):
                return "(" + " && ".join(map(inner, operands)) + ")"
            case x.Or(operands):
                return "(" + " || ".join(map(inner, operands)) + ")"
            case x.Equal(left, right):
                if not self.kinds.meet(left, right):
                    return "false"
                return inner(left) if self._truth(left, right) else f"({inner(left)} == {inner(right)})"
            case x.Less(left, right):
                # Where an operand is NULL any value will do.
                return f"({inner(left)} < {inner(right)})" if self.kinds.meet(left, right) else "false"
            case x.Arith(operator, left, right):
                text = f"({inner(left)} {operator} {inner(right)})"
                null = [f"{inner(part)} == NULL" for part in (left, right) if self.kinds.nullable(part)]
                if NULL in (self.kinds.of(left) & self.kinds.of(right)) and INT not in self.kinds.of(left) | self.kinds.of(right):
                    return "NULL"
                return f"({' || '.join(null)} -> NULL : {text})" if null else text
            case x.Ite(condition, then, otherwise):
                return f"({inner(condition)} -> {inner(then)} : {inner(otherwise)})"
            case _:
                raise ExportError(f"{type(node).__name__} does not belong in a ground system")

    def _truth(self, left: Expr, right: Expr) -> bool:
        """Whether ``left = right`` is just a Boolean variable."""
        return right is x.TRUE and self.kinds.of(left) == {BOOL}
