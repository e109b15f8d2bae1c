"""A box of sites for the kernel: its substrate, its arrays, and the rates at a current."""

import numpy as np

from kmc.common.units import A_per_nm
from kmc.kernels import deposition as kernel
from kmc.kernels.deposition_equilibrium import ABSENT, Vacant
from kmc.model.adatoms import KINK, NEIGHBOURS, Adatoms, check_same_metal, spacing_A
from kmc.model.electrochemistry import strip_rate_Hz
from kmc.model.parameters import ParameterSet, load_parameters
from kmc.runfile.run_file import RunFile

# [parameters] of a run changes the metal on both, and the surface energies of the substrate only.
_METAL = ("lattice", "attempt", "formation", "cohesive", "metal_surface", "step")
_MAX_ISLANDS = 100_000


def sets_of(run: RunFile) -> list[ParameterSet]:
    """Parameter sets of the substrate and, where there are any, of its islands."""
    sets = [run.parameter_set()]
    if run.deposition.island_params is not None:
        shared = {key: v for key, v in run.parameters.items() if key.startswith(_METAL)}
        sets.append(load_parameters(run.deposition.island_params, shared))
    check_same_metal(sets)
    return sets


def draw_substrate(run: RunFile, sets: list[ParameterSet], rng: np.random.Generator) -> np.ndarray:
    """Surface of each column: 0 the substrate, 1 islands; uint8 [y, x].

    Islands are discs with diameters drawn evenly between the two given, at places drawn evenly,
    until they cover their share; sites of the last one beyond it are left out, farthest first.
    """
    nx, ny = run.system.size[:2]
    surface = np.zeros((ny, nx), dtype=np.uint8)
    if len(sets) == 1:
        return surface
    spacing_nm = spacing_A(sets[0]) / A_per_nm
    wanted = round(run.deposition.island_fraction * nx * ny)
    y, x = np.mgrid[:ny, :nx]
    for _ in range(_MAX_ISLANDS):
        missing = wanted - int(surface.sum())
        if missing <= 0:
            break
        cx, cy = rng.random() * nx, rng.random() * ny
        radius = rng.uniform(*run.deposition.island_diameter_nm) / 2 / spacing_nm
        dx, dy = np.abs(x - cx), np.abs(y - cy)
        # To the nearest image, as islands go on over the edges of the box.
        distance = np.hypot(np.minimum(dx, nx - dx), np.minimum(dy, ny - dy))
        new = np.flatnonzero((distance <= radius) & (surface == 0))
        nearest = new[np.argsort(distance.ravel()[new], kind="stable")][:missing]
        surface.ravel()[nearest] = 1
    return surface


def box_of(size: tuple[int, int, int], surface: np.ndarray, places: int) -> kernel.Box:
    """What does not change; `surface` is [y, x]."""
    nx, ny, nz = size
    return kernel.Box(nx, ny, nz, places - 1, np.ascontiguousarray(surface.reshape(-1)))


def empty_state(box: kernel.Box) -> kernel.DepositState:
    """A bare substrate."""
    columns, sites = box.nx * box.ny, box.nx * box.ny * box.nz
    bins = (box.metal + 1) * kernel.PER_PLACE
    return kernel.DepositState(
        occupied=np.zeros(sites, np.uint8),
        neighbours=np.zeros(sites, np.int8),
        connected=np.zeros(sites, np.uint8),
        top=np.zeros(columns, np.int32),
        members=np.zeros((bins, sites), np.int32),
        size=np.zeros(bins, np.int64),
        n_connected=np.zeros(bins, np.int64),
        where=np.zeros(sites, np.int32),
        stack=np.zeros(sites, np.int32),
        seen=np.zeros(sites, np.int64),
        searches=np.zeros(1, np.int64),
        counts=np.zeros(6, np.int64),
        clock=np.zeros(1, np.float64),
        layer=np.zeros(4, np.float64),
    )


def vacant_sites(state: kernel.DepositState) -> Vacant:
    """Work space of the chain in equilibrium, the size of the box."""
    return Vacant(
        np.zeros_like(state.members), np.zeros_like(state.size), np.full_like(state.where, ABSENT)
    )


def exchange_rates(energies: Adatoms) -> tuple[np.ndarray, np.ndarray]:
    """Rates [bin] at which atoms leave and join their sites, that of leaving a kink being 1.

    leave/join is exp(−B/kT). Atoms with fewer bonds leave as often: one move takes them to a kink,
    and more would be their own. Those with more leave more rarely, by half of the bonds.
    """
    more = energies.bond_eV * np.maximum(0, np.arange(NEIGHBOURS + 1) - KINK)
    leave = np.exp(-more / (2 * energies.kT_eV))
    binding = energies.binding_eV()
    join = leave * np.exp((binding - binding.max()) / energies.kT_eV)
    leave = np.broadcast_to(leave, binding.shape).copy()
    leave[-1, 0] = 0.0  # above the first layer without a neighbour: in the electrolyte
    return leave.reshape(-1), join.reshape(-1)


def law_of(
    energies: Adatoms,
    box: kernel.Box,
    what: int,
    current_density_mA_cm2: float,
    *,
    hops: bool = True,
    strip_weight_lambda: float = 0.5,
    strip_cutoff_V: float = np.inf,
) -> kernel.Law:
    """Rates of a step, `kernel.REST`, `PLATE` or `STRIP`, at a current above 0.

    Stripped is one of the connected atoms with a free side, in proportion to exp(−λ B/kT); those
    that need more than the cutoff are left out.
    """
    rates = energies.hop_rates_Hz()
    own = np.einsum("kkn->kn", rates[:, :, 0, :])  # no hop from a place is faster than within it
    saddle = energies.saddle_eV()
    lowest = np.einsum("kk->k", saddle[:, :, 0])
    ratio = np.exp(-(saddle - lowest[:, None, None]) / energies.kT_eV)
    weight = np.exp(
        -strip_weight_lambda
        * (energies.binding_eV() - energies.binding_eV().min())
        / energies.kT_eV
    )
    weight[energies.potential_V() > strip_cutoff_V] = 0.0
    weight[-1, NEIGHBOURS:] = 0.0  # has no free side
    weight[:-1, NEIGHBOURS - 1 :] = 0.0
    per_site = strip_rate_Hz(current_density_mA_cm2, energies.area_A2, energies.valence)
    return kernel.Law(
        # A bound of 0 switches hops off without another kernel.
        bound=np.ascontiguousarray(own.reshape(-1) * hops),
        ratio=np.ascontiguousarray(ratio),
        weight=np.ascontiguousarray(weight.reshape(-1)),
        drive=what,
        drive_Hz=0.0 if what == kernel.REST else per_site * box.nx * box.ny,
    )
