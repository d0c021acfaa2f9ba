"""The counterexamples of Airflow's models, on a real PostgreSQL: the server does, step by step, what the model says."""

from __future__ import annotations

from pathlib import Path

import pytest

from txweave.check import prepare
from txweave.collect import Choice, Selected, collect
from txweave.engines import explicit
from txweave.replay.machine import Machine
from txweave.replay.replay import Replayed, replay
from txweave.replay.server import Server
from txweave.trace import Trace

SPECS = Path(__file__).parents[2] / "specs" / "airflow"
ALLOWED = {"agrees", "diverged (allowed)"}
"""The second: the server took another branch, and the model has it as well."""


def cases(study: str) -> list[Selected]:
    return [s for s in collect([str(SPECS / f"{study}.study.yaml")], Choice()).cases if violated(s)]


def violated(selected: Selected) -> list[str]:
    return [name for name, expected in selected.case.expect.items() if expected.verdict == "violated"]


def counterexamples(selected: Selected) -> tuple[Machine, dict[str, Trace]]:
    bound, system = prepare(selected)
    # Invariants come first: with them alone the search ends at the last of the violations.
    names = violated(selected)
    found = explicit.check(system, names, first_violation=True)
    traces = {name: found.verdicts[name].trace for name in names}
    return Machine(bound, selected.case.scenario, system.system), {n: t for n, t in traces.items() if t is not None}


def replayed(server: Server, selected: Selected) -> dict[str, Replayed]:
    machine, traces = counterexamples(selected)
    assert list(traces) == violated(selected)
    return {name: replay(server, machine, trace) for name, trace in traces.items()}


@pytest.mark.parametrize(
    ("study", "number"), [("headline", 34), ("handler", 8), ("empty-range", 8), ("schedulers", 3), ("users", 15), ("repairs", 8)]
)
def test_every_counterexample_happens_on_the_server(server: Server, study: str, number: int) -> None:
    outcomes = []
    for selected in cases(study):
        for name, result in replayed(server, selected).items():
            assert result.outcome in ALLOWED, f"{selected.case.name} {name}: {result.detail}\n" + "\n".join(result.log)
            outcomes.append(result.outcome)
    assert len(outcomes) == number
    # Nearly all of them to the last step: in the headline no statement waits, and the server has nothing to choose.
    assert outcomes.count("agrees") == number or study != "headline"


@pytest.mark.parametrize(
    ("study", "case"),
    [
        ("cutoff", "within-3min[cut_off=2min]"),
        ("newest", "lock-errors"),
        ("newest", "pausing"),
        ("proposal", "without-lock-then-check"),
        ("reprocess", "cleared-meanwhile"),
    ],
)
def test_a_sample_of_the_other_studies_happens_on_the_server(server: Server, study: str, case: str) -> None:
    (selected,) = [s for s in cases(study) if s.case.name == case]
    for name, result in replayed(server, selected).items():
        assert result.outcome in ALLOWED, f"{name}: {result.detail}\n" + "\n".join(result.log)
