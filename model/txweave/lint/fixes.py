"""Fixes that change nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from txweave.spec import syntax
from txweave.spec.diagnostics import Report
from txweave.spec.fixes import apply_fixes
from txweave.spec.render import render_model


def idle_fixes(model: syntax.Model, fixes: Sequence[syntax.Fix], report: Report) -> None:
    """L509: each of the fixes that, put on what it requires, leaves the model as it was."""
    for fix in fixes:
        below = _required(fix, fixes)
        if _rendered(model, below) == _rendered(model, [*below, fix]):
            message = f"the fix {fix.name.value} changes nothing: with it the model is the same as without"
            report.warning("L509", fix.name.span(), message, "change something, or leave it out")


def _required(fix: syntax.Fix, fixes: Iterable[syntax.Fix]) -> list[syntax.Fix]:
    """Those of the fixes that it requires, and that those require."""
    by_name = {f.name.value: f for f in fixes}
    found: dict[str, syntax.Fix] = {}
    queue = [name.value for name in fix.requires]
    while queue:
        name = queue.pop()
        if name not in found:
            found[name] = by_name[name]
            queue += [required.value for required in by_name[name].requires]
    return list(found.values())


def _rendered(model: syntax.Model, fixes: Sequence[syntax.Fix]) -> str:
    composed = apply_fixes(model, fixes) if fixes else model
    return render_model(replace(composed, fixes=()))
