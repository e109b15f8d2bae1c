"""How many moves a box in equilibrium needs between two strips: measured, not assumed."""

import numpy as np

from kmc.kernels.tables import LI, VACANCY
from kmc.model.equilibrium import Relaxation, VacancyEquilibrium
from kmc.model.hamiltonian import Hamiltonian
from kmc.model.lattice import Lattice

_SEED = 1
_BEFORE, _PAIRS = 50_000, 100_000  # of flips: from the start shape on, and measured
_ASPECT = 0.38  # height over width of the void at the start


def relaxation_of(lattice: Lattice, hamiltonian: Hamiltonian, kT_ueV: float) -> Relaxation:
    """Autocorrelation of one void of a monolayer, or of an eighth of the box, and what follows."""
    n = min(lattice.sites_per_layer, lattice.n_sites // 8)
    occupancy = np.full(lattice.n_sites, LI)
    occupancy[half_ellipsoid(lattice, n, _ASPECT)] = VACANCY
    box = VacancyEquilibrium(lattice, [hamiltonian], kT_ueV, occupancy)
    rng = np.random.default_rng(_SEED)
    box.equilibrate(_BEFORE, rng)
    return box.relaxation(rng, _PAIRS)


def half_ellipsoid(lattice: Lattice, n: int, aspect: float) -> np.ndarray:
    """Sites of a compact void of n vacancies, `aspect` times as high as wide, amid the box."""
    x, y, z = lattice.positions_A.T
    edges = lattice.box_A
    squared = (
        (x - edges[0] / 2) ** 2 + (y - edges[1] / 2) ** 2 + ((z - z.min()) / (2 * aspect)) ** 2
    )
    return np.argsort(squared, kind="stable")[:n]
