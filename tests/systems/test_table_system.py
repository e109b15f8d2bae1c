"""Runs whose file is tables, of every kind: resumed to the last byte, and hostile files."""

import h5py
import numpy as np
import pytest
from table_files import Asked, rewrite

import kmc
from kmc.errors import FileFormatError, InputError, KmcError
from kmc.files import saving
from kmc.systems import job

RUNS = {
    "deposition": (
        "aurbach_zno_002",
        {"system.size": [8, 8, 8], "acceleration.max_hops_per_strip_per_site": 1e4},
    ),
    "cathode": (
        "cathode_se",
        {
            "cathode.edge_sites": 16,
            "cathode.grain_sites": 6,
            "cathode.cycles": 2,
            "cathode.steps": 4,
        },
    ),
}


@pytest.fixture(scope="module", params=RUNS)
def whole(request, tmp_path_factory):
    name, changes = RUNS[request.param]
    path = tmp_path_factory.mktemp(request.param) / "whole.h5"
    return kmc.run(name, changes, output=path, progress=False)


def again(found, path, **options):
    return kmc.run(*RUNS[found.kind], output=path, progress=False, **options)


@pytest.mark.parametrize("looks", [1, 7])
def test_an_interrupted_run_goes_on_to_the_same_bytes(whole, looks, tmp_path, monkeypatch):
    monkeypatch.setattr(job, "Interruption", lambda: Asked(looks))
    part = again(whole, tmp_path / "part.h5")
    assert part.stop_reason == "interrupted"
    assert not part.finished
    assert len(part.samples["time_s"]) < len(whole.samples["time_s"])
    assert kmc.verify(part.path).passed
    monkeypatch.setattr(job, "Interruption", lambda: Asked(2))
    kmc.resume(part.path, progress=False)
    monkeypatch.undo()
    kmc.resume(part.path, progress=False)
    assert part.path.read_bytes() == whole.path.read_bytes()
    with pytest.raises(InputError, match="is finished"):
        kmc.resume(part.path, progress=False)


POPULATION = {
    "upscale.domain_um": 6,
    "upscale.grid_um": 0.25,
    "upscale.capacity_mAh_cm2": 0.05,
}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "changes", "end", "cycles"),
    [
        ("cell_li", POPULATION, {"upscale.capacity_mAh_cm2": 0.08}, 0),
        ("aurbach_zno_002", RUNS["deposition"][1], {}, 1),
        (
            "plate_carbon",
            {**RUNS["deposition"][1], "stop.capacity_monolayers": 1},
            {"stop.capacity_monolayers": 2},
            0,
        ),
        ("cathode_se", {**RUNS["cathode"][1], "cathode.cycles": 1}, {}, 1),
    ],
)
def test_an_extended_run_is_the_longer_one(name, changes, end, cycles, tmp_path):
    path = tmp_path / "short.h5"
    short = kmc.run(name, changes, output=path, progress=False)
    for key, value in end.items():
        then = changes[key]
        with pytest.raises(InputError, match="Give an end beyond that"):
            kmc.extend(path, {key: then}, progress=False)
        assert value > then
    with pytest.raises(InputError, match="no new end"):
        kmc.extend(path, {}, progress=False)
    with pytest.raises(InputError, match="has computed already"):
        kmc.extend(path, {"conditions.temperature_K": 300}, progress=False)
    longer = kmc.extend(path, end, cycles=cycles, progress=False)
    assert len(longer.samples["time_s"]) > len(short.samples["time_s"])
    if end:
        whole = kmc.run(name, {**changes, **end}, output=tmp_path / "whole.h5", progress=False)
        assert longer.samples["time_s"].tolist() == whole.samples["time_s"].tolist()
        assert {k: v for k, v in longer.resolved.items() if k != "run"} == {
            k: v for k, v in whole.resolved.items() if k != "run"
        }
    assert kmc.verify(path).passed


