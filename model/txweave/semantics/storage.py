"""Tables as versions: at READ COMMITTED a row has one committed version and at most one uncommitted one, of the process that
locked it.

For a table ``t`` (functions that cannot matter are left out):

======================  ===================================================================================
``t.live(r)``           row slot ``r`` holds a committed row
``t.c(r)``              committed value of column ``c``
``t.writer(r)``         the process with an uncommitted version, or NULL
``t.staying(r)``        the uncommitted version exists (is not a deletion)
``t.c'(r)``             its value of ``c``, for columns that an UPDATE may change (others keep the one value they have)
``t.older(r)``          the transaction that has the version gave the row another key before, which is still in the index
``t.c older(r)``        its value of ``c``, for columns that decide about a unique constraint
``t.lock.role(p, r)``   row lock that process ``p`` took without writing
======================  ===================================================================================

A generated id is the row slot itself.  Of tables in ``exact`` the slots are the values of the sequence: ``t.~used(r)`` says that
``r`` was taken, which is done in order and is no part of any transaction.  Values of slots that are not in use are fixed, so that
equal databases are equal states.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from txweave.semantics.symbolic import Functions, State
from txweave.sql import tree
from txweave.system import expr as x
from txweave.system.expr import Domain, Elem, Expr, Value

MODES = ("key share", "share", "no key update", "update")
"""Row-lock modes, weakest first; the sets of modes that they conflict with are nested (PostgreSQL manual, 13.3.2)."""

CONFLICTS = {
    "key share": frozenset({"update"}),
    "share": frozenset({"no key update", "update"}),
    "no key update": frozenset({"share", "no key update", "update"}),
    "update": frozenset(MODES),
}


@dataclass
class Use:
    """How the procedures of a scenario use a table."""

    unique_columns: frozenset[str] = frozenset()
    """Columns that decide about a unique constraint: its key and its predicate."""
    inserted: bool = False
    deleted: bool = False
    updated: set[str] = field(default_factory=set)
    writers: set[str] = field(default_factory=set)
    """Roles with a statement that writes the table (cascades included)."""
    updaters: set[str] = field(default_factory=set)
    """Roles with an UPDATE of the table."""
    requested: set[str] = field(default_factory=set)
    """Row-lock modes that some statement asks for, by writing too."""
    locked: dict[str, set[str]] = field(default_factory=dict)
    """Role to the modes that it takes without writing (locking clauses, foreign-key checks)."""
    rewriters: set[str] = field(default_factory=set)
    """Roles that may write the table twice in one transaction."""

    @property
    def changes_keys_twice(self) -> bool:
        """Whether a transaction may give a row one key and then another."""
        return bool(self.rewriters & self.updaters and self.updated & self.unique_columns)

    def soft(self, role: str) -> bool:
        """Whether a transaction of the role may update a row, and then delete it or lock it FOR UPDATE."""
        return role in self.updaters and (role in self.rewriters or "update" in self.locked.get(role, ()))

    @property
    def written(self) -> bool:
        """Whether anything writes the table."""
        return bool(self.writers)


@dataclass(frozen=True)
class TimeCells:
    """Which timestamps are kept as ages: ``columns`` (table, column), and their domain; others are only NULL or not."""

    columns: frozenset[tuple[str, str]]
    domain: Domain


class Storage:
    """The tables of one scenario."""

    def __init__(
        self,
        functions: Functions,
        schema: tree.Schema,
        uses: dict[str, Use],
        sizes: dict[str, int],
        data: dict[str, list[dict[str, Value]]],
        times: TimeCells,
        burned: frozenset[str],
        exact: frozenset[str] = frozenset(),
    ) -> None:
        self.functions = functions
        self.schema = schema
        self.uses = uses
        self.sizes = sizes
        self.times = times
        self.burned = burned
        self.exact = exact
        self.lock_modes: dict[str, tuple[str, ...]] = {}
        for name, table in schema.tables.items():
            self._declare(table, data.get(name, []))

    def _declare(self, table: tree.Table, rows: list[dict[str, Value]]) -> None:
        use, name = self.uses[table.name], table.name
        if use.inserted or use.deleted:
            self.functions.declare(f"{name}.~live", [name], x.BOOL, False, ("live", name), [((i,), True) for i in range(len(rows))])
        for column in table.columns:
            if column.serial:
                continue
            domain = self.domain(table, column)
            default = self.default(table, column)
            values = [((i,), row.get(column.name)) for i, row in enumerate(rows)]
            self.functions.declare(f"{name}.{column.name}", [name], domain, default, ("committed", name, column.name), values)
            if use.written and column.name in use.updated:
                self.functions.declare(f"{name}.{column.name}'", [name], domain, default, ("pending", name, column.name))
        if use.written:
            self.functions.declare(
                f"{name}.~writer", [name], Domain(sorts=tuple(sorted(use.writers)), nullable=True), None, ("writer", name)
            )
            if use.deleted:
                self.functions.declare(f"{name}.~staying", [name], x.BOOL, False, ("plive", name))
        if use.changes_keys_twice:
            self.functions.declare(f"{name}.~older", [name], x.BOOL, False, ("hidden", "older", name))
            for column in table.columns:
                if column.name in use.unique_columns & use.updated:
                    domain, default = self.domain(table, column), self.default(table, column)
                    about = ("hidden", "older", name, column.name)
                    self.functions.declare(f"{name}.{column.name}~older", [name], domain, default, about)
        if name in self.burned:
            self.functions.declare(
                f"{name}.~used", [name], x.BOOL, False, ("hidden", "used", name), [((i,), True) for i in range(len(rows))]
            )
        for role, modes in sorted(use.locked.items()):
            kept = tuple(m for m in MODES if m in modes and CONFLICTS[m] & use.requested)
            if kept:
                self.functions.declare(
                    f"{name}.~lock.{role}", [role, name], Domain(values=kept, nullable=True), None, ("lock", name, role)
                )

    def domain(self, table: tree.Table, column: tree.Column) -> Domain:
        """The domain of a column's functions: nullable also where the row may not exist and no value is natural."""
        kind = column.type.kind
        nullable = column.nullable
        if kind == "boolean":
            return Domain(values=(False, True), nullable=nullable)
        if kind == "reference":
            assert column.type.table is not None
            # Of a row that does not exist the reference is NULL, also in a NOT NULL column.
            return Domain(sorts=(column.type.table,), nullable=True)
        if kind == "timestamp":
            if (table.name, column.name) in self.times.columns:
                return Domain(ages=self.times.domain.ages, nullable=True)
            return Domain(values=(0,), nullable=True)
        assert column.domain is not None, f"{table.name}.{column.name} has no domain"
        return Domain(values=column.domain, nullable=nullable)

    def default(self, table: tree.Table, column: tree.Column) -> Value:
        """The value of an unused slot."""
        domain = self.domain(table, column)
        return None if domain.nullable else domain.values[0]

    # ------------------------------------------------------------------------------------------------------- reading

    def live(self, state: State, table: str, row: Expr) -> Expr:
        """A committed row is there."""
        if f"{table}.~live" in self.functions.functions:
            return x.truth(state.read(f"{table}.~live", row))
        return x.TRUE

    def committed(self, state: State, table: str, column: str, row: Expr) -> Expr:
        """Committed value."""
        if self.schema.tables[table].column(column).serial:
            return row
        return state.read(f"{table}.{column}", row)

    def writer(self, state: State, table: str, row: Expr) -> Expr:
        """The process with an uncommitted version, or NULL."""
        return state.read(f"{table}.~writer", row) if self.uses[table].written else x.NULL

    def owns(self, state: State, table: str, row: Expr, process: Expr, role: str) -> Expr:
        """The process has an uncommitted version of the row."""
        if role not in self.uses[table].writers:
            return x.FALSE
        return x.equal(self.writer(state, table, row), process)

    def staying(self, state: State, table: str, row: Expr) -> Expr:
        """The uncommitted version (there is one) is not a deletion."""
        return x.truth(state.read(f"{table}.~staying", row)) if self.uses[table].deleted else x.TRUE

    def pending(self, state: State, table: str, column: str, row: Expr) -> Expr:
        """The uncommitted version's value."""
        if f"{table}.{column}'" in self.functions.functions:
            return state.read(f"{table}.{column}'", row)
        return self.committed(state, table, column, row)

    def visible(self, state: State, table: str, row: Expr, process: Expr, role: str) -> Expr:
        """A row is there for the process: its own version, else the committed one."""
        own = self.owns(state, table, row, process, role)
        return x.ite(own, self.staying(state, table, row), self.live(state, table, row))

    def column(self, state: State, table: str, column: str, row: Expr, process: Expr, role: str) -> Expr:
        """A value as the process sees it."""
        own = self.owns(state, table, row, process, role)
        return x.ite(own, self.pending(state, table, column, row), self.committed(state, table, column, row))

    def older(self, state: State, table: str, column: str, row: Expr) -> Expr:
        """A value of the key that the row had before, in a version of the same transaction."""
        name = f"{table}.{column}~older"
        return state.read(name, row) if name in self.functions.functions else self.pending(state, table, column, row)

    def has_older(self, state: State, table: str, row: Expr) -> Expr:
        """The row had another key before, in a version of the transaction that has written it."""
        return x.truth(state.read(f"{table}.~older", row)) if self.uses[table].changes_keys_twice else x.FALSE

    # ------------------------------------------------------------------------------------------------------- writing

    def _older(
        self, before: State, table: str, row: Expr, new: Callable[[str], Expr], process: Expr, role: str
    ) -> tuple[Expr, Expr]:
        """When a row gets new values: that the key of its present version, and that the one before, remain in the index."""
        columns = sorted(self.uses[table].unique_columns & self.uses[table].updated)

        def differs(a: Callable[[str], Expr], b: Callable[[str], Expr]) -> Expr:
            return x.disj(*(x.neg(x.equal(a(c), b(c))) for c in columns))

        def present(column: str) -> Expr:
            return self.pending(before, table, column, row)

        def committed(column: str) -> Expr:
            return self.committed(before, table, column, row)

        own = self.owns(before, table, row, process, role)
        made = x.conj(own, x.disj(x.neg(self.live(before, table, row)), differs(present, committed)))
        stays = x.conj(self.has_older(before, table, row), differs(lambda c: self.older(before, table, c, row), new))
        return x.conj(made, differs(present, new)), stays

    def crowded(self, state: State, table: str, row: Expr, values: dict[str, Expr], process: Expr, role: str) -> Expr:
        """Two older keys of the row would remain in the index: there is no room for them in the state."""
        if not (self.uses[table].changes_keys_twice and set(values) & self.uses[table].unique_columns):
            return x.FALSE

        def new(column: str) -> Expr:
            return values[column] if column in values else self.column(state, table, column, row, process, role)

        return x.conj(*self._older(state, table, row, new, process, role))

    def _supersede(
        self,
        before: State,
        state: State,
        table: str,
        chosen: Callable[[Expr], Expr],
        new: Callable[[Expr, str], Expr],
        process: Expr,
        role: str,
    ) -> None:
        """Remember the keys that rows lose when they get new values."""
        if not self.uses[table].changes_keys_twice:
            return

        def remain(row: Expr) -> tuple[Expr, Expr]:
            return self._older(before, table, row, lambda column: new(row, column), process, role)

        for column in sorted(self.uses[table].unique_columns & self.uses[table].updated):
            default = x.const(self.default(self.schema.tables[table], self.schema.tables[table].column(column)))

            def make(row: Expr, column: str = column, default: Expr = default) -> tuple[Expr, Expr]:
                lost, stays = remain(row)
                kept = x.ite(stays, self.older(before, table, column, row), default)
                return chosen(row), x.ite(lost, self.pending(before, table, column, row), kept)

            state.write_all(f"{table}.{column}~older", make)
        state.write_all(f"{table}.~older", lambda row: (chosen(row), x.disj(*remain(row))))

    def update(self, state: State, table: str, row: Expr, values: dict[str, Expr], process: Expr, role: str) -> None:
        """Write new values into the process's version of a row."""
        formal = x.local(table, table)
        self.update_all(state, table, x.equal(formal, row), formal, values, process, role)

    def update_all(
        self, state: State, table: str, chosen: Expr, formal: x.Local, values: dict[str, Expr], process: Expr, role: str
    ) -> None:
        """The same for every row that ``chosen`` (over ``formal``) selects, at once; ``values`` are over ``formal`` too."""
        before = state.copy()

        def at(node: Expr, row: Expr) -> Expr:
            return x.substitute(node, {formal: row})

        def new(row: Expr, column: str) -> Expr:
            return at(values[column], row) if column in values else self.column(before, table, column, row, process, role)

        if set(values) & self.uses[table].unique_columns:
            self._supersede(before, state, table, lambda row: at(chosen, row), new, process, role)
        for column in sorted(self.uses[table].updated):
            state.write_all(f"{table}.{column}'", lambda row, column=column: (at(chosen, row), new(row, column)))
        if self.uses[table].deleted:
            state.write_all(f"{table}.~staying", lambda row: (at(chosen, row), x.TRUE))
        state.write_all(f"{table}.~writer", lambda row: (at(chosen, row), process))

    def delete_all(self, state: State, table: str, chosen: Expr, formal: x.Local, process: Expr) -> None:
        """Mark every chosen row as deleted by the process."""

        def at(row: Expr) -> Expr:
            return x.substitute(chosen, {formal: row})

        before = state.copy()
        kept = self.uses[table].unique_columns
        for column in sorted(self.uses[table].updated):
            default = x.const(self.default(self.schema.tables[table], self.schema.tables[table].column(column)))

            def make(row: Expr, column: str = column, default: Expr = default) -> tuple[Expr, Expr]:
                if column not in kept:
                    return at(row), default
                # The key of a version that the transaction has made itself is still in the index.
                made = x.equal(self.writer(before, table, row), process)
                committed = self.committed(before, table, column, row)
                return at(row), x.ite(made, self.pending(before, table, column, row), committed)

            state.write_all(f"{table}.{column}'", make)
        state.write_all(f"{table}.~staying", lambda row: (at(row), x.FALSE))
        state.write_all(f"{table}.~writer", lambda row: (at(row), process))

    def insert(self, state: State, table: str, row: Expr, values: dict[str, Expr], process: Expr) -> None:
        """Put a new uncommitted row into a free slot."""
        for column in self.schema.tables[table].columns:
            if not column.serial:
                pending = f"{table}.{column.name}'"
                function = pending if pending in self.functions.functions else f"{table}.{column.name}"
                state.write(function, (row,), values[column.name])
        if self.uses[table].deleted:
            state.write(f"{table}.~staying", (row,), x.TRUE)
        state.write(f"{table}.~writer", (row,), process)
        if table in self.burned:
            state.write(f"{table}.~used", (row,), x.TRUE)

    def take(self, state: State, table: str, row: Expr) -> None:
        """Take an exact id from its sequence."""
        state.write(f"{table}.~used", (row,), x.TRUE)

    def after_taking(self, before: State, after: State, table: str) -> State:
        """``before`` with the exact ids that were taken up to ``after``: a sequence is never set back."""
        state = before.copy()
        name = f"{table}.~used"
        if table in self.exact and name in after.changed:
            state.changed[name] = after.changed[name]
        return state

    def free(self, state: State, table: str, row: Expr) -> Expr:
        """A slot can take a new row: no version in it, and (generated ids) nothing refers to it.

        Exact ids: the sequence has not come to it.
        """
        if table in self.exact:
            return x.neg(x.truth(state.read(f"{table}.~used", row)))
        parts = [x.neg(self.live(state, table, row)), x.equal(self.writer(state, table, row), x.NULL)]
        if table in self.burned:
            parts.append(x.neg(x.truth(state.read(f"{table}.~used", row))))
        serial = self.schema.tables[table].serial is not None
        for name in sorted(self.functions.functions):
            function = self.functions.functions[name]
            waits = function.about[0] in ("at", "todo")
            # A waiting statement refers to its row slot whatever the key is; other references are by generated ids only.
            if not (serial or waits):
                continue
            bound = tuple(x.local(sort, sort) for sort in function.params)
            if table in function.domain.sorts:
                parts.append(x.neg(x.exists(bound, x.equal(state.read(name, *bound), row))))
            elif table in function.params and function.about[0] in ("rows", "todo"):
                for position, sort in enumerate(function.params):
                    if sort == table:
                        args = (*bound[:position], row, *bound[position + 1 :])
                        others = tuple(b for i, b in enumerate(bound) if i != position)
                        parts.append(x.neg(x.exists(others, x.truth(state.read(name, *args)))))
        return x.conj(*parts)

    # --------------------------------------------------------------------------------------------------- transactions

    def tables_of(self, role: str) -> Iterable[str]:
        """Tables that a role may write."""
        return [name for name, use in self.uses.items() if role in use.writers]

    def older_parts(self, table: str) -> list[str]:
        """The functions that hold a row's older key."""
        if not self.uses[table].changes_keys_twice:
            return []
        return [f"{table}.{c}~older" for c in sorted(self.uses[table].unique_columns & self.uses[table].updated)] + [
            f"{table}.~older"
        ]

    def end(self, state: State, process: Expr, role: str, commit: bool) -> None:
        """Commit or roll back: versions of the process become the committed ones, or vanish; its locks go."""
        before = state.copy()
        for table in self.tables_of(role):
            use = self.uses[table]
            definition = self.schema.tables[table]

            def own(row: Expr, table: str = table) -> Expr:
                return self.owns(before, table, row, process, role)

            def stays(row: Expr, table: str = table) -> Expr:
                return self.staying(before, table, row) if commit else self.live(before, table, row)

            for column in definition.columns:
                if column.serial:
                    continue
                default = x.const(self.default(definition, column))
                name, pending = f"{table}.{column.name}", f"{table}.{column.name}'"
                if pending in self.functions.functions:
                    if commit:
                        state.write_all(
                            name,
                            lambda row, column=column, own=own, stays=stays, default=default, table=table: (
                                own(row),
                                x.ite(stays(row), self.pending(before, table, column.name, row), default),
                            ),
                        )
                    state.write_all(pending, lambda row, own=own, default=default: (own(row), default))
                elif use.inserted or use.deleted:
                    state.write_all(
                        name, lambda row, own=own, stays=stays, default=default: (x.conj(own(row), x.neg(stays(row))), default)
                    )
            if commit and f"{table}.~live" in self.functions.functions:
                state.write_all(f"{table}.~live", lambda row, own=own, stays=stays: (own(row), stays(row)))
            if use.deleted:
                state.write_all(f"{table}.~staying", lambda row, own=own: (own(row), x.FALSE))
            for name in self.older_parts(table):
                initial = x.const(self.functions.functions[name].initial)
                state.write_all(name, lambda row, own=own, initial=initial: (own(row), initial))
            state.write_all(f"{table}.~writer", lambda row, own=own: (own(row), x.NULL))
        for table in self.schema.tables:
            lock = f"{table}.~lock.{role}"
            if lock in self.functions.functions:
                state.write_all(lock, lambda p, _row: (x.equal(p, process), x.NULL))

    # ---------------------------------------------------------------------------------------------------------- locks

    def conflict(self, state: State, table: str, row: Expr, mode: str, process: Expr, other: Expr, other_role: str) -> Expr:
        """Process ``other`` (of ``other_role``, different from ``process``) holds the row against ``mode``."""
        use = self.uses[table]
        parts: list[Expr] = []
        if other_role in use.writers:
            holds = x.equal(self.writer(state, table, row), other)
            if mode == "key share":  # conflicts only with a deletion or a change of a key column
                changed = [
                    x.neg(x.equal(self.pending(state, table, c, row), self.committed(state, table, c, row)))
                    for c in sorted(use.updated & key_columns(self.schema.tables[table]))
                ]
                holds = x.conj(holds, x.disj(x.neg(self.staying(state, table, row)), *changed))
            parts.append(holds)
        lock = f"{table}.~lock.{other_role}"
        if lock in self.functions.functions:
            held = state.read(lock, other, row)
            parts.append(x.disj(*(x.equal(held, x.const(m)) for m in MODES if m in CONFLICTS[mode])))
        return x.conj(x.neg(x.equal(other, process)), x.disj(*parts))

    def lock(self, state: State, table: str, row: Expr, mode: str, process: Expr, role: str, where: Expr = x.TRUE) -> None:
        """Take a row lock without writing (kept only where it can matter)."""
        name = f"{table}.~lock.{role}"
        if name not in self.functions.functions:
            return
        kept = self.functions.functions[name].domain.values
        # A mode that conflicts with nothing requested here is no state; it must not weaken one that is held.
        stronger = [m for m in kept if MODES.index(str(m)) > MODES.index(mode)]
        if mode in kept:
            held = state.read(name, process, row)
            already = x.disj(*(x.equal(held, x.const(m)) for m in stronger))
            state.write(name, (process, row), x.const(mode), x.conj(where, x.neg(already)))

    def lock_all(self, state: State, table: str, chosen: Expr, formal: x.Local, mode: str, process: Expr, role: str) -> None:
        """Lock every chosen row."""
        name = f"{table}.~lock.{role}"
        if name not in self.functions.functions:
            return
        kept = self.functions.functions[name].domain.values
        if mode not in kept:
            return
        before = state.copy()
        stronger = [m for m in kept if MODES.index(str(m)) > MODES.index(mode)]

        def make(p: Expr, row: Expr) -> tuple[Expr, Expr]:
            held = before.read(name, p, row)
            already = x.disj(*(x.equal(held, x.const(m)) for m in stronger))
            return x.conj(x.equal(p, process), x.substitute(chosen, {formal: row}), x.neg(already)), x.const(mode)

        state.write_all(name, make)


