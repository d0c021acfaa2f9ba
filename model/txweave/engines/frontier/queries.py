"""Conditions, and rows of queries, in many states at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property

import numpy as np

from txweave.engines.explicit.layout import Boxed, Codes
from txweave.engines.explicit.program import Program
from txweave.engines.frontier.circuit import Register
from txweave.engines.frontier.columns import Columns
from txweave.engines.frontier.rows import Ints, Mask, Rows, integers, ordered, values
from txweave.system.expr import Expr
from txweave.system.ground import GroundRows

BLOCK = 1 << 16
"""Most states in a block."""


class Conditions:
    """Conditions, evaluated for blocks of states."""

    def __init__(self, program: Program, wanted: Sequence[Expr]) -> None:
        program.translator.learn(wanted)
        circuit = Columns(program)
        self.registers = [circuit.truth(node) for node in wanted]
        self.ops = circuit.needed(self.registers)
        self.initial = circuit.initial

    def __call__(self, rows: Rows) -> list[Mask]:
        """For each condition the states in which it holds."""
        registers = self.initial.copy()
        registers[0] = rows
        for function, target, left, right in self.ops:
            registers[target] = function(registers[left], registers[right])
        return [np.broadcast_to(registers[register], len(rows)) for register in self.registers]


class Query:
    """The rows of a query, in blocks of states."""

    def __init__(self, program: Program, query: GroundRows) -> None:
        program.translator.learn([e for row in query.rows for e in (row.condition, *row.values)])
        circuit = Columns(program)
        self.program, self.query = program, query
        self.conditions: list[Register] = []
        self.values: list[list[tuple[Register, Codes]] | None] = []
        for row in query.rows:
            self.conditions.append(circuit.truth(row.condition))
            columns: list[tuple[Register, Codes]] | None = []
            for value in row.values:
                possible = program.translator.facts.possible[value]
                if possible is None or columns is None:
                    columns = None  # so many values that they have no codes: row by row
                    continue
                codes = Codes(ordered(possible))
                columns.append((circuit.code(value, codes), codes))
            self.values.append(columns)
        wanted = [*self.conditions, *(register for columns in self.values for register, _ in columns or ())]
        self.ops = circuit.needed(wanted)
        self.initial = circuit.initial

    @cached_property
    def _singly(self) -> Callable[[int], list[tuple[int, tuple[Boxed, ...]]]]:
        return self.program.rows(self.query)

    def __call__(self, rows: Rows) -> list[tuple[int, tuple[Boxed, ...], Ints]]:
        """The rows that there are: number of the possible row, its values, and the states (in order) that have it."""
        registers = self.initial.copy()
        registers[0] = rows
        for function, target, left, right in self.ops:
            registers[target] = function(registers[left], registers[right])
        found: list[tuple[int, tuple[Boxed, ...], Ints]] = []
        for number, (condition, columns) in enumerate(zip(self.conditions, self.values, strict=True)):
            states = np.flatnonzero(np.broadcast_to(registers[condition], len(rows)))
            if not states.size:
                continue
            if columns is None:
                by_row: dict[tuple[Boxed, ...], list[int]] = {}
                for state, whole in zip(states.tolist(), integers(rows.take(states, axis=0)), strict=True):
                    by_row.setdefault(dict(self._singly(whole))[number], []).append(state)
                found += [(number, values, np.array(where)) for values, where in by_row.items()]
                continue
            which = np.zeros(states.size, dtype=np.int64)
            size = 1
            for register, codes in columns:
                which = which * len(codes.boxes) + np.broadcast_to(registers[register], len(rows)).take(states)
                size *= len(codes.boxes)
            assert size < 1 << 63
            for code in values(which).tolist():
                boxes: list[Boxed] = []
                rest = code
                for _, codes in reversed(columns):
                    rest, position = divmod(rest, len(codes.boxes))
                    boxes.append(codes.boxes[position])
                found.append((number, tuple(boxes[::-1]), states[which == code]))
        return found


def blocks(rows: Rows, poll: Callable[[], None]) -> Iterator[tuple[int, Rows]]:
    """States as blocks, each with the number of its first state; ``poll`` is called before each."""
    for start in range(0, len(rows), BLOCK):
        poll()
        yield start, rows[start : start + BLOCK]
