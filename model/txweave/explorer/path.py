"""A path as text: written to be read, kept, sent to a colleague, and taken again.

    txweave path 1
    of: two_requests
    shows: no_premature_completion
    1. request 1: create_backfill.count_active (ok)
    2. request 1: create_backfill.insert_backfill (ok)

``shows`` (a property that the path violates) and a last line ``loop: from step 2``, or ``loop: nothing moves``, are there where
they are true.  The page of a report writes and reads the same in ``explorer.js``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from txweave.collect import suggestion
from txweave.possible import Possible
from txweave.trace import Trace

HEAD = "txweave path 1"

_STEP = re.compile(r"\d+\.\s+(.*)")
_LOOP = re.compile(r"from step (\d+)")


class PathError(Exception):
    """A text is no path, or none of this model."""


@dataclass(frozen=True)
class Path:
    """A run from the initial state.  ``shows``: the property that it violates, which the judge has confirmed."""

    trace: Trace
    shows: str = ""

    def __len__(self) -> int:
        return len(self.trace.steps)


def labels(possible: Possible, trace: Trace) -> list[str]:
    """What each step of a path is called among the moves of its state."""
    found = []
    for before, taken in zip(trace.states, trace.steps, strict=False):
        move = next(m for m in possible.moves(before) if m.action is taken.action and m.state == taken.state)
        found.append(move.label)
    return found


def write(possible: Possible, path: Path, heading: str) -> str:
    """The path as text."""
    lines = [HEAD, f"of: {heading}"] + ([f"shows: {path.shows}"] if path.shows else [])
    lines += [f"{number}. {label}" for number, label in enumerate(labels(possible, path.trace), 1)]
    if path.trace.loop is not None:
        still = path.trace.loop == len(path.trace.steps)
        lines.append("loop: nothing moves" if still else f"loop: from step {path.trace.loop + 1}")
    return "\n".join(lines) + "\n"


def read(possible: Possible, text: str) -> tuple[Path, str]:
    """A path that was written as text, and what it says it is of.

    Raises:
        PathError: the text is no path, a step cannot be taken, or it does not show what it says.
    """
    lines = [(number, line.strip()) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    if not lines or lines[0][1] != HEAD:
        raise PathError(f"a path begins with the line {HEAD!r}")
    of = shows = loop = ""
    trace = Trace(possible.system, ())
    for number, line in lines[1:]:
        key, _, value = line.partition(": ")
        step = _STEP.fullmatch(line)
        if loop:
            raise PathError(f"line {number}: the loop is the last line of a path")
        if step is not None:
            trace = _taken(possible, trace, number, step.group(1))
        elif key == "of" and not of:
            of = value
        elif key == "shows" and not shows:
            shows = value
        elif key == "loop" and value:
            loop = value
            trace = Trace(trace.system, trace.steps, _loop(number, value, len(trace.steps)))
        else:
            raise PathError(f"line {number}: this is no line of a path: {line}")
    if trace.loop is not None and trace.states[trace.loop] != trace.states[-1]:
        raise PathError("the loop does not come back to the state in which it begins")
    if trace.loop is not None and not shows:
        raise PathError("a path with a loop says which property it shows to be violated: `shows: NAME`")
    return (judged(possible, trace, shows) if shows else Path(trace)), of


def judged(possible: Possible, trace: Trace, name: str) -> Path:
    """A run that violates a property, confirmed by the judge.

    Raises:
        PathError: there is no such property, or the run does not violate it.
    """
    names = [item.name for item in possible.system.properties]
    if name not in names:
        raise PathError(f"there is no property {name!r}{suggestion(name, names)}")
    found, why = possible.shown(trace, name)
    if found is None:
        raise PathError(f"every step can be taken, but the path does not violate {name}: {why}")
    return Path(found, name)


def _taken(possible: Possible, trace: Trace, number: int, label: str) -> Trace:
    state = trace.states[-1]
    if state[-1] is not None:
        raise PathError(f"line {number}: the step before leads out of bounds ({state[-1]}): nothing follows it")
    move = possible.move(state, label)
    if move is None:
        known = [one.label for one in possible.moves(state)]
        others = "; ".join(known) if known else "nothing"
        raise PathError(f"line {number}: not possible here: {label}{suggestion(label, known)} (possible: {others})")
    return Trace(trace.system, (*trace.steps, move.taken))


def _loop(number: int, words: str, length: int) -> int:
    if words == "nothing moves":
        return length
    found = _LOOP.fullmatch(words)
    if found is None or not 1 <= int(found.group(1)) <= length:
        raise PathError(f"line {number}: a loop is `from step N`, one of the steps, or `nothing moves`")
    return int(found.group(1)) - 1
