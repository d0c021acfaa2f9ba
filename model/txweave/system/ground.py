"""Grounding: from the sorted system to a finite one, the only way there.

Every function that some action changes becomes one cell for each tuple of elements, the others become constants;
quantifiers, counts, folds and picks are expanded over the elements;
an action becomes one ground action for each assignment of its parameters (those whose guard folds to false are dropped).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import product

from txweave.system import expr as x
from txweave.system.expr import Domain, Elem, Expr, Local, Value
from txweave.system.sorted import Action, Property, Rows, System, Update, bound_name

OUT = "out of bounds"
"""Name of the last cell: None, or the bound that was hit."""


@dataclass(frozen=True)
class GroundCell:
    """A state variable: the function it comes from, the elements it is at, its values in order, its initial value."""

    name: str
    function: str
    args: tuple[Elem, ...]
    domain: tuple[Value, ...]
    initial: Value


@dataclass(frozen=True, eq=False)
class GroundAction:
    """A ground action.  ``updates`` map cell numbers to the next value; other cells keep theirs.

    ``actor`` is the element of the process that moves (or suffers the fault), None for a tick.
    """

    name: str
    index: int
    action: Action
    params: tuple[Value, ...]
    actor: Elem | None
    guard: Expr
    updates: tuple[tuple[int, Expr], ...]

    @property
    def kind(self) -> str:
        """The action's kind."""
        return self.action.kind


@dataclass(frozen=True)
class GroundRow:
    """A possible row of a query: present when ``condition`` holds, with ``values``."""

    condition: Expr
    values: tuple[Expr, ...]


@dataclass(frozen=True)
class GroundRows:
    """The possible rows of a query."""

    columns: tuple[str, ...]
    rows: tuple[GroundRow, ...]

    @cached_property
    def some(self) -> Expr:
        """There is a row."""
        return x.disj(*(row.condition for row in self.rows))

    def has(self, values: tuple[Value, ...]) -> Expr:
        """There is a row with these values."""
        return x.disj(
            *(
                x.conj(row.condition, *(x.equal(e, x.const(v)) for e, v in zip(row.values, values, strict=True)))
                for row in self.rows
            )
        )


@dataclass(frozen=True)
class GroundProperty:
    """A property over ground expressions; ``rows`` and ``goal`` as in :class:`txweave.system.sorted.Property`."""

    source: Property
    rows: GroundRows | None
    goal: GroundRows | None

    @property
    def name(self) -> str:
        """The property's name."""
        return self.source.name

    @property
    def kind(self) -> str:
        """The property's kind."""
        return self.source.kind


@dataclass(frozen=True)
class GroundFairness:
    """Fairness owed to one process (``weak`` or ``strong``) in the states where ``owed`` holds."""

    process: Elem
    kind: str
    owed: Expr


@dataclass(frozen=True, eq=False)
class GroundSystem:
    """A finite transition system.

    A state is a tuple with one value per cell, in the order of ``cells``.  The last cell is ``out of bounds``: states in which it
    is not None have no successors and are not checked.
    """

    system: System
    cells: tuple[GroundCell, ...]
    actions: tuple[GroundAction, ...]
    properties: tuple[GroundProperty, ...]
    fairness: tuple[GroundFairness, ...]
    finished: tuple[tuple[Elem, Expr], ...]
    fixed: dict[tuple[str, tuple[Elem, ...]], Value]
    """Values of the functions that no action changes; they have no cells."""

    def value(self, state: tuple[Value, ...], function: str, args: tuple[Elem, ...] = ()) -> Value:
        """The value of a function at elements in a state.

        Raises:
            KeyError: the system has no such function, or not at these elements.
        """
        number = self.index.get((function, args))
        return state[number] if number is not None else self.fixed[function, args]

    @property
    def timed(self) -> bool:
        """Whether time passes in ticks."""
        return self.system.timed

    @cached_property
    def initial(self) -> tuple[Value, ...]:
        """The initial state."""
        return tuple(cell.initial for cell in self.cells)

    @cached_property
    def index(self) -> dict[tuple[str, tuple[Elem, ...]], int]:
        """Cell number by function and elements."""
        return {(cell.function, cell.args): number for number, cell in enumerate(self.cells)}

    def find(self, name: str) -> GroundProperty:
        """The property called ``name``."""
        return next(p for p in self.properties if p.name == name)


