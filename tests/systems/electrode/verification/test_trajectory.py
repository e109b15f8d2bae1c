"""`kmc verify`: whole files pass, and a file in which one number was changed does not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import fake
import h5py
import numpy as np
import pytest
from click.testing import CliRunner
from marks import long, slow
from table_files import edited

import kmc
from kmc.cli.app import main
from kmc.errors import FileFormatError, InputError
from kmc.files import schema
from kmc.files.table_file import MARKER, ROOT
from kmc.runfile.load import load_run
from kmc.systems.electrode.verification import trajectory
from kmc.systems.run import run_to_file

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
    "li": ("strip_li_hops", SMALL),
    "limg": ("strip_limg", SMALL),
    "li_110": ("strip_li_hops", {**SMALL, "system.lattice": "bcc_110"}),
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
    assert (found.n_frames, found.n_frames) in told
    assert told[-1] == (len(found.checks) - 1, len(found.checks) - 1)
    assert f"{found.n_frames}" in str(found)
    assert "passes" in str(found)
    assert "not finished" not in str(found)


def test_an_unfinished_run_and_one_without_rows_pass(copy, tmp_path):
    path = copy()
    with edited(path, finished=False, stop_reason="") as file:
        frames = len(file["frames/sample"]) - 2
        rows = file["frames/sample"][frames - 1] + 2
        for name, values in file.items():
            if name.startswith(("samples/", "frames/")):
                file[name] = values[: frames if name.startswith("frames/") else rows]
    found = kmc.verify(path)
    assert found.passed, found.breach
    assert "not finished; its rows so far are consistent" in str(found)
    with edited(path, finished=False, stop_reason="") as file:
        for name, values in file.items():
            if name.startswith(("samples/", "frames/")):
                file[name] = values[:0]
    assert kmc.verify(path).passed


def test_files_of_schema_1_pass():
    assert kmc.verify(Path(__file__).resolve().parents[3] / "data" / "schema_1.h5").passed


# --- one number changed, checksums made to fit ----------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("column", list(schema.SAMPLES))
@pytest.mark.parametrize(
    "which",
    [
        pytest.param("first", marks=pytest.mark.slow),
        "middle",
        pytest.param("last", marks=pytest.mark.slow),
    ],
)
def test_every_column_of_the_samples_is_guarded(copy, column, which):
    """Of time, order and the frames' moments are; of the overpotential, the sum of its parts.

    How many vacancies there were between two rows follows from nothing else that a file holds: of
    their time integral only start and order are compared.
    """
    path = copy()
    row = first_frame_rows(path)[{"first": 0, "middle": 2, "last": -1}[which]]

    def change(dataset):
        value = dataset[row]
        dataset[row] = value + 1 if dataset.dtype.kind == "i" else value * (1 + 1e-6) + 1e-6

    whole = path.read_bytes()
    with h5py.File(path, "r+") as file:
        change(file[f"samples/{column}"])
    for use in (kmc.load, kmc.verify):
        with pytest.raises(FileFormatError, match="checksum"):
            use(path)
    path.write_bytes(whole)
    with edited(path) as file:
        change(file[f"samples/{column}"])
    kmc.load(path)
    found = kmc.verify(path)
    if column == "vacancy_time_s" and which != "first":
        assert found.passed
        with edited(path) as file:
            file[f"samples/{column}"][row] = 0.0
        found = kmc.verify(path)
    assert not found.passed, f"{column} of row {row} went unnoticed"


def test_energy_is_guarded_to_the_last_ueV(copy):
    path = copy()
    row = first_frame_rows(path)[1]
    with edited(path) as file:
        file["samples/energy_eV"][row] += 1e-6
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
    with edited(path) as file:
        for name, by in change.items():
            file[f"samples/{name}"][row:] += by * (1 if check != "order" else 10**7)
        if check == "order":
            file["samples/hops_Li"][-1] -= 10**9
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
    with edited(path) as file:
        file["samples/hops_Li_L1_up"][-1] += 1
        if name == "li":  # of (110) some stay in their layer, and the sum need not fit
            others = [f"samples/hops_Li_{way}" for way in ("deep_up", "deep_down", "L2_up")]
            grown = next(way for way in others if file[way][-1] > file[way][-2])
            file[grown][-1] -= 1
    breach = kmc.verify(path).breach
    assert (breach.check, breach.dataset) == ("layers", "/samples/hops_Li_L1_up")


def test_an_atom_that_moved_one_site_is_noticed(copy):
    """Counts stay as they are; the energy does not."""
    path = copy("bulk")
    with edited(path) as file:
        occupancy = file["frames/occupancy"][-1]
        vacant, full = np.flatnonzero(occupancy == 0)[0], np.flatnonzero(occupancy == 1)[-1]
        occupancy[[vacant, full]] = occupancy[[full, vacant]]
        file["frames/occupancy"][-1] = occupancy
    found = kmc.verify(path)
    assert found.breach.check == "energy"


@pytest.mark.parametrize(("species", "check"), [(3, "species"), (2, "Mg"), (0, "count")])
def test_an_atom_of_another_kind_is_noticed(copy, species, check):
    path = copy("limg")
    with edited(path) as file:
        occupancy = file["frames/occupancy"][1]
        occupancy[np.flatnonzero(occupancy == 1)[-1]] = species
        file["frames/occupancy"][1] = occupancy
    assert kmc.verify(path).breach.check == check


def test_mg_where_the_set_has_none_is_noticed(copy):
    path = copy("li")
    with edited(path) as file:
        file["frames/occupancy"][1, 5] = 2
    assert kmc.verify(path).breach.check == "species"


@pytest.mark.parametrize(
    ("name", "value"), [("time_s", 1.0), ("events", 7), ("capacity_mAh_cm2", 1e-3)]
)
def test_a_frame_belongs_to_a_sample(copy, name, value):
    path = copy()
    with edited(path) as file:
        file[f"frames/{name}"][2] += value
    assert kmc.verify(path).breach.check in ("moment", "order")


@pytest.mark.parametrize("part", [5, 2**22])
def test_sites_out_of_place_are_noticed(copy, monkeypatch, part):
    """Also where the lattice is read by parts, as that of a box of 1e8 sites is."""
    monkeypatch.setattr(trajectory, "_PART_ROWS", part)
    path = copy()
    with edited(path) as file:
        file["lattice/positions_A"][7, 2] += 1e-3
    found = kmc.verify(path)
    assert (found.breach.dataset, found.breach.row) == ("/lattice/positions_A", 7)
    with edited(path) as file:
        file["lattice/positions_A"][7, 2] -= 1e-3
        file["lattice/layer"][7] = 2
    assert kmc.verify(path).breach.dataset == "/lattice/layer"


def test_a_damaged_frame_is_named_and_the_others_are_read(copy):
    path = copy()
    with h5py.File(path) as file:
        place = file["frames/occupancy"].id.get_chunk_info(2).byte_offset
    with path.open("r+b") as file:
        file.seek(place + 20)
        file.write(b"\xa5\x5a\xa5")
    with pytest.raises(FileFormatError) as caught:
        kmc.verify(path)
    assert "\n" not in caught.value.message
    t = kmc.load(path)
    assert t.frames[1].occupancy.any()
    with pytest.raises(FileFormatError):
        _ = t.frames[2].occupancy


# --- nothing that the file says once is another ---------------------------------------------------


def leaves(value, path=()):
    """Places of all that is no table or list in a JSON value; empty ones count."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in items:
        if isinstance(inner, dict | list) and inner:
            yield from leaves(inner, (*path, key))
        else:
            yield (*path, key)


