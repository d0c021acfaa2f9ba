"""SQL statements as atomic steps: what each does to versions and locks, whom it waits for, what it returns."""

from __future__ import annotations

from dataclasses import replace

from txweave.semantics import results, waiting
from txweave.semantics.constraints import check_deleted, check_row
from txweave.semantics.context import UNKNOWN, Context, conjuncts, keyed, single_row, table_sources, walk
from txweave.semantics.outcome import Outcome, failed, ok, out
from txweave.semantics.relations import ordered_before
from txweave.semantics.symbolic import State
from txweave.semantics.terms import Branch, Env
from txweave.sql import program as bound
from txweave.sql import tree
from txweave.system import expr as x
from txweave.system.expr import Expr, Local

_MOST_ROWS = 6
"""Up to this many rows, every subset that a statement may have locked before it waits is an outcome of its own."""


def execute(ctx: Context, node: bound.Execute, state: State, *, resumed: str = "") -> list[Outcome]:
    """All ways in which the statement can go, from the start or (``resumed``: ``wait`` or ``redo``) after waiting."""
    statement = node.statement
    if resumed == "redo":
        state = state.copy()
        waiting.clear(ctx, state)
        resumed = ""
    match statement:
        case tree.Select(query) if not any(_effective(ctx, lock, query) for lock in query.locks):
            found = _select(ctx, node, query, state)
        case tree.Select(query):
            found = Locking(ctx, node, query, query.locks[0]).outcomes(state, resumed)
        case tree.Update():
            found = Writing(ctx, node, statement).outcomes(state, resumed)
        case tree.Delete():
            found = Writing(ctx, node, statement).outcomes(state, resumed)
        case tree.Insert():
            from txweave.semantics.inserts import insert

            found = insert(ctx, node, statement, state)
    if node.ghost is not None:
        found = [_ghost(ctx, node.ghost, o) if o.exit == "ok" else o for o in found]
    return found


def _effective(ctx: Context, lock: tree.RowLock, query: tree.Query) -> bool:
    del ctx, query
    return bool(lock.sources)


def _ghost(ctx: Context, statement: tree.Statement, outcome: Outcome) -> Outcome:
    """The ghost statement of a step: the same effect, with no locks and no constraints."""
    state = outcome.state.copy()
    storage = ctx.world.storage
    match statement:
        case tree.Update() | tree.Delete():
            row, chosen, env = _target(ctx, statement, state)
            if isinstance(statement, tree.Update):
                values = {c: ctx.world.terms.value(e, env) for c, e in statement.sets}
                storage.update_all(state, statement.table, chosen, row, values, ctx.process, ctx.role)
            else:
                storage.delete_all(state, statement.table, chosen, row, ctx.process)
            return replace(outcome, state=state)
        case tree.Insert():
            from txweave.semantics.inserts import row_values

            assert len(statement.rows) == 1, "the binder lets one ghost row through at a time"
            slot = x.local(statement.table, statement.table)
            values = row_values(ctx, statement, statement.rows[0], ctx.env(state))
            fits = x.least(slot, slot, storage.free(state, statement.table, slot))
            storage.insert(state, statement.table, slot, values, ctx.process)
            return replace(outcome, state=state, guard=x.conj(outcome.guard, fits), params=(*outcome.params, slot))
    raise AssertionError(statement)


def _target(ctx: Context, statement: tree.Update | tree.Delete, state: State) -> tuple[Local, Expr, Env]:
    """The target row as a local, the condition that it is a candidate, and the environment of its expressions."""
    relations = ctx.relations(state)
    row = x.local(statement.source, statement.table)
    columns = {statement.source: relations.table(statement.source, statement.table, row)}
    env = relations.scope(ctx.env(state), columns)
    there = ctx.world.storage.visible(state, statement.table, row, ctx.process, ctx.role)
    holds = x.TRUE if statement.where is None else ctx.world.terms.true(statement.where, env)
    return row, x.conj(there, holds), env


def limit_of(query: tree.Query) -> int | None:
    """The constant LIMIT, or None."""
    if query.limit is None:
        return None
    assert isinstance(query.limit, tree.Constant)
    assert isinstance(query.limit.value, int)
    return query.limit.value


def _select(ctx: Context, node: bound.Execute, query: tree.Query, state: State) -> list[Outcome]:
    """A SELECT that takes no locks: reads its snapshot."""
    branches = ctx.relations(state).rows(query, ctx.env(state))
    limit = limit_of(query)
    if limit is None:
        return results.deliver(
            ctx, node, state, x.TRUE, branches, None, one=single_row(ctx.world.storage.schema, query), keys=query.order_by
        )
    if len(branches) > 1:
        ctx.world.report.error("M413", query.span, "LIMIT on an outer join is not modelled", "write the outer side as a subquery")
        return []
    found: list[Outcome] = []
    for branch in branches:
        for params, guard, kept in results.limited(ctx, branch, query.order_by, limit):
            for outcome in results.deliver(ctx, node, state, x.TRUE, [kept], None, one=limit <= 1, keys=query.order_by):
                found.append(outcome.given(guard, params))
    return found


