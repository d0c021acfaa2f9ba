"""A ground system as a Promela model for SPIN.

The model is one process: a loop over the actions of the system, each an indivisible ``d_step``, so that the states of SPIN are
those of the system.  (G. J. Holzmann, *The SPIN Model Checker*, chapters 3 and 4; ``d_step``, ``do`` and ``never`` in the manual
pages.)  What is checked is chosen by a preprocessor symbol, ``spin -a -DCHECK_<name>``; without any, all that is reachable is
counted.

SPIN's own fairness is about processes, of which there is one here, and its LTL converter does not get through a fairness premise
for each process of the system.  For a leads-to property the ``never`` claim is therefore written as a Büchi automaton: it guesses
the row that stays pending, and then waits in turn for every fairness condition to be met once more.  With it the variable ``mover``
remembers whose action was the last one, and a step that does nothing stands for a run that ends.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import product

from txweave.export.kinds import Kinds
from txweave.export.names import Names, action_name, cell_name, comment, wrapped
from txweave.export.plan import MOVES, Crossing, Owner, Plan, Response, Transition
from txweave.export.promela_terms import Codes, Terms
from txweave.system import expr as x
from txweave.system.expr import Elem, Expr, Value
from txweave.system.ground import GroundProperty, GroundSystem

WIDTH = 120
STRONG = 4
"""The claim is written once for each set of strongly fair processes that are never enabled again: at most for so many."""

RESERVED = """
active assert atomic bit bool break byte chan d_step D_proctype do else empty enabled eval false fi full goto hidden if
init inline int len local ltl mtype nempty never nfull notrace np_ od of pc_value pid print printf printm priority
proctype provided return run short show skip STDIN timeout trace true typedef unless unsigned xr xs c_code c_decl c_expr
c_state c_track get_priority set_priority select for in always eventually until weakuntil release stronguntil implies
equivalent U W V X auto case char const continue default double enum extern float long register signed sizeof static
struct switch union void volatile while main max min now trpt uchar ushort uint ulong _p _pid _nr_pr _last _n _a _t _t1
_cnt NULL LIVENESS mover moved nobody passing once everything
"""
"""Words that are taken: by the language, and by what is written around the names."""


@dataclass(frozen=True)
class PromelaExport:
    """The model.

    ``files``: name and text of each.  ``refused``: what could not be said in Promela, one sentence each.  ``assertions``,
    ``claims`` and ``bounds``: the name of each property that is exported (of each bound), and the symbol that selects it:
    an assertion (safety, also breadth first), a ``never`` claim (cycles).  ``vector``: bytes that a state surely fits in, for
    SPIN's ``VECTORSZ``.
    """

    files: tuple[tuple[str, str], ...]
    refused: tuple[str, ...]
    assertions: tuple[tuple[str, str], ...]
    claims: tuple[tuple[str, str], ...]
    bounds: tuple[tuple[str, str], ...]
    vector: int


def render(system: GroundSystem, title: str) -> PromelaExport:
    """A ground system as a Promela model; ``title`` (one line or several) heads the model.

    Raises:
        ExportError: values of different types meet, or do not fit in Promela's integers.
    """
    return _Model(Plan(system), title).export()


class _Model:
    """One model being written."""

    def __init__(self, plan: Plan, title: str) -> None:
        self.plan, self.title = plan, title
        self.names = Names(RESERVED)
        self.file = f"{self.names.give(plan.system.system.name)}.pml"
        self.variables = [self.names.give(cell_name(cell)) for cell in plan.cells]
        self.responses = {item: list(plan.responses(item)) for item in plan.system.properties if item.kind == "leads_to"}
        self.codes = Codes(plan.cells, self._roots(), self.names)
        self.terms = Terms(Kinds(plan.cells), self.codes, self.variables)
        self.refused: list[str] = []
        self.absent: set[str] = set()
        self.assertions: list[tuple[str, str]] = []
        self.claims: list[tuple[str, str]] = []
        self.bounds: list[tuple[str, str]] = []
        self.conditions: dict[Transition | Crossing, str] = {}
        keys = dict.fromkeys((owner.process, owner.moves) for owner in plan.owners)
        self.movers = {key: number for number, key in enumerate(keys, 1)}
        self.passing = len(self.movers) + 1
        self.once = len(self.movers) + 2

    def _roots(self) -> Iterable[Expr]:
        """Every expression that will be written."""
        for transition in self.plan.transitions:
            yield transition.guard
            yield from (body for _, body in transition.updates)
        yield from (crossing.guard for crossing in self.plan.crossings)
        yield from (owner.owed for owner in self.plan.owners)
        yield self.plan.finished
        for item in self.plan.system.properties:
            if item.rows is not None:
                yield item.rows.some
        for responses in self.responses.values():
            for response in responses:
                yield from (response.rows, response.goal)

    def export(self) -> PromelaExport:
        """Everything."""
        self._refuse()
        self._symbols()
        options = [self._option(transition) for transition in self.plan.transitions]
        checks = self._assertions()
        claims = self._claims()
        parts = [
            *self._header(),
            "",
            *self.codes.definitions(),
            "",
            *self._variables(),
            "",
            *self._predicates(),
            "active proctype everything() {",
            "end:",
            "do",
            *(line for option in options or [[":: false -> skip /* nothing ever happens */"]] for line in option),
            *self._stutter(),
            *checks,
            "od",
            "}",
            *claims,
            "",
        ]
        return PromelaExport(
            ((self.file, "\n".join(parts)),),
            tuple(self.refused),
            tuple(self.assertions),
            tuple(self.claims),
            tuple(self.bounds),
            max(1024, 256 + 4 * len(self.plan.cells)),
        )

    # ------------------------------------------------------------------------------------------------------------ header

    def _refuse(self) -> None:
        strong = sum(owner.kind == "strong" for owner in self.plan.owners)
        for item in self.plan.system.properties:
            if item.kind == "always_possible":
                self._refusal(item, "that something stays possible (always_possible) is a branching-time property")
            elif item.kind == "leads_to" and strong > STRONG:
                parts = f"a claim of 2^{strong} parts, which is too large"
                self._refusal(item, f"strong fairness of {strong} processes takes {parts}")
            elif item.kind == "deadlock" and self._timed_deadlock:
                self._refusal(item, "whether a process can move after any time is no condition on one state")

    def _refusal(self, item: GroundProperty, why: str) -> None:
        self.absent.add(item.name)
        self.refused.append(f"{item.name}: {why}")

    @property
    def _timed_deadlock(self) -> bool:
        return bool(self.plan.ticks) or self.plan.tick_crossings is not x.FALSE

    def _header(self) -> list[str]:
        lines = [
            *self.title.splitlines(),
            "",
            "Count the states, breadth first (no reduction, no hash compaction; -o2: what is never read is part of a state):",
        ]
        lines += [
            f"  spin -a -o1 -o2 {self.file} && gcc -O2 -DSAFETY -DNOREDUCE -DBFS -o pan pan.c && ./pan",
            "One property by its symbol (the last transition of the counterexample is the assertion; spin -t prints it):",
            f"  spin -a -o1 -o2 -DCHECK_... {self.file} && gcc -O2 -DSAFETY -DNOREDUCE -DBFS -o pan pan.c && ./pan",
        ]
        lines += [f"    -D{symbol}   {name}" for name, symbol in (*self.assertions, *self.bounds)]
        if self.claims:
            lines.append("Leads-to properties, under fairness (the claim has it; not pan -f):")
            lines.append(f"  spin -a -o1 -o2 -DCHECK_... {self.file} && gcc -O2 -DNOREDUCE -o pan pan.c && ./pan -a -m1000000")
            lines += [f"    -D{symbol}   {name}" for name, symbol in self.claims]
        if self.plan.crossings:
            lines += [
                "",
                "What leads beyond a bound is no transition here: CHECK_within_... asserts that no such move is possible.",
            ]
        if self.plan.system.system.assumptions:
            lines += ["", "Assumptions:", *(f"  {line}" for line in self.plan.system.system.assumptions)]
        if self.refused:
            lines += ["", "Not in this model:", *(f"  {line}" for line in self.refused)]
        return ["/*", *(f" * {line}".rstrip() for line in wrapped(lines, WIDTH - 3)), " */"]

    def _symbols(self) -> None:
        """A symbol for everything that can be checked."""
        symbols = self.names
        for item in self.plan.system.properties:
            if item.name in self.absent:
                continue
            if item.kind in ("never", "deadlock"):
                self.assertions.append((item.name, symbols.give(item.name, "CHECK_")))
            elif item.kind == "leads_to":
                self.claims.append((item.name, symbols.give(item.name, "CHECK_")))
        self.bounds = [(bound, symbols.give(f"within {bound}", "CHECK_")) for bound in self.plan.bounds]

    def _variables(self) -> list[str]:
        lines: list[str] = []
        for cell, variable in zip(self.plan.cells, self.variables, strict=True):
            values = ", ".join(self.codes.text(value) for value in cell.domain)
            about = textwrap.shorten(f"{comment(cell.name)}: {values}", WIDTH, placeholder=" ...")
            lines.append(f"{self.codes.declare(cell, variable)} /* {about} */")
        saved = max((len(_order(t)[1]) for t in self.plan.transitions), default=0)
        lines += [f"int {_old(number)} = 0; /* used within a step, 0 in every state */" for number in range(saved)]
        if self.claims:
            symbols = " || ".join(f"defined({symbol})" for _, symbol in self.claims)
            lines += [
                "",
                f"#if {symbols}",
                f"unsigned mover : {self.once.bit_length()} = 0; /* whose action was the last one */",
                "#define moved(who) mover = who",
                "#define LIVENESS",
                "#else",
                "#define moved(who) skip",
                "#endif",
                "#define nobody 0",
                *(self._mover_line(key, number) for key, number in self.movers.items()),
                f"#define passing {self.passing} /* of time */",
                f"#define once {self.once} /* an action that does not recur for ever */",
            ]
        return lines

    def _mover_line(self, key: tuple[Elem, str], number: int) -> str:
        process, moves = key
        about = f"{process}" if moves == "step" else f"the server, at the expense of {process}"
        return f"#define by__{number} {number} /* {comment(about)} */"

    def _who(self, owner: Owner) -> str:
        """The value of ``mover`` after a move of this owner."""
        return f"by__{self.movers[owner.process, owner.moves]}"

    def _enabled(self, owner: Owner) -> str:
        """That the owner can move, and is owed it."""
        return f"enabled__{self.plan.owners.index(owner) + 1}"

    # ------------------------------------------------------------------------------------------------------- transitions

    def _option(self, transition: Transition) -> list[str]:
        """One alternative of the loop.  The new values are all of the state before."""
        action = transition.action
        note = action.action.info.note
        about = f"{action.name}, {action.kind}{f', {note}' if note else ''}"
        guard = " && ".join(self.terms.write(part) for part in transition.conjuncts) or "true"
        order, saved = _order(transition)
        bodies = dict(transition.updates)
        kept: dict[Expr, str] = {x.cell(cell): _old(number) for number, cell in enumerate(saved)}
        can = self._condition(transition)
        lines = [f"/* {comment(about)} */", f"#define {can} ({guard})", f":: d_step {{ {can} ->"]
        lines += [f"     {name} = {self.variables[cell]};" for cell, name in zip(saved, kept.values(), strict=True)]
        lines += [f"     {self.variables[cell]} = {self.terms.write(bodies[cell], kept)};" for cell in order]
        lines += [f"     {name} = 0;" for name in kept.values()]
        if self.claims:
            lines.append(f"     moved({self._mover(transition)});")
        lines.append(f'     printf("{comment(action.name).replace("%", "%%")}\\n") }}')
        return lines

    def _condition(self, move: Transition | Crossing) -> str:
        """What the guard of a move is called."""
        if move not in self.conditions:
            beyond = f" beyond {move.bound}" if isinstance(move, Crossing) else ""
            self.conditions[move] = self.names.give(f"{action_name(move.action)}{beyond}", "can_")
        return self.conditions[move]

    def _some(self, moves: Iterable[Transition | Crossing]) -> str:
        """That one of these moves is possible."""
        return "(" + (" || ".join(map(self._condition, moves)) or "false") + ")"

    def _mover(self, transition: Transition) -> str:
        if not transition.action.action.recurs:
            return "once"
        for owner in self.plan.owners:
            if transition in owner.transitions:
                return self._who(owner)
        return "passing" if transition.action.kind == "tick" else "nobody"

    def _stutter(self) -> list[str]:
        """Nothing happens: a run may end where nothing that is owed is possible, and where time stops nobody moves or ticks.

        Without it SPIN would repeat the last state, ``mover`` included, for ever.
        """
        if not self.claims:
            return []
        return ["#ifdef LIVENESS", "/* nothing happens, perhaps for ever */", ":: d_step { true -> moved(nobody) }", "#endif"]

    # -------------------------------------------------------------------------------------------------------- properties

    def _predicates(self) -> list[str]:
        """Conditions that assertions and claims use."""
        lines: list[str] = []
        for crossing in self.plan.crossings:
            lines.append(f"/* {comment(crossing.action.name)}: would lead beyond the bound {comment(crossing.bound)} */")
            lines.append(f"#define {self._condition(crossing)} {self.terms.write(crossing.guard)}")
        if self.claims:
            for owner in self.plan.owners:
                owed = "" if owner.owed is x.TRUE else f"{self.terms.write(owner.owed)} && "
                moves = self._some((*owner.transitions, *owner.crossings))
                lines.append(f"#define {self._enabled(owner)} ({owed}{moves})")
        return [*lines, ""] if lines else []

    def _assertions(self) -> list[str]:
        lines: list[str] = []
        symbols = dict(self.assertions)
        for item in self.plan.system.properties:
            if item.name in symbols and item.kind in ("never", "deadlock"):
                bad = self._stuck() if item.kind == "deadlock" else self._row(item)
                lines += self._assertion(symbols[item.name], f"{item.name} ({item.kind})", bad)
        for bound, symbol in self.bounds:
            lines += self._assertion(
                symbol, f"no move leads beyond the bound {bound}", self._some(c for c in self.plan.crossings if c.bound == bound)
            )
        return lines

    def _assertion(self, symbol: str, about: str, bad: str) -> list[str]:
        return [f"#ifdef {symbol}", f"/* {comment(about)} */", f":: d_step {{ {bad} -> assert(false) }}", "#endif"]

    def _row(self, item: GroundProperty) -> str:
        assert item.rows is not None
        return self.terms.write(item.rows.some)

    def _stuck(self) -> str:
        """No process can move, and not all have finished."""
        moves: tuple[Transition | Crossing, ...] = (*self.plan.transitions, *self.plan.crossings)
        return f"!{self._some(m for m in moves if m.action.kind in MOVES)} && !{self.terms.write(self.plan.finished)}"

    # ------------------------------------------------------------------------------------------------------------ claims

    def _claims(self) -> list[str]:
        lines: list[str] = []
        symbols = dict(self.claims)
        for item, responses in self.responses.items():
            if item.name in symbols:
                lines += ["", f"#ifdef {symbols[item.name]}", *self._claim(item, responses), "#endif"]
        return lines

    def _claim(self, item: GroundProperty, responses: Sequence[Response]) -> list[str]:
        title = f": {item.source.title}" if item.source.title else ""
        lines = [f"/* {comment(f'{item.name} ({item.kind}){title}')} */"]
        for number, response in enumerate(responses):
            label = ", ".join(self._label(value) for value in response.values)
            lines += [
                f"/* the row ({comment(label)}) */",
                f"#define row__{number} {self.terms.write(response.rows)}",
                f"#define pending__{number} (!{self.terms.write(response.goal)})",
            ]
        lines += ["never {", "do", ":: true"]
        lines += [f":: row__{number} && pending__{number} -> goto wait__{number}" for number in range(len(responses))]
        if not responses:
            lines += [":: false -> goto accept__never /* there is never a row */", "od;", "accept__never:", "do", ":: false"]
        lines.append("od;")
        for number in range(len(responses)):
            lines += self._pending(number)
        lines.append("}")
        return lines

    def _label(self, value: Value) -> str:
        return "NULL" if value is None else str(value)

    def _pending(self, number: int) -> list[str]:
        """The row is pending for ever; from some point on only what recurs happens, and every fairness is met for ever."""
        weak = [owner for owner in self.plan.owners if owner.kind == "weak"]
        strong = [owner for owner in self.plan.owners if owner.kind == "strong"]
        always = [f"pending__{number}"] + (["mover != once"] if self.plan.once else [])
        lines = [f"wait__{number}:", "do", f":: pending__{number}"]
        rounds: list[str] = []
        for place, quiet in enumerate(product((False, True), repeat=len(strong))):
            never = [f"!{self._enabled(owner)}" for owner, off in zip(strong, quiet, strict=True) if off]
            stay = " && ".join([*always, *never])
            goals = [f"(!{self._enabled(owner)} || mover == {self._who(owner)})" for owner in weak]
            goals += [f"(mover == {self._who(owner)})" for owner, off in zip(strong, quiet, strict=True) if not off]
            if self.plan.system.timed:
                goals.append("(mover == passing)")
            start = f"round__{number}_{place}"
            lines.append(f":: {stay} -> goto {start}_0")
            for step, goal in enumerate(goals):
                following = f"{start}_{step + 1}" if step < len(goals) - 1 else f"accept__{number}_{place}"
                rounds += [f"{start}_{step}:", "do", f":: {stay} && !{goal}", f":: {stay} && {goal} -> goto {following}", "od;"]
            accept = f"accept__{number}_{place}" if goals else f"{start}_0:\naccept__{number}_{place}"
            rounds += [f"{accept}:", "do", f":: {stay} -> goto {start}_0", "od;"]
        return [*lines, "od;", *rounds]


def _old(number: int) -> str:
    return f"old__{number}"


def _order(transition: Transition) -> tuple[list[int], list[int]]:
    """An order of assignment in which no cell is overwritten before it is read, and the cells for which that takes a copy."""
    reads = {cell: _read(body) - {cell} for cell, body in transition.updates}
    order: list[int] = []
    saved: list[int] = []
    while reads:
        needed = set[int]().union(*reads.values()) - set(saved)
        free = [cell for cell in reads if cell not in needed]
        if not free:
            saved.append(next(cell for cell in reads if cell in needed))
            continue
        order += free
        for cell in free:
            del reads[cell]
    return order, saved


def _read(body: Expr) -> set[int]:
    seen: set[Expr] = set()
    stack, cells = [body], set[int]()
    while stack:
        node = stack.pop()
        if node not in seen:
            seen.add(node)
            if isinstance(node, x.Cell):
                cells.add(node.index)
            stack.extend(x.children(node))
    return cells
