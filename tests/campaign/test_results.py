"""Results of sweeps: scalars of a run, their cache, and the dataset."""

from __future__ import annotations

import json
import math
import os
from types import SimpleNamespace

import fake
import numpy as np
import pytest
import xarray as xr

import kmc
from kmc.analysis import voids
from kmc.campaign import scalars
from kmc.campaign.folder import make_folder
from kmc.campaign.plan import read_plan
from kmc.errors import InputError
from kmc.files.table_run import with_netcdf_encoding

SWEEP = """
run = "strip_li"
replicas = 2
[grid]
"conditions.temperature_K" = [290, 310.5, 330]
"system.size" = [[8, 8, 8], [10, 10, 8]]
[zip]
"conditions.current_density_mA_cm2" = [0.5, 1.0]
"system.lattice" = ["bcc_100", "bcc_110"]
[set]
"stop.capacity_monolayers" = 2
"""


def sweep(tmp_path, text=SWEEP, *, skip=(), **options):
    """A folder whose points were written by `fake`, but for some; how far each is, by its index."""
    tmp_path.mkdir(exist_ok=True)
    file = tmp_path / "study.toml"
    file.write_text(text)
    folder = make_folder(tmp_path / "study", read_plan(file))
    for point in folder.plan.points:
        if point.index in skip:
            continue
        folder.prepare(point)
        length = 1.0 + 0.1 * point.index
        fake.write(folder.trajectory_path(point), monolayers=length, n_frames=3, **options)
        folder.record_done(point, 1.0)
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = sweep(tmp_path_factory.mktemp("results"), skip=(3, 5))
    folder.record_failure(folder.plan.points[5], "it broke", "", 0.1)
    return folder


@pytest.fixture(scope="module")
def ds(folder):
    return kmc.load_sweep(folder.path, at_monolayers=[0.5, 1.5])


def test_netcdf_without_another_library(ds, tmp_path):
    """netCDF 3 of scipy has integers of 32 bits: seeds and long counts stay exact as float64."""
    ds.to_netcdf(tmp_path / "sweep.nc", engine="scipy")
    back = xr.open_dataset(tmp_path / "sweep.nc", engine="scipy")
    assert ds.seed.values.max() > 2**31
    assert (back.seed.values.astype(np.uint64) == ds.seed.values).all()
    counts = xr.Dataset({"hops": ("sample", np.array([1, 2**53 - 1]))})
    with_netcdf_encoding(counts).to_netcdf(tmp_path / "counts.nc", engine="scipy")
    back = xr.open_dataset(tmp_path / "counts.nc", engine="scipy").hops.values
    assert back.astype(np.int64).tolist() == [1, 2**53 - 1]


@pytest.mark.slow
def test_numbers_that_points_left_are_used_without_opening_their_files(tmp_path, monkeypatch):
    """A first reading of thousands of points takes no longer than the table of their numbers."""
    left, plain = (sweep(tmp_path / name) for name in ("left", "plain"))
    for point in left.plan.points:
        path = left.trajectory_path(point)
        left.record_done(point, 1.0, scalars.entry_of(path, kmc.load(path)))
    read = kmc.load_sweep(plain.path).drop_vars("path")
    monkeypatch.setattr(scalars, "opened", None)
    found = kmc.load_sweep(left.path).drop_vars("path")
    xr.testing.assert_identical(found.assign_attrs(folder=""), read.assign_attrs(folder=""))


@pytest.mark.slow
def test_numbers_of_a_file_that_changed_since_are_read_again(tmp_path):
    folder = sweep(tmp_path)
    first, second = folder.plan.points[:2]
    path = folder.trajectory_path(first)
    folder.record_done(first, 1.0, scalars.entry_of(path, kmc.load(path)))
    with open(folder.path / "scalars.jsonl", "a") as file:
        file.write('{"version": 3, "na')
    os.replace(folder.trajectory_path(second), path)
    fake.write(folder.trajectory_path(second), monolayers=2.0, n_frames=2)
    ds = kmc.load_sweep(folder.path)
    assert ds.capacity_monolayers.values.flat[0] == pytest.approx(1.1)


# --- scalars of one run ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return kmc.load(fake.write(tmp_path_factory.mktemp("run") / "run.h5", monolayers=2.0))


