"""INSERT: VALUES, SELECT, RETURNING, ON CONFLICT."""

from __future__ import annotations

from dataclasses import replace

from txweave.semantics import results, waiting
from txweave.semantics.constraints import ALL, KEYS, PARENTS, VALUES, check_row, own_values, unique_conflicts
from txweave.semantics.context import Context, limit_of, walk
from txweave.semantics.outcome import Outcome, failed, ok, out
from txweave.semantics.relations import before as row_before
from txweave.semantics.relations import rename
from txweave.semantics.symbolic import State
from txweave.semantics.terms import Branch, Env
from txweave.sql import program as bound
from txweave.sql import tree
from txweave.system import expr as x
from txweave.system.expr import Expr, Local


def row_values(ctx: Context, statement: tree.Insert, row: tuple[tree.Expr | None, ...], env: Env) -> dict[str, Expr]:
    """The values of a new row by column; missing ones are defaults."""
    given = dict(zip(statement.columns, row, strict=True))
    values: dict[str, Expr] = {}
    for column in ctx.world.storage.schema.tables[statement.table].columns:
        if column.serial:
            continue
        expression = given.get(column.name)
        if expression is None:
            expression = column.default
        values[column.name] = x.NULL if expression is None else ctx.world.terms.value(expression, env)
    return values


def insert(ctx: Context, node: bound.Execute, statement: tree.Insert, state: State) -> list[Outcome]:
    """All outcomes of an INSERT."""
    if statement.query is not None:
        return _from_query(ctx, node, statement, state)
    table = ctx.world.storage.schema.tables[statement.table]
    simple = not any(isinstance(n, tree.ScalarQuery | tree.Exists | tree.InQuery) for n in walk(statement.rows))
    # One row after the other, each seeing those before it; (guard, params, state, slots of the rows that were inserted).
    going: list[tuple[Expr, tuple[Local, ...], State, tuple[Expr, ...]]] = [(x.TRUE, (), state.copy(), ())]
    ended: list[Outcome] = []
    snapshot = ctx.env(state)
    inserted: set[Expr] = set()
    for number, row in enumerate(statement.rows):
        following = []
        for guard, params, current, slots in going:
            values = row_values(ctx, statement, row, snapshot)
            redo_allowed = simple and number == 0
            for outcome, slot in _one(ctx, statement, table, current, state, values, inserted, slots, redo_allowed=redo_allowed):
                whole = outcome.given(guard, params)
                if outcome.exit == "ok":
                    following.append((whole.guard, whole.params, outcome.state, (*slots, slot)))
                else:
                    ended.append(whole)
        going = following
    # Foreign keys are looked at when all rows are there.
    for number in range(len(statement.rows) if table.foreign_keys else 0):
        following = []
        for guard, params, current, slots in going:
            if slots[number] not in inserted:
                following.append((guard, params, current, slots))
                continue
            for outcome in check_row(
                ctx, current, state, table, slots[number], None, redo_allowed=simple, parts=frozenset({PARENTS})
            ):
                whole = outcome.given(guard, params)
                if outcome.exit == "ok":
                    following.append((whole.guard, whole.params, outcome.state, slots))
                else:
                    ended.append(whole)
        going = following
    found = ended
    for guard, params, current, slots in going:
        found.extend(_finish(ctx, node, statement, current, guard, params, slots))
    return found


def _finish(
    ctx: Context,
    node: bound.Execute,
    statement: tree.Insert,
    state: State,
    guard: Expr,
    params: tuple[Local, ...],
    slots: tuple[Expr, ...],
) -> list[Outcome]:
    """RETURNING and the row count; a slot is NULL where ON CONFLICT DO NOTHING inserted nothing."""
    rows = [slot for slot in slots if slot is not x.NULL]
    row = x.local(statement.table, statement.table)
    condition = x.disj(*(x.equal(row, slot) for slot in rows))
    branches = []
    if statement.returning:
        relations = ctx.relations(state)
        columns = relations.table(statement.table, statement.table, row)
        env = relations.scope(ctx.env(state), {statement.table: columns})
        branches = [Branch((row,), condition, tuple(ctx.world.terms.value(o.expression, env) for o in statement.returning))]
    outcomes = results.deliver(
        ctx, node, state, guard, branches, x.const(len(rows)), one=len(rows) <= 1, label="ok" if rows else "nothing inserted"
    )
    return [o.given(x.TRUE, params) for o in outcomes]


