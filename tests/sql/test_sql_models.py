"""Whole models: the miniature, schemas and domains, variables, roles, ghosts, data, bounds, and what can be wrong there."""

from dataclasses import replace
from pathlib import Path

import pytest
from sql_samples import T, domain, model, parameter, procedure, prop, role, scenario, sql, step

from txweave.spec import syntax
from txweave.spec.diagnostics import SpecError
from txweave.spec.load import load_model
from txweave.sql import program
from txweave.sql.bind import bind_model
from txweave.sql.render import sql_of
from txweave.sql.tree import BOOLEAN, INTEGER, TEXT, Clock, Constant, Insert, Type

JOB = "CREATE TABLE job (id SERIAL PRIMARY KEY, state TEXT NOT NULL DEFAULT 'new', n INTEGER);"
STATES = (domain("job.state", "new", "old"), domain("job.n", 1, 2, 3))


def errors(*args, **changes):
    """Bind a model over JOB; what is said, each as ``CODE message``."""
    changes.setdefault("domains", STATES)
    with pytest.raises(SpecError) as caught:
        bind_model(model(changes.pop("schema_text", JOB), *args, **changes))
    assert all(d.span is not None for d in caught.value.diagnostics)
    return [f"{d.code} {d.message}" for d in caught.value.diagnostics]


def good(*args, **changes):
    changes.setdefault("domains", STATES)
    return bind_model(model(changes.pop("schema_text", JOB), *args, **changes))


# ------------------------------------------------------------------------------------------------------ the miniature


def miniature():
    return load_model(Path(__file__).parents[2] / "specs" / "backfill.model.yaml")


def test_miniature():
    bound = bind_model(miniature())
    assert list(bound.schema.tables) == ["backfill", "dag_run"]
    run = bound.schema.tables["dag_run"]
    assert run.column("backfill_id").type == Type("reference", "backfill")
    assert run.column("date").domain == (1, 2)
    assert [u.name for u in run.uniques] == ["dag_run_pkey"]
    assert [k.name for k in run.foreign_keys] == ["dag_run_backfill_id_fkey"]
    create = bound.procedures["create_backfill"]
    assert {v.name: v.type for v in create.variables.values()} == {
        "active": INTEGER,
        "backfill_id": Type("reference", "backfill"),
        "date": INTEGER,
    }
    loop = create.steps[4].node
    assert isinstance(loop, program.ForValues)
    assert loop.values == ((1,), (2,))
    complete = bound.procedures["mark_complete"]
    assert complete.repeat == 0
    assert complete.variables["finished"].columns == (("id", Type("reference", "backfill")),)
    assert list(bound.roles) == ["request", "scheduler", "worker"]
    assert [c.name for c in bound.roles["request"].columns] == ["id", "status", "step", "active", "backfill_id", "date"]
    assert sql_of(bound.properties["one_active_backfill"].formula.query) == (
        "SELECT count(*) FROM backfill WHERE NOT backfill.completed HAVING count(*) > 1"
    )


def test_errors_point_into_the_yaml():
    broken = Path(__file__).parents[2] / "specs" / "backfill.model.yaml"
    lines = broken.read_text().split("\n")
    number = next(i for i, line in enumerate(lines) if "state = 'success'" in line)
    loaded = miniature()
    # a statement of the loaded model, with the same offsets, is bound against a smaller domain
    domains = tuple(replace(d, values=("queued",)) if d.target.value == "dag_run.state" else d for d in loaded.domains)
    with pytest.raises(SpecError) as caught:
        bind_model(replace(loaded, domains=domains))
    (found,) = caught.value.diagnostics
    assert found.code == "Q321"
    assert found.span.line == number + 1
    assert lines[number][found.span.column - 1 :].startswith("'success'")


# ------------------------------------------------------------------------------------------------- schema and domains


