"""Models, fixes and scenarios that a command names; what is wrong with them is shown, and ends the command."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from txweave.cli.terminal import show_errors, usage

if TYPE_CHECKING:
    from txweave.collect import Choice
    from txweave.spec import syntax


@contextmanager
def diagnosed(path: str) -> Iterator[None]:
    """Shows what is wrong with a specification, and ends the command."""
    from txweave.spec.diagnostics import SpecError

    try:
        yield
    except SpecError as error:
        show_errors([(path, error.diagnostics)])
        sys.exit(2)


def chosen_scenarios(model: syntax.Model, names: Sequence[str]) -> tuple[str, ...]:
    """The chosen scenarios, or the only one."""
    from txweave.collect import suggestion

    if not names and len(model.scenarios) != 1:
        raise click.UsageError(f"say which scenario with --scenario: {', '.join(model.scenarios)}")
    for name in names:
        if name not in model.scenarios:
            raise click.UsageError(f"there is no scenario {name!r}{suggestion(name, model.scenarios)}")
    return tuple(dict.fromkeys(names or model.scenarios))


def loaded_fixes(paths: Sequence[str]) -> dict[str, syntax.Fix]:
    """Fixes by path; what is wrong with one is shown, and ends the command."""
    from txweave.compose import load_fixes
    from txweave.spec.diagnostics import SpecError

    try:
        with usage():
            return load_fixes(paths)
    except SpecError as error:
        show_errors([("", error.diagnostics)])
        sys.exit(2)


def loaded_model(path: str, choice: Choice) -> syntax.Model:
    """A model with fixes and settings; what is wrong is shown, and ends the command."""
    from txweave.collect import FIX, STUDY, changed_model, find_files
    from txweave.spec.diagnostics import SpecError
    from txweave.spec.load import load_fix, load_model

    if path.endswith((STUDY, FIX)):
        raise click.UsageError(f"{path} is no model: name the *.model.yaml file, and fixes with --fix")
    with usage():
        find_files((path,))
    if Path(path).is_dir():
        raise click.UsageError(f"{path} is a directory: name a model")
    try:
        return changed_model(load_model(path), [load_fix(name) for name in choice.fixes], choice)
    except SpecError as error:
        show_errors([(path, error.diagnostics)])
        sys.exit(2)


def one_scenario(model: syntax.Model, path: str, scenario: str | None, choice: Choice) -> Any:
    """One scenario of a model, as a case."""
    from txweave.collect import Selected, suggestion
    from txweave.spec import syntax as words

    if scenario is None:
        if len(model.scenarios) != 1:
            raise click.UsageError(f"say which scenario with --scenario: {', '.join(model.scenarios)}")
        scenario = next(iter(model.scenarios))
    if scenario not in model.scenarios:
        raise click.UsageError(f"there is no scenario {scenario!r}{suggestion(scenario, model.scenarios)}")
    span = model.scenarios[scenario].name.span()
    settings = tuple((name, model.parameters[name].value) for name, _ in choice.settings)
    return Selected(path, "", words.Case(scenario, span, model, scenario, model.fixes, settings))


def prepared(path: str, scenario: str | None, choice: Choice) -> tuple[Any, Any]:
    """A scenario's bound model and finite system."""
    from txweave.check import prepare
    from txweave.spec.diagnostics import SpecError

    selected = one_scenario(loaded_model(path, choice), path, scenario, choice)
    try:
        return prepare(selected)
    except SpecError as error:
        show_errors([(path, error.diagnostics)])
        sys.exit(2)
