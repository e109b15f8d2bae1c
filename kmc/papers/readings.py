"""Numbers of the runs of a study: what the claims are judged from."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats
from scipy.special import erfc

from kmc.analysis.coulombic import aurbach_of
from kmc.analysis.history import voids
from kmc.analysis.profiles import profiles
from kmc.campaign.calibration.calibrate import Calibration
from kmc.campaign.calibration.data import FIRST_S, event_charge
from kmc.campaign.calibration.posterior import LEVELS
from kmc.campaign.folder import SweepFolder, open_folder
from kmc.campaign.points import Point
from kmc.campaign.scalars import crossing, final
from kmc.common.progress import progress_for
from kmc.errors import InputError
from kmc.files.reader import Trajectory
from kmc.files.table_run import TableRun
from kmc.systems.cathode.contact import single_pores
from kmc.systems.population.result import PopulationRun
from kmc.systems.run import load

NONE = "none"  # removes a key in a sweep file
CONFIDENCE = 0.95
LOST = 0.9  # share of contact at whose loss the paper's overpotential rises


@dataclass(frozen=True)
class RunMean:
    """A number of some equal runs, with the 95 % interval of its mean (Student's t)."""

    value: float  # mean; infinite where no run reached it before it ended
    low: float  # ends of the interval; those of `value` for a single run
    high: float
    n: int  # runs; 0 for a number that is no mean over runs and has no scatter

    @classmethod
    def of(cls, values: Sequence[float]) -> "RunMean | None":
        """The mean over runs; None without any. One that never came makes the mean infinite."""
        numbers = np.array([value for value in values if not math.isnan(value)], dtype=float)
        if not len(numbers):
            return None
        mean = float(numbers.mean())
        # A run that ended before it got there has no value, only a bound: the mean has no upper
        # end, and no interval that a t of the others could give.
        if len(numbers) < 2 or not math.isfinite(mean):
            return cls(mean, float(numbers.min()), mean, len(numbers))
        half = float(stats.t.ppf(0.5 + CONFIDENCE / 2, len(numbers) - 1) * stats.sem(numbers))
        return cls(mean, mean - half, mean + half, len(numbers))

    @classmethod
    def over(cls, values: Sequence[float]) -> "RunMean | None":
        """Median and 90 % interval over runs or samples of a calibration; None without any."""
        numbers = [value for value in values if not math.isnan(value)]
        if not numbers:
            return None
        # No interpolation: between a number and "never" there is nothing.
        low, middle, high = np.quantile(numbers, LEVELS, method="inverted_cdf")
        return cls(float(middle), float(low), float(high), len(numbers))

    @classmethod
    def exact(cls, value: float) -> "RunMean":
        """A number without scatter, such as a limit, or one that follows from the parameters."""
        return cls(value, value, value, 0)

    def overlaps(self, low: float, high: float) -> bool:
        """Whether the interval meets a range."""
        return self.low <= high and self.high >= low

    def below(self, other: "RunMean") -> bool:
        """Whether it is below another beyond both intervals; single runs by a fifth."""
        if 1 in (self.n, other.n):  # a single run has no interval, though it scatters
            return self.value < 0.8 * other.value
        return self.high < other.low or (self.high < other.value == math.inf)


@dataclass(frozen=True)
class Reading:
    """The numbers of one run, and the settings that set it apart; `exact` ones have no scatter."""

    step: str
    settings: Mapping[str, Any]
    numbers: Mapping[str, float]
    exact: bool = False


@dataclass(frozen=True)
class Runs:
    """The runs of a study: found by family of steps, row and changed input."""

    study: Any  # with the plan of the folder
    readings: Sequence[Reading] = ()

    def of(
        self, family: str, parts: Sequence[Any] = (), variant: str | None = None
    ) -> list[Reading]:
        """Readings of a family or step that are of a row, with an input changed if it applies."""
        row = self.study.row(parts)
        if variant is not None and self.study.applies(variant, family, parts):
            row |= self.study.inputs[variant]["settings"]
        steps = self.study.families.get(family, (family,))
        return [r for r in self.readings if r.step in steps and self.study.same(r.settings, row)]


@dataclass(frozen=True)
class Sample:
    """Runs of a calibration at one sample of its posterior, in place of the rows of a study."""

    readings: Mapping[str, Reading]

    def of(
        self, family: str, parts: Sequence[Any] = (), variant: str | None = None
    ) -> list[Reading]:
        """As `Runs.of`: the reading that stands for a row, if there is one."""
        reading = self.readings.get(", ".join(parts) if parts else family)
        return [] if reading is None else [reading]


def mean(readings: Sequence[Reading], name: str, band: bool = False) -> RunMean | None:
    """Mean of a number over runs, or its median with a 90 % band; None where no run has it."""
    # NaN is a number that a run cannot have, such as the loss of one that did not end.
    defined = [r for r in readings if not math.isnan(r.numbers.get(name, math.nan))]
    if defined and defined[0].exact:
        return RunMean.exact(defined[0].numbers[name])
    return (RunMean.over if band else RunMean.of)([r.numbers[name] for r in defined])


def read_study(study: Any, folder: Path, progress: bool = False) -> Runs:
    """Numbers of the runs that are done, and what the energies of its parameter set imply."""
    todo, found = [], []
    for step in (str(step["name"]) for step in study.steps):
        if (folder / step / "index.json").is_file():
            opened = open_folder(folder / step)
            done = opened.done()
            todo += [(step, opened, point) for point in opened.plan.points if point.name in done]
    with progress_for("reading", progress) as shown:
        for number, (step, opened, point) in enumerate(todo, start=1):
            found.append(_reading(step, opened, point))
            shown.update(number / len(todo), f"run {number} of {len(todo)}")
    if study.checked:
        found.append(Reading("checks", {}, check_values(study.checked), exact=True))
    return Runs(study, found)


def read_samples(study: Any, calibration: Calibration) -> list[Sample]:
    """Numbers of the posterior runs of a calibration, by the rows that they stand for.

    `InputError` where the study has no calibrated rows, or the runs are not there.
    """
    if not study.calibrated:
        raise InputError(
            f"the study {study.name!r} names no experiments of a calibration",
            advice="kmc study operando --calibration FOLDER takes one.",
        )
    last = calibration.folder / f"posterior_{len(calibration.content['waves'])}"
    # Experiments of a user's own stand for no row of the paper.
    names = [n for n in calibration.content["experiments"] if n in study.calibrated.values()]
    sweeps = {n: open_folder(last / n) for n in names if (last / n / "index.json").is_file()}
    if not sweeps:
        raise InputError(
            f"{calibration.folder} has no posterior runs of experiments that the study "
            f"{study.name!r} knows",
            advice=f"It knows {', '.join(study.calibrated.values())}; set calibrate.posterior_runs "
            "to 8 or more, and repeat kmc calibrate.",
        )
    samples: list[dict[str, Reading]] = []
    for name, opened in sweeps.items():
        done = opened.done()
        for number, point in enumerate(opened.plan.points):  # one of each sample, in their order
            if number == len(samples):
                values = {
                    key.partition(".")[2]: float(value)
                    for key, value in point.settings.items()
                    if key.startswith("parameters.")
                }
                checked = check_values(study.checked, values)
                samples.append({"checks": Reading("checks", {}, checked)})
            if point.name in done:
                rows = [row for row, of in study.calibrated.items() if of == name]
                samples[number] |= dict.fromkeys(rows, _reading(name, opened, point))
    return [Sample(readings) for readings in samples]


def _reading(step: str, opened: SweepFolder, point: Point) -> Reading:
    """``start_``, ``end_`` and ``max_NAME`` of any column, and what the kind of run adds."""
    run = load(opened.trajectory_path(point))
    numbers = {f"end_{name}": value for name, value in final(run).items()}
    # A run that ended before its first sample has columns, but nothing in them.
    for name, values in run.system.columns(run).items() if numbers else ():
        numbers |= {f"start_{name}": float(values[0]), f"max_{name}": float(np.max(values))}
    return Reading(step, point.settings, numbers | _NUMBERS[run.kind](run))


def check_values(params: str, values: Mapping[str, float] | None = None) -> dict[str, float]:
    """The model's values of `kmc params check`, with some parameters changed; `mixed` besides.

    ``D of Mg, 60 over 25 °C`` is a ratio, ``Mg mixed at 25 °C`` a share of the bulk's.
    """
    from kmc.model.dft_check import check_rows
    from kmc.model.parameters import load_parameters

    rows = check_rows(load_parameters(params, values))
    out = {row.name: math.nan if row.model is None else row.model for row in rows}
    # The paper plates 13 µm of Li on the alloy and looks again after 10 h.
    cold, warm = (out.get(f"D of Mg at {T} °C", math.nan) for T in (25, 60))
    mixing = {f"Mg mixed at {T} °C": mixed(D, 36_000.0, 13e-4) for T, D in ((25, cold), (60, warm))}
    return {**out, "D of Mg, 60 over 25 °C": warm / cold, **mixing}


def mixed(D_cm2_s: float, time_s: float, layer_cm: float) -> float:
    """Mean of ½ erfc(x/√(4Dt)) over a layer: the share of the bulk's Mg in it.

    Diffusion across a step between two half-spaces, the alloy and what is plated on it.
    """
    x = np.linspace(0.0, layer_cm, 4001)  # √(4Dt) of 1.7 µm spans 500 of its steps
    return float(np.mean(0.5 * erfc(x / math.sqrt(4 * D_cm2_s * time_s))))


IMAGE_mAh_cm2 = 0.125  # charge between two images of the operando paper, 15 min at 0.5 mA/cm²
SCAN_um = 1.0  # electrons of EDS come from about a micrometre of metal


def voids_of(samples: Mapping[str, np.ndarray], stop_reason: str = "") -> dict[str, float]:
    """Numbers of a population of voids, from the columns of its samples.

    ``cuts_first``, ``cuts_second``: voids on 100 µm of line at the first and second image,
    ``cuts_growth`` of the second over the first; ``width_first_um``: mean width at the first.
    ``coalescing_mAh_cm2``: the first image with fewer than nine tenths of the most; ``cuts_left``:
    the share of these at the end.
    ``lost90_mAh_cm2``, ``gap_mAh_cm2``: nine tenths and all of the contact are gone.
    ``risen_mAh_cm2``: the overpotential is 50 mV above its lowest value since 1 s; ``steepness``:
    its slope against charge beyond nine tenths over that from one tenth to there;
    ``begun_overpotential_V`` at 1 s. ``concentration_max_V`` from 1 s to the first image,
    ``concentration_first_V`` there. ``first_split_mAh_cm2``. Infinite: not by the end of the run.
    NaN: not defined. Images in which the largest width and height begin to fall:
    ``width_fall_1_mAh_cm2``, ``width_fall_2_mAh_cm2``, ``width_fall_3_mAh_cm2``,
    ``height_fall_1_mAh_cm2``, ``height_fall_2_mAh_cm2``, ``height_fall_3_mAh_cm2``.
    """
    charge, contact = samples["capacity_mAh_cm2"], samples["contact_fraction"]
    volts, begun = samples["overpotential_V"], samples["time_s"] >= FIRST_S
    early = begun & (charge <= IMAGE_mAh_cm2)  # later it rises as contact is lost: no peak of it
    images = np.arange(IMAGE_mAh_cm2, charge[-1] + 1e-9, IMAGE_mAh_cm2)
    cuts = np.interp([*images, charge[-1]], charge, samples["voids_per_100um"])

    def of(event: str) -> float:
        return event_charge(samples, stop_reason, event, IMAGE_mAh_cm2)

    def at(images: int, column: str) -> float:
        return float(np.interp(images * IMAGE_mAh_cm2, charge, samples[column], right=math.nan))

    lost90, steepness = crossing(charge, 1 - contact, LOST), math.nan
    # From a tenth on: before, the overpotential is that of full contact.
    tenth = crossing(charge, 1 - contact, 0.1)
    if math.isfinite(lost90) and tenth < lost90 < charge[-1]:
        ends = np.interp([tenth, lost90, charge[-1]], charge, volts)
        before, after = np.diff(ends) / np.diff([tenth, lost90, charge[-1]])
        steepness = float(after / before) if before > 0 else math.inf
    falls: dict[str, float] = {}
    for name in ("width", "height"):
        if (column := f"max_{name}_um") not in samples:
            continue
        down = np.diff(np.interp(images, charge, samples[column])) < 0
        begin = images[1:][down & ~np.concatenate([[False], down[:-1]])]
        numbers = [*begin[:3], *[math.inf] * 3][:3]
        falls |= {f"{name}_fall_{k}_mAh_cm2": float(q) for k, q in enumerate(numbers, start=1)}
    return falls | {
        "cuts_first": at(1, "voids_per_100um"),
        "cuts_second": at(2, "voids_per_100um"),
        "cuts_growth": at(2, "voids_per_100um") / (at(1, "voids_per_100um") or math.nan),
        "width_first_um": at(1, "mean_width_um"),
        "coalescing_mAh_cm2": of("coalescence"),
        "cuts_left": float(cuts[-1] / cuts.max()) if cuts.max() else math.nan,
        "lost90_mAh_cm2": lost90,
        "gap_mAh_cm2": of("gap"),
        "risen_mAh_cm2": of("rise"),
        "steepness": steepness,
        "begun_overpotential_V": float(volts[np.argmax(begun)]),
        "concentration_max_V": float(samples["concentration_V"][early].max()),
        "concentration_first_V": at(1, "concentration_V"),
        "first_split_mAh_cm2": of("split") if "splits" in samples else math.nan,
    }


def population_of(run: PopulationRun) -> dict[str, float]:
    """Numbers of a population: those of `voids_of`, and of its Mg.

    ``mg_intensity`` is the Mg of the first `SCAN_um` over that of the alloy at the end of the run;
    it is there where there is Mg.
    """
    out, alloy = voids_of(run.samples, run.stop_reason), run.run["system"]["mg_fraction"]
    if alloy:
        seen = run.magnesium().line_scan([SCAN_um / 2], SCAN_um)
        out["mg_intensity"] = float(seen[0]) / alloy
    return out


def box_of(t: Trajectory) -> dict[str, float]:
    """Numbers of a box of atoms.

    Events of its voids, ``splits``, ``collapses``, ``coalescences`` and ``nucleations``, and
    ``end_mg_coverage``, the share of the sites of L1, where there is Mg.
    """
    events = voids(t).events
    kinds = events["kind"].value_counts() if len(events) else {}
    seen = ("split", "collapse", "coalescence", "nucleation")
    out = {f"{kind}s": float(kinds.get(kind, 0)) for kind in seen}
    if "Mg" in t.species:
        out["end_mg_coverage"] = float(profiles(t).interface["mg_coverage"].iloc[-1])
    return out


def deposition_of(run: TableRun) -> dict[str, float]:
    """Numbers of a deposition.

    ``coverage_1``, ``coverage_3``, ``roughness_3`` and ``highest_3`` (layers), at one and three
    monolayers of the first plating. ``dead_percent``: dead atoms over all plated. By Aurbach's
    protocol ``lost_percent`` and, apart, ``formation_lost_percent``: 100 % less the efficiency.
    ``covered_islands``, ``covered_between``: shares of the islands and of the substrate between
    them covered at the end. NaN where a run ends before.
    """
    s = run.samples
    # Later platings begin on what was left behind: the paper's images are of the first.
    first = s["step"] == s["step"][0]
    thickness = s["capacity_monolayers"][first]

    def at(monolayers: float, column: str) -> float:
        # A run that ended earlier must not count with its last row.
        if thickness.max() < monolayers - 1e-6:
            return math.nan
        return float(np.interp(monolayers, thickness, s[column][first]))

    def lost(efficiency: float | None) -> float:
        return math.nan if efficiency is None else 100 * (1 - efficiency)

    efficiency_of = aurbach_of(run) if "protocol" in run.run else None
    out = {
        "coverage_1": at(1.0, "coverage"),
        "coverage_3": at(3.0, "coverage"),
        "roughness_3": at(3.0, "roughness_layers"),
        "highest_3": at(3.0, "max_height_layers"),
        "dead_percent": 100 * float(s["dead_per_plated"][-1]),
        "lost_percent": lost(efficiency_of and efficiency_of.efficiency),
        "formation_lost_percent": lost(efficiency_of and efficiency_of.formation),
    }
    islands = run.constants["substrate"] == 1
    if islands.any():
        covered = run.frames["occupied"][-1][0] > 0
        out["covered_islands"] = float(covered[islands].mean())
        out["covered_between"] = float(covered[~islands].mean())
    return out


NO_CREEP = 0.78  # of their first area: pores of the cathode paper that reopen without creep


def cathode_of(run: TableRun) -> dict[str, float]:
    """Numbers of a cathode.

    ``cycles``; each contact ratio and stress, lithiated, in the first and in the last cycle
    (``_first``, ``_last``), and the difference (``_change``). Of the first pores, over their area
    at the start: still open, delithiated in the first cycle (``pores_delithiated``), and that less
    the same lithiated (``pores_change``). Of single pores the share open to less than `NO_CREEP`
    after the first cycle (``pores_below``), and that shrank while delithiated
    (``pores_shrinking``). ``thickness_change`` from the start to the end of the last cycle.
    """
    s = run.samples
    phases = s["phase"] == 1, s["phase"] == 2
    out = {"cycles": float(s["cycle"].max())}
    for name in _CATHODE:
        values = s[name][phases[0]]
        first, last = float(values[0]), float(values[-1])
        out |= {f"{name}_first": first, f"{name}_last": last, f"{name}_change": last - first}
    rows = [int(np.flatnonzero(phase)[0]) for phase in phases]
    frames = [int(np.flatnonzero(run.frames["sample"] == row)[0]) for row in rows]
    opened = np.stack([run.frames["open_area"][frame] for frame in frames])
    # Files of before the refinement of sites have none.
    cut = run.run["cathode"].get("refinement", 1)
    # A refined pore is one pore still: its sites are counted together.
    full, empty = single_pores(run.constants["material"], opened, cut)
    before, after = (float(s["pore_area"][row]) for row in rows)
    if "thickness" in s:
        out["thickness_change"] = float(s["thickness"][-1] / s["thickness"][0] - 1)
    return out | {
        "pores_delithiated": after,
        "pores_change": after - before,
        "pores_below": float((empty < NO_CREEP).mean()),
        "pores_shrinking": float((empty < full).mean()),
    }


_CATHODE = (
    *("contact_active_active", "contact_active_frame"),
    *("stress_active_GPa", "stress_frame_GPa", "stress_active_99_GPa"),
)
_NUMBERS: dict[str, Callable[[Any], dict[str, float]]] = {
    "electrode": box_of,
    "population": population_of,
    "deposition": deposition_of,
    "cathode": cathode_of,
}
