"""The pipeline: bind, lower, ground, explore, judge, compare.  Nothing is printed here.

Every counterexample is replayed by the reference interpreter before it is reported, and two engines that both have an answer
must agree.  Where either fails, the verdict is not to be trusted and the result says so (exit status 4).
"""

from __future__ import annotations

import json
import time
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

from txweave.collect import Selected
from txweave.report.story import Place, Story, tell
from txweave.results import Answer, CaseResult, Expected, Exploration, Finding, Known, Proof, PropertyResult, Relation
from txweave.spec import syntax
from txweave.spec.diagnostics import Diagnostic, SpecError
from txweave.verdict import Limits, Outcome, Progress, Status, Verdict
from txweave.view import Viewer, keys_of

if TYPE_CHECKING:
    from txweave.spec.parameters import Value
    from txweave.sql.program import BoundModel
    from txweave.system.ground import GroundSystem
    from txweave.trace import State, Trace

BOTH_UP_TO = 20_000
"""Without ``--engine``, Z3 answers as well when exploration found at most so many states."""

HARVEST = 100_000
"""Z3 is shown the reachable states, to find invariants from, where there are at most so many."""

Z3_BUDGET = 20_000_000
"""Without ``--engine`` and ``--rlimit``, how much Z3 may do for a question: the safety properties that hold, those that are
violated, each leads-to property.  In Z3's own units (some millions a second), so that the verdict is the same on every machine."""

LASSO = 6
"""Without ``--engine``, the length up to which Z3 looks for lassos of a leads-to property that holds."""


@dataclass(frozen=True)
class Options:
    """How to check.  ``engine``: ``explicit``, ``z3``, ``both``, or empty for both up to :data:`BOTH_UP_TO` states.

    ``properties``: only these (empty: all).  ``timeout``: seconds for a whole case.  ``max_depth``: steps, for Z3.
    ``rlimit``: work for each question to Z3, in its own units.  ``certify``: what holds is to be proved by an invariant, whatever
    the number of states is.
    ``any_number``: look for proofs for any number of processes and rows as well.
    ``strict``: what lint finds is an error.  ``reduction``: large state spaces are reduced, for properties that allow it.
    ``explore``: look around counterexamples, for a page whose reader may do so.
    ``today``: the day on which known violations may be past their last (default: the clock's, UTC).
    """

    engine: str = ""
    properties: tuple[str, ...] = ()
    max_states: int | None = None
    max_memory: int | None = None
    timeout: float | None = None
    max_depth: int | None = None
    rlimit: int | None = None
    certify: bool = False
    strict: bool = False
    reduction: bool = True
    explore: bool = False
    any_number: bool = False
    today: date = field(default_factory=lambda: datetime.now(UTC).date())


@dataclass(frozen=True)
class Watch:
    """Callbacks that a caller may have: ``progress`` (engine, how far), ``stop`` (polled; true ends with what is known)."""

    progress: Callable[[str, Progress], None] | None = None
    stop: Callable[[], bool] | None = None


def run_case(selected: Selected, options: Options, watch: Watch | None = None) -> CaseResult:
    """Everything about one case; whatever goes wrong is in the result."""
    started = time.monotonic()
    blank = describe(selected)
    try:
        result = _Run(selected, options, watch or Watch(), started).result(blank)
    except SpecError as error:
        result = replace(blank, errors=error.diagnostics)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # noqa: BLE001 - one broken case must not hide the others; the traceback is kept
        message = f"internal error: {type(error).__name__}: {error}" if str(error) else f"internal error: {type(error).__name__}"
        result = replace(blank, failures=(message,), debug=traceback.format_exc())
    return replace(result, seconds=time.monotonic() - started)


