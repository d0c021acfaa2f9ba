"""The commands that look at one model: ``txweave show``, ``simulate`` and ``graph``."""

from __future__ import annotations

from pathlib import Path

import click

from txweave.cli.models import diagnosed, loaded_model, one_scenario, prepared
from txweave.cli.options import changing
from txweave.cli.terminal import Failure, console
from txweave.cli.traces import is_trace, loaded_trace, refuse_options


@click.command()
@click.argument("source", metavar="MODEL|TRACE", type=click.Path())
@changing
@click.option("--graph", "procedure", metavar="PROCEDURE", help="A procedure's state machine, as a Mermaid diagram.")
@click.pass_context
def show(
    context: click.Context, source: str, fixes: tuple[str, ...], settings: tuple[tuple[str, str], ...], procedure: str | None
) -> None:
    """Show a model as it is with its fixes and settings, or tell the story of a trace.

    A TRACE is a file that check --traces or simulate --save wrote. It is looked up, step by step, in its specification as that is
    now; a step that is not possible any more is named, with exit status 2.
    """
    from txweave.collect import Choice, suggestion

    if is_trace(source):
        refuse_options(context, ("fixes", "settings", "procedure"))
        _tell(source)
        return
    found = loaded_model(source, Choice(fixes=fixes, settings=settings))
    if procedure is None:
        from txweave.spec.render import render_model

        click.echo(render_model(found), nl=False)
        return
    if procedure not in found.procedures:
        raise click.UsageError(f"there is no procedure {procedure!r}{suggestion(procedure, found.procedures)}")
    from txweave.report.mermaid import procedure_diagram

    click.echo(procedure_diagram(found.procedures[procedure]), nl=False)


def _tell(path: str) -> None:
    """The story of a trace file, as ``txweave check`` tells it."""
    from txweave.report.story import step_of, tell
    from txweave.report.text import Style, Writer
    from txweave.simulate import Walk
    from txweave.view import evaluate

    run = loaded_trace(path)
    writer = Writer(console(), Style())
    if run.file.property:
        source = run.selected.case.model.properties.get(run.file.property)
        writer.story(tell(run.trace, run.file.property, run.viewer, source), f"{run.selected.case.name}  {run.file.property}")
        return
    states = run.trace.states
    steps = [step_of(run.viewer, n, taken.action, states[n - 1], taken.state) for n, taken in enumerate(run.trace.steps, 1)]
    ended = f"after {len(steps)} step{'' if len(steps) == 1 else 's'}, where the trace ends"
    broken: dict[str, int] = {}
    for item in run.system.properties:
        if item.kind == "never" and item.rows is not None:
            first = next((number for number, state in enumerate(states) if evaluate(item.rows.some, state) is True), None)
            if first is not None:
                broken[item.name] = first
    writer.walk(Walk(0, run.viewer.view(states[0]), tuple(steps), ended, tuple(broken.items())), path)


@click.command()
@click.argument("model", type=click.Path())
@changing
@click.option("--scenario", metavar="NAME", help="Which one, if the model has several.")
@click.option("--seed", type=int, help="Repeat a walk.")
@click.option("--steps", type=click.IntRange(min=0), default=30, help="At most so many (default: 30).")
@click.option("--save", metavar="FILE", type=click.Path(), help="Write the walk as a trace (*.trace.json) as well.")
def simulate(
    model: str,
    fixes: tuple[str, ...],
    settings: tuple[tuple[str, str], ...],
    scenario: str | None,
    seed: int | None,
    steps: int,
    save: str | None,
) -> None:
    """Take one random walk and tell it.

    At each step every process that can move is equally likely; faults and errors get one chance in ten together. The seed
    is printed, and repeats the walk.
    """
    import random

    from txweave.check import prepare
    from txweave.collect import Choice
    from txweave.report.text import Style, Writer
    from txweave.simulate import walk
    from txweave.view import keys_of

    if save is not None and not is_trace(save):
        raise click.UsageError(f"a trace is a JSON file: call it {save}.trace.json")
    choice = Choice(fixes=fixes, settings=settings)
    selected = one_scenario(loaded_model(model, choice), model, scenario, choice)
    with diagnosed(model):
        bound, system = prepare(selected)
    if seed is None:
        seed = random.SystemRandom().randrange(1_000_000)
    walked = walk(system, keys_of(bound), seed, steps)
    Writer(console(), Style()).walk(walked, f"{model}  seed {seed}")
    if save is not None:
        from txweave.tracefile import TraceError, record, write

        # A step that leads out of bounds is the end of what is modelled, and no step of a run.
        inside = [step for step in walked.steps if not step.state.bound]
        try:
            write(save, record(selected, inside, fixes))
        except TraceError as error:
            raise Failure(str(error)) from error


@click.command()
@click.argument("model")
@changing
@click.option("--scenario", metavar="NAME", help="Which one, if the model has several.")
@click.option(
    "--by", multiple=True, metavar="COLUMN", help="Group the states: table.column, role.status or role.step. May be given again."
)
@click.option("--format", "form", type=click.Choice(["dot", "svg", "graphml", "json"]), default="dot", help="Default: dot.")
@click.option(
    "--limit", type=click.IntRange(min=1), metavar="N", help="States at most (default: 250 for dot without --by, else 20,000)."
)
@click.option("-o", "--output", metavar="FILE", help="Write to a file.")
def graph(
    model: str,
    fixes: tuple[str, ...],
    settings: tuple[tuple[str, str], ...],
    scenario: str | None,
    by: tuple[str, ...],
    form: str,
    limit: int | None,
    output: str | None,
) -> None:
    """The explored states and transitions as a graph.

    With --by states that agree on these columns are one node. A picture (--format svg) needs Graphviz, which
    pip install 'txweave[jupyter]' brings, and is refused where nobody could read it.
    """
    from txweave.cli.terminal import usage
    from txweave.collect import Choice
    from txweave.graph import render_graph
    from txweave.view import keys_of

    bound, system = prepared(model, scenario, Choice(fixes=fixes, settings=settings))
    most = limit or (250 if form == "dot" and not by else 20_000)
    with usage():
        text = render_graph(system, keys_of(bound), form, most, by)
    if output is None:
        click.echo(text, nl=False)
        return
    try:
        Path(output).write_text(text, encoding="utf-8")
    except OSError as error:
        raise Failure(f"cannot write {output}: {error.strerror}") from error
