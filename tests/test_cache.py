"""Results that are kept: the same as fresh ones in everything, never where anything differs or is open."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import report_samples as samples
from test_diff import SPEC
from test_known import SPEC as KNOWN
from txweave import run as running
from txweave.cache import UNUSED, Cache, _freeze, _thaw, complete, key_of
from txweave.check import Options
from txweave.cli import cli
from txweave.collect import Choice, Selected, collect
from txweave.results import CaseResult, Exploration, Relation
from txweave.run import run_cases
from txweave.verdict import Status

EXPLICIT = Options(engine="explicit", today=date(2027, 1, 1))
STUDY = """\
study: doors
model: door.model.yaml
cases:
  a: {fixes: [calm.fix.yaml]}
  b: {expect: {shut: {violated: 2}}}
"""
FIX = "fix: calm\nchanges:\n  opening.open: {set: {sql: UPDATE door SET open = false WHERE id = 1}}\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("TXWEAVE_NO_CACHE")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "door.model.yaml").write_text(SPEC)
    (tmp_path / "doors.study.yaml").write_text(STUDY)
    (tmp_path / "calm.fix.yaml").write_text(FIX)
    return tmp_path


def cases(name: str = "doors.study.yaml") -> list[Selected]:
    return collect([name], Choice()).cases


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["check", *arguments, "--engine", "explicit"])


def forbid(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(selected: Selected, *rest: object) -> CaseResult:
        raise AssertionError(f"{selected.case.name} is explored")

    monkeypatch.setattr(running, "run_case", never)


def test_what_is_kept_is_what_was_found(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fresh = run_cases(cases(), EXPLICIT, cache=Cache())
    forbid(monkeypatch)
    kept = run_cases(cases(), EXPLICIT, cache=Cache())
    assert [r.cached for r in fresh] == [False, False]
    assert [r.cached for r in kept] == [True, True]
    assert [replace(r, seconds=0.0) for r in kept] == [replace(r.detached(), seconds=0.0) for r in fresh]
    assert kept[1].properties[0].story is not None
    assert (folder / ".txweave-cache" / ".gitignore").read_text().endswith("*\n")


@pytest.mark.parametrize("kind", [kind for kind in samples.KINDS if kind != "hostile"])
def test_every_result_survives_or_is_not_complete(kind: str) -> None:
    for result in samples.KINDS[kind].results:
        if complete(result):
            assert _thaw(CaseResult, json.loads(json.dumps(_freeze(result.detached())))) == result.detached()
        assert complete(result) == (result.exit in (0, 1)), "what is open or failed is never kept"


@pytest.mark.parametrize(
    "result",
    [
        samples.case("a", samples.prop("p", Status.UNKNOWN, Relation.AS_EXPECTED)),
        samples.case("a", samples.prop("p", Status.HOLDS, Relation.FAILED)),
        samples.case("a", samples.HOLDS, samples.UNKNOWN),
        samples.case("a", samples.HOLDS, explorations=(Exploration("explicit", 3, 3, 1, False, "max-states", 0.1),)),
        samples.case("a", samples.HOLDS, failures=("p: oops",)),
        samples.case("a", samples.HOLDS, errors=(samples.diagnostic(),)),
        samples.case("a"),
    ],
)
def test_each_thing_that_is_open_or_failed_keeps_a_result_from_being_kept(result: CaseResult) -> None:
    assert complete(samples.case("a", samples.HOLDS, samples.EXPECTED))
    assert not complete(result)


def test_what_nobody_took_for_long_is_deleted(folder: Path) -> None:
    run_cases(cases(), EXPLICIT, cache=Cache())
    used, unused = sorted((folder / ".txweave-cache").glob("*.json"))
    long_ago = time.time() - UNUSED - 1
    for path in (used, unused):
        os.utime(path, (long_ago, long_ago))
    (one,) = [c for c in cases() if used.stem == key_of(c, EXPLICIT)]
    assert [r.cached for r in run_cases([one], EXPLICIT, cache=Cache())] == [True]
    assert sorted((folder / ".txweave-cache").glob("*.json")) == [used]
    assert (folder / ".txweave-cache" / ".gitignore").exists()


def test_the_command_says_what_was_kept(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = run("doors.study.yaml", "--no-timing", "--story")
    assert first.exit_code == 0, first.output
    forbid(monkeypatch)
    assert run("doors.study.yaml", "--no-timing", "--story").output == first.output
    told = run("doors.study.yaml").output
    assert told.count("cached") == 2
    assert "2 cases from the cache" in told
    document = json.loads(run("doors.study.yaml", "--format", "json").output)
    assert [case["cached"] for case in document["cases"]] == [True, True]
    assert "explored" in run("doors.study.yaml", "--no-cache").output + str(run("doors.study.yaml", "--no-cache").exception)


@pytest.mark.parametrize(
    "change",
    [
        lambda f: (f / "door.model.yaml").write_text(SPEC.replace("false);", "true);")),
        lambda f: (f / "door.model.yaml").write_text("# the lines move\n" + SPEC),
        lambda f: (f / "calm.fix.yaml").write_text(FIX.replace("id = 1", "id = 1 AND open")),
        lambda f: (f / "doors.study.yaml").write_text(STUDY.replace("violated: 2", "violated: 3")),
    ],
    ids=["model", "places", "fix", "expectation"],
)
def test_another_specification_is_explored(folder: Path, change: Callable[[Path], object]) -> None:
    before = {key_of(s, EXPLICIT) for s in cases()}
    change(folder)
    after = {key_of(s, EXPLICIT) for s in cases()}
    assert len(before) == 2
    assert before != after


def test_other_options_versions_and_days_are_explored(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (one, _) = cases()
    keys = {
        key_of(one, replace(EXPLICIT, **change))
        for change in (
            {},
            {"engine": "both"},
            {"max_states": 5},
            {"timeout": 1.0},
            {"max_depth": 3},
            {"strict": True},
            {"properties": ("shut",)},
        )
    }
    assert len(keys) == 7
    assert key_of(one, replace(EXPLICIT, today=date(2027, 2, 1))) == key_of(one, EXPLICIT)
    (folder / "door.model.yaml").write_text(KNOWN)
    (known,) = cases("door.model.yaml")
    assert key_of(known, replace(EXPLICIT, today=date(2027, 2, 1))) != key_of(known, EXPLICIT)
    before = key_of(one, EXPLICIT)
    monkeypatch.setattr("txweave.cache._program", lambda: ("another",))
    assert key_of(one, EXPLICIT) != before


def test_unknown_is_never_kept(folder: Path) -> None:
    limited = replace(EXPLICIT, max_states=1)
    (result, _) = run_cases(cases(), limited, cache=Cache())
    assert result.exit == 3
    assert not list(folder.glob(".txweave-cache/*.json"))
    assert run_cases(cases(), EXPLICIT, stop=lambda: True, cache=Cache())[0].exit == 3
    assert not list(folder.glob(".txweave-cache/*.json"))


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"key": 1}', "[" * 100_000, "\x00", None])
def test_a_broken_entry_is_written_anew(folder: Path, text: str | None) -> None:
    run_cases(cases(), EXPLICIT, cache=Cache())
    entry = folder / ".txweave-cache" / f"{key_of(cases()[1], EXPLICIT)}.json"
    whole = entry.read_text()
    entry.write_text(text if text is not None else whole.replace('"violated"', '"holds"'))
    again = run_cases(cases(), EXPLICIT, cache=Cache())
    assert [r.cached for r in again] == [True, False]
    assert json.loads(entry.read_text())["result"][3] == "b"


def test_a_place_that_cannot_be_written_changes_nothing(folder: Path) -> None:
    (folder / ".txweave-cache").write_text("a file")
    assert [r.exit for r in run_cases(cases(), EXPLICIT, cache=Cache())] == [0, 0]
