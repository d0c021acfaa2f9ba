"""Graphs: the states and transitions, grouped, around a counterexample, and drawn."""

from __future__ import annotations

import json
import sys
from functools import cache
from pathlib import Path
from xml.etree import ElementTree as ET

import networkx as nx
import pytest
from click.testing import CliRunner

import txweave as tw
from txweave.cli import cli
from txweave.graph import DRAWN, Graph
from txweave.system import reference

ROOT = Path(__file__).resolve().parents[1]
QUEUE = str(ROOT / "specs/job-queue/job-queue.model.yaml")
SVG = "{http://www.w3.org/2000/svg}"


@cache
def checked() -> tw.Result:
    return tw.check(tw.load(QUEUE).scenario("two_workers"), engine="explicit")


@cache
def whole() -> Graph:
    return checked().graph()


def trace() -> tw.Trace:
    found = checked()["done_once"].trace
    assert found is not None
    return found


def test_it_has_every_state_and_transition() -> None:
    assert checked().model is not None
    _, system = checked().model.prepared()  # type: ignore[union-attr]
    explored = reference.explore(system.system, 10_000)
    assert len(whole()) == len(explored.states) == checked().states
    steps = sum(1 for state in explored.states for _ in reference.successors(system.system, state))
    assert whole().networkx.number_of_edges() == steps
    assert [n for n, data in whole().networkx.nodes(data=True) if data["initial"]] == [0]


def test_it_is_refused_beyond_so_many_states() -> None:
    with pytest.raises(tw.Usage, match=r"more than 99 states. .* max_states="):
        checked().graph(max_states=99)
    assert len(checked().graph(max_states=100)) == 100


def test_the_quotient_by_a_column() -> None:
    found = whole().quotient("job.state")
    labels = [data["label"] for _, data in found.networkx.nodes(data=True)]
    assert labels == [
        "job.state: job 1: 'new', job 2: 'new'\n10 states",
        "job.state: job 1: 'done', job 2: 'new'\n38 states",
        "job.state: job 1: 'done', job 2: 'done'\n52 states",
    ]
    ways = {(a, b, d["step"]) for a, b, d in found.networkx.edges(data=True) if a != b}
    assert ways == {(0, 1, "save"), (1, 2, "save")}, "no job becomes new again"
    assert repr(checked().graph("job.state")) == repr(found)


def test_the_quotient_by_processes_and_by_a_function() -> None:
    by_status = whole().quotient("worker.status")
    assert {d["key"] for _, d in by_status.networkx.nodes(data=True)} == {
        (f"worker 1: {a}, worker 2: {b}",) for a in ("idle", "running") for b in ("idle", "running")
    }

    def busy(view: object) -> int:
        return sum(p.status == "running" for p in view.processes)  # type: ignore[attr-defined]

    by_busy = whole().quotient(busy)
    assert [d["label"].splitlines()[0] for _, d in by_busy.networkx.nodes(data=True)] == ["busy: 0", "busy: 1", "busy: 2"]
    assert sum(d["states"] for _, d in by_busy.networkx.nodes(data=True)) == 100


@pytest.mark.parametrize(
    ("by", "words"),
    [
        ("job.stat", "job has no column 'stat'"),
        ("jobs.state", "did you mean 'job'"),
        ("worker.jobs", "worker has no 'jobs'.*did you mean 'job'"),
        ("job", "nothing called 'job'"),
    ],
)
def test_what_there_is_not(by: str, words: str) -> None:
    with pytest.raises(tw.Usage, match=words):
        whole().quotient(by)


def test_groups_are_not_grouped_again() -> None:
    with pytest.raises(tw.Usage, match="grouped already"):
        whole().quotient("job.state").quotient("worker.status")
    with pytest.raises(tw.Usage, match="say what"):
        whole().quotient()


def test_components_are_those_of_networkx_and_have_no_circle() -> None:
    found = whole().components()
    assert len(found) == nx.number_strongly_connected_components(whole().networkx)
    assert nx.is_directed_acyclic_graph(nx.DiGraph(found.networkx))
    assert sum(d["states"] for _, d in found.networkx.nodes(data=True)) == 100
    circles = [d["label"] for _, d in found.networkx.nodes(data=True) if d["label"].endswith("in a circle")]
    assert circles, "workers that find nothing go round for ever"


