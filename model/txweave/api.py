"""The library, for scripts and notebooks: load a model, change it, check it, look at a counterexample.

>>> import txweave as tw
>>> model = tw.load("specs/backfill.model.yaml").with_fix("specs/exists-guard.fix.yaml")  # doctest: +SKIP
>>> result = tw.check(model)  # doctest: +SKIP
>>> result["never_blocked"].holds  # doctest: +SKIP
False
>>> print(result["never_blocked"].trace.text)  # doctest: +SKIP

In a notebook each of these shows itself: a model, a result, a verdict, a counterexample as a picture.  What a model expects of
itself plays no part here: a result says what is true.  Paths are relative to the current directory.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias
from xml.etree import ElementTree as ET

from txweave.check import Options, prepare
from txweave.collect import FIX, MODEL, STUDY, Choice, Selected, Usage, changed_model, check_properties, collect, suggestion
from txweave.compare import BARE, Listener, Separation
from txweave.compare import Comparison as Compared
from txweave.compare import compare as side_by_side
from txweave.compose import Composer
from txweave.notebook.running import running
from txweave.report.export import save
from txweave.report.machine import machine
from txweave.report.markup import Child, el, embedded, serialised, table
from txweave.report.outcomes import case_label, plain, story_text, verdict
from txweave.report.picture import picture
from txweave.report.story import Reason, Story, StoryStep, Why, tell
from txweave.results import CaseResult, Finding, PropertyResult, Relation
from txweave.spec import syntax
from txweave.spec.diagnostics import SpecError
from txweave.spec.load import load_fix, load_model, parse_fix, parse_model
from txweave.spec.parameters import Value, show_value, with_settings
from txweave.spec.text import SourceFile
from txweave.trace import Trace as Run
from txweave.verdict import Limits, Status
from txweave.view import StateDiff, StateView, Viewer, keys_of

if TYPE_CHECKING:
    from txweave.explorer.session import Session
    from txweave.graph import By, Graph
    from txweave.sql.program import BoundModel
    from txweave.system.ground import GroundSystem

__all__ = [
    "Comparison",
    "Explorer",
    "Model",
    "Result",
    "SpecError",
    "Trace",
    "Usage",
    "Verdict",
    "check",
    "compare",
    "explore",
    "load",
]

FixLike: TypeAlias = str | Path | syntax.Fix
"""A fix: the path of its file, its YAML as a text of several lines, or what has been read."""

Alternative: TypeAlias = "FixLike | Iterable[FixLike] | Model"
"""A composition to compare with: fixes that are added to a model's own, or another model."""

Engine: TypeAlias = Literal["", "explicit", "z3", "both"]

Bundle: TypeAlias = dict[str, str]
"""A result in several forms, by media type, of which a notebook shows the best that it can."""


