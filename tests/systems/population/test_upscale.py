"""Populations and their files: equal bytes, resume, interruption, verification, bad input."""

from __future__ import annotations

import copy
import json
import math
import re
import shutil
import tomllib
import warnings
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import h5py
import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from table_files import rewrite

import kmc
from kmc.cli.app import main
from kmc.common import catalogue
from kmc.errors import FileFormatError, InputError, KmcWarning
from kmc.model.dft_check import check_rows
from kmc.model.parameters import load_parameters
from kmc.nuclei import vapour
from kmc.runfile.load import load_run, restored_run
from kmc.systems import SYSTEMS
from kmc.systems import job as module
from kmc.systems.population import setup
from kmc.systems.population.columns import TABLES
from kmc.systems.population.run import PopulationJob
from kmc.systems.population.setup import prepare
from kmc.systems.population.state import Points

SMALL = {
    "upscale.domain_um": 6.0,
    "upscale.grid_um": 0.1,
    "upscale.capacity_mAh_cm2": 0.004,
    "upscale.samples": 8,
    "upscale.samples_per_decade": 3,
    "upscale.frames": 2,
}


@pytest.fixture(autouse=True, scope="module")
def short_walks():
    """Free energies from walks a twentieth as long: their error does not matter here."""
    kept = vapour.WALKERS, vapour.STEPS
    vapour.WALKERS, vapour.STEPS = 2, 150_000
    _forget()
    yield
    vapour.WALKERS, vapour.STEPS = kept
    _forget()


def _forget() -> None:
    """Free energies of other walks; tests of other files run in the same process."""
    vapour._known.clear()
    vapour._free.clear()


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("population") / "small.h5"
    kmc.upscale("upscale_li", SMALL, output=path, progress=False)
    return path


@pytest.mark.slow
def test_the_file_says_what_the_schema_says(small):
    found = kmc.load(small)
    assert found.finished
    assert found.stop_reason == "capacity_mAh_cm2"
    limit = SMALL["upscale.capacity_mAh_cm2"]
    assert dict(found.summary())["Ended"] == f"capacity of {limit:g} mAh/cm² reached"
    ended = dict(found.summary(full=True))["Ended"]
    assert ended == f"capacity of {limit:g} mAh/cm² reached"
    assert len(found.summary()) <= 8
    said = dict(found.summary())
    assert "monolayers) in" in said["Stripped"]
    number = round(found.samples.voids_per_um2.max() * found.edge_um**2)
    assert said["Trust"].startswith(f"{number}\u00a0void")
    with h5py.File(small) as file:
        assert file.attrs["format"] == TABLES.format
        for name, (unit, _) in TABLES.samples.items():
            assert file[f"samples/{name}"].attrs["unit"] == unit
        for group, table in {"frames": TABLES.frames, **TABLES.lists}.items():
            for name, (unit, _) in table.items():
                assert file[f"{group}/{name}"].attrs["unit"] == unit
        for name, dtype in {
            "frames/h_um": "<f4",
            "frames/sample": "<i8",
            "points/frame": "<i8",
            "points/x_um": "<f8",
            "events/kind": "<i8",
            "events/time_s": "<f8",
        }.items():
            assert file[name].dtype == np.dtype(dtype)
        # For programs that know nothing of kmc: texts, all settings, coordinates of every axis.
        run = tomllib.loads(file.attrs["settings"])
        assert run["upscale"]["domain_um"] == SMALL["upscale.domain_um"]
        assert run["conditions"]["sink_depth_um"] == math.inf
        gap = file["frames/h_um"]
        assert [dimension.keys() for dimension in gap.dims] == [["time_s"], ["y_um"], ["x_um"]]
        assert np.diff(gap.dims[2][0]) == pytest.approx(0.1)
        assert file["samples/contact_fraction"].dims[0]["time_s"] == file["samples/time_s"]
        assert isinstance(gap.attrs["description"], str)
    s = found.samples
    assert s.capacity_mAh_cm2[-1] == pytest.approx(0.004)
    assert 0.2 < s.voids_per_um2.max() < 2.0
    assert s.contact_fraction[0] == 1.0
    assert s.contact_fraction[-1] < 0.95
    voids = found.of_frame(-1)
    assert voids.volume_um3.sum() / 36 == pytest.approx(s.voids_um[-1], rel=1e-5)
    assert len(voids.x_um) / 36 == pytest.approx(s.voids_per_um2[-1])
    assert set(found.voids.frame) <= set(range(len(found.frames.time_s)))
    assert found.gap_um(-1).min() == 0
    last = found.points["frame"] == len(found.frames.time_s) - 1
    points = np.pi * (found.points["radius_um"][last] ** 2).sum() / 36
    assert found.contact_map(-1).mean() - points == pytest.approx(s.contact_fraction[-1], rel=1e-5)
    assert "contact" in repr(found).lower()


