"""What a replay found as JSON; the shape is in ``replay.schema.json`` beside this module."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import Any

import txweave
from txweave.replay.cases import CaseReplay
from txweave.replay.replay import Divergence, Replayed
from txweave.report.json import diagnostic
from txweave.results import Exit
from txweave.spec.diagnostics import Diagnostic

SCHEMA_VERSION = 1


@cache
def schema() -> dict[str, Any]:
    """The JSON Schema of what :func:`document` makes."""
    loaded: dict[str, Any] = json.loads((files("txweave.replay") / "replay.schema.json").read_text(encoding="utf-8"))
    return loaded


def document(
    cases: Sequence[CaseReplay], errors: Sequence[tuple[str, tuple[Diagnostic, ...]]], server: str, status: Exit
) -> dict[str, Any]:
    """Everything that a replay found; ``server`` is its version."""
    return {
        "schema_version": SCHEMA_VERSION,
        "kind": "replay",
        "txweave": txweave.__version__,
        "server": {"engine": "postgresql", "version": server},
        "exit_status": int(status),
        "cases": [_case(case) for case in cases],
        "errors": [{"path": path, "diagnostics": [diagnostic(d) for d in found]} for path, found in errors],
    }


def _case(case: CaseReplay) -> dict[str, Any]:
    about = case.about
    return {
        "path": about.path,
        "study": about.study,
        "model": about.model,
        "case": about.case,
        "scenario": about.scenario,
        "fixes": list(about.fixes),
        "settings": dict(about.settings),
        "exit_status": int(case.exit),
        "states": case.states,
        "stopped": case.stopped,
        "traces": [{"property": t.property, "kind": t.kind, **_replayed(t.result)} for t in case.traces],
        "walks": {
            "number": case.walks,
            "steps": case.walked_steps,
            "differing": [{"seed": w.seed, "divergence": _divergence(w.divergence), "log": list(w.log)} for w in case.differing],
        },
        "errors": [diagnostic(d) for d in case.errors],
        "failures": list(case.failures),
        "notes": list(case.notes),
    }


def _replayed(result: Replayed) -> dict[str, Any]:
    return {
        "outcome": result.outcome,
        "steps": result.steps,
        "detail": result.detail,
        "divergence": _divergence(result.divergence) if result.divergence is not None else None,
        "log": list(result.log),
    }


def _divergence(found: Divergence) -> dict[str, Any]:
    op = found.op
    return {
        "step": found.step,
        "process": str(op.process) if op.process is not None else "",
        "place": f"{op.procedure}.{op.step}" if op.procedure else op.step,
        "sql": op.text,
        "expected": list(found.expected),
        "got": found.got,
    }
