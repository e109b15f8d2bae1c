"""Export: atoms as extended XYZ or LAMMPS dump, gaps as a surface, tables as CSV and Parquet."""

import gzip
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from kmc.analysis import voids
from kmc.analysis.history import voids as void_history
from kmc.common import outputs
from kmc.common.late import pandas as pd
from kmc.common.progress import FrameProgress
from kmc.errors import InputError
from kmc.files.frame_selection import choose_frames
from kmc.files.reader import Trajectory
from kmc.files.samples import Frame

_PROPERTIES = "species:S:1:pos:R:3:layer:I:1:void:I:1:dead:I:1"
_ROW = "%s %.4f %.4f %.4f %d %d %d"


def export_xyz(
    trajectory: Trajectory,
    path: str | Path,
    *,
    frames: str | int | slice | Iterable[int] | None = None,
    vacancies: bool = False,
    min_size: int = voids.DEFAULT_MIN_SIZE,
    overwrite: bool = False,
    progress: FrameProgress | None = None,
) -> int:
    """Write frames as extended XYZ or LAMMPS dump, which OVITO and ASE read.

    Each particle has a species, a position in Å, the atomic layer it is in (``layer``, 1 at the
    electrolyte), a void (``void``, 0 for none; 1 is the largest of its frame): the void a
    vacancy belongs to, or the one whose surface an atom is part of; and ``dead``, 1 for metal that
    is not connected to that above the box. The header of a frame has the
    box (``Lattice``), the periodic directions (``pbc``), the time and the capacity.

    - `path`: ends in ``.xyz`` or ``.extxyz``, or in ``.dump`` or ``.lammpstrj``, whose time step
      are the events; with ``.gz`` behind it is compressed.
    - `frames`: all by default; see `kmc.files.frame_selection.choose_frames`.
    - `vacancies`: write vacancies too, as particles of the species X.
    - `min_size`: smallest number of connected vacancies of a void.
    - `overwrite`: replace `path` where it exists.
    - `progress`: called with the number of frames written and to write.

    Returns frames written.

    Raises `InputError`: there is no such frame, or the file cannot be written.
    """
    path = outputs.check_output(path, overwrite, outputs.ATOM_ENDINGS)
    chosen = choose_frames(frames, len(trajectory.frames))
    opened: Any = partial(gzip.open, compresslevel=6) if path.suffix.lower() == ".gz" else open
    write = _dump if {".dump", ".lammpstrj"} & set(path.suffixes) else _xyz
    with outputs.replacing(path) as draft, opened(draft, "wt", encoding="utf-8") as file:
        for done, index in enumerate(chosen):
            if progress:
                progress(done, len(chosen))
            file.writelines(write(trajectory, trajectory.frames[index], vacancies, min_size))
        if progress:
            progress(len(chosen), len(chosen))
    return len(chosen)


def _particles(
    trajectory: Trajectory, frame: Frame, vacancies: bool, min_size: int
) -> tuple[np.ndarray, list[Any]]:
    """Sites that are shown, and columns of them: species, x, y, z, layer, void, dead."""
    lattice, occupancy = trajectory.lattice, frame.occupancy
    shown = np.arange(lattice.n_sites) if vacancies else np.flatnonzero(occupancy)
    # A vacancy has the number of its own void, an atom that of the largest void it lines.
    void = voids.find(occupancy, lattice, min_size).labels
    inside, none = np.flatnonzero(void), np.iinfo(void.dtype).max
    beside = np.full(lattice.n_sites + 1, none, dtype=void.dtype)  # the last: no such site
    np.minimum.at(beside, lattice.neighbours(inside, 1), void[inside][:, None])
    # Atoms that line no void are of void 0.
    beside = np.where(beside[:-1] == none, 0, beside[:-1])
    return shown, [
        occupancy[shown],
        *lattice.positions_A[shown].T.tolist(),
        lattice.layer[shown].tolist(),
        np.where(occupancy == 0, void, beside)[shown].tolist(),
        frame.dead[shown].tolist(),
    ]


def _xyz(trajectory: Trajectory, frame: Frame, vacancies: bool, min_size: int) -> Iterable[str]:
    shown, (species, *columns) = _particles(trajectory, frame, vacancies, min_size)
    edges = trajectory.lattice.box_A
    # The metal above an interface is endless: the box is periodic along it alone.
    closed = trajectory.lattice.has_interface
    box = " ".join(f"{edges[i] if i == j else 0:.6f}" for i in range(3) for j in range(3))
    # X is ASE's and OVITO's name for what is no element.
    names = np.array(["X", trajectory.metal, "Mg"])[species].tolist()
    yield f"{len(shown)}\n"
    yield (
        f'Lattice="{box}" Properties={_PROPERTIES} pbc="T T {"F" if closed else "T"}" '
        f"frame={frame.index} events={frame.events} time_s={frame.time_s:.9g} "
        f"capacity_monolayers={frame.capacity_monolayers:.9g} "
        f"capacity_mAh_cm2={frame.capacity_mAh_cm2:.9g}\n"
    )
    yield "\n".join(_ROW % values for values in zip(names, *columns, strict=True))
    yield "\n"


