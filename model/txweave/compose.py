"""Compositions: a model with a set of fixes, settings and assumptions, as a case that can be checked."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from txweave.collect import FIX, Choice, Selected, Usage, changed_model, suggestion
from txweave.spec import syntax
from txweave.spec.diagnostics import SpecError
from txweave.spec.load import load_fix

ASSUMPTIONS = {
    "no-crash": "no process crashes",
    "no-hang": "no process hangs",
    "no-errors": "no statement fails by an injected error",
}
"""Faults that may be assumed not to happen, and how it is said."""


@dataclass(frozen=True)
class Composer:
    """What all compositions of one model have in common.

    ``settings``: parameters by name; one that only some fix declares is set where that fix is.  ``without``: keys of
    :data:`ASSUMPTIONS`, taken out of every role, also of those that fixes add.  ``always``: fixes that every composition has.
    """

    path: str
    model: syntax.Model
    settings: tuple[tuple[str, str], ...] = ()
    without: tuple[str, ...] = ()
    always: tuple[syntax.Fix, ...] = ()

    @property
    def assumptions(self) -> tuple[str, ...]:
        """What is assumed of every composition, in words."""
        return (
            *(ASSUMPTIONS[word] for word in self.without),
            *(f"every set has the fix {fix.name.value}{f': {fix.title}' if fix.title else ''}" for fix in self.always),
        )

    def compose(self, fixes: Iterable[syntax.Fix]) -> syntax.Model:
        """The model with these fixes.

        Raises:
            SpecError: they do not fit the model or each other.
        """
        chosen = [*self.always, *fixes]
        known = {*self.model.parameters, *(name for fix in chosen for name in fix.parameters)}
        settings = tuple(item for item in self.settings if item[0] in known)
        model = changed_model(self.model, chosen, Choice(settings=settings))
        return without_faults(model, self.without) if self.without else model

    def case(self, fixes: Sequence[syntax.Fix], scenario: str, label: str) -> Selected:
        """One scenario of the model with these fixes, where every property is expected to hold.

        Raises:
            SpecError: the fixes do not fit the model or each other.
        """
        model = self.compose(fixes)
        span = model.scenarios[scenario].name.span()
        settings = tuple((name, model.parameters[name].value) for name, _ in self.settings if name in model.parameters)
        return Selected(self.path, "", syntax.Case(label, span, model, scenario, model.fixes, settings))

    def check(self, fixes: Iterable[syntax.Fix]) -> None:
        """That every setting is of a parameter of the model or of a fix, and that fixes have different names.

        Raises:
            Usage: one is not.
        """
        candidates = [*self.always, *fixes]
        known = {*self.model.parameters, *(name for fix in candidates for name in fix.parameters)}
        for name, _ in self.settings:
            if name not in known:
                raise Usage(f"there is no parameter {name!r}{suggestion(name, known)}")


def without_faults(model: syntax.Model, words: Iterable[str]) -> syntax.Model:
    """The model in whose scenarios some kinds of fault do not happen."""
    said = set(words)

    def changed(role: syntax.Role) -> syntax.Role:
        gone: set[str] = set()
        if "no-crash" in said:
            role = replace(role, crash=None, restart=False)
            gone.add("crash")
        if "no-hang" in said:
            role = replace(role, hang=None)
            gone.add("hang")
        if "no-errors" in said:
            role = replace(role, errors=())
            gone.add("errors")
        return replace(role, forever=tuple(word for word in role.forever if word not in gone))

    scenarios = {name: replace(scenario, roles=tuple(map(changed, scenario.roles))) for name, scenario in model.scenarios.items()}
    return replace(model, scenarios=scenarios)


def load_fixes(paths: Sequence[str]) -> dict[str, syntax.Fix]:
    """Fixes by path; a directory stands for the fixes in it, in the order of their names.

    Raises:
        Usage: a path is no fix and no directory with fixes, or two fixes have one name.
        SpecError: some fix cannot be read; every one is told.
    """
    found: dict[str, syntax.Fix] = {}
    problems: list[SpecError] = []
    for path in _files(paths):
        if path in found:
            continue
        try:
            found[path] = load_fix(path)
        except SpecError as error:
            problems.append(error)
    if problems:
        raise SpecError(diagnostic for error in problems for diagnostic in error.diagnostics)
    names: dict[str, str] = {}
    for path, fix in found.items():
        other = names.setdefault(fix.name.value, path)
        if other != path:
            raise Usage(f"two fixes are called {fix.name.value!r}: {other} and {path}")
    return found


def _files(paths: Sequence[str]) -> Iterable[str]:
    for name in paths:
        path = Path(name)
        if path.is_dir():
            inside = sorted(str(item) for item in path.iterdir() if item.name.endswith(FIX))
            if not inside:
                raise Usage(f"there is no *{FIX} file in {name}")
            yield from inside
        elif not name.endswith(FIX):
            raise Usage(f"{name} is no fix: they are called *{FIX}")
        elif not path.is_file():
            raise Usage(f"there is no {name}")
        else:
            yield str(path)
