"""A convergence study as text, table, JSON and picture, read from the folder of its runs."""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from kmc.campaign.convergence import power_law
from kmc.campaign.convergence.findings import (
    AXES,
    CELLS,
    RATIOS,
    Axis,
    Finding,
    Level,
    Needed,
    assess,
    open_text,
)
from kmc.campaign.dataset import load_sweep
from kmc.campaign.folder import SweepFolder, open_folder, plan_along
from kmc.campaign.scalars import check_reading
from kmc.common.figures import drawn
from kmc.common.formatting import duration, figure, html_table, listed, monolayers, plural
from kmc.common.json_files import json_safe
from kmc.common.late import pandas as pd
from kmc.common.threads import cores
from kmc.common.units import A_per_um
from kmc.errors import KmcError
from kmc.systems.run import load

RATIO = RATIOS.key
TOLERANCE = 0.1
_NEAR = 0.05  # relative distance of a frame's capacity from the one asked for
_MANY = 64  # runs a level beyond which a larger box is the cheaper way
_OF_A_LAW = ("exponent", "exponent_low", "exponent_high", "p_value", "ratios", "left_out")
_SAME_END = 0.02  # monolayers; runs end at the event that reaches their capacity


@dataclass(frozen=True)
class Convergence:
    """What `kmc converge` found.

    To judge whether a number still depends on how far hops are slowed; `findings` has each number.
    """

    base: str  # the run
    # levels: rate of the fastest hop over the strip rate of a site, ascending; of a population
    # widths of cells, descending, or edges of the square, in µm
    ratios: tuple[float, ...]
    replicas: int
    # capacity in monolayers, of a population in mAh/cm², at which contact and voids were read; None
    # for the end of each run
    at: float | None
    # change for a tenfold ratio, as a share, below which a number counts as converged
    tolerance: float
    physical_ratio: float  # attempt frequency over strip rate of a site: there nothing is slowed
    area_um2: float  # of the interface of the box; NaN for squares
    # ``contact_loss`` (1), ``void_density_per_um2`` (1/µm²), ``mean_void_width_nm`` (nm) and
    # ``onset_capacity_monolayers``, ``vacancy_activity``, ``overpotential_V`` and
    # ``absorbed_share``; of Aurbach's protocol also ``aurbach_loss``, 1 − efficiency
    findings: Mapping[str, Finding]
    runs: int  # that are done
    missing: int  # runs that failed or have not been run
    early: int  # runs that ended before `at`, which do not count
    ends: tuple[float, float]  # lowest and highest capacity in monolayers at which the runs ended
    # capacity in monolayers of the frames that the voids were counted in, on average
    frames_at: float
    axis: Axis = RATIOS  # what the levels differ in
    folder: Path | None = None  # where the runs are

    @property
    def converged(self) -> bool:
        """Whether every number has."""
        return all(finding.verdict == "converged" for finding in self.findings.values())

    @property
    def _has_limit(self) -> bool:
        """Whether equilibrium between strips, the limit of the ratio, was run."""
        return math.inf in self.ratios

    @property
    def moment(self) -> str:
        """Where contact and voids were read."""
        if self.at is None:
            return "at the end of the runs"
        return f"at {monolayers(self.at) if self.axis.slows else figure(self.at, 'mAh/cm²')}"

    def lines(self) -> list[str]:
        """The verdicts in sentences, one paragraph a number."""
        lines = []
        for finding in self.findings.values():
            first, *rest = finding.sentences
            lines.append(" ".join([first[0].upper() + first[1:], *rest]))
        unsettled = (finding for finding in self.findings.values() if finding.physical is None)
        still_open = [finding.observable.label for finding in unsettled]
        if still_open and self.axis.slows and not self._has_limit:
            lines.append(open_text(still_open, self.physical_ratio))
        lines += self.advice()
        if self.early and self.at is not None:
            lines.append(
                f"{plural(self.early, 'run')} ended before {self.moment.removeprefix('at ')} and "
                "are left out of contact and voids."
            )
        if self.at is not None and abs(self.frames_at - self.at) > _NEAR * self.at:
            lines.append(
                f"Voids were counted in the frames nearest to {figure(self.at)} monolayers, at "
                f"{figure(self.frames_at)} on average; --set output.frame_every_monolayers sets "
                "where frames are recorded."
            )
        if self.at is None and self.axis.slows and self.ends[1] - self.ends[0] > _SAME_END:
            lines.append(
                f"The runs end at capacities from {figure(self.ends[0])} to "
                f"{figure(self.ends[1])} monolayers: compare them at one with --at."
            )
        if self.missing:
            have = "has" if self.missing == 1 else "have"
            lines.append(f"{plural(self.missing, 'run')} failed or {have} not been run.")
        return lines

    def advice(self) -> list[str]:
        """Further levels or replicas that would decide what is open, with their estimated time."""
        asked: dict[Needed, list[str]] = {}
        for finding in self.findings.values():
            # Where equilibrium was run, no higher ratio has to be.
            if finding.needed is not None and not (self._has_limit and finding.needed.ratios):
                asked.setdefault(finding.needed, []).append(finding.observable.label)
        lines = []
        for needed, names in asked.items():
            what = f"--replicas {needed.replicas}"
            if needed.ratios:
                what = f"{self.axis.option} {self.axis.values(needed.ratios)}"
            if not needed.ratios and needed.replicas > _MANY:
                lines.append(
                    f"To decide {listed(names)} some {needed.replicas} runs a level would be "
                    "needed: the scatter is too wide. It falls as one over the root of the area: "
                    f"use a larger {'system.size' if self.axis.slows else 'upscale.domain_um'}."
                )
                continue
            takes = ""
            if not math.isnan(needed.time_s):
                takes = f", about {duration(needed.time_s, 2)} more"
            lines.append(f"To decide {listed(names)}: {what} in the same folder{takes}.")
        return lines

    def table(self) -> "pd.DataFrame":
        """One row for each number and ratio, and for the physical one of a converged number.

        ``observable``, ``unit``, ``kind`` ("measured", "equilibrium", "plateau"), ``ratio``, ``n``,
        ``mean``, ``std``, ``low`` and ``high`` (95 %), ``censored``, ``converged``.
        """
        rows = []
        for finding in self.findings.values():
            named = {"observable": finding.observable.name, "unit": finding.observable.unit or "1"}
            for level in finding.all_levels:
                kind = "measured" if math.isfinite(level.ratio) else "equilibrium"
                rows.append({**named, "kind": kind, **asdict(level)})
            if (end := finding.physical) is not None:
                ends = (end.value, math.nan, end.widest_low, end.widest_high)
                level = Level(self.physical_ratio, 0, *ends, 0, False)
                rows.append({**named, "kind": "plateau", **asdict(level)})
        return pd.DataFrame(rows)

    def to_json(self) -> str:
        """Everything as JSON text, which ``--json FILE`` writes; what is not known is null."""
        return json.dumps(self.to_dict(), indent=2, ensure_ascii=False, allow_nan=False)

    def to_dict(self) -> dict[str, Any]:
        """Everything, as JSON-able data; what is not known is None."""
        top = {
            "kind": "kmc converge",
            "run": self.base,
            "axis": self.axis.key,
            "folder": None if self.folder is None else str(self.folder),
            "ratios": list(self.ratios),
            "replicas": self.replicas,
            "at_monolayers": self.at,
            "tolerance": self.tolerance,
            "confidence": 0.95,
            "physical_ratio": self.physical_ratio,
            "area_um2": self.area_um2,
            "runs_done": self.runs,
            "runs_missing": self.missing,
            "converged": self.converged,
        }
        observables = {}
        for name, finding in self.findings.items():
            law = finding.law and {n: getattr(finding.law, n) for n in _OF_A_LAW}
            share = finding.observable.family.name == "share"
            observables[name] = {
                "unit": finding.observable.unit or "1",
                "verdict": finding.verdict,
                "converged_from": finding.converged_from,
                "rungs": [asdict(level) for level in finding.levels],  # key of the file format
                "equilibrium": finding.equilibrium and asdict(finding.equilibrium),
                "last_two": finding.last and asdict(finding.last),
                "law": law and {"scale": "logit" if share else "log", **law},
                "physical": finding.physical and asdict(finding.physical),
                "needed": finding.needed and asdict(finding.needed),
                "sentences": finding.sentences,
            }
        return json_safe({**top, "observables": observables})

    def _repr_html_(self) -> str:
        rows = [
            (finding.observable.label, finding.verdict, " ".join(finding.sentences))
            for finding in self.findings.values()
        ]
        title = f"{self.base}, {self.axis.noun} {self.axis.values(self.ratios)}, read {self.moment}"
        return html_table(rows, ("number", "verdict", ""), title)

    def plot(self) -> Any:
        """The picture of `kmc converge`, a matplotlib figure."""
        return drawn("convergence_picture", self)


