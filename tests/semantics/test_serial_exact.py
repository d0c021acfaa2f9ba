"""``serial: exact``: generated ids are the numbers of a sequence, taken in order and never given back.

The outcomes follow from PostgreSQL's rules: ``nextval`` is called when the row is formed, before any constraint is looked at, and
is no part of a transaction (manual, 9.17).
"""

from __future__ import annotations

import pytest
from small import explore, outcomes, text

from txweave.spec.diagnostics import SpecError

J = "CREATE TABLE job (id SERIAL PRIMARY KEY, k INTEGER NOT NULL UNIQUE CHECK (k BETWEEN 0 AND 3));"
Q = "SELECT id, k FROM job"
P = (
    "CREATE TABLE m (k INTEGER PRIMARY KEY);"
    "CREATE TABLE job (id SERIAL PRIMARY KEY, k INTEGER REFERENCES m (k), n INTEGER NOT NULL CHECK (n < 3));"
)
PARENT = {"schema": P, "data": "INSERT INTO m (k) VALUES (1)", "domains": {"job.k": [1, 9], "job.n": [0, 1, 2, 3]}}
N = "SELECT id, n FROM job"
S = J + "CREATE TABLE src (k INTEGER PRIMARY KEY, v INTEGER NOT NULL);"
ROWS = "INSERT INTO src (k, v) VALUES (1, 3), (2, 2), (3, 3)"


def exact(*procedures, **more):
    given = {"schema": J, "data": "", "bounds": {"job": 3}, **more}
    return text(*procedures, serial="exact", **given)


def put(k):
    return f"INSERT INTO job (k) VALUES ({k})"


def fails(sql, error):
    return {"try": [sql], "except": {error: ["rollback"]}}


def get(sql, into):
    return {"sql": sql, "into": into}


# ------------------------------------------------------------------------------------------------------ what takes an id


def test_ids_are_taken_in_the_order_of_the_inserts():
    found = outcomes(exact([put(1), "commit"], [put(2), "commit"]), Q)
    assert found == {((1, 1), (2, 2)), ((1, 2), (2, 1))}


def test_a_rollback_gives_no_id_back():
    steps = [put(1), "rollback", put(2), "commit"]
    assert outcomes(exact(steps), Q) == {(2, 2)}
    # Abstract ids are used again.
    assert outcomes(text(steps, schema=J, data="", bounds={"job": 3}), Q) == {(1, 2)}


def test_the_bound_counts_ids_that_were_ever_taken():
    steps = [put(1), "rollback", put(2), "commit"]
    assert explore(exact(steps, bounds={"job": 2}), Q).hit == ()
    assert explore(exact(steps, bounds={"job": 1}), Q).hit == ("job",)


def test_neither_does_a_savepoint():
    assert outcomes(exact([{"savepoint": "s"}, put(1), {"rollback_to": "s"}, put(2), "commit"]), Q) == {(2, 2)}


def test_a_deleted_row_makes_no_room():
    assert outcomes(exact([put(1), "commit", "DELETE FROM job", put(2), "commit"]), Q) == {(2, 2)}


def test_data_takes_the_first_numbers():
    assert outcomes(exact(["DELETE FROM job", put(1), "commit"], data=f"{put(0)}; {put(3)}"), Q) == {(3, 1)}


def test_a_crash_gives_no_id_back():
    content = exact([put(1), "commit"], [put(2), "commit"], processes={"a": {"run": "p", "crash": ["p2"]}, "b": {"run": "q"}})
    found = outcomes(content, Q)
    # b alone: a crashed before b inserted (2), after it (1).
    assert found == {((1, 1), (2, 2)), ((1, 2), (2, 1)), (1, 2), (2, 2)}


@pytest.mark.parametrize(
    ("sql", "error"),
    [
        ("INSERT INTO job (k) SELECT max(k) FROM job WHERE k > 2", "not_null_violation"),
        ("INSERT INTO job (k) VALUES (4)", "check_violation"),
        (put(0), "unique_violation"),
    ],
)
def test_an_insert_that_fails_has_taken_its_id(sql, error):
    steps = [fails(sql, error), put(1), "commit"]
    assert outcomes(exact(steps, data=put(0), domains={"job.k": "0..4"}), Q) == {((1, 0), (3, 1))}


def test_a_row_that_is_left_to_on_conflict_has_taken_its_id():
    nothing = "INSERT INTO job (k) VALUES (0), (1) ON CONFLICT DO NOTHING"
    assert outcomes(exact([nothing, "commit"], data=put(0)), Q) == {((1, 0), (3, 1))}
    update = "INSERT INTO job (k) VALUES (0) ON CONFLICT (k) DO UPDATE SET k = 2"
    assert outcomes(exact([update, put(1), "commit"], data=put(0)), Q) == {((1, 2), (3, 1))}


def test_rows_of_values_take_ids_until_one_fails():
    step = "INSERT INTO job (k, n) VALUES (1, 0), (1, 3), (1, 0)"
    found = outcomes(exact([fails(step, "check_violation"), "INSERT INTO job (k, n) VALUES (1, 1)", "commit"], **PARENT), N)
    assert found == {(3, 1)}


