"""The picture: that every kind of run has one, and that it shows what is in the file."""

from __future__ import annotations

import math
import warnings

import fake
import numpy as np
import pytest
from matplotlib.colors import to_rgb

from kmc import plotting
from kmc.analysis import voids
from kmc.errors import InputError
from kmc.trajectory import load

BULK = fake.lattice(cells=(6, 6), layers=12, boundary="periodic")
REST = fake.lattice(cells=(6, 6))
QUIET = {"current": 0.0, "ratio": None, "floor_eV": 0.0}
RUNS = {
    "smallest": {"box": fake.lattice(cells=(4, 4))},
    "bcc_110": {"box": fake.lattice("bcc_110", (8, 6), 12)},
    "bcc_111 with Mg": {"box": fake.lattice("bcc_111", (8, 6), 12), "species": ("Li", "Mg")},
    "elongated": {"box": fake.lattice(cells=(4, 64))},
    "one sample": {"n_frames": 1, "monolayers": 0.0},
    "no sample": {"n_frames": 0, "finished": None},
    "inf at the end": {"last": {"overpotential_V": math.inf}},
    "inf alone": {"n_frames": 1, "last": {"overpotential_V": math.inf}},
    "unfinished": {"finished": None},
    "periodic": {
        "box": BULK,
        "settings": fake.resolved(BULK, **QUIET),
        "monolayers": 0.0,
        "time_s": 2e-9,
    },
    "no current": {
        "box": REST,
        "settings": fake.resolved(REST, **QUIET),
        "monolayers": 0.0,
        "time_s": 2e-9,
    },
}


@pytest.mark.parametrize("kind", RUNS)
def test_every_kind_of_run_has_its_picture(kind, tmp_path):
    t = load(fake.write(tmp_path / "run.h5", **RUNS[kind]))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plotting.save_overview(t, tmp_path / "run.png")
    assert (tmp_path / "run.png").stat().st_size > 5_000


@pytest.mark.parametrize("ending", ["svg", "pdf"])
def test_vector_formats(ending, tmp_path):
    t = load(fake.write(tmp_path / "run.h5", n_frames=2, samples_per_frame=1))
    plotting.save_overview(t, tmp_path / f"run.{ending}")
    assert (tmp_path / f"run.{ending}").stat().st_size > 5_000


def test_unwritable_pictures_are_told(tmp_path):
    t = load(fake.write(tmp_path / "run.h5", n_frames=1))
    with pytest.raises(InputError, match="cannot be written"):
        plotting.save_overview(t, tmp_path / "missing" / "run.png")
    with pytest.raises(InputError, match=r"\.docx"):
        plotting.save_overview(t, tmp_path / "run.docx")


def test_no_global_state(tmp_path):
    import matplotlib

    before = dict(matplotlib.rcParams)
    t = load(fake.write(tmp_path / "run.h5", n_frames=1))
    plotting.save_overview(t, tmp_path / "run.png")
    assert dict(matplotlib.rcParams) == before


@pytest.mark.parametrize("name", ["bcc_100", "bcc_110", "bcc_111"])
def test_the_map_shows_contact_mg_and_gaps_in_their_places(name, tmp_path):
    box = fake.lattice(name, (14, 10), 12)
    t = load(fake.write(tmp_path / "run.h5", box=box, species=("Li", "Mg"), n_frames=2))
    frame = t.frames[-1]
    axes = [a for part in plotting.overview(t).subfigs for a in part.axes]
    [picture] = [image for a in axes for image in a.get_images()]
    pixels = np.asarray(picture.get_array())[..., :3]
    height, width = pixels.shape[:2]
    places = box.positions_A[: box.sites_per_layer, :2]
    size = box.box_A[:2]
    if size[1] > size[0]:
        places, size = places[:, ::-1], size[::-1]
    assert width / height == pytest.approx(size[0] / size[1], rel=0.01)
    column = np.minimum((places[:, 0] / size[0] * width).astype(int), width - 1)
    row = np.minimum((places[:, 1] / size[1] * height).astype(int), height - 1)
    shown = pixels[row, column]
    first_layer = frame.occupancy[: box.sites_per_layer]
    gap = voids.open_height_nm(frame.occupancy, box)
    np.testing.assert_allclose(
        shown[first_layer == 1], [to_rgb(plotting.METAL)] * sum(first_layer == 1)
    )
    np.testing.assert_allclose(
        shown[first_layer == 2], [to_rgb(plotting.MAGNESIUM)] * sum(first_layer == 2)
    )
    brightness = shown[first_layer == 0] @ [0.299, 0.587, 0.114]
    order = np.argsort(gap[first_layer == 0], kind="stable")
    assert np.all(np.diff(brightness[order]) < 1e-6)  # deeper is darker, also in a grey print
    assert brightness.max() < 0.75 < np.dot(to_rgb(plotting.METAL), [0.299, 0.587, 0.114])
