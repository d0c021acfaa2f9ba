"""Bounded search for lassos: counterexamples of leads-to properties under fairness.

A run of *K* steps is a lasso when a Boolean ``loop[s]`` picks a position *s* < *K* whose state the last one repeats, or when
it stays for ever in its last state (``loop[K]``) because nobody who is owed fairness can move.  Everything that fairness
says is stated over the positions from *s* on.  Enabledness is a formula over the state, the disjunction of guards, never
the guard of the action that happened to be chosen.

Total lengths are tried in increasing order.  The lasso so found need not have the shortest stem; a stem can always be made longer
by unrolling the loop, so that it suffices to try one step less, with loops that are at least as long, again and again.
That no shorter stem exists is established when it is zero or when the loop's region has no path that is long enough;
otherwise only up to the limit, and then :attr:`Lasso.note` says so.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product

from txweave.engines.z3.encode import Encoding, Formula, Unrolling, owners
from txweave.engines.z3.logic import Tag
from txweave.engines.z3.session import GaveUp
from txweave.system.expr import Value
from txweave.system.ground import GroundProperty, GroundRows
from txweave.trace import Taken


@dataclass(frozen=True)
class Lasso:
    """A lasso: steps, length of the stem, the pending row; ``note`` if the stem may not be the shortest."""

    steps: tuple[Taken, ...]
    stem: int
    witness: tuple[Value, ...]
    note: str = ""


@dataclass
class Result:
    """What the search found, or to which total length there is no lasso, and why it ended early."""

    lasso: Lasso | None = None
    length: int = -1
    stopped: GaveUp | None = None


class LassoSearch:
    """The search for one property."""

    def __init__(self, encoding: Encoding, item: GroundProperty) -> None:
        assert item.rows is not None
        self.encoding, self.item = encoding, item
        self.unrolling = Unrolling(encoding)
        a = self.algebra = encoding.algebra
        self.values = possible_rows(encoding, item.rows)
        self.present = {v: has_row(encoding, item.rows, v) for v in self.values}
        self.goal = {v: has_row(encoding, item.goal, v) for v in self.values} if item.goal is not None else None
        self.which = {v: encoding.session.z3.Bool(f"w{n}", ctx=encoding.session.context) for n, v in enumerate(self.values)}
        number = {action.index: position for position, action in enumerate(encoding.actions)}

        def one_of(indices: list[int]) -> Formula:
            return a.disjunction([encoding.chosen[number[i]] for i in indices if i in number])

        self.recurs = one_of([g.index for g in encoding.actions if g.action.recurs])
        self.tick = one_of([g.index for g in encoding.actions if g.kind == "tick"])
        self.owners = [
            (kind, encoding.formula(enabled), one_of([g.index for g in mine])) for _, kind, enabled, mine in owners(encoding)
        ]
        self._placed: dict[tuple[object, int], Formula] = {}
        self._names = 0

    # ------------------------------------------------------------------------------------------------------ the search

    def search(self, limit: int, progress: Callable[[int], None] | None = None) -> Result:
        """The first lasso of up to ``limit`` steps altogether, with its stem made as short as possible."""
        result = Result()
        try:
            for length in range(limit + 1):
                self.reach(length)
                starts = self.loops(length, range(length + 1))
                if starts is not None:
                    result.lasso = self.found(length, starts)
                    result.lasso = self.shorten(result, limit)
                    break
                result.length = length
                if progress is not None:
                    progress(length)
        except GaveUp as reason:
            result.stopped = reason
        except KeyboardInterrupt:
            result.stopped = self.encoding.session.interrupted()
        if result.stopped is not None and result.lasso is not None and not result.lasso.note:
            note = f"a shorter stem was not excluded ({result.stopped.reason})"
            result.lasso = Lasso(result.lasso.steps, result.lasso.stem, result.lasso.witness, note)
        return result

    def shorten(self, result: Result, limit: int) -> Lasso:
        """The lasso with the shortest stem, and of these with the shortest loop."""
        assert result.lasso is not None
        lasso = result.lasso
        loop = max(1, len(lasso.steps) - lasso.stem)
        while lasso.stem > 0:
            stem = lasso.stem - 1
            if stem + loop > limit:
                note = f"a stem of {stem} steps or fewer was excluded for loops of up to {loop - 1} steps only"
                return Lasso(lasso.steps, lasso.stem, lasso.witness, note)
            self.reach(stem + loop)
            starts = self.loops(stem + loop, range(stem, stem + 1))
            if starts is not None:
                lasso = result.lasso = self.found(stem + loop, starts)
            elif not self.region(stem, loop):
                break
            else:
                loop += 1
        return lasso

    def reach(self, length: int) -> None:
        """Unroll so many steps; none of those asked for later are fewer than the runs that must exist."""
        while self.unrolling.depth < length:
            self.unrolling.extend()

    def found(self, length: int, starts: list[Formula]) -> Lasso:
        """The lasso in the solver's model."""
        z3, model = self.encoding.session.z3, self.unrolling.solver.model()

        def true(formula: Formula) -> bool:
            return bool(z3.is_true(model.eval(formula, model_completion=True)))

        stem = next(position for position, start in enumerate(starts) if true(start))
        witness = next(v for v in self.values if true(self.which[v]))
        return Lasso(self.unrolling.run(length), stem, tuple(value for _, value in witness))

    # --------------------------------------------------------------------------------------------------- the formulas

    def place(self, formula: Formula, position: int) -> Formula:
        """A formula over the present at a position of the run."""
        key = (formula.get_id(), position)
        if key not in self._placed:
            self._placed[key] = self.unrolling.at(formula, position)
        return self._placed[key]

    def new(self, hint: str, length: int, position: int) -> Formula:
        """A new variable."""
        self._names += 1
        return self.encoding.session.z3.Bool(f"{hint}{self._names}.{length}.{position}", ctx=self.encoding.session.context)

    def loops(self, length: int, allowed: range) -> list[Formula] | None:
        """Look for a lasso of ``length`` steps whose loop starts at an allowed position; the variables that say where."""
        a = self.algebra
        starts = [self.new("loop", length, s) if s in allowed else a.false for s in range(length + 1)]
        on = [a.disjunction(starts[: i + 1]) for i in range(length)]
        ending = starts[length]
        parts = [a.disjunction(starts), *self.closing(starts, length), *self.fair(on, ending, length)]
        parts += self.pending(on, ending, length)
        switch = self.new("lasso", length, 0)
        for part in parts:
            self.unrolling.solver.add(a.implies(switch, part))
        return starts if self.encoding.session.ask(self.unrolling.solver, [switch]) else None

    def closing(self, starts: list[Formula], length: int) -> list[Formula]:
        """The last state is the one where the loop starts."""
        a, states = self.algebra, self.unrolling.states
        return [
            a.implies(start, a.iff(p, q))
            for s, start in enumerate(starts[:length])
            if start is not a.false
            for one, other in zip(states[s], states[length], strict=True)
            for p, q in zip(one, other, strict=True)
        ]

    def fair(self, on: list[Formula], ending: Formula, length: int) -> list[Formula]:
        """The loop may be repeated for ever: what recurs, time, fairness."""
        a, place = self.algebra, self.place
        parts = [a.implies(here, place(self.recurs, i)) for i, here in enumerate(on)]
        if self.encoding.system.timed:
            parts.append(a.negation(ending))
            parts.append(a.disjunction([a.conjunction([here, place(self.tick, i)]) for i, here in enumerate(on)]))
        for kind, enabled, moves in self.owners:
            parts.append(a.implies(ending, a.negation(place(enabled, length))))
            moved = [a.conjunction([here, place(moves, i)]) for i, here in enumerate(on)]
            if kind == "weak":
                idle = [a.conjunction([here, a.negation(place(enabled, i))]) for i, here in enumerate(on)]
            else:
                idle = [a.conjunction([a.implies(here, a.negation(place(enabled, i))) for i, here in enumerate(on)])]
            parts.append(a.disjunction([ending, *moved, *idle]))
        return parts

    def pending(self, on: list[Formula], ending: Formula, length: int) -> list[Formula]:
        """Some row is pending, and never discharged from then on."""
        a, place = self.algebra, self.place
        later = [*on, ending]
        parts = [a.disjunction(self.which.values())]
        if self.goal is None:
            for v, which in self.which.items():
                parts += [a.implies(a.conjunction([which, here]), place(self.present[v], i)) for i, here in enumerate(later)]
            return parts
        begins = [self.new("begin", length, i) for i in range(length + 1)]
        parts.append(a.disjunction(begins))
        for v, which in self.which.items():
            for i, (begin, here) in enumerate(zip(begins, later, strict=True)):
                parts.append(a.implies(a.conjunction([which, begin]), place(self.present[v], i)))
                after = a.disjunction([*begins[: i + 1], here])
                parts.append(a.implies(a.conjunction([which, after]), a.negation(place(self.goal[v], i))))
        return parts

    def region(self, stem: int, steps: int) -> bool:
        """Whether some run goes on for ``steps`` steps after ``stem`` as a loop would have to: a necessary condition."""
        a, place = self.algebra, self.place
        parts = [a.disjunction(self.which.values())]
        parts += [place(self.recurs, i) for i in range(stem, stem + steps)]
        for v, which in self.which.items():
            wanted = self.present[v] if self.goal is None else a.negation(self.goal[v])
            parts += [a.implies(which, place(wanted, i)) for i in range(stem, stem + steps + 1)]
        switch = self.new("region", stem, steps)
        for part in parts:
            self.unrolling.solver.add(a.implies(switch, part))
        return self.encoding.session.ask(self.unrolling.solver, [switch])


def possible_rows(encoding: Encoding, rows: GroundRows) -> list[tuple[Tag, ...]]:
    """Every tuple of values that a row of the query might have."""
    found: dict[tuple[Tag, ...], None] = {}
    for row in rows.rows:
        for chosen in product(*(encoding.translation.cases(value) for value in row.values)):
            found[chosen] = None
    return list(found)


def has_row(encoding: Encoding, rows: GroundRows, values: tuple[Tag, ...]) -> Formula:
    """The query has a row with these values."""
    a, translation = encoding.algebra, encoding.translation
    return a.disjunction(
        [
            a.conjunction(
                [translation.formula(row.condition)]
                + [translation.cases(term).get(v, a.false) for term, v in zip(row.values, values, strict=True)]
            )
            for row in rows.rows
        ]
    )