@pytest.mark.validation
def test_volume_stripped_is_that_of_voids_sink_and_storage(small):
    """To rounding, what the ledger of a run may be off by; Faraday's figure has four digits."""
    s = kmc.load(small).samples
    left = s.stripped_um + s.initial_um - s.voids_um - s.sink_um - s.settled_um - s.storage_um
    assert np.abs(left).max() <= 1e-9 * s.stripped_um.max()
    # Faraday: 4.84 µm for each mAh/cm².
    assert s.stripped_um[-1] == pytest.approx(4.842 * 0.004, rel=1e-3)


@pytest.mark.slow
def test_equal_seeds_give_equal_bytes_and_others_do_not(small, tmp_path):
    again, other = tmp_path / "again.h5", tmp_path / "other.h5"
    kmc.upscale("upscale_li", SMALL, output=again, progress=False)
    assert again.read_bytes() == small.read_bytes()
    kmc.upscale("upscale_li", SMALL | {"random.seed": 2}, output=other, progress=False)
    assert other.read_bytes() != small.read_bytes()


class Interrupted:
    """Stands in for `Interruption`: asks to stop once the run has asked so many times."""

    def __init__(self, after: int):
        self.left = after

    def __enter__(self):
        return self

    def __exit__(self, *problem):
        pass

    @property
    def requested(self) -> bool:
        self.left -= 1
        return self.left <= 0


@pytest.mark.slow
@pytest.mark.parametrize("after", [3, 60])
def test_an_interrupted_run_resumes_to_the_same_bytes(small, tmp_path, monkeypatch, after):
    path = tmp_path / "small.h5"
    monkeypatch.setattr(module, "Interruption", lambda: Interrupted(after))
    part = kmc.upscale("upscale_li", SMALL, output=path, progress=False)
    assert not part.finished
    assert part.stop_reason == "interrupted"
    for what in (
        "summary",
        "microscope",
        "section",
        "map",
        "sizes",
        "events",
    ):  # also of a run without a void so far
        part.plot(what).savefig(tmp_path / f"{what}.png")
    assert kmc.verify(path).passed
    monkeypatch.undo()
    vapour.WALKERS, vapour.STEPS = 2, 150_000
    assert kmc.resume(path, progress=False).finished
    assert path.read_bytes() == small.read_bytes()
    with pytest.raises(InputError, match="finished"):
        kmc.resume(path, progress=False)


@pytest.mark.slow
def test_voids_of_flaws_shrink_in_a_rest(tmp_path):
    changes = {
        "upscale.domain_um": 15.0,
        "upscale.capacity_mAh_cm2": 0.001,
        "upscale.grid_um": 0.125,
        "rest.time_s": 1e5,
    }
    found = kmc.upscale("upscale_flaws", changes, output=tmp_path / "gone.h5", progress=False)
    assert found.stop_reason == "rest over"
    assert found.samples.voids_um[-1] < 0.85 * found.samples.voids_um.max()
    assert kmc.verify(found.path).passed


@pytest.mark.slow
def test_a_temperature_without_a_surface_energy_is_refused(tmp_path):
    changes = SMALL | {"conditions.temperature_K": 2000.0}
    with pytest.raises(InputError, match="temperature_K = 2000"):
        kmc.upscale("upscale_flaws", changes, output=tmp_path / "hot.h5", progress=False)


@pytest.mark.slow
def test_square_and_cells_follow_from_the_voids_to_come():
    """200 voids of the burst of 0.61 per µm²; a tenth of their distance, 0.7 of a rim."""
    found = prepare(load_run("upscale_li", {"upscale.domain_um": None})).facts
    assert found["edge_um"] ** 2 * found["voids_expected_per_um2"] == pytest.approx(200)
    B, v = found["rounding_length_um"] ** 4 / 1e4, 2 * 0.5 / 3600 * 4.842
    assert found["cell_um"] == pytest.approx(0.7 * (B / v) ** (1 / 3), rel=0.1)
    with pytest.raises(InputError, match="voids per µm²"):
        prepare(load_run("upscale_li", {"upscale.domain_um": 900.0}))


def test_a_callback_sees_the_rows_and_ends_the_run(small, tmp_path):
    """What it pauses goes on to the bytes of an undisturbed run."""
    path, seen = tmp_path / "part.h5", []

    def watch(sample):
        seen.append(sample.contact_fraction)
        return len(seen) == 4

    part = kmc.run("upscale_li", SMALL, output=path, progress=False, callback=watch)
    assert part.stop_reason == "stopped by the callback"
    assert part.samples.contact_fraction.tolist() == seen
    assert kmc.verify(path).passed
    kmc.resume(path, progress=False)
    assert path.read_bytes() == small.read_bytes()


