"""The trajectory file: what is promised of reading, writing, damage and sudden death."""

from __future__ import annotations

import contextlib
import errno
import functools
import os
import random
import shutil
import signal
import sys
import time
from pathlib import Path

import fake
import h5py
import numpy as np
import pytest
from box_schema import FRAME_ENTRIES, LATTICE_ENTRIES, SAMPLE_ENTRIES

from kmc import load
from kmc.common.outputs import check_output
from kmc.errors import FileFormatError, InputError, KmcError
from kmc.files import schema
from kmc.files.saving import WriteLock
from kmc.files.table_file import MARKER, ROOT, SCHEMA_VERSION, Pieces
from kmc.systems.electrode.summary import summary

FRAME = ("events", "time_s", "capacity_monolayers", "capacity_mAh_cm2")


@pytest.fixture(scope="module")
def box():
    return fake.lattice(cells=(6, 5))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run.h5"


@contextlib.contextmanager
def new_writer(path, box):
    """A writer that saves at the end."""
    writer = fake.writer_of(path, box, seed=7)
    yield writer
    writer.flush()
    writer.release()


NAMES = list(schema.SAMPLES)


def row_of(step, box) -> dict:
    """Any numbers that differ from row to row; the columns of many rows for an array of steps."""
    return {name: step * 10 + place for place, name in enumerate(NAMES)}


@functools.cache
def occupancy_of(step: int, box) -> np.ndarray:
    return np.random.default_rng(step).integers(0, 3, box.n_sites).astype(np.uint8)


def moment(row) -> dict:
    return {name: np.float64(row[name]) for name in FRAME} | {"events": row["events"]}


def append(writer, box, step: int) -> None:
    row = row_of(step, box)
    writer.append_sample(row)
    writer.append_frame(occupancy=occupancy_of(step, box), **moment(row))


def verify(trajectory, box, at_least: int = 0, last_frames: int = 10**9) -> int:
    """Every row and frame there is holds what `append` gave it; returns how many there are."""
    n_rows, n_frames = len(trajectory.samples), len(trajectory.frames)
    assert n_rows >= at_least
    assert n_frames >= at_least
    for name, expected in row_of(np.arange(n_rows), box).items():
        assert np.array_equal(trajectory.samples[name], expected), name
    for step in range(max(0, n_frames - last_frames), n_frames):
        frame = trajectory.frames[step]
        np.testing.assert_array_equal(frame.occupancy, occupancy_of(step, box))
        assert frame.events == row_of(step, box)["events"]
    return n_rows


def verify_with_plain_h5py(path, box, at_least: int = 0) -> None:
    with h5py.File(path, "r") as file:
        n_rows = min(len(column) for column in file["samples"].values())
        n_frames = min(len(column) for column in file["frames"].values())
        assert min(n_rows, n_frames) >= at_least
        expected = row_of(np.arange(n_rows), box)
        for name in NAMES:
            assert np.array_equal(file["samples"][name][:n_rows], expected[name]), name
        for step in range(n_frames):
            assert np.array_equal(file["frames/occupancy"][step], occupancy_of(step, box))


# --- content --------------------------------------------------------------------------------------


def test_everything_written_comes_back(path, box):
    writer = fake.writer_of(path, box, seed=7)
    for step in range(5):
        append(writer, box, step)
    writer.close(finished=True, stop_reason="capacity of 2 monolayers reached")
    t = load(path)
    assert verify(t, box) == 5
    assert (t.finished, t.stop_reason, t.seed) == (True, "capacity of 2 monolayers reached", 7)
    assert t.run_file == fake.RUN_TEXT
    assert t.run["conditions"]["current_density_mA_cm2"] == 0.5
    assert t.acceleration["classes"][0]["name"] == "Li"
    assert t.species == ["Li"]
    assert t.lattice == box
    assert t.provenance.keys() >= {"python", "numba", "numpy", "platform", "created", "h5py"}
    assert t.samples.events.dtype == np.int64
    assert t.samples.time_s.dtype == np.float64


def test_file_holds_what_the_schema_says_and_nothing_else(path, box):
    with new_writer(path, box) as writer:
        append(writer, box, 0)
    entries = (*SAMPLE_ENTRIES, *FRAME_ENTRIES, *LATTICE_ENTRIES)
    documented = {entry.path: entry for entry in entries}
    assert len(documented) == len(entries)
    found = set()

    def visit(name, item):
        if isinstance(item, h5py.Dataset) and name != "record":
            entry = documented[f"/{name}"]
            found.add(entry.path)
            assert item.dtype.str == entry.dtype
            assert item.attrs["unit"] == entry.unit
            assert item.attrs["description"] == entry.description
            assert item.ndim == len(entry.shape.split(", "))

    with h5py.File(path) as file:
        file.visititems(visit)
        assert file["frames/occupancy"].chunks == (1, box.n_sites)
        assert set(file.attrs) == {*ROOT, MARKER, "record_crc32"}
        assert set(file) == {"samples", "frames", "lattice", "record"}
    assert found == set(documented)


