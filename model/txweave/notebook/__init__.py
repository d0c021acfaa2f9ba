"""What Jupyter adds to the library: progress and interruption, and the cell magic ``%%txweave``."""

from __future__ import annotations

from typing import Any


def load_ipython_extension(shell: Any) -> None:
    """What ``%load_ext txweave`` does."""
    from txweave.notebook.magic import register

    register(shell)
