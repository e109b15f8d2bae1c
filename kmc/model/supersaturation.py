"""Supersaturation of lone vacancies at an interface without voids, layer by layer.

Stripping sends J vacancies a second and L1 site into the metal. Each lone vacancy walks from layer
to layer until the reservoir absorbs it from the top one. In the steady state, with c_a the
equilibrium occupation exp(−E_f,a/kT) of layer a and k_ab the rate of all hops from a site of a into
layer b, detailed balance makes K_ab = c_a k_ab symmetric, a conductance, and the supersaturations
S_a of the layers solve

    Σ_b K_ab (S_a − S_b) + δ_a,top k' c_top (S_a − 1) = δ_a,L1 J,

with k' the rate of absorption. The sum of all resistances is that of the electrode:
S − 1 = J d L/(D_v c_bulk) = j L/(e ρ D_v c_bulk), L being the distance of the perfect sink that
takes up as much as all sinks (`kmc.model.sinks`). Dilute: vacancies do not see each other.
"""

import numpy as np

from kmc.model.hamiltonian import LI
from kmc.model.model import Model
from kmc.model.solute import activation_energy_ueV


def electrode(model: Model) -> float:
    """S = 1 + j L/(e ρ D_v c_eq) of the metal at the interface, at true rates and without voids."""
    resistance_A = model.sink_distance_um * 1e4 * model.lattice.layer_spacing_A
    bulk = model.boltzmann(model.hamiltonian.bulk_formation_ueV)
    flux_Hz = model.strip_rate_per_site_Hz
    return 1.0 + flux_Hz * resistance_A / (model.vacancy_diffusivity_A2_s * bulk)


def of_layers(model: Model) -> np.ndarray:
    """S of every layer with the rates of the model, barriers raised or not; float64 (layers,).

    Raises `ValueError`: the box has no interface, or no sink that would let a steady state exist.
    """
    if model.absorption_rate_Hz == 0.0:
        raise ValueError("no steady state: vacancies have no way out of the box")
    lattice, n = model.lattice, model.lattice.layers
    classes = model.layer_class()
    binding = model.site_binding_ueV(LI)[classes]
    formation = model.hamiltonian.bulk_formation_ueV + binding - model.site_binding_ueV(LI)[0]
    reach = 3  # layers that a hop goes up at most, on (111)
    conductance = np.zeros((reach + 1, n))  # [m, a]: between layer a and a + m
    first = np.arange(n) * lattice.sites_per_layer
    # Hops within a layer leave its S as it is: only those to other layers conduct.
    rise = np.where(
        (to := lattice.neighbours(first, 1)) >= 0,
        to // lattice.sites_per_layer - np.arange(n)[:, None],
        0,
    )
    for m in range(1, reach + 1):
        ways = (rise[: n - m] == m).sum(axis=1)
        energy = np.rint(binding[m:] - binding[: n - m]).astype(np.int64)
        # Raised alike both ways, so that conductances stay symmetric and S in equilibrium 1.
        floor = model.lone_floors_ueV[classes[: n - m], classes[m:]]
        activation = activation_energy_ueV(int(model.barriers_ueV[0]), energy, floor)
        exponent = -(formation[: n - m] + activation) / model.kT_ueV
        conductance[m, : n - m] = ways * model.attempt_frequency_Hz * np.exp(exponent)
    sink = model.absorption_rate_Hz * np.exp(-formation[-1] / model.kT_ueV)
    # Layers are eliminated from L1 to the sink (star-mesh transform) and put back. Nothing is ever
    # subtracted, so that conductances may differ by any power of ten.
    current_Hz = np.zeros(n)
    current_Hz[0] = model.strip_rate_per_site_Hz
    totals = np.zeros(n)
    for a in range(n - 1):
        own = conductance[1:, a]
        totals[a] = own.sum()
        for m in range(1, min(reach, n - 1 - a) + 1):
            share = conductance[m, a] / totals[a]
            current_Hz[a + m] += current_Hz[a] * share
            conductance[1 : reach + 1 - m, a + m] += share * conductance[m + 1 :, a]
    excess = np.zeros(n + reach)
    excess[n - 1] = current_Hz[-1] / sink
    for a in range(n - 2, -1, -1):
        above = conductance[1:, a] @ excess[a + 1 : a + 1 + reach]
        excess[a] = (current_Hz[a] + above) / totals[a]
    return 1.0 + excess[:n]
