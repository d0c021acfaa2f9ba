from __future__ import annotations

import re
from dataclasses import replace

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

import report_samples as samples
from txweave.report.markdown import render
from txweave.report.sequence import sequence_diagram
from txweave.report.text import Style


def parsed(report) -> list[Token]:
    return MarkdownIt("commonmark").enable("table").parse(render(report))


def words(token: Token) -> str:
    """The text of a token as a reader sees it."""
    shown = {"text", "code_inline"}
    return "".join(child.content for child in token.children or () if child.type in shown)


def rows(report) -> list[list[str]]:
    """The rows of all tables."""
    found: list[list[str]] = []
    for before, token in zip(parsed(report), parsed(report)[1:], strict=False):
        if before.type == "tr_open":
            found.append([])
        if before.type in {"td_open", "th_open"}:
            found[-1].append(words(token))
    return found


def heading(report) -> str:
    tokens = parsed(report)
    assert tokens[0].type == "heading_open"
    return words(tokens[1])


@pytest.mark.parametrize(
    ("kind", "title", "marks"),
    [
        ("green", "✅ txweave: all as expected", ["✅", "✅"]),
        ("violated", "❌ txweave: 1 not as expected", ["✅", "❌"]),
        ("open", "❓ txweave: 1 inconclusive", ["✅", "❓"]),
        ("wrong", "❌ txweave: 1 with errors", ["❌"]),
        ("unreadable", "❌ txweave: 1 with errors", []),
        ("broken", "❌ txweave: 1 failed self-check", ["✅", "💥"]),
        ("crashed", "❌ txweave: 1 failed self-check", ["💥"]),
        ("empty", "❌ txweave: nothing was checked", ["❌"]),
    ],
)
def test_each_outcome(kind: str, title: str, marks: list[str]) -> None:
    report = samples.KINDS[kind]
    assert heading(report) == title
    assert [row[0] for row in rows(report)[1:]] == marks


def test_the_table() -> None:
    assert rows(samples.OPEN) == [
        ["", "case", "property", "verdict", "expected", "states"],
        ["✅", "as_written", "all_taken", "holds", "holds", "30"],
        ["❓", "as_written", "taken_once", "unknown (max-states)", "holds", ""],
    ]
    timed = rows(replace(samples.OPEN, style=Style()))
    assert [row[-1] for row in timed] == ["time", "1.50 s", ""]


def test_stories_as_on_the_terminal() -> None:
    def told(report, **style) -> int:
        return render(replace(report, style=Style(timing=False, **style))).count("```mermaid")

    assert told(samples.GREEN) == 0
    assert told(samples.GREEN, stories="all") == 1
    assert told(samples.GREEN, told=("taken_once",)) == 1
    assert told(samples.VIOLATED) == 1
    assert told(samples.VIOLATED, stories="none") == 0
    fences = [token for token in parsed(samples.VIOLATED) if token.type == "fence"]
    assert [token.info for token in fences] == ["mermaid", "text"]
    assert "After step 7, the query has a row that must never be." in fences[1].content


def test_quiet_leaves_out_what_is_as_expected() -> None:
    report = samples.report(*samples.GREEN.results, samples.case("slow", samples.UNKNOWN, path="b.study.yaml"))
    assert [row[1] for row in rows(replace(report, style=Style(quiet=True)))] == ["case", "slow"]


def test_nothing_that_a_specification_says_is_markup() -> None:
    tokens = parsed(samples.HOSTILE)
    allowed = {"<details><summary>The story</summary>", "</details>"}
    assert {token.content.strip() for token in tokens if token.type == "html_block"} <= allowed
    inline = {child.type for token in tokens for child in token.children or ()}
    assert inline <= {"text", "code_inline"}, "no link, no emphasis, no HTML, no image"
    assert len([t for t in tokens if t.type == "fence"]) == 2
    evil = " ".join(samples.EVIL.split())
    said = [words(token) for token in tokens if token.type == "inline"]
    assert evil in said, "the title, all of it"
    assert next(row for row in rows(samples.HOSTILE) if row[0] == "❌")[1] == "a|`b`<i>[x=1]"


TITLES = ["1. first", "1) first", "- item", "+ item", "> quote", "# heading", "    code", "a\n===", "***", "---", "www.a.b", "```"]