def test_final_numbers_are_those_of_the_last_row_and_frame(run):
    found = scalars.final(run)
    for name in run.samples:
        assert found[name] == run.samples[name][-1]
    these = voids.find(run.frames[-1].occupancy, run.lattice)
    assert found["voids"] == len(these) > 0
    assert found["max_void_width_nm"] == these.width_nm.max()
    area_um2 = run.lattice.box_A[0] * run.lattice.box_A[1] * 1e-8
    assert found["voids_per_um2"] == pytest.approx(len(these) / area_um2)
    assert found["void_area_nm2"] == pytest.approx(sum(these.contact_area_nm2))
    assert found["mean_void_area_nm2"] == pytest.approx(found["void_area_nm2"] / len(these))
    assert found["mean_void_height_nm"] == pytest.approx(these.height_nm.mean())
    assert found["hops_per_strip"] == run.samples.hops[-1] / run.samples.strips[-1]


def test_numbers_at_a_capacity_are_linear_between_samples(run):
    capacity = run.samples.capacity_monolayers
    middle = 0.25 * capacity[3] + 0.75 * capacity[4]
    found = scalars.at_capacity(run, middle)
    expected = 0.25 * run.samples.contact_fraction[3] + 0.75 * run.samples.contact_fraction[4]
    assert found["contact_fraction"] == pytest.approx(expected)
    assert found["capacity_monolayers"] == pytest.approx(middle)
    nearest = np.abs(run.frames.capacity_monolayers - middle).argmin()
    assert found["frame_capacity_monolayers"] == run.frames.capacity_monolayers[nearest]


def test_numbers_at_a_sample_are_its_own(run):
    for row in (0, 7, len(run.samples) - 1):
        found = scalars.at_capacity(run, run.samples.capacity_monolayers[row])
        assert found["overpotential_V"] == pytest.approx(run.samples.overpotential_V[row])


def test_a_cycled_run_counts_the_first_time_a_capacity_is_reached(run):
    """Strips less plates rises, falls and rises again; the last row is below what is asked for."""
    n = len(run.samples)
    up = run.samples.capacity_monolayers
    columns = {name: np.concatenate([run.samples[name], run.samples[name][::-1]]) for name in
               run.samples}  # fmt: skip
    columns["overpotential_V"] = np.arange(2 * n, dtype=float)
    frames = SimpleNamespace(
        capacity_monolayers=np.concatenate(
            [run.frames.capacity_monolayers, run.frames.capacity_monolayers[::-1]]
        )
    )
    asked = []
    frames = type("Frames", (), {
        "capacity_monolayers": frames.capacity_monolayers,
        "__getitem__": lambda self, i: asked.append(i) or run.frames[i],
    })()  # fmt: skip
    cycled = SimpleNamespace(kind="electrode", samples=columns, frames=frames, lattice=run.lattice)
    found = scalars.at_capacity(cycled, up[7])
    assert found["overpotential_V"] == 7.0
    assert asked[0] < len(run.frames)
    assert scalars.at_capacity(cycled, 2.01) == {}


def test_a_capacity_that_was_not_reached_has_no_numbers(run):
    assert scalars.at_capacity(run, 2.01) == {}


def test_no_line_leads_to_infinity(tmp_path):
    t = kmc.load(fake.write(tmp_path / "lost.h5", last={"overpotential_V": math.inf}))
    capacity = t.samples.capacity_monolayers
    found = scalars.at_capacity(t, 0.5 * (capacity[-1] + capacity[-2]))
    assert found["overpotential_V"] == math.inf
    assert math.isfinite(found["contact_fraction"])


def test_onset_is_where_the_line_between_samples_crosses(run):
    contact, capacity = run.samples.contact_fraction, run.samples.capacity_monolayers
    level = 0.5 * (contact.max() + contact.min())
    found = scalars.onset(run, level)
    after = int(np.flatnonzero(contact < level)[0])
    assert capacity[after - 1] <= found <= capacity[after]
    assert np.interp(found, capacity[after - 1 : after + 1], contact[after - 1 : after + 1]) == (
        pytest.approx(level)
    )
    assert math.isnan(scalars.onset(run, 0.0))


# --- the cache ------------------------------------------------------------------------------------


def settled(path):
    """Make a file look as old as one that a cache trusts."""
    past = os.stat(path).st_mtime_ns - 10_000_000_000
    os.utime(path, ns=(past, past))


@pytest.fixture
def reads(monkeypatch):
    """Files that were opened for their numbers."""
    files, opened = [], scalars.opened
    monkeypatch.setattr(scalars, "opened", lambda file: files.append(file) or opened(file))
    return files


def numbers(folder, *wanted, contact=0.9, name="run"):
    """Numbers of run.h5, as a first call that reads the folder gets and keeps them."""
    kept = scalars.Numbers(folder)
    found = kept.of(name, folder / "run.h5", wanted, contact)
    kept.save()
    return found


