"""Leads-to under fairness: is there a fair run on which a row stays pending for ever, and which is the shortest lasso?

A *pending* state has the row and not the goal; from then on the run stays *open*: without the goal (or, when the row should be
gone, with the row).  A violation is a lasso, a stem and a loop.  The loop is open, fair, made of edges that may recur, and has a
tick if time runs; the pending state is on the stem, with everything after it open, or on the loop.  A run may also end, if nothing
that is owed fairness is enabled; its loop has no steps.  Shortest means the shortest stem, and with that the shortest loop.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from txweave.engines.explicit.fair import Fairness
from txweave.engines.explicit.layout import Boxed, unbox
from txweave.engines.explicit.reach import Mask
from txweave.engines.explicit.search import Exploration
from txweave.engines.explicit.watch import Watch
from txweave.system.expr import Value
from txweave.system.ground import GroundProperty
from txweave.trace import Trace

BUDGET = 300_000
"""Pairs of state and obligations met that are visited in search of the shortest loop for one property; with a dozen processes
there may be very many.  When it is used up any fair loop is taken."""

Steps = list[tuple[int, int]]
"""Actions and the states after them."""


@dataclass(frozen=True)
class Lasso:
    """A stem from the initial state and a loop from its end."""

    stem: Steps
    loop: Steps
    witness: tuple[Value, ...]
    exact: bool = True
    """Whether there is no shorter loop for this row."""

    @property
    def length(self) -> tuple[int, int]:
        """The order of lassos."""
        return len(self.stem), len(self.loop)


@dataclass(frozen=True)
class Answer:
    """What was found of a leads-to property.

    ``triggered``: whether there ever was a row.  ``exact``: whether the lasso is known to be a shortest one; its stem always is.
    """

    trace: Trace | None
    triggered: bool
    exact: bool = True


@dataclass(frozen=True)
class _Question:
    """Where one row is pending, and where it is open."""

    values: tuple[Boxed, ...]
    pending: Mask
    open: Mask


def leads_to(exploration: Exploration, fairness: Fairness, item: GroundProperty, watch: Watch) -> Answer:
    """The shortest violation of a leads-to property among the expanded states, if there is one."""
    questions, triggered = _questions(exploration, item, watch)
    best: Lasso | None = None
    exact = True
    budget = _Budget(BUDGET)
    for question in questions:
        watch.poll()
        lasso = _Search(exploration, fairness, question, watch, budget).lasso(best)
        if lasso is None:
            continue
        if best is None or len(lasso.stem) < len(best.stem):
            best, exact = lasso, lasso.exact
        else:
            exact = exact and lasso.exact
            if len(lasso.loop) < len(best.loop):
                best = lasso
    if best is None:
        return Answer(None, triggered)
    # No loop is shorter than one without steps.
    exact = exact or not best.loop
    return Answer(exploration.trace(best.stem + best.loop, len(best.stem), best.witness), triggered, exact)


def triggers(exploration: Exploration, item: GroundProperty, watch: Watch) -> bool:
    """Whether a leads-to property's first query has a row in any state."""
    assert item.rows is not None
    test = exploration.program.conditions([item.rows.some])
    for number, state in enumerate(exploration.packed):
        if test(state):
            return True
        if not number & 4095:
            watch.poll()
    return False


def _questions(exploration: Exploration, item: GroundProperty, watch: Watch) -> tuple[list[_Question], bool]:
    """One question for each row that ever occurs, in the order in which they first do."""
    assert item.rows is not None
    program, size = exploration.program, exploration.expanded
    rows = _where(exploration, program.rows(item.rows), watch)
    goals = _where(exploration, program.rows(item.goal), watch) if item.goal is not None else None
    found: list[_Question] = []
    for values, states in rows.items():
        present = _mask(size, states)
        if goals is None:
            question = _Question(values, present, present)
        else:
            open_ = ~_mask(size, goals.get(values, []))
            question = _Question(values, present & open_, open_)
        if question.pending.any():
            found.append(question)
    return found, bool(rows)


def _where(
    exploration: Exploration, rows: Callable[[int], list[tuple[int, tuple[Boxed, ...]]]], watch: Watch
) -> dict[tuple[Boxed, ...], list[int]]:
    """For each row the states that have it, in order (perhaps repeated); states that were not expanded too."""
    found: dict[tuple[Boxed, ...], list[int]] = {}
    for number, state in enumerate(exploration.packed):
        for _, values in rows(state):
            found.setdefault(values, []).append(number)
        if not number & 4095:
            watch.poll()
    return found


