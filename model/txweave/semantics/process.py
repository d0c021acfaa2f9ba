"""Processes: a role's code becomes guarded commands, one for each way in which a step can go.

A *place* of the program (a value of the role's program counter) is an instruction that blocks (a statement, transaction
control, a clock reading, a choice) together with what is known about the transaction there: none, open or failed, the stack of
savepoints, remembered errors, whether the process waits inside it. Everything else a program does touches its own variables
only, and is fused with the step before it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from math import prod

from txweave.semantics import code as c
from txweave.semantics import results, waiting
from txweave.semantics.context import Context, World, walk
from txweave.semantics.looking import looked_at
from txweave.semantics.relations import ordered_before, rename
from txweave.semantics.savepoints import Savepoints
from txweave.semantics.statements import execute
from txweave.semantics.symbolic import State
from txweave.spec import syntax
from txweave.sql import tree
from txweave.sql.render import sql_of
from txweave.system import expr as x
from txweave.system.expr import BOOL, Domain, Expr, Local
from txweave.system.sorted import Action, Point, StepInfo

IDLE, DONE, FAILED, CRASHED, HUNG = "(idle)", "(done)", "(failed)", "(crashed)", "(hung)"
"""Places that are no steps; no step can have such a name."""
_STATUS = {DONE: "done", FAILED: "failed", CRASHED: "crashed", HUNG: "running"}
_MOST_PATHS = 400
_MOST_SAVEPOINTS = 4


@dataclass(frozen=True)
class Config:
    """A place: instruction number, transaction (none, open, failed), open savepoints, remembered errors, before the first
    step (``fresh``), and whether the process stands inside the statement: waits (``wait`` for a row,
    ``redo``, ``keys``, ``parents``, ``row 1``, …), or has paused (``pause``, ``pause row 1``, …, ``pause parents``)."""

    pc: int
    transaction: str = "none"
    savepoints: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()
    fresh: bool = False
    waiting: str = ""

    @property
    def paused(self) -> bool:
        """Inside the statement, with nothing in the way."""
        return self.waiting.startswith("pause")


@dataclass(frozen=True)
class Path:
    """A run of local instructions from one place to the next, or to the end."""

    guard: Expr
    params: tuple[Local, ...]
    state: State
    config: Config | None
    status: str = ""
    error: str = ""


class TooManyPathsError(Exception):
    """Local instructions do not come to an end."""


@dataclass
class Process:
    """Builds the actions of one role."""

    world: World
    role: syntax.Role
    code: c.Code
    tick: int
    uses_now: bool
    actions: list[Action] = field(default_factory=list)
    names: dict[Config, str] = field(default_factory=dict)
    points: dict[str, Point] = field(default_factory=dict)
    taken: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.name = self.role.name.value
        self.process = x.local(self.name[:1], self.name)
        self.pc = f"{self.name}.~pc"
        self.ctx = Context(self.world, self.name, self.process)
        self.saved = Savepoints(self.world.storage)

    # ----------------------------------------------------------------------------------------------------- declaration

    @property
    def depth(self) -> int:
        """How many savepoints may be open at once, as far as the passes of the lowering have seen."""
        return self.world.savepoints.get(self.name, 0)

    def declare(self, domain: Domain, initial: str) -> None:
        """The program counter and the process's bookkeeping."""
        functions = self.world.functions
        functions.declare(self.pc, [self.name], domain, initial, ("pc", self.name))
        self.saved.declare(self.name, self.depth)
        if self.uses_now:
            functions.declare(
                f"{self.name}.~began", [self.name], self.world.storage.times.domain, None, ("hidden", "began", self.name)
            )
        for timer, within in self.code.timers.items():
            limit = within.bound // self.tick
            functions.declare(
                self.timer_function(timer),
                [self.name],
                Domain(values=tuple(range(limit + 1)), nullable=True),
                None,
                ("timer", self.name, timer),
            )
        if self.code.period is not None:
            limit = self.code.period // self.tick
            functions.declare(
                self.period_function,
                [self.name],
                Domain(values=tuple(range(limit + 1)), nullable=True),
                None,
                ("timer", self.name, "every"),
            )

    def timer_function(self, timer: str) -> str:
        """The function: for how many ticks a ``within`` span has been running; NULL outside of it."""
        return f"{self.name}.~within.{timer}"

    @property
    def period_function(self) -> str:
        """The function: ticks since the last start of a round, up to the period."""
        return f"{self.name}.~every"

    def _loop(self, loop: str) -> str:
        """The relation of rows that a loop has still to visit: declared like the rows variable it copies."""
        rows = self.world.functions.functions.get(f"{self.name}.{self.code.loops[loop]}")
        sorts = rows.params if rows is not None else (self.name,)
        return self.world.functions.declare(f"{self.name}.{loop}", sorts, BOOL, False, ("rows", self.name, loop))

    def _loop_values(self, loop: str) -> list[tuple[str, str, str]]:
        """Pairs (label, rows variable's value function, loop's value function)."""
        rows = self.code.loops[loop]
        prefix = f"{self.name}.{rows}."
        found = []
        for name in sorted(self.world.functions.functions):
            function = self.world.functions.functions[name]
            if name.startswith(prefix) and function.about[:3] == ("rowvalue", self.name, rows):
                label = name[len(prefix) :]
                own = self.world.functions.declare(
                    f"{self.name}.{loop}.{label}", function.params, function.domain, None, ("rowvalue", self.name, loop, label)
                )
                found.append((label, name, own))
        return found

    # ---------------------------------------------------------------------------------------------------------- places

    def place(self, config: Config) -> str:
        """The program counter's value for a place (made on first sight)."""
        name = self.names.get(config)
        if name is None:
            instruction = self.code.instructions[config.pc]
            place = instruction.place
            if config.fresh:
                name = IDLE
            else:
                name = place.step + "".join(f"[{i}]" for i in place.indices)
                if config.waiting:
                    name += " (in the middle)" if config.paused else " (waiting)"
                if config.transaction == "failed":
                    name += " (transaction failed)"
            base, number = name, 2
            while name in self.taken:
                name, number = f"{base} #{number}", number + 1
            self.taken.add(name)
            self.names[config] = name
            self.points[name] = Point(
                self.name,
                name,
                "idle" if config.fresh else "running",
                place.procedure,
                place.step,
                config.transaction,
                bool(config.waiting) and not config.paused,
                config.paused,
            )
        return name

    def end_place(self, place: str) -> str:
        """The program counter's value after the end."""
        if place not in self.points:
            self.points[place] = Point(self.name, place, _STATUS[place], transaction="open" if place == HUNG else "none")
        return place

    # ------------------------------------------------------------------------------------------------- local instructions

    def fresh_variables(self, state: State) -> None:
        """All variables are unset, as at the start of a round."""
        for name in sorted(self.world.functions.functions):
            function = self.world.functions.functions[name]
            if function.params[:1] == (self.name,) and function.about[0] in ("variable", "rows", "rowvalue"):
                initial = x.const(function.initial if function.about[0] == "rows" else None)
                state.write_all(name, lambda p, *_rest, initial=initial: (x.equal(p, self.process), initial))

    def start(self, state: State) -> list[Path]:
        """The first place of a round."""
        self.fresh_variables(state)
        paths = self.advance(state, Config(0), x.TRUE, ())
        return [replace(p, config=replace(p.config, fresh=True)) if p.config is not None else p for p in paths]

    def advance(
        self, state: State, config: Config, guard: Expr, params: tuple[Local, ...], budget: list[int] | None = None
    ) -> list[Path]:
        """Run local instructions up to the next place; every way through branches is a path."""
        budget = [0] if budget is None else budget
        state = state.copy()
        steps = 0
        while True:
            steps += 1
            if steps > 4 * len(self.code.instructions) + 2000:
                raise TooManyPathsError(self.code.instructions[config.pc].place.step)
            instruction = self.code.instructions[config.pc]
            self.ctx.scope = instruction.scope
            following = replace(config, pc=config.pc + 1)
            match instruction:
                case c.Execute() | c.Transaction() | c.Choose():
                    return [Path(guard, params, state, config)]
                case c.Assign(clock=True):
                    return [Path(guard, params, state, config)]
                case c.Assign():
                    self._assign(state, instruction)
                    config = following
                case c.Jump(target=target):
                    config = replace(config, pc=target)
                case c.Branch(condition=condition, otherwise=otherwise):
                    holds = self.world.terms.true(condition, self.ctx.env(state))
                    if holds is x.TRUE:
                        config = following
                    elif holds is x.FALSE:
                        config = replace(config, pc=otherwise)
                    else:
                        return [
                            *self._fork(state, following, x.conj(guard, holds), params, budget),
                            *self._fork(state, replace(config, pc=otherwise), x.conj(guard, x.neg(holds)), params, budget),
                        ]
                case c.StartRows(loop=loop):
                    self._start_rows(state, instruction.rows, loop)
                    config = following
                case c.NextRow():
                    return self._next_row(state, instruction, config, guard, params, budget)
                case c.Raise(error=error):
                    return self.raise_error(state, config, error, False, guard, params, budget)
                case c.Reraise():
                    error = config.errors[-1]
                    return self.raise_error(state, replace(config, errors=config.errors[:-1]), error, False, guard, params, budget)
                case c.Timer(timer=timer):
                    state.write(self.timer_function(timer), (self.process,), x.NULL)
                    config = following
                case c.End():
                    return self.finish(state, config, DONE, "", guard, params)
                case _:
                    config = following

    def _fork(self, state: State, config: Config, guard: Expr, params: tuple[Local, ...], budget: list[int]) -> list[Path]:
        if guard is x.FALSE:
            return []
        budget[0] += 1
        if budget[0] > _MOST_PATHS:
            raise TooManyPathsError(self.code.instructions[config.pc].place.step)
        return self.advance(state, config, guard, params, budget)

    def _assign(self, state: State, instruction: c.Assign) -> None:
        env = self.ctx.env(state)
        values = [(name, self.world.terms.value(e, env)) for name, e in instruction.assignments]
        if instruction.target_scope is not None:
            self.ctx.scope = instruction.target_scope
        for name, value in values:
            state.write(self.ctx.variable(name), (self.process,), value)
        self.ctx.scope = instruction.scope

    def _start_rows(self, state: State, rows: str, loop: str) -> None:
        source, target = f"{self.name}.{rows}", self._loop(loop)
        if source not in self.world.functions.functions:
            return  # the statement that fills it comes later in the first pass of the lowering
        before = state.copy()
        state.rounds.pop(target, None)
        state.write_all(target, lambda p, *row: (x.equal(p, self.process), before.read(source, p, *row)))
        for _, value, own in self._loop_values(loop):
            state.write_all(own, lambda p, *row, value=value: (x.equal(p, self.process), before.read(value, p, *row)))

    def _next_row(
        self, state: State, instruction: c.NextRow, config: Config, guard: Expr, params: tuple[Local, ...], budget: list[int]
    ) -> list[Path]:
        """Take a row out of the loop's relation: any, or the first in the order of the query."""
        loop = instruction.loop
        relation = self._loop(loop)
        sorts = self.world.functions.functions[relation].params[1:]
        row = tuple(x.local(sort, sort) for sort in sorts)
        there = x.truth(state.read(relation, self.process, *row))
        values = {label: own for label, _, own in self._loop_values(loop)}
        query = self._loop_query(instruction)
        left = replace(config, pc=instruction.leave)
        empty = x.neg(x.exists(row, there))
        paths = self._fork(state, left, x.conj(guard, empty), params, budget)
        rounds = state.rounds.get(relation, 0)
        if rounds == prod(self.world.storage.sizes[sort] for sort in sorts) or not sorts:
            return paths  # there are no more rows than that
        chosen: Expr = there
        if query is not None and query.order_by:
            other = tuple(x.local(sort, sort) for sort in sorts)

            def order(of: tuple[Local, ...]) -> tuple[Expr, ...]:
                holders = [values.get(f"~order{n}") for n in range(len(query.order_by))]
                return tuple(of[0] if h is None else state.read(h, self.process, *of) for h in holders)

            earlier = ordered_before(self.world.terms, query.order_by, order(other), order(row))
            chosen = x.conj(there, x.neg(x.exists(other, x.conj(x.truth(state.read(relation, self.process, *other)), earlier))))
        taken = state.copy()
        taken.rounds[relation] = rounds + 1
        keys = iter(row)
        terms: list[Expr] = []
        for number in range(len(instruction.variables)):
            own = values.get(str(number))
            terms.append(next(keys) if own is None else state.read(own, self.process, *row))
        results.assign(self.ctx, taken, instruction.variables, terms)
        taken.write(relation, (self.process, *row), x.FALSE)
        for own in values.values():
            taken.write(own, (self.process, *row), x.NULL)
        paths.extend(self._fork(taken, replace(config, pc=config.pc + 1), x.conj(guard, chosen), (*params, *row), budget))
        return paths

    def _loop_query(self, instruction: c.NextRow) -> tree.Query | None:
        for other in self.code.instructions:
            if isinstance(other, c.Execute) and other.node.rows is not None and other.scope + other.node.rows == instruction.rows:
                statement = other.node.statement
                return statement.query if isinstance(statement, tree.Select) else None
        return None

    # ------------------------------------------------------------------------------------------------------ errors, ends

    def _end_transaction(self, state: State, config: Config, commit: bool) -> None:
        for level in range(self.depth):
            self.saved.forget(state, self.process, self.name, level)
        del config
        if commit:
            waiting.outdate(self.world, state, self.process, self.name)
            waiting.note_changes(self.world, state, self.process, self.name)
        self.world.storage.end(state, self.process, self.name, commit)
        if self.uses_now:
            state.write(f"{self.name}.~began", (self.process,), x.NULL)
        waiting.release(self.world, state, self.process)

    def raise_error(
        self,
        state: State,
        config: Config,
        error: str,
        database: bool,
        guard: Expr,
        params: tuple[Local, ...],
        budget: list[int] | None = None,
    ) -> list[Path]:
        """An error: the server aborts the transaction up to the last savepoint (locks go at once); a handler takes over, or
        the procedure fails.
        """
        state = state.copy()
        instruction = self.code.instructions[config.pc]
        config = replace(config, fresh=False, waiting="")
        if database and config.transaction == "open":
            if config.savepoints:
                self.saved.rollback_to(state, self.process, self.name, len(config.savepoints) - 1)
                waiting.release_after_rollback_to(self.world, state, self.process, self.name)
            else:
                self._end_transaction(state, config, commit=False)
            config = replace(config, transaction="failed")
        for catch in instruction.catches:
            if not catch.errors or error in catch.errors:
                errors = (*config.errors, error) if catch.keep else config.errors
                return self.advance(state, replace(config, pc=catch.target, errors=errors), guard, params, budget)
        return self.finish(state, config, FAILED, error, guard, params)

    def finish(self, state: State, config: Config, status: str, error: str, guard: Expr, params: tuple[Local, ...]) -> list[Path]:
        """The procedure ends; an open transaction is rolled back; a repeating one starts its next round."""
        state = state.copy()
        if config.transaction != "none":
            self._end_transaction(state, config, commit=False)
        if status == DONE and self.code.repeat:
            return [replace(p, guard=x.conj(guard, p.guard), params=(*params, *p.params)) for p in self.start(state)]
        return [Path(guard, params, state, None, status, error)]

    # ------------------------------------------------------------------------------------------------------------ actions

    def build(self) -> None:
        """All actions, from the initial place on."""
        initial = State(self.world.functions)
        paths = self.start(initial)
        if len(paths) != 1 or paths[0].config is None:
            self.world.report.error(
                "M405",
                self.role.name.span(),
                f"role {self.name}: what happens before its first statement is not determined",
                "begin with a statement, a `choose`, or transaction control",
            )
            return
        first = paths[0].config
        self.place(first)
        done: set[Config] = set()
        queue = [first]
        while queue:
            config = queue.pop(0)
            if config in done:
                continue
            done.add(config)
            for action, target in self.step(config):
                self.actions.append(action)
                if target is not None and target not in done:
                    queue.append(target)
        self._crash_at_the_end()

    def step(self, config: Config) -> Iterator[tuple[Action, Config | None]]:
        """The actions at a place, each with the place it leads to."""
        instruction = self.code.instructions[config.pc]
        self.ctx.scope, self.ctx.span = instruction.scope, instruction.place.span
        at = x.equal(x.apply(self.pc, self.process), x.const(self.place(config)))
        state = State(self.world.functions)
        if config.fresh and self.code.period is not None:
            since = x.apply(self.period_function, self.process)
            limit = self.code.period // self.tick
            at = x.conj(at, x.disj(x.equal(since, x.NULL), x.equal(since, x.const(limit))))
            state.write(self.period_function, (self.process,), x.const(0))
        for timer, within in self.code.timers.items():
            if within.first <= config.pc < within.last:
                now = x.apply(self.timer_function(timer), self.process)
                state.write(self.timer_function(timer), (self.process,), x.ite(x.equal(now, x.NULL), x.const(0), now))
        if config.waiting and not config.paused:
            at_wait = at
            at = x.conj(at, x.equal(x.apply(waiting.blocker(self.world, self.name), self.process), x.NULL))
            yield from self._deadlock(config, at_wait, state)
        match instruction:
            case c.Execute():
                yield from self._execute(config, instruction, at, state.copy())
            case c.Transaction():
                yield from self._transaction(config, instruction, at, state.copy())
            case c.Choose():
                yield from self._choose(config, instruction, at, state.copy())
            case c.Assign():
                assigned = state.copy()
                self._assign(assigned, instruction)
                info = self._info(instruction, "set", sql="")
                paths = self.advance(assigned, replace(config, pc=config.pc + 1, fresh=False), x.TRUE, ())
                yield from self._emit(config, at, paths, info)
        yield from self._faults(config, instruction, state)

    def _info(
        self,
        instruction: c.Instruction,
        outcome: str,
        sql: str,
        variables: object = None,
        results_: tuple[tuple[str, Expr], ...] = (),
        note: str = "",
    ) -> StepInfo:
        bindings: dict[str, Expr] = {}
        for node in walk(variables):
            if isinstance(node, tree.Variable):
                self.ctx.scope = instruction.scope
                bindings[node.name] = x.apply(self.ctx.variable(node.name), self.process)
        place = instruction.place
        step = place.step + "".join(f"[{i}]" for i in place.indices)
        return StepInfo(place.procedure, step, outcome, note, sql, place.span, tuple(sorted(bindings.items())), results_)

    def _emit(
        self, config: Config, at: Expr, paths: list[Path], info: StepInfo, *, kind: str = "step", recurs: bool = True
    ) -> Iterator[tuple[Action, Config | None]]:
        """Actions for the paths that leave a place."""
        for path in paths:
            guard = x.conj(at, path.guard)
            if guard is x.FALSE:
                continue
            state = path.state.copy()
            target = self.place(path.config) if path.config is not None else self.end_place(path.status)
            for timer, within in self.code.timers.items():
                if path.config is None or not within.first <= path.config.pc < within.last:
                    state.write(self.timer_function(timer), (self.process,), x.NULL)
            if path.config is None and self.code.period is not None:
                state.write(self.period_function, (self.process,), x.NULL)
            state.write(self.pc, (self.process,), x.const(target))
            noted = info
            if path.error:
                noted = replace(info, note=(info.note + " " if info.note else "") + f"fails with {path.error}")
            yield (
                Action(
                    self._action_name(info),
                    kind,
                    self.process,
                    (self.process, *path.params),
                    guard,
                    state.updates(),
                    noted,
                    self.name,
                    recurs=recurs,
                ),
                path.config,
            )
        del config

    def _action_name(self, info: StepInfo) -> str:
        return f"{self.name}.{info.step}" + ("" if info.outcome == "ok" else f": {info.outcome}")

    def _execute(self, config: Config, instruction: c.Execute, at: Expr, state: State) -> Iterator[tuple[Action, Config | None]]:
        statement = instruction.node.statement
        sql = sql_of(statement)
        if config.transaction == "failed":
            info = self._info(instruction, "in_failed_sql_transaction", sql, statement)
            yield from self._emit(config, at, self.raise_error(state, config, "in_failed_sql_transaction", False, x.TRUE, ()), info)
            return
        if config.transaction == "none" and self.uses_now:
            state.write(f"{self.name}.~began", (self.process,), x.const(0))
        here = replace(config, transaction="open", fresh=False)
        self._note_gap(instruction)
        self.ctx.scope = instruction.scope
        seen = looked_at(self.ctx, statement, state)
        for outcome in execute(self.ctx, instruction.node, state, resumed=config.waiting):
            if outcome.guard is x.FALSE:
                continue
            self.ctx.scope = instruction.scope
            info = self._info(instruction, outcome.label, sql, statement, outcome.results, outcome.note)
            recorded = {
                n.name: outcome.state.read(self.ctx.variable(n.name), self.process)
                for n in walk(instruction.node.ghost)
                if isinstance(n, tree.Variable)
            }
            recorded_values = tuple(sorted(recorded.items()))
            info = replace(info, returned=outcome.returned, affected=outcome.affected, recorded=recorded_values, looked=seen)
            guard = x.conj(at, outcome.guard)
            if outcome.exit == "ok":
                paths = self.advance(outcome.state, replace(here, pc=config.pc + 1, waiting=""), outcome.guard, outcome.params)
                yield from self._emit(config, at, paths, info)
            elif outcome.exit == "error":
                paths = self.raise_error(outcome.state, here, outcome.error, outcome.database, outcome.guard, outcome.params)
                yield from self._emit(config, at, paths, info)
            elif outcome.exit == "out":
                yield (
                    Action(
                        self._action_name(info),
                        "step",
                        self.process,
                        (self.process, *outcome.params),
                        guard,
                        (),
                        info,
                        self.name,
                        out=outcome.error,
                    ),
                    None,
                )
            else:
                path = Path(outcome.guard, outcome.params, outcome.state, replace(here, waiting=outcome.exit))
                yield from self._emit(config, at, [path], info)

    def _note_gap(self, instruction: c.Execute) -> None:
        """Tell where the model does not stop a statement that others could come into the middle of."""
        if self.ctx.pause(instruction.node.statement).gap:
            place = instruction.place
            self.world.notes.add(f"{self.name}: nobody comes into the middle of {place.procedure}.{place.step}")

    def _deadlock(self, config: Config, at: Expr, state: State) -> Iterator[tuple[Action, Config | None]]:
        """The server breaks a cycle of waits by aborting one of those in it, any of them."""
        instruction = self.code.instructions[config.pc]
        cycle = waiting.in_cycle(self.world, self.process, self.name)
        after = state.copy()
        waiting.clear(self.ctx, after)
        info = self._info(instruction, "deadlock_detected", "", note="the server breaks the deadlock")
        paths = self.raise_error(after, config, "deadlock_detected", True, cycle, ())
        yield from self._emit(config, at, paths, info, kind="database")

    def _transaction(
        self, config: Config, instruction: c.Transaction, at: Expr, state: State
    ) -> Iterator[tuple[Action, Config | None]]:
        node = instruction.node
        operation, name = node.operation, node.name
        sql = {"rollback_to": "ROLLBACK TO", "release": "RELEASE SAVEPOINT"}.get(operation, operation.upper()) + (
            f" {name}" if name else ""
        )
        info = self._info(instruction, "ok", sql)
        following = replace(config, pc=config.pc + 1, fresh=False)

        def go(next_config: Config) -> Iterator[tuple[Action, Config | None]]:
            yield from self._emit(config, at, self.advance(state, next_config, x.TRUE, ()), info)

        def refuse(error: str) -> Iterator[tuple[Action, Config | None]]:
            paths = self.raise_error(state, config, error, True, x.TRUE, ())
            yield from self._emit(config, at, paths, replace(info, outcome=error))

        if operation in ("commit", "rollback"):
            if config.transaction != "none":
                self._end_transaction(state, config, commit=operation == "commit" and config.transaction == "open")
            if config.transaction == "failed" and operation == "commit":
                info = replace(info, note="the transaction has failed: COMMIT rolls back")
            yield from go(replace(following, transaction="none", savepoints=()))
        elif operation == "begin":
            if config.transaction == "none" and self.uses_now:
                state.write(f"{self.name}.~began", (self.process,), x.const(0))
            yield from go(replace(following, transaction="open" if config.transaction == "none" else config.transaction))
        elif operation == "savepoint":
            assert name is not None
            if config.transaction == "failed":
                yield from refuse("in_failed_sql_transaction")
                return
            level = len(config.savepoints)
            if level == _MOST_SAVEPOINTS:
                self.world.report.error(
                    "M407",
                    instruction.place.span,
                    f"more than {_MOST_SAVEPOINTS} savepoints may be open here",
                    "release a savepoint when it is done with: ROLLBACK TO keeps it, and one of the same name hides it",
                )
                return
            self.world.savepoints[self.name] = max(self.depth, level + 1)
            self.saved.declare(self.name, self.depth)
            self.saved.save(state, self.process, self.name, level)
            yield from go(replace(following, transaction="open", savepoints=(*config.savepoints, name)))
        else:
            assert name is not None
            if name not in config.savepoints or (operation == "release" and config.transaction == "failed"):
                yield from refuse(
                    "in_failed_sql_transaction" if config.transaction == "failed" else "invalid_savepoint_specification"
                )
                return
            level = len(config.savepoints) - 1 - config.savepoints[::-1].index(name)
            keep = level if operation == "release" else level + 1
            if operation == "rollback_to":
                self.saved.rollback_to(state, self.process, self.name, level)
                waiting.release_after_rollback_to(self.world, state, self.process, self.name)
            for gone in range(keep, len(config.savepoints)):
                self.saved.forget(state, self.process, self.name, gone)
            yield from go(replace(following, transaction="open", savepoints=config.savepoints[:keep]))

    def _choose(self, config: Config, instruction: c.Choose, at: Expr, state: State) -> Iterator[tuple[Action, Config | None]]:
        query = instruction.node.query
        info = replace(self._info(instruction, "ok", sql_of(query), query), looked=looked_at(self.ctx, query, state))
        for branch in self.ctx.relations(state).query(query, self.ctx.env(state)).branches:
            chosen = rename(branch)
            after = state.copy()
            results.assign(self.ctx, after, instruction.node.variables, chosen.columns)
            shown = tuple(zip(instruction.node.variables, chosen.columns, strict=True))
            paths = self.advance(after, replace(config, pc=config.pc + 1, fresh=False), chosen.condition, chosen.locals)
            yield from self._emit(config, at, paths, replace(info, results=shown))

    # -------------------------------------------------------------------------------------------------------------- faults

    def _strikes(self, where: str | tuple[object, ...] | None, instruction: c.Instruction) -> bool:
        """Whether a fault that may come ``where`` may come just before this instruction."""
        if where is None:
            return False
        if where == "anywhere":
            return True
        names = {str(name) for name in where}
        return bool(names & set(instruction.place.path))

    def _crash_at_the_end(self) -> None:
        """A process that may crash anywhere and is started anew may also crash when its last COMMIT is done and nobody knows."""
        if not self.role.restart or self.role.crash != "anywhere" or DONE not in self.points:
            return
        at = x.equal(x.apply(self.pc, self.process), x.const(DONE))
        note = "crashes after its last step, before anybody has heard of it"
        info = StepInfo(self.role.run[-1].value, "", "crash", note, "", self.role.name.span())
        paths = self.start(State(self.world.functions))
        recurs = "crash" in self.role.forever
        self.actions += [action for action, _ in self._emit(Config(0), at, paths, info, kind="fault", recurs=recurs)]

    def _faults(self, config: Config, instruction: c.Instruction, started: State) -> Iterator[tuple[Action, Config | None]]:
        role = self.role
        at = x.equal(x.apply(self.pc, self.process), x.const(self.place(config)))
        if not config.fresh and self._strikes(role.crash, instruction):
            state = State(self.world.functions)
            waiting.clear(self.ctx, state)
            self._end_transaction(state, config, commit=False)
            info = self._info(instruction, "crash", "", note="crashes: its transaction is rolled back")
            paths = self.start(state) if role.restart else [Path(x.TRUE, (), state, None, CRASHED)]
            yield from self._emit(config, at, paths, info, kind="fault", recurs="crash" in role.forever)
        if not config.fresh and not config.waiting and self._strikes(role.hang, instruction):
            state = State(self.world.functions)
            info = self._info(instruction, "hang", "", note="hangs: it does nothing any more and keeps its locks")
            yield from self._emit(
                config, at, [Path(x.TRUE, (), state, None, HUNG)], info, kind="fault", recurs="hang" in role.forever
            )
        if config.waiting or not isinstance(instruction, c.Execute | c.Transaction):
            return
        for where, error in role.errors:
            if not self._strikes("anywhere" if where.value == "anywhere" else (where,), instruction):
                continue
            recurs = "errors" in role.forever
            name = error.value
            here = replace(config, transaction="open" if config.transaction == "none" else config.transaction, fresh=False)
            if isinstance(instruction, c.Transaction) and instruction.node.operation == "commit":
                for done in (True, False):
                    if done and config.transaction == "failed":
                        continue
                    state = started.copy()
                    if config.transaction != "none":
                        self._end_transaction(state, config, commit=done)
                    note = f"COMMIT reports {name}, and {'was' if done else 'was not'} done"
                    info = self._info(instruction, name, "COMMIT", note=note)
                    after = replace(here, transaction="none", savepoints=())
                    paths = self.raise_error(state, after, name, False, x.TRUE, ())
                    yield from self._emit(config, at, paths, info, kind="error", recurs=recurs)
            elif isinstance(instruction, c.Execute):
                info = self._info(
                    instruction, name, sql_of(instruction.node.statement), instruction.node.statement, note="an injected error"
                )
                paths = self.raise_error(started.copy(), here, name, config.transaction != "failed", x.TRUE, ())
                yield from self._emit(config, at, paths, info, kind="error", recurs=recurs)
