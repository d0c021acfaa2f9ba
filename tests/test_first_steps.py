"""What somebody is told whose first specification is almost right."""

from __future__ import annotations

import pytest

from txweave.check import Options, run_case
from txweave.collect import Choice, collect

MODEL = """\
model: first
title: A first specification
schema: |
  CREATE TABLE job (id int PRIMARY KEY, n int NOT NULL);
domains: {{job.id: [1], job.n: 0..3}}
data: INSERT INTO job VALUES (1, 0)
procedures:
  {procedure}:
    steps:
{steps}
      - done: commit
scenarios:
  all: {{processes: {{worker: {{run: {procedure}}}}}}}
properties:
  small: {{never: "{never}"}}
"""


def told(tmp_path, steps, procedure="work", never="SELECT id FROM job WHERE n > 2"):
    path = tmp_path / "first.model.yaml"
    path.write_text(MODEL.format(steps="\n".join(f"      - {s}" for s in steps), procedure=procedure, never=never))
    collection = collect([str(path)], Choice())
    found = [d for _, errors in collection.errors for d in errors]
    for selected in collection.cases:
        found.extend(run_case(selected, Options(engine="explicit")).errors)
    return [(d.code, d.message, d.remedy) for d in found]


def test_a_statement_is_written_with_its_key(tmp_path):
    ((code, _, remedy),) = told(tmp_path, ["add: UPDATE job SET n = n + 1 WHERE id = 1"])
    assert (code, remedy) == ("S104", "write {sql: …} for a statement")


def test_a_table_and_a_procedure_of_one_name(tmp_path):
    found = told(tmp_path, ['add: {sql: "UPDATE job SET n = n + 1 WHERE id = 1"}'], procedure="job")
    assert {(code, remedy) for code, _, remedy in found} == {("S117", "a table is called job too: give the procedure another name")}


@pytest.mark.parametrize("read", ["worker.j", "j"])
def test_a_variable_of_a_wrong_step_is_not_told_again(tmp_path, read):
    steps = ['look: {sql: "SELECT upper(n) FROM job WHERE id = 1", into: j}', 'put: {sql: "UPDATE job SET n = :j WHERE id = 1"}']
    found = told(tmp_path, steps, never=f"SELECT worker.id FROM worker WHERE {read} = 2")
    assert [code for code, *_ in found] == ["Q302"]
    found = told(tmp_path, steps, never="SELECT worker.id FROM worker WHERE worker.k = 2")
    assert [code for code, *_ in found] == ["Q302", "Q311"]


def test_the_variable_that_grows_is_named(tmp_path):
    steps = [
        "one: {set: {a: 0, tries: 0}}",
        'two: {while: ":tries < 2", steps: [{go: {sql: DELETE FROM job}}, {b: {set: {tries: ":tries + 1", a: ":tries"}}}]}',
        'use: {sql: "SELECT n FROM job WHERE n = :a", into: x}',
    ]
    ((code, message, _),) = told(tmp_path, steps)
    assert (code, message) == ("M406", "the values of 'tries' of role worker grow without bound")
