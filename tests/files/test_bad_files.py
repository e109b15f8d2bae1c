"""Files that are no trajectory: every command that opens one says so in a sentence, exit code 2.

The commands come from the command table, so a new one is covered as soon as it exists.
"""

from __future__ import annotations

import ast
import errno
import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import click
import fake
import h5py
import numpy as np
import pytest
from click.testing import CliRunner

import kmc
from kmc.cli.app import main
from kmc.errors import FileFormatError, InputError
from kmc.files.table_file import MARKER, SCHEMA_VERSION

PACKAGE = Path(kmc.__file__).parent


def openers(group: click.Group = main, prefix: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Commands with a required argument FILE: those that open trajectories.

    `kmc sweep` and `kmc calibrate` open TOML files, `kmc image` an image, `kmc params` files of
    other programs, and `kmc repair` is for bad files: it has tests of its own.
    """
    found = []
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            found += openers(command, (*prefix, name))
        elif (*prefix, name)[0] not in ("sweep", "calibrate", "image", "params", "repair") and any(
            isinstance(p, click.Argument) and p.name in ("file", "files") and p.required
            for p in command.params
        ):
            found.append((*prefix, name))
    return found


def arguments(command: tuple[str, ...], path: Path) -> list[str]:
    """The file, twice where a command asks for two."""
    return [str(path)] * (2 if command == ("compare",) else 1)


def test_the_table_knows_the_commands_that_open_files():
    assert {("info",), ("plot",), ("movie",), ("export",), ("verify",)} <= set(openers())
    assert ("init",) not in openers()


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> bytes:
    box = fake.lattice(cells=(4, 4))
    return fake.write(tmp_path_factory.mktemp("whole") / "a.h5", box=box, n_frames=3).read_bytes()


def truncated(path, whole):
    path.write_bytes(whole[: len(whole) // 2])


def flipped(path, whole):
    path.write_bytes(whole)
    with h5py.File(path) as file:
        place = file["record"].id.get_chunk_info(0).byte_offset
    data = bytearray(whole)
    data[place + 40] ^= 8
    path.write_bytes(data)


def empty(path, whole):
    path.write_bytes(b"")


def foreign(path, whole):
    path.write_text("x,y\n1,2\n")


def foreign_hdf5(path, whole):
    with h5py.File(path, "w") as file:
        file["data"] = np.arange(5)


def newer(path, whole):
    path.write_bytes(whole)
    with h5py.File(path, "r+") as file:
        file.attrs[MARKER] = SCHEMA_VERSION + 1


def folder(path, whole):
    path.mkdir()


def missing(path, whole):
    pass


def loop(path, whole):
    path.symlink_to(path.name)


def pipe(path, whole):
    os.mkfifo(path)


def zeros(path, whole):
    path.symlink_to("/dev/zero")


def name_too_long(path, whole):
    pass


def sparse(path, whole):
    """The end named by the superblock is there, but it is all holes."""
    path.write_bytes(whole)
    os.truncate(path, 10**12)
    data = bytearray(whole[:100])
    with path.open("r+b") as file:
        file.write(data)
    with h5py.File(path, "r+") as file:
        del file["samples/time_s"]
        file.create_dataset("samples/time_s", (10**11,), "f8", chunks=(512,))


def giant_frames(path, whole):
    path.write_bytes(whole)
    with h5py.File(path, "r+") as file:
        del file["frames/occupancy"]
        options = {"chunks": (1, 10**6), "compression": "gzip"}
        file.create_dataset("frames/occupancy", (3, 10**12), "u1", **options)


def external(path, whole):
    other = path.with_name("secret.h5")
    other.write_bytes(whole)
    path.write_bytes(whole)
    with h5py.File(path, "r+") as file:
        del file["frames/occupancy"]
        file["frames/occupancy"] = h5py.ExternalLink(other.name, "/frames/occupancy")


def external_group(path, whole):
    other = path.with_name("secret.h5")
    other.write_bytes(whole)
    path.write_bytes(whole)
    with h5py.File(path, "r+") as file:
        del file["samples"]
        file["samples"] = h5py.ExternalLink(str(other), "/samples")


def raw_storage(path, whole):
    """Numbers that HDF5 would read from any file, here the record from a text file."""
    secret = path.with_name("secret.txt")
    secret.write_text("a secret of its own" * 100)
    path.write_bytes(whole)
    with h5py.File(path, "r+") as file:
        del file["record"]
        source = [(str(secret), 0, h5py.h5f.UNLIMITED)]
        file.create_dataset("record", (1000,), "u1", external=source)


def virtual(path, whole):
    other = path.with_name("secret.h5")
    other.write_bytes(whole)
    path.write_bytes(whole)
    with h5py.File(path, "r+") as file:
        shape = file["frames/occupancy"].shape
        del file["frames/occupancy"]
        layout = h5py.VirtualLayout(shape, "u1")
        layout[...] = h5py.VirtualSource(str(other), "frames/occupancy", shape, dtype="u1")
        file.create_virtual_dataset("frames/occupancy", layout)


def other_filter(path, whole):
    path.write_bytes(whole)
    with h5py.File(path, "r+") as file:
        time_s = file["samples/time_s"][:]
        del file["samples/time_s"]
        file.create_dataset("samples/time_s", data=time_s, compression="lzf")


def nested(path, whole):
    path.write_bytes(whole)
    with h5py.File(path, "r+") as file:
        del file["record"]
        file["record"] = np.frombuffer(b"[" * 10**5 + b"]" * 10**5, np.uint8)


def wrong_record(path, whole):
    path.write_bytes(whole)
    with h5py.File(path, "r+") as file:
        record = json.loads(file["record"][:].tobytes())
        record["resolved"]["acceleration"]["classes"][0]["barrier_eV"] = "high"
        del file["record"]
        file["record"] = np.frombuffer(json.dumps(record).encode(), np.uint8)


BAD = {
    truncated: "cut short",
    flipped: "damaged",
    empty: "is empty",
    foreign: "not an HDF5 file",
    foreign_hdf5: "is not a kmc trajectory",
    newer: "update kmc",
    folder: "is a folder",
    missing: "no such file",
    loop: "cannot be read",
    pipe: "not a regular file",
    zeros: "not a regular file",
    name_too_long: "File name too long",
    sparse: "states 800000000000 bytes",
    giant_frames: "states 1000000000000 bytes",
    external: "is a link",
    external_group: "is a link",
    raw_storage: "in another file",
    virtual: "in another file",
    other_filter: "packed in a way",
    nested: "damaged",
    wrong_record: "/record fails its checksum",
}


@pytest.fixture
def bad(tmp_path, whole):
    def make(kind):
        name = "x" * 300 + ".h5" if kind is name_too_long else "bad.h5"
        path = tmp_path / name
        kind(path, whole)
        return path

    return make


@pytest.mark.parametrize("kind", BAD, ids=lambda kind: kind.__name__)
def test_every_command_says_what_is_wrong(bad, kind):
    path = bad(kind)
    before = sorted(path.parent.iterdir())
    for command in openers():
        done = CliRunner().invoke(main, [*command, *arguments(command, path)])
        where = f"{' '.join(command)}: {done.output}"
        assert done.exit_code == 2, where
        assert done.stderr.startswith("Error: "), where
        assert "Traceback" not in done.output
        assert done.stdout == "", where
        if command != ("movie",) or kind is not folder:
            assert BAD[kind] in done.stderr, where
        assert len(done.stderr.splitlines()) <= 2, where
        assert len(done.stderr.replace(path.stem, "")) < 400, where
        assert sorted(path.parent.iterdir()) == before


def test_no_permission(tmp_path, whole, monkeypatch):
    """Simulated, as root may read everything."""
    path = tmp_path / "bad.h5"
    path.write_bytes(whole)

    def refuse(self, *arguments, **options):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(self))

    monkeypatch.setattr(Path, "open", refuse)
    for command in openers():
        done = CliRunner().invoke(main, [*command, *arguments(command, path)])
        assert done.exit_code == 2
        assert "Permission denied" in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("kind", [sparse, giant_frames], ids=lambda kind: kind.__name__)
def test_a_process_with_little_memory_survives_giant_claims(bad, kind):
    """Address space of 3 GB; the libraries need some of it."""
    path = bad(kind)

    def limit():
        resource.setrlimit(resource.RLIMIT_AS, (3 << 30, 3 << 30))

    done = subprocess.run(
        [sys.executable, "-m", "kmc.cli", "info", path],
        capture_output=True,
        text=True,
        preexec_fn=limit,
        timeout=3600,
    )
    assert done.returncode == 2, done.stderr
    assert BAD[kind] in done.stderr


def test_a_frame_that_a_link_replaced_later_is_not_followed(tmp_path, whole):
    path = tmp_path / "run.h5"
    path.write_bytes(whole)
    t = kmc.load(path)
    external(path, whole)
    with pytest.raises(FileFormatError, match="is a link"):
        _ = t.frames[0].occupancy


# --- nothing is executed, and no output goes where a file wants it --------------------------------

FORBIDDEN_CALLS = {"eval", "exec", "compile", "__import__", "execfile", "input"}
FORBIDDEN_MODULES = {"pickle", "cPickle", "dill", "marshal", "shelve", "yaml", "joblib", "ctypes"}
FORBIDDEN_METHODS = {"os.system", "os.popen", "pd.read_pickle", "numpy.load"}


@pytest.mark.parametrize(
    "path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE))
)
def test_no_source_executes_what_it_reads(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = {alias.name.split(".")[0] for alias in node.names}
            names |= {(getattr(node, "module", None) or "").split(".")[0]}
            assert not names & FORBIDDEN_MODULES, f"line {node.lineno}"
        if isinstance(node, ast.Call):
            function = node.func
            if isinstance(function, ast.Name):
                assert function.id not in FORBIDDEN_CALLS, f"line {node.lineno}"
            plain = {k.arg: ast.unparse(k.value) for k in node.keywords}
            if ast.unparse(function) == "np.load":
                assert plain.pop("allow_pickle", "") == "False", f"line {node.lineno}"
            assert ast.unparse(function) not in FORBIDDEN_METHODS, f"line {node.lineno}"
            assert not plain.keys() & {"allow_pickle", "shell"}, f"line {node.lineno}"


@pytest.mark.slow
def test_names_in_a_file_do_not_decide_where_outputs_go(tmp_path, monkeypatch):
    """Lattice, parameter set and run name of a hostile record lead out of the folder."""
    inside = tmp_path / "inside"
    inside.mkdir()
    monkeypatch.chdir(inside)
    box = fake.lattice(cells=(4, 4))
    settings = fake.resolved(box)
    settings["run"]["system"]["params"] = "../../outside"
    settings["parameter_set"] = settings["run"]["name"] = "../outside"
    path = fake.write(inside / "run.h5", box=box, n_frames=2, settings=settings)
    for command in (["info"], ["plot"], ["export"], ["export", "--what", "samples"]):
        done = CliRunner().invoke(main, [*command, *arguments(command, path)])
        assert done.exit_code == 0, done.output
    assert sorted(p.name for p in tmp_path.iterdir()) == ["inside"]
    assert all(p.name.startswith("run") for p in inside.iterdir())


def test_a_run_file_only_names_files_that_are_read(tmp_path):
    """What `params` and `lattice` lead to is parsed as TOML and refused, never shown."""
    secret = tmp_path / "secret.toml"
    secret.write_text("password = 'a secret of its own'\n")
    for key in ("params", "lattice"):
        run = tmp_path / "run.toml"
        run.write_text(f'[system]\n{key} = "{secret}"\n[stop]\nevents = 10\n')
        with pytest.raises(InputError) as caught:
            kmc.run(run, output=tmp_path / "out.h5")
        assert "a secret of its own" not in str(caught.value)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["run.toml", "secret.toml"]


@pytest.mark.parametrize("locking", [None, False, True])
@pytest.mark.parametrize("mode", ["r", "r+"])
def test_a_file_that_is_open_in_the_same_process(whole, tmp_path, locking, mode):
    """HDF5 wants one way of locking for a file that is opened twice; kmc takes the other's."""
    path = tmp_path / "a.h5"
    path.write_bytes(whole)
    with h5py.File(path, mode, locking=locking) as file:
        trajectory = kmc.load(path)
        assert len(trajectory.samples) == len(file["samples/time_s"])
        assert trajectory.frames[-1].occupancy.size == trajectory.lattice.n_sites


def test_a_lock_that_no_way_of_opening_matches(whole, tmp_path, monkeypatch):
    path = tmp_path / "a.h5"
    path.write_bytes(whole)

    def refuse(*args, **kwargs):
        raise OSError("Unable to open file (file locking flag values don't match)")

    monkeypatch.setattr(h5py, "File", refuse)
    with pytest.raises(FileFormatError, match="open elsewhere in this process") as told:
        kmc.load(path)
    assert "Close that h5py.File" in told.value.advice
