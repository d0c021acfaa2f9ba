from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from test_cli import FIX, SPEC, STUDY
from txweave.check import run_case
from txweave.report.formats import FORMATS
from txweave.testing import Checker, Undecided, assert_holds, assert_violated

pytest_plugins = ["pytester"]

# A run inside this process forgets what it has imported; some libraries can be imported only once.
for _name in (
    "numpy",
    "z3",
    "networkx",
    "sqlglot",
    "txweave.engines.explicit",
    "txweave.engines.z3",
    "txweave.semantics",
    "txweave.judge",
):
    import_module(_name)

INSTALLED = bool(entry_points(group="pytest11", name="txweave"))
PLUGIN = () if INSTALLED else ("-p", "txweave.pytest_plugin")
FAST = (*PLUGIN, "-p", "no:cacheprovider", "--txweave-engine", "explicit")


@pytest.fixture
def specs(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    folder = pytester.mkdir("specs")
    (folder / "counter.model.yaml").write_text(SPEC)
    (folder / "atomic.fix.yaml").write_text(FIX)
    (folder / "counting.study.yaml").write_text(STUDY)
    return pytester


def change(file: str, old: str, new: str) -> None:
    path = Path("specs", file)
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


AS_WRITTEN, FIXED = "specs/counting.study.yaml::as_written::", "specs/counting.study.yaml::fixed::"
TESTS = [f"{case}{name}" for case in (AS_WRITTEN, FIXED) for name in ("no_lost_update", "some_value")]


def names(result: pytest.RunResult) -> list[str]:
    return re.findall(r"^(specs/\S+::.*?)(?: PASSED.*| FAILED.*| ERROR.*|)$", result.stdout.str(), re.MULTILINE)


# ---------------------------------------------------------------------------------------------------------- collection


def test_a_test_for_each_property_of_each_case(specs: pytest.Pytester) -> None:
    assert names(specs.runpytest("--collect-only", "-q", *FAST)) == TESTS


def test_models_with_expectations_and_models_that_are_named(specs: pytest.Pytester) -> None:
    named = specs.runpytest("specs/counter.model.yaml", "--collect-only", "-q", *FAST)
    assert names(named) == [f"specs/counter.model.yaml::{s}::{p}" for s in ("two", "one") for p in ("no_lost_update", "some_value")]
    Path("specs/counter.model.yaml").write_text(SPEC + "expect: {no_lost_update: violated}\n")
    found = names(specs.runpytest("--collect-only", "-q", *FAST))
    assert len([name for name in found if name.startswith("specs/counter.model.yaml::")]) == 4
    assert len(found) == 8


def test_each_variant_of_a_sweep_can_be_chosen(specs: pytest.Pytester) -> None:
    change("counting.study.yaml", "scenario: two\n", "vary: {scenario: [two, one]}\n")
    change("counting.study.yaml", "{violated: 6}", "[{violated: 6}, holds]")
    every = names(specs.runpytest("--collect-only", "-q", *FAST))
    assert f"{AS_WRITTEN}no_lost_update[scenario=one]" in every
    assert len(every) == 8
    one = specs.runpytest(f"{AS_WRITTEN}no_lost_update[scenario=one]", "-v", *FAST)
    assert names(one) == [f"{AS_WRITTEN}no_lost_update[scenario=one]"]
    one.assert_outcomes(passed=1)
    both = specs.runpytest(f"{AS_WRITTEN}no_lost_update", "-v", *FAST)
    both.assert_outcomes(passed=2)


def test_what_is_wrong_is_an_error_of_collection_with_its_diagnostics(specs: pytest.Pytester) -> None:
    Path("specs/broken.study.yaml").write_text("study: broken\nmodel: counter.model.yaml\nkases: {}\n")
    result = specs.runpytest(*FAST)
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.assert_outcomes(errors=1)
    text = result.stdout.str()
    assert "specs/broken.study.yaml:3:1: error" in text
    assert "did you mean 'cases'?" in text
    assert "Traceback" not in text
    assert "pytest_plugin" not in text
    assert specs.runpytest("--continue-on-collection-errors", *FAST).parseoutcomes() == {"passed": 4, "errors": 1}


def test_a_case_without_properties_is_an_error(specs: pytest.Pytester) -> None:
    path = Path("specs/counter.model.yaml")
    path.write_text(SPEC[: SPEC.index("properties:")] + "properties: {}\n")
    change("counting.study.yaml", "{expect: {no_lost_update: {violated: 6}}}", "{}")
    result = specs.runpytest(*FAST)
    assert result.ret != 0
    assert "errors" in result.parseoutcomes()


# ------------------------------------------------------------------------------------------------------------- outcomes


def test_all_as_expected(specs: pytest.Pytester) -> None:
    result = specs.runpytest("-v", *FAST)
    assert result.ret == 0
    result.assert_outcomes(passed=4)
    assert names(result) == TESTS


def test_a_failure_is_the_story_and_no_traceback(specs: pytest.Pytester) -> None:
    change("counting.study.yaml", "{violated: 6}", "holds")
    result = specs.runpytest(*FAST)
    result.assert_outcomes(passed=3, failed=1)
    text = result.stdout.str()
    assert "as_written::no_lost_update" in text
    assert "violated, expected holds" in text
    assert "UPDATE counter SET value = 0 + 1 WHERE" in text
    assert "~ counter 1: value 0 → 1" in text
    assert "After step 6, the query has a row that must never be." in text
    assert "Traceback" not in text
    assert ".py" not in text.split("FAILURES")[1]
    assert f"FAILED {AS_WRITTEN}no_lost_update - " in text


@pytest.mark.parametrize("arguments", [(), ("-n", "1"), ("--tb=no", "-rA")])
def test_unknown_is_an_error_and_never_skipped(specs: pytest.Pytester, arguments: tuple[str, ...]) -> None:
    result = specs.runpytest("--txweave-max-states", "3", *arguments, *FAST)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert result.parseoutcomes() == {"errors": 4}
    assert "unknown (max-states), expected" in result.stdout.str() or "--tb=no" in arguments


def test_what_is_wrong_in_the_sql_is_an_error_with_its_diagnostics(specs: pytest.Pytester) -> None:
    change("counter.model.yaml", "SELECT value FROM counter WHERE", "SELECT valu FROM counter WHERE")
    result = specs.runpytest("-k", "fixed", *FAST)
    assert result.parseoutcomes() == {"errors": 2, "deselected": 2}
    assert "specs/counter.model.yaml:14" in result.stdout.str()
    assert "Traceback" not in result.stdout.str()


def test_a_self_check_that_fails_is_an_error(specs: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("txweave.judge.judge", lambda *_: ("it is none",))
    result = specs.runpytest_inprocess(*FAST)
    assert result.parseoutcomes() == {"passed": 3, "errors": 1}
    assert "self-check failed: the counterexample of explicit is not one: it is none" in result.stdout.str()


def test_an_internal_error_is_an_error_of_every_test_of_the_case(specs: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("txweave.check.prepare", lambda _: 1 / 0)
    result = specs.runpytest_inprocess(*FAST)
    assert result.parseoutcomes() == {"errors": 4}
    assert "internal error: ZeroDivisionError" in result.stdout.str()


def test_what_fails_for_the_whole_case_is_an_error_of_every_test_of_it(
    specs: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("txweave.check.run_case", lambda *arguments: replace(run_case(*arguments), failures=("the clock stopped",)))
    result = specs.runpytest_inprocess("-k", "fixed", *FAST)
    assert result.parseoutcomes() == {"errors": 2, "deselected": 2}
    assert "the clock stopped" in result.stdout.str()


def test_findings_are_told_once(specs: pytest.Pytester) -> None:
    never = "      - rest: {if: 1 = 2, then: [{never: commit}]}\n"
    change("counter.model.yaml", "      - finish: commit", f"{never}      - finish: commit")
    text = specs.runpytest("-k", "as_written", *FAST).stdout.str()
    assert "what the verdicts do not say" in text
    assert text.count("increment.never is never executed") == 1


# --------------------------------------------------------------------------------------------------- pytest's own options


def test_choosing(specs: pytest.Pytester) -> None:
    specs.runpytest("-k", "fixed and lost", *FAST).assert_outcomes(passed=1, deselected=3)
    specs.runpytest("-k", "atomic", *FAST).assert_outcomes(passed=2, deselected=2)
    specs.runpytest("-m", "not txweave", *FAST).assert_outcomes(deselected=4)
    specs.runpytest(f"{FIXED}some_value", *FAST).assert_outcomes(passed=1)


def test_stopping_at_the_first_and_beginning_with_the_last_failed(specs: pytest.Pytester) -> None:
    change("counting.study.yaml", "{violated: 6}", "holds")
    options = [*PLUGIN, "--txweave-engine", "explicit"]
    assert specs.runpytest("-x", *options).parseoutcomes() == {"failed": 1}
    assert specs.runpytest("--lf", *options).parseoutcomes() == {"failed": 1, "deselected": 3}
    change("counting.study.yaml", "{no_lost_update: holds}", "{no_lost_update: violated}")
    assert specs.runpytest("--lf", *options).parseoutcomes() == {"passed": 1, "deselected": 3}


def test_junit(specs: pytest.Pytester) -> None:
    change("counting.study.yaml", "{violated: 6}", "holds")
    specs.runpytest("--junitxml=out.xml", *FAST)
    suite = ET.parse("out.xml").getroot()[0]
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors"), suite.get("skipped")) == ("4", "1", "0", "0")
    test = suite.find("testcase[@classname='specs.counting.study.yaml.as_written'][@name='no_lost_update']")
    assert test is not None
    properties = {p.get("name"): p.get("value") for p in test.findall("properties/property")}
    assert properties["verdict"] == "violated (6)"
    assert int(properties["states"]) > 10
    assert "UPDATE counter SET value = 0 + 1" in test.find("failure").text
    specs.runpytest("--junitxml=out.xml", "--txweave-max-states", "3", *FAST)
    suite = ET.parse("out.xml").getroot()[0]
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors"), suite.get("skipped")) == ("4", "0", "4", "0")


COUNT = """
import os
import txweave.check
explore = txweave.check.run_case
def counted(selected, *more):
    with open("explored.txt", "a") as file:
        file.write(f"{os.environ.get('PYTEST_XDIST_WORKER', '')} {selected.case.name}\\n")
    return explore(selected, *more)
txweave.check.run_case = counted
"""


def explored() -> list[str]:
    return sorted(Path("explored.txt").read_text().splitlines())


def test_the_tests_of_a_case_share_one_exploration(specs: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)  # this test may itself run in one
    specs.makeconftest(COUNT)
    specs.runpytest_subprocess(*FAST).assert_outcomes(passed=4)
    assert explored() == [" as_written", " fixed"]


@pytest.mark.parametrize("dist", ["load", "loadscope"])
def test_in_several_processes(specs: pytest.Pytester, dist: str) -> None:
    specs.makeconftest(COUNT)
    specs.runpytest_subprocess("-n", "2", "--dist", dist, *FAST).assert_outcomes(passed=4)
    found = explored()
    assert len(found) == len(set(found)), "each process explores a case at most once"
    if dist != "load":
        assert len(found) == 2, "and no two explore the same"


# ------------------------------------------------------------------------------------------------------------- options


def test_options_reach_the_check(specs: pytest.Pytester) -> None:
    specs.makeconftest(
        """
import txweave.check
def refuse(selected, options, *more):
    raise RuntimeError(repr(options))
txweave.check.run_case = refuse
"""
    )
    given = ["--txweave-engine", "z3", "--txweave-max-states", "7", "--txweave-max-memory", "8", "--txweave-timeout", "1.5"]
    text = specs.runpytest_subprocess(*PLUGIN, "--tb=line", *given).stdout.str()
    assert "Options(engine='z3', properties=(), max_states=7, max_memory=8, timeout=1.5, max_depth=None" in text


@pytest.mark.parametrize("option", ["--txweave-max-states=0", "--txweave-timeout=-1", "--txweave-engine=tlc"])
def test_wrong_options(specs: pytest.Pytester, option: str) -> None:
    assert specs.runpytest(option, *PLUGIN).ret == pytest.ExitCode.USAGE_ERROR


def test_defaults_come_from_the_projects_file(specs: pytest.Pytester) -> None:
    Path("pyproject.toml").write_text('[tool.txweave]\nengine = "explicit"\nmax-states = 1\nquiet = true\n')
    arguments = (*PLUGIN, "-p", "no:cacheprovider")
    limited = specs.runpytest(*arguments)
    limited.assert_outcomes(errors=4)
    assert "unknown (max-states)" in limited.stdout.str()
    specs.runpytest(*arguments, "--txweave-max-states", "1000").assert_outcomes(passed=4)
    specs.runpytest(*arguments, "--txweave-no-config").assert_outcomes(passed=4)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("max-states = 0", "pyproject.toml:2: 0 is not more than 0"),
        ('engine = "tlc"', "pyproject.toml:2: 'tlc' is not one of explicit, z3, both"),
        ("max-state = 1", "did you mean 'max-states'?"),
    ],
)
def test_a_projects_file_that_is_wrong_is_an_error(specs: pytest.Pytester, line: str, words: str) -> None:
    Path("pyproject.toml").write_text(f"[tool.txweave]\n{line}\n")
    result = specs.runpytest(*PLUGIN)
    assert result.ret == pytest.ExitCode.INTERRUPTED
    assert words in result.stdout.str()


def test_strict_makes_findings_errors(specs: pytest.Pytester) -> None:
    change("counter.model.yaml", "procedures:", "procedures:\n  never_used:\n    steps:\n      - nothing: return")
    plain = specs.runpytest(*FAST)
    strict = specs.runpytest(*FAST, "--txweave-strict")
    plain.assert_outcomes(passed=4)
    strict.assert_outcomes(passed=2, errors=2)  # the model is linted once, with its first case
    assert "never_used" in strict.stdout.str()


# ------------------------------------------------------------------------------------------------- projects without specs


def test_without_specifications_nothing_is_imported(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import sys
        def test_it():
            loaded = {name for name in sys.modules if name.startswith("txweave.")}
            assert loaded <= {"txweave.pytest_plugin"}, loaded
            assert not {"z3", "sqlglot", "networkx", "yaml"} & set(sys.modules)
        """
    )
    pytester.runpytest_subprocess("--strict-markers", *PLUGIN).assert_outcomes(passed=1)


def test_it_can_be_switched_off(specs: pytest.Pytester) -> None:
    off = ["-p", "no:txweave"] if INSTALLED else []
    assert specs.runpytest_subprocess("specs", *off).ret == pytest.ExitCode.NO_TESTS_COLLECTED


# -------------------------------------------------------------------------------------------------- tests in Python

MODEL, ATOMIC = "specs/counter.model.yaml", "specs/atomic.fix.yaml"


def test_the_fixture(specs: pytest.Pytester) -> None:
    specs.makepyfile(
        f"""
        def test_fixed(txweave):
            txweave.assert_holds({MODEL!r}, [{ATOMIC!r}])

        def test_as_written(txweave):
            story = txweave.assert_violated({MODEL!r}, property="no_lost_update", scenario="two", length=6)
            assert [step.step for step in story.steps].count("write") == 2

        def test_wrong(txweave):
            txweave.assert_holds({MODEL!r}, property="no_lost_update")
        """
    )
    result = specs.runpytest("test_the_fixture.py", *FAST)
    result.assert_outcomes(passed=2, failed=1)
    text = result.stdout.str()
    assert "no_lost_update in two: violated, expected holds" in text
    assert "UPDATE counter SET value = 0 + 1" in text
    assert "txweave/testing.py" not in text, "the failure is the test's"
    limited = specs.runpytest("test_the_fixture.py", "--txweave-max-states", "3", *FAST)
    limited.assert_outcomes(failed=3)
    assert "Undecided: " in limited.stdout.str()


DOCS = Path(__file__).parent.parent / "docs" / "ci.md"


def test_the_documentations_example(pytester: pytest.Pytester) -> None:
    Path("specs").symlink_to(DOCS.parent.parent / "specs")
    (code,) = re.findall(r"```python\n(.*?)```", DOCS.read_text(), re.DOTALL)
    pytester.makepyfile(test_documented=code)
    pytester.runpytest("test_documented.py", *FAST).assert_outcomes(passed=2)


def test_every_option_and_format_is_documented(pytester: pytest.Pytester) -> None:
    text = DOCS.read_text()
    options = set(re.findall(r"--txweave-[a-z-]+", pytester.runpytest("--help", *PLUGIN).stdout.str()))
    assert options
    assert {f"`{option}" for option in options} <= set(re.findall(r"`--txweave-[a-z-]+", text))
    assert [name for name in FORMATS if f"| `{name}` |" not in text] == []


def test_assertions(specs: pytest.Pytester) -> None:
    assert [r.scenario for r in assert_holds(MODEL, ATOMIC)] == ["two", "one"]
    assert_holds(MODEL, scenario="one", settings={"step": 2})
    assert assert_violated(Path(MODEL), property="no_lost_update", scenario="two").length == (6,)
    with pytest.raises(AssertionError, match=r"no_lost_update in two: violated, expected holds[\s\S]*UPDATE counter SET value = 0"):
        assert_holds(MODEL)
    with pytest.raises(AssertionError, match="no_lost_update in one: holds, expected violated"):
        assert_violated(MODEL, property="no_lost_update", scenario="one")
    with pytest.raises(AssertionError, match=r"violated \(6\), expected length 5"):
        assert_violated(MODEL, property="no_lost_update", scenario="two", length=5)


def test_a_models_own_expectations_play_no_part(specs: pytest.Pytester) -> None:
    Path(MODEL).write_text(SPEC + "expect: {no_lost_update: violated}\n")
    with pytest.raises(AssertionError, match="violated, expected holds"):
        assert_holds(MODEL, scenario="two")


def test_unknown_is_undecided_either_way(specs: pytest.Pytester) -> None:
    from txweave.check import Options

    few = Options(engine="explicit", max_states=3)
    with pytest.raises(Undecided, match=r"unknown \(max-states\)"):
        assert_holds(MODEL, ATOMIC, scenario="two", options=few)
    with pytest.raises(Undecided, match=r"unknown \(max-states\)"):
        assert_violated(MODEL, property="no_lost_update", scenario="two", options=few)


def test_a_self_check_that_fails_is_undecided(specs: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("txweave.judge.judge", lambda *_: ("it is none",))
    with pytest.raises(Undecided, match="self-check failed"):
        assert_violated(MODEL, property="no_lost_update", scenario="two")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"scenario": "tow"}, "did you mean 'two'?"),
        ({"property": "no_lost_updates"}, "did you mean 'no_lost_update'?"),
        ({"settings": {"stop": 1}}, "there is no parameter 'stop'"),
        ({"fixes": "specs/nothing.fix.yaml"}, "nothing.fix.yaml"),
    ],
)
def test_wrong_names(specs: pytest.Pytester, arguments: dict[str, object], message: str) -> None:
    with pytest.raises(Exception, match=re.escape(message)) as error:
        assert_holds(MODEL, **arguments)
    assert not isinstance(error.value, AssertionError)


def test_what_is_violated_where_must_be_said(specs: pytest.Pytester) -> None:
    with pytest.raises(Exception, match="say in which scenario: two, one"):
        assert_violated(MODEL, property="no_lost_update")


def test_a_checker_explores_the_same_once(specs: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    monkeypatch.setattr("txweave.testing.run_case", lambda selected, options: calls.append(selected) or run_case(selected, options))
    checker = Checker()
    for _ in range(2):
        checker.assert_holds(MODEL, ATOMIC, scenario="two", property="some_value")
    assert len(calls) == 1
    checker.assert_holds(MODEL, scenario="two", property="some_value")
    checker.assert_holds(MODEL, ATOMIC, scenario="two")
    assert len(calls) == 3, "another composition, and other properties"


def test_the_plugin_imports_nothing_but_itself() -> None:
    code = """
import argparse, sys, pytest
before = set(sys.modules)
import txweave.pytest_plugin
print(sorted(set(sys.modules) - before))
"""
    added = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert added.strip() == "['txweave', 'txweave.pytest_plugin']"


# ------------------------------------------------------------------------------------------------------ known violations


def test_a_known_violation_passes_and_is_listed_until_its_day_is_over(specs: pytest.Pytester) -> None:
    known = '{violated: 6, known: {until: "2999-12-31", reason: "fixed by the next release"}}'
    change("counting.study.yaml", "{violated: 6}", known)
    result = specs.runpytest(f"{AS_WRITTEN}no_lost_update", *FAST)
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(
        ["*txweave: known violations*", "*as_written: no_lost_update: violated (6), known until 2999-12-31 (*"]
    )
    change("counting.study.yaml", "2999-12-31", "2001-12-31")
    late = specs.runpytest(f"{AS_WRITTEN}no_lost_update", *FAST)
    late.assert_outcomes(failed=1)
    late.stdout.fnmatch_lines(["*accepted only until 2001-12-31: fixed by the next release*"])
    late.stdout.no_fnmatch_line("*txweave: known violations*")
