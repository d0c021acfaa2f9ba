"""How the procedures of a scenario use the tables: what is written, by whom, which row locks meet."""

from __future__ import annotations

from collections.abc import Iterator

from txweave.semantics.context import table_sources, walk
from txweave.semantics.storage import Use
from txweave.semantics.writing import write_mode
from txweave.spec import syntax
from txweave.sql import program as bound
from txweave.sql import tree


def nodes(steps: tuple[bound.BoundStep, ...]) -> Iterator[bound.BoundStep]:
    """Every step of a procedure, nested ones too."""
    for step in steps:
        yield step
        match step.node:
            case bound.Branch(_, then, otherwise):
                yield from nodes(then)
                yield from nodes(otherwise)
            case bound.ForRows(steps=inner) | bound.ForValues(steps=inner) | bound.Loop(steps=inner):
                yield from nodes(inner)
            case bound.Try(body, handlers, final):
                yield from nodes(body)
                for handler in handlers:
                    yield from nodes(handler.steps)
                yield from nodes(final)
            case _:
                pass


def procedures_of(model: bound.BoundModel, role: syntax.Role) -> list[str]:
    """The procedures that a role runs, those they call included, in order of first use."""
    found: list[str] = []
    queue = [name.value for name in role.run]
    while queue:
        name = queue.pop(0)
        if name in found:
            continue
        found.append(name)
        queue.extend(s.node.procedure for s in nodes(model.procedures[name].steps) if isinstance(s.node, bound.Call))
    return found


def statements_of(model: bound.BoundModel, role: syntax.Role) -> Iterator[tree.Statement]:
    """The statements that a role's procedures may send, ghost statements included."""
    for name in procedures_of(model, role):
        for step in nodes(model.procedures[name].steps):
            if isinstance(step.node, bound.Execute):
                yield step.node.statement
                if step.node.ghost is not None:
                    yield step.node.ghost


def table_uses(model: bound.BoundModel, scenario: syntax.Scenario) -> dict[str, Use]:
    """The use of every table."""
    uses = {name: Use() for name in model.schema.tables}
    for role in scenario.roles:
        name = role.name.value
        for statement in statements_of(model, role):
            _statement(model.schema, uses, name, statement)
    for role in scenario.roles:
        name = role.name.value
        for statement in statements_of(model, role):
            if isinstance(statement, tree.Update | tree.Delete) and _second_look(uses[statement.table], statement):
                # A row that no longer matches after waiting stays locked without being written.
                _locks(uses[statement.table], name, write_mode(model.schema.tables[statement.table], statement))
    return uses


def _statement(schema: tree.Schema, uses: dict[str, Use], role: str, statement: tree.Statement) -> None:
    match statement:
        case tree.Select(query):
            sources = {s.source: s.table for s in table_sources(query.source)}
            for lock in query.locks:
                for source in lock.sources:
                    if source in sources:
                        _locks(uses[sources[source]], role, lock.mode)
        case tree.Insert():
            use = uses[statement.table]
            use.inserted = True
            use.writers.add(role)
            _parents(schema, uses, role, schema.tables[statement.table], None)
            conflict = statement.on_conflict
            if conflict is not None and conflict.sets is not None:
                columns = {c for c, _ in conflict.sets}
                _update(schema, uses, role, statement.table, columns)
        case tree.Update():
            _update(schema, uses, role, statement.table, {c for c, _ in statement.sets})
            uses[statement.table].requested.add(write_mode(schema.tables[statement.table], statement))
        case tree.Delete():
            _delete(schema, uses, role, statement.table, set())


def _second_look(use: Use, statement: tree.Update | tree.Delete) -> bool:
    """Whether a row may match when the statement begins, and not after waiting for it."""
    return any(
        isinstance(n, tree.Exists | tree.InQuery | tree.ScalarQuery)
        or (isinstance(n, tree.ColumnRef) and n.source == statement.source and n.column in use.updated)
        for n in walk(statement.where)
    )


def _locks(use: Use, role: str, mode: str) -> None:
    use.requested.add(mode)
    use.locked.setdefault(role, set()).add(mode)


def _parents(schema: tree.Schema, uses: dict[str, Use], role: str, table: tree.Table, columns: set[str] | None) -> None:
    """A child row that is inserted, or given another parent, locks the parent FOR KEY SHARE."""
    del schema
    for key in table.foreign_keys:
        if not table.ghost and (columns is None or set(key.columns) & columns):
            _locks(uses[key.parent], role, "key share")


def _update(schema: tree.Schema, uses: dict[str, Use], role: str, table: str, columns: set[str]) -> None:
    use = uses[table]
    use.updated |= columns
    use.writers.add(role)
    use.requested.add(
        "update" if columns & {c for u in schema.tables[table].uniques if u.where is None for c in u.columns} else "no key update"
    )
    _parents(schema, uses, role, schema.tables[table], columns)


def _delete(schema: tree.Schema, uses: dict[str, Use], role: str, table: str, seen: set[str]) -> None:
    use = uses[table]
    use.deleted = True
    use.writers.add(role)
    use.requested.add("update")
    if table in seen:
        return
    for child in schema.tables.values():
        for key in child.foreign_keys:
            if key.parent != table:
                continue
            if key.on_delete == "cascade":
                _delete(schema, uses, role, child.name, {*seen, table})
            elif key.on_delete == "set null":
                _update(schema, uses, role, child.name, set(key.columns))
            else:
                uses[child.name].requested.add("key share")
