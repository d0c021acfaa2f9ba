"""``txweave check --watch``: the check again whenever a file that it reads changes."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TypeAlias

import click

from txweave.collect import Choice, Usage, collect, find_files
from txweave.spec.text import sources

PAUSE = 0.3
"""Seconds between two looks: as often as somebody who saves a file notices, and next to nothing for the machine."""

Snapshot: TypeAlias = dict[str, tuple[int, int]]


def watch(check: Callable[[], int], paths: Sequence[str], choice: Choice, stopped: Callable[[], bool], pause: float = PAUSE) -> int:
    """Checks, waits for a change, and again, until Ctrl-C; returns the last exit status.

    ``stopped`` says whether Ctrl-C came during the check, which then ended with what it knew.
    """
    status = 0
    known: set[Path] = set()
    try:
        while True:
            # Looked at before the check: what is saved while it runs is checked next.
            known |= _read(paths, choice)
            before = snapshot(known, paths)
            if sys.stdout.isatty():
                click.clear()
            status = _status(check)
            if stopped():
                return status
            click.echo(f"watching {len(before)} files (Ctrl-C ends)", err=True)
            while snapshot(known, paths) == before:
                time.sleep(pause)
    except KeyboardInterrupt:
        return status


def _status(check: Callable[[], int]) -> int:
    """The exit status of one check; what is wrong with the command just now is shown, for it may be mended."""
    try:
        return check()
    except click.ClickException as error:
        error.show()
        return 2


def _read(paths: Sequence[str], choice: Choice) -> set[Path]:
    """The files that a check reads, as far as they can be read: studies, models, fixes."""
    try:
        collection = collect(paths, choice)
    except Usage:
        return set()
    found = {Path(file.path) for selected in collection.cases for file in sources(selected.case)}
    found |= {Path(path) for path, _ in collection.errors}
    return found | {Path(item.span.path) for _, errors in collection.errors for item in errors if item.span is not None}


def snapshot(known: Iterable[Path], paths: Sequence[str]) -> Snapshot:
    """When each file was changed last, and its size: those known, those named, and every YAML file beside them.

    Those beside them, because a file that was missing may come.
    """
    files = {*known, *(Path(p) for p in paths if Path(p).is_file())}
    for path in paths:
        if Path(path).is_dir():
            files |= {Path(name) for name, _ in find_files([path])}
            files |= set(Path(path).glob("*.yaml"))
    for folder in {file.parent for file in files}:
        files |= set(folder.glob("*.yaml"))
    found: Snapshot = {}
    for file in files:
        try:
            state = file.stat()
        except OSError:  # gone: that is a change as well
            continue
        found[str(file)] = (state.st_mtime_ns, state.st_size)
    return found
