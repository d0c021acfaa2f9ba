"""What others see of a row while its statement waits, of keys that are given up again, and of several rows' keys at once.

The outcomes were worked out by hand and seen on PostgreSQL 18.
"""

from __future__ import annotations

import pytest
from small import ONE, TWO, T, count, explore, outcomes, text, verdicts

UNIQUE = "CREATE TABLE t (k INTEGER PRIMARY KEY CHECK (k BETWEEN 1 AND 4), v INTEGER UNIQUE CHECK (v BETWEEN 0 AND 3));"
CHILD = (
    T
    + "CREATE TABLE kid (i INTEGER PRIMARY KEY CHECK (i BETWEEN 1 AND 2), k INTEGER REFERENCES t (k) CHECK (k BETWEEN 1 AND 4),"
    + " w INTEGER NOT NULL CHECK (w BETWEEN 0 AND 2));"
)
KID = TWO + "INSERT INTO kid (i, k, w) VALUES (1, 1, 0);"
ABOUT = "SELECT a.status, b.status FROM a, b"


def put(key, value):
    return f"INSERT INTO t (k, v) VALUES ({key}, {value})"


# ------------------------------------------------------------------------------------------------- keys that are given up


@pytest.mark.parametrize(
    "then", ["DELETE FROM t WHERE k = 3", "UPDATE t SET v = NULL WHERE k = 3", "UPDATE t SET v = 3 WHERE k = 3"]
)
def test_whoever_took_a_key_is_waited_for_when_he_has_given_it_up(then):
    content = text(
        [put(3, 2), then, "rollback"],
        [put(4, 2), "rollback"],
        schema=UNIQUE,
        data=TWO.replace("(2, 0)", "(2, 1)"),
        bounds={"t": 4},
        properties={"apart": {"never": "SELECT a.step FROM a, b WHERE a.step = 'p3' AND b.step = 'q2'"}},
    )
    # While a has not ended b cannot have put its row there.
    assert verdicts(content) == {"apart": ("holds", None)}
    assert outcomes(content, ABOUT) == {("done", "done")}


def test_a_key_that_is_changed_twice_may_leave_one_behind_and_not_two():
    data = TWO.replace("(2, 0)", "(2, 1)")
    three = [put(3, 2), "UPDATE t SET v = 3 WHERE k = 3", "UPDATE t SET v = NULL WHERE k = 3", "commit"]
    assert explore(text(three, schema=UNIQUE, data=data, bounds={"t": 4}), None).hit == (
        "a transaction gives a row its third key (t)",
    )
    back = [put(3, 2), "UPDATE t SET v = 3 WHERE k = 3", "UPDATE t SET v = 2 WHERE k = 3", "commit"]
    assert explore(text(back, schema=UNIQUE, data=data, bounds={"t": 4}), None).hit == ()


# --------------------------------------------------------------------------------------------------- rows in their places


def test_a_row_that_waits_for_its_parent_has_its_key():
    lock = ["SELECT v FROM t WHERE k = 1 FOR UPDATE", "INSERT INTO kid (i, k, w) VALUES (1, 2, 1)", "commit"]
    child = ["INSERT INTO kid (i, k, w) VALUES (1, 1, 0)", "commit"]
    found = explore(text(lock, child, schema=CHILD, data=TWO, bounds={"kid": 2}), ABOUT)
    # b waits for its parent, which a has locked, and a for the key, which b has taken.
    assert {"a.p2: deadlock_detected", "b.q1: deadlock_detected"} <= found.labels
    assert found.finals == {(("done", "failed"),), (("failed", "done"),)}


