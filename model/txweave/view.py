"""States for people: tables with their committed rows and uncommitted versions, processes with their place and variables.

The lowering says in ``Function.about`` what each state function stands for; this module turns a tuple of values back into
those words.  Everything it returns is plain data (strings and tuples), so that it can be printed, compared and pickled.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import product

from txweave.sql.program import BoundModel
from txweave.system import expr as x
from txweave.system.expr import Elem, Expr, Local, Value
from txweave.system.ground import GroundAction, Grounder, GroundSystem
from txweave.system.sorted import Function, Point
from txweave.trace import State

Values = tuple[tuple[str, str], ...]
"""Names with values written as SQL literals."""


@dataclass(frozen=True)
class Row:
    """A row of a table.  ``label`` names it (``backfill 1``); ``values`` are its columns, the generated id first."""

    table: str
    label: str
    values: Values


@dataclass(frozen=True)
class Version:
    """An uncommitted version of a row: ``kind`` is ``insert``, ``update`` or ``delete``; ``values`` as the writer sees them."""

    writer: str
    kind: str
    row: Row


@dataclass(frozen=True)
class TableState:
    """A table: its committed rows, and the versions that running transactions have written."""

    name: str
    rows: tuple[Row, ...]
    versions: tuple[Version, ...]


@dataclass(frozen=True)
class ProcessState:
    """A process.  ``status`` as properties see it (waiting is running), ``step`` the step it takes next or waits in.

    ``transaction``: none, open or failed.  ``waits_for`` names the process that blocks it, ``locks`` the row locks it holds.
    """

    name: str
    role: str
    number: int
    status: str
    procedure: str
    step: str
    transaction: str
    waiting: bool
    waits_for: str
    variables: Values
    locks: tuple[str, ...]


@dataclass(frozen=True)
class StateView:
    """A whole state.  ``bound`` names the bound that was hit, empty inside the bounds."""

    tables: tuple[TableState, ...]
    processes: tuple[ProcessState, ...]
    bound: str = ""

    def process(self, name: str) -> ProcessState:
        """The process with this display name."""
        return next(p for p in self.processes if p.name == name)


@dataclass(frozen=True)
class RowChange:
    """A committed row that was inserted, updated or deleted: its columns as (name, before, after), only those that changed.

    ``before`` is empty for an insert, ``after`` for a delete.
    """

    table: str
    label: str
    kind: str
    columns: tuple[tuple[str, str, str], ...]


@dataclass(frozen=True)
class VersionChange:
    """An uncommitted version that appeared or changed."""

    writer: str
    table: str
    label: str
    kind: str
    columns: tuple[tuple[str, str, str], ...]


@dataclass(frozen=True)
class ProcessChange:
    """Something about a process that changed; ``field`` is status, step, transaction, waits for, or a variable (``:name``)."""

    process: str
    field: str
    before: str
    after: str


@dataclass(frozen=True)
class StateDiff:
    """What differs between two states, and nothing else."""

    rows: tuple[RowChange, ...]
    versions: tuple[VersionChange, ...]
    processes: tuple[ProcessChange, ...]


@dataclass(frozen=True)
class Keys:
    """How the rows of a table are named: by ``serial``, its generated id, or else by the columns of its primary key."""

    serial: str
    columns: tuple[str, ...]


def keys_of(bound: BoundModel) -> dict[str, Keys]:
    """What identifies the rows of each table, from the schema."""
    found: dict[str, Keys] = {}
    for name, table in bound.schema.tables.items():
        serial = table.serial
        primary = next((u.columns for u in table.uniques if u.primary), ())
        found[name] = Keys(serial.name if serial else "", primary)
    return found


class Viewer:
    """Decodes the states of one ground system.

    ``keys`` (see :func:`keys_of`) says how rows are named; a table that it does not know has its rows numbered.
    """

    def __init__(self, system: GroundSystem, keys: Mapping[str, Keys] | None = None) -> None:
        self.system = system
        self.keys = dict(keys or {})
        self.sizes = {sort.name: sort.size for sort in system.system.sorts}
        self.about: dict[tuple[str, ...], Function] = {f.about: f for f in system.system.functions if f.about}
        self.points: dict[tuple[str, Value], Point] = {(p.role, p.name): p for p in system.system.points}
        self.roles = [s.name for s in system.system.sorts if s.kind == "processes"]
        tables: dict[str, None] = {}
        for function in system.system.functions:
            if function.about[:1] in {("live",), ("committed",)}:
                tables[function.about[1]] = None
        self.tables = [s.name for s in system.system.sorts if s.kind == "rows" and s.name in tables]
        self.columns = {
            table: [f.about[2] for f in system.system.functions if f.about[:2] == ("committed", table)] for table in self.tables
        }
        self._grounder: Grounder | None = None
        self._seen: dict[State, StateView] = {}

    # -------------------------------------------------------------------------------------------------------- values

    def process_name(self, process: Elem) -> str:
        """``scheduler``, or ``request 2`` where the role has several processes."""
        return process.sort if self.sizes.get(process.sort, 1) == 1 else f"{process.sort} {process.number + 1}"

    def show(self, value: Value, function: Function | None = None) -> str:
        """A value as an SQL literal; a row is its id, a process its name, a timestamp how long ago it is."""
        if value is None:
            return "NULL"
        if isinstance(value, bool):
            return "TRUE" if value else "FALSE"
        if isinstance(value, Elem):
            return self.process_name(value) if value.sort in self.roles else str(value.number + 1)
        if isinstance(value, str):
            return "'" + value.replace("'", "''") + "'"
        if function is not None and function.domain.ages is not None:
            return "now" if value == 0 else f"{value} ago" if value > 0 else f"in {-value}"
        return str(value)

    def evaluate(self, term: Expr, state: State, env: Mapping[Local, Value] | None = None) -> Value:
        """The value of a sorted or ground term in a state; ``env`` gives its free locals."""
        if self._grounder is None:
            self._grounder = Grounder(self.system.system)
        grounded = self._grounder.ground(term, {item: x.const(value) for item, value in (env or {}).items()})
        return evaluate(grounded, state)

    def parameters(self, action: GroundAction) -> dict[Local, Value]:
        """The values of a ground action's parameters."""
        return dict(zip(action.action.params, action.params, strict=True))

    # -------------------------------------------------------------------------------------------------------- states

    def view(self, state: State) -> StateView:
        """The whole state in words."""
        found = self._seen.get(state)
        if found is None:
            processes = tuple(self._process(state, Elem(role, number)) for role in self.roles for number in range(self.sizes[role]))
            out = state[-1]
            found = StateView(tuple(self._table(state, t) for t in self.tables), processes, "" if out is None else str(out))
            self._seen[state] = found
        return found

    def _get(self, state: State, *about: str, at: tuple[Elem, ...]) -> Value:
        return self.system.value(state, self.about[about].name, at)

    def _table(self, state: State, table: str) -> TableState:
        rows: list[Row] = []
        versions: list[Version] = []
        for number in range(self.sizes[table]):
            at = (Elem(table, number),)
            live = ("live", table) not in self.about or self._get(state, "live", table, at=at) is True
            if live:
                rows.append(self._row(state, table, number, pending=False))
            writer = self._get(state, "writer", table, at=at) if ("writer", table) in self.about else None
            if isinstance(writer, Elem):
                stays = ("plive", table) not in self.about or self._get(state, "plive", table, at=at) is True
                kind = ("update" if stays else "delete") if live else ("insert" if stays else "gone")
                if kind != "gone":  # inserted and deleted again by the same transaction: nobody will ever see it
                    row = self._row(state, table, number, pending=stays)
                    versions.append(Version(self.process_name(writer), kind, row))
        return TableState(table, tuple(rows), tuple(versions))

    def row_label(self, state: State, row: Elem) -> str:
        """A row's name in a state (``backfill 1``): its committed version's, where it has no generated id."""
        return self._row(state, row.sort, row.number, pending=False).label

    def _row(self, state: State, table: str, number: int, *, pending: bool) -> Row:
        at = (Elem(table, number),)
        key = self.keys.get(table)
        values: list[tuple[str, str]] = []
        if key is not None and key.serial and key.serial not in self.columns[table]:
            values.append((key.serial, str(number + 1)))
        for column in self.columns[table]:
            about = (
                ("pending", table, column) if pending and ("pending", table, column) in self.about else ("committed", table, column)
            )
            values.append((column, self.show(self._get(state, *about, at=at), self.about[about])))
        known = dict(values)
        if key is None or key.serial:
            label = f"{table} {number + 1}"
        elif key.columns:
            label = f"{table} {', '.join(known.get(c, '?') for c in key.columns)}"
        else:
            label = f"{table} #{number + 1}"
        return Row(table, label, tuple(values))

    def _process(self, state: State, process: Elem) -> ProcessState:
        role = process.sort
        place = self._get(state, "pc", role, at=(process,)) if ("pc", role) in self.about else None
        point = self.points.get((role, place))
        blocker = self._get(state, "blocker", role, at=(process,)) if ("blocker", role) in self.about else None
        blocked = isinstance(blocker, Elem)
        return ProcessState(
            name=self.process_name(process),
            role=role,
            number=process.number,
            status=point.status if point else "",
            procedure=point.procedure if point else "",
            step=point.step if point else "" if place is None else str(place),
            transaction=point.transaction if point else "none",
            waiting=(point.waiting if point else False) or blocked,
            waits_for=self.show(blocker) if blocked else "",
            variables=self._variables(state, process),
            locks=self._locks(state, process),
        )

    def _variables(self, state: State, process: Elem) -> Values:
        found: list[tuple[str, str]] = []
        for about, function in self.about.items():
            if about[0] == "variable" and about[1] == process.sort:
                found.append((about[2], self.show(self._get(state, *about, at=(process,)), function)))
            elif about[0] == "rows" and about[1] == process.sort:
                found.append((about[2], self._rows_value(state, process, about[2], function)))
        return tuple(found)

    def _rows_value(self, state: State, process: Elem, name: str, present: Function) -> str:
        columns = [f for about, f in self.about.items() if about[:3] == ("rowvalue", process.sort, name)]
        shown: list[str] = []
        for rest in product(*(self._elements(sort) for sort in present.params[1:])):
            if self.system.value(state, present.name, (process, *rest)) is not True:
                continue
            cells = [self.show(self.system.value(state, f.name, (process, *rest)), f) for f in columns]
            cells = cells or [self.show(element) for element in rest]
            shown.append(cells[0] if len(cells) == 1 else "(" + ", ".join(cells) + ")")
        return "{" + ", ".join(shown) + "}"

    def _locks(self, state: State, process: Elem) -> tuple[str, ...]:
        found: list[str] = []
        for about, function in self.about.items():
            if about[0] != "lock" or about[2] != process.sort:
                continue
            table = about[1]
            for number in range(self.sizes[table]):
                row = Elem(table, number)
                at = (row, process) if function.params[:1] == (table,) else (process, row)
                mode = self.system.value(state, function.name, at)
                if mode not in (None, False, "", "none"):
                    word = mode if isinstance(mode, str) else "lock"
                    found.append(f"{self._row(state, table, number, pending=False).label} ({word})")
        return tuple(found)

    def _elements(self, sort: str) -> list[Elem]:
        return [Elem(sort, number) for number in range(self.sizes[sort])]


