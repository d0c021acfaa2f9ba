"""The page as a browser reads it: html5lib parses as the HTML standard says.  What its script does is in tests/browser."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import replace
from xml.etree import ElementTree as ET

import html5lib
import pytest

import report_samples as samples
from txweave.report import explorer
from txweave.report.html import render
from txweave.report.text import Style
from txweave.view import Row, TableState

MARKUP = "</script ><script>alert(1)</script><!--<script ><img src=x onerror=alert(2)>'\"&lt;&#60;]]>\x1b\x00\x85"
SHOWN = MARKUP.translate({0x1B: "␛", 0: "␀", 0x85: "\ufffd"})


def parsed(text: str) -> ET.Element:
    # Foreign elements keep their plain names; strict: what the standard calls a parse error raises.
    parser = html5lib.HTMLParser(html5lib.treebuilders.getTreeBuilder("etree"), strict=True, namespaceHTMLElements=False)
    return parser.parse(text)


def page(report) -> ET.Element:
    return parsed(render(report))


def local(element: ET.Element) -> str:
    return element.tag.split("}")[-1] if isinstance(element.tag, str) else "comment"


def every(root: ET.Element, tag: str, kind: str = "") -> list[ET.Element]:
    return [e for e in root.iter() if local(e) == tag and (not kind or kind in (e.get("class") or "").split())]


def words(element: ET.Element) -> str:
    return " ".join(" ".join(element.itertext()).split())


def states(root: ET.Element) -> dict:
    (block,) = [e for e in every(root, "script") if e.get("type") == "application/json"]
    return json.loads(block.text or "")


@pytest.mark.parametrize("kind", samples.KINDS)
def test_it_is_html_and_needs_nothing_else(kind: str) -> None:
    root = page(samples.KINDS[kind])
    for element in root.iter():
        for name, value in element.attrib.items():
            assert not name.startswith("on"), "no handlers in markup"
            assert name != "style", "a policy that names styles by hash does not let it through"
            if name in {"src", "href"}:
                assert value.startswith("#"), "nothing is loaded"
    assert not every(root, "link")
    assert "url(" not in render(samples.KINDS[kind]).replace("url(#tw-hatch)", "")


@pytest.mark.parametrize("kind", ["everything", "hostile", "empty"])
def test_names_lead_to_one_place_each(kind: str) -> None:
    root = page(samples.KINDS[kind])
    names = [e.get("id") for e in root.iter() if e.get("id")]
    assert len(names) == len(set(names))
    for link in every(root, "a"):
        assert link.get("href", "")[1:] in names


def test_the_policy_lets_only_the_pages_own_script_and_style_through() -> None:
    root = page(samples.VIOLATED)
    (policy,) = [e.get("content", "") for e in every(root, "meta") if e.get("http-equiv") == "Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy

    def hashed(text: str) -> str:
        return "'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'"

    scripts = [e.text or "" for e in every(root, "script") if e.get("type") == "module"]
    styles = [e.text or "" for e in every(root, "style")]
    assert re.findall(r"script-src ([^;]*)", policy) == [hashed(text) for text in scripts]
    assert re.findall(r"style-src ([^;]*)", policy) == [hashed(text) for text in styles]


# ---------------------------------------------------------------------------------------------------------- what it says


@pytest.mark.parametrize(
    ("kind", "title", "classes"),
    [
        ("green", "✓ all as expected", ["expected", "expected"]),
        ("violated", "✗ 1 not as expected", ["expected", "differs"]),
        ("open", "? 1 inconclusive", ["expected", "unknown"]),
        ("wrong", "✗ 1 with errors", ["failed"]),
        ("unreadable", "✗ 1 with errors", []),
        ("broken", "✗ 1 failed self-check", ["expected", "failed"]),
        ("crashed", "✗ 1 failed self-check", ["failed"]),
        ("empty", "✗ nothing was checked", ["failed"]),
    ],
)
def test_each_outcome(kind: str, title: str, classes: list[str]) -> None:
    root = page(samples.KINDS[kind])
    (heading,) = every(root, "h1")
    assert words(heading) == title
    cells = [c for table in every(root, "div", "verdicts") for c in every(table, "td") if c.get("class") not in {None, "number"}]
    assert [cell.get("class") for cell in cells] == classes


def test_a_verdict_leads_to_its_counterexample() -> None:
    root = page(samples.EVERYTHING)
    found = {words(link): link.get("href") for table in every(root, "div", "verdicts") for link in every(table, "a")}
    assert found["✗ violated (7)"] == "#as_written/taken_once"
    (section,) = [e for e in every(root, "section", "story") if e.get("id") == "as_written/taken_once"]
    assert "After step 7, the query has a row that must never be." in words(section)
    told = samples.story()
    names = [group.get("id") for group in every(section, "g")]
    assert names == [f"as_written/taken_once/{step.number}" for step in told.steps], "each step can be linked to"
    for step in told.steps:
        assert step.step in words(section)
    assert "SELECT id FROM job" in words(section)


def test_errors_findings_differences_assumptions() -> None:
    said = words(page(samples.EVERYTHING))
    assert "there is no key 'kases'" in said
    assert "work.rest is never executed" in said
    assert "as_written.taken_once : violated, expected holds" in said
    assert "the engines disagree" in said
    assert "as_written with age" in said
    case = samples.case("calm", samples.HOLDS, assumptions=("worker: goes on",))
    assert "Assumed worker: goes on" in words(page(samples.report(case)))
    other = samples.case("rough", samples.HOLDS)
    assert "worker: goes on in calm" in words(page(samples.report(case, other)))


def test_everything_whatever_the_terminal_is_told() -> None:
    style = Style(timing=False, stories="none", quiet=True)
    assert render(replace(samples.GREEN, style=style)) == render(samples.GREEN)
    assert len(every(page(samples.GREEN), "section", "story")) == 1
    assert "1.50" in words(page(replace(samples.GREEN, style=Style())))
    assert "1.50" not in words(page(samples.GREEN))


def test_the_states_of_each_step() -> None:
    found = states(page(samples.VIOLATED))
    told = samples.story()
    assert list(found) == ["as_written/taken_once"]
    shown = found["as_written/taken_once"]
    assert shown == explorer.told(told, "as_written"), "without more it is the story alone"
    assert len(shown["steps"]) == len(told.steps)
    before = [told.initial, *(step.state for step in told.steps)]
    for step, old, shown_step in zip(told.steps, before, shown["steps"], strict=False):
        patch = shown_step["patch"]
        (now,), (was,) = step.state.tables, old.tables
        assert [table["rows"] for _, table in patch["tables"]] == (
            [] if now == was else [[[row.label, [list(pair) for pair in row.values]] for row in now.rows]]
        )
        moved = [p.name for p, q in zip(step.state.processes, old.processes, strict=True) if p != q]
        assert [process["name"] for _, process in patch["processes"]] == moved


def test_what_a_check_found_around_a_counterexample_is_carried() -> None:
    document = {**explorer.told(samples.story(), "here"), "moves": [[]]}
    bad = replace(samples.BAD, explored=json.dumps(document))
    assert states(page(samples.report(samples.case("as_written", bad)))) == {"as_written/taken_once": document}


# --------------------------------------------------------------------------------------------------------------- hostile


def hostile():
    """Markup wherever a specification has words: names, SQL, values, notes, places."""
    told = samples.story()
    row = Row(MARKUP, MARKUP, ((MARKUP, MARKUP),))
    state = replace(told.initial, tables=(TableState(MARKUP, (row,), ()),))
    first = replace(
        told.steps[0],
        sql=MARKUP,
        template=MARKUP,
        step=MARKUP,
        note=MARKUP,
        returned=((MARKUP, MARKUP),),
        events=(MARKUP,),
        state=state,
    )
    query = replace(told.queries[0], name=MARKUP, sql=MARKUP, columns=(MARKUP,), rows=((MARKUP,),))
    story = replace(
        told,
        name=MARKUP,
        title=MARKUP,
        broken=MARKUP,
        queries=(query,),
        facts=(MARKUP,),
        processes=(MARKUP,),
        steps=(replace(first, state=replace(state, processes=told.steps[0].state.processes)), *told.steps[1:]),
    )
    bad = replace(samples.BAD, name=MARKUP, title=MARKUP, text=MARKUP, story=story, difference=MARKUP, notes=(MARKUP,))
    case = samples.case(
        MARKUP,
        bad,
        path=MARKUP,
        fixes=(MARKUP,),
        settings=((MARKUP, MARKUP),),
        assumptions=(MARKUP,),
        findings=(replace(samples.FINDING, message=MARKUP),),
        failures=(MARKUP,),
    )
    return samples.report(case)


def test_nothing_that_a_specification_says_is_markup() -> None:
    text = render(hostile())
    root = parsed(text)
    plain = page(samples.report(samples.case("as_written", samples.BAD, assumptions=("fair",))))
    assert {local(e) for e in root.iter()} - {local(e) for e in plain.iter()} <= {"ul", "li", "small", "a"}
    assert len(every(root, "script")) == 2, "the states and the page's own script"
    assert not every(root, "img")
    assert not every(root, "comment")
    said = "".join(root.itertext())
    assert said.count(SHOWN) > 15, "all of it is shown"
    (item,) = states(root).values()
    ((_, table),) = item["steps"][0]["patch"]["tables"]
    assert table == {"name": MARKUP, "rows": [[MARKUP, [[MARKUP, MARKUP]]]], "versions": []}, "the script gets it as it is"


def test_names_that_are_alike_are_told_apart() -> None:
    cases = [samples.case(name, samples.BAD) for name in ("a b", "a-b", "a_b")]
    names = [e.get("id") for e in every(page(samples.report(*cases)), "section", "story")]
    assert names == ["a-b/taken_once", "a-b/taken_once-2", "a_b/taken_once"]
    step = samples.case("a", replace(samples.BAD, name="b/3"), samples.BAD)
    names = [e.get("id") for e in every(page(samples.report(step)), "section", "story")]
    assert names[0] == "a/b-3", "not like the third step of a property b"
