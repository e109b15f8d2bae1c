"""Nucleation rate, nuclei and vapour pressure of voids for a population, from free energies.

The free energies are those of `kmc nucleation`, from walks short enough for a run of a population;
the seed of the walks is fixed, so that equal runs are equal. What the walks give for the energies
of shipped runs stands in `free_energies`, a table for each: walks and their compilation take 7 s.
``python tests/nuclei/test_vapour.py`` writes these anew.
"""

import hashlib
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from kmc.common.progress import Progress
from kmc.common.units import K_B_J
from kmc.errors import InputError
from kmc.model.parameters import ParameterSet
from kmc.nuclei.capture import VacancyTransport
from kmc.nuclei.clusters import ENUMERATED, ClusterFreeEnergies, cluster_free_energies
from kmc.nuclei.field import Medium
from kmc.nuclei.nucleation import NucleationModel
from kmc.nuclei.surface import Surface

N_MAX = 60
WALKERS, STEPS = 4, 1_500_000  # ln Z_60 to about 0.1
_SEED = 1
TABLES = Path(__file__).parent / "free_energies"
COLUMNS = (
    *("ln_Z", "ln_Z_error", "sampled_ln_Z", "sampled_error"),
    *("footprint", "mean_layer"),
)  # of a table; a row for each n from 1
_ACTIVITIES = np.geomspace(1.5, 1e5, 160)
_DOWNHILL_kT = 3.0  # below the barrier, where a nucleus is counted as a void


class ClusterVapour:
    """Becker and Döring's rate and the vapour pressure of clusters, tabulated."""

    def __init__(self, model: NucleationModel):
        self.model = model
        self._log_S = np.log(_ACTIVITIES)
        rates = np.array([model.rate_per_cm2_s(S) for S in _ACTIVITIES]) * 1e-8
        with np.errstate(divide="ignore"):
            # Interpolated in logarithms, where rates of 1e-280 are ordinary; zeros would be −inf.
            self._log_rate = np.maximum(np.log(rates), -650.0)
        # Of each S the size beyond the critical one at which the work has fallen by 3 kT.
        nuclei = []
        for S in _ACTIVITIES:
            critical = model.critical_size(S)
            # Without a critical size nothing nucleates: any size that is never reached will do.
            if not np.isfinite(critical):
                nuclei.append(1e6)
                continue
            sizes = np.arange(critical, 4 * critical + 40)
            work = model.work_kT(S, sizes)
            below = np.flatnonzero(work < work[0] - _DOWNHILL_kT)
            nuclei.append(float(sizes[below[0]] if len(below) else sizes[-1]))
        self._nuclei = np.array(nuclei)
        surface = model.transport.surface
        # γ Ω/kT: a void of radius r is in equilibrium at ln S = 2 γ Ω/(kT r) (Gibbs, Thomson).
        site_m3 = surface.site_volume_cm3 * 1e-6
        kT_J = K_B_J * surface.temperature_K
        self.capillary_um = 1e6 * model.cap.gamma_J_m2 * site_m3 / kT_J

    def S_eq(self, count: ArrayLike) -> np.ndarray:
        """Supersaturation at which a void of so many vacancies neither grows nor shrinks."""
        return self.model.S_eq(np.maximum(np.asarray(count, dtype=float), 2.0))

    def rate_per_um2_s(self, supersaturation: ArrayLike) -> np.ndarray:
        """Voids nucleated on contact, per µm² and s."""
        log = np.log(np.maximum(supersaturation, 1e-300))
        rate = np.exp(np.interp(log, self._log_S, self._log_rate))
        return np.where((log < self._log_S[0]) | (rate < 1e-250), 0.0, rate)

    def nucleus(self, supersaturation: ArrayLike) -> np.ndarray:
        """Vacancies of a void that has just nucleated."""
        log = np.log(np.maximum(supersaturation, 1e-300))
        return np.interp(log, self._log_S, self._nuclei)


