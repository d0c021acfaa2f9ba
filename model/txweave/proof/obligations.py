"""What must be shown for a certificate: queries in SMT-LIB, each of which must have no model.

They are made of the sorted system; the certificate gives nothing but its clauses.  With ``I`` for the clauses together, over states
within bounds:

* *initiation*: the initial state satisfies every clause;
* *consecution*, for each action and its parameters: ``I``, the guard and a clause that fails after the step;
* *bounds*, for each of them as well: ``I``, the guard and a step that crosses a bound whose crossing is not accepted;
* *safety*: ``I`` and the property is violated.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

from txweave.certificate import Certificate
from txweave.proof.smt import (
    Key,
    Numbers,
    Term,
    Text,
    Translation,
    conjunction,
    disjunction,
    equality,
    negation,
    show,
)
from txweave.proof.text import symbol
from txweave.system import expr as x
from txweave.system.expr import Expr, Local, Value
from txweave.system.reference import elements, environments, same, values
from txweave.system.sorted import Action, Property, System, Update, bound_name


@dataclass(frozen=True)
class Query:
    """A conjunction that must have no model.  ``label`` says what a model would mean; ``parts`` are the clauses that may fail.

    ``definitions`` are new names, which later queries may use as well.
    """

    kind: str
    label: str
    definitions: tuple[str, ...]
    assertions: tuple[str, ...]
    parts: tuple[tuple[str, str], ...] = ()

    def lines(self) -> Iterator[str]:
        """The query as a script, after the prelude and the queries before it."""
        yield from self.definitions
        yield "(push 1)"
        yield from (f"(assert {text})" for text in self.assertions)
        if self.parts:
            yield f"(assert {disjunction([part for _, part in self.parts])})"
        yield "(check-sat)"
        yield "(pop 1)"

    def split(self) -> Iterator[Query]:
        """One query for each clause that may fail."""
        for number, (name, part) in enumerate(self.parts):
            definitions = () if number else self.definitions
            yield Query(self.kind, f"{name} {self.label}", definitions, self.assertions, ((name, part),))


class Obligations:
    """The queries of one certificate on one system."""

    def __init__(self, system: System, certificate: Certificate) -> None:
        self.system, self.certificate = system, certificate
        self.item: Property = next(p for p in system.properties if p.name == certificate.name)
        self.numbers, self.text = Numbers.count(system), Text()
        self._written = 0
        self.functions = {function.name: function for function in system.functions}
        changed = {update.function for a in system.actions for update in a.updates if not self._keeps(update, update.body)}
        self.initial: dict[Key, int] = {}
        self.now: dict[Key, Term] = {}
        self.domains: dict[str, frozenset[int]] = {}
        self.symbols: dict[Key, str] = {}
        for function in system.functions:
            overrides = dict(function.overrides)
            self.domains[function.name] = frozenset(self.numbers.of(v) for v in values(system, function.domain))
            for args in product(*(elements(system, sort) for sort in function.params)):
                initial = self.numbers.of(overrides.get(tuple(e.number for e in args), function.initial))
                self.initial[function.name, args] = self.now[function.name, args] = initial
                if function.name in changed:
                    name = f"{function.name}({','.join(map(str, args))})" if args else function.name
                    self.symbols[function.name, args] = self.now[function.name, args] = symbol(name)
        self.present = Translation(system, self.numbers, self.text, self.now)
        self.clauses = [(f"clause {n}", clause) for n, clause in enumerate(certificate.clauses, 1)]

    def prelude(self) -> list[str]:
        """Declarations, what values the cells may have, and the clauses."""
        lines = ["(set-logic QF_LIA)", "(declare-const open Int)"]
        for (function, _), name in self.symbols.items():
            lines.append(f"(declare-const {name} Int)")
            lines.append(f"(assert {self._among(name, self.domains[function])})")
        held = [self.present.formula(clause) for _, clause in self.clauses]
        return [*lines, *self._new(), *(f"(assert {formula})" for formula in held)]

    def queries(self) -> Iterator[Query]:
        """All queries that the prelude is for; initiation has a script of its own."""
        for action in self.system.actions:
            for env in environments(self.system, action.params, {}):
                yield from self._step(action, env)
        yield Query("safety", f"{self.item.name} does not follow", *self._with([self._violated()]))

    def initiation(self) -> tuple[list[str], Query]:
        """Declarations of the initial state, and that a clause fails there."""
        lines = ["(set-logic QF_LIA)", "(declare-const open Int)"]
        for key, name in self.symbols.items():
            lines += [f"(declare-const {name} Int)", f"(assert (= {name} {show(self.initial[key])}))"]
        text = Text()
        start = Translation(self.system, self.numbers, text, self.now)
        parts = tuple((name, negation(start.formula(clause))) for name, clause in self.clauses)
        return lines, Query("initiation", "is not true initially", tuple(text.lines), (), parts)

    def _keeps(self, update: Update, body: Expr) -> bool:
        """Whether an update writes nothing but what is there already, or the value with which every cell of the function begins."""
        if isinstance(body, x.Ite):
            return self._keeps(update, body.then) and self._keeps(update, body.otherwise)
        function = self.functions[update.function]
        begins = isinstance(body, x.Const) and not function.overrides and same(body.value, function.initial)
        return begins or body == x.apply(update.function, *update.formals)

    # ------------------------------------------------------------------------------------------------------ one action

    def _step(self, action: Action, env: dict[Local, Value]) -> Iterator[Query]:
        guard = self.present.formula(action.guard, env)
        if guard == "false":
            return
        name = f"{action.name}({', '.join('NULL' if v is None else str(v) for v in env.values())})"
        if action.out is not None:
            if action.out not in self.certificate.truncated:
                yield Query("bounds", f"{name} crosses the bound {action.out}", *self._with([guard]))
            return
        new: dict[Key, Term] = {}
        for update in action.updates:
            for args in product(*(elements(self.system, sort) for sort in self.functions[update.function].params)):
                value = self.present.term(update.body, {**env, **dict(zip(update.formals, args, strict=True))})
                if value != self.now[update.function, args] and (update.function, args) in self.symbols:
                    new[update.function, args] = value
        fits = {key: self._fits(key[0], value) for key, value in new.items()}
        beyond = [negation(fits[key]) for key in new if not self._accepted(key[0])]
        if disjunction(beyond) != "false":
            yield Query("bounds", f"{name} crosses a bound", *self._with([guard, disjunction(beyond)]))
        after = Translation(self.system, self.numbers, self.text, {**self.now, **new})
        parts = []
        for label, clause in self.clauses:
            later = after.formula(clause)
            if later != self.present.formula(clause):
                parts.append((label, negation(later)))
        if disjunction([part for _, part in parts]) != "false":
            assertions = [guard, *fits.values()]
            definitions, texts = self._with(assertions)
            yield Query("consecution", f"is not preserved by {name}", definitions, texts, tuple(parts))

    def _accepted(self, function: str) -> bool:
        return bound_name(self.functions[function]) in self.certificate.truncated

    def _fits(self, function: str, value: Term) -> str:
        """That a new value lies in the domain of its function."""
        wanted = self.domains[function]
        same = next((key for key, name in self.symbols.items() if name == value), None)
        if same is not None and self.domains[same[0]] <= wanted:
            return "true"
        return self.text.name("Bool", self._among(value, wanted))

    @staticmethod
    def _among(value: Term, numbers: frozenset[int]) -> str:
        return disjunction([equality(value, number) for number in sorted(numbers)])

    # -------------------------------------------------------------------------------------------------------- property

    def _violated(self) -> str:
        item = self.item
        if item.kind == "never":
            assert item.rows is not None
            return disjunction(
                self.present.formula(witness.condition, env)
                for witness in item.rows.witnesses
                for env in environments(self.system, witness.locals, {})
            )
        finished = conjunction(
            self.present.formula(condition, {process: element})
            for process, condition in self.system.finished
            for element in elements(self.system, process.domain.sorts[0])
        )
        return conjunction([negation(finished), negation(self._moves_within(self.certificate.ticks, self.present))])

    def _moves_within(self, ticks: int, state: Translation) -> str:
        """Somebody can move, at once or after some ticks."""
        moves = [
            state.formula(action.guard, env)
            for action in self.system.actions
            if action.kind in ("step", "database")
            for env in environments(self.system, action.params, {})
        ]
        if ticks:
            for tick in self.system.actions:
                if tick.kind == "tick" and tick.out is None:
                    for env in environments(self.system, tick.params, {}):
                        moves.append(self._after_tick(ticks, state, tick, env))
        return self.text.name("Bool", disjunction(moves))

    def _after_tick(self, ticks: int, state: Translation, tick: Action, env: dict[Local, Value]) -> str:
        cells = dict(state.cells)
        inside = [state.formula(tick.guard, env)]
        for update in tick.updates:
            for args in product(*(elements(self.system, sort) for sort in self.functions[update.function].params)):
                if (update.function, args) not in self.symbols:
                    continue
                value = state.term(update.body, {**env, **dict(zip(update.formals, args, strict=True))})
                cells[update.function, args] = value
                inside.append(self._fits(update.function, value))
        later = Translation(self.system, self.numbers, self.text, cells)
        return conjunction([*inside, self._moves_within(ticks - 1, later)])

    # --------------------------------------------------------------------------------------------------------- helpers

    def _with(self, assertions: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
        return self._new(), tuple(text for text in assertions if text != "true")

    def _new(self) -> tuple[str, ...]:
        """Names that were given since the last query."""
        begin, self._written = self._written, len(self.text.lines)
        return tuple(self.text.lines[begin:])
