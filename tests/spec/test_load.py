"""Models, studies and the miniature of the documentation."""

import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from txweave.spec import syntax
from txweave.spec.diagnostics import SpecError
from txweave.spec.fixes import apply_fixes
from txweave.spec.load import file_kind, load_fix, load_model, load_study, parse_fix, parse_model, parse_study
from txweave.spec.parameters import parse_duration, with_settings
from txweave.spec.places import without_places
from txweave.spec.render import render_model
from txweave.spec.structure import schema
from txweave.spec.text import SourceFile

ROOT = Path(__file__).parents[2]
SPECS = ROOT / "specs"
MINIATURE = (SPECS / "backfill.model.yaml").read_text(encoding="utf-8")
EVERYTHING = (Path(__file__).parent / "everything.model.yaml").read_text(encoding="utf-8")


def model(content):
    return parse_model(SourceFile("m.model.yaml", content))


def codes(content, parse=parse_model):
    with pytest.raises(SpecError) as caught:
        parse(SourceFile("m.model.yaml", content))
    return [d.code for d in caught.value.diagnostics]


def told(parse, content):
    """The codes that are told, and what is read; nothing but SpecError is ever raised, and it can be printed."""
    try:
        return [], parse(SourceFile("m.model.yaml", content))
    except SpecError as error:
        return [d.code for d in error.diagnostics if str(error)], None


def test_the_miniature_is_read():
    mini = load_model(SPECS / "backfill.model.yaml")
    assert list(mini.procedures) == ["create_backfill", "mark_complete", "finish_run"]
    assert [step.name.value for step in mini.procedures["create_backfill"].steps] == [
        "count_active",
        "refuse",
        "insert_backfill",
        "publish",
        "insert_runs",
        "finish",
    ]
    assert mini.parameters["dates"].value == (1, 2)
    assert mini.procedures["create_backfill"].repeat is None
    assert mini.procedures["finish_run"].repeat == ""
    role = mini.scenarios["two_requests"].roles[0]
    assert (role.name.value, role.count, role.crash, role.fair) == ("request", 2, "anywhere", "started")
    assert {str(table): bound for table, bound in mini.scenarios["two_requests"].bounds} == {"backfill": 2, "dag_run": 4}
    assert mini.properties["never_blocked"].formula.eventually is None
    query = mini.properties["no_premature_completion"].formula.query
    start = query.value.index("request.status")
    place = query.span(start, start + 14)
    assert MINIATURE.splitlines()[place.line - 1][place.column - 1 :].startswith("request.status")


def test_the_study_is_composed():
    study = load_study(SPECS / "two-commits.study.yaml")
    as_written, guarded = study.cases
    assert (as_written.name, as_written.fixes, guarded.fixes) == ("as_written", (), ("exists-guard",))
    assert as_written.scenario == guarded.scenario == "two_requests"
    assert {k: e.verdict for k, e in guarded.expect.items()} == {
        "no_premature_completion": "holds",
        "one_active_backfill": "violated",
        "never_blocked": "violated",
    }
    (condition,) = guarded.model.procedures["mark_complete"].steps[0].body.conditions
    assert (condition.name.value, condition.operator) == ("has_runs", "and")
    assert as_written.model.procedures["mark_complete"].steps[0].body.conditions == ()


def test_kinds_of_files():
    assert file_kind(SPECS / "backfill.model.yaml") == "model"
    assert file_kind(SPECS / "exists-guard.fix.yaml") == "fix"
    assert file_kind(SPECS / "two-commits.study.yaml") == "study"
    assert load_fix(SPECS / "exists-guard.fix.yaml").name.value == "exists-guard"


