"""Bound programs: a model whose SQL, conditions and variables have been resolved.

The same shape as :mod:`txweave.spec.syntax`, with typed expressions in place of text.  ``bind_model`` makes it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from txweave.spec import syntax
from txweave.spec.syntax import Scalar
from txweave.spec.text import Span
from txweave.sql.tree import Expr, Query, Schema, Statement, Table, Type


@dataclass(frozen=True)
class ScalarVariable:
    """A variable that holds one value.  ``domain`` is declared by the spec, or None: then it follows from what is assigned."""

    name: str
    type: Type
    domain: tuple[Scalar, ...] | None = None
    input: bool = False
    span: Span | None = field(default=None, compare=False)


@dataclass(frozen=True)
class RowsVariable:
    """A variable that holds the rows of one statement's result: column names and types in order."""

    name: str
    columns: tuple[tuple[str, Type], ...]
    span: Span | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Execute:
    """A statement and what is kept of its result."""

    statement: Statement
    into: tuple[str, ...] = ()
    rows: str | None = None
    affected: str | None = None
    ghost: Statement | None = None


@dataclass(frozen=True)
class Transaction:
    """``operation``: begin, commit, rollback, savepoint, release, rollback_to; ``name`` is the savepoint's;
    ``read_only`` belongs to begin."""

    operation: str
    name: str | None = None
    read_only: bool = False


@dataclass(frozen=True)
class Branch:
    """if / then / else."""

    condition: Expr
    then: tuple[BoundStep, ...]
    otherwise: tuple[BoundStep, ...]


@dataclass(frozen=True)
class ForRows:
    """A loop over a rows variable."""

    variables: tuple[str, ...]
    rows: str
    steps: tuple[BoundStep, ...]


@dataclass(frozen=True)
class ForValues:
    """A loop over a parameter's list, in its order: one tuple of values per round."""

    variables: tuple[str, ...]
    values: tuple[tuple[Scalar, ...], ...]
    steps: tuple[BoundStep, ...]


@dataclass(frozen=True)
class Loop:
    """while."""

    condition: Expr
    steps: tuple[BoundStep, ...]


@dataclass(frozen=True)
class Assign:
    """set: simultaneous assignment; ``clock`` when an expression reads the program's clock (a step of its own)."""

    assignments: tuple[tuple[str, Expr], ...]
    clock: bool


@dataclass(frozen=True)
class Choose:
    """Any row of ``query`` (read in the process's own view), unpacked into ``variables``; waits while there is none."""

    variables: tuple[str, ...]
    query: Query


@dataclass(frozen=True)
class Raise:
    """raise."""

    error: str


@dataclass(frozen=True)
class Handler:
    """except: ``errors`` empty means any."""

    errors: tuple[str, ...]
    steps: tuple[BoundStep, ...]


@dataclass(frozen=True)
class Try:
    """try / except / finally."""

    steps: tuple[BoundStep, ...]
    handlers: tuple[Handler, ...]
    final: tuple[BoundStep, ...]


@dataclass(frozen=True)
class Return:
    """return."""


@dataclass(frozen=True)
class Call:
    """call: the callee's inputs are set, then its steps run in place with its own variables."""

    procedure: str
    arguments: tuple[tuple[str, Expr], ...]


Node: TypeAlias = Execute | Transaction | Branch | ForRows | ForValues | Loop | Assign | Choose | Raise | Try | Return | Call


@dataclass(frozen=True)
class BoundStep:
    """A step: ``within`` in microseconds; ``span`` is the step's name in the YAML."""

    name: str
    node: Node
    span: Span | None = field(default=None, compare=False)
    within: int | None = None
    origin: str = ""


@dataclass(frozen=True)
class BoundProcedure:
    """A procedure with its variables.  ``repeat``: None once, 0 for ever, else the period; it and ``within`` in microseconds."""

    name: str
    steps: tuple[BoundStep, ...]
    variables: dict[str, ScalarVariable | RowsVariable]
    repeat: int | None = None
    within: int | None = None
    span: Span | None = field(default=None, compare=False)


@dataclass(frozen=True)
class BoundNever:
    """No reachable state has a row in ``query``."""

    query: Query


@dataclass(frozen=True)
class BoundLeadsTo:
    """Rows of ``whenever`` lead to rows of ``eventually``, or (None) leave."""

    whenever: Query
    eventually: Query | None


@dataclass(frozen=True)
class BoundAlwaysPossible:
    """A state with a row in ``query`` stays reachable."""

    query: Query


@dataclass(frozen=True)
class BoundDeadlockFree:
    """Some process can move, or all have finished."""


Formula: TypeAlias = BoundNever | BoundLeadsTo | BoundAlwaysPossible | BoundDeadlockFree


@dataclass(frozen=True)
class BoundProperty:
    """A property with its queries bound."""

    name: str
    formula: Formula
    title: str = ""
    span: Span | None = field(default=None, compare=False)


@dataclass(frozen=True)
class BoundModel:
    """A whole model, bound: what the lowering reads.  ``data`` are INSERT statements of constants."""

    name: str
    source: syntax.Model
    schema: Schema
    data: tuple[Statement, ...]
    procedures: dict[str, BoundProcedure]
    properties: dict[str, BoundProperty]
    roles: dict[str, Table] = field(default_factory=dict)
    """The roles of all scenarios as the tables that properties read: id, status, step, variables."""
