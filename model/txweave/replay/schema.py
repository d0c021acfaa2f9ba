"""The schema on the server: the specification's own DDL, ghosts as ordinary tables and columns, its data, and the
replay's clock."""

from __future__ import annotations

from txweave.replay.machine import EPOCH
from txweave.replay.server import Server
from txweave.sql.program import BoundModel
from txweave.sql.render import sql_of
from txweave.sql.tree import Type

CLOCK = "txweave_clock"


class SchemaError(Exception):
    """The server does not take the schema or its data."""


def setup(model: BoundModel, *, timed: bool) -> list[str]:
    """Statements that fill a schema which is there, and first in the search path: the clock, the tables, the data."""
    texts: list[str] = []
    if timed:
        # A sequence is outside of all transactions, so that every session sees the clock at once.
        texts.append(f"CREATE SEQUENCE {CLOCK} MINVALUE 0 START 0")
        clock = f"(SELECT last_value FROM {CLOCK}) * INTERVAL '1 microsecond'"
        began = "current_setting('txweave.began')::bigint * INTERVAL '1 microsecond'"
        for name, text in (("clock_timestamp", clock), ("now", began)):
            body = f"SELECT TIMESTAMP '{EPOCH}' + {text}"
            kind = "VOLATILE" if name == "clock_timestamp" else "STABLE"
            texts.append(f"CREATE FUNCTION {name}() RETURNS timestamp LANGUAGE sql {kind} AS $$ {body} $$")
        texts.append(began_at(0))
    texts.extend(text.value.strip().rstrip(";") for text in (*model.source.schema, *model.source.ghost))
    texts.extend(sql_of(statement) for statement in model.data)
    return texts


def began_at(clock: int) -> str:
    """Tells a session when its next transaction begins, for ``now()``."""
    return f"SET txweave.began TO '{clock}'"


def tick(clock: int, schema: str = "") -> str:
    """Sets the clock of a schema, or of the first in the search path."""
    return f"SELECT setval('{schema + '.' if schema else ''}{CLOCK}', {clock})"


def create(server: Server, model: BoundModel, timed: bool) -> str:
    """A fresh schema with the model's tables and data; its name.

    Raises:
        SchemaError: the server does not take it.
    """
    schema = server.create_schema()
    texts = [f"SET search_path TO {schema}, pg_catalog", *setup(model, timed=timed), "SET search_path TO pg_catalog"]
    try:
        server.monitor.run(";\n".join(texts))
    except RuntimeError as error:
        server.monitor.run("SET search_path TO pg_catalog")
        server.drop_schema(schema)
        raise SchemaError(str(error)) from None
    return schema


def contents(server: Server, model: BoundModel, schema: str) -> dict[str, list[tuple[object, ...]]]:
    """The committed rows of every table; timestamps as whether they are NULL."""
    texts = []
    for name, table in model.schema.tables.items():
        columns = ", ".join(_shown(f'"{c.name}"', c.type) for c in table.columns)
        texts.append(f'SELECT {columns} FROM {schema}."{name}"')
    session = server.monitor
    session.send(";\n".join(texts))
    while not session.poll(5.0):
        pass
    answers = session.answers()
    assert len(answers) == len(texts), answers[-1]
    return {name: [tuple(r) for r in answer.rows] for name, answer in zip(model.schema.tables, answers, strict=True)}


def _shown(text: str, kind: Type) -> str:
    return f"CASE WHEN {text} IS NOT NULL THEN 'a time' END" if kind.kind == "timestamp" else text
