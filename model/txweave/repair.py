"""Repair: every inclusion-minimal set of fixes under which required properties hold.  Nothing is printed here.

Sets are looked at by size.  A set is explored only when no counterexample so far can be replayed on it: a replayed run is judged
on the set's own system, so that it counts as much as one that was found there, and a replay that is not conclusive counts for
nothing.  Supersets of a good set are not minimal and are left out; those of a rejected set are not: a fix may break what held
without it, and two may mend what each breaks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from itertools import combinations

from txweave.check import Options, Watch, prepare, run_case
from txweave.collect import Selected, Usage, check_properties
from txweave.compose import Composer
from txweave.follow import Place as StepPlace
from txweave.follow import place_of, violation
from txweave.report.story import Story, tell
from txweave.results import CaseResult, Exit, Relation
from txweave.spec import syntax
from txweave.spec.diagnostics import Diagnostic, SpecError
from txweave.trace import Trace
from txweave.verdict import Progress, Status
from txweave.view import Viewer, keys_of

MOST = 16
"""More fixes than this have too many sets to look at all of them: then the size of the sets must be limited."""


class Fate(Enum):
    """What became of a set of fixes.

    ``SUPERSET``: it contains a good set, and was not looked at.  ``UNDECIDED``: no verdict, or it is not modelled.
    ``UNSEEN``: the search was interrupted before.
    """

    GOOD = "good"
    REJECTED = "rejected"
    ILL_FORMED = "ill-formed"
    UNDECIDED = "undecided"
    SUPERSET = "superset of a good set"
    UNSEEN = "not looked at"


@dataclass(frozen=True)
class Killing:
    """The counterexample that rejects a set.

    ``origin``: the set whose exploration found it; where that is another set, the counterexample was replayed, and may
    not be the shortest.  ``steps`` name its steps; ``story`` is told for the sets that a reader asks about first.
    """

    property: str
    scenario: str
    origin: tuple[str, ...]
    length: tuple[int, ...]
    replayed: bool
    steps: tuple[tuple[str, StepPlace, str], ...]
    story: Story | None = None


@dataclass(frozen=True)
class SetResult:
    """One set of fixes.

    ``reasons``: why it is ill-formed or undecided, or which good set it contains; ``diagnostics``: what is wrong with an
    ill-formed set; ``cases``: the explorations, of a set that was explored.
    """

    fixes: tuple[str, ...]
    fate: Fate
    killing: Killing | None = None
    reasons: tuple[str, ...] = ()
    diagnostics: tuple[Diagnostic, ...] = ()
    cases: tuple[CaseResult, ...] = ()


@dataclass(frozen=True)
class RepairResult:
    """All sets, in the order in which they were looked at: by size, then by name.

    ``at_most``: larger sets were not looked at (None: all sizes were).  ``explorations``: how many sets were explored in at
    least one scenario.  ``alone``: for each fix the set that shows what it does by itself: the fix with what it requires.
    """

    path: str
    model: str
    title: str
    scenarios: tuple[str, ...]
    required: tuple[str, ...]
    settings: tuple[tuple[str, str], ...]
    assumptions: tuple[str, ...]
    fixes: tuple[tuple[str, str], ...]
    alone: tuple[tuple[str, tuple[str, ...]], ...]
    sets: tuple[SetResult, ...]
    at_most: int | None
    explorations: int

    def find(self, fixes: Sequence[str]) -> SetResult | None:
        """The result of one set; None if it is larger than those that were looked at."""
        wanted = set(fixes)
        return next((item for item in self.sets if set(item.fixes) == wanted), None)

    def with_fate(self, fate: Fate) -> tuple[SetResult, ...]:
        """The sets with one fate."""
        return tuple(item for item in self.sets if item.fate is fate)

    @property
    def minimal(self) -> tuple[SetResult, ...]:
        """The good sets: no subset of them is good, though one may be undecided (see :meth:`doubts`)."""
        return self.with_fate(Fate.GOOD)

    def doubts(self, good: SetResult) -> tuple[SetResult, ...]:
        """The undecided subsets of a good set: it is minimal unless one of them is good."""
        return tuple(item for item in self.with_fate(Fate.UNDECIDED) if set(item.fixes) < set(good.fixes))

    @property
    def failures(self) -> tuple[str, ...]:
        """Self-checks that failed."""
        return tuple(f"{_name(item.fixes)}: {why}" for item in self.sets for case in item.cases for why in case.failures)

    @property
    def exit(self) -> Exit:
        """0: a set was found and all are decided, 1: none is good, 3: something is undecided, 4: a self-check failed."""
        if self.failures:
            return Exit.SELF_CHECK
        if self.with_fate(Fate.UNDECIDED) or self.with_fate(Fate.UNSEEN):
            return Exit.INCONCLUSIVE
        return Exit.OK if self.minimal else Exit.DIFFERS


@dataclass(frozen=True)
class Listener:
    """Callbacks of a caller that shows what is going on: a case is explored, an engine reports, so many sets are done."""

    begins: Callable[[Selected], None] | None = None
    progress: Callable[[Selected, str, Progress], None] | None = None
    done: Callable[[int, int], None] | None = None


@dataclass
class _Counterexample:
    scenario: str
    property: str
    origin: tuple[str, ...]
    trace: Trace


def repair(
    composer: Composer,
    fixes: Sequence[syntax.Fix],
    scenarios: Sequence[str],
    required: Sequence[str],
    *,
    at_most: int | None = None,
    options: Options | None = None,
    listener: Listener | None = None,
    stop: Callable[[], bool] | None = None,
) -> RepairResult:
    """Search all sets of ``fixes`` for those under which the required properties hold in every scenario.

    Args:
        composer: the model, with what holds of every set.
        fixes: the candidates.
        scenarios: names of scenarios; a set must be good in each of them.
        required: names of properties.
        at_most: look at sets of at most so many fixes.
        options: limits of each exploration; the engine is explicit search unless they say otherwise.
        listener: told what is going on.
        stop: once true, the search ends with what is known.

    Raises:
        Usage: nothing is required, a name is unknown, or there are too many sets.
    """
    always = {fix.name.value for fix in composer.always}
    candidates = sorted((fix for fix in fixes if fix.name.value not in always), key=lambda fix: fix.name.value)
    if not required:
        raise Usage("say which properties are required")
    if not candidates:
        raise Usage("there is no fix to choose from")
    composer.check(candidates)
    if len(candidates) > MOST and at_most is None:
        raise Usage(
            f"{len(candidates)} fixes have {2 ** len(candidates):,} sets: limit their size (--at-most), or name fewer fixes"
        )
    base = [composer.case((), scenario, scenario) for scenario in scenarios]
    check_properties(base, required)
    search = _Search(composer, candidates, tuple(scenarios), tuple(dict.fromkeys(required)), options, listener, stop)
    return search.result(at_most)


class _Search:
    def __init__(
        self,
        composer: Composer,
        fixes: list[syntax.Fix],
        scenarios: tuple[str, ...],
        required: tuple[str, ...],
        options: Options | None,
        listener: Listener | None,
        stop: Callable[[], bool] | None,
    ) -> None:
        self.composer = composer
        self.fixes = fixes
        self.scenarios = scenarios
        self.required = required
        self.options = replace(options or Options(), properties=required)
        if not self.options.engine:
            self.options = replace(self.options, engine="explicit")
        self.listener = listener or Listener()
        self.stop = stop
        self.known: list[_Counterexample] = []
        self.explorations = 0
        self.alone = {fix.name.value: self._closure(fix) for fix in fixes}
        # A reader asks first why nothing suffices, and why no single fix does.
        self.told = {frozenset[str](), *map(frozenset, self.alone.values())}
        self.told |= {frozenset([name]) for name in self.alone}

    def _closure(self, fix: syntax.Fix) -> tuple[str, ...]:
        """The fix with the candidates that it requires, directly or not."""
        by_name = {item.name.value: item for item in self.fixes}
        found: set[str] = set()
        waiting = [fix.name.value]
        while waiting:
            name = waiting.pop()
            if name in by_name and name not in found:
                found.add(name)
                waiting += [required.value for required in by_name[name].requires]
        return tuple(sorted(found))

    def result(self, at_most: int | None) -> RepairResult:
        largest = len(self.fixes) if at_most is None else min(at_most, len(self.fixes))
        chosen = [subset for size in range(largest + 1) for subset in combinations(self.fixes, size)]
        results: list[SetResult] = []
        good: list[SetResult] = []
        for subset in chosen:
            names = tuple(fix.name.value for fix in subset)
            inside = next((item for item in good if set(item.fixes) <= set(names)), None)
            if inside is not None:
                results.append(SetResult(names, Fate.SUPERSET, reasons=(_name(inside.fixes),)))
            elif self._stopped():
                results.append(SetResult(names, Fate.UNSEEN, reasons=("interrupted",)))
            else:
                found = self._one(subset, names)
                results.append(found)
                if found.fate is Fate.GOOD:
                    good.append(found)
            if self.listener.done is not None:
                self.listener.done(len(results), len(chosen))
        model = self.composer.model
        assumed = dict.fromkeys(s for item in results for case in item.cases for s in case.assumptions)
        return RepairResult(
            path=self.composer.path,
            model=model.name.value,
            title=model.title,
            scenarios=self.scenarios,
            required=self.required,
            settings=self.composer.settings,
            assumptions=(*self.composer.assumptions, *assumed),
            fixes=tuple((fix.name.value, fix.title) for fix in self.fixes),
            alone=tuple(self.alone.items()),
            sets=tuple(results),
            at_most=at_most if at_most is not None and at_most < len(self.fixes) else None,
            explorations=self.explorations,
        )

    def _stopped(self) -> bool:
        return self.stop is not None and self.stop()

    # -------------------------------------------------------------------------------------------------------- one set

    def _one(self, subset: Sequence[syntax.Fix], names: tuple[str, ...]) -> SetResult:
        try:
            cases = [self.composer.case(subset, scenario, _name(names)) for scenario in self.scenarios]
            killing = self._replayed(cases, names)
        except SpecError as error:
            return _malformed(names, error)
        if killing is not None:
            return SetResult(names, Fate.REJECTED, killing)
        return self._explored(cases, names)

    def _replayed(self, cases: Sequence[Selected], names: tuple[str, ...]) -> Killing | None:
        """Kill the set by a counterexample of another.

        Raises:
            SpecError: the set is not a model in one of the scenarios.
        """
        for selected in cases:
            bound, system = prepare(selected)
            for number, item in enumerate(self.known):
                if item.scenario != selected.case.scenario:
                    continue
                trace = violation(item.trace, item.property, system)
                if trace is None:
                    continue
                # What killed last is likely to kill again.
                self.known.insert(0, self.known.pop(number))
                story = None
                if frozenset(names) in self.told:
                    source = selected.case.model.properties.get(item.property)
                    story = tell(trace, item.property, Viewer(system, keys_of(bound)), source)
                return _killing(trace, item.property, item.scenario, item.origin, story, replayed=True)
        return None

    def _explored(self, cases: Sequence[Selected], names: tuple[str, ...]) -> SetResult:
        self.explorations += 1
        results: list[CaseResult] = []
        for selected in cases:
            if self.listener.begins is not None:
                self.listener.begins(selected)
            result = run_case(selected, self.options, Watch(self._progress(selected), self.stop))
            if result.errors:
                return _malformed(names, SpecError(result.errors))
            killing = self._violated(result, names)
            results.append(_light(result))
            if killing is not None:
                return SetResult(names, Fate.REJECTED, killing, cases=tuple(results))
        reasons = tuple(dict.fromkeys(reason for result in results for reason in _open(result, self.required)))
        fate = Fate.UNDECIDED if reasons else Fate.GOOD
        return SetResult(names, fate, reasons=reasons, cases=tuple(results))

    def _progress(self, selected: Selected) -> Callable[[str, Progress], None] | None:
        report = self.listener.progress
        return (lambda engine, progress: report(selected, engine, progress)) if report is not None else None

    def _violated(self, result: CaseResult, names: tuple[str, ...]) -> Killing | None:
        """The first violated property; the counterexamples of all are kept."""
        first: Killing | None = None
        for item in result.properties:
            if item.status is not Status.VIOLATED or item.relation is Relation.FAILED or item.trace is None:
                continue
            self.known.insert(0, _Counterexample(result.scenario, item.name, names, item.trace))
            if first is None:
                told = item.story if frozenset(names) in self.told else None
                first = _killing(item.trace, item.name, result.scenario, names, told, replayed=False)
        return first


def _killing(trace: Trace, name: str, scenario: str, origin: tuple[str, ...], story: Story | None, *, replayed: bool) -> Killing:
    length = (trace.length,) if isinstance(trace.length, int) else trace.length
    steps = tuple((str(t.action.actor or ""), place_of(t.action), t.action.action.info.outcome) for t in trace.steps)
    return Killing(name, scenario, origin, length, replayed, steps, story)


def _malformed(names: tuple[str, ...], error: SpecError) -> SetResult:
    """A set that is no model.  What is merely not modelled is not the set's fault: nothing is known of it then."""
    errors = tuple(d for d in error.diagnostics if d.severity == "error")
    reasons = tuple(dict.fromkeys(f"{d.code}: {d.message}" for d in errors))
    refused = any(d.code.startswith("M") or d.code == _OUTSIDE for d in errors)
    return SetResult(names, Fate.UNDECIDED if refused else Fate.ILL_FORMED, reasons=reasons, diagnostics=errors)


_OUTSIDE = "Q302"
"""The code of SQL that is outside the subset."""


def _open(result: CaseResult, required: Sequence[str]) -> Iterator[str]:
    """Why a case does not show that the required properties hold."""
    where = f" in {result.scenario}"
    yield from (f"{why}{where}" for why in result.failures)
    answered = {item.name: item for item in result.properties}
    for name in required:
        item = answered.get(name)
        if item is None:
            yield f"{name}: no answer{where}"
        elif item.relation is Relation.FAILED:
            yield f"{name}: a self-check failed{where}"
        elif item.status not in (Status.HOLDS, Status.PROVED):
            yield f"{name}: {item.text}{where}"


def _light(result: CaseResult) -> CaseResult:
    """Without traces and stories, which hold on to whole systems."""
    return replace(result, properties=tuple(replace(item, trace=None, story=None) for item in result.properties))


def _name(fixes: Sequence[str]) -> str:
    return " + ".join(fixes) or "no fix"
