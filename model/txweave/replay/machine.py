"""The model's side of a replay: which actions are enabled, what each sends to the server, what each expects of it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from txweave.semantics.times import analyse
from txweave.semantics.uses import nodes
from txweave.sql import program as bound
from txweave.sql import tree
from txweave.sql.render import literal, name_of, sql_of
from txweave.system import expr as x
from txweave.system.expr import Elem, Expr, Local, Value
from txweave.system.ground import GroundAction, Grounder, GroundSystem
from txweave.system.sorted import Point
from txweave.trace import State

Ids = Mapping[Elem, int]
"""The generated ids on the server, by the row slots of the model."""

EPOCH = "2000-01-01 00:00:00"
"""The program's clock begins here."""


class Values:
    """The values of ground terms in one state."""

    def __init__(self, state: State) -> None:
        self.state = state
        self._memo: dict[Expr, Value] = {}

    def of(self, node: Expr) -> Value:
        """The value of a term."""
        memo = self._memo
        if node in memo:
            return memo[node]
        value: Value
        match node:
            case x.Const():
                return node.value
            case x.Cell():
                return self.state[node.index]
            case x.Not():
                value = not self.of(node.operand)
            case x.And():
                value = all(self.of(part) for part in node.operands)
            case x.Or():
                value = any(self.of(part) for part in node.operands)
            case x.Equal():
                left, right = self.of(node.left), self.of(node.right)
                value = type(left) is type(right) and left == right
            case x.Ite():
                value = self.of(node.then) if self.of(node.condition) else self.of(node.otherwise)
            case x.Less() | x.Arith():
                a, b = x.const(self.of(node.left)), x.const(self.of(node.right))
                folded = x.less(a, b) if isinstance(node, x.Less) else x.arith(node.operator, a, b)
                assert isinstance(folded, x.Const)
                value = folded.value
            case _:
                raise AssertionError(f"not a ground term: {node!r}")
        memo[node] = value
        return value


