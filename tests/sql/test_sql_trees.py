"""Each construct is bound to its tree, and what is rendered binds to the same tree again."""

import pytest
from sql_samples import T, environment

from txweave.spec.diagnostics import Report
from txweave.spec.syntax import Condition
from txweave.sql.render import literal, sql_of
from txweave.sql.statements import bind_expression, bind_statement
from txweave.sql.tree import (
    BOOLEAN,
    INTEGER,
    INTERVAL,
    NULL,
    TEXT,
    TIMESTAMP,
    Aggregate,
    And,
    Arithmetic,
    Case,
    Clock,
    Coalesce,
    ColumnRef,
    Compare,
    Constant,
    Delete,
    DerivedSource,
    Exists,
    InList,
    InQuery,
    Insert,
    IsNull,
    IsTruth,
    Join,
    Not,
    OnConflict,
    Or,
    OrderKey,
    Output,
    Query,
    RowLock,
    ScalarQuery,
    Select,
    TableSource,
    Type,
    Update,
    Variable,
)

ENVIRONMENT = environment()
JOB, OWNER = Type("reference", "job"), Type("reference", "owner")


def col(name, source="job"):
    kinds = {"id": JOB, "owner_id": OWNER, "state": TEXT, "n": INTEGER, "done": BOOLEAN, "at": TIMESTAMP, "lasts": INTERVAL}
    return ColumnRef(source, name, kinds[name])


def num(value):
    return Constant(value, INTEGER)


def text(value):
    return Constant(value, TEXT)


def bind(sql, conditions=()):
    report = Report()
    bound = bind_statement(T(sql), ENVIRONMENT, report, conditions)
    assert bound is not None, "\n".join(d.render() for d in report.diagnostics)
    return bound.statement


FROM_JOB = TableSource("job", "job")
ONE = (Output("?column?", num(1)),)