def test_around_a_counterexample() -> None:
    run = trace()
    found = run.graph(steps=0)
    assert len(found) == len(run) + 1
    taken = [(d["actor"], d["step"]) for _, _, d in found.networkx.edges(data=True) if d["trace"]]
    assert sorted(taken) == sorted((s.actor, s.step) for s in run.steps)
    kinds = [d["kind"] for _, d in found.networkx.nodes(data=True)]
    assert kinds == ["trace"] * len(run) + ["broken"]
    near, far = run.graph(), run.graph(steps=2)
    assert len(found) < len(near) < len(far)
    whole_edges = {(d["name"]) for _, _, d in whole().networkx.edges(data=True)}
    assert {d["name"] for _, _, d in near.networkx.edges(data=True)} <= whole_edges
    # Every successor of a state of the run is there.
    for node in range(len(run)):
        label = found.networkx.nodes[node]["label"]
        twin = next(n for n, d in whole().networkx.nodes(data=True) if d["view"] == found.networkx.nodes[node]["view"])
        assert len(list(near.networkx.successors(node))) == len(set(whole().networkx.successors(twin))), label


def test_a_state_says_what_is_not_the_same_everywhere() -> None:
    assert whole().networkx.nodes[0]["label"].splitlines() == [
        "job 1: state 'new', runs 0",
        "job 2: state 'new', runs 0",
        "worker 1: idle",
        "worker 2: idle",
    ]
    near = trace().graph(steps=0).networkx.nodes[0]["label"].splitlines()
    # The second job is never touched in this run, but it has the columns that vary; ids do not.
    assert near == ["job 1: state 'new', runs 0", "job 2: state 'new', runs 0", "worker 1: idle", "worker 2: idle"]


def test_hairballs_are_refused_with_advice() -> None:
    assert len(whole()) > DRAWN
    with pytest.raises(tw.Usage, match=r"100 nodes and .* are too many for a picture"):
        whole().svg()
    shown = whole()._repr_mimebundle_()
    assert set(shown) == {"text/plain"}
    assert "graph.quotient('table.column'" in shown["text/plain"]


def test_a_picture() -> None:
    root = ET.fromstring(trace().graph()._repr_mimebundle_()["image/svg+xml"])
    nodes = [g for g in root.iter(f"{SVG}g") if "node" in g.get("class", "").split()]
    assert len(nodes) == len(trace().graph())
    assert sum("broken" in g.get("class", "").split() for g in nodes) == 1
    style = next(root.iter(f"{SVG}style")).text or ""
    assert "prefers-color-scheme: dark" in style
    # Colours are the stylesheet's alone, so that they change with the scheme.
    assert not [e for e in root.iter() if e.get("stroke") or e.get("fill") not in {None, "none"}]


def test_a_name_is_text_in_a_picture() -> None:
    text = (ROOT / "specs/job-queue/job-queue.model.yaml").read_text(encoding="utf-8")
    model = tw.load(text.replace("'new'", "'<b>\"&'").replace("[new, taken", "['<b>\"&', taken")).scenario("two_workers")
    drawn = tw.check(model, engine="explicit").graph("job.state").svg()
    assert "job 1: '<b>\"&'" in "".join(ET.fromstring(drawn).itertext())


def test_without_graphviz_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pygraphviz", None)
    with pytest.raises(tw.Usage, match=r"pip install 'txweave\[jupyter\]'"):
        trace().graph().svg()
    assert "pip install" in trace().graph()._repr_mimebundle_()["text/plain"]


def test_the_command_groups_as_well(tmp_path: Path) -> None:
    arguments = ["graph", QUEUE, "--scenario", "two_workers", "--by", "job.state"]
    result = CliRunner().invoke(cli, [*arguments, "--format", "json"])
    assert result.exit_code == 0, result.output
    assert len(json.loads(result.output)["nodes"]) == 3
    result = CliRunner().invoke(cli, [*arguments, "--format", "svg", "-o", str(tmp_path / "g.svg")])
    assert result.exit_code == 0, result.output
    assert ET.parse(tmp_path / "g.svg").getroot().tag == f"{SVG}svg"
    assert CliRunner().invoke(cli, ["graph", QUEUE, "--scenario", "two_workers", "--by", "job.stat"]).exit_code == 2
