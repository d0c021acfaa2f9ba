"""Programs as code: a role's procedures flattened to instructions with jumps and handler tables.

Loops over constant lists are unrolled, calls are expanded in place (the callee's variables get a prefix), ``finally`` blocks
are copied to every way out.  What remains is a list of instructions; an exception looks its handler up in the instruction's table.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from txweave.spec.diagnostics import Report
from txweave.spec.syntax import Scalar
from txweave.spec.text import Span
from txweave.sql import program as bound
from txweave.sql import tree


@dataclass(frozen=True)
class Place:
    """Where an instruction comes from: procedure, the names of the steps around it (innermost last), and loop indices."""

    procedure: str
    path: tuple[str, ...]
    indices: tuple[str, ...] = ()
    span: Span | None = None

    @property
    def step(self) -> str:
        """The innermost step's name."""
        return self.path[-1] if self.path else self.procedure


@dataclass(frozen=True)
class Catch:
    """A handler: ``errors`` empty catches any; control goes to ``target``.  ``keep``: the error is remembered for
    :class:`Reraise`.
    """

    errors: tuple[str, ...]
    target: int
    keep: bool = False


@dataclass
class Instruction:
    """Base of all instructions; ``catches`` innermost first."""

    place: Place
    catches: tuple[Catch, ...] = ()
    scope: str = ""
    """Prefix of the variables that the instruction names."""


@dataclass
class Execute(Instruction):
    """An SQL statement (blocking: a step of its own)."""

    node: bound.Execute = field(kw_only=True)


@dataclass
class Transaction(Instruction):
    """Transaction control (blocking)."""

    node: bound.Transaction = field(kw_only=True)


@dataclass
class Choose(Instruction):
    """A choice (blocking)."""

    node: bound.Choose = field(kw_only=True)


@dataclass
class Assign(Instruction):
    """An assignment; blocking when it reads the clock."""

    assignments: tuple[tuple[str, tree.Expr], ...] = field(kw_only=True)
    clock: bool = field(kw_only=True, default=False)
    target_scope: str | None = field(kw_only=True, default=None)
    """Prefix of the assigned variables when it differs (arguments of a call)."""


@dataclass
class Branch(Instruction):
    """Go on if the condition is true, else jump."""

    condition: tree.Expr = field(kw_only=True)
    otherwise: int = field(kw_only=True, default=-1)


@dataclass
class Jump(Instruction):
    """Jump."""

    target: int = field(kw_only=True, default=-1)


@dataclass
class StartRows(Instruction):
    """Copy a rows variable to the loop's own ``todo`` relation."""

    rows: str = field(kw_only=True)
    loop: str = field(kw_only=True)


@dataclass
class NextRow(Instruction):
    """Take any row (the first in order) out of the loop's relation into ``variables``, or leave the loop."""

    rows: str = field(kw_only=True)
    loop: str = field(kw_only=True)
    variables: tuple[str, ...] = field(kw_only=True)
    leave: int = field(kw_only=True, default=-1)


@dataclass
class Raise(Instruction):
    """Raise an error by the program itself."""

    error: str = field(kw_only=True)


@dataclass
class Reraise(Instruction):
    """Raise the remembered error again (the end of a ``finally``)."""


@dataclass
class Timer(Instruction):
    """A ``within`` span begins: its timer is reset (it starts with the span's first statement)."""

    timer: str = field(kw_only=True)


@dataclass(frozen=True)
class Within:
    """A ``within`` span: its bound in microseconds and its instructions, ``first`` inclusive, ``last`` exclusive."""

    bound: int
    first: int
    last: int


@dataclass
class End(Instruction):
    """The procedure's round is over."""


@dataclass
class Code:
    """A role's code.  ``loops`` maps a loop's relation to its rows variable; ``timers`` are the ``within`` spans."""

    role: str
    instructions: list[Instruction] = field(default_factory=list)
    loops: dict[str, str] = field(default_factory=dict)
    timers: dict[str, Within] = field(default_factory=dict)
    variables: dict[str, bound.ScalarVariable | bound.RowsVariable] = field(default_factory=dict)
    owner: dict[str, str] = field(default_factory=dict)
    """Variable (with prefix) to the procedure whose variable it is."""
    repeat: bool = False
    period: int | None = None


_LIMIT = 4000


