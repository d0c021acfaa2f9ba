"""Many cases, one after the other or in several processes; results come in the order of the cases whatever finishes first."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import FrameType

from txweave.cache import Cache
from txweave.check import Options, Watch, describe, expectation, run_case
from txweave.collect import Selected
from txweave.report.story import Place
from txweave.results import CaseResult, PropertyResult, Relation
from txweave.spec import syntax
from txweave.verdict import Progress, Status


@dataclass(frozen=True)
class Listener:
    """Callbacks of a caller that shows what is going on: a case begins, an engine reports, a case is done."""

    begins: Callable[[Selected], None] | None = None
    progress: Callable[[Selected, str, Progress], None] | None = None
    done: Callable[[CaseResult], None] | None = None


def run_cases(
    cases: Sequence[Selected],
    options: Options,
    jobs: int = 1,
    listener: Listener | None = None,
    stop: Callable[[], bool] | None = None,
    cache: Cache | None = None,
) -> list[CaseResult]:
    """The results of all cases.  Once ``stop`` is true, what runs ends with what it knows and the rest is not begun.

    What ``cache`` has is taken from there, and what it lacks is kept there.
    """
    listener = listener or Listener()
    kept = {n: found for n, s in enumerate(cases) if cache is not None and (found := cache.get(s, options)) is not None}
    if listener.done is not None:
        for found in kept.values():
            listener.done(found)
    fresh = [selected for number, selected in enumerate(cases) if number not in kept]
    made = _run(fresh, options, jobs, listener, stop)
    if cache is not None:
        for selected, result in zip(fresh, made, strict=True):
            cache.put(selected, options, result)
        cache.prune()
    rest = iter(made)
    return [kept[number] if number in kept else next(rest) for number in range(len(cases))]


def _run(
    cases: Sequence[Selected], options: Options, jobs: int, listener: Listener, stop: Callable[[], bool] | None
) -> list[CaseResult]:
    if options.max_memory is None:
        options = replace(options, max_memory=available_memory() // min(jobs, max(len(cases), 1)))
    if jobs > 1 and len(cases) > 1:
        return _in_processes(cases, options, jobs, listener, stop)
    results: list[CaseResult] = []
    report = listener.progress
    for selected in cases:
        if stop is not None and stop():
            result = not_run(selected, options, "interrupted")
        else:
            if listener.begins is not None:
                listener.begins(selected)
            told = partial(report, selected) if report is not None else None
            result = run_case(selected, options, Watch(told, stop))
        results.append(result)
        if listener.done is not None:
            listener.done(result)
    return results


def available_memory() -> int:
    """Three quarters of what this machine, or the container, has (MiB): an exploration ends there, before the machine does."""
    physical = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    allowed = Path("/sys/fs/cgroup/memory.max")
    with suppress(OSError, ValueError):  # no container, or one without a limit ("max")
        physical = min(physical, int(allowed.read_text()))
    return int(physical * 0.75) >> 20


def not_run(selected: Selected, options: Options, reason: str) -> CaseResult:
    """The result of a case that was not begun: nothing is known of any property."""
    case = selected.case
    properties = tuple(
        PropertyResult(
            name=name,
            kind=_KINDS[type(item.formula)],
            title=item.title,
            place=Place.of(item.name.span()),
            status=Status.UNKNOWN,
            text=f"unknown ({reason})",
            expected=expectation(case, name, options.today),
            relation=Relation.INCONCLUSIVE,
            answers=(),
        )
        for name, item in case.model.properties.items()
        if not options.properties or name in options.properties
    )
    return replace(describe(selected), properties=properties)


_KINDS: dict[type, str] = {
    syntax.Never: "never",
    syntax.LeadsTo: "leads_to",
    syntax.AlwaysPossible: "always_possible",
    syntax.DeadlockFree: "deadlock",
}

# ---------------------------------------------------------------------------------------------------- worker processes

_interrupted = False


def _prepare_worker() -> None:
    """Ctrl-C reaches the whole process group: a worker ends its engine with what is known, as its parent does."""

    def note(signum: int, frame: FrameType | None) -> None:  # noqa: ARG001
        global _interrupted
        _interrupted = True

    signal.signal(signal.SIGINT, note)


def _work(selected: Selected, options: Options) -> CaseResult:
    if _interrupted:
        return not_run(selected, options, "interrupted")
    return run_case(selected, options, Watch(None, lambda: _interrupted)).detached()


def _in_processes(
    cases: Sequence[Selected], options: Options, jobs: int, listener: Listener, stop: Callable[[], bool] | None
) -> list[CaseResult]:
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor, wait
    from concurrent.futures.process import BrokenProcessPool

    context = multiprocessing.get_context("spawn")
    results: dict[int, CaseResult] = {}
    with ProcessPoolExecutor(min(jobs, len(cases)), mp_context=context, initializer=_prepare_worker) as pool:
        futures = {pool.submit(_work, selected, options): number for number, selected in enumerate(cases)}
        waiting = set(futures)
        while waiting:
            done, waiting = wait(waiting, timeout=0.2)
            for future in done:
                number = futures[future]
                try:
                    result = not_run(cases[number], options, "interrupted") if future.cancelled() else future.result()
                except BrokenProcessPool:
                    message = "internal error: its process ended before it had an answer (out of memory?)"
                    result = replace(describe(cases[number]), failures=(message,))
                results[number] = result
                if listener.done is not None:
                    listener.done(result)
            if stop is not None and stop():
                for future in waiting:
                    future.cancel()
    return [results[number] for number in range(len(cases))]
