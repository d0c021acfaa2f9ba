"""Random walks of the model and a real server in step, over generated specifications; a failure is shrunk to a small one."""

from __future__ import annotations

import copy
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from txweave.replay.generate import Document, generate
from txweave.replay.machine import Machine, Op
from txweave.replay.replay import Divergence, LeftModelError, NotPossibleError, Replay
from txweave.replay.schema import SchemaError
from txweave.replay.server import Server
from txweave.semantics import lower
from txweave.spec.diagnostics import SpecError
from txweave.spec.load import parse_model
from txweave.spec.text import Text
from txweave.sql.bind import bind_model

WALKS_PER_SPEC = 8
LENGTH = 40
_FAULTS = 0.05


@dataclass
class Walked:
    """What a number of walks came to."""

    walks: int = 0
    steps: int = 0
    specs: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    left: Counter[str] = field(default_factory=Counter)
    waits: int = 0
    deadlocks: int = 0
    broken_by_server: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    not_possible: int = 0
    seconds: float = 0.0
    failures: list[Failure] = field(default_factory=list)


@dataclass(frozen=True)
class Failure:
    """A walk on which model and server differ: the specification, how the walk went, and what differed."""

    seed: str
    document: Document
    divergence: str
    log: tuple[str, ...]
    path: tuple[Op, ...]

    @property
    def text(self) -> str:
        """The specification as a file, with the walk as a comment."""
        lines = [f"# {line}" for entry in (*self.log, *self.divergence.splitlines()) for line in entry.splitlines()]
        return render(self.document) + "\n".join(["# The walk:", *lines]) + "\n"


def render(document: Document) -> str:
    """A document as YAML."""
    return str(yaml.dump(document, sort_keys=False, width=130, allow_unicode=True))


def machine_of(document: Document) -> Machine:
    """The machine of a document's only scenario.

    Raises:
        SpecError: it is refused.
    """
    model = parse_model(Text.of(render(document), "walk.model.yaml").file)
    bound = bind_model(model)
    scenario = next(iter(model.scenarios))
    return Machine(bound, scenario, lower(bound, scenario))


def walk(
    server: Server, machine: Machine, seed: str, found: Walked, length: int = LENGTH
) -> tuple[Divergence | None, Replay, list[Op]]:
    """One walk; the divergence, if there is one."""
    chance = random.Random(seed)  # noqa: S311 - a walk is no secret
    path: list[Op] = []
    run = Replay(server, machine)
    try:
        run.genuine = chance.random() < 0.3 and server.local
        for _ in range(length):
            impossible: set[Op] = set()
            while True:
                op = _choose(run, chance, impossible)
                if op is None:
                    return None, run, path
                try:
                    run.perform(op)
                except NotPossibleError:
                    impossible.add(op)
                    found.not_possible += 1
                    continue
                finally:
                    path.append(op)
                break
            found.steps += 1
            found.waits += " waits for " in run.log[-1]
            found.deadlocks += op.kind == "deadlock"
    except Divergence as divergence:
        return divergence, run, path
    except LeftModelError as left:
        found.left[str(left)] += 1
    finally:
        run.close()
        found.broken_by_server += run.broken_by_server
    return None, run, path


def _choose(run: Replay, chance: random.Random, impossible: set[Op]) -> Op | None:
    """The next step: any process that can move, and any of its possible steps."""
    by_actor: dict[str, list[Op]] = {}
    faults: list[Op] = []
    for op in run.options():
        if op in impossible:
            continue
        if op.kind in ("crash", "hang", "error", "commit error"):
            faults.append(op)
        else:
            by_actor.setdefault(str(op.process), []).append(op)
    if faults and (not by_actor or chance.random() < _FAULTS):
        return chance.choice(faults)
    if not by_actor:
        return None
    return chance.choice(by_actor[chance.choice(sorted(by_actor))])


def conform(
    server: Server,
    walks: int,
    seed: int,
    *,
    keep_going: bool = False,
    progress: Callable[[Walked], None] | None = None,
    make: Callable[[str], Document] = generate,
) -> Walked:
    """So many walks; stops at the first failure unless ``keep_going``."""
    found = Walked()
    started = time.monotonic()
    number = 0
    while found.walks < walks:
        name = f"{seed}.{number}"
        number += 1
        document = make(name)
        try:
            machine = machine_of(document)
        except SpecError as error:
            found.refused.update(d.code for d in error.diagnostics)
            continue
        found.specs += 1
        for round_ in range(min(WALKS_PER_SPEC, walks - found.walks)):
            found.walks += 1
            this = f"{name}.{round_}"
            divergence, run, path = walk(server, machine, this, found)
            if divergence is not None:
                found.failures.append(Failure(this, document, str(divergence), tuple(run.log), tuple(path)))
                if not keep_going:
                    found.seconds = time.monotonic() - started
                    return found
                break
        found.seconds = time.monotonic() - started
        if progress is not None:
            progress(found)
    return found


