"""Codes of the semantics, M400 to M499: what is not modelled, or does not come to an end; what is wrong and right by example."""

from __future__ import annotations


def _code(title: str, why: str, wrong: str, right: str) -> tuple[str, str]:
    return title, f"{why}\n\nWrong:\n  {wrong}\n\nRight:\n  {right}\n"


CODES: dict[str, tuple[str, str]] = {
    "M401": _code(
        "Procedures of one role repeat differently",
        "A role that runs several procedures runs them in turn, in one loop: all of them repeat, with one period, or none does.",
        "scheduler: {run: [mark_complete, report_once]}",
        "scheduler: {run: mark_complete}, reporter: {run: report_once}",
    ),
    "M402": _code(
        "A procedure is too long",
        "Loops over lists are unrolled and calls are expanded in place; what remains has a limit.",
        "- each: {for: d, in: thousand_dates, steps: [...]}",
        "- each: {for: d, in: two_dates, steps: [...]}",
    ),
    "M404": _code(
        "Local steps may go on for ever",
        "Steps that touch only the process's own variables are fused with the statement before them: they must come to an end.",
        '- spin: {while: "TRUE", steps: [{go: {set: {n: 1}}}]}',
        '- poll: {while: ":n = 0", steps: [{look: {sql: SELECT count(*) FROM job, into: n}}]}',
    ),
    "M405": _code(
        "A role has no first statement",
        "A process is idle in front of its first statement, `choose` or transaction control: its code needs one, and "
        "which one it is may not depend on anything.",
        "steps: [{start: {set: {n: 0}}}]",
        "steps: [{start: {set: {n: 0}}}, {look: {sql: SELECT max(n) FROM job, into: n}}]",
    ),
    "M406": _code(
        "A variable grows without bound",
        "The state must be finite: the values of a variable follow from what is assigned to it, or are declared.",
        '- count: {set: {n: ":n + 1"}}',
        "domains: {worker.n: 0..10}",
    ),
    "M407": _code(
        "Too many savepoints are open",
        "ROLLBACK TO keeps the savepoint, and another of the same name only hides it: in a loop they pile up.",
        "- again: {while: ..., steps: [{mark: {savepoint: s}}, {try_it: {sql: ...}}]}",
        "- again: {while: ..., steps: [{mark: {savepoint: s}}, {try_it: {sql: ...}}, {done: {release: s}}]}",
    ),
    "M410": _code(
        "LIMIT is not modelled here",
        "Which rows come first is a choice of the server, and is explored for LIMIT 0 to 3 on a whole statement without groups or "
        "DISTINCT, and for LIMIT 1 in a subquery that is a value and refers to nothing outside. A higher LIMIT may stand where the "
        "bounds allow no more rows than that.",
        "SELECT id FROM job WHERE n IN (SELECT n FROM job ORDER BY n LIMIT 1)",
        "SELECT id FROM job WHERE n = (SELECT n FROM job ORDER BY n LIMIT 1)",
    ),
    "M411": _code(
        "A subquery used as a value may have several rows",
        "PostgreSQL raises an error at run time if it has. Name one row by a unique key, or aggregate.",
        "UPDATE job SET n = (SELECT n FROM batch)",
        "UPDATE job SET n = (SELECT max(n) FROM batch)",
    ),
    "M412": _code(
        "Rows of an outer join cannot be kept",
        "A rows variable is kept as the table rows that made each result row; the empty side of an outer join has none.",
        "sql: SELECT a.n, b.n FROM a LEFT JOIN b ON a.id = b.a_id, rows: found",
        "sql: SELECT a.n FROM a WHERE NOT EXISTS (SELECT 1 FROM b WHERE a.id = b.a_id), rows: found",
    ),
    "M413": _code(
        "An outer join is not modelled here",
        "LIMIT, locking clauses and INSERT … SELECT read inner joins only.",
        "INSERT INTO log (n) SELECT b.n FROM a LEFT JOIN b ON a.id = b.a_id",
        "INSERT INTO log (n) SELECT (SELECT max(b.n) FROM b WHERE a.id = b.a_id) FROM a",
    ),
    "M414": _code(
        "Too many rows for a statement that may wait",
        "A statement that waits for one row may have locked any subset of the others: the number of outcomes doubles "
        "with each row.",
        "bounds: {job: 12}",
        "bounds: {job: 4}",
    ),
    "M415": _code(
        "Rows of several tables are locked",
        "One SELECT locks rows of one table in the modelled subset.",
        "SELECT a.id FROM a JOIN b ON b.a_id = a.id FOR UPDATE",
        "SELECT a.id FROM a JOIN b ON b.a_id = a.id FOR UPDATE OF a",
    ),
    "M416": _code(
        "INSERT … SELECT … ON CONFLICT DO UPDATE is not modelled",
        "Insert the rows one at a time.",
        "INSERT INTO t (k, n) SELECT k, n FROM s ON CONFLICT (k) DO UPDATE SET n = excluded.n",
        "for: [k, n], in: rows_of_s, steps: [{put: {sql: INSERT INTO t (k, n) VALUES (:k, :n) ON CONFLICT (k) DO UPDATE …}}]",
    ),
    "M417": _code(
        "A key that is referred to would change",
        "ON UPDATE actions are not modelled: a key that a foreign key refers to stays as it is.",
        "UPDATE owner SET name = 'new'  -- job.owner REFERENCES owner (name)",
        "DELETE FROM owner WHERE name = 'old' and INSERT INTO owner (name) VALUES ('new')",
    ),
    "M418": _code(
        "RETURNING a column of a joined table",
        "RETURNING gives columns of the target.",
        "UPDATE job SET n = 0 FROM batch WHERE batch.id = job.batch_id RETURNING batch.n",
        "UPDATE job SET n = 0 FROM batch WHERE batch.id = job.batch_id RETURNING job.n",
    ),
    "M419": _code(
        "A rows variable has two shapes",
        "A rows variable is kept as the table rows that made each result row, of the same tables wherever it is set.",
        "first: {sql: SELECT n FROM a, rows: found}, second: {sql: SELECT n FROM b, rows: found}",
        "first: {sql: SELECT n FROM a, rows: found_a}, second: {sql: SELECT n FROM b, rows: found_b}",
    ),
    "M420": _code(
        "A row at the start breaks a constraint",
        "The rows of `data:` are there before anything runs; what the server would refuse to insert cannot be among them.",
        "data: INSERT INTO job (id, owner) VALUES (1, 'ann'), (1, 'bob')  -- id is the primary key",
        "data: INSERT INTO job (id, owner) VALUES (1, 'ann'), (2, 'bob')",
    ),
    "M421": _code(
        "The tick does not fit",
        "A tick must divide every duration that the scenario uses, so that each of them ends at a tick.",
        "tick: 7 s      # with INTERVAL '30 s'",
        "tick: 5 s",
    ),
    "M422": _code(
        "Exact ids need an order",
        "With `serial: exact` the rows of INSERT … SELECT take their ids one after the other: which row takes which is up to the "
        "server unless the query says so.",
        "INSERT INTO job (n) SELECT n FROM batch",
        "INSERT INTO job (n) SELECT n FROM batch ORDER BY n",
    ),
    "M423": _code(
        "A locking subquery is not modelled here",
        "In UPDATE and DELETE a locking subquery over the same table alone chooses the rows by their primary key, as a value or "
        "as a WITH query: it then runs once. In IN it may run once for each row.",
        "UPDATE job SET n = 1 WHERE id IN (SELECT id FROM job WHERE n = 0 LIMIT 1 FOR UPDATE SKIP LOCKED)",
        "UPDATE job SET n = 1 WHERE id = (SELECT id FROM job WHERE n = 0 LIMIT 1 FOR UPDATE SKIP LOCKED)",
    ),
    "M424": _code(
        "An id that no row gets",
        "A row that is left to ON CONFLICT has taken an id from the sequence. Abstract ids are those of rows: it has none.",
        "INSERT INTO u (name) VALUES ('ann') ON CONFLICT (name) DO UPDATE SET last_try = excluded.id",
        "serial: exact       # in the model: ids are numbers then",
    ),
}
