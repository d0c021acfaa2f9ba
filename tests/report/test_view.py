from __future__ import annotations

import pytest

import job_tables as jobs
from txweave.report.story import with_values
from txweave.system import expr as x
from txweave.system.expr import Domain, Elem
from txweave.system.ground import ground
from txweave.system.sorted import Function
from txweave.view import Keys, RowChange, Viewer, diff, evaluate


@pytest.fixture(scope="module")
def views():
    trace = jobs.both_take()
    viewer = Viewer(trace.system)
    return [viewer.view(state) for state in trace.states]


def test_initial_state(views) -> None:
    (table,) = views[0].tables
    assert [(r.label, r.values) for r in table.rows] == [("job 1", (("state", "'new'"),))]
    assert table.versions == ()
    first = views[0].process("worker 1")
    assert (first.status, first.step, first.transaction, first.variables) == ("idle", "pick", "none", (("job", "NULL"),))


def test_uncommitted_version_is_the_writers(views) -> None:
    (table,) = views[3].tables
    assert table.rows[0].values == (("state", "'new'"),), "others see what is committed"
    (version,) = table.versions
    assert (version.writer, version.kind, version.row.values) == ("worker 1", "update", (("state", "'taken'"),))


def test_who_waits_for_whom(views) -> None:
    second = views[4].process("worker 2")
    assert (second.status, second.waiting, second.waits_for, second.step) == ("running", True, "worker 1", "take")


def test_diff_has_only_what_changed(views) -> None:
    change = diff(views[4], views[5])
    assert change.rows == (RowChange("job", "job 1", "update", (("state", "'new'", "'taken'"),)),)
    assert change.versions == ()
    assert {(c.process, c.field) for c in change.processes} == {
        ("worker 1", "status"),
        ("worker 1", "step"),
        ("worker 1", "transaction"),
    }
    assert diff(views[4], views[4]) == diff(views[0], views[0])
    picked = diff(views[0], views[1])
    assert ("worker 1", ":job", "NULL", "1") in {(c.process, c.field, c.before, c.after) for c in picked.processes}


def test_rows_are_named_by_their_key() -> None:
    system = ground(jobs.system())
    assert Viewer(system, {"job": Keys("id", ("id",))}).view(system.initial).tables[0].rows[0].values[0] == ("id", "1")
    assert Viewer(system, {"job": Keys("", ("state",))}).view(system.initial).tables[0].rows[0].label == "job 'new'"
    assert Viewer(system, {"job": Keys("", ())}).view(system.initial).tables[0].rows[0].label == "job #1"


def test_values_as_sql_literals() -> None:
    viewer = Viewer(ground(jobs.system()))
    shown = [viewer.show(v) for v in (None, True, False, 3, "it's", Elem("job", 0), Elem("worker", 1))]
    assert shown == ["NULL", "TRUE", "FALSE", "3", "'it''s'", "1", "worker 2"]
    ages = Function("age", (), Domain(ages=(-1, 2)), 0)
    assert [viewer.show(v, ages) for v in (0, 2, -1)] == ["now", "2 ago", "in 1"]


def test_evaluate_keeps_booleans_and_integers_apart() -> None:
    assert evaluate(x.equal(x.cell(0), x.const(1)), (True,)) is False
    assert evaluate(x.equal(x.cell(0), x.const(1)), (1,)) is True


@pytest.mark.parametrize(
    ("sql", "shown"),
    [
        ("SELECT :a", "SELECT 1"),
        ("SELECT ':a', :ab, x::a", "SELECT ':a', 'it''s', x::a"),
        ("SELECT 'it''s :a' -- :a\n, :a /* :a */", "SELECT 'it''s :a' -- :a\n, 1 /* :a */"),
        ("SELECT :unknown", "SELECT :unknown"),
        ("  SELECT 1\n    FROM t\n      WHERE x", "SELECT 1\nFROM t\n  WHERE x"),
    ],
)
def test_values_in_place_of_variables(sql: str, shown: str) -> None:
    assert with_values(sql, {"a": "1", "ab": "'it''s'"}) == shown