def test_constraint_names_and_order():
    text = """CREATE TABLE p (id SERIAL PRIMARY KEY);
      CREATE TABLE t (a INTEGER UNIQUE CHECK (a IN (1, 2)), b INTEGER CHECK (b >= 1 AND b < 4),
        p_id INTEGER REFERENCES p ON DELETE CASCADE,
        UNIQUE (a, b), PRIMARY KEY (b), CHECK (a < b), CONSTRAINT named CHECK (a = 1 OR a IS NULL),
        FOREIGN KEY (p_id) REFERENCES p (id) ON DELETE SET NULL ON UPDATE RESTRICT);
      CREATE UNIQUE INDEX ON t (p_id) WHERE a = 1;
      ALTER TABLE t ADD CONSTRAINT late UNIQUE (p_id), ADD COLUMN c BOOLEAN NOT NULL DEFAULT TRUE;"""
    table = good(schema_text=text, domains=()).schema.tables["t"]
    assert [(u.name, u.columns, u.primary, u.index) for u in table.uniques] == [
        ("t_pkey", ("b",), True, False),
        ("t_a_key", ("a",), False, False),
        ("t_a_b_key", ("a", "b"), False, False),
        ("t_p_id_idx", ("p_id",), False, True),
        ("late", ("p_id",), False, False),
    ]
    assert table.uniques[3].where is not None
    assert [c.name for c in table.checks] == ["t_a_check", "t_b_check", "t_check", "named"]
    assert [(k.name, k.on_delete, k.on_update) for k in table.foreign_keys] == [
        ("t_p_id_fkey", "cascade", "no action"),
        ("t_p_id_fkey1", "set null", "restrict"),
    ]
    assert table.column("a").domain == (1,)
    assert table.column("b").domain == (1, 2, 3)
    assert not table.column("b").nullable
    assert table.column("p_id").type == Type("reference", "p")
    assert table.column("c").default == Constant(True, BOOLEAN)


def test_where_domains_come_from():
    text = """CREATE TYPE mood AS ENUM ('sad', 'ok');
      CREATE TABLE place (name TEXT PRIMARY KEY, size INTEGER NOT NULL DEFAULT 5, m mood, at TIMESTAMPTZ DEFAULT now());
      CREATE TABLE visit (id INT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, place TEXT REFERENCES place (name), host INTEGER);"""
    data = (
        T("INSERT INTO place (name, size) VALUES ('a', 1), ('b', DEFAULT);\nINSERT INTO visit (id, host) VALUES (1, 2), (2, NULL)"),
    )
    bound = good(schema_text=text, data=data, domains=(domain("visit.host", like="visit.id"),))
    place, visit = bound.schema.tables["place"], bound.schema.tables["visit"]
    assert place.column("name").domain == ("a", "b")
    assert place.column("size").domain == (1, 5)
    assert place.column("m").domain == ("sad", "ok")
    assert place.column("at").default == Clock("now")
    assert visit.column("place").domain == ("a", "b")
    assert visit.column("host").type == Type("reference", "visit")
    visits = bound.data[1]
    assert isinstance(visits, Insert)
    assert visits.columns == ("host",)
    assert visits.rows[0] == (Constant(2, Type("reference", "visit")),)


@pytest.mark.parametrize(
    ("domains", "message"),
    [
        ((domain("job.state", "new"),), "Q331 job.n has no finite set of values"),
        ((*STATES, domain("job.x", 1)), "Q311 job has no column 'x'"),
        ((*STATES, domain("jobs.n", 1)), "Q310 there is no table or procedure 'jobs'"),
        ((*STATES, domain("job", 1)), "Q333 'job' names no column"),
        ((*STATES, domain("job.n", 1)), "Q333 job.n has two domains"),
        ((STATES[0], domain("job.n", 1, "x")), "Q333 'x' in the domain of job.n is not of type integer"),
        ((STATES[0], domain("job.n", 1, 1)), "Q333 1 stands twice in the domain of job.n"),
        ((STATES[0], domain("job.n", 1, None)), "Q333 NULL is no value of the domain of job.n"),
        ((STATES[0], domain("job.n", True)), "Q333 True in the domain of job.n is not of type integer"),
        ((*STATES, domain("job.id", 1)), "Q333 job.id is job.id and takes no list of values"),
        ((STATES[1], domain("job.state", "old")), "Q321 'new' is outside the domain of job.state"),
        ((STATES[0], domain("job.n", like="job.state")), "Q333 job.state is no generated id"),
        ((STATES[0], domain("job.n", like="jobs.id")), "Q310 there is no table 'jobs'"),
    ],
)
def test_wrong_domains(domains, message):
    writes = procedure("w", step("i", sql("INSERT INTO job (n) VALUES (1)")))
    found = errors(writes, domains=domains)
    assert message in found


