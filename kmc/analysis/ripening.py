"""Ripening of voids during a rest: large ones grow at the expense of small ones (Gibbs–Thomson).

Lens-shaped voids on an interface that exchange vacancies along it have r³ ∝ t where the exchange
across their rim is the slow step, since r² dr/dt ∝ r · (1/r), and r⁴ ∝ t where diffusion between
them is, since r² dr/dt ∝ 1/r (Chakraverty, J. Phys. Chem. Solids, 1967, for grains on a
substrate); through the bulk it is r² and r³ (Lifshitz, Slyozov, Wagner).
"""

from dataclasses import dataclass

import numpy as np
import scipy

from kmc.analysis import voids
from kmc.common.figures import drawn
from kmc.common.late import pandas as pd
from kmc.common.progress import FrameProgress
from kmc.common.units import A_per_nm
from kmc.errors import InputError
from kmc.files.frame_selection import each_frame
from kmc.files.reader import Trajectory

_FEWEST = 3  # voids at the end that a mean size needs
_MIN_GROWTH = 1.5  # of the mean radius; r^n for n = 2, 3, 4 cannot be distinguished below it


@dataclass(frozen=True)
class Ripening:
    """Void sizes during a rest; made by `measure`.

    To see by which law voids coarsen without current, in a run with a ``[rest]``.

    - `table`: one row for each frame of the rest: rest_s, voids, mean_radius_nm (of the sphere of
      each void's volume), largest_sites, vacancies_in_voids.
    - `volumes` (list of ndarray): vacancies of each void, frame by frame.
    - `exponent`, `exponent_error`: m of r = r0 (1 + t/τ)^m with its standard error; NaN where no
      fit is possible. Expected are 1/4 (diffusion along the interface) or 1/3 (exchange at the
      rim).
    - `growth`: mean radius at the end over that at the beginning.
    - `measurable`: whether the mean radius grew enough, and enough voids are left, for an exponent.
    - `scaling`: whether, besides, the exponent is within two standard errors of 1/4 or 1/3, or
      between them.
    """

    table: "pd.DataFrame"
    volumes: list[np.ndarray]
    exponent: float
    exponent_error: float
    growth: float

    @property
    def measurable(self) -> bool:
        # The mean of one or two voids follows each of them, and no law of many.
        few = self.table["voids"].iloc[-1] < _FEWEST
        return bool(self.growth >= _MIN_GROWTH and not few and np.isfinite(self.exponent))

    @property
    def scaling(self) -> bool:
        margin = 2 * self.exponent_error
        return self.measurable and 1 / 4 - margin <= self.exponent <= 1 / 3 + margin

    def plot(self):
        """Void sizes and mean radius against the time of the rest; a figure."""
        return drawn("ripening_picture", self)

    def __repr__(self) -> str:
        first, last = self.table.iloc[0], self.table.iloc[-1]
        text = f"exponent {self.exponent:.2f} ± {self.exponent_error:.2f}"
        if not self.measurable:
            text += ", not significant: too little growth or too few voids"
        elif not self.scaling:
            text += ", outside the 1/4 to 1/3 of the scaling regime"
        return (
            f"Ripening over {last.rest_s:.3g} s: {first.voids:.0f} voids to {last.voids:.0f}, mean "
            f"radius {first.mean_radius_nm:.3g} nm to {last.mean_radius_nm:.3g} nm; {text}"
        )


def measure(
    t: Trajectory,
    *,
    min_size: int = voids.DEFAULT_MIN_SIZE,
    progress: FrameProgress | None = None,
) -> Ripening:
    """Void sizes during the rest of a run.

    - `t`: of a run with a ``[rest]``.
    - `min_size`: smallest number of connected vacancies of a void.
    - `progress`: called with the number of frames done and to do.

    Raises `InputError`: the run has no rest with at least two frames.
    """
    phase = t.samples["phase"] if "phase" in t.samples else np.zeros(len(t.samples))
    # The last row with current is the beginning of the rest: its frame is the first of it.
    stripped_until_s = t.samples["time_s"][phase == 0][-1] if (phase > 0).any() else np.inf
    chosen = np.flatnonzero(t.frames.time_s >= stripped_until_s)
    if len(chosen) < 2:
        raise InputError(
            f"{t.path} has no rest with two frames",
            advice="Give the run a [rest] with time_s, and frame_every_s where 10 are too few.",
        )
    rows, volumes = [], []
    site_nm3 = float(np.prod(t.lattice.box_A)) / t.lattice.n_sites / A_per_nm**3
    for frame in each_frame(t, chosen, progress):
        sizes = np.array([v.volume for v in voids.find(frame.occupancy, t.lattice, min_size)])
        # Of the sphere of the same volume, which does not depend on the facets of a void.
        radii = np.cbrt(3 * sizes * site_nm3 / (4 * np.pi))
        volumes.append(sizes)
        rows.append(
            {
                "rest_s": frame.time_s - stripped_until_s,
                "voids": len(sizes),
                "mean_radius_nm": radii.mean() if len(radii) else np.nan,
                "largest_sites": sizes.max(initial=0),
                "vacancies_in_voids": sizes.sum(),
            }
        )
    table = pd.DataFrame(rows)
    populated = table[table["voids"] > 0]
    growth = np.nan
    if len(populated):
        growth = populated["mean_radius_nm"].iloc[-1] / populated["mean_radius_nm"].iloc[0]
    return Ripening(table, volumes, *_fit(populated), growth)


def _fit(table: "pd.DataFrame") -> tuple[float, float]:
    """Exponent of r = r0 (1 + t/τ)^m by least squares, and its standard error."""
    if len(table) < 5:
        return np.nan, np.nan
    time_s, radius = table["rest_s"].to_numpy(), table["mean_radius_nm"].to_numpy()

    # τ is free, as the rest begins with voids that have a size already: without it t^m would
    # have to hold from zero size on. In logarithms, as errors of a mean radius are relative ones.
    def law(time_s, log_r0, log_tau, exponent):
        return log_r0 + exponent * np.log1p(time_s / np.exp(log_tau))

    guess = (np.log(radius[0]), np.log(time_s[-1] / 10), 0.3)
    low, high = (-10, np.log(time_s[-1]) - 15, 0), (10, np.log(time_s[-1]) + 5, 2)
    try:
        points = law, time_s, np.log(radius), guess
        fitted, covariance = scipy.optimize.curve_fit(*points, bounds=(low, high))
    except (RuntimeError, ValueError):
        return np.nan, np.nan
    return float(fitted[2]), float(np.sqrt(covariance[2, 2]))
