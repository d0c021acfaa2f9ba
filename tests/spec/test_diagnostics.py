"""Every code has a fixture: a small file, and the text of the diagnostics that it gives."""

import os
import re
from pathlib import Path

import pytest

from txweave.spec.build import Builder, Malformed
from txweave.spec.codes import CODES, explain
from txweave.spec.diagnostics import Report, SpecError
from txweave.spec.files import settle
from txweave.spec.fixes import apply_fixes
from txweave.spec.load import load_fix, load_model, load_study, parse_model
from txweave.spec.reader import MAX_BYTES, read_yaml
from txweave.spec.text import SourceFile

FIXTURES = Path(__file__).parent.parent / "fixtures" / "diagnostics" / "spec"
FILES = sorted(path.name for path in FIXTURES.glob("[A-Z]*.yaml"))
WITHOUT_FIXTURE = {"Y003", "Y025", "S100"}  # large files; a gap between schema and reader that does not exist: all tested elsewhere


def told(name: str) -> SpecError:
    """What is told about a fixture, read from the directory of the fixtures."""
    here = Path.cwd()
    os.chdir(FIXTURES)
    try:
        if name.endswith(".model.yaml"):
            load_model(name)
        elif name.endswith(".study.yaml"):
            load_study(name)
        else:
            apply_fixes(load_model("base.model.yaml"), [load_fix(name)])
    except SpecError as error:
        return error
    finally:
        os.chdir(here)
    raise AssertionError(f"{name} is accepted")


@pytest.mark.parametrize("name", FILES)
def test_fixture(name):
    error = told(name)
    rendered = "\n".join(diagnostic.render() for diagnostic in error.diagnostics) + "\n"
    expected = FIXTURES / name.replace(".yaml", ".txt")
    if os.environ.get("UPDATE_FIXTURES"):
        expected.write_text(rendered, encoding="utf-8")
    assert rendered == expected.read_text(encoding="utf-8")
    assert name.split("-")[0] in {diagnostic.code for diagnostic in error.diagnostics}


@pytest.mark.parametrize("name", FILES)
def test_codes_are_declared_and_places_are_inside_the_file(name):
    for diagnostic in told(name).diagnostics:
        assert diagnostic.code in CODES
        assert diagnostic.severity == "error"
        if diagnostic.span is None:
            continue
        content = diagnostic.span.file.content
        assert 0 <= diagnostic.span.start <= diagnostic.span.end <= len(content)
        quoted = re.match(
            r"(?:the (?:key|value|tag|alias|text|integer|step name) |there is no \w+ |)'([^'…]+)'", diagnostic.message
        )
        if quoted and diagnostic.code not in ("F210", "F209", "F206", "F207", "F222") and "stands" not in diagnostic.message:
            shown = content[diagnostic.span.start : diagnostic.span.end]
            assert quoted[1] in shown or "' lacks" in diagnostic.message or "has" in diagnostic.message or quoted[1] in content


def test_every_code_has_a_fixture():
    assert {name.split("-")[0] for name in FILES} | WITHOUT_FIXTURE == set(CODES)


def test_every_code_used_is_declared_and_every_one_declared_is_used():
    used = set()
    for path in (Path(__file__).parents[2] / "model" / "txweave" / "spec").glob("*.py"):
        if path.name != "codes.py":
            used |= set(re.findall(r'"([YSF][0-9]{3})"', path.read_text(encoding="utf-8")))
    assert used == set(CODES)


def test_no_expected_text_is_left_over():
    assert {path.name for path in FIXTURES.glob("*.txt")} == {name.replace(".yaml", ".txt") for name in FILES}


def test_a_file_that_is_too_large(tmp_path):
    path = tmp_path / "large.model.yaml"
    path.write_text("#" * (MAX_BYTES + 1))
    with pytest.raises(SpecError) as caught:
        load_model(path)
    assert [d.code for d in caught.value.diagnostics] == ["Y003"]


def test_what_is_skipped_is_told():
    report = Report()
    builder = Builder(report)
    node = read_yaml(SourceFile("x", "a: [b]"), report)
    with builder.unit():
        raise Malformed(node)
    with pytest.raises(SpecError) as caught:
        settle(builder, report)
    assert [d.code for d in caught.value.diagnostics] == ["S100"]


def test_explain():
    text = explain("y020")
    assert text is not None
    assert text.startswith("Y020: a comma ended a text")
    assert "Right:" in text
    assert explain("Q300") is None


def test_all_errors_of_a_file_at_once():
    source = FIXTURES / "Y010-truth.model.yaml"
    content = source.read_text(encoding="utf-8").replace("{run: work}", "{run: work, count: 0}").replace("never:", "nver:")
    with pytest.raises(SpecError) as caught:
        parse_model(SourceFile("x", content))
    assert {d.code for d in caught.value.diagnostics} >= {"Y010", "S108", "S101"}
