"""Generated input for everything kmc reads: it is used, or refused in words. Nothing else happens.

``tests/test_fuzz.py`` runs some thousand cases with every test run. For more::

    python tests/fuzz.py --cases 100000              # all targets, about an hour on two cores
    python tests/fuzz.py --cases 20000 --target hdf5_bytes --seed 7

A new kind of input needs a strategy, a function that examines one case, and a line in `TARGETS`.
A case passes if the input is accepted or an `InputError` explains it, without much memory and, when
this file is run, within two seconds of processor time (the test run, on whatever machine, allows
minutes: ``--seconds``). Damaged HDF5 files are examined in another process with a
limit on its memory, so that a crash or an endless loop inside HDF5 is a finding too.
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import re
import resource
import signal
import sys
import tempfile
import time
import traceback
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np
from fuzz_inputs import altered_file, override_text, run_text, sweep_text
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from kmc.campaign.plan import read_plan
from kmc.common.units import unit_of
from kmc.errors import InputError
from kmc.model.lattice import Lattice, load_unit_cell
from kmc.model.parameters import load_parameters
from kmc.runfile.load import RunFile, load_run, parse_override

HANGS_S = 300.0  # no case takes so long, however slow the machine
MAX_BYTES = 1 << 30  # by which a process may grow over all its cases
_INTERNALS = re.compile(r"\.py\b|Traceback|object at 0x|site-packages/(?!kmc)|pydantic|numpy\.")
_LONGEST_MESSAGE = 20_000

# --- examining a case -----------------------------------------------------------------------------


class Finding(AssertionError):
    """A case that neither passed nor was refused in words."""


def check_refusal(error: InputError) -> None:
    """A refusal must be readable and say nothing of the machinery."""
    said = str(error)
    if not error.message.strip():
        raise Finding("refused without a word")
    if len(said) > _LONGEST_MESSAGE:
        raise Finding(f"a message of {len(said)} characters: {said[:200]}…")
    if found := _INTERNALS.search(said):
        raise Finding(f"the message names {found[0]!r}: {said[:500]}")
    if "\0" in said:
        raise Finding(f"the message holds a zero byte: {said[:200]!r}")
    if error.exit_code != 2:
        raise Finding(f"exit code {error.exit_code}")


@contextmanager
def refusals() -> Iterator[None]:
    try:
        yield
    except InputError as error:
        check_refusal(error)


@cache
def _folder() -> Path:
    # Lives as long as the process; the name must not look like part of a program.
    return Path(tempfile.mkdtemp(prefix="kmc_fuzz_"))


def _write(text: str, name: str) -> Path:
    path = _folder() / name
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    return path


def examine_run(text: str) -> str:
    with refusals():
        run = load_run(_write(text, "case.toml"))
        return _set_up(run)
    return "refused"


def examine_override(text: str) -> str:
    with refusals():
        key, value = parse_override(text)
        run = load_run("strip_li_hops", {"system.size": [4, 4, 8], key: value})
        return _set_up(run)
    return "refused"


def examine_sweep(text: str) -> str:
    with refusals():
        plan = read_plan(_write(text, "sweep.toml"))
        names = [point.name for point in plan.points]
        if len(set(names)) < len(names) or not all(map(_safe, names)):
            raise Finding(f"names that are not safe: {names[:3]}")
        return "planned"
    return "refused"


def _safe(name: str) -> bool:
    """Whether a name can be that of a file in its folder, and of no other."""
    return 0 < len(name.encode()) < 240 and not set(name) & set("/\\\0\n") and name[0] != "."


def _set_up(run: RunFile) -> str:
    """A small run that was accepted can be set up, and takes its first steps."""
    if math.prod(run.system.size) > 2000 or run.kind != "electrode":
        return "accepted"
    from kmc.systems.electrode import snapshot
    from kmc.systems.electrode.run import ElectrodeJob

    simulation = ElectrodeJob(run)
    json.dumps(simulation.setup.resolved())
    engine = simulation.engine
    engine.advance(attempts=100)
    row = engine.sample()
    kinds = ("hops", "strips", "absorbed", "emitted", "closures")
    if row["events"] != sum(row[kind] for kind in kinds):
        raise Finding(f"events do not add up: {row}")
    if not row["time_s"] >= 0 or math.isnan(row["energy_eV"]) or math.isnan(row["overpotential_V"]):
        raise Finding(f"not a number: {row}")
    if problems := snapshot.differences(engine):
        raise Finding(f"the state is not what it would be from scratch: {problems[0]}")
    return "ran"


def examine_parameters(text: str) -> str:
    with refusals():
        parameters = load_parameters(_write(text, "case.toml"))
        for key in parameters.quantities:
            if unit_of(key) != "1":
                str(parameters[key])
        from kmc.model.hamiltonian import calibrate

        calibrate(parameters, Lattice("bcc_100", (4, 4), 8, "interface", 3.5))
        return "accepted"
    return "refused"


def examine_lattice(text: str) -> str:
    with refusals():
        path = _write(text, "case.toml")
        load_unit_cell(str(path))
        box = Lattice(str(path), (4, 4), 12, "interface", 3.5)
        for shell in (1, 2):
            table = box.neighbour_table(shell)
            if table.max() >= box.n_sites or table.min() < -1:
                raise Finding("neighbours that do not exist")
        return "accepted"
    return "refused"


# --- HDF5 -----------------------------------------------------------------------------------------

OPERATIONS = ("flip", "bytes", "zeros", "ones", "cut", "splice", "insert", "delete", "huge", "grow")
DAMAGE = st.tuples(
    st.integers(0, 2),  # which file
    st.lists(
        st.tuples(
            st.sampled_from(OPERATIONS),
            st.floats(0, 1, exclude_max=True),  # where, as a share of the bytes that are not zero
            st.floats(0, 1, exclude_max=True),  # from where, for a splice
            st.integers(1, 600),  # how long
            st.binary(min_size=1, max_size=8),
        ),
        min_size=1,
        max_size=4,
    ),
)


@cache
def whole_files() -> tuple[bytes, ...]:
    """Small trajectories as kmc writes them, and one as other tools rewrite it."""
    import fake

    folder = _folder()
    box = fake.lattice(cells=(4, 4))
    paths = [fake.write(folder / "a.h5", box=box, n_frames=3, monolayers=0.3)]
    paths.append(
        fake.write(folder / "b.h5", box=box, n_frames=9, finished=None, species=("Li", "Mg"))
    )
    paths.append(folder / "c.h5")
    with h5py.File(paths[0]) as source, h5py.File(paths[2], "w") as target:
        for name in source:
            source.copy(name, target)
        target.attrs.update(source.attrs)
    contents = tuple(path.read_bytes() for path in paths)
    for path in paths:
        path.unlink()
    return contents


@cache
def _used(which: int) -> list[int]:
    return [place for place, byte in enumerate(whole_files()[which]) if byte]


def damaged(case, path: Path) -> None:
    """Write the file of a case of `DAMAGE`."""
    which, operations = case
    data = bytearray(whole_files()[which])
    for kind, where, source, length, extra in operations:
        place = _used(which)[int(where * len(_used(which)))] % max(1, len(data))
        origin = int(source * len(data))
        if kind == "flip" and data:
            data[place] ^= 1 << (extra[0] % 8)
        elif kind == "bytes":
            data[place : place + len(extra)] = extra
        elif kind in ("zeros", "ones"):
            data[place : place + length] = bytes([0 if kind == "zeros" else 255]) * length
        elif kind == "cut":
            del data[place:]
        elif kind == "splice":
            data[place : place + length] = data[origin : origin + length]
        elif kind == "insert":
            data[place:place] = extra * (length // 8)
        elif kind == "delete":
            del data[place : place + length]
        elif kind == "huge":
            data[place : place + 8] = (10 ** (1 + length % 18)).to_bytes(8, "little")
        elif kind == "grow":
            data += bytes(length * 100)
    path.write_bytes(data)


JSON_ODD = st.one_of(
    st.sampled_from([None, True, -1, 0, 10**30, 1e300, "", "x", [], {}, [[]], [None], {"a": 1}]),
    st.text(max_size=5),
    st.integers(),
)
DATASETS = ("record", "samples/time_s", "samples/energy_eV", "frames/occupancy")
DATASETS += ("frames/time_s", "frames/sample", "lattice/positions_A", "lattice/layer", "samples")
CONTENT = st.lists(
    st.one_of(
        st.tuples(st.just("record"), st.lists(st.integers(0, 30), max_size=5), JSON_ODD),
        st.tuples(
            st.just("attribute"),
            st.sampled_from(["system_schema", "finished", "seed", "record_crc32"]),
            st.sampled_from([0, -1, 1, 2**62, 1.5, "text", b"bytes", [1, 2], [], True]),
        ),
        st.tuples(
            st.just("resize"), st.sampled_from(DATASETS), st.sampled_from([0, 1, 10**6, 10**12])
        ),
        st.tuples(st.just("delete"), st.sampled_from(DATASETS), st.none()),
        st.tuples(
            st.just("link"),
            st.sampled_from(DATASETS),
            st.sampled_from(["soft", "external", "loop"]),
        ),
        st.tuples(
            st.just("replace"),
            st.sampled_from(DATASETS),
            st.tuples(
                st.sampled_from(["f8", "f4", "i8", "u1", "S5", "vlen", "bool", "c16"]),
                st.sampled_from([(), (0,), (3,), (16,), (3, 128), (3, 16, 1), (10**12,)]),
                st.sampled_from(["contiguous", "chunked", "lzf", "external", "virtual"]),
            ),
        ),
    ),
    min_size=1,
    max_size=3,
)


def changed(operations, path: Path) -> None:
    """Write a well-formed HDF5 file that no kmc would write."""
    path.write_bytes(whole_files()[0])
    with h5py.File(path, "r+") as file:
        done = set()
        for kind, where, what in operations:
            if str(where) in done:  # HDF5 itself takes for ever to shrink a giant again
                continue
            done.add(str(where))
            if where in DATASETS and where not in file and kind != "link":
                continue
            if kind == "record":
                _change_record(file, where, what)
            elif kind == "attribute":
                del file.attrs[where]
                file.attrs[where] = what
            elif kind == "resize" and isinstance(file[where], h5py.Dataset):
                if file[where].maxshape[0] is None:
                    file[where].resize(what, axis=0)
            elif kind == "delete":
                del file[where]
            elif kind in ("link", "replace"):
                if where in file:
                    del file[where]
                (_link if kind == "link" else _replace)(file, where, what)


def _change_record(file, keys: list[int], new: Any) -> None:
    """Replace one place in the JSON of /record, found by going down into it."""
    if "record" not in file or file["record"].dtype.kind != "u":
        return
    text = file["record"][:].tobytes()
    tree = json.loads(text)
    place, last = {"": tree}, ""
    inner = place
    for number in keys:
        value = inner[last]
        if not value or not isinstance(value, dict | list):
            break
        names = list(value) if isinstance(value, dict) else list(range(len(value)))
        inner, last = value, names[number % len(names)]
    inner[last] = new
    replace_record(file, place[""])


def replace_record(file, record: Any, seal: bool = False) -> None:
    """Write another JSON into /record, and its checksum too where it is to be a forger's."""
    data, attributes = json.dumps(record).encode(), file["record"].attrs
    kept = {name: (attributes[name], attributes.get_id(name).dtype) for name in attributes}
    del file["record"]
    file["record"] = np.frombuffer(data, np.uint8)
    for name, (value, kind) in kept.items():
        file["record"].attrs.create(name, value, dtype=kind)
    if seal:
        file.attrs["record_crc32"] = zlib.crc32(data)


