"""What follows from the actions: domains of variables, and where a variable is dead.

A variable that is not read again before it is next assigned, and that no property reads, is reset: its value could make no
difference (backward liveness analysis on the places of the program).  It is no part of the state then.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import product

from txweave.semantics.symbolic import Functions
from txweave.system import expr as x
from txweave.system.expr import Domain, Expr, Local, Value
from txweave.system.sorted import Action, Update

_MOST_VALUES = 4096


class UnboundedError(Exception):
    """A variable's values grow without bound; carries the function's name."""


class Values:
    """Upper bounds of the values of terms: listed values and whole sorts."""

    def __init__(self, functions: Functions, sizes: Mapping[str, int]) -> None:
        self.functions = functions
        self.sizes = sizes
        self.known: dict[str, tuple[frozenset[Value], frozenset[str]]] = {}
        self.memo: dict[Expr, tuple[frozenset[Value], frozenset[str]]] = {}

    def of_domain(self, domain: Domain) -> tuple[frozenset[Value], frozenset[str]]:
        """The values of a domain."""
        values: set[Value] = set(domain.values)
        if domain.nullable:
            values.add(None)
        if domain.upto is not None:
            top = 1
            for sort in domain.upto:
                top *= self.sizes[sort]
            values |= set(range(top + 1))
        return frozenset(values), frozenset(domain.sorts)

    def of(self, node: Expr) -> tuple[frozenset[Value], frozenset[str]]:
        """The values of a term."""
        found = self.memo.get(node)
        if found is None:
            found = self.memo[node] = self._of(node)
            if len(found[0]) > _MOST_VALUES:
                raise UnboundedError
        return found

    def _of(self, node: Expr) -> tuple[frozenset[Value], frozenset[str]]:
        none: frozenset[str] = frozenset()
        match node:
            case x.Const(value):
                return (frozenset(), frozenset([value.sort])) if isinstance(value, x.Elem) else (frozenset([value]), none)
            case x.Local(_, domain):
                return self.of_domain(domain)
            case x.Apply(function, _):
                return self.known.get(function) or self.of_domain(self.functions.functions[function].domain)
            case x.Ite(_, then, otherwise):
                return _union(self.of(then), self.of(otherwise))
            case x.Pick(_, _, term, default):
                return _union(self.of(term), self.of(default))
            case x.Count(bound, _):
                top = 1
                for item in bound:
                    top *= sum(self.sizes[s] for s in item.domain.sorts)
                return frozenset(range(top + 1)), none
            case x.Fold(kind, bound, _, term):
                values = {v for v in self.of(term)[0] if isinstance(v, int)}
                if kind != "sum":
                    return frozenset({None, *self.of(term)[0]}), self.of(term)[1]
                top = 1
                for item in bound:
                    top *= sum(self.sizes[s] for s in item.domain.sorts)
                sums = {0}
                for _ in range(top):
                    sums |= {a + b for a in sums for b in values}
                    if len(sums) > _MOST_VALUES:
                        raise UnboundedError
                return frozenset({None, *sums}), none
            case x.Arith(operator, left, right):
                results: set[Value] = set()
                pairs = product(self.of(left)[0], self.of(right)[0])
                for a, b in pairs:
                    term = x.arith(operator, x.const(a), x.const(b))
                    assert isinstance(term, x.Const)
                    results.add(term.value)
                return frozenset(results), none
            case _:
                return frozenset([False, True]), none


def _union(
    a: tuple[frozenset[Value], frozenset[str]], b: tuple[frozenset[Value], frozenset[str]]
) -> tuple[frozenset[Value], frozenset[str]]:
    return a[0] | b[0], a[1] | b[1]


def infer_domains(functions: Functions, unknown: Iterable[str], actions: Iterable[Action], sizes: Mapping[str, int]) -> None:
    """Give every function in ``unknown`` the domain that its updates (and initial values) need.

    Raises:
        UnboundedError: the values of one of them grow without bound.
    """
    names = sorted(unknown)
    bodies: dict[str, list[Expr]] = {name: [] for name in names}
    for action in actions:
        for update in action.updates:
            if update.function in bodies:
                bodies[update.function].append(update.body)
    values = Values(functions, sizes)
    for name in names:
        function = functions.functions[name]
        start = {None, function.initial, *(v for _, v in function.overrides)}
        values.known[name] = (
            frozenset(v for v in start if not isinstance(v, x.Elem)),
            frozenset(v.sort for v in start if isinstance(v, x.Elem)),
        )
    changed = True
    rounds = 0
    growing: list[str] = []
    while changed:
        if rounds > 200:
            # Of those that still grow, the ones that grow by themselves; the others only take their values.
            itself = [name for name in growing if name in x.functions_in(_calculations(bodies[name]))]
            raise UnboundedError((itself or growing)[0])
        changed = False
        rounds += 1
        growing.clear()
        values.memo.clear()
        for name in names:
            found = values.known[name]
            for body in bodies[name]:
                try:
                    found = _union(found, values.of(body))
                except UnboundedError:
                    raise UnboundedError(name) from None
            if found != values.known[name]:
                values.known[name] = found
                changed = True
                growing.append(name)
    for name in names:
        listed, sorts = values.known[name]
        plain = tuple(sorted((v for v in listed if v is not None), key=lambda v: (str(type(v)), v)))
        domain = Domain(values=plain, sorts=tuple(sorted(sorts)), nullable=True)
        functions.functions[name] = replace(functions.functions[name], domain=domain)


def _calculations(bodies: Iterable[Expr]) -> Iterator[Expr]:
    """The calculated terms in them."""
    stack, seen = list(bodies), set[Expr]()
    while stack:
        node = stack.pop()
        if node not in seen:
            seen.add(node)
            if isinstance(node, x.Arith):
                yield node
            stack.extend(x.children(node))


def reset_dead(
    functions: Functions,
    role: str,
    process: Local,
    edges: list[tuple[Action, str, str]],
    observed: frozenset[str],
) -> tuple[list[Action], dict[str, set[str]]]:
    """The role's actions with dead variables reset, and the variables that are live at each place.

    ``edges`` give each action's place before and after.
    """
    variables = [
        name
        for name in sorted(functions.functions)
        if functions.functions[name].params[:1] == (role,)
        and functions.functions[name].about[0] in ("variable", "rows", "rowvalue")
    ]
    uses: list[set[str]] = []
    kills: list[set[str]] = []
    for action, _, _ in edges:
        used = _reads(action.guard, process)
        killed: set[str] = set()
        for update in action.updates:
            reads = _reads(update.body, process)
            used |= reads
            if update.function in variables:
                here = x.substitute(update.body, {update.formals[0]: process})
                if update.function not in x.functions_in([here]):
                    killed.add(update.function)
        for _, term in (*action.info.bindings, *action.info.results):
            used |= _reads(term, process)
        uses.append(used & set(variables))
        kills.append(killed)
    live: dict[str, set[str]] = {}
    changed = True
    while changed:
        changed = False
        for number, (_, source, target) in enumerate(edges):
            needed = uses[number] | (live.get(target, set()) - kills[number])
            if not needed <= live.setdefault(source, set()):
                live[source] |= needed
                changed = True
    found = []
    for action, source, target in edges:
        if action.out is not None:
            found.append(action)
            continue
        updates = {u.function: u for u in action.updates}
        # What is dead at the source was reset on the way there.
        holding = live.get(source, set()) | updates.keys()
        dead = [v for v in variables if v in holding and v not in live.get(target, set()) and v not in observed]
        for name in dead:
            function = functions.functions[name]
            formals = functions.formals[name]
            before = updates[name].body if name in updates else x.apply(name, *formals)
            initial = x.const(function.initial if function.about[0] == "rows" else None)
            body = x.ite(x.equal(formals[0], process), initial, before)
            updates[name] = Update(name, formals, body)
        found.append(replace(action, updates=tuple(updates[n] for n in sorted(updates))))
    return found, live


def _reads(node: Expr, process: Local) -> set[str]:
    """Functions of the acting process that a term reads (its own frame, over formal arguments, is no read)."""
    seen: set[Expr] = set()
    found: set[str] = set()
    stack = [node]
    while stack:
        item = stack.pop()
        if item in seen:
            continue
        seen.add(item)
        if isinstance(item, x.Apply) and item.args[:1] == (process,):
            found.add(item.function)
        stack.extend(x.children(item))
    return found
