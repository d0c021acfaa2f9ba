"""INSERT … VALUES, with RETURNING and ON CONFLICT; INSERT … SELECT of one row."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from txweave.semantics import waiting
from txweave.semantics.constraints import ALL, KEYS, NOWHERE, PARENTS, VALUES, check_row, unique_conflicts
from txweave.semantics.context import Context, one_row, single_row, walk
from txweave.semantics.in_place import Going, claim, find_parents
from txweave.semantics.insert_select import branch_values, insert_rows, results_of
from txweave.semantics.outcome import Outcome, failed, ok, out
from txweave.semantics.relations import rename
from txweave.semantics.symbolic import State
from txweave.semantics.terms import Env
from txweave.sql import program as bound
from txweave.sql import tree
from txweave.system import expr as x
from txweave.system.expr import Expr, Local


def row_values(
    ctx: Context, statement: tree.Insert, row: tuple[tree.Expr | None, ...], env: Env, known: Mapping[str, Expr] | None = None
) -> dict[str, Expr]:
    """The values of a new row by column: ``known`` ones, then those of the statement; missing ones are defaults."""
    given = dict(zip(statement.columns, row, strict=True))
    values: dict[str, Expr] = {}
    for column in ctx.world.storage.schema.tables[statement.table].columns:
        if column.serial:
            continue
        if known is not None and column.name in known:
            values[column.name] = known[column.name]
            continue
        expression = given.get(column.name)
        if expression is None:
            expression = column.default
        values[column.name] = x.NULL if expression is None else ctx.world.terms.value(expression, env)
    return values


def insert(
    ctx: Context,
    node: bound.Execute,
    statement: tree.Insert,
    state: State,
    start: int = 0,
    *,
    drawn: bool = False,
    given: Mapping[str, Expr] | None = None,
) -> list[Outcome]:
    """All outcomes of an INSERT … VALUES from its row ``start`` on: it has waited or paused there, with those before written.

    ``drawn``: it has taken the exact id of that row already.  ``given``: values of columns that a query has read.
    """
    table = ctx.world.storage.schema.tables[statement.table]
    simple = not any(isinstance(n, tree.ScalarQuery | tree.Exists | tree.InQuery) for n in walk(statement.rows))
    stops = simple and not table.foreign_keys
    earlier = _written_before(ctx, node, statement, state, start)
    if start or drawn:
        state = state.copy()
        waiting.clear(ctx, state)
    # One row after the other, each seeing those before it; (guard, params, state, slots of the rows that were inserted).
    going: list[Going] = [(x.TRUE, (), state.copy(), ())]
    ended: list[Outcome] = []
    snapshot = ctx.env(state)
    inserted: set[Expr] = set()
    for number, row in enumerate(statement.rows[start:], start):
        following: list[Going] = []
        for guard, params, current, slots in going:
            values = row_values(ctx, statement, row, snapshot, given)
            redo_allowed = stops or (simple and number == 0)
            origin = current if stops else ctx.world.storage.after_taking(state, current, table.name)
            twice = _any_of(earlier, slots)
            again = drawn and number == start
            for outcome, slot in _row(
                ctx, statement, table, current, origin, values, inserted, twice, redo_allowed=redo_allowed, drawn=again
            ):
                whole = outcome.given(guard, params)
                if outcome.exit == "ok":
                    following.append((whole.guard, whole.params, outcome.state, (*slots, slot)))
                elif outcome.exit == "pause drawn":
                    if stops or (simple and not number):
                        stopped = _so_far(ctx, node, statement, outcome.state, twice) if number else outcome.state
                        ended.append(replace(whole, exit=f"pause drawn {number}", state=stopped))
                elif outcome.exit == "redo" and number:
                    ended.append(replace(whole, exit=f"row {number}", state=_so_far(ctx, node, statement, outcome.state, twice)))
                else:
                    ended.append(whole)
        going = following
        if stops and ctx.pause(statement).partly and number + 1 < len(statement.rows):
            for guard, params, current, slots in going:
                stopped = _so_far(ctx, node, statement, current, _any_of(earlier, slots))
                note = "stops with some of its rows written, and goes on later"
                ended.append(Outcome(f"pause row {number + 1}", guard, stopped, "pauses", params, note=note))
    return [*ended, *find_parents(ctx, node, statement, state, going, inserted, earlier, start)]


def insert_select(ctx: Context, node: bound.Execute, statement: tree.Insert, state: State) -> list[Outcome]:
    """All outcomes of an INSERT … SELECT, from its start.

    One row is inserted as by VALUES: it may wait for keys and parents, and what it has read is kept meanwhile.
    """
    assert statement.query is not None
    found: list[Outcome] = []
    alone = one_row(statement)
    single = single_row(ctx.world.storage.schema, statement.query) and alone is not None
    for params, guard, branch in results_of(ctx, statement, state):
        one = x.equal(x.count(branch.locals, branch.condition), x.const(1)) if alone is not None else x.FALSE
        if not single:
            found.extend(o.given(x.conj(guard, x.neg(one)), params) for o in insert_rows(ctx, node, statement, state, branch))
        if alone is None:
            continue
        plain, read = alone
        row = rename(branch)
        values = branch_values(ctx, statement, row, state)
        given = {column: values[column] for column in read}
        whole = x.conj(guard, one, row.condition)
        for outcome in insert(ctx, node, plain, state, given=given):
            found.append(_with_values(ctx, statement.table, given, outcome).given(whole, (*params, *row.locals)))
        if ctx.pause(statement).late:
            note = "has its snapshot, and goes on later"
            stands = _with_values(ctx, statement.table, given, Outcome("pause row 0", x.TRUE, state, "pauses", note=note))
            found.append(stands.given(whole, (*params, *row.locals)))
        if single:
            none: Going = (x.conj(guard, x.neg(one)), params, state, (x.NULL,))
            found.extend(find_parents(ctx, node, plain, state, [none], set()))
    return found


def insert_selected(ctx: Context, node: bound.Execute, statement: tree.Insert, state: State, *, drawn: bool) -> list[Outcome]:
    """The same after a wait or a pause with nothing inserted."""
    alone = one_row(statement)
    assert alone is not None
    plain, read = alone
    given = {column: x.apply(waiting.value(ctx.world, ctx.role, statement.table, column), ctx.process) for column in read}
    cleared = state.copy()
    waiting.clear(ctx, cleared)
    return [
        _with_values(ctx, statement.table, given, outcome)
        for outcome in insert(ctx, node, plain, cleared, drawn=drawn, given=given)
    ]


def _with_values(ctx: Context, table: str, given: Mapping[str, Expr], outcome: Outcome) -> Outcome:
    """The outcome, with what the statement has read where it goes on from there."""
    if outcome.exit not in ("redo", "pause row 0", "pause drawn 0") or not given:
        return outcome
    state = outcome.state.copy()
    for column, value in given.items():
        state.write(waiting.value(ctx.world, ctx.role, table, column), (ctx.process,), value)
    return replace(outcome, state=state)


def _any_of(earlier: Callable[[Expr], Expr], slots: tuple[Expr, ...]) -> Callable[[Expr], Expr]:
    """That a row is one of these, or one of the earlier ones."""
    return lambda row: x.disj(earlier(row), *(x.equal(row, slot) for slot in slots if slot is not x.NULL))


def _keeps(node: bound.Execute, statement: tree.Insert) -> bool:
    """Whether it matters which rows an INSERT has written when it stands between two of them."""
    updates = statement.on_conflict is not None and statement.on_conflict.sets is not None
    return bool(node.into or node.rows or node.affected) or updates


def _written_before(ctx: Context, node: bound.Execute, statement: tree.Insert, held: State, start: int) -> Callable[[Expr], Expr]:
    """That an INSERT which stood before its row number ``start`` had written a row."""
    if not start or not _keeps(node, statement):
        return lambda _row: x.FALSE
    return lambda row: x.truth(held.read(waiting.got(ctx.world, ctx.role, statement.table), ctx.process, row))


def _so_far(ctx: Context, node: bound.Execute, statement: tree.Insert, state: State, written: Callable[[Expr], Expr]) -> State:
    """The state in which an INSERT stands between two rows."""
    if _keeps(node, statement):
        name = waiting.got(ctx.world, ctx.role, statement.table)
        state = state.copy()
        state.write_all(name, lambda p, r: (x.equal(p, ctx.process), written(r)))
    return state


@dataclass(frozen=True)
class _Place:
    """Where a new row goes: the slot, the condition that it is this one, the parameters that name it, and that there is none."""

    slot: Local
    chosen: Expr
    named: tuple[Local, ...]
    full: Expr


def _row(
    ctx: Context,
    statement: tree.Insert,
    table: tree.Table,
    state: State,
    origin: State,
    values: dict[str, Expr],
    inserted: set[Expr],
    earlier: Callable[[Expr], Expr],
    *,
    redo_allowed: bool,
    drawn: bool,
) -> list[tuple[Outcome, Expr]]:
    """One row, with its place (see :func:`_one`).

    An exact id is taken before anything is looked at (``ExecInsert`` gets the row with its defaults), and once only: a statement
    that waits for a key keeps the id that it has taken (``drawn``), and none is ever given back.
    """
    storage, name = ctx.world.storage, table.name
    slot = x.local(name, name)
    free = storage.free(state, name, slot)
    full = x.neg(x.exists((slot,), free))
    if name not in storage.exact:
        place = _Place(slot, x.least(slot, slot, free), (slot,), full)
        return _one(ctx, statement, table, state, origin, values, inserted, earlier, place, redo_allowed=redo_allowed)
    held = waiting.drawn(ctx.world, ctx.role, name)
    chosen = x.equal(x.apply(held, ctx.process), slot) if drawn else x.least(slot, slot, free)
    place = _Place(slot, x.TRUE, (), x.FALSE)
    state, before = state.copy(), origin.copy()
    storage.take(state, name, slot)
    storage.take(before, name, slot)
    found: list[tuple[Outcome, Expr]] = [] if drawn else [(out(full, origin, name), x.NULL)]
    if ctx.pause(statement).drawn and not drawn:
        stopped = before.copy()
        stopped.write(held, (ctx.process,), slot)
        note = "has taken an id, and goes on later"
        found.append((Outcome("pause drawn", chosen, stopped, "pauses", (slot,), note=note), x.NULL))
    for outcome, row in _one(ctx, statement, table, state, before, values, inserted, earlier, place, redo_allowed=redo_allowed):
        if outcome.exit == "redo":
            waits = outcome.state.copy()
            waits.write(held, (ctx.process,), slot)
            outcome = replace(outcome, state=waits)
        found.append((outcome.given(chosen, (slot,)), row))
    return found


def _one(
    ctx: Context,
    statement: tree.Insert,
    table: tree.Table,
    state: State,
    origin: State,
    values: dict[str, Expr],
    inserted: set[Expr],
    earlier: Callable[[Expr], Expr],
    place: _Place,
    *,
    redo_allowed: bool,
) -> list[tuple[Outcome, Expr]]:
    """One row: inserted (with its slot, which is added to ``inserted``), refused, waiting, or left to ON CONFLICT.

    ``earlier`` says which rows the statement has written already.
    Foreign keys are looked at later.
    """
    storage, name, slot = ctx.world.storage, table.name, place.slot
    found: list[tuple[Outcome, Expr]] = []
    conflict = statement.on_conflict
    proceed: Expr = x.TRUE
    parts = ALL - {PARENTS}
    if conflict is not None:
        # PostgreSQL looks at NOT NULL and CHECK before it looks for a conflict.
        parts = frozenset({KEYS})
        for outcome in check_row(
            ctx, state, origin, table, NOWHERE, None, redo_allowed=False, parts=frozenset({VALUES}), values=values
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
            duplicate, busy = unique_conflicts(ctx, state, table, unique, NOWHERE, values)
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
                    ctx, statement, table, state, origin, values, x.conj(proceed, hit), arbiters, earlier, redo_allowed, slot
                )
            )
        proceed = x.conj(proceed, x.neg(hit))
    # Constraints are looked at before the bound on rows: a row that is refused needs no slot.
    inserted.add(slot)
    for outcome in check_row(ctx, state, origin, table, NOWHERE, None, redo_allowed=redo_allowed, parts=parts, values=values):
        if outcome.exit == "redo" and outcome.claimed:
            # Those of its keys that come before are in their indexes: the row is in its place while it waits.
            if len(statement.rows) > 1:
                what = f"an INSERT of several rows waits for a second key ({name})"
                found.append((out(x.conj(proceed, outcome.guard), origin, what, outcome.params), x.NULL))
                continue
            there = outcome.state.copy()
            storage.insert(there, name, slot, values, ctx.process)
            found.append((out(x.conj(proceed, outcome.guard, place.full), origin, name, outcome.params), x.NULL))
            blocked_here = replace(outcome, state=there).given(x.conj(proceed, place.chosen), place.named)
            found.append((claim(ctx, blocked_here, table, slot), x.NULL))
            continue
        if outcome.exit != "ok":
            found.append((outcome.given(proceed), x.NULL))
            continue
        after = state.copy()
        storage.insert(after, name, slot, values, ctx.process)
        found.append((out(x.conj(proceed, outcome.guard, place.full), origin, name), x.NULL))
        found.append((ok(x.conj(proceed, outcome.guard, place.chosen), after, params=place.named), slot))
    return found


def _conflict_update(
    ctx: Context,
    statement: tree.Insert,
    table: tree.Table,
    state: State,
    origin: State,
    values: dict[str, Expr],
    guard: Expr,
    arbiters: list[tree.Unique],
    earlier: Callable[[Expr], Expr],
    redo_allowed: bool,
    slot: Local,
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
    twice = earlier(row)
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
            return slot if table.serial is not None and wanted == table.serial.name else values[wanted]
        return storage.column(state, name, wanted, row, ctx.process, ctx.role)

    env = ctx.env(state).with_columns(column)
    wanted = x.TRUE if conflict.where is None else terms.true(conflict.where, env)
    if wanted is not x.TRUE:
        locked = state.copy()
        target = x.local(name, name)
        storage.lock_all(locked, name, x.equal(target, row), target, mode, ctx.process, ctx.role)
        found.append((ok(x.conj(free, x.neg(wanted)), locked, params=(row,)), x.NULL))
    after = state.copy()
    new = {c: terms.value(e, env) for c, e in conflict.sets}
    crowded = storage.crowded(state, name, row, new, ctx.process, ctx.role)
    if crowded is not x.FALSE:
        found.append(
            (out(x.conj(free, wanted, crowded), origin, f"a transaction gives a row its third key ({name})", (row,)), x.NULL)
        )
        free = x.conj(free, x.neg(crowded))
    storage.update(after, name, row, new, ctx.process, ctx.role)
    for outcome in check_row(ctx, after, origin, table, row, set(new), redo_allowed=False):
        found.append((outcome.given(x.conj(free, wanted), (row,)), row))
    return found
