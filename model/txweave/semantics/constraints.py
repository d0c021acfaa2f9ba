"""Constraints: NOT NULL, CHECK, unique keys (with waits on uncommitted rows), foreign keys and their actions.

Sources: PostgreSQL's ``_bt_check_unique`` (a key is looked up among all versions, uncommitted ones too, and the transaction
that may decide is waited for) and ``ri_triggers.c`` (a parent is locked FOR KEY SHARE; actions run at the end of the statement
on what is committed then).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from txweave.semantics import waiting
from txweave.semantics.context import Context, walk
from txweave.semantics.outcome import Outcome, failed, ok, out
from txweave.semantics.symbolic import State
from txweave.sql import tree
from txweave.system import expr as x
from txweave.system.expr import Expr, Local

VALUES, KEYS, PARENTS = "values", "keys", "parents"
ALL = frozenset({VALUES, KEYS, PARENTS})
"""The kinds of constraints: NOT NULL and CHECK, unique keys, foreign keys."""
NOWHERE = x.const(None)
"""A row that is no row: one that is proposed, and not in the table."""


def own_values(ctx: Context, state: State, table: str, row: Expr) -> dict[str, Expr]:
    """The column values of a row as the process sees it."""
    storage = ctx.world.storage
    return {c.name: storage.column(state, table, c.name, row, ctx.process, ctx.role) for c in storage.schema.tables[table].columns}


def check_row(
    ctx: Context,
    after: State,
    before: State,
    table: tree.Table,
    row: Expr,
    columns: set[str] | None,
    *,
    redo_allowed: bool,
    skip: frozenset[str] = frozenset(),
    parts: frozenset[str] = ALL,
    values: dict[str, Expr] | None = None,
    old: State | None = None,
    stay: Callable[[State], None] | None = None,
    claimed: int = 0,
    pause: bool = False,
) -> list[Outcome]:
    """The ways in which a row that was written (``after``) passes or fails its constraints.

    ``columns`` are those that were written (None: all, an insert).  A wait for a key leaves the state as ``before`` says and
    tries the statement again (``redo``); where that would not be the same statement (``redo_allowed`` False) it leads out of the
    modelled ground. ``skip`` names unique constraints that are dealt with elsewhere (ON CONFLICT).  ``parts`` are the kinds of
    constraints to look at. ``values`` are the row's, when it is not in ``after``.  ``old`` is the state before the row was
    written, if that is not ``before``.  A wait for a parent keeps what was written (``parents``); ``stay`` notes in the state what
    is left to do after it; without it the wait leads out of the modelled ground.  ``claimed`` is the number of unique keys that
    have been checked already.  ``pause``: it may also stop before it looks for a parent.
    """
    found: list[Outcome] = []
    passed: list[Expr] = []

    def fails(guard: Expr, error: str) -> None:
        if guard is not x.FALSE:
            found.append(failed(x.conj(*passed, guard), before.copy(), error))
            passed.append(x.neg(guard))

    values = own_values(ctx, after, table.name, row) if values is None else values
    if VALUES in parts:
        for guard, error in _bad_values(ctx, after, table, values, columns):
            fails(guard, error)
    for number, unique in enumerate(unique_keys(table) if KEYS in parts else ()):
        if number < claimed or unique.name in skip or not unique_matters(unique, table, columns):
            continue
        duplicate, busy = unique_conflicts(ctx, after, table, unique, row, values)
        fails(duplicate, "unique_violation")
        blocked: list[Expr] = []
        for other, condition in busy:
            blocked.append(x.exists((other,), condition))
            waits = _wait(ctx, before, x.conj(*passed, condition), other, redo_allowed, table.name)
            found.append(replace(waits, claimed=number))
        passed.append(x.neg(x.disj(*blocked)))
    final = after.copy()
    for key in table.foreign_keys if PARENTS in parts else ():
        required = foreign_key_asks(ctx, before if old is None else old, table, key, row, columns, values)
        if required is x.FALSE:
            continue
        parent = x.local(key.parent, key.parent)
        there, busy = parent_of(ctx, after, key, values, parent, required)
        if pause and stay is not None:
            stands = final.copy()
            stay(stands)
            note = "has written its row, and looks for the parent later"
            found.append(Outcome("pause parents", x.conj(*passed, required), stands, "pauses", note=note))
        for other, condition in busy:
            found.append(_wait_for_parent(ctx, final, x.conj(*passed, condition), other, stay, table.name))
        passed.append(x.neg(x.disj(*(x.exists((other,), condition) for other, condition in busy))))
        fails(x.conj(required, x.neg(x.exists((parent,), there))), "foreign_key_violation")
        ctx.world.storage.lock_all(final, key.parent, x.conj(required, there), parent, "key share", ctx.process, ctx.role)
    found.append(ok(x.conj(*passed), final))
    return found


def foreign_key_asks(
    ctx: Context,
    old: State,
    table: tree.Table,
    key: tree.ForeignKey,
    row: Expr,
    columns: set[str] | None,
    values: dict[str, Expr],
) -> Expr:
    """Whether a row that is written (``columns``: by an UPDATE) must find its parent.

    An UPDATE that leaves the reference as it is asks only if the row's old version is the transaction's own
    (``RI_FKey_fk_upd_check_required``): then it asks whatever columns are set.
    """
    storage, terms = ctx.world.storage, ctx.world.terms
    given = x.conj(*(terms.not_null(values[c]) for c in key.columns))
    if columns is None:
        return given
    changed = x.disj(
        *(
            x.neg(x.equal(values[c], storage.column(old, table.name, c, row, ctx.process, ctx.role)))
            for c in key.columns
            if c in columns
        )
    )
    return x.conj(given, x.disj(changed, written_before(ctx, old, table.name, row)))


def written_before(ctx: Context, state: State, table: str, row: Expr) -> Expr:
    """The process has a version of the row, from an earlier statement of its transaction."""
    if ctx.role not in ctx.world.storage.uses[table].rewriters:
        return x.FALSE
    own = ctx.world.storage.owns(state, table, row, ctx.process, ctx.role)
    name = waiting.begun(ctx.world, ctx.role, table)
    # A statement that is tried again has the row by its first try.
    return x.conj(own, x.neg(x.truth(x.apply(name, ctx.process, row))))


def _bad_values(
    ctx: Context, state: State, table: tree.Table, values: dict[str, Expr], columns: set[str] | None
) -> Iterator[tuple[Expr, str]]:
    """NOT NULL and CHECK, in PostgreSQL's order: that a constraint is broken, and the error."""
    terms = ctx.world.terms
    written = [c for c in table.columns if columns is None or c.name in columns]
    yield x.disj(*(terms.is_null(values[c.name]) for c in written if not c.nullable and not c.serial)), "not_null_violation"
    env = ctx.env(state).with_columns(lambda _source, name: values[name])
    for check in table.checks:
        used = {n.column for n in walk(check.condition) if isinstance(n, tree.ColumnRef)}
        if columns is None or used & columns:
            yield terms.false(check.condition, env), "check_violation"


