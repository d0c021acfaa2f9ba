"""The pytest plugin: studies, and models with expectations, are collected; a test is one property of one case.

``specs/x.study.yaml::case::property``; the cases of a sweep are variants of a test, ``case::property[cutoff=5min]``.  A verdict
that differs is a failure, one that cannot be relied on (unknown, a self-check that failed, a specification that is wrong) an error,
and nothing is ever skipped.  The tests of a case share one exploration.

Nothing of txweave but this module is imported before a specification is found.

PYTEST_DONT_REWRITE
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from txweave.check import Options
    from txweave.collect import Selected
    from txweave.report.outcomes import Item
    from txweave.results import CaseResult, Finding
    from txweave.testing import Checker

ENGINES = ("explicit", "z3", "both")
STUDY, MODEL = ".study.yaml", ".model.yaml"
FINDING = "txweave finding"
KNOWN = "txweave known violation"


def _number(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is less than 1")
    return number


def _seconds(text: str) -> float:
    number = float(text)
    if not number > 0:
        raise argparse.ArgumentTypeError(f"{text} is not more than 0")
    return number


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options, which mean what they mean for ``txweave check``."""
    group = parser.getgroup("txweave", "specifications of txweave")
    group.addoption("--txweave-engine", choices=ENGINES, help="default: both up to 20,000 states")
    group.addoption("--txweave-max-states", type=_number, metavar="N", help="explore at most N states of a case")
    group.addoption("--txweave-max-memory", type=_number, metavar="MIB", help="use at most so much memory")
    group.addoption(
        "--txweave-no-reduction", action="store_true", default=None, help="count every state, also those that are alike"
    )
    group.addoption("--txweave-timeout", type=_seconds, metavar="SECONDS", help="for each case")
    group.addoption("--txweave-strict", action="store_true", default=None, help="what lint finds is an error")
    group.addoption("--txweave-no-config", action="store_true", help="ignore [tool.txweave]")


def pytest_configure(config: pytest.Config) -> None:
    """The marker that all tests of specifications have."""
    config.addinivalue_line("markers", "txweave: a property of a case of a specification")


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Specifications, wherever pytest looks."""
    if file_path.name.endswith((STUDY, MODEL)):
        return Specification.from_parent(parent, path=file_path)
    return None


OPTIONS = ("engine", "max_states", "max_memory", "timeout", "strict", "no_reduction")
"""What has an option here; the rest of ``[tool.txweave]`` is about reports and files, which are pytest's here."""


def _options(config: pytest.Config) -> Options:
    """The options of the command line, else of ``[tool.txweave]``.

    Raises:
        SettingsError: a ``pyproject.toml`` that is wrong.
    """
    from txweave.check import Options
    from txweave.settings import SettingsError, defaults

    chosen: dict[str, Any] = {}
    if not config.getoption("--txweave-no-config"):
        for setting in defaults(config.invocation_params.dir):
            if setting.parameter not in OPTIONS:
                continue
            chosen[setting.parameter] = setting.value
            if setting.parameter == "engine" and setting.value not in ENGINES:
                raise SettingsError(f"{setting.where}: {setting.value!r} is not one of {', '.join(ENGINES)}")
            if type(setting.value) in {int, float} and not setting.value > 0:
                raise SettingsError(f"{setting.where}: {setting.value} is not more than 0")
    for name in OPTIONS:
        given = config.getoption(f"--txweave-{name.replace('_', '-')}")
        if given is not None:
            chosen[name] = given
    reduction = not chosen.pop("no_reduction", False)
    return Options(**chosen, reduction=reduction)


class Specification(pytest.File):
    """A study; or a model, if it has expectations of its own or is named on the command line, as for ``txweave check``."""

    def collect(self) -> Iterator[pytest.Collector]:
        """The cases."""
        from txweave.collect import Choice, Usage, collect
        from txweave.settings import SettingsError
        from txweave.spec.diagnostics import Diagnostic, SpecError
        from txweave.spec.load import load_model

        try:
            options = _options(self.config)
        except SettingsError as error:
            raise self.CollectError(str(error)) from error
        path = os.path.relpath(self.path, self.config.invocation_params.dir)
        errors: list[Diagnostic] = []
        selected: list[Selected] = []
        try:
            if path.endswith(STUDY) or self.session.isinitpath(self.path) or load_model(path).expect:
                collection = collect((path,), Choice())
                selected = collection.cases
                errors = [found for _, group in collection.errors for found in group]
        except SpecError as error:
            errors = list(error.diagnostics)
        except Usage as error:
            raise self.CollectError(str(error)) from error
        if errors:
            raise self.CollectError("\n\n".join(found.render() for found in errors))
        groups: dict[str, list[Selected]] = {}
        for one in selected:
            groups.setdefault(one.case.name.partition("[")[0], []).append(one)
        for name, group in groups.items():
            yield Case.from_parent(self, name=name, selected=group, options=options)


