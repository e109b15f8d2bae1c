"""Nucleation of voids at the true rates: work, critical size, rate, and vacancy pressure.

In equilibrium with vacancies of activity S an interface has N_n = N_s Z_n S^n clusters of n
vacancies per area; growth from n to n + 1 goes at the rate G_n S of each, with G_n the capture of
`kmc.nuclei.capture`. Becker and Döring's steady state (Ann. Phys. 416, 719 (1935),
10.1002/andp.19354160806) then is

    1/I = Σ_n 1/(β_n N_n),       β_n = G_n S,       W(S, n)/kT = −ln Z_n − n ln S.

Beyond the sizes that were sampled ln Z_n goes on as that of a cap, −ln Z_n = A n^(2/3) + B n^(1/3),
with A and B fitted; a cap of surface energy γ that fills the share F of its sphere has
A kT = (36π F)^(1/3) Ω^(2/3) γ, so the product γ F^(1/3) is measured, not put in.
"""

import math
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import scipy
from numpy.typing import ArrayLike

from kmc.common.units import K_B_J
from kmc.errors import InputError
from kmc.model.electrochemistry import concentration_overpotential_V, thermal_voltage_V
from kmc.nuclei.capture import VacancyTransport
from kmc.nuclei.clusters import ClusterFreeEnergies

ACTIVITIES = (10, 15, 20, 30, 50, 70, 100, 200, 500)  # S of the tables
FITTED_FROM = 10  # smallest n of the fits
LARGEST_CRITICAL = 100_000  # vacancies; S beyond which it lies nucleates nothing


