"""Files of some MB that unpack to many GB: each is refused in words, in little memory and time.

Every reader runs in a process of its own with a limit on its memory, forked from one that has
imported everything. The limit on time is there for endless loops alone.
"""

from __future__ import annotations

import functools
import json
import os
import select
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import fake
import h5py
import numpy as np
import pytest
from box_schema import FRAME_ENTRIES, SAMPLE_ENTRIES

from kmc.files.table_file import RECORD_LABELS

MAX_BYTES = 10 * 10**6
MAX_MEMORY = 10**9  # resident
ADDRESSES = 4 << 30  # the libraries take some of it without using it
HANGS_S = 300

_CHILD = """
import json, os, resource, sys
import numpy, h5py, kmc
import kmc.files.checkpoint, kmc.systems.electrode.verification.trajectory
import kmc.systems.electrode.summary
from kmc.errors import KmcError

limit = int(sys.argv[1])

def read():
    t = kmc.load(path)
    kmc.systems.electrode.summary.summary(t)
    t.lattice.positions_A, t.chemistry
    for frame in t.frames:
        frame.occupancy.sum()

def checkpoint():
    kmc.load(path).checkpoint

def verify():
    found = kmc.verify(path)
    if not found.passed:
        raise KmcError(str(found.breach))

for line in sys.stdin:
    path, outcomes = line.rstrip("\\n"), {}
    for reader in (read, checkpoint, verify):
        listen, tell = os.pipe()
        child = os.fork()
        if not child:
            resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
            try:
                reader()
                said = "used"
            except KmcError as problem:
                said = problem.message
            except BaseException as problem:
                said = f"!{type(problem).__name__}: {problem}"
            os.write(tell, said.encode()[:500])
            os._exit(0)
        os.close(tell)
        _, status, used = os.wait4(child, 0)
        said = os.read(listen, 1000).decode(errors="replace")
        os.close(listen)
        outcomes[reader.__name__] = [status, said, used.ru_maxrss * 1024]
    print(json.dumps(outcomes), flush=True)
"""


@functools.cache
def zeros(n: int) -> bytes:
    """A zlib stream that unpacks to n zeros, made without unpacking or packing them all."""
    block = 1 << 24
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = packer.compress(bytes(block)) + packer.flush(zlib.Z_FULL_FLUSH)
    whole, rest = divmod(n, block)
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    end = packer.compress(bytes(rest)) + packer.flush()
    return b"\x78\xda" + packed * whole + end + struct.pack(">I", (n % 65521) << 16 | 1)


def packed(
    file, name: str, shape: tuple[int, ...], dtype: str, chunk: tuple[int, ...] | None = None
):
    """A dataset of zeros, each piece packed; a few pieces stand for all where they are alike."""
    attributes = {}
    if name in file:
        attributes = {key: (file[name].attrs[key], file[name].attrs.get_id(key).dtype)
                      for key in file[name].attrs}  # fmt: skip
        del file[name]
    chunk = chunk or shape
    dataset = file.create_dataset(name, shape, dtype, chunks=chunk, compression="gzip")
    for key, (value, kind) in attributes.items():
        dataset.attrs.create(key, value, dtype=kind)
    size = int(np.prod(chunk)) * dataset.dtype.itemsize
    for first in range(0, shape[0], chunk[0]):
        dataset.id.write_direct_chunk((first, *[0] * (len(shape) - 1)), zeros(size))
    return dataset


def forged(file, edit):
    """Change the record, and its checksum with it."""
    record = json.loads(file["record"][:].tobytes())
    edit(record)
    data = json.dumps(record).encode()
    del file["record"]
    file["record"] = np.frombuffer(data, np.uint8)
    for label, text in zip(("unit", "description"), RECORD_LABELS, strict=True):
        file["record"].attrs[label] = np.bytes_(text.encode())
    file.attrs["record_crc32"] = zlib.crc32(data)


def described(file):
    """Change the record to what the file has now, but for the checksums."""

    def edit(record):
        for path, entry in record["datasets"].items():
            entry[:2] = [file[path].dtype.str, list(file[path].shape)]
            for label, text in zip(("unit", "description"), entry[4:], strict=True):
                file[path].attrs[label] = np.bytes_(text.encode())

    forged(file, edit)


