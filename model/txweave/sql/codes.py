"""The codes of this package's diagnostics, Q300 to Q399: a title, and what is wrong and right by example."""

from __future__ import annotations


def _code(title: str, why: str, wrong: str, right: str) -> tuple[str, str]:
    return title, f"{why}\n\nWrong:\n  {wrong}\n\nRight:\n  {right}\n"


CODES: dict[str, tuple[str, str]] = {
    "Q300": _code(
        "The SQL cannot be read",
        "The text is not SQL as PostgreSQL reads it: a word is missing, a quote or a parenthesis is not closed.",
        "SELECT id FROM job WHERE (state = 'queued'",
        "SELECT id FROM job WHERE (state = 'queued')",
    ),
    "Q301": _code(
        "Another kind of statement is expected here",
        "A step holds one SELECT, INSERT, UPDATE or DELETE; transactions are controlled by steps of their own.",
        "- done: {sql: COMMIT}",
        "- done: commit",
    ),
    "Q302": _code(
        "The construct is outside the SQL subset",
        "What has no meaning here is refused by name, never approximated.",
        "SELECT id FROM job ORDER BY at LIMIT 1 OFFSET 2",
        "SELECT id FROM job ORDER BY at LIMIT 1",
    ),
    "Q303": _code(
        "A word of the statement was not read",
        "Every word of a statement must have a meaning in what was read; this one has none, or the statement needs more words.",
        "SELECT ALL id FROM job",
        "SELECT id FROM job",
    ),
    "Q304": _code(
        "Operators need parentheses",
        "PostgreSQL groups these operators in another way than it looks, or refuses them side by side.",
        "a = b = c",
        "(a = b) = c",
    ),
    "Q305": _code(
        "A name or a literal is malformed",
        "Reserved words are no names unless quoted, variables are written :name, and numbers end before letters.",
        "SELECT 1a, $1 FROM user",
        'SELECT :a FROM "user"',
    ),
    "Q310": _code(
        "There is no such table",
        "The name is no table of the schema, or cannot be seen from where it is used.",
        "SELECT id FROM jobs",
        "SELECT id FROM job",
    ),
    "Q311": _code(
        "There is no such column",
        "No table in sight has the column. Variables are written with a colon.",
        "UPDATE job SET state = 'done' WHERE id = job_id",
        "UPDATE job SET state = 'done' WHERE id = :job_id",
    ),
    "Q312": _code(
        "The column is ambiguous",
        "Several tables in sight have a column of this name; for a role, its own column and a variable may clash.",
        "SELECT id FROM job JOIN owner ON job.owner_id = owner.id",
        "SELECT job.id FROM job JOIN owner ON job.owner_id = owner.id",
    ),
    "Q313": _code(
        "The name stands twice",
        "Tables, columns, constraints, FROM items and assignments are named once.",
        "SELECT 1 FROM job, job",
        "SELECT 1 FROM job, job AS other",
    ),
    "Q314": _code(
        "The variable is never set",
        "No step of the procedure sets the variable, and no parameter has its name.",
        "UPDATE job SET state = 'done' WHERE id = :jobid",
        "UPDATE job SET state = 'done' WHERE id = :job_id",
    ),
    "Q315": _code(
        "A parameter is used in the wrong way",
        "A list is only for loops, and a variable must not hide a parameter.",
        "parameters: {dates: [1, 2]} … WHERE date = :dates",
        "for: date, in: dates … WHERE date = :date",
    ),
    "Q320": _code(
        "The types do not fit",
        "Nothing is converted on its own; texts and booleans have no order here.",
        "WHERE completed = 'true'",
        "WHERE completed = TRUE",
    ),
    "Q321": _code(
        "The value is outside its domain",
        "The column can never hold the value: mostly a misspelling. Otherwise add it under `domains:`.",
        "WHERE state = 'queud'",
        "WHERE state = 'queued'",
    ),
    "Q322": _code(
        "Generated ids are only compared with each other",
        "A SERIAL id is abstract: it is equal to itself and to nothing else, has no order and no arithmetic, and no literal. "
        "With `serial: exact` in the model it is the next number of the table's sequence: then it has an order, and is "
        "compared with integers.",
        "WHERE id = 1",
        "WHERE id = :id",
    ),
    "Q323": _code(
        "NULL where it is not allowed",
        "A NOT NULL column is given NULL, or nothing at all and it has no default.",
        "INSERT INTO job (state) VALUES (NULL)",
        "INSERT INTO job (state) VALUES ('queued')",
    ),
    "Q324": _code(
        "The number of columns or values is wrong",
        "Values and columns, variables and results are matched one by one.",
        "INSERT INTO job (id, state) VALUES ('queued')",
        "INSERT INTO job (state) VALUES ('queued')",
    ),
    "Q325": _code(
        "Aggregates and grouping do not fit",
        "Beside an aggregate every column is a grouping key; WHERE comes before aggregation.",
        "SELECT state, count(*) FROM job",
        "SELECT state, count(*) FROM job GROUP BY state",
    ),
    "Q326": _code(
        "The locking clause is not allowed",
        "As in PostgreSQL, rows of a grouped or DISTINCT result and of the nullable side of a left join cannot be locked; "
        "properties never lock.",
        "SELECT DISTINCT state FROM job FOR UPDATE",
        "SELECT state FROM job FOR UPDATE",
    ),
    "Q327": _code(
        "The clock cannot be read here",
        "Statements read the server's clock, now(); `set` reads the program's own, clock; nothing else reads a clock.",
        "UPDATE lease SET until = clock",
        "set: {at: clock} … UPDATE lease SET until = :at",
    ),
    "Q328": _code(
        "A ghost must not influence the program",
        "Ghost tables and columns are written beside the program's own statement and read by properties only.",
        "sql: SELECT seen FROM history",
        "ghost: INSERT INTO history (seen) VALUES (TRUE)",
    ),
    "Q330": _code(
        "The column's type is not supported",
        "Types are INTEGER, TEXT, BOOLEAN, TIMESTAMP, INTERVAL, SERIAL, their synonyms, and enums.",
        "CREATE TABLE job (id UUID PRIMARY KEY)",
        "CREATE TABLE job (id SERIAL PRIMARY KEY)",
    ),
    "Q331": _code(
        "The column has no domain",
        "Every number and text needs a finite set of values: declared, or from an enum, a CHECK or the data.",
        "CREATE TABLE job (state TEXT)",
        "domains: {job.state: [queued, running, done]}",
    ),
    "Q332": _code(
        "The constraint does not fit its table",
        "A foreign key refers to a unique key of the same types; ON CONFLICT names a unique constraint.",
        "ON CONFLICT (state) DO NOTHING",
        "ON CONFLICT (name) DO NOTHING",
    ),
    "Q333": _code(
        "The domain does not fit",
        "A domain lists values of the type of an existing column or variable, each once; `like:` names an id.",
        "domains: {job.state: [1, 2]}",
        "domains: {job.state: [queued, done]}",
    ),
    "Q334": _code(
        "Generated ids are not written",
        "The database makes them; in `data:` they number the rows from 1.",
        "INSERT INTO job (id, state) VALUES (7, 'queued')",
        "INSERT INTO job (state) VALUES ('queued') RETURNING id",
    ),
    "Q335": _code(
        "A constant is expected",
        "Defaults and `data:` hold constants (or now()).",
        "DEFAULT 1 + 1",
        "DEFAULT 2",
    ),
    "Q340": _code(
        "A variable has two types",
        "Each variable of a procedure has one type, whatever step sets it.",
        'set: {n: "0"} … set: {n: "\'none\'"}',
        'set: {n: "0"} … set: {n: "NULL"}',
    ),
    "Q341": _code(
        "The statement has no such result",
        "`into` and `rows` need SELECT or RETURNING, `affected` needs INSERT, UPDATE or DELETE.",
        "sql: DELETE FROM job, into: id",
        "sql: DELETE FROM job RETURNING id, into: id",
    ),
    "Q342": _code(
        "There is nothing to loop over",
        "`in:` names a variable that holds rows, or a parameter that is a list.",
        "for: id, in: :ids",
        "for: id, in: ids",
    ),
    "Q343": _code(
        "A condition reads variables only",
        "Reading a table is a statement of its own, with its own moment.",
        "if: EXISTS (SELECT 1 FROM job)",
        "sql: SELECT count(*) FROM job, into: n … if: :n > 0",
    ),
    "Q344": _code(
        "A call or its inputs do not fit",
        "Every input is given once, under its name; procedures do not call themselves.",
        "call: finish",
        "call: finish, with: {job: :id}",
    ),
    "Q345": _code(
        "The added condition has no place",
        "`and` and `or` change the WHERE of a statement.",
        "or: {old: …} on UPDATE job SET state = 'done'",
        "and: {old: …}",
    ),
    "Q346": _code(
        "There is no such savepoint",
        "`release` and `rollback_to` name a savepoint that a step sets.",
        "rollback_to: before",
        "savepoint: before … rollback_to: before",
    ),
    "Q350": _code(
        "Not built yet",
        "The engine, isolation level or option has no meaning here yet and is refused by name.",
        "database: {engine: mysql, isolation: serializable}",
        "database: {engine: postgresql, isolation: read committed}",
    ),
    "Q351": _code(
        "The bounds do not fit",
        "A scenario bounds the rows of every table that its procedures insert into.",
        "bounds: {}",
        "bounds: {job: 2}",
    ),
    "Q352": _code(
        "A role does not fit",
        "Roles are tables in properties: their names are unlike the tables', what they run exists, their variables agree.",
        "processes: {job: {run: work}}",
        "processes: {worker: {run: work}}",
    ),
    "Q353": _code(
        "`whenever` and `eventually` do not match",
        "Rows are matched column by column: the same number, the same types.",
        "whenever: SELECT id FROM job, eventually: SELECT id, state FROM job",
        "whenever: SELECT id FROM job, eventually: SELECT id FROM job WHERE state = 'done'",
    ),
    "Q354": _code(
        "Not a duration",
        "Durations are numbers with units of fixed length.",
        "INTERVAL '1 month'",
        "INTERVAL '30 days'",
    ),
}
"""Code: title and explanation."""
