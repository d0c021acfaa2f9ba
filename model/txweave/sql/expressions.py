"""SQL expressions: every allowed node gets its type and its meaning, every other one is refused by name."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import fields, replace
from typing import Any, ClassVar, cast, get_args

from sqlglot import exp

from txweave.spec.diagnostics import did_you_mean
from txweave.spec.durations import parse_duration
from txweave.spec.syntax import Scalar
from txweave.spec.text import Span
from txweave.sql.intervals import duration
from txweave.sql.parse import Reader, Refused, is_reserved
from txweave.sql.scope import Environment, Item, Scope, fold
from txweave.sql.tree import (
    BOOLEAN,
    INTEGER,
    INTERVAL,
    NULL,
    TEXT,
    TIMESTAMP,
    Aggregate,
    And,
    Arithmetic,
    Case,
    Clock,
    Coalesce,
    Column,
    ColumnRef,
    Compare,
    Constant,
    DerivedSource,
    Exists,
    Expr,
    From,
    InList,
    InQuery,
    IsNull,
    IsTruth,
    Join,
    Not,
    Number,
    Or,
    Query,
    ScalarQuery,
    Type,
    Variable,
)

_OPERATORS: dict[type[exp.Expr], str] = {exp.EQ: "=", exp.NEQ: "<>", exp.LT: "<", exp.LTE: "<=", exp.GT: ">", exp.GTE: ">="}
_ORDERED = {"integer", "timestamp", "interval", "null"}
_MAX_INTEGER = 2**63 - 1
_INTEGER_TYPES = {"INT", "BIGINT"}
_TIMESTAMP_TYPES = {"TIMESTAMP", "TIMESTAMPTZ", "TIMESTAMPNTZ", "TIMESTAMPLTZ"}


def constant_of(value: Scalar, span: Span | None) -> Constant:
    """A YAML scalar as a constant; text that spells a duration (``5min``) is an interval."""
    if value is None:
        return Constant(None, NULL, span)
    if isinstance(value, bool):
        return Constant(value, BOOLEAN, span)
    if isinstance(value, int):
        return Constant(value, INTEGER, span)
    amount = parse_duration(value)
    return Constant(value, TEXT, span) if amount is None else Constant(amount, INTERVAL, span)


class ExpressionBinder(ABC):
    """Binds the expressions of one text.  One object per text."""

    def __init__(self, reader: Reader, environment: Environment) -> None:
        self.reader = reader
        self.environment = environment
        self.columns: dict[tuple[str, str], Column] = {}
        """Every column of every FROM item that the text has named so far."""

    @abstractmethod
    def subquery(self, node: exp.Expr, scope: Scope) -> tuple[Query, list[Column]]:
        """Bind a query inside an expression."""

    # ------------------------------------------------------------------------------------------------------- names

    def name(self, node: object, what: str = "a name") -> str:
        """The name that an identifier spells.

        Raises:
            Refused: it is a variable, or a word that PostgreSQL keeps for itself.
        """
        if not isinstance(node, exp.Identifier):
            if isinstance(node, exp.Expr):
                self.reader.refuse("Q302", node, f"{what} is expected here")
            self.reader.refuse("Q302", self.reader.text.span(), f"{what} is missing")
        quoted = bool(self.reader.get(node, "quoted"))
        text = str(self.reader.get(node, "this"))
        if text.startswith(":") and quoted:
            self.reader.refuse("Q305", node, f"a variable cannot stand for {what}: {text}", "names are written out")
        if not text or "#" in text:  # the sign is kept for the ids of FROM items
            self.reader.refuse("Q305", node, f"{text!r} cannot be {what}")
        if len(text.encode()) > 63:
            self.reader.refuse("Q305", node, f"{text!r} is longer than the 63 bytes that PostgreSQL keeps of a name")
        if not quoted and is_reserved(text):
            message = f"{text!r} is a reserved word of PostgreSQL and cannot be {what}"
            self.reader.refuse("Q305", node, message, f'write it in double quotes: "{text.lower()}"')
        return fold(text, quoted)

    def column(self, node: exp.Column, scope: Scope) -> Expr:
        """A column, a variable or the clock."""
        identifier = self.reader.get(node, "this")
        table = self.reader.get(node, "table")
        if isinstance(identifier, exp.Star):
            self.reader.unsupported(identifier)
        if isinstance(identifier, exp.Identifier) and identifier.args.get("quoted") and str(identifier.this).startswith(":"):
            if table is not None:
                self.reader.refuse("Q305", node, f"a variable has no table: {self.show(node)}")
            self.reader.skip(identifier, "this", "quoted")
            return self.variable(str(identifier.this)[1:], self.reader.place(identifier))
        if table is None and isinstance(identifier, exp.Identifier) and not identifier.args.get("quoted"):
            word = str(identifier.this).lower()
            if word == "default":
                remedy = "DEFAULT stands for a whole value, in VALUES or after SET column ="
                self.reader.refuse("Q302", node, "DEFAULT is not in the SQL subset here", remedy)
            if word == "clock" and not self._has_column("clock", scope):
                self.reader.skip(identifier, "this", "quoted")
                if not self.environment.program_clock:
                    message = f"clock is the program's own clock and cannot be read in {self.environment.subject}"
                    remedy = "read it by a step, `set: {at: clock}`, and write :at here; the server's clock is now()"
                    self.reader.refuse("Q327", node, message, remedy)
                return Clock("clock", span=self.reader.place(node))
        name = self.name(identifier, "a column")
        if table is not None:
            return self._qualified(self.name(table, "a table"), name, node, scope)
        return self._unqualified(name, node, scope)

    def _has_column(self, name: str, scope: Scope) -> bool:
        return any(name in item.columns for s in scope.chain() for item in s.items)

    def _qualified(self, table: str, name: str, node: exp.Column, scope: Scope) -> ColumnRef:  # noqa: RET503
        for level in scope.chain():
            for item in level.items:
                if item.name == table:
                    return self.reference(item, name, node)
        known = [item.name for level in scope.chain() for item in level.items]
        hint = did_you_mean(table, known)
        if table in self.environment.tables and table not in known:
            hint = f"{table!r} is not in FROM here, or hidden by an alias or by the order of the joins; " + hint
        where = self.reader.place(node.args["table"])
        self.reader.refuse("Q310", where, f"no table {table!r} can be seen here", hint)

    def _unqualified(self, name: str, node: exp.Column, scope: Scope) -> ColumnRef:  # noqa: RET503
        for level in scope.chain():
            found = [item for item in level.items if name in item.columns or name in item.ambiguous]
            if len(found) > 1:
                options = " or ".join(f"{item.name}.{name}" for item in found)
                self.reader.refuse("Q312", node, f"the column {name!r} is ambiguous", f"write {options}")
            if found:
                return self.reference(found[0], name, node)
        items = [item for level in scope.chain() for item in level.items]
        hint = did_you_mean(name, {c for item in items for c in item.columns})
        if self.environment.variables and name in self.environment.variables:
            hint = f"the variable is written :{name}"
        elif not items and not self.environment.queries:
            hint = "an SQL expression over the procedure's variables, written :name, is expected; text stands in single quotes"
        self.reader.refuse("Q311", node, f"there is no column {name!r} here", hint)

    def reference(self, item: Item, name: str, node: exp.Expr | None) -> ColumnRef:
        """A reference to a column of an item, with its type; ghosts are refused to the program."""
        where: object = node if node is not None else self.reader.text.span()
        if name in item.ambiguous:
            message = f"{item.name}.{name} is ambiguous"
            if item.role:
                message += f": the role's own {name!r}, or the variable {name!r} of its procedure"
            self.reader.refuse("Q312", where, message, "rename the variable" if item.role else "give the outputs different names")
        column = item.columns.get(name)
        if column is None:
            hint = did_you_mean(name, item.columns)
            self.reader.refuse("Q311", where, f"{item.name} has no column {name!r}", hint)
        if column.ghost and not self.environment.ghost_reads:
            message = f"{item.name}.{name} is a ghost: the program never reads it"
            self.reader.refuse("Q328", where, message, "ghosts are read by properties, and in `ghost:` statements")
        self.columns[(item.source, name)] = column
        return ColumnRef(item.source, name, column.type, self.reader.place(where) if node is not None else None)

    def variable(self, name: str, span: Span) -> Expr:
        """The value of a parameter, or a variable of the procedure."""
        parameter = self.environment.parameters.get(name)
        if parameter is not None:
            if isinstance(parameter.value, tuple):
                message = f"the parameter {name!r} is a list and no single value"
                self.reader.refuse("Q315", span, message, f"lists are for `for: x, in: {name}`")
            return constant_of(parameter.value, span)
        variables = self.environment.variables
        if variables is None:
            message = f"there are no variables in {self.environment.subject}, and no parameter {name!r}"
            self.reader.refuse("Q314", span, message, did_you_mean(name, self.environment.parameters))
        known = variables.get(name)
        if known is None and name in self.environment.unresolved:
            self.environment.pending.append(span)
            raise Refused
        if known is None:
            hint = did_you_mean(name, [*variables, *self.environment.parameters])
            self.reader.refuse("Q314", span, f"the variable :{name} is never set", hint)
        if known.rows:
            message = f"the variable :{name} holds rows and no single value"
            self.reader.refuse("Q320", span, message, f"run over it: `for: x, in: {name}`; or keep one value with `into:`")
        return Variable(name, known.type, span)

    # ------------------------------------------------------------------------------------------------- small things

    def show(self, node: exp.Expr) -> str:
        """A node as the user wrote it, for messages."""
        span = self.reader.place(node)
        shown = " ".join(span.file.content[span.start : span.end].split())
        return shown if len(shown) <= 60 else shown[:57] + "…"

    def values(self, expression: Expr) -> tuple[Scalar, ...] | None:
        """The values other than NULL that an expression can have, where that is known."""
        if isinstance(expression, Constant):
            return () if expression.value is None else (expression.value,)
        if isinstance(expression, ColumnRef):
            column = self.columns.get((expression.source, expression.column))
            return column.domain if column else None
        if isinstance(expression, Variable):
            known = (self.environment.variables or {}).get(expression.name)
            return known.values if known else None
        if isinstance(expression, Coalesce):
            return self._union(expression.operands)
        if isinstance(expression, Case):
            return self._union([*(value for _, value in expression.whens), expression.otherwise])
        if isinstance(expression, Aggregate) and expression.function in {"min", "max"} and expression.operand is not None:
            return self.values(expression.operand)
        if isinstance(expression, ScalarQuery):
            return self.values(expression.query.outputs[0].expression)
        return None

    def _union(self, operands: Iterable[Expr]) -> tuple[Scalar, ...] | None:
        found: dict[Scalar, None] = {}
        for operand in operands:
            values = self.values(operand)
            if values is None:
                return None
            found.update(dict.fromkeys(values))
        return tuple(found)

    def check_value(self, constant: Expr, other: Expr, where: object) -> None:
        """A text constant compared with a column must be one of the column's values."""
        if not (self.environment.strict_values and isinstance(constant, Constant) and isinstance(constant.value, str)):
            return
        domain = self.values(other)
        if domain is None or isinstance(other, Constant) or constant.value in domain:
            return
        hint = did_you_mean(constant.value, [str(v) for v in domain])
        owner = f"the domain of {other.source}.{other.column}" if isinstance(other, ColumnRef) else "the values compared with"
        self.reader.error("Q321", constant.span or where, f"{constant.value!r} is outside {owner}", hint)

    def unify(self, parts: list[tuple[Expr, exp.Expr]], what: str, node: exp.Expr) -> Type:
        """The one type of several expressions; NULL fits all.

        Raises:
            Refused: two types differ.
        """
        result, first = NULL, node
        for part, place in parts:
            if part.type == NULL or part.type == result:
                continue
            if result != NULL:
                self.mismatch(what, result, first, part.type, place)
            result, first = part.type, place
        return result

    def mismatch(self, what: str, left: Type, left_node: exp.Expr, right: Type, right_node: exp.Expr) -> None:
        """Two types that do not go together.

        Raises:
            Refused: always.
        """
        message = f"{what}: {self.show(left_node)} is {_article(left)}, {self.show(right_node)} is {_article(right)}"
        kinds = {left.kind, right.kind}
        code, remedy = "Q320", "nothing is converted on its own"
        if kinds == {"integer", "reference"}:
            code, remedy = (
                "Q322",
                "generated ids are only compared with each other: keep the id in a variable with RETURNING … into",
            )
            if not self.environment.exact_ids:
                remedy += "; or write `serial: exact` in the model: ids are then numbers"
        elif kinds == {"reference"}:
            code, remedy = "Q322", "ids of different tables never mean the same row"
        elif kinds == {"text", "boolean"}:
            remedy = "write TRUE or FALSE without quotes"
        elif kinds == {"text", "interval"}:
            remedy = "write INTERVAL '5 min'"
        elif kinds == {"text", "timestamp"}:
            remedy = "points in time have no literals: compare with now() or a variable set from clock"
        self.reader.refuse(code, right_node if isinstance(right_node, exp.Expr) else left_node, message, remedy)

    def boolean(self, node: exp.Expr, scope: Scope) -> Expr:
        """A condition.

        Raises:
            Refused: it is not boolean.
        """
        expression = self.expression(node, scope)
        if expression.type not in (BOOLEAN, NULL):
            message = f"a condition is expected, and {self.show(node)} is {_article(expression.type)}"
            self.reader.refuse("Q320", node, message)
        return expression

    def guarded(self, bind: Callable[[], Expr]) -> Expr:
        """Bind a part; if it is refused go on with NULL, so that other parts are checked as well."""
        try:
            return bind()
        except Refused:
            return Constant(None, NULL)

    # -------------------------------------------------------------------------------------------------- expressions

    def expression(self, node: object, scope: Scope) -> Expr:
        """Bind an expression.

        Raises:
            Refused: something in it is wrong; the report says what.
        """
        if not isinstance(node, exp.Expr):
            self.reader.refuse("Q300", self.reader.text.span(), "an expression is missing")
        handler = self._HANDLERS.get(type(node))
        if handler is None:
            self.reader.unsupported(node)
        return handler(self, node, scope)

    def _column(self, node: exp.Expr, scope: Scope) -> Expr:
        assert isinstance(node, exp.Column)
        return self.column(node, scope)

    def _paren(self, node: exp.Expr, scope: Scope) -> Expr:
        return self.expression(self.reader.get(node, "this"), scope)

    def _literal(self, node: exp.Expr, _scope: Scope) -> Expr:
        text, string = str(self.reader.get(node, "this")), self.reader.get(node, "is_string")
        span = self.reader.place(node)
        if string:
            return Constant(text, TEXT, span)
        if not (text.isascii() and text.isdigit()):
            self.reader.refuse("Q302", node, f"{text} is no integer", "only whole numbers in decimal digits are in the SQL subset")
        if int(text) > _MAX_INTEGER:
            self.reader.refuse("Q321", node, f"{text} is out of the range of BIGINT")
        return Constant(int(text), INTEGER, span)

    def _boolean_literal(self, node: exp.Expr, _scope: Scope) -> Expr:
        return Constant(bool(self.reader.get(node, "this")), BOOLEAN, self.reader.place(node))

    def _null(self, node: exp.Expr, _scope: Scope) -> Expr:
        return Constant(None, NULL, self.reader.place(node))

    def _interval(self, node: exp.Expr, _scope: Scope) -> Expr:
        literal, unit = self.reader.get(node, "this"), self.reader.get(node, "unit")
        if not (isinstance(literal, exp.Literal) and literal.args.get("is_string")):
            self.reader.refuse(
                "Q302", node, "INTERVAL is followed by a string", "write INTERVAL '5 min'; a parameter may be a duration"
            )
        text = str(self.reader.get(literal, "this"))
        self.reader.skip(literal, "is_string")
        if unit is None:
            return self._duration(text, None, node)
        if not isinstance(unit, exp.Var):
            self.reader.refuse(
                "Q302", node, "a range of interval fields is not in the SQL subset", "write INTERVAL '1 hour 30 min'"
            )
        return self._duration(text, str(self.reader.get(unit, "this")).lower(), node)

    def _duration(self, text: str, unit: str | None, node: exp.Expr) -> Constant:
        amount = duration(text, unit)
        if amount is None and unit is None:
            amount = duration(text, "s")
        if amount is None:
            shown = f"{text} {unit}" if unit else text
            remedy = "write for example INTERVAL '5 min', '1 hour 30 min' or '120 s'; months and years have no fixed length"
            where = self.reader.word("INTERVAL") if isinstance(node, exp.Interval) else node
            self.reader.refuse("Q354", where, f"{shown!r} is no duration", remedy)
        return Constant(amount, INTERVAL, self.reader.place(node))

    def _compare(self, node: exp.Expr, scope: Scope) -> Expr:
        left_node, right_node = self.reader.get(node, "this"), self.reader.get(node, "expression")
        if isinstance(node, exp.EQ) and isinstance(right_node, exp.Any):
            return self._of_array(left_node, self.reader.get(right_node, "this"), right_node, node, scope)
        if isinstance(node, exp.NEQ) and isinstance(right_node, exp.Anonymous) and str(right_node.this).upper() == "ALL":
            self.reader.skip(right_node, "this")
            arguments = self.reader.many(right_node, "expressions")
            listed = self._of_array(left_node, arguments[0] if len(arguments) == 1 else None, right_node, node, scope)
            return Not(listed, span=self.reader.place(node))
        left, right = self.expression(left_node, scope), self.expression(right_node, scope)
        if isinstance(node, exp.NullSafeEQ):
            operator = "is not distinct"
        elif isinstance(node, exp.NullSafeNEQ):
            operator = "is distinct"
        else:
            operator = _OPERATORS[type(node)]
        return self.compare(operator, (left, left_node), (right, right_node), node)

    def _of_array(  # noqa: RET503
        self, operand_node: exp.Expr, array: exp.Expr | None, word: exp.Expr, node: exp.Expr, scope: Scope
    ) -> Expr:
        """``= ANY (ARRAY[…])`` or ``= ANY (:list)``: IN with a list; ``= ANY (SELECT …)``: IN with a query."""
        while isinstance(array, exp.Paren):
            array = self.reader.get(array, "this")
        if isinstance(array, exp.Subquery) and isinstance(word, exp.Any):
            return self._in_query([operand_node], array, node, scope)
        if isinstance(array, exp.Array):
            self.reader.skip(array, "value_constructor")
            items = self.reader.many(array, "expressions")
            if items:
                return self._in_list(operand_node, [(self.expression(item, scope), item) for item in items], node, scope)
            self.reader.refuse("Q302", node, "an empty array is not in the SQL subset", "write FALSE")
        identifier = array.args.get("this") if isinstance(array, exp.Column) else None
        name = str(identifier.this)[1:] if isinstance(identifier, exp.Identifier) and str(identifier.this).startswith(":") else ""
        parameter = self.environment.parameters.get(name)
        if array is not None and parameter is not None and isinstance(parameter.value, tuple) and parameter.value:
            self.reader.skip(array, "this")
            assert isinstance(identifier, exp.Identifier)
            self.reader.skip(identifier, "this", "quoted")
            place = self.reader.place(array)
            return self._in_list(operand_node, [(constant_of(value, place), array) for value in parameter.value], node, scope)
        remedy = "it takes ARRAY[…], a list parameter or a subquery; or write IN"
        self.reader.refuse(
            "Q302", word if isinstance(word, exp.Any) else node, f"this {self.show(word)} is not in the SQL subset", remedy
        )

    def as_meant(self, part: Expr, node: exp.Expr, other: Type) -> Expr:
        """A string literal beside an integer is an integer: a bare literal in quotes has no type of its own."""
        while isinstance(node, exp.Paren):
            node = node.args["this"]
        bare = isinstance(node, exp.Literal) and isinstance(part, Constant) and isinstance(part.value, str)
        if not bare or other.kind not in {"integer", "reference"}:
            return part
        assert isinstance(part, Constant)
        text = str(part.value).strip()
        if re.fullmatch(r"[+-]?[0-9]{1,18}", text) is None:
            return part
        return Constant(int(text), INTEGER, part.span)

    def compare(self, operator: str, left: tuple[Expr, exp.Expr], right: tuple[Expr, exp.Expr], node: exp.Expr) -> Expr:
        """A comparison of two bound expressions.

        Raises:
            Refused: they cannot be compared so.
        """
        first, second = self.as_meant(*left, right[0].type), self.as_meant(*right, left[0].type)
        first, second = self.as_numbers([first, second])
        left, right = (first, left[1]), (second, right[1])
        common = self.unify([left, right], "these cannot be compared", node)
        if operator in {"<", "<=", ">", ">="}:
            self.ordered(common, node, f"the comparison {operator}")
        self.check_value(left[0], right[0], node)
        self.check_value(right[0], left[0], node)
        return Compare(operator, left[0], right[0], span=self.reader.place(node))

    def as_numbers(self, parts: list[Expr]) -> list[Expr]:
        """Several expressions; where ids are exact and stand beside integers, they are the integers that they are."""
        kinds = {part.type.kind for part in parts}
        if not (self.environment.exact_ids and "integer" in kinds):
            return parts
        exact = [part.type.kind == "reference" and part.type.table in self.environment.tables for part in parts]
        return [Number(part, span=part.span) if is_id else part for part, is_id in zip(parts, exact, strict=True)]

    def ordered(self, kind: Type, node: object, what: str) -> None:
        """Refuse to order what has no order here.

        Raises:
            Refused: the type has no order.
        """
        if kind.kind in _ORDERED:
            return
        if kind.kind == "reference" and kind.table not in self.environment.tables:
            message = f"{what} needs an order, and the processes of a role have none"
            self.reader.refuse("Q322", node, message, "compare for equality")
        if kind.kind == "reference" and not self.environment.exact_ids:
            message = f"{what} needs an order, and generated ids are only known up to equality"
            remedy = "write `serial: exact` in the model, or use a column of your own (a number, a time)"
            self.reader.refuse("Q322", node, message, remedy)
        if kind.kind == "reference":
            return
        remedy = "the order of texts depends on the collation: use an integer" if kind == TEXT else "use an integer"
        self.reader.refuse("Q320", node, f"{what} needs an order, and {_article(kind)} has none here", remedy)

    def _and(self, node: exp.Expr, scope: Scope) -> Expr:
        return And(tuple(self._operands(node, exp.And, scope)), span=self.reader.place(node))

    def _or(self, node: exp.Expr, scope: Scope) -> Expr:
        return Or(tuple(self._operands(node, exp.Or, scope)), span=self.reader.place(node))

    def _operands(self, node: exp.Expr, kind: type[exp.Expr], scope: Scope) -> list[Expr]:
        operands: list[Expr] = []
        for child in (self.reader.get(node, "this"), self.reader.get(node, "expression")):
            if type(child) is kind:
                operands += self._operands(child, kind, scope)
            else:
                operands.append(self.guarded(lambda child=child: self.boolean(child, scope)))  # type: ignore[misc]
        return operands

    def _not(self, node: exp.Expr, scope: Scope) -> Expr:
        return Not(self.boolean(self.reader.get(node, "this"), scope), span=self.reader.place(node))

    def _is(self, node: exp.Expr, scope: Scope) -> Expr:
        operand_node, right = self.reader.get(node, "this"), self.reader.get(node, "expression")
        negate = bool(self.reader.get(node, "negate"))
        span = self.reader.place(node)
        result: Expr
        if isinstance(right, exp.Null):
            result = IsNull(self.expression(operand_node, scope), span=span)
        elif isinstance(right, exp.Boolean):
            result = IsTruth(self.boolean(operand_node, scope), bool(self.reader.get(right, "this")), span=span)
        else:
            self.reader.refuse("Q302", node, "IS is followed by [NOT] NULL, TRUE, FALSE or [NOT] DISTINCT FROM")
        return Not(result, span=span) if negate else result

    def _in(self, node: exp.Expr, scope: Scope) -> Expr:
        operand_node, query_node = self.reader.get(node, "this"), self.reader.get(node, "query")
        items = self.reader.many(node, "expressions")
        nodes = [operand_node]
        if isinstance(operand_node, exp.Tuple):
            nodes = self.reader.many(operand_node, "expressions")
            if query_node is None:
                message = "a row value with a list of rows is not in the SQL subset"
                self.reader.refuse("Q302", node, message, "write (a = 1 AND b = 2) OR …")
        if query_node is not None:
            return self._in_query(nodes, query_node, node, scope)
        if not items:
            self.reader.refuse("Q302", node, "IN is followed by a list or a subquery in parentheses")
        return self._in_list(operand_node, [(self.expression(item, scope), item) for item in items], node, scope)

    def _in_query(self, nodes: list[exp.Expr], query_node: exp.Expr, node: exp.Expr, scope: Scope) -> Expr:
        operands = [self.expression(n, scope) for n in nodes]
        query, columns = self.subquery(query_node, scope)
        if len(columns) != len(operands):
            message = f"IN compares {_count(len(operands), 'value')} with {_count(len(columns), 'column')}"
            self.reader.refuse("Q324", node, message)
        for operand, place, column in zip(operands, nodes, columns, strict=True):
            if NULL not in (operand.type, column.type) and operand.type != column.type:
                self.mismatch("these cannot be compared", operand.type, place, column.type, query_node)
        return InQuery(tuple(operands), query, span=self.reader.place(node))

    def _in_list(self, operand_node: exp.Expr, items: list[tuple[Expr, exp.Expr]], node: exp.Expr, scope: Scope) -> Expr:
        operand = self.expression(operand_node, scope)
        meant = [self.as_meant(item, place, operand.type) for item, place in items]
        operand, *bound = self.as_numbers([operand, *meant])
        places = [place for _, place in items]
        self.unify([(operand, operand_node), *zip(bound, places, strict=True)], "these cannot be compared", node)
        for item in bound:
            self.check_value(item, operand, node)
        return InList(operand, tuple(bound), span=self.reader.place(node))

    def _like(self, node: exp.Expr, scope: Scope) -> Expr:
        """LIKE with a constant pattern on values that are known: the list of those that match."""
        operand_node, pattern_node = self.reader.get(node, "this"), self.reader.get(node, "expression")
        negate = bool(self.reader.get(node, "negate"))
        operand, pattern = self.expression(operand_node, scope), self.expression(pattern_node, scope)
        span = self.reader.place(node)
        values = self.values(operand) if isinstance(operand, ColumnRef) else None
        if operand.type != TEXT or values is None:
            remedy = "compare with =, or list the values with IN"
            self.reader.refuse("Q302", node, "LIKE is in the SQL subset for a text column with known values only", remedy)
        if not (isinstance(pattern, Constant) and isinstance(pattern.value, str)) or "\\" in pattern.value:
            self.reader.refuse(
                "Q302", pattern_node, "the pattern of LIKE is a constant without backslashes", "list the values with IN"
            )
        parts = {"%": ".*", "_": "."}
        shape = re.compile("".join(parts.get(c, re.escape(c)) for c in pattern.value), re.DOTALL)
        matching = tuple(Constant(v, TEXT, span) for v in values if isinstance(v, str) and shape.fullmatch(v))
        # None matches: false, and NULL where the column is NULL.
        matches: Expr = InList(operand, matching, span=span) if matching else Compare("<>", operand, operand, span=span)
        return Not(matches, span=span) if negate else matches

    def _quotient(self, node: exp.Expr, scope: Scope) -> Expr:
        """``/`` and ``%`` of a column with known values by a constant, by cases; as in PostgreSQL they round towards zero."""
        operand_node, divisor_node = self.reader.get(node, "this"), self.reader.get(node, "expression")
        self.reader.skip(node, "typed", "safe")
        operand, divisor = self.expression(operand_node, scope), self.expression(divisor_node, scope)
        span, sign = self.reader.place(node), "/" if isinstance(node, exp.Div) else "%"
        values = self.values(operand) if isinstance(operand, ColumnRef) and operand.type == INTEGER else None
        known = isinstance(divisor, Constant) and isinstance(divisor.value, int) and divisor.type == INTEGER
        if values is None or not known:
            message = f"{sign} is in the SQL subset for an integer column with known values by a constant only"
            remedy = "integers are added, subtracted and multiplied otherwise; or keep the result in a column of its own"
            self.reader.refuse("Q302", node, message, remedy)
        assert isinstance(divisor, Constant)
        by = divisor.value
        assert isinstance(by, int)
        if by == 0:
            self.reader.refuse("Q302", divisor_node, "division by zero")
        whens: list[tuple[Expr, Expr]] = []
        for value in values:
            assert isinstance(value, int)
            whole = abs(value) // abs(by) * (1 if (value < 0) == (by < 0) else -1)
            result = whole if sign == "/" else value - whole * by
            whens.append((Compare("=", operand, Constant(value, INTEGER), span=span), Constant(result, INTEGER, span)))
        return Case(tuple(whens), Constant(None, NULL), INTEGER, span)

    def _between(self, node: exp.Expr, scope: Scope) -> Expr:
        operand_node = self.reader.get(node, "this")
        low_node, high_node = self.reader.get(node, "low"), self.reader.get(node, "high")
        operand = self.expression(operand_node, scope)
        low, high = self.expression(low_node, scope), self.expression(high_node, scope)
        left = self.compare(">=", (operand, operand_node), (low, low_node), node)
        right = self.compare("<=", (operand, operand_node), (high, high_node), node)
        return And((left, right), span=self.reader.place(node))

    def _exists(self, node: exp.Expr, scope: Scope) -> Expr:
        query, _ = self.subquery(self.reader.get(node, "this"), scope)
        return Exists(query, span=self.reader.place(node))

    def _scalar_query(self, node: exp.Expr, scope: Scope) -> Expr:
        query, columns = self.subquery(node, scope)
        if len(columns) != 1:
            message = f"a subquery used as a value has one column, not {len(columns)}"
            self.reader.refuse("Q324", node, message)
        return ScalarQuery(query, columns[0].type, self.reader.place(node))

    def _coalesce(self, node: exp.Expr, scope: Scope) -> Expr:
        nodes = [self.reader.get(node, "this"), *self.reader.many(node, "expressions")]
        bound = self.as_numbers([self.expression(n, scope) for n in nodes])
        kind = self.unify(list(zip(bound, nodes, strict=True)), "COALESCE needs one type", node)
        return Coalesce(tuple(bound), kind, self.reader.place(node))

    def _case(self, node: exp.Expr, scope: Scope) -> Expr:
        subject_node = self.reader.get(node, "this")
        subject = None if subject_node is None else self.expression(subject_node, scope)
        whens: list[tuple[Expr, Expr]] = []
        results: list[tuple[Expr, exp.Expr]] = []
        for branch in self.reader.many(node, "ifs"):
            test_node, value_node = self.reader.get(branch, "this"), self.reader.get(branch, "true")
            if subject is None:
                test = self.boolean(test_node, scope)
            else:
                test = self.compare("=", (subject, subject_node), (self.expression(test_node, scope), test_node), branch)
            value = self.expression(value_node, scope)
            whens.append((test, value))
            results.append((value, value_node))
        otherwise: Expr = Constant(None, NULL)
        otherwise_node = self.reader.get(node, "default")
        if otherwise_node is not None:
            otherwise = self.expression(otherwise_node, scope)
            results.append((otherwise, otherwise_node))
        kind = self.unify(results, "CASE needs one type", node)
        return Case(tuple(whens), otherwise, kind, self.reader.place(node))

    def _simple(self, nodes: list[exp.Expr], scope: Scope, what: str) -> list[Expr]:
        bound = [self.expression(n, scope) for n in nodes]
        for expression, place in zip(bound, nodes, strict=True):
            if not isinstance(expression, (Constant, ColumnRef, Variable, Clock)):
                message = f"{what} is in the SQL subset for columns, variables and constants only"
                self.reader.refuse("Q302", place, message, "write CASE")
        return bound

    def _nullif(self, node: exp.Expr, scope: Scope) -> Expr:
        nodes = [self.reader.get(node, "this"), self.reader.get(node, "expression")]
        left, right = self._simple(nodes, scope, "NULLIF")
        span = self.reader.place(node)
        test = self.compare("=", (left, nodes[0]), (right, nodes[1]), node)
        return Case(((test, Constant(None, NULL)),), left, left.type, span)

    def _extreme(self, node: exp.Expr, scope: Scope) -> Expr:
        """GREATEST and LEAST, which skip NULLs, as CASE."""
        self.reader.skip(node, "ignore_nulls")
        greatest = isinstance(node, exp.Greatest)
        word = "GREATEST" if greatest else "LEAST"
        nodes = [self.reader.get(node, "this"), *self.reader.many(node, "expressions")]
        if len(nodes) > 3:
            self.reader.refuse("Q302", nodes[3], f"{word} of more than three values is not in the SQL subset", "write CASE")
        bound = self._simple(nodes, scope, word)
        kind = self.unify(list(zip(bound, nodes, strict=True)), f"{word} needs one type", node)
        self.ordered(kind, node, word)
        result = bound[0]
        span = self.reader.place(node)
        for other in bound[1:]:
            test = Compare(">=" if greatest else "<=", result, other, span=span)
            whens = ((IsNull(other, span=span), result), (IsNull(result, span=span), other), (test, result))
            result = Case(whens, other, kind, span)
        return result

    def _arithmetic(self, node: exp.Expr, scope: Scope) -> Expr:  # noqa: RET503
        operator = "+" if isinstance(node, exp.Add) else "-" if isinstance(node, exp.Sub) else "*"
        left_node, right_node = self.reader.get(node, "this"), self.reader.get(node, "expression")
        left, right = self.expression(left_node, scope), self.expression(right_node, scope)
        span = self.reader.place(node)
        kinds = (left.type.kind, right.type.kind)
        if set(kinds) <= {"integer", "null"}:
            return Arithmetic(operator, left, right, INTEGER, span)
        if "reference" in kinds:
            known = "are no numbers to calculate with" if self.environment.exact_ids else "are only known up to equality"
            message = f"{operator} on a generated id: ids {known}"
            self.reader.refuse("Q322", node, message, "count in a column of your own")
        if operator in "+-":
            if kinds in {("timestamp", "interval"), ("timestamp", "null")}:
                return Arithmetic(operator, left, right, TIMESTAMP, span)
            if kinds == ("interval", "timestamp") and operator == "+":
                return Arithmetic(operator, right, left, TIMESTAMP, span)
            if kinds in {("interval", "interval"), ("interval", "null")}:
                return Arithmetic(operator, left, right, INTERVAL, span)
            if kinds == ("timestamp", "timestamp"):
                message = "the difference of two points in time is not in the SQL subset"
                self.reader.refuse("Q302", node, message, "write a > b + INTERVAL '…' in place of a - b > INTERVAL '…'")
        message = f"{operator} is not defined for {_article(left.type)} and {_article(right.type)}"
        self.reader.refuse("Q320", node, message)

    def _negative(self, node: exp.Expr, scope: Scope) -> Expr:
        child = self.reader.get(node, "this")
        operand = self.expression(child, scope)
        span = self.reader.place(node)
        if operand.type.kind not in {"integer", "interval"}:
            self.reader.refuse("Q320", node, f"- is not defined for {_article(operand.type)}")
        if isinstance(operand, Constant) and isinstance(operand.value, int):
            return Constant(-operand.value, operand.type, span)
        return Arithmetic("-", Constant(0, operand.type), operand, operand.type, span)

    def _clock(self, node: exp.Expr, _scope: Scope) -> Expr:
        kind = "now"
        if isinstance(node, exp.Anonymous):
            function = str(self.reader.get(node, "this")).lower()
            if function not in {"clock_timestamp", "transaction_timestamp"} or node.args.get("expressions"):
                self.reader.unsupported(node)
            kind = "clock_timestamp" if function == "clock_timestamp" else "now"
        if not self.environment.server_clock:
            message = f"the server's clock cannot be read in {self.environment.subject}"
            self.reader.refuse("Q327", self.reader.place(node), message, "the program's own clock is `set: {at: clock}`")
        return Clock(kind, span=self.reader.place(node))

    # -------------------------------------------------------------------------------------------------------- casts

    def _cast(self, node: exp.Expr, scope: Scope) -> Expr:  # noqa: RET503
        operand_node, target = self.reader.get(node, "this"), self.reader.get(node, "to")
        operand = self.expression(operand_node, scope)
        kind = self._cast_type(target, node)
        span = self.reader.place(node)
        if isinstance(operand, Constant) and operand.value is None:
            return Constant(None, kind, span)
        if operand.type == kind or operand.type == NULL:
            if kind == TEXT and isinstance(target, exp.DataType):
                self._check_enum(operand, target, node)
            return operand
        if kind == INTERVAL and isinstance(operand, Constant) and isinstance(operand.value, str):
            return self._duration(operand.value, None, node)
        if kind == INTEGER and operand.type == BOOLEAN and isinstance(operand, (ColumnRef, Variable, Constant)):
            whens = ((operand, Constant(1, INTEGER)), (Not(operand, span=span), Constant(0, INTEGER)))
            return Case(whens, Constant(None, NULL), INTEGER, span)
        message = f"a cast from {_article(operand.type)} to {_article(kind)} is not in the SQL subset"
        self.reader.refuse("Q302", node, message, "casts that can lose or fail are refused")

    def _check_enum(self, operand: Expr, target: exp.DataType, node: exp.Expr) -> None:
        named = target.args.get("kind")
        labels = self.environment.enums.get(self.name(named, "a type")) if named is not None else None
        if labels is not None and isinstance(operand, Constant) and operand.value not in labels:
            hint = did_you_mean(str(operand.value), labels)
            self.reader.refuse("Q321", operand.span or node, f"{operand.value!r} is no value of the enum", hint)

    def _cast_type(self, target: object, node: exp.Expr) -> Type:  # noqa: RET503
        if not isinstance(target, exp.DataType):
            self.reader.refuse("Q302", node, "this cast is not in the SQL subset")
        kind = getattr(self.reader.get(target, "this"), "value", None)
        if target.args.get("expressions"):
            self.reader.refuse("Q302", node, "a cast to a type with a length may truncate and is not in the SQL subset")
        if kind in _INTEGER_TYPES:
            return INTEGER
        if kind in {"TEXT", "VARCHAR"}:
            return TEXT
        if kind == "BOOLEAN":
            return BOOLEAN
        if kind in _TIMESTAMP_TYPES:
            return TIMESTAMP
        if kind == "INTERVAL":
            return INTERVAL
        if kind == "USER-DEFINED" and self.name(self.reader.get(target, "kind"), "a type") in self.environment.enums:
            return TEXT
        shown = target.sql(dialect="postgres")
        self.reader.refuse("Q302", node, f"a cast to {shown} is not in the SQL subset")

    # --------------------------------------------------------------------------------------------------- aggregates

    def _aggregate(self, node: exp.Expr, scope: Scope) -> Expr:
        function = type(node).__name__.lower()
        self.reader.skip(node, "big_int")
        operand_node = self.reader.get(node, "this")
        if not scope.aggregates:
            where = scope.clause or self.environment.subject
            remedy = "write it in HAVING, or in a subquery" if where == "WHERE" else "write it in a subquery"
            self.reader.refuse("Q325", node, f"{function}() cannot stand in {where}", remedy)
        scope.grouped = True
        span = self.reader.place(node)
        distinct = False
        if isinstance(operand_node, exp.Distinct):
            distinct = True
            inner = self.reader.many(operand_node, "expressions")
            if len(inner) != 1:
                self.reader.refuse("Q302", node, "DISTINCT over several columns is not in the SQL subset here")
            operand_node = inner[0]
        if isinstance(operand_node, exp.Star):
            if function != "count" or distinct:
                self.reader.unsupported(operand_node)
            return Aggregate("count", None, False, INTEGER, span)
        clause, scope.aggregates, scope.clause = scope.clause, False, "another aggregate"
        try:
            operand = self.expression(operand_node, scope)
        finally:
            scope.aggregates, scope.clause = True, clause
        if not self._own(operand, scope):
            message = f"{function}() over columns of the enclosing query only is not in the SQL subset"
            self.reader.refuse("Q302", node, message, "compute it in the enclosing query")
        if function == "sum" and operand.type not in (INTEGER, NULL):
            self.reader.refuse("Q320", node, f"sum() needs integers, not {_article(operand.type)}")
        if function in {"min", "max"}:
            self.ordered(operand.type, node, f"{function}()")
            distinct = False  # the least of a set is the least of its elements
        kind = INTEGER if function in {"count", "sum"} else operand.type
        return Aggregate(function, operand, distinct, kind, span)

    def _own(self, operand: Expr, scope: Scope) -> bool:
        used = {ref.source for ref in column_refs(operand)}
        return not used or bool(used & scope.sources())

    _HANDLERS: ClassVar[dict[type[exp.Expr], Callable[[ExpressionBinder, exp.Expr, Scope], Expr]]] = {
        exp.Column: _column,
        exp.Paren: _paren,
        exp.Literal: _literal,
        exp.Boolean: _boolean_literal,
        exp.Null: _null,
        exp.Interval: _interval,
        exp.EQ: _compare,
        exp.NEQ: _compare,
        exp.LT: _compare,
        exp.LTE: _compare,
        exp.GT: _compare,
        exp.GTE: _compare,
        exp.NullSafeEQ: _compare,
        exp.NullSafeNEQ: _compare,
        exp.And: _and,
        exp.Or: _or,
        exp.Not: _not,
        exp.Is: _is,
        exp.In: _in,
        exp.Between: _between,
        exp.Exists: _exists,
        exp.Subquery: _scalar_query,
        exp.Coalesce: _coalesce,
        exp.Case: _case,
        exp.Nullif: _nullif,
        exp.Greatest: _extreme,
        exp.Least: _extreme,
        exp.Add: _arithmetic,
        exp.Sub: _arithmetic,
        exp.Mul: _arithmetic,
        exp.Div: _quotient,
        exp.Mod: _quotient,
        exp.Like: _like,
        exp.Neg: _negative,
        exp.CurrentTimestamp: _clock,
        exp.Anonymous: _clock,
        exp.Cast: _cast,
        exp.Count: _aggregate,
        exp.Min: _aggregate,
        exp.Max: _aggregate,
        exp.Sum: _aggregate,
    }


