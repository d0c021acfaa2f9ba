"""Fixes applied to a model.

A set of fixes has one meaning whatever its order: it is put into a canonical order (what a fix requires first, then by name),
changes are grouped by their target, and two changes whose order would matter are a conflict that names both places.
What is inserted before or after a step belongs to that step: a ``wrap`` that covers the step covers it too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace

from txweave.spec import syntax
from txweave.spec.diagnostics import Report, did_you_mean
from txweave.spec.names import check_names
from txweave.spec.text import Span, Text
from txweave.spec.weave import Weaver


def apply_fixes(model: syntax.Model, fixes: Iterable[syntax.Fix], among: Span | None = None) -> syntax.Model:
    """The model with all fixes applied.  Its own expectations go: they are those of the model without fixes.

    Args:
        model: the model, before or after other fixes.
        fixes: in any order.
        among: where the set of fixes is named, for messages about the set as a whole.

    Raises:
        SpecError: an unknown target, a conflict, or a name that does not fit in the result.
    """
    chosen = list(fixes)
    if not chosen:
        return model
    report = Report()
    ordered = _canonical(model, chosen, among, report)
    report.check()
    additions = _Additions(model, ordered, report)
    extended = additions.extend()
    weaver = Weaver(extended, ordered, report)
    procedures = {name: weaver.procedure(procedure) for name, procedure in extended.procedures.items()}
    weaver.finish()
    report.check()
    fixed = replace(
        extended, procedures=procedures, fixes=tuple(sorted({*model.fixes, *(f.name.value for f in ordered)})), expect={}
    )
    check_names(fixed, report)
    report.check()
    return fixed


def _canonical(model: syntax.Model, fixes: Sequence[syntax.Fix], among: Span | None, report: Report) -> list[syntax.Fix]:
    """The fixes in canonical order; reports doubles, requirements that are not met, and declared conflicts."""
    by_name: dict[str, syntax.Fix] = {}
    for fix in fixes:
        first = by_name.setdefault(fix.name.value, fix)
        if first is not fix or fix.name.value in model.fixes:
            place = fix.name.span()
            related = [(first.name.span(), "it is the same as this one")] if first is not fix else []
            report.error("F208", place, f"the fix '{fix.name}' is applied twice", "name each fix once", related)
    present = {*by_name, *model.fixes}
    for fix in sorted(by_name.values(), key=lambda f: f.name.value):
        for name in fix.requires:
            if name.value not in present:
                related = [(among, "these are the fixes that are applied")] if among else []
                message = f"the fix '{fix.name}' requires '{name}', which is not among the fixes"
                close = did_you_mean(name.value, present - {fix.name.value})
                remedy = close if close.startswith("did you mean") else f"apply '{name}' as well"
                report.error("F201", name.span(), message, remedy, related)
        for name in fix.conflicts:
            other = by_name.get(name.value)
            if name.value in present:
                related = [(other.name.span(), "the other fix")] if other else []
                report.error("F202", name.span(), f"the fix '{fix.name}' excludes '{name}'", "apply one of the two", related)
    ordered: list[syntax.Fix] = []
    done = set(model.fixes)
    waiting = sorted(by_name.values(), key=lambda f: f.name.value)
    while waiting:
        ready = next((f for f in waiting if all(n.value in done or n.value not in by_name for n in f.requires)), None)
        if ready is None:
            names = ", ".join(f"'{f.name}'" for f in waiting)
            remedy = "a fix requires what it changes; two that need each other are one fix"
            report.error("F203", waiting[0].name.span(), f"these fixes require each other: {names}", remedy)
            break
        waiting.remove(ready)
        ordered.append(ready)
        done.add(ready.name.value)
    return ordered


_CREATED = re.compile(
    r"\bCREATE\s+(?:UNIQUE\s+)?(TABLE|INDEX)\s+(?:IF\s+NOT\s+EXISTS\s+)?\"?([A-Za-z_][A-Za-z0-9_]*)\"?(?=\s|\()", re.IGNORECASE
)


class _Additions:
    """What fixes add beside changes of steps: tables, columns, procedures, roles …; each name once."""

    def __init__(self, model: syntax.Model, fixes: Sequence[syntax.Fix], report: Report) -> None:
        self.model = model
        self.fixes = fixes
        self.report = report
        self.declared: dict[tuple[str, str, str], Span] = {}

    def declare(self, kind: str, name: str, span: Span, scenario: str = "") -> bool:
        """Note a name; a second declaration is a conflict."""
        first = self.declared.setdefault((kind, name, scenario), span)
        if first is span:
            return True
        where = f" to the scenario '{scenario}'" if scenario else ""
        message = f"the {kind} '{name}' is added{where} where there is one already"
        self.report.error("F214", span, message, "rename one of the two", [(first, "the first is declared here")])
        return False

    def _declare_ddl(self, texts: Iterable[Text]) -> None:
        for text in texts:
            for match in _CREATED.finditer(text.value):
                # PostgreSQL folds unquoted names to lower case, and tables and indexes share one space of names.
                self.declare("table or index", match[2].lower(), text.span(match.start(2), match.end(2)))

    def extend(self) -> syntax.Model:
        """The model with everything added."""
        model = self.model
        self._declare_ddl(model.schema)
        self._declare_ddl(model.ghost)
        for fix in self.fixes:
            self._declare_ddl(fix.tables)
            self._declare_ddl(fix.indexes)
        schema = model.schema
        schema += tuple(text for fix in self.fixes for text in fix.tables)
        schema += tuple(self._column(target, text) for fix in self.fixes for target, text in fix.columns)
        schema += tuple(text for fix in self.fixes for text in fix.indexes)
        return replace(
            model,
            schema=schema,
            data=model.data + tuple(text for fix in self.fixes for text in fix.data),
            domains=self._domains(),
            procedures=self._procedures(),
            parameters=self._parameters(),
            scenarios=self._scenarios(),
        )

    def _column(self, target: Text, text: Text) -> Text:
        """``table.column: TYPE …`` as ``ALTER TABLE table ADD COLUMN column TYPE …``, every part still at its place."""
        self.declare("column", target.value.lower(), target.span())
        dot = target.value.index(".")
        parts = [
            _at("ALTER TABLE ", target, 0),
            target.slice(0, dot),
            _at(" ADD COLUMN ", target, dot),
            target.slice(dot + 1, len(target.value)),
            _at(" ", target, dot),
            text,
        ]
        value = "".join(part.value for part in parts)
        offsets = tuple(offset for part in parts for offset in part.offsets[:-1])
        return Text(value, text.file, (*offsets, text.offsets[-1]))

    def _procedures(self) -> dict[str, syntax.Procedure]:
        found = dict(self.model.procedures)
        for procedure in found.values():
            self.declare("procedure", procedure.name.value, procedure.name.span())
        for fix in self.fixes:
            for name, procedure in fix.procedures.items():
                self.declare("procedure", name, procedure.name.span())
                found.setdefault(name, procedure)
        return found

    def _parameters(self) -> dict[str, syntax.Parameter]:
        found = dict(self.model.parameters)
        for parameter in found.values():
            self.declare("parameter", parameter.name.value, parameter.name.span())
        for fix in self.fixes:
            for name, parameter in fix.parameters.items():
                self.declare("parameter", name, parameter.name.span())
                found.setdefault(name, parameter)
        return found

    def _domains(self) -> tuple[syntax.Domain, ...]:
        """New domains, and those of the model widened: its own values first, then the new ones in their natural order."""
        found = {domain.target.value: domain for domain in self.model.domains}
        own = {target: domain.values for target, domain in found.items()}
        for fix in self.fixes:
            for domain in fix.domains:
                target = domain.target.value
                before = found.setdefault(target, domain)
                if before is domain:
                    continue
                if before.like is not None or domain.like is not None:
                    message = f"the domain of '{target}' cannot be widened: it is given by like"
                    related = [(before.target.span(), "the other domain")]
                    self.report.error(
                        "F215", domain.target.span(), message, "only lists and ranges of values can be widened", related
                    )
                    continue
                kinds = {type(value) for value in (*before.values, *domain.values)}
                if len(kinds) > 1:
                    message = f"the values for '{target}' are of another kind than those it has"
                    related = [(before.span, "its values so far")]
                    self.report.error("F215", domain.span, message, "widen a domain with values of its kind", related)
                    continue
                base = own.get(target, ())
                added = {*before.values, *domain.values} - set(base)
                found[target] = replace(before, values=(*base, *sorted(added)))  # type: ignore[type-var]
        return tuple(found.values())

    def _scenarios(self) -> dict[str, syntax.Scenario]:
        found = dict(self.model.scenarios)
        for name, scenario in found.items():
            for role in scenario.roles:
                self.declare("role", role.name.value, role.name.span(), name)
            for table, _ in scenario.bounds:
                self.declare("bound", table.value, table.span(), name)
        for fix in self.fixes:
            for target, roles in fix.processes:
                if target.value != "*" and target.value not in found:
                    remedy = did_you_mean(target.value, found)
                    self.report.error("F205", target.span(), f"there is no scenario '{target}'", remedy)
                    continue
                for name in found if target.value == "*" else [target.value]:
                    new = tuple(role for role in roles if self.declare("role", role.name.value, role.name.span(), name))
                    found[name] = replace(found[name], roles=found[name].roles + new)
            for name, scenario in found.items():
                bounds = tuple(b for b in fix.bounds if self.declare("bound", b[0].value, b[0].span(), name))
                found[name] = replace(scenario, bounds=scenario.bounds + bounds)
        return found


def _at(words: str, place: Text, index: int) -> Text:
    """Words that nobody wrote, at the place of what made them."""
    return Text(words, place.file, (place.offsets[index],) * (len(words) + 1))
