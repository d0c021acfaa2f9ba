"""Whole cases on a server: all counterexamples of a case, or one trace, and random walks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from txweave.check import describe, prepare
from txweave.collect import Selected
from txweave.engines import explicit
from txweave.judge import review
from txweave.replay.conform import Walked, walk
from txweave.replay.machine import Machine
from txweave.replay.replay import Divergence, Replayed
from txweave.replay.replay import replay as replay_trace
from txweave.replay.server import Server
from txweave.results import CaseResult, Exit, worst
from txweave.spec.diagnostics import Diagnostic, SpecError
from txweave.tracefile import Rerun
from txweave.verdict import Limits, Progress

DIVERGED = Exit.SELF_CHECK
"""When the server did what the model does not allow, the semantics is wrong: a self-check has failed."""


@dataclass(frozen=True)
class TraceReplay:
    """One trace on the server.  ``property`` is empty for a run that violates nothing."""

    property: str
    kind: str
    result: Replayed


@dataclass(frozen=True)
class WalkReplay:
    """The walk of a case that differs."""

    seed: str
    divergence: Divergence
    log: tuple[str, ...]


@dataclass(frozen=True)
class CaseReplay:
    """A case on the server.

    ``about``: what is known of the case itself.  ``stopped``: why not all states were explored, so that there may be more
    counterexamples.  ``errors``: the specification is wrong, nothing was replayed.  ``failures``: self-checks that failed.
    """

    about: CaseResult
    traces: tuple[TraceReplay, ...] = ()
    states: int = 0
    stopped: str = ""
    walks: int = 0
    walked_steps: int = 0
    differing: tuple[WalkReplay, ...] = ()
    errors: tuple[Diagnostic, ...] = ()
    failures: tuple[str, ...] = ()
    notes: tuple[str, ...] = field(default=())

    @property
    def exit(self) -> Exit:
        """4 where server and model differ, 2 for a wrong specification, 3 where something is not known, 0 where all agrees."""
        found = [Exit.OK]
        if self.failures or self.differing or any(t.result.outcome == "diverged" for t in self.traces):
            found.append(DIVERGED)
        if self.errors:
            found.append(Exit.ERROR)
        if self.stopped or any(t.result.outcome not in ("agrees", "diverged") for t in self.traces):
            found.append(Exit.INCONCLUSIVE)
        return worst(found)


def status(cases: Sequence[CaseReplay]) -> Exit:
    """Of all cases together; 3 when nothing was compared at all."""
    found = worst([case.exit for case in cases])
    if found is Exit.OK and not any(case.traces or case.walks for case in cases):
        return Exit.INCONCLUSIVE
    return found


@dataclass(frozen=True)
class Options:
    """``properties``: only these (empty: all).  ``walks``: random walks of each case besides, from ``seed``."""

    properties: tuple[str, ...] = ()
    walks: int = 0
    seed: int = 0
    max_states: int | None = None


def replay_case(
    server: Server,
    selected: Selected,
    options: Options,
    progress: Callable[[str, Progress], None] | None = None,
    stop: Callable[[], bool] | None = None,
) -> CaseReplay:
    """Find all counterexamples of a case, and replay them; then walk."""
    about = describe(selected)
    try:
        bound, system = prepare(selected)
    except SpecError as error:
        return CaseReplay(about, errors=error.diagnostics)
    machine = Machine(bound, selected.case.scenario, system.system)
    names = [p.name for p in system.properties if not options.properties or p.name in options.properties]
    limits = Limits(
        max_states=options.max_states,
        progress=(lambda p: progress("explicit", p)) if progress is not None else None,
        stop=stop,
    )
    outcome = explicit.check(system, names, limits)
    traces: list[TraceReplay] = []
    failures: list[str] = []
    stopped = outcome.stopped
    for name, verdict in outcome.verdicts.items():
        if verdict.trace is None:
            continue
        if stop is not None and stop():
            stopped = "interrupted"
            break
        problems = review(verdict.trace, name).problems
        if problems:
            failures.append(f"the counterexample to {name} is not one: {'; '.join(problems)}")
            continue
        traces.append(TraceReplay(name, system.find(name).kind, replay_trace(server, machine, verdict.trace)))
    walks, steps, differing = _walks(server, machine, options, stop)
    if walks < options.walks and not differing:
        stopped = "interrupted"
    return CaseReplay(about, tuple(traces), outcome.states, stopped, walks, steps, differing, failures=tuple(failures))


def _walks(
    server: Server, machine: Machine, options: Options, stop: Callable[[], bool] | None
) -> tuple[int, int, tuple[WalkReplay, ...]]:
    found = Walked()
    differing: list[WalkReplay] = []
    done = 0
    for number in range(options.walks):
        if stop is not None and stop():
            break
        seed = f"{options.seed}.{number}"
        divergence, run, _ = walk(server, machine, seed, found)
        done += 1
        if divergence is not None:
            differing.append(WalkReplay(seed, divergence, tuple(run.log)))
    return done, found.steps, tuple(differing)


def replay_rerun(server: Server, run: Rerun) -> CaseReplay:
    """Replay the trace of a file."""
    machine = Machine(run.bound, run.selected.case.scenario, run.system.system)
    result = replay_trace(server, machine, run.trace)
    return CaseReplay(describe(run.selected), (TraceReplay(run.file.property, run.file.kind, result),), notes=run.notes)


def lines(case: CaseReplay, *, verbose: bool = False) -> Iterable[str]:
    """A case for people."""
    name = case.about.case
    for item in case.traces:
        result = item.result
        yield f"{name}  {item.property or 'run'}: {result.outcome} ({result.steps} step{'' if result.steps == 1 else 's'})"
        yield from (f"  {line}" for line in result.detail.splitlines())
        if verbose or result.outcome == "diverged":
            yield from (f"  {line}" for line in result.log)
    if not case.traces and not case.errors:
        explored = f"no counterexample among {case.states:,} states"
        yield f"{name}  {explored}{', not all of them' if case.stopped else ''}: nothing to replay"
    if case.stopped:
        yield f"{name}  inconclusive: {case.stopped} after {case.states:,} states; there may be more counterexamples"
    for walked in case.differing:
        yield f"{name}  walk {walked.seed}: diverged"
        yield from (f"  {line}" for line in str(walked.divergence).splitlines())
        yield from (f"  {line}" for line in walked.log)
    if case.walks:
        yield f"{name}  {case.walks} walks, {case.walked_steps} steps, {len(case.differing)} diverged"
    yield from (f"{name}  {failure}" for failure in case.failures)
    yield from (f"{name}  note: {note}" for note in case.notes)
