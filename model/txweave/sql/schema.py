"""DDL to tables: columns and types, constraints in PostgreSQL's order and with its names, enums and indexes."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from sqlglot import exp

from txweave.spec.diagnostics import Report, did_you_mean
from txweave.spec.syntax import Scalar
from txweave.spec.text import Span, Text
from txweave.sql.parse import Reader, Refused, parse_statement
from txweave.sql.queries import item_of
from txweave.sql.scope import Environment, Scope
from txweave.sql.statements import StatementBinder
from txweave.sql.tree import (
    BOOLEAN,
    INTEGER,
    INTERVAL,
    NULL,
    TEXT,
    TIMESTAMP,
    Check,
    Clock,
    Column,
    Constant,
    Expr,
    ForeignKey,
    Table,
    Type,
    Unique,
)

_TYPES: dict[str, Type] = {
    "INT": INTEGER,
    "BIGINT": INTEGER,
    "SMALLINT": INTEGER,
    "TEXT": TEXT,
    "VARCHAR": TEXT,
    "CHAR": TEXT,
    "BPCHAR": TEXT,
    "BOOLEAN": BOOLEAN,
    "TIMESTAMP": TIMESTAMP,
    "TIMESTAMPTZ": TIMESTAMP,
    "TIMESTAMPNTZ": TIMESTAMP,
    "TIMESTAMPLTZ": TIMESTAMP,
    "INTERVAL": INTERVAL,
}
_SERIAL = {"SERIAL", "BIGSERIAL", "SMALLSERIAL"}
_WITH_LENGTH = {"VARCHAR", "CHAR", "BPCHAR", "TIMESTAMP", "TIMESTAMPTZ"}
_BITS = {"SMALLINT": 16, "INT": 32, "BIGINT": 64}
_ACTIONS = {"NO ACTION": "no action", "RESTRICT": "restrict", "CASCADE": "cascade", "SET NULL": "set null"}


@dataclass
class RawColumn:
    """A column as its definition says; type and domain may still change (foreign keys, domains)."""

    name: str
    type: Type
    span: Span
    nullable: bool = True
    serial: bool = False
    ghost: bool = False
    enum: str | None = None
    default: tuple[Reader, exp.Expr] | None = None
    domain: tuple[Scalar, ...] | None = None
    length: int | None = None
    """VARCHAR(n): longer values cannot be stored."""
    bits: int | None = None
    """Size of an integer."""


@dataclass
class RawKey:
    """A foreign key before its parent's columns are known."""

    name: str
    columns: tuple[str, ...]
    parent: str
    parent_columns: tuple[str, ...]
    on_delete: str
    on_update: str
    span: Span


@dataclass
class RawTable:
    """A table under construction."""

    name: str
    span: Span
    ghost: bool = False
    columns: dict[str, RawColumn] = field(default_factory=dict)
    uniques: list[Unique] = field(default_factory=list)
    predicates: dict[str, tuple[Reader, exp.Expr]] = field(default_factory=dict)
    """WHERE of partial indexes, by the name of the index."""
    keys: list[RawKey] = field(default_factory=list)
    checks: list[tuple[str, Reader, exp.Expr]] = field(default_factory=list)

    def table(self) -> Table:
        """The table as far as it is known: without checks and predicates."""
        columns = tuple(
            Column(c.name, c.type, c.nullable, c.domain, None, c.serial, c.ghost, c.span) for c in self.columns.values()
        )
        return Table(self.name, columns, tuple(self.uniques), ghost=self.ghost, span=self.span)


