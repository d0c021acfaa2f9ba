"""Transactions, errors, crashes, hangs, fairness and time: for each rule a smallest program that shows when it is broken."""

from __future__ import annotations

import pytest
from small import TWO, count, explore, outcomes, text, verdicts

V = "SELECT v FROM t WHERE k = 1"


def put(value, key=1):
    return f"UPDATE t SET v = {value} WHERE k = {key}"


def sel(query, into):
    return {"sql": query, "into": into}


READS = [sel(V, "x"), sel(V, "z"), "commit"]
"""Two reads: between them another's write can come only if nothing holds it up."""
DOUBLE = "INSERT INTO t (k, v) VALUES (1, 9)"
B = {"t": 2}

# ------------------------------------------------------------------------------------------------------------ savepoints


def test_back_to_a_savepoint_restores_what_was_written_before_it():
    content = text([put(1), {"savepoint": "s"}, put(2), {"rollback_to": "s"}, sel(V, "x"), "commit"])
    assert outcomes(content, "SELECT v, x FROM t, a") == {(1, 1)}
    content = text([{"savepoint": "s"}, put(2), {"rollback_to": "s"}, sel(V, "x"), "commit"])
    assert outcomes(content, "SELECT v, x FROM t, a") == {(0, 0)}
    insert = "INSERT INTO t (k, v) VALUES (2, 2)"
    content = text([{"savepoint": "s"}, insert, "DELETE FROM t WHERE k = 1", {"rollback_to": "s"}, "commit"], bounds=B)
    assert outcomes(content, "SELECT k, v FROM t") == {(1, 0)}
    assert count(content) == 6


def test_a_released_savepoint_keeps_what_came_after_it():
    content = text(
        [{"savepoint": "r"}, put(1), {"savepoint": "s"}, put(2), {"release": "s"}, sel(V, "x"), {"rollback_to": "r"}, "commit"]
    )
    assert outcomes(content, "SELECT v, x FROM t, a") == {(0, 2)}


def test_locks_taken_before_a_savepoint_stay_and_those_after_it_go():
    before = text([f"{V} FOR UPDATE", {"savepoint": "s"}, {"rollback_to": "s"}, *READS], [put(1), "commit"])
    assert outcomes(before, "SELECT x, z FROM a") == {(0, 0), (1, 1)}
    after = text([{"savepoint": "s"}, f"{V} FOR UPDATE", {"rollback_to": "s"}, *READS], [put(1), "commit"])
    assert outcomes(after, "SELECT x, z FROM a") == {(0, 0), (0, 1), (1, 1)}
    written = text([{"savepoint": "s"}, put(5), {"rollback_to": "s"}, *READS], [put(1), "commit"])
    assert outcomes(written, "SELECT x, z FROM a") == {(0, 0), (0, 1), (1, 1)}
    kept = text([put(4), {"savepoint": "s"}, put(5), {"rollback_to": "s"}, *READS], [put(1), "commit"])
    assert outcomes(kept, "SELECT x, z FROM a") == {(4, 4)}


def test_who_waits_goes_on_after_rollback_to():
    forever = {"choose": "j", "from": "SELECT k FROM t WHERE v = 9"}
    content = text([{"savepoint": "s"}, put(5), {"rollback_to": "s"}, forever, "commit"], [put(1), "commit"])
    # a never ends its transaction, but has given the row back.
    assert outcomes(content, "SELECT a.status, b.status, v FROM a, b, t") == {("running", "done", 1)}


# ----------------------------------------------------------------------------------------------- locks and what is seen


def test_uncommitted_writes_of_others_are_not_seen():
    read = sel("SELECT sum(v) FROM t", "x"), sel("SELECT count(*) FROM t", "y")
    gone = text([put(1), "INSERT INTO t (k, v) VALUES (2, 5)", "rollback"], [*read, "commit"], bounds=B)
    assert outcomes(gone, "SELECT x, y FROM b") == {(0, 1)}
    deleted = text(["DELETE FROM t WHERE k = 1", "rollback"], [sel("SELECT count(*) FROM t", "x"), "commit"])
    assert outcomes(deleted, "SELECT x FROM b") == {1}