def test_a_callback_sees_every_row_and_ends_the_run(whole, tmp_path):
    rows = []

    def stop(sample):
        rows.append(sample.time_s)
        return len(rows) == 3

    part = again(whole, tmp_path / "part.h5", callback=stop)
    assert rows == whole.samples["time_s"][:3].tolist()
    assert part.stop_reason == "stopped by the callback"
    kmc.resume(part.path, progress=False)
    assert part.path.read_bytes() == whole.path.read_bytes()


def test_an_error_leaves_what_was_saved_last(whole, tmp_path, monkeypatch):
    monkeypatch.setattr(job, "_SAVE_EVERY_S", np.inf)  # nothing is saved before

    def fail(sample):
        if sample["cycle" if whole.kind == "cathode" else "step"] == 2:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        again(whole, tmp_path / "part.h5", callback=fail)
    part = kmc.load(tmp_path / "part.h5")
    assert not part.finished
    assert part.stop_reason == ""
    assert len(part.samples["time_s"]) == 1
    monkeypatch.undo()
    kmc.resume(part.path, progress=False)
    assert part.path.read_bytes() == whole.path.read_bytes()


def test_results_have_one_protocol(whole):
    frame = whole.to_dataframe()
    assert list(frame["time_s"]) == whole.samples["time_s"].tolist()
    assert frame.attrs["units"]["time_s"] == "s"
    ds = whole.to_xarray()
    assert ds.sizes["sample"] == len(frame)
    assert ds.time_s.attrs["units"] == "s"
    assert whole.summary()[0] == ("Ended", whole.stop_reason)
    assert whole.to_json()["final"]["time_s"] == frame["time_s"].iloc[-1]
    assert whole.kind in repr(whole)
    assert "<table" in whole._repr_html_()


# --- files that are not as kmc wrote them ---------------------------------------------------------


def test_every_attribute_and_every_byte_of_a_dataset_is_checked(whole, tmp_path):
    with h5py.File(whole.path) as file:
        names = [n for n in file.attrs]
        paths: list[str] = []
        file.visititems(lambda n, p: paths.append(n) if isinstance(p, h5py.Dataset) else None)
    for name in names:
        broken = tmp_path / "broken.h5"
        broken.write_bytes(whole.path.read_bytes())
        with h5py.File(broken, "r+") as file:
            value = file.attrs[name]
            text = isinstance(value, str | bytes)
            file.attrs[name] = "another" if text else value + np.int64(1)
        with pytest.raises(KmcError):
            kmc.load(broken)
    for path in paths:
        broken.write_bytes(whole.path.read_bytes())
        with h5py.File(broken, "r+") as file:
            values = file[path][...]
            if not values.size:
                continue
            values.view(np.uint8).reshape(-1)[0] ^= 1
            file[path][...] = values
        with pytest.raises(FileFormatError):
            kmc.load(broken)


def _delete_row(arrays):
    for path in arrays:
        if path.startswith("samples/"):
            arrays[path] = arrays[path][:-1]


def _two_dimensions(arrays):
    arrays["samples/time_s"] = arrays["samples/time_s"][:, None]


def _beyond(arrays):
    arrays["frames/sample"][-1] = 10_000


def _negative(arrays):
    arrays["frames/sample"][0] = -1


def _shorter(arrays):
    arrays["samples/time_s"] = arrays["samples/time_s"][:-1]


def _no_time(arrays):
    del arrays["samples/time_s"]


@pytest.mark.parametrize(
    "edit", [_delete_row, _two_dimensions, _beyond, _negative, _shorter, _no_time]
)
def test_rows_that_do_not_fit_are_refused_in_words(whole, edit, tmp_path):
    rewrite(whole.path, tmp_path / "edited.h5", edit)
    with pytest.raises(FileFormatError, match="is damaged"):
        kmc.load(tmp_path / "edited.h5")


def _nothing(arrays):
    pass


@pytest.mark.parametrize(
    "record",
    [{"resolved": []}, {"resolved": {"run": []}}, {"seed": 1.5}, {"finished": 1}, {"run_file": 3}],
)
def test_a_record_without_what_a_run_has_is_refused(whole, record, tmp_path):
    rewrite(whole.path, tmp_path / "edited.h5", _nothing, **record)
    with pytest.raises(FileFormatError):
        kmc.load(tmp_path / "edited.h5")


