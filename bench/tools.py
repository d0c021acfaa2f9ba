"""The contestants: what each of them runs, and how its search alone is told from the rest."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from bench.measure import Failed, Launcher, Run
from bench.models import ROOT, Model, load
from txweave.export import promela, run, tla
from txweave.export.run import MissingTool, ToolError

TOOLS = ("txweave", "tlc", "spin", "spin-bfs", "minicheck")
LABELS = {"txweave": "txweave", "tlc": "TLC", "spin": "SPIN", "spin-bfs": "SPIN -DBFS", "minicheck": "minicheck"}

INITIAL = "@!@!@STARTMSG 2189:"
"""TLC's message that it computes the initial states (``EC.TLC_COMPUTING_INIT``): the module is read, the search begins."""

TOO_SHALLOW, DEEPEST = "max search depth too small", 10_000_000
"""What SPIN says when its stack is too small, and the largest that it is given."""


@dataclass(frozen=True)
class Result:
    """One run of one tool on one model.

    ``whole``: wall and CPU seconds from the files to the answer, everything that is started included (for SPIN its generator and
    the C compiler, for TLC the Java machine).  ``search``: those of the search alone.  ``peak``: MiB of the process that searches.
    ``transitions`` is None where the tool does not say, or says something else.
    """

    tool: str
    states: int
    transitions: int | None
    whole: tuple[float, float]
    search: tuple[float, float]
    peak: float
    more: dict[str, int] = field(default_factory=dict)


@dataclass
class Settings:
    """How tools are run: a folder for files, seconds for each run, TLC's threads, the C compiler's optimisation."""

    folder: Path
    timeout: float
    workers: int
    optimise: str
    memory: int


class Contest:
    """The tools on one model.  What they read is made beforehand, and not measured: it is as if somebody had written it."""

    def __init__(self, model: Model, launcher: Launcher, settings: Settings) -> None:
        self.model, self.launcher, self.settings = model, launcher, settings
        self.path = str(ROOT / model.path)
        self.states = 0
        """How many there are, once txweave has counted them; SPIN's hash table is made to fit."""
        self.depth = 100_000
        """Of SPIN's depth-first search: its stack takes memory whether it is used or not, so it is no larger than it must be."""
        self.folder = settings.folder / re.sub(r"\W+", "-", model.name)
        self.folder.mkdir(parents=True, exist_ok=True)
        self._made: dict[str, Callable[[], Result]] = {}

    def run(self, tool: str) -> Result:
        """Run a tool once.

        Raises:
            MissingTool: it is not installed.
            Failed: it gave no answer.
        """
        if tool not in self._made:
            self._made[tool] = self._make(tool)
        try:
            return self._made[tool]()
        except ToolError as error:
            raise Failed(str(error)) from None

    def _make(self, tool: str) -> Callable[[], Result]:
        if tool == "txweave":
            return self._txweave
        title = f"{self.model.path}, {self.model.case}"
        if tool == "tlc":
            run.find_java()
            run.find_jar()
            return partial(self._tlc, tla.render(load(self.path, self.model.case), title))
        if tool in ("spin", "spin-bfs"):
            run.find_program("spin", "spin")
            run.find_program("gcc", "gcc")
            return partial(self._spin, tool, promela.render(load(self.path, self.model.case), title))
        assert tool == "minicheck"
        from importlib.util import find_spec

        if find_spec("minicheck") is None:
            raise MissingTool("minicheck is not there: pip install minicheck (or txweave[bench])")
        from bench import minicheck_program

        program = self.folder / "minicheck_program.py"
        program.write_text(minicheck_program.render(load(self.path, self.model.case), title), encoding="utf-8")
        return partial(self._minicheck, program)

    def _python(self, arguments: Sequence[str]) -> tuple[dict[str, int | float | None], Run]:
        done = self.launcher.run([sys.executable, *arguments], ROOT, self.settings.timeout)
        lines = done.output.splitlines()
        if done.code or not lines:
            raise Failed(f"ended with status {done.code}: {lines[-1] if lines else 'no output'}")
        return json.loads(lines[-1]), done

    def _txweave(self) -> Result:
        found, done = self._python(["-m", "bench.explored", self.path, self.model.case])
        self.states = int(found["states"] or 0)
        return _from_python("txweave", found, done)

    def _minicheck(self, program: Path) -> Result:
        found, done = self._python([str(program)])
        return _from_python("minicheck", found, done)

    def _tlc(self, export: tla.TlaExport) -> Result:
        runs: list[Run] = []

        def execute(command: Sequence[str], folder: Path, seconds: float) -> str:
            runs.append(self.launcher.run(list(command), folder, seconds, INITIAL))
            return runs[-1].output

        folder = self._fresh("tlc")
        settings = self.settings
        found = run.run_tlc(export, folder, timeout=settings.timeout, workers=settings.workers, options=run.LARGE, execute=execute)
        (done,) = runs
        if done.marked is None or not found.complete:
            raise Failed("TLC did not say when its search began, or did not complete it")
        search = (done.wall - done.marked[0], done.cpu - done.marked[1])
        return Result("tlc", found.states, found.generated - 1, (done.wall, done.cpu), search, done.peak)

    def _spin(self, tool: str, export: promela.PromelaExport) -> Result:
        while True:
            try:
                return self._spin_once(tool, export)
            except ToolError as error:
                if TOO_SHALLOW not in str(error) or self.depth >= DEEPEST:
                    raise
            # What this one took is not counted: who knows the model gives it the right depth.
            self.depth *= 10

    def _spin_once(self, tool: str, export: promela.PromelaExport) -> Result:
        runs: list[Run] = []

        def execute(command: Sequence[str], folder: Path, seconds: float) -> str:
            runs.append(self.launcher.run(list(command), folder, seconds))
            return runs[-1].output

        found = run.run_spin(
            export,
            self._fresh(tool),
            timeout=self.settings.timeout,
            optimise=self.settings.optimise,
            # A slot for each state.
            table=max(18, (self.states - 1).bit_length()),
            memory=self.settings.memory,
            depth=self.depth,
            breadth_first=tool == "spin-bfs",
            execute=execute,
        )
        whole = (sum(done.wall for done in runs), sum(done.cpu for done in runs))
        pan = runs[-1]
        return Result(tool, found.states, found.transitions, whole, (pan.wall, pan.cpu), pan.peak, {"vector": found.vector})

    def _fresh(self, name: str) -> Path:
        """An empty folder: TLC's state files of another run are none of this one's."""
        import shutil

        folder = self.folder / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        return folder


def _from_python(tool: str, found: dict[str, int | float | None], done: Run) -> Result:
    transitions = found.get("transitions")
    more: dict[str, int] = {name: int(found[name] or 0) for name in ("depth", "bits", "words", "cells", "actions") if name in found}
    return Result(
        tool,
        int(found["states"] or 0),
        int(transitions) if transitions is not None else None,
        (done.wall, done.cpu),
        (float(found["seconds"] or 0), float(found["cpu"] or 0)),
        done.peak,
        more,
    )
