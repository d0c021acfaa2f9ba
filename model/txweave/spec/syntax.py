"""The typed syntax of a specification: what the YAML says, with every name and SQL text at its place.

``load`` produces these classes, ``fixes`` rewrites them, ``semantics`` lowers them.  Nothing here is resolved: SQL is text.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from typing import TypeAlias

from txweave.spec.text import Span, Text

Scalar: TypeAlias = int | str | bool | None
"""A plain YAML value: decimal integer, string, true/false or null."""


@dataclass(frozen=True)
class Database:
    """Engine and isolation level.  Only ``postgresql`` at ``read committed`` has a meaning so far."""

    engine: Text
    isolation: Text


@dataclass(frozen=True)
class Parameter:
    """A parameter: a scalar, a duration (string such as ``5min``), or a list of scalars that ``for … in`` runs over."""

    name: Text
    value: Scalar | tuple[Scalar, ...]
    span: Span


@dataclass(frozen=True)
class Domain:
    """The finite set of values of a column (``table.column``) or a procedure's variable (``procedure.variable``)."""

    target: Text
    values: tuple[Scalar, ...]
    span: Span
    like: Text | None = None
    """``table.column`` whose ids these are (an id column without a foreign key); ``values`` is then empty."""


@dataclass(frozen=True)
class Condition:
    """A named condition that a fix adds to a statement's WHERE: ``operator`` is ``and`` or ``or``.

    The condition itself is ``(text) <op> (conditions…)`` when another fix extended it.
    """

    name: Text
    operator: str
    text: Text
    conditions: tuple[Condition, ...] = ()


@dataclass(frozen=True)
class Sql:
    """An SQL statement and what is kept of its result.

    ``into``: one scalar, or one row unpacked; ``rows``: all rows; ``affected``: the row count.
    ``conditions`` are what fixes added to the WHERE.  ``ghost`` is a statement on ghost tables or columns that is
    part of the same atomic step and takes no locks.
    """

    sql: Text
    into: tuple[Text, ...] = ()
    rows: Text | None = None
    affected: Text | None = None
    conditions: tuple[Condition, ...] = ()
    ghost: Text | None = None


@dataclass(frozen=True)
class Begin:
    """``begin``: opens a transaction explicitly; ``isolation`` and ``mode`` (``read write`` / ``read only``) are optional."""

    isolation: Text | None = None
    mode: Text | None = None


@dataclass(frozen=True)
class Commit:
    """``commit``."""


@dataclass(frozen=True)
class Rollback:
    """``rollback`` of the whole transaction."""


@dataclass(frozen=True)
class Savepoint:
    """``savepoint: name``."""

    name: Text


@dataclass(frozen=True)
class Release:
    """``release: name``."""

    name: Text


@dataclass(frozen=True)
class RollbackTo:
    """``rollback_to: name``."""

    name: Text


@dataclass(frozen=True)
class If:
    """``if`` / ``then`` / ``else``; the condition is an SQL expression over the procedure's variables."""

    condition: Text
    then: tuple[Step, ...]
    otherwise: tuple[Step, ...] = ()


@dataclass(frozen=True)
class For:
    """``for`` / ``in`` / ``steps``: ``over`` is a rows variable, or a parameter that is a list."""

    variables: tuple[Text, ...]
    over: Text
    steps: tuple[Step, ...]


@dataclass(frozen=True)
class While:
    """``while`` / ``steps``."""

    condition: Text
    steps: tuple[Step, ...]


@dataclass(frozen=True)
class Set:
    """``set: {x: expression}``: assigns variables; an expression that reads ``clock`` makes it a step of its own."""

    assignments: tuple[tuple[Text, Text], ...]


@dataclass(frozen=True)
class Choose:
    """``choose: x`` (or a list) ``from: SELECT …``: any one row; waits while there is none.  A step of its own."""

    variables: tuple[Text, ...]
    source: Text


@dataclass(frozen=True)
class Raise:
    """``raise: Name``."""

    error: Text


@dataclass(frozen=True)
class Handler:
    """One ``except`` clause: ``errors`` empty means any error."""

    errors: tuple[Text, ...]
    steps: tuple[Step, ...]


