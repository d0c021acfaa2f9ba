"""INSERT … SELECT: all rows of the result at once."""

from __future__ import annotations

from dataclasses import replace

from txweave.semantics import results
from txweave.semantics.constraints import NOWHERE, check_row, own_values, unique_conflicts
from txweave.semantics.context import Context, limit_of
from txweave.semantics.outcome import Outcome, failed, out
from txweave.semantics.relations import before as row_before
from txweave.semantics.relations import ordered_before, rename
from txweave.semantics.symbolic import State
from txweave.semantics.terms import Branch
from txweave.sql import program as bound
from txweave.sql import tree
from txweave.system import expr as x
from txweave.system.expr import Expr, Local


def results_of(ctx: Context, statement: tree.Insert, state: State) -> list[tuple[tuple[Local, ...], Expr, Branch]]:
    """What the query of an INSERT … SELECT may return: parameters, their condition, and the rows."""
    query, storage = statement.query, ctx.world.storage
    assert query is not None
    branches = ctx.relations(state).rows(query, ctx.env(state))
    if len(branches) > 1:
        ctx.world.report.error(
            "M413",
            query.span or ctx.span,
            "INSERT … SELECT from an outer join is not modelled",
            "write the outer side as a subquery",
        )
        return []
    limit = limit_of(query, storage.sizes)
    if limit is None:
        return [((), x.TRUE, branch) for branch in branches]
    return [found for branch in branches for found in results.limited(ctx, branch, query.order_by, limit)]


def insert_rows(ctx: Context, node: bound.Execute, statement: tree.Insert, state: State, branch: Branch) -> list[Outcome]:
    """Insert all rows of the result at once: the n-th row goes to the n-th free slot.

    Abstract ids are interchangeable, so the order does not matter; exact ones are taken in the order of the query.
    """
    name = statement.table
    table, storage, exact = ctx.world.storage.schema.tables[name], ctx.world.storage, name in ctx.world.storage.exact
    if statement.on_conflict is not None and statement.on_conflict.sets is not None:
        ctx.world.report.error(
            "M416",
            statement.span or ctx.span,
            "INSERT … SELECT … ON CONFLICT DO UPDATE is not modelled",
            "insert one row at a time in a `for`",
        )
        return []
    assert statement.query is not None
    keys = statement.query.order_by

    def precedes(one: Branch, two: Branch) -> Expr:
        return ordered_before(ctx.world.terms, keys, one.order, two.order) if exact else row_before(one.locals, two.locals)

    found: list[Outcome] = []
    selected = branch
    if exact and branch.locals:
        other = rename(branch)
        apart = x.neg(x.conj(*(x.equal(a, b) for a, b in zip(branch.locals, other.locals, strict=True))))
        tied = x.conj(branch.condition, other.condition, apart, x.neg(precedes(branch, other)), x.neg(precedes(other, branch)))
        ties = x.exists((*branch.locals, *other.locals), tied)
        found.append(out(ties, state, f"INSERT … SELECT gives ids to rows in no certain order ({name})"))
        branch = selected = replace(branch, condition=x.conj(branch.condition, x.neg(ties)))
    values = branch_values(ctx, statement, branch, state)
    skip: frozenset[str] = frozenset()
    if statement.on_conflict is not None:
        arbiters = [u for u in table.uniques if statement.on_conflict.unique in (None, u.name)]
        skip = frozenset(u.name for u in arbiters)
        taken: list[Expr] = []
        waits: list[Expr] = []
        for unique in arbiters:
            if table.serial is not None and unique.columns == (table.serial.name,):
                continue
            duplicate, busy = unique_conflicts(ctx, state, table, unique, NOWHERE, values)
            other = rename(branch)
            others = branch_values(ctx, statement, other, state)
            equal = [x.conj(ctx.world.terms.not_null(values[c]), x.equal(values[c], others[c])) for c in unique.columns]
            earlier = x.exists(other.locals, x.conj(other.condition, precedes(other, branch), *equal))
            taken.append(x.disj(duplicate, earlier))
            waits.extend(x.exists((o,), c) for o, c in busy)
        some = x.exists(branch.locals, x.conj(branch.condition, x.disj(*waits)))
        found.append(out(some, state, f"INSERT … SELECT waits for a key ({name})"))
        branch = replace(branch, condition=x.conj(branch.condition, x.neg(x.disj(*taken)), x.neg(some)))
        values = branch_values(ctx, statement, branch, state)
    # A row that ON CONFLICT leaves out takes a number all the same.
    numbered = selected if exact else branch
    slot = x.local(name, name)
    smaller, other = x.local(name, name), rename(numbered)
    free = storage.free(state, name, slot)
    rank_of_slot = x.count((smaller,), x.conj(x.less(smaller, slot), x.substitute(free, {slot: smaller})))
    rank_of_row = x.count(other.locals, x.conj(other.condition, precedes(other, branch)))
    here = x.conj(branch.condition, x.equal(rank_of_row, rank_of_slot))
    numbers = x.count(numbered.locals, numbered.condition)
    total = x.count(branch.locals, branch.condition)
    room = x.count((slot,), free)
    too_many = x.less(room, numbers)
    found.append(out(too_many, state, name))
    used = x.conj(free, x.less(rank_of_slot, numbers))
    filled = used if numbered is branch else x.conj(used, x.exists(branch.locals, here))
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
        after.write_all(f"{name}.~used", lambda r: (x.substitute(used, {slot: r}), x.TRUE))
    failing = storage.after_taking(before, after, name)
    enough = x.neg(too_many)
    passed: list[Expr] = []
    final = after.copy()
    for outcome in check_row(ctx, after, before, table, slot, None, redo_allowed=False, skip=skip):
        some = x.exists((slot, *outcome.params), x.conj(filled, outcome.guard))
        if outcome.exit == "error":
            # Foreign keys fail when all rows are there; what fails earlier has taken the ids of the rows before it only.
            whole = not exact or outcome.error == "foreign_key_violation"
            alone = x.TRUE if whole else x.neg(x.less(x.const(1), numbers))
            found.append(failed(x.conj(enough, *passed, some, alone), failing, outcome.error))
            what = f"INSERT … SELECT of several rows fails at one of them, with exact ids ({name})"
            found.append(out(x.conj(enough, *passed, some, x.neg(alone)), before, what))
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


def branch_values(ctx: Context, statement: tree.Insert, branch: Branch, state: State) -> dict[str, Expr]:
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
