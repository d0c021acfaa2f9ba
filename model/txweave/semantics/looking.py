"""What a statement looks at: the rows of its FROM, and which conditions of its WHERE are true of them.

Explanations read this; nothing that is checked depends on it.
"""

from __future__ import annotations

from txweave.semantics.context import Context, conjuncts
from txweave.semantics.relations import Combination
from txweave.semantics.symbolic import State
from txweave.sql import tree
from txweave.sql.render import sql_of
from txweave.system import expr as x
from txweave.system.sorted import Looked


def looked_at(ctx: Context, statement: tree.Statement | tree.Query, state: State) -> tuple[Looked, ...] | None:
    """The rows that a statement looks at in its snapshot, ``state``; None for one that looks at none (INSERT … VALUES)."""
    relations, env = ctx.relations(state), ctx.env(state)
    match statement:
        case tree.Select(query):
            return looked_at(ctx, query, state)
        case tree.Query(source=None):
            return None
        case tree.Query():
            found, where = relations.combinations(statement.source, env), statement.where
        case tree.Update() | tree.Delete():
            row = x.local(statement.source, statement.table)
            there = ctx.world.storage.visible(state, statement.table, row, ctx.process, ctx.role)
            target = {statement.source: relations.table(statement.source, statement.table, row)}
            found = [Combination((row,), there, target, ((statement.source, row),))]
            if statement.using is not None:
                found = [
                    Combination(
                        (row, *other.locals),
                        x.conj(there, other.condition),
                        {**target, **other.columns},
                        (*found[0].rows, *other.rows),
                    )
                    for other in relations.combinations(statement.using, relations.scope(env, target))
                ]
            where = statement.where
        case _:
            return None
    seen: list[Looked] = []
    for combination in found:
        inner = relations.scope(env, combination.columns)
        conditions = tuple((sql_of(part), ctx.world.terms.true(part, inner)) for part in conjuncts(where))
        seen.append(Looked(combination.locals, combination.condition, combination.rows, conditions))
    return tuple(seen)
