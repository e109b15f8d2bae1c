"""Export: what other programs read back is what the trajectory holds."""

from __future__ import annotations

import gzip
import importlib.util
from types import SimpleNamespace

import fake
import numpy as np
import pandas as pd
import pytest

from kmc import load
from kmc.analysis import voids
from kmc.analysis.export import export_surface, export_table, export_xyz, table_of
from kmc.errors import InputError
from kmc.files.frame_selection import choose_frames
from kmc.files.samples import Frame
from kmc.model.connectivity import Collector

BOXES = {
    "bcc_100": fake.lattice(),
    "bcc_111": fake.lattice("bcc_111", (6, 4), 12),
    "periodic": fake.lattice(cells=(6, 6), layers=12, boundary="periodic"),
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    return {
        name: load(fake.write(folder / f"{name}.h5", box=box, species=("Li", "Mg"), n_frames=3))
        for name, box in BOXES.items()
    }


def parsed(path) -> list[tuple[dict, pd.DataFrame]]:
    """A plain reader of extended XYZ, so that ASE is not the only judge."""
    lines, frames = path.read_text().splitlines(), []
    while lines:
        n, header = int(lines[0]), lines[1]
        rows = [line.split() for line in lines[2 : 2 + n]]
        table = pd.DataFrame(rows, columns=["species", "x", "y", "z", "layer", "void", "dead"])
        frames.append((header, table.astype(dict.fromkeys(table.columns[1:], float))))
        lines = lines[2 + n :]
    return frames


@pytest.mark.parametrize("name", BOXES)
@pytest.mark.parametrize("vacancies", [False, True])
def test_atoms_are_those_of_the_frame(runs, name, vacancies, tmp_path):
    t, out = runs[name], tmp_path / "out.xyz"
    assert export_xyz(t, out, vacancies=vacancies) == 3
    frames = parsed(out)
    assert len(frames) == 3
    for frame, (header, table) in zip(t.frames, frames, strict=True):
        shown = np.arange(t.lattice.n_sites) if vacancies else np.flatnonzero(frame.occupancy)
        symbols = np.array(["X", "Li", "Mg"])[frame.occupancy[shown]]
        assert list(table["species"]) == list(symbols)
        np.testing.assert_allclose(
            table[["x", "y", "z"]].to_numpy(), t.lattice.positions_A[shown], atol=1e-4
        )
        assert list(table["layer"]) == list(t.lattice.layer[shown])
        assert list(table["dead"]) == list(frame.dead[shown])
        assert 'pbc="T T T"' in header if name == "periodic" else 'pbc="T T F"' in header
        assert f"capacity_monolayers={frame.capacity_monolayers:.9g} " in header


@pytest.mark.parametrize("name", BOXES)
def test_void_of_a_vacancy_and_of_the_atoms_around_it(runs, name, tmp_path):
    t, out = runs[name], tmp_path / "out.xyz"
    export_xyz(t, out, frames=-1, vacancies=True)
    [(_, table)] = parsed(out)
    frame, shown = t.frames[-1], table["void"].to_numpy(int)
    labels = voids.find(frame.occupancy, t.lattice).labels
    assert labels.any()
    vacant = frame.occupancy == 0
    assert list(shown[vacant]) == list(labels[vacant])
    for site in np.flatnonzero(~vacant):
        around = [labels[n] for n in t.lattice.neighbours(site, 1) if n >= 0 and labels[n]]
        assert shown[site] == min(around, default=0)


def test_dead_metal_is_labelled():
    """A lithium atom among vacancies; nothing is dead in a periodic box."""
    box = fake.lattice()
    occupancy = np.ones(box.n_sites, dtype=np.uint8)
    alone = 5
    around = np.concatenate([box.neighbours(alone, shell) for shell in (1, 2)])
    occupancy[around[around >= 0]] = 0

    def frame(box, occupancy):
        run = SimpleNamespace(
            lattice=box, collector=Collector(box), read_occupancy=lambda index: occupancy.copy()
        )
        return Frame(0, 0, 0.0, 0.0, 0.0, run)

    assert np.flatnonzero(frame(box, occupancy).dead).tolist() == [alone]
    endless = BOXES["periodic"]
    assert not frame(endless, np.zeros(endless.n_sites, np.uint8)).dead.any()


def test_ase_reads_it_back(runs, tmp_path):
    ase_io = pytest.importorskip("ase.io")
    for name, t in runs.items():
        export_xyz(t, tmp_path / f"{name}.xyz", vacancies=True)
        images = ase_io.read(tmp_path / f"{name}.xyz", index=":")
        assert len(images) == 3
        atoms, frame = images[-1], t.frames[-1]
        np.testing.assert_allclose(atoms.cell.lengths(), t.lattice.box_A, atol=1e-5)
        assert list(atoms.pbc) == [True, True, name == "periodic"]
        assert (np.array(atoms.get_chemical_symbols()) == "X").sum() == (frame.occupancy == 0).sum()
        assert set(atoms.arrays) == {"numbers", "positions", "layer", "void", "dead"}
        np.testing.assert_array_equal(atoms.arrays["layer"], t.lattice.layer)
        assert atoms.info["frame"] == 2
        assert atoms.info["time_s"] == pytest.approx(frame.time_s)


def test_compressed_on_request(runs, tmp_path):
    plain, packed = tmp_path / "out.xyz", tmp_path / "out.xyz.gz"
    export_xyz(runs["bcc_100"], plain, frames=-1)
    export_xyz(runs["bcc_100"], packed, frames=-1)
    assert gzip.decompress(packed.read_bytes()) == plain.read_bytes()
    assert packed.stat().st_size < plain.stat().st_size / 2


def test_samples_as_csv_keep_every_digit(runs, tmp_path):
    t = runs["bcc_100"]
    export_table(table_of(t, "samples"), tmp_path / "s.csv")
    back = pd.read_csv(tmp_path / "s.csv")
    for name in t.samples:
        np.testing.assert_array_equal(back[name], t.samples[name])


def test_samples_as_parquet(runs, tmp_path):
    pytest.importorskip("pyarrow")
    t = runs["bcc_100"]
    export_table(table_of(t, "samples"), tmp_path / "s.parquet")
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "s.parquet"), t.samples.to_dataframe())


