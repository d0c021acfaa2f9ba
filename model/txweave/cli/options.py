"""Options that several commands have."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import click


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


setting = click.option(
    "--set", "settings", multiple=True, metavar="NAME=VALUE", callback=_settings, help="Another value of a parameter."
)


def changing(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that change a model."""
    command = setting(command)
    return click.option("--fix", "fixes", multiple=True, metavar="FILE", help="Apply a fix (repeatable).")(command)


unreduced = click.option(
    "--no-reduction",
    is_flag=True,
    help="Count every state, also those that are alike (more than 100,000 are merged where it is safe).",
)
"""The option of the commands that explore."""


def limited(command: Callable[..., Any]) -> Callable[..., Any]:
    """Options of the commands that explore several compositions of one model: limits, and the form of the report."""
    for option in (
        click.option("--no-timing", is_flag=True, help="Leave out versions and seconds, so that output can be compared."),
        click.option("--no-story", is_flag=True, help="Tell no stories."),
        click.option("-o", "--output", metavar="FILE", help="Write the report here instead."),
        click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", help="Default: text."),
        click.option("--timeout", type=click.FloatRange(min=0, min_open=True), metavar="SECONDS", help="For each exploration."),
        click.option("--max-memory", type=click.IntRange(min=1), metavar="MIB", help="Use at most so much memory."),
        click.option("--max-states", type=click.IntRange(min=1), metavar="N", help="Explore at most N states at a time."),
        unreduced,
        setting,
        click.option("--scenario", "scenarios", multiple=True, metavar="NAME", help="Where (repeatable), if there are several."),
    ):
        command = option(command)
    return command


def names_in(values: Sequence[str]) -> tuple[str, ...]:
    """Names that were given one by one or with commas between them."""
    return tuple(dict.fromkeys(name.strip() for value in values for name in value.split(",") if name.strip()))
