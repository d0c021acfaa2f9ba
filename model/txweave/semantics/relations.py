"""Queries to rows: a SELECT becomes the union of comprehensions over the sorts of its tables."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from txweave.semantics.terms import Branch, Env, Result, Terms
from txweave.sql import tree
from txweave.system import expr as x
from txweave.system.expr import Expr

Columns = Callable[[str], Expr]


@dataclass(frozen=True)
class Reader:
    """How a query sees a table: which rows are there and what they hold.

    ``sort(table)`` is the table's sort, ``live(table, row)`` whether the row is there, ``column(table, name, row)`` its value.
    """

    sort: Callable[[str], str]
    live: Callable[[str, Expr], Expr]
    column: Callable[[str, str, Expr], Expr]


@dataclass(frozen=True)
class Combination:
    """A combination of FROM items: bound rows, the condition that it exists, and the columns of each source."""

    locals: tuple[x.Local, ...]
    condition: Expr
    columns: dict[str, Columns]
    rows: tuple[tuple[str, Expr], ...]


def _null_columns(_: str) -> Expr:
    return x.NULL


class Relations:
    """Lowers queries, reading tables through a :class:`Reader`."""

    def __init__(self, terms: Terms, reader: Reader) -> None:
        self.terms = terms
        self.reader = reader

    def scope(self, env: Env, columns: dict[str, Columns]) -> Env:
        """``env`` with the columns of more sources, whose subqueries read through this reader."""

        def column(source: str, name: str) -> Expr:
            return columns[source](name) if source in columns else env.column(source, name)

        return replace(env.with_columns(column), subquery=self.query, aggregate=env.aggregate)

    def table(self, source: str, table: str, row: Expr) -> Columns:
        """The columns of a row of a table."""
        del source
        return lambda name: self.reader.column(table, name, row)

    def combinations(self, source: tree.From | None, env: Env) -> list[Combination]:
        """All combinations of rows that a FROM clause makes."""
        match source:
            case None:
                return [Combination((), x.TRUE, {}, ())]
            case tree.TableSource(name, table):
                row = x.local(name, self.reader.sort(table))
                return [Combination((row,), self.reader.live(table, row), {name: self.table(name, table, row)}, ((name, row),))]
            case tree.DerivedSource(name, query):
                found = []
                for branch in self.query(query, env).branches:
                    values = {output.name: term for output, term in zip(query.outputs, branch.columns, strict=True)}
                    found.append(Combination(branch.locals, branch.condition, {name: values.__getitem__}, ()))
                return found
            case tree.Join(kind, left, right, on):
                found = []
                for a in self.combinations(left, env):
                    inner: list[Combination] = []
                    for b in self.combinations(right, self.scope(env, a.columns)):
                        columns = {**a.columns, **b.columns}
                        holds = x.TRUE if on is None else self.terms.true(on, self.scope(env, columns))
                        inner.append(
                            Combination(
                                (*a.locals, *b.locals), x.conj(a.condition, b.condition, holds), columns, (*a.rows, *b.rows)
                            )
                        )
                    found.extend(inner)
                    if kind == "left":
                        matched = x.disj(*(x.exists(c.locals[len(a.locals) :], c.condition) for c in inner))
                        empty = dict.fromkeys(_sources(right), _null_columns)
                        rows = tuple((name, x.NULL) for name in _table_sources(right))
                        found.append(
                            Combination(a.locals, x.conj(a.condition, x.neg(matched)), {**a.columns, **empty}, (*a.rows, *rows))
                        )
                return found
        raise AssertionError(source)

    def query(self, query: tree.Query, env: Env) -> Result:
        """The rows of a query, without LIMIT and locks (the caller's business), with DISTINCT and grouping."""
        combos = []
        for combo in self.combinations(query.source, env):
            inner = self.scope(env, combo.columns)
            holds = x.TRUE if query.where is None else self.terms.true(query.where, inner)
            combos.append(replace(combo, condition=x.conj(combo.condition, holds)))
        if query.grouped:
            branches = self._grouped(query, combos, env)
        else:
            branches = []
            for combo in combos:
                if combo.condition is x.FALSE:
                    continue
                inner = self.scope(env, combo.columns)
                columns = tuple(self.terms.value(o.expression, inner) for o in query.outputs)
                order = tuple(self.terms.value(k.expression, inner) for k in query.order_by)
                branches.append(Branch(combo.locals, combo.condition, columns, order, combo.rows))
        if query.distinct:
            branches = self._distinct(branches)
        return Result(tuple(branches))

    def rows(self, query: tree.Query, env: Env) -> list[Branch]:
        """The branches that may have rows; when none may, one that never has: a statement always has an outcome."""
        found = self.query(query, env).branches
        possible = [branch for branch in found if branch.condition is not x.FALSE]
        if possible:
            return possible
        sources = tuple((name, x.NULL) for name in (_table_sources(query.source) if query.source is not None else ()))
        nothing = tuple(x.NULL for _ in query.outputs)
        return [Branch((), x.FALSE, nothing, tuple(x.NULL for _ in query.order_by), sources)]

    def _distinct(self, branches: list[Branch]) -> list[Branch]:
        """Keep the first of equal rows."""
        found: list[Branch] = []
        for number, branch in enumerate(branches):
            earlier: list[Expr] = []
            for other in branches[:number]:
                earlier.append(x.exists(other.locals, x.conj(other.condition, *_same(branch.columns, other.columns))))
            renamed = rename(branch)
            first = before(renamed.locals, branch.locals)
            earlier.append(x.exists(renamed.locals, x.conj(renamed.condition, first, *_same(branch.columns, renamed.columns))))
            found.append(replace(branch, condition=x.conj(branch.condition, x.neg(x.disj(*earlier)))))
        return found

    def _grouped(self, query: tree.Query, combos: list[Combination], env: Env) -> list[Branch]:
        """GROUP BY: a group is represented by its first combination; without keys there is one group, also of no rows."""
        if not query.group_by:
            inner = replace(self.scope(env, {}), aggregate=lambda node: self._aggregate(node, combos, env, None))
            having = x.TRUE if query.having is None else self.terms.true(query.having, inner)
            columns = tuple(self.terms.value(o.expression, inner) for o in query.outputs)
            order = tuple(self.terms.value(k.expression, inner) for k in query.order_by)
            return [Branch((), having, columns, order)]
        found = []
        for number, combo in enumerate(combos):
            keys = self._keys(query, combo, env)
            earlier: list[Expr] = []
            for position, other in enumerate(combos[: number + 1]):
                fresh = _rename_combination(other, self, env)
                same = _same(keys, self._keys(query, fresh, env))
                first = before(fresh.locals, combo.locals) if position == number else x.TRUE
                earlier.append(x.exists(fresh.locals, x.conj(fresh.condition, first, *same)))
            scope = self.scope(env, combo.columns)
            inner = replace(scope, aggregate=lambda node, keys=keys: self._aggregate(node, combos, env, (query, keys)))  # type: ignore[misc]
            having = x.TRUE if query.having is None else self.terms.true(query.having, inner)
            columns = tuple(self.terms.value(o.expression, inner) for o in query.outputs)
            order = tuple(self.terms.value(k.expression, inner) for k in query.order_by)
            found.append(Branch(combo.locals, x.conj(combo.condition, x.neg(x.disj(*earlier)), having), columns, order))
        return found

    def _keys(self, query: tree.Query, combo: Combination, env: Env) -> tuple[Expr, ...]:
        inner = self.scope(env, combo.columns)
        return tuple(self.terms.value(key, inner) for key in query.group_by)

    def _aggregate(
        self, node: tree.Aggregate, combos: list[Combination], env: Env, group: tuple[tree.Query, tuple[Expr, ...]] | None
    ) -> Expr:
        total: Expr | None = None
        if node.distinct:
            return self._count_distinct(node, combos, env, group)
        for combo in combos:
            fresh = _rename_combination(combo, self, env)
            inner = self.scope(env, fresh.columns)
            condition = fresh.condition
            if group is not None:
                query, keys = group
                condition = x.conj(condition, *_same(keys, self._keys(query, fresh, env)))
            if node.function == "count":
                if node.operand is not None:
                    condition = x.conj(condition, self.terms.not_null(self.terms.value(node.operand, inner)))
                part = x.count(fresh.locals, condition)
                total = part if total is None else x.arith("+", total, part)
                continue
            assert node.operand is not None
            timestamps = node.operand.type.kind == "timestamp"
            kind = {"min": "max", "max": "min"}.get(node.function, node.function) if timestamps else node.function
            part = x.fold(kind, fresh.locals, condition, self.terms.value(node.operand, inner))
            total = part if total is None else self._join(kind, total, part)
        if total is None:
            return x.const(0) if node.function == "count" else x.NULL
        return total

    def _join(self, kind: str, left: Expr, right: Expr) -> Expr:
        if kind == "sum":
            both = x.arith("+", left, right)
        elif kind == "min":
            both = x.ite(x.less(right, left), right, left)
        else:
            both = x.ite(x.less(left, right), right, left)
        return x.ite(self.terms.is_null(left), right, x.ite(self.terms.is_null(right), left, both))

    def _count_distinct(
        self, node: tree.Aggregate, combos: list[Combination], env: Env, group: tuple[tree.Query, tuple[Expr, ...]] | None
    ) -> Expr:
        assert node.function == "count"
        assert node.operand is not None
        branches: list[Branch] = []
        for combo in combos:
            fresh = _rename_combination(combo, self, env)
            term = self.terms.value(node.operand, self.scope(env, fresh.columns))
            condition = x.conj(fresh.condition, self.terms.not_null(term))
            if group is not None:
                query, keys = group
                condition = x.conj(condition, *_same(keys, self._keys(query, fresh, env)))
            branches.append(Branch(fresh.locals, condition, (term,)))
        total: Expr = x.const(0)
        for branch in self._distinct(branches):
            total = x.arith("+", total, x.count(branch.locals, branch.condition))
        return total


def _same(left: tuple[Expr, ...], right: tuple[Expr, ...]) -> list[Expr]:
    """Equality column by column, NULL equal to NULL (as DISTINCT and GROUP BY have it)."""
    return [x.equal(a, b) for a, b in zip(left, right, strict=True)]


def rename(branch: Branch) -> Branch:
    """The branch with fresh locals."""
    mapping: dict[x.Local, Expr] = {old: x.local(old.name.split("'")[0], old.domain) for old in branch.locals}

    def put(node: Expr) -> Expr:
        return x.substitute(node, mapping)

    fresh = tuple(mapping.values())
    assert all(isinstance(item, x.Local) for item in fresh)
    return Branch(
        fresh,  # type: ignore[arg-type]
        put(branch.condition),
        tuple(map(put, branch.columns)),
        tuple(map(put, branch.order)),
        tuple((name, put(row)) for name, row in branch.sources),
    )


def _rename_combination(combo: Combination, relations: Relations, env: Env) -> Combination:
    del relations, env
    mapping: dict[x.Local, Expr] = {old: x.local(old.name.split("'")[0], old.domain) for old in combo.locals}
    columns = {source: (lambda name, inner=inner: x.substitute(inner(name), mapping)) for source, inner in combo.columns.items()}
    rows = tuple((name, x.substitute(row, mapping)) for name, row in combo.rows)
    return Combination(tuple(mapping.values()), x.substitute(combo.condition, mapping), columns, rows)  # type: ignore[arg-type]


def before(left: tuple[Expr, ...], right: tuple[Expr, ...]) -> Expr:
    """Lexicographic order of tuples of elements of the same sorts."""
    result: Expr = x.FALSE
    for a, b in reversed(list(zip(left, right, strict=True))):
        result = x.disj(x.less(a, b), x.conj(x.equal(a, b), result))
    return result


def ordered_before(terms: Terms, keys: tuple[tree.OrderKey, ...], left: tuple[Expr, ...], right: tuple[Expr, ...]) -> Expr:
    """That a row with order terms ``left`` comes strictly before one with ``right`` under ORDER BY ``keys``."""
    result: Expr = x.FALSE
    for key, a, b in reversed(list(zip(keys, left, right, strict=True))):
        timestamps = key.expression.type.kind == "timestamp"
        boolean = key.expression.type.kind == "boolean"
        if boolean:
            smaller = x.conj(x.equal(a, x.FALSE), x.equal(b, x.TRUE))
            larger = x.conj(x.equal(a, x.TRUE), x.equal(b, x.FALSE))
        else:
            smaller, larger = terms.before(a, b, timestamps), terms.before(b, a, timestamps)
        proper = larger if key.descending else smaller
        null_a, null_b = terms.is_null(a), terms.is_null(b)
        first = x.conj(null_a, x.neg(null_b)) if key.nulls_first else x.conj(x.neg(null_a), null_b)
        strictly = x.disj(first, x.conj(x.neg(null_a), x.neg(null_b), proper))
        result = x.disj(strictly, x.conj(x.equal(a, b), result))
    return result


def _sources(source: tree.From) -> list[str]:
    if isinstance(source, tree.Join):
        return _sources(source.left) + _sources(source.right)
    return [source.source]


def _table_sources(source: tree.From) -> list[str]:
    if isinstance(source, tree.Join):
        return _table_sources(source.left) + _table_sources(source.right)
    return [source.source] if isinstance(source, tree.TableSource) else []
