"""Names in SQL: what a statement may refer to, and how a name finds its column.

An :class:`Environment` is what surrounds a text (tables, roles, parameters, variables, which clocks); a :class:`Scope` is the
FROM clause of one query, with the enclosing query's scope as its parent.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from txweave.spec import syntax
from txweave.spec.syntax import Scalar
from txweave.spec.text import Span
from txweave.sql.tree import Column, Table, Type


@dataclass(frozen=True)
class Known:
    """What is known of a variable: its type, its values where they are known, and whether it holds rows."""

    type: Type
    values: tuple[Scalar, ...] | None = None
    rows: bool = False


@dataclass(frozen=True)
class Environment:
    """What surrounds an SQL text.

    ``variables`` None: the text stands where there are no variables (properties, schema, data).
    ``subject`` says where the text stands, in messages.
    """

    tables: Mapping[str, Table]
    roles: Mapping[str, Table] = field(default_factory=dict)
    ambiguous: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Per role, the columns whose name is also a variable's: nobody can tell which is meant."""
    parameters: Mapping[str, syntax.Parameter] = field(default_factory=dict)
    variables: Mapping[str, Known] | None = None
    enums: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    subject: str = "a statement"
    queries: bool = True
    """Whether tables may be read at all (not in conditions of steps)."""
    server_clock: bool = True
    program_clock: bool = False
    exact_ids: bool = False
    """Whether generated ids are the numbers of a sequence (``serial: exact``): then they have an order."""
    locks: bool = True
    ghost_reads: bool = False
    strict_values: bool = True
    """Whether a constant outside the domain of what it is compared with is an error."""
    unresolved: frozenset[str] = frozenset()
    """Variables that some step sets, with a type that is not known yet."""
    pending: list[Span] = field(default_factory=list, compare=False)
    """Where an unresolved variable was read."""
    row_numbers: Mapping[str, int] | None = None
    """In ``data:`` the number of rows of each table: an integer stands for the id of that row."""


@dataclass
class Item:
    """A FROM item: its id in the statement, its name in the text, its columns."""

    source: str
    name: str
    columns: dict[str, Column]
    table: Table | None = None
    role: bool = False
    ambiguous: frozenset[str] = frozenset()
    nullable: bool = False
    """It is on the nullable side of a left join."""


@dataclass
class Scope:
    """The FROM items that a clause sees; ``clause`` and ``aggregates`` change while a query is read."""

    items: list[Item] = field(default_factory=list)
    parent: Scope | None = None
    clause: str = ""
    aggregates: bool = False
    grouped: bool = False

    def chain(self) -> Iterator[Scope]:
        """This scope and those around it, innermost first."""
        scope: Scope | None = self
        while scope is not None:
            yield scope
            scope = scope.parent

    def sources(self) -> set[str]:
        """The ids of the items."""
        return {item.source for item in self.items}


def fold(name: str, quoted: bool) -> str:
    """PostgreSQL's reading of a name: lower case unless it is quoted."""
    return name if quoted else name.lower()
