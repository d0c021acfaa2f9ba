from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote

import jsonschema
import pytest

import report_samples as samples
from txweave.report.sarif import render
from txweave.report.story import Place

SCHEMA = json.loads((Path(__file__).parent.parent / "fixtures" / "sarif" / "sarif-schema-2.1.0.json").read_text())


def run(report) -> dict:
    document = json.loads(render(report))
    jsonschema.Draft4Validator(SCHEMA).validate(document)
    (only,) = document["runs"]
    return only


@pytest.mark.parametrize("kind", samples.KINDS)
def test_documents_follow_the_standards_schema_and_refer_to_what_is_there(kind: str) -> None:
    found = run(samples.KINDS[kind])
    rules = [rule["id"] for rule in found["tool"]["driver"]["rules"]]
    assert len(rules) == len(set(rules))
    for result in found["results"]:
        assert rules[result["ruleIndex"]] == result["ruleId"]
        assert result["locations"], "what has no place is shown nowhere"
    prints = [result["partialFingerprints"]["primaryLocationLineHash"] for result in found["results"]]
    assert len(prints) == len(set(prints)), "two alerts would be one"


@pytest.mark.parametrize(
    ("kind", "results", "successful"),
    [
        ("green", [], True),
        ("violated", [("jobs/taken_once", "error")], True),
        ("open", [("jobs/taken_once", "warning")], True),
        ("wrong", [("S101", "error")], False),
        ("unreadable", [("S101", "error")], False),
        ("broken", [("jobs/taken_once", "error")], False),
        ("crashed", [("self-check", "error")], False),
        ("empty", [("nothing-checked", "error")], False),
    ],
)
def test_each_outcome(kind: str, results: list[tuple[str, str]], successful: bool) -> None:
    found = run(samples.KINDS[kind])
    assert [(r["ruleId"], r["level"]) for r in found["results"]] == results
    assert all(r["kind"] == "fail" for r in found["results"]), "of another kind, a result would have no level"
    assert found["invocations"][0]["executionSuccessful"] is successful
    assert found["invocations"][0]["exitCode"] == samples.KINDS[kind].exit_status


def test_an_unknown_verdict_keeps_the_alert_of_a_violation_open() -> None:
    (violated,), (unknown,) = run(samples.VIOLATED)["results"], run(samples.OPEN)["results"]
    assert violated["partialFingerprints"] == unknown["partialFingerprints"]
    assert violated["ruleId"] == unknown["ruleId"]
    assert unknown["properties"]["verdict"] == "unknown"
    assert "unknown (max-states), expected holds" in unknown["message"]["text"]


def test_fingerprints_do_not_depend_on_lines_or_steps() -> None:
    moved = replace(samples.BAD, place=Place(samples.MODEL, 99, 1), story=replace(samples.story(), steps=samples.story().steps[:3]))
    (before,), (after,) = run(samples.VIOLATED)["results"], run(samples.report(samples.case("as_written", moved)))["results"]
    assert before["partialFingerprints"] == after["partialFingerprints"]
    (elsewhere,) = run(samples.report(samples.case("fixed", samples.BAD)))["results"]
    assert elsewhere["partialFingerprints"] != before["partialFingerprints"]


def test_a_violation_stands_at_its_property_and_flows_through_its_steps() -> None:
    story = samples.story()
    story = replace(
        story, steps=tuple(replace(s, place=Place("specs/ä b.yaml", s.number, 1)) for s in story.steps[:-1]) + story.steps[-1:]
    )
    (result,) = run(samples.report(samples.case("as_written", replace(samples.BAD, story=story))))["results"]
    (location,) = result["locations"]
    assert location["physicalLocation"] == {
        "artifactLocation": {"uri": samples.MODEL, "uriBaseId": "%SRCROOT%"},
        "region": {"startLine": 30, "startColumn": 3},
    }
    ((flow,),) = (result["codeFlows"][0]["threadFlows"],)
    lines = [step["location"]["physicalLocation"]["region"]["startLine"] for step in flow["locations"]]
    assert lines == [1, 2, 3, 4, 5, 6, 6], "a step without a place stands where the story was"
    uri = flow["locations"][0]["location"]["physicalLocation"]["artifactLocation"]["uri"]
    assert uri.isascii()
    assert unquote(uri) == "specs/ä b.yaml"
    words = [step["location"]["message"]["text"] for step in flow["locations"]]
    assert words[0] == "1. worker 1 take_job.pick: SELECT id FROM job WHERE state = 'new'; job = 1"
    assert "waits for worker 1" in words[3]


def test_a_lasso_says_where_its_loop_begins() -> None:
    story = replace(samples.story(), loop=4)
    (result,) = run(samples.report(samples.case("as_written", replace(samples.BAD, story=story))))["results"]
    words = [s["location"]["message"]["text"] for s in result["codeFlows"][0]["threadFlows"][0]["locations"]]
    assert [text.startswith("for ever from here: 5. ") for text in words] == [False] * 4 + [True] + [False] * 2


def test_a_diagnostic_is_told_once_with_its_span_and_remedy() -> None:
    report = samples.report(*(samples.case(name, errors=(samples.diagnostic(),)) for name in ("one", "two")))
    (result,) = run(report)["results"]
    region = result["locations"][0]["physicalLocation"]["region"]
    assert region == {"startLine": 3, "startColumn": 1, "endLine": 3, "endColumn": 6}
    assert "did you mean 'cases'?" in result["message"]["text"]
    (rule,) = run(report)["tool"]["driver"]["rules"]
    assert rule["help"]["text"], "what txweave explain tells"


def test_a_finding_is_a_note_with_its_cases() -> None:
    notes = [r for r in run(samples.EVERYTHING)["results"] if r["level"] == "note"]
    (note,) = notes
    assert note["ruleId"] == "finding/never-executed"
    assert note["message"]["text"].endswith("(calm, as_written)")


def test_paths_are_the_repositorys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / "sub").mkdir()
    monkeypatch.chdir(tmp_path / "sub")
    inside, outside = Place("a.model.yaml", 1, 1), Place("../../b.model.yaml", 1, 1)
    for place, expected in (
        (inside, {"uri": "sub/a.model.yaml", "uriBaseId": "%SRCROOT%"}),
        (outside, {"uri": (tmp_path.parent / "b.model.yaml").as_uri()}),
    ):
        (result,) = run(samples.report(samples.case("as_written", replace(samples.BAD, place=place))))["results"]
        assert result["locations"][0]["physicalLocation"]["artifactLocation"] == expected


def test_what_lint_finds_has_the_rule_of_its_code() -> None:
    others = replace(samples.LINT, message="L505: the parameter stop is never read")
    found = run(samples.report(samples.case("calm", samples.HOLDS, findings=(samples.LINT, others))))
    assert [(r["ruleId"], r["level"]) for r in found["results"]] == [("L505", "note")] * 2
    prints = {r["partialFingerprints"]["primaryLocationLineHash"] for r in found["results"]}
    assert len(prints) == 2
    assert found["tool"]["driver"]["rules"][0]["help"]["text"]