def _dump(trajectory: Trajectory, frame: Frame, vacancies: bool, min_size: int) -> Iterable[str]:
    shown, (species, *columns) = _particles(trajectory, frame, vacancies, min_size)
    # Types count from 1: the metal, Mg, vacancies.
    names = np.array(["3 X", f"1 {trajectory.metal}", "2 Mg"])[species].tolist()
    ends = "ff" if trajectory.lattice.has_interface else "pp"
    yield f"ITEM: TIMESTEP\n{frame.events}\nITEM: TIME\n{frame.time_s:.9g}\n"
    yield f"ITEM: NUMBER OF ATOMS\n{len(shown)}\nITEM: BOX BOUNDS pp pp {ends}\n"
    yield "".join(f"0 {edge:.6f}\n" for edge in trajectory.lattice.box_A)
    yield "ITEM: ATOMS id type element x y z layer void dead\n"
    rows = zip((shown + 1).tolist(), names, *columns, strict=True)
    yield "".join(f"%d {_ROW}\n" % values for values in rows)


def export_surface(gap_um: np.ndarray, edge_um: float, path: Path, overwrite: bool = False) -> None:
    """Write the lower side of the metal over a gap as VTK PolyData, for ParaView and OVITO.

    Lengths are in µm, the electrolyte is the plane z = 0, and ``gap_um`` is the colour.

    - `gap_um` (ndarray, shape (n, n)): height of the gap in each cell, rows along y; periodic.
    - `edge_um`: of the square.
    """
    outputs.check_output(path, overwrite, outputs.SURFACE_ENDINGS)
    n = len(gap_um)
    y, x = np.indices(gap_um.shape) * (edge_um / n)
    # Triangles, two for each square of four neighbours.
    site = np.arange(n * n).reshape(n, n)
    a, b, c, d = (v.ravel() for v in (site[:-1, :-1], site[:-1, 1:], site[1:, :-1], site[1:, 1:]))
    triangles = np.concatenate([np.stack([a, b, d], axis=1), np.stack([a, d, c], axis=1)])
    with outputs.replacing(path) as draft, open(draft, "w", encoding="ascii") as file:
        file.write("# vtk DataFile Version 3.0\ngap in um\nASCII\nDATASET POLYDATA\n")
        file.write(f"POINTS {n * n} float\n")
        np.savetxt(file, np.stack([x, y, gap_um], axis=-1).reshape(-1, 3), "%.6g")
        file.write(f"POLYGONS {len(triangles)} {4 * len(triangles)}\n")
        np.savetxt(file, np.insert(triangles, 0, 3, axis=1), "%d")
        file.write(f"POINT_DATA {n * n}\nSCALARS gap_um float 1\nLOOKUP_TABLE default\n")
        np.savetxt(file, gap_um.ravel(), "%.6g")


def table_of(
    trajectory: Trajectory,
    what: str,
    *,
    frames: str | int | slice | Iterable[int] | None = None,
    min_size: int = voids.DEFAULT_MIN_SIZE,
    progress: FrameProgress | None = None,
) -> "pd.DataFrame":
    """The table of the samples, of the voids in each frame, or of the events between frames.

    - `what` ({"samples", "voids", "events"}): in the table of events several voids are written as
      ``3 7``.
    """
    if what == "samples":
        return trajectory.samples.to_dataframe()
    chosen = None if frames is None else choose_frames(frames, len(trajectory.frames))
    history = void_history(trajectory, min_size=min_size, frames=chosen, progress=progress)
    if what == "voids":
        return history.table
    table = history.events.copy()
    for name in ("parents", "children", "parent_voids", "child_voids"):
        table[name] = [" ".join(str(number) for number in several) for several in table[name]]
    return table


def export_table(table: "pd.DataFrame", path: str | Path, *, overwrite: bool = False) -> None:
    """Write a table as CSV or Parquet, by the ending of the file.

    Units are a part of the column names, as in ``capacity_mAh_cm2``.

    Raises `InputError`: the ending is another one, the file cannot be written, or Parquet needs
    pyarrow.
    """
    path = outputs.check_output(path, overwrite, outputs.TABLE_ENDINGS)
    if path.suffix.lower() != ".parquet":
        return outputs.write_text(path, outputs.csv_of(table))
    check_parquet(path)
    with outputs.replacing(path) as draft:
        table.to_parquet(draft, index=False)


def check_parquet(path: Path) -> None:
    """Check that Parquet can be written."""
    from importlib.util import find_spec

    if find_spec("pyarrow") is None:
        raise InputError(
            f"{path}: Parquet needs pyarrow, which is not installed",
            advice='Type: pip install ".[analysis]" in a clone of kmc; or use a name that ends '
            "in .csv.",
        )
