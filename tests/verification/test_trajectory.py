"""`kmc verify`: whole files pass, and a file in which one number was changed does not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zlib
from pathlib import Path

import fake
import h5py
import numpy as np
import pytest
from click.testing import CliRunner

import kmc
from kmc.cli.app import main
from kmc.errors import FileFormatError, InputError
from kmc.runfile.load import load_run
from kmc.simulation.run import run_to_file
from kmc.trajectory import schema

SMALL = {
    "system.size": [6, 6, 10],
    "acceleration.max_hops_per_strip_per_site": 1e4,
    "stop.capacity_monolayers": 1.0,
    "output.sample_every_monolayers": 0.1,
    "output.frame_every_monolayers": 0.25,
}
BULK = {
    "system.size": [5, 5, 10],
    "system.boundary": "periodic",
    "system.mg_coverage_L1": None,
    "system.vacancy_fraction": 0.02,
    "conditions.current_density_mA_cm2": 0.0,
    "acceleration.max_hops_per_strip_per_site": None,
    "stop.capacity_monolayers": None,
    "stop.events": 3000,
    "output.sample_every_monolayers": None,
    "output.frame_every_monolayers": None,
    "output.sample_every_events": 500,
    "output.frame_every_events": 1000,
}
RUNS = {
    "li": ("strip_li", SMALL),
    "limg": ("strip_limg", SMALL),
    "li_110": ("strip_li", {**SMALL, "system.lattice": "bcc_110"}),
    "limg_111": ("strip_limg", {**SMALL, "system.lattice": "bcc_111"}),
    "bulk": ("strip_limg", BULK),
}


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """Path of one of RUNS, computed once."""
    folder, made = tmp_path_factory.mktemp("runs"), {}

    def get(name):
        if name not in made:
            made[name] = folder / f"{name}.h5"
            run_to_file(load_run(*RUNS[name]), made[name], progress=False)
        return made[name]

    return get


@pytest.fixture
def copy(original, tmp_path):
    def make(name="limg"):
        path = tmp_path / "copy.h5"
        path.write_bytes(original(name).read_bytes())
        return path

    return make


def seal(path) -> None:
    """Make the checksums of rows and frames fit again, as a forger would."""
    with h5py.File(path, "r+") as file:
        names = [entry.name for entry in schema.SAMPLE_COLUMNS]
        n = min(len(file[f"samples/{name}"]) for name in names)
        rows = np.empty(n, schema.row_dtype(schema.SAMPLE_COLUMNS))
        for name in names:
            rows[name] = file[f"samples/{name}"][:n]
        file["samples/crc32"][:n] = schema.row_checksums(rows)
        for index in range(len(file["frames/occupancy"])):
            row = np.empty((), schema.row_dtype(schema.FRAME_COLUMNS))
            for name in row.dtype.names:
                row[name] = file[f"frames/{name}"][index]
            occupancy = file["frames/occupancy"][index]
            file["frames/crc32"][index] = zlib.crc32(row.tobytes(), zlib.crc32(occupancy))


def first_frame_rows(path) -> list[int]:
    """Rows of /samples that have a frame."""
    with h5py.File(path) as file:
        return np.flatnonzero(np.isin(file["samples/time_s"][:], file["frames/time_s"][:])).tolist()


# --- whole files ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", RUNS)
def test_a_run_passes(original, name):
    told = []
    found = kmc.verify(original(name), progress=lambda done, of: told.append((done, of)))
    assert found.passed, found.breach
    assert found.breach is None
    t = kmc.load(original(name))
    assert (found.n_samples, found.n_frames) == (len(t.samples), len(t.frames))
    assert found.n_frames >= 3
    assert told[-1] == (found.n_frames, found.n_frames)
    assert f"{found.n_frames}" in str(found)
    assert "passes" in str(found)
    assert "not finished" not in str(found)


def test_an_unfinished_run_and_one_without_rows_pass(copy, tmp_path):
    path = copy()
    with h5py.File(path, "r+") as file:
        file.attrs["finished"] = False
        for column in file["samples"].values():
            column.resize(len(column) - 1, axis=0)
        file["samples/energy_eV"].resize(len(file["samples/energy_eV"]) - 1, axis=0)
        for column in file["frames"].values():
            column.resize(len(column) - 2, axis=0)
    found = kmc.verify(path)
    assert found.passed, found.breach
    assert "not finished; its rows so far are consistent" in str(found)
    with h5py.File(path, "r+") as file:
        for group in ("samples", "frames"):
            for column in file[group].values():
                column.resize(0, axis=0)
    assert kmc.verify(path).passed


def without_ways(path) -> None:
    """Make the file one of an earlier kmc of the same schema, which did not count hops by way."""
    with h5py.File(path, "r+") as file:
        record = json.loads(file["record"][:].tobytes())
        names = [name for name, _ in record["columns"] if name not in schema.HOPS_BY_WAY]
        record["columns"] = [pair for pair in record["columns"] if pair[0] in names]
        data = np.frombuffer(json.dumps(record).encode(), dtype=np.uint8)
        attributes = dict(file["record"].attrs)
        del file["record"]
        file.create_dataset("record", data=data, fletcher32=True, chunks=data.shape)
        file["record"].attrs.update(attributes)
        for name in schema.HOPS_BY_WAY:
            del file[f"samples/{name}"]
        rows = np.rec.fromarrays([file[f"samples/{name}"][:] for name in names], names=names)
        file["samples/crc32"][:] = schema.row_checksums(rows)


def test_a_file_without_hops_by_way_is_read_checked_and_not_continued(copy):
    path = copy("li")
    whole = kmc.load(path)
    without_ways(path)
    t = kmc.load(path)
    assert "hops_Li" in t.samples
    assert "hops_Li_L1_up" not in t.samples
    assert t.samples.hops.tolist() == whole.samples.hops.tolist()
    assert kmc.verify(path).passed
    assert CliRunner().invoke(main, ["info", str(path)]).exit_code == 0
    with pytest.raises(InputError, match="another set of columns"):
        kmc.extend(path, {"stop.capacity_monolayers": 2.0})


def test_files_of_schema_1_pass():
    assert kmc.verify(Path(__file__).resolve().parents[1] / "data" / "schema_1.h5").passed


# --- one number changed, checksums made to fit ----------------------------------------------------


@pytest.mark.parametrize("column", [entry.name for entry in schema.SAMPLE_COLUMNS])
@pytest.mark.parametrize("which", ["first", "middle", "last"])
def test_every_column_of_the_samples_is_guarded(copy, column, which):
    """Of time, order and the frames' moments are; of the overpotential, the sum of its parts."""
    path = copy()
    row = first_frame_rows(path)[{"first": 0, "middle": 2, "last": -1}[which]]
    with h5py.File(path, "r+") as file:
        dataset = file[f"samples/{column}"]
        value = dataset[row]
        dataset[row] = value + 1 if dataset.dtype.kind == "i" else value * (1 + 1e-6) + 1e-6
    with pytest.raises(FileFormatError, match="checksum"):
        kmc.load(path)
    assert kmc.verify(path).breach.check == "checksum"
    seal(path)
    kmc.load(path)
    found = kmc.verify(path)
    assert not found.passed, f"{column} of row {row} went unnoticed"


