"""The queue idiom: UPDATE or DELETE of the rows that a locking subquery picks.

``UPDATE job … WHERE id = (SELECT id FROM job … LIMIT 1 FOR UPDATE SKIP LOCKED)``, and the same with a WITH query.  An uncorrelated
scalar subquery (an InitPlan) and a WITH query that locks (it is never inlined, ``inline_cte`` wants no row marks) run once.  The
subquery locks its rows as a SELECT … FOR UPDATE of its own would, waiting where it has to; the statement then writes just these
rows, in the versions that were locked.  ``IN (SELECT … FOR UPDATE)`` may run once for each row, as the plan has it: it is refused.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from txweave.semantics.context import Context, single_row, walk
from txweave.semantics.locking import Locking
from txweave.semantics.outcome import Outcome, out
from txweave.semantics.storage import MODES
from txweave.semantics.symbolic import State
from txweave.semantics.terms import Branch
from txweave.semantics.writing import Writing, write_mode
from txweave.sql import program as bound
from txweave.sql import tree
from txweave.system import expr as x
from txweave.system.expr import Expr, Local

_FORMS = (
    "write WHERE id = (SELECT id … LIMIT 1 FOR UPDATE …), or WITH picked AS (SELECT id … FOR UPDATE …) … WHERE job.id = picked.id"
)


class NotPickedError(Exception):
    """A locking subquery stands where it is not modelled: message and remedy."""

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(message, remedy)


@dataclass(frozen=True)
class Pick:
    """The locking subquery of a statement, and the statement without it."""

    query: tree.Query
    statement: tree.Update | tree.Delete
    key: str
    """The primary key."""


def picked(schema: tree.Schema, statement: tree.Statement, *, ghost: bool = False) -> Pick | None:
    """The locking subquery of an UPDATE or DELETE; None when there is none.

    Raises:
        NotPickedError: one stands where it has no meaning here.
    """
    own = statement.query if isinstance(statement, tree.Select) else None
    locking = [n for n in walk(statement) if isinstance(n, tree.Query) and n.locks and n is not own]
    if not locking:
        return None
    if ghost:
        raise NotPickedError("a ghost statement locks nothing", "leave the locking clause out")
    if not isinstance(statement, tree.Update | tree.Delete):
        raise NotPickedError("a locking clause in a subquery of this statement is not modelled", "lock in a statement of its own")
    query = locking[0]
    key = _key(schema, statement)
    if len(locking) > 1 or not _chooses(statement, query, key):
        if any(isinstance(n, tree.InQuery) and n.query is query for n in walk(statement.where)):
            message = "IN (SELECT … FOR UPDATE) may run once for each row, and then locks more rows than its LIMIT"
            raise NotPickedError(message, _FORMS)
        raise NotPickedError("a locking subquery is modelled where it alone chooses the rows by their key", _FORMS)
    source = query.source
    if not isinstance(source, tree.TableSource) or source.table != statement.table:
        raise NotPickedError(
            f"the locking subquery chooses rows of {statement.table} from other tables than it alone",
            f"select from {statement.table} only, other tables in EXISTS; or lock in a statement of its own",
        )
    output = query.outputs[0].expression
    if not (isinstance(output, tree.ColumnRef) and output.source == source.source and output.column == key):
        raise NotPickedError(f"the locking subquery does not select the key of {statement.table}", f"select {key}")
    outer = {statement.source}
    if any(isinstance(n, tree.ColumnRef) and n.source in outer for n in walk(query)):
        raise NotPickedError("the locking subquery refers to the row that is written, and runs once for each", _FORMS)
    lock, needed = query.locks[0], write_mode(schema.tables[statement.table], statement)
    if MODES.index(lock.mode) < MODES.index(needed):
        message = f"the subquery locks FOR {lock.mode.upper()}, and the statement then asks for FOR {needed.upper()}"
        raise NotPickedError(message, "write FOR UPDATE")
    values = [e for _, e in statement.sets] if isinstance(statement, tree.Update) else []
    if lock.wait == "wait" and any(isinstance(n, tree.Query) for n in walk(tuple(values))):
        message = "a subquery in SET beside a locking subquery that may wait is not modelled"
        raise NotPickedError(message, "write SKIP LOCKED or NOWAIT, or lock in a statement of its own")
    return Pick(query, replace(statement, using=None, where=None), key)


def _key(schema: tree.Schema, statement: tree.Update | tree.Delete) -> str:
    """The column that alone is the primary key."""
    primary = next((u for u in schema.tables[statement.table].uniques if u.primary), None)
    return primary.columns[0] if primary is not None and len(primary.columns) == 1 else ""


def _chooses(statement: tree.Update | tree.Delete, query: tree.Query, key: str) -> bool:
    """Whether the WHERE is just ``key = (query)``, or compares the key with a WITH query, which nothing else reads."""
    where, using = statement.where, statement.using

    def mine(expression: tree.Expr) -> bool:
        return isinstance(expression, tree.ColumnRef) and (expression.source, expression.column) == (statement.source, key)

    if isinstance(where, tree.InQuery):
        return using is None and len(where.operands) == 1 and mine(where.operands[0]) and _named(where.query, query)
    if not (isinstance(where, tree.Compare) and where.operator == "="):
        return False
    for one, two in ((where.left, where.right), (where.right, where.left)):
        if not mine(one):
            continue
        if isinstance(two, tree.ScalarQuery):
            return using is None and (two.query is query or _named(two.query, query))
        if isinstance(using, tree.DerivedSource) and using.named and using.query is query and isinstance(two, tree.ColumnRef):
            values = [e for _, e in statement.sets] if isinstance(statement, tree.Update) else []
            others = [n for n in walk((*values, statement.returning)) if isinstance(n, tree.ColumnRef) and n.source == using.source]
            return two.source == using.source and two.column == query.outputs[0].name and not others and len(query.outputs) == 1
    return False


def _named(outer: tree.Query, query: tree.Query) -> bool:
    """Whether ``outer`` is nothing but ``SELECT key FROM name`` over the WITH query."""
    source = outer.source
    if not (isinstance(source, tree.DerivedSource) and source.named and source.query is query and len(query.outputs) == 1):
        return False
    plain = tree.Query(source, None, outer.outputs, span=outer.span)
    return outer == plain and isinstance(outer.outputs[0].expression, tree.ColumnRef)


class Picking(Locking):
    """An UPDATE or DELETE of the rows that its locking subquery picks: where that would return rows, they are written."""

    def __init__(self, ctx: Context, node: bound.Execute, pick: Pick) -> None:
        super().__init__(ctx, node, pick.query, pick.query.locks[0])
        self.counts = True  # the rows are written at the end
        self.writing = Writing(ctx, node, pick.statement)
        self.one = single_row(self.storage.schema, pick.query)
        self.writing.keyed = self.one

    def end(self, state: State, branch: Branch) -> list[Outcome]:
        """Write the result rows, which are locked."""
        row = x.local(self.table, self.table)
        chosen = x.exists(branch.locals, x.conj(branch.condition, x.equal(self._row(branch), row)))
        return self.write(state, chosen, row, x.TRUE, "ok", "")

    def finish(self, state: State, done: Expr, row: Local, guard: Expr, label: str, note: str) -> list[Outcome]:
        """Write the rows dealt with, in their newest version."""
        target = x.local(self.table, self.table)
        return self.write(state, x.substitute(done, {row: target}), target, guard, label, note)

    def write(self, state: State, chosen: Expr, row: Local, guard: Expr, label: str, note: str) -> list[Outcome]:
        """The writing statement's own outcomes: nobody is waited for, since the rows are locked, but keys and parents may be."""
        found: list[Outcome] = []
        for outcome in self.writing.apply(state, chosen, row, {}):
            if outcome.exit == "ok":
                for last in self.writing.finish(outcome.state, chosen, row, x.conj(guard, outcome.guard), label, note):
                    found.append(last.given(x.TRUE, outcome.params))
            elif outcome.exit == "redo":
                what = f"a statement with a locking subquery waits for a key ({self.table})"
                found.append(out(x.conj(guard, outcome.guard), state, what, outcome.params))
            else:
                found.append(outcome.given(guard))
        return found
