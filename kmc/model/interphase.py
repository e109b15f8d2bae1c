"""An interface of several chemistries: the chemistry below each column of sites.

A chemistry is a parameter set that differs from that of the run in the site energies φ of L1 and L2
only. Bonds, χ, barriers and everything else are common.
"""

from dataclasses import dataclass, field

import numpy as np

from kmc.errors import InputError
from kmc.model.parameters import ParameterSet
from kmc.model.quantities import QUANTITIES

MAX_CHEMISTRIES = 4  # two bits of a site state

# Quantities that may differ: they determine φ. (χ also follows from the step from L1 to L2 and from
# the fill by Li; `Model` raises an error where it would differ.)
INTERFACE_KEYS = (
    "formation_energy_L1_eV",
    "formation_energy_L1_to_L2_eV",
    "fill_Li_near_Mg_eV",
    "fill_Mg_near_Mg_eV",
)


@dataclass(frozen=True)
class Interphase:
    """Chemistry below every column of sites.

    - `chemistry` (array of uint8, shape (sites_per_layer,)): chemistry of each site of L1, in the
      order of the lattice's sites; the site of L2 with the same number within its layer belongs to
      the same chemistry.
    - `parameters`: chemistry k takes the site energies of ``parameters[k]``; chemistry 0 is the set
      of the run.

    Raises `InputError`: more than four chemistries, a number without a set, or sets that differ in
    more than the energies of the interface.
    """

    chemistry: np.ndarray = field(compare=False)
    parameters: tuple[ParameterSet, ...]

    def __post_init__(self):
        chemistry = np.ascontiguousarray(self.chemistry, dtype=np.uint8)
        object.__setattr__(self, "chemistry", chemistry)
        n = len(self.parameters)
        if not 1 <= n <= MAX_CHEMISTRIES:
            raise InputError(
                f"the interface has {n} chemistries",
                advice=f"Give 1 to {MAX_CHEMISTRIES} parameter sets.",
            )
        if chemistry.max(initial=0) >= n:
            raise InputError(
                f"the map of the interface names chemistry {chemistry.max()}, and there are {n}",
                advice=f"Chemistries are numbered from 0 to {n - 1}.",
            )
        # The metal of the run is one: what is not of its interface must be the same in all sets.
        base = self.parameters[0]
        for other in self.parameters[1:]:
            if other.species != base.species:
                raise InputError(
                    f"parameter set {other.name!r} is of {' and '.join(other.species)}, the "
                    f"run's set {base.name!r} of {' and '.join(base.species)}",
                    advice="All chemistries of an interface must be of the same metal.",
                )
            for key in base.quantities:
                free = key in INTERFACE_KEYS or QUANTITIES[key].role == "target"
                if not free and other.has(key) and other.value(key) != base.value(key):
                    raise InputError(
                        f"{key} is {other.value(key):g} in parameter set {other.name!r} and "
                        f"{base.value(key):g} in the run's set {base.name!r}",
                        advice="Chemistries of one interface may differ only in "
                        f"{', '.join(INTERFACE_KEYS)}.",
                    )
