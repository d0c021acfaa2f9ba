"""Constraints: unique keys and whom they wait for, foreign keys and their actions, checks, ON CONFLICT.

The outcomes were worked out by hand and seen on PostgreSQL 15.
"""

from __future__ import annotations

import pytest
from small import ONE, TWO, T, count, explore, outcomes, text

UNIQUE = "CREATE TABLE t (k INTEGER PRIMARY KEY CHECK (k BETWEEN 1 AND 4), v INTEGER UNIQUE CHECK (v BETWEEN 0 AND 3));"
PARTIAL = (
    "CREATE TABLE t (k INTEGER PRIMARY KEY CHECK (k BETWEEN 1 AND 4), v INTEGER CHECK (v BETWEEN 0 AND 3));"
    "CREATE UNIQUE INDEX one ON t (v) WHERE v = 1;"
)
STATUS = "SELECT a.status, b.status FROM a, b"
B = {"t": 3}


def insert(key, value, more=""):
    return f"INSERT INTO t (k, v) VALUES ({key}, {value}){more}"


def put(value, key=1):
    return f"UPDATE t SET v = {value} WHERE k = {key}"


def child(action=""):
    return T + f"CREATE TABLE c (id SERIAL PRIMARY KEY, k INTEGER REFERENCES t (k) {action});"


# ---------------------------------------------------------------------------------------------------------- unique keys


def test_a_duplicate_fails():
    content = text([insert(1, 1), "commit"], bounds={"t": 2})
    assert outcomes(content, "SELECT status, v FROM a, t") == {("failed", 0)}
    assert count(content) == 2
    assert "a.p1: unique_violation" in explore(content, None).labels


def test_a_duplicate_of_the_own_uncommitted_row_fails():
    content = text([insert(2, 1), insert(2, 1), "commit"], bounds=B)
    assert outcomes(content, "SELECT status, v FROM a, t") == {("failed", 0)}
    assert count(content) == 3


def test_an_insert_waits_for_an_uncommitted_one_of_the_same_key():
    content = text([insert(2, 1), "commit"], [insert(2, 2), "commit"], bounds=B)
    assert outcomes(content, "SELECT t.v, a.status, b.status FROM t, a, b WHERE k = 2") == {
        (1, "done", "failed"),
        (2, "failed", "done"),
    }
    # insert i, commit c, done d, failed f, waiting w, released r: ii; ci cw dr di df and their mirror images.
    assert count(content) == 1 + 2 * 5


def test_when_that_one_is_rolled_back_the_insert_goes_on():
    content = text([insert(2, 1), "rollback"], [insert(2, 2), "commit"], bounds=B)
    assert outcomes(content, "SELECT t.v, a.status, b.status FROM t, a, b WHERE k = 2") == {
        (2, "done", "done"),
        (2, "failed", "done"),
    }


def test_an_insert_waits_for_an_uncommitted_delete():
    content = text(["DELETE FROM t WHERE k = 1", "commit"], [insert(1, 2), "commit"], bounds=B)
    assert outcomes(content, "SELECT t.v, b.status FROM b LEFT JOIN t ON k = 1") == {(2, "done"), (None, "failed")}
    content = text(["DELETE FROM t WHERE k = 1", "rollback"], [insert(1, 2), "commit"], bounds=B)
    assert outcomes(content, "SELECT t.v, b.status FROM b LEFT JOIN t ON k = 1") == {(0, "failed")}


def test_an_update_to_a_key_that_another_is_taking_waits():
    content = text([put(1, 1), "commit"], [put(1, 2), "commit"], schema=UNIQUE, data="INSERT INTO t (k, v) VALUES (1, 0), (2, 2);")
    assert outcomes(content, "SELECT t.k, t.v, a.status, b.status FROM t, a, b") == {
        ((1, 0, "failed", "done"), (2, 1, "failed", "done")),
        ((1, 1, "done", "failed"), (2, 2, "done", "failed")),
    }
    assert count(content) == 11


def test_a_key_that_an_uncommitted_update_gives_up_is_waited_for():
    content = text([put(1, 1), "commit"], [put(0, 2), "commit"], schema=UNIQUE, data="INSERT INTO t (k, v) VALUES (1, 0), (2, 2);")
    # b needs 0, which row 1 still has if a rolls back; after a's commit it is free.
    assert outcomes(content, STATUS) == {("done", "done"), ("done", "failed")}


def test_two_updates_that_exchange_keys_deadlock_or_fail():
    content = text([put(2, 1), "commit"], [put(0, 2), "commit"], schema=UNIQUE, data="INSERT INTO t (k, v) VALUES (1, 0), (2, 2);")
    # Each needs what the other has. Alone: unique_violation. Both can never succeed.
    found = explore(content, STATUS)
    assert found.finals == {(("failed", "failed"),)}