def read_study(
    folder: str | Path,
    *,
    at: float | None = None,
    tolerance: float = TOLERANCE,
    workers: int | None = None,
    progress: bool = False,
) -> Convergence:
    """Evaluate the runs of a convergence study that are done; parameters as of `kmc.converge`.

    `workers` are what the remaining time is estimated for. `InputError` where the folder holds
    another sweep, `KmcError` where none of its runs is done.
    """
    check_reading(at, tolerance)
    opened = open_folder(folder)
    plan = opened.plan
    axis = next((AXES[key] for key in plan.axes if key in AXES), RATIOS)
    plan_along(folder, [axis.key])
    unit = "monolayers" if axis.slows else "mAh_cm2"
    wanted = () if at is None else at
    layers, charge = (wanted, ()) if axis.slows else ((), wanted)
    ds = load_sweep(folder, at_monolayers=layers, at_mAh_cm2=charge, progress=progress)
    name = axis.key.partition(".")[2]
    # Levels of a later call stand behind those of the first in the plan.
    ds = ds.transpose(name, "replica", ...).sortby(name, ascending=axis is not CELLS)
    paths = [path for path in ds.path.values.ravel() if path]
    if not paths:
        errors = [text for text in ds.error.values.ravel() if text]
        raise KmcError(
            f"none of the runs in {folder} is done" + (f": {errors[0]}" if errors else ""),
            advice=f"{folder}/failures has the details." if errors else "Call kmc converge again.",
        )

    def numbers(name: str) -> np.ndarray:
        if at is None:
            return ds[name].values
        return ds[f"{name}_at"].sel({f"at_{unit}": at}).values

    # Area and rates are those of every run: levels differ in their lowest barrier alone.
    first = load(paths[0])
    rows, area_um2, physical = (_of_box if axis.slows else _of_population)(ds, first, numbers)
    time_s = _Times(opened, workers or cores(), axis)
    findings = {}
    for observable, (values, late) in rows.items():
        runs = [
            power_law.LevelRuns.of(level, v, c)
            for level, v, c in zip(ds[name].values, values, late, strict=True)
        ]
        findings[observable.name] = assess(
            observable,
            runs,
            tolerance=tolerance,
            physical_ratio=physical,
            unit=area_um2 if observable is power_law.VOID_DENSITY else 1.0,
            time_s=time_s,
            axis=axis,
        )
    done = ds.state.values == "done"
    ends = ds[f"capacity_{unit}"].values[done]
    frames_at = numbers("frame_capacity_monolayers") if axis.slows else np.array([at or math.nan])
    frames_at = frames_at[np.isfinite(frames_at)]
    return Convergence(
        base=Path(plan.base).stem if plan.base.endswith(".toml") else plan.base,
        ratios=tuple(float(level) for level in ds[name].values),
        replicas=plan.replicas,
        at=at,
        tolerance=tolerance,
        physical_ratio=physical,
        area_um2=area_um2,
        findings=findings,
        runs=int(done.sum()),
        missing=int((~done).sum()),
        early=0 if at is None else int((ends < at - 1e-9).sum()),
        ends=(float(ends.min()), float(ends.max())),
        frames_at=float(frames_at.mean()) if len(frames_at) else math.nan,
        axis=axis,
        folder=Path(folder),
    )