@pytest.mark.parametrize(("rows", "deadlock"), [("(1, 2, 0), (2, 1, 0)", True), ("(1, 1, 0), (2, 2, 0)", False)])
def test_several_rows_find_their_parents_in_their_order(rows, deadlock):
    lock = ["SELECT v FROM t WHERE k = 1 FOR UPDATE", "SELECT v FROM t WHERE k = 2 FOR UPDATE", "commit"]
    both = [{"sql": f"INSERT INTO kid (i, k, w) VALUES {rows}", "affected": "n"}, "commit"]
    found = explore(text(lock, both, schema=CHILD, data=TWO, bounds={"kid": 2}), "SELECT b.status, n FROM b")
    # While b waits for its second parent it has locked the first.
    assert ("a.p2: deadlock_detected" in found.labels) is deadlock
    assert found.finals == ({(("done", 2),), (("failed", None),)} if deadlock else {(("done", 2),)})


@pytest.mark.parametrize(("mine", "theirs", "deadlock"), [((3, 3), (3, 1), True), ((3, 1), (4, 1), False)])
def test_a_row_that_waits_for_its_second_key_has_claimed_the_first(mine, theirs, deadlock):
    data = TWO.replace("(2, 0)", "(2, 1)")
    change = ["UPDATE t SET v = 2 WHERE k = 2", put(*mine), "commit"]
    found = explore(text(change, [put(*theirs), "commit"], schema=UNIQUE, data=data, bounds={"t": 4}), None)
    # b waits for a's old value 1, with its k claimed and its v not.
    assert "b.q1: waits" in found.labels
    assert ("a.p2: deadlock_detected" in found.labels) is deadlock
    assert found.hit == ()


# ------------------------------------------------------------------------------------------------------ parents of updates


def test_an_update_that_keeps_the_reference_does_not_lock_the_parent():
    same = ["UPDATE kid SET k = 1 WHERE i = 1", "commit"]
    nowait = ["SELECT v FROM t WHERE k = 1 FOR UPDATE NOWAIT", "commit"]
    assert outcomes(text(same, nowait, schema=CHILD, data=KID), ABOUT) == {("done", "done")}
    other = ["UPDATE kid SET k = 2 WHERE i = 1", "commit"]
    nowait = ["SELECT v FROM t WHERE k = 2 FOR UPDATE NOWAIT", "commit"]
    content = text(other, nowait, schema=CHILD, data=KID)
    assert outcomes(content, ABOUT) == {("done", "done"), ("done", "failed")}


def test_a_second_update_of_a_child_locks_its_parent_whatever_it_sets():
    once = ["UPDATE kid SET w = 1 WHERE i = 1", "commit"]
    twice = ["UPDATE kid SET w = 1 WHERE i = 1", "UPDATE kid SET w = 0 WHERE i = 1", "commit"]
    nowait = ["SELECT v FROM t WHERE k = 1 FOR UPDATE NOWAIT", "commit"]
    assert outcomes(text(once, nowait, schema=CHILD, data=KID), ABOUT) == {("done", "done")}
    assert outcomes(text(twice, nowait, schema=CHILD, data=KID), ABOUT) == {("done", "done"), ("done", "failed")}


def test_a_statement_tried_again_is_no_second_update():
    schema = CHILD.replace("w INTEGER NOT NULL", "w INTEGER NOT NULL UNIQUE")
    data = KID + "INSERT INTO kid (i, k, w) VALUES (2, 2, 1);"
    free = ["UPDATE kid SET w = 2 WHERE i = 2", "commit"]
    wait = ["UPDATE kid SET w = 1 WHERE i = 1", "commit", "UPDATE kid SET w = 0 WHERE i = 1", "commit"]
    nowait = ["SELECT v FROM t WHERE k = 1 FOR UPDATE NOWAIT", "commit"]
    content = text(free, wait, nowait, schema=schema, data=data)
    assert "b.q1: waits" in explore(content, None).labels
    assert outcomes(content, "SELECT c.status FROM c") == {"done"}


# ---------------------------------------------------------------------------------------------------- keys of several rows