def describe(selected: Selected) -> CaseResult:
    """What is known of a case before it is run."""
    from txweave.spec.names import walk
    from txweave.spec.parameters import show_value

    case = selected.case
    scenario = case.model.scenarios[case.scenario]
    return CaseResult(
        path=selected.path,
        study=selected.study,
        model=case.model.name.value,
        case=case.name,
        scenario=case.scenario,
        title=scenario.title or case.model.title,
        place=Place.of(case.span),
        fixes=case.fixes,
        settings=tuple((name, show_value(value)) for name, value in _settings(case)),
        steps=tuple(f"{name}.{step.name}" for name, procedure in case.model.procedures.items() for step in walk(procedure.steps)),
    )


def _settings(case: syntax.Case) -> tuple[tuple[str, Value], ...]:
    return case.settings


def prepare(selected: Selected) -> tuple[BoundModel, GroundSystem]:
    """A case's bound model and finite system.

    Raises:
        SpecError: the specification is wrong, or has something that is not modelled.
    """
    from txweave.semantics import lower
    from txweave.sql.bind import bind_model
    from txweave.system.ground import ground

    bound = bind_model(selected.case.model)
    return bound, ground(lower(bound, selected.case.scenario))


def expectation(case: syntax.Case, name: str, today: date | None = None) -> Expected:
    """What is expected of a property on a day (None: today, in UTC): what the case says, otherwise that it holds."""
    said = case.expect.get(name)
    if said is None:
        return Expected("holds")
    length = (said.length,) if isinstance(said.length, int) else said.length
    today = today or datetime.now(UTC).date()
    known = Known(said.known.until, said.known.reason, (said.known.until - today).days) if said.known is not None else None
    return Expected(said.verdict, length, stated=True, place=Place.of(said.span), known=known)


