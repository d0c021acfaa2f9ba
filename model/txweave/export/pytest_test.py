"""A trace as a test that runs without txweave: pytest, psycopg 3 and a PostgreSQL are all that it needs."""

from __future__ import annotations

import textwrap
from importlib.resources import files

import txweave
from txweave.export.script import Command, Datum, Script
from txweave.report.text import clauses

_WIDTH = 96


def render(script: Script) -> str:
    """The test file: what it runs on (``pytest_runner.txt``, the same for all), then the run itself."""
    head = [f"{script.title}: {script.claim}.", "", f"Made by txweave {txweave.__version__} from {script.origin}."]
    notes = [line for note in script.notes for line in textwrap.wrap(f"Note: {note}.", 100)]
    runner = (files("txweave.export") / "pytest_runner.txt").read_text(encoding="utf-8")
    doc = "\n".join([*head, *notes]).replace("\\", "\\\\").replace('"""', "'''")
    setup = "\n".join(f"    {_text(text, 4)}," for text in script.setup)
    sessions = [f"    {name} = database.session({', '.join(_session(script, name))})" for name in script.sessions]
    body = [line for command in script.commands for line in _lines(command)]
    return "\n".join(
        [
            runner.replace("@@DOC@@", doc).replace("@@SETUP@@", setup),
            "",
            f"def test_{script.name}(database):",
            *(sessions or []),
            *body,
            "",
        ]
    )


def _session(script: Script, name: str) -> list[str]:
    found = [_quoted(name)]
    if name in script.victims:
        found.append('deadlock_timeout="2s"')
    elif name in script.survivors:
        found.append('deadlock_timeout="1h"')
    return found


def _lines(command: Command) -> list[str]:
    number = f"{command.number} " if command.number else ""
    lines = [f"    # {number}{command.title}"]
    lines += [f"    {command.session or 'database'}.runs({_quoted(text)})" for text in command.first]
    call = {
        "run": "runs",
        "wait": "waits",
        "resume": "resumes",
        "stay": "still_waits",
        "deadlock": "resumes",
        "crash": "crashes",
        "clock": "runs",
        "check": "query",
    }
    if command.kind == "local":
        return lines
    arguments = [_text(command.sql, 8)] if command.sql else []
    if command.kind in ("wait", "stay") and command.blocker:
        arguments.append(f"blocker={command.blocker}")
    if command.rows is not None and (command.rows or command.exact):
        arguments.append(f"{'rows' if command.exact else 'among'}={_rows(command.rows)}")
    if command.absent:
        arguments.append(f"absent={_rows(command.absent)}")
    if command.count is not None:
        arguments.append(f"count={command.count}")
    if command.error:
        arguments.append(f"error={_quoted(command.error)}")
    if command.several:
        arguments.append("several=True")
    whole = f"    {command.session or 'database'}.{call[command.kind]}({', '.join(arguments)})"
    if "\n" in whole or len(whole) > _WIDTH + 24:
        head = f"    {command.session or 'database'}.{call[command.kind]}("
        return [*lines, head, *(f"        {argument}," for argument in arguments), "    )"]
    return [*lines, whole]


def _rows(rows: tuple[tuple[Datum, ...], ...]) -> str:
    return repr(list(rows))


def _text(sql: str, margin: int) -> str:
    """SQL as a Python literal, over several lines where it is long."""
    shown = clauses(sql, _WIDTH)
    if "\n" not in shown or "\\" in shown or '"""' in shown or shown.endswith('"'):
        return _quoted(shown)
    block = textwrap.indent(shown, " " * margin)
    return f'"""\n{block}\n{" " * margin}"""'


def _quoted(text: str) -> str:
    """A Python literal, in double quotes where that needs no more escapes."""
    plain = repr(text)
    return f'"{plain[1:-1]}"' if plain[0] == "'" and '"' not in text and "\\'" not in plain else plain
