"""The successors of many states at once.

The states of a block are put in order by the place of a process, so that an action is only tried where its process is at the right
place; guards are evaluated for all states of a place, updates only where the guard of their action holds somewhere.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from txweave.engines.explicit.layout import box
from txweave.engines.explicit.program import Members, Program
from txweave.engines.frontier.circuit import Op, Register
from txweave.engines.frontier.columns import Columns
from txweave.engines.frontier.rows import UNITS, Column, Kind, Rows, integers, kind_of, nowhere, packed
from txweave.system import expr as x
from txweave.system.expr import Expr, Value

BLOCK = 1 << 16
"""Most states in a block: their numbers within it fit in two bytes, which numpy sorts in linear time."""

_SMALL = np.uint16


@dataclass(frozen=True)
class Batch:
    """Transitions from the states of a block, in the order of the states, and from each in the order of the actions."""

    sources: npt.NDArray[np.uint16]
    """The number of the state within the block."""
    actions: npt.NDArray[np.int32]
    bounds: npt.NDArray[np.uint16] | None
    """The code of the bound that a transition crosses, 0 if none; None if none of them does."""
    targets: Rows
    """The states that the transitions lead to, of those that do not lead out of bounds."""


@dataclass(frozen=True)
class _Write:
    """Bits that are put into a column of bytes (or of wider units)."""

    unit: Kind
    place: int
    register: Register


@dataclass(frozen=True)
class _Move:
    """An action, where it is possible at a place: what is evaluated, and how the next state is put together."""

    action: int
    guard: Register
    ops: tuple[Op, ...]
    keep: tuple[tuple[int, np.uint64], ...]
    """Masks of words that lose bits."""
    put: tuple[tuple[int, np.uint64], ...]
    """Bits that words get."""
    writes: tuple[_Write, ...]
    flips: tuple[tuple[int, np.uint64, Register], ...]
    """Bits of words that take the given values where the register has ones, and stay elsewhere."""
    checks: tuple[tuple[Register, int, int], ...]
    """Codes that may be of no value in the domain: the register, what it has then, and the cell."""
    out: Register | None


@dataclass
class _Pieces:
    """Transitions by action."""

    found: list[tuple[int, Column, Rows, Column | None]] = field(default_factory=list)

    def batch(self, words: int) -> Batch:
        """All of them, in order."""
        found = sorted(self.found, key=lambda piece: piece[0])
        if not found:
            return Batch(np.zeros(0, _SMALL), np.zeros(0, np.int32), None, np.zeros((0, words), "<u8"))
        sources = np.concatenate([piece[1] for piece in found])
        # Stable: from one state the actions stay in their order.
        order = np.argsort(sources, kind="stable")
        actions = np.repeat(np.array([piece[0] for piece in found], np.int32), [len(piece[1]) for piece in found])
        targets = np.concatenate([piece[2] for piece in found])
        bounds: Column | None = None
        if any(piece[3] is not None for piece in found):
            none = np.zeros(1, _SMALL)
            bounds = np.concatenate([np.repeat(none, len(p[1])) if p[3] is None else p[3] for p in found]).take(order)
            targets = targets.take(order[bounds == 0], axis=0)
        else:
            targets = targets.take(order, axis=0)
        return Batch(sources.take(order), actions.take(order), bounds, targets)


class _Place:
    """The actions of one group, compiled."""

    def __init__(self, program: Program, members: Members, known: dict[int, int]) -> None:
        circuit = Columns(program, known)
        self.program = program
        guards: list[Register] = []
        for _, conjuncts in members:
            guard = circuit.true
            for conjunct in conjuncts:
                guard = circuit.and_(guard, circuit.truth(conjunct))
            guards.append(guard)
        self.guards = circuit.needed(guards)
        self.moves = [
            self._move(circuit, action.index, guard)
            for (action, _), guard in zip(members, guards, strict=True)
            if guard != circuit.false
        ]
        self.registers = circuit.initial

    def _move(self, circuit: Columns, index: int, guard: Register) -> _Move:
        layout = self.program.layout
        effect = self.program.effect(self.program.ground.actions[index])
        clear, constant = effect.clear, effect.constant
        parts: dict[tuple[Kind, int], Register] = {}
        checks: list[tuple[Register, int, int]] = []
        set_where: dict[Register, tuple[int, int]] = {}
        """For each condition the bits that are set where it holds, and their values."""
        for cell, body in effect.computed:
            where = layout.fields[cell]
            choice = _kept_or_set(cell, body)
            if choice is not None and box(choice.value) in where.codes.of:
                condition = circuit.truth(choice.condition)
                if choice.negated:
                    condition = circuit.not_(condition)
                mask, bits = where.mask << where.shift, where.codes.of[box(choice.value)] << where.shift
                if condition == circuit.true:
                    constant |= bits
                    continue
                clear &= ~mask
                if condition != circuit.false:
                    masks, values = set_where.get(condition, (0, 0))
                    set_where[condition] = (masks | mask, values | bits)
                continue
            kind, unit = kind_of(where.codes), UNITS[where.unit]
            code = circuit.code(body, where.codes)
            if cell in effect.unsure:
                checks.append((code, nowhere(kind), cell))
            if code in circuit.fixed:
                constant |= circuit.fixed[code] % (where.mask + 1) << where.shift
                continue
            place, shift = divmod(where.shift, 8 * where.unit)
            bits = circuit.shifted(circuit.cast(code, kind, unit), shift, unit)
            other = parts.get((unit, place))
            parts[unit, place] = bits if other is None else circuit.joined(other, bits, unit)
        writes = tuple(_Write(unit, place, register) for (unit, place), register in parts.items())
        bounds = self.program.bounds
        out = circuit.code(effect.out, bounds) if effect.out is not None and bounds is not None else None
        flips = self._flips(circuit, set_where)
        wanted = [register for _, _, register in flips]
        wanted += [*(w.register for w in writes), *(register for register, _, _ in checks), *([out] if out is not None else [])]
        return _Move(
            index,
            guard,
            tuple(circuit.needed(wanted, self.guards)),
            tuple((word, np.uint64(mask)) for word, mask in _by_word(~clear, layout.words) if mask != _WORD),
            tuple((word, np.uint64(bits)) for word, bits in _by_word(constant, layout.words) if bits),
            writes,
            flips,
            tuple(checks),
            out,
        )

    def _flips(self, circuit: Columns, set_where: dict[Register, tuple[int, int]]) -> tuple[tuple[int, np.uint64, Register], ...]:
        """What is set under conditions, word by word: all of a word's cells at once, many of which share their condition."""
        words, word_kind = self.program.layout.words, UNITS[8]
        found: dict[int, tuple[int, Register]] = {}
        for condition, (masks, values) in set_where.items():
            for (word, mask), (_, bits) in zip(_by_word(masks, words), _by_word(values, words), strict=True):
                if mask:
                    ones = circuit.select(condition, circuit.constant(word_kind, mask), circuit.constant(word_kind, 0), word_kind)
                    if word in found:
                        before, others = found[word]
                        bits, ones = bits | before, circuit.joined(others, ones, word_kind)
                    found[word] = bits, ones
        return tuple((word, np.uint64(bits), ones) for word, (bits, ones) in sorted(found.items()))

    def run(self, rows: Rows, numbers: npt.NDArray[np.uint16], pieces: _Pieces) -> None:
        """Add the transitions from states (with their numbers in the block)."""
        registers = self.registers.copy()
        registers[0] = rows
        for function, target, left, right in self.guards:
            registers[target] = function(registers[left], registers[right])
        for move in self.moves:
            guard = registers[move.guard]
            if guard.ndim:
                (at,) = guard.nonzero()
                if not at.size:
                    continue
                sources = numbers.take(at)
                everywhere = at.size == len(numbers)
            else:
                sources, everywhere = numbers, True
            for function, target, left, right in move.ops:
                if registers[target] is None:
                    registers[target] = function(registers[left], registers[right])

            def column(register: Register, all_: bool = everywhere) -> Column:
                value: Column = registers[register]
                return value if all_ or not value.ndim else value.take(at)  # noqa: B023  # used within this turn only

            for register, nothing, cell in move.checks:
                if (column(register) == nothing).any():
                    self.program.escaped(move.action, cell)
            after = rows.copy() if everywhere else rows.take(at, axis=0)
            for word, mask in move.keep:
                np.bitwise_and(after[:, word], mask, out=after[:, word])
            for word, bits in move.put:
                np.bitwise_or(after[:, word], bits, out=after[:, word])
            for write in move.writes:
                changed = after.view(write.unit)[:, write.place]
                np.bitwise_or(changed, column(write.register), out=changed)
            for word, bits, register in move.flips:
                old = after[:, word]
                np.bitwise_xor(old, (old ^ bits) & column(register), out=old)
            bounds: Column | None = None
            if move.out is not None:
                bounds = np.broadcast_to(column(move.out), sources.shape).astype(_SMALL)
            pieces.found.append((move.action, sources, after, bounds))