def test_everything_is_read():
    """The file uses every key of the language once; what is read is compared with what was written."""
    got = model(EVERYTHING)
    main = {step.name.value: step for step in got.procedures["main"].steps}
    sql = main["a_sql"].body
    assert [v.value for v in sql.into] == ["x", "y"]
    assert (sql.affected.value, sql.ghost.value) == ("n", "UPDATE job SET seen = TRUE")
    assert [(c.name.value, c.operator) for c in sql.conditions] == [("fresh", "and"), ("old", "and")]
    assert sql.conditions[1].conditions[0].operator == "or"
    assert main["a_sql"].within.value == "60 s"
    assert main["a_sql"].source == (("module", "a.b"), ("lines", "10"))
    assert main["b_begin"].body == syntax.Begin()
    assert main["c_begin"].body.isolation.value == "serializable"
    assert main["c_begin"].body.mode.value == "read only"
    assert isinstance(main["d_commit"].body, syntax.Commit)
    assert main["d_commit"].source == (("note", "why"),)
    assert [type(main[k].body).__name__ for k in ("e_save", "f_release", "g_to", "h_rollback")] == [
        "Savepoint",
        "Release",
        "RollbackTo",
        "Rollback",
    ]
    branch = main["i_if"].body
    assert branch.condition.value == "TRUE"
    assert (len(branch.then), len(branch.otherwise)) == (1, 1)
    assert [v.value for v in main["j_for"].body.variables] == ["p", "q"]
    assert main["k_while"].body.condition.value == ":n > 0"
    assert [(k.value, v.value) for k, v in main["l_set"].body.assignments] == [("n", "0"), ("m", "NULL")]
    assert main["m_choose"].body.source.value == "SELECT id, state FROM job"
    tried = main["n_try"].body
    assert [[e.value for e in h.errors] for h in tried.handlers] == [["Timeout"], []]
    assert tried.handlers[1].steps == ()
    assert tried.final[0].name.value == "n4"
    assert main["o_try"].body.handlers[0].errors == ()
    assert [(k.value, v.value) for k, v in main["p_call"].body.arguments] == [("size", "1 + 1")]
    assert isinstance(main["q_return"].body, syntax.Return)
    loop = got.procedures["loop"]
    assert (loop.repeat, loop.within.value) == ("30 s", "5min")
    role = got.scenarios["main-one"].roles[0]
    assert [r.value for r in role.run] == ["main", "loop"]
    assert [c.value for c in role.crash] == ["d_commit"]
    assert role.hang == "anywhere"
    assert [(a.value, b.value) for a, b in role.errors] == [
        ("anywhere", "Timeout"),
        ("a_sql", "Lost"),
        ("a_sql", "Timeout"),
    ]
    assert (role.fair, role.restart, role.forever) == ("strong", True, ("crash", "serialization"))
    assert role.statements == "atomic"
    assert [t.value for t in got.scenarios["main-one"].truncate] == ["job", "job.state"]
    assert [type(p.formula).__name__ for p in got.properties.values()] == [
        "Never",
        "LeadsTo",
        "LeadsTo",
        "AlwaysPossible",
        "DeadlockFree",
    ]
    assert got.serial == "exact"
    assert [d.values for d in got.domains] == [("a", "b"), (0, 1, 2), ()]
    assert got.domains[2].like.value == "job.id"
    assert {k: (e.verdict, e.length) for k, e in got.expect.items()} == {
        "p1": ("violated", 6),
        "p2": ("violated", (4, 2)),
        "p3": ("proved", None),
    }
    assert {k: p.value for k, p in got.parameters.items()} == {"limit": 3, "flag": True, "cutoff": "5min", "days": (1, 2)}


@pytest.mark.parametrize("content", [MINIATURE, EVERYTHING], ids=["miniature", "everything"])
def test_a_rendered_model_is_read_back(content):
    first = model(content)
    again = model(render_model(first))
    assert without_places(again) == without_places(first)
    assert render_model(again) == render_model(first)


SQL_TEXT = st.text(alphabet="ab :#'\"-,{}[]\n\\|>&*!%@`?é~=0.\x07\u200b", min_size=1, max_size=20).filter(lambda t: t.strip())


