"""The model's side of a replay: which actions are enabled, what each sends to the server, what each expects of it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from txweave.replay.values import Env, Values, solutions
from txweave.semantics.times import analyse
from txweave.semantics.uses import nodes
from txweave.sql import program as bound
from txweave.sql import tree
from txweave.sql.render import literal, name_of, sql_of
from txweave.system import expr as x
from txweave.system.expr import Elem, Expr, Local, Value
from txweave.system.ground import Grounder
from txweave.system.sorted import Action, Point, System, bound_name
from txweave.trace import State

Ids = Mapping[Elem, int]
"""The generated ids on the server, by the row slots of the model."""

PAUSES = "pauses"
"""The outcome of a step that stops in the middle of a statement."""

EPOCH = "2000-01-01 00:00:00"
"""The program's clock begins here."""


@dataclass(frozen=True)
class Move:
    """An action with its parameters."""

    action: Action
    params: tuple[Value, ...]

    @property
    def kind(self) -> str:
        """The action's kind."""
        return self.action.kind

    @property
    def actor(self) -> Elem | None:
        """The process that moves."""
        if self.action.actor is None:
            return None
        first = self.params[0]
        assert isinstance(first, Elem)
        return first

    @property
    def env(self) -> dict[Local, Value]:
        """The parameters' values."""
        return dict(zip(self.action.params, self.params, strict=True))


@dataclass(frozen=True)
class Op:
    """What is done to the server for an action; equal for actions that differ only in what the server answers.

    ``kind``: statement, resume, transaction, choose, set, deadlock, crash, hang, error, commit error, tick; pause (the
    statement stops in the middle) and go on (after that), which cannot be done to a server.
    """

    kind: str
    process: Elem | None
    procedure: str = ""
    step: str = ""
    text: str = ""
    hidden: int = 0
    """Columns that were added to RETURNING, to learn the ids of new rows."""
    into: bool = False
    detail: tuple[object, ...] = ()

    def __str__(self) -> str:
        who = "" if self.process is None else f"{self.process}"
        return " ".join(part for part in (who, self.step, self.kind, self.text) if part)


