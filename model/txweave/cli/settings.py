"""``[tool.txweave]`` as the defaults of a command."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from txweave.settings import SettingsError, defaults


class Refused(click.ClickException):
    """A ``pyproject.toml`` that is wrong, as commands say it."""

    exit_code = 2


def load(context: click.Context, parameter: click.Parameter, value: bool) -> bool:  # noqa: ARG001 - what click calls
    """The callback of an eager option: gives the command the file's defaults before any other option is read.

    A command takes the keys that it has an option for.  A value that the option itself would refuse is refused here, where its
    place is known.
    """
    if context.resilient_parsing or value:
        return value
    parameters = {item.name: item for item in context.command.params}
    try:
        found = [setting for setting in defaults() if setting.parameter in parameters]
    except SettingsError as error:
        raise Refused(str(error)) from error
    for setting in found:
        try:
            parameters[setting.parameter].process_value(context, setting.value)
        except click.ClickException as error:
            raise Refused(f"{setting.where}: {error.message}") from error
    context.default_map = {setting.parameter: setting.value for setting in found}
    return value


def configured(command: Callable[..., Any]) -> Callable[..., Any]:
    """Gives a command its defaults from ``[tool.txweave]``, and the option to do without."""
    option = click.option(
        "--no-config", is_flag=True, is_eager=True, expose_value=False, callback=load, help="Ignore [tool.txweave]."
    )
    return option(command)
