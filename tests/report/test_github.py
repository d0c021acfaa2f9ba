from __future__ import annotations

import re

import pytest

import report_samples as samples
from txweave.report.github import render

COMMAND = re.compile(r"^::(?P<level>error|warning|notice) (?P<properties>[^:\r\n]*)::(?P<message>[^\r\n]*)$")
"""As "Workflow commands for GitHub Actions" has it: ``::name key=value,key=value::message``, a line each."""

ESCAPES = {"%0A": "\n", "%0D": "\r", "%3A": ":", "%2C": ",", "%25": "%"}


def unescaped(text: str) -> str:
    return re.sub("%(?:0A|0D|3A|2C|25)", lambda found: ESCAPES[found.group()], text)


def commands(report) -> list[tuple[str, dict[str, str], str]]:
    found = []
    for line in render(report).split("\n")[:-1]:
        match = COMMAND.match(line)
        assert match, line
        properties = dict(item.split("=", 1) for item in match["properties"].split(","))
        assert set(properties) <= {"file", "line", "endLine", "col", "endColumn", "title"}
        found.append((match["level"], {k: unescaped(v) for k, v in properties.items()}, unescaped(match["message"])))
    return found


@pytest.mark.parametrize(
    ("kind", "levels"),
    [
        ("green", []),
        ("violated", [("error", "txweave: taken_once")]),
        ("open", [("warning", "txweave: taken_once")]),
        ("wrong", [("error", "txweave S101")]),
        ("unreadable", [("error", "txweave S101")]),
        ("broken", [("error", "txweave: taken_once")]),
        ("crashed", [("error", "txweave: self-check")]),
        ("empty", [("error", "txweave: properties")]),
    ],
)
def test_each_outcome(kind: str, levels: list[tuple[str, str]]) -> None:
    assert [(level, where["title"]) for level, where, _ in commands(samples.KINDS[kind])] == levels


def test_a_violation_at_its_line_with_its_steps() -> None:
    ((_, where, message),) = commands(samples.VIOLATED)
    assert (where["file"], where["line"], where["col"]) == (samples.MODEL, "30", "3")
    lines = message.splitlines()
    assert lines[0] == "as_written: violated, expected holds"
    assert lines[2].startswith("1. worker 1 take_job.pick: SELECT")
    assert len([line for line in lines if re.match("[0-9]+[.] ", line)]) == 7


def test_unknown_says_why() -> None:
    ((_, _, message),) = commands(samples.OPEN)
    assert message.startswith("as_written: unknown (max-states), expected holds")


def test_a_diagnostic_is_told_once_with_its_span_and_remedy() -> None:
    report = samples.report(*(samples.case(name, errors=(samples.diagnostic(),)) for name in ("one", "two")))
    ((_, where, message),) = commands(report)
    assert where == {"file": samples.MODEL, "line": "3", "endLine": "3", "col": "1", "endColumn": "6", "title": "txweave S101"}
    assert message == "there is no key 'kases'\ndid you mean 'cases'?"


def test_findings_are_notices() -> None:
    notices = [message for level, _, message in commands(samples.EVERYTHING) if level == "notice"]
    assert notices == [f"{samples.FINDING.message} (calm, as_written)"]


def test_nothing_that_a_specification_says_is_a_command() -> None:
    found = commands(samples.HOSTILE)
    assert [level for level, _, _ in found] == ["error", "error", "notice"]
    assert samples.EVIL.replace("\n", " ") not in render(samples.HOSTILE)
    assert any(samples.EVIL in message for _, _, message in found), "and all of it is told"


def test_what_lint_finds_is_a_notice_with_its_code() -> None:
    cases = [samples.case(name, samples.HOLDS, path=name, findings=(samples.LINT,)) for name in ("a.study.yaml", "b.study.yaml")]
    ((level, where, message),) = commands(samples.report(*cases))
    assert (level, where["title"], where["line"]) == ("notice", "txweave L505", "2")
    assert message == "L505: the parameter step is never read", "it is true of the file, in whatever cases"