@dataclass(frozen=True)
class Try:
    """``try`` / ``except`` / ``finally``."""

    steps: tuple[Step, ...]
    handlers: tuple[Handler, ...] = ()
    final: tuple[Step, ...] = ()


@dataclass(frozen=True)
class Return:
    """``return``: the procedure ends here, normally."""


@dataclass(frozen=True)
class Call:
    """``call: procedure`` with ``with: {input: expression}``: its steps run in place, in the caller's transaction."""

    procedure: Text
    arguments: tuple[tuple[Text, Text], ...] = ()


Body: TypeAlias = (
    Sql
    | Begin
    | Commit
    | Rollback
    | Savepoint
    | Release
    | RollbackTo
    | If
    | For
    | While
    | Set
    | Choose
    | Raise
    | Try
    | Return
    | Call
)


@dataclass(frozen=True)
class Step:
    """A named step.  ``within`` bounds the time from its first statement to its end (seconds as text, ``60 s``)."""

    name: Text
    body: Body
    within: Text | None = None
    source: tuple[tuple[str, str], ...] = ()
    origin: str = ""
    """The name of the fix that made this step, empty for the model's own."""


@dataclass(frozen=True)
class Procedure:
    """A procedure: its steps, whether it repeats for ever, and its bounds in time.

    ``repeat``: None runs once; ``""`` for ever without a period; otherwise the period (``30 s``), not earlier than which
    after its last start the next round may start.  ``inputs`` are variables set by the role's (or caller's) ``with``.
    """

    name: Text
    steps: tuple[Step, ...]
    repeat: str | None = None
    repeat_span: Span | None = None
    within: Text | None = None
    inputs: tuple[Text, ...] = ()


@dataclass(frozen=True)
class Role:
    """The processes of one role in a scenario.

    ``run``: procedures run in turn.  ``crash``, ``hang``: None, ``"anywhere"``, or the steps just before which the fault may come.
    ``errors``: pairs (step name or ``anywhere``, error name) that may be raised at a statement.
    ``fair``: started | weak | strong | none.  ``restart``: a crashed process starts anew.
    ``forever``: faults (crash, hang, errors) that may recur for ever.  ``arguments``: values for the procedures' inputs.
    ``statements``: preemptible (others may come between a statement's snapshot and its row locks, and between two locks) | atomic.
    """

    name: Text
    run: tuple[Text, ...]
    count: int = 1
    crash: str | tuple[Text, ...] | None = None
    hang: str | tuple[Text, ...] | None = None
    errors: tuple[tuple[Text, Text], ...] = ()
    fair: str = "started"
    restart: bool = False
    forever: tuple[str, ...] = ()
    arguments: tuple[tuple[Text, Scalar], ...] = ()
    statements: str = "preemptible"


@dataclass(frozen=True)
class Scenario:
    """Which processes run, with which bounds on rows per table.  ``truncate`` lists bounds whose hit is accepted; ``tick`` is a
    duration, how far time goes at a step (None: as far as the durations in use allow)."""

    name: Text
    roles: tuple[Role, ...]
    bounds: tuple[tuple[Text, int], ...] = ()
    truncate: tuple[Text, ...] = ()
    title: str = ""
    tick: Text | None = None


@dataclass(frozen=True)
class Never:
    """No reachable state has a row in ``query``."""

    query: Text


@dataclass(frozen=True)
class LeadsTo:
    """Each row of ``whenever`` is some day in ``eventually``, or, when that is None (``gone``), leaves ``whenever``."""

    whenever: Text
    eventually: Text | None


@dataclass(frozen=True)
class AlwaysPossible:
    """From every reachable state a state is reachable in which ``query`` has a row."""

    query: Text


@dataclass(frozen=True)
class DeadlockFree:
    """``deadlock: never``."""


@dataclass(frozen=True)
class Property:
    """A named property."""

    name: Text
    formula: Never | LeadsTo | AlwaysPossible | DeadlockFree
    title: str = ""