@pytest.mark.slow
def test_replicas_are_averaged(tmp_path):
    path = tmp_path / "two.h5"
    found = kmc.upscale("upscale_li", SMALL | {"upscale.replicas": 2}, output=path, progress=False)
    first, second = found.replicas
    assert not np.array_equal(first.voids_per_um2, second.voids_per_um2)
    np.testing.assert_allclose(
        found.samples.contact_fraction, (first.contact_fraction + second.contact_fraction) / 2
    )
    assert set(found.frames.replica) == {0, 1}
    assert kmc.verify(path).passed


def test_a_rest_follows_the_current(tmp_path):
    path = tmp_path / "rest.h5"
    changes = SMALL | {"upscale.capacity_mAh_cm2": 1e-5, "rest.time_s": 30.0}
    found = kmc.upscale("upscale_li", changes, output=path, progress=False)
    s, resting = found.samples, found.samples.phase > 0
    assert s.time_s[-1] == pytest.approx(s.time_s[~resting][-1] + 30)
    assert np.all(s.charge_transfer_V[resting] == 0)
    assert s.supersaturation[-1] < s.supersaturation[~resting][-1]
    assert kmc.verify(path).passed


CYCLE = [
    "Strip at 0.5 mA/cm2 until 2e-4 mAh/cm2",
    "Rest for 1 s",
    "Plate at 0.5 mA/cm2 until 3e-4 mAh/cm2",
]
CYCLED = {key: value for key, value in SMALL.items() if "capacity" not in key} | {
    "upscale.samples": 4,
    "protocol.blocks": [{"steps": CYCLE, "repeat": 2}],
}


@pytest.fixture(scope="module")
def cycled(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("cycled") / "cycled.h5"
    source = path.with_name("source.toml")
    source.write_text(
        '[system]\nparams = "li_li2s"\n[conditions]\nelectrode_thickness_um = 100.0\n[upscale]\n'
    )
    kmc.upscale(source, CYCLED, output=path, progress=False)
    return path


@pytest.mark.slow
def test_a_temperature_too_low_for_clusters_is_named(monkeypatch):
    monkeypatch.setattr(vapour, "N_MAX", 12)
    with pytest.raises(InputError, match=r"temperature_K = 25: .* sampled") as caught:
        prepare(load_run("cell_li", {"conditions.temperature_K": 25}))
    assert "n_max" not in str(caught.value.advice)


@pytest.mark.slow
def test_plating_that_closes_every_flaw_for_good_is_said(cycled, tmp_path):
    found = kmc.load(cycled)
    assert "do not open again" not in str(found.summary())
    resolved = copy.deepcopy(found.resolved)
    resolved["run"]["upscale"] |= {"nucleation": "flaws", "flaws_reopen": False}

    def close(arrays):
        plates = arrays["samples/current_density_mA_cm2"] < 0
        for path in [name for name in arrays if name.endswith("/voids_per_um2")]:
            arrays[path][plates] = 0.0

    rewrite(cycled, tmp_path / "closed.h5", close, resolved=resolved)
    rows = kmc.load(tmp_path / "closed.h5").summary()
    assert len(rows) <= 8
    assert rows[-1][1].startswith("plating closed every void in cycle 1")


@pytest.mark.slow
@pytest.mark.validation
def test_cycles_of_a_population(cycled):
    """Charge of each step; what was plated is in voids or pushed the metal back: to rounding."""
    found = kmc.load(cycled)
    assert found.stop_reason == "all 6 steps of the protocol are done"
    s = found.samples
    last = np.flatnonzero(np.diff(s.step, append=np.inf))
    assert s.step[last].tolist() == [1, 2, 3, 4, 5, 6]
    assert s.cycle[last].tolist() == [1, 1, 1, 2, 2, 2]
    expected = np.cumsum([2, 0, -3, 2, 0, -3]) * 1e-4
    np.testing.assert_allclose(s.capacity_mAh_cm2[last], expected, rtol=1e-9)
    assert s.contact_fraction[last][[0, 3]].max() < 1.0
    assert s.contact_fraction[last][[2, 5]].tolist() == [1.0, 1.0]
    np.testing.assert_allclose(s.plated_um, s.filled_um + s.pushed_back_um, rtol=1e-9, atol=1e-15)
    made = s.stripped_um
    gone = s.voids_um + s.settled_um + s.sink_um + s.storage_um + s.filled_um + s.dead_um
    assert np.abs(made - gone).max() <= 1e-9 * made.max()
    plating = s.current_density_mA_cm2 < 0
    assert np.all(s.charge_transfer_V[plating] < 0)
    assert kmc.verify(cycled).passed
    rows = found.summary(full=True)
    told = {label: text.replace("\u00a0", " ") for label, text in rows}
    assert rows[: len(found.summary())] == found.summary()
    assert "after the last strip; 100 % at the end" in told["Contact"]
    assert "0.0002 mAh/cm² (" in told["Stripped"]
    assert "; -0.0002 mAh/cm² net at the end" in told["Stripped"]


@pytest.mark.parametrize("column", ["filled_um", "plated_um", "dead_um", "current_density_mA_cm2"])
def test_a_changed_number_of_plating_is_found(cycled, tmp_path, column):
    path = tmp_path / "changed.h5"

    def edit(arrays):
        values = arrays[f"samples/{column}"]
        values[-1] = 1.001 * values[-1] + 1e-6 * (column == "dead_um")

    rewrite(cycled, path, edit)
    assert not kmc.verify(path).passed


@pytest.mark.slow
def test_a_cycled_run_resumes_to_the_same_bytes(cycled, tmp_path, monkeypatch):
    path = tmp_path / "cycled.h5"
    source = cycled.with_name("source.toml")
    monkeypatch.setattr(module, "Interruption", lambda: Interrupted(220))
    part = kmc.upscale(source, CYCLED, output=path, progress=False)
    assert not part.finished
    assert part.samples.step[-1] >= 2
    monkeypatch.undo()
    vapour.WALKERS, vapour.STEPS = 2, 150_000
    kmc.resume(path, progress=False)
    assert path.read_bytes() == cycled.read_bytes()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"upscale.capacity_mAh_cm2": 0.1}, "cannot be combined with"),
        ({"conditions.current_density_mA_cm2": 0.1}, "cannot be combined with"),
        ({"rest.time_s": 1.0}, "cannot be combined with"),
        ({"protocol.blocks": ["Hold at 0.1 V for 1 s"]}, "no held voltage"),
        ({"protocol.blocks": ["Plate at 1 mA/cm2 for 1 s"]}, "strips"),
        (
            {"protocol.blocks": [{"step": CYCLE[0], "temperature_K": 300}]},
            "a population of voids has one temperature",
        ),
    ],
)
def test_what_a_cycled_population_cannot_have(cycled, changes, said):
    with pytest.raises(InputError, match=said):
        load_run(cycled.with_name("source.toml"), CYCLED | changes)


