"""What must be shown for a certificate: queries in SMT-LIB, each of which must have no model.

They are made of the sorted system; the certificate gives nothing but its clauses.  With ``I`` for the clauses together, over states
within bounds:

* *initiation*: the initial state satisfies every clause;
* *consecution*, for each action and its parameters: ``I``, the guard and a clause that fails after the step;
* *bounds*, for each of them as well: ``I``, the guard and a step that crosses a bound whose crossing is not accepted;
* *safety*: ``I`` and the property is violated;
* *clock*, where timestamps are kept as saturated ages: that a clock which runs on for ever is simulated.  Beside the ages stand
  the real ones, integers as large as they like, which a tick makes one older, all of them.  For each pair of them (the present
  is one as well) the difference is the same in both, or in both at least so many ticks, with the same sign; how many depends on
  the functions.  Initially they are equal; every step by the real clock must be a step by the ages that leads to related
  states, and what is a violation by the real clock must be one by the ages.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import TypeAlias

from txweave.certificate import Certificate
from txweave.proof.smt import (
    NULL,
    Key,
    Numbers,
    Term,
    Text,
    Translation,
    added,
    alternative,
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

Pair: TypeAlias = tuple[str, str]
"""Two functions whose values are ages; :data:`PRESENT` may be the second."""

PRESENT = "now"
"""The present, an age of 0."""


@dataclass(frozen=True)
class Query:
    """A conjunction that must have no model.  ``label`` says what a model would mean; ``parts`` are the clauses that may fail.

    ``definitions`` are new names, which later queries may use as well.
    """

    kind: str
    label: str
    definitions: tuple[str, ...]
    assertions: tuple[str, ...]
    parts: tuple[tuple[str | Pair, str], ...] = ()

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
        """One query for each part that may fail, once the query itself has been asked."""
        for name, part in self.parts:
            yield Query(self.kind, f"{name} {self.label}", (), self.assertions, ((name, part),))


class Obligations:
    """The queries of one certificate on one system."""

    def __init__(self, system: System, certificate: Certificate) -> None:
        self.system, self.certificate = system, certificate
        self.item: Property = next(p for p in system.properties if p.name == certificate.name)
        self.numbers, self.text = Numbers.count(system, *certificate.clauses), Text()
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
        self.ages = [key for key in self.symbols if self.functions[key[0]].domain.ages is not None]
        clock = {key: f"(ite (= {self.now[key]} {NULL}) {NULL} (* 2 {self._time(key)}))" for key in self.ages}
        self.real = Translation(system, self.numbers, self.text, {**self.now, **clock})
        self.clauses = [(f"clause {n}", clause) for n, clause in enumerate(certificate.clauses, 1)]

    def prelude(self) -> list[str]:
        """Declarations, what values the cells may have, and the clauses."""
        lines = ["(set-logic QF_LIA)", "(declare-const open Int)"]
        for (function, _), name in self.symbols.items():
            lines.append(f"(declare-const {name} Int)")
            lines.append(f"(assert {self._among(name, self.domains[function])})")
        lines += [f"(declare-const {self._time(key)} Int)" for key in self.ages]
        held = [self.present.formula(clause) for _, clause in self.clauses]
        return [*lines, *self._new(), *(f"(assert {formula})" for formula in held)]

    def queries(self) -> Iterator[Query]:
        """All queries that the prelude is for; initiation has a script of its own."""
        for action in self.system.actions:
            for env in environments(self.system, action.params, {}):
                yield from self._step(action, env)
        yield Query("safety", f"{self.item.name} does not follow", *self._with([self._violated(self.present)]))

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
        new = self._new_values(action, env, self.present)
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

    def _new_values(self, action: Action, env: dict[Local, Value], state: Translation, *, real: bool = False) -> dict[Key, Term]:
        """The cells that an action changes, with their new values; ``real``: a tick makes every age one older."""
        new: dict[Key, Term] = {}
        for update in action.updates:
            for args in product(*(elements(self.system, sort) for sort in self.functions[update.function].params)):
                key = (update.function, args)
                if key not in self.symbols:
                    continue
                if real and action.kind == "tick" and key in self.ages:
                    before = state.cells[key]
                    value = alternative(equality(before, NULL), NULL, added([before, 2]))
                    value = value if isinstance(value, int) else self.text.name("Int", value)
                else:
                    value = state.term(update.body, {**env, **dict(zip(update.formals, args, strict=True))})
                if value != state.cells[key]:
                    new[key] = value
        return new

    # ----------------------------------------------------------------------------------------------------------- clock

    def _time(self, key: Key) -> str:
        """The symbol of a real age."""
        return symbol(f"time of {self.symbols[key].strip('|')}")

    def widest(self) -> dict[Pair, int]:
        """For each pair of functions the most that may be asked of differences: what a tick keeps apart."""
        names = [*sorted({function for function, _ in self.ages}), PRESENT]
        gaps = [domain.ages[1] for key in self.ages if (domain := self.functions[key[0]].domain).ages is not None]
        return {(one, other): max(gaps) for n, one in enumerate(names) for other in names[n:]} if gaps else {}

    def clock(self, exact: Mapping[Pair, int]) -> Iterator[Query]:
        """The queries for a relation of ages to the real clock: up to how many ticks differences are exact."""
        related = conjunction([formula for _, formula in self._related(self.now, self.real.cells, exact)])
        related = self.text.name("Bool", related)
        for action in self.system.actions:
            for env in environments(self.system, action.params, {}):
                yield from self._simulated(action, env, related, exact)
        here, there = self._violated(self.present), self._violated(self.real, real=True)
        label = f"{self.item.name} may be violated by a clock that is not saturated"
        yield Query("clock", label, *self._with([related, there, negation(here)]))

    def _related(self, kept: Mapping[Key, Term], real: Mapping[Key, Term], exact: Mapping[Pair, int]) -> Iterator[tuple[Pair, str]]:
        """That ages stand for real ones, by pairs of functions."""
        points = [(function, show(kept[function, args]), show(real[function, args])) for function, args in self.ages]
        for function, s, a in points:
            yield (function, function), f"(= {equality(s, NULL)} {equality(a, NULL)})"
        points.append((PRESENT, "0", "0"))
        for number, (one, s, a) in enumerate(points):
            for other, t, b in points[number + 1 :]:
                pair = (one, other) if (one, other) in exact else (other, one)
                if exact[pair]:
                    there = conjunction([negation(f"(= {age} {NULL})") for age in (s, t)])
                    least = 2 * exact[pair]
                    above = f"(and (>= (- {b} {a}) {least}) (>= (- {t} {s}) {least}))"
                    below = f"(and (>= (- {a} {b}) {least}) (>= (- {s} {t}) {least}))"
                    # What lies in the future comes nearer with every tick: there nothing is given away.
                    far = below if other == PRESENT else f"{above} {below}"
                    yield pair, f"(=> {there} (or (= (- {b} {a}) (- {t} {s})) {far}))"

    def _simulated(self, action: Action, env: dict[Local, Value], related: str, exact: Mapping[Pair, int]) -> Iterator[Query]:
        """A step by the real clock is one by the ages, to related states."""
        guard = self.real.formula(action.guard, env)
        if guard == "false":
            return
        fails: list[tuple[str | Pair, str]] = [("its guard", negation(self.present.formula(action.guard, env)))]
        if action.out is None:
            kept = {**self.now, **self._new_values(action, env, self.present)}
            real = {**self.real.cells, **self._new_values(action, env, self.real, real=True)}
            different = [negation(equality(kept[key], real[key])) for key in self.symbols if key not in self.ages]
            fails.append(("what it writes", disjunction(different)))
            if any(kept[key] != self.now[key] or real[key] != self.real.cells[key] for key in self.ages):
                after: dict[Pair, list[str]] = {}
                for pair, formula in self._related(kept, real, exact):
                    after.setdefault(pair, []).append(formula)
                fails += [(pair, negation(conjunction(formulas))) for pair, formulas in after.items()]
        parts = tuple((name, part) for name, part in fails if part != "false")
        if parts:
            name = f"{action.name}({', '.join('NULL' if v is None else str(v) for v in env.values())})"
            yield Query("clock", f"of {name} depends on more of the clock than the ages tell", *self._with([related, guard]), parts)

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

    def _violated(self, state: Translation, *, real: bool = False) -> str:
        item = self.item
        if item.kind == "never":
            assert item.rows is not None
            return disjunction(
                state.formula(witness.condition, env)
                for witness in item.rows.witnesses
                for env in environments(self.system, witness.locals, {})
            )
        finished = conjunction(
            state.formula(condition, {process: element})
            for process, condition in self.system.finished
            for element in elements(self.system, process.domain.sorts[0])
        )
        return conjunction([negation(finished), negation(self._moves_within(self.certificate.ticks, state, real=real))])

    def _moves_within(self, ticks: int, state: Translation, *, real: bool) -> str:
        """Somebody can move, at once or after some ticks."""
        moves = []
        for action in self.system.actions:
            for env in environments(self.system, action.params, {}):
                if action.kind in ("step", "database"):
                    moves.append(state.formula(action.guard, env))
                elif action.kind == "tick" and action.out is None and ticks:
                    new = self._new_values(action, env, state, real=real)
                    fits = [self._fits(key[0], value) for key, value in new.items() if not (real and key in self.ages)]
                    later = Translation(self.system, self.numbers, self.text, {**state.cells, **new})
                    moves.append(
                        conjunction([state.formula(action.guard, env), *fits, self._moves_within(ticks - 1, later, real=real)])
                    )
        return self.text.name("Bool", disjunction(moves))

    # --------------------------------------------------------------------------------------------------------- helpers

    def _with(self, assertions: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
        return self._new(), tuple(text for text in assertions if text != "true")

    def _new(self) -> tuple[str, ...]:
        """Names that were given since the last query."""
        begin, self._written = self._written, len(self.text.lines)
        return tuple(self.text.lines[begin:])
