"""The transition relation of a ground system as propositional logic.

Each cell is a row of Booleans, the bits of the number of its value (``log-bit``).  The next state is a *function* of the
present one and of an action selector, itself a row of bits: each next bit is one flat case distinction over the actions that
write the cell.  Relations with one disjunct per action, bit vectors and enumeration sorts are several times slower.

Actions that lead out of bounds are no transitions (their target is neither expanded nor checked) but they count as enabled, and
their guards are kept by the bound that they cross.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from txweave.engines.z3.logic import Codes, Translation, tag
from txweave.engines.z3.session import Session
from txweave.system import expr as x
from txweave.system.expr import Elem, Expr
from txweave.system.ground import GroundAction, Grounder, GroundSystem
from txweave.trace import State, Taken

Formula: TypeAlias = Any
"""A Boolean expression of Z3."""


class Formulas:
    """The algebra of Z3's formulas over a row of bits for each cell.  Simplifies constants."""

    def __init__(self, session: Session, bits: Sequence[Sequence[Formula]], sizes: Sequence[int]) -> None:
        z3 = session.z3
        self._core, self._ref, self._type = z3.z3core, session.context.ref(), z3.BoolRef
        self._context, self._ast = session.context, z3.Ast
        self.true, self.false = z3.BoolVal(True, ctx=session.context), z3.BoolVal(False, ctx=session.context)
        self.bits, self.sizes = bits, sizes
        self._atoms: dict[tuple[int, int], Formula] = {}

    def negation(self, operand: Formula) -> Formula:
        """Not."""
        if operand is self.true:
            return self.false
        if operand is self.false:
            return self.true
        return self._type(self._core.Z3_mk_not(self._ref, operand.as_ast()), self._context)

    def conjunction(self, operands: Iterable[Formula]) -> Formula:
        """And."""
        return self._join(operands, self.true, self.false, self._core.Z3_mk_and)

    def disjunction(self, operands: Iterable[Formula]) -> Formula:
        """Or."""
        return self._join(operands, self.false, self.true, self._core.Z3_mk_or)

    def _join(self, operands: Iterable[Formula], unit: Formula, zero: Formula, make: Any) -> Formula:
        parts = []
        for operand in operands:
            if operand is zero:
                return zero
            if operand is not unit:
                parts.append(operand)
        if not parts:
            return unit
        if len(parts) == 1:
            return parts[0]
        asts = (self._ast * len(parts))(*(part.as_ast() for part in parts))
        return self._type(make(self._ref, len(parts), asts), self._context)

    def implies(self, premise: Formula, conclusion: Formula) -> Formula:
        """Implication."""
        return self.disjunction([self.negation(premise), conclusion])

    def iff(self, left: Formula, right: Formula) -> Formula:
        """Equivalence."""
        if right is self.true:
            return left
        if right is self.false:
            return self.negation(left)
        return self._type(self._core.Z3_mk_iff(self._ref, left.as_ast(), right.as_ast()), self._context)

    def number(self, bits: Sequence[Formula], code: int) -> Formula:
        """The bits spell this number."""
        return self.conjunction([bit if code >> place & 1 else self.negation(bit) for place, bit in enumerate(bits)])

    def atom(self, cell: int, code: int) -> Formula:
        """A cell's value."""
        found = self._atoms.get((cell, code))
        if found is None:
            constant = self.true if code == 0 else self.false
            found = constant if self.sizes[cell] == 1 else self.number(self.bits[cell], code)
            self._atoms[cell, code] = found
        return found