class Grounder:
    """Expands expressions of one system."""

    def __init__(self, system: System) -> None:
        self.system = system
        self.sizes = {sort.name: sort.size for sort in system.sorts}
        self.expanded: dict[tuple[Expr, ...], Expr] = {}
        """What expressions have become: by the expression, and the values of the locals that are free in it."""
        self.free: dict[Expr, tuple[Local, ...]] = {}
        self.possible: dict[Expr, frozenset[Value]] = {}
        """What terms may be, of those that were asked for."""
        self.age_cells = 0
        for function in system.functions:
            if function.domain.ages is not None:
                cells = 1
                for sort in function.params:
                    cells *= self.sizes[sort]
                self.age_cells += cells
        self.cells: list[GroundCell] = []
        self.where: dict[tuple[str, tuple[Elem, ...]], int] = {}
        self.fixed: dict[tuple[str, tuple[Elem, ...]], Value] = {}
        initials = {f.name: None if f.overrides else x.const(f.initial) for f in system.functions}
        changed = {u.function for a in system.actions for u in a.updates if not _idle(u.body, u, initials[u.function])}
        for function in system.functions:
            overrides = dict(function.overrides)
            domain = self.values(function.domain)
            for args in product(*(self.elements(sort) for sort in function.params)):
                initial = overrides.get(tuple(e.number for e in args), function.initial)
                assert _in(initial, domain), f"{function.name}{args}: initial {initial!r} not in its domain {domain}"
                if function.name not in changed:
                    self.fixed[function.name, args] = initial
                    continue
                name = f"{function.name}({', '.join(map(str, args))})" if args else function.name
                self.where[function.name, args] = len(self.cells)
                self.cells.append(GroundCell(name, function.name, args, domain, initial))
        named = {bound_name(f) for f in system.functions if f.name in changed}
        self.cell_functions = changed
        bounds = sorted({a.out for a in system.actions if a.out is not None} | named)
        self.out = len(self.cells)
        self.where[OUT, ()] = self.out
        self.cells.append(GroundCell(OUT, OUT, (), (None, *bounds), None))

    def elements(self, sort: str) -> list[Elem]:
        """The elements of a sort in order."""
        return [Elem(sort, index) for index in range(self.sizes[sort])]

    def values(self, domain: Domain) -> tuple[Value, ...]:
        """The values of a domain in order: NULL, listed values, integers, elements."""
        found: list[Value] = [None] if domain.nullable else []
        found.extend(domain.values)
        if domain.upto is not None:
            top = 1
            for sort in domain.upto:
                top *= self.sizes[sort]
            found.extend(range(top + 1))
        if domain.ages is not None:
            low, gap = domain.ages
            found.extend(range(low, gap * self.age_cells + 1))
        for sort in domain.sorts:
            found.extend(self.elements(sort))
        return tuple(found)

    def assignments(self, locals_: tuple[Local, ...]) -> Iterator[dict[Local, Expr]]:
        """All assignments of constants to locals, in order."""
        for values in product(*(self.values(item.domain) for item in locals_)):
            yield {item: x.const(value) for item, value in zip(locals_, values, strict=True)}

    def ground(self, node: Expr, env: dict[Local, Expr]) -> Expr:
        """``node`` without locals, applications and quantifiers; ``env`` gives its free locals."""
        memo: dict[Expr, Expr] = {}
        """What parts have become, for this ``env``."""

        def go(item: Expr) -> Expr:
            done = memo.get(item)
            if done is None:
                done = memo[item] = self._ground(item, env, go)
            return done

        return go(node)

    def _ground(self, item: Expr, env: dict[Local, Expr], go: Callable[[Expr], Expr]) -> Expr:
        """An expression, whose parts ``go`` grounds.  It is done once for each assignment of the locals that are free in it."""
        if isinstance(item, Local):
            return env[item]
        free = self.free.get(item)
        if free is None:
            free = self.free[item] = tuple(sorted(x.free_locals(item), key=lambda local: local.name))
        key = (item, *map(env.__getitem__, free))
        done = self.expanded.get(key)
        if done is None:
            match item:
                case x.Apply(function, args):
                    done = self._apply(function, tuple(map(go, args)))
                case x.Quantified() | x.Count() | x.Fold() | x.Pick() | x.Least():
                    done = self._expand(item, {local: env[local] for local in free})
                case _:
                    old = x.children(item)
                    new = tuple(map(go, old))
                    done = item if all(a is b for a, b in zip(old, new, strict=True)) else x.rebuild(item, new)
            self.expanded[key] = done
        return done

    def _expand(self, node: Expr, env: dict[Local, Expr]) -> Expr:
        """A binder, expanded over the elements of its locals."""
        match node:
            case x.Quantified(every, bound, body):
                parts = (self.ground(body, {**env, **more}) for more in self.assignments(bound))
                return x.conj(*parts) if every else x.disj(*parts)
            case x.Count(bound, body):
                return _sum([self.ground(body, {**env, **more}) for more in self.assignments(bound)])
            case x.Fold():
                return self._fold(node, env)
            case x.Pick(bound, body, term, default):
                result = self.ground(default, env)
                for more in reversed(list(self.assignments(bound))):
                    inner = {**env, **more}
                    result = x.ite(self.ground(body, inner), self.ground(term, inner), result)
                return result
            case x.Least(bound_local, value, body):
                chosen = self.ground(value, env)
                assert isinstance(chosen, x.Const), "the canonical choice is made by an action's parameter"
                here = self.ground(body, {**env, bound_local: chosen})
                smaller = [
                    x.neg(self.ground(body, {**env, **more}))
                    for more in self.assignments((bound_local,))
                    if _before(more[bound_local], chosen)
                ]
                return x.conj(here, *smaller)
        raise AssertionError(node)

    def _apply(self, function: str, args: tuple[Expr, ...]) -> Expr:
        """``function`` at ground arguments; an argument that is not constant is cased over its possible elements."""
        params = self.system.function(function).params if function != OUT else ()
        for position, arg in enumerate(args):
            if not isinstance(arg, x.Const):
                if isinstance(arg, x.Ite):
                    return x.ite(
                        arg.condition,
                        self._apply(function, (*args[:position], arg.then, *args[position + 1 :])),
                        self._apply(function, (*args[:position], arg.otherwise, *args[position + 1 :])),
                    )
                options = self.elements(params[position])
                result: Expr = x.NULL
                for option in reversed(options):
                    chosen = self._apply(function, (*args[:position], x.const(option), *args[position + 1 :]))
                    result = chosen if option is options[-1] else x.ite(x.equal(arg, x.const(option)), chosen, result)
                return result
        elements: list[Elem] = []
        for arg in args:
            assert isinstance(arg, x.Const)
            if not isinstance(arg.value, Elem):
                # Applied to NULL: the lowering guards every such use, so any value will do; make it a fixed one.
                return x.const(self.values(self.system.function(function).domain)[0])
            elements.append(arg.value)
        key = (function, tuple(elements))
        return x.const(self.fixed[key]) if key in self.fixed else x.cell(self.where[key])

    def _fold(self, node: x.Fold, env: dict[Local, Expr]) -> Expr:
        result: Expr = x.NULL
        for more in self.assignments(node.locals):
            inner = {**env, **more}
            body, term = self.ground(node.body, inner), self.ground(node.term, inner)
            body = x.conj(body, x.neg(x.equal(term, x.NULL)) if _nullable(term, self) else x.TRUE)
            if body is x.FALSE:
                continue
            if node.kind == "sum":
                joined = x.arith("+", result, term)
            elif node.kind == "min":
                joined = x.ite(x.less(term, result), term, result)
            else:
                joined = x.ite(x.less(result, term), term, result)
            result = x.ite(body, x.ite(x.equal(result, x.NULL), term, joined), result)
        return result

    def rows(self, rows: Rows) -> GroundRows:
        """The possible rows of a query."""
        found: list[GroundRow] = []
        for witness in rows.witnesses:
            for env in self.assignments(witness.locals):
                condition = self.ground(witness.condition, env)
                if condition is not x.FALSE:
                    found.append(GroundRow(condition, tuple(self.ground(v, env) for v in witness.values)))
        return GroundRows(rows.columns, tuple(found))

    def action(self, action: Action) -> Iterator[tuple[tuple[Value, ...], Expr, tuple[tuple[int, Expr], ...]]]:
        """Parameters, guard and updates of every ground instance whose guard does not fold to false."""
        inside = x.equal(x.cell(self.out), x.NULL)
        for env in self.assignments(action.params):
            guard = self.ground(action.guard, env)
            if guard is x.FALSE:
                continue
            updates: list[tuple[int, Expr]] = []
            if action.out is not None:
                updates.append((self.out, x.const(action.out)))
            else:
                for update in action.updates:
                    if update.function not in self.cell_functions:
                        continue
                    for more in self.assignments(update.formals):
                        args = tuple(_elem(more[f]) for f in update.formals)
                        target = self.where[update.function, args]
                        body = self.ground(update.body, {**env, **more})
                        if body is not x.cell(target):
                            updates.append((target, body))
            values = tuple(_value(env[p]) for p in action.params)
            yield values, x.conj(inside, guard), tuple(updates)


