"""Random small sorted systems, well-typed, in which nothing depends on what the language leaves open."""

from __future__ import annotations

from random import Random
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from txweave.system import expr as x
from txweave.system.expr import BOOL, NULL, Domain, Expr, Local
from txweave.system.sorted import Action, Fairness, Function, Property, Rows, Sort, StepInfo, System, Update, Witness

P, R = "P", "R"


def examples(number: int) -> settings:
    """Always the same examples, so that a failure can be repeated."""
    return settings(max_examples=number, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))


STATUS = ("a", "b", "c")


class _Draw:
    """Draws evenly: Hypothesis by itself prefers what is simplest, and the simplest systems have two states."""

    def __init__(self, random: Random) -> None:
        self.random = random

    def pick(self, *options: Any) -> Any:
        return self.random.choice(options)

    def number(self, low: int, high: int) -> int:
        return self.random.randint(low, high)

    def coin(self) -> bool:
        return self.random.random() < 0.5

    def locals_of(self, env: tuple[Local, ...], sort: str) -> list[Local]:
        return [item for item in env if item.domain == Domain(sorts=(sort,))]

    def elem(self, sort: str, env: tuple[Local, ...], depth: int) -> tuple[Expr, bool]:
        """An element of a sort; whether it may be NULL."""
        known = self.locals_of(env, sort)
        choice = self.number(0, 9)
        if known and (choice < 6 or depth <= 0):
            return self.pick(*known), False
        if depth <= 0 or choice < 7:
            if sort == P:
                return x.apply("holder"), True
            bound = x.local("k", R)
            return x.pick((bound,), x.equal(x.apply("num", bound), x.const(1)), bound, NULL), True
        if sort == R:
            inner, nullable = self.elem(P, env, depth - 1)
            term = x.apply("ref", inner)
            return (x.ite(x.equal(inner, NULL), NULL, term) if nullable else term), True
        bound = x.local("k", sort)
        return x.pick((bound,), self.formula((*env, bound), depth - 1), bound, NULL), True

    def applied(self, function: str, sort: str, env: tuple[Local, ...], depth: int, default: Expr) -> Expr:
        where, nullable = self.elem(sort, env, depth - 1)
        term = x.apply(function, where)
        return x.ite(x.equal(where, NULL), default, term) if nullable else term

    def integer(self, env: tuple[Local, ...], depth: int) -> Expr:
        """An integer, never NULL."""
        choice = self.number(0, 3 if depth <= 0 else 9)
        match choice:
            case 0:
                return x.const(self.number(0, 2))
            case 1:
                return x.apply("left")
            case 2:
                return self.applied("num", R, env, depth, x.const(0))
            case 3:
                return self.applied("fixed", R, env, depth, x.const(1))
            case 4:
                return x.arith(self.pick("+", "-", "*"), self.integer(env, depth - 1), self.integer(env, depth - 1))
            case 5:
                return self.applied("age", P, env, depth, x.const(0))
            case 6:
                bound = tuple(x.local("n", self.pick(P, R)) for _ in range(self.number(1, 2)))
                return x.count(bound, self.formula((*env, *bound), depth - 1))
            case 7:
                found = self.fold(env, depth)
                return x.ite(x.equal(found, NULL), x.const(0), found)
            case _:
                return x.ite(self.formula(env, depth - 1), self.integer(env, depth - 1), self.integer(env, depth - 1))

    def fold(self, env: tuple[Local, ...], depth: int) -> Expr:
        bound = x.local("s", self.pick(P, R))
        inner = (*env, bound)
        term = self.integer(inner, depth - 1)
        if self.coin():
            term = x.ite(self.formula(inner, depth - 1), NULL, term)
        return x.fold(self.pick("sum", "min", "max"), (bound,), self.formula(inner, depth - 1), term)

    def formula(self, env: tuple[Local, ...], depth: int) -> Expr:
        choice = self.number(0, 4 if depth <= 0 else 10)
        match choice:
            case 0:
                return x.truth(x.apply("flag"))
            case 1:
                return x.equal(self.applied("pc", P, env, depth, x.const("a")), x.const(self.pick(*STATUS)))
            case 2:
                sort = self.pick(P, R)
                return x.equal(self.elem(sort, env, depth - 1)[0], self.elem(sort, env, depth - 1)[0])
            case 3:
                return x.equal(self.integer(env, depth - 1), self.integer(env, depth - 1))
            case 4:
                return x.less(self.integer(env, depth - 1), self.integer(env, depth - 1))
            case 5:
                return x.neg(self.formula(env, depth - 1))
            case 6:
                return x.conj(self.formula(env, depth - 1), self.formula(env, depth - 1))
            case 7:
                return x.disj(self.formula(env, depth - 1), self.formula(env, depth - 1))
            case 8:
                bound = x.local("q", self.pick(P, R))
                return x.quantified(self.coin(), (bound,), self.formula((*env, bound), depth - 1))
            case 9:
                return x.equal(self.fold(env, depth), self.pick(NULL, x.const(1), self.fold(env, depth)))
            case 10 if self.coin():
                sort = self.pick(P, R)
                (one, first), (two, second) = self.elem(sort, env, depth - 1), self.elem(sort, env, depth - 1)
                known = [x.neg(x.equal(term, NULL)) for term, nullable in ((one, first), (two, second)) if nullable]
                return x.conj(*known, x.less(one, two))
            case _:
                one, two = x.local("l", R), x.local("m", R)
                body = x.conj(x.less(one, two), self.formula((*env, one, two), depth - 1))
                return x.exists((one, two), body)

    def update(self, function: Function, env: tuple[Local, ...], depth: int) -> Update:
        """A new value for a function, at one element mostly."""
        formals = tuple(x.local("f", sort) for sort in function.params)
        inner = (*env, *formals)
        old = x.apply(function.name, *formals)
        match function.name:
            case "pc":
                new: Expr = x.const(self.pick(*STATUS))
            case "flag":
                new = self.pick(x.TRUE, x.FALSE, self.formula(inner, depth))
            case "holder":
                new = self.elem(P, inner, depth)[0]
            case "ref":
                new = self.elem(R, inner, depth)[0]
            case _:
                new = self.pick(x.arith("+", old, x.const(1)), x.const(0), x.const(1), self.integer(inner, depth))
        for formal in formals:
            for other in self.locals_of(env, formal.domain.sorts[0])[:1]:
                new = x.ite(x.equal(formal, other), new, old)
        return Update(function.name, formals, new)

    def rows(self, width: int, depth: int) -> Rows:
        witnesses = []
        for _ in range(self.number(1, 2)):
            bound = (x.local("p", P), x.local("r", R))[: self.number(1, 2)]
            pool = [*bound, x.const("k"), x.apply("left"), x.apply("holder")]
            values = tuple(self.pick(*pool) for _ in range(width))
            witnesses.append(Witness(bound, self.formula(bound, depth), values))
        return Rows(tuple(f"c{n}" for n in range(width)), tuple(witnesses))

    def rare(self) -> Rows:
        """Rows that need several things at once."""
        p, q = x.local("p", P), x.local("q", P)
        parts = [x.equal(x.apply("pc", e), x.const(self.pick(*STATUS))) for e in (p, q)]
        parts += [self.formula((p, q), 1) for _ in range(self.number(0, 2))]
        return Rows(("p",), (Witness((p, q), x.conj(x.less(p, q), *parts), (p,)),))


