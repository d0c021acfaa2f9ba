"""Roles as tables, which is how properties see processes, and the step names that faults refer to."""

from __future__ import annotations

from collections.abc import Mapping

from txweave.spec import syntax
from txweave.spec.diagnostics import Report, did_you_mean
from txweave.sql import program
from txweave.sql.procedures import ProcedureSet, all_steps
from txweave.sql.tree import NULL, TEXT, Column, Table, Type, Unique

STATUSES = ("idle", "running", "done", "failed", "crashed")


def _step_names(model: syntax.Model, runs: Mapping[str, None]) -> list[str]:
    """Step names of procedures and of what they call, in the order of the text."""
    names: dict[str, None] = {}
    stack, seen = list(runs)[::-1], set[str]()
    while stack:
        current = stack.pop()
        procedure = model.procedures.get(current)
        if procedure is None or current in seen:
            continue
        seen.add(current)
        for step in all_steps(procedure.steps):
            names[step.name.value] = None
            if isinstance(step.body, syntax.Call):
                stack.append(step.body.procedure.value)
    return list(names)


def role_tables(
    model: syntax.Model, procedures: Mapping[str, program.BoundProcedure], report: Report
) -> tuple[dict[str, Table], dict[str, frozenset[str]]]:
    """A table per role, over all scenarios: ``id``, ``status``, ``step`` and the scalar variables of its procedures.

    A variable called ``id``, ``status`` or ``step`` is no column; reading that column is then ambiguous (the second result).
    """
    runs: dict[str, dict[str, None]] = {}
    first: dict[str, syntax.Role] = {}
    for scenario in model.scenarios.values():
        for role in scenario.roles:
            first.setdefault(role.name.value, role)
            runs.setdefault(role.name.value, {}).update(dict.fromkeys(run.value for run in role.run))
    tables: dict[str, Table] = {}
    ambiguous: dict[str, frozenset[str]] = {}
    for name, run in runs.items():
        span = first[name].name.span()
        fixed = {
            "id": Column("id", Type("reference", name), nullable=False, serial=True, span=span),
            "status": Column("status", TEXT, nullable=False, domain=STATUSES, span=span),
            "step": Column("step", TEXT, nullable=True, domain=tuple(_step_names(model, run)), span=span),
        }
        columns = dict(fixed)
        clashing: set[str] = set()
        for procedure_name in run:
            procedure = procedures.get(procedure_name)
            for variable in procedure.variables.values() if procedure else ():
                if not isinstance(variable, program.ScalarVariable):
                    continue
                if variable.name in fixed:
                    clashing.add(variable.name)
                    continue
                column = Column(variable.name, variable.type, nullable=True, domain=variable.domain, span=variable.span)
                before = columns.get(variable.name)
                if before is not None and before.type != column.type and NULL not in (before.type, column.type):
                    message = f"the variable {variable.name!r} is {before.type} in one procedure of the role {name!r}"
                    message += f" and {column.type} in another"
                    related = [(before.span, "the other one")] if before.span else []
                    report.error("Q352", variable.span, message, "rename one of them: in properties a role is a table", related)
                if before is None or before.type == NULL:
                    columns[variable.name] = column
                elif before.domain != column.domain:
                    columns[variable.name] = Column(before.name, before.type, nullable=True, span=before.span)
        unique = Unique(f"{name}_pkey", ("id",), primary=True, span=span)
        tables[name] = Table(name, tuple(columns.values()), (unique,), span=span)
        ambiguous[name] = frozenset(clashing)
    return tables, ambiguous


def check_faults(role: syntax.Role, model: syntax.Model, procedures: ProcedureSet, report: Report) -> None:
    """The steps named under ``crash``, ``hang`` and ``errors`` exist."""
    del procedures
    known = _step_names(model, dict.fromkeys(run.value for run in role.run))
    places = [step for fault in (role.crash, role.hang) if isinstance(fault, tuple) for step in fault]
    places += [step for step, _ in role.errors if step.value != "anywhere"]
    for step in places:
        if step.value not in known:
            hint = did_you_mean(step.value, known)
            report.error("Q352", step.span(), f"the role {role.name.value!r} has no step {step.value!r}", hint)