def _link(file, where: str, what: str) -> None:
    targets = {
        "soft": h5py.SoftLink("/lattice/layer"),
        "loop": h5py.SoftLink(f"/{where}"),
        "external": h5py.ExternalLink("/etc/passwd", "/record"),
    }
    file[where] = targets[what]


def _replace(file, where: str, what: tuple) -> None:
    code, shape, form = what
    kinds = {
        "vlen": h5py.string_dtype(),
        "bool": np.bool_,
        "compound": np.dtype([("a", "f8"), ("b", "i4")]),
    }
    kind, options = kinds.get(code, code), {}
    if form in ("chunked", "lzf") and shape and min(shape):
        options = {"chunks": tuple(min(n, 64) for n in shape)}
        options |= {"compression": "lzf"} if form == "lzf" else {}
    if form == "external" and shape and math.prod(shape) < 1000 and code != "vlen":
        options = {"external": [("/etc/passwd", 0, h5py.h5f.UNLIMITED)]}
    if form == "virtual" and shape and code != "vlen":
        layout = h5py.VirtualLayout(shape, kind)
        layout[...] = h5py.VirtualSource("/etc/passwd", "x", shape, dtype=kind)
        file.create_virtual_dataset(where, layout)
    elif math.prod(shape) < 10**7 or options:
        file.create_dataset(where, shape, kind, **options)