class Encoding:
    """A ground system in Z3: formulas over the present bits, and the step as formulas over present, selector and next bits."""

    def __init__(self, session: Session, system: GroundSystem) -> None:
        self.session, self.system = session, system
        self.codes = Codes(system.cells)
        # The last cell, out of bounds, is None in every state that is looked at.
        self.sizes = [len(cell.domain) for cell in system.cells[:-1]] + [1]
        self.now = [self.row(f"c{i}", size) for i, size in enumerate(self.sizes)]
        self.next = [self.row(f"n{i}", size) for i, size in enumerate(self.sizes)]
        self.algebra = Formulas(session, self.now, self.sizes)
        self.translation: Translation[Formula] = Translation(self.algebra, system.cells)
        out = len(system.cells) - 1
        self.actions = [a for a in system.actions if all(target != out for target, _ in a.updates)]
        self.selector = self.row("a", len(self.actions))
        self.chosen = [self.algebra.number(self.selector, number) for number in range(len(self.actions))]
        self.leaving: dict[str, Expr] = _leaving(system, out)
        self._grounder = Grounder(system.system)

    def row(self, name: str, size: int) -> list[Formula]:
        """Bits for a number below ``size``."""
        return [self.session.z3.Bool(f"{name}.{place}", ctx=self.session.context) for place in range((size - 1).bit_length())]

    def formula(self, node: Expr) -> Formula:
        """A ground formula over the present bits."""
        return self.translation.formula(node)

    def ground(self, node: Expr) -> Formula:
        """A closed formula of the sorted system over the present bits."""
        return self.formula(self.grounded(node))

    def grounded(self, node: Expr) -> Expr:
        """A closed expression of the sorted system, over cells."""
        return self._grounder.ground(node, {})

    def within(self) -> Formula:
        """The present bits spell values, not numbers beyond the end of a domain."""
        a = self.algebra
        return a.conjunction(
            [
                a.disjunction([a.atom(cell, code) for code in range(size)])
                for cell, size in enumerate(self.sizes)
                if size != 1 << len(self.now[cell])
            ]
        )

    def initially(self) -> Formula:
        """The present state is the initial one."""
        return self.exactly(self.system.initial)

    def exactly(self, state: State) -> Formula:
        """The present state is this one."""
        return self.algebra.conjunction([self.algebra.atom(i, code) for i, code in enumerate(self.codes.encode(state))])

    def step(self) -> Formula:
        """The chosen action is enabled, and the next bits are what it makes of the present ones."""
        a = self.algebra
        parts = [a.disjunction(self.chosen)]
        parts += [a.implies(c, self.formula(action.guard)) for c, action in zip(self.chosen, self.actions, strict=True)]
        writers: dict[int, dict[Expr, list[Formula]]] = {}
        for chosen, action in zip(self.chosen, self.actions, strict=True):
            for target, body in action.updates:
                writers.setdefault(target, {}).setdefault(body, []).append(chosen)
        for cell, (now, following) in enumerate(zip(self.now, self.next, strict=True)):
            by_body = {body: a.disjunction(chosen) for body, chosen in writers.get(cell, {}).items()}
            kept = a.negation(a.disjunction(by_body.values()))
            for place, bit in enumerate(following):
                cases = [a.conjunction([when, self.bit(cell, body, place)]) for body, when in by_body.items()]
                parts.append(a.iff(bit, a.disjunction([*cases, a.conjunction([kept, now[place]])])))
        return a.conjunction(parts)

    def bit(self, cell: int, body: Expr, place: int) -> Formula:
        """A bit of the number, in the cell's domain, of a term's value (which lies in it, or the guard fails)."""
        numbers = {tag(v): code for code, v in enumerate(self.system.cells[cell].domain)}
        cases = self.translation.cases(body)
        return self.algebra.disjunction([f for v, f in cases.items() if numbers.get(v, 0) >> place & 1])

    def at(self, formula: Formula, **rows: Sequence[Sequence[Formula]]) -> Formula:
        """The formula with other bits for the present (``now``), the next (``next``), the selector (``selector``)."""
        pairs = []
        for name, bits in rows.items():
            old = [self.selector] if name == "selector" else getattr(self, name)
            for before, after in zip(old, bits, strict=True):
                pairs += list(zip(before, after, strict=True))
        return self.session.z3.substitute(formula, *pairs) if pairs else formula

    def numbers(self, model: Any, rows: Sequence[Sequence[Formula]]) -> list[int]:
        """What rows of bits spell in a model."""
        z3 = self.session.z3
        return [
            sum(1 << place for place, bit in enumerate(row) if z3.is_true(model.eval(bit, model_completion=True))) for row in rows
        ]

    # ------------------------------------------------------------------------------------------- derived expressions

    @property
    def ticks(self) -> tuple[GroundAction, ...]:
        """The actions by which time passes, those that lead out of bounds included."""
        return tuple(action for action in self.system.actions if action.kind == "tick")

    def moves(self, kinds: Iterable[str]) -> Expr:
        """Some action of these kinds is enabled, perhaps one that leads out of bounds."""
        kinds = set(kinds)
        return x.disj(*(action.guard for action in self.system.actions if action.kind in kinds))

    def unfinished(self) -> Expr:
        """Not every process has finished."""
        return x.neg(x.conj(*(condition for _, condition in self.system.finished)))


