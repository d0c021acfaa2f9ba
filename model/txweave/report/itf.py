"""Counterexamples in the Informal Trace Format, a file for each violated property, whether the violation is expected or not.

The format: Apalache's ADR-015, https://apalache-mc.org/docs/adr/015adr-trace.html.  A state has three variables: ``tables``
(committed rows by their name), ``uncommitted`` (versions that running transactions have written) and ``processes``.
"""

from __future__ import annotations

import json
import re
from typing import Any

import txweave
from txweave.report.outcomes import Report
from txweave.report.story import Story, StoryStep
from txweave.results import CaseResult, PropertyResult
from txweave.view import StateView, Values

VARS = ("tables", "uncommitted", "processes")

Json = dict[str, Any]


def render(report: Report) -> dict[str, str]:
    """The documents by the names of their files."""
    found: dict[str, str] = {}
    for result in report.results:
        for item in result.properties:
            if item.story is not None:
                text = json.dumps(trace(result, item, item.story), indent=2, ensure_ascii=False) + "\n"
                found[_free(_name(result, item), found)] = text
    return found


def _name(result: CaseResult, item: PropertyResult) -> str:
    path = re.sub(r"\.(study|model)\.yaml$", "", result.path)
    parts = [re.sub(r"[^A-Za-z0-9_=-]+", "-", part).strip("-") for part in (path, result.case, item.name)]
    return ".".join(part for part in parts if part)[:200]


def _free(name: str, taken: dict[str, str]) -> str:
    """A file name that is not taken: different names may look alike once their special characters are gone."""
    names = {other.lower() for other in taken}
    number = 1
    while True:
        candidate = f"{name}{f'-{number}' if number > 1 else ''}.itf.json"
        if candidate.lower() not in names:
            return candidate
        number += 1


def trace(result: CaseResult, item: PropertyResult, story: Story) -> Json:
    """One counterexample.  The loop of a lasso ends in the last state, which is the one where it starts."""
    place = story.place
    return {
        "#meta": {
            "format": "ITF",
            "format-description": "https://apalache-mc.org/docs/adr/015adr-trace.html",
            "description": f"made by txweave {txweave.__version__}",
            "source": result.path,
            "case": result.case,
            "scenario": result.scenario,
            "fixes": list(result.fixes),
            "property": story.name,
            "title": story.title,
            "verdict": item.text,
            "place": f"{place.path}:{place.line}:{place.column}" if place else "",
            "broken": story.broken,
            "assumptions": list(story.assumptions),
        },
        "vars": list(VARS),
        "states": [_state(story.initial, None), *(_state(step.state, step) for step in story.steps)],
        **({"loop": story.loop} if story.loop is not None else {}),
    }


def _state(view: StateView, step: StoryStep | None) -> Json:
    """A state, and in its ``#meta`` the step that led to it."""
    meta: Json = {"index": step.number if step is not None else 0}
    if step is not None:
        place = step.place
        meta |= {
            "action": step.action,
            "process": step.actor,
            "procedure": step.procedure,
            "step": step.step,
            "kind": step.kind,
            "sql": step.sql,
            "outcome": step.outcome,
            "note": step.note,
            "events": list(step.events),
            "place": f"{place.path}:{place.line}:{place.column}" if place else "",
        }
    return {
        "#meta": meta,
        "tables": _map((t.name, _map((r.label, _record(r.values)) for r in t.rows)) for t in view.tables),
        "uncommitted": {
            "#set": [
                {"writer": v.writer, "kind": v.kind, "table": t.name, "row": v.row.label, "values": _record(v.row.values)}
                for t in view.tables
                for v in t.versions
            ]
        },
        "processes": _map(
            (
                p.name,
                {
                    "role": p.role,
                    "status": p.status,
                    "procedure": p.procedure,
                    "step": p.step,
                    "transaction": p.transaction,
                    "waiting": p.waiting,
                    "waits_for": p.waits_for,
                    "variables": _record(p.variables),
                    "locks": {"#set": list(p.locks)},
                },
            )
            for p in view.processes
        ),
    }


def _map(pairs: Any) -> Json:
    return {"#map": [list(pair) for pair in pairs]}


def _record(values: Values) -> Json:
    """Names that a specification chose are keys of a map: a record's fields must not begin with ``#``."""
    return _map((name, value(text)) for name, text in values)


def value(text: str) -> Any:
    """A value that a state shows as an SQL literal.  What ITF has no literal for (NULL, a time, rows) is ``#unserializable``."""
    if text in {"TRUE", "FALSE"}:
        return text == "TRUE"
    if re.fullmatch(r"-?[0-9]+", text):
        return {"#bigint": text}
    if len(text) >= 2 and text[0] == text[-1] == "'":
        return text[1:-1].replace("''", "'")
    return {"#unserializable": text}
