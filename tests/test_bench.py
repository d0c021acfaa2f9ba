"""The bench: minicheck gets the same system, what is measured is that, and no ratio is printed where counts differ."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

import random_systems
import toys
from bench import __main__ as command
from bench import minicheck_program, models, report
from bench.measure import LAUNCHER, Failed, Launcher
from bench.tools import Contest, Result, Settings
from txweave.collect import Choice, collect
from txweave.engines.explicit import explore
from txweave.export.run import MissingTool, ToolError
from txweave.system.ground import GroundSystem, ground
from txweave.verdict import Limits

ROOT = Path(__file__).parents[1]


# ----------------------------------------------------------------------------------------------------------- minicheck


def by_minicheck(system: GroundSystem) -> tuple[int, int]:
    """States that minicheck counts, and transitions from them."""
    import minicheck

    space: dict[str, object] = {"__name__": "generated"}
    exec(compile(minicheck_program.render(system, 'a "title" \\'), "<generated>", "exec"), space)
    model = space["MODEL"]
    found = minicheck.check_safety(model, max_states=10**6)
    assert found["exhaustive"]
    seen, todo, transitions = {model.initial}, [model.initial], 0
    while todo:
        for _, after in model.transitions(todo.pop()):
            transitions += 1
            if after not in seen:
                seen.add(after)
                todo.append(after)
    assert len(seen) == found["reachable_states"]
    return len(seen), transitions


def by_txweave(system: GroundSystem) -> tuple[int, int]:
    found = explore(system, graph=True)
    assert found.graph is not None
    return len(found.packed), int((found.graph.targets >= 0).sum())


@pytest.mark.parametrize(
    "system",
    [
        toys.counter(4, stop=True),
        toys.bounded(),
        toys.mutex(3, locked=False),
        toys.philosophers(3),
        toys.two_phase_commit(3, careless=True),
        toys.clock(5),
        *(random_systems.make(seed, tiny=True, live=True) for seed in range(12)),
    ],
    ids=lambda system: system.name,
)
def test_minicheck_gets_the_same_system(system) -> None:
    made = ground(system)
    assert by_minicheck(made) == by_txweave(made)


@pytest.mark.parametrize(
    ("path", "case"),
    [("specs/two-commits.study.yaml", "guarded"), ("specs/lease/lease.study.yaml", "fenced")],
)
def test_minicheck_gets_the_same_specification(path: str, case: str) -> None:
    made = models.load(str(ROOT / path), case)
    assert by_minicheck(made) == by_txweave(made)


# -------------------------------------------------------------------------------------------------------------- models


def test_the_models_are_there() -> None:
    assert len({model.name for model in models.MODELS}) == len(models.MODELS)
    for model in models.MODELS:
        found = collect([str(ROOT / model.path)], Choice())
        assert model.case in [selected.case.name for selected in found.cases]
        if model.path.startswith("bench/"):
            assert explore(models.load(str(ROOT / model.path), model.case), limits=Limits(max_states=300)).stopped == "max-states"


def test_a_case_that_is_not_there() -> None:
    with pytest.raises(SystemExit, match=r"has no case nothing: .*fenced"):
        models.load(str(ROOT / "specs/lease/lease.study.yaml"), "nothing")


# -------------------------------------------------------------------------------------------------------------- report


def result(tool: str, states: int = 1_000_000, seconds: float = 1.0, transitions: int | None = 5_000_000) -> Result:
    return Result(tool, states, transitions, (seconds, 2 * seconds), (seconds / 2, seconds / 4), 64.0)


def contested(**results: list[Result]) -> report.Contested:
    return report.Contested("a model", "a.model.yaml", "a case", results, {})


def test_ratios_are_taken_round_by_round() -> None:
    one = contested(
        txweave=[result("txweave", seconds=s) for s in (1.0, 2.0, 4.0)],
        tlc=[result("tlc", seconds=s) for s in (30.0, 20.0, 100.0)],
    )
    assert one.ratios(lambda r: r.whole[0]) == {"tlc": report.Spread(25.0, 10.0, 30.0)}
    text = report.table(one)
    assert "| TLC | 25.0 (10.0–30.0) | 25.0 (10.0–30.0) | 25.0 (10.0–30.0) | 25.0 (10.0–30.0) | 20: met |" in text
    assert "1,000,000 states, 5,000,000 transitions" in text
    # A million states in half a CPU second (the median of 0.25, 0.5 and 1), in 64 MiB.
    assert "| 2,000,000 | 10,000,000 | 64 | 67 |" in text


def test_a_goal_that_is_missed_is_named_on_models_that_are_large_enough() -> None:
    one = contested(txweave=[result("txweave")], minicheck=[result("minicheck", seconds=14.0, transitions=None)])
    assert "| minicheck | 14.0 | 14.0 | 14.0 | 14.0 | 15: missed |" in report.table(one)
    few = contested(txweave=[result("txweave", states=499_999)], minicheck=[result("minicheck", 499_999, 14.0, None)])
    assert "| minicheck | 14.0 | 14.0 | 14.0 | 14.0 |  |" in report.table(few)


@pytest.mark.parametrize("other", [result("spin", states=1_000_001), result("spin", transitions=4_999_999)])
def test_no_ratio_where_counts_differ(other: Result) -> None:
    one = contested(txweave=[result("txweave")], spin=[result("spin"), other], minicheck=[result("minicheck", transitions=None)])
    assert len(one.disagreements) == 1
    text = report.table(one)
    assert "**No ratios: a model: the numbers of " in text
    assert "times txweave's" not in text
    assert report.as_json({}, [one])["models"][0]["ratios"]["whole_wall"] == {}


def test_what_is_missing_is_named() -> None:
    one = contested(txweave=[result("txweave")], tlc=[])
    one.absent["tlc"] = "missing: there is no java"
    assert "| TLC | missing: there is no java |" in report.table(one)
    assert "times txweave's" not in report.table(one)


class Canned(Contest):
    """Tools that say what they are told to."""

    answers: dict[str, list[Result | Exception]]

    def run(self, tool: str) -> Result:
        answer = self.answers[tool].pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def ran(monkeypatch, tmp_path: Path, answers: dict[str, list[Result | Exception]]):
    monkeypatch.setattr(Canned, "answers", answers, raising=False)
    monkeypatch.setattr(command, "Contest", Canned)
    file = tmp_path / "found.json"
    done = CliRunner().invoke(
        command.main, ["--models", "lease", "--rounds", "2", "--tools", ",".join(answers), "--json", str(file)]
    )
    return done, json.loads(file.read_text())


def test_a_disagreement_is_an_error(monkeypatch, tmp_path: Path) -> None:
    done, found = ran(monkeypatch, tmp_path, {"txweave": [result("txweave")] * 2, "minicheck": [result("minicheck", 999_999)] * 2})
    assert done.exit_code == 1
    assert "error: lease: the numbers of states differ (txweave: 1,000,000; minicheck: 999,999)" in done.output
    assert found["models"][0]["disagreements"] == ["lease: the numbers of states differ (txweave: 1,000,000; minicheck: 999,999)"]


def test_a_tool_without_an_answer_has_no_further_turn(monkeypatch, tmp_path: Path) -> None:
    answers = {
        "txweave": [result("txweave")] * 2,
        "tlc": [MissingTool("no java")],
        "spin": [result("spin", seconds=3.0), Failed("pan did not end within 5 s")],
    }
    done, found = ran(monkeypatch, tmp_path, answers)
    assert done.exit_code == 0
    assert "| TLC | missing: no java |" in done.output
    assert "| SPIN | no answer: pan did not end within 5 s |" in done.output
    assert "| SPIN | 3.00 | 3.00 | 3.00 | 3.00 | 1: met |" in done.output
    assert {name: len(results) for name, results in found["models"][0]["results"].items()} == {"txweave": 2, "tlc": 0, "spin": 1}


def test_a_model_that_is_not_there() -> None:
    done = CliRunner().invoke(command.main, ["--models", "small,nothing"])
    assert done.exit_code == 2
    assert "there is no 'nothing': small, medium, large" in done.output


# --------------------------------------------------------------------------------------------------------- measurement


def test_a_command_is_measured(tmp_path: Path) -> None:
    work = [
        "import time",
        "data = bytearray(90 << 20)",
        "print('go', flush=True)",
        "end = time.process_time() + 0.3",
        "while time.process_time() < end: pass",
    ]
    with Launcher() as launcher:
        small = launcher.run([sys.executable, "-c", "print(3)"], tmp_path, 60)
        large = launcher.run([sys.executable, "-c", "\n".join(work)], tmp_path, 60, mark="go")
    assert (small.output, small.code, small.marked) == ("3\n", 0, None)
    # This process, which has imported much, is larger than what it starts.
    assert small.peak < 40 < 90 < large.peak < 140
    assert large.marked is not None
    assert large.cpu - large.marked[1] > 0.25
    assert large.wall - large.marked[0] > 0.25


def test_a_command_that_takes_too_long_or_is_not_there(tmp_path: Path) -> None:
    with Launcher() as launcher:
        with pytest.raises(Failed, match="sleep did not end within 0 s"):
            launcher.run(["sleep", "60"], tmp_path, 0.2)
        with pytest.raises(Failed, match="no-such-program"):
            launcher.run(["no-such-program"], tmp_path, 5)
        assert launcher.run(["true"], tmp_path, 5).code == 0


def test_what_was_started_ends_with_the_bench(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    work = f"import os, pathlib, time; pathlib.Path({str(pid)!r}).write_text(str(os.getpid())); time.sleep(100)"
    wanted = {"command": [sys.executable, "-c", work], "folder": str(tmp_path), "seconds": 100, "mark": ""}
    with subprocess.Popen([sys.executable, str(LAUNCHER)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as launcher:
        assert launcher.stdin is not None
        launcher.stdin.write(json.dumps(wanted) + "\n")
        launcher.stdin.flush()
        while not (pid.exists() and pid.read_text()):
            time.sleep(0.05)
        launcher.stdin.close()
        launcher.wait(timeout=20)
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)


def test_spin_gets_a_deeper_stack_only_if_it_needs_one(tmp_path: Path, monkeypatch) -> None:
    model = next(model for model in models.MODELS if model.name == "lease")
    one = Contest(model, Launcher(), Settings(tmp_path, 60, 1, "-O0", 1000))
    tried: list[int] = []

    def once(tool: str, export: object) -> Result:
        tried.append(one.depth)
        if len(tried) < 3:
            raise ToolError("error: max search depth too small")
        return result(tool)

    monkeypatch.setattr(one, "_spin_once", once)
    assert one._spin("spin", None).tool == "spin"  # type: ignore[arg-type]
    assert tried == [100_000, 1_000_000, 10_000_000]


def test_the_smallest_model_with_everybody(tmp_path: Path) -> None:
    file = tmp_path / "found.json"
    arguments = ["--models", "lease", "--rounds", "1", "--optimise", "-O0", "--tools", "txweave,tlc,spin,spin-bfs,minicheck"]
    done = subprocess.run(
        [sys.executable, "-m", "bench", *arguments, "--json", str(file)], cwd=ROOT, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    (found,) = json.loads(file.read_text())["models"]
    assert found["absent"] == {}
    for tool, (measured,) in found["results"].items():
        assert measured["states"] == 2_867, tool
        assert measured["transitions"] == (None if tool == "minicheck" else 7_523), tool
        assert 0 < measured["search"][1] <= measured["whole"][1], tool
        assert measured["peak"] > 1
    assert set(found["ratios"]["whole_wall"]) == {"tlc", "spin", "spin-bfs", "minicheck"}
