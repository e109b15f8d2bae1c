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
from marks import long, slow

import kmc
from kmc.cli.app import main
from kmc.errors import FileFormatError, InputError
from kmc.files import schema
from kmc.files.file import set_end
from kmc.runfile.load import load_run
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


def recount(path) -> None:
    """Make the file what a run of so many rows would have left, had it been killed there."""
    with h5py.File(path, "r+") as file:
        names = [entry.name for entry in schema.SAMPLE_COLUMNS]
        n = min(len(file[f"samples/{name}"]) for name in names)
        rows = np.empty(n, schema.row_dtype(schema.SAMPLE_COLUMNS))
        for name in names:
            rows[name] = file[f"samples/{name}"][:n]
        n_frames = min(len(column) for column in file["frames"].values())
        totals = schema.Totals().with_samples(rows)
        totals = totals.with_frames(file["frames/crc32"][:n_frames])
        file["totals"].attrs.modify("rows", np.array(totals, np.int64))


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
        set_end(file, False, "")
        for column in file["samples"].values():
            column.resize(len(column) - 1, axis=0)
        file["samples/energy_eV"].resize(len(file["samples/energy_eV"]) - 1, axis=0)
        for column in file["frames"].values():
            column.resize(len(column) - 2, axis=0)
    recount(path)
    found = kmc.verify(path)
    assert found.passed, found.breach
    assert "not finished; its rows so far are consistent" in str(found)
    with h5py.File(path, "r+") as file:
        for group in ("samples", "frames"):
            for column in file[group].values():
                column.resize(0, axis=0)
    recount(path)
    assert kmc.verify(path).passed


def without_ways(path) -> None:
    """Make the file one of an earlier kmc of the same schema, which did not count hops by way."""
    with h5py.File(path, "r+") as file:
        record = json.loads(file["record"][:].tobytes())
        names = [name for name, _ in record["columns"] if name not in schema.HOPS_BY_WAY]
        record["columns"] = [pair for pair in record["columns"] if pair[0] in names]
        del record["totals"], record["labels_crc32"]
        data = np.frombuffer(json.dumps(record).encode(), dtype=np.uint8)
        attributes = dict(file["record"].attrs)
        del file["record"], file["totals"]
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
    assert kmc.verify(Path(__file__).resolve().parents[3] / "data" / "schema_1.h5").passed


# --- one number changed, checksums made to fit ----------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("column", [entry.name for entry in schema.SAMPLE_COLUMNS])
@pytest.mark.parametrize(
    "which",
    [
        pytest.param("first", marks=pytest.mark.slow),
        "middle",
        pytest.param("last", marks=pytest.mark.slow),
    ],
)
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
    path = copy("bulk")
    with h5py.File(path, "r+") as file:
        occupancy = file["frames/occupancy"][-1]
        vacant, full = np.flatnonzero(occupancy == 0)[0], np.flatnonzero(occupancy == 1)[-1]
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


# --- nothing is missing, and nothing that the file says once is another ---------------------------


def without(path, group: str, index: int) -> None:
    """Take a row out of every column of a group, its checksum included."""
    with h5py.File(path, "r+") as file:
        for column in file[group].values():
            rest = np.delete(column[:], index, axis=0)
            column.resize(len(rest), axis=0)
            column[...] = rest


@pytest.mark.slow
@pytest.mark.parametrize("index", [1, -1])
@pytest.mark.parametrize("finished", [True, False])
def test_a_row_or_a_frame_that_was_taken_out_is_missed(copy, index, finished):
    for group in ("samples", "frames"):
        path = copy("bulk")
        with h5py.File(path, "r+") as file:
            file.attrs.modify("finished", finished)
        before = len(kmc.load(path).samples)
        frame_rows = first_frame_rows(path)
        where = index if group == "frames" else frame_rows[-1] - 1 if index > 0 else -1
        without(path, group, where)
        assert len(kmc.load(path).samples) == before - (group == "samples")
        assert not kmc.verify(path).passed, (group, where)


def test_a_row_that_no_frame_and_no_order_depends_on_is_missed(copy):
    path = copy("bulk")
    row = next(n for n in range(1, 99) if n not in first_frame_rows(path))
    without(path, "samples", row)
    breach = kmc.verify(path).breach
    assert (breach.check, breach.dataset) == ("completeness", "/samples")
    assert breach.expected == f"{len(kmc.load(path).samples) + 1}, as many as were written"


def test_rows_in_another_order_are_noticed(copy):
    path = copy("bulk")
    recount(path)
    with h5py.File(path, "r+") as file:
        totals = file["totals"].attrs["rows"]
        totals[1] ^= 1
        file["totals"].attrs.modify("rows", totals)
    assert kmc.verify(path).breach.value == "another sequence of rows"


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