@dataclass(frozen=True)
class Model:
    """A model with the fixes and settings that were chosen.  It does not change: each method gives another one.

    ``source``: what the file says.  ``chosen``: the scenario, empty where none was chosen.
    """

    path: str
    source: syntax.Model
    fixes: tuple[syntax.Fix, ...] = ()
    settings: tuple[tuple[str, Value], ...] = ()
    chosen: str = ""

    @cached_property
    def composed(self) -> syntax.Model:
        """The model with its fixes and settings.

        Raises:
            SpecError: they do not fit.
        """
        changed = changed_model(self.source, self.fixes, Choice())
        return with_settings(changed, dict(self.settings)) if self.settings else changed

    @property
    def scenarios(self) -> tuple[str, ...]:
        """The names of its scenarios."""
        return tuple(self.composed.scenarios)

    @property
    def properties(self) -> tuple[str, ...]:
        """The names of its properties."""
        return tuple(self.composed.properties)

    def with_fix(self, *fixes: FixLike) -> Model:
        """The same with more fixes, all of them together.

        Raises:
            SpecError: a fix is wrong, or they do not fit the model or each other.
            Usage: a text that is neither the path of a fix nor YAML.
        """
        return self._changed(fixes=(*self.fixes, *map(_fix, fixes)))

    def with_settings(self, **settings: Value) -> Model:
        """The same with other values of parameters.

        Raises:
            SpecError: there is no such parameter, or it takes no such value.
        """
        return self._changed(settings=tuple({**dict(self.settings), **settings}.items()))

    def scenario(self, name: str) -> Model:
        """The same in one of its scenarios.

        Raises:
            Usage: there is no such scenario.
        """
        if name not in self.source.scenarios:
            raise Usage(f"there is no scenario {name!r}{suggestion(name, self.source.scenarios)}")
        return replace(self, chosen=name)

    def _changed(self, **changes: Any) -> Model:
        found = replace(self, **changes)
        _ = found.composed  # what does not fit is said here, not at the check
        return found

    def bound(self) -> BoundModel:
        """The model with all names in its SQL resolved.

        Raises:
            SpecError: its SQL is wrong, or not modelled.
        """
        from txweave.sql.bind import bind_model

        return bind_model(self.composed)

    def prepared(self) -> tuple[BoundModel, GroundSystem]:
        """The bound model, and the finite system of its scenario.

        Raises:
            SpecError: the model is wrong.
            Usage: there are several scenarios, and none was chosen.
        """
        return prepare(self._selected())

    def viewer(self, system: GroundSystem) -> Viewer:
        """What decodes the states of its system."""
        return Viewer(system, keys_of(self.bound()))

    def procedure(self, name: str) -> Machine:
        """A procedure as a state machine.

        Raises:
            Usage: there is no such procedure.
        """
        procedures = self.composed.procedures
        if name not in procedures:
            raise Usage(f"there is no procedure {name!r}{suggestion(name, procedures)}")
        return Machine(procedures[name])

    def _selected(self) -> Selected:
        model = self.composed
        name = self.chosen or next(iter(model.scenarios))
        if not self.chosen and len(model.scenarios) > 1:
            raise Usage(f"say in which scenario, with .scenario(name): there are {', '.join(model.scenarios)}")
        shown = tuple((key, model.parameters[key].value) for key, _ in self.settings)
        span = model.scenarios[name].name.span()
        case = syntax.Case(name, span, model, name, model.fixes, shown, base=self.source, patches=self.fixes)
        return Selected(self.path, "", case)

    def _facts(self) -> list[tuple[str, str]]:
        model = self.composed
        title = f": {model.title}" if model.title else ""
        chosen = [self.chosen] if self.chosen else list(model.scenarios)
        facts = [
            ("model", f"{model.name.value}{title} ({self.path})"),
            ("fixes", ", ".join(model.fixes)),
            ("settings", ", ".join(f"{name} = {show_value(model.parameters[name].value)}" for name, _ in self.settings)),
            ("in scenario" if self.chosen else "scenarios", ", ".join(chosen)),
            ("procedures", ", ".join(model.procedures)),
        ]
        return [fact for fact in facts if fact[1]]

    def __repr__(self) -> str:
        properties = [("property" if n == 0 else "", words) for n, words in enumerate(self._properties())]
        return "\n".join(f"{name:<12} {words}" for name, words in [*self._facts(), *properties])

    def _properties(self) -> Iterator[str]:
        for item in self.composed.properties.values():
            yield item.name.value + (f": {item.title}" if item.title else "")

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> Bundle:  # noqa: ARG002 - IPython's protocol
        rows = [*self._facts(), ("properties", "")]
        lines = el("ul", *(el("li", words) for words in self._properties()))
        grid = table((), [*((el("b", name), words) for name, words in rows[:-1]), (el("b", "properties"), lines)])
        schema = el("details", el("summary", "tables"), el("pre", "\n".join(t.value.strip() for t in self.composed.schema)))
        machines = [
            el("details", el("summary", f"procedure {name}"), embedded(self.procedure(name).svg()))
            for name in self.composed.procedures
        ]
        return _bundle(repr(self), el("div", grid, schema, *machines))


@dataclass(frozen=True)
class Reasons:
    """Why a property breaks, in sentences; ``why`` has them with the numbers of their steps."""

    why: Why

    @property
    def order(self) -> tuple[tuple[int, int], ...]:
        """Pairs of steps of which the first has to come before the second: what matters of the order."""
        return self.why.order

    def __iter__(self) -> Iterator[Reason]:
        return iter(self.why.reasons)

    def __len__(self) -> int:
        return len(self.why.reasons)

    def __repr__(self) -> str:
        return "\n".join(f"- {words}" for words in self.why.sentences)

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> Bundle:  # noqa: ARG002
        return _bundle(repr(self), el("ul", *(el("li", words) for words in self.why.sentences)))


