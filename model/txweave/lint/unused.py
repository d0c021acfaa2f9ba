"""What nothing uses: variables, columns, tables, procedures, parameters."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass

from txweave.semantics.context import walk
from txweave.semantics.uses import nodes, procedures_of
from txweave.spec import syntax
from txweave.spec.diagnostics import Report
from txweave.spec.text import Text
from txweave.sql import program, tree
from txweave.sql.program import BoundModel


def unused(model: BoundModel, report: Report) -> None:
    """L501 to L505."""
    running = running_procedures(model)
    _procedures(model, running, report)
    _variables(model, report)
    _columns(model, report)
    _parameters(model, report)


def running_procedures(model: BoundModel) -> set[str]:
    """The procedures that some role of some scenario runs, those that are called included."""
    return {name for scenario in model.source.scenarios.values() for role in scenario.roles for name in procedures_of(model, role)}


def _procedures(model: BoundModel, running: set[str], report: Report) -> None:
    for name, procedure in model.procedures.items():
        if name not in running:
            report.warning("L504", procedure.span, f"{name} never runs", "let a role run it, or leave it out")


def queries_of(formula: program.Formula) -> tuple[tree.Query, ...]:
    """The queries of a property."""
    match formula:
        case program.BoundNever(query) | program.BoundAlwaysPossible(query):
            return (query,)
        case program.BoundLeadsTo(whenever, eventually):
            return (whenever,) if eventually is None else (whenever, eventually)
        case _:
            return ()


def _variables(model: BoundModel, report: Report) -> None:
    watched = _watched(model)
    for procedure in model.procedures.values():
        read = {n.name for n in walk(procedure.steps) if isinstance(n, tree.Variable)}
        read |= {variable for name, variable in watched if name == procedure.name}
        read |= {s.node.rows for s in nodes(procedure.steps) if isinstance(s.node, program.ForRows)}
        # What a loop runs over need not be looked at: the number of rounds may be all that matters.
        read |= {
            v for s in nodes(procedure.steps) if isinstance(s.node, program.ForRows | program.ForValues) for v in s.node.variables
        }
        for step in nodes(procedure.steps):
            names = step.node.into if isinstance(step.node, program.Execute) else getattr(step.node, "variables", ())
            if read & set(names):
                read |= set(names)  # a row is unpacked whole
        for name, variable in procedure.variables.items():
            if name not in read and variable.span is not None:
                what = "input" if isinstance(variable, program.ScalarVariable) and variable.input else "variable"
                report.warning(
                    "L501", variable.span, f"the {what} {name} of {procedure.name} is never read", "leave it out, or use its value"
                )


def _watched(model: BoundModel) -> set[tuple[str, str]]:
    """Variables (with their procedures) that a property reads as columns of a role."""
    columns: dict[str, set[str]] = {}
    for item in model.properties.values():
        for query in queries_of(item.formula):
            sources = {n.source: n.table for n in walk(query) if isinstance(n, tree.TableSource) and n.role}
            for node in walk(query):
                if isinstance(node, tree.ColumnRef) and node.source in sources:
                    columns.setdefault(sources[node.source], set()).add(node.column)
    found: set[tuple[str, str]] = set()
    for scenario in model.source.scenarios.values():
        for role in scenario.roles:
            for name in procedures_of(model, role):
                found |= {(name, column) for column in columns.get(role.name.value, ())}
    return found


def _columns(model: BoundModel, report: Report) -> None:
    used = _used_columns(model)
    touched = {n.table for part in (model.procedures, model.properties) for item in part.values() for n in _tables(item)}
    # A foreign key decides what may be deleted from its parent, and what may be inserted into its child.
    for table in model.schema.tables.values():
        for key in table.foreign_keys:
            if {table.name, key.parent} & touched:
                touched |= {table.name, key.parent}
    for name, table in model.schema.tables.items():
        if name not in touched:
            report.warning("L503", table.span, f"the table {name} is never used", "leave it out")
            continue
        for column in table.columns:
            if not column.serial and (name, column.name) not in used:
                report.warning("L502", column.span, f"the column {name}.{column.name} is never used", "leave it out")


def _tables(item: object) -> Iterator[tree.TableSource | tree.Insert | tree.Update | tree.Delete]:
    for node in walk(item):
        if isinstance(node, tree.Insert | tree.Update | tree.Delete) or (isinstance(node, tree.TableSource) and not node.role):
            yield node


def _used_columns(model: BoundModel) -> set[tuple[str, str]]:
    """Columns that a statement, a property or a constraint mentions: whoever is constrained decides about errors."""
    found: set[tuple[str, str]] = set()
    for name, table in model.schema.tables.items():
        for unique in table.uniques:
            found |= {(name, column) for column in unique.columns}
            found |= {(name, n.column) for n in walk(unique.where) if isinstance(n, tree.ColumnRef)}
        for key in table.foreign_keys:
            found |= {(name, column) for column in key.columns}
            found |= {(key.parent, column) for column in key.parent_columns}
        for check in table.checks:
            found |= {(name, n.column) for n in walk(check.condition) if isinstance(n, tree.ColumnRef)}
    for procedure in model.procedures.values():
        for step in nodes(procedure.steps):
            if isinstance(step.node, program.Execute):
                for statement in (step.node.statement, step.node.ghost):
                    found |= _mentioned(statement)
            elif isinstance(step.node, program.Choose):
                found |= _mentioned(step.node.query)
    for item in model.properties.values():
        for query in queries_of(item.formula):
            found |= _mentioned(query)
    return found


def _mentioned(statement: object) -> set[tuple[str, str]]:
    """Columns that a statement reads or names in its lists."""
    sources: dict[str, str] = {}
    found: set[tuple[str, str]] = set()
    for node in walk(statement):
        match node:
            case tree.TableSource(source, table):
                sources[source] = table
            case tree.Insert(table=table, columns=columns):
                sources[table] = table
                sources["excluded"] = table
                found |= {(table, column) for column in columns}
            case tree.Update(source=source, table=table, sets=sets):
                sources[source] = table
                found |= {(table, column) for column, _ in sets}
            case tree.Delete(source=source, table=table):
                sources[source] = table
            case _:
                pass
        if isinstance(node, tree.OnConflict) and node.sets is not None:
            found |= {(table, column) for table in list(sources.values()) for column, _ in node.sets}
    for node in walk(statement):
        if isinstance(node, tree.ColumnRef) and node.source in sources:
            found.add((sources[node.source], node.column))
    return found


def _parameters(model: BoundModel, report: Report) -> None:
    source = model.source
    read: set[str] = set()
    for text in _texts((source.procedures, source.properties, source.data, source.schema, source.ghost)):
        read |= set(re.findall(r":([A-Za-z_][A-Za-z0-9_]*)", text.value))
    for procedure in source.procedures.values():
        read |= {body.over.value.removeprefix(":") for body in _bodies(procedure) if isinstance(body, syntax.For)}
    for name, parameter in source.parameters.items():
        if name not in read:
            report.warning("L505", parameter.span, f"the parameter {name} is never read", "leave it out")


def _texts(node: object) -> Iterator[Text]:
    for part in _parts(node):
        if isinstance(part, Text):
            yield part


def _bodies(procedure: syntax.Procedure) -> Iterator[object]:
    for part in _parts(procedure):
        if isinstance(part, syntax.Step):
            yield part.body


def _parts(node: object) -> Iterator[object]:
    """Every node of the typed syntax."""
    yield node
    if isinstance(node, Text):
        return
    if isinstance(node, dict):
        for value in node.values():
            yield from _parts(value)
    elif isinstance(node, tuple):
        for item in node:
            yield from _parts(item)
    elif is_dataclass(node) and not isinstance(node, type):
        for part in fields(node):
            yield from _parts(getattr(node, part.name))