EXPRESSIONS = [
    ("done", col("done")),
    ("NOT done", Not(col("done"))),
    (
        "n = 1 AND n <> 2 AND n != 3",
        And((Compare("=", col("n"), num(1)), Compare("<>", col("n"), num(2)), Compare("<>", col("n"), num(3)))),
    ),
    (
        "n = 1 OR n < 2 AND n >= 3",
        Or((Compare("=", col("n"), num(1)), And((Compare("<", col("n"), num(2)), Compare(">=", col("n"), num(3)))))),
    ),
    ("(n = 1 OR done) AND done", And((Or((Compare("=", col("n"), num(1)), col("done"))), col("done")))),
    ("n IS NULL", IsNull(col("n"))),
    ("n IS NOT NULL", Not(IsNull(col("n")))),
    ("NOT n IS NOT NULL", Not(Not(IsNull(col("n"))))),
    ("done IS TRUE", IsTruth(col("done"), True)),
    ("done IS NOT FALSE", Not(IsTruth(col("done"), False))),
    ("n IS DISTINCT FROM 1", Compare("is distinct", col("n"), num(1))),
    ("n IS NOT DISTINCT FROM NULL", Compare("is not distinct", col("n"), Constant(None, NULL))),
    ("(n = 1) IS NULL", IsNull(Compare("=", col("n"), num(1)))),
    ("n = 1 IS NULL", IsNull(Compare("=", col("n"), num(1)))),
    ("n BETWEEN 1 AND 2", And((Compare(">=", col("n"), num(1)), Compare("<=", col("n"), num(2))))),
    ("n NOT BETWEEN 1 AND 2", Not(And((Compare(">=", col("n"), num(1)), Compare("<=", col("n"), num(2)))))),
    ("state IN ('queued', :s)", InList(col("state"), (text("queued"), Variable("s", TEXT)))),
    ("n NOT IN (1, NULL)", Not(InList(col("n"), (num(1), Constant(None, NULL))))),
    ("id = :j", Compare("=", col("id"), Variable("j", JOB))),
    ("n = :lim", Compare("=", col("n"), num(2))),
    (
        "n * 2 + 1 - 3 = -1",
        Compare(
            "=",
            Arithmetic("-", Arithmetic("+", Arithmetic("*", col("n"), num(2), INTEGER), num(1), INTEGER), num(3), INTEGER),
            num(-1),
        ),
    ),
    ("-n = 1", Compare("=", Arithmetic("-", num(0), col("n"), INTEGER), num(1))),
    (
        "at < now() - INTERVAL '120 s'",
        Compare("<", col("at"), Arithmetic("-", Clock("now"), Constant(120_000_000, INTERVAL), TIMESTAMP)),
    ),
    ("at + lasts > clock_timestamp()", Compare(">", Arithmetic("+", col("at"), col("lasts"), TIMESTAMP), Clock("clock_timestamp"))),
    (
        "CURRENT_TIMESTAMP - :cutoff > at",
        Compare(">", Arithmetic("-", Clock("now"), Constant(300_000_000, INTERVAL), TIMESTAMP), col("at")),
    ),
    ("lasts = INTERVAL '1 hour 30 min'", Compare("=", col("lasts"), Constant(5_400_000_000, INTERVAL))),
    ("lasts = '5 minutes'::interval", Compare("=", col("lasts"), Constant(300_000_000, INTERVAL))),
    ("lasts = INTERVAL '2' HOUR", Compare("=", col("lasts"), Constant(7_200_000_000, INTERVAL))),
    ("COALESCE(n, 0) = 0", Compare("=", Coalesce((col("n"), num(0)), INTEGER), num(0))),
    ("CASE WHEN done THEN 1 END = 1", Compare("=", Case(((col("done"), num(1)),), Constant(None, NULL), INTEGER), num(1))),
    (
        "CASE n WHEN 1 THEN done ELSE FALSE END",
        Case(((Compare("=", col("n"), num(1)), col("done")),), Constant(False, BOOLEAN), BOOLEAN),
    ),
    ("NULLIF(n, 1) = 2", Compare("=", Case(((Compare("=", col("n"), num(1)), Constant(None, NULL)),), col("n"), INTEGER), num(2))),
    ("n::bigint = CAST(1 AS INTEGER)", Compare("=", col("n"), num(1))),
    (
        "done::int = 1",
        Compare("=", Case(((col("done"), num(1)), (Not(col("done")), num(0))), Constant(None, NULL), INTEGER), num(1)),
    ),
    ("EXISTS (SELECT 1)", Exists(Query(None, None, ONE))),
    ("NOT EXISTS (SELECT 1 FROM job)", Not(Exists(Query(TableSource("job#2", "job"), None, ONE)))),
    (
        "(owner_id, n) IN (SELECT id, 1 FROM owner)",
        InQuery(
            (col("owner_id"), col("n")),
            Query(TableSource("owner", "owner"), None, (Output("id", ColumnRef("owner", "id", OWNER)), Output("?column?", num(1)))),
        ),
    ),
    (
        "n = (SELECT max(n) FROM job)",
        Compare(
            "=",
            col("n"),
            ScalarQuery(
                Query(
                    TableSource("job#2", "job"),
                    None,
                    (Output("max", Aggregate("max", col("n", "job#2"), False, INTEGER)),),
                    grouped=True,
                ),
                INTEGER,
            ),
        ),
    ),
]


@pytest.mark.parametrize(("sql", "tree"), EXPRESSIONS, ids=lambda part: part if isinstance(part, str) else "")
def test_condition(sql, tree):
    assert bind(f"SELECT 1 FROM job WHERE {sql}") == Select(Query(FROM_JOB, tree, ONE))


def test_greatest_skips_nulls():
    two = bind("SELECT GREATEST(n, 1) FROM job").query.outputs[0].expression
    assert two == Case(
        ((IsNull(num(1)), col("n")), (IsNull(col("n")), num(1)), (Compare(">=", col("n"), num(1)), col("n"))), num(1), INTEGER
    )


