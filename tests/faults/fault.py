"""What a planted fault is: a patch that breaks a rule, and the tests that must notice."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Fault:
    """``rule``: what is right, and is broken; ``file``: below the package, or a folder whose files
    are looked through; ``tests``: below ``tests``, as pytest selects them."""

    name: str
    rule: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]
    area: str


FAULTS: list[Fault] = []


def fault(area: str, name: str, rule: str, file: str, old: str, new: str, *tests: str) -> None:
    """Add a fault."""
    FAULTS.append(Fault(name, rule, file, old, new, tests, area))
