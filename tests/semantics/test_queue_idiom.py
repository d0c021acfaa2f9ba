"""The queue idiom: a statement that writes the rows which its locking subquery picks; WITH queries; LIMIT 1 in subqueries.

The outcomes follow from PostgreSQL's rules: an uncorrelated scalar subquery and a WITH query that locks run once, and lock as a
SELECT of their own would.
"""

from __future__ import annotations

import pytest
from small import explore, outcomes, text

from txweave.spec.diagnostics import SpecError
from txweave.spec.load import parse_model
from txweave.spec.text import SourceFile
from txweave.sql import program
from txweave.sql.bind import bind_model
from txweave.sql.render import sql_of

J = "CREATE TABLE job (id SERIAL PRIMARY KEY, state TEXT NOT NULL CHECK (state IN ('q', 'r')), p INTEGER NOT NULL CHECK (p < 3));"
TWO = "INSERT INTO job (state, p) VALUES ('q', 1), ('q', 0)"
FIRST = "SELECT id FROM job WHERE state = 'q' ORDER BY id LIMIT 1 FOR UPDATE"
SKIP = f"{FIRST} SKIP LOCKED"
TAKE = "UPDATE job SET state = 'r'"
BOTH = "SELECT a.x, b.x AS y FROM a, b"


def queue(*procedures, **more):
    given = {"schema": J, "data": TWO, "domains": {"job.p": [0, 1, 2]}, **more}
    return text(*procedures, serial="exact", **given)


def forms(query):
    """Every way to write it, for UPDATE."""
    named = f"WITH picked AS ({query})"
    return [
        f"{TAKE} WHERE id = ({query}) RETURNING id",
        f"{named} {TAKE} FROM picked WHERE job.id = picked.id RETURNING job.id",
        f"{named} {TAKE} FROM picked AS p WHERE p.id = job.id RETURNING job.id",
        f"{named} {TAKE} WHERE id IN (SELECT id FROM picked) RETURNING id",
        f"{named} {TAKE} WHERE id = (SELECT id FROM picked) RETURNING id",
    ]


def deletions(query):
    return [
        f"DELETE FROM job WHERE ({query}) = id RETURNING id",
        f"WITH picked AS ({query}) DELETE FROM job USING picked WHERE job.id = picked.id RETURNING job.id",
    ]


def run(sql):
    return [{"sql": sql, "into": "x"}, "commit"]


# ---------------------------------------------------------------------------------------------------------------- picking


ATOMIC = {role: {"statements": "atomic"} for role in "ab"}


@pytest.mark.parametrize(("sql", "atomic"), [(sql, False) for sql in [*forms(SKIP), *deletions(SKIP)]] + [(forms(SKIP)[0], True)])
def test_each_worker_takes_a_job_of_its_own(sql, atomic):
    found = explore(queue(run(sql), run(sql), processes=ATOMIC if atomic else {}), BOTH)
    assert found.finals == {((1, 2),), ((2, 1),)}
    assert not [label for label in found.labels if "waits" in label]
    # Places: take, commit, done. Each of the 3 x 3 pairs of places, but that where both have taken, it matters who took which:
    # (c, c), (c, d), (d, c), (d, d) twice.
    states = 9 + 4
    if not atomic and sql in forms(SKIP):
        # A worker that has its snapshot stands with {1, 2} or, when the other has or had the first row, with {2}. The other one is
        # before its statement, stands (three more), or is at c or d with row 1 (of the two workers, each may be either).
        states += 3 + 2 * (2 + 2)
        # When the other is done, it finds that row 1 matches no more, and keeps it locked: standing with {2}, or with row 2.
        states += 2 * 2
    assert found.states == states