@pytest.mark.parametrize("title", TITLES)
def test_a_title_is_a_paragraph(title: str) -> None:
    bad = replace(samples.BAD, story=replace(samples.story(), title=title))
    tokens = parsed(samples.report(samples.case("as_written", bad)))
    (index,) = [i for i, token in enumerate(tokens) if token.type == "inline" and words(token) == " ".join(title.split())]
    assert tokens[index - 1].type == "paragraph_open"
    assert tokens[index - 1].level == 0
    assert [token.info for token in tokens if token.type == "fence"] == ["mermaid", "text"]


# ------------------------------------------------------------------------------------------------------------ the limit


def many(count: int):
    return samples.report(*(samples.case(f"case_{n}", samples.BAD) for n in range(count)))


def test_what_does_not_fit_is_left_out_whole_and_counted() -> None:
    report = many(20)
    whole = render(report)
    assert whole.count("```mermaid") == 20
    assert render(report, len(whole.encode())) == whole
    for limit in (len(whole.encode()) - 1, 20_000, 5_000):
        cut = render(report, limit)
        assert len(cut.encode()) <= limit
        left_out = int(re.search(r"([0-9]+) counterexample", cut).group(1))
        assert cut.count("```mermaid") == 20 - left_out < 20
        assert cut.startswith("## ❌ txweave: 20 not as expected\n"), "whatever is cut, the counts are there"
        assert MarkdownIt("commonmark").parse(cut)[-3].type == "paragraph_open", "no fence is left open"
    assert "1 table of verdicts" in render(report, 600)
    assert render(report, 100) == ""


# ------------------------------------------------------------------------------------------------------------- diagrams

LINE = re.compile(
    r"sequenceDiagram|    participant (p[0-9]+|db) as [^#;:\n]*(#[0-9]+;[^#;:\n]*)*|    loop for ever|    end"
    r"|    ((p[0-9]+|db)(->>|-->>|--x)(p[0-9]+|db)|Note (over|right of) (p[0-9]+|db)(,db)?): [^#;:\n]*(#[0-9]+;[^#;:\n]*)*"
)
"""Statements of Mermaid's sequence diagrams, with no character in their text that the grammar gives a meaning."""


@pytest.mark.parametrize("name", ["taken_once", "all_taken"])
def test_diagrams_are_statements_of_mermaid(name: str) -> None:
    lines = sequence_diagram(samples.story(name)).splitlines()
    for line in lines:
        assert LINE.fullmatch(line), line
    assert lines[0] == "sequenceDiagram"


def test_who_does_what() -> None:
    lines = [line.strip() for line in sequence_diagram(samples.story()).splitlines()]
    assert lines[1:4] == ["participant p1 as worker 1", "participant p2 as worker 2", "participant db as database"]
    assert "p1->>db: 1. SELECT id FROM job WHERE state = 'new'" in lines
    assert "db-->>p1: job = 1" in lines
    assert "Note over p2: waits for worker 1" in lines
    assert "Note right of db: #126; job 1#58; state 'new' → 'taken'" in lines
    crash = [line for line in sequence_diagram(samples.story("all_taken")).splitlines() if "crashes" in line]
    assert crash == ["    Note over p1: 3. crashes, its transaction rolls back"]


def test_loops() -> None:
    looping = sequence_diagram(replace(samples.story(), loop=2))
    assert looping.index("2. ") < looping.index("loop for ever") < looping.index("3. ") < looping.index("    end\n")
    assert "nothing more ever happens" in sequence_diagram(samples.story("all_taken"))
    assert "loop" not in sequence_diagram(samples.story())


def test_diagrams_of_hostile_words_are_statements_too() -> None:
    story = samples.story()
    steps = tuple(replace(s, actor=samples.EVIL, sql=samples.EVIL, note=samples.EVIL, events=(samples.EVIL,)) for s in story.steps)
    text = sequence_diagram(replace(story, steps=steps, broken=samples.EVIL))
    for line in text.splitlines():
        assert LINE.fullmatch(line), line
    assert "`" not in text
    assert "<b" not in text.replace("<br/>", "")


def test_a_story_without_steps_has_a_diagram() -> None:
    assert "Note over db: in the initial state" in sequence_diagram(
        replace(samples.story(), steps=(), broken="in the initial state")
    )
