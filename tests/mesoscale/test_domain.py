"""Numbers of docs/upscaling.md depend neither on the size of the square nor on the grid."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import page
import pytest

from kmc.mesoscale import population

EDGE_um, CELL_um, SEEDS = 50.0, 0.25, (1, 2, 3, 4, 5, 6)
NUMBERS = ("voids", "S", "half", "ninety", "cuts")


@lru_cache
def runs(edge_um: float, cell_um: float, seeds: tuple[int, ...]) -> np.ndarray:
    """`NUMBERS` of `upscale_li`, a row for each seed, down to a tenth of the contact."""
    rows = []
    for seed in seeds:
        changes = {"upscale.grid_um": cell_um, "random.seed": seed}
        found = page.measure(page.Case(changes=changes, edge_um=edge_um, least_contact=0.1))
        rows.append([found[name] for name in NUMBERS])
    return np.array(rows)


@pytest.mark.long
@pytest.mark.validation
@pytest.mark.parametrize(("edge_um", "seeds"), [(100.0, (1, 2)), (200.0, (1,))])
def test_the_size_of_the_square_does_not_matter(edge_um, seeds):
    """Within 3 standard errors; scatter of single runs falls as one over the edge."""
    small, large = runs(EDGE_um, CELL_um, SEEDS), runs(edge_um, CELL_um, seeds)
    scatter = small.std(axis=0, ddof=1)
    error = scatter * np.sqrt(1 / len(small) + (EDGE_um / edge_um) ** 2 / len(large))
    off = (large.mean(axis=0) - small.mean(axis=0)) / error
    assert (np.abs(off) < 3).all(), dict(zip(NUMBERS, off, strict=True))


@pytest.mark.long
@pytest.mark.validation
def test_half_the_grid():
    """Everything within 3 standard errors, which are below 1 %."""
    coarse, fine = runs(EDGE_um, CELL_um, SEEDS), runs(EDGE_um, CELL_um / 2, SEEDS)
    error = np.sqrt((coarse.var(axis=0, ddof=1) + fine.var(axis=0, ddof=1)) / len(SEEDS))
    off = fine.mean(axis=0) - coarse.mean(axis=0)
    assert (np.abs(off) < 3 * error).all(), dict(zip(NUMBERS, off / error, strict=True))
    assert (error < 0.01 * coarse.mean(axis=0)).all()


@pytest.mark.long
@pytest.mark.validation
def test_a_quarter_of_the_step(monkeypatch):
    """The burst on 30 µm: density within 2 %, S within 0.5 %, each known to 0.6 % or better."""
    found = []
    for share in (1.0, 0.25):
        for name in ("_STEP_SHARE", "_MOST_BORN", "_MOST_BORN_SHARE", "_LEAST_STEP_SHARE"):
            monkeypatch.setattr(population, name, share * getattr(population, name))
        rows = []
        for seed in range(1, 17):
            case = page.Case(changes={"random.seed": seed}, least_contact=0.9)
            rows.append([page.measure(case)[name] for name in ("voids", "S")])
        found.append(np.array(rows))
    whole, quarter = found
    error = np.sqrt((whole.var(axis=0, ddof=1) + quarter.var(axis=0, ddof=1)) / len(whole))
    off = quarter.mean(axis=0) - whole.mean(axis=0)
    assert (error < 0.006 * whole.mean(axis=0)).all()
    assert (np.abs(off) < [0.02, 0.005] * whole.mean(axis=0)).all(), off / whole.mean(axis=0)


@pytest.mark.long
@pytest.mark.validation
def test_cells_of_dense_voids():
    """5 mA/cm²: cells of 0.104 µm are fine enough, 0.25 µm, 0.8 of the voids' distance, are not."""
    found = {}
    for cell_um in (0.25, 0.104, 0.05):
        changes = {"conditions.current_density_mA_cm2": 5.0, "upscale.grid_um": cell_um}
        case = page.Case(changes=changes, edge_um=15.0, least_contact=0.09)
        found[cell_um] = page.measure(case)
    for name in ("voids", "half", "ninety"):
        assert found[0.104][name] == pytest.approx(found[0.05][name], rel=0.02), name
    assert found[0.25]["ninety"] == pytest.approx(0.043, abs=0.001)
    assert found[0.104]["ninety"] == pytest.approx(0.037, abs=0.001)
