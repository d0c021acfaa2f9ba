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
- **An exact id is taken at its own moment**: what others do to the same sequence comes before it or after it, and neither what is
  read earlier nor what is locked later can be moved past it.

An UPDATE or DELETE whose locking subquery picks its rows (:mod:`~txweave.semantics.picking`) is that subquery, a SELECT … FOR
UPDATE, and then writes rows that it has locked.

What remains is a :class:`~txweave.semantics.context.Pause`: after the snapshot (``late``), with some rows locked and others not
(``partly``), with a row written and its parent not locked (``parents``), with an exact id and no row (``drawn``).  A
statement that would have to pause where the model cannot stop it is a ``gap``, and is told as an assumption.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from txweave.semantics.constraints import unique_keys
from txweave.semantics.context import Pause, keyed, limit_of, one_row, single_row, table_sources, walk
from txweave.semantics.picking import picked
from txweave.semantics.rowwise import MOST_ROWS, outermost_subqueries
from txweave.semantics.storage import CONFLICTS, Use
from txweave.semantics.uses import statements_of, table_uses
from txweave.semantics.writing import write_mode
from txweave.spec import syntax
from txweave.sql import program as bound
from txweave.sql import tree

CLAIM = "claim"
"""The mode of a key that a statement puts into a unique index: it conflicts with itself."""