def test_inf_and_nan_survive(path, box):
    row = row_of(0, box) | {"overpotential_V": np.inf, "contact_fraction": np.nan}
    with new_writer(path, box) as writer:
        writer.append_sample(row)
    samples = load(path).samples
    assert np.isinf(samples.overpotential_V[0])
    assert np.isnan(samples.contact_fraction[0])


def test_same_data_give_the_same_bytes_however_they_are_flushed(tmp_path, box):
    for name, every in (("a.h5", 1), ("b.h5", 4)):
        with new_writer(tmp_path / name, box) as writer:
            for step in range(9):
                append(writer, box, step)
                if step % every == 0:
                    writer.flush()
    with h5py.File(tmp_path / "a.h5") as a, h5py.File(tmp_path / "b.h5") as b:
        for group in ("samples", "frames"):
            assert a[group].keys() == b[group].keys()
            for name in a[group]:
                assert a[group][name][:].tobytes() == b[group][name][:].tobytes()
        stored = [file["frames/occupancy"].id for file in (a, b)]
        for frame in range(9):
            first, second = (dataset.read_direct_chunk((frame, 0)) for dataset in stored)
            assert first == second


@pytest.mark.parametrize("n", [1, 64, 65, 100, 101, 1500])
def test_pieces_are_what_hdf5_unpacks(tmp_path, n):
    """Columns and arrays of every size, in pieces of 100 rows, as HDF5 reads them."""
    for dtype, shape in (("f8", ()), ("i4", (3,)), ("u1", (2, 5)), ("?", ())):
        values = np.random.default_rng(n).integers(0, 99, (n, *shape)).astype(dtype)
        pieces = Pieces(values.dtype, shape, rows=100)
        for part in np.array_split(values, 7):
            pieces.extend(part)
        assert np.array_equal(pieces.values, values)
        assert pieces.described() == Pieces.of(values, 100).described()
        with h5py.File(tmp_path / "a.h5", "w") as file:
            assert np.array_equal(pieces.put(file, "a")[()], values)


def test_many_rows_over_several_chunks(path, box):
    with new_writer(path, box) as writer:
        for step in range(1500):
            writer.append_sample(row_of(step, box))
            if step % 170 == 0:
                writer.flush()
    assert verify(load(path), box) == 1500


def test_wrong_rows_and_frames_are_programming_errors(path, box):
    with new_writer(path, box) as writer:
        with pytest.raises(ValueError, match=r"differ in \['colour', 'time_s'\]"):
            writer.append_sample(
                {k: v for k, v in row_of(0, box).items() if k != "time_s"} | {"colour": 1}
            )
        append(writer, box, 0)
        with pytest.raises(ValueError, match="shape"):
            writer.append_frame(occupancy=np.ones(3), **dict.fromkeys(FRAME, 0))


def test_the_writer_copies_the_occupancy(path, box):
    occupancy = np.ones(box.n_sites, dtype=np.uint8)
    with new_writer(path, box) as writer:
        writer.append_sample(row_of(0, box))
        writer.append_frame(occupancy=occupancy, **dict.fromkeys(FRAME, 0))
        occupancy[:] = 0
    assert load(path).frames[0].occupancy.all()


# --- for the user ---------------------------------------------------------------------------------


def test_access_and_representations(tmp_path):
    path = fake.write(tmp_path / "strip.h5")
    t = load(path)
    assert t.samples.keys()[:2] == ["events", "hops"]
    assert "crc32" not in t.samples
    assert "energy_eV" in dir(t.samples)
    assert len(t.samples) == len(t.samples["time_s"]) == 26
    frame = t.samples.to_dataframe()
    assert frame.shape == (26, len(t.samples.keys()))
    assert frame.attrs["units"]["overpotential_V"] == "V"
    assert t.frames[-1].index == 5
    assert [f.index for f in t.frames[1:3]] == [1, 2]
    assert t.frames.time_s.shape == (6,)
    assert float(t.params["formation_energy_bulk_eV"]) == 0.5
    assert repr(t.params.formation_energy_bulk_eV) == "0.5 eV (S4)"
    assert repr(t.params["second_shell_ratio"]) == "0.5 (assumed)"
    for text in (repr(t), t._repr_html_()):
        assert "strip.h5, a box of atoms" in text
        assert "2 monolayers reached" in text
        assert "of bcc_100" in text
    assert "overpotential_V" in repr(t.samples)
    assert "Frame 5" in repr(t.frames)
    with pytest.raises(ValueError, match="read-only"):
        t.samples.time_s[0] = 1
    with pytest.raises(ValueError, match="read-only"):
        t.frames[0].occupancy[0] = 1


