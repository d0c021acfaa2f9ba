"""Which of the functions that the models cite has a release changed?

    python docs/airflow/digests.py apache_airflow_core-3.3.2-py3-none-any.whl …

reads wheels (``pip download --no-deps apache-airflow-core==3.3.2``), computes the digest of every function named in
``sources.json`` and compares it with what is recorded there for that release; for a release that is not recorded it prints the
lines to record, and what differs from the last one.  A digest is of the function's syntax tree: comments and layout do not
change it, and neither does the version of Python.
"""

from __future__ import annotations

import ast
import hashlib
import json
import sys
import zipfile
from pathlib import Path
from typing import Any

RECORD = Path(__file__).with_name("sources.json")
"""Release → ``module:function`` → digest, or null where the release has no such function."""


def shape(node: Any) -> Any:
    """The syntax tree as nested tuples, without what is empty: versions of Python differ in which empty fields there are."""
    if isinstance(node, ast.AST):
        fields = [(name, shape(value)) for name, value in ast.iter_fields(node) if name not in ("kind", "type_comment")]
        return (type(node).__name__, *((name, value) for name, value in fields if value not in ("None", [])))
    if isinstance(node, list):
        return [shape(item) for item in node]
    return repr(node)


def digests(source: str) -> dict[str, str]:
    """The digest of each function of a module; methods are called ``Class.method``."""
    found: dict[str, str] = {}

    def visit(parent: ast.AST, prefix: str) -> None:
        for child in ast.iter_child_nodes(parent):
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
                found[prefix + child.name] = hashlib.sha256(repr(shape(child)).encode()).hexdigest()[:12]
            elif isinstance(child, ast.ClassDef):
                visit(child, f"{prefix}{child.name}.")

    visit(ast.parse(source), "")
    return found


def of_wheel(wheel: Path, names: list[str]) -> dict[str, str | None]:
    """The digests of the functions ``module:function`` of a wheel."""
    found: dict[str, str | None] = {}
    with zipfile.ZipFile(wheel) as archive:
        present = set(archive.namelist())
        modules: dict[str, dict[str, str]] = {}
        for name in names:
            module, function = name.split(":")
            if module not in modules:
                path = module.replace(".", "/") + ".py"
                modules[module] = digests(archive.read(path).decode()) if path in present else {}
            found[name] = modules[module].get(function)
    return found


def main(wheels: list[str]) -> int:
    """Compare; 1 if a recorded digest is not what the wheel has."""
    record: dict[str, dict[str, str | None]] = json.loads(RECORD.read_text(encoding="utf-8"))
    names = list(next(iter(record.values())))
    wrong = 0
    for wheel in map(Path, wheels):
        release = wheel.name.split("-")[1]
        found = of_wheel(wheel, names)
        before = record.get(release)
        if before is None:
            last = record[max(record, key=lambda r: tuple(int(part) for part in r.split(".")))]
            print(json.dumps({release: found}, indent=1))
            print(*(f"{release}: {name} has changed" for name in names if found[name] != last[name]), sep="\n")
            continue
        differing = [name for name in names if found[name] != before[name]]
        print(f"{release}: {len(names) - len(differing)} of {len(names)} functions as recorded")
        for name in differing:
            print(f"  {name}: {found[name]}, recorded {before[name]}")
        wrong += len(differing)
    return min(wrong, 1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