def test_own_insertions_and_deletions_are_seen():
    count_ = "SELECT count(*) FROM t"
    content = text(
        ["INSERT INTO t (k, v) VALUES (2, 5)", sel(count_, "x"), "DELETE FROM t WHERE k < 3", sel(count_, "y"), "commit"],
        bounds=B,
    )
    assert outcomes(content, "SELECT x, y, status FROM a") == {(2, 0, "done")}


def test_a_row_that_fails_the_second_look_stays_locked():
    content = text(
        [put(1), "commit"],
        ["UPDATE t SET v = 5 WHERE k = 1 AND v = 0", {"savepoint": "s"}, "rollback"],
        [sel("SELECT count(*) FROM t WHERE v = 1", "z"), sel(f"{V} FOR UPDATE SKIP LOCKED", "y"), "commit"],
    )
    # z = 1: a has committed, so that only b can hold the row; and b has changed nothing.
    assert (1, None) in outcomes(content, "SELECT z, y FROM c")


def test_properties_see_the_committed_state():
    never = {"p": {"never": "SELECT k FROM t WHERE v = 1"}, "q": {"never": "SELECT k FROM t WHERE v = 2"}}
    assert verdicts(text([put(1), put(2), "commit"], properties=never)) == {"p": ("holds", None), "q": ("violated", 3)}


def test_a_weaker_lock_does_not_weaken_a_stronger_one():
    content = text(
        [f"{V} FOR UPDATE", f"{V} FOR SHARE", "rollback"],
        [sel(f"{V} FOR SHARE SKIP LOCKED", "y"), {"savepoint": "s"}, "commit"],
    )
    passed = '"p": {"never": "SELECT b.id FROM a JOIN b ON a.step = \'p3\' AND b.y = 0 AND b.step = \'q2\'"}'
    # a has both locks: b has got the row only if it was first, and then a cannot have FOR UPDATE.
    assert verdicts(content.replace('"none": {"deadlock": "never"}', passed))["p"] == ("holds", None)


def test_an_update_of_a_key_waits_for_key_share():
    content = text(
        [f"{V} FOR KEY SHARE", sel("SELECT count(*) FROM t WHERE k = 1", "n"), "commit"],
        ["UPDATE t SET k = 3 WHERE k = 1", "commit"],
    )
    assert outcomes(content, "SELECT n FROM a") == {0, 1}
    held = text(
        [sel(f"{V} FOR KEY SHARE", "x"), sel("SELECT count(*) FROM t WHERE k = 1", "n"), "commit"],
        ["UPDATE t SET k = 3 WHERE k = 1", "commit"],
    )
    assert outcomes(held, "SELECT x, n FROM a") == {(0, 1), (None, 0)}


def test_a_row_that_enters_a_partial_index_by_its_predicate_is_looked_at():
    schema = (
        "CREATE TABLE t (k INTEGER PRIMARY KEY CHECK (k IN (1, 2)), v INTEGER CHECK (v = 1), w BOOLEAN NOT NULL);"
        "CREATE UNIQUE INDEX one ON t (v) WHERE w;"
    )
    data = "INSERT INTO t (k, v, w) VALUES (1, 1, TRUE), (2, 1, FALSE);"
    content = text(["UPDATE t SET w = TRUE WHERE k = 2", "commit"], schema=schema, data=data)
    assert outcomes(content, "SELECT status, count(*) FROM a JOIN t ON w GROUP BY status") == {("failed", 1)}


def test_a_key_that_is_being_deleted_is_waited_for():
    found = explore(text(["DELETE FROM t WHERE k = 1", "commit"], [DOUBLE, "commit"], bounds={"t": 3}), "SELECT status FROM b")
    assert "b.q1: waits" in found.labels
    assert found.finals == {(("done",),), (("failed",),)}


def test_a_key_that_is_being_given_up_may_come_back():
    schema = "CREATE TABLE t (k INTEGER PRIMARY KEY CHECK (k IN (1, 2)), v INTEGER UNIQUE CHECK (v BETWEEN 0 AND 2));"
    content = text(
        [put(1, 1), "rollback"], [put(0, 2), "commit"], schema=schema, data="INSERT INTO t (k, v) VALUES (1, 0), (2, 2);"
    )
    assert outcomes(content, "SELECT k, v FROM t") == {((1, 0), (2, 2))}


