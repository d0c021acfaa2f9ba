"""INSERT, UPDATE and DELETE, and the ways into this package for one text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sqlglot import exp

from txweave.spec.diagnostics import Report, did_you_mean
from txweave.spec.syntax import Condition, Scalar
from txweave.spec.text import Text
from txweave.sql.expressions import map_columns
from txweave.sql.parse import Reader, Refused, parse_expression, parse_statement
from txweave.sql.queries import QueryBinder, item_of
from txweave.sql.scope import Environment, Item, Scope
from txweave.sql.tree import (
    BOOLEAN,
    NULL,
    And,
    Column,
    Constant,
    Delete,
    Expr,
    From,
    Insert,
    OnConflict,
    Or,
    Output,
    Query,
    Select,
    Statement,
    Table,
    Type,
    Update,
)

_DEFAULT = object()


@dataclass(frozen=True)
class Bound:
    """A bound statement and its result columns (of SELECT or RETURNING; None when it has no rows)."""

    statement: Statement
    columns: tuple[Column, ...] | None


class StatementBinder(QueryBinder):
    """Binds one statement.

    ``conditions`` are the named conditions that fixes add to its WHERE; ``ghost`` says that the statement itself is a
    ghost's: it writes ghosts only.
    """

    def __init__(
        self,
        reader: Reader,
        environment: Environment,
        conditions: Sequence[Condition] = (),
        ghost: bool = False,
        data: bool = False,
    ) -> None:
        super().__init__(reader, environment)
        self._conditions = conditions
        self._ghost = ghost
        self._data = data
        self._fixable = False
        self._depth = 0

    def statement(self) -> Bound:
        """Bind the whole text.

        Raises:
            Refused: it is wrong; the report says what.
        """
        before = len(self.reader.report.diagnostics)
        root = self.reader.root
        self.with_queries(root)
        if isinstance(root, exp.Insert):
            bound = self._insert(root)
        elif isinstance(root, exp.Update):
            bound = self._update(root)
        elif isinstance(root, exp.Delete):
            bound = self._delete(root)
        elif isinstance(root, (exp.Select, exp.Subquery)):
            if self._ghost:
                message = "a ghost statement writes: it is an INSERT, UPDATE or DELETE"
                self.reader.refuse("Q328", self.reader.word("SELECT"), message)
            query, columns = self._own_select(root)
            bound = Bound(Select(query), tuple(columns))
        else:
            self.reader.unsupported(root)
        self.check_with()
        if not any(d.severity == "error" for d in self.reader.report.diagnostics[before:]):
            self.reader.unread()
        if any(d.severity == "error" for d in self.reader.report.diagnostics[before:]):
            raise Refused
        return bound

    def _own_select(self, root: exp.Expr) -> tuple[Query, list[Column]]:
        """The statement's own SELECT, whose WHERE takes the conditions that fixes add."""
        self._fixable = True
        return self.select(root, None)

    def _condition(self, node: exp.Expr | None, scope: Scope) -> Expr | None:
        # FROM is read before WHERE: at depth 0 with no enclosing scope this is the statement's own, and no derived table's
        own = self._fixable and scope.clause == "WHERE" and scope.parent is None and self._depth == 0
        where = super()._condition(node, scope)
        if not own:
            return where
        self._fixable = False
        return self.combine(where, scope)

    def from_clause(self, first: exp.Expr, joins: list[exp.Expr], scope: Scope) -> From:
        """FROM (see :class:`QueryBinder`), counted, so that the statement's own WHERE is known from a derived table's."""
        self._depth += 1
        try:
            return super().from_clause(first, joins, scope)
        finally:
            self._depth -= 1

    # --------------------------------------------------------------------------------------------- added conditions

    def combine(self, where: Expr | None, scope: Scope) -> Expr | None:
        """The WHERE with the conditions that fixes added: all ``and`` first, or all ``or``; the two cannot meet."""
        return combine(where, self._conditions, self, scope)

    # ------------------------------------------------------------------------------------------------------ targets

    def _target(self, node: object) -> tuple[Table, Item]:  # noqa: RET503
        if not isinstance(node, exp.Table):
            if isinstance(node, exp.Expr):
                self.reader.unsupported(node)
            self.reader.refuse("Q300", self.reader.text.span(), "a table name is missing")
        item = self.table_item(node)
        assert item.table is not None
        if item.role:
            self.reader.refuse("Q310", node, f"{item.table.name!r} is a role and cannot be written")
        if self._ghost or self._data or not item.table.ghost:
            return item.table, item
        message = f"{item.table.name} is a ghost table: a statement of its own would be a step that the program does not have"
        self.reader.refuse("Q328", node, message, "write it as `ghost:` beside the `sql:` that it records")

    def _written(self, table: Table, columns: list[Column], node: exp.Expr, whole_row: bool) -> None:
        """Ghosts are written only by ghost statements, or with the program's own columns in one statement."""
        if self._data:
            return
        ghosts = [c for c in columns if c.ghost or table.ghost]
        if self._ghost and (len(ghosts) < len(columns) or (whole_row and not table.ghost)):
            wrong = next((c.name for c in columns if not c.ghost and not table.ghost), table.name)
            message = f"a ghost statement writes ghosts only, and {wrong!r} belongs to the program"
            self.reader.refuse("Q328", node, message, "move the write to the step's `sql:`")
        if not self._ghost and ghosts and len(ghosts) == len(columns) and not whole_row:
            message = f"the statement writes ghosts only ({', '.join(c.name for c in ghosts)}): the program does not have it"
            self.reader.refuse("Q328", node, message, "write it as `ghost:` beside the `sql:` that it records")

    def _column(self, node: object, table: Table) -> Column:  # type: ignore[override]
        if isinstance(node, exp.Column):
            if node.args.get("table") is not None:
                self.reader.refuse("Q302", node, "a written column has no table before it", "write the column's name alone")
            node = self.reader.get(node, "this")
        name = self.name(node, "a column")
        found = next((c for c in table.columns if c.name == name), None)
        if found is None:
            hint = did_you_mean(name, [c.name for c in table.columns])
            self.reader.refuse("Q311", node, f"{table.name} has no column {name!r}", hint)
        return found

    # ------------------------------------------------------------------------------------------------- written values

    def _value(self, node: exp.Expr, column: Column, table: Table, scope: Scope) -> Expr | None:
        """A value to be written to a column; None is DEFAULT."""
        if _is_default(node):
            self._read_default(node)
            if not column.serial and column.default is None and not column.nullable:
                message = f"{table.name}.{column.name} has no default and cannot be NULL"
                self.reader.refuse("Q323", self.reader.word("DEFAULT"), message)
            return None
        if column.serial and not self._data:
            remedy = "leave it out, or write DEFAULT; the id is had with RETURNING"
            self.reader.refuse("Q334", node, f"{table.name}.{column.name} is generated and cannot be written", remedy)
        value = self.expression(node, scope)
        if column.type.kind == "integer":
            value = self.as_meant(value, node, column.type)
        return self.fit(value, column, table, node)

    def fit(self, value: Expr, column: Column, table: Table, node: object) -> Expr:
        """Check that a value may be written to a column.

        Raises:
            Refused: type, domain or NOT NULL forbid it.
        """
        target = f"{table.name}.{column.name}"
        if isinstance(value, Constant) and value.value is None:
            if not column.nullable:
                self.reader.refuse("Q323", node, f"{target} cannot be NULL")
            return value if value.type in (NULL, column.type) else self._wrong_type(target, column.type, value.type, node)
        rows = self.environment.row_numbers
        if rows is not None and column.type.kind == "reference" and isinstance(value, Constant) and value.type.kind == "integer":
            parent = str(column.type.table)
            count = rows.get(parent, 0)
            if not isinstance(value.value, int) or not 1 <= value.value <= count:
                message = f"{target} = {value.value}: `data:` has {count} row{'' if count == 1 else 's'} of {parent}"
                self.reader.refuse("Q322", node, message, "in `data:` an id is the number of the row, from 1, in the order written")
            return Constant(value.value, column.type, value.span)
        if value.type not in (NULL, column.type):
            self._wrong_type(target, column.type, value.type, node)
        if isinstance(value, Constant) and column.domain is not None and value.value not in column.domain:
            hint = did_you_mean(str(value.value), [str(v) for v in column.domain])
            self.reader.error(
                "Q321", value.span or node if value.span else node, f"{value.value!r} is outside the domain of {target}", hint
            )
            raise Refused
        return value

    def _wrong_type(self, target: str, wanted: Type, given: Type, node: object) -> Expr:
        code = "Q322" if "reference" in {wanted.kind, given.kind} else "Q320"
        remedy = "nothing is converted on its own"
        if wanted.kind == "reference":
            remedy = f"only an id of {wanted.table} fits: keep it in a variable with RETURNING … into"
        elif given.kind == "reference":
            remedy = f"declare what the column holds: `domains: {{{target}: {{like: {given.table}.id}}}}`, or a foreign key"
        elif {wanted.kind, given.kind} == {"text", "boolean"}:
            remedy = "write TRUE or FALSE without quotes"
        self.reader.refuse(code, node, f"{target} is {wanted}, and the value is {given}", remedy)

    def _read_default(self, node: exp.Expr) -> None:
        for inner in node.walk():
            self.reader.skip(inner, "this", "quoted")

    # ------------------------------------------------------------------------------------------------------- INSERT

    def _insert(self, root: exp.Insert) -> Bound:
        self.reader.skip(root, "is_function")
        into = self.reader.get(root, "this")
        listed: list[exp.Expr] | None = None
        if isinstance(into, exp.Schema):
            listed = self.reader.many(into, "expressions")
            into = self.reader.get(into, "this")
        if isinstance(into, exp.Table) and into.args.get("alias") is not None:
            message = "a name for the table of an INSERT is not in the SQL subset"
            self.reader.refuse("Q302", into, message, "write the table's own name")
        table, item = self._target(into)
        columns = [c for c in table.columns if table.ghost or not c.ghost]
        if listed is not None:
            columns = [self._column(n, table) for n in listed]
            for index, column in enumerate(columns):
                if column in columns[:index]:
                    self.reader.refuse("Q313", listed[index], f"the column {column.name!r} stands twice")
        self._written(table, columns, root, whole_row=True)
        source = self.reader.get(root, "expression")
        default = bool(self.reader.get(root, "default"))
        rows: tuple[tuple[Expr | None, ...], ...] = ()
        query: Query | None = None
        if default:
            if listed is not None or source is not None:
                self.reader.refuse("Q302", self.reader.word("DEFAULT"), "DEFAULT VALUES takes no columns")
            columns, rows = [], ((),)
        elif isinstance(source, exp.Values):
            columns, rows = self._rows(source, columns, listed is not None, table)
        elif isinstance(source, (exp.Select, exp.Subquery)):
            if self._data:
                self.reader.refuse("Q302", source, "`data:` holds INSERT … VALUES with constants")
            query, columns = self._insert_query(source, columns, listed is not None, table)
        elif isinstance(source, exp.Expr):
            self.reader.unsupported(source)
        else:
            self.reader.refuse("Q300", self.reader.word("INSERT"), "INSERT needs VALUES, SELECT or DEFAULT VALUES")
        if self._conditions and query is None:
            condition = self._conditions[0]
            message = f"`{condition.operator}: {condition.name}` has no WHERE to change: the statement inserts given rows"
            self.reader.report.error("Q345", condition.name.span(), message, "use `replace`, or INSERT … SELECT … WHERE")
        names = {c.name for c in columns}
        for column in table.columns:
            if not (column.name in names or column.serial or column.nullable or column.default is not None):
                message = f"{table.name}.{column.name} is not written, has no default and cannot be NULL"
                self.reader.error("Q323", into, message)
        conflict_node = self.reader.get(root, "conflict")
        conflict = None if conflict_node is None else self._on_conflict(conflict_node, table, item)
        returning, result = self._returning(root, Scope([item_of(table, item.source)], clause="RETURNING"))
        if self._data and (conflict is not None or returning):
            self.reader.refuse("Q302", root, "`data:` holds plain INSERT … VALUES")
        bound = Insert(table.name, tuple(c.name for c in columns), rows, query, conflict, returning, self.reader.place(root))
        return Bound(bound, result)

    def _rows(
        self, source: exp.Values, columns: list[Column], listed: bool, table: Table
    ) -> tuple[list[Column], tuple[tuple[Expr | None, ...], ...]]:
        nodes = self.reader.many(source, "expressions")
        widths = set()
        cells: list[list[exp.Expr]] = []
        for node in nodes:
            row = self.reader.many(node, "expressions") if isinstance(node, exp.Tuple) else [self._single(node)]
            cells.append(row)
            widths.add(len(row))
        if len(widths) != 1:
            self.reader.refuse("Q324", nodes[-1], "the rows of VALUES have different lengths")
        width = widths.pop()
        if width > len(columns) or (listed and width != len(columns)):
            message = f"{width} value{'' if width == 1 else 's'} for {len(columns)} column{'' if len(columns) == 1 else 's'}"
            self.reader.refuse("Q324", nodes[0], message, "columns: " + ", ".join(c.name for c in columns))
        columns = columns[:width]
        rows: list[tuple[Expr | None, ...]] = []
        failed = False
        for row in cells:
            values: list[Expr | None] = []
            for node, column in zip(row, columns, strict=True):
                try:
                    values.append(self._value(node, column, table, Scope(clause="VALUES")))
                except Refused:
                    failed = True
            rows.append(tuple(values))
        if failed:
            raise Refused
        return columns, tuple(rows)

    def _single(self, node: exp.Expr) -> exp.Expr:  # noqa: RET503
        if isinstance(node, exp.Paren):
            inner = self.reader.get(node, "this")
            if isinstance(inner, exp.Expr):
                return inner
        self.reader.unsupported(node)

    def _insert_query(self, source: exp.Expr, columns: list[Column], listed: bool, table: Table) -> tuple[Query, list[Column]]:
        query, outputs = self._own_select(source)
        if len(outputs) > len(columns) or (listed and len(outputs) != len(columns)):
            message = f"{len(outputs)} selected for {len(columns)} columns"
            self.reader.refuse("Q324", source, message, "columns: " + ", ".join(c.name for c in columns))
        columns = columns[: len(outputs)]
        for output, column in zip(query.outputs, columns, strict=True):
            where = output.expression.span or self.reader.place(source)
            if column.serial:
                self.reader.refuse("Q334", where, f"{table.name}.{column.name} is generated and cannot be written", "leave it out")
            self.fit(output.expression, column, table, where)
        return query, columns

    def _on_conflict(self, node: exp.Expr, table: Table, item: Item) -> OnConflict:
        action = self.reader.get(node, "action")
        text = str(self.reader.get(action, "this")) if isinstance(action, exp.Var) else ""
        span = self.reader.word("CONFLICT")
        keys = self.reader.many(node, "conflict_keys")
        constraint = self.reader.get(node, "constraint")
        predicate_node = self.reader.get(node, "index_predicate")
        own = Scope([item_of(table, item.source)], clause="ON CONFLICT")
        unique: str | None = None
        names: tuple[str, ...] = ()
        predicate: Expr | None = None
        if constraint is not None:
            unique = self.name(constraint, "a constraint")
            constraints = [u.name for u in table.uniques if not u.index]
            if unique not in constraints:
                hint = did_you_mean(unique, constraints)
                if any(u.name == unique for u in table.uniques):
                    hint = "it is an index: name its columns instead"
                self.reader.refuse("Q332", constraint, f"{table.name} has no unique constraint {unique!r}", hint)
        elif keys:
            unique, names, predicate = self._arbiter(keys, predicate_node, table, own)
        elif predicate_node is not None:
            self.reader.refuse("Q302", span, "ON CONFLICT … WHERE needs columns")
        if text == "DO NOTHING":
            return OnConflict(unique, columns=names, predicate=predicate, span=span)
        if text != "DO UPDATE":
            self.reader.refuse("Q302", span, "ON CONFLICT is followed by DO NOTHING or DO UPDATE SET")
        if unique is None:
            message = "ON CONFLICT DO UPDATE needs to say which unique constraint"
            self.reader.refuse("Q302", span, message, "write ON CONFLICT (column, …) DO UPDATE SET …")
        scope = Scope([*own.items, Item("excluded", "excluded", dict(own.items[0].columns), table)], clause="ON CONFLICT")
        sets = self._sets(self.reader.many(node, "expressions"), table, scope)
        where = super()._condition(self.reader.get(node, "where"), scope)
        return OnConflict(unique, sets, where, names, predicate, span)

    def _arbiter(  # noqa: RET503
        self, keys: list[exp.Expr], predicate_node: exp.Expr | None, table: Table, scope: Scope
    ) -> tuple[str, tuple[str, ...], Expr | None]:
        names: list[str] = []
        for key in keys:
            inner = key
            if isinstance(key, exp.Ordered):
                inner = self.reader.get(key, "this")
                self.reader.skip(key, "nulls_first")
            names.append(self._column(inner, table).name)
        predicate = super()._condition(predicate_node, scope)
        fitting = [
            unique
            for unique in table.uniques
            if set(unique.columns) == set(names) and (unique.where is None or _same_predicate(unique.where, predicate, scope))
        ]
        if len(fitting) > 1:
            shown = ", ".join(unique.name for unique in fitting)
            message = f"several unique indexes of {table.name} fit here: {shown}"
            self.reader.refuse("Q332", keys[0], message, "name one: ON CONFLICT ON CONSTRAINT …")
        if fitting:
            return fitting[0].name, tuple(names), predicate
        message = f"{table.name} has no unique constraint on ({', '.join(names)})" + (" with that WHERE" if predicate else "")
        known = ["(" + ", ".join(u.columns) + ")" + (" WHERE …" if u.where else "") for u in table.uniques]
        self.reader.refuse("Q332", keys[0], message, "it has: " + ", ".join(known) if known else "it has none")

    # ----------------------------------------------------------------------------------------------- UPDATE, DELETE

    def _sets(self, nodes: list[exp.Expr], table: Table, scope: Scope) -> tuple[tuple[str, Expr], ...]:
        if not nodes:
            self.reader.refuse("Q300", self.reader.word("SET"), "SET is empty", "write SET column = value")
        sets: list[tuple[str, Expr]] = []
        columns: list[Column] = []
        failed = False
        scope.clause = "SET"
        for node in nodes:
            try:
                if not isinstance(node, exp.EQ):
                    self.reader.refuse("Q302", node, "an assignment, column = value, is expected after SET")
                left, right = self.reader.get(node, "this"), self.reader.get(node, "expression")
                if isinstance(left, exp.Tuple):
                    self.reader.refuse("Q302", left, "a row of columns in SET is not in the SQL subset", "write a = 1, b = 2")
                column = self._column(left, table)
                if column in columns:
                    self.reader.refuse("Q313", left, f"the column {column.name!r} is set twice")
                columns.append(column)
                if column.serial:
                    self.reader.refuse("Q334", left, f"{table.name}.{column.name} is generated and cannot be written")
                value = self._value(right, column, table, scope)
                if value is None:
                    value = column.default if column.default is not None else Constant(None, NULL)
                sets.append((column.name, value))
            except Refused:
                failed = True
        if failed:
            raise Refused
        self._written(table, columns, nodes[0], whole_row=False)
        return tuple(sets)

    def _update(self, root: exp.Update) -> Bound:
        table, item = self._target(self.reader.get(root, "this"))
        scope = Scope([item])
        origin = self.reader.get(root, "from_")
        using: From | None = None
        if origin is not None:
            using = self._using([self.reader.get(origin, "this")], item, scope)
        try:
            sets = self._sets(self.reader.many(root, "expressions"), table, scope)
        except Refused:
            sets = ()
        scope.clause = "WHERE"
        where = self.combine(super()._condition(self.reader.get(root, "where"), scope), scope)
        scope.clause = "RETURNING"
        returning, result = self._returning(root, scope)
        return Bound(Update(item.source, table.name, sets, using, where, returning, self.reader.place(root)), result)

    def _delete(self, root: exp.Delete) -> Bound:
        target = self.reader.get(root, "this")
        if self.reader.many(root, "tables"):
            self.reader.refuse("Q302", root, "DELETE names one table: DELETE FROM table")
        table, item = self._target(target)
        if self._ghost and not table.ghost:
            self.reader.refuse("Q328", target, f"a ghost statement writes ghosts only, and {table.name!r} belongs to the program")
        scope = Scope([item])
        sources = self.reader.many(root, "using")
        using = self._using(sources, item, scope) if sources else None
        scope.clause = "WHERE"
        where = self.combine(super()._condition(self.reader.get(root, "where"), scope), scope)
        scope.clause = "RETURNING"
        returning, result = self._returning(root, scope)
        return Bound(Delete(item.source, table.name, using, where, returning, self.reader.place(root)), result)

    def _using(self, sources: list[exp.Expr], target: Item, scope: Scope) -> From:
        """UPDATE … FROM and DELETE … USING: the first item carries its joins (and what follows a comma)."""
        inner = Scope()
        if len(sources) != 1:
            self.reader.refuse("Q302", sources[1], "this list of tables is not in the SQL subset", "write CROSS JOIN")
        joins = self.reader.many(sources[0], "joins")
        tree = self.from_clause(sources[0], joins, inner)
        for item in inner.items:
            if item.name == target.name:
                message = f"the table name {item.name!r} stands twice in the statement"
                self.reader.refuse("Q313", sources[0], message, f"give one an alias: {item.name} AS other")
        scope.items += inner.items
        return tree

    def _returning(self, root: exp.Expr, scope: Scope) -> tuple[tuple[Output, ...], tuple[Column, ...] | None]:
        node = self.reader.get(root, "returning")
        if node is None:
            return (), None
        if self._ghost:
            self.reader.refuse("Q328", self.reader.word("RETURNING"), "a ghost statement returns nothing")
        outputs, _ = self.outputs(self.reader.many(node, "expressions"), scope)
        columns = tuple(Column(o.name, o.expression.type, True, self.values(o.expression)) for o in outputs)
        return tuple(outputs), columns