def read_everything(path: Path) -> str:
    """What the commands that open a trajectory read of it."""
    from kmc import load, verify
    from kmc.systems.electrode.summary import summary

    outcome = "refused"
    with refusals():
        t = load(path)
        summary(t)
        repr(t), t._repr_html_(), t.lattice.positions_A
        for frame in t.frames:
            frame.occupancy.sum()
        outcome = "read"
    with refusals():
        str(verify(path))
    return outcome


def _worker(connection, memory_bytes: int, most_seconds: float) -> None:
    """Examines files until told to stop; its death is a finding of the one who started it."""
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    path = _folder() / "case.h5"
    while True:
        make, case = connection.recv()
        signal.alarm(2 * int(Reader.PATIENCE_S))  # ends it even inside C, should nobody else
        try:
            make(case, path)
        except Exception as problem:  # what HDF5 itself refuses to write
            connection.send(f"not made: {type(problem).__name__}")
            continue
        start = time.process_time()
        try:
            outcome = read_everything(path)
        except BaseException:
            outcome = f"!{traceback.format_exc()}"
        used = time.process_time() - start
        if used > most_seconds:
            outcome = f"!{used:.1f} s of processor time"
        connection.send(outcome)


class Reader:
    """A process that reads damaged files, started anew when one of them kills it or stops it."""

    MEMORY_BYTES = 4 << 30  # address space; libraries take most of 2 GB of it
    PATIENCE_S = HANGS_S

    def __init__(self):
        self.most_seconds = HANGS_S
        self._process = None

    def examine(self, make: Callable[[Any, Path], None], case) -> str:
        """Have ``make(case, path)`` write a file, and read it."""
        if self._process is None:
            self._start()
        self._pipe.send((make, case))
        if not self._pipe.poll(self.PATIENCE_S):
            self.stop()
            raise Finding(f"no end after {self.PATIENCE_S:g} s")
        try:
            outcome = self._pipe.recv()
        except (EOFError, ConnectionError):
            self._process.join()
            code = self._process.exitcode
            self.stop()
            raise Finding(f"the reading process died with exit code {code}") from None
        if outcome.startswith("!"):
            raise Finding(outcome[1:])
        return outcome

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, other = context.Pipe()
        self._process = context.Process(
            target=_worker, args=(other, self.MEMORY_BYTES, self.most_seconds), daemon=True
        )
        self._process.start()
        other.close()

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._pipe.close()
            self._process = None


