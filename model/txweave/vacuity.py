"""Vacuity: what makes a verdict say less than it seems to.

A step that is never executed, a ``whenever`` that never has a row, a bound that was hit: each is a finding, with the reason as far
as the exploration shows it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from txweave.report.story import Place
from txweave.results import Finding
from txweave.sql import program
from txweave.sql.program import BoundModel, BoundStep
from txweave.system.ground import GroundSystem
from txweave.system.sorted import Action
from txweave.verdict import Coverage, Outcome


def findings(system: GroundSystem, bound: BoundModel, outcomes: Sequence[Outcome], names: Sequence[str]) -> tuple[Finding, ...]:
    """All findings of one case; without a coverage nothing is said of steps."""
    found: list[Finding] = []
    seen = next((o for o in outcomes if o.coverage is not None), None)
    if seen is None or seen.coverage is None:
        return ()
    coverage = seen.coverage
    found += _bounds(system, coverage)
    if seen.complete:
        # What an unfinished search has not seen may still come.
        found += _steps(system, bound, coverage)
        found += [
            Finding(
                "never-triggered",
                name,
                f"{name}: its whenever never has a row, so that nothing was checked",
                Place.of(system.find(name).source.span),
            )
            for name in names
            if coverage.triggered.get(name) is False
        ]
    return tuple(found)


def _bounds(system: GroundSystem, coverage: Coverage) -> Iterable[Finding]:
    accepted = system.system.truncated
    for bound in coverage.bounds_hit:
        if bound in accepted:
            yield Finding("truncated", bound, f"runs that cross the bound {bound} were cut off, as the scenario accepts")
        elif " " in bound:  # what is not modelled is named in words; tables and columns have none with a blank
            yield Finding("bound", bound, f"a run leaves what is modelled: {bound}; docs/semantics.md says more")
        else:
            yield Finding("bound", bound, f"the bound {bound} was hit: raise it under bounds, or accept it under truncate")


def _steps(system: GroundSystem, bound: BoundModel, coverage: Coverage) -> Iterable[Finding]:
    """Steps that no process ever takes: all their actions were never taken (waiting, failing and retrying count as taken)."""
    by_step: dict[tuple[str, str], list[int]] = {}
    for index, action in enumerate(system.system.actions):
        if action.kind == "step" and action.info.step:
            by_step.setdefault((action.info.procedure, _bare(action.info.step)), []).append(index)
    taken = {key for key, indices in by_step.items() if any(coverage.taken[i] for i in indices)}
    procedures = {procedure for procedure, _ in by_step}
    dead: dict[str, list[tuple[str, Place | None, str]]] = {}
    for name, procedure in bound.procedures.items():
        if name not in procedures:
            continue  # no role of the scenario runs it
        for step in _statements(procedure.steps):
            if (name, step.name) not in taken:
                dead.setdefault(name, []).append((step.name, Place.of(step.span), _why(system, coverage, name, step.name)))
    for name, unseen in dead.items():
        for label, place, why in unseen:
            yield Finding("never-executed", f"{name}.{label}", f"{name}.{label} is never executed: {why}", place)


def _bare(step: str) -> str:
    """A step's name without the round of the loop that it is in (``insert_run[2]``)."""
    return step.partition("[")[0]


def _statements(steps: Sequence[BoundStep]) -> Iterable[BoundStep]:
    """The steps that are transitions of their own, at any depth."""
    for step in steps:
        match step.node:
            case program.Execute() | program.Transaction() | program.Choose():
                yield step
            case program.Assign(_, True):
                yield step
            case program.Branch(_, then, otherwise):
                yield from _statements(then)
                yield from _statements(otherwise)
            case program.ForRows(steps=inner) | program.ForValues(steps=inner) | program.Loop(steps=inner):
                yield from _statements(inner)
            case program.Try(inner, handlers, final):
                yield from _statements(inner)
                for handler in handlers:
                    yield from _statements(handler.steps)
                yield from _statements(final)
            case _:
                pass


def _why(system: GroundSystem, coverage: Coverage, procedure: str, step: str) -> str:
    """Whether a process ever stands before the step: another action leads there, or it is the first."""
    places = {(p.role, p.name) for p in system.system.points if p.procedure == procedure and _bare(p.step) == step}
    if not places:
        return "its process never gets there"
    if any(_leads(system, action, places) for i, action in enumerate(system.system.actions) if coverage.taken[i]):
        return "a process gets there, but what it waits for never comes"
    counters = [f for f in system.system.functions if f.about[:1] == ("pc",)]
    starts = {(f.about[1], value) for f in counters for value in (f.initial, *(v for _, v in f.overrides))}
    return "a process starts there, but what it waits for never comes" if starts & places else "its process never gets there"


def _leads(system: GroundSystem, action: Action, places: set[tuple[str, str]]) -> bool:
    """Whether an action's new place may be one of these, judging by the constants in its update of the place."""
    from txweave.system import expr as x

    counters = {f.name: f.about[1] for f in system.system.functions if f.about[:1] == ("pc",)}
    for update in action.updates:
        role = counters.get(update.function)
        if role is None:
            continue
        stack, seen = [update.body], set()
        while stack:
            node = stack.pop()
            if node in seen:
                continue
            seen.add(node)
            if isinstance(node, x.Const) and (role, node.value) in places:
                return True
            # Conditions compare places without going there.
            stack.extend((node.then, node.otherwise) if isinstance(node, x.Ite) else x.children(node) if not node.boolean else ())
    return False
