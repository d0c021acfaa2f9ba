"""Statements on rows: snapshots, row locks, waiting and what is looked at afterwards.

Every set of outcomes was worked out from PostgreSQL's rules, and then seen on PostgreSQL 15 by running every
schedule of the statements.
"""

from __future__ import annotations

import re

import pytest
from small import ONE, TWO, T, count, explore, outcomes, text

from txweave.system import expr as x

MODES = ("KEY SHARE", "SHARE", "NO KEY UPDATE", "UPDATE")
CONFLICT = {
    # PostgreSQL manual, table 13.3
    ("KEY SHARE", "UPDATE"),
    ("SHARE", "NO KEY UPDATE"),
    ("SHARE", "UPDATE"),
    ("NO KEY UPDATE", "NO KEY UPDATE"),
    ("NO KEY UPDATE", "UPDATE"),
    ("UPDATE", "UPDATE"),
}


def sel(query, *into, **more):
    return {"sql": query, "into": into[0] if len(into) == 1 else list(into), **more}


def put(value, key=1):
    return f"UPDATE t SET v = {value} WHERE k = {key}"


V = "SELECT v FROM t WHERE k = 1"
C = T + "CREATE TABLE c (id SERIAL PRIMARY KEY, k INTEGER REFERENCES t (k));"

# ------------------------------------------------------------------------------------------------------------- snapshots


def test_each_statement_has_a_snapshot_of_its_own():
    found = explore(text([sel(V, "x"), sel(V, "y"), "commit"], [put(1), "commit"]), "SELECT x, y FROM a")
    # A commit between the two reads shows; the second never sees less than the first.
    assert found.finals == {((0, 0),), ((0, 1),), ((1, 1),)}
    # b before its commit (2 places): 4 places of a, each with one value of what it has read. After: at the first read 1, at the
    # second x is 0 or 1, then (0, 0), (0, 1), (1, 1) before and after a's commit.
    assert found.states == 2 * 4 + 1 + 2 + 3 + 3


def test_own_writes_are_seen_and_uncommitted_ones_of_others_are_not():
    content = text([put(1), sel(V, "x"), "commit"], [sel(V, "y"), "commit"])
    assert outcomes(content, "SELECT x, y FROM a, b") == {(1, 0), (1, 1)}
    assert count(content) == 4 * 3  # nobody waits, and what was read is not kept where nothing reads it


def test_rollback_takes_everything_back():
    content = text([put(1), "INSERT INTO t (k, v) VALUES (2, 2)", "DELETE FROM t WHERE k = 1", "rollback"], bounds={"t": 2})
    assert outcomes(content, "SELECT k, v FROM t") == {(1, 0)}
    assert count(content) == 5


def test_a_procedure_that_ends_without_commit_rolls_back():
    assert outcomes(text([put(1)]), "SELECT v FROM t") == {0}


def test_read_then_write_loses_an_update():
    step = [sel(V, "x"), "UPDATE t SET v = :x + 1 WHERE k = 1", "commit"]
    assert outcomes(text(step, step), "SELECT v FROM t") == {1, 2}


def test_increments_are_not_lost():
    content = text(["UPDATE t SET v = v + 1 WHERE k = 1", "commit"], ["UPDATE t SET v = v + 1 WHERE k = 1", "commit"])
    assert outcomes(content, "SELECT v FROM t") == {2}
    # Places: update (u), commit (c), done (d), waiting (w), free to go on after it (f): uu cu uc cw wc du ud df fd dc cd dd.
    assert count(content) == 12


# ------------------------------------------------------------------------------------------------------------ row locks


