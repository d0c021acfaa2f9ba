"""The planted faults apply to the package as it is, and the command tells a fault that is noticed from one that is not."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from run import SOURCE, TESTS, UnusableError, belongs, patched

from faults import FAULTS, Fault

HERE = Path(__file__).parent


def test_there_are_enough_and_each_has_a_name() -> None:
    assert len(FAULTS) >= 44
    assert [name for name, count in Counter(f.name for f in FAULTS).items() if count > 1] == []
    areas = Counter(fault.area for fault in FAULTS)
    assert areas["liveness"] + areas["waiting"] >= 10
    assert {
        "versions",
        "constraints",
        "queries",
        "programs",
        "time",
        "explicit",
        "z3",
        "judge",
        "sql",
        "spec",
        "check",
        "explorer",
        "page",
    } <= set(areas)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_it_applies_once(fault: Fault) -> None:
    path, result = patched(SOURCE, fault)
    assert result != path.read_text(encoding="utf-8")


def test_the_selected_tests_exist() -> None:
    for fault in FAULTS:
        assert fault.tests
        for selection in fault.tests:
            file, _, name = selection.partition("::")
            tree = ast.parse((TESTS / file).read_text(encoding="utf-8"))
            functions = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
            assert not name or name.partition("[")[0] in functions, f"{fault.name}: {selection}"


def test_what_belongs_to_a_selection() -> None:
    assert belongs("tests/a.py::test_b[1]", "a.py::test_b")
    assert belongs("tests/a.py::test_b", "a.py")
    assert not belongs("tests/a.py::test_bc", "a.py::test_b")


def test_a_place_that_is_not_the_only_one_is_refused() -> None:
    for old in ("import", "no such text anywhere"):
        with pytest.raises(UnusableError, match="not once"):
            patched(SOURCE, Fault("f", "r", "results.py", old, "x", (), "check"))
    with pytest.raises(UnusableError, match="can no longer be read"):
        patched(SOURCE, Fault("f", "r", "results.py", "class Exit(IntEnum):", "class Exit(:", (), "check"))


@pytest.mark.parametrize(
    ("old", "new", "test", "status", "says"),
    [
        ("OK = 0", "OK = 7", "test_check.py::test_the_order_of_exit_statuses", 1, "survived: planted"),
        (
            "default=Exit.OK",
            "default=Exit.ERROR",
            "test_check.py::test_the_order_of_exit_statuses",
            0,
            "1 of 1 faults were noticed",
        ),
        ("OK = 0", "OK = 7", "test_check.py::test_no_such_test", 2, "fails without any fault"),
        ("OK = 0", "OK = no_such_name", "test_check.py::test_the_order_of_exit_statuses", 2, "unusable: planted"),
        ("no such text", "", "test_check.py::test_the_order_of_exit_statuses", 2, "stands 0 times"),
    ],
)
def test_the_command(old: str, new: str, test: str, status: int, says: str) -> None:
    planted = f"Fault('planted', 'a rule', 'results.py', {old!r}, {new!r}, ({test!r},), 'check')"
    imports = f"import sys; sys.path.insert(0, {str(HERE)!r}); import run; from faults import Fault"
    program = f"{imports}; sys.exit(run.check([{planted}], 1, None))"
    before = (SOURCE / "results.py").read_bytes()
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=300, check=False)
    assert found.returncode == status, found.stdout + found.stderr
    assert says in found.stdout
    assert (SOURCE / "results.py").read_bytes() == before
