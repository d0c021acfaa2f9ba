"""The planted faults: for each rule of the semantics and of the engines a patch that breaks it, and the tests that must notice.

The old text stands exactly once in its file or folder.  A rule may be broken by several faults; the rule says what is right.
The modules ``planted_…`` list them.
"""

from __future__ import annotations

from importlib import import_module

from fault import FAULTS, Fault

__all__ = ["FAULTS", "Fault"]

for _name in ("rows", "constraints", "programs", "search", "proofs", "checks"):
    import_module(f"planted_{_name}")
