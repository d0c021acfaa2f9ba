from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import replace

import pytest

import report_samples as samples
from txweave.report.formats import FORMATS, FormatError, Where, targets
from txweave.report.outcomes import Outcome, items, outcome, repository_path, step_line
from txweave.report.sequence import sequence_diagram
from txweave.results import Relation
from txweave.verdict import Status


def rendered(name: str, report) -> str:
    made = FORMATS[name].render(report)
    return made if isinstance(made, str) else "".join(f"{file}\n{text}" for file, text in made.items())


@pytest.mark.parametrize("relation", Relation)
def test_only_what_is_as_expected_passes(relation: Relation) -> None:
    expected = {Relation.AS_EXPECTED: Outcome.PASS, Relation.DIFFERS: Outcome.FAIL}.get(relation, Outcome.ERROR)
    assert outcome(samples.prop("p", Status.UNKNOWN, relation)) is expected


@pytest.mark.parametrize("kind", samples.KINDS)
def test_outcomes_agree_with_the_exit_status(kind: str) -> None:
    report = samples.KINDS[kind]
    for case in report.results:
        found = {item.outcome for item in items(case)}
        assert found, "a case without items would be a pass"
        assert (found == {Outcome.PASS}) == (case.exit == 0)
        assert (Outcome.FAIL in found) >= (case.exit == 1)
        assert (Outcome.ERROR in found) >= (case.exit in (2, 3, 4))


@pytest.mark.parametrize("name", FORMATS)
def test_deterministic(name: str) -> None:
    code = f"""
import sys; sys.path.insert(0, {os.path.dirname(samples.__file__)!r})
import report_samples
from txweave.report.formats import FORMATS
made = FORMATS[{name!r}].render(report_samples.EVERYTHING)
sys.stdout.write(made if isinstance(made, str) else repr(made))
"""  # noqa: PTH120
    outputs = []
    for seed in ("1", "2"):
        env = {**os.environ, "PYTHONHASHSEED": seed, "FORCE_COLOR": "1", "COLUMNS": str(40 + 40 * int(seed)), "PYTHONUTF8": "1"}
        outputs.append(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, env=env).stdout)
    assert outputs[0] == outputs[1], "whatever the hash seed and the terminal"
    assert b"\x1b" not in outputs[0]
    assert not re.search(rb"[0-9]\.[0-9]+ s\b", outputs[0]), "no seconds"


@pytest.mark.parametrize("name", [name for name in FORMATS if name != "itf"])
def test_unknown_is_in_every_report_and_never_like_a_pass(name: str) -> None:
    holds = samples.report(
        samples.case("as_written", samples.HOLDS, samples.prop("taken_once", Status.HOLDS, Relation.AS_EXPECTED))
    )
    assert "unknown (max-states)" in rendered(name, samples.OPEN)
    assert rendered(name, samples.OPEN) != rendered(name, holds)


@pytest.mark.parametrize("kind", samples.KINDS)
@pytest.mark.parametrize("name", FORMATS)
def test_every_format_of_everything(name: str, kind: str) -> None:
    rendered(name, samples.KINDS[kind])


# ------------------------------------------------------------------------------------------------------------ the option


def test_where_formats_go() -> None:
    found = targets(("json", "junit=a.xml", "github", "itf=traces", "markdown=b.md"), summary=False)
    assert [(t.form.name, t.path, t.where(summary=False)) for t in found] == [
        ("json", None, Where.OUTPUT),
        ("junit", "a.xml", None),
        ("github", None, Where.ERROR),
        ("itf", "traces", None),
        ("markdown", "b.md", None),
    ]
    (summary,) = targets(("markdown",), summary=True)
    assert summary.where(summary=True) is Where.SUMMARY
    assert summary.where(summary=False) is Where.OUTPUT


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (("jsn",), "there is no format 'jsn': did you mean 'json'?"),
        (("json=",), "names no file"),
        (("json=-",), "--format json alone"),
        (("itf",), "name a directory, --format itf=DIR"),
        (("json", "sarif"), "json and sarif cannot share the standard output: --format sarif=FILE"),
        (("json", "markdown"), "json and markdown cannot share"),
        (("text", "json"), "cannot share"),
        (("json=a", "sarif=./a"), "asked for twice"),
        (("github", "github"), "github is asked for twice"),
    ],
)
def test_what_cannot_be(values: tuple[str, ...], message: str) -> None:
    with pytest.raises(FormatError, match=re.escape(message)):
        targets(values, summary=False)


def test_with_a_summary_markdown_leaves_the_output_free() -> None:
    assert len(targets(("json", "markdown"), summary=True)) == 2


# ------------------------------------------------------------------------------------------------------------- one line


def test_steps_in_a_line() -> None:
    lines = [step_line(step) for step in samples.story("all_taken").steps]
    assert lines[-1].startswith("worker 1: crashes, its transaction rolls back")
    assert "lost with its transaction: job 1" in lines[-1]
    assert step_line(samples.story().steps[5]) == (
        "worker 2 take_job.take: UPDATE job SET state = 'taken' -- not :this WHERE id = 1; resumes"
    )


def test_a_note_that_an_event_repeats_is_not_told_twice() -> None:
    waits = replace(samples.story().steps[3], note="waits for", events=("waits for worker 1",))
    assert step_line(waits).count("waits for") == 1
    assert sequence_diagram(replace(samples.story(), steps=(waits,))).count("waits for") == 1


def test_paths_of_the_repository(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sub").mkdir()
    monkeypatch.chdir(tmp_path / "sub")
    assert repository_path("./a/../b.yaml") == "b.yaml", "without a repository, of the current directory"
    assert repository_path(str(tmp_path / "c.yaml")) == (tmp_path / "c.yaml").as_posix()
