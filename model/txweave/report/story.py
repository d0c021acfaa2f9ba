"""Stories: a counterexample told step by step, as data.

Terminal, JSON and every other report print the same :class:`Story`; nothing in it needs the system that it came from.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from txweave.spec import syntax
from txweave.spec.text import Span
from txweave.system import expr as x
from txweave.system.expr import Elem, Expr
from txweave.system.ground import GroundAction, GroundProperty, GroundRows
from txweave.trace import State, Trace
from txweave.view import ProcessState, RowChange, StateDiff, StateView, Values, Viewer, diff

CALM = frozenset({"", "ok", "ok after waiting", "ok after a pause", "waits", "waits again", "pauses", "set", "tick"})
"""Outcomes of steps with which nothing went wrong."""


@dataclass(frozen=True)
class Place:
    """Where something stands in a specification."""

    path: str
    line: int
    column: int

    @classmethod
    def of(cls, span: Span | None) -> Place | None:
        """The first character of a span."""
        return cls(span.path, span.line, span.column) if span else None


@dataclass(frozen=True)
class StoryStep:
    """One step of a story.

    ``actor``: the process, empty for time.  ``kind`` as in :class:`txweave.system.sorted.Action`.  ``sql`` has the values in place
    of the variables, ``template`` is as written.  ``outcome``: ``ok``, ``waits`` or what went wrong.  ``returned``: what the
    statement gave back.  ``changes``: committed rows that changed.  ``events``: short sentences (who waits for whom, who is done).
    ``diff`` is everything that changed, ``state`` the state after the step.
    """

    number: int
    actor: str
    role: str
    kind: str
    action: str
    procedure: str
    step: str
    sql: str
    template: str
    outcome: str
    note: str
    returned: Values
    changes: tuple[RowChange, ...]
    events: tuple[str, ...]
    diff: StateDiff
    state: StateView
    place: Place | None
    in_loop: bool = False


@dataclass(frozen=True)
class Query:
    """A query of a property with the rows that matter: ``name`` is its key (``never``, ``whenever`` …)."""

    name: str
    sql: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Reason:
    """One reason of a violation, in a sentence or a few, and the numbers of the steps that it is about.

    ``kind``: ``stale`` (a read that was no longer true when its process went on with it), ``early`` (a read while another process
    was in the middle of its work), ``fault`` (without which the run breaks nothing), ``deadlock`` (which waits the server broke),
    ``no return`` (the step after which nothing mends it), ``never`` (nothing ever could), ``possible`` (something still could, and
    nobody has to do it), ``false`` (a condition that stays false), ``waits`` (who waits for whom).
    """

    kind: str
    steps: tuple[int, ...]
    text: str


@dataclass(frozen=True)
class Why:
    """Why a property breaks; made by :func:`txweave.why.explain`.

    ``order``: pairs of steps of different processes, the first of which has to come before the second: in every order of the steps
    (of the stem, for a lasso) that respects these and the order in each process the property breaks too.  ``fewest``: no
    smaller set of pairs is enough; otherwise it is only that none of these can be left out.  ``known`` False: the steps are too
    many to say which order matters.
    """

    reasons: tuple[Reason, ...]
    order: tuple[tuple[int, int], ...]
    fewest: bool
    known: bool = True

    @property
    def sentences(self) -> tuple[str, ...]:
        """Everything, to read."""
        return (*(reason.text for reason in self.reasons), self.order_text)

    @property
    def order_text(self) -> str:
        """What has to come before what, in a sentence."""
        if not self.known:
            return "The steps are too many to say which order of them matters."
        if not self.order:
            return "The order of steps of different processes does not matter: in every order this happens."
        pairs = [f"{a} before {b}" for a, b in self.order]
        listed = pairs[0] if len(pairs) == 1 else f"{', '.join(pairs[:-1])} and {pairs[-1]}"
        less = "" if self.fewest else " (none of these can be left out; another set may be smaller)"
        return f"What matters of the order: step {listed}; every other order with that breaks the property too{less}."


@dataclass(frozen=True)
class Story:
    """A counterexample for people.

    ``loop``: the number of steps before the loop, None for a finite trace; a loop without steps means that everything stays
    as it is for ever.  ``broken`` says where and how the property broke, ``queries`` the rows that show it, ``facts`` what the
    property looks at in that state, ``assumptions`` what was taken for granted, ``why`` the reasons where they were asked for.
    """

    name: str
    kind: str
    title: str
    place: Place | None
    initial: StateView
    steps: tuple[StoryStep, ...]
    loop: int | None
    broken: str
    witness: Values
    queries: tuple[Query, ...]
    facts: tuple[str, ...]
    processes: tuple[str, ...]
    assumptions: tuple[str, ...]
    why: Why | None = None

    @property
    def length(self) -> tuple[int, ...]:
        """(steps), or (stem, loop) of a lasso."""
        return (len(self.steps),) if self.loop is None else (self.loop, len(self.steps) - self.loop)


def tell(trace: Trace, name: str, viewer: Viewer, source: syntax.Property | None = None) -> Story:
    """The story of a counterexample to the property called ``name``; ``source`` brings its queries as written."""
    return _Teller(trace, trace.system.find(name), viewer, source).story()


def step_of(viewer: Viewer, number: int, action: GroundAction, before: State, after: State, *, in_loop: bool = False) -> StoryStep:
    """One step told: ``action`` leads from ``before`` to ``after``."""
    info = action.action.info
    env = viewer.parameters(action)
    old, new = viewer.view(before), viewer.view(after)
    bindings = {key: viewer.show(viewer.evaluate(term, before, env)) for key, term in info.bindings}
    returned = tuple((key, viewer.show(viewer.evaluate(term, before, env))) for key, term in info.results)
    if action.actor is not None:
        returned = tuple((key, _returned_rows(viewer, action.actor, key, value, new)) for key, value in returned)
    changed = diff(old, new)
    actor = viewer.process_name(action.actor) if action.actor is not None else ""
    return StoryStep(
        number=number,
        actor=actor,
        role=action.actor.sort if action.actor is not None else "",
        kind=action.kind,
        action=action.name,
        procedure=info.procedure,
        step=info.step,
        sql=with_values(info.sql, bindings),
        template=_tidy(info.sql),
        outcome=info.outcome,
        note=info.note,
        returned=returned,
        changes=changed.rows,
        events=_events(old, new, action),
        diff=changed,
        state=new,
        place=Place.of(info.span),
        in_loop=in_loop,
    )


def _returned_rows(viewer: Viewer, actor: Elem, name: str, value: str, new: StateView) -> str:
    """For a variable that holds rows, where ``value`` is how many: the rows, unless they were dropped at once."""
    if ("rows", actor.sort, name) not in viewer.about:
        return value
    kept = dict(new.process(viewer.process_name(actor)).variables).get(name, "{}")
    number = kept.count("(") or (kept.count(",") + 1 if kept != "{}" else 0)
    return kept if str(number) == value else f"{value} row{'' if value == '1' else 's'}"


def _events(old: StateView, new: StateView, action: GroundAction) -> tuple[str, ...]:
    found: list[str] = []
    actor = action.actor
    for was, now in zip(old.processes, new.processes, strict=True):
        mine = actor is not None and now.role == actor.sort and now.number == actor.number
        subject = "" if mine else f"{now.name} "
        if now.waits_for and now.waits_for != was.waits_for:
            found.append(f"{subject}waits for {now.waits_for}")
        elif now.waiting and not was.waiting:
            found.append(f"{subject}waits")
        elif was.waiting and not now.waiting and now.status == "running" and not mine:
            found.append(f"{subject}waits no longer")
        if was.transaction != now.transaction and now.transaction == "failed":
            whose = "its transaction" if mine else f"the transaction of {now.name}"
            found.append(f"{whose} is aborted: only a rollback ends it")
        if was.status != now.status and now.status in {"done", "failed", "crashed", "hung"}:
            verb = {"done": "is done", "failed": "has failed", "crashed": "is gone", "hung": "hangs, its locks held"}[now.status]
            if not (action.kind == "fault" and now.status in {"crashed", "hung"}):
                found.append(f"{subject}{verb}")
    crashed = action.actor is not None and action.kind == "fault"
    if crashed and any(v for t in old.tables for v in t.versions) and not _versions(new) >= _versions(old):
        lost = sorted(_versions(old) - _versions(new))
        found.append("lost with its transaction: " + ", ".join(label for label, _ in lost))
    if new.bound:
        found.append(f"out of bounds: {new.bound}")
    return tuple(found)


def _versions(state: StateView) -> set[tuple[str, str]]:
    return {(v.row.label, v.writer) for t in state.tables for v in t.versions}


_TOKEN = re.compile(r"'(?:[^']|'')*'|--[^\n]*|/\*.*?\*/|::|:([A-Za-z_][A-Za-z0-9_]*)", re.DOTALL)


def with_values(sql: str, bindings: Mapping[str, str]) -> str:
    """``sql`` with the value of each ``:variable``; strings, comments and casts are left alone."""
    return _tidy(_TOKEN.sub(lambda m: bindings.get(m.group(1), m.group(0)) if m.group(1) else m.group(0), sql))


def _tidy(sql: str) -> str:
    lines = [line.rstrip() for line in sql.strip().splitlines()]
    margin = min((len(s) - len(s.lstrip()) for s in lines[1:] if s.strip()), default=0)
    return "\n".join([*lines[:1], *(line[margin:] if margin else line for line in lines[1:])])


class _Teller:
    def __init__(self, trace: Trace, prop: GroundProperty, viewer: Viewer, source: syntax.Property | None) -> None:
        self.trace = trace
        self.prop = prop
        self.viewer = viewer
        self.states = trace.states
        self.source = source

    def story(self) -> Story:
        trace, prop = self.trace, self.prop
        loop = trace.loop
        steps = tuple(
            step_of(
                self.viewer,
                index + 1,
                taken.action,
                self.states[index],
                taken.state,
                in_loop=loop is not None and index >= loop,
            )
            for index, taken in enumerate(trace.steps)
        )
        broken, queries = getattr(self, f"_{prop.kind}")()
        columns = prop.rows.columns if prop.rows is not None else ()
        witness = trace.witness or ()
        return Story(
            name=prop.name,
            kind=prop.kind,
            title=prop.source.title,
            place=Place.of(prop.source.span),
            initial=self.viewer.view(self.states[0]),
            steps=steps,
            loop=loop,
            broken=broken,
            witness=tuple(zip(columns, map(self.viewer.show, witness), strict=True)) if witness else (),
            queries=queries,
            facts=self._facts(),
            processes=self._processes(),
            assumptions=trace.system.system.assumptions,
        )

    # ------------------------------------------------------------------------------------------ where and why it broke

    def _never(self) -> tuple[str, tuple[Query, ...]]:
        rows = self._rows(self.prop.rows, self.states[-1])
        what = "a row that must never be" if len(rows) == 1 else f"{len(rows)} rows that must never be"
        return f"{self._after(len(self.states) - 1)}, the query has {what}", (self._query("never", self.prop.rows, rows),)

    def _leads_to(self) -> tuple[str, tuple[Query, ...]]:
        trace, goal = self.trace, self.prop.goal
        row = self._witness()
        since = self._pending_since()
        ever = "for ever" if trace.loop == len(trace.steps) else "all through the loop"
        rows = (tuple(map(self.viewer.show, trace.witness or ())),)
        whenever = self._query("whenever", self.prop.rows, rows)
        if goal is None:
            return f"{self._after(since)}, {row} is there, and stays {ever}: it is never gone", (whenever,)
        eventually = self._query("eventually", goal, ())
        return f"{self._after(since)}, {row} is there, and from then on nothing answers it", (whenever, eventually)

    def _always_possible(self) -> tuple[str, tuple[Query, ...]]:
        where = self._after(len(self.states) - 1)
        return (
            f"{where}, nothing that may still happen leads to a state in which the query has a row",
            (self._query("always_possible", self.prop.rows, ()),),
        )

    def _deadlock(self) -> tuple[str, tuple[Query, ...]]:
        return f"{self._after(len(self.states) - 1)}, no process can ever move again, and not all have finished", ()

    @staticmethod
    def _after(position: int) -> str:
        return f"after step {position}" if position else "in the initial state"

    def _witness(self) -> str:
        columns = self.prop.rows.columns if self.prop.rows is not None else ()
        pairs = zip(columns, map(self.viewer.show, self.trace.witness or ()), strict=True)
        return "the row " + ", ".join(f"{name} = {value}" for name, value in pairs)

    def _pending_since(self) -> int:
        """The first position from which the witness is in ``whenever`` and its goal never comes (or it never leaves)."""
        rows, goal, witness = self.prop.rows, self.prop.goal, self.trace.witness or ()
        assert rows is not None
        there = [self._has(rows, witness, state) for state in self.states]
        since = len(there) - 1
        answered = [not here for here in there] if goal is None else [self._has(goal, witness, s) for s in self.states]
        # The last position at or before which the pending obligation may begin: after the last answer.
        start = max((i + 1 for i, done in enumerate(answered) if done), default=0)
        return next((i for i in range(start, len(there)) if there[i]), since)

    def _has(self, rows: GroundRows, values: tuple[x.Value, ...], state: State) -> bool:
        return self.viewer.evaluate(rows.has(values), state) is True

    def _rows(self, rows: GroundRows | None, state: State) -> tuple[tuple[str, ...], ...]:
        assert rows is not None
        found: dict[tuple[str, ...], None] = {}
        for row in rows.rows:
            if self.viewer.evaluate(row.condition, state) is True:
                found[tuple(self.viewer.show(self.viewer.evaluate(v, state)) for v in row.values)] = None
        return tuple(found)

    def _query(self, name: str, rows: GroundRows | None, shown: tuple[tuple[str, ...], ...]) -> Query:
        assert rows is not None
        text = ""
        if self.source is not None:
            formula = self.source.formula
            found = getattr(formula, "query" if name in {"never", "always_possible"} else name, None)
            text = _tidy(found.value) if found is not None else ""
        return Query(name, text, rows.columns, shown)

    # ------------------------------------------------------------------------------------------------------- the facts

    def _facts(self) -> tuple[str, ...]:
        """The rows and processes that the property reads, in the state where it broke."""
        last = self.states[-1]
        view = self.viewer.view(last)
        tables, roles = self._reads()
        lines = [
            f"{row.label}: {', '.join(f'{n} {v}' for n, v in row.values)}"
            for table in view.tables
            if table.name in tables
            for row in table.rows
        ]
        lines += [f"{table.name}: no row" for table in view.tables if table.name in tables and not table.rows]
        if self.trace.loop is None:
            lines += self._crowd([p for p in view.processes if p.role in roles])
        return tuple(lines)

    def _crowd(self, processes: list[ProcessState]) -> Iterable[str]:
        """Each process in a line; those of a role that have not begun in one line together."""
        idle: dict[str, list[ProcessState]] = {}
        for process in processes:
            if process.status == "idle":
                idle.setdefault(process.role, []).append(process)
            else:
                yield self._describe(process)
        for crowd in idle.values():
            if len(crowd) < 3:
                yield from map(self._describe, crowd)
            else:
                yield f"{len(crowd)} more of {crowd[0].role}: idle"

    def _reads(self) -> tuple[set[str], set[str]]:
        cells: set[int] = set()
        for rows in (self.prop.rows, self.prop.goal):
            for row in rows.rows if rows is not None else ():
                cells |= _cells_in((row.condition, *row.values))
        tables: set[str] = set()
        roles: set[str] = set()
        by_name = {f.name: f.about for f in self.viewer.system.system.functions}
        for index in cells:
            about = by_name.get(self.viewer.system.cells[index].function, ())
            if len(about) > 1:
                (roles if about[0] in {"pc", "variable", "rows", "rowvalue"} else tables).add(about[1])
        return tables, roles if self.prop.kind == "never" else set()

    def _processes(self) -> tuple[str, ...]:
        """For a lasso or a deadlock: what each process does, or why it does nothing."""
        if self.trace.loop is None and self.prop.kind not in {"deadlock", "always_possible"}:
            return ()
        view = self.viewer.view(self.states[-1])
        moving: dict[Elem, list[str]] = {}
        for taken in self.trace.steps[self.trace.loop :] if self.trace.loop is not None else ():
            if taken.action.actor is not None:
                moving.setdefault(taken.action.actor, []).append(taken.action.action.info.step)
        lines: list[str] = []
        elements = [Elem(r, n) for r in self.viewer.roles for n in range(self.viewer.sizes[r])]
        for process, state in zip(elements, view.processes, strict=True):
            steps = moving.get(process)
            if steps is not None:
                lines.append(f"{state.name} goes on: {', '.join(dict.fromkeys(steps))}")
            else:
                lines.append(self._describe(state) + self._excuse(process, state))
        return tuple(lines)

    def _excuse(self, process: Elem, state: ProcessState) -> str:
        """Why a process that could move need not: it is owed nothing."""
        if self.trace.loop is None or state.status in {"done", "failed", "crashed", "hung"}:
            return ""
        loop = self.states[self.trace.loop :]
        fair = next((f for f in self.viewer.system.fairness if f.process == process), None)
        if fair is None:
            return " (may stay there: no fairness is assumed)"
        if not any(self.viewer.evaluate(fair.owed, s) is True for s in loop):
            return " (may stay there: it need not start)"
        moves = [a for a in self.viewer.system.actions if a.actor == process and a.kind == "step" and a.action.fair]
        if not any(self.viewer.evaluate(a.guard, s) is True for s in loop for a in moves):
            return " (cannot move)"
        return " (cannot move all the time: weak fairness lets it starve)"

    @staticmethod
    def _describe(state: ProcessState) -> str:
        words = [state.status or "?"]
        if state.status not in {"done", "failed", "crashed"} and state.step:
            words.append(f"{'waits in' if state.waiting else 'at'} {state.step}")
        if state.waits_for:
            words.append(f"for {state.waits_for}" if state.waiting else f"blocked by {state.waits_for}")
        if state.transaction == "failed":
            words.append("(transaction aborted)")
        line = f"{state.name}: {' '.join(words)}"
        values = ", ".join(f"{name} {value}" for name, value in state.variables if value not in {"NULL", "{}"})
        return f"{line}, {values}" if values else line


def _cells_in(nodes: tuple[Expr, ...]) -> set[int]:
    seen: set[Expr] = set()
    found: set[int] = set()
    stack = list(nodes)
    while stack:
        node = stack.pop()
        if node in seen:
            continue
        seen.add(node)
        if isinstance(node, x.Cell):
            found.add(node.index)
        stack.extend(x.children(node))
    return found
