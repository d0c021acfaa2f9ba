"""``check --watch``: it checks again when a file that matters changes, and ends with Ctrl-C."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from test_cache import FIX, STUDY
from test_diff import SPEC
from txweave.cli.watch import snapshot, watch
from txweave.collect import Choice


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "specs").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "door.model.yaml").write_text(SPEC)
    (tmp_path / "specs" / "doors.study.yaml").write_text(STUDY.replace("door.model", "../elsewhere/door.model"))
    (tmp_path / "specs" / "calm.fix.yaml").write_text(FIX)
    return tmp_path


def test_each_file_that_is_read_is_watched(folder: Path) -> None:
    """Also a model outside of the directory, a study that cannot be read just now, and a fix that comes later."""
    model, study, fix = (
        folder / "elsewhere" / "door.model.yaml",
        folder / "specs" / "doors.study.yaml",
        folder / "specs" / "calm.fix.yaml",
    )
    changes = [
        lambda: model.write_text(SPEC + "# more\n"),
        lambda: study.write_text("study: ["),
        lambda: study.write_text(STUDY.replace("door.model", "../elsewhere/door.model")),
        fix.unlink,
        lambda: fix.write_text(FIX),
    ]
    statuses: list[int] = []

    def check() -> int:
        statuses.append(len(statuses))
        if len(statuses) <= len(changes):
            changes[len(statuses) - 1]()
        return statuses[-1]

    assert watch(check, ["specs"], Choice(), lambda: len(statuses) > len(changes), pause=0.01) == len(changes)


def test_nothing_is_checked_again_for_nothing(folder: Path) -> None:
    checks: list[int] = []
    other = threading.Timer(0.3, lambda: (folder / "specs" / "notes.txt").write_text("x"))
    end = threading.Timer(0.6, lambda: os.kill(os.getpid(), signal.SIGINT))
    other.start()
    end.start()
    assert watch(lambda: checks.append(1) or 7, ["specs"], Choice(), lambda: False, pause=0.01) == 7
    assert checks == [1]


def test_a_snapshot_tells_what_came_and_went(folder: Path) -> None:
    before = snapshot((), ["specs"])
    (folder / "specs" / "calm.fix.yaml").unlink()
    assert len(snapshot((), ["specs"])) == len(before) - 1


def test_the_command(folder: Path) -> None:
    study = folder / "specs" / "doors.study.yaml"
    with subprocess.Popen(
        [sys.executable, "-u", "-m", "txweave", "check", "--watch", "--engine", "explicit"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None
        lines: list[str] = []

        def until(words: str) -> None:
            deadline = time.monotonic() + 60
            while time.monotonic() < deadline:
                lines.append(process.stdout.readline())  # type: ignore[union-attr]
                if words in lines[-1]:
                    return
            raise AssertionError("".join(lines))

        until("watching 3 files")
        assert "all as expected" in "".join(lines)
        study.write_text(study.read_text().replace("violated: 2", "violated: 3"))
        until("watching 3 files")
        assert "1 not as expected" in "".join(lines)
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 1
        assert "Traceback" not in process.stdout.read()
