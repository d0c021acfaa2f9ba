"""The command ``txweave diff``."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import chdir, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from txweave.cli.options import unreduced
from txweave.cli.terminal import Failure, interruptible, progress, show_errors, usage, write_report

if TYPE_CHECKING:
    from rich.console import Console

    from txweave.check import Options


@click.command(
    epilog="Exit status: 0 nothing got worse; 1 something did: a property that held no longer does or is no longer checked, a "
    "violation is new, a verdict became unknown; 2 the command or a specification is wrong; 3 nothing known got worse, and a "
    "verdict is unknown that was not known before either."
)
@click.argument("old")
@click.argument("new")
@click.argument("paths", nargs=-1, metavar="[PATH]...")
@click.option("--git", is_flag=True, help="OLD and NEW are revisions, and PATH (default: specs) is checked in both.")
@click.option("--engine", type=click.Choice(["explicit", "z3", "both"]), help="As for check.")
@click.option("-j", "jobs", type=click.IntRange(min=1), default=1, metavar="N", help="Check N cases at a time.")
@click.option("--max-states", type=click.IntRange(min=1), metavar="N", help="Explore at most N states of a case.")
@click.option("--max-memory", type=click.IntRange(min=1), metavar="MIB", help="Use at most so much memory.")
@click.option("--timeout", type=click.FloatRange(min=0, min_open=True), metavar="SECONDS", help="For each case.")
@unreduced
@click.option("--format", "form", type=click.Choice(["text", "json", "markdown"]), default="text", help="Default: text.")
@click.option("-o", "--output", metavar="FILE", help="Write the report here instead.")
def diff(
    old: str,
    new: str,
    paths: tuple[str, ...],
    git: bool,
    engine: str | None,
    jobs: int,
    max_states: int | None,
    max_memory: int | None,
    timeout: float | None,
    no_reduction: bool,
    form: str,
    output: str | None,
) -> None:
    """Tell what changed between two checks: verdicts, lengths, states; cases, properties and steps that came or went.

    OLD and NEW are results (files written by check --format json=FILE), or specifications and directories, which are checked with
    the same options. With --git they are revisions, as in: txweave diff --git origin/main HEAD specs.
    """
    from txweave.check import Options
    from txweave.diff import UnreadableError
    from txweave.diff import diff as compared

    if paths and not git:
        raise click.UsageError("a PATH beside OLD and NEW goes with --git")
    options = Options(engine or "", max_states=max_states, max_memory=max_memory, timeout=timeout, reduction=not no_reduction)
    documents = [_at(side, paths or ("specs",), options, jobs) if git else _side(side, options, jobs) for side in (old, new)]
    if not git and not old.endswith(".json") and not new.endswith(".json"):
        for document, side in zip(documents, (old, new), strict=True):
            _relative(document, side)
    try:
        difference = compared(*documents)
    except UnreadableError as error:
        raise Failure(str(error)) from error
    from txweave.report import diff as report
    from txweave.report import json

    text = {"json": lambda: json.dumps(report.document(difference)), "markdown": lambda: report.markdown(difference)}.get(form)

    def write(console: Console) -> None:
        from txweave.report.text import Writer

        report.write(difference, Writer(console))

    write_report(output, text() if text is not None else None, write)
    sys.exit(int(difference.exit))


def _side(name: str, options: Options, jobs: int) -> dict[str, Any]:
    """A result that is read, or made."""
    if not name.endswith(".json"):
        return _checked((name,), options, jobs)
    from txweave.diff import UnreadableError, read

    try:
        return read(Path(name).read_text(encoding="utf-8"))
    except OSError as error:
        raise Failure(f"cannot read {name}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise Failure(f"cannot read {name}: it is not UTF-8") from error
    except UnreadableError as error:
        raise Failure(f"{name}: {error}") from error


def _checked(paths: tuple[str, ...], options: Options, jobs: int) -> dict[str, Any]:
    from txweave.collect import Choice, collect
    from txweave.report.json import document
    from txweave.run import run_cases

    with usage():
        collection = collect(paths, Choice())
    with interruptible() as stop, progress(len(collection.cases), quiet=False) as listener:
        results = run_cases(collection.cases, options, jobs, listener, stop)
    show_errors([*collection.errors, *((result.path, result.errors) for result in results)])
    return document(results, collection.errors, timing=False)


def _relative(document: dict[str, Any], side: str) -> None:
    """Paths below what was named: two directories, or two files, are compared whatever they are called."""
    for case in document["cases"]:
        case["path"] = os.path.relpath(case["path"], side) if Path(side).is_dir() else "the file"


# ------------------------------------------------------------------------------------------------------------------- git


def _at(revision: str, paths: tuple[str, ...], options: Options, jobs: int) -> dict[str, Any]:
    """The result for a revision.  Paths that it does not have are as if they were empty: they are new, or gone."""
    with _tree(revision):
        there = tuple(path for path in paths if Path(path).exists())
        for path in paths:
            if path not in there:
                click.echo(f"{revision} has no {path}", err=True)
        if there:
            return _checked(there, options, jobs)
    return {"errors": [], "cases": []}


@contextmanager
def _tree(revision: str) -> Iterator[None]:
    """The current directory as it is in a revision, in a temporary directory, for as long as this lasts.

    A specification may name files beside it, so that the whole tree is unpacked; the repository itself is left alone.
    """
    if revision.startswith("-"):
        raise click.UsageError(f"{revision} is no revision")
    commit = _git("rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}", wrong=f"there is no revision {revision}")
    prefix = _git("rev-parse", "--show-prefix").decode().strip()
    top = _git("rev-parse", "--show-toplevel").decode().strip()
    archive = _git("-C", top, "archive", "--format=tar", commit.decode().strip())
    with tempfile.TemporaryDirectory(prefix="txweave-") as folder:
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            tar.extractall(folder, filter="data")
        here = Path(folder, prefix)
        here.mkdir(parents=True, exist_ok=True)
        with chdir(here):
            yield


def _git(*arguments: str, wrong: str = "") -> bytes:
    try:
        done = subprocess.run(["git", *arguments], capture_output=True, check=False)  # noqa: S603, S607 - the user's own git
    except OSError as error:
        raise Failure(f"cannot run git: {error.strerror}") from error
    if done.returncode:
        raise Failure(wrong or f"git {arguments[0]}: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout
