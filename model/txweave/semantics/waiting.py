"""Waiting for locks: whom a blocked process waits for, in which order, and how the server breaks a cycle.

A process waits for the *end of a transaction*.  The first to wait for a row waits for the holder; those who come later wait
for the one before them (PostgreSQL: the tuple lock, ``src/backend/access/heap/README.tuplock``), so that a queue is served in
order and its edges count in deadlocks.
"""

from __future__ import annotations

from collections.abc import Iterator

from txweave.semantics.context import UNKNOWN, Context, World
from txweave.semantics.storage import CONFLICTS, MODES
from txweave.semantics.symbolic import State
from txweave.system import expr as x
from txweave.system.expr import BOOL, Domain, Expr, Local


def blocker(world: World, role: str) -> str:
    """The function: whom a process of the role waits for; NULL when nobody (any more)."""
    return world.functions.declare(f"{role}.~blocker", [role], Domain(sorts=world.roles, nullable=True), None, ("blocker", role))


def at(world: World, role: str, table: str) -> str:
    """The function: the row of the table that a process waits for; NULL when none."""
    return world.functions.declare(f"{role}.~at.{table}", [role], Domain(sorts=(table,), nullable=True), None, ("at", role, table))


def wants(world: World, role: str, table: str) -> str:
    """The function: the row-lock mode that a process waits for; NULL when none."""
    domain = Domain(values=MODES, nullable=True)
    return world.functions.declare(f"{role}.~wants.{table}", [role], domain, None, ("wants", role, table))


def begin_to_want(ctx: Context, state: State, before: State, table: str, row: Expr, mode: Expr) -> None:
    """The process queues for the row, unless it has a lock on it already: such a one takes no place in the queue
    (``current_is_member`` in ``heap_update``).
    """
    wanted = x.ite(_member(ctx, before, table, row), x.NULL, mode)
    state.write(wants(ctx.world, ctx.role, table), (ctx.process,), wanted)


def _member(ctx: Context, state: State, table: str, row: Expr) -> Expr:
    """The process has written the row or has a lock on it."""
    own = ctx.world.storage.owns(state, table, row, ctx.process, ctx.role)
    lock = f"{table}.~lock.{ctx.role}"
    if lock in ctx.world.functions.functions:
        return x.disj(own, x.neg(x.equal(state.read(lock, ctx.process, row), x.NULL)))
    return own


def outdate(world: World, state: State, process: Expr, role: str) -> None:
    """``process`` commits: those who wait for rows that it wrote queue before an old version, where nobody comes any more."""
    storage = world.storage
    before = state.copy()
    for other in world.roles:
        for table in storage.tables_of(role):
            name = f"{other}.~wants.{table}"
            if name not in world.functions.functions:
                continue

            def make(q: Expr, other: str = other, table: str = table) -> tuple[Expr, Expr]:
                row = x.local(table, table)
                stands = x.equal(before.read(f"{other}.~at.{table}", q), row)
                written = storage.owns(before, table, row, process, role)
                return x.exists((row,), x.conj(stands, written)), x.NULL

            state.write_all(name, make)


def changed(world: World, role: str, table: str, column: str) -> str:
    """The relation: rows that a statement has still to deal with, and whose column others have changed since its snapshot."""
    about = ("todo", role, table, column)
    return world.functions.declare(f"{role}.~changed.{table}.{column}", [role, table], BOOL, False, about)


def note_changes(world: World, state: State, process: Expr, role: str) -> None:
    """``process`` commits: statements that stand in the middle will find other values in the rows that it has changed."""
    storage = world.storage
    before = state.copy()
    for name, function in list(world.functions.functions.items()):
        if len(function.about) != 4 or function.about[0] != "todo" or role not in storage.uses[function.about[2]].writers:
            continue
        _, other, table, column = function.about
        rows = todo(world, other, table)

        def make(q: Expr, row: Expr, rows: str = rows, table: str = table, column: str = column) -> tuple[Expr, Expr]:
            differs = x.neg(x.equal(storage.pending(before, table, column, row), storage.committed(before, table, column, row)))
            written = storage.owns(before, table, row, process, role)
            return x.conj(x.truth(before.read(rows, q, row)), written, differs), x.TRUE

        state.write_all(name, make)


def todo(world: World, role: str, table: str) -> str:
    """The relation: rows that a waiting statement has still to deal with."""
    return world.functions.declare(f"{role}.~todo.{table}", [role, table], BOOL, False, ("todo", role, table))


def got(world: World, role: str, table: str) -> str:
    """The relation: rows that a waiting statement has dealt with already."""
    return world.functions.declare(f"{role}.~got.{table}", [role, table], BOOL, False, ("todo", role, table))


