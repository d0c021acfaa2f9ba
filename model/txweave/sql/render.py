"""Bound SQL back to text: for the resulting specification and for the story of a counterexample.

What is rendered binds to an equal tree again.  Names of FROM items are the users' own: an id such as ``b#2`` is written ``b``,
which inside its own scope can mean nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from txweave.sql.intervals import spell
from txweave.sql.tree import (
    Aggregate,
    And,
    Arithmetic,
    Case,
    Clock,
    Coalesce,
    ColumnRef,
    Compare,
    Constant,
    Delete,
    DerivedSource,
    Exists,
    Expr,
    From,
    InList,
    InQuery,
    Insert,
    IsNull,
    IsTruth,
    Join,
    Not,
    Number,
    OnConflict,
    Or,
    Output,
    Query,
    RowLock,
    ScalarQuery,
    Select,
    Statement,
    TableSource,
    Type,
    Update,
    Variable,
)
from txweave.sql.words import RESERVED

_CAST = {"integer": "INTEGER", "text": "TEXT", "boolean": "BOOLEAN", "timestamp": "TIMESTAMP", "interval": "INTERVAL"}
_WORDS = {"is distinct": "IS DISTINCT FROM", "is not distinct": "IS NOT DISTINCT FROM"}
_ATOMS = (Constant, ColumnRef, Variable, Clock, Coalesce, Case, Exists, ScalarQuery, Aggregate)
_UNNAMED = (Constant, Compare, And, Or, Not, IsNull, IsTruth, Arithmetic, InList, InQuery)


def sql_of(node: Statement | Query | Expr, bindings: Mapping[str, str] | None = None) -> str:
    """The SQL text of a bound statement, query or expression.

    Args:
        node: what to render.
        bindings: SQL literals to write in place of variables, by the variables' names; others stay ``:name``.
    """
    renderer = _Renderer(bindings or {})
    text = _text_of(node, renderer)
    return f"WITH {', '.join(renderer.named)} {text}" if renderer.named else text


def _text_of(node: Statement | Query | Expr, renderer: _Renderer) -> str:
    if isinstance(node, Select):
        return renderer.query(node.query)
    if isinstance(node, Insert):
        return renderer.insert(node)
    if isinstance(node, Update):
        return renderer.update(node)
    if isinstance(node, Delete):
        return renderer.delete(node)
    if isinstance(node, Query):
        return renderer.query(node)
    return renderer.expression(node)


def literal(value: int | str | bool | None, kind: Type) -> str:
    """A value of a type as an SQL literal."""
    return _Renderer({}).constant(Constant(value, kind))


def name_of(name: str) -> str:
    """A name, in double quotes where SQL needs them."""
    if re.fullmatch(r"[a-z_][a-z0-9_]*", name) and name.upper() not in RESERVED:
        return name
    return '"' + name.replace('"', '""') + '"'


def _base(source: str) -> str:
    return name_of(source.partition("#")[0])


class _Renderer:
    """Renders with given values of variables."""

    def __init__(self, bindings: Mapping[str, str]) -> None:
        self._bindings = bindings
        self.named: list[str] = []
        """The WITH queries met so far, each after those that it reads."""

    # -------------------------------------------------------------------------------------------------- expressions

    def constant(self, node: Constant) -> str:
        value = node.value
        if value is None:
            known = _CAST.get(node.type.kind)
            return f"CAST(NULL AS {known})" if known else "NULL"
        if isinstance(value, bool):
            return "TRUE" if value else "FALSE"
        if isinstance(value, int):
            return f"INTERVAL '{spell(value)}'" if node.type.kind == "interval" else str(value)
        return "'" + value.replace("'", "''") + "'"

    def atom(self, node: Expr) -> str:
        """An operand: in parentheses unless it is a single thing."""
        if isinstance(node, Number):
            return self.atom(node.operand)
        text = self.expression(node)
        negative = isinstance(node, Constant) and text.startswith("-")
        return text if isinstance(node, _ATOMS) and not negative else f"({text})"

    def expression(self, node: Expr) -> str:
        match node:
            case Constant():
                return self.constant(node)
            case ColumnRef(source=source, column=column):
                return f"{_base(source)}.{name_of(column)}"
            case Variable(name=name):
                return self._bindings.get(name, f":{name}")
            case Clock(kind=kind):
                return kind if kind == "clock" else f"{kind}()"
            case Not(operand=operand):
                return self._not(operand)
            case And(operands=operands):
                return " AND ".join(self._junct(part) for part in operands)
            case Or(operands=operands):
                return " OR ".join(self._junct(part) for part in operands)
            case Compare(operator=operator, left=left, right=right):
                return f"{self.atom(left)} {_WORDS.get(operator, operator)} {self.atom(right)}"
            case IsNull(operand=operand):
                return f"{self.atom(operand)} IS NULL"
            case IsTruth(operand=operand, value=value):
                return f"{self.atom(operand)} IS {'TRUE' if value else 'FALSE'}"
            case Number(operand=operand):
                return self.expression(operand)
            case Arithmetic(operator=operator, left=left, right=right):
                return f"{self.atom(left)} {operator} {self.atom(right)}"
            case Case():
                return self._case(node)
            case Coalesce(operands=operands):
                return f"COALESCE({', '.join(self.expression(part) for part in operands)})"
            case InList() | InQuery():
                return self._in(node, "IN")
            case Exists(query=query):
                return f"EXISTS ({self.query(query)})"
            case ScalarQuery(query=query):
                return f"({self.query(query)})"
            case Aggregate(function=function, operand=aggregated, distinct=distinct):
                inner = "*" if aggregated is None else ("DISTINCT " if distinct else "") + self.expression(aggregated)
                return f"{function}({inner})"

    def _junct(self, node: Expr) -> str:
        text = self.expression(node)
        return f"({text})" if isinstance(node, (And, Or)) else text

    def _not(self, node: Expr) -> str:
        if isinstance(node, IsNull):
            return f"{self.atom(node.operand)} IS NOT NULL"
        if isinstance(node, IsTruth):
            return f"{self.atom(node.operand)} IS NOT {'TRUE' if node.value else 'FALSE'}"
        if isinstance(node, (InList, InQuery)):
            return self._in(node, "NOT IN")
        return f"NOT {self.atom(node)}"

    def _in(self, node: InList | InQuery, word: str) -> str:
        if isinstance(node, InList):
            return f"{self.atom(node.operand)} {word} ({', '.join(self.expression(item) for item in node.items)})"
        left = self.atom(node.operands[0])
        if len(node.operands) > 1:
            left = f"({', '.join(self.expression(part) for part in node.operands)})"
        return f"{left} {word} ({self.query(node.query)})"

    def _case(self, node: Case) -> str:
        parts = ["CASE"]
        parts += [f"WHEN {self.expression(test)} THEN {self.expression(value)}" for test, value in node.whens]
        if not (isinstance(node.otherwise, Constant) and node.otherwise.value is None and node.otherwise.type.kind == "null"):
            parts.append(f"ELSE {self.expression(node.otherwise)}")
        return " ".join([*parts, "END"])

    # ------------------------------------------------------------------------------------------------------ queries

    def query(self, query: Query) -> str:
        parts = ["SELECT DISTINCT" if query.distinct else "SELECT", self._outputs(query.outputs)]
        if query.source is not None:
            parts += ["FROM", self._from(query.source)]
        if query.where is not None:
            parts += ["WHERE", self.expression(query.where)]
        if query.group_by:
            parts += ["GROUP BY", ", ".join(self._key(key, query) for key in query.group_by)]
        if query.having is not None:
            parts += ["HAVING", self.expression(query.having)]
        if query.order_by:
            keys = []
            for key in query.order_by:
                nulls = ""
                if key.nulls_first != key.descending:
                    nulls = " NULLS FIRST" if key.nulls_first else " NULLS LAST"
                keys.append(f"{self._key(key.expression, query)}{' DESC' if key.descending else ''}{nulls}")
            parts += ["ORDER BY", ", ".join(keys)]
        if query.limit is not None:
            parts += ["LIMIT", self.expression(query.limit)]
        parts += [self._lock(lock) for lock in query.locks]
        return " ".join(parts)

    def _key(self, expression: Expr, query: Query) -> str:
        """A key of GROUP BY or ORDER BY; a bare constant would be read as a column's number."""
        if isinstance(expression, Constant):
            for number, output in enumerate(query.outputs, 1):
                if output.expression == expression:
                    return str(number)
        return self.expression(expression)

    def _lock(self, lock: RowLock) -> str:
        wait = "" if lock.wait == "wait" else " " + lock.wait.upper()
        return f"FOR {lock.mode.upper()} OF {', '.join(_base(source) for source in lock.sources)}{wait}"

    def _outputs(self, outputs: tuple[Output, ...]) -> str:
        shown = []
        for output in outputs:
            text = self.expression(output.expression)
            same = isinstance(output.expression, ColumnRef) and output.expression.column == output.name
            same = same or (isinstance(output.expression, Aggregate) and output.expression.function == output.name)
            same = same or (output.name == "?column?" and isinstance(output.expression, _UNNAMED))
            shown.append(text if same else f"{text} AS {name_of(output.name)}")
        return ", ".join(shown)

    def _from(self, source: From) -> str:
        if isinstance(source, TableSource):
            table, alias = name_of(source.table), _base(source.source)
            return table if table == alias else f"{table} AS {alias}"
        if isinstance(source, DerivedSource) and source.named is not None:
            name, alias = name_of(source.named), _base(source.source)
            text = self.query(source.query)
            self.named.append(f"{name} AS ({text})")
            return name if name == alias else f"{name} AS {alias}"
        if isinstance(source, DerivedSource):
            return f"({self.query(source.query)}) AS {_base(source.source)}"
        left, right = self._from(source.left), self._from(source.right)
        if source.on is not None:
            word = "LEFT JOIN" if source.kind == "left" else "JOIN"
            return f"{left} {word} {right} ON {self.expression(source.on)}"
        return f"{left}, {right}" if isinstance(source.right, Join) or self._comma(source.left) else f"{left} CROSS JOIN {right}"

    def _comma(self, source: From) -> bool:
        return isinstance(source, Join) and source.on is None and (isinstance(source.right, Join) or self._comma(source.left))

    # --------------------------------------------------------------------------------------------------- statements

    def _target(self, table: str, source: str) -> str:
        return name_of(table) if _base(source) == name_of(table) else f"{name_of(table)} AS {_base(source)}"

    def _tail(self, where: Expr | None, returning: tuple[Output, ...]) -> list[str]:
        parts = [] if where is None else [f"WHERE {self.expression(where)}"]
        return [*parts, f"RETURNING {self._outputs(returning)}"] if returning else parts

    def _sets(self, sets: tuple[tuple[str, Expr], ...]) -> str:
        return ", ".join(f"{name_of(column)} = {self.expression(value)}" for column, value in sets)

    def insert(self, node: Insert) -> str:
        parts = [f"INSERT INTO {name_of(node.table)}"]
        if node.columns:
            parts.append(f"({', '.join(name_of(column) for column in node.columns)})")
        if node.query is not None:
            parts.append(self.query(node.query))
        elif not node.columns:
            # Several rows of which only generated ids were given: VALUES needs a column, a query of no columns does not.
            several = f"SELECT FROM generate_series(1, {len(node.rows)})"
            parts.append("DEFAULT VALUES" if len(node.rows) == 1 else several)
        else:
            rows = [", ".join("DEFAULT" if v is None else self.expression(v) for v in row) for row in node.rows]
            parts.append("VALUES " + ", ".join(f"({row})" for row in rows))
        if node.on_conflict is not None:
            parts.append(self._on_conflict(node.on_conflict))
        return " ".join([*parts, *self._tail(None, node.returning)])

    def _on_conflict(self, node: OnConflict) -> str:
        parts = ["ON CONFLICT"]
        if node.columns:
            parts.append(f"({', '.join(name_of(column) for column in node.columns)})")
            if node.predicate is not None:
                parts.append(f"WHERE {self.expression(node.predicate)}")
        elif node.unique is not None:
            parts.append(f"ON CONSTRAINT {name_of(node.unique)}")
        if node.sets is None:
            return " ".join([*parts, "DO NOTHING"])
        return " ".join([*parts, f"DO UPDATE SET {self._sets(node.sets)}", *self._tail(node.where, ())])

    def update(self, node: Update) -> str:
        parts = [f"UPDATE {self._target(node.table, node.source)} SET {self._sets(node.sets)}"]  # noqa: S608
        if node.using is not None:
            parts.append(f"FROM {self._from(node.using)}")
        return " ".join([*parts, *self._tail(node.where, node.returning)])

    def delete(self, node: Delete) -> str:
        parts = [f"DELETE FROM {self._target(node.table, node.source)}"]  # noqa: S608
        if node.using is not None:
            parts.append(f"USING {self._from(node.using)}")
        return " ".join([*parts, *self._tail(node.where, node.returning)])
