"""From paths to cases: which files are specifications, which of their cases are chosen, with which fixes and settings."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path

from txweave.spec import syntax
from txweave.spec.diagnostics import Diagnostic, SpecError

STUDY, MODEL, FIX = ".study.yaml", ".model.yaml", ".fix.yaml"


class Usage(Exception):  # noqa: N818 - a message for whoever typed the command, not a failure
    """The command asks for something that cannot be: an unknown name, a filter that leaves nothing."""


@dataclass(frozen=True)
class Selected:
    """A case to check, and the file it comes from (``study`` is empty for a model by itself)."""

    path: str
    study: str
    case: syntax.Case


@dataclass
class Collection:
    """The chosen cases in order, and the files that could not be read with what is wrong with them."""

    cases: list[Selected] = field(default_factory=list)
    errors: list[tuple[str, tuple[Diagnostic, ...]]] = field(default_factory=list)


@dataclass(frozen=True)
class Choice:
    """What narrows or changes the cases: names of cases and scenarios, fix files, settings of parameters as text."""

    cases: tuple[str, ...] = ()
    scenarios: tuple[str, ...] = ()
    fixes: tuple[str, ...] = ()
    settings: tuple[tuple[str, str], ...] = ()

    @property
    def changes(self) -> bool:
        """Whether specifications are changed and not only narrowed."""
        return bool(self.fixes or self.settings)


def find_files(paths: Sequence[str]) -> list[tuple[str, bool]]:
    """Specification files in order, each with whether it was named itself; directories are searched.

    Raises:
        Usage: a path that is not there, or a file that is no model and no study.
    """
    found: dict[str, bool] = {}
    for name in paths:
        path = Path(name)
        if path.is_dir():
            for below in sorted(_walk(path)):
                found.setdefault(below, False)
        elif name.endswith(FIX):
            raise Usage(f"{name} is a fix: name the model, and the fix with --fix {name}")
        elif path.is_file():
            if not name.endswith((STUDY, MODEL)):
                raise Usage(f"{name} is no specification: they are called *{MODEL} and *{STUDY}")
            found[name] = True
        else:
            raise Usage(f"there is no {name}{_near(path)}")
    return list(found.items())


def _walk(root: Path) -> Iterable[str]:
    for folder, folders, files in os.walk(root):
        folders[:] = [f for f in folders if not f.startswith(".")]
        for file in files:
            if file.endswith((STUDY, MODEL)):
                yield os.path.join(folder, file)  # noqa: PTH118 - keeps the path as it was typed


def _near(path: Path) -> str:
    try:
        names = [p.name for p in path.parent.iterdir()]
    except OSError:
        return ""
    close = get_close_matches(path.name, names, n=1)
    return f": did you mean {path.parent / close[0]}?" if close else ""


def collect(paths: Sequence[str], choice: Choice) -> Collection:
    """The cases of all files.  A model without a study counts when it is named itself or has expectations of its own.

    ``--fix`` and ``--set`` change models only: a study says for each case which fixes it has.  What a model expects is
    about the model as it is written, so that with a fix or another value every property is expected to hold.

    Raises:
        Usage: unknown names, nothing left to check, fixes together with a study.
    """
    from txweave.spec.load import load_fix, load_model, load_study

    collection = Collection()
    files = find_files(paths)
    if choice.changes and any(path.endswith(STUDY) for path, _ in files):
        study = next(path for path, _ in files if path.endswith(STUDY))
        raise Usage(
            f"--fix and --set change models, and {study} is a study, whose cases say their own fixes: "
            f"name the model (its *{MODEL} file) instead"
        )
    fixes = []
    for name in choice.fixes:
        try:
            fixes.append(load_fix(name))
        except SpecError as error:
            collection.errors.append((name, error.diagnostics))
    if collection.errors:
        return collection
    every: list[Selected] = []
    for path, named in files:
        try:
            if path.endswith(STUDY):
                study_read = load_study(path)
                every += [Selected(path, study_read.name.value, case) for case in study_read.cases]
            else:
                model = load_model(path)
                if named or model.expect:
                    every += _model_cases(path, model, fixes, choice)
        except SpecError as error:
            collection.errors.append((path, error.diagnostics))
    collection.cases = _narrow(every, choice, failed=bool(collection.errors))
    return collection


def _model_cases(path: str, model: syntax.Model, fixes: list[syntax.Fix], choice: Choice) -> list[Selected]:
    changed = changed_model(model, fixes, choice)
    settings = tuple((name, changed.parameters[name].value) for name, _ in choice.settings)
    return [
        Selected(
            path,
            "",
            syntax.Case(
                name=scenario.name.value,
                span=scenario.name.span(),
                model=changed,
                scenario=name,
                fixes=changed.fixes,
                settings=settings,
                expect=changed.expect,
                base=model,
                patches=tuple(fixes),
            ),
        )
        for name, scenario in changed.scenarios.items()
    ]


def changed_model(model: syntax.Model, fixes: Sequence[syntax.Fix], choice: Choice) -> syntax.Model:
    """The model with the chosen fixes and settings.

    Raises:
        SpecError: a fix or a setting does not fit.
    """
    from txweave.spec.fixes import apply_fixes
    from txweave.spec.parameters import with_settings

    changed = apply_fixes(model, fixes) if fixes else model
    return with_settings(changed, dict(choice.settings)) if choice.settings else changed


def _narrow(every: list[Selected], choice: Choice, *, failed: bool) -> list[Selected]:
    """Only the chosen cases.  Names are not doubted when a file that may have had them could not be read."""
    for kind, wanted, names in (
        ("case", choice.cases, [s.case.name for s in every]),
        ("scenario", choice.scenarios, [name for s in every for name in s.case.model.scenarios]),
    ):
        bases = {name.split("[")[0] for name in names} | set(names)
        for name in wanted:
            if name not in bases and not failed:
                raise Usage(f"there is no {kind} {name!r}{suggestion(name, names)}")
    found = [
        s
        for s in every
        if (not choice.cases or s.case.name in choice.cases or s.case.name.split("[")[0] in choice.cases)
        and (not choice.scenarios or s.case.scenario in choice.scenarios)
    ]
    if not found and not failed:
        if every:
            raise Usage("no case is left by --case and --scenario together")
        raise Usage("nothing to check: no study, and no model that has expectations (name a model to check it anyway)")
    return found


def check_properties(selected: Sequence[Selected], wanted: Sequence[str]) -> None:
    """That every wanted property is one of some case.

    Raises:
        Usage: one is not.
    """
    known = list(dict.fromkeys(name for s in selected for name in s.case.model.properties))
    for name in wanted:
        if name not in known:
            raise Usage(f"there is no property {name!r}{suggestion(name, known)}")


def suggestion(word: str, known: Iterable[str]) -> str:
    """``: did you mean 'x'?``, or the names that there are."""
    names = list(dict.fromkeys(known))
    close = get_close_matches(word, names, n=1, cutoff=0.5)
    if close:
        return f": did you mean {close[0]!r}?"
    return f": there are {', '.join(sorted(names))}" if 0 < len(names) <= 12 else ""
