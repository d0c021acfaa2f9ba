"""Fixes: what each operation does, what is a conflict, and that a set of fixes has one meaning."""

from itertools import permutations
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from txweave.spec import syntax
from txweave.spec.diagnostics import SpecError
from txweave.spec.fixes import apply_fixes
from txweave.spec.load import load_fix, load_model, parse_fix, parse_model
from txweave.spec.names import walk
from txweave.spec.places import without_places
from txweave.spec.render import render_model
from txweave.spec.text import SourceFile

SPECS = Path(__file__).parents[2] / "specs"
MODEL = load_model(SPECS / "backfill.model.yaml")


def fix(content, name="f"):
    return parse_fix(SourceFile(f"{name}.fix.yaml", f"fix: {name}\n{content}\n"))


def change(operations, target="mark_complete.find", name="f", head=""):
    return fix(f"{head}changes:\n  {target}: {operations}", name)


def shape(steps):
    """Step names, with those inside in a list after them."""
    found = []
    for step in steps:
        found.append(step.name.value)
        body = step.body
        if isinstance(body, syntax.Try):
            found.append(shape(body.steps))
            found += [["except", *shape(h.steps)] for h in body.handlers]
            if body.final:
                found.append(["finally", *shape(body.final)])
        elif hasattr(body, "steps"):
            found.append(shape(body.steps))
    return found


def steps(model, procedure="mark_complete"):
    return {step.name.value: step for step in walk(model.procedures[procedure].steps)}


def refused(*fixes, model=MODEL):
    with pytest.raises(SpecError) as caught:
        apply_fixes(model, fixes)
    return [d.code for d in caught.value.diagnostics]


def test_a_condition_is_added():
    fixed = apply_fixes(MODEL, [load_fix(SPECS / "exists-guard.fix.yaml")])
    (condition,) = steps(fixed)["find"].body.conditions
    assert condition.text.value.startswith("EXISTS (")
    assert fixed.fixes == ("exists-guard",)
    assert MODEL.procedures["mark_complete"].steps[0].body.conditions == ()


def test_a_condition_is_extended_by_another_fix():
    first = change("{and: {has_runs: a}}", name="z_first")
    second = change("{or: {old: b}}", "mark_complete.find/has_runs", "a_second", "requires: [z_first]\n")
    third = change("{and: {sure: c}}", "mark_complete.find/has_runs/old", "third", "requires: [a_second]\n")
    results = [apply_fixes(MODEL, order) for order in permutations([first, second, third])]
    assert all(result == results[0] for result in results)
    (condition,) = steps(results[0])["find"].body.conditions
    assert (condition.operator, condition.conditions[0].name.value, condition.conditions[0].operator) == ("and", "old", "or")
    assert condition.conditions[0].conditions[0].text.value == "c"
    assert refused(second) == ["F201"]
    assert refused(first, third) == ["F201"]


def test_several_conditions_of_one_kind_commute():
    one, two = change("{or: {x: a}}", name="one"), change("{or: {b: a, z: c}}", name="two")
    assert apply_fixes(MODEL, [one, two]) == apply_fixes(MODEL, [two, one])
    names = [c.name.value for c in steps(apply_fixes(MODEL, [one, two]))["find"].body.conditions]
    assert names == ["b", "x", "z"]


def test_a_condition_of_the_model_takes_part():
    with_condition = apply_fixes(MODEL, [change("{and: {has_runs: a}}", name="first")])
    written = parse_model(SourceFile("m", render_model(with_condition)))
    assert refused(change("{or: {b: c}}"), model=written) == ["F210"]
    assert refused(change("{and: {has_runs: c}}"), model=written) == ["F210"]
    extended = apply_fixes(written, [change("{or: {b: c}}", "mark_complete.find/has_runs")])
    assert steps(extended)["find"].body.conditions[0].conditions[0].name.value == "b"


def test_set_changes_some_keys():
    fixed = apply_fixes(MODEL, [change("{set: {sql: SELECT id FROM backfill, within: 5 s, affected: n}}")])
    step = steps(fixed)["find"]
    assert step.body.sql.value == "SELECT id FROM backfill"
    assert (step.body.rows.value, step.body.affected.value, step.within.value) == ("finished", "n", "5 s")
    removed = apply_fixes(fixed, [change("{set: {affected: null, within: null}}", name="g")])
    assert steps(removed)["find"].body.affected is None
    assert steps(removed)["find"].within is None
    assert removed.fixes == ("f", "g")


