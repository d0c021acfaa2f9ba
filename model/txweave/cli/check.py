"""The command ``txweave check``."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem

from txweave.cli.options import changing, unreduced
from txweave.cli.settings import configured
from txweave.cli.terminal import REPORT, Failure, console, interruptible, patient, progress, show_errors, usage
from txweave.report.formats import FORMATS, FormatError, Target, Where, targets

if TYPE_CHECKING:
    from txweave.collect import Choice
    from txweave.report.outcomes import Report
    from txweave.results import CaseResult


def _targets(context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> tuple[Target, ...]:
    """Where reports go; what cannot be written is said before a check that may take long."""
    try:
        found = targets(values, summary=_summary() is not None)
    except FormatError as error:
        raise click.BadParameter(str(error), context, parameter) from error
    for target in found:
        if target.path is not None:
            path = Path(target.path)
            if not path.parent.is_dir():
                raise Failure(f"cannot write {target.path}: there is no directory {path.parent}")
            if path.exists() and path.is_dir() != target.form.several:
                raise Failure(f"cannot write {target.path}: it is {'no' if target.form.several else 'a'} directory")
    return found


def _complete_format(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:  # noqa: ARG001
    return [CompletionItem(form.name, help=form.about) for form in FORMATS.values() if form.name.startswith(incomplete)]


@click.command(
    epilog="Exit status: 0 all as expected; 1 a verdict differs from what is expected; 2 the command or a specification is wrong, "
    "or there is nothing to check; 3 inconclusive (a limit, a bound, Ctrl-C); 4 a self-check failed. "
    "Of several the first in the order 4, 2, 1, 3 counts."
)
@click.argument("paths", nargs=-1, metavar="[PATH]...", type=click.Path())
@click.option("--case", "cases", multiple=True, metavar="NAME", help="Only this case (repeatable).")
@click.option("--property", "properties", multiple=True, metavar="NAME", help="Only this property (repeatable).")
@changing
@click.option("--scenario", "scenarios", multiple=True, metavar="NAME", help="Only this scenario (repeatable).")
@click.option(
    "--engine",
    type=click.Choice(["explicit", "z3", "both"]),
    help="Default: both up to 20,000 states, explicit beyond.",
)
@click.option(
    "--any-number",
    is_flag=True,
    help="Look for proofs of the `never` properties for any number of processes of each role and rows of each table as well. "
    "May take minutes.",
)
@click.option("-j", "jobs", type=click.IntRange(min=1), default=1, metavar="N", help="Check N cases at a time.")
@click.option("--max-states", type=click.IntRange(min=1), metavar="N", help="Explore at most N states of a case.")
@click.option(
    "--max-memory",
    type=click.IntRange(min=1),
    metavar="MIB",
    help="Use at most so much memory (default: three quarters of what there is, shared by -j).",
)
@click.option("--max-depth", type=click.IntRange(min=0), metavar="N", help="Search at most N steps deep with Z3.")
@click.option(
    "--rlimit",
    type=click.IntRange(min=1),
    metavar="N",
    help="How much Z3 may do for a question, in its own units, which do not depend on the machine (default: 20,000,000, with "
    "--engine a hundred times as much).",
)
@click.option("--timeout", type=click.FloatRange(min=0, min_open=True), metavar="SECONDS", help="For each case.")
@unreduced
@click.option(
    "--format",
    "wanted_formats",
    multiple=True,
    metavar="NAME[=FILE]",
    shell_complete=_complete_format,
    callback=_targets,
    help=f"Report as {', '.join(FORMATS)} (repeatable). With FILE the terminal shows the text as well. "
    "Without: github goes to standard error, markdown to the job's summary in GitHub Actions, "
    "itf makes several files and needs a directory, the others take the place of the text.",
)
@click.option("--traces", metavar="DIR", help="Write each counterexample as a trace file, to be taken again.")
@click.option(
    "--certificate",
    metavar="FILE",
    help="Prove what holds by inductive invariants, however many states there are, and write them, to be verified by "
    "verify-certificate.",
)
@click.option(
    "--story", "told", is_flag=False, flag_value="*", multiple=True, metavar="[PROPERTY]", help="Tell expected stories too."
)
@click.option("-v", "--verbose", is_flag=True, help="Show why what holds does, where there is an invariant.")
@click.option("--no-story", is_flag=True, help="Tell no stories.")
@click.option("--strict", is_flag=True, help="What lint finds is an error.")
@click.option("--no-timing", is_flag=True, help="Leave out seconds and versions, so that output can be compared.")
@click.option("-q", "--quiet", is_flag=True, help="Show only what is not as expected.")
@click.option("--watch", is_flag=True, help="Check again whenever a file that is read changes, until Ctrl-C.")
@click.option("--no-cache", is_flag=True, envvar="TXWEAVE_NO_CACHE", help="Take no results from .txweave-cache, and keep none.")
@configured
def check(
    paths: tuple[str, ...],
    cases: tuple[str, ...],
    properties: tuple[str, ...],
    fixes: tuple[str, ...],
    settings: tuple[tuple[str, str], ...],
    scenarios: tuple[str, ...],
    engine: str | None,
    any_number: bool,
    jobs: int,
    max_states: int | None,
    max_memory: int | None,
    max_depth: int | None,
    rlimit: int | None,
    timeout: float | None,
    no_reduction: bool,
    wanted_formats: tuple[Target, ...],
    traces: str | None,
    certificate: str | None,
    told: tuple[str, ...],
    verbose: bool,
    no_story: bool,
    strict: bool,
    no_timing: bool,
    quiet: bool,
    no_cache: bool,
    watch: bool,
) -> None:
    """Check specifications (default: those in specs/) and compare the verdicts with what they expect.

    A PATH is a study, a model, or a directory that is searched for studies and for models with expectations of their own. A model
    that is named itself is checked in every scenario. With --fix or --set nothing but the truth is known: every
    property is expected to hold.

    Defaults are read from [tool.txweave] of the nearest pyproject.toml that has it, from this directory upward: paths, engine,
    jobs, max-states, max-memory, max-depth, rlimit, timeout, format, traces, story, no-story, strict, no-timing, quiet,
    no-reduction, any-number, no-cache. The command line takes their place.
    """
    from txweave.cache import Cache
    from txweave.check import Options
    from txweave.collect import Choice, check_properties, collect
    from txweave.report.outcomes import Report
    from txweave.report.text import Style
    from txweave.results import Exit, worst
    from txweave.run import run_cases

    choice = Choice(cases, scenarios, fixes, settings)
    if watch:
        sys.exit(_watched(paths or ("specs",), choice))
    with usage():
        collection = collect(paths or ("specs",), choice)
        wanted = tuple(dict.fromkeys((*properties, *(name for name in told if name != "*"))))
        if not collection.errors:
            check_properties(collection.cases, wanted)
    show_errors(collection.errors)
    if certificate is not None:
        if engine == "explicit":
            raise click.UsageError("--certificate writes what Z3 finds: leave out --engine explicit")
        if not Path(certificate).parent.is_dir():
            raise Failure(f"cannot write {certificate}: there is no directory {Path(certificate).parent}")
    explore = any(target.form.name == "html" for target in wanted_formats)
    options = Options(
        engine or "",
        properties,
        max_states,
        max_memory,
        timeout,
        max_depth,
        rlimit,
        certify=certificate is not None,
        strict=strict,
        reduction=not no_reduction,
        explore=explore,
        any_number=any_number,
    )
    selected = collection.cases
    if properties:
        selected = [s for s in selected if any(name in s.case.model.properties for name in properties)]
        if not selected and not collection.errors:
            raise click.UsageError("no case is left by --property together with --case and --scenario")
    with interruptible() as stop, progress(len(selected), quiet) as listener:
        # Trace files are made of what is never kept.
        cache = Cache() if not no_cache and traces is None else None
        results = run_cases(selected, options, jobs, listener, stop, cache)
        click.get_current_context().meta[_INTERRUPTED] = stop()
    show_errors([(result.path, result.errors) for result in results])
    for result in results:
        if result.debug and os.environ.get("TXWEAVE_DEBUG"):
            click.echo(result.debug, err=True)
    statuses = [r.exit for r in results] + ([Exit.ERROR] if collection.errors or not results else [])
    stories = "none" if no_story else "all" if "*" in told else "unexpected"
    style = Style(not no_timing, engine == "both", stories, tuple(told), quiet, verbose)
    report = Report(tuple(results), tuple(collection.errors), worst(statuses), style)
    with patient():
        _print(report, wanted_formats)
        sys.stdout.flush()
    unwritten = list(_write_files(report, wanted_formats))
    if traces is not None:
        from txweave.tracefile import TraceError, write_counterexamples

        try:
            write_counterexamples(traces, selected, results, fixes)
        except TraceError as error:
            unwritten.append(str(error))
    if certificate is not None:
        unwritten += _write_certificate(Path(certificate), results)
    for words in unwritten:
        click.echo(f"Error: {words}", err=True)
    if any(r.debug for r in results):
        click.echo(REPORT, err=True)
    sys.exit(int(worst([report.exit_status, *([Exit.ERROR] if unwritten else [])])))


def _write_certificate(path: Path, results: Sequence[CaseResult]) -> list[str]:
    """Write the proofs that there are; what prevents it, in words."""
    from txweave.proof.file import claims, dumps
    from txweave.verdict import Status

    found = claims(results)
    if not found:
        return [f"{path} was not written: no property was shown by an invariant"]
    without = [
        f"{item.name} in {result.case}"
        for result in results
        for item in result.properties
        if item.kind in ("never", "deadlock") and item.status in (Status.HOLDS, Status.PROVED) and item.proof is None
    ]
    for name in without:
        click.echo(f"{path}: no invariant was found for {name}, which holds by exploration", err=True)
    try:
        path.write_text(dumps(found), encoding="utf-8")
    except OSError as error:
        return [f"cannot write {path}: {error.strerror}"]
    return []


_INTERRUPTED = "txweave.interrupted"
"""Where the command's context says whether Ctrl-C came."""


