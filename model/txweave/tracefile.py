"""Trace files: runs in the words of the specification, written to be taken again.

A ``*.trace.json`` names its steps as a story does (process, procedure, step, outcome, what was returned), and never by a number of
the system that the specification was lowered to.  When it is read, each step is looked up among the steps that the reference
interpreter allows where the run is by then, and a counterexample is judged again.  The shape is in ``tracefile.schema.json``.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from typing import Any

import txweave
from txweave.check import prepare
from txweave.collect import MODEL, STUDY, Choice, Selected, changed_model, suggestion
from txweave.judge import review
from txweave.report.story import Story, StoryStep, step_of
from txweave.results import CaseResult
from txweave.spec import syntax
from txweave.spec.load import load_fix, load_model, load_study
from txweave.spec.parameters import show_value
from txweave.spec.render import render_model
from txweave.sql.program import BoundModel
from txweave.system import reference
from txweave.system.expr import Value
from txweave.system.ground import GroundAction, GroundProperty, GroundSystem
from txweave.trace import State, Taken, Trace
from txweave.view import StateDiff, Viewer, evaluate, keys_of

VERSION = 1
"""Of the format."""

SUFFIX = ".trace.json"

WIDTH = 64
"""Runs that are followed at a time, where what a trace says of a step fits several."""


class TraceError(Exception):
    """A trace file cannot be read or written, or is no run of its specification (any more)."""


@dataclass(frozen=True)
class Source:
    """What a run is of.

    ``model``, ``study`` and ``fixes`` are paths; ``study`` is empty for a model by itself, whose ``fixes`` and ``settings``
    then say how it was changed.
    """

    model: str
    scenario: str
    study: str = ""
    case: str = ""
    fixes: tuple[str, ...] = ()
    settings: tuple[tuple[str, str], ...] = ()
    digest: str = ""


@dataclass(frozen=True)
class Step:
    """One step; the words are those of :class:`txweave.report.story.StoryStep`.  ``effect``: what it changed."""

    process: str
    kind: str
    procedure: str
    step: str
    outcome: str
    note: str = ""
    returned: tuple[tuple[str, str], ...] = ()
    effect: tuple[str, ...] = ()

    @property
    def label(self) -> tuple[str, str, str, str, str]:
        """What must be the same when the run is taken again, results apart."""
        return (self.process, self.kind, self.procedure, self.step, self.outcome)

    def __str__(self) -> str:
        who = f"{self.process}: " if self.process else ""
        return f"{who}{_place(self.procedure, self.step)} ({self.outcome})"


@dataclass(frozen=True)
class TraceFile:
    """A run as it stands in a file.  ``property`` is empty for a run that violates nothing; ``witness`` are SQL literals."""

    source: Source
    steps: tuple[Step, ...]
    property: str = ""
    kind: str = ""
    witness: tuple[str, ...] = ()
    loop: int | None = None
    txweave: str = ""
    path: str = ""


# --------------------------------------------------------------------------------------------------------------- writing


def record(selected: Selected, told: Story | Sequence[StoryStep], fixes: Sequence[str] = ()) -> TraceFile:
    """A counterexample, or the steps of a walk, as a trace file.

    Args:
        selected: the case.
        told: the story of the counterexample, or the steps of a walk.
        fixes: paths of the fixes that were applied to a model by itself.
    """
    case = selected.case
    model = case.model.name.file.path
    if selected.study:
        source = Source(model, case.scenario, selected.path, case.name)
    else:
        settings = tuple((name, show_value(value)) for name, value in case.settings)
        source = Source(model, case.scenario, fixes=tuple(fixes), settings=settings)
    source = replace(source, digest=digest(case.model))
    steps = tuple(map(_step, told.steps if isinstance(told, Story) else told))
    if not isinstance(told, Story):
        return TraceFile(source, steps, txweave=txweave.__version__)
    witness = tuple(value for _, value in told.witness)
    return TraceFile(source, steps, told.name, told.kind, witness, told.loop, txweave.__version__)


def digest(model: syntax.Model) -> str:
    """Of a composed model: changes with everything that the model says, and with nothing else."""
    return "sha256:" + sha256(render_model(model).encode()).hexdigest()


def write(path: str | Path, trace: TraceFile) -> None:
    """Write a trace file; what it refers to is written relative to it.

    Raises:
        TraceError: the file cannot be written.
    """
    target = Path(path)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(_dumps(_document(trace, target)), encoding="utf-8")
    except OSError as error:
        raise TraceError(f"cannot write {path}: {error.strerror}") from error


def write_counterexamples(
    directory: str | Path, selected: Sequence[Selected], results: Sequence[CaseResult], fixes: Sequence[str] = ()
) -> list[Path]:
    """A file for each violated property, and their paths; names depend on nothing but what was checked.

    Args:
        directory: where; it is made if it is not there.
        selected: the cases that were checked.
        results: their results, in the same order.
        fixes: paths of the fixes that were applied to models by themselves.

    Raises:
        TraceError: a file cannot be written.
    """
    written: list[Path] = []
    for case, result in zip(selected, results, strict=True):
        for item in result.properties:
            if item.story is not None:
                path = Path(directory) / _name(case, item.name, written)
                write(path, record(case, item.story, fixes))
                written.append(path)
    return written


def _name(selected: Selected, name: str, taken: Iterable[Path]) -> str:
    stem = Path(selected.path).name.removesuffix(STUDY).removesuffix(MODEL)
    case = selected.case
    # The fixes of a study's case are in the case's name.
    changes = "" if selected.study else "".join(f"+{fix}" for fix in case.fixes)
    changes += "" if selected.study else "".join(f"+{key}={show_value(value)}" for key, value in case.settings)
    whole = ".".join(re.sub(r"[^A-Za-z0-9_=,+-]+", "_", part).strip("_") for part in (stem + changes, case.name, name))
    names = {path.name for path in taken}
    numbered = [whole, *(f"{whole}.{number}" for number in range(2, len(names) + 2))]
    return next(item + SUFFIX for item in numbered if item + SUFFIX not in names)


def _step(told: StoryStep) -> Step:
    if told.kind == "tick":
        return Step("", "tick", "", "tick", told.outcome, told.note)
    return Step(told.actor, told.kind, told.procedure, told.step, told.outcome, told.note, tuple(told.returned), _effect(told.diff))


def _effect(diff: StateDiff) -> tuple[str, ...]:
    """Everything that changed, in short words."""
    lines: list[str] = []
    for row in diff.rows:
        lines.append(f"{row.label}: {row.kind}{_columns(row.columns)}")
    for version in diff.versions:
        lines.append(f"{version.label}: uncommitted {version.kind} by {version.writer}{_columns(version.columns)}")
    for change in diff.processes:
        lines.append(f"{change.process}: {change.field} {change.before or '-'} -> {change.after or '-'}")
    return tuple(lines)


def _columns(columns: Iterable[tuple[str, str, str]]) -> str:
    shown = [f"{name} {before or '-'} -> {after or '-'}" for name, before, after in columns]
    return f", {', '.join(shown)}" if shown else ""


def _place(procedure: str, step: str) -> str:
    return f"{procedure}.{step}" if procedure else step


def _document(trace: TraceFile, target: Path) -> dict[str, Any]:
    def beside(path: str) -> str:
        return Path(os.path.relpath(path, target.parent)).as_posix()

    source = trace.source
    spec: dict[str, Any] = {"study": beside(source.study), "case": source.case} if source.study else {}
    spec["model"] = beside(source.model)
    if source.fixes:
        spec["fixes"] = [beside(path) for path in source.fixes]
    if source.settings:
        spec["settings"] = dict(source.settings)
    spec |= {"scenario": source.scenario, "digest": source.digest}
    violated = {"name": trace.property, "kind": trace.kind, "witness": list(trace.witness)} if trace.property else None
    return {
        "trace": VERSION,
        "txweave": trace.txweave,
        "spec": spec,
        "property": violated,
        "loop": trace.loop,
        "steps": [_step_document(step) for step in trace.steps],
    }


def _step_document(step: Step) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if step.process:
        found["process"] = step.process
    if step.kind != "step":
        found["kind"] = step.kind
    if step.kind != "tick":
        found["step"] = _place(step.procedure, step.step)
    found["outcome"] = step.outcome
    if step.note:
        found["note"] = step.note
    if step.returned:
        found["returned"] = [list(pair) for pair in step.returned]
    if step.effect:
        found["effect"] = list(step.effect)
    return found


def _dumps(document: dict[str, Any]) -> str:
    """As text, a line for each step."""
    steps = ",\n".join(f"    {json.dumps(step, ensure_ascii=False)}" for step in document["steps"])
    head = json.dumps({**document, "steps": []}, indent=2, ensure_ascii=False)
    return head.replace('"steps": []', f'"steps": [\n{steps}\n  ]' if steps else '"steps": []') + "\n"


# --------------------------------------------------------------------------------------------------------------- reading


@cache
def schema() -> dict[str, Any]:
    """The JSON Schema of a trace file."""
    loaded: dict[str, Any] = json.loads((files("txweave") / "tracefile.schema.json").read_text(encoding="utf-8"))
    return loaded


def read(path: str | Path) -> TraceFile:
    """A trace file as it is written.

    Raises:
        TraceError: it cannot be read, or is none.
    """
    import jsonschema

    try:
        document = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise TraceError(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise TraceError(f"{path}: a trace file is written in UTF-8: {error.reason} at byte {error.start + 1}") from error
    except json.JSONDecodeError as error:
        raise TraceError(f"{path}:{error.lineno}:{error.colno}: this is no JSON: {error.msg}") from error
    if isinstance(document, dict) and document.get("trace") != VERSION and isinstance(document.get("trace"), int):
        raise TraceError(f"{path}: the format's version is {document['trace']}, and this txweave reads version {VERSION}")
    problem = next(iter(sorted(jsonschema.Draft7Validator(schema()).iter_errors(document), key=lambda e: str(e.json_path))), None)
    if problem is not None:
        problem = jsonschema.exceptions.best_match([problem]) or problem
        raise TraceError(f"{path}: this is no trace file: {problem.json_path}: {problem.message}")
    return _read(str(path), document)


def _read(path: str, document: dict[str, Any]) -> TraceFile:
    def found(relative: str) -> str:
        return os.path.relpath(Path(path).parent / relative) if not Path(relative).is_absolute() else relative

    spec, violated, loop, steps = document["spec"], document["property"], document["loop"], document["steps"]
    if "study" in spec and (spec.get("fixes") or spec.get("settings")):
        raise TraceError(f"{path}: the study's case says its fixes and settings: leave out $.spec.fixes and $.spec.settings")
    if loop is not None and loop > len(steps):
        raise TraceError(f"{path}: the loop begins at {loop}, and there are {len(steps)} steps")
    source = Source(
        model=found(spec["model"]),
        scenario=spec["scenario"],
        study=found(spec["study"]) if "study" in spec else "",
        case=spec.get("case", ""),
        fixes=tuple(found(fix) for fix in spec.get("fixes", ())),
        settings=tuple(spec.get("settings", {}).items()),
        digest=spec["digest"],
    )
    return TraceFile(
        source,
        tuple(_read_step(path, number, step) for number, step in enumerate(steps, 1)),
        violated["name"] if violated else "",
        violated["kind"] if violated else "",
        tuple(violated["witness"]) if violated else (),
        loop,
        document["txweave"],
        path,
    )


def _read_step(path: str, number: int, step: dict[str, Any]) -> Step:
    kind = step.get("kind", "step")
    procedure, _, name = step.get("step", "").partition(".")
    if kind == "tick":
        if "process" in step or "step" in step:
            raise TraceError(f"{path}: step {number}: when time passes, no process moves: leave out its process and step")
        return Step("", "tick", "", "tick", step["outcome"], step.get("note", ""))
    if not name or "process" not in step:
        raise TraceError(f"{path}: step {number}: say which process moves, and its step as procedure.step")
    returned = tuple((key, value) for key, value in step.get("returned", ()))
    effect = tuple(step.get("effect", ()))
    return Step(step["process"], kind, procedure, name, step["outcome"], step.get("note", ""), returned, effect)


def compose(file: TraceFile) -> Selected:
    """The case that a trace is of, as the specification has it now.

    Raises:
        TraceError: the specification has no such case or scenario.
        SpecError: the specification is wrong.
    """
    source = file.source
    for path in filter(None, (source.study, source.model, *source.fixes)):
        if not Path(path).is_file():
            raise TraceError(f"{file.path}: there is no {path}, which the trace refers to")
    if source.study:
        study = load_study(source.study)
        case = next((case for case in study.cases if case.name == source.case), None)
        if case is None:
            known = [case.name for case in study.cases]
            raise TraceError(f"{file.path}: {source.study} has no case {source.case!r}{suggestion(source.case, known)}")
        selected = Selected(source.study, study.name.value, case)
    else:
        model = changed_model(load_model(source.model), [load_fix(path) for path in source.fixes], Choice(settings=source.settings))
        if source.scenario not in model.scenarios:
            hint = suggestion(source.scenario, model.scenarios)
            raise TraceError(f"{file.path}: {source.model} has no scenario {source.scenario!r}{hint}")
        settings = tuple((name, model.parameters[name].value) for name, _ in source.settings)
        name = model.scenarios[source.scenario].name
        case = syntax.Case(name.value, name.span(), model, source.scenario, model.fixes, settings)
        selected = Selected(source.model, "", case)
    if selected.case.scenario != source.scenario:
        raise TraceError(
            f"{file.path}: the case {source.case!r} is now of the scenario {selected.case.scenario!r}, not {source.scenario!r}"
        )
    return selected


@dataclass(frozen=True)
class Rerun:
    """A trace file, taken again on its specification.  ``notes``: what a reader must know."""

    file: TraceFile
    selected: Selected
    bound: BoundModel
    viewer: Viewer
    trace: Trace
    notes: tuple[str, ...]

    @property
    def system(self) -> GroundSystem:
        """The finite system of the specification as it is now."""
        return self.trace.system


def rerun(file: TraceFile) -> Rerun:
    """Take a trace again.

    Raises:
        TraceError: the specification does not allow one of the steps (the message names the first), or the run does not violate
            its property.
        SpecError: the specification is wrong.
    """
    selected = compose(file)
    bound, system = prepare(selected)
    viewer = Viewer(system, keys_of(bound))
    stale = digest(selected.case.model) != file.source.digest
    changed = "the specification has changed since the trace was written"
    try:
        runs = _Follower(file, viewer).runs()
        trace, notes = _judged(file, runs, viewer)
    except TraceError as error:
        raise TraceError(f"{error}\n({changed})" if stale else str(error)) from None
    if stale:
        notes = (f"{changed}; every step of it is still allowed", *notes)
    return Rerun(file, selected, bound, viewer, trace, notes)


def load(path: str | Path) -> Rerun:
    """Read a trace file and take its trace again.

    Raises:
        TraceError: see :func:`read` and :func:`rerun`.
        SpecError: the specification is wrong.
    """
    return rerun(read(path))


@dataclass(frozen=True)
class _Run:
    state: reference.State
    steps: tuple[Taken, ...] = ()


class _Follower:
    """Looks the steps of a trace file up in the reference interpreter."""

    def __init__(self, file: TraceFile, viewer: Viewer) -> None:
        self.file = file
        self.viewer = viewer
        self.system = viewer.system
        self.processes = {viewer.process_name(a.actor): a.actor for a in self.system.actions if a.actor is not None}
        self.by_label: dict[tuple[str, ...], list[GroundAction]] = {}
        for action in self.system.actions:
            if action.action.out is None:
                self.by_label.setdefault(self._label(action), []).append(action)

    def _label(self, action: GroundAction) -> tuple[str, ...]:
        info = action.action.info
        if action.actor is None:
            return ("", "tick", "", "tick", info.outcome)
        return (self.viewer.process_name(action.actor), action.kind, info.procedure, info.step, info.outcome)

    def runs(self) -> list[_Run]:
        """The runs that the trace may mean; one, unless it says too little to tell some steps apart."""
        runs = [_Run(reference.initial(self.system.system))]
        for number, step in enumerate(self.file.steps, 1):
            taken = [found for run in runs for found in self._taken(run, number, step)]
            agree = [found for found in taken if found[1].returned == step.returned]
            if not agree:
                raise TraceError(f"{self.file.path}: step {number}: {step}: {self._why(runs[0], step, taken)}")
            exact = [f for f in agree if f[1].note == step.note and f[1].effect == step.effect] or agree
            distinct = {(reference.identity(run.state), tuple(t.state for t in run.steps)): run for run, _ in exact}
            runs = list(distinct.values())[:WIDTH]
        return runs

    def _taken(self, run: _Run, number: int, step: Step) -> Iterator[tuple[_Run, Step]]:
        """The run with one more step of this name, and what it is then."""
        system = self.system.system
        before = self._cells(run.state)
        for action in self.by_label.get(step.label, ()):
            if not reference.enabled(system, run.state, action.action, action.params):
                continue
            state = reference.after(system, run.state, action.action, action.params)
            if state[reference.BOUND] is not None:
                continue
            after = self._cells(state)
            told = _step(step_of(self.viewer, number, action, before, after))
            yield _Run(state, (*run.steps, Taken(action, after))), told

    def _cells(self, state: reference.State) -> State:
        return tuple(state[cell.function, cell.args] for cell in self.system.cells)

    def _why(self, run: _Run, step: Step, taken: list[tuple[_Run, Step]]) -> str:
        """Why there is no such step."""
        if taken:
            said = ", ".join(f"{name} {value}" for name, value in step.returned) or "nothing"
            gives = " or ".join(dict.fromkeys(", ".join(f"{n} {v}" for n, v in found.returned) or "nothing" for _, found in taken))
            return f"it now returns {gives}; the trace says {said}"
        if step.kind == "tick":
            return "time cannot pass here" if self.system.timed else "the specification has no time"
        if step.process not in self.processes:
            return f"there is no process {step.process!r}{suggestion(step.process, self.processes)}"
        mine = [label for label in self.by_label if label[0] == step.process]
        places = list(dict.fromkeys(_place(label[2], label[3]) for label in mine))
        place = _place(step.procedure, step.step)
        if place not in places:
            return f"{step.process} has no step {place!r}{suggestion(place, places)}"
        ends = list(
            dict.fromkeys(label[4] for label in mine if label[1] == step.kind and label[2:4] == (step.procedure, step.step))
        )
        if step.outcome not in ends:
            return f"it cannot end so: {', '.join(ends) or 'there is no such event'}"
        now = self.viewer.view(self._cells(run.state)).process(step.process)
        where = f"{'waits in' if now.waiting else 'is at'} {now.step}" if now.step else f"is {now.status}"
        return f"not possible here: {step.process} {where}{' for ' + now.waits_for if now.waits_for else ''}"


def _judged(file: TraceFile, runs: list[_Run], viewer: Viewer) -> tuple[Trace, tuple[str, ...]]:
    """The first of the runs that shows what the trace says, and what the judge left unchecked."""
    system = viewer.system
    if not file.property:
        return Trace(system, runs[0].steps, file.loop), ()
    item = next((p for p in system.properties if p.name == file.property), None)
    if item is None:
        hint = suggestion(file.property, [p.name for p in system.properties])
        raise TraceError(f"{file.path}: there is no property {file.property!r}{hint}")
    if item.kind != file.kind:
        raise TraceError(f"{file.path}: the property {file.property} is now {item.kind}, not {file.kind}")
    problems: list[str] = []
    for run in runs:
        for witness in _witnesses(file, Trace(system, run.steps), item, viewer):
            trace = Trace(system, run.steps, file.loop, witness)
            judgement = review(trace, item.name)
            if not judgement.problems:
                return trace, judgement.notes
            problems.extend(judgement.problems)
    raise TraceError(
        f"{file.path}: every step can be taken, but the run does not violate {file.property} (any more): "
        f"{problems[0] if problems else 'the row that broke it is never there'}"
    )


def _witnesses(file: TraceFile, trace: Trace, item: GroundProperty, viewer: Viewer) -> list[tuple[Value, ...] | None]:
    """The rows of the property on the run that are written like the trace's witness."""
    if item.rows is None or item.kind == "always_possible":
        return [None]
    states = trace.states if item.kind == "leads_to" else trace.states[-1:]
    found: dict[tuple[Value, ...], None] = {}
    for state in states:
        for row in item.rows.rows:
            if evaluate(row.condition, state) is True:
                values = tuple(evaluate(value, state) for value in row.values)
                if tuple(map(viewer.show, values)) == file.witness:
                    found[values] = None
    return list(found)


__all__ = [
    "SUFFIX",
    "Rerun",
    "Source",
    "Step",
    "TraceError",
    "TraceFile",
    "compose",
    "digest",
    "load",
    "read",
    "record",
    "rerun",
    "write",
    "write_counterexamples",
]
