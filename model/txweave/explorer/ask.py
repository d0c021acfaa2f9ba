"""Can a property still break from here, and how soon?  An exhaustive search from a state in the middle of a path."""

from __future__ import annotations

from dataclasses import dataclass, replace

from txweave.explorer.path import Path
from txweave.possible import Possible, SelfCheckError
from txweave.system import expr as x
from txweave.system.ground import GroundProperty, GroundRow, GroundSystem
from txweave.trace import State, Trace
from txweave.verdict import Limits, Status


@dataclass(frozen=True)
class Answer:
    """``status``: yes, no or unknown.  ``path``: for yes, the whole path from the initial state, through the state asked about."""

    status: str
    words: str
    path: Path | None = None


def ask(possible: Possible, trace: Trace, at: int, name: str, limits: Limits) -> Answer:
    """Whether a property can break on a run that goes on from a state of a path, with the shortest way to that.

    Args:
        possible: Of the path's system.
        trace: The path.
        at: How many of its steps are taken.
        name: The property.
        limits: When to give up.

    Raises:
        SelfCheckError: what the search found is not confirmed by the judge.
    """
    from txweave.engines import explicit

    state = trace.states[at]
    if state[-1] is not None:
        return Answer("unknown", f"not known: the state is out of bounds ({state[-1]})")
    system, old = _from(possible, trace, at, name)
    item = system.find(name)
    outcome = explicit.check(system, [name], limits, first_violation=item.kind == "never")
    verdict = outcome.verdicts[name]
    if verdict.status is Status.VIOLATED and verdict.trace is not None:
        found, loop = verdict.trace, verdict.trace.loop
        whole = Trace(possible.system, (*trace.steps[:at], *found.steps), None if loop is None else at + loop, found.witness)
        shown, why = possible.shown(whole, name)
        if shown is None:
            if old:
                return Answer("unknown", f"not known: a row that is owed from before makes this hard to say ({why})")
            raise SelfCheckError(f"the way that was found does not violate {name}: {why}")
        return Answer("yes", _yes(shown, at), Path(shown, name))
    if verdict.status is Status.UNKNOWN:
        limit = f" ({limits.max_states:,} states)" if outcome.stopped == "max-states" and limits.max_states else ""
        return Answer("unknown", f"not known: {verdict.reason}{limit}")
    bounds = f", truncated at {', '.join(verdict.truncated)}" if verdict.truncated else ""
    states = f"{outcome.states:,} state{'' if outcome.states == 1 else 's'}"
    if item.kind == "leads_to":
        return Answer("no", f"no: every run from here on answers it ({states}{bounds})")
    return Answer("no", f"no: none of the {states} from here on breaks it{bounds}")


def _yes(trace: Trace, at: int) -> str:
    more = len(trace.steps) - at
    if trace.loop is not None:
        stem, loop = trace.loop - at, len(trace.steps) - trace.loop
        return f"yes: {_steps(stem)} from here, then {f'a loop of {_steps(loop)}' if loop else 'nothing moves any more'}"
    return f"yes: {_steps(more)} from here" if more else "yes: it is broken here"


def _steps(number: int) -> str:
    return f"{number} step{'' if number == 1 else 's'}"


def _from(possible: Possible, trace: Trace, at: int, name: str) -> tuple[GroundSystem, bool]:
    """The system that begins in a state of a path, and whether rows are owed there that the state does not show any more.

    What a ``whenever`` had before and is not answered yet is owed in the new initial state as well, although it may not be in
    the query any more.  Should a run come back to that state it is asked for once more: a no stays right, and a yes is judged.
    """
    state = trace.states[at]
    cells = tuple(replace(cell, initial=value) for cell, value in zip(possible.system.cells, state, strict=True))
    system = replace(possible.system, cells=cells)
    item = possible.system.find(name)
    if item.kind != "leads_to" or item.goal is None or item.rows is None:
        return system, False
    here = possible.rows(item.source, state)
    old = [row for row in possible.owed(item.source, trace.states[: at + 1])[-1] if row not in here]
    if not old:
        return system, False
    owed = tuple(GroundRow(_is(state), tuple(map(x.const, row))) for row in old)
    more = replace(item.rows, rows=(*item.rows.rows, *owed))
    changed: tuple[GroundProperty, ...] = tuple(replace(p, rows=more) if p is item else p for p in system.properties)
    return replace(system, properties=changed), True


def _is(state: State) -> x.Expr:
    return x.conj(*(x.equal(x.cell(number), x.const(value)) for number, value in enumerate(state)))