def key_columns(table: tree.Table) -> set[str]:
    """Columns whose change needs the FOR UPDATE lock: those of a unique index that a foreign key could use."""
    return {c for unique in table.uniques if unique.where is None for c in unique.columns}


def data_rows(schema: tree.Schema, statements: Iterable[tree.Statement]) -> dict[str, list[dict[str, Value]]]:
    """The rows that ``data:`` puts into each table, as column values."""
    found: dict[str, list[dict[str, Value]]] = {}
    for statement in statements:
        assert isinstance(statement, tree.Insert)
        table = schema.tables[statement.table]
        for row in statement.rows:
            values: dict[str, Value] = {}
            given = dict(zip(statement.columns, row, strict=True))
            for column in table.columns:
                expression = given.get(column.name)
                if expression is None and column.default is not None:
                    expression = column.default
                if expression is None:
                    values[column.name] = None
                elif isinstance(expression, tree.Clock):
                    values[column.name] = 0
                else:
                    assert isinstance(expression, tree.Constant)
                    if expression.type.kind == "reference" and expression.value is not None:
                        assert isinstance(expression.value, int)
                        assert expression.type.table is not None
                        values[column.name] = Elem(expression.type.table, expression.value - 1)
                    else:
                        values[column.name] = expression.value
            found.setdefault(statement.table, []).append(values)
    return found
