from __future__ import annotations

import json as standard

import jsonschema
import pytest

import job_tables as jobs
from txweave.report import json
from txweave.report.story import Place, tell
from txweave.results import Answer, CaseResult, Expected, Exploration, Finding, PropertyResult, Relation
from txweave.spec.diagnostics import Diagnostic
from txweave.spec.text import Text
from txweave.verdict import Status
from txweave.view import Viewer


@pytest.fixture
def result() -> CaseResult:
    trace = jobs.both_take()
    text = Text.of("violated")
    return CaseResult(
        path="a.model.yaml",
        study="",
        model="jobs",
        case="two",
        scenario="two",
        settings=(("cutoff", "5min"),),
        properties=(
            PropertyResult(
                name="taken_once",
                kind="never",
                title="",
                place=Place("a.model.yaml", 3, 4),
                status=Status.VIOLATED,
                text="violated",
                expected=Expected("holds"),
                relation=Relation.DIFFERS,
                answers=(
                    Answer("explicit", Status.VIOLATED, "violated", (7,), seconds=0.25),
                    Answer("z3", None, "not asked"),
                ),
                length=(7,),
                story=tell(trace, "taken_once", Viewer(trace.system)),
                trace=trace,
            ),
        ),
        explorations=(Exploration("explicit", 30, 48, 8, True, "", 0.5),),
        findings=(Finding("never-executed", "a.b", "a.b is never executed"),),
        errors=(Diagnostic("S101", text.span(), "wrong", "right", related=((text.span(), "here"),)),),
        seconds=1.5,
    )


def test_the_schema_is_a_schema_and_documents_follow_it(result: CaseResult) -> None:
    jsonschema.Draft7Validator.check_schema(json.schema())
    document = json.document([result], [("b.model.yaml", result.errors)])
    jsonschema.validate(document, json.schema())
    jsonschema.validate(standard.loads(json.dumps(document)), json.schema())
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**document, "surprise": 1}, json.schema())


def test_every_object_of_the_schema_is_closed_and_described() -> None:
    def walk(node: object) -> None:
        if isinstance(node, dict):
            if node.get("type") == "object":
                assert "additionalProperties" in node
                assert "description" in node or "additionalProperties" in node
            for item in node.values():
                walk(item)
        elif isinstance(node, list):
            for item in node:
                walk(item)

    walk(json.schema())


def test_steps_have_diffs_and_whole_states(result: CaseResult) -> None:
    (case,) = json.document([result])["cases"]
    story = case["properties"][0]["counterexample"]
    assert len(story["steps"]) == 7
    commit = story["steps"][4]
    assert commit["changes"] == [
        {
            "table": "job",
            "row": "job 1",
            "kind": "update",
            "columns": [{"column": "state", "before": "'new'", "after": "'taken'"}],
        }
    ]
    assert commit["diff"]["rows"] == commit["changes"]
    assert commit["state"]["tables"]["job"]["rows"] == [{"row": "job 1", "values": {"state": "'taken'"}}]
    assert commit["state"]["processes"]["worker 2"]["waits_for"] == "worker 1"
    assert story["witness"] == [{"name": "count", "value": "2"}]
    assert story["steps"][2]["sql"].endswith("WHERE id = 1")
    assert story["steps"][2]["template"].endswith("WHERE id = :job")


def test_without_timing_nothing_varies(result: CaseResult) -> None:
    text = json.dumps(json.document([result], timing=False))
    assert "seconds" not in text
    assert "environment" not in text
    jsonschema.validate(standard.loads(text), json.schema())
    assert text == json.dumps(json.document([result], timing=False))
