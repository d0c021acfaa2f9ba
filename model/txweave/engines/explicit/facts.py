"""What is known of ground expressions before code is made: which cells they read, which values they may have, their value at codes.

Nothing here recurses: a cardinality over many rows is a chain as long as there are rows.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import product

from txweave.engines.explicit.layout import NO, YES, Boxed, Layout, box
from txweave.system import expr as x
from txweave.system.expr import Expr

SUPPORT = 2
"""Expressions of more cells than this are not tabulated, and their support is not kept."""

VALUES = 4096
"""Sets of possible values larger than this are not kept."""


def in_order(roots: Iterable[Expr], known: dict[Expr, object] | None = None) -> list[Expr]:
    """Every subexpression once, operands before what they occur in; those in ``known`` are left out."""
    done: dict[Expr, None] = {}
    known = {} if known is None else known
    stack = list(roots)[::-1]
    while stack:
        node = stack[-1]
        if node in done or node in known:
            stack.pop()
            continue
        waiting = [c for c in x.children(node) if c not in done and c not in known]
        if waiting:
            stack.extend(reversed(waiting))
        else:
            done[node] = None
            stack.pop()
    return list(done)


def compute(node: Expr, value: dict[Expr, Boxed]) -> Boxed:
    """The (boxed) value of a node whose operands have values.  ``<`` with a NULL is false."""
    match node:
        case x.Const(v):
            return box(v)
        case x.Not(operand):
            return NO if value[operand] is YES else YES
        case x.And(operands):
            return YES if all(value[o] is YES for o in operands) else NO
        case x.Or(operands):
            return YES if any(value[o] is YES for o in operands) else NO
        case x.Equal(left, right):
            return YES if value[left] == value[right] else NO
        case x.Less(left, right):
            return YES if less(value[left], value[right]) else NO
        case x.Arith(operator, left, right):
            return arith(operator, value[left], value[right])
        case x.Ite(condition, then, otherwise):
            return value[then] if value[condition] is YES else value[otherwise]
        case _:
            raise TypeError(f"{type(node).__name__} does not belong in a ground system: {node!r}")


def less(left: Boxed, right: Boxed) -> bool:
    """``<`` of boxed values; false where an operand is NULL."""
    return left is not None and right is not None and type(left) is type(right) and bool(left < right)


def arith(operator: str, left: Boxed, right: Boxed) -> Boxed:
    """``+``, ``-`` or ``*`` of boxed values; NULL where an operand is."""
    if left is None or right is None:
        return None
    return left + right if operator == "+" else left - right if operator == "-" else left * right


class Facts:
    """Remembers, for the expressions of one system, the cells they read and the values they may have."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.support: dict[Expr, frozenset[int] | None] = {}
        self.possible: dict[Expr, frozenset[Boxed] | None] = {}
        self._truths = frozenset([NO, YES])

    def learn(self, roots: Iterable[Expr]) -> None:
        """Get to know expressions and everything in them."""
        known: dict[Expr, object] = self.support  # type: ignore[assignment]
        for node in in_order(roots, known):
            self.support[node] = self._support(node)
            self.possible[node] = self._possible(node)

    def _support(self, node: Expr) -> frozenset[int] | None:
        if isinstance(node, x.Cell):
            return frozenset([node.index]) if self.layout.fields[node.index].mask else frozenset()
        found: frozenset[int] = frozenset()
        for child in x.children(node):
            part = self.support[child]
            if part is None:
                return None
            if not part <= found:
                found |= part
        return found if len(found) <= SUPPORT else None

    def _possible(self, node: Expr) -> frozenset[Boxed] | None:
        match node:
            case x.Const(value):
                return frozenset([box(value)])
            case x.Cell(index):
                return self.layout.fields[index].codes.possible
            case x.Ite(_, then, otherwise):
                a, b = self.possible[then], self.possible[otherwise]
                if a is None or b is None:
                    return None
                return b if a <= b else a if b <= a else self._kept(a | b)
            case x.Arith(operator, left, right):
                a, b = self.possible[left], self.possible[right]
                if a is None or b is None or len(a) * len(b) > 16 * VALUES:
                    return None
                return self._kept(frozenset(arith(operator, p, q) for p in a for q in b))
            case _:
                return self._truths

    @staticmethod
    def _kept(values: frozenset[Boxed]) -> frozenset[Boxed] | None:
        return values if len(values) <= VALUES else None

    def table(self, node: Expr, cells: tuple[int, ...]) -> list[Boxed]:
        """The values of a node for all values of the cells that it reads, the last cell's changing fastest."""
        order = in_order([node])
        found: list[Boxed] = []
        for boxes in product(*(self.layout.fields[c].codes.boxes for c in cells)):
            env = dict(zip(cells, boxes, strict=True))
            value: dict[Expr, Boxed] = {}
            for item in order:
                if isinstance(item, x.Cell):
                    inside = item.index in env
                    value[item] = env[item.index] if inside else self.layout.fields[item.index].codes.boxes[0]
                else:
                    value[item] = compute(item, value)
            found.append(value[node])
        return found

    def allowed(self, node: Expr, limit: int) -> tuple[int, frozenset[int]] | None:
        """For a condition on one cell of at most ``limit`` values: the cell and the codes that satisfy the condition."""
        support = self.support[node]
        if support is None or len(support) != 1:
            return None
        (cell,) = support
        if len(self.layout.fields[cell].codes.boxes) > limit:
            return None
        return cell, frozenset(code for code, value in enumerate(self.table(node, (cell,))) if value is YES)
