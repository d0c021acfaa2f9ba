"""Explicit search: every reachable state, one after the other, as generated Python code over packed integers.

:func:`check` answers for the properties of a ground system, :func:`explore` hands over the states and the graph.  Verdicts are
exhaustive within the system's bounds (``holds``), or shortest counterexamples; what a limit or a bound cut off is unknown.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

from txweave.engines.explicit.fair import Fairness
from txweave.engines.explicit.layout import unbox
from txweave.engines.explicit.liveness import leads_to, triggers
from txweave.engines.explicit.program import DomainError, Program
from txweave.engines.explicit.reach import Digraph
from txweave.engines.explicit.search import Exploration, Graph, TooLarge, explore
from txweave.engines.explicit.stuck import deadlock, impossible
from txweave.engines.explicit.watch import Stopped, Watch
from txweave.system.ground import GroundProperty, GroundSystem
from txweave.trace import Trace
from txweave.verdict import Limits, Outcome, Status, Verdict

if TYPE_CHECKING:
    from txweave.engines.reduction.key import Reduction

__all__ = ["DomainError", "Exploration", "Graph", "Program", "TooLarge", "check", "explore"]

ENGINE = "explicit"

ENOUGH = 100_000
"""States that are explored one by one before reductions are tried: so many take no time, and their number is the system's."""

LEADS_TO = "leads-to properties are checked on every state"


def check(
    ground: GroundSystem,
    properties: Sequence[str] | None = None,
    limits: Limits | None = None,
    *,
    first_violation: bool = False,
    reduce: bool = False,
) -> Outcome:
    """Verdicts on the properties of a ground system, by exhaustive search.

    Args:
        ground: the system.
        properties: names of those to check; all when None.
        limits: when to give up.
        first_violation: when all the properties are ``never``, end as soon as each has been violated.
        reduce: with more than :data:`ENOUGH` states, merge those that the properties cannot tell apart
            (:mod:`txweave.engines.reduction`), if none of them is a ``leads_to``.

    Raises:
        KeyError: there is no such property.
    """
    names = {item.name for item in ground.properties}
    for name in properties or ():
        if name not in names:
            raise KeyError(name)
    chosen = [item for item in ground.properties if properties is None or item.name in properties]
    return _Check(ground, chosen, limits, first_violation, reduce).outcome()


