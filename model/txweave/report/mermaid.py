"""A procedure's state machine as a Mermaid diagram, from its steps."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from txweave.spec import syntax

_Exits = list[tuple[str, str]]
"""Nodes from which control goes on, each with the edge's label."""


def procedure_diagram(procedure: syntax.Procedure) -> str:
    """``stateDiagram-v2``: a state for each step, a diamond for each decision; back to the first step where it repeats."""
    drawing = _Drawing()
    drawing.lines.append("stateDiagram-v2")
    drawing.lines.append(f"    %% {procedure.name}")
    exits = drawing.steps(procedure.steps, [("[*]", "")])
    if procedure.repeat is not None and drawing.first:
        label = "again" if procedure.repeat == "" else f"again after {procedure.repeat}"
        drawing.join(exits, drawing.first, label)
    else:
        drawing.join(exits, "[*]")
    return "\n".join(drawing.lines) + "\n"


@dataclass
class _Drawing:
    lines: list[str] = field(default_factory=list)
    first: str = ""
    depth: int = 1
    numbers: int = 0

    def write(self, text: str) -> None:
        self.lines.append("    " * self.depth + text)

    def node(self, name: str, label: str) -> str:
        self.numbers += 1
        identity = f"s{self.numbers}_{re.sub(r'[^A-Za-z0-9_]', '_', name)}"
        self.first = self.first or identity
        self.write(f'state "{_text(label)}" as {identity}')
        return identity

    def diamond(self, name: str) -> str:
        self.numbers += 1
        identity = f"s{self.numbers}_{re.sub(r'[^A-Za-z0-9_]', '_', name)}"
        self.first = self.first or identity
        self.write(f"state {identity} <<choice>>")
        return identity

    def join(self, exits: _Exits, target: str, label: str = "") -> None:
        for source, words in exits:
            text = ", ".join(w for w in (words, label) if w)
            self.write(f"{source} --> {target}" + (f" : {_text(text)}" if text else ""))

    def steps(self, steps: Sequence[syntax.Step], exits: _Exits) -> _Exits:
        for step in steps:
            exits = self.step(step, exits)
        return exits

    def step(self, step: syntax.Step, exits: _Exits) -> _Exits:
        name, body = step.name.value, step.body
        match body:
            case syntax.If(condition, then, otherwise):
                here = self.diamond(name)
                self.join(exits, here, name)
                taken = self.steps(then, [(here, condition.value)])
                other: _Exits = [(here, "else")]
                return taken + (self.steps(otherwise, other) if otherwise else other)
            case syntax.For(variables, over, inner):
                here = self.diamond(name)
                self.join(exits, here, name)
                words = f"next {', '.join(v.value for v in variables)} in {over.value}"
                self.join(self.steps(inner, [(here, words)]), here)
                return [(here, "no more")]
            case syntax.While(condition, inner):
                here = self.diamond(name)
                self.join(exits, here, name)
                self.join(self.steps(inner, [(here, condition.value)]), here)
                return [(here, "else")]
            case syntax.Try(inner, handlers, final):
                self.numbers += 1
                frame = f"s{self.numbers}_{re.sub(r'[^A-Za-z0-9_]', '_', name)}"
                self.join(exits, frame)
                self.first = self.first or frame
                self.write(f'state "{_text(name)}" as {frame} {{')
                self.depth += 1
                self.join(self.steps(inner, [("[*]", "")]), "[*]")
                self.depth -= 1
                self.write("}")
                after: _Exits = [(frame, "")]
                for handler in handlers:
                    errors = ", ".join(e.value for e in handler.errors) or "any error"
                    after += self.steps(handler.steps, [(frame, errors)])
                return self.steps(final, after) if final else after
            case syntax.Raise(error):
                here = self.node(name, f"{name}: raise {error.value}")
                self.join(exits, here)
                self.write(f"{here} --> [*] : {_text(error.value)}")
                return []
            case syntax.Return():
                here = self.node(name, f"{name}: return")
                self.join(exits, here)
                self.write(f"{here} --> [*]")
                return []
            case _:
                here = self.node(name, f"{name}: {_words(body)}")
                self.join(exits, here)
                return [(here, "")]


def _words(body: syntax.Body) -> str:
    match body:
        case syntax.Sql(sql=sql):
            return " ".join(sql.value.split())
        case syntax.Choose(variables, source):
            return f"choose {', '.join(v.value for v in variables)} from {' '.join(source.value.split())}"
        case syntax.Set(assignments):
            return "set " + ", ".join(f"{name.value} = {' '.join(value.value.split())}" for name, value in assignments)
        case syntax.Call(procedure):
            return f"call {procedure.value}"
        case syntax.Savepoint(name):
            return f"savepoint {name.value}"
        case syntax.Release(name):
            return f"release {name.value}"
        case syntax.RollbackTo(name):
            return f"rollback to {name.value}"
        case _:
            return type(body).__name__.lower()


_ENTITIES = {"#": "#35;", '"': "#quot;", ";": "#59;", ":": "#58;", "{": "#123;", "}": "#125;", "\n": " "}


def _text(words: str) -> str:
    """Text that Mermaid takes as it is: entities for the characters that it reads itself."""
    short = words if len(words) <= 90 else words[:87] + "…"
    return "".join(_ENTITIES.get(char, char) for char in short)
