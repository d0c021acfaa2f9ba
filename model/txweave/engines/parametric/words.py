"""Clauses in the words of the specification."""

from __future__ import annotations

from collections.abc import Sequence

from txweave.engines.parametric.samples import Candidate, Column
from txweave.engines.parametric.template import Template
from txweave.system.expr import Elem, Value


def names_of(view: Sequence[str]) -> tuple[str, ...]:
    """A name for each element of a view: its sort, numbered where there are several."""
    seen: dict[str, int] = {}
    found = []
    for sort in view:
        seen[sort] = seen.get(sort, 0) + 1
        found.append(f"{sort} {seen[sort]}" if view.count(sort) > 1 else sort)
    return tuple(found)


def sentence(template: Template, candidate: Candidate) -> str:
    """A clause: what is never the case."""
    names = names_of(candidate.view)
    parts = [literal(template, column, codes, names) for column, codes in candidate.cube]
    different = [n for n in names if n[-1].isdigit() and " " in n]
    who = " and ".join(different) if different else ""
    return "never: " + " and ".join(parts) + (f" ({who} are different)" if who else "")


def literal(template: Template, column: Column, codes: frozenset[int], names: Sequence[str]) -> str:
    """That a function has one of some values."""
    outside = sorted(c for c in range(column.other + 1) if c not in codes and c != column.other)
    inside = sorted(c for c in codes if c != column.other)
    subject = term(template, column, names)
    boolean = set(column.values) <= {False, True} and not column.elements

    def say(code: int) -> str:
        return value(column.values[code]) if code < len(column.values) else names[column.elements[code - len(column.values)]]

    if boolean and len(inside) == 1:
        return subject if column.values[inside[0]] is True else f"not {subject}"
    if column.other in codes:
        if len(outside) == 1:
            word = say(outside[0])
            return f"{subject} is not {word}"
        return f"{subject} is not {' or '.join(map(say, outside))}"
    return f"{subject} is {' or '.join(map(say, inside))}"


def term(template: Template, column: Column, names: Sequence[str]) -> str:
    """A function at elements."""
    args = [names[a] for a in column.args]
    origin = template.origins[column.function]
    about = template.functions[column.function].about
    fixed = [str(e) for e in origin.args if e is not None]
    who = args[0] if args else ""
    match about:
        case ("live", _):
            return f"{who} is committed"
        case ("committed", _, name):
            return f"{who}.{name}"
        case ("pending", _, name):
            return f"the uncommitted {who}.{name}"
        case ("writer", _):
            return f"the writer of {who}"
        case ("pc", _):
            return f"the place of {who}"
        case ("variable", _, name):
            return f"{who}'s {name}"
        case ("lock", table, _):
            return f"{who}'s lock on {', '.join((*args[1:], *fixed)) or table}"
        case ("at", _, table):
            return f"the {table} that {who} waits for"
        case ("blocker", _):
            return f"whom {who} waits for"
        case ("rows", _, name):
            return f"{args[-1]} is in {who}'s {name}"
    return f"{column.function}({', '.join((*args, *fixed))})"


def fact_of(template: Template, function: str, names: Sequence[str], item: Value) -> str:
    """That a function has a value at elements with these names."""
    subject = term(template, Column(function, tuple(range(len(names))), (), ()), names)
    if isinstance(item, bool):
        return subject if item else f"not {subject}"
    return f"{subject} is {value(item)}"


def value(item: Value) -> str:
    """A value."""
    if item is None:
        return "NULL"
    return str(item) if isinstance(item, (Elem, str)) else repr(item)