@pytest.mark.parametrize("first", MODES)
@pytest.mark.parametrize("second", MODES)
def test_the_conflict_matrix(first, second):
    content = text(
        [f"{V} FOR {first}", "rollback"],
        [sel(f"{V} FOR {second} SKIP LOCKED", "y"), "commit"],
    )
    found = explore(content, "SELECT y FROM b")
    if {(first, second), (second, first)} & CONFLICT:
        assert found.finals == {((0,),), ((None,),)}
        # a: lock 1, rollback 2, done d; b with what it got: 1, 2, d.  11 21 d1; b had it: 12 w2 1d fd 2d dd d2;
        # b was passed over: 22' 2d' d2' dd'.
        assert found.states == 14
    else:
        assert found.finals == {((0,),)}
        assert found.states == 9


@pytest.mark.parametrize("mode", MODES)
def test_an_update_of_no_key_lets_key_share_through(mode):
    content = text([put(1), "rollback"], [sel(f"{V} FOR {mode} SKIP LOCKED", "y"), "commit"])
    assert outcomes(content, "SELECT y FROM b") == ({0} if mode == "KEY SHARE" else {0, None})


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("write", ["UPDATE t SET k = 3 WHERE k = 1", "DELETE FROM t WHERE k = 1"])
def test_a_deletion_or_a_new_key_lets_no_lock_through(mode, write):
    content = text([write, "rollback"], [sel(f"{V} FOR {mode} SKIP LOCKED", "y"), "commit"])
    assert outcomes(content, "SELECT y FROM b") == {0, None}


@pytest.mark.parametrize("mode", MODES)
def test_a_lock_holds_an_update_up(mode):
    content = text([f"{V} FOR {mode}", sel(V, "x"), "commit"], [put(1), "commit"])
    found = explore(content, "SELECT x FROM a")
    # With KEY SHARE the update may be committed between a's two reads; with the others it waits, but may come before both.
    assert found.finals == {((0,),), ((1,),)}
    assert any("waits" in name for name in found.labels) == (mode != "KEY SHARE")


@pytest.mark.parametrize("mode", MODES)
def test_nowait_fails_at_once(mode):
    content = text([put(1), "rollback"], [sel(f"{V} FOR {mode} NOWAIT", "y"), "commit"])
    expected = {(0, "done")} if mode == "KEY SHARE" else {(0, "done"), (None, "failed")}
    assert outcomes(content, "SELECT y, status FROM b") == expected
    # a waits for b as well (FOR KEY SHARE apart), never b for a
    found = explore(content, None)
    assert not any(name.startswith("b.") and "waits" in name for name in found.labels)
    assert ("b.q1: lock_not_available" in found.labels) == (mode != "KEY SHARE")


def test_for_update_reads_the_newest_version_after_waiting():
    step = [sel(f"{V} FOR UPDATE", "x"), "UPDATE t SET v = :x + 1 WHERE k = 1", "commit"]
    assert outcomes(text(step, step), "SELECT v, a.x, b.x FROM t, a, b") == {(2, 0, 1), (2, 1, 0)}


def test_locks_go_with_the_transaction_even_when_the_row_becomes_free_before():
    content = text([{"savepoint": "s"}, put(2), {"rollback_to": "s"}, put(3), "commit"], [put(7), "commit"])
    assert outcomes(content, "SELECT v FROM t") == {3, 7}


# ------------------------------------------------------------------------------------------------- waiting and re-check


def test_after_waiting_the_condition_is_looked_at_again():
    def swap(value):
        return [{"sql": f"UPDATE t SET v = {value} WHERE k = 1 AND v = 0", "affected": "n"}, "commit"]

    content = text(swap(1), swap(2))
    assert outcomes(content, "SELECT v, a.n, b.n FROM t, a, b") == {(1, 1, 0), (2, 0, 1)}
    # The 12 states of two increments with the result as 1 or 2: the three symmetric pairs keep their number, but df fd lead to a
    # place where nothing was written but the row is locked (dc', cd'), and the three dc cd dd of the increments become six.
    assert count(content) == 15


