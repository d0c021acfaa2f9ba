"""Where a statement is more than one step: another process may come between its snapshot and its locks, or between two locks.

At READ COMMITTED a statement takes its snapshot, and then reaches, locks and writes row after row, the newest version of each.
It *is* one step wherever its parts can be moved together without a difference that anybody can see (Lipton, *Reduction: a method
of proving properties of parallel programs*, CACM 18(12), 1975):

- **A lock, and a key that is claimed, move later**, up to the statement's last one: nobody sees it in the meantime, except those
  who ask for the same row or key.  These wait, and a wait that begins later is the same wait; unless they do not wait (``NOWAIT``,
  ``SKIP LOCKED``), or the statement is then waiting for them: a cycle.  In a cycle in which some process holds its lock
  by an earlier statement, every other one may take its lock and begin to wait in one step, one after the other.  So only a cycle of
  statements each of which takes several locks needs one of them to stop between two locks.
- **The snapshot moves later**, to the first lock, if no other process changes what it reads.  If there is no other process whose
  writes or locks the statement's own locks can meet, these move earlier instead, to the snapshot.
- **One row, and nothing else read**: the statement names at most one row, and its conditions are on that row.  If the row does not
  match in the snapshot, the statement ends there.  If it matches then, and in its newest version too, all happens at the lock.  If
  it matched and does so no longer, some transaction has changed it in between: the statement may as well have begun while that one
  was not committed yet, and have waited for it.  (``NOWAIT`` and ``SKIP LOCKED`` do not wait: these stop if their condition can
  change.)
- A SELECT without locks reads its snapshot and nothing else.  A row that is inserted is seen by nobody but through its keys.

What remains is a :class:`~txweave.semantics.context.Pause`: after the snapshot (``late``), with some rows locked and others not
(``partly``), with a row written and its parent not locked (``parents``).  A statement that would have to pause where the model
cannot stop it is a ``gap``, and is told as an assumption.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from txweave.semantics.constraints import unique_keys
from txweave.semantics.context import Pause, keyed, limit_of, table_sources, walk
from txweave.semantics.rowwise import MOST_ROWS, outermost_subqueries
from txweave.semantics.storage import CONFLICTS, Use
from txweave.semantics.uses import statements_of, table_uses
from txweave.semantics.writing import write_mode
from txweave.spec import syntax
from txweave.sql import program as bound
from txweave.sql import tree

CLAIM = "claim"
"""The mode of a key that a statement puts into a unique index: it conflicts with itself."""


@dataclass(frozen=True)
class Lock:
    """Rows of a table that a statement locks, or keys that it claims (``mode``); ``many``: of several, at several moments."""

    table: str
    mode: str
    wait: str
    many: bool
    moments: int = 1
    """0 for a claim that is made together with a row lock."""

    def meets(self, other: Lock) -> bool:
        """Whether one may stand in the other's way."""
        if self.table != other.table:
            return False
        if CLAIM in (self.mode, other.mode):
            return self.mode == other.mode
        return other.mode in CONFLICTS[self.mode]

    @property
    def weight(self) -> int:
        """Two for several moments."""
        return 2 if self.many else self.moments


