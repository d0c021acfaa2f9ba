"""The reference interpreter: evaluates the sorted system as it is written.

Small, slow and obviously correct; it shares no code with the grounding, and no engine shares code with it, so that it can
judge both.  A state maps ``(function, elements)`` to a value; the key ``(OUT, ())`` says which bound was crossed to get there
(None: none).  A state that is out of bounds has no successors.

Where the language leaves a value open (a function applied to NULL, ``<`` with a NULL) the result is :data:`ANY`, which spreads as
the unknown of Kleene's logic does.  A guard, a new value or a row that *depends* on it is an error of whoever built the
system, and raises :class:`Unspecified` rather than being decided one way or another.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import Any, NamedTuple, TypeAlias

from txweave.system import expr as x
from txweave.system.expr import Domain, Elem, Expr, Local, Value
from txweave.system.ground import OUT
from txweave.system.sorted import Action, Rows, System, bound_name

Key: TypeAlias = tuple[str, tuple[Elem, ...]]
State: TypeAlias = dict[Key, Value]
Env: TypeAlias = dict[Local, Value]

BOUND: Key = (OUT, ())
"""The key of the bound that was crossed."""


class _Any:
    """The one value that the language leaves open."""

    def __repr__(self) -> str:
        return "ANY"


ANY = _Any()


class Unspecified(ValueError):  # noqa: N818 - named for what it means
    """Something depends on a value that the language leaves open, or an expression has the wrong type."""


class Step(NamedTuple):
    """A transition: an action, the values of its parameters, the state that it leads to."""

    action: Action
    params: tuple[Value, ...]
    state: State


def same(left: Any, right: Any) -> bool:
    """Equality of values, in which ``True`` is not ``1``."""
    return type(left) is type(right) and left == right


def identity(state: State) -> tuple[Any, ...]:
    """A hashable form: equal for equal states only."""
    return tuple((key, type(value).__name__, value) for key, value in sorted(state.items(), key=lambda item: item[0]))


# ---------------------------------------------------------------------------------------------------------- values


def elements(system: System, sort: str) -> list[Elem]:
    """The elements of a sort, in order."""
    return [Elem(sort, number) for number in range(system.sort(sort).size)]


def values(system: System, domain: Domain) -> list[Value]:
    """The values of a domain, in order: NULL, those listed, integers, elements."""
    found: list[Value] = []
    if domain.nullable:
        found.append(None)
    found.extend(domain.values)
    if domain.upto is not None:
        found.extend(range(prod(system.sort(sort).size for sort in domain.upto) + 1))
    if domain.ages is not None:
        low, gap = domain.ages
        cells = sum(prod(system.sort(s).size for s in f.params) for f in system.functions if f.domain.ages is not None)
        found.extend(range(low, gap * cells + 1))
    for sort in domain.sorts:
        found.extend(elements(system, sort))
    return found


def environments(system: System, locals_: tuple[Local, ...], env: Env) -> Iterator[Env]:
    """``env`` with every assignment of values to ``locals_``, in order."""
    for chosen in product(*(values(system, item.domain) for item in locals_)):
        yield {**env, **dict(zip(locals_, chosen, strict=True))}


# ------------------------------------------------------------------------------------------------------ evaluation


def evaluate(system: System, node: Expr, state: State, env: Env | None = None) -> Any:
    """The value of an expression in a state; ``env`` gives the values of its free locals.  May be :data:`ANY`."""
    return _Evaluation(system, state, env or {}).value(node)


def holds(system: System, node: Expr, state: State, env: Env | None = None) -> bool:
    """Whether a formula holds.

    Raises:
        Unspecified: it is neither true nor false.
    """
    result = evaluate(system, node, state, env)
    if not isinstance(result, bool):
        raise Unspecified(f"{node!r} is {result!r}, not true or false")
    return result


def _certain(system: System, node: Expr, state: State, env: Env) -> Value:
    result = evaluate(system, node, state, env)
    if result is ANY:
        raise Unspecified(f"the value of {node!r} depends on what the language leaves open")
    return result  # type: ignore[no-any-return]


class _Evaluation:
    """One state and one environment; remembers what it has computed."""

    def __init__(self, system: System, state: State, env: Env) -> None:
        self.system, self.state, self.env = system, state, env
        self.known: dict[Expr, Any] = {}

    def value(self, node: Expr) -> Any:
        if node not in self.known:
            self.known[node] = self.compute(node)
        return self.known[node]

    def truth(self, node: Expr) -> bool | None:
        """True, False, or None where the value is open."""
        result = self.value(node)
        if result is ANY:
            return None
        if not isinstance(result, bool):
            raise Unspecified(f"{node!r} stands for a formula but its value is {result!r}")
        return result

    def inner(self, locals_: tuple[Local, ...]) -> Iterator[_Evaluation]:
        return (_Evaluation(self.system, self.state, env) for env in environments(self.system, locals_, self.env))

    def compute(self, node: Expr) -> Any:
        match node:
            case x.Const(value):
                return value
            case Local():
                return self.env[node]
            case x.Apply(function, args):
                found = tuple(self.value(arg) for arg in args)
                if any(arg is ANY or arg is None for arg in found):
                    return ANY
                return self.state[function, found]
            case x.Not(operand):
                truth = self.truth(operand)
                return ANY if truth is None else not truth
            case x.And(operands):
                return _every(self.truth(operand) for operand in operands)
            case x.Or(operands):
                return _some(self.truth(operand) for operand in operands)
            case x.Equal(left, right):
                a, b = self.value(left), self.value(right)
                return ANY if a is ANY or b is ANY else same(a, b)
            case x.Less(left, right):
                return _less(self.value(left), self.value(right))
            case x.Arith(operator, left, right):
                return _arith(operator, self.value(left), self.value(right))
            case x.Ite(condition, then, otherwise):
                truth = self.truth(condition)
                if truth is not None:
                    return self.value(then if truth else otherwise)
                a, b = self.value(then), self.value(otherwise)
                return a if same(a, b) else ANY
            case x.Quantified(every, locals_, body):
                truths = (inner.truth(body) for inner in self.inner(locals_))
                return _every(truths) if every else _some(truths)
            case x.Count(locals_, body):
                return self.count(locals_, body)
            case x.Fold():
                return self.fold(node)
            case x.Pick(locals_, body, term, default):
                for inner in self.inner(locals_):
                    truth = inner.truth(body)
                    if truth is not False:
                        return inner.value(term) if truth else ANY
                return self.value(default)
            case x.Least():
                return self.least(node)
            case _:
                raise Unspecified(f"{type(node).__name__} does not belong in a sorted system")

    def count(self, locals_: tuple[Local, ...], body: Expr) -> Any:
        truths = [inner.truth(body) for inner in self.inner(locals_)]
        return ANY if None in truths else truths.count(True)

    def fold(self, node: x.Fold) -> Any:
        terms: list[Any] = []
        for inner in self.inner(node.locals):
            truth = inner.truth(node.body)
            term = inner.value(node.term) if truth is not False else None
            if truth is None or term is ANY:
                return ANY
            if term is not None:
                terms.append(term)
        if not terms:
            return None
        if node.kind == "sum":
            return sum(terms)
        best = terms[0]
        for term in terms[1:]:
            if _less(term, best) if node.kind == "min" else _less(best, term):
                best = term
        return best

    def least(self, node: x.Least) -> Any:
        chosen = self.value(node.value)
        if chosen is ANY:
            return ANY
        truths: list[bool | None] = []
        for inner in self.inner((node.local,)):
            value = inner.env[node.local]
            if not isinstance(value, Elem) or not isinstance(chosen, Elem):
                continue
            if value.sort == chosen.sort and value.number < chosen.number:
                truth = inner.truth(node.body)
                truths.append(None if truth is None else not truth)
        here = _Evaluation(self.system, self.state, {**self.env, node.local: chosen})
        return _every([here.truth(node.body), *truths])


def _every(truths: Any) -> Any:
    result: Any = True
    for truth in truths:
        if truth is False:
            return False
        if truth is None:
            result = ANY
    return result


def _some(truths: Any) -> Any:
    result: Any = False
    for truth in truths:
        if truth is True:
            return True
        if truth is None:
            result = ANY
    return result


def _less(left: Any, right: Any) -> Any:
    if left is ANY or right is ANY or left is None or right is None:
        return ANY
    if type(left) is not type(right) or isinstance(left, bool):
        raise Unspecified(f"{left!r} and {right!r} have no order")
    if isinstance(left, Elem):
        if left.sort != right.sort:
            raise Unspecified(f"{left} and {right} have no order")
        return left.number < right.number
    return left < right


def _arith(operator: str, left: Any, right: Any) -> Any:
    if left is None or right is None:
        return None
    if left is ANY or right is ANY:
        return ANY
    for operand in (left, right):
        if type(operand) is not int:
            raise Unspecified(f"{operand!r} is no integer")
    if operator == "+":
        return left + right
    if operator == "-":
        return left - right
    if operator == "*":
        return left * right
    raise Unspecified(f"no operator {operator!r}")


# ----------------------------------------------------------------------------------------------------- transitions


def initial(system: System) -> State:
    """The initial state."""
    state: State = {}
    for function in system.functions:
        overrides = dict(function.overrides)
        for args in product(*(elements(system, sort) for sort in function.params)):
            state[function.name, args] = overrides.get(tuple(arg.number for arg in args), function.initial)
    state[BOUND] = None
    return state


def enabled(system: System, state: State, action: Action, params: tuple[Value, ...]) -> bool:
    """Whether an action with these values of its parameters may be taken (perhaps to go out of bounds)."""
    return state[BOUND] is None and holds(system, action.guard, state, dict(zip(action.params, params, strict=True)))


def after(system: System, state: State, action: Action, params: tuple[Value, ...]) -> State:
    """The state that an enabled action leads to."""
    if action.out is not None:
        return {**state, BOUND: action.out}
    env: Env = dict(zip(action.params, params, strict=True))
    result = dict(state)
    written: set[Key] = set()
    for update in action.updates:
        domain = values(system, system.function(update.function).domain)
        for inner in environments(system, update.formals, env):
            key = (update.function, tuple(_element(inner[formal]) for formal in update.formals))
            if key in written:
                raise Unspecified(f"{action.name} gives {update.function} two new values")
            written.add(key)
            value = _certain(system, update.body, state, inner)
            if not any(same(value, other) for other in domain):
                return {**state, BOUND: bound_name(system.function(update.function))}
            result[key] = value
    return result


def _element(value: Value) -> Elem:
    if not isinstance(value, Elem):
        raise Unspecified(f"{value!r} is no element")
    return value


def successors(system: System, state: State) -> Iterator[Step]:
    """Every transition from a state: actions in their order, their parameters in order."""
    for action in system.actions:
        for env in environments(system, action.params, {}):
            params = tuple(env[param] for param in action.params)
            if enabled(system, state, action, params):
                yield Step(action, params, after(system, state, action, params))


def rows(system: System, query: Rows, state: State) -> list[tuple[Value, ...]]:
    """The rows of a query, in order; one that several assignments give is listed as often."""
    found: list[tuple[Value, ...]] = []
    for witness in query.witnesses:
        found += [
            tuple(_certain(system, value, state, env) for value in witness.values)
            for env in environments(system, witness.locals, {})
            if holds(system, witness.condition, state, env)
        ]
    return found


def finished(system: System, state: State) -> bool:
    """Whether every process counts as finished."""
    return all(
        holds(system, condition, state, {process: value})
        for process, condition in system.finished
        for value in values(system, process.domain)
    )


@dataclass(frozen=True)
class Exploration:
    """Reachable states in breadth-first order, with the depth of each, and whether these are all.

    States out of bounds are among them; ``bounds`` names what they crossed.
    """

    states: tuple[State, ...]
    depths: tuple[int, ...]
    complete: bool
    bounds: frozenset[str]

    @property
    def depth(self) -> int:
        """The greatest depth."""
        return max(self.depths)


def explore(system: System, limit: int, start: State | None = None) -> Exploration:
    """Breadth-first search from ``start`` (the initial state) that gives up beyond ``limit`` states."""
    first = initial(system) if start is None else start
    states, depths, seen = [first], [0], {identity(first)}
    complete, position = True, 0
    while complete and position < len(states):
        for step in successors(system, states[position]):
            name = identity(step.state)
            if name in seen:
                continue
            if len(states) >= limit:
                complete = False
                break
            seen.add(name)
            states.append(step.state)
            depths.append(depths[position] + 1)
        position += 1
    bounds = frozenset(str(state[BOUND]) for state in states if state[BOUND] is not None)
    return Exploration(tuple(states), tuple(depths), complete, bounds)
