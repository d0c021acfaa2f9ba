"""Lint: what is legal in a model and probably not meant.  Codes L501 to L599, warnings all of them.

The checks read the bound model, so that names, types and NULLs are known; they are syntactic, and never need a state.
"""

from __future__ import annotations

from txweave.lint.fixes import idle_fixes
from txweave.lint.flow import flow
from txweave.lint.meaning import meaning
from txweave.lint.unused import unused
from txweave.spec import syntax
from txweave.spec.diagnostics import Diagnostic, Report
from txweave.sql.program import BoundModel

__all__ = ["lint"]

UNUSED = frozenset({"L501", "L502", "L503", "L504", "L505"})


def lint(model: BoundModel, base: syntax.Model | None = None, fixes: tuple[syntax.Fix, ...] = ()) -> tuple[Diagnostic, ...]:
    """Everything that looks wrong in a model with its fixes, in the order of the files.

    Args:
        model: The composed model.
        base: The model without its fixes, when it is known.
        fixes: The fixes that made ``model`` of ``base``.
    """
    report = Report()
    for check in (unused, flow, meaning):
        check(model, report)
    if base is not None:
        idle_fixes(base, fixes, report)
    found = [d for d in report.diagnostics if d.span is not None]
    if fixes:
        # What a fix no longer needs, the model does; what only a fix uses, the model is asked about without it.
        own = model.source.name.span().path
        found = [d for d in found if d.span is not None and not (d.code in UNUSED and d.span.path == own)]
    return tuple(sorted(found, key=lambda d: (d.span.path, d.span.start, d.code) if d.span else ("", 0, d.code)))