def evaluate(term: Expr, state: State) -> Value:
    """The value of a ground term in a state, by substituting the state and folding."""
    result = x.transform(term, lambda node: x.const(state[node.index]) if isinstance(node, x.Cell) else None)
    assert isinstance(result, x.Const), f"not a ground term: {term!r}"
    return result.value


def diff(before: StateView, after: StateView) -> StateDiff:
    """What changed from one state to the next."""
    rows: list[RowChange] = []
    versions: list[VersionChange] = []
    for old_table, new_table in zip(before.tables, after.tables, strict=True):
        old, new = {r.label: r for r in old_table.rows}, {r.label: r for r in new_table.rows}
        rows += [_row_change(old.get(k), new.get(k)) for k in _merged(old, new) if old.get(k) != new.get(k)]
        old_v = {(v.writer, v.row.label): v for v in old_table.versions}
        for version in new_table.versions:
            earlier = old_v.get((version.writer, version.row.label))
            if earlier == version:
                continue
            base = earlier.row if earlier else old.get(version.row.label)
            change = _row_change(base, None if version.kind == "delete" else version.row)
            versions.append(VersionChange(version.writer, change.table, change.label, version.kind, change.columns))
    processes: list[ProcessChange] = []
    for old_p, new_p in zip(before.processes, after.processes, strict=True):
        for name in ("status", "step", "transaction", "waits_for"):
            was, now = getattr(old_p, name), getattr(new_p, name)
            if was != now:
                processes.append(ProcessChange(new_p.name, name.replace("_", " "), was, now))
        earlier_vars = dict(old_p.variables)
        processes += [
            ProcessChange(new_p.name, f":{name}", earlier_vars.get(name, ""), value)
            for name, value in new_p.variables
            if earlier_vars.get(name) != value
        ]
    return StateDiff(tuple(rows), tuple(versions), tuple(processes))


def _merged(old: Iterable[str], new: Iterable[str]) -> list[str]:
    return list(dict.fromkeys((*old, *new)))


def _row_change(old: Row | None, new: Row | None) -> RowChange:
    some = new or old
    assert some is not None
    was, now = dict(old.values) if old else {}, dict(new.values) if new else {}
    columns = tuple((c, was.get(c, ""), now.get(c, "")) for c, _ in some.values if was.get(c) != now.get(c))
    kind = "insert" if old is None else "delete" if new is None else "update"
    return RowChange(some.table, some.label, kind, columns)