class SchemaReader:
    """Reads definitions, one text after the other, into raw tables."""

    def __init__(self, report: Report) -> None:
        self.report = report
        self.tables: dict[str, RawTable] = {}
        self.enums: dict[str, tuple[str, ...]] = {}
        self._names: dict[str, Span] = {}
        self._ghost = False
        self.broken = False
        """A definition could not be read: what refers to it would only be blamed for it."""

    def read(self, texts: Sequence[Text], ghost: bool) -> None:
        """Read ``schema:`` or ``ghost:`` texts; each may hold several statements."""
        self._ghost = ghost
        for text in texts:
            for part in split_statements(text):
                try:
                    self._definition(part)
                except Refused:
                    continue

    def _definition(self, text: Text) -> None:
        before, broken = len(self.report.diagnostics), self.broken
        self.broken = True
        reader = parse_statement(text, self.report, ("CREATE", "ALTER"))
        root = reader.root
        binder = StatementBinder(reader, Environment({}, subject="the schema", queries=False))
        if isinstance(root, exp.Create):
            kind = str(reader.get(root, "kind")).upper()
            if kind == "TABLE":
                self._create_table(reader, root, binder)
            elif kind == "TYPE":
                self._create_type(reader, root, binder)
            elif kind == "INDEX":
                self._create_index(reader, root, binder)
            else:
                reader.refuse("Q302", reader.word(kind), f"CREATE {kind} is not in the SQL subset")
        elif isinstance(root, exp.Alter):
            self._alter(reader, root, binder)
        else:
            reader.unsupported(root)
        if not any(d.severity == "error" for d in self.report.diagnostics[before:]):
            # CHECK conditions, defaults and predicates are read later, each by its own binder
            _mark_later(reader)
            reader.unread()
        self.broken = broken or any(d.severity == "error" for d in self.report.diagnostics[before:])

    # -------------------------------------------------------------------------------------------------------- pieces

    def _claim(self, name: str, span: Span, what: str) -> None:
        if name in self._names:
            self.report.error("Q313", span, f"{what} {name!r} exists already", related=[(self._names[name], "the first one")])
            raise Refused
        self._names[name] = span

    def _free(self, base: str) -> str:
        """PostgreSQL's way to a fresh name: a number is appended."""
        name, number = base, 0
        while name in self._names:
            number += 1
            name = f"{base}{number}"
        return name

    def _table_name(self, reader: Reader, node: object, binder: StatementBinder) -> tuple[str, Span]:
        if not isinstance(node, exp.Table):
            reader.refuse("Q300", reader.text.span(), "a table name is missing")
        return binder.name(reader.get(node, "this"), "a table"), reader.place(node)

    def _create_type(self, reader: Reader, root: exp.Create, binder: StatementBinder) -> None:
        name, span = self._table_name(reader, reader.get(root, "this"), binder)
        body = reader.get(root, "expression")
        if not isinstance(body, exp.DataType) or getattr(reader.get(body, "this"), "value", "") != "ENUM":
            reader.refuse("Q302", span, "only CREATE TYPE … AS ENUM is in the SQL subset")
        self._claim(name, span, "the type")
        labels: list[str] = []
        for node in reader.many(body, "expressions"):
            label = str(reader.get(node, "this"))
            reader.skip(node, "is_string")
            if label in labels:
                reader.refuse("Q313", node, f"the label {label!r} stands twice")
            labels.append(label)
        if not labels:
            reader.refuse("Q302", span, "an enum needs labels")
        self.enums[name] = tuple(labels)

    def _create_table(self, reader: Reader, root: exp.Create, binder: StatementBinder) -> None:
        body = reader.get(root, "this")
        if not isinstance(body, exp.Schema):
            reader.refuse("Q302", root, "CREATE TABLE takes its columns in parentheses")
        name, span = self._table_name(reader, reader.get(body, "this"), binder)
        self._claim(name, span, "the table")
        table = RawTable(name, span, self._ghost)
        constraints: list[tuple[RawColumn | None, str | None, exp.Expr]] = []
        for node in reader.many(body, "expressions"):
            if isinstance(node, exp.ColumnDef):
                column, found = self._column(reader, node, table, binder)
                constraints += [(column, label, constraint) for label, constraint in found]
            else:
                constraints += [(None, label, c) for label, c in self._named(reader, node, binder)]
        if not table.columns:
            reader.refuse("Q302", span, f"the table {name!r} has no columns")
        self.tables[name] = table
        # the primary key's index is created first, whatever its place in the text
        constraints.sort(key=lambda entry: not isinstance(entry[2], (exp.PrimaryKey, exp.PrimaryKeyColumnConstraint)))
        for own, label, constraint in constraints:
            self._constraint(reader, table, own, label, constraint, binder)

    def _named(self, reader: Reader, node: exp.Expr, binder: StatementBinder) -> list[tuple[str | None, exp.Expr]]:
        if isinstance(node, exp.Constraint):
            label = binder.name(reader.get(node, "this"), "a constraint")
            return [(label, inner) for inner in reader.many(node, "expressions")]
        return [(None, node)]

    def _column(
        self, reader: Reader, node: exp.ColumnDef, table: RawTable, binder: StatementBinder
    ) -> tuple[RawColumn, list[tuple[str | None, exp.Expr]]]:
        name = binder.name(reader.get(node, "this"), "a column")
        span = reader.place(node.args["this"])
        if name in table.columns:
            reader.refuse("Q313", span, f"the column {name!r} stands twice")
        kind = reader.get(node, "kind")
        if not isinstance(kind, exp.DataType):
            reader.refuse("Q330", span, f"the column {name!r} has no type")
        column = RawColumn(name, NULL, span, ghost=self._ghost)
        self._column_type(reader, kind, column, binder)
        constraints: list[tuple[str | None, exp.Expr]] = []
        for wrapper in reader.many(node, "constraints"):
            label_node = reader.get(wrapper, "this")
            label = None if label_node is None else binder.name(label_node, "a constraint")
            constraint = reader.get(wrapper, "kind")
            if isinstance(constraint, exp.NotNullColumnConstraint):
                column.nullable = bool(reader.get(constraint, "allow_null"))
            elif isinstance(constraint, exp.DefaultColumnConstraint):
                if column.default is not None:
                    reader.refuse("Q335", span, f"the column {name!r} has two defaults")
                column.default = (reader, reader.get(constraint, "this"))
            elif isinstance(constraint, exp.GeneratedAsIdentityColumnConstraint):
                reader.skip(constraint, "this")
                if column.type != INTEGER:
                    reader.refuse("Q330", span, f"the identity column {name!r} must be an integer")
                column.serial, column.nullable = True, False
            else:
                constraints.append((label, constraint))
        table.columns[name] = column
        return column, constraints

    def _column_type(self, reader: Reader, kind: exp.DataType, column: RawColumn, binder: StatementBinder) -> None:
        word = str(getattr(reader.get(kind, "this"), "value", ""))
        shown = kind.sql(dialect="postgres")
        if word in _SERIAL:
            column.type, column.serial, column.nullable = INTEGER, True, False
        elif word == "USER-DEFINED":
            name = binder.name(reader.get(kind, "kind"), "a type")
            if name not in self.enums:
                hint = did_you_mean(name, [*self.enums, "integer", "text", "boolean", "timestamp", "serial"])
                reader.refuse("Q330", column.span, f"{column.name}: there is no type {name!r}", hint)
            column.type, column.enum = TEXT, name
        elif word in _TYPES:
            column.type = _TYPES[word]
            column.bits = _BITS.get(word)
            if word in _WITH_LENGTH:
                for size in reader.many(kind, "expressions"):
                    number = reader.get(size, "this")
                    for inner in size.walk():
                        reader.skip(inner, "this", "is_string")
                    if column.type == TEXT and isinstance(number, exp.Literal) and str(number.this).isdigit():
                        column.length = int(str(number.this))
        else:
            remedy = {
                "DATE": "use INTEGER for days, or TIMESTAMP",
                "UUID": "use TEXT with a domain",
                "JSON": "",
                "DECIMAL": "use INTEGER",
            }
            hint = remedy.get(word, "types are INTEGER, TEXT, BOOLEAN, TIMESTAMP, INTERVAL, SERIAL and enums")
            reader.refuse("Q330", column.span, f"{column.name}: the type {shown} is not in the SQL subset", hint)

    # --------------------------------------------------------------------------------------------------- constraints

    def _columns(self, reader: Reader, nodes: list[exp.Expr], table: RawTable, binder: StatementBinder) -> tuple[str, ...]:
        names: list[str] = []
        for node in nodes:
            inner = node
            if isinstance(inner, exp.Ordered):
                if reader.get(inner, "desc") is True:
                    pass  # the order of an index has no meaning for what is unique
                reader.skip(inner, "nulls_first", "desc")
                inner = reader.get(inner, "this")
            if isinstance(inner, exp.Column):
                inner = reader.get(inner, "this")
            if not isinstance(inner, exp.Identifier):
                reader.refuse("Q302", node, "only columns are in the SQL subset here, no expressions")
            name = binder.name(inner, "a column")
            if name not in table.columns:
                hint = did_you_mean(name, table.columns)
                reader.refuse("Q311", inner, f"{table.name} has no column {name!r}", hint)
            if name in names:
                reader.refuse("Q313", inner, f"the column {name!r} stands twice")
            names.append(name)
        return tuple(names)

    def _constraint(
        self, reader: Reader, table: RawTable, column: RawColumn | None, label: str | None, node: exp.Expr, binder: StatementBinder
    ) -> None:
        span = reader.place(node)
        own = (column.name,) if column else ()
        if isinstance(node, (exp.PrimaryKeyColumnConstraint, exp.PrimaryKey)):
            reader.skip(node, "include")
            self._options(reader, node)
            names = own or self._columns(reader, reader.many(node, "expressions"), table, binder)
            if any(u.primary for u in table.uniques):
                reader.refuse("Q313", span, f"{table.name} has two primary keys")
            for name in names:
                table.columns[name].nullable = False
            self._unique(table, label, names, f"{table.name}_pkey", span if not column else column.span, primary=True)
        elif isinstance(node, exp.UniqueColumnConstraint):
            reader.skip(node, "include")
            self._options(reader, node)
            body = reader.get(node, "this")
            names = own
            if isinstance(body, exp.Schema):
                names = self._columns(reader, reader.many(body, "expressions"), table, binder)
            elif body is not None:
                reader.refuse("Q302", span, "UNIQUE takes columns in parentheses")
            self._unique(table, label, names, f"{table.name}_{'_'.join(names)}_key", span if not column else column.span)
        elif isinstance(node, exp.CheckColumnConstraint):
            condition = reader.get(node, "this")
            used = {str(c.name).lower() for c in condition.find_all(exp.Column)}
            middle = f"_{own[0]}" if own else f"_{next(iter(used))}" if len(used) == 1 else ""
            self._ghost_free(table, column, span, "a CHECK")
            name = label or self._free(f"{table.name}{middle}_check")
            self._claim(name, span, "the constraint")
            table.checks.append((name, reader, condition))
        elif isinstance(node, exp.Reference):
            self._foreign_key(reader, table, own, label, node, binder, column.span if column else span)
        elif isinstance(node, exp.ForeignKey):
            names = self._columns(reader, reader.many(node, "expressions"), table, binder)
            self._foreign_key(reader, table, names, label, reader.get(node, "reference"), binder, span)
        else:
            reader.unsupported(node)

    def _options(self, reader: Reader, node: exp.Expr) -> None:
        include = node.args.get("include")
        if isinstance(include, exp.IndexParameters):
            for argument, value in include.args.items():
                if value:
                    reader.refuse("Q302", node, f"{argument.upper()} of a constraint is not in the SQL subset")

    def _unique(
        self, table: RawTable, label: str | None, names: tuple[str, ...], base: str, span: Span, primary: bool = False
    ) -> None:
        only_serial = primary and len(names) == 1 and table.columns[names[0]].serial
        if (table.ghost and not only_serial) or any(table.columns[n].ghost and not table.ghost for n in names):
            self._ghost_free(table, None, span, "a unique constraint", force=True)
        name = label or self._free(base)
        self._claim(name, span, "the constraint")
        table.uniques.append(Unique(name, names, primary=primary, span=span))

    def _ghost_free(self, table: RawTable, column: RawColumn | None, span: Span, what: str, force: bool = False) -> None:
        """A constraint on a ghost could stop the program: it would no longer be a mere record."""
        if force or table.ghost or (column is not None and column.ghost):
            remedy = "leave it out; for ids write `domains: {table.column: {like: other.id}}`"
            self.report.error("Q328", span, f"{what} on a ghost would change what the program does", remedy)
            raise Refused

    def _foreign_key(
        self,
        reader: Reader,
        table: RawTable,
        names: tuple[str, ...],
        label: str | None,
        node: exp.Expr,
        binder: StatementBinder,
        span: Span,
    ) -> None:
        self._ghost_free(table, table.columns[names[0]], span, "a foreign key")
        target = reader.get(node, "this")
        listed: list[exp.Expr] = []
        if isinstance(target, exp.Schema):
            listed = reader.many(target, "expressions")
            target = reader.get(target, "this")
        parent, parent_span = self._table_name(reader, target, binder)
        if parent not in self.tables or self.tables[parent].ghost:
            hint = did_you_mean(parent, [t.name for t in self.tables.values() if not t.ghost])
            reader.refuse("Q310", parent_span, f"there is no table {parent!r} (yet): a parent is created before its children", hint)
        to = self.tables[parent]
        columns = self._columns(reader, listed, to, binder)
        if not columns:
            primary = next((u for u in to.uniques if u.primary), None)
            if primary is None:
                reader.refuse("Q332", parent_span, f"{parent} has no primary key to refer to")
            columns = primary.columns
        if len(columns) != len(names):
            reader.refuse("Q324", span, f"{len(names)} columns refer to {len(columns)}")
        if not any(set(u.columns) == set(columns) and u.where is None and u.name not in to.predicates for u in to.uniques):
            reader.refuse("Q332", parent_span, f"{parent} has no unique constraint on ({', '.join(columns)})")
        actions = {"DELETE": "no action", "UPDATE": "no action"}
        for option in reader.many(node, "options"):
            words = str(option).upper().split()
            action = _ACTIONS.get(" ".join(words[2:]))
            if words[:1] != ["ON"] or words[1] not in actions or action is None:
                reader.refuse("Q302", reader.word(*words[-1:]), f"{option} is not in the SQL subset")
            actions[words[1]] = action
            if action == "set null" and any(not table.columns[n].nullable for n in names):
                wrong = next(n for n in names if not table.columns[n].nullable)
                reader.refuse("Q332", span, f"ON {words[1]} SET NULL, and {table.name}.{wrong} cannot be NULL")
        name = label or self._free(f"{table.name}_{'_'.join(names)}_fkey")
        self._claim(name, span, "the constraint")
        table.keys.append(RawKey(name, names, parent, columns, actions["DELETE"], actions["UPDATE"], span))

    # ------------------------------------------------------------------------------------------------ INDEX and ALTER

    def _existing(self, reader: Reader, node: object, binder: StatementBinder) -> RawTable:
        name, span = self._table_name(reader, node, binder)
        if name not in self.tables:
            reader.refuse("Q310", span, f"there is no table {name!r}", did_you_mean(name, self.tables))
        return self.tables[name]

    def _create_index(self, reader: Reader, root: exp.Create, binder: StatementBinder) -> None:
        index = reader.get(root, "this")
        unique = bool(reader.get(root, "unique"))
        label_node = reader.get(index, "this")
        label = None if label_node is None else binder.name(label_node, "an index")
        table = self._existing(reader, reader.get(index, "table"), binder)
        parameters = reader.get(index, "params")
        if not isinstance(parameters, exp.IndexParameters):
            reader.refuse("Q302", index, "an index needs columns")
        method = reader.get(parameters, "using")
        if method is not None:
            for inner in method.walk():
                reader.skip(inner, "this", "quoted")
            if unique and str(method.name).lower() != "btree":
                reader.refuse("Q302", reader.word("USING"), "a unique index is a btree")
        names = self._columns(reader, reader.many(parameters, "columns"), table, binder)
        span = reader.place(index)
        if self._ghost and not table.ghost:
            self._ghost_free(table, None, span, "an index", force=True)
        name = label or self._free(f"{table.name}_{'_'.join(names)}_idx")
        self._claim(name, span, "the index")
        where = reader.get(parameters, "where")
        if not unique:
            if where is not None:
                _skip_all(reader, where)
            return
        if table.ghost or any(table.columns[n].ghost for n in names):
            self._ghost_free(table, None, span, "a unique index", force=True)
        table.uniques.append(Unique(name, names, index=True, span=span))
        if where is not None:
            table.predicates[name] = (reader, reader.get(where, "this"))

    def _alter(self, reader: Reader, root: exp.Alter, binder: StatementBinder) -> None:
        if str(reader.get(root, "kind")).upper() != "TABLE":
            reader.refuse("Q302", root, "only ALTER TABLE is in the SQL subset")
        table = self._existing(reader, reader.get(root, "this"), binder)
        for action in reader.many(root, "actions"):
            if isinstance(action, exp.ColumnDef):
                column, constraints = self._column(reader, action, table, binder)
                if self._ghost and not table.ghost and not (column.nullable or column.default is not None):
                    remedy = "give it a DEFAULT, or leave NOT NULL out: the program's INSERTs do not know it"
                    self.report.error(
                        "Q328", column.span, f"the ghost column {column.name!r} needs a default or is nullable", remedy
                    )
                for label, constraint in constraints:
                    self._constraint(reader, table, column, label, constraint, binder)
            elif isinstance(action, exp.AddConstraint):
                if self._ghost and not table.ghost:
                    self._ghost_free(table, None, reader.place(action), "a constraint", force=True)
                for node in reader.many(action, "expressions"):
                    for label, constraint in self._named(reader, node, binder):
                        self._constraint(reader, table, None, label, constraint, binder)
            else:
                remedy = "ADD COLUMN and ADD CONSTRAINT are; change the CREATE TABLE for the rest"
                reader.refuse("Q302", action, "this change of a table is not in the SQL subset", remedy)


