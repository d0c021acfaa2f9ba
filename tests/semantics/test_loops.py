"""Loops over rows whose bodies only touch variables: they are part of the step before them."""

from __future__ import annotations

import pytest
from small import T, count, outcomes, text

THREE = "INSERT INTO t (k, v) VALUES (1, 4), (2, 3), (3, 2);"


def summed(sql: str, body: str, start: str = "0") -> str:
    return text(
        [
            {"set": {"n": start}},
            {"sql": sql, "rows": "found"},
            {"for": "x", "in": "found", "steps": [{"set": {"n": body}}]},
            "commit",
        ],
        data=THREE,
        schema=T,
        domains={"p.n": list(range(30))},
    )


@pytest.mark.parametrize(
    ("sql", "body", "expected"),
    [
        ("SELECT v FROM t", ":n + :x", {9}),
        ("SELECT v FROM t WHERE k > 3", ":n + :x", {0}),
        ("SELECT v FROM t ORDER BY v", ":n * 2 + :x", {18}),
        ("SELECT v FROM t ORDER BY v DESC", ":n * 2 + :x", {24}),
        # Without an order the rows come in any.
        ("SELECT v FROM t WHERE k < 3", ":n * 2 + :x", {10, 11}),
    ],
)
def test_every_row_once(sql: str, body: str, expected: set[int]) -> None:
    assert outcomes(summed(sql, body), "SELECT n FROM a WHERE status = 'done'") == expected


def test_the_loop_is_no_step() -> None:
    assert count(summed("SELECT v FROM t", ":n + :x")) == 3
