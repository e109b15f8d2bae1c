"""Overpotential of the contact that is left beside a gap, term by term.

The contact is at one potential η above the electrolyte, and a site of it loses atoms at j0 x and
takes ions at j0 S/x, x = exp(zeη/2kT) (`kmc.model.electrochemistry`). With the mean over it

    j/(j0 θ) = x − S/x,

so that η is (kT/ze) ln S without a current and (2kT/ze) asinh[j/(2 j0 θ)] at S = 1. To it come the
constriction of the current in the electrolyte, j R_c at the true size of the pattern, and all else
in series, j R_series. Where the kinetics are slow against the conduction between contacts, that is
below the Wagner length κ kT/(ze j0), the current density is even over the contact.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from kmc.common.metals import VALENCES
from kmc.errors import InputError
from kmc.model.electrochemistry import conductivity_mS_cm, thermal_voltage_V
from kmc.nuclei.field import Absorbers, Medium, SurfaceField

_MAX_CELLS = 256
_TOLERANCE = 5e-3  # of the potential


@dataclass(frozen=True)
class Kinetics:
    """What the overpotential of a contact follows from, at a temperature."""

    temperature_K: float
    exchange_current_density_mA_cm2: float
    conductivity_mS_cm: float
    series_resistance_ohm_cm2: float = 0.0
    valence: int = 1

    @property
    def thermal_V(self) -> float:
        """kT/(ze)."""
        return thermal_voltage_V(self.temperature_K, self.valence)

    @property
    def wagner_length_um(self) -> float:
        """κ kT/(ze j0): patterns smaller than this are charged evenly."""
        return 1e4 * self.conductivity_mS_cm * self.thermal_V / self.exchange_current_density_mA_cm2

    def terms(
        self,
        supersaturation: float,
        contact_fraction: float,
        constriction_um: float,
        current_density_mA_cm2: float,
    ) -> dict[str, float]:
        """The columns of `/samples`: terms and their sum; without current only the first is left.

        `constriction_um` is κ R_c, a length; plating has a current below 0, whose sign all terms
        but the first have.
        """
        S, j = max(supersaturation, 1e-300), current_density_mA_cm2
        charge_transfer = constriction = series = 0.0
        if j != 0 and contact_fraction <= 0:
            # The current is given, and no voltage passes it through nothing.
            charge_transfer = constriction = math.copysign(math.inf, j)
        elif j != 0:
            # x of the site law over √S, which is the contact at rest, as a hyperbolic sine.
            exchange = self.exchange_current_density_mA_cm2
            ratio = j / (2 * exchange * contact_fraction * math.sqrt(S))
            charge_transfer = 2 * self.thermal_V * math.asinh(ratio)
            resistance = constriction_um * 1e-4 / (self.conductivity_mS_cm * 1e-3)
            constriction = j * 1e-3 * resistance
            series = j * 1e-3 * self.series_resistance_ohm_cm2
        terms = {
            "concentration_V": self.thermal_V * math.log(S),
            "charge_transfer_V": charge_transfer,
            "constriction_V": constriction,
            "series_V": series,
        }
        return {**terms, "overpotential_V": float(sum(terms.values()))}


def kinetics_at(
    value: Callable[[str], float], temperature_K: float, series_ohm_cm2: float, valence: int
) -> Kinetics:
    """Kinetics at a temperature; `value` gives the quantities of a parameter set by their names."""
    conductivity = conductivity_mS_cm(
        value("electrolyte_conductivity_mS_cm"),
        value("electrolyte_activation_eV"),
        temperature_K,
    )
    exchange = value("exchange_current_density_mA_cm2")
    return Kinetics(temperature_K, exchange, conductivity, series_ohm_cm2, valence)


def kinetics_of(found: Any) -> Kinetics:
    """Kinetics that the file of a population states, at the temperature of its run."""

    def value(key: str) -> float:
        if key not in found.params:
            raise InputError(
                f"{found.path} was run with a set without {key}",
                advice="Add it to the parameter set and run again.",
            )
        return float(found.params[key]["value"])

    # As when it was run, by its own parameters: the set of that name may have changed since.
    conditions = found.run["conditions"]
    series = float(conditions.get("series_resistance_ohm_cm2") or 0.0)
    valence = VALENCES[found.metal]
    return kinetics_at(value, float(conditions["temperature_K"]), series, valence)


class Constriction:
    """κ R_c of contact maps: contacts of one potential on a conducting half-space.

    Maps of `n_cells` along an edge are made coarser where they are finer than needed.
    """

    def __init__(self, edge_um: float, n_cells: int):
        self._stride = max(1, n_cells // _MAX_CELLS)
        while n_cells % self._stride:
            self._stride -= 1
        self._edge_um, self._n = edge_um, n_cells // self._stride
        electrolyte = Medium(1.0, 0.0, 0.0, 0.0, math.inf, 1.0)
        self._field = SurfaceField(electrolyte, edge_um, self._n)
        self._shift = edge_um / self._n  # makes the matrix regular; taken off again

    def length_um(self, contact: np.ndarray) -> float:
        """κ R_c of a map, shares of cells on contact, shape (n_cells, n_cells); inf without any."""
        n, stride = self._n, self._stride
        contact = contact.reshape(n, stride, n, stride).mean(axis=(1, 3)).ravel()
        cells = np.flatnonzero(contact)
        if not len(cells):
            return math.inf
        if contact.min() == 1.0:
            return 0.0
        none = np.zeros(0)
        absorbers = Absorbers(cells, contact[cells], np.full(len(cells), -1.0), *[none] * 4)
        still = np.zeros((n, n))
        # From nothing each time: a resumed run must find the same to the last digit, and from there
        # the error of the sum is that of the potential squared (a Ritz value).
        solution = self._field.solve(
            still, (-1.0, self._shift), absorbers, tolerance=_TOLERANCE, fluxes_alone=True
        )
        return max(0.0, self._edge_um**2 / float(solution.cell_per_s.sum()) - self._shift)