# Two cycles of 1 mAh/cm², of which 0.44 pass before no contact is left.
LOST = {
    "conditions.sink_length_um": 5.0,
    "upscale.domain_um": 12.0,
    "upscale.grid_um": 0.4,
    "upscale.nucleation": "flaws",
    "upscale.flaw_density_per_um2": 0.06,
    "upscale.flaw_radius_nm": 100,
    "upscale.rounding_length_um": 1.8,
    "upscale.samples": 4,
    "upscale.frames": 2,
    "protocol.blocks": [
        {
            "steps": [f"{do} at 0.5 mA/cm2 until 1 mAh/cm2" for do in ("Strip", "Plate")],
            "repeat": 2,
        }
    ],
}


@pytest.mark.slow
def test_a_protocol_ends_when_contact_is_lost_or_plates_back(cycled, tmp_path, monkeypatch):
    """It went on plating 1 mAh/cm² a cycle: ten cycles ended at −8.4 mAh/cm² net with exit 0."""
    source = cycled.with_name("source.toml")
    found = kmc.run(source, LOST, output=tmp_path / "ended.h5", progress=False)
    taken = found.samples.capacity_mAh_cm2[-1]
    assert found.finished
    assert found.stop_reason == (
        f"no contact is left in step 1 of 4, cycle 1: stripped {taken:.3g} of the 1 mAh/cm² asked "
        "for"
    )
    assert dict(found.summary())["Ended"] == found.stop_reason
    # More cycles would compute the same again.
    for go_on in (partial(kmc.extend, found.path, {}, cycles=2), partial(kmc.resume, found.path)):
        with pytest.raises(InputError, match="no contact is left") as caught:
            go_on(progress=False)
        assert "plate_back" in str(caught.value.advice)

    back = LOST | {"upscale.contact_lost": "plate_back"}
    whole = kmc.run(source, back, output=tmp_path / "back.h5", progress=False)
    s = whole.samples
    last = np.flatnonzero(np.diff(s.step, append=np.inf))
    assert s.capacity_mAh_cm2[last][:2] == pytest.approx([taken, 0.0], abs=1e-9)
    # Voids are closed again by then, so that the next strip passes more than its step asks for.
    assert s.capacity_mAh_cm2[last][3] == pytest.approx(0.0, abs=1e-9)
    assert kmc.verify(whole.path).passed

    on = LOST | {"upscale.contact_lost": "go_on"}
    going = kmc.run(source, on, output=tmp_path / "on.h5", progress=False)
    s = going.samples
    assert s.capacity_mAh_cm2.min() < -0.4
    ends = np.flatnonzero(np.diff(s.step, append=np.inf))
    strip, plate, again, back_again = np.diff(s.capacity_mAh_cm2[ends], prepend=0.0)
    efficiencies = [-strip / plate, -again / back_again]
    assert 0.3 < efficiencies[0] < 0.6
    assert going.coulombic_efficiency() == pytest.approx(efficiencies, rel=1e-9)

    monkeypatch.setattr(module, "Interruption", lambda: Interrupted(120))
    part = kmc.run(source, back, output=tmp_path / "part.h5", progress=False)
    assert not part.finished
    monkeypatch.undo()
    vapour.WALKERS, vapour.STEPS = 2, 150_000
    kmc.resume(part.path, progress=False)
    assert part.path.read_bytes() == whole.path.read_bytes()


