"""A story as a Mermaid sequence diagram: a lifeline for each process that does something, and one for the database."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable

from txweave.report.story import CALM, Story, StoryStep
from txweave.view import RowChange

WIDTH = 60
"""Columns of a message before it is broken."""

_PLAIN = set(" _.,=()'*+-/→")
"""Characters that mean nothing to Mermaid, besides letters and digits."""


def sequence_diagram(story: Story) -> str:
    """``sequenceDiagram``: statements go to the database, results come back, changes of committed rows are notes."""
    actors = list(dict.fromkeys(step.actor for step in story.steps if step.actor))
    names = {actor: f"p{number}" for number, actor in enumerate(actors, 1)}
    lines = ["sequenceDiagram"]
    lines += [f"    participant {names[actor]} as {escaped(actor)}" for actor in actors]
    lines.append("    participant db as database")
    everybody = f"{names[actors[0]]},db" if actors else "db"
    for step in story.steps:
        if story.loop is not None and step.number == story.loop + 1:
            lines.append("    loop for ever")
        lines += [f"    {line}" for line in _step(step, names.get(step.actor, "db"), everybody)]
    if story.loop is not None:
        ending = "    end" if story.loop < len(story.steps) else f"    Note over {everybody}: nothing more ever happens"
        lines.append(ending)
    lines.append(f"    Note over {everybody}: {_broken(story.broken)}")
    return "\n".join(lines) + "\n"


def _step(step: StoryStep, me: str, everybody: str) -> Iterable[str]:
    number = f"{step.number}. "
    if step.kind == "tick":
        yield f"Note over {everybody}: {_broken(number + (step.note or 'time passes'))}"
    elif step.kind == "fault":
        yield f"Note over {me}: {_broken(number + (step.note or 'crashes'))}"
    elif step.kind == "database":
        yield f"db--x{me}: {_broken(number + (step.note or step.outcome.replace('_', ' ') or step.action))}"
    else:
        words = " ".join(step.sql.split())
        target = "db" if words else me
        yield f"{me}->>{target}: {_broken(number + (words or step.note or step.step or step.action))}"
        if step.note and words and not any(event.startswith(step.note) for event in step.events):
            yield f"Note over {me}: {_broken(step.note)}"
        if step.outcome not in CALM:
            yield f"db--x{me}: {_broken(step.outcome.replace('_', ' '))}"
        if step.returned and words:
            yield f"db-->>{me}: {_broken(', '.join(f'{name} = {value}' for name, value in step.returned))}"
    for event in step.events:
        yield f"Note over {me}: {_broken(event)}"
    for change in step.changes:
        yield f"Note right of db: {_broken(_change(change))}"


def _change(change: RowChange) -> str:
    sign = {"insert": "+", "delete": "-", "update": "~"}[change.kind]
    if change.kind == "update":
        shown = [f"{name} {before} → {after}" for name, before, after in change.columns]
    else:
        shown = [f"{name} {after or before}" for name, before, after in change.columns]
    return f"{sign} {change.label}" + (f": {', '.join(shown)}" if shown else "")


def _broken(words: str) -> str:
    """A message, broken into lines of some width."""
    return "<br/>".join(map(escaped, textwrap.wrap(" ".join(words.split()), WIDTH, break_on_hyphens=False)))


def escaped(words: str) -> str:
    """Text that Mermaid takes as it is: every character that may mean something to it, or to HTML, as a numeric entity."""
    return "".join(char if char.isalnum() or char in _PLAIN else f"#{ord(char)};" for char in words)
