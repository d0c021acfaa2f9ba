"""Domains: the finite set of values of every column, from where the specification or the schema gives it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from sqlglot import exp

from txweave.spec import syntax
from txweave.spec.diagnostics import Report, did_you_mean
from txweave.spec.durations import parse_duration
from txweave.spec.syntax import Scalar
from txweave.spec.text import Span, Text
from txweave.sql.parse import Reader, Refused, parse_statement
from txweave.sql.schema import ConstraintBinder, RawColumn, RawTable, SchemaReader
from txweave.sql.scope import fold
from txweave.sql.tree import And, ColumnRef, Compare, Constant, Expr, InList, IsNull, Or, Type

_FINITE = {"integer", "text", "interval"}
_WIDEST = 4096


@dataclass
class Written:
    """Which columns the procedures' statements write, and which values ``data:`` rows hold, as far as the text alone tells."""

    columns: set[tuple[str, str]] = field(default_factory=set)
    values: dict[tuple[str, str], list[Scalar]] = field(default_factory=dict)
    rows: dict[str, int] = field(default_factory=dict)


def scan(statements: Iterable[Text], data: Iterable[Text], tables: Mapping[str, RawTable]) -> Written:
    """Look through all texts for what they write; wrong texts are passed over, for their binding will report them."""
    written = Written()
    for text in statements:
        reader = _quietly(text)
        if reader is not None:
            _scan_statement(reader.root, tables, written)
    for text in data:
        reader = _quietly(text)
        if reader is not None and isinstance(reader.root, exp.Insert):
            _scan_data(reader.root, tables, written)
    return written


def _quietly(text: Text) -> Reader | None:
    try:
        return parse_statement(text, Report(), ("SELECT", "INSERT", "UPDATE", "DELETE"))
    except Refused:
        return None


def _identifier(node: object) -> str:
    if isinstance(node, exp.Column):
        node = node.args.get("this")
    if isinstance(node, exp.Table):
        node = node.args.get("this")
    if isinstance(node, exp.Identifier):
        return fold(str(node.this), bool(node.args.get("quoted")))
    return ""


def _insert_target(root: exp.Insert, tables: Mapping[str, RawTable]) -> tuple[str, list[str]]:
    into = root.args.get("this")
    if isinstance(into, exp.Schema):
        return _identifier(into.args.get("this")), [_identifier(n) for n in into.args.get("expressions") or []]
    name = _identifier(into)
    table = tables.get(name)
    return name, [] if table is None else [c.name for c in table.columns.values() if table.ghost or not c.ghost]


def _scan_statement(root: exp.Expr, tables: Mapping[str, RawTable], written: Written) -> None:
    if isinstance(root, exp.Insert):
        name, columns = _insert_target(root, tables)
        written.columns |= {(name, column) for column in columns}
        conflict = root.args.get("conflict")
        assignments = conflict.args.get("expressions") if isinstance(conflict, exp.Expr) else None
    elif isinstance(root, exp.Update):
        name = _identifier(root.args.get("this"))
        assignments = root.args.get("expressions")
    else:
        return
    for node in assignments or []:
        if isinstance(node, exp.EQ):
            left = node.args.get("this")
            targets = left.args.get("expressions") or [] if isinstance(left, exp.Tuple) else [left]
            written.columns |= {(name, _identifier(target)) for target in targets}


def _scan_data(root: exp.Insert, tables: Mapping[str, RawTable], written: Written) -> None:
    name, columns = _insert_target(root, tables)
    source = root.args.get("expression")
    if root.args.get("default"):
        written.rows[name] = written.rows.get(name, 0) + 1
    if not isinstance(source, exp.Values):
        return
    for row in source.args.get("expressions") or []:
        written.rows[name] = written.rows.get(name, 0) + 1
        cells = row.args.get("expressions") if isinstance(row, exp.Tuple) else [row.args.get("this")]
        for column, cell in zip(columns, cells or [], strict=False):
            value = _literal(cell)
            if value is not None:
                values = written.values.setdefault((name, column), [])
                if value not in values:
                    values.append(value)


def _literal(node: object) -> Scalar:
    sign = 1
    while isinstance(node, (exp.Paren, exp.Neg, exp.Cast)):
        sign = -sign if isinstance(node, exp.Neg) else sign
        node = node.args.get("this")
    if not isinstance(node, exp.Literal):
        return None
    text = str(node.this)
    if node.args.get("is_string"):
        return text
    return sign * int(text) if text.isdigit() else None


