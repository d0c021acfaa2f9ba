"""Time: which timestamps must be known, how exactly, and what a tick does to them.

A timestamp is kept as its age in ticks.  Comparisons see differences of timestamps up to a greatest constant ``C`` only.  Sort
the ages of all kept timestamps and the present (0): whenever two neighbours are more than ``C`` apart, how much more makes no
difference to any comparison, now or later, since a tick moves all of them alike.  So a tick leaves everything beyond a gap of
``C + 1`` where it is: the gap shrinks by one, not below ``C + 1``.  Ages are then at most ``C + 1`` times the number of
timestamps, and the reduced system stands for the one with unbounded time (the argument for clock regions, Alur and Dill
1994, on differences instead of values).  Where a proof is made this is not taken on trust: for the system at hand, a solver shows
that ages simulate a clock that runs on for ever (``proof/obligations.py``, the queries of kind ``clock``).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from math import gcd

from txweave.semantics.context import walk
from txweave.semantics.storage import TimeCells
from txweave.semantics.symbolic import Functions, State
from txweave.semantics.uses import nodes, procedures_of, statements_of
from txweave.spec import syntax
from txweave.spec.diagnostics import Report
from txweave.spec.durations import parse_duration
from txweave.sql import program as bound
from txweave.sql import tree
from txweave.system import expr as x
from txweave.system.expr import Domain, Expr

Node = tuple[str, ...]
"""A place that holds a timestamp: ``("column", table, name)``, ``("variable", procedure, name)``, ``("rows", procedure, name,
column)``.
"""


@dataclass
class Flow:
    """What is compared, and where values flow."""

    compared: set[Node] = field(default_factory=set)
    edges: set[tuple[Node, Node, int]] = field(default_factory=set)
    """(from, to, offset in microseconds)."""
    created: set[int] = field(default_factory=set)
    """Offsets to the clock with which timestamps are made."""
    offsets: set[int] = field(default_factory=set)
    """Offsets within comparisons."""
    durations: set[int] = field(default_factory=set)
    now_read: bool = False


@dataclass(frozen=True)
class Times:
    """The result: tick length (microseconds), kept columns and variables, domain of ages."""

    tick: int
    cells: TimeCells
    variables: frozenset[tuple[str, str]]
    gap: int
    rows: frozenset[tuple[str, str]]
    now: bool


def analyse(model: bound.BoundModel, scenario: syntax.Scenario, report: Report | None = None) -> Times:
    """Which timestamps a scenario must keep, and how long a tick is.

    ``report`` is told of a tick that does not fit; without one it must have been checked before.
    """
    flow = Flow()
    names: list[str] = []
    for role in scenario.roles:
        for name in procedures_of(model, role):
            if name not in names:
                names.append(name)
        for statement in statements_of(model, role):
            _statement(model, flow, statement, "", None)
    for name in names:
        procedure = model.procedures[name]
        for span in (procedure.repeat, procedure.within):
            if span:
                flow.durations.add(span)
        for step in nodes(procedure.steps):
            _step(model, flow, name, step)
    for item in model.properties.values():
        for node in walk(item.formula):
            if isinstance(node, tree.Query):
                _query(model, flow, node, node, "", [])
    kept = set(flow.compared)
    changed = True
    while changed:
        changed = False
        for source, target, _ in flow.edges:
            if target in kept and source not in kept:
                kept.add(source)
                changed = True
    durations = set(flow.durations)
    greatest = 0
    if kept:
        chained = sum(abs(offset) for source, target, offset in flow.edges if target in kept)
        greatest = max((abs(o) for o in flow.created), default=0) + chained + max((abs(o) for o in flow.offsets), default=0)
        durations |= {abs(o) for o in (*flow.created, *flow.offsets, *(e[2] for e in flow.edges))}
    tick = 0
    for duration in durations:
        tick = gcd(tick, duration)
    tick = tick or 1_000_000
    tick = _finer(model, scenario, tick, report)
    constant = greatest // tick
    ahead = max((o for o in flow.created if o > 0), default=0) // tick
    domain = Domain(ages=(-(ahead + (sum(abs(e[2]) for e in flow.edges) // tick if kept else 0)), constant + 1), nullable=True)
    columns = frozenset((n[1], n[2]) for n in kept if n[0] == "column")
    variables = frozenset((n[1], n[2]) for n in kept if n[0] == "variable")
    rows = frozenset((n[1], n[2]) for n in kept if n[0] == "rows")
    return Times(tick, TimeCells(columns, domain), variables, constant + 1, rows, flow.now_read)


def _finer(model: bound.BoundModel, scenario: syntax.Scenario, tick: int, report: Report | None) -> int:
    """The scenario's own tick, if it divides ``tick``, the greatest that the durations in use allow."""
    if scenario.tick is None:
        return tick
    parameter = model.source.parameters.get(scenario.tick.value.removeprefix(":"))
    value = scenario.tick.value if parameter is None else parameter.value
    wanted = parse_duration(value) if isinstance(value, str) else None
    if wanted is not None and tick % wanted == 0:
        return wanted
    if report is not None:
        message = f"a tick of {scenario.tick.value} does not divide the durations in use evenly"
        report.error("M421", scenario.tick.span(), message, f"a whole part of {tick / 1_000_000:g} s")
    return tick


