"""SQL statements as atomic steps: what each does to versions and locks, whom it waits for, what it returns."""

from __future__ import annotations

from dataclasses import replace

from txweave.semantics import results, waiting
from txweave.semantics.context import Context, limit_of, limited_values, one_row, single_row
from txweave.semantics.in_place import keys_resumed, parents_resumed
from txweave.semantics.inserts import insert, insert_select, insert_selected, row_values
from txweave.semantics.locking import Locking
from txweave.semantics.outcome import Outcome, out
from txweave.semantics.picking import Picking, picked
from txweave.semantics.symbolic import State
from txweave.semantics.terms import Env
from txweave.semantics.writing import Writing
from txweave.sql import program as bound
from txweave.sql import tree
from txweave.system import expr as x
from txweave.system.expr import Expr, Local


def execute(ctx: Context, node: bound.Execute, state: State, *, resumed: str = "") -> list[Outcome]:
    """All ways in which the statement can go, from the start or (``resumed``: see ``Outcome.exit``) after waiting."""
    statement = node.statement
    drawn = resumed == "redo" or resumed.startswith(("row ", "pause drawn "))
    if resumed == "redo":
        state = state.copy()
        waiting.clear(ctx, state)
        resumed = ""
    found: list[Outcome] = []
    for params, guard, values in _chosen(ctx, statement, state) if not resumed else [((), x.TRUE, {})]:
        ctx.fixed = values
        found.extend(o.given(guard, params) for o in _plain(ctx, node, state, resumed, drawn=drawn))
    ctx.fixed = {}
    if node.ghost is not None:
        found = [o for outcome in found for o in (_ghost(ctx, node.ghost, outcome) if outcome.exit == "ok" else [outcome])]
    return found


_Choice = tuple[tuple[Local, ...], Expr, dict[int, Expr]]
"""Parameters, the condition on them, and the values of the subqueries."""


def _chosen(ctx: Context, statement: tree.Statement, state: State) -> list[_Choice]:
    """What the scalar subqueries with LIMIT 1 give: each runs once, and which of several equal first rows comes is open."""
    found: list[_Choice] = [((), x.TRUE, {})]
    for node in limited_values(statement):
        following: list[_Choice] = []
        for branch in ctx.relations(state).rows(node.query, ctx.env(state)):
            for params, guard, kept in results.limited(ctx, branch, node.query.order_by, 1):
                value = results.single([kept], 0)
                following.extend(((*p, *params), x.conj(g, guard), {**values, id(node): value}) for p, g, values in found)
        found = following
    return found


def _plain(ctx: Context, node: bound.Execute, state: State, resumed: str, *, drawn: bool) -> list[Outcome]:
    """The outcomes of the statement without its ghost; ``drawn``: an INSERT has taken the exact id of its next row already."""
    statement = node.statement
    match statement:
        case tree.Insert() if resumed in ("parents", "pause parents"):
            found = parents_resumed(ctx, node, _plain_insert(statement), state)
        case tree.Insert() if resumed == "keys":
            found = keys_resumed(ctx, node, _plain_insert(statement), state)
        case tree.Update() if resumed in ("parents", "pause parents"):
            found = Writing(ctx, node, statement).parents_resumed(state)
        case tree.Select(query) if not any(lock.sources for lock in query.locks):
            found = _select(ctx, node, query, state)
        case tree.Select(query):
            found = Locking(ctx, node, query, query.locks[0]).outcomes(state, resumed)
        case tree.Update() | tree.Delete() if (pick := picked(ctx.world.storage.schema, statement)) is not None:
            found = Picking(ctx, node, pick).outcomes(state, resumed)
        case tree.Update() | tree.Delete():
            found = Writing(ctx, node, statement).outcomes(state, resumed)
        case tree.Insert() if statement.query is not None:
            if resumed or drawn:
                found = insert_selected(ctx, node, statement, state, drawn=drawn)
            else:
                found = insert_select(ctx, node, statement, state)
        case tree.Insert():
            number = resumed.rpartition(" ")[2]
            found = insert(ctx, node, statement, state, int(number) if number else 0, drawn=drawn)
    return found


def _plain_insert(statement: tree.Insert) -> tree.Insert:
    """An INSERT whose one row is written already."""
    alone = None if statement.query is None else one_row(statement)
    return statement if alone is None else alone[0]


def _ghost(ctx: Context, statement: tree.Statement, outcome: Outcome) -> list[Outcome]:
    """The ghost statement of a step: the same effect, with no constraints, and it waits for nobody."""
    state = outcome.state.copy()
    storage = ctx.world.storage
    match statement:
        case tree.Update() | tree.Delete():
            row, chosen, env = _target(ctx, statement, state)
            writer = storage.writer(state, statement.table, row)
            own = storage.owns(state, statement.table, row, ctx.process, ctx.role)
            taken = x.exists((row,), x.conj(chosen, x.neg(own), x.neg(x.equal(writer, x.NULL))))
            found = [
                out(
                    x.conj(outcome.guard, taken),
                    state,
                    f"a ghost statement meets a locked row ({statement.table})",
                    outcome.params,
                )
            ]
            if isinstance(statement, tree.Update):
                values = {c: ctx.world.terms.value(e, env) for c, e in statement.sets}
                storage.update_all(state, statement.table, chosen, row, values, ctx.process, ctx.role)
            else:
                storage.delete_all(state, statement.table, chosen, row, ctx.process)
            return [*found, replace(outcome, state=state, guard=x.conj(outcome.guard, x.neg(taken)))]
        case tree.Insert():
            assert len(statement.rows) == 1, "the binder lets one ghost row through at a time"
            slot = x.local(statement.table, statement.table)
            free = storage.free(state, statement.table, slot)
            full = x.conj(outcome.guard, x.neg(x.exists((slot,), free)))
            found = [out(full, state.copy(), statement.table, outcome.params)]
            values = row_values(ctx, statement, statement.rows[0], ctx.env(state))
            storage.insert(state, statement.table, slot, values, ctx.process)
            guard = x.conj(outcome.guard, x.least(slot, slot, free))
            return [*found, replace(outcome, state=state, guard=guard, params=(*outcome.params, slot))]
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


def _select(ctx: Context, node: bound.Execute, query: tree.Query, state: State) -> list[Outcome]:
    """A SELECT that takes no locks: reads its snapshot."""
    branches = ctx.relations(state).rows(query, ctx.env(state))
    limit = limit_of(query, ctx.world.storage.sizes)
    if limit is None:
        return results.deliver(ctx, node, state, x.TRUE, branches, None, one=single_row(ctx.world.storage.schema, query))
    if len(branches) > 1:
        ctx.world.report.error(
            "M413", query.span or ctx.span, "LIMIT on an outer join is not modelled", "write the outer side as a subquery"
        )
        return []
    found: list[Outcome] = []
    for branch in branches:
        for params, guard, kept in results.limited(ctx, branch, query.order_by, limit):
            for outcome in results.deliver(ctx, node, state, x.TRUE, [kept], None, one=limit <= 1):
                found.append(outcome.given(guard, params))
    return found
