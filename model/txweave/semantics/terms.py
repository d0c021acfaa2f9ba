"""SQL expressions to terms: three-valued logic lowered to two-valued formulas.

A boolean SQL expression ``e`` becomes the pair of formulas ``true(e)`` and ``false(e)``; it is NULL when neither holds.
A value becomes a term in which NULL is the value ``None``.  Timestamps are ages: how many ticks ago, so that earlier is larger.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from txweave.semantics.symbolic import Functions
from txweave.sql import tree
from txweave.system import expr as x
from txweave.system.expr import Expr


@dataclass
class Env:
    """What the names in an expression mean.

    ``column(source, name)`` and ``variable(name)`` give terms; ``clock(kind)`` the age of a clock reading (0 for the moment's).
    ``kept`` overrides subqueries by the value they had when a waiting statement began: node id to (true, false) or a term.
    ``tick`` is the length of a tick in microseconds.
    """

    terms: Terms
    column: Callable[[str, str], Expr]
    variable: Callable[[str], Expr]
    clock: Callable[[str], Expr]
    subquery: Callable[[tree.Query, Env], Result]
    kept: dict[int, Expr] = field(default_factory=dict)
    aggregate: Callable[[tree.Aggregate], Expr] | None = None

    def with_columns(self, column: Callable[[str, str], Expr]) -> Env:
        """The same with other columns (an inner scope asks its own first)."""
        return Env(self.terms, column, self.variable, self.clock, self.subquery, self.kept, None)


@dataclass(frozen=True)
class Branch:
    """Rows of a query: one for each assignment of ``locals`` that satisfies ``condition``; ``columns`` are the outputs and
    ``order`` the terms of the ORDER BY keys.  ``keys`` identify the row among the branch's (the locals, as terms)."""

    locals: tuple[x.Local, ...]
    condition: Expr
    columns: tuple[Expr, ...]
    order: tuple[Expr, ...] = ()
    sources: tuple[tuple[str, Expr], ...] = ()
    """For each table in FROM, its source id and the row (NULL on the empty side of an outer join)."""


@dataclass(frozen=True)
class Result:
    """The rows of a query: the union of its branches."""

    branches: tuple[Branch, ...]


class Terms:
    """Translates expressions.  ``tick`` is the length of a tick in microseconds, ``sizes`` the number of row slots per table."""

    def __init__(self, functions: Functions, tick: int, sizes: Mapping[str, int] | None = None) -> None:
        self.functions = functions
        self.tick = tick
        self.sizes = sizes or {}
        self._nullable: dict[Expr, bool] = {}

    # ------------------------------------------------------------------------------------------------------- NULL

    def nullable(self, term: Expr) -> bool:
        """Whether a term may be NULL (an upper bound)."""
        found = self._nullable.get(term)
        if found is None:
            match term:
                case x.Const(value):
                    found = value is None
                case x.Local(_, domain):
                    found = domain.nullable
                case x.Apply(function, _):
                    found = self.functions.nullable(function)
                case x.Ite(_, then, otherwise):
                    found = self.nullable(then) or self.nullable(otherwise)
                case x.Arith(_, left, right):
                    found = self.nullable(left) or self.nullable(right)
                case x.Count():
                    found = False
                case x.Fold():
                    found = True
                case x.Pick(_, _, chosen, default):
                    found = self.nullable(chosen) or self.nullable(default)
                case _:
                    found = False
            self._nullable[term] = found
        return found

    def is_null(self, term: Expr) -> Expr:
        """That a term is NULL."""
        if not self.nullable(term):
            return x.FALSE
        if isinstance(term, x.Ite):
            return x.ite(term.condition, self.is_null(term.then), self.is_null(term.otherwise))
        return x.equal(term, x.NULL)

    def not_null(self, term: Expr) -> Expr:
        """That a term is not NULL."""
        return x.neg(self.is_null(term))

    # ---------------------------------------------------------------------------------------------------- booleans

    def true(self, node: tree.Expr, env: Env) -> Expr:
        """That a boolean expression is true."""
        return self._boolean(node, env, True)

    def false(self, node: tree.Expr, env: Env) -> Expr:
        """That a boolean expression is false (not NULL)."""
        return self._boolean(node, env, False)

    def _boolean(self, node: tree.Expr, env: Env, want: bool) -> Expr:
        match node:
            case tree.Not(operand):
                return self._boolean(operand, env, not want)
            case tree.And(operands):
                parts = [self._boolean(o, env, want) for o in operands]
                return x.conj(*parts) if want else x.disj(*parts)
            case tree.Or(operands):
                parts = [self._boolean(o, env, want) for o in operands]
                return x.disj(*parts) if want else x.conj(*parts)
            case tree.Compare():
                return self._compare(node, env, want)
            case tree.IsNull(operand):
                null = self.is_null(self.value(operand, env))
                return null if want else x.neg(null)
            case tree.IsTruth(operand, wanted):
                holds = self._boolean(operand, env, wanted)
                return holds if want else x.neg(holds)
            case tree.InList(operand, items):
                term = self.value(operand, env)
                others = [self.value(item, env) for item in items]
                if want:
                    return x.conj(self.not_null(term), x.disj(*(x.conj(self.not_null(o), x.equal(term, o)) for o in others)))
                return x.conj(self.not_null(term), *(x.conj(self.not_null(o), x.neg(x.equal(term, o))) for o in others))
            case tree.InQuery() | tree.Exists():
                return self._membership(node, env, want)
            case tree.Case(whens, otherwise):
                result = self._boolean(otherwise, env, want)
                for condition, value in reversed(whens):
                    result = x.ite(self.true(condition, env), self._boolean(value, env, want), result)
                return result
            case tree.Coalesce(operands):
                result = self._boolean(operands[-1], env, want)
                for operand in reversed(operands[:-1]):
                    known = x.disj(self.true(operand, env), self.false(operand, env))
                    result = x.ite(known, self._boolean(operand, env, want), result)
                return result
            case _:
                term = self.value(node, env)
                if not self.nullable(term):
                    holds = x.truth(term)
                    return holds if want else x.neg(holds)
                return x.equal(term, x.TRUE if want else x.FALSE)

    def _membership(self, node: tree.InQuery | tree.Exists, env: Env, want: bool) -> Expr:
        kept = env.kept.get(id(node))
        if kept is not None:
            if not self.nullable(kept):
                return x.truth(kept) if want else x.neg(x.truth(kept))
            return x.equal(kept, x.TRUE if want else x.FALSE)
        result = env.subquery(node.query, env)
        if isinstance(node, tree.Exists):
            found = x.disj(*(x.exists(b.locals, b.condition) for b in result.branches))
            return found if want else x.neg(found)
        terms = [self.value(operand, env) for operand in node.operands]
        parts = []
        for branch in result.branches:
            if want:
                # true: some row equal in every column, none of them NULL
                same = [
                    x.conj(self.not_null(a), self.not_null(b), x.equal(a, b)) for a, b in zip(terms, branch.columns, strict=True)
                ]
                parts.append(x.exists(branch.locals, x.conj(branch.condition, *same)))
            else:
                # false: every row differs for certain in some column
                differs = [
                    x.conj(self.not_null(a), self.not_null(b), x.neg(x.equal(a, b)))
                    for a, b in zip(terms, branch.columns, strict=True)
                ]
                parts.append(x.forall(branch.locals, x.implies(branch.condition, x.disj(*differs))))
        return x.disj(*parts) if want else x.conj(*parts)

    def _compare(self, node: tree.Compare, env: Env, want: bool) -> Expr:
        left, right = self.value(node.left, env), self.value(node.right, env)
        if node.operator in ("is distinct", "is not distinct"):
            same = x.equal(left, right)
            return same if (node.operator == "is not distinct") == want else x.neg(same)
        known = x.conj(self.not_null(left), self.not_null(right))
        timestamps = node.left.type.kind == "timestamp" or node.right.type.kind == "timestamp"
        match node.operator:
            case "=":
                holds = x.equal(left, right)
            case "<>":
                holds = x.neg(x.equal(left, right))
            case "<":
                holds = self.before(left, right, timestamps)
            case ">":
                holds = self.before(right, left, timestamps)
            case "<=":
                holds = x.neg(self.before(right, left, timestamps))
            case _:
                holds = x.neg(self.before(left, right, timestamps))
        return x.conj(known, holds if want else x.neg(holds))

    @staticmethod
    def before(left: Expr, right: Expr, timestamps: bool) -> Expr:
        """``left < right`` in SQL's order: an earlier timestamp has the larger age."""
        return x.less(right, left) if timestamps else x.less(left, right)

    # ------------------------------------------------------------------------------------------------------ values

    def value(self, node: tree.Expr, env: Env) -> Expr:
        """A term for the value."""
        match node:
            case tree.Constant(value, type_):
                return self.constant(value, type_)
            case tree.ColumnRef(source, column):
                return env.column(source, column)
            case tree.Variable(name):
                return env.variable(name)
            case tree.Clock(kind):
                return env.clock(kind)
            case tree.Arithmetic(operator, left, right, type_):
                return self._arithmetic(operator, left, right, type_, env)
            case tree.Number(operand):
                return self._number(self.value(operand, env), operand.type)
            case tree.Case(whens, otherwise) if node.type.kind != "boolean":
                result = self.value(otherwise, env)
                for condition, then in reversed(whens):
                    result = x.ite(self.true(condition, env), self.value(then, env), result)
                return result
            case tree.Coalesce(operands) if node.type.kind != "boolean":
                result = self.value(operands[-1], env)
                for operand in reversed(operands[:-1]):
                    term = self.value(operand, env)
                    result = x.ite(self.is_null(term), result, term)
                return result
            case tree.ScalarQuery():
                kept = env.kept.get(id(node))
                if kept is not None:
                    return kept
                return self.scalar(env.subquery(node.query, env))
            case tree.Aggregate():
                assert env.aggregate is not None, "an aggregate outside of a grouped query"
                return env.aggregate(node)
            case _:
                true, false = self.true(node, env), self.false(node, env)
                if false is x.neg(true):
                    return true
                return x.ite(true, x.TRUE, x.ite(false, x.FALSE, x.NULL))

    @staticmethod
    def scalar(result: Result) -> Expr:
        """The value of a query with one column: NULL when it has no row (that it has at most one is for the caller)."""
        term: Expr = x.NULL
        for branch in reversed(result.branches):
            term = x.pick(branch.locals, branch.condition, branch.columns[0], term)
        return term

    def constant(self, value: object, type_: tree.Type) -> Expr:
        """A literal: an interval becomes ticks, a reference the row of that number."""
        if value is None:
            return x.NULL
        if type_.kind == "interval":
            assert isinstance(value, int)
            return x.const(value // self.tick)
        if type_.kind == "reference":
            assert isinstance(value, int)
            assert type_.table is not None
            return x.const(x.Elem(type_.table, value - 1))
        assert isinstance(value, (bool, int, str))
        return x.const(value)

    def _number(self, term: Expr, type_: tree.Type) -> Expr:
        """An exact id as an integer: slots are taken in the order of the sequence, from 1."""
        assert type_.table is not None
        size = self.sizes[type_.table]
        result: Expr = x.NULL if self.nullable(term) or not size else x.const(size)
        for number in reversed(range(size if result is x.NULL else size - 1)):
            result = x.ite(x.equal(term, x.const(x.Elem(type_.table, number))), x.const(number + 1), result)
        return result

    def _arithmetic(self, operator: str, left: tree.Expr, right: tree.Expr, type_: tree.Type, env: Env) -> Expr:
        a, b = self.value(left, env), self.value(right, env)
        if type_.kind == "timestamp":
            if left.type.kind == "interval":  # interval + timestamp
                a, b = b, a
            # an age: later means smaller
            return self._null_safe("-" if operator == "+" else "+", a, b)
        return self._null_safe(operator, a, b)

    @staticmethod
    def _null_safe(operator: str, left: Expr, right: Expr) -> Expr:
        return x.arith(operator, left, right)