STATEMENTS = [
    ("SELECT DISTINCT n AS s, done FROM job ORDER BY s, 2 DESC NULLS LAST LIMIT 1", None),
    (
        "SELECT id FROM job ORDER BY n DESC, at NULLS FIRST LIMIT :x FOR NO KEY UPDATE OF job SKIP LOCKED",
        Select(
            Query(
                FROM_JOB,
                None,
                (Output("id", col("id")),),
                order_by=(OrderKey(col("n"), True, True), OrderKey(col("at"), False, True)),
                limit=Variable("x", INTEGER),
                locks=(RowLock("no key update", ("job",), "skip locked"),),
            )
        ),
    ),
    ("SELECT 1 FROM job FOR KEY SHARE", Select(Query(FROM_JOB, None, ONE, locks=(RowLock("key share", ("job",), "wait"),)))),
    ("SELECT 1 FROM job FOR SHARE NOWAIT", Select(Query(FROM_JOB, None, ONE, locks=(RowLock("share", ("job",), "nowait"),)))),
    ("SELECT 1 FROM job FOR UPDATE", Select(Query(FROM_JOB, None, ONE, locks=(RowLock("update", ("job",), "wait"),)))),
    (
        "SELECT count(*) FROM job WHERE NOT done HAVING count(*) > 1",
        Select(
            Query(
                FROM_JOB,
                Not(col("done")),
                (Output("count", Aggregate("count", None, False, INTEGER)),),
                having=Compare(">", Aggregate("count", None, False, INTEGER), num(1)),
                grouped=True,
            )
        ),
    ),
    (
        "SELECT state, count(DISTINCT n) c FROM job GROUP BY 1 ORDER BY c",
        Select(
            Query(
                FROM_JOB,
                None,
                (Output("state", col("state")), Output("c", Aggregate("count", col("n"), True, INTEGER))),
                group_by=(col("state"),),
                grouped=True,
                order_by=(OrderKey(Aggregate("count", col("n"), True, INTEGER), False, False),),
            )
        ),
    ),
    (
        "SELECT a.n FROM job a, job b CROSS JOIN owner LEFT JOIN job c ON c.id = b.id",
        Select(
            Query(
                Join(
                    "inner",
                    TableSource("a", "job"),
                    Join(
                        "left",
                        Join("inner", TableSource("b", "job"), TableSource("owner", "owner"), None),
                        TableSource("c", "job"),
                        Compare("=", col("id", "c"), col("id", "b")),
                    ),
                    None,
                ),
                None,
                (Output("n", col("n", "a")),),
            )
        ),
    ),
    (
        "SELECT d.k FROM (SELECT n AS k FROM job) d",
        Select(
            Query(
                DerivedSource("d", Query(FROM_JOB, None, (Output("k", col("n")),))),
                None,
                (Output("k", ColumnRef("d", "k", INTEGER)),),
            )
        ),
    ),
    (
        "INSERT INTO job (owner_id, state) VALUES (:o, DEFAULT), (NULL, 'done') RETURNING id AS k",
        Insert(
            "job",
            ("owner_id", "state"),
            ((Variable("o", OWNER), None), (Constant(None, NULL), text("done"))),
            None,
            None,
            (Output("k", col("id")),),
        ),
    ),
    ("INSERT INTO job DEFAULT VALUES", Insert("job", (), ((),), None)),
    (
        "INSERT INTO job (n) SELECT n FROM job WHERE done",
        Insert("job", ("n",), (), Query(TableSource("job#2", "job"), col("done", "job#2"), (Output("n", col("n", "job#2")),))),
    ),
    (
        "INSERT INTO job (n) VALUES (1) ON CONFLICT (owner_id, n) DO UPDATE SET n = excluded.n WHERE job.done",
        Insert(
            "job",
            ("n",),
            ((num(1),),),
            None,
            OnConflict("one", (("n", col("n", "excluded")),), col("done"), ("owner_id", "n")),
        ),
    ),
    ("INSERT INTO job (n) VALUES (1) ON CONFLICT DO NOTHING", Insert("job", ("n",), ((num(1),),), None, OnConflict(None))),
    (
        "INSERT INTO job (n) VALUES (1) ON CONFLICT ON CONSTRAINT one DO NOTHING",
        Insert("job", ("n",), ((num(1),),), None, OnConflict("one")),
    ),
    (
        "INSERT INTO job (n) VALUES (1) ON CONFLICT (owner_id) WHERE state = 'running' DO NOTHING",
        Insert(
            "job",
            ("n",),
            ((num(1),),),
            None,
            OnConflict("active", columns=("owner_id",), predicate=Compare("=", col("state"), text("running"))),
        ),
    ),
    (
        "UPDATE job AS j SET n = j.n + 1, state = DEFAULT, owner_id = NULL FROM owner WHERE j.owner_id = owner.id RETURNING j.n",
        Update(
            "j",
            "job",
            (("n", Arithmetic("+", col("n", "j"), num(1), INTEGER)), ("state", text("queued")), ("owner_id", Constant(None, NULL))),
            TableSource("owner", "owner"),
            Compare("=", col("owner_id", "j"), ColumnRef("owner", "id", OWNER)),
            (Output("n", col("n", "j")),),
        ),
    ),
    (
        "DELETE FROM job USING owner WHERE owner.id = owner_id",
        Delete("job", "job", TableSource("owner", "owner"), Compare("=", ColumnRef("owner", "id", OWNER), col("owner_id"))),
    ),
    ("DELETE FROM job", Delete("job", "job", None, None)),
    ("SELECT j.* FROM job j JOIN owner o ON o.id = j.owner_id", None),
    ("SELECT owner.name, count(*) FROM owner JOIN job ON job.owner_id = owner.id GROUP BY owner.id", None),
    (
        "SELECT 1 FROM job WHERE id IN (SELECT a.id FROM job a WHERE a.n = job.n AND EXISTS (SELECT 1 FROM job WHERE id = a.id))",
        None,
    ),
    (
        "UPDATE job SET state = 'running' WHERE id = (SELECT id FROM job ORDER BY at LIMIT 1 FOR UPDATE SKIP LOCKED) RETURNING id",
        None,
    ),
    ("SELECT CASE state WHEN 'queued' THEN n END, NULL::integer, INTERVAL '90 s', TRUE FROM job", None),
    ('SELECT n AS "Odd name", done AS "select" FROM job', None),
]


