"""The commands ``txweave replay`` and ``txweave conform``."""

from __future__ import annotations

import random
import sys
from pathlib import Path
from typing import Any

import click

DIVERGED = 4
"""Exit status when the server did what the model does not allow."""


def _server(dsn: str | None) -> Any:
    from txweave.replay.server import Server, ServerError

    try:
        return Server.start(dsn)
    except ServerError as error:
        raise click.UsageError(str(error)) from error
    except ImportError as error:
        raise click.UsageError(f"the driver is missing ({error}): install txweave[replay]") from error


_on = click.option("--on", "engine", type=click.Choice(["postgresql"]), default="postgresql", help="Default: postgresql.")
_dsn = click.option("--dsn", metavar="URI", help="A server of yours (in a schema of its own); default: a fresh one from the wheel.")


@click.command("replay")
@click.argument("spec")
@_on
@_dsn
@click.option("--case", "cases", multiple=True, metavar="NAME", help="Only this case (repeatable).")
@click.option("--scenario", "scenarios", multiple=True, metavar="NAME", help="Only this scenario (repeatable).")
@click.option("--walks", type=click.IntRange(min=0), default=0, metavar="N", help="And so many random walks of every case.")
@click.option("--seed", type=int, default=0, help="Of the walks (default: 0).")
@click.option("--max-states", type=click.IntRange(min=1), metavar="N", help="Explore at most N states of a case.")
@click.option("-v", "--verbose", is_flag=True, help="Tell every step.")
def replay(
    spec: str,
    engine: str,
    dsn: str | None,
    cases: tuple[str, ...],
    scenarios: tuple[str, ...],
    walks: int,
    seed: int,
    max_states: int | None,
    verbose: bool,
) -> None:
    """Run every counterexample of a specification on a real server, and compare after every step.

    Exit status 4 when the server does what the model does not allow. That the server takes another branch that the model
    allows as well (the victim of a deadlock, an order of rows, a plan) is no difference.
    """
    del engine
    from txweave.collect import Choice, collect
    from txweave.engines import explicit
    from txweave.replay.conform import Walked, walk
    from txweave.replay.machine import Machine
    from txweave.replay.replay import replay as run_on
    from txweave.semantics import lower
    from txweave.spec.diagnostics import SpecError
    from txweave.sql.bind import bind_model
    from txweave.system.ground import ground
    from txweave.verdict import Limits

    chosen = collect((spec,), Choice(cases=cases, scenarios=scenarios))
    if not chosen.cases:
        raise click.UsageError(f"{spec} has no case to replay; a model needs a study, or expectations of its own")
    diverged = False
    with _server(dsn) as server:
        click.echo(f"PostgreSQL {server.version}")
        for selected in chosen.cases:
            case = selected.case
            try:
                bound = bind_model(case.model)
                system = ground(lower(bound, case.scenario))
            except SpecError as error:
                raise click.UsageError("\n".join(str(d) for d in error.diagnostics)) from error
            machine = Machine(bound, case.scenario, system.system)
            outcome = explicit.check(system, limits=Limits(max_states=max_states))
            for name, verdict in outcome.verdicts.items():
                if verdict.trace is None:
                    continue
                result = run_on(server, machine, verdict.trace)
                diverged = diverged or result.outcome == "diverged"
                click.echo(f"{case.name}  {name}: {result.outcome} ({result.steps} steps)")
                if result.detail:
                    click.echo("  " + result.detail.replace("\n", "\n  "))
                if verbose or result.outcome == "diverged":
                    click.echo("\n".join("  " + line for line in result.log))
            found = Walked()
            for number in range(walks):
                divergence, run, _ = walk(server, machine, f"{seed}.{number}", found)
                if divergence is not None:
                    diverged = True
                    click.echo(f"{case.name}  walk {seed}.{number}: diverged\n  {divergence}")
                    click.echo("\n".join("  " + line for line in run.log))
            if walks:
                click.echo(f"{case.name}  {walks} walks, {found.steps} steps")
    if diverged:
        sys.exit(DIVERGED)


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
