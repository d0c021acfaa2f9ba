from __future__ import annotations

import json
from typing import Any

import itf_py
import pytest

import report_samples as samples
from txweave.report.itf import render, value

TAKEN = "specs-jobs.as_written.taken_once.itf.json"


def expression(node: Any) -> None:
    """An expression of ADR-015, section "Expressions"."""
    if isinstance(node, str | bool):
        return
    if isinstance(node, int):
        assert abs(node) < 2**53
    elif isinstance(node, list):
        for item in node:
            expression(item)
    else:
        special = [key for key in node if key.startswith("#")]
        if not special:
            for item in node.values():
                expression(item)
            return
        ((key, inner),) = node.items()
        if key == "#bigint":
            assert inner.removeprefix("-").isdigit()
        elif key in {"#tup", "#set"}:
            expression(inner)
        elif key == "#map":
            for pair in inner:
                assert len(pair) == 2
                expression(pair)
        else:
            assert key == "#unserializable"
            assert isinstance(inner, str)


def check(document: Any) -> None:
    """A trace object and its states, as ADR-015 has them."""
    assert set(document) <= {"#meta", "params", "vars", "states", "loop"}
    for number, state in enumerate(document["states"]):
        assert set(state) == {"#meta", *document["vars"]}
        assert state["#meta"]["index"] == number
        for name in document["vars"]:
            expression(state[name])
    if "loop" in document:
        assert 0 <= document["loop"] < len(document["states"])


@pytest.mark.parametrize("kind", samples.KINDS)
def test_every_file_is_a_trace(kind: str) -> None:
    for name, text in render(samples.KINDS[kind]).items():
        assert name.endswith(".itf.json")
        check(json.loads(text))
        itf_py.trace_from_json(json.loads(text))


def test_a_file_for_each_violated_property_expected_or_not_and_for_no_other() -> None:
    assert list(render(samples.VIOLATED)) == [TAKEN]
    assert list(render(samples.GREEN)) == ["specs-jobs.calm.taken_once.itf.json"]
    for kind in ("open", "wrong", "crashed", "empty"):
        assert render(samples.KINDS[kind]) == {}, "there is no trace to write"


def test_states_and_steps_as_another_library_reads_them() -> None:
    trace = itf_py.trace_from_json(json.loads(render(samples.VIOLATED)[TAKEN]))
    assert trace.vars == ["tables", "uncommitted", "processes"]
    assert len(trace.states) == 8
    assert trace.loop is None
    first, last = trace.states[0].values, trace.states[-1].values
    assert first["tables"]["job"]["job 1"]["state"] == "new"
    assert last["tables"]["job"]["job 1"]["state"] == "taken"
    waiting = trace.states[4]
    assert waiting.meta["process"] == "worker 2"
    assert waiting.values["processes"]["worker 2"].waits_for == "worker 1"
    assert last["processes"]["worker 1"].variables["job"] == 1
    ((version,),) = ([*trace.states[3].values["uncommitted"]],)
    assert (version.writer, version.table, version.row) == ("worker 1", "job", "job 1")


def test_a_lasso_ends_where_its_loop_begins() -> None:
    (text,) = render(samples.report(samples.case("as_written", samples.LASSO))).values()
    document = json.loads(text)
    assert document["loop"] == 3
    assert len(document["states"]) == 4, "a run that ends stays in its last state"
    assert "loop" not in json.loads(render(samples.VIOLATED)[TAKEN])


@pytest.mark.parametrize(
    ("shown", "written"),
    [
        ("TRUE", True),
        ("FALSE", False),
        ("-12", {"#bigint": "-12"}),
        ("'it''s'", "it's"),
        ("'NULL'", "NULL"),
        ("''", ""),
        ("NULL", {"#unserializable": "NULL"}),
        ("2 ago", {"#unserializable": "2 ago"}),
        ("{1, 2}", {"#unserializable": "{1, 2}"}),
    ],
)
def test_values(shown: str, written: Any) -> None:
    assert value(shown) == written


def test_names_of_files_are_harmless_and_never_the_same() -> None:
    report = samples.report(
        *(samples.case(name, samples.BAD) for name in ("a b", "a/b", "a?b", "A-B", "../../etc", "x" * 500)),
        samples.case("c", samples.BAD, path="/abs/../x.study.yaml"),
    )
    names = list(render(report))
    assert len({name.lower() for name in names}) == 7
    for name in names:
        assert "/" not in name
        assert ".." not in name
        assert len(name) < 255
