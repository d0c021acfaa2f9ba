"""Ground expressions as Python expressions over a packed state ``s``.

An expression is wanted in one of these *forms*: ``TRUTH`` (anything Python calls true or false), ``BOXED`` (the boxed value),
``FIELD`` (a cell's code), or a :class:`Codes` (the value's position in that domain, -1 if it is not in it).  A pair of
expression and form is a :class:`Piece`; its text is made from the texts of the pieces it needs, so that what is needed twice can
be computed once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Any, NamedTuple, TypeAlias

from txweave.engines.explicit.facts import Facts, arith, less
from txweave.engines.explicit.layout import NO, YES, Boxed, Codes, Layout, box
from txweave.system import expr as x
from txweave.system.expr import Expr, Value

TABLE = 4096
"""Most entries of a lookup table."""


class Form(Enum):
    """What an expression is computed as, where that is not a code."""

    TRUTH = "truth"
    BOXED = "boxed"
    FIELD = "field"


class Piece(NamedTuple):
    """An expression in a form."""

    node: Expr
    form: Form | Codes


Texts: TypeAlias = "list[str]"


@dataclass(frozen=True)
class Recipe:
    """How a piece is made: ``text`` gets the texts of the pieces it ``needs``.  ``trivial``: never worth a variable."""

    needs: tuple[Piece, ...]
    text: Callable[[Texts], str]
    trivial: bool = False


def _fixed(text: str) -> Recipe:
    return Recipe((), lambda _: text, trivial=True)


class Translator:
    """Makes recipes; ``names`` are the constants that the texts refer to."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.facts = Facts(layout)
        self.names: dict[str, Any] = {"YES": YES, "NO": NO, "less": less, "arith": arith}
        self._tables: dict[tuple[Boxed, ...], str] = {}
        self._recipes: dict[Piece, Recipe] = {}
        self._truth = layout.codes((False, True))

    def learn(self, roots: Iterable[Expr]) -> None:
        """Must be told of every expression before a recipe is asked for."""
        self.facts.learn(roots)

    def canonical(self, piece: Piece) -> Piece:
        """The piece itself, or one with the same text that goes by a simpler name."""
        node, form = piece
        if isinstance(node, x.Cell) and self.layout.fields[node.index].codes is form:
            return self.field(node.index)
        return piece

    def recipe(self, piece: Piece) -> Recipe:
        """How a piece is made."""
        found = self._recipes.get(piece)
        if found is None:
            node, form = piece
            if form is Form.TRUTH:
                found = self._condition(node)
            elif form is Form.BOXED:
                found = self._boxed(node)
            elif form is Form.FIELD:
                found = self._field(node)
            else:
                assert isinstance(form, Codes)
                found = self._code(node, form)
            self._recipes[piece] = found
        return found

    # ------------------------------------------------------------------------------------------------- fields, tables

    def field(self, index: int) -> Piece:
        """A cell's code."""
        return Piece(x.cell(index), Form.FIELD)

    def _field(self, node: Expr) -> Recipe:
        assert isinstance(node, x.Cell)
        field = self.layout.fields[node.index]
        if not field.mask:
            return _fixed("0")
        last = field.shift + field.mask.bit_length() == self.layout.width
        shifted = f"s >> {field.shift}" if field.shift else "s"
        text = f"({shifted})" if last else f"({shifted} & {field.mask})"
        return Recipe((), lambda _: text)

    def constant(self, value: Any) -> str:
        """A name for a constant."""
        name = f"C{len(self.names)}"
        self.names[name] = value
        return name

    def table(self, entries: list[Boxed]) -> str:
        """A name for a table."""
        key = (type(entries[0]), *entries)  # 0 and False are equal, and may be so: what is looked up is of one kind
        name = self._tables.get(key)
        if name is None:
            name = self._tables[key] = self.constant(tuple(entries))
        return name

    def _looked_up(self, node: Expr, limit: int, entry: Callable[[Boxed], Any]) -> Recipe | None:
        """A table for a node that reads at most ``limit`` cells, if it is small enough."""
        support = self.facts.support[node]
        if support is None or len(support) > limit:
            return None
        cells = tuple(sorted(support))
        size = 1
        for cell in cells:
            size *= len(self.layout.fields[cell].codes.boxes)
        if size > TABLE:
            return None
        entries = [entry(value) for value in self.facts.table(node, cells)]
        if all(e == entries[0] for e in entries):
            return _fixed(f"({entries[0]!r})" if isinstance(entries[0], int) else self.constant(entries[0]))
        name = self.table(entries)
        needs = tuple(map(self.field, cells))
        if len(cells) == 1:
            return Recipe(needs, lambda t: f"{name}[{t[0]}]")
        width = len(self.layout.fields[cells[1]].codes.boxes)
        return Recipe(needs, lambda t: f"{name}[{t[0]} * {width} + {t[1]}]")

    # ------------------------------------------------------------------------------------------------------ conditions

    def _condition(self, node: Expr) -> Recipe:
        match node:
            case x.Const(value):
                return _fixed("True" if value is True else "False")
            case x.Equal(x.Cell(index), x.Const(value)):
                return self._is(index, value, "==")
            case x.Not(x.Equal(x.Cell(index), x.Const(value))):
                return self._is(index, value, "!=")
            case x.Cell(index):
                return self._is(index, True, "==")
        found = self._looked_up(node, 2 if isinstance(node, x.Less) else 1, lambda value: value is YES)
        if found is not None:
            return found
        match node:
            case x.Not(operand):
                return Recipe((Piece(operand, Form.TRUTH),), lambda t: f"(not {t[0]})")
            case x.And(operands):
                return Recipe(tuple(Piece(o, Form.TRUTH) for o in operands), lambda t: f"({' and '.join(t)})")
            case x.Or(operands):
                return Recipe(tuple(Piece(o, Form.TRUTH) for o in operands), lambda t: f"({' or '.join(t)})")
            case x.Equal(left, right):
                return self._equal(left, right)
            case x.Less(left, right):
                return self._less(left, right)
            case x.Ite(condition, then, otherwise):
                return self._ite(condition, then, otherwise, Form.TRUTH)
            case x.Arith():
                return _fixed("False")
            case _:
                raise TypeError(f"{type(node).__name__} does not belong in a ground system: {node!r}")

    def _is(self, index: int, value: Value, operator: str) -> Recipe:
        field = self.layout.fields[index]
        code = field.codes.of.get(box(value))
        if code is None or not field.mask:
            return _fixed(str((code is not None) == (operator == "==")))
        return Recipe((self.field(index),), lambda t: f"({t[0]} {operator} {code})")

    def _equal(self, left: Expr, right: Expr) -> Recipe:
        a, b = self.facts.possible[left], self.facts.possible[right]
        if a is not None and b is not None and not a & b:
            return _fixed("False")
        # In codes of a domain that has all values of one side: what the other side has besides is -1, and equals none.
        form: Form | Codes = Form.BOXED
        for codes in self.domains((left, right)):
            if any(values is not None and values <= codes.possible for values in (a, b)):
                form = codes
                break
        return Recipe((Piece(left, form), Piece(right, form)), lambda t: f"({t[0]} == {t[1]})")

    def domains(self, nodes: tuple[Expr, ...]) -> list[Codes]:
        """The domains of the cells and formulas that nodes may take their values from."""
        found: dict[Codes, None] = {}
        seen: set[Expr] = set()
        stack = list(reversed(nodes))
        while stack:
            node = stack.pop()
            if node in seen:
                continue
            seen.add(node)
            if isinstance(node, x.Ite):
                stack += (node.otherwise, node.then)
            elif isinstance(node, x.Cell):
                found[self.layout.fields[node.index].codes] = None
            elif node.boolean:
                found[self._truth] = None
        return list(found)

    def _less(self, left: Expr, right: Expr) -> Recipe:
        needs = (Piece(left, Form.BOXED), Piece(right, Form.BOXED))
        a, b = self.facts.possible[left], self.facts.possible[right]
        kinds = {type(v) for v in a | b} if a is not None and b is not None else {None}
        if len(kinds) == 1 and kinds <= {int, str, x.Elem}:
            return Recipe(needs, lambda t: f"({t[0]} < {t[1]})")
        return Recipe(needs, lambda t: f"less({t[0]}, {t[1]})")

    # ----------------------------------------------------------------------------------------------------------- terms

    def _ite(self, condition: Expr, then: Expr, otherwise: Expr, form: Form | Codes) -> Recipe:
        needs = (Piece(condition, Form.TRUTH), Piece(then, form), Piece(otherwise, form))
        return Recipe(needs, lambda t: f"({t[1]} if {t[0]} else {t[2]})")

    def _code(self, node: Expr, codes: Codes) -> Recipe:
        if isinstance(node, x.Const):
            return _fixed(str(codes.of.get(box(node.value), -1)))
        if isinstance(node, x.Cell) and self.layout.fields[node.index].codes is codes:
            return self.recipe(self.field(node.index))
        limit = 2 if isinstance(node, x.Arith) else 1
        found = self._looked_up(node, limit, lambda value: codes.of.get(value, -1))
        if found is not None:
            return found
        if node.boolean:
            yes, no = codes.of.get(YES, -1), codes.of.get(NO, -1)
            return Recipe((Piece(node, Form.TRUTH),), lambda t: f"({yes} if {t[0]} else {no})")
        if isinstance(node, x.Ite):
            return self._ite(node.condition, node.then, node.otherwise, codes)
        needs = (Piece(node, Form.BOXED),)
        values, low = self.facts.possible[node], codes.low
        if low is not None and values is not None and values <= codes.possible:
            return Recipe(needs, lambda t: f"({t[0]} - {low})")
        get = self.constant(codes.of.get)
        return Recipe(needs, lambda t: f"{get}({t[0]}, -1)")

    def _boxed(self, node: Expr) -> Recipe:
        match node:
            case x.Const(value):
                return _fixed(f"({value!r})" if type(value) in (int, str) or value is None else self.constant(box(value)))
            case x.Cell(index):
                codes = self.layout.fields[index].codes
                if codes.low is not None:
                    low = codes.low
                    return Recipe((self.field(index),), lambda t: f"({t[0]} + {low})" if low else t[0])
                name = self.table(list(codes.boxes))
                return Recipe((self.field(index),), lambda t: f"{name}[{t[0]}]")
            case x.Ite(condition, then, otherwise):
                return self._ite(condition, then, otherwise, Form.BOXED)
            case x.Arith(operator, left, right):
                needs = (Piece(left, Form.BOXED), Piece(right, Form.BOXED))
                sides = (self.facts.possible[left], self.facts.possible[right])
                if all(values is not None and None not in values for values in sides):
                    return Recipe(needs, lambda t: f"({t[0]} {operator} {t[1]})")
                return Recipe(needs, lambda t: f"arith({operator!r}, {t[0]}, {t[1]})")
            case _:
                return Recipe((Piece(node, Form.TRUTH),), lambda t: f"(YES if {t[0]} else NO)")
