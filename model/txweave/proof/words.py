"""Clauses in the words of the specification: ``when request#1 is at publish, backfill#1 is not there``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from txweave.proof.text import write
from txweave.system import expr as x
from txweave.system.expr import Elem, Expr, Value
from txweave.system.reference import same, values
from txweave.system.sorted import System

_Cell: TypeAlias = tuple[str, tuple[Elem, ...]]
_PREMISES = ("pc", "writer", "blocker", "at", "wants")
"""What one clause is usually about; the rest is what is claimed then."""


class Words:
    """The words of one system."""

    def __init__(self, system: System) -> None:
        self.system = system
        self.functions = {function.name: function for function in system.functions}

    def clause(self, clause: Expr) -> str:
        """A sentence for a clause; what is no disjunction of values of cells is given as it is written."""
        found: dict[_Cell, list[Value]] = {}
        for literal in clause.operands if isinstance(clause, x.Or) else (clause,):
            read = self._literal(literal)
            if read is None:
                return write(clause)
            cell, allowed = read
            known = found.setdefault(cell, [])
            known.extend(v for v in allowed if not any(same(v, w) for w in known))
        cells = sorted(found, key=lambda cell: self._rank(cell[0]))
        if len(cells) == 1:
            return self._phrase(cells[0], found[cells[0]])
        count = max(1, min(len(cells) - 1, sum(self._rank(function) < len(_PREMISES) for function, _ in cells)))
        premise = [self._phrase(cell, self._others(cell, found[cell])) for cell in cells[:count]]
        claim = [self._phrase(cell, found[cell]) for cell in cells[count:]]
        return f"when {' and '.join(premise)}, then {' or '.join(claim)}"

    def _literal(self, node: Expr) -> tuple[_Cell, list[Value]] | None:
        """A cell and the values that a literal allows it."""
        if isinstance(node, x.And):
            parts = [self._literal(part) for part in node.operands]
            if any(part is None or part[0] != (parts[0] or part)[0] for part in parts):
                return None
            sets = [part[1] for part in parts if part is not None]
            first = parts[0]
            assert first is not None
            return first[0], [v for v in sets[0] if all(any(same(v, w) for w in other) for other in sets[1:])]
        if isinstance(node, x.Not):
            inner = self._literal(node.operand)
            return None if inner is None else (inner[0], self._others(*inner))
        if not isinstance(node, x.Equal) or not isinstance(node.left, x.Apply) or not isinstance(node.right, x.Const):
            return None
        args = [arg.value for arg in node.left.args if isinstance(arg, x.Const) and isinstance(arg.value, Elem)]
        if len(args) < len(node.left.args):
            return None
        return (node.left.function, tuple(args)), [node.right.value]

    def _others(self, cell: _Cell, allowed: Sequence[Value]) -> list[Value]:
        return [v for v in values(self.system, self.functions[cell[0]].domain) if not any(same(v, w) for w in allowed)]

    def _rank(self, function: str) -> int:
        about = self.functions[function].about[:1]
        return _PREMISES.index(about[0]) if about and about[0] in _PREMISES else len(_PREMISES)

    def _phrase(self, cell: _Cell, allowed: Sequence[Value]) -> str:
        function, args = cell
        others = self._others(cell, allowed)
        denied = len(others) < len(allowed)
        shown = " or ".join(map(_text, others if denied else allowed)) or "nothing"
        told = [str(arg) for arg in args]
        negation = "not " if denied else ""
        only = allowed[0] if len(allowed) == 1 else None
        match self.functions[function].about:
            case ("pc", _):
                places = " or ".join(map(str, others if denied else allowed))
                return f"{told[0]} is {negation}at {places}"
            case ("live", _):
                return f"{told[0]} is {'' if only is True else 'not '}there"
            case ("plive", _):
                return f"the uncommitted version of {told[0]} is {'no' if only is True else 'a'} deletion"
            case ("committed", _, column):
                return f"{told[0]}.{column} is {negation}{shown}"
            case ("pending", _, column):
                return f"the uncommitted {column} of {told[0]} is {negation}{shown}"
            case ("writer", _) if [*others] == [None] or [*allowed] == [None]:
                return f"{'somebody' if denied else 'nobody'} has an uncommitted version of {told[0]}"
            case ("writer", _):
                return f"the uncommitted version of {told[0]} is {negation}of {shown.replace('NULL', 'nobody')}"
            case ("variable", _, name):
                return f"{told[0]}'s :{name} is {negation}{shown}"
            case ("rows", _, name) if len(told) > 1:
                return f"{', '.join(told[1:])} is {'' if only is True else 'not '}among {told[0]}'s {name}"
            case ("blocker", _):
                return f"{told[0]} {'does not wait' if denied else 'waits'} for {shown.replace('NULL', 'nobody')}"
            case ("at", _, _):
                return f"{told[0]} {'does not want' if denied else 'wants'} {shown.replace('NULL', 'no row')}"
        return f"{function}({', '.join(told)}) is {negation}{shown}"


def _text(value: Value) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return str(value).upper()
    return repr(value) if isinstance(value, str) else str(value)
