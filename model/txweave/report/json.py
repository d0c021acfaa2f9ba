"""Results as JSON: versioned, complete, and the same bytes for the same results when ``timing`` is off.

The shapes are in ``check.schema.json``, ``repair.schema.json``, ``compare.schema.json`` and ``diff.schema.json`` beside this
module.  Keys stand in a fixed order, lists in the order of the specification.

Within one ``schema_version`` no key is removed or renamed, and none changes its type or meaning; keys and values of enumerations
may be added, so a reader passes over those it does not know.  :data:`SCHEMA_VERSION` rises with any other change.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import Any, TypeAlias

import txweave
from txweave.report.story import Place, Query, Story, StoryStep, Why
from txweave.results import CaseResult, Known, Proof, PropertyResult, worst
from txweave.spec.diagnostics import Diagnostic
from txweave.spec.text import Span
from txweave.view import ProcessState, RowChange, StateDiff, StateView, Values, VersionChange

SCHEMA_VERSION = 1

Json: TypeAlias = dict[str, Any]


@cache
def schema(command: str = "check") -> Json:
    """The JSON Schema of what a command prints: ``check``, ``repair``, ``compare`` or ``diff``.

    It stands by itself: what it refers to in the schema of ``check`` is among its own definitions.
    """
    loaded = _read("check")
    if command == "check":
        return loaded
    text = json.dumps(_read(command)).replace('"check.schema.json#/', '"#/')
    whole: Json = {**json.loads(text), "definitions": loaded["definitions"]}
    return whole


def _read(command: str) -> Json:
    loaded: Json = json.loads((files("txweave.report") / f"{command}.schema.json").read_text(encoding="utf-8"))
    return loaded


def dumps(document: Json) -> str:
    """The document as text, with a line end."""
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def document(
    results: Sequence[CaseResult],
    errors: Sequence[tuple[str, tuple[Diagnostic, ...]]] = (),
    exit_status: int | None = None,
    *,
    timing: bool = True,
) -> Json:
    """Everything about the cases, and the files that could not be read."""
    return {
        "schema_version": SCHEMA_VERSION,
        "kind": "check",
        "txweave": txweave.__version__,
        **({"environment": environment()} if timing else {}),
        "exit_status": int(worst([r.exit for r in results])) if exit_status is None else exit_status,
        "cases": [case(result, timing=timing) for result in results],
        "errors": [{"path": path, "diagnostics": [diagnostic(d) for d in found]} for path, found in errors],
    }


def environment() -> Json:
    """Versions of what the answers may depend on."""
    import platform
    from importlib.metadata import PackageNotFoundError, version

    def of(package: str) -> str:
        try:
            return version(package)
        except PackageNotFoundError:
            return ""

    return {"python": platform.python_version(), "z3": of("z3-solver"), "sqlglot": of("sqlglot")}


def case(result: CaseResult, *, timing: bool = True) -> Json:
    """One case."""
    return {
        "path": result.path,
        "study": result.study,
        "model": result.model,
        "case": result.case,
        "scenario": result.scenario,
        "title": result.title,
        "place": place(result.place),
        "fixes": list(result.fixes),
        "settings": dict(result.settings),
        "exit_status": int(result.exit),
        **({"seconds": round(result.seconds, 3), "cached": result.cached} if timing else {}),
        "explorations": [
            {
                "engine": e.engine,
                "states": e.states,
                "transitions": e.transitions,
                "depth": e.depth,
                "complete": e.complete,
                "stopped": e.stopped,
                "reductions": list(e.reductions),
                "unreduced": e.unreduced,
                **({"seconds": round(e.seconds, 3)} if timing else {}),
            }
            for e in result.explorations
        ],
        "properties": [property_(p, timing=timing) for p in result.properties],
        "findings": [
            {"kind": f.kind, "subject": f.subject, "message": f.message, "place": place(f.place)} for f in result.findings
        ],
        "assumptions": list(result.assumptions),
        "steps": list(result.steps),
        "errors": [diagnostic(d) for d in result.errors],
        "failures": list(result.failures),
    }


def property_(item: PropertyResult, *, timing: bool = True) -> Json:
    """One property of a case."""
    return {
        "name": item.name,
        "kind": item.kind,
        "title": item.title,
        "place": place(item.place),
        "verdict": item.status.value,
        "text": item.text,
        "length": list(item.length) if item.length is not None else None,
        "expected": {
            "verdict": item.expected.verdict,
            "length": list(item.expected.length) if item.expected.length is not None else None,
            "stated": item.expected.stated,
            "place": place(item.expected.place),
            "known": _known(item.expected.known, timing=timing),
        },
        "relation": item.relation.value,
        "known": item.known is not None,
        "difference": item.difference,
        "answers": [
            {
                "engine": a.engine,
                "verdict": a.status.value if a.status is not None else None,
                "text": a.text,
                "length": list(a.length) if a.length is not None else None,
                "notes": list(a.notes),
                **({"seconds": round(a.seconds, 3)} if timing else {}),
            }
            for a in item.answers
        ],
        "notes": list(item.notes),
        "counterexample": story(item.story) if item.story is not None else None,
        "proof": _proof(item.proof) if item.proof is not None else None,
    }


def _proof(found: Proof) -> Json:
    return {
        "kind": found.kind,
        "clock": found.clock,
        "scope": found.scope,
        "lifted": list(found.lifted),
        "truncated": list(found.truncated),
        "clauses": [{"smt": clause.smt, "words": clause.words} for clause in found.clauses],
    }


def _known(found: Known | None, *, timing: bool) -> Json | None:
    if found is None:
        return None
    return {"until": found.until.isoformat(), "reason": found.reason, **({"days_left": found.left} if timing else {})}


def story(told: Story) -> Json:
    """A counterexample: the initial state, then each step with what it changed and the whole state after it."""
    return {
        "property": told.name,
        "kind": told.kind,
        "title": told.title,
        "place": place(told.place),
        "loop": told.loop,
        "length": list(told.length),
        "broken": told.broken,
        "witness": _pairs(told.witness),
        "queries": [query(q) for q in told.queries],
        "facts": list(told.facts),
        "processes": list(told.processes),
        "why": why(told.why) if told.why is not None else None,
        "assumptions": list(told.assumptions),
        "initial": state(told.initial),
        "steps": [step(s) for s in told.steps],
    }


def why(told: Why) -> Json:
    """The reasons of a violation."""
    return {
        "reasons": [{"kind": reason.kind, "steps": list(reason.steps), "text": reason.text} for reason in told.reasons],
        "order": [list(pair) for pair in told.order] if told.known else None,
        "fewest": told.fewest,
        "text": told.order_text,
    }


def step(told: StoryStep) -> Json:
    """One step."""
    return {
        "number": told.number,
        "actor": told.actor,
        "role": told.role,
        "kind": told.kind,
        "action": told.action,
        "procedure": told.procedure,
        "step": told.step,
        "sql": told.sql,
        "template": told.template,
        "outcome": told.outcome,
        "note": told.note,
        "returned": _pairs(told.returned),
        "changes": [_change(c) for c in told.changes],
        "events": list(told.events),
        "in_loop": told.in_loop,
        "place": place(told.place),
        "diff": _diff(told.diff),
        "state": state(told.state),
    }


def query(told: Query) -> Json:
    """A query of a property and its rows."""
    return {"name": told.name, "sql": told.sql, "columns": list(told.columns), "rows": [list(row) for row in told.rows]}


def state(view: StateView) -> Json:
    """A whole state."""
    return {
        "tables": {
            table.name: {
                "rows": [{"row": row.label, "values": _values(row.values)} for row in table.rows],
                "uncommitted": [
                    {"writer": v.writer, "kind": v.kind, "row": v.row.label, "values": _values(v.row.values)}
                    for v in table.versions
                ],
            }
            for table in view.tables
        },
        "processes": {p.name: _process(p) for p in view.processes},
        "bound": view.bound,
    }


def _process(view: ProcessState) -> Json:
    return {
        "role": view.role,
        "status": view.status,
        "procedure": view.procedure,
        "step": view.step,
        "transaction": view.transaction,
        "waiting": view.waiting,
        "waits_for": view.waits_for,
        "variables": _values(view.variables),
        "locks": list(view.locks),
    }


def _diff(found: StateDiff) -> Json:
    return {
        "rows": [_change(c) for c in found.rows],
        "uncommitted": [{"writer": c.writer, **_change(c)} for c in found.versions],
        "processes": [{"process": c.process, "field": c.field, "before": c.before, "after": c.after} for c in found.processes],
    }


def _change(change: RowChange | VersionChange) -> Json:
    columns = [{"column": c, "before": before, "after": after} for c, before, after in change.columns]
    return {"table": change.table, "row": change.label, "kind": change.kind, "columns": columns}


def _values(values: Values) -> Json:
    return dict(values)


def _pairs(values: Values) -> list[Json]:
    """Where a name may stand twice, as in the columns of a query."""
    return [{"name": name, "value": value} for name, value in values]


def place(found: Place | None) -> Json | None:
    """A place in a specification."""
    return {"path": found.path, "line": found.line, "column": found.column} if found is not None else None


def diagnostic(found: Diagnostic) -> Json:
    """One thing that is wrong in a specification."""
    return {
        "code": found.code,
        "severity": found.severity,
        "message": found.message,
        "remedy": found.remedy,
        "span": _span(found.span),
        "related": [{"span": _span(span), "message": note} for span, note in found.related],
    }


def _span(span: Span | None) -> Json | None:
    if span is None:
        return None
    return {
        "path": span.path,
        "line": span.line,
        "column": span.column,
        "end_line": span.end_line,
        "end_column": span.end_column,
    }
