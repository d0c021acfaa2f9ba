"""Smallest specifications as YAML text, and what can come of them.

A procedure is written as a list of steps: SQL text, transaction control, ``dict`` for the rest; ``steps`` gives them names.
The text goes through the real loader, binder and lowering, and is explored completely.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from txweave.engines import explicit
from txweave.semantics import lower
from txweave.spec.load import parse_model
from txweave.spec.text import SourceFile
from txweave.sql.bind import bind_model
from txweave.system import expr as x
from txweave.system.expr import Elem
from txweave.system.ground import GroundSystem, ground
from txweave.system.sorted import System

T = "CREATE TABLE t (k INTEGER PRIMARY KEY CHECK (k BETWEEN 1 AND 4), v INTEGER NOT NULL CHECK (v BETWEEN 0 AND 9));"
"""The usual table: a key and a value."""
ONE = "INSERT INTO t (k, v) VALUES (1, 0);"
TWO = "INSERT INTO t (k, v) VALUES (1, 0), (2, 0);"

CONTROL = ("begin", "commit", "rollback", "return")


def steps(listed: list[Any], prefix: str = "s") -> list[dict[str, Any]]:
    """Steps with names: the prefix and a number; a pair is a name and a step."""
    found = []
    for number, item in enumerate(listed, 1):
        name, body = item if isinstance(item, tuple) else (f"{prefix}{number}", item)
        if isinstance(body, str) and body not in CONTROL:
            body = {"sql": body}
        if isinstance(body, dict):
            body = dict(body)
            for key in ("then", "else", "steps", "try", "finally"):
                if isinstance(body.get(key), list):
                    body[key] = steps(body[key], f"{name}_{key[0]}")
            handlers = body.get("except")
            if isinstance(handlers, dict):
                body["except"] = {e: steps(h, f"{name}_x{n}") for n, (e, h) in enumerate(handlers.items(), 1)}
        found.append({name: body})
    return found


def text(
    *procedures: list[Any] | dict[str, Any],
    schema: str = T,
    data: str = ONE,
    bounds: dict[str, int] | None = None,
    processes: dict[str, Any] | None = None,
    properties: dict[str, Any] | None = None,
    **more: Any,
) -> str:
    """The YAML of a model whose procedures are called p, q, r … and are run by the roles a, b, c ….

    A procedure is a list of steps, or a mapping with ``steps`` and more keys; ``processes`` changes the roles' settings.
    """
    names = "pqrstuvw"[: len(procedures)]
    bodies = {}
    for name, procedure in zip(names, procedures, strict=True):
        body = dict(procedure) if isinstance(procedure, dict) else {"steps": procedure}
        bodies[name] = {**body, "steps": steps(body["steps"], name)}
    bodies.update(
        {name: {**b, "steps": steps(b["steps"], name)} for name, b in more.pop("called", {}).items()},
    )
    roles: dict[str, Any] = {role: {"run": name} for role, name in zip("abcdefgh", names, strict=False)}
    for name, changes in (processes or {}).items():
        roles[name] = {**roles.get(name, {}), **changes} if changes is not None else None
    roles = {name: role for name, role in roles.items() if role is not None}
    scenario: dict[str, Any] = {"processes": roles, "bounds": bounds or {}}
    for key in ("truncate", "tick"):
        if key in more:
            scenario[key] = more.pop(key)
    model = {
        "model": "small",
        "title": "A small model",
        "database": {"engine": "postgresql", "isolation": "read committed"},
        "schema": schema,
        "data": data,
        **more,
        "procedures": bodies,
        "scenarios": {"only": scenario},
        "properties": properties or {"none": {"deadlock": "never"}},
    }
    if not data:
        del model["data"]
    # JSON is YAML; one key a line, so that diagnostics have lines.
    return "\n".join(f"{json.dumps(key)[1:-1]}: {json.dumps(value)}" for key, value in model.items()) + "\n"


def system(content: str) -> System:
    """The lowered system of a text with one scenario."""
    return lower(bind_model(parse_model(SourceFile("small.model.yaml", content))), "only")


@dataclass(frozen=True)
class Found:
    """The complete exploration: rows of the query ``result`` in each final state, the number of states, the bounds hit."""

    finals: frozenset[tuple[tuple[Any, ...], ...]]
    states: int
    hit: tuple[str, ...]
    labels: frozenset[str]
    """Names of the actions that were taken."""
    ground: GroundSystem


def plain(value: Any) -> Any:
    """Generated ids as numbers."""
    return value.number + 1 if isinstance(value, Elem) else value


def explore(content: str, query: str | None) -> Found:
    """All that can come of a text; ``query`` becomes its property ``result``."""
    if query is not None:
        head, _, tail = content.partition("\nproperties: ")
        kept = json.loads(tail)
        content = f"{head}\nproperties: {json.dumps({**kept, 'result': {'never': query}})}\n"
    made = ground(system(content))
    search = explicit.explore(made, graph=True, quiet=True)
    assert search.complete
    assert search.graph is not None
    finals = set()
    for number in range(len(search.packed)):
        state = search.state(number)
        moves = [
            edge
            for edge in range(int(search.graph.offsets[number]), int(search.graph.offsets[number + 1]))
            if made.actions[int(search.graph.actions[edge])].kind in ("step", "database")
        ]
        if not moves and query is not None:
            finals.add(rows(made, "result", state))
    taken = search.coverage().taken
    labels = frozenset(re.sub(r" /\d+$", "", a.name) for a, n in zip(made.system.actions, taken, strict=True) if n)
    return Found(frozenset(finals), len(search.packed), search.bounds_hit, labels, made)


def rows(made: GroundSystem, name: str, state: tuple[Any, ...]) -> tuple[tuple[Any, ...], ...]:
    """The rows of a property's query in a state, sorted."""
    env = {x.cell(i): x.const(v) for i, v in enumerate(state)}
    query = made.find(name).rows
    assert query is not None

    def value(node: x.Expr) -> Any:
        done = x.transform(node, lambda n: env.get(n), {})
        assert isinstance(done, x.Const), done
        return done.value

    found = [tuple(plain(value(v)) for v in row.values) for row in query.rows if value(row.condition)]
    return tuple(sorted(found, key=lambda r: [(v is not None, str(type(v)), v) for v in r]))


def outcomes(content: str, query: str) -> set[Any]:
    """Results over all final states: the row when there is exactly one (its value if it has one column), else all rows."""
    return {_short(final) for final in explore(content, query).finals}


def _short(final: tuple[tuple[Any, ...], ...]) -> Any:
    if len(final) == 1:
        return final[0][0] if len(final[0]) == 1 else final[0]
    return tuple(row[0] if len(row) == 1 else row for row in final)


def count(content: str) -> int:
    """The number of reachable states within bounds."""
    return explore(content, None).states


def verdicts(content: str) -> dict[str, tuple[str, Any]]:
    """The explicit engine's verdict and length for each property."""
    result = explicit.check(ground(system(content)))
    return {name: (v.text, None if v.trace is None else v.trace.length) for name, v in result.verdicts.items()}
