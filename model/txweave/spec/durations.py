"""Durations such as ``60 s``, ``5min``, ``500 ms``: integers of microseconds."""

from __future__ import annotations

import re

_UNITS = {
    "us": 1,
    "ms": 1_000,
    "s": 1_000_000,
    "sec": 1_000_000,
    "second": 1_000_000,
    "seconds": 1_000_000,
    "min": 60_000_000,
    "minute": 60_000_000,
    "minutes": 60_000_000,
    "h": 3_600_000_000,
    "hour": 3_600_000_000,
    "hours": 3_600_000_000,
    "d": 86_400_000_000,
    "day": 86_400_000_000,
    "days": 86_400_000_000,
}
_DURATION = re.compile(r"\s*([0-9]{1,12})\s*([a-z]+)\s*")


def parse_duration(text: str) -> int | None:
    """Microseconds of a duration: an integer and a unit; None when the text is not one, or is no time at all.

    >>> parse_duration("5min"), parse_duration("120 s"), parse_duration("soon")
    (300000000, 120000000, None)
    """
    match = _DURATION.fullmatch(text)
    if match is None or match[2] not in _UNITS or int(match[1]) == 0:
        return None
    return int(match[1]) * _UNITS[match[2]]


def duration_error(text: str) -> str:
    """What to write instead of a text that is not a duration."""
    if text.strip().isdigit() and int(text.strip()[:12]) > 0:
        return f"say the unit, for instance: {text.strip()} s"
    return "write a positive integer and a unit (us, ms, s, min, h, d), for instance: 60 s"