@pytest.mark.parametrize(("sql", "tree"), STATEMENTS, ids=lambda part: part if isinstance(part, str) else "")
def test_statement(sql, tree):
    bound = bind(sql)
    if tree is not None:
        assert bound == tree
    assert bind(sql_of(bound)) == bound


@pytest.mark.parametrize("sql", [sql for sql, _ in EXPRESSIONS])
def test_rendered_conditions_bind_again(sql):
    bound = bind(f"UPDATE job SET n = 1 WHERE {sql}")
    assert bind(sql_of(bound)) == bound


def test_a_grouped_primary_key_brings_its_columns():
    bound = bind("SELECT owner.name, count(*) FROM owner JOIN job ON job.owner_id = owner.id GROUP BY owner.id")
    assert [key.column for key in bound.query.group_by] == ["id", "name"]


def test_names_fold_unless_quoted():
    assert bind('SELECT ID FROM JOB AS "J" WHERE "J".N = 1') == bind('SELECT id FROM job AS "J" WHERE "J".n = 1')


def test_comments_are_allowed():
    assert bind("SELECT 1 -- one\n /* two */ FROM job") == bind("SELECT 1 FROM job")


def test_bindings_replace_variables():
    statement = bind("UPDATE job SET n = 2 WHERE id = :j AND state = :s")
    assert sql_of(statement, {"j": literal(7, INTEGER), "s": literal("it's", TEXT)}) == (
        "UPDATE job SET n = 2 WHERE job.id = 7 AND job.state = 'it''s'"
    )


CONDITION = Condition(T("c"), "and", T("n = 1"), (Condition(T("d"), "or", T("done")),))


def test_conditions_of_fixes_are_added_in_parentheses():
    plain, changed = bind("SELECT 1 FROM job WHERE n = 2 OR done"), bind("SELECT 1 FROM job WHERE n = 2 OR done", (CONDITION,))
    inner = Or((Compare("=", col("n"), num(1)), col("done")))
    assert changed.query.where == And((plain.query.where, inner))
    assert sql_of(changed) == "SELECT 1 FROM job WHERE (job.n = 2 OR job.done) AND (job.n = 1 OR job.done)"


def test_conditions_reach_the_own_where_only():
    changed = bind("SELECT d.x FROM (SELECT n AS x, done FROM job WHERE n = 2) d", (Condition(T("c"), "and", T("d.done")),))
    assert changed.query.where == ColumnRef("d", "done", BOOLEAN)
    assert changed.query.source.query.where == Compare("=", col("n"), num(2))


@pytest.mark.parametrize(
    ("sql", "operator", "message"),
    [
        ("DELETE FROM job", "or", "has nothing to widen"),
        ("INSERT INTO job (n) VALUES (1)", "and", "has no WHERE to change"),
    ],
)
def test_conditions_without_a_place(sql, operator, message):
    report = Report()
    assert bind_statement(T(sql), ENVIRONMENT, report, (Condition(T("c"), operator, T("n = 1")),)) is None
    assert [d.code for d in report.diagnostics] == ["Q345"]
    assert message in report.diagnostics[0].message


def test_expression_over_variables():
    report = Report()
    bound = bind_expression(T(":x + 1 > :lim"), environment(queries=False), report, condition=True)
    assert bound is not None
    assert sql_of(bound[0]) == "(:x + 1) > 2"