def test_energy_is_guarded_to_the_last_ueV(copy):
    path = copy()
    row = first_frame_rows(path)[1]
    with h5py.File(path, "r+") as file:
        file["samples/energy_eV"][row] += 1e-6
    seal(path)
    breach = kmc.verify(path).breach
    assert (breach.check, breach.dataset, breach.row) == ("energy", "/samples/energy_eV", row)
    difference = float(breach.value.split()[0]) - float(breach.expected.split()[0])
    assert difference == pytest.approx(1e-6, abs=1e-9)


@pytest.mark.parametrize(
    ("change", "check"),
    [
        ({"hops_Li": 1}, "sum of the hop classes"),
        ({"hops_Li": 1, "hops": 1}, "sum of all events"),
        ({"strips": 1, "events": 1}, "conservation of vacancies"),
        ({"strips": 1, "events": 1, "vacancies": 1}, "capacity"),
        ({"emitted": 1, "absorbed": 1, "events": 2, "emitted_Mg": 1}, "Mg"),
        ({"emitted_Mg": 10**6}, "parts"),
        ({"hops_Li": 1, "hops_Li_near_Mg": -1}, "order"),
        ({"hops_Li": 1, "hops_Li_near_Mg": -1, "hops_Li_deep_up": 1}, "layers"),
        ({"hops_Mg_L2_up": 1}, "layers"),
        ({"hops_Mg_L1_up": 1, "hops_Mg": 1, "hops_Li": -1}, "layers"),
    ],
)
def test_changes_that_hide_behind_each_other(copy, change, check):
    """From one row on to the end, so that the order of the rows says nothing."""
    path = copy()
    row = first_frame_rows(path)[2]
    with h5py.File(path, "r+") as file:
        for name, by in change.items():
            file[f"samples/{name}"][row:] += by * (1 if check != "order" else 10**7)
        if check == "order":
            file["samples/hops_Li"][-1] -= 10**9
    seal(path)
    breach = kmc.verify(path).breach
    assert breach is not None
    if check not in ("Mg",):
        assert breach.check == check
    else:
        assert breach.check in ("Mg", "moment")


