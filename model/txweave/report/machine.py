"""Procedures as state machines: a state for each step, downward, with the transactions beside them as bars.

A bar begins at the statement that opens a transaction and ends at the COMMIT or ROLLBACK that ends it; where it depends on the way
whether one is open, the bar is hatched.  What a step runs stands beside it; what it decides is written at its exits.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from xml.etree import ElementTree as ET

from txweave.report.shapes import GLYPH, LINE, circle, document, rect, text
from txweave.spec import syntax

PAD, MARGIN, INDENT = 7, 16, 22
NAME, TEXT, MOST = 190, 640, 5
"""Width of a step's name and of its text, and how many lines of it are shown."""
GAP = 26

_OPENS = (syntax.Sql, syntax.Choose, syntax.Begin)
_ENDS = (syntax.Commit, syntax.Rollback)


@dataclass
class _Row:
    """A step: what it says, how deep it stands, whether a transaction may be open before and after it."""

    name: str
    lines: list[str]
    depth: int
    kind: str
    before: frozenset[bool]
    after: frozenset[bool]
    back: int | None = None
    """The row to which control goes back after this one."""
    top: int = 0

    @property
    def height(self) -> int:
        return max(len(self.lines), 1) * LINE + 2 * PAD

    @property
    def middle(self) -> int:
        return self.top + PAD + LINE // 2 + 1


@dataclass
class _Listing:
    """Goes through a procedure's steps and notes what may be open."""

    rows: list[_Row] = field(default_factory=list)

    def steps(self, steps: Sequence[syntax.Step], depth: int, open_: frozenset[bool]) -> frozenset[bool]:
        for step in steps:
            open_ = self.step(step, depth, open_)
        return open_

    def add(self, name: str, words: str, depth: int, kind: str, before: frozenset[bool], after: frozenset[bool]) -> _Row:
        room = int((TEXT - INDENT * depth) / GLYPH)
        lines = [line for part in words.strip().splitlines() for line in textwrap.wrap(part, room, break_on_hyphens=False)]
        if len(lines) > MOST:
            lines = [*lines[: MOST - 1], "…"]
        row = _Row(name, lines, depth, kind, before, after)
        self.rows.append(row)
        return row

    def step(self, step: syntax.Step, depth: int, before: frozenset[bool]) -> frozenset[bool]:
        name, body = step.name.value, step.body
        match body:
            case syntax.If(condition, then, otherwise):
                self.add(name, f"if {condition.value}", depth, "choice", before, before)
                after = self.steps(then, depth + 1, before)
                if otherwise:
                    self.add("", "else", depth, "choice", before, before)
                    return after | self.steps(otherwise, depth + 1, before)
                return after | before
            case syntax.For(variables, over, inner):
                words = f"for each {', '.join(v.value for v in variables)} in {over.value}"
                return self.loop(name, words, inner, depth, before)
            case syntax.While(condition, inner):
                return self.loop(name, f"while {condition.value}", inner, depth, before)
            case syntax.Try(inner, handlers, final):
                self.add(name, "try", depth, "choice", before, before)
                after = self.steps(inner, depth + 1, before)
                anywhere = before | after | frozenset(o for row in self.rows for o in row.after)
                for handler in handlers:
                    errors = ", ".join(e.value for e in handler.errors) or "any error"
                    self.add("", f"on {errors}", depth, "fault", anywhere, anywhere)
                    after |= self.steps(handler.steps, depth + 1, anywhere)
                if final:
                    self.add("", "in any case", depth, "choice", after, after)
                    after = self.steps(final, depth + 1, after)
                return after
            case syntax.Raise(error):
                self.add(name, f"fails with {error.value}", depth, "fault", before, frozenset([False]))
                return frozenset()
            case syntax.Return():
                self.add(name, "ends", depth, "end", before, frozenset([False]))
                return frozenset()
            case _:
                after = frozenset([True]) if isinstance(body, _OPENS) else before
                after = frozenset([False]) if isinstance(body, _ENDS) else after
                self.add(name, words_of(body), depth, "state", before, after)
                return after

    def loop(self, name: str, words: str, inner: Sequence[syntax.Step], depth: int, before: frozenset[bool]) -> frozenset[bool]:
        """The steps of a loop: what may be open after a round may be open before the next."""
        trial = _Listing().steps(inner, depth + 1, before)
        here = before | trial
        self.add(name, words, depth, "choice", here, here)
        number = len(self.rows) - 1
        self.steps(inner, depth + 1, here)
        last = _last(self.rows[number + 1 :])
        if last is not None:
            last.back = number
        return here


def _last(rows: Sequence[_Row]) -> _Row | None:
    """The last row from which control goes on: a step that fails or ends the procedure is none."""
    return next((row for row in reversed(rows) if row.kind != "end" and not (row.kind == "fault" and row.name)), None)


