"""`kmc nucleation`: everything about nucleation at one interface, from a run or a parameter set."""

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from kmc.common.progress import Progress, Share, progress_for
from kmc.errors import InputError
from kmc.nuclei.burst import HOUR_S, nucleation_burst
from kmc.nuclei.capture import VacancyTransport
from kmc.nuclei.clusters import WALKERS, cluster_free_energies
from kmc.nuclei.nucleation import NucleationModel
from kmc.nuclei.nucleation_conditions import NucleationConditions, conditions_of
from kmc.nuclei.quenched import quenched_maps
from kmc.nuclei.report import Nucleation, Scan

CURRENTS_mA_cm2 = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
PREFACTORS = (0.1, 10.0)
GAMMA_FACTORS = (0.9, 1.1)


def nucleation(
    source: str | Path = "li_li2s",
    *,
    lattice: str | None = None,
    temperature_K: float | None = None,
    mg_coverage: float | None = None,
    mg_fraction: float | None = None,
    current_mA_cm2: float | None = None,
    thickness_um: float | None = None,
    sink_length_um: float | None = None,
    sink_depth_um: float | None = None,
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

    - `source`: a run (its temperature, lattice, current, thickness, sinks and Mg are taken) or a
      parameter set.
    - `lattice`, `temperature_K`, `current_mA_cm2`, `thickness_um`: in place of the run's, or of
      bcc_100, 298.15 K, 0.5 mA/cm² and 100 µm.
    - `sink_length_um`, `sink_depth_um`: λ of the interface and 1/κ of the metal as sinks of
      vacancies, in place of the run's.
    - `mg_coverage`, `mg_fraction`: share of Mg in L1 alone, and in all other layers.
    - `n_max`: largest cluster that is sampled.
    - `seed`, `walkers`, `steps`: as for `kmc.nuclei.clusters.cluster_free_energies`.
    - `capture`: how voids take up vacancies, "field" or "sum" (`kmc.nuclei.capture`).
    - `currents_mA_cm2`: of the scan.
    - `coverages`, `temperatures_K`: repeat everything at these coverages of L1 (with shorter walks)
      and temperatures.
    - `maps`: single arrangements of Mg that are sampled too; 6 by default where there is Mg, 0 for
      none.

    Raises `InputError`: anything that cannot be used.
    """
    conditions = conditions_of(
        source,
        lattice=lattice,
        temperature_K=temperature_K,
        mg_coverage=mg_coverage,
        mg_fraction=mg_fraction,
        current_mA_cm2=current_mA_cm2,
        thickness_um=thickness_um,
        sink_length_um=sink_length_um,
        sink_depth_um=sink_depth_um,
    )
    for value in (conditions.current_mA_cm2, *currents_mA_cm2):
        if not (math.isfinite(value) and 0 < value <= 1e6):
            raise InputError(
                f"current_mA_cm2 = {value} is out of range",
                advice="Give a stripping current density above 0 mA/cm².",
            )
    for key, value in conditions.sinks_um.items():
        if not (1e-3 <= value <= 1e6 or value == math.inf):
            advice = "Give 0.001 to 1e6 µm, or inf."
            raise InputError(f"{key} = {value} is out of range", advice=advice)
    others = [replace(conditions, mg_coverage=x) for x in coverages]
    others += [replace(conditions, temperature_K=T) for T in temperatures_K]
    for each in (conditions, *others):
        _ = each.surface  # refuses what is out of range before anything is computed
    options: dict[str, Any] = {
        "n_max": n_max,
        "seed": seed,
        "capture": capture,
        "currents": currents_mA_cm2,
    }
    share = 1.0 / (1.0 + 0.4 * len(others))
    bar = progress_for("nucleation", progress)
    with bar:
        main = _study(
            conditions, **options, walkers=walkers, steps=steps, maps=maps, bar=Share(bar, 0, share)
        )
        more = []
        for k, other in enumerate(others):
            low = share + (1 - share) * k / len(others)
            part = Share(bar, low, low + (1 - share) / len(others))
            fewer = max(2, walkers // 2)
            less = (steps or 80_000 * n_max) // 2
            more.append(_study(other, **options, walkers=fewer, steps=less, maps=0, bar=part))
    n = len(coverages)
    return replace(main, by_coverage=more[:n], by_temperature=more[n:])


def _study(
    conditions: NucleationConditions,
    *,
    n_max: int,
    seed: int,
    capture: str,
    currents: Sequence[float],
    walkers: int,
    steps: int | None,
    maps: int | None,
    bar: Share,
) -> Nucleation:
    surface = conditions.surface
    part = Share(bar, 0.0, 0.5 if surface.has_mg else 0.75)
    free = cluster_free_energies(
        surface, n_max=n_max, seed=seed, walkers=walkers, steps=steps, progress=part
    )
    model = NucleationModel(free, VacancyTransport(surface, capture=capture))
    quenched = None
    if surface.has_mg and maps != 0:
        options = {} if maps is None else {"maps": maps}
        part = Share(bar, 0.5, 0.85)
        quenched = quenched_maps(free, seed=seed, progress=part, **options)
    bar.update(0.85 if surface.has_mg else 0.75, "the burst")
    burst = nucleation_burst(model, conditions.current_mA_cm2, **conditions.sinks_um)
    # Bursts against the current, and again with what is least known made larger and smaller.
    plain = [nucleation_burst(model, j, **conditions.sinks_um) for j in currents]
    variations = {f"prefactor × {factor:g}": {"prefactor": factor} for factor in PREFACTORS}
    variations |= {f"γ × {factor:g}": {"gamma_factor": factor} for factor in GAMMA_FACTORS}
    densities = {}
    for k, (name, change) in enumerate(variations.items()):
        bar.update(0.88 + 0.03 * k, f"bursts with {name}")
        varied = model.varied(**change)
        found = [nucleation_burst(varied, j, **conditions.sinks_um) for j in currents]
        densities[name] = np.array([burst.density_per_um2 for burst in found])
    scan = Scan(np.array(currents, dtype=float), plain, densities)
    threshold_S = model.S_at_rate(1.0 / HOUR_S)
    one = model.transport.supersaturation(1.0, conditions.sink_distance_um * 1e-4) - 1.0
    return Nucleation(
        conditions=conditions,
        model=model,
        burst=burst,
        scan=scan,
        threshold_mA_cm2=(threshold_S - 1.0) / one,
        threshold_S=threshold_S,
        quenched=quenched,
    )
