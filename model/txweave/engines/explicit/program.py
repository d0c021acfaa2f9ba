"""The generated program of a ground system: successors of a packed state, conditions on it, rows of a query in it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

from txweave.engines.explicit.layout import Boxed, Layout
from txweave.engines.explicit.source import Case, Leaf, make, write
from txweave.engines.explicit.translate import Form, Piece, Texts, Translator
from txweave.system import expr as x
from txweave.system.expr import Expr
from txweave.system.ground import GroundAction, GroundRows, GroundSystem

Push: TypeAlias = Callable[["Successor"], None]
Group: TypeAlias = Callable[[int, Push], None]
Members: TypeAlias = list[tuple[GroundAction, tuple[Expr, ...]]]
"""Actions and what is left of their guards."""

Successor: TypeAlias = tuple[int, int]
"""Index of the action and the state it leads to; minus the code of the bound, when it leads out of bounds."""

DISPATCH = 4096
"""Most values of a cell that actions are grouped by."""


class DomainError(Exception):
    """An action gives a cell a value that is not in its domain: the system was not made by grounding."""


@dataclass(frozen=True)
class Effect:
    """What an action does to the state: the bits of the cells that it changes are cleared, and the new codes put there.

    ``constant`` are bits of codes that are always the same, ``computed`` gives the cells and values of the others.  ``unsure`` are
    the cells of those whose value might lie outside the domain.  ``out`` is the new value of the cell for bounds, if it changes.
    """

    clear: int
    constant: int
    computed: tuple[tuple[int, Expr], ...]
    unsure: frozenset[int]
    out: Expr | None


class Program:
    """Functions over packed states, generated when they are first needed."""

    def __init__(self, ground: GroundSystem) -> None:
        self.ground = ground
        self.layout = Layout(ground)
        self.translator = Translator(self.layout)
        self.initial = self.layout.pack(ground.initial)
        out = self.layout.out
        self._inside = x.equal(x.cell(out), x.NULL) if out is not None else x.TRUE
        self.bounds = self.layout.codes(self.layout.bounds) if self.layout.bounds else None
        """The codes of the cell for bounds."""
        self.sources: list[str] = []
        """The text of every function made so far."""
        self.successors = self._successors()

    # ------------------------------------------------------------------------------------------------------ successors

    def conjuncts(self, guard: Expr) -> tuple[Expr, ...]:
        """The conjuncts of a guard, without "not out of bounds": no other state is ever expanded."""
        parts = guard.operands if isinstance(guard, x.And) else (guard,)
        return tuple(p for p in parts if p is not self._inside and p is not x.TRUE)

    def _successors(self) -> Callable[[int], list[Successor]]:
        """One table of functions for each cell that actions are grouped by, then one call for each table.

        A group's function is made when a state first needs it.
        """
        actions = self.ground.actions
        for number, action in enumerate(actions):
            assert action.index == number, f"{action.name} has another number than its place"
            self.translator.learn((action.guard, *(body for _, body in action.updates)))
        grouped, rest = self.groups
        names: dict[str, object] = {}
        text = ["def successors(s):", " found = []", " push = found.append"]
        for number, (cell, groups) in enumerate(grouped):
            table: list[Group] = []
            for code, members in enumerate(groups):
                table.append(self._later(table, code, members, cell) if members else _nothing)
            names[f"T{number}"] = table
            field = self.layout.fields[cell]
            text.append(f" T{number}[s >> {field.shift} & {field.mask}](s, push)")
        if rest:
            names["rest"] = self._group([(a, self.conjuncts(a.guard)) for a in rest], {})
            text.append(" rest(s, push)")
        if len(grouped) + bool(rest):
            text.append(" if len(found) > 1:\n  found.sort()")
        text.append(" return found")
        return make("successors", "\n".join(text), names)

    @cached_property
    def groups(self) -> tuple[list[tuple[int, list[Members]]], list[GroundAction]]:
        """For each cell to dispatch on, the actions possible at each of its values; and the actions that are in no group.

        The cell that excludes most is taken first; in practice these are the places of the processes.
        """
        facts = self.translator.facts
        memo: dict[Expr, tuple[int, frozenset[int]] | None] = {}
        wanted: dict[GroundAction, dict[int, frozenset[int]]] = {}
        for action in self.ground.actions:
            allowed: dict[int, frozenset[int]] = {}
            for conjunct in self.conjuncts(action.guard):
                if conjunct not in memo:
                    memo[conjunct] = facts.allowed(conjunct, DISPATCH)
                found = memo[conjunct]
                if found is not None:
                    cell, codes = found
                    allowed[cell] = allowed[cell] & codes if cell in allowed else codes
            wanted[action] = allowed
        rest = list(self.ground.actions)
        result: list[tuple[int, list[Members]]] = []
        while True:
            score: dict[int, float] = {}
            for action in rest:
                for cell, codes in wanted[action].items():
                    size = len(self.layout.fields[cell].codes.boxes)
                    score[cell] = score.get(cell, 0.0) + 1 - len(codes) / size
            # A table costs about as much as two tests.
            best = max(score, key=lambda cell: (score[cell], -cell), default=None)
            if best is None or score[best] < 2:
                return result, rest
            groups: list[Members] = [[] for _ in self.layout.fields[best].codes.boxes]
            for action in rest:
                codes_here = wanted[action].get(best)
                if codes_here is not None:
                    left = tuple(c for c in self.conjuncts(action.guard) if (memo[c] or (None,))[0] != best)
                    for code in codes_here:
                        groups[code].append((action, left))
            rest = [action for action in rest if best not in wanted[action]]
            result.append((best, groups))

    def _later(
        self,
        table: list[Group],
        code: int,
        members: Members,
        cell: int,
    ) -> Group:
        """A stand-in that makes the function of a group, puts it into the table, and calls it."""

        def first(s: int, push: Push) -> None:
            function = self._group(members, {self.translator.field(cell): str(code)})
            table[code] = function
            function(s, push)

        return first

    def _group(self, members: Members, known: dict[Piece, str]) -> Group:
        cases = [Case(conjuncts, self._leaf(action)) for action, conjuncts in members]
        text = write(self.translator, "def group(s, push):", cases, known)
        self.sources.append(text)
        return make("group", text, {**self.translator.names, "escaped": self.escaped})

    def effect(self, action: GroundAction) -> Effect:
        """What an action does to the state."""
        clear = constant = 0
        out: Expr | None = None
        computed: list[tuple[int, Expr]] = []
        unsure: set[int] = set()
        written: set[int] = set()
        for cell, body in action.updates:
            assert cell not in written, f"{action.name} gives {self.ground.cells[cell].name} two new values"
            written.add(cell)
            possible = self.translator.facts.possible[body]
            if cell == self.layout.out:
                assert self.bounds is not None
                assert possible is not None
                assert possible <= self.bounds.possible, f"{action.name} leads beyond an unknown bound"
                out = body
                continue
            field = self.layout.fields[cell]
            clear |= field.mask << field.shift
            sure = possible is not None and possible <= field.codes.possible
            if sure and len(field.codes.boxes) == 1:
                continue
            if sure and isinstance(body, x.Const):
                constant |= field.codes.of[next(iter(possible or ()))] << field.shift
                continue
            if not sure:
                unsure.add(cell)
            computed.append((cell, body))
        return Effect(clear, constant, tuple(computed), frozenset(unsure), out)

    def _leaf(self, action: GroundAction) -> Leaf:
        """An action's effect as code: clear the fields it changes, set the constants, set the rest."""
        effect = self.effect(action)
        fields = self.layout.fields
        uses = [Piece(body, fields[cell].codes) for cell, body in effect.computed]
        shifts = [fields[cell].shift for cell, _ in effect.computed]
        unsure = [(place, cell) for place, (cell, _) in enumerate(effect.computed) if cell in effect.unsure]
        clear, constant, out = effect.clear, effect.constant, effect.out
        keep = ((1 << self.layout.width) - 1) & ~clear
        base = "s" if not clear else f"(s & {keep:#x})" if keep else "0"

        def lines(texts: Texts) -> list[str]:
            parts = [base, *([f"{constant:#x}"] if constant else [])]
            parts += [f"({t} << {shift})" if shift else t for t, shift in zip(texts, shifts, strict=False)]
            checks = [f"if {texts[i]} < 0: escaped({action.index}, {cell})" for i, cell in unsure]
            after = " | ".join(parts)
            if out is None:
                return [*checks, f"push(({action.index}, {after}))"]
            bound = texts[-1]
            if bound.isdigit():
                return [*checks, f"push(({action.index}, {f'-{bound}' if int(bound) else after}))"]
            return [*checks, f"push(({action.index}, -{bound} if {bound} else {after}))"]

        if out is None:
            return Leaf(tuple(uses), lines)
        assert self.bounds is not None
        return Leaf((*uses, Piece(out, self.bounds)), lines)

    def escaped(self, action: int, cell: int) -> None:
        """A cell was given a value that is not in its domain.

        Raises:
            DomainError: always.
        """
        raise DomainError(
            f"action {self.ground.actions[action].name} gives {self.ground.cells[cell].name} a value outside its domain"
        )

    # --------------------------------------------------------------------------------------------- conditions and rows

    def conditions(self, wanted: Sequence[Expr]) -> Callable[[int], int]:
        """A function from a state to a number whose bit *i* says whether condition *i* holds."""
        self.translator.learn(wanted)
        cases: list[Case] = []
        for number, condition in enumerate(wanted):
            parts = condition.operands if isinstance(condition, x.Or) else (condition,)
            cases += [Case(self.conjuncts(part), Leaf((), _sets(number))) for part in parts if part is not x.FALSE]
        text = write(self.translator, "def conditions(s):", cases, first=["r = 0"], last=["return r"])
        self.sources.append(text)
        return make("conditions", text, self.translator.names)

    def scalar(self, piece: Piece) -> Callable[[int], int]:
        """A function from a state to a condition's truth (0 or 1), or to a term's code (-1: not in that domain)."""
        self.translator.learn([piece.node])

        def lines(texts: Texts) -> list[str]:
            return [f"return 1 if {texts[0]} else 0" if piece.form is Form.TRUTH else f"return {texts[0]}"]

        text = write(self.translator, "def scalar(s):", [Case((), Leaf((piece,), lines))])
        self.sources.append(text)
        return make("scalar", text, self.translator.names)

    def rows(self, query: GroundRows) -> Callable[[int], list[tuple[int, tuple[Boxed, ...]]]]:
        """A function from a state to the rows of a query in it: number of the possible row, and its (boxed) values."""
        self.translator.learn([e for row in query.rows for e in (row.condition, *row.values)])
        cases = [
            Case(
                self.conjuncts(row.condition),
                Leaf(tuple(Piece(v, Form.BOXED) for v in row.values), _pushes(number)),
            )
            for number, row in enumerate(query.rows)
            if row.condition is not x.FALSE
        ]
        first, last = ["found = []", "push = found.append"], ["if len(found) > 1: found.sort(key=first)", "return found"]
        text = write(self.translator, "def rows(s):", cases, first=first, last=last)
        self.sources.append(text)
        return make("rows", text, {**self.translator.names, "first": lambda row: row[0]})


def _nothing(s: int, push: Push) -> None:
    """The actions possible at a value that excludes them all."""


def _sets(number: int) -> Callable[[Texts], list[str]]:
    return lambda _: [f"r |= {1 << number:#x}"]


def _pushes(number: int) -> Callable[[Texts], list[str]]:
    return lambda texts: [f"push(({number}, ({''.join(t + ', ' for t in texts)})))"]
