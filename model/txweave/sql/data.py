"""``data:``: the rows that are there at the start."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from txweave.spec.diagnostics import Report
from txweave.spec.text import Text
from txweave.sql.schema import split_statements
from txweave.sql.scope import Environment
from txweave.sql.statements import bind_statement
from txweave.sql.tree import Arithmetic, Clock, Constant, Expr, Insert, Statement, Table, Type


def bind_data(texts: Sequence[Text], base: Environment, rows: Mapping[str, int], report: Report) -> tuple[Statement, ...]:
    """Bind the INSERT statements of ``data:``.

    A row of a table with a generated id has the number of the row as its id, from 1, in the order written; an id that is
    written out must be that number, and is left out of the bound statement.  Other rows refer to it by that number.
    """
    # inside data, a serial column is written like any other, as a reference to its own table
    environment = replace(base, row_numbers=rows, ghost_reads=True, subject="data")
    counts: dict[str, int] = {}
    bound: list[Statement] = []
    for text in texts:
        for part in split_statements(text):
            result = bind_statement(part, environment, report, data=True, kinds=("INSERT",))
            if result is None or not isinstance(result.statement, Insert):
                continue
            statement = result.statement
            table = base.tables[statement.table]
            for row in statement.rows:
                counts[table.name] = counts.get(table.name, 0) + 1
                _check_row(row, statement.columns, table, counts[table.name], part, report)
            bound.append(_without_serial(statement, table))
    return tuple(bound)


def _check_row(
    row: tuple[Expr | None, ...], columns: tuple[str, ...], table: Table, number: int, text: Text, report: Report
) -> None:
    for name, value in zip(columns, row, strict=True):
        if value is not None and not _constant(value):
            report.error(
                "Q335", value.span or text.span(), "`data:` holds constants", "a point in time is now(), or now() - INTERVAL '…'"
            )
        serial = table.serial
        if serial is None or serial.name != name or value is None:
            continue
        if not (isinstance(value, Constant) and value.type == Type("reference", table.name) and value.value == number):
            message = f"{table.name}.{name} of row {number} must be {number}: ids number the rows in the order written"
            report.error("Q334", value.span or text.span(), message, f"write {number}, or leave the column out")


def _constant(value: Expr) -> bool:
    if isinstance(value, Arithmetic):
        return isinstance(value.left, Clock) and isinstance(value.right, Constant)
    return isinstance(value, Constant) or (isinstance(value, Clock) and value.kind == "now")


def _without_serial(statement: Insert, table: Table) -> Insert:
    serial = table.serial
    if serial is None or serial.name not in statement.columns:
        return statement
    at = statement.columns.index(serial.name)
    columns = statement.columns[:at] + statement.columns[at + 1 :]
    rows = tuple(row[:at] + row[at + 1 :] for row in statement.rows)
    return replace(statement, columns=columns, rows=rows)
