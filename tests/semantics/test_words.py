"""What stands for something else: ANY and ALL of arrays, LIKE, / and %, numbers in quotes, a LIMIT that cannot be reached."""

from __future__ import annotations

import pytest
from small import T, explore, outcomes, text

from txweave.spec.diagnostics import SpecError

ROWS = "INSERT INTO t (k, v) VALUES (1, 0), (2, 5), (3, 9);"
W = "CREATE TABLE w (k INTEGER PRIMARY KEY, name TEXT, n INTEGER NOT NULL CHECK (n BETWEEN -5 AND 5));"
NAMES = "INSERT INTO w (k, name, n) VALUES (1, 'ab', -5), (2, 'abc', 5), (3, NULL, 0), (4, 'a.c', 3)"


def asked(sql, **more):
    """The value of the first column of the only row."""
    given = {"data": ROWS, **more}
    return outcomes(text([{"sql": sql, "into": "x"}, "commit"], **given), "SELECT x FROM a")


@pytest.mark.parametrize(
    ("where", "number"),
    [
        ("k = ANY (ARRAY[1, 3])", 2),
        ("k = ANY ((ARRAY[3, NULL]))", 1),
        ("k <> ALL (ARRAY[1, 3])", 1),
        ("k <> ALL (ARRAY[1, NULL])", 0),
        ("k = ANY (:few)", 2),
        ("k = ANY (SELECT v FROM t)", 0),
        ("k = ANY (ARRAY['1'])", 1),
        ("k = '2'", 1),
        ("k > ' 1'", 2),
        ("k IN ('1', 2)", 2),
        ("v BETWEEN '-1' AND '5'", 2),
    ],
)
def test_which_rows(where, number):
    assert asked(f"SELECT count(*) FROM t WHERE {where}", parameters={"few": [1, 2, 7]}) == {number}


def test_a_number_in_quotes_is_written_as_a_number():
    content = text(["UPDATE t SET v = '7' WHERE k = '1'", "INSERT INTO t (k, v) VALUES ('4', ('8'))", "commit"], bounds={"t": 2})
    assert outcomes(content, "SELECT k, v FROM t") == {((1, 7), (4, 8))}


@pytest.mark.parametrize(
    ("where", "keys"),
    [
        ("name LIKE 'ab%'", (1, 2)),
        ("name LIKE 'a_c'", (2, 4)),
        ("name LIKE 'a.%'", 4),
        ("name NOT LIKE 'ab%'", 4),
        ("name LIKE 'x'", ()),
        ("name NOT LIKE 'x'", (1, 2, 4)),
        ("name IS NULL AND NOT COALESCE(name LIKE 'x', FALSE)", 3),
        # PostgreSQL rounds towards zero: -5 / 2 = -2, -5 % 2 = -1.
        ("n / 2 = -2 AND n % 2 = -1", 1),
        ("n / -2 = -2 AND n % -2 = 1", 2),
        ("n % 2 = 0", 3),
        ("n / 3 = 1", (2, 4)),
    ],
)
def test_by_cases(where, keys):
    content = text(["commit"], schema=W, data=NAMES)
    assert outcomes(content, f"SELECT k FROM w WHERE {where}") == {keys}


def test_a_limit_that_cannot_be_reached():
    step = {"sql": "SELECT k FROM t WHERE v > 0 ORDER BY k LIMIT 100 FOR UPDATE", "rows": "xs"}
    loop = {"for": "x", "in": "xs", "steps": ["UPDATE t SET v = 1 WHERE k = :x"]}
    assert outcomes(text([step, loop, "commit"], data=ROWS), "SELECT k, v FROM t") == {((1, 0), (2, 1), (3, 1))}
    # Three rows and a bound of 5: LIMIT 4 could leave one out.
    with pytest.raises(SpecError, match="there may be more rows"):
        explore(text([{"sql": "SELECT k FROM t LIMIT 4", "rows": "xs"}], data=ROWS, bounds={"t": 5}), None)
    # Nine combinations of three rows with themselves.
    with pytest.raises(SpecError, match="there may be more rows"):
        explore(text([{"sql": "SELECT a.k FROM t AS a CROSS JOIN t AS b LIMIT 8", "rows": "xs"}], data=ROWS), None)


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("SELECT k FROM t WHERE k = ANY (ARRAY[1, 'x'])", "is text"),
        ("SELECT k FROM t WHERE k = '1.5'", "is text"),
        ("SELECT k FROM t WHERE k = ANY (v)", "ANY"),
        ("SELECT k FROM t WHERE k < ANY (ARRAY[1])", "ANY"),
        ("SELECT k FROM t WHERE k = ALL (ARRAY[1])", "all"),
        ("SELECT k / v FROM t", "by a constant only"),
        ("SELECT k / 0 FROM t", "division by zero"),
        ("SELECT (k + 1) % 2 FROM t", "by a constant only"),
        ("SELECT k FROM w WHERE name LIKE :p", "pattern"),
        ("SELECT k FROM w WHERE name LIKE 'a' ESCAPE 'b'", "Escape|ESCAPE"),
        ("SELECT k FROM w WHERE 'x' LIKE name", "known values"),
    ],
)
def test_what_stays_refused(sql, message):
    steps = [{"set": {"p": "'x'"}}, {"sql": sql, "rows": "xs"}]
    with pytest.raises(SpecError, match=message):
        explore(text(steps, schema=T + W, data=ROWS + NAMES), None)
