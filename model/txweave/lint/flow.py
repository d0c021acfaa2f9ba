"""Where a procedure can go: steps that nothing reaches, transactions that end without a commit."""

from __future__ import annotations

from dataclasses import dataclass

from txweave.semantics.uses import nodes
from txweave.spec.diagnostics import Report
from txweave.sql import tree
from txweave.sql.program import (
    Assign,
    BoundModel,
    BoundStep,
    Branch,
    Call,
    Execute,
    ForRows,
    ForValues,
    Loop,
    Raise,
    Return,
    Transaction,
    Try,
)

Open = frozenset[str]
"""What a transaction may have written when a place is reached: names of steps."""


def flow(model: BoundModel, report: Report) -> None:
    """L506 and L507."""
    runs = {name.value for scenario in model.source.scenarios.values() for role in scenario.roles for name in role.run}
    for procedure in model.procedures.values():
        walker = _Walker(model, report)
        ends = walker.steps(procedure.steps, frozenset())
        if procedure.name not in runs:
            continue  # a procedure that is only called leaves its transaction to the caller
        left = walker.returned | (ends or frozenset())
        if left:
            written = ", ".join(sorted(left))
            message = f"{procedure.name} can end without a commit, and what {written} wrote is then rolled back"
            report.warning("L507", procedure.span, message, "add a commit, or a rollback where that is meant")


@dataclass
class _Walker:
    model: BoundModel
    report: Report
    returned: Open = frozenset()
    """What is uncommitted at a ``return``."""

    def steps(self, steps: tuple[BoundStep, ...], before: Open | None) -> Open | None:
        """What may be uncommitted after the steps; None if their end is never reached."""
        told = False
        for step in steps:
            if before is None:
                if not told:
                    self.report.warning("L506", step.span, f"{step.name} is never reached", "take it out, or move it up")
                    told = True
                continue
            before = self.step(step, before)
        return before

    def step(self, step: BoundStep, before: Open) -> Open | None:
        match step.node:
            case Execute(statement=statement):
                wrote = isinstance(statement, tree.Insert | tree.Update | tree.Delete)
                return before | {step.name} if wrote else before
            case Transaction(operation="commit" | "rollback"):
                return frozenset()
            case Branch(_, then, otherwise):
                return _either(self.steps(then, before), self.steps(otherwise, before))
            case ForRows(steps=inner) | ForValues(steps=inner) | Loop(steps=inner):
                return _either(before, self.steps(inner, before))
            case Try(inner, handlers, final):
                after = self.steps(inner, before)
                # An error may come at any step, so that a handler finds whatever was written before it.
                halfway = before | _writes(inner)
                for handler in handlers:
                    after = _either(after, self.steps(handler.steps, halfway))
                return after if after is None and not final else self._final(final, after)
            case Raise():
                return None
            case Return():
                self.returned |= before
                return None
            case Call(procedure=name):
                inside = _Walker(self.model, Report())
                return _either(inside.steps(self.model.procedures[name].steps, before), inside.returned)
            case Assign() | _:
                return before

    def _final(self, final: tuple[BoundStep, ...], after: Open | None) -> Open | None:
        ends = self.steps(final, after or frozenset())
        return None if after is None else ends


def _either(one: Open | None, other: Open | None) -> Open | None:
    if one is None:
        return other
    return one if other is None else one | other


def _writes(steps: tuple[BoundStep, ...]) -> Open:
    return frozenset(
        s.name
        for s in nodes(steps)
        if isinstance(s.node, Execute) and isinstance(s.node.statement, tree.Insert | tree.Update | tree.Delete)
    )
