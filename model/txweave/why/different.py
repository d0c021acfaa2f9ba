"""Counterexamples that are not the same story again.

Two counterexamples are *the same* if, up to the names of the processes of a role, each process takes the same steps and the same
order of steps matters (:mod:`txweave.why.order`); which outcome a step has, and how often it waits, makes no difference.
Others are looked for as those of a system in which something is left out that a known one has: a step, a kind of fault, or
(``never``) that one step comes before another, or that a process has not gone on.  Each is a shortest one among those without
that.  One that still breaks the property when the last step of a process is left out is not counted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TypeAlias

from txweave.judge import review
from txweave.system.expr import Elem
from txweave.system.ground import GroundAction, GroundProperty, GroundSystem
from txweave.trace import State, Taken, Trace
from txweave.verdict import Limits
from txweave.view import Viewer, evaluate
from txweave.why.order import Orders, calm

SEARCHES = 24
"""Up to so many searches are made."""

SEEN = 40_000
"""Up to so many states are looked at in each."""

_Key: TypeAlias = tuple[str, str, str]
_Signature: TypeAlias = tuple[tuple[tuple[str, tuple[_Key, ...]], ...], tuple[tuple[_Key, _Key], ...], int]


@dataclass(frozen=True)
class _Ban:
    """What is left out: every action with the key ``after``; with ``before``, only once an action of that process and key came.

    ``before`` and ``after`` are then of the processes ``first`` and ``second``.  Without ``after``: that the property breaks before
    the process ``first`` has taken the step ``before``.
    """

    after: _Key | None
    before: _Key | None = None
    first: Elem | None = None
    second: Elem | None = None


def different(trace: Trace, name: str, viewer: Viewer, most: int, stop: Callable[[], bool] | None = None) -> tuple[Trace, ...]:
    """Up to ``most`` counterexamples that differ, the given one first, then by their length; all of them confirmed by the judge.

    Fewer are found where there are no others, or where :data:`SEARCHES` searches have not found them.
    """
    found: list[Trace] = [trace]
    known = {_signature(trace, name, viewer)}
    queue: list[tuple[Trace, tuple[_Ban, ...]]] = [(trace, ())]
    tried: set[frozenset[_Ban]] = set()
    searches = 0
    while queue and searches < SEARCHES and len(found) < most + 3:
        base, bans = queue.pop(0)
        for ban in _bans(base, name, viewer):
            chosen = (*bans, ban)
            if frozenset(chosen) in tried or searches == SEARCHES or (stop is not None and stop()):
                continue
            tried.add(frozenset(chosen))
            searches += 1
            other = _search(viewer.system, name, chosen)
            if other is None or review(other, name).problems:
                continue
            other = calm(other, name, viewer)
            queue.append((other, chosen))
            signature = _signature(other, name, viewer)
            if signature not in known:
                known.add(signature)
                if not _more_than_needed(other, name, viewer):
                    found.append(other)
    rest = sorted(found[1:], key=lambda t: len(t.steps))
    return (trace, *rest[: most - 1])


def _key(action: GroundAction) -> _Key:
    """A step without its round in a loop and without its outcome; a fault or an error of a role, wherever it comes."""
    info = action.action.info
    role = "" if action.actor is None else action.actor.sort
    if action.kind in {"fault", "error"}:
        return role, action.kind, info.outcome
    return role, info.procedure, info.step.partition("[")[0]


def _signature(trace: Trace, name: str, viewer: Viewer) -> _Signature:
    orders = Orders(trace, name, viewer)
    order = orders.smallest()
    actors = dict.fromkeys(taken.action.actor for taken in trace.steps if taken.action.actor is not None)
    lines = []
    for actor in actors:
        keys = [_key(taken.action) for taken in trace.steps if taken.action.actor == actor]
        lines.append((actor.sort, tuple(dict.fromkeys(keys))))
    keys = [_key(taken.action) for taken in trace.steps]
    pairs = sorted({(keys[a - 1], keys[b - 1]) for a, b in (order.pairs if order is not None else ())})
    return tuple(sorted(lines)), tuple(pairs), len(keys) if order is None else 0


def _bans(trace: Trace, name: str, viewer: Viewer) -> Iterator[_Ban]:
    """What may be left out of a counterexample: the orders that matter first, then faults, then steps."""
    orders = Orders(trace, name, viewer)
    order = orders.smallest()
    if trace.loop is None and trace.system.find(name).kind == "never" and order is not None:
        for a, b in order.pairs:
            first, second = trace.steps[a - 1].action, trace.steps[b - 1].action
            yield _Ban(_key(second), _key(first), first.actor, second.actor)
        for actor in dict.fromkeys(taken.action.actor for taken in trace.steps):
            following = next(iter(orders.runner.moves(trace.states[-1], actor)), None)
            if following is not None and actor is not None:
                yield _Ban(None, _key(following.action), actor)
    keys = dict.fromkeys((taken.action.kind not in {"fault", "error"}, _key(taken.action)) for taken in trace.steps)
    for _, key in sorted(keys, key=lambda pair: pair[0]):
        if key != ("", "", "tick"):
            yield _Ban(key)


def _more_than_needed(trace: Trace, name: str, viewer: Viewer) -> bool:
    """Whether a ``never`` property breaks without the last step of some process as well."""
    orders = Orders(trace, name, viewer)
    if trace.loop is not None or orders.item.kind != "never":
        return False
    for thread in orders.threads:
        state: State | None = trace.system.initial
        for number, taken in enumerate(trace.steps):
            if number != thread[-1] and state is not None:
                state = orders.runner.after(state, taken.action)
        if state is not None and orders.holds(state):
            return True
    return False


def _search(system: GroundSystem, name: str, bans: tuple[_Ban, ...]) -> Trace | None:
    item = system.find(name)
    return _never(system, item, bans) if item.kind == "never" else _without(system, name, bans)


def _never(system: GroundSystem, item: GroundProperty, bans: tuple[_Ban, ...]) -> Trace | None:
    """Breadth-first, in the product with what has come before."""
    from txweave.engines.explicit.program import Program

    assert item.rows is not None
    program = Program(system)
    test = program.conditions([item.rows.some])
    out = {action.index for action in system.actions for ban in bans if ban.before is None and _key(action) == ban.after}
    marks = [0] * len(system.actions)
    blocks = [0] * len(system.actions)
    needed = 0
    for bit, ban in enumerate(ban for ban in bans if ban.before is not None):
        for action in system.actions:
            if action.actor == ban.first and _key(action) == ban.before:
                marks[action.index] |= 1 << bit
            if ban.after is not None and action.actor == ban.second and _key(action) == ban.after:
                blocks[action.index] |= 1 << bit
        if ban.after is None:
            needed |= 1 << bit
    start = program.initial, 0
    parents: dict[tuple[int, int], tuple[tuple[int, int], int] | None] = {start: None}
    queue, position = [start], 0
    goal = start if test(program.initial) and not needed else None
    while goal is None and position < len(queue) and len(queue) < SEEN:
        node = queue[position]
        position += 1
        for number, after in program.successors(node[0]):
            if after < 0 or number in out or blocks[number] & node[1]:
                continue
            following = after, node[1] | marks[number]
            if following in parents:
                continue
            parents[following] = node, number
            if not test(after):
                queue.append(following)
            elif following[1] & needed == needed:
                goal = following
                break
    if goal is None:
        return None
    steps: list[Taken] = []
    here = goal
    while (came := parents[here]) is not None:
        steps.append(Taken(system.actions[came[1]], program.layout.unpack(here[0])))
        here = came[0]
    whole = Trace(system, tuple(reversed(steps)))
    row = next(row for row in item.rows.rows if evaluate(row.condition, whole.states[-1]) is True)
    return replace(whole, witness=tuple(evaluate(value, whole.states[-1]) for value in row.values))


def _without(system: GroundSystem, name: str, bans: tuple[_Ban, ...]) -> Trace | None:
    """The engine's counterexample in the system without some actions; the judge will say whether it is one of the whole."""
    from txweave.engines import explicit

    kept = [action for action in system.actions if all(_key(action) != ban.after for ban in bans)]
    less = replace(system, actions=tuple(replace(action, index=number) for number, action in enumerate(kept)))
    outcome = explicit.check(less, [name], Limits(max_states=SEEN))
    trace = outcome.verdicts[name].trace
    if trace is None:
        return None
    steps = tuple(Taken(kept[taken.action.index], taken.state) for taken in trace.steps)
    return Trace(system, steps, trace.loop, trace.witness)