# ------------------------------------------------------------------------------------------------------------- shrinking


def shrink(server: Server, failure: Failure, seconds: float = 60.0, tries: int = 40) -> Failure:
    """The smallest specification found, by leaving parts out, on which some walk still differs."""
    deadline = time.monotonic() + seconds
    best = failure
    shorter = True
    while shorter and time.monotonic() < deadline:
        shorter = False
        for smaller in _smaller(best.document):
            if time.monotonic() > deadline:
                break
            found = _fails(server, smaller, failure.seed, tries)
            if found is not None:
                best, shorter = found, True
                break
    return best


def _fails(server: Server, document: Document, seed: str, tries: int) -> Failure | None:
    try:
        machine = machine_of(document)
    except SpecError:
        return None
    best: Failure | None = None
    for number in range(tries):
        this = f"{seed}/{number}"
        try:
            divergence, run, path = walk(server, machine, this, Walked())
        except SchemaError:
            return None
        if divergence is not None and (best is None or len(path) < len(best.path)):
            best = Failure(this, document, str(divergence), tuple(run.log), tuple(path))
    return best


def _smaller(document: Document) -> Iterator[Document]:
    """The document with one part left out, in every way."""
    processes = document["scenarios"]["all"]["processes"]
    for role in list(processes):
        if len(processes) > 1:
            smaller = copy.deepcopy(document)
            removed = smaller["scenarios"]["all"]["processes"].pop(role)
            smaller["procedures"].pop(removed["run"], None)
            yield smaller
        if "crash" in processes[role]:
            smaller = copy.deepcopy(document)
            del smaller["scenarios"]["all"]["processes"][role]["crash"]
            yield smaller
    for name, procedure in document["procedures"].items():
        for steps in _less(procedure["steps"]):
            if steps:
                smaller = copy.deepcopy(document)
                smaller["procedures"][name]["steps"] = steps
                yield smaller
    for part in ("data", "schema"):
        texts = [t for t in document[part].split(";\n") if t.strip()]
        for number in range(len(texts) - 1, -1 if part == "data" else 0, -1):
            smaller = copy.deepcopy(document)
            smaller[part] = "".join(t + ";\n" for i, t in enumerate(texts) if i != number)
            if not smaller[part]:
                del smaller[part]
                yield smaller
                continue
            if part == "schema" and "TABLE c" in texts[number]:
                smaller["domains"] = {k: v for k, v in smaller["domains"].items() if not k.startswith("c.")}
                smaller["scenarios"]["all"]["bounds"].pop("c", None)
            yield smaller
        if part == "schema":
            for piece in (", UNIQUE (v)", ", UNIQUE (v, u)", ", CHECK (v < 2)", ", UNIQUE (r)", " ON DELETE CASCADE", " NOT NULL"):
                if piece in document["schema"]:
                    smaller = copy.deepcopy(document)
                    smaller["schema"] = document["schema"].replace(piece, "")
                    yield smaller


def _less(steps: list[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """Steps with one left out, unwrapped, or with a simpler statement."""
    for number, step in enumerate(steps):
        rest = (steps[:number], steps[number + 1 :])
        yield [*rest[0], *rest[1]]
        ((name, body),) = step.items()
        if not isinstance(body, dict):
            continue
        if "try" in body:
            yield [*rest[0], *body["try"], *rest[1]]
            for inner in _less(body["try"]):
                if inner:
                    yield [*rest[0], {name: {**body, "try": inner}}, *rest[1]]
        if "sql" in body:
            for simpler in _simpler(body["sql"]):
                yield [*rest[0], {name: {**body, "sql": simpler}}, *rest[1]]
            for word in ("rows", "affected", "into"):
                if word in body and ("RETURNING" not in body["sql"] or word == "rows"):
                    smaller = {k: v for k, v in body.items() if k != word}
                    smaller["sql"] = body["sql"].partition(" RETURNING")[0]
                    yield [*rest[0], {name: smaller}, *rest[1]]


def _simpler(sql: str) -> Iterator[str]:
    """A statement without its condition, ORDER BY, LIMIT, or one side of AND / OR."""
    head, where, tail = sql.partition(" WHERE ")
    if where:
        for mark in (" ORDER BY", " LIMIT", " FOR ", " RETURNING", " ON CONFLICT"):
            condition, found, rest = tail.partition(mark)
            if found:
                break
        else:
            condition, found, rest = tail, "", ""
        if condition != "TRUE":
            yield f"{head} WHERE TRUE{found}{rest}"
        for word in (" AND ", " OR "):
            left, middle, right = condition.partition(word)
            if middle and left.startswith("(") and right.endswith(")"):
                yield f"{head} WHERE {left[1:]}{found}{rest}"
                yield f"{head} WHERE {right[:-1]}{found}{rest}"
    for piece in (" LIMIT 1", " ORDER BY p.v", " ORDER BY p.k"):
        if piece in sql:
            yield sql.replace(piece, "")
