"""Proofs as plain data: what a result carries, a report shows and a certificate holds."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from txweave.certificate import Certificate
from txweave.proof.text import Writer, domain, value, write
from txweave.proof.words import Words
from txweave.results import Proof, ProofClause
from txweave.system import expr as x
from txweave.system.expr import Expr, Local
from txweave.system.sorted import System


def record(system: System, certificate: Certificate) -> Proof:
    """A certificate as plain data."""
    words = Words(system)
    item = next(p for p in system.properties if p.name == certificate.name)
    clauses = []
    for number, clause in enumerate(certificate.clauses):
        itself = number == 0 and item.kind == "never"
        clauses.append(ProofClause(write(clause), f"{item.name} is not violated" if itself else words.clause(clause)))
    return Proof(
        kind="instance",
        clock="ages" if system.timed else "none",
        scope=scope(system),
        meaning=meaning(system, certificate.name),
        truncated=certificate.truncated,
        ticks=certificate.ticks,
        clauses=tuple(clauses),
    )


def scope(system: System) -> str:
    """How many processes and rows there are: ``2 request, 1 scheduler; 2 backfill, 4 dag_run``."""
    kinds = [[f"{sort.size} {sort.name}" for sort in system.sorts if sort.kind == kind] for kind in ("processes", "rows")]
    return "; ".join(", ".join(parts) for parts in kinds if parts)


def meaning(system: System, name: str) -> str:
    """A digest of what a system does and what one of its properties says; places, titles and texts have no part in it."""
    digest = hashlib.sha256()
    for part in _parts(system, name):
        digest.update(part.encode() + b"\0")
    return digest.hexdigest()


def _parts(system: System, name: str) -> Iterator[str]:
    yield f"system {system.timed} {sorted(system.truncated)}"
    for sort in system.sorts:
        yield f"sort {sort}"
    for function in system.functions:
        overrides = [(at, value(v)) for at, v in function.overrides]
        yield f"function {function.name} {function.params} {domain(function.domain)} {value(function.initial)} {overrides}"
    for action in system.actions:
        sums = _Sums()
        heads = [sums.local(p) for p in action.params]
        yield f"action {action.name} {action.kind} {heads} {action.actor is not None} {action.out} {sums.of(action.guard)}"
        for update in action.updates:
            yield f"update {update.function} {[sums.local(f) for f in update.formals]} {sums.of(update.body)}"
    for process, condition in system.finished:
        sums = _Sums()
        yield f"finished {sums.local(process)} {sums.of(condition)}"
    item = next(p for p in system.properties if p.name == name)
    yield f"property {item.name} {item.kind}"
    for witness in item.rows.witnesses if item.rows is not None else ():
        sums = _Sums()
        yield f"row {[sums.local(b) for b in witness.locals]} {sums.of(witness.condition)} {[sums.of(v) for v in witness.values]}"


class _Sums:
    """Digests of expressions, each node once; locals are told by the order in which they are met, not by their names."""

    def __init__(self) -> None:
        self.writer = Writer()
        self.known: dict[Expr, str] = {}

    def local(self, bound: Local) -> str:
        return f"{self.writer.declare(bound)}:{domain(bound.domain)}"

    def of(self, node: Expr) -> str:
        found = self.known.get(node)
        if found is None:
            found = self.known[node] = hashlib.sha256(self._text(node).encode()).hexdigest()
        return found

    def _text(self, node: Expr) -> str:
        bound: tuple[Local, ...] = ()
        match node:
            case Local():
                return self.local(node)
            case x.Const(constant):
                return value(constant)
            case x.Least(only):
                bound = (only,)
            case x.Quantified() | x.Count() | x.Fold() | x.Pick():
                bound = node.locals
        heads = [self.local(item) for item in bound]
        extra = {x.Apply: "function", x.Arith: "operator", x.Quantified: "every", x.Fold: "kind"}.get(type(node))
        word = getattr(node, extra) if extra is not None else ""
        return f"{type(node).__name__} {word} {heads} {[self.of(child) for child in x.children(node)]}"