@dataclass(frozen=True)
class Machine:
    """A procedure as a state machine, its transactions as bars beside its steps."""

    procedure: syntax.Procedure

    def svg(self) -> str:
        """The picture, an SVG document."""
        return machine(self.procedure)

    def save(self, path: str | Path) -> None:
        """Write the picture to a file: ``.svg`` or ``.png``.

        Raises:
            Usage: another kind of file, or what makes it is not installed.
        """
        save(self.svg(), path)

    def __repr__(self) -> str:
        return f"procedure {self.procedure.name.value}: {', '.join(step.name.value for step in self.procedure.steps)}"

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> Bundle:  # noqa: ARG002
        return {"text/plain": repr(self), "image/svg+xml": self.svg()}


@dataclass(frozen=True)
class State:
    """A state: its tables and processes are in ``view``; ``diff`` is what the step before it changed."""

    view: StateView
    diff: StateDiff | None = None

    def __repr__(self) -> str:
        lines = [f"{row.label}: {', '.join(f'{n} {v}' for n, v in row.values)}" for t in self.view.tables for row in t.rows]
        lines += [f"{v.row.label} ({v.kind}, not committed, by {v.writer})" for t in self.view.tables for v in t.versions]
        for process in self.view.processes:
            where = f" at {process.step}" if process.step and process.status in {"idle", "running"} else ""
            waits = f", waits for {process.waits_for}" if process.waits_for else ""
            lines.append(f"{process.name}: {process.status}{where}{waits}")
        return "\n".join(lines)

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> Bundle:  # noqa: ARG002
        changed = {(c.label, name) for c in self.diff.rows for name, _, _ in c.columns} if self.diff is not None else set()
        parts: list[Child] = []
        for item in self.view.tables:
            rows = [*((row, "") for row in item.rows), *((v.row, f"{v.kind} by {v.writer}, not committed") for v in item.versions)]
            head = [name for name, _ in rows[0][0].values] if rows else []
            cells: list[list[Child]] = [
                [*(el("b", value) if (row.label, name) in changed else value for name, value in row.values), note]
                for row, note in rows
            ]
            parts += [el("b", item.name), table((*head, ""), cells) if rows else el("p", "no row")]
        fields = [
            (p.name, p.status, p.step, p.transaction, ", ".join(f"{n} {v}" for n, v in p.variables)) for p in self.view.processes
        ]
        return _bundle(repr(self), el("div", *parts, table(("process", "status", "step", "transaction", "variables"), fields)))


@dataclass(frozen=True)
class Trace:
    """A counterexample.  ``story``: all of it as data, each step with the state after it.

    ``model`` and ``run``: what it was found in, and the run itself, where that is known.
    """

    story: Story
    heading: str
    model: Model | None = field(default=None, compare=False, repr=False)
    run: Run | None = field(default=None, compare=False, repr=False)

    @property
    def steps(self) -> tuple[StoryStep, ...]:
        """Its steps."""
        return self.story.steps

    @property
    def loop(self) -> int | None:
        """How many steps come before the loop, None where it ends."""
        return self.story.loop

    @property
    def text(self) -> str:
        """The story as plain text."""
        return story_text(self.story, self.heading, "violated")

    def picture(self, title: str = "", fold: Iterable[int] = ()) -> str:
        """The picture, an SVG document; ``fold``: numbers of steps to show in one thin line."""
        return picture(self.story, title or f"{self.story.name} · {self.heading}", frozenset(fold))

    @property
    def why(self) -> Reasons:
        """Why the property breaks: the reasons, and the order of steps that matters."""
        return Reasons(self.story.why or Why((), (), fewest=False, known=False))

    @property
    def states(self) -> tuple[State, ...]:
        """The state at the beginning, and that after each step."""
        return (State(self.story.initial, None), *(State(step.state, step.diff) for step in self.story.steps))

    def graph(self, steps: int = 1) -> Graph:
        """The graph around it: its states, and those at most so many steps away from one of them.

        Raises:
            Usage: it does not know the run that it tells of.
        """
        from txweave.graph import around

        if self.run is None or self.model is None:
            raise Usage("this counterexample does not know its run: take one of tw.check")
        bound, _ = self.model.prepared()
        return around(self.run, keys_of(bound), steps)

    def save(self, path: str | Path, title: str = "", fold: Iterable[int] = ()) -> None:
        """Write the picture to a file: ``.svg`` or ``.png``.

        Raises:
            Usage: another kind of file, or what makes it is not installed.
        """
        save(self.picture(title, fold), path)

    def explore(self, *against: Alternative, max_states: int | None = None, timeout: float | None = None) -> Explorer:
        """Step through it, and leave it: see :func:`explore`."""
        return explore(self, *against, max_states=max_states, timeout=timeout)

    def __len__(self) -> int:
        return len(self.story.steps)

    def __repr__(self) -> str:
        return self.text

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> Bundle:  # noqa: ARG002
        return {"text/plain": self.text, "image/svg+xml": self.picture()}