def _step(model: bound.BoundModel, flow: Flow, procedure: str, step: bound.BoundStep) -> None:
    if step.within:
        flow.durations.add(step.within)
    match step.node:
        case bound.Execute(statement):
            _statement(model, flow, statement, procedure, step.node)
        case bound.Assign(assignments):
            for name, expression in assignments:
                _assign(flow, _roots(model, flow, expression, {}, procedure), ("variable", procedure, name), expression.type)
        case bound.Choose(variables, query):
            _query(model, flow, query, query, procedure, [("variable", procedure, v) for v in variables])
        case bound.ForRows(variables, rows):
            for number, name in enumerate(variables):
                flow.edges.add((("rows", procedure, rows, str(number)), ("variable", procedure, name), 0))
        case bound.Call(callee, arguments):
            for name, expression in arguments:
                _assign(flow, _roots(model, flow, expression, {}, procedure), ("variable", callee, name), expression.type)
        case bound.Branch(condition) | bound.Loop(condition):
            _compare_all(model, flow, condition, {}, procedure)
        case _:
            pass


def _assign(flow: Flow, roots: Iterable[tuple[Node | None, int]], target: Node, type_: tree.Type) -> None:
    if type_.kind not in ("timestamp", "null"):
        return
    for root, offset in roots:
        if root is None:
            flow.created.add(offset)
        else:
            flow.edges.add((root, target, offset))


def _sources(statement: object) -> dict[str, str | tree.Query]:
    found: dict[str, str | tree.Query] = {}
    for node in walk(statement):
        if isinstance(node, tree.TableSource):
            found[node.source] = node.table
        elif isinstance(node, tree.DerivedSource):
            found[node.source] = node.query
        elif isinstance(node, tree.Update | tree.Delete):
            found[node.source] = node.table
        elif isinstance(node, tree.Insert):
            found[node.table] = node.table
            found["excluded"] = node.table
    return found


def _statement(model: bound.BoundModel, flow: Flow, statement: tree.Statement, procedure: str, node: bound.Execute | None) -> None:
    sources = _sources(statement)
    targets: list[Node] = []
    if node is not None:
        targets = [("variable", procedure, name) for name in node.into]
    if isinstance(statement, tree.Select):
        if node is not None and node.rows is not None:
            targets = [("rows", procedure, node.rows, str(n)) for n in range(len(statement.query.outputs))]
        _query(model, flow, statement.query, statement, procedure, targets)
        return
    _compare_all(model, flow, statement, sources, procedure)
    pairs: list[tuple[str, tree.Expr]] = []
    if isinstance(statement, tree.Update):
        pairs.extend(statement.sets)
    if isinstance(statement, tree.Insert):
        table = model.schema.tables[statement.table]
        pairs.extend((c.name, c.default) for c in table.columns if c.default is not None)
        for row in statement.rows:
            pairs.extend((c, e) for c, e in zip(statement.columns, row, strict=True) if e is not None)
        if statement.query is not None:
            pairs.extend((c, o.expression) for c, o in zip(statement.columns, statement.query.outputs, strict=True))
        if statement.on_conflict is not None and statement.on_conflict.sets is not None:
            pairs.extend(statement.on_conflict.sets)
    if not isinstance(statement, tree.Delete):
        for column, expression in pairs:
            _assign(flow, _roots(model, flow, expression, sources, procedure), ("column", statement.table, column), expression.type)
    if node is not None and node.rows is not None:
        targets = [("rows", procedure, node.rows, str(n)) for n in range(len(statement.returning))]
    for target, output in zip(targets, statement.returning, strict=False):
        _assign(flow, _roots(model, flow, output.expression, sources, procedure), target, output.expression.type)


