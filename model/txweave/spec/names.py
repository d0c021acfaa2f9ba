"""Steps walked, and every name of a model checked: what is declared once, what is used and declared nowhere."""

from __future__ import annotations

import re
from collections.abc import Iterator

from txweave.spec import syntax
from txweave.spec.diagnostics import Report, did_you_mean
from txweave.spec.text import Span, Text

RESERVED_VARIABLES = ("status", "step")
"""Columns that every role's table has of its own."""


def step_lists(body: syntax.Body) -> tuple[tuple[syntax.Step, ...], ...]:
    """The lists of steps inside a body."""
    match body:
        case syntax.If():
            return (body.then, body.otherwise)
        case syntax.For() | syntax.While():
            return (body.steps,)
        case syntax.Try():
            return (body.steps, *(handler.steps for handler in body.handlers), body.final)
        case _:
            return ()


def walk(steps: tuple[syntax.Step, ...]) -> Iterator[syntax.Step]:
    """All steps at any depth, each before the steps inside it."""
    for step in steps:
        yield step
        for inner in step_lists(step.body):
            yield from walk(inner)


def assigned(body: syntax.Body) -> tuple[Text, ...]:
    """The variables that a step sets, not counting the steps inside it."""
    match body:
        case syntax.Sql():
            return body.into + tuple(name for name in (body.rows, body.affected) if name is not None)
        case syntax.For() | syntax.Choose():
            return body.variables
        case syntax.Set():
            return tuple(name for name, _ in body.assignments)
        case _:
            return ()


def variables(procedure: syntax.Procedure) -> dict[str, Text]:
    """The variables of a procedure, each with the first place that sets it."""
    found = {name.value: name for name in procedure.inputs}
    for step in walk(procedure.steps):
        for name in assigned(step.body):
            found.setdefault(name.value, name)
    return found


def reachable(model: syntax.Model, names: tuple[str, ...]) -> dict[str, syntax.Procedure]:
    """The procedures of these names and all that they call, those that exist."""
    found: dict[str, syntax.Procedure] = {}
    waiting = list(names)
    while waiting:
        name = waiting.pop(0)
        procedure = model.procedures.get(name)
        if procedure is None or name in found:
            continue
        found[name] = procedure
        waiting += [s.body.procedure.value for s in walk(procedure.steps) if isinstance(s.body, syntax.Call)]
    return found


def check_names(model: syntax.Model, report: Report) -> None:
    """Check every name that the specification itself declares; tables and columns are the binder's."""
    for procedure in model.procedures.values():
        _procedure(model, procedure, report)
    _recursion(model, report)
    for scenario in model.scenarios.values():
        for role in scenario.roles:
            _role(model, role, report)
    for domain in model.domains:
        _domain(model, domain, report)
    for name, expectation in model.expect.items():
        if name not in model.properties:
            remedy = did_you_mean(name, model.properties)
            report.error("S122", expectation.span, f"there is no property '{name}'", remedy)


def _procedure(model: syntax.Model, procedure: syntax.Procedure, report: Report) -> None:
    seen: dict[str, Text] = {}
    for step in walk(procedure.steps):
        first = seen.setdefault(step.name.value, step.name)
        if first is not step.name:
            message = f"the step name '{step.name}' stands twice in the procedure '{procedure.name}'"
            remedy = "step names are unique within a procedure, at any depth: rename one of the two"
            report.error("S111", step.name.span(), message, remedy, [(first.span(), "it stands here first")])
        if step.name.value == "anywhere":
            report.error(
                "S128", step.name.span(), "a step cannot be called 'anywhere'", "the word stands for every step; rename it"
            )
        if isinstance(step.body, syntax.Call):
            _call(model, step.body, report)
        _twice([name for name, _ in step.body.assignments] if isinstance(step.body, syntax.Set) else [], report)
    for name, place in variables(procedure).items():
        if name in RESERVED_VARIABLES:
            message = f"a variable cannot be called '{name}'"
            report.error(
                "S128", place.span(), message, f"'{name}' is a column that every role has in properties; rename the variable"
            )
        parameter = model.parameters.get(name)
        if parameter is not None:
            message = f"'{name}' is a variable here and a parameter of the model"
            remedy = "rename one of the two: both are read as :" + name
            report.error("S120", place.span(), message, remedy, [(parameter.name.span(), "the parameter is declared here")])


def _twice(names: list[Text], report: Report) -> None:
    seen: dict[str, Text] = {}
    for name in names:
        first = seen.setdefault(name.value, name)
        if first is not name:
            report.error("S124", name.span(), f"'{name}' stands twice", "name each once", [(first.span(), "it stands here first")])