@dataclass(frozen=True)
class Verdict:
    """What is true of one property.  ``result`` has everything, ``text`` the verdict in words."""

    result: PropertyResult
    heading: str
    model: Model | None = field(default=None, compare=False, repr=False)

    @property
    def name(self) -> str:
        """The property's name."""
        return self.result.name

    @property
    def status(self) -> Status:
        """The verdict: holds, proved, violated or unknown."""
        return self.result.status

    @property
    def holds(self) -> bool | None:
        """Whether the property holds within the bounds; None where nothing is known, which is never a pass."""
        if self.result.relation is Relation.FAILED or self.status is Status.UNKNOWN:
            return None
        return self.status is not Status.VIOLATED

    @property
    def text(self) -> str:
        """The verdict in words, with the counterexample's length."""
        return verdict(self.result)

    @property
    def trace(self) -> Trace | None:
        """The counterexample, where there is one: a shortest one."""
        if self.result.story is None:
            return None
        return Trace(self.result.story, self.heading, self.model, self.result.trace)

    def traces(self, different: int = 3) -> tuple[Trace, ...]:
        """Up to so many counterexamples that really differ, the shortest first; see :mod:`txweave.why.different`.

        Two are the same if, up to the names of the processes of a role, the processes take the same steps and the same order of
        steps matters.  Fewer are found where there are no others, or where a limited search has not found them.

        Raises:
            Usage: ``different`` is less than 1.
        """
        from txweave.why import different as others
        from txweave.why import explain

        if different < 1:
            raise Usage("ask for at least one counterexample: different=1")
        first = self.trace
        if first is None or first.run is None or self.model is None or different == 1:
            return () if first is None else (first,)
        viewer = self.model.viewer(first.run.system)
        source = self.model.composed.properties.get(self.name)
        with running() as (_, stop):
            runs = others(first.run, self.name, viewer, different, stop)
        rest = [replace(tell(run, self.name, viewer, source), why=explain(run, self.name, viewer)) for run in runs[1:]]
        return (first, *(Trace(story, self.heading, self.model, run) for story, run in zip(rest, runs[1:], strict=True)))

    @property
    def story(self) -> Story | None:
        """The counterexample as data."""
        return self.result.story

    def __repr__(self) -> str:
        return f"{self.name} in {self.heading}: {self.text}"

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> Bundle:  # noqa: ARG002
        lines = [repr(self), self.result.title, *self.result.notes]
        trace = self.trace
        told = "\n".join(line for line in lines if line)
        if trace is None:
            return {"text/plain": told}
        return {"text/plain": f"{told}\n\n{trace.text}", "image/svg+xml": trace.picture(title=repr(self))}