@pytest.mark.parametrize("name", ["li", "li_110"])
def test_contact_follows_from_hops_and_strips(copy, name):
    """In a pure metal every atom of L1 is accounted for: one hop too many out of it is noticed."""
    path = copy(name)
    with h5py.File(path, "r+") as file:
        file["samples/hops_Li_L1_up"][-1] += 1
        if name == "li":  # of (110) some stay in their layer, and the sum need not fit
            others = [f"samples/hops_Li_{way}" for way in ("deep_up", "deep_down", "L2_up")]
            grown = next(way for way in others if file[way][-1] > file[way][-2])
            file[grown][-1] -= 1
    seal(path)
    breach = kmc.verify(path).breach
    assert (breach.check, breach.dataset) == ("layers", "/samples/hops_Li_L1_up")


def test_an_atom_that_moved_one_site_is_noticed(copy):
    """Counts stay as they are; the energy does not."""
    path = copy("li")
    with h5py.File(path, "r+") as file:
        occupancy = file["frames/occupancy"][-1]
        vacant, full = np.flatnonzero(occupancy[72:] == 0)[0] + 72, 300
        occupancy[[vacant, full]] = occupancy[[full, vacant]]
        file["frames/occupancy"][-1] = occupancy
    seal(path)
    found = kmc.verify(path)
    assert found.breach.check == "energy"


@pytest.mark.parametrize(("species", "check"), [(3, "species"), (2, "Mg"), (0, "count")])
def test_an_atom_of_another_kind_is_noticed(copy, species, check):
    path = copy("limg")
    with h5py.File(path, "r+") as file:
        occupancy = file["frames/occupancy"][1]
        occupancy[np.flatnonzero(occupancy == 1)[-1]] = species
        file["frames/occupancy"][1] = occupancy
    seal(path)
    assert kmc.verify(path).breach.check == check


def test_mg_where_the_set_has_none_is_noticed(copy):
    path = copy("li")
    with h5py.File(path, "r+") as file:
        file["frames/occupancy"][1, 5] = 2
    seal(path)
    assert kmc.verify(path).breach.check == "species"


@pytest.mark.parametrize(
    ("name", "value"), [("time_s", 1.0), ("events", 7), ("capacity_mAh_cm2", 1e-3)]
)
def test_a_frame_belongs_to_a_sample(copy, name, value):
    path = copy()
    with h5py.File(path, "r+") as file:
        file[f"frames/{name}"][2] += value
    seal(path)
    assert kmc.verify(path).breach.check in ("moment", "order")


