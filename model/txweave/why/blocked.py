"""Why a violation is for ever: the step after which nothing mends it, and the conditions that stay false."""

from __future__ import annotations

import re
from collections.abc import Iterator

from txweave.report.story import Reason
from txweave.system import expr as x
from txweave.system.expr import Elem, Expr, functions_in
from txweave.system.ground import GroundAction
from txweave.trace import Trace
from txweave.view import Viewer
from txweave.why.reading import Reads
from txweave.why.replay import Runner, Unsure

MOST = 3
"""Conditions that stay false of which so many are told."""

LONG = 160
"""A condition is cut to so many characters."""

_TARGET = re.compile(r'(?:INSERT INTO|UPDATE|DELETE FROM) "?(\w+)"?')
"""The table that a statement writes, in the text that the checker itself has made of it."""

WORDS = {"done": "is done", "failed": "has failed", "crashed": "has crashed", "hung": "hangs", "idle": "has not begun"}


class Blocked:
    """The reasons of a lasso, of a deadlock, and of a state from which something is no longer possible."""

    def __init__(self, trace: Trace, name: str, viewer: Viewer, runner: Runner, reads: Reads) -> None:
        self.trace = trace
        self.item = trace.system.find(name)
        self.viewer, self.runner, self.reads = viewer, runner, reads
        self.states = trace.states
        self._changing = {cell.function for cell in trace.system.cells}
        self.stem = len(trace.steps) if trace.loop is None else trace.loop

    def reasons(self) -> Iterator[Reason]:
        """All that can be shown."""
        yield from self._never_again()
        if self.trace.loop is not None:
            yield from self._false_for_ever()
        yield from self._circle()

    # ------------------------------------------------------------------------------------------- the point of no return

    def recovery(self) -> tuple[Expr, str] | None:
        """What has to become true so that the violation ends, and what would have to happen (``can`` …)."""
        item, witness = self.item, self.trace.witness
        if item.kind == "leads_to" and item.rows is not None and witness is not None:
            columns = ", ".join(f"{n} = {self.viewer.show(v)}" for n, v in zip(item.rows.columns, witness, strict=True))
            if item.goal is None:
                return x.neg(item.rows.has(witness)), f"make the row {columns} go away"
            return item.goal.has(witness), f"answer the row {columns}"
        if item.kind == "always_possible" and item.rows is not None:
            return item.rows.some, "give the query a row"
        return None

    def _never_again(self) -> Iterator[Reason]:
        wanted = self.recovery()
        if wanted is None:
            return
        condition, words = wanted
        try:
            way = self.runner.way(self.states[-1], condition)
            if way is not None:
                yield self._still_possible(way, words)
                return
            low, high = self._since(condition), len(self.states) - 1
            # From a state after which it is impossible it stays impossible: the first one is found by halving.
            while low < high:
                middle = (low + high) // 2
                if self.runner.way(self.states[middle], condition) is None:
                    high = middle
                else:
                    low = middle + 1
            if high == 0:
                yield Reason("never", (), f"From the initial state on, nothing can {words}.")
                return
            before = self.runner.way(self.states[high - 1], condition)
        except Unsure:
            return
        step = self.trace.steps[high - 1].action
        text = f"Step {high} ({self._called(step)}) is the point of no return: whatever happens after it, nothing can {words}."
        if before:
            text += f" Just before it, {_counted(len(before), 'more step')} could: {self._told(before)}."
        yield Reason("no return", (high,), text)

    def _since(self, condition: Expr) -> int:
        """The position after the last one where the condition holds."""
        held = [n for n, state in enumerate(self.states) if self.viewer.evaluate(condition, state) is True]
        return min(max(held, default=-1) + 1, len(self.states) - 1)

    def _still_possible(self, way: tuple[GroundAction, ...], words: str) -> Reason:
        moving = {taken.action.actor for taken in self.trace.steps[self.stem :]}
        idle = [action.actor for action in way if action.kind == "step" and action.actor is not None and action.actor not in moving]
        text = f"{_counted(len(way), 'step')} could still {words} ({self._told(way)})"
        if idle:
            text += f", but nothing makes {self.viewer.process_name(idle[0])} take its step"
        return Reason("possible", (), text + ".")

    # ------------------------------------------------------------------------------------------- conditions that stay false

    def _false_for_ever(self) -> Iterator[Reason]:
        """Rows that a statement passes over in each round, because of one condition."""
        loop = self.trace.steps[self.stem :]
        around = self.states[self.stem : -1] or (self.states[-1],)
        found: dict[tuple[str, str, str], tuple[list[str], str, tuple[int, ...]]] = {}
        for action in [taken.action for taken in loop] or self._waiting():
            if action.actor is None or action.action.info.looked is None:
                continue
            place = self.states[self.stem + next((n for n, t in enumerate(loop) if t.action is action), 0)]
            seen = [list(self.reads.candidates(action, self.reads.at_its_place(action.actor, place, state))) for state in around]
            for looked, rows, _, truths in seen[0]:
                same = [other for group in seen for other in group if other[0] is looked and other[1] == rows]
                wrong = [n for n, true in enumerate(truths) if not true]
                if len(wrong) != 1 or any(not there or others != truths for _, _, there, others in same):
                    continue
                text, term = looked.conditions[wrong[0]]
                if not any(name in self._changing and name in self.reads.tables_of for name in functions_in([term])):
                    continue
                key = self.viewer.process_name(action.actor), action.action.info.step, text
                numbers = tuple(n for n, taken in enumerate(self.trace.steps, 1) if n > self.stem and taken.action is action)
                labels, _, _ = found.setdefault(key, ([], self._who(term, rows), numbers))
                label = self.reads.label(rows, self.states[-1])
                if label not in labels:
                    labels.append(label)
        verb = "passes over" if loop else "waits: it would take"
        for (name, step, text), (labels, who, numbers) in list(found.items())[:MOST]:
            told = " and ".join(labels) if len(labels) < 3 else f"{labels[0]} and {len(labels) - 1} more"
            yield Reason("false", numbers, f"{name}'s {step} {verb} {told}: {shortened(text)} is false, and stays so.{who}")

    def _waiting(self) -> list[GroundAction]:
        """The choices that processes wait for: those of the step where a process stands that can do nothing, for no lock."""
        last = self.viewer.view(self.states[-1])
        places = {
            (p.role, p.number): p.step
            for p in last.processes
            if p.status in {"idle", "running"}
            and not p.waits_for
            and not any(self.runner.moves(self.states[-1], Elem(p.role, p.number)))
        }
        return [
            action
            for action in self.viewer.system.actions
            if action.actor is not None
            and action.kind == "step"
            and places.get((action.actor.sort, action.actor.number)) == action.action.info.step
        ]

    def _who(self, term: Expr, rows: tuple[tuple[str, object], ...]) -> str:
        """Who writes the other tables that a condition reads, and what has become of them."""
        own = {row.sort for _, row in rows if isinstance(row, Elem)}
        tables = tuple(table for table in self.reads.tables(term) if table not in own) or self.reads.tables(term)
        if not tables:
            return ""
        writers: dict[Elem, dict[str, None]] = {}
        for action in self.viewer.system.actions:
            changed = {self.reads.tables_of.get(update.function) for update in action.action.updates}
            info = action.action.info
            if action.actor is not None and action.kind == "step" and changed & set(tables):
                target = _TARGET.match(info.sql)
                if target is not None and target.group(1) in tables:
                    writers.setdefault(action.actor, {})[info.step.partition("[")[0]] = None
        if not writers:
            return f" No process writes {' or '.join(tables)}."
        last = self.viewer.view(self.states[-1])
        moving = {taken.action.actor for taken in self.trace.steps[self.stem :]}
        parts = []
        for actor, steps in sorted(writers.items()):
            view = last.process(self.viewer.process_name(actor))
            fate = "goes on" if actor in moving else self._fate(view.name)
            parts.append(f"{view.name} ({', '.join(steps)}), which {fate}")
        return f" {' and '.join(tables)} is written by {'; '.join(parts)}."

    # ----------------------------------------------------------------------------------------------------------- waits

    def _circle(self) -> Iterator[Reason]:
        """Who waits for whom at the end."""
        last = self.viewer.view(self.states[-1])
        waits = {p.name: p.waits_for for p in last.processes if p.waits_for}
        for name, other in waits.items():
            since = self.waits_since(name, len(self.states) - 1)
            then = f", which itself waits for {waits[other]}" if other in waits else f", which {self._fate(other)}"
            yield Reason("waits", (since,) if since else (), f"{name} waits for {other} since step {since}{then}.")

    def _fate(self, name: str) -> str:
        state = self.states[-1]
        view = self.viewer.view(state).process(name)
        if view.status == "running" and not view.step:
            return "hangs and keeps its locks"
        if view.waits_for:
            return f"waits at {view.step} for {view.waits_for}"
        if view.status in {"idle", "running"} and not any(self.runner.moves(state, Elem(view.role, view.number))):
            return f"has nothing to do at {view.step}"
        return WORDS.get(view.status, f"is at {view.step}")

    def waits_since(self, name: str, number: int) -> int:
        """The step since which a process has been waiting in the state after step ``number``."""
        while number and self.viewer.view(self.states[number]).process(name).waits_for:
            number -= 1
        return number + 1

    # ----------------------------------------------------------------------------------------------------------- words

    def _called(self, action: GroundAction) -> str:
        info = action.action.info
        actor = "time" if action.actor is None else self.viewer.process_name(action.actor)
        return f"{actor}, {info.note if action.kind != 'step' and info.note else info.step or info.note}"

    def _told(self, way: tuple[GroundAction, ...]) -> str:
        """A way in words: each process with its steps in a row."""
        parts: list[tuple[str, list[str]]] = []
        for action in way:
            actor = "time" if action.actor is None else self.viewer.process_name(action.actor)
            info = action.action.info
            what = info.note if action.kind != "step" and info.note else info.step or info.note
            if not parts or parts[-1][0] != actor:
                parts.append((actor, []))
            parts[-1][1].append(what)
        return "; ".join(f"{actor} {', '.join(steps)}" for actor, steps in parts)


def _counted(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"


def shortened(condition: str) -> str:
    """A condition, cut where it is long."""
    return condition if len(condition) <= LONG else condition[: LONG - 1] + "…"