def ground(system: System) -> GroundSystem:
    """The finite system with the sizes that the sorts carry.

    A new value that may leave its cell's domain leads out of bounds instead: such an action is split in two.
    """
    grounder = Grounder(system)
    actions: list[GroundAction] = []
    for action in system.actions:
        for params, guard, updates in grounder.action(action):
            label = ", ".join("NULL" if p is None else str(p) for p in params)
            actor = params[0] if action.actor is not None else None
            assert actor is None or isinstance(actor, Elem)
            name = f"{action.name}({label})" if label else action.name
            # A new value beyond its domain: the first such cell names the bound.
            inside: Expr = guard
            for target, body in updates:
                cell = grounder.cells[target]
                fits = _within(grounder, body, cell.domain)
                beyond = x.conj(inside, x.neg(fits))
                if beyond is not x.FALSE and action.out is None:
                    bound = bound_name(system.function(cell.function))
                    changes: tuple[tuple[int, Expr], ...] = ((grounder.out, x.const(bound)),)
                    actions.append(GroundAction(f"{name}! {bound}", len(actions), action, params, actor, beyond, changes))
                inside = x.conj(inside, fits)
            if inside is not x.FALSE:
                actions.append(GroundAction(name, len(actions), action, params, actor, inside, updates))
    properties = tuple(
        GroundProperty(
            item,
            grounder.rows(item.rows) if item.rows is not None else None,
            grounder.rows(item.goal) if item.goal is not None else None,
        )
        for item in system.properties
    )
    fairness = tuple(
        GroundFairness(element, item.kind, grounder.ground(item.owed, {item.process: x.const(element)}))
        for item in system.fairness
        if item.kind != "none"
        for element in grounder.elements(item.role)
    )
    finished = tuple(
        (_elem(env[process]), grounder.ground(condition, env))
        for process, condition in system.finished
        for env in grounder.assignments((process,))
    )
    return GroundSystem(system, tuple(grounder.cells), tuple(actions), properties, fairness, finished, grounder.fixed)


