"""Known violations: accepted up to a day and for a reason, in every format, and nothing else is."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from pathlib import Path

import jsonschema
import pytest
from click.testing import CliRunner, Result
from junitparser import JUnitXml

import report_samples as samples
from txweave import check as checking
from txweave.check import Options, compare, run_case
from txweave.cli import cli
from txweave.collect import Choice, collect
from txweave.report import json as report_json
from txweave.report.formats import FORMATS
from txweave.report.story import Place
from txweave.results import CaseResult, Exit, Expected, Known, PropertyResult, Relation
from txweave.run import not_run
from txweave.spec.load import load_model
from txweave.verdict import Status, Verdict

SPEC = """\
model: door
schema: |
  CREATE TABLE door (id INTEGER PRIMARY KEY, open BOOLEAN NOT NULL);
domains:
  door.id: [1]
data: |
  INSERT INTO door (id, open) VALUES (1, false);
procedures:
  opening:
    steps:
      - open: {sql: UPDATE door SET open = true WHERE id = 1}
      - finish: commit
scenarios:
  one: {processes: {opener: {run: opening}}}
properties:
  shut: {never: SELECT id FROM door WHERE open}
expect:
  shut: {violated: 2, known: {until: "2027-03-01", reason: "fixed by locks: #12"}}
