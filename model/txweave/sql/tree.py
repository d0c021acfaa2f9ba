"""Bound SQL: names resolved, types known, nothing of the parser left.

The lowering reads these classes only.  SQL's three-valued logic is in their meaning: a boolean expression is true, false or
NULL; WHERE, HAVING and ON keep a row when it is true, CHECK accepts a row unless it is false.
``span`` is the place in the user's text; it takes no part in equality.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from txweave.spec.syntax import Scalar
from txweave.spec.text import Span

# --------------------------------------------------------------------------------------------------------------- types


@dataclass(frozen=True, slots=True)
class Type:
    """An SQL type: ``boolean``, ``integer``, ``text``, ``timestamp``, ``interval``, ``null`` (a bare NULL), or
    ``reference``: the generated id of a row of ``table`` (or of the process of a role), known only up to equality
    unless ids are exact."""

    kind: str
    table: str | None = None

    def __str__(self) -> str:
        return f"{self.table}.id" if self.kind == "reference" else self.kind


BOOLEAN = Type("boolean")
INTEGER = Type("integer")
TEXT = Type("text")
TIMESTAMP = Type("timestamp")
INTERVAL = Type("interval")
NULL = Type("null")


# -------------------------------------------------------------------------------------------------------------- schema


@dataclass(frozen=True)
class Column:
    """A column.  ``domain`` is its finite set of non-NULL values; None for references, timestamps and booleans."""

    name: str
    type: Type
    nullable: bool
    domain: tuple[Scalar, ...] | None = None
    default: Expr | None = None
    serial: bool = False
    """The table's generated id: its values are the identities of the rows themselves."""
    ghost: bool = False
    span: Span | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Unique:
    """A unique constraint or index; ``where`` makes it partial.  NULLs are distinct."""

    name: str
    columns: tuple[str, ...]
    where: Expr | None = None
    primary: bool = False
    index: bool = False
    """Made by CREATE UNIQUE INDEX: it is no constraint, and ON CONFLICT ON CONSTRAINT cannot name it."""
    span: Span | None = field(default=None, compare=False)


@dataclass(frozen=True)
class ForeignKey:
    """A foreign key.  ``on_delete`` / ``on_update``: ``no action``, ``restrict``, ``cascade``, ``set null``."""

    name: str
    columns: tuple[str, ...]
    parent: str
    parent_columns: tuple[str, ...]
    on_delete: str = "no action"
    on_update: str = "no action"
    span: Span | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Check:
    """A check constraint; column references in ``condition`` have the table's name as ``source``."""

    name: str
    condition: Expr
    span: Span | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Table:
    """A table; ``uniques`` in creation order, the order in which PostgreSQL checks them."""

    name: str
    columns: tuple[Column, ...]
    uniques: tuple[Unique, ...] = ()
    foreign_keys: tuple[ForeignKey, ...] = ()
    checks: tuple[Check, ...] = ()
    ghost: bool = False
    span: Span | None = field(default=None, compare=False)

    def column(self, name: str) -> Column:
        """The column called ``name``.

        Raises:
            KeyError: there is none.
        """
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)

    @property
    def serial(self) -> Column | None:
        """The generated id column, if the table has one."""
        return next((c for c in self.columns if c.serial), None)


@dataclass(frozen=True)
class Schema:
    """All tables by name, in creation order."""

    tables: dict[str, Table]


# --------------------------------------------------------------------------------------------------------- expressions


@dataclass(frozen=True)
class Constant:
    """A literal.  Intervals are a number of microseconds; timestamps have no literals."""

    value: Scalar
    type: Type
    span: Span | None = field(default=None, compare=False)


@dataclass(frozen=True)
class ColumnRef:
    """A column of a FROM item.  ``source`` is the item's id, unique within the whole statement (``backfill``, ``b``, ``b#2``)."""

    source: str
    column: str
    type: Type
    span: Span | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Variable:
    """A step variable, ``:name``."""

    name: str
    type: Type
    span: Span | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Clock:
    """A time: ``now`` (the transaction's start), ``clock_timestamp`` (the moment, by the server), ``clock`` (the program's)."""

    kind: str
    type: Type = TIMESTAMP
    span: Span | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Not:
    """NOT."""

    operand: Expr
    type: Type = BOOLEAN
    span: Span | None = field(default=None, compare=False)


@dataclass(frozen=True)
class And:
    """AND of any number of operands."""

    operands: tuple[Expr, ...]
    type: Type = BOOLEAN
    span: Span | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Or:
    """OR of any number of operands."""

    operands: tuple[Expr, ...]
    type: Type = BOOLEAN
    span: Span | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Compare:
    """``operator``: ``=`` ``<>`` ``<`` ``<=`` ``>`` ``>=``, or ``is distinct`` / ``is not distinct`` (never NULL)."""

    operator: str
    left: Expr
    right: Expr
    type: Type = BOOLEAN
    span: Span | None = field(default=None, compare=False)


@dataclass(frozen=True)
class IsNull:
    """IS NULL (IS NOT NULL is its negation)."""

    operand: Expr
    type: Type = BOOLEAN
    span: Span | None = field(default=None, compare=False)


