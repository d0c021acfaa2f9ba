"""The verification of a certificate: against the specification, and not only against itself.

The system is lowered again from the specification, and all queries are made of it; the certificate gives nothing but its clauses.
Nothing is shared with the engines that found them: not the grounding, not the encoding, not the solver's state.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from txweave.certificate import Certificate
from txweave.proof.file import Claim
from txweave.proof.obligations import Obligations, Query
from txweave.proof.record import meaning
from txweave.proof.smt import Untranslatable
from txweave.proof.solve import RLIMIT, Solver, solver
from txweave.proof.text import Reader, TextError
from txweave.results import Proof
from txweave.system import expr as x
from txweave.system.sorted import System

if TYPE_CHECKING:
    from txweave.collect import Selected

MOST = 5
"""So many reasons are given."""


@dataclass
class Verification:
    """What came out: ``problems`` say why the certificate is rejected, ``undecided`` what a solver did not answer."""

    problems: list[str] = field(default_factory=list)
    undecided: list[str] = field(default_factory=list)
    queries: int = 0

    @property
    def verified(self) -> bool:
        """Whether every query was answered, and none had a model."""
        return not self.problems and not self.undecided and self.queries > 0


def select(claim: Claim, cases: Sequence[Selected]) -> tuple[Selected | None, list[str]]:
    """The case that a proof says it is of; None and the reasons where there is none, or it is composed of something else."""
    from txweave.check import describe

    found = [item for item in cases if item.case.name == claim.case and item.case.scenario == claim.scenario]
    if not found:
        there = ", ".join(f"{item.case.name} (scenario {item.case.scenario})" for item in cases)
        return None, [f"it is of case {claim.case} (scenario {claim.scenario}); the specification has {there or 'none'}"]
    result = describe(found[0])
    problems = []
    if result.model != claim.model:
        problems.append(f"it is of the model {claim.model}, not of {result.model}")
    if result.fixes != claim.fixes:
        problems.append(f"it is of the fixes {', '.join(claim.fixes) or 'none'}, not of {', '.join(result.fixes) or 'none'}")
    if dict(result.settings) != dict(claim.settings):
        problems.append(f"it is of the settings {_settings(claim.settings)}, not of {_settings(result.settings)}")
    return (None if problems else found[0]), problems


def _settings(settings: Sequence[tuple[str, str]]) -> str:
    return ", ".join(f"{name}={value}" for name, value in settings) or "none"


def certificate(system: System, name: str, proof: Proof) -> Certificate:
    """The certificate that a proof spells.

    Raises:
        TextError: a clause is no closed formula over the functions of the system.
    """
    arities = {function.name: len(function.params) for function in system.functions}
    sorts = frozenset(sort.name for sort in system.sorts)
    sizes = {sort.name: sort.size for sort in system.sorts}
    clauses = []
    for number, clause in enumerate(proof.clauses, 1):
        try:
            node = Reader(arities, sorts).read(clause.smt)
        except TextError as error:
            raise TextError(f"clause {number}, {error}") from error
        for element in _elements(node):
            if element.number >= sizes[element.sort]:
                raise TextError(f"clause {number}: there is no {element}, only {sizes[element.sort]} {element.sort}")
        clauses.append(node)
    return Certificate(name, tuple(clauses), proof.truncated, proof.ticks)


def _elements(node: x.Expr) -> Iterator[x.Elem]:
    seen, stack = set(), [node]
    while stack:
        here = stack.pop()
        if here not in seen:
            seen.add(here)
            stack.extend(x.children(here))
            if isinstance(here, x.Const) and isinstance(here.value, x.Elem):
                yield here.value


def verify(
    system: System,
    claim: Claim,
    use: str = "z3",
    rlimit: int = RLIMIT,
    stop: Callable[[], bool] = lambda: False,
) -> Verification:
    """Verify a proof for a system that was lowered from the specification.

    ``use`` is the solver, ``rlimit`` its budget for a query, ``stop`` is polled between queries.

    Raises:
        MissingSolverError: the solver is not installed.
    """
    found = Verification()
    proof = claim.proof
    if not claim.intact:
        found.problems.append("it was changed after it was written: its digest is another")
    item = next((p for p in system.properties if p.name == claim.name), None)
    if item is None:
        found.problems.append(f"the specification has no property {claim.name!r}")
        return found
    if item.kind not in ("never", "deadlock"):
        found.problems.append(f"{claim.name!r} is no safety property: an invariant does not show it")
        return found
    if proof.kind != "instance":
        found.problems.append(f"proofs of kind {proof.kind!r} are not verified by this version")
        return found
    if proof.clock != ("ages" if system.timed else "none"):
        found.problems.append(f"it says of the clock {proof.clock!r}, which is not so in the specification")
    if proof.meaning != meaning(system, claim.name):
        found.problems.append("the specification is another one, or was changed: it does not mean what the certificate is of")
    for bound in proof.truncated:
        if bound not in system.truncated:
            found.problems.append(f"it accepts that the bound {bound} is crossed, and the scenario does not")
    if found.problems:
        return found
    try:
        check(system, certificate(system, claim.name, proof), found, lambda: solver(use, rlimit), stop)
    except (TextError, Untranslatable) as error:
        found.problems.append(str(error))
    return found


def check(
    system: System, what: Certificate, found: Verification, new: Callable[[], Solver], stop: Callable[[], bool] = lambda: False
) -> None:
    """Ask every query of a certificate; what has a model is a problem."""
    obligations = Obligations(system, what)
    beginning, query = obligations.initiation()
    _ask(_started(new, beginning), query, found)
    running = _started(new, obligations.prelude())
    for query in obligations.queries():
        if stop():
            found.undecided.append("interrupted")
            return
        if len(found.problems) >= MOST:
            return
        _ask(running, query, found)
    if obligations.ages and found.verified:
        _clock(obligations, running, found, stop)


def _clock(obligations: Obligations, running: Solver, found: Verification, stop: Callable[[], bool]) -> None:
    """Look for a relation of the ages to a clock that runs on for ever: from the finest, what is not preserved is given up.

    Whatever fails by a relation fails by every coarser one.
    """
    exact = obligations.widest()
    while True:
        coarser = dict(exact)
        for query in obligations.clock(exact):
            if stop():
                found.undecided.append("interrupted")
                return
            found.queries += 1
            answer = running.run(query.lines())
            if answer == "unsat":
                continue
            if answer != "sat":
                found.undecided.append(f"{_sentence(query)}: {answer or 'no answer'}")
                return
            for single in query.split() if query.parts else (query,):
                if not single.parts or running.run(single.lines()) != "unsat":
                    part = single.parts[0][0] if single.parts else ""
                    if isinstance(part, str) or not exact[part]:
                        found.problems.append(single.label)
                        return
                    coarser[part] = exact[part] - 1
        if coarser == exact:
            return
        exact = coarser


def _started(new: Callable[[], Solver], lines: list[str]) -> Solver:
    made = new()
    printed = made.run(lines)
    if printed:
        raise Untranslatable(f"the solver does not take the script: {printed}")
    return made


def _ask(running: Solver, query: Query, found: Verification) -> None:
    """One query; where it has a model, which clause it is that fails."""
    found.queries += 1
    answer = running.run(query.lines())
    if answer == "unsat":
        return
    if answer != "sat":
        found.undecided.append(f"{_sentence(query)}: {answer or 'no answer'}")
        return
    for single in query.split():
        if running.run(single.lines()) == "sat":
            found.problems.append(single.label)
            return
    found.problems.append(_sentence(query))


def _sentence(query: Query) -> str:
    return f"a clause {query.label}" if query.parts else query.label