def parent_of(
    ctx: Context, state: State, key: tree.ForeignKey, values: dict[str, Expr], parent: Local, required: Expr
) -> tuple[Expr, list[tuple[Local, Expr]]]:
    """That ``parent`` is the row referred to, and for each role whom to wait for (local, condition) if it is ``required``."""
    storage = ctx.world.storage
    same = [
        x.equal(values[c], storage.column(state, key.parent, p, parent, ctx.process, ctx.role))
        for c, p in zip(key.columns, key.parent_columns, strict=True)
    ]
    there = x.conj(storage.visible(state, key.parent, parent, ctx.process, ctx.role), *same)
    busy: list[tuple[Local, Expr]] = []
    for role in ctx.rivals():
        other = x.local(role, role)
        held = storage.conflict(state, key.parent, parent, "key share", ctx.process, other, role)
        condition = x.conj(required, x.exists((parent,), x.conj(there, held)))
        if condition is not x.FALSE:
            busy.append((other, condition))
    return there, busy


def unique_keys(table: tree.Table) -> list[tree.Unique]:
    """The unique constraints that can be broken: generated ids are fresh."""
    return [u for u in table.uniques if table.serial is None or table.serial.name not in u.columns]


def unique_matters(unique: tree.Unique, table: tree.Table, columns: set[str] | None) -> bool:
    """Whether writing these columns (None: all) can break a unique constraint."""
    if unique not in unique_keys(table):
        return False
    if columns is None:
        return True
    inside = {n.column for n in walk(unique.where) if isinstance(n, tree.ColumnRef)}
    return bool((set(unique.columns) | inside) & columns)