class RowByRow:
    """Statements that lock rows one after the other, and may wait in the middle (UPDATE, DELETE, SELECT … FOR).

    The candidates are the rows that match in the statement's snapshot.  A conflict makes the statement wait: it has dealt with some of the others
    (every subset is possible, since the order is not determined), and keeps the rest in ``todo``.  After the wait a row is looked at in its newest
    version: gone, no longer matching (then it stays locked), or matching.
    """

    mode: str
    table: str
    source: str

    def __init__(self, ctx: Context, node: bound.Execute) -> None:
        self.ctx = ctx
        self.node = node
        self.world = ctx.world
        self.storage = ctx.world.storage
        self.keyed = False
        self.joined = False
        self.subqueries: list[tree.Expr] = []
        self.wait = "wait"
        self.counts = bool(node.into or node.rows or node.affected)

    # What the kinds of statements differ in ------------------------------------------------------------------------

    def where(self) -> tree.Expr | None:
        """The condition on the target row."""
        raise AssertionError

    def env(self, state: State, row: Expr, kept: dict[int, Expr]) -> Env:
        """Expressions over the target row in a state."""
        relations = self.ctx.relations(state)
        return relations.scope(self.ctx.env(state, kept), {self.source: relations.table(self.source, self.table, row)})

    def apply(self, state: State, chosen: Expr, row: Local, kept: dict[int, Expr]) -> list[Outcome]:
        """The effect on all chosen rows (over ``row``) at once; exits ``ok``, ``error``, ``redo`` or ``out``."""
        raise AssertionError

    def finish(self, state: State, done: Expr, row: Local, guard: Expr, label: str, note: str) -> list[Outcome]:
        """The normal end; ``done`` (over ``row``) are the rows dealt with."""
        raise AssertionError

    # Shared -------------------------------------------------------------------------------------------------------

    def candidates(self, state: State, row: Local) -> Expr:
        """The rows that match in the snapshot."""
        there = self.storage.visible(state, self.table, row, self.ctx.process, self.ctx.role)
        where = self.where()
        holds = x.TRUE if where is None else self.world.terms.true(where, self.env(state, row, {}))
        return x.conj(there, holds)

    def can_wait(self) -> bool:
        """Whether some process may hold a row against this statement."""
        state, row = State(self.world.functions), x.local(self.table, self.table)
        return waiting.conflicting(self.ctx, state, self.table, row, self.mode) is not x.FALSE

    def outcomes(self, state: State, resumed: str) -> list[Outcome]:
        """All outcomes."""
        row = x.local(self.source, self.table)
        if resumed == "wait":
            return self._resume(state, row)
        chosen = self.candidates(state, row)
        return self._go_on(state, chosen, row, x.FALSE, x.TRUE, fresh=True, label="ok", note="")

    def _resume(self, state: State, row: Local) -> list[Outcome]:
        """After waiting for the row ``at``."""
        ctx, table = self.ctx, self.table
        at = waiting.at(self.world, ctx.role, table)
        here = x.local(table, table)
        place = x.equal(state.read(at, ctx.process), here)
        rest: Expr = (
            x.FALSE
            if self.keyed
            else x.conj(x.truth(state.read(waiting.todo(self.world, ctx.role, table), ctx.process, row)), x.neg(x.equal(row, here)))
        )
        done: Expr = x.FALSE
        if self.counts and not self.keyed:
            done = x.truth(state.read(waiting.got(self.world, ctx.role, table), ctx.process, row))
        there = self.storage.visible(state, table, here, ctx.process, ctx.role)
        busy = waiting.conflicting(ctx, state, table, here, self.mode)
        found: list[Outcome] = []
        # Taken by another process in the meantime: wait again, now for that one.
        for other, condition in waiting.to_wait_for(ctx, state, table, here, self.mode, first=True):
            again = state.copy()
            waiting.begin_wait(ctx, again, other)
            guard = x.conj(place, there, condition)
            found.append(Outcome("wait", guard, again, "waits again", (here, other), note="the row is locked again: waits on"))
        kept, choices = self._kept(state, here)
        env = self.env(state, here, kept)
        where = self.where()
        matches = x.TRUE if where is None else self.world.terms.true(where, env)
        cleared = state.copy()
        waiting.clear(ctx, cleared)
        # The row is gone: those who queue behind for it may go on as well.
        gone = cleared.copy()
        waiting.release_row(self.world, gone, ctx.process, table, here)
        if there is not x.TRUE:
            for outcome in self._go_on(
                gone, rest, row, done, x.TRUE, fresh=False, label="row gone", note="after waiting the row is gone"
            ):
                found.append(outcome.given(x.conj(place, x.neg(there)), (here,)))
        free = x.conj(place, there, x.neg(busy))
        # It no longer matches: PostgreSQL has locked the newest version before it looks, and keeps the lock.
        if matches is not x.TRUE:
            skipped = cleared.copy()
            self.lock_only(skipped, x.equal(row, here), row)
            note = "after waiting the row no longer matches: left alone, but locked"
            for outcome in self._go_on(skipped, rest, row, done, x.TRUE, fresh=False, label="no longer matches", note=note):
                found.append(outcome.given(x.conj(free, x.neg(matches)), (here, *choices)))
        for first in self.apply(cleared.copy(), x.equal(row, here), row, kept):
            if first.exit != "ok":
                found.append(first.given(x.conj(free, matches), (here, *choices)))
                continue
            now = x.disj(done, x.equal(row, here))
            for outcome in self._go_on(first.state, rest, row, now, first.guard, fresh=False, label="ok after waiting", note=""):
                found.append(outcome.given(x.conj(free, matches), (here, *choices, *first.params)))
        return found

    def _go_on(
        self, state: State, rest: Expr, row: Local, done: Expr, guard: Expr, *, fresh: bool, label: str, note: str
    ) -> list[Outcome]:
        """Deal with the remaining rows: all of them, or up to one that must be waited for."""
        ctx, table = self.ctx, self.table
        found: list[Outcome] = []
        if rest is x.FALSE:
            return self.finish(state, done, row, guard, label, note)
        there = self.storage.visible(state, table, row, ctx.process, ctx.role)
        busy = x.conj(rest, x.TRUE if fresh else there, waiting.conflicting(ctx, state, table, row, self.mode))
        act: Expr = rest
        locked_only: Expr = x.FALSE
        kept: dict[int, Expr] = {}
        if not fresh:
            kept, unknown = self._kept_others(state, row, x.conj(rest, there))
            if unknown is not x.FALSE:
                found.append(out(x.conj(guard, unknown), state, self._unknown()))
                guard = x.conj(guard, x.neg(unknown))
            where = self.where()
            matches = x.TRUE if where is None else self.world.terms.true(where, self.env(state, row, kept))
            act, locked_only = x.conj(rest, there, matches), x.conj(rest, there, x.neg(matches))
        blocked = x.exists((row,), busy)
        whole = state.copy()
        if locked_only is not x.FALSE:
            self.lock_only(whole, locked_only, row)
        for outcome in self.apply(whole, act, row, kept):
            if outcome.exit != "ok":
                found.append(outcome.given(x.conj(guard, x.neg(blocked))))
                continue
            for last in self.finish(outcome.state, x.disj(done, act), row, x.conj(guard, outcome.guard), label, note):
                found.append(last.given(x.neg(blocked), outcome.params))
        if blocked is x.FALSE:
            return found
        if self.joined:
            found.append(out(x.conj(guard, blocked), state, f"waiting in a join ({table})"))
            return found
        found.extend(o.given(guard) for o in self._wait(state, rest, act, locked_only, busy, row, done, fresh=fresh, kept=kept))
        return found

    def _wait(
        self,
        state: State,
        rest: Expr,
        act: Expr,
        locked_only: Expr,
        busy: Expr,
        row: Local,
        done: Expr,
        *,
        fresh: bool,
        kept: dict[int, Expr],
    ) -> list[Outcome]:
        """Wait for one of the busy rows, having dealt with any subset of those that are free."""
        ctx, table, size = self.ctx, self.table, self.storage.sizes[self.table]
        found: list[Outcome] = []
        here = x.local(table, table)
        masks: tuple[Local, ...] = ()
        taken: Expr = x.FALSE
        canonical: Expr = x.TRUE
        if not self.keyed and size > 1:
            if size > _MOST_ROWS:
                self.world.report.error(
                    "M414",
                    None,
                    f"a statement that may wait could lock any subset of {size} rows of {table} before it does",
                    f"lower the bound on {table} to {_MOST_ROWS}, or name one row by its key",
                )
                return []
            masks = tuple(x.local("taken", x.BOOL) for _ in range(size))
            bits = [x.conj(x.equal(row, x.const(x.Elem(table, i))), x.truth(mask)) for i, mask in enumerate(masks)]
            taken = x.disj(*bits)
            canonical = x.forall((row,), x.implies(taken, x.conj(rest, x.neg(busy), x.neg(x.equal(row, here)))))
        before = state
        state = state.copy()
        if locked_only is not x.FALSE:
            self.lock_only(state, x.conj(locked_only, taken), row)
        partial = [ok(x.TRUE, state)] if taken is x.FALSE else self.apply(state, x.conj(act, taken), row, kept)
        is_busy = x.substitute(busy, {row: here})
        for first in partial:
            if first.exit != "ok":
                found.append(first.given(x.conj(is_busy, canonical), (here, *masks)))
                continue
            for other, condition in waiting.to_wait_for(ctx, before, table, here, self.mode, first=False):
                after = first.state.copy()
                after.write(waiting.at(self.world, ctx.role, table), (ctx.process,), here)
                waiting.begin_wait(ctx, after, other)
                if not self.keyed:
                    left = x.conj(rest, x.neg(taken))
                    after.write_all(
                        waiting.todo(self.world, ctx.role, table),
                        lambda p, r, left=left: (x.equal(p, ctx.process), x.substitute(left, {row: r})),
                    )
                    if self.counts:
                        dealt = x.disj(done, x.conj(act, taken))
                        after.write_all(
                            waiting.got(self.world, ctx.role, table),
                            lambda p, r, dealt=dealt: (x.equal(p, ctx.process), x.substitute(dealt, {row: r})),
                        )
                if fresh:
                    self._keep(before, after, row, rest)
                guard = x.conj(is_busy, canonical, condition, first.guard)
                found.append(Outcome("wait", guard, after, "waits", (here, *masks, other, *first.params), note="waits for"))
        return found

    def lock_only(self, state: State, chosen: Expr, row: Local) -> None:
        """A row that was waited for and then found not to match stays locked to the end of the transaction."""
        name = f"{self.table}.~lock.{self.ctx.role}"
        if name in self.world.functions.functions and self.mode in self.world.functions.functions[name].domain.values:
            self.storage.lock_all(state, self.table, chosen, row, self.mode, self.ctx.process, self.ctx.role)
        elif self.ctx.role in self.storage.uses[self.table].writers:
            self.storage.update_all(state, self.table, chosen, row, {}, self.ctx.process, self.ctx.role)

    # Subqueries keep the value that they had in the statement's snapshot ------------------------------------------------

    def _pure(self) -> dict[int, Expr]:
        """Subqueries that are a conjunct of the WHERE by themselves: true (or false) for every candidate."""
        found: dict[int, Expr] = {}
        for part in conjuncts(self.where()):
            if isinstance(part, tree.Exists | tree.InQuery):
                found[id(part)] = x.TRUE
            elif isinstance(part, tree.Not) and isinstance(part.operand, tree.Exists | tree.InQuery):
                found[id(part.operand)] = x.FALSE
        return found

    def _holder(self, number: int) -> str:
        name = f"{self.ctx.role}.~kept.{self.ctx.scope}{self.table}.{number}"
        return self.world.functions.declare(name, [self.ctx.role, self.table], UNKNOWN, None, ("kept", self.ctx.role, self.table))

    def _moving(self, node: tree.Expr) -> bool:
        """Whether the subquery depends on columns of the target that some procedure updates."""
        updated = self.storage.uses[self.table].updated
        return any(isinstance(n, tree.ColumnRef) and n.source == self.source and n.column in updated for n in walk(node))

    def _kept(self, state: State, row: Expr) -> tuple[dict[int, Expr], tuple[Local, ...]]:
        """The values of the subqueries for a row after waiting, and parameters where either value is possible."""
        found: dict[int, Expr] = {}
        choices: list[Local] = []
        pure = self._pure()
        for number, node in enumerate(self.subqueries):
            if self._open(node):
                choices.append(x.local("plan", x.BOOL))
                found[id(node)] = x.truth(choices[-1])
                self.world.notes.add(
                    "after waiting, a subquery that depends on an updated column of the row waited for may be evaluated either way "
                    "(it depends on the plan): both are explored"
                )
            elif id(node) in pure:
                found[id(node)] = pure[id(node)]
            else:
                found[id(node)] = state.read(self._holder(number), self.ctx.process, row)
        return found, tuple(choices)

    def _kept_others(self, state: State, row: Local, left: Expr) -> tuple[dict[int, Expr], Expr]:
        """The same for the other rows that are left after waiting, and the condition that they are not known."""
        moving = {id(node): x.FALSE for node in self.subqueries if self._open(node)}
        known = {number: node for number, node in enumerate(self.subqueries) if id(node) not in moving}
        pure = self._pure()
        found: dict[int, Expr] = dict(moving)
        for number, node in known.items():
            held = state.read(self._holder(number), self.ctx.process, row) if id(node) not in pure else pure[id(node)]
            found[id(node)] = held
        return found, x.exists((row,), left) if moving else x.FALSE

    def _open(self, node: tree.Expr) -> bool:
        """Whether either value of the subquery is possible after waiting."""
        return self._moving(node) and isinstance(node, tree.Exists | tree.InQuery)

    def _unknown(self) -> str:
        return f"waiting with several rows and a subquery over an updated column ({self.table})"

    def _keep(self, before: State, after: State, row: Local, rest: Expr) -> None:
        """Remember the subqueries' values for the rows that are left."""
        pure = self._pure()
        env = self.env(before, row, {})
        for number, node in enumerate(self.subqueries):
            if id(node) in pure or self._open(node):
                continue
            value = x.ite(rest, self.world.terms.value(node, env), x.NULL)
            after.write_all(
                self._holder(number), lambda p, r, value=value: (x.equal(p, self.ctx.process), x.substitute(value, {row: r}))
            )