def test_values_that_the_type_cannot_hold():
    found = errors(
        schema_text="CREATE TABLE t (a VARCHAR(2) NOT NULL, b SMALLINT NOT NULL, c CHAR(3) NOT NULL)",
        domains=(domain("t.a", "ok", "bad"), domain("t.b", 1, 40000), domain("t.c", "abc")),
    )
    assert found == [
        "Q333 'bad' in the domain of t.a does not fit the column's type",
        "Q333 40000 in the domain of t.b does not fit the column's type",
    ]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (
            "INSERT INTO job (id, n) VALUES (2, 1), (1, 1)",
            "Q334 job.id of row 1 must be 1: ids number the rows in the order written",
        ),
        ("INSERT INTO job (id, n) VALUES (7, 1)", "Q322 job.id = 7: `data:` has 1 row of job"),
        ("INSERT INTO job (n) VALUES (1 + 1)", "Q335 `data:` holds constants"),
        ("INSERT INTO job (n) SELECT 1", "Q302 `data:` holds INSERT … VALUES with constants"),
        ("UPDATE job SET n = 1", "Q301 a statement here starts with INSERT, not with 'UPDATE'"),
        ("INSERT INTO job (n) VALUES (9)", "Q321 9 is outside the domain of job.n"),
    ],
)
def test_wrong_data(data, message):
    assert message in errors(data=(T(data),))


# ---------------------------------------------------------------------------------------------------------- variables


def test_types_flow_backwards_through_loops():
    body = (
        step("use", syntax.If(T(":last IS NOT NULL"), (step("mark", sql("UPDATE job SET n = 1 WHERE id = :last")),))),
        step("read", sql("SELECT id, state FROM job", rows=T("found"))),
        step("each", syntax.For((T("last"), T("s")), T("found"), (step("keep", syntax.Set(((T("copy"), T(":s")),))),))),
    )
    bound = good(procedure("p", step("loop", syntax.While(T(":copy IS NULL"), body))))
    types = {v.name: v.type for v in bound.procedures["p"].variables.values() if isinstance(v, program.ScalarVariable)}
    assert types == {"last": Type("reference", "job"), "s": TEXT, "copy": TEXT}


def test_values_flow_into_variables():
    text = errors(
        procedure(
            "p",
            step("a", sql("SELECT state FROM job", ("s",))),
            step("b", syntax.If(T(":s = 'odl'"), (step("c", syntax.Commit()),))),
        )
    )
    assert text == ["Q321 'odl' is outside the values compared with"]


def only(*steps, **changes):
    return errors(procedure("p", *steps, **changes.pop("more", {})), **changes)


