"""One run of a command, measured."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

LAUNCHER = Path(__file__).with_name("launcher.py")


class Failed(Exception):  # noqa: N818 - a fact for the report
    """A command gave no answer; the message says why."""


@dataclass(frozen=True)
class Run:
    """What a command used, its children included.

    ``wall`` and ``cpu`` (user and system) in seconds, ``peak``: the most memory that one process had, in MiB.  ``marked``: wall
    and CPU seconds when the marked text came, of the process alone.
    """

    output: str
    code: int
    wall: float
    cpu: float
    peak: float
    marked: tuple[float, float] | None


class Launcher:
    """Runs commands by a small process (see :mod:`bench.launcher`); a context manager."""

    def __enter__(self) -> Self:
        """Start it."""
        self._process = subprocess.Popen(  # noqa: S603 - this file's neighbour
            [sys.executable, "-I", "-S", str(LAUNCHER)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """End it, and what it is running."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait()

    def run(self, command: list[str], folder: Path, seconds: float, mark: str = "") -> Run:
        """Run a command in a folder.

        Raises:
            Failed: it did not start, or did not end in time.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        wanted = {"command": command, "folder": str(folder), "seconds": seconds, "mark": mark}
        self._process.stdin.write(json.dumps(wanted) + "\n")
        self._process.stdin.flush()
        found = json.loads(self._process.stdout.readline())
        if "error" in found:
            raise Failed(found["error"])
        if found["late"]:
            raise Failed(f"{Path(command[0]).name} did not end within {seconds:.0f} s")
        marked = found["marked"]
        return Run(
            found["output"],
            found["code"],
            found["wall"],
            found["cpu"],
            found["peak"],
            (marked["wall"], marked["cpu"]) if marked else None,
        )