READER = Reader()


# --- targets --------------------------------------------------------------------------------------


class Target(NamedTuple):
    """One kind of input.

    Attributes
    ----------
    strategy : hypothesis.strategies.SearchStrategy
        Makes a case.
    examine : callable
        Examines one; returns a word on what became of it, or raises.
    share : float
        Of all cases of a test run.
    """

    strategy: st.SearchStrategy
    examine: Callable[[Any], str]
    share: float


TARGETS = {
    "run": Target(run_text(), examine_run, 0.25),
    "override": Target(override_text(), examine_override, 0.07),
    "sweep": Target(sweep_text(), examine_sweep, 0.32),
    "params": Target(altered_file("params", True), examine_parameters, 0.08),
    "lattice": Target(altered_file("lattices", False), examine_lattice, 0.12),
    "hdf5_bytes": Target(DAMAGE, partial(READER.examine, damaged), 0.1),
    "hdf5_content": Target(CONTENT, partial(READER.examine, changed), 0.06),
}


def run_target(
    name: str,
    cases: int,
    start: int,
    told: Callable[[Counter], None] | None = None,
    most_seconds: float = HANGS_S,
) -> Counter:
    """Examine so many generated cases; returns how many ended in which way.

    `most_seconds`: of processor time a case.

    Raises
    ------
    Finding, or whatever a case raised
        The smallest case that does, as hypothesis prints it.
    """
    target, outcomes = TARGETS[name], Counter()
    memory = _peak_bytes()

    def check(case) -> None:
        begin = time.process_time()
        outcomes[target.examine(case)] += 1
        used = time.process_time() - begin
        if used > most_seconds:
            raise Finding(f"{used:.1f} s of processor time")
        if told:
            told(outcomes)

    check.__name__ = f"fuzz_{name}"
    decorated = seed(start)(
        settings(
            max_examples=cases,
            database=None,
            deadline=None,
            phases=(Phase.generate, Phase.shrink),
            suppress_health_check=list(HealthCheck),
            print_blob=False,
        )(given(target.strategy)(check))
    )
    decorated()
    grown = _peak_bytes() - memory
    if grown > MAX_BYTES:
        raise Finding(f"the process grew by {grown / 1e9:.1f} GB over {cases} cases")
    return outcomes