class DomainResolver:
    """Gives each raw column its final type and domain."""

    def __init__(
        self,
        raw: SchemaReader,
        domains: Sequence[syntax.Domain],
        procedures: Mapping[str, syntax.Procedure],
        written: Written,
        report: Report,
    ) -> None:
        self._raw = raw
        self._written = written
        self._report = report
        self._declared: dict[tuple[str, str], syntax.Domain] = {}
        self.variables: dict[tuple[str, str], syntax.Domain] = {}
        """Domains of procedures' variables."""
        for domain in domains:
            self._sort(domain, procedures)

    def _sort(self, domain: syntax.Domain, procedures: Mapping[str, syntax.Procedure]) -> None:
        owner, dot, name = domain.target.value.partition(".")
        where = domain.target.span()
        if not dot or not owner or not name:
            remedy = "write table.column, or procedure.variable"
            self._report.error("Q333", where, f"{domain.target.value!r} names no column", remedy)
            return
        key = (owner, name)
        if key in self._declared or key in self.variables:
            self._report.error("Q333", where, f"{domain.target.value} has two domains")
        elif owner in self._raw.tables:
            if name in self._raw.tables[owner].columns:
                self._declared[key] = domain
                return
            hint = did_you_mean(name, self._raw.tables[owner].columns)
            self._report.error("Q311", where, f"{owner} has no column {name!r}", hint)
        elif owner in procedures:
            if domain.like is not None:
                message = f"{domain.target.value}: a variable takes the type of what is assigned, `like` is for columns"
                self._report.error("Q333", where, message)
            else:
                self.variables[key] = domain
        else:
            hint = did_you_mean(owner, [*self._raw.tables, *procedures])
            self._report.error("Q310", where, f"there is no table or procedure {owner!r}", hint)

    def resolve(self) -> None:
        """Set the types and domains of all columns."""
        self._references()
        for table in self._raw.tables.values():
            checked = self._from_checks(table)
            for column in table.columns.values():
                self._column(table, column, checked)
        # a foreign key's column takes its parent's values, declared or found in the data; the data of its own table say less
        self._inherit()
        for table in self._raw.tables.values():
            children = {name for key in table.keys for name in key.columns}
            for column in table.columns.values():
                if column.name not in children:
                    self._fallback(table, column)
        self._inherit()
        for table in self._raw.tables.values():
            for column in table.columns.values():
                self._fallback(table, column)
                self._check_size(table, column)

    def _check_size(self, table: RawTable, column: RawColumn) -> None:
        """Values that the column's type cannot hold."""
        for value in column.domain or ():
            long = column.length is not None and isinstance(value, str) and len(value) > column.length
            big = column.bits is not None and isinstance(value, int) and not -(1 << column.bits - 1) <= value < 1 << column.bits - 1
            if long or (big and column.type.kind == "integer"):
                message = f"{value!r} in the domain of {table.name}.{column.name} does not fit the column's type"
                declared = self._declared.get((table.name, column.name))
                self._report.error("Q333", declared.span if declared else column.span, message)

    def _inherit(self) -> None:
        """Hand domains from parents to children; a chain of foreign keys may need several rounds."""
        for _ in range(len(self._raw.tables) + 1):
            for table in self._raw.tables.values():
                for key in table.keys:
                    for name, parent in zip(key.columns, key.parent_columns, strict=True):
                        column = table.columns[name]
                        if column.type.kind in _FINITE and column.domain is None and column.enum is None:
                            column.domain = self._raw.tables[key.parent].columns[parent].domain

    def _references(self) -> None:
        for table in self._raw.tables.values():
            serials = [c for c in table.columns.values() if c.serial]
            for column in serials:
                key = next((u for u in table.uniques if u.primary), None)
                if len(serials) > 1 or key is None or key.columns != (column.name,):
                    message = f"the serial column {table.name}.{column.name} must alone be the primary key"
                    self._report.error("Q334", column.span, message, "write id SERIAL PRIMARY KEY")
                if column.default is not None:
                    self._report.error("Q334", column.span, f"the serial column {table.name}.{column.name} takes no default")
                column.type = Type("reference", table.name)
        for _ in range(len(self._raw.tables) + 2):
            for table in self._raw.tables.values():
                for foreign in table.keys:
                    for name, parent in zip(foreign.columns, foreign.parent_columns, strict=True):
                        self._refer(table, name, self._raw.tables[foreign.parent].columns[parent], foreign.span)
            for (owner, name), domain in self._declared.items():
                if domain.like is not None:
                    self._like(self._raw.tables[owner], name, domain, domain.like)

    def _refer(self, table: RawTable, name: str, parent: RawColumn, span: Span) -> None:
        column = table.columns[name]
        if column.serial and parent.type != column.type:
            self._report.error("Q334", span, f"the serial column {table.name}.{name} cannot be a foreign key")
        elif parent.type.kind == "reference" and column.type.kind == "integer":
            column.type = parent.type
        elif parent.type.kind == "reference" and column.type.kind == "reference" and parent.type != column.type:
            message = f"{table.name}.{name} would be the id of a {column.type.table} and of a {parent.type.table}"
            self._report.error("Q332", span, message)
        elif column.type.kind != parent.type.kind and not (column.type.kind == "reference" and parent.type.kind == "integer"):
            message = f"{table.name}.{name} is {column.type}, and what it refers to is {parent.type}"
            self._report.error("Q332", span, message, "both must have one type")

    def _like(self, table: RawTable, name: str, domain: syntax.Domain, like: Text) -> None:
        owner, _, target = like.value.partition(".")
        where = like.span()
        parent = self._raw.tables.get(owner)
        if parent is None:
            self._report.error("Q310", where, f"there is no table {owner!r}", did_you_mean(owner, self._raw.tables))
        elif target not in parent.columns:
            self._report.error("Q311", where, f"{owner} has no column {target!r}", did_you_mean(target, parent.columns))
        elif parent.columns[target].type.kind == "reference":
            column = table.columns[name]
            if column.type.kind == "integer":
                column.type = parent.columns[target].type
            elif column.type != parent.columns[target].type:
                message = f"{table.name}.{name} is {column.type} and cannot be an id of {parent.columns[target].type.table}"
                self._report.error("Q333", domain.target.span(), message)
        else:
            self._report.error("Q333", where, f"{like.value} is no generated id", "`like:` names an id column of a table")

    # --------------------------------------------------------------------------------------------------------- values

    def _column(self, table: RawTable, column: RawColumn, checked: Mapping[str, tuple[Scalar, ...]]) -> None:
        domain = self._declared.get((table.name, column.name))
        target = f"{table.name}.{column.name}"
        if domain is not None and domain.like is None:
            if column.type.kind not in _FINITE:
                message = f"{target} is {column.type} and takes no list of values"
                remedy = "ids are bounded by `bounds:`" if column.type.kind == "reference" else ""
                self._report.error("Q333", domain.target.span(), message, remedy)
                return
            labels = self._raw.enums.get(column.enum or "")
            column.domain = check_values(domain, column.type, labels, self._report)
        elif column.enum is not None:
            column.domain = self._raw.enums[column.enum]
        elif column.type.kind in _FINITE and column.name in checked:
            column.domain = checked[column.name]

    def _fallback(self, table: RawTable, column: RawColumn) -> None:
        if column.type.kind not in _FINITE or column.domain is not None:
            return
        key = (table.name, column.name)
        target = f"{table.name}.{column.name}"
        values = list(self._written.values.get(key, ()))
        right = (int,) if column.type.kind == "integer" else (str,)
        if key not in self._written.columns and column.type.kind != "interval" and all(isinstance(v, right) for v in values):
            default = None if column.default is None else _literal(column.default[1])
            if default is not None and default not in values:
                values.append(default)
            if values or column.nullable:
                column.domain = tuple(values)
                return
        message = f"{target} has no finite set of values"
        shown = "['5 min', …]" if column.type.kind == "interval" else "[1, 2]" if column.type.kind == "integer" else "[one, two]"
        self._report.error("Q331", column.span, message, f"declare it: `domains: {{{target}: {shown}}}`")
        column.domain = None

    def _from_checks(self, table: RawTable) -> dict[str, tuple[Scalar, ...]]:
        """What the table's CHECK constraints say about single columns."""
        scratch = Report()
        binder = ConstraintBinder(self._raw, scratch)
        bare = table.table()
        found: dict[str, tuple[Scalar, ...]] = {}
        lower: dict[str, int] = {}
        upper: dict[str, int] = {}
        for _, reader, node in table.checks:
            condition = binder.condition(bare, reader, node)
            if condition is None:
                continue
            for part in _conjuncts(condition):
                values = _alternatives(part)
                if values is not None:
                    name, allowed = values
                    found[name] = tuple(v for v in found.get(name, allowed) if v in allowed)
                bound = _bound(part)
                if bound is not None:
                    name, operator, limit = bound
                    if operator == ">=":
                        lower[name] = max(limit, lower.get(name, limit))
                    else:
                        upper[name] = min(limit, upper.get(name, limit))
        for name in sorted(set(lower) & set(upper)):
            if upper[name] - lower[name] < _WIDEST:
                span: tuple[Scalar, ...] = tuple(range(lower[name], upper[name] + 1))
                found[name] = tuple(v for v in found[name] if v in span) if name in found else span
        return found


