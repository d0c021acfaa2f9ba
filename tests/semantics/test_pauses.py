"""Statements that others come into the middle of: where they pause, what can come of it, and where a statement is one step.

What is expected was worked out from PostgreSQL's rules; ``tests/replay/test_slowed.py`` stops such statements on a server.
"""

from __future__ import annotations

import re
from typing import Any

import pytest
from small import ONE, TWO, T, explore, outcomes, system, text, verdicts

THREE = "INSERT INTO t (k, v) VALUES (1, 0), (2, 0), (3, 0);"
C = T + "CREATE TABLE c (k INTEGER PRIMARY KEY CHECK (k BETWEEN 1 AND 4), v INTEGER NOT NULL CHECK (v BETWEEN 0 AND 9));"
BOTH = ONE + "INSERT INTO c (k, v) VALUES (1, 0);"
FAMILY = (
    "CREATE TABLE par (k INTEGER PRIMARY KEY CHECK (k BETWEEN 1 AND 2));"
    "CREATE TABLE chi (k INTEGER PRIMARY KEY CHECK (k BETWEEN 1 AND 2), r INTEGER NOT NULL REFERENCES par (k));"
)
KIN = "INSERT INTO par (k) VALUES (1), (2); INSERT INTO chi (k, r) VALUES (1, 1);"
FAILED = "SELECT id FROM a WHERE status = 'failed'"


def sel(query: str, *into: str) -> dict[str, Any]:
    return {"sql": query, "into": into[0] if len(into) == 1 else list(into)}


ALL, BATCH = "WHERE v = 0", "WHERE v = 0 ORDER BY k LIMIT 2"


def take(owner: int, rows: str = ALL) -> list[Any]:
    """Lock the free rows that can be had, and mark them."""
    each = {"for": "i", "in": "mine", "steps": [f"UPDATE t SET v = {owner} WHERE k = :i"]}
    return [{"sql": f"SELECT k FROM t {rows} FOR UPDATE SKIP LOCKED", "rows": "mine"}, each, "commit"]


GUARD = "NOT EXISTS (SELECT 1 FROM c WHERE c.v = 1)"
TWO_COMMITS = ["UPDATE c SET v = 1 WHERE k = 1", "commit", "UPDATE t SET v = 5 WHERE k = 1", "commit"]
ONE_COMMIT = ["UPDATE t SET v = 5 WHERE k = 1", "UPDATE c SET v = 1 WHERE k = 1", "commit"]

