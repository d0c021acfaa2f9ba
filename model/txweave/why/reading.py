"""What a statement of a run reads, and what it would have read in another state: the same process at the same place."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import TypeAlias

from txweave.system.expr import Elem, Expr, Local, Value, functions_in
from txweave.system.ground import GroundAction
from txweave.system.sorted import Looked, Witness
from txweave.trace import State
from txweave.view import Viewer

Env: TypeAlias = dict[Local, Value]
Rows: TypeAlias = tuple[tuple[str, Value], ...]
"""The rows that were looked at together: each table's name with its element."""


@dataclass(frozen=True)
class Reading:
    """What a statement gave back, to compare; ``text`` to show."""

    values: tuple[object, ...]
    text: str


@dataclass(frozen=True)
class Flip:
    """A row that a statement means in one state and not in another.

    ``condition``: the operand of its WHERE that differs; empty where the row itself is there in only one of them.
    ``before``: whether the condition is true, or the row is there, in the first of the two states.
    """

    rows: Rows
    condition: str
    term: Expr
    before: bool


class Reads:
    """Reads again."""

    def __init__(self, viewer: Viewer) -> None:
        self.viewer = viewer
        about = {function.name: function.about for function in viewer.system.system.functions}
        self._own: dict[Elem, list[int]] = {}
        self._versions: dict[Elem, list[int]] = {}
        for number, cell in enumerate(viewer.system.cells[:-1]):
            if cell.args and cell.args[0].sort in viewer.roles and about[cell.function][:1] != ("lock",):
                self._own.setdefault(cell.args[0], []).append(number)
            if about[cell.function][:1] in {("writer",), ("pending",), ("plive",)}:
                self._versions.setdefault(cell.args[0], []).append(number)
        self.tables_of = {
            name: words[1]
            for name, words in about.items()
            if words[:1] in {("committed",), ("pending",), ("live",), ("plive",), ("writer",)}
        }

    def at_its_place(self, actor: Elem, before: State, state: State) -> State:
        """``state``, where the process still is as it was in ``before``: its place, its variables, what it had not committed."""
        mixed = list(state)
        for number in self._own.get(actor, ()):
            mixed[number] = before[number]
        for row, cells in self._versions.items():
            about = "writer", row.sort
            name = self.viewer.about[about].name if about in self.viewer.about else ""
            if name and self.viewer.system.value(state, name, (row,)) == actor:
                for number in cells:
                    mixed[number] = before[number]
        return tuple(mixed)

    def reading(self, action: GroundAction, state: State) -> Reading | None:
        """What the statement of an action gives back in a state; None for one that looks at no rows."""
        info = action.action.info
        if info.looked is None or action.actor is None:
            return None
        env = self.viewer.parameters(action)
        rows = None if info.returned is None else self._rows(info.returned, state, env)
        results = tuple((name, self.viewer.evaluate(term, state, env)) for name, term in info.results)
        affected = None if info.affected is None else self.viewer.evaluate(info.affected, state, env)
        return Reading((rows, results, affected), self._shown(action, rows, results))

    def _rows(self, witnesses: tuple[Witness, ...], state: State, env: Env) -> tuple[tuple[Value, ...], ...]:
        found = []
        for witness in witnesses:
            for inner in self._environments(witness.locals, env):
                if self.viewer.evaluate(witness.condition, state, inner) is True:
                    found.append(tuple(self.viewer.evaluate(value, state, inner) for value in witness.values))
        return tuple(found)

    def _shown(
        self, action: GroundAction, rows: tuple[tuple[Value, ...], ...] | None, results: tuple[tuple[str, Value], ...]
    ) -> str:
        assert action.actor is not None
        parts = []
        for name, value in results:
            shown = self.viewer.show(value)
            if rows is not None and ("rows", action.actor.sort, name) in self.viewer.about:
                cells = [", ".join(map(self.viewer.show, row)) for row in rows]
                shown = "{" + ", ".join(cell if len(rows[0]) == 1 else f"({cell})" for cell in cells) + "}"
            parts.append(f"{name} = {shown}")
        if not parts and rows is not None:
            parts.append("no row" if not rows else f"{len(rows)} row{'' if len(rows) == 1 else 's'}")
        return ", ".join(parts)

    def _environments(self, locals_: tuple[Local, ...], env: Env) -> Iterator[Env]:
        for chosen in product(*(self._values(item) for item in locals_)):
            yield {**env, **dict(zip(locals_, chosen, strict=True))}

    def _values(self, item: Local) -> list[Value]:
        domain = item.domain
        found: list[Value] = [None] if domain.nullable else []
        found.extend(domain.values)
        for sort in domain.sorts:
            found.extend(Elem(sort, number) for number in range(self.viewer.sizes[sort]))
        return found

    # ------------------------------------------------------------------------------------------------------ conditions

    def candidates(self, action: GroundAction, state: State) -> Iterator[tuple[Looked, Rows, bool, tuple[bool, ...]]]:
        """The rows that a statement may look at in a state: whether they are there, and which of its conditions are true."""
        env = self.viewer.parameters(action)
        for looked in action.action.info.looked or ():
            for inner in self._environments(looked.locals, env):
                rows = tuple((name, self.viewer.evaluate(row, state, inner)) for name, row in looked.rows)
                there = self.viewer.evaluate(looked.there, state, inner) is True
                truths = tuple(self.viewer.evaluate(term, state, inner) is True for _, term in looked.conditions)
                yield looked, rows, there, truths

    def flips(self, action: GroundAction, first: State, second: State) -> Iterator[Flip]:
        """Why the statement means other rows in the second state than in the first."""
        for one, other in zip(self.candidates(action, first), self.candidates(action, second), strict=True):
            looked, rows, there, truths = one
            _, _, there_too, truths_too = other
            if (there and all(truths)) == (there_too and all(truths_too)):
                continue
            if there != there_too:
                yield Flip(rows, "", looked.there, there)
                continue
            for (text, term), was, now in zip(looked.conditions, truths, truths_too, strict=True):
                if was != now:
                    yield Flip(rows, text, term, was)

    def tables(self, term: Expr) -> tuple[str, ...]:
        """The tables that a term reads, in order."""
        return tuple(sorted({self.tables_of[name] for name in functions_in([term]) if name in self.tables_of}))

    def label(self, rows: Rows, state: State) -> str:
        """The rows in words: ``backfill 1``."""
        return " with ".join(self.viewer.row_label(state, value) for _, value in rows if isinstance(value, Elem))