@pytest.mark.parametrize("what", ["voids", "events"])
def test_tables_of_voids(runs, what, tmp_path):
    table = table_of(runs["bcc_100"], what)
    export_table(table, tmp_path / "v.csv")
    back = pd.read_csv(tmp_path / "v.csv")
    assert list(back.columns) == list(table.columns)
    assert len(back) == len(table) > 0
    assert {"frame", "capacity_monolayers", "time_s"} <= set(back.columns)
    if importlib.util.find_spec("pyarrow"):
        export_table(table, tmp_path / "v.parquet")
        assert len(pd.read_parquet(tmp_path / "v.parquet")) == len(table)


def test_parquet_without_pyarrow_names_the_install(runs, tmp_path, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda n: (n != "pyarrow" and find(n)) or None)
    with pytest.raises(InputError, match="not installed") as told:
        export_table(table_of(runs["bcc_100"], "samples"), tmp_path / "s.parquet")
    assert 'pip install ".[analysis]" in a clone of kmc' in told.value.advice
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_overwritten_unasked(runs, tmp_path):
    out = tmp_path / "out.xyz"
    out.write_text("precious")
    with pytest.raises(InputError, match="exists already"):
        export_xyz(runs["bcc_100"], out)
    assert out.read_text() == "precious"
    export_xyz(runs["bcc_100"], out, frames=0, overwrite=True)
    assert out.read_text() != "precious"
    assert list(tmp_path.iterdir()) == [out]


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("out.pdb", "ends in .pdb"),
        ("out", "has no ending"),
        ("no/out.xyz", "no folder"),
        (".", "is a folder"),
    ],
)
def test_refused_names(runs, tmp_path, name, part):
    with pytest.raises(InputError, match=part):
        export_xyz(runs["bcc_100"], tmp_path / name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("choice", "found"),
    [
        (None, [0, 1, 2, 3, 4]),
        ("all", [0, 1, 2, 3, 4]),
        ("last", [4]),
        ("-1", [4]),
        ("0,2,-1", [0, 2, 4]),
        ("::2", [0, 2, 4]),
        ("3:", [3, 4]),
        ("1:4:2, last", [1, 3, 4]),
        (2, [2]),
        ([0, -2], [0, 3]),
        (slice(None, None, 3), [0, 3]),
    ],
)
def test_choice_of_frames(choice, found):
    assert choose_frames(choice, 5) == found


