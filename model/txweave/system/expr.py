"""Expressions of the transition system: first-order terms over finite-domain functions, interned.

A node is made by one of the functions at the end of this module, which fold constants; equal nodes are one object, so that
identity is equality and every traversal can be memoised by ``id``.  Booleans are two-valued: SQL's third truth value
has been lowered
away, NULL is the value ``None`` and equal to itself here.

Two dialects share the classes.  The *sorted* dialect has :class:`Local`, :class:`Apply`, :class:`Quantified`, :class:`Count`,
:class:`Fold`, :class:`Pick` and :class:`Least`.  The *ground* dialect, after ``ground(bounds)``, has none of these but
:class:`Cell`; engines need to handle only ``Const, Cell, Not, And, Or, Equal, Less, Arith, Ite``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar, NamedTuple, TypeAlias, TypeVar, dataclass_transform
from weakref import WeakKeyDictionary, WeakValueDictionary


class Elem(NamedTuple):
    """An element of a sort: row slot or process ``number`` (from 0)."""

    sort: str
    number: int

    def __str__(self) -> str:
        return f"{self.sort}#{self.number + 1}"


Value: TypeAlias = bool | int | str | Elem | None
"""A value of a cell.  ``None`` is NULL (or "nobody").  Booleans are never integers: ``True`` and ``1`` do not meet in a domain."""


@dataclass(frozen=True, slots=True)
class Domain:
    """The values a function may take.

    ``values``: listed in order; ``sorts``: elements of these sorts as well; ``upto``: the integers 0 to the product of the
    sizes of these sorts; ``ages``: ``(low, gap)``, the integers from ``low`` to ``gap`` times the number of cells of age domains.
    ``nullable`` adds NULL, first.
    """

    values: tuple[Value, ...] = ()
    sorts: tuple[str, ...] = ()
    upto: tuple[str, ...] | None = None
    ages: tuple[int, int] | None = None
    nullable: bool = False


BOOL = Domain(values=(False, True))


class Expr:
    """A node; see the module's docstring."""

    __slots__ = ("__weakref__",)
    boolean: ClassVar[bool] = False

    def __repr__(self) -> str:
        return show(self)


_TABLE: WeakValueDictionary[tuple[Any, ...], Expr] = WeakValueDictionary()
_E = TypeVar("_E", bound=Expr)


@dataclass_transform(frozen_default=True, eq_default=False)
def _node(cls: type[_E]) -> type[_E]:
    return dataclass(frozen=True, eq=False, repr=False, slots=True)(cls)


@_node
class Const(Expr):
    """A value."""

    value: Value


@_node
class Local(Expr):
    """A bound variable, an action's parameter, or a formal argument of an update; ranges over a sort or a domain's values."""

    name: str
    domain: Domain


@_node
class Apply(Expr):
    """The value of a state function at elements."""

    function: str
    args: tuple[Expr, ...]


@_node
class Cell(Expr):
    """Ground only: the value of state variable number ``index``."""

    index: int


@_node
class Not(Expr):
    """Negation."""

    operand: Expr
    boolean: ClassVar[bool] = True


@_node
class And(Expr):
    """Conjunction."""

    operands: tuple[Expr, ...]
    boolean: ClassVar[bool] = True


@_node
class Or(Expr):
    """Disjunction."""

    operands: tuple[Expr, ...]
    boolean: ClassVar[bool] = True


@_node
class Equal(Expr):
    """Equality of values of any one type; NULL equals NULL."""

    left: Expr
    right: Expr
    boolean: ClassVar[bool] = True


@_node
class Less(Expr):
    """``<`` on integers, on strings (by code point) and (ground only) on elements of one sort.  Never applied to NULL
    unless guarded: engines may give it any value where an operand is NULL, the lowering never lets that matter."""

    left: Expr
    right: Expr
    boolean: ClassVar[bool] = True


@_node
class Arith(Expr):
    """``+``, ``-`` or ``*`` of integers.  Where an operand is NULL the value is NULL."""

    operator: str
    left: Expr
    right: Expr


@_node
class Ite(Expr):
    """``then`` if ``condition`` else ``otherwise``."""

    condition: Expr
    then: Expr
    otherwise: Expr


@_node
class Quantified(Expr):
    """``exists`` (``every`` False) or ``for all`` (True)."""

    every: bool
    locals: tuple[Local, ...]
    body: Expr
    boolean: ClassVar[bool] = True


