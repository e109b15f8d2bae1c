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
import math
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np

from kmc.common.conditions import driven_by, has_current
from kmc.common.drawing import drawn
from kmc.common.formatting import count, duration, figure, html_table, scaled
from kmc.errors import FileFormatError, InputError
from kmc.files import integrity as guard
from kmc.files import schema
from kmc.files.file import lattice_of
from kmc.files.integrity import read, read_record, root_number
from kmc.files.samples import Frames, ParameterTable, Samples
from kmc.model.connectivity import Collector, conductive_columns, conductive_flags
from kmc.model.lattice import Lattice

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr


def load(path: str | Path) -> Trajectory:
    """Open a trajectory, finished, interrupted or still being written.

    Parameters
    ----------
    path : str or Path
        A file written by ``kmc run``.

    Raises
    ------
    InputError
        There is no such file, or it cannot be read.
    FileFormatError
        The file is not a kmc trajectory, is damaged, or is of a newer schema.

    Examples
    --------
    >>> t = kmc.load("strip_li.h5")                                          # doctest: +SKIP
    >>> t.samples.capacity_monolayers[-1], t.frames[-1].occupancy.shape      # doctest: +SKIP
    (2.0, (24576,))
    """
    path = Path(path)
    return read(path, lambda file: Trajectory(path, **_contents(file)))


