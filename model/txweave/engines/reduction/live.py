"""Live variables, by the places of all processes: which cells of a state can still make a difference.

Classical backward liveness (Aho, Lam, Sethi, Ullman, *Compilers*, 9.2.5), on the ground system and for cells of every kind: the
program's variables, columns of tables, kept clocks.  A cell is *live for a process at a place* when from there the process may read
it before it writes it; it is live in a state when it is live for some process at its place, or when a query of a property reads it.

**Why it is sound.**  Let two states be alike when they agree on all cells that are live in them; the places themselves always are,
so that alike states have the same live cells.  This is a bisimulation that keeps the names of the actions:

- An action reads, in its guard, only cells that are live where its process is: it is enabled in both states or in neither, and
  leads out of bounds from both or from neither.
- After it the states are alike again.  A cell that it writes and that is live afterwards gets a term that reads live cells only (a
  term for a cell that is not is no reading), so the same value.  A cell that it does not write and that is live afterwards was live
  before: for the process that moves, because liveness flows back along its steps; for another one, because it stays at its place.
- A property's query reads live cells only.  A condition that asks for a process to be at certain places is read at these only.

So both have the same runs, action by action, and the first to be alike to a state is as far from the initial state as that one.
Nothing is said about when a *state* recurs: a loop of states that are alike may need another round until it comes back to where it
began.  The shortest lasso of a ``leads_to`` is therefore looked for among all states.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from txweave.engines.explicit.facts import in_order
from txweave.engines.explicit.program import DISPATCH, Program
from txweave.system import expr as x
from txweave.system.expr import Expr
from txweave.system.ground import GroundProperty, GroundSystem


@dataclass(frozen=True)
class Live:
    """The bits of a packed state that matter: ``always``, and for each place of each process those of ``tables``.

    ``tables``: the cell with a process's place, and for each of its codes the bits.
    """

    always: int
    tables: tuple[tuple[int, tuple[int, ...]], ...]


@dataclass(frozen=True)
class _Edge:
    """An action of a process, from its places ``sources`` to ``targets``."""

    sources: tuple[int, ...]
    targets: tuple[int, ...]
    guard: int
    writes: tuple[tuple[int, int], ...]
    """The bit of each cell that is written, and the bits of the cells that its term reads."""
    kept: int
    """The bits of the cells that keep their value."""


class _Cells:
    """Sets of cells as bits of integers."""

    def __init__(self) -> None:
        self.memo: dict[Expr, int] = {}

    def read(self, *nodes: Expr) -> int:
        """The cells that occur in expressions."""
        for node in in_order(nodes, self.memo):  # type: ignore[arg-type]
            found = 1 << node.index if isinstance(node, x.Cell) else 0
            for child in x.children(node):
                found |= self.memo[child]
            self.memo[node] = found
        result = 0
        for node in nodes:
            result |= self.memo[node]
        return result


class Liveness:
    """The analysis of one system, for some of its properties.  Sets of cells are bits of integers."""

    def __init__(self, program: Program, properties: Iterable[GroundProperty]) -> None:
        self.program = program
        self.ground = program.ground
        self.layout = program.layout
        self.cells = _Cells()
        self.places = places(self.ground)
        """The cells with the processes' places."""
        self.control = 0
        for cell in self.places.values():
            self.control |= 1 << cell
        self.always = self.control
        self.live: dict[int, list[int]] = {c: [0] * len(self.layout.fields[c].codes.boxes) for c in self.places.values()}
        """For each process's cell: the cells that are live at each of its places."""
        self.edges: dict[int, list[_Edge]] = {c: [] for c in self.places.values()}
        self.ticks: list[tuple[int, int]] = []
        """What actions of no process write: the cell, and those that its term reads."""
        for action in self.ground.actions:
            self._action(action.index)
        for item in properties:
            for row in (row for rows in (item.rows, item.goal) if rows is not None for row in rows.rows):
                # The values are read where the condition holds.
                self._observe(row.condition, self.cells.read(*row.values))
        for condition in (*(f.owed for f in self.ground.fairness), *(condition for _, condition in self.ground.finished)):
            self._observe(condition, 0)
        self._solve()

    # ----------------------------------------------------------------------------------------------------- what is read

    def _observe(self, node: Expr, more: int) -> None:
        """A condition is asked; where it holds, ``more`` is read too."""
        if isinstance(node, x.Or):
            for operand in node.operands:
                self._observe(operand, more)
            return
        read = self.cells.read(node) | more
        found = self._restricted(node.operands if isinstance(node, x.And) else (node,))
        if not found:
            self.always |= read
            return
        cell, codes = min(found.items(), key=lambda item: (len(item[1]) / len(self.live[item[0]]), item[0]))
        for code in codes:
            self.live[cell][code] |= read

    def _restricted(self, conjuncts: Sequence[Expr]) -> dict[int, frozenset[int]]:
        """The places that conjuncts ask for."""
        facts = self.program.translator.facts
        facts.learn(conjuncts)
        found: dict[int, frozenset[int]] = {}
        for conjunct in conjuncts:
            allowed = facts.allowed(conjunct, DISPATCH)
            if allowed is not None and allowed[0] in self.live:
                cell, codes = allowed
                found[cell] = found[cell] & codes if cell in found else codes
        return found

    def _action(self, number: int) -> None:
        action = self.ground.actions[number]
        facts = self.program.translator.facts
        conjuncts = self.program.conjuncts(action.guard)
        where = self._restricted(conjuncts)
        guard = self.cells.read(*conjuncts)
        updates = dict(action.updates)
        writes = tuple((1 << cell, self.cells.read(body)) for cell, body in updates.items())
        moved = [cell for cell in self.live if cell in updates]
        home = self.places.get(action.actor)
        if home is None or any(cell != home for cell in moved):
            # The action of no process, or one that moves another: whatever it reads is live everywhere.
            self.always |= guard
            self.ticks += writes
            if moved:
                for _, read in writes:
                    self.always |= read
                for cell in moved:
                    every = tuple(range(len(self.live[cell])))
                    self.edges[cell].append(_Edge(every, every, 0, (), -1))
            return
        every = tuple(range(len(self.live[home])))
        sources = tuple(sorted(where.get(home, every)))
        targets = sources
        if home in updates:
            codes = self.layout.fields[home].codes
            possible = facts.possible[updates[home]]
            targets = tuple(sorted(codes.of[v] for v in possible if v in codes.of)) if possible is not None else every
        kept = -1
        for bit, _ in writes:
            kept &= ~bit
        # A process that stays may be at any of the sources before and after: one edge for each.
        if home in updates:
            self.edges[home].append(_Edge(sources, targets, guard, writes, kept))
        else:
            self.edges[home].extend(_Edge((s,), (s,), guard, writes, kept) for s in sources)

    # -------------------------------------------------------------------------------------------------------- solution

    def _solve(self) -> None:
        """The least solution."""
        changed = True
        while changed:
            changed = False
            anywhere = self.always
            ever = dict.fromkeys(self.live, 0)
            for cell, table in self.live.items():
                for bits in table:
                    ever[cell] |= bits
            for own, edges in self.edges.items():
                others = anywhere
                for cell, bits in ever.items():
                    if cell != own:
                        others |= bits
                table = self.live[own]
                for edge in edges:
                    after = 0
                    for target in edge.targets:
                        after |= table[target]
                    wanted = edge.guard | after & edge.kept
                    for bit, read in edge.writes:
                        if (after | others) & bit:
                            wanted |= read
                    for source in edge.sources:
                        if wanted & ~table[source] & ~self.always:
                            table[source] |= wanted
                            changed = True
            changed |= self._ticks()

    def _ticks(self) -> bool:
        """What an action of no process reads for a cell is live wherever that cell is."""
        changed = False
        for bit, read in self.ticks:
            if self.always & bit:
                if read & ~self.always:
                    self.always |= read
                    changed = True
                continue
            for table in self.live.values():
                for code, bits in enumerate(table):
                    if bits & bit and read & ~bits & ~self.always:
                        table[code] |= read
                        changed = True
        return changed

    # ---------------------------------------------------------------------------------------------------------- result

    def result(self) -> Live:
        """The bits that matter."""
        tables = []
        for cell, table in self.live.items():
            tables.append((cell, tuple(self._bits(bits & ~self.always) for bits in table)))
        return Live(self._bits(self.always), tuple(tables))

    def _bits(self, cells: int) -> int:
        found = 0
        for number, field in enumerate(self.layout.fields):
            if cells >> number & 1:
                found |= field.mask << field.shift
        return found


def places(ground: GroundSystem) -> dict[object, int]:
    """For each process the number of the cell with its place."""
    about = {function.name: function.about for function in ground.system.functions}
    return {
        cell.args[0]: number
        for number, cell in enumerate(ground.cells)
        if len(cell.args) == 1 and about.get(cell.function, ())[:1] == ("pc",)
    }


def live(program: Program, properties: Iterable[GroundProperty]) -> Live | None:
    """The bits of states that matter for these properties; None when all of them always do."""
    found = Liveness(program, properties).result()
    whole = 0
    for field in program.layout.fields:
        whole |= field.mask << field.shift
    return None if found.always == whole else found
