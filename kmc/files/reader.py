"""The run of a box of atoms, as its file holds it.

    t = kmc.load("strip_li.h5")
    t.samples.contact_fraction          # named arrays, one value a row
    t.frames[-1].occupancy              # every site of a frame, read when asked for
    t.params["formation_energy_bulk_eV"], t.lattice, t.run["conditions"]

The file may still be growing: `kmc.load` returns its state at that moment. It is not kept open.
"""

import math
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from kmc.common.conditions import has_current
from kmc.common.late import xarray as xr
from kmc.errors import FileFormatError, InputError
from kmc.files import earlier
from kmc.files import integrity as guard
from kmc.files.samples import Columns, Frames, ParameterTable
from kmc.files.schema import FRAME_COLUMNS
from kmc.files.table_run import TableRun
from kmc.model.connectivity import Collector, conductive_columns, conductive_flags
from kmc.model.lattice import MAX_SITES_A_CELL, Lattice

_BOX_KEYS = ("name", "cells", "layers", "boundary", "lattice_parameter_A")


class Trajectory(TableRun):
    """A recorded run of a box of atoms; made by `kmc.load`.

    For what single atoms and vacancies do; other kinds of run are a `TableRun` with the same
    methods.

    - `samples`: rows of `/samples` as named arrays.
    - `frames`: sequence of `Frame`, whose occupancy is read when asked for.
    - `box`: the lattice as the file records it: name, boundary, cells, layers, lattice parameter,
      box.
    - `params`: parameters the run used, with unit and source.
    - `acceleration`: ratio, lowest barrier, and the hop classes with barrier and factor.
    - `species`: list of str.
    - `provenance`: versions, platform and time of the run.
    - `path`, `run`, `resolved`, `finished`, `stop_reason`, `seed`, `run_file`, `kmc_version`,
      `schema_version`: As for a run of any kind (`kmc.files.table_run.TableRun`).
    """

    _coordinates = (
        *("time_s", "capacity_monolayers", "frame_events", "frame_time_s"),
        *("frame_capacity_monolayers", "frame_capacity_mAh_cm2"),
    )

    def __init__(
        self, path: Path, system: Any, record: dict[str, Any], arrays: dict[str, np.ndarray]
    ):
        super().__init__(path, system, record, arrays)
        self._record = record
        self.provenance: dict[str, str] = dict(record["provenance"])
        self.acceleration: dict[str, Any] = self.resolved.get("acceleration", {})
        self.species: list[str] = self.resolved.get("species", [])
        self.metal = self.species[0] if self.species else "Li"
        self.params = ParameterTable(self.resolved["parameters"])
        self.box: dict[str, Any] = record["lattice"]
        columns = {name: self.frame_columns.get(name, np.zeros(0)) for name in FRAME_COLUMNS}
        self.frames = Frames(self, Columns(columns, self.frame_columns.units))
        sites, cells = self._n_sites, math.prod(self.box["cells"]) * self.box["layers"]
        # Before a lattice is built, whose memory a record that was changed could make anything.
        if cells < 1 or sites % cells or not 0 < sites <= MAX_SITES_A_CELL * cells:
            raise FileFormatError(f"{path} is damaged: a box of {cells} cells with {sites} sites")

    @property
    def _n_sites(self) -> int:
        if "lattice/layer" in self.arrays:
            return len(self.arrays["lattice/layer"])
        return int(self.datasets["lattice/layer"][1][0])

    @cached_property
    def lattice(self) -> Lattice:
        """The box of the run.

        Raises `InputError`: the run used a lattice file that is missing now, or has changed.
        """
        lattice = Lattice(**{key: self.box[key] for key in _BOX_KEYS})
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
        if "lattice/chemistry" in {*self.arrays, *self.datasets}:
            return self.read("lattice/chemistry")
        # Older files have one chemistry, and no map of it.
        return np.zeros(self.lattice.sites_per_layer, dtype=np.uint8)

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
        yield "", "sample", self.samples
        yield "frame_", "frame", self.frames.columns

    def to_xarray(self, *, occupancy: bool = False) -> "xr.Dataset":
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
        return self.frame_array("occupancy", index)

    def frame_array(self, name: str, index: int) -> np.ndarray:
        """An array of one frame, read and compared with its checksum if it was not yet."""
        # With its checksum at each reading: the disk may fail after the file was opened.
        if name == "occupancy" and not self.datasets:
            moment = {"index": index, **{n: v[index] for n, v in self.frames.columns.items()}}
            sites = guard.read(
                self.path, lambda file: earlier.occupancy(file, self._record, moment)
            )
        else:
            sites = super().frame_array(name, index)
        if name == "occupancy" and sites.shape != (self._n_sites,):
            raise FileFormatError(
                f"{self.path} is damaged: a frame of {sites.shape} for {self._n_sites} sites"
            )
        return sites