def test_a_kind_that_is_not_known_is_refused(whole, tmp_path):
    rewrite(whole.path, tmp_path / "edited.h5", _nothing, system="sorcery")
    with pytest.raises(FileFormatError, match="'sorcery' that this kmc does not know"):
        kmc.load(tmp_path / "edited.h5")


def test_nothing_outside_of_the_file_is_read(whole, tmp_path):
    other = tmp_path / "other.h5"
    with h5py.File(other, "w") as file:
        file["x"] = whole.samples["time_s"]
    broken = tmp_path / "broken.h5"
    for way in ("link", "virtual", "external"):
        broken.write_bytes(whole.path.read_bytes())
        with h5py.File(broken, "r+") as file:
            n = len(file["samples/time_s"])
            del file["samples/time_s"]
            if way == "link":
                file["samples/time_s"] = h5py.ExternalLink("other.h5", "x")
            elif way == "virtual":
                layout = h5py.VirtualLayout((n,), "<f8")
                layout[:] = h5py.VirtualSource("other.h5", "x", (n,))
                file.create_virtual_dataset("samples/time_s", layout)
            else:
                file.create_dataset(
                    "samples/time_s", (n,), "<f8", external=[(str(tmp_path / "raw"), 0, 8 * n)]
                )
        with pytest.raises(FileFormatError):
            kmc.load(broken)


def test_a_bomb_is_refused_before_it_is_unpacked(whole, tmp_path):
    bomb = tmp_path / "bomb.h5"
    bomb.write_bytes(whole.path.read_bytes())
    with h5py.File(bomb, "r+") as file:
        del file["samples/time_s"]
        file.create_dataset("samples/time_s", (2**33,), "<f8", chunks=(2**17,), compression="gzip")
    with pytest.raises(FileFormatError):
        kmc.load(bomb)


# --- the loop -------------------------------------------------------------------------------------


class Counter(job.Job):
    """Counts to five."""

    n = 0

    def advance(self):
        self.n += 1
        yield job.Row({"time_s": float(self.n)})
        if self.n == 5:
            yield job.Ended("five is reached")

    def state(self):
        return {"n": self.n}

    def closing(self, reason):
        yield job.Row({"time_s": -1.0})


class Memory:
    position: dict = {}  # noqa: RUF012

    def __init__(self):
        self.rows, self.flushed = [], 0

    def append_sample(self, row):
        self.rows.append(row["time_s"])

    def flush(self, checkpoint=None):
        self.flushed += 1
        assert checkpoint

    def close(self, **how):
        self.how = how


def test_the_loop_records_saves_and_closes(monkeypatch):
    from kmc.common.progress import Silent

    monkeypatch.setattr(job, "_SAVE_EVERY_S", 0.0)
    monkeypatch.setattr(job, "_SAVING_SHARE", 1e9)
    memory = Memory()
    assert job.carry_out(Counter(), memory, Silent(), Asked(100)) == "five is reached"
    assert memory.rows == [1, 2, 3, 4, 5, -1]
    assert memory.flushed == 4
    assert memory.how == {"finished": True, "stop_reason": "five is reached", "checkpoint": None}
    memory = Memory()
    assert job.carry_out(Counter(), memory, Silent(), Asked(2)) == "interrupted"
    assert memory.rows == [1, 2, 3, -1]
    assert not memory.how["finished"]
    assert memory.how["checkpoint"]


def test_a_file_that_is_being_written_is_not_written_by_another(whole, tmp_path):
    """Not by kmc run --force, nor by a second kmc resume, until the first has ended."""
    path = tmp_path / "busy.h5"
    path.write_bytes(whole.path.read_bytes())
    lock = saving.WriteLock(path)
    with pytest.raises(InputError, match="being written by another process"):
        again(whole, path, overwrite=True)
    lock.release()
    again(whole, path, overwrite=True)
    assert path.read_bytes() == whole.path.read_bytes()