def test_foreign_keys_fail_when_all_rows_have_their_ids():
    step = "INSERT INTO job (k, n) VALUES (9, 0), (1, 0)"
    found = outcomes(exact([fails(step, "foreign_key_violation"), "INSERT INTO job (k, n) VALUES (1, 1)", "commit"], **PARENT), N)
    assert found == {(3, 1)}


# --------------------------------------------------------------------------------------------------------------- waiting


@pytest.mark.parametrize("ending", ["", " ON CONFLICT DO NOTHING"])
def test_an_insert_that_waits_keeps_its_id(ending):
    # b may begin before a, while a holds the key (then it waits), or after a; c at any time. b never takes two ids.
    found = explore(exact([put(1), "rollback"], [put(1) + ending, "commit"], [put(2), "commit"]), Q)
    assert found.hit == ()
    assert "b.q1: waits" in found.labels
    three = {(1, 2), (1, 3), (2, 3), (2, 1), (3, 1), (3, 2)}  # the ids of b and c
    expected = {tuple(sorted([(b, 1), (c, 2)])) for b, c in three}
    assert found.finals == expected


def test_an_insert_that_waits_and_finds_the_key_taken_has_used_one_id():
    second = [put(1) + " ON CONFLICT DO NOTHING", "commit", get(put(2) + " RETURNING id", "x"), "commit"]
    found = explore(exact([put(1), "commit"], second), "SELECT x FROM b")
    # b first: 1 or, when a comes between, 2 and then 3; a waits then and fails. b second: it takes 2, then 3.
    assert found.finals == {((2,),), ((3,),)}
    assert found.hit == ()


def test_an_insert_that_waits_for_its_parent_keeps_its_id():
    content = exact(
        ["INSERT INTO job (k, n) VALUES (1, 1)", "commit"],
        ["DELETE FROM m WHERE k = 1", "rollback"],
        ["INSERT INTO job (k, n) VALUES (NULL, 2)", "commit"],
        **PARENT,
    )
    found = explore(content, N)
    assert found.finals == {((1, 1), (2, 2)), ((1, 2), (2, 1))}
    assert "a.p1: waits" in found.labels


# -------------------------------------------------------------------------------------------------------- INSERT … SELECT


def test_a_query_gives_ids_in_its_order():
    content = exact(["INSERT INTO job (k) SELECT k FROM src ORDER BY k DESC", "commit"], schema=S, data=ROWS)
    assert outcomes(content, Q) == {((1, 3), (2, 2), (3, 1))}


def test_a_row_of_a_query_that_is_left_to_on_conflict_takes_its_id():
    steps = [put(2), "INSERT INTO job (k) SELECT k FROM src ORDER BY k DESC ON CONFLICT DO NOTHING", "commit"]
    content = exact(steps, schema=S, data=ROWS, bounds={"job": 4})
    assert outcomes(content, Q) == {((1, 2), (2, 3), (4, 1))}


def test_a_query_of_one_row_that_fails_has_taken_its_id():
    steps = [put(2), "commit", fails("INSERT INTO job (k) SELECT k FROM src WHERE k = 2", "unique_violation"), put(1), "commit"]
    assert outcomes(exact(steps, schema=S, data=ROWS), Q) == {((1, 2), (3, 1))}


@pytest.mark.parametrize(
    ("query", "hit"),
    [
        ("SELECT k FROM src ORDER BY v", "INSERT … SELECT gives ids to rows in no certain order (job)"),
        ("SELECT v FROM src ORDER BY k", "INSERT … SELECT of several rows fails at one of them, with exact ids (job)"),
    ],
)
def test_what_is_not_certain_leads_out_of_bounds(query, hit):
    found = explore(exact([f"INSERT INTO job (k) {query}", "commit"], schema=S, data=ROWS), Q)
    assert found.hit == (hit,)
    assert not found.finals - {()}


# ------------------------------------------------------------------------------------------------------------- their order


def test_ids_have_an_order():
    steps = [
        put(3),
        put(2),
        put(1),
        get("SELECT max(id), min(id) FROM job", ["high", "low"]),
        get("SELECT k FROM job WHERE id < :high ORDER BY id DESC LIMIT 1", "k"),
        get("SELECT count(*) FROM job WHERE id BETWEEN :low AND 2", "n"),
        "commit",
    ]
    assert outcomes(exact(steps), "SELECT high, low, k, n FROM a") == {(3, 1, 2, 2)}


def test_ids_are_compared_with_integers():
    where = {
        "id = 2": 1,
        "id <> 9": 3,
        "id IN (1, 3, 7)": 2,
        "id > :one": 2,
        "id <= 0": 0,
        "NOT id < 100": 0,
        "COALESCE(id, 0) >= 2": 2,
    }
    steps = [{"set": {"one": "1"}}, put(3), put(2), put(1)]
    steps += [get(f"SELECT count(*) FROM job WHERE {text_}", f"n{i}") for i, text_ in enumerate(where)]
    names = ", ".join(f"n{i}" for i in range(len(where)))
    assert outcomes(exact([*steps, "commit"]), f"SELECT {names} FROM a") == {tuple(where.values())}