class Trajectory:
    """A recorded run; made by `load`.

    Attributes
    ----------
    path : Path
    samples : Samples
        Rows of `/samples` as named arrays.
    frames : Frames
        Sequence of `Frame`, whose occupancy is read when asked for.
    lattice : Lattice
    box : dict
        The lattice as the file records it: name, boundary, cells, layers, lattice parameter, box.
    params : mapping of str to ParameterValue
        Parameters the run used, with unit and source.
    run : dict
        Run settings by section, defaults filled in.
    resolved : dict
        Everything the run used; `run` and `params` are parts of it.
    acceleration : dict
        Ratio, lowest barrier, and the hop classes with barrier and factor.
    species : list of str
    seed : int
    finished : bool
    stop_reason : str
        Empty while the run is going on, and after a kill.
    run_file : str
        Text of the run file.
    provenance : dict
        Versions, platform and time of the run.
    kmc_version : str
    schema_version : int
    """

    kind = "electrode"
    # What its kind is and does (`kmc.systems.system`), where `kmc.load` opened it.
    system: Any = None

    def __init__(
        self,
        path: Path,
        *,
        record: dict[str, Any],
        schema_version: int,
        finished: bool,
        stop_reason: str,
        samples: dict[str, np.ndarray],
        frames: dict[str, np.ndarray],
    ):
        self.path = path
        self.schema_version = schema_version
        self.finished = finished
        self.stop_reason = stop_reason
        self.kmc_version: str = record["kmc_version"]
        self.run_file: str = record["run_file"]
        self.seed: int = record["seed"]
        self.provenance: dict[str, str] = record["provenance"]
        self.resolved: dict[str, Any] = record["resolved"]
        self.run: dict[str, Any] = self.resolved.get("run", {})
        self.acceleration: dict[str, Any] = self.resolved.get("acceleration", {})
        self.species: list[str] = self.resolved.get("species", [])
        self.metal: str = self.species[0] if self.species else "Li"
        self.params = ParameterTable(self.resolved.get("parameters", {}))
        self.samples = Samples(samples, dict(record["columns"]))
        self.frames = Frames(
            path,
            frames,
            self._read_occupancy,
            lambda: self.lattice,
            lambda: self.collector,
            self.metal,
        )
        self.box: dict[str, Any] = record["lattice"]

    @cached_property
    def lattice(self) -> Lattice:
        """The box of the run.

        Raises
        ------
        InputError
            The run used a lattice file that is missing now, or has changed.
        """
        lattice = lattice_of(self.box)
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

        def stored_map(file) -> np.ndarray | None:
            # Older files have one chemistry.
            return guard.lattice(file, self.box).get(schema.CHEMISTRY.name)

        stored = read(self.path, stored_map)
        none = np.zeros(self.lattice.sites_per_layer, dtype=np.uint8)
        return none if stored is None else stored

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

        Parameters
        ----------
        name : str
            A column that describes a state, such as ``"vacancies"`` or ``"contact_fraction"``.

        Raises
        ------
        KeyError
            There is no such column.
        ValueError
            There are no two rows at different times.
        """
        values, time_s = self.samples[name], self.samples["time_s"]
        span = time_s[-1] - time_s[0] if len(time_s) else 0.0
        if not span > 0.0:
            raise ValueError(f"{self.path} has no two samples at different times to average over")
        if name == "vacancies" and "vacancy_time_s" in self.samples:
            integral = self.samples["vacancy_time_s"]
            return float((integral[-1] - integral[0]) / span)
        return float((values[1:] + values[:-1]) @ np.diff(time_s) / (2 * span))

    def to_dataframe(self) -> pd.DataFrame:
        """The samples as a pandas table, units in ``attrs["units"]``."""
        return self.samples.to_dataframe()

    def summary(self, full: bool = False) -> list[tuple[str, str]]:
        """Pairs of label and text, as `kmc info` prints them, or `kmc info --all` in full.

        Of a run that `kmc.load` opened.
        """
        return self.system.summed_up(self, full)

    def to_json(self) -> dict[str, Any]:
        """The run in numbers, as `kmc info --json` prints it; of one that `kmc.load` opened."""
        return self.system.facts(self)

    def plot(self, what: str = "summary", **options: Any) -> Any:
        """A picture of the run, a matplotlib figure that shows itself in a notebook.

        Parameters
        ----------
        what : str
            As for ``kmc plot --what``: summary, contact, map, section, microscope, sizes, voids,
            lifelines or profiles.
        **options
            ``frames``, ``min_size``, ``paper``; see `kmc.plotting.draw`.

        Raises
        ------
        InputError
            There is no such picture, or the run lacks the data for it.
        """
        return drawn("draw", what, self, **options)

    def to_xarray(self, *, occupancy: bool = False) -> xr.Dataset:
        """The samples and the moments of the frames as an xarray Dataset.

        Each column of `/samples` is a variable over the dimension ``sample``, with its unit in
        ``attrs["units"]``; ``time_s`` and ``capacity_monolayers`` are coordinates. Those of the
        frames are ``frame_time_s`` and so on, over ``frame``. ``attrs`` has the path, the seed, the
        state and the run file.

        Parameters
        ----------
        occupancy : bool
            Also read what each site holds in every frame: ``occupancy``, uint8 of shape (frame,
            site), 0 vacancy, 1 Li, 2 Mg.
        """
        import xarray as xr

        samples, frames = self.samples, self.frames
        variables: dict[str, Any] = {
            name: ("sample", np.array(samples[name]), {"units": samples.units.get(name, "1")})
            for name in samples
        }
        units = {"events": "1", "time_s": "s", "capacity_monolayers": "1"}
        units["capacity_mAh_cm2"] = "mAh/cm2"
        for name, unit in units.items():
            values = np.array(getattr(frames, name))
            variables[f"frame_{name}"] = ("frame", values, {"units": unit})
        if occupancy:
            shape = (len(frames), self.lattice.n_sites)
            sites = np.empty(shape, dtype=np.uint8)
            for index, frame in enumerate(frames):
                sites[index] = self._read_occupancy(frame.index)
            variables["occupancy"] = (("frame", "site"), sites)
        attrs = {
            "path": str(self.path),
            "kmc_version": self.kmc_version,
            "seed": self.seed,
            "finished": int(self.finished),
            "stop_reason": self.stop_reason,
            "run_file": self.run_file,
        }
        dataset = xr.Dataset(variables, attrs=attrs)
        coordinates = [n for n in ("time_s", "capacity_monolayers") if n in samples]
        return dataset.set_coords([*coordinates, *(f"frame_{name}" for name in units)])

    def _read_occupancy(self, index: int) -> np.ndarray:
        """Occupancy of one frame, read and checked."""

        def read_one(file) -> np.ndarray:
            occupancy = guard.occupancy(file, self.box, index)
            row = np.empty((), schema.row_dtype(schema.FRAME_COLUMNS))
            for name in row.dtype.names:
                row[name] = guard.dataset(file, f"frames/{name}", sized=False)[index]
            stored = int(guard.dataset(file, schema.FRAME_CHECKSUM.path, sized=False)[index])
            if schema.frame_checksum(occupancy, row) != stored:
                raise FileFormatError(f"{self.path} is damaged: frame {index} fails its checksum")
            return occupancy

        return read(self.path, read_one)

    def __repr__(self) -> str:
        rows = _described_rows(self)
        width = max(len(label) for label, _ in rows)
        lines = [f"  {label:<{width}}  {text}" for label, text in rows]
        return "\n".join([f"Trajectory {self.path}", *lines])

    def _repr_html_(self) -> str:
        return html_table(_described_rows(self), caption=f"Trajectory {self.path}")


# --- reading --------------------------------------------------------------------------------------


def _contents(file: h5py.File) -> dict[str, Any]:
    """Everything `Trajectory` keeps in memory. Reads no text from HDF5's heap, see the schema."""
    version, record = read_record(file)
    if version > 1:  # schema 1 had it in the record
        record["provenance"] = json.loads(guard.fixed_text(file, schema.RECORD_PROVENANCE))
    return {
        "record": record,
        "schema_version": version,
        "finished": bool(root_number(file, "finished")),
        "stop_reason": guard.fixed_text(file, schema.RECORD_STOP_REASON),
        "samples": _samples(file, [name for name, _ in record["columns"]]),
        "frames": _frames(file, record["lattice"]),
    }


