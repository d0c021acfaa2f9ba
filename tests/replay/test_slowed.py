"""Statements that are stopped in the middle: a step, a wait or a pause of the model explains them (see ``slowed.py``)."""

from __future__ import annotations

import pytest
from slowed import END, Happened, Model, run_slowed, specification, verdict
from test_planted import no_second_look

from txweave.engines import explicit
from txweave.replay.conform import machine_of
from txweave.replay.replay import replay
from txweave.replay.server import Server
from txweave.system.ground import ground

SCHEMA = (
    "CREATE TABLE p (k INTEGER PRIMARY KEY, v INTEGER NOT NULL, u INTEGER NOT NULL);\n"
    "CREATE TABLE c (i INTEGER PRIMARY KEY, r INTEGER REFERENCES p (k) ON DELETE CASCADE);\n"
)
DATA = "INSERT INTO p (k, v, u) VALUES (1, 0, 0), (2, 0, 0), (3, 1, 0);\n"

UPDATE = "UPDATE p SET u = 1 WHERE {gate}v = 0"
ADD = "UPDATE p SET v = v + 1 WHERE {gate}v < 2"
SUBQUERY = "SELECT k, v, (SELECT count(*) FROM c WHERE c.r = p.k) FROM p WHERE {gate}TRUE"
CHILDLESS = "UPDATE p SET u = 1 WHERE {gate}v = 0 AND NOT EXISTS (SELECT 1 FROM c)"
CHILDLESS_ROWS = "SELECT k FROM p WHERE {gate}NOT EXISTS (SELECT 1 FROM c WHERE c.r = p.k) FOR UPDATE"
CHILDREN = "SELECT count(*) FROM c"
LOCK = "SELECT k, v, u FROM p WHERE {gate}v = 0 FOR UPDATE"
SHARE = "SELECT k, v, u FROM p WHERE {gate}v = 0 FOR SHARE"
INSERT = "INSERT INTO c (i, r) SELECT k, k FROM p WHERE {gate}v = 0"
DELETE = "DELETE FROM p WHERE {gate}v = 0"

INSIDE: dict[str, tuple[str, list[str]]] = {
    "update-the-next-row-matches-no-more": (UPDATE, ["UPDATE p SET v = 2 WHERE k = 2", END]),
    "update-the-next-row-still-matches": (UPDATE, ["UPDATE p SET u = 0 WHERE k = 2", END]),
    "update-adds-to-the-newest": (ADD, ["UPDATE p SET v = v + 1 WHERE k = 2", END]),
    "update-the-next-row-is-gone": (UPDATE, ["DELETE FROM p WHERE k = 2", END]),
    "update-another-row-begins-to-match": (UPDATE, ["UPDATE p SET v = 0 WHERE k = 3", END]),
    "update-another-row-comes": (UPDATE, ["DELETE FROM p WHERE k = 3", "INSERT INTO p (k, v, u) VALUES (3, 0, 0)", END]),
    "update-one-leaves-and-one-comes": (UPDATE, ["UPDATE p SET v = 0 WHERE k = 3", "UPDATE p SET v = 1 WHERE k = 2", END]),
    "update-one-comes-and-one-is-looked-at": (
        UPDATE,
        ["UPDATE p SET v = 0 WHERE k = 3", "SELECT k FROM p WHERE k = 2 FOR UPDATE", END],
    ),
    "update-closes-a-cycle": (UPDATE, ["UPDATE p SET v = 2 WHERE k = 2", "UPDATE p SET v = 2 WHERE k = 1", END]),
    "update-with-a-subquery": (CHILDLESS, ["INSERT INTO c (i, r) VALUES (1, 3)", END]),
    "update-with-a-subquery-and-a-change": (
        CHILDLESS,
        ["INSERT INTO c (i, r) VALUES (1, 3)", "UPDATE p SET u = 0 WHERE k = 2", END],
    ),
    "select-keeps-its-snapshot": (SUBQUERY, ["INSERT INTO c (i, r) VALUES (1, 2)", "UPDATE p SET v = 2 WHERE k = 2", END]),
    "select-keeps-its-snapshot-of-two": (SUBQUERY, ["DELETE FROM p WHERE k = 3", END, "INSERT INTO c (i, r) VALUES (1, 1)", END]),
    "for-update-reads-the-newest": (LOCK, ["UPDATE p SET u = 1 WHERE k = 2", END]),
    "for-update-lets-a-row-go": (LOCK, ["UPDATE p SET v = 2 WHERE k = 2", END]),
    "for-update-and-a-child": (LOCK, ["INSERT INTO c (i, r) VALUES (1, 2)", END]),
    "update-and-one-who-does-not-wait": (
        UPDATE,
        ["SELECT k FROM p WHERE k = 2 FOR UPDATE NOWAIT", "SELECT k FROM p WHERE k = 1 FOR UPDATE NOWAIT"],
    ),
    "for-update-reads-an-old-subquery": (f"{CHILDLESS_ROWS}; {CHILDREN}", ["INSERT INTO c (i, r) VALUES (1, 2)", END]),
    "for-share-and-one-who-shares": (SHARE, ["SELECT k FROM p WHERE v = 0 FOR SHARE", "UPDATE p SET u = 1 WHERE k = 2", END]),
    "insert-select-and-a-key-that-is-ours": (INSERT, ["INSERT INTO c (i, r) VALUES (1, 3)", END]),
    "insert-select-reads-its-snapshot": (INSERT, ["UPDATE p SET v = 0 WHERE k = 3", "UPDATE p SET v = 1 WHERE k = 2", END]),
    "delete-the-next-row-matches-no-more": (DELETE, ["UPDATE p SET v = 2 WHERE k = 2", END]),
    "delete-the-next-row-is-gone": (DELETE, ["DELETE FROM p WHERE k = 2", END]),
    "delete-and-a-child-comes": (DELETE, ["INSERT INTO c (i, r) VALUES (1, 2)", END]),
    "delete-and-a-child-of-the-row-before": (DELETE, ["INSERT INTO c (i, r) VALUES (1, 1)", END]),
}
"""The slowed statement (``;`` the next of its transaction), and what the other process does meanwhile."""

