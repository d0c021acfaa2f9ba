"""INSERT … SELECT of one row: it waits for keys and parents with what it has read, and others may come before it writes.

The outcomes follow from PostgreSQL's rules: the query reads the statement's snapshot, once; a unique key is looked up among all
versions, and waited for.
"""

from __future__ import annotations

import pytest
from small import explore, outcomes, text

SCHEMA = "CREATE TABLE src (k INTEGER PRIMARY KEY, v INTEGER NOT NULL);CREATE TABLE t (k INTEGER PRIMARY KEY, v INTEGER NOT NULL);"
DATA = "INSERT INTO src (k, v) VALUES (1, 0)"
DOMAINS = {"src.k": [1, 2], "src.v": [0, 1], "t.k": [1, 2], "t.v": [0, 1]}
ABSENT = "NOT EXISTS (SELECT 1 FROM t WHERE t.k = 1)"
FORMS = [f"INSERT INTO t (k, v) SELECT 1, 0 WHERE {ABSENT}", f"INSERT INTO t (k, v) SELECT src.k, 0 FROM src WHERE {ABSENT}"]


def two(*procedures, **more):
    given = {"schema": SCHEMA, "data": DATA, "domains": DOMAINS, "bounds": {"t": 2}, **more}
    return text(*procedures, **given)


def put(sql):
    return [{"sql": sql, "affected": "n"}, "commit"]


ENDS = "SELECT a.status, a.n, b.status AS other, b.n AS m FROM a, b"


@pytest.mark.parametrize("sql", FORMS)
def test_two_who_find_no_row_meet_at_the_key(sql):
    found = explore(two(put(sql), put(sql)), ENDS)
    assert found.hit == ()
    assert found.finals == {
        (("done", 1, "done", 0),),
        (("done", 0, "done", 1),),
        (("done", 1, "failed", None),),
        (("failed", None, "done", 1),),
    }
    assert "b.q1: waits" in found.labels


@pytest.mark.parametrize("sql", FORMS)
def test_after_a_rollback_the_row_is_inserted(sql):
    found = explore(two([FORMS[0], "rollback"], put(sql)), "SELECT b.n, t.k FROM b, t")
    assert found.finals == {((1, 1),)}
    assert found.hit == ()


def test_what_it_has_read_is_kept():
    other = ["INSERT INTO t (k, v) VALUES (1, 1)", "UPDATE src SET v = 1", "rollback", "UPDATE src SET v = 1", "commit"]
    found = explore(two(put("INSERT INTO t (k, v) SELECT src.k, src.v FROM src"), other), "SELECT v FROM t")
    assert found.finals == {((0,),), ((1,),)}
    assert found.hit == ()


@pytest.mark.parametrize("source", ["", " FROM src WHERE src.k = 1 AND "])
def test_others_may_come_between_its_snapshot_and_its_row(source):
    # Whoever has seen v = 0 in one step is there before the other's row.
    sql = f"INSERT INTO t (k, v) SELECT 1, 0 {source or 'WHERE '}NOT EXISTS (SELECT 1 FROM src AS s WHERE s.v = 1)"
    other = ["UPDATE src SET v = 1 WHERE k = 1", "commit", "INSERT INTO t (k, v) VALUES (1, 1)", "commit"]
    content = two(put(sql), other)
    assert outcomes(content, "SELECT status FROM a") == {"done", "failed"}
    atomic = two(put(sql), other, processes={"a": {"statements": "atomic"}})
    assert outcomes(atomic, "SELECT status FROM a") == {"done"}
    assert explore(content, None).hit == ()


def test_on_conflict_do_update():
    sql = f"INSERT INTO t (k, v) SELECT 1, 0 WHERE {ABSENT} ON CONFLICT (k) DO UPDATE SET v = 1"
    found = explore(two(put(sql), put(sql)), "SELECT t.v, a.n, b.n AS m FROM t, a, b")
    assert found.hit == ()
    # The second either sees the row, or comes to it by the conflict.
    assert found.finals == {((0, 1, 0),), ((0, 0, 1),), ((1, 1, 1),)}


def test_a_parent_is_waited_for_and_may_be_gone():
    schema = SCHEMA + "CREATE TABLE c (k INTEGER PRIMARY KEY, r INTEGER NOT NULL REFERENCES src (k));"
    domains = {**DOMAINS, "c.k": [1, 2], "c.r": [1, 2]}
    sql = "INSERT INTO c (k, r) SELECT src.k, src.k FROM src WHERE src.k = 1"
    content = two([sql, "commit"], ["DELETE FROM src WHERE k = 1", "commit"], schema=schema, domains=domains, bounds={"c": 1})
    found = explore(content, "SELECT a.status, b.status AS other FROM a, b")
    assert found.hit == ()
    # a is first, and b finds a child; or a waits for b, or sees no row.
    assert found.finals == {(("done", "failed"),), (("failed", "done"),), (("done", "done"),)}
    assert "a.p1: waits" in found.labels


def test_an_exact_id_is_kept():
    schema = "CREATE TABLE job (id SERIAL PRIMARY KEY, k INTEGER NOT NULL UNIQUE CHECK (k < 3));"
    sql = "INSERT INTO job (k) SELECT 1 WHERE NOT EXISTS (SELECT 1 FROM job WHERE k = 1) RETURNING id"
    content = text(
        [{"sql": "INSERT INTO job (k) VALUES (1)"}, "rollback"],
        [{"sql": sql, "into": "x"}, "commit"],
        schema=schema,
        data="",
        bounds={"job": 2},
        domains={"job.k": [1, 2]},
        serial="exact",
    )
    found = explore(content, "SELECT x FROM b")
    assert found.finals == {((1,),), ((2,),)}
    assert found.hit == ()


def test_two_rows_that_wait_lead_out_of_the_model():
    sql = "INSERT INTO t (k, v) SELECT src.k, 0 FROM src"
    found = explore(
        two([sql, "commit"], ["INSERT INTO t (k, v) VALUES (2, 1)", "commit"], data=DATA + ", (2, 0)", bounds={"t": 4}), None
    )
    assert found.hit
