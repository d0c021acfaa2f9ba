"""A ground system as a TLA+ module with TLC configurations.

The language and its fairness operators: L. Lamport, *Specifying Systems*, chapters 8 and 16.  Every action of the system is one
action of the module; it has no quantifiers, and its guard is no bare disjunction, so that TLC generates each transition once.

Two things need care, for ``<<A>>_vars`` is no step that changes nothing, while a process may well move from a state to the same
state, and time may pass without anybody getting older in a way that matters.  Where that can happen there is a variable
``again``, constant for safety (``Liveness = FALSE``), that such actions flip for liveness.  And a move beyond a bound is no
transition, but makes the process able to move: ``WF_vars`` would ask whether a step within the bounds is possible; there the
definition of fairness is written out.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from txweave.export.names import Names, action_name, cell_name, comment, wrapped
from txweave.export.plan import MOVES, Crossing, Owner, Plan, Transition
from txweave.export.tla_terms import HELPERS, Terms
from txweave.system import expr as x
from txweave.system.expr import Expr
from txweave.system.ground import GroundProperty, GroundRows, GroundSystem

WIDTH = 120
RESERVED = """
ACTION ASSUME ASSUMPTION AXIOM BY CASE CHOOSE CONSTANT CONSTANTS COROLLARY DEF DEFINE DEFS DOMAIN ELSE ENABLED EXCEPT
EXTENDS HAVE HIDE IF IN INSTANCE LAMBDA LEMMA LET LOCAL MODULE NEW OBVIOUS OMITTED ONLY OTHER PICK PROOF PROPOSITION
PROVE QED RECURSIVE SF STATE SUBSET SUFFICES TAKE TEMPORAL THEN THEOREM UNCHANGED UNION USE VARIABLE VARIABLES WF WITH
WITNESS TRUE FALSE BOOLEAN STRING Nat Int Integers Naturals Spec LiveSpec Init Next Fairness vars again Liveness NULL
Rank Before Plus Minus Times Tick Recurring Once Time AnyMove CanMove AllFinished Quiet seen now a b v
"""
"""Words that are taken: by the language, and by what is written around the names."""


@dataclass(frozen=True)
class TlaExport:
    """The module and its configurations.

    ``files``: name and text of each, the module first.  ``refused``: what could not be said in TLA+ or TLC, one sentence each.
    ``invariants`` and ``temporal``: the name of each property that is exported, and what it is called in the module.
    ``bounds``: each bound, and the invariant that it is not crossed.  ``constants``: lines for a configuration;
    ``hides``: whether the constant ``Liveness`` is wanted besides.
    """

    files: tuple[tuple[str, str], ...]
    refused: tuple[str, ...]
    module: str
    invariants: tuple[tuple[str, str], ...]
    temporal: tuple[tuple[str, str], ...]
    bounds: tuple[tuple[str, str], ...]
    constants: tuple[str, ...]
    hides: bool

    def config(self, invariants: Iterable[str] = (), temporal: Iterable[str] = ()) -> str:
        """A TLC configuration that checks these (by their names in the module); fairness only where something is temporal."""
        live = tuple(temporal)
        lines = [f"SPECIFICATION {'LiveSpec' if live else 'Spec'}", "CONSTANTS"]
        lines += [f"  {line}" for line in self.constants]
        if self.hides:
            lines.append(f"  Liveness = {'TRUE' if live else 'FALSE'}")
        for word, names in (("INVARIANT", tuple(invariants)), ("PROPERTY", live)):
            if names:
                lines += [word, *(f"  {name}" for name in names)]
        return "\n".join(lines) + "\n"


def render(system: GroundSystem, title: str) -> TlaExport:
    """A ground system as a TLA+ module and TLC configurations; ``title`` (one line or several) heads the module.

    Raises:
        ExportError: values of different types meet, so that TLC could not compare them.
    """
    return _Module(Plan(system), title).export()


class _Module:
    """One module being written."""

    def __init__(self, plan: Plan, title: str) -> None:
        self.plan, self.title = plan, title
        self.names = Names(RESERVED)
        self.module = self.names.give(plan.system.system.name)
        self.variables = [self.names.give(cell_name(cell)) for cell in plan.cells]
        self.terms = Terms(plan.cells, self.variables, self.names)
        self.refused: list[str] = []
        self.called: dict[Transition, str] = {}
        self.groups = self._groups()
        self.invariants: list[tuple[str, str]] = []
        self.temporal: list[tuple[str, str]] = []
        self.bounds: list[tuple[str, str]] = []

    def export(self) -> TlaExport:
        """Everything."""
        parts = [self._variables(), self._init(), self._actions(), self._fairness(), self._properties(), self._bounds()]
        constants = [("NULL", "nothing, nobody")]
        constants += [(name, comment(str(element))) for element, name in sorted(self.terms.elements.items())]
        head = [f"---- MODULE {self.module} ----", *self._header(), "EXTENDS Integers", ""]
        head += ["CONSTANTS"]
        listed = [*constants, *([("Liveness", "whether moves that change nothing are made visible")] if self.plan.hides else [])]
        for place, (name, about) in enumerate(listed):
            head.append(f"  {name}{',' if place < len(listed) - 1 else ''} \\* {about}")
        text = "\n".join([*head, "", self._helpers(), *parts, "====", ""])
        result = TlaExport(
            (),
            tuple(self.refused),
            self.module,
            tuple(self.invariants),
            tuple(self.temporal),
            tuple(self.bounds),
            tuple(f"{name} = {name}" for name, _ in constants),
            self.plan.hides,
        )
        files = [(f"{self.module}.tla", text), (f"{self.module}.cfg", result.config(n for _, n in self.invariants))]
        if self.temporal:
            files.append((f"{self.module}_live.cfg", result.config((), (n for _, n in self.temporal))))
        if self.bounds:
            files.append((f"{self.module}_bounds.cfg", result.config(n for _, n in self.bounds)))
        return TlaExport(
            tuple(files),
            result.refused,
            result.module,
            result.invariants,
            result.temporal,
            result.bounds,
            result.constants,
            result.hides,
        )

    # ------------------------------------------------------------------------------------------------------------ header

    def _header(self) -> list[str]:
        run = f"  java -cp tla2tools.jar tlc2.TLC -deadlock -workers auto -config {self.module}"
        lines = [*self.title.splitlines(), ""]
        lines += ["Safety with TLC; its distinct states are those of txweave (-deadlock: that processes end is no error):"]
        lines += [f"{run}.cfg {self.module}"]
        if any(item.kind == "leads_to" for item in self.plan.system.properties):
            lines += ["Leads-to properties, under fairness:", f"{run}_live.cfg {self.module}"]
        if self.plan.crossings:
            lines += [
                "Whether a bound is hit (what leads beyond a bound is no step here; Within_... says that no such move is possible):"
            ]
            lines += [f"{run}_bounds.cfg {self.module}"]
        assumptions = self.plan.system.system.assumptions
        if assumptions:
            lines += ["", "Assumptions:", *(f"  {line}" for line in assumptions)]
        refused = [f"  {line}" for line in self._refusals()]
        if refused:
            lines += ["", "Not in this module:", *refused]
        return [f"\\* {line}".rstrip() for line in wrapped(lines, WIDTH - 3)]

    def _refusals(self) -> list[str]:
        self.refused = [
            f"{item.name}: that something stays possible (always_possible) is a branching-time property"
            for item in self.plan.system.properties
            if item.kind == "always_possible"
        ]
        return self.refused

    # --------------------------------------------------------------------------------------------------------- variables

    def _groups(self) -> list[tuple[str, tuple[int, ...]]]:
        """Cells of one function, several of them, under one name: for UNCHANGED."""
        of: dict[str, list[int]] = {}
        for number, cell in enumerate(self.plan.cells):
            of.setdefault(cell.function, []).append(number)
        return [(self.names.give(function), tuple(cells)) for function, cells in of.items() if len(cells) > 1]

    def _variables(self) -> str:
        again = ["again"] if self.plan.hides else []
        lines = ["VARIABLES"]
        for number, cell in enumerate(self.plan.cells):
            comma = "," if again or number < len(self.plan.cells) - 1 else ""
            values = ", ".join(self.terms.value(v) for v in cell.domain)
            about = textwrap.shorten(f"{comment(cell.name)}: {values}", WIDTH, placeholder=" ...")
            lines.append(f"  {self.variables[number]}{comma} \\* {about}")
        if again:
            lines.append("  again \\* flipped by moves that may change nothing else, where liveness is checked")
        if not self.plan.cells and not again:
            lines = ["VARIABLE nothing"]
            return "\n".join([*lines, "", "vars == <<nothing>>", ""])
        lines.append("")
        for name, cells in self.groups:
            lines += [_tuple(f"{name} == ", [self.variables[c] for c in cells])]
        lines += ["", _tuple("vars == ", [*self.variables, *again]), ""]
        return "\n".join(lines)

    def _init(self) -> str:
        lines = ["Init =="]
        for number, cell in enumerate(self.plan.cells):
            lines.append(f"  /\\ {self.variables[number]} = {self.terms.value(cell.initial)}")
        if self.plan.hides:
            lines.append("  /\\ again = FALSE")
        if not self.plan.cells and not self.plan.hides:
            lines.append("  /\\ nothing = NULL")
        return "\n".join([*lines, ""])

    def _helpers(self) -> str:
        # Written last, when it is known what is needed.
        lines = [HELPERS[name] for name in sorted(self.terms.helpers) if name in HELPERS]
        if "Rank" in self.terms.helpers:
            order = sorted(self.terms.ranked, key=lambda v: (type(v).__name__, v))
            cases = [f"v = {self.terms.value(value)} -> {place}" for place, value in enumerate(order, 1)]
            lines += ["Rank(v) == CASE " + "\n             [] ".join([*cases, "OTHER -> 0"])]
        return "\n".join([*lines, ""])

    # ----------------------------------------------------------------------------------------------------------- actions

    def _actions(self) -> str:
        texts: list[str] = []
        for transition in self.plan.transitions:
            name = self.names.give(action_name(transition.action))
            self.called[transition] = name
            texts.append(self._action(name, transition))
        texts.append(_any("Next", [self.called[t] for t in self.plan.transitions]))
        texts.append("Spec == Init /\\ [][Next]_vars\n")
        return "\n".join(texts)

    def _action(self, name: str, transition: Transition) -> str:
        bodies = [body for _, body in transition.updates]
        let, known = self.terms.shared([*transition.conjuncts, *bodies])
        parts = [self._guard(part, known) for part in transition.conjuncts]
        parts += [f"{self.variables[cell]}' = {self.terms.write(body, known)}" for cell, body in transition.updates]
        if transition.hides:
            parts.append("again' = (again # Liveness)")
        kept = self._kept({cell for cell, _ in transition.updates}, transition.hides)
        if kept:
            parts.append(_tuple("UNCHANGED ", kept, 5))
        about = [transition.action.name, transition.action.kind]
        note = transition.action.action.info.note
        lines = [f"\\* {comment(', '.join([*about, note] if note else about))}", f"{name} =="]
        return "\n".join([*lines, *_let(let), *_list("/\\", parts), ""])

    def _guard(self, part: Expr, known: Mapping[Expr, str]) -> str:
        """A conjunct of a guard.  TLC takes a disjunction in an action for several ways to act: it must see an equation."""
        text = self.terms.write(part, known)
        return f"{text} = TRUE" if isinstance(part, x.Or | x.Ite) else _bare(text)

    def _kept(self, changed: set[int], flips: bool) -> list[str]:
        """What an action leaves as it is: whole groups by their names."""
        kept: list[str] = []
        grouped = {cell: (name, cells) for name, cells in self.groups for cell in cells}
        for cell in range(len(self.plan.cells)):
            group = grouped.get(cell)
            if group is not None and not changed & set(group[1]):
                if cell == group[1][0]:
                    kept.append(group[0])
            elif cell not in changed:
                kept.append(self.variables[cell])
        if self.plan.hides and not flips:
            kept.append("again")
        if not self.plan.cells and not self.plan.hides:
            kept.append("nothing")
        return kept

    # ---------------------------------------------------------------------------------------------------------- fairness

    def _fairness(self) -> str:
        texts: list[str] = []
        formulas: list[str] = []
        for owner in self.plan.owners:
            text, formula = self._owner(owner)
            texts.append(text)
            formulas.append(formula)
        if self.plan.system.timed:
            texts.append(_any("Tick", [self.called[t] for t in self.plan.ticks]))
            formulas.append("[]<><<Tick>>_vars \\* time passes for ever")
        if self.plan.once:
            texts.append(_any("Once", [self.called[t] for t in self.plan.transitions if not t.action.action.recurs]))
            texts.append(_any("Recurring", [self.called[t] for t in self.plan.transitions if t.action.action.recurs]))
            formulas.append("<>[][~Once \\/ Recurring]_vars \\* what does not recur happens finitely often")
        texts.append("\n".join(["Fairness ==", *_list("/\\", formulas or ["TRUE"]), ""]))
        texts.append("LiveSpec == Spec /\\ Fairness\n")
        return "\n".join(texts)

    def _owner(self, owner: Owner) -> tuple[str, str]:
        """The definitions for one to whom moves are owed, and the formula that says so."""
        whose = f"{owner.process}{'' if owner.moves == 'step' else ' the server'}"
        moves = self.names.give(f"Moves {whose}")
        lines = [_any(moves, [self.called[t] for t in owner.transitions])]
        plain = not owner.crossings
        if plain and owner.kind == "weak":
            condition = "" if owner.owed is x.TRUE else f"{self.terms.write(owner.owed)} /\\ "
            return "\n".join(lines), f"WF_vars({condition}{moves})"
        if plain and owner.owed is x.TRUE:
            return "\n".join(lines), f"SF_vars({moves})"
        enabled = self.names.give(f"Enabled {whose}")
        options = [f"ENABLED {moves}"] if owner.transitions else []
        lines += [f"\\* {comment(c.action.name)} counts: it can move" for c in owner.crossings]
        lines.append(self._enabled(enabled, owner.owed, options, owner.crossings))
        never = f"[]<>(~{enabled})" if owner.kind == "weak" else f"<>[](~{enabled})"
        if not owner.transitions:
            return "\n".join(lines), never
        return "\n".join(lines), f"({never} \\/ []<><<{moves}>>_vars)"

    def _enabled(self, name: str, owed: Expr, options: list[str], crossings: Sequence[Crossing]) -> str:
        roots = [owed, *(c.guard for c in crossings)]
        let, known = self.terms.shared(roots)
        parts = [] if owed is x.TRUE else [_bare(self.terms.write(owed, known))]
        choices = [*options, *(self.terms.write(c.guard, known) for c in crossings)]
        return "\n".join([f"{name} ==", *_let(let), *_list("/\\", [*parts, "(" + " \\/ ".join(choices) + ")"]), ""])

    # -------------------------------------------------------------------------------------------------------- properties

    def _properties(self) -> str:
        texts: list[str] = []
        for item in self.plan.system.properties:
            match item.kind:
                case "never":
                    texts.append(self._never(item))
                case "deadlock":
                    texts.append(self._deadlock(item))
                case "leads_to":
                    texts.append(self._leads_to(item))
        return "\n".join(texts)

    def _never(self, item: GroundProperty) -> str:
        name = self.names.give(item.name)
        self.invariants.append((item.name, name))
        assert item.rows is not None
        let, parts = self._rows(item.rows)
        return "\n".join([*_about(item), f"{name} ==", *_let(let), *_list("/\\", [f"~{part}" for part in parts] or ["TRUE"]), ""])

    def _rows(self, rows: GroundRows) -> tuple[list[str], list[str]]:
        conditions = list(dict.fromkeys(row.condition for row in rows.rows))
        let, known = self.terms.shared(conditions)
        return let, [self.terms.write(condition, known) for condition in conditions]

    def _predicate(self, name: str, condition: Expr) -> str:
        let, known = self.terms.shared([condition])
        return "\n".join([f"{name} ==", *_let(let), f"  {_bare(self.terms.write(condition, known))}"])

    def _leads_to(self, item: GroundProperty) -> str:
        name = self.names.give(item.name)
        self.temporal.append((item.name, name))
        lines = _about(item)
        parts: list[str] = []
        for response in self.plan.responses(item):
            label = " ".join("NULL" if v is None else str(v) for v in response.values)
            pending, goal = self.names.give(f"{item.name} {label}"), self.names.give(f"{item.name} {label} goal")
            lines += [self._predicate(pending, response.rows), self._predicate(goal, response.goal)]
            parts.append(f"({pending} ~> {goal})")
        return "\n".join([*lines, f"{name} ==", *_list("/\\", parts or ["[]TRUE \\* there is never such a row"]), ""])

    def _deadlock(self, item: GroundProperty) -> str:
        name = self.names.give(item.name)
        self.invariants.append((item.name, name))
        plan = self.plan
        finished = self._predicate("AllFinished", plan.finished)
        if plan.ticks or plan.tick_crossings is not x.FALSE:
            return "\n".join([*_about(item), finished, self._quiet(), f"{name} == AllFinished \\/ ~{self._quiet_now()}", ""])
        moves = [self.called[t] for t in plan.transitions if t.action.kind in MOVES]
        crossings = [c for c in plan.crossings if c.action.kind in MOVES]
        lines = [_any("AnyMove", moves), self._enabled("CanMove", x.TRUE, ["ENABLED AnyMove"], crossings)]
        return "\n".join([*_about(item), finished, *lines, f"{name} == AllFinished \\/ CanMove", ""])

    def _quiet(self) -> str:
        """That nobody can move, however much time passes: followed over the cells that ticks change."""
        plan = self.plan
        params = {cell: f"t{place}" for place, cell in enumerate(plan.aging, 1)}
        later: dict[Expr, str] = {x.cell(cell): param for cell, param in params.items()}
        bodies = [dict(tick.updates) for tick in plan.ticks]
        roots = [plan.can_move, plan.tick_crossings, *(t.guard for t in plan.ticks), *(b for body in bodies for b in body.values())]
        let, known = self.terms.shared(roots, later)
        now = f"<<{', '.join(params.values())}>>"
        inner = [f"~{self.terms.write(plan.can_move, known)}", f"~{self.terms.write(plan.tick_crossings, known)}"]
        for tick, body in zip(plan.ticks, bodies, strict=True):
            after = [self.terms.write(body.get(cell, x.cell(cell)), known) for cell in plan.aging]
            again = ", ".join(["seen \\cup {now}", *after])
            inner.append(f"({self.terms.write(tick.guard, known)} => Quiet({again}))")
        under = ", ".join("_" for _ in range(len(params) + 1))
        return "\n".join(
            [
                "\\* Nobody can move, now or after any time.  Arguments: what was seen already, then what ticks change.",
                f"RECURSIVE Quiet({under})",
                f"Quiet({', '.join(['seen', *params.values()])}) ==",
                *_let([f"now == {now}", *let]),
                "  now \\in seen \\/ (" + " /\\ ".join(inner) + ")",
                "",
            ]
        )

    def _quiet_now(self) -> str:
        return f"Quiet({', '.join(['{}', *(self.variables[cell] for cell in self.plan.aging)])})"

    def _bounds(self) -> str:
        texts: list[str] = []
        for bound in self.plan.bounds:
            name = self.names.give(f"Within {bound}")
            self.bounds.append((bound, name))
            guards = list(dict.fromkeys(c.guard for c in self.plan.crossings if c.bound == bound))
            let, known = self.terms.shared(guards)
            parts = [f"~{self.terms.write(guard, known)}" for guard in guards]
            accepted = bound in self.plan.system.system.truncated
            about = f"\\* No step leads beyond the bound {comment(bound)}{' (which is accepted)' if accepted else ''}."
            texts.append("\n".join([about, f"{name} ==", *_let(let), *_list("/\\", parts), ""]))
        return "\n".join(texts)


def _about(item: GroundProperty) -> list[str]:
    title = f": {item.source.title}" if item.source.title else ""
    return [f"\\* {comment(f'{item.name} ({item.kind}){title}')}"]


def _bare(text: str) -> str:
    """A text without the brackets around the whole of it."""
    if not (text.startswith("(") and text.endswith(")")):
        return text
    depth, quoted = 0, False
    for place, character in enumerate(text):
        if character == '"':
            quoted = not quoted
        elif not quoted:
            depth += (character == "(") - (character == ")")
            if depth == 0 and place < len(text) - 1:
                return text
    return text[1:-1]


def _tuple(head: str, names: Sequence[str], indent: int = 0) -> str:
    return textwrap.fill(f"{head}<<{', '.join(names)}>>", WIDTH, subsequent_indent=" " * (indent + 4), break_long_words=False)


def _list(operator: str, parts: Sequence[str]) -> list[str]:
    return [f"  {operator} {part}" for part in parts]


def _let(lines: Sequence[str]) -> list[str]:
    return [f"  {'LET' if not place else '   '} {line}" for place, line in enumerate(lines)] + (["  IN"] if lines else [])


def _any(name: str, options: Sequence[str]) -> str:
    if not options:
        return f"{name} == FALSE\n"
    return "\n".join([f"{name} ==", *_list("\\/", options), ""])