def test_set_of_other_forms():
    fixed = apply_fixes(
        MODEL,
        [fix("changes:\n  finish_run.pick: {set: {from: SELECT 1, choose: [run]}}\n  create_backfill.refuse: {set: {if: FALSE}}")],
    )
    assert steps(fixed, "finish_run")["pick"].body.source.value == "SELECT 1"
    assert steps(fixed, "create_backfill")["refuse"].body.condition.value == "FALSE"


def test_replace_keeps_the_name():
    fixed = apply_fixes(MODEL, [change("{replace: {while: TRUE, steps: [{inner: rollback}]}}")])
    assert shape(fixed.procedures["mark_complete"].steps) == ["find", ["inner"], "mark", ["update"], "done"]
    assert steps(fixed)["find"].origin == "f"
    assert steps(fixed)["mark"].origin == ""


def test_what_replaces_can_be_changed_by_another_fix_that_requires_it():
    first = change("{replace: {while: TRUE, steps: [{inner: {sql: SELECT 1}}]}}", name="first")
    second = change("{and: {a: TRUE}, after: [{more: commit}]}", "mark_complete.inner", "second", "requires: [first]\n")
    fixed = apply_fixes(MODEL, [second, first])
    assert shape(fixed.procedures["mark_complete"].steps)[:2] == ["find", ["inner", "more"]]


def test_insertions():
    fixed = apply_fixes(MODEL, [change("{before: [{b1: begin}, {b2: commit}], after: [{a1: commit}]}", "mark_complete.update")])
    assert shape(fixed.procedures["mark_complete"].steps) == ["find", "mark", ["b1", "b2", "update", "a1"], "done"]


def test_insertions_at_inserted_steps():
    one = change("{before: [{x: commit}]}", name="one")
    two = change("{before: [{y: commit}], after: [{z: commit}]}", "mark_complete.x", "two", "requires: [one]\n")
    fixed = apply_fixes(MODEL, [two, one])
    assert shape(fixed.procedures["mark_complete"].steps) == ["y", "x", "z", "find", "mark", ["update"], "done"]


def test_before_and_after_of_neighbours_do_not_conflict():
    one, two = change("{after: [{x: commit}]}", name="one"), change("{before: [{y: commit}]}", "mark_complete.mark", "two")
    fixed = apply_fixes(MODEL, [one, two])
    assert shape(fixed.procedures["mark_complete"].steps)[:3] == ["find", "x", "y"]
    assert fixed == apply_fixes(MODEL, [two, one])


def test_wrap():
    fixed = apply_fixes(
        MODEL, [change("{wrap: {name: guard, to: mark, except: {Lost: [{undo: rollback}]}, finally: [{last: commit}]}}")]
    )
    assert shape(fixed.procedures["mark_complete"].steps) == [
        "guard",
        ["find", "mark", ["update"]],
        ["except", "undo"],
        ["finally", "last"],
        "done",
    ]
    assert steps(fixed)["guard"].origin == "f"


def test_wrap_takes_what_is_inserted_at_its_ends_and_nests():
    outer = change("{wrap: {to: done, except: [{o: rollback}]}}", name="outer")
    inner = change("{wrap: {name: in, except: [{i: rollback}]}}", "mark_complete.mark", "inner")
    ends = fix("changes:\n  mark_complete.find: {before: [{b: commit}]}\n  mark_complete.done: {after: [{a: commit}]}", "ends")
    results = [apply_fixes(MODEL, order) for order in permutations([outer, inner, ends])]
    assert all(result == results[0] for result in results)
    assert shape(results[0].procedures["mark_complete"].steps) == [
        "try_find",
        ["b", "find", "in", ["mark", ["update"]], ["except", "i"], "done", "a"],
        ["except", "o"],
    ]


def test_two_wraps_from_one_step_nest_by_their_length():
    short = change("{wrap: {name: short, finally: [{s: commit}]}}", name="one")
    long = change("{wrap: {name: long, to: mark, finally: [{l: commit}]}}", name="two")
    fixed = apply_fixes(MODEL, [short, long])
    assert fixed == apply_fixes(MODEL, [long, short])
    expected = ["long", ["short", ["find"], ["finally", "s"], "mark", ["update"]], ["finally", "l"], "done"]
    assert shape(fixed.procedures["mark_complete"].steps) == expected
    assert refused(short, change("{wrap: {name: other, finally: [{l: commit}]}}", name="two")) == ["F210"]


