"""Results of a check, as plain data: everything that a report may say, and nothing that needs an engine to be understood."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import date
from enum import Enum, IntEnum

from txweave.report.story import Place, Story
from txweave.spec.diagnostics import Diagnostic
from txweave.trace import Trace
from txweave.verdict import Status


class Exit(IntEnum):
    """Exit statuses of ``txweave check``; of several that apply the first in the order of :func:`worst` counts."""

    OK = 0
    DIFFERS = 1
    ERROR = 2
    INCONCLUSIVE = 3
    SELF_CHECK = 4


def worst(statuses: list[Exit]) -> Exit:
    """4 before 2 before 1 before 3 before 0."""
    order = (Exit.SELF_CHECK, Exit.ERROR, Exit.DIFFERS, Exit.INCONCLUSIVE, Exit.OK)
    return min(statuses, key=order.index, default=Exit.OK)


class Relation(Enum):
    """How a verdict relates to what is expected.  ``FAILED``: the verdict cannot be trusted, a self-check failed."""

    AS_EXPECTED = "as expected"
    DIFFERS = "differs"
    INCONCLUSIVE = "inconclusive"
    FAILED = "self-check failed"


@dataclass(frozen=True)
class Answer:
    """What one engine says of one property.  ``status`` None: it has no answer, ``text`` says why.

    ``length``: (steps) of a counterexample, or (stem, loop) of a lasso.
    """

    engine: str
    status: Status | None
    text: str
    length: tuple[int, ...] | None = None
    notes: tuple[str, ...] = ()
    seconds: float = 0.0


@dataclass(frozen=True)
class Known:
    """A violation that is accepted up to the day ``until``: ``left`` days after the day of the check, past it less than none."""

    until: date
    reason: str
    left: int

    def text(self, *, days: bool = False) -> str:
        """``known until 2027-03-01: reason``; with ``days`` also how many are left, which is another text every day."""
        counted = "its last day" if not self.left else "1 day left" if self.left == 1 else f"{self.left} days left"
        return f"known until {self.until}{f' ({counted})' if days else ''}: {self.reason}"


@dataclass(frozen=True)
class Expected:
    """What is expected of a property; ``stated`` False: nothing was said, so that it should hold."""

    verdict: str
    length: tuple[int, ...] | None = None
    stated: bool = False
    place: Place | None = None
    known: Known | None = None

    @property
    def text(self) -> str:
        """``holds``, ``violated``, ``violated (6)``, ``violated (4, 2)``."""
        return f"{self.verdict} ({', '.join(map(str, self.length))})" if self.length else self.verdict


@dataclass(frozen=True)
class ProofClause:
    """A conjunct of an invariant: in SMT-LIB, and in the words of the specification."""

    smt: str
    words: str


@dataclass(frozen=True)
class Proof:
    """Why a property holds: an inductive invariant, its clauses in the order in which the argument needs them.

    ``kind``: ``instance`` (of so many processes and rows as ``scope`` says) or ``any number``.  ``clock``: ``none`` (time plays
    no part) or ``ages`` (saturated; see ``docs/proofs.md``).  ``meaning``: a digest of the system and the property.
    ``truncated``, ``ticks``: as in :class:`txweave.certificate.Certificate`.
    """

    kind: str
    clock: str
    scope: str
    meaning: str
    truncated: tuple[str, ...]
    ticks: int
    clauses: tuple[ProofClause, ...]
    lifted: tuple[str, ...] = ()
    """The sorts of which there may be any number."""


@dataclass(frozen=True)
class PropertyResult:
    """The final verdict on one property of one case.

    ``text`` is the verdict in words, ``difference`` a sentence on how it differs from what is expected.  ``trace`` is the
    counterexample itself (it is left behind where results travel between processes), ``story`` the same for people, ``explored``
    what the explorer shows of it, where that was asked for (JSON; see :mod:`txweave.report.explorer`).
    """

    name: str
    kind: str
    title: str
    place: Place | None
    status: Status
    text: str
    expected: Expected
    relation: Relation
    answers: tuple[Answer, ...]
    difference: str = ""
    length: tuple[int, ...] | None = None
    notes: tuple[str, ...] = ()
    story: Story | None = None
    explored: str = field(default="", repr=False)
    proof: Proof | None = None
    """Where an engine found an inductive invariant."""
    trace: Trace | None = field(default=None, compare=False, repr=False)

    @property
    def known(self) -> Known | None:
        """The known violation that this is; nothing where the verdict is anything else, unknown above all."""
        return self.expected.known if self.relation is Relation.AS_EXPECTED and self.status is Status.VIOLATED else None


@dataclass(frozen=True)
class Finding:
    """Something that makes verdicts say less than they seem to.

    ``kind``: ``never-executed`` (a step), ``never-triggered`` (a ``whenever``), ``bound`` (hit, not accepted), ``truncated``
    (hit, accepted), ``lint`` (legal and probably not meant; ``subject`` is the code).
    """

    kind: str
    subject: str
    message: str
    place: Place | None = None


@dataclass(frozen=True)
class Exploration:
    """How far one engine got."""

    engine: str
    states: int
    transitions: int
    depth: int
    complete: bool
    stopped: str
    seconds: float
    reductions: tuple[str, ...] = ()
    """The reductions that were in effect; of the states that they cannot tell apart one is counted."""
    unreduced: str = ""
    """Why no reduction was used although there are many states and it was allowed; else empty."""


@dataclass(frozen=True)
class CaseResult:
    """Everything about one case.

    ``errors``: the specification is wrong (nothing else is filled in then); ``failures``: self-checks that failed, and internal
    errors.  ``settings`` are the parameters that the case sets, as text; ``steps`` those of the composed model, ``procedure.step``.
    """

    path: str
    study: str
    model: str
    case: str
    scenario: str
    title: str = ""
    place: Place | None = None
    fixes: tuple[str, ...] = ()
    settings: tuple[tuple[str, str], ...] = ()
    properties: tuple[PropertyResult, ...] = ()
    explorations: tuple[Exploration, ...] = ()
    findings: tuple[Finding, ...] = ()
    assumptions: tuple[str, ...] = ()
    steps: tuple[str, ...] = ()
    errors: tuple[Diagnostic, ...] = ()
    failures: tuple[str, ...] = ()
    seconds: float = 0.0
    debug: str = field(default="", compare=False)
    """Traceback of an internal error."""
    cached: bool = field(default=False, compare=False)
    """Whether it was kept from an earlier run of the same."""

    @property
    def states(self) -> int:
        """Distinct states of the exploration that found most."""
        return max((e.states for e in self.explorations), default=0)

    @property
    def exit(self) -> Exit:
        """The exit status of this case alone."""
        found = [Exit.OK]
        if self.failures or any(p.relation is Relation.FAILED for p in self.properties):
            found.append(Exit.SELF_CHECK)
        if any(d.severity == "error" for d in self.errors) or not (self.properties or self.failures):
            found.append(Exit.ERROR)
        if any(p.relation is Relation.DIFFERS for p in self.properties):
            found.append(Exit.DIFFERS)
        if any(p.relation is Relation.INCONCLUSIVE for p in self.properties):
            found.append(Exit.INCONCLUSIVE)
        return worst(found)

    def detached(self) -> CaseResult:
        """The same without traces, as it travels between processes."""
        return replace(self, properties=tuple(replace(p, trace=None) for p in self.properties))