def test_a_row_outside_of_a_partial_index_has_no_rivals():
    schema = (
        "CREATE TABLE t (k INTEGER PRIMARY KEY CHECK (k IN (1, 2)), v INTEGER CHECK (v = 1), w BOOLEAN NOT NULL);"
        "CREATE UNIQUE INDEX one ON t (v) WHERE w;"
    )
    content = text(
        ["INSERT INTO t (k, v, w) VALUES (2, 1, FALSE)", "commit"],
        schema=schema,
        data="INSERT INTO t (k, v, w) VALUES (1, 1, TRUE);",
        bounds=B,
    )
    assert outcomes(content, "SELECT status FROM a") == {"done"}


def test_a_row_slot_is_not_used_again_while_a_statement_waits_for_its_old_row():
    content = text(
        ["DELETE FROM t WHERE k = 1", "commit", "INSERT INTO t (k, v) VALUES (2, 1)", "commit"],
        [{"sql": "UPDATE t SET v = 2 WHERE v = 0", "affected": "n"}, "commit"],
        bounds={"t": 1},
    )
    # Whoever comes first, the row is deleted; b may still be about to look at it when the new one is made.
    assert explore(content, None).hit == ("t",)
    wide = explore(content.replace('{"t": 1}', '{"t": 2}'), "SELECT v, n FROM t, b")
    assert (wide.finals, wide.hit) == ({((1, 1),), ((1, 0),)}, ())


# ---------------------------------------------------------------------------------------------------- errors and failure


def test_an_error_of_the_database_undoes_the_transaction():
    content = text([put(5), {"try": [DOUBLE], "except": {"unique_violation": ["commit"]}}], bounds=B)
    assert outcomes(content, "SELECT v, status FROM t, a") == {(0, "done")}


def test_locks_go_at_the_error_already():
    forever = {"choose": "j", "from": "SELECT k FROM t WHERE v = 9"}
    content = text([put(5), {"try": [DOUBLE], "except": {"unique_violation": []}}, forever, "commit"], [put(1), "commit"], bounds=B)
    # a never ends its failed transaction, and b never waits for it for ever.
    assert outcomes(content, "SELECT a.status, b.status, v FROM a, b, t") == {("running", "done", 1)}


def test_commit_of_a_failed_transaction_rolls_back():
    content = text([put(5), {"savepoint": "s"}, {"try": [DOUBLE], "except": {"unique_violation": ["commit"]}}], bounds=B)
    assert outcomes(content, "SELECT v, status FROM t, a") == {(0, "done")}


def test_what_a_savepoint_saves_is_committed_after_going_back():
    content = text(
        [
            put(5),
            {"savepoint": "s"},
            {"try": [DOUBLE], "except": {"unique_violation": [{"rollback_to": "s"}]}},
            put(6, 2),
            "commit",
        ],
        data=TWO,
        bounds={"t": 3},
    )
    assert outcomes(content, "SELECT k, v FROM t") == {((1, 5), (2, 6))}


def test_a_failed_transaction_refuses_statements():
    content = text([{"try": [DOUBLE], "except": {"unique_violation": []}}, put(3), "commit"], bounds=B)
    found = explore(content, "SELECT v, status FROM t, a")
    assert found.finals == {((0, "failed"),)}
    assert "a.p2: in_failed_sql_transaction" in found.labels


def test_an_error_of_the_program_undoes_nothing():
    content = text([put(5), {"try": [{"raise": "Oops"}], "except": {"Oops": ["commit"]}}])
    assert outcomes(content, "SELECT v, status FROM t, a") == {(5, "done")}


def test_a_handler_is_for_its_errors_only_and_finally_for_all():
    content = text([{"try": [{"raise": "Oops"}], "except": {"Other": ["commit"]}, "finally": [put(7), "commit"]}, put(8), "commit"])
    assert outcomes(content, "SELECT v, status FROM t, a") == {(7, "failed")}


def test_an_error_at_commit_has_two_outcomes():
    content = text([put(1), ("save", "commit")], processes={"a": {"errors": {"save": "Lost"}}})
    assert outcomes(content, "SELECT v, status FROM t, a") == {(1, "done"), (1, "failed"), (0, "failed")}


