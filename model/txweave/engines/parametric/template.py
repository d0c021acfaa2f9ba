"""From a sorted system to one whose sorts have any size.

A system is lowered for given sizes, and what it says depends on them in a few places.  Here these are taken out, always so that
there are more steps than before, never fewer, which is sound for safety:

* the server may break off any process that waits, whether it waits in a cycle or not;
* which rows a statement has had before it waits or pauses is any set (a relation that is chosen anew in every step);
* a statement always finds a free row for what it inserts: that there is none is no bound any more.

Systems in which time passes are refused: the ages that a lowering keeps are enough for its own timestamps, and with more rows there
are more of them.

Sorts that have rows at the start, or that nobody inserts into, keep their size; they are expanded, as are parameters with listed
values.  That nothing else depends on the size is not believed: the system is lowered twice, for different sizes, and both must
give the same (:func:`lift`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product

from txweave.system import expr as x
from txweave.system.expr import Domain, Elem, Expr, Local, Value
from txweave.system.sorted import Action, Function, Property, System, Update

CHOICE = "?"
"""First character of the name of a relation that is chosen anew in every step."""


class Refused(Exception):  # noqa: N818 - an answer, not an error
    """The system, or a property, has something that proofs for any number do not understand; the message names it."""


@dataclass(frozen=True)
class Origin:
    """The function of the given system that a function stands for: its name, and its arguments, None where one is free."""

    function: str
    args: tuple[Elem | None, ...]


@dataclass(frozen=True)
class Goal:
    """A ``never`` property: for no assignment of the locals of a pair does its condition hold."""

    name: str
    rows: tuple[tuple[tuple[Local, ...], Expr], ...] = ()
    refused: str = ""
    """What it has that is not understood; empty where nothing."""


@dataclass(frozen=True, eq=False)
class Template:
    """A system whose ``sorts`` have any number of elements.

    ``open``: functions with values that are not listed (counts, for example); it is known only when they have a listed one.
    ``forbidden``: actions that cross a limit of what is modelled, by its name: none may ever be enabled.  ``ranges``: functions
    whose updates may leave their domain: they must not.
    """

    system: System
    sorts: tuple[str, ...]
    functions: dict[str, Function]
    origins: dict[str, Origin]
    actions: tuple[Action, ...]
    forbidden: tuple[Action, ...]
    goals: tuple[Goal, ...]
    open: frozenset[str]
    ranges: tuple[str, ...]
    kept: tuple[tuple[str, str], ...]
    """Sorts that keep their size, each with the reason."""


def lift(one: System, other: System) -> Template:
    """The template of two lowerings of one scenario, for different sizes.

    Raises:
        Refused: time passes in them, or they differ in more than the sizes, so that neither speaks for all.
    """
    if any(a.kind == "tick" for a in one.actions) or any(f.domain.ages is not None for f in one.functions):
        raise Refused("the passing of time is outside what proofs for any number understand")
    kept = _kept(one)
    first = _Lifting(one, kept).template()
    second = _Lifting(other, kept).template()
    _compare(first, second)
    return first


def _kept(system: System) -> tuple[tuple[str, str], ...]:
    """Sorts that keep their size, with the reason."""
    found = {}
    for function in system.functions:
        if function.overrides:
            for name in function.params:
                if system.sort(name).kind == "rows":
                    found[name] = "it has rows at the start"
    inserted = {f.about[1] for f in system.functions if f.about[:1] == ("live",)}
    for sort in system.sorts:
        if sort.kind == "rows" and sort.name not in inserted:
            found.setdefault(sort.name, "nobody inserts into it")
    return tuple((sort.name, found[sort.name]) for sort in system.sorts if sort.name in found)


def relaxed(system: System) -> System:
    """The system with deadlocks broken at any time: to see states that the template can reach."""
    return replace(system, actions=tuple(_at_any_time(system, a) if a.kind == "database" else a for a in system.actions))


def _at_any_time(system: System, action: Action) -> Action:
    """The server breaks off a process that waits, cycle or not."""
    parts = action.guard.operands if isinstance(action.guard, x.And) else (action.guard,)
    blockers = {f.name for f in system.functions if f.about[:1] == ("blocker",)}
    return replace(action, guard=x.conj(*(p for p in parts if not x.functions_in([p]) & blockers)))


class _Lifting:
    """The work of :func:`lift` on one system."""

    def __init__(self, system: System, kept: tuple[tuple[str, str], ...]) -> None:
        self.system = system
        self.kept = kept
        self.sorts = tuple(s.name for s in system.sorts if s.name not in dict(kept))
        self.by_name = {f.name: f for f in system.functions}
        changed = {u.function for a in system.actions for u in a.updates}
        self.constant = {f.name for f in system.functions if f.name not in changed}
        self.functions: dict[str, Function] = {}
        self.origins: dict[str, Origin] = {}
        for function in system.functions:
            self._declare(function)

    # ----------------------------------------------------------------------------------------------------- functions

    def _elements(self, sort: str) -> list[Elem]:
        return [Elem(sort, number) for number in range(self.system.sort(sort).size)]

    def _domain(self, domain: Domain) -> Domain:
        """With sorts of any number only as sorts; the elements of the others are listed values."""
        values = list(domain.values)
        if domain.upto is not None:
            values += range(2)  # a count: the function is open
        for sort in domain.sorts:
            if sort not in self.sorts:
                values += self._elements(sort)
        return Domain(values=tuple(values), sorts=tuple(s for s in domain.sorts if s in self.sorts), nullable=domain.nullable)

    def _declare(self, function: Function) -> None:
        domain = self._domain(function.domain)
        overrides = dict(function.overrides)
        options = [self._elements(s) if s not in self.sorts else [None] for s in function.params]
        for args in product(*options):
            name = _flat(function.name, args)
            params = tuple(s for s, a in zip(function.params, args, strict=True) if a is None)
            initial = function.initial
            if all(a is not None for a in args):
                initial = overrides.get(tuple(a.number for a in args if a is not None), initial)
            elif overrides:
                raise Refused(f"{function.name} has values at the start of its own at some elements of {', '.join(params)}")
            if function.name not in self.constant:
                self.functions[name] = Function(name, params, domain, initial, (), function.about)
                self.origins[name] = Origin(function.name, args)

    def _value(self, function: str, args: tuple[Elem, ...]) -> Value:
        """The value of a function that no action changes."""
        source = self.by_name[function]
        return dict(source.overrides).get(tuple(e.number for e in args), source.initial)

    # ---------------------------------------------------------------------------------------------------- expressions

    def listed(self, item: Local) -> list[Value] | None:
        """The values of a local, unless it ranges over a sort of any number."""
        domain = item.domain
        if any(sort in self.sorts for sort in domain.sorts):
            if len(domain.sorts) != 1 or domain.values or domain.nullable:
                raise Refused(f"{item.name} ranges over several sorts")
            return None
        found: list[Value] = [None] if domain.nullable else []
        found += domain.values
        if domain.upto is not None:
            raise Refused(f"{item.name} ranges over numbers without a bound")
        for sort in domain.sorts:
            found += self._elements(sort)
        return found

    def expand(self, locals_: tuple[Local, ...]) -> tuple[tuple[Local, ...], list[dict[Local, Expr]]]:
        """The locals over sorts of any number, and all assignments of the others."""
        free, listed = [], []
        for item in locals_:
            values = self.listed(item)
            if values is None:
                free.append(item)
            else:
                listed.append((item, values))
        choices = product(*(values for _, values in listed))
        return tuple(free), [{item: x.const(v) for (item, _), v in zip(listed, values, strict=True)} for values in choices]

    def reduce(self, node: Expr, env: dict[Local, Expr]) -> Expr:
        """``node`` without the sorts that keep their size."""
        memo: dict[Expr, Expr] = {}

        def change(item: Expr) -> Expr | None:
            match item:
                case Local():
                    return env.get(item, item)
                case x.Const(value) if isinstance(value, Elem) and value.sort in self.sorts:
                    raise Refused(f"{value} is named, one of any number")
                case x.Apply(function, args):
                    return self._apply(function, tuple(x.transform(a, change, memo) for a in args))
                case x.Quantified(every, locals_, body):
                    free, envs = self.expand(locals_)
                    parts = [self.reduce(body, {**env, **more}) for more in envs]
                    return x.quantified(every, free, x.conj(*parts) if every else x.disj(*parts))
                case x.Count(locals_, body):
                    free, envs = self.expand(locals_)
                    total: Expr = x.const(0)
                    for more in envs:
                        total = x.arith("+", total, x.count(free, self.reduce(body, {**env, **more})))
                    return total
                case x.Pick():
                    return self._pick(item, env)
                case x.Fold(kind, locals_, body, term):
                    free, envs = self.expand(locals_)
                    if len(envs) != 1 or envs[0]:
                        tables = ", ".join(dict.fromkeys(sort for b in locals_ for sort in b.domain.sorts))
                        raise Refused(f"a {kind} over {tables} is outside what proofs for any number understand")
                    return x.fold(kind, free, self.reduce(body, env), self.reduce(term, env))
                case x.Least(bound, value, body):
                    return self.reduce(x.substitute(body, {bound: value}), env)
                case _:
                    return None

        return x.transform(node, change, memo)

    def _pick(self, node: x.Pick, env: dict[Local, Expr]) -> Expr:
        """The first of several: which one that is follows from the order of the rows, so it may be any."""
        free, envs = self.expand(node.locals)
        result = self.reduce(node.default, env)
        for more in reversed(envs):
            inner = {**env, **more}
            body, term = self.reduce(node.body, inner), self.reduce(node.term, inner)
            rest, body, term = _one_point(free, body, term)
            result = x.pick(rest, body, term, result) if rest else x.ite(body, term, result)
        return result

    def _apply(self, function: str, args: tuple[Expr, ...]) -> Expr:
        if function.startswith(CHOICE):
            return x.apply(function, *args)
        params = self.by_name[function].params
        fixed: list[Elem | None] = []
        for position, (sort, arg) in enumerate(zip(params, args, strict=True)):
            if isinstance(arg, x.Const):
                if arg.value is None:
                    # Applied to NULL: guarded by the lowering, so any value will do (as in grounding).
                    return x.const(self._any(self.by_name[function].domain))
                assert isinstance(arg.value, Elem)
                fixed.append(arg.value)
            elif sort in self.sorts:
                fixed.append(None)
            else:
                parts = [self._apply(function, (*args[:position], x.const(e), *args[position + 1 :])) for e in self._elements(sort)]
                result = parts[-1]
                for element, part in zip(reversed(self._elements(sort)[:-1]), reversed(parts[:-1]), strict=True):
                    result = x.ite(x.equal(arg, x.const(element)), part, result)
                return result
        if function in self.constant:
            known = [e for e in fixed if e is not None]
            if len(known) == len(fixed) or not self.by_name[function].overrides:
                return x.const(self._value(function, tuple(known) if len(known) == len(fixed) else ()))
            raise Refused(f"{function} differs from element to element and never changes")
        return x.apply(_flat(function, tuple(fixed)), *(a for a, e in zip(args, fixed, strict=True) if e is None))

    def _any(self, domain: Domain) -> Value:
        found = self._domain(domain)
        return None if found.nullable or not found.values else found.values[0]

    # -------------------------------------------------------------------------------------------------------- actions

    def template(self) -> Template:
        """The whole template."""
        actions: list[Action] = []
        forbidden: list[Action] = []
        for action in self.system.actions:
            if action.out is not None and action.out in self.sorts:
                continue
            for reduced in self._action(action):
                if reduced.guard is not x.FALSE:
                    (actions if action.out is None else forbidden).append(reduced)
        goals = tuple(self._goal(p) for p in self.system.properties if p.kind == "never")
        open_, ranges = self._values(actions)
        return Template(
            self.system,
            self.sorts,
            self.functions,
            self.origins,
            tuple(actions),
            tuple(forbidden),
            goals,
            open_,
            ranges,
            self.kept,
        )

    def _goal(self, item: Property) -> Goal:
        assert item.rows is not None
        rows = []
        try:
            for witness in item.rows.witnesses:
                free, envs = self.expand(witness.locals)
                rows += [(free, self.reduce(witness.condition, env)) for env in envs]
        except Refused as refusal:
            return Goal(item.name, refused=str(refusal))
        return Goal(item.name, tuple(row for row in rows if row[1] is not x.FALSE))

    def _action(self, action: Action) -> Iterator[Action]:
        if action.kind == "database":
            action = _at_any_time(self.system, action)
        sets = _Sets(self.sorts, action)
        action = sets.action()
        free, envs = self.expand(action.params)
        for env in envs:
            updates = tuple(u for update in action.updates for u in self._update(update, env))
            values = ", ".join(str(v.value) for v in env.values() if isinstance(v, x.Const))
            name = f"{action.name} ({values})" if env else action.name
            yield replace(action, name=name, params=free, guard=self.reduce(action.guard, env), updates=updates)

    def _update(self, update: Update, env: dict[Local, Expr]) -> Iterator[Update]:
        function = self.by_name[update.function]
        free, envs = self.expand(update.formals)
        for more in envs:
            fixed = (more[f].value if f in more else None for f in update.formals)  # type: ignore[attr-defined]
            name = _flat(function.name, tuple(fixed))
            body = self.reduce(update.body, {**env, **more})
            if body is not x.apply(name, *free):
                yield Update(name, free, body)

    # --------------------------------------------------------------------------------------------------------- values

    def _values(self, actions: list[Action]) -> tuple[frozenset[str], tuple[str, ...]]:
        """Give every function the values that it takes; the open ones, and those that could leave their domain by arithmetic."""
        declared = dict(self.functions)
        bodies = [(u.function, u.body) for a in actions for u in a.updates]
        open_ = {n for n, o in self.origins.items() if self.by_name[o.function].domain.upto is not None}
        for name, function in declared.items():
            none = Domain(nullable=function.initial is None, values=() if function.initial is None else (function.initial,))
            self.functions[name] = replace(function, domain=none)
        ranges: set[str] = set()
        changed = True
        while changed:
            changed = False
            for name, body in bodies:
                function = self.functions[name]
                before = function.domain
                values = possible(body, self.functions, open_)
                if values is None:
                    changed |= name not in open_
                    open_.add(name)
                    values = before.values
                inside = listed(declared[name].domain)
                if name not in open_ and not all(among(v, inside) for v in values):
                    ranges.add(name)
                new = _united(listed(before), tuple(v for v in values if among(v, inside)))
                sorts = {*before.sorts, *(_sorts(body, self.functions) & set(declared[name].domain.sorts))}
                domain = Domain(
                    values=tuple(v for v in declared[name].domain.values if among(v, new)),
                    sorts=tuple(sorted(sorts)),
                    nullable=among(None, new),
                )
                if domain != before:
                    self.functions[name] = replace(function, domain=domain)
                    changed = True
        for name in open_:
            # What an open function may be is unknown, whatever was listed for these sizes.
            domain = replace(self.functions[name].domain, values=())
            literals = tuple(v for n, body in bodies if n == name for v in _literals(body))
            domain = replace(domain, values=_united((), tuple(v for v in literals if v is not None)))
            self.functions[name] = replace(self.functions[name], domain=domain)
        return frozenset(open_), tuple(sorted(ranges - open_))


def _sorts(node: Expr, functions: dict[str, Function]) -> set[str]:
    """The sorts of any number of whose elements a term may be one."""
    match node:
        case Local():
            return set(node.domain.sorts)
        case x.Apply(function, _):
            return set() if function.startswith(CHOICE) else set(functions[function].domain.sorts)
        case x.Ite(_, then, otherwise) | x.Pick(_, _, then, otherwise):
            return _sorts(then, functions) | _sorts(otherwise, functions)
        case x.Fold(_, _, _, term):
            return _sorts(term, functions)
        case _:
            return set()


def _literals(node: Expr) -> tuple[Value, ...]:
    match node:
        case x.Const(value):
            return (value,)
        case x.Ite(_, then, otherwise) | x.Pick(_, _, then, otherwise):
            return (*_literals(then), *_literals(otherwise))
        case _:
            return ()


def listed(domain: Domain) -> tuple[Value, ...]:
    """The listed values of a domain, NULL first."""
    return (None, *domain.values) if domain.nullable else domain.values


def among(value: Value, values: tuple[Value, ...]) -> bool:
    """Whether a value is among others (``True`` is not 1)."""
    return any(type(value) is type(v) and value == v for v in values)


def possible(node: Expr, functions: dict[str, Function], open_: frozenset[str] | set[str]) -> tuple[Value, ...] | None:
    """The listed values that a term may have besides elements; None if it may have others as well."""
    match node:
        case x.Const(value):
            return (value,)
        case Local():
            return ()
        case x.Apply(function, _):
            if function in open_:
                return None
            return (False, True) if function.startswith(CHOICE) else listed(functions[function].domain)
        case x.Ite(_, then, otherwise) | x.Pick(_, _, then, otherwise):
            a, b = possible(then, functions, open_), possible(otherwise, functions, open_)
            return None if a is None or b is None else _united(a, b)
        case x.Fold(kind, _, _, term) if kind in ("min", "max"):
            a = possible(term, functions, open_)
            return None if a is None else _united((None,), a)
        case x.Arith(operator, left, right):
            a, b = possible(left, functions, open_), possible(right, functions, open_)
            if a is None or b is None:
                return None
            found: tuple[Value, ...] = ()
            for v, w in product(a, b):
                result = x.arith(operator, x.const(v), x.const(w))
                assert isinstance(result, x.Const)
                found = _united(found, (result.value,))
            return found
        case x.Count() | x.Fold():
            return None
        case _:
            return (False, True)


def _united(a: tuple[Value, ...], b: tuple[Value, ...]) -> tuple[Value, ...]:
    return (*a, *(v for v in b if not among(v, a)))


def _flat(function: str, args: tuple[Elem | None, ...]) -> str:
    fixed = [str(a) for a in args if a is not None]
    return f"{function}[{', '.join(fixed)}]" if fixed else function


def _one_point(locals_: tuple[Local, ...], body: Expr, term: Expr) -> tuple[tuple[Local, ...], Expr, Expr]:
    """Take out locals that the body says to be equal to another local."""
    rest = list(locals_)
    while True:
        parts = body.operands if isinstance(body, x.And) else (body,)
        for part in parts:
            if not isinstance(part, x.Equal):
                continue
            for mine, value in ((part.left, part.right), (part.right, part.left)):
                if mine in rest and isinstance(value, Local) and isinstance(mine, Local) and mine.domain == value.domain:
                    rest.remove(mine)
                    body, term = x.substitute(body, {mine: value}), x.substitute(term, {mine: value})
                    break
            else:
                continue
            break
        else:
            return tuple(rest), body, term


class _Sets:
    """Replaces the parameters that say for each row whether it is in a set by a relation."""

    def __init__(self, sorts: tuple[str, ...], action: Action) -> None:
        self.sorts = sorts
        self.original = action
        self.flags = {p for p in action.params if p.domain == x.BOOL}
        self.families: dict[tuple[Local, ...], str] = {}

    def action(self) -> Action:
        """The action with relations."""
        if not self.flags:
            return self.original
        a = self.original
        guard = self._replace(a.guard)
        updates = tuple(replace(u, body=self._replace(u.body)) for u in a.updates)
        used = {flag for family in self.families for flag in family}
        return replace(a, params=tuple(p for p in a.params if p not in used), guard=guard, updates=updates)

    def _replace(self, node: Expr) -> Expr:
        def change(item: Expr) -> Expr | None:
            if not isinstance(item, x.Or):
                return None
            groups: dict[Expr, list[tuple[Elem, Local]]] = {}
            rest: list[Expr] = []
            for part in item.operands:
                found = self._member(part)
                if found is None:
                    rest.append(part)
                else:
                    groups.setdefault(found[0], []).append(found[1:])
            if not groups:
                return None
            parts = [self._replace(p) for p in rest]
            for term, members in groups.items():
                numbers = [e.number for e, _ in members]
                if numbers != list(range(len(members))):
                    return None
                family = tuple(flag for _, flag in members)
                name = self.families.setdefault(family, f"{CHOICE}{len(self.families) + 1}.{members[0][0].sort}")
                parts.append(x.truth(x.apply(name, self._replace(term))))
            return x.disj(*parts)

        return x.transform(node, change)

    def _member(self, node: Expr) -> tuple[Expr, Elem, Local] | None:
        """``term = element and flag``, for an element of a sort of any number."""
        if not isinstance(node, x.And) or len(node.operands) != 2:
            return None
        for here, flag in (node.operands, node.operands[::-1]):
            if not (isinstance(here, x.Equal) and isinstance(here.right, x.Const) and isinstance(here.right.value, Elem)):
                continue
            if here.right.value.sort not in self.sorts or not (isinstance(flag, x.Equal) and flag.right is x.TRUE):
                continue
            if isinstance(flag.left, Local) and flag.left in self.flags:
                return here.left, here.right.value, flag.left
        return None


def _compare(one: Template, other: Template) -> None:
    """That two templates say the same.

    Raises:
        Refused: they do not.
    """
    if one.open != other.open or one.ranges != other.ranges or one.functions.keys() != other.functions.keys():
        raise Refused("which values its variables may have depends on how many rows and processes there are")
    for name, function in one.functions.items():
        a, b = function, other.functions[name]
        if a != b:
            raise Refused(f"the values of {name} depend on how many rows and processes there are")
    for kind in ("actions", "forbidden"):
        mine, theirs = getattr(one, kind), getattr(other, kind)
        for a, b in zip(mine, theirs, strict=False):
            if _canonical(a) != _canonical(b):
                raise Refused(f"the step {a.name} depends on how many rows and processes there are")
        if len(mine) != len(theirs):
            raise Refused("the steps depend on how many rows and processes there are")


def _canonical(action: Action) -> object:
    """The action with its locals numbered in the order in which they are met."""
    numbers: dict[Expr, int] = {}
    memo: dict[Expr, object] = {}

    def local(item: Local) -> object:
        return (numbers.setdefault(item, len(numbers)), item.domain)

    def show(node: Expr) -> object:
        done = memo.get(node)
        if done is not None:
            return done
        match node:
            case Local():
                done = local(node)
            case x.Const(value):
                done = ("const", type(value).__name__, value)
            case x.Quantified() | x.Count() | x.Fold() | x.Pick():
                bound = tuple(local(b) for b in node.locals)
                done = (type(node).__name__, getattr(node, "every", None), getattr(node, "kind", None), bound, *_parts(node, show))
            case _:
                done = (type(node).__name__, getattr(node, "function", None), getattr(node, "operator", None), *_parts(node, show))
        number = len(shapes)
        done = shapes.setdefault(done, number)
        memo[node] = done
        return done

    shapes: dict[object, object] = {}
    params = tuple(local(p) for p in action.params)
    guard = show(action.guard)
    updates = []
    for update in sorted(action.updates, key=lambda u: u.function):
        updates.append((update.function, tuple(local(f) for f in update.formals), show(update.body)))
    return action.name, action.kind, action.out, params, guard, tuple(updates), tuple(shapes)


def _parts(node: Expr, show: object) -> tuple[object, ...]:
    return tuple(show(child) for child in x.children(node))  # type: ignore[operator]


__all__ = ["CHOICE", "Goal", "Origin", "Refused", "Template", "among", "lift", "listed", "possible", "relaxed"]
