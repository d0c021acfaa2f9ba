"""The explored graph, for other tools: DOT to look at, GraphML and JSON to work with."""

from __future__ import annotations

import json
from collections.abc import Mapping
from io import BytesIO
from typing import Any

from txweave.system.ground import GroundSystem
from txweave.verdict import Limits
from txweave.view import Keys, StateView, Viewer


class TooManyStates(ValueError):  # noqa: N818 - says what it is
    """The graph is larger than anybody could read."""


def render_graph(system: GroundSystem, keys: Mapping[str, Keys], form: str, limit: int) -> str:
    """The graph of all reachable states in one of the forms ``dot``, ``graphml``, ``json``.

    Raises:
        TooManyStates: it has more than ``limit`` states.
    """
    import networkx as nx

    from txweave.engines.explicit import explore

    exploration = explore(system, graph=True, limits=Limits(max_states=limit + 1))
    if len(exploration.packed) > limit or not exploration.complete:
        raise TooManyStates(
            f"there are more than {limit:,} states. Make the scenario smaller (fewer processes, smaller bounds), "
            "or take --format graphml for a tool such as Gephi; --limit N allows more"
        )
    viewer = Viewer(system, keys)
    found = exploration.networkx(limit)
    clean: nx.MultiDiGraph[int] = nx.MultiDiGraph(name=system.system.name)
    views: dict[int, StateView] = {}
    for node, data in found.nodes(data=True):
        views[node] = viewer.view(data["state"])
        clean.add_node(node, label=label(views[node]), initial=node == 0)
    for source, target, data in found.edges(data=True):
        action = system.actions[data["action"]]
        actor = viewer.process_name(action.actor) if action.actor is not None else ""
        clean.add_edge(source, target, name=action.name, actor=actor, step=action.action.info.step, kind=action.kind)
    if form == "dot":
        return _dot(clean)
    if form == "graphml":
        out = BytesIO()
        nx.write_graphml(clean, out)
        return out.getvalue().decode("utf-8") + "\n"
    from txweave.report.json import state

    whole: dict[str, Any] = {
        "directed": True,
        "multigraph": True,
        "graph": {"name": clean.name},
        "nodes": [{"id": node, **data, "state": state(views[node])} for node, data in clean.nodes(data=True)],
        "edges": [{"source": a, "target": b, **data} for a, b, data in clean.edges(data=True)],
    }
    return json.dumps(whole, indent=1, ensure_ascii=False) + "\n"


def label(view: StateView) -> str:
    """A state in a few lines: committed rows, then where the processes are."""
    lines = [f"{row.label}: {', '.join(f'{n} {v}' for n, v in row.values)}" for table in view.tables for row in table.rows]
    for process in view.processes:
        place = f" {process.step}" if process.status == "running" and process.step else ""
        wait = f" waits for {process.waits_for}" if process.waits_for else ""
        lines.append(f"{process.name}: {process.status}{place}{wait}")
    return "\n".join(lines)


def _dot(graph: Any) -> str:
    lines = [
        f"digraph {_quoted(graph.name)} {{",
        '  node [shape=box, fontname="monospace", fontsize=9];',
        "  edge [fontsize=9];",
    ]
    for node, data in graph.nodes(data=True):
        style = ", penwidth=2" if data["initial"] else ""
        lines.append(f"  {node} [label={_quoted(data['label'])}{style}];")
    for source, target, data in graph.edges(data=True):
        words = f"{data['actor']}: {data['step'] or data['kind']}" if data["actor"] else data["kind"]
        colour = ", color=red, fontcolor=red" if data["kind"] == "fault" else ""
        lines.append(f"  {source} -> {target} [label={_quoted(words)}{colour}];")
    return "\n".join([*lines, "}"]) + "\n"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\l")
    return f'"{escaped}\\l"' if "\n" in text else f'"{escaped}"'