def test_an_injected_error_aborts_and_runs_the_handlers():
    content = text(
        [put(1), {"try": [("mid", put(2))], "except": {"Lost": ["commit"]}}, "commit"],
        processes={"a": {"errors": {"mid": "Lost"}}},
    )
    assert outcomes(content, "SELECT v, status FROM t, a") == {(2, "done"), (0, "done")}


# ---------------------------------------------------------------------------------------------------------------- faults


def test_a_crash_gives_up_locks_and_versions():
    content = text([put(1), put(2), "commit"], [put(3), "commit"], processes={"a": {"crash": "anywhere"}})
    assert outcomes(content, "SELECT a.status, b.status, v FROM a, b, t") == {
        ("done", "done", 3),
        ("done", "done", 2),
        ("crashed", "done", 3),
    }


def test_a_crash_comes_between_two_writes():
    content = text([put(1), put(2), "commit"], processes={"a": {"crash": "anywhere"}})
    assert outcomes(content, "SELECT status, v FROM a, t") == {("done", 2), ("crashed", 0)}


def test_a_crash_comes_where_it_may():
    content = text([put(1), "commit", put(2), "commit"], processes={"a": {"crash": ["p3"]}})
    assert outcomes(content, "SELECT status, v FROM a, t") == {("done", 2), ("crashed", 1)}


def test_a_process_that_hangs_keeps_its_locks():
    content = text([put(1), put(2), "commit"], [put(3), "commit"], processes={"a": {"hang": "anywhere"}})
    found = explore(content, "SELECT v FROM b, t WHERE b.status = 'running'")
    assert ((0,),) in found.finals  # b waits for ever
    assert not any("deadlock" in label for label in found.labels)


def test_a_restarted_process_begins_again():
    content = text([put(1), "commit"], processes={"a": {"crash": "anywhere", "restart": True}})
    assert outcomes(content, "SELECT status, v FROM a, t") == {("done", 1)}


def test_faults_do_not_recur_unless_the_scenario_says_so():
    gone = {"p": {"whenever": "SELECT id FROM a WHERE status = 'running'", "eventually": "SELECT id FROM a WHERE status = 'done'"}}
    role = {"crash": "anywhere", "restart": True, "fair": "weak"}
    assert verdicts(text([put(1), "commit"], processes={"a": role}, properties=gone))["p"] == ("holds", None)
    again = {"a": {**role, "forever": ["crash"]}}
    assert verdicts(text([put(1), "commit"], processes=again, properties=gone))["p"] == ("violated", (0, 2))


# -------------------------------------------------------------------------------------------------- fairness and deadlock

FAIRNESS = {
    "started": {"whenever": "SELECT id FROM a WHERE status = 'idle'", "eventually": "gone"},
    "done": {"whenever": "SELECT id FROM a WHERE status = 'running'", "eventually": "SELECT id FROM a WHERE status = 'done'"},
}


@pytest.mark.parametrize(
    ("fair", "started", "done"),
    [
        (None, ("violated", (0, 0)), ("holds", None)),
        ("weak", ("holds", None), ("holds", None)),
        ("none", ("violated", (0, 0)), ("violated", (1, 0))),
    ],
)
def test_a_process_need_not_start_but_goes_on(fair, started, done):
    content = text([put(1), put(2), "commit"], processes={"a": {} if fair is None else {"fair": fair}}, properties=FAIRNESS)
    assert verdicts(content) == {"started": started, "done": done}


def test_a_repeating_process_is_fair_from_the_start():
    content = text(
        {"steps": [put(1), "commit"], "repeat": "forever"},
        properties={"p": {"whenever": "SELECT k FROM t WHERE v = 0", "eventually": "gone"}},
    )
    assert verdicts(content)["p"] == ("holds", None)