@settings(max_examples=150, deadline=None)
@given(SQL_TEXT, SQL_TEXT, st.sampled_from(["on", "010", "~", "n", "NULL", "null", "a b", " a", "- a", "a:", "true", "<<", "1.5"]))
def test_any_text_survives_rendering(sql, condition, value):
    mini = model(MINIATURE)
    procedure = mini.procedures["mark_complete"]
    step = procedure.steps[0]
    named = syntax.Condition(syntax.Text.of("c"), "or", syntax.Text.of(condition))
    body = replace(step.body, sql=syntax.Text.of(sql), conditions=(named,))
    changed = replace(procedure, steps=(replace(step, body=body), *procedure.steps[1:]))
    parameter = replace(mini.parameters["dates"], value=(value, condition))
    mini = replace(
        mini,
        title=sql.strip(),
        procedures={**mini.procedures, "mark_complete": changed},
        parameters={"dates": parameter},
    )
    assert without_places(model(render_model(mini))) == without_places(mini)


def test_defaults():
    mini = model(MINIATURE.replace("database: {engine: postgresql, isolation: read committed}\n", ""))
    assert (mini.database.engine.value, mini.database.isolation.value) == ("postgresql", "read committed")
    assert mini.serial == "abstract"


def test_a_misspelt_key_is_an_error_at_every_depth():
    """Every key of the full example, misspelt, is refused: none is ever ignored."""
    names = {"x", "y", "n", "m", "fresh", "old", "p1", "p2", "p3", "p4", "p5"}
    keys = set()

    def collect(node):
        if isinstance(node, dict):
            for key, value in node.items():
                keys.add(key)
                collect(value)
        elif isinstance(node, list):
            for item in node:
                collect(item)

    definitions = schema()["definitions"]
    known = set()
    for definition in definitions.values():
        known |= set(definition.get("properties", {}))
    collect(yaml.safe_load(EVERYTHING))
    for key in sorted((keys & known) - names):
        if key == "title":
            continue
        lines = EVERYTHING.split("\n")
        for number, line in enumerate(lines):
            for lead in (f"{key}:", f"{{{key}:", f", {key}:"):
                at = line.find(lead)
                if at < 0 or (lead[0] not in "{," and line[:at].strip(" -")):
                    continue
                misspelt = line[:at] + lead.replace(key, key + "x") + line[at + len(lead) :]
                found = codes("\n".join([*lines[:number], misspelt, *lines[number + 1 :]]))
                assert found, key


def test_the_schema_is_draft_7_and_describes_every_key_with_an_example():
    jsonschema.Draft7Validator.check_schema(schema())
    for kind, name in (("model", "backfill.model"), ("fix", "exists-guard.fix"), ("study", "two-commits.study")):
        loaded = yaml.safe_load((SPECS / f"{name}.yaml").read_text(encoding="utf-8"))
        jsonschema.Draft7Validator(schema()).validate(loaded)
        assert kind in loaded

    def visit(node, where):
        """``node`` is a schema; every key that it declares has a description, and no other key passes."""
        if not isinstance(node, dict):
            return
        for name, inner in node.get("properties", {}).items():
            target = inner
            while "$ref" in target and "description" not in target:
                target = schema()["definitions"][target["$ref"].split("/")[-1]]
            assert target.get("description"), f"{where}.{name}"
            assert inner.get("examples"), f"{where}.{name}"
            for example in inner["examples"]:
                jsonschema.Draft7Validator({**inner, "definitions": schema()["definitions"]}).validate(example)
            visit(inner, f"{where}.{name}")
        if "properties" in node:
            assert node["additionalProperties"] is False, where
        for key in ("if", "then", "else", "items", "additionalProperties"):
            visit(node.get(key), f"{where}/{key}")
        for part in node.get("allOf", []):
            visit(part, where)

    for name, definition in schema()["definitions"].items():
        if name != "set":
            visit(definition, name)


def test_names_are_checked_across_calls():
    content = MINIATURE.replace(
        "      - done: commit\n  finish_run", "      - done: {call: finish}\n  finish: {steps: [{x: commit}]}\n  finish_run"
    )
    changed = content.replace("scheduler: {run: mark_complete}", "scheduler: {run: mark_complete, crash: [x]}")
    assert model(changed).scenarios["two_requests"].roles[1].crash[0].value == "x"


def test_mutual_recursion_is_told_once():
    content = MINIATURE.replace(
        "procedures:\n",
        "procedures:\n  a: {steps: [{x: {call: b}}]}\n  b: {steps: [{x: {call: c}}]}\n  c: {steps: [{x: {call: a}}]}\n",
    )
    assert codes(content) == ["S118"]


