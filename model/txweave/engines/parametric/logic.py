"""A template in first-order logic: many-sorted, with relations only.

A function with values in finitely many listed values and in sorts is one relation for each listed value and one for each sort:
``pc = 'done' (r)``, ``backfill_id (r, b)``.  That each has one value at most is an axiom; that it has one at all is assumed only of
the elements that a step or a clause names (:meth:`Logic.total`): for all elements it would make sorts depend on each other in a
circle, and the questions would leave the fragment in which Z3 always answers (effectively propositional logic).  To assume less is
sound.

What has no translation (sums, order of the rows, numbers without a bound) is a fresh predicate of the locals in it: it may be true
or false.  That allows more steps, which is sound; in a property it is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import combinations, product
from typing import Any, TypeAlias

from txweave.engines.parametric.template import CHOICE, Refused, Template, among, listed, possible
from txweave.system import expr as x
from txweave.system.expr import Expr, Local, Value
from txweave.system.sorted import Action, Function, Update

Formula: TypeAlias = Any
"""A Z3 Boolean."""

MOST = 4
"""Counts are compared with numbers below this."""


class Logic:
    """The translation of one template into one Z3 context."""

    def __init__(self, template: Template, context: Any, *, strict: bool = False) -> None:
        import z3

        self.z3 = z3
        self.template = template
        self.context = context
        self.strict = strict
        self.sorts = {name: z3.DeclareSort(name, ctx=context) for name in template.sorts}
        self.relations: dict[tuple[str, object], Any] = {}
        self.unknown: dict[Expr, Formula] = {}
        self.picks: dict[Expr, Any] = {}
        self.memo: dict[Expr, Formula] = {}
        self.fresh = 0

    # --------------------------------------------------------------------------------------------------------- symbols

    def function(self, name: str) -> Function:
        """The template's function."""
        return self.template.functions[name]

    def values(self, name: str) -> tuple[Value, ...]:
        """The listed values of a function."""
        return listed(self.function(name).domain)

    def relation(self, name: str, value: Value | Sort) -> Any:
        """The relation ``name = value`` or, for a sort, ``name = element``."""
        key = (name, _key(value))
        found = self.relations.get(key)
        if found is None:
            params = [self.sorts[s] for s in self.function(name).params]
            if isinstance(value, Sort):
                params.append(self.sorts[value.name])
                label = f"{name} is"
            else:
                label = f"{name} = {'NULL' if value is None else value}"
            found = self.relations[key] = self.z3.Function(label, *params, self.z3.BoolSort(ctx=self.context))
        return found

    def constant(self, item: Local) -> Any:
        """The Z3 constant for a local."""
        return self.z3.Const(item.name, self.sorts[item.domain.sorts[0]])

    def _variable(self, sort: str) -> Any:
        self.fresh += 1
        return self.z3.Const(f"{sort}!{self.fresh}", self.sorts[sort])

    def truth(self, value: bool) -> Formula:
        """True or false."""
        return self.z3.BoolVal(value, ctx=self.context)

    def conj(self, parts: Iterable[Formula]) -> Formula:
        """And."""
        items = [p for p in parts if not self.z3.is_true(p)]
        if any(self.z3.is_false(p) for p in items):
            return self.truth(False)
        return self.truth(True) if not items else items[0] if len(items) == 1 else self.z3.And(items)

    def disj(self, parts: Iterable[Formula]) -> Formula:
        """Or."""
        items = [p for p in parts if not self.z3.is_false(p)]
        if any(self.z3.is_true(p) for p in items):
            return self.truth(True)
        return self.truth(False) if not items else items[0] if len(items) == 1 else self.z3.Or(items)

    def neg(self, part: Formula) -> Formula:
        """Not."""
        if self.z3.is_true(part):
            return self.truth(False)
        return self.truth(True) if self.z3.is_false(part) else self.z3.Not(part)

    # ---------------------------------------------------------------------------------------------------------- axioms

    def options(self, name: str, args: Sequence[Any]) -> tuple[list[Formula], list[tuple[str, Any]]]:
        """For a function at Z3 terms: that it has each listed value, and the relation to each sort."""
        finite = [self.relation(name, v)(*args) for v in self.values(name)]
        return finite, [(s, self.relation(name, Sort(s))) for s in self.function(name).domain.sorts]

    def single(self, name: str) -> list[Formula]:
        """That a function has one value at most."""
        args = [self._variable(s) for s in self.function(name).params]
        finite, sorts = self.options(name, args)
        found = [self._every(args, self.neg(self.conj(pair))) for pair in combinations(finite, 2)]
        for number, (sort, relation) in enumerate(sorts):
            one, two = self._variable(sort), self._variable(sort)
            here = relation(*args, one)
            found.append(self._every([*args, one, two], self.disj([self.neg(here), self.neg(relation(*args, two)), one == two])))
            found += [self._every([*args, one], self.neg(self.conj([here, part]))) for part in finite]
            for sort2, relation2 in sorts[number + 1 :]:
                other = self._variable(sort2)
                found.append(self._every([*args, one, other], self.neg(self.conj([here, relation2(*args, other)]))))
        if not sorts and name not in self.template.open and name not in self.template.ranges:
            found.append(self._every(args, self.disj(finite)))
        return found

    def total(self, name: str, terms: Sequence[tuple[str, Any]]) -> list[Formula]:
        """That a function has a value at the given terms (each with its sort)."""
        function = self.function(name)
        if not function.domain.sorts or name in self.template.open or name in self.template.ranges:
            return []
        found = []
        for args in product(*([t for s, t in terms if s == param] for param in function.params)):
            finite, sorts = self.options(name, args)
            for sort, relation in sorts:
                other = self._variable(sort)
                finite.append(self.z3.Exists([other], relation(*args, other)))
            found.append(self.disj(finite))
        return found

    def _every(self, args: Sequence[Any], body: Formula) -> Formula:
        return self.z3.ForAll(list(args), body) if args else body

    # -------------------------------------------------------------------------------------------------------- formulas

    def formula(self, node: Expr) -> Formula:
        """A Boolean expression."""
        found = self.memo.get(node)
        if found is None:
            found = self.memo[node] = self._formula(node)
        return found

    def _formula(self, node: Expr) -> Formula:
        match node:
            case x.Const(value):
                return self.truth(value is True)
            case x.Not(operand):
                return self.neg(self.formula(operand))
            case x.And(operands):
                return self.conj(map(self.formula, operands))
            case x.Or(operands):
                return self.disj(map(self.formula, operands))
            case x.Quantified(every, locals_, body):
                variables = [self.constant(b) for b in locals_]
                inner = self.formula(body)
                return self.z3.ForAll(variables, inner) if every else self.z3.Exists(variables, inner)
            case x.Equal(left, right):
                return self.same(left, right, node)
            case x.Less(left, right):
                return self.less(left, right, node)
            case x.Ite(condition, then, otherwise):
                return self.cases(condition, self.formula(then), self.formula(otherwise))
            case x.Apply():
                return self.has(node, True)
            case _:
                return self.choice(node)

    def cases(self, condition: Expr, then: Formula, otherwise: Formula) -> Formula:
        """If-then-else."""
        if then.eq(otherwise):
            return then
        c = self.formula(condition)
        return self.disj([self.conj([c, then]), self.conj([self.neg(c), otherwise])])

    def choice(self, node: Expr) -> Formula:
        """A formula that may be true or false."""
        if self.strict:
            raise Refused(f"{_construct(node)} is outside what proofs for any number understand")
        found = self.unknown.get(node)
        if found is None:
            free = sorted(x.free_locals(node), key=lambda item: item.name)
            args = [self.constant(f) for f in free]
            symbol = self.z3.Function(f"{CHOICE}{len(self.unknown)}", *(a.sort() for a in args), self.z3.BoolSort(ctx=self.context))
            found = self.unknown[node] = symbol(*args)
        return found

    def _closed(self, node: Expr) -> tuple[Value, ...] | None:
        return possible(node, self.template.functions, self.template.open)

    def has(self, term: Expr, value: Value) -> Formula:
        """That a term has a listed value."""
        match term:
            case x.Const(v):
                return self.truth(type(v) is type(value) and v == value)
            case Local():
                return self.truth(False)
            case x.Ite(condition, then, otherwise):
                return self.cases(condition, self.has(then, value), self.has(otherwise, value))
            case x.Apply(function, args):
                if function.startswith(CHOICE):
                    holds = self._at(args, lambda t: self._chosen(function, t))
                    return holds if value is True else self.neg(holds) if value is False else self.truth(False)
                if not among(value, self.values(function)):
                    if function in self.template.open:
                        return self.choice(x.equal(term, x.const(value)))
                    return self.truth(False)
                return self._at(args, lambda t: self.relation(function, value)(*t))
            case x.Pick(locals_, body, inner, default):
                some = self._exists(locals_, self.conj([self.picked(term), self.has(inner, value)]))
                return self.disj([some, self.conj([self.neg(self._exists(locals_, self.formula(body))), self.has(default, value)])])
            case x.Count(locals_, body):
                if not isinstance(value, int) or isinstance(value, bool) or value < 0:
                    return self.truth(False)
                return self.conj([self.at_least(value, locals_, body), self.neg(self.at_least(value + 1, locals_, body))])
            case x.Arith(operator, left, right):
                a, b = self._closed(left), self._closed(right)
                if a is None or b is None:
                    return self.choice(x.equal(term, x.const(value)))
                parts = []
                for v, w in product(a, b):
                    result = x.arith(operator, x.const(v), x.const(w))
                    if isinstance(result, x.Const) and among(value, (result.value,)):
                        parts.append(self.conj([self.has(left, v), self.has(right, w)]))
                return self.disj(parts)
            case _ if term.boolean:
                inner = self.formula(term)
                return inner if value is True else self.neg(inner) if value is False else self.truth(False)
            case _:
                return self.choice(x.equal(term, x.const(value)))

    def _chosen(self, function: str, terms: Sequence[Any]) -> Formula:
        symbol = self.z3.Function(function, *(t.sort() for t in terms), self.z3.BoolSort(ctx=self.context))
        return symbol(*terms)

    def _at(self, args: Sequence[Expr], make: Callable[[Sequence[Any]], Formula]) -> Formula:
        """A relation at arguments; one that is no local is named first."""
        terms, named, conditions = [], [], []
        for arg in args:
            if isinstance(arg, Local):
                terms.append(self.constant(arg))
                continue
            sorts = sorted(_sorts_of(arg, self))
            if len(sorts) != 1:
                return self.truth(False) if not sorts else self.choice(arg)
            variable = self._variable(sorts[0])
            terms.append(variable)
            named.append(variable)
            conditions.append(self.is_element(arg, sorts[0], variable))
        body = self.conj([*conditions, make(terms)])
        return self.z3.Exists(named, body) if named else body

    def is_element(self, term: Expr, sort: str, element: Any) -> Formula:
        """That a term is an element of a sort."""
        match term:
            case Local():
                return self.constant(term) == element if term.domain.sorts == (sort,) else self.truth(False)
            case x.Ite(condition, then, otherwise):
                return self.cases(condition, self.is_element(then, sort, element), self.is_element(otherwise, sort, element))
            case x.Apply(function, args) if not function.startswith(CHOICE):
                if sort not in self.function(function).domain.sorts:
                    return self.truth(False)
                return self._at(args, lambda t: self.relation(function, Sort(sort))(*t, element))
            case x.Pick(locals_, body, inner, default):
                some = self._exists(locals_, self.conj([self.picked(term), self.is_element(inner, sort, element)]))
                none = self.neg(self._exists(locals_, self.formula(body)))
                return self.disj([some, self.conj([none, self.is_element(default, sort, element)])])
            case x.Fold():
                if self.strict:
                    raise Refused(f"{_construct(term)} is outside what proofs for any number understand")
                return self._which(term, sort, element)
            case _:
                return self.truth(False)

    def _exists(self, locals_: Sequence[Local], body: Formula) -> Formula:
        return self.z3.Exists([self.constant(b) for b in locals_], body) if locals_ else body

    def picked(self, node: x.Pick) -> Formula:
        """That the locals of a pick are what it takes: some assignment of those that satisfy its body."""
        if self.strict:
            raise Refused(f"{_construct(node)} is outside what proofs for any number understand")
        return self.conj([self.formula(node.body), self._taken(node, [self.constant(b) for b in node.locals])])

    def _taken(self, node: x.Pick, terms: Sequence[Any]) -> Formula:
        args = [*(self.constant(f) for f in sorted(x.free_locals(node.body) - set(node.locals), key=lambda i: i.name)), *terms]
        key = x.exists(node.locals, node.body)
        if key not in self.picks:
            domain = [a.sort() for a in args]
            self.picks[key] = self.z3.Function(f"{CHOICE}first {len(self.picks)}", *domain, self.z3.BoolSort(ctx=self.context))
        return self.picks[key](*args)

    def picking(self, nodes: Iterable[Expr], constants: Iterable[Local]) -> list[Formula]:
        """For the picks in some expressions: that one assignment is taken if there is one, and one only."""
        known, found = set(constants), []
        seen: set[Expr] = set()
        for node in nodes:
            for part in _walk(node, seen):
                if isinstance(part, x.Pick) and x.free_locals(part) <= known:
                    some = self._exists(part.locals, self.formula(part.body))
                    found.append(self.disj([self.neg(some), self._exists(part.locals, self.picked(part))]))
                    one = [self._variable(b.domain.sorts[0]) for b in part.locals]
                    two = [self._variable(b.domain.sorts[0]) for b in part.locals]
                    same = self.conj(a == b for a, b in zip(one, two, strict=True))
                    both = [self.neg(self._taken(part, one)), self.neg(self._taken(part, two)), same]
                    found.append(self._every([*one, *two], self.disj(both)))
        return found

    def _which(self, term: Expr, sort: str, element: Any) -> Formula:
        free = sorted(x.free_locals(term), key=lambda item: item.name)
        args = [self.constant(f) for f in free]
        key = x.equal(term, x.const(f"?{sort}"))
        if key not in self.unknown:
            domain = [*(a.sort() for a in args), self.sorts[sort]]
            self.unknown[key] = self.z3.Function(f"{CHOICE}{len(self.unknown)}", *domain, self.z3.BoolSort(ctx=self.context))
        return self.unknown[key](*args, element)

    def same(self, left: Expr, right: Expr, node: Expr) -> Formula:
        """Equality of two terms."""
        if isinstance(right, x.Const):
            return self.has(left, right.value)
        if isinstance(left, x.Const):
            return self.has(right, left.value)
        for one, other in ((left, right), (right, left)):
            if isinstance(one, Local):
                return self.is_element(other, one.domain.sorts[0], self.constant(one))
        if left.boolean and right.boolean:
            return self.formula(left) == self.formula(right)
        for one, other in ((left, right), (right, left)):
            if isinstance(one, x.Ite):
                return self.cases(one.condition, self.same(one.then, other, node), self.same(one.otherwise, other, node))
        a, b = self._closed(left), self._closed(right)
        if a is None or b is None:
            return self.choice(node)
        parts = [self.conj([self.has(left, v), self.has(right, v)]) for v in a if among(v, b)]
        for sort in sorted(_sorts_of(left, self) & _sorts_of(right, self)):
            element = self._variable(sort)
            both = self.conj([self.is_element(left, sort, element), self.is_element(right, sort, element)])
            parts.append(self.z3.Exists([element], both))
        return self.disj(parts)

    def less(self, left: Expr, right: Expr, node: Expr) -> Formula:
        """Order of two numbers or strings."""
        if isinstance(right, x.Count) and isinstance(left, x.Const):
            return self.at_least(_number(left) + 1, right.locals, right.body)
        if isinstance(left, x.Count) and isinstance(right, x.Const):
            return self.neg(self.at_least(_number(right), left.locals, left.body))
        for one, other in ((left, right), (right, left)):
            if isinstance(one, x.Count) and (values := self._closed(other)) is not None:
                parts = []
                for v in values:
                    if v is not None:
                        first, second = (left, x.const(v)) if other is right else (x.const(v), right)
                        parts.append(self.conj([self.has(other, v), self.less(first, second, node)]))
                return self.disj(parts)
        a, b = self._closed(left), self._closed(right)
        if a is None or b is None or _sorts_of(left, self) or _sorts_of(right, self):
            return self.choice(node)
        parts = []
        for v, w in product(a, b):
            if v is None or w is None:
                continue
            if v < w:  # type: ignore[operator]
                parts.append(self.conj([self.has(left, v), self.has(right, w)]))
        return self.disj(parts)

    def at_least(self, number: int, locals_: tuple[Local, ...], body: Expr) -> Formula:
        """That at least so many assignments satisfy the body."""
        if number <= 0:
            return self.truth(True)
        if number > MOST:
            return self.choice(x.less(x.const(number - 1), x.count(locals_, body)))
        copies, parts = [], []
        for _ in range(number):
            names = tuple(x.local(b.name.split("'")[0], b.domain) for b in locals_)
            copies.append([self.constant(n) for n in names])
            parts.append(self.formula(x.substitute(body, dict(zip(locals_, names, strict=True)))))
        for one, other in combinations(copies, 2):
            parts.append(self.disj(self.neg(a == b) for a, b in zip(one, other, strict=True)))
        return self.z3.Exists([c for copy in copies for c in copy], self.conj(parts))