def test_who_has_finished():
    stuck = {"stuck": {"deadlock": "never"}}
    waits = {"choose": "k", "from": "SELECT k FROM t WHERE v = 1"}
    assert verdicts(text([waits, "commit"], properties=stuck))["stuck"] == ("violated", 0)
    assert verdicts(text({"steps": [waits, "commit"], "repeat": "forever"}, properties=stuck))["stuck"] == ("holds", None)
    # not in its first step, and with a transaction open
    late = {"steps": [put(2), waits, "commit"], "repeat": "forever"}
    assert verdicts(text(late, properties=stuck))["stuck"] == ("violated", 1)
    assert verdicts(text([DOUBLE, "commit"], bounds=B, properties=stuck))["stuck"] == ("holds", None)
    assert verdicts(text([put(1), "commit"], processes={"a": {"crash": "anywhere"}}, properties=stuck))["stuck"] == (
        "holds",
        None,
    )


def test_the_server_breaks_a_cycle_for_certain():
    properties = {
        "p": {
            "whenever": "SELECT id FROM a WHERE status = 'running'",
            "eventually": "SELECT id FROM a WHERE status <> 'running'",
        },
        "stuck": {"deadlock": "never"},
    }
    content = text([put(1, 1), put(1, 2), "commit"], [put(2, 2), put(2, 1), "commit"], data=TWO, properties=properties)
    assert verdicts(content) == {"p": ("holds", None), "stuck": ("holds", None)}


def test_who_waits_goes_on_once_the_blocker_has_ended():
    properties = {
        "p": {"whenever": "SELECT id FROM b WHERE status = 'running'", "eventually": "SELECT id FROM b WHERE status = 'done'"}
    }
    assert verdicts(text([put(1), "commit"], [put(2), "commit"], properties=properties))["p"] == ("holds", None)
    # with a blocker that need not go on it waits for ever
    lazy = text([put(1), "commit"], [put(2), "commit"], processes={"a": {"fair": "none"}}, properties=properties)
    assert verdicts(lazy)["p"] == ("violated", (2, 0))


# ------------------------------------------------------------------------------------------------------- variables, state


def test_a_variable_that_is_read_again_is_kept_and_one_that_is_not_is_no_state():
    kept = [sel(V, "x"), put(5), "UPDATE t SET v = :x + 1 WHERE k = 1", "commit"]
    assert outcomes(text(kept, [put(3), "commit"]), "SELECT v FROM t") == {1, 3, 4}
    unread = text([sel(V, "x"), put(5), "commit"], [put(3), "commit"])
    assert count(unread) == count(text([V, put(5), "commit"], [put(3), "commit"]))


def test_variables_are_fresh_in_each_round():
    choice = {"if": "COALESCE(:n, 0) = 0", "then": [put(1)], "else": [put(2)]}
    never = {"p": {"never": "SELECT k FROM t WHERE v = 2"}}
    content = text({"steps": [choice, sel(V, "n"), "commit"], "repeat": "forever"}, properties=never)
    assert verdicts(content)["p"] == ("holds", None)
    assert verdicts(text([choice, sel(V, "n"), choice, "commit"], properties=never))["p"] == ("violated", 4)


def test_rows_are_visited_in_the_order_of_the_query():
    def visit(order):
        loop = {"for": "i", "in": "r", "steps": ["UPDATE t SET v = :n * 3 + :i WHERE k = 3", {"set": {"n": ":i"}}]}
        return text(
            [{"set": {"n": "0"}}, {"sql": f"SELECT k FROM t WHERE k < 3 {order}", "rows": "r"}, loop, "commit"],
            data="INSERT INTO t (k, v) VALUES (1, 0), (2, 0), (3, 0);",
            domains={"p.n": [0, 1, 2]},
        )

    last = "SELECT v FROM t WHERE k = 3"
    assert outcomes(visit("ORDER BY k"), last) == {5}
    assert outcomes(visit("ORDER BY k DESC"), last) == {7}
    assert outcomes(visit(""), last) == {5, 7}