def test_when_the_blocker_rolls_back_the_waiter_goes_on_with_the_old_version():
    content = text([put(1), "rollback"], [{"sql": "UPDATE t SET v = 2 WHERE k = 1 AND v = 0", "affected": "n"}, "commit"])
    assert outcomes(content, "SELECT v, n FROM t, b") == {(2, 1)}


def test_a_row_that_no_longer_matches_stays_locked():
    content = text(
        [put(1), "commit"],
        ["UPDATE t SET v = 5 WHERE k = 1 AND v = 0", "rollback"],
        [sel(f"{V} FOR UPDATE SKIP LOCKED", "y"), {"sql": "SELECT count(*) FROM t WHERE v = 1", "into": "z"}, "commit"],
    )
    # (None, 1): passed over while b holds it, after a's commit
    found = explore(content, "SELECT y, z FROM c")
    assert found.finals == {((0, 0),), ((1, 1),), ((None, 0),), ((None, 1),)}
    assert "b.q1: no longer matches" in found.labels


def test_a_row_that_is_gone_is_passed_over():
    content = text(["DELETE FROM t WHERE k = 1", "commit"], [{"sql": put(9), "affected": "n"}, "commit"])
    assert outcomes(content, "SELECT b.n, count(t.k) FROM b LEFT JOIN t ON TRUE GROUP BY b.n") == {(0, 0), (1, 0)}
    # As two increments, but a row that is gone leaves nothing to lock: the same 12 places.
    assert count(content) == 12


def test_a_row_that_was_deleted_and_inserted_again_is_another_one():
    content = text(
        ["DELETE FROM t WHERE k = 1", "INSERT INTO t (k, v) VALUES (1, 5)", "commit"],
        [{"sql": put(9), "affected": "n"}, "commit"],
        bounds={"t": 2},
    )
    # The update that waited finds its row gone, and never looks at the new one: (5, 0).
    assert outcomes(content, "SELECT v, n FROM t, b") == {(5, 0), (5, 1), (9, 1)}


def test_a_row_that_did_not_match_in_the_snapshot_is_not_found_later():
    content = text([put(1), "commit"], [{"sql": "UPDATE t SET v = 7 WHERE v = 1", "affected": "n"}, "commit"])
    assert outcomes(content, "SELECT v, n FROM t, b") == {(1, 0), (7, 1)}
    assert not any("waits" in name for name in explore(content, None).labels if name.startswith("b."))


@pytest.mark.parametrize("statements", ["preemptible", "atomic"])
def test_subqueries_keep_the_value_of_the_old_snapshot(statements):
    content = text(
        [put(1), "INSERT INTO c (k) VALUES (1)", "commit"],
        [
            {"sql": "UPDATE t SET v = v + 2 WHERE k = 1 AND NOT EXISTS (SELECT 1 FROM c WHERE c.k = t.k)", "affected": "n"},
            "commit",
        ],
        schema=C,
        bounds={"c": 1},
        processes={"b": {"statements": statements}},
    )
    # (3, 1): b waited, looked at the new version of t, and still sees no row in c.
    assert outcomes(content, "SELECT v, n FROM t, b") == {(1, 0), (1, 1), (3, 1)}


def test_a_scalar_subquery_in_set_keeps_its_value():
    content = text(
        [put(1), "INSERT INTO c (k) VALUES (1)", "commit"],
        ["UPDATE t SET v = v + (SELECT count(*) FROM c) WHERE k = 1", "commit"],
        schema=C,
        bounds={"c": 1},
    )
    # b before a: 1; b waited: 1 + 0; b after: 1 + 1.
    assert outcomes(content, "SELECT v FROM t") == {1, 2}


