"""From a specification to its bound model: schema, data, procedures, properties and scenarios, every name resolved."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from txweave.spec import syntax
from txweave.spec.diagnostics import Report, did_you_mean
from txweave.spec.names import variables
from txweave.spec.text import Span, Text
from txweave.sql import program
from txweave.sql.data import bind_data
from txweave.sql.domains import DomainResolver, scan
from txweave.sql.expressions import constant_of
from txweave.sql.procedures import Found, ProcedureSet, all_steps
from txweave.sql.roles import check_faults, role_tables
from txweave.sql.schema import SchemaReader, finish_tables, split_statements
from txweave.sql.scope import Environment
from txweave.sql.statements import bind_query
from txweave.sql.tree import NULL, Column, Insert, Query, Schema
from txweave.sql.walk import walk


def bind_model(model: syntax.Model, report: Report | None = None) -> program.BoundModel:
    """Bind a model.

    Raises:
        SpecError: something is wrong; it carries every error that was found.
    """
    report = Report() if report is None else report
    _check_database(model, report)
    raw = SchemaReader(report)
    raw.read(model.schema, ghost=False)
    raw.read(model.ghost, ghost=True)
    statements = [
        text
        for procedure in model.procedures.values()
        for step in all_steps(procedure.steps)
        if isinstance(step.body, syntax.Sql)
        for text in (step.body.sql, step.body.ghost)
        if text is not None
    ]
    data_statements = [part for text in model.data for part in split_statements(text)]
    written = scan(statements, data_statements, raw.tables)
    domains = DomainResolver(raw, () if raw.broken else model.domains, model.procedures, written, report)
    if raw.broken:
        report.check()
    domains.resolve()
    schema = Schema(finish_tables(raw, report))
    base = Environment(schema.tables, parameters=model.parameters, enums=raw.enums, exact_ids=model.serial == "exact")
    data = bind_data(model.data, base, written.rows, report)
    procedures = ProcedureSet(model.procedures, base, domains.variables)
    _check_roles(model, schema, procedures, report)
    bound = procedures.bind(report)
    roles, ambiguous = role_tables(model, bound, report)
    reading = replace(
        base,
        roles=roles,
        ambiguous=ambiguous,
        ghost_reads=True,
        locks=False,
        subject="a property",
    )
    read = Report()
    properties = {name: _property(p, reading, read) for name, p in model.properties.items()}
    # A variable whose step is wrong has no type, and is no column of its role: that was told already.
    lost = (
        {v for name, p in model.procedures.items() for v in variables(p) if v not in bound[name].variables} if report.failed else ()
    )
    report.merge(d for d in read.diagnostics if d.code != "Q311" or not any(f"no column {v!r}" in d.message for v in lost))
    _check_bounds(model, schema, procedures, bound, written.rows, report)
    report.check()
    finished = {name: p for name, p in properties.items() if p is not None}
    return program.BoundModel(model.name.value, model, schema, data, bound, finished, roles)


def _check_database(model: syntax.Model, report: Report) -> None:
    engine, isolation = model.database.engine, model.database.isolation
    if engine.value.strip().lower() != "postgresql":
        report.error("Q350", engine.span(), f"the engine {engine.value!r} is not built yet", "write `postgresql`")
    if " ".join(isolation.value.lower().split()) != "read committed":
        message = f"the isolation level {isolation.value!r} is not built yet"
        report.error("Q350", isolation.span(), message, "write `read committed`")
    if model.serial not in ("abstract", "exact"):
        report.error("Q350", model.name.span(), f"serial is `abstract` or `exact`, not {model.serial!r}")


def _check_roles(model: syntax.Model, schema: Schema, procedures: ProcedureSet, report: Report) -> None:
    """Names of roles, what they run, and the inputs that they give."""
    for scenario in model.scenarios.values():
        seen: set[str] = set()
        for role in scenario.roles:
            name = role.name.value
            if name in seen:
                report.error("Q352", role.name.span(), f"the scenario has two roles {name!r}")
            seen.add(name)
            if name in schema.tables:
                message = f"the role {name!r} has the name of a table"
                report.error("Q352", role.name.span(), message, "rename the role: in properties a role is a table")
            if name != name.lower():
                message = f"the role {name!r} could not be named in a property: SQL folds names to lower case"
                report.error("Q352", role.name.span(), message, f"write {name.lower()!r}")
            inputs: dict[str, list[str]] = {}
            for run in role.run:
                procedure = model.procedures.get(run.value)
                if procedure is None:
                    hint = did_you_mean(run.value, model.procedures)
                    report.error("Q352", run.span(), f"there is no procedure {run.value!r}", hint)
                    continue
                for wanted in procedure.inputs:
                    inputs.setdefault(wanted.value, []).append(run.value)
            given = {argument.value for argument, _ in role.arguments}
            for argument, value in role.arguments:
                if argument.value not in inputs:
                    hint = did_you_mean(argument.value, inputs)
                    report.error("Q344", argument.span(), f"no procedure of {name!r} has the input {argument.value!r}", hint)
                constant = constant_of(value, argument.span())
                values = () if constant.value is None else (constant.value,)
                for run_name in inputs.get(argument.value, []):
                    procedures.offer(run_name, argument.value, Found(constant.type, values, argument.span()), report)
            for missing in sorted(set(inputs) - given):
                message = f"{inputs[missing][0]!r} needs its input {missing!r}"
                report.error("Q344", role.name.span(), message, f"write `with: {{{missing}: …}}`")
            check_faults(role, model, procedures, report)


def _property(declared: syntax.Property, reading: Environment, report: Report) -> program.BoundProperty | None:
    formula: program.Formula | None = None
    match declared.formula:
        case syntax.Never(query=text):
            bound = bind_query(text, reading, report)
            formula = None if bound is None else program.BoundNever(bound[0])
        case syntax.AlwaysPossible(query=text):
            bound = bind_query(text, reading, report)
            formula = None if bound is None else program.BoundAlwaysPossible(bound[0])
        case syntax.LeadsTo(whenever=whenever, eventually=eventually):
            first = bind_query(whenever, reading, report)
            second: tuple[Query, tuple[Column, ...]] | None = None
            if eventually is not None:
                second = bind_query(eventually, reading, report)
            if first is not None and eventually is None:
                formula = program.BoundLeadsTo(first[0], None)
            elif first is not None and second is not None and eventually is not None:
                _check_match(first[1], second[1], eventually.span(), report)
                formula = program.BoundLeadsTo(first[0], second[0])
        case syntax.DeadlockFree():
            formula = program.BoundDeadlockFree()
    if formula is None:
        return None
    return program.BoundProperty(declared.name.value, formula, declared.title, declared.name.span())


def _check_match(first: tuple[Column, ...], second: tuple[Column, ...], span: Span, report: Report) -> None:
    if len(first) != len(second):
        message = f"`whenever` selects {len(first)} columns and `eventually` {len(second)}: rows are matched column by column"
        report.error("Q353", span, message, "select the same columns in both")
        return
    for number, (a, b) in enumerate(zip(first, second, strict=True), 1):
        if NULL not in (a.type, b.type) and a.type != b.type:
            message = f"column {number}: `whenever` selects {a.type} ({a.name}) and `eventually` {b.type} ({b.name})"
            report.error("Q353", span, message, "rows are matched column by column")


def _check_truncate(name: Text, schema: Schema, bounds: Mapping[str, int], report: Report) -> None:
    """A bound that ``truncate`` may name: of the rows of a table, or the domain of a column."""
    table, dot, column = name.value.partition(".")
    known = schema.tables.get(table)
    if known is None:
        hint = did_you_mean(table, schema.tables)
        report.error("Q351", name.span(), f"truncate: there is no table {table!r}", hint)
    elif dot:
        domains = [c.name for c in known.columns if c.domain is not None]
        if column not in domains:
            hint = did_you_mean(column, domains)
            report.error("Q351", name.span(), f"truncate: {table} has no column {column!r} with a domain", hint)
    elif table not in bounds:
        report.error("Q351", name.span(), f"truncate: {table!r} has no bound in this scenario")


def _check_bounds(
    model: syntax.Model,
    schema: Schema,
    procedures: ProcedureSet,
    bound: dict[str, program.BoundProcedure],
    rows: dict[str, int],
    report: Report,
) -> None:
    inserts = {name: [n.table for n in walk(p.steps) if isinstance(n, Insert)] for name, p in bound.items()}
    for scenario in model.scenarios.values():
        bounds: dict[str, int] = {}
        for table, number in scenario.bounds:
            if table.value not in schema.tables:
                hint = did_you_mean(table.value, schema.tables)
                report.error("Q351", table.span(), f"bounds: there is no table {table.value!r}", hint)
            elif table.value in bounds:
                report.error("Q351", table.span(), f"the table {table.value!r} has two bounds")
            elif number < rows.get(table.value, 0):
                message = f"{table.value!r} is bounded to {number}, and `data:` has {rows[table.value]} rows"
                report.error("Q351", table.span(), message, f"write {table.value}: {rows[table.value]} or more")
            bounds[table.value] = number
        for accepted in scenario.truncate:
            _check_truncate(accepted, schema, bounds, report)
        missing: dict[str, None] = {}
        for role in scenario.roles:
            for run in role.run:
                for name in sorted(procedures.reach(run.value)):
                    missing.update(dict.fromkeys(t for t in inserts.get(name, []) if t not in bounds))
        if missing:
            shown = ", ".join(f"{table}: n" for table in missing)
            message = f"scenario {scenario.name.value} needs bounds: {{{shown}}}: its procedures insert there"
            report.error("Q351", scenario.name.span(), message, "n is the number of rows that may exist at once")