def another(value):
    """A value of the same kind."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1 if value < 2**62 else value - 1
    return {str: f"{value}x", type(None): 0.5, list: [1], dict: {"a": 1}}[type(value)]


@pytest.mark.parametrize("every", [long(1), slow(29)])
def test_no_setting_can_be_changed_unnoticed(copy, every):
    """Each value of the record by itself."""
    import fuzz

    path = copy("limg")
    whole = path.read_bytes()
    with h5py.File(path) as file:
        text = file["record"][:].tobytes()
    places = list(leaves(json.loads(text)))
    assert len(places) > 170
    for place in places[::every]:
        record = json.loads(text)
        inner = record
        for key in place[:-1]:
            inner = inner[key]
        inner[place[-1]] = another(inner[place[-1]])
        path.write_bytes(whole)
        with h5py.File(path, "r+") as file:
            fuzz.replace_record(file, record)
        with pytest.raises(FileFormatError, match="record fails its checksum"):
            kmc.verify(path)


@pytest.mark.parametrize("name", [*ROOT, MARKER, "record_crc32"])
def test_no_attribute_can_be_changed_unnoticed(copy, name):
    path = copy("li")
    with h5py.File(path, "r+") as file:
        value = file.attrs[name]
        file.attrs[name] = b"other" if isinstance(value, str) else np.asarray(value) ^ 1
    with pytest.raises(InputError):
        kmc.verify(path)


@pytest.mark.slow
def test_no_label_can_be_changed_unnoticed(copy):
    path = copy("li")
    whole = path.read_bytes()
    with h5py.File(path) as file:
        places = []
        file.visititems(lambda name, item: places.append(name) if "unit" in item.attrs else None)
    assert len(places) > 50
    for place in places:
        if place == "record":
            continue
        for label in ("unit", "description"):
            path.write_bytes(whole)
            with h5py.File(path, "r+") as file:
                file[place].attrs[label] = "furlong"
            with pytest.raises(FileFormatError, match=f"the {label} of {place} has changed"):
                kmc.verify(path)


# --- the command ----------------------------------------------------------------------------------


def call(*arguments):
    return CliRunner().invoke(main, ["verify", *map(str, arguments)])


def test_command_says_what_was_checked(original):
    done = call(original("li"))
    assert done.exit_code == 0, done.output
    for part in ("passes", "checksums of all datasets", "to the last µeV"):
        assert part in done.stdout.replace("\u00a0", " ")
    assert call(original("li"), "-q").output == ""


def test_command_names_the_first_breach_and_fails(copy):
    path = copy()
    with edited(path) as file:
        file["samples/hops"][3] += 1
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


@pytest.mark.slow
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
    assert (breach.check, breach.dataset) == ("record: its Hamiltonian", "/record")


def test_a_lattice_file_that_has_gone(tmp_path):
    lattice = tmp_path / "mine.toml"
    source = kmc.common.catalogue.locate("lattices", "bcc_100")
    lattice.write_text(source.read_text())
    path = tmp_path / "run.h5"
    overrides = {**SMALL, "system.lattice": str(lattice), "stop.capacity_monolayers": 0.1}
    run_to_file(load_run("strip_li_hops", overrides), path, progress=False)
    assert kmc.verify(path).passed
    os.unlink(lattice)
    with pytest.raises(InputError, match=r"mine\.toml"):
        kmc.verify(path)


@pytest.mark.slow
def test_mg_at_its_true_rate(tmp_path):
    """Mg that comes to L1 without hops is no breach, and a run that is extended is the same."""
    settings = {
        **SMALL,
        "system.mg_coverage_L1": None,
        "system.mg_supply": "vacancies",
        "acceleration.mg_exchange": True,
        "stop.capacity_monolayers": 0.4,
    }
    whole = run_to_file(load_run("strip_limg", settings), tmp_path / "whole.h5", progress=False)
    assert whole.samples.mg_exchanges[-1] > 100
    found = kmc.verify(whole.path)
    assert found.passed, found
    settings["stop.capacity_monolayers"] = 0.2
    run_to_file(load_run("strip_limg", settings), tmp_path / "part.h5", progress=False)
    arguments = ["extend", str(tmp_path / "part.h5"), "--set", "stop.capacity_monolayers=0.4"]
    assert CliRunner().invoke(main, [*arguments, "-q"]).exit_code == 0
    part = kmc.load(tmp_path / "part.h5")
    for name in whole.samples:
        np.testing.assert_array_equal(part.samples[name], whole.samples[name], err_msg=name)
    np.testing.assert_array_equal(part.frames[-1].occupancy, whole.frames[-1].occupancy)