_Rows = dict[power_law.Observable, tuple[np.ndarray, Any]]
"""Number → its values and which of them are bounds alone, both by level and replica."""


def _of_box(
    ds: Any, first: Any, numbers: Callable[[str], np.ndarray]
) -> tuple[_Rows, float, float]:
    """Numbers of boxes of atoms, the area of their interface in µm², and the physical ratio."""
    area_um2 = first.box["box_A"][0] * first.box["box_A"][1] / A_per_um**2
    frequency_Hz = first.params["attempt_frequency_Hz"].value
    if "formation_entropy_bulk_k" in first.params:  # `Electrode.attempt_frequency_Hz`
        frequency_Hz *= math.exp(first.params["formation_entropy_bulk_k"].value)
    physical = float(frequency_Hz) / float(first.acceleration["strip_rate_per_site_Hz"])
    # The end of a run is a lower bound of the onset that it did not reach.
    onset = ds.onset_capacity_monolayers.where(~ds.onset_censored, ds.capacity_monolayers).values
    lost = np.clip((numbers("absorbed") - numbers("emitted")) / numbers("strips"), 0.0, 1.0)
    values = {
        power_law.CONTACT_LOSS: 1.0 - numbers("contact_fraction"),
        power_law.VOID_DENSITY: numbers("voids"),
        power_law.WIDTH: numbers("mean_void_width_nm"),
        power_law.ONSET_CAPACITY: onset,
        power_law.ACTIVITY: numbers("vacancy_activity"),
        power_law.OVERPOTENTIAL: numbers("overpotential_V"),
        power_law.ABSORBED: lost,
    }
    if "aurbach_efficiency" in ds:
        values[power_law.LOSS] = np.maximum(0.0, 1.0 - ds.aurbach_efficiency.values)
    rows: _Rows = {key: (v, [()] * len(v)) for key, v in values.items()}
    rows[power_law.ONSET_CAPACITY] = (onset, ds.onset_censored.values)
    return rows, float(area_um2), physical


