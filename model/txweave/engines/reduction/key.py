"""Keys: states with one key count as one state.

The key of a state is the least, as a number, of all its renamings (:mod:`~txweave.engines.reduction.symmetry`), after the bits of
what is not live have been cleared (:mod:`~txweave.engines.reduction.live`).  So two states with one key are bisimilar: each of the
two relations is a bisimulation on all states, reachable or not, and so is what they generate together.

**Counterexamples need no mapping back.**  The search keeps, of all states with one key, the one that it finds first, as it is, and
goes on from there: what it finds is a real run.  It is even the run that the unreduced search finds.  That one is the first, in the
order of the search, of the shortest runs to a violation.  Were a state on it not the first with its key, then from the one that is
first the rest of the run could be repeated, by bisimilar steps, and a run that comes earlier would reach a violation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from txweave.engines.explicit.layout import Layout
from txweave.engines.explicit.program import Program
from txweave.engines.explicit.source import make
from txweave.engines.frontier.rows import Ints, Mask, Rows
from txweave.engines.reduction.live import Live, live
from txweave.engines.reduction.symmetry import Orbit, orbits, renamings
from txweave.system.expr import Elem
from txweave.system.ground import GroundProperty

WORD = 64


@dataclass(frozen=True)
class Renaming:
    """What a renaming does to a packed state: bits that stay, bits that move, and fields whose codes are others.

    ``moves``: bits and by how many places they go up (down, if negative).  ``tables``: the shift and mask of a field, and for each
    code the bits of the new state.
    """

    keep: int
    moves: tuple[tuple[int, int], ...]
    tables: tuple[tuple[int, int, tuple[int, ...]], ...]


def compiled(program: Program, renaming: Mapping[Elem, Elem]) -> Renaming:
    """A renaming of elements as operations on packed states."""
    ground, layout = program.ground, program.layout
    keep = 0
    moves: dict[int, int] = {}
    tables: list[tuple[int, int, tuple[int, ...]]] = []
    for number, cell in enumerate(ground.cells):
        here = layout.fields[number]
        if not here.mask:
            continue
        there = layout.fields[ground.index[cell.function, tuple(renaming.get(arg, arg) for arg in cell.args)]]
        boxes = here.codes.boxes
        codes = [there.codes.of[renaming.get(box, box) if isinstance(box, Elem) else box] for box in boxes]
        if codes != list(range(len(codes))):
            tables.append((here.shift, here.mask, tuple(code << there.shift for code in codes)))
        elif here.shift == there.shift:
            keep |= here.mask << here.shift
        else:
            distance = there.shift - here.shift
            moves[distance] = moves.get(distance, 0) | here.mask << here.shift
    return Renaming(keep, tuple((bits, distance) for distance, bits in sorted(moves.items())), tuple(tables))


@dataclass(frozen=True)
class Reduction:
    """The reductions that are in effect for some properties of a system."""

    layout: Layout
    live: Live | None
    orbits: tuple[Orbit, ...]
    renamings: tuple[Renaming, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """What is in effect, in words."""
        found = [f"symmetry of {len(orbit.elements)} {orbit.sort} processes" for orbit in self.orbits]
        return (*found, *(["live variables"] if self.live is not None else []))

    @cached_property
    def key(self) -> Callable[[int], int]:
        """The key of a packed state."""
        names: dict[str, object] = {}
        text = ["def key(s):"]
        if self.live is not None:
            parts = [f"{self.live.always:#x}"]
            for number, (cell, table) in enumerate(self.live.tables):
                field = self.layout.fields[cell]
                names[f"L{number}"] = table
                parts.append(f"L{number}[s >> {field.shift} & {field.mask}]")
            text.append(f" s &= {' | '.join(parts)}")
        text.append(" k = s")
        for number, renaming in enumerate(self.renamings):
            parts = [f"s & {renaming.keep:#x}"]
            parts += [f"(s & {bits:#x}) {'<<' if far > 0 else '>>'} {abs(far)}" for bits, far in renaming.moves]
            for place, (shift, mask, codes) in enumerate(renaming.tables):
                names[f"T{number}_{place}"] = codes
                parts.append(f"T{number}_{place}[s >> {shift} & {mask}]")
            text += [f" t = {' | '.join(parts)}", " if t < k: k = t"]
        text.append(" return k")
        function: Callable[[int], int] = make("key", "\n".join(text), names)
        return function

    @cached_property
    def _blocks(self) -> tuple[_Masks | None, list[_Moved]]:
        words = self.layout.words
        masks = None if self.live is None else _Masks(self.layout, self.live)
        return masks, [_Moved(renaming, words) for renaming in self.renamings]

    def keys(self, rows: Rows) -> Rows:
        """The keys of states in rows."""
        masks, moved = self._blocks
        cleared = rows if masks is None else rows & masks(rows)
        least = cleared
        for renamed in moved:
            other = renamed(cleared)
            smaller = _less(other, least)
            if smaller.any():
                least = np.where(smaller[:, None], other, least)
        return least


class _Masks:
    """The bits that are live, for states in rows."""

    def __init__(self, layout: Layout, found: Live) -> None:
        self.always = _words(found.always, layout.words)
        self.tables = [
            (layout.fields[cell], np.array([_words(bits, layout.words) for bits in table], dtype="<u8"))
            for cell, table in found.tables
        ]

    def __call__(self, rows: Rows) -> Rows:
        result: Rows = np.broadcast_to(self.always, rows.shape)
        for field, table in self.tables:
            result = result | table.take(_codes(rows, field.shift, field.mask), axis=0)
        return result


class _Moved:
    """A renaming, for states in rows."""

    def __init__(self, renaming: Renaming, words: int) -> None:
        self.keep = _words(renaming.keep, words)
        self.moves: list[tuple[int, int, np.uint64, int]] = []
        """From which word to which, which bits, and how far."""
        for bits, distance in renaming.moves:
            by_target: dict[tuple[int, int], int] = {}
            for place in range(WORD * words):
                if bits >> place & 1:
                    pair = place // WORD, (place + distance) // WORD
                    by_target[pair] = by_target.get(pair, 0) | 1 << place % WORD
            self.moves += [
                (source, target, np.uint64(mask), distance - WORD * (target - source))
                for (source, target), mask in sorted(by_target.items())
            ]
        self.tables = []
        for shift, mask, codes in renaming.tables:
            target = next((code.bit_length() - 1) // WORD for code in codes if code)
            self.tables.append((shift, mask, target, np.array([code >> WORD * target for code in codes], dtype="<u8")))

    def __call__(self, rows: Rows) -> Rows:
        result: Rows = rows & self.keep
        for source, target, mask, distance in self.moves:
            part = rows[:, source] & mask
            part = part << np.uint64(distance) if distance > 0 else part >> np.uint64(-distance)
            result[:, target] |= part
        for shift, field, target, table in self.tables:
            result[:, target] |= table.take(_codes(rows, shift, field))
        return result


def _codes(rows: Rows, shift: int, mask: int) -> Ints:
    word, place = divmod(shift, WORD)
    return (rows[:, word] >> np.uint64(place) & np.uint64(mask)).astype(np.int64)


def _words(bits: int, words: int) -> Rows:
    return np.array([bits >> WORD * word & (1 << WORD) - 1 for word in range(words)], dtype="<u8")


def _less(one: Rows, other: Rows) -> Mask:
    """Which rows are less, as numbers."""
    result: Mask = one[:, 0] < other[:, 0]
    for word in range(1, one.shape[1]):
        a, b = one[:, word], other[:, word]
        result = (a < b) | (a == b) & result
    return result


SAFE = ("never", "deadlock", "always_possible")
"""Kinds of properties for which states are merged."""


def reduction(program: Program, properties: Sequence[GroundProperty]) -> Reduction | None:
    """The reductions that preserve these properties; None if there is nothing to gain.

    Raises:
        ValueError: a property's kind is not preserved.
    """
    if any(item.kind not in SAFE for item in properties):
        raise ValueError("leads-to properties are checked on all states")
    alike = orbits(program.ground.system, [item.source for item in properties])
    found = live(program, properties)
    if not alike and found is None:
        return None
    return Reduction(program.layout, found, alike, _compiled(program, alike))


def _compiled(program: Program, alike: Iterable[Orbit]) -> tuple[Renaming, ...]:
    return tuple(compiled(program, renaming) for renaming in renamings(alike))