class _Run:
    def __init__(self, selected: Selected, options: Options, watch: Watch, started: float) -> None:
        self.selected = selected
        self.case = selected.case
        self.options = options
        self.watch = watch
        self.started = started
        self.failures: list[str] = []
        # Who expects a proof, or wants it written, gets one: by an invariant, and verified apart from the engine.
        self.certify = options.certify or any(said.verdict == "proved" for said in selected.case.expect.values())

    def result(self, blank: CaseResult) -> CaseResult:
        bound, system = prepare(self.selected)
        wanted = self.options.properties
        names = [p.name for p in system.properties if not wanted or p.name in wanted]
        if not names:
            return blank
        warnings = self._lint(bound)
        outcomes = self._outcomes(system, names)
        if self.options.any_number and not self._stopped():
            outcomes.append(self._any_number([p.name for p in system.properties if p.name in names and p.kind == "never"]))
        viewer = Viewer(system, keys_of(bound))
        from txweave.vacuity import findings

        return replace(
            blank,
            properties=tuple(self._property(name, system, viewer, outcomes) for name in names),
            explorations=tuple(
                Exploration(
                    o.engine,
                    o.states,
                    o.transitions,
                    o.depth,
                    o.complete,
                    o.stopped,
                    o.seconds,
                    o.reductions,
                    o.unreduced,
                )
                for o in outcomes
            ),
            findings=(*findings(system, bound, outcomes, names), *(() if self.options.strict else map(_finding, warnings))),
            assumptions=system.system.assumptions,
            errors=tuple(replace(w, severity="error") for w in warnings) if self.options.strict else (),
            failures=tuple(self.failures),
        )

    def _lint(self, bound: BoundModel) -> tuple[Diagnostic, ...]:
        from txweave.lint import lint

        return lint(bound, self.case.base, self.case.patches)

    # --------------------------------------------------------------------------------------------------------- engines

    def _limits(self, engine: str, budget: int | None = None) -> Limits:
        rest: float | None = None
        if self.options.timeout is not None:
            rest = max(0.01, self.options.timeout - (time.monotonic() - self.started))
        report = self.watch.progress
        return Limits(
            max_states=self.options.max_states,
            max_memory=self.options.max_memory,
            timeout=rest,
            max_depth=self.options.max_depth,
            rlimit=budget if self.options.rlimit is None else self.options.rlimit,
            progress=(lambda p: report(engine, p)) if report is not None else None,
            stop=self.watch.stop,
        )

    def _stopped(self) -> bool:
        return self.watch.stop is not None and self.watch.stop()

    def _outcomes(self, system: GroundSystem, names: list[str]) -> list[Outcome]:
        engine = self.options.engine
        if engine == "z3":
            return [self._z3(system, names, None)]
        from txweave.engines import explicit

        explored = explicit.check(system, names, self._limits("explicit"), reduce=self.options.reduction)
        wanted = engine == "both" or (not engine and (self.certify or self._small(explored)))
        if self._stopped() or not wanted:
            return [explored]
        return [explored, self._z3(system, names, explored)]

    @staticmethod
    def _small(outcome: Outcome) -> bool:
        return outcome.complete and outcome.states <= BOTH_UP_TO and not outcome.reductions

    def _z3(self, system: GroundSystem, names: list[str], explored: Outcome | None) -> Outcome:
        """Z3's answers.

        Unless it was asked for, each question gets a small budget, so that a hard one does not use up that of the others.
        """
        from txweave.engines import z3

        harvest = self._harvest(system, explored)
        if self.options.engine:
            return z3.check(system, names, self._limits("z3"), harvest)
        assert explored is not None
        questions: dict[tuple[str, int | None], list[str]] = {}
        for name in names:
            length = _length(explored.verdicts[name])
            if system.find(name).kind == "leads_to":
                # A lasso is looked for as deep as there is one, else a little.
                questions[name, sum(length) if length else LASSO] = [name]
            else:
                questions.setdefault(("violated" if length else "holds", self.options.max_depth), []).append(name)
        answers: list[Outcome] = []
        for (kind, depth), asked in questions.items():
            limits = self._limits("z3", None if self.certify and kind == "holds" else Z3_BUDGET)
            limits.max_depth = depth
            answers.append(z3.check(system, asked, limits, harvest))
        verdicts = {name: self._hurried(v) for outcome in answers for name, v in outcome.verdicts.items()}
        return Outcome(
            "z3",
            {name: verdicts[name] for name in names if name in verdicts},
            depth=max(o.depth for o in answers),
            stopped=next((o.stopped for o in answers if o.stopped), ""),
            seconds=sum(o.seconds for o in answers),
        )

    def _hurried(self, verdict: Verdict) -> Verdict:
        """A verdict that is unknown because Z3 was given little to do: the reason says how it gets more."""
        if verdict.status is Status.UNKNOWN and verdict.reason.startswith("budget of ") and self.options.rlimit is None:
            return replace(verdict, reason=f"{verdict.reason} (--engine both or --rlimit gives more)")
        return verdict

    def _any_number(self, names: list[str]) -> Outcome:
        """Proofs for any number of processes and rows."""
        from txweave.engines import parametric
        from txweave.lifting import systems

        return parametric.check(*systems(self.case), names, self._limits(parametric.ENGINE))

    def _harvest(self, system: GroundSystem, explored: Outcome | None) -> list[State] | None:
        """The reachable states, a hint from which Z3 finds invariants; nothing where there are too many."""
        if explored is not None and (explored.stopped or explored.states > HARVEST):
            return None
        from txweave.engines import explicit

        limits = self._limits("explicit")
        limits.max_states = min(HARVEST, limits.max_states or HARVEST)
        found = explicit.explore(system, limits=limits)
        return [found.state(number) for number in range(len(found.packed))] if found.complete else None

    # -------------------------------------------------------------------------------------------------------- verdicts

    def _property(self, name: str, system: GroundSystem, viewer: Viewer, outcomes: list[Outcome]) -> PropertyResult:
        source = system.find(name).source
        verdicts = [o.verdicts[name] for o in outcomes if name in o.verdicts]
        broken = [*self._judged(name, verdicts), *disagreements(verdicts)]
        if self.certify:
            verdicts = [self._verified(system, verdict, broken) for verdict in verdicts]
        final = combine(name, verdicts)
        if final.trace is not None and not broken:
            final, broken = self._calm(name, final, viewer)
        expected = expectation(self.case, name, self.options.today)
        length = _length(final)
        relation, difference = compare(final, expected)
        if broken:
            relation, difference = Relation.FAILED, ""
            self.failures += [f"{name}: {sentence}" for sentence in broken]
        story = None
        if final.trace is not None and relation is not Relation.FAILED:
            from txweave.why import explain

            told = tell(final.trace, name, viewer, self.case.model.properties.get(name))
            story = replace(told, why=explain(final.trace, name, viewer))
        explored = ""
        if story is not None and final.trace is not None and self.options.explore:
            explored = self._explored(story, final.trace, viewer)
        # What a certificate's engine notes is about the certificate; it stays with that engine's answer.
        notes = final.notes if final.certificate is None else ()
        return PropertyResult(
            name=name,
            kind=source.kind,
            title=source.title,
            place=Place.of(source.span),
            status=final.status,
            text=final.text,
            expected=expected,
            relation=relation,
            answers=(*map(_answer, verdicts), *self._unasked(outcomes)),
            difference=difference,
            length=length,
            notes=notes,
            story=story,
            explored=explored,
            proof=self._proof(system, verdicts) if final.status in (Status.HOLDS, Status.PROVED) else None,
            trace=final.trace,
        )

    def _verified(self, system: GroundSystem, verdict: Verdict, broken: list[str]) -> Verdict:
        """Proved, where there is an invariant and its separate verification says so; ``broken`` is told where it says no."""
        if verdict.certificate is None or verdict.status is not Status.HOLDS:
            return verdict
        from txweave.proof.record import scope
        from txweave.proof.solve import solver
        from txweave.proof.verify import Verification, check

        found = Verification()
        check(system.system, verdict.certificate, found, lambda: solver("z3"), self._stopped)
        broken += [f"the invariant of {verdict.engine} is rejected: {problem}" for problem in found.problems]
        if found.verified and not verdict.truncated:
            return replace(verdict, status=Status.PROVED, scope=f"for all time; {scope(system.system)}")
        return replace(verdict, notes=(*verdict.notes, *(f"not verified: {reason}" for reason in found.undecided)))

    @staticmethod
    def _proof(system: GroundSystem, verdicts: list[Verdict]) -> Proof | None:
        from txweave.proof.record import record

        return next((record(system.system, v.certificate) for v in verdicts if v.certificate is not None), None)

    @staticmethod
    def _calm(name: str, verdict: Verdict, viewer: Viewer) -> tuple[Verdict, list[str]]:
        """The verdict with its counterexample's steps in the order that is easiest to follow, which is judged as well."""
        from txweave.judge import judge
        from txweave.why import calm

        assert verdict.trace is not None
        trace = calm(verdict.trace, name, viewer)
        if trace is verdict.trace:
            return verdict, []
        problems = judge(trace, name)
        return replace(verdict, trace=trace), [f"in another order the counterexample is not one: {'; '.join(problems)}"] * bool(
            problems
        )

    def _explored(self, story: Story, trace: Trace, viewer: Viewer) -> str:
        """Everything around a counterexample that a page can carry."""
        from txweave.possible import Possible
        from txweave.report.explorer import carried
        from txweave.report.outcomes import case_label

        heading = case_label(describe(self.selected))
        return json.dumps(carried(story, heading, trace, Possible(viewer), self.case), separators=(",", ":"))

    def _unasked(self, outcomes: list[Outcome]) -> Iterable[Answer]:
        """The cell of an engine that was left out without having been excluded."""
        if not self.options.engine and not any(o.engine == "z3" for o in outcomes):
            why = outcomes[0].stopped or f"more than {BOTH_UP_TO:,} states"
            yield Answer("z3", None, f"not asked: {why} (--engine both asks)")

    def _judged(self, name: str, verdicts: Iterable[Verdict]) -> list[str]:
        from txweave.judge import judge

        found: list[str] = []
        for verdict in verdicts:
            if verdict.status is not Status.VIOLATED:
                continue
            if verdict.trace is None:
                found.append(f"{verdict.engine} says violated and gives no counterexample")
                continue
            problems = judge(verdict.trace, name)
            if problems:
                found.append(f"the counterexample of {verdict.engine} is not one: {'; '.join(problems)}")
        return found


