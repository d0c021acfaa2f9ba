"""How states are packed: each cell's position in its domain, in a bit field of one integer.

The same bits, little end first, are the words of a state in an array.  No field crosses a byte (or, if it is wider, an aligned unit
of two, four or eight bytes), so that a column of bytes holds whole fields.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

from txweave.system.expr import Value
from txweave.system.ground import OUT, GroundSystem
from txweave.trace import State


class Truth:
    """A boolean that is not equal to an integer, as Python's are."""

    __slots__ = ("value",)

    def __init__(self, value: bool) -> None:
        self.value = value

    def __repr__(self) -> str:
        return f"Truth({self.value})"


YES, NO = Truth(True), Truth(False)

Boxed: TypeAlias = Any
"""A value as generated code handles it: booleans are :data:`YES` and :data:`NO`, everything else is itself."""


def box(value: Value) -> Boxed:
    """The value with its type: equal boxes are equal values of one type."""
    return (YES if value else NO) if isinstance(value, bool) else value


def unbox(value: Boxed) -> Value:
    """The value in a box."""
    if isinstance(value, Truth):
        return value.value
    return value  # type: ignore[no-any-return]


@dataclass(frozen=True, eq=False)
class Codes:
    """The values of a domain and their positions."""

    boxes: tuple[Boxed, ...]

    @cached_property
    def of(self) -> dict[Boxed, int]:
        """Position of each (boxed) value."""
        return {value: code for code, value in enumerate(self.boxes)}

    @cached_property
    def possible(self) -> frozenset[Boxed]:
        """All values."""
        return frozenset(self.boxes)

    @cached_property
    def low(self) -> int | None:
        """The first value, when the values are consecutive integers."""
        first = self.boxes[0]
        if isinstance(first, int) and all(value == first + code for code, value in enumerate(self.boxes)):
            return first
        return None


@dataclass(frozen=True)
class Field:
    """Where a cell is: ``state >> shift & mask`` is its code.  A mask of 0 is a cell with one value, which takes no room."""

    shift: int
    mask: int
    codes: Codes

    @property
    def unit(self) -> int:
        """Bytes of the aligned unit that the field lies in: 1, 2, 4 or 8."""
        return 1 << (max(0, self.mask.bit_length() - 1) // 8).bit_length()


class Layout:
    """Packing and unpacking of the states of one system.

    The cell for bounds takes no room: a state that is out of bounds is never stored.
    """

    def __init__(self, ground: GroundSystem) -> None:
        self.ground = ground
        self._domains: dict[tuple[Boxed, ...], Codes] = {}
        cells = ground.cells
        self.out: int | None = len(cells) - 1 if cells and cells[-1].function == OUT else None
        self.bounds: tuple[Value, ...] = cells[-1].domain if self.out is not None else ()
        """The values of the cell for bounds; the first is NULL."""
        domains = [self.codes((None,) if number == self.out else cell.domain) for number, cell in enumerate(cells)]
        widths = [(len(codes.boxes) - 1).bit_length() for codes in domains]
        shifts = [0] * len(cells)
        taken: list[int] = []
        """Bits of each byte that are in use."""
        # The widest first, each in the first place that has room.
        for number in sorted(range(len(cells)), key=lambda number: -widths[number]):
            width = widths[number]
            if width > 8:
                unit = Field(0, (1 << width) - 1, domains[number]).unit
                taken += [0] * (-len(taken) % unit)
                shifts[number] = 8 * len(taken)
                taken += [8] * unit
            elif width:
                place = next((byte for byte, bits in enumerate(taken) if bits + width <= 8), len(taken))
                taken += [0] * (place + 1 - len(taken))
                shifts[number] = 8 * place + taken[place]
                taken[place] += width
        self.fields = [Field(shift, (1 << width) - 1, codes) for shift, width, codes in zip(shifts, widths, domains, strict=True)]
        self.width = max((f.shift + f.mask.bit_length() for f in self.fields if f.mask), default=0)
        """Bits of a state."""
        self.words = max(1, -(-len(taken) // 8))
        """Words of 64 bits of a state."""

    def codes(self, domain: tuple[Value, ...]) -> Codes:
        """The codes of a domain; one object for equal domains."""
        boxes = tuple(map(box, domain))
        return self._domains.setdefault(boxes, Codes(boxes))

    def pack(self, state: State) -> int:
        """The integer of a state.

        Raises:
            ValueError: a value is not in its cell's domain.
        """
        packed = 0
        for field, cell, value in zip(self.fields, self.ground.cells, state, strict=True):
            code = field.codes.of.get(box(value))
            if code is None:
                raise ValueError(f"{cell.name} = {value!r} is not in its domain")
            packed |= code << field.shift
        return packed

    def unpack(self, packed: int) -> State:
        """The state of an integer."""
        return tuple(unbox(f.codes.boxes[packed >> f.shift & f.mask]) for f in self.fields)