def test_an_id_is_not_used_again_while_a_waiting_statement_means_its_row():
    log = "CREATE TABLE log (id SERIAL PRIMARY KEY, n INTEGER CHECK (n BETWEEN 0 AND 3));"
    content = text(
        ["DELETE FROM log WHERE n < 3", "commit", "INSERT INTO log (n) VALUES (1)", "commit"],
        [{"sql": "UPDATE log SET n = 2 WHERE n = 0", "affected": "m"}, "commit"],
        schema=log,
        data="INSERT INTO log (n) VALUES (0);",
        bounds={"log": 2},
    )
    found = explore(content, "SELECT n, m FROM log, b")
    # b finds the old row if it is first, and never the new one.
    assert (found.finals, found.hit) == ({((1, 1),), ((1, 0),)}, ())
    # b may still be about to look at the old row when the new one is made: that cannot be in its place.
    assert explore(content.replace('{"log": 2}', '{"log": 1}'), None).hit == ("log",)


# ------------------------------------------------------------------------------------------------------------------ time

CLOCK = "CREATE TABLE c (k INTEGER PRIMARY KEY CHECK (k = 1), at TIMESTAMP);"
AT = "INSERT INTO c (k, at) VALUES (1, now());"
OLD = "SELECT k FROM c WHERE at {op} {clock} - INTERVAL '{age} s'"


def timed(*procedures, properties, **more):
    return verdicts(text(*procedures, schema=CLOCK, data=AT, properties=properties, **more))


def test_within_stops_the_tick():
    # The second statement comes within 10 s of the first: the stamp of the first is never older than that when it is read.
    steps = [
        "UPDATE c SET at = clock_timestamp() WHERE k = 1",
        sel("SELECT count(*) FROM c WHERE at <= clock_timestamp() - INTERVAL '20 s'", "n"),
        "commit",
    ]
    late = {"late": {"never": "SELECT id FROM a WHERE n = 1"}}
    assert timed({"steps": steps, "within": "10 s"}, properties=late)["late"] == ("holds", None)
    assert timed({"steps": steps, "within": "20 s"}, properties=late)["late"] == ("violated", 3)
    assert timed({"steps": steps, "within": "10 s"}, processes={"a": {"crash": "anywhere"}}, properties=late)["late"] == (
        "holds",
        None,
    )
    assert timed(steps, properties=late)["late"][0] == "violated"


def test_every_is_the_least_time_between_two_starts():
    steps = ["UPDATE c SET at = clock_timestamp() WHERE k = 1", "commit"]
    young = "SELECT count(*) FROM c WHERE at > clock_timestamp() - INTERVAL '20 s'"
    early = {"early": {"never": "SELECT id FROM a WHERE n = 1"}}

    def run(every):
        return timed({"steps": [sel(young, "n"), *steps], "repeat": every}, properties=early)["early"]

    assert run({"every": "40 s"})[0] == "violated"  # the stamp of the data is young at the first start
    fresh = "INSERT INTO c (k, at) VALUES (1, NULL);"

    def later(every):
        body = {"steps": [sel(young, "n"), *steps], "repeat": every}
        return verdicts(text(body, schema=CLOCK, data=fresh, properties=early))["early"]

    assert later({"every": "20 s"})[0] == "violated"  # the stamp comes some time after the start
    prompt = {"steps": [sel(young, "n"), *steps], "repeat": {"every": "30 s"}, "within": "10 s"}
    assert verdicts(text(prompt, schema=CLOCK, data=fresh, properties=early))["early"] == ("holds", None)
    assert (
        verdicts(text({**prompt, "repeat": {"every": "10 s"}}, schema=CLOCK, data=fresh, properties=early))["early"][0]
        == "violated"
    )


def test_now_is_the_start_of_the_transaction_and_clock_timestamp_the_moment():
    def stamped(clock):
        steps = [
            "SELECT k FROM c",
            f"UPDATE c SET at = {clock} WHERE k = 1",
            sel("SELECT count(*) FROM c WHERE at <= clock_timestamp() - INTERVAL '10 s'", "n"),
            "commit",
        ]
        spans = [(f"q{i}", {"sql": s} if isinstance(s, str) and s != "commit" else s) for i, s in enumerate(steps)]
        spans[2] = ("q2", {**steps[2]})
        return text(
            spans,
            schema=CLOCK,
            data="INSERT INTO c (k, at) VALUES (1, NULL);",
            properties={"old": {"never": "SELECT id FROM a WHERE n = 1"}},
        )

    # one tick between the first two statements, or between the last two: now() is old in either case.
    assert verdicts(stamped("now()"))["old"] == ("violated", 4)
    assert verdicts(stamped("clock_timestamp()"))["old"] == ("violated", 4)
    same = [
        "SELECT k FROM c",
        "UPDATE c SET at = now() WHERE k = 1",
        sel("SELECT count(*) FROM c WHERE at <> now()", "n"),
        sel("SELECT count(*) FROM c WHERE at < clock_timestamp()", "m"),
        "commit",
    ]
    empty = "INSERT INTO c (k, at) VALUES (1, NULL);"
    properties = {"moved": {"never": "SELECT id FROM a WHERE n = 1"}, "older": {"never": "SELECT id FROM a WHERE m = 1"}}
    found = verdicts(text(same, schema=CLOCK, data=empty, properties=properties))
    assert found["moved"] == ("holds", None)
    assert found["older"][0] == "violated"


