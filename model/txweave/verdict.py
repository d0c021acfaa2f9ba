"""Verdicts: what an engine found out about a property, and nothing more than that."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum

from txweave.certificate import Certificate
from txweave.trace import Trace


class Status(Enum):
    """``PROVED``: for any number or any time (``scope`` says which).  ``HOLDS``: exhaustively within the named bounds.
    ``VIOLATED``: with a judged trace.  ``UNKNOWN``: a limit or a bound; ``reason`` says which.  Unknown is never a pass."""

    PROVED = "proved"
    HOLDS = "holds"
    VIOLATED = "violated"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Verdict:
    """One engine's answer for the property called ``name``.

    ``engine``: ``explicit``, ``z3``.  ``reason``: why it is unknown (or has no answer).  ``truncated``: accepted bounds that were
    hit.  ``notes``: what a reader must know (vacuity, assumptions, a certificate's size).
    """

    name: str
    status: Status
    engine: str
    reason: str = ""
    scope: str = ""
    trace: Trace | None = None
    truncated: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    seconds: float = 0.0
    certificate: Certificate | None = None
    """An inductive invariant that supports ``HOLDS``, confirmed by a check of its own."""

    @property
    def text(self) -> str:
        """``holds``, ``holds (truncated at dag_run)``, ``violated``, ``unknown (bound dag_run hit)`` …"""
        if self.status is Status.UNKNOWN:
            return f"unknown ({self.reason})"
        if self.status is Status.HOLDS and self.truncated:
            return f"holds (truncated at {', '.join(self.truncated)})"
        if self.status is Status.PROVED:
            return f"proved ({self.scope})"
        return str(self.status.value)


@dataclass(frozen=True)
class Progress:
    """How far an exploration is: a callback receives one now and then."""

    depth: int
    states: int
    transitions: int
    frontier: int
    seconds: float


@dataclass
class Limits:
    """What an engine may use.  ``stop`` is polled: when it returns true the engine ends with what it knows.

    ``max_states``: distinct states; ``max_memory``: MiB of the process; ``timeout``: seconds; ``max_depth``: steps (z3);
    ``rlimit``: work in Z3's own units, which does not depend on the machine's speed.
    """

    max_states: int | None = None
    max_memory: int | None = None
    timeout: float | None = None
    max_depth: int | None = None
    rlimit: int | None = None
    progress: Callable[[Progress], None] | None = None
    stop: Callable[[], bool] | None = None


@dataclass(frozen=True)
class Coverage:
    """How often the transitions of each action (by its index in the sorted system) were found, and which bounds were hit."""

    taken: tuple[int, ...]
    bounds_hit: tuple[str, ...] = ()
    triggered: dict[str, bool] = field(default_factory=dict)
    """For each leads-to property: whether its ``whenever`` ever had a row."""


@dataclass(frozen=True)
class Outcome:
    """What an engine says of a ground system."""

    engine: str
    verdicts: dict[str, Verdict]
    states: int = 0
    transitions: int = 0
    depth: int = 0
    complete: bool = False
    stopped: str = ""
    """Why the exploration is not complete: ``max-states``, ``timeout``, ``memory``, ``interrupted``; empty when complete."""
    seconds: float = 0.0
    coverage: Coverage | None = None
    reductions: tuple[str, ...] = ()
    """The reductions that were in effect; of the states that they cannot tell apart one is counted."""
    unreduced: str = ""
    """Why no reduction was used although there are many states and it was allowed; else empty."""
