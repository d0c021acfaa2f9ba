"""Which kinds of value ground expressions have: other checkers have types, and their values of different types do not meet."""

from __future__ import annotations

from collections.abc import Iterable

from txweave.export.plan import ExportError
from txweave.system import expr as x
from txweave.system.expr import Elem, Expr, Value
from txweave.system.ground import GroundCell

NULL, BOOL, INT, TEXT, ELEM = "NULL", "boolean", "integer", "text", "element"


def kind_of(value: Value) -> str:
    """The kind of a value."""
    match value:
        case None:
            return NULL
        case bool():
            return BOOL
        case int():
            return INT
        case str():
            return TEXT
        case Elem():
            return ELEM


def in_order(roots: Iterable[Expr]) -> list[Expr]:
    """Every subexpression once, operands before what they occur in."""
    done: dict[Expr, None] = {}
    stack = list(roots)[::-1]
    while stack:
        node = stack[-1]
        waiting = [c for c in x.children(node) if c not in done] if node not in done else []
        if waiting:
            stack.extend(reversed(waiting))
        else:
            done[node] = None
            stack.pop()
    return list(done)


class Kinds:
    """Remembers the kinds of the expressions over some cells."""

    def __init__(self, cells: tuple[GroundCell, ...]) -> None:
        self.cells = tuple(frozenset(map(kind_of, cell.domain)) for cell in cells)
        self.known: dict[Expr, frozenset[str]] = {}

    def of(self, node: Expr) -> frozenset[str]:
        """The kinds of value that an expression may have."""
        if node not in self.known:
            for item in in_order([node]):
                if item not in self.known:
                    self.known[item] = self._compute(item)
        return self.known[node]

    def _compute(self, node: Expr) -> frozenset[str]:
        match node:
            case x.Const(value):
                return frozenset([kind_of(value)])
            case x.Cell(index):
                return self.cells[index]
            case x.Ite(_, then, otherwise):
                return self.known[then] | self.known[otherwise]
            case x.Arith(_, left, right):
                null = (self.known[left] | self.known[right]) & {NULL}
                return null | {INT}
            case _:
                return frozenset([BOOL])

    def nullable(self, node: Expr) -> bool:
        """Whether it may be NULL."""
        return NULL in self.of(node)

    def meet(self, left: Expr, right: Expr) -> bool:
        """Whether two expressions may be equal at all.

        Raises:
            ExportError: their values are of several types besides NULL.
        """
        a, b = self.of(left), self.of(right)
        if not a & b:
            return False
        if len((a | b) - {NULL}) > 1:
            mixed = " and ".join(sorted((a | b) - {NULL}))
            raise ExportError(f"values of different types meet in {left!r} = {right!r} ({mixed})")
        return True
