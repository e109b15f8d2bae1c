"""What cannot be computed, refused when a model is made."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from kmc.errors import InputError
from kmc.hamiltonian import LI
from kmc.kernels import selection
from kmc.units import K_B_eV, MICRO_eV

if TYPE_CHECKING:
    from kmc.model import Model

_HIGHEST_EXPONENT = 500.0  # energies over kT; exp() leaves double precision beyond 700
_STRIP_OCTAVES = selection.N_BINS // 2 - 4  # between the weakest and the strongest strip weight


def check(model: Model) -> None:
    """Refuse a model that the event loop could not run.

    Raises
    ------
    InputError
        Pressure without an interface, chemistries that do not fit, or energies whose Boltzmann
        factors leave the range of numbers or of the bins.
    """
    if model.interphase is not None:
        _check_interphase(model)
    if model.stack_pressure_MPa and not model.has_interface:
        raise InputError(
            f"stack_pressure_MPa = {model.stack_pressure_MPa:g} needs an interface: a periodic "
            "box has no metal above it that could sink into its voids",
            advice='Set stack_pressure_MPa = 0, or boundary = "interface".',
        )
    if model.superbasins:
        _check_superbasins(model)
    _check_temperature(model)
    strips = model.current_density_mA_cm2 > 0 or model.overpotential_V is not None
    if model.has_interface and strips:
        _check_strip_weights(model)


def _check_superbasins(model: Model) -> None:
    lattice = model.lattice
    flat = lattice.unit_cell.name == "bcc_100" and model.has_interface and model.interphase is None
    driven = model.stack_pressure_MPa > 0 or model.overpotential_V is not None
    if driven or not flat or model.reservoir_mg_fraction > 0:
        raise InputError(
            "superbasins = True is made for pure Li on one chemistry of bcc_100 at an interface, "
            "with a given current and without pressure",
            advice="Set superbasins = False.",
        )


def _check_temperature(model: Model) -> None:
    h = model.hamiltonian
    highest_eV = model.floor_ueV + int(model.barriers_ueV.max()) + 8 * abs(h.chi)
    highest_eV += int(8 * np.abs(h.bond1).max() + 6 * np.abs(h.bond2).max())
    highest_eV += max(int(np.abs(other.phi).max()) for other in model.hamiltonians)
    highest_eV /= MICRO_eV
    lowest_K = highest_eV / (_HIGHEST_EXPONENT * K_B_eV)
    if model.temperature_K < lowest_K:
        raise InputError(
            f"temperature_K = {model.temperature_K:g} is too low for the energies of parameter "
            f"set {model.parameters.name!r}, up to {highest_eV:.2g} eV: their Boltzmann factors "
            "leave the range of the computer's numbers",
            advice=f"Use at least {math.ceil(lowest_K)} K.",
        )


def _check_strip_weights(model: Model) -> None:
    """Refuse weights that span more octaves than the bins: no draw might ever be accepted."""
    h = model.hamiltonian
    strongest = model.strip_reference_ueV
    for layer in (1, 2):
        n1, n2 = h.n_neighbours[:, layer]
        bonds = n1 * h.bond1[LI, LI:].max() + n2 * h.bond2[LI, LI:].max()
        beside_mg = max(0, h.chi) * n1 if layer == 1 else 0
        for other in model.hamiltonians:
            strongest = max(strongest, int(bonds - other.phi[LI, layer] + beside_mg))
    span_eV = model.strip_weight_lambda * (strongest - model.weakest_strip_ueV()) / MICRO_eV
    octaves = span_eV / (K_B_eV * model.temperature_K * math.log(2))
    if octaves > _STRIP_OCTAVES:
        lowest_K = model.temperature_K * octaves / _STRIP_OCTAVES
        raise InputError(
            f"temperature_K = {model.temperature_K:g} is too low for strip_weight_lambda = "
            f"{model.strip_weight_lambda:g} and the energies of parameter set "
            f"{model.parameters.name!r}: the weights of strongly and weakly bound atoms differ "
            f"by a factor of up to 2^{octaves:.0f}",
            advice=f"Use at least {math.ceil(lowest_K)} K, or a smaller strip_weight_lambda.",
        )


def _check_interphase(model: Model) -> None:
    """Refuse a map that does not fit the box, or chemistries that differ in more than φ."""
    interphase, n = model.interphase, model.lattice.sites_per_layer
    if not model.has_interface:
        raise InputError("chemistries of an interface need one, and the box is periodic")
    if interphase.chemistry.shape != (n,):
        raise InputError(
            f"the map of the interface has shape {interphase.chemistry.shape}, and a layer of the "
            f"box has {n} sites"
        )
    base = model.hamiltonian
    for parameters, h in zip(interphase.parameters[1:], model.hamiltonians[1:], strict=True):
        bonds = np.array_equal(h.bond1, base.bond1) and np.array_equal(h.bond2, base.bond2)
        if not bonds or abs(h.chi - base.chi) > 1:  # µeV, of rounding
            raise InputError(
                f"parameter set {parameters.name!r} gives "
                f"{f'chi = {h.chi / MICRO_eV:g} eV' if bonds else 'bonds'} other than "
                f"{f'the {base.chi / MICRO_eV:g} eV' if bonds else 'those'} of the run's set "
                f"{model.parameters.name!r}",
                advice="Chemistries of one interface share bonds and chi: keep the step from L1 to "
                "L2 and the fill by Li of the run's set.",
            )
