"""Z3 on the ground system: shortest counterexamples, lassos, inductive invariants.

It shares no code with explicit search.  Of its answers, ``VIOLATED`` comes with a run, ``HOLDS`` with an inductive invariant that a
fresh solver has confirmed, or because no run is longer than the depth searched; anything else is ``UNKNOWN``, with the reason.

Z3 does not answer ``always_possible`` and does not prove liveness: a leads-to property is violated or unknown.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from txweave.system.expr import Value
from txweave.system.ground import GroundProperty, GroundSystem
from txweave.trace import State, Taken, Trace
from txweave.verdict import Limits, Outcome, Progress, Status, Verdict

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from txweave.engines.z3.bmc import Bounded, Target
    from txweave.engines.z3.encode import Encoding
    from txweave.engines.z3.invariant import Harvest, Strengthening
    from txweave.engines.z3.session import GaveUp, Session

ENGINE = "z3"

DEPTH = 20
"""Steps of the bounded search where ``limits.max_depth`` does not say."""

TICKS = 12
"""To prove freedom from deadlock, how many ticks a state may be away from the next move."""

LASSO = 14
"""Steps of a lasso, stem and loop together, where ``limits.max_depth`` does not say."""


def check(
    ground: GroundSystem,
    properties: Iterable[str] | None = None,
    limits: Limits | None = None,
    reachable: Sequence[State] | npt.NDArray[np.integer[Any]] | None = None,
) -> Outcome:
    """Answer properties (all of them, or those named) with Z3.

    Args:
        ground: The system.
        properties: Names of properties.
        limits: ``max_depth`` (steps), ``timeout`` (seconds, altogether), ``max_memory``, ``stop`` are heeded.
        reachable: States that an exploration has found, or a matrix of the numbers of their values.  They are a hint from which
            invariants are harvested; without them only bounded search is possible.
    """
    from txweave.engines.z3.session import Session

    names = [p.name for p in ground.properties] if properties is None else list(properties)
    with Session(limits) as session:
        run = _Run(session, ground, [ground.find(name) for name in names], reachable)
        return run.outcome()


class _Run:
    def __init__(self, session: Session, ground: GroundSystem, items: list[GroundProperty], reachable: Any) -> None:
        self.session, self.ground, self.items, self.reachable = session, ground, items, reachable
        self.verdicts: dict[str, Verdict] = {}
        self.depth = 0
        self.stopped = ""

    def outcome(self) -> Outcome:
        try:
            self._all()
        except KeyboardInterrupt:
            self.stopped = "interrupted"
        for item in self.items:
            self._unknown(item.name, self.stopped or "interrupted", 0.0)
        return Outcome(
            ENGINE,
            {item.name: self.verdicts[item.name] for item in self.items},
            depth=self.depth,
            stopped=self.stopped,
            seconds=self.session.seconds,
        )

    def _all(self) -> None:
        from txweave.engines.z3.encode import Encoding
        from txweave.engines.z3.invariant import Harvest

        for item in self.items:
            if item.kind == "always_possible":
                self._unknown(item.name, "Z3 does not answer always_possible", 0.0)
        if len(self.verdicts) == len(self.items):
            return
        encoding = Encoding(self.session, self.ground)
        harvest = Harvest(self.ground, self.reachable) if self.reachable is not None else None
        self._safety(encoding, harvest)
        for item in self.items:
            if item.kind == "leads_to":
                self._liveness(encoding, item)

    # -------------------------------------------------------------------------------------------------------- safety

    def _safety(self, encoding: Encoding, harvest: Harvest | None) -> None:
        from txweave.engines.z3.invariant import Strengthening

        items = [item for item in self.items if item.kind in ("never", "deadlock")]
        why: dict[str, str] = {}
        bugs: list[GroundProperty] = []
        if harvest is not None:
            strengthening = Strengthening(encoding, harvest)
            for item in items:
                if self._shown_violated(encoding, harvest, item):
                    bugs.append(item)
                else:
                    self._invariant(encoding, strengthening, item, why)
        limit = self.session.limits.max_depth
        if limit is None:
            limit = DEPTH if harvest is None or not bugs else max(DEPTH, len(harvest.matrix))
        open_ = [item for item in items if item.name not in self.verdicts]
        # Those that the exploration shows violated are searched as deep as need be, the others first and no deeper than usual.
        shallow = [item for item in open_ if item not in bugs]
        self._bounded(encoding, shallow, min(limit, DEPTH) if self.session.limits.max_depth is None else limit, why)
        self._bounded(encoding, [item for item in open_ if item in bugs], limit, why)

    def _shown_violated(self, encoding: Encoding, harvest: Harvest, item: GroundProperty) -> bool:
        """Whether a harvested state violates the property: then there is no point in looking for an invariant."""
        from txweave.engines.z3.recheck import bad

        return not (item.kind == "deadlock" and encoding.ticks) and harvest.ever(bad(encoding, item))

    def _ticks(self, encoding: Encoding, harvest: Harvest, item: GroundProperty) -> int | None:
        """After how many ticks somebody can move in each harvested state; 0 where that is not what is asked."""
        from txweave.engines.z3.recheck import bad

        if item.kind != "deadlock" or not encoding.ticks:
            return 0
        return next((n for n in range(TICKS + 1) if not harvest.ever(bad(encoding, item, n))), None)

    def _invariant(self, encoding: Encoding, strengthening: Strengthening, item: GroundProperty, why: dict[str, str]) -> None:
        """Prove that a property holds, or say in ``why`` what prevented it."""
        from txweave.engines.z3.recheck import bad, proper, recheck
        from txweave.engines.z3.session import GaveUp
        from txweave.system import expr as x

        started = time.monotonic()
        ticks = self._ticks(encoding, strengthening.harvest, item)
        if ticks is None:
            why[item.name] = f"in some state nobody can move within {TICKS} ticks"
            return
        accepted = self.ground.system.truncated
        # Bounds that were crossed in the exploration are no goals, if their hit is accepted; the others must not be crossed.
        crossed = [bound for bound, guard in encoding.leaving.items() if strengthening.harvest.ever(guard)]
        fatal = [bound for bound in crossed if bound not in accepted]
        bounds = [bound for bound in encoding.leaving if bound not in crossed]
        if fatal:
            why[item.name] = ", ".join(f"bound {bound} hit" for bound in fatal)
            return
        try:
            self.session.check_limits()
            goals = [x.neg(bad(encoding, item, ticks)), *(x.neg(encoding.leaving[bound]) for bound in bounds)]
            certificate = strengthening.prove(item.name, goals, proper(item), sorted(crossed), ticks)
            problems = recheck(self.session, self.ground, certificate)
        except GaveUp as reason:
            why[item.name] = reason.reason
            self._note_stop(reason)
            return
        if problems:
            why[item.name] = f"the invariant was not confirmed: {problems[0]}"
            return
        self.verdicts[item.name] = Verdict(
            item.name,
            Status.HOLDS,
            ENGINE,
            truncated=tuple(sorted(crossed)),
            notes=(f"inductive invariant of {len(certificate.clauses)} clauses",),
            seconds=time.monotonic() - started,
            certificate=certificate,
        )

    def _bounded(self, encoding: Encoding, items: list[GroundProperty], limit: int, why: dict[str, str]) -> None:
        from txweave.engines.z3.bmc import StateTarget, StuckTarget, search
        from txweave.engines.z3.recheck import bad
        from txweave.engines.z3.session import GaveUp

        started = time.monotonic()
        targets: dict[str, Target] = {}
        for item in items:
            try:
                if item.kind == "deadlock":
                    targets[item.name] = StuckTarget(item.name, encoding)
                else:
                    targets[item.name] = StateTarget(item.name, bad(encoding, item))
            except GaveUp as reason:
                self._unknown(item.name, reason.reason, 0.0)
        if not targets:
            return
        result = search(encoding, targets, limit, self._progress())
        self.depth = max(self.depth, result.depth)
        if result.stopped is not None:
            self._note_stop(result.stopped)
        seconds = time.monotonic() - started
        hits = self._exhausted(encoding, result)
        for item in items:
            if item.name not in targets:
                continue
            if item.name in result.found:
                self._violated(encoding, item, result.found[item.name], seconds)
            elif hits is not None:
                self._no_longer_run(item, result.depth, hits, seconds)
            else:
                reasons = [why[item.name]] if item.name in why else []
                if result.stopped is not None and not any(reason.startswith(result.stopped.reason) for reason in reasons):
                    reasons.append(result.stopped.reason)
                reasons.append(f"no violation to depth {result.depth}" if result.depth >= 0 else "nothing was searched")
                self._unknown(item.name, "; ".join(reasons), seconds)

    def _exhausted(self, encoding: Encoding, result: Bounded) -> tuple[str, ...] | None:
        """The bounds that are crossed, if the bounded search saw every run to its end; None if it did not."""
        from txweave.engines.z3.bmc import crossed
        from txweave.engines.z3.session import GaveUp

        if not result.exhausted:
            return None
        try:
            return crossed(encoding, result.depth)
        except GaveUp as reason:
            result.stopped = reason
            self._note_stop(reason)
            return None

    def _no_longer_run(self, item: GroundProperty, depth: int, hits: tuple[str, ...], seconds: float) -> None:
        fatal = [bound for bound in hits if bound not in self.ground.system.truncated]
        if fatal:
            self._unknown(item.name, ", ".join(f"bound {bound} hit" for bound in fatal), seconds)
            return
        note = f"no run within bounds has {depth} steps" if depth else "there is no step within bounds"
        self.verdicts[item.name] = Verdict(item.name, Status.HOLDS, ENGINE, truncated=tuple(hits), notes=(note,), seconds=seconds)

    def _violated(self, encoding: Encoding, item: GroundProperty, steps: tuple[Taken, ...], seconds: float) -> None:
        last = steps[-1].state if steps else self.ground.initial
        witness: tuple[Value, ...] | None = None
        if item.rows is not None:
            reading = encoding.codes.reading(last)
            row = next(row for row in item.rows.rows if reading.formula(row.condition))
            witness = tuple(encoding.codes.value(value, last) for value in row.values)
        trace = Trace(self.ground, steps, None, witness)
        self.verdicts[item.name] = Verdict(item.name, Status.VIOLATED, ENGINE, trace=trace, seconds=seconds)

    # ------------------------------------------------------------------------------------------------------ liveness

    def _liveness(self, encoding: Encoding, item: GroundProperty) -> None:
        from txweave.engines.z3.lasso import LassoSearch
        from txweave.engines.z3.session import GaveUp

        started = time.monotonic()
        limit = self.session.limits.max_depth
        try:
            self.session.check_limits()
            result = LassoSearch(encoding, item).search(LASSO if limit is None else limit, self._progress())
        except GaveUp as reason:
            self._note_stop(reason)
            self._unknown(item.name, reason.reason, 0.0)
            return
        seconds = time.monotonic() - started
        if result.stopped is not None:
            self._note_stop(result.stopped)
        if result.lasso is not None:
            lasso = result.lasso
            trace = Trace(self.ground, lasso.steps, lasso.stem, lasso.witness)
            notes = (lasso.note,) if lasso.note else ()
            self.verdicts[item.name] = Verdict(item.name, Status.VIOLATED, ENGINE, trace=trace, notes=notes, seconds=seconds)
            return
        found = f"no lasso up to length {result.length}" if result.length >= 0 else "no lasso was looked for"
        reason_ = f"{found}; Z3 does not prove liveness"
        self._unknown(item.name, f"{result.stopped.reason}; {reason_}" if result.stopped is not None else reason_, seconds)

    # ------------------------------------------------------------------------------------------------------- answers

    def _unknown(self, name: str, reason: str, seconds: float) -> None:
        self.verdicts.setdefault(name, Verdict(name, Status.UNKNOWN, ENGINE, reason=reason, seconds=seconds))

    def _note_stop(self, reason: GaveUp) -> None:
        self.stopped = self.stopped or reason.cause

    def _progress(self) -> Callable[[int], None] | None:
        callback = self.session.limits.progress
        if callback is None:
            return None
        return lambda depth: callback(Progress(depth, 0, 0, 0, self.session.seconds))