def test_both_plans_of_a_subquery_over_an_updated_column_are_explored():
    content = text(
        ["UPDATE t SET v = 2 WHERE k = 1", "commit"],
        [{"sql": "UPDATE t SET v = 5 WHERE k = 1 AND EXISTS (SELECT 1 FROM q WHERE q.x = t.v)", "affected": "n"}, "commit"],
        schema=T + "CREATE TABLE q (x INTEGER NOT NULL CHECK (x IN (1, 2)));",
        data="INSERT INTO t (k, v) VALUES (1, 1); INSERT INTO q (x) VALUES (1);",
        properties={"p": {"deadlock": "never"}},
    )
    # b first: 5 and then a's 2; after a's commit: 0 rows; after waiting: the joined row is kept (5) or the subquery runs again (2).
    assert outcomes(content, "SELECT v, n FROM t, b") == {(2, 1), (2, 0), (5, 1)}
    assert any("either way" in note for note in explore(content, None).ground.system.assumptions)


@pytest.mark.parametrize("statements", ["preemptible", "atomic"])
def test_a_multi_row_update_waits_after_locking_any_of_the_others(statements):
    content = text(
        [put(1), sel("SELECT v FROM t WHERE k = 2 FOR UPDATE SKIP LOCKED", "x"), "commit"],
        ["UPDATE t SET v = 5", "commit"],
        data=TWO,
        processes={"b": {"statements": statements}},
    )
    # While b waits for row 1 it has locked row 2 (a passes over it) or not yet.
    waits = explore(content, "SELECT x FROM a, b WHERE a.step = 'p3' AND b.status = 'running'")
    assert waits.states
    assert outcomes(content, "SELECT x FROM a") == {0, 5, None}
    assert outcomes(content, "SELECT k, v FROM t") == {((1, 5), (2, 5)), ((1, 1), (2, 5))}


def test_updates_of_two_rows_in_opposite_order_deadlock_and_any_may_be_the_victim():
    content = text([put(1, 1), put(1, 2), "commit"], [put(2, 2), put(2, 1), "commit"], data=TWO)
    found = explore(content, "SELECT a.status, b.status, t.v FROM t, a, b")
    assert found.finals == {
        (("done", "done", 1), ("done", "done", 1)),
        (("done", "done", 2), ("done", "done", 2)),
        (("done", "failed", 1), ("done", "failed", 1)),
        (("failed", "done", 2), ("failed", "done", 2)),
    }
    assert {"a.p2: deadlock_detected", "b.q2: deadlock_detected"} <= found.labels


def test_two_share_locks_that_want_more_deadlock():
    content = text([f"{V} FOR SHARE", put(1), "commit"], [f"{V} FOR SHARE", put(2), "commit"])
    assert outcomes(content, "SELECT a.status, b.status, v FROM t, a, b") == {
        ("done", "done", 1),
        ("done", "done", 2),
        ("done", "failed", 1),
        ("failed", "done", 2),
    }


def test_a_cycle_of_three_is_found():
    three = "INSERT INTO t (k, v) VALUES (1, 0), (2, 0), (3, 0);"
    content = text(*([put(1, k), put(1, k % 3 + 1), "commit"] for k in (1, 2, 3)), data=three)
    found = explore(content, "SELECT a.status, b.status, c.status FROM a, b, c")
    # All may get through; in the cycle exactly one is the victim, and then the others go on.
    assert found.finals == {
        (("done", "done", "done"),),
        (("failed", "done", "done"),),
        (("done", "failed", "done"),),
        (("done", "done", "failed"),),
    }


# ---------------------------------------------------------------------------------------------------------------- queues


def test_those_who_wait_are_served_in_order():
    content = text(
        [put(1), "commit"],
        ["UPDATE t SET v = v * 2 WHERE k = 1", "commit"],
        ["UPDATE t SET v = v + 3 WHERE k = 1", "commit"],
    )
    found = explore(content, "SELECT v FROM t")
    # Orders of commit: a b c: 5; a c b: 8; b a c: 4; c a b: 2; b c a and c b a: 1.
    assert found.finals == {((1,),), ((2,),), ((4,),), ((5,),), ((8,),)}
    assert overtaken(content) == set()