def _peak_bytes() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak * (1 if sys.platform == "darwin" else 1024)


def warm_up() -> None:
    """Load and compile what the first case would wait for."""
    examine_override("random.seed=1")
    examine_override("system.params=limg_li2s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--cases", type=int, default=100_000, help="cases in all (100000)")
    parser.add_argument("--target", choices=list(TARGETS), action="append", help="only this one")
    parser.add_argument("--seed", type=int, default=1, help="where generation starts (1)")
    parser.add_argument("--seconds", type=float, default=2.0, help="most time a case may take (2)")
    arguments = parser.parse_args()
    READER.most_seconds = arguments.seconds
    names = arguments.target or list(TARGETS)
    shares = sum(TARGETS[name].share for name in names)
    warm_up()
    failed = False
    for name in names:
        wanted = max(1, round(arguments.cases * TARGETS[name].share / shares))
        failed |= not _report(name, wanted, arguments.seed, arguments.seconds)
    READER.stop()
    sys.exit(1 if failed else 0)


def _report(name: str, wanted: int, start: int, most_seconds: float, batch: int = 2000) -> bool:
    """Run a target in batches, saying how far it is; False if there was a finding."""
    begin, done, outcomes, findings = time.monotonic(), 0, Counter(), 0
    last = begin
    while done < wanted:
        n = min(batch, wanted - done)

        def told(now: Counter, done=done) -> None:
            nonlocal last
            if time.monotonic() - last > 10:
                last = time.monotonic()
                rate = (done + now.total()) / (last - begin)
                print(
                    f"{name:9s} {done + now.total()} of {wanted}, {rate:.0f} a second", flush=True
                )

        try:
            outcomes += run_target(name, n, start + done, told, most_seconds)
        except BaseException as problem:
            if isinstance(problem, KeyboardInterrupt):
                raise
            findings += 1
            print(f"{name:9s} FINDING in the batch of seed {start + done}:", flush=True)
            said = "".join(traceback.format_exception(problem)).splitlines()
            print("\n".join(line[:1000] for line in said[-25:]), flush=True)
        done += n
    seconds = time.monotonic() - begin
    words = ", ".join(f"{count} {word}" for word, count in sorted(outcomes.items()))
    print(f"{name:9s} {wanted} cases in {seconds:.0f} s: {words}; {findings} findings", flush=True)
    return not findings


if __name__ == "__main__":
    main()