@pytest.mark.parametrize(
    ("sets", "expected"),
    [
        ("v + 1", {("done", ((1, 1), (2, 2))), ("failed", ((1, 0), (2, 1)))}),  # 0 → 1 first fails
        ("v + 2", {("done", ((1, 2), (2, 3)))}),
        ("3", {("failed", ((1, 0), (2, 1)))}),
        ("1 - v", {("failed", ((1, 0), (2, 1)))}),  # they exchange theirs
        ("NULL", {("done", ((1, None), (2, None)))}),
    ],
)
def test_keys_of_several_rows_at_once(sets, expected):
    content = text([f"UPDATE t SET v = {sets} WHERE v < 2", "commit"], schema=UNIQUE, data=TWO.replace("(2, 0)", "(2, 1)"))
    found = {
        (s, tuple(sorted(r[1:] for r in rows)))
        for rows in explore(content, "SELECT a.status, t.k, t.v FROM a, t").finals
        for s in {r[0] for r in rows}
    }
    assert found == expected


def test_several_rows_that_would_wait_for_a_key_leave_the_model():
    data = TWO.replace("(2, 0)", "(2, 1)")
    content = text(
        ["UPDATE t SET v = v + 2 WHERE v < 2", "commit"], [put(3, 3), "commit"], schema=UNIQUE, data=data, bounds={"t": 4}
    )
    assert explore(content, None).hit == ("an UPDATE of several rows waits for a key (t)",)


def test_references_of_several_rows_at_once():
    data = KID + "INSERT INTO kid (i, k, w) VALUES (2, 2, 1);"
    content = text(["UPDATE kid SET k = 3 - k WHERE TRUE", "commit"], schema=CHILD, data=data)
    assert outcomes(content, "SELECT i, k FROM kid") == {((1, 2), (2, 1))}
    content = text(["UPDATE kid SET k = 3 WHERE TRUE", "commit"], schema=CHILD, data=data)
    assert outcomes(content, "SELECT status FROM a") == {"failed"}


# ---------------------------------------------------------------------------------------------------------- locking clauses


def test_nowait_with_limit_fails_on_the_rows_that_it_reaches():
    data = TWO.replace("(2, 0)", "(2, 1)")
    lock = ["SELECT v FROM t WHERE k = 1 FOR UPDATE", "commit"]
    ordered = ["SELECT v FROM t WHERE v >= 0 ORDER BY v LIMIT 1 FOR UPDATE NOWAIT", "commit"]
    last = ["SELECT v FROM t WHERE v >= 0 ORDER BY v DESC LIMIT 1 FOR UPDATE NOWAIT", "commit"]
    any_order = [{"sql": "SELECT v FROM t WHERE v >= 0 LIMIT 1 FOR UPDATE NOWAIT", "into": "n"}, "commit"]
    assert outcomes(text(lock, ordered, data=data), ABOUT) >= {("done", "done"), ("done", "failed")}
    assert "b.q1: lock_not_available" not in explore(text(lock, last, data=data), None).labels
    assert outcomes(text(lock, any_order, data=data), "SELECT b.status, n FROM b") == {("done", 0), ("done", 1), ("failed", None)}


def test_after_a_wait_the_order_is_that_of_the_snapshot():
    data = "INSERT INTO t (k, v) VALUES (1, 0), (2, 1), (3, 2);"
    change = ["UPDATE t SET v = 9 WHERE k = 1", "UPDATE t SET v = 5 WHERE k = 2", "commit"]
    look = [{"sql": "SELECT k FROM t WHERE v < 9 ORDER BY v LIMIT 1 FOR UPDATE", "into": "n"}, "commit"]
    found = explore(text(change, look, data=data), "SELECT n FROM b")
    assert found.hit == ()
    # 2: b has waited for row 1, which matches no more; row 2 was next then, although row 3 comes before it now.
    assert found.finals == {((1,),), ((2,),), ((3,),)}