def overtaken(content):
    """Pairs of roles where the first waited for the row before the second did, and the second got it first."""
    made = explore(content, None).ground
    start = made.initial
    # A walk by hand on the ground system: a updates, b waits, c waits, a commits; then only b may go on.
    state = start
    for name in ("a.p1", "b.q1: waits", "c.r1: waits", "a.p2"):
        state = follow(made, state, name)
    return {re.split(r"[:( ]", name)[0] for name in enabled(made, state)} - {"b.q1"}


def enabled(made, state):
    env = {x.cell(i): x.const(v) for i, v in enumerate(state)}
    return [a.name for a in made.actions if x.transform(a.guard, env.get, {}) is x.TRUE and a.kind in ("step", "database")]


def follow(made, state, name):
    env = {x.cell(i): x.const(v) for i, v in enumerate(state)}
    pattern = re.compile(re.escape(name) + r"( /\d+)?\(")
    [action] = [a for a in made.actions if pattern.match(a.name) and x.transform(a.guard, env.get, {}) is x.TRUE]
    after = list(state)
    for number, body in action.updates:
        value = x.transform(body, env.get, {})
        assert isinstance(value, x.Const)
        after[number] = value.value
    return tuple(after)


def test_a_newcomer_may_take_the_row_before_the_first_in_the_queue_has_woken_up():
    content = text(
        [put(1), "commit"], ["UPDATE t SET v = v * 2 WHERE k = 1", "commit"], ["UPDATE t SET v = v + 3 WHERE k = 1", "commit"]
    )
    made = explore(content, None).ground
    state = made.initial
    for name in ("a.p1", "b.q1: waits", "a.p2"):
        state = follow(made, state, name)
    # The new version is locked by nobody, and PostgreSQL's tuple lock, which b has, is only asked for by those who must wait.
    names = {re.sub(r"( /\d+)?\(.*", "", name) for name in enabled(made, state)}
    assert names == {"b.q1: ok after waiting", "c.r1"}


# ----------------------------------------------------------------------------------------- SKIP LOCKED, LIMIT, FOR UPDATE


def test_skip_locked_takes_another_row():
    step = [sel("SELECT k FROM t ORDER BY k LIMIT 1 FOR UPDATE SKIP LOCKED", "x"), "commit"]
    found = explore(text(step, step, data=TWO), "SELECT a.x, b.x FROM a, b")
    assert found.finals == {((1, 1),), ((1, 2),), ((2, 1),)}
    assert not any("waits" in name for name in found.labels)


def test_skip_locked_may_find_nothing():
    step = [sel("SELECT k FROM t LIMIT 1 FOR UPDATE SKIP LOCKED", "x"), "commit"]
    assert outcomes(text(step, step), "SELECT a.x, b.x FROM a, b") == {(1, 1), (1, None), (None, 1)}


def test_limit_1_for_update_goes_on_to_the_next_row():
    content = text(
        [sel("SELECT k FROM t ORDER BY k LIMIT 1 FOR UPDATE", "x"), "UPDATE t SET v = 1 WHERE k = :x", "commit"],
        [sel("SELECT k FROM t WHERE v = 0 ORDER BY k LIMIT 1 FOR UPDATE", "x"), "commit"],
        data=TWO,
    )
    # b waited for row 1, which no longer matches: it takes row 2.
    assert outcomes(content, "SELECT a.x, b.x FROM a, b") == {(1, 1), (1, 2)}


def test_limit_without_order_takes_any_row():
    content = text([sel("SELECT k FROM t LIMIT 1", "x"), "commit"], data=TWO)
    found = explore(content, "SELECT x FROM a")
    assert found.finals == {((1,),), ((2,),)}
    assert found.states == 1 + 2 + 2
    assert count(content) == 3


