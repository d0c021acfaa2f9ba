"""Assertions about specifications, for tests that are written in Python.

>>> assert_holds("specs/backfill.model.yaml", ["specs/exists-guard.fix.yaml"], property="no_premature_completion")  # doctest: +SKIP

The message of an assertion that fails is the story of the counterexample.  Paths are relative to the current directory, as those
of the command.  What a model itself expects plays no part here: the assertion is the expectation.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

from txweave.check import Options, run_case
from txweave.collect import Choice, Selected, Usage, changed_model, check_properties, suggestion
from txweave.report.outcomes import Outcome, items, verdict
from txweave.report.story import Story
from txweave.results import CaseResult, Relation
from txweave.spec import syntax
from txweave.spec.load import load_fix, load_model
from txweave.spec.parameters import Value, with_settings

ModelLike: TypeAlias = str | Path | syntax.Model
FixLike: TypeAlias = str | Path | syntax.Fix


class Undecided(AssertionError):  # noqa: N818 - not an error of the test
    """Nothing is known of what was asserted: a limit, a bound, a self-check that failed.  Never a pass."""


class Checker:
    """Checks with some options, and what it has checked once not again."""

    def __init__(self, options: Options | None = None) -> None:
        self.options = options or Options()
        self._known: dict[object, CaseResult] = {}

    def assert_holds(
        self,
        model: ModelLike,
        fixes: FixLike | Iterable[FixLike] = (),
        *,
        property: str | None = None,  # noqa: A002 - what it is called everywhere
        scenario: str | None = None,
        settings: Mapping[str, Value] | None = None,
    ) -> tuple[CaseResult, ...]:
        """That a property, or all of them, hold with these fixes and settings, in a scenario, or in all of them.

        Returns:
            The result for each scenario.

        Raises:
            AssertionError: a property is violated; the message is the story.
            Undecided: a verdict is unknown, or a self-check failed.
            SpecError: the model is wrong, or a fix or a setting does not fit.
            Usage: there is no such scenario or property.
        """
        __tracebackhide__ = True
        results = tuple(self._result(s, property) for s in _selected(model, fixes, scenario, settings, property))
        found = [item for result in results for item in items(result) if item.outcome is not Outcome.PASS]
        # What is refuted comes first: it stands whatever else is unknown.
        for outcome, kind in ((Outcome.FAIL, AssertionError), (Outcome.ERROR, Undecided)):
            told = [f"{i.name} in {i.case.scenario}: {i.text}" for i in found if i.outcome is outcome]
            if told:
                raise kind("\n\n".join(told))
        return results

    def assert_violated(
        self,
        model: ModelLike,
        fixes: FixLike | Iterable[FixLike] = (),
        *,
        property: str,  # noqa: A002
        scenario: str | None = None,
        settings: Mapping[str, Value] | None = None,
        length: int | tuple[int, int] | None = None,
    ) -> Story:
        """That a property is violated in a scenario (the only one, if none is named), in a shortest story of this length if given.

        Returns:
            The story.

        Raises:
            AssertionError: it holds, or the story has another length.
            Undecided: the verdict is unknown, or a self-check failed.
            SpecError: the model is wrong, or a fix or a setting does not fit.
            Usage: there is no such scenario or property, or there are several scenarios and none is named.
        """
        __tracebackhide__ = True
        selected = _selected(model, fixes, scenario, settings, property)
        if len(selected) > 1:
            raise Usage(f"say in which scenario: {', '.join(s.case.scenario for s in selected)}")
        result = self._result(selected[0], property)
        for item in items(result):
            where = f"{item.name} in {result.scenario}"
            if item.outcome is Outcome.ERROR or item.result is None:
                raise Undecided(f"{where}: {item.text}")
            if item.result.relation is Relation.AS_EXPECTED:
                raise AssertionError(f"{where}: {verdict(item.result)}, expected violated")
            wanted = (length,) if isinstance(length, int) else length
            if wanted is not None and item.result.length != wanted:
                raise AssertionError(f"{where}: {verdict(item.result)}, expected length {length}\n\n{item.text}")
            assert item.story is not None
            return item.story
        raise Undecided(f"{property}: nothing was checked")

    def _result(self, selected: Selected, name: str | None) -> CaseResult:
        case = selected.case
        key = (selected.path, _identity(case.model), case.scenario, name)
        if key not in self._known:
            options = replace(self.options, properties=(name,) if name is not None else ())
            result = run_case(selected, options)
            if result.errors:
                from txweave.spec.diagnostics import SpecError

                raise SpecError(result.errors)
            self._known[key] = result.detached()
        return self._known[key]


def _identity(model: syntax.Model) -> object:
    from txweave.spec.places import without_places

    return without_places(model)


def _selected(
    model: ModelLike,
    fixes: FixLike | Iterable[FixLike],
    scenario: str | None,
    settings: Mapping[str, Value] | None,
    name: str | None,
) -> list[Selected]:
    """The cases, expecting that everything holds."""
    read = model if isinstance(model, syntax.Model) else load_model(model)
    given = (fixes,) if isinstance(fixes, str | Path | syntax.Fix) else tuple(fixes)
    changed = changed_model(read, [f if isinstance(f, syntax.Fix) else load_fix(f) for f in given], Choice())
    values = dict(settings or {})
    if values:
        changed = with_settings(changed, values)
    if scenario is not None and scenario not in changed.scenarios:
        raise Usage(f"there is no scenario {scenario!r}{suggestion(scenario, changed.scenarios)}")
    path = read.name.file.path
    names = [scenario] if scenario is not None else list(changed.scenarios)
    shown = tuple((key, changed.parameters[key].value) for key in values)
    cases = [Selected(path, "", syntax.Case(n, changed.scenarios[n].name.span(), changed, n, changed.fixes, shown)) for n in names]
    if name is not None:
        check_properties(cases, (name,))
    return cases


def assert_holds(
    model: ModelLike,
    fixes: FixLike | Iterable[FixLike] = (),
    *,
    property: str | None = None,  # noqa: A002
    scenario: str | None = None,
    settings: Mapping[str, Value] | None = None,
    options: Options | None = None,
) -> tuple[CaseResult, ...]:
    """As :meth:`Checker.assert_holds`."""
    __tracebackhide__ = True
    return Checker(options).assert_holds(model, fixes, property=property, scenario=scenario, settings=settings)


def assert_violated(
    model: ModelLike,
    fixes: FixLike | Iterable[FixLike] = (),
    *,
    property: str,  # noqa: A002
    scenario: str | None = None,
    settings: Mapping[str, Value] | None = None,
    length: int | tuple[int, int] | None = None,
    options: Options | None = None,
) -> Story:
    """As :meth:`Checker.assert_violated`."""
    __tracebackhide__ = True
    return Checker(options).assert_violated(model, fixes, property=property, scenario=scenario, settings=settings, length=length)
