"""The terminal: the verdict table, and stories.

Everything is printed to a rich console that the caller passes in: colour appears on a terminal only (``NO_COLOR`` is
respected), a pipe or a file gets plain text.  Layout adapts to the console's width; where the encoding has no
typographic characters, ASCII takes their place.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from txweave.report.story import CALM, Place, Query, Story, StoryStep
from txweave.results import CaseResult, Finding, Proof, PropertyResult, Relation
from txweave.simulate import Walk
from txweave.verdict import Status
from txweave.view import RowChange

_ROLES = ("cyan", "magenta", "green", "blue", "yellow", "bright_cyan", "bright_magenta")
_MARKS = {Relation.AS_EXPECTED: "ok", Relation.DIFFERS: "bad", Relation.INCONCLUSIVE: "unknown", Relation.FAILED: "bad"}
_COLOUR = {
    Relation.AS_EXPECTED: "green",
    Relation.DIFFERS: "bold red",
    Relation.INCONCLUSIVE: "yellow",
    Relation.FAILED: "bold white on red",
}
STATUS_COLOURS = {Status.PROVED: "green", Status.HOLDS: "green", Status.VIOLATED: "red", Status.UNKNOWN: "yellow"}

_GLYPHS = {
    "ok": ("✓", "ok"),
    "bad": ("✗", "X"),
    "unknown": ("?", "?"),
    "arrow": ("→", "->"),
    "fault": ("⚡", "!!"),
    "time": ("◷", "~"),
    "wait": ("⏸", "=="),
    "rule": ("─", "-"),
    "top": ("╭", ","),
    "bar": ("│", "|"),
    "bottom": ("╰", "`"),
    "ever": ("∞", "..."),
    "minus": ("−", "-"),
    "dot": ("·", "-"),
    "dash": ("–", "-"),
}


@dataclass(frozen=True)
class Style:
    """What is shown.  ``timing``: seconds; ``engines``: a column per engine; ``stories``: ``unexpected``, ``all`` or ``none``;
    ``told``: properties whose stories are always told; ``quiet``: only what is not as expected; ``proofs``: why what holds does."""

    timing: bool = True
    engines: bool = False
    stories: str = "unexpected"
    told: tuple[str, ...] = ()
    quiet: bool = False
    proofs: bool = False


class Writer:
    """Prints results to one console."""

    def __init__(self, console: Console, style: Style | None = None) -> None:
        self.console = console
        self.style = style or Style()
        self.unicode = "utf" in (console.encoding or "").lower()

    def glyph(self, name: str) -> str:
        """A symbol that the console's encoding has."""
        return _GLYPHS[name][0 if self.unicode else 1]

    def line(self, text: Text | str = "") -> None:
        """One line, wrapped by nobody but us."""
        self.console.print(text if isinstance(text, Text) else Text(text), soft_wrap=True, highlight=False)

    # --------------------------------------------------------------------------------------------------------- results

    def results(self, results: Sequence[CaseResult]) -> None:
        """The tables of all files, then the stories, then what else a reader must know."""
        by_file: dict[str, list[CaseResult]] = {}
        for result in results:
            by_file.setdefault(result.path, []).append(result)
        for path, group in by_file.items():
            self._file(path, group)
        for result in results:
            for item in result.properties:
                if item.story is not None and self._tells(item):
                    self.story(item.story, self._heading(result, item), item.text)
                if item.proof is not None and self.style.proofs:
                    self.proof(item.proof, self._heading(result, item))

    def proof(self, proof: Proof, heading: str) -> None:
        """Why a property holds: the clauses of its invariant, each needed for one before it."""
        self.line()
        self.line(Text(heading, style="bold"))
        self.line("  It holds at the start, and every step preserves it together with what it needs:")
        width = len(str(len(proof.clauses)))
        alike: dict[str, list[int]] = {}
        for number, clause in enumerate(proof.clauses, 1):
            alike.setdefault(_pattern(clause.words), []).append(number)
        for number, *others in alike.values():
            more = f"  (so {_counted(len(others), 'other', 'others')}, of other rows or processes)" if others else ""
            self.line(f"  {number:>{width}}  {proof.clauses[number - 1].words}{more}")

    def _tells(self, item: PropertyResult) -> bool:
        if item.name in self.style.told or self.style.stories == "all":
            return True
        return self.style.stories == "unexpected" and item.relation in {Relation.DIFFERS, Relation.FAILED}

    def _heading(self, result: CaseResult, item: PropertyResult) -> str:
        parts = [item.name, result.case]
        if result.fixes:
            parts.append(f"with {', '.join(result.fixes)}")
        return f"  {self.glyph('dot')}  ".join(parts)

    def _file(self, path: str, group: list[CaseResult]) -> None:
        calm = all(r.exit == 0 for r in group)
        if self.style.quiet and calm:
            return
        title = Text()
        title.append(path, style="bold")
        name = group[0].study or group[0].model
        if name:
            title.append(f"  {name}", style="dim")
        self.line(title)
        checked = [r for r in group if r.properties]
        if checked:
            table, notes = self._fitting(checked)
            self.console.print(table, highlight=False)
            for note in notes:
                for number, part in enumerate(textwrap.wrap(note, max(30, self.console.width - 6))):
                    self.line(Text("  " + "    " * bool(number) + part, style="dim"))
        for result in group:
            self._remarks(result)
        self._findings(group)
        self.line()

    def _fitting(self, group: list[CaseResult]) -> tuple[Table, list[str]]:
        """The table with as many of the numbers at its right end as there is room for; footnotes tell the others."""
        numbers = ["states", "time"] if self.style.timing else ["states"]
        wide = self.console.options.update(max_width=10_000)
        for kept in range(len(numbers), -1, -1):
            table, notes = self._table(group, numbers[:kept])
            if Measurement.get(self.console, wide, table).maximum <= self.console.width or not kept:
                break
        lines = [f"[{_letter(index)}] {note}" for index, note in enumerate(notes)]
        for result in group if kept == 0 else ():
            told = [f"{result.states:,} states"] if result.states else []
            told += ["cached" if result.cached else seconds(result.seconds)] if self.style.timing else []
            lines.append(f"{result.case}: {', '.join(told)}")
        return table, lines

    def _table(self, group: list[CaseResult], numbers: Sequence[str]) -> tuple[Table, list[str]]:
        """The verdicts, and the footnotes of cells that have no answer."""
        engines = list(dict.fromkeys(a.engine for r in group for p in r.properties for a in p.answers))
        columns = engines if self.style.engines or self._engines_differ(group) else []
        notes: list[str] = []
        table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0), safe_box=True)
        for name in ("case", "property", "verdict", *columns, "expected"):
            table.add_column(name, overflow="fold", style="bold" if name == "case" else "")
        for name in numbers:
            table.add_column(name, justify="right", no_wrap=True)
        for result in group:
            for index, item in enumerate(result.properties):
                first = index == 0
                row: list[Text | str] = [
                    Text(result.case if first else ""),
                    Text(item.name),
                    Text(item.text + self._length(item.length), style=STATUS_COLOURS[item.status]),
                ]
                row += [self._cell(item, e, notes) for e in columns]
                row.append(self._expected(item))
                spent = "cached" if result.cached else seconds(result.seconds)
                shown = {"states": f"{result.states:,}" if result.states else "", "time": spent}
                row += [shown[name] if first else "" for name in numbers]
                table.add_row(*row)
        return table, notes

    def _engines_differ(self, group: list[CaseResult]) -> bool:
        """Whether some engine has an answer where another, that was asked, has none."""
        cells = [{a.status is Status.UNKNOWN for a in p.answers if a.status} for r in group for p in r.properties]
        return any(len(kinds) > 1 for kinds in cells)

    def _cell(self, item: PropertyResult, engine: str, notes: list[str]) -> Text:
        """One engine's answer in a word; a cell without an answer says why in a footnote."""
        answer = next((a for a in item.answers if a.engine == engine), None)
        if answer is None or answer.status in (None, Status.UNKNOWN):
            why = "not asked" if answer is None else _reason(answer.text)
            if why not in notes:
                notes.append(why)
            return Text(f"{self.glyph('dash')} [{_letter(notes.index(why))}]", style="dim")
        assert answer.status is not None
        length = answer.length if answer.length != item.length else None
        return Text(answer.status.value + self._length(length), style=STATUS_COLOURS[answer.status])

    @staticmethod
    def _length(length: tuple[int, ...] | None) -> str:
        return "" if length is None else f" ({', '.join(map(str, length))})"

    def _expected(self, item: PropertyResult) -> Text:
        text = Text()
        text.append(self.glyph(_MARKS[item.relation]), style=_COLOUR[item.relation])
        if item.known is not None:
            text.append(" known", style="yellow")
        if item.relation is not Relation.AS_EXPECTED:
            text.append(f" {item.expected.text}", style=_COLOUR[item.relation])
        return text

    def _remarks(self, result: CaseResult) -> None:
        for item in result.properties:
            if item.difference:
                self._remark("bad", "red", f"{result.case}.{item.name}: {item.difference}", item.expected.place or item.place)
            if item.known is not None:
                words = item.known.text(days=self.style.timing)
                self._remark("dot", "yellow", f"{result.case}.{item.name}: {words}", item.expected.place)
            for note in item.notes:
                self._remark("dot", "dim", f"{result.case}.{item.name}: {note}", None)
        for exploration in result.explorations:
            if exploration.reductions:
                words = f"states are counted up to {' and '.join(exploration.reductions)} (--no-reduction counts all)"
                self._remark("dot", "dim", f"{result.case}: {words}", None)
            elif exploration.unreduced:
                self._remark("dot", "dim", f"{result.case}: not reduced: {exploration.unreduced}", None)
        for failure in result.failures:
            self._remark("bad", "bold red", f"{result.case}: {failure}", None)

    def _findings(self, group: list[CaseResult]) -> None:
        """Each finding once, with the cases that have it."""
        cases: dict[Finding, list[str]] = {}
        for result in group:
            for finding in result.findings:
                cases.setdefault(finding, []).append(result.case)
        for finding, names in cases.items():
            # What lint finds is about the text, not about the case that first had it.
            where = "" if finding.kind == "lint" else f"{self._cases(names, len(group))}: "
            self._remark("unknown", "yellow", f"{where}{finding.message}", finding.place)

    @staticmethod
    def _cases(names: list[str], total: int) -> str:
        if len(names) == total > 2:
            return "every case"
        return ", ".join(names) if len(names) <= 3 else f"{names[0]} and {len(names) - 1} more cases"

    def _remark(self, glyph: str, style: str, message: str, place: Place | None) -> None:
        where = f"  ({place.path}:{place.line})" if place else ""
        lines = textwrap.wrap(message + where, max(30, self.console.width - 4), break_on_hyphens=False) or [""]
        text = Text("  ")
        text.append(self.glyph(glyph) + " ", style=style)
        text.append(lines[0])
        self.line(text)
        for more in lines[1:]:
            self.line("    " + more)

    def summary(self, results: Sequence[CaseResult]) -> None:
        """One last line: how many verdicts, and how many are not as expected."""
        items = [p for r in results for p in r.properties]
        counts = {relation: sum(p.relation is relation for p in items) for relation in Relation}
        text = Text()
        total = f"{_counted(len(items), 'property', 'properties')} in {_counted(len(results), 'case', 'cases')}"
        broken = sum(bool(r.errors) for r in results)
        failed = counts[Relation.FAILED] + sum(bool(r.failures) for r in results)
        parts: list[tuple[str, str]] = []
        if counts[Relation.DIFFERS]:
            parts.append((f"{counts[Relation.DIFFERS]} not as expected", "bold red"))
        if counts[Relation.INCONCLUSIVE]:
            parts.append((f"{counts[Relation.INCONCLUSIVE]} inconclusive", "yellow"))
        if failed:
            parts.append((f"{failed} failed self-check", "bold red"))
        if broken:
            parts.append((f"{broken} with errors", "bold red"))
        if not parts and items:
            parts.append(("all as expected", "green"))
        empty = sum(not (r.properties or r.errors or r.failures) for r in results)
        if empty:
            parts.append(("nothing was checked: there is no property", "yellow"))
        known = sum(p.known is not None for p in items)
        if known:
            parts.append((_counted(known, "known violation", "known violations"), "yellow"))
        text.append(total + (": " if parts else ""))
        for index, (words, style) in enumerate(parts):
            text.append(", " if index else "")
            text.append(words, style=style)
        cached = sum(r.cached for r in results)
        if cached and self.style.timing:
            text.append(f" ({_counted(cached, 'case', 'cases')} from the cache)", style="dim")
        self.line(text)
        untold = any(p.story is not None and not self._tells(p) for p in items)
        if untold and self.style.stories == "unexpected":
            self.line(Text("--story tells how the expected violations come about, --story PROPERTY that of one", style="dim"))

    # --------------------------------------------------------------------------------------------------------- stories

    def story(self, story: Story, heading: str = "", verdict: str = "violated") -> None:
        """A whole story."""
        self._head(story, heading or story.name, verdict)
        colours = self._colours(story.steps)
        layout = _Layout.of(story.steps, self.console.width)
        for step in story.steps:
            if story.loop is not None and step.number == story.loop + 1:
                self.line(Text(f" {self.glyph('top')}{self.glyph('rule')} for ever:", style="bold yellow"))
            self._step(step, layout, colours)
        if story.loop is not None and story.loop < len(story.steps):
            self.line(
                Text(f" {self.glyph('bottom')}{self.glyph('rule')} and again from step {story.loop + 1}", style="bold yellow")
            )
        elif story.loop is not None:
            self.line(Text(f" {self.glyph('ever')} nothing more ever happens", style="bold yellow"))
        self._ending(story)
        self.line()

    def walk(self, walk: Walk, heading: str) -> None:
        """A random walk."""
        text = Text(self.glyph("rule") * 2 + " ", style="cyan")
        text.append(heading, style="bold cyan")
        self.line(text)
        self.line()
        colours = self._colours(walk.steps)
        layout = _Layout.of(walk.steps, self.console.width)
        for step in walk.steps:
            self._step(step, layout, colours)
            for name, number in walk.broken:
                if number == step.number:
                    self.line(Text(f" {self.glyph('bad')}{step.number:>4}  {name} is broken here", style="bold red"))
        self.line()
        self.line(f"   {walk.ended}")

    def steps(self, steps: Sequence[StoryStep]) -> None:
        """Some steps of a run, by themselves."""
        colours = self._colours(steps)
        layout = _Layout.of(steps, self.console.width)
        for step in steps:
            self._step(step, layout, colours)

    def _head(self, story: Story, heading: str, verdict: str) -> None:
        text = Text(self.glyph("rule") * 2 + " ", style="red")
        text.append(heading, style="bold red")
        text.append(f"  {verdict} {self._span(story)} ", style="red")
        text.append(self.glyph("rule") * max(0, min(self.console.width, 100) - text.cell_len), style="red")
        self.line(text)
        if story.title:
            for part in textwrap.wrap(story.title, max(30, self.console.width - 3)):
                self.line(Text("   " + part, style="italic"))
        if story.place:
            self.line(Text(f"   {story.place.path}:{story.place.line}:{story.place.column}", style="dim"))
        self.line()

    @staticmethod
    def _span(story: Story) -> str:
        length = story.length
        steps = f"{length[0]} step{'' if length[0] == 1 else 's'}"
        if story.loop is None:
            return f"after {steps}" if length[0] else "at the start"
        if length[1]:
            return f"by {f'{steps} and ' if length[0] else ''}a loop of {length[1]}"
        return f"by a run that ends after {steps}" if length[0] else "by doing nothing"

    def _colours(self, steps: Iterable[StoryStep]) -> dict[str, str]:
        actors = dict.fromkeys(step.actor for step in steps if step.actor)
        return {actor: _ROLES[index % len(_ROLES)] for index, actor in enumerate(actors)}

    def _step(self, step: StoryStep, layout: _Layout, colours: dict[str, str]) -> None:
        body = list(self._body(step, layout))
        prefix = f" {self.glyph('bar')}" if step.in_loop else "  "
        head = Text(prefix, style="bold yellow")
        head.append(f"{step.number:>3}  ", style="dim")
        head.append(f"{step.actor or 'time':<{layout.actor}}  ", style=f"bold {colours.get(step.actor, 'white')}")
        head.append(f"{layout.name(step):<{layout.step}}", style="bold" if step.kind == "step" else "bold red")
        if layout.beside:
            head.append("  ")
            if body:
                head.append_text(body.pop(0))
        head.rstrip()
        self.line(head)
        indent = prefix + " " * (layout.indent - len(prefix))
        for part in body:
            whole = Text(indent, style="bold yellow")
            whole.append_text(part)
            self.line(whole)

    def _body(self, step: StoryStep, layout: _Layout) -> Iterable[Text]:
        room = layout.room
        if step.kind == "fault":
            yield Text(f"{self.glyph('fault')} {step.note or 'crashes'}", style="red")
        elif step.kind == "tick":
            yield Text(f"{self.glyph('time')} {step.note or 'time passes'}", style="dim")
        elif step.kind in {"database", "error"} and step.note:
            yield Text(f"{self.glyph('fault')} {step.note}", style="red")
        for line in _folded(clauses(step.sql, room), room):
            yield Text(line)
        if step.kind == "step" and step.note and step.outcome != "waits":  # for whom is among the events
            for line in _folded(step.note, room):
                yield Text(line, style="italic")
        if step.kind != "fault" and step.outcome not in CALM:
            yield Text(f"{self.glyph('bad')} {step.outcome.replace('_', ' ')}", style="red")
        if step.returned:
            result = ", ".join(f"{name} = {value}" for name, value in step.returned)
            for line in _folded(f"{self.glyph('arrow')} {result}", room):
                yield Text(line, style="dim")
        for change in step.changes:
            yield from self._change(change, room)
        for event in step.events:
            yield Text(f"{self.glyph('wait')} {event}" if "waits" in event else event, style="yellow")

    def _change(self, change: RowChange, room: int) -> Iterable[Text]:
        sign = {"insert": "+", "delete": self.glyph("minus"), "update": "~"}[change.kind]
        style = {"insert": "green", "delete": "red", "update": "yellow"}[change.kind]
        text = Text(f"{sign} {change.label}", style=f"bold {style}")
        shown: list[Text] = []
        for index, (name, before, after) in enumerate(change.columns):
            if index == 0 and change.kind != "update" and f"{change.table} {after or before}" == change.label:
                continue  # the label says it: the generated id comes first
            item = Text(f"{name} ", style=style)
            if change.kind == "update":
                item.append(f"{before} {self.glyph('arrow')} ")
                item.append(after, style="bold")
            else:
                item.append(after or before)
            shown.append(item)
        if shown:
            text.append(": ")
        for index, item in enumerate(shown):
            separator = ", " if index else ""
            if text.cell_len + len(separator) + item.cell_len > room and index:
                text.append(",")
                yield text
                text, separator = Text("    "), ""
            text.append(separator)
            text.append_text(item)
        yield text

    def _ending(self, story: Story) -> None:
        self.line()
        width = max(40, self.console.width - 4)
        broken = story.broken[:1].upper() + story.broken[1:]
        lines = textwrap.wrap(broken + ".", width)
        for index, part in enumerate(lines):
            text = Text(f" {self.glyph('bad')} " if index == 0 else "   ", style="bold red")
            text.append(part, style="bold")
            self.line(text)
        for query in story.queries:
            self._query(query, width)
        for title, facts in (
            ("there is", story.facts),
            ("processes", story.processes),
            ("why", story.why.sentences if story.why is not None else ()),
        ):
            for index, fact in enumerate(facts):
                for number, part in enumerate(textwrap.wrap(fact, width - 14) or [""]):
                    text = Text(f"   {title if index == 0 and number == 0 else '':<12} ", style="dim")
                    text.append("  " * bool(number) + part)
                    self.line(text)
        for index, sentence in enumerate(story.assumptions):
            for number, part in enumerate(textwrap.wrap(sentence, width - 14) or [""]):
                self.line(
                    Text(f"   {'assuming' if index == 0 and number == 0 else '':<12} {'  ' * bool(number)}{part}", style="dim")
                )

    def _query(self, query: Query, width: int) -> None:
        for index, line in enumerate(_folded(clauses(query.sql, width - 13), width - 13)):
            text = Text(f"   {query.name.replace('_', ' ') if index == 0 else '':<12} ", style="dim")
            text.append(line)
            self.line(text)
        for row in query.rows:
            pairs = ", ".join(f"{name} = {value}" for name, value in zip(query.columns, row, strict=True))
            text = Text(" " * 16)
            text.append(f"{self.glyph('arrow')} {pairs}", style="bold red")
            self.line(text)


