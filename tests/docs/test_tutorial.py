"""The tutorial runs as it stands, and holds no logic and no outputs."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pandas as pd
import pytest
from matplotlib.figure import Figure

from kmc.files.reader import Trajectory

NOTEBOOK = Path(__file__).resolve().parents[2] / "docs" / "tutorial.ipynb"


def code_cells() -> list[str]:
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]


def shown(cell: str, names: dict) -> object:
    """Run a cell as a notebook does: what its last expression is worth is shown."""
    *rest, last = ast.parse(cell).body
    exec(compile(ast.Module(rest, []), NOTEBOOK.name, "exec"), names)
    assert isinstance(last, ast.Expr)
    return eval(compile(ast.Expression(last.value), NOTEBOOK.name, "eval"), names)


def test_it_is_small_and_holds_no_outputs():
    assert NOTEBOOK.stat().st_size < 300_000
    for cell in json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]:
        assert not cell.get("outputs")
        assert not cell.get("execution_count")
    lines = [line for cell in code_cells() for line in cell.splitlines() if line.strip()]
    assert len(lines) < 20
    parts = [node for cell in code_cells() for node in ast.walk(ast.parse(cell))]
    assert not any(isinstance(p, ast.FunctionDef | ast.ClassDef | ast.For | ast.If) for p in parts)


@pytest.mark.slow
def test_it_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    first, *others = [shown(cell, names) for cell in code_cells()]
    assert isinstance(first, Trajectory)
    assert first.finished
    assert len(others) == 6
    pictures = [one for one in others if isinstance(one, Figure)]
    tables = [one for one in others if isinstance(one, pd.DataFrame)]
    assert len(pictures) == 5
    assert len(tables) == 1
    assert all(picture._repr_png_().startswith(b"\x89PNG") for picture in pictures)
    assert [path.name for path in tmp_path.iterdir()] == ["tutorial.h5"]
