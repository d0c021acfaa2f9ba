"""Procedures: every step bound, every variable typed.

A variable may be read before the step (in the order of the text) that sets it, because of loops, and a procedure's inputs come
from its callers.  So all procedures are bound again and again, with the types found so far, until nothing changes; only then
are errors reported.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from txweave.spec import syntax
from txweave.spec.diagnostics import Report, did_you_mean
from txweave.spec.durations import duration_error, parse_duration
from txweave.spec.syntax import Scalar
from txweave.spec.text import Span, Text
from txweave.sql import program
from txweave.sql.domains import check_values
from txweave.sql.expressions import constant_of
from txweave.sql.scope import Environment, Known
from txweave.sql.statements import Bound, bind_expression, bind_query, bind_statement
from txweave.sql.tree import NULL, Clock, Column, Expr, Type
from txweave.sql.walk import contains

_INTEGER = Type("integer")


@dataclass(frozen=True)
class Found:
    """What an assignment says of a variable, and where."""

    type: Type
    values: tuple[Scalar, ...] | None
    span: Span
    columns: tuple[Column, ...] | None = None
    """Not None: the variable holds rows."""


def merge(first: Found | None, second: Found) -> Found | None:
    """What two assignments say together; None when they contradict each other."""
    if first is None:
        return second
    if (first.columns is None) != (second.columns is None):
        return None
    if first.columns is not None and second.columns is not None:
        if len(first.columns) != len(second.columns):
            return None
        columns = []
        for a, b in zip(first.columns, second.columns, strict=True):
            kind = _merge_types(a.type, b.type)
            if kind is None:
                return None
            columns.append(replace(a, type=kind, domain=_merge_values(a.domain, b.domain)))
        return replace(first, columns=tuple(columns))
    kind = _merge_types(first.type, second.type)
    return None if kind is None else replace(first, type=kind, values=_merge_values(first.values, second.values))


def _merge_types(first: Type, second: Type) -> Type | None:
    if first == second or second == NULL:
        return first
    return second if first == NULL else None


def _merge_values(first: tuple[Scalar, ...] | None, second: tuple[Scalar, ...] | None) -> tuple[Scalar, ...] | None:
    if first is None or second is None:
        return None
    joined = tuple(dict.fromkeys([*first, *second]))
    return joined if len(joined) <= 64 else None


class ProcedureBinder:
    """Binds one procedure, given what is known so far."""

    def __init__(
        self,
        procedure: syntax.Procedure,
        procedures: ProcedureSet,
        known: Mapping[str, Found],
        report: Report,
        final: bool,
    ) -> None:
        self.procedure = procedure
        self._all = procedures
        self._known = known
        self._report = report
        self._final = final
        self.found: dict[str, Found] = {}
        self.pending: list[Span] = []
        variables = {n: Known(f.type, f.values, f.columns is not None) for n, f in known.items()}
        mentioned = frozenset(assigned_names(procedure)) - set(variables)
        self._statements = replace(procedures.base, variables=variables, unresolved=mentioned, pending=self.pending)
        silent = replace(self._statements, queries=False, server_clock=False, locks=False)
        self._conditions = replace(silent, subject="a condition")
        self._assignments = replace(silent, subject="an assignment", program_clock=True)
        self._choices = replace(self._statements, locks=False, subject="the query of a choice")
        self._ghosts = replace(self._statements, ghost_reads=True, subject="a ghost statement")

    def bind(self) -> tuple[program.BoundStep, ...]:
        """All steps."""
        for name in self.procedure.inputs:
            given = self._all.given.get((self.procedure.name.value, name.value))
            if given is not None:
                self._assign(name, replace(given, span=name.span()))
            elif self._final:
                self._report.error(
                    "Q344", name.span(), f"no role and no call gives the input {name.value!r}", "give it under `with:`"
                )
        return self._steps(self.procedure.steps)

    # ---------------------------------------------------------------------------------------------------- variables

    def _assign(self, name: Text, found: Found) -> None:
        if name.value in self._all.base.parameters:
            parameter = self._all.base.parameters[name.value]
            message = f"the variable {name.value!r} would hide the parameter of that name"
            self._report.error("Q315", name.span(), message, "rename it", [(parameter.span, "the parameter")])
            return
        before = self.found.get(name.value)
        joined = merge(before, found)
        if joined is None:
            assert before is not None
            message = f"the variable {name.value!r} is {_kind(before)} elsewhere, and {_kind(found)} here"
            self._report.error(
                "Q340", found.span, message, "a variable has one type: use two variables", [(before.span, "elsewhere")]
            )
            return
        declared = self._all.domains.get((self.procedure.name.value, name.value))
        if declared is not None and joined.columns is None:
            if joined.type != NULL and joined.type.kind not in {"integer", "text", "interval", "boolean"}:
                if self._final:
                    message = f"{declared.target.value} is {joined.type} and takes no list of values"
                    self._report.error("Q333", declared.target.span(), message)
            else:
                values = check_values(declared, joined.type, None, self._report if self._final else Report())
                outside = [v for v in found.values or () if v not in values] if len(found.values or ()) == 1 else []
                if outside:
                    message = f"{outside[0]!r} is outside the domain of {declared.target.value}"
                    self._report.error("Q321", found.span, message, did_you_mean(str(outside[0]), [str(v) for v in values]))
                joined = replace(joined, values=values)
        self.found[name.value] = joined

    def _unpack(self, names: Sequence[Text], columns: Sequence[Column], what: str) -> None:
        if len(names) != len(columns):
            wanted = "1 variable" if len(names) == 1 else f"{len(names)} variables"
            had = "1 column" if len(columns) == 1 else f"{len(columns)} columns"
            listed = ", ".join(c.name for c in columns)
            where = names[0].span()
            self._report.error("Q324", where, f"{wanted} for {what} of {had}", f"the columns are: {listed}")
        for name, column in zip(names, columns, strict=False):
            self._assign(name, Found(column.type, column.domain, name.span()))
        seen: set[str] = set()
        for name in names:
            if name.value in seen:
                self._report.error("Q313", name.span(), f"the variable {name.value!r} stands twice")
            seen.add(name.value)

    # -------------------------------------------------------------------------------------------------------- steps

    def _steps(self, steps: Sequence[syntax.Step]) -> tuple[program.BoundStep, ...]:
        bound: list[program.BoundStep] = []
        for step in steps:
            node = self._node(step.body, step)
            within = None if step.within is None else self._all.duration(step.within, self._report)
            if node is not None:
                bound.append(program.BoundStep(step.name.value, node, step.name.span(), within, step.origin))
        return tuple(bound)

    def _node(self, body: syntax.Body, step: syntax.Step) -> program.Node | None:
        match body:
            case syntax.Sql():
                return self._sql(body)
            case syntax.Begin():
                return self._begin(body)
            case syntax.Commit():
                return program.Transaction("commit")
            case syntax.Rollback():
                return program.Transaction("rollback")
            case syntax.Savepoint(name=name):
                return program.Transaction("savepoint", name.value)
            case syntax.Release(name=name):
                return self._savepoint("release", name)
            case syntax.RollbackTo(name=name):
                return self._savepoint("rollback_to", name)
            case syntax.If():
                condition = self._condition(body.condition)
                then, otherwise = self._steps(body.then), self._steps(body.otherwise)
                return None if condition is None else program.Branch(condition, then, otherwise)
            case syntax.While():
                condition = self._condition(body.condition)
                steps = self._steps(body.steps)
                return None if condition is None else program.Loop(condition, steps)
            case syntax.For():
                return self._for(body)
            case syntax.Set():
                return self._set(body)
            case syntax.Choose():
                return self._choose(body)
            case syntax.Raise(error=error):
                return program.Raise(error.value)
            case syntax.Try():
                handlers = [program.Handler(tuple(e.value for e in h.errors), self._steps(h.steps)) for h in body.handlers]
                return program.Try(self._steps(body.steps), tuple(handlers), self._steps(body.final))
            case syntax.Return():
                return program.Return()
            case syntax.Call():
                return self._call(body, step)

    def _condition(self, text: Text) -> Expr | None:
        bound = bind_expression(text, self._conditions, self._report, condition=True)
        return None if bound is None else bound[0]

    def _sql(self, body: syntax.Sql) -> program.Node | None:
        bound = bind_statement(body.sql, self._statements, self._report, body.conditions)
        ghost: Bound | None = None
        if body.ghost is not None:
            ghost = bind_statement(body.ghost, self._ghosts, self._report, ghost=True)
        if bound is None:
            return None
        columns = bound.columns
        if body.into:
            if columns is None:
                message = f"`into: {body.into[0].value}` keeps a result, and the statement returns no rows"
                self._report.error("Q341", body.into[0].span(), message, "write RETURNING, or `affected:` for the number of rows")
            else:
                self._unpack(body.into, columns, "a row")
        if body.rows is not None:
            if columns is None:
                message = f"`rows: {body.rows.value}` keeps a result, and the statement returns no rows"
                self._report.error("Q341", body.rows.span(), message, "write RETURNING, or `affected:` for the number of rows")
            else:
                self._assign(body.rows, Found(NULL, None, body.rows.span(), columns))
        if body.affected is not None:
            if type(bound.statement).__name__ == "Select":
                message = f"`affected: {body.affected.value}` is for INSERT, UPDATE and DELETE"
                self._report.error("Q341", body.affected.span(), message, "write SELECT count(*) with `into:`, or `rows:`")
            else:
                self._assign(body.affected, Found(_INTEGER, None, body.affected.span()))
        if body.ghost is not None and ghost is None:
            return None
        return program.Execute(
            bound.statement,
            tuple(name.value for name in body.into),
            None if body.rows is None else body.rows.value,
            None if body.affected is None else body.affected.value,
            None if ghost is None else ghost.statement,
        )

    def _begin(self, body: syntax.Begin) -> program.Node:
        if body.isolation is not None and body.isolation.value.strip().lower() != "read committed":
            message = f"the isolation level {body.isolation.value!r} is not built yet"
            self._report.error("Q350", body.isolation.span(), message, "write `read committed`")
        mode = "read write" if body.mode is None else " ".join(body.mode.value.lower().split())
        if mode not in {"read write", "read only"} and body.mode is not None:
            self._report.error(
                "Q350", body.mode.span(), f"there is no mode {body.mode.value!r}", "write `read write` or `read only`"
            )
        return program.Transaction("begin", read_only=mode == "read only")

    def _savepoint(self, operation: str, name: Text) -> program.Node:
        if name.value not in self._all.savepoints:
            hint = did_you_mean(name.value, self._all.savepoints)
            self._report.error("Q346", name.span(), f"no step sets the savepoint {name.value!r}", hint)
        return program.Transaction(operation, name.value)

    def _for(self, body: syntax.For) -> program.Node | None:
        name = body.over.value
        parameter = self._all.base.parameters.get(name)
        if parameter is not None:
            values = self._list(body, parameter)
            steps = self._steps(body.steps)
            return None if values is None else program.ForValues(tuple(v.value for v in body.variables), values, steps)
        rows = self._known.get(name)
        ok = False
        if rows is not None and rows.columns is not None:
            self._unpack(body.variables, rows.columns, f"the rows of {name!r}")
            ok = True
        elif rows is not None:
            message = f"{name!r} holds one value, and a loop runs over rows"
            self._report.error("Q342", body.over.span(), message, "keep the rows with `rows:`")
        elif name not in self._statements.unresolved:
            lists = [n for n, p in self._all.base.parameters.items() if isinstance(p.value, tuple)]
            hint = did_you_mean(name, [n for n, f in self._known.items() if f.columns is not None] + lists)
            self._report.error("Q342", body.over.span(), f"there are no rows {name!r} to run over", hint)
        else:
            self.pending.append(body.over.span())
        steps = self._steps(body.steps)
        return program.ForRows(tuple(v.value for v in body.variables), name, steps) if ok else None

    def _list(self, body: syntax.For, parameter: syntax.Parameter) -> tuple[tuple[Scalar, ...], ...] | None:
        if not isinstance(parameter.value, tuple):
            message = f"the parameter {body.over.value!r} is no list"
            self._report.error("Q342", body.over.span(), message, f"write it as a list: {body.over.value}: [{parameter.value}]")
            return None
        rows: list[tuple[Scalar, ...]] = []
        columns: list[Found | None] = [None] * len(body.variables)
        for entry in parameter.value:
            given: tuple[Scalar, ...] = entry if isinstance(entry, tuple) else (entry,)
            if len(given) != len(body.variables):
                message = f"{len(body.variables)} variables for an entry of {len(given)}: {entry!r}"
                self._report.error("Q324", body.variables[0].span(), message)
                return None
            constants = [constant_of(value, None) for value in given]
            rows.append(tuple(constant.value for constant in constants))
            for index, constant in enumerate(constants):
                values = () if constant.value is None else (constant.value,)
                joined = merge(columns[index], Found(constant.type, values, body.variables[index].span()))
                if joined is None:
                    message = f"the entries of {body.over.value!r} have different types"
                    self._report.error("Q320", body.over.span(), message, related=[(parameter.span, "the parameter")])
                    return None
                columns[index] = joined
        for name, found in zip(body.variables, columns, strict=True):
            self._assign(name, found or Found(NULL, (), name.span()))
        return tuple(rows)

    def _set(self, body: syntax.Set) -> program.Node | None:
        assignments: list[tuple[str, Expr]] = []
        clock = False
        seen: set[str] = set()
        for name, text in body.assignments:
            if name.value in seen:
                self._report.error("Q313", name.span(), f"the variable {name.value!r} is set twice")
            seen.add(name.value)
            bound = bind_expression(text, self._assignments, self._report)
            if bound is None:
                continue
            expression, values = bound
            clock = clock or contains(expression, Clock)
            self._assign(name, Found(expression.type, values, name.span()))
            assignments.append((name.value, expression))
        return program.Assign(tuple(assignments), clock) if len(assignments) == len(body.assignments) else None

    def _choose(self, body: syntax.Choose) -> program.Node | None:
        bound = bind_query(body.source, self._choices, self._report)
        if bound is None:
            return None
        query, columns = bound
        self._unpack(body.variables, columns, "a row")
        return program.Choose(tuple(v.value for v in body.variables), query)

    def _call(self, body: syntax.Call, step: syntax.Step) -> program.Node | None:
        del step
        name = body.procedure.value
        callee = self._all.procedures.get(name)
        if callee is None:
            hint = did_you_mean(name, self._all.procedures)
            self._report.error("Q344", body.procedure.span(), f"there is no procedure {name!r}", hint)
            return None
        if self.procedure.name.value in self._all.reach(name):
            message = f"{self.procedure.name.value!r} would call itself through {name!r}"
            self._report.error("Q344", body.procedure.span(), message, "a procedure cannot be recursive: write `while`")
            return None
        if callee.repeat is not None:
            self._report.error("Q344", body.procedure.span(), f"{name!r} repeats for ever and cannot be called")
        wanted = {i.value for i in callee.inputs}
        arguments: list[tuple[str, Expr]] = []
        for given, text in body.arguments:
            if given.value not in wanted:
                hint = did_you_mean(given.value, wanted) or f"declare it: `inputs: [{given.value}]`"
                self._report.error("Q344", given.span(), f"{name!r} has no input {given.value!r}", hint)
                continue
            if given.value in {a for a, _ in arguments}:
                self._report.error("Q313", given.span(), f"the input {given.value!r} is given twice")
            environment = replace(self._assignments, program_clock=False, subject="an argument")
            bound = bind_expression(text, environment, self._report)
            if bound is not None:
                expression, values = bound
                arguments.append((given.value, expression))
                self._all.offer(name, given.value, Found(expression.type, values, given.span()), self._report)
        missing = wanted - {g.value for g, _ in body.arguments}
        for input_name in sorted(missing):
            message = f"the call of {name!r} lacks its input {input_name!r}"
            self._report.error("Q344", body.procedure.span(), message, f"write `with: {{{input_name}: …}}`")
        return program.Call(name, tuple(arguments))


def _kind(found: Found) -> str:
    return f"rows of {len(found.columns)}" if found.columns is not None else str(found.type)


def inner_steps(body: syntax.Body) -> Iterator[syntax.Step]:
    """The steps directly inside a step."""
    match body:
        case syntax.If():
            yield from body.then
            yield from body.otherwise
        case syntax.For() | syntax.While():
            yield from body.steps
        case syntax.Try():
            yield from body.steps
            for handler in body.handlers:
                yield from handler.steps
            yield from body.final


def all_steps(steps: Sequence[syntax.Step]) -> Iterator[syntax.Step]:
    """All steps at any depth, in the order of the text."""
    for step in steps:
        yield step
        yield from all_steps(tuple(inner_steps(step.body)))


def assigned_names(procedure: syntax.Procedure) -> Iterator[str]:
    """Every variable that some step of the procedure sets."""
    yield from (name.value for name in procedure.inputs)
    for step in all_steps(procedure.steps):
        match step.body:
            case syntax.Sql(into=into, rows=rows, affected=affected):
                yield from (name.value for name in into)
                yield from (name.value for name in (rows, affected) if name is not None)
            case syntax.For(variables=variables) | syntax.Choose(variables=variables):
                yield from (name.value for name in variables)
            case syntax.Set(assignments=assignments):
                yield from (name.value for name, _ in assignments)


class ProcedureSet:
    """All procedures of a model, with what is found out about their variables and inputs."""

    def __init__(
        self,
        procedures: Mapping[str, syntax.Procedure],
        base: Environment,
        domains: Mapping[tuple[str, str], syntax.Domain],
    ) -> None:
        self.procedures = procedures
        self.base = base
        self.domains = domains
        self.inputs: dict[tuple[str, str], Found] = {}
        self.given: Mapping[tuple[str, str], Found] = {}
        """The inputs as the round before has them: a callee may stand before its caller."""
        self.savepoints = {
            step.body.name.value
            for procedure in procedures.values()
            for step in all_steps(procedure.steps)
            if isinstance(step.body, syntax.Savepoint)
        }

    def offer(self, procedure: str, name: str, found: Found, report: Report) -> None:
        """A caller or a role gives an input."""
        before = self.inputs.get((procedure, name))
        joined = merge(before, found)
        if joined is None:
            assert before is not None
            message = f"the input {name!r} of {procedure!r} is {before.type} elsewhere, and {found.type} here"
            report.error("Q340", found.span, message, related=[(before.span, "elsewhere")])
            return
        self.inputs[(procedure, name)] = joined

    def reach(self, name: str) -> set[str]:
        """The procedure and all that it calls."""
        seen: set[str] = set()
        stack = [name]
        while stack:
            current = stack.pop()
            if current in seen or current not in self.procedures:
                continue
            seen.add(current)
            bodies = [step.body for step in all_steps(self.procedures[current].steps)]
            stack += [body.procedure.value for body in bodies if isinstance(body, syntax.Call)]
        return seen

    def duration(self, text: Text, report: Report) -> int | None:
        """A time bound of the specification; it may name a parameter."""
        value: Scalar | tuple[Scalar, ...] = text.value
        parameter = self.base.parameters.get(text.value.removeprefix(":"))
        if parameter is not None:
            value = parameter.value
        amount = parse_duration(value) if isinstance(value, str) else None
        if amount is None:
            remedy = duration_error(text.value)
            if text.value.startswith(":"):
                kept = [name for name, p in self.base.parameters.items() if isinstance(p.value, str) and parse_duration(p.value)]
                remedy = did_you_mean(text.value.removeprefix(":"), kept) or "declare a parameter that is a duration"
            report.error("Q354", text.span(), f"{text.value!r} is no duration", remedy)
            return None
        return amount

    def bind(self, report: Report) -> dict[str, program.BoundProcedure]:
        """Bind all procedures."""
        known: dict[str, dict[str, Found]] = {name: {} for name in self.procedures}
        offered = dict(self.inputs)
        for _ in range(4 * sum(len(set(assigned_names(p))) for p in self.procedures.values()) + 4):
            before = ({n: dict(k) for n, k in known.items()}, dict(self.inputs))
            self.given, self.inputs = self.inputs, dict(offered)
            for name, procedure in self.procedures.items():
                binder = ProcedureBinder(procedure, self, known[name], Report(), final=False)
                binder.bind()
                known[name] = binder.found
            if (known, self.inputs) == before:
                break
        self.given = dict(self.inputs)
        bound: dict[str, program.BoundProcedure] = {}
        for name, procedure in self.procedures.items():
            bound[name] = self._final(name, procedure, known[name], report)
        return bound

    def _final(self, name: str, procedure: syntax.Procedure, known: Mapping[str, Found], report: Report) -> program.BoundProcedure:
        own = Report()
        binder = ProcedureBinder(procedure, self, known, own, final=True)
        steps = binder.bind()
        report.diagnostics += [d for d in own.diagnostics if d not in report.diagnostics]
        if binder.pending and not own.failed and not report.failed:
            message = "the type of the variable cannot be told: it is only set from itself"
            report.error("Q340", binder.pending[0], message, "set it once to a value")
        repeat: int | None = None
        if procedure.repeat is not None:
            repeat = 0
            if procedure.repeat:
                parameter = self.base.parameters.get(procedure.repeat.removeprefix(":"))
                spelled = procedure.repeat if parameter is None else parameter.value
                amount = parse_duration(spelled) if isinstance(spelled, str) else None
                if amount is None:
                    where = procedure.repeat_span or procedure.name.span()
                    report.error(
                        "Q354", where, f"{procedure.repeat!r} is no duration", "write `repeat: forever`, or `repeat: {every: 30 s}`"
                    )
                else:
                    repeat = amount
        within = None if procedure.within is None else self.duration(procedure.within, report)
        variables: dict[str, program.ScalarVariable | program.RowsVariable] = {}
        inputs = {i.value for i in procedure.inputs}
        for variable, found in binder.found.items():
            if found.columns is not None:
                columns = tuple((c.name, c.type) for c in found.columns)
                variables[variable] = program.RowsVariable(variable, columns, found.span)
            else:
                declared = found.values if (name, variable) in self.domains else None
                variables[variable] = program.ScalarVariable(variable, found.type, declared, variable in inputs, found.span)
        for (owner, variable), domain in self.domains.items():
            if owner == name and variable not in variables and not own.failed:
                hint = did_you_mean(variable, variables)
                report.error("Q314", domain.target.span(), f"{name!r} has no variable {variable!r}", hint)
        return program.BoundProcedure(name, steps, variables, repeat, within, procedure.name.span())
