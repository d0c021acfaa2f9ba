"""Results as one HTML page that needs no network: verdicts as tables, counterexamples as pictures with their states step by step.

The page is built as a tree of elements, so that nothing a specification says becomes markup.  It is complete without scripts; the
script adds the filter and the explorer, which is that of the notebooks.  A content security policy names the script and the
stylesheet by their hashes: the browser runs nothing else and loads nothing.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterable, Sequence
from functools import cache
from importlib.resources import files
from typing import Any
from xml.etree import ElementTree as ET

from txweave.report import explorer
from txweave.report.markup import el, serialised, table
from txweave.report.outcomes import Item, Report, case_label, items, story_text, verdict
from txweave.report.picture import drawing
from txweave.report.shapes import stylesheet
from txweave.report.story import Place, Query, Story, Why
from txweave.results import CaseResult, Relation
from txweave.spec.diagnostics import Diagnostic

_MARKS = {Relation.AS_EXPECTED: "✓", Relation.DIFFERS: "✗", Relation.INCONCLUSIVE: "?", Relation.FAILED: "!"}
_CLASSES = {
    Relation.AS_EXPECTED: "expected",
    Relation.DIFFERS: "differs",
    Relation.INCONCLUSIVE: "unknown",
    Relation.FAILED: "failed",
}


def render(report: Report) -> str:
    """The page."""
    anchors = Anchors()
    told = [(item, anchors.of(item)) for item in report.items if item.story is not None]
    known = {(id(item.case), item.name): anchor for item, anchor in told}
    stories = [_story(item, anchor) for item, anchor in told]
    states = {anchor: _carried(item) for item, anchor in told}
    heading, mark = _heading(report)
    body = [
        el(
            "header",
            el("h1", el("span", mark, {"class": f"mark {_grade(report)}"}), f" {heading}"),
            el("p", _size(report), {"class": "dim"}),
            el(
                "p",
                el("label", "Filter ", {"for": "filter"}),
                el("input", {"id": "filter", "type": "search", "placeholder": "case, property, statement …"}),
                el("span", {"id": "found", "role": "status", "class": "dim"}),
                {"hidden": "", "class": "scripted"},
            ),
        ),
        *_errors(report.diagnostics),
        *(_verdicts(path, group, report, known) for path, group in _by_file(report.results)),
        *_findings(report),
        *stories,
    ]
    style = f"{_read('html.css')}\n{stylesheet()}\n{explorer.stylesheet()}"
    script = f"{explorer.module()}\n{_read('html.js')}"
    policy = f"default-src 'none'; style-src {_hash(style)}; script-src {_hash(script)}; base-uri 'none'; form-action 'none'"
    root = el(
        "html",
        el(
            "head",
            el("meta", {"charset": "utf-8"}),
            el("meta", {"http-equiv": "Content-Security-Policy", "content": policy}),
            el("meta", {"name": "viewport", "content": "width=device-width, initial-scale=1"}),
            el("meta", {"name": "color-scheme", "content": "light dark"}),
            el("title", f"txweave: {heading}"),
            el("style", style),
        ),
        el(
            "body",
            _hatching(told),
            el("main", *body),
            el("script", _data(states), {"type": "application/json", "id": "states"}),
            el("script", script, {"type": "module"}),
        ),
        {"lang": "en"},
    )
    return "<!DOCTYPE html>\n" + serialised(root)


class Anchors:
    """Gives each counterexample the name that links lead to: ``case/property``; its steps are ``case/property/4``.

    Names are unique in a page, and none of them looks like that of a step.
    """

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def of(self, item: Item) -> str:
        """The name of a counterexample."""
        base = "/".join(re.sub(r"[^\w.]+", "-", part).strip("-") or "-" for part in (item.case.case, item.name))
        found, number = base, 2
        while found in self._taken:
            found, number = f"{base}-{number}", number + 1
        self._taken.add(found)
        return found


def _data(states: dict[str, Any]) -> str:
    """JSON that cannot end the element it stands in: neither ``</script`` nor ``<!--`` can be in it, for there is no ``<``."""
    return json.dumps(states, ensure_ascii=True, separators=(",", ":")).replace("<", "\\u003c").replace(">", "\\u003e")


@cache
def _read(name: str) -> str:
    return (files("txweave.report") / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return f"'sha256-{digest}'"


# ------------------------------------------------------------------------------------------------------------- sections


def _by_file(results: Iterable[CaseResult]) -> Iterable[tuple[str, list[CaseResult]]]:
    found: dict[str, list[CaseResult]] = {}
    for result in results:
        found.setdefault(result.path, []).append(result)
    return found.items()


def _grade(report: Report) -> str:
    return "expected" if report.exit_status == 0 else "unknown" if report.exit_status == 3 else "differs"


def _heading(report: Report) -> tuple[str, str]:
    count = {relation: sum(i.result is not None and i.result.relation is relation for i in report.items) for relation in Relation}
    parts = [
        (count[Relation.DIFFERS], "not as expected"),
        (count[Relation.INCONCLUSIVE], "inconclusive"),
        (count[Relation.FAILED] + sum(bool(i.failures) and i.result is None for i in report.items), "failed self-check"),
        (sum(bool(i.diagnostics) for i in report.items) + len(report.errors), "with errors"),
    ]
    words = [f"{number} {what}" for number, what in parts if number]
    if not words:
        words = ["all as expected" if report.items and report.exit_status == 0 else "nothing was checked"]
    known = sum(item.known for item in report.items)
    words += [f"{known} known violation{'' if known == 1 else 's'}"] if known else []
    mark = {"expected": "✓", "unknown": "?", "differs": "✗"}[_grade(report)]
    return ", ".join(words), mark


def _size(report: Report) -> str:
    total, cases = sum(item.result is not None for item in report.items), len(report.results)
    return f"{total} {'property' if total == 1 else 'properties'} in {cases} {'case' if cases == 1 else 'cases'}"


def _errors(diagnostics: Sequence[Diagnostic]) -> Iterable[ET.Element]:
    if diagnostics:
        yield el(
            "section",
            el("h2", "What is wrong in the specifications"),
            *(el("pre", d.render(), {"class": "bad"}) for d in diagnostics),
        )


def _verdicts(path: str, group: Sequence[CaseResult], report: Report, anchors: dict[tuple[int, str], str]) -> ET.Element:
    """The cases of a file, with a column for each property; a verdict leads to its counterexample."""
    names = list(dict.fromkeys(item.name for result in group for item in result.properties))
    head = ["case", *names, "states", *(["seconds"] if report.style.timing else [])]
    rows: list[ET.Element] = []
    remarks: list[ET.Element] = []
    for result in group:
        found = {item.name: item for item in items(result) if item.result is not None}
        label = el("th", result.case, {"scope": "row"})
        if result.fixes or result.settings:
            with_ = [*result.fixes, *(f"{name}={value}" for name, value in result.settings)]
            label.append(el("small", f"with {', '.join(with_)}"))
        cells = [_cell(found.get(name), anchors.get((id(result), name))) for name in names]
        numbers = [f"{result.states:,}" if result.states else "", *([f"{result.seconds:.2f}"] if report.style.timing else [])]
        rows.append(el("tr", label, *cells, *(el("td", number, {"class": "number"}) for number in numbers)))
        for item in items(result):
            if item.result is None:
                words = el("td", f"{'!' if item.failures else '✗'} {item.message}", {"colspan": str(len(head)), "class": "failed"})
                rows.append(el("tr", words))
                continue
            known = item.result.known
            remarks += [
                el("li", el("code", f"{result.case}.{item.name}"), f": {text}{_at(item.result.expected.place or item.place)}")
                for text in (item.result.difference, known.text(days=report.style.timing) if known else "", *item.result.notes)
                if text
            ]
        remarks += [el("li", el("code", result.case), f": {failure}") for failure in result.failures]
    grid = el(
        "table",
        el("thead", el("tr", *(el("th", name, {"scope": "col"}) for name in head))),
        el("tbody", *rows),
    )
    return el(
        "section",
        el("h2", el("code", path)),
        el("div", grid, {"class": "wide verdicts"}),
        el("ul", *remarks) if remarks else None,
        *_assumptions(group),
    )


def _cell(item: Item | None, anchor: str | None) -> ET.Element:
    if item is None or item.result is None:
        return el("td", "", {"class": "none"})
    found = item.result
    words = f"{_MARKS[found.relation]} {verdict(found)}"
    shown = el("a", words, {"href": f"#{anchor}"}) if anchor else el("span", words)
    said = found.expected.stated or found.relation is not Relation.AS_EXPECTED
    expected = "as expected" if found.relation is Relation.AS_EXPECTED else f"expected {found.expected.text}"
    expected = "known" if item.known else expected
    return el("td", shown, el("small", expected) if said else None, {"class": _CLASSES[found.relation], "title": found.title})


def _findings(report: Report) -> Iterable[ET.Element]:
    if report.findings:
        lines = [
            el("li", f"{finding.message}{_at(finding.place)}", f" in {', '.join(cases)} of {path}" if cases else None)
            for path, finding, cases in report.findings
        ]
        yield el("section", el("h2", "What the verdicts do not say"), el("ul", *lines))


def _assumptions(group: Sequence[CaseResult]) -> Iterable[ET.Element]:
    """What was taken for granted in a file, once each, with the cases where only some of them assume it."""
    found: dict[str, dict[str, None]] = {}
    for result in group:
        for assumption in result.assumptions:
            found.setdefault(assumption, {})[result.case] = None
    every = {result.case for result in group if result.properties}
    if found:
        lines = [
            el("li", assumption, None if set(cases) >= every else el("small", f" in {', '.join(cases)}"))
            for assumption, cases in found.items()
        ]
        yield el("h3", "Assumed")
        yield el("ul", *lines)


def _at(place: Place | None) -> str:
    return f" ({place.path}:{place.line})" if place is not None else ""


# -------------------------------------------------------------------------------------------------------------- stories


def _story(item: Item, anchor: str) -> ET.Element:
    story, found = item.story, item.result
    assert story is not None
    assert found is not None
    title = el(
        "summary",
        el("h2", el("code", story.name), " in ", el("code", case_label(item.case)), f": {verdict(found)}"),
        el("a", "#", {"href": f"#{anchor}", "class": "link", "title": "A link to this counterexample"}),
    )
    parts = [
        el("p", story.title) if story.title else None,
        el("p", f"{story.broken[:1].upper()}{story.broken[1:]}.{_at(story.place)}", {"class": "broken"}),
        *(_query(query) for query in story.queries),
        el("ul", *(el("li", line) for line in story.processes)) if story.processes else None,
        _why(story.why, anchor) if story.why is not None else None,
        el("div", {"class": "explorer"}),
        el(
            "details",
            el("summary", "The whole picture"),
            el(
                "div",
                _picture(story, anchor),
                {"class": "wide picture", "tabindex": "0", "role": "group", "aria-label": "The picture"},
            ),
            {"class": "whole", "open": ""},
        ),
        el("details", el("summary", "The same as text"), el("pre", story_text(story, case_label(item.case), found.text))),
    ]
    return el("section", el("details", title, *parts, {"open": ""}), {"class": "story", "id": anchor})


def _why(why: Why, anchor: str) -> ET.Element:
    """The reasons, each with links to the steps that it is about."""
    lines = []
    for reason in why.reasons:
        links = [el("a", f"{step}", {"href": f"#{anchor}/{step}", "class": "at"}) for step in reason.steps]
        spaced = [part for link in links for part in (" ", link)]
        lines.append(el("li", reason.text, *spaced))
    return el("div", el("div", "why", {"class": "dim"}), el("ul", *lines, el("li", why.order_text)), {"class": "why"})


def _query(query: Query) -> ET.Element:
    rows = table(query.columns, query.rows, "rows") if query.rows and query.columns else None
    return el("div", el("div", query.name, {"class": "dim"}), el("pre", query.sql), rows, {"class": "query"})


def _picture(story: Story, anchor: str) -> ET.Element:
    """The picture as a part of the page, which has the stylesheet and the hatching once for all pictures."""
    root = drawing(story)
    for child in list(root):
        if child.tag in {"style", "defs"}:
            root.remove(child)
    for group in root.iter("g"):
        group.set("id", f"{anchor}/{group.get('data-step')}")
    return root


def _hatching(told: Sequence[tuple[Item, str]]) -> ET.Element | None:
    """The pattern that all pictures refer to."""
    for item, _ in told:
        if item.story is not None:
            definitions = [child for child in drawing(item.story) if child.tag == "defs"]
            return el("svg", *definitions, {"class": "tw hatching", "width": "0", "height": "0", "aria-hidden": "true"})
    return None


def _carried(item: Item) -> explorer.Document:
    """What the explorer shows of a counterexample: all that the check has found of it, else the story alone."""
    assert item.story is not None
    assert item.result is not None
    if item.result.explored:
        found: explorer.Document = json.loads(item.result.explored)
        return found
    return explorer.told(item.story, case_label(item.case))