def _wait(ctx: Context, before: State, guard: Expr, other: Local, redo_allowed: bool, table: str) -> Outcome:
    if not redo_allowed:
        return out(guard, before, f"waiting for a key in a statement that cannot simply be tried again ({table})", (other,))
    state = before.copy()
    waiting.begin_wait(ctx, state, other)
    return Outcome("redo", guard, state, "waits", (other,), note="waits for")


def _wait_for_parent(
    ctx: Context, after: State, guard: Expr, other: Local, stay: Callable[[State], None] | None, table: str
) -> Outcome:
    if stay is None:
        return out(guard, after, f"waiting for a parent in the middle of a statement ({table})", (other,))
    state = after.copy()
    stay(state)
    waiting.begin_wait(ctx, state, other)
    return Outcome("parents", guard, state, "waits", (other,), note="waits for the parent of its row, behind")


def unique_conflicts(
    ctx: Context,
    state: State,
    table: tree.Table,
    unique: tree.Unique,
    row: Expr,
    values: dict[str, Expr],
    among: Callable[[Expr], Expr] | None = None,
) -> tuple[Expr, list[tuple[Local, Expr]]]:
    """For a row with these values: that its key is taken for certain, and for each role whom to wait for (local, condition).

    ``among`` restricts the rows that are looked at; by default all but ``row``.
    """
    storage, terms = ctx.world.storage, ctx.world.terms
    applies = [terms.not_null(values[c]) for c in unique.columns]
    if unique.where is not None:
        applies.append(terms.true(unique.where, ctx.env(state).with_columns(lambda _source, name: values[name])))
    if x.FALSE in applies:
        return x.FALSE, []
    number = [*unique_keys(table), unique].index(unique)
    rival = x.local(table.name, table.name)
    different = x.neg(x.equal(rival, row)) if among is None else among(rival)

    def same(read: Callable[[State, str, str, Expr], Expr]) -> Expr:
        parts = [x.equal(values[c], read(state, table.name, c, rival)) for c in unique.columns]
        if unique.where is not None:
            env = ctx.env(state).with_columns(lambda _source, name: read(state, table.name, name, rival))
            parts.append(terms.true(unique.where, env))
        return x.conj(*parts)

    name = table.name
    nobody = x.equal(storage.writer(state, name, rival), x.NULL)
    own = storage.owns(state, name, rival, ctx.process, ctx.role)
    committed = x.conj(storage.live(state, name, rival), same(storage.committed))
    present = same(storage.pending)
    taken = x.conj(different, x.disj(x.conj(nobody, committed), x.conj(own, storage.staying(state, name, rival), present)))
    duplicate = x.conj(*applies, x.exists((rival,), taken))
    older = x.conj(storage.has_older(state, name, rival), same(storage.older))
    busy: list[tuple[Local, Expr]] = []
    for role in sorted(storage.uses[name].writers & set(ctx.rivals())):
        other = x.local(role, role)
        # Whoever gave a row this key is waited for, even if he has deleted it or given it another (``HeapTupleSatisfiesDirty``).
        theirs = x.conj(x.equal(storage.writer(state, name, rival), other), x.disj(committed, present, older))
        # A row that waits for one of its keys has not claimed that one, nor those that come later.
        theirs = x.conj(theirs, x.neg(waiting.unclaimed(ctx.world, state, name, rival, role, other, number)))
        condition = x.conj(*applies, x.neg(x.equal(other, ctx.process)), x.exists((rival,), x.conj(different, theirs)))
        busy.append((other, condition))
    return duplicate, busy


