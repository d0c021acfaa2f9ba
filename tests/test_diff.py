"""``txweave diff``: what got worse is said and is the exit status; unknown is never unchanged."""

from __future__ import annotations

import json
import subprocess
from copy import deepcopy
from pathlib import Path

import jsonschema
import pytest
from click.testing import CliRunner, Result
from markdown_it import MarkdownIt

import report_samples as samples
from test_known import SPEC as DOOR
from txweave.cli import cli
from txweave.diff import Tendency, UnreadableError, diff, read
from txweave.report import diff as report
from txweave.report.json import document, schema
from txweave.results import Relation
from txweave.verdict import Status

SPEC = DOOR[: DOOR.index("expect:")] + "expect: {shut: {violated: 2}}\n"
MENDED = SPEC.replace("open = true", "open = false").replace("expect: {shut: {violated: 2}}", "expect: {shut: holds}")


def result(status: Status, relation: Relation = Relation.AS_EXPECTED, **more) -> dict:
    return document([samples.case("a", samples.prop("all_taken", status, relation), **more)], timing=False)


NOTHING = document([samples.case("a", samples.prop("other", Status.HOLDS, Relation.AS_EXPECTED))], timing=False)


def tendency(old: dict, new: dict, name: str = "all_taken") -> Tendency | None:
    return next((c.tendency for c in diff(old, new).changes if c.name == name), None)


@pytest.mark.parametrize(
    ("old", "new", "expected", "status"),
    [
        (Status.HOLDS, Status.HOLDS, None, 0),
        (Status.VIOLATED, Status.VIOLATED, None, 0),
        (Status.HOLDS, Status.VIOLATED, Tendency.WORSE, 1),
        (Status.PROVED, Status.VIOLATED, Tendency.WORSE, 1),
        (Status.HOLDS, Status.UNKNOWN, Tendency.WORSE, 1),
        (Status.VIOLATED, Status.UNKNOWN, Tendency.WORSE, 1),
        (Status.UNKNOWN, Status.VIOLATED, Tendency.WORSE, 1),
        (Status.UNKNOWN, Status.UNKNOWN, Tendency.OPEN, 3),
        (Status.UNKNOWN, Status.HOLDS, Tendency.BETTER, 0),
        (Status.VIOLATED, Status.HOLDS, Tendency.BETTER, 0),
        (Status.PROVED, Status.HOLDS, Tendency.CHANGED, 0),
    ],
)
def test_tendencies(old: Status, new: Status, expected: Tendency | None, status: int) -> None:
    found = diff(result(old), result(new))
    assert tendency(result(old), result(new)) is expected
    assert found.exit == status
    assert found.same == (expected is None)


def test_what_came_and_what_is_gone() -> None:
    assert tendency(NOTHING, result(Status.HOLDS)) is Tendency.CHANGED
    assert tendency(NOTHING, result(Status.UNKNOWN)) is Tendency.OPEN
    assert tendency(result(Status.HOLDS), NOTHING) is Tendency.WORSE, "what held is no longer checked"
    assert tendency(result(Status.VIOLATED), NOTHING) is Tendency.CHANGED
    empty = {**NOTHING, "cases": []}
    (case,) = diff(empty, NOTHING).cases
    assert case.there == (False, True)
    with pytest.raises(UnreadableError, match="nothing to compare"):
        diff(empty, empty)


def test_a_self_check_that_failed_is_unknown() -> None:
    assert tendency(result(Status.HOLDS), result(Status.HOLDS, Relation.FAILED)) is Tendency.WORSE


def test_another_length_or_expectation_is_a_change() -> None:
    old = result(Status.VIOLATED)
    new = deepcopy(old)
    new["cases"][0]["properties"][0]["length"] = [3, 1]
    assert tendency(old, new) is Tendency.CHANGED
    new = deepcopy(old)
    new["cases"][0]["properties"][0]["expected"]["verdict"] = "proved"
    assert tendency(old, new) is Tendency.CHANGED


def test_steps_and_states() -> None:
    old, new = result(Status.HOLDS, steps=("a.b", "a.c")), result(Status.HOLDS, steps=("a.c", "a.d"), explorations=())
    (case,) = diff(old, new).cases
    assert (case.added, case.gone, case.states) == (("a.d",), ("a.b",), (30, None))
    del old["cases"][0]["steps"]
    (case,) = diff(old, new).cases
    assert (case.added, case.gone) == ((), ()), "an older document does not say its steps"


