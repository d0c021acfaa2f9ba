from __future__ import annotations

import ast
import importlib.util
import json
import re
from functools import cache
from pathlib import Path

import pytest

from txweave.check import Options
from txweave.collect import Choice, collect
from txweave.results import CaseResult, Relation
from txweave.run import run_cases
from txweave.spec.files import parse_model
from txweave.spec.fixes import apply_fixes
from txweave.spec.load import load_fix, load_model, load_study
from txweave.spec.render import render_model
from txweave.spec.text import SourceFile
from txweave.sql.bind import bind_model

ROOT = Path(__file__).parents[2]
SPECS = ROOT / "specs" / "airflow"
DOCS = ROOT / "docs" / "airflow"
MODEL = SPECS / "backfill-3.1.6.model.yaml"
STUDIES = sorted([*SPECS.glob("*.study.yaml"), *DOCS.glob("*.study.yaml")])
FIXES = {path.name.removesuffix(".fix.yaml"): path for path in sorted(SPECS.glob("*.fix.yaml"))}


@cache
def results(study: str) -> dict[str, CaseResult]:
    cases = collect([str(SPECS / f"{study}.study.yaml")], Choice()).cases
    return {result.case: result for result in run_cases(cases, Options(engine="explicit"))}


def test_headline_is_as_expected():
    for result in results("headline").values():
        assert not result.errors
        assert not result.failures
        assert {p.name: p.text for p in result.properties if p.relation is not Relation.AS_EXPECTED} == {}


@pytest.mark.parametrize(
    ("design", "broken"),
    [
        ("released-3-1", {"P1_no_premature_completion", "P1_strict", "P3_one_active", "P6_refused_clean"}),
        ("exists-guard", {"P2_never_blocked", "P3_one_active", "P6_refused_clean"}),
        ("flush", {"P3_one_active"}),
        ("guard-or-age", {"P1_no_premature_completion", "P1_strict", "P3_one_active", "P6_refused_clean"}),
        ("guard-or-age-and-handler", {"P1_no_premature_completion", "P1_strict", "P3_one_active", "P6_refused_clean"}),
        ("guard-and-handler", {"P2_never_blocked", "P3_one_active", "P6_refused_clean"}),
        ("marker", {"P2_never_blocked", "P3_one_active", "P6_refused_clean"}),
        ("recheck", {"P1_no_premature_completion", "P1_strict", "P3_one_active", "P6_refused_clean"}),
        ("flush-and-row-lock", set()),
        ("flush-and-unique-index", set()),
    ],
)
def test_table_of_the_documentation(design: str, broken: set[str]):
    # What docs/airflow/debate.md prints: a design breaks a property if one of its two scenarios does.
    found = {
        p.name
        for name, result in results("headline").items()
        if name.startswith(f"{design}[")
        for p in result.properties
        if p.text.startswith("violated")
    }
    assert found == broken


def test_cutoff_is_safe_exactly_from_the_bound_on():
    minutes = re.compile(r"within-(\d+)min\[cut_off=(\d+)min\]")
    seen = set()
    for name, result in results("cutoff").items():
        if match := minutes.fullmatch(name):
            bound, cut_off = map(int, match.groups())
            strict = next(p.text for p in result.properties if p.name == "P1_strict")
            assert strict.startswith("violated") == (bound > cut_off), name
            seen.add(bound > cut_off)
    assert seen == {True, False}


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.name)
def test_studies_compose_and_say_how_long(path: Path):
    study = load_study(path)
    assert study.cases
    for case in study.cases:
        for name, expected in case.expect.items():
            assert expected.verdict != "violated" or expected.length is not None, f"{case.name}: {name}"


@pytest.mark.parametrize("name", FIXES)
def test_every_fix_composes_with_what_it_requires(name: str):
    fixes = {}
    pending = [name]
    while pending:
        current = pending.pop()
        fixes[current] = load_fix(FIXES[current])
        pending += [r.value for r in fixes[current].requires if r.value not in fixes]
    bind_model(apply_fixes(load_model(MODEL), fixes.values()))


def test_every_fix_is_used_by_a_study():
    used = {Path(name).name for path in STUDIES for name in re.findall(r"[\w-]+\.fix\.yaml", path.read_text(encoding="utf-8"))}
    assert used == {path.name for path in FIXES.values()}


