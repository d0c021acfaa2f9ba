"""Breadth-first exploration, a block of states at a time.

It goes on where the exploration of single states stopped, at the beginning of a level, and finds the same: the same states under
the same numbers, the same first parents, the same edges in the same order.  Transitions come in the order of their states, and from
each in that of the actions (:class:`~txweave.engines.frontier.kernel.Batch`); the store numbers new states in this order.

Two threads work on it, as far as numpy lets them: while the transitions of one block are taken into the store, those of the next
are computed.  Which block that is depends on what is known and not on time, so nothing depends on which thread is faster.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, NamedTuple, overload

import numpy as np

from txweave.engines.explicit.search import MOVES, Exploration, Graph, Quiet
from txweave.engines.frontier.kernel import BLOCK, Batch, Kernel
from txweave.engines.frontier.queries import Conditions
from txweave.engines.frontier.rows import Ints, Rows, integers, packed, values
from txweave.engines.frontier.store import Store

if TYPE_CHECKING:
    from txweave.engines.explicit.search import Run

PARTS = 4
"""Blocks of a level, at least, so that two threads have something to do; but none of less than :data:`LEAST` states."""

LEAST = 1 << 13


class Packed(Sequence[int]):
    """States in rows, as the sequence of their integers."""

    def __init__(self, rows: Rows) -> None:
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    @overload
    def __getitem__(self, number: int) -> int: ...

    @overload
    def __getitem__(self, number: slice) -> list[int]: ...

    def __getitem__(self, number: int | slice) -> int | list[int]:
        if isinstance(number, slice):
            return integers(self.rows[number])
        return int.from_bytes(self.rows[number].tobytes(), "little")


class _Ahead(NamedTuple):
    """The transitions from the states ``start`` to ``stop``, computed in another thread."""

    start: int
    stop: int
    batch: Future[Batch]


class Frontier:
    """An exploration under way.  Whatever interrupts it, what was noted of whole blocks is complete."""

    def __init__(self, run: Run) -> None:
        self.ground, self.watch, self.program = run.ground, run.watch, run.program
        self.first_violation, self.wide = run.first_violation, run.wide
        self.kernel = Kernel(run.program)
        self.store = Store(run.program.layout.words)
        self.reduction = run.reduction
        rows = packed(run.packed, run.program.layout.words)
        numbers, _ = self.store.add(self._keys(rows))
        assert numbers[-1] == len(run.packed) - 1
        self.firsts: Rows | None = rows if run.reduction is not None else None
        """Of the states with one key the one that was found first, if these are not the keys themselves: ``firsts[:count]``."""
        self.levels, self.end, self.expanded = list(run.levels), run.end, run.expanded
        self.taken = np.array(run.taken, dtype=np.int64)
        self.hits, self.found = set(run.hits), dict(run.found)
        self.watched, self.wanted = run.watched, list(run.wanted)
        self.parents: list[Ints] = [np.array(run.parents, dtype=np.int32)]
        self.narrow = np.int16 if len(run.ground.actions) < 1 << 15 else np.int32
        """Numbers of actions: as many bytes as they need, since every state has one."""
        self.via: list[Ints] = [np.array(run.via, dtype=self.narrow)]
        self.edges = run.targets is not None
        self.targets: list[Ints] = [np.array(run.targets or (), dtype=np.int32)]
        self.actions: list[Ints] = [np.array(run.actions, dtype=np.int32)]
        self.degrees: list[Ints] = [np.array(run.offsets[1:], dtype=np.int64) - np.array(run.offsets[:-1], dtype=np.int64)]
        self.quiet = None if run.quiet is None else [Quiet.of(run.quiet)]
        kinds = [action.kind for action in run.ground.actions]
        self.moves = np.array([kind in MOVES for kind in kinds], dtype=bool)
        self.ticks = np.array([kind == "tick" for kind in kinds], dtype=bool)
        self.test: Conditions | None = None
        self.ahead: _Ahead | None = None
        self._again()

    @property
    def states(self) -> Rows:
        """The states, by number; there may be more rows than states."""
        return self.store.rows if self.firsts is None else self.firsts

    def _keys(self, rows: Rows) -> Rows:
        return rows if self.reduction is None else self.reduction.keys(rows)

    def _add(self, rows: Rows) -> tuple[Ints, Ints]:
        """The numbers of states, and the places of those that are new."""
        known = self.store.count
        numbers, fresh = self.store.add(self._keys(rows))
        if self.firsts is not None:
            if known + fresh.size > len(self.firsts):
                size = max(known + fresh.size, len(self.firsts) + len(self.firsts) // 2)
                larger = np.empty((size, self.firsts.shape[1]), dtype="<u8")
                larger[:known] = self.firsts[:known]
                self.firsts = larger
            self.firsts[known : known + fresh.size] = rows.take(fresh, axis=0)
        return numbers, fresh

    def _again(self) -> None:
        self.wanted = [number for number in self.wanted if number not in self.found]
        self.test = Conditions(self.program, [self.watched[n] for n in self.wanted]) if self.wanted else None

    def go(self) -> str:
        """Explore; returns what stopped it."""
        with ThreadPoolExecutor(1) as pool:
            while True:
                stopped = self._level(pool)
                if stopped:
                    return stopped
                if self.store.count == self.end:
                    return ""
                self.levels.append(self.end)
                self.end = self.store.count

    def _level(self, pool: ThreadPoolExecutor) -> str:
        """Expand the last level; returns what stopped the search."""
        start, end = self.levels[-1], self.end
        wide = end - start >= self.wide
        size = min(BLOCK, max(LEAST, (end - start) // PARTS))
        while start < end:
            why = self.watch.reached(rarely=True)
            if why:
                return why
            self.watch.report(len(self.levels) - 1, self.store.count, int(self.taken.sum()), self.store.count - start)
            if self.first_violation and self.watched and self.test is None:
                return "first-violation"
            if self.ahead is not None:
                assert self.ahead.start == start
                stop, batch = self.ahead.stop, self.ahead.batch.result()
            else:
                stop = min(start + size, end)
                rows = self._rows(start, stop)
                batch = self.kernel.successors(rows) if wide else self.kernel.one_by_one(rows)
            # The next block: of this level, or of what is known of the next one if that is enough to begin with.
            following = min(stop + size, end if stop < end else self.store.count)
            worth = wide and following - stop >= (1 if stop < end else LEAST)
            self.ahead = (
                _Ahead(stop, following, pool.submit(self.kernel.successors, self._rows(stop, following))) if worth else None
            )
            stopped = self._note(batch, start, stop - start)
            if stopped and not (stopped == "first-violation" and self.expanded == end):
                return stopped
            start = stop
        return ""

    def _rows(self, start: int, stop: int) -> Rows:
        """A copy of states: adding others may move the store."""
        return self.states[start:stop].copy()

    def _note(self, batch: Batch, start: int, size: int) -> str:
        """Take the transitions from the states ``start`` to ``start + size``; returns what stopped the search among them."""
        known = self.store.count
        count, expanded, stopped = len(batch.sources), size, ""
        numbers, fresh = self._add(batch.targets)
        targets, new = numbers, fresh
        if batch.bounds is not None:
            inside = np.flatnonzero(batch.bounds == 0)
            targets = np.full(count, -1, dtype=np.int64)
            targets[inside] = numbers
            new = inside.take(fresh)
        most = self.watch.limits.max_states
        if most is not None and known + new.size > most:
            # The transition to one state too many is the last that counts; its state is not expanded.
            last = int(new[most - known])
            count, expanded, stopped = last + 1, int(batch.sources[last]), "max-states"
            new = new[: most - known]
        if self.test is not None and new.size:
            for number, holds in zip(self.wanted, self.test(self.states[known : known + new.size]), strict=True):
                if holds.any():
                    self.found[number] = known + int(holds.argmax())
            if any(number in self.found for number in self.wanted):
                if self.ahead is not None:
                    wait([self.ahead.batch])  # code is made in one thread at a time
                self._again()
            if self.test is None and self.first_violation:
                source = int(batch.sources[new[max(self.found.values()) - known]])
                if source < expanded:
                    # The state from which the last one was found is expanded, but none after it.
                    count, expanded, stopped = (
                        int(np.searchsorted(batch.sources, source, side="right")),
                        source + 1,
                        "first-violation",
                    )
                    new = new[: int(np.searchsorted(new, count))]
        whole = int(np.searchsorted(batch.sources, expanded))
        """The transitions from states that are expanded."""
        self._record(batch, start, (count, whole, expanded), targets, new)
        self.store.count = known + new.size
        self.expanded = start + expanded
        return stopped

    def _record(self, batch: Batch, start: int, limits: tuple[int, int, int], targets: Ints, new: Ints) -> None:
        count, whole, expanded = limits
        if batch.bounds is not None:
            # The transition that was too many is none out of bounds.
            self.hits.update(values(batch.bounds[:count][targets[:count] < 0]).tolist())
        self.taken += np.bincount(batch.actions[:count], minlength=len(self.taken))
        sources, actions = batch.sources[:whole], batch.actions[:whole]
        if self.quiet is not None:
            still = np.ones(expanded, dtype=bool)
            still[sources[self.moves[actions]]] = False
            ticking = np.flatnonzero(self.ticks[actions] & still[sources])
            after = targets.take(ticking)
            self.quiet.append(Quiet(np.flatnonzero(still) + start, sources.take(ticking).astype(np.int64) + start, after))
        if self.edges:
            self.targets.append(targets[:whole].astype(np.int32))
            self.actions.append(actions)
            self.degrees.append(np.bincount(sources, minlength=expanded))
        self.via.append(batch.actions.take(new).astype(self.narrow))
        self.parents.append(batch.sources.take(new).astype(np.int32) + np.int32(start))

    def result(self, stopped: str) -> Exploration:
        """What is known; an interruption may have come at any moment, and all that was noted of its block is dropped."""
        self.store.forget()
        parents, via = np.concatenate(self.parents), np.concatenate(self.via)
        count = min(len(parents), len(via), self.store.count)
        expanded = self.expanded
        levels = [level for level in self.levels if level < count]
        if levels[-1] < self.end < count:
            levels.append(self.end)  # the level that was being found
        edges = None
        if self.edges:
            degrees = np.concatenate(self.degrees)[:expanded]
            offsets = np.concatenate(([0], np.cumsum(degrees)))
            size = int(offsets[-1])
            edges = Graph(offsets, np.concatenate(self.targets)[:size], np.concatenate(self.actions)[:size])
        bounds = self.program.layout.bounds
        quiet = Quiet.joined(self.quiet) if self.quiet is not None else Quiet.of({})
        return Exploration(
            self.ground,
            self.program,
            Packed(self.states[:count]),
            parents[:count],
            via[:count],
            levels,
            expanded,
            self.taken.tolist(),
            tuple(sorted(str(bounds[code]) for code in self.hits)),
            {number: state for number, state in self.found.items() if state < count},
            quiet.before(expanded),
            stopped,
            self.watch.seconds,
            edges,
        )
