"""Rows of an INSERT in their places: what is left of the statement when it has waited for a unique key or a parent."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from txweave.semantics import results, waiting
from txweave.semantics.constraints import KEYS, PARENTS, check_row, unique_keys
from txweave.semantics.context import Context
from txweave.semantics.outcome import Outcome
from txweave.semantics.symbolic import State
from txweave.semantics.terms import Branch
from txweave.sql import program as bound
from txweave.sql import tree
from txweave.system import expr as x
from txweave.system.expr import Expr, Local

Going = tuple[Expr, tuple[Local, ...], State, tuple[Expr, ...]]
"""A way on: its condition, its parameters, the state, and the slots of the rows so far (NULL: nothing was inserted)."""


def find_parents(
    ctx: Context,
    node: bound.Execute,
    statement: tree.Insert,
    origin: State,
    going: list[Going],
    inserted: set[Expr],
    earlier: Callable[[Expr], Expr] = lambda _row: x.FALSE,
    start: int = 0,
) -> list[Outcome]:
    """Foreign keys, which are looked at when all rows are there, and the end of the statement.

    ``earlier`` says which rows were written before the statement's row number ``start``, where it waited or paused.
    """
    table = ctx.world.storage.schema.tables[statement.table]
    found: list[Outcome] = []
    for number in range(len(statement.rows) if table.foreign_keys else 0):
        following = []
        for guard, params, current, slots in going:
            if slots[number] not in inserted:
                following.append((guard, params, current, slots))
                continue
            left = [slot for slot in slots[number:] if slot in inserted]
            for outcome in check_row(
                ctx,
                current,
                ctx.world.storage.after_taking(origin, current, table.name),
                table,
                slots[number],
                None,
                redo_allowed=False,
                parts=frozenset({PARENTS}),
                stay=partial(_stay, ctx, node, table.name, left, slots),
                pause=ctx.pause(statement).parents and number == 0,
            ):
                whole = outcome.given(guard, params)
                if outcome.exit == "ok":
                    following.append((whole.guard, whole.params, outcome.state, slots))
                else:
                    found.append(whole)
        going = following
    for guard, params, current, slots in going:
        found.extend(_finish(ctx, node, statement, current, guard, params, slots, earlier, start))
    return found


def keys_resumed(ctx: Context, node: bound.Execute, statement: tree.Insert, state: State) -> list[Outcome]:
    """After waiting for one of several unique keys: the row is in its place, and goes on with that key."""
    table = ctx.world.storage.schema.tables[statement.table]
    slot = x.local(table.name, table.name)
    most = len(unique_keys(table))
    place = x.equal(x.apply(waiting.put(ctx.world, ctx.role, table.name), ctx.process), slot)
    claimed = x.apply(waiting.claimed(ctx.world, ctx.role, table.name, most), ctx.process)
    cleared = state.copy()
    waiting.clear(ctx, cleared)
    found: list[Outcome] = []
    for number in range(1, most):
        here = x.conj(place, x.equal(claimed, x.const(number)))
        for outcome in check_row(
            ctx, cleared, cleared, table, slot, None, redo_allowed=True, parts=frozenset({KEYS}), claimed=number
        ):
            whole = outcome.given(here, (slot,))
            if outcome.exit == "redo":
                found.append(claim(ctx, whole, table, slot))
            elif outcome.exit == "ok":
                going: list[Going] = [(whole.guard, whole.params, outcome.state, (slot,))]
                found.extend(find_parents(ctx, node, statement, cleared, going, {slot}))
            else:
                found.append(whole)
    return found


def claim(ctx: Context, waits: Outcome, table: tree.Table, slot: Expr) -> Outcome:
    """The wait for a key of a row that is in its place."""
    state = waits.state.copy()
    state.write(waiting.put(ctx.world, ctx.role, table.name), (ctx.process,), slot)
    name = waiting.claimed(ctx.world, ctx.role, table.name, len(unique_keys(table)))
    state.write(name, (ctx.process,), x.const(waits.claimed))
    return replace(waits, exit="keys", state=state)


def _finish(
    ctx: Context,
    node: bound.Execute,
    statement: tree.Insert,
    state: State,
    guard: Expr,
    params: tuple[Local, ...],
    slots: tuple[Expr, ...],
    earlier: Callable[[Expr], Expr],
    start: int,
) -> list[Outcome]:
    """RETURNING and the row count; a slot is NULL where ON CONFLICT DO NOTHING inserted nothing."""
    rows = [slot for slot in slots if slot is not x.NULL]
    row = x.local(statement.table, statement.table)
    condition = x.disj(earlier(row), *(x.equal(row, slot) for slot in rows))
    branches = _returned(ctx, statement, state, row, condition)
    total = x.count((row,), condition) if start else x.const(len(rows))
    one = len(statement.rows) <= 1 if start else len(rows) <= 1
    label = "ok after waiting" if start else "ok" if rows else "nothing inserted"
    outcomes = results.deliver(ctx, node, state, guard, branches, total, one=one, label=label)
    counts = not start or bool(node.into or node.rows or node.affected)
    return [(o if counts else o.uncounted()).given(x.TRUE, params) for o in outcomes]


def _returned(ctx: Context, statement: tree.Insert, state: State, row: Local, condition: Expr) -> list[Branch]:
    """RETURNING of the rows for which ``condition`` (over ``row``) holds."""
    if not statement.returning:
        return []
    relations = ctx.relations(state)
    columns = relations.table(statement.table, statement.table, row)
    env = relations.scope(ctx.env(state), {statement.table: columns})
    return [Branch((row,), condition, tuple(ctx.world.terms.value(o.expression, env) for o in statement.returning))]


def _stay(ctx: Context, node: bound.Execute, table: str, left: Sequence[Expr], slots: Sequence[Expr], state: State) -> None:
    """Note before a wait for a parent which rows have theirs still to find, and (if it matters) all that were written."""

    def note(name: str, rows: Sequence[Expr]) -> None:
        state.write_all(name, lambda p, r: (x.equal(p, ctx.process), x.disj(*(x.equal(r, slot) for slot in rows))))

    note(waiting.todo(ctx.world, ctx.role, table), left)
    if node.into or node.rows or node.affected:
        note(waiting.got(ctx.world, ctx.role, table), [slot for slot in slots if slot is not x.NULL])


def parents_resumed(ctx: Context, node: bound.Execute, statement: tree.Insert, state: State) -> list[Outcome]:
    """After waiting for a parent: the rows are in their places; those left find their parents, in the order of the rows."""
    table = ctx.world.storage.schema.tables[statement.table]
    name = table.name
    todo = waiting.todo(ctx.world, ctx.role, name)
    counts = bool(node.into or node.rows or node.affected)
    cleared = state.copy()
    waiting.clear(ctx, cleared)

    def written(row: Expr) -> Expr:
        return x.truth(x.apply(waiting.got(ctx.world, ctx.role, name), ctx.process, row)) if counts else x.FALSE

    found: list[Outcome] = []
    going: list[Going] = [(x.TRUE, (), cleared, ())]
    for number in range(len(statement.rows)):
        following = []
        for guard, params, current, checked in going:
            here = x.local(name, name)

            def left(row: Expr, checked: tuple[Expr, ...] = checked) -> Expr:
                return x.conj(x.truth(x.apply(todo, ctx.process, row)), *(x.neg(x.equal(row, c)) for c in checked))

            if number:
                none = x.neg(x.exists((here,), left(here)))
                following.append((x.conj(guard, none), params, current, checked))

            def stay(waits: State, left: Callable[[Expr], Expr] = left) -> None:
                waits.write_all(todo, lambda p, r: (x.equal(p, ctx.process), left(r)))
                if counts:
                    waits.write_all(waiting.got(ctx.world, ctx.role, name), lambda p, r: (x.equal(p, ctx.process), written(r)))

            # A row takes the least free slot, so that the slots are in the order of the rows.
            place = x.least(here, here, left(here))
            for outcome in check_row(
                ctx, current, current, table, here, None, redo_allowed=False, parts=frozenset({PARENTS}), stay=stay
            ):
                whole = outcome.given(x.conj(guard, place), (*params, here))
                if outcome.exit == "ok":
                    following.append((whole.guard, whole.params, outcome.state, (*checked, here)))
                else:
                    found.append(whole)
        going = following
    row = x.local(name, name)
    for guard, params, current, checked in going:
        done = x.neg(x.exists((row,), x.conj(x.truth(x.apply(todo, ctx.process, row)), *(x.neg(x.equal(row, c)) for c in checked))))
        ends = results.deliver(
            ctx,
            node,
            current,
            x.conj(guard, done),
            _returned(ctx, statement, current, row, written(row)),
            x.count((row,), written(row)),
            one=len(statement.rows) <= 1,
            label="ok after waiting",
        )
        found.extend((end if counts else end.uncounted()).given(x.TRUE, params) for end in ends)
    return found
