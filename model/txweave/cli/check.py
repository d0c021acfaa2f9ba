"""The command ``txweave check``."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from txweave.cli.options import changing
from txweave.cli.terminal import REPORT, Failure, console, interruptible, patient, progress, show_errors, usage

if TYPE_CHECKING:
    from txweave.results import CaseResult


@click.command(
    epilog="Exit status: 0 all as expected; 1 a verdict differs from what is expected; 2 the command or a specification is wrong, "
    "or there is nothing to check; 3 inconclusive (a limit, a bound, Ctrl-C); 4 a self-check failed. "
    "Of several the first in the order 4, 2, 1, 3 counts."
)
@click.argument("paths", nargs=-1, metavar="[PATH]...")
@click.option("--case", "cases", multiple=True, metavar="NAME", help="Only this case (repeatable).")
@click.option("--property", "properties", multiple=True, metavar="NAME", help="Only this property (repeatable).")
@changing
@click.option("--scenario", "scenarios", multiple=True, metavar="NAME", help="Only this scenario (repeatable).")
@click.option(
    "--engine",
    type=click.Choice(["explicit", "z3", "both"]),
    help="Default: both up to 20,000 states, explicit beyond.",
)
@click.option("-j", "jobs", type=click.IntRange(min=1), default=1, metavar="N", help="Check N cases at a time.")
@click.option("--max-states", type=click.IntRange(min=1), metavar="N", help="Explore at most N states of a case.")
@click.option("--max-memory", type=click.IntRange(min=1), metavar="MIB", help="Use at most so much memory.")
@click.option("--max-depth", type=click.IntRange(min=0), metavar="N", help="Search at most N steps deep with Z3.")
@click.option("--timeout", type=click.FloatRange(min=0, min_open=True), metavar="SECONDS", help="For each case.")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", help="Of the report (default: text).")
@click.option("-o", "--output", metavar="FILE", help="Write the report here; the terminal shows the text as well.")
@click.option(
    "--story", "told", is_flag=False, flag_value="*", multiple=True, metavar="[PROPERTY]", help="Tell expected stories too."
)
@click.option("--no-story", is_flag=True, help="Tell no stories.")
@click.option("--no-timing", is_flag=True, help="Leave out seconds and versions, so that output can be compared.")
@click.option("-q", "--quiet", is_flag=True, help="Show only what is not as expected.")
def check(
    paths: tuple[str, ...],
    cases: tuple[str, ...],
    properties: tuple[str, ...],
    fixes: tuple[str, ...],
    settings: tuple[tuple[str, str], ...],
    scenarios: tuple[str, ...],
    engine: str | None,
    jobs: int,
    max_states: int | None,
    max_memory: int | None,
    max_depth: int | None,
    timeout: float | None,
    form: str,
    output: str | None,
    told: tuple[str, ...],
    no_story: bool,
    no_timing: bool,
    quiet: bool,
) -> None:
    """Check specifications (default: those in specs/) and compare the verdicts with what they expect.

    A PATH is a study, a model, or a directory that is searched for studies and for models with expectations of their own. A model
    that is named itself is checked in every scenario. With --fix or --set nothing but the truth is known: every
    property is expected to hold.
    """
    from txweave.check import Options
    from txweave.collect import Choice, check_properties, collect
    from txweave.report.text import Style
    from txweave.results import Exit, worst
    from txweave.run import run_cases

    choice = Choice(cases, scenarios, fixes, settings)
    with usage():
        collection = collect(paths or ("specs",), choice)
        wanted = tuple(dict.fromkeys((*properties, *(name for name in told if name != "*"))))
        if not collection.errors:
            check_properties(collection.cases, wanted)
    show_errors(collection.errors)
    options = Options(engine or "", properties, max_states, max_memory, timeout, max_depth)
    selected = collection.cases
    if properties:
        selected = [s for s in selected if any(name in s.case.model.properties for name in properties)]
        if not selected and not collection.errors:
            raise click.UsageError("no case is left by --property together with --case and --scenario")
    with interruptible() as stop, progress(len(selected), quiet) as listener:
        results = run_cases(selected, options, jobs, listener, stop)
    show_errors([(result.path, result.errors) for result in results])
    for result in results:
        if result.debug and os.environ.get("TXWEAVE_DEBUG"):
            click.echo(result.debug, err=True)
    statuses = [r.exit for r in results] + ([Exit.ERROR] if collection.errors or not results else [])
    status = worst(statuses)
    stories = "none" if no_story else "all" if "*" in told else "unexpected"
    style = Style(not no_timing, engine == "both", stories, tuple(told), quiet)
    document = None
    if form == "json":
        from txweave.report import json

        document = json.dumps(json.document(results, collection.errors, int(status), timing=not no_timing))
    if output is not None:
        _write(output, document, results, style)
    with patient():
        if document is None or output is not None:
            _text(results, style, None)
        else:
            click.echo(document, nl=False)
        sys.stdout.flush()
    if any(r.debug for r in results):
        click.echo(REPORT, err=True)
    sys.exit(int(status))


def _text(results: Sequence[CaseResult], style: Any, file: Any) -> None:
    from txweave.report.text import Writer

    writer = Writer(console(file), style)
    writer.results(results)
    if results and not (style.quiet and all(r.exit == 0 for r in results)):
        writer.summary(results)


def _write(output: str, document: str | None, results: Sequence[CaseResult], style: Any) -> None:
    try:
        with Path(output).open("w", encoding="utf-8") as file:
            if document is not None:
                file.write(document)
            else:
                _text(results, style, file)
    except OSError as error:
        raise Failure(f"cannot write {output}: {error.strerror}") from error
