"""Durations: the spellings of PostgreSQL's INTERVAL and of the specification's own times, in microseconds."""

from __future__ import annotations

import re

_UNITS = {
    "microsecond": 1,
    "microseconds": 1,
    "us": 1,
    "usec": 1,
    "usecs": 1,
    "millisecond": 1_000,
    "milliseconds": 1_000,
    "ms": 1_000,
    "msec": 1_000,
    "msecs": 1_000,
    "second": 1_000_000,
    "seconds": 1_000_000,
    "sec": 1_000_000,
    "secs": 1_000_000,
    "s": 1_000_000,
    "minute": 60_000_000,
    "minutes": 60_000_000,
    "min": 60_000_000,
    "mins": 60_000_000,
    "m": 60_000_000,
    "hour": 3_600_000_000,
    "hours": 3_600_000_000,
    "hr": 3_600_000_000,
    "hrs": 3_600_000_000,
    "h": 3_600_000_000,
    "day": 86_400_000_000,
    "days": 86_400_000_000,
    "d": 86_400_000_000,
    "week": 604_800_000_000,
    "weeks": 604_800_000_000,
    "w": 604_800_000_000,
}
_PART = re.compile(r"\s*([+-]?)(\d+)(?:\.(\d{1,6}))?\s*([A-Za-z]+)")
_CLOCK = re.compile(r"\s*([+-]?)(\d+):([0-5]\d)(?::([0-5]\d)(?:\.(\d{1,6}))?)?\s*$")
LIMIT = 1000 * 365 * 86_400_000_000
"""Longer durations are refused; no clock of a program runs for a thousand years."""


def duration(text: str, unit: str | None = None) -> int | None:
    """Microseconds of ``120 s``, ``5min``, ``1 hour 30 min``, ``01:30:00``, or a bare number of ``unit``; None if it is none.

    Months and years have no fixed length and are not understood.
    """
    if re.fullmatch(r"\s*[+-]?\d+(\.\d{1,6})?\s*", text):
        text = f"{text.strip()} {unit}" if unit else ""
    elif unit is not None:
        return None
    clock = _CLOCK.match(text)
    if clock:
        sign, hours, minutes, seconds, fraction = clock.groups()
        total = int(hours) * 3600 + int(minutes) * 60 + int(seconds or 0)
        return _bounded((total * 1_000_000 + int((fraction or "").ljust(6, "0"))) * (-1 if sign == "-" else 1))
    at, amount, parts = 0, 0, 0
    while part := _PART.match(text, at):
        sign, whole, fraction, name = part.groups()
        scale = _UNITS.get(name.lower())
        if scale is None:
            return None
        exact = int(whole + (fraction or "").ljust(6, "0")) * scale
        if exact % 1_000_000:
            return None
        amount += exact // 1_000_000 * (-1 if sign == "-" else 1)
        at, parts = part.end(), parts + 1
    return _bounded(amount) if parts and not text[at:].strip() else None


def _bounded(amount: int) -> int | None:
    return amount if abs(amount) <= LIMIT else None


def spell(amount: int) -> str:
    """The shortest plain spelling of a number of microseconds: ``120 s``, ``5 min``, ``-1 hour``."""
    for name in ("day", "hour", "min", "s", "ms"):
        if amount and amount % _UNITS[name] == 0 and not (name == "min" and amount % _UNITS["hour"] == 0):
            return f"{amount // _UNITS[name]} {name}"
    return f"{amount} us" if amount else "0 s"
