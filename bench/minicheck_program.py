"""A ground system as a program for minicheck.

The state is a tuple with one code for each cell that has more than one value, as minicheck's ``Protocol`` wants it.  The transition
function is the code that txweave's own engine for single states generates (actions only tried at the place of their process, what
several guards share tested once), over tuples in place of packed integers: minicheck is not made slow by its input.

As in the exports, what leads beyond a bound is no transition; there are no invariants, since the states are counted.
"""

from __future__ import annotations

from typing import Any

from txweave.engines.explicit.layout import Truth, box
from txweave.engines.explicit.program import Members, Program
from txweave.engines.explicit.source import Case, Leaf, write
from txweave.engines.explicit.translate import Piece, Recipe, Texts, Translator
from txweave.system import expr as x
from txweave.system.expr import Elem, Expr
from txweave.system.ground import GroundAction, GroundSystem

_HEAD = '''\
"""{title}: the states, counted by minicheck (pip install minicheck).  Generated."""

import json
import resource
import time

from minicheck import Protocol, check_safety

YES, NO = ("truth", True, None), ("truth", False, None)


def less(left, right):
    return left is not None and right is not None and type(left) is type(right) and left < right


def arith(operator, left, right):
    if left is None or right is None:
        return None
    return left + right if operator == "+" else left - right if operator == "-" else left * right
'''

_TAIL = """
if __name__ == "__main__":
    before, started = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    found = check_safety(MODEL, max_states=10**12)
    seconds, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_SELF)
    assert found["exhaustive"], found
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(json.dumps({"states": found["reachable_states"], "seconds": seconds, "cpu": cpu}))
"""


class _Tuples(Translator):
    """Texts over a state ``s`` that is a tuple of codes."""

    def __init__(self, program: Program) -> None:
        super().__init__(program.layout)
        self.facts = program.translator.facts
        fields = program.layout.fields
        self.cells = [cell for cell, field in enumerate(fields) if field.mask]
        self.position = {cell: position for position, cell in enumerate(self.cells)}

    def _field(self, node: Expr) -> Recipe:
        assert isinstance(node, x.Cell)
        position = self.position.get(node.index)
        text = "0" if position is None else f"s[{position}]"
        return Recipe((), lambda _: text, trivial=position is None)


def render(ground: GroundSystem, title: str) -> str:
    """The text of the program.  Run, it prints one line of JSON: states, seconds and CPU seconds of the search."""
    program = Program(ground)
    tuples = _Tuples(program)
    texts: list[str] = []
    grouped, rest = program.groups
    calls: list[str] = []
    for number, (cell, groups) in enumerate(grouped):
        table: list[str] = []
        for code, members in enumerate(groups):
            name = f"group_{number}_{code}" if members else "nothing"
            if members:
                texts.append(_group(program, tuples, name, members, {tuples.field(cell): str(code)}))
            table.append(name)
        texts.append(f"TABLE_{number} = ({', '.join(table)},)")
        calls.append(f"    TABLE_{number}[s[{tuples.position[cell]}]](s, push)")
    if rest:
        members = [(action, program.conjuncts(action.guard)) for action in rest]
        texts.append(_group(program, tuples, "rest", members, {}))
        calls.append("    rest(s, push)")
    fields = program.layout.fields
    initial = tuple(fields[cell].codes.of[box(ground.initial[cell])] for cell in tuples.cells)
    names = tuple(ground.cells[cell].name for cell in tuples.cells)
    own = {"YES", "NO", "less", "arith"}
    constants = [f"{name} = {_constant(value)}" for name, value in tuples.names.items() if name not in own]
    parts = [
        _HEAD.format(title=title.replace('"', "'").replace("\\", "/")),
        "\n".join(constants),
        "def nothing(s, push):\n    pass",
        *texts,
        "\n".join(["def transitions(s):", "    found = []", "    push = found.append", *calls, "    return found"]),
        f"MODEL = Protocol({ground.system.name!r}, False, {names!r}, {initial!r}, transitions, {{}})",
        _TAIL,
    ]
    return "\n\n".join(parts)


def _group(program: Program, tuples: _Tuples, name: str, members: Members, known: dict[Piece, str]) -> str:
    cases = [Case(conjuncts, _leaf(program, tuples, action)) for action, conjuncts in members]
    return write(tuples, f"def {name}(s, push):", cases, known).rstrip()


def _leaf(program: Program, tuples: _Tuples, action: GroundAction) -> Leaf:
    """The successor: the codes that stay in slices, the new ones between them."""
    fields, out = program.layout.fields, program.layout.out
    uses: list[Piece] = []
    where: list[int] = []
    bound: Piece | None = None
    for cell, body in action.updates:
        if cell == out:
            assert program.bounds is not None
            bound = Piece(body, program.bounds)
        elif fields[cell].mask:
            where.append(tuples.position[cell])
            uses.append(Piece(body, fields[cell].codes))
    order = sorted(range(len(where)), key=where.__getitem__)

    def lines(texts: Texts) -> list[str]:
        parts: list[str] = []
        end = 0
        for place in order:
            position = where[place]
            if position > end:
                parts.append(f"*s[{end or ''}:{position}]")
            parts.append(texts[place])
            end = position + 1
        if end < len(tuples.cells):
            parts.append(f"*s[{end or ''}:]")
        after = f"({', '.join(parts)},)" if order else "s"
        line = f"push(({action.name!r}, {after}))"
        if bound is None:
            return [line]
        beyond = texts[-1]
        if beyond.isdigit():
            return [line] if beyond == "0" else ["pass"]
        return [f"if not {beyond}: {line}"]

    return Leaf((*uses, *([bound] if bound is not None else [])), lines)


def _constant(value: Any) -> str:
    """A constant of the generated code as Python text; elements as pairs, which compare alike."""
    if isinstance(value, Truth):
        return "YES" if value.value else "NO"
    if isinstance(value, Elem):
        return repr(tuple(value))
    if isinstance(value, tuple):
        return f"({''.join(_constant(item) + ', ' for item in value)})"
    if value is None or isinstance(value, bool | int | str):
        return repr(value)
    of = getattr(value, "__self__", None)
    assert isinstance(of, dict), f"{value!r} is no constant of generated code"
    return f"{{{', '.join(f'{_constant(key)}: {code}' for key, code in of.items())}}}.get"
