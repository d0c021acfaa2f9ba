# ruff: noqa: E501 - a change of the model stands on one line with what it must give
"""Each code by a model that has it, and by the same model put right."""

from __future__ import annotations

from pathlib import Path

import pytest

from txweave.check import Options, run_case
from txweave.collect import Choice, collect
from txweave.explain import codes
from txweave.lint import lint
from txweave.lint.codes import CODES
from txweave.results import Exit
from txweave.spec.fixes import apply_fixes
from txweave.spec.load import load_fix, load_model
from txweave.sql.bind import bind_model

MODEL = """\
model: jobs
parameters: {most: 2}
schema: |
  CREATE TABLE job (id SERIAL PRIMARY KEY, state TEXT NOT NULL, parent INTEGER REFERENCES job (id));
domains:
  job.state: [new, done]
procedures:
  add:
    steps:
      - count: {sql: SELECT count(*) FROM job, into: jobs}
      - full: {if: ":jobs >= :most", then: [{stop: return}]}
      - insert: {sql: "INSERT INTO job (state) VALUES ('new')"}
      - done: commit
scenarios:
  one:
    processes: {adder: {run: add, count: 2}}
    bounds: {job: 3}
properties:
  few: {never: SELECT count(*) FROM job WHERE parent IS NULL HAVING count(*) > 2}
"""


def found(tmp_path: Path, text: str) -> list[str]:
    path = tmp_path / "jobs.model.yaml"
    path.write_text(text)
    return [f"{d.code} {d.message}" for d in lint(bind_model(load_model(str(path))))]


def changed(old: str, new: str) -> str:
    assert MODEL.count(old) == 1, old
    return MODEL.replace(old, new)


def test_nothing_is_wrong(tmp_path: Path) -> None:
    assert found(tmp_path, MODEL) == []


STEP = "      - insert: {sql: \"INSERT INTO job (state) VALUES ('new')\"}\n"
CASES = {
    "variable": (
        changed("VALUES ('new')\"}", "VALUES ('new') RETURNING id\", into: job}"),
        ["L501 the variable job of add is never read"],
    ),
    "input": (
        changed("  add:\n", "  add:\n    inputs: [colour]\n").replace("count: 2", "count: 2, with: {colour: 1}"),
        ["L501 the input colour of add is never read"],
    ),
    "column": (changed("state TEXT NOT NULL,", "state TEXT NOT NULL, open BOOLEAN,"), ["L502 the column job.open is never used"]),
    "table": (
        changed("domains:", "  CREATE TABLE audit (id SERIAL PRIMARY KEY);\ndomains:"),
        ["L503 the table audit is never used"],
    ),
    "procedure": (
        changed("scenarios:", "  wait: {steps: [{done: commit}]}\nscenarios:"),
        ["L504 wait never runs"],
    ),
    "parameter": (changed("{most: 2}", "{most: 2, age: 2min}"), ["L505 the parameter age is never read"]),
    "after return": (
        changed("- done: commit", "- done: commit\n      - stop_now: return\n      - more: commit\n      - most: rollback"),
        ["L506 more is never reached"],
    ),
    "after raise in both branches": (
        changed("- done: commit", '- done: commit\n      - end: {if: ":jobs > 0", then: [{a: return}], else: [{b: {raise: X}}]}\n      - more: commit'),
        ["L506 more is never reached"],
    ),
    "no commit": (changed("      - done: commit\n", ""), ["L507 add can end without a commit, and what insert wrote is then rolled back"]),
    "return before the commit": (
        changed("      - done: commit\n", '      - early: {if: ":jobs > 0", then: [{leave: return}]}\n      - done: commit\n'),
        ["L507 add can end without a commit, and what insert wrote is then rolled back"],
    ),
    "a handler that forgets the transaction": (
        changed(STEP, STEP.replace("- insert: ", "- guarded: {try: [{insert: ")[:-1] + "}], except: {unique_violation: [{give_up: return}]}}\n"),
        ["L507 add can end without a commit, and what insert wrote is then rolled back"],
    ),
    "property": (
        changed("domains:", "  CREATE TABLE limits (most INTEGER CHECK (most IN (1, 2)));\ndata: INSERT INTO limits (most) VALUES (1)\ndomains:")
        + "  fixed: {never: SELECT most FROM limits WHERE most > 1}\n",
        ["L508 fixed reads limits, which no step writes"],
    ),
    "= NULL": (changed("parent IS NULL", "parent = NULL"), ["L510 = NULL is never true"]),
    "<> NULL": (changed("parent IS NULL", "parent <> NULL"), ["L510 <> NULL is never true"]),
    "NOT IN": (
        changed("parent IS NULL", "id NOT IN (SELECT parent FROM job)"),
        ["L511 job.parent may be NULL, and then NOT IN is never true"],
    ),
    "SELECT 1": (changed("SELECT count(*) FROM job WHERE parent IS NULL HAVING", "SELECT 1 FROM job WHERE parent IS NULL HAVING"), ["L512 few selects nothing that identifies a row"]),
    "handler": (
        changed(STEP, STEP.replace("- insert: ", "- guarded: {try: [{insert: ")[:-1] + "}], except: {unique_violatoin: [{give_up: rollback}]}}\n"),
        ["L513 nothing raises unique_violatoin"],
    ),
    "restart": (changed("count: 2}", "count: 2, restart: true}"), ["L514 adder is restarted and never crashes"]),
    "injected": (changed("count: 2}", "count: 2, errors: {insert: deadlok_detected}}"), ["L515 deadlok_detected is no error of the database"]),
}  # fmt: skip

