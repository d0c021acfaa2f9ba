"""The command ``txweave``.

Results go to standard output, errors and progress to standard error.  What is slow to import (rich, Z3, networkx, sqlglot) is
imported by the command that needs it, so that ``txweave --help`` answers at once.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import txweave
from txweave.replay.command import conform_command, replay_command

if TYPE_CHECKING:
    from rich.console import Console

    from txweave.collect import Choice
    from txweave.results import CaseResult
    from txweave.spec import syntax
    from txweave.spec.diagnostics import Diagnostic

REPORT = "This is a fault of txweave, not of your specification. Please report it; TXWEAVE_DEBUG=1 shows where it happened."


class _Failure(click.ClickException):
    """Something outside went wrong: a file that cannot be written."""

    exit_code = 2


def _version(context: click.Context, _: click.Parameter, value: bool) -> None:
    if not value or context.resilient_parsing:
        return
    import platform
    from importlib.metadata import PackageNotFoundError, version

    try:
        z3 = f"Z3 {version('z3-solver')}"
    except PackageNotFoundError:
        z3 = "no Z3"
    click.echo(f"txweave {txweave.__version__} (Python {platform.python_version()}, {z3})")
    context.exit()


class _Group(click.Group):
    """Suggests the command that was meant."""

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            from txweave.collect import suggestion

            raise click.UsageError(f"there is no command {args[0]!r}{suggestion(args[0], self.commands)}", ctx) from error


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Versions, Z3's as well.")
def cli() -> None:
    """Model-check procedures that share an SQL database.

    A specification holds the SQL that a program sends and what must never happen. Every interleaving, crash and lock wait is
    explored; a violation is told as the shortest story.
    """


def _settings(context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    found: dict[str, str] = {}
    for item in values:
        name, equals, value = item.partition("=")
        if not equals or not name:
            raise click.BadParameter(f"{item!r} is not name=value", context, parameter)
        if name in found:
            raise click.BadParameter(f"{name!r} is set twice", context, parameter)
        found[name] = value
    return tuple(found.items())


_setting = click.option(
    "--set", "settings", multiple=True, metavar="NAME=VALUE", callback=_settings, help="Another value of a parameter."
)


def _changing(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that change a model."""
    command = _setting(command)
    return click.option("--fix", "fixes", multiple=True, metavar="FILE", help="Apply a fix (repeatable).")(command)


# --------------------------------------------------------------------------------------------------------------- check


@cli.command(
    epilog="Exit status: 0 all as expected; 1 a verdict differs from what is expected; 2 the command or a specification is wrong, "
    "or there is nothing to check; 3 inconclusive (a limit, a bound, Ctrl-C); 4 a self-check failed. "
    "Of several the first in the order 4, 2, 1, 3 counts."
)
@click.argument("paths", nargs=-1, metavar="[PATH]...")
@click.option("--case", "cases", multiple=True, metavar="NAME", help="Only this case (repeatable).")
@click.option("--property", "properties", multiple=True, metavar="NAME", help="Only this property (repeatable).")
@_changing
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
    with _usage():
        collection = collect(paths or ("specs",), choice)
        wanted = tuple(dict.fromkeys((*properties, *(name for name in told if name != "*"))))
        if not collection.errors:
            check_properties(collection.cases, wanted)
    _show_errors(collection.errors)
    options = Options(engine or "", properties, max_states, max_memory, timeout, max_depth)
    selected = collection.cases
    if properties:
        selected = [s for s in selected if any(name in s.case.model.properties for name in properties)]
        if not selected and not collection.errors:
            raise click.UsageError("no case is left by --property together with --case and --scenario")
    with _interruptible() as stop, _progress(len(selected), quiet) as listener:
        results = run_cases(selected, options, jobs, listener, stop)
    _show_errors([(result.path, result.errors) for result in results])
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
    with _patient():
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

    writer = Writer(_console(file), style)
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
        raise _Failure(f"cannot write {output}: {error.strerror}") from error


def _console(file: Any = None, *, stderr: bool = False) -> Console:
    """A console: as wide as the terminal, or 100 columns (``COLUMNS`` says otherwise) where there is none."""
    from rich.console import Console

    class Patient(Console):
        """Leaves a closed pipe to us: rich would end the program with a status of its own."""

        def on_broken_pipe(self) -> None:
            raise BrokenPipeError

    stream = file or (sys.stderr if stderr else sys.stdout)
    width = None
    if not stream.isatty():
        columns = os.environ.get("COLUMNS", "")
        width = int(columns) if columns.isdigit() and int(columns) >= 40 else 100
    return Patient(file=stream, width=width, highlight=False, force_terminal=None if stream.isatty() else False)


