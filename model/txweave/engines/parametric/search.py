"""The search for an inductive invariant that holds for any number of elements.

It starts from the goals and looks for a counterexample to induction: a state in which all clauses hold, and a step after which one
of them fails.  Of the clauses that are false in that state and true in every sample the shortest is added, and has to be inductive
itself.  Where there is none, the clause that led there is given up, or, if it is a goal, the search.  The samples only choose; what
is claimed is what :func:`confirm` finds with fresh solvers, one question for each clause and step.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import permutations, product
from typing import Any

import numpy as np

from txweave.engines.parametric.logic import Logic, Sort, after, at_start
from txweave.engines.parametric.samples import Candidate, Column, Samples, around, shortest, widen
from txweave.engines.parametric.template import CHOICE, Refused, Template
from txweave.engines.parametric.words import fact_of, sentence
from txweave.system import expr as x
from txweave.system.expr import Expr, Local
from txweave.system.sorted import Action

RLIMIT = 20_000_000
"""Budget of one question, in Z3's own units (some seconds)."""

MOST_CLAUSES = 400
"""Clauses that may be tried for one property."""

AROUND = 4
"""Clauses around a value that no sample shows of which it is tried whether one is inductive."""

TRIED = 6
"""Clauses of which it is tried whether one is inductive already."""

MOST_ELEMENTS = 3
"""Elements that a clause speaks of."""

MOST_COLUMNS = 5
"""Functions that a clause speaks of."""


class NotProved(Exception):  # noqa: N818 - an answer, not an error
    """No proof was found; ``reason`` says why, ``state`` is the counterexample to induction in words, if there is one."""

    def __init__(self, reason: str, state: tuple[str, ...] = ()) -> None:
        super().__init__(reason)
        self.reason, self.state = reason, state


@dataclass(frozen=True)
class Fact:
    """A conjunct of the invariant: ``formula`` holds for all ``names``.

    ``kind``: ``goal`` (the property), ``range`` (a function keeps to its domain), ``clause`` (found on the way).
    ``inductive`` False: it has to follow from the others in every state (a step outside of what is modelled has no chance).
    """

    kind: str
    names: tuple[Local, ...]
    formula: Expr
    candidate: Candidate | None = None
    title: str = ""
    inductive: bool = True