def _finding(warning: Diagnostic) -> Finding:
    """A warning among what makes verdicts say less than they seem to."""
    remedy = f": {warning.remedy}" if warning.remedy else ""
    return Finding("lint", warning.code, f"{warning.code}: {warning.message}{remedy}", Place.of(warning.span))


def _answer(verdict: Verdict) -> Answer:
    status = verdict.status
    return Answer(verdict.engine, status, verdict.text, _length(verdict), verdict.notes, verdict.seconds)


def _length(verdict: Verdict) -> tuple[int, ...] | None:
    if verdict.trace is None:
        return None
    length = verdict.trace.length
    return (length,) if isinstance(length, int) else length


_STRENGTH = (Status.VIOLATED, Status.PROVED, Status.HOLDS, Status.UNKNOWN)


def combine(name: str, verdicts: list[Verdict]) -> Verdict:
    """The final verdict: a violation, else a proof, else that it holds; the first engine's where several say the same.

    A ``holds`` without truncation is preferred to one with: it says more.
    """
    if not verdicts:
        return Verdict(name, Status.UNKNOWN, "", reason="no engine has an answer")
    return min(verdicts, key=lambda v: (_STRENGTH.index(v.status), bool(v.truncated) and v.status is Status.HOLDS))


def disagreements(verdicts: list[Verdict]) -> list[str]:
    """How engines contradict each other: on the verdict, or on a length that one claims to be the shortest."""
    found: list[str] = []
    decided = [v for v in verdicts if v.status is not Status.UNKNOWN]
    for index, one in enumerate(decided):
        for other in decided[index + 1 :]:
            if (one.status is Status.VIOLATED) != (other.status is Status.VIOLATED):
                found.append(f"the engines disagree: {one.engine} says {one.text}, {other.engine} says {other.text}")
                continue
            a, b = _length(one), _length(other)
            if a is not None and b is not None and ((a < b and claims_shortest(other)) or (b < a and claims_shortest(one))):
                found.append(f"the engines disagree on the shortest counterexample: {one.engine} {a}, {other.engine} {b}")
    return found