def table_of(surface: Surface) -> Path:
    """Where the table of an interface is, named by all that its walks follow from."""
    h = surface.hamiltonian
    energies_ueV = surface.formation_ueV, h.bond1, h.bond2, h.chi, h.bond_L1_ueV
    sites = h.n_neighbours[:, 1:7], surface.steps, h.coordination_ueV
    whole = [np.rint(part).astype(int).tolist() for part in (*energies_ueV, *sites)]
    metal = surface.temperature_K, surface.mg_coverage, surface.mg_fraction
    text = repr((whole, [float(x) for x in metal], N_MAX, WALKERS, STEPS, _SEED))
    return TABLES / f"{hashlib.sha256(text.encode()).hexdigest()[:16]}.csv"


def walked(surface: Surface, progress: bool | Progress = False) -> ClusterFreeEnergies:
    """The free energies of an interface by walks, which take seconds."""
    return cluster_free_energies(
        surface, n_max=N_MAX, walkers=WALKERS, steps=STEPS, seed=_SEED, progress=progress
    )


def _free_energies(surface: Surface, progress: bool | Progress) -> ClusterFreeEnergies:
    table = table_of(surface)
    if not table.is_file():
        return walked(surface, progress)
    columns = dict(zip(COLUMNS, np.loadtxt(table, delimiter=",", unpack=True), strict=True))
    return ClusterFreeEnergies(
        surface, enumerated=ENUMERATED, walkers=WALKERS, steps=STEPS, seed=_SEED, **columns
    )


_free: dict[tuple, ClusterFreeEnergies] = {}  # by everything they follow from
_known: dict[tuple, ClusterVapour] = {}
_MAX_KNOWN = 64


def vapour_of(
    parameters: ParameterSet,
    lattice: str,
    temperature_K: float,
    mg_coverage: float = 0.0,
    mg_fraction: float = 0.0,
    progress: bool | Progress = False,
) -> ClusterVapour:
    """The vapour of a parameter set, computed once for each set, face, temperature and Mg."""
    surface = Surface(parameters, lattice, temperature_K, mg_coverage, mg_fraction)
    values = tuple(sorted((key, parameters.value(key)) for key in parameters.resolved()))
    rest = (lattice, temperature_K, mg_coverage, mg_fraction)
    key = (parameters.name, values, *rest)
    if key not in _known:
        if len(_known) >= _MAX_KNOWN:
            _known.clear()
            _free.clear()
        # Entropy and creep do not change free energies of clusters. A calibration varies both in
        # thousands of runs, and the walks take seconds.
        free_of = ("formation_entropy_bulk_k", "creep_", "linear_creep_")
        shared = (tuple(item for item in values if not item[0].startswith(free_of)), *rest)
        try:
            if shared not in _free:
                _free[shared] = _free_energies(surface, progress)
        except InputError as problem:  # its n_max is none of a run's inputs
            raise InputError(
                f"conditions.temperature_K = {temperature_K:g}: the free energies of clusters of "
                f"vacancies cannot be sampled ({problem.message})",
                advice="Use a higher temperature.",
            ) from None
        free = replace(_free[shared], surface=surface)
        _known[key] = ClusterVapour(NucleationModel(free, VacancyTransport(surface)))
    return _known[key]


def medium_of(
    transport: VacancyTransport,
    thickness_um: float,
    sink_length_um: float = math.inf,
    sink_depth_um: float = math.inf,
) -> Medium:
    """What vacancies move through, in µm and s."""
    site_um3 = transport.surface.site_volume_cm3 * 1e12
    return Medium(
        bulk_per_um_s=transport.bulk_conductance_per_cm_s * 1e-4,
        interface_per_s=transport.sheet_conductance_per_s,
        bulk_storage_per_um3=transport.bulk_vacancies / site_um3,
        interface_storage_per_um2=transport.L1_density_cm2 * 1e-8 * transport.L1_vacancies,
        thickness_um=thickness_um,
        site_volume_um3=site_um3,
        sink_length_um=sink_length_um,
        sink_depth_um=sink_depth_um,
    )