def systems(tiny: bool = False, live: bool = False) -> st.SearchStrategy[System]:
    """Systems by the number of their seed."""
    return st.integers(0, 2**32).map(lambda seed: make(seed, tiny, live))


def make(seed: int, tiny: bool = False, live: bool = False) -> System:
    """A system; ``tiny``: fewer cells, so that its states can all be explored; ``live``: with a leads-to property."""
    d = _Draw(Random(seed))
    sorts = (Sort(P, "processes", 2), Sort(R, "rows", 1 if tiny else 2))
    functions = (
        Function("pc", (P,), Domain(STATUS), "a", (((1,), "b"),) if d.coin() else ()),
        Function("flag", (), BOOL, d.coin()),
        Function("left", (), Domain(upto=(R,)), 0),
        Function("num", (R,), Domain((0, 1) if tiny else (0, 1, 2)), 0),
        Function("holder", (), Domain(sorts=(P,), nullable=True), None),
        Function("ref", (P,), Domain(sorts=(R,), nullable=True), None),
        Function("age", (P,), Domain(ages=(0, 1)), 0),
        Function("fixed", (R,), Domain((0, 1)), 1, (((0,), 0),)),
    )
    usable = [f for f in functions if f.name != "fixed" and not (tiny and f.name in ("ref", "age"))]
    timed = d.coin()
    depth = 2
    actions = []
    # Half of the systems go round in circles, so that more than a few of their states can be reached.
    chained = d.coin()
    for number in range(d.number(3, 5) if chained else d.number(2, 4)):
        kinds = ["step", "step", "step", "database", "fault", "error"] + (["tick"] * 2 if timed else [])
        kind = d.pick(*kinds)
        if chained and number < 3:
            kind = "step"
        elif timed and number == 3:
            kind = "tick"
        params: tuple[Local, ...] = () if kind == "tick" else (x.local("p", P),)
        actor = params[0] if params else None
        if d.number(0, 3) == 0 and not (kind == "tick" and d.coin()):
            params = (*params, x.local("r", R))
        guard = d.formula(params, depth) if d.number(0, 4) else x.TRUE
        link = chained and number < 3 and kind == "step" and actor is not None
        if link:
            guard = d.pick(x.TRUE, x.TRUE, guard, x.disj(guard, d.formula(params, 1)))
        if params and d.number(0, 3) == 0:
            chosen = params[-1]
            bound = x.local("b", chosen.domain.sorts[0])
            guard = x.conj(guard, x.least(bound, chosen, d.formula((bound,), depth - 1)))
        if actor is not None and (link or d.coin()):
            guard = x.conj(guard, x.equal(x.apply("pc", actor), x.const(STATUS[number] if link else d.pick(*STATUS))))
        out = d.pick("row", "other") if not link and d.number(0, 5) == 0 else None
        changed = d.random.sample(usable, d.number(1, 2))
        updates = tuple(d.update(f, params, depth - 1) for f in changed if not (link and f.name == "pc")) if out is None else ()
        if link and out is None and actor is not None:
            f = x.local("f", P)
            after = x.ite(x.equal(f, actor), x.const(STATUS[(number + 1) % 3]), x.apply("pc", f))
            updates = (*updates, Update("pc", (f,), after))
        recurs = not (kind in ("fault", "error") and d.coin())
        fair = bool(d.number(0, 5))
        name = f"{kind}{number}"
        actions.append(Action(name, kind, actor, params, guard, updates, StepInfo("m", name), P, fair, recurs, out))
    p, q = x.local("p", P), x.local("q", P)
    properties = [
        Property("never", "never", d.rows(1, depth)),
        Property("rare", "never", d.rare()),
        Property("deadlock", "deadlock"),
    ]
    if live:
        goal = None if d.coin() else d.rows(1, 1)
        properties.append(Property("leads", "leads_to", d.rows(1, 1), goal))
    owed = d.formula((p,), 0) if d.coin() else x.TRUE
    fairness = (Fairness(P, d.pick("weak", "weak", "strong", "none"), p, owed),)
    truncated = frozenset(name for name in ("row", "out of bounds") if d.coin())
    finished = ((q, d.formula((q,), 0)),)
    timed = any(a.kind == "tick" for a in actions)
    return System(f"random {seed}", sorts, functions, tuple(actions), tuple(properties), fairness, finished, timed, truncated)