def test_mistaken_names_are_told(tmp_path):
    t = load(fake.write(tmp_path / "strip.h5", n_frames=1))
    with pytest.raises(AttributeError, match="Did you mean 'time_s'"):
        _ = t.samples.time
    with pytest.raises(KeyError, match="Did you mean 'contact_fraction'"):
        _ = t.samples["contact_fractio"]
    with pytest.raises(KeyError, match="Did you mean 'second_shell_ratio'"):
        _ = t.params["second_shell"]
    with pytest.raises(IndexError, match="holds 1 frames"):
        _ = t.frames[1]


def test_html_escapes_what_the_file_says(tmp_path):
    path = fake.write(tmp_path / "strip.h5", n_frames=1, stop_reason="<script>alert(1)</script>")
    assert "<script>" not in load(path)._repr_html_()


def test_a_file_without_rows(path, box):
    with new_writer(path, box):
        pass
    t = load(path)
    assert (len(t.samples), len(t.frames), t.finished, t.stop_reason) == (0, 0, False, "")
    assert "none yet" in repr(t)
    assert "Not finished" in repr(t)
    assert "none yet" in repr(t.samples)
    assert "none yet" in repr(t.frames)
    assert t.samples.to_dataframe().empty


# --- outputs that cannot be -----------------------------------------------------------------------


def test_impossible_outputs(tmp_path, monkeypatch):
    with pytest.raises(InputError, match="is a folder"):
        check_output(tmp_path)
    with pytest.raises(InputError, match="there is no folder"):
        check_output(tmp_path / "missing" / "run.h5")
    if os.path.exists("/dev/null"):
        with pytest.raises(InputError, match="not a regular file"):
            check_output("/dev/null", overwrite=True)
    if os.path.isdir("/proc/self"):  # where even root makes no file, whatever the rights say
        with pytest.raises(InputError, match=r"run\.h5 cannot be written: "):
            check_output("/proc/run.h5")

    def refused(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "touch", refused)
    with pytest.raises(InputError, match=r"run\.h5 cannot be written: Permission denied"):
        check_output(tmp_path / "run.h5")


def test_a_link_stays_a_link(tmp_path, box):
    (tmp_path / "disk").mkdir()
    link = tmp_path / "run.h5"
    link.symlink_to(tmp_path / "disk" / "real.h5")
    with new_writer(link, box) as writer:
        append(writer, box, 0)
    assert link.is_symlink()
    assert verify(load(link), box) == 1


