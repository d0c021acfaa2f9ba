from __future__ import annotations

import io

import pytest
from rich.console import Console

import job_tables as jobs
from txweave.report.story import tell
from txweave.report.text import Style, Writer, clauses
from txweave.results import Answer, CaseResult, Expected, Exploration, Finding, PropertyResult, Relation
from txweave.system.ground import ground
from txweave.verdict import Status
from txweave.view import Viewer


def case(*answers: Answer, relation: Relation = Relation.AS_EXPECTED, expected: str = "holds", **more) -> CaseResult:
    first = answers[0]
    item = PropertyResult(
        name="a_property_with_a_long_name",
        kind="never",
        title="",
        place=None,
        status=first.status or Status.UNKNOWN,
        text=first.text,
        expected=Expected(expected),
        relation=relation,
        answers=answers,
        length=first.length,
        **more,
    )
    exploration = Exploration("explicit", 12_345, 20_000, 7, True, "", 0.5)
    return CaseResult("a.study.yaml", "a", "m", "as_written", "s", properties=(item,), explorations=(exploration,), seconds=0.5)


def printed(*results: CaseResult, width: int = 100, **style) -> str:
    out = io.StringIO()
    writer = Writer(Console(file=out, width=width), Style(**style))
    writer.results(results)
    writer.summary(results)
    return out.getvalue()


HOLDS = Answer("explicit", Status.HOLDS, "holds")
Z3 = Answer("z3", Status.HOLDS, "holds")
SILENT = Answer("z3", Status.UNKNOWN, "unknown (Z3 does not prove liveness)")


def test_a_column_per_engine_only_when_it_says_something() -> None:
    assert "z3" not in printed(case(HOLDS, Z3))
    assert "z3" in printed(case(HOLDS, Z3), engines=True)
    text = printed(case(HOLDS, SILENT))
    assert "– [a]" in text
    assert "[a] Z3 does not prove liveness" in text


def test_an_engines_own_length_is_shown_where_it_differs() -> None:
    one = Answer("explicit", Status.VIOLATED, "violated", (4, 2))
    other = Answer("z3", Status.VIOLATED, "violated", (5, 1))
    text = printed(case(one, other, expected="violated"), engines=True)
    assert "violated (5, 1)" in text
    assert text.count("(4, 2)") == 1, "in the verdict, and not again"


def test_expected_or_not() -> None:
    assert "✓" in printed(case(HOLDS))
    text = printed(case(HOLDS, relation=Relation.DIFFERS, expected="violated", difference="holds, expected violated"))
    assert "✗ violated" in text
    assert "as_written.a_property_with_a_long_name: holds, expected violated" in text
    assert "1 property in 1 case: 1 not as expected" in text
    unknown = Answer("explicit", Status.UNKNOWN, "unknown (timeout)")
    assert "1 inconclusive" in printed(case(unknown, relation=Relation.INCONCLUSIVE))


def test_numbers_give_way_on_narrow_terminals() -> None:
    wide = printed(case(HOLDS)).splitlines()
    assert wide[1].split() == ["case", "property", "verdict", "expected", "states", "time"]
    narrow = printed(case(HOLDS), width=64).splitlines()
    assert narrow[1].split() == ["case", "property", "verdict", "expected"]
    assert "  as_written: 12,345 states, 0.50 s" in narrow
    assert max(map(len, narrow)) <= 64


def test_no_timing() -> None:
    assert "0.50 s" in printed(case(HOLDS))
    assert " s" not in printed(case(HOLDS), timing=False).replace("states", "")


def test_findings_and_failures_are_told() -> None:
    result = case(HOLDS)
    finding = Finding("bound", "dag_run", "the bound dag_run was hit")
    text = printed(CaseResult(**{**vars(result), "findings": (finding,), "failures": ("p: engines disagree",)}))
    assert "? as_written: the bound dag_run was hit" in text
    assert "✗ as_written: p: engines disagree" in text
    assert "1 failed self-check" in text


def test_stories_of_expected_violations_are_offered() -> None:
    trace = jobs.both_take()
    story = tell(trace, "taken_once", Viewer(trace.system))
    violated = Answer("explicit", Status.VIOLATED, "violated", (7,))
    expected = case(violated, expected="violated", story=story)
    assert "--story tells" in printed(expected)
    assert "After step 7" not in printed(expected)
    assert "After step 7" in printed(expected, stories="all")
    assert "After step 7" in printed(expected, told=("a_property_with_a_long_name",))
    unexpected = case(violated, relation=Relation.DIFFERS, story=story)
    assert "After step 7" in printed(unexpected)
    assert "After step 7" not in printed(unexpected, stories="none")


def test_case_names_are_text_and_no_markup() -> None:
    result = CaseResult(**{**vars(case(HOLDS)), "case": "swept[cutoff=5min]"})
    assert "swept[cutoff=5min]" in printed(result)


@pytest.mark.parametrize(
    ("sql", "lines"),
    [
        ("SELECT a FROM t WHERE b AND (c AND d)", ["SELECT a", "FROM t", "WHERE b", "  AND (c AND d)"]),
        ("SELECT a FROM t WHERE b OR e = 'x AND y'", ["SELECT a", "FROM t", "WHERE b", "  OR e = 'x AND y'"]),
        ("SELECT a FROM t WHERE b BETWEEN 1 AND 2 AND c", ["SELECT a", "FROM t", "WHERE b BETWEEN 1 AND 2", "  AND c"]),
        ("SELECT a FROM t FOR NO KEY UPDATE SKIP LOCKED", ["SELECT a", "FROM t", "FOR NO KEY UPDATE SKIP LOCKED"]),
        ("UPDATE t SET a = 1 WHERE b RETURNING a", ["UPDATE t", "SET a = 1", "WHERE b", "RETURNING a"]),
    ],
)  # fmt: skip
def test_long_statements_are_broken_before_their_clauses(sql: str, lines: list[str]) -> None:
    assert clauses(sql, 10).splitlines() == lines
    assert clauses(sql, 200) == sql


def test_processes_that_have_not_begun_are_told_together() -> None:
    from dataclasses import replace

    system = jobs.system()
    many = replace(system, sorts=(system.sorts[0], replace(system.sorts[1], size=5)))
    trace = jobs.run(ground(many), *jobs.BOTH_TAKE, witness=(2,))
    facts = tell(trace, "taken_once", Viewer(trace.system)).facts
    assert facts == ("worker 1: done, job 1", "worker 2: done, job 1", "3 more of worker: idle")