def begun(world: World, role: str, table: str) -> str:
    """The relation: rows that the process has only by a statement that is to be tried again."""
    return world.functions.declare(f"{role}.~begun.{table}", [role, table], BOOL, False, ("todo", role, table))


def put(world: World, role: str, table: str) -> str:
    """The function: the new row of a process that waits for one of its unique keys; NULL when it has claimed none yet."""
    return world.functions.declare(
        f"{role}.~put.{table}", [role], Domain(sorts=(table,), nullable=True), None, ("put", role, table)
    )


def drawn(world: World, role: str, table: str) -> str:
    """The function: the exact id that an INSERT took before it began to wait for a key; NULL when none."""
    return world.functions.declare(
        f"{role}.~drawn.{table}", [role], Domain(sorts=(table,), nullable=True), None, ("put", role, table)
    )


def claimed(world: World, role: str, table: str, most: int) -> str:
    """The function: how many unique keys of that row are in their indexes; NULL when it waits for none."""
    domain = Domain(values=tuple(range(1, most)), nullable=True)
    return world.functions.declare(f"{role}.~claimed.{table}", [role], domain, None, ("claimed", role, table))


def unclaimed(world: World, state: State, table: str, row: Expr, role: str, other: Expr, number: int) -> Expr:
    """The row of ``other`` waits for a key, and its key of this number (from 0) is not in its index."""
    name = f"{role}.~claimed.{table}"
    if name not in world.functions.functions:
        return x.FALSE
    mine = x.equal(state.read(put(world, role, table), other), row)
    return x.conj(mine, x.disj(*(x.equal(state.read(name, other), x.const(n)) for n in range(1, number + 1))))


def value(world: World, role: str, table: str, column: str) -> str:
    """The function: what an INSERT … SELECT has read for a column of its row and stands with; NULL when it does not."""
    about = ("value", role, table, column)
    return world.functions.declare(f"{role}.~value.{table}.{column}", [role], UNKNOWN, None, about)


def begin_wait(ctx: Context, state: State, other: Expr) -> None:
    """The process waits for ``other``'s transaction to end."""
    state.write(blocker(ctx.world, ctx.role), (ctx.process,), other)


def release(world: World, state: State, process: Expr) -> None:
    """``process``'s transaction ends: those who wait for it may go on."""
    for role in world.roles:
        name = f"{role}.~blocker"
        if name in world.functions.functions:
            before = state.copy()
            state.write_all(name, lambda q, name=name, before=before: (x.equal(before.read(name, q), process), x.NULL))


def release_after_rollback_to(world: World, state: State, process: Expr, own_role: str) -> None:
    """``process`` has gone back to a savepoint: those may go on whose row it does not have by a version from before.

    A lock that was taken since the savepoint belongs to a subtransaction, whose end wakes those who wait for it.
    """
    storage = world.storage
    for role in world.roles:
        name = f"{role}.~blocker"
        if name not in world.functions.functions:
            continue
        before = state.copy()

        def stays(q: Expr, role: str = role, before: State = before) -> Expr:
            parts: list[Expr] = []
            for table in storage.tables_of(own_role):
                if f"{role}.~at.{table}" in world.functions.functions:
                    row = x.local(table, table)
                    here = x.equal(before.read(f"{role}.~at.{table}", q), row)
                    wanted = before.read(wants(world, role, table), q)
                    strong = x.disj(*(x.equal(wanted, x.const(m)) for m in MODES if "no key update" in CONFLICTS[m]))
                    parts.append(x.exists((row,), x.conj(here, strong, storage.owns(before, table, row, process, own_role))))
            return x.disj(*parts)

        state.write_all(
            name,
            lambda q, name=name, before=before, stays=stays: (
                x.conj(x.equal(before.read(name, q), process), x.neg(stays(q))),
                x.NULL,
            ),
        )


def release_row(world: World, state: State, process: Expr, table: str, row: Expr, where: Expr = x.TRUE, to: Expr = x.NULL) -> None:
    """Those who queue behind ``process`` for a row that is gone (if ``where``) may go on, or wait for ``to`` now."""
    for role in world.roles:
        name, place = f"{role}.~blocker", f"{role}.~at.{table}"
        if name in world.functions.functions and place in world.functions.functions:
            before = state.copy()
            state.write_all(
                name,
                lambda q, name=name, place=place, before=before: (
                    x.conj(where, x.equal(before.read(name, q), process), x.equal(before.read(place, q), row)),
                    to,
                ),
            )


