"""Whatever the text: it is bound, or refused with diagnostics; and what is bound renders and binds again."""

from hypothesis import given, settings
from hypothesis import strategies as st
from sql_samples import DDL, T, environment, model
from test_sql_trees import EXPRESSIONS, STATEMENTS

from txweave.spec.diagnostics import Report, SpecError
from txweave.sql.bind import bind_model
from txweave.sql.render import sql_of
from txweave.sql.statements import bind_expression, bind_statement

ENVIRONMENT = environment()
TEXTS = [sql for sql, _ in STATEMENTS] + [f"SELECT 1 FROM job WHERE {sql}" for sql, _ in EXPRESSIONS]
WORDS = [
    *sorted({word for text in [*TEXTS, DDL] for word in text.split()}),
    *("(", ")", ",", ";", ":", ":x", "::", "'", '"', "--", "/*", "*/", "$1", "?", "[", "]", "{", "}", "\\", "\0", "é", "1e5", "."),
    *(
        "UNION",
        "OVER",
        "LATERAL",
        "ONLY",
        "WITH",
        "OFFSET",
        "NATURAL",
        "USING",
        "ALL",
        "NOT",
        "IS",
        "NULL",
        "DEFAULT",
        "EXISTS",
        "IN",
    ),
]


@st.composite
def mutated(draw):
    words = draw(st.sampled_from(TEXTS)).split()
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(words)))
        match draw(st.sampled_from(["insert", "delete", "replace", "swap", "double"])):
            case "insert":
                words.insert(at, draw(st.sampled_from(WORDS)))
            case "delete":
                del words[at : at + 1]
            case "replace":
                words[at : at + 1] = [draw(st.sampled_from(WORDS))]
            case "swap":
                words[at : at + 2] = reversed(words[at : at + 2])
            case _:
                words[at:at] = words[at : at + 2]
    return " ".join(words)


@settings(max_examples=250, deadline=None)
@given(mutated())
def test_mutated_statements(sql):
    report = Report()
    bound = bind_statement(T(sql), ENVIRONMENT, report)
    assert (bound is None) == report.failed
    if bound is not None:
        again = Report()
        second = bind_statement(T(sql_of(bound.statement)), ENVIRONMENT, again)
        assert second is not None, (sql, sql_of(bound.statement), [d.render() for d in again.diagnostics])
        assert second.statement == bound.statement


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from(WORDS), max_size=8).map(" ".join) | st.text(max_size=20))
def test_any_expression(text):
    report = Report()
    bound = bind_expression(T(text), ENVIRONMENT, report)
    assert (bound is None) == report.failed


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_mutated_definitions(data):
    words = DDL.split()
    at = data.draw(st.integers(0, len(words)))
    words[at : at + data.draw(st.integers(0, 2))] = data.draw(st.lists(st.sampled_from(WORDS), max_size=2))
    try:
        bind_model(model(" ".join(words)))
    except SpecError:
        return