LEAVES: dict[str, tuple[str, list[str]]] = {
    "insert-select-and-a-key-that-is-taken": (INSERT, ["INSERT INTO c (i, r) VALUES (2, 3)", END]),
    "insert-select-and-a-parent-that-goes": (INSERT, ["DELETE FROM p WHERE k = 2", END]),
}
"""Where these meet a key or a parent, the model may say that it does not know."""

PICK = "SELECT k FROM p WHERE {gate}v = 0 ORDER BY u, k LIMIT 1 FOR UPDATE"
MOVES_ON = ["UPDATE p SET v = 0 WHERE k = 3", END, "UPDATE p SET v = 2 WHERE k < 3", END]

BEYOND: dict[str, tuple[str, list[str]]] = {
    # Two commits: for the first the snapshot is too old, and the second is of a row that the statement has not reached yet.
    "two-commits-inside-for-update": (LOCK, ["UPDATE p SET v = 0 WHERE k = 3", END, "UPDATE p SET u = 1 WHERE k = 2", END]),
    "two-commits-inside-an-update": (UPDATE, ["UPDATE p SET v = 0 WHERE k = 3", END, "UPDATE p SET v = 2 WHERE k = 2", END]),
    "two-commits-inside-a-delete": (DELETE, ["UPDATE p SET v = 0 WHERE k = 3", END, "UPDATE p SET v = 2 WHERE k = 2", END]),
    "two-commits-inside-a-subquery": (
        CHILDLESS,
        ["INSERT INTO c (i, r) VALUES (1, 3)", END, "UPDATE p SET v = 2 WHERE k = 2", END],
    ),
    # One commit: the statement does not wait, so that it has the lock and a snapshot from before the commit that freed it.
    "one-commit-inside-skip-locked": (f"{CHILDLESS_ROWS} SKIP LOCKED; {CHILDREN}", ["INSERT INTO c (i, r) VALUES (1, 2)", END]),
    "one-commit-inside-nowait": (f"{CHILDLESS_ROWS} NOWAIT; {CHILDREN}", ["INSERT INTO c (i, r) VALUES (1, 2)", END]),
    # A locking subquery: no row of its snapshot matches any more, though there was one that did at every moment.
    "two-commits-inside-a-picking-update": (f"UPDATE p SET u = 1 WHERE k = ({PICK})", MOVES_ON),
    "two-commits-inside-a-skipping-update": (f"UPDATE p SET u = 1 WHERE k = ({PICK} SKIP LOCKED)", MOVES_ON),
    "two-commits-inside-a-picking-delete": (f"WITH q AS ({PICK}) DELETE FROM p USING q WHERE p.k = q.k", MOVES_ON),
    # Half of the locks: one row is skipped, the other one is not.
    "half-of-the-locks-are-skipped": (UPDATE, ["SELECT k FROM p WHERE v = 0 FOR UPDATE SKIP LOCKED", END]),
    # A cycle of two statements, each of which has locked one of two rows.
    "two-statements-in-a-cycle": (UPDATE, ["SELECT k FROM p WHERE v = 0 ORDER BY k DESC FOR UPDATE", END]),
}
"""What no statement does that is one step, or waits where it meets a lock: here it pauses."""


