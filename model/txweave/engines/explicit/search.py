"""Breadth-first exploration of all reachable states.

The order is fixed: states in the order in which they were found, from each the actions in their order.  So a state's first parent
gives a shortest path to it, and the first state that breaks an invariant a shortest counterexample.

Single states are expanded one after the other until a level has so many that whole blocks of them are faster
(:mod:`txweave.engines.frontier.search`).  What is found is the same, number for number.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from txweave.engines.explicit.layout import Boxed
from txweave.engines.explicit.program import Program
from txweave.engines.explicit.watch import Watch
from txweave.system.expr import Expr
from txweave.system.ground import GroundRows, GroundSystem
from txweave.trace import State, Taken, Trace
from txweave.verdict import Coverage, Limits

if TYPE_CHECKING:
    import networkx as nx

    from txweave.engines.frontier.rows import Rows
    from txweave.engines.frontier.search import Frontier
    from txweave.engines.reduction.key import Reduction

Ints = npt.NDArray[np.signedinteger[Any]]
Mask = npt.NDArray[np.bool_]

POLL = 256
"""States expanded between two looks at the limits."""

MOVES = ("step", "database")
"""Kinds of actions that are moves of a process or of the server, for deadlock."""


WIDE = 1000
"""States in a level from which on blocks are faster than single states."""


class TooLarge(ValueError):  # noqa: N818  # a fact, as in the language of exceptions here
    """A graph has more states than it may have to be handed over."""


@dataclass(frozen=True)
class Graph:
    """The edges from the expanded states, those of state *i* at positions ``offsets[i]`` to ``offsets[i + 1]``.

    A target of -1 is out of bounds: the action is enabled, but leads to no state.  Targets that were not expanded occur.
    """

    offsets: Ints
    targets: Ints
    actions: Ints


@dataclass(frozen=True)
class Quiet:
    """Expanded states in which no process can move, in order, and the ticks from them (targets of -1: not known)."""

    states: Ints
    sources: Ints
    targets: Ints

    @staticmethod
    def of(ticks: dict[int, list[int]]) -> Quiet:
        """From the targets of the ticks from each state."""
        sources = [state for state, targets in ticks.items() for _ in targets]
        targets = [target for targets in ticks.values() for target in targets]
        return Quiet(*(np.array(numbers, dtype=np.int64) for numbers in (list(ticks), sources, targets)))

    @staticmethod
    def joined(parts: Sequence[Quiet]) -> Quiet:
        """All of them together."""
        return Quiet(*(np.concatenate([getattr(part, name) for part in parts]) for name in ("states", "sources", "targets")))

    def before(self, state: int) -> Quiet:
        """Of the states before this one."""
        inside = self.sources < state
        return Quiet(self.states[self.states < state], self.sources[inside], self.targets[inside])


@dataclass
class Exploration:
    """What was found: states by number, in breadth-first order from 0, the initial state.

    States out of bounds are not among them.  The states from ``expanded`` on are known, but not what follows them.
    """

    ground: GroundSystem
    program: Program
    packed: Sequence[int]
    parents: Ints
    """For each state the state that it was first reached from (-1 for the first)."""
    via: Ints
    """For each state the index of the action that first led to it."""
    levels: list[int]
    """The number of the first state of each depth."""
    expanded: int
    taken: list[int]
    """For each ground action, how many transitions are its."""
    bounds_hit: tuple[str, ...]
    found: dict[int, int]
    """For each watched condition that holds somewhere: the first state in which it does."""
    quiet: Quiet
    """If asked for, the expanded states in which no process can move."""
    stopped: str
    """Which limit ended the search; empty when it is complete."""
    seconds: float
    graph: Graph | None = None

    @property
    def complete(self) -> bool:
        """Whether every reachable state was expanded."""
        return not self.stopped

    @property
    def transitions(self) -> int:
        """Transitions found, those out of bounds included."""
        return sum(self.taken)

    @property
    def depth(self) -> int:
        """The greatest distance of a state from the initial one."""
        return len(self.levels) - 1

    def depth_of(self, state: int) -> int:
        """Distance from the initial state."""
        return int(np.searchsorted(self.levels, state, side="right")) - 1

    def state(self, number: int) -> State:
        """The state of that number."""
        return self.program.layout.unpack(self.packed[number])

    @cached_property
    def rows(self) -> Rows:
        """All states, as the rows of an array."""
        from txweave.engines.frontier.rows import packed
        from txweave.engines.frontier.search import Packed

        known = self.packed
        return known.rows if isinstance(known, Packed) else packed(known, self.program.layout.words)

    def holds(self, condition: Expr, poll: Callable[[], None] = lambda: None) -> Mask:
        """The states in which a condition holds; ``poll`` is called now and then."""
        from txweave.engines.frontier.queries import Conditions, blocks

        test = Conditions(self.program, [condition])
        found: Mask = np.zeros(len(self.packed), dtype=bool)
        for start, block in blocks(self.rows, poll):
            found[start : start + len(block)] = test(block)[0]
        return found

    def where(self, query: GroundRows, poll: Callable[[], None] = lambda: None) -> dict[tuple[Boxed, ...], Ints]:
        """For each row that a query ever has, in the order in which they come up, the states that have it."""
        from txweave.engines.frontier.queries import Query, blocks

        rows = Query(self.program, query)
        found: dict[tuple[Boxed, ...], list[Ints]] = {}
        first: dict[tuple[Boxed, ...], tuple[int, int]] = {}
        for start, block in blocks(self.rows, poll):
            for number, values, states in rows(block):
                found.setdefault(values, []).append(states + start)
                place = int(states[0]) + start, number
                first[values] = min(first.get(values, place), place)
        return {values: np.concatenate(found[values]) for values in sorted(first, key=lambda values: first[values])}

    def path(self, number: int) -> list[tuple[int, int]]:
        """A shortest path to a state: actions and the states after them."""
        steps: list[tuple[int, int]] = []
        while number:
            steps.append((int(self.via[number]), number))
            number = int(self.parents[number])
        return steps[::-1]

    def trace(self, steps: Sequence[tuple[int, int]], loop: int | None = None, witness: tuple[Any, ...] | None = None) -> Trace:
        """Actions and states as a trace."""
        taken = tuple(Taken(self.ground.actions[action], self.state(state)) for action, state in steps)
        return Trace(self.ground, taken, loop, witness)

    def trace_to(self, number: int) -> Trace:
        """A shortest run to a state."""
        return self.trace(self.path(number))

    def coverage(self, triggered: dict[str, bool] | None = None) -> Coverage:
        """Transitions per action of the sorted system, and the bounds hit."""
        actions = self.ground.system.actions
        place = {id(action): number for number, action in enumerate(actions)}
        taken = [0] * len(actions)
        for action, number in zip(self.ground.actions, self.taken, strict=True):
            taken[place[id(action.action)] if id(action.action) in place else actions.index(action.action)] += number
        return Coverage(tuple(taken), self.bounds_hit, triggered or {})

    def networkx(self, limit: int = 10_000) -> nx.MultiDiGraph[int]:
        """The graph, for those who want to look at it: nodes have a ``state``, edges an ``action`` and its ``name``.

        Raises:
            TooLarge: it has more than ``limit`` states.
            ValueError: the edges were not recorded.
        """
        if len(self.packed) > limit:
            raise TooLarge(f"the graph has {len(self.packed)} states, more than the {limit} allowed here")
        if self.graph is None:
            raise ValueError("the edges were not recorded: explore with graph=True")
        import networkx as nx

        result: nx.MultiDiGraph[int] = nx.MultiDiGraph(name=self.ground.system.name)
        for number in range(len(self.packed)):
            result.add_node(number, state=self.state(number), expanded=number < self.expanded)
        for number in range(self.expanded):
            for edge in range(int(self.graph.offsets[number]), int(self.graph.offsets[number + 1])):
                target, action = int(self.graph.targets[edge]), int(self.graph.actions[edge])
                if target >= 0:
                    result.add_edge(number, target, key=action, action=action, name=self.ground.actions[action].name)
        return result


def explore(
    ground: GroundSystem,
    *,
    graph: bool = False,
    limits: Limits | None = None,
    watched: Sequence[Expr] = (),
    quiet: bool = False,
    first_violation: bool = False,
    watch: Watch | None = None,
    program: Program | None = None,
    wide: int | None = WIDE,
    reduction: Reduction | None = None,
) -> Exploration:
    """All reachable states, or as many as the limits allow.

    Args:
        ground: the system.
        graph: record the edges.
        limits: when to give up.
        watched: conditions that are looked for in every state.
        quiet: record the states in which no process can move.
        first_violation: end as soon as every watched condition was found.
        watch: limits that are being watched already, instead of ``limits``.
        program: the system's program, if there is one already.
        wide: how many states a level has from which on blocks are explored; None: never.
        reduction: of the states with one key only the first is kept; edges to the others lead to it.
    """
    program = program or Program(ground)
    start = Run(ground, watch or Watch(limits), program, graph, list(watched), quiet, first_violation, wide, reduction)
    run: Run | Frontier = start
    try:
        stopped = start.go()
        if stopped is None:
            # Imported late: most systems are small.
            from txweave.engines.frontier.search import Frontier

            run = Frontier(start)
            stopped = run.go()
    except KeyboardInterrupt:
        stopped = "interrupted"
    return run.result(stopped)


class Run:
    """An exploration under way.  Whatever interrupts it, the states before ``expanded`` are complete."""

    def __init__(
        self,
        ground: GroundSystem,
        watch: Watch,
        program: Program,
        graph: bool,
        watched: list[Expr],
        quiet: bool,
        first_violation: bool,
        wide: int | None,
        reduction: Reduction | None,
    ) -> None:
        self.reduction = reduction
        self.ground, self.watch, self.program, self.first_violation = ground, watch, program, first_violation
        self.wide = 1 << 62 if wide is None else wide
        self.packed = [program.initial]
        self.parents = array("i", [-1])
        self.via = array("i", [-1])
        self.levels = [0]
        self.end = 1
        """Number of the state after the last of the level that is being expanded."""
        self.expanded = 0
        self.taken = [0] * len(ground.actions)
        self.hits: set[int] = set()
        self.found: dict[int, int] = {}
        self.quiet: dict[int, list[int]] | None = {} if quiet else None
        self.offsets = array("q", [0])
        self.targets: array[int] | None = array("i") if graph else None
        self.actions = array("i")
        self.watched = watched
        self.wanted = list(range(len(watched)))
        """The watched conditions that have not been found yet."""
        self.test: Callable[[int], int] | None = None
        self._again()

    def _again(self) -> None:
        self.wanted = [number for number in self.wanted if number not in self.found]
        self.test = self.program.conditions([self.watched[n] for n in self.wanted]) if self.wanted else None

    def _note(self, bits: int, state: int) -> None:
        for position, number in enumerate(self.wanted):
            if bits >> position & 1:
                self.found[number] = state
        self._again()

    def go(self) -> str | None:
        """Explore; returns what stopped it, or None at the beginning of a level that is wide."""
        packed, parents, via, taken = self.packed, self.parents, self.via, self.taken
        targets, actions, offsets, quiet, hits = self.targets, self.actions, self.offsets, self.quiet, self.hits
        successors = self.program.successors
        moves = [action.kind in MOVES for action in self.ground.actions]
        ticks = [action.kind == "tick" for action in self.ground.actions]
        numbers = {packed[0]: 0}
        number_of = numbers.get
        key = self.reduction.key if self.reduction is not None else None
        keys: dict[int, int] = {}
        if key is not None:
            keys[key(packed[0])] = 0
        most = self.watch.limits.max_states
        most = len(packed) + (1 << 62) if most is None else most
        if self.test is not None and (bits := self.test(packed[0])):
            self._note(bits, 0)
        count = 1
        while True:
            end = self.end = count
            if end - self.levels[-1] >= self.wide:
                return None
            for state in range(self.levels[-1], end):
                if not state % POLL:
                    why = self.watch.reached()
                    if why:
                        return why
                    self.watch.report(len(self.levels) - 1, count, sum(taken), count - state)
                if self.first_violation and self.watched and self.test is None:
                    return "first-violation"
                following = successors(packed[state])
                for action, after in following:
                    taken[action] += 1
                    target = number_of(after)
                    if target is None:
                        if after < 0:
                            hits.add(-after)
                            target = -1
                        elif key is not None and (target := keys.get(key(after))) is not None:
                            numbers[after] = target
                        elif count >= most:
                            return "max-states"
                        else:
                            target = numbers[after] = count
                            if key is not None:
                                keys[key(after)] = count
                            packed.append(after)
                            parents.append(state)
                            via.append(action)
                            count += 1
                            if self.test is not None and (bits := self.test(after)):
                                self._note(bits, target)
                    if targets is not None:
                        targets.append(target)
                        actions.append(action)
                if quiet is not None and not any(moves[action] for action, _ in following):
                    quiet[state] = [number_of(after, -1) for action, after in following if ticks[action]]
                if targets is not None:
                    offsets.append(len(targets))
                self.expanded = state + 1
            if count == end:
                return ""
            self.levels.append(end)

    def result(self, stopped: str | None) -> Exploration:
        """What is known; an interruption may have come at any moment."""
        count = min(len(self.packed), len(self.parents), len(self.via))
        expanded = min(self.expanded, len(self.offsets) - 1) if self.targets is not None else self.expanded
        del self.packed[count:], self.parents[count:], self.via[count:]
        levels = [level for level in self.levels if level < count]
        if levels[-1] < self.end < count:
            levels.append(self.end)  # the level that was being found
        edges = None
        if self.targets is not None:
            offsets = np.array(self.offsets[: expanded + 1], dtype=np.int64)
            size = int(offsets[-1])
            edges = Graph(offsets, np.array(self.targets[:size], dtype=np.int32), np.array(self.actions[:size], dtype=np.int32))
        bounds = self.program.layout.bounds
        return Exploration(
            self.ground,
            self.program,
            self.packed,
            np.array(self.parents, dtype=np.int32),
            np.array(self.via, dtype=np.int32),
            levels,
            expanded,
            self.taken,
            tuple(sorted(str(bounds[code]) for code in self.hits)),
            {number: state for number, state in self.found.items() if state < count},
            Quiet.of(self.quiet or {}).before(expanded),
            stopped or "",
            self.watch.seconds,
            edges,
        )
