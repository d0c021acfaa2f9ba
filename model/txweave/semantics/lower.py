"""The lowering: a bound model and one of its scenarios become the sorted system."""

from __future__ import annotations

from dataclasses import replace

from txweave.semantics.code import Code, Compiler
from txweave.semantics.context import UNKNOWN, World
from txweave.semantics.infer import UnboundedError, infer_domains, reset_dead
from txweave.semantics.initial import check_data
from txweave.semantics.limits import refuse
from txweave.semantics.pauses import Pauses
from txweave.semantics.process import CRASHED, DONE, FAILED, HUNG, IDLE, Process, TooManyPathsError
from txweave.semantics.properties import Observer
from txweave.semantics.storage import Storage, data_rows
from txweave.semantics.symbolic import Functions, State
from txweave.semantics.terms import Terms
from txweave.semantics.times import analyse, tick_ages
from txweave.semantics.uses import table_uses
from txweave.spec import syntax
from txweave.spec.diagnostics import Report
from txweave.sql import program as bound
from txweave.system import expr as x
from txweave.system.expr import Domain, Expr
from txweave.system.sorted import Action, Fairness, Point, Property, Sort, StepInfo, System

_MOST_PASSES = 6


def lower(model: bound.BoundModel, scenario: str) -> System:
    """The transition system of a scenario.

    Raises:
        SpecError: the scenario uses something that is not modelled; every such place is named.
    """
    return Lowering(model, model.source.scenarios[scenario]).run()