def _idle(body: Expr, update: Update, initial: Expr | None) -> bool:
    """Whether an update can only write the initial value, or what is there already."""
    if isinstance(body, x.Ite):
        return _idle(body.then, update, initial) and _idle(body.otherwise, update, initial)
    return body is initial or body is x.apply(update.function, *update.formals)


def _in(value: Value, domain: tuple[Value, ...]) -> bool:
    return any(type(value) is type(v) and value == v for v in domain)


def _elem(node: Expr) -> Elem:
    assert isinstance(node, x.Const)
    assert isinstance(node.value, Elem)
    return node.value


def _value(node: Expr) -> Value:
    assert isinstance(node, x.Const)
    return node.value


def _before(left: Expr, right: Expr) -> bool:
    a, b = _value(left), _value(right)
    return isinstance(a, Elem) and isinstance(b, Elem) and a.sort == b.sort and a.number < b.number


def _sum(conditions: list[Expr]) -> Expr:
    """How many of the conditions hold."""
    fixed = sum(c is x.TRUE for c in conditions)
    result: Expr = x.const(fixed)
    for condition in conditions:
        if condition is not x.TRUE and condition is not x.FALSE:
            result = x.arith("+", result, x.ite(condition, x.const(1), x.const(0)))
    return result


def possible(
    node: Expr, cells: list[GroundCell] | tuple[GroundCell, ...], memo: dict[Expr, frozenset[Value]] | None = None
) -> frozenset[Value]:
    """An upper bound of the values that a ground term may take (not for booleans: ``{False, True}``)."""
    memo = {} if memo is None else memo
    found = memo.get(node)
    if found is not None:
        return found
    match node:
        case x.Const(value):
            found = frozenset([value])
        case x.Cell(index):
            found = frozenset(cells[index].domain)
        case x.Ite(_, then, otherwise):
            found = possible(then, cells, memo) | possible(otherwise, cells, memo)
        case x.Arith(operator, left, right):
            results: set[Value] = set()
            for a in possible(left, cells, memo):
                for b in possible(right, cells, memo):
                    results.add(_value(x.arith(operator, x.const(a), x.const(b))))
            found = frozenset(results)
        case _:
            found = frozenset([False, True])
    memo[node] = found
    return found


def _nullable(term: Expr, grounder: Grounder) -> bool:
    return None in possible(term, grounder.cells, grounder.possible)


def _within(grounder: Grounder, body: Expr, domain: tuple[Value, ...]) -> Expr:
    """That a term's value lies in a domain; TRUE when it cannot leave it."""
    outside = [v for v in possible(body, grounder.cells, grounder.possible) if not _in(v, domain)]
    return x.conj(*(x.neg(x.equal(body, x.const(v))) for v in sorted(outside, key=repr)))