class Writing(RowByRow):
    """UPDATE and DELETE."""

    def __init__(self, ctx: Context, node: bound.Execute, statement: tree.Update | tree.Delete) -> None:
        super().__init__(ctx, node)
        self.statement = statement
        self.table, self.source = statement.table, statement.source
        definition = self.storage.schema.tables[self.table]
        self.keyed = keyed(statement.where, self.source, definition)
        self.joined = statement.using is not None
        self.mode = write_mode(definition, statement)
        values = [e for _, e in statement.sets] if isinstance(statement, tree.Update) else []
        self.subqueries = [
            n
            for part in (statement.where, *values)
            for n in walk(part)
            if isinstance(n, tree.Exists | tree.InQuery | tree.ScalarQuery)
        ]
        if any(isinstance(n, tree.Exists | tree.InQuery | tree.ScalarQuery) for s in self.subqueries for n in list(walk(s))[1:]):
            # Only the outermost subqueries are kept: inner ones belong to them.
            inner = {id(n) for s in self.subqueries for n in list(walk(s))[1:]}
            self.subqueries = [s for s in self.subqueries if id(s) not in inner]

    def where(self) -> tree.Expr | None:
        """The WHERE."""
        return self.statement.where

    def candidates(self, state: State, row: Local) -> Expr:
        """Rows that match; with FROM or USING, that some joined row makes match."""
        if self.statement.using is None:
            return super().candidates(state, row)
        there = self.storage.visible(state, self.table, row, self.ctx.process, self.ctx.role)
        parts = [x.exists(c, g) for c, g, _ in self._joins(state, row)]
        return x.conj(there, x.disj(*parts))

    def _joins(self, state: State, row: Expr) -> list[tuple[tuple[Local, ...], Expr, Env]]:
        """The joined rows of FROM / USING for a target row: locals, condition, environment."""
        relations = self.ctx.relations(state)
        target = {self.source: relations.table(self.source, self.table, row)}
        base = relations.scope(self.ctx.env(state), target)
        found = []
        for combo in relations.combinations(self.statement.using, base):
            env = relations.scope(self.ctx.env(state), {**target, **combo.columns})
            holds = x.TRUE if self.statement.where is None else self.world.terms.true(self.statement.where, env)
            found.append((combo.locals, x.conj(combo.condition, holds), env))
        return found

    def _values(self, state: State, row: Local, kept: dict[int, Expr]) -> tuple[dict[str, Expr], Expr]:
        """The new values of an UPDATE, and the condition that a join leaves them open (several rows that differ)."""
        assert isinstance(self.statement, tree.Update)
        terms = self.world.terms
        if self.statement.using is None:
            env = self.env(state, row, kept)
            return {c: terms.value(e, env) for c, e in self.statement.sets}, x.FALSE
        values: dict[str, Expr] = {}
        ambiguous: list[Expr] = []
        joins = self._joins(state, row)
        for column, expression in self.statement.sets:
            term: Expr = x.NULL
            for bound_rows, condition, env in reversed(joins):
                term = x.pick(bound_rows, condition, terms.value(expression, env), term)
            values[column] = term
            for bound_rows, condition, env in joins:
                differs = x.neg(x.equal(terms.value(expression, env), term))
                ambiguous.append(x.exists(bound_rows, x.conj(condition, differs)))
        return values, x.disj(*ambiguous)

    def apply(self, state: State, chosen: Expr, row: Local, kept: dict[int, Expr]) -> list[Outcome]:
        """Write or delete the chosen rows, and check constraints."""
        ctx, definition = self.ctx, self.storage.schema.tables[self.table]
        if isinstance(self.statement, tree.Delete):
            after = state.copy()
            self.storage.delete_all(after, self.table, chosen, row, ctx.process)
            return check_deleted(ctx, state, after, self.table, chosen, row)
        values, ambiguous = self._values(state, row, kept)
        found: list[Outcome] = []
        guard: Expr = x.TRUE
        if ambiguous is not x.FALSE:
            doubt = x.exists((row,), x.conj(chosen, ambiguous))
            found.append(out(doubt, state, f"UPDATE … FROM with several joined rows that differ ({self.table})"))
            guard = x.neg(doubt)
        after = state.copy()
        self.storage.update_all(after, self.table, chosen, row, values, ctx.process, ctx.role)
        if self.keyed and _has_keys(definition, set(values)):
            touched = state.copy()
            self.storage.update_all(touched, self.table, chosen, row, {}, ctx.process, ctx.role)
            target = x.local(self.table, self.table)
            is_target = x.substitute(chosen, {row: target})
            found.append(ok(x.conj(guard, x.neg(x.exists((row,), chosen))), state))
            redo_allowed = not self.subqueries
            for outcome in check_row(ctx, after, touched, definition, target, set(values), redo_allowed=redo_allowed):
                found.append(outcome.given(x.conj(guard, is_target), (target,)))
            return found
        found.extend(o.given(guard) for o in self._check_all(state, after, chosen, row, set(values), definition))
        return found

    def _check_all(
        self, before: State, after: State, chosen: Expr, row: Local, columns: set[str], definition: tree.Table
    ) -> list[Outcome]:
        """Constraints of an UPDATE of any number of rows: the simple ones at once, the others only where one row is written."""
        ctx = self.ctx
        if not _has_keys(definition, columns):
            found: list[Outcome] = []
            bad: list[Expr] = []
            for outcome in check_row(ctx, after, after, definition, row, columns, redo_allowed=False):
                if outcome.exit == "error":
                    some = x.exists((row,), x.conj(chosen, outcome.guard))
                    found.append(failed(x.conj(some, x.neg(x.disj(*bad))), before, outcome.error))
                    bad.append(some)
            found.append(ok(x.neg(x.disj(*bad)), after))
            return found
        target, other = x.local(self.table, self.table), x.local(self.table, self.table)
        is_target = x.substitute(chosen, {row: target})
        several = x.exists((target, other), x.conj(is_target, x.substitute(chosen, {row: other}), x.neg(x.equal(target, other))))
        result = [
            out(several, before, f"UPDATE of several rows that sets a key ({self.table})"),
            ok(x.neg(x.exists((row,), chosen)), before),
        ]
        for outcome in check_row(ctx, after, before, definition, target, columns, redo_allowed=False):
            result.append(outcome.given(x.conj(is_target, x.neg(several)), (target,)))
        return result

    def finish(self, state: State, done: Expr, row: Local, guard: Expr, label: str, note: str) -> list[Outcome]:
        """RETURNING and the row count."""
        affected = x.count((row,), done)
        branches: list[Branch] = []
        if self.statement.returning:
            relations = self.ctx.relations(state)
            if isinstance(self.statement, tree.Delete):
                reader_state = State(self.world.functions)  # what was deleted is returned as it was
                relations = self.ctx.relations(reader_state)
            env = relations.scope(self.ctx.env(state), {self.source: relations.table(self.source, self.table, row)})
            columns = tuple(self.world.terms.value(o.expression, env) for o in self.statement.returning)
            branches = [Branch((row,), done, columns)]
        return results.deliver(self.ctx, self.node, state, guard, branches, affected, one=self.keyed, label=label, note=note)