def test_an_own_set_has_the_contact_angle_of_its_energies(tmp_path):
    """It was refused for a number that `kmc params check` prints."""
    text = catalogue.read_text(catalogue.locate("params", "li_li2s"))
    own, skipped = [], False
    for line in text.splitlines():
        skipped = line.startswith("[quantities.contact_angle") if line.startswith("[") else skipped
        own += [] if skipped else [line]
    (tmp_path / "own.toml").write_text("\n".join(own), encoding="utf-8")
    run = load_run("cell_li", {"system.params": str(tmp_path / "own.toml")})
    with pytest.warns(KmcWarning, match="has no contact_angle_deg: .*° is used") as caught:
        height, angle = setup._shape(run, run.parameter_set(), 0.0)
    rows = check_rows(load_parameters(str(tmp_path / "own.toml")))
    printed = next(row.model for row in rows if row.name.startswith("contact angle"))
    assert angle == pytest.approx(printed)
    assert f"{printed:.1f}°" in str(caught[0].message)
    assert height == pytest.approx(math.tan(math.radians(180 - angle) / 2))


@pytest.mark.slow
def test_every_strip_loses_as_much_contact_as_the_first(tmp_path):
    """docs/cycling.md: contact after strips and plates of a cell whose flaws open again, or not."""
    steps = [f"{do} at 0.5 mA/cm2 until 0.2 mAh/cm2" for do in ("Strip", "Plate")]
    more = {
        "conditions.current_density_mA_cm2": None,
        "upscale.capacity_mAh_cm2": None,
        "upscale.domain_um": 20,
        "upscale.grid_um": 0.4,
        "upscale.samples": 4,
        "upscale.frames": 2,
        "protocol.blocks": [{"steps": steps, "repeat": 5}],
    }
    found = kmc.run("cell_li", more, output=tmp_path / "five.h5", progress=False)
    s = found.samples
    last = np.flatnonzero(np.diff(s.step, append=np.inf))
    strips = s.contact_fraction[last][::2]
    assert strips == pytest.approx(np.full(5, 0.560), abs=0.002)
    assert strips[4] <= strips[0] + 1e-4
    assert np.all(s.contact_fraction[last][1::2] == 1.0)
    assert s.dead_um[-1] / s.stripped_um[-1] == pytest.approx(0.0028, abs=0.0001)
    assert " % after the first strip; 56" in dict(found.summary())["Contact"]
    assert "flaws_reopen" in dict(found.summary())["Trust"]
    assert kmc.verify(found.path).passed
    # A stored run of kmc 0.3.0 lacks the key, and goes on without it.
    stored = {name: dict(keys) for name, keys in found.run.items()}
    del stored["upscale"]["flaws_reopen"]
    assert not restored_run(stored, found.path, found.run_file).upscale.flaws_reopen
    closed = {"upscale.flaws_reopen": False, "protocol.blocks": [{"steps": steps, "repeat": 2}]}
    s = kmc.run("cell_li", more | closed, output=tmp_path / "closed.h5", progress=False).samples
    last = np.flatnonzero(np.diff(s.step, append=np.inf))
    assert s.contact_fraction[last] == pytest.approx([strips[0], 1, 1, 1], abs=1e-4)


@pytest.mark.long
def test_the_shipped_cycles_are_those_of_the_page(tmp_path):
    """docs/cycling.md: contact after each strip, volume cut off, metal pushed back."""
    s = kmc.upscale("upscale_cycle", output=tmp_path / "cycle.h5", progress=False).samples
    last = np.flatnonzero(np.diff(s.step, append=np.inf))
    assert 1 - s.contact_fraction[last][::2] == pytest.approx(np.full(10, 0.285), abs=0.01)
    assert np.all(s.contact_fraction[last][1::2] == 1.0)
    assert s.dead_um[-1] == pytest.approx(0.0050, abs=0.0003)
    assert s.pushed_back_um[-1] == pytest.approx(0.0095, abs=0.0005)
    assert s.dead_um[-1] / s.stripped_um[-1] == pytest.approx(0.0103, abs=0.0006)