def test_key_share_skip_locked_of_an_updated_row_leaves_the_model():
    deleted = ["DELETE FROM t WHERE k = 1", "commit"]
    updated = ["UPDATE t SET v = 1 WHERE k = 1", "DELETE FROM t WHERE k = 1", "commit"]
    skip = [{"sql": "SELECT k FROM t WHERE v >= 0 FOR KEY SHARE SKIP LOCKED", "rows": "found"}, "commit"]
    assert explore(text(deleted, skip), None).hit == ()
    assert explore(text(updated, skip), None).hit == ("KEY SHARE SKIP LOCKED of a row that was updated before (t)",)


def test_key_share_of_a_row_that_was_changed_during_the_wait_leaves_the_model():
    share = [{"sql": "SELECT k FROM t WHERE v < 5 FOR KEY SHARE", "rows": "found"}, "commit"]
    name = "KEY SHARE of a row that was changed during the wait (t)"
    both = ["DELETE FROM t WHERE k = 1", "UPDATE t SET v = 9 WHERE k = 2", "commit"]
    assert explore(text(both, share, data=TWO), None).hit == (name,)
    assert explore(text(both[:1] + both[2:], share, data=TWO), None).hit == ()
    assert explore(text(both, [{"sql": share[0]["sql"].replace("KEY ", ""), "rows": "found"}, "commit"], data=TWO), None).hit == ()


def test_what_was_written_before_a_wait_is_not_counted():
    many = ["UPDATE t SET v = v + 1 WHERE v < 5", "commit"]
    found = explore(text(many, ["UPDATE t SET v = 3 WHERE k = 1", "commit"], data=TWO), None)
    ends = [a.info for a in found.ground.system.actions if a.name.startswith("a.p1: ok after waiting")]
    assert ends
    assert all(info.affected is None and not info.results for info in ends)
    counted = [{"sql": many[0], "affected": "n"}, "commit"]
    assert outcomes(text(counted, ["UPDATE t SET v = 3 WHERE k = 1", "commit"], data=TWO), "SELECT n FROM a") == {2}
    assert count(text(many, data=TWO)) == 3


def test_rollback_to_wakes_those_whose_row_is_free_again():
    change = [
        "UPDATE t SET v = 1 WHERE k = 1",
        {"savepoint": "s"},
        "UPDATE t SET v = 1 WHERE k = 2",
        {"rollback_to": "s"},
        "commit",
    ]
    kept = explore(text(change, ["UPDATE t SET v = 2 WHERE k = 1", "commit"], data=TWO), None).labels
    freed = explore(text(change, ["UPDATE t SET v = 2 WHERE k = 2", "commit"], data=TWO), None).labels
    assert "b.q1: waits" in kept & freed
    assert "b.q1: waits again" not in kept | freed


def test_a_reference_that_becomes_null_asks_for_the_other_parents_of_a_row_written_before():
    schema = (
        T
        + "CREATE TABLE u (k INTEGER PRIMARY KEY CHECK (k BETWEEN 1 AND 2));"
        + "CREATE TABLE kid (i SERIAL PRIMARY KEY, k INTEGER REFERENCES t (k) ON DELETE SET NULL CHECK (k BETWEEN 1 AND 4),"
        + " o INTEGER REFERENCES u (k) CHECK (o BETWEEN 1 AND 2), w INTEGER NOT NULL CHECK (w BETWEEN 0 AND 1));"
    )
    data = ONE + "INSERT INTO u (k) VALUES (1); INSERT INTO kid (k, o, w) VALUES (1, 1, 0);"
    nowait = ["SELECT k FROM u WHERE k = 1 FOR UPDATE NOWAIT", "rollback"]
    written = ["UPDATE kid SET w = 1 WHERE k = 1", "DELETE FROM t WHERE k = 1", "rollback"]
    content = text(written, nowait, schema=schema, data=data)
    assert outcomes(content, "SELECT status FROM b") == {"done", "failed"}
    content = text(written[1:], nowait, schema=schema, data=data)
    assert outcomes(content, "SELECT status FROM b") == {"done"}
