"""Plants faults in copies of the package, one at a time, and says which ones no test notices.

    python tests/faults/run.py                  all faults
    python tests/faults/run.py --list           what there is
    python tests/faults/run.py --only NAME      one or several of them

Each fault is a patch of one source file (``planted_….py``) with the smallest selection of tests that must notice it.
The working
tree is never touched: the package is copied, patched there, and the tests are run with the copy in front of everything else on
the path.
First every selected test must pass on an unpatched copy.

Exit status: 0 every fault was noticed, 1 one survived, 2 the run says nothing (a patch does not apply, a selected test fails or is
missing without any fault, a patched file cannot be imported, the time was over).
"""

from __future__ import annotations

import argparse
import compileall
import importlib
import json
import os
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
from faults import FAULTS, Fault

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "model" / "txweave"
TESTS = ROOT / "tests"

PATIENCE = 90.0
"""Seconds that a selection may take before it counts as one that does not end."""

BROKEN = ("SyntaxError", "IndentationError", "NameError", "UnboundLocalError", "ImportError", "ModuleNotFoundError")
"""A test that fails in one of these ways was stopped by a careless patch and noticed nothing."""

SHARED = (
    "numpy",
    "yaml",
    "networkx",
    "jsonschema",
    "z3",
    "sqlglot",
    "sqlglot.dialects.postgres",
    "rich.console",
    "click",
    "pytest",
)
"""Imported once, in the process from which the others fork; the package itself never is."""


class UnusableError(Exception):
    """The run would say nothing."""


# -------------------------------------------------------------------------------------------------------------- copies


def place(base: Path, fault: Fault) -> Path:
    """The file that a fault patches: the one, in the folder that it names, in which the old text stands.

    Raises:
        UnusableError: the text is not there, or not once only.
    """
    where = base / fault.file
    paths = sorted(where.glob("*.py")) if where.is_dir() else [where]
    counts = {path: path.read_text(encoding="utf-8").count(fault.old) for path in paths}
    if sum(counts.values()) != 1:
        raise UnusableError(f"{fault.name}: the old text stands {sum(counts.values())} times in {fault.file}, not once")
    return next(path for path, count in counts.items() if count)


def patched(base: Path, fault: Fault) -> tuple[Path, str]:
    """The file that a fault patches and its text with the fault in it.

    Raises:
        UnusableError: the place is not there, or not the only one, or the result is no Python.
    """
    path = place(base, fault)
    result = path.read_text(encoding="utf-8").replace(fault.old, fault.new)
    if fault.old == fault.new:
        raise UnusableError(f"{fault.name}: the new text is the old one")
    try:
        if path.suffix == ".py":
            compile(result, path.name, "exec")
    except SyntaxError as error:
        raise UnusableError(f"{fault.name}: {path.name} can no longer be read: {error}") from error
    return path, result


def copy(base: Path, where: Path, fault: Fault | None) -> Path:
    """A copy of the package below ``where``, with a fault or as it is; the directory to put on the path."""
    shutil.copytree(base, where / "txweave")
    if fault is not None:
        path, result = patched(where / "txweave", fault)
        path.write_text(result, encoding="utf-8")
        for stale in (path.parent / "__pycache__").glob(f"{path.stem}.*.pyc"):
            stale.unlink()
    return where


# ---------------------------------------------------------------------------------------------------------------- runs


@dataclass
class Job:
    """Tests to run on a copy: those of a fault, or (``fault`` None) those that must pass without one."""

    fault: Fault | None
    tests: tuple[str, ...]
    pid: int = 0
    started: float = 0.0
    seconds: float = 0.0
    place: Path = Path()
    outcome: dict[str, Any] = field(default_factory=dict)


class Recorder:
    """A pytest plugin that keeps what became of each test."""

    def __init__(self) -> None:
        self.passed: list[str] = []
        self.failed: list[tuple[str, str]] = []
        self.missing: list[tuple[str, str]] = []

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.failed:
            self.failed.append((report.nodeid, _first_line(report)))
        elif report.when == "call" and report.passed:
            self.passed.append(report.nodeid)

    def pytest_collectreport(self, report: Any) -> None:
        if report.failed:
            self.missing.append((report.nodeid, _first_line(report)))


def _first_line(report: Any) -> str:
    crash = getattr(report.longrepr, "reprcrash", None)
    text = str(crash.message if crash is not None else report.longrepr or "").strip()
    lines = [line for line in text.splitlines() if line.strip()] or [""]
    return (lines[0] if crash is not None else lines[-1].removeprefix("E").strip())[:160]


