"""The table of evidence names only what there is, and all that finds a planted rule."""

from __future__ import annotations

import re
from pathlib import Path

import test_planted
import test_published
import test_slowed

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "evidence.md").read_text(encoding="utf-8")
REGRESSIONS = {path.stem for path in (ROOT / "tests" / "replay" / "regressions").glob("*.yaml")}
SLOWED = {*test_slowed.INSIDE, *test_slowed.LEAVES, *test_slowed.BEYOND}


def section(title: str) -> list[list[str]]:
    """The rows of the tables in a section, without their heads."""
    text = TEXT.partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("|")]
    assert rows, title
    return [row for row in rows if not set(row[0]) <= {"-"}][1:]


def test_the_tests_exist() -> None:
    for name, function in re.findall(r"`(?:tests/)?(?:\w+/)*(test_\w+\.py)::(\w+)`", TEXT):
        (path,) = (ROOT / "tests").rglob(name)
        assert f"def {function}(" in path.read_text(encoding="utf-8"), f"{name}::{function}"
    for path in re.findall(r"tests/[\w/]+\.py|specs/[\w./-]+\.yaml", TEXT):
        assert (ROOT / path).is_file(), path


def test_what_judges_a_rule_on_the_server_exists() -> None:
    for rule, _, server in section("Rules"):
        head, _, slowed = server.partition("slowed ")
        assert set(re.findall(r"`([\w-]+)`", head)) <= REGRESSIONS, rule
        assert set(re.findall(r"`([\w-]+)`", slowed)) <= SLOWED, rule


def test_every_published_script_is_listed_with_its_answer() -> None:
    listed = {study.strip("`"): answer for _, study, answer, *_ in section("Published scripts")}
    assert listed == {name: script.answer for name, script in test_published.SCRIPTS.items()}


def test_every_planted_rule_is_listed_with_what_finds_it() -> None:
    listed = [tuple(sorted(re.findall(r"`([^`]+)`", " ".join(finders)))) for _, *finders in section("Planted wrong rules")]
    plants = list(dict.fromkeys(plant for plant, *_ in (*test_planted.BY_SCRIPT, *test_planted.BY_REGRESSION)))
    expected = []
    for plant in plants:
        scripts = [word for p, name, step in test_planted.BY_SCRIPT if p is plant for word in (name, step)]
        others = [name for p, name in (*test_planted.BY_REGRESSION, *test_planted.BY_WALK) if p is plant]
        expected.append(tuple(sorted((*scripts, *others))))
    assert sorted(listed) == sorted(expected)


def test_the_numbers_of_slowed_statements() -> None:
    explained, unknown, beyond = len(test_slowed.INSIDE), len(test_slowed.LEAVES), len(test_slowed.BEYOND)
    assert f"{explained} explained, {unknown} where the model may say that it does not know, {beyond} by a pause" in TEXT
