"""A process in the act: its role, its local, its variables and how it sees the database."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from math import prod

from txweave.semantics.relations import Reader, Relations
from txweave.semantics.storage import Storage
from txweave.semantics.symbolic import Functions, State
from txweave.semantics.terms import Env, Terms
from txweave.spec.diagnostics import Report
from txweave.spec.text import Span
from txweave.sql import tree
from txweave.system import expr as x
from txweave.system.expr import Domain, Expr, Local


@dataclass(frozen=True)
class Pause:
    """Where another process may come into the middle of a statement (:mod:`txweave.semantics.pauses`).

    ``late``: between its snapshot and its first lock; ``partly``: when some rows are locked and others are not; ``parents``: when
    its rows are written, and their parents not looked for yet; ``drawn``: when a new row has its exact id, and nothing else is
    done for it; ``gap``: where the model does not stop it.
    """

    late: bool = False
    partly: bool = False
    parents: bool = False
    drawn: bool = False
    gap: bool = False


@dataclass
class World:
    """What all parts of the lowering share."""

    functions: Functions
    storage: Storage
    terms: Terms
    report: Report
    roles: tuple[str, ...]
    """Roles of the scenario, in order."""
    counts: dict[str, int]
    savepoints: dict[str, int] = field(default_factory=dict)
    """For each role, how many savepoints it may have open at once."""
    notes: set[str] = field(default_factory=set)
    """Sentences on approximations that were needed."""
    pauses: Callable[[str, tree.Statement], Pause] = lambda _role, _statement: Pause()
    """Where a statement of a role may pause."""


@dataclass
class Context:
    """One process of ``role``, the action's parameter ``process``; ``scope`` is the prefix of its current variables."""

    world: World
    role: str
    process: Local
    scope: str = ""
    span: Span | None = None
    """The step that is being lowered, for diagnostics."""
    fixed: dict[int, Expr] = field(default_factory=dict)
    """Values of subqueries with LIMIT that the statement has chosen when it began, by the id of the node."""

    def rivals(self) -> Iterator[str]:
        """Roles that have a process other than this one: only these can stand in its way."""
        for role in self.world.roles:
            if role != self.role or self.world.counts[role] > 1:
                yield role

    def pause(self, statement: tree.Statement) -> Pause:
        """Where a statement of this process may pause."""
        return self.world.pauses(self.role, statement)

    def variable(self, name: str) -> str:
        """The state function of a variable."""
        return self.world.functions.declare(
            f"{self.role}.{self.scope}{name}", [self.role], UNKNOWN, None, ("variable", self.role, self.scope + name)
        )

    def reader(self, state: State) -> Reader:
        """The process's view: its own versions over the committed ones (a statement's snapshot at READ COMMITTED)."""
        storage = self.world.storage
        return Reader(
            sort=lambda table: table,
            live=lambda table, row: storage.visible(state, table, row, self.process, self.role),
            column=lambda table, column, row: storage.column(state, table, column, row, self.process, self.role),
        )

    def relations(self, state: State) -> Relations:
        """Queries in that view."""
        return Relations(self.world.terms, self.reader(state))

    def env(self, state: State, kept: dict[int, Expr] | None = None) -> Env:
        """Expressions in that view."""
        relations = self.relations(state)

        def column(source: str, name: str) -> Expr:
            raise AssertionError(f"no source {source}.{name} in scope")

        return Env(
            self.world.terms,
            column,
            lambda name: state.read(self.variable(name), self.process),
            lambda kind: self.clock(state, kind),
            relations.query,
            {**self.fixed, **(kept or {})},
        )

    def clock(self, state: State, kind: str) -> Expr:
        """The age of a clock reading: of the transaction's start for ``now``, else 0."""
        if kind == "now":
            name = f"{self.role}.~began"
            if name in self.world.functions.functions:
                return state.read(name, self.process)
        return x.const(0)


UNKNOWN = Domain(nullable=True)
"""The domain of a variable until it has been inferred from what is assigned."""


def walk(node: object) -> Iterator[object]:
    """Every dataclass node of a bound tree, outermost first; spans apart."""
    if isinstance(node, tuple):
        for item in node:
            yield from walk(item)
    elif is_dataclass(node) and not isinstance(node, type):
        yield node
        for part in fields(node):
            if part.name not in ("span", "type"):
                yield from walk(getattr(node, part.name))


def conjuncts(where: tree.Expr | None) -> list[tree.Expr]:
    """The operands of the top-level AND."""
    if where is None:
        return []
    if isinstance(where, tree.And):
        return [part for operand in where.operands for part in conjuncts(operand)]
    return [where]


def table_sources(source: tree.From | None) -> list[tree.TableSource]:
    """The tables of a FROM clause, outermost level."""
    match source:
        case tree.TableSource():
            return [source]
        case tree.Join(_, left, right, _):
            return table_sources(left) + table_sources(right)
        case _:
            return []


