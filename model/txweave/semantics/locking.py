"""SELECT … FOR UPDATE and its weaker forms: waiting, SKIP LOCKED, NOWAIT, LIMIT."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from txweave.semantics import results, waiting
from txweave.semantics.context import UNKNOWN, Context, keyed, limit_of, single_row, table_sources, walk
from txweave.semantics.outcome import Outcome, failed, ok, out
from txweave.semantics.relations import ordered_before
from txweave.semantics.rowwise import RowByRow, outermost_subqueries
from txweave.semantics.symbolic import State
from txweave.semantics.terms import Branch
from txweave.sql import program as bound
from txweave.sql import tree
from txweave.system import expr as x
from txweave.system.expr import Expr, Local


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
                lock.span or ctx.span,
                "locking the rows of several tables in one SELECT is not modelled",
                "name one table: FOR UPDATE OF t",
            )
        self.source = lock.sources[0]
        self.table = sources[self.source]
        self.mode, self.wait = lock.mode, lock.wait
        self.keyed = not self.joined and keyed(query.where, self.source, self.storage.schema.tables[self.table])
        self.subqueries = outermost_subqueries(query.where)
        self.limit = limit_of(query, self.storage.sizes)
        if self.limit is not None and self.limit > 1:
            self.counts = True
        updated = self.storage.uses[self.table].updated
        self.moving = any(isinstance(n, tree.ColumnRef) and n.column in updated for k in query.order_by for n in walk(k.expression))

    def where(self) -> tree.Expr | None:
        """The WHERE."""
        return self.query.where

    def outcomes(self, state: State, resumed: str) -> list[Outcome]:
        """All outcomes; SKIP LOCKED and NOWAIT never wait."""
        if self.wait == "wait" and not self.joined and self.limit is None:
            return self._unless_changed(state, super().outcomes(state, resumed), resumed)
        if self.wait == "wait" and not self.joined and self.limit == 1:
            return self._unless_changed(state, self._first(state, resumed), resumed)
        return self._unless_changed(state, self._later(state), resumed) if resumed else self._at_once(state)

    def earlier(self, state: State, held: State | None, row: Local) -> Callable[[Expr, Expr], Expr] | None:
        """As ORDER BY says, of the values in the statement's snapshot."""
        keys = self.query.order_by
        if not keys:
            return None
        order = self._order(state, held, row)

        def before(a: Expr, b: Expr) -> Expr:
            first, second = ([x.substitute(term, {row: r}) for term in order] for r in (a, b))
            return ordered_before(self.world.terms, keys, tuple(first), tuple(second))

        return before

    def _order(self, state: State, held: State | None, row: Local) -> tuple[Expr, ...]:
        """The terms of ORDER BY in the statement's snapshot."""
        if held is not None and self.moving:
            return tuple(held.read(self._place_in_order(n), self.ctx.process, row) for n in range(len(self.query.order_by)))
        env = self.env(state, row, {})
        return tuple(self.world.terms.value(key.expression, env) for key in self.query.order_by)

    def keep_order(self, before: State, held: State | None, after: State, row: Local, left: Expr) -> None:
        """The terms of ORDER BY, if they may change."""
        for number, term in enumerate(self._order(before, held, row) if self.moving else ()):
            value = x.ite(left, term, x.NULL)
            after.write_all(
                self._place_in_order(number),
                lambda p, r, value=value: (x.equal(p, self.ctx.process), x.substitute(value, {row: r})),
            )

    def watched(self) -> list[str]:
        """KEY SHARE does not look a second time at a row whose key is the same: it returns what the snapshot had."""
        return sorted(self.storage.uses[self.table].updated) if self.mode == "key share" else []

    def _unless_changed(self, state: State, found: list[Outcome], resumed: str) -> list[Outcome]:
        """After waiting for a KEY SHARE lock: a row that has changed since the statement began leads out of the model."""
        if not resumed or not self.watched():
            return found
        row = x.local(self.table, self.table)
        left = x.equal(state.read(waiting.at(self.world, self.ctx.role, self.table), self.ctx.process), row)
        if not self.keyed:
            left = x.disj(left, x.truth(state.read(waiting.todo(self.world, self.ctx.role, self.table), self.ctx.process, row)))
        there = self.storage.visible(state, self.table, row, self.ctx.process, self.ctx.role)
        differs = [
            x.neg(
                x.equal(
                    state.read(self._was(column), self.ctx.process, row),
                    self.storage.column(state, self.table, column, row, self.ctx.process, self.ctx.role),
                )
            )
            for column in self.watched()
        ]
        changed = x.exists((row,), x.conj(left, there, x.disj(*differs)))
        name = f"KEY SHARE of a row that was changed during the wait ({self.table})"
        return [out(changed, state, name), *(outcome.given(x.neg(changed)) for outcome in found)]

    def _row(self, branch: Branch) -> Expr:
        return dict(branch.sources)[self.source]

    def _at_once(self, state: State) -> list[Outcome]:
        """Without waiting: SKIP LOCKED drops busy rows, NOWAIT fails on one, and a plain lock over a join must find all rows
        free.
        """
        ctx = self.ctx
        found: list[Outcome] = []
        branches = self.ctx.relations(state).rows(self.query, self.ctx.env(state))
        if len(branches) > 1:
            self.world.report.error(
                "M413", self.query.span or ctx.span, "locking over an outer join is not modelled", "write it as a subquery"
            )
            return []
        for branch in branches:
            busy = waiting.conflicting(ctx, state, self.table, self._row(branch), self.mode)
            hidden = self._hidden(state, self._row(branch))
            if hidden is not x.FALSE and self.wait != "wait":
                some = x.exists(branch.locals, x.conj(branch.condition, hidden))
                found.append(out(some, state, f"KEY SHARE {self.wait.upper()} of a row that was updated before ({self.table})"))
                branch = replace(branch, condition=x.conj(branch.condition, x.neg(some)))
            if self.wait == "skip locked":
                found.extend(self._take(state, replace(branch, condition=x.conj(branch.condition, x.neg(busy))), x.FALSE))
                continue
            if self.wait == "nowait":
                found.extend(self._take(state, branch, busy))
                continue
            some = x.exists(branch.locals, x.conj(branch.condition, busy))
            found.append(out(some, state, f"waiting in a join or with LIMIT ({self.table})"))
            found.extend(o.given(x.neg(some)) for o in self._take(state, branch, x.FALSE))
        if not self.joined:
            self.plan()
            row = x.local(self.source, self.table)
            rest = self.candidates(state, row)
            busy = x.conj(rest, self.conflicting(state, row, {}))
            found.extend(self.pauses(state, rest, rest, x.FALSE, busy, row, x.FALSE, held=None, kept={}, stood=False))
        return found

    def _later(self, state: State) -> list[Outcome]:
        """After a pause, where it does not wait: what is left of its rows, in their newest version."""
        ctx, table = self.ctx, self.table
        row = x.local(self.source, table)
        base = state.copy()
        waiting.clear(ctx, base)
        rest, done = self.left(state, row), self.dealt(state, row)
        there = self.storage.visible(state, table, row, ctx.process, ctx.role)
        self.plan()
        kept = self.kept_in_pause(state, row)
        where = self.where()
        matches = x.TRUE if where is None else self.world.terms.true(where, self.env(state, row, kept))
        busy = x.conj(rest, there, self.conflicting(state, row, kept))
        free = x.conj(rest, there, x.neg(busy))
        found: list[Outcome] = []
        bad: Expr = x.FALSE
        if self.wait == "wait":
            bad = x.exists((row,), busy)
            found.append(out(bad, state, f"waiting in a join or with LIMIT ({table})"))
        else:
            hidden = self._hidden(state, row)
            if hidden is not x.FALSE:
                bad = x.exists((row,), x.conj(rest, there, hidden))
                found.append(out(bad, state, f"KEY SHARE {self.wait.upper()} of a row that was updated before ({table})"))
        # A row is locked before it is looked at: NOWAIT fails whether it still matches or not.
        reached = x.conj(free, matches) if self.wait == "skip locked" else x.disj(busy, x.conj(free, matches))
        paused = self.pauses(
            base, rest, x.conj(free, matches), x.conj(free, x.neg(matches)), busy, row, done, held=state, kept=kept, stood=True
        )
        found.extend(o.given(x.neg(bad)) for o in paused)
        earlier = self.earlier(state, state, row)
        for number in range(1 if self.limit is None else max(self.limit, 1)):
            # So many rows it has already.
            so_far = x.TRUE if self.limit is None or self.limit <= 1 else x.equal(x.count((row,), done), x.const(number))
            branch = Branch((row,), reached, (), self._order(state, state, row))
            choices: list[tuple[tuple[Local, ...], Expr, Branch]] = [((), x.TRUE, branch)]
            if self.limit is not None:
                choices = results.limited(ctx, branch, self.query.order_by, self.limit - number)
            for params, condition, chosen in choices:
                condition = x.conj(so_far, condition, x.neg(bad))
                fails = x.conj(condition, x.exists((row,), x.conj(chosen.condition, busy)))
                found.append(failed(fails, state, "lock_not_available", params=params))
                after = base.copy()
                passed = x.conj(free, x.neg(matches))
                if self.limit is not None and len(params) == self.limit - number:
                    # With all that it wants it looks no further.
                    other = x.local(self.source, table)
                    last = x.FALSE if earlier is None else earlier(row, other)
                    passed = x.conj(passed, x.exists((other,), x.conj(x.substitute(chosen.condition, {row: other}), last)))
                self.lock_only(after, passed, row)
                self.storage.lock_all(after, table, chosen.condition, row, self.mode, ctx.process, ctx.role)
                now = x.disj(done, chosen.condition)
                for outcome in self.finish(after, now, row, x.TRUE, "ok after a pause", "goes on"):
                    last_outcome = outcome if self.counts else outcome.uncounted()
                    found.append(last_outcome.given(x.conj(condition, x.neg(fails)), params))
        plans, canonical = self.chosen_plans(state, row)
        return [o.given(canonical, plans) for o in found]

    def _hidden(self, state: State, row: Expr) -> Expr:
        """The row is held against KEY SHARE by somebody who may first have updated it.

        PostgreSQL's ``heap_lock_updated_tuple`` then waits for the later version, whatever SKIP LOCKED and NOWAIT say.
        """
        parts: list[Expr] = []
        for role in self.ctx.rivals() if self.mode == "key share" else ():
            if self.storage.uses[self.table].soft(role):
                other = x.local(role, role)
                owns = self.storage.owns(state, self.table, row, other, role)
                held = self.storage.conflict(state, self.table, row, self.mode, self.ctx.process, other, role)
                parts.append(x.exists((other,), x.conj(owns, held)))
        return x.disj(*parts)

    def _take(self, state: State, branch: Branch, busy: Expr) -> list[Outcome]:
        """Lock the result rows and return them; a ``busy`` one that is reached before the LIMIT is an error (NOWAIT)."""
        ctx = self.ctx
        found: list[Outcome] = []
        choices = [((), x.TRUE, branch)] if self.limit is None else results.limited(ctx, branch, self.query.order_by, self.limit)
        for params, condition, kept in choices:
            some = x.exists(kept.locals, x.conj(kept.condition, busy))
            found.append(failed(x.conj(condition, some), state, "lock_not_available", params=params))
            after = state.copy()
            target = x.local(self.table, self.table)
            chosen = x.exists(kept.locals, x.conj(kept.condition, x.equal(self._row(kept), target)))
            self.storage.lock_all(after, self.table, chosen, target, self.mode, ctx.process, ctx.role)
            for outcome in self.end(after, kept):
                found.append(outcome.given(x.conj(condition, x.neg(some)), params))
        return found

    def end(self, state: State, branch: Branch) -> list[Outcome]:
        """The normal end of a statement that has not waited: its rows are locked."""
        one = self.keyed or single_row(self.storage.schema, self.query)
        return results.deliver(self.ctx, self.node, state, x.TRUE, [branch], None, one=one)

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
        return results.deliver(self.ctx, self.node, state, guard, [branch], None, one=one, label=label, note=note)

    def _first(self, state: State, resumed: str) -> list[Outcome]:
        """LIMIT 1: rows are tried in order until one can be had; a busy one is waited for."""
        ctx, table, terms = self.ctx, self.table, self.world.terms
        row, here = x.local(self.source, table), x.local(table, table)
        found: list[Outcome] = []
        place: Expr = x.TRUE
        base = state
        woken = resumed == "wait"
        if resumed:
            rest = self.left(state, row)
            base = state.copy()
            waiting.clear(ctx, base)
        if woken:
            place = x.equal(state.read(waiting.at(self.world, ctx.role, table), ctx.process), here)
            gone_now = x.neg(self.storage.visible(state, table, here, ctx.process, ctx.role))
            waiting.release_row(self.world, base, ctx.process, table, here, gone_now)
        if not resumed:
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
        order = self._order(state, state if resumed else None, row)
        mine = x.local(table, table)

        def at(node: Expr, place_: Expr) -> Expr:
            return x.substitute(node, {row: place_})

        def earlier(than: Expr) -> Expr:
            return ordered_before(terms, self.query.order_by, order, tuple(at(o, than) for o in order)) if order else x.FALSE

        # The row that was waited for comes first: it was reached in order.
        first = x.neg(x.exists((row,), x.conj(eligible, earlier(mine))))
        if woken:
            first = x.ite(at(eligible, here), x.equal(mine, here), first)
        chosen = x.conj(place, at(eligible, mine), first)
        params = (here, mine, *choices) if woken else (mine, *choices)
        passed = base.copy()
        if resumed:
            skipped = x.conj(
                rest, there, x.neg(busy), x.neg(matches), x.disj(x.equal(row, here) if woken else x.FALSE, earlier(mine))
            )
            self.lock_only(passed, skipped, row)
        taken = passed.copy()
        self.storage.lock_all(taken, table, x.equal(row, mine), row, self.mode, ctx.process, ctx.role)
        label = {"wait": "ok after waiting", "pause": "ok after a pause"}.get(resumed, "ok")
        for outcome in self.finish(taken, x.equal(row, mine), row, x.TRUE, label, ""):
            found.append(outcome.given(x.conj(chosen, x.neg(at(busy, mine))), params))
        nothing = base.copy()
        if resumed:
            self.lock_only(nothing, x.conj(rest, there, x.neg(matches)), row)
        for outcome in self.finish(nothing, x.FALSE, row, x.TRUE, "no row", ""):
            none_left = x.conj(place, x.neg(x.exists((row,), eligible)))
            found.append(outcome.given(none_left, (here, *choices) if woken else choices))
        for again in (False, True) if woken else (False,):
            for other, condition in waiting.to_wait_for(ctx, state, table, mine, self.mode, first=again):
                after = passed.copy()
                after.write(waiting.at(self.world, ctx.role, table), (ctx.process,), mine)
                waiting.begin_to_want(ctx, after, state, table, mine, x.const(self.mode))
                waiting.begin_wait(ctx, after, other)
                gone = x.conj(rest, x.disj(x.equal(row, mine), x.conj(x.neg(earlier(mine)), eligible)))
                after.write_all(
                    waiting.todo(self.world, ctx.role, table),
                    lambda p, r, gone=gone: (x.equal(p, ctx.process), x.substitute(gone, {row: r})),
                )
                self._stand(state, state if resumed else None, after, row, rest, gone)
                same = x.TRUE if not woken else x.equal(mine, here) if again else x.neg(x.equal(mine, here))
                guard = x.conj(chosen, at(busy, mine), same, condition)
                found.append(Outcome("wait", guard, after, "waits", (*params, other), note="waits for"))
        if not choices:
            free = x.conj(rest, there, x.neg(busy), matches)
            fails = x.conj(rest, there, x.neg(busy), x.neg(matches))
            held = state if resumed else None
            paused = self.pauses(
                base, rest, free, fails if resumed else x.FALSE, busy, row, x.FALSE, held=held, kept=kept, stood=resumed == "pause"
            )
            found.extend(o.given(place, (here,) if woken else ()) for o in paused)
        return found

    def _place_in_order(self, number: int) -> str:
        """The function: a key of ORDER BY as it was when the statement began, for the rows that are left."""
        name = f"{self.ctx.role}.~kept.{self.ctx.scope}{self.table}.order{number}"
        return self.world.functions.declare(name, [self.ctx.role, self.table], UNKNOWN, None, ("kept", self.ctx.role, self.table))