# --- verification ---------------------------------------------------------------------------------


def test_a_sound_file_passes(small):
    found = kmc.verify(small)
    assert found.passed, found
    assert any("stripped + flaws = voids" in check for check in found.checks)


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("samples/voids_um", "balance"),
        ("samples/capacity_mAh_cm2", "charge"),
        ("samples/charge_transfer_V", "overpotential"),
        ("samples/sink_um", "balance"),
        ("points/volume_um3", "voids_um of a frame"),
        ("points/radius_um", "contact_fraction of a frame"),
        ("frames/h_um", "voids_um of a frame"),
        ("events/kind", "of replica 0"),
    ],
)
def test_a_number_that_was_changed_is_found(small, tmp_path, place, said):
    """By a thousandth (a radius by a half), with its checksum made right again."""
    path = tmp_path / "changed.h5"

    def edit(arrays):
        values = arrays[place]
        if place == "events/kind":
            values[-1] = 3 - values[-1]
        elif place == "points/radius_um":
            values *= 1.5
        else:
            values[-1] *= 1.001

    rewrite(small, path, edit)
    found = kmc.verify(path)
    assert not found.passed
    assert said in str(found.breach)


def test_damage_is_told_as_damage(small, tmp_path):
    path = tmp_path / "damaged.h5"
    shutil.copy(small, path)
    with h5py.File(path, "r+") as file:
        file["samples/contact_fraction"][3] = 0.5
    with pytest.raises(FileFormatError, match="contact_fraction fails its checksum"):
        kmc.load(path)
    with h5py.File(path, "r+") as file:
        del file["points/x_um"]
    with pytest.raises(FileFormatError, match=r"x_um"):
        kmc.load(path)
    with h5py.File(path, "r+") as file:
        file.attrs["system_schema"] = 99
    with pytest.raises(FileFormatError, match="schema 99"):
        kmc.load(path)


# --- the command line -----------------------------------------------------------------------------


def run(*arguments: str):
    return CliRunner().invoke(main, list(arguments), catch_exceptions=False)


def settings() -> list[str]:
    return [part for key, value in SMALL.items() for part in ("--set", f"{key}={value}")]


def test_the_command_writes_file_picture_and_summary(tmp_path):
    path = tmp_path / "here.h5"
    done = run("upscale", "upscale_li", "-o", str(path), *settings())
    assert done.exit_code == 0, done.output
    assert path.exists()
    assert path.with_suffix(".png").exists()
    assert "Contact" in done.output
    told = run("info", str(path))
    assert "per 100 µm" in told.output
    told = json.loads(run("info", str(path), "--json").output)
    assert told["final"]["capacity_mAh_cm2"] == pytest.approx(0.004)
    assert told["finished"]
    assert run("verify", str(path)).exit_code == 0
    again = run("upscale", "upscale_li", "-o", str(path))
    assert again.exit_code == 2


@pytest.mark.slow
@pytest.mark.parametrize("what", SYSTEMS["population"].pictures)
def test_every_picture_is_drawn(small, tmp_path, what):
    picture = tmp_path / f"{what}.png"
    done = run("plot", str(small), "--what", what, "-o", str(picture))
    assert done.exit_code == 0, done.output
    assert picture.stat().st_size > 10_000


@pytest.mark.slow
def test_the_paper_stands_beside_the_run(small, tmp_path):
    picture = tmp_path / "paper.svg"
    done = run("plot", str(small), "--what", "microscope", "--paper", "-o", str(picture))
    assert done.exit_code == 0
    assert "one gap" in picture.read_text(encoding="utf-8")
    # Beside measured points the axis is linear: on a logarithmic one they stand at its right end.
    for options, scale in (({}, "log"), ({"paper": True}, "linear")):
        page = kmc.load(small).plot("microscope", **options)
        panels = [axes for part in page.subfigs for axes in part.axes if axes.get_lines()]
        assert {axes.get_xscale() for axes in panels} == {scale}


@pytest.mark.slow
def test_a_movie_shows_each_frame(small, tmp_path):
    film = tmp_path / "small.gif"
    done = run("movie", str(small), "--frames", "0,5,-1", "-o", str(film))
    assert done.exit_code == 0, done.output
    with Image.open(film) as movie:
        assert movie.n_frames == 3
        first = np.asarray(movie.convert("RGB"))
        movie.seek(2)
        assert np.mean(first != np.asarray(movie.convert("RGB"))) > 0.01
    assert run("movie", str(small), "-o", str(film)).exit_code == 2


