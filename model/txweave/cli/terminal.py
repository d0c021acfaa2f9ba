"""What every command shares of the terminal: the console, errors, progress, Ctrl-C, pipes that close, report files."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.console import Console

    from txweave.spec.diagnostics import Diagnostic

REPORT = "This is a fault of txweave, not of your specification. Please report it; TXWEAVE_DEBUG=1 shows where it happened."


class Failure(click.ClickException):
    """Something outside went wrong: a file that cannot be written."""

    exit_code = 2


def console(file: Any = None, *, stderr: bool = False) -> Console:
    """A console: as wide as the terminal, or 100 columns (``COLUMNS`` says otherwise) where there is none."""
    from rich.console import Console

    class Patient(Console):
        """Leaves a closed pipe to us: rich would end the program with a status of its own."""

        def on_broken_pipe(self) -> None:
            raise BrokenPipeError

    stream = file or (sys.stderr if stderr else sys.stdout)
    width = None
    if not stream.isatty():
        columns = os.environ.get("COLUMNS", "")
        width = int(columns) if columns.isdigit() and int(columns) >= 40 else 100
    return Patient(file=stream, width=width, highlight=False, force_terminal=None if stream.isatty() else False)


def show_errors(errors: Sequence[tuple[str, tuple[Diagnostic, ...]]]) -> None:
    """Each thing that is wrong in a specification, once, on standard error."""
    shown: set[str] = set()
    for _, found in errors:
        for item in found:
            text = item.render()
            if text not in shown:
                shown.add(text)
                click.echo(text + "\n", err=True)
    codes = sorted({item.code for _, found in errors for item in found})
    if codes:
        click.echo(f"txweave explain {codes[0]} tells more.", err=True)


@contextmanager
def patient() -> Iterator[None]:
    """Whoever reads us may stop reading (``| head``): nothing more is written, and the exit status stays what it is."""
    try:
        yield
    except BrokenPipeError:
        # Python flushes when it ends, and would complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextmanager
def usage() -> Iterator[None]:
    """Turns what the command asked wrongly into a message and exit status 2."""
    from txweave.collect import Usage

    try:
        yield
    except Usage as error:
        raise click.UsageError(str(error)) from error


@contextmanager
def interruptible() -> Iterator[Callable[[], bool]]:
    """Ctrl-C once ends with what is known, twice aborts."""
    import signal

    pressed = False

    def note(signum: int, frame: Any) -> None:  # noqa: ARG001
        nonlocal pressed
        if pressed:
            raise KeyboardInterrupt
        pressed = True
        click.echo("\ninterrupted: ending with what is known (once more to abort)", err=True)

    try:
        before = signal.signal(signal.SIGINT, note)
    except ValueError:  # not the main thread: whoever runs it there handles Ctrl-C
        yield lambda: pressed
        return
    try:
        yield lambda: pressed
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def progress(total: int, quiet: bool) -> Iterator[Any]:
    """On a terminal one line on standard error says how far the exploration is; elsewhere nothing does."""
    from txweave.run import Listener

    if quiet or not sys.stderr.isatty() or total == 0:
        yield Listener()
        return
    from txweave.report.progress import Ticker

    with Ticker(console(stderr=True), total) as ticker:
        yield Listener(ticker.begins, ticker.progress, ticker.done)


def write_report(output: str | None, document: str | None, write: Callable[[Console], None]) -> None:
    """The report, as text or as the JSON document that is given, on standard output or in a file."""
    try:
        if output is not None:
            with Path(output).open("w", encoding="utf-8") as file:
                if document is not None:
                    file.write(document)
                else:
                    write(console(file))
            return
    except OSError as error:
        raise Failure(f"cannot write {output}: {error.strerror}") from error
    with patient():
        if document is not None:
            click.echo(document, nl=False)
        else:
            write(console())
        sys.stdout.flush()
