"""One line on standard error that says how far a check is."""

from __future__ import annotations

from types import TracebackType

from rich.console import Console
from rich.status import Status

from txweave.collect import Selected
from txweave.results import CaseResult
from txweave.verdict import Progress


class Ticker:
    """Shows the case, the engine, and its depth, states, rate and frontier; gone when the check ends."""

    def __init__(self, console: Console, total: int) -> None:
        self.console, self.total, self.finished = console, total, 0
        self.status = Status("", console=console, refresh_per_second=4)

    def __enter__(self) -> Ticker:
        self.status.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.status.stop()

    def begins(self, selected: Selected) -> None:
        """A case begins."""
        self._show(f"{selected.case.name}")

    def progress(self, selected: Selected, engine: str, progress: Progress) -> None:
        """An engine reports."""
        parts = [f"{selected.case.name}", engine, f"depth {progress.depth}"]
        if progress.states:
            rate = progress.states / progress.seconds if progress.seconds > 0 else 0
            parts += [f"{progress.states:,} states", f"{rate:,.0f}/s", f"frontier {progress.frontier:,}"]
        else:
            parts.append(f"{progress.seconds:.0f} s")
        self._show(" · ".join(parts))

    def done(self, result: CaseResult) -> None:  # noqa: ARG002 - only that it is done matters here
        """A case is done."""
        self.finished += 1
        self._show("")

    def _show(self, words: str) -> None:
        from rich.text import Text

        count = f"{min(self.finished + 1, self.total)}/{self.total} " if self.total > 1 else ""
        self.status.update(Text(count + words))