@dataclass(frozen=True)
class CapLaw:
    """−ln Z_n = A n^(2/3) + B n^(1/3), and footprint = p n^(2/3) + q n^(1/3), for large n."""

    surface: float  #: A
    line: float  #: B
    foot_surface: float  #: p, L1 sites
    foot_line: float  #: q
    rms: float  #: scatter of −ln Z_n about the fit, as shells of sites that fill one by one

    @classmethod
    def fit(cls, free: ClusterFreeEnergies, first: int = FITTED_FROM) -> "CapLaw":
        """Least squares over n = `first` … n_max."""
        n = free.n[min(first, free.n_max // 2) - 1 :].astype(float)
        powers = np.column_stack((n ** (2 / 3), n ** (1 / 3)))
        # Small clusters are left out: they are polyhedra of their own, not caps.
        minus = -free.ln_Z[-len(n) :]
        (surface, line), *_ = np.linalg.lstsq(powers, minus, rcond=None)
        (p, q), *_ = np.linalg.lstsq(powers, free.footprint[-len(n) :], rcond=None)
        if p <= 0:
            # Round voids that barely touch the interface: take their mean over the last quarter.
            last = free.n_max // 4
            p, q = float(np.mean(free.footprint[-last:] / n[-last:] ** (2 / 3))), 0.0
        rms = float(np.sqrt(np.mean((minus - powers @ [surface, line]) ** 2)))
        return cls(float(surface), float(line), float(p), float(q), rms)

    def minus_ln_Z(self, n):
        return self.surface * n ** (2 / 3) + self.line * n ** (1 / 3)

    def slope(self, n):
        """−d ln Z/dn."""
        return 2 / 3 * self.surface * n ** (-1 / 3) + 1 / 3 * self.line * n ** (-2 / 3)

    def footprint(self, n):
        return self.foot_surface * n ** (2 / 3) + self.foot_line * n ** (1 / 3)


@dataclass(frozen=True)
class Cap:
    """Shape and surface energy of a spherical cap with the weight and footprint of the clusters."""

    aspect: float  #: height over width
    angle_deg: float  #: at the rim, inside the void; the metal's contact angle is 180° less
    volume_share: float  #: F, its share of the sphere
    gamma_J_m2: float
    gamma_F_J_m2: float  #: γ F^(1/3), which rests on ln Z_n alone


@dataclass(frozen=True)
class NucleationModel:
    """Nucleation at one interface and temperature.

    `prefactor` is a factor on Z_n for n ≥ 2, and so on the rate: how far the rate is known;
    `gamma_factor` one on γ: −ln Z_n changes by (factor − 1) A (n^(2/3) − 1).
    """

    free: ClusterFreeEnergies
    transport: VacancyTransport
    prefactor: float = 1.0
    gamma_factor: float = 1.0

    @cached_property
    def law(self) -> CapLaw:
        """The fit before `prefactor` and `gamma_factor`."""
        # With energies of coordination small clusters are one layer thick, and no caps.
        pairwise = self.free.surface.hamiltonian.is_pairwise
        return CapLaw.fit(self.free, FITTED_FROM if pairwise else self.free.n_max // 2)

    def varied(self, *, prefactor: float = 1.0, gamma_factor: float = 1.0) -> "NucleationModel":
        """The same with another prefactor or surface energy."""
        return replace(
            self,
            prefactor=self.prefactor * prefactor,
            gamma_factor=self.gamma_factor * gamma_factor,
        )

    # --- free energies ----------------------------------------------------------------------------

    def ln_Z(self, n: ArrayLike) -> np.ndarray:
        """ln Z_n per L1 site at any n ≥ 1: sampled up to n_max, beyond by the cap law.

        The law is shifted to meet the last sampled values (their mean over a quarter of the range,
        so that the shells of sites do not tilt it). Between whole n it is interpolated.
        """
        n = np.asarray(n, dtype=float)
        inside = np.interp(n, self.free.n.astype(float), self.free.ln_Z)
        large = np.maximum(n, self.free.n_max)
        # What is left between the law and the samples at n_max is gone at 1.5 n_max.
        n_max = self.free.n_max
        left = self.free.ln_Z[-1] + float(self.law.minus_ln_Z(n_max))
        shift = left * np.clip(1.5 - 0.5 * n / n_max - (n / n_max - 1.0) * 0.5, 0.0, 1.0)
        value = np.where(n <= n_max, inside, -self.law.minus_ln_Z(large) + shift)
        if self.gamma_factor != 1.0:
            value = value - (self.gamma_factor - 1) * self.law.surface * (n ** (2 / 3) - 1)
        if self.prefactor != 1.0:
            value = value + np.where(n > 1.5, math.log(self.prefactor), 0.0)
        return value

    def S_eq(self, n: ArrayLike) -> np.ndarray:
        """Activity at which a void of n vacancies neither grows nor shrinks: exp(−d ln Z_n/dn).

        Central differences up to n_max, the cap law beyond.
        """
        n = np.asarray(n, dtype=float)
        small = np.minimum(n, self.free.n_max)  # 1e16 ± 0.5 would be one number
        # Central, as a void both grows and shrinks: forward differences would be off by half a
        # vacancy.
        low, high = np.maximum(small - 0.5, 1.0), np.maximum(small + 0.5, 1.5)
        inside = -(self.ln_Z(high) - self.ln_Z(low)) / (high - low)
        large = np.maximum(n, self.free.n_max)
        extra = (self.gamma_factor - 1) * 2 / 3 * self.law.surface * large ** (-1 / 3)
        slope = np.where(n < self.free.n_max, inside, self.law.slope(large) + extra)
        return np.exp(slope)

    def work_kT(self, S: float, n: ArrayLike) -> np.ndarray:
        """W(S, n)/kT = −ln Z_n − n ln S, the work to make a cluster at a given L1 site."""
        n = np.asarray(n, dtype=float)
        return -self.ln_Z(n) - n * math.log(S)

    def _sizes(self, S: float) -> np.ndarray:
        """1 … well past the critical size; 1 alone where that is out of reach."""
        if not (math.isfinite(S) and S > 0):
            raise InputError(f"S = {S} is out of range", advice="Give an activity above 0.")
        n_max = self.free.n_max
        while n_max <= LARGEST_CRITICAL:
            sizes = np.arange(1, n_max + 1)
            work = self.work_kT(S, sizes)
            top = int(np.argmax(work))
            # Terms beyond are e^-25 of the largest: the sum over 1/(β N) has converged.
            if top + 1 < n_max and work[top] - work[-1] > 25.0:
                return sizes
            n_max *= 2
        return np.arange(1, 2)

    def critical_size(self, S: float) -> float:
        """n*, the number of vacancies with the largest work; infinite for S near 1."""
        sizes = self._sizes(S)
        if len(sizes) == 1:
            return math.inf
        return float(sizes[np.argmax(self.work_kT(S, sizes))])

    def barrier_kT(self, S: float) -> float:
        """W(S, n*)/kT."""
        sizes = self._sizes(S)
        return math.inf if len(sizes) == 1 else float(self.work_kT(S, sizes).max())

    # --- rates ------------------------------------------------------------------------------------

    def radius_cm(self, n: ArrayLike) -> np.ndarray:
        """Radius of the circle with the mean footprint of n vacancies.

        Where a sphere of n vacancies is wider than that, its radius: a void that barely touches the
        interface is fed through the metal.
        """
        n = np.asarray(n, dtype=float)
        known = np.interp(n, self.free.n, self.free.footprint)
        left = self.free.footprint[-1] - self.law.footprint(self.free.n_max)
        large = np.maximum(n, self.free.n_max)
        beyond = self.law.footprint(large) + left
        foot = np.where(n <= self.free.n_max, known, beyond)
        surface = self.transport.surface
        foot_cm = np.sqrt(np.maximum(foot, 0.0) * surface.site_area_cm2 / math.pi)
        return np.maximum(foot_cm, np.cbrt(3 * n * surface.site_volume_cm3 / (4 * math.pi)))

    def capture_per_s(self, n: ArrayLike) -> np.ndarray:
        """G_n: vacancies per second and unit of S that a void of n takes up."""
        return self.transport.conductance_per_s(self.radius_cm(n))

    def beta_per_s(self, n: ArrayLike, S: float) -> np.ndarray:
        """β_n = G_n S."""
        return self.capture_per_s(n) * S

    def rate_per_cm2_s(self, S: float) -> float:
        """I(S): voids nucleated per area and time in Becker and Döring's steady state."""
        sizes = self._sizes(S)
        if len(sizes) == 1:
            return 0.0
        log_terms = self.work_kT(S, sizes) - np.log(self.beta_per_s(sizes, S))
        # Over the largest term: single terms leave the range of doubles at small S.
        top = log_terms.max()
        total = np.exp(log_terms - top).sum()
        return float(self.transport.L1_density_cm2 * math.exp(-top) / total)

    def time_lag_s(self, S: float, depth_kT: float = 3.0) -> float:
        """Delay of nucleation after S was switched on (Frisch, J. Chem. Phys. 27, 90 (1957)).

        To the size at which the work has fallen `depth_kT` below the barrier.
        """
        sizes = self._sizes(S)
        if len(sizes) == 1:
            return math.inf
        work = self.work_kT(S, sizes)
        top = int(np.argmax(work))
        end = top + 1 + int(np.argmax(work[top:] < work[top] - depth_kT))
        work = work[:end] - work[top]
        # Sizes in series, each with the resistance 1/(β N): the steady number at n is what lies
        # beyond n, and the lag the time to fill all of them through what lies before.
        resistance = np.exp(work) / self.beta_per_s(sizes[:end], S)
        after = np.cumsum(resistance[::-1])[::-1]
        before = np.concatenate(([0.0], np.cumsum(resistance)[:-1]))
        steady = np.exp(-work) * after / after[0]
        return float((steady * before)[1:].sum())

    def S_at_rate(self, rate_per_cm2_s: float) -> float:
        """S at which I(S) has this value."""

        def miss(log_S):
            rate = self.rate_per_cm2_s(math.exp(log_S))
            return math.log(max(rate, 1e-280) / rate_per_cm2_s)

        low, high = math.log(1.05), math.log(1e6)
        if miss(high) < 0 or miss(low) > 0:
            raise InputError(
                f"no S from 1.05 to 1e6 nucleates {rate_per_cm2_s:g} voids per cm² and s",
                advice="Check the parameter set and the temperature.",
            )
        return math.exp(scipy.optimize.brentq(miss, low, high, xtol=1e-6))

    # --- the clusters as caps ---------------------------------------------------------------------

    @cached_property
    def cap(self) -> Cap:
        """The spherical cap with the clusters' A and the mean footprint at n_max."""
        surface = self.transport.surface
        n = self.free.n_max
        volume = n * surface.site_volume_cm3
        radius = float(self.radius_cm(n))
        # V = (π h/6)(3 R² + h²) of a cap, a cubic in h/R with one positive root.
        roots = np.roots([math.pi / 6, 0.0, math.pi / 2, -volume / radius**3])
        ratio = float(next(r.real for r in roots if abs(r.imag) < 1e-9 and r.real > 0))
        angle = 2 * math.atan(ratio)
        share = (2 + math.cos(angle)) * (1 - math.cos(angle)) ** 2 / 4
        kT_J = K_B_J * surface.temperature_K
        area = (36 * math.pi) ** (1 / 3) * (surface.site_volume_cm3 * 1e-6) ** (2 / 3)
        product = self.law.surface * self.gamma_factor * kT_J / area
        return Cap(
            aspect=ratio / 2,
            angle_deg=math.degrees(angle),
            volume_share=share,
            gamma_J_m2=product / share ** (1 / 3),
            gamma_F_J_m2=product,
        )

    def voltage_V(self, S: float) -> float:
        """kT ln S/(ze): what a vacancy that stays in the lattice stores shows as overpotential."""
        surface = self.transport.surface
        thermal_V = thermal_voltage_V(surface.temperature_K, surface.parameters.valence)
        return concentration_overpotential_V(S, thermal_V)


def classical_barrier_kT(
    gamma_J_m2: float, contact_angle_deg: float, volume_cm3: float, temperature_K: float, S: float
) -> float:
    """Barrier of a spherical cap by classical theory: 16π γ³ F Ω²/(3 (kT ln S)²), over kT.

    The angle is the metal's; the void's is 180° less, F = (2 − cos θ)(1 + cos θ)²/4.
    """
    cosine = math.cos(math.radians(contact_angle_deg))
    share = (2 - cosine) * (1 + cosine) ** 2 / 4
    kT_J = K_B_J * temperature_K
    omega = volume_cm3 * 1e-6
    barrier_J = 16 * math.pi * gamma_J_m2**3 * share * omega**2
    return barrier_J / (3 * (kT_J * math.log(S)) ** 2) / kT_J
