"""The command ``txweave explain``."""

from __future__ import annotations

import click


@click.command()
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
