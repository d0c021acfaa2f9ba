"""Expressions as text, and back: the notation of SMT-LIB 2.6, with the sorts of the system.

``(forall ((r dag_run)) (or (= (dag_run.state r) "success") (not (= (dag_run.backfill_id r) backfill#1))))``

Functions and sorts that are no simple symbols of SMT-LIB are written between bars.  ``null`` is NULL; ``backfill#1`` is the first
element of ``backfill``, a symbol as well (between bars, since ``#`` is not allowed in a simple one).  Beyond
SMT-LIB there are the operators of the sorted system: ``count``, ``sum``, ``min``, ``max``, ``pick`` and ``least``.

What is read is closed: a local variable that no quantifier binds, an unknown function or sort and a wrong number of arguments are
errors with their place.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from txweave.system import expr as x
from txweave.system.expr import Domain, Elem, Expr, Local, Value

_SIMPLE = re.compile(r"[A-Za-z~!@$%^&*_\-+=<>.?/][0-9A-Za-z~!@$%^&*_\-+=<>.?/]*")
_TOKEN = re.compile(
    r"""\s+|;[^\n]*|(?P<open>\()|(?P<close>\))|(?P<string>"(?:[^"]|"")*")|\|(?P<bars>[^|]*)\||(?P<atom>[^\s()"|;]+)"""
)
_ELEMENT = re.compile(r"(.+)#([1-9][0-9]*)")
_NUMBER = re.compile(r"0|[1-9][0-9]*")
_WORDS = frozenset(["true", "false", "null", "not", "and", "or", "=", "<", "+", "-", "*", "ite"])
_BINDERS = frozenset(["forall", "exists", "count", "sum", "min", "max", "pick", "least", "domain"])
_FOLDS = ("sum", "min", "max")


class TextError(ValueError):
    """A text that is no expression; the message says where in it."""


def symbol(name: str) -> str:
    """A name as SMT-LIB writes it."""
    if _SIMPLE.fullmatch(name) and name not in _WORDS | _BINDERS:
        return name
    if "|" in name or "\\" in name:
        raise TextError(f"{name!r} cannot be written as a symbol")
    return f"|{name}|"


# ------------------------------------------------------------------------------------------------------------- writing


def write(node: Expr) -> str:
    """The text of a closed expression; the same for expressions that differ in the names of their locals only."""
    return Writer().text(node)


class Writer:
    """Writes expressions; locals are named in the order in which they are bound, or met where nothing binds them."""

    def __init__(self) -> None:
        self.names: dict[Local, str] = {}
        self._count = 0

    def declare(self, bound: Local) -> str:
        """The name of a local."""
        if bound not in self.names:
            self._new(bound)
        return symbol(self.names[bound])

    def _new(self, bound: Local) -> str:
        self._count += 1
        self.names[bound] = f"{bound.name.split(chr(39))[0]}.{self._count}"
        return symbol(self.names[bound])

    def text(self, node: Expr) -> str:
        """An expression."""
        text = self.text
        match node:
            case x.Const(constant):
                return value(constant)
            case Local():
                return self.declare(node)
            case x.Apply(function, args):
                return f"({' '.join([symbol(function), *map(text, args)])})" if args else symbol(function)
            case x.Cell(index):
                raise TextError(f"cell {index} belongs to a ground system; certificates speak of functions")
            case x.Not(operand):
                return f"(not {text(operand)})"
            case x.And(operands) | x.Or(operands):
                return f"({'and' if isinstance(node, x.And) else 'or'} {' '.join(map(text, operands))})"
            case x.Equal(left, right):
                return f"(= {text(left)} {text(right)})"
            case x.Less(left, right):
                return f"(< {text(left)} {text(right)})"
            case x.Arith(operator, left, right):
                return f"({operator} {text(left)} {text(right)})"
            case x.Ite(condition, then, otherwise):
                return f"(ite {text(condition)} {text(then)} {text(otherwise)})"
            case x.Quantified(every, bound, body):
                return self._binder("forall" if every else "exists", bound, [], [body], [])
            case x.Count(bound, body):
                return self._binder("count", bound, [], [body], [])
            case x.Fold(kind, bound, body, term):
                return self._binder(kind, bound, [], [body, term], [])
            case x.Pick(bound, body, term, default):
                return self._binder("pick", bound, [], [body, term], [default])
            case x.Least(bound, chosen, body):
                return self._binder("least", (bound,), [chosen], [body], [])
        raise TypeError(type(node).__name__)

    def _binder(self, word: str, bound: tuple[Local, ...], before: list[Expr], inside: list[Expr], after: list[Expr]) -> str:
        """What binds locals in some of its parts: elsewhere their names are those of before."""
        outer = dict(self.names)
        first = [self.text(part) for part in before]
        heads = [f"({self._new(item)} {domain(item.domain)})" for item in bound]
        parts = [self.text(part) for part in inside]
        self.names = outer
        return f"({' '.join([word, f'({chr(32).join(heads)})', *first, *parts, *(self.text(part) for part in after)])})"


def value(constant: Value) -> str:
    """A constant."""
    if constant is None:
        return "null"
    if isinstance(constant, bool):
        return "true" if constant else "false"
    if isinstance(constant, Elem):
        return symbol(str(constant))
    if isinstance(constant, int):
        return str(constant) if constant >= 0 else f"(- {-constant})"
    escaped = constant.replace('"', '""')
    return f'"{escaped}"'


def domain(item: Domain) -> str:
    """What a local ranges over: a sort by its name, anything else spelled out."""
    if item == Domain(sorts=item.sorts) and len(item.sorts) == 1:
        return symbol(item.sorts[0])
    parts = [f"(values {' '.join(map(value, item.values))})"] if item.values else []
    parts += [f"(sorts {' '.join(map(symbol, item.sorts))})"] if item.sorts else []
    parts += [f"(upto {' '.join(map(symbol, item.upto))})"] if item.upto is not None else []
    parts += [f"(ages {value(item.ages[0])} {value(item.ages[1])})"] if item.ages is not None else []
    parts += ["nullable"] if item.nullable else []
    return f"({' '.join(['domain', *parts])})"


# ------------------------------------------------------------------------------------------------------------- reading


@dataclass(frozen=True)
class Token:
    """A part of a text: a list of parts, a string, or a symbol; ``at`` is its offset."""

    at: int
    text: str = ""
    kind: str = "atom"
    parts: tuple[Token, ...] = ()


@dataclass
class Reader:
    """Reads expressions over some functions (their names and numbers of arguments) and sorts."""

    functions: Mapping[str, int]
    sorts: frozenset[str]
    scope: dict[str, Local] = field(default_factory=dict)

    def read(self, text: str) -> Expr:
        """The expression that a text spells.

        Raises:
            TextError: it spells none, or one that is not closed.
        """
        try:
            return self.expression(parse(text))
        except RecursionError as error:
            raise TextError("it is nested too deeply") from error

    def expression(self, token: Token) -> Expr:
        """An expression."""
        if token.kind == "string":
            return x.const(token.text)
        if token.kind != "list":
            return self.atom(token)
        if not token.parts:
            raise _error(token, "an empty list")
        head, *rest = token.parts
        if head.kind == "atom" and head.text in _BINDERS:
            return self.binder(head, rest)
        if head.kind == "atom" and head.text in _WORDS:
            return self.operation(head, rest)
        if head.kind not in ("atom", "quoted"):
            raise _error(head, "the name of a function or an operator is wanted")
        return self.application(head, [self.expression(part) for part in rest])

    def atom(self, token: Token) -> Expr:
        """A constant, a local, or a function without arguments."""
        text = token.text
        if token.kind == "atom" and text in ("true", "false", "null"):
            return x.const({"true": True, "false": False, "null": None}[text])
        if token.kind == "atom" and _NUMBER.fullmatch(text):
            return x.const(int(text))
        if text in self.scope:
            return self.scope[text]
        element = _ELEMENT.fullmatch(text)
        if element is not None and text not in self.functions:
            if element[1] not in self.sorts:
                raise _error(token, f"there is no sort {element[1]!r}")
            return x.const(Elem(element[1], int(element[2]) - 1))
        return self.application(token, [])

    def application(self, head: Token, args: list[Expr]) -> Expr:
        """A state function at its arguments."""
        arity = self.functions.get(head.text)
        if arity is None:
            raise _error(head, f"there is no function {head.text!r}, nor a variable of that name")
        if arity != len(args):
            raise _error(head, f"{head.text!r} takes {arity} arguments, not {len(args)}")
        return x.apply(head.text, *args)

    def operation(self, head: Token, rest: list[Token]) -> Expr:
        """An operator of logic or arithmetic."""
        parts = [self.expression(part) for part in rest]
        if head.text in ("<", "+", "-", "*"):
            kinds = {type(part.value) for part in parts if isinstance(part, x.Const) and part.value is not None}
            if len(kinds) > 1 or (head.text != "<" and kinds - {int}):
                raise _error(head, f"{head.text!r} does not take values of these types")
        match head.text, parts:
            case "not", [operand]:
                return x.neg(operand)
            case "and", [_, *_]:
                return x.conj(*parts)
            case "or", [_, *_]:
                return x.disj(*parts)
            case "=", [left, right]:
                return x.equal(left, right)
            case "<", [left, right]:
                return x.less(left, right)
            case "-", [x.Const(number)] if isinstance(number, int) and not isinstance(number, bool):
                return x.const(-number)
            case "+" | "-" | "*", [left, right]:
                return x.arith(head.text, left, right)
            case "ite", [condition, then, otherwise]:
                return x.ite(condition, then, otherwise)
        raise _error(head, f"{head.text!r} does not take {len(parts)} arguments")

    def binder(self, head: Token, rest: list[Token]) -> Expr:
        """A quantifier, or what else binds locals."""
        wanted = {"forall": 2, "exists": 2, "count": 2, "pick": 4, "least": 3}.get(head.text, 3)
        if head.text == "domain" or len(rest) != wanted or rest[0].kind != "list" or not rest[0].parts:
            raise _error(head, f"{head.text!r} takes a list of variables and {wanted - 1} expressions")
        before = dict(self.scope)
        outer = [self.expression(rest[{"pick": 3, "least": 1}[head.text]])] if head.text in ("pick", "least") else []
        bound = tuple(self.bind(part) for part in rest[0].parts)
        inner = [self.expression(part) for part in (rest[1:3] if head.text == "pick" else rest[-1:] if outer else rest[1:])]
        self.scope = before
        match head.text:
            case "forall" | "exists":
                return x.quantified(head.text == "forall", bound, inner[0])
            case "count":
                return x.count(bound, inner[0])
            case "pick":
                return x.pick(bound, inner[0], inner[1], outer[0])
            case "least" if len(bound) == 1:
                return x.least(bound[0], outer[0], inner[0])
            case kind if kind in _FOLDS:
                return x.fold(kind, bound, inner[0], inner[1])
        raise _error(head, f"{head.text!r} binds one variable")

    def bind(self, token: Token) -> Local:
        """A new local, in scope from here on."""
        if token.kind != "list" or len(token.parts) != 2 or token.parts[0].kind not in ("atom", "quoted"):
            raise _error(token, "a variable and its sort are wanted: (r dag_run)")
        name = token.parts[0].text
        found = x.local(name.split(".")[0].split("'")[0], self.domain(token.parts[1]))
        self.scope = {**self.scope, name: found}
        return found

    def domain(self, token: Token) -> Domain:
        """What a local ranges over."""
        if token.kind in ("atom", "quoted"):
            return Domain(sorts=(self.sort(token),))
        if not token.parts or token.parts[0].text != "domain":
            raise _error(token, "a sort is wanted, or (domain …)")
        found: dict[str, Token] = {}
        for part in token.parts[1:]:
            name = part.parts[0].text if part.kind == "list" and part.parts else part.text
            if name not in ("values", "sorts", "upto", "ages", "nullable") or name in found:
                raise _error(part, f"{name!r} does not belong in a domain")
            found[name] = part
        ages = tuple(self._constant(part) for part in found["ages"].parts[1:]) if "ages" in found else None
        if ages is not None and (len(ages) != 2 or not all(type(age) is int for age in ages)):
            raise _error(found["ages"], "ages are given by two integers")
        return Domain(
            tuple(self._constant(part) for part in found["values"].parts[1:]) if "values" in found else (),
            tuple(self.sort(part) for part in found["sorts"].parts[1:]) if "sorts" in found else (),
            tuple(self.sort(part) for part in found["upto"].parts[1:]) if "upto" in found else None,
            ages,  # type: ignore[arg-type]
            "nullable" in found,
        )

    def sort(self, token: Token) -> str:
        """A sort."""
        if token.text not in self.sorts:
            raise _error(token, f"there is no sort {token.text!r}")
        return token.text

    def _constant(self, token: Token) -> Value:
        node = self.expression(token)
        if not isinstance(node, x.Const):
            raise _error(token, "a constant is wanted")
        return node.value


def parse(text: str) -> Token:
    """The one S-expression that a text holds.

    Raises:
        TextError: it holds none, or more.
    """
    stack: list[tuple[int, list[Token]]] = [(0, [])]
    for at, kind, part in _tokens(text):
        if kind == "open":
            stack.append((at, []))
        elif kind == "close":
            if len(stack) == 1:
                raise TextError(f"at character {at + 1}: nothing is open that ')' would close")
            begin, parts = stack.pop()
            stack[-1][1].append(Token(begin, "", "list", tuple(parts)))
        else:
            stack[-1][1].append(Token(at, part, kind))
    if len(stack) > 1:
        raise TextError(f"at character {stack[-1][0] + 1}: '(' is never closed")
    found = stack[0][1]
    if len(found) != 1:
        raise TextError("the text is empty" if not found else f"at character {found[1].at + 1}: the expression has ended here")
    return found[0]


def _tokens(text: str) -> Iterator[tuple[int, str, str]]:
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise TextError(f"at character {at + 1}: {text[at : at + 20]!r} is no symbol")
        kind = match.lastgroup
        if kind == "string":
            yield at, kind, match[kind][1:-1].replace('""', '"')
        elif kind == "bars":
            yield at, "quoted", match[kind]
        elif kind is not None:
            yield at, kind, match[kind]
        at = match.end()


def _error(token: Token, message: str) -> TextError:
    return TextError(f"at character {token.at + 1}: {message}")
