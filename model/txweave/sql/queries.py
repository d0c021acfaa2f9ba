"""SELECT: FROM, grouping, ordering and locking clauses."""

from __future__ import annotations

from sqlglot import exp

from txweave.spec.diagnostics import did_you_mean
from txweave.sql.expressions import ExpressionBinder, children, column_refs, query_parts
from txweave.sql.parse import Reader, Refused
from txweave.sql.scope import Environment, Item, Scope
from txweave.sql.tree import (
    INTEGER,
    Aggregate,
    Column,
    ColumnRef,
    Constant,
    DerivedSource,
    Exists,
    Expr,
    From,
    InQuery,
    Join,
    OrderKey,
    Output,
    Query,
    RowLock,
    ScalarQuery,
    Table,
    TableSource,
    Variable,
)

_DEFAULT_NAMES: dict[type[exp.Expr], str] = {
    exp.Count: "count",
    exp.Min: "min",
    exp.Max: "max",
    exp.Sum: "sum",
    exp.Coalesce: "coalesce",
    exp.Case: "case",
    exp.Nullif: "nullif",
    exp.Greatest: "greatest",
    exp.Least: "least",
    exp.Exists: "exists",
    exp.CurrentTimestamp: "now",
    exp.Boolean: "bool",
}


class QueryBinder(ExpressionBinder):
    """Binds queries."""

    def __init__(self, reader: Reader, environment: Environment) -> None:
        super().__init__(reader, environment)
        self._used: dict[str, int] = {}
        self._with: dict[str, exp.Expr] = {}
        self._with_read: set[str] = set()

    def source_id(self, name: str) -> str:
        """An id for a FROM item, unique in the statement: its name, or ``name#2`` when that is taken."""
        self._used[name] = self._used.get(name, 0) + 1
        return name if self._used[name] == 1 else f"{name}#{self._used[name]}"

    def subquery(self, node: exp.Expr, scope: Scope) -> tuple[Query, list[Column]]:
        """Bind a query in parentheses, or the body of EXISTS.

        Raises:
            Refused: it is wrong.
        """
        return self.select(node, scope)

    # --------------------------------------------------------------------------------------------------------- WITH

    def with_queries(self, root: exp.Expr) -> None:
        """Note the WITH queries of the statement: each is a name for a subquery that stands once in its FROM.

        Raises:
            Refused: one is more than that.
        """
        clause = self.reader.get(root, "with_")
        if clause is None:
            return
        if self.reader.get(clause, "recursive"):
            self.reader.refuse("Q302", self.reader.word("RECURSIVE"), "WITH RECURSIVE is not in the SQL subset")
        for part in self.reader.many(clause, "expressions"):
            alias = self.reader.get(part, "alias")
            name = self.name(self.reader.get(alias, "this"), "a WITH query's name")
            self.reader.skip(part, "materialized")  # it has no meaning where the query is read once and writes nothing
            if self.reader.many(alias, "columns"):
                message = f"a list of columns after {name!r} is not in the SQL subset"
                self.reader.refuse("Q302", alias, message, "name the columns in the SELECT")
            body = self.reader.get(part, "this")
            if not isinstance(body, exp.Select):
                message = f"the WITH query {name!r} is no SELECT: a statement that writes in WITH is not in the SQL subset"
                self.reader.refuse("Q302", self.reader.word("WITH"), message, "write it as a step of its own")
            if name in self._with:
                self.reader.refuse("Q313", alias, f"the WITH query {name!r} stands twice")
            self._with[name] = body

    def check_with(self) -> None:
        """Every WITH query is read."""
        for name in self._with:
            if name not in self._with_read:
                message = f"the WITH query {name!r} is never read, and PostgreSQL never runs it"
                self.reader.error("Q302", self.reader.word("WITH"), message, "leave it out")

    def _with_item(self, name: str, node: exp.Table) -> tuple[From, Item]:
        if name in self._with_read:
            message = f"the WITH query {name!r} is read twice"
            self.reader.refuse("Q302", node, message, "write it as a derived table, FROM (SELECT …) AS name, wherever it is read")
        self._with_read.add(name)
        self.reader.get(node, "this")
        alias = self._alias(node) or name
        body, visible = self._with[name], self._with
        names = list(visible)
        self._with = {earlier: visible[earlier] for earlier in names[: names.index(name)]}
        try:
            query, columns = self.select(body, None)
        finally:
            self._with = visible
        return self._derived(query, columns, alias, name)

    def _derived(self, query: Query, columns: list[Column], alias: str, named: str | None) -> tuple[From, Item]:
        names = [column.name for column in columns]
        ambiguous = frozenset(name for name in names if names.count(name) > 1)
        source = self.source_id(alias)
        found = {column.name: column for column in columns if column.name not in ambiguous}
        return DerivedSource(source, query, named), Item(source, alias, found, None, False, ambiguous)

    # --------------------------------------------------------------------------------------------------------- FROM

    def table_item(self, node: exp.Table, source: str | None = None) -> Item:
        """A table, or in a property a role, named in FROM or as a target.

        Raises:
            Refused: there is none, or it is a ghost that may not be read.
        """
        identifier = self.reader.get(node, "this")
        if not isinstance(identifier, exp.Identifier):
            if isinstance(identifier, exp.Expr):
                self.reader.unsupported(identifier, "only tables and derived tables stand in FROM")
            self.reader.refuse("Q300", self.reader.text.span(), "a table name is missing")
        name = self.name(identifier, "a table")
        alias = self._alias(node) or name
        table = self.environment.tables.get(name)
        role = table is None and name in self.environment.roles
        if role:
            table = self.environment.roles[name]
        if table is None:
            hint = did_you_mean(name, [*self.environment.tables, *self.environment.roles])
            self.reader.refuse("Q310", identifier, f"there is no table {name!r}", hint)
        columns = {column.name: column for column in table.columns}
        ambiguous = self.environment.ambiguous.get(name, frozenset()) if role else frozenset()
        return Item(source or self.source_id(alias), alias, columns, table, role, ambiguous)

    def _alias(self, node: exp.Expr) -> str | None:
        alias = self.reader.get(node, "alias")
        if alias is None:
            return None
        if not isinstance(alias, exp.TableAlias):
            self.reader.refuse("Q302", node, "this alias is not in the SQL subset")
        return self.name(self.reader.get(alias, "this"), "an alias")

    def _from_item(self, node: object, scope: Scope) -> tuple[From, Item]:  # noqa: RET503
        if isinstance(node, exp.Table):
            identifier = node.args.get("this")
            if self._with and isinstance(identifier, exp.Identifier) and node.args.get("db") is None:
                name = self.name(identifier, "a table")
                if name in self._with:
                    return self._with_item(name, node)
            item = self.table_item(node)
            assert item.table is not None
            if item.table.ghost and not self.environment.ghost_reads:
                message = f"{item.table.name} is a ghost table: the program never reads it"
                self.reader.refuse("Q328", node, message, "ghosts are read by properties, and in `ghost:` statements")
            return TableSource(item.source, item.table.name, item.role), item
        if isinstance(node, exp.Subquery):
            if not isinstance(node.args.get("this"), (exp.Select, exp.Subquery)):
                inner = node.args.get("this")
                if isinstance(inner, exp.Table):
                    remedy = "write the joins one after the other, each with its ON"
                    self.reader.refuse("Q302", node, "a join in parentheses is not in the SQL subset", remedy)
                self.reader.unsupported(inner if isinstance(inner, exp.Expr) else node)
            alias = self._alias(node)
            if alias is None:
                self.reader.refuse("Q302", node, "a derived table needs a name", "write (SELECT …) AS name")
            inside = Scope(parent=scope.parent)
            query, columns = self.select(self.reader.get(node, "this"), inside.parent)
            return self._derived(query, columns, alias, None)
        if isinstance(node, exp.Expr):
            self.reader.unsupported(node, "only tables and derived tables stand in FROM")
        self.reader.refuse("Q300", self.reader.text.span(), "a table is missing in FROM")

    def from_clause(self, first: exp.Expr, joins: list[exp.Expr], scope: Scope) -> From:
        """FROM; its items are added to ``scope``.  A JOIN binds closer than a comma and sees its own side of it only.

        Raises:
            Refused: it is wrong.
        """
        tree, item = self._from_item(first, scope)
        group = Scope(parent=scope.parent, clause="ON")
        done: From | None = None
        self._enter(item, first, scope, group)
        for join in joins:
            side = str(self.reader.get(join, "side") or "")
            kind = str(self.reader.get(join, "kind") or "")
            on = self.reader.get(join, "on")
            inner = self.reader.get(join, "this")
            if self.reader.get(join, "method"):
                where = self.reader.word("NATURAL")
                self.reader.refuse("Q302", where, "NATURAL JOIN is not in the SQL subset", "write JOIN … ON")
            if side not in {"", "LEFT"} or kind not in {"", "INNER", "OUTER", "CROSS"}:
                word = " ".join(w for w in (side, kind) if w)
                remedy = "swap the tables and write LEFT JOIN" if side == "RIGHT" else ""
                self.reader.refuse("Q302", self.reader.word(side or kind), f"{word} JOIN is not in the SQL subset", remedy)
            if join.args.get("using"):
                where = self.reader.word("USING")
                self.reader.refuse("Q302", where, "USING is not in the SQL subset", "write ON a.x = b.x")
            comma = not side and not kind and on is None
            if comma:
                done = tree if done is None else Join("inner", done, tree, None)
                group = Scope(parent=scope.parent, clause="ON")
                tree, item = self._from_item(inner, scope)
                self._enter(item, inner, scope, group)
                continue
            if (on is None) != (kind == "CROSS"):
                message = "CROSS JOIN takes no ON" if kind == "CROSS" else "a JOIN needs ON"
                self.reader.refuse("Q302", inner, message)
            right, item = self._from_item(inner, scope)
            item.nullable = side == "LEFT"
            self._enter(item, inner, scope, group)
            condition = None if on is None else self.guarded(lambda on=on, group=group: self.boolean(on, group))  # type: ignore[misc]
            tree = Join("left" if side == "LEFT" else "inner", tree, right, condition)
        return tree if done is None else Join("inner", done, tree, None)

    def _enter(self, item: Item, node: exp.Expr, scope: Scope, group: Scope) -> None:
        if any(other.name == item.name for other in scope.items):
            message = f"the table name {item.name!r} stands twice in FROM"
            self.reader.refuse("Q313", node, message, f"give one an alias: {item.name} AS other")
        scope.items.append(item)
        group.items.append(item)

    # ------------------------------------------------------------------------------------------------------- SELECT

    def select(self, node: object, parent: Scope | None) -> tuple[Query, list[Column]]:
        """Bind a SELECT; also its result columns.

        Raises:
            Refused: it is wrong.
        """
        while isinstance(node, exp.Subquery):
            if node.args.get("alias") is not None and not isinstance(node.parent, (exp.From, exp.Join)):
                self.reader.refuse("Q302", node, "a name given here is not in the SQL subset")
            node = self.reader.get(node, "this")
        if not isinstance(node, exp.Select):
            if isinstance(node, exp.Expr):
                self.reader.unsupported(node)
            self.reader.refuse("Q300", self.reader.text.span(), "a SELECT is missing")
        if not self.environment.queries:
            remedy = "read the table in an sql step with `into:`" if self.environment.variables is not None else ""
            self.reader.refuse("Q343", node, f"{self.environment.subject} takes no subquery", remedy)
        scope = Scope(parent=parent)
        source: From | None = None
        origin, joins = self.reader.get(node, "from_"), self.reader.many(node, "joins")
        if origin is not None:
            source = self.from_clause(self.reader.get(origin, "this"), joins, scope)
        elif joins:
            self.reader.refuse("Q300", joins[0], "a join needs FROM")
        scope.clause = "WHERE"
        where = self._condition(self.reader.get(node, "where"), scope)
        scope.clause, scope.aggregates = "the SELECT list", True
        outputs, nodes = self.outputs(self.reader.many(node, "expressions"), scope)
        if not outputs:
            self.reader.refuse("Q302", node, "a SELECT without columns is not in the SQL subset", "select what identifies the row")
        group = self.reader.get(node, "group")
        keys: tuple[Expr, ...] = ()
        scope.aggregates, scope.clause = False, "GROUP BY"
        if group is not None:
            if self.reader.get(group, "all") is not None:  # False is GROUP BY DISTINCT
                self.reader.refuse("Q302", self.reader.word("GROUP"), "GROUP BY ALL or DISTINCT is not in the SQL subset")
            keys = tuple(self._group_key(n, outputs, scope) for n in self.reader.many(group, "expressions"))
            if not keys:
                self.reader.refuse("Q302", self.reader.word("GROUP"), "this GROUP BY is not in the SQL subset")
        scope.aggregates, scope.clause = True, "HAVING"
        having_node = self.reader.get(node, "having")
        having = self._condition(having_node, scope)
        scope.clause = "ORDER BY"
        order = self._order(self.reader.get(node, "order"), outputs, scope)
        scope.aggregates = False
        grouped = scope.grouped or bool(keys) or having_node is not None
        distinct_node = self.reader.get(node, "distinct")
        if distinct_node is not None and distinct_node.args.get("on") is not None:
            where_on = self.reader.word("DISTINCT")
            self.reader.refuse("Q302", where_on, "DISTINCT ON is not in the SQL subset", "write NOT EXISTS, or MIN in a subquery")
        if grouped:
            keys = self._check_grouping(outputs, nodes, having, having_node, order, keys, scope)
        if distinct_node is not None:
            for key in order:
                if all(key.expression != output.expression for output in outputs):
                    message = "with DISTINCT, ORDER BY may only use selected columns"
                    self.reader.refuse("Q325", self.reader.word("ORDER"), message)
        limit = self._limit(self.reader.get(node, "limit"), scope)
        locks = self._locks(self.reader.many(node, "locks"), scope, grouped, distinct_node is not None)
        query = Query(
            source,
            where,
            tuple(outputs),
            keys,
            having,
            grouped,
            distinct_node is not None,
            tuple(order),
            limit,
            locks,
            self.reader.place(node),
        )
        columns = [Column(o.name, o.expression.type, True, self.values(o.expression)) for o in outputs]
        return query, columns

    def _condition(self, node: exp.Expr | None, scope: Scope) -> Expr | None:
        if node is None:
            return None
        return self.guarded(lambda: self.boolean(self.reader.get(node, "this"), scope))

    def outputs(self, nodes: list[exp.Expr], scope: Scope) -> tuple[list[Output], list[exp.Expr]]:
        """A SELECT list or RETURNING: ``*`` is expanded; also the node that each output came from."""
        outputs: list[Output] = []
        places: list[exp.Expr] = []
        for node in nodes:
            if isinstance(node, exp.Star):
                if not scope.items:
                    self.reader.refuse("Q302", node, "SELECT * needs FROM")
                found = [output for item in scope.items for output in self._expand(item, node)]
            elif isinstance(node, exp.Column) and isinstance(node.args.get("this"), exp.Star):
                self.reader.get(node, "this")
                name = self.name(self.reader.get(node, "table"), "a table")
                item = next((i for i in scope.items if i.name == name), None)
                if item is None:
                    hint = did_you_mean(name, [i.name for i in scope.items])
                    self.reader.refuse("Q310", node, f"no table {name!r} can be seen here", hint)
                found = self._expand(item, node)
            elif isinstance(node, exp.Alias):
                inner = self.reader.get(node, "this")
                name = self.name(self.reader.get(node, "alias"), "a column's name")
                found = [Output(name, self.guarded(lambda inner=inner: self.expression(inner, scope)))]  # type: ignore[misc]
            else:
                bound = self.guarded(lambda node=node: self.expression(node, scope))  # type: ignore[misc]
                found = [Output(self._default_name(node, bound), bound)]
            outputs += found
            places += [node] * len(found)
        return outputs, places

    def _expand(self, item: Item, node: exp.Expr) -> list[Output]:
        for name in sorted(item.ambiguous):
            self.reference(item, name, node)
        names = [name for name, column in item.columns.items() if self.environment.ghost_reads or not column.ghost]
        return [Output(name, self.reference(item, name, None)) for name in names]

    def _default_name(self, node: exp.Expr, bound: Expr) -> str:
        """PostgreSQL's name of an unnamed result column."""
        if isinstance(node, exp.Paren):
            return self._default_name(node.args["this"], bound)
        if isinstance(node, exp.Cast) and isinstance(node.args.get("this"), exp.Column):
            return self._default_name(node.args["this"], bound)
        if isinstance(bound, ColumnRef) and isinstance(node, exp.Column):
            return bound.column
        if isinstance(bound, ScalarQuery):
            return bound.query.outputs[0].name
        if isinstance(node, exp.Anonymous):
            return str(node.args.get("this", "")).lower()
        return _DEFAULT_NAMES.get(type(node), "?column?")

    def _ordinal(self, node: exp.Expr, outputs: list[Output]) -> Expr | None:
        """The output that a bare number names."""
        if not (isinstance(node, exp.Literal) and not node.args.get("is_string")):
            return None
        text = str(self.reader.get(node, "this"))
        self.reader.skip(node, "is_string")
        if not text.isdigit() or not 1 <= int(text) <= len(outputs):
            self.reader.refuse("Q324", node, f"there is no column number {text} in the SELECT list of {len(outputs)}")
        return outputs[int(text) - 1].expression

    def _plain_name(self, node: exp.Expr) -> str | None:
        """The name when a node is a bare, unqualified column name."""
        if isinstance(node, exp.Column) and node.args.get("table") is None and isinstance(node.args.get("this"), exp.Identifier):
            identifier = node.args["this"]
            text = str(identifier.this)
            quoted = bool(identifier.args.get("quoted"))
            return None if quoted and text.startswith(":") else (text if quoted else text.lower())
        return None

    def _group_key(self, node: exp.Expr, outputs: list[Output], scope: Scope) -> Expr:
        chosen = self._ordinal(node, outputs)
        if chosen is None:
            name = self._plain_name(node)
            if name is not None and not any(name in item.columns for item in scope.items):
                named = [o.expression for o in outputs if o.name == name]
                if len(named) == 1:
                    self.reader.skip(node, "this")
                    self.name(node.args["this"])
                    chosen = named[0]
        if chosen is not None:
            if contains_aggregate(chosen):
                self.reader.refuse("Q325", node, "an aggregate cannot be a grouping key")
            return chosen
        return self.expression(node, scope)

    def _order(self, node: exp.Expr | None, outputs: list[Output], scope: Scope) -> list[OrderKey]:
        if node is None:
            return []
        keys: list[OrderKey] = []
        for ordered in self.reader.many(node, "expressions"):
            if not isinstance(ordered, exp.Ordered):
                self.reader.unsupported(ordered)
            inner = self.reader.get(ordered, "this")
            descending, nulls_first = bool(self.reader.get(ordered, "desc")), bool(self.reader.get(ordered, "nulls_first"))
            expression = self._ordinal(inner, outputs)
            name = self._plain_name(inner)
            if expression is None and name is not None:
                named: list[Expr] = []
                named += [o.expression for o in outputs if o.name == name and o.expression not in named]
                if len({repr(e) for e in named}) > 1:
                    self.reader.refuse("Q312", inner, f"ORDER BY {name} is ambiguous: several columns have that name")
                if named:
                    self.reader.skip(inner, "this")
                    self.name(inner.args["this"])
                    expression = named[0]
            if expression is None:
                expression = self.expression(inner, scope)
            if expression.type.kind != "boolean":
                self.ordered(expression.type, inner, "ORDER BY")
            keys.append(OrderKey(expression, descending, nulls_first))
        return keys

    def _limit(self, node: exp.Expr | None, scope: Scope) -> Expr | None:
        if node is None:
            return None
        if not isinstance(node, exp.Limit):
            self.reader.unsupported(node)
        inner = self.reader.get(node, "expression")
        limit = self.expression(inner, Scope(parent=None, clause="LIMIT"))
        plain = isinstance(limit, (Constant, Variable)) and limit.type == INTEGER
        negative = isinstance(limit, Constant) and isinstance(limit.value, int) and limit.value < 0
        if not plain or negative:
            self.reader.refuse("Q320", inner, "LIMIT takes a number or an integer variable", "leave LIMIT out for no limit")
        del scope
        return limit

    # ----------------------------------------------------------------------------------------------------- grouping

    def _check_grouping(
        self,
        outputs: list[Output],
        nodes: list[exp.Expr],
        having: Expr | None,
        having_node: exp.Expr | None,
        order: list[OrderKey],
        keys: tuple[Expr, ...],
        scope: Scope,
    ) -> tuple[Expr, ...]:
        """Every column is grouped or aggregated, or follows from a primary key that is grouped: then it becomes a key."""
        added: list[Expr] = []
        checked = [(output.expression, node) for output, node in zip(outputs, nodes, strict=True)]
        if having is not None and having_node is not None:
            checked.append((having, having_node))
        checked += [(key.expression, nodes[0]) for key in order]
        for expression, node in checked:
            for ref in _ungrouped(expression, keys, scope.sources()):
                item = next(i for i in scope.items if i.source == ref.source)
                if self._determined(item, keys):
                    if ref not in added:
                        added.append(ref)
                    continue
                message = f"the column {item.name}.{ref.column} must stand in GROUP BY or inside an aggregate"
                self.reader.error(
                    "Q325", ref.span or node, message, f"write GROUP BY {item.name}.{ref.column}, or min({ref.column})"
                )
                raise Refused
        return (*keys, *added)

    def _determined(self, item: Item, keys: tuple[Expr, ...]) -> bool:
        if item.table is None:
            return False
        grouped = {key.column for key in keys if isinstance(key, ColumnRef) and key.source == item.source}
        return any(unique.primary and set(unique.columns) <= grouped for unique in item.table.uniques)

    # -------------------------------------------------------------------------------------------------------- locks

    def _locks(self, nodes: list[exp.Expr], scope: Scope, grouped: bool, distinct: bool) -> tuple[RowLock, ...]:
        if not nodes:
            return ()
        if len(nodes) > 1:
            message = "several locking clauses on one query are not in the SQL subset"
            self.reader.refuse("Q302", self.reader.word("FOR"), message, "write one FOR …, with OF for the tables that it locks")
        node = nodes[0]
        update, key, wait = (self.reader.get(node, argument) for argument in ("update", "key", "wait"))
        mode = ("no key update" if key else "update") if update else ("key share" if key else "share")
        name = f"FOR {mode.upper()}"
        span = self.reader.word("FOR")
        if not self.environment.locks:
            remedy = "properties read and never lock" if self.environment.variables is None else "lock in an sql step"
            self.reader.refuse("Q326", span, f"{name} cannot stand in {self.environment.subject}", remedy)
        if grouped or distinct:
            what = "DISTINCT" if distinct else "GROUP BY, HAVING or aggregates"
            self.reader.refuse("Q326", span, f"{name} is not allowed with {what}")
        if not scope.items:
            self.reader.refuse("Q326", span, f"{name} needs FROM")
        locked: list[Item] = []
        targets = self.reader.many(node, "expressions")
        for target in targets:
            wanted = self.name(self.reader.get(target, "this"), "a table")
            item = next((i for i in scope.items if i.name == wanted), None)
            if item is None:
                hint = did_you_mean(wanted, [i.name for i in scope.items])
                self.reader.refuse("Q326", target, f"{name} OF {wanted}: there is no such table in this FROM", hint)
            if item in locked:
                self.reader.refuse("Q326", target, f"{wanted!r} stands twice in OF")
            locked.append(item)
        for item in locked or scope.items:
            if item.table is None or item.role:
                message = f"{name} of the derived table {item.name!r} is not in the SQL subset"
                self.reader.refuse("Q326", span, message, "name the tables to lock: OF …")
            if item.nullable:
                message = f"{name} cannot be applied to {item.name!r}, the nullable side of a left join"
                self.reader.refuse("Q326", span, message, "name the tables to lock: OF …")
        wanted_wait = "wait" if wait is None else "nowait" if wait else "skip locked"
        return (RowLock(mode, tuple(item.source for item in locked or scope.items), wanted_wait, span),)


def contains_aggregate(expression: Expr) -> bool:
    """Whether an expression aggregates (its subqueries' own aggregates do not count)."""
    return isinstance(expression, Aggregate) or any(contains_aggregate(child) for child in children(expression))


def _ungrouped(expression: Expr, keys: tuple[Expr, ...], own: set[str]) -> list[ColumnRef]:
    """The query's own columns that stand neither in a key nor in an aggregate."""
    if expression in keys or isinstance(expression, Aggregate):
        return []
    if isinstance(expression, ColumnRef):
        return [expression] if expression.source in own else []
    found = [ref for child in children(expression) for ref in _ungrouped(child, keys, own)]
    if isinstance(expression, (InQuery, Exists, ScalarQuery)):
        inner = [ref for part in query_parts(expression.query) for ref in column_refs(part)]
        found += [ref for ref in inner if ref.source in own and ref not in keys]
    return found


def item_of(table: Table, source: str) -> Item:
    """A table as a FROM item under a given id."""
    return Item(source, table.name, {column.name: column for column in table.columns}, table)
