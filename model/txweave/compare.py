"""Compositions side by side: verdicts, and for a property where they differ the interleaving that separates them.

The counterexample of one composition is followed on each of the others, step by step: what differs on the way is shown, and where
they part, why the next step is not possible there.  Nothing is printed here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from txweave.check import Options, Watch, prepare, run_case
from txweave.collect import Selected, Usage, check_properties
from txweave.compose import Composer
from txweave.follow import Follower, Run, place_of, violation
from txweave.report.story import Story, StoryStep, step_of
from txweave.results import CaseResult, Exit, PropertyResult
from txweave.simulate import successor
from txweave.spec import syntax
from txweave.sql.program import BoundModel
from txweave.system.expr import Elem
from txweave.system.ground import GroundAction, GroundSystem
from txweave.trace import Trace
from txweave.verdict import Progress, Status
from txweave.view import StateView, Viewer, evaluate, keys_of

BARE = "no fix"


@dataclass(frozen=True)
class Aligned:
    """A step of the counterexample beside what the other composition does for it.

    ``there`` is empty where the other does not have the step, and has several steps where it takes some of its own first.
    ``same``: nothing that a reader sees differs.
    """

    here: StoryStep
    there: tuple[StoryStep, ...]
    same: bool


@dataclass(frozen=True)
class Parting:
    """One other composition on the same interleaving.

    ``verdict``: its own, on the property.  ``aligned``: the steps up to where they part, ``beyond``: steps that only it has and
    that its process takes instead of going on.  ``impossible``: the first step that it cannot take, None where it follows to the
    end; ``violated``: what it follows breaks the property there as well.
    ``reasons``: why they part, in sentences; ``changes``: what the fixes in which the two differ change on the way.
    """

    composition: str
    verdict: str
    aligned: tuple[Aligned, ...]
    beyond: tuple[StoryStep, ...]
    impossible: StoryStep | None
    violated: bool
    reasons: tuple[str, ...]
    changes: tuple[str, ...]


@dataclass(frozen=True)
class Separation:
    """A property on which compositions differ, the counterexample of one that violates it, and all others on the same run."""

    property: str
    scenario: str
    composition: str
    story: Story
    partings: tuple[Parting, ...]


@dataclass(frozen=True)
class Comparison:
    """Compositions side by side.  ``cases`` has for each scenario one result per composition, in their order."""

    path: str
    model: str
    title: str
    scenarios: tuple[str, ...]
    compositions: tuple[tuple[str, tuple[str, ...]], ...]
    settings: tuple[tuple[str, str], ...]
    cases: tuple[tuple[CaseResult, ...], ...]
    separations: tuple[Separation, ...]

    @property
    def exit(self) -> Exit:
        """0: everything is decided; 3: something is unknown; 2: a composition is no specification; 4: a self-check failed."""
        every = [case for row in self.cases for case in row]
        if any(case.failures for case in every):
            return Exit.SELF_CHECK
        if any(case.errors for case in every):
            return Exit.ERROR
        if any(item.status is Status.UNKNOWN for case in every for item in case.properties):
            return Exit.INCONCLUSIVE
        return Exit.OK


@dataclass(frozen=True)
class Listener:
    """Callbacks of a caller that shows what is going on: a case begins, an engine reports, a case is done."""

    begins: Callable[[Selected], None] | None = None
    progress: Callable[[Selected, str, Progress], None] | None = None
    done: Callable[[CaseResult], None] | None = None


@dataclass(frozen=True)
class _Composition:
    label: str
    fixes: tuple[syntax.Fix, ...]
    selected: Selected
    result: CaseResult


def compare(
    composer: Composer,
    sets: Sequence[Sequence[syntax.Fix]],
    scenarios: Sequence[str],
    options: Options | None = None,
    listener: Listener | None = None,
    stop: Callable[[], bool] | None = None,
) -> Comparison:
    """The bare model and its compositions with each of ``sets``, side by side in each scenario.

    Raises:
        Usage: nothing to compare with, the same composition twice, or an unknown property.
        SpecError: some fixes do not fit.
    """
    chosen: dict[str, tuple[syntax.Fix, ...]] = {BARE: ()}
    for fixes in sets:
        label = " + ".join(sorted(fix.name.value for fix in fixes))
        if not fixes or label in chosen:
            raise Usage(f"{label or BARE} is compared with itself")
        chosen[label] = tuple(fixes)
    if len(chosen) < 2:
        raise Usage("name at least one set of fixes to compare with")
    composer.check({fix.name.value: fix for fixes in chosen.values() for fix in fixes}.values())
    asked = replace(options or Options(), engine=(options.engine if options else "") or "explicit")
    rows: list[tuple[CaseResult, ...]] = []
    separations: list[Separation] = []
    planned = {
        scenario: [(label, fixes, composer.case(fixes, scenario, label)) for label, fixes in chosen.items()]
        for scenario in scenarios
    }
    check_properties([case for row in planned.values() for _, _, case in row], asked.properties)
    told = listener or Listener()
    for scenario, row in planned.items():
        compositions: list[_Composition] = []
        for label, fixes, selected in row:
            if told.begins is not None:
                told.begins(selected)
            result = run_case(selected, asked, Watch(_reporter(told, selected), stop))
            if told.done is not None:
                told.done(result)
            compositions.append(_Composition(label, fixes, selected, result))
        rows.append(tuple(item.result.detached() for item in compositions))
        if all(not item.result.errors for item in compositions):
            separations += _separations(compositions, scenario)
    return Comparison(
        path=composer.path,
        model=composer.model.name.value,
        title=composer.model.title,
        scenarios=tuple(scenarios),
        compositions=tuple((label, tuple(fix.name.value for fix in fixes)) for label, fixes in chosen.items()),
        settings=composer.settings,
        cases=tuple(rows),
        separations=tuple(separations),
    )


def _reporter(listener: Listener, selected: Selected) -> Callable[[str, Progress], None] | None:
    report = listener.progress
    return (lambda engine, progress: report(selected, engine, progress)) if report is not None else None


def _separations(compositions: Sequence[_Composition], scenario: str) -> Iterator[Separation]:
    prepared: dict[str, tuple[BoundModel, GroundSystem]] = {}
    names = dict.fromkeys(item.name for composition in compositions for item in composition.result.properties)
    for name in names:
        answers = [(composition, _answer(composition.result, name)) for composition in compositions]
        violating = [(c, a) for c, a in answers if a is not None and a.status is Status.VIOLATED and a.story is not None]
        if not violating or len(violating) == len(answers):
            continue
        source, answer = violating[0]
        assert answer.trace is not None
        assert answer.story is not None
        partings = []
        for other, its in answers:
            if other is source:
                continue
            if other.label not in prepared:
                prepared[other.label] = prepare(other.selected)
            bound, system = prepared[other.label]
            viewer = Viewer(system, keys_of(bound))
            meeting = _Meeting(source, other, answer.trace, answer.story, viewer)
            partings.append(meeting.parting(name, its.text if its is not None else "no answer"))
        yield Separation(name, scenario, source.label, answer.story, tuple(partings))


def _answer(result: CaseResult, name: str) -> PropertyResult | None:
    return next((item for item in result.properties if item.name == name), None)


class _Meeting:
    """A counterexample of one composition on the system of another."""

    def __init__(self, source: _Composition, other: _Composition, trace: Trace, story: Story, viewer: Viewer) -> None:
        self.source, self.other = source, other
        self.trace, self.story, self.viewer = trace, story, viewer
        self.follower = Follower(trace.system, viewer.system)

    def parting(self, name: str, verdict: str) -> Parting:
        """How far the other composition follows, what differs, and why they part."""
        actions = [taken.action for taken in self.trace.steps]
        run = Run(self.viewer.system)
        for runs in self.follower.follow(actions):
            run = runs[0]
        followed = len(run.marks) - 1
        violated = followed == len(actions) and violation(self.trace, name, self.viewer.system) is not None
        impossible: StoryStep | None = None
        reasons: tuple[str, ...] = ()
        if followed < len(actions):
            impossible, wanted = self.story.steps[followed], actions[followed]
            if wanted.actor is not None:
                run = self.follower.detour(run, wanted.actor)
            reasons = tuple(obstacles(self.viewer, run, wanted))
        elif not violated:
            answer = _answer(self.other.result, name)
            holds = answer is not None and answer.status in (Status.HOLDS, Status.PROVED)
            rest = "this run does not violate the property" if holds else "that this run violates the property as well is not shown"
            reasons = (f"every step can be followed there; {rest}",)
        steps = self._told(run)
        aligned = tuple(
            align(here, steps[begin:end]) for here, begin, end in zip(self.story.steps, run.marks, run.marks[1:], strict=False)
        )
        beyond = tuple(steps[run.marks[-1] :])
        changes = tuple(self._changes(aligned, beyond, impossible))
        return Parting(self.other.label, verdict, aligned, beyond, impossible, violated, reasons, changes)

    def _told(self, run: Run) -> list[StoryStep]:
        return [step_of(self.viewer, index + 1, taken.action, run.at(index), taken.state) for index, taken in enumerate(run.steps)]

    def _changes(self, aligned: Sequence[Aligned], beyond: Sequence[StoryStep], impossible: StoryStep | None) -> Iterator[str]:
        """What the fixes that only one of the two has do to the steps that differ; to the whole procedure where none is."""
        mine = {fix.name.value: fix for fix in self.source.fixes}
        its = {fix.name.value: fix for fix in self.other.fixes}
        differing = {(s.procedure, _bare(s.step)) for item in aligned if not item.same for s in (item.here, *item.there)}
        last = (*beyond, *([impossible] if impossible is not None else []))
        differing.update((step.procedure, _bare(step.step)) for step in last)
        procedures = {procedure for procedure, _ in differing}
        lines: list[tuple[bool, str]] = []
        for name in sorted(mine.keys() ^ its.keys()):
            fix = its.get(name) or mine[name]
            owner = self.other.label if name in its else self.source.label
            for change in fix.changes:
                own = {step.name.value for step in (*change.before, *change.after)}
                near = (change.procedure, change.step) in differing or any((change.procedure, step) in differing for step in own)
                if change.procedure in procedures:
                    lines.append((near, f"only {owner}: {describe(change)}"))
        close = [line for near, line in lines if near]
        yield from dict.fromkeys(close or [line for _, line in lines])


def obstacles(viewer: Viewer, run: Run, wanted: GroundAction) -> Iterator[str]:
    """Why another composition cannot take a step where its run is; ``viewer`` is of its system."""
    view = viewer.view(run.last)
    actor, (_, step) = wanted.actor, place_of(wanted)
    if actor is None:
        yield "time may not pass there: a process has to move first"
        return
    name = viewer.process_name(actor)
    state = next((item for item in view.processes if item.role == actor.sort and item.number == actor.number), None)
    if state is None:
        yield f"there is no {name} there"
    elif state.status in {"done", "failed", "crashed", "hung"}:
        yield f"{name} has ended there: it {_ENDED[state.status]}"
    elif state.waiting:
        yield f"{name} waits there in {state.step}" + (f" for {state.waits_for}" if state.waits_for else "")
        yield from _holds(view, state.waits_for)
    elif state.step != step:
        where = f"at {state.step}" if state.step else "nowhere"
        yield f"{name} is {where} there, not at {step}"
    else:
        yield from _instead(viewer, run, actor, wanted)


def _holds(view: StateView, blocker: str) -> Iterator[str]:
    holder = next((item for item in view.processes if item.name == blocker), None)
    if holder is not None and holder.locks:
        yield f"{holder.name} holds {', '.join(holder.locks)}"


def _instead(viewer: Viewer, run: Run, actor: Elem, wanted: GroundAction) -> Iterator[str]:
    """The process is at the step: how it goes there, or why it cannot."""
    system, name = viewer.system, viewer.process_name(actor)
    step = place_of(wanted)[1]
    enabled = [a for a in system.actions if a.actor == actor and a.kind == "step" and evaluate(a.guard, run.last) is True]
    outcomes = dict.fromkeys(a.action.info.note or a.action.info.outcome for a in enabled if place_of(a) == place_of(wanted))
    if not outcomes:
        yield f"{name} waits at {step} there: its condition does not hold"
        return
    yield f"{step} of {name} goes otherwise there: {', '.join(outcomes)}"
    for state in (a for a in enabled if place_of(a) == place_of(wanted)):
        told = step_of(viewer, 0, state, run.last, successor(state, run.last))
        yield from told.events


_ENDED = {"done": "is done", "failed": "has failed", "crashed": "has crashed", "hung": "hangs"}


def align(here: StoryStep, there: Sequence[StoryStep]) -> Aligned:
    """A step beside what another composition does for it."""
    same = len(there) == 1 and _seen(here) == _seen(there[0])
    return Aligned(here, tuple(there), same)


def _seen(step: StoryStep) -> tuple[object, ...]:
    """What a reader sees of a step."""
    return (step.actor, step.kind, step.step, step.sql, step.outcome, step.note, step.returned, step.changes, step.events)


def _bare(step: str) -> str:
    """A step's name without the round of the loop that it stands in."""
    return step.split("[")[0]


def describe(change: syntax.Change) -> str:
    """What one change of a fix does, in a line."""
    target = ".".join((change.procedure, change.step)) + "".join(f"/{name}" for name in change.path)
    parts = [f"{c.operator} {c.name}: {' '.join(c.text.value.split())}" for c in change.conditions]
    parts += [f"another {setting.key}" for setting in change.settings]
    for words, steps in (("before it", change.before), ("after it", change.after)):
        if steps:
            parts.append(f"{', '.join(step.name.value for step in steps)} {words}")
    if change.replace is not None:
        parts.append("another step instead")
    if change.wrap is not None:
        parts.append(f"under {change.wrap.name}, which handles exceptions")
    if change.remove:
        parts.append("removed")
    return f"{target}: {'; '.join(parts)}"


__all__ = ["BARE", "Comparison", "Listener", "Parting", "Separation", "align", "compare", "describe", "obstacles"]