class Lowering:
    """One lowering.

    The functions that an action needs are declared while actions are built, and some actions look at all functions (which row slots
    are free); so the actions are built again until nothing new is declared.
    """

    def __init__(self, model: bound.BoundModel, scenario: syntax.Scenario) -> None:
        self.model = model
        self.scenario = scenario
        self.report = Report()
        self.roles = tuple(role.name.value for role in scenario.roles)
        self.counts = {role.name.value: role.count for role in scenario.roles}
        refuse(model, scenario, self.report)
        self.codes = self._compile()
        self.report.check()
        self.times = analyse(model, scenario, self.report)
        self.uses = table_uses(model, scenario)
        self.data = data_rows(model.schema, model.data)
        bounds = {name.value: size for name, size in scenario.bounds}
        self.sizes = {}
        for name in model.schema.tables:
            present = len(self.data.get(name, []))
            self.sizes[name] = max(present, bounds.get(name, present)) if self.uses[name].inserted else present
        self.functions = Functions()
        exact = frozenset(self._exact())
        burned = frozenset(self._burned()) | exact
        storage = Storage(self.functions, model.schema, self.uses, self.sizes, self.data, self.times.cells, burned, exact)
        terms = Terms(self.functions, self.times.tick, self.sizes)
        check_data(model, self.data, terms, self.report)
        self.report.check()
        self.world = World(self.functions, storage, terms, self.report, self.roles, self.counts)
        self.world.pauses = Pauses(model, scenario, self.sizes).of

    def _compile(self) -> dict[str, Code]:
        codes = {}
        for role in self.scenario.roles:
            compiler = Compiler(self.model, role.name.value, self.report)
            arguments = {name.value: value for name, value in role.arguments}
            codes[role.name.value] = compiler.role([name.value for name in role.run], arguments, role.name.span())
        return codes

    def _exact(self) -> list[str]:
        """Tables whose generated ids are the numbers of a sequence."""
        if self.model.source.serial != "exact":
            return []
        return [name for name, table in self.model.schema.tables.items() if table.serial is not None and self.uses[name].inserted]

    def _burned(self) -> set[str]:
        """Tables whose row slots are never used again: a pending ``whenever … eventually`` still speaks of a deleted row."""
        found = set()
        for item in self.model.properties.values():
            if isinstance(item.formula, bound.BoundLeadsTo) and item.formula.eventually is not None:
                for output in item.formula.whenever.outputs:
                    type_ = output.expression.type
                    if type_.kind == "reference" and type_.table in self.uses and self.uses[type_.table].deleted:
                        found.add(type_.table)
        return found

    # -------------------------------------------------------------------------------------------------------------- passes

    def run(self) -> System:
        """The finished system."""
        processes: list[Process] = []
        seen: tuple[object, ...] = ()
        for _ in range(_MOST_PASSES):
            processes = [self._process(role) for role in self.scenario.roles]
            self.report.check()
            self._infer(processes)
            self.report.check()
            now = tuple((name, f.domain, f.params) for name, f in sorted(self.functions.functions.items()))
            if now == seen:
                break
            seen = now
        else:
            raise AssertionError("the declared functions do not settle")
        return self._assemble(processes)

    def _process(self, role: syntax.Role) -> Process:
        process = Process(self.world, role, self.codes[role.name.value], self.times.tick, self.times.now)
        for variable, owner in process.code.owner.items():
            self._declare_variable(process, variable, owner)
        process.declare(Domain(), IDLE)
        try:
            process.build()
        except TooManyPathsError as error:
            self.report.error(
                "M404",
                role.name.span(),
                f"role {role.name.value}: the local steps around {error.args[0]!r} may go on for ever without a statement",
                "put a statement into the loop, or bound it by a constant",
            )
        pc = self.functions.functions[process.pc]
        places = [p for p in process.points if p not in (IDLE, DONE, FAILED, CRASHED, HUNG)]
        ends = [p for p in (DONE, FAILED, CRASHED, HUNG) if p in process.points]
        domain = Domain(values=(IDLE, *places, *ends))
        self.functions.functions[process.pc] = replace(pc, domain=domain)
        return process

    def _declare_variable(self, process: Process, variable: str, owner: str) -> None:
        """Variables with a domain of their own; the others are declared where they are assigned."""
        info = process.code.variables[variable]
        if not isinstance(info, bound.ScalarVariable):
            return
        name = f"{process.name}.{variable}"
        domain = UNKNOWN
        if info.type.kind == "timestamp":
            kept = (owner, info.name) in self.times.variables
            domain = self.times.cells.domain if kept else Domain(values=(0,), nullable=True)
        elif info.domain is not None:
            domain = Domain(values=info.domain, nullable=True)
        elif info.type.kind == "boolean":
            domain = Domain(values=(False, True), nullable=True)
        self.functions.declare(name, [process.name], domain, None, ("variable", process.name, variable))

    def _infer(self, processes: list[Process]) -> None:
        for process in processes:
            self._initial(process)
        unknown = [
            name
            for name, function in self.functions.functions.items()
            if function.about[0] in ("variable", "rowvalue", "kept", "value") and self._inferred(name)
        ]
        actions = [action for process in processes for action in process.actions]
        sizes = {**self.sizes, **self.counts}
        try:
            infer_domains(self.functions, unknown, actions, sizes)
        except UnboundedError as error:
            about = self.functions.functions[error.args[0]].about
            variable = self.codes[about[1]].variables.get(about[2])
            role = next(r for r in self.scenario.roles if r.name.value == about[1])
            self.report.error(
                "M406",
                variable.span if variable is not None and variable.span is not None else role.name.span(),
                f"the values of {about[2]!r} of role {about[1]} grow without bound",
                "declare its domain: `domains: {procedure.variable: 0..10}`; a value beyond it is a bound that is hit",
            )

    def _inferred(self, name: str) -> bool:
        """Whether a function's domain follows from its updates."""
        function = self.functions.functions[name]
        if function.domain.ages is not None:
            return False
        if function.about[0] != "variable":
            return True
        info = self.codes[function.about[1]].variables.get(function.about[2])
        if not isinstance(info, bound.ScalarVariable):
            return True
        return info.type.kind not in ("timestamp", "boolean") and info.domain is None

    def _initial(self, process: Process) -> None:
        """Variables that have a value before the first step: inputs, and what is assigned in front of the first statement."""
        state = State(self.functions)
        paths = process.start(state)
        if len(paths) != 1:
            return
        for name in sorted(paths[0].state.changed):
            function = self.functions.functions[name]
            if function.params == (process.name,):
                term = paths[0].state.read(name, process.process)
                if isinstance(term, x.Const) and term.value != function.initial:
                    self.functions.functions[name] = replace(function, initial=term.value)

    # ------------------------------------------------------------------------------------------------------------ assembly

    def _assemble(self, processes: list[Process]) -> System:
        points: dict[str, dict[str, Point]] = {p.name: p.points for p in processes}
        observer = Observer(self.world, self.model, self.codes, points)
        properties = tuple(observer.property(item) for item in self.model.properties.values())
        observed = frozenset(x.functions_in(_expressions(properties)))
        actions: list[Action] = []
        for process in processes:
            edges = [(action, *self._ends(process, action)) for action in process.actions]
            kept, live = reset_dead(self.functions, process.name, process.process, edges, observed)
            actions.extend(self._flatten(action) for action in kept)
            for name, function in list(self.functions.functions.items()):
                if (
                    function.params[:1] == (process.name,)
                    and function.about[0] == "variable"
                    and name not in observed | live.get(IDLE, set())
                ):
                    self.functions.functions[name] = replace(function, initial=None)
        # Of two stories of one length the one without a pause is told.
        actions.sort(key=lambda action: action.info.outcome == "pauses")
        timed = self._tick(actions, processes)
        sorts = tuple(
            [Sort(name, "rows", size) for name, size in self.sizes.items()]
            + [Sort(role, "processes", count) for role, count in self.counts.items()]
        )
        return System(
            name=self.model.name,
            sorts=sorts,
            functions=tuple(self.functions.functions.values()),
            actions=tuple(self._named(actions)),
            properties=properties,
            fairness=tuple(self._fairness(process) for process in processes),
            finished=tuple(self._finished(process) for process in processes),
            timed=timed,
            truncated=frozenset(name.value for name in self.scenario.truncate),
            assumptions=tuple(self._assumptions(processes, timed)),
            points=tuple(point for process in processes for point in process.points.values()),
        )

    @staticmethod
    def _ends(process: Process, action: Action) -> tuple[str, str]:
        """The places before and after an action."""
        source = target = ""
        at = x.apply(process.pc, process.process)
        guards = action.guard.operands if isinstance(action.guard, x.And) else (action.guard,)
        for part in guards:
            if isinstance(part, x.Equal) and part.left is at and isinstance(part.right, x.Const):
                source = str(part.right.value)
        for update in action.updates:
            if update.function == process.pc:
                body = x.substitute(update.body, {update.formals[0]: process.process})
                assert isinstance(body, x.Const)
                target = str(body.value)
        assert source
        return source, target or source

    def _flatten(self, action: Action) -> Action:
        """Timestamps that nothing compares are only NULL or not."""
        updates = []
        for update in action.updates:
            domain = self.functions.functions[update.function].domain
            if domain == Domain(values=(0,), nullable=True) and self._is_time(update.function):
                body = x.ite(self.world.terms.is_null(update.body), x.NULL, x.const(0))
                update = replace(update, body=body)
            updates.append(update)
        return replace(action, updates=tuple(updates))

    def _is_time(self, name: str) -> bool:
        about = self.functions.functions[name].about
        if about[0] in ("committed", "pending"):
            return self.model.schema.tables[about[1]].column(about[2]).type.kind == "timestamp"
        if about[0] == "variable":
            info = self.codes[about[1]].variables.get(about[2])
            return isinstance(info, bound.ScalarVariable) and info.type.kind == "timestamp"
        return False

    def _tick(self, actions: list[Action], processes: list[Process]) -> bool:
        """Add the tick, if time matters at all."""
        ages = [f for f in self.functions.functions.values() if f.domain.ages is not None]
        compared = bool(self.times.cells.columns or self.times.variables or self.times.rows)
        timers = [(process, timer, span) for process in processes for timer, span in process.code.timers.items()]
        periods = [process for process in processes if process.code.period is not None]
        if not ((ages and compared) or timers or periods):
            return False
        state = State(self.functions)
        guard: list[Expr] = []
        for process, timer, span in timers:
            name, limit = process.timer_function(timer), x.const(span.bound // self.times.tick)
            guard.append(x.forall((process.process,), x.neg(x.equal(x.apply(name, process.process), limit))))
            state.write_all(
                name,
                lambda p, name=name: (x.neg(x.equal(x.apply(name, p), x.NULL)), x.arith("+", x.apply(name, p), x.const(1))),
            )
        for process in periods:
            name, limit = process.period_function, x.const((process.code.period or 0) // self.times.tick)
            state.write_all(
                name,
                lambda p, name=name, limit=limit: (
                    x.conj(x.neg(x.equal(x.apply(name, p), x.NULL)), x.neg(x.equal(x.apply(name, p), limit))),
                    x.arith("+", x.apply(name, p), x.const(1)),
                ),
            )
        if ages and compared:
            tick_ages(self.functions, state, self.times.gap)
        seconds = self.times.tick / 1_000_000
        info = StepInfo("", "tick", "ok", f"{seconds:g} s pass")
        actions.append(Action("tick", "tick", None, (), x.conj(*guard), state.updates(), info))
        return True

    @staticmethod
    def _named(actions: list[Action]) -> list[Action]:
        """Give actions of one name numbers."""
        found = []
        seen: dict[str, int] = {}
        for action in actions:
            seen[action.name] = seen.get(action.name, 0) + 1
            number = seen[action.name]
            found.append(replace(action, name=f"{action.name} /{number}") if number > 1 else action)
        return found

    def _fairness(self, process: Process) -> Fairness:
        fair = process.role.fair
        local = x.local(process.name, process.name)
        owed: Expr = x.TRUE
        if fair == "started" and not process.code.repeat:
            owed = x.neg(x.equal(x.apply(process.pc, local), x.const(IDLE)))
        return Fairness(process.name, "weak" if fair == "started" else fair, local, owed)

    @staticmethod
    def _finished(process: Process) -> tuple[x.Local, Expr]:
        local = x.local(process.name, process.name)
        ends = [p for p in (DONE, FAILED, CRASHED, HUNG) if p in process.points]
        if process.code.repeat:
            ends.append(IDLE)
        return local, x.disj(*(x.equal(x.apply(process.pc, local), x.const(p)) for p in ends))

    def _assumptions(self, processes: list[Process], timed: bool) -> list[str]:
        found = []
        for process in processes:
            fair, name = process.role.fair, process.name
            if fair == "none":
                found.append(f"{name}: may stop anywhere for ever (no fairness)")
            elif fair == "started" and not process.code.repeat:
                found.append(f"{name}: need not start; once started it goes on (weak fairness)")
            else:
                found.append(f"{name}: goes on ({'strong' if fair == 'strong' else 'weak'} fairness)")
            faults = [
                w
                for w, given in (("crashes", process.role.crash), ("hangs", process.role.hang), ("errors", process.role.errors))
                if given
            ]
            if faults:
                ending = {"crash": "crashes", "hang": "hangs", "errors": "errors"}
                forever = [ending[f] for f in process.role.forever if f in ending]
                finite = [f for f in faults if f not in forever]
                if finite:
                    found.append(f"{name}: finitely many {' and '.join(finite)}")
                if forever:
                    found.append(f"{name}: {' and '.join(forever)} may recur for ever")
            if process.code.timers:
                found.append(f"{name}: never takes longer than its `within` says, whatever it waits for (time stops instead)")
        if timed:
            found.append(f"time passes for ever, in ticks of {self.times.tick / 1_000_000:g} s")
        found.extend(sorted(self.world.notes))
        return found


def _expressions(properties: tuple[Property, ...]) -> list[Expr]:
    found: list[Expr] = []
    for item in properties:
        for rows in (item.rows, item.goal):
            if rows is not None:
                for witness in rows.witnesses:
                    found.append(witness.condition)
                    found.extend(witness.values)
    return found
