"""What UPDATE, DELETE and SELECT … FOR have in common: rows one after the other, waits, and a second look."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator

from txweave.semantics import waiting
from txweave.semantics.context import UNKNOWN, Context, conjuncts, walk
from txweave.semantics.outcome import Outcome, failed, ok, out
from txweave.semantics.symbolic import State
from txweave.semantics.terms import Env
from txweave.sql import program as bound
from txweave.sql import tree
from txweave.system import expr as x
from txweave.system.expr import Expr, Local

MOST_ROWS = 6
"""Up to this many rows, every subset that a statement may have locked before it waits is an outcome of its own."""


PLANS = (
    "after waiting, a subquery that depends on an updated column of the row waited for may be evaluated either way "
    "(it depends on the plan): both are explored"
)


def outermost_subqueries(*parts: tree.Expr | None) -> list[tree.Expr]:
    """The subqueries of expressions that are in no other subquery: inner ones belong to them."""
    found = [n for part in parts for n in walk(part) if isinstance(n, tree.Exists | tree.InQuery | tree.ScalarQuery)]
    inner = {id(n) for s in found for n in list(walk(s))[1:]}
    return [s for s in found if id(s) not in inner]


class RowByRow(ABC):
    """Statements that lock rows one after the other, and may wait in the middle (UPDATE, DELETE, SELECT … FOR).

    The candidates are the rows that match in the statement's snapshot.  A conflict makes the statement wait: it has dealt with
    some of the others (every subset is possible, since the order is not determined), and keeps the rest in ``todo``.  After the
    wait a row is looked at in its newest version: gone, no longer matching (then it stays locked), or matching.
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
        self.pause = ctx.pause(node.statement)
        self.limit: int | None = None
        self._plans: dict[tree.Expr, tuple[Local, ...]] = {}

    # What the kinds of statements differ in ------------------------------------------------------------------------

    @abstractmethod
    def where(self) -> tree.Expr | None:
        """The condition on the target row."""

    def env(self, state: State, row: Expr, kept: dict[int, Expr]) -> Env:
        """Expressions over the target row in a state."""
        relations = self.ctx.relations(state)
        return relations.scope(self.ctx.env(state, kept), {self.source: relations.table(self.source, self.table, row)})

    @abstractmethod
    def apply(self, state: State, chosen: Expr, row: Local, kept: dict[int, Expr]) -> list[Outcome]:
        """The effect on all chosen rows (over ``row``) at once; exits ``ok``, ``error``, ``redo`` or ``out``."""

    @abstractmethod
    def finish(self, state: State, done: Expr, row: Local, guard: Expr, label: str, note: str) -> list[Outcome]:
        """The normal end; ``done`` (over ``row``) are the rows dealt with."""

    def modes(self, state: State, row: Expr, kept: dict[int, Expr]) -> list[tuple[str, Expr]]:
        """The row-lock modes that the statement asks for on a row, each with its condition."""
        del state, row, kept
        return [(self.mode, x.TRUE)]

    def refused(self, state: State, row: Expr, kept: dict[int, Expr]) -> list[tuple[Expr, str]]:
        """Errors that a row gives before its lock is asked for, each with its condition."""
        del state, row, kept
        return []

    def watched(self) -> list[str]:
        """Columns whose values are kept while the statement waits."""
        return []

    # Shared -------------------------------------------------------------------------------------------------------

    def conflicting(self, state: State, row: Expr, kept: dict[int, Expr]) -> Expr:
        """Some other process holds the row against the statement."""
        parts = [
            x.conj(condition, waiting.conflicting(self.ctx, state, self.table, row, mode))
            for mode, condition in self.modes(state, row, kept)
        ]
        return x.disj(*parts)

    def to_wait_for(self, state: State, row: Expr, kept: dict[int, Expr], *, first: bool) -> Iterator[tuple[Local, Expr]]:
        """For each role, a process to wait for: (local, condition)."""
        for mode, condition in self.modes(state, row, kept):
            for other, blocks in waiting.to_wait_for(self.ctx, state, self.table, row, mode, first=first):
                if x.conj(condition, blocks) is not x.FALSE:
                    yield other, x.conj(condition, blocks)

    def candidates(self, state: State, row: Local) -> Expr:
        """The rows that match in the snapshot."""
        there = self.storage.visible(state, self.table, row, self.ctx.process, self.ctx.role)
        where = self.where()
        holds = x.TRUE if where is None else self.world.terms.true(where, self.env(state, row, {}))
        return x.conj(there, holds)

    def outcomes(self, state: State, resumed: str) -> list[Outcome]:
        """All outcomes."""
        row = x.local(self.source, self.table)
        self.plan()
        if resumed == "wait":
            return self._resume(state, row)
        if resumed == "pause":
            cleared = state.copy()
            waiting.clear(self.ctx, cleared)
            rest, done = self.left(state, row), self.dealt(state, row)
            label, note = "ok after a pause", "goes on"
            found = self._go_on(cleared, rest, row, done, x.TRUE, held=state, label=label, note=note, stood=True)
            choices, canonical = self.chosen_plans(state, row)
            return [o.given(canonical, choices) for o in found]
        chosen = self.candidates(state, row)
        return self._go_on(state, chosen, row, x.FALSE, x.TRUE, held=None, label="ok", note="")

    def plan(self) -> None:
        """Note the subqueries whose value after a pause depends on the plan, with a parameter for each row of the table."""
        if self.pause.late or self.pause.partly:
            size = self.storage.sizes[self.table]
            nodes = [node for node in self.subqueries if self._open(node)]
            self._plans = {node: tuple(x.local("plan", x.BOOL) for _ in range(size)) for node in nodes}
        if self._plans:
            self.world.notes.add(PLANS)

    def left(self, state: State, row: Expr) -> Expr:
        """A row that a statement which stands in the middle has still to deal with."""
        return x.truth(state.read(waiting.todo(self.world, self.ctx.role, self.table), self.ctx.process, row))

    def dealt(self, state: State, row: Expr) -> Expr:
        """A row that it has dealt with, where that matters."""
        if not self.counts or self.keyed:
            return x.FALSE
        return x.truth(state.read(waiting.got(self.world, self.ctx.role, self.table), self.ctx.process, row))

    def earlier(self, state: State, held: State | None, row: Local) -> Callable[[Expr, Expr], Expr] | None:
        """That one row is reached before another; None if the order is not determined."""
        del state, held, row
        return None

    def keep_order(self, before: State, held: State | None, after: State, row: Local, left: Expr) -> None:
        """Keep what decides about the order of the rows that are left."""
        del before, held, after, row, left

    def _resume(self, state: State, row: Local) -> list[Outcome]:
        """After waiting for the row ``at``."""
        ctx, table = self.ctx, self.table
        at = waiting.at(self.world, ctx.role, table)
        here = x.local(table, table)
        place = x.equal(state.read(at, ctx.process), here)
        rest: Expr = x.FALSE if self.keyed else x.conj(self.left(state, row), x.neg(x.equal(row, here)))
        done = self.dealt(state, row)
        there = self.storage.visible(state, table, here, ctx.process, ctx.role)
        kept, choices = self._kept(state, here)
        busy = self.conflicting(state, here, kept)
        found: list[Outcome] = []
        # Taken by another process in the meantime: wait again, now for that one.
        for other, condition in self.to_wait_for(state, here, kept, first=True):
            again = state.copy()
            waiting.begin_wait(ctx, again, other)
            # Those behind it are handed on to the newest version as well, if it is another one.
            outdated = x.equal(state.read(waiting.wants(self.world, ctx.role, table), ctx.process), x.NULL)
            waiting.release_row(self.world, again, ctx.process, table, here, outdated, other)
            guard = x.conj(place, there, condition)
            note = "the row is locked again: waits on"
            found.append(Outcome("wait", guard, again, "waits again", (here, other, *self._used(guard, choices)), note=note))
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
                gone, rest, row, done, x.TRUE, held=state, label="row gone", note="after waiting the row is gone"
            ):
                found.append(outcome.given(x.conj(place, x.neg(there)), (here,)))
        free = x.conj(place, there, x.neg(busy))
        # It no longer matches: PostgreSQL has locked the newest version before it looks, and keeps the lock.
        if matches is not x.TRUE:
            skipped = cleared.copy()
            self.lock_only(skipped, x.equal(row, here), row)
            note = "after waiting the row no longer matches: left alone, but locked"
            for outcome in self._go_on(skipped, rest, row, done, x.TRUE, held=state, label="no longer matches", note=note):
                found.append(outcome.given(x.conj(free, x.neg(matches)), (here, *choices)))
        for first in self.apply(cleared.copy(), x.equal(row, here), row, kept):
            if first.exit != "ok":
                found.append(first.given(x.conj(free, matches), (here, *choices)))
                continue
            now = x.disj(done, x.equal(row, here))
            for outcome in self._go_on(first.state, rest, row, now, first.guard, held=state, label="ok after waiting", note=""):
                found.append(outcome.given(x.conj(free, matches), (here, *choices, *first.params)))
        return found

    def _go_on(
        self,
        state: State,
        rest: Expr,
        row: Local,
        done: Expr,
        guard: Expr,
        *,
        held: State | None,
        label: str,
        note: str,
        stood: bool = False,
    ) -> list[Outcome]:
        """Deal with the remaining rows: all of them, or up to one that must be waited for, or up to a pause.

        ``held`` is the state that still has what the statement kept when it began to wait or paused; None when it has just begun.
        ``stood``: it goes on after a pause, and has done nothing yet.
        """
        ctx, table, fresh = self.ctx, self.table, held is None
        found: list[Outcome] = []
        if rest is x.FALSE:
            return self.finish(state, done, row, guard, label, note)
        there = self.storage.visible(state, table, row, ctx.process, ctx.role)
        act: Expr = rest
        locked_only: Expr = x.FALSE
        kept: dict[int, Expr] = {}
        unknown: Expr = x.FALSE
        if stood and held is not None:
            kept = self.kept_in_pause(held, row)
        elif held is not None:
            kept, unknown = self._kept_others(held, row, x.conj(rest, there))
        busy = x.conj(rest, x.TRUE if fresh else there, self.conflicting(state, row, kept))
        if not fresh:
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
                if not (fresh or self.counts):
                    last = last.uncounted()
                found.append(last.given(x.neg(blocked), outcome.params))
        if not self.joined:
            paused = self.pauses(state, rest, act, locked_only, busy, row, done, held=held, kept=kept, stood=stood)
            found.extend(o.given(guard) for o in paused)
        if blocked is x.FALSE:
            return found
        if self.joined:
            found.append(out(x.conj(guard, blocked), state, f"waiting in a join ({table})"))
            return found
        found.extend(o.given(guard) for o in self._wait(state, rest, act, locked_only, busy, row, done, held=held, kept=kept))
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
        held: State | None,
        kept: dict[int, Expr],
    ) -> list[Outcome]:
        """Wait for one of the busy rows, having dealt with any subset of those that are free."""
        fresh = held is None
        ctx, table, size = self.ctx, self.table, self.storage.sizes[self.table]
        found: list[Outcome] = []
        here = x.local(table, table)
        masks: tuple[Local, ...] = ()
        taken: Expr = x.FALSE
        canonical: Expr = x.TRUE
        if not self.keyed and size > 1:
            if size > MOST_ROWS:
                self.world.report.error(
                    "M414",
                    ctx.span,
                    f"a statement that may wait could lock any subset of {size} rows of {table} before it does",
                    f"lower the bound on {table} to {MOST_ROWS}, or name one row by its key",
                )
                return []
            masks, taken = self._subset(row)
            free = x.conj(rest, x.neg(busy), x.neg(x.equal(row, here)))
            canonical = x.conj(x.forall((row,), x.implies(taken, free)), self._in_order(state, held, row, rest, taken, here))
        before = state
        state = state.copy()
        if locked_only is not x.FALSE:
            self.lock_only(state, x.conj(locked_only, taken), row)
        partial = [ok(x.TRUE, state)] if taken is x.FALSE else self.apply(state, x.conj(act, taken), row, kept)
        is_busy = x.substitute(busy, {row: here})
        refused = self.refused(before, row, kept)
        for position, (condition, error) in enumerate(refused):
            # NOT NULL and CHECK are looked at before the lock is asked for: a row that fails them is not waited for.
            earlier = x.disj(*(c for c, _ in refused[:position]))
            found.append(failed(x.exists((row,), x.conj(busy, condition, x.neg(earlier))), before, error))
        if fresh:
            is_busy = x.conj(is_busy, x.neg(x.substitute(x.disj(*(c for c, _ in refused)), {row: here})))
        for first in partial:
            if first.exit != "ok":
                found.append(first.given(x.conj(is_busy, canonical), (here, *masks)))
                continue
            for other, condition in self.to_wait_for(before, here, kept, first=False):
                after = first.state.copy()
                after.write(waiting.at(self.world, ctx.role, table), (ctx.process,), here)
                wanted: Expr = x.NULL
                for mode, asked in self.modes(before, here, kept):
                    wanted = x.ite(asked, x.const(mode), wanted)
                waiting.begin_to_want(ctx, after, before, table, here, wanted)
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
                self._stand(before, held, after, row, rest, x.conj(rest, x.neg(taken)))
                guard = x.conj(is_busy, canonical, condition, first.guard)
                found.append(Outcome("wait", guard, after, "waits", (here, *masks, other, *first.params), note="waits for"))
        return found

    def _subset(self, row: Local) -> tuple[tuple[Local, ...], Expr]:
        """Parameters for any set of rows, and that ``row`` is in it."""
        masks = tuple(x.local("taken", x.BOOL) for _ in range(self.storage.sizes[self.table]))
        return masks, self._among(row, masks)

    def _in_order(self, state: State, held: State | None, row: Local, rest: Expr, taken: Expr, here: Expr | None) -> Expr:
        """The rows ``taken`` come before ``here``, and before all that are left: as ORDER BY says."""
        earlier = self.earlier(state, held, row)
        if earlier is None:
            return x.TRUE
        other = x.local(self.source, self.table)
        left = x.conj(rest, x.neg(taken))
        parts = [x.forall((row, other), x.implies(x.conj(left, x.substitute(taken, {row: other})), x.neg(earlier(row, other))))]
        if here is not None:
            parts.append(x.forall((row,), x.implies(left, x.neg(earlier(row, here)))))
        return x.conj(*parts)

    def _stand(self, before: State, held: State | None, after: State, row: Local, rest: Expr, left: Expr) -> None:
        """Keep what the statement will need of its snapshot when it goes on with the rows that are left."""
        if held is None:
            self._keep(before, after, row, rest)
        else:
            self.keep_on(held, after, row, left)
            for column in sorted({c for node in self._plans for c in self._moves(node)}):
                name = waiting.changed(self.world, self.ctx.role, self.table, column)
                after.write_all(
                    name,
                    lambda p, r, name=name: (
                        x.equal(p, self.ctx.process),
                        x.conj(x.substitute(left, {row: r}), x.truth(held.read(name, p, r))),
                    ),
                )
        self.keep_order(before, held, after, row, left)

    # A subquery whose value depends on the plan, of a row that has changed since the snapshot -------------------------

    def _moves(self, node: tree.Expr) -> list[str]:
        """The columns of the target on which a subquery depends, and which some procedure updates."""
        updated = self.storage.uses[self.table].updated
        columns = {n.column for n in walk(node) if isinstance(n, tree.ColumnRef) and n.source == self.source}
        return sorted(columns & updated)

    def _changed(self, held: State, node: tree.Expr, row: Expr) -> Expr:
        """Such a column has been changed since the snapshot."""
        names = [waiting.changed(self.world, self.ctx.role, self.table, column) for column in self._moves(node)]
        return x.disj(*(x.truth(held.read(name, self.ctx.process, row)) for name in names))

    def chosen_plans(self, held: State, row: Local) -> tuple[tuple[Local, ...], Expr]:
        """Parameters for the values of these subqueries, false where they make no difference."""
        masks = [mask for found in self._plans.values() for mask in found]
        parts = [
            x.forall((row,), x.implies(self._among(row, found), x.conj(self.left(held, row), self._changed(held, node, row))))
            for node, found in self._plans.items()
        ]
        return tuple(masks), x.conj(*parts)

    def kept_in_pause(self, held: State, row: Local) -> dict[int, Expr]:
        """The values of the subqueries for the rows that are left after a pause."""
        pure = self._pure()
        found: dict[int, Expr] = {}
        for number, node in enumerate(self.subqueries):
            value = pure.get(id(node))
            value = held.read(self._holder(number), self.ctx.process, row) if value is None else value
            if node in self._plans:
                value = x.ite(self._changed(held, node, row), self._among(row, self._plans[node]), value)
            found[id(node)] = value
        return found

    def _among(self, row: Local, masks: tuple[Local, ...]) -> Expr:
        bits = [x.conj(x.equal(row, x.const(x.Elem(self.table, i))), x.truth(mask)) for i, mask in enumerate(masks)]
        return x.disj(*bits)

    def pauses(
        self,
        state: State,
        rest: Expr,
        act: Expr,
        locked_only: Expr,
        busy: Expr,
        row: Local,
        done: Expr,
        *,
        held: State | None,
        kept: dict[int, Expr],
        stood: bool,
    ) -> list[Outcome]:
        """Stop for a while with some of the rows dealt with, in their order, and the others left."""
        ctx, table = self.ctx, self.table
        passed: Expr = x.FALSE
        masks: tuple[Local, ...] = ()
        if self.pause.partly:
            masks, passed = self._subset(row)
        elif held is not None or not self.pause.late:
            return []
        left = x.conj(rest, x.neg(passed))
        dealing = x.conj(act, passed, x.neg(busy))
        guards = [x.exists((row,), left)]
        if masks:
            free = rest if self.wait == "skip locked" else x.conj(rest, x.neg(busy))
            guards += [x.forall((row,), x.implies(passed, free)), self._in_order(state, held, row, rest, passed, None)]
            if stood or (held is None and not self.pause.late):
                guards.append(x.exists((row,), passed))
        if self.limit is not None:
            guards.append(x.less(x.count((row,), x.disj(done, dealing)), x.const(self.limit)))
        stopped = state.copy()
        if locked_only is not x.FALSE and masks:
            self.lock_only(stopped, x.conj(locked_only, passed, x.neg(busy)), row)
        found: list[Outcome] = []
        for first in self.apply(stopped, dealing, row, kept) if masks else [ok(x.TRUE, stopped)]:
            if first.exit != "ok":
                continue  # the error comes without the pause as well
            after = first.state.copy()
            after.write_all(
                waiting.todo(self.world, ctx.role, table),
                lambda p, r: (x.equal(p, ctx.process), x.substitute(left, {row: r})),
            )
            if self.counts and not self.keyed:
                dealt = x.disj(done, dealing)
                after.write_all(
                    waiting.got(self.world, ctx.role, table),
                    lambda p, r, dealt=dealt: (x.equal(p, ctx.process), x.substitute(dealt, {row: r})),
                )
            self._stand(state, held, after, row, rest, left)
            guard = x.conj(*guards, first.guard)
            note = (
                "has its snapshot, and goes on later" if not masks else "stops with some of its rows dealt with, and goes on later"
            )
            found.append(Outcome("pause", guard, after, "pauses", (*masks, *first.params), note=note))
        return found

    @staticmethod
    def _used(guard: Expr, choices: tuple[Local, ...]) -> tuple[Local, ...]:
        """The choices that a guard depends on."""
        free = x.free_locals(guard)
        return tuple(choice for choice in choices if choice in free)

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

    def _was(self, column: str) -> str:
        """The function: a column's value as it was when the statement began, for the rows that are left."""
        name = f"{self.ctx.role}.~kept.{self.ctx.scope}{self.table}.was.{column}"
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
                self.world.notes.add(PLANS)
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

    def keep_on(self, held: State, after: State, row: Local, left: Expr) -> None:
        """What was kept when the statement began to wait stays, for the rows that are left, when it waits for another one."""
        pure = self._pure()
        holders = [
            self._holder(n)
            for n, node in enumerate(self.subqueries)
            if id(node) not in pure and (not self._open(node) or node in self._plans)
        ]
        for holder in (*holders, *(self._was(column) for column in self.watched())):
            after.write_all(
                holder,
                lambda p, r, holder=holder: (
                    x.equal(p, self.ctx.process),
                    x.ite(x.substitute(left, {row: r}), held.read(holder, p, r), x.NULL),
                ),
            )

    def _keep(self, before: State, after: State, row: Local, rest: Expr) -> None:
        """Remember the subqueries' values for the rows that are left."""
        pure = self._pure()
        env = self.env(before, row, {})
        for number, node in enumerate(self.subqueries):
            if id(node) in pure or (self._open(node) and node not in self._plans):
                continue
            value = x.ite(rest, self.world.terms.value(node, env), x.NULL)
            after.write_all(
                self._holder(number), lambda p, r, value=value: (x.equal(p, self.ctx.process), x.substitute(value, {row: r}))
            )
        for column in self.watched():
            value = x.ite(rest, self.storage.column(before, self.table, column, row, self.ctx.process, self.ctx.role), x.NULL)
            after.write_all(
                self._was(column), lambda p, r, value=value: (x.equal(p, self.ctx.process), x.substitute(value, {row: r}))
            )
