"""A population as its file tells it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kmc.common.conditions import driven_by_run
from kmc.common.drawing import drawn
from kmc.common.formatting import duration, figure, scaled
from kmc.mesoscale import file as schema
from kmc.trajectory.integrity import read

if TYPE_CHECKING:
    import pandas as pd


class Columns(dict):
    """Named arrays; a name is an attribute too: ``samples.contact_fraction``."""

    def __getattr__(self, name: str) -> np.ndarray:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"there is no column {name!r}") from None

    @property
    def table(self) -> pd.DataFrame:
        """The columns as a pandas table."""
        import pandas as pd

        return pd.DataFrame(dict(self))


class PopulationRun:
    """A run of `kmc upscale`; made by `load`.

    Attributes
    ----------
    path : Path
    samples : Columns
        `/samples`: one row of numbers each time, the mean over the replicas.
    replicas : list of Columns
        The same of each replica.
    frames, voids, discs : Columns
        When voids were listed, the voids, and the discs whose unions are their footprints.
    run, params, facts : dict
        Settings by section, parameters, and what followed from them before the run.
    resolved : dict
    finished : bool
    stop_reason, run_file, kmc_version : str
    seed, schema_version : int
    """

    kind = "population"
    system: Any = None  # what its kind is and does, where `kmc.load` opened it

    def __init__(self, path: Path, contents: dict[str, Any]):
        self.path = path
        self.samples = Columns(contents["samples"])
        self.replicas = [Columns(columns) for columns in contents["replicas"]]
        self.frames = Columns(contents["frames"])
        self.voids = Columns(contents["voids"])
        self.discs = Columns(contents["discs"])
        self.resolved: dict[str, Any] = contents["resolved"]
        self.run: dict[str, Any] = self.resolved["run"]
        self.params: dict[str, Any] = self.resolved["parameters"]
        self.facts: dict[str, float] = self.resolved["facts"]
        self.finished: bool = contents["finished"]
        self.stop_reason: str = contents["stop_reason"]
        self.run_file: str = contents["run_file"]
        self.kmc_version: str = contents["kmc_version"]
        self.schema_version: int = contents["schema_version"]
        self.seed: int = contents["seed"]
        self.checkpoint: dict[str, np.ndarray] | None = contents.get("checkpoint")

    @property
    def edge_um(self) -> float:
        """Edge of the periodic square."""
        return float(self.run["upscale"]["domain_um"])

    def of_frame(self, frame: int) -> tuple[Columns, Columns]:
        """Voids and discs of a frame; −1 is the last."""
        n = len(self.frames["time_s"])
        frame = range(n)[frame]
        voids, discs = self.voids["frame"] == frame, self.discs["frame"] == frame
        return (
            Columns({name: values[voids] for name, values in self.voids.items()}),
            Columns({name: values[discs] for name, values in self.discs.items()}),
        )

    def summary(self) -> list[tuple[str, str]]:
        """The summary as pairs of label and text."""
        upscale, conditions = self.run["upscale"], self.run["conditions"]
        ended = self.stop_reason or "still being written"
        if ended in upscale:
            ended += f" reached {upscale[ended]:g}"
        rows = [("Ended" if self.finished else "Not finished", ended)]
        edge, system = upscale["domain_um"], self.run["system"]
        metal = self.resolved["parameter_set"]
        if self.facts.get("mg_coverage"):
            metal += f", Mg {100 * self.facts['mg_coverage']:.3g} % of L1"
        replicas = f", {upscale['replicas']} replicas" if upscale["replicas"] > 1 else ""
        square = f"{edge:g} µm × {edge:g} µm"
        if "cell_um" in self.facts:
            square += f" in cells of {figure(self.facts['cell_um'], 'µm')}"
        rows.append(("System", f"{metal}, {system['lattice']}, {square}{replicas}"))
        kelvin = f"{conditions['temperature_K']:g} K"
        rows.append(("Conditions", f"{kelvin}, {driven_by_run(self.run)}"))
        where = {
            "homogeneous": "anywhere on contact",
            "flaws": "on flaws",
            "both": "anywhere, flaws",
        }
        rows.append(
            ("Voids begin", f"{where[upscale['nucleation']]}; rounding {upscale['relaxation']}")
        )
        s = self.samples
        if not len(s["time_s"]):
            return [*rows, ("Samples", "none yet")]
        capacity = figure(s["capacity_mAh_cm2"].max(), "mAh/cm²")
        if (s["plated_um"] > 0).any():
            now = figure(s["capacity_mAh_cm2"][-1], "mAh/cm²")
            capacity = f"{now} at the end, net of what was plated; {capacity} at most"
        rows.append(("Capacity", capacity))
        rows += self._story()
        rows.append(("Simulated", duration(float(s["time_s"][-1]))))
        return rows

    def _story(self) -> list[tuple[str, str]]:
        s = self.samples
        at = int(np.argmax(s["voids_per_um2"]))
        peak = int(np.argmax(s["supersaturation"]))
        rows = []
        if s["voids_per_um2"][at] > 0:
            rows.append(
                (
                    "Most voids",
                    f"{figure(s['voids_per_um2'][at], 'per µm²')} at "
                    f"{figure(s['capacity_mAh_cm2'][at], 'mAh/cm²')}",
                )
            )
        rows.append(
            (
                "Largest S",
                f"{figure(s['supersaturation'][peak])}, {scaled(s['concentration_V'][peak], 'V')} "
                f"(without voids {figure(self.facts['supersaturation_without_voids'])})",
            )
        )
        last = {name: values[-1] for name, values in s.items()}
        rows.append(("Contact", f"{100 * last['contact_fraction']:.3g} % at the end"))
        if last["step"]:
            rows += self._after_strips()
        for share in (0.5, 0.1):
            below = np.flatnonzero(s["contact_fraction"] < share)
            if len(below) and below[0]:
                two = slice(below[0] - 1, below[0] + 1)
                loss, charge = -s["contact_fraction"][two], s["capacity_mAh_cm2"][two]
                reached = figure(float(np.interp(-share, loss, charge)), "mAh/cm²")
                rows.append(("", f"below {100 * share:.0f} % at {reached}"))
        if last["plated_um"] > 0:
            plated = ("filled_um", "pushed_back_um", "dead_um")
            filled, pushed, dead = (figure(last[name], "µm") for name in plated)
            text = f"{figure(last['plated_um'], 'µm')} of height: {filled} into voids, {pushed}"
            rows.append(("Plated", f"{text} pushed the metal back; {dead} of voids were cut off"))
        if np.isfinite(last["mean_width_um"]):
            rows.append(
                (
                    "On a line",
                    f"{figure(last['voids_per_100um'])} cuts per 100 µm, "
                    f"{figure(last['mean_width_um'], 'µm')} wide, "
                    f"{figure(last['mean_height_um'], 'µm')} high",
                )
            )
        terms = ("concentration", "charge_transfer", "constriction", "series")
        said = ", ".join(f"{t.replace('_', ' ')} {scaled(last[f'{t}_V'], 'V')}" for t in terms)
        rows.append(("Overpotential", f"{scaled(last['overpotential_V'], 'V')}: {said}"))
        parts = ("voids", "sink", "creep", "storage")
        shares = ", ".join(f"{p} {figure(last[f'{p}_um'], 'µm')}" for p in parts)
        rows.append(("Stripped", f"{figure(last['stripped_um'], 'µm')} of height: {shares}"))
        return rows

    def _after_strips(self) -> list[tuple[str, str]]:
        """Contact at the end of the first and of the last strip."""
        s = self.samples
        last_rows = np.flatnonzero(np.diff(s["step"], append=np.inf))
        ends = [row for row in last_rows if s["current_density_mA_cm2"][row] > 0]
        rows = []
        for row in dict.fromkeys([*ends[:1], *ends[-1:]]):
            contact = 100 * s["contact_fraction"][row]
            rows.append(("", f"{contact:.3g} % after stripping in cycle {s['cycle'][row]:.0f}"))
        return rows

    def coulombic_efficiency(self) -> list[float | None]:
        """Stripped over plated charge of each completed cycle; None where it does one of the two.

        Empty without a protocol.
        """
        s = self.samples
        if "cycle" not in s or not len(s["cycle"]) or not s["cycle"][-1]:
            return []
        ends = np.flatnonzero(np.diff(s["cycle"], append=np.inf))
        stripped, plated = (
            np.diff(s[name][ends], prepend=0.0) for name in ("stripped_um", "plated_um")
        )
        of_cycles = [
            a / b if a > 0 and b > 0 else None for a, b in zip(stripped, plated, strict=True)
        ]
        return of_cycles if self.finished else of_cycles[:-1]

    def to_json(self) -> dict[str, Any]:
        """The summary's numbers as plain data; NaN and infinity are null."""

        def plain(value: float) -> float | None:
            return float(value) if np.isfinite(value) else None

        s = self.samples
        return {
            "format": schema.FORMAT,
            "name": self.resolved["name"],
            "finished": self.finished,
            "stop_reason": self.stop_reason,
            "seed": self.seed,
            "kmc_version": self.kmc_version,
            "run": self.run,
            "facts": self.facts,
            "coulombic_efficiency": self.coulombic_efficiency(),
            "final": {name: plain(v[-1]) for name, v in s.items() if len(v)},
            "samples": {name: [plain(x) for x in v] for name, v in s.items()},
            "voids": len(self.of_frame(-1)[0]["x_um"]) if len(self.frames["time_s"]) else 0,
        }

    def plot(self, what: str = "microscope", **options: Any) -> Any:
        """A picture, see `kmc plot`; a matplotlib figure."""
        return drawn("population_picture", self, what=what, **options)

    def __repr__(self) -> str:
        rows = self.summary()
        width = max(len(label) for label, _ in rows)
        lines = [f"{self.path.name}, a population of voids"]
        lines += [f"  {label:{width}}  {text}" for label, text in rows]
        lines.append(f"  {'see':{width}}  .samples, .voids, .frames, .discs, .plot()")
        return "\n".join(lines)


def load(path: str | Path, *, checkpoint: bool = False) -> PopulationRun:
    """Open the file of a population.

    Raises
    ------
    InputError
        There is no such file.
    FileFormatError
        It is not one of a population, is damaged, or of a newer schema.
    """
    path = Path(path)
    return read(path, lambda file: PopulationRun(path, _checked(file, checkpoint)))


def _checked(file, checkpoint: bool) -> dict[str, Any]:
    from kmc.errors import FileFormatError

    if not schema.is_population(file):
        raise FileFormatError(f"{file.filename} is not the file of a population")
    return schema.contents(file, checkpoint=checkpoint)
