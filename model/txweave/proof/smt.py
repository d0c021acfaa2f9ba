"""From the sorted system to SMT-LIB: a small translation of its own, for the verification of certificates.

It shares nothing with the grounding nor with the engines' encodings.  Every value has a number: the integer *n* has 2 *n*, every
other value an odd number (those of one type in their order), NULL is 1.  So equality is equality of numbers, order is order of
numbers, and sums of integers are sums; an integer may be as large as it likes.  Quantifiers are expanded over the elements of
their sorts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from txweave.system import expr as x
from txweave.system.expr import Domain, Elem, Expr, Local, Value
from txweave.system.reference import environments, values
from txweave.system.sorted import System

Key: TypeAlias = tuple[str, tuple[Elem, ...]]
"""A function at elements."""

Term: TypeAlias = int | str
"""A number that is known, or the text of an SMT-LIB term over integers."""

NULL = 1
LONG = 60
"""Texts longer than this get a name when they occur: each is written once."""


class Untranslatable(ValueError):  # noqa: N818 - named for what it means
    """Something that this translation has no meaning for."""


@dataclass
class Numbers:
    """The numbers of the values that are no integers, in their order."""

    found: dict[tuple[str, Value], int] = field(default_factory=dict)

    def of(self, value: Value) -> int:
        """The number of a value."""
        if value is None:
            return NULL
        if isinstance(value, int) and not isinstance(value, bool):
            return 2 * value
        return self.found[type(value).__name__, value]

    @staticmethod
    def count(system: System, *others: Expr) -> Numbers:
        """Numbers for all values that a system has: elements, truth values, and the strings that occur there or in the others."""
        strings: set[str] = set()
        for function in system.functions:
            given = (*function.domain.values, function.initial, *(value for _, value in function.overrides))
            strings |= {value for value in given if isinstance(value, str)}
        seen: set[Expr] = set()
        stack = [*expressions(system), *others]
        while stack:
            node = stack.pop()
            if node in seen:
                continue
            seen.add(node)
            stack.extend(x.children(node))
            if isinstance(node, x.Const) and isinstance(node.value, str):
                strings.add(node.value)
            for bound in x.free_locals(node):
                strings |= {v for v in bound.domain.values if isinstance(v, str)}
        elements = [Elem(sort.name, number) for sort in system.sorts for number in range(sort.size)]
        everything: list[Value] = [False, True, *sorted(strings), *elements]
        return Numbers({(type(value).__name__, value): 2 * n + 3 for n, value in enumerate(everything)})


def expressions(system: System) -> Iterator[Expr]:
    """Every expression that says what a system does and what is asked of it."""
    for action in system.actions:
        yield action.guard
        yield from (update.body for update in action.updates)
    for item in system.properties:
        for rows in (item.rows, item.goal):
            for witness in rows.witnesses if rows is not None else ():
                yield witness.condition
                yield from witness.values
    yield from (condition for _, condition in system.finished)


@dataclass
class Text:
    """The definitions of a script: every text that is long is named once and used by its name."""

    lines: list[str] = field(default_factory=list)
    names: dict[tuple[str, str], str] = field(default_factory=dict)

    def name(self, sort: str, text: str) -> str:
        """The text, or a name for it."""
        if len(text) <= LONG:
            return text
        found = self.names.get((sort, text))
        if found is None:
            found = self.names[sort, text] = f"d{len(self.names) + 1}"
            self.lines.append(f"(define-fun {found} () {sort} {text})")
        return found


class Translation:
    """Expressions over one state, whose cells are given as terms."""

    def __init__(self, system: System, numbers: Numbers, text: Text, cells: Mapping[Key, Term]) -> None:
        self.system, self.numbers, self.text, self.cells = system, numbers, text, cells
        self._formulas: dict[tuple[Expr, tuple[Value, ...]], str] = {}
        self._terms: dict[tuple[Expr, tuple[Value, ...]], Term] = {}
        self._params = {function.name: function.params for function in system.functions}

    def formula(self, node: Expr, env: Mapping[Local, Value] | None = None) -> str:
        """When a formula is true."""
        env = env or {}
        key = _key(node, env)
        found = self._formulas.get(key)
        if found is None:
            found = self._formulas[key] = self.text.name("Bool", self._formula(node, env))
        return found

    def term(self, node: Expr, env: Mapping[Local, Value] | None = None) -> Term:
        """The number of a term's value."""
        env = env or {}
        key = _key(node, env)
        found = self._terms.get(key)
        if found is None:
            made = self._term(node, env)
            found = self._terms[key] = made if isinstance(made, int) else self.text.name("Int", made)
        return found

    def _formula(self, node: Expr, env: Mapping[Local, Value]) -> str:
        match node:
            case x.Const(constant):
                return "true" if constant is True else "false"
            case x.Not(operand):
                return negation(self.formula(operand, env))
            case x.And(operands):
                return conjunction(self.formula(o, env) for o in operands)
            case x.Or(operands):
                return disjunction(self.formula(o, env) for o in operands)
            case x.Equal(left, right):
                return equality(self.term(left, env), self.term(right, env))
            case x.Less(left, right):
                return order(self.term(left, env), self.term(right, env))
            case x.Ite(condition, then, otherwise):
                when = self.formula(condition, env)
                return choice(when, self.formula(then, env), self.formula(otherwise, env))
            case x.Quantified(every, bound, body):
                parts = (self.formula(body, inner) for inner in self._inner(bound, env))
                return conjunction(parts) if every else disjunction(parts)
            case x.Least(bound, chosen, body):
                return self._least(bound, chosen, body, env)
            case _:
                return equality(self.term(node, env), self.numbers.of(True))

    def _term(self, node: Expr, env: Mapping[Local, Value]) -> Term:
        match node:
            case x.Const(constant):
                return self.numbers.of(constant)
            case Local():
                return self.numbers.of(env[node])
            case x.Apply(function, args):
                return self._apply(function, tuple(self.term(arg, env) for arg in args))
            case x.Ite(condition, then, otherwise):
                when = self.formula(condition, env)
                return alternative(when, self.term(then, env), self.term(otherwise, env))
            case x.Arith(operator, left, right):
                return self._arith(operator, self.term(left, env), self.term(right, env))
            case x.Count(bound, body):
                parts = [self.formula(body, inner) for inner in self._inner(bound, env)]
                return added([alternative(part, 2, 0) for part in parts])
            case x.Fold(kind, bound, body, term):
                return self._fold(kind, [(self.formula(body, inner), self.term(term, inner)) for inner in self._inner(bound, env)])
            case x.Pick(bound, body, term, default):
                result = self.term(default, env)
                for inner in reversed(list(self._inner(bound, env))):
                    result = alternative(self.formula(body, inner), self.term(term, inner), result)
                return result
            case _ if node.boolean:
                return alternative(self.formula(node, env), self.numbers.of(True), self.numbers.of(False))
            case _:
                raise Untranslatable(f"{type(node).__name__} does not belong in a sorted system")

    def _inner(self, bound: tuple[Local, ...], env: Mapping[Local, Value]) -> Iterator[dict[Local, Value]]:
        return environments(self.system, bound, dict(env))

    def _apply(self, function: str, args: tuple[Term, ...]) -> Term:
        """A function at elements that may have to be found out; at NULL it may be anything, and ``open`` is anything."""
        params = self._params[function]
        known: list[tuple[str, tuple[Elem, ...]]] = [("true", ())]
        for sort, arg in zip(params, args, strict=True):
            options = values(self.system, Domain(sorts=(sort,)))
            cases = [(equality(arg, self.numbers.of(e)), e) for e in options if isinstance(e, Elem)]
            known = [(conjunction([when, here]), (*before, e)) for when, before in known for here, e in cases if here != "false"]
        result: Term = "open"
        for when, elements in reversed(known):
            result = alternative(when, self.cells[function, elements], result)
        return result

    def _arith(self, operator: str, left: Term, right: Term) -> Term:
        if NULL in (left, right):
            return NULL
        if operator == "*":
            if not isinstance(left, int):
                left, right = right, left
            if not isinstance(left, int):
                raise Untranslatable("the product of two values that are both unknown")
            result: Term = left // 2 * right if isinstance(right, int) else f"(* {show(left // 2)} {right})"
        elif isinstance(left, int) and isinstance(right, int):
            result = left + right if operator == "+" else left - right
        else:
            result = f"({operator} {show(left)} {show(right)})"
        unknown = [side for side in (left, right) if not isinstance(side, int)]
        return alternative(disjunction(equality(side, NULL) for side in unknown), NULL, result)

    def _fold(self, kind: str, rows: list[tuple[str, Term]]) -> Term:
        """Row by row: NULL so long as no row has counted."""
        result: Term = NULL
        for present, term in rows:
            counts = conjunction([present, negation(equality(term, NULL))])
            if kind == "sum":
                joined: Term = added([result, term])
            else:
                first, second = (term, result) if kind == "min" else (result, term)
                joined = alternative(order(first, second), term, result)
            result = alternative(counts, alternative(equality(result, NULL), term, joined), result)
            result = result if isinstance(result, int) else self.text.name("Int", result)
        return result

    def _least(self, bound: Local, chosen: Expr, body: Expr, env: Mapping[Local, Value]) -> str:
        """The first element that satisfies the body, where it is the one that was chosen."""
        wanted = self.term(chosen, env)
        parts, before = [], list[str]()
        for option in values(self.system, bound.domain):
            here = self.formula(body, {**env, bound: option})
            parts.append(conjunction([equality(wanted, self.numbers.of(option)), here, *map(negation, before)]))
            before.append(here)
        return disjunction(parts)


