"""The notebooks by question run as they stand, hold no outputs, and answer what they ask."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest
from matplotlib.figure import Figure

DOCS = Path(__file__).resolve().parents[2] / "docs"
NOTEBOOKS = ("loss_of_contact", "own_dft", "own_images", "cycles")


def cells(name: str) -> list[dict]:
    return json.loads((DOCS / f"{name}.ipynb").read_text(encoding="utf-8"))["cells"]


def run(name: str, folder, monkeypatch) -> tuple[dict, list]:
    """Names after all cells, and what each cell shows."""
    monkeypatch.chdir(folder)
    names: dict = {}
    shown = []
    for cell in cells(name):
        if cell["cell_type"] != "code":
            continue
        *rest, last = ast.parse("".join(cell["source"])).body
        exec(compile(ast.Module(rest, []), name, "exec"), names)
        assert isinstance(last, ast.Expr), name
        shown.append(eval(compile(ast.Expression(last.value), name, "eval"), names))
    return names, shown


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_they_hold_no_outputs_and_stand_in_the_guides(name):
    for cell in cells(name):
        assert not cell.get("outputs")
        assert not cell.get("execution_count")
    assert f"\n{name}\n" in (DOCS / "index.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_loss_of_contact(tmp_path, monkeypatch):
    """Contact is lost within 1 mAh/cm² without pressure, and two thirds are kept under 7 MPa."""
    names, shown = run("loss_of_contact", tmp_path, monkeypatch)
    assert isinstance(shown[1], Figure)
    assert names["usual"].stop_reason == "no contact is left"
    assert 0 < shown[2][0.5] < 0.5
    kept = shown[3]["contact at the end"]
    assert kept[7.0] > 0.6 > 0.3 > kept[1.0] > 0.1 > kept[0.0]


@pytest.mark.slow
def test_own_dft(tmp_path, monkeypatch):
    """The set has the differences of the energies, and both scales run with it."""
    names, shown = run("own_dft", tmp_path, monkeypatch)
    assert shown[0] == pytest.approx((0.31, 0.53))
    assert names["atoms"].finished
    assert names["cell"].resolved["parameter_set"] == "mine"


@pytest.mark.slow
def test_own_images(tmp_path, monkeypatch):
    """What is measured in the image is the contact that the run has lost."""
    _, shown = run("own_images", tmp_path, monkeypatch)
    measured, known = shown[1]
    assert measured == pytest.approx(known, abs=0.02)
    seen, open_share = shown[2]
    assert seen == pytest.approx(open_share)
    assert isinstance(shown[3], Figure)


@pytest.mark.slow
def test_cycles(tmp_path, monkeypatch):
    """A run ends where contact is lost, or plates back what was stripped."""
    names, shown = run("cycles", tmp_path, monkeypatch)
    assert names["cell"].finished
    assert shown[2].startswith("no contact is left in step 1 of 4")
    ends = shown[3]
    assert ends[2] == pytest.approx(0.0, abs=1e-9)
    assert ends[1] < 1.0