def test_now_begins_again_with_the_next_transaction():
    steps = [
        "UPDATE c SET at = now() WHERE k = 1",
        "commit",
        sel("SELECT count(*) FROM c WHERE at < now()", "n"),
        "commit",
    ]
    empty = "INSERT INTO c (k, at) VALUES (1, NULL);"
    found = verdicts(text(steps, schema=CLOCK, data=empty, properties={"p": {"never": "SELECT id FROM a WHERE n = 1"}}))
    assert found["p"] == ("violated", 4)


def test_two_timestamps_keep_their_distance_however_old():
    # The second is made up to any time after the first; then both age.  Their difference is still seen, exactly up to the constant.
    schema = "CREATE TABLE c (k INTEGER PRIMARY KEY CHECK (k IN (1, 2)), at TIMESTAMP);"
    data = "INSERT INTO c (k, at) VALUES (1, NULL), (2, NULL);"
    stamp = "UPDATE c SET at = clock_timestamp() WHERE k = "
    far = "SELECT count(*) FROM c AS x JOIN c AS y ON x.k = 1 AND y.k = 2 WHERE x.at <= y.at - INTERVAL '20 s'"
    steps = [stamp + "1", stamp + "2", sel(far, "n"), sel(far, "m"), "commit"]
    properties = {
        "differs": {"never": "SELECT id FROM a WHERE n <> m"},
        "far": {"never": "SELECT id FROM a WHERE m = 1"},
        "near": {"never": "SELECT id FROM a WHERE m = 0"},
    }
    found = verdicts(text(steps, schema=schema, data=data, properties=properties))
    # A tick between the two stamps is 20 s; n and m, with any time between them, always agree.
    assert found == {"differs": ("holds", None), "far": ("violated", 5), "near": ("violated", 4)}


def test_an_age_is_known_beyond_the_constant():
    # Strictly older than the constant: equal to it is not enough, and one tick more is.
    steps = [sel("SELECT count(*) FROM c WHERE at < clock_timestamp() - INTERVAL '20 s'", "n"), "commit"]
    found = timed(steps, properties={"p": {"never": "SELECT id FROM a WHERE n = 1"}})
    assert found["p"] == ("violated", 3)


def test_time_goes_on_for_ever():
    old = {"old": {"whenever": "SELECT id FROM a WHERE n = 0", "eventually": "gone"}}
    body = {
        "steps": [sel("SELECT count(*) FROM c WHERE at <= clock_timestamp() - INTERVAL '20 s'", "n"), "commit"],
        "repeat": "forever",
    }
    assert timed(body, properties=old)["old"] == ("holds", None)


def test_the_reference_and_the_search_agree_on_time():
    # Not by count but by the tick's own rule: a gap of the constant is kept, everything nearer moves.
    body = [
        sel("SELECT count(*) FROM c WHERE at <= clock_timestamp() - INTERVAL '30 s'", "n"),
        {"sql": "SELECT k FROM c"},
        "commit",
    ]
    found = explore(text(body, schema=CLOCK, data=AT, domains={}), None)
    ages = {found.ground.initial[i] for i, cell in enumerate(found.ground.cells) if cell.function == "c.at"}
    assert ages == {0}
    # Ages 0 and 30 s (the tick), then 60 s: saturated; at the first statement 3 ages, then what was counted goes with the age.
    assert found.states == 3 * 4
