"""`kmc nucleation`: everything about nucleation at one interface, from a run or a parameter set."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kmc.errors import InputError
from kmc.mesoscale.burst import HOUR_S, Burst, nucleation_burst
from kmc.mesoscale.capture import Transport
from kmc.mesoscale.clusters import WALKERS, ClusterFreeEnergies, cluster_free_energies
from kmc.mesoscale.conditions import Conditions, conditions_of
from kmc.mesoscale.nucleation import NucleationModel, classical_barrier_kT
from kmc.mesoscale.quenched import QuenchedMaps, quenched_maps
from kmc.mesoscale.surface import Surface
from kmc.progress import Progress, progress_for

if TYPE_CHECKING:
    import xarray

CURRENTS_mA_cm2 = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
PREFACTORS = (0.1, 10.0)
GAMMA_FACTORS = (0.9, 1.1)
_SELF_DIFFUSION_cm2_s = 5.7e-11  # of Li at 25 °C, measured; from memory
_CORRELATION = 0.7272  # of the vacancy mechanism in bcc


@dataclass(frozen=True)
class Scan:
    """Bursts against the current, and what the doubtful inputs do to them.

    Attributes
    ----------
    current_mA_cm2 : ndarray, shape (n,)
    bursts : list of Burst
    density_low, density_high : ndarray, shape (n,)
        Per µm²: extremes over a factor of 10 in the prefactor either way and ±10 % in γ.
    by_variation : dict of str to ndarray
        Densities per µm² with one input changed.
    """

    current_mA_cm2: np.ndarray
    bursts: list[Burst] = field(repr=False)
    by_variation: dict[str, np.ndarray] = field(repr=False)

    @property
    def density_per_um2(self) -> np.ndarray:
        return np.array([burst.density_per_um2 for burst in self.bursts])

    @property
    def density_low(self) -> np.ndarray:
        return np.min([self.density_per_um2, *self.by_variation.values()], axis=0)

    @property
    def density_high(self) -> np.ndarray:
        return np.max([self.density_per_um2, *self.by_variation.values()], axis=0)


@dataclass(frozen=True)
class Nucleation:
    """Nucleation at one interface: Z_n, W(S), I(S), the burst, and what it rests on.

    Attributes
    ----------
    conditions : Conditions
    model : NucleationModel
        `model.free` holds ln Z_n, `model.rate_per_cm2_s(S)` the rate.
    burst : Burst
        At the conditions' current.
    scan : Scan
        Against the current.
    threshold_mA_cm2 : float
        Current below which less than one void per cm² nucleates in an hour.
    quenched : QuenchedMaps or None
        Single arrangements of Mg.
    by_coverage : list of Nucleation
        The same at other coverages of L1, where asked for.
    by_temperature : list of Nucleation
        The same at other temperatures, where asked for.
    """

    conditions: Conditions
    model: NucleationModel
    burst: Burst
    scan: Scan
    threshold_mA_cm2: float
    threshold_S: float
    quenched: QuenchedMaps | None = field(default=None, repr=False)
    by_coverage: list[Nucleation] = field(default_factory=list, repr=False)
    by_temperature: list[Nucleation] = field(default_factory=list, repr=False)

    @property
    def free(self) -> ClusterFreeEnergies:
        return self.model.free

    def __repr__(self) -> str:
        c, b = self.conditions, self.burst
        return (
            f"Nucleation {c.name}, {c.lattice}, {c.temperature_K:g} K: "
            f"{b.density_per_um2:.3g} voids per µm² at {c.current_mA_cm2:g} mA/cm², S = {b.S:.3g}"
        )

    def statements(self) -> list[str]:
        """What must stand beside the results: which assumptions they rest on."""
        c, model, burst = self.conditions, self.model, self.burst
        lines = [
            "Homogeneous nucleation is a property of this parameter set, and flaws of the "
            "interface are its rival: unbonded patches start voids at a lower S."
        ]
        parameters = c.parameters
        if parameters.has("work_of_adhesion_J_m2"):
            angle = parameters.value("contact_angle_deg")
            gamma = _gamma_of_adhesion(parameters.value("work_of_adhesion_J_m2"), angle)
            omega = model.transport.surface.site_volume_cm3
            barrier = classical_barrier_kT(gamma, angle, omega, c.temperature_K, burst.S_steady)
            lines.append(
                f"With the DFT's own γ = {gamma:.3f} J/m² and {angle:g}° classical theory has a "
                f"barrier of {barrier:.0f} kT even at the S = {burst.S_steady:.3g} of an interface "
                "without voids: none would nucleate."
            )
        transport = model.transport
        film, layers = min((transport.surface.film_eV(k), k) for k in range(1, 9))
        if film < 0:
            lines.append(
                f"This set does not wet {c.lattice}: {layers} vacant layers cost {film:.3f} eV per "
                "L1 site. Voids spread as films; γ, aspect and the law beyond the sampled sizes "
                "have no meaning there, and large voids are more stable than the law says."
            )
        product = transport.diffusivity_cm2_s * transport.bulk_vacancies
        measured = 1 + (burst.S_steady - 1) * product / (_SELF_DIFFUSION_cm2_s / _CORRELATION)
        if abs(c.temperature_K - 298.15) < 0.5:
            lines.append(
                f"With the measured self-diffusion of lithium ({_SELF_DIFFUSION_cm2_s:g} cm²/s, "
                f"from memory) S without voids is {measured:.2g} in place of "
                f"{burst.S_steady:.3g}: none either."
            )
        lines.append(
            f"ln S shows as a voltage, kT ln S/e: {1e3 * model.voltage_V(burst.S):.0f} mV at the "
            f"burst, {1e3 * model.voltage_V(burst.S_steady):.0f} mV without voids. A cell that "
            "shows no such peak contradicts homogeneous nucleation with this set."
        )
        return lines

    def to_json(self) -> dict[str, Any]:
        """Everything as plain data."""
        from kmc.mesoscale.report import nucleation_json

        return nucleation_json(self)

    def to_xarray(self) -> xarray.Dataset:
        """ln Z_n, S_eq(n), W(S, n) and the scan of currents as one dataset."""
        from kmc.mesoscale.report import nucleation_dataset

        return nucleation_dataset(self)

    def plot(self) -> Any:
        """The picture of `kmc nucleation`; shows itself in a notebook."""
        from kmc.analysis.pictures import draw

        return draw("nucleation_picture", self)


def _gamma_of_adhesion(work_J_m2: float, angle_deg: float) -> float:
    """γ of the metal by Young and Dupré, W = γ (1 + cos θ)."""
    return work_J_m2 / (1 + math.cos(math.radians(angle_deg)))


class _Part:
    """A share of a progress bar."""

    def __init__(self, bar: Progress, low: float, high: float):
        self.bar, self.low, self.high = bar, low, high

    def __enter__(self) -> _Part:
        return self

    def __exit__(self, *problem: object) -> None:
        pass

    def update(self, fraction: float, text: str) -> None:
        self.bar.update(self.low + (self.high - self.low) * fraction, text)


# --- the study ------------------------------------------------------------------------------------


def nucleation(
    source: str | Path = "li_li2s",
    *,
    lattice: str | None = None,
    temperature_K: float | None = None,
    mg_coverage: float | None = None,
    mg_fraction: float | None = None,
    current_mA_cm2: float | None = None,
    thickness_um: float | None = None,
    n_max: int = 60,
    seed: int = 1,
    walkers: int = WALKERS,
    steps: int | None = None,
    capture: str = "field",
    currents_mA_cm2: Sequence[float] = CURRENTS_mA_cm2,
    coverages: Sequence[float] = (),
    temperatures_K: Sequence[float] = (),
    maps: int | None = None,
    progress: bool | Progress = True,
) -> Nucleation:
    """Free energies of clusters, nucleation at the true rates, and its burst under a current.

    Parameters
    ----------
    source : str or Path
        A run (its temperature, lattice, current, thickness and Mg are taken) or a parameter set.
    lattice, temperature_K, current_mA_cm2, thickness_um : optional
        In place of the run's, or of bcc_100, 298.15 K, 0.5 mA/cm² and 100 µm.
    mg_coverage, mg_fraction : float, optional
        Share of Mg in L1 alone, and in all other layers.
    n_max : int
        Largest cluster that is sampled.
    seed, walkers, steps
        As for `kmc.mesoscale.clusters.cluster_free_energies`.
    capture : {"field", "sum"}
        How voids take up vacancies, see `kmc.mesoscale.capture`.
    currents_mA_cm2 : sequence of float
        Of the scan.
    coverages, temperatures_K : sequence of float
        Repeat everything at these coverages of L1 (with shorter walks) and temperatures.
    maps : int, optional
        Single arrangements of Mg that are sampled too; 6 by default where there is Mg, 0 for none.
    progress : bool or Progress

    Raises
    ------
    InputError
        Anything that cannot be used.
    """
    found = conditions_of(source)
    changes = {
        "lattice": lattice,
        "temperature_K": temperature_K,
        "mg_coverage": mg_coverage,
        "mg_fraction": mg_fraction,
        "current_mA_cm2": current_mA_cm2,
        "thickness_um": thickness_um,
    }
    given = {key: value for key, value in changes.items() if value is not None}
    conditions = Conditions(**{**found.__dict__, **given})
    _check(conditions, currents_mA_cm2)
    others = [Conditions(**{**conditions.__dict__, "mg_coverage": x}) for x in coverages]
    others += [Conditions(**{**conditions.__dict__, "temperature_K": T}) for T in temperatures_K]
    for other in others:
        _surface(other)
    options = {"n_max": n_max, "seed": seed, "capture": capture, "currents": currents_mA_cm2}
    share = 1.0 / (1.0 + 0.4 * len(others))
    bar = progress_for("nucleation", progress)
    with bar:
        main = _study(
            conditions, **options, walkers=walkers, steps=steps, maps=maps, bar=_Part(bar, 0, share)
        )
        more = []
        for k, other in enumerate(others):
            low = share + (1 - share) * k / len(others)
            part = _Part(bar, low, low + (1 - share) / len(others))
            fewer = max(2, walkers // 2)
            less = (steps or 80_000 * n_max) // 2
            more.append(_study(other, **options, walkers=fewer, steps=less, maps=0, bar=part))
    n = len(coverages)
    return Nucleation(
        **{**main.__dict__, "by_coverage": more[:n], "by_temperature": more[n:]},
    )


def _surface(c: Conditions) -> Surface:
    return Surface(c.parameters, c.lattice, c.temperature_K, c.mg_coverage, c.mg_fraction)


def _check(c: Conditions, currents) -> None:
    _surface(c)
    if c.parameters.has("pair_bond_eV"):
        raise InputError(
            f"the parameter set {c.parameters.name} is a plain lattice gas without an interface",
            advice="Use a set with interface energies, such as li_li2s.",
        )
    for value in (c.current_mA_cm2, *currents):
        if not (math.isfinite(value) and 0 < value <= 1e6):
            raise InputError(
                f"current_mA_cm2 = {value} is out of range",
                advice="Give a stripping current density above 0 mA/cm².",
            )
    if not (math.isfinite(c.thickness_um) and 1e-3 <= c.thickness_um <= 1e6):
        raise InputError(
            f"thickness_um = {c.thickness_um} is out of range",
            advice="Give 0.001 to 1e6 µm of metal between the interface and the sink.",
        )


def _study(conditions, *, n_max, seed, capture, currents, walkers, steps, maps, bar) -> Nucleation:
    surface = _surface(conditions)
    part = _Part(bar, 0.0, 0.5 if surface.has_mg else 0.75)
    free = cluster_free_energies(
        surface, n_max=n_max, seed=seed, walkers=walkers, steps=steps, progress=part
    )
    model = NucleationModel(free, Transport(surface, capture=capture))
    quenched = None
    if surface.has_mg and maps != 0:
        options = {} if maps is None else {"maps": maps}
        part = _Part(bar, 0.5, 0.85)
        quenched = quenched_maps(free, seed=seed, progress=part, **options)
    bar.update(0.85 if surface.has_mg else 0.75, "the burst")
    burst = nucleation_burst(model, conditions.current_mA_cm2, conditions.thickness_um)
    scan = _scan(model, conditions, currents, bar)
    threshold_S = model.S_at_rate(1.0 / HOUR_S)
    one = model.transport.supersaturation(1.0, conditions.thickness_um * 1e-4) - 1.0
    return Nucleation(
        conditions=conditions,
        model=model,
        burst=burst,
        scan=scan,
        threshold_mA_cm2=(threshold_S - 1.0) / one,
        threshold_S=threshold_S,
        quenched=quenched,
    )


def _scan(model: NucleationModel, conditions: Conditions, currents, bar) -> Scan:
    def densities(varied):
        found = []
        for j in currents:
            found.append(nucleation_burst(varied, j, conditions.thickness_um))
        return found

    variations = {f"prefactor × {factor:g}": {"prefactor": factor} for factor in PREFACTORS}
    variations |= {f"γ × {factor:g}": {"gamma_factor": factor} for factor in GAMMA_FACTORS}
    plain = densities(model)
    by_variation = {}
    for k, (name, change) in enumerate(variations.items()):
        bar.update(0.88 + 0.03 * k, f"bursts with {name}")
        found = densities(model.varied(**change))
        by_variation[name] = np.array([burst.density_per_um2 for burst in found])
    return Scan(np.array(currents, dtype=float), plain, by_variation)