def test_remove():
    fixed = apply_fixes(MODEL, [change("remove"), change("{remove: true}", "mark_complete.mark", "g")])
    assert shape(fixed.procedures["mark_complete"].steps) == ["done"]
    assert refused(change("remove", "mark_complete.update")) == ["F209"]


def test_names_in_the_result_are_checked():
    assert refused(fix("procedures: {p: {steps: [{x: {call: nowhere}}]}}")) == ["S112"]
    content = render_model(MODEL).replace("worker: {run: finish_run}", "worker: {run: finish_run, crash: [succeed]}")
    assert refused(change("remove", "finish_run.succeed"), model=parse_model(SourceFile("m", content))) == ["S113"]


def test_additions():
    fixed = apply_fixes(
        MODEL,
        [
            fix(
                "tables: |\n  CREATE TABLE lease (id SERIAL PRIMARY KEY);\n"
                "columns: {backfill.holder: TEXT NULL}\n"
                "indexes: CREATE UNIQUE INDEX one_active ON backfill (completed) WHERE NOT completed;\n"
                "domains: {backfill.holder: [a, b], dag_run.state: [running, canceled, queued]}\n"
                "data: INSERT INTO lease (id) VALUES (1);\n"
                "procedures: {renew: {repeat: forever, steps: [{end: commit}]}}\n"
                "parameters: {ttl: 30 s}\n"
                'processes: {"*": {renewer: {run: renew}}}\n'
                "bounds: {lease: 1}\n"
            )
        ],
    )
    assert [text.value.strip() for text in fixed.schema[1:]] == [
        "CREATE TABLE lease (id SERIAL PRIMARY KEY);",
        "ALTER TABLE backfill ADD COLUMN holder TEXT NULL",
        "CREATE UNIQUE INDEX one_active ON backfill (completed) WHERE NOT completed;",
    ]
    column = fixed.schema[2]
    at = column.value.index("TEXT NULL")
    place = column.span(at, at + 4)
    assert place.file.content[place.start : place.end] == "TEXT"
    at = column.value.index("holder")
    place = column.span(at, at + 6)
    assert place.file.content[place.start : place.end] == "holder"
    domains = {d.target.value: d.values for d in fixed.domains}
    assert domains["dag_run.state"] == ("queued", "success", "canceled", "running")
    assert domains["backfill.holder"] == ("a", "b")
    scenario = fixed.scenarios["two_requests"]
    assert [r.name.value for r in scenario.roles] == ["request", "scheduler", "worker", "renewer"]
    assert scenario.bounds[-1][1] == 1
    assert fixed.parameters["ttl"].value == "30 s"
    assert without_places(parse_model(SourceFile("m", render_model(fixed)))) == without_places(fixed)


def test_what_two_fixes_add_twice_is_refused():
    for content in (
        "tables: CREATE TABLE t (id SERIAL PRIMARY KEY);",
        "indexes: CREATE UNIQUE INDEX t ON backfill (id);",
        "columns: {backfill.c: INTEGER}",
        "procedures: {p: {steps: [{x: commit}]}}",
        "parameters: {p: 1}",
        "bounds: {t: 1}",
        "processes: {two_requests: {w: {run: finish_run}}}",
    ):
        assert set(refused(fix(content, "a"), fix(content, "b"))) == {"F214"}, content
    everywhere = fix('processes: {"*": {w: {run: finish_run}}}', "a")
    assert refused(everywhere, fix("processes: {two_requests: {w: {run: finish_run}}}", "b")) == ["F214"]


def test_tables_of_what_is_required_come_first():
    parent = fix("tables: CREATE TABLE z_parent (id SERIAL PRIMARY KEY);", "z")
    child = fix("requires: [z]\ntables: CREATE TABLE a (z_id INTEGER REFERENCES z_parent (id));", "a")
    for order in permutations([parent, child]):
        assert "z_parent (id SERIAL" in apply_fixes(MODEL, order).schema[1].value


def test_expectations_of_the_model_do_not_outlive_a_fix():
    expecting = parse_model(SourceFile("m", render_model(MODEL) + "expect: {never_blocked: holds}\n"))
    assert expecting.expect
    assert apply_fixes(expecting, []).expect
    assert apply_fixes(expecting, [change("remove")]).expect == {}


