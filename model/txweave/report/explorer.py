"""What the explorer shows, as JSON: a path with the state after each step, what else could happen, and what is true there.

The notebook's widget and the HTML page read the same document (``explorer.js``).  Names and values that come from a specification
stand in lists and never as keys, so that a name that looks like a number keeps its place.  States after the first are given by
what differs from the one before.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from functools import cache
from importlib.resources import files
from typing import Any, TypeAlias

from txweave.possible import Move, Possible, Truth
from txweave.report.story import CALM, Story, StoryStep
from txweave.spec import syntax
from txweave.spec.names import step_lists
from txweave.trace import Trace
from txweave.view import ProcessState, StateView, TableState, Values

Document: TypeAlias = dict[str, Any]
"""JSON."""

CARRIED = 256 * 1024
"""A page carries the states one step beside a counterexample where these are at most so many characters of JSON."""


@cache
def module() -> str:
    """The explorer's ES module."""
    return (files("txweave.report") / "explorer.js").read_text(encoding="utf-8")


@cache
def stylesheet() -> str:
    """Its stylesheet: everything in it is below the class ``twx``."""
    return (files("txweave.report") / "explorer.css").read_text(encoding="utf-8")


# ------------------------------------------------------------------------------------------------------------ documents


def told(story: Story, heading: str) -> Document:
    """A counterexample with its states, and nothing beside it."""
    return {
        "heading": heading,
        "property": story.name,
        "broken": story.broken,
        "why": reasons(story),
        "loop": story.loop,
        "initial": state(story.initial),
        "steps": steps(story.initial, story.steps),
    }


def reasons(story: Story) -> list[Any]:
    """Why it is broken: sentences, each with the steps that it is about, and what of the order matters."""
    if story.why is None:
        return []
    order = sorted({step for pair in story.why.order for step in pair})
    return [*([reason.text, list(reason.steps)] for reason in story.why.reasons), [story.why.order_text, order]]


def carried(story: Story, heading: str, trace: Trace, possible: Possible, case: syntax.Case) -> Document:
    """A counterexample with everything that a page can carry: truth in each state, and the moves one step aside.

    Where these are too many their states are left out, and the page says so.
    """
    found = told(story, heading)
    found |= outlines(case)
    found["properties"] = properties(possible, case.model)
    found["truths"] = truths(possible, trace)
    name_steps(found["steps"], possible, trace)
    found["moves"] = [moves(possible, trace, number, aside=True) for number in range(len(trace.steps) + 1)]
    if len(json.dumps(found["moves"])) > CARRIED:
        found["moves"] = [moves(possible, trace, number, aside=False) for number in range(len(trace.steps) + 1)]
    return found


def name_steps(shown: list[Document], possible: Possible, trace: Trace) -> None:
    """Give each step of a path the name that it has among the moves of its state."""
    for step, before, taken in zip(shown, trace.states, trace.steps, strict=False):
        step["label"] = next(m.label for m in possible.moves(before) if m.action is taken.action and m.state == taken.state)


def truths(possible: Possible, trace: Trace) -> list[list[Document]]:
    """For each state of a path what is true of each property."""
    every = [possible.truths(item, trace.states, trace.loop) for item in possible.system.properties]
    return [[truth(one[number]) for one in every] for number in range(len(trace.states))]


def moves(possible: Possible, trace: Trace, number: int, *, aside: bool) -> list[Document]:
    """What can happen in a state of a path; ``aside``: with where it leads, and what is true there."""
    here = trace.states[number]
    if here[-1] is not None:
        return []
    view = possible.viewer.view(here)
    next_ = trace.steps[number] if number < len(trace.steps) else None
    found = []
    for move in possible.moves(here):
        one = _move(move, view)
        one["taken"] = next_ is not None and move.action is next_.action and move.state == next_.state
        if aside and not one["taken"] and not move.told.state.bound:
            path = Trace(trace.system, (*trace.steps[:number], move.taken))
            one["truths"] = [truth(possible.truths(item, path.states)[-1]) for item in possible.system.properties]
        elif not aside:
            del one["patch"]
        found.append(one)
    return found


def _move(move: Move, before: StateView) -> Document:
    (shown,) = steps(before, [move.told])
    return {**shown, "label": move.label}


def properties(possible: Possible, model: syntax.Model) -> list[Document]:
    """The properties, with their queries as they are written."""
    found = []
    for item in possible.system.properties:
        source = model.properties.get(item.name)
        queries = [[name, text.value.strip()] for name, text in _queries(source)] if source is not None else []
        columns = list(item.rows.columns) if item.rows is not None else []
        found.append({"name": item.name, "kind": item.kind, "title": item.source.title, "queries": queries, "columns": columns})
    return found


