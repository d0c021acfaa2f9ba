"""Studies: cases composed of a model, a scenario, fixes, a database and parameters.

A case with ``sweep`` stands for one case per combination of values, ``vary`` crosses all cases with scenarios, databases and
values.  Such cases are called ``case[axis=value,…]``, the axes of ``vary`` first, then those of ``sweep``, each in the file's
order; the last axis changes fastest.  An expectation may be a list with one entry for each of them in this order.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path

from txweave.spec import syntax
from txweave.spec.build import Builder
from txweave.spec.diagnostics import Report, SpecError, did_you_mean
from txweave.spec.files import blamed, build, open_file, optional, parse_fix, parse_model, read_fix, settle
from txweave.spec.fixes import apply_fixes
from txweave.spec.parameters import Value, check_settings, settled, show_value
from txweave.spec.reader import MappingNode, Node, ScalarNode, SequenceNode, read_source
from txweave.spec.structure import check_structure
from txweave.spec.text import SourceFile, Span, Text

MAX_CASES = 1000


def load_study(path: str | Path) -> syntax.Study:
    """Read a study with its model and fixes, and compose its cases.

    Raises:
        SpecError: everything that is wrong with the study, its model or its fixes, SQL apart.
    """
    return parse_study(read_source(path))


def parse_study(source: SourceFile) -> syntax.Study:
    """Read a study from a file's content; paths in it are relative to ``source.path``.

    Raises:
        SpecError: everything that is wrong with it, its model or its fixes, SQL apart.
    """
    report = Report()
    root = open_file(source, "study", report)
    check_structure(root, "studyFile", report, blamed(report))
    builder = Builder(report)
    study = build(builder, lambda _, node: _Composer(source, builder, report).study(node), root)
    settle(builder, report)
    assert study is not None
    return study


@dataclass(frozen=True)
class _Choice:
    """One value of one axis."""

    label: str = ""
    scenario: Text | None = None
    database: syntax.Database | None = None
    setting: tuple[Text, Value, Span] | None = None


_Axis = tuple[_Choice, ...]


@dataclass
class _Composer:
    """Composes the cases of one study."""

    source: SourceFile
    builder: Builder
    report: Report
    fixes: dict[str, syntax.Fix | None] = field(default_factory=dict)
    composed: dict[tuple[int, ...], syntax.Model | None] = field(default_factory=dict)

    def study(self, root: MappingNode) -> syntax.Study:
        builder = self.builder
        model = self._model(builder.text(builder.need(root, "model")))
        name = builder.name(builder.need(root, "study"))
        default = optional(builder.name, root.get("scenario"), None)
        cases: list[syntax.Case] = []
        vary = root.get("vary")
        axes = self._vary(builder.mapping(vary, root), model) if model is not None and vary is not None else ()
        for key, value in builder.mapping(builder.need(root, "cases"), root).entries:
            with builder.unit():
                cases += self._case(key, builder.mapping(value, root), model, default, axes)
        return syntax.Study(name, builder.title(root), self.source.path, tuple(cases))

    def _beside(self, path: str) -> str:
        """A path that is relative to the study."""
        return os.path.normpath(Path(self.source.path).parent / path)

    def _model(self, path: Text) -> syntax.Model | None:
        try:
            return parse_model(read_source(self._beside(path.value), path.span()))
        except SpecError as error:
            self.report.merge(error.diagnostics)
            return None

    # ---------------------------------------------------------------------------------------------------------- axes

    def _vary(self, node: MappingNode, model: syntax.Model) -> tuple[_Axis, ...]:
        axes: list[_Axis] = []
        for key, value in node.entries:
            if key.text.value == "scenario":
                names = self.builder.names(value)
                axes.append(tuple(_Choice(f"scenario={name}", scenario=name) for name in names))
            elif key.text.value == "database":
                databases = [(self._database(item, model), item.span) for item in self.builder.items(value)]
                labels: dict[str, Span] = {}
                for database, span in databases:
                    self._once(labels, f"database={database.engine}/{database.isolation}", span)
                axes.append(tuple(_Choice(f"database={d.engine}/{d.isolation}", database=d) for d, _ in databases))
            else:
                axes += self._sweep(value)
        return tuple(axes)

    def _once(self, seen: dict[str, Span], label: str, span: Span) -> None:
        first = seen.setdefault(label, span)
        if first is not span:
            self.report.error("S124", span, f"'{label}' stands twice", "name each once", [(first, "it stands here first")])

    def _sweep(self, node: Node) -> list[_Axis]:
        axes = []
        for key, value in self.builder.mapping(node, node).entries:
            seen: dict[str, Span] = {}
            choices = []
            for item in self.builder.items(value):
                parsed = self.builder.parameter_value(item)
                label = f"{key.text}={show_value(parsed)}"
                self._once(seen, label, item.span)
                choices.append(_Choice(label, setting=(key.text, parsed, item.span)))
            axes.append(tuple(choices))
        return axes

    def _database(self, node: Node, model: syntax.Model) -> syntax.Database:
        """A database; what it does not say is as in the model."""
        said = self.builder.mapping(node, node)
        database = self.builder.database(said)
        return syntax.Database(
            database.engine if said.get("engine") is not None else model.database.engine,
            database.isolation if said.get("isolation") is not None else model.database.isolation,
        )

    # --------------------------------------------------------------------------------------------------------- cases

    def _case(
        self, key: ScalarNode, node: MappingNode, model: syntax.Model | None, default: Text | None, vary: tuple[_Axis, ...]
    ) -> list[syntax.Case]:
        builder = self.builder
        name = key.text
        named = node.get("fixes")
        fixes = self._fixes(named)
        if model is None:
            return []
        database = node.get("database")
        own_database = self._database(database, model) if database is not None else None
        fixed = self._fixed(model, fixes, named.span if named is not None else key.span)
        settings, places = self._settings(node.get("set"))
        sweep = node.get("sweep")
        axes = (*vary, *(self._sweep(sweep) if sweep is not None else ()))
        scenario = optional(builder.name, node.get("scenario"), None)
        self._overlaps(key, node, axes)
        expect = node.get("expect")
        if fixed is None:
            return []
        for axis in axes:
            for choice in axis:
                if choice.setting is not None:
                    swept, value, span = choice.setting
                    check_settings(fixed, {swept.value: value}, {swept.value: (swept.span(), span)}, self.report)
        check_settings(fixed, settings, places, self.report)
        combinations = 1
        for axis in axes:
            combinations *= len(axis)
        if combinations > MAX_CASES:
            message = f"the case '{name}' stands for {combinations} cases"
            self.report.error("F223", key.span, message, f"at most {MAX_CASES}: vary less, or in several cases")
            return []
        expectations = self._expectations(expect, fixed, combinations) if expect is not None else {}
        cases = []
        for number, choices in enumerate(product(*axes)):
            chosen = next((c.scenario for c in choices if c.scenario is not None), scenario or default)
            where = self._scenario(chosen, fixed, key)
            swept_settings = {c.setting[0].value: c.setting[1] for c in choices if c.setting is not None}
            all_settings = {**settings, **swept_settings}
            if where is None or any(name not in fixed.parameters for name in all_settings):
                continue
            base = next((c.database for c in choices if c.database is not None), own_database)
            composed = settled(fixed, all_settings, key.span)
            composed = replace(composed, database=base or composed.database, expect={})
            label = ",".join(c.label for c in choices)
            cases.append(
                syntax.Case(
                    name=f"{name}[{label}]" if label else name.value,
                    span=key.span,
                    model=composed,
                    scenario=where,
                    fixes=composed.fixes,
                    settings=tuple(all_settings.items()),
                    expect={prop: entry[number] for prop, entry in expectations.items() if len(entry) == combinations},
                    base=model,
                    patches=tuple(fix for fix in fixes if fix is not None),
                )
            )
        return cases

    def _overlaps(self, key: ScalarNode, node: MappingNode, axes: Sequence[_Axis]) -> None:
        """What is said for a case and by an axis as well."""
        given = {"scenario": node.key("scenario"), "database": node.key("database")}
        said = node.get("set")
        in_set = {k.text.value: k for k, _ in said.entries} if isinstance(said, MappingNode) else {}
        seen: set[str] = set()
        for axis in axes:
            if not axis:
                continue
            choice = axis[0]
            if choice.setting is not None:
                what = choice.setting[0].value
                place = in_set.get(what)
                if what in seen:
                    message = f"the parameter '{what}' is varied twice"
                    self.report.error("F222", key.span, message, "name it under vary or under sweep")
                seen.add(what)
            else:
                what = "scenario" if choice.scenario is not None else "database"
                place = given[what]
            if place is not None:
                message = f"'{what}' is given for the case '{key.text}' and varied as well"
                self.report.error("F222", place.span, message, "keep one of the two")

    def _scenario(self, chosen: Text | None, model: syntax.Model, key: ScalarNode) -> str | None:
        if chosen is not None:
            if chosen.value in model.scenarios:
                return chosen.value
            remedy = did_you_mean(chosen.value, model.scenarios)
            self.report.error("F205", chosen.span(), f"there is no scenario '{chosen}'", remedy)
            return None
        if len(model.scenarios) == 1:
            return next(iter(model.scenarios))
        names = ", ".join(sorted(model.scenarios))
        remedy = f"name one under scenario: {names}"
        self.report.error("F221", key.span, f"the case '{key.text}' does not say its scenario", remedy)
        return None

    def _settings(self, node: Node | None) -> tuple[dict[str, Value], dict[str, tuple[Span | None, Span | None]]]:
        values: dict[str, Value] = {}
        places: dict[str, tuple[Span | None, Span | None]] = {}
        if node is not None:
            for key, value in self.builder.mapping(node, node).entries:
                values[key.text.value] = self.builder.parameter_value(value)
                places[key.text.value] = (key.span, value.span)
        return values, places

    def _fixes(self, node: Node | None) -> list[syntax.Fix | None]:
        """The fixes of a case: files, each read once, or written out."""
        found: list[syntax.Fix | None] = []
        for item in self.builder.items(node) if node is not None else ():
            if isinstance(item, ScalarNode):
                path = self._beside(item.text.value)
                if path not in self.fixes:
                    try:
                        self.fixes[path] = parse_fix(read_source(path, item.text.span()))
                    except SpecError as error:
                        self.fixes[path] = None
                        self.report.merge(error.diagnostics)
                found.append(self.fixes[path])
            else:
                entry = self.builder.mapping(item, item)
                name = entry.get("fix")
                builder = Builder(self.report, str(getattr(name, "value", "")))
                found.append(build(builder, read_fix, entry))
                self.builder.skipped += builder.skipped
        return found

    def _fixed(self, model: syntax.Model, fixes: list[syntax.Fix | None], among: Span) -> syntax.Model | None:
        """The model with fixes; None when one could not be read or applied."""
        ready = [fix for fix in fixes if fix is not None]
        if len(ready) != len(fixes):
            return None
        try:
            return apply_fixes(model, ready, among)
        except SpecError as error:
            self.report.merge(error.diagnostics)
            return None

    def _expectations(self, node: Node, model: syntax.Model, count: int) -> dict[str, tuple[syntax.Expectation, ...]]:
        """For each property, what is expected in each of the cases that one entry stands for."""
        found: dict[str, tuple[syntax.Expectation, ...]] = {}
        for key, value in self.builder.mapping(node, node).entries:
            name = key.text.value
            if name not in model.properties:
                self.report.error("S122", key.span, f"there is no property '{name}'", did_you_mean(name, model.properties))
                continue
            if not isinstance(value, SequenceNode):
                found[name] = (self.builder.expectation(value),) * count
                continue
            found[name] = tuple(self.builder.expectation(item) for item in value.items)
            if len(found[name]) != count:
                message = f"{len(found[name])} expectations for {count} cases"
                remedy = "a list has one for each case that sweep and vary make, in their order"
                self.report.error("F224", value.span, message, remedy)
        return found
