"""The codes of what is legal and probably not meant, L501 to L599: a title, and what is meant by it by example."""

from __future__ import annotations


def _code(title: str, why: str, wrong: str, right: str) -> tuple[str, str]:
    return title, f"{why}\n\nWrong:\n  {wrong}\n\nRight:\n  {right}\n"


CODES: dict[str, tuple[str, str]] = {
    "L501": _code(
        "A variable is never read",
        "It is assigned, and no step, no ghost statement and no property reads it: the result is looked at by nobody.",
        "- find: {sql: SELECT count(*) FROM job, into: jobs}      # and :jobs nowhere",
        "- find: {sql: SELECT count(*) FROM job, into: jobs}\n  - full: {if: ':jobs > 2', then: [{stop: return}]}",
    ),
    "L502": _code(
        "A column is never used",
        "No statement, no property and no constraint mentions it. It makes nothing true or false: leave it out.",
        "CREATE TABLE job (id SERIAL PRIMARY KEY, state TEXT NOT NULL, colour TEXT)",
        "CREATE TABLE job (id SERIAL PRIMARY KEY, state TEXT NOT NULL)",
    ),
    "L503": _code(
        "A table is never used",
        "No statement, no property and no foreign key mentions it.",
        "CREATE TABLE audit (id SERIAL PRIMARY KEY)",
        "INSERT INTO audit DEFAULT VALUES      # in a step; or leave the table out",
    ),
    "L504": _code(
        "A procedure never runs",
        "No role of any scenario runs it, and no procedure that runs calls it.",
        "procedures: {clean_up: …}      # and no `run: clean_up`",
        "processes: {janitor: {run: clean_up}}",
    ),
    "L505": _code(
        "A parameter is never read",
        "No statement, condition or property reads it: whatever it is set to, the verdicts are the same.",
        "parameters: {cutoff: 2min}      # and :cutoff nowhere",
        "WHERE created_at < now() - :cutoff",
    ),
    "L506": _code(
        "A step cannot be reached",
        "What stands before it always leaves the procedure.",
        "- stop: return\n  - count: {sql: SELECT count(*) FROM job, into: jobs}",
        "- count: {sql: SELECT count(*) FROM job, into: jobs}\n  - stop: return",
    ),
    "L507": _code(
        "What is written is never committed",
        "The procedure can end, without an error, while its transaction has written and not committed: it is rolled back.",
        "steps: [{add: {sql: INSERT INTO job (state) VALUES ('new')}}]",
        "steps: [{add: {sql: INSERT INTO job (state) VALUES ('new')}}, {done: commit}]",
    ),
    "L508": _code(
        "No step can affect the property",
        "No procedure that runs writes the tables that it reads, and it reads no role: the rows at the start decide it.",
        "never: SELECT id FROM account WHERE balance < 0      # and no step writes account",
        "a step that writes account, or a property of what is written",
    ),
    "L509": _code(
        "The fix changes nothing",
        "With it the model is the same as without: what it sets is what was there.",
        "changes: {book.insert: {set: {into: id}}}      # where the step has `into: id` already",
        "a change that makes a difference, or a case without the fix",
    ),
    "L510": _code(
        "A comparison with NULL is never true",
        "= NULL and <> NULL are NULL whatever the other side is, and WHERE keeps no row for which its condition is NULL.",
        "WHERE finished_at = NULL",
        "WHERE finished_at IS NULL",
    ),
    "L511": _code(
        "NOT IN a subquery that may have a NULL",
        "If one row of the subquery is NULL, NOT IN is never true: the statement then finds nothing.",
        "WHERE id NOT IN (SELECT parent_id FROM job)      # where parent_id may be NULL",
        "WHERE NOT EXISTS (SELECT 1 FROM job child WHERE child.parent_id = job.id)",
    ),
    "L512": _code(
        "The property's query identifies nothing",
        "Its columns are constants: a story could not say which row broke it. Select an id, or what was counted.",
        "never: SELECT 1 FROM job WHERE state = 'lost'",
        "never: SELECT id FROM job WHERE state = 'lost'",
    ),
    "L513": _code(
        "A handler catches what is never raised",
        "No statement of the database, no `raise` and no injected error under the try has this name.",
        "except: {unique_violatoin: […]}",
        "except: {unique_violation: […]}",
    ),
    "L514": _code(
        "Nothing is ever restarted",
        "`restart` starts a crashed process anew, and the role never crashes.",
        "job: {run: pay, restart: true}",
        "job: {run: pay, crash: anywhere, restart: true}",
    ),
    "L515": _code(
        "An injected error has nearly the name of a database error",
        "Names of errors are free: a typing error makes an error of another name, which no handler of the database's catches.",
        "errors: {insert: deadlok_detected}",
        "errors: {insert: deadlock_detected}",
    ),
}
