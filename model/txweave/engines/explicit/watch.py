"""Limits, watched while an engine works."""

from __future__ import annotations

import os
import resource
import sys
from pathlib import Path
from time import monotonic

from txweave.verdict import Limits, Progress

PROGRESS = 0.25
"""Seconds between two reports of progress."""


class Stopped(Exception):  # noqa: N818  # not an error
    """A limit was reached; the argument says which, as in ``Outcome.stopped``."""


class Watch:
    """Polls the limits of one run of the engine, which starts now (or ``started`` earlier)."""

    def __init__(self, limits: Limits | None, started: float | None = None) -> None:
        self.limits = limits or Limits()
        self.started = monotonic() if started is None else started
        self._reported = self.started
        self._calls = 0

    @property
    def seconds(self) -> float:
        """Since the start."""
        return monotonic() - self.started

    def reached(self, rarely: bool = False) -> str:
        """Which limit has been reached; empty when none has.  ``rarely``: it is asked only now and then, so look at all of them."""
        limits = self.limits
        if limits.stop is not None and limits.stop():
            return "interrupted"
        if limits.timeout is not None and self.seconds > limits.timeout:
            return "timeout"
        self._calls += 1
        # Reading the size costs more than reading the clock.
        if limits.max_memory is not None and (rarely or self._calls % 8 == 1) and resident() > limits.max_memory:
            return "memory"
        return ""

    def poll(self) -> None:
        """Check the limits.

        Raises:
            Stopped: one has been reached.
        """
        why = self.reached()
        if why:
            raise Stopped(why)

    def report(self, depth: int, states: int, transitions: int, frontier: int) -> None:
        """Report progress, unless that was done a moment ago."""
        callback = self.limits.progress
        if callback is None:
            return
        now = monotonic()
        if now - self._reported >= PROGRESS:
            self._reported = now
            callback(Progress(depth, states, transitions, frontier, now - self.started))


def resident() -> float:
    """MiB that the process occupies (where that cannot be read: the most it ever did)."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except (OSError, ValueError, IndexError):
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak / (1024 * 1024 if sys.platform == "darwin" else 1024)
    return pages * os.sysconf("SC_PAGE_SIZE") / (1024 * 1024)