@dataclass
class Crisis:
    """A counterexample to induction: codes of columns for tuples of elements of a model."""

    logic: Logic
    model: Any
    functions: frozenset[str]
    action: Action | None
    fact: Fact
    universe: dict[str, list[Any]]
    wrong: Any
    _cache: dict[Any, bool] = field(default_factory=dict)

    def holds(self, function: str, value: Any, args: Sequence[Any]) -> bool:
        """Whether a function has a value, or is an element, in the model."""
        key = (function, type(value), value, tuple(a.get_id() for a in args))
        found = self._cache.get(key)
        if found is None:
            relation = self.logic.relation(function, value)
            found = self._cache[key] = bool(self.logic.z3.is_true(self.model.eval(relation(*args), model_completion=True)))
        return found

    def code(self, column: Column, elements: Sequence[Any]) -> int:
        """The code of a column for a tuple of elements."""
        args = [elements[a] for a in column.args]
        for code, value in enumerate(column.values):
            if self.holds(column.function, value, args):
                return code
        for number, position in enumerate(column.elements):
            sort = elements[position].sort().name()
            if self.holds(column.function, Sort(sort), [*args, elements[position]]):
                return len(column.values) + number
        return column.other

    def tuples(self, view: Sequence[str], elements: dict[str, list[Any]] | None = None) -> Iterator[tuple[Any, ...]]:
        """The tuples of different elements of a view."""
        source = self.universe if elements is None else elements
        counts = {s: view.count(s) for s in view}
        for choice in product(*(permutations(source[s], n) for s, n in counts.items())):
            pools = {s: iter(part) for s, part in zip(counts, choice, strict=True)}
            yield tuple(next(pools[s]) for s in view)

    def shows(self, candidate: Candidate) -> bool:
        """Whether a clause is false in the model."""
        if not all(column.function in self.functions for column, _ in candidate.cube):
            return False
        return any(
            all(self.code(column, elements) in codes for column, codes in candidate.cube)
            for elements in self.tuples(candidate.view)
        )

    def cells(self) -> dict[tuple[str, tuple[Any, ...]], Any]:
        """What the model says of each function at each tuple of elements, as a literal."""
        found = {}
        logic = self.logic
        for name in sorted(self.functions):
            function = logic.template.functions[name]
            for args in product(*(self.universe[s] for s in function.params)):
                true: list[Any] = []
                false: list[Any] = []
                for value in logic.values(name):
                    (true if self.holds(name, value, args) else false).append(logic.relation(name, value)(*args))
                for sort in function.domain.sorts:
                    for element in self.universe[sort]:
                        there = self.holds(name, Sort(sort), [*args, element])
                        (true if there else false).append(logic.relation(name, Sort(sort))(*args, element))
                found[name, args] = logic.conj(true or [logic.neg(f) for f in false])
        return found

    def everything(self) -> set[tuple[str, tuple[int, ...]]]:
        """All cells of the functions that were asked about."""
        return {(name, tuple(a.get_id() for a in args)) for name, args in self.cells()}

    def relevant(self, result: Any) -> set[tuple[str, tuple[int, ...]]]:
        """Cells (function, numbers of the elements) whose values are enough for the step to be possible and to go wrong.

        ``result``: the formula that says so.  All states that agree in these cells are as bad, so that some part of what they say
        must be excluded, or nothing can be.
        """
        logic, z3 = self.logic, self.logic.z3
        solver = z3.Solver(ctx=logic.context)
        solver.set("rlimit", RLIMIT)
        for name, elements in self.universe.items():
            if elements:
                item = z3.Const("any", logic.sorts[name])
                solver.add(z3.ForAll([item], z3.Or([item == e for e in elements])))
                if len(elements) > 1:
                    solver.add(z3.Distinct(*elements))
        for item in (*(self.action.params if self.action else ()), *self.fact.names):
            constant = logic.constant(item)
            solver.add(constant == self.model.eval(constant, model_completion=True))
        for declaration in self.model.decls():
            if declaration.name().startswith(CHOICE):
                pools = [self.universe[declaration.domain(i).name()] for i in range(declaration.arity())]
                for args in product(*pools):
                    term = declaration(*args)
                    solver.add(term == self.model.eval(term, model_completion=True))
        for name in sorted(self.functions):
            solver.add(*logic.single(name))
        labels, meant = [], {}
        for number, (cell, literal) in enumerate(self.cells().items()):
            label = z3.Bool(f"cell {number}", ctx=logic.context)
            labels.append(label)
            meant[str(label)] = (cell[0], tuple(a.get_id() for a in cell[1]))
            solver.add(z3.Implies(label, literal))
        solver.add(z3.Not(result))
        if solver.check(*labels) != z3.unsat:
            return set(meant.values())
        kept = list(solver.unsat_core())
        # By deletion: Z3's own minimisation takes many times as long.
        for label in list(kept):
            if any(k.eq(label) for k in kept):
                rest = [k for k in kept if not k.eq(label)]
                if solver.check(*rest) == z3.unsat:
                    needed = {str(k) for k in solver.unsat_core()}
                    kept = [k for k in rest if str(k) in needed]
        return {meant[str(label)] for label in kept}