def child(job: Job, base: Path) -> None:
    """What the forked process does; never returns."""
    status = 70
    try:
        log = os.open(job.place / "log", os.O_WRONLY | os.O_CREAT)
        os.dup2(log, 1)
        os.dup2(log, 2)
        where = copy(base, job.place / "copy", job.fault)
        os.environ["PYTHONPATH"] = str(where)
        os.environ["HYPOTHESIS_STORAGE_DIRECTORY"] = str(job.place / "hypothesis")
        sys.path.insert(0, str(where))
        os.chdir(ROOT)
        import txweave

        assert txweave.__file__ is not None
        assert Path(txweave.__file__).is_relative_to(where), f"the tests would run on {txweave.__file__}"
        pytest = importlib.import_module("pytest")
        recorder = Recorder()
        arguments = [
            "-q",
            "-p",
            "no:cacheprovider",
            "-p",
            "no:randomly",
            "-p",
            "no:hypothesispytest",  # it imports all of hypothesis, which few tests need
            "--rootdir",
            str(ROOT),
            "-c",
            str(ROOT / "pyproject.toml"),
        ]
        if job.fault is not None:
            arguments.append("-x")
        code = int(pytest.main([*arguments, *(str(TESTS / t) for t in job.tests)], plugins=[recorder]))
        result = {
            "code": code,
            "package": txweave.__file__,
            "passed": recorder.passed,
            "failed": recorder.failed,
            "missing": recorder.missing,
        }
        (job.place / "result").write_text(json.dumps(result), encoding="utf-8")
        status = 0
    except BaseException:  # noqa: BLE001 - it must not go on as if it were the parent
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def run(jobs: Sequence[Job], base: Path, work: Path, processes: int, deadline: float | None) -> Iterator[Job]:
    """Run jobs, so many at a time; each as it ends.  Those for which there is no time left do not come."""
    waiting = list(jobs)
    running: dict[int, Job] = {}
    number = 0
    try:
        while waiting or running:
            while waiting and len(running) < processes and (deadline is None or time.monotonic() < deadline):
                job = waiting.pop(0)
                number += 1
                job.place = work / f"{'fault' if job.fault else 'base'}{number}"
                job.place.mkdir()
                job.started = time.monotonic()
                sys.stdout.flush()
                job.pid = os.fork()
                if not job.pid:
                    os.setpgid(0, 0)
                    child(job, base)
                running[job.pid] = job
            if not running:
                return
            for job in list(running.values()):
                pid, _ = os.waitpid(job.pid, os.WNOHANG)
                late = time.monotonic() - job.started > PATIENCE
                if not pid and not late:
                    continue
                if not pid:
                    kill(job)
                    os.waitpid(job.pid, 0)
                    job.outcome = {"late": True}
                elif (job.place / "result").exists():
                    job.outcome = json.loads((job.place / "result").read_text(encoding="utf-8"))
                del running[job.pid]
                job.seconds = time.monotonic() - job.started
                shutil.rmtree(job.place / "copy", ignore_errors=True)
                yield job
            time.sleep(0.01)
    finally:
        for job in running.values():
            kill(job)


def kill(job: Job) -> None:
    """End a job and what it has started."""
    for stop in (lambda: os.killpg(job.pid, signal.SIGKILL), lambda: os.kill(job.pid, signal.SIGKILL)):
        try:
            stop()
        except ProcessLookupError:
            continue
        return


# -------------------------------------------------------------------------------------------------------------- verdicts


def belongs(node: str, selection: str) -> bool:
    """Whether a test is one of a selection (a file, a function, one case of it)."""
    node = node.removeprefix("tests/")
    return node == selection or node.startswith((selection + "::", selection + "["))


def baseline(faults: Sequence[Fault], base: Path, work: Path, processes: int) -> dict[str, str]:
    """Selections that say nothing because they do not pass, or have no test, without any fault; each with the reason."""
    files: dict[str, list[str]] = {}
    for fault in faults:
        for selection in fault.tests:
            listed = files.setdefault(selection.partition("::")[0], [])
            if selection not in listed:
                listed.append(selection)
    jobs = [Job(None, tuple(selections)) for selections in files.values()]
    bad: dict[str, str] = {}
    shown = False
    for job in run(jobs, base, work, processes, None):
        outcome = job.outcome
        if not shown and outcome.get("package"):
            say(f"the tests import {outcome['package']}")
            shown = True
        for selection in job.tests:
            failed = [f"{n}: {why}" for n, why in outcome.get("failed", []) if belongs(n, selection)]
            if failed:
                bad[selection] = failed[0]
            elif not any(belongs(n, selection) for n in outcome.get("passed", [])):
                why = "; ".join(why for _, why in outcome.get("missing", [])) or (
                    "it does not end" if outcome.get("late") else tail(job)
                )
                bad[selection] = f"no such test has passed ({why})"
    return bad