class Case(pytest.Collector):
    """A case with its variants."""

    def __init__(self, *, selected: list[Selected], options: Options, **more: Any) -> None:
        super().__init__(**more)
        self.selected = selected
        self.options = options

    def collect(self) -> Iterator[pytest.Item]:
        """A test for each property of each variant."""
        for one in self.selected:
            exploration = Exploration(one, self.options)
            _, bracket, rest = one.case.name.partition("[")
            if not one.case.model.properties:
                raise self.CollectError(f"{one.path}: the case {one.case.name} has no property, so that nothing would be checked")
            for name in one.case.model.properties:
                yield Property.from_parent(self, name=f"{name}{bracket}{rest}", property=name, exploration=exploration)


class Exploration:
    """One exploration, made when its first test runs."""

    def __init__(self, selected: Selected, options: Options) -> None:
        self.selected = selected
        self.options = options
        self._result: CaseResult | None = None
        self._told = False

    def result(self) -> CaseResult:
        """The case's result."""
        from txweave.check import run_case

        if self._result is None:
            self._result = run_case(self.selected, self.options).detached()
        return self._result

    def findings(self) -> tuple[Finding, ...]:
        """What makes the case's verdicts say less than they seem to; only the first test that asks is told."""
        found, self._told = (() if self._told else self.result().findings), True
        return found


class Property(pytest.Item):
    """One property of one case."""

    def __init__(self, *, property: str, exploration: Exploration, **more: Any) -> None:  # noqa: A002
        super().__init__(**more)
        self.property = property
        self.exploration = exploration
        case = exploration.selected.case
        self.add_marker("txweave")
        self.extra_keyword_matches.update({case.model.name.value, case.scenario, *case.fixes})

    def setup(self) -> None:
        """Explores, unless another test of the case has: without a verdict to rely on the test is an error."""
        from txweave.report.outcomes import Outcome

        item = self._item()
        for finding in self.exploration.findings():
            self.user_properties.append((FINDING, f"{item.case.path}, {item.case.case}: {finding.message}"))
        if item.outcome is Outcome.ERROR:
            pytest.fail(item.text, pytrace=False)

    def runtest(self) -> None:
        """Compares the verdict with what is expected."""
        from txweave.report.outcomes import Outcome, verdict

        item = self._item()
        assert item.result is not None
        self.user_properties.append(("verdict", verdict(item.result)))
        self.user_properties.append(("states", item.case.states))
        known = item.result.known
        if known is not None:
            where = f"{item.case.path}, {item.case.case}: {item.result.name}"
            self.user_properties.append((KNOWN, f"{where}: {verdict(item.result)}, {known.text(days=True)}"))
        if item.outcome is not Outcome.PASS:
            pytest.fail(item.text, pytrace=False)

    def _item(self) -> Item:
        """What the check says of this property; what it says of the whole case, wherever that is without an answer."""
        from txweave.report.outcomes import items

        found = items(self.exploration.result())
        whole = next((item for item in found if item.result is None), None)
        mine = next((item for item in found if item.result is not None and item.name == self.property), None)
        item = whole or mine
        if item is None:
            pytest.fail(f"there is no verdict on {self.property}", pytrace=False)
        return item

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """The line of the expectation, else of the case, if it stands in this file."""
        case = self.exploration.selected.case
        expected = case.expect.get(self.property)
        for span in (expected.span if expected is not None else None, case.span):
            if span is not None and Path(self.config.invocation_params.dir, span.path) == self.path:
                return self.path, span.line - 1, f"{case.name}::{self.property}"
        return self.path, None, f"{case.name}::{self.property}"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The known violations, and what makes verdicts say less than they seem to, once each."""
    for kind, title in ((KNOWN, "txweave: known violations"), (FINDING, "txweave: what the verdicts do not say")):
        found: dict[str, None] = {}
        for reports in terminalreporter.stats.values():
            for report in reports:
                found.update({str(value): None for name, value in getattr(report, "user_properties", ()) if name == kind})
        if found:
            terminalreporter.section(title)
            for line in found:
                terminalreporter.line(line)


@pytest.fixture(scope="session")
def txweave(pytestconfig: pytest.Config) -> Checker:
    """Assertions about specifications, with the options of the command line: ``assert_holds`` and ``assert_violated``."""
    from txweave.settings import SettingsError
    from txweave.testing import Checker

    try:
        return Checker(_options(pytestconfig))
    except SettingsError as error:
        raise pytest.UsageError(str(error)) from error
