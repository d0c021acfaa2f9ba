"""The commands ``txweave replay`` and ``txweave conform``."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from txweave.cli.options import changing
from txweave.cli.terminal import Failure, interruptible, progress, show_errors, usage
from txweave.cli.traces import is_trace, loaded_trace, refuse_options

if TYPE_CHECKING:
    from txweave.replay.cases import CaseReplay

DIVERGED = 4
"""Exit status when the server did what the model does not allow."""


@contextmanager
def _server(dsn: str | None) -> Iterator[Any]:
    """A server for the time of a command; what goes wrong with it is a message."""
    try:
        from txweave.replay.schema import SchemaError
        from txweave.replay.server import Server, ServerError
    except ImportError as error:
        raise Failure(f"the driver is missing ({error}): install txweave[replay]") from error
    try:
        with Server.start(dsn) as server:
            yield server
    except ServerError as error:
        raise Failure(str(error)) from error
    except SchemaError as error:
        raise Failure(f"the server does not take the schema: {error}") from error


_on = click.option("--on", "engine", type=click.Choice(["postgresql"]), default="postgresql", help="Default: postgresql.")
_dsn = click.option("--dsn", metavar="URI", help="A server of yours (in a schema of its own); default: a fresh one from the wheel.")


@click.command(
    "replay",
    epilog="Exit status: 0 all that was replayed agrees; 2 the command, the specification or the trace is wrong, or there is no "
    "server; 3 inconclusive: there was nothing to replay, not all states were explored (--max-states, Ctrl-C), or the server "
    "took another branch that the model allows as well (the victim of a deadlock, an order of rows, a plan); 4 the server did "
    "what the model does not allow. Of several the first in the order 4, 2, 3 counts.",
)
@click.argument("spec", metavar="TRACE|SPEC", type=click.Path())
@_on
@_dsn
@click.option("--case", "cases", multiple=True, metavar="NAME", help="Only this case (repeatable).")
@click.option("--scenario", "scenarios", multiple=True, metavar="NAME", help="Only this scenario (repeatable).")
@click.option("--property", "properties", multiple=True, metavar="NAME", help="Only this property (repeatable).")
@changing
@click.option("--walks", type=click.IntRange(min=0), default=0, metavar="N", help="And so many random walks of every case.")
@click.option("--seed", type=int, default=0, help="Of the walks (default: 0).")
@click.option("--max-states", type=click.IntRange(min=1), metavar="N", help="Explore at most N states of a case.")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", help="Default: text.")
@click.option("-v", "--verbose", is_flag=True, help="Tell every step.")
@click.pass_context
def replay(
    context: click.Context,
    spec: str,
    engine: str,
    dsn: str | None,
    cases: tuple[str, ...],
    scenarios: tuple[str, ...],
    properties: tuple[str, ...],
    fixes: tuple[str, ...],
    settings: tuple[tuple[str, str], ...],
    walks: int,
    seed: int,
    max_states: int | None,
    form: str,
    verbose: bool,
) -> None:
    """Run counterexamples on a real server, and compare after every step.

    TRACE is a file that check --traces or simulate --save wrote; it is looked up in its specification as that is now. SPEC is a
    study, a model or a directory: all its cases are explored, and every counterexample is replayed.
    """
    del engine
    from txweave.collect import Choice, check_properties, collect
    from txweave.replay.cases import Options, replay_case, replay_rerun, status
    from txweave.results import Exit, worst

    if is_trace(spec):
        refuse_options(context, ("cases", "scenarios", "properties", "fixes", "settings", "walks", "seed", "max_states"))
        run = loaded_trace(spec)
        with _server(dsn) as server:
            _finish([_told(replay_rerun(server, run), form, verbose)], [], form, server.version)
        return
    with usage():
        collection = collect((spec,), Choice(cases, scenarios, fixes, settings))
        if not collection.errors:
            check_properties(collection.cases, properties)
    show_errors(collection.errors)
    if not collection.cases:
        sys.exit(int(Exit.ERROR))
    options = Options(properties, walks, seed, max_states)
    done: list[CaseReplay] = []
    with _server(dsn) as server, interruptible() as stop, progress(len(collection.cases), False) as listener:
        for selected in collection.cases:
            if stop():
                break
            if listener.begins is not None:
                listener.begins(selected)
            report = listener.progress
            told = None if report is None else (lambda name, far, chosen=selected, show=report: show(chosen, name, far))
            done.append(_told(replay_case(server, selected, options, told, stop), form, verbose))
            show_errors([(selected.path, done[-1].errors)])
            if listener.done is not None:
                listener.done(done[-1].about)
        left = len(collection.cases) - len(done)
        if left:
            click.echo(f"interrupted: {left} case{'' if left == 1 else 's'} not begun", err=True)
        more = [Exit.ERROR] * bool(collection.errors) + [Exit.INCONCLUSIVE] * bool(left)
        _finish(done, collection.errors, form, server.version, worst([status(done), *more]))


def _told(case: CaseReplay, form: str, verbose: bool) -> CaseReplay:
    """A case, printed as soon as it is done."""
    from txweave.replay.cases import lines

    if form == "text":
        for line in lines(case, verbose=verbose):
            click.echo(line)
    return case


def _finish(done: list[CaseReplay], errors: Any, form: str, version: str, found: Any = None) -> None:
    from txweave.replay.cases import status

    found = status(done) if found is None else found
    if form == "json":
        import json

        from txweave.replay.report import document

        click.echo(json.dumps(document(done, errors, version, found), indent=2, ensure_ascii=False))
    else:
        click.echo(f"PostgreSQL {version}")
    sys.exit(int(found))


@click.command("conform")
@_on
@_dsn
@click.option("--walks", type=click.IntRange(min=1), default=200, metavar="N", help="How many (default: 200).")
@click.option("--seed", type=int, help="Repeat them.")
@click.option("--keep", metavar="DIRECTORY", help="Write the smallest specification of each failure there.")
def conform(engine: str, dsn: str | None, walks: int, seed: int | None, keep: str | None) -> None:
    """Random walks over generated specifications, in the model and on a real server, compared after every step.

    A failure is shrunk to a small specification. Exit status 4 when there is one.
    """
    del engine
    from txweave.replay.conform import conform as walks_of
    from txweave.replay.conform import shrink

    if seed is None:
        seed = random.SystemRandom().randrange(1_000_000)
    with _server(dsn) as server:
        click.echo(f"PostgreSQL {server.version}, seed {seed}")
        found = walks_of(server, walks, seed)
        click.echo(
            f"{found.walks} walks of {found.specs} specifications, {found.steps} steps, {found.waits} waits, "
            f"{found.deadlocks + found.broken_by_server} deadlocks; {found.seconds:.0f} s"
        )
        for what, count in sorted(found.left.items()):
            click.echo(f"  ended where the model ends, {count} times: {what}")
        for failure in found.failures:
            small = shrink(server, failure)
            click.echo(small.text)
            if keep is not None:
                target = Path(keep) / f"walk-{failure.seed}.model.yaml"
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_text(small.text, encoding="utf-8")
        if found.failures:
            sys.exit(DIVERGED)