def test_sites_out_of_place_are_noticed(copy):
    path = copy()
    with h5py.File(path, "r+") as file:
        file["lattice/positions_A"][7, 2] += 1e-3
    found = kmc.verify(path)
    assert (found.breach.dataset, found.breach.row) == ("/lattice/positions_A", 7)
    with h5py.File(path, "r+") as file:
        file["lattice/positions_A"][7, 2] -= 1e-3
        file["lattice/layer"][7] = 2
    assert kmc.verify(path).breach.dataset == "/lattice/layer"


def test_a_damaged_frame_is_named(copy):
    path = copy()
    with h5py.File(path) as file:
        place = file["frames/occupancy"].id.get_chunk_info(2).byte_offset
    with path.open("r+b") as file:
        file.seek(place + 20)
        file.write(b"\xa5\x5a\xa5")
    breach = kmc.verify(path).breach
    assert (breach.dataset, breach.row) == ("/frames/occupancy", 2)
    assert "\n" not in str(breach)


def test_rows_lost_from_a_finished_file_are_noticed(copy):
    path = copy()
    with h5py.File(path, "r+") as file:
        file["samples/energy_eV"].resize(3, axis=0)
    assert kmc.verify(path).breach.dataset == "/samples/energy_eV"


def test_seed_of_root_and_record(copy):
    path = copy()
    with h5py.File(path, "r+") as file:
        file.attrs["seed"] = np.int64(99)
    assert kmc.verify(path).breach.dataset == "/@seed"


# --- the command ----------------------------------------------------------------------------------


def call(*arguments):
    return CliRunner().invoke(main, ["verify", *map(str, arguments)])


def test_command_says_what_was_checked(original):
    done = call(original("li"))
    assert done.exit_code == 0, done.output
    for part in ("passes", "13 samples", "5 frames", "to the last µeV"):
        assert part in done.stdout.replace("\u00a0", " ")
    assert call(original("li"), "-q").output == ""


def test_command_names_the_first_breach_and_fails(copy):
    path = copy()
    with h5py.File(path, "r+") as file:
        file["samples/hops"][3] += 1
    seal(path)
    done = call(path)
    assert done.exit_code == 1
    assert "FAILS" in done.stdout
    assert "/samples/events, row 3" in done.stdout
    quiet = call(path, "--quiet")
    assert quiet.exit_code == 1
    assert len(quiet.stdout.splitlines()) == 1


def test_several_files_and_one_that_is_none(original, tmp_path):
    other = tmp_path / "other.h5"
    other.write_text("no HDF5")
    done = call(original("li"), other)
    assert done.exit_code == 2
    assert "passes" in done.stdout
    assert "not an HDF5 file" in done.stderr
    assert call(other).exit_code == 2


def test_as_a_process(original):
    done = subprocess.run(
        [sys.executable, "-m", "kmc.cli", "verify", original("li")],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "passes" in done.stdout


def test_synthetic_file_without_hamiltonian_is_told(tmp_path):
    path = fake.write(tmp_path / "fake.h5", n_frames=2)
    breach = kmc.verify(path).breach
    assert (breach.check, breach.dataset) == ("record", "/record")


def test_a_lattice_file_that_has_gone(tmp_path):
    lattice = tmp_path / "mine.toml"
    source = kmc.common.catalogue.locate("lattices", "bcc_100")
    lattice.write_text(source.read_text())
    path = tmp_path / "run.h5"
    overrides = {**SMALL, "system.lattice": str(lattice), "stop.capacity_monolayers": 0.1}
    run_to_file(load_run("strip_li", overrides), path, progress=False)
    assert kmc.verify(path).passed
    os.unlink(lattice)
    with pytest.raises(InputError, match=r"mine\.toml"):
        kmc.verify(path)
