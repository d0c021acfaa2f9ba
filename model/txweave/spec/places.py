"""Specifications without their places: what they say, whoever wrote it where."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any

from txweave.spec.syntax import Model
from txweave.spec.text import SourceFile, Span, Text


def without_places(value: Any) -> Any:
    """Nested tuples that are equal exactly when two pieces of syntax say the same, wherever they stand.

    Spans are left out, texts are their words; the names of applied fixes and of a step's origin are left out as well: they
    say where something comes from, not what it means.
    """
    if isinstance(value, Text):
        return value.value
    if isinstance(value, Span | SourceFile):
        return None
    if isinstance(value, Model):
        return ("Model", *((f.name, without_places(getattr(value, f.name))) for f in fields(value) if f.name != "fixes"))
    if is_dataclass(value) and not isinstance(value, type):
        named = (f.name for f in fields(value) if f.name != "origin" and not isinstance(getattr(value, f.name), Span))
        return (type(value).__name__, *((name, without_places(getattr(value, name))) for name in named))
    if isinstance(value, dict):
        return ("dict", *((key, without_places(item)) for key, item in value.items()))
    if isinstance(value, tuple | list):
        return tuple(without_places(item) for item in value)
    return (type(value).__name__, value)