class Compiler:
    """Compiles the procedures of one role."""

    def __init__(self, model: bound.BoundModel, role: str, report: Report) -> None:
        self.model = model
        self.report = report
        self.code = Code(role)
        self.catches: tuple[Catch, ...] = ()
        self.finals: list[tuple[tuple[bound.BoundStep, ...], tuple[Catch, ...]]] = []
        self.place = Place("", ())
        self.scope = ""
        self.calls: tuple[str, ...] = ()
        self.ends: list[list[Jump]] = []
        self.depths: list[int] = [0]
        """How many ``finally`` blocks were open when each procedure being expanded began."""
        self.overflow = False

    def role(self, names: list[str], arguments: dict[str, Scalar], span: Span | None) -> Code:
        """Code for a role that runs these procedures in turn."""
        procedures = [self.model.procedures[name] for name in names]
        repeats = {p.repeat for p in procedures}
        if len(repeats) > 1:
            self.report.error(
                "M401",
                span,
                "the procedures that one role runs in turn repeat differently: "
                + ", ".join(f"{p.name} {'once' if p.repeat is None else 'forever'}" for p in procedures),
                "give all of them the same `repeat`, or split the role",
            )
        self.code.repeat = procedures[0].repeat is not None
        self.code.period = procedures[0].repeat or None
        for procedure in procedures:
            scope = f"{procedure.name}." if len(procedures) > 1 else ""
            self.procedure(procedure, scope, {n: v for n, v in arguments.items() if n in procedure.variables})
        self.place = Place(procedures[-1].name, ())
        self.emit(End(self.place))
        return self.code

    def procedure(self, procedure: bound.BoundProcedure, scope: str, arguments: dict[str, Scalar]) -> None:
        """A procedure from its start to its end (also a call's)."""
        outer = self.place, self.scope, self.calls
        self.place, self.scope = Place(procedure.name, outer[0].path, outer[0].indices, procedure.span), scope
        self.calls = (*self.calls, procedure.name)
        for name, variable in procedure.variables.items():
            self.code.variables[scope + name] = variable
            self.code.owner[scope + name] = procedure.name
        if arguments:
            pairs = tuple((n, tree.Constant(v, _type(procedure, n))) for n, v in sorted(arguments.items()))
            self.emit(Assign(self.place, assignments=pairs))
        self.ends.append([])
        depth = len(self.finals)
        timer = self._timer(procedure.within)
        self.steps(procedure.steps)
        for jump in self.ends.pop():
            jump.target = len(self.code.instructions)
        assert len(self.finals) == depth
        self._stop(timer)
        self.place, self.scope, self.calls = outer

    def _timer(self, within: int | None) -> str | None:
        if within is None:
            return None
        name = f"{self.scope}{self.place.procedure}.{'.'.join((*self.place.path, *self.place.indices))}"
        self.emit(Timer(self.place, timer=name))
        self.code.timers[name] = Within(within, self.here, self.here)
        return name

    def _stop(self, timer: str | None) -> None:
        if timer is not None:
            self.code.timers[timer] = replace(self.code.timers[timer], last=self.here)

    def emit(self, instruction: Instruction) -> Instruction:
        """Append an instruction with the current handlers."""
        instruction.catches = self.catches
        instruction.scope = self.scope
        self.code.instructions.append(instruction)
        if len(self.code.instructions) > _LIMIT and not self.overflow:
            self.overflow = True
            self.report.error(
                "M402",
                self.place.span,
                f"procedure {self.place.procedure} unrolls to more than {_LIMIT} instructions",
                "shorten the lists that `for` runs over, or the chain of calls",
            )
        return instruction

    @property
    def here(self) -> int:
        """The next instruction's number."""
        return len(self.code.instructions)

    def steps(self, steps: tuple[bound.BoundStep, ...]) -> None:
        """Steps in sequence."""
        for step in steps:
            if self.overflow:
                return
            outer = self.place
            self.place = replace(outer, path=(*outer.path, step.name), span=step.span)
            timer = self._timer(step.within)
            self.step(step)
            self._stop(timer)
            self.place = outer

    def step(self, step: bound.BoundStep) -> None:
        """One step."""
        node = step.node
        match node:
            case bound.Execute():
                self.emit(Execute(self.place, node=node))
            case bound.Transaction():
                self.emit(Transaction(self.place, node=node))
            case bound.Choose():
                self.emit(Choose(self.place, node=node))
            case bound.Assign(assignments, clock):
                self.emit(Assign(self.place, assignments=assignments, clock=clock))
            case bound.Branch(condition, then, otherwise):
                branch = Branch(self.place, condition=condition)
                self.emit(branch)
                self.steps(then)
                jump = Jump(self.place)
                if otherwise:
                    self.emit(jump)
                branch.otherwise = self.here
                self.steps(otherwise)
                jump.target = self.here
            case bound.Loop(condition, body):
                head = self.here
                branch = Branch(self.place, condition=condition)
                self.emit(branch)
                self.steps(body)
                self.emit(Jump(self.place, target=head))
                branch.otherwise = self.here
            case bound.ForValues(variables, values, body):
                outer = self.place
                for number, row in enumerate(values):
                    label = str(row[0]) if len({r[0] for r in values}) == len(values) else str(number + 1)
                    self.place = replace(outer, indices=(*outer.indices, label))
                    pairs = tuple((n, tree.Constant(v, self._variable_type(n))) for n, v in zip(variables, row, strict=True))
                    self.emit(Assign(self.place, assignments=pairs))
                    self.steps(body)
                self.place = outer
            case bound.ForRows(variables, rows, body):
                loop = f"{self.scope}{rows}@{self.place.step}{''.join('.' + i for i in self.place.indices)}"
                self.code.loops[loop] = self.scope + rows
                self.emit(StartRows(self.place, rows=self.scope + rows, loop=loop))
                head = self.here
                following = NextRow(self.place, rows=self.scope + rows, loop=loop, variables=variables)
                self.emit(following)
                self.steps(body)
                self.emit(Jump(self.place, target=head))
                following.leave = self.here
            case bound.Raise(error):
                self.emit(Raise(self.place, error=error))
            case bound.Return():
                saved_finals, saved_catches = list(self.finals), self.catches
                depth = self.depths[-1]
                while len(self.finals) > depth:
                    final, catches = self.finals.pop()
                    self.catches = catches
                    self.steps(final)
                self.finals, self.catches = saved_finals, saved_catches
                jump = Jump(self.place)
                self.emit(jump)
                self.ends[-1].append(jump)
            case bound.Call(name, arguments):
                self._call(name, arguments)
            case bound.Try():
                self._try(node)

    def _variable_type(self, name: str) -> tree.Type:
        variable = self.code.variables[self.scope + name]
        assert isinstance(variable, bound.ScalarVariable)
        return variable.type

    def _call(self, name: str, arguments: tuple[tuple[str, tree.Expr], ...]) -> None:
        assert name not in self.calls, "the loader refuses procedures that call themselves"
        callee = self.model.procedures[name]
        inner = f"{self.scope}{self.place.step}."
        if arguments:
            for variable_name, variable in callee.variables.items():
                self.code.variables[inner + variable_name] = variable
            self.emit(Assign(self.place, assignments=arguments, target_scope=inner))
        self.depths.append(len(self.finals))
        self.procedure(callee, inner, {})
        self.depths.pop()

    def _try(self, node: bound.Try) -> None:
        outer = self.catches
        ends: list[Jump] = []
        reraise: Catch | None = None
        if node.final:
            reraise = Catch((), -1, keep=True)
            self.finals.append((node.final, outer))
        around = (reraise, *outer) if reraise is not None else outer
        first = self.here
        self.catches = (*(Catch(h.errors, -1) for h in node.handlers), *around)
        marks = self.catches
        self.steps(node.steps)
        self.catches = around
        if node.final:
            self.finals.pop()
            self.catches = outer
            self.steps(node.final)
        jump = Jump(self.place)
        self.emit(jump)
        ends.append(jump)
        targets: list[int] = []
        for handler in node.handlers:
            if node.final:
                self.finals.append((node.final, outer))
            self.catches = around
            targets.append(self.here)
            self.steps(handler.steps)
            self.catches = outer
            if node.final:
                self.finals.pop()
                self.steps(node.final)
            jump = Jump(self.place)
            self.emit(jump)
            ends.append(jump)
        final_target = -1
        if node.final:
            self.catches = outer
            final_target = self.here
            self.steps(node.final)
            self.emit(Reraise(self.place))
        for jump in ends:
            jump.target = self.here
        self.catches = outer
        # The handlers' places are known now: fill them in wherever this try's entries were used.
        known: dict[int, Catch] = {}
        for position, handler in enumerate(node.handlers):
            known[id(marks[position])] = Catch(handler.errors, targets[position])
        if reraise is not None:
            known[id(reraise)] = Catch((), final_target, keep=True)
        for instruction in self.code.instructions[first:]:
            instruction.catches = tuple(known.get(id(c), c) for c in instruction.catches)


def _type(procedure: bound.BoundProcedure, name: str) -> tree.Type:
    variable = procedure.variables[name]
    assert isinstance(variable, bound.ScalarVariable)
    return variable.type
