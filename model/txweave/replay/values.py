"""Terms of the sorted system evaluated in one state, without grounding the system: a walk needs few of its actions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import product

from txweave.system import expr as x
from txweave.system.expr import Elem, Expr, Local, Value
from txweave.system.ground import OUT, Grounder
from txweave.trace import State

Env = Mapping[Local, Value]

_FREE: dict[Expr, tuple[Local, ...]] = {}


def _free(node: Expr) -> tuple[Local, ...]:
    found = _FREE.get(node)
    if found is None:
        if len(_FREE) > 300_000:
            _FREE.clear()
        found = _FREE[node] = tuple(x.free_locals(node))
    return found


class Values:
    """The values of terms in a state."""

    def __init__(self, frame: Grounder, state: State) -> None:
        self.frame = frame
        self.state = state
        self._memo: dict[tuple[object, ...], Value] = {}

    def of(self, node: Expr, env: Env) -> Value:
        """The value of a term; ``env`` gives its free locals."""
        if isinstance(node, x.Const):
            return node.value
        if isinstance(node, x.Local):
            return env[node]
        key = (node, *(env[item] for item in _free(node)))
        memo = self._memo
        if key in memo:
            return memo[key]
        value = memo[key] = self._of(node, env)
        return value

    def _of(self, node: Expr, env: Env) -> Value:
        of = self.of
        match node:
            case x.Apply():
                return self._apply(node, env)
            case x.And():
                return all(of(part, env) for part in node.operands)
            case x.Or():
                return any(of(part, env) for part in node.operands)
            case x.Not():
                return not of(node.operand, env)
            case x.Equal():
                left, right = of(node.left, env), of(node.right, env)
                return type(left) is type(right) and left == right
            case x.Ite():
                return of(node.then if of(node.condition, env) else node.otherwise, env)
            case x.Quantified():
                found = (bool(of(node.body, inner)) for inner in self.assignments(node.locals, env))
                return all(found) if node.every else any(found)
            case x.Less():
                return _folded(x.less(x.const(of(node.left, env)), x.const(of(node.right, env))))
            case x.Arith():
                return _folded(x.arith(node.operator, x.const(of(node.left, env)), x.const(of(node.right, env))))
            case x.Count():
                return sum(bool(of(node.body, inner)) for inner in self.assignments(node.locals, env))
            case x.Pick():
                for inner in self.assignments(node.locals, env):
                    if of(node.body, inner):
                        return of(node.term, inner)
                return of(node.default, env)
            case x.Fold():
                return self._fold(node, env)
            case x.Least():
                chosen = of(node.value, env)
                for (item,) in product(self.elements(node.local)):
                    here = bool(of(node.body, {**env, node.local: item}))
                    if item == chosen:
                        return here
                    if here:
                        return False
                return False
        raise AssertionError(node)

    def _apply(self, node: x.Apply, env: Env) -> Value:
        args = tuple(self.of(arg, env) for arg in node.args)
        if not all(isinstance(arg, Elem) for arg in args):
            # Applied to NULL: every such use is guarded, so that any value will do.
            return self.frame.values(self.frame.system.function(node.function).domain)[0]
        key = (node.function, args)
        if key in self.frame.fixed:
            return self.frame.fixed[key]
        return self.state[self.frame.where[key]]  # type: ignore[index]

    def _fold(self, node: x.Fold, env: Env) -> Value:
        found = [self.of(node.term, inner) for inner in self.assignments(node.locals, env) if self.of(node.body, inner)]
        values = [v for v in found if v is not None]
        if not values:
            return None
        if node.kind == "sum":
            return sum(int(str(v)) for v in values)
        return min(values) if node.kind == "min" else max(values)

    def elements(self, item: Local) -> list[Value]:
        """The values that a local ranges over."""
        return [*self.frame.values(item.domain)]

    def assignments(self, items: tuple[Local, ...], env: Env) -> Iterator[dict[Local, Value]]:
        """Every assignment of some locals, on top of ``env``."""
        for values in product(*(self.elements(item) for item in items)):
            yield {**env, **dict(zip(items, values, strict=True))}


def _folded(node: Expr) -> Value:
    assert isinstance(node, x.Const)
    return node.value


def solutions(values: Values, params: tuple[Local, ...], guard: Expr, env: Env) -> Iterator[dict[Local, Value]]:
    """The assignments of the parameters that satisfy a guard: each conjunct is looked at as soon as it can be."""
    parts = guard.operands if isinstance(guard, x.And) else (guard,)
    levels: list[list[Expr]] = [[] for _ in range(len(params) + 1)]
    known = set(env)
    place = {item: number + 1 for number, item in enumerate(params)}
    for part in parts:
        levels[max((place[item] for item in _free(part) if item not in known), default=0)].append(part)

    def go(level: int, bound: dict[Local, Value]) -> Iterator[dict[Local, Value]]:
        if not all(values.of(part, bound) for part in levels[level]):
            return
        if level == len(params):
            yield bound
            return
        item = params[level]
        for value in values.elements(item):
            yield from go(level + 1, {**bound, item: value})

    yield from go(0, dict(env))


__all__ = ["OUT", "Env", "Values", "solutions"]