def test_failing_creation_leaves_nothing_behind(tmp_path, box, monkeypatch):
    def fail(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(InputError, match="No space left"), new_writer(tmp_path / "a.h5", box):
        pass
    assert list(tmp_path.iterdir()) == []


def test_full_disk_keeps_what_was_safe_and_can_be_retried(path, box, monkeypatch):
    with new_writer(path, box) as writer:
        append(writer, box, 0)
        writer.flush()
        append(writer, box, 1)
        with monkeypatch.context() as patch:
            write = type(path).write_bytes

            def half_then_full(draft, data):
                write(draft, data[: len(data) // 2])
                raise OSError(errno.ENOSPC, "No space left on device")

            patch.setattr(type(path), "write_bytes", half_then_full)
            safe = f"up to t = {row_of(0, box)['time_s']} s is safe"
            with pytest.raises(KmcError, match=rf"No space left(.|\n)*{safe}"):
                writer.flush()
        assert verify(load(path), box) == 1
        verify_with_plain_h5py(path, box, 1)
        writer.flush()
        assert verify(load(path), box) == 2


def test_output_removed_or_replaced_during_the_run(path, box, tmp_path):
    with new_writer(path, box) as writer:
        append(writer, box, 0)
        writer.flush()
        path.unlink()
        with pytest.raises(KmcError, match="moved or removed"):
            writer.flush()
        with new_writer(tmp_path / "other.h5", box):
            pass
        os.replace(tmp_path / "other.h5", path)
        with pytest.raises(KmcError, match="replaced"):
            writer.flush()
        writer.flush = lambda: None


@pytest.mark.skipif(sys.platform != "linux", reason="needs locks of open files")
def test_a_file_that_is_being_written_is_not_overwritten(path, box):
    with new_writer(path, box) as writer:
        append(writer, box, 0)
        writer.flush()
        with pytest.raises(InputError, match="being written by another process"):
            fake.writer_of(path, box)
    WriteLock(path).release()


# --- sudden death ---------------------------------------------------------------------------------


def _write_until_killed(path, box, report) -> None:
    writer = fake.writer_of(path, box, seed=7)
    writer.flush()
    os.write(report, b"\0")
    for step in range(10_000):
        append(writer, box, step)
        writer.flush()
        os.write(report, b"+")


@contextlib.contextmanager
def _writing_process(path, box):
    """A process that writes; yields its id and a pipe that carries a byte for each flush."""
    listen, report = os.pipe()
    child = os.fork()
    if child == 0:
        with contextlib.suppress(BaseException):
            _write_until_killed(path, box, report)
        os._exit(0)
    os.close(report)
    try:
        assert os.read(listen, 1)
        yield child, listen
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(child, 0)
        os.close(listen)


forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and SIGKILL")


@pytest.mark.slow
@forks
@pytest.mark.parametrize("kills", [6, pytest.param(20, marks=pytest.mark.slow)])
def test_kill_at_random_moments(tmp_path, box, kills):
    chance = random.Random(1)
    reached = []
    for attempt in range(kills):
        path = tmp_path / f"{attempt}.h5"
        with _writing_process(path, box) as (child, listen):
            flushes = 0
            for _ in range(chance.randrange(5)):
                flushes += len(os.read(listen, 1))
            time.sleep(chance.uniform(0.0, 0.02))
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            flushes += len(os.read(listen, 100_000))
        verify_with_plain_h5py(path, box, flushes)
        t = load(path)
        reached.append(verify(t, box, flushes))
        assert reached[-1] <= flushes + 1
        assert not t.finished
        assert t.stop_reason == ""
    assert max(reached) > 2


@pytest.mark.slow
@forks
def test_reading_while_it_is_written(path, box):
    lengths = []
    with _writing_process(path, box) as (_, listen):
        for flushes in range(1, 16):
            assert os.read(listen, 1)
            lengths.append(verify(load(path), box, flushes, last_frames=2))
    assert lengths == sorted(lengths)


def test_reader_keeps_nothing_open(path, box):
    with new_writer(path, box) as writer:
        append(writer, box, 0)
        writer.flush()
        early = load(path)
        append(writer, box, 1)
        writer.flush()
        np.testing.assert_array_equal(early.frames[0].occupancy, occupancy_of(0, box))
        assert len(early.samples) == len(early.frames) == 1
    path.unlink()
    with pytest.raises(InputError, match="no such file"):
        _ = early.frames[0].occupancy


# --- damage ---------------------------------------------------------------------------------------


@pytest.fixture
def whole(path, box):
    writer = fake.writer_of(path, box, seed=7)
    for step in range(4):
        append(writer, box, step)
    writer.close(finished=True, stop_reason="done")
    return path


def verify_one_sentence(problem: KmcError, path) -> None:
    assert str(path) in problem.message
    assert "\n" not in problem.message
    assert len(problem.message) < 300


def test_missing_folder_empty_and_foreign(tmp_path):
    def refused(path, match, kind=FileFormatError):
        with pytest.raises(kind, match=match) as caught:
            load(path)
        verify_one_sentence(caught.value, path)
        assert caught.value.exit_code == 2

    refused(tmp_path / "none.h5", "no such file", InputError)
    refused(tmp_path, "is a folder", InputError)
    path = tmp_path / "some.h5"
    path.write_bytes(b"")
    refused(path, "is empty")
    path.write_text("x,y\n1,2\n")
    refused(path, "not an HDF5 file")
    path.write_bytes(b"\x89HDF\r\n\x1a\n")
    refused(path, "is damaged")
    with h5py.File(path, "w") as file:
        file["data"] = np.arange(3)
    refused(path, "without a system_schema")
    for marker, version in (("schema_version", 1), (MARKER, SCHEMA_VERSION)):
        with h5py.File(path, "w") as file:
            file.attrs[marker] = version
            file.attrs["system"] = np.bytes_(b"electrode")
        refused(path, "is not a kmc trajectory: object 'record' doesn't exist")
    with h5py.File(path, "w") as file:
        file.attrs["schema_version"] = "one"
    refused(path, "is not a kmc trajectory")


def test_newer_schema_is_named(whole):
    with h5py.File(whole, "r+") as file:
        file.attrs[MARKER] = SCHEMA_VERSION + 1
    with pytest.raises(FileFormatError, match=r"has system schema 5, but .* 4: update kmc"):
        load(whole)


def test_a_file_of_schema_1_is_read():
    """Written by kmc 0.1.0 before checkpoints: 6 × 6 cells of Li–Mg, 0.5 monolayers."""
    t = load(Path(__file__).resolve().parents[1] / "data" / "schema_1.h5")
    assert (t.schema_version, t.finished) == (1, True)
    assert t.provenance["created"].startswith("2026-11-21")
    assert len(t.samples) == 11
    assert len(t.frames) == 6
    assert t.samples.vacancies[-1] == np.count_nonzero(t.frames[-1].occupancy == 0) == 18
    assert "Overpotential" in dict(summary(t))


def test_missing_pieces_are_named(whole):
    with h5py.File(whole, "r+") as file:
        del file["samples/time_s"]
    with pytest.raises(FileFormatError, match="time_s"):
        load(whole)


def test_repacked_by_other_tools_is_still_read(whole, tmp_path, box):
    """Someone may rewrite the file in HDF5's oldest format; its content counts."""
    copy = tmp_path / "copy.h5"
    with h5py.File(whole) as source, h5py.File(copy, "w") as target:
        for name in source:
            source.copy(name, target)
        target.attrs.update(source.attrs)
    assert verify(load(copy), box) == 4


@pytest.mark.parametrize("column", ["samples/energy_eV", "frames/time_s", "frames/occupancy"])
def test_changed_numbers_are_noticed(whole, column):
    with h5py.File(whole, "r+") as file:
        file[column][1] = 77
    with pytest.raises(FileFormatError, match="checksum"):
        [frame.occupancy for frame in load(whole).frames]


def test_long_stop_reason_is_cut_at_a_whole_letter_in_the_attribute(path, box):
    fake.writer_of(path, box).close(finished=True, stop_reason="µ" * 20_000)
    assert load(path).stop_reason == "µ" * 20_000
    with h5py.File(path, "r+") as file:
        assert file.attrs["stop_reason"] == "µ" * 2**14
        # As files of schema 3 have it: a text of a fixed length, of 2000 bytes at most.
        file.attrs["stop_reason"] = np.bytes_("µ".encode() * 1000)
        unit = file["samples/time_s"].attrs
        unit["unit"] = np.bytes_(b"s")
    assert load(path).stop_reason == "µ" * 20_000


@pytest.mark.slow
def test_a_file_is_read_however_well_its_sites_pack(path):
    """A box of 1000 × 1000 × 100 has 2.45 sites a byte, and was once refused as more than 2."""
    box = fake.lattice(cells=(64, 64))
    fake.write(path, box=box, n_frames=10)
    assert 10 * box.n_sites > 3 * path.stat().st_size
    frames = load(path).frames
    assert len(frames) == 10
    assert all(frame.occupancy.shape == (box.n_sites,) for frame in frames)


def test_cut_short_anywhere(whole, tmp_path):
    data = whole.read_bytes()
    cut = tmp_path / "cut.h5"
    for size in {0, 1, 8, 40, 100, *range(500, len(data), len(data) // 40), len(data) - 1}:
        cut.write_bytes(data[:size])
        with pytest.raises(FileFormatError, match=r"empty|cut short|damaged|not an HDF5") as caught:
            load(cut)
        verify_one_sentence(caught.value, cut)


@pytest.mark.slow
@pytest.mark.parametrize("flips", [80, pytest.param(250, marks=pytest.mark.slow)])
def test_flipped_bits_never_change_numbers_silently(whole, tmp_path, box, flips):
    data = bytearray(whole.read_bytes())
    flipped = tmp_path / "flipped.h5"
    shutil.copy(whole, flipped)
    chance = random.Random(5)
    noticed = 0
    used = [place for place, byte in enumerate(data) if byte]
    for _ in range(flips):
        place, bit = chance.choice(used), 1 << chance.randrange(8)
        with flipped.open("r+b") as file:
            file.seek(place)
            file.write(bytes([data[place] ^ bit]))
        try:
            t = load(flipped)
            assert verify(t, box) == 4
            assert t.run == fake.resolved(box)["run"]
            assert t.lattice == box
        except InputError as problem:
            if "lattice" not in str(problem):
                verify_one_sentence(problem, flipped)
            noticed += 1
        finally:
            with flipped.open("r+b") as file:
                file.seek(place)
                file.write(bytes([data[place]]))
    assert noticed > flips // 9
