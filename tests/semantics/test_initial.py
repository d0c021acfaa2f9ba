# ruff: noqa: E501 - a row and its message stand on one line
"""Rows at the start that the server would refuse."""

from __future__ import annotations

import pytest

from txweave.semantics import lower
from txweave.spec.diagnostics import SpecError
from txweave.spec.load import parse_model
from txweave.spec.text import SourceFile
from txweave.sql.bind import bind_model

MODEL = """\
model: accounts
schema: |
  CREATE TABLE branch (id SERIAL PRIMARY KEY, city TEXT NOT NULL);
  CREATE TABLE account (
    number INTEGER PRIMARY KEY, balance INTEGER NOT NULL CHECK (balance >= 0), email TEXT UNIQUE, open BOOLEAN NOT NULL,
    branch_id INTEGER REFERENCES branch (id), parent INTEGER REFERENCES account (number));
  CREATE UNIQUE INDEX one_open ON account (branch_id) WHERE open;
domains:
  branch.city: [rome]
  account.number: [1, 2]
  account.balance: -1..3
  account.email: [a, b]
data: |
  INSERT INTO branch (city) VALUES ('rome');
  INSERT INTO account (number, balance, email, open, branch_id, parent) VALUES ROWS;
procedures:
  look: {steps: [{all: {sql: SELECT count(*) FROM account WHERE open, into: n}}, {done: commit}]}
scenarios: {one: {processes: {looker: {run: look}}}}
properties:
  some: {never: SELECT n FROM looker WHERE n > 2}
"""

RIGHT = "(1, 0, 'a', TRUE, 1, 1), (2, 1, 'b', FALSE, 1, 1)"

WRONG = {
    "(1, -1, 'a', TRUE, 1, 1)": "row 1 of account: the check constraint account_balance_check is false",
    "(1, 0, 'a', TRUE, 1, 2)": "row 1 of account: parent = 2 refers to no row of account",
    "(1, 0, 'a', TRUE, NULL, NULL), (1, 0, 'b', TRUE, NULL, NULL)": "row 2 of account: number = 1 is there already, and account_pkey is unique",
    "(1, 0, 'a', TRUE, 1, 1), (2, 1, 'a', FALSE, 1, 1)": "row 2 of account: email = 'a' is there already, and account_email_key is unique",
    "(1, 0, 'a', TRUE, 1, 1), (2, 1, 'b', TRUE, 1, 1)": "row 2 of account: branch_id = 1 is there already, and one_open is unique",
}  # fmt: skip


def lowered(rows: str) -> None:
    bound = bind_model(parse_model(SourceFile("accounts.model.yaml", MODEL.replace("ROWS", rows))))
    lower(bound, "one")


def test_rows_that_the_server_takes() -> None:
    lowered(RIGHT)
    lowered("(1, 0, NULL, FALSE, 1, NULL), (2, 0, NULL, FALSE, 1, NULL)")  # NULLs are distinct, and the index is partial


@pytest.mark.parametrize("rows", WRONG)
def test_rows_that_it_refuses(rows: str) -> None:
    with pytest.raises(SpecError) as error:
        lowered(rows)
    assert [(d.code, d.message) for d in error.value.diagnostics] == [("M420", WRONG[rows])]
    assert error.value.diagnostics[0].span is not None
