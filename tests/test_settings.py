"""``[tool.txweave]``: defaults of the command, read strictly, and never stronger than the command line."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from test_diff import SPEC
from txweave.cli import cli
from txweave.cli.check import check
from txweave.settings import KEYS, SettingsError, defaults


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "below").mkdir()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "door.model.yaml").write_text(SPEC)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(folder: Path, *lines: str, head: str = "[tool.txweave]") -> None:
    (folder / "pyproject.toml").write_text("\n".join(["[project]", 'name = "x"', head, *lines]) + "\n")


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["check", *arguments])


def test_every_key_is_an_option_and_is_in_the_help() -> None:
    parameters = {parameter.name: parameter for parameter in check.params}
    assert {key.parameter for key in KEYS.values()} <= set(parameters)
    told = " ".join((check.help or "").split())
    for name in KEYS:
        assert name in told
    options = {option.removeprefix("--") for parameter in check.params for option in parameter.opts if option.startswith("--")}
    one_call = {"case", "property", "fix", "set", "scenario", "no-config", "watch", "certificate", "verbose"}
    assert set(KEYS) - {"paths", "jobs"} == options - one_call


def test_defaults_are_taken_and_the_command_line_wins(folder: Path) -> None:
    write(folder, 'paths = ["mine"]', 'engine = "explicit"', "max-states = 1", 'format = ["json=out.json"]')
    limited = run()
    assert limited.exit_code == 3, limited.output
    assert "unknown (max-states)" in limited.output
    assert (folder / "out.json").exists()
    assert run("--max-states", "100").exit_code == 0
    assert run("--max-states", "100", "nowhere").exit_code == 2
    assert run("mine", "--no-config", "--engine", "explicit").exit_code == 0


def test_it_is_found_upward_and_its_paths_are_beside_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(folder, 'paths = ["mine"]', 'engine = "explicit"', 'format = ["json=out.json"]')
    (folder / "below" / "pyproject.toml").write_text("[project]\nname = 'another one, without the table'\n")
    monkeypatch.chdir(folder / "below")
    found = run()
    assert found.exit_code == 0, found.output
    assert "../mine/door.model.yaml" in found.output
    assert (folder / "out.json").exists()


def test_flags_and_stories(folder: Path) -> None:
    write(folder, 'paths = ["mine"]', 'engine = "explicit"', "no-timing = true", 'story = ["*"]', "timeout = 60")
    found = run()
    assert "opener-1" in found.output or "opener" in found.output
    assert " s\n" not in found.output


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('engin = "z3"', "pyproject.toml:5: [tool.txweave] has no key 'engin': did you mean 'engine'?"),
        ('"max_states" = 3', "pyproject.toml:5: [tool.txweave] has no key 'max_states'"),
        ('jobs = "2"', "pyproject.toml:5: jobs is an integer, not '2'"),
        ("jobs = true", "pyproject.toml:5: jobs is an integer, not True"),
        ("jobs = 0", "pyproject.toml:5: 0 is not in the range x>=1"),
        ('engine = "spin"', "pyproject.toml:5: 'spin' is not one of"),
        ('paths = "mine"', "pyproject.toml:5: paths is a list of texts, not 'mine'"),
        ('format = ["jsn"]', "pyproject.toml:5: there is no format 'jsn': did you mean 'json'?"),
        ('format = ["json=nowhere/x.json"]', "pyproject.toml:5: cannot write nowhere/x.json"),
        ("strict = 1", "pyproject.toml:5: strict is true or false, not 1"),
        ('case = ["a"]', "pyproject.toml:5: [tool.txweave] has no key 'case'"),
        ("jobs = ", "pyproject.toml: it is not TOML"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(folder: Path, line: str, words: str) -> None:
    write(folder, "quiet = true", line)
    found = run("mine")
    assert found.exit_code == 2
    assert words in found.output
    assert run("mine", "--no-config", "--engine", "explicit").exit_code == 0


def test_other_forms_of_the_table(folder: Path) -> None:
    (folder / "pyproject.toml").write_text('tool.txweave.engin = "z3"\n')
    with pytest.raises(SettingsError, match=r"pyproject.toml:1: "):
        defaults()
    (folder / "pyproject.toml").write_text("[tool]\ntxweave = 3\n")
    with pytest.raises(SettingsError, match=r"pyproject.toml:2: tool.txweave is no table"):
        defaults()
    (folder / "pyproject.toml").write_bytes(b"\xff")
    with pytest.raises(SettingsError, match="not UTF-8"):
        defaults()
    (folder / "pyproject.toml").write_text("[project]\n")
    assert defaults() == []


def test_help_does_not_need_the_file(folder: Path) -> None:
    write(folder, "nonsense = 1")
    assert run("--help").exit_code == 0
