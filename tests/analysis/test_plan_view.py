"""`kmc image --plan` on pictures whose voids are known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from PIL import Image

from kmc.analysis.plan_view import measure_plan, measure_plan_image, plans_of_run
from kmc.analysis.segmentation import View
from kmc.cli.app import main
from kmc.errors import InputError

pytest.importorskip("skimage")

UM = 0.25  # a pixel
DISCS = ((40, 40, 8), (40, 120, 12), (150, 60, 8), (100, 199, 10), (0, 160, 10))  # y, x, radius


def drawn(discs=DISCS, n=200) -> np.ndarray:
    """Pixels within discs of some pixels' radius."""
    y, x = np.mgrid[:n, :n]
    inside = [(y - v) ** 2 + (x - u) ** 2 <= r**2 for v, u, r in discs]
    return np.any([np.zeros((n, n), bool), *inside], axis=0)


def test_known_discs():
    found = measure_plan(drawn(), UM)
    assert len(found.voids) == 5
    assert found.voids["at_edge"].sum() == 2
    areas = sorted(found.voids.loc[~found.voids["at_edge"], "area_um2"])
    assert areas == pytest.approx([np.pi * (r * UM) ** 2 for r in (8, 8, 12)], rel=0.03)
    row = found.row
    assert row["contact_loss_percent"] == pytest.approx(100 * drawn().mean())
    # The one at the right edge does not count, the one at the upper edge does.
    assert row["voids_per_mm2"] == pytest.approx(4 / (50e-3) ** 2)
    assert row["diameter_um"] == pytest.approx(2 * UM * (8 + 8 + 12) / 3, rel=0.02)
    first = found.voids.iloc[(found.voids["x_um"] - 10).abs().argmin()]
    assert first["neighbour_um"] == pytest.approx(80 * UM, abs=0.01)


def test_a_lattice_of_voids_is_twice_as_even_as_chance():
    """Clark and Evans: a square lattice has twice the mean distance of random places."""
    square = drawn([(y, x, 3) for y in range(10, 200, 20) for x in range(10, 200, 20)])
    row = measure_plan(square, UM).row
    assert row["neighbour_ratio"] == pytest.approx(2.0)
    assert row["neighbour_um"] == pytest.approx(20 * UM)
    rng = np.random.default_rng(1)
    random = np.zeros((1000, 1000), bool)
    random[rng.integers(0, 1000, 900), rng.integers(0, 1000, 900)] = True
    assert measure_plan(random, UM, min_size=1).row["neighbour_ratio"] == pytest.approx(1, abs=0.06)


def test_specks_are_contact_and_no_voids_are_no_numbers():
    row = measure_plan(drawn([(50, 50, 1)]), UM, min_size=10).row
    assert row["contact_loss_percent"] == 0
    assert np.isnan(row["diameter_um"])


def test_thresholds():
    noise = np.random.default_rng(2).normal(0, 10, (200, 200))
    grey = np.clip(np.where(drawn(), 60, 180) + noise, 0, 255).astype(np.uint8)
    for image, options in (
        (grey, {"threshold": "otsu"}),
        (255 - grey, {"threshold": "120", "bright": True}),
    ):
        (view,) = measure_plan_image(image, UM, **options).views
        assert ((view.shown == View.VOID) != drawn()).mean() < 1e-4
    for options, part in (
        ({}, "not segmented"),
        ({"threshold": "x"}, "otsu"),
        ({"threshold": "80,120"}, "parts 3\xa0phases"),
    ):
        with pytest.raises(InputError, match=part):
            measure_plan_image(grey, UM, **options)


class Population:
    """What is used of a run of kmc upscale."""

    def __init__(self):
        self.path, self.edge_um = Path("run.h5"), 50.0
        self.frames = {
            "replica": np.array([0, 1, 0]),
            "capacity_mAh_cm2": np.array([0.0, 0.0, 0.3]),
        }

    def gap_um(self, index):
        return np.where(drawn(DISCS if index else ()), 0.7, 0.0)


def test_a_picture_of_a_run_measures_as_the_run_does(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = Population()
    first, last = plans_of_run(run)
    assert first[2].row["contact_loss_percent"] == 0
    Image.fromarray(np.where(run.gap_um(2) > 0, 0, 255).astype(np.uint8)).save("top.png")
    Image.fromarray(np.full((200, 200), 255, np.uint8)).save("none.png")
    Path("run.h5").touch()
    monkeypatch.setattr("kmc.systems.run.load", lambda path, **_: run)
    done = CliRunner().invoke(
        main,
        [
            *("image", "--plan", "top.png", "run.h5", "--scale", "250", "--capacity", "0.3"),
            *("-o", "plan.csv", "--voids", "each.csv", "--picture", "plan.png"),
        ],
    )
    assert done.exit_code == 0, done.output
    table = pd.read_csv("plan.csv")
    assert table["series"].tolist() == ["top", "run", "run"]
    assert table.iloc[0, 1:].tolist() == pytest.approx(table.iloc[2, 1:].tolist())
    assert last[2].row["voids_per_mm2"] == pytest.approx(table["voids_per_mm2"][0])
    assert len(pd.read_csv("each.csv")) == 10
    assert Path("plan.png").stat().st_size > 1000


def test_voids_that_the_edge_cuts_have_no_diameter(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    seen = np.full((40, 40), 255, np.uint8)
    seen[10:20, 30:] = seen[30:, 10:20] = 0
    Image.fromarray(seen).save("top.png")
    done = CliRunner().invoke(main, ["image", "--plan", "top.png", "--scale", "250"])
    assert done.exit_code == 0, done.output
    assert "2\u00a0voids" in done.output
    assert "apart" in done.output
    assert not {"nan", "unknown"} & set(done.output.replace(",", " ").split())


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["--plan", "a.png"], "states no scale"),
        (["--plan", "a.png", "--scale", 0], "no width of a pixel"),
        (["--plan", "a.png", "--scale", 1e308], "no width of a pixel"),
        (["--plan", "a.png", "--scale", 1, "--picture", "x.png"], "--capacity was given 0 times"),
        (["--plan", "a.png", "--scale", 1, "--electrolyte", 1], "no meaning"),
        (["a.png", "--scale", 1, "--picture", "x.png"], "belongs to --plan"),
        (["--plan", "a.png", "--scale", 1, "--void", 7], "no pixel has the value 7"),
    ],
)
def test_refused(tmp_path, monkeypatch, arguments, part):
    monkeypatch.chdir(tmp_path)
    Image.fromarray(np.where(drawn(), 0, 255).astype(np.uint8)).save("a.png")
    done = CliRunner().invoke(main, ["image", *map(str, arguments)])
    assert done.exit_code == 2, done.output
    assert part in done.stderr
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.png"]