RIGHT = {
    "a ghost statement reads a variable": changed("VALUES ('new')\"}", "VALUES ('new') RETURNING id\", into: job, ghost: 'INSERT INTO log (job) VALUES (:job)'}")
    .replace("bounds: {job: 3}", "bounds: {job: 3, log: 3}").replace("domains:", "ghost: CREATE TABLE log (job INTEGER)\ndomains:\n  log.job: {like: job.id}") + "  logged: {never: SELECT job FROM log WHERE job IS NULL}\n",
    "a property reads a variable": changed("VALUES ('new')\"}", "VALUES ('new') RETURNING id\", into: job}") + "  seen: {never: SELECT adder.id FROM adder WHERE adder.job IS NULL AND adder.status = 'done' AND adder.jobs < 2}\n",
    "NOT IN without NULLs": changed("parent IS NULL", "id NOT IN (SELECT parent FROM job WHERE parent IS NOT NULL)"),
    "rollback before the return": changed("      - done: commit\n", '      - early: {if: ":jobs > 0", then: [{undo: rollback}, {leave: return}]}\n      - done: commit\n'),
    "a row that is unpacked whole": changed("SELECT count(*) FROM job, into: jobs", '"SELECT count(*), count(parent) FROM job", into: [jobs, least]'),
    "a loop variable": changed("SELECT count(*) FROM job, into: jobs", "SELECT id FROM job, rows: all").replace('- full: {if: ":jobs >= :most", then: [{stop: return}]}', '- each: {for: one, in: all, steps: [{add: {set: {jobs: ":most"}}}]}\n      - full: {if: ":jobs >= :most", then: [{stop: return}]}'),
    "a child that nobody names": changed("domains:", "  CREATE TABLE note (id SERIAL PRIMARY KEY, job INTEGER NOT NULL REFERENCES job (id) ON DELETE RESTRICT);\ndomains:").replace("{job: 3}", "{job: 3, note: 1}"),
    "an injected error": changed(STEP, STEP.replace("- insert: ", "- guarded: {try: [{insert: ")[:-1] + "}], except: {Timeout: [{give_up: rollback}]}}\n").replace("count: 2}", "count: 2, errors: {insert: Timeout}}"),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_what_is_found(tmp_path: Path, name: str) -> None:
    text, expected = CASES[name]
    assert found(tmp_path, text) == expected


@pytest.mark.parametrize("name", RIGHT)
def test_what_is_not(tmp_path: Path, name: str) -> None:
    assert found(tmp_path, RIGHT[name]) == []


def test_every_code_is_shown_by_a_test_and_explained() -> None:
    assert {line.split()[0] for _, lines in CASES.values() for line in lines} | {"L509"} == set(CODES)
    assert set(CODES) <= set(codes())


def test_a_fix_that_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "jobs.model.yaml").write_text(MODEL)
    (tmp_path / "same.fix.yaml").write_text("fix: same\nchanges:\n  add.count: {set: {into: jobs}}\n")
    (tmp_path / "more.fix.yaml").write_text(
        "fix: more\nchanges:\n  add.count: {set: {sql: SELECT count(*) FROM job WHERE parent IS NULL}}\n"
    )
    model = load_model(str(tmp_path / "jobs.model.yaml"))
    fixes = tuple(load_fix(str(tmp_path / f"{name}.fix.yaml")) for name in ("same", "more"))
    for chosen, expected in ((fixes[:1], ["L509"]), (fixes[1:], [])):
        composed = bind_model(apply_fixes(model, chosen))
        assert [d.code for d in lint(composed, model, chosen)] == expected


def test_a_warning_is_told_and_strict_makes_it_an_error(tmp_path: Path) -> None:
    path = tmp_path / "jobs.model.yaml"
    path.write_text(changed("{most: 2}", "{most: 2, age: 2min}"))
    selected = collect([str(path)], Choice()).cases[0]
    lenient = run_case(selected, Options(engine="explicit"))
    assert [(f.kind, f.subject) for f in lenient.findings if f.kind == "lint"] == [("lint", "L505")]
    assert lenient.exit is not Exit.ERROR
    strict = run_case(selected, Options(engine="explicit", strict=True))
    assert [(d.code, d.severity) for d in strict.errors] == [("L505", "error")]
    assert strict.exit is Exit.ERROR
    assert [p.status for p in strict.properties] == [p.status for p in lenient.properties]


def test_what_a_fix_makes_idle_is_no_warning_about_the_model(tmp_path: Path) -> None:
    path = tmp_path / "jobs.model.yaml"
    path.write_text(MODEL)
    (tmp_path / "blind.fix.yaml").write_text(
        "fix: blind\nchanges:\n  add.full: remove\nparameters: {age: 2min}\ntables: CREATE TABLE audit (id SERIAL PRIMARY KEY)\n"
    )
    model, fix = load_model(str(path)), load_fix(str(tmp_path / "blind.fix.yaml"))
    composed = bind_model(apply_fixes(model, [fix]))
    assert [d.code for d in lint(composed, model, (fix,))] == ["L505", "L503"]
    assert {d.code for d in lint(composed)} == {"L501", "L503", "L505"}


def test_the_shipped_specifications_are_clean() -> None:
    root = Path(__file__).resolve().parents[2] / "specs"
    models = {(s.case.model.name.value, s.case.fixes): s.case for s in collect([str(root)], Choice()).cases}
    told = {d.render() for case in models.values() for d in lint(bind_model(case.model), case.base, case.patches)}
    assert told == set()