def test_null_is_no_duplicate():
    content = text([insert(2, "NULL"), "commit"], [insert(3, "NULL"), "commit"], schema=UNIQUE, bounds=B)
    assert outcomes(content, STATUS) == {("done", "done")}
    assert not any("waits" in label for label in explore(content, None).labels)


def test_a_partial_index_concerns_the_rows_of_its_predicate_only():
    both = text([insert(2, 1), "commit"], [insert(3, 1), "commit"], schema=PARTIAL, bounds=B)
    assert outcomes(both, STATUS) == {("done", "failed"), ("failed", "done")}
    other = text([insert(2, 2), "commit"], [insert(3, 2), "commit"], schema=PARTIAL, bounds=B)
    assert outcomes(other, STATUS) == {("done", "done")}
    # Which slot each row is in is state, and so is who came first: 3 x 3 places, and again where both have inserted (cc cd dc dd).
    assert count(other) == 9 + 4


def test_a_row_that_leaves_a_partial_index_uncommitted_still_holds_its_key():
    content = text(
        [put(2, 1), "rollback"], [put(1, 2), "commit"], schema=PARTIAL, data="INSERT INTO t (k, v) VALUES (1, 1), (2, 0);"
    )
    assert outcomes(content, "SELECT t.k, t.v, b.status FROM t, b") == {((1, 1, "failed"), (2, 0, "failed"))}


# ---------------------------------------------------------------------------------------------------- checks and NOT NULL


def test_a_check_refuses():
    content = text(["UPDATE t SET v = v + 1 WHERE k = 1", "commit"], data="INSERT INTO t (k, v) VALUES (1, 9);")
    assert outcomes(content, "SELECT status, v FROM a, t") == {("failed", 9)}
    assert "a.p1: check_violation" in explore(content, None).labels


def test_a_check_that_is_null_passes():
    schema = "CREATE TABLE t (k INTEGER PRIMARY KEY CHECK (k = 1), v INTEGER CHECK (v BETWEEN 0 AND 1), CHECK (v > 0));"
    content = text(["INSERT INTO t (k) VALUES (1)", "commit"], schema=schema, data="", bounds={"t": 1})
    assert outcomes(content, "SELECT status, v FROM a, t") == {("done", None)}


def test_not_null_refuses_what_a_variable_brings():
    content = text([{"sql": "SELECT max(v) FROM t WHERE k = 2", "into": "x"}, "UPDATE t SET v = :x WHERE k = 1", "commit"])
    assert outcomes(content, "SELECT status, v FROM a, t") == {("failed", 0)}
    assert "a.p2: not_null_violation" in explore(content, None).labels


def test_not_null_of_no_row_is_no_error():
    content = text([{"sql": "SELECT max(v) FROM t WHERE k = 2", "into": "x"}, "UPDATE t SET v = :x WHERE k = 3", "commit"])
    assert outcomes(content, "SELECT status FROM a") == {"done"}


# -------------------------------------------------------------------------------------------------------------- ON CONFLICT


def test_do_nothing_waits_and_then_does_nothing():
    step = {"sql": insert(2, 2, " ON CONFLICT DO NOTHING"), "affected": "n"}
    content = text([insert(2, 1), "commit"], [step, "commit"], bounds=B)
    assert outcomes(content, "SELECT t.v, b.n, a.status FROM t, a, b WHERE k = 2") == {(1, 0, "done"), (2, 1, "failed")}
    content = text([insert(2, 1), "rollback"], [step, "commit"], bounds=B)
    assert outcomes(content, "SELECT t.v, b.n, a.status FROM t, a, b WHERE k = 2") == {(2, 1, "done"), (2, 1, "failed")}


def test_do_update_works_on_the_newest_version():
    step = {"sql": insert(2, 2, " ON CONFLICT (k) DO UPDATE SET v = t.v + excluded.v"), "affected": "n"}
    content = text([insert(2, 1), "commit"], [step, "commit"], bounds=B)
    assert outcomes(content, "SELECT t.v, b.n, a.status FROM t, a, b WHERE k = 2") == {(3, 1, "done"), (2, 1, "failed")}


def test_do_update_with_a_condition_that_fails_affects_nothing():
    step = {"sql": insert(1, 2, " ON CONFLICT (k) DO UPDATE SET v = excluded.v WHERE t.v = 0"), "affected": "n"}
    content = text([put(1), "commit"], [step, "commit"], bounds=B)
    assert outcomes(content, "SELECT t.v, b.n FROM t, b") == {(1, 0), (1, 1)}