@pytest.mark.parametrize("choice", ["5", "-6", "x", "1:2:3:4", "::0", "3:3", "", "1,,2", [7]])
def test_choices_refused(choice):
    with pytest.raises(InputError) as told:
        choose_frames(choice, 5)
    assert told.value.advice


def test_no_frames_yet():
    with pytest.raises(InputError, match="no frames yet"):
        choose_frames("all", 0)


@pytest.mark.parametrize("name", BOXES)
def test_a_lammps_dump_holds_what_extended_xyz_does(runs, name, tmp_path):
    t = runs[name]
    export_xyz(t, tmp_path / "out.xyz", vacancies=True)
    export_xyz(t, tmp_path / "out.dump", vacancies=True)
    blocks = (tmp_path / "out.dump").read_text().split("ITEM: TIMESTEP\n")[1:]
    for frame, (_, table), block in zip(
        t.frames, parsed(tmp_path / "out.xyz"), blocks, strict=True
    ):
        head, _, rows = block.partition("ITEM: ATOMS id type element x y z layer void dead\n")
        step, _, time_s, _, n, bounds, *edges = head.splitlines()
        assert (int(step), float(time_s)) == (frame.events, pytest.approx(frame.time_s, rel=1e-8))
        assert bounds.endswith("pp pp ff" if t.has_interface else "pp pp pp")
        assert [float(edge.split()[1]) for edge in edges] == pytest.approx(t.lattice.box_A)
        columns = ["id", "type", "species", "x", "y", "z", "layer", "void", "dead"]
        dump = pd.DataFrame([row.split() for row in rows.splitlines()], columns=columns)
        assert len(dump) == int(n) == t.lattice.n_sites
        assert (
            dump["species"].map({"Li": 1, "Mg": 2, "X": 3}).tolist()
            == dump["type"].map(int).tolist()
        )
        same = dump[table.columns].astype(dict.fromkeys(table.columns[1:], float))
        pd.testing.assert_frame_equal(same, table)


def test_ase_reads_the_dump(runs, tmp_path):
    io = pytest.importorskip("ase.io")
    export_xyz(runs["bcc_100"], tmp_path / "out.dump")
    last = io.read(tmp_path / "out.dump", format="lammps-dump-text")
    assert set(last.get_chemical_symbols()) <= {"Li", "Mg"}
    assert last.pbc.tolist() == [True, True, False]


def test_a_surface_has_the_volume_of_its_gap(tmp_path):
    """Over each square of four neighbours the mean height of two triangles: a plane is exact."""
    n, edge = 12, 6.0
    y, x = np.indices((n, n)) * edge / n
    plane = 0.3 + 0.1 * x + 0.05 * y
    export_surface(plane, edge, tmp_path / "gap.vtk")
    lines = (tmp_path / "gap.vtk").read_text().splitlines()
    assert lines[3:5] == ["DATASET POLYDATA", f"POINTS {n * n} float"]
    points = np.loadtxt(lines[5 : 5 + n * n])
    faces = np.loadtxt(lines[6 + n * n : 6 + n * n + 2 * (n - 1) ** 2], dtype=int)
    assert set(faces[:, 0]) == {3}
    a, b, c = points[faces[:, 1:]].transpose(1, 0, 2)
    twice = np.cross(b - a, c - a)[:, 2]
    assert (twice > 0).all()  # all faces look the same way
    volume = float((twice / 2 * (a + b + c)[:, 2] / 3).sum())
    side = edge * (n - 1) / n
    assert volume == pytest.approx(side**2 * (0.3 + 0.15 * side / 2), rel=1e-5)
    assert np.loadtxt(lines[-n * n :]) == pytest.approx(plane.ravel(), rel=1e-5)


def test_other_kinds_are_named():
    """What takes a box of atoms says so of a population, and what there is instead."""
    import kmc

    population = SimpleNamespace(
        path="cell.h5", gap_um=None, system=SimpleNamespace(noun="a population of voids")
    )
    for name in ("voids", "cross_section", "profiles", "transport"):
        with pytest.raises(InputError, match=f"a population of voids: kmc.{name} takes a box"):
            getattr(kmc, name)(population)