def check_values(domain: syntax.Domain, kind: Type, labels: Sequence[str] | None, report: Report) -> tuple[Scalar, ...]:
    """The values of a declared domain, checked against the type (and the enum's labels); durations become microseconds."""
    values: list[Scalar] = []
    target = domain.target.value
    for value in domain.values:
        given: Scalar = value
        if value is None:
            message = f"NULL is no value of the domain of {target}"
            report.error("Q333", domain.span, message, "a column without NOT NULL may be NULL anyway")
            continue
        if kind.kind == "interval":
            given = parse_duration(value) if isinstance(value, str) else None
        elif (
            (kind.kind == "integer" and (isinstance(value, bool) or not isinstance(value, int)))
            or (kind.kind in {"text", "null"} and kind.kind == "text" and not isinstance(value, str))
            or (kind.kind == "boolean" and not isinstance(value, bool))
        ):
            given = None
        if given is None:
            remedy = "quote it" if kind.kind == "text" else ""
            report.error("Q333", domain.span, f"{value!r} in the domain of {target} is not of type {kind}", remedy)
        elif labels is not None and given not in labels:
            hint = did_you_mean(str(given), labels)
            report.error("Q333", domain.span, f"{value!r} in the domain of {target} is no label of its enum", hint)
        elif given in values:
            report.error("Q333", domain.span, f"{value!r} stands twice in the domain of {target}")
        else:
            values.append(given)
    if not domain.values:
        report.error("Q333", domain.span, f"the domain of {target} is empty")
    return tuple(values)