def claims_shortest(verdict: Verdict) -> bool:
    """Whether an engine claims that there is no shorter counterexample; a note about the stem says so where it does not."""
    return not any("stem" in note for note in verdict.notes)


def compare(verdict: Verdict, expected: Expected) -> tuple[Relation, str]:
    """How a verdict relates to what is expected, and the difference in words."""
    if verdict.status is Status.UNKNOWN:
        return Relation.INCONCLUSIVE, ""
    length = _length(verdict)
    said = expected.text
    if expected.verdict == "violated":
        known = expected.known
        if verdict.status is not Status.VIOLATED:
            gone = f": no longer what is known ({known.reason}), so take known out of the expectation" if known is not None else ""
            return Relation.DIFFERS, f"{verdict.text}, expected {said}{gone}"
        if expected.length is not None and expected.length != length:
            found = f"violated as expected, but in {_steps(length)} instead of {_steps(expected.length)}"
            return Relation.DIFFERS, found + (f": not what is known ({known.reason})" if known is not None else "")
        if known is not None and known.left < 0:
            return Relation.DIFFERS, f"violated, and accepted only until {known.until}: {known.reason}"
        return Relation.AS_EXPECTED, ""
    if verdict.status is Status.PROVED or (verdict.status is Status.HOLDS and expected.verdict == "holds"):
        return Relation.AS_EXPECTED, ""
    return Relation.DIFFERS, f"{verdict.text}, expected {said}"


def _steps(length: tuple[int, ...] | None) -> str:
    if length is None:
        return "no steps"
    if len(length) == 1:
        return f"{length[0]} step{'' if length[0] == 1 else 's'}"
    return f"{length[0]} and a loop of {length[1]}"


__all__ = [
    "BOTH_UP_TO",
    "Finding",
    "Options",
    "Watch",
    "combine",
    "compare",
    "describe",
    "disagreements",
    "prepare",
    "run_case",
]