@dataclass(frozen=True)
class IsTruth:
    """IS TRUE / IS FALSE (their negations with :class:`Not`)."""

    operand: Expr
    value: bool
    type: Type = BOOLEAN
    span: Span | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Arithmetic:
    """``+``, ``-``, ``*`` on integers; ``+``, ``-`` of a timestamp or interval and an interval."""

    operator: str
    left: Expr
    right: Expr
    type: Type
    span: Span | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Number:
    """A generated id as the integer that it is (``serial: exact`` only)."""

    operand: Expr
    type: Type = INTEGER
    span: Span | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Case:
    """Searched CASE (the simple form is rewritten to it); a missing ELSE is NULL."""

    whens: tuple[tuple[Expr, Expr], ...]
    otherwise: Expr
    type: Type
    span: Span | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Coalesce:
    """COALESCE."""

    operands: tuple[Expr, ...]
    type: Type
    span: Span | None = field(default=None, compare=False)


@dataclass(frozen=True)
class InList:
    """``operand IN (items)``."""

    operand: Expr
    items: tuple[Expr, ...]
    type: Type = BOOLEAN
    span: Span | None = field(default=None, compare=False)


@dataclass(frozen=True)
class InQuery:
    """``(operands) IN (query)``, with SQL's NULL rules."""

    operands: tuple[Expr, ...]
    query: Query
    type: Type = BOOLEAN
    span: Span | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Exists:
    """EXISTS."""

    query: Query
    type: Type = BOOLEAN
    span: Span | None = field(default=None, compare=False)


@dataclass(frozen=True)
class ScalarQuery:
    """A subquery used as a value: NULL when it has no row, an error when it has several."""

    query: Query
    type: Type
    span: Span | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Aggregate:
    """``count`` (``operand`` None: ``count(*)``), ``min``, ``max``, ``sum``, of the group."""

    function: str
    operand: Expr | None
    distinct: bool
    type: Type
    span: Span | None = field(default=None, compare=False)


Expr: TypeAlias = (
    Constant
    | ColumnRef
    | Variable
    | Clock
    | Not
    | And
    | Or
    | Compare
    | IsNull
    | IsTruth
    | Arithmetic
    | Number
    | Case
    | Coalesce
    | InList
    | InQuery
    | Exists
    | ScalarQuery
    | Aggregate
)

# ------------------------------------------------------------------------------------------------------------- queries


@dataclass(frozen=True)
class TableSource:
    """A table in FROM; ``role`` when it is a role's process table (properties only)."""

    source: str
    table: str
    role: bool = False


@dataclass(frozen=True)
class DerivedSource:
    """A subquery in FROM; its outputs are its columns.  ``named``: it is written as a WITH query, of that name."""

    source: str
    query: Query
    named: str | None = None


@dataclass(frozen=True)
class Join:
    """``kind``: ``inner`` (also for CROSS JOIN and the comma; then ``on`` is None) or ``left``."""

    kind: str
    left: From
    right: From
    on: Expr | None


From: TypeAlias = TableSource | DerivedSource | Join


@dataclass(frozen=True)
class Output:
    """A column of a result."""

    name: str
    expression: Expr


@dataclass(frozen=True)
class OrderKey:
    """One ORDER BY key; PostgreSQL's default is NULLS LAST ascending, NULLS FIRST descending (made explicit here)."""

    expression: Expr
    descending: bool
    nulls_first: bool


@dataclass(frozen=True)
class RowLock:
    """A locking clause.  ``mode``: ``key share``, ``share``, ``no key update``, ``update``; ``sources`` the FROM items locked;
    ``wait``: ``wait``, ``skip locked``, ``nowait``."""

    mode: str
    sources: tuple[str, ...]
    wait: str
    span: Span | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Query:
    """A SELECT.  ``grouped``: it has GROUP BY, HAVING or an aggregate; with no GROUP BY keys it then has one row at most."""

    source: From | None
    where: Expr | None
    outputs: tuple[Output, ...]
    group_by: tuple[Expr, ...] = ()
    having: Expr | None = None
    grouped: bool = False
    distinct: bool = False
    order_by: tuple[OrderKey, ...] = ()
    limit: Expr | None = None
    locks: tuple[RowLock, ...] = ()
    span: Span | None = field(default=None, compare=False)


# ---------------------------------------------------------------------------------------------------------- statements


@dataclass(frozen=True)
class Select:
    """A SELECT statement."""

    query: Query


@dataclass(frozen=True)
class OnConflict:
    """ON CONFLICT.  ``unique``: name of the arbiter, None for any.  ``sets`` None: DO NOTHING; else DO UPDATE, where the
    existing row has the table's name as ``source`` and the proposed one ``excluded``.  ``columns`` and ``predicate`` are the
    inference clause as written, empty with ON CONSTRAINT."""

    unique: str | None
    sets: tuple[tuple[str, Expr], ...] | None = None
    where: Expr | None = None
    columns: tuple[str, ...] = ()
    predicate: Expr | None = None
    span: Span | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Insert:
    """INSERT.  ``rows`` (VALUES) or ``query``; a None in a row is DEFAULT.  RETURNING refers to the new row by the table's name."""

    table: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Expr | None, ...], ...]
    query: Query | None
    on_conflict: OnConflict | None = None
    returning: tuple[Output, ...] = ()
    span: Span | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Update:
    """UPDATE; ``source`` is the target's id."""

    source: str
    table: str
    sets: tuple[tuple[str, Expr], ...]
    using: From | None
    where: Expr | None
    returning: tuple[Output, ...] = ()
    span: Span | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Delete:
    """DELETE; ``source`` is the target's id."""

    source: str
    table: str
    using: From | None
    where: Expr | None
    returning: tuple[Output, ...] = ()
    span: Span | None = field(default=None, compare=False)


Statement: TypeAlias = Select | Insert | Update | Delete