def _leaving(system: GroundSystem, out: int) -> dict[str, Expr]:
    """For each bound, when a step that crosses it is enabled."""
    found: dict[str, list[Expr]] = {}
    for action in system.actions:
        for target, body in action.updates:
            if target == out:
                assert isinstance(body, x.Const), "the bound that an action crosses is known"
                found.setdefault(str(body.value), []).append(action.guard)
    return {name: x.disj(*guards) for name, guards in sorted(found.items())}


class Unrolling:
    """The states of a run from the initial state, step by step, in one incremental solver."""

    def __init__(self, encoding: Encoding) -> None:
        self.encoding = encoding
        self.solver = encoding.session.solver()
        self._step = encoding.step()
        self.states = [[encoding.row(f"s0.{i}", size) for i, size in enumerate(encoding.sizes)]]
        self.selectors: list[list[Formula]] = []
        self.solver.add(encoding.at(encoding.initially(), now=self.states[0]))

    @property
    def depth(self) -> int:
        """How many steps there are."""
        return len(self.selectors)

    def extend(self) -> None:
        """One more step."""
        encoding, depth = self.encoding, self.depth + 1
        self.states.append([encoding.row(f"s{depth}.{i}", size) for i, size in enumerate(encoding.sizes)])
        self.selectors.append(encoding.row(f"a{depth}", len(encoding.actions)))
        self.solver.add(
            encoding.at(self._step, now=self.states[-2], next=self.states[-1], selector=[self.selectors[-1]]),
        )

    def at(self, formula: Formula, depth: int) -> Formula:
        """A formula over the present bits (and the selector, where a step is taken there) after ``depth`` steps."""
        if depth < self.depth:
            return self.encoding.at(formula, now=self.states[depth], selector=[self.selectors[depth]])
        return self.encoding.at(formula, now=self.states[depth])

    def named(self, name: str, formula: Formula) -> Formula:
        """A new Boolean that implies the formula: an assumption to switch it on."""
        switch = self.encoding.session.z3.Bool(name, ctx=self.encoding.session.context)
        self.solver.add(self.encoding.algebra.implies(switch, formula))
        return switch

    def run(self, depth: int) -> tuple[Taken, ...]:
        """The first steps of the run that the solver has found."""
        model, encoding = self.solver.model(), self.encoding
        taken = []
        for number in range(depth):
            action = encoding.actions[encoding.numbers(model, [self.selectors[number]])[0]]
            state = encoding.codes.decode(encoding.numbers(model, self.states[number + 1]))
            taken.append(Taken(action, state))
        return tuple(taken)


Owner: TypeAlias = tuple[Elem, str, Expr, list[GroundAction]]
"""Who is owed fairness: the process, ``weak`` or ``strong``, when it is owed *and* can move, and its moves."""


def owners(encoding: Encoding) -> list[Owner]:
    """Everybody to whom fairness is owed: processes their steps, and the server's moves in the name of a process."""
    found: list[Owner] = []
    system = encoding.system
    for item in system.fairness:
        mine = [a for a in system.actions if a.actor == item.process and a.kind == "step" and a.action.fair]
        found.append((item.process, item.kind, x.conj(item.owed, x.disj(*(a.guard for a in mine))), mine))
    database: Mapping[Elem, list[GroundAction]] = {}
    for action in system.actions:
        if action.kind == "database" and action.actor is not None and action.action.fair:
            database = {**database, action.actor: [*database.get(action.actor, []), action]}
    found += [(process, "weak", x.disj(*(a.guard for a in mine)), mine) for process, mine in database.items()]
    return found
