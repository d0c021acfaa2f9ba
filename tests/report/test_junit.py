from __future__ import annotations

from dataclasses import replace
from xml.etree import ElementTree as ET

import pytest
from junitparser import Error, Failure, JUnitXml

import report_samples as samples
from txweave.report.junit import render
from txweave.report.text import Style


def read(report) -> dict[tuple[str, str], tuple[str, str]]:
    """For each test by class and name, as another library reads it: the outcome, and the message."""
    found = {}
    for suite in JUnitXml.fromstring(render(report).encode()):
        for test in suite:
            assert not test.is_skipped
            results = test.result
            assert len(results) <= 1
            kind = "pass" if not results else {Failure: "failure", Error: "error"}[type(results[0])]
            found[test.classname, test.name] = (kind, results[0].message if results else "")
    return found


AS_WRITTEN = f"{samples.STUDY}::as_written"


@pytest.mark.parametrize(
    ("kind", "outcomes"),
    [
        ("green", {(f"{samples.STUDY}::calm", "all_taken"): "pass", (f"{samples.STUDY}::calm", "taken_once"): "pass"}),
        ("violated", {(AS_WRITTEN, "all_taken"): "pass", (AS_WRITTEN, "taken_once"): "failure"}),
        ("open", {(AS_WRITTEN, "all_taken"): "pass", (AS_WRITTEN, "taken_once"): "error"}),
        ("wrong", {(AS_WRITTEN, "specification"): "error"}),
        ("unreadable", {(samples.STUDY, "specification"): "error"}),
        ("broken", {(AS_WRITTEN, "all_taken"): "pass", (AS_WRITTEN, "taken_once"): "error"}),
        ("crashed", {(AS_WRITTEN, "self-check"): "error"}),
        ("empty", {(AS_WRITTEN, "properties"): "error"}),
    ],
)
def test_each_outcome(kind: str, outcomes: dict[tuple[str, str], str]) -> None:
    assert {key: outcome for key, (outcome, _) in read(samples.KINDS[kind]).items()} == outcomes


def test_counts_are_those_of_the_tests() -> None:
    root = ET.fromstring(render(samples.EVERYTHING))
    counted = {
        name: len(root.findall(f".//{tag}")) for name, tag in (("tests", "testcase"), ("failures", "failure"), ("errors", "error"))
    }
    assert counted == {"tests": 9, "failures": 2, "errors": 4}
    assert {name: int(root.get(name)) for name in counted} == counted
    assert root.get("skipped") == "0"
    assert [suite.get("name") for suite in root] == [samples.STUDY, samples.MODEL, "specs/other.study.yaml"]


def test_a_failure_has_the_story_and_its_place() -> None:
    root = ET.fromstring(render(samples.VIOLATED))
    (failure,) = root.findall(".//failure")
    assert failure.get("message") == "violated, expected holds"
    assert "UPDATE job SET state = 'taken'" in failure.text
    assert "After step 7, the query has a row that must never be." in failure.text
    test = root.find(".//testcase[@name='taken_once']")
    assert (test.get("file"), test.get("line")) == (samples.MODEL, "30")


def test_messages_say_why() -> None:
    assert read(samples.OPEN)[AS_WRITTEN, "taken_once"][1] == "unknown (max-states), expected holds"
    assert read(samples.BROKEN)[AS_WRITTEN, "taken_once"][1] == "self-check failed: the engines disagree"
    assert "kases" in read(samples.WRONG)[AS_WRITTEN, "specification"][1]
    assert "specs/jobs.model.yaml:3:1: error S101" in render(samples.WRONG)


def test_whatever_a_specification_says_is_xml() -> None:
    root = ET.fromstring(render(samples.HOSTILE))
    (failure,) = root.findall(".//failure")
    assert "\\x1b[31m" in failure.text, "XML has no escape character"
    assert "]]> " in failure.text
    assert root.find(".//testcase").get("classname") == f"{samples.STUDY}::a|`b`<i>[x=1]"


def test_time_on_request() -> None:
    assert "time=" not in render(samples.EVERYTHING)
    timed = replace(samples.VIOLATED, style=Style())
    assert JUnitXml.fromstring(render(timed).encode()).time == 1.5