def test_tables_are_exported(small, tmp_path):
    table = tmp_path / "voids.csv"
    assert run("export", str(small), "--what", "voids", "-o", str(table)).exit_code == 0
    assert table.read_text(encoding="utf-8").startswith("frame,x_um,y_um,footprint_um2")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"upscale.domain_um": -1}, "domain_um'] = -1 is out of range"),
        ({"upscale.relaxation": "instnat"}, "Did you mean 'instant'"),
        ({"upscale.nucleation": "flaws"}, "needs flaw_density_per_um2 and flaw_radius_nm"),
        ({"upscale.flaw_radius_nm": 5}, "no meaning with"),
        ({"upscale.shape": "aspect"}, "needs aspect_ratio"),
        ({"conditions.electrode_thickness_um": math.inf}, "no vacancy could end anywhere"),
        ({"upscale.sharing": "equal"}, "not a valid choice\nAllowed: 'field'"),
        ({"upscale.grid_um": 1e-3}, "more than memory should hold"),
        ({"upscale.relaxation": "none"}, "not a valid choice\nAllowed: 'kinetic', 'instant'"),
        ({"upscale.rounding_length_um": 0}, "rounding_length_um'] = 0 is out of range"),
        (
            {"upscale.rounding_length_um": 1, "upscale.relaxation": "instant"},
            "say the same twice",
        ),
        ({"upscale.resolution_um": 60}, "more than half of the square"),
        ({"upscale.pressure_share": 1.5}, "out of range"),
        ({"upscale.pressure_share": 0.5}, "share of a stack pressure, and there is none"),
        ({"upscale.adhesion_MPa": 0.5}, "no meaning for a rigid body"),
        ({"upscale.counter_electrode_share": 0.6}, "nothing under a constant pressure"),
        (
            {"upscale.contact_angle_hysteresis_deg": 20, "upscale.relaxation": "instant"},
            "voids that are discs at once have none",
        ),
        ({"parameters.creep_stress_limit_MPa": 2.0}, "is for boxes"),
        ({"upscale.flaw_radius_sigma": 0.3}, "no meaning with"),
        ({"conditions.sink_length_um": 0}, "out of range"),
        ({"stop.events": 5}, "has no meaning in a run with [upscale]"),
        ({"system.size": [16, 16, 16]}, "has no meaning in a run with [upscale]"),
        ({"conditions.current_density_mA_cm2": 0}, "without a current"),
        ({"conditions.overpotential_V": 0.1, "conditions.current_density_mA_cm2": None}, "no held"),
        ({"system.boundary": "periodic"}, "needs an interface"),
        ({"upscale.domain": 5}, "'domain'"),
    ],
)
def test_what_cannot_be_run_is_told_before(changes, said):
    with pytest.raises(InputError) as problem:
        load_run("upscale_li", changes)
    assert said in str(problem.value)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"system.params": "lattice_gas"}, "interface"),
        ({"system.mg_fraction": 0.1}, "has no"),
        ({"system.params": "li_neutral", "conditions.stack_pressure_MPa": 1}, ""),
    ],
)
def test_what_its_parameters_lack_is_told_and_nothing_is_written(tmp_path, changes, said):
    path = tmp_path / "never.h5"
    try:
        kmc.upscale("upscale_li", SMALL | changes, output=path, progress=False)
    except InputError as problem:
        assert said in str(problem)  # noqa: PT017 - either a refusal or a run that adds up
        assert not path.exists()
    else:
        assert kmc.verify(path).passed


def test_cells_too_coarse_for_the_rim_are_refused_with_what_would_do(tmp_path):
    with pytest.raises(InputError, match="do not resolve the rim") as problem:
        prepare(load_run("operando_li", {"upscale.grid_um": 5}))
    fine = float(re.findall(r"[0-9.]+", problem.value.advice)[0])
    assert prepare(load_run("operando_li", {"upscale.grid_um": fine})).setting.pitch_um <= fine


def test_cells_wider_than_most_of_a_rim_are_named():
    """At 1.8 µm the lip is 0.92 µm thick: 0.7 of it is 0.64 µm."""
    with pytest.warns(KmcWarning, match=r"is 0\.87 of the rim .* 0\.92 µm thick") as caught:
        prepare(load_run("operando_li", {"upscale.grid_um": 0.8}))
    fine = float(re.findall(r"give ([0-9.]+) µm", str(caught[0].message))[0])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        prepare(load_run("operando_li", {"upscale.grid_um": fine}))


@pytest.mark.parametrize("rounding_um", [0.5, 1.0])
def test_cells_follow_from_the_rim_as_finely_as_the_run_says(rounding_um):
    """Lip (B/v)^(1/3) by hand: B = R*⁴/1e4 s, v twice the 4.85 µm of a mAh/cm² at 0.5 mA/cm²."""
    lip = (rounding_um**4 / 1e4 / (2 * 4.85 * 0.5 / 3600)) ** (1 / 3)
    changes = {"upscale.rounding_length_um": rounding_um, "upscale.flaw_density_per_um2": 0.01}
    for cells in (1.4, 3.0):
        setting = prepare(load_run("operando_li", {**changes, "upscale.cells_per_rim": cells}))
        assert setting.setting.pitch_um == pytest.approx(lip / cells, rel=0.03)
    with pytest.raises(InputError, match="cells_per_rim"):
        load_run("operando_li", {"upscale.cells_per_rim": 1.0})


