"""Wrong rules, planted into the semantics: the walks find each."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from txweave.replay.conform import Walked, machine_of, walk
from txweave.replay.server import Server
from txweave.semantics import constraints, inserts, locking, rowwise, storage, waiting

REGRESSIONS = Path(__file__).parent / "regressions"


def no_second_look(patch: pytest.MonkeyPatch) -> None:
    resume = rowwise.RowByRow._resume

    def careless(self: Any, *arguments: Any) -> Any:
        self.where = lambda: None
        return resume(self, *arguments)

    patch.setattr(rowwise.RowByRow, "_resume", careless)


def locks_go_with_the_statement(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(storage.Storage, "lock_all", lambda *_: None)


def unique_check_does_not_wait(patch: pytest.MonkeyPatch) -> None:
    conflicts = constraints.unique_conflicts
    for module in (constraints, inserts):
        patch.setattr(module, "unique_conflicts", lambda *arguments: (conflicts(*arguments)[0], []))


def key_share_forgotten(patch: pytest.MonkeyPatch) -> None:
    for mode, others in list(storage.CONFLICTS.items()):
        patch.setitem(storage.CONFLICTS, mode, frozenset() if mode == "key share" else others - {"key share"})


def skip_locked_waits(patch: pytest.MonkeyPatch) -> None:
    made = locking.Locking.__init__

    def patient(self: Any, *arguments: Any) -> None:
        made(self, *arguments)
        self.wait = "wait"

    patch.setattr(locking.Locking, "__init__", patient)


def everybody_queues(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(waiting, "CONFLICTS", dict.fromkeys(storage.MODES, frozenset(storage.MODES)))


PLANTED: list[tuple[Callable[[pytest.MonkeyPatch], None], str]] = [
    (no_second_look, "a-row-that-fails-the-second-look"),
    (locks_go_with_the_statement, "subquery-kept-over-two-waits"),
    (unique_check_does_not_wait, "conflict-waits"),
    (key_share_forgotten, "delete-of-a-parent"),
    (skip_locked_waits, "skip-locked"),
    (everybody_queues, "waiters-whose-modes-go-together"),
]


@pytest.mark.parametrize(("plant", "name"), PLANTED, ids=lambda item: getattr(item, "__name__", ""))
def test_a_planted_rule_is_found(
    server: Server, monkeypatch: pytest.MonkeyPatch, plant: Callable[[pytest.MonkeyPatch], None], name: str
) -> None:
    document = yaml.safe_load((REGRESSIONS / f"{name}.yaml").read_text(encoding="utf-8"))
    plant(monkeypatch)
    machine = machine_of(document)
    for number in range(60):
        divergence, _, _ = walk(server, machine, f"planted.{number}", Walked())
        if divergence is not None:
            return
    pytest.fail("60 walks agree with a wrong rule")