VIOLATED: dict[str, tuple[dict[str, Any], str, int]] = {
    # The first stops with one row, the other takes the second one and waits, the first waits too, and the server strikes it.
    "rows-in-opposite-order": (
        {"p": ["SELECT k FROM t ORDER BY k FOR UPDATE", "commit"], "q": ["SELECT k FROM t ORDER BY k DESC FOR UPDATE", "commit"]},
        FAILED,
        4,
    ),
    "two-updates-of-several-rows": ({"p": ["UPDATE t SET v = 1", "commit"], "q": ["UPDATE t SET v = 2", "commit"]}, FAILED, 4),
    "an-update-and-a-delete": ({"p": ["UPDATE t SET v = 1", "commit"], "q": ["DELETE FROM t", "commit"]}, FAILED, 4),
    "keys-in-opposite-order": (
        {
            "p": ["INSERT INTO t (k, v) VALUES (1, 1), (2, 1)", "commit"],
            "q": ["INSERT INTO t (k, v) VALUES (2, 2), (1, 2)", "commit"],
            "data": "",
            "bounds": {"t": 4},
        },
        "SELECT a.id FROM a JOIN b ON a.status = 'failed' AND b.status = 'running'",
        4,
    ),
    "upserts-in-opposite-order": (
        {
            "p": ["INSERT INTO t (k, v) VALUES (1, 1), (2, 1) ON CONFLICT (k) DO UPDATE SET v = EXCLUDED.v", "commit"],
            "q": ["INSERT INTO t (k, v) VALUES (2, 2), (1, 2) ON CONFLICT (k) DO UPDATE SET v = EXCLUDED.v", "commit"],
            "bounds": {"t": 2},
        },
        FAILED,
        4,
    ),
    # A pause, the other's lock, mark and commit, the rest, mark and commit.
    "half-a-group": ({"p": take(1), "q": take(2)}, "SELECT x.k FROM t AS x JOIN t AS y ON x.v = 1 AND y.v = 2", 7),
    # A pause, the lock of the two rows after the first, two marks and a commit.
    "a-gap-in-a-batch": (
        {"p": take(1, BATCH), "q": take(2, BATCH), "data": THREE},
        "SELECT x.k FROM t AS x JOIN t AS y ON x.k = 2 AND x.v = 2 AND y.k = 1 AND y.v = 0",
        5,
    ),
    # A pause, two updates and their commit, and then the row.
    "skip-locked-and-a-subquery": (
        {"p": [sel(f"SELECT v FROM t WHERE {GUARD} FOR UPDATE SKIP LOCKED", "x"), "commit"], "q": ONE_COMMIT},
        "SELECT id FROM a WHERE x = 5",
        5,
    ),
    "nowait-and-a-subquery": (
        {"p": [sel(f"SELECT v FROM t WHERE {GUARD} FOR UPDATE NOWAIT", "x"), "commit"], "q": ONE_COMMIT},
        "SELECT id FROM a WHERE x = 5",
        5,
    ),
    # A pause, two transactions of two steps each, and then the row; the writers commit besides.
    "a-guard-that-is-old": (
        {"p": [f"UPDATE t SET v = v + 1 WHERE {GUARD}", "commit"], "q": TWO_COMMITS},
        "SELECT k FROM t WHERE v = 6",
        7,
    ),
    "a-value-that-is-old": (
        {"p": ["UPDATE t SET v = v + 2 - (SELECT v FROM c WHERE k = 1) WHERE k = 1", "commit"], "q": TWO_COMMITS},
        "SELECT k FROM t WHERE v = 7",
        7,
    ),
    "the-first-row-and-an-old-guard": (
        {"p": [sel(f"SELECT v FROM t WHERE {GUARD} ORDER BY k LIMIT 1 FOR UPDATE", "x"), "commit"], "q": TWO_COMMITS},
        "SELECT id FROM a WHERE x = 5",
        6,
    ),
    "a-delete-with-an-old-guard": (
        {"p": [f"DELETE FROM t WHERE {GUARD}", "commit"], "q": [*TWO_COMMITS, sel("SELECT v FROM t WHERE k = 1", "x")]},
        "SELECT id FROM b WHERE status = 'done' AND x = 5 AND NOT EXISTS (SELECT 1 FROM t)",
        8,
    ),
    # The child is locked and its parent is not: who skips the one gets the other.
    "a-child-before-its-parent": (
        {
            "p": ["UPDATE chi SET r = 2 WHERE k = 1", "commit"],
            "q": [
                sel("SELECT k FROM chi WHERE k = 1 FOR UPDATE SKIP LOCKED", "x"),
                sel("SELECT k FROM par WHERE k = 2 FOR UPDATE SKIP LOCKED", "y"),
                "commit",
            ],
            "schema": FAMILY,
            "data": KIN,
        },
        "SELECT b.id FROM a JOIN b ON b.status = 'done' AND b.x IS NULL AND b.y = 2 AND a.status = 'running' AND a.step = 'p1'",
        4,
    ),
}
"""Two processes, what never happens if each statement is one step, and how many steps it takes."""


def content(shape: dict[str, Any], statements: str = "", **more: Any) -> str:
    given = dict(shape)
    roles = {role: {"statements": statements} for role in "ab"} if statements else None
    data = (
        ("INSERT INTO t (k, v) VALUES (1, 0), (2, 0);" if "k = 1" not in str(shape) else BOTH)
        if "data" not in given
        else given.pop("data")
    )
    schema = given.pop("schema", C if "c (k" in data or "FROM c" in str(shape) else T)
    return text(given.pop("p"), given.pop("q"), schema=schema, data=data, processes=roles, **given, **more)


@pytest.mark.parametrize("name", VIOLATED)
def test_what_others_do_in_the_middle_of_a_statement(name: str) -> None:
    shape, query, length = VIOLATED[name]
    found = verdicts(content(shape, properties={"never_so": {"never": query}}))
    assert found["never_so"] == ("violated", length)


@pytest.mark.parametrize("name", VIOLATED)
def test_not_if_each_statement_is_one_step_and_then_this_is_said(name: str) -> None:
    shape, query, _ = VIOLATED[name]
    made = content(shape, "atomic", properties={"never_so": {"never": query}})
    assert verdicts(made)["never_so"] == ("holds", None)
    said = [line for line in system(made).assumptions if "into the middle" in line]
    assert "a: nobody comes into the middle of p.p1" in said


