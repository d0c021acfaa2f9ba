"""The rows at the start: whatever the server would refuse to insert cannot be there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from txweave.semantics.context import walk
from txweave.semantics.terms import Env, Result, Terms
from txweave.spec.diagnostics import Report
from txweave.spec.text import Span
from txweave.sql import tree
from txweave.sql.program import BoundModel
from txweave.system import expr as x
from txweave.system.expr import Elem, Expr, Value

Row = Mapping[str, Value]


def check_data(model: BoundModel, data: Mapping[str, Sequence[Row]], terms: Terms, report: Report) -> None:
    """M420 for each row of ``data:`` that breaks a constraint of its table.

    Timestamps are left out of CHECK: what they are at the start is an age, and a constraint on one is refused elsewhere.
    """
    spans = _spans(model)
    for name, rows in data.items():
        table = model.schema.tables[name]
        for number, row in enumerate(rows):
            for message in _broken(table, row, rows[:number], data, terms):
                where = spans[name][number]
                report.error("M420", where, f"row {number + 1} of {name}: {message}", "the server would refuse it: change the row")


def _spans(model: BoundModel) -> dict[str, list[Span | None]]:
    found: dict[str, list[Span | None]] = {}
    for statement in model.data:
        assert isinstance(statement, tree.Insert)
        for row in statement.rows:
            written = next((e.span for e in row if e is not None and e.span is not None), statement.span)
            found.setdefault(statement.table, []).append(written)
    return found


def _broken(table: tree.Table, row: Row, before: Sequence[Row], data: Mapping[str, Sequence[Row]], terms: Terms) -> Iterator[str]:
    for column in table.columns:
        if not column.nullable and not column.serial and row[column.name] is None:
            yield f"{column.name} is NULL, and the column is NOT NULL"
    for check in table.checks:
        if _decided(check.condition, table) and terms.false(check.condition, _env(row, terms)) is x.TRUE:
            yield f"the check constraint {check.name} is false"
    for unique in table.uniques:
        key = _key(unique, row, terms)
        if key is not None and any(_key(unique, other, terms) == key for other in before):
            values = ", ".join(f"{name} = {_shown(row[name])}" for name in unique.columns)
            yield f"{values} is there already, and {unique.name} is unique"
    for foreign in table.foreign_keys:
        values_ = [row[name] for name in foreign.columns]
        if all(v is not None for v in values_) and not any(
            values_ == [_identity(parent, number, foreign.parent, name) for name in foreign.parent_columns]
            for number, parent in enumerate(data.get(foreign.parent, ()))
        ):
            told = ", ".join(f"{name} = {_shown(row[name])}" for name in foreign.columns)
            yield f"{told} refers to no row of {foreign.parent}"


def _identity(row: Row, number: int, table: str, column: str) -> Value:
    """A column's value; a generated id is the row itself."""
    value = row.get(column)
    return Elem(table, number) if value is None else value


def _decided(condition: tree.Expr, table: tree.Table) -> bool:
    """Whether the condition reads no time."""
    return not any(
        isinstance(n, tree.Clock) or (isinstance(n, tree.ColumnRef) and table.column(n.column).type.kind == "timestamp")
        for n in walk(condition)
    )


def _key(unique: tree.Unique, row: Row, terms: Terms) -> tuple[Value, ...] | None:
    """The row's key; None where it has a NULL, or lies outside a partial index."""
    if unique.where is not None and terms.true(unique.where, _env(row, terms)) is not x.TRUE:
        return None
    key = tuple(row[name] for name in unique.columns)
    return None if None in key else key


def _env(row: Row, terms: Terms) -> Env:
    """An environment in which the row's columns are constants, so that a condition on it becomes true or false."""

    def unknown(name: str) -> Expr:
        raise AssertionError(f"a constraint reads {name}")

    def query(_query: tree.Query, _env: Env) -> Result:
        raise AssertionError("a constraint has a subquery")

    return Env(terms, lambda _source, name: x.const(row[name]), unknown, unknown, query)


def _shown(value: Value) -> str:
    if isinstance(value, Elem):
        return str(value.number + 1)
    return f"'{value}'" if isinstance(value, str) else str(value)
