"""Reads trajectories.

    t = load("strip_li.h5")
    t.samples.contact_fraction          # named arrays, one value a row
    t.frames[-1].occupancy              # every site of a frame, read when asked for
    t.params["formation_energy_bulk_eV"], t.lattice, t.run["conditions"]

The file may still be growing: `load` returns its state at that moment. The file is not kept open.
`kmc.files.schema` documents it; `kmc.files.writer` writes it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np

from kmc.common.conditions import has_current
from kmc.errors import FileFormatError, InputError
from kmc.files import integrity as guard
from kmc.files import schema
from kmc.files.file import lattice_of
from kmc.files.integrity import read, read_record, root_number
from kmc.files.result import Result
from kmc.files.samples import Columns, Frames, ParameterTable, Samples
from kmc.model.connectivity import Collector, conductive_columns, conductive_flags
from kmc.model.lattice import Lattice

if TYPE_CHECKING:
    import xarray as xr


def load(path: str | Path) -> Trajectory:
    """Open a trajectory, finished, interrupted or still being written.

    Parameters
    ----------
    path : str or Path
        A file written by ``kmc run``.

    Raises `InputError`: there is no such file, or it cannot be read. `FileFormatError`: the file is
    not a kmc trajectory, is damaged, or is of a newer schema.

    Examples
    --------
    >>> t = kmc.load("strip_li.h5")                                          # doctest: +SKIP
    >>> t.samples.capacity_monolayers[-1], t.frames[-1].occupancy.shape      # doctest: +SKIP
    (2.0, (24576,))
    """
    path = Path(path)
    stored = read(path, stored_in)
    if not isinstance(stored.record["provenance"], dict):
        raise FileFormatError(f"{path} is damaged: its record has no provenance")
    # Before anything is computed from them: a damaged number would look like a result.
    wrong = np.flatnonzero(schema.row_checksums(stored.rows) != stored.row_checksums)
    if len(wrong):
        raise FileFormatError(
            f"{path} is damaged: {len(wrong)} of {len(stored.rows)} sample rows fail their "
            f"checksum, the first is row {wrong[0]}"
        )
    return Trajectory(path, stored)


class Trajectory(Result):
    """A recorded run of a box of atoms; made by `load`.

    For what single atoms and vacancies do; other kinds of run are a `TableRun` with the same
    methods.

    Attributes
    ----------
    samples : Samples
        Rows of `/samples` as named arrays.
    frames : Frames
        Sequence of `Frame`, whose occupancy is read when asked for.
    box : dict
        The lattice as the file records it: name, boundary, cells, layers, lattice parameter, box.
    params : mapping of str to Quantity
        Parameters the run used, with unit and source.
    acceleration : dict
        Ratio, lowest barrier, and the hop classes with barrier and factor.
    species : list of str
    provenance : dict
        Versions, platform and time of the run.
    path, run, resolved, finished, stop_reason, seed, run_file, kmc_version, schema_version
        As for a run of any kind (`kmc.files.result.Result`).
    """

    kind = "electrode"
    samples: Samples
    _coordinates = (
        *("time_s", "capacity_monolayers", "frame_events", "frame_time_s"),
        *("frame_capacity_monolayers", "frame_capacity_mAh_cm2"),
    )

    def __init__(self, path: Path, stored: Stored):
        record = stored.record
        super().__init__(path, record)
        self.provenance: dict[str, str] = record["provenance"]
        self.acceleration: dict[str, Any] = self.resolved.get("acceleration", {})
        self.species: list[str] = self.resolved.get("species", [])
        self.metal: str = self.species[0] if self.species else "Li"
        self.params = ParameterTable(self.resolved.get("parameters", {}))
        names = [name for name, _ in record["columns"]]
        samples = {name: stored.rows[name].copy() for name in names}
        self.samples = Samples(samples, dict(record["columns"]))
        self.frames = Frames(self, stored.frames, stored.frame_checksums)
        self.box: dict[str, Any] = record["lattice"]

    @cached_property
    def lattice(self) -> Lattice:
        """The box of the run.

        Raises `InputError`: the run used a lattice file that is missing now, or has changed.
        """
        lattice = lattice_of(self.box)
        # A lattice file of the user may have been edited since: its sites would be others.
        if not np.allclose(lattice.box_A, self.box["box_A"], rtol=1e-9):
            raise InputError(
                f"lattice {lattice.name!r} has changed since {self.path} was written: "
                f"box {lattice.box_A} Å instead of {self.box['box_A']} Å",
                advice="Restore the lattice file; /lattice holds the positions.",
            )
        return lattice

    @property
    def has_interface(self) -> bool:
        """Whether the box stands on an electrolyte; a periodic one does not."""
        return self.box["boundary"] == "interface"

    @property
    def has_current(self) -> bool:
        """Whether charge passes in the run: a current is given, or a voltage is held."""
        return has_current(self.run.get("conditions", {}))

    @cached_property
    def chemistry(self) -> np.ndarray:
        """Interface chemistry of each L1 site, uint8 of shape (sites_per_layer,).

        0 is the run's parameter set; others are those of ``resolved["interface"]["chemistry"]``.
        """
        stored = read(self.path, lambda file: guard.lattice(file, self.box))
        # Older files have one chemistry, and no map of it.
        one = np.zeros(self.lattice.sites_per_layer, dtype=np.uint8)
        return stored.get(schema.CHEMISTRY.name, one)

    @cached_property
    def collector(self) -> Collector:
        """Finds metal that is connected to the current collector, also by a scaffold."""
        conductive = conductive_columns(conductive_flags(self.run), self.chemistry)
        return Collector(self.lattice, conductive)

    @property
    def chemistries(self) -> tuple[str, ...]:
        """Names of the interface chemistries, in the order of the numbers in `chemistry`."""
        listed = self.resolved.get("interface", {}).get("chemistry", [])
        return tuple(Path(entry["params"]).stem for entry in listed)

    def mean(self, name: str) -> float:
        """Average of a column of `/samples` over the simulated time of the run.

        Exact for ``"vacancies"``, from their time integral, whatever the cadence. Other columns are
        known at the rows alone: their mean weights each row with half the time to its neighbours.

        - `name`: a column that describes a state, as ``"vacancies"`` or ``"contact_fraction"``.

        Raises `KeyError`: there is no such column. `ValueError`: there are no two rows at different
        times.
        """
        # Trapezoids: rows stand at charges or events, so that their plain mean has another weight.
        values, time_s = self.samples[name], self.samples["time_s"]
        span = time_s[-1] - time_s[0] if len(time_s) else 0.0
        if not span > 0.0:
            raise ValueError(f"{self.path} has no two samples at different times to average over")
        if name == "vacancies" and "vacancy_time_s" in self.samples:
            integral = self.samples["vacancy_time_s"]
            return float((integral[-1] - integral[0]) / span)
        return float((values[1:] + values[:-1]) @ np.diff(time_s) / (2 * span))

    def _tables(self) -> Iterator[tuple[str, str, Columns]]:
        yield from super()._tables()
        yield "frame_", "frame", self.frames.columns

    def to_xarray(self, *, occupancy: bool = False) -> xr.Dataset:
        """Samples over ``sample`` and moments of the frames over ``frame``, with their units.

        - `occupancy`: also read what each site holds in every frame: ``occupancy``, uint8 of shape
          (frame, site), 0 vacancy, 1 Li, 2 Mg.
        """
        dataset = super().to_xarray()
        if occupancy:
            sites = np.empty((len(self.frames), self.lattice.n_sites), dtype=np.uint8)
            for index in range(len(sites)):
                sites[index] = self.read_occupancy(index)
            dataset["occupancy"] = (("frame", "site"), sites)
        return dataset

    def read_occupancy(self, index: int) -> np.ndarray:
        """Occupancy of one frame, uint8 of shape (n_sites,); its checksum is compared."""

        # With its checksum at each reading: the disk may fail after the file was opened.
        def read_one(file: h5py.File) -> np.ndarray:
            occupancy = guard.occupancy(file, self.box, index)
            row = np.empty((), schema.row_dtype(schema.FRAME_COLUMNS))
            for name in row.dtype.names:
                row[name] = guard.dataset(file, f"frames/{name}", sized=False)[index]
            stored = int(guard.dataset(file, schema.FRAME_CHECKSUM.path, sized=False)[index])
            if schema.frame_checksum(occupancy, row) != stored:
                raise FileFormatError(f"{self.path} is damaged: frame {index} fails its checksum")
            return occupancy

        return read(self.path, read_one)


# --- reading --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Stored:
    """Content of a file but for its occupancies, as it is stored, consistent or not.

    No text is read from HDF5's heap, see the schema.
    """

    # JSON of `/record`, with ``schema_version``, ``finished``, ``stop_reason``, ``provenance``.
    record: dict[str, Any]
    seed: int | None  # attribute of the root; `record` has it too
    # `/samples` and the columns of `/frames`, structured, cut to the rows that every column has.
    rows: np.ndarray
    row_checksums: np.ndarray
    frames: np.ndarray
    frame_checksums: np.ndarray
    lengths: dict[str, int]  # of each column, by its path
    totals: schema.Totals | None  # counts and running checksums; None in an older file


def stored_in(file: h5py.File) -> Stored:
    """Rows, checksums and record of an open file; nothing is compared."""
    version, record = read_record(file)
    # Schema 1 had it in the record.
    text = guard.fixed_text(file, schema.RECORD_PROVENANCE) if version > 1 else None
    record |= {
        "provenance": record.get("provenance") if text is None else json.loads(text),
        "schema_version": version,
        "finished": bool(root_number(file, "finished")),
        "stop_reason": guard.fixed_text(file, schema.RECORD_STOP_REASON),
    }
    guard.check_box(file, record["lattice"])  # before its sites take memory
    # Cut to the rows that every column has: another program may have left some longer.
    rows, row_checksums, lengths = guard.rows(file, "samples", [n for n, _ in record["columns"]])
    names = [entry.name for entry in schema.FRAME_COLUMNS]
    frames, frame_checksums, more = guard.rows(file, "frames", names)
    n_frames = len(guard.occupancies(file, record["lattice"]))
    totals = guard.totals(file)
    return Stored(
        record=record,
        seed=root_number(file, "seed"),
        rows=rows,
        row_checksums=row_checksums,
        frames=frames[:n_frames],
        frame_checksums=frame_checksums[:n_frames],
        lengths={**lengths, **more, schema.FRAME_OCCUPANCY.path: n_frames},
        totals=totals[0] if totals else None,
    )