def test_numbers_are_kept_by_file(tmp_path, reads):
    path = fake.write(tmp_path / "run.h5", monolayers=2.0)
    settled(path)
    at = scalars.At(0.5)
    first = numbers(tmp_path, at)
    assert first["final"] == pytest.approx(scalars.final(kmc.load(path)), nan_ok=True)
    again = numbers(tmp_path, at)
    assert len(reads) == 1
    assert again["final"] == pytest.approx(first["final"], nan_ok=True)
    assert again["at"][at.key] == pytest.approx(first["at"][at.key], nan_ok=True)
    later = numbers(tmp_path, scalars.At(0.7))
    assert len(reads) == 2
    assert later["at"].keys() == {at.key, scalars.At(0.7).key}
    assert numbers(tmp_path, at, contact=0.8)["onset"].keys() == {"0.5", "0.8", "0.9"}
    assert len(reads) == 3
    numbers(tmp_path, name="other")
    assert len(reads) == 4
    fake.write(tmp_path / "other.h5", monolayers=1.0)
    os.replace(tmp_path / "other.h5", path)
    settled(path)
    assert numbers(tmp_path)["final"]["capacity_monolayers"] == pytest.approx(1.0)
    assert len(reads) == 5


def test_a_file_of_this_moment_is_not_trusted(tmp_path, reads):
    fake.write(tmp_path / "run.h5")
    numbers(tmp_path)
    numbers(tmp_path)
    assert len(reads) == 2


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"version": 3, "na', '{"version": 1, "kmc": "0", "name": "run"}']
)
def test_lines_that_cannot_be_used_are_left_out(tmp_path, reads, text):
    (tmp_path / "scalars.jsonl").write_text(f"{text}\n")
    settled(fake.write(tmp_path / "run.h5"))
    numbers(tmp_path)
    numbers(tmp_path)
    assert len(reads) == 1


# --- the dataset ----------------------------------------------------------------------------------


def test_axes_are_dimensions(ds):
    assert isinstance(ds, xr.Dataset)
    assert dict(ds.contact_fraction.sizes) == {
        "temperature_K": 3,
        "size": 2,
        "zip": 2,
        "replica": 2,
    }
    assert ds.temperature_K.values.tolist() == [290, 310.5, 330]
    assert ds.temperature_K.attrs == {
        "long_name": "temperature",
        "units": "K",
        "key": "conditions.temperature_K",
    }
    assert ds["size"].values.tolist() == ["[8, 8, 8]", "[10, 10, 8]"]
    assert ds.current_density_mA_cm2.dims == ds.lattice.dims == ("zip",)
    assert ds.lattice.values.tolist() == ["bcc_100", "bcc_110"]
    assert ds.overpotential_V.attrs["units"] == "V"


def test_every_run_stands_in_its_place(ds, folder):
    for point in folder.plan.points:
        value = ds.capacity_monolayers.sel(
            temperature_K=point.settings["conditions.temperature_K"],
            size=json.dumps(point.settings["system.size"]),
            replica=point.replica,
            zip=["bcc_100", "bcc_110"].index(point.settings["system.lattice"]),
        )
        expected = 1.0 + 0.1 * point.index
        if point.index in (3, 5):
            assert math.isnan(value)
        else:
            assert value == pytest.approx(expected)
            assert ds.seed.values.ravel()[point.index] == point.seed


def test_what_is_not_there_says_so(ds):
    states = ds.state.values.ravel().tolist()
    assert [i for i, state in enumerate(states) if state != "done"] == [3, 5]
    assert (states[3], states[5]) == ("missing", "failed")
    assert ds.error.values.ravel()[5] == "it broke"
    status = ds.sweep.status()
    assert len(status) == 24
    assert status.state.tolist() == states


def test_capacities_are_a_dimension(ds):
    assert ds.at_monolayers.values.tolist() == [0.5, 1.5]
    late = ds.contact_fraction_at.sel(at_monolayers=1.5).values.ravel()
    assert np.isnan(late[:5]).all()  # ended at 1.4 monolayers or before, or was never run
    assert np.isfinite(late[6:]).all()


@pytest.mark.slow
def test_onset_and_censoring(folder):
    ds = kmc.load_sweep(folder.path, onset_contact=0.05)
    done = ds.state == "done"
    assert ds.onset_capacity_monolayers.isnull().all()
    assert (ds.onset_censored == done).all()
    ds = kmc.load_sweep(folder.path)
    assert (ds.onset_capacity_monolayers.notnull() == done).all()
    assert not ds.onset_censored.any()