def _query(model: bound.BoundModel, flow: Flow, query: tree.Query, whole: object, procedure: str, targets: list[Node]) -> None:
    sources = _sources(whole)
    _compare_all(model, flow, whole, sources, procedure)
    for target, output in zip(targets, query.outputs, strict=False):
        _assign(flow, _roots(model, flow, output.expression, sources, procedure), target, output.expression.type)


def _compare_all(model: bound.BoundModel, flow: Flow, whole: object, sources: dict[str, str | tree.Query], procedure: str) -> None:
    for node in walk(whole):
        compared: list[tree.Expr] = []
        match node:
            case tree.Compare(_, left, right):
                compared = [left, right]
            case tree.InList(operand, items):
                compared = [operand, *items]
            case tree.InQuery(operands, query):
                compared = [*operands, *(o.expression for o in query.outputs)]
            case tree.Aggregate(_, operand) if operand is not None:
                compared = [operand]
            case tree.Query():
                compared = [k.expression for k in node.order_by] + list(node.group_by)
                if node.distinct:
                    compared += [o.expression for o in node.outputs]
            case tree.Clock("now"):
                flow.now_read = True
            case _:
                continue
        spread = 0
        for expression in compared:
            if expression.type.kind != "timestamp":
                continue
            roots = _roots(model, flow, expression, sources, procedure)
            flow.compared |= {root for root, _ in roots if root is not None}
            spread += max((abs(offset) for _, offset in roots), default=0)
        if spread:
            flow.offsets.add(spread)


def _roots(
    model: bound.BoundModel, flow: Flow, node: tree.Expr, sources: dict[str, str | tree.Query], procedure: str
) -> list[tuple[Node | None, int]]:
    """Where a timestamp comes from: places (None: the clock) with offsets in microseconds; of other values nothing."""
    if node.type.kind != "timestamp":
        return []
    match node:
        case tree.Clock():
            if node.kind == "now":
                flow.now_read = True
            return [(None, 0)]
        case tree.ColumnRef(source, column):
            place = sources.get(source)
            if isinstance(place, tree.Query):
                inner = next(o.expression for o in place.outputs if o.name == column)
                return _roots(model, flow, inner, sources, procedure)
            return [(("column", place or source, column), 0)]
        case tree.Variable(name):
            return [(("variable", procedure, name), 0)]
        case tree.Arithmetic(operator, left, right):
            if left.type.kind == "interval":
                left, right = right, left
            assert isinstance(right, tree.Constant), "the binder lets only constant intervals through"
            assert isinstance(right.value, int)
            shift = right.value if operator == "+" else -right.value
            return [(root, offset + shift) for root, offset in _roots(model, flow, left, sources, procedure)]
        case tree.Coalesce(operands):
            return [r for o in operands for r in _roots(model, flow, o, sources, procedure)]
        case tree.Case(whens, otherwise):
            return [r for e in (*(v for _, v in whens), otherwise) for r in _roots(model, flow, e, sources, procedure)]
        case tree.ScalarQuery(query):
            return _roots(model, flow, query.outputs[0].expression, sources, procedure)
        case tree.Aggregate(_, operand) if operand is not None:
            return _roots(model, flow, operand, sources, procedure)
        case _:
            return []


def tick_ages(functions: Functions, state: State, gap: int) -> None:
    """Write the ages after a tick."""
    names = [name for name in sorted(functions.functions) if functions.functions[name].domain.ages is not None]
    before = State(functions)

    def some(condition: object) -> Expr:
        parts = []
        for name in names:
            bound_locals = tuple(x.local(sort, sort) for sort in functions.functions[name].params)
            age = before.read(name, *bound_locals)
            parts.append(x.exists(bound_locals, x.conj(x.neg(x.equal(age, x.NULL)), condition(age))))  # type: ignore[operator]
        return x.disj(*parts)

    zero = x.const(0)

    def past(age: Expr) -> Expr:
        return x.neg(x.less(age, zero))

    near = some(lambda age: x.conj(past(age), x.less(age, x.const(gap))))

    def beyond_a_gap(own: Expr) -> Expr:
        def starts(age: Expr) -> Expr:
            limit = x.arith("+", age, x.const(gap))
            follows = some(lambda other: x.conj(x.less(age, other), x.neg(x.less(limit, other))))
            return x.conj(past(age), x.less(age, own), x.neg(follows))

        return x.disj(x.neg(near), some(starts))

    for name in names:

        def make(*args: Expr, name: str = name) -> tuple[Expr, Expr]:
            age = before.read(name, *args)
            stays = x.conj(past(age), beyond_a_gap(age))
            return x.neg(x.equal(age, x.NULL)), x.ite(stays, age, x.arith("+", age, x.const(1)))

        state.write_all(name, make)