def _show_errors(errors: Sequence[tuple[str, tuple[Diagnostic, ...]]]) -> None:
    shown: set[str] = set()
    for _, found in errors:
        for item in found:
            text = item.render()
            if text not in shown:
                shown.add(text)
                click.echo(text + "\n", err=True)
    codes = sorted({item.code for _, found in errors for item in found})
    if codes:
        click.echo(f"txweave explain {codes[0]} tells more.", err=True)


@contextmanager
def _patient() -> Iterator[None]:
    """Whoever reads us may stop reading (``| head``): nothing more is written, and the exit status stays what it is."""
    try:
        yield
    except BrokenPipeError:
        # Python flushes when it ends, and would complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextmanager
def _usage() -> Iterator[None]:
    """Turns what the command asked wrongly into a message and exit status 2."""
    from txweave.collect import Usage

    try:
        yield
    except Usage as error:
        raise click.UsageError(str(error)) from error


@contextmanager
def _interruptible() -> Iterator[Callable[[], bool]]:
    """Ctrl-C once ends with what is known, twice aborts."""
    import signal

    pressed = False

    def note(signum: int, frame: Any) -> None:  # noqa: ARG001
        nonlocal pressed
        if pressed:
            raise KeyboardInterrupt
        pressed = True
        click.echo("\ninterrupted: ending with what is known (once more to abort)", err=True)

    try:
        before = signal.signal(signal.SIGINT, note)
    except ValueError:  # not the main thread: whoever runs it there handles Ctrl-C
        yield lambda: pressed
        return
    try:
        yield lambda: pressed
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def _progress(total: int, quiet: bool) -> Iterator[Any]:
    """On a terminal one line on standard error says how far the exploration is; elsewhere nothing does."""
    from txweave.run import Listener

    if quiet or not sys.stderr.isatty() or total == 0:
        yield Listener()
        return
    from txweave.report.progress import Ticker

    with Ticker(_console(stderr=True), total) as ticker:
        yield Listener(ticker.begins, ticker.progress, ticker.done)


# ----------------------------------------------------------------------------------------------------- repair, compare


def _limited(command: Callable[..., Any]) -> Callable[..., Any]:
    """Options of the commands that explore several compositions of one model: limits, and the form of the report."""
    for option in (
        click.option("--no-timing", is_flag=True, help="Leave out versions and seconds, so that output can be compared."),
        click.option("--no-story", is_flag=True, help="Tell no stories."),
        click.option("-o", "--output", metavar="FILE", help="Write the report here instead."),
        click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", help="Default: text."),
        click.option("--timeout", type=click.FloatRange(min=0, min_open=True), metavar="SECONDS", help="For each exploration."),
        click.option("--max-memory", type=click.IntRange(min=1), metavar="MIB", help="Use at most so much memory."),
        click.option("--max-states", type=click.IntRange(min=1), metavar="N", help="Explore at most N states at a time."),
        _setting,
        click.option("--scenario", "scenarios", multiple=True, metavar="NAME", help="Where (repeatable), if there are several."),
    ):
        command = option(command)
    return command


def _scenarios(model: syntax.Model, names: Sequence[str]) -> tuple[str, ...]:
    """The chosen scenarios, or the only one."""
    from txweave.collect import suggestion

    if not names and len(model.scenarios) != 1:
        raise click.UsageError(f"say which scenario with --scenario: {', '.join(model.scenarios)}")
    for name in names:
        if name not in model.scenarios:
            raise click.UsageError(f"there is no scenario {name!r}{suggestion(name, model.scenarios)}")
    return tuple(dict.fromkeys(names or model.scenarios))


def _named(values: Sequence[str]) -> tuple[str, ...]:
    """Names that were given one by one or with commas between them."""
    return tuple(dict.fromkeys(name.strip() for value in values for name in value.split(",") if name.strip()))


def _loaded(paths: Sequence[str]) -> dict[str, syntax.Fix]:
    """Fixes by path; what is wrong with one is shown, and ends the command."""
    from txweave.compose import load_fixes
    from txweave.spec.diagnostics import SpecError

    try:
        with _usage():
            return load_fixes(paths)
    except SpecError as error:
        _show_errors([("", error.diagnostics)])
        sys.exit(2)


