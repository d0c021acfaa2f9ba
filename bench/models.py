"""The models of the bench, by size."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from txweave.system.ground import GroundSystem

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Model:
    """A case: its file (below the repository), its name there, and the sets it belongs to."""

    name: str
    path: str
    case: str
    sets: tuple[str, ...]


MODELS = (
    Model("lease", "specs/lease/lease.study.yaml", "fenced", ("small",)),
    Model("miniature", "specs/two-commits.study.yaml", "as_written", ("small",)),
    Model("counters", "bench/models/counters.model.yaml", "four", ("medium",)),
    Model("two schedulers", "bench/models/miniature.model.yaml", "two_schedulers", ("medium",)),
    Model("five workers", "bench/models/job-queue.model.yaml", "five_workers", ("large",)),
    Model("queue", "bench/models/queue.model.yaml", "two_workers", ("large",)),
    Model("two-phase commit, 5", "bench/models/two-phase-commit-5.model.yaml", "five_managers", ("wide",)),
    Model("airflow newest", "docs/airflow/deep.study.yaml", "newest", ("wide",)),
    Model("airflow proposal", "docs/airflow/deep.study.yaml", "proposal", ("wide",)),
    Model("three requests", "bench/models/miniature.model.yaml", "three_requests", ("largest",)),
)
SETS = tuple(dict.fromkeys(name for model in MODELS for name in model.sets))


def load(path: str, name: str) -> GroundSystem:
    """A case as a finite system, unreduced.

    Raises:
        SystemExit: there is no such case.
    """
    from txweave.check import prepare
    from txweave.collect import Choice, collect

    found = collect([path], Choice())
    for where, diagnostics in found.errors:
        raise SystemExit(f"{where}: {diagnostics[0].message}")
    for selected in found.cases:
        if selected.case.name == name:
            return prepare(selected)[1]
    raise SystemExit(f"{path} has no case {name}: {', '.join(selected.case.name for selected in found.cases)}")
