"""The tutorial, done: its files written, its edits made, its commands run, and every line of output that it prints compared."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from txweave.cli import cli

ROOT = Path(__file__).parents[2]
TUTORIAL = ROOT / "docs" / "tutorial.md"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Run:
    """A command of the tutorial, what it printed, and the lines that the tutorial shows."""

    command: str
    result: Result
    shown: tuple[str, ...]


def edited(text: str, diff: list[str]) -> str:
    """A file with the lines after ``-`` replaced by those after ``+``; each old line stands in it once."""
    lines = text.split("\n")
    place: int | None = None
    for line in diff:
        mark, words = line[0], line[1:]
        if mark == "-":
            assert lines.count(words) == 1, words
            place = lines.index(words)
            del lines[place]
        else:
            assert mark == "+", line
            assert place is not None, line
            lines.insert(place, words)
            place += 1
    return "\n".join(lines)


def do(text: str) -> list[Run]:
    """Do everything, in the working directory."""
    runs = []
    for language, block in BLOCK.findall(text):
        first, *rest = block.replace("\\\n", "").splitlines()
        if language == "yaml":
            Path(first.removeprefix("# ")).write_text(block)
        elif language == "diff":
            file = Path(first.removeprefix("# "))
            file.write_text(edited(file.read_text(), rest))
        else:
            assert language == "console", language
            program, *arguments = shlex.split(first.removeprefix("$ "))
            assert program == "txweave"
            runs.append(Run(first, CliRunner().invoke(cli, arguments), tuple(rest)))
    return runs


def words(line: str) -> str:
    """Columns are padded to what else stands in them, and rules to the width of the terminal."""
    return " ".join(line.replace("─", " ").split())


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Run]:
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("tutorial")
        (folder / "specs").symlink_to(ROOT / "specs")
        patch.chdir(folder)
        return do(TUTORIAL.read_text())


def test_red_green_red(runs: list[Run]) -> None:
    bug, slip, guard, guard_or_age, shorter, repaired = [run.result for run in runs]
    assert [run.result.exit_code for run in runs] == [1, 2, 1, 0, 1, 0]
    table = re.compile(r"(P\d)_\w+ +(violated \([\d, ]+\)|holds) ")
    assert table.findall(bug.output) == [("P1", "violated (14)"), ("P2", "holds")]
    assert table.findall(guard.output) == [("P1", "holds"), ("P2", "violated (5, 5)")]
    assert table.findall(guard_or_age.output) == [("P1", "holds"), ("P2", "holds")]
    assert table.findall(shorter.output) == [("P1", "violated (16)"), ("P2", "holds")]
    assert "did you mean 'backfill_dag_run'?" in slip.output
    assert "violated" not in slip.output
    assert "⚡ crashes" in guard.output
    assert "for ever" in guard.output
    assert shorter.output.count("◷ 120 s pass") == 2
    assert "✓ flush" in repaired.output


def test_every_line_that_is_shown_is_printed(runs: list[Run]) -> None:
    for run in runs:
        printed = [words(line) for line in run.result.output.splitlines()]
        place = 0
        skipping = True
        for line in run.shown:
            if line == "…":
                skipping = True
                continue
            found = printed.index(words(line), place) if words(line) in printed[place:] else None
            assert found is not None, f"{run.command}\nprints no line\n{line}\nafter\n{printed[place - 1]}\n\n{run.result.output}"
            assert skipping or found == place, f"{run.command}\nprints more before\n{line}"
            place, skipping = found + 1, False


def test_the_statuses_that_are_named(runs: list[Run]) -> None:
    """The text after each block that names an exit status names the right one."""
    parts = re.split(r"^```console\n.*?^```$", TUTORIAL.read_text(), flags=re.MULTILINE | re.DOTALL)[1:]
    named = [re.search(r"exit status(?: is)? (\d)", part) for part in parts]
    assert [int(match[1]) if match else None for match in named] == [1, 2, 1, 0, None, None]
    for run, match in zip(runs, named, strict=True):
        assert match is None or int(match[1]) == run.result.exit_code


def test_an_edit_that_does_not_fit_is_noticed() -> None:
    assert edited("a\nb\nc", ["-b", "+x", "+y"]) == "a\nx\ny\nc"
    with pytest.raises(AssertionError):
        edited("a\nb", ["-c", "+d"])
