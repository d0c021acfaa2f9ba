"""The command ``txweave export``."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from txweave.cli.options import changing
from txweave.cli.terminal import Failure, show_errors, usage
from txweave.cli.traces import is_trace, loaded_trace, refuse_options

if TYPE_CHECKING:
    from txweave.collect import Choice

REFUSED = 3
"""Exit status when something cannot be said in the form that was asked for."""

_OF_TRACES = ("isolationtester", "pytest")
_OF_SPECIFICATIONS = ("tla", "promela")


@click.command(
    epilog="Exit status: 0 written; 2 the command, the specification or the trace is wrong; "
    "3 something cannot be said in that form (standard error says what)."
)
@click.argument("source", metavar="TRACE|SPEC", type=click.Path())
@click.option("--to", "form", type=click.Choice([*_OF_TRACES, *_OF_SPECIFICATIONS]), required=True, help="The form.")
@click.option("--case", metavar="NAME", help="Of a study: which one, if it has several.")
@changing
@click.option("--scenario", metavar="NAME", help="Of a model: which one, if it has several.")
@click.option(
    "-o",
    "--output",
    metavar="PATH",
    help="Of a trace: a file (default: standard output). Of a specification: a directory (default: here).",
)
@click.pass_context
def export(
    context: click.Context,
    source: str,
    form: str,
    case: str | None,
    fixes: tuple[str, ...],
    settings: tuple[tuple[str, str], ...],
    scenario: str | None,
    output: str | None,
) -> None:
    """Write a trace as a test of the database, or a specification for another model checker.

    A TRACE (a file that check --traces or simulate --save wrote) becomes a specification of PostgreSQL's isolation tester
    (isolationtester), or a test file that runs without txweave (pytest). One case of a study, or one scenario of a model, becomes
    a TLA+ module with its TLC configurations (tla), or a Promela model (promela).
    """
    if is_trace(source):
        if form not in _OF_TRACES:
            raise click.UsageError(f"{form} takes a specification, and {source} is a trace: name the model, or a study with --case")
        refuse_options(context, ("case", "fixes", "settings", "scenario"))
        _trace(source, form, output)
    else:
        if form not in _OF_SPECIFICATIONS:
            raise click.UsageError(
                f"{form} takes a trace: write one with txweave check --traces DIRECTORY, or simulate --save FILE"
            )
        from txweave.collect import Choice

        chosen = tuple(name for name in (case,) if name is not None), tuple(name for name in (scenario,) if name is not None)
        _specification(source, form, Choice(*chosen, fixes, settings), output)


def _trace(path: str, form: str, output: str | None) -> None:
    from txweave.export import isolationtester, pytest_test
    from txweave.export.script import InexpressibleError, script
    from txweave.tracefile import SUFFIX

    run = loaded_trace(path)
    name = re.sub(r"\W+", "_", Path(path).name.removesuffix(SUFFIX).removesuffix(".json")).strip("_").lower()
    try:
        made = script(run, name if name and not name[0].isdigit() else f"trace_{name}")
        text = isolationtester.render(made) if form == "isolationtester" else pytest_test.render(made)
    except InexpressibleError as error:
        click.echo(f"{path}: this cannot be said for {form}: {error}", err=True)
        sys.exit(REFUSED)
    for note in made.notes:
        click.echo(f"note: {note}", err=True)
    if output is None:
        click.echo(text, nl=False)
    else:
        _write(Path(output), text)


def _specification(path: str, form: str, choice: Choice, output: str | None) -> None:
    from txweave.check import prepare
    from txweave.cli.models import diagnosed
    from txweave.collect import collect
    from txweave.export import promela, tla

    with usage():
        collection = collect((path,), choice)
    if collection.errors:
        show_errors(collection.errors)
        sys.exit(2)
    if len(collection.cases) != 1:
        raise click.UsageError(f"say which with --case or --scenario: {', '.join(s.case.name for s in collection.cases)}")
    (selected,) = collection.cases
    case = selected.case
    with diagnosed(path):
        _, system = prepare(selected)
    words = [case.model.title or case.model.name.value, case.name if selected.study else case.scenario]
    made: Any = (tla if form == "tla" else promela).render(system, ", ".join(words))
    for name, text in made.files:
        target = Path(output or ".") / name
        _write(target, text)
        click.echo(str(target))
    for sentence in made.refused:
        click.echo(f"{path}: this cannot be said for {form}: {sentence}", err=True)
    if made.refused:
        sys.exit(REFUSED)


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise Failure(f"cannot write {path}: {error.strerror}") from error