def tail(job: Job) -> str:
    """The last line that a job has written."""
    try:
        lines = [line for line in (job.place / "log").read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    except OSError:
        return ""
    return lines[-1][:160] if lines else ""


def judge(job: Job) -> tuple[str, str]:
    """``killed``, ``survived`` or ``unusable``, and by what."""
    outcome = job.outcome
    if outcome.get("late"):
        return "killed", f"{job.tests[0]} does not end within {PATIENCE:g} s"
    for node, why in (*outcome.get("failed", []), *outcome.get("missing", [])):
        if why.startswith(BROKEN):
            return "unusable", f"{node.removeprefix('tests/')}: {why}"
        return "killed", f"{node.removeprefix('tests/')}: {why}"
    if outcome.get("code") == 0 and outcome.get("passed"):
        return "survived", ""
    return "unusable", f"pytest ends with {outcome.get('code')}: {tail(job)}"


def say(text: str) -> None:
    """A line on standard output, at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def check(faults: Sequence[Fault], processes: int, minutes: float | None) -> int:
    """Plant all faults; the exit status."""
    started = time.monotonic()
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    for name in SHARED:
        importlib.import_module(name)
    assert "txweave" not in sys.modules
    with tempfile.TemporaryDirectory(prefix="txweave-faults-") as folder:
        work = Path(folder)
        base = work / "package"
        shutil.copytree(SOURCE, base, ignore=shutil.ignore_patterns("__pycache__"))
        problems = []
        for fault in faults:
            try:
                patched(base, fault)
            except (UnusableError, OSError) as error:
                problems.append(str(error))
        if problems:
            for problem in problems:
                say(problem)
            return 2
        compileall.compile_dir(base, quiet=2)
        bad = baseline(faults, base, work, processes)
        for selection, why in bad.items():
            say(f"{selection}: fails without any fault: {why}")
        usable = [fault for fault in faults if not any(test in bad for test in fault.tests)]
        say(f"{len(usable)} faults; the tests without any took {time.monotonic() - started:.0f} s")
        deadline = None if minutes is None else started + 60 * minutes
        jobs = [Job(fault, fault.tests) for fault in usable]
        found: dict[str, tuple[str, str]] = {}
        for job in run(jobs, base, work, processes, deadline):
            assert job.fault is not None
            verdict, why = found[job.fault.name] = judge(job)
            say(f"{verdict:9} {job.seconds:5.1f} s  {job.fault.name}" + (f"  <-  {why}" if why else ""))
    survivors = [fault for fault in usable if found.get(fault.name, ("",))[0] == "survived"]
    unusable = [fault for fault in usable if found.get(fault.name, ("",))[0] == "unusable"]
    left = [fault for fault in usable if fault.name not in found]
    killed = sum(verdict == "killed" for verdict, _ in found.values())
    say(f"{killed} of {len(faults)} faults were noticed, in {time.monotonic() - started:.0f} s")
    for fault in survivors:
        say(f"survived: {fault.name} ({fault.rule}): {', '.join(fault.tests)}")
    for fault in unusable:
        say(f"unusable: {fault.name}: {found[fault.name][1]}")
    for fault in left:
        say(f"not run, the time was over: {fault.name}")
    if survivors:
        return 1
    return 2 if bad or unusable or left else 0


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Plants faults in copies of the package and says which ones no test notices.")
    parser.add_argument("--list", action="store_true", help="show the faults and end")
    parser.add_argument("--only", action="append", metavar="NAME", help="plant this one (may be repeated)")
    parser.add_argument("-j", type=int, default=2, metavar="N", help="so many processes (default 2)")
    parser.add_argument("--minutes", type=float, metavar="M", help="begin no fault after so many minutes")
    given = parser.parse_args(arguments)
    chosen = [fault for fault in FAULTS if not given.only or fault.name in given.only]
    unknown = set(given.only or ()) - {fault.name for fault in FAULTS}
    if unknown:
        parser.error(f"no such fault: {', '.join(sorted(unknown))}")
    if given.list:
        for fault in chosen:
            say(f"{fault.name}: {fault.rule}\n    {fault.file}; {', '.join(fault.tests)}")
        say(f"{len(chosen)} faults")
        return 0
    return check(chosen, max(1, given.j), given.minutes)


if __name__ == "__main__":
    sys.exit(main())