@pytest.mark.parametrize("sql", [FIRST, SKIP, f"{FIRST} NOWAIT"])
def test_others_may_come_between_its_snapshot_and_its_locks(sql):
    # There is a free job at every moment; but the one that the snapshot has is no longer, and the other one it has not.
    other = ["UPDATE job SET state = 'q' WHERE id = 2", "commit", "UPDATE job SET state = 'r' WHERE id = 1", "commit"]
    rows = "INSERT INTO job (state, p) VALUES ('q', 1), ('r', 1)"
    for form in forms(sql)[:2]:
        found = explore(queue(run(form), other, data=rows), "SELECT x FROM a WHERE status = 'done'")
        assert ((None,),) in found.finals
        assert "a.p1: pauses" in found.labels
        atomic = explore(queue(run(form), other, data=rows, processes=ATOMIC), "SELECT x FROM a WHERE status = 'done'")
        assert ((None,),) not in atomic.finals
        assert {f for f in found.finals if f} >= {((1,),), ((2,),)}


@pytest.mark.parametrize("sql", forms(SKIP))
def test_a_third_worker_gets_nothing_while_the_jobs_are_locked(sql):
    found = explore(queue(run(sql), run(sql), data="INSERT INTO job (state, p) VALUES ('q', 1)"), BOTH)
    assert found.finals == {((1, None),), ((None, 1),)}


@pytest.mark.parametrize("sql", [*forms(FIRST), *deletions(FIRST)])
def test_without_skip_locked_a_worker_waits_and_takes_the_next(sql):
    found = explore(queue(run(sql), run(sql)), BOTH)
    assert found.finals == {((1, 2),), ((2, 1),)}
    assert "b.q1: waits" in found.labels


@pytest.mark.parametrize("sql", forms(FIRST))
def test_after_a_rollback_the_one_who_waited_takes_the_row(sql):
    found = explore(queue([{"sql": sql, "into": "x"}, "rollback"], run(sql)), "SELECT x, state FROM b, job WHERE x = job.id")
    # Nothing else makes b take the second row: the first is free when it looks.
    assert found.finals == {((1, "r"),)}


@pytest.mark.parametrize("sql", forms(f"{FIRST} NOWAIT"))
def test_nowait_fails_on_a_locked_row(sql):
    found = explore(queue(run(sql), run(sql)), "SELECT a.x, b.x AS y, a.status, b.status AS other FROM a, b")
    assert found.finals == {
        ((1, 2, "done", "done"),),
        ((2, 1, "done", "done"),),
        ((None, 1, "failed", "done"),),
        ((1, None, "done", "failed"),),
    }


def test_the_rows_stay_locked_and_are_written_in_their_newest_version():
    # b waits for a's row; a gives it p = 2; b then adds to that.
    pick = "SELECT id FROM job WHERE state = 'q' ORDER BY p DESC LIMIT 1 FOR UPDATE"
    content = queue(
        ["UPDATE job SET p = 2 WHERE id = 1", "commit"],
        [f"UPDATE job SET p = p - 1 WHERE id = ({pick})", "commit"],
        data="INSERT INTO job (state, p) VALUES ('q', 1)",
    )
    found = explore(content, "SELECT p FROM job")
    assert found.finals == {((1,),), ((2,),)}
    assert "b.q1: waits" in found.labels
    assert found.hit == ()


def test_several_rows_are_picked_by_a_with_query():
    many = "SELECT id FROM job WHERE state = 'q' ORDER BY id LIMIT 2 FOR UPDATE SKIP LOCKED"
    sql = f"WITH picked AS ({many}) {TAKE} FROM picked WHERE job.id = picked.id"
    content = queue(
        [{"sql": sql, "affected": "n"}, "commit"],
        ["UPDATE job SET p = 2 WHERE id = 2", "commit"],
        data=f"{TWO}, ('q', 2)",
    )
    found = explore(content, "SELECT id FROM job WHERE state = 'r'")
    # 2 is left out while b holds it.
    assert found.finals == {((1,), (2,)), ((1,), (3,))}
    assert outcomes(content, "SELECT n FROM a") == {2}


