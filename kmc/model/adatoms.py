"""Energies and rates of metal atoms on a substrate and on the metal, on a simple cubic lattice.

The lattice has the atomic volume of the metal; an atom has six neighbours. Growth models use it
because an adatom on bcc (100) has no first neighbour in its plane, and islands would not hold
together. With ε the bond between neighbours, n their number and φ what the substrate adds in the
first layer, an atom is bound by

    B = ε n + φ(substrate)   (φ = 0 above the first layer)

- ε = E_f/3: a vacancy costs E_f in the bulk, where an atom with six bonds goes to a kink with 3.
- φ = E_ads − E_coh + 3ε: a lone atom on the bare substrate is bound by E_ads and one at a kink by
  E_coh, both against the free atom.

An atom hops to a first or second neighbour that is vacant and touches the substrate or another
atom; to a second neighbour only along metal: of the two sites between, one is occupied and one
vacant. Hops that would cut atoms off from the substrate are not made, nor are hops of atoms that
are cut off. The saddle of a hop from site i to site j lies at

    T = max(b_i − r_i, b_j − r_j) + E_ES (where the layer changes),

with b the barrier of a lone atom on that surface, substrate or metal, and r what binds it there (φ
on the substrate, ε on a terrace of the metal), so that the barrier T + B_i is that of the surface
plus the bonds the atom leaves, plus the Ehrlich–Schwoebel barrier at a step (Ehrlich and Hudda,
J. Chem. Phys. 44, 1039 (1966), doi:10.1063/1.1726787). T is that of the reverse hop too: detailed
balance holds exactly, w_ij/w_ji = exp[(B_j − B_i)/kT].
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from kmc.common.units import K_B_eV
from kmc.errors import InputError
from kmc.model.electrochemistry import strip_rate_Hz
from kmc.model.parameters import ParameterSet

OF_SUBSTRATE = ("adsorption_energy_eV", "surface_barrier_eV")
OF_METAL = (
    *("lattice_parameter_A", "attempt_frequency_Hz", "formation_energy_bulk_eV"),
    *("cohesive_energy_eV", "metal_surface_barrier_eV", "step_barrier_eV"),
)
NEEDED = (*OF_SUBSTRATE, *OF_METAL)
NEIGHBOURS = 6
KINK = 3
EQUILIBRIUM_EDGE_A = 100.0


def check_same_metal(sets: Sequence[ParameterSet]) -> None:
    """Refuse substrates under different metals.

    Raises `InputError`: a quantity of the metal differs between two sets.
    """
    for other in sets[1:]:
        for key in OF_METAL:
            if other.value(key) != sets[0].value(key):
                raise InputError(
                    f"{key} is {other.value(key):g} in parameter set {other.name!r} and "
                    f"{sets[0].value(key):g} in {sets[0].name!r}",
                    advice=f"Substrates of one run may differ in {' and '.join(OF_SUBSTRATE)}.",
                )


@dataclass(frozen=True)
class Adatoms:
    """Energies of atoms at every kind of place.

    Places are numbered: 0, 1, … in the first layer on that substrate, and last the layers above.
    """

    bond_eV: float  # ε
    substrate_eV: tuple[float, ...]  # φ of each place; 0 for the last
    barrier_eV: tuple[float, ...]  # b of each place, raised to the lowest barrier
    step_eV: float  # E_ES
    cohesive_eV: float
    spacing_A: float  # edge of the simple cubic cell
    attempt_Hz: float
    temperature_K: float
    valence: int = 1  # electrons an atom

    @property
    def places(self) -> int:
        return len(self.substrate_eV)

    @property
    def kT_eV(self) -> float:
        return K_B_eV * self.temperature_K

    @property
    def area_A2(self) -> float:
        """Area of a column."""
        return self.spacing_A**2

    def binding_eV(self) -> np.ndarray:
        """B of an atom, [place, neighbours]."""
        return np.add.outer(self.substrate_eV, self.bond_eV * np.arange(NEIGHBOURS + 1))

    def potential_V(self) -> np.ndarray:
        """Potential against the metal above which an atom is stripped, [place, neighbours]."""
        return (self.binding_eV() - KINK * self.bond_eV) / self.valence

    def saddle_eV(self) -> np.ndarray:
        """T of a hop, [from, to, whether the layer changes]."""
        # A lone atom on the metal is held by one bond, to the atom below it.
        held = np.array([*self.substrate_eV[:-1], self.bond_eV])
        top = np.array(self.barrier_eV) - held
        level = np.maximum.outer(top, top)
        return np.stack([level, level + self.step_eV], axis=-1)

    def hop_rates_Hz(self) -> np.ndarray:
        """Rate of a hop in one direction, [from, to, layer changes, neighbours of the atom].

        An atom above the first layer without a neighbour does not hop: it lies in the electrolyte.
        """
        barrier = self.saddle_eV()[..., None] + self.binding_eV()[:, None, None, :]
        rates = self.attempt_Hz * np.exp(-barrier / self.kT_eV)
        rates[-1, :, :, 0] = 0.0
        return rates


def adatoms(
    sets: Sequence[ParameterSet], temperature_K: float, lowest_barrier_eV: float
) -> Adatoms:
    """Energies on one or several substrates.

    - `sets`: of each substrate; the first gives the metal.
    - `lowest_barrier_eV`: barriers of lone atoms below it are raised to it, those of the reverse
      hops with them.
    """
    metal = sets[0]
    bond = metal.value("formation_energy_bulk_eV") / KINK
    cohesive = metal.value("cohesive_energy_eV")
    own = [s.value("adsorption_energy_eV") - cohesive + KINK * bond for s in sets]
    barriers = [s.value("surface_barrier_eV") for s in sets]
    barriers.append(metal.value("metal_surface_barrier_eV"))
    return Adatoms(
        bond_eV=bond,
        substrate_eV=(*own, 0.0),
        barrier_eV=tuple(max(barrier, lowest_barrier_eV) for barrier in barriers),
        step_eV=metal.value("step_barrier_eV"),
        cohesive_eV=cohesive,
        spacing_A=spacing_A(metal),
        attempt_Hz=metal.value("attempt_frequency_Hz"),
        temperature_K=temperature_K,
        valence=metal.valence,
    )


class Times(NamedTuple):
    """What must be short for atoms to be in equilibrium between two that arrive, in s."""

    arrivals_s: float  # between two on a square with an edge of 10 nm
    diffusion_s: tuple[float, ...]  # of a lone atom over that edge, on each place
    step_s: float  # the same on the metal and over its steps
    leaves_kink: float  # times an atom leaves a kink of the metal while a monolayer is plated

    @property
    def slowest_s(self) -> float:
        return max(*self.diffusion_s, self.step_s)


def times_of(energies: Adatoms, arrivals_per_site_Hz: float) -> Times:
    """Times L²/(4 D) over L = 10 nm with D = a² Γ, Γ a lone atom's rate in one direction."""
    sites = (EQUILIBRIUM_EDGE_A / energies.spacing_A) ** 2

    def over(barrier_eV: float) -> float:
        return sites / (4 * energies.attempt_Hz * math.exp(-barrier_eV / energies.kT_eV))

    on_metal = energies.barrier_eV[-1]
    # A kink has two bonds more than an atom on a terrace; four of the directions are free of steps.
    leaves = 4 * energies.attempt_Hz * math.exp(-(on_metal + 2 * energies.bond_eV) / energies.kT_eV)
    return Times(
        1 / (arrivals_per_site_Hz * sites),
        tuple(over(barrier) for barrier in energies.barrier_eV),
        over(on_metal + energies.step_eV),
        leaves / arrivals_per_site_Hz,
    )


def spacing_A(metal: ParameterSet) -> float:
    """Edge of a simple cubic cell with the volume of an atom in the bcc metal: a/2^(1/3)."""
    return metal.value("lattice_parameter_A") / 2 ** (1 / 3)


def lowest_barrier_eV(
    metal: ParameterSet, temperature_K: float, current_density_mA_cm2: float, ratio: float
) -> float:
    """Barrier of a hop that is `ratio` times as frequent as atoms are plated on one site."""
    per_site_Hz = strip_rate_Hz(current_density_mA_cm2, spacing_A(metal) ** 2, metal.valence)
    attempts = metal.value("attempt_frequency_Hz") / (ratio * per_site_Hz)
    return max(0.0, K_B_eV * temperature_K * math.log(attempts))
