"""Symbolic states: the effect of a sequence of micro-steps as expressions over the state before the first.

The semantics is written as if it executed: read, write, read what was written.  Every value is an expression over the state before
the action, so that the accumulated writes are the action's simultaneous updates.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from txweave.system import expr as x
from txweave.system.expr import Domain, Expr, Local, Value
from txweave.system.sorted import Function, Update


class Functions:
    """The state functions of the system under construction, each with one tuple of formal arguments."""

    def __init__(self) -> None:
        self.functions: dict[str, Function] = {}
        self.formals: dict[str, tuple[Local, ...]] = {}

    def declare(
        self,
        name: str,
        params: Iterable[str],
        domain: Domain,
        initial: Value,
        about: tuple[str, ...],
        overrides: Iterable[tuple[tuple[int, ...], Value]] = (),
    ) -> str:
        """Declare a function (again with the same name: the first declaration stands) and return its name."""
        if name not in self.functions:
            sorts = tuple(params)
            self.functions[name] = Function(name, sorts, domain, initial, tuple(overrides), about)
            self.formals[name] = tuple(x.local(sort[:1], sort) for sort in sorts)
        return name

    def nullable(self, name: str) -> bool:
        """Whether the function may be NULL."""
        return self.functions[name].domain.nullable


class State:
    """The state after some writes; ``changed`` maps a function to its next value over the function's formals.

    ``rounds`` counts, for a loop over rows, those that this step has taken out of its relation.
    """

    __slots__ = ("changed", "functions", "rounds")

    def __init__(self, functions: Functions, changed: dict[str, Expr] | None = None, rounds: dict[str, int] | None = None) -> None:
        self.functions = functions
        self.changed = {} if changed is None else changed
        self.rounds = {} if rounds is None else rounds

    def copy(self) -> State:
        """An independent copy."""
        return State(self.functions, dict(self.changed), dict(self.rounds))

    def read(self, function: str, *args: Expr) -> Expr:
        """The current value at ``args``."""
        body = self.changed.get(function)
        if body is None:
            return x.apply(function, *args)
        return x.substitute(body, dict(zip(self.functions.formals[function], args, strict=True)))

    def write(self, function: str, args: tuple[Expr, ...], value: Expr, where: Expr = x.TRUE) -> None:
        """``function(args) := value`` if ``where`` holds (both over the state before the action)."""
        formals = self.functions.formals[function]
        here = x.conj(where, *(x.equal(formal, arg) for formal, arg in zip(formals, args, strict=True)))
        self.changed[function] = x.ite(here, value, self._body(function))

    def write_all(self, function: str, make: Callable[..., tuple[Expr, Expr]]) -> None:
        """For all arguments: ``make(*formals)`` gives a condition and the value written where it holds."""
        formals = self.functions.formals[function]
        condition, value = make(*formals)
        self.changed[function] = x.ite(condition, value, self._body(function))

    def _body(self, function: str) -> Expr:
        body = self.changed.get(function)
        return x.apply(function, *self.functions.formals[function]) if body is None else body

    def updates(self) -> tuple[Update, ...]:
        """The updates, in order of the functions' names."""
        found = []
        for name in sorted(self.changed):
            formals, body = self.functions.formals[name], self.changed[name]
            if body is not x.apply(name, *formals):
                found.append(Update(name, formals, body))
        return tuple(found)