def test_checks_come_before_the_conflict():
    content = text(
        [{"sql": "SELECT max(v) FROM t WHERE k = 2", "into": "x"}, insert(1, ":x", " ON CONFLICT DO NOTHING"), "commit"],
        bounds=B,
    )
    # NOT NULL is looked at before the index is.
    assert outcomes(content, "SELECT status FROM a") == {"failed"}


# ------------------------------------------------------------------------------------------------------------- foreign keys


def test_a_missing_parent_is_refused_and_null_is_none():
    missing = text(["INSERT INTO c (k) VALUES (2)", "commit"], schema=child(), bounds={"c": 1})
    assert outcomes(missing, "SELECT status FROM a") == {"failed"}
    assert "a.p1: foreign_key_violation" in explore(missing, None).labels
    null = text(["INSERT INTO c (k) VALUES (NULL)", "commit"], schema=child(), bounds={"c": 1})
    assert outcomes(null, "SELECT status FROM a") == {"done"}


def test_an_uncommitted_parent_of_another_is_missing():
    content = text(
        [insert(2, 0), "INSERT INTO c (k) VALUES (2)", "commit"],
        ["INSERT INTO c (k) VALUES (2)", "commit"],
        schema=child(),
        bounds={"c": 2, "t": 2},
    )
    assert outcomes(content, STATUS) == {("done", "done"), ("done", "failed")}
    assert not any("waits" in label for label in explore(content, None).labels)


@pytest.mark.parametrize("action", ["", "ON DELETE RESTRICT", "ON DELETE CASCADE", "ON DELETE SET NULL"])
def test_a_child_races_the_deletion_of_its_parent(action):
    content = text(
        ["DELETE FROM t WHERE k = 1", "commit"],
        ["INSERT INTO c (k) VALUES (1)", "commit"],
        schema=child(action),
        bounds={"c": 1},
    )
    found = outcomes(content, "SELECT a.status, b.status, c.k FROM a CROSS JOIN b LEFT JOIN c ON TRUE")
    if "CASCADE" in action or "NULL" in action:
        # The child's KEY SHARE lock holds the deletion up, which then takes the child with it (or makes it an orphan: NULL).
        assert found == {("done", "done", None), ("done", "failed", None)}
    else:
        assert found == {("failed", "done", 1), ("done", "failed", None)}


def test_cascade_and_set_null():
    data = ONE + "INSERT INTO c (k) VALUES (1);"
    cascade = text(["DELETE FROM t WHERE k = 1", "commit"], schema=child("ON DELETE CASCADE"), data=data)
    assert outcomes(cascade, "SELECT count(*) FROM c") == {0}
    null = text(["DELETE FROM t WHERE k = 1", "commit"], schema=child("ON DELETE SET NULL"), data=data)
    assert outcomes(null, "SELECT k FROM c") == {None}
    for action in ("", "ON DELETE RESTRICT"):
        kept = text(["DELETE FROM t WHERE k = 1", "commit"], schema=child(action), data=data)
        assert outcomes(kept, "SELECT status, k FROM a, c") == {("failed", 1)}


def test_cascade_goes_on_to_grandchildren():
    schema = (
        child("ON DELETE CASCADE")
        + "CREATE TABLE g (id SERIAL PRIMARY KEY, c_id INTEGER NOT NULL REFERENCES c (id) ON DELETE CASCADE);"
    )
    content = text(
        [
            {"sql": "INSERT INTO c (k) VALUES (1) RETURNING id", "into": "i"},
            "INSERT INTO g (c_id) VALUES (:i)",
            "DELETE FROM t WHERE k = 1",
            "commit",
        ],
        schema=schema,
        bounds={"c": 1, "g": 1},
    )
    assert outcomes(content, "SELECT count(*) FROM g") == {0}


def test_updates_of_other_columns_do_not_meet_key_share():
    content = text(["INSERT INTO c (k) VALUES (1)", "commit"], [put(1), "commit"], schema=child(), bounds={"c": 1})
    assert outcomes(content, STATUS) == {("done", "done")}
    assert count(content) == 9


def test_an_uncommitted_child_makes_skip_locked_pass_over_its_parent():
    content = text(
        ["INSERT INTO c (k) VALUES (1)", "commit"],
        [
            {"sql": "SELECT v FROM t WHERE k = 1 FOR UPDATE SKIP LOCKED", "into": "x"},
            {"sql": "SELECT v FROM t WHERE k = 1 FOR NO KEY UPDATE SKIP LOCKED", "into": "y"},
            "commit",
        ],
        schema=child(),
        bounds={"c": 1},
    )
    assert outcomes(content, "SELECT x, y FROM b") == {(0, 0), (None, 0)}