def _queries(source: syntax.Property) -> Iterable[tuple[str, Any]]:
    match source.formula:
        case syntax.Never(query):
            yield "never", query
        case syntax.AlwaysPossible(query):
            yield "always_possible", query
        case syntax.LeadsTo(whenever, eventually):
            yield "whenever", whenever
            if eventually is not None:
                yield "eventually", eventually


def truth(found: Truth) -> Document:
    """What is true of a property in a state."""
    return {"status": found.status, "words": found.words, "rows": [list(row) for row in found.rows]}


# ------------------------------------------------------------------------------------------------------------- outlines


def outlines(case: syntax.Case) -> Document:
    """``outlines``: for each procedure its steps in the order of the file (name, depth, kind, what it does in one line).
    ``roles``: for each role the procedures that it runs."""
    roles = case.model.scenarios[case.scenario].roles
    return {
        "outlines": [[name, list(_outline(procedure.steps, 0))] for name, procedure in case.model.procedures.items()],
        "roles": [[role.name.value, [run.value for run in role.run]] for role in roles],
    }


def _outline(inner: Sequence[syntax.Step], depth: int) -> Iterable[list[Any]]:
    for step in inner:
        yield [step.name.value, depth, type(step.body).__name__.lower(), _words(step.body)]
        for below in step_lists(step.body):
            yield from _outline(below, depth + 1)


def _words(body: syntax.Body) -> str:
    match body:
        case syntax.Sql(sql=sql):
            text = sql.value
        case syntax.If(condition):
            text = f"if {condition.value}"
        case syntax.While(condition):
            text = f"while {condition.value}"
        case syntax.For(variables, over):
            text = f"for {', '.join(v.value for v in variables)} in {over.value}"
        case syntax.Choose(variables, source):
            text = f"choose {', '.join(v.value for v in variables)} from {source.value}"
        case syntax.Set(assignments):
            text = "set " + ", ".join(f"{name.value} = {value.value}" for name, value in assignments)
        case syntax.Call(procedure):
            text = f"call {procedure.value}"
        case syntax.Raise(error):
            text = f"raise {error.value}"
        case _:
            text = type(body).__name__.lower()
    return " ".join(text.split())


# ---------------------------------------------------------------------------------------------------------------- steps


def steps(initial: StateView, found: Sequence[StoryStep]) -> list[Document]:
    """Steps one after the other, each with what it changed of the state before it."""
    shown, before = [], initial
    for step in found:
        shown.append(_step(step, before))
        before = step.state
    return shown


def _step(step: StoryStep, before: StateView) -> Document:
    waits = bool(step.actor) and step.state.process(step.actor).waiting
    calm = step.outcome in CALM or waits
    return {
        "label": f"{step.actor or 'time'}: {step.step or step.action}",
        "actor": step.actor,
        "kind": step.kind,
        "procedure": step.procedure,
        "step": step.step or step.action,
        "sql": step.sql,
        "outcome": step.outcome,
        "note": step.note,
        "waits": waits,
        "fails": step.kind in {"fault", "error", "database"} or not calm,
        "returned": _pairs(step.returned),
        "events": list(step.events),
        "changes": [[change.kind, change.label, [list(column) for column in change.columns]] for change in step.changes],
        "patch": patch(before, step.state),
    }


def state(view: StateView) -> Document:
    """A whole state."""
    return {
        "tables": [_table(table) for table in view.tables],
        "processes": [_process(process) for process in view.processes],
        "bound": view.bound,
    }


def patch(before: StateView, after: StateView) -> Document:
    """What differs between two states: tables and processes by their numbers."""
    pairs = enumerate(zip(before.tables, after.tables, strict=True))
    others = enumerate(zip(before.processes, after.processes, strict=True))
    return {
        "tables": [[number, _table(new)] for number, (old, new) in pairs if old != new],
        "processes": [[number, _process(new)] for number, (old, new) in others if old != new],
        "bound": after.bound,
    }


def _table(table: TableState) -> Document:
    return {
        "name": table.name,
        "rows": [[row.label, _pairs(row.values)] for row in table.rows],
        "versions": [[v.writer, v.kind, v.row.label, _pairs(v.row.values)] for v in table.versions],
    }


def _process(process: ProcessState) -> Document:
    return {
        "name": process.name,
        "role": process.role,
        "status": process.status,
        "procedure": process.procedure,
        "step": process.step,
        "transaction": process.transaction,
        "waiting": process.waiting,
        "waitsFor": process.waits_for,
        "variables": _pairs(process.variables),
        "locks": list(process.locks),
    }


def _pairs(values: Values) -> list[list[str]]:
    return [[name, value] for name, value in values]
