"""A set of states in arrays, which numbers them in the order in which they are added.

An open-addressing hash table holds, for each state, its number and 31 bits of its hash.  A hash only says where to look: states are
the same if all their words are.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from txweave.engines.frontier.rows import Ints, Mask, Rows

Hashes = npt.NDArray[np.uint64]

LEAST = 1 << 12
"""Places in the smallest table."""

SMALL = 1 << 21
"""A table of fewer places grows by more, since it costs little room."""

LOAD = 0.6
"""The table is enlarged when more than this part of it is taken."""

_NUMBER = (1 << 32) - 1
_SEEDS = (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0xD6E8FEB86659FD93)


class Store:
    """The states found so far: ``rows[:count]``, by number."""

    def __init__(self, words: int) -> None:
        self.words = words
        self.count = 0
        self.rows: Rows = np.zeros((LEAST, words), dtype="<u8")
        self._slots: Ints
        self._bits = 0
        self._enlarge(LEAST)

    def add(self, rows: Rows) -> tuple[Ints, Ints]:
        """The numbers of states, and the places in ``rows`` of those that are new: each where it comes first.

        New states get the numbers from ``count`` on, in this order.
        """
        count, new = self.count, len(rows)
        self._reserve(new)
        # New states are compared where they lie, beyond the known ones; their number is provisional: count + place in ``rows``.
        self.rows[count : count + new] = rows
        hashes = _hashes(rows)
        # In the order of the table, so that its pages are visited one after the other; equal states stay in their order.
        open_ = np.argsort((hashes >> np.uint64(48)).astype(np.uint16), kind="stable")
        hashes = hashes.take(open_)
        place, tag = self._places(hashes), _tags(hashes)
        numbers = np.empty(new, dtype=np.int64)
        at = np.zeros(new, dtype=np.int64)
        """Where a new state is in the table; 0 for the others, and by chance: ``first`` tells."""
        first: Mask = np.zeros(new, dtype=bool)
        last = len(self._slots) - 1
        while open_.size:
            there = self._slots.take(place)
            alike = np.flatnonzero((there ^ tag) >> 32 == 0)
            known, asked = there.take(alike) & _NUMBER, open_.take(alike)
            same = _equal(self.rows.take(known, axis=0), rows.take(asked, axis=0))
            left = np.ones(open_.size, dtype=bool)
            if same.all():
                numbers[asked] = known
                left[alike] = False
            else:
                numbers[asked[same]] = known[same]
                left[alike[same]] = False
            # A free place is taken by the first that wants it (the last one written, of repeated indices); the others look again,
            # and those that found another state there look at the next place.
            wanting = np.flatnonzero(there < 0)
            step = np.ones(open_.size, dtype=np.int64)
            step[wanting] = 0
            if wanting.size:
                wanted, who = place.take(wanting), open_.take(wanting)
                claim = tag.take(wanting) | (who + count)
                self._slots[wanted[::-1]] = claim[::-1]
                won = self._slots.take(wanted) == claim
                winners = who[won]
                first[winners] = True
                numbers[winners] = winners + count
                at[winners] = wanted[won]
                left[wanting[won]] = False
            rest = np.flatnonzero(left)
            open_, tag = open_.take(rest), tag.take(rest)
            place = (place.take(rest) + step.take(rest)) & last
        fresh = np.flatnonzero(first)
        final = np.arange(count, count + fresh.size)
        places = at.take(fresh)
        self._slots[places] = self._slots.take(places) & ~_NUMBER | final
        self.rows[count : count + fresh.size] = rows.take(fresh, axis=0)
        if fresh.size < new:
            place_of = np.empty(new, dtype=np.int64)
            place_of[fresh] = final
            provisional = np.flatnonzero(numbers >= count)
            numbers[provisional] = place_of.take(numbers.take(provisional) - count)
        self.count = count + int(fresh.size)
        return numbers, fresh

    def forget(self) -> None:
        """Give back the memory of the table: nothing is added any more, or it is made anew."""
        self._slots = np.empty(0, dtype=np.int64)

    def _reserve(self, new: int) -> None:
        """Room for so many more states, even if all of them are new."""
        needed = self.count + new
        if needed > len(self.rows):
            # What is allocated is filled, and so takes memory: where it is much, little more than is needed.
            held = len(self.rows)
            size = max(needed, held + (held // 2 if held < SMALL else held // 8))
            self.rows.resize((size, self.words), refcheck=False)
        size = 1 << self._bits
        if self.count > LOAD * size or needed > 0.9 * size:
            while needed > LOAD * size:
                size *= 4 if size < SMALL else 2
            self._enlarge(size)

    def _places(self, hashes: Hashes) -> Ints:
        """Where to look first."""
        return (hashes >> np.uint64(64 - self._bits)).astype(np.int64)

    def _enlarge(self, size: int) -> None:
        self._bits = size.bit_length() - 1
        self.forget()
        self._slots = np.full(size, -1, dtype=np.int64)
        for start in range(0, self.count, 1 << 20):
            hashes = _hashes(self.rows[start : min(start + (1 << 20), self.count)])
            order = np.argsort((hashes >> np.uint64(48)).astype(np.uint16), kind="stable")
            hashes = hashes.take(order)
            place, entry = self._places(hashes), _tags(hashes) | (order + start)
            while place.size:
                free = self._slots.take(place) < 0
                self._slots[place[free]] = entry[free]
                rest = np.flatnonzero(self._slots.take(place) != entry)
                place, entry = (place.take(rest) + 1) & (size - 1), entry.take(rest)


def _tags(hashes: Hashes) -> Ints:
    return (hashes & np.uint64(_NUMBER >> 1)).astype(np.int64) << 32


def _equal(one: Rows, other: Rows) -> Mask:
    same: Mask = one[:, 0] == other[:, 0]
    for word in range(1, one.shape[1]):
        same &= one[:, word] == other[:, word]
    return same


def _hashes(rows: Rows) -> Hashes:
    """Multiply and shift, word by word."""
    result: Hashes = rows[:, 0] * np.uint64(_SEEDS[0])
    shifted = np.empty_like(result)
    for word in range(1, rows.shape[1]):
        np.right_shift(result, np.uint64(32), out=shifted)
        np.bitwise_xor(result, shifted, out=result)
        np.add(result, rows[:, word], out=result)
        np.multiply(result, np.uint64(_SEEDS[word % len(_SEEDS)]), out=result)
    for shift in (29, 32):
        np.right_shift(result, np.uint64(shift), out=shifted)
        np.bitwise_xor(result, shifted, out=result)
        np.multiply(result, np.uint64(_SEEDS[3]), out=result)
    return result
