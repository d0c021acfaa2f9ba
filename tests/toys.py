"""Tiny sorted systems, built by hand, with known answers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from txweave.system import expr as x
from txweave.system.expr import BOOL, Domain, Elem, Expr, Local
from txweave.system.sorted import Action, Fairness, Function, Property, Rows, Sort, StepInfo, System, Update, Witness


def action(
    name: str,
    guard: Expr,
    updates: Iterable[tuple[str, Expr]] = (),
    *,
    kind: str = "step",
    actor: Local | None = None,
    params: tuple[Local, ...] = (),
    at: Mapping[str, tuple[tuple[Local, ...], Expr]] | None = None,
    fair: bool = True,
    recurs: bool = True,
    out: str | None = None,
) -> Action:
    """An action; ``updates`` change functions without arguments, ``at`` gives formals and body for the others."""
    changes = [Update(function, (), body) for function, body in updates]
    changes += [Update(function, formals, body) for function, (formals, body) in (at or {}).items()]
    return Action(name, kind, actor, params, guard, tuple(changes), StepInfo("", name), fair=fair, recurs=recurs, out=out)


def query(*witnesses: tuple[Expr, tuple[Expr, ...]], locals_: tuple[Local, ...] = ()) -> Rows:
    """A query with a witness for each condition and its values."""
    columns = tuple(f"c{i}" for i in range(len(witnesses[0][1]))) if witnesses else ()
    return Rows(columns, tuple(Witness(locals_, condition, values) for condition, values in witnesses))


def one(function: str, element: Local, new: Expr, sort: str) -> tuple[tuple[Local, ...], Expr]:
    """``function`` at one element becomes ``new``, elsewhere it stays."""
    formal = x.local("at", sort)
    return (formal,), x.ite(x.equal(formal, element), new, x.apply(function, formal))


def between(low: int, high: int) -> Domain:
    """The integers from ``low`` to ``high``."""
    return Domain(values=tuple(range(low, high + 1)))


# --------------------------------------------------------------------------------------------------- counters, bounds


def counter(top: int = 5, truncated: bool = False, stop: bool = False) -> System:
    """Counts from 0; beyond ``top`` it leaves the domain (or, with ``stop``, it stays there)."""
    n = x.apply("n")
    guard = x.less(n, x.const(top)) if stop else x.TRUE
    return System(
        "counter",
        (),
        (Function("n", (), between(0, top), 0),),
        (action("count", guard, [("n", x.arith("+", n, x.const(1)))]),),
        (
            Property("below", "never", query((x.equal(n, x.const(3)), (n,)))),
            Property("never_nine", "never", query((x.equal(n, x.const(9)), (n,)))),
            Property("stuck", "deadlock"),
            Property("returns", "always_possible", query((x.equal(n, x.const(0)), ()))),
            Property("reaches", "leads_to", query((x.equal(n, x.const(1)), ())), query((x.equal(n, x.const(3)), ()))),
        ),
        truncated=frozenset({"n"} if truncated else ()),
    )


def bounded(truncated: bool = False) -> System:
    """A queue of at most two rows: inserting a third leads out of bounds, named ``queue``."""
    n = x.apply("n")
    return System(
        "bounded",
        (),
        (Function("n", (), between(0, 2), 0),),
        (
            action("insert", x.less(n, x.const(2)), [("n", x.arith("+", n, x.const(1)))]),
            action("insert_beyond", x.equal(n, x.const(2)), out="queue"),
            action("delete", x.less(x.const(0), n), [("n", x.arith("-", n, x.const(1)))]),
        ),
        (
            Property("never_full", "never", query((x.equal(n, x.const(2)), (n,)))),
            Property("never_three", "never", query((x.equal(n, x.const(3)), (n,)))),
            Property("stuck", "deadlock"),
            Property("can_empty", "always_possible", query((x.equal(n, x.const(0)), ()))),
        ),
        truncated=frozenset({"queue"} if truncated else ()),
    )


# ---------------------------------------------------------------------------------------------- mutex and philosophers


def mutex(processes: int = 2, fairness: str = "weak", locked: bool = True) -> System:
    """Processes wait for one lock, and take it again and again.  Only strong fairness keeps one from starving.

    Without ``locked`` nobody looks whether the lock is held.
    """
    p, q, r = x.local("p", "proc"), x.local("q", "proc"), x.local("r", "proc")
    f = x.local("f", "proc")
    pc = x.apply("pc", p)
    free = x.neg(x.exists([q], x.equal(x.apply("pc", q), x.const("critical")))) if locked else x.TRUE

    def move(name: str, old: str, new: str, guard: Expr = x.TRUE) -> Action:
        return action(
            name,
            x.conj(x.equal(pc, x.const(old)), guard),
            actor=p,
            params=(p,),
            at={"pc": one("pc", p, x.const(new), "proc")},
        )

    both = x.conj(
        x.equal(x.apply("pc", q), x.const("critical")),
        x.equal(x.apply("pc", r), x.const("critical")),
        x.neg(x.equal(q, r)),
    )
    return System(
        "mutex",
        (Sort("proc", "processes", processes),),
        (Function("pc", ("proc",), Domain(values=("idle", "waiting", "critical")), "idle"),),
        (
            move("ask", "idle", "waiting"),
            move("enter", "waiting", "critical", free),
            move("leave", "critical", "idle"),
        ),
        (
            Property("exclusion", "never", Rows(("a", "b"), (Witness((q, r), both, (q, r)),))),
            Property(
                "served",
                "leads_to",
                Rows(("p",), (Witness((q,), x.equal(x.apply("pc", q), x.const("waiting")), (q,)),)),
                Rows(("p",), (Witness((r,), x.equal(x.apply("pc", r), x.const("critical")), (r,)),)),
            ),
            Property("stuck", "deadlock"),
            Property("all_idle", "always_possible", query((x.forall([q], x.equal(x.apply("pc", q), x.const("idle"))), ()))),
        ),
        (Fairness("proc", fairness, f),),
        ((f, x.FALSE),),
    )


def philosophers(count: int = 3, polite: bool = False) -> System:
    """Each takes the left fork, then the right one, eats, and puts both down; ``polite``: the first begins with the right.

    Forks are those of Dijkstra: one between two neighbours.
    """
    p = x.local("p", "philosopher")
    f = x.local("f", "philosopher")
    actions: list[Action] = []
    for number in range(count):
        me = x.const(Elem("philosopher", number))
        left, right = number, (number + 1) % count
        first, second = (right, left) if polite and number == 0 else (left, right)
        pc = x.apply("pc", p)

        def fork(place: int) -> tuple[str, Expr]:
            return f"fork{place}", x.apply(f"fork{place}")

        def move(
            name: str, old: str, new: str, places: Sequence[int], before: Expr, after: Expr, me: Expr = me, pc: Expr = pc
        ) -> Action:
            return action(
                f"{name}{me}",
                x.conj(x.equal(p, me), x.equal(pc, x.const(old)), *(x.equal(fork(i)[1], before) for i in places)),
                [(fork(i)[0], after) for i in places],
                actor=p,
                params=(p,),
                at={"pc": one("pc", p, x.const(new), "philosopher")},
            )

        actions += [
            move("first", "thinking", "hungry", [first], x.NULL, me),
            move("second", "hungry", "eating", [second], x.NULL, me),
            move("done", "eating", "thinking", sorted({first, second}), me, x.NULL),
        ]
    owner = Domain(sorts=("philosopher",), nullable=True)
    return System(
        "philosophers",
        (Sort("philosopher", "processes", count),),
        (
            Function("pc", ("philosopher",), Domain(values=("thinking", "hungry", "eating")), "thinking"),
            *(Function(f"fork{i}", (), owner, None) for i in range(count)),
        ),
        tuple(actions),
        (Property("stuck", "deadlock"),),
        (Fairness("philosopher", "weak", f),),
        ((f, x.FALSE),),
    )


# ---------------------------------------------------------------------------------------------------- two-phase commit


def two_phase_commit(count: int = 3, careless: bool = False) -> System:
    """TwoPhase of the TLA+ examples, action for action: 288 states for three resource managers, 1,146 states generated, depth 11.

    ``careless``: the manager commits without waiting for all.
    """
    r, q, s = x.local("r", "rm"), x.local("q", "rm"), x.local("s", "rm")
    tm, rm = x.apply("tm"), x.apply("rm", r)
    open_ = x.equal(tm, x.const("init"))
    prepared = x.forall([q], x.truth(x.apply("tm_prepared", q)))

    def manager(name: str, guard: Expr, new: str, **more: Expr) -> Action:
        at = {"rm": one("rm", r, x.const(new), "rm")}
        at.update({f: one(f, r, body, "rm") for f, body in more.items()})
        return action(name, guard, params=(r,), actor=r, at=at)

    split = x.conj(
        x.equal(x.apply("rm", q), x.const("committed")),
        x.equal(x.apply("rm", s), x.const("aborted")),
    )
    return System(
        "two_phase_commit",
        (Sort("rm", "processes", count),),
        (
            Function("rm", ("rm",), Domain(values=("working", "prepared", "committed", "aborted")), "working"),
            Function("tm", (), Domain(values=("init", "committed", "aborted")), "init"),
            Function("tm_prepared", ("rm",), BOOL, False),
            Function("msg_prepared", ("rm",), BOOL, False),
            Function("msg_commit", (), BOOL, False),
            Function("msg_abort", (), BOOL, False),
        ),
        (
            action(
                "TMCommit",
                x.conj(open_, x.TRUE if careless else prepared),
                [("tm", x.const("committed")), ("msg_commit", x.TRUE)],
            ),
            action("TMAbort", open_, [("tm", x.const("aborted")), ("msg_abort", x.TRUE)]),
            action(
                "TMRcvPrepared",
                x.conj(open_, x.truth(x.apply("msg_prepared", r))),
                params=(r,),
                at={"tm_prepared": one("tm_prepared", r, x.TRUE, "rm")},
            ),
            manager("RMPrepare", x.equal(rm, x.const("working")), "prepared", msg_prepared=x.TRUE),
            manager("RMChooseToAbort", x.equal(rm, x.const("working")), "aborted"),
            manager("RMRcvCommitMsg", x.truth(x.apply("msg_commit")), "committed"),
            manager("RMRcvAbortMsg", x.truth(x.apply("msg_abort")), "aborted"),
        ),
        (Property("consistent", "never", Rows(("q", "s"), (Witness((q, s), split, (q, s)),))),),
    )


# -------------------------------------------------------------------------------------------------------------- clocks


def clock(hours: int = 4) -> System:
    """A clock that only ticks, and a process that wakes when it strikes 2 and goes to sleep again at once."""
    p, f = x.local("p", "sleeper"), x.local("f", "sleeper")
    hour, awake = x.apply("hour"), x.truth(x.apply("awake"))
    tock = x.NULL
    for value in reversed(range(hours)):
        tock = x.ite(x.equal(hour, x.const(value)), x.const((value + 1) % hours), tock)
    return System(
        "clock",
        (Sort("sleeper", "processes", 1),),
        (Function("hour", (), between(0, hours - 1), 0), Function("awake", (), BOOL, False)),
        (
            action("tick", x.TRUE, [("hour", tock)], kind="tick"),
            action("wake", x.conj(x.equal(hour, x.const(2)), x.neg(awake)), [("awake", x.TRUE)], params=(p,), actor=p),
            action("sleep", awake, [("awake", x.FALSE)], params=(p,), actor=p),
        ),
        (
            Property("strikes", "leads_to", query((x.equal(hour, x.const(0)), ())), query((x.equal(hour, x.const(3)), ()))),
            Property("sleeps", "leads_to", query((awake, ()))),
            Property("wakes", "leads_to", query((x.neg(awake), ()))),
            Property("stuck", "deadlock"),
        ),
        (Fairness("sleeper", "weak", f),),
        ((f, x.FALSE),),
        timed=True,
    )


# ---------------------------------------------------------------------------------------------- systems given as graphs


@dataclass(frozen=True)
class Edge:
    """A transition of a system that is given as a graph; ``target`` None leads out of bounds."""

    source: int
    target: int | None
    process: int | None = None
    kind: str = "step"
    fair: bool = True
    recurs: bool = True


def tick(source: int, target: int) -> Edge:
    """Time passes."""
    return Edge(source, target, None, "tick")


def graph(
    size: int,
    edges: Sequence[Edge],
    *,
    rows: Mapping[str, Iterable[int]] | Iterable[int] = (),
    goal: Mapping[str, Iterable[int]] | Iterable[int] | None = None,
    fairness: Sequence[str] = (),
    owed: Mapping[int, Iterable[int]] | None = None,
    finished: Iterable[int] = (),
    timed: bool = False,
    truncated: bool = False,
) -> System:
    """A system with states 0 to ``size - 1``, of which 0 is the first, and one action for each edge.

    There are as many processes as ``fairness`` has entries (``weak``, ``strong`` or ``none``), each of a role of its own,
    ``p0``, ``p1`` …; ``owed`` gives the states in which fairness is owed to a process (all, if it is not mentioned).
    ``rows`` and ``goal`` of the properties are sets of states, or one for each value of a row.  All processes count as finished
    in the states ``finished``.  The bound beyond the graph is called ``edge``.
    """
    at = x.apply("at")

    def inside(states: Iterable[int]) -> Expr:
        return x.disj(*(x.equal(at, x.const(s)) for s in sorted(states)))

    def rows_of(sets: Mapping[str, Iterable[int]] | Iterable[int]) -> Rows:
        named = sets if isinstance(sets, Mapping) else {"v": sets}
        return Rows(("value",), tuple(Witness((), inside(states), (x.const(v),)) for v, states in named.items()))

    roles = [f"p{number}" for number in range(len(fairness))]
    locals_ = [x.local("p", role) for role in roles]
    actions = []
    for number, edge in enumerate(edges):
        actor = locals_[edge.process] if edge.process is not None else None
        actions.append(
            action(
                f"e{number}",
                x.equal(at, x.const(edge.source)),
                [] if edge.target is None else [("at", x.const(edge.target))],
                kind=edge.kind,
                actor=actor,
                params=(actor,) if actor is not None else (),
                fair=edge.fair,
                recurs=edge.recurs,
                out="edge" if edge.target is None else None,
            )
        )
    # No action changes a cell whose edges all lead out of bounds; keep one all the same.
    actions.append(action("never", x.FALSE, [("at", x.const(0))]))
    owed = owed or {}
    return System(
        "graph",
        tuple(Sort(role, "processes", 1) for role in roles),
        (Function("at", (), between(0, size - 1), 0),),
        tuple(actions),
        (
            Property("leads", "leads_to", rows_of(rows), None if goal is None else rows_of(goal)),
            Property("avoids", "never", rows_of(rows)),
            Property("possible", "always_possible", rows_of(rows)),
            Property("stuck", "deadlock"),
        ),
        tuple(
            Fairness(role, kind, process, inside(owed[number]) if number in owed else x.TRUE)
            for number, (role, kind, process) in enumerate(zip(roles, fairness, locals_, strict=True))
        ),
        tuple((process, inside(finished)) for process in locals_),
        timed=timed,
        truncated=frozenset({"edge"} if truncated else ()),
    )