class Questions:
    """Asks Z3 about one template."""

    def __init__(self, template: Template, look: Callable[[], None] | None = None) -> None:
        import z3

        self.z3 = z3
        self.template = template
        self.context = z3.Context()
        self.logic = Logic(template, self.context)
        self.look = look or (lambda: None)
        self.asked = 0
        self.spent = 0
        self._axioms: dict[str, list[Any]] = {}
        self._obvious: dict[tuple[str, Expr], bool] = {}
        self._after: dict[tuple[str, Expr], Expr] = {}

    def after(self, action: Action, fact: Fact) -> Expr:
        """The fact's formula after an action."""
        key = (action.name, fact.formula)
        found = self._after.get(key)
        if found is None:
            found = self._after[key] = after(action, fact.formula)
        return found

    def obvious(self, action: Action, fact: Fact) -> bool:
        """Whether a step keeps a fact without any thought.

        For each way in which the elements that the fact speaks of are those that the step is about, or others, the fact after the
        step is true, or is the fact before it.
        """
        key = (action.name, fact.formula)
        found = self._obvious.get(key)
        if found is None:
            found = self._obvious[key] = self._is_obvious(action, fact)
        return found

    def _is_obvious(self, action: Action, fact: Fact) -> bool:
        result = self.after(action, fact)
        if result is fact.formula or result is x.TRUE:
            return True
        places = {}
        for part in action.guard.operands if isinstance(action.guard, x.And) else (action.guard,):
            if isinstance(part, x.Equal) and isinstance(part.left, x.Apply) and isinstance(part.right, x.Const):
                places[part.left] = part.right
        options = [[None, *(p for p in action.params if p.domain == n.domain)] for n in fact.names]
        for choice in product(*options):
            same = {n: p for n, p in zip(fact.names, choice, strict=True) if p is not None}
            apart = {
                x.equal(*pair)
                for n, p in zip(fact.names, choice, strict=True)
                if p is None
                for other in action.params
                for pair in ((n, other), (other, n))
            }

            def change(item: Expr, same: dict[Local, Local] = same, apart: set[Expr] = apart) -> Expr | None:
                if item in apart:
                    return x.FALSE
                if isinstance(item, Local):
                    return same.get(item)
                if isinstance(item, x.Apply):
                    return places.get(x.apply(item.function, *(same.get(a, a) if isinstance(a, Local) else a for a in item.args)))
                return None

            after_, before = x.transform(result, change), x.transform(fact.formula, change)
            if after_ is not x.TRUE and after_ is not before:
                return False
        return True

    def every(self, fact: Fact) -> Any:
        """The fact as a closed formula."""
        body = self.logic.formula(fact.formula)
        return self.z3.ForAll([self.logic.constant(n) for n in fact.names], body) if fact.names else body

    def ask(self, facts: Sequence[Fact], action: Action | None, fact: Fact, *, core: bool = False) -> Crisis | list[int] | None:
        """Whether a step leads from a state in which ``facts`` hold to one in which ``fact`` does not; the state, or None.

        Without an action: whether there is such a state at all.  With ``core``: the numbers of the facts that were needed, instead
        of None.

        Raises:
            NotProved: Z3 does not decide within its budget.
        """
        self.look()
        result = self.after(action, fact) if action is not None else fact.formula
        if result is x.TRUE or (action is not None and result is fact.formula and fact in facts):
            return [facts.index(fact)] if core and result is not x.TRUE else [] if core else None
        logic = self.logic
        guard = action.guard if action is not None else x.TRUE
        negated = logic.neg(logic.formula(result))
        condition = logic.formula(guard)
        solver = self.z3.Solver(ctx=self.context)
        solver.set("rlimit", RLIMIT)
        functions = {f for f in x.functions_in([guard, result, *(f.formula for f in facts)]) if f in self.template.functions}
        for name in sorted(functions):
            solver.add(*self._single(name))
        terms = [(n.domain.sorts[0], logic.constant(n)) for n in (*(action.params if action is not None else ()), *fact.names)]
        for name in sorted(functions):
            solver.add(*logic.total(name, terms))
        solver.add(*logic.picking([guard, result], [*(action.params if action is not None else ()), *fact.names]))
        labels = []
        for number, item in enumerate(facts):
            if core:
                label = self.z3.Bool(f"fact {number}", ctx=self.context)
                labels.append(label)
                solver.add(self.z3.Implies(label, self.every(item)))
            else:
                solver.add(self.every(item))
        solver.add(condition, negated)
        self.asked += 1
        answer = solver.check(*labels)
        if answer == self.z3.unsat:
            if not core:
                return None
            needed = {str(label) for label in solver.unsat_core()}
            return [n for n, label in enumerate(labels) if str(label) in needed]
        if answer != self.z3.sat:
            where = f" at the step {action.name}" if action is not None else ""
            raise NotProved(
                f"Z3 does not decide within its budget whether {fact.title or 'a clause'} holds{where}: {solver.reason_unknown()}"
            )
        model = solver.model()
        universe = {name: list(model.get_universe(sort) or []) for name, sort in logic.sorts.items()}
        return Crisis(logic, model, frozenset(functions), action, fact, universe, logic.conj([condition, negated]))

    def _single(self, name: str) -> list[Any]:
        found = self._axioms.get(name)
        if found is None:
            found = self._axioms[name] = self.logic.single(name)
        return found

    def starts(self, fact: Fact) -> bool:
        """Whether a fact holds in every initial state."""
        first = at_start(self.template, fact.formula)
        if first is x.TRUE:
            return True
        solver = self.z3.Solver(ctx=self.context)
        solver.set("rlimit", RLIMIT)
        solver.add(self.logic.neg(self.logic.formula(first)))
        return bool(solver.check() == self.z3.unsat)