class Pauses:
    """Decides for every statement of a scenario where it may pause."""

    def __init__(self, model: bound.BoundModel, scenario: syntax.Scenario, sizes: dict[str, int]) -> None:
        self.schema = model.schema
        self.sizes = sizes
        self.uses: dict[str, dict[str, Use]] = {}
        """To each role, how its rivals use the tables."""
        self.atomic = {role.name.value for role in scenario.roles if role.statements == "atomic"}
        self.rivals: dict[str, list[list[Lock]]] = {}
        """To each role, the locks of each statement of its rivals."""
        self.used = table_uses(model, scenario)
        for role in scenario.roles:
            others = tuple(r for r in scenario.roles if r.name.value != role.name.value or r.count > 1)
            self.uses[role.name.value] = table_uses(model, replace(scenario, roles=others))
            self.rivals[role.name.value] = [
                list(self._locks(other.name.value, s)) for other in others for s in statements_of(model, other)
            ]

    def of(self, role: str, statement: tree.Statement) -> Pause:
        """Where the statement of a role may pause, and is made to."""
        found = self.preempted(role, statement)
        return Pause(gap=found != Pause()) if role in self.atomic else found

    def preempted(self, role: str, statement: tree.Statement) -> Pause:
        """Where others may come into the middle of a statement of the role."""
        locks = list(self._locks(role, statement))
        if not locks:
            return Pause()
        late = self._touched(role, statement, locks) and self._stale(role, statement)
        partly = self._halfway(role, statement, locks, late)
        if not (late or partly):
            return Pause()
        if isinstance(statement, tree.Insert) and statement.query is None and not late:
            # It is stopped between two rows, unless it looks for parents afterwards, and between its row and the parents.
            rows = self._between(role, [lock for lock in locks if lock.table == statement.table])
            children = bool(self.schema.tables[statement.table].foreign_keys)
            return Pause(partly=rows and not children, parents=children, gap=rows and children)
        target = self._target(statement)
        if target is None or self._open(statement, target):
            return Pause(gap=True)
        source, table, where = target
        rows = partly and self._many(table, where, source)
        besides = [lock for lock in locks[1:] if lock.moments]
        if partly and not rows and isinstance(statement, tree.Update) and [k.mode for k in besides] == ["key share"]:
            return Pause(late, parents=True)
        # A statement is stopped between two rows, and not between its rows and what it locks or claims besides.
        gap = partly and (not rows or self._met(besides, self._hasty(role) + self._greedy(role)) > 0)
        if rows and (self.sizes[table] > MOST_ROWS or any(lock.mode == "key share" for lock in besides)):
            rows, gap = False, True
        return Pause(late, rows, gap=gap)

    def _open(self, statement: tree.Statement, target: tuple[str, str, tree.Expr | None]) -> bool:
        """Whether there is something whose value is not known when the statement goes on."""
        source, table, where = target
        if any(isinstance(n, tree.Clock) and n.kind != "now" for n in walk(where)):
            return True  # it is looked at again only in rows that have changed
        values = [e for _, e in statement.sets] if isinstance(statement, tree.Update) else []
        if isinstance(statement, tree.Select):
            if outermost_subqueries(*(o.expression for o in statement.query.outputs)):
                return True
            limited = statement.query.limit is not None and statement.query.locks[0].wait == "wait"
            values = [where] if limited and where is not None else []
        moving = [n for n in outermost_subqueries(where) if self._moving(n, source, table)]
        known = all(isinstance(n, tree.Exists | tree.InQuery) for n in moving) and self.sizes[table] <= MOST_ROWS
        return not known or any(self._moving(node, source, table) for node in outermost_subqueries(*values))

    # ------------------------------------------------------------------------------------------------- what is locked

    def _many(self, table: str, where: tree.Expr | None, source: str) -> bool:
        return self.sizes[table] > 1 and not keyed(where, source, self.schema.tables[table])

    def _locks(self, role: str, statement: tree.Statement) -> Iterator[Lock]:
        match statement:
            case tree.Select(query):
                sources = {s.source: s.table for s in table_sources(query.source)}
                for lock in query.locks:
                    for source in lock.sources:
                        if source in sources:
                            yield Lock(sources[source], lock.mode, lock.wait, self._many(sources[source], query.where, source))
            case tree.Update():
                definition = self.schema.tables[statement.table]
                columns = {c for c, _ in statement.sets}
                many = self._many(statement.table, statement.where, statement.source)
                yield Lock(statement.table, write_mode(definition, statement), "wait", many)
                if any(columns & _columns(unique) for unique in unique_keys(definition)):
                    yield Lock(statement.table, CLAIM, "wait", many)
                # An UPDATE asks for its parent again if the row was written before by the same transaction.
                again = role in self.used[statement.table].rewriters
                for key in definition.foreign_keys if not definition.ghost else ():
                    if not (again or set(key.columns) & columns):
                        continue
                    yield Lock(key.parent, "key share", "wait", many)
            case tree.Delete():
                many = self._many(statement.table, statement.where, statement.source)
                yield from self._deleted(statement.table, many, set())
            case tree.Insert():
                definition = self.schema.tables[statement.table]
                several = statement.query is not None or len(statement.rows) > 1
                if unique_keys(definition):
                    yield Lock(statement.table, CLAIM, "wait", several or len(unique_keys(definition)) > 1)
                conflict = statement.on_conflict
                if conflict is not None and conflict.sets is not None:
                    columns = {c for c, _ in conflict.sets}
                    keys = any(columns & set(u.columns) for u in definition.uniques if u.where is None)
                    yield Lock(statement.table, "update" if keys else "no key update", "wait", several, int(several))
                for key in definition.foreign_keys:
                    yield Lock(key.parent, "key share", "wait", several)

    def _deleted(self, table: str, many: bool, seen: set[str]) -> Iterator[Lock]:
        yield Lock(table, "update", "wait", many)
        if unique_keys(self.schema.tables[table]):
            yield Lock(table, CLAIM, "wait", many, 0)
        if table in seen:
            return
        for child in self.schema.tables.values():
            for key in child.foreign_keys:
                if key.parent != table:
                    continue
                if key.on_delete == "cascade":
                    yield from self._deleted(child.name, True, {*seen, table})
                else:
                    yield Lock(child.name, "no key update" if key.on_delete == "set null" else "key share", "wait", True)

    # ------------------------------------------------------------------------------------------------ between two locks

    def _met(self, locks: list[Lock], others: list[list[Lock]]) -> int:
        """At how many moments of the statement others may stand in its way."""
        return sum(lock.weight for lock in locks if any(lock.meets(k) for other in others for k in other))

    def _halfway(self, role: str, statement: tree.Statement, locks: list[Lock], late: bool) -> bool:
        """Whether it makes a difference that some locks are taken and others are not yet."""
        limit = limit_of(statement.query, self.sizes) if isinstance(statement, tree.Select) else None
        if limit == 1 and not late:
            return False
        return self._between(role, locks)

    def _between(self, role: str, locks: list[Lock]) -> bool:
        """The same, of locks in the order in which they are taken."""
        locks = [lock for lock in locks if lock.moments]
        for number, lock in enumerate(locks):
            if self._met([lock], self._hasty(role)) and self._met(locks[number if lock.many else number + 1 :], self.rivals[role]):
                return True
        return all(lock.wait == "wait" for lock in locks) and self._met(locks, self._greedy(role)) >= 2

    def _hasty(self, role: str) -> list[list[Lock]]:
        """The rivals' statements that do not wait: they see a lock as soon as it is taken."""
        return [other for other in self.rivals[role] if any(k.wait != "wait" for k in other)]

    def _greedy(self, role: str) -> list[list[Lock]]:
        """The rivals' statements that may wait with a lock in their hands: in a cycle with such another one they meet twice."""
        return [o for o in self.rivals[role] if all(k.wait == "wait" for k in o) and sum(k.weight for k in o) >= 2]

    # -------------------------------------------------------------------------------------- between snapshot and locks

    def _touched(self, role: str, statement: tree.Statement, locks: list[Lock]) -> bool:
        """Whether what others write or lock can meet what the statement locks."""
        uses = self.uses[role]
        if self._met(locks, self.rivals[role]):
            return True
        if any(uses[lock.table].updated or uses[lock.table].deleted for lock in locks):
            return True
        # Parents and children are looked for at the end of the statement.
        target = statement.table if not isinstance(statement, tree.Select) else ""
        return any(uses[lock.table].inserted for lock in locks if lock.table != target)

    def _stale(self, role: str, statement: tree.Statement) -> bool:
        """Whether others may change what the statement's snapshot reads, so that it makes a difference."""
        uses = self.uses[role]
        columns = {n.column for n in walk(statement) if isinstance(n, tree.ColumnRef)}

        def changed(table: str) -> bool:
            return uses[table].inserted or uses[table].deleted or bool(uses[table].updated & columns)

        target = self._target(statement)
        read = [n.table for n in walk(statement) if isinstance(n, tree.TableSource) and n.table in uses]
        if target is None:
            if isinstance(statement, tree.Update | tree.Delete):
                read.append(statement.table)
            return any(changed(table) for table in read)
        source, table, where = target
        if isinstance(statement, tree.Select):
            read.remove(table)  # its own place in FROM
        if any(changed(other) for other in read):
            return True
        deciding = {n.column for n in walk(where) if isinstance(n, tree.ColumnRef)}
        waits = True
        if isinstance(statement, tree.Select):
            deciding |= {n.column for k in statement.query.order_by for n in walk(k.expression) if isinstance(n, tree.ColumnRef)}
            waits = statement.query.locks[0].wait == "wait"
        if self._many(table, where, source):
            return uses[table].inserted or bool(uses[table].updated & deciding)
        return not waits and bool(uses[table].updated & deciding)

    def _target(self, statement: tree.Statement) -> tuple[str, str, tree.Expr | None] | None:
        """The one table whose rows a statement locks (source, table) and its condition; None if it is of another make."""
        match statement:
            case tree.Update() | tree.Delete() if statement.using is None:
                return statement.source, statement.table, statement.where
            case tree.Select(query) if isinstance(query.source, tree.TableSource) and len(query.locks) == 1:
                return query.source.source, query.source.table, query.where
            case _:
                return None

    def _moving(self, node: tree.Expr, source: str, table: str) -> bool:
        """Whether a subquery depends on updated columns of the target: its value after a change depends on the plan."""
        return any(
            isinstance(n, tree.ColumnRef) and n.source == source and n.column in self.used[table].updated for n in walk(node)
        )


def _columns(unique: tree.Unique) -> set[str]:
    """Columns that decide about a unique key."""
    return set(unique.columns) | {n.column for n in walk(unique.where) if isinstance(n, tree.ColumnRef)}