@pytest.mark.parametrize("every", [long(1), slow(7)])
def test_no_setting_can_be_changed_unnoticed(copy, every):
    """Each value of the record by itself, and then in the attribute that repeats it."""
    import fuzz

    path = copy("limg")
    whole = path.read_bytes()
    with h5py.File(path) as file:
        text = file["record"][:].tobytes()
    places = list(leaves(json.loads(text)))
    assert len(places) > 170
    places = places[::every]
    unnoticed = []
    for place in places:
        record = json.loads(text)
        inner = record
        for key in place[:-1]:
            inner = inner[key]
        inner[place[-1]] = another(inner[place[-1]])
        path.write_bytes(whole)
        with h5py.File(path, "r+") as file:
            fuzz.replace_record(file, record)
        try:
            if kmc.verify(path).passed:
                unnoticed.append(place)
        except InputError:
            pass
    assert unnoticed == []
    for place in list(leaves(json.loads(text)["resolved"]))[::every]:
        resolved = json.loads(text)["resolved"]
        inner = resolved
        for key in place[:-1]:
            inner = inner[key]
        inner[place[-1]] = another(inner[place[-1]])
        path.write_bytes(whole)
        with h5py.File(path, "r+") as file:
            file.attrs["resolved"] = json.dumps(resolved, ensure_ascii=False)
        if altered_places(path) != ["/@resolved"]:
            unnoticed.append(("@resolved", *place))
    assert unnoticed == []


def altered_places(path) -> list[str]:
    """What of the settings, texts and units is not as it was written: a part of `kmc.verify`."""
    from kmc.files.integrity import read
    from kmc.files.reader import stored_in
    from kmc.systems.electrode.verification.completeness import altered

    return [wrong.dataset for wrong in altered(path, read(path, stored_in).record)]


@pytest.mark.parametrize("entry", schema.ATTRIBUTES, ids=lambda entry: entry.path)
def test_no_attribute_can_be_changed_unnoticed(copy, entry):
    path = copy("li")
    place, _, name = entry.path.partition("@")
    with h5py.File(path, "r+") as file:
        attributes = file[place].attrs
        value = attributes[name]
        new = (
            value + "x"
            if isinstance(value, str)
            else value ^ (value == value)
            if value.dtype.kind == "b"
            else value - 1
        )
        attributes.modify(name, new)
    if entry.path == "/@finished":
        with h5py.File(path, "r+") as file:  # a run that is not finished says so
            file.attrs.modify("finished", True)
            file["record"].attrs.modify("stop_reason", np.bytes_(b"interrupted"))
    assert not kmc.verify(path).passed


def test_no_unit_can_be_changed_unnoticed(copy):
    path = copy("li")
    with h5py.File(path) as file:
        places = [
            e.path for e in schema.SCHEMA if "@" not in e.path and "unit" in file[e.path].attrs
        ]
    assert len(places) > 50
    with h5py.File(path, "r+") as file:
        for place in places:
            file[place].attrs["unit"] = "furlong"
    expected = [*(f"{place}@unit" for place in places), "the units and descriptions"]
    assert sorted(set(altered_places(path))) == sorted(expected)
    assert not kmc.verify(path).passed


def test_totals_that_were_removed_are_missed(copy):
    path = copy("li")
    with h5py.File(path, "r+") as file:
        del file["totals"]
    assert kmc.verify(path).breach.dataset == "/totals"


def test_texts_in_which_hdf5_would_go_round_for_ever_are_told(copy):
    path = copy("li")
    data = bytearray(path.read_bytes())
    places = [place for place in range(0, len(data), 512) if data[place : place + 4] == b"GCOL"]
    data[places[0] + 16 : places[0] + 512] = bytes(496)
    path.write_bytes(data)
    assert "the texts at byte" in kmc.verify(path).breach.value


def test_a_run_does_not_go_on_behind_rows_that_are_missing(tmp_path):
    path = tmp_path / "run.h5"
    run_to_file(load_run("strip_li", {**SMALL, "stop.wall_time_s": 1e-9}), path, progress=False)
    kmc.extend(path, {"stop.capacity_monolayers": 0.5, "stop.wall_time_s": None}, progress=False)
    whole = path.read_bytes()
    for index in (2, 0):
        path.write_bytes(whole)
        without(path, "samples", index)
        before = path.read_bytes()
        with pytest.raises(FileFormatError, match=r"lacks rows that it had when its checkpoint"):
            kmc.extend(path, {"stop.capacity_monolayers": 0.6}, progress=False)
        assert path.read_bytes() == before


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