def goals(template: Template, name: str) -> list[Fact]:
    """What has to be shown for a property.

    Raises:
        Refused: the property has something that cannot be expressed.
    """
    import z3

    goal = next(g for g in template.goals if g.name == name)
    if goal.refused:
        raise Refused(goal.refused)
    strict = Logic(template, z3.Context(), strict=True)
    found = []
    for names, condition in goal.rows:
        strict.formula(condition)
        found.append(Fact("goal", names, x.neg(condition), title=name))
    for action in template.forbidden:
        found.append(Fact("goal", action.params, x.neg(action.guard), title=f"no step leads to: {action.out}", inductive=False))
    for function in template.ranges:
        names = tuple(x.local(s, s) for s in template.functions[function].params)
        term = x.apply(function, *names)
        values = [x.equal(term, x.const(v)) for v in template.functions[function].domain.values]
        if template.functions[function].domain.nullable:
            values.append(x.equal(term, x.NULL))
        found.append(Fact("range", names, x.disj(*values), title=f"{function} keeps to its domain"))
    return found


class Search:
    """The search for one property."""

    def __init__(self, questions: Questions, samples: Samples, trace: Callable[[str], None] | None = None) -> None:
        self.questions = questions
        self.template = questions.template
        self.samples = samples
        self.known: list[Fact] = []
        self.bad: set[Candidate] = set()
        self.facts: dict[Candidate, Fact] = {}
        self.passed: dict[tuple[int, str], frozenset[int]] = {}
        self.say = trace or (lambda _text: None)

    def prove(self, name: str) -> tuple[Fact, ...]:
        """Facts that are inductive together, the goals of the property first.

        Raises:
            NotProved: none were found.
            Refused: the property cannot be expressed.
        """
        wanted = goals(self.template, name)
        for fact in wanted:
            if fact.inductive and not self.questions.starts(fact):
                raise NotProved(f"{fact.title} does not hold at the start")
        tried = 0
        self.passed.clear()
        facts = list(wanted)
        pending: deque[Fact] = deque(wanted)
        while pending:
            fact = pending[0]
            crisis = self._next(facts, fact)
            if crisis is None:
                pending.popleft()
                continue
            tried += 1
            if tried > MOST_CLAUSES:
                raise NotProved(f"no inductive invariant with {MOST_CLAUSES} clauses")
            clause = self._clause(facts, crisis)
            if clause is None:
                if fact.candidate is None:
                    raise NotProved(f"no clause excludes the state before {_step(crisis)}", describe(crisis, relevant=True))
                self.say(f"gave up {say(self.template, fact)}  because of {_step(crisis)}")
                self.bad.add(fact.candidate)
                self.known = [k for k in self.known if k.candidate != fact.candidate]
                facts = [f for f in facts if f is not fact]
                gone = id(fact)
                self.passed = {k: v for k, v in self.passed.items() if gone not in v and k[0] != gone}
                pending = deque(facts)
                continue
            self.say(f"{len(facts)}: {say(self.template, clause)}   for {_step(crisis)} / {say(self.template, fact)}")
            facts.append(clause)
            pending.append(clause)
        return tuple(facts)

    def _next(self, facts: list[Fact], fact: Fact) -> Crisis | None:
        """A counterexample to a fact's induction."""
        assumed = [f for f in facts if f.inductive]
        for action in self.template.actions if fact.inductive else (None,):
            key = (id(fact), action.name if action is not None else "")
            if key in self.passed:
                continue
            if action is not None and self.questions.obvious(action, fact):
                self.passed[key] = frozenset([id(fact)])
                continue
            found = self.questions.ask(assumed, action, fact, core=True)
            if isinstance(found, Crisis):
                return found
            self.passed[key] = frozenset(id(assumed[n]) for n in found or ())
        return None

    def _clause(self, facts: list[Fact], crisis: Crisis) -> Fact | None:
        """The shortest clause that is false in a state and true in all samples."""
        for fact in self.known:
            assert fact.candidate is not None
            if crisis.shows(fact.candidate):
                return fact
        found: Fact | None
        # What is relevant is so among the elements of the model; one that is not there may be the reason why it cannot be.
        for cells in (crisis.relevant(crisis.wrong), crisis.everything()):
            options = self._options(crisis, cells)
            for strong in (True, False):
                for option in options[: AROUND + TRIED]:
                    found = self._fact(option[1] if strong else option[2])
                    if found is not None and self._inductive(facts, found):
                        return self._adopt(found)
            for option in sorted(options, key=lambda o: not o[0][0]):
                for candidate in (option[1], option[2]):
                    found = self._fact(candidate)
                    if found is not None:
                        return self._adopt(found)
        return None

    def _adopt(self, fact: Fact) -> Fact:
        self.known.append(fact)
        return fact

    def _fact(self, candidate: Candidate) -> Fact | None:
        """The clause, unless it was given up before or fails at the start."""
        if candidate in self.bad:
            return None
        found = self.facts.get(candidate)
        if found is None:
            names = candidate.names()
            found = self.facts[candidate] = Fact("clause", names, candidate.formula(names), candidate)
        return found if self.questions.starts(found) else None

    def _inductive(self, facts: list[Fact], fact: Fact) -> bool:
        """Whether a clause is kept by every step, all others given."""
        return self._next([*facts, fact], fact) is None

    def _options(
        self, crisis: Crisis, cells: set[tuple[str, tuple[int, ...]]]
    ) -> list[tuple[tuple[int, int, int], Candidate, Candidate]]:
        """Clauses that are false in a state and true in every sample, the shortest first.

        Each with all the values that it could exclude, and with those of the state only.
        """
        there = {element for _, args in cells for element in args}
        pools = {sort: [e for e in elements if e.get_id() in there] for sort, elements in crisis.universe.items()}
        found: dict[Candidate, tuple[tuple[int, int, int], Candidate, Candidate]] = {}
        fewest = MOST_COLUMNS
        for view in self.samples.all_views(MOST_ELEMENTS):
            if any(len(pools[s]) < view.count(s) for s in view) or not self.samples.seen(view):
                continue
            head, rows = self.samples.view(view)
            for elements in crisis.tuples(view, pools):
                usable = [n for n, c in enumerate(head) if (c.function, tuple(elements[a].get_id() for a in c.args)) in cells]
                if not usable:
                    continue
                codes = {n: crisis.code(head[n], elements) for n in usable}
                usable = [n for n in usable if codes[n] != head[n].other or self.samples.room(view, head[n])]
                part, seen = [head[n] for n in usable], rows[:, usable]
                row = np.array([codes[n] for n in usable], np.uint8)
                for cube in around(seen, row, part):
                    new = Candidate(view, cube)
                    found.setdefault(new, ((0, len(view), -len(cube[0][1])), new, new))
                known = [i for i in range(len(part)) if (seen[:, i] == row[i]).any()]
                chosen = shortest(seen[:, known], row[known], fewest)
                if chosen is None:
                    continue
                fewest = min(fewest, len(chosen) + 1)
                chosen = [known[i] for i in chosen]
                strong = Candidate(view, widen(seen, row, part, chosen))
                weak = Candidate(view, tuple((part[n], frozenset([int(row[n])])) for n in sorted(chosen)))
                score = (len(chosen), len(view), -sum(len(mask) for _, mask in strong.cube))
                found.setdefault(strong, (score, strong, weak))
        first = sorted((o for o in found.values() if o[0][0] == 0), key=lambda option: (option[0][2], option[0][1]))[:AROUND]
        return [*first, *sorted((o for o in found.values() if o[0][0]), key=lambda option: option[0])]


