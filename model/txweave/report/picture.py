"""The picture of a story: one lane for each process, time downward, as a self-contained SVG without script.

Transactions are bars from their first statement to their end, hatched while the process waits; a crash ends its lane.  Beside
the lanes stands what each step sent and got back, and beside that what became of the committed rows.  The picture follows the
reader's light or dark scheme by itself.
"""

from __future__ import annotations

import textwrap
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from xml.etree import ElementTree as ET

from txweave.report import shapes
from txweave.report.shapes import GLYPH, LINE, Span
from txweave.report.story import CALM, Story, StoryStep
from txweave.view import ProcessState, RowChange, StateView, VersionChange

LANE, GUTTER, TEXT, ROWS, MARGIN = 92, 46, 452, 318, 16
PAD, HEAD = 9, 46


def picture(story: Story, title: str = "", fold: Collection[int] = ()) -> str:
    """The story as an SVG document.

    Args:
        story: What to draw.
        title: A line above the lanes, such as the case's name.
        fold: Numbers of steps to fold: neighbours among them share one thin line.
    """
    return ET.tostring(drawing(story, title, fold), encoding="unicode") + "\n"


def drawing(story: Story, title: str = "", fold: Collection[int] = ()) -> ET.Element:
    """The same as a tree of elements, for a document that it becomes a part of; each step's group has its ``data-step``."""
    return _Picture(story, title, frozenset(fold)).svg()


@dataclass(frozen=True)
class _Band:
    """A horizontal band of the picture: one step, or several folded ones."""

    steps: tuple[StoryStep, ...]
    top: int
    height: int
    text: tuple[tuple[Span, ...], ...]
    rows: tuple[tuple[Span, ...], ...]
    folded: bool

    @property
    def middle(self) -> int:
        return self.top + PAD + LINE // 2 + 1