def _skip_all(reader: Reader, node: exp.Expr) -> None:
    for inner in node.walk():
        reader.skip(inner, *inner.args)


def _mark_later(reader: Reader) -> None:
    for node in reader.root.walk():
        if isinstance(node, (exp.CheckColumnConstraint, exp.DefaultColumnConstraint, exp.IndexParameters)):
            later = node.args.get("where") if isinstance(node, exp.IndexParameters) else node.args.get("this")
            if isinstance(later, exp.Expr):
                _skip_all(reader, later)


def split_statements(text: Text) -> list[Text]:
    """The statements of a text, cut at semicolons outside quotes and comments."""
    parts: list[Text] = []
    value, start, index = text.value, 0, 0
    while index < len(value):
        char = value[index]
        if char in "'\"":
            end = value.find(char, index + 1)
            index = len(value) if end < 0 else end + 1
            continue
        if value.startswith("--", index):
            end = value.find("\n", index)
            index = len(value) if end < 0 else end + 1
            continue
        if value.startswith("/*", index):
            end = value.find("*/", index + 2)
            index = len(value) if end < 0 else end + 2
            continue
        if char == ";":
            parts.append(text.slice(start, index))
            start = index + 1
        index += 1
    parts.append(text.slice(start, len(value)))
    return [part for part in parts if _has_words(part.value)]


