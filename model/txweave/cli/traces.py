"""Trace files that a command names; what is wrong with them is shown, and ends the command."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from txweave.cli.terminal import Failure, show_errors

if TYPE_CHECKING:
    from txweave.tracefile import Rerun


def is_trace(path: str) -> bool:
    """Whether a path that a command is given names a trace file; specifications are YAML."""
    return path.endswith(".json")


def loaded_trace(path: str) -> Rerun:
    """A trace, taken again on its specification as that is now."""
    from txweave.spec.diagnostics import SpecError
    from txweave.tracefile import TraceError, load

    try:
        run = load(path)
    except TraceError as error:
        raise Failure(str(error)) from error
    except SpecError as error:
        show_errors([(path, error.diagnostics)])
        sys.exit(2)
    for note in run.notes:
        click.echo(f"note: {note}", err=True)
    return run


def refuse_options(context: click.Context, names: Sequence[str]) -> None:
    """Options that mean nothing for a trace, which says by itself what it is of."""
    for parameter in context.command.params:
        name = parameter.name or ""
        if name in names and context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE:
            raise click.UsageError(f"a trace says by itself what it is of: leave out {parameter.opts[0]}")
