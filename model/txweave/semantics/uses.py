"""How the procedures of a scenario use the tables: what is written, by whom, which row locks meet."""

from __future__ import annotations

from collections.abc import Iterator

from txweave.semantics.context import table_sources, walk
from txweave.semantics.storage import Use, key_columns
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


def _repeated(model: bound.BoundModel, role: syntax.Role) -> set[int]:
    """Statements (by ``id``) in a loop or in a procedure that is called: they may run twice in one transaction."""
    found: set[int] = set()
    called = set(procedures_of(model, role)) - {name.value for name in role.run}
    for name in procedures_of(model, role):
        for step in nodes(model.procedures[name].steps):
            inner: tuple[bound.BoundStep, ...] = ()
            if isinstance(step.node, bound.ForRows | bound.ForValues | bound.Loop):
                inner = step.node.steps
            for part in (*nodes(inner), step) if name in called else nodes(inner):
                if isinstance(part.node, bound.Execute):
                    found.add(id(part.node.statement))
    return found


def _rewriters(model: bound.BoundModel, uses: dict[str, Use], role: syntax.Role) -> None:
    """Find the tables that the role may write twice in one transaction."""
    repeated = _repeated(model, role)
    seen: dict[str, int] = {}
    for statement in statements_of(model, role):
        if isinstance(statement, tree.Insert | tree.Update | tree.Delete):
            for table in _written(model.schema, statement.table, isinstance(statement, tree.Delete)):
                seen[table] = seen.get(table, 0) + (2 if id(statement) in repeated else 1)
    for table, count in seen.items():
        if count > 1:
            uses[table].rewriters.add(role.name.value)


def _written(schema: tree.Schema, table: str, deleted: bool) -> set[str]:
    """Tables that a statement on ``table`` writes: itself, and those that foreign-key actions reach."""
    found = {table}
    queue = [table] if deleted else []
    while queue:
        parent = queue.pop()
        for child in schema.tables.values():
            for key in child.foreign_keys:
                if key.parent == parent and key.on_delete in ("cascade", "set null"):
                    if key.on_delete == "cascade" and child.name not in found:
                        queue.append(child.name)
                    found.add(child.name)
    return found


def table_uses(model: bound.BoundModel, scenario: syntax.Scenario) -> dict[str, Use]:
    """The use of every table."""
    uses = {name: Use(unique_columns(table)) for name, table in model.schema.tables.items()}
    for role in scenario.roles:
        _rewriters(model, uses, role)
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


def unique_columns(table: tree.Table) -> frozenset[str]:
    """Columns that decide about a unique constraint: its key and its predicate."""
    wheres = {n.column for unique in table.uniques for n in walk(unique.where) if isinstance(n, tree.ColumnRef)}
    return frozenset(wheres | {c for unique in table.uniques for c in unique.columns})


def _statement(schema: tree.Schema, uses: dict[str, Use], role: str, statement: tree.Statement) -> None:
    for query in walk(statement):
        if isinstance(query, tree.Query):
            sources = {s.source: s.table for s in table_sources(query.source)}
            for lock in query.locks:
                for source in lock.sources:
                    if source in sources:
                        _locks(uses[sources[source]], role, lock.mode)
    match statement:
        case tree.Insert():
            use = uses[statement.table]
            use.inserted = True
            use.writers.add(role)
            _parents(schema, uses, role, schema.tables[statement.table], None)
            conflict = statement.on_conflict
            if conflict is not None and conflict.sets is not None:
                columns = {c for c, _ in conflict.sets}
                _update(schema, uses, role, statement.table, columns)
                if conflict.where is not None:  # a row for which it does not hold stays locked
                    keys = key_columns(schema.tables[statement.table])
                    _locks(use, role, "update" if columns & keys else "no key update")
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
    """A child row that is inserted, given another parent, or written again locks the parent FOR KEY SHARE."""
    del schema
    again = role in uses[table.name].rewriters
    for key in table.foreign_keys:
        if not table.ghost and (columns is None or again or set(key.columns) & columns):
            _locks(uses[key.parent], role, "key share")


def _update(schema: tree.Schema, uses: dict[str, Use], role: str, table: str, columns: set[str]) -> None:
    use = uses[table]
    use.updated |= columns
    use.writers.add(role)
    use.updaters.add(role)
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