def clear(ctx: Context, state: State) -> None:
    """The process no longer waits: forget row, queue and progress of the statement."""
    functions = ctx.world.functions.functions
    for name in sorted(functions):
        function = functions[name]
        if function.params[:1] != (ctx.role,):
            continue
        if function.about[0] in ("at", "blocker", "wants", "put", "claimed", "value"):
            state.write(name, (ctx.process,), x.NULL)
        elif function.about[0] in ("todo", "kept"):
            initial = x.const(function.initial)
            state.write_all(name, lambda p, _row, initial=initial: (x.equal(p, ctx.process), initial))


def waiters(world: World, table: str) -> Iterator[tuple[str, str]]:
    """Roles that may wait for rows of the table, each with its ``at`` function."""
    for role in world.roles:
        name = f"{role}.~at.{table}"
        if name in world.functions.functions:
            yield role, name


def conflicting(ctx: Context, state: State, table: str, row: Expr, mode: str) -> Expr:
    """Some other process holds the row against ``mode``."""
    storage = ctx.world.storage
    parts = []
    for role in ctx.rivals():
        other = x.local(role, role)
        parts.append(x.exists((other,), storage.conflict(state, table, row, mode, ctx.process, other, role)))
    return x.disj(*parts)


def _all_kept(world: World, role: str, table: str) -> bool:
    """Whether every row lock that the role takes on the table is part of the state."""
    taken = world.storage.uses[table].locked.get(role, set())
    lock = f"{table}.~lock.{role}"
    kept = world.functions.functions[lock].domain.values if lock in world.functions.functions else ()
    return taken <= set(kept)


def to_wait_for(ctx: Context, state: State, table: str, row: Expr, mode: str, *, first: bool) -> Iterator[tuple[Local, Expr]]:
    """For each role, a process to wait for: (local, condition).  Unless ``first`` (a waiter that was woken) the queue comes
    before the holder.
    """
    world = ctx.world
    queue: list[tuple[str, str]] = [] if first else list(waiters(world, table))

    def queued(role: str, name: str, process: Expr) -> Expr:
        # Waiters queue in the mode that they ask for: those whose modes go together pass each other (``tupleLockExtraInfo``).
        wanted = state.read(wants(world, role, table), process)
        against = x.disj(*(x.equal(wanted, x.const(other)) for other in MODES if other in CONFLICTS[mode]))
        return x.conj(x.neg(x.equal(process, ctx.process)), x.equal(state.read(name, process), row), against)

    # A process that has a lock on the row already stands beside the queue. Where a lock is not kept, both are possible.
    firm = [(r, n) for r, n in queue if _all_kept(world, r, table)]
    nobody = x.conj(*(x.neg(x.exists((q,), queued(r, n, q))) for r, n in firm for q in [x.local(r, r)]))
    member = _member(ctx, state, table, row)
    beside = member if _all_kept(world, ctx.role, table) else x.TRUE
    for role in ctx.rivals():
        other = x.local(role, role)
        holds = x.conj(x.disj(beside, nobody), world.storage.conflict(state, table, row, mode, ctx.process, other, role))
        last: Expr = x.FALSE
        for r, n in queue:
            if r != role:
                continue
            behind = []
            for r2, n2 in queue:
                q = x.local(r2, r2)
                waits = x.equal(state.read(blocker(world, r2), q), other)
                behind.append(x.exists((q,), x.conj(queued(r2, n2, q), waits)))
            last = x.conj(x.neg(member), queued(r, n, other), x.neg(x.disj(*behind)))
        condition = x.disj(holds, last)
        if condition is not x.FALSE:
            yield other, condition


def in_cycle(world: World, process: Local, role: str) -> Expr:
    """The process waits, directly or through others, for itself."""
    waiting = [r for r in world.roles if f"{r}.~blocker" in world.functions.functions]
    depth = sum(world.counts[r] for r in waiting)

    # One local for each role and distance, so that the formula is a chain and not a tree.
    locals_ = {(r, steps): x.local(r, r) for r in waiting for steps in range(depth)}
    known: dict[tuple[str, int], Expr] = {}

    def leads_back(name: str, node: Expr, steps: int) -> Expr:
        target = x.apply(name, node)
        parts: list[Expr] = [x.equal(target, process)]
        if steps > 1:
            for r in waiting:
                q = locals_[r, steps - 1]
                if (r, steps - 1) not in known:
                    known[r, steps - 1] = leads_back(f"{r}.~blocker", q, steps - 1)
                parts.append(x.exists((q,), x.conj(x.equal(target, q), known[r, steps - 1])))
        return x.disj(*parts)

    return leads_back(f"{role}.~blocker", process, depth)