def _is_default(node: exp.Expr) -> bool:
    if isinstance(node, exp.Var):
        return str(node.this).upper() == "DEFAULT"
    if isinstance(node, exp.Column) and node.args.get("table") is None:
        identifier = node.args.get("this")
        return (
            isinstance(identifier, exp.Identifier)
            and not identifier.args.get("quoted")
            and str(identifier.this).upper() == "DEFAULT"
        )
    return False


def _same_predicate(where: Expr, predicate: Expr | None, scope: Scope) -> bool:
    """Whether the index's predicate is the one written: equal up to the name under which the table is known."""
    return predicate is not None and _rename(where, scope.items[0].source) == predicate


def _rename(expression: Expr, source: str) -> Expr:
    return map_columns(expression, lambda ref: replace(ref, source=source))


def combine(where: Expr | None, conditions: Sequence[Condition], binder: StatementBinder, scope: Scope) -> Expr | None:
    """Add the conditions of fixes to a WHERE: ``((where) AND (c1)) AND (c2)``; each may carry conditions of its own."""
    for condition in conditions:
        added = _bind_condition(condition, binder, scope)
        if where is None:
            if condition.operator == "or":
                message = f"`or: {condition.name}` has nothing to widen: the statement has no WHERE and takes every row already"
                binder.reader.report.error("Q345", condition.name.span(), message, "use `and`, or `replace` the statement")
                continue
            where = added
        elif condition.operator == "and":
            where = And((where, added))
        else:
            where = Or((where, added))
    return where