def _one(
    ctx: Context,
    statement: tree.Insert,
    table: tree.Table,
    state: State,
    origin: State,
    values: dict[str, Expr],
    inserted: set[Expr],
    earlier: tuple[Expr, ...],
    *,
    redo_allowed: bool,
) -> list[tuple[Outcome, Expr]]:
    """One row: inserted (with its slot, which is added to ``inserted``), refused, waiting, or left to ON CONFLICT.

    ``earlier`` are the slots that the statement has written already.
    Foreign keys are looked at later.
    """
    storage, name = ctx.world.storage, table.name
    slot = x.local(name, name)
    found: list[tuple[Outcome, Expr]] = []
    free = storage.free(state, name, slot)
    conflict = statement.on_conflict
    proceed: Expr = x.TRUE
    parts = ALL - {PARENTS}
    if conflict is not None:
        # PostgreSQL looks at NOT NULL and CHECK before it looks for a conflict.
        parts = frozenset({KEYS})
        for outcome in check_row(
            ctx, state, origin, table, _NOWHERE, None, redo_allowed=False, parts=frozenset({VALUES}), values=values
        ):
            if outcome.exit == "ok":
                proceed = outcome.guard
            else:
                found.append((outcome, x.NULL))
        arbiters = [u for u in table.uniques if conflict.unique in (None, u.name)]
        taken: list[Expr] = []
        for unique in arbiters:
            if table.serial is not None and unique.columns == (table.serial.name,):
                continue
            duplicate, busy = unique_conflicts(ctx, state, table, unique, _NOWHERE, values)
            blocked = []
            for other, condition in busy:
                blocked.append(x.exists((other,), condition))
                guard = x.conj(proceed, x.neg(x.disj(*taken)), condition)
                if redo_allowed:
                    waits = origin.copy()
                    waiting.begin_wait(ctx, waits, other)
                    found.append((Outcome("redo", guard, waits, "waits", (other,), note="waits for"), x.NULL))
                else:
                    found.append((out(guard, origin, f"ON CONFLICT waits in the middle ({name})", (other,)), x.NULL))
            proceed = x.conj(proceed, x.neg(x.conj(x.neg(duplicate), x.disj(*blocked))))
            taken.append(duplicate)
        hit = x.disj(*taken)
        if conflict.sets is None:
            found.append((ok(x.conj(proceed, hit), state), x.NULL))
        else:
            found.extend(
                _conflict_update(
                    ctx, statement, table, state, origin, values, x.conj(proceed, hit), arbiters, earlier, redo_allowed
                )
            )
        proceed = x.conj(proceed, x.neg(hit))
    # Constraints are looked at before the bound on rows: a row that is refused needs no slot.
    inserted.add(slot)
    for outcome in check_row(ctx, state, origin, table, _NOWHERE, None, redo_allowed=redo_allowed, parts=parts, values=values):
        if outcome.exit != "ok":
            found.append((outcome.given(proceed), x.NULL))
            continue
        after = state.copy()
        storage.insert(after, name, slot, values, ctx.process)
        full = x.neg(x.exists((slot,), free))
        found.append((out(x.conj(proceed, outcome.guard, full), origin, name), x.NULL))
        found.append((ok(x.conj(proceed, outcome.guard, x.least(slot, slot, free)), after, params=(slot,)), slot))
    return found


_NOWHERE = x.const(None)
"""A row that is no row: the proposed row of ON CONFLICT is not in the table."""