def test_rows_are_visited_in_the_order_of_their_ids():
    steps = [
        put(3),
        put(1),
        {"sql": "SELECT job.k, job.id FROM src JOIN job ON job.k = src.k ORDER BY job.id", "rows": "xs"},
        {"for": ["k", "i"], "in": "xs", "steps": [get("SELECT max(v) FROM src WHERE k = :k", "last")]},
        "commit",
    ]
    content = exact(steps, schema=S, data="INSERT INTO src (k, v) VALUES (1, 8), (3, 9)")
    assert outcomes(content, "SELECT last FROM a") == {8}


def test_a_property_may_order_ids():
    older = "SELECT a.k, b.k AS other FROM job AS a JOIN job AS b ON a.id < b.id"
    assert outcomes(exact([put(2), put(1), "commit"]), older) == {(2, 1)}


def test_a_loop_gets_the_row_that_the_query_selects():
    # Abstract ids: the second table's row and not the first's.
    schema = (
        "CREATE TABLE m (id SERIAL PRIMARY KEY); CREATE TABLE n (id SERIAL PRIMARY KEY, m_id INTEGER REFERENCES m (id), w BOOLEAN);"
    )
    data = "INSERT INTO m DEFAULT VALUES; INSERT INTO m DEFAULT VALUES; INSERT INTO n (m_id, w) VALUES (2, FALSE)"
    steps = [
        {"sql": "SELECT n.id, m.id FROM m JOIN n ON n.m_id = m.id", "rows": "xs"},
        {"for": ["x", "y"], "in": "xs", "steps": ["UPDATE n SET w = TRUE WHERE id = :x AND m_id = :y"]},
        "commit",
    ]
    assert outcomes(text(steps, schema=schema, data=data), "SELECT w FROM n") == {True}


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("SELECT k FROM job WHERE id + 1 > 2", "ids are no numbers to calculate with"),
        ("SELECT job.k FROM job JOIN other ON job.id < other.id", "job.id is an id of job, other.id is an id of other"),
        ("INSERT INTO job (k) SELECT k FROM job", "which row of INSERT … SELECT takes which id of job is not determined"),
    ],
)
def test_what_stays_refused(sql, message):
    with pytest.raises(SpecError, match=message.replace("+", r"\+")):
        explore(exact([sql], schema=J + "CREATE TABLE other (id SERIAL PRIMARY KEY);"), None)


def test_without_it_the_refusal_names_it():
    with pytest.raises(SpecError, match="serial: exact"):
        explore(text(["SELECT k FROM job ORDER BY id"], schema=J, data=""), None)


# --------------------------------------------------------------------------------- others in the middle of a statement


def test_others_may_come_between_an_id_and_its_row():
    failed = "SELECT job.id, a.status, b.status AS other FROM job, a, b"
    content = exact([put(1), "commit"], [put(1), "commit"])
    found = explore(content, failed)
    either = {((1, "done", "failed"),), ((1, "failed", "done"),)}
    # The first to have an id is the second to come to the index.
    late = {((2, "done", "failed"),), ((2, "failed", "done"),)}
    assert found.finals == either | late
    atomic = exact([put(1), "commit"], [put(1), "commit"], processes={"a": {"statements": "atomic"}})
    assert explore(atomic, failed).finals == either | {((2, "done", "failed"),)}


def test_rows_of_two_inserts_may_take_turns():
    two = ["INSERT INTO job (k) VALUES (0), (1)", "commit"]
    assert outcomes(exact(two, [put(2), "commit"]), Q) == {
        ((1, 0), (2, 1), (3, 2)),
        ((1, 0), (2, 2), (3, 1)),
        ((1, 2), (2, 0), (3, 1)),
    }


def test_an_insert_does_not_pause_where_it_makes_no_difference():
    free = "CREATE TABLE job (id SERIAL PRIMARY KEY, k INTEGER NOT NULL CHECK (k BETWEEN 0 AND 3));"
    assert not [
        label for label in explore(exact([put(1), "commit"], [put(2), "commit"], schema=free), Q).labels if "pauses" in label
    ]
    # Without exact ids a claim of one key may be thought of as made later.
    content = text([put(1), "commit"], [put(1), "commit"], schema=J, data="", bounds={"job": 2})
    assert not [label for label in explore(content, Q).labels if "pauses" in label]


def test_a_parent_may_go_when_the_id_is_taken():
    steps = ["INSERT INTO job (k, n) VALUES (1, 0)", "commit"]
    other = ["INSERT INTO job (k, n) VALUES (NULL, 1)", "DELETE FROM m WHERE k = 1", "commit"]
    found = outcomes(exact(steps, other, **PARENT), "SELECT job.id, job.n, a.status, b.status AS other FROM job, a, b")
    assert found == {(1, 0, "done", "failed"), (2, 0, "done", "failed"), (1, 1, "failed", "done"), (2, 1, "failed", "done")}