class _Picture:
    def __init__(self, story: Story, title: str, fold: frozenset[int]) -> None:
        self.story = story
        self.title = title
        self.lanes = _lanes(story)
        self.left = MARGIN + GUTTER
        self.text_x = self.left + LANE * len(self.lanes) + 8
        self.rows_x = self.text_x + TEXT
        self.width = self.rows_x + ROWS + MARGIN
        self.head = HEAD + (26 if title else 0)
        self.bands = list(self._bands(fold))
        self.end = self.bands[-1].top + self.bands[-1].height if self.bands else self.head
        self.verdict = list(self._verdict())
        self.height = self.end + 26 + LINE * len(self.verdict) + MARGIN

    # ---------------------------------------------------------------------------------------------------------- layout

    def _bands(self, fold: frozenset[int]) -> Iterator[_Band]:
        top = self.head
        group: list[StoryStep] = []
        for step in self.story.steps:
            # A fold does not reach over the beginning of the loop: its bracket must start at a band.
            if group and (step.number not in fold or step.in_loop != group[-1].in_loop):
                yield self._folded(group, top)
                top += LINE + 6
                group = []
            if step.number in fold:
                group.append(step)
                continue
            text, rows = tuple(_sent(step)), tuple(_changed(step))
            height = max(len(text), len(rows), 1) * LINE + 2 * PAD
            yield _Band((step,), top, height, text, rows, folded=False)
            top += height
        if group:
            yield self._folded(group, top)

    @staticmethod
    def _folded(group: list[StoryStep], top: int) -> _Band:
        actors = ", ".join(dict.fromkeys(step.actor or "time" for step in group))
        numbers = f"{group[0].number}" if len(group) == 1 else f"{group[0].number} to {group[-1].number}"
        return _Band(tuple(group), top, LINE + 6, (((f"… {numbers}: {actors}", "dim"),),), (), folded=True)

    def _verdict(self) -> Iterator[tuple[Span, ...]]:
        columns = int((self.width - 2 * MARGIN - 24) / GLYPH)
        for line in textwrap.wrap(f"✗ {self.story.broken[:1].upper()}{self.story.broken[1:]}.", columns):
            yield ((line, "bad"),)
        for query in self.story.queries:
            shown = " ".join(query.sql.split())
            for index, line in enumerate(textwrap.wrap(shown, columns - 14, break_on_hyphens=False) or [""]):
                yield ((f"{query.name if index == 0 else '':<12}  ", "dim"), (line, ""))
            for row in query.rows:
                pairs = ", ".join(f"{name} = {value}" for name, value in zip(query.columns, row, strict=True))
                yield ((" " * 14, ""), (f"→ {pairs}", "bad"))
        for fact in self.story.facts:
            for index, line in enumerate(textwrap.wrap(fact, columns - 14)):
                yield ((f"{'there is' if index == 0 and fact == self.story.facts[0] else '':<12}  ", "dim"), (line, ""))

    def _lane_x(self, name: str) -> int:
        return self.left + LANE * self.lanes.index(name) + LANE // 2

    # --------------------------------------------------------------------------------------------------------- drawing

    def svg(self) -> ET.Element:
        root = shapes.document(self.width, self.height, f"{self.story.name}: {self.story.broken}")
        shapes.rect(root, 0, 0, self.width, self.height, "ground", 6)
        self._header(root)
        for band in self.bands:
            ground = self._ground(band)
            if ground != "ground":
                shapes.rect(root, MARGIN, band.top, self.width - 2 * MARGIN, band.height, ground, 4 if ground == "badground" else 0)
        for lane in self.lanes:
            self._lane(root, lane)
        for band in self.bands:
            self._band(root, band)
        self._loop(root)
        top = self.end + 26
        for index, line in enumerate(self.verdict):
            shapes.text(root, MARGIN + 12, top + index * LINE, line)
        return root

    def _ground(self, band: _Band) -> str:
        """The class of a band's background: the step after which the property is broken stands out."""
        if self.story.loop is None and band is self.bands[-1]:
            return "badground"
        return "zebra" if self.bands.index(band) % 2 else "ground"

    def _header(self, root: ET.Element) -> None:
        base = self.head - 14
        if self.title:
            shapes.text(root, MARGIN + 4, 26, ((self.title, "name"),))
        for lane in self.lanes:
            shapes.text(root, self._lane_x(lane), base, ((_cut(lane, LANE), "name"),), "middle")
        shapes.text(root, self.rows_x + 8, base, (("committed rows", "name"),))
        shapes.line(root, MARGIN, self.head - 3, self.width - MARGIN, self.head - 3, "rule")
        shapes.line(root, self.rows_x, self.head - 3, self.rows_x, self.end, "rule")

    def _lane(self, root: ET.Element, lane: str) -> None:
        """The life of a process: a line while it lives, a bar while its transaction is open, hatched while it waits."""
        x = self._lane_x(lane)
        before, since, alive = _of(self.story.initial, lane), self.head, True
        start = self.head
        for band in self.bands:
            after = _of(band.steps[-1].state, lane)
            if _look(after) != _look(before):
                # A bar begins at its first statement and ends at the step that ended it.
                self._piece(root, x, since, band.middle, before)
                since = band.middle
            if alive and after.status in {"done", "failed", "crashed"}:
                shapes.line(root, x, start, x, band.middle, "lane", below=True)
                alive = False
            before = after
        self._piece(root, x, since, self.end, before)
        if alive:
            shapes.line(root, x, start, x, self.end, "lane", below=True)

    @staticmethod
    def _piece(root: ET.Element, x: int, top: int, bottom: int, state: ProcessState) -> None:
        look = _look(state)
        if look and bottom > top:
            shapes.rect(root, x - 9, top, 18, bottom - top, look, 5)

    def _band(self, root: ET.Element, band: _Band) -> None:
        group = ET.SubElement(root, "g", {"data-step": str(band.steps[0].number)})
        if band.folded:
            for step in band.steps:
                if step.actor in self.lanes:
                    shapes.circle(group, self._lane_x(step.actor), band.top + band.height // 2, 3, "dot")
            shapes.text(group, self.text_x, band.top + LINE, band.text[0])
            return
        step, ground = band.steps[0], self._ground(band)
        if step.actor in self.lanes:
            x = self._lane_x(step.actor)
            if step.changes:
                shapes.line(group, x + 10, band.middle, self.rows_x + 4, band.middle, "link")
            waiting = step.state.process(step.actor).waiting
            shapes.circle(group, x, band.middle, 11, "wait" if waiting else "fault" if _fails(step) else "dot")
            shapes.text(group, x, band.middle + 4, ((str(step.number), "white"),), "middle")
        else:
            shapes.text(group, MARGIN + 8, band.middle + 4, ((str(step.number), "dim"),))
        for index, line in enumerate(band.text):
            patch = ground if step.changes and index == 0 else ""
            shapes.text(group, self.text_x, band.top + PAD + LINE * index + 13, line, ground=patch)
        for index, line in enumerate(band.rows):
            shapes.text(group, self.rows_x + 10, band.top + PAD + LINE * index + 13, line)

    def _loop(self, root: ET.Element) -> None:
        if self.story.loop is None:
            return
        looping = [band for band in self.bands if band.steps[0].in_loop]
        x = MARGIN + 14
        if not looping:
            shapes.text(root, MARGIN + 4, self.end + 12, (("and then nothing moves any more", "looptext"),))
            return
        top, bottom = looping[0].middle, max(looping[-1].middle, looping[0].middle + 14)
        path = f"M{x + 14},{bottom} H{x + 6} Q{x},{bottom} {x},{bottom - 6} V{top + 6} Q{x},{top} {x + 6},{top} H{x + 14}"
        ET.SubElement(root, "path", {"d": path, "class": "loop"})
        ET.SubElement(root, "path", {"d": f"M{x + 9},{top - 5} L{x + 15},{top} L{x + 9},{top + 5}", "class": "loop"})
        label = shapes.text(root, 0, 0, (("for ever", "looptext"),), "middle")
        label.set("transform", f"translate({x - 6},{(top + bottom) // 2}) rotate(-90)")


def _lanes(story: Story) -> list[str]:
    """The processes that take part: those that act, or that something happens to."""
    taking_part = {step.actor for step in story.steps} | {
        change.process for step in story.steps for change in step.diff.processes if change.field != "step"
    }
    return [p.name for p in story.initial.processes if p.name in taking_part]


def _of(state: StateView, name: str) -> ProcessState:
    return state.process(name)


def _look(state: ProcessState) -> str:
    """The class of a lane's bar in a state, empty where there is none."""
    if state.waiting:
        return "waits"
    return {"open": "bar", "failed": "aborted"}.get(state.transaction, "")


def _fails(step: StoryStep) -> bool:
    """Whether something goes wrong in the step."""
    calm = step.outcome in CALM or (step.actor and step.state.process(step.actor).waiting)
    return step.kind in {"fault", "error", "database"} or not calm


def _sent(step: StoryStep) -> Iterator[tuple[Span, ...]]:
    """What the step sent and what came back, line by line."""
    columns = int((TEXT - 16) / GLYPH)
    style = "bad" if _fails(step) else "dim"
    place = f"before {step.step}" if step.kind == "fault" and step.step else step.step or step.action
    head: list[Span] = [(_cut(place, TEXT / 2), "name")]
    if step.note and step.outcome != "waits":  # who is waited for is among the events
        head.append((f"  {step.note}", style))
    if step.outcome not in CALM and step.outcome not in step.note:
        head.append((f"  {step.outcome.replace('_', ' ')}", style))
    yield tuple(head)
    for text in step.sql.splitlines():
        indent = " " * (len(text) - len(text.lstrip()))
        for line in textwrap.wrap(text, columns, subsequent_indent=indent + "  ", break_on_hyphens=False):
            yield ((line, ""),)
    for name, value in step.returned:
        for line in textwrap.wrap(f"→ {name} = {value}", columns, subsequent_indent="    "):
            yield ((line, "dim"),)
    for event in step.events:
        for line in textwrap.wrap(event, columns):
            yield ((line, "dim"),)
    for version in step.diff.versions:
        if step.kind != "fault":
            for line in textwrap.wrap(_uncommitted(version), columns, subsequent_indent="    "):
                yield ((line, "dim"),)


def _uncommitted(change: VersionChange) -> str:
    values = ", ".join(f"{name} {after}" for name, _, after in change.columns if after)
    return f"uncommitted {change.kind} of {change.label}" + (f": {values}" if values else "")


def _changed(step: StoryStep) -> Iterator[tuple[Span, ...]]:
    """What became of committed rows, line by line: the old value struck out beside the new one."""
    for change in step.changes:
        mark = {"insert": "+", "update": "~", "delete": "−"}[change.kind]
        yield ((f"{mark} {change.label}", "new" if change.kind == "insert" else "old" if change.kind == "delete" else "name"),)
        yield from _columns(change)


def _columns(change: RowChange) -> Iterator[tuple[Span, ...]]:
    room = int((ROWS - 40) / GLYPH)
    for name, before, after in change.columns:
        if change.kind == "update":
            yield ((f"  {name} ", ""), (_cut_text(before, room // 3), "old"), (" → ", "dim"), (_cut_text(after, room // 3), "new"))
        elif change.kind == "insert":
            yield ((f"  {name} ", ""), (_cut_text(after, room - len(name)), "new"))


def _cut_text(text: str, most: int) -> str:
    return text if len(text) <= most else text[: max(most - 1, 1)] + "…"


def _cut(text: str, pixels: float) -> str:
    return _cut_text(text, int(pixels / GLYPH))
