"""The results of `kmc nucleation`, also as JSON and as an xarray dataset."""

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from kmc.common.figures import drawn
from kmc.common.formatting import figure
from kmc.common.late import xarray as xr
from kmc.nuclei.burst import Burst, finite
from kmc.nuclei.clusters import ClusterFreeEnergies
from kmc.nuclei.nucleation import ACTIVITIES, NucleationModel, classical_barrier_kT
from kmc.nuclei.nucleation_conditions import NucleationConditions
from kmc.nuclei.quenched import QuenchedMaps

_CAP = ("gamma_J_m2", "gamma_F_J_m2", "aspect", "angle_deg")


@dataclass(frozen=True)
class Scan:
    """Bursts against the current, and what the doubtful inputs do to them.

    `by_variation` has densities per µm² with one input changed; `density_low` and `density_high`
    are their extremes, over a factor of 10 in the prefactor either way and ±10 % in γ.
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
    """Nucleation at one interface: Z_n, W(S), I(S), and the burst.

    To see whether voids nucleate by themselves at the true rates, or only at flaws.
    """

    conditions: NucleationConditions
    model: NucleationModel  #: `model.free` holds ln Z_n, `model.rate_per_cm2_s(S)` the rate
    burst: Burst  #: at the conditions' current
    scan: Scan  #: against the current
    threshold_mA_cm2: float  #: current below which less than one void per cm² nucleates in an hour
    threshold_S: float
    quenched: QuenchedMaps | None = field(default=None, repr=False)  #: single arrangements of Mg
    #: The same at other coverages of L1, where asked for.
    by_coverage: "list[Nucleation]" = field(default_factory=list, repr=False)
    #: The same at other temperatures, where asked for.
    by_temperature: "list[Nucleation]" = field(default_factory=list, repr=False)

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
            # Young and Dupré: W = γ (1 + cos θ)
            gamma = parameters.value("work_of_adhesion_J_m2")
            gamma /= 1 + math.cos(math.radians(angle))
            omega = model.transport.surface.site_volume_cm3
            barrier = classical_barrier_kT(gamma, angle, omega, c.temperature_K, burst.S_steady)
            lines.append(
                f"With γ = {gamma:.3f} J/m² from the work of adhesion and the contact angle of "
                f"{angle:g}° that the set quotes, classical theory has a barrier of {barrier:.0f} "
                f"kT at the S = {burst.S_steady:.3g} of an interface without voids."
            )
        transport = model.transport
        # A film of whole layers that gains energy spreads by itself, and no cap describes it.
        film, layers = min((transport.surface.film_eV(k), k) for k in range(1, 9))
        if film < 0:
            lines.append(
                f"This set does not wet {c.lattice}: {layers} vacant layers cost {film:.3f} eV per "
                "L1 site. Voids spread as films; γ, aspect and the law beyond the sampled sizes "
                "have no meaning there, and large voids are more stable than the law says."
            )
        # S − 1 without voids is proportional to the distance of the sink.
        per_S_um = c.sink_distance_um / (burst.S_steady - 1)
        nearest_um = per_S_um * (self.threshold_S - 1)
        line = f"Vacancies end as if at one perfect sink {figure(c.sink_distance_um, 'µm')} away. "
        if burst.S_steady > self.threshold_S:
            needed = figure(per_S_um * (burst.S - 1), "µm", digits=2)
            line += f"The burst's S of {burst.S:.3g} needs all sinks {needed} away or farther. "
        # Dislocations ρ per area of plane are sinks of the depth 1/κ = 1/√ρ.
        dense = figure(1e12 / nearest_um**2, digits=1)
        lines.append(
            f"{line}With one nearer than {figure(nearest_um, 'µm', digits=2)} (the interface "
            f"itself, or metal with more than {dense} dislocations per m²) S stays below "
            f"{self.threshold_S:.3g}, and less than one void per cm² nucleates in an hour."
        )
        lines.append(
            f"ln S shows as a voltage, kT ln S/e: {1e3 * model.voltage_V(burst.S):.0f} mV at the "
            f"burst, {1e3 * model.voltage_V(burst.S_steady):.0f} mV without voids. If your "
            "cell shows no such peak, voids did not nucleate homogeneously with these parameters."
        )
        return lines

    def to_json(self) -> dict[str, Any]:
        """Everything as plain data; the keys are those of docs/nucleation.md."""
        model, cap, transport = self.model, self.model.cap, self.model.transport
        facts = self.free.facts()
        out = facts | {
            "n_enumerated": facts.pop("enumerated"),
            "ln_Z": _numbers(self.free.ln_Z),
            "ln_Z_error": _numbers(self.free.ln_Z_error),
            "ln_Z_sampled": _numbers(self.free.sampled_ln_Z),
            "ln_Z_sampled_error": _numbers(self.free.sampled_error),
            "footprint": _numbers(self.free.footprint),
            "S_eq": _numbers(model.S_eq(self.free.n)),
            "barrier_kT": {f"{S:g}": finite(model.barrier_kT(S)) for S in ACTIVITIES},
            "critical_size": {f"{S:g}": finite(model.critical_size(S)) for S in ACTIVITIES},
            "rate_per_um2_s": {f"{S:g}": 1e-8 * model.rate_per_cm2_s(S) for S in ACTIVITIES},
            "time_lag_s": {f"{S:g}": finite(model.time_lag_s(S)) for S in ACTIVITIES},
            "law": {
                **{key: getattr(model.law, key) for key in ("surface", "line")},
                **{key: getattr(cap, key) for key in _CAP},
            },
            "transport": {
                "D_v_cm2_s": transport.diffusivity_cm2_s,
                "c_eq": transport.bulk_vacancies,
                "D_i_cm2_s": transport.interface_diffusivity_cm2_s,
                "c_i": transport.L1_vacancies,
                "sheet_length_nm": transport.sheet_length_cm * 1e7,
                "capture": transport.capture,
            },
            "sink_distance_um": finite(self.conditions.sink_distance_um),
            "burst": self.burst.to_json(),
            "burst_by_current": [burst.to_json() for burst in self.scan.bursts],
            "band": {
                "current_mA_cm2": _numbers(self.scan.current_mA_cm2),
                "density_low_per_um2": _numbers(self.scan.density_low),
                "density_high_per_um2": _numbers(self.scan.density_high),
                "by_variation": {k: _numbers(v) for k, v in self.scan.by_variation.items()},
            },
            "threshold_current_mA_cm2": finite(self.threshold_mA_cm2),
            "threshold_S": finite(self.threshold_S),
            "statements": self.statements(),
        }
        if self.quenched is not None:
            maps = self.quenched
            out["quenched_maps"] = {
                "maps": len(maps.ln_Z),
                "L1_sites": maps.sites,
                "area_um2": maps.area_um2,
                "ln_Z_mean": _numbers(maps.mean),
                "ln_Z_typical": _numbers(maps.typical),
                "ln_Z_spread": _numbers(maps.spread),
                "start_difference": _numbers(maps.start_difference),
            }
        for key in ("by_coverage", "by_temperature"):
            if getattr(self, key):
                out[key] = [other.to_json() for other in getattr(self, key)]
        return out

    def to_xarray(self) -> "xr.Dataset":
        """ln Z_n, S_eq(n), W(S, n) and the scan of currents as one dataset."""
        model, free, scan = self.model, self.free, self.scan
        S = np.array(ACTIVITIES, dtype=float)
        by_n = {
            "ln_Z": (free.ln_Z, "1", "logarithm of Z_n per L1 site"),
            "ln_Z_error": (free.ln_Z_error, "1", "standard error"),
            "sampled_ln_Z": (free.sampled_ln_Z, "1", "the walks alone, anchored at n = 1"),
            "sampled_error": (free.sampled_error, "1", "standard error of the walks alone"),
            "footprint": (free.footprint, "1", "mean vacancies in L1"),
            "mean_layer": (free.mean_layer, "1", "mean layers above L1 of a vacancy"),
            "S_eq": (model.S_eq(free.n), "1", "activity in equilibrium with n vacancies"),
        }
        rates = [1e-8 * model.rate_per_cm2_s(s) for s in S]
        by_S = {
            "barrier_kT": ([model.barrier_kT(s) for s in S], "kT", "W(S, n*)"),
            "critical_size": ([model.critical_size(s) for s in S], "1", "n*"),
            "rate_per_um2_s": (rates, "1/(µm2 s)", "nucleation rate"),
        }
        by_current = {
            "density_per_um2": (scan.density_per_um2, "1/µm2", "voids of the burst"),
            "density_low_per_um2": (scan.density_low, "1/µm2", "lower end of the band"),
            "density_high_per_um2": (scan.density_high, "1/µm2", "upper end"),
            "S_burst": ([b.S for b in scan.bursts], "1", "largest activity"),
            "time_s": ([b.time_s for b in scan.bursts], "s", "time of the largest S"),
        }
        works = {"work_kT": ([model.work_kT(s, free.n) for s in S], "kT", "W(S, n)")}
        groups = (("n", by_n), (("S", "n"), works), ("S", by_S), ("current", by_current))
        return xr.Dataset(
            {
                name: (dims, np.asarray(values), {"units": unit, "long_name": text})
                for dims, columns in groups
                for name, (values, unit, text) in columns.items()
            },
            coords={
                "n": ("n", free.n, {"long_name": "vacancies in the cluster"}),
                "S": ("S", S, {"long_name": "activity of vacancies"}),
                "current": ("current", scan.current_mA_cm2, {"units": "mA/cm2"}),
            },
            attrs=free.facts()
            | self.conditions.sinks_um
            | {"threshold_current_mA_cm2": self.threshold_mA_cm2},
        )

    def plot(self) -> Any:
        """The picture of `kmc nucleation`; shows itself in a notebook."""
        return drawn("nucleation_picture", self)


def _numbers(values: np.ndarray) -> list[float | None]:
    return [finite(value) for value in values]
