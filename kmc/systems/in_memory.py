"""A population, deposition or cathode that is driven row by row from Python, without a file.

>>> sim = kmc.Simulation("plate_carbon", {"stop.capacity_monolayers": 1})  # doctest: +SKIP
>>> while not sim.step(monolayers=0.2):                                    # doctest: +SKIP
...     print(sim.samples.coverage[-1], sim.frame["occupied"].sum())
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from kmc.common.progress import Silent
from kmc.errors import InputError
from kmc.files.samples import Columns
from kmc.runfile.run_file import RunFile
from kmc.systems.job import INTERRUPTED, Goal, carry_out, the_one_of


class Memory:
    """Takes the place of the file: keeps rows and the last frame of the present replica."""

    position = None  # no state is kept, so that a step does not pack one

    def __init__(self) -> None:
        self.rows: list[dict[str, float]] = []
        self.frame: dict[str, Any] = {}

    def append_sample(self, row: Mapping[str, float]) -> None:
        self.rows.append(dict(row))

    def append_frame(self, **arrays: Any) -> None:
        # The run goes on in its own arrays, so that those of a frame are copied.
        self.frame = {
            name: value if isinstance(value, Mapping) else np.array(value)
            for name, value in arrays.items()
        }

    def append_listed(self, name: str, columns: Mapping[str, Any]) -> None:
        """Events between frames are not kept."""

    def next_replica(self) -> None:
        self.rows, self.frame = [], {}

    def flush(self, checkpoint: bytes | None = None) -> None:
        """There is no file."""

    def close(self, **ending: Any) -> None:
        """There is no file."""


class TableSimulation:
    """What `kmc.Simulation` makes of a run that is no box of atoms.

    `job` is the state of the run, with the methods of its kind; `facts` followed from the input
    before the run; `stop_reason` is empty while it can go on.
    """

    def __init__(self, system: Any, run: RunFile):
        self.system, self.run_file = system, run
        self.job = system.prepare(run, Silent())
        self.facts = self.job.facts
        self.stop_reason = ""
        self._memory = Memory()

    def step(
        self,
        *,
        rows: int | None = None,
        time_s: float | None = None,
        monolayers: float | None = None,
    ) -> str:
        """Go on by so many rows, seconds of simulated time, or monolayers of charge.

        Charge counts in the direction of the current, which may turn. Rows come at the cadence of
        the run file; a step ends with the first row at its end or beyond. The first row is that of
        the start. A further replica begins at 0 again.

        Returns why the run has ended (`stop_reason`); empty where it can go on.

        Raises `InputError`: not exactly one of the three, a value that is not above 0, or
        monolayers of a kind of run that counts no charge.
        """
        key, value = the_one_of(rows=rows, time_s=time_s, monolayers=monolayers)
        if key == "monolayers" and self.system.charge is None:
            raise InputError(
                f"step(monolayers={value:g}) of {self.system.noun}, which counts no charge",
                advice="Use step(rows=…) or step(time_s=…).",
            )
        if self.stop_reason:
            return self.stop_reason
        end, memory = self._now(key) + value, self._memory
        begun = len(memory.rows)

        # Looked at between rows alone: the state inside an interval is the job's own affair.
        def reached() -> bool:
            return len(memory.rows) != begun and self._now(key) >= end

        reason = carry_out(self.job, memory, Silent(), Goal(reached))  # type: ignore[arg-type]
        self.stop_reason = "" if reason == INTERRUPTED else reason
        return self.stop_reason

    def _now(self, key: str) -> float:
        rows = self._memory.rows
        if key == "rows":
            return float(len(rows))
        if not rows:
            return 0.0
        if key == "time_s":
            return rows[-1]["time_s"]
        column = "capacity_monolayers"
        unit = 1.0 if column in rows[-1] else self.facts["monolayer_mAh_cm2"]
        column = column if column in rows[-1] else "capacity_mAh_cm2"
        # Charge that has passed: the capacity of a column falls again where the current turns.
        return float(np.abs(np.diff([row[column] for row in rows], prepend=0.0)).sum()) / unit

    @property
    def samples(self) -> Columns:
        """The rows so far, as in a file; of the present replica where there are several."""
        units = {name: unit for name, (unit, _) in self.system.layout.samples.items()}
        rows = self._memory.rows
        return Columns({name: np.array([row[name] for row in rows]) for name in units}, units)

    @property
    def frame(self) -> dict[str, Any]:
        """Arrays of the last frame by name; lists of what is in it are mappings of columns."""
        return self._memory.frame

    def __repr__(self) -> str:
        rows = self._memory.rows
        time_s = rows[-1]["time_s"] if rows else 0.0
        return (
            f"Simulation of {self.run_file.name}, {self.system.noun}: {time_s:.4g} s, "
            f"{len(rows)} rows; {self.stop_reason or 'can go on'}"
        )