class Result(Mapping[str, Verdict]):
    """What is true of a model in a scenario: a verdict for each property, by name.  ``case`` has everything."""

    def __init__(self, case: CaseResult, model: Model | None = None) -> None:
        self.case = case
        self.model = model
        self._verdicts = {item.name: Verdict(item, case_label(case), model) for item in case.properties}

    def __getitem__(self, name: str) -> Verdict:
        if name not in self._verdicts:
            raise KeyError(f"there is no verdict on {name!r}{suggestion(str(name), self._verdicts)}")
        return self._verdicts[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._verdicts)

    def __len__(self) -> int:
        return len(self._verdicts)

    @property
    def holds(self) -> bool | None:
        """Whether every property holds: False where one is violated, otherwise None where one is unknown."""
        found = [item.holds for item in self._verdicts.values()]
        return False if False in found else None if None in found else True

    @property
    def states(self) -> int:
        """How many distinct states were explored."""
        return self.case.states

    def graph(self, *by: By, max_states: int = 20_000) -> Graph:
        """The graph of all reachable states; with ``by`` grouped, as :meth:`txweave.graph.Graph.quotient` does.

        Raises:
            Usage: it has more than ``max_states`` states, or there is no such column.
        """
        from txweave.graph import explored

        if self.model is None:
            raise Usage("this result does not know its model: take that of tw.check")
        bound, system = self.model.prepared()
        whole = explored(system, keys_of(bound), max_states)
        return whole.quotient(*by) if by else whole

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What makes the verdicts say less than they seem to."""
        return self.case.findings

    @property
    def assumptions(self) -> tuple[str, ...]:
        """What was taken for granted."""
        return self.case.assumptions

    def __repr__(self) -> str:
        lines = [f"{self.case.model}: {case_label(self.case)}" + (f" ({self.states:,} states)" if self.states else "")]
        width = max(map(len, self._verdicts), default=0)
        lines += [f"  {_mark(item)} {name:<{width}}  {item.text}" for name, item in self._verdicts.items()]
        lines += [f"  self-check failed: {failure}" for failure in self.case.failures]
        lines += [f"  note: {finding.message}" for finding in self.findings]
        return "\n".join(lines)

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> Bundle:  # noqa: ARG002
        rows = [(_mark(item), el("code", name), _opened(item), item.result.title) for name, item in self._verdicts.items()]
        head = el("p", el("b", self.case.model), f": {case_label(self.case)}, {self.states:,} states")
        notes = [*(f"self-check failed: {failure}" for failure in self.case.failures), *(f.message for f in self.findings)]
        remarks = el("ul", *(el("li", words) for words in notes)) if notes else None
        return _bundle(repr(self), el("div", head, table(("", "property", "verdict", ""), rows), remarks))


class Comparison(Mapping[str, Result]):
    """Compositions of one model side by side, by what they are called.

    ``separations``: for each property on which they differ the interleaving that separates them, followed on the others.
    """

    def __init__(self, source: Compared) -> None:
        self.source = source
        (row,) = source.cases
        self._results = {case.case: Result(case) for case in row}

    def __getitem__(self, name: str) -> Result:
        if name not in self._results:
            raise KeyError(f"there is no composition {name!r}{suggestion(str(name), self._results)}")
        return self._results[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._results)

    def __len__(self) -> int:
        return len(self._results)

    @property
    def separations(self) -> tuple[Separation, ...]:
        """The properties on which compositions differ."""
        return self.source.separations

    @property
    def text(self) -> str:
        """The verdicts, and where the compositions part, as plain text."""
        from txweave.report.compare import ComparisonWriter

        writer, out = plain()
        ComparisonWriter(writer).result(self.source)
        return out.getvalue().rstrip()

    def __repr__(self) -> str:
        return self.text

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> Bundle:  # noqa: ARG002
        names = list(dict.fromkeys(name for result in self.values() for name in result))
        cells: list[list[Child]] = [
            [el("code", name), *(f"{_mark(r[name])} {r[name].text}" if name in r else "no answer" for r in self.values())]
            for name in names
        ]
        whole = el("details", el("summary", "where they part"), el("pre", self.text))
        return _bundle(self.text, el("div", table(("", *self), cells), whole if self.separations else None))


class Explorer:
    """A run to step through and to leave: in a notebook, what :func:`explore` shows.

    ``session`` answers what the widget asks, and can be asked without one.
    """

    def __init__(self, session: Session) -> None:
        self.session = session
        self._widget: Any = None

    @property
    def path(self) -> str:
        """The path that is shown, as text."""
        return self.session.text

    def restore(self, path: str) -> None:
        """Show another path, from its text.

        Raises:
            Usage: it is none, or a step of it is not possible here.
        """
        from txweave.explorer.path import PathError

        try:
            self.session.restore(path)
        except PathError as error:
            raise Usage(str(error)) from error
        self._show()

    def watch(self, sql: str) -> None:
        """Evaluate a SELECT in every state, as a property would.

        Raises:
            SpecError: it is no query of the subset.
            Usage: it is watched already.
        """
        self.session.watch(sql)
        self._show()

    def save(self, file: str | Path) -> Path:
        """Write the path as a trace file (``*.trace.json``), which ``txweave show`` and ``txweave replay`` read.

        Raises:
            Usage: it has another name, or a part of the model stands in no file.
        """
        return self.session.save(file)

    @property
    def widget(self) -> Any:
        """The widget itself, an ``anywidget``.

        Raises:
            Usage: anywidget is not installed.
        """
        if self._widget is None:
            from txweave.explorer.widget import widget

            self._widget = widget(self.session)
        return self._widget

    def _show(self) -> None:
        if self._widget is not None:
            self._widget.document = self.session.document()

    def __repr__(self) -> str:
        return self.path.rstrip()

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> Any:
        shown = self.widget._repr_mimebundle_(include=include, exclude=exclude)
        # Where there is no kernel, the picture stays in the stored file.
        data, more = shown if isinstance(shown, tuple) else (shown, {})
        found = {**data, "text/plain": repr(self)}
        story = self.session.story()
        if story is not None:
            found["image/svg+xml"] = picture(story, f"{story.name} · {self.session.heading}")
        return found, more


# ----------------------------------------------------------------------------------------------------------- what to do


def load(source: str | Path, case: str = "") -> Model:
    """Read a model from its file, from YAML as a text of several lines, or from a case of a study, with its fixes and settings.

    Raises:
        SpecError: everything that is wrong with it.
        Usage: there is no such file or case.
    """
    text = str(source)
    if isinstance(source, str) and "\n" in source:
        if case:
            raise Usage("only a study has cases: name its file")
        return Model("<model>", parse_model(SourceFile("<model>", source)))
    if text.endswith(STUDY):
        return _of_study(text, case)
    if not text.endswith(MODEL):
        raise Usage(f"{text} is no specification: they are called *{MODEL} and *{STUDY}")
    if case:
        raise Usage(f"only a study has cases, and {text} is a model")
    return Model(text, load_model(source))


def _of_study(path: str, name: str) -> Model:
    if not name:
        raise Usage(f"say which case of {path}, with case=")
    collection = collect([path], Choice(cases=(name,)))
    if collection.errors:
        raise SpecError(found for _, group in collection.errors for found in group)
    if len(collection.cases) > 1:
        raise Usage(f"say which case of {path}: {', '.join(selected.case.name for selected in collection.cases)}")
    case = collection.cases[0].case
    if case.base is None:
        return Model(path, case.model, (), (), case.scenario)
    return Model(path, case.base, case.patches, case.settings, case.scenario)


def check(
    model: Model | str | Path,
    *,
    properties: str | Iterable[str] = (),
    engine: Engine = "",
    max_states: int | None = None,
    max_depth: int | None = None,
    rlimit: int | None = None,
    timeout: float | None = None,
    reduction: bool = True,
) -> Result:
    """Check a model in its scenario.

    Args:
        model: A model, or what :func:`load` takes.
        properties: Only these (default: all).
        engine: ``explicit``, ``z3`` or ``both``; default: both up to 20,000 states.
        max_states: Explore at most so many states.
        max_depth: Search at most so many steps deep with Z3.
        rlimit: What Z3 may do for a question, in its own units.
        timeout: Seconds.
        reduction: Of more than 100,000 states count those as one that no property can tell apart, where that is safe.

    Raises:
        SpecError: the model is wrong.
        Usage: there is no such property or engine, or several scenarios and none was chosen.
    """
    from txweave.run import run_cases

    chosen = _model(model)
    selected = chosen._selected()  # noqa: SLF001 - of this module
    names = _names(properties)
    check_properties([selected], names)
    if engine not in {"", "explicit", "z3", "both"}:
        raise Usage(f"there is no engine {engine!r}{suggestion(engine, ('explicit', 'z3', 'both'))}")
    options = Options(engine, names, max_states, None, timeout, max_depth, rlimit, reduction=reduction)
    with running() as (listener, stop):
        (result,) = run_cases([selected], options, listener=listener, stop=stop)
    if result.errors:
        raise SpecError(result.errors)
    return Result(result, chosen)


def compare(
    model: Model | str | Path,
    *alternatives: FixLike | Iterable[FixLike],
    properties: str | Iterable[str] = (),
    max_states: int | None = None,
    timeout: float | None = None,
) -> Comparison:
    """A model beside itself with fixes.

    Args:
        model: A model, or what :func:`load` takes; the fixes that it has are in every composition.
        alternatives: For each composition a fix, or several that are applied together.
        properties: Only these (default: all).
        max_states: Explore at most so many states of each.
        timeout: Seconds, for each.

    Raises:
        SpecError: a composition is wrong.
        Usage: there is nothing to compare with, no such property, or several scenarios and none was chosen.
    """
    chosen = _model(model)
    selected = chosen._selected()  # noqa: SLF001 - of this module
    single = (str, Path, syntax.Fix)
    sets = [[_fix(item)] if isinstance(item, single) else [_fix(one) for one in item] for item in alternatives]
    settings = tuple((name, show_value(value)) for name, value in selected.case.settings)
    composer = Composer(chosen.path, chosen.source, settings, always=chosen.fixes)
    options = Options(properties=_names(properties), max_states=max_states, timeout=timeout)
    with running() as (listener, stop):
        result = side_by_side(composer, sets, [selected.case.scenario], options, Listener(progress=listener.progress), stop)
    wrong = [found for row in result.cases for case in row for found in case.errors]
    if wrong:
        raise SpecError(wrong)
    return Comparison(result)


def explore(
    what: Model | Verdict | Trace | str | Path,
    *against: Alternative,
    scenario: str = "",
    max_states: int | None = None,
    timeout: float | None = None,
) -> Explorer:
    """Step through a counterexample, or from a model's initial state; take other moves, ask what can still break, compare.

    Args:
        what: A violated verdict or its trace; or a model, or what :func:`load` takes.
        against: Compositions to compare the same interleaving with: fixes (or lists of fixes) that are added to the model's, or
            models with fixes of their own.
        scenario: The model's scenario, where it has several.
        max_states: How many states a question may explore (default: half a million).
        timeout: Seconds for a question (default: 30).

    Raises:
        SpecError: the model, or one to compare with, is wrong.
        Usage: there is no counterexample, or several scenarios and none was chosen.
    """
    from txweave.explorer.beside import Other
    from txweave.explorer.session import MAX_STATES, SECONDS, Session

    shows, run = "", None
    if isinstance(what, Verdict):
        found = what.trace
        if found is None:
            raise Usage(f"{what.name} has no counterexample: {what.text}; explore the model itself")
        what = found
    if isinstance(what, Trace):
        if scenario:
            raise Usage("a counterexample is of one scenario already")
        if what.model is None or what.run is None:
            raise Usage("this counterexample came without its run: check the composition by itself")
        model, run, shows = what.model, what.run, what.story.name
    else:
        model = _model(what)
        model = model.scenario(scenario) if scenario else model
    selected = model._selected()  # noqa: SLF001 - of this module
    others: dict[str, Other] = {}
    for item in against:
        other = _against(model, item)
        name = _composition(other)
        if name in others or other == model:
            raise Usage(f"{name} is compared with itself")
        others[name] = Other(name, other._selected())  # noqa: SLF001 - of this module
    limits = Limits(max_states=MAX_STATES if max_states is None else max_states, timeout=SECONDS if timeout is None else timeout)
    return Explorer(Session(selected, _title(model, selected), run, shows, tuple(others.values()), limits))


# -------------------------------------------------------------------------------------------------------------- helpers


def _against(model: Model, item: Alternative) -> Model:
    if isinstance(item, Model):
        return item if item.chosen or len(item.scenarios) == 1 or not model.chosen else item.scenario(model.chosen)
    single = (str, Path, syntax.Fix)
    return model.with_fix(*([item] if isinstance(item, single) else item))


def _composition(model: Model) -> str:
    """What a model is called among others: its fixes and settings."""
    names = [fix.name.value for fix in model.fixes] + [f"{name}={show_value(value)}" for name, value in model.settings]
    return " + ".join(names) or BARE


def _title(model: Model, selected: Selected) -> str:
    with_ = _composition(model)
    return selected.case.scenario + (f" with {with_}" if with_ != BARE else "")


def _model(source: Model | str | Path) -> Model:
    return source if isinstance(source, Model) else load(source)


def _names(properties: str | Iterable[str]) -> tuple[str, ...]:
    return (properties,) if isinstance(properties, str) else tuple(properties)


def _fix(source: FixLike) -> syntax.Fix:
    if isinstance(source, syntax.Fix):
        return source
    if isinstance(source, str) and "\n" in source:
        return parse_fix(SourceFile("<fix>", source))
    if not str(source).endswith(FIX):
        raise Usage(f"{str(source)!r} is no fix: give the path of a *{FIX} file, or its YAML in several lines")
    return load_fix(source)


def _mark(item: Verdict) -> str:
    return {True: "✓", False: "✗", None: "?"}[item.holds]


def _opened(item: Verdict) -> Child:
    """The verdict; where there is a counterexample a click shows it."""
    if item.trace is None:
        return item.text
    return el("details", el("summary", item.text), embedded(item.trace.picture()))


def _bundle(text: str, html: ET.Element) -> Bundle:
    return {"text/plain": text, "text/html": serialised(html)}
