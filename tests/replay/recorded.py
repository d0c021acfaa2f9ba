"""Counterexamples and walks, written as trace files."""

from __future__ import annotations

from pathlib import Path

from txweave import tracefile
from txweave.check import Options, prepare, run_case
from txweave.collect import Choice, Selected, collect
from txweave.report.story import StoryStep
from txweave.simulate import walk
from txweave.view import keys_of

SPECS = Path(__file__).parents[2] / "specs"

CRASHES = """\
model: crashes
schema: |
  CREATE TABLE item (id INTEGER PRIMARY KEY, value INTEGER NOT NULL);
domains:
  item.id: [1]
  item.value: 0..3
data: |
  INSERT INTO item (id, value) VALUES (1, 0);
procedures:
  add:
    steps:
      - read: {sql: SELECT value FROM item WHERE id = 1, into: seen}
      - write: {sql: UPDATE item SET value = value + 1 WHERE id = 1}
      - finish: commit
  add_and_die:
    steps:
      - write: {sql: UPDATE item SET value = value + 1 WHERE id = 1}
      - finish: commit
scenarios:
  one_dies:
    processes:
      steady: {run: add, count: 2}
      dying: {run: add_and_die, crash: [write, finish]}
properties:
  after_a_wait:
    title: Nobody adds to what came after it has looked
    never: |
      SELECT item.id, item.value, steady.id AS process FROM item, steady
      WHERE steady.status = 'done' AND item.value > steady.seen + 1
  nobody_dies_first:
    never: |
      SELECT dying.id FROM dying, item WHERE dying.status = 'crashed' AND item.value = 2
"""
"""Three processes add to one row; one of them may crash."""


def counterexamples(directory: Path, spec: Path, choice: Choice | None = None) -> list[Path]:
    """A file for each violated property of a specification."""
    choice = choice or Choice()
    collection = collect((str(spec),), choice)
    assert not collection.errors
    results = [run_case(selected, Options(engine="explicit")) for selected in collection.cases]
    assert not [(r.errors, r.failures) for r in results if r.errors or r.failures]
    # As results travel between processes: without the traces themselves.
    return tracefile.write_counterexamples(directory, collection.cases, [r.detached() for r in results], choice.fixes)


def case_of(spec: Path, scenario: str | None = None, fixes: tuple[str, ...] = ()) -> Selected:
    """One scenario of a model; its first, if none is named."""
    chosen = () if scenario is None else (scenario,)
    return collect((str(spec),), Choice(scenarios=chosen, fixes=fixes)).cases[0]


def walked(path: Path, selected: Selected, seed: int, fixes: tuple[str, ...] = (), length: int = 30) -> tuple[StoryStep, ...]:
    """A random walk, written to a file; its steps."""
    bound, system = prepare(selected)
    steps = tuple(step for step in walk(system, keys_of(bound), seed, length).steps if not step.state.bound)
    tracefile.write(path, tracefile.record(selected, steps, fixes))
    return steps
