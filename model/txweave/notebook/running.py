"""A check in a notebook's kernel: it shows how far it is, and interrupting it ends it with what is known."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Any

from txweave.collect import Selected
from txweave.run import Listener
from txweave.verdict import Progress

AFTER = 1.5
"""Seconds after which progress is shown: what is done sooner needs none."""

EVERY = 0.3
"""Seconds between two changes of what is shown."""


@contextmanager
def running() -> Iterator[tuple[Listener, Callable[[], bool] | None]]:
    """Who listens to a check, and what may stop it; outside of a kernel nobody and nothing.

    The first interruption (the kernel's stop button) ends the engine with what it knows, the second one aborts.
    """
    if not _in_a_kernel():
        yield Listener(), None
        return
    line = _Line()
    pressed = False

    def note(signum: int, frame: Any) -> None:  # noqa: ARG001 - the protocol of signal handlers
        nonlocal pressed
        if pressed:
            raise KeyboardInterrupt
        pressed = True

    try:
        before = signal.signal(signal.SIGINT, note)
    except ValueError:  # not the main thread: whoever runs it there handles interruptions
        before = None
    try:
        yield Listener(progress=line.progress), lambda: pressed
    finally:
        if before is not None:
            signal.signal(signal.SIGINT, before)
        line.close()


def _in_a_kernel() -> bool:
    """Whether there is a Jupyter kernel, without importing anything for it."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return getattr(shell, "kernel", None) is not None


class _Line:
    """One line of output that changes, and is empty in the end."""

    def __init__(self) -> None:
        self.started = self.shown = monotonic()
        self.handle: Any = None

    def progress(self, selected: Selected, engine: str, progress: Progress) -> None:
        """An engine reports."""
        now = monotonic()
        if now - self.started < AFTER or now - self.shown < EVERY:
            return
        self.shown = now
        parts = [selected.case.name, engine]
        parts += [f"depth {progress.depth}"] if progress.depth else []
        parts += [f"{progress.states:,} states", f"frontier {progress.frontier:,}"] if progress.states else []
        self._show(" · ".join([*parts, f"{now - self.started:.0f} s"]))

    def close(self) -> None:
        """Nothing is left of it."""
        if self.handle is not None:
            self._show("")

    def _show(self, words: str) -> None:
        from IPython import display

        bundle, show = {"text/plain": words}, vars(display)["display"]
        if self.handle is None:
            self.handle = show(bundle, raw=True, display_id=True)
        else:
            self.handle.update(bundle, raw=True)
