"""The check of a certificate: a fresh solver, and nothing taken over from the search.

The search encodes a step as a function of a selector; here each action is taken by itself, and a conjunct after the
action is the conjunct with the new values put in for the cells (its weakest precondition).
"""

from __future__ import annotations

from collections.abc import Sequence

from txweave.certificate import Certificate
from txweave.engines.z3.encode import Encoding
from txweave.engines.z3.session import GaveUp, Session
from txweave.system import expr as x
from txweave.system.expr import Expr
from txweave.system.ground import GroundAction, GroundProperty, GroundSystem


def bad(encoding: Encoding, item: GroundProperty, ticks: int = 0) -> Expr:
    """The states in which a safety property is violated.

    For a deadlock: no process can move by itself, at once or after up to ``ticks`` ticks.  Where more time may pass there are
    more of these states than there are deadlocks, which is enough for a proof that there are none.
    """
    if item.kind == "never":
        assert item.rows is not None
        return item.rows.some
    assert item.kind == "deadlock", f"{item.kind} is not about single states"
    moves = later = encoding.moves(("step", "database"))
    for _ in range(ticks):
        passing = (x.conj(action.guard, _after(action, [later])[0]) for action in encoding.actions if action.kind == "tick")
        later = x.disj(moves, *passing)
    return x.conj(x.neg(later), encoding.unfinished())


def proper(item: GroundProperty) -> Expr | None:
    """That a property is not violated, as a closed formula of the sorted system, where it says so by itself."""
    if item.kind != "never":
        return None
    assert item.source.rows is not None
    return x.conj(*(x.neg(x.exists(witness.locals, witness.condition)) for witness in item.source.rows.witnesses))


def recheck(session: Session, system: GroundSystem, certificate: Certificate) -> tuple[str, ...]:
    """What is wrong with a certificate; nothing when it is confirmed: initiation, consecution for each action, safety."""
    encoding = Encoding(session, system)
    item = system.find(certificate.name)
    facts = [encoding.grounded(clause) for clause in certificate.clauses]
    labels = [f"clause {n}" for n in range(1, len(certificate.clauses) + 1)]
    unsafe = {certificate.name: bad(encoding, item, certificate.ticks)}
    unsafe |= {bound: formula for bound, formula in encoding.leaving.items() if bound not in certificate.truncated}
    problems = [f"crossing {bound} is not accepted" for bound in certificate.truncated if bound not in system.system.truncated]

    beginning, assuming = session.solver(), session.solver()
    beginning.add(encoding.initially())
    assuming.add(encoding.within(), *map(encoding.formula, facts))

    def refuted(what: str, *formulas: Expr, start: bool = False) -> None:
        solver = beginning if start else assuming
        # Each query is made and forgotten: were all of them kept, under assumptions, each would take ten times as long.
        solver.push()
        solver.add(*map(encoding.formula, formulas))
        try:
            if session.ask(solver):
                problems.append(what)
        except GaveUp as reason:
            problems.append(f"{what}: undecided ({reason.reason})")
        solver.pop()

    before = len(problems)
    refuted("it is not true initially", x.disj(*map(x.neg, facts)), start=True)
    if len(problems) > before:
        # Name the parts where that can be told.
        whole = problems.pop()
        for fact, label in zip(facts, labels, strict=True):
            refuted(f"{label} is not true initially", x.neg(fact), start=True)
        problems = problems or [whole]
    for action in encoding.actions:
        after = list(zip(facts, _after(action, facts), strict=True))
        broken = x.disj(*(x.neg(then) for fact, then in after if then is not fact))
        if broken is not x.FALSE:
            refuted(f"{action.name} does not preserve it", action.guard, broken)
    for label, formula in unsafe.items():
        refuted(f"{label} does not follow", formula)
    return tuple(problems)


def _after(action: GroundAction, facts: Sequence[Expr]) -> list[Expr]:
    """The weakest preconditions: each fact with the new values."""
    new: dict[Expr, Expr] = {x.cell(target): body for target, body in action.updates}
    memo: dict[Expr, Expr] = {}
    return [x.transform(fact, lambda node: new.get(node), memo) for fact in facts]
