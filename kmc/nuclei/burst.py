"""The burst of nucleation under a current: how many voids, at which S, and when.

Vacancies made by the current j spread into the metal, ∂c/∂t = D_v [∂²c/∂z² − κ² (c − c_eq)] with
a perfect sink at z = L and sinks of the depth 1/κ on the way, fill the sites of L1 (c_i N_s of
them), end at the interface (K/λ), and are taken up by clusters, whose numbers follow Becker and
Döring's equations in time from single vacancies to the largest voids. When voids take up what the
current makes, S falls and nucleation ends by itself; at z = 0

    j/e = d(N_s Z_1 S)/dt − D_v ∂c/∂z + (S − 1) K/λ + Σ_n (vacancies bound by clusters of n).

Nothing is assumed about a critical size; clusters of every size are captured by, and release to,
the mean S of the interface.
"""

import math
from dataclasses import dataclass, field

import numpy as np

from kmc.errors import InputError
from kmc.kernels import becker_doering as kernel
from kmc.model.electrochemistry import flux_per_cm2_s
from kmc.model.sinks import sink_distance
from kmc.nuclei.nucleation import NucleationModel

UNIT_SIZES = 120  # sizes 1, 2, 3, … before the grid widens
_GROWTH = 0.03  # share by which sizes grow from one grid point to the next beyond
_LARGEST = 1e12  # vacancies
_DEPTH_POINTS = 160
_FIRST_DEPTH = 1e-6  # of the first cell, in units of L
_DEEPEST = 30.0  # of the metal, in lengths 1/κ or in those that vacancies diffuse in the time given
_FIRST_STEP_S = 1e-10
_STEP_LN_S = 0.004  # change of ln S in one step
_STEP_TIME = 0.03  # growth of the time step
_MAX_STEPS = 20_000
HOUR_S = 3600.0
_NUMBERS = (
    *("current_mA_cm2", "thickness_um", "density_per_um2", "S", "time_s"),
    *("critical_size", "end_s", "S_steady"),
)


def finite(value: float) -> float | None:
    """A float as JSON has it: None where it is not finite."""
    return float(value) if math.isfinite(value) else None


@dataclass(frozen=True)
class Burst:
    """The burst of nucleation at one current."""

    current_mA_cm2: float
    thickness_um: float
    #: Largest number of voids, clusters beyond the critical size of the moment.
    density_per_um2: float
    S: float  #: largest activity reached
    time_s: float  #: when it was reached
    critical_size: float  #: n* at that S
    end_s: float  #: when 99 % of the voids had formed
    S_steady: float  #: activity without voids, 1 + (j/e)/(K/λ + K κ coth κL)
    #: The course of it, with the next two; shape (n_steps,).
    times_s: np.ndarray = field(repr=False)
    activity: np.ndarray = field(repr=False)
    voids_per_um2: np.ndarray = field(repr=False)
    mean_size: np.ndarray = field(repr=False)  #: vacancies per void; shape (n_steps,)

    def to_json(self) -> dict[str, float | None]:
        """The numbers as plain data; None where one is not finite."""
        return {key: finite(getattr(self, key)) for key in _NUMBERS}


def population(model: NucleationModel, coarseness: float = 1.0) -> kernel.Sizes:
    """Clusters of all sizes, from single vacancies to voids of `_LARGEST`, in equilibrium at S = 1.

    `coarseness` widens the grid of sizes.
    """
    grid = list(np.arange(1.0, max(UNIT_SIZES, model.free.n_max) + 1))
    while grid[-1] < _LARGEST:
        grid.append(grid[-1] + max(1.0, math.floor(grid[-1] * _GROWTH * coarseness)))
    size = np.array(grid)
    gap = np.append(np.diff(size), 1.0)
    width = np.ones_like(size)
    # A grid point stands for all sizes halfway to its neighbours.
    width[1:-1] = (size[2:] - size[:-2]) / 2
    width[-1] = gap[-2]
    ln_Z = model.ln_Z(size)
    sites = model.transport.L1_density_cm2
    # Below e^-600 a double is 0 anyway; −inf keeps exp from warning.
    number = sites * np.exp(np.where(ln_Z > -600.0, ln_Z, -np.inf)) * width
    return kernel.Sizes(
        size=size,
        gap=gap,
        width=width,
        ln_Z=ln_Z,
        # Growth of a wide class is that of the void in the middle of the step.
        capture=model.capture_per_s(size + (gap - 1) / 2),
        sites=sites,
        lone=sites * math.exp(ln_Z[0]) * model.transport.surface.parameters.entropy_factor,
        number=number,
        after=np.zeros_like(size),
        flux=np.zeros_like(size),
        upper=np.zeros_like(size),
        forward=np.zeros_like(size),
    )


