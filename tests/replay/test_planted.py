"""Wrong rules, planted into the semantics: each is found by a published script, by a walk that once failed, by generated walks.

What finds a rule is named beside it, and finds nothing in the semantics as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from test_published import SCRIPTS, driven, machine_of, published

from txweave.replay import conform
from txweave.replay.generate import generate
from txweave.replay.replay import Divergence, Replay
from txweave.replay.server import Server
from txweave.semantics import constraints, inserts, locking, process, rowwise, statements, storage, waiting
from txweave.system import expr as x

REGRESSIONS = Path(__file__).parent / "regressions"
TRIES = 60
"""So many walks of a specification may take to find a wrong rule."""


def no_second_look(patch: pytest.MonkeyPatch) -> None:
    """After a wait the row is taken whether it still matches or not."""
    resume = rowwise.RowByRow._resume

    def careless(self: Any, *arguments: Any) -> Any:
        self.where = lambda: None
        return resume(self, *arguments)

    patch.setattr(rowwise.RowByRow, "_resume", careless)


def snapshot_at_the_beginning(patch: pytest.MonkeyPatch) -> None:
    """A query reads what was committed when its transaction began; every process keeps a copy of all tables from then."""
    select = statements._select

    def copies(functions: Any, role: str) -> dict[str, str]:
        committed = [(n, f) for n, f in functions.functions.items() if f.about[0] in ("live", "committed")]
        return {
            name: functions.declare(f"{role}.~then.{name}", [role, *f.params], f.domain, f.initial, ("hidden", "then", role, name))
            for name, f in committed
        }

    def remembers(original: Any) -> Any:
        def begin(self: Any, config: Any, instruction: Any, at: Any, state: Any) -> Any:
            if config.transaction == "none":
                state = state.copy()
                for name, then in copies(self.world.functions, self.name).items():
                    state.write_all(then, lambda p, row, name=name: (x.equal(p, self.process), state.read(name, row)))
            return original(self, config, instruction, at, state)

        return begin

    def old(ctx: Any, node: Any, query: Any, state: Any) -> Any:
        names = copies(ctx.world.functions, ctx.role)
        view = state.copy()
        for name, then in names.items():
            view.write_all(name, lambda row, then=then: (x.TRUE, state.read(then, ctx.process, row)))
        found = select(ctx, node, query, view)
        for outcome in found:
            for name in names:
                if name in state.changed:
                    outcome.state.changed[name] = state.changed[name]
                else:
                    del outcome.state.changed[name]
        return found

    for method in ("_execute", "_transaction"):
        patch.setattr(process.Process, method, remembers(getattr(process.Process, method)))
    patch.setattr(statements, "_select", old)


def locks_go_with_the_statement(patch: pytest.MonkeyPatch) -> None:
    """A statement is one step, so that a lock that goes with it is one that nobody ever meets."""
    patch.setattr(storage.Storage, "conflict", lambda *_: x.FALSE)


def locking_clauses_go_with_the_statement(patch: pytest.MonkeyPatch) -> None:
    """The same for locks without a write only."""
    patch.setattr(storage.Storage, "lock_all", lambda *_: None)


def unique_check_does_not_wait(patch: pytest.MonkeyPatch) -> None:
    """An uncommitted key of another transaction is no conflict."""
    conflicts = constraints.unique_conflicts
    for module in (constraints, inserts):
        patch.setattr(module, "unique_conflicts", lambda *arguments: (conflicts(*arguments)[0], []))


def key_share_forgotten(patch: pytest.MonkeyPatch) -> None:
    """FOR KEY SHARE, and so the check of a foreign key, conflicts with nothing."""
    for mode, others in list(storage.CONFLICTS.items()):
        patch.setitem(storage.CONFLICTS, mode, frozenset() if mode == "key share" else others - {"key share"})


def skip_locked_waits(patch: pytest.MonkeyPatch) -> None:
    """SKIP LOCKED is not read."""
    made = locking.Locking.__init__

    def patient(self: Any, *arguments: Any) -> None:
        made(self, *arguments)
        self.wait = "wait"

    patch.setattr(locking.Locking, "__init__", patient)


def everybody_queues(patch: pytest.MonkeyPatch) -> None:
    """Waiters whose modes go together queue behind each other as well."""
    patch.setattr(waiting, "CONFLICTS", dict.fromkeys(storage.MODES, frozenset(storage.MODES)))


Plant = Callable[[pytest.MonkeyPatch], None]

BY_SCRIPT: list[tuple[Plant, str, str]] = [
    (no_second_look, "pmp-write", "t2 end"),
    (snapshot_at_the_beginning, "g1b", "t2 read_again"),
    (snapshot_at_the_beginning, "otv", "t3 read_y_again"),
    (snapshot_at_the_beginning, "pmp", "t1 find_again"),
    (snapshot_at_the_beginning, "g-single", "t1 read_y"),
    (locks_go_with_the_statement, "g0", "t2 write_x"),
    (locks_go_with_the_statement, "p4", "t2 write"),
]
"""The rule, the script that finds it (``test_published.py``), and the step at which model and server part."""

BY_REGRESSION: list[tuple[Plant, str]] = [
    (no_second_look, "a-row-that-fails-the-second-look"),
    (locks_go_with_the_statement, "a-row-that-fails-the-second-look"),
    (locking_clauses_go_with_the_statement, "subquery-kept-over-two-waits"),
    (unique_check_does_not_wait, "conflict-waits"),
    (key_share_forgotten, "delete-of-a-parent"),
    (skip_locked_waits, "skip-locked"),
    (everybody_queues, "waiters-whose-modes-go-together"),
]
"""The rule, and the smallest specification of a walk that once failed which finds it (``regressions/``)."""

BY_WALK: list[tuple[Plant, str]] = [
    (no_second_look, "5.36"),
    (snapshot_at_the_beginning, "5.12"),
    (locks_go_with_the_statement, "5.4"),
    (locking_clauses_go_with_the_statement, "5.13"),
    (unique_check_does_not_wait, "5.6"),
    (key_share_forgotten, "5.13"),
    (skip_locked_waits, "5.50"),
]
"""The rule, and a generated specification that finds it, of ``txweave conform --walks 600 --seed 5``."""


def named(item: object) -> str | None:
    """The name of a planted rule, for the test's."""
    return getattr(item, "__name__", None)