def tool():
    spec = importlib.util.spec_from_file_location("digests", DOCS / "digests.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_cited_digests_are_recorded():
    record = json.loads((DOCS / "sources.json").read_text(encoding="utf-8"))
    cited = re.compile(r'module: ([\w.]+), function: ([\w.]+), digest: "(\w+)"')
    found = 0
    for path in [MODEL, *FIXES.values()]:
        text = path.read_text(encoding="utf-8")
        assert text.count("source:") == len(cited.findall(text)), path.name
        for module, function, digest in cited.findall(text):
            assert digest in {release[f"{module}:{function}"] for release in record.values()}, f"{path.name}: {function}"
            found += 1
    assert found > 50


def test_digest_follows_the_code_and_nothing_else():
    digests = tool().digests
    one = digests("class A:\n    def f(self, x):\n        return x + 1  # why\n")
    assert one == digests("class A:\n\n    def f(self,\n          x):\n        return (x + 1)\n")
    assert one["A.f"] != digests("class A:\n    def f(self, x):\n        return x + 2\n")["A.f"]
    # Written down, so that another version of Python has to find the same.
    assert one == {"A.f": "5e5e5f509fcd"}


def test_what_changed_between_the_releases_is_said():
    record = json.loads((DOCS / "sources.json").read_text(encoding="utf-8"))
    said = (DOCS / "model.md").read_text(encoding="utf-8")
    old, new = record["3.1.6"], record["3.3.2"]
    changed = [name.rpartition(":")[2].rpartition(".")[2] for name in old if old[name] is not None and old[name] != new[name]]
    assert len(changed) > 10
    assert [name for name in changed if f"`{name}`" not in said] == []


def test_releases_are_what_the_documentation_says():
    """And each, printed whole, is a model that means the same."""
    said = {}
    for line in (DOCS / "model.md").read_text(encoding="utf-8").splitlines():
        if match := re.search(r"\| `(airflow-[\d-]+)` \|$", line):
            said[match[1]] = set(re.findall(r"`([\w-]+)`", line.split("|")[2])) & FIXES.keys()
    found = {}
    for case in load_study(SPECS / "releases.study.yaml").cases:
        found[case.name.partition("[")[0]] = set(case.fixes)
        text = render_model(case.model)
        printed = parse_model(SourceFile("printed.model.yaml", text))
        assert bind_model(printed).procedures.keys() == case.model.procedures.keys()
        # Which fixes made it stands in comments, and is no part of the model.
        assert render_model(printed) == re.sub(r"^# with the fix .*\n", "", text, flags=re.MULTILINE)
    assert found == said


def test_scenarios_of_the_replay_on_airflow_are_those_of_the_findings():
    tree = ast.parse((DOCS / "replay_on_airflow.py").read_text(encoding="utf-8"))
    (predicted,) = [
        node.value for node in tree.body if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "PREDICTED"
    ]
    assert isinstance(predicted, ast.Dict)
    scenarios = {ast.unparse(key) for key in predicted.keys if key is not None}
    findings = (DOCS / "findings.md").read_text(encoding="utf-8")
    assert set(re.findall(r"as predicted  (\w+):", findings)) == scenarios
    rows = [line.split("|")[3] for line in findings.splitlines() if line.startswith("|") and "--case" in line]
    assert {name for row in rows for name in re.findall(r"`(\w+)`", row)} < scenarios
    assert all("not replayed" in row or "`" in row for row in rows)


def test_commands_of_the_documentation_name_what_exists():
    properties = set(load_model(MODEL).properties)
    cases = {path.name: {case.name for case in load_study(path).cases} for path in STUDIES}
    for names in cases.values():
        names |= {name.partition("[")[0] for name in names}
    seen = 0
    for path in DOCS.glob("*.md"):
        for line in path.read_text(encoding="utf-8").splitlines():
            studies = re.findall(r"([\w-]+\.study\.yaml)", line)
            for name in re.findall(r"--case '?([\w\[\]=-]+)", line):
                assert name in cases[studies[0]], f"{path.name}: {name}"
                seen += 1
            assert set(re.findall(r"--story (\w+)", line)) <= properties, line
            assert set(studies) <= set(cases), line
    assert seen > 10
