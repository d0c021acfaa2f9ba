"""The commands that look at one model: ``txweave show``, ``simulate`` and ``graph``."""

from __future__ import annotations

from pathlib import Path

import click

from txweave.cli.models import loaded_model, prepared
from txweave.cli.options import changing
from txweave.cli.terminal import Failure, console


@click.command()
@click.argument("model")
@changing
@click.option("--graph", "procedure", metavar="PROCEDURE", help="A procedure's state machine, as a Mermaid diagram.")
def show(model: str, fixes: tuple[str, ...], settings: tuple[tuple[str, str], ...], procedure: str | None) -> None:
    """Show a model as it is with its fixes and settings."""
    from txweave.collect import Choice, suggestion

    found = loaded_model(model, Choice(fixes=fixes, settings=settings))
    if procedure is None:
        from txweave.spec.render import render_model

        click.echo(render_model(found), nl=False)
        return
    if procedure not in found.procedures:
        raise click.UsageError(f"there is no procedure {procedure!r}{suggestion(procedure, found.procedures)}")
    from txweave.report.mermaid import procedure_diagram

    click.echo(procedure_diagram(found.procedures[procedure]), nl=False)


@click.command()
@click.argument("model")
@changing
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

    bound, system = prepared(model, scenario, Choice(fixes=fixes, settings=settings))
    if seed is None:
        seed = random.SystemRandom().randrange(1_000_000)
    writer = Writer(console(), Style())
    writer.walk(walk(system, keys_of(bound), seed, steps), f"{model}  seed {seed}")


@click.command()
@click.argument("model")
@changing
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

    bound, system = prepared(model, scenario, Choice(fixes=fixes, settings=settings))
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
        raise Failure(f"cannot write {output}: {error.strerror}") from error