def _report(output: str | None, document: str | None, write: Callable[[Console], None]) -> None:
    """The report, as text or as the JSON document that is given, on standard output or in a file."""
    try:
        if output is not None:
            with Path(output).open("w", encoding="utf-8") as file:
                if document is not None:
                    file.write(document)
                else:
                    write(_console(file))
            return
    except OSError as error:
        raise _Failure(f"cannot write {output}: {error.strerror}") from error
    with _patient():
        if document is not None:
            click.echo(document, nl=False)
        else:
            write(_console())
        sys.stdout.flush()


_REPAIR_HELP = """Find every minimal set of fixes under which the required properties hold.

Minimal means that no subset will do; larger sets are no safer for being larger, and are not recommended. A set whose
fixes do not fit together is ill-formed, neither good nor bad. One exploration decides many sets: its counterexample is replayed
on the others. With several scenarios a set must be good in all of them.

\b
txweave repair specs/airflow/backfill-3.1.6.model.yaml --fixes specs/airflow \\
    --require P1_no_premature_completion,P2_never_blocked --scenario orphan --at-most 2
"""


@cli.command(
    help=_REPAIR_HELP,
    epilog="Exit status: 0 a set was found and every set is decided; 1 no set is good; 2 the command or a specification is wrong; "
    "3 something is undecided (a limit, a bound, not modelled, Ctrl-C); 4 a self-check failed.",
)
@click.argument("model")
@click.option(
    "--fixes", "folders", multiple=True, required=True, metavar="DIR", help="Where the fixes are, or one fix file (repeatable)."
)
@click.option("--require", "required", multiple=True, required=True, metavar="P,…", help="Properties that must hold (repeatable).")
@click.option(
    "--assume",
    "assumed",
    multiple=True,
    metavar="WHAT,…",
    help="no-crash, no-hang or no-errors: such faults do not happen. A fix file: every set has it (repeatable).",
)
@click.option("--at-most", type=click.IntRange(min=0), metavar="N", help="Only sets of at most N fixes.")
@_limited
def repair(
    model: str,
    folders: tuple[str, ...],
    required: tuple[str, ...],
    assumed: tuple[str, ...],
    at_most: int | None,
    scenarios: tuple[str, ...],
    settings: tuple[tuple[str, str], ...],
    max_states: int | None,
    max_memory: int | None,
    timeout: float | None,
    form: str,
    output: str | None,
    no_story: bool,
    no_timing: bool,
) -> None:
    """Find every minimal set of fixes under which the required properties hold."""
    from txweave.check import Options
    from txweave.collect import FIX, Choice, suggestion
    from txweave.compose import ASSUMPTIONS, Composer
    from txweave.repair import Listener
    from txweave.repair import repair as search

    words = _named(assumed)
    for word in words:
        if word not in ASSUMPTIONS and not word.endswith(FIX):
            raise click.BadParameter(f"{word!r} is no assumption and no fix file{suggestion(word, ASSUMPTIONS)}")
    found = _model(model, Choice())
    where = _scenarios(found, scenarios)
    always = _loaded([word for word in words if word not in ASSUMPTIONS])
    fixes = _loaded(folders)
    composer = Composer(model, found, settings, tuple(w for w in words if w in ASSUMPTIONS), tuple(always.values()))
    options = Options(max_states=max_states, max_memory=max_memory, timeout=timeout)
    with _usage(), _wrong(model), _interruptible() as stop, _progress(1, quiet=False) as listener:
        told = Listener(listener.begins, listener.progress)
        result = search(
            composer, list(fixes.values()), where, _named(required), at_most=at_most, options=options, listener=told, stop=stop
        )
    document = None
    if form == "json":
        from txweave.report.json import dumps
        from txweave.report.repair import document as as_json

        document = dumps(as_json(result, timing=not no_timing))

    def write(console: Console) -> None:
        from txweave.report.repair import RepairWriter
        from txweave.report.text import Writer

        RepairWriter(Writer(console), stories=not no_story).result(result)

    _report(output, document, write)
    sys.exit(int(result.exit))


_COMPARE_HELP = """Put a model beside itself with fixes.

The bare model comes first, then one composition for each --with. Where the verdicts on a property differ, the counterexample of
one is followed on the others: where they part, and why.

\b
txweave compare specs/backfill.model.yaml --with specs/exists-guard.fix.yaml
"""