@dataclass(frozen=True)
class Model:
    """A whole model, after fixes and parameters have been applied (or before: then as the file says)."""

    name: Text
    title: str
    database: Database
    schema: tuple[Text, ...]
    procedures: dict[str, Procedure]
    scenarios: dict[str, Scenario]
    properties: dict[str, Property]
    parameters: dict[str, Parameter] = field(default_factory=dict)
    ghost: tuple[Text, ...] = ()
    domains: tuple[Domain, ...] = ()
    data: tuple[Text, ...] = ()
    serial: str = "abstract"
    """``abstract``: generated ids are only compared for equality; ``exact``: they are numbers in order."""
    fixes: tuple[str, ...] = ()
    """Names of the fixes that were applied, in their canonical order (what a fix requires first, then by name)."""
    expect: dict[str, Expectation] = field(default_factory=dict)


@dataclass(frozen=True)
class Known:
    """A violation that is a known fault: accepted up to the day ``until``, which still counts, for a reason."""

    until: date
    reason: str


@dataclass(frozen=True)
class Expectation:
    """What a study expects of a property: verdict, and for ``violated`` optionally its length or (stem, loop).

    ``known``: the violation is accepted for a while only.
    """

    verdict: str
    length: int | tuple[int, int] | None
    span: Span
    known: Known | None = None


@dataclass(frozen=True)
class Case:
    """One case of a study: a scenario, fixes, parameters and what is expected of each property.

    ``base`` and ``patches``: the model before its fixes, and the fixes themselves, where they are known.
    """

    name: str
    span: Span
    model: Model
    scenario: str
    fixes: tuple[str, ...] = ()
    settings: tuple[tuple[str, Scalar | tuple[Scalar, ...]], ...] = ()
    expect: dict[str, Expectation] = field(default_factory=dict)
    base: Model | None = field(default=None, compare=False, repr=False)
    patches: tuple[Fix, ...] = field(default=(), compare=False, repr=False)


@dataclass(frozen=True)
class Study:
    """A study: cases, each with its composed model."""

    name: Text
    title: str
    path: str
    cases: tuple[Case, ...]


# --------------------------------------------------------------------------------------------------------------- fixes


@dataclass(frozen=True)
class Setting:
    """One key of ``set``: its new value, already read; None takes the key out.  ``form`` is the step form that has it, empty
    when every form does, and ``field`` the field of the step or of its body."""

    key: Text
    form: str
    field: str
    value: object


@dataclass(frozen=True)
class Wrap:
    """``wrap``: the span of steps from the target to ``to`` (None: the target alone) becomes the body of a try step."""

    name: Text
    to: Text | None
    handlers: tuple[Handler, ...] = ()
    final: tuple[Step, ...] = ()
    origin: str = ""


@dataclass(frozen=True)
class Change:
    """What one fix does to one target: ``procedure.step``, or a named condition of the step (``path``)."""

    target: Text
    procedure: str
    step: str
    path: tuple[str, ...] = ()
    conditions: tuple[Condition, ...] = ()
    settings: tuple[Setting, ...] = ()
    replace: Step | None = None
    before: tuple[Step, ...] = ()
    after: tuple[Step, ...] = ()
    wrap: Wrap | None = None
    remove: bool = False


@dataclass(frozen=True)
class Fix:
    """A fix: a patch of a model by step names, and what it adds."""

    name: Text
    title: str = ""
    requires: tuple[Text, ...] = ()
    conflicts: tuple[Text, ...] = ()
    changes: tuple[Change, ...] = ()
    tables: tuple[Text, ...] = ()
    columns: tuple[tuple[Text, Text], ...] = ()
    indexes: tuple[Text, ...] = ()
    domains: tuple[Domain, ...] = ()
    data: tuple[Text, ...] = ()
    procedures: dict[str, Procedure] = field(default_factory=dict)
    parameters: dict[str, Parameter] = field(default_factory=dict)
    processes: tuple[tuple[Text, tuple[Role, ...]], ...] = ()
    """Roles by scenario; ``*`` is every scenario."""
    bounds: tuple[tuple[Text, int], ...] = ()