class _Choice(NamedTuple):
    """A cell is set to a value where a condition holds (or does not, if it is negated), and keeps its own elsewhere."""

    condition: Expr
    negated: bool
    value: Value


def _kept_or_set(cell: int, body: Expr) -> _Choice | None:
    """A new value of that form.  Most of a COMMIT or a ROLLBACK is: what a row's columns become if the row is this process's."""
    match body:
        case x.Ite(condition, x.Const(value), x.Cell(index)) if index == cell:
            return _Choice(condition, False, value)
        case x.Ite(condition, x.Cell(index), x.Const(value)) if index == cell:
            return _Choice(condition, True, value)
    return None


_WORD = (1 << 64) - 1


def _by_word(bits: int, words: int) -> list[tuple[int, int]]:
    return [(word, bits >> 64 * word & _WORD) for word in range(words)]


class Kernel:
    """The transitions of a system, compiled for blocks; each place when it is first met."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.words = program.layout.words
        grouped, rest = program.groups
        self._tables: list[tuple[int, list[Members], dict[int, _Place]]] = [(cell, groups, {}) for cell, groups in grouped]
        self._others = [(action, program.conjuncts(action.guard)) for action in rest]

    @cached_property
    def _rest(self) -> _Place:
        return _Place(self.program, self._others, {})

    def successors(self, rows: Rows) -> Batch:
        """All transitions from a block of states."""
        assert len(rows) <= BLOCK
        pieces = _Pieces()
        for cell, groups, places in self._tables:
            codes = self._codes(rows, cell)
            order = np.argsort(codes, kind="stable").astype(_SMALL)
            together = rows.take(order, axis=0)
            counts = np.bincount(codes, minlength=len(groups))
            end = 0
            for code in np.flatnonzero(counts).tolist():
                start, end = end, end + int(counts[code])
                if not groups[code]:
                    continue
                place = places.get(code)
                if place is None:
                    place = places[code] = _Place(self.program, groups[code], {cell: code})
                place.run(together[start:end], order[start:end], pieces)
        if self._others:
            self._rest.run(rows, np.arange(len(rows), dtype=_SMALL), pieces)
        return pieces.batch(self.words)

    def _codes(self, rows: Rows, cell: int) -> Column:
        where = self.program.layout.fields[cell]
        place, shift = divmod(where.shift, 8 * where.unit)
        return np.ascontiguousarray(rows.view(UNITS[where.unit])[:, place]) >> shift & where.mask

    def one_by_one(self, rows: Rows) -> Batch:
        """The same from few states, by the code for single states."""
        sources: list[int] = []
        actions: list[int] = []
        bounds: list[int] = []
        targets: list[int] = []
        for number, state in enumerate(integers(rows)):
            for action, after in self.program.successors(state):
                sources.append(number)
                actions.append(action)
                bounds.append(max(0, -after))
                if after >= 0:
                    targets.append(after)
        crossed = np.array(bounds, _SMALL) if any(bounds) else None
        return Batch(np.array(sources, _SMALL), np.array(actions, np.int32), crossed, packed(targets, self.words))