def _conflict_update(
    ctx: Context,
    statement: tree.Insert,
    table: tree.Table,
    state: State,
    origin: State,
    values: dict[str, Expr],
    guard: Expr,
    arbiters: list[tree.Unique],
    earlier: tuple[Expr, ...],
    redo_allowed: bool,
) -> list[tuple[Outcome, Expr]]:
    """ON CONFLICT DO UPDATE: the existing row is locked, and updated in its newest version if the condition holds."""
    storage, terms, name = ctx.world.storage, ctx.world.terms, table.name
    conflict = statement.on_conflict
    assert conflict is not None
    assert conflict.sets is not None
    found: list[tuple[Outcome, Expr]] = []
    row = x.local(name, name)
    same = []
    for unique in arbiters:
        parts = []
        for key in unique.columns:
            proposed = row if table.serial is not None and key == table.serial.name else values[key]
            held = storage.column(state, name, key, row, ctx.process, ctx.role)
            parts.append(x.conj(terms.not_null(proposed), x.equal(held, proposed)))
        same.append(x.conj(*parts))
    existing = x.conj(storage.visible(state, name, row, ctx.process, ctx.role), x.disj(*same))
    # No statement writes a row twice this way.
    twice = x.disj(*(x.equal(row, slot) for slot in earlier if slot is not x.NULL))
    if twice is not x.FALSE:
        found.append((failed(x.conj(guard, x.exists((row,), x.conj(existing, twice))), origin, "cardinality_violation"), x.NULL))
        guard = x.conj(guard, x.neg(x.exists((row,), x.conj(existing, twice))))
    mode = (
        "update"
        if {c for c, _ in conflict.sets} & {c for u in table.uniques if u.where is None for c in u.columns}
        else "no key update"
    )
    blocked = []
    for role in ctx.rivals():
        other = x.local(role, role)
        held = storage.conflict(state, name, row, mode, ctx.process, other, role)
        condition = x.exists((row,), x.conj(existing, held))
        if condition is x.FALSE:
            continue
        blocked.append(x.exists((other,), condition))
        if redo_allowed:
            waits = origin.copy()
            waiting.begin_wait(ctx, waits, other)
            found.append((Outcome("redo", x.conj(guard, condition), waits, "waits", (other,), note="waits for"), x.NULL))
        else:
            found.append((out(x.conj(guard, condition), origin, f"ON CONFLICT waits in the middle ({name})", (other,)), x.NULL))
    free = x.conj(guard, x.neg(x.disj(*blocked)), existing)

    def column(source: str, wanted: str) -> Expr:
        if source == "excluded":
            return row if table.serial is not None and wanted == table.serial.name else values[wanted]
        return storage.column(state, name, wanted, row, ctx.process, ctx.role)

    env = ctx.env(state).with_columns(column)
    wanted = x.TRUE if conflict.where is None else terms.true(conflict.where, env)
    if wanted is not x.TRUE:
        locked = state.copy()
        storage.touch(locked, name, row, ctx.process, ctx.role)
        found.append((ok(x.conj(free, x.neg(wanted)), locked, params=(row,)), x.NULL))
    after = state.copy()
    new = {c: terms.value(e, env) for c, e in conflict.sets}
    storage.update(after, name, row, new, ctx.process, ctx.role)
    for outcome in check_row(ctx, after, origin, table, row, set(new), redo_allowed=False):
        found.append((outcome.given(x.conj(free, wanted), (row,)), row))
    return found


def _from_query(ctx: Context, node: bound.Execute, statement: tree.Insert, state: State) -> list[Outcome]:
    """INSERT … SELECT: the n-th row of the result goes to the n-th free slot; ids are interchangeable, so the order does not
    matter.
    """
    query, storage = statement.query, ctx.world.storage
    assert query is not None
    table, name = storage.schema.tables[statement.table], statement.table
    branches = ctx.relations(state).rows(query, ctx.env(state))
    if len(branches) > 1:
        ctx.world.report.error(
            "M413",
            query.span or ctx.span,
            "INSERT … SELECT from an outer join is not modelled",
            "write the outer side as a subquery",
        )
        return []
    found: list[Outcome] = []
    limit = limit_of(query)
    for branch in branches:
        choices = [((), x.TRUE, branch)] if limit is None else results.limited(ctx, branch, query.order_by, limit)
        for params, guard, chosen in choices:
            for outcome in _insert_branch(ctx, node, statement, table, name, state, chosen):
                found.append(outcome.given(guard, params))
    return found


