"""Initial configuration of a run."""

import numpy as np

from kmc.model.hamiltonian import LI, MG, VACANCY
from kmc.model.model import Model


def initial_occupancy(
    model: Model,
    rng: np.random.Generator,
    *,
    vacancy_fraction: float = 0.0,
    mg_fraction: float = 0.0,
    mg_coverage_L1: float | str | None = None,
    flaws: np.ndarray | None = None,
) -> np.ndarray:
    """Random alloy with vacancies and, at an interface, a given Mg coverage of L1.

    - `vacancy_fraction`: vacancies over all sites, placed at random; the number is rounded, not
      drawn.
    - `mg_fraction`: Mg over the metal outside a prescribed L1, placed at random; the number is
      rounded.
    - `mg_coverage_L1`: share of L1's metal that is Mg; "equilibrium" draws it from the Boltzmann
      distribution of exchange with a bulk of `mg_fraction`; None leaves L1 as random as the rest.
    - `flaws` (ndarray of int, optional): sites of patches and voids, vacant besides those of
      `vacancy_fraction`.

    Returns ndarray of uint8, shape (n_sites,).
    """
    lattice = model.lattice
    occupancy = np.full(lattice.n_sites, LI, dtype=np.uint8)
    # Rounded and not drawn: boxes of one setting then differ in places alone, not in numbers.
    n_vacancies = round(vacancy_fraction * lattice.n_sites)
    occupancy[rng.choice(lattice.n_sites, n_vacancies, replace=False)] = VACANCY
    if flaws is not None:
        occupancy[flaws] = VACANCY
    apart = mg_coverage_L1 is not None
    first = lattice.sites_per_layer if apart else 0
    # The metal above first: L1 in equilibrium depends on which of its neighbours are metal.
    _place_mg(occupancy[first:], mg_fraction, rng)
    if mg_coverage_L1 == "equilibrium":
        # Langmuir and McLean: exchanging Li for Mg gains B(Mg) − B(Li) more in L1 than in the bulk.
        # As the bonds mix ideally that difference does not depend on which metals surround the
        # site, only on how many, so all sites are independent and one draw each is exact.
        h = model.hamiltonian
        sites = np.flatnonzero(occupancy[: lattice.sites_per_layer] != VACANCY)
        gain = np.full(sites.size, float(h.bulk_binding_ueV(LI) - h.bulk_binding_ueV(MG)))
        chemistry = model.interphase.chemistry[sites] if model.interphase else 0
        own = [each.phi[MG, 1] - each.phi[LI, 1] for each in model.hamiltonians]
        gain -= np.array(own)[chemistry]
        for shell, bond in ((1, h.bond1), (2, h.bond2)):
            table = lattice.neighbours(sites, shell)
            metal = ((table >= 0) & (occupancy[table] != VACANCY)).sum(axis=1)
            gain += metal * float(bond[MG, LI] - bond[LI, LI])
        # The ratio of Mg to Li in L1 is that of the bulk times the gain's Boltzmann factor.
        odds = mg_fraction * np.exp(gain / model.kT_ueV)
        covered = rng.random(sites.size) < odds / (1.0 - mg_fraction + odds)
        occupancy[sites[covered]] = MG
    elif mg_coverage_L1 is not None:
        _place_mg(occupancy[:first], float(mg_coverage_L1), rng)
    return occupancy


def _place_mg(occupancy: np.ndarray, fraction: float, rng: np.random.Generator) -> None:
    """Turn a rounded share of the metal in this part of the box into Mg."""
    metal = np.flatnonzero(occupancy == LI)
    occupancy[rng.choice(metal, round(fraction * metal.size), replace=False)] = MG