def _mask(size: int, states: list[int]) -> Mask:
    result: Mask = np.zeros(size, dtype=bool)
    places = np.array(states, dtype=np.int64)
    result[places[places < size]] = True
    return result


@dataclass
class _Budget:
    """What is left of :data:`BUDGET`."""

    left: int


class _OutOfBudget(Exception):  # noqa: N818  # not an error
    """The search for the shortest loop takes too long."""


class _Search:
    """The search for the shortest lasso for one row."""

    def __init__(self, exploration: Exploration, fairness: Fairness, question: _Question, watch: Watch, budget: _Budget) -> None:
        self.exploration, self.fairness, self.question, self.watch = exploration, fairness, question, watch
        self.budget = budget
        self.region = fairness.graph.forward.closure(question.pending, question.open)
        """States in which a run may be with the row pending."""
        self.component: dict[int, int] = {}
        """The fair component of a state."""
        self.loops: list[list[int]] = fairness.components(self.region)
        for number, states in enumerate(self.loops):
            self.component.update(dict.fromkeys(states, number))
        enabled = fairness.enabled
        self.ends: set[int] = set()
        """States in which a run may end."""
        if not fairness.timed:
            self.ends = {state for state in np.flatnonzero(self.region).tolist() if not enabled[state]}

    def lasso(self, better_than: Lasso | None) -> Lasso | None:
        """The shortest lasso (one whose stem is longer than that of the given one may be left out)."""
        if not self.component and not self.ends:
            return None
        before = self._before()
        stems: dict[int, tuple[int, int] | None] = {}
        for depth, states in self._after(stems):
            if better_than is not None and depth > better_than.length[0]:
                return None
            for state in states:
                if state in self.ends:
                    return Lasso(self._stem(state, stems), [], self._witness())
            entries = [(state, True) for state in states if state in self.component]
            here = {state for state, _ in entries}
            entries += [(state, False) for state in before.get(depth, ()) if state not in here]
            if entries:
                return self._closed(entries, stems)
        raise AssertionError("a fair component in the region cannot be reached")

    def _before(self) -> dict[int, list[int]]:
        """By depth: states of loops that come by a pending state, which a run can enter before the row is pending."""
        found: dict[int, list[int]] = {}
        pending = self.question.pending
        for states in self.loops:
            if any(pending[state] for state in states):
                for state in states:
                    found.setdefault(self.exploration.depth_of(state), []).append(state)
        return {depth: sorted(states) for depth, states in found.items()}

    def _after(self, stems: dict[int, tuple[int, int] | None]) -> Iterator[tuple[int, list[int]]]:
        """By depth, for every depth: the states that a run with the row pending reaches in so many steps and no fewer.

        ``stems`` gets, for each state, the state before it and the action, or None if the row became pending in it.
        """
        arrows = self.fairness.graph.arrows
        levels = [*self.exploration.levels, len(self.exploration.packed)]
        pending, open_ = self.question.pending, self.question.open
        frontier: list[int] = []
        depth = 0
        while frontier or depth < len(levels) - 1:
            reached: list[int] = []
            if depth < len(levels) - 1:
                end = min(levels[depth + 1], len(pending))
                fresh = np.flatnonzero(pending[levels[depth] : end]) + levels[depth]
                for state in fresh.tolist():
                    if state not in stems:
                        stems[state] = None
                        reached.append(state)
            for state in frontier:
                for edge in range(arrows.offsets[state], arrows.offsets[state + 1]):
                    target = arrows.targets[edge]
                    if target not in stems and open_[target]:
                        stems[target] = (state, arrows.actions[edge])
                        reached.append(target)
            reached.sort()
            yield depth, reached
            frontier = reached
            depth += 1
            self.watch.poll()

    def _stem(self, state: int, stems: dict[int, tuple[int, int] | None]) -> Steps:
        steps: Steps = []
        while (step := stems[state]) is not None:
            steps.append((step[1], state))
            state = step[0]
        return self.exploration.path(state) + steps[::-1]

    def _closed(self, entries: list[tuple[int, bool]], stems: dict[int, tuple[int, int] | None]) -> Lasso:
        """The lasso with the shortest loop that starts in one of the entries, all of which have stems of one length."""
        best: Lasso | None = None
        exact = True
        for entry, pending in entries:
            limit = len(best.loop) - 1 if best is not None else None
            try:
                loop = self._loop(entry, pending, limit)
            except _OutOfBudget:
                exact = False
                loop = self._some_loop(entry, pending) if best is None else None
            if loop is not None:
                stem = self._stem(entry, stems) if pending else self.exploration.path(entry)
                best = Lasso(stem, loop, self._witness())
            if not exact:
                break
        assert best is not None, "a fair component has a fair loop through each of its states"
        return best if exact else replace(best, exact=False)

    def _loop(self, entry: int, pending: bool, limit: int | None) -> Steps | None:
        """The shortest fair loop through a state, of at most ``limit`` steps.

        Breadth-first over states with the obligations met so far: the entities under weak fairness that moved or were not
        enabled; those under strong fairness that moved, and those that were enabled and did not; a tick; a pending state.
        """
        fairness, watch = self.fairness, self.watch
        arrows, moves, enabled, ticks = fairness.arrows, fairness.moves, fairness.enabled, fairness.ticks
        weak, strong = fairness.weak, fairness.strong
        mine, component = self.component[entry], self.component
        wanted = self.question.pending

        def met(state: int, action: int | None, old: tuple[int, int, int, bool, bool]) -> tuple[int, int, int, bool, bool]:
            content, moved, owed, ticked, seen = old
            if action is not None:
                content |= moves[action] & weak
                moved |= moves[action] & strong
                ticked = ticked or ticks[action]
            content |= ~enabled[state] & weak
            owed = (owed | enabled[state] & strong) & ~moved
            return content, moved, owed, ticked, seen or bool(wanted[state])

        first = (entry, met(entry, None, (0, 0, 0, not fairness.timed, pending)))
        came: dict[tuple[int, tuple[int, int, int, bool, bool]], tuple[tuple[int, tuple[int, int, int, bool, bool]], int] | None]
        came = {first: None}
        frontier = [first]
        length = 0
        while frontier and (limit is None or length < limit):
            length += 1
            following = []
            for node in frontier:
                state, old = node
                for edge in range(arrows.offsets[state], arrows.offsets[state + 1]):
                    target, action = arrows.targets[edge], arrows.actions[edge]
                    if component.get(target) != mine:
                        continue
                    new = met(target, action, old)
                    after = (target, new)
                    if target == entry and new[0] == weak and not new[2] and new[3] and new[4]:
                        steps: Steps = [(action, target)]
                        back = came[node]
                        while back is not None:
                            steps.append((back[1], node[0]))
                            node = back[0]
                            back = came[node]
                        return steps[::-1]
                    if after not in came:
                        self.budget.left -= 1
                        if self.budget.left < 0:
                            raise _OutOfBudget
                        came[after] = (node, action)
                        following.append(after)
                        if not len(came) & 4095:
                            watch.poll()
            frontier = following
        return None

    def _some_loop(self, entry: int, pending: bool) -> Steps:
        """A fair loop through a state: from one obligation to the nearest of those that are left, and back."""
        fairness = self.fairness
        mine, component = self.component[entry], self.component
        members = self.loops[mine]
        enabled, weak = fairness.enabled, fairness.weak
        tick, visit = 1 << len(fairness.entities), 2 << len(fairness.entities)
        left = weak & enabled[entry]
        for state in members:
            left |= enabled[state] & fairness.strong
        if fairness.timed:
            left |= tick
        if not pending and not self.question.pending[entry]:
            left |= visit

        def met(action: int, target: int) -> int:
            found = fairness.moves[action] | ~enabled[target] & weak
            if fairness.ticks[action]:
                found |= tick
            return found | visit if self.question.pending[target] else found

        arrows = fairness.arrows
        steps: Steps = []
        here = entry
        while left or here != entry or not steps:
            came: dict[int, tuple[int, int] | None] = {here: None}
            frontier = [here]
            goal: tuple[int, int, int] | None = None
            while goal is None:
                assert frontier, "a fair component is strongly connected and can meet every obligation"
                following: list[int] = []
                for state in frontier:
                    for edge in range(arrows.offsets[state], arrows.offsets[state + 1]):
                        target, action = arrows.targets[edge], arrows.actions[edge]
                        if component.get(target) != mine:
                            continue
                        if goal is None and (met(action, target) & left if left else target == entry):
                            goal = (state, action, target)
                        if target not in came:
                            came[target] = (state, action)
                            following.append(target)
                frontier = following
                self.watch.poll()
            state, action, target = goal
            part: Steps = [(action, target)]
            while (back := came[state]) is not None:
                part.append((back[1], state))
                state = back[0]
            for action, target in reversed(part):
                steps.append((action, target))
                left &= ~met(action, target)
            here = steps[-1][1]
        return steps

    def _witness(self) -> tuple[Value, ...]:
        return tuple(map(unbox, self.question.values))