@dataclass(frozen=True)
class Op:
    """What is done to the server for an action; equal for actions that differ only in what the server answers.

    ``kind``: statement, resume, transaction, choose, set, deadlock, crash, hang, error, commit error, tick.
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

    ``exit``: ok, error, waits, out.  ``rows`` None: not looked at.  ``fresh``: rows of each table with generated ids that the action inserts, by
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
    "check_violation": "23514",
    "not_null_violation": "23502",
    "deadlock_detected": "40P01",
    "lock_not_available": "55P03",
    "in_failed_sql_transaction": "25P02",
    "invalid_savepoint_specification": "3B001",
    "no_active_sql_transaction": "25P01",
    "too_many_rows": "P0003",
    "serialization_failure": "40001",
}


class Machine:
    """A lowered model as a machine that is driven step by step."""

    def __init__(self, model: bound.BoundModel, scenario: str, system: GroundSystem) -> None:
        self.model = model
        self.system = system
        self.scenario = scenario
        self.grounder = Grounder(system.system)
        self.tick = analyse(model, model.source.scenarios[scenario]).tick
        self.points: dict[tuple[str, Value], Point] = {(p.role, p.name): p for p in system.system.points}
        self.actors = [
            Elem(sort.name, number) for sort in system.system.sorts if sort.kind == "processes" for number in range(sort.size)
        ]
        self.steps = {
            (name, step.name): step.node for name, procedure in model.procedures.items() for step in nodes(procedure.steps)
        }
        ages = {f.name for f in system.system.functions if f.domain.ages is not None}
        self.age_cells = [n for n, cell in enumerate(system.cells) if cell.function in ages]
        self._age_place = {cell: place for place, cell in enumerate(self.age_cells)}
        self._names = {f.name for f in system.system.functions}
        self._by_place: dict[Elem | None, dict[Value, list[GroundAction]]] = {}
        self._pc: dict[Elem, int] = {}
        for actor in self.actors:
            self._pc[actor] = system.index[f"{actor.sort}.~pc", (actor,)]
        for action in system.actions:
            self._by_place.setdefault(action.actor, {}).setdefault(self._place_of(action), []).append(action)
        self._rows: dict[int, tuple[tuple[Expr, tuple[Expr, ...]], ...]] = {}
        self._values: dict[State, Values] = {}

    # -------------------------------------------------------------------------------------------------------- states

    def _place_of(self, action: GroundAction) -> Value:
        if action.actor is None:
            return None
        pc = x.cell(self._pc[action.actor])
        for part in action.guard.operands if isinstance(action.guard, x.And) else (action.guard,):
            if isinstance(part, x.Equal) and part.left is pc and isinstance(part.right, x.Const):
                return part.right.value
        raise AssertionError(f"{action.name} is at no place")

    def initial(self) -> Belief:
        """The belief at the start; the rows of ``data:`` have their numbers as ids."""
        ids: list[tuple[Elem, int]] = []
        for name, table in self.model.schema.tables.items():
            if table.serial is not None:
                count = sum(len(s.rows) for s in self.model.data if isinstance(s, tree.Insert) and s.table == name)
                ids.extend((Elem(name, number), number + 1) for number in range(count))
        state = self.system.initial
        moments = tuple(None if state[c] is None else -int(str(state[c])) * self.tick for c in self.age_cells)
        return Belief(state, tuple(ids), moments)

    def values(self, state: State) -> Values:
        """Evaluates terms in a state."""
        found = self._values.get(state)
        if found is None:
            if len(self._values) > 64:
                self._values.clear()
            found = self._values[state] = Values(state)
        return found

    def enabled(self, state: State, actor: Elem | None) -> Iterator[GroundAction]:
        """The enabled actions of a process (or of nobody: ticks)."""
        if state[-1] is not None:
            return
        place = None if actor is None else state[self._pc[actor]]
        values = self.values(state)
        for action in self._by_place.get(actor, {}).get(place, ()):
            if values.of(action.guard):
                yield action

    def successor(self, belief: Belief, action: GroundAction, clock: int) -> Belief:
        """The belief after an action, its new rows apart."""
        values = self.values(belief.state)
        state = list(belief.state)
        moments = list(belief.moments)
        for cell, term in action.updates:
            state[cell] = values.of(term)
            if cell in self._age_place and action.kind != "tick":
                moments[self._age_place[cell]] = self.moment(belief, term, clock)
        return Belief(tuple(state), belief.ids, tuple(moments))

    def moment(self, belief: Belief, term: Expr, clock: int) -> int | None:
        """The time on the replay's clock that a term of ages stands for."""
        values = self.values(belief.state)
        match term:
            case x.Ite(condition, then, otherwise):
                return self.moment(belief, then if values.of(condition) else otherwise, clock)
            case x.Cell(index):
                if belief.state[index] is None:
                    return None
                return belief.moments[self._age_place[index]] if index in self._age_place else clock
            case x.Arith(operator, left, right):
                base, shift = self.moment(belief, left, clock), values.of(right)
                if base is None or not isinstance(shift, int):
                    return None
                return base - shift * self.tick if operator == "+" else base + shift * self.tick
            case _:
                value = values.of(term)
                return None if not isinstance(value, int) else clock - value * self.tick

    def point(self, state: State, process: Elem) -> Point:
        """Where a process is."""
        return self.points[process.sort, state[self._pc[process]]]

    def blocker(self, state: State, process: Elem) -> Elem | None:
        """Whom a process waits for."""
        name = f"{process.sort}.~blocker"
        if name not in self._names:
            return None
        value = self.system.value(state, name, (process,))
        return value if isinstance(value, Elem) else None

    def committed(self, belief: Belief) -> dict[str, list[tuple[Value, ...]]]:
        """The committed rows of every table as the server returns them; timestamps as whether they are NULL."""
        ids = dict(belief.ids)
        found: dict[str, list[tuple[Value, ...]]] = {}
        for name, table in self.model.schema.tables.items():
            rows = found[name] = []
            for slot in self.grounder.elements(name):
                live = f"{name}.~live"
                if live in self._names and self.system.value(belief.state, live, (slot,)) is not True:
                    continue
                row = []
                for column in table.columns:
                    value = slot if column.serial else self.system.value(belief.state, f"{name}.{column.name}", (slot,))
                    row.append(self.outside(value, column.type, ids))
                rows.append(tuple(row))
        return found

    def outside(self, value: Value, type_: tree.Type, ids: Ids) -> Value:
        """A value of the model as the server's; a timestamp only as whether there is one."""
        if isinstance(value, Elem):
            return ids.get(value, -1 - value.number)
        if type_.kind == "timestamp":
            return None if value is None else "a time"
        return value

    # ------------------------------------------------------------------------------------------------------- actions

    def op(self, belief: Belief, action: GroundAction, clock: int) -> Op:
        """What an action does to the server."""
        info, process = action.action.info, action.actor
        base = info.step.partition("[")[0]
        if action.kind == "tick":
            return Op("tick", None, detail=(action.index,))
        if action.kind == "fault":
            return Op(info.outcome, process, info.procedure, info.step)
        if action.kind == "database":
            return Op("deadlock", process, info.procedure, info.step)
        node = self.steps[info.procedure, base]
        if action.kind == "error":
            if isinstance(node, bound.Transaction):
                return Op("commit error", process, info.procedure, info.step, "COMMIT" if "and was done" in info.note else "ROLLBACK")
            return Op("error", process, info.procedure, info.step, info.outcome)
        assert process is not None
        match node:
            case bound.Execute(statement):
                if self.point(belief.state, process).waiting:
                    return Op("resume", process, info.procedure, info.step, into=bool(node.into))
                names = self._bindings(belief, action, info.bindings, statement, clock)
                statement, hidden = self._with_ids(statement)
                return Op(
                    "statement", process, info.procedure, info.step, sql_of(statement, names), hidden, into=bool(node.into)
                )
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

    def _env(self, action: GroundAction) -> dict[Local, Expr]:
        return {p: x.const(v) for p, v in zip(action.action.params, action.params, strict=True)}

    def _evaluate(self, belief: Belief, action: GroundAction, term: Expr) -> Value:
        return self.values(belief.state).of(self.grounder.ground(term, self._env(action)))

    def _bindings(
        self, belief: Belief, action: GroundAction, bindings: tuple[tuple[str, Expr], ...], statement: object, clock: int
    ) -> dict[str, str]:
        """The variables of a statement as SQL literals."""
        from txweave.semantics.context import walk

        types = {n.name: n.type for n in walk(statement) if isinstance(n, tree.Variable)}
        ids = dict(belief.ids)
        found: dict[str, str] = {}
        for name, term in bindings:
            kind = types[name]
            grounded = self.grounder.ground(term, self._env(action))
            if kind.kind == "timestamp":
                moment = self.moment(belief, grounded, clock)
                found[name] = "NULL" if moment is None else time_literal(moment)
                continue
            value = self.outside(self.values(belief.state).of(grounded), kind, ids)
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

    def ghost(self, belief: Belief, ids: Ids, action: GroundAction, clock: int) -> tuple[str, tree.Insert | None]:
        """The text of the action's ghost statement, empty if it has none, and the statement if it is an INSERT."""
        info = action.action.info
        node = self.steps.get((info.procedure, info.step.partition("[")[0]))
        if not isinstance(node, bound.Execute) or node.ghost is None:
            return "", None
        known = replace(belief, ids=tuple(sorted(ids.items())))
        names = self._bindings(known, action, info.recorded, node.ghost, clock)
        statement, _ = self._with_ids(node.ghost)
        return sql_of(statement, names), statement if isinstance(statement, tree.Insert) else None

    def expected(self, belief: Belief, action: GroundAction, after: Belief) -> Expected:
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
                tuple(values.of(v) for v in columns) for condition, columns in self._returned(action) if values.of(condition)
            )
        affected = None if info.affected is None else self._evaluate(belief, action, info.affected)
        assert affected is None or isinstance(affected, int)
        return Expected("ok", info.outcome, rows=rows, affected=affected, fresh=self._fresh(belief, after, process))

    def _returned(self, action: GroundAction) -> tuple[tuple[Expr, tuple[Expr, ...]], ...]:
        found = self._rows.get(action.index)
        if found is None:
            env = self._env(action)
            parts = []
            for witness in action.action.info.returned or ():
                for more in self.grounder.assignments(witness.locals):
                    condition = self.grounder.ground(witness.condition, {**env, **more})
                    if condition is not x.FALSE:
                        parts.append((condition, tuple(self.grounder.ground(v, {**env, **more}) for v in witness.values)))
            found = self._rows[action.index] = tuple(parts)
        return found

    def _fresh(self, belief: Belief, after: Belief, process: Elem) -> dict[str, tuple[Elem, ...]]:
        """The slots that got a new row, of tables with generated ids."""
        found: dict[str, tuple[Elem, ...]] = {}
        for name, table in self.model.schema.tables.items():
            if table.serial is None or f"{name}.~writer" not in self._names:
                continue
            slots = []
            for slot in self.grounder.elements(name):
                if self.system.value(after.state, f"{name}.~writer", (slot,)) != process:
                    continue
                if self.system.value(belief.state, f"{name}.~writer", (slot,)) == process:
                    continue
                if f"{name}.~live" in self._names and self.system.value(belief.state, f"{name}.~live", (slot,)) is not True:
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
            name = f"{table.name}.{column.name}"
            pending = name + "'"
            value = self.system.value(state, pending if pending in self._names else name, (slot,))
            found.append(self.outside(value, column.type, ids))
        return tuple(found)


def time_literal(moment: int) -> str:
    """A time on the replay's clock as an SQL literal."""
    return f"(TIMESTAMP '{EPOCH}' + INTERVAL '{moment} microseconds')"


def plain(text: str) -> str:
    """White space as one blank."""
    return re.sub(r"\s+", " ", text).strip()