class _Check:
    """One call of :func:`check`."""

    def __init__(
        self, ground: GroundSystem, items: list[GroundProperty], limits: Limits | None, first_violation: bool, reduce: bool
    ) -> None:
        self.ground, self.items, self.watch = ground, items, Watch(limits)
        kinds = {item.kind for item in items}
        unknown = kinds - {"never", "leads_to", "always_possible", "deadlock"}
        if unknown:
            raise ValueError(f"no such kind of property: {', '.join(sorted(unknown))}")
        self.invariants = [item for item in items if item.kind == "never"]
        self.first_violation = first_violation and kinds == {"never"}
        self.reduction: Reduction | None = None
        self.unreduced = ""
        self.exploration = self._explored(kinds, reduce)
        self.stopped = self.exploration.stopped
        self.triggered: dict[str, bool] = {}

    def _explored(self, kinds: set[str], reduce: bool) -> Exploration:
        """All states; if there are many, and it may be, up to what the properties can tell apart."""
        limits, program = self.watch.limits, Program(self.ground)
        if not reduce or (limits.max_states is not None and limits.max_states <= ENOUGH):
            return self._explore(kinds, program, self.watch, None)
        if "leads_to" in kinds:
            found = self._explore(kinds, program, self.watch, None)
            self.unreduced = LEADS_TO if len(found.packed) > ENOUGH else ""
            return found
        few = Watch(replace(limits, max_states=ENOUGH), self.watch.started)
        found = self._explore(kinds, program, few, None)
        if found.stopped != "max-states":
            return found
        del found
        # Imported late: most systems are small.
        from txweave.engines.reduction.key import reduction

        self.reduction = reduction(program, self.items)
        return self._explore(kinds, program, self.watch, self.reduction)

    def _explore(self, kinds: set[str], program: Program, watch: Watch, reduction: Reduction | None) -> Exploration:
        return explore(
            self.ground,
            graph=bool(kinds & {"leads_to", "always_possible"}),
            watched=[item.rows.some for item in self.invariants if item.rows is not None],
            quiet="deadlock" in kinds,
            first_violation=self.first_violation,
            watch=watch,
            program=program,
            reduction=reduction,
        )

    @cached_property
    def graph(self) -> Digraph:
        """The explored graph."""
        return Digraph(self.exploration)

    @cached_property
    def fairness(self) -> Fairness:
        """The explored graph as fairness sees it."""
        return Fairness(self.exploration, self.graph, self.watch)

    @cached_property
    def timelocked(self) -> bool:
        """Whether time can come to a stop."""
        return self.ground.timed and self.fairness.timelocked()

    def outcome(self) -> Outcome:
        """All verdicts, in the order of the properties."""
        ways: dict[str, Callable[[GroundProperty], Verdict]] = {
            "never": self._never,
            "deadlock": self._deadlock,
            "leads_to": self._leads_to,
            "always_possible": self._always_possible,
        }
        verdicts: dict[str, Verdict] = {}
        # Safety first: it needs no more time.  A limit that is reached during the analysis leaves what is left unknown.
        for item in sorted(self.items, key=lambda item: item.kind not in ("never", "deadlock")):
            started = self.watch.seconds
            try:
                verdict = ways[item.kind](item)
            except (Stopped, KeyboardInterrupt) as reason:
                why = str(reason) if isinstance(reason, Stopped) else "interrupted"
                self.stopped = self.stopped or why
                verdict = self._unknown(item, why)
            spent = self.watch.seconds - started
            verdicts[item.name] = Verdict(
                verdict.name,
                verdict.status,
                ENGINE,
                verdict.reason,
                trace=verdict.trace,
                truncated=verdict.truncated,
                notes=verdict.notes,
                seconds=self.exploration.seconds + spent,
            )
        found = self.exploration
        return Outcome(
            ENGINE,
            {item.name: verdicts[item.name] for item in self.items},
            states=len(found.packed),
            transitions=found.transitions,
            depth=found.depth,
            complete=not self.stopped,
            stopped=self.stopped,
            seconds=self.watch.seconds,
            coverage=found.coverage(self.triggered),
            reductions=self.reduction.names if self.reduction is not None else (),
            unreduced=self.unreduced,
        )

    # ---------------------------------------------------------------------------------------------------------- verdicts

    def _unknown(self, item: GroundProperty, reason: str) -> Verdict:
        return Verdict(item.name, Status.UNKNOWN, ENGINE, reason)

    def _violated(self, item: GroundProperty, trace: Trace, notes: tuple[str, ...] = ()) -> Verdict:
        return Verdict(item.name, Status.VIOLATED, ENGINE, trace=trace, notes=notes)

    def _cut(self, bounds: Sequence[str]) -> str:
        """Why not everything was seen, if the search ended early or met these bounds; else empty."""
        if self.exploration.stopped:
            return self.exploration.stopped
        if bounds:
            return f"bound {bounds[0]} hit" if len(bounds) == 1 else f"bounds {', '.join(bounds)} hit"
        return ""

    def _safe(self, item: GroundProperty, notes: tuple[str, ...] = ()) -> Verdict:
        """No violation was found."""
        hit, accepted = self.exploration.bounds_hit, self.ground.system.truncated
        reason = self._cut([bound for bound in hit if bound not in accepted])
        if reason:
            return self._unknown(item, reason)
        return Verdict(item.name, Status.HOLDS, ENGINE, truncated=hit, notes=notes)

    def _never(self, item: GroundProperty) -> Verdict:
        found = self.exploration
        state = found.found.get(self.invariants.index(item))
        if state is None:
            return self._safe(item)
        assert item.rows is not None
        _, values = found.program.rows(item.rows)(found.packed[state])[0]
        return self._violated(item, found.trace(found.path(state), witness=tuple(map(unbox, values))))

    def _deadlock(self, item: GroundProperty) -> Verdict:
        state = deadlock(self.exploration, self.watch)
        if state is not None:
            return self._violated(item, self.exploration.trace_to(state))
        if not self.ground.finished:
            return self._safe(item, ("nothing says when a process has finished: all count as finished",))
        return self._safe(item)

    def _leads_to(self, item: GroundProperty) -> Verdict:
        self.triggered[item.name] = triggers(self.exploration, item, self.watch)
        answer = leads_to(self.exploration, self.fairness, item, self.watch)
        if answer.trace is not None:
            notes = () if answer.exact else ("the loop is fair, but there may be a shorter one with the same stem",)
            return self._violated(item, answer.trace, notes)
        reason = self._cut(self.exploration.bounds_hit) or ("timelock" if self.timelocked else "")
        return self._unknown(item, reason) if reason else Verdict(item.name, Status.HOLDS, ENGINE)

    def _always_possible(self, item: GroundProperty) -> Verdict:
        reason = self._cut(self.exploration.bounds_hit)
        if reason:
            return self._unknown(item, reason)
        state = impossible(self.exploration, self.graph, item, self.watch)
        if state is not None:
            return self._violated(item, self.exploration.trace_to(state))
        return Verdict(item.name, Status.HOLDS, ENGINE)