class Locking(RowByRow):
    """SELECT … FOR UPDATE and its weaker forms."""

    def __init__(self, ctx: Context, node: bound.Execute, query: tree.Query, lock: tree.RowLock) -> None:
        super().__init__(ctx, node)
        self.query = query
        sources = {s.source: s.table for s in table_sources(query.source)}
        self.lock = lock
        self.joined = len(sources) > 1 or not isinstance(query.source, tree.TableSource)
        if len(query.locks) > 1 or len(lock.sources) != 1:
            self.world.report.error(
                "M415",
                lock.span,
                "locking the rows of several tables in one SELECT is not modelled",
                "name one table: FOR UPDATE OF t",
            )
        self.source = lock.sources[0]
        self.table = sources[self.source]
        self.mode, self.wait = lock.mode, lock.wait
        self.keyed = not self.joined and keyed(query.where, self.source, self.storage.schema.tables[self.table])
        self.subqueries = [n for n in walk(query.where) if isinstance(n, tree.Exists | tree.InQuery | tree.ScalarQuery)]
        inner = {id(n) for s in self.subqueries for n in list(walk(s))[1:]}
        self.subqueries = [s for s in self.subqueries if id(s) not in inner]
        self.limit = limit_of(query)

    def where(self) -> tree.Expr | None:
        """The WHERE."""
        return self.query.where

    def outcomes(self, state: State, resumed: str) -> list[Outcome]:
        """All outcomes; SKIP LOCKED and NOWAIT never wait."""
        if self.wait == "wait" and not self.joined and self.limit is None:
            return super().outcomes(state, resumed)
        if self.wait == "wait" and not self.joined and self.limit == 1:
            return self._first(state, resumed)
        return self._at_once(state)

    def _row(self, branch: Branch) -> Expr:
        return dict(branch.sources)[self.source]

    def _at_once(self, state: State) -> list[Outcome]:
        """Without waiting: SKIP LOCKED drops busy rows, NOWAIT fails on one, and a plain lock over a join must find all rows free."""
        ctx = self.ctx
        found: list[Outcome] = []
        branches = self.ctx.relations(state).rows(self.query, self.ctx.env(state))
        if len(branches) > 1:
            self.world.report.error("M413", self.query.span, "locking over an outer join is not modelled", "write it as a subquery")
            return []
        for branch in branches:
            busy = waiting.conflicting(ctx, state, self.table, self._row(branch), self.mode)
            if self.wait == "skip locked":
                found.extend(self._take(state, replace(branch, condition=x.conj(branch.condition, x.neg(busy))), x.TRUE))
                continue
            some = x.exists(branch.locals, x.conj(branch.condition, busy))
            if self.wait == "nowait":
                if self.limit is None:
                    found.append(failed(some, state, "lock_not_available"))
                else:
                    found.append(out(some, state, f"NOWAIT with LIMIT meets a locked row ({self.table})"))
            else:
                found.append(out(some, state, f"waiting in a join or with LIMIT ({self.table})"))
            found.extend(self._take(state, branch, x.neg(some)))
        return found

    def _take(self, state: State, branch: Branch, guard: Expr) -> list[Outcome]:
        """Lock the result rows and return them."""
        ctx = self.ctx
        found: list[Outcome] = []
        choices = [((), x.TRUE, branch)] if self.limit is None else results.limited(ctx, branch, self.query.order_by, self.limit)
        for params, condition, kept in choices:
            after = state.copy()
            target = x.local(self.table, self.table)
            chosen = x.exists(kept.locals, x.conj(kept.condition, x.equal(self._row(kept), target)))
            self.storage.lock_all(after, self.table, chosen, target, self.mode, ctx.process, ctx.role)
            one = self.keyed or single_row(self.storage.schema, self.query)
            for outcome in results.deliver(ctx, self.node, after, x.TRUE, [kept], None, one=one, keys=self.query.order_by):
                found.append(outcome.given(x.conj(guard, condition), params))
        return found

    def apply(self, state: State, chosen: Expr, row: Local, kept: dict[int, Expr]) -> list[Outcome]:
        """Lock the chosen rows."""
        del kept
        after = state.copy()
        self.storage.lock_all(after, self.table, chosen, row, self.mode, self.ctx.process, self.ctx.role)
        return [ok(x.TRUE, after)]

    def finish(self, state: State, done: Expr, row: Local, guard: Expr, label: str, note: str) -> list[Outcome]:
        """The rows, in their newest version."""
        relations = self.ctx.relations(state)
        env = relations.scope(self.ctx.env(state), {self.source: relations.table(self.source, self.table, row)})
        columns = tuple(self.world.terms.value(o.expression, env) for o in self.query.outputs)
        order = tuple(self.world.terms.value(k.expression, env) for k in self.query.order_by)
        branch = Branch((row,), done, columns, order, ((self.source, row),))
        one = self.keyed or single_row(self.storage.schema, self.query)
        return results.deliver(
            self.ctx, self.node, state, guard, [branch], None, one=one, keys=self.query.order_by, label=label, note=note
        )

    def _first(self, state: State, resumed: str) -> list[Outcome]:
        """LIMIT 1: rows are tried in order until one can be had; a busy one is waited for."""
        ctx, table, terms = self.ctx, self.table, self.world.terms
        row, here = x.local(self.source, table), x.local(table, table)
        found: list[Outcome] = []
        updated = self.storage.uses[table].updated
        moving = any(isinstance(n, tree.ColumnRef) and n.column in updated for k in self.query.order_by for n in walk(k.expression))
        place: Expr = x.TRUE
        base = state
        if resumed:
            place = x.equal(state.read(waiting.at(self.world, ctx.role, table), ctx.process), here)
            rest = x.truth(state.read(waiting.todo(self.world, ctx.role, table), ctx.process, row))
            if moving:
                return [out(place, state, f"ORDER BY an updated column after waiting ({table})", (here,))]
            base = state.copy()
            waiting.clear(ctx, base)
        else:
            rest = self.candidates(state, row)
        there = self.storage.visible(state, table, row, ctx.process, ctx.role)
        busy = x.conj(rest, there, waiting.conflicting(ctx, state, table, row, self.mode))
        kept: dict[int, Expr] = {}
        choices: tuple[Local, ...] = ()
        matches: Expr = x.TRUE
        if resumed:
            kept, choices = self._kept(state, row)
            if choices:
                several = x.exists((row,), x.conj(rest, there, x.neg(x.equal(row, here))))
                found.append(out(x.conj(place, several), state, self._unknown(), (here,)))
                place = x.conj(place, x.neg(several))
            where = self.where()
            matches = x.TRUE if where is None else terms.true(where, self.env(state, row, kept))
        eligible = x.conj(rest, there, x.disj(busy, matches))
        env = self.env(state, row, {})
        order = tuple(terms.value(k.expression, env) for k in self.query.order_by)
        mine = x.local(table, table)

        def at(node: Expr, place_: Expr) -> Expr:
            return x.substitute(node, {row: place_})

        def earlier(than: Expr) -> Expr:
            return ordered_before(terms, self.query.order_by, order, tuple(at(o, than) for o in order)) if order else x.FALSE

        # The row that was waited for comes first: it was reached in order.
        first = x.neg(x.exists((row,), x.conj(eligible, earlier(mine))))
        if resumed:
            first = x.ite(at(eligible, here), x.equal(mine, here), first)
        chosen = x.conj(place, at(eligible, mine), first)
        params = (here, mine, *choices) if resumed else (mine, *choices)
        passed = base.copy()
        if resumed:
            skipped = x.conj(rest, there, x.neg(busy), x.neg(matches), x.disj(x.equal(row, here), earlier(mine)))
            self.lock_only(passed, skipped, row)
        taken = passed.copy()
        self.storage.lock_all(taken, table, x.equal(row, mine), row, self.mode, ctx.process, ctx.role)
        label = "ok after waiting" if resumed else "ok"
        for outcome in self.finish(taken, x.equal(row, mine), row, x.TRUE, label, ""):
            found.append(outcome.given(x.conj(chosen, x.neg(at(busy, mine))), params))
        nothing = base.copy()
        if resumed:
            self.lock_only(nothing, x.conj(rest, there, x.neg(matches)), row)
        for outcome in self.finish(nothing, x.FALSE, row, x.TRUE, "no row", ""):
            none_left = x.conj(place, x.neg(x.exists((row,), eligible)))
            found.append(outcome.given(none_left, (here, *choices) if resumed else choices))
        for again in (False, True) if resumed else (False,):
            for other, condition in waiting.to_wait_for(ctx, state, table, mine, self.mode, first=again):
                after = passed.copy()
                after.write(waiting.at(self.world, ctx.role, table), (ctx.process,), mine)
                waiting.begin_wait(ctx, after, other)
                gone = x.conj(rest, x.disj(x.equal(row, mine), x.conj(x.neg(earlier(mine)), eligible)))
                after.write_all(
                    waiting.todo(self.world, ctx.role, table),
                    lambda p, r, gone=gone: (x.equal(p, ctx.process), x.substitute(gone, {row: r})),
                )
                if not resumed:
                    self._keep(state, after, row, rest)
                same = x.TRUE if not resumed else x.equal(mine, here) if again else x.neg(x.equal(mine, here))
                guard = x.conj(chosen, at(busy, mine), same, condition)
                found.append(Outcome("wait", guard, after, "waits", (*params, other), note="waits for"))
        return found


def _has_keys(table: tree.Table, columns: set[str]) -> bool:
    """Whether columns take part in a unique constraint (its predicate too) or a foreign key."""
    for unique in table.uniques:
        inside = {n.column for n in walk(unique.where) if isinstance(n, tree.ColumnRef)}
        if (set(unique.columns) | inside) & columns:
            return True
    return any(set(f.columns) & columns for f in table.foreign_keys)


def write_mode(table: tree.Table, statement: tree.Update | tree.Delete) -> str:
    """The row-lock mode that a write takes: UPDATE of no key column takes NO KEY UPDATE."""
    from txweave.semantics.storage import key_columns

    if isinstance(statement, tree.Delete):
        return "update"
    return "update" if {c for c, _ in statement.sets} & key_columns(table) else "no key update"
