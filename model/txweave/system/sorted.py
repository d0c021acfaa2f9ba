"""The sorted system: a many-sorted guarded-command transition system.

Sorts are the rows of each table and the processes of each role.  A state assigns to every function a value for each tuple of
elements.  An action is guarded; its updates give, for each function that changes, the next value at *every* argument as an
expression of the current state: the next state is a substitution, and there are no frame conditions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from txweave.system.expr import TRUE, Domain, Expr, Local, Value

if TYPE_CHECKING:
    from txweave.spec.text import Span


@dataclass(frozen=True)
class Sort:
    """A sort.  ``kind``: ``rows`` or ``processes``.  ``size`` is the number of elements when grounded."""

    name: str
    kind: str
    size: int


@dataclass(frozen=True)
class Function:
    """A state function: argument sorts, values, and the initial value (``overrides`` at given element indices).

    ``about`` tells what it stands for, for output: ``("committed", table, column)``, ``("pending", table, column)``,
    ``("variable", role, name)``, ``("pc", role)``, and so on.
    """

    name: str
    params: tuple[str, ...]
    domain: Domain
    initial: Value
    overrides: tuple[tuple[tuple[int, ...], Value], ...] = ()
    about: tuple[str, ...] = ()


def bound_name(function: Function) -> str:
    """What a value beyond the function's domain is called: ``table.column``, ``role.variable``, or the function's name."""
    match function.about:
        case ("committed" | "pending" | "variable", owner, name):
            return f"{owner}.{name}"
        case _:
            return function.name


@dataclass(frozen=True)
class Update:
    """``function(formals) := body`` for every assignment of the formals."""

    function: str
    formals: tuple[Local, ...]
    body: Expr


@dataclass(frozen=True)
class Looked:
    """The rows that a statement looks at: an assignment of ``locals`` that satisfies ``there`` is one (of each table in its FROM).

    ``rows`` name the tables, each with its element (or NULL, in an outer join).  ``conditions`` are the operands of the WHERE's
    outermost AND, each as SQL and as a formula: the statement means the rows for which all of them are true.
    """

    locals: tuple[Local, ...]
    there: Expr
    rows: tuple[tuple[str, Expr], ...]
    conditions: tuple[tuple[str, Expr], ...]


@dataclass(frozen=True)
class StepInfo:
    """What an action is, in the words of the specification.

    ``procedure`` and ``step`` name the place; ``outcome`` says how it ended (``ok``, ``waits``, ``unique_violation`` …);
    ``note`` is a short phrase for the story; ``sql`` the statement's text with ``:variables``; ``bindings`` give the value of each
    variable that the text reads, as expressions of the state *before* the step; ``results`` what was returned, as expressions of
    the state before as well.
    """

    procedure: str
    step: str
    outcome: str = "ok"
    note: str = ""
    sql: str = ""
    span: Span | None = None
    bindings: tuple[tuple[str, Expr], ...] = ()
    results: tuple[tuple[str, Expr], ...] = ()
    returned: tuple[Witness, ...] | None = None
    """The rows that the statement returned, over the state before; None where it returns none."""
    affected: Expr | None = None
    """The number of rows that it wrote, where it writes."""
    recorded: tuple[tuple[str, Expr], ...] = ()
    """The values of the variables that the step's ghost statement reads, over the state before."""
    looked: tuple[Looked, ...] | None = None
    """What the statement looks at, as it sees the state before; None where it looks at no rows."""


@dataclass(frozen=True)
class Action:
    """A guarded command.

    ``kind``: ``step`` (a process moves), ``fault`` (crash, hang), ``error`` (an injected error or spurious failure), ``tick`` (time
    passes), ``database`` (the server acts: a deadlock is broken).  ``actor`` is the process that moves or suffers, the first
    of ``params``, or None for a tick.  ``fair`` False takes the action out of its process's fairness (it may be refused for ever).
    ``out`` names the bound or the limit of the modelled ground that this action would cross: the action leads
    to the out-of-bounds state and its updates are empty.
    """

    name: str
    kind: str
    actor: Local | None
    params: tuple[Local, ...]
    guard: Expr
    updates: tuple[Update, ...]
    info: StepInfo
    role: str = ""
    fair: bool = True
    recurs: bool = True
    """Whether it may occur on the loop of a lasso; faults are finite unless the spec says ``forever``."""
    out: str | None = None


@dataclass(frozen=True)
class Fairness:
    """Fairness of the processes of a role.  ``kind``: ``weak``, ``strong`` or ``none``; it is owed to a process in states where
    ``owed`` (an expression over ``process``) holds, e.g. once it has started."""

    role: str
    kind: str
    process: Local
    owed: Expr = TRUE


@dataclass(frozen=True)
class Witness:
    """Rows of a query: an assignment of ``locals`` that satisfies ``condition`` is a row, and ``values`` are its columns."""

    locals: tuple[Local, ...]
    condition: Expr
    values: tuple[Expr, ...]


@dataclass(frozen=True)
class Rows:
    """The rows of a query as the union of witnesses (a query with an outer join has several); ``columns`` are the names."""

    columns: tuple[str, ...]
    witnesses: tuple[Witness, ...]


@dataclass(frozen=True)
class Property:
    """A property.

    ``kind``: ``never`` (no row of ``rows`` in any reachable state), ``leads_to`` (rows of ``rows`` lead to rows of ``goal``;
    ``goal`` None: they leave ``rows``), ``always_possible`` (a state with a row of ``rows`` stays reachable), ``deadlock``.
    """

    name: str
    kind: str
    rows: Rows | None = None
    goal: Rows | None = None
    title: str = ""
    span: Span | None = None


@dataclass(frozen=True)
class Point:
    """A place in a role's program, a value of its ``("pc", role)`` function, explained for output.

    ``status``: idle, running, done, failed, crashed, hung.  ``step``: the step the process takes next (or waits in),
    empty when none.
    ``transaction``: none, open or failed.  ``waiting``: blocked inside that step.
    ``paused``: stopped in the middle of its statement, with nothing in its way.
    """

    role: str
    name: str
    status: str
    procedure: str = ""
    step: str = ""
    transaction: str = "none"
    waiting: bool = False
    paused: bool = False


@dataclass(frozen=True)
class System:
    """A whole transition system.

    ``finished``: for deadlock freedom, that a process of a role counts as finished (over its local).  ``timed``:
    there are ticks, and
    every infinite run has infinitely many of them.  ``assumptions``: sentences printed with verdicts.
    """

    name: str
    sorts: tuple[Sort, ...]
    functions: tuple[Function, ...]
    actions: tuple[Action, ...]
    properties: tuple[Property, ...] = ()
    fairness: tuple[Fairness, ...] = ()
    finished: tuple[tuple[Local, Expr], ...] = ()
    timed: bool = False
    truncated: frozenset[str] = frozenset()
    """Bounds whose hit is accepted."""
    assumptions: tuple[str, ...] = ()
    points: tuple[Point, ...] = ()

    def sort(self, name: str) -> Sort:
        """The sort called ``name``."""
        return next(s for s in self.sorts if s.name == name)

    def function(self, name: str) -> Function:
        """The function called ``name``."""
        return next(f for f in self.functions if f.name == name)
