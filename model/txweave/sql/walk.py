"""Walking through bound SQL."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass

from txweave.spec.text import SourceFile, Span, Text


def walk(node: object) -> Iterator[object]:
    """A bound node and everything below it, subqueries included, in the order of the fields."""
    if isinstance(node, tuple):
        for part in node:
            yield from walk(part)
    elif is_dataclass(node) and not isinstance(node, (Span, Text, SourceFile, type)):
        yield node
        for field in fields(node):
            if field.name not in {"span", "type"}:
                yield from walk(getattr(node, field.name))


def contains(node: object, kind: type | tuple[type, ...]) -> bool:
    """Whether a node of a class stands anywhere in a bound tree."""
    return any(isinstance(part, kind) for part in walk(node))