"""
LAST = date(2027, 3, 1)


def checked(folder: Path, content: str = SPEC, **more) -> CaseResult:
    path = folder / "door.model.yaml"
    path.write_text(content)
    (one,) = collect([str(path)], Choice()).cases
    return run_case(one, Options(**{"engine": "explicit", "today": LAST, **more}))


def only(result: CaseResult) -> PropertyResult:
    (found,) = result.properties
    return found


def test_it_is_accepted_up_to_its_last_day_and_not_after(tmp_path: Path) -> None:
    before = only(checked(tmp_path, today=date(2027, 2, 20)))
    assert before.relation is Relation.AS_EXPECTED
    assert before.known == Known(LAST, "fixed by locks: #12", 9)
    assert only(checked(tmp_path)).known == Known(LAST, "fixed by locks: #12", 0)
    late = checked(tmp_path, today=date(2027, 3, 2))
    assert late.exit is Exit.DIFFERS
    assert only(late).known is None
    assert only(late).difference == "violated, and accepted only until 2027-03-01: fixed by locks: #12"


def test_another_length_is_another_violation(tmp_path: Path) -> None:
    found = only(checked(tmp_path, SPEC.replace("violated: 2", "violated: 3")))
    assert (found.relation, found.known) == (Relation.DIFFERS, None)
    assert "not what is known (fixed by locks: #12)" in found.difference


def test_a_violation_that_is_gone_is_told(tmp_path: Path) -> None:
    found = only(checked(tmp_path, SPEC.replace("SET open = true", "SET open = false")))
    assert (found.relation, found.known) == (Relation.DIFFERS, None)
    assert found.difference.startswith("holds, expected violated (2)")
    assert "take known out" in found.difference


def test_unknown_is_not_known(tmp_path: Path) -> None:
    result = checked(tmp_path, max_states=1)
    assert only(result).status is Status.UNKNOWN
    assert (result.exit, only(result).known) == (Exit.INCONCLUSIVE, None)
    (one,) = collect([str(tmp_path / "door.model.yaml")], Choice()).cases
    assert only(not_run(one, Options(today=LAST), "interrupted")).known is None


@pytest.mark.parametrize("left", [5, 0, -1])
@pytest.mark.parametrize("status", [Status.HOLDS, Status.PROVED, Status.UNKNOWN])
def test_nothing_but_a_violation_is_accepted(status: Status, left: int) -> None:
    expected = Expected("violated", known=Known(LAST, "why", left))
    assert compare(Verdict("p", status, "explicit"), expected)[0] is not Relation.AS_EXPECTED


def test_it_is_read_back(tmp_path: Path) -> None:
    from txweave.spec.render import render_model

    path = tmp_path / "door.model.yaml"
    path.write_text(SPEC)
    model = load_model(path)
    path.write_text(render_model(model))
    known = load_model(path).expect["shut"].known
    assert known == model.expect["shut"].known
    assert known is not None
    assert known.until == LAST


# --------------------------------------------------------------------------------------------------------------- formats

KNOWN = samples.prop(
    "taken_once",
    Status.VIOLATED,
    Relation.AS_EXPECTED,
    Expected("violated", (7,), True, Place(samples.STUDY, 7, 9), Known(LAST, "fixed by locks", 9)),
)
UNKNOWN = samples.prop("taken_once", Status.UNKNOWN, Relation.INCONCLUSIVE, KNOWN.expected)
REPORT = samples.report(samples.case("as_written", KNOWN, samples.HOLDS))
OPEN = samples.report(samples.case("as_written", UNKNOWN, samples.HOLDS))


@pytest.mark.parametrize("name", [name for name in FORMATS if name != "itf"])
def test_every_format_says_until_when_and_why(name: str) -> None:
    text = str(FORMATS[name].render(REPORT))
    assert "2027" in text
    assert "fixed by locks" in text
    assert "days left" not in text, "without timing the output is the same on another day"


def test_days_left() -> None:
    timed = replace(REPORT, style=replace(REPORT.style, timing=True))
    for name in ("text", "markdown", "github"):
        assert "9 days left" in str(FORMATS[name].render(timed)).replace("\\", "")
    assert Known(LAST, "why", 0).text(days=True) == "known until 2027-03-01 (its last day): why"
    assert Known(LAST, "why", 1).text(days=True) == "known until 2027-03-01 (1 day left): why"


def test_text_and_markdown_count_them() -> None:
    assert "all as expected, 1 known violation" in str(FORMATS["text"].render(REPORT))
    assert "all as expected, 1 known violation" in str(FORMATS["markdown"].render(REPORT))
    for name in ("text", "markdown", "junit"):
        assert "known violation" not in str(FORMATS[name].render(OPEN))


@pytest.mark.parametrize(("report", "known"), [(REPORT, True), (OPEN, False)])
def test_json(report, known: bool) -> None:
    document = json.loads(str(FORMATS["json"].render(replace(report, style=replace(report.style, timing=True)))))
    jsonschema.validate(document, report_json.schema())
    found = document["cases"][0]["properties"][0]
    assert found["known"] is known
    assert found["expected"]["known"] == {"until": "2027-03-01", "reason": "fixed by locks", "days_left": 9}


def test_sarif_suppresses_it_and_nothing_unknown() -> None:
    (found,) = json.loads(str(FORMATS["sarif"].render(REPORT)))["runs"][0]["results"]
    schema = json.loads((Path(__file__).parent / "fixtures" / "sarif" / "sarif-schema-2.1.0.json").read_text())
    jsonschema.validate(json.loads(str(FORMATS["sarif"].render(REPORT))), schema)
    assert found["level"] == "note"
    (suppression,) = found["suppressions"]
    assert (suppression["kind"], suppression["status"]) == ("inSource", "accepted")
    assert suppression["justification"] == "known until 2027-03-01: fixed by locks"
    assert suppression["location"]["physicalLocation"]["region"]["startLine"] == 7
    (unknown,) = json.loads(str(FORMATS["sarif"].render(OPEN)))["runs"][0]["results"]
    assert unknown["level"] == "warning"
    assert "suppressions" not in unknown
    assert unknown["partialFingerprints"] == found["partialFingerprints"]


def test_junit_and_github() -> None:
    tests = [test for suite in JUnitXml.fromstring(str(FORMATS["junit"].render(REPORT)).encode()) for test in suite]
    assert [test.is_passed for test in tests] == [True, True]
    assert "known until 2027-03-01: fixed by locks" in (tests[0].system_out or "")
    assert str(FORMATS["github"].render(REPORT)).startswith("::notice ")
    assert str(FORMATS["github"].render(OPEN)).startswith("::warning ")


# ----------------------------------------------------------------------------------------------------------- the command


def run(folder: Path, monkeypatch: pytest.MonkeyPatch, today: date) -> Result:
    class Clock(checking.datetime):
        @classmethod
        def now(cls, tz=None):
            return cls(today.year, today.month, today.day, tzinfo=tz)

    monkeypatch.setattr(checking, "datetime", Clock)
    (folder / "door.model.yaml").write_text(SPEC)
    return CliRunner().invoke(cli, ["check", str(folder), "--engine", "explicit"])


def test_the_command_takes_the_clocks_day(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = run(tmp_path, monkeypatch, LAST)
    assert before.exit_code == 0, before.output
    assert "its last day" in before.output
    late = run(tmp_path, monkeypatch, date(2027, 3, 2))
    assert late.exit_code == 1
    assert "accepted only until 2027-03-01: fixed by locks: #12" in " ".join(late.output.split())
