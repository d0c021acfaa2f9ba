"""Tiny systems built by hand, and brute-force answers by the reference interpreter."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations
from typing import Any

from txweave.system import expr as x
from txweave.system import reference as ref
from txweave.system.expr import NULL, Domain, Expr, Local, Value
from txweave.system.ground import GroundSystem
from txweave.system.sorted import Action, Fairness, Function, Property, Rows, Sort, StepInfo, System, Update, Witness

P = "P"


def info(name: str) -> StepInfo:
    return StepInfo("main", name)


def row(condition: Expr, *values: Expr, locals_: tuple[Local, ...] = ()) -> Rows:
    return Rows(tuple(f"c{n}" for n in range(len(values))), (Witness(locals_, condition, values),))


def at(function: str, where: Expr, value: Expr, sort: str = P) -> Update:
    """``function`` at one element; unchanged elsewhere."""
    formal = x.local("f", sort)
    return Update(function, (formal,), x.ite(x.equal(formal, where), value, x.apply(function, formal)))


def step(name: str, guard: Any, *updates: Any, kind: str = "step", role: str = P, **more: Any) -> Action:
    p = x.local("p", role)
    return Action(name, kind, p, (p,), guard(p), tuple(u(p) for u in updates), info(name), role, **more)


def pc(p: Expr, value: str) -> Expr:
    return x.equal(x.apply("pc", p), x.const(value))


def go(value: str) -> Any:
    return lambda p: at("pc", p, x.const(value))


def mutex(atomic: bool, size: int = 2, crash: bool = False) -> System:
    """Test and set, in one step or in two.  Broken in two: both may be inside after four steps."""
    free = x.equal(x.apply("lock"), NULL)

    def take(p: Expr) -> Update:
        return Update("lock", (), p)

    def drop(_: Expr) -> Update:
        return Update("lock", (), NULL)

    actions = [
        step("test", lambda p: x.conj(pc(p, "idle"), free), go("in" if atomic else "tested"), *([take] if atomic else [])),
        step("leave", lambda p: pc(p, "in"), go("idle"), drop),
    ]
    if not atomic:
        actions.append(step("set", lambda p: pc(p, "tested"), go("in"), take))
    if crash:
        actions.append(step("crash", lambda p: x.neg(pc(p, "dead")), go("dead"), kind="fault", recurs=False))
    p, q = x.local("p", P), x.local("q", P)
    both = x.conj(x.less(p, q), pc(p, "in"), pc(q, "in"))
    return System(
        "mutex",
        (Sort(P, "processes", size),),
        (
            Function("pc", (P,), Domain(("idle", "tested", "in", "dead")), "idle"),
            Function("lock", (), Domain(sorts=(P,), nullable=True), None),
        ),
        tuple(actions),
        (
            Property("exclusive", "never", row(both, p, q, locals_=(p, q))),
            Property("gets_in", "leads_to", row(pc(p, "idle"), p, locals_=(p,)), row(pc(p, "in"), p, locals_=(p,))),
            Property("stays_possible", "always_possible", row(pc(p, "in"), p, locals_=(p,))),
            Property("no_deadlock", "deadlock"),
        ),
        (Fairness(P, "weak", x.local("p", P)),),
        ((p, pc(p, "dead")),),
    )


def counter(top: int, bound: bool = False, truncated: bool = False) -> System:
    """One process counts to ``top`` and stops; with ``bound``, the domain ends one earlier."""
    n = x.apply("n")
    p = x.local("p", P)
    return System(
        "counter",
        (Sort(P, "processes", 1),),
        (Function("n", (), Domain(tuple(range(top if bound else top + 1))), 0),),
        (step("count", lambda _: x.less(n, x.const(top)), lambda _: Update("n", (), x.arith("+", n, x.const(1)))),),
        (
            Property("below", "never", row(x.equal(n, x.const(top)), n)),
            Property("small", "never", row(x.less(x.const(top), n), n)),
            Property("no_deadlock", "deadlock"),
            Property(
                "arrives", "leads_to", row(x.less(n, x.const(top)), x.const("x")), row(x.equal(n, x.const(top)), x.const("x"))
            ),
            Property("leaves", "leads_to", row(x.equal(n, x.const(top)), n)),
        ),
        (Fairness(P, "weak", p),),
        ((p, x.equal(n, x.const(top))),),
        truncated=frozenset(["n"]) if truncated else frozenset(),
    )


def clocked(wakes: bool, forms: int = 1) -> System:
    """A process waits until its age is two; if not ``wakes`` it waits for an age that does not come."""
    p = x.local("p", P)
    age = x.apply("age")
    older = Update("age", (), x.ite(x.equal(age, x.const(2)), age, x.arith("+", age, x.const(1))))
    ticks = [Action(f"tick{n}", "tick", None, (), x.TRUE, (older,), info("tick")) for n in range(forms)]
    wait = x.equal(age, x.const(2 if wakes else 3))
    return System(
        "clocked",
        (Sort(P, "processes", 1),),
        (
            Function("pc", (P,), Domain(("wait", "go")), "wait"),
            Function("age", (), Domain((0, 1, 2, 3)), 0),
        ),
        (step("wake", lambda q: x.conj(pc(q, "wait"), wait), go("go")), *ticks),
        (
            Property("no_deadlock", "deadlock"),
            Property("wakes", "leads_to", row(pc(p, "wait"), p, locals_=(p,))),
            Property("old", "never", row(x.equal(age, x.const(2)), age)),
        ),
        (Fairness(P, "weak", p),),
        ((p, pc(p, "go")),),
        timed=True,
    )


def with_size(system: System, size: int) -> System:
    return replace(system, sorts=tuple(replace(s, size=size) for s in system.sorts))


# ------------------------------------------------------------------------------------------------------- brute force


def violation(system: System, name: str, limit: int) -> int | str | None:
    """Length of the shortest counterexample of a safety property; None if there is none; else why there is no answer."""
    found = ref.explore(system, limit)
    item = next(p for p in system.properties if p.name == name)
    for state, depth in zip(found.states, found.depths, strict=True):
        if state[ref.BOUND] is None and is_bad(system, item, state):
            return depth
    if not found.complete:
        return "incomplete"
    return "bounds" if found.bounds - system.truncated else None


def cells(grounded: GroundSystem, state: ref.State) -> tuple[Value, ...]:
    return tuple(state[cell.function, cell.args] for cell in grounded.cells)


def is_bad(system: System, item: Property, state: ref.State) -> bool:
    if item.kind == "never":
        assert item.rows is not None
        return bool(ref.rows(system, item.rows, state))
    assert item.kind == "deadlock"
    if ref.finished(system, state):
        return False
    seen, pending = set(), [state]
    while pending:
        here = pending.pop()
        if ref.identity(here) in seen:
            continue
        seen.add(ref.identity(here))
        for move in ref.successors(system, here):
            if move.action.kind in ("step", "database"):
                return False
            if move.action.kind == "tick":
                if move.state[ref.BOUND] is not None:
                    return False
                pending.append(move.state)
    return True


def owners(system: System) -> list[tuple[Any, str, str, Fairness | None]]:
    found: list[tuple[Any, str, str, Fairness | None]] = []
    for item in system.fairness:
        if item.kind != "none":
            found += [(e, item.kind, "step", item) for e in ref.elements(system, item.role)]
    for action in system.actions:
        if action.kind == "database" and action.actor is not None:
            for e in ref.values(system, action.actor.domain):
                if (e, "weak", "database", None) not in found:
                    found.append((e, "weak", "database", None))
    return found


class Graph:
    """The reachable graph within bounds, with everything that fairness asks about."""

    def __init__(self, system: System, limit: int) -> None:
        explored = ref.explore(system, limit)
        self.complete, self.system = explored.complete, system
        self.states = [s for s in explored.states if s[ref.BOUND] is None]
        number = {ref.identity(s): n for n, s in enumerate(self.states)}
        self.owners = owners(system)
        self.edges: list[list[tuple[ref.Step, int]]] = []
        self.wants: list[list[bool]] = []
        for state in self.states:
            moves = list(ref.successors(system, state))
            self.edges.append([(m, number[ref.identity(m.state)]) for m in moves if m.state[ref.BOUND] is None])
            self.wants.append(
                [
                    (item is None or ref.holds(system, item.owed, state, {item.process: e}))
                    and any(m.action.kind == kind and m.action.fair and m.params[:1] == (e,) for m in moves)
                    for e, _, kind, item in self.owners
                ]
            )

    def moved(self, move: ref.Step) -> frozenset[int]:
        return frozenset(
            n
            for n, (e, _, kind, _) in enumerate(self.owners)
            if move.action.kind == kind and move.action.fair and move.action.actor is not None and move.params[0] == e
        )

    def lasso(self, item: Property) -> tuple[int, int] | None:
        """(stem, loop) of the shortest counterexample of a leads-to property."""
        assert item.rows is not None
        there = [ref.rows(self.system, item.rows, s) for s in self.states]
        goal = [ref.rows(self.system, item.goal, s) for s in self.states] if item.goal is not None else None
        best: tuple[int, int] | None = None
        for v in dict.fromkeys(v for found in there for v in found):
            row = [v in found for found in there]
            safe = row if goal is None else [v not in found for found in goal]
            if goal is None:
                row = [True] * len(row)
            for stem, node, pending in self.stems(row, safe):
                if best is not None and stem > best[0]:
                    break
                loop = self.loop(node, pending, row, safe)
                if loop is not None and (best is None or (stem, loop) < best):
                    best = (stem, loop)
        return best

    def stems(self, row: list[bool], safe: list[bool]) -> Iterator[tuple[int, int, bool]]:
        """Depth, state and whether the row is pending there, in order of depth; only states where it is not discharged."""
        queue = deque([(0, 0, False)])
        seen = set()
        while queue:
            depth, node, pending = queue.popleft()
            pending = safe[node] and (pending or row[node])
            if (node, pending) in seen:
                continue
            seen.add((node, pending))
            if safe[node]:
                yield depth, node, pending
            queue.extend((depth + 1, to, pending) for _, to in self.edges[node])

    def loop(self, start: int, pending: bool, row: list[bool], safe: list[bool]) -> int | None:
        if pending and not self.system.timed and not any(self.wants[start]):
            return 0
        strong = [n for n, o in enumerate(self.owners) if o[1] == "strong"]
        lengths = []
        for size in range(len(strong) + 1):
            for never in combinations(strong, size):
                length = self._loop(start, pending, row, safe, frozenset(never))
                if length is not None:
                    lengths.append(length)
        return min(lengths, default=None)

    def _loop(self, start: int, pending: bool, row: list[bool], safe: list[bool], never: frozenset[int]) -> int | None:
        """Shortest closed walk on which those in ``never`` are never enabled, and everybody else has moved or is excused."""
        everybody = frozenset(range(len(self.owners)))

        def excused(node: int) -> frozenset[int]:
            return frozenset(n for n in everybody if self.owners[n][1] == "weak" and not self.wants[node][n])

        queue = deque([(0, start, never, False, pending or row[start])])
        seen = set()
        while queue:
            length, node, fine, ticked, begun = queue.popleft()
            if length and node == start and fine == everybody and (ticked or not self.system.timed) and begun:
                return length
            if (node, fine, ticked, begun, length == 0) in seen:
                continue
            seen.add((node, fine, ticked, begun, length == 0))
            if not safe[node] or any(self.wants[node][n] for n in never):
                continue
            for move, to in self.edges[node]:
                if move.action.recurs and safe[to]:
                    tick = ticked or move.action.kind == "tick"
                    queue.append((length + 1, to, fine | excused(node) | self.moved(move), tick, begun or row[to]))
        return None
