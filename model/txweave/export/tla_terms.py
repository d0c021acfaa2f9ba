"""Ground expressions as TLA+ text."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence

from txweave.export.kinds import BOOL, ELEM, TEXT, Kinds, in_order
from txweave.export.names import Names, printable
from txweave.export.plan import ExportError
from txweave.system import expr as x
from txweave.system.expr import Elem, Expr, Value
from txweave.system.ground import GroundCell, possible

SHARED = 4
"""Subexpressions that occur twice and have at least so many operators get a name of their own in a LET."""

HELPERS = {
    "Before": "Before(a, b) == a # NULL /\\ b # NULL /\\ a < b",
    "Plus": "Plus(a, b) == IF a = NULL \\/ b = NULL THEN NULL ELSE a + b",
    "Minus": "Minus(a, b) == IF a = NULL \\/ b = NULL THEN NULL ELSE a - b",
    "Times": "Times(a, b) == IF a = NULL \\/ b = NULL THEN NULL ELSE a * b",
}
"""Operators on values that may be NULL, by name."""

ARITH = {"+": "Plus", "-": "Minus", "*": "Times"}


class Terms:
    """Writes expressions; remembers which elements, texts and helpers occur."""

    def __init__(self, cells: tuple[GroundCell, ...], variables: Sequence[str], names: Names) -> None:
        self.cells, self.variables, self.names = cells, variables, names
        self.kinds = Kinds(cells)
        self.elements: dict[Elem, str] = {}
        self.texts: dict[str, str] = {}
        self.helpers: set[str] = set()
        self.ranked: dict[Value, None] = {}
        """Texts and elements, the order of which is asked for."""

    # ---------------------------------------------------------------------------------------------------------- values

    def value(self, value: Value) -> str:
        """A constant."""
        match value:
            case None:
                return "NULL"
            case bool():
                return "TRUE" if value else "FALSE"
            case int():
                return str(value) if value >= 0 else f"(-{-value})"
            case str():
                return self._text(value)
            case Elem():
                if value not in self.elements:
                    # A model value called "P_1" would be typed (one letter, an underscore): TLC compares only those of one type.
                    self.elements[value] = self.names.give(
                        str(value), "sort_" if re.match("[A-Za-z][^A-Za-z0-9]", str(value)) else ""
                    )
                return self.elements[value]

    def _text(self, value: str) -> str:
        if value not in self.texts:
            literal = f'"{printable(value)}"'
            if literal in self.texts.values():
                raise ExportError(f"two texts cannot be told apart in printable ASCII: {value!r}")
            self.texts[value] = literal
        return self.texts[value]

    # ----------------------------------------------------------------------------------------------------- expressions

    def write(self, node: Expr, known: Mapping[Expr, str] | None = None) -> str:
        """An expression; subexpressions in ``known`` have names."""
        return _Writer(self, known or {}).text(node)

    def shared(self, roots: Sequence[Expr], known: Mapping[Expr, str] | None = None) -> tuple[list[str], dict[Expr, str]]:
        """Names for what occurs more than once in ``roots``: the lines of a LET, and which expression each name stands for."""
        order = in_order(roots)
        uses = Counter(child for node in order for child in x.children(node))
        uses.update(roots)
        size: dict[Expr, int] = {}
        names: dict[Expr, str] = dict(known or {})
        lines: list[str] = []
        for node in order:
            size[node] = 1 + sum(size[child] for child in x.children(node))
            if node in names:
                size[node] = 1
            elif uses[node] > 1 and size[node] >= SHARED:
                text = self.write(node, names)
                names[node] = f"d{len(lines) + 1}"
                lines.append(f"{names[node]} == {text}")
                size[node] = 1
        return lines, names


class _Writer:
    def __init__(self, terms: Terms, known: Mapping[Expr, str]) -> None:
        self.terms, self.known, self.kinds = terms, known, terms.kinds

    def text(self, node: Expr) -> str:
        """An expression in brackets, unless it is a name, a constant or a call."""
        if node in self.known:
            return self.known[node]
        match node:
            case x.Const(value):
                return self.terms.value(value)
            case x.Cell(index):
                return self.terms.variables[index]
            case x.Not(x.Equal(left, right)) if not self._truth(left, right):
                return self._equal(left, right, "#")
            case x.Not(operand):
                return f"~{self.text(operand)}"
            case x.And(operands):
                return "(" + " /\\ ".join(map(self.text, operands)) + ")"
            case x.Or(operands):
                return "(" + " \\/ ".join(map(self.text, operands)) + ")"
            case x.Equal(left, right):
                return self._equal(left, right, "=")
            case x.Less(left, right):
                return self._less(left, right)
            case x.Arith(operator, left, right):
                return self._arith(operator, left, right)
            case x.Ite(condition, then, otherwise):
                return f"(IF {self.text(condition)} THEN {self.text(then)} ELSE {self.text(otherwise)})"
            case _:
                raise ExportError(f"{type(node).__name__} does not belong in a ground system")

    def _truth(self, left: Expr, right: Expr) -> bool:
        """Whether ``left = right`` is just a Boolean variable."""
        return right is x.TRUE and self.kinds.of(left) == {BOOL}

    def _equal(self, left: Expr, right: Expr, operator: str) -> str:
        if not self.kinds.meet(left, right):
            return "FALSE" if operator == "=" else "TRUE"
        if operator == "=" and self._truth(left, right):
            return self.text(left)
        return f"({self.text(left)} {operator} {self.text(right)})"

    def _less(self, left: Expr, right: Expr) -> str:
        if not self.kinds.meet(left, right):
            return "FALSE"  # NULL is among the operands: any value will do
        a, b = self.text(left), self.text(right)
        either = self.kinds.of(left) | self.kinds.of(right)
        if either & {TEXT, ELEM}:
            self.terms.helpers.add("Rank")
            for node in (left, right):
                self.terms.ranked.update(dict.fromkeys(self._constants(node)))
            return f"(Rank({a}) < Rank({b}))"
        if self.kinds.nullable(left) or self.kinds.nullable(right):
            self.terms.helpers.add("Before")
            return f"Before({a}, {b})"
        return f"({a} < {b})"

    def _constants(self, node: Expr) -> list[Value]:
        return [v for v in possible(node, self.terms.cells) if v is not None]

    def _arith(self, operator: str, left: Expr, right: Expr) -> str:
        a, b = self.text(left), self.text(right)
        if self.kinds.nullable(left) or self.kinds.nullable(right):
            self.terms.helpers.add(ARITH[operator])
            return f"{ARITH[operator]}({a}, {b})"
        return f"({a} {operator} {b})"