def _watched(paths: tuple[str, ...], choice: Choice) -> int:
    from txweave.cli.watch import watch

    context = click.get_current_context()

    def once() -> int:
        try:
            context.invoke(check, **{**context.params, "watch": False})
        except SystemExit as end:
            return int(end.code or 0)
        return 0

    return watch(once, paths, choice, lambda: bool(context.meta.get(_INTERRUPTED)))


def _print(report: Report, wanted: Sequence[Target]) -> None:
    """What goes to standard output (the text, unless a format takes its place) and to standard error."""
    summary = _summary() is not None
    printed = [t.form for t in wanted if t.where(summary=summary) is Where.OUTPUT and t.form.name != "text"]
    if printed:
        click.echo(printed[0].render(report), nl=False)
    else:
        from txweave.report.formats import write_text
        from txweave.report.text import Writer

        write_text(Writer(console()), report)
    for target in wanted:
        if target.where(summary=summary) is Where.ERROR:
            click.echo(target.form.render(report), nl=False, err=True)


def _write_files(report: Report, wanted: Sequence[Target]) -> Iterator[str]:
    """Writes what goes to files; yields what cannot be written, so that one file does not keep others from being written."""
    for target in wanted:
        path = target.path
        try:
            if path is not None:
                made = target.form.render(report)
                if isinstance(made, str):
                    Path(path).write_text(made, encoding="utf-8")
                else:
                    _write_several(Path(path), made)
            elif target.where(summary=_summary() is not None) is Where.SUMMARY:
                path = str(_summary())
                _append_summary(report, Path(path))
        except OSError as error:
            yield f"cannot write {path}: {error.strerror}"


def _write_several(folder: Path, documents: dict[str, str]) -> None:
    folder.mkdir(exist_ok=True)
    for name, text in documents.items():
        (folder / name).write_text(text, encoding="utf-8")
    for other in sorted(folder.iterdir()):
        if other.name.endswith(".itf.json") and other.name not in documents:
            click.echo(f"{other} is not of this check; it was left there", err=True)


def _summary() -> str | None:
    return os.environ.get("GITHUB_STEP_SUMMARY") or None


def _append_summary(report: Report, path: Path) -> None:
    """Everything that a step writes to its summary counts towards the limit, also what other commands have written."""
    from txweave.report.markdown import SUMMARY_LIMIT, render

    used = path.stat().st_size if path.exists() else 0
    text = render(report, SUMMARY_LIMIT - used)
    if not text:
        raise OSError(0, "the step's summary is full")
    with path.open("a", encoding="utf-8") as file:
        file.write(text)
