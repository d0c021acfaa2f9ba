"""Every code of the semantics is reported for its fixture, at a place, and is explained."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from small import TWO, T, system, text

import txweave.semantics
from txweave.semantics.codes import CODES
from txweave.spec.diagnostics import SpecError

C = T + "CREATE TABLE c (id SERIAL PRIMARY KEY, k INTEGER REFERENCES t (k), w INTEGER CHECK (w BETWEEN 0 AND 3));"
SOME = {"c": 2, "t": 3}
JOIN = "FROM t LEFT JOIN c ON c.k = t.k"
MANY = "INSERT INTO s (k) VALUES (1), (2), (3), (4), (5), (6), (7);"

FIXTURES = {
    "M401": text(
        ["commit"],
        {"steps": ["commit"], "repeat": "forever"},
        processes={"a": {"run": ["p", "q"]}, "b": None},
    ),
    "M402": text(
        [{"for": "x", "in": "many", "steps": ["UPDATE t SET v = :x WHERE k = 1"] * 50}, "commit"],
        parameters={"many": [1, 2] * 50},
    ),
    "M404": text(["commit", {"set": {"n": "0"}}, {"while": ":n = 0", "steps": [{"set": {"m": "1"}}]}, "commit"]),
    "M405": text([{"set": {"n": "0"}}]),
    "M406": text(["commit", {"set": {"n": "0"}}, {"while": "TRUE", "steps": ["commit", {"set": {"n": ":n + 1"}}]}, "commit"]),
    "M407": text([{"sql": "SELECT min(v) FROM t", "into": "n"}, {"while": ":n = 0", "steps": [{"savepoint": "s"}]}, "commit"]),
    "M410": text(["UPDATE t SET v = 1 WHERE k IN (SELECT k FROM t LIMIT 1)", "commit"]),
    "M411": text(["UPDATE t SET v = (SELECT c.w FROM c) WHERE k = 1", "commit"], schema=C, bounds=SOME),
    "M412": text([{"sql": f"SELECT t.v, c.w {JOIN}", "rows": "r"}, "commit"], schema=C, bounds=SOME),
    "M413": text([{"sql": f"SELECT t.v, c.w {JOIN} LIMIT 1", "into": ["x", "y"]}, "commit"], schema=C, bounds=SOME),
    "M414": text(
        ["UPDATE s SET v = 1", "commit"],
        ["UPDATE s SET v = 2", "commit"],
        schema="CREATE TABLE s (k INTEGER PRIMARY KEY CHECK (k BETWEEN 1 AND 9), v INTEGER CHECK (v BETWEEN 0 AND 2));",
        data=MANY,
    ),
    "M415": text([{"sql": "SELECT t.v FROM t JOIN c ON c.k = t.k FOR UPDATE", "rows": "r"}, "commit"], schema=C, bounds=SOME),
    "M416": text(
        ["INSERT INTO t (k, v) SELECT c.w, 1 FROM c ON CONFLICT (k) DO UPDATE SET v = excluded.v", "commit"], schema=C, bounds=SOME
    ),
    "M417": text(["UPDATE t SET k = 3 WHERE k = 1", "commit"], schema=C, bounds=SOME),
    "M418": text(
        [{"sql": "UPDATE t SET v = 1 FROM c WHERE c.k = t.k RETURNING c.w", "rows": "r"}, "commit"], schema=C, bounds=SOME
    ),
    "M419": text(
        [
            {"sql": "SELECT v FROM t", "rows": "r"},
            {"sql": "SELECT w FROM c", "rows": "r"},
            {"for": "x", "in": "r", "steps": ["UPDATE t SET v = :x WHERE k = 1"]},
            "commit",
        ],
        schema=C,
        bounds=SOME,
    ),
    "M420": text(["SELECT v FROM t", "commit"], data="INSERT INTO t (k, v) VALUES (1, 0), (1, 1);"),
    "M421": text([{"sql": "SELECT v FROM t", "into": "n", "within": "30 s"}, "commit"], tick="7 s"),
    "M422": text(["INSERT INTO c (w) SELECT v FROM t", "commit"], schema=C, bounds=SOME, serial="exact"),
    "M424": text(
        ["INSERT INTO c (k, w) VALUES (1, 1) ON CONFLICT (k) DO UPDATE SET w = 2 WHERE excluded.id IS NOT NULL", "commit"],
        schema=C.replace("k INTEGER REFERENCES t (k)", "k INTEGER UNIQUE REFERENCES t (k)"),
        bounds=SOME,
    ),
    "M423": text(["UPDATE t SET v = 1 WHERE k IN (SELECT k FROM t LIMIT 1 FOR UPDATE SKIP LOCKED)", "commit"]),
}


@pytest.mark.parametrize("code", sorted(CODES))
def test_the_code_is_reported_at_a_place(code):
    with pytest.raises(SpecError) as caught:
        system(FIXTURES[code])
    told = [d for d in caught.value.diagnostics if d.code == code]
    assert told, [str(d) for d in caught.value.diagnostics]
    for diagnostic in told:
        assert diagnostic.span is not None
        assert diagnostic.message
        assert diagnostic.remedy


def test_every_code_that_is_reported_is_explained():
    folder = Path(txweave.semantics.__file__).parent
    used = {code for file in folder.glob("*.py") if file.name != "codes.py" for code in re.findall(r'"(M4\d\d)"', file.read_text())}
    assert used == set(CODES) == set(FIXTURES)
    assert all(title and "Wrong:" in why and "Right:" in why for title, why in CODES.values())


def test_inserts_and_locks_of_outer_joins_are_refused_too():
    for statement in (f"INSERT INTO c (k, w) SELECT t.k, c.w {JOIN}", f"SELECT t.v {JOIN} FOR UPDATE OF t SKIP LOCKED"):
        step = {"sql": statement} if statement.startswith("INSERT") else {"sql": statement, "rows": "r"}
        with pytest.raises(SpecError) as caught:
            system(text([step, "commit"], schema=C, data=TWO, bounds=SOME))
        assert [(d.code, d.span is not None) for d in caught.value.diagnostics] == [("M413", True)]


def test_a_key_that_is_referred_to_is_not_changed_by_on_conflict_either():
    statement = "INSERT INTO t (k, v) VALUES (1, 0) ON CONFLICT (k) DO UPDATE SET k = 3"
    with pytest.raises(SpecError) as caught:
        system(text([statement, "commit"], schema=C, bounds=SOME))
    assert [d.code for d in caught.value.diagnostics] == ["M417"]
