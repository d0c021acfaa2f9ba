"""Somebody else's repository: what ``txweave init`` and the hook's definition give it, run as written, from green to red to green.

Only the installation is left out: ``txweave`` on the path is the one that is tested.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from junitparser import JUnitXml

ROOT = Path(__file__).parents[1]


class Repository:
    """A new git repository with a path on which ``txweave`` is found."""

    def __init__(self, folder: Path) -> None:
        self.top = folder / "repository"
        self.summary = folder / "summary.md"
        self.top.mkdir()
        (folder / "bin").mkdir()
        command = folder / "bin" / "txweave"
        command.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m txweave "$@"\n')
        command.chmod(0o755)
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("TXWEAVE_", "GITHUB_", "GIT_"))}
        who = {f"GIT_{role}_{key}": "a@b" for role in ("AUTHOR", "COMMITTER") for key in ("NAME", "EMAIL")}
        path = f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
        source = os.pathsep.join(filter(None, (str(ROOT / "model"), os.environ.get("PYTHONPATH"))))
        self.environment = {**kept, **who, "PATH": path, "PYTHONPATH": source, "GIT_CONFIG_GLOBAL": os.devnull}

    def shell(self, script: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """A script as a CI service runs it."""
        return subprocess.run(
            ["bash", "-e", "-o", "pipefail", "-c", script],
            cwd=self.top,
            env={**self.environment, **environment},
            capture_output=True,
            text=True,
            timeout=300,
        )

    def must(self, script: str) -> str:
        done = self.shell(script)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def edit(self, name: str, old: str, new: str) -> None:
        file = self.top / "specs" / name
        assert old in file.read_text()
        file.write_text(file.read_text().replace(old, new))

    def commit(self) -> subprocess.CompletedProcess[str]:
        return self.shell("git add -A && git commit -m change")

    def workflow(self) -> subprocess.CompletedProcess[str]:
        """The commands of the workflow, the installation apart, with a summary as GitHub Actions offers one."""
        steps = yaml.safe_load((self.top / ".github" / "workflows" / "txweave.yml").read_text())["jobs"]["check"]["steps"]
        (script,) = [step["run"] for step in steps if "run" in step and "pip install" not in step["run"]]
        self.summary.write_text("")
        return self.shell(script, GITHUB_ACTIONS="true", GITHUB_STEP_SUMMARY=str(self.summary))

    def action(self) -> subprocess.CompletedProcess[str]:
        """The last step of the composite action with its defaults."""
        action = yaml.safe_load((ROOT / "action.yml").read_text())
        step = action["runs"]["steps"][-1]
        assert step["env"] == {"PATHS": "${{ inputs.paths }}", "ARGUMENTS": "${{ inputs.arguments }}"}
        inputs = {name: str(item["default"]) for name, item in action["inputs"].items()}
        return self.shell(step["run"], PATHS=inputs["paths"], ARGUMENTS=inputs["arguments"], GITHUB_STEP_SUMMARY=str(self.summary))


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    made = Repository(tmp_path)
    made.must("git init -q")
    made.must("txweave init")
    (hook,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    assert hook["pass_filenames"] is False
    file = made.top / ".git" / "hooks" / "pre-commit"
    file.write_text(f"#!/bin/sh\nexec {hook['entry']} {shlex.join(hook['args'])}\n")
    file.chmod(0o755)
    return made


def test_from_green_to_red_to_green(repository: Repository) -> None:
    first = repository.commit()
    assert first.returncode == 0, first.stdout + first.stderr
    assert ".txweave-cache" not in repository.must("git ls-files")
    green = repository.workflow()
    assert green.returncode == 0, green.stdout + green.stderr
    assert "::error" not in green.stderr
    assert "all as expected" in repository.summary.read_text()

    # Somebody forgets that the index is unique.
    repository.edit("one-per-seat.fix.yaml", "CREATE UNIQUE INDEX", "CREATE INDEX")
    refused = repository.commit()
    assert refused.returncode == 1, refused.stdout + refused.stderr
    assert "no_double_booking" in refused.stdout + refused.stderr
    assert repository.must("git rev-list --count HEAD").strip() == "1"
    repository.must("git add -A && git commit --no-verify -m 'past the hook'")
    red = repository.workflow()
    assert red.returncode == 1
    assert "::error file=specs/seats.model.yaml,line=" in red.stderr
    assert "sequenceDiagram" in repository.summary.read_text()
    (run,) = json.loads((repository.top / "txweave.sarif").read_text())["runs"]
    assert run["results"]
    found = JUnitXml.fromfile(str(repository.top / "txweave.xml"))
    assert (found.failures, found.errors) == (1, 0)
    worse = repository.shell("txweave diff --git HEAD~1 HEAD")
    assert worse.returncode == 1, worse.stdout + worse.stderr
    assert "with_index.no_double_booking: holds" in worse.stdout

    repository.edit("one-per-seat.fix.yaml", "CREATE INDEX", "CREATE UNIQUE INDEX")
    mended = repository.commit()
    assert mended.returncode == 0, mended.stdout + mended.stderr
    again = repository.workflow()
    assert again.returncode == 0, again.stdout + again.stderr
    assert "cached" in again.stdout, "what was checked before costs nothing"
    assert repository.action().returncode == 0


def test_a_spec_that_cannot_be_read_is_red_as_well(repository: Repository) -> None:
    repository.edit("seats.model.yaml", "INTO booking (seat)", "INTO boking (seat)")
    refused = repository.commit()
    assert refused.returncode == 1, "git's own status, whatever the hook's is"
    assert "boking" in refused.stdout + refused.stderr
    wrong = repository.workflow()
    assert wrong.returncode == 2
    assert "::error file=specs/seats.model.yaml,line=" in wrong.stderr
    assert repository.action().returncode == 2
    repository.edit("seats.model.yaml", "INTO boking (seat)", "INTO booking (seat)")
    assert repository.commit().returncode == 0


def test_the_job_of_gitlab(tmp_path: Path) -> None:
    repository = Repository(tmp_path)
    repository.must("git init -q && txweave init --ci gitlab")
    lines = yaml.safe_load((repository.top / ".gitlab-ci.yml").read_text())["txweave"]["script"]
    (script,) = [line for line in lines if "pip install" not in line]
    assert repository.shell(script).returncode == 0
    repository.edit("one-per-seat.fix.yaml", "CREATE UNIQUE INDEX", "CREATE INDEX")
    assert repository.shell(script).returncode == 1
    repository.edit("one-per-seat.fix.yaml", "CREATE INDEX", "CREATE UNIQUE INDEX")
    assert repository.shell(script).returncode == 0
