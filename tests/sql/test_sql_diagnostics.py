"""Every wrong text has its code, place and message (``tests/fixtures/diagnostics/sql``), and every code its text."""

import re
from pathlib import Path

import pytest
import yaml
from sql_samples import T, environment, model, place

from txweave.spec.diagnostics import Report, SpecError
from txweave.sql import codes
from txweave.sql.bind import bind_model
from txweave.sql.statements import bind_statement

FIXTURES = Path(__file__).parents[1] / "fixtures" / "diagnostics" / "sql"
STATEMENTS = yaml.safe_load((FIXTURES / "statements.yaml").read_text())
IGNORED = yaml.safe_load((FIXTURES / "ignored.yaml").read_text())
SCHEMAS = yaml.safe_load((FIXTURES / "schemas.yaml").read_text())


def shown(diagnostics):
    return [f"{place(d)} {d.code} {d.message}" for d in diagnostics]


@pytest.mark.parametrize("case", STATEMENTS + IGNORED, ids=lambda case: case["sql"])
def test_wrong_statement(case):
    report = Report()
    assert bind_statement(T(case["sql"]), environment(), report) is None
    assert shown(report.diagnostics) == case["errors"]


@pytest.mark.parametrize("case", SCHEMAS, ids=lambda case: case["sql"])
def test_wrong_schema(case):
    with pytest.raises(SpecError) as caught:
        bind_model(model(case["sql"]))
    assert shown(caught.value.diagnostics) == case["errors"]


def test_tables_are_long_enough():
    assert len(STATEMENTS) >= 60
    assert len(IGNORED) >= 100
    assert len({tuple(case["errors"]) for case in STATEMENTS}) >= 60


def test_every_code_is_explained():
    sources = Path(codes.__file__).parent.glob("*.py")
    used = {code for path in sources for code in re.findall(r'"(Q3\d\d)"', path.read_text())}
    assert used == set(codes.CODES)
    for title, explanation in codes.CODES.values():
        assert title
        assert "Wrong:" in explanation
        assert "Right:" in explanation