def _conjuncts(expression: Expr) -> list[Expr]:
    if isinstance(expression, And):
        return [part for operand in expression.operands for part in _conjuncts(operand)]
    return [expression]


def _alternatives(expression: Expr) -> tuple[str, tuple[Scalar, ...]] | None:
    """``c IN (…)``, ``c = v``, or a disjunction of these and ``c IS NULL``."""
    if isinstance(expression, InList) and isinstance(expression.operand, ColumnRef):
        if all(isinstance(item, Constant) and item.value is not None for item in expression.items):
            values = tuple(dict.fromkeys(item.value for item in expression.items if isinstance(item, Constant)))
            return expression.operand.column, values
    elif isinstance(expression, Compare) and expression.operator == "=":
        left, right = expression.left, expression.right
        if isinstance(left, ColumnRef) and isinstance(right, Constant) and right.value is not None:
            return left.column, (right.value,)
    elif isinstance(expression, Or):
        name: str | None = None
        found: dict[Scalar, None] = {}
        for operand in expression.operands:
            if isinstance(operand, IsNull) and isinstance(operand.operand, ColumnRef):
                part: tuple[str, tuple[Scalar, ...]] | None = (operand.operand.column, ())
            else:
                part = _alternatives(operand)
            if part is None or (name is not None and name != part[0]):
                return None
            name = part[0]
            found.update(dict.fromkeys(part[1]))
        return None if name is None else (name, tuple(found))
    return None


def _bound(expression: Expr) -> tuple[str, str, int] | None:
    """``c >= n`` and its relatives, as (column, >= or <=, number)."""
    if not isinstance(expression, Compare):
        return None
    operator, left, right = expression.operator, expression.left, expression.right
    if isinstance(left, Constant) and isinstance(right, ColumnRef):
        left, right = right, left
        operator = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}.get(operator, operator)
    if not (isinstance(left, ColumnRef) and isinstance(right, Constant) and right.type.kind == "integer"):
        return None
    limit = right.value
    assert isinstance(limit, int)
    if operator in {">=", ">"}:
        return left.column, ">=", limit + (operator == ">")
    if operator in {"<=", "<"}:
        return left.column, "<=", limit - (operator == "<")
    return None
