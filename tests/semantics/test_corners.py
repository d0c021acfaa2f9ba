"""Corners that random specifications came upon."""

from __future__ import annotations

from small import TWO, T, count, explore, outcomes, text

LOG = "CREATE TABLE g (id SERIAL PRIMARY KEY, n INTEGER);"


def put(value, key=1):
    return f"UPDATE t SET v = {value} WHERE k = {key}"


def test_a_savepoint_of_the_same_name_hides_the_first():
    content = text(
        [{"savepoint": "s"}, put(1), {"savepoint": "s"}, put(2), {"rollback_to": "s"}, {"release": "s"}, put(3, 2), "commit"],
        data=TWO,
    )
    assert outcomes(content, "SELECT k, v FROM t") == {((1, 1), (2, 3))}
    back = text([{"savepoint": "s"}, put(1), {"savepoint": "s"}, put(2), {"release": "s"}, {"rollback_to": "s"}, "commit"])
    assert outcomes(back, "SELECT v FROM t") == {0}


def test_rollback_to_keeps_the_savepoint():
    content = text([{"savepoint": "s"}, put(1), {"rollback_to": "s"}, put(2), {"rollback_to": "s"}, "commit"])
    assert outcomes(content, "SELECT v FROM t") == {0}
    assert count(content) == 7


def test_a_full_ghost_table_is_a_bound_that_is_hit():
    content = text(
        [
            {"sql": put(1), "ghost": "INSERT INTO g (n) VALUES (1)"},
            {"sql": put(2), "ghost": "INSERT INTO g (n) VALUES (1)"},
            "commit",
        ],
        ghost=LOG,
        domains={"g.n": [0, 1]},
        bounds={"g": 1},
    )
    assert explore(content, None).hit == ("g",)
    assert outcomes(content.replace('"g": 1', '"g": 2'), "SELECT count(*) FROM g") == {2}


def test_several_rows_left_with_a_subquery_over_an_updated_column_are_not_guessed():
    content = text(
        ["UPDATE t SET v = v + 1", "commit"],
        ["UPDATE t SET v = 5 WHERE v IN (SELECT q.x FROM q)", "commit"],
        schema=T + "CREATE TABLE q (x INTEGER NOT NULL CHECK (x IN (0, 1)));",
        data=TWO + "INSERT INTO q (x) VALUES (0);",
    )
    assert explore(content, None).hit == ("waiting with several rows and a subquery over an updated column (t)",)


def test_a_row_count_beyond_a_refused_row_needs_no_slot():
    # The table is full, and the row would be refused all the same: no bound is hit.
    content = text(["INSERT INTO t (k, v) VALUES (1, 1)", "commit"], bounds={"t": 1})
    found = explore(content, "SELECT status FROM a")
    assert (found.finals, found.hit) == ({(("failed",),)}, ())


def test_an_error_at_commit_that_was_not_done_leaves_nothing():
    content = text([put(1), ("end", "commit")], processes={"a": {"errors": {"end": "Lost"}}})
    assert outcomes(content, "SELECT status, v FROM a, t") == {("done", 1), ("failed", 1), ("failed", 0)}
