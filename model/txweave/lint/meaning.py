"""SQL and properties that mean something else than they seem to."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches

from txweave.lint.unused import queries_of, running_procedures
from txweave.semantics.context import walk
from txweave.semantics.uses import nodes
from txweave.spec.diagnostics import Report, did_you_mean
from txweave.sql import program, tree
from txweave.sql.program import BoundModel

ERRORS = (
    "unique_violation",
    "foreign_key_violation",
    "restrict_violation",
    "check_violation",
    "not_null_violation",
    "deadlock_detected",
    "lock_not_available",
    "in_failed_sql_transaction",
    "too_many_rows",
)
"""Errors that the database (the last: the program) raises by itself."""


def meaning(model: BoundModel, report: Report) -> None:
    """L508 and L510 to L515."""
    for node in _expressions(model):
        if isinstance(node, tree.Compare) and node.operator in ("=", "<>"):
            _null(node, report)
        if isinstance(node, tree.Not) and isinstance(node.operand, tree.InQuery):
            _not_in(model, node.operand, report)
    _properties(model, report)
    _handlers(model, report)
    _faults(model, report)


def _expressions(model: BoundModel) -> Iterator[object]:
    for procedure in model.procedures.values():
        yield from walk(procedure.steps)
    for item in model.properties.values():
        for query in queries_of(item.formula):
            yield from walk(query)
    for table in model.schema.tables.values():
        for check in table.checks:
            yield from walk(check.condition)


def _null(node: tree.Compare, report: Report) -> None:
    for side in (node.left, node.right):
        if isinstance(side, tree.Constant) and side.value is None:
            negated = "NOT " if node.operator == "<>" else ""
            span = side.span or node.span
            report.warning("L510", span, f"{node.operator} NULL is never true", f"write IS {negated}NULL")
            return


def _not_in(model: BoundModel, node: tree.InQuery, report: Report) -> None:
    sources = {n.source: n.table for n in walk(node.query.source) if isinstance(n, tree.TableSource) and not n.role}
    for output in node.query.outputs:
        expression = output.expression
        if not isinstance(expression, tree.ColumnRef) or expression.source not in sources:
            continue
        column = model.schema.tables[sources[expression.source]].column(expression.column)
        excluded = any(
            isinstance(n, tree.Not) and isinstance(n.operand, tree.IsNull) and n.operand.operand == expression
            for n in walk(node.query.where)
        )
        if column.nullable and not excluded:
            report.warning(
                "L511",
                expression.span or node.span,
                f"{sources[expression.source]}.{column.name} may be NULL, and then NOT IN is never true",
                "write NOT EXISTS, or add IS NOT NULL to the subquery",
            )


def _properties(model: BoundModel, report: Report) -> None:
    written = _written(model)
    for item in model.properties.values():
        queries = queries_of(item.formula)
        if not queries:
            continue
        for query in queries[:1]:
            if query.outputs and all(isinstance(o.expression, tree.Constant) for o in query.outputs):
                report.warning("L512", item.span, f"{item.name} selects nothing that identifies a row", "select an id, or a count")
        sources = [n for query in queries for n in walk(query) if isinstance(n, tree.TableSource)]
        if any(s.role for s in sources):
            continue
        tables = {s.table for s in sources}
        if tables and not tables & written:
            report.warning(
                "L508",
                item.span,
                f"{item.name} reads {', '.join(sorted(tables))}, which no step writes",
                "write a property of what the steps change",
            )


def _written(model: BoundModel) -> set[str]:
    """Tables that a procedure that runs writes, or that a foreign key's action reaches from one."""
    found: set[str] = set()
    for name in running_procedures(model):
        for step in nodes(model.procedures[name].steps):
            if isinstance(step.node, program.Execute):
                for statement in (step.node.statement, step.node.ghost):
                    if isinstance(statement, tree.Insert | tree.Update | tree.Delete):
                        found.add(statement.table)
    changed = True
    while changed:
        changed = False
        for table in model.schema.tables.values():
            for key in table.foreign_keys:
                acts = key.on_delete in ("cascade", "set null") or key.on_update in ("cascade", "set null")
                if acts and key.parent in found and table.name not in found:
                    found.add(table.name)
                    changed = True
    return found


def _faults(model: BoundModel, report: Report) -> None:
    raised = {s.node.error for p in model.procedures.values() for s in nodes(p.steps) if isinstance(s.node, program.Raise)}
    handled = {
        name for p in model.procedures.values() for n in walk(p.steps) if isinstance(n, program.Handler) for name in n.errors
    }
    for scenario in model.source.scenarios.values():
        for role in scenario.roles:
            if role.restart and role.crash is None:
                report.warning("L514", role.name.span(), f"{role.name.value} is restarted and never crashes", "add crash: anywhere")
            for _, error in role.errors:
                close = get_close_matches(error.value, ERRORS, n=1, cutoff=0.8)
                if close and close[0] != error.value and error.value not in raised | handled:
                    message = f"{error.value} is no error of the database"
                    report.warning("L515", error.span(), message, f"did you mean {close[0]!r}?")


def _handlers(model: BoundModel, report: Report) -> None:
    raised = {s.node.error for p in model.procedures.values() for s in nodes(p.steps) if isinstance(s.node, program.Raise)}
    injected = {error.value for scenario in model.source.scenarios.values() for role in scenario.roles for _, error in role.errors}
    known = {*ERRORS, *raised, *injected}
    for procedure in model.procedures.values():
        for step in nodes(procedure.steps):
            if isinstance(step.node, program.Try):
                for handler in step.node.handlers:
                    for name in handler.errors:
                        if name not in known:
                            report.warning("L513", step.span, f"nothing raises {name}", did_you_mean(name, known))