def checkpoint_in_zlib(file):
    body = zeros(4 * 10**9)
    data = struct.pack("<8sQI", b"kmcstate", len(body), zlib.crc32(body)) + body
    file["checkpoint"] = np.frombuffer(data, np.uint8)
    entry = ["|u1", [len(data)], [zlib.crc32(data)], len(data)]
    forged(file, lambda record: record["datasets"].update(checkpoint=entry))


def checkpoint_in_gzip(file):
    packed(file, "checkpoint", (4 * 10**9,), "u1", (2**24,))
    entry = ["|u1", [4 * 10**9], [0] * 239, 2**24]
    forged(file, lambda record: record["datasets"].update(checkpoint=entry))


def one_column_under_every_name(file):
    """Every column of floating-point numbers is one and the same dataset."""
    rows = 10**7
    floats = [name for name in file["samples"] if file[f"samples/{name}"].dtype.kind == "f"]
    assert len(floats) > 5
    packed(file, f"samples/{floats[0]}", (rows,), "f8", (2**20,))
    for name in floats[1:]:
        del file[f"samples/{name}"]
        file[f"samples/{name}"] = file[f"samples/{floats[0]}"]
    described(file)


def columns_of_zeros(file):
    for name in list(file["samples"]):
        packed(file, f"samples/{name}", (10**7,), file[f"samples/{name}"].dtype.str, (2**20,))
    described(file)


