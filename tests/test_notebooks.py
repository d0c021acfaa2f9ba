"""The notebooks run from top to bottom, and what they show is what is stored in them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = Path(__file__).resolve().parents[1] / "notebooks"


def outputs(notebook: Any) -> list[list[tuple[str, dict[str, str]]]]:
    """What each cell of code shows, in each form."""
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    return [[(out.output_type, dict(out.get("data", {}))) for out in cell.outputs] for cell in cells]


@pytest.mark.parametrize("path", sorted(NOTEBOOKS.glob("*.ipynb")), ids=lambda path: path.stem)
def test_a_notebook_shows_what_is_stored(path: Path) -> None:
    stored = nbformat.read(path, as_version=4)
    nbformat.validate(stored)
    fresh = nbformat.read(path, as_version=4)
    for cell in fresh.cells:
        if cell.cell_type == "code":
            cell.outputs = []
    NotebookClient(fresh, timeout=300, resources={"metadata": {"path": str(NOTEBOOKS)}}).execute()
    shown = outputs(stored)
    assert all(len(cell) == 1 and cell[0][0] == "execute_result" for cell in shown), "each cell shows one thing, and no error"
    assert any("image/svg+xml" in data for cell in shown for _, data in cell), "and there is a picture"
    assert outputs(fresh) == shown, f"run: jupyter nbconvert --to notebook --execute --inplace notebooks/{path.name}"


def test_there_are_notebooks() -> None:
    assert list(NOTEBOOKS.glob("*.ipynb"))
