"""What the semantics does not model: found before the lowering, and refused by name."""

from __future__ import annotations

from collections.abc import Mapping

from txweave.semantics.context import MOST_LIMITED, limited_values, needless, single_row, walk
from txweave.semantics.picking import NotPickedError, picked
from txweave.semantics.uses import nodes, procedures_of, statements_of
from txweave.spec import syntax
from txweave.spec.diagnostics import Report
from txweave.sql import program as bound
from txweave.sql import tree


def refuse(model: bound.BoundModel, scenario: syntax.Scenario, report: Report) -> None:
    """Report every construct of the scenario's procedures and of the properties that has no meaning here."""
    sizes = dict.fromkeys(model.schema.tables, 0)
    for inserted in model.data:
        if isinstance(inserted, tree.Insert):
            sizes[inserted.table] += len(inserted.rows)
    sizes |= {name.value: max(size, sizes[name.value]) for name, size in scenario.bounds}
    steps = [step.node for procedure in model.procedures.values() for step in nodes(procedure.steps)]
    ghosts = [node.ghost for node in steps if isinstance(node, bound.Execute) and node.ghost is not None]
    rekeyed: set[tuple[str, str]] = set()
    for role in scenario.roles:
        for statement in statements_of(model, role):
            _statement(
                model.schema,
                statement,
                report,
                sizes,
                ghost=any(statement is other for other in ghosts),
                exact=model.source.serial == "exact",
            )
            if isinstance(statement, tree.Update):
                rekeyed.update((statement.table, column) for column, _ in statement.sets)
            if model.source.serial == "exact" and isinstance(statement, tree.Insert):
                _numbered(model.schema, statement, report)
        for name in procedures_of(model, role):
            for step in nodes(model.procedures[name].steps):
                if isinstance(step.node, bound.Choose):
                    for query in walk(step.node.query):
                        if isinstance(query, tree.Query):
                            _query(model.schema, query, report, sizes, outermost=query is step.node.query)
                    if step.node.query.limit is not None:
                        report.error(
                            "M410",
                            step.node.query.span,
                            "LIMIT in a choice has no meaning",
                            "`choose` takes any one row already",
                        )
    for statement in [s for role in scenario.roles for s in statements_of(model, role)] if not report.failed else []:
        pick = picked(model.schema, statement)
        if pick is not None and (pick.statement.table, pick.key) in rekeyed:
            message = f"the locking subquery chooses rows of {pick.statement.table} by {pick.key}, which some procedure changes"
            report.error("M423", pick.query.locks[0].span, message, "lock in a statement of its own")
    for item in model.properties.values():
        for node in walk(item.formula):
            if isinstance(node, tree.Query):
                _query(model.schema, node, report, sizes, outermost=False)


def _statement(
    schema: tree.Schema, statement: tree.Statement, report: Report, sizes: Mapping[str, int], *, ghost: bool, exact: bool
) -> None:
    outer = statement.query if isinstance(statement, tree.Select | tree.Insert) else None
    chosen: tree.Query | None = None
    try:
        pick = picked(schema, statement, ghost=ghost)
        chosen = None if pick is None else pick.query
    except NotPickedError as error:
        locking = next(n for n in walk(statement) if isinstance(n, tree.Query) and n.locks and n is not outer)
        report.error("M423", locking.locks[0].span or locking.span, *error.args)
        return
    once = [] if ghost else [n.query for n in limited_values(statement)]
    for node in walk(statement):
        if isinstance(node, tree.Query):
            free = node is outer or node is chosen or any(node is query for query in once)
            _query(schema, node, report, sizes, outermost=free or _only_whether(statement, node))
        elif isinstance(node, tree.ScalarQuery) and not single_row(schema, node.query):
            report.error(
                "M411",
                node.span or node.query.span,
                "a subquery used as a value may return several rows",
                "name one row by its key, or aggregate (MIN, MAX, COUNT)",
            )
    if isinstance(statement, tree.Insert) and statement.on_conflict is not None and not exact:
        _no_excluded_id(schema.tables[statement.table], statement, report)
    sets = statement.sets if isinstance(statement, tree.Update) else None
    if isinstance(statement, tree.Insert) and statement.on_conflict is not None:
        sets = statement.on_conflict.sets
    if sets is not None and not isinstance(statement, tree.Select):
        table = schema.tables[statement.table]
        columns = {c for c, _ in sets}
        for child in schema.tables.values():
            for key in child.foreign_keys:
                if key.parent == table.name and columns & set(key.parent_columns):
                    report.error(
                        "M417",
                        statement.span,
                        f"UPDATE of {table.name}({', '.join(sorted(columns & set(key.parent_columns)))}), "
                        f"which {child.name} refers to",
                        "a key that is referred to does not change in the modelled subset: delete and insert",
                    )
    if isinstance(statement, tree.Update | tree.Delete) and statement.using is not None and statement.returning:
        outside = {
            n.source
            for o in statement.returning
            for n in walk(o.expression)
            if isinstance(n, tree.ColumnRef) and n.source != statement.source
        }
        if outside:
            report.error(
                "M418", statement.span, "RETURNING a column of a joined table is not modelled", "return columns of the target"
            )


