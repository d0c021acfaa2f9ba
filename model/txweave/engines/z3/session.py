"""One use of Z3: a context of its own, the limits, and answers that cannot be mistaken.

A query has three answers.  ``sat`` and ``unsat`` are returned as true and false; ``unknown`` is *raised* as :class:`GaveUp`, with
the reason, so that it can never be read as "no bug".

What decides how far a search goes is a budget in Z3's own units (``rlimit``: propagations, conflicts, and so on), which the same
input uses up alike on every machine.  Time only stops the process, and where it has, the reason says so.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from txweave.verdict import Limits

RLIMIT = 2_000_000_000
"""Budget of one question in Z3's own units, which do not depend on the machine's speed, where ``limits.rlimit`` does not say."""

POLL = 0.1
"""Seconds between two looks at ``limits.stop`` and at the memory while Z3 works."""


class GaveUp(Exception):  # noqa: N818 - not an error: the answer "unknown"
    """Z3 did not decide a query.

    ``cause``: ``rlimit`` (the budget is used up), ``timeout``, ``interrupted``, ``memory``, or empty when Z3 itself gave up.
    """

    def __init__(self, reason: str, cause: str = "") -> None:
        super().__init__(reason)
        self.reason, self.cause = reason, cause


class Session:
    """A Z3 context under limits; to be used in a ``with`` statement, from one thread."""

    def __init__(self, limits: Limits | None = None) -> None:
        import z3

        self.z3 = z3
        self.context: Any = z3.Context()
        self.limits = limits or Limits()
        self.rlimit = RLIMIT if self.limits.rlimit is None else self.limits.rlimit
        self.spent = 0
        """Of the budget, by all queries so far."""
        self.started = time.monotonic()
        self.queries = 0
        self.cause = ""
        self._asking = False
        self._ended = threading.Event()
        self._watcher: threading.Thread | None = None

    def __enter__(self) -> Session:
        if self.limits.stop is not None or self.limits.max_memory is not None:
            self._watcher = threading.Thread(target=self._watch, daemon=True)
            self._watcher.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._ended.set()
        if self._watcher is not None:
            self._watcher.join()

    @property
    def seconds(self) -> float:
        """Time since the start."""
        return time.monotonic() - self.started

    def solver(self) -> Any:
        """A new solver for propositional logic that answers many queries."""
        return self.z3.SolverFor("QF_FD", ctx=self.context)

    def ask(self, solver: Any, assumptions: Sequence[Any] = ()) -> bool:
        """Whether what the solver holds can be satisfied together with the assumptions.

        Raises:
            GaveUp: Z3 answers ``unknown``, or a limit was reached.
        """
        self.check_limits()
        solver.set("rlimit", self.rlimit - self.spent)
        if self.limits.timeout is not None:
            solver.set("timeout", max(1, int(1000 * (self.limits.timeout - self.seconds))))
        self.queries += 1
        self._asking = True
        try:
            answer = solver.check(*assumptions)
        except self.z3.Z3Exception as error:
            raise GaveUp(f"Z3 failed: {error}", self.cause) from error
        finally:
            self._asking = False
        self.spent = self._count(solver)
        if answer == self.z3.sat:
            return True
        if answer == self.z3.unsat:
            return False
        reason = " ".join(str(solver.reason_unknown()).split())
        if "keyboard" in reason or "interrupted" in reason:
            raise self.interrupted()
        self._look()
        raise GaveUp(self._stopped(reason) if self.cause else f"Z3 answers unknown: {reason}", self.cause)

    def _count(self, solver: Any) -> int:
        """What the context's queries have used up; the count of a context goes on from query to query."""
        statistics = solver.statistics()
        found = statistics.get_key_value("rlimit count") if "rlimit count" in statistics.keys() else 0  # noqa: SIM118 - no mapping
        return max(self.spent, int(found))

    def interrupted(self) -> GaveUp:
        """The answer to Ctrl-C, which ends everything that comes after as well."""
        self.cause = "interrupted"
        return GaveUp(self.cause, self.cause)

    def check_limits(self) -> None:
        """Look at the limits.

        Raises:
            GaveUp: one of them is reached.
        """
        self._look()
        if self.cause:
            raise GaveUp(self._stopped(), self.cause)

    def _stopped(self, reason: str = "") -> str:
        """Why there is no answer, in words."""
        told = f" (Z3: {reason})" if reason else ""
        return f"budget of {self.rlimit:,} units of work used up{told}" if self.cause == "rlimit" else f"{self.cause}{told}"

    def _look(self) -> None:
        if self.cause:
            return
        if self.limits.stop is not None and self.limits.stop():
            self.cause = "interrupted"
        elif self.spent >= self.rlimit:
            self.cause = "rlimit"
        elif self.limits.timeout is not None and self.seconds >= self.limits.timeout:
            self.cause = "timeout"
        elif self.limits.max_memory is not None and _resident() > self.limits.max_memory:
            self.cause = "memory"

    def _watch(self) -> None:
        while not self._ended.wait(POLL):
            self._look()
            # Again and again: an interrupt that arrives before the query has begun is lost.
            if self.cause and self._asking:
                self.context.interrupt()


def _resident() -> int:
    """Memory of this process in MiB; 0 where the system does not tell."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except OSError:
        return 0
    return pages * 4096 // 2**20