@_node
class Count(Expr):
    """How many assignments of ``locals`` satisfy ``body``."""

    locals: tuple[Local, ...]
    body: Expr


@_node
class Fold(Expr):
    """``sum``, ``min`` or ``max`` of ``term`` over the assignments that satisfy ``body`` and make ``term`` not NULL; NULL if
    there are none.  Ground only for proofs."""

    kind: str
    locals: tuple[Local, ...]
    body: Expr
    term: Expr


@_node
class Pick(Expr):
    """``term`` at the first assignment (in order of the elements) that satisfies ``body``, else ``default``."""

    locals: tuple[Local, ...]
    body: Expr
    term: Expr
    default: Expr


@_node
class Least(Expr):
    """``body`` with ``value`` for ``local``, and no smaller element would do: the canonical choice among interchangeable elements.

    In the sorted reading (proofs for any number) it is just ``body`` at ``value``: which of the free rows is taken does not matter.
    """

    local: Local
    value: Expr
    body: Expr
    boolean: ClassVar[bool] = True


def _make(cls: type[_E], *parts: Any) -> _E:
    # Booleans and integers are equal in Python (True == 1): keep them apart by type.
    key = (cls, *((type(p), p) if isinstance(p, (bool, int, str, Elem)) or p is None else p for p in parts))
    found = _TABLE.get(key)
    if found is None:
        found = cls(*parts)
        _TABLE[key] = found
    return found  # type: ignore[return-value]


# ---------------------------------------------------------------------------------------------------- smart constructors


def const(value: Value) -> Const:
    """A constant."""
    return _make(Const, value)


TRUE = const(True)
FALSE = const(False)
NULL = const(None)

_counter = 0


def local(hint: str, domain: Domain | str) -> Local:
    """A new local variable, different from every other; ``domain`` may be the name of a sort."""
    global _counter
    _counter += 1
    if isinstance(domain, str):
        domain = Domain(sorts=(domain,))
    return _make(Local, f"{hint}'{_counter}", domain)


def apply(function: str, *args: Expr) -> Apply:
    """The value of ``function`` at ``args``."""
    return _make(Apply, function, args)


def cell(index: int) -> Cell:
    """State variable ``index`` of the ground system."""
    return _make(Cell, index)


def neg(operand: Expr) -> Expr:
    """Not."""
    if operand is TRUE:
        return FALSE
    if operand is FALSE:
        return TRUE
    if isinstance(operand, Not):
        return operand.operand
    return _make(Not, operand)


def _flatten(cls: type[And] | type[Or], operands: Iterable[Expr], unit: Expr, zero: Expr) -> Expr:
    seen: dict[Expr, None] = {}
    for operand in operands:
        parts = operand.operands if isinstance(operand, cls) else (operand,)
        for part in parts:
            if part is zero:
                return zero
            if part is not unit:
                seen[part] = None
    for part in seen:
        if isinstance(part, Not) and part.operand in seen:
            return zero
    if not seen:
        return unit
    if len(seen) == 1:
        return next(iter(seen))
    return _make(cls, tuple(seen))


def conj(*operands: Expr) -> Expr:
    """And."""
    return _flatten(And, operands, TRUE, FALSE)


def disj(*operands: Expr) -> Expr:
    """Or."""
    return _flatten(Or, operands, FALSE, TRUE)


def implies(premise: Expr, conclusion: Expr) -> Expr:
    """Implication."""
    return disj(neg(premise), conclusion)


def equal(left: Expr, right: Expr) -> Expr:
    """Equality."""
    if left is right:
        return TRUE
    if isinstance(left, Const) and isinstance(right, Const):
        return FALSE  # interned: different objects are different values
    if isinstance(left, Const):
        left, right = right, left
    if isinstance(right, Const):
        if right is TRUE and left.boolean:
            return left
        if right is FALSE and left.boolean:
            return neg(left)
        if isinstance(left, Ite) and (isinstance(left.then, (Const, Ite)) or isinstance(left.otherwise, (Const, Ite))):
            return ite(left.condition, equal(left.then, right), equal(left.otherwise, right))
    return _make(Equal, left, right)


def less(left: Expr, right: Expr) -> Expr:
    """Strict order."""
    if left is right:
        return FALSE
    if isinstance(left, Const) and isinstance(right, Const):
        if left.value is None or right.value is None:
            return FALSE
        return const(left.value < right.value)  # type: ignore[operator]
    return _make(Less, left, right)