def metal(
    diffusivity_cm2_s: float,
    per_cm3: float,
    thickness_cm: float,
    sink_length_cm: float = math.inf,
    sink_depth_cm: float = math.inf,
) -> kernel.Depths:
    """Layers of the metal at S = 1, thin at the interface; `per_cm3` vacancies at S = 1."""
    # Geometric: S changes within nanometres after a nanosecond, over the whole metal in the end.
    edges = np.geomspace(_FIRST_DEPTH, 1.0, _DEPTH_POINTS) * thickness_cm
    edges = np.concatenate(([0.0], edges))
    centres = (edges[1:] + edges[:-1]) / 2
    apart = np.diff(np.concatenate(([0.0], centres, [thickness_cm])))
    return kernel.Depths(
        held=per_cm3 * np.diff(edges),
        conductance=per_cm3 * diffusivity_cm2_s / apart,
        lost=per_cm3 * diffusivity_cm2_s * np.diff(edges) / sink_depth_cm**2,
        lost_at_interface=per_cm3 * diffusivity_cm2_s / sink_length_cm,
        activity=np.ones_like(centres),
        fixed=np.zeros_like(centres),
        free=np.zeros_like(centres),
        upper=np.zeros_like(centres),
    )


def nucleation_burst(
    model: NucleationModel,
    current_mA_cm2: float,
    thickness_um: float,
    *,
    sink_length_um: float = math.inf,
    sink_depth_um: float = math.inf,
    longest_s: float = HOUR_S,
    coarseness: float = 1.0,
) -> Burst:
    """Switch a current on at S = 1 and follow the interface until nucleation has ended.

    - `current_mA_cm2`, `thickness_um`: j, and L, which may be infinite where there is another sink.
    - `sink_length_um`, `sink_depth_um`: λ of the interface and 1/κ of the metal as sinks; infinite
      for none.
    - `longest_s`: when it ends at the latest.
    - `coarseness`: widens the steps in time and size; densities are 1 % low at 1 and 3 % at 2.

    Raises `InputError`: current, thickness or a sink out of range, or no sink at all.
    """
    sinks_um = {"sink_length": sink_length_um, "sink_depth": sink_depth_um}
    distance_um = sink_distance(thickness_um, **sinks_um)
    bounded = {"current": current_mA_cm2, "the distance of the nearest sink": distance_um}
    for name, value in {**bounded, "thickness": thickness_um, **sinks_um}.items():
        if not value > 0 or (name in bounded and math.isinf(value)):
            raise InputError(f"{name} = {value} is out of range", advice="Give one above 0.")
    transport = model.transport
    flux = flux_per_cm2_s(current_mA_cm2, transport.surface.parameters.valence)
    diffusivity = transport.diffusivity_cm2_s
    per_cm3 = transport.site_density_cm3 * transport.bulk_vacancies
    # Deeper than vacancies come, metal makes no difference, and a grid of finite depth will do.
    reach_cm = min(sink_depth_um * 1e-4, math.sqrt(diffusivity * longest_s))
    depth_cm = thickness_um * 1e-4
    if math.isfinite(min(sinks_um.values())):
        depth_cm = min(depth_cm, _DEEPEST * reach_cm)
    depths = metal(diffusivity, per_cm3, depth_cm, sink_length_um * 1e-4, sink_depth_um * 1e-4)
    rows = np.zeros((_MAX_STEPS, 4))
    n_rows = kernel.follow(
        population(model, coarseness),
        depths,
        flux,
        _FIRST_STEP_S,
        _STEP_LN_S * coarseness,
        _STEP_TIME * coarseness,
        float(longest_s),
        rows,
    )
    times, activity, count, bound = rows[:n_rows].T
    top = int(np.argmax(activity))
    most = float(count.max())
    # Not the last row: voids go on dissolving and growing long after the last one began.
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
        S_steady=transport.supersaturation(current_mA_cm2, distance_um * 1e-4),
        times_s=times,
        activity=activity,
        voids_per_um2=count * 1e-8,
        mean_size=mean_size,
    )
