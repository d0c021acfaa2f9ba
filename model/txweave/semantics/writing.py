"""UPDATE and DELETE, with the constraints that they may break."""

from __future__ import annotations

from txweave.semantics import results
from txweave.semantics.constraints import VALUES, check_deleted, check_row, children_of, own_values
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
        after = state.copy()
        self.storage.update_all(after, self.table, chosen, row, values, ctx.process, ctx.role)
        if self.keyed and has_keys(definition, set(values)):
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
        if not has_keys(definition, columns):
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