def arith(operator: str, left: Expr, right: Expr) -> Expr:
    """``+``, ``-``, ``*``."""
    if isinstance(left, Const) and isinstance(right, Const):
        a, b = left.value, right.value
        if a is None or b is None:
            return NULL
        assert isinstance(a, int)
        assert isinstance(b, int)
        return const(a + b if operator == "+" else a - b if operator == "-" else a * b)
    if operator in "+-" and isinstance(right, Const) and right.value == 0:
        return left
    if operator == "+" and isinstance(left, Const) and left.value == 0:
        return right
    return _make(Arith, operator, left, right)


def ite(condition: Expr, then: Expr, otherwise: Expr) -> Expr:
    """If-then-else."""
    if condition is TRUE:
        return then
    if condition is FALSE:
        return otherwise
    if then is otherwise:
        return then
    if isinstance(condition, Not):
        return ite(condition.operand, otherwise, then)
    if then is TRUE and otherwise is FALSE:
        return condition
    if then is FALSE and otherwise is TRUE:
        return neg(condition)
    if then.boolean or otherwise.boolean:
        if then is TRUE:
            return disj(condition, otherwise)
        if then is FALSE:
            return conj(neg(condition), otherwise)
        if otherwise is TRUE:
            return disj(neg(condition), then)
        if otherwise is FALSE:
            return conj(condition, then)
    if isinstance(then, Ite) and then.condition is condition:
        then = then.then
    if isinstance(otherwise, Ite) and otherwise.condition is condition:
        otherwise = otherwise.otherwise
    return _make(Ite, condition, then, otherwise)


def truth(term: Expr) -> Expr:
    """A term of Boolean domain used as a formula: equal to TRUE (NULL is not)."""
    return equal(term, TRUE)


def quantified(every: bool, locals_: Iterable[Local], body: Expr) -> Expr:
    """A quantifier, over the locals that occur in the body.

    Sorts of rows may be empty in the sorted reading, but never in a grounded one; a quantifier over a local that does not occur
    is kept when dropping it would matter, that is never for ``exists … false`` and ``all … true``.
    """
    bound = tuple(locals_)
    if not bound or body is (TRUE if every else FALSE):
        return body
    return _make(Quantified, every, bound, body)


def exists(locals_: Iterable[Local], body: Expr) -> Expr:
    """There is."""
    return quantified(False, locals_, body)


def forall(locals_: Iterable[Local], body: Expr) -> Expr:
    """For all."""
    return quantified(True, locals_, body)


def count(locals_: Iterable[Local], body: Expr) -> Expr:
    """Cardinality."""
    bound = tuple(locals_)
    if body is FALSE:
        return const(0)
    if not bound:
        return ite(body, const(1), const(0))
    return _make(Count, bound, body)


def fold(kind: str, locals_: Iterable[Local], body: Expr, term: Expr) -> Expr:
    """Sum, minimum, maximum."""
    if body is FALSE:
        return NULL
    return _make(Fold, kind, tuple(locals_), body, term)


def pick(locals_: Iterable[Local], body: Expr, term: Expr, default: Expr) -> Expr:
    """The term at the first assignment that satisfies the body."""
    bound = tuple(locals_)
    if body is FALSE:
        return default
    if not bound:
        return ite(body, term, default)
    return _make(Pick, bound, body, term, default)


def least(bound: Local, value: Expr, body: Expr) -> Expr:
    """The canonical choice among interchangeable elements."""
    if body is FALSE:
        return FALSE
    return _make(Least, bound, value, body)


# --------------------------------------------------------------------------------------------------------- traversal


def children(node: Expr) -> tuple[Expr, ...]:
    """Direct subexpressions, without locals that are only bound."""
    match node:
        case Apply():
            return node.args
        case Not():
            return (node.operand,)
        case And() | Or():
            return node.operands
        case Equal() | Less() | Arith():
            return (node.left, node.right)
        case Ite():
            return (node.condition, node.then, node.otherwise)
        case Quantified() | Count():
            return (node.body,)
        case Fold():
            return (node.body, node.term)
        case Pick():
            return (node.body, node.term, node.default)
        case Least():
            return (node.value, node.body)
        case _:
            return ()