def assign(name, text):
    return step(f"set_{name}", syntax.Set(((T(name), T(text)),)))


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ((assign("x", ":nobody"),), "Q314 the variable :nobody is never set"),
        (
            (assign("x", "1"), step("b", syntax.Set(((T("x"), T("'a'")),)))),
            "Q340 the variable 'x' is integer elsewhere, and text here",
        ),
        ((assign("x", ":x"),), "Q340 the type of the variable cannot be told: it is only set from itself"),
        ((assign("x", "state"),), "Q311 there is no column 'state' here"),
        ((assign("x", "(SELECT 1)"),), "Q343 an assignment takes no subquery"),
        ((assign("x", "now()"),), "Q327 the server's clock cannot be read in an assignment"),
        ((assign("x", "1, 2"),), "Q301 one expression is expected here"),
        ((assign("dates", "1"),), "Q315 the variable 'dates' would hide the parameter of that name"),
        ((step("a", sql("SELECT id, n FROM job", ("x",))),), "Q324 1 variable for a row of 2 columns"),
        ((step("a", sql("DELETE FROM job", ("x",))),), "Q341 `into: x` keeps a result, and the statement returns no rows"),
        ((step("a", sql("DELETE FROM job", rows=T("x"))),), "Q341 `rows: x` keeps a result, and the statement returns no rows"),
        ((step("a", sql("SELECT 1", affected=T("x"))),), "Q341 `affected: x` is for INSERT, UPDATE and DELETE"),
        ((step("a", syntax.If(T("EXISTS (SELECT 1 FROM job)"), ())),), "Q343 a condition takes no subquery"),
        (
            (step("a", syntax.If(T("clock > clock"), ())),),
            "Q327 clock is the program's own clock and cannot be read in a condition",
        ),
        ((step("a", syntax.While(T("1"), ())),), "Q320 a condition is expected, and 1 is an integer"),
        ((step("a", syntax.For((T("x"),), T("rows"), ())),), "Q342 there are no rows 'rows' to run over"),
        ((assign("x", "1"), step("a", syntax.For((T("y"),), T("x"), ()))), "Q342 'x' holds one value, and a loop runs over rows"),
        ((step("a", syntax.For((T("x"), T("y")), T("dates"), ())),), "Q324 2 variables for an entry of 1: 1"),
        ((step("a", syntax.For((T("x"),), T("one"), ())),), "Q342 the parameter 'one' is no list"),
        (
            (step("a", syntax.Choose((T("x"),), T("SELECT id FROM job FOR UPDATE"))),),
            "Q326 FOR UPDATE cannot stand in the query of a choice",
        ),
        (
            (step("a", syntax.Choose((T("x"),), T("DELETE FROM job"))),),
            "Q301 a statement here starts with SELECT, not with 'DELETE'",
        ),
        ((step("a", syntax.Begin(T("serializable"))),), "Q350 the isolation level 'serializable' is not built yet"),
        ((step("a", syntax.Begin(None, T("deferred"))),), "Q350 there is no mode 'deferred'"),
        ((step("a", syntax.RollbackTo(T("b"))),), "Q346 no step sets the savepoint 'b'"),
        ((step("a", syntax.Call(T("q"))),), "Q344 there is no procedure 'q'"),
        ((step("a", syntax.Call(T("p"))),), "Q344 'p' would call itself through 'p'"),
        ((syntax.Step(T("a"), syntax.Commit(), within=T("soon")),), "Q354 'soon' is no duration"),
    ],
)
def test_wrong_steps(steps, message):
    parameters = {"dates": parameter("dates", (1, 2)), "one": parameter("one", 1)}
    assert only(*steps, parameters=parameters) == [message]


def test_calls_type_their_inputs():
    callee = procedure("mark", step("m", sql("UPDATE job SET n = :n WHERE id = :job")), inputs=(T("job"), T("n")))
    given = syntax.Call(T("mark"), ((T("job"), T(":found")), (T("n"), T("2"))))
    caller = procedure("p", step("f", sql("SELECT id FROM job", ("found",))), step("c", given))
    bound = good(caller, callee)
    assert {v.name: (v.type, v.input) for v in bound.procedures["mark"].variables.values()} == {
        "job": (Type("reference", "job"), True),
        "n": (INTEGER, True),
    }
    assert errors(procedure("p", step("c", syntax.Call(T("mark"), ((T("m"), T("1")),)))), callee)[:1] == [
        "Q344 'mark' has no input 'm'"
    ]


def test_roles_give_inputs():
    callee = procedure("mark", step("m", sql("UPDATE job SET n = :n")), inputs=(T("n"),))
    bound = good(callee, scenarios={"s": scenario(role("r", "mark", arguments=((T("n"), 2),)))})
    assert bound.procedures["mark"].variables["n"].type == INTEGER
    assert "Q344 'mark' needs its input 'n'" in errors(callee, scenarios={"s": scenario(role("r", "mark"))})


def test_all_errors_at_once():
    found = only(
        step("a", sql("SELECT x FROM job")),
        step("b", sql("SELECT y FROM job")),
        step("c", sql("UPDATE job SET n = 7, state = 'x'")),
    )
    assert [line[:4] for line in found] == ["Q311", "Q311", "Q321", "Q321"]


# --------------------------------------------------------------------------------------------- roles and properties

WORK = procedure("work", step("take", sql("SELECT id, n FROM job", ("id", "size"))), step("end", syntax.Commit()))
ROLES = {"s": scenario(role("worker", "work"))}


def never(text, **changes):
    return {"p": prop(syntax.Never(T(text)))} | changes


