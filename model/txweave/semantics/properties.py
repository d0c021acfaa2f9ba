"""Properties: queries over the committed state, with the roles as tables."""

from __future__ import annotations

from collections.abc import Mapping

from txweave.semantics.code import Code
from txweave.semantics.context import World
from txweave.semantics.relations import Reader, Relations
from txweave.semantics.symbolic import State
from txweave.semantics.terms import Env
from txweave.sql import program as bound
from txweave.sql import tree
from txweave.system import expr as x
from txweave.system.expr import Expr
from txweave.system.sorted import Point, Property, Rows, Witness


class Observer:
    """Sees what a new session would see, and every process's status, step and variables."""

    def __init__(
        self, world: World, model: bound.BoundModel, codes: Mapping[str, Code], points: Mapping[str, dict[str, Point]]
    ) -> None:
        self.world = world
        self.model = model
        self.codes = codes
        self.points = points
        self.state = State(world.functions)

    def rows(self, query: tree.Query) -> Rows:
        """The rows of a property's query."""
        reader = Reader(self._sort, self._live, self._column)
        relations = Relations(self.world.terms, reader)

        def nothing(*_: object) -> Expr:
            raise AssertionError("a property reads no variables")

        env = Env(self.world.terms, nothing, nothing, lambda _kind: x.const(0), relations.query)
        result = relations.query(query, env)
        witnesses = tuple(Witness(b.locals, b.condition, b.columns) for b in result.branches if b.condition is not x.FALSE)
        return Rows(tuple(o.name for o in query.outputs), witnesses)

    def _is_role(self, name: str) -> bool:
        return name not in self.model.schema.tables

    def _sort(self, name: str) -> str:
        if self._is_role(name) and name not in self.codes:
            return next(iter(self.codes))  # a role that is absent from the scenario: an empty table over any sort
        return name

    def _live(self, name: str, row: Expr) -> Expr:
        if self._is_role(name):
            return x.TRUE if name in self.codes else x.FALSE
        return self.world.storage.live(self.state, name, row)

    def _column(self, name: str, column: str, row: Expr) -> Expr:
        if not self._is_role(name):
            return self.world.storage.committed(self.state, name, column, row)
        if name not in self.codes:
            return x.NULL
        if column == "id":
            return row
        pc = x.apply(f"{name}.~pc", row)
        if column in ("status", "step"):
            return self._by_place(name, pc, column)
        functions = self.world.functions.functions
        term: Expr = x.NULL
        for variable, owner in self.codes[name].owner.items():
            if variable.removeprefix(f"{owner}.") == column and f"{name}.{variable}" in functions:
                value = x.apply(f"{name}.{variable}", row)
                term = value if term is x.NULL else x.ite(self.world.terms.is_null(value), term, value)
        return term

    def _by_place(self, role: str, pc: Expr, column: str) -> Expr:
        """The status or step as a case over places; the commonest value comes last, as the default."""
        groups: dict[str, list[str]] = {}
        for place, point in self.points[role].items():
            groups.setdefault(point.status if column == "status" else point.step, []).append(place)
        ordered = sorted(groups.items(), key=lambda item: (len(item[1]), item[0]))
        if not ordered:
            return x.NULL
        result: Expr = x.const(ordered[-1][0] or None)
        for value, places in reversed(ordered[:-1]):
            here = x.disj(*(x.equal(pc, x.const(p)) for p in sorted(places)))
            result = x.ite(here, x.const(value or None), result)
        return result

    def property(self, item: bound.BoundProperty) -> Property:
        """A property of the sorted system."""
        match item.formula:
            case bound.BoundNever(query):
                return Property(item.name, "never", self.rows(query), None, item.title, item.span)
            case bound.BoundLeadsTo(whenever, eventually):
                goal = None if eventually is None else self.rows(eventually)
                return Property(item.name, "leads_to", self.rows(whenever), goal, item.title, item.span)
            case bound.BoundAlwaysPossible(query):
                return Property(item.name, "always_possible", self.rows(query), None, item.title, item.span)
            case bound.BoundDeadlockFree():
                return Property(item.name, "deadlock", None, None, item.title, item.span)
        raise AssertionError(item)