@pytest.mark.validation
def test_dislocations_of_the_stress_are_sinks():
    """1/κ = αGb/σ, beside the sinks that are given as densities add; none without a stress.

    1 % would let through neither another b (a for a√3/2 is 15 % off) nor another stress; what
    follows from the same numbers agrees to rounding.
    """

    def facts(**changes) -> dict[str, float]:
        given = {"upscale.dislocation_modulus_GPa": 0.849, "upscale.pressure_share": 0.5}
        given |= {"conditions.sink_length_um": math.inf, "conditions.stack_pressure_MPa": 0.02}
        given |= {key.replace("__", "."): value for key, value in changes.items()}
        return prepare(load_run("operando_li", given)).facts

    one = facts()
    depth = 849 * 3.506e-4 * math.sqrt(3) / 2 / 0.01
    assert one["sink_depth_um"] == pytest.approx(depth, rel=0.01)
    assert one["sink_distance_um"] == pytest.approx(depth * math.tanh(100 / depth), rel=0.01)
    both = facts(conditions__sink_depth_um=one["sink_depth_um"])
    assert both["sink_depth_um"] == pytest.approx(one["sink_depth_um"] / math.sqrt(2))
    none = facts(upscale__pressure_share=0.0)
    assert "sink_depth_um" not in none
    assert none["sink_distance_um"] == pytest.approx(100.0)


def test_a_summary_says_where_cells_do_not_resolve_rims(small):
    """Cells of 0.1 µm, on a lip of 0.07 µm; those of the default are not mentioned."""
    found = kmc.load(small)
    assert "are wider than the 0.0493\xa0µm that resolve rims" in dict(found.summary())["Trust"]
    found.facts["resolving_cell_um"] = 0.1
    assert "resolve" not in dict(found.summary())["Trust"]


def test_boxes_and_populations_are_told_apart(small, tmp_path):
    with pytest.raises(InputError, match="a box of atoms, not a population of voids"):
        kmc.upscale("strip_li", output=tmp_path / "box.h5", progress=False)


NAMES = ["upscale_li", "upscale_limg", "upscale_flaws", "upscale_pressure", "upscale_rest"]


@pytest.mark.parametrize("name", [*NAMES, "upscale_cycle", "operando_li", "operando_limg"])
def test_shipped_runs_load(name):
    run_file = load_run(name)
    assert run_file.kind == "population"
    assert "upscale" in run_file.resolved()
    assert "upscale" not in load_run("strip_li").resolved()


def test_debris_below_the_resolution_is_no_void():
    """Of five voids on the grid one is debris; of three points one has no flaw."""
    job = object.__new__(PopulationJob)
    # Number, largest area so far, area, volume, height.
    areas = [(1.0, 0.9), (1.0, 0.1), (0.1, 0.1), (0.17, 0.17), (4.0, 0.161)]
    voids = np.array([[i, most, now, 0.1, 0.1] for i, (most, now) in enumerate(areas)])
    job.life = SimpleNamespace(least_um2=0.16, voids=voids)
    places, volumes = [1.0, 2.0, 3.0], [1e-6] * 3
    job.gaps = SimpleNamespace(
        points=Points(*map(np.array, (places, places, volumes, [0.1, 0, 0.1])))
    )
    job.prepared = SimpleNamespace(setting=SimpleNamespace(homogeneous=False))
    assert job._number_of_voids() == 4 + 2
    # Nuclei begin as points without a flaw.
    job.prepared.setting.homogeneous = True
    assert job._number_of_voids() == 4 + 3


@pytest.mark.slow
def test_two_grids_agree_on_the_number_of_voids_under_pressure(tmp_path):
    """README's run under 1 MPa on a smaller square: equal flaws, other cells."""
    levels = []
    for cell in (0.2, 0.12):
        changes = {
            "conditions.stack_pressure_MPa": 1.0,
            "upscale.domain_um": 10.0,
            "upscale.capacity_mAh_cm2": 0.06,
            "upscale.grid_um": cell,
        }
        path = tmp_path / f"{cell}.h5"
        levels.append(kmc.upscale("cell_li", changes, output=path, progress=False).samples)
    for charge in (0.01, 0.03, 0.06):
        coarse, fine = (
            s.voids_per_um2[np.argmin(abs(s.capacity_mAh_cm2 - charge))] * 10**2 for s in levels
        )
        # Standard deviation of a count of independent voids, once; of the difference it is more.
        assert abs(coarse - fine) <= np.sqrt(fine)
        assert fine >= 3