@dataclass(frozen=True)
class Expected:
    """What an action expects of the server.

    ``exit``: ok, error, waits, out.  ``rows`` None: not looked at.  ``fresh``: rows of each table with generated ids that
    the action inserts, by
    slot, with their column values.
    """

    exit: str
    label: str
    error: str = ""
    rows: tuple[tuple[Value, ...], ...] | None = None
    affected: int | None = None
    fresh: Mapping[str, tuple[Elem, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Belief:
    """A state that the model may be in, given what the server answered so far, and the server's ids in it.

    ``moments``: for each cell that holds an age, the time on the replay's clock in microseconds.
    """

    state: State
    ids: tuple[tuple[Elem, int], ...] = ()
    moments: tuple[int | None, ...] = ()


SQLSTATES = {
    "unique_violation": "23505",
    "foreign_key_violation": "23503",
    "restrict_violation": "23001",
    "check_violation": "23514",
    "not_null_violation": "23502",
    "deadlock_detected": "40P01",
    "lock_not_available": "55P03",
    "in_failed_sql_transaction": "25P02",
    "invalid_savepoint_specification": "3B001",
    "no_active_sql_transaction": "25P01",
    "too_many_rows": "P0003",
    "serialization_failure": "40001",
    "cardinality_violation": "21000",
}


class Machine:
    """A lowered model as a machine that is driven step by step."""

    def __init__(self, model: bound.BoundModel, scenario: str, system: System) -> None:
        self.model = model
        self.system = system
        self.scenario = scenario
        self.grounder = Grounder(system)
        self.cells = self.grounder.cells
        self.tick = analyse(model, model.source.scenarios[scenario]).tick
        self.points: dict[tuple[str, Value], Point] = {(p.role, p.name): p for p in system.points}
        self.actors = [Elem(sort.name, number) for sort in system.sorts if sort.kind == "processes" for number in range(sort.size)]
        self.steps = {
            (name, step.name): step.node for name, procedure in model.procedures.items() for step in nodes(procedure.steps)
        }
        ages = {f.name for f in system.functions if f.domain.ages is not None}
        self.age_cells = [n for n, cell in enumerate(self.cells) if cell.function in ages]
        self._age_place = {cell: place for place, cell in enumerate(self.age_cells)}
        self.functions = {f.name: f for f in system.functions}
        self._names = {f.about: f.name for f in system.functions}
        self._domains = [{(type(v), v) for v in cell.domain} for cell in self.cells]
        self._by_place: dict[tuple[str, Value], list[Action]] = {}
        for action in system.actions:
            place = "" if action.actor is None else action.role
            self._by_place.setdefault((place, self._place_of(action)), []).append(action)
        self._values: dict[State, Values] = {}
        serial = model.source.serial == "exact"
        self.exact = {name for name, table in model.schema.tables.items() if serial and table.serial is not None}
        """Tables whose row slots are the numbers of a sequence, from 0."""

    # -------------------------------------------------------------------------------------------------------- states

    def _place_of(self, action: Action) -> Value:
        if action.actor is None:
            return None
        pc = x.apply(self._names["pc", action.role], action.actor)
        for part in action.guard.operands if isinstance(action.guard, x.And) else (action.guard,):
            if isinstance(part, x.Equal) and part.left is pc and isinstance(part.right, x.Const):
                return part.right.value
        raise AssertionError(f"{action.name} is at no place")

    def value(self, state: State, function: str, args: tuple[Elem, ...]) -> Value:
        """The value of a function at elements."""
        cell = self.grounder.where.get((function, args))
        return self.grounder.fixed[function, args] if cell is None else state[cell]

    def initial(self) -> Belief:
        """The belief at the start; the rows of ``data:`` have their numbers as ids."""
        ids: list[tuple[Elem, int]] = []
        for name, table in self.model.schema.tables.items():
            if table.serial is not None:
                count = sum(len(s.rows) for s in self.model.data if isinstance(s, tree.Insert) and s.table == name)
                ids.extend((Elem(name, number), number + 1) for number in range(count))
        state = tuple(cell.initial for cell in self.cells)
        moments = tuple(None if state[c] is None else -int(str(state[c])) * self.tick for c in self.age_cells)
        return Belief(state, tuple(ids), moments)

    def values(self, state: State) -> Values:
        """Evaluates terms in a state."""
        found = self._values.get(state)
        if found is None:
            if len(self._values) > 64:
                self._values.clear()
            found = self._values[state] = Values(self.grounder, state)
        return found

    def enabled(self, state: State, actor: Elem | None) -> Iterator[Move]:
        """The enabled actions of a process (or of nobody: ticks)."""
        if state[-1] is not None:
            return
        values = self.values(state)
        place = (("", None)) if actor is None else (actor.sort, self._at(state, actor))
        for action in self._by_place.get(place, ()):
            env: dict[Local, Value] = {} if action.actor is None else {action.actor: actor}
            rest = tuple(p for p in action.params if p is not action.actor)
            for found in solutions(values, rest, action.guard, env):
                yield Move(action, tuple(found[p] for p in action.params))

    def _at(self, state: State, actor: Elem) -> Value:
        return self.value(state, self._names["pc", actor.sort], (actor,))

    def successor(self, belief: Belief, move: Move, clock: int) -> Belief:
        """The belief after a move, its new rows apart."""
        values = self.values(belief.state)
        state = list(belief.state)
        moments = list(belief.moments)
        if move.action.out is not None:
            state[-1] = move.action.out
            return Belief(tuple(state), belief.ids, belief.moments)
        env = move.env
        for update in move.action.updates:
            if update.function not in self.grounder.cell_functions:
                continue  # nothing changes it
            for inner in values.assignments(update.formals, env):
                cell = self.grounder.where[update.function, tuple(inner[f] for f in update.formals)]  # type: ignore[misc]
                value = values.of(update.body, inner)
                if (type(value), value) not in self._domains[cell]:
                    bound_ = bound_name(self.functions[update.function])
                    return Belief((*belief.state[:-1], bound_), belief.ids, belief.moments)
                state[cell] = value
                if cell in self._age_place and move.kind != "tick":
                    moments[self._age_place[cell]] = self.moment(belief, update.body, inner, clock)
        return Belief(tuple(state), belief.ids, tuple(moments))

    def moment(self, belief: Belief, term: Expr, env: Env, clock: int) -> int | None:
        """The time on the replay's clock that a term of ages stands for."""
        values = self.values(belief.state)
        match term:
            case x.Ite(condition, then, otherwise):
                return self.moment(belief, then if values.of(condition, env) else otherwise, env, clock)
            case x.Pick(bound_locals, body, chosen, default):
                for inner in values.assignments(bound_locals, env):
                    if values.of(body, inner):
                        return self.moment(belief, chosen, inner, clock)
                return self.moment(belief, default, env, clock)
            case x.Apply(function, args):
                if values.of(term, env) is None:
                    return None
                cell = self.grounder.where.get((function, tuple(values.of(a, env) for a in args)))  # type: ignore[misc]
                return belief.moments[self._age_place[cell]] if cell in self._age_place else clock
            case x.Arith(operator, left, right):
                base, shift = self.moment(belief, left, env, clock), values.of(right, env)
                if base is None or not isinstance(shift, int):
                    return None
                return base - shift * self.tick if operator == "+" else base + shift * self.tick
            case _:
                value = values.of(term, env)
                return None if not isinstance(value, int) else clock - value * self.tick

    def point(self, state: State, process: Elem) -> Point:
        """Where a process is."""
        return self.points[process.sort, self._at(state, process)]

    def blocker(self, state: State, process: Elem) -> Elem | None:
        """Whom a process waits for."""
        name = self._names.get(("blocker", process.sort))
        if name is None:
            return None
        value = self.value(state, name, (process,))
        return value if isinstance(value, Elem) else None

    def writer(self, state: State, slot: Elem) -> Elem | None:
        """The process with an uncommitted version of a row."""
        name = self._names.get(("writer", slot.sort))
        value = None if name is None else self.value(state, name, (slot,))
        return value if isinstance(value, Elem) else None

    def _live(self, state: State, slot: Elem) -> bool:
        name = self._names.get(("live", slot.sort))
        return name is None or self.value(state, name, (slot,)) is True

    def committed(self, belief: Belief) -> dict[str, list[tuple[Value, ...]]]:
        """The committed rows of every table as the server returns them; timestamps as whether they are NULL."""
        ids = dict(belief.ids)
        found: dict[str, list[tuple[Value, ...]]] = {}
        for name, table in self.model.schema.tables.items():
            rows = found[name] = []
            for slot in self.grounder.elements(name):
                if not self._live(belief.state, slot):
                    continue
                row = []
                for column in table.columns:
                    value = (
                        slot if column.serial else self.value(belief.state, self._names["committed", name, column.name], (slot,))
                    )
                    row.append(self.outside(value, column.type, ids))
                rows.append(tuple(row))
        return found

    def outside(self, value: Value, type_: tree.Type, ids: Ids) -> Value:
        """A value of the model as the server's; a timestamp only as whether there is one."""
        if isinstance(value, Elem):
            return ids.get(value, value.number + 1 if value.sort in self.exact else -1 - value.number)
        if type_.kind == "timestamp":
            return None if value is None else "a time"
        return value

    # ------------------------------------------------------------------------------------------------------- actions

    def node(self, move: Move) -> bound.Node | None:
        """The step of the program that a move belongs to."""
        return self.steps.get((move.action.info.procedure, move.action.info.step.partition("[")[0]))

    def op(self, belief: Belief, action: Move, clock: int, *, learn: bool = True) -> Op:
        """What an action does to the server; with ``learn`` an INSERT returns the new rows as well."""
        info, process = action.action.info, action.actor
        base = info.step.partition("[")[0]
        if action.kind == "tick":
            return Op("tick", None, detail=())
        if action.kind == "fault":
            return Op(info.outcome, process, info.procedure, info.step)
        if action.kind == "database":
            return Op("deadlock", process, info.procedure, info.step)
        node = self.steps[info.procedure, base]
        if action.kind == "error":
            if isinstance(node, bound.Transaction):
                return Op(
                    "commit error", process, info.procedure, info.step, "COMMIT" if "and was done" in info.note else "ROLLBACK"
                )
            return Op("error", process, info.procedure, info.step, info.outcome)
        assert process is not None
        match node:
            case bound.Execute(statement):
                if info.outcome == PAUSES:
                    return Op("pause", process, info.procedure, info.step)
                if self.point(belief.state, process).paused:
                    return Op("go on", process, info.procedure, info.step, into=bool(node.into))
                if self.point(belief.state, process).waiting:
                    return Op("resume", process, info.procedure, info.step, into=bool(node.into))
                names = self._bindings(belief, action, info.bindings, statement, clock)
                statement, hidden = self._with_ids(statement) if learn else (statement, 0)
                return Op("statement", process, info.procedure, info.step, sql_of(statement, names), hidden, into=bool(node.into))
            case bound.Transaction(operation, name):
                text = {
                    "begin": "BEGIN READ ONLY" if node.read_only else "BEGIN",
                    "rollback_to": f"ROLLBACK TO {name_of(name or '')}",
                    "release": f"RELEASE {name_of(name or '')}",
                    "savepoint": f"SAVEPOINT {name_of(name or '')}",
                }.get(operation, operation.upper())
                return Op("transaction", process, info.procedure, info.step, text)
            case bound.Choose(variables, query):
                ids = dict(belief.ids)
                shown = dict(info.results)
                chosen = tuple(
                    self.outside(self._evaluate(belief, action, shown[v]), o.expression.type, ids)
                    for v, o in zip(variables, query.outputs, strict=True)
                )
                return Op("choose", process, info.procedure, info.step, detail=chosen)
            case _:
                return Op("set", process, info.procedure, info.step)

    def _evaluate(self, belief: Belief, action: Move, term: Expr) -> Value:
        return self.values(belief.state).of(term, action.env)

    def _bindings(
        self, belief: Belief, action: Move, bindings: tuple[tuple[str, Expr], ...], statement: object, clock: int
    ) -> dict[str, str]:
        """The variables of a statement as SQL literals."""
        from txweave.semantics.context import walk

        types = {n.name: n.type for n in walk(statement) if isinstance(n, tree.Variable)}
        ids = dict(belief.ids)
        found: dict[str, str] = {}
        for name, term in bindings:
            kind = types[name]
            if kind.kind == "timestamp":
                moment = self.moment(belief, term, action.env, clock)
                found[name] = "NULL" if moment is None else time_literal(moment)
                continue
            value = self.outside(self._evaluate(belief, action, term), kind, ids)
            assert not isinstance(value, Elem)
            found[name] = "NULL" if value is None and kind.kind in ("text", "null", "reference") else literal(value, kind)
        return found

    def _with_ids(self, statement: tree.Statement) -> tuple[tree.Statement, int]:
        """An INSERT into a table with generated ids returns all columns of its rows as well, so that the rows are known."""
        if not isinstance(statement, tree.Insert):
            return statement, 0
        table = self.model.schema.tables[statement.table]
        if table.serial is None:
            return statement, 0
        more = tuple(tree.Output(c.name, tree.ColumnRef(table.name, c.name, c.type)) for c in table.columns)
        return replace(statement, returning=(*statement.returning, *more)), len(more)

    def ghost(self, belief: Belief, ids: Ids, action: Move, clock: int, *, learn: bool = True) -> tuple[str, tree.Insert | None]:
        """The text of the action's ghost statement, empty if it has none, and the statement if it is an INSERT."""
        info = action.action.info
        node = self.steps.get((info.procedure, info.step.partition("[")[0]))
        if not isinstance(node, bound.Execute) or node.ghost is None:
            return "", None
        known = replace(belief, ids=tuple(sorted(ids.items())))
        names = self._bindings(known, action, info.recorded, node.ghost, clock)
        statement = self._with_ids(node.ghost)[0] if learn else node.ghost
        return sql_of(statement, names), statement if isinstance(statement, tree.Insert) else None

    def expected(self, belief: Belief, action: Move, after: Belief) -> Expected:
        """What a statement's action expects of the server."""
        info, process = action.action.info, action.actor
        assert process is not None
        if action.action.out is not None or after.state[-1] is not None:
            return Expected("out", str(after.state[-1]))
        point = self.point(after.state, process)
        if info.outcome in SQLSTATES:
            return Expected("error", info.outcome, SQLSTATES[info.outcome])
        if info.outcome in ("waits", "waits again"):
            assert point.waiting
            return Expected("waits", f"waits for {self.blocker(after.state, process)}")
        rows: tuple[tuple[Value, ...], ...] | None = None
        values = self.values(belief.state)
        if info.returned is not None:
            rows = tuple(
                tuple(values.of(v, inner) for v in witness.values)
                for witness in info.returned
                for inner in values.assignments(witness.locals, action.env)
                if values.of(witness.condition, inner)
            )
        affected = None if info.affected is None else self._evaluate(belief, action, info.affected)
        assert affected is None or isinstance(affected, int)
        if not self._counted(belief, action):
            rows = affected = None
        return Expected("ok", info.outcome, rows=rows, affected=affected, fresh=self.fresh(belief, after, process))

    def _counted(self, belief: Belief, action: Move) -> bool:
        """How many rows were written before a wait is known only where something reads the number."""
        node = self.node(action)
        assert isinstance(node, bound.Execute)
        assert action.actor is not None
        point = self.point(belief.state, action.actor)
        return bool(node.into or node.rows or node.affected) or not (point.waiting or point.paused)

    def fresh(self, belief: Belief, after: Belief, process: Elem) -> dict[str, tuple[Elem, ...]]:
        """The slots that got a new row, of tables with generated ids; also those of rows that were there while it waited."""
        found: dict[str, tuple[Elem, ...]] = {}
        ids = dict(belief.ids)
        for name, table in self.model.schema.tables.items():
            if table.serial is None:
                continue
            slots = []
            for slot in self.grounder.elements(name):
                if self.writer(after.state, slot) != process or self._live(belief.state, slot):
                    continue
                if self.writer(belief.state, slot) != process or slot not in ids:
                    slots.append(slot)
            if slots:
                found[name] = tuple(slots)
        return found

    def row(self, state: State, table: tree.Table, slot: Elem, ids: Ids) -> tuple[Value, ...]:
        """An uncommitted row's columns, the generated id apart."""
        found = []
        for column in table.columns:
            if column.serial:
                continue
            committed = self._names["committed", table.name, column.name]
            value = self.value(state, self._names.get(("pending", table.name, column.name), committed), (slot,))
            found.append(self.outside(value, column.type, ids))
        return tuple(found)


def time_literal(moment: int) -> str:
    """A time on the replay's clock as an SQL literal."""
    return f"(TIMESTAMP '{EPOCH}' + INTERVAL '{moment} microseconds')"


def plain(text: str) -> str:
    """White space as one blank."""
    return re.sub(r"\s+", " ", text).strip()