@dataclass(frozen=True)
class _Layout:
    """Widths of a story's columns; ``beside``: what happened stands beside the step's name, else below it."""

    actor: int
    step: int
    beside: bool
    indent: int
    room: int
    several: frozenset[str]

    @classmethod
    def of(cls, steps: Sequence[StoryStep], width: int) -> _Layout:
        places: dict[str, set[str]] = {}
        for step in steps:
            if step.procedure:
                places.setdefault(step.role, set()).add(step.procedure)
        several = frozenset(role for role, found in places.items() if len(found) > 1)
        draft = cls(0, 0, True, 0, 0, several)
        actor = max([4, *(len(s.actor) for s in steps)])
        label = max([4, *(len(draft.name(s)) for s in steps)])
        indent = 2 + 5 + actor + 2 + label + 2
        beside = width - indent >= 48
        if not beside:
            indent = 9
        return cls(actor, label if beside else 0, beside, indent, max(24, width - indent), several)

    def name(self, step: StoryStep) -> str:
        if step.kind == "tick":
            return ""
        name = f"{step.procedure}.{step.step}" if step.role in self.several and step.procedure else step.step
        # The step that a fault names is the one that did not happen.
        return f"before {name}" if step.kind == "fault" and name else name


def _reason(text: str) -> str:
    """``unknown (why)`` without the unknown."""
    return text[len("unknown (") : -1] if text.startswith("unknown (") and text.endswith(")") else text