def test_a_foreign_key_is_looked_at_after_the_unique_keys_of_all_rows():
    schema = T + "CREATE TABLE c (id SERIAL PRIMARY KEY, k INTEGER REFERENCES t (k), u INTEGER UNIQUE CHECK (u IN (0, 1)));"
    content = text(["INSERT INTO c (k, u) VALUES (2, 1), (1, 1)", "commit"], schema=schema, bounds={"c": 2})
    assert explore(content, "SELECT status FROM a").finals == {(("failed",),)}
    assert "a.p1: unique_violation" in explore(content, None).labels


# -------------------------------------------------------------------------------------------------------- INSERT … SELECT


def test_insert_select_reads_its_snapshot():
    content = text(["INSERT INTO t (k, v) SELECT k + 2, v + 1 FROM t", "commit"], [put(5), "commit"], data=TWO, bounds={"t": 4})
    assert outcomes(content, "SELECT k, v FROM t") == {
        ((1, 5), (2, 0), (3, 1), (4, 1)),
        ((1, 5), (2, 0), (3, 6), (4, 1)),
    }


def test_insert_select_of_a_duplicate_inserts_nothing():
    content = text(["INSERT INTO t (k, v) SELECT k + 1, v FROM t", "commit"], data=TWO, bounds={"t": 4})
    assert outcomes(content, "SELECT status, count(t.k) FROM a, t GROUP BY status") == {("failed", 2)}


def test_insert_select_on_conflict_do_nothing_skips_the_duplicates():
    content = text(
        [{"sql": "INSERT INTO t (k, v) SELECT k + 1, v FROM t ON CONFLICT DO NOTHING", "affected": "n"}, "commit"],
        data=TWO,
        bounds={"t": 4},
    )
    assert outcomes(content, "SELECT n, count(t.k) FROM a, t GROUP BY n") == {(1, 3)}


# ---------------------------------------------------------------------------------------------------- bounds and fresh ids

LOG = "CREATE TABLE log (id SERIAL PRIMARY KEY, n INTEGER CHECK (n BETWEEN 0 AND 3));"


def test_an_insert_beyond_the_bound_is_told():
    content = text(
        ["INSERT INTO log (n) VALUES (0)", "INSERT INTO log (n) VALUES (1)", "commit"], schema=LOG, data="", bounds={"log": 1}
    )
    found = explore(content, "SELECT status FROM a")
    assert found.hit == ("log",)
    assert found.finals == set()  # the second insert is enabled, and leads to no state
    assert found.states == 2


def test_a_slot_is_used_again_when_its_row_is_gone():
    content = text(
        {"steps": ["INSERT INTO log (n) VALUES (0)", "DELETE FROM log WHERE n = 0", "commit"], "repeat": "forever"},
        schema=LOG,
        data="",
        bounds={"log": 1},
    )
    found = explore(content, None)
    # A row that its own transaction deletes is still there, uncommitted, until the end.
    assert found.hit == ()
    assert found.states == 3


def test_a_slot_that_a_variable_refers_to_is_not_used_again():
    def steps(read):
        return [
            {"sql": "INSERT INTO log (n) VALUES (0) RETURNING id", "into": "i"},
            "DELETE FROM log WHERE id = :i",
            "commit",
            "INSERT INTO log (n) VALUES (1)",
            *([{"sql": "SELECT n FROM log WHERE id = :i", "into": "m"}] if read else []),
            "commit",
        ]

    free = explore(text(steps(False), schema=LOG, data="", bounds={"log": 1}), "SELECT n FROM log")
    assert (free.finals, free.hit) == ({((1,),)}, ())
    pinned = explore(text(steps(True), schema=LOG, data="", bounds={"log": 1}), None)
    assert pinned.hit == ("log",)
    wide = explore(text(steps(True), schema=LOG, data="", bounds={"log": 2}), "SELECT m FROM a")
    assert (wide.finals, wide.hit) == ({((None,),)}, ())  # a fresh id is no old one


def test_truncated_bounds_are_accepted():
    from small import verdicts

    content = text(
        {"steps": ["INSERT INTO log (n) VALUES (0)", "commit"], "repeat": "forever"},
        schema=LOG,
        data="",
        bounds={"log": 1},
        properties={
            "p": {"never": "SELECT id FROM log WHERE n = 1"},
            "q": {"always_possible": "SELECT id FROM log WHERE n = 1"},
        },
    )
    assert verdicts(content) == {"p": ("unknown (bound log hit)", None), "q": ("unknown (bound log hit)", None)}
    accepted = content.replace('"bounds": {"log": 1}', '"bounds": {"log": 1}, "truncate": ["log"]')
    assert verdicts(accepted)["p"] == ("holds (truncated at log)", None)
    assert verdicts(accepted)["q"][0].startswith("unknown")
