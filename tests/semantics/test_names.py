"""The names that a specification gives never meet the names that the lowering gives."""

from __future__ import annotations

from txweave.engines import explicit
from txweave.semantics import lower
from txweave.spec.load import parse_model
from txweave.spec.text import SourceFile
from txweave.sql.bind import bind_model
from txweave.system.ground import ground

ENDS = """
model: names
schema: |
  CREATE TABLE t (id INTEGER PRIMARY KEY, v INTEGER NOT NULL, live INTEGER, writer INTEGER, staying INTEGER, used INTEGER);
domains: {t.id: [1], t.v: [0, 1], t.live: [7], t.writer: [7], t.staying: [7], t.used: [7]}
data: |
  INSERT INTO t (id, v, live, writer, staying, used) VALUES (1, 0, 7, 7, 7, 7);
procedures:
  p:
    steps:
      - idle:
          sql: UPDATE t SET v = 1, live = 7, writer = 7, staying = 7, used = 7 WHERE id = 1
      - failed: {sql: SELECT v FROM t WHERE id = 1, into: pc}
      - crashed: {sql: SELECT v FROM t WHERE id = 1, into: blocker}
      - hung: {if: ":pc + :blocker = 2", then: [{NAME: commit}]}
scenarios: {s: {processes: {r: {run: p, count: 2}}}}
properties:
  done_is_done:
    never: SELECT t.id FROM t JOIN r ON r.status = 'done' WHERE t.v = 0
  variables: {never: SELECT r.id FROM r WHERE r.pc <> r.blocker}
  ends: {whenever: SELECT r.id FROM r WHERE r.status = 'running', eventually: gone}
"""


def outcome(name: str) -> tuple[int, dict[str, str]]:
    model = bind_model(parse_model(SourceFile("names.model.yaml", ENDS.replace("NAME", name))))
    found = explicit.check(ground(lower(model, "s")))
    return found.states, {verdict.name: verdict.text for verdict in found.verdicts.values()}


def test_steps_and_columns_may_be_called_like_the_places_and_parts_of_the_system() -> None:
    # A step called like an end of the program must not be taken for that end: with any name the system is the same.
    plain = outcome("finish")
    assert plain[1] == {"done_is_done": "holds", "variables": "holds", "ends": "holds"}
    for name in ("done", "idle2", "transaction", "waiting"):
        assert outcome(name) == plain