def _of_population(
    ds: Any, first: Any, numbers: Callable[[str], np.ndarray]
) -> tuple[_Rows, float, float]:
    """Numbers of populations; their squares differ in area, and nothing is slowed."""
    late = ds.half_contact_censored.values
    half = np.where(late, ds.capacity_mAh_cm2.values, ds.half_contact_mAh_cm2.values)
    rows: _Rows = {power_law.HALF_CONTACT: (half, late)}
    # Events of the whole square are no numbers to compare between squares.
    events = () if "domain_um" in ds.dims else power_law.EVENTS
    for observable in (*power_law.OF_SQUARES, *events):
        values = numbers(observable.name.removesuffix("_loss") + "_fraction" * observable.percent)
        rows[observable] = (1 - values if observable.percent else values, [()] * len(values))
    return rows, math.nan, math.inf


class _Times:
    """Estimates the time of further levels or replicas from the runs that are done."""

    def __init__(self, folder: SweepFolder, workers: int, axis: Axis = RATIOS):
        self._axis = axis
        spent: dict[float, list[float]] = {}
        times_s = folder.times_s()
        for point in folder.plan.points:
            if point.name in times_s:
                spent.setdefault(float(point.settings[axis.key]), []).append(times_s[point.name])
        self._one_s = {ratio: median(times) for ratio, times in spent.items()}
        self._have = {ratio: len(times) for ratio, times in spent.items()}
        self._workers = workers

    def __call__(self, ratios: Sequence[float], replicas: int) -> float:
        """Seconds, with some more ratios and so many replicas at every level."""
        if not self._one_s:
            return math.nan
        cost = self._axis.cost
        finite = [ratio for ratio in self._one_s if math.isfinite(ratio)]
        top = max(finite, key=lambda ratio: ratio**cost, default=math.inf)
        total = sum(s * max(0, replicas - self._have[r]) for r, s in self._one_s.items())
        # Beyond the highest level nearly all events are hops, and these grow with the ratio.
        total += sum(self._one_s[top] * (ratio / top) ** cost * replicas for ratio in ratios)
        return total / self._workers
