"""Results of statements: what a process keeps in its variables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from txweave.semantics.context import UNKNOWN, Context
from txweave.semantics.outcome import ROWS_AFFECTED, Outcome, failed, ok
from txweave.semantics.relations import before, ordered_before, rename
from txweave.semantics.symbolic import State
from txweave.semantics.terms import Branch
from txweave.sql import program as bound
from txweave.sql import tree
from txweave.system import expr as x
from txweave.system.expr import BOOL, Expr, Local
from txweave.system.sorted import Witness


def rows_function(ctx: Context, name: str, branch: Branch) -> str | None:
    """The relation of a rows variable, indexed by the table rows that made each result row.

    None, with an error reported, when an earlier statement gave the same variable rows of another make.
    """
    sorts = tuple(item.domain.sorts[0] for item in branch.locals)
    world = ctx.world
    function = world.functions.declare(
        f"{ctx.role}.{ctx.scope}{name}", [ctx.role, *sorts], BOOL, False, ("rows", ctx.role, ctx.scope + name)
    )
    if world.functions.functions[function].params != (ctx.role, *sorts):
        world.report.error(
            "M419", ctx.span, f"the rows variable {name!r} is set by two statements over different tables", "use two variables"
        )
        return None
    return function


def value_functions(ctx: Context, name: str, branch: Branch) -> list[str | None]:
    """For each column of a rows variable (and then each ORDER BY key) the function that holds its value.

    None where the value is the identity of a row that indexes the relation: the n-th such column is the n-th of these rows, and a
    key of ORDER BY the first.
    """
    sorts = tuple(item.domain.sorts[0] for item in branch.locals)
    found: list[str | None] = []
    for number, term in enumerate((*branch.columns, *branch.order)):
        index = found.count(None) if number < len(branch.columns) else 0
        if branch.locals[index : index + 1] == (term,):
            found.append(None)
            continue
        label = str(number) if number < len(branch.columns) else f"~order{number - len(branch.columns)}"
        found.append(
            ctx.world.functions.declare(
                f"{ctx.role}.{ctx.scope}{name}.{label}",
                [ctx.role, *sorts],
                UNKNOWN,
                None,
                ("rowvalue", ctx.role, ctx.scope + name, label),
            )
        )
    return found


def keep_rows(ctx: Context, state: State, name: str, branch: Branch) -> None:
    """Assign a rows variable: all rows of the branch."""
    function = rows_function(ctx, name, branch)
    if function is None:
        return
    formals = ctx.world.functions.formals[function]
    mapping: dict[Local, Expr] = dict(zip(branch.locals, formals[1:], strict=True))
    condition = x.substitute(branch.condition, mapping)
    state.write_all(function, lambda p, *row: (x.equal(p, ctx.process), _at(condition, formals[1:], row)))
    for term, holder in zip((*branch.columns, *branch.order), value_functions(ctx, name, branch), strict=True):
        if holder is not None:
            value = x.ite(condition, x.substitute(term, mapping), x.NULL)
            state.write_all(holder, lambda p, *row, value=value: (x.equal(p, ctx.process), _at(value, formals[1:], row)))


def _at(node: Expr, formals: Sequence[Local], row: Sequence[Expr]) -> Expr:
    return x.substitute(node, dict(zip(formals, row, strict=True)))


def assign(ctx: Context, state: State, names: Sequence[str], values: Sequence[Expr]) -> None:
    """Assign scalar variables."""
    for name, value in zip(names, values, strict=True):
        state.write(ctx.variable(name), (ctx.process,), value)


def single(branches: Sequence[Branch], number: int) -> Expr:
    """The value of column ``number`` in the one row; NULL when there is none."""
    term: Expr = x.NULL
    for branch in reversed(branches):
        term = x.pick(branch.locals, branch.condition, branch.columns[number], term)
    return term


def how_many(branches: Sequence[Branch]) -> Expr:
    """The number of rows."""
    total: Expr = x.const(0)
    for branch in branches:
        total = x.arith("+", total, x.count(branch.locals, branch.condition))
    return total


def deliver(
    ctx: Context,
    node: bound.Execute,
    state: State,
    guard: Expr,
    branches: Sequence[Branch],
    affected: Expr | None,
    *,
    one: bool,
    label: str = "ok",
    note: str = "",
) -> list[Outcome]:
    """The normal end of a statement with these result rows: variables are assigned; ``into`` with several rows is an error.

    ``one`` says that there is certainly one row at most.
    """
    found: list[Outcome] = []
    results: list[tuple[str, Expr]] = []
    if node.into:
        if not one:
            many = x.less(x.const(1), how_many(branches))
            if many is not x.FALSE:
                found.append(failed(x.conj(guard, many), state.copy(), "too_many_rows", database=False))
                guard = x.conj(guard, x.neg(many))
        values = [single(branches, number) for number in range(len(node.into))]
        results.extend(zip(node.into, values, strict=True))
        state = state.copy()
        assign(ctx, state, node.into, values)
    if node.rows is not None:
        state = state.copy()
        shaped = [b for b in branches if b.condition is not x.FALSE]
        if len(shaped) > 1:
            ctx.world.report.error(
                "M412",
                ctx.span,
                f"the rows of {node.rows!r} come from an outer join",
                "keep rows of inner joins only: write the outer side as a subquery",
            )
        elif shaped or branches:
            keep_rows(ctx, state, node.rows, (shaped or list(branches))[0])
        results.append((node.rows, how_many(branches)))
    if node.affected is not None:
        assert affected is not None
        state = state.copy()
        assign(ctx, state, (node.affected,), (affected,))
        results.append((node.affected, affected))
    elif affected is not None and not node.into and node.rows is None:
        results.append((ROWS_AFFECTED, affected))
    normal = ok(guard, state, label, results=tuple(results), note=note)
    returned = tuple(Witness(b.locals, b.condition, tuple(b.columns)) for b in branches if b.condition is not x.FALSE)
    found.append(replace(normal, returned=returned if branches else None, affected=affected))
    return found


def limited(
    ctx: Context, branch: Branch, keys: Sequence[tree.OrderKey], limit: int
) -> list[tuple[tuple[Local, ...], Expr, Branch]]:
    """LIMIT: for each number of rows returned, parameters naming them, the condition, and the chosen rows as a branch.

    Which rows come first among equals is not determined: every choice is an outcome.
    """
    found: list[tuple[tuple[Local, ...], Expr, Branch]] = []
    total = x.count(branch.locals, branch.condition)
    for number in range(limit + 1):
        chosen = [rename(branch) for _ in range(number)]
        parts = [c.condition for c in chosen]
        parts.extend(before(a.locals, b.locals) for a, b in pairwise(chosen))
        enough = x.TRUE if number == limit else x.equal(total, x.const(number))
        if keys and number:
            other = rename(branch)
            is_chosen = x.disj(*(x.conj(*(x.equal(a, b) for a, b in zip(other.locals, c.locals, strict=True))) for c in chosen))
            better = x.disj(*(ordered_before(ctx.world.terms, tuple(keys), other.order, c.order) for c in chosen))
            parts.append(x.neg(x.exists(other.locals, x.conj(other.condition, x.neg(is_chosen), better))))
        among = x.disj(*(x.conj(*(x.equal(a, b) for a, b in zip(branch.locals, c.locals, strict=True))) for c in chosen))
        kept = Branch(branch.locals, x.conj(branch.condition, among), branch.columns, branch.order, branch.sources)
        params = tuple(item for c in chosen for item in c.locals)
        found.append((params, x.conj(enough, *parts), kept))
    return found