@pytest.mark.slow
def test_trajectories_open_when_asked_for(ds, folder):
    point = folder.plan.points[-1]
    t = ds.sweep.trajectory(temperature_K=330, size=[10, 10, 8], lattice="bcc_110", replica=1)
    assert t.path == folder.trajectory_path(point)
    assert len(list(ds.sweep.trajectories())) == 22
    labels, _ = next(ds.sel(temperature_K=330).sweep.trajectories(replica=1))
    assert labels["temperature_K"] == 330
    assert labels["replica"] == 1


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ({"temperature_K": 330}, "8 runs match, not one"),
        ({"temperature": 330}, "Did you mean 'temperature_K'?"),
        ({"temperature_K": 300}, "Values of temperature_K: 290.0, 310.5, 330.0."),
        ({"temperature_K": 290, "size": [10, 10, 8], "zip": 0, "replica": 1}, "failed: it broke"),
    ],
)
def test_which_trajectory(ds, where, said):
    with pytest.raises(InputError) as caught:
        ds.sweep.trajectory(**where)
    assert said in str(caught.value)


def test_it_becomes_a_table(ds):
    table = ds.contact_fraction.to_dataframe().reset_index()
    assert len(table) == 24
    assert {"temperature_K", "size", "replica", "contact_fraction"} <= set(table.columns)


def test_a_damaged_run_does_not_hide_the_others(tmp_path):
    folder = sweep(tmp_path, 'run = "strip_li"\nreplicas = 2\n')
    path = folder.trajectory_path(folder.plan.points[0])
    path.write_bytes(path.read_bytes()[:2000])
    ds = kmc.load_sweep(folder.path)
    assert ds.state.values.tolist() == ["unreadable", "done"]
    assert "cut short" in ds.error.values[0]
    assert np.isfinite(ds.contact_fraction.values[1])


def test_an_axis_keeps_its_name_and_a_column_of_that_name_gets_another(tmp_path):
    text = 'run = "strip_li"\n[grid]\n"stop.capacity_monolayers" = [1, 2]\n'
    ds = kmc.load_sweep(sweep(tmp_path, text).path)
    assert ds.capacity_monolayers.values.tolist() == [1, 2]
    assert ds.capacity_monolayers_end.dims == ("capacity_monolayers", "replica")


@pytest.mark.parametrize("options", [{"at_monolayers": -1}, {"onset_contact": 0}])
def test_impossible_questions(folder, options):
    with pytest.raises(InputError):
        kmc.load_sweep(folder.path, **options)


def test_no_sweep(tmp_path):
    with pytest.raises(InputError, match="not the folder of a sweep"):
        kmc.load_sweep(tmp_path)


# --- charges in the unit of the run ---------------------------------------------------------------


@pytest.fixture
def population():
    """Samples of a population that loses half of its contact at 0.3 mAh/cm²."""
    charge = np.array([0.0, 0.1, 0.2, 0.4])
    samples = {"time_s": charge, "capacity_mAh_cm2": charge,
               "contact_fraction": np.array([1.0, 0.95, 0.8, 0.2])}  # fmt: skip
    facts = {"monolayer_mAh_cm2": 3.6e-5}
    return SimpleNamespace(kind="population", samples=samples, facts=facts)


def test_a_population_is_read_at_mAh_cm2(population):
    """0.05 of its unit is halfway to the second row; 0.05 monolayers are its very beginning."""
    found = scalars.at_capacity(population, 0.05, "capacity_mAh_cm2")
    assert found["contact_fraction"] == pytest.approx(0.975)
    assert scalars.at_capacity(population, 0.05)["contact_fraction"] == pytest.approx(1.0, abs=1e-4)
    assert scalars.onset(population, 0.5) == pytest.approx(0.3)
    at = scalars.At(0.05, "capacity_mAh_cm2")
    assert scalars.charge_text(at.value, at.unit) == "0.05\u00a0mAh/cm²"


@pytest.mark.slow
def test_capacities_of_both_units_at_once_are_refused(folder):
    with pytest.raises(InputError, match="at_monolayers and at_mAh_cm2"):
        kmc.load_sweep(folder.path, at_monolayers=0.5, at_mAh_cm2=0.5)
    ds = kmc.load_sweep(folder.path, at_mAh_cm2=1e-5)
    assert ds.contact_fraction_at.dims[-1] == "at_mAh_cm2"
    assert np.isfinite(ds.contact_fraction_at.values).any()


def test_charge_to_half_of_the_contact_is_among_the_numbers(folder, ds):
    assert ds.half_contact_monolayers.attrs["label"] == "charge to half of the contact"
    kept = ds.half_contact_censored & (ds.state == "done")
    lost = (ds.contact_fraction < 0.5) & (ds.state == "done")
    assert not (kept & lost).any()
    assert (kept | lost | (ds.state != "done")).all()