@cli.command(
    help=_COMPARE_HELP,
    epilog="Exit status: 0 every verdict is decided; 2 the command or a specification is wrong; 3 a verdict is unknown; "
    "4 a self-check failed.",
)
@click.argument("model")
@click.option(
    "--with", "sets", multiple=True, required=True, metavar="FILE,…", help="Fixes that are applied together (repeatable)."
)
@click.option("--property", "properties", multiple=True, metavar="NAME", help="Only this property (repeatable).")
@_limited
def compare(
    model: str,
    sets: tuple[str, ...],
    properties: tuple[str, ...],
    scenarios: tuple[str, ...],
    settings: tuple[tuple[str, str], ...],
    max_states: int | None,
    max_memory: int | None,
    timeout: float | None,
    form: str,
    output: str | None,
    no_story: bool,
    no_timing: bool,
) -> None:
    """Put a model beside itself with fixes."""
    from txweave.check import Options
    from txweave.collect import Choice
    from txweave.compare import Listener
    from txweave.compare import compare as side_by_side
    from txweave.compose import Composer

    found = _model(model, Choice())
    where = _scenarios(found, scenarios)
    chosen = [list(_loaded(_named([value])).values()) for value in sets]
    options = Options(properties=_named(properties), max_states=max_states, max_memory=max_memory, timeout=timeout)
    composer = Composer(model, found, settings)
    total = len(where) * (len(chosen) + 1)
    with _usage(), _wrong(model), _interruptible() as stop, _progress(total, quiet=False) as listener:
        told = Listener(listener.begins, listener.progress, listener.done)
        result = side_by_side(composer, chosen, where, options, told, stop)
    _show_errors([(case.path, case.errors) for row in result.cases for case in row])
    document = None
    if form == "json":
        from txweave.report.compare import document as as_json
        from txweave.report.json import dumps

        document = dumps(as_json(result, timing=not no_timing))

    def write(console: Console) -> None:
        from txweave.report.compare import ComparisonWriter
        from txweave.report.text import Writer

        ComparisonWriter(Writer(console), stories=not no_story).result(result)

    _report(output, document, write)
    sys.exit(int(result.exit))


@contextmanager
def _wrong(path: str) -> Iterator[None]:
    """Shows what is wrong with a specification, and ends the command."""
    from txweave.spec.diagnostics import SpecError

    try:
        yield
    except SpecError as error:
        _show_errors([(path, error.diagnostics)])
        sys.exit(2)


# ----------------------------------------------------------------------------------------------- show, simulate, graph


def _model(path: str, choice: Choice) -> syntax.Model:
    """A model with fixes and settings; what is wrong is shown, and ends the command."""
    from txweave.collect import FIX, STUDY, changed_model, find_files
    from txweave.spec.diagnostics import SpecError
    from txweave.spec.load import load_fix, load_model

    if path.endswith((STUDY, FIX)):
        raise click.UsageError(f"{path} is no model: name the *.model.yaml file, and fixes with --fix")
    with _usage():
        find_files((path,))
    if Path(path).is_dir():
        raise click.UsageError(f"{path} is a directory: name a model")
    try:
        return changed_model(load_model(path), [load_fix(name) for name in choice.fixes], choice)
    except SpecError as error:
        _show_errors([(path, error.diagnostics)])
        sys.exit(2)


def _scenario(model: syntax.Model, path: str, scenario: str | None, choice: Choice) -> Any:
    """One scenario of a model, as a case."""
    from txweave.collect import Selected, suggestion
    from txweave.spec import syntax as words

    if scenario is None:
        if len(model.scenarios) != 1:
            raise click.UsageError(f"say which scenario with --scenario: {', '.join(model.scenarios)}")
        scenario = next(iter(model.scenarios))
    if scenario not in model.scenarios:
        raise click.UsageError(f"there is no scenario {scenario!r}{suggestion(scenario, model.scenarios)}")
    span = model.scenarios[scenario].name.span()
    settings = tuple((name, model.parameters[name].value) for name, _ in choice.settings)
    return Selected(path, "", words.Case(scenario, span, model, scenario, model.fixes, settings))


def _prepared(path: str, scenario: str | None, choice: Choice) -> tuple[Any, Any]:
    from txweave.check import prepare
    from txweave.spec.diagnostics import SpecError

    selected = _scenario(_model(path, choice), path, scenario, choice)
    try:
        return prepare(selected)
    except SpecError as error:
        _show_errors([(path, error.diagnostics)])
        sys.exit(2)