@pytest.mark.parametrize(("plant", "name", "step"), BY_SCRIPT, ids=named)
def test_a_script_finds_it(server: Server, monkeypatch: pytest.MonkeyPatch, plant: Plant, name: str, step: str) -> None:
    machine, system = machine_of(published(name))
    with Replay(server, machine) as run:
        driven(run, system, SCRIPTS[name])
    plant(monkeypatch)
    machine, system = machine_of(published(name))
    with Replay(server, machine) as run, pytest.raises(Divergence) as found:
        driven(run, system, SCRIPTS[name])
    assert found.value.op.process is not None
    assert f"{found.value.op.process.sort} {found.value.op.step}" == step


def walks_that_differ(server: Server, document: conform.Document, name: str, tries: int) -> int | None:
    """The number of the first walk on which model and server differ."""
    machine = conform.machine_of(document)
    for number in range(tries):
        divergence, _, _ = conform.walk(server, machine, f"{name}.{number}", conform.Walked())
        if divergence is not None:
            return number
    return None


def finds(server: Server, plant: Plant, document: conform.Document, name: str) -> None:
    """With the wrong rule some walk differs; without it none of as many does."""
    with pytest.MonkeyPatch.context() as patch:
        plant(patch)
        number = walks_that_differ(server, document, name, TRIES)
    assert number is not None, f"{TRIES} walks agree with a wrong rule"
    assert walks_that_differ(server, document, name, number + 1) is None


@pytest.mark.parametrize(("plant", "name"), BY_REGRESSION, ids=named)
def test_a_walk_that_once_failed_finds_it(server: Server, plant: Plant, name: str) -> None:
    finds(server, plant, yaml.safe_load((REGRESSIONS / f"{name}.yaml").read_text(encoding="utf-8")), name)


@pytest.mark.parametrize(("plant", "seed"), BY_WALK, ids=named)
def test_generated_walks_find_it(server: Server, plant: Plant, seed: str) -> None:
    finds(server, plant, generate(seed), seed)


def test_generated_walks_find_every_rule_but_one() -> None:
    """Which queue a waiter stands in shows in few walks: the rule about it is found by a specification made for it."""
    every = {plant for plant, *_ in (*BY_SCRIPT, *BY_REGRESSION)}
    assert every - {plant for plant, _ in BY_WALK} == {everybody_queues}