DOMAINS = {"p.k": [1, 2, 3], "p.v": [0, 1, 2], "p.u": [0, 1], "c.i": [1, 2, 3]}


def model_of(slow: str, others: list[str], statements: str = "preemptible") -> Model:
    """The model, whose statements may pause or not."""
    document = specification(SCHEMA, DATA, DOMAINS, [text.format(gate="") for text in slow.split("; ")], others)
    for role in document["scenarios"]["all"]["processes"].values():
        role["statements"] = statements
    return Model(machine_of(document))


def slowed(server: Server, slow: str, others: list[str], statements: str = "preemptible") -> tuple[Model, Happened]:
    """The model, and what happened on the server when the statement was stopped between its first row and its second."""
    model = model_of(slow, others, statements)
    happened = run_slowed(server, model.machine, [text.format(gate="gate(p.k) AND ") for text in slow.split("; ")], others)
    assert happened is not None, "it does not stop"
    assert happened.begun, "it stops before its first row"
    return model, happened


@pytest.mark.parametrize("name", INSIDE)
def test_one_transaction_inside_a_statement_is_explained_by_a_step_or_a_wait(server: Server, name: str) -> None:
    model, happened = slowed(server, *INSIDE[name])
    assert model.explains(happened), happened
    assert model.allows(happened)


def test_a_wrong_rule_explains_less(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """One row is left alone after a second look, and another one came too late: both rules are needed."""
    no_second_look(monkeypatch)
    model, happened = slowed(server, *INSIDE["update-one-leaves-and-one-comes"], statements="atomic")
    assert happened.slow[0].affected == 1
    assert not model.allows(happened)


@pytest.mark.parametrize("name", LEAVES)
def test_the_model_may_say_that_it_does_not_know(server: Server, name: str) -> None:
    model, happened = slowed(server, *LEAVES[name])
    assert model.explains(happened) or model.left, happened


@pytest.mark.parametrize("name", BEYOND)
def test_a_statement_pauses(server: Server, name: str) -> None:
    """No other interleaving gives this, and the pause does."""
    model, happened = slowed(server, *BEYOND[name])
    assert model.explains(happened), happened
    without = model_of(*BEYOND[name], "atomic")
    assert not without.allows(happened)
    assert not without.left
    assert "slow: nobody comes into the middle of slow.s0" in without.machine.system.assumptions


def test_an_insert_pauses_between_its_id_and_its_row(server: Server) -> None:
    """Columns are evaluated in their order, and the id comes first: the other has the next one, and the key."""
    slow, others = "INSERT INTO c (r) VALUES (CASE WHEN {gate}TRUE THEN 2 END) RETURNING i", ["INSERT INTO c (r) VALUES (2)", END]
    schema = "CREATE TABLE p (k INTEGER PRIMARY KEY);\nCREATE TABLE c (i SERIAL PRIMARY KEY, r INTEGER UNIQUE);\n"
    document = specification(schema, "INSERT INTO p (k) VALUES (1)", {"p.k": [1], "c.r": [2]}, [slow.format(gate="")], others)
    document["serial"] = "exact"
    model = Model(machine_of(document))
    happened = run_slowed(server, model.machine, [slow.format(gate="gate(2) AND ")], others)
    assert happened is not None
    assert happened.slow[0].sqlstate == "23505"
    assert happened.contents["c"] == {(2, 2): 1}
    assert model.explains(happened)
    document["scenarios"]["all"]["processes"]["slow"]["statements"] = "atomic"
    atomic = Model(machine_of(document))
    assert not atomic.allows(happened)
    assert not atomic.left
    assert "slow: nobody comes into the middle of slow.s0" in atomic.machine.system.assumptions


def test_a_story_with_a_pause_is_not_replayed(server: Server) -> None:
    """Nothing was compared, and that is said."""
    slow, others = BEYOND["two-statements-in-a-cycle"]
    document = specification(SCHEMA, DATA, DOMAINS, [text.format(gate="") for text in slow.split("; ")], others)
    document["properties"] = {"fails": {"never": "SELECT id FROM slow WHERE status = 'failed'"}}
    machine = machine_of(document)
    trace = explicit.check(ground(machine.system)).verdicts["fails"].trace
    assert trace is not None
    assert [step.action.action.info.outcome for step in trace.steps].count("pauses") == 1
    result = replay(server, machine, trace)
    assert (result.outcome, result.steps) == ("cannot be replayed", 0)
    assert "stops in the middle of" in result.detail


def test_generated_statements(server: Server) -> None:
    """They are explained, or meet one of the limits that are told."""
    found = [verdict(server, f"slow.{number}") for number in range(1000, 1080)]
    assert not [story for word, story in found if word == "not explained"]
    assert sum(word == "explained" for word, _ in found) >= 15
