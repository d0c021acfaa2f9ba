"""States as rows of an array: the words of the packed integer, the lowest bits first."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from txweave.engines.explicit.layout import Boxed, Codes, Truth

Rows: TypeAlias = npt.NDArray[np.uint64]
"""States, a row of words for each."""

Column: TypeAlias = npt.NDArray[Any]
Mask: TypeAlias = npt.NDArray[np.bool_]
Ints: TypeAlias = npt.NDArray[np.signedinteger[Any]]
Kind: TypeAlias = "np.dtype[np.unsignedinteger[Any]]"

UNITS: dict[int, Kind] = {size: np.dtype(f"<u{size}") for size in (1, 2, 4, 8)}
"""Columns of the units that fields lie in, by their bytes."""


def kind_of(codes: Codes) -> Kind:
    """The narrowest integers that have a code for each value, and one more for "not in the domain"."""
    count = len(codes.boxes)
    return next(UNITS[size] for size in UNITS if count < 1 << 8 * size)


def nowhere(kind: Kind) -> int:
    """The code of a value that is not in the domain."""
    return (1 << 8 * kind.itemsize) - 1


def values(column: Column) -> Column:
    """The values in a column in order, each once (``numpy.unique`` imports masked arrays, which takes longer than all the rest)."""
    found: Column = np.sort(column)
    first: Mask = np.append(True, found[1:] != found[:-1])[: found.size]
    return found.take(np.flatnonzero(first))


def integers(rows: Rows) -> list[int]:
    """States as Python's integers."""
    data, size = rows.tobytes(), 8 * rows.shape[1]
    return [int.from_bytes(data[at : at + size], "little") for at in range(0, len(data), size)]


def packed(states: Sequence[int], words: int) -> Rows:
    """Python's integers as states in rows."""
    data = b"".join(state.to_bytes(8 * words, "little") for state in states)
    return np.frombuffer(bytearray(data), dtype="<u8").reshape(len(states), words)


def ordered(values: Iterable[Boxed]) -> tuple[Boxed, ...]:
    """Values in an order that does not depend on hashes."""

    def key(value: Boxed) -> tuple[str, Any]:
        if isinstance(value, Truth):
            return "truth", value.value
        return type(value).__name__, 0 if value is None else value

    return tuple(sorted(values, key=key))