@cli.command()
@click.argument("model")
@_changing
@click.option("--graph", "procedure", metavar="PROCEDURE", help="A procedure's state machine, as a Mermaid diagram.")
def show(model: str, fixes: tuple[str, ...], settings: tuple[tuple[str, str], ...], procedure: str | None) -> None:
    """Show a model as it is with its fixes and settings."""
    from txweave.collect import Choice, suggestion

    found = _model(model, Choice(fixes=fixes, settings=settings))
    if procedure is None:
        from txweave.spec.render import render_model

        click.echo(render_model(found), nl=False)
        return
    if procedure not in found.procedures:
        raise click.UsageError(f"there is no procedure {procedure!r}{suggestion(procedure, found.procedures)}")
    from txweave.report.mermaid import procedure_diagram

    click.echo(procedure_diagram(found.procedures[procedure]), nl=False)


@cli.command()
@click.argument("model")
@_changing
@click.option("--scenario", metavar="NAME", help="Which one, if the model has several.")
@click.option("--seed", type=int, help="Repeat a walk.")
@click.option("--steps", type=click.IntRange(min=0), default=30, help="At most so many (default: 30).")
def simulate(
    model: str,
    fixes: tuple[str, ...],
    settings: tuple[tuple[str, str], ...],
    scenario: str | None,
    seed: int | None,
    steps: int,
) -> None:
    """Take one random walk and tell it.

    At each step every process that can move is equally likely; faults and errors get one chance in ten together. The seed
    is printed, and repeats the walk.
    """
    import random

    from txweave.collect import Choice
    from txweave.report.text import Style, Writer
    from txweave.simulate import walk
    from txweave.view import keys_of

    bound, system = _prepared(model, scenario, Choice(fixes=fixes, settings=settings))
    if seed is None:
        seed = random.SystemRandom().randrange(1_000_000)
    writer = Writer(_console(), Style())
    writer.walk(walk(system, keys_of(bound), seed, steps), f"{model}  seed {seed}")


@cli.command()
@click.argument("model")
@_changing
@click.option("--scenario", metavar="NAME", help="Which one, if the model has several.")
@click.option("--format", "form", type=click.Choice(["dot", "graphml", "json"]), default="dot", help="Default: dot.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="States at most (default: 250 for dot, else 20,000).")
@click.option("-o", "--output", metavar="FILE", help="Write to a file.")
def graph(
    model: str,
    fixes: tuple[str, ...],
    settings: tuple[tuple[str, str], ...],
    scenario: str | None,
    form: str,
    limit: int | None,
    output: str | None,
) -> None:
    """The explored states and transitions as a graph."""
    from txweave.collect import Choice
    from txweave.graph import TooManyStates, render_graph
    from txweave.view import keys_of

    bound, system = _prepared(model, scenario, Choice(fixes=fixes, settings=settings))
    most = limit or (250 if form == "dot" else 20_000)
    try:
        text = render_graph(system, keys_of(bound), form, most)
    except TooManyStates as error:
        raise click.UsageError(str(error)) from error
    if output is None:
        click.echo(text, nl=False)
        return
    try:
        Path(output).write_text(text, encoding="utf-8")
    except OSError as error:
        raise _Failure(f"cannot write {output}: {error.strerror}") from error


# -------------------------------------------------------------------------------------------------------------- explain


@cli.command()
@click.argument("code", required=False)
def explain(code: str | None) -> None:
    """Explain the CODE of an error message; without one, list all codes."""
    from txweave.explain import codes, explanation

    known = codes()
    if code is None:
        for name, (title, _) in known.items():
            click.echo(f"{name}  {title}")
        return
    text = explanation(code.upper(), known)
    if text is None:
        from txweave.collect import suggestion

        raise click.UsageError(f"there is no code {code!r}{suggestion(code.upper(), known)}; txweave explain lists all")
    click.echo(text, nl=False)


cli.add_command(replay_command)
cli.add_command(conform_command)


# ----------------------------------------------------------------------------------------------------------------- main


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command; the one place where whatever goes wrong becomes a message and an exit status."""
    try:
        with _patient():
            cli.main(args=list(arguments) if arguments is not None else None, prog_name="txweave", standalone_mode=False)
            sys.stdout.flush()
    except click.exceptions.Exit as error:
        sys.exit(error.exit_code)
    except click.Abort:
        click.echo("aborted", err=True)
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except KeyboardInterrupt:
        click.echo("aborted", err=True)
        sys.exit(130)
    except Exception as error:
        if os.environ.get("TXWEAVE_DEBUG"):
            raise
        click.echo(f"txweave: internal error: {type(error).__name__}: {error}\n{REPORT}", err=True)
        sys.exit(4)
