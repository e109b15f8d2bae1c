"""The microscope's view of shapes whose cuts are known."""

from __future__ import annotations

import fake
import numpy as np
import pytest

import kmc
from kmc import load
from kmc.analysis.cross_section import voids_on_lines
from kmc.errors import InputError

BOX = fake.lattice("bcc_100", (20, 12), 10)
CELL_nm = 0.3506


def occupancy(*blocks) -> np.ndarray:
    """Vacant blocks (x, y, z, width, depth, height) in cells and layers, over the edges."""
    metal = np.ones((BOX.layers, BOX.cells[1], BOX.cells[0]), dtype=np.uint8)
    for x, y, z, width, depth, height in blocks:
        columns = np.arange(x, x + width) % BOX.cells[0]
        rows = np.arange(y, y + depth) % BOX.cells[1]
        metal[z : z + height, rows[:, None], columns] = 0
    return metal.ravel()


def test_known_blocks():
    blocks = occupancy((18, 0, 0, 5, 6, 3), (8, 2, 0, 2, 4, 4), (12, 0, 5, 4, 12, 2))
    blocks[9 * 20 + 12] = 0  # a lone vacancy of L1 is no void
    section = kmc.cross_section(blocks, BOX)
    [row] = section.table.to_dict("records")
    assert row["voids"] == 6 + 4  # the block over the edge is one; the one inside does not count
    assert section.length_nm == pytest.approx(12 * 20 * CELL_nm)
    assert row["voids_per_100um"] == pytest.approx(10 / section.length_nm * 1e5)
    assert row["voids_per_nm"] == pytest.approx(10 / section.length_nm)
    assert row["contact_loss"] == pytest.approx((5 * 6 + 2 * 4) / 240)
    widths = sorted([5] * 6 + [2] * 4)
    for name, share in (("min", 0), ("q1", 0.25), ("median", 0.5), ("q3", 0.75), ("max", 1)):
        assert row[f"width_{name}_nm"] == pytest.approx(CELL_nm * np.quantile(widths, share))
    assert row["height_max_nm"] == pytest.approx(4 * CELL_nm / 2)
    assert row["height_min_nm"] == pytest.approx(3 * CELL_nm / 2)
    assert len(section.voids) == 10
    np.testing.assert_array_equal(section.image(0, 2), (blocks.reshape(10, 12, 20)[:, 2] == 0))
    along_y = kmc.cross_section(blocks, BOX, direction="y").table.iloc[0]
    assert along_y.voids == 5 + 2
    assert along_y.width_max_nm == pytest.approx(6 * CELL_nm)
    assert along_y.contact_loss == pytest.approx(row["contact_loss"])


def test_lines_and_depth():
    blocks = occupancy((3, 0, 0, 4, 6, 3))
    half = kmc.cross_section(blocks, BOX, n_lines=2)
    assert half.n_lines == 2
    assert half.table.voids.tolist() == [1]  # rows 0 and 6
    deep = kmc.cross_section(blocks, BOX, n_lines=12, depth_nm=3 * CELL_nm)
    assert deep.depth_nm == pytest.approx(3 * CELL_nm)
    # Rows 0 to 5 are void: of three rows at least half for first rows 11 and 0 to 4.
    assert deep.table.voids.tolist() == [6]


def test_one_gap():
    gap = kmc.cross_section(np.where(BOX.layer <= 2, 0, 1).astype(np.uint8), BOX)
    row = gap.table.iloc[0]
    assert (row.gaps, row.voids, row.contact_loss) == (12, 12, 1.0)
    assert row.width_min_nm == row.width_max_nm == pytest.approx(20 * CELL_nm)


@pytest.mark.parametrize("name", ["bcc_100", "bcc_110", "bcc_111"])
@pytest.mark.parametrize("direction", ["x", "y"])
def test_contact_loss_of_all_lines_is_that_of_the_interface(name, direction):
    """Where voids are made of whole cells; a pixel is void where half of its sites are."""
    box = fake.lattice(name, (9, 7), 12)
    rng = np.random.default_rng(5)
    columns = box.unit_cell.sites_per_layer_cell
    cells = np.tile(np.repeat(rng.random(box.sites_per_layer // columns) < 0.3, columns), 2)
    occupancy = np.ones(box.n_sites, dtype=np.uint8)
    occupancy[: 2 * box.sites_per_layer][cells] = 0
    section = kmc.cross_section(occupancy, box, direction=direction, min_size=1)
    loss = 1 - np.mean(occupancy[: box.sites_per_layer])
    assert section.table.contact_loss[0] == pytest.approx(loss)


def test_voids_on_lines_equal_brute_force():
    rng = np.random.default_rng(8)
    for density in (0.1, 0.3, 0.5):
        image = rng.random((6, 5, 9)) < density
        expected = []
        for line, pixels in enumerate(image):
            left = {tuple(p) for p in np.argwhere(pixels)}
            while left:
                group, queue = set(), [min(left)]
                left.discard(queue[0])
                while queue:
                    z, x = queue.pop()
                    group.add((z, x))
                    for dz in (-1, 0, 1):
                        for dx in (-1, 0, 1):
                            other = (z + dz, (x + dx) % 9)
                            if other in left:
                                left.discard(other)
                                queue.append(other)
                if min(z for z, _ in group) == 0:
                    used = sorted({x for _, x in group})
                    gaps = np.diff([*used, used[0] + 9])
                    expected.append((line, 9 - (gaps.max() - 1), max(z for z, _ in group) + 1))
        found = zip(*(part.tolist() for part in voids_on_lines(image)), strict=True)
        assert sorted(found) == sorted(expected)


def test_a_trajectory_and_its_errors(tmp_path):
    t = load(fake.write(tmp_path / "t.h5", box=fake.lattice(cells=(16, 16), layers=12)))
    section = kmc.cross_section(t, n_lines=8)
    assert section.table.frame.tolist() == list(range(6))
    assert section.table.capacity_monolayers.tolist() == t.frames.capacity_monolayers.tolist()
    assert repr(section).startswith("CrossSection: 6")
    assert kmc.cross_section(t, frames=[-1]).table.frame.tolist() == [5]
    for wrong, words in (
        ({"n_lines": 17}, "n_lines = 17"),
        ({"n_lines": 0}, "n_lines = 0"),
        ({"direction": "z"}, "direction = 'z'"),
        ({"depth_nm": 0.0}, "depth_nm = 0.0"),
        ({"depth_nm": 50}, "depth_nm = 50"),
    ):
        with pytest.raises(InputError, match=words):
            kmc.cross_section(t, **wrong)
    with pytest.raises(InputError, match="lattice"):
        kmc.cross_section(t.frames[0].occupancy)
    with pytest.raises(InputError, match="no frame 9"):
        section.image(9, 0)
    periodic = fake.lattice(boundary="periodic")
    with pytest.raises(InputError, match="periodic box"):
        kmc.cross_section(np.ones(periodic.n_sites, np.uint8), periodic)
    none = kmc.cross_section(np.ones(BOX.n_sites, np.uint8), BOX)
    assert none.table.voids.tolist() == [0]
    assert none.table.width_median_nm.isna().all()
    assert "0\xa0cuts of 0\xa0voids" in repr(none)