def _key(node: Expr, env: Mapping[Local, Value]) -> tuple[Expr, tuple[Value, ...]]:
    """A node and the values of the locals that it depends on, each with its type."""
    free = sorted(x.free_locals(node), key=lambda item: item.name)
    return node, tuple(part for item in free for part in (type(env[item]).__name__, env[item]))


# ------------------------------------------------------------------------------------------- texts, with constants folded


def show(term: Term) -> str:
    """A term as text."""
    if isinstance(term, str):
        return term
    return str(term) if term >= 0 else f"(- {-term})"


def negation(operand: str) -> str:
    """Not."""
    return {"true": "false", "false": "true"}.get(operand) or f"(not {operand})"


def conjunction(operands: Iterator[str] | list[str]) -> str:
    """And."""
    parts = [operand for operand in dict.fromkeys(operands) if operand != "true"]
    if "false" in parts:
        return "false"
    return f"(and {' '.join(parts)})" if len(parts) > 1 else parts[0] if parts else "true"


def disjunction(operands: Iterator[str] | list[str]) -> str:
    """Or."""
    parts = [operand for operand in dict.fromkeys(operands) if operand != "false"]
    if "true" in parts:
        return "true"
    return f"(or {' '.join(parts)})" if len(parts) > 1 else parts[0] if parts else "false"


def equality(left: Term, right: Term) -> str:
    """Equality of numbers."""
    if left == right:
        return "true"
    if isinstance(left, int) and isinstance(right, int):
        return "false"
    return f"(= {show(left)} {show(right)})"


def order(left: Term, right: Term) -> str:
    """Order of numbers."""
    if isinstance(left, int) and isinstance(right, int):
        return "true" if left < right else "false"
    return "false" if left == right else f"(< {show(left)} {show(right)})"


def choice(when: str, then: str, otherwise: str) -> str:
    """If-then-else of formulas."""
    if when in ("true", "false"):
        return then if when == "true" else otherwise
    return then if then == otherwise else f"(ite {when} {then} {otherwise})"


def alternative(when: str, then: Term, otherwise: Term) -> Term:
    """If-then-else of terms."""
    if when in ("true", "false"):
        return then if when == "true" else otherwise
    return then if then == otherwise else f"(ite {when} {show(then)} {show(otherwise)})"


def added(terms: list[Term]) -> Term:
    """A sum."""
    fixed = sum(term for term in terms if isinstance(term, int))
    rest = [term for term in terms if isinstance(term, str)]
    if not rest:
        return fixed
    return f"(+ {' '.join([*rest, show(fixed)])})"