def rebuild(node: Expr, parts: tuple[Expr, ...]) -> Expr:
    """``node`` with other children, simplified again."""
    match node:
        case Apply():
            return apply(node.function, *parts)
        case Not():
            return neg(parts[0])
        case And():
            return conj(*parts)
        case Or():
            return disj(*parts)
        case Equal():
            return equal(parts[0], parts[1])
        case Less():
            return less(parts[0], parts[1])
        case Arith():
            return arith(node.operator, parts[0], parts[1])
        case Ite():
            return ite(parts[0], parts[1], parts[2])
        case Quantified():
            return quantified(node.every, node.locals, parts[0])
        case Count():
            return count(node.locals, parts[0])
        case Fold():
            return fold(node.kind, node.locals, parts[0], parts[1])
        case Pick():
            return pick(node.locals, parts[0], parts[1], parts[2])
        case Least():
            return least(node.local, parts[0], parts[1])
        case _:
            return node


def transform(node: Expr, change: Callable[[Expr], Expr | None], memo: dict[Expr, Expr] | None = None) -> Expr:
    """Replace bottom-up: ``change`` is asked first for every node; None means "rebuild from the transformed children".

    Locals are unique by construction, so no capture can happen.
    """
    memo = {} if memo is None else memo

    def go(item: Expr) -> Expr:
        done = memo.get(item)
        if done is None:
            done = change(item)
            if done is None:
                old = children(item)
                new = tuple(go(child) for child in old)
                done = item if all(a is b for a, b in zip(old, new, strict=True)) else rebuild(item, new)
            memo[item] = done
        return done

    return go(node)


def substitute(node: Expr, mapping: Mapping[Local, Expr]) -> Expr:
    """``node`` with expressions for free locals."""
    if not mapping:
        return node
    return transform(node, lambda item: mapping.get(item) if isinstance(item, Local) else None)


_FREE: WeakKeyDictionary[Expr, frozenset[Local]] = WeakKeyDictionary()


def free_locals(node: Expr) -> frozenset[Local]:
    """Locals that occur free."""
    found = _FREE.get(node)
    if found is None:
        if isinstance(node, Local):
            found = frozenset([node])
        else:
            found = frozenset().union(*(free_locals(child) for child in children(node)))
            if isinstance(node, Quantified | Count | Fold):
                found -= frozenset(node.locals)
            elif isinstance(node, Pick):
                found = (free_locals(node.body) | free_locals(node.term)) - frozenset(node.locals) | free_locals(node.default)
            elif isinstance(node, Least):
                found = (free_locals(node.body) - {node.local}) | free_locals(node.value)
        _FREE[node] = found
    return found


def functions_in(nodes: Iterable[Expr]) -> set[str]:
    """Names of the state functions that occur."""
    seen: set[Expr] = set()
    found: set[str] = set()
    stack = list(nodes)
    while stack:
        node = stack.pop()
        if node in seen:
            continue
        seen.add(node)
        if isinstance(node, Apply):
            found.add(node.function)
        stack.extend(children(node))
    return found


def show(node: Expr) -> str:
    """A readable form, for debugging and for tests."""
    match node:
        case Const(value):
            return "NULL" if value is None else repr(value) if isinstance(value, str) else str(value)
        case Local(name, _):
            return name
        case Cell(index):
            return f"${index}"
        case Apply(function, args):
            return f"{function}({', '.join(map(show, args))})"
        case Not(operand):
            return f"¬{show(operand)}"
        case And(operands):
            return "(" + " ∧ ".join(map(show, operands)) + ")"
        case Or(operands):
            return "(" + " ∨ ".join(map(show, operands)) + ")"
        case Equal(left, right):
            return f"{show(left)} = {show(right)}"
        case Less(left, right):
            return f"{show(left)} < {show(right)}"
        case Arith(operator, left, right):
            return f"({show(left)} {operator} {show(right)})"
        case Ite(condition, then, otherwise):
            return f"({show(condition)} ? {show(then)} : {show(otherwise)})"
        case Quantified(every, bound, body):
            return f"{'∀' if every else '∃'}{','.join(b.name for b in bound)}.{show(body)}"
        case _:
            parts = ", ".join(show(getattr(node, f.name)) for f in fields(node) if isinstance(getattr(node, f.name), Expr))  # type: ignore[arg-type]
            return f"{type(node).__name__}({parts})"