def words_of(body: syntax.Body) -> str:
    """What a step does, in a line or a few."""
    match body:
        case syntax.Sql(sql=sql):
            return textwrap.dedent(sql.value)
        case syntax.Choose(variables, source):
            return f"choose {', '.join(v.value for v in variables)} from {' '.join(source.value.split())}"
        case syntax.Set(assignments):
            return "set " + ", ".join(f"{name.value} = {' '.join(value.value.split())}" for name, value in assignments)
        case syntax.Call(procedure):
            return f"call {procedure.value}"
        case syntax.Savepoint(name):
            return f"SAVEPOINT {name.value}"
        case syntax.Release(name):
            return f"RELEASE SAVEPOINT {name.value}"
        case syntax.RollbackTo(name):
            return f"ROLLBACK TO {name.value}"
        case _:
            return type(body).__name__.upper()


def machine(procedure: syntax.Procedure) -> str:
    """A procedure's state machine as an SVG document."""
    listing = _Listing()
    listing.steps(procedure.steps, 0, frozenset([False]))
    rows = listing.rows
    last = _last(rows)
    if procedure.repeat is not None and last is not None and last.back is None:
        last.back = 0
    repeats = procedure.repeat is not None
    depth = max((row.depth for row in rows), default=0)
    left = MARGIN + GAP * 2
    width = left + 30 + INDENT * depth + NAME + TEXT + MARGIN
    top = 44
    for row in rows:
        row.top = top
        top += row.height
    height = top + 34
    root = document(width, height, f"The procedure {procedure.name.value}", "tw machine")
    rect(root, 0, 0, width, height, "ground", 6)
    text(root, MARGIN, 26, ((procedure.name.value, "name"),))
    _bars(root, rows, left)
    _flow(root, rows, left)
    for row in rows:
        _row(root, row, left)
    end = "and from the start again" if repeats else "done"
    if procedure.repeat:
        end += f", not earlier than {procedure.repeat} after the last start"
    text(root, left + 30, top + 18, ((end, "dim"),))
    return ET.tostring(root, encoding="unicode") + "\n"


def _x(row: _Row, left: int) -> int:
    return left + 14 + INDENT * row.depth


def _row(root: ET.Element, row: _Row, left: int) -> None:
    x = _x(row, left)
    group = ET.SubElement(root, "g")
    if row.kind in {"state", "end"}:
        circle(group, x, row.middle, 6, "state" if row.kind == "state" else "dot")
    else:
        points = f"{x},{row.middle - 8} {x + 8},{row.middle} {x},{row.middle + 8} {x - 8},{row.middle}"
        ET.SubElement(group, "polygon", {"points": points, "class": "fault" if row.kind == "fault" else "state"})
    base = row.top + PAD + 13
    room = int(NAME / GLYPH) - 1
    name = row.name if len(row.name) <= room else row.name[: room - 1] + "…"
    text(group, x + 16, base, ((name, "name"),))
    for number, line in enumerate(row.lines):
        text(group, x + 16 + (NAME if row.name else 0), base + LINE * number, ((line, "dim" if row.kind != "state" else ""),))


def _bars(root: ET.Element, rows: list[_Row], left: int) -> None:
    """The transactions: solid where one is certainly open, hatched where it depends on the way."""
    pieces: list[tuple[int, int, str]] = []
    for row, following in zip(rows, [*rows[1:], None], strict=True):
        ahead = following.before if following is not None else row.after
        if row.before >= {True}:
            pieces.append((row.top, row.middle, "bar" if row.before == {True} else "waits"))
        if row.after >= {True} and ahead >= {True}:
            pieces.append((row.middle, row.top + row.height, "bar" if row.after == {True} else "waits"))
    joined: list[tuple[int, int, str]] = []
    for top, bottom, kind in pieces:
        if joined and joined[-1][1] == top and joined[-1][2] == kind:
            joined[-1] = joined[-1][0], bottom, kind
        else:
            joined.append((top, bottom, kind))
    for top, bottom, kind in joined:
        rect(root, left - 14, top, 10, bottom - top, kind, 4)


def _flow(root: ET.Element, rows: list[_Row], left: int) -> None:
    """From each state to the next, and back where a loop begins again."""
    for row, following in pairwise(rows):
        if row.kind == "end" or (row.kind == "fault" and row.name):
            continue
        a, b = _x(row, left), _x(following, left)
        if following.depth >= row.depth:
            path = f"M{a},{row.middle + 8} V{following.middle - (9 if a == b else 0)}" + (f" H{b - 9}" if a != b else "")
            ET.SubElement(root, "path", {"d": path, "class": "flow"})
    backs = [row for row in rows if row.back is not None]
    for number, row in enumerate(backs):
        assert row.back is not None
        target = rows[row.back]
        x = left - 22 - 10 * (number % 3)
        path = f"M{_x(row, left) - 9},{row.middle} H{x} V{target.middle} H{_x(target, left) - 10}"
        ET.SubElement(root, "path", {"d": path, "class": "loop"})
        tip = _x(target, left) - 9
        ET.SubElement(
            root,
            "path",
            {"d": f"M{tip - 6},{target.middle - 4} L{tip},{target.middle} L{tip - 6},{target.middle + 4}", "class": "loop"},
        )