def test_the_picked_row_waits_for_its_parent():
    schema = "CREATE TABLE m (k INTEGER PRIMARY KEY);" + J.replace(", p ", ", k INTEGER REFERENCES m (k), p ")
    pick = "SELECT id FROM job WHERE state = 'q' LIMIT 1 FOR UPDATE SKIP LOCKED"
    content = queue(
        [{"sql": f"UPDATE job SET k = 1 WHERE id = ({pick}) RETURNING id", "into": "x"}, "commit"],
        ["DELETE FROM m WHERE k = 1", "rollback"],
        schema=schema,
        data="INSERT INTO m (k) VALUES (1); INSERT INTO job (state, p) VALUES ('q', 1)",
        domains={"job.p": [0, 1, 2], "job.k": [1]},
    )
    found = explore(content, "SELECT x, k FROM a, job")
    assert found.finals == {((1, 1),)}
    assert "a.p1: waits" in found.labels
    assert found.hit == ()


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        (f"{TAKE} WHERE id IN ({SKIP})", "may run once for each row"),
        (f"{TAKE} WHERE id = ({SKIP}) AND p = 0", "it alone chooses the rows"),
        (f"{TAKE} WHERE p = ({SKIP.replace('SELECT id', 'SELECT p')})", "it alone chooses the rows"),
        (f"{TAKE} WHERE id = ({SKIP.replace('UPDATE', 'SHARE')})", "asks for FOR NO KEY UPDATE"),
        (f"DELETE FROM job WHERE id = ({SKIP.replace('FOR UPDATE', 'FOR NO KEY UPDATE')})", "asks for FOR UPDATE"),
        (f"{TAKE} FROM (SELECT id FROM job FOR UPDATE) AS p WHERE job.id = p.id", "it alone chooses the rows"),
        ("WITH p AS (SELECT id, p FROM job FOR UPDATE) UPDATE job SET p = p.p FROM p WHERE job.id = p.id", "it alone chooses"),
        (f"{TAKE} WHERE id = (SELECT o.id FROM job AS o WHERE o.id = job.id LIMIT 1 FOR UPDATE)", "runs once for each"),
        (f"{TAKE}, p = (SELECT min(p) FROM job) WHERE id = ({FIRST})", "a subquery in SET"),
        (f"SELECT id FROM job WHERE id = ({SKIP})", "in a subquery of this statement"),
        (f"SELECT id FROM job WHERE EXISTS ({SKIP})", "in a subquery of this statement"),
        (f"{TAKE} WHERE id = (SELECT id FROM job LIMIT 9 FOR UPDATE)", "M41"),
        (f"{TAKE} WHERE id = (SELECT id FROM job FOR UPDATE)", "M411"),
    ],
)
def test_what_is_refused(sql, message):
    with pytest.raises(SpecError, match=message):
        explore(queue([sql]), None)


def test_a_key_that_changes_is_refused():
    schema = J.replace("id SERIAL", "id INTEGER")
    rows = "INSERT INTO job (id, state, p) VALUES (1, 'q', 1)"
    content = queue([forms(SKIP)[0]], ["UPDATE job SET id = 2 WHERE id = 1"], schema=schema, data=rows)
    with pytest.raises(SpecError, match="by id, which some procedure changes"):
        explore(content.replace('"job.p": [0, 1, 2]', '"job.p": [0, 1, 2], "job.id": [1, 2]'), None)


# ------------------------------------------------------------------------------------------------------------------- WITH


def test_a_with_query_is_a_name_for_a_subquery():
    sql = "WITH a AS (SELECT id, p FROM job), b AS MATERIALIZED (SELECT id FROM a WHERE p = 0) SELECT c.id FROM b AS c"
    assert outcomes(queue([{"sql": sql, "into": "x"}, "commit"]), "SELECT x FROM a") == {2}


def test_a_with_query_hides_the_table_of_its_name():
    sql = "WITH job AS (SELECT id FROM job WHERE p = 0) SELECT id FROM job"
    assert outcomes(queue([{"sql": sql, "into": "x"}, "commit"]), "SELECT x FROM a") == {2}


def test_a_property_may_have_one():
    content = queue(["commit"])
    assert outcomes(content, "WITH low AS (SELECT id FROM job WHERE p = 0) SELECT id FROM low") == {2}