def _unknown_procedure(model: syntax.Model, name: Text, report: Report) -> None:
    report.error("S112", name.span(), f"there is no procedure '{name}'", did_you_mean(name.value, model.procedures))


def _call(model: syntax.Model, call: syntax.Call, report: Report) -> None:
    callee = model.procedures.get(call.procedure.value)
    if callee is None:
        _unknown_procedure(model, call.procedure, report)
        return
    if callee.repeat is not None:
        message = f"the procedure '{callee.name}' repeats for ever and cannot be called"
        report.error("S118", call.procedure.span(), message, "call a procedure that ends", _repeat_place(callee))
    given = {name.value: name for name, _ in call.arguments}
    inputs = [name.value for name in callee.inputs]
    _arguments(given, inputs, call.procedure.span(), f"the procedure '{callee.name}'", report)


def _repeat_place(procedure: syntax.Procedure) -> list[tuple[Span, str]]:
    return [(procedure.repeat_span, "it repeats because of this")] if procedure.repeat_span else []


def _arguments(given: dict[str, Text], inputs: list[str], span: Span, what: str, report: Report) -> None:
    for name, place in given.items():
        if name not in inputs:
            remedy = did_you_mean(name, inputs) or "declare it there under inputs"
            report.error("S119", place.span(), f"{what} has no input '{name}'", remedy)
    missing = [name for name in inputs if name not in given]
    if missing:
        names = ", ".join(f"'{name}'" for name in missing)
        report.error("S119", span, f"{what} needs a value for {names}", "give it under with")


def _recursion(model: syntax.Model, report: Report) -> None:
    """Refuse procedures that call themselves, directly or through others; each cycle is told once."""
    calls = {
        name: {s.body.procedure.value: s.body.procedure for s in walk(p.steps) if isinstance(s.body, syntax.Call)}
        for name, p in model.procedures.items()
    }
    done: set[str] = set()
    for start in calls:
        path: list[str] = []
        branches: list[Iterator[str]] = []
        if start in done:
            continue
        path.append(start)
        branches.append(iter(calls[start]))
        while path:
            callee = next(branches[-1], None)
            if callee is None:
                done.add(path.pop())
                branches.pop()
            elif callee in path:
                cycle = [*path[path.index(callee) :], callee]
                place = calls[path[-1]][callee]
                message = "procedures call themselves: " + " → ".join(cycle)
                report.error("S118", place.span(), message, "a loop is written with while, for or repeat")
            elif callee in calls and callee not in done:
                path.append(callee)
                branches.append(iter(calls[callee]))


def _role(model: syntax.Model, role: syntax.Role, report: Report) -> None:
    for name in role.run:
        if name.value not in model.procedures:
            _unknown_procedure(model, name, report)
    if any(name.value not in model.procedures for name in role.run):
        return  # its steps and inputs are not known
    procedures = reachable(model, tuple(name.value for name in role.run))
    steps = {step.name.value for procedure in procedures.values() for step in walk(procedure.steps)}
    places = [*(role.crash if isinstance(role.crash, tuple) else ()), *(role.hang if isinstance(role.hang, tuple) else ())]
    places += [place for place, _ in role.errors if place.value != "anywhere"]
    told = set()
    for place in places:
        if report.full:
            return
        if place.value not in steps and (place.value, place.offsets) not in told:
            told.add((place.value, place.offsets))
            message = f"no procedure of the role '{role.name}' has a step '{place}'"
            report.error("S113", place.span(), message, did_you_mean(place.value, steps))
    inputs = list(dict.fromkeys(name.value for run in role.run for name in model.procedures[run.value].inputs))
    given = {name.value: name for name, _ in role.arguments}
    _arguments(given, inputs, role.name.span(), f"the role '{role.name}'", report)


def _domain(model: syntax.Model, domain: syntax.Domain, report: Report) -> None:
    """A target whose first word is a procedure names one of its variables (a table of that name would be refused by the binder)."""
    owner, _, name = domain.target.value.partition(".")
    procedure = model.procedures.get(owner)
    if procedure is None:
        return
    known = variables(procedure)
    if name not in known:
        start = len(owner) + 1
        message = f"the procedure '{owner}' has no variable '{name}'"
        remedy = did_you_mean(name, known)
        table = re.compile(rf"CREATE\s+TABLE\s+(IF\s+NOT\s+EXISTS\s+)?\"?{re.escape(owner)}\b", re.IGNORECASE)
        if any(table.search(text.value) for text in model.schema):
            remedy = f"a table is called {owner} too: give the procedure another name"
        report.error("S117", domain.target.span(start), message, remedy)
