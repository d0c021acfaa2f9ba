"""What the explicit engine says of a system, held against TLC and SPIN on the exports of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from txweave.engines import explicit
from txweave.export import promela, run, tla
from txweave.system.ground import GroundSystem
from txweave.trace import Trace
from txweave.verdict import Status, Verdict

SECONDS = 500.0


@dataclass(frozen=True)
class Known:
    """The explicit engine's answers; ``transitions`` are those within the bounds."""

    states: int
    transitions: int
    depth: int
    bounds: tuple[str, ...]
    verdicts: Mapping[str, Verdict]

    @property
    def size(self) -> tuple[int, int, int]:
        return self.states, self.transitions, self.depth

    def violated(self, name: str) -> bool:
        return self.verdicts[name].status is Status.VIOLATED

    def length(self, name: str) -> int | tuple[int, int]:
        trace = self.verdicts[name].trace
        assert isinstance(trace, Trace)
        return trace.length


def known(system: GroundSystem) -> Known:
    found = explicit.explore(system, graph=True)
    assert not found.stopped
    assert found.graph is not None
    inside = int((found.graph.targets >= 0).sum())
    return Known(len(found.packed), inside, found.depth, found.bounds_hit, explicit.check(system).verdicts)


def with_tlc(system: GroundSystem, folder: Path, *, live: bool = True) -> list[str]:
    """Where TLC and the explicit engine differ."""
    ours, export = known(system), tla.render(system, system.system.name)
    safe = [name for name, _ in export.invariants]
    within = [bound for bound, _ in export.bounds]
    found = run.run_tlc(
        export,
        _new(folder),
        invariants=[name for name in safe if not ours.violated(name)],
        bounds=[bound for bound in within if bound not in ours.bounds],
        timeout=SECONDS,
    )
    wrong: list[str] = []
    if found.violated is not None:
        return [f"TLC: {found.violated} is violated in {found.length} steps; the explicit engine: it holds"]
    if (found.states, found.generated - 1, found.depth) != ours.size:
        wrong.append(
            f"TLC: {found.states}, {found.generated - 1}, {found.depth} (states, transitions, depth); the engine: {ours.size}"
        )
    for name in safe:
        if ours.violated(name):
            found = run.run_tlc(export, _new(folder), invariants=[name], timeout=SECONDS)
            if (found.violated, found.length) != (name, ours.length(name)):
                wrong.append(f"{name}: TLC: {found.violated}, {found.length}; the engine: violated, {ours.length(name)}")
    for bound in within:
        if bound in ours.bounds:
            found = run.run_tlc(export, _new(folder), bounds=[bound], timeout=SECONDS)
            if found.violated != f"bound {bound}":
                wrong.append(f"TLC does not hit the bound {bound}")
    for name, _ in export.temporal if live else ():
        found = run.run_tlc(export, _new(folder), temporal=[name], timeout=SECONDS)
        if (found.violated is not None) != ours.violated(name):
            wrong.append(f"{name}: TLC: {found.violated or 'holds'}; the engine: {ours.verdicts[name].text}")
    return wrong


def with_spin(system: GroundSystem, folder: Path, *, live: bool = True) -> list[str]:
    """Where SPIN and the explicit engine differ."""
    ours, export = known(system), promela.render(system, system.system.name)
    safe, within = [name for name, _ in export.assertions], [bound for bound, _ in export.bounds]

    def spin(*checks: str, bounds: Sequence[str] = ()) -> run.SpinResult:
        return run.run_spin(export, _new(folder), checks=checks, bounds=bounds, timeout=SECONDS, optimise="-O0")

    found = spin(*(name for name in safe if not ours.violated(name)), bounds=[b for b in within if b not in ours.bounds])
    if found.violated is not None:
        return [f"SPIN: one of {found.violated} is violated in {found.length} steps; the explicit engine: they hold"]
    wrong: list[str] = []
    if (found.states, found.transitions, found.depth) != ours.size:
        wrong.append(
            f"SPIN: {found.states}, {found.transitions}, {found.depth} (states, transitions, depth); the engine: {ours.size}"
        )
    for name in safe:
        if ours.violated(name):
            found = spin(name)
            if (found.violated, found.length) != (name, ours.length(name)):
                wrong.append(f"{name}: SPIN: {found.violated}, {found.length}; the engine: violated, {ours.length(name)}")
    for bound in within:
        if bound in ours.bounds and spin(bounds=[bound]).violated is None:
            wrong.append(f"SPIN does not hit the bound {bound}")
    for name, _ in export.claims if live else ():
        found = spin(name)
        if (found.violated is not None) != ours.violated(name):
            wrong.append(f"{name}: SPIN: {found.violated or 'holds'}; the engine: {ours.verdicts[name].text}")
    return wrong


def _new(folder: Path) -> Path:
    """A folder of its own for every run."""
    number = sum(1 for _ in folder.iterdir())
    path = folder / f"run{number}"
    path.mkdir()
    return path
