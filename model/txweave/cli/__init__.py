"""The command ``txweave``; one module for each family of subcommands.

Results go to standard output, errors and progress to standard error.  What is slow to import (rich, Z3, networkx, sqlglot) is
imported by the command that needs it, so that ``txweave --help`` answers at once.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import click

import txweave
from txweave.cli.certificates import verify_certificate
from txweave.cli.check import check
from txweave.cli.compositions import compare, repair
from txweave.cli.diff import diff
from txweave.cli.explain import explain
from txweave.cli.explore import graph, show, simulate
from txweave.cli.export import export
from txweave.cli.replay import conform, replay
from txweave.cli.start import init, schema
from txweave.cli.terminal import REPORT, patient


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


_COMMANDS = (
    *(check, diff, repair, compare, verify_certificate, replay, conform),
    *(show, simulate, graph, export, explain, init, schema),
)
for _command in _COMMANDS:
    cli.add_command(_command)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command; the one place where whatever goes wrong becomes a message and an exit status."""
    try:
        with patient():
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