def _insert_branch(
    ctx: Context, node: bound.Execute, statement: tree.Insert, table: tree.Table, name: str, state: State, branch: Branch
) -> list[Outcome]:
    storage = ctx.world.storage
    if statement.on_conflict is not None and statement.on_conflict.sets is not None:
        ctx.world.report.error(
            "M416",
            statement.span or ctx.span,
            "INSERT … SELECT … ON CONFLICT DO UPDATE is not modelled",
            "insert one row at a time in a `for`",
        )
        return []
    found: list[Outcome] = []
    values = _branch_values(ctx, statement, branch, state)
    skip: frozenset[str] = frozenset()
    if statement.on_conflict is not None:
        arbiters = [u for u in table.uniques if statement.on_conflict.unique in (None, u.name)]
        skip = frozenset(u.name for u in arbiters)
        taken: list[Expr] = []
        waits: list[Expr] = []
        for unique in arbiters:
            if table.serial is not None and unique.columns == (table.serial.name,):
                continue
            duplicate, busy = unique_conflicts(ctx, state, table, unique, _NOWHERE, values)
            other = rename(branch)
            others = _branch_values(ctx, statement, other, state)
            equal = [x.conj(ctx.world.terms.not_null(values[c]), x.equal(values[c], others[c])) for c in unique.columns]
            earlier = x.exists(other.locals, x.conj(other.condition, row_before(other.locals, branch.locals), *equal))
            taken.append(x.disj(duplicate, earlier))
            waits.extend(x.exists((o,), c) for o, c in busy)
        some = x.exists(branch.locals, x.conj(branch.condition, x.disj(*waits)))
        found.append(out(some, state, f"INSERT … SELECT waits for a key ({name})"))
        branch = replace(branch, condition=x.conj(branch.condition, x.neg(x.disj(*taken)), x.neg(some)))
        values = _branch_values(ctx, statement, branch, state)
    slot = x.local(name, name)
    smaller, other = x.local(name, name), rename(branch)
    free = storage.free(state, name, slot)
    rank_of_slot = x.count((smaller,), x.conj(x.less(smaller, slot), x.substitute(free, {slot: smaller})))
    rank_of_row = x.count(other.locals, x.conj(other.condition, row_before(other.locals, branch.locals)))
    here = x.conj(branch.condition, x.equal(rank_of_row, rank_of_slot))
    total = x.count(branch.locals, branch.condition)
    room = x.count((slot,), free)
    too_many = x.less(room, total)
    found.append(out(too_many, state, name))
    filled = x.conj(free, x.less(rank_of_slot, total))
    after = state.copy()
    before = state.copy()
    for column in table.columns:
        if column.serial:
            continue
        pending = f"{name}.{column.name}'"
        function = pending if pending in ctx.world.functions.functions else f"{name}.{column.name}"
        term = x.pick(branch.locals, here, values[column.name], x.const(storage.default(table, column)))
        after.write_all(function, lambda r, term=term: (x.substitute(filled, {slot: r}), x.substitute(term, {slot: r})))
    if storage.uses[name].deleted:
        after.write_all(f"{name}.~staying", lambda r: (x.substitute(filled, {slot: r}), x.TRUE))
    after.write_all(f"{name}.~writer", lambda r: (x.substitute(filled, {slot: r}), ctx.process))
    if name in storage.burned:
        after.write_all(f"{name}.~used", lambda r: (x.substitute(filled, {slot: r}), x.TRUE))
    enough = x.neg(too_many)
    passed: list[Expr] = []
    final = after.copy()
    for outcome in check_row(ctx, after, before, table, slot, None, redo_allowed=False, skip=skip):
        some = x.exists((slot, *outcome.params), x.conj(filled, outcome.guard))
        if outcome.exit == "error":
            found.append(failed(x.conj(enough, *passed, some), before, outcome.error))
            passed.append(x.neg(some))
        elif outcome.exit == "out":
            found.append(out(x.conj(enough, *passed, some), before, outcome.error))
            passed.append(x.neg(some))
    for key in table.foreign_keys:
        parent = x.local(key.parent, key.parent)
        mine = own_values(ctx, after, name, slot)
        same = [
            x.equal(mine[c], storage.column(after, key.parent, p, parent, ctx.process, ctx.role))
            for c, p in zip(key.columns, key.parent_columns, strict=True)
        ]
        chosen = x.conj(storage.visible(after, key.parent, parent, ctx.process, ctx.role), x.exists((slot,), x.conj(filled, *same)))
        storage.lock_all(final, key.parent, chosen, parent, "key share", ctx.process, ctx.role)
    result_branches: list[Branch] = []
    if statement.returning:
        relations = ctx.relations(final)
        env = relations.scope(ctx.env(final), {name: relations.table(name, name, slot)})
        columns = tuple(ctx.world.terms.value(o.expression, env) for o in statement.returning)
        result_branches = [Branch((slot,), filled, columns)]
    guard = x.conj(enough, *passed)
    found.extend(results.deliver(ctx, node, final, guard, result_branches, total, one=False))
    return found


def _branch_values(ctx: Context, statement: tree.Insert, branch: Branch, state: State) -> dict[str, Expr]:
    """Column values of the row that a result row becomes."""
    given = dict(zip(statement.columns, branch.columns, strict=True))
    env = ctx.env(state)
    values: dict[str, Expr] = {}
    for column in ctx.world.storage.schema.tables[statement.table].columns:
        if column.serial:
            continue
        if column.name in given:
            values[column.name] = given[column.name]
        else:
            values[column.name] = x.NULL if column.default is None else ctx.world.terms.value(column.default, env)
    return values