def test_durations():
    assert parse_duration("5min") == 300_000_000
    assert parse_duration("120 s") == 120_000_000
    assert parse_duration("500ms") == 500_000
    assert parse_duration("2h") == 7_200_000_000
    assert parse_duration("1 d") == 86_400_000_000
    assert [parse_duration(t) for t in ("", "5", "s", "1.5 s", "-1 s", "0 s", "5 parsecs", "5 S", "٣ s")] == [None] * 9


def test_settings():
    got = model(EVERYTHING)
    changed = with_settings(got, {"limit": "7", "cutoff": "2h", "days": "[4, 5]", "flag": "false"})
    assert {k: p.value for k, p in changed.parameters.items()} == {"limit": 7, "flag": False, "cutoff": "2h", "days": (4, 5)}
    assert changed.expect == {}
    assert with_settings(got, {"limit": 3}) is got
    for wrong, code in (({"limt": 3}, "S114"), ({"limit": "x"}, "S125"), ({"limit": True}, "S125"), ({"cutoff": "soon"}, "S125")):
        with pytest.raises(SpecError) as caught:
            with_settings(got, wrong)
        assert [d.code for d in caught.value.diagnostics] == [code]


STUDY = """study: s
model: specs/backfill.model.yaml
cases:
"""


def study(text, head=""):
    return parse_study(SourceFile(str(ROOT / "x.study.yaml"), STUDY.replace("cases:", head + "cases:") + text))


def test_sweeps_and_vary_make_cases_in_order():
    got = study(
        "  one:\n    sweep: {dates: [[1], [1, 2]]}\n    expect: {one_active_backfill: [holds, proved, violated, {violated: 3}]}\n",
        "vary: {database: [{isolation: serializable}, {engine: mysql}]}\n",
    )
    assert [case.name for case in got.cases] == [
        "one[database=postgresql/serializable,dates=[1]]",
        "one[database=postgresql/serializable,dates=[1,2]]",
        "one[database=mysql/read committed,dates=[1]]",
        "one[database=mysql/read committed,dates=[1,2]]",
    ]
    assert [case.expect["one_active_backfill"].verdict for case in got.cases] == ["holds", "proved", "violated", "violated"]
    assert [case.model.parameters["dates"].value for case in got.cases] == [(1,), (1, 2), (1,), (1, 2)]
    assert got.cases[0].settings == (("dates", (1,)),)
    assert got.cases[2].model.database.engine.value == "mysql"


def test_a_case_may_write_its_fix_out():
    got = study("  a:\n    fixes:\n      - fix: f\n        changes: {mark_complete.done: {replace: rollback}}\n")
    assert isinstance(got.cases[0].model.procedures["mark_complete"].steps[2].body, syntax.Rollback)


def test_errors_of_the_model_a_fix_and_the_study_come_together():
    with pytest.raises(SpecError) as caught:
        study("  a: {fixes: [nowhere.fix.yaml], scenario: nowhere}\n  b: {expect: {nothing: holds}}\n")
    assert {d.code for d in caught.value.diagnostics} == {"Y001", "S122"}


def test_fuzzed_models_give_diagnostics_and_nothing_else():
    @settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.sampled_from([MINIATURE, EVERYTHING]), st.data())
    def run(content, data):
        for _ in range(data.draw(st.integers(1, 4))):
            at = data.draw(st.integers(0, len(content)))
            kind = data.draw(st.integers(0, 4))
            if kind == 0:
                content = content[:at] + content[at + data.draw(st.integers(1, 30)) :]
            elif kind == 1:
                content = content[:at] + data.draw(st.text("{}[]:,-#&*!|>'\"%@` \nab0~é\\?", min_size=1, max_size=5)) + content[at:]
            elif kind == 2:
                lines = content.split("\n")
                number = data.draw(st.integers(0, len(lines) - 1))
                lines[number] = " " * data.draw(st.integers(0, 3)) + lines[number]
                content = "\n".join(lines)
            elif kind == 3:
                lines = content.split("\n")
                number = data.draw(st.integers(0, len(lines) - 1))
                other = data.draw(st.integers(0, len(lines) - 1))
                lines[number], lines[other] = lines[other], lines[number]
                content = "\n".join(lines)
            else:
                words = ["null", "[]", "{}", "true", "12", "on", "'x'", "[{}]", "{a: b}", "''", "~"]
                end = content.find("\n", at)
                colon = content.find(": ", at)
                if 0 <= colon < end:
                    content = content[: colon + 2] + data.draw(st.sampled_from(words)) + content[end:]
        found, got = told(parse_model, content)
        if got is None:
            assert found
            assert "S100" not in found, content
        else:
            assert without_places(model(render_model(got))) == without_places(got)

    run()


