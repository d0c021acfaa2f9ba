"""Savepoints: what a transaction had written and locked when it set one, and the way back."""

from __future__ import annotations

from txweave.semantics.storage import Storage
from txweave.semantics.symbolic import State
from txweave.system import expr as x
from txweave.system.expr import Expr


class Savepoints:
    """The savepoints of the processes over one storage; ``level`` counts those that are open, from 0."""

    def __init__(self, storage: Storage) -> None:
        self.storage = storage

    def declare(self, role: str, depth: int) -> None:
        """Functions that remember, for every open savepoint of a role, its versions and locks at that moment."""
        for level in range(depth):
            for table in self.storage.tables_of(role):
                self.storage.functions.declare(f"{table}.~saved{level}", [table], x.BOOL, False, ("hidden", "saved", table))
                for part in self._version(table):
                    function = self.storage.functions.functions[part]
                    self.storage.functions.declare(
                        f"{part}.~saved{level}", [table], function.domain, function.initial, ("hidden", "saved", table)
                    )
            for lock in self._locks(role):
                function = self.storage.functions.functions[lock]
                self.storage.functions.declare(f"{lock}.~saved{level}", function.params, function.domain, None, ("hidden", "saved"))

    def _version(self, table: str) -> list[str]:
        """The functions that make up an uncommitted version, its writer apart."""
        parts = [f"{table}.{c}'" for c in sorted(self.storage.uses[table].updated)]
        parts += self.storage.older_parts(table)
        return [*parts, f"{table}.~staying"] if self.storage.uses[table].deleted else parts

    def _locks(self, role: str) -> list[str]:
        return [n for n in (f"{t}.~lock.{role}" for t in self.storage.schema.tables) if n in self.storage.functions.functions]

    def save(self, state: State, process: Expr, role: str, level: int) -> None:
        """Remember the process's versions and locks."""
        before = state.copy()
        for table in self.storage.tables_of(role):

            def own(row: Expr, table: str = table) -> Expr:
                return self.storage.owns(before, table, row, process, role)

            state.write_all(f"{table}.~saved{level}", lambda row, own=own: (own(row), x.TRUE))
            for part in self._version(table):
                state.write_all(f"{part}.~saved{level}", lambda row, own=own, part=part: (own(row), before.read(part, row)))
        for lock in self._locks(role):
            state.write_all(f"{lock}.~saved{level}", lambda p, row, lock=lock: (x.equal(p, process), before.read(lock, p, row)))

    def forget(self, state: State, process: Expr, role: str, level: int) -> None:
        """Drop what a savepoint remembers (released, or its transaction ended)."""
        before = state.copy()
        for table in self.storage.tables_of(role):

            def mine(row: Expr, table: str = table) -> Expr:
                # ``saved`` belongs to the row's writer; after the transaction's end the writer is read before the end
                return x.conj(
                    x.truth(before.read(f"{table}.~saved{level}", row)),
                    self.storage.owns(State(self.storage.functions), table, row, process, role),
                )

            for part in self._version(table):
                initial = x.const(self.storage.functions.functions[part].initial)
                state.write_all(f"{part}.~saved{level}", lambda row, mine=mine, initial=initial: (mine(row), initial))
            state.write_all(f"{table}.~saved{level}", lambda row, mine=mine: (mine(row), x.FALSE))
        for lock in self._locks(role):
            state.write_all(f"{lock}.~saved{level}", lambda p, _row: (x.equal(p, process), x.NULL))

    def rollback_to(self, state: State, process: Expr, role: str, level: int) -> None:
        """Go back to what the savepoint remembers; locks taken since are released."""
        before = state.copy()
        for table in self.storage.tables_of(role):
            use, definition = self.storage.uses[table], self.storage.schema.tables[table]

            def own(row: Expr, table: str = table) -> Expr:
                return self.storage.owns(before, table, row, process, role)

            def saved(row: Expr, table: str = table) -> Expr:
                return x.truth(before.read(f"{table}.~saved{level}", row))

            for part in self._version(table):
                initial = x.const(self.storage.functions.functions[part].initial)
                state.write_all(
                    part,
                    lambda row, part=part, own=own, saved=saved, initial=initial: (
                        own(row),
                        x.ite(saved(row), before.read(f"{part}.~saved{level}", row), initial),
                    ),
                )
            for column in definition.columns:
                name = f"{table}.{column.name}"
                if not column.serial and f"{name}'" not in self.storage.functions.functions and use.inserted:
                    default = x.const(self.storage.default(definition, column))
                    state.write_all(
                        name,
                        lambda row, table=table, own=own, saved=saved, default=default: (
                            x.conj(own(row), x.neg(saved(row)), x.neg(self.storage.live(before, table, row))),
                            default,
                        ),
                    )
            state.write_all(f"{table}.~writer", lambda row, own=own, saved=saved: (x.conj(own(row), x.neg(saved(row))), x.NULL))
        for lock in self._locks(role):
            state.write_all(lock, lambda p, row, lock=lock: (x.equal(p, process), before.read(f"{lock}.~saved{level}", p, row)))
