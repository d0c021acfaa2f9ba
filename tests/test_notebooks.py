"""The notebooks run from top to bottom, and what they show is what is stored in them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import nbformat
import pytest
from nbclient import NotebookClient

import txweave

NOTEBOOKS = Path(__file__).resolve().parents[1] / "notebooks"
SOURCES = str(Path(txweave.__file__).resolve().parents[1])


def picture(svg: str) -> object:
    """A picture to compare: what Graphviz lays out by its words, for where they stand depends on the machine's fonts."""
    root = ET.fromstring(svg)
    if "graph" in root.get("class", "").split():
        return sorted("".join(text.itertext()) for text in root.iter("{http://www.w3.org/2000/svg}text"))
    return svg


def shown(output: Any) -> object:
    """An output to compare: verdicts, traces and tables to the letter; pixels only by being there."""
    if output.output_type == "stream":
        return output.name, output.text
    data = dict(output.get("data", {}))
    if "image/svg+xml" in data:
        data["image/svg+xml"] = picture(data["image/svg+xml"])
    if "image/png" in data:
        data["image/png"] = "a picture"
    return output.output_type, data


def outputs(notebook: Any) -> list[list[object]]:
    """What each cell of code shows; a line of progress that is empty in the end is nothing."""
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    empty = {"text/plain": ""}
    return [[shown(out) for out in cell.outputs if dict(out.get("data", {})) != empty] for cell in cells]


@pytest.mark.parametrize("path", sorted(NOTEBOOKS.glob("*.ipynb")), ids=lambda path: path.stem)
def test_a_notebook_shows_what_is_stored(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([SOURCES, os.environ.get("PYTHONPATH", "")]))
    stored = nbformat.read(path, as_version=4)
    nbformat.validate(stored)
    fresh = nbformat.read(path, as_version=4)
    for cell in fresh.cells:
        if cell.cell_type == "code":
            cell.outputs = []
    NotebookClient(fresh, timeout=300, resources={"metadata": {"path": str(NOTEBOOKS)}}).execute()
    known = outputs(stored)
    assert all(not isinstance(out, tuple) or out[0] != "error" for cell in known for out in cell), "no error is stored"
    svgs = [
        out for cell in stored.cells if cell.cell_type == "code" for out in cell.outputs if "image/svg+xml" in out.get("data", {})
    ]
    assert svgs, "and there is a picture"
    assert outputs(fresh) == known, f"run: jupyter nbconvert --to notebook --execute --inplace notebooks/{path.name}"


def test_there_are_notebooks() -> None:
    assert [path.stem for path in sorted(NOTEBOOKS.glob("*.ipynb"))] == [
        "1-the-race",
        "2-alternative-fixes",
        "3-blocked-forever",
        "4-your-own-system",
    ]