def _samples(file: h5py.File, names: list[str]) -> dict[str, np.ndarray]:
    rows, stored, _ = guard.rows(file, "samples", names)
    wrong = np.flatnonzero(schema.row_checksums(rows) != stored)
    if len(wrong):
        raise FileFormatError(
            f"{file.filename} is damaged: {len(wrong)} of {len(rows)} sample rows fail their "
            f"checksum, the first is row {wrong[0]}"
        )
    return {name: rows[name].copy() for name in names}


def _frames(file: h5py.File, box: dict[str, Any]) -> dict[str, np.ndarray]:
    names = [entry.name for entry in schema.FRAME_COLUMNS]
    complete = len(guard.occupancies(file, box))
    rows, stored, _ = guard.rows(file, "frames", names)  # checked with the occupancy
    columns = {**{name: rows[name].copy() for name in names}, schema.CHECKSUM: stored}
    return {name: column[:complete] for name, column in columns.items()}


# --- representation in a terminal and in a notebook ---


def state(trajectory: Trajectory) -> str:
    """``finished: capacity reached``, or the state of a run that has not finished."""
    if trajectory.finished:
        return f"finished: {trajectory.stop_reason}"
    return f"not finished: {trajectory.stop_reason or 'still running, or stopped from outside'}"


def _described_rows(trajectory: Trajectory) -> list[tuple[str, str]]:
    """Label and text of each line of the representation."""
    samples, frames, box = trajectory.samples, trajectory.frames, trajectory.box
    system = trajectory.run.get("system", {})
    conditions = trajectory.run.get("conditions", {})
    nx, ny = box["cells"]
    species = "–".join(trajectory.species) or "unknown species"
    params = f" ({system['params']})" if "params" in system else ""
    size = f"{nx} × {ny} cells, {box['layers']} layers, {box['boundary']}"
    rows = {"run": state(trajectory), "box": f"{box['name']}, {size}, {species}{params}"}
    if conditions:
        kelvin = figure(conditions.get("temperature_K", math.nan), "K", 5)
        rows["conditions"] = f"{kelvin}, {driven_by(conditions)}, seed {trajectory.seed}"
    rows["samples"] = "none yet"
    if len(samples):
        last = {name: samples[name][-1] for name in samples}
        charge = f"{figure(last['capacity_monolayers'])} monolayers"
        when = f"{duration(last['time_s'])}, {count(last['events'])} events"
        rows["samples"] = f"{count(len(samples))} to {charge}, {when}"
        if trajectory.has_interface:
            first, volts = samples["contact_fraction"][0], samples["overpotential_V"]
            rows["contact"] = f"{figure(first)} → {figure(last['contact_fraction'])}"
            rows["overpotential"] = f"{scaled(volts[0], 'V')} → {scaled(volts[-1], 'V')}"
        rows["vacancies"] = count(last["vacancies"])
    rows["frames"] = count(len(frames)) if len(frames) else "none yet"
    created = trajectory.provenance.get("created", "")
    rows["written by"] = f"kmc {trajectory.kmc_version}" + (f", {created}" if created else "")
    return list(rows.items())
