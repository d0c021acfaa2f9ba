"""Queries: three-valued logic, grouping, outer joins, order; each rule by the smallest data on which it shows."""

from __future__ import annotations

import pytest
from small import explore, outcomes, text

S = (
    "CREATE TABLE t (k INTEGER PRIMARY KEY CHECK (k BETWEEN 1 AND 5), v INTEGER CHECK (v BETWEEN 0 AND 9));"
    "CREATE TABLE u (k INTEGER PRIMARY KEY CHECK (k BETWEEN 1 AND 5), v INTEGER CHECK (v BETWEEN 0 AND 9));"
)
DATA = (
    "INSERT INTO t (k, v) VALUES (1, 1), (2, 1), (3, 2), (4, NULL), (5, NULL);"
    "INSERT INTO u (k, v) VALUES (1, 2), (2, NULL), (3, 7);"
)


@pytest.mark.parametrize(
    ("query", "rows"),
    [
        ("SELECT k FROM t WHERE v = v", {(1,), (2,), (3,)}),
        ("SELECT k FROM t WHERE NOT v = 1", {(3,)}),
        ("SELECT k FROM t WHERE v <> 1 OR v IS NULL", {(3,), (4,), (5,)}),
        ("SELECT k FROM t WHERE v IS NOT NULL", {(1,), (2,), (3,)}),
        ("SELECT k FROM t WHERE v IS DISTINCT FROM 1", {(3,), (4,), (5,)}),
        ("SELECT k FROM t WHERE (v = 1) IS NOT TRUE", {(3,), (4,), (5,)}),
        ("SELECT k FROM t WHERE v IN (2, NULL)", {(3,)}),
        ("SELECT k FROM t WHERE v NOT IN (2, NULL)", set()),
        ("SELECT k FROM t WHERE v NOT IN (2, 7)", {(1,), (2,)}),
        ("SELECT k FROM t WHERE v NOT IN (SELECT v FROM u)", set()),
        ("SELECT k FROM t WHERE v NOT IN (SELECT v FROM u WHERE v IS NOT NULL)", {(1,), (2,)}),
        ("SELECT k FROM t WHERE v NOT IN (SELECT v FROM u WHERE v = 9)", {(1,), (2,), (3,), (4,), (5,)}),
        ("SELECT k FROM t WHERE v IN (SELECT v FROM u)", {(3,)}),
        ("SELECT k FROM t WHERE NOT EXISTS (SELECT 1 FROM u WHERE u.v = t.v)", {(1,), (2,), (4,), (5,)}),
        ("SELECT count(*), count(v), count(DISTINCT v) FROM t", {(5, 3, 2)}),
        ("SELECT min(v), max(v), sum(v) FROM t", {(1, 2, 4)}),
        ("SELECT count(*), max(v) FROM t WHERE k > 5", {(0, None)}),
        ("SELECT v, count(*) FROM t GROUP BY v", {(1, 2), (2, 1), (None, 2)}),
        ("SELECT v, count(v) FROM t GROUP BY v HAVING count(*) > 1", {(1, 2), (None, 0)}),
        ("SELECT DISTINCT v FROM t", {(1,), (2,), (None,)}),
        ("SELECT t.k, u.k FROM t LEFT JOIN u ON u.v = t.v WHERE t.k > 2", {(3, 1), (4, None), (5, None)}),
        ("SELECT t.k FROM t LEFT JOIN u ON u.v = t.v WHERE u.k IS NULL", {(1,), (2,), (4,), (5,)}),
        ("SELECT t.k, u.k FROM t JOIN u ON u.v = t.v", {(3, 1)}),
        ("SELECT k, COALESCE(v, 8) FROM t WHERE k > 2", {(3, 2), (4, 8), (5, 8)}),
        ("SELECT k, CASE WHEN v > 1 THEN 6 ELSE 5 END FROM t WHERE k > 2", {(3, 6), (4, 5), (5, 5)}),
        ("SELECT k FROM t WHERE v BETWEEN 1 AND 1", {(1,), (2,)}),
        ("SELECT d.n FROM (SELECT v, count(*) AS n FROM t GROUP BY v) AS d WHERE d.v = 1", {(2,)}),
    ],
)
def test_rows(query, rows):
    (found,) = explore(text(["commit"], schema=S, data=DATA), query).finals
    assert len(found) == len(set(found)) == len(rows)
    assert set(found) == rows


@pytest.mark.parametrize(
    ("order", "first"),
    [
        ("v, k", {1}),
        ("v, k DESC", {2}),
        ("v DESC, k", {4}),
        ("v NULLS FIRST, k DESC", {5}),
        ("v DESC NULLS LAST", {3}),
        ("v", {1, 2}),
        ("v DESC", {4, 5}),
        ("k + 0 * k DESC", {5}),
    ],
)
def test_order(order, first):
    content = text([{"sql": f"SELECT k FROM t ORDER BY {order} LIMIT 1", "into": "x"}, "commit"], schema=S, data=DATA)
    assert outcomes(content, "SELECT x FROM a") == first


def test_limit_beyond_what_there_is():
    content = text([{"sql": "SELECT k FROM t WHERE v = 2 LIMIT 2", "into": "x"}, "commit"], schema=S, data=DATA)
    assert outcomes(content, "SELECT x FROM a") == {3}
    several = text([{"sql": "SELECT k FROM t WHERE v = 1", "into": "x"}, "commit"], schema=S, data=DATA)
    assert "a.p1: ok" not in explore(several, None).labels
    assert outcomes(several, "SELECT status FROM a") == {"failed"}