def _pattern(words: str) -> str:
    """The words of a clause with its elements numbered as they come: the same for clauses that differ in their elements only."""
    found: dict[str, list[str]] = {}

    def number(match: re.Match[str]) -> str:
        known = found.setdefault(match[1], [])
        if match[2] not in known:
            known.append(match[2])
        return f"{match[1]}#{known.index(match[2])}"

    return re.sub(r"(\w+)#(\d+)", number, words)


def _letter(index: int) -> str:
    return chr(ord("a") + index) if index < 26 else str(index)


def _counted(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"


def seconds(value: float) -> str:
    """``0.21 s``, ``12.3 s``, ``2 min 5 s``."""
    if value < 10:
        return f"{value:.2f} s"
    if value < 60:
        return f"{value:.1f} s"
    return f"{int(value // 60)} min {int(value % 60)} s"


_CLAUSE = re.compile(
    r"'(?:[^']|'')*'|[()]|\b(?:FROM|WHERE|GROUP BY|HAVING|ORDER BY|LIMIT|RETURNING|SET|VALUES|ON CONFLICT|AND|OR|BETWEEN"
    r"|FOR (?:NO KEY UPDATE|UPDATE|KEY SHARE|SHARE))\b"
)


def clauses(sql: str, room: int) -> str:
    """A statement that is too long for one line, broken before its clauses and before AND and OR outside parentheses."""
    if "\n" in sql or len(sql) <= room:
        return sql
    depth, last, found, between = 0, 0, [], False
    for match in _CLAUSE.finditer(sql):
        word = match.group(0)
        if word in "()":
            depth += 1 if word == "(" else -1
        elif depth or word[0] == "'":
            continue
        elif word == "BETWEEN":
            between = True
        elif word == "AND" and between:
            between = False
        else:
            found.append(sql[last : match.start()].rstrip())
            last = match.start()
    found.append(sql[last:])
    return "\n".join(f"  {line}" if line.startswith(("AND ", "OR ")) else line for line in found if line)


def _folded(text: str, room: int) -> list[str]:
    """Lines of at most ``room`` characters; a folded line goes on two deeper than it began."""
    found: list[str] = []
    for line in text.splitlines():
        if len(line) <= room:
            found.append(line)
            continue
        margin = " " * (len(line) - len(line.lstrip()))
        found += textwrap.wrap(
            line.strip(),
            room,
            initial_indent=margin,
            subsequent_indent=margin + "  ",
            break_on_hyphens=False,
            break_long_words=False,
        )
    return found
