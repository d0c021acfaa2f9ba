"""What is imported when: libraries that take long come late, or not at all."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

SPECS = Path(__file__).resolve().parents[1] / "specs"

HEAVY = (
    "IPython",
    "anywidget",
    "hypothesis",
    "jsonschema",
    "matplotlib",
    "networkx",
    "numpy",
    "numpy.ma",
    "psycopg",
    "pytest",
    "referencing",
    "scipy",
    "sqlglot",
    "z3",
)
"""Libraries of which some command may need some."""

PROGRAM = """
import json, sys
from txweave.cli import main
try:
    main(sys.argv[1:])
    status = 0
except SystemExit as end:
    status = end.code or 0
print("\\n" + json.dumps([status, sorted(set(sys.modules) & set({heavy!r}))]))
"""


def imported(*arguments, folder):
    """The heavy modules that a command has imported at its end, and its exit status."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.replace("{heavy!r}", repr(HEAVY)), *arguments],
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
        cwd=folder,
    )
    status, modules = json.loads(done.stdout.splitlines()[-1])
    return status, set(modules)


@pytest.mark.parametrize(
    "arguments", [("--help",), ("--version",), ("check", "--help"), ("replay", "--help"), ("export", "--help")]
)
def test_help_needs_nothing(arguments, tmp_path):
    assert imported(*arguments, folder=tmp_path) == (0, set())


def test_what_a_check_needs(tmp_path):
    """SQL is read with sqlglot and wide levels are explored with numpy, and that is all."""
    arguments = ("check", str(SPECS / "two-commits.study.yaml"), "--engine", "explicit", "--no-cache", "--no-config")
    assert imported(*arguments, folder=tmp_path) == (0, {"numpy", "sqlglot"})


def test_what_is_wrong_is_told_by_the_validator(tmp_path):
    (tmp_path / "wrong.model.yaml").write_text("model: wrong\nno_such_key: 1\n", encoding="utf-8")
    status, modules = imported("check", "wrong.model.yaml", "--no-config", folder=tmp_path)
    assert status == 2
    assert "jsonschema" in modules
