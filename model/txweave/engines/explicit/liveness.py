"""Leads-to under fairness: is there a fair run on which a row stays pending for ever, and which is the shortest lasso?

A *pending* state has the row and not the goal; from then on the run stays *open*: without the goal (or, when the row should be
gone, with the row).  A violation is a lasso, a stem and a loop.  The loop is open, fair, made of edges that may recur, and has a
tick if time runs; the pending state is on the stem, with everything after it open, or on the loop.  A run may also end, if nothing
that is owed fairness is enabled; its loop has no steps.  Shortest means the shortest stem, and with that the shortest loop.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from txweave.engines.explicit.fair import Fairness
from txweave.engines.explicit.layout import Boxed, unbox
from txweave.engines.explicit.reach import Arrows
from txweave.engines.explicit.search import Exploration, Ints, Mask
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
    return bool(exploration.holds(item.rows.some, watch.poll).any())


def _questions(exploration: Exploration, item: GroundProperty, watch: Watch) -> tuple[list[_Question], bool]:
    """One question for each row that ever occurs, in the order in which they first do."""
    assert item.rows is not None
    size = exploration.expanded
    rows = exploration.where(item.rows, watch.poll)
    goals = exploration.where(item.goal, watch.poll) if item.goal is not None else None
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


def _mask(size: int, states: Ints | list[int]) -> Mask:
    result: Mask = np.zeros(size, dtype=bool)
    places = np.asarray(states, dtype=np.int64)
    result[places[places < size]] = True
    return result


@dataclass
class _Budget:
    """What is left of :data:`BUDGET`."""

    left: int


class _OutOfBudget(Exception):  # noqa: N818  # not an error
    """The search for the shortest loop takes too long."""


class _Walk:
    """The edges that may be taken for ever, and who is enabled where, as Python's integers."""

    def __init__(self, fairness: Fairness) -> None:
        self.arrows = Arrows(fairness.graph, fairness.recurring)
        self.moves: list[int] = fairness.moves.tolist()
        self.enabled: list[int] = fairness.enabled.tolist()
        self.ticks: list[bool] = fairness.ticks.tolist()


class _Stems:
    """For each state the edge by which a run with the row pending first comes to it."""

    def __init__(self, size: int) -> None:
        self.known: Mask = np.zeros(size, dtype=bool)
        self.before: Ints = np.full(size, -1, dtype=np.int32)
        """The state before; -1 where the row became pending."""
        self.via: Ints = np.zeros(size, dtype=np.int32)

    def path(self, state: int) -> tuple[int, Steps]:
        """Where the row became pending, and the way from there."""
        steps: Steps = []
        while (source := int(self.before[state])) >= 0:
            steps.append((int(self.via[state]), state))
            state = source
        return state, steps[::-1]


class _Search:
    """The search for the shortest lasso for one row."""

    def __init__(self, exploration: Exploration, fairness: Fairness, question: _Question, watch: Watch, budget: _Budget) -> None:
        self.exploration, self.fairness, self.question, self.watch = exploration, fairness, question, watch
        self.budget = budget
        self.region = fairness.graph.forward.closure(question.pending, question.open)
        """States in which a run may be with the row pending."""
        self.loops = fairness.components(self.region)
        self.looping: Mask = np.zeros(fairness.graph.size, dtype=bool)
        """The states of fair components."""
        self.circling: Mask = np.zeros(fairness.graph.size, dtype=bool)
        """Of those, the states of components with a pending state, which a run can enter before the row is pending."""
        for states in self.loops:
            self.looping[states] = True
            self.circling[states] = bool(question.pending[states].any())
        self.ends: Mask = np.zeros(fairness.graph.size, dtype=bool)
        """States in which a run may end."""
        if not fairness.timed:
            self.ends = self.region & (fairness.enabled == 0)

    @cached_property
    def component(self) -> dict[int, int]:
        """The fair component of a state."""
        return {state: number for number, states in enumerate(self.loops) for state in states.tolist()}

    @cached_property
    def walk(self) -> _Walk:
        """The recurring edges."""
        return _Walk(self.fairness)

    def lasso(self, better_than: Lasso | None) -> Lasso | None:
        """The shortest lasso (one whose stem is longer than that of the given one may be left out)."""
        if not self.loops and not self.ends.any():
            return None
        stems = _Stems(self.fairness.graph.size)
        for depth, reached in self._after(stems):
            if better_than is not None and depth > better_than.length[0]:
                return None
            ending = reached[self.ends[reached]]
            if ending.size:
                return Lasso(self._stem(int(ending[0]), stems), [], self._witness())
            entries = [(state, True) for state in reached[self.looping[reached]].tolist()]
            here = {state for state, _ in entries}
            entries += [(state, False) for state in self._at(self.circling, depth).tolist() if state not in here]
            if entries:
                return self._closed(entries, stems)
        raise AssertionError("a fair component in the region cannot be reached")

    def _at(self, states: Mask, depth: int) -> Ints:
        """The states at that depth, of some."""
        levels = [*self.exploration.levels, len(self.exploration.packed)]
        if depth >= len(levels) - 1:
            return np.zeros(0, dtype=np.int64)
        return np.flatnonzero(states[levels[depth] : levels[depth + 1]]) + levels[depth]

    def _after(self, stems: _Stems) -> Iterator[tuple[int, Ints]]:
        """By depth, for every depth: the states that a run with the row pending reaches in so many steps and no fewer.

        ``stems`` gets, for each state, the state before it and the action, or none if the row became pending in it.
        """
        graph, forward = self.fairness.graph, self.fairness.graph.forward
        pending, open_ = self.question.pending, self.question.open
        frontier: Ints = np.zeros(0, dtype=np.int64)
        depth = 0
        while frontier.size or depth < len(self.exploration.levels):
            fresh = self._at(pending, depth)
            fresh = fresh[~stems.known[fresh]]
            stems.known[fresh] = True
            edges, counts = forward.edges(frontier)
            sources, targets = np.repeat(frontier, counts), graph.targets[edges]
            good = ~stems.known[targets] & open_[targets]
            # Of several edges to a state the first.
            reached, first = np.unique(targets[good], return_index=True)
            stems.known[reached] = True
            stems.before[reached] = sources[good][first]
            stems.via[reached] = graph.actions[edges][good][first]
            frontier = np.sort(np.concatenate((fresh, reached)))
            yield depth, frontier
            depth += 1
            self.watch.poll()

    def _stem(self, state: int, stems: _Stems) -> Steps:
        start, steps = stems.path(state)
        return self.exploration.path(start) + steps

    def _closed(self, entries: list[tuple[int, bool]], stems: _Stems) -> Lasso:
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
        fairness, watch, walk = self.fairness, self.watch, self.walk
        arrows, moves, enabled, ticks = walk.arrows, walk.moves, walk.enabled, walk.ticks
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
        fairness, walk = self.fairness, self.walk
        mine, component = self.component[entry], self.component
        members = self.loops[mine].tolist()
        enabled, weak = walk.enabled, fairness.weak
        tick, visit = 1 << len(fairness.entities), 2 << len(fairness.entities)
        left = weak & enabled[entry]
        for state in members:
            left |= enabled[state] & fairness.strong
        if fairness.timed:
            left |= tick
        if not pending and not self.question.pending[entry]:
            left |= visit

        def met(action: int, target: int) -> int:
            found = walk.moves[action] | ~enabled[target] & weak
            if walk.ticks[action]:
                found |= tick
            return found | visit if self.question.pending[target] else found

        arrows = walk.arrows
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