DRAW = "draw"
"""The mode of an exact id that is taken from its sequence: nobody waits for it, and everybody who takes one sees it."""


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
        if {CLAIM, DRAW} & {self.mode, other.mode}:
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
        serial = model.source.serial == "exact"
        self.exact = {name for name, table in self.schema.tables.items() if serial and table.serial is not None}
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
        # The rows of an INSERT, UPDATE or DELETE are its own; parents and children are looked for at its end.
        own: set[str] = set() if isinstance(statement, tree.Select) else {statement.table}
        late = self._touched(role, locks, own) and self._stale(role, statement)
        partly = self._halfway(role, statement, locks, late)
        drawn = self._drawn(role, locks)
        if not (late or partly or drawn):
            return Pause()
        alone = self._selects_one(statement)
        plain = statement if alone is None else alone
        if isinstance(plain, tree.Insert) and plain.query is None and (not late or alone is not None):
            # It is stopped between two rows, unless it looks for parents afterwards, and between its row and the parents.
            rows = self._between(role, [lock for lock in locks if lock.table == plain.table])
            children = bool(self.schema.tables[plain.table].foreign_keys)
            several = drawn and len(plain.rows) > 1
            known = not outermost_subqueries(*(value for row in plain.rows for value in row))
            return Pause(
                late,
                partly=rows and not children and known,
                parents=partly and children,
                drawn=drawn and known,
                gap=((rows or several) and children) or ((rows or drawn) and not known),
            )
        target = self._target(statement)
        if target is None or self._open(statement, target):
            return Pause(gap=True)
        source, table, where = target
        query = self._locking(statement)
        rows = partly and self._many(table, where, source) and (late or query is None or limit_of(query, self.sizes) != 1)
        besides = [lock for lock in locks[1:] if lock.moments]
        met = self._met(besides, self._hasty(role) + self._greedy(role)) > 0
        # One row, picked out of several, finds its parent as one that is named by its key does.
        one = not rows or (query is not None and single_row(self.schema, query))
        parents = partly and one and isinstance(statement, tree.Update) and [k.mode for k in besides] == ["key share"]
        if parents and not rows:
            return Pause(late, parents=True)
        parents = parents and met
        # A statement is stopped between two rows, and not between its rows and what it locks or claims besides.
        gap = partly and (not rows or (met and not parents))
        if rows and (self.sizes[table] > MOST_ROWS or (any(lock.mode == "key share" for lock in besides) and not one)):
            rows, gap = False, True
        return Pause(late, rows, parents, gap=gap)

    def _open(self, statement: tree.Statement, target: tuple[str, str, tree.Expr | None]) -> bool:
        """Whether there is something whose value is not known when the statement goes on."""
        source, table, where = target
        if any(isinstance(n, tree.Clock) and n.kind != "now" for n in walk(where)):
            return True  # it is looked at again only in rows that have changed
        values = [e for _, e in statement.sets] if isinstance(statement, tree.Update) else []
        query = self._locking(statement)
        if query is not None:
            if outermost_subqueries(*values, *(o.expression for o in query.outputs)):
                return True
            limited = query.limit is not None and query.locks[0].wait == "wait"
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
            case tree.Update() | tree.Delete() if (pick := picked(self.schema, statement)) is not None:
                yield from self._locks(role, tree.Select(pick.query))
                # The rows are locked by then: what is left are keys, parents and children.
                many = self.sizes[statement.table] > 1 and not single_row(self.schema, pick.query)
                yield from (lock for n, lock in enumerate(self._written(role, pick.statement, many)) if n)
            case tree.Update() | tree.Delete():
                yield from self._written(role, statement, self._many(statement.table, statement.where, statement.source))
            case tree.Insert():
                definition = self.schema.tables[statement.table]
                several = self._selects_one(statement) is None and (statement.query is not None or len(statement.rows) > 1)
                if statement.table in self.exact:
                    yield Lock(statement.table, DRAW, "wait", several)
                if unique_keys(definition):
                    yield Lock(statement.table, CLAIM, "wait", several or len(unique_keys(definition)) > 1)
                conflict = statement.on_conflict
                if conflict is not None and conflict.sets is not None:
                    columns = {c for c, _ in conflict.sets}
                    keys = any(columns & set(u.columns) for u in definition.uniques if u.where is None)
                    yield Lock(statement.table, "update" if keys else "no key update", "wait", several, int(several))
                for key in definition.foreign_keys:
                    yield Lock(key.parent, "key share", "wait", several)

    def _written(self, role: str, statement: tree.Update | tree.Delete, many: bool) -> Iterator[Lock]:
        """What an UPDATE or DELETE locks, first its rows."""
        match statement:
            case tree.Update():
                definition = self.schema.tables[statement.table]
                columns = {c for c, _ in statement.sets}
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
                yield from self._deleted(statement.table, many, set())

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
        query = self._locking(statement)
        if query is not None and limit_of(query, self.sizes) == 1 and not late:
            # Nothing ceases to match: it locks one row.
            locks = [replace(locks[0], many=False), *locks[1:]]
        return self._between(role, locks)

    def _between(self, role: str, locks: list[Lock]) -> bool:
        """The same, of locks in the order in which they are taken."""
        locks = [lock for lock in locks if lock.moments and lock.mode != DRAW]
        for number, lock in enumerate(locks):
            if self._met([lock], self._hasty(role)) and self._met(locks[number if lock.many else number + 1 :], self.rivals[role]):
                return True
        return all(lock.wait == "wait" for lock in locks) and self._met(locks, self._greedy(role)) >= 2

    def _drawn(self, role: str, locks: list[Lock]) -> bool:
        """Whether it makes a difference that exact ids are taken and the rest is not done yet."""
        ids = [lock for lock in locks if lock.mode == DRAW]
        if not self._met(ids, self.rivals[role]):
            return False
        rest = [lock for lock in locks if lock.mode != DRAW]
        return any(lock.many for lock in ids) or self._touched(role, rest, {lock.table for lock in ids})

    def _hasty(self, role: str) -> list[list[Lock]]:
        """The rivals' statements that do not wait: they see a lock as soon as it is taken."""
        return [other for other in self.rivals[role] if any(k.wait != "wait" for k in other)]

    def _greedy(self, role: str) -> list[list[Lock]]:
        """The rivals' statements that may wait with a lock in their hands: in a cycle with such another one they meet twice."""
        return [
            o for o in self.rivals[role] if all(k.wait == "wait" for k in o) and sum(k.weight for k in o if k.mode != DRAW) >= 2
        ]

    # -------------------------------------------------------------------------------------- between snapshot and locks

    def _touched(self, role: str, locks: list[Lock], own: set[str]) -> bool:
        """Whether what others write or lock can meet what the statement locks; new rows only of other tables than its ``own``."""
        uses = self.uses[role]
        if self._met(locks, self.rivals[role]):
            return True
        if any(uses[lock.table].updated or uses[lock.table].deleted for lock in locks):
            return True
        return any(uses[lock.table].inserted for lock in locks if lock.table not in own)

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
        query = self._locking(statement)
        if query is not None:
            read.remove(table)  # its own place in FROM
        if any(changed(other) for other in read):
            return True
        deciding = {n.column for n in walk(where) if isinstance(n, tree.ColumnRef)}
        waits = True
        if query is not None:
            deciding |= {n.column for k in query.order_by for n in walk(k.expression) if isinstance(n, tree.ColumnRef)}
            waits = query.locks[0].wait == "wait"
        if self._many(table, where, source):
            return uses[table].inserted or bool(uses[table].updated & deciding)
        return not waits and bool(uses[table].updated & deciding)

    def _target(self, statement: tree.Statement) -> tuple[str, str, tree.Expr | None] | None:
        """The one table whose rows a statement locks (source, table) and its condition; None if it is of another make."""
        query = self._locking(statement)
        if query is not None and isinstance(query.source, tree.TableSource) and len(query.locks) == 1:
            return query.source.source, query.source.table, query.where
        if isinstance(statement, tree.Update | tree.Delete) and statement.using is None:
            return statement.source, statement.table, statement.where
        return None

    def _selects_one(self, statement: tree.Statement) -> tree.Insert | None:
        """An INSERT … SELECT of at most one row, as an INSERT … VALUES."""
        if not isinstance(statement, tree.Insert) or statement.query is None or not single_row(self.schema, statement.query):
            return None
        alone = one_row(statement)
        return None if alone is None else alone[0]

    def _locking(self, statement: tree.Statement) -> tree.Query | None:
        """The query that locks a statement's rows, where there is one."""
        if isinstance(statement, tree.Select):
            return statement.query
        pick = picked(self.schema, statement)
        return None if pick is None else pick.query

    def _moving(self, node: tree.Expr, source: str, table: str) -> bool:
        """Whether a subquery depends on updated columns of the target: its value after a change depends on the plan."""
        return any(
            isinstance(n, tree.ColumnRef) and n.source == source and n.column in self.used[table].updated for n in walk(node)
        )


def _columns(unique: tree.Unique) -> set[str]:
    """Columns that decide about a unique key."""
    return set(unique.columns) | {n.column for n in walk(unique.where) if isinstance(n, tree.ColumnRef)}