def test_a_conflict_names_both_places():
    with pytest.raises(SpecError) as caught:
        apply_fixes(MODEL, [change("{before: [{x: commit}]}", name="one"), change("{before: [{y: commit}]}", name="two")])
    (finding,) = caught.value.diagnostics
    assert {finding.span.path, finding.related[0][0].path} == {"one.fix.yaml", "two.fix.yaml"}


# ------------------------------------------------------------------------------------------- sets of fixes have one meaning

TARGETS = ["find", "mark", "update", "done", "new_a", "new_b", "inner_a"]
OPERATIONS = [
    "{{and: {{c_{n}: TRUE}}}}",
    "{{and: {{c: TRUE}}}}",
    "{{or: {{d_{n}: TRUE}}}}",
    "{{set: {{within: 3 s}}}}",
    "{{set: {{rows: v}}}}",
    "{{before: [{{new_{n}: {{sql: SELECT 1}}}}]}}",
    "{{after: [{{late_{n}: {{sql: SELECT 1}}}}]}}",
    "{{replace: {{while: TRUE, steps: [{{inner_{n}: {{sql: SELECT 1}}}}]}}}}",
    "{{wrap: {{name: wrap_{n}, to: done, finally: [{{fin_{n}: commit}}]}}}}",
    "{{wrap: {{name: wrap_{n}, finally: [{{fin_{n}: commit}}]}}}}",
    "remove",
]


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_the_order_of_fixes_never_matters(data):
    """All permutations give the same model, or all are refused with the same codes."""
    fixes = []
    for name in "abc"[: data.draw(st.integers(2, 3))]:
        changes = data.draw(st.dictionaries(st.sampled_from(TARGETS), st.sampled_from(OPERATIONS), min_size=1, max_size=2))
        lines = "".join(f"  mark_complete.{target}: {operation.format(n=name)}\n" for target, operation in changes.items())
        fixes.append(fix("changes:\n" + lines, name))
    outcomes = []
    for order in permutations(fixes):
        try:
            outcomes.append(apply_fixes(MODEL, order))
        except SpecError as error:
            outcomes.append([(d.code, d.message, d.span) for d in error.diagnostics])
    assert all(outcome == outcomes[0] for outcome in outcomes)
    if isinstance(outcomes[0], syntax.Model):
        again = parse_model(SourceFile("m", render_model(outcomes[0])))
        assert without_places(again) == without_places(outcomes[0])


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_a_set_of_fixes_is_what_its_fixes_do_one_after_the_other(data):
    """Some order of applying them one after the other gives what the set gives; without a wrap, every order does.

    (A wrap takes what is inserted at the steps it covers: one after the other, it must come before the insertion.)
    """
    fixes = []
    for name in "ab":
        target, operation = data.draw(st.sampled_from(TARGETS[:4])), data.draw(st.sampled_from(OPERATIONS))
        fixes.append(change(operation.format(n=name), f"mark_complete.{target}", name))
    try:
        together = apply_fixes(MODEL, fixes)
    except SpecError:
        return
    results = []
    for order in permutations(fixes):
        one_by_one = MODEL
        try:
            for single in order:
                one_by_one = apply_fixes(one_by_one, [single])
        except SpecError:  # a step that the second one names has moved under a try of the first
            continue
        results.append(without_places(one_by_one) == without_places(together))
    assert any(results)
    assert all(results) or any(change.wrap for single in fixes for change in single.changes)


def test_a_wrap_runs_forwards():
    assert refused(change("{wrap: {to: find, finally: [{x: commit}]}}", "mark_complete.done")) == ["F206"]


def test_a_step_inserted_at_itself_is_a_double():
    assert refused(change("{before: [{find: commit}]}")) == ["S111"]
    assert refused(change("{after: [{mark: commit}]}", "mark_complete.update")) == ["S111"]


def test_widening_a_domain_has_one_order():
    values = [f"s{i}" for i in range(12)]
    fixes = [fix(f"domains: {{dag_run.state: [{a}, {b}]}}", f"f{a}") for a, b in zip(values, reversed(values), strict=True)]
    for chosen in (fixes, fixes[::-1]):
        fixed = apply_fixes(MODEL, chosen)
        assert fixed.domains[1].values == ("queued", "success", *sorted(values))
