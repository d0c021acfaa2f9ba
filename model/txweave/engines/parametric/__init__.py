"""Proofs for any number of processes of a role and of rows of a table.

:func:`check` takes two lowerings of one scenario, for different sizes, and makes of them a template that holds for all
(:mod:`~txweave.engines.parametric.template`).  What it cannot express is refused by name.  For each ``never`` property it searches
an inductive invariant: candidate clauses are what is true in every state of a small instance
(:mod:`~txweave.engines.parametric.samples`), chosen by counterexamples to induction (:mod:`~txweave.engines.parametric.search`).
What is claimed is what fresh solvers confirm, one question for each clause and each step, on sorts of any size
(:mod:`~txweave.engines.parametric.logic`).

The engine proves; it finds no violations.  Where it has no proof its answer is ``unknown``, with the reason.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from txweave.engines.parametric.samples import Samples, instance
from txweave.engines.parametric.search import Fact, NotProved, Questions, Search, confirm, minimise, say
from txweave.engines.parametric.template import Refused, Template, lift, relaxed
from txweave.system import expr as x
from txweave.system.expr import Expr
from txweave.system.sorted import System
from txweave.verdict import Limits, Outcome, Status, Verdict

__all__ = ["ENGINE", "Clause", "NotProved", "Proof", "Refused", "Template", "check", "closed", "harvest", "lift", "prove"]

ENGINE = "any number"

FEW = 8
"""Facts of a counterexample to induction that are told with the reason; its notes tell all."""

STATES = 40_000
"""States of each of the instances that clauses are taken from."""


@dataclass(frozen=True)
class Clause:
    """A conjunct of an invariant: a closed expression of the sorted system, and the same in words."""

    expr: Expr
    words: str


@dataclass(frozen=True)
class Proof:
    """An inductive invariant of the sorted system, whatever the sizes of the ``lifted`` sorts are; the property comes first.

    ``unreachable``: limits of what is modelled that no step crosses, which follows from the clauses.  ``questions``: how many
    were put to a fresh solver to confirm it.
    """

    name: str
    lifted: tuple[str, ...]
    clauses: tuple[Clause, ...]
    unreachable: tuple[str, ...]
    questions: int
    kind: str = "any number"


class _Stopped(Exception):  # noqa: N818 - not an error: a limit was reached
    """A limit was reached; the message is its name."""


def check(one: System, other: System, properties: Sequence[str] | None = None, limits: Limits | None = None) -> Outcome:
    """Verdicts on the ``never`` properties of two lowerings of one scenario, with different sizes.

    A verdict is ``proved (any number of …)`` or ``unknown``, with the reason and, where the search ended at one, the
    counterexample to induction in its notes.  Other properties get no verdict.

    Args:
        one: the scenario with at least two elements of every sort of which there may be more.
        other: the same with more.
        properties: names of those to check; all when None.
        limits: when to give up; the budgets of single questions are the engine's own.
    """
    started = time.monotonic()
    limits = limits or Limits()
    names = [p.name for p in one.properties if p.kind == "never" and (properties is None or p.name in properties)]
    verdicts: dict[str, Verdict] = {}

    def look() -> None:
        if limits.stop is not None and limits.stop():
            raise _Stopped("interrupted")
        if limits.timeout is not None and time.monotonic() - started > limits.timeout:
            raise _Stopped("timeout")

    stopped = ""
    search: Search | None = None
    for name in names:
        before = time.monotonic()
        try:
            if search is None:
                template = lift(one, other)
                search = Search(Questions(template, look), harvest(template, one, limits))
            proof = prove(search, name)
            verdict = Verdict(name, Status.PROVED, ENGINE, scope=scope(search.template), notes=why(search.template, proof))
        except Refused as refusal:
            verdict = _unknown(name, f"no proof for any number: {refusal}")
        except NotProved as failure:
            state = (f"counterexample to induction: {', '.join(failure.state)}",) if failure.state else ()
            where = f": {', '.join(failure.state)}" if 0 < len(failure.state) <= FEW else ""
            verdict = _unknown(name, f"no proof for any number: {failure.reason}{where}", state)
        except (_Stopped, KeyboardInterrupt) as reason:
            stopped = str(reason) if isinstance(reason, _Stopped) else "interrupted"
            verdict = _unknown(name, stopped)
        verdicts[name] = _timed(verdict, time.monotonic() - before)
        if stopped:
            break
    return Outcome(ENGINE, verdicts, stopped=stopped, seconds=time.monotonic() - started)


def _unknown(name: str, reason: str, notes: tuple[str, ...] = ()) -> Verdict:
    return Verdict(name, Status.UNKNOWN, ENGINE, reason=reason, notes=notes)


def _timed(verdict: Verdict, seconds: float) -> Verdict:
    return Verdict(verdict.name, verdict.status, ENGINE, verdict.reason, scope=verdict.scope, notes=verdict.notes, seconds=seconds)


def harvest(template: Template, system: System, limits: Limits | None = None) -> Samples:
    """The states of small instances: two processes of each role, and three of one and one of the others, with the rows that
    the scenario allows."""
    from txweave.engines import explicit

    samples = Samples(template)
    roles = [sort.name for sort in system.sorts if sort.kind == "processes" and sort.name in template.sorts]
    stop = limits.stop if limits is not None else None
    for many in (None, *roles):
        found = instance(relaxed(system), {role: 2 if many is None else 3 if role == many else 1 for role in roles})
        explored = explicit.explore(found, limits=Limits(max_states=STATES, stop=stop))
        states = (explored.state(number) for number in range(len(explored.packed)))
        samples.add(found, [state for state in states if state[-1] is None])
    return samples


def prove(search: Search, name: str) -> Proof:
    """A proof of one property.

    Raises:
        NotProved: there is none, or none was found.
        Refused: the property cannot be expressed.
    """
    template = search.template
    facts = minimise(search.questions, search.prove(name))
    questions = confirm(template, facts, search.questions.look)
    clauses = tuple(Clause(closed(template, fact), say(template, fact)) for fact in facts if fact.inductive)
    limits = tuple(dict.fromkeys(action.out for action in template.forbidden if action.out is not None))
    return Proof(name, _order(template), clauses, limits, questions)


def closed(template: Template, fact: Fact) -> Expr:
    """The fact over the functions of the system that was given."""

    def change(item: Expr) -> Expr | None:
        if not isinstance(item, x.Apply):
            return None
        origin = template.origins[item.function]
        rest = iter(x.transform(a, change) for a in item.args)
        return x.apply(origin.function, *(next(rest) if e is None else x.const(e) for e in origin.args))

    return x.forall(fact.names, x.transform(fact.formula, change))


def _order(template: Template) -> tuple[str, ...]:
    """Lifted sorts, roles first."""
    kinds = {sort.name: sort.kind for sort in template.system.sorts}
    return tuple(sorted(template.sorts, key=lambda name: kinds[name] != "processes"))


def scope(template: Template) -> str:
    """``any number of request, scheduler, backfill``."""
    return f"any number of {', '.join(_order(template))}"


def why(template: Template, proof: Proof) -> tuple[str, ...]:
    """Why a property holds, in sentences."""
    found = [f"why it holds, of any number: {clause.words}" for clause in proof.clauses[1:]]
    found += [f"{name} keeps its size: {reason}" for name, reason in template.kept]
    return tuple(found)