@pytest.mark.parametrize("report", [samples.WRONG, samples.UNREADABLE, samples.CRASHED], ids=["wrong", "unreadable", "crashed"])
def test_nothing_is_known_of_a_side_with_errors(report) -> None:
    broken = document(report.results, report.errors, timing=False)
    for sides in ((broken, NOTHING), (NOTHING, broken)):
        with pytest.raises(UnreadableError, match="has errors"):
            diff(*sides)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"kind": "check"}', "[" * 100_000, '{"kind": "repair", "schema_version": 1}'])
def test_what_is_no_result_is_refused(text: str) -> None:
    with pytest.raises(UnreadableError):
        read(text)


def test_unknown_keys_are_passed_over() -> None:
    found = read(json.dumps({**NOTHING, "later": 1}))
    assert diff(NOTHING, found).same == 1


def test_json_and_markdown() -> None:
    old, new = result(Status.HOLDS, steps=("a.b",)), result(Status.VIOLATED, steps=("a.c",))
    found = diff(old, new)
    jsonschema.Draft7Validator.check_schema(schema("diff"))
    jsonschema.validate(report.document(found), schema("diff"))
    jsonschema.validate(report.document(diff(NOTHING, new)), schema("diff"))
    tokens = MarkdownIt("gfm-like", {"linkify": False}).parse(report.markdown(found))
    assert [t.tag for t in tokens if t.type in {"heading_open", "table_open", "bullet_list_open"}] == ["h2", "table", "ul"]
    assert "1 worse" in report.markdown(found)


# ----------------------------------------------------------------------------------------------------------- the command


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli, ["diff", *map(str, arguments), *(["--engine", "explicit"])])


@pytest.fixture
def sides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for side, content in (("old", MENDED), ("new", SPEC)):
        (tmp_path / side).mkdir()
        (tmp_path / side / "door.model.yaml").write_text(content)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_directories_and_results(sides: Path) -> None:
    worse = run("old", "new")
    assert worse.exit_code == 1, worse.output
    assert "door.model.yaml  one.shut: holds → violated (2), as expected, before expected holds" in worse.output
    assert run("new", "old").exit_code == 0
    assert run("old", "old").output == "1 the same\n"
    made = CliRunner().invoke(cli, ["check", "old/door.model.yaml", "--engine", "explicit", "--format", "json=old.json"])
    assert made.exit_code == 0
    assert run("old.json", "old/door.model.yaml").exit_code == 0
    assert run("old.json", "nowhere.json").exit_code == 2
    assert run("old", "nowhere").exit_code == 2
    assert run("old", "new", "specs").exit_code == 2


def test_limits_are_not_the_same(sides: Path) -> None:
    assert run("new", "new", "--max-states", "1").exit_code == 3


def test_revisions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def git(*arguments: str) -> None:
        subprocess.run(
            ["git", "-c", "user.name=a", "-c", "user.email=a@b", *arguments], cwd=tmp_path, check=True, capture_output=True
        )

    git("init", "-q")
    spec = tmp_path / "sub" / "specs" / "door.model.yaml"
    spec.parent.mkdir(parents=True)
    (tmp_path / "readme").write_text("x")
    git("add", ".")
    git("commit", "-qm", "empty")
    spec.write_text(MENDED)
    git("add", ".")
    git("commit", "-qm", "mended")
    spec.write_text(SPEC)
    git("commit", "-qam", "broken")
    spec.write_text("what is not committed plays no part")
    monkeypatch.chdir(tmp_path / "sub")
    before = sorted(tmp_path.rglob("*"))
    worse = run("--git", "HEAD~1", "HEAD", "--format", "markdown")
    assert worse.exit_code == 1, worse.output
    assert "holds" in worse.output
    assert "`specs/door.model.yaml`" in worse.output
    assert run("--git", "HEAD", "HEAD~1", "specs").exit_code == 0
    new = run("--git", "HEAD~2", "HEAD~1")
    assert new.exit_code == 0
    assert "HEAD~2 has no specs" in new.output
    assert "one: added" in new.output
    assert run("--git", "HEAD~9", "HEAD").exit_code == 2
    assert run("--git", "--", "--output=x", "HEAD").exit_code == 2
    assert sorted(tmp_path.rglob("*")) == before, "the repository is left alone"