def say(template: Template, fact: Fact) -> str:
    """A fact in words."""
    return sentence(template, fact.candidate) if fact.candidate is not None else fact.title


def _step(crisis: Crisis) -> str:
    return crisis.action.name if crisis.action is not None else crisis.fact.title


def describe(crisis: Crisis, *, relevant: bool = False) -> tuple[str, ...]:
    """The state of a counterexample to induction, in words; with ``relevant`` only what leads to the violation."""
    cells = crisis.relevant(crisis.wrong) if relevant else None
    names: dict[str, str] = {}
    for sort, elements in crisis.universe.items():
        for number, element in enumerate(elements):
            names[str(element)] = f"{sort} {number + 1}"
    found = []
    template = crisis.logic.template
    for name in sorted(crisis.functions):
        function = template.functions[name]
        for args in product(*(crisis.universe[s] for s in function.params)):
            if cells is not None and (name, tuple(a.get_id() for a in args)) not in cells:
                continue
            who = [names[str(a)] for a in args]
            for value in crisis.logic.values(name):
                if crisis.holds(name, value, args) and (relevant or value != function.initial):
                    found.append(fact_of(template, name, who, value))
            for sort in function.domain.sorts:
                for element in crisis.universe[sort]:
                    if crisis.holds(name, Sort(sort), [*args, element]):
                        found.append(fact_of(template, name, who, names[str(element)]))
    return tuple(found)


