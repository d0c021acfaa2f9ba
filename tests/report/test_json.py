from __future__ import annotations

import json as standard
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import jsonschema
import pytest
from click.testing import CliRunner

import job_tables as jobs
from txweave.cli import cli
from txweave.repair import Fate
from txweave.report import json
from txweave.report.story import Place, tell
from txweave.results import Answer, CaseResult, Expected, Exploration, Finding, PropertyResult, Relation
from txweave.spec.diagnostics import Diagnostic
from txweave.spec.text import Text
from txweave.verdict import Status
from txweave.view import Viewer

COMMANDS = ("check", "repair", "compare")
FOLDER = Path(__file__).parents[2] / "specs" / "lost-update"
MODEL = str(FOLDER / "lost-update.model.yaml")
ARGUMENTS = {
    "check": (str(FOLDER / "lost-update.study.yaml"), "--engine", "explicit"),
    "repair": (MODEL, "--fixes", str(FOLDER), "--require", "every_sale_counts,every_sale_ends"),
    "compare": (MODEL, "--with", str(FOLDER / "for-update.fix.yaml"), "--with", str(FOLDER / "compare-and-set.fix.yaml")),
}


@cache
def printed(command: str, *arguments: str) -> json.Json:
    output = CliRunner().invoke(cli, [command, *ARGUMENTS[command], "--format", "json", *arguments]).stdout
    found: json.Json = standard.loads(output)
    return found


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


@pytest.mark.parametrize("command", COMMANDS)
def test_every_object_of_the_schema_is_closed_and_described(command: str) -> None:
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

    walk(json.schema(command))


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


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("arguments", [(), ("--no-timing",)], ids=["timed", "untimed"])
def test_what_a_command_prints_follows_its_schema(command: str, arguments: tuple[str, ...]) -> None:
    schema = json.schema(command)
    jsonschema.Draft7Validator.check_schema(schema)
    document = printed(command, *arguments)
    assert document["kind"] == command
    jsonschema.validate(document, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**document, "schema_version": 2}, schema)
    for key in document:
        if key != "environment":
            with pytest.raises(jsonschema.ValidationError, match="is a required property"):
                jsonschema.validate({name: value for name, value in document.items() if name != key}, schema)


@pytest.mark.parametrize("command", COMMANDS)
def test_no_key_of_a_schema_is_made_up(command: str) -> None:
    """Every object that the schema of a command describes itself is printed by one of two runs, with every key that it may have."""
    schema = json.schema(command)
    undecided = ("--max-states", "3") if command != "compare" else ()
    seen: set[int] = set()

    def walk(node: json.Json, value: object) -> None:
        if "$ref" in node or value is None:
            return
        for kind in node.get("anyOf", ()):
            walk(kind, value)
        if isinstance(value, list) and node.get("type") == "array":
            for item in value:
                walk(node["items"], item)
        if isinstance(value, dict) and node.get("type") == "object":
            if node.get("properties", {}).keys() == value.keys():
                seen.add(id(node))
            for key, item in value.items():
                walk(node.get("properties", {}).get(key, node["additionalProperties"]), item)

    def objects(node: object) -> Iterator[json.Json]:
        if isinstance(node, dict):
            if node.get("type") == "object" and "properties" in node:
                yield node
            for key, item in node.items():
                if key != "definitions":
                    yield from objects(item)
        elif isinstance(node, list):
            for item in node:
                yield from objects(item)

    walk(schema, printed(command))
    walk(schema, printed(command, *undecided))
    if command == "check":
        walk(schema, json.document([], [("b.model.yaml", ())]))
    assert [node.get("description") for node in objects(schema) if id(node) not in seen] == []


def test_fates_are_those_of_the_schema_and_some_are_printed() -> None:
    fates = json.schema("repair")["properties"]["sets"]["items"]["properties"]["fate"]["enum"]
    assert set(fates) == {fate.value for fate in Fate}
    assert {"good", "rejected", "superset of a good set"} <= {item["fate"] for item in printed("repair")["sets"]}