def test_limit_2_takes_any_two():
    content = text(
        [
            {"sql": "SELECT k FROM t LIMIT 2", "rows": "r"},
            {"for": "i", "in": "r", "steps": ["UPDATE t SET v = 1 WHERE k = :i"]},
            "commit",
        ],
        data="INSERT INTO t (k, v) VALUES (1, 0), (2, 0), (3, 0);",
    )
    assert outcomes(content, "SELECT k FROM t WHERE v = 1") == {(1, 2), (1, 3), (2, 3)}


def test_a_query_that_can_have_no_row_still_has_an_outcome():
    content = text(
        [
            "INSERT INTO c (k) SELECT k FROM t WHERE v IS NULL",
            sel("SELECT k FROM t WHERE v IS NULL FOR UPDATE SKIP LOCKED", "x"),
            sel("SELECT k FROM t WHERE v IS NULL ORDER BY k LIMIT 1", "x"),
            {"sql": "SELECT k FROM t WHERE v IS NULL ORDER BY k", "rows": "r"},
            {"for": "i", "in": "r", "steps": ["UPDATE t SET v = 1 WHERE k = :i"]},
            "commit",
        ],
        schema=C,
        bounds={"c": 1},
    )
    assert outcomes(content, "SELECT a.status, v FROM a, t") == {("done", 0)}
    assert count(content) == 6


# --------------------------------------------------------------------------------------------------------- FROM and USING


def test_update_from():
    content = text(
        [{"sql": "UPDATE t SET v = 3 FROM c WHERE c.k = t.k", "affected": "n"}, "commit"],
        ["INSERT INTO c (k) VALUES (2)", "commit"],
        schema=C,
        data=TWO + "INSERT INTO c (k) VALUES (1);",
        bounds={"c": 2},
    )
    assert outcomes(content, "SELECT a.n, t.k, t.v FROM a, t") == {((1, 1, 3), (1, 2, 0)), ((2, 1, 3), (2, 2, 3))}


def test_update_from_counts_a_target_once():
    content = text(
        [{"sql": "UPDATE t SET v = 3 FROM c WHERE c.k = t.k", "affected": "n"}, "commit"],
        schema=C,
        data=ONE + "INSERT INTO c (k) VALUES (1), (1);",
    )
    assert outcomes(content, "SELECT n, v FROM a, t") == {(1, 3)}


def test_update_from_with_different_joined_values_is_not_guessed():
    schema = T + "CREATE TABLE c (id SERIAL PRIMARY KEY, k INTEGER REFERENCES t (k), w INTEGER CHECK (w IN (1, 2)));"
    content = text(
        ["UPDATE t SET v = c.w FROM c WHERE c.k = t.k", "commit"],
        schema=schema,
        data=ONE + "INSERT INTO c (k, w) VALUES (1, 1), (1, 2);",
    )
    assert explore(content, None).hit == ("UPDATE … FROM with several joined rows that differ (t)",)


def test_delete_using():
    content = text(
        [{"sql": "DELETE FROM c USING t WHERE c.k = t.k AND t.v = 0", "affected": "n"}, "commit"],
        [put(1), "commit"],
        schema=C,
        data=ONE + "INSERT INTO c (k) VALUES (1);",
    )
    assert outcomes(content, "SELECT a.n, count(c.id) FROM a LEFT JOIN c ON TRUE GROUP BY a.n") == {(0, 1), (1, 0)}


def test_returning_gives_new_values_of_an_update_and_old_ones_of_a_delete():
    content = text(
        [
            sel("UPDATE t SET v = v + 1 WHERE k = 1 RETURNING v, k", "x", "y"),
            sel("DELETE FROM t WHERE k = 1 RETURNING v", "z"),
            "commit",
        ]
    )
    assert outcomes(content, "SELECT x, y, z FROM a") == {(1, 1, 1)}


def test_returning_the_deleted_row_as_it_was_after_an_own_update():
    content = text([put(4), sel("DELETE FROM t WHERE k = 1 RETURNING v", "z"), "commit"])
    assert outcomes(content, "SELECT z FROM a") == {4}
