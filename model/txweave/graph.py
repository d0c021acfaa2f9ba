"""The explored graph: states and the transitions between them, to look at and to work with.

A :class:`Graph` wraps a networkx graph, and draws itself where it is small enough to be read.  DOT, GraphML and JSON are for
other tools.
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from txweave.collect import Usage, suggestion
from txweave.system.ground import GroundSystem
from txweave.trace import State, Trace
from txweave.verdict import Limits
from txweave.view import Keys, ProcessState, StateView, Viewer

if TYPE_CHECKING:
    import networkx as nx

DRAWN = 80
"""A picture has at most so many nodes."""

EDGES = 240
"""And at most so many edges."""

WIDE = 64
"""Characters in a line of a node."""

By: TypeAlias = "str | Callable[[StateView], object]"
"""What states are grouped by: ``table.column``, ``role.status``, ``role.step``, ``role.variable``, or a function of a state."""


class TooManyStates(Usage):
    """The graph is larger than anybody could read."""


class Graph:
    """States and transitions.

    ``networkx`` is the graph itself, a ``MultiDiGraph``.  Its nodes have a ``label`` (what is not the same in all states) and a
    ``kind`` (``initial``, ``trace``: a state of a counterexample, ``broken``: where it ends, or empty), those of states also their
    ``view``; nodes that stand for several states say how many (``states``).  Its edges have ``actor``, ``step``, ``kind`` (as
    actions have it) and ``trace``: whether the counterexample goes there.
    """

    def __init__(self, graph: nx.MultiDiGraph[Any], title: str) -> None:
        self.networkx = graph
        self.title = title

    def __len__(self) -> int:
        return len(self.networkx)

    def quotient(self, *by: By) -> Graph:
        """States that agree on some columns as one node.

        Args:
            by: What they have to agree on: ``table.column`` (in all its rows), ``role.status``, ``role.step`` or
                ``role.variable`` (of all its processes), or a function of a :class:`~txweave.view.StateView`.

        Raises:
            Usage: there is no such table, role, column or variable, or this graph has no states any more.
        """
        import networkx as nx

        if not by:
            raise Usage("say what states are grouped by: 'table.column', 'role.status', 'role.step', 'role.variable'")
        groups: dict[tuple[str, ...], int] = {}
        node_of: dict[Any, int] = {}
        found: nx.MultiDiGraph[int] = nx.MultiDiGraph(name=self.networkx.name)
        for node, data in self.networkx.nodes(data=True):
            if "view" not in data:
                raise Usage("take the quotient of the graph of states, not of one that was grouped already")
            key = tuple(_value(data["view"], item) for item in by)
            number = groups.setdefault(key, len(groups))
            node_of[node] = number
            if number not in found:
                found.add_node(number, label="", kind="", states=0, key=key)
            there = found.nodes[number]
            there["states"] += 1
            there["kind"] = _stronger(there["kind"], data["kind"])
        for number, there in found.nodes(data=True):
            del number
            shown = [f"{_name(item)}: {value}" for item, value in zip(by, there["key"], strict=True)]
            there["label"] = "\n".join([*shown, f"{there['states']:,} state{'' if there['states'] == 1 else 's'}"])
        _join(self.networkx, found, node_of)
        return Graph(found, f"{self.title} by {', '.join(map(_name, by))}")

    def components(self) -> Graph:
        """The strongly connected components: a node for each, with how many states it has; what is left has no circle.

        A run that lasts for ever stays in one of those from some point on.
        """
        import networkx as nx

        found: nx.MultiDiGraph[int] = nx.MultiDiGraph(name=self.networkx.name)
        node_of: dict[Any, int] = {}
        order = {node: number for number, node in enumerate(self.networkx)}
        groups = sorted(nx.strongly_connected_components(self.networkx), key=lambda group: min(order[node] for node in group))
        for number, group in enumerate(groups):
            node_of.update(dict.fromkeys(group, number))
            first = min(group, key=lambda node: order[node])
            kind = ""
            for node in group:
                kind = _stronger(kind, self.networkx.nodes[node]["kind"])
            states = sum(self.networkx.nodes[node].get("states", 1) for node in group)
            circle = len(group) > 1 or self.networkx.has_edge(first, first)
            label = f"{states:,} states in a circle" if circle else self.networkx.nodes[first]["label"]
            found.add_node(number, label=label, kind=kind, states=states)
        _join(self.networkx, found, node_of, loops=False)
        return Graph(found, f"{self.title}: strongly connected components")

    def svg(self) -> str:
        """The picture, an SVG document.

        Raises:
            TooManyStates: nobody could read it; the message says what to do.
            Usage: Graphviz is not installed.
        """
        graph = _bundled(self.networkx)
        nodes, edges = len(graph), graph.number_of_edges()
        if nodes > DRAWN or edges > EDGES:
            raise TooManyStates(
                f"{nodes:,} nodes and {edges:,} edges are too many for a picture ({DRAWN} and {EDGES} are not). Group the states, "
                "as graph.quotient('table.column', 'role.status') does, take graph.components(), or the surroundings of a "
                "counterexample, trace.graph(); graph.networkx has all of it"
            )
        from txweave.report.layered import layered

        return layered(dot(graph, self.title), self.title)

    def save(self, path: str | Path) -> None:
        """Write the picture to a file: ``.svg`` or ``.png``.

        Raises:
            Usage: another kind of file, or what makes it is not installed; or the graph is too large.
        """
        from txweave.report.export import save

        save(self.svg(), path)

    def __repr__(self) -> str:
        graph = self.networkx
        return f"{self.title}: {len(graph):,} nodes, {graph.number_of_edges():,} edges"

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:  # noqa: ARG002
        try:
            return {"text/plain": repr(self), "image/svg+xml": self.svg()}
        except Usage as error:
            return {"text/plain": f"{self!r}\n{error}"}


# ------------------------------------------------------------------------------------------------------------------ making


def explored(system: GroundSystem, keys: Mapping[str, Keys], limit: int) -> Graph:
    """The graph of all reachable states.

    Raises:
        TooManyStates: there are more than ``limit``.
    """
    from txweave.engines.explicit import explore

    exploration = explore(system, graph=True, limits=Limits(max_states=limit + 1))
    if len(exploration.packed) > limit or not exploration.complete:
        raise TooManyStates(
            f"there are more than {limit:,} states. Make the scenario smaller (fewer processes, smaller bounds), "
            "or allow more: max_states= in Python, --limit of txweave graph (GraphML is for tools such as Gephi)"
        )
    viewer = Viewer(system, keys)
    found = exploration.networkx(limit)
    return _made(viewer, ((n, data["state"]) for n, data in found.nodes(data=True)), found.edges(data="action"), None)


def around(trace: Trace, keys: Mapping[str, Keys], steps: int) -> Graph:
    """The states of a counterexample, and those that are at most so many steps away from one of them."""
    from txweave.engines.explicit.program import Program

    system = trace.system
    program = Program(system)
    states = [program.layout.pack(state) for state in trace.states]
    numbers: dict[int, int] = {}
    for state in states:
        numbers.setdefault(state, len(numbers))
    edges: dict[tuple[int, int, int], None] = {}
    ahead = list(numbers)
    for distance in range(steps + 1):
        further: list[int] = []
        for state in ahead:
            for action, after in program.successors(state):
                if after >= 0 and (distance < steps or after in numbers):
                    if after not in numbers:
                        numbers[after] = len(numbers)
                        further.append(after)
                    edges[numbers[state], numbers[after], action] = None
        ahead = further
    viewer = Viewer(system, keys)
    return _made(viewer, ((n, program.layout.unpack(state)) for state, n in numbers.items()), edges, trace)


def _made(viewer: Viewer, states: Iterable[tuple[int, State]], edges: Iterable[tuple[int, int, int]], trace: Trace | None) -> Graph:
    import networkx as nx

    system = viewer.system
    path = list(trace.states) if trace is not None else []
    ends = {path[-1]} if trace is not None and trace.loop is None else set(path[trace.loop :]) if trace is not None else set()
    graph: nx.MultiDiGraph[int] = nx.MultiDiGraph(name=system.system.name)
    numbers: dict[State, int] = {}
    found = [(number, state, viewer.view(state)) for number, state in states]
    labels = _Labels([view for _, _, view in found])
    for number, state, view in found:
        numbers[state] = number
        kind = "broken" if state in ends else "trace" if state in path else "initial" if state == system.initial else ""
        graph.add_node(number, label=labels.of(view), view=view, kind=kind, initial=state == system.initial)
    taken = {
        (numbers[path[n]], numbers[path[n + 1]], step.action.index)
        for n, step in enumerate(trace.steps if trace is not None else ())
    }
    for source, target, index in edges:
        action = system.actions[index]
        actor = viewer.process_name(action.actor) if action.actor is not None else ""
        on_trace = (source, target, index) in taken
        graph.add_edge(
            source, target, name=action.name, actor=actor, step=action.action.info.step, kind=action.kind, trace=on_trace
        )
    return Graph(graph, system.system.name)


def _join(source: nx.MultiDiGraph[Any], target: nx.MultiDiGraph[int], node_of: Mapping[Any, int], *, loops: bool = True) -> None:
    """The edges of one graph between the nodes of another, once each for what they are called."""
    known: dict[tuple[Any, ...], int] = {}
    for a, b, data in source.edges(data=True):
        ends = node_of[a], node_of[b]
        if ends[0] == ends[1] and not loops:
            continue
        key = *ends, data["actor"], _bare(data["step"]), data["kind"]
        if key in known:
            there = target.edges[ends[0], ends[1], known[key]]
            there["trace"] = there["trace"] or data["trace"]
        else:
            known[key] = target.add_edge(*ends, **{**data, "step": _bare(data["step"])})


def _bundled(graph: nx.MultiDiGraph[Any]) -> nx.MultiDiGraph[Any]:
    """For a picture: the edges between two nodes as one, where they look alike; long lines are wrapped."""
    import networkx as nx

    found: nx.MultiDiGraph[Any] = nx.MultiDiGraph(name=graph.name)
    for node, data in graph.nodes(data=True):
        lines = [part for line in data["label"].splitlines() for part in textwrap.wrap(line, WIDE, subsequent_indent="    ")]
        found.add_node(node, **{**data, "label": "\n".join(lines)})
    for source, target, data in graph.edges(data=True):
        key = "fault" if data["kind"] == "fault" else "trace" if data["trace"] else ""
        if found.has_edge(source, target, key):
            found.edges[source, target, key]["words"] += "\n" + _words(data)
        else:
            found.add_edge(source, target, key=key, **data, words=_words(data))
    return found


def _words(data: Mapping[str, Any]) -> str:
    return f"{data['actor']}: {data['step'] or data['kind']}" if data["actor"] else str(data["kind"])


def _bare(step: str) -> str:
    return step.partition("[")[0]


_STRENGTH = ("", "initial", "trace", "broken")


def _stronger(one: str, other: str) -> str:
    return max(one, other, key=_STRENGTH.index)


def _name(item: By) -> str:
    return item if isinstance(item, str) else getattr(item, "__name__", "function")


def _value(view: StateView, item: By) -> str:
    """What a state has there: one value, or those of the rows or processes by their names."""
    if not isinstance(item, str):
        return str(item(view))
    owner, dot_, field = item.partition(".")
    names = [*(table.name for table in view.tables), *dict.fromkeys(process.role for process in view.processes)]
    if not dot_ or owner not in names:
        raise Usage(f"there is nothing called {item!r}{suggestion(owner, names)}: name a 'table.column' or a 'role.status'")
    pairs: list[tuple[str, str]] = []
    for table in view.tables:
        if table.name == owner:
            pairs += [(row.label, dict(row.values).get(field, "?")) for row in table.rows]
    for process in view.processes:
        if process.role == owner:
            known = {"status": process.status, "step": process.step or process.status, **dict(process.variables)}
            if field not in known:
                raise Usage(f"{owner} has no {field!r}{suggestion(field, known)}")
            pairs.append((process.name, known[field]))
    if any(value == "?" for _, value in pairs):
        raise Usage(f"{owner} has no column {field!r}")
    if not pairs:
        return "no row"
    return pairs[0][1] if len(pairs) == 1 else ", ".join(f"{name}: {value}" for name, value in pairs)


# ---------------------------------------------------------------------------------------------------------------- formats


def render_graph(system: GroundSystem, keys: Mapping[str, Keys], form: str, limit: int, by: Sequence[str] = ()) -> str:
    """The graph of all reachable states in one of the forms ``dot``, ``svg``, ``graphml``, ``json``; grouped by columns, if any.

    Raises:
        TooManyStates: it has more than ``limit`` states, or is too large for a picture.
        Usage: there is no such column.
    """
    found = explored(system, keys, limit)
    whole = found.quotient(*by) if by else found
    graph = whole.networkx
    if form == "svg":
        return whole.svg()
    if form == "dot":
        return dot(graph, graph.name)
    plain = graph.copy()
    for _, data in plain.nodes(data=True):
        data.pop("view", None)
        data.pop("key", None)
    if form == "graphml":
        import networkx as nx

        out = BytesIO()
        nx.write_graphml(plain, out)
        return out.getvalue().decode("utf-8") + "\n"
    from txweave.report.json import state

    written: dict[str, Any] = {
        "directed": True,
        "multigraph": True,
        "graph": {"name": graph.name},
        "nodes": [
            {"id": node, **data, **({"state": state(graph.nodes[node]["view"])} if "view" in graph.nodes[node] else {})}
            for node, data in plain.nodes(data=True)
        ],
        "edges": [{"source": a, "target": b, **data} for a, b, data in plain.edges(data=True)],
    }
    return json.dumps(written, indent=1, ensure_ascii=False) + "\n"


class _Labels:
    """States in a few lines: the committed rows, then where the processes are; of both only what is not the same in all states."""

    def __init__(self, views: Sequence[StateView]) -> None:
        self.columns: set[tuple[str, str]] = set()
        self.tables: set[str] = set()
        self.processes: set[str] = set()
        values: dict[tuple[str, str, str], str] = {}
        rows: dict[str, tuple[str, ...]] = {}
        places: dict[str, tuple[str, ...]] = {}
        for view in views:
            for table in view.tables:
                labels = tuple(row.label for row in table.rows)
                if rows.setdefault(table.name, labels) != labels:
                    self.tables.add(table.name)
                for row in table.rows:
                    for name, value in row.values:
                        if values.setdefault((table.name, row.label, name), value) != value:
                            self.columns.add((table.name, name))
                            self.tables.add(table.name)
            for process in view.processes:
                place = _place(process)
                if places.setdefault(process.name, place) != place:
                    self.processes.add(process.name)

    def of(self, view: StateView) -> str:
        """The lines of one state."""
        lines = []
        for table in view.tables:
            for row in table.rows if table.name in self.tables else ():
                shown = [f"{n} {v}" for n, v in row.values if (table.name, n) in self.columns]
                lines.append(row.label + (f": {', '.join(shown)}" if shown else ""))
        lines += [f"{p.name}: {' '.join(_place(p))}" for p in view.processes if p.name in self.processes]
        return "\n".join(lines) or "the only state"


def _place(process: ProcessState) -> tuple[str, ...]:
    """Where a process is."""
    place = (process.step,) if process.status == "running" and process.step else ()
    return (process.status, *place, *((f"waits for {process.waits_for}",) if process.waits_for else ()))


def dot(graph: nx.MultiDiGraph[Any], title: str) -> str:
    """The graph in Graphviz's language; nodes and edges have classes, for a stylesheet."""
    lines = [
        f"digraph {_quoted(title)} {{",
        '  node [shape=box, fontname="Courier", fontsize=9, margin="0.2,0.06"];',
        '  edge [fontname="Courier", fontsize=9];',
    ]
    for node, data in graph.nodes(data=True):
        strong = ", penwidth=2" if data["kind"] in {"initial", "broken"} else ""
        kind = f', class="{data["kind"]}"' if data["kind"] else ""
        lines.append(f"  {node} [label={_quoted(data['label'])}{strong}{kind}];")
    for source, target, data in graph.edges(data=True):
        words = data.get("words") or _words(data)
        classes = [name for name, applies in (("fault", data["kind"] == "fault"), ("path", data["trace"])) if applies]
        colour = ", color=red, fontcolor=red" if data["kind"] == "fault" else ""
        marked = f', class="{" ".join(classes)}"' if classes else ""
        lines.append(f"  {source} -> {target} [label={_quoted(words)}{colour}{marked}];")
    return "\n".join([*lines, "}"]) + "\n"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\l")
    return f'"{escaped}\\l"' if "\n" in text else f'"{escaped}"'