def children_of(ctx: Context, table: str) -> Iterator[tuple[tree.Table, tree.ForeignKey]]:
    """Foreign keys that point to the table."""
    for child in ctx.world.storage.schema.tables.values():
        for key in child.foreign_keys:
            if key.parent == table:
                yield child, key


def check_deleted(ctx: Context, before: State, after: State, table: str, chosen: Expr, row: Local) -> list[Outcome]:
    """What happens to the children of rows that were deleted: refused, deleted too, or set to NULL."""
    storage = ctx.world.storage
    state = after.copy()
    found: list[Outcome] = []
    passed: list[Expr] = []
    for child, key in children_of(ctx, table):
        kid = x.local(child.name, child.name)
        same = [
            x.equal(
                storage.column(before, child.name, c, kid, ctx.process, ctx.role),
                storage.column(before, table, p, row, ctx.process, ctx.role),
            )
            for c, p in zip(key.columns, key.parent_columns, strict=True)
        ]
        # Children as they are at the end of the statement: a self-reference may have been deleted by it already.
        there = storage.visible(state, child.name, kid, ctx.process, ctx.role)
        orphaned = x.conj(there, x.exists((row,), x.conj(chosen, *same)))
        if orphaned is x.FALSE:
            continue
        mode = {"cascade": "update", "set null": "no key update"}.get(key.on_delete, "key share")
        busy = x.exists((kid,), x.conj(orphaned, waiting.conflicting(ctx, state, child.name, kid, mode)))
        if busy is not x.FALSE:
            found.append(out(x.conj(*passed, busy), before, f"a foreign-key action on {child.name} meets a locked row"))
            passed.append(x.neg(busy))
        if key.on_delete == "cascade":
            prior = state.copy()
            storage.delete_all(state, child.name, orphaned, kid, ctx.process)
            deeper = check_deleted(ctx, prior, state, child.name, orphaned, kid)
            for outcome in deeper:
                if outcome.exit != "ok":
                    found.append(outcome.given(x.conj(*passed)))
                else:
                    state = outcome.state.copy()
                    passed.append(outcome.guard)
        elif key.on_delete == "set null":
            prior = state.copy()
            storage.update_all(state, child.name, orphaned, kid, dict.fromkeys(key.columns, x.NULL), ctx.process, ctx.role)
            asks, busy = _other_parents(ctx, prior, state, child, key, orphaned, kid)
            if busy is not x.FALSE:
                found.append(out(x.conj(*passed, busy), before, f"a foreign-key action on {child.name} waits for a parent"))
                passed.append(x.neg(busy))
            for parent, locked, row_ in asks:
                storage.lock_all(state, parent, locked, row_, "key share", ctx.process, ctx.role)
        else:
            bad = x.exists((kid,), orphaned)
            # PostgreSQL 18 tells RESTRICT (23001) from NO ACTION (23503); before, both were the latter.
            name = "restrict_violation" if key.on_delete == "restrict" else "foreign_key_violation"
            found.append(failed(x.conj(*passed, bad), before, name))
            passed.append(x.neg(bad))
    found.append(ok(x.conj(*passed), state))
    return found


def _other_parents(
    ctx: Context, old: State, state: State, child: tree.Table, key: tree.ForeignKey, orphaned: Expr, kid: Local
) -> tuple[list[tuple[str, Expr, Local]], Expr]:
    """The parents by other keys of rows whose reference by ``key`` becomes NULL: they are asked for as by any UPDATE.

    Each as (table, condition, row), and whether one would have to be waited for.
    """
    found: list[tuple[str, Expr, Local]] = []
    waits: list[Expr] = []
    values = own_values(ctx, state, child.name, kid)
    for other in child.foreign_keys:
        required = foreign_key_asks(ctx, old, child, other, kid, set(key.columns), values) if other != key else x.FALSE
        if required is x.FALSE:
            continue
        parent = x.local(other.parent, other.parent)
        there, busy = parent_of(ctx, state, other, values, parent, required)
        waits.extend(x.exists((who, kid), x.conj(orphaned, condition)) for who, condition in busy)
        found.append((other.parent, x.exists((kid,), x.conj(orphaned, required, there)), parent))
    return found, x.disj(*waits)