EXACT: dict[str, tuple[list[Any], list[Any]]] = {
    "a-select": (["SELECT k FROM t WHERE NOT EXISTS (SELECT 1 FROM c)", "commit"], TWO_COMMITS),
    "one-row-by-key": (
        ["UPDATE t SET v = v + 1 WHERE k = 1 AND v < 5", "commit"],
        ["UPDATE t SET v = v + 1 WHERE k = 1", "commit"] * 2,
    ),
    "delete-by-key": (["DELETE FROM t WHERE k = 1 AND v = 0", "commit"], ["UPDATE t SET v = 1 WHERE k = 1", "commit"]),
    "lock-by-key": ([sel("SELECT v FROM t WHERE k = 1 FOR UPDATE", "x"), "commit"], ["DELETE FROM t", "commit"]),
    "skip-by-key": (
        [sel("SELECT v FROM t WHERE k = 1 FOR UPDATE SKIP LOCKED", "x"), "commit"],
        ["UPDATE t SET v = 1 WHERE k = 1", "commit"],
    ),
    "one-new-row": (["INSERT INTO t (k, v) VALUES (3, 0)", "commit"], ["INSERT INTO t (k, v) VALUES (3, 1)", "commit"]),
    "one-upsert": (
        ["INSERT INTO t (k, v) VALUES (1, 3) ON CONFLICT (k) DO UPDATE SET v = t.v + 1 WHERE t.v < 5", "commit"],
        ["UPDATE t SET v = 1 WHERE k = 1", "commit", "DELETE FROM t WHERE k = 1", "commit"],
    ),
    "a-guard-that-nobody-changes": (
        [f"UPDATE t SET v = 1 WHERE k = 1 AND {GUARD}", "commit"],
        ["UPDATE t SET v = 2 WHERE k = 1", "commit"],
    ),
    "rows-that-nobody-else-touches": (
        [f"UPDATE t SET v = 1 WHERE {GUARD}", "commit"],
        ["UPDATE c SET v = 1", "commit", "UPDATE c SET v = 0", "commit"],
    ),
    "several-rows-and-one-who-takes-one": (["UPDATE t SET v = 1", "commit"], ["UPDATE t SET v = 2 WHERE k = 2", "commit"]),
    "several-new-rows-and-one": (
        ["INSERT INTO t (k, v) VALUES (3, 0), (4, 0)", "commit"],
        ["INSERT INTO t (k, v) VALUES (4, 1)", "commit"],
    ),
}
"""Statements of two processes that are one step each."""


@pytest.mark.parametrize("name", EXACT)
def test_where_a_statement_is_one_step(name: str) -> None:
    p, q = EXACT[name]
    found = {}
    for statements in ("preemptible", "atomic"):
        roles = {role: {"statements": statements} for role in "ab"}
        data = "INSERT INTO t (k, v) VALUES (1, 0), (2, 0); INSERT INTO c (k, v) VALUES (1, 0);"
        made = system(text(p, q, schema=C, data=data, bounds={"t": 5}, processes=roles))
        assert not [a.name for a in made.actions if a.info.outcome == "pauses"]
        assert not [line for line in made.assumptions if "into the middle" in line]
        found[statements] = len(made.actions)
    assert found["preemptible"] == found["atomic"]


def test_a_single_process_pauses_nowhere() -> None:
    made = system(text(["UPDATE t SET v = 1 WHERE NOT EXISTS (SELECT 1 FROM c)", "commit"], schema=C, data=BOTH))
    assert not [a for a in made.actions if a.info.outcome == "pauses"]


def test_a_batch_that_is_full_does_not_stand() -> None:
    """A pause leaves room in the LIMIT, so that it can always go on."""
    shape, _, _ = VIOLATED["a-gap-in-a-batch"]
    assert verdicts(content(shape, properties={"stuck": {"deadlock": "never"}})) == {"stuck": ("holds", None)}


def test_what_comes_of_a_value_that_is_old() -> None:
    add = ["UPDATE t SET v = v + (SELECT v FROM c WHERE k = 1) WHERE k = 1", "commit"]
    rival = ["UPDATE c SET v = 2 WHERE k = 1", "commit", "UPDATE t SET v = 5 WHERE k = 1", "commit"]
    data = ONE + "INSERT INTO c (k, v) VALUES (1, 1);"
    # Before the rival's second write it is lost; after it, 2 is added, or, by a snapshot from before the first commit, 1.
    assert outcomes(text(add, rival, schema=C, data=data), "SELECT v FROM t") == {5, 6, 7}
    atomic = {"a": {"statements": "atomic"}}
    assert outcomes(text(add, rival, schema=C, data=data, processes=atomic), "SELECT v FROM t") == {5, 7}


def test_rows_locked_in_one_order_make_no_cycle() -> None:
    """ORDER BY is the order of the locks: a statement that has the second row has the first."""
    lock = ["SELECT k FROM t ORDER BY k FOR UPDATE", "commit"]
    made = text(lock, lock, data=TWO, properties={"fails": {"never": FAILED}, "stuck": {"deadlock": "never"}})
    assert verdicts(made) == {"fails": ("holds", None), "stuck": ("holds", None)}
    assert any(a.info.outcome == "pauses" for a in system(made).actions)