def as_many_rows_as_there_can_be(file):
    """Just below what is refused by their number."""
    file["padding"] = np.random.default_rng(1).integers(0, 256, 8_000_000, np.uint8)
    n = (64 * 8_000_000 + 2**28) // (8 * len(file["samples"]))
    for name in list(file["samples"]):
        packed(file, f"samples/{name}", (n,), file[f"samples/{name}"].dtype.str, (n // 4 + 1,))
    described(file)


def record_of_many_objects(file):
    del file["record"]
    text = b'{"kmc_version":' + b"[" + b"[]," * (2**24 // 3 - 20) + b"[]]}"
    file.create_dataset("record", data=np.frombuffer(text, np.uint8), compression="gzip")
    file.attrs["record_crc32"] = zlib.crc32(text)


def record_of_gigabytes(file):
    packed(file, "record", (24 * 10**8,), "u1", (2**24,))


def record_in_one_piece(file):
    packed(file, "record", (2 * 10**9,), "u1")


def piece_that_holds_more(file):
    """HDF5 unpacks all of a piece, whatever its size should be."""
    dataset = file["record"]
    length = len(dataset)
    packed(file, "record", (length,), "u1")
    file["record"].id.write_direct_chunk((0,), zeros(4 * 10**9))


def frame_that_holds_more(file):
    packed(file, "frames/occupancy", file["frames/occupancy"].shape, "u1")
    file["frames/occupancy"].id.write_direct_chunk((0, 0), zeros(4 * 10**9))


def packed_twice(file):
    del file["frames/occupancy"]
    plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plan.set_chunk((1, 256))
    plan.set_deflate(9)
    plan.set_deflate(9)
    space = h5py.h5s.create_simple((3, 256), (h5py.h5s.UNLIMITED, 256))
    made = h5py.h5d.create(file.id, b"frames/occupancy", h5py.h5t.NATIVE_UINT8, space, plan)
    made.write_direct_chunk((0, 0), zlib.compress(zeros(4 * 10**9)))


def giant_box(file):
    """A box of a billion sites, in a record that says so too."""
    n = 10**9
    packed(file, "lattice/layer", (n,), "i4", (2**22,))
    del file["frames/occupancy"]
    file.create_dataset("frames/occupancy", (3, n), "u1", chunks=(1, n), compression="gzip")
    described(file)
    forged(file, lambda record: record["lattice"].update(cells=[10**4, 10**4], layers=10))


def lattice_of_gigabytes(file):
    packed(file, "lattice/positions_A", (10**8, 3), "f8", (2**18, 3))
    described(file)


def in_tiny_chunks(file, name, shape, dtype, chunk):
    """A dataset in chunks of few bytes, of which the first ones are there."""
    del file[name]
    dataset = file.create_dataset(name, shape, dtype, chunks=chunk, compression="gzip")
    for first in range(min(1000, shape[0])):
        corner = (first, *[0] * (len(shape) - 1))
        dataset.id.write_direct_chunk(corner, zlib.compress(bytes(8)))
    described(file)


def columns_in_tiny_chunks(file):
    """HDF5 takes 6 kB for each chunk that is read at once."""
    in_tiny_chunks(file, "samples/time_s", (400_000,), "f8", (1,))


def columns_in_too_many_chunks(file):
    in_tiny_chunks(file, "samples/time_s", (1_100_000,), "f8", (1,))


def frames_in_too_many_chunks(file):
    in_tiny_chunks(file, "frames/occupancy", (1_100_000, 256), "u1", (1, 256))


def sites_in_too_many_chunks(file):
    in_tiny_chunks(file, "frames/occupancy", (3, 5000), "u1", (1, 1))


BOMBS = {
    columns_in_tiny_chunks: "states 400000 chunks and has 1000",
    columns_in_too_many_chunks: "states 1100000 chunks",
    frames_in_too_many_chunks: "states 1100000 chunks",
    sites_in_too_many_chunks: "chunks of (1, 1)",
    checkpoint_in_zlib: "",
    checkpoint_in_gzip: "",
    one_column_under_every_name: "has changed",  # the labels, which only one of them can have
    columns_of_zeros: "it states",
    as_many_rows_as_there_can_be: "",
    record_of_many_objects: "",
    record_of_gigabytes: "/record states 2400000000 bytes",
    record_in_one_piece: "packed in pieces",
    piece_that_holds_more: "a piece of record holds more than",
    frame_that_holds_more: "holds more than",
    packed_twice: "is packed in a way",
    giant_box: "states 1000000000 bytes",
    lattice_of_gigabytes: "",
}


@pytest.fixture(scope="module")
def readers():
    """A process that reads the files whose paths it gets, in limited memory."""
    with subprocess.Popen(
        [sys.executable, "-c", _CHILD, str(ADDRESSES)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).resolve().parents[2],
    ) as process:
        yield process
        process.stdin.close()


SLOW = (
    columns_in_tiny_chunks,
    record_of_many_objects,
    as_many_rows_as_there_can_be,
    giant_box,
)  # 5 s or more


@pytest.mark.slow
@pytest.mark.parametrize(
    "bomb",
    [pytest.param(bomb, marks=pytest.mark.slow if bomb in SLOW else ()) for bomb in BOMBS],
    ids=lambda bomb: bomb.__name__,
)
def test_a_bomb_is_refused_in_little_memory(tmp_path, bomb, readers):
    path = fake.write(
        tmp_path / "bomb.h5", box=fake.lattice(cells=(4, 4)), n_frames=3, finished=None
    )
    with h5py.File(path, "r+") as file:
        bomb(file)
    assert path.stat().st_size < MAX_BYTES
    os.utime(path, (0, 0))  # nobody is writing it at this moment
    readers.stdin.write(f"{path}\n")
    readers.stdin.flush()
    ready, _, _ = select.select([readers.stdout], [], [], HANGS_S)
    assert ready, f"nothing is said of it after {HANGS_S} s"
    outcomes = json.loads(readers.stdout.readline())
    for reader, (status, said, memory) in outcomes.items():
        assert status == 0, (reader, status, said)
        assert not said.startswith("!"), (reader, said)
        assert memory < MAX_MEMORY, (reader, memory, said)
    if BOMBS[bomb]:
        assert BOMBS[bomb] in " ".join(said for _, said, _ in outcomes.values())


@pytest.mark.slow
def test_what_other_tools_packed_is_still_read(tmp_path):
    """The same file with every column packed by gzip."""
    import kmc

    path = fake.write(tmp_path / "run.h5", box=fake.lattice(cells=(4, 4)), n_frames=3)
    before = kmc.load(path).samples.to_dataframe()
    with h5py.File(path, "r+") as file:
        for entry in (*SAMPLE_ENTRIES, *FRAME_ENTRIES[:-1]):
            values, labels = file[entry.path][:], dict(file[entry.path].attrs)
            del file[entry.path]
            options = {"compression": "gzip", "shuffle": True, "chunks": (100,)}
            file.create_dataset(entry.path, data=values, maxshape=(None,), **options)
            for label, text in labels.items():
                if label in ("unit", "description"):
                    file[entry.path].attrs[label] = text
    assert kmc.load(path).samples.to_dataframe().equals(before)