class Sort(str):
    """The name of a sort, to tell it from a value."""

    @property
    def name(self) -> str:
        """The name."""
        return str(self)


def after(action: Action, node: Expr) -> Expr:
    """What ``node`` is after the action, as an expression of the state before."""
    updates: dict[str, Update] = {u.function: u for u in action.updates}

    def change(item: Expr) -> Expr | None:
        if not isinstance(item, x.Apply):
            return None
        args = tuple(x.transform(a, change) for a in item.args)
        update = updates.get(item.function)
        if update is None:
            return x.apply(item.function, *args)
        return x.substitute(update.body, dict(zip(update.formals, args, strict=True)))

    return x.transform(node, change)


def at_start(template: Template, node: Expr) -> Expr:
    """What ``node`` is in the initial state."""

    def change(item: Expr) -> Expr | None:
        return x.const(template.functions[item.function].initial) if isinstance(item, x.Apply) else None

    return x.transform(node, change)


def _key(value: object) -> object:
    return (type(value).__name__, value)


def _sorts_of(node: Expr, logic: Logic) -> set[str]:
    match node:
        case Local():
            return set(node.domain.sorts)
        case x.Apply(function, _):
            return set() if function.startswith(CHOICE) else set(logic.function(function).domain.sorts)
        case x.Ite(_, then, otherwise) | x.Pick(_, _, then, otherwise):
            return _sorts_of(then, logic) | _sorts_of(otherwise, logic)
        case x.Fold(_, _, _, term):
            return _sorts_of(term, logic)
        case _:
            return set()


def _number(node: x.Const) -> int:
    if not isinstance(node.value, int) or isinstance(node.value, bool):
        raise Refused(f"a count is compared with {node.value!r}")
    return node.value


def _construct(node: Expr) -> str:
    """What kind of thing has no translation."""
    for part in _walk(node):
        match part:
            case x.Fold(kind, _, _, _):
                return f"a {kind}"
            case x.Pick():
                return "the first of several rows"
            case x.Count():
                return "a count that is compared with more than a small number"
    return f"a comparison ({x.show(node)[:80]})"


def _walk(node: Expr, seen: set[Expr] | None = None) -> Iterable[Expr]:
    seen = set() if seen is None else seen
    stack = [node]
    while stack:
        item = stack.pop()
        if item not in seen:
            seen.add(item)
            yield item
            stack.extend(x.children(item))