FIX = """fix: f
requires: [g]
conflicts: [h]
changes:
  mark_complete.find: {and: {has_runs: TRUE}, set: {within: 3 s}, before: [{b: commit}]}
  mark_complete.mark: {wrap: {to: done, except: [{x: rollback}]}}
tables: CREATE TABLE t (id SERIAL PRIMARY KEY);
columns: {backfill.c: INTEGER}
domains: {backfill.c: 0..2}
processes: {"*": {w: {run: finish_run}}}
bounds: {t: 2}
"""


def test_fuzzed_fixes_give_diagnostics_and_nothing_else():
    @settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.data())
    def run(data):
        lines = FIX.split("\n")
        number = data.draw(st.integers(0, len(lines) - 1))
        words = ["null", "[]", "{}", "true", "12", "'x'", "[{}]", "{a: b}", "remove", "commit", "{}}", "steps", "sql"]
        line = lines[number]
        cut = data.draw(st.integers(0, len(line)))
        lines[number] = line[:cut] + data.draw(st.sampled_from(words)) + line[cut + data.draw(st.integers(0, 9)) :]
        found, _ = told(parse_fix, "\n".join(lines))
        assert "S100" not in found

    run()


def test_the_package_imports_jsonschema_late():
    code = "import sys, txweave.spec.load; sys.exit('jsonschema' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


FLOODS = {
    "Y010": MINIATURE.replace("[queued, success]", "[" + ", ".join(["on"] * 15_000) + "]"),
    "S101": MINIATURE + "".join(f"key_{i}: 1\n" for i in range(6000)),
    "S111": MINIATURE.replace("      - finish: commit\n", "      - finish: commit\n" * 3000),
    "Y009": MINIATURE + "data: x\n" * 8000,
    "S113": MINIATURE.replace("crash: anywhere", "crash: [" + ", ".join(f"step_{i}" for i in range(5000)) + "]"),
}


@pytest.mark.parametrize("code", FLOODS)
def test_a_flood_of_errors_is_cut_off_in_time(code):
    start = time.monotonic()
    found, _ = told(parse_model, FLOODS[code])
    assert time.monotonic() - start < 6
    assert found.count(code) >= 100
    assert found.count("Y025") == 1
    assert len(found) == 201


def test_depth_is_no_danger_to_the_stack():
    """As deep as the reader lets pass: no part that walks the tree overflows the stack."""
    for wrap in ("{{s{i}: {{if: a, then: [{inner}]}}}}", "{{s{i}: {{try: [{{q{i}: commit}}], except: {{E: [{inner}]}}}}}}"):
        passed = 0
        for depth in range(10, 24):
            inner = "{x: commit}"
            for i in range(depth):
                inner = wrap.format(i=i, inner=inner)
            found, got = told(parse_model, MINIATURE.replace("- finish: commit", "- " + inner))
            assert got is not None or found == ["Y018"]
            passed += got is not None
            if got is not None:
                assert apply_fixes(got, [load_fix(SPECS / "exists-guard.fix.yaml")])
                assert without_places(got)
        assert 0 < passed < 14


def test_every_procedure_of_a_role_gets_its_inputs():
    content = EVERYTHING.replace("run: [main, loop]", "run: [loop, main]")
    assert model(content).scenarios["main-one"].roles[0].run[1].value == "main"
    assert codes(content.replace("        with: {size: 2}\n", "")) == ["S119"]