def _article(kind: Type) -> str:
    words = {"integer": "an integer", "text": "text", "interval": "an interval", "timestamp": "a point in time", "null": "NULL"}
    return f"an id of {kind.table}" if kind.kind == "reference" else words.get(kind.kind, f"a {kind.kind}")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def children(expression: Expr) -> tuple[Expr, ...]:
    """The direct parts of an expression; those inside a subquery are not parts (see :func:`column_refs`)."""
    match expression:
        case Not(operand=operand) | IsNull(operand=operand) | IsTruth(operand=operand) | Number(operand=operand):
            return (operand,)
        case And(operands=operands) | Or(operands=operands) | Coalesce(operands=operands) | InQuery(operands=operands):
            return operands
        case Compare(left=left, right=right) | Arithmetic(left=left, right=right):
            return (left, right)
        case Case(whens=whens, otherwise=otherwise):
            return (*(part for when in whens for part in when), otherwise)
        case InList(operand=operand, items=items):
            return (operand, *items)
        case Aggregate(operand=aggregated):
            return () if aggregated is None else (aggregated,)
    return ()


def column_refs(expression: Expr) -> list[ColumnRef]:
    """Every column that an expression refers to, its subqueries' included."""
    if isinstance(expression, ColumnRef):
        return [expression]
    found = [ref for child in children(expression) for ref in column_refs(child)]
    if isinstance(expression, (InQuery, Exists, ScalarQuery)):
        found += [ref for part in query_parts(expression.query) for ref in column_refs(part)]
    return found


def query_parts(query: Query) -> list[Expr]:
    """Every expression that stands directly in a query or in a derived table of its FROM."""
    parts = [output.expression for output in query.outputs]
    parts += [part for part in (query.where, query.having, query.limit) if part is not None]
    parts += [*query.group_by, *(key.expression for key in query.order_by)]
    stack: list[From | None] = [query.source]
    while stack:
        item = stack.pop()
        if isinstance(item, Join):
            stack += [item.left, item.right]
            if item.on is not None:
                parts.append(item.on)
        elif isinstance(item, DerivedSource):
            parts += query_parts(item.query)
    return parts


def map_columns(expression: Expr, change: Callable[[ColumnRef], ColumnRef]) -> Expr:
    """The expression with each of its columns changed; subqueries are left alone."""
    if isinstance(expression, ColumnRef):
        return change(expression)

    def go(value: object) -> object:
        if isinstance(value, tuple):
            return tuple(go(part) for part in value)
        return map_columns(cast("Expr", value), change) if isinstance(value, get_args(Expr)) else value

    changed: dict[str, Any] = {f.name: go(getattr(expression, f.name)) for f in fields(expression) if f.name != "span"}
    return replace(expression, **changed)
