"""Names that another language allows, unlike each other, made of names that need not be."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable

from txweave.system.ground import GroundAction, GroundCell


class Names:
    """Hands out identifiers.

    Never given: the ``reserved`` words (a text); ``d1``, ``t2`` and the like, which are for local definitions; anything with two
    underscores in a row, for what is written around the names.
    """

    def __init__(self, reserved: str = "") -> None:
        self.used = {word.lower() for word in reserved.split()}

    def give(self, text: str, prefix: str = "") -> str:
        """An identifier for ``text`` that no other one was given, whatever its case."""
        base = re.sub(r"[^A-Za-z0-9]+", "_", text.replace("'", "_pending ").replace("~", "")).strip("_")
        base = prefix + base if prefix or (base and not base[0].isdigit()) else f"v_{base}".rstrip("_")
        name, number = base, 1
        while name.lower() in self.used or re.fullmatch("[dt][0-9]+", name):
            number += 1
            name = f"{base}_{number}"
        self.used.add(name.lower())
        return name


def cell_name(cell: GroundCell) -> str:
    """A cell's function and where it is: the sort of the first argument is left out where the function's name begins with it."""
    if not cell.args:
        return cell.function
    first, *rest = cell.args
    head = str(first.number + 1) if cell.function.startswith(f"{first.sort}.") else str(first)
    return " ".join([cell.function, head, *map(str, rest)])


def action_name(action: GroundAction) -> str:
    """The process instance, the step and how it ended, and the other parameters."""
    name, params = action.action.name, list(action.params)
    if action.actor is not None:
        name = f"{action.actor} {name.removeprefix(action.action.role + '.')}"
        params = params[1:]
    return " ".join([name, *("NULL" if p is None else str(p) for p in params)])


def printable(text: str) -> str:
    """``text`` in printable ASCII without quotes or backslashes; two texts stay different unless they are made to clash."""
    return "".join(c if " " <= c <= "~" and c not in '"\\' else f"<{ord(c):04X}>" for c in text)


def comment(text: str) -> str:
    """A text that may stand in a comment of either language."""
    return printable(text).replace("(*", "( *").replace("*)", "* )").replace("/*", "/ *").replace("*/", "* /")


def wrapped(lines: Iterable[str], width: int) -> list[str]:
    """Lines of a comment, none much longer than ``width`` but commands, which can be copied."""
    found: list[str] = []
    for line in map(comment, lines):
        if line.startswith(("  java ", "  spin ")):
            found.append(line)
        else:
            found += textwrap.wrap(line, width, subsequent_indent="    ") or [""]
    return found