def _no_excluded_id(table: tree.Table, statement: tree.Insert, report: Report) -> None:
    """An abstract id is that of a row: one that was taken for a row that is not inserted is none."""
    serial = "" if table.serial is None else table.serial.name
    for node in walk(statement.on_conflict):
        if isinstance(node, tree.ColumnRef) and (node.source, node.column) == ("excluded", serial):
            message = f"excluded.{node.column} is an id that no row gets"
            report.error("M424", node.span or statement.span, message, "write `serial: exact` in the model")


def _only_whether(statement: tree.Statement, query: tree.Query) -> bool:
    """Whether a subquery with a LIMIT of at least one row stands in EXISTS, where it makes no difference."""
    some = isinstance(query.limit, tree.Constant) and isinstance(query.limit.value, int) and query.limit.value > 0
    return some and any(isinstance(n, tree.Exists) and n.query is query for n in walk(statement))


def _numbered(schema: tree.Schema, statement: tree.Insert, report: Report) -> None:
    """INSERT … SELECT into a table with exact ids says in which order its rows take them."""
    query = statement.query
    if schema.tables[statement.table].serial is None or query is None or query.order_by or single_row(schema, query):
        return
    report.error(
        "M422",
        query.span or statement.span,
        f"which row of INSERT … SELECT takes which id of {statement.table} is not determined",
        "add ORDER BY; or leave `serial: exact` out if nothing depends on the order of ids",
    )


def _query(schema: tree.Schema, query: tree.Query, report: Report, sizes: Mapping[str, int], *, outermost: bool) -> None:
    if query.limit is not None:
        if not outermost:
            remedy = "use MIN or MAX, or a statement of its own; as a value that refers to nothing outside it may have LIMIT 1"
            report.error("M410", query.span, "LIMIT in this subquery is not modelled", remedy)
        elif not (isinstance(query.limit, tree.Constant) and isinstance(query.limit.value, int)):
            report.error("M410", query.span, "LIMIT must be a number or a parameter", "write LIMIT 1")
        elif query.limit.value > MOST_LIMITED and not needless(query, sizes):
            report.error(
                "M410",
                query.span,
                f"LIMIT {query.limit.value} is beyond what is modelled ({MOST_LIMITED}), and there may be more rows than that",
                f"lower the bounds to {query.limit.value} rows or fewer, or write LIMIT 1 with a `repeat`",
            )
        elif query.grouped or query.distinct:
            report.error("M410", query.span, "LIMIT on groups or DISTINCT is not modelled", "drop the LIMIT")
    for node in walk((query.where, query.having, tuple(o.expression for o in query.outputs))):
        if isinstance(node, tree.ScalarQuery) and not single_row(schema, node.query):
            report.error(
                "M411",
                node.span or node.query.span,
                "a subquery used as a value may return several rows",
                "name one row by its key, or aggregate (MIN, MAX, COUNT)",
            )