def test_roles_are_tables():
    text = "SELECT worker.size FROM worker WHERE worker.status = 'running' AND worker.step = 'take' AND worker.size = 2"
    bound = good(WORK, scenarios=ROLES, properties=never(text))
    assert bound.properties["p"].formula.query.source.role
    assert bound.roles["worker"].column("id").type == Type("reference", "worker")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("SELECT size FROM worker WHERE status = 'runing'", "Q321 'runing' is outside the domain of worker.status"),
        ("SELECT size FROM worker WHERE step = 'tke'", "Q321 'tke' is outside the domain of worker.step"),
        ("SELECT id FROM worker", "Q312 worker.id is ambiguous: the role's own 'id', or the variable 'id' of its procedure"),
        ("SELECT * FROM worker", "Q312 worker.id is ambiguous: the role's own 'id', or the variable 'id' of its procedure"),
        ("SELECT n FROM job WHERE id = :id", "Q314 there are no variables in a property, and no parameter 'id'"),
        ("SELECT n FROM job FOR UPDATE", "Q326 FOR UPDATE cannot stand in a property"),
        ("DELETE FROM job", "Q301 a statement here starts with SELECT, not with 'DELETE'"),
        ("SELECT n FROM workers", "Q310 there is no table 'workers'"),
    ],
)
def test_wrong_properties(text, message):
    assert errors(WORK, scenarios=ROLES, properties=never(text)) == [message]


def test_programs_do_not_see_roles():
    assert errors(procedure("work", step("a", sql("SELECT 1 FROM worker"))), scenarios=ROLES) == ["Q310 there is no table 'worker'"]


def test_leads_to_matches_by_position():
    def leads(a, b):
        return {"p": prop(syntax.LeadsTo(T(a), T(b)))}

    assert (
        good(properties=leads("SELECT id FROM job", "SELECT id FROM job WHERE n = 1")).properties["p"].formula.eventually
        is not None
    )
    assert errors(properties=leads("SELECT id FROM job", "SELECT id, n FROM job"))[0].startswith("Q353")
    assert errors(properties=leads("SELECT id FROM job", "SELECT n FROM job"))[0].startswith("Q353")


INSERTS = procedure("add", step("i", sql("INSERT INTO job (n) VALUES (1)")))


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (scenario(role("r", "add")), "Q351 scenario s needs bounds: {job: n}: its procedures insert there"),
        (scenario(role("r", "add"), bounds={"job": 1, "jab": 1}), "Q351 bounds: there is no table 'jab'"),
        (scenario(role("r", "add"), bounds={"job": 1}, truncate=("jab",)), "Q351 truncate: there is no table 'jab'"),
        (
            scenario(role("r", "add"), bounds={"job": 1}, truncate=("job.n", "job.id")),
            "Q351 truncate: job has no column 'id' with a domain",
        ),
        (scenario(role("job", "add"), bounds={"job": 1}), "Q352 the role 'job' has the name of a table"),
        (scenario(role("r", "ad"), bounds={"job": 1}), "Q352 there is no procedure 'ad'"),
        (scenario(role("r", "add"), role("r", "add"), bounds={"job": 1}), "Q352 the scenario has two roles 'r'"),
        (
            scenario(role("R", "add"), bounds={"job": 1}),
            "Q352 the role 'R' could not be named in a property: SQL folds names to lower case",
        ),
        (scenario(role("r", "add", crash=(T("j"),)), bounds={"job": 1}), "Q352 the role 'r' has no step 'j'"),
    ],
)
def test_wrong_scenarios(made, message):
    assert errors(INSERTS, scenarios={"s": made}) == [message]


def test_called_procedures_need_bounds_too():
    caller = procedure("outer", step("c", syntax.Call(T("add"))))
    assert errors(INSERTS, caller, scenarios={"s": scenario(role("r", "outer"))})[0].startswith("Q351")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"database": syntax.Database(T("mysql"), T("read committed"))}, "Q350 the engine 'mysql' is not built yet"),
        (
            {"database": syntax.Database(T("postgresql"), T("serializable"))},
            "Q350 the isolation level 'serializable' is not built yet",
        ),
    ],
)
def test_not_built_yet(changes, message):
    assert errors(**changes) == [message]


# ------------------------------------------------------------------------------------------------------------- ghosts

GHOST = (
    T(
        "CREATE TABLE history (id SERIAL PRIMARY KEY, job_id INTEGER, seen BOOLEAN NOT NULL);"
        "ALTER TABLE job ADD COLUMN touched BOOLEAN NOT NULL DEFAULT FALSE"
    ),
)
LIKE = (*STATES, domain("history.job_id", like="job.id"))