@pytest.mark.parametrize("sql", [*forms(SKIP), *deletions(FIRST), "WITH j AS (SELECT p FROM job) SELECT p FROM j WHERE p > 0"])
def test_what_is_written_is_what_was_read(sql):
    def statement(wanted):
        model = bind_model(parse_model(SourceFile("small.model.yaml", queue([{"sql": wanted, "rows": "xs"}, "commit"]))))
        node = model.procedures["p"].steps[0].node
        assert isinstance(node, program.Execute)
        return node.statement

    once = statement(sql)
    assert statement(sql_of(once)) == once


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("WITH a AS (SELECT id FROM job) SELECT p FROM job", "'a' is never read"),
        ("WITH a AS (SELECT id FROM job) SELECT a.id FROM a JOIN a AS b ON a.id = b.id", "'a' is read twice"),
        ("WITH a AS (SELECT id FROM b), b AS (SELECT id FROM job) SELECT a.id FROM a JOIN b ON TRUE", "no table 'b'"),
        ("WITH a AS (SELECT id FROM job), a AS (SELECT p FROM job) SELECT id FROM a", "stands twice"),
        ("WITH a (x) AS (SELECT id FROM job) SELECT x FROM a", "a list of columns"),
        ("WITH RECURSIVE a AS (SELECT id FROM job) SELECT id FROM a", "RECURSIVE"),
        ("WITH a AS (DELETE FROM job RETURNING id) SELECT id FROM a", "is no SELECT"),
        ("SELECT id FROM (WITH a AS (SELECT id FROM job) SELECT id FROM a) AS b", "WITH"),
    ],
)
def test_what_of_with_is_refused(sql, message):
    with pytest.raises(SpecError, match=message):
        explore(queue([{"sql": sql, "rows": "xs"}]), None)


# ---------------------------------------------------------------------------------------------------------------- LIMIT 1


def test_without_a_lock_two_workers_may_take_the_same_job():
    sql = forms(FIRST.replace(" FOR UPDATE", ""))[0]
    found = explore(queue(run(sql), run(sql)), BOTH)
    # The subquery keeps its value while the statement waits for the row.
    assert found.finals == {((1, 2),), ((2, 1),), ((1, 1),)}


def test_which_of_equal_first_rows_it_is_is_open():
    value = "(SELECT p FROM job WHERE state = 'q' ORDER BY p = 2 LIMIT 1)"
    sql = {"sql": f"SELECT {value} AS one, {value} AS two", "into": ["x", "y"]}
    assert outcomes(queue([sql, "commit"]), "SELECT x, y FROM a") == {(0, 0), (0, 1), (1, 0), (1, 1)}
    one = {"sql": "SELECT (SELECT p FROM job ORDER BY p LIMIT 1)", "into": "x"}
    assert outcomes(queue([one, "commit"]), "SELECT x FROM a") == {0}
    none = {"sql": "SELECT COALESCE((SELECT p FROM job WHERE p > 1 LIMIT 1), 2)", "into": "x"}
    assert outcomes(queue([none, "commit"]), "SELECT x FROM a") == {2}


def test_limit_in_exists_makes_no_difference():
    sql = {"sql": "SELECT count(*) FROM job AS j WHERE EXISTS (SELECT 1 FROM job WHERE job.p < j.p LIMIT 1)", "into": "x"}
    assert outcomes(queue([sql, "commit"]), "SELECT x FROM a") == {1}


@pytest.mark.parametrize(
    "step",
    [
        "UPDATE job SET p = (SELECT o.p FROM job AS o WHERE o.id <> job.id LIMIT 1)",
        "UPDATE job SET p = 0 WHERE id IN (SELECT id FROM job ORDER BY p LIMIT 1)",
        {"sql": "SELECT (SELECT p FROM job ORDER BY p LIMIT 1) FROM job WHERE id = 1 FOR UPDATE", "into": "x"},
        {"sql": "UPDATE job SET p = 0 WHERE id = 1 RETURNING (SELECT p FROM job ORDER BY p LIMIT 1)", "into": "x"},
        "UPDATE job SET p = 0 WHERE EXISTS (SELECT 1 FROM job LIMIT 0)",
        "SELECT id FROM (SELECT id FROM job ORDER BY p LIMIT 1) AS first",
        {"choose": "x", "from": "SELECT id FROM job WHERE p = (SELECT o.p FROM job AS o LIMIT 1)"},
    ],
)
def test_where_limit_stays_refused(step):
    with pytest.raises(SpecError, match="M410"):
        explore(queue([step, "commit"]), None)