def keyed(where: tree.Expr | None, source: str, table: tree.Table) -> bool:
    """Whether the WHERE names one row at most: every column of a unique key is equal to something outside the row."""
    fixed: set[str] = set()
    for part in conjuncts(where):
        if isinstance(part, tree.Compare) and part.operator == "=":
            for a, b in ((part.left, part.right), (part.right, part.left)):
                a = a.operand if isinstance(a, tree.Number) else a
                if isinstance(a, tree.ColumnRef) and a.source == source:
                    inside = any(isinstance(n, tree.ColumnRef) and n.source == source for n in walk(b))
                    if not inside:
                        fixed.add(a.column)
    if table.serial is not None and table.serial.name in fixed:
        return True
    return any(unique.where is None and set(unique.columns) <= fixed for unique in table.uniques)


def single_row(schema: tree.Schema, query: tree.Query) -> bool:
    """Whether a query has certainly at most one row."""
    if query.grouped and not query.group_by:
        return True
    if isinstance(query.limit, tree.Constant) and query.limit.value in (0, 1):
        return True
    if isinstance(query.source, tree.TableSource) and not query.source.role:
        return keyed(query.where, query.source.source, schema.tables[query.source.table])
    if isinstance(query.source, tree.DerivedSource):
        return single_row(schema, query.source.query)
    return query.source is None


def limited_values(statement: tree.Statement) -> list[tree.ScalarQuery]:
    """The subqueries with LIMIT 1 that stand for a value and refer to nothing outside: each runs once in the statement.

    Locking ones and those inside other subqueries are not among them, nor those in what a statement returns that locks rows: these
    are evaluated when it may have waited.
    """
    found: list[tree.ScalarQuery] = []
    returned: tuple[tree.Output, ...] = ()
    if not isinstance(statement, tree.Select):
        returned = statement.returning
    elif statement.query.locks:
        returned = statement.query.outputs
    late = [n for n in walk(returned) if isinstance(n, tree.ScalarQuery)]
    outer = statement.query if isinstance(statement, tree.Select | tree.Insert) else None
    within = [n.query for n in walk(statement) if isinstance(n, tree.Exists | tree.InQuery | tree.ScalarQuery | tree.DerivedSource)]
    for node in walk(statement):
        if not isinstance(node, tree.ScalarQuery) or node.query.locks or any(node is other for other in late):
            continue
        query = node.query
        inside = any(query is not other and other is not outer and any(n is query for n in walk(other)) for other in within)
        sources = {n.source for n in walk(query) if isinstance(n, tree.TableSource | tree.DerivedSource)}
        alone = all(n.source in sources for n in walk(query) if isinstance(n, tree.ColumnRef))
        plain = inner_join_only(query.source) and not (query.grouped or query.distinct)
        if isinstance(query.limit, tree.Constant) and query.limit.value == 1 and alone and plain and not inside:
            found.append(node)
    return found


def inner_join_only(source: tree.From | None) -> bool:
    """Whether a FROM clause has no outer join."""
    return not any(isinstance(n, tree.Join) and n.kind == "left" for n in walk(source))


def one_row(statement: tree.Insert) -> tuple[tree.Insert, tuple[str, ...]] | None:
    """INSERT … SELECT where the query has one row, as an INSERT of that row; and the columns whose values come from tables.

    None where such a value is a timestamp: values are kept while the statement stands, and do not grow old.
    """
    assert statement.query is not None
    pairs = list(zip(statement.columns, statement.query.outputs, strict=True))
    read = {c for c, output in pairs if any(isinstance(n, tree.ColumnRef | tree.Query) for n in walk(output.expression))}
    if any(column in read and output.expression.type.kind == "timestamp" for column, output in pairs):
        return None
    row = tuple(None if column in read else output.expression for column, output in pairs)
    return replace(statement, query=None, rows=(row,)), tuple(sorted(read))


MOST_LIMITED = 3
"""Up to this LIMIT, the choice of the rows is explored."""


def limit_of(query: tree.Query, sizes: Mapping[str, int]) -> int | None:
    """The constant LIMIT, or None where there is none; also where it is high, and the tables cannot have more rows."""
    if query.limit is None:
        return None
    assert isinstance(query.limit, tree.Constant)
    assert isinstance(query.limit.value, int)
    return None if needless(query, sizes) else query.limit.value


def needless(query: tree.Query, sizes: Mapping[str, int]) -> bool:
    """Whether a LIMIT beyond those that are explored is one that the number of rows cannot reach."""
    if not (isinstance(query.limit, tree.Constant) and isinstance(query.limit.value, int) and query.limit.value > MOST_LIMITED):
        return False
    sources = [n for n in walk(query.source) if isinstance(n, tree.TableSource | tree.DerivedSource)]
    if any(isinstance(n, tree.DerivedSource) or n.role for n in sources):
        return False
    return prod(max(1, sizes[n.table]) for n in sources if isinstance(n, tree.TableSource)) <= query.limit.value
