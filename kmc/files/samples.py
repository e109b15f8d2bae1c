"""Samples, frames and parameters of a trajectory, as the Python interface presents them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from kmc.common.catalogue import nearest
from kmc.common.formatting import html_table
from kmc.common.late import pandas as pd
from kmc.common.metals import ATOMIC_NUMBERS
from kmc.errors import InputError
from kmc.files.schema import FRAME_COLUMNS
from kmc.model.parameters import Quantity


class Named(dict[str, Any]):
    """Values by name; a name is an attribute too, and one that there is not names the nearest."""

    _noun = "column"

    def __missing__(self, name: str) -> Any:
        raise KeyError(self._unknown(name))

    def __getattr__(self, name: str) -> Any:
        # Names with an underscore are asked for by pickle and IPython, before there are columns.
        if name.startswith("_") or name not in self:
            raise AttributeError(self._unknown(name))
        return self[name]

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self]

    def _unknown(self, name: object) -> str:
        return f"no {self._noun} {name!r}. {nearest(str(name), self)}There are: {', '.join(self)}"


class Columns(Named):
    """Named arrays: ``samples.contact_fraction``; `units` has the unit of each.

    Like a DataFrame they have the length of their rows and iterate over their names;
    ``frames[-1].h_um`` is a value of the last row.
    """

    units: dict[str, str]

    def __init__(self, columns: Mapping[str, np.ndarray], units: Mapping[str, str] | None = None):
        super().__init__(columns)
        self.__dict__["units"] = dict(units or {})
        # Read-only: a changed number would no longer be that of the file.
        for values in columns.values():
            if isinstance(values, np.ndarray):
                values.flags.writeable = False

    def keys(self) -> list[str]:  # type: ignore[override]
        """Names of the columns."""
        return list(self)

    def __len__(self) -> int:
        return len(np.atleast_1d(next(iter(self.values()), ())))

    def __missing__(self, name: Any) -> Any:
        if isinstance(name, int | np.integer):
            return Named({column: values[name] for column, values in self.items()})
        return super().__missing__(name)

    @property
    def table(self) -> "pd.DataFrame":
        """The columns as a pandas table, their units in ``attrs["units"]``."""
        # Copies: whoever changes the table does not want to change the run.
        frame = pd.DataFrame({name: values.copy() for name, values in self.items()})
        frame.attrs["units"] = dict(self.units)
        return frame

    def to_dataframe(self) -> "pd.DataFrame":
        """The same as `table`."""
        return self.table

    def _lines(self) -> list[tuple[str, ...]]:
        """Name and unit of each column, its first and its last value."""
        return [
            (name, self.units.get(name, "1"), *(f"{x:.6g}" for x in (*values[:1], *values[-1:])))
            for name, values in self.items()
            if np.ndim(values) == 1
        ]

    def __repr__(self) -> str:
        lines = [f"{len(self)} rows"]
        width = max((len(name) for name in self), default=0)
        for name, unit, *ends in self._lines():
            span = " → ".join(ends) + ("" if unit == "1" else f" {unit}") if ends else "none yet"
            lines.append(f"  {name:<{width}}  {span}")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        head = ("column", "unit", "first", "last")
        return html_table(self._lines(), head, f"{len(self)} rows")


@dataclass(frozen=True)
class Frame:
    """Every site of the box at one moment; `index` is its place in the trajectory."""

    index: int
    events: int
    time_s: float
    capacity_monolayers: float
    capacity_mAh_cm2: float
    _run: Any = field(repr=False, compare=False)  # the Trajectory, which reads it when asked

    @cached_property
    def occupancy(self) -> np.ndarray:
        """What each site holds, uint8 of shape (n_sites,): 0 vacancy, 1 Li, 2 Mg.

        Raises `FileFormatError`: the frame is damaged.
        """
        occupancy = self._run.read_occupancy(self.index)
        occupancy.flags.writeable = False
        return occupancy

    @cached_property
    def dead(self) -> np.ndarray:
        """Which sites hold metal that is not connected to that above the box, bool (n_sites,).

        Over first and second neighbours (`kmc.model.connectivity`); none in a periodic box.

        Raises `FileFormatError`: the frame is damaged.
        """
        lattice = self._run.lattice
        dead = np.zeros(lattice.n_sites, dtype=bool)
        if lattice.has_interface:
            dead[self._run.collector.dead(self.occupancy)] = True
        dead.flags.writeable = False
        return dead

    def to_ase(self, *, vacancies: bool = False) -> Any:
        """This frame as an `ase.Atoms`.

        Positions and cell are in Å; along the interface, and in a periodic box in all directions,
        the boundary is periodic. ``arrays["layer"]`` is the atomic layer (1 at the electrolyte),
        ``arrays["site"]`` the place in `occupancy`, ``arrays["dead"]`` 1 for metal that is not
        connected; ``info`` has events, time_s, capacity_monolayers and capacity_mAh_cm2.

        - `vacancies`: vacancies too, as the element X.

        Raises `InputError`: ASE is not installed. `FileFormatError`: the frame is damaged.
        """
        try:
            from ase import Atoms
        except ImportError:
            raise InputError(
                "ASE is not installed, which Frame.to_ase needs",
                advice="pip install ase, or write extended XYZ: kmc export FILE.",
            ) from None
        lattice, occupancy = self._run.lattice, self.occupancy
        # Without vacancies by default: other programs take X for an atom.
        sites = np.arange(lattice.n_sites) if vacancies else np.flatnonzero(occupancy)
        numbers = np.array([ATOMIC_NUMBERS[name] for name in ("X", self._run.metal, "Mg")])
        atoms = Atoms(
            numbers=numbers[occupancy[sites]],
            positions=lattice.positions_A[sites],
            cell=lattice.box_A,
            pbc=(True, True, not lattice.has_interface),
        )
        atoms.set_array("layer", lattice.layer[sites])
        atoms.set_array("site", sites)
        atoms.set_array("dead", self.dead[sites].astype(np.int64))
        names = ("events", "time_s", "capacity_monolayers", "capacity_mAh_cm2")
        atoms.info.update({name: getattr(self, name) for name in names})
        return atoms

    def __repr__(self) -> str:
        return (
            f"Frame {self.index}: {self.capacity_monolayers:.4g} monolayers, "
            f"t = {self.time_s:.4g} s, {self.events} events"
        )


class Frames(Sequence):
    """The frames of a trajectory; their columns are arrays, such as ``frames.time_s``."""

    events: np.ndarray
    time_s: np.ndarray
    capacity_monolayers: np.ndarray
    capacity_mAh_cm2: np.ndarray

    def __init__(self, run: Any, columns: Columns):
        self._run, self.columns = run, columns
        vars(self).update(self.columns)

    def __len__(self) -> int:
        return len(self.events)

    def __getitem__(self, index):
        """One frame, or a list of them for a slice."""
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(len(self)))]
        place = index + len(self) if index < 0 else index
        if not 0 <= place < len(self):
            raise IndexError(f"frame {index}: {self._run.path} holds {len(self)} frames")
        row = {name: self.columns[name][place].item() for name in FRAME_COLUMNS}
        return Frame(index=int(place), **row, _run=self._run)

    def __repr__(self) -> str:
        if not len(self):
            return "Frames: none yet"
        return f"Frames: {len(self)}, from {self[0]!r} to {self[-1]!r}"


class ParameterTable(Named):
    """Parameters by key: ``params["barrier_Li_eV"]`` or ``params.barrier_Li_eV``."""

    _noun = "parameter"

    def __init__(self, table: Mapping[str, Mapping[str, Any]]):
        super().__init__()
        for key, entry in table.items():
            source = entry.get("source") or ()
            # As it is stored, without the checks of today: a set of an earlier kmc has its own.
            self[key] = Quantity.model_construct(
                value=entry["value"],
                unit=entry.get("unit", "1"),
                # One key or a list of them, as in a parameter file.
                source=(source,) if isinstance(source, str) else tuple(source),
                note=entry.get("note") or "",
                assumed=bool(entry.get("assumed", False)),
                from_memory=bool(entry.get("from_memory", False)),
            )

    def __repr__(self) -> str:
        width = max((len(key) for key in self), default=0)
        lines = [f"  {key:<{width}}  {value!r}" for key, value in self.items()]
        return "\n".join([f"Parameters: {len(self)}", *lines])

    def _repr_html_(self) -> str:
        rows = [
            (
                key,
                f"{item.value:g}",
                item.unit,
                "assumed" if item.assumed else ", ".join(item.source),
                item.note,
            )
            for key, item in self.items()
        ]
        return html_table(rows, ("parameter", "value", "unit", "source", "note"))