def _has_words(value: str) -> bool:
    return bool(re.sub(r"--[^\n]*|/\*.*?\*/|\s", "", value, flags=re.DOTALL))


class ConstraintBinder:
    """Binds the expressions inside definitions: checks, defaults, predicates of indexes."""

    def __init__(self, raw: SchemaReader, report: Report) -> None:
        self._raw = raw
        self._report = report

    def condition(self, bare: Table, reader: Reader, node: exp.Expr) -> Expr | None:
        """A CHECK or an index's WHERE over one table; None when it is wrong."""
        return self._bind(reader, node, lambda binder: binder.boolean(node, self._scope(bare)))

    def default(self, bare: Table, column: Column, reader: Reader, node: exp.Expr) -> Expr | None:
        """A column's DEFAULT: a constant of its domain, or now()."""

        def bind(binder: StatementBinder) -> Expr:
            value = binder.expression(node, Scope(clause="DEFAULT"))
            if not isinstance(value, (Constant, Clock)):
                binder.reader.refuse("Q335", node, "a default is a constant, or now()")
            return binder.fit(value, column, bare, node)

        return self._bind(reader, node, bind, server_clock=True)

    def _scope(self, bare: Table) -> Scope:
        return Scope([item_of(bare, bare.name)], clause="a constraint")

    def _bind(
        self, reader: Reader, node: exp.Expr, bind: Callable[[StatementBinder], Expr], server_clock: bool = False
    ) -> Expr | None:
        environment = Environment(
            {},
            enums=self._raw.enums,
            subject="a constraint",
            queries=False,
            server_clock=server_clock,
            strict_values=False,
        )
        inner = Reader(reader.text, reader.tokens, node, self._report)
        before = len(self._report.diagnostics)
        try:
            bound = bind(StatementBinder(inner, environment))
        except Refused:
            return None
        if not any(d.severity == "error" for d in self._report.diagnostics[before:]):
            inner.unread()
        return bound


def finish_tables(raw: SchemaReader, report: Report) -> dict[str, Table]:
    """Bind checks, predicates and defaults once types and domains are known; the finished tables."""
    binder = ConstraintBinder(raw, report)
    finished: dict[str, Table] = {}
    for table in raw.tables.values():
        bare = table.table()
        columns: list[Column] = []
        for column in bare.columns:
            default = table.columns[column.name].default
            bound = None if default is None else binder.default(bare, column, *default)
            columns.append(replace(column, default=bound))
        checks = [
            Check(name, condition, reader.place(node))
            for name, reader, node in table.checks
            if (condition := binder.condition(bare, reader, node)) is not None
        ]
        uniques = [
            replace(unique, where=binder.condition(bare, *table.predicates[unique.name]))
            if unique.name in table.predicates
            else unique
            for unique in table.uniques
        ]
        keys = tuple(
            ForeignKey(k.name, k.columns, k.parent, k.parent_columns, k.on_delete, k.on_update, k.span) for k in table.keys
        )
        finished[table.name] = Table(table.name, tuple(columns), tuple(uniques), keys, tuple(checks), table.ghost, table.span)
    return finished
