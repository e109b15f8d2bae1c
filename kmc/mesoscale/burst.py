"""The burst of nucleation under a current: how many voids, at which S, and when.

Vacancies made by the current j spread into the metal, ∂c/∂t = D_v ∂²c/∂z² with a sink at z = L,
fill the sites of L1 (c_i N_s of them), and are taken up by clusters, whose numbers follow Becker and
Döring's equations in time from single vacancies to the largest voids. When voids take up what the
current makes, S falls and nucleation ends by itself:

    j/e = d(N_s Z_1 S)/dt − D_v ∂c/∂z + Σ_n (vacancies bound by clusters of n)      at z = 0.

Nothing is assumed about a critical size; clusters of every size are captured by, and release to, the
mean S of the interface.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from kmc.errors import InputError
from kmc.kernels.becker_doering import step as population_step
from kmc.mesoscale.nucleation import NucleationModel
from kmc.units import E_C

if TYPE_CHECKING:
    import xarray

UNIT_SIZES = 120  # sizes 1, 2, 3, … before the grid widens
_GROWTH = 0.03  # share by which sizes grow from one grid point to the next beyond
_LARGEST = 1e12  # vacancies
_DEPTH_POINTS = 160
_FIRST_DEPTH = 1e-9  # of the first cell, in units of L
_FIRST_STEP_S = 1e-10
_STEP_LN_S = 0.004  # change of ln S in one step
_STEP_TIME = 0.03  # growth of the time step
_MOST_STEPS = 60_000
HOUR_S = 3600.0


@dataclass(frozen=True)
class Burst:
    """The burst of nucleation at one current.

    Attributes
    ----------
    current_mA_cm2, thickness_um : float
    density_per_um2 : float
        Largest number of voids: of clusters beyond the critical size of the moment.
    S : float
        Largest activity reached.
    time_s : float
        When it was reached.
    critical_size : float
        n* at that S.
    end_s : float
        When 99 % of the voids had formed.
    S_steady : float
        Activity without voids, 1 + j L/(e ρ D_v c_eq).
    times_s, activity, voids_per_um2 : ndarray, shape (n_steps,)
        The course of it.
    mean_size : ndarray, shape (n_steps,)
        Vacancies per void.
    """

    current_mA_cm2: float
    thickness_um: float
    density_per_um2: float
    S: float
    time_s: float
    critical_size: float
    end_s: float
    S_steady: float
    times_s: np.ndarray = field(repr=False)
    activity: np.ndarray = field(repr=False)
    voids_per_um2: np.ndarray = field(repr=False)
    mean_size: np.ndarray = field(repr=False)

    def to_xarray(self) -> xarray.Dataset:
        """Course of S, voids and their mean size in time."""
        import xarray as xr

        columns = {
            "S": (self.activity, "1", "activity of vacancies at the interface"),
            "density": (self.voids_per_um2, "1/µm2", "voids"),
            "mean_size": (self.mean_size, "1", "vacancies per void"),
        }
        return xr.Dataset(
            {n: ("time", v, {"units": u, "long_name": text}) for n, (v, u, text) in columns.items()},
            coords={"time": ("time", self.times_s, {"units": "s"})},
            attrs={
                "current_mA_cm2": self.current_mA_cm2,
                "thickness_um": self.thickness_um,
                "density_per_um2": self.density_per_um2,
                "S_largest": self.S,
                "time_s": self.time_s,
                "S_steady": self.S_steady,
            },
        )


class Population:
    """Numbers of clusters by size, from single vacancies to voids of `_LARGEST`.

    Parameters
    ----------
    model : NucleationModel
    coarseness : float
        Widens the grid of sizes.
    """

    def __init__(self, model: NucleationModel, coarseness: float = 1.0):
        self.model = model
        unit = max(UNIT_SIZES, model.free.n_max)
        sizes = list(np.arange(1.0, unit + 1))
        while sizes[-1] < _LARGEST:
            gap = max(1.0, math.floor(sizes[-1] * _GROWTH * coarseness))
            sizes.append(sizes[-1] + gap)
        self.size = np.array(sizes)
        self.gap = np.append(np.diff(self.size), 1.0)
        self.width = np.empty_like(self.size)
        self.width[1:-1] = (self.size[2:] - self.size[:-2]) / 2
        self.width[0], self.width[-1] = 1.0, self.gap[-2]
        self.ln_Z = model.ln_Z(self.size)
        # Growth of a wide class is that of the void in the middle of the step.
        self.capture = model.capture_per_s(self.size + (self.gap - 1) / 2)
        self.sites = model.transport.L1_density_cm2
        self.number = self.sites * np.exp(np.maximum(self.ln_Z, -700.0)) * self.width
        self.number[self.ln_Z < -700.0] = 0.0
        self._after = np.empty_like(self.number)
        self._flux = np.empty_like(self.number)
        self._upper, self._forward = np.empty_like(self.number), np.empty_like(self.number)

    def try_step(self, S: float, dt: float) -> float:
        """Vacancies per cm² that clusters would bind in a step that ends at S."""
        return population_step(
            self.size,
            self.gap,
            self.width,
            self.ln_Z,
            self.capture,
            self.sites,
            S,
            dt,
            self.number,
            self._after,
            self._flux,
            self._upper,
            self._forward,
        )

    def accept(self) -> None:
        """Make the last step tried the present."""
        self.number, self._after = self._after, self.number

    def voids(self, S: float) -> tuple[float, float]:
        """Clusters per cm² beyond the critical size at S, and the vacancies in them."""
        if S <= 1.0:
            return 0.0, 0.0
        top = int(np.argmax(-self.ln_Z - self.size * math.log(S)))
        large = self.number[top + 1 :]
        return float(large.sum()), float(large @ self.size[top + 1 :])


class Metal:
    """Activity of vacancies against the depth, with a sink at L; implicit Euler.

    Parameters
    ----------
    diffusivity_cm2_s : float
    per_cm3 : float
        Vacancies per volume at S = 1.
    thickness_cm : float
    """

    def __init__(self, diffusivity_cm2_s: float, per_cm3: float, thickness_cm: float):
        edges = np.geomspace(_FIRST_DEPTH, 1.0, _DEPTH_POINTS) * thickness_cm
        edges = np.concatenate(([0.0], edges))
        centres = (edges[1:] + edges[:-1]) / 2
        self.held = per_cm3 * np.diff(edges)  # vacancies per area and unit of S
        apart = np.diff(np.concatenate(([0.0], centres, [thickness_cm])))
        self.conductance = per_cm3 * diffusivity_cm2_s / apart
        self.activity = np.ones_like(centres)
        self._dt = 0.0

    def prepare(self, dt: float) -> tuple[float, float]:
        """Flux into the metal (1/cm²/s) at the end of a step, as a + b S of the interface."""
        from scipy.linalg import solve_banded

        if dt != self._dt:
            below, above = self.conductance[:-1], self.conductance[1:]
            bands = np.zeros((3, len(self.held)))
            bands[1] = self.held / dt + below + above
            bands[0, 1:] = -above[:-1]
            bands[2, :-1] = -below[1:]
            self._bands, self._dt = bands, dt
        fixed = self.held / dt * self.activity
        fixed[-1] += self.conductance[-1]  # S = 1 at the sink
        free = np.zeros_like(fixed)
        free[0] = self.conductance[0]
        solved = solve_banded((1, 1), self._bands, np.column_stack((fixed, free)))
        self._fixed, self._free = solved.T
        return (
            -self.conductance[0] * self._fixed[0],
            self.conductance[0] * (1.0 - self._free[0]),
        )

    def accept(self, S: float) -> None:
        self.activity = self._fixed + self._free * S


def nucleation_burst(
    model: NucleationModel,
    current_mA_cm2: float,
    thickness_um: float,
    *,
    longest_s: float = HOUR_S,
    coarseness: float = 1.0,
) -> Burst:
    """Switch a current on at S = 1 and follow the interface until nucleation has ended.

    Parameters
    ----------
    model : NucleationModel
    current_mA_cm2, thickness_um : float
    longest_s : float
        When it ends at the latest.
    coarseness : float
        Widens the steps in time and size; densities are 1 % low at 1 and 3 % at 2.

    Raises
    ------
    InputError
        Current or thickness out of range.
    """
    for name, value in (("current", current_mA_cm2), ("thickness", thickness_um)):
        if not (math.isfinite(value) and value > 0):
            raise InputError(f"{name} = {value} is out of range", advice="Give one above 0.")
    transport = model.transport
    flux = current_mA_cm2 * 1e-3 / E_C
    per_cm3 = transport.site_density_cm3 * transport.bulk_vacancies
    thickness_cm = thickness_um * 1e-4
    metal = Metal(transport.diffusivity_cm2_s, per_cm3, thickness_cm)
    population = Population(model, coarseness)
    single = population.sites * math.exp(population.ln_Z[0])
    steady = transport.supersaturation(current_mA_cm2, thickness_cm)

    S, time, dt = 1.0, 0.0, _FIRST_STEP_S
    step_ln_S, step_time = _STEP_LN_S * coarseness, _STEP_TIME * coarseness
    rows: list[tuple[float, float, float, float]] = []
    for _ in range(_MOST_STEPS):
        a, b = metal.prepare(dt)
        new = _activity(population, S, dt, flux, single, a, b)
        change = abs(math.log(new / S))
        if change > 3 * step_ln_S and dt > _FIRST_STEP_S:
            dt /= 2
            continue
        population.accept()
        metal.accept(new)
        S, time = new, time + dt
        rows.append((time, S, *population.voids(S)))
        if time >= longest_s or _is_over(rows):
            break
        wanted = step_ln_S / max(change, 1e-12)
        dt *= min(max(wanted, 0.5), 1.0 + step_time)
        dt = min(dt, longest_s - time + 1e-9)
    return _burst_of(model, current_mA_cm2, thickness_um, steady, np.array(rows))


def _is_over(rows) -> bool:
    """Whether the voids have stopped becoming more, well after the largest S."""
    count = np.array([row[2] for row in rows[-300:]])
    if len(rows) < 300 or count[-1] <= 0.0:
        return False
    activity = np.array([row[1] for row in rows])
    top = int(np.argmax(activity))
    return bool(rows[-1][0] > 3 * rows[top][0] and count[-1] < 1.0001 * count[-40])


def _burst_of(model, current_mA_cm2, thickness_um, steady, rows) -> Burst:
    times, activity, count, bound = rows.T
    top = int(np.argmax(activity))
    most = float(count.max())
    end = int(np.argmax(count >= 0.99 * most))
    with np.errstate(invalid="ignore", divide="ignore"):
        mean_size = np.where(count > 0, bound / count, 0.0)
    return Burst(
        current_mA_cm2=current_mA_cm2,
        thickness_um=thickness_um,
        density_per_um2=most * 1e-8,
        S=float(activity[top]),
        time_s=float(times[top]),
        critical_size=model.critical_size(float(activity[top])),
        end_s=float(times[end]),
        S_steady=steady,
        times_s=times,
        activity=activity,
        voids_per_um2=count * 1e-8,
        mean_size=mean_size,
    )


def _activity(population, S, dt, flux, single, a, b) -> float:
    """S at the end of a step, from the balance of vacancies at the interface (secant)."""

    def excess(new):
        bound = population.try_step(new, dt)
        return flux - (single * (new - S) + bound) / dt - (a + b * new)

    low, high = S, S * (1 + 1e-6)
    f_low, f_high = excess(low), excess(high)
    for _ in range(30):
        slope = (f_high - f_low) / (high - low)
        new = high - f_high / slope
        new = min(max(new, 0.5 * high), 2.0 * high)
        low, f_low = high, f_high
        high, f_high = new, excess(new)
        if abs(high - low) <= 1e-10 * high or f_high == f_low:
            break
    return high
