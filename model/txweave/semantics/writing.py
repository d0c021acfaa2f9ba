"""UPDATE and DELETE, with the constraints that they may break."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from txweave.semantics import results, waiting
from txweave.semantics.constraints import (
    PARENTS,
    VALUES,
    check_deleted,
    check_row,
    children_of,
    foreign_key_asks,
    own_values,
    parent_of,
    unique_conflicts,
    unique_keys,
    unique_matters,
    written_before,
)
from txweave.semantics.context import Context, keyed, walk
from txweave.semantics.outcome import Outcome, failed, ok, out
from txweave.semantics.rowwise import RowByRow, outermost_subqueries
from txweave.semantics.storage import key_columns
from txweave.semantics.symbolic import State
from txweave.semantics.terms import Branch, Env
from txweave.sql import program as bound
from txweave.sql import tree
from txweave.system import expr as x
from txweave.system.expr import Expr, Local


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
        self.subqueries = outermost_subqueries(statement.where, *values)
        if isinstance(statement, tree.Delete) and any(children_of(ctx, self.table)):
            self.counts = True  # the children of all deleted rows are dealt with at the end

    def where(self) -> tree.Expr | None:
        """The WHERE."""
        return self.statement.where

    def modes(self, state: State, row: Expr, kept: dict[int, Expr]) -> list[tuple[str, Expr]]:
        """An UPDATE that sets a key column to the value that it has takes the weaker lock (``HeapDetermineColumnsInfo``)."""
        if self.mode != "update" or not isinstance(self.statement, tree.Update) or self.statement.using is not None:
            return [(self.mode, x.TRUE)]
        keys = key_columns(self.storage.schema.tables[self.table])
        env = self.env(state, row, kept)
        changes = [
            x.neg(
                x.equal(
                    self.world.terms.value(expression, env),
                    self.storage.column(state, self.table, column, row, self.ctx.process, self.ctx.role),
                )
            )
            for column, expression in self.statement.sets
            if column in keys
        ]
        changed = x.disj(*changes)
        return [("update", changed), ("no key update", x.neg(changed))]

    def refused(self, state: State, row: Expr, kept: dict[int, Expr]) -> list[tuple[Expr, str]]:
        """NOT NULL and CHECK of the new version of a row."""
        if not isinstance(self.statement, tree.Update) or self.statement.using is not None:
            return []
        env = self.env(state, row, kept)
        new = {column: self.world.terms.value(expression, env) for column, expression in self.statement.sets}
        values = {**own_values(self.ctx, state, self.table, row), **new}
        definition = self.storage.schema.tables[self.table]
        outcomes = check_row(
            self.ctx,
            state,
            state,
            definition,
            row,
            set(new),
            redo_allowed=False,
            parts=frozenset({VALUES}),
            values=values,
        )
        return [(o.guard, o.error) for o in outcomes if o.exit == "error"]

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
            return [ok(x.TRUE, after)]
        values, ambiguous = self._values(state, row, kept)
        found: list[Outcome] = []
        guard: Expr = x.TRUE
        if ambiguous is not x.FALSE:
            doubt = x.exists((row,), x.conj(chosen, ambiguous))
            found.append(out(doubt, state, f"UPDATE … FROM with several joined rows that differ ({self.table})"))
            guard = x.neg(doubt)
        crowded = x.conj(chosen, self.storage.crowded(state, self.table, row, values, ctx.process, ctx.role))
        if crowded is not x.FALSE:
            full = x.exists((row,), crowded)
            found.append(out(x.conj(guard, full), state, f"a transaction gives a row its third key ({self.table})"))
            guard = x.conj(guard, x.neg(full))
        after = state.copy()
        self.storage.update_all(after, self.table, chosen, row, values, ctx.process, ctx.role)
        if self.keyed and (has_keys(definition, set(values)) or self._asking(set(values))):
            touched = state.copy()
            self.storage.update_all(touched, self.table, chosen, row, {}, ctx.process, ctx.role)
            target = x.local(self.table, self.table)
            is_target = x.substitute(chosen, {row: target})
            found.append(ok(x.conj(guard, x.neg(x.exists((row,), chosen))), state))
            redo_allowed = not self.subqueries
            stay = self._stay(target) if self._asking(set(values)) == 1 else None
            for outcome in check_row(
                ctx,
                after,
                touched,
                definition,
                target,
                set(values),
                redo_allowed=redo_allowed,
                old=state,
                stay=stay,
                pause=self.pause.parents,
            ):
                if outcome.exit == "redo":
                    self._note_begun(outcome.state, state, target)
                    if any(unique_matters(u, definition, set(values)) for u in unique_keys(definition)[: outcome.claimed]):
                        # A key that comes before is taken already, which another try would not show.
                        where = f"an UPDATE waits for the second of its keys ({self.table})"
                        outcome = out(outcome.guard, state, where, outcome.params)
                found.append(outcome.given(x.conj(guard, is_target), (target,)))
            return found
        found.extend(o.given(guard) for o in self._check_all(state, after, chosen, row, set(values), definition))
        return found

    def _asking(self, columns: set[str]) -> int:
        """How many foreign keys may ask for a parent when these columns are set."""
        again = self.ctx.role in self.storage.uses[self.table].rewriters
        keys = self.storage.schema.tables[self.table].foreign_keys
        return sum(again or bool(set(key.columns) & columns) for key in keys)

    def _note_begun(self, waits: State, before: State, target: Local) -> None:
        """In the state from which the statement is tried again: the row is the process's own by this try only."""
        if self._asking(set()):
            name = waiting.begun(self.world, self.ctx.role, self.table)
            new = x.neg(written_before(self.ctx, before, self.table, target))
            waits.write(name, (self.ctx.process, target), x.TRUE, new)

    def _stay(self, target: Local) -> Callable[[State], None]:
        """Notes that the row, which is written, has its parent still to find."""

        def stay(state: State) -> None:
            state.write(waiting.todo(self.world, self.ctx.role, self.table), (self.ctx.process, target), x.TRUE)

        return stay

    def parents_resumed(self, state: State) -> list[Outcome]:
        """After waiting for a parent: the row is written, and looks for its parent again."""
        assert isinstance(self.statement, tree.Update)
        definition = self.storage.schema.tables[self.table]
        target = x.local(self.table, self.table)
        place = x.truth(x.apply(waiting.todo(self.world, self.ctx.role, self.table), self.ctx.process, target))
        cleared = state.copy()
        waiting.clear(self.ctx, cleared)
        # It has asked for the parent, so it asks again: as for a row that is new.
        columns = {c for c, _ in self.statement.sets}
        asking = [k for k in definition.foreign_keys if set(k.columns) & columns or self._asking(set())]
        found: list[Outcome] = []
        for outcome in check_row(
            self.ctx,
            cleared,
            cleared,
            replace(definition, foreign_keys=tuple(asking)),
            target,
            None,
            redo_allowed=False,
            parts=frozenset({PARENTS}),
            stay=self._stay(target),
        ):
            if outcome.exit == "ok":
                row = x.local(self.source, self.table)
                ends = self._deliver(outcome.state, x.equal(row, target), row, x.TRUE, "ok after waiting", "")
                found.extend(end.given(x.conj(place, outcome.guard), (target, *outcome.params)) for end in ends)
            else:
                found.append(outcome.given(place, (target,)))
        return found

    def _check_all(
        self, before: State, after: State, chosen: Expr, row: Local, columns: set[str], definition: tree.Table
    ) -> list[Outcome]:
        """Constraints of an UPDATE of any number of rows, in any order; whom it would have to wait for leads out of the model."""
        ctx = self.ctx
        values = own_values(ctx, after, self.table, row)
        found: list[Outcome] = []
        errors: list[tuple[Expr, str]] = []
        waits: list[Expr] = []
        clashes: list[Expr] = []

        def some(guard: Expr) -> Expr:
            return x.exists((row,), x.conj(chosen, guard))

        def others(rival: Expr) -> Expr:
            return x.neg(x.substitute(chosen, {row: rival}))

        values_only = frozenset({VALUES})
        for outcome in check_row(ctx, after, after, definition, row, columns, redo_allowed=False, parts=values_only, values=values):
            if outcome.exit == "error":
                errors.append((some(outcome.guard), outcome.error))
        for unique in definition.uniques:
            if unique_matters(unique, definition, columns):
                duplicate, busy = unique_conflicts(ctx, after, definition, unique, row, values, others)
                waits.extend(x.exists((other,), some(condition)) for other, condition in busy)
                among, passing, crossing = self._clashes(before, after, chosen, row, unique)
                errors.append((x.disj(some(duplicate), among, crossing), "unique_violation"))
                clashes.append(passing)
        free = x.neg(x.disj(*waits))
        if waits:
            found.append(out(x.neg(free), before, f"an UPDATE of several rows waits for a key ({self.table})"))
        # Which row fails first is open, and so is the error if rows fail for different reasons.
        found.extend(failed(x.conj(free, guard), before, error) for guard, error in errors if guard is not x.FALSE)
        free = x.conj(free, x.neg(x.disj(*(guard for guard, _ in errors))))
        # Two rows that meet on the way, and not at the end: an error or none, as the order of the rows has it.
        if clashes:
            found.append(failed(x.conj(free, x.disj(*clashes)), before, "unique_violation"))
        final = after.copy()
        missing: list[Expr] = []
        for key in definition.foreign_keys:
            required = foreign_key_asks(ctx, before, definition, key, row, columns, values)
            if required is x.FALSE:
                continue
            parent = x.local(key.parent, key.parent)
            there, busy = parent_of(ctx, after, key, values, parent, required)
            blocked = x.disj(*(x.exists((other,), some(condition)) for other, condition in busy))
            found.append(out(x.conj(free, blocked), before, f"an UPDATE of several rows waits for a parent ({self.table})"))
            free = x.conj(free, x.neg(blocked))
            missing.append(some(x.conj(required, x.neg(x.exists((parent,), there)))))
            locked = x.exists((row,), x.conj(chosen, required, there))
            self.storage.lock_all(final, key.parent, locked, parent, "key share", ctx.process, ctx.role)
        if missing:
            found.append(failed(x.conj(free, x.disj(*missing)), before, "foreign_key_violation"))
        return [*found, ok(x.conj(free, x.neg(x.disj(*missing))), final)]

    def _clashes(self, before: State, after: State, chosen: Expr, row: Local, unique: tree.Unique) -> tuple[Expr, Expr, Expr]:
        """How rows of one UPDATE get in each other's way: two have one key at the end (an error in any order), one takes the key
        that another gives up (an error if it comes first), two exchange theirs (an error in any order)."""
        one, two = x.local(self.table, self.table), x.local(self.table, self.table)

        def key(state: State, of: Local) -> tuple[Expr, tuple[Expr, ...]]:
            values = own_values(self.ctx, state, self.table, of)
            applies = [self.world.terms.not_null(values[c]) for c in unique.columns]
            if unique.where is not None:
                env = self.ctx.env(state).with_columns(lambda _source, name: values[name])
                applies.append(self.world.terms.true(unique.where, env))
            return x.conj(*applies), tuple(values[c] for c in unique.columns)

        def meet(first: State, second: State) -> Expr:
            (holds, mine), (theirs, other) = key(first, one), key(second, two)
            return x.conj(holds, theirs, *(x.equal(a, b) for a, b in zip(mine, other, strict=True)))

        pair = x.conj(x.substitute(chosen, {row: one}), x.substitute(chosen, {row: two}), x.neg(x.equal(one, two)))
        takes, gives = meet(after, before), meet(before, after)
        return (
            x.exists((one, two), x.conj(pair, meet(after, after))),
            x.exists((one, two), x.conj(pair, takes)),
            x.exists((one, two), x.conj(pair, takes, gives)),
        )

    def finish(self, state: State, done: Expr, row: Local, guard: Expr, label: str, note: str) -> list[Outcome]:
        """RETURNING and the row count; what happens to the children of deleted rows happens at the statement's end."""
        if isinstance(self.statement, tree.Delete):
            found: list[Outcome] = []
            for outcome in check_deleted(self.ctx, state, state, self.table, done, row):
                if outcome.exit == "ok":
                    ends = self._deliver(outcome.state, done, row, guard, label, note)
                    found.extend(end.given(outcome.guard, outcome.params) for end in ends)
                else:
                    found.append(outcome.given(guard))
            return found
        return self._deliver(state, done, row, guard, label, note)

    def _deliver(self, state: State, done: Expr, row: Local, guard: Expr, label: str, note: str) -> list[Outcome]:
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


def has_keys(table: tree.Table, columns: set[str]) -> bool:
    """Whether columns take part in a unique constraint (its predicate too) or a foreign key."""
    for unique in table.uniques:
        inside = {n.column for n in walk(unique.where) if isinstance(n, tree.ColumnRef)}
        if (set(unique.columns) | inside) & columns:
            return True
    return any(set(f.columns) & columns for f in table.foreign_keys)


def write_mode(table: tree.Table, statement: tree.Update | tree.Delete) -> str:
    """The row-lock mode that a write takes: UPDATE of no key column takes NO KEY UPDATE."""
    if isinstance(statement, tree.Delete):
        return "update"
    return "update" if {c for c, _ in statement.sets} & key_columns(table) else "no key update"
