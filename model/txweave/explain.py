"""The diagnostics of all packages by their codes."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any, TypeAlias

PACKAGES = ("txweave.spec.codes", "txweave.sql.codes", "txweave.semantics.codes", "txweave.lint.codes")

Codes: TypeAlias = dict[str, tuple[str, str]]
"""Title and explanation by code."""


def codes() -> Codes:
    """All codes in order."""
    found: Codes = {}
    for name in PACKAGES:
        table: Mapping[str, Any] = import_module(name).CODES
        for code, entry in table.items():
            assert code not in found, f"{code} is declared twice"
            found[code] = _entry(entry)
    return dict(sorted(found.items()))


def _entry(entry: Any) -> tuple[str, str]:
    title, explanation, *examples = entry
    parts = [str(explanation).rstrip()]
    for label, example in zip(("Wrong:", "Right:"), examples, strict=False):
        if example:
            parts.append(f"{label}\n" + "\n".join(f"  {line}" for line in str(example).splitlines()))
    return str(title), "\n\n".join(parts)


def explanation(code: str, known: Codes) -> str | None:
    """The whole explanation of one code; None if there is no such code."""
    found = known.get(code)
    if found is None:
        return None
    title, text = found
    return f"{code}: {title}\n\n{text}\n"