def _bind_condition(condition: Condition, binder: StatementBinder, scope: Scope) -> Expr:
    try:
        reader, node = parse_expression(condition.text, binder.reader.report)
    except Refused:
        return Constant(None, BOOLEAN)
    outer, binder.reader = binder.reader, reader
    before = len(reader.report.diagnostics)
    try:
        bound = binder.boolean(node, scope)
        if not any(d.severity == "error" for d in reader.report.diagnostics[before:]):
            reader.unread()
    except Refused:
        bound = Constant(None, BOOLEAN)
    finally:
        binder.reader = outer
    inner = combine(bound, condition.conditions, binder, scope)
    return bound if inner is None else inner


# ---------------------------------------------------------------------------------------------------------- the ways in


def bind_statement(
    text: Text,
    environment: Environment,
    report: Report,
    conditions: Sequence[Condition] = (),
    *,
    ghost: bool = False,
    data: bool = False,
    kinds: tuple[str, ...] = ("SELECT", "INSERT", "UPDATE", "DELETE"),
) -> Bound | None:
    """Bind one statement; None when it is wrong (the report says what)."""
    try:
        reader = parse_statement(text, report, kinds)
        return StatementBinder(reader, environment, conditions, ghost, data).statement()
    except Refused:
        return None


def bind_query(text: Text, environment: Environment, report: Report) -> tuple[Query, tuple[Column, ...]] | None:
    """Bind one SELECT; None when it is wrong."""
    bound = bind_statement(text, environment, report, kinds=("SELECT",))
    if bound is None or not isinstance(bound.statement, Select):
        return None
    return bound.statement.query, bound.columns or ()


def bind_expression(
    text: Text, environment: Environment, report: Report, *, condition: bool = False
) -> tuple[Expr, tuple[Scalar, ...] | None] | None:
    """Bind one expression over variables, and the values it can have where they are known; None when it is wrong."""
    try:
        reader, node = parse_expression(text, report)
        binder = StatementBinder(reader, environment)
        scope = Scope(clause=environment.subject)
        before = len(report.diagnostics)
        bound = binder.boolean(node, scope) if condition else binder.expression(node, scope)
    except Refused:
        return None
    if not any(d.severity == "error" for d in report.diagnostics[before:]):
        reader.unread()
    if any(d.severity == "error" for d in report.diagnostics[before:]):
        return None
    return bound, binder.values(bound)
