"""What the tests of this folder share: a schema, an environment for single statements, and the miniature built in Python."""

from txweave.spec import syntax
from txweave.spec.diagnostics import Diagnostic, Report
from txweave.spec.text import Text
from txweave.sql.domains import DomainResolver, Written
from txweave.sql.schema import SchemaReader, finish_tables
from txweave.sql.scope import Environment, Known
from txweave.sql.tree import INTEGER, NULL, TEXT, TIMESTAMP, Type

T = Text.of
SPAN = T("x").span()

DDL = """CREATE TYPE mood AS ENUM ('sad', 'ok');
CREATE TABLE owner (id SERIAL PRIMARY KEY, name TEXT NOT NULL UNIQUE CHECK (name IN ('ann', 'bob')), mood mood);
CREATE TABLE job (
  id BIGSERIAL PRIMARY KEY,
  owner_id INTEGER REFERENCES owner (id) ON DELETE CASCADE,
  state TEXT NOT NULL DEFAULT 'queued',
  n INTEGER CHECK (n BETWEEN 0 AND 3),
  done BOOLEAN NOT NULL DEFAULT FALSE,
  at TIMESTAMP DEFAULT now(),
  lasts INTERVAL,
  CONSTRAINT one UNIQUE (owner_id, n),
  CHECK (n >= 0));
CREATE UNIQUE INDEX active ON job (owner_id) WHERE state = 'running'; -- partial; no constraint
CREATE INDEX slow ON job (state);
"""


def parameter(name: str, value: object) -> syntax.Parameter:
    return syntax.Parameter(T(name), value, SPAN)  # type: ignore[arg-type]


def domain(target: str, *values: object, like: str | None = None) -> syntax.Domain:
    return syntax.Domain(T(target), values, SPAN, None if like is None else T(like))  # type: ignore[arg-type]


def environment(**changes: object) -> Environment:
    report = Report()
    raw = SchemaReader(report)
    raw.read((T(DDL),), ghost=False)
    declared = (domain("job.state", "queued", "running", "done"), domain("job.lasts", "5 min", "1 hour"))
    DomainResolver(raw, declared, {}, Written(), report).resolve()
    tables = finish_tables(raw, report)
    report.check()
    settings: dict[str, object] = {
        "enums": raw.enums,
        "variables": {
            "x": Known(INTEGER),
            "o": Known(Type("reference", "owner")),
            "j": Known(Type("reference", "job")),
            "s": Known(TEXT, ("queued", "done")),
            "t": Known(TIMESTAMP),
            "rs": Known(NULL, None, True),
        },
        "parameters": {"cutoff": parameter("cutoff", "5min"), "lim": parameter("lim", 2), "ls": parameter("ls", (1, 2))},
    }
    settings.update(changes)
    return Environment(tables, **settings)  # type: ignore[arg-type]


def place(diagnostic: Diagnostic) -> str:
    return f"{diagnostic.span.line}:{diagnostic.span.column}" if diagnostic.span else "?"


def step(name: str, body: syntax.Body) -> syntax.Step:
    return syntax.Step(T(name), body)


def sql(text: str, into: tuple[str, ...] = (), **more: object) -> syntax.Sql:
    return syntax.Sql(T(text), tuple(T(name) for name in into), **more)  # type: ignore[arg-type]


def procedure(name: str, *steps: syntax.Step, **more: object) -> syntax.Procedure:
    return syntax.Procedure(T(name), steps, **more)  # type: ignore[arg-type]


def role(name: str, *run: str, **more: object) -> syntax.Role:
    return syntax.Role(T(name), tuple(T(r) for r in run), **more)  # type: ignore[arg-type]


def scenario(*roles: syntax.Role, bounds: dict[str, int] | None = None, truncate: tuple[str, ...] = ()) -> syntax.Scenario:
    listed = tuple((T(table), number) for table, number in (bounds or {}).items())
    return syntax.Scenario(T("s"), roles, listed, tuple(T(t) for t in truncate))


def prop(formula: object) -> syntax.Property:
    return syntax.Property(T("p"), formula)  # type: ignore[arg-type]


def model(schema: str, *procedures: syntax.Procedure, **changes: object) -> syntax.Model:
    settings: dict[str, object] = {
        "name": T("m"),
        "title": "",
        "database": syntax.Database(T("postgresql"), T("read committed")),
        "schema": (T(schema),),
        "procedures": {p.name.value: p for p in procedures},
        "scenarios": {},
        "properties": {},
    }
    settings.update(changes)
    return syntax.Model(**settings)  # type: ignore[arg-type]