def minimise(questions: Questions, facts: Sequence[Fact]) -> tuple[Fact, ...]:
    """The facts that the goals need, in the order in which the argument needs them: first the goals, then what these rest on."""
    inductive = [f for f in facts if f.inductive]
    needed: dict[int, None] = {}
    queue: deque[Fact] = deque(f for f in facts if f.candidate is None)
    seen = set(map(id, queue))
    ordered = list(queue)
    while queue:
        fact = queue.popleft()
        for action in questions.template.actions if fact.inductive else (None,):
            if action is not None and questions.obvious(action, fact):
                continue
            # Ask first with what is needed anyhow: cores are smaller then.
            first = [*ordered, *(f for f in inductive if id(f) not in seen)]
            first = [f for f in first if f.inductive]
            core = questions.ask(first, action, fact, core=True)
            assert isinstance(core, list)
            for number in core:
                item = first[number]
                if id(item) not in seen:
                    seen.add(id(item))
                    ordered.append(item)
                    queue.append(item)
    del needed
    return tuple(ordered)


def confirm(template: Template, facts: Sequence[Fact], look: Callable[[], None] | None = None) -> int:
    """Check in a new context, with a fresh solver for each clause and step, that facts are inductive; how many questions it took.

    Raises:
        NotProved: they are not, or Z3 does not know.
    """
    questions = Questions(template, look)
    assumed = [f for f in facts if f.inductive]
    for fact in facts:
        if fact.inductive and not questions.starts(fact):
            raise NotProved("a clause does not hold at the start")
        for action in template.actions if fact.inductive else (None,):
            if questions.ask(assumed, action, fact) is not None:
                raise NotProved(f"a clause is not kept by {action.name if action else fact.title}")
    return questions.asked


__all__ = ["Crisis", "Fact", "NotProved", "Questions", "Refused", "Search", "confirm", "describe", "goals", "minimise", "say"]