def test_rows_that_came_later_are_no_candidates_after_a_pause() -> None:
    p = [{"sql": "UPDATE t SET v = 5 WHERE v = 0", "affected": "n"}, "commit"]
    q = ["INSERT INTO t (k, v) VALUES (2, 0)", "commit", "UPDATE t SET v = 1 WHERE k = 1", "commit"]
    made = text(p, q, data=ONE, bounds={"t": 2})
    # One row, or the new one only, or both; none when the only candidate has changed.
    assert {row[0][0] for row in explore(made, "SELECT n, id FROM a").finals} == {0, 1, 2}
    atomic = text(p, q, data=ONE, bounds={"t": 2}, processes={"a": {"statements": "atomic"}})
    assert {row[0][0] for row in explore(atomic, "SELECT n, id FROM a").finals} == {1, 2}


def test_a_paused_process_is_owed_progress() -> None:
    shape, _, _ = VIOLATED["two-updates-of-several-rows"]
    ends = {"whenever": "SELECT id FROM a WHERE status = 'running'", "eventually": "SELECT id FROM a WHERE status <> 'running'"}
    assert verdicts(content(shape, properties={"ends": ends, "stuck": {"deadlock": "never"}})) == {
        "ends": ("holds", None),
        "stuck": ("holds", None),
    }


def test_a_process_crashes_in_a_pause_and_its_locks_are_free() -> None:
    shape, _, _ = VIOLATED["two-updates-of-several-rows"]
    made = text(shape["p"], shape["q"], data=TWO, processes={"a": {"crash": "anywhere"}, "b": {"fair": "weak"}})
    names = explore(made, None).labels
    assert {"a.p1: pauses", "a.p1: crash"} <= names
    # The last to commit has both rows, and a crash leaves the other's.
    assert outcomes(made, "SELECT v FROM t") >= {(1, 1), (2, 2)}
    assert not [o for o in outcomes(made, "SELECT v FROM t") if set(o) == {1, 2}]


MOVING = T.replace(
    "v INTEGER", "w INTEGER NOT NULL CHECK (w BETWEEN 1 AND 4), u INTEGER NOT NULL CHECK (u BETWEEN 0 AND 1), v INTEGER"
)


@pytest.mark.parametrize(("column", "expected"), [("u = 1", {1, ()}), ("w = 3", {1, (), None})])
def test_a_subquery_over_an_updated_column_is_open_only_if_the_column_changed(column: str, expected: set[Any]) -> None:
    schema = MOVING + "CREATE TABLE d (k INTEGER PRIMARY KEY CHECK (k BETWEEN 1 AND 4));"
    data = "INSERT INTO t (k, w, u, v) VALUES (1, 1, 0, 0);"
    p = [sel("SELECT k FROM t WHERE NOT EXISTS (SELECT 1 FROM d WHERE d.k = t.w) FOR UPDATE NOWAIT", "n"), "commit"]
    q = ["INSERT INTO d (k) VALUES (2)", "commit", f"UPDATE t SET {column} WHERE k = 1", "commit"]
    nothing = ["UPDATE t SET w = 1 WHERE k = 4", "commit"]
    made = text(p, q, nothing, schema=schema, data=data, bounds={"d": 1})
    # It fails on the locked row, or has it.  No row of d ever matches; that one does is a plan's answer after a change.
    assert outcomes(made, "SELECT n FROM a WHERE status = 'done'") == expected


def test_where_the_model_does_not_stop_a_statement_it_says_so() -> None:
    joined = ["UPDATE t SET v = c.v FROM c WHERE c.k = t.k", "commit"]
    made = system(text(joined, TWO_COMMITS, schema=C, data=BOTH))
    assert "a: nobody comes into the middle of p.p1" in made.assumptions
    assert not [a for a in made.actions if a.info.outcome == "pauses"]


def test_an_insert_waits_between_two_of_its_rows() -> None:
    p = ["INSERT INTO t (k, v) VALUES (1, 1), (2, 1)", "commit"]
    q = ["INSERT INTO t (k, v) VALUES (2, 2)", "commit"]
    found = explore(text(p, q, data="", bounds={"t": 4}), "SELECT k, v FROM t")
    assert not found.hit
    assert found.finals == {((1, 1), (2, 1)), ((2, 2),)}
    assert any(re.fullmatch(r"a\.p1: waits", label) for label in found.labels)