def ghostly(statement, ghost=None, **changes):
    body = sql(statement, ghost=None if ghost is None else T(ghost))
    return {"procedures": {"p": procedure("p", step("a", body))}, "ghost": GHOST, "domains": LIKE} | changes


def test_ghosts_are_written_beside_and_read_by_properties():
    bound = good(
        **ghostly(
            "UPDATE job SET n = 1, touched = TRUE",
            "INSERT INTO history (job_id, seen) SELECT id, touched FROM job WHERE touched",
            properties=never("SELECT job.id FROM job JOIN history ON history.job_id = job.id WHERE job.touched AND history.seen"),
        )
    )
    assert bound.schema.tables["history"].ghost
    assert bound.schema.tables["job"].column("touched").ghost
    assert isinstance(bound.procedures["p"].steps[0].node.ghost, Insert)


def test_ghost_columns_are_not_in_the_programs_rows():
    bound = good(**ghostly("INSERT INTO job VALUES (DEFAULT, 'new', 1) RETURNING *"))
    assert bound.procedures["p"].steps[0].node.statement.columns == ("id", "state", "n")


@pytest.mark.parametrize(
    ("statement", "ghost", "message"),
    [
        ("SELECT 1 FROM history", None, "Q328 history is a ghost table: the program never reads it"),
        ("SELECT 1 FROM job WHERE touched", None, "Q328 job.touched is a ghost: the program never reads it"),
        ("UPDATE job SET n = 1 RETURNING touched", None, "Q328 job.touched is a ghost: the program never reads it"),
        ("SELECT n FROM job ORDER BY touched", None, "Q328 job.touched is a ghost: the program never reads it"),
        ("UPDATE job SET touched = TRUE", None, "Q328 the statement writes ghosts only (touched): the program does not have it"),
        (
            "DELETE FROM history",
            None,
            "Q328 history is a ghost table: a statement of its own would be a step that the program does not have",
        ),
        ("SELECT 1", "UPDATE job SET n = 1", "Q328 a ghost statement writes ghosts only, and 'n' belongs to the program"),
        (
            "SELECT 1",
            "INSERT INTO job (touched) VALUES (TRUE)",
            "Q328 a ghost statement writes ghosts only, and 'job' belongs to the program",
        ),
        ("SELECT 1", "DELETE FROM job", "Q328 a ghost statement writes ghosts only, and 'job' belongs to the program"),
        ("SELECT 1", "SELECT 1", "Q328 a ghost statement writes: it is an INSERT, UPDATE or DELETE"),
        ("SELECT 1", "DELETE FROM history RETURNING id", "Q328 a ghost statement returns nothing"),
    ],
)
def test_ghosts_stay_ghosts(statement, ghost, message):
    assert message in errors(**ghostly(statement, ghost))


@pytest.mark.parametrize(
    "definition",
    [
        "ALTER TABLE job ADD COLUMN g BOOLEAN NOT NULL",
        "ALTER TABLE job ADD COLUMN g BOOLEAN UNIQUE",
        "ALTER TABLE job ADD COLUMN g BOOLEAN CHECK (g)",
        "CREATE TABLE g (job_id INTEGER REFERENCES job (id))",
        "CREATE TABLE g (b BOOLEAN UNIQUE)",
        "ALTER TABLE job ADD CONSTRAINT u UNIQUE (n)",
        "CREATE UNIQUE INDEX ON job (n)",
    ],
)
def test_ghosts_cannot_stop_the_program(definition):
    assert [line[:4] for line in errors(ghost=(T(definition),))] == ["Q328"]


def test_two_arbiters():
    text = JOB + "CREATE UNIQUE INDEX one ON job (n); CREATE UNIQUE INDEX two ON job (n);"
    write = procedure("p", step("a", sql("INSERT INTO job (n) VALUES (1) ON CONFLICT (n) DO NOTHING")))
    assert errors(write, schema_text=text) == ["Q332 several unique indexes of job fit here: one, two"]


def test_reading_the_clock_marks_the_step():
    bound = good(procedure("p", assign("at", "clock - INTERVAL '120 s'"), assign("copy", ":at")))
    assert [s.node.clock for s in bound.procedures["p"].steps] == [True, False]
    assert bound.procedures["p"].variables["copy"].type == Type("timestamp")
