"""Mg that diffuses into lithium plated under an alloy: one dimension, closed forms.

z is the distance from the electrolyte, through which no Mg passes; the alloy behind the plated
metal is endless and has the composition 1. Two limits of the history: the metal was plated at once,
and then time passed (`film_profile`), or it is plated at a steady rate all the time
(`growing_profile`). Vacancies are in equilibrium, and the diffusivity is that of dilute Mg.

Sources: images (J. Crank, The Mathematics of Diffusion, 2nd ed. (1975), section 2.2) for the first;
for the second, with v = h/t and D ∂c/∂z = v c at z = 0, which is the inlet problem for 1 − c,
M. Th. van Genuchten and W. J. Alves, USDA Technical Bulletin 1661 (1982), A2.
"""

import math

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import erfc, erfcx

from kmc.errors import InputError

PLATED_um = 13.0  # S4: 2.6 mAh/cm² of Li, ex situ
HOURS = 10.0  # S4: "for a 10-h interdiffusion"; 2.6 mAh/cm² at 0.28 mA/cm² take 9.3 h
# S4, Fig. 4f: Mg intensity over the plated metal relative to that of the bulk, by °C.
MEASURED = {25: 0.5, 60: 0.8}
_um2_per_cm2 = 1e8


def length_um(diffusivity_cm2_s: float, time_s: float) -> float:
    """√(4Dt)."""
    return math.sqrt(4 * diffusivity_cm2_s * _um2_per_cm2 * time_s)


def film_profile(
    z_um: ArrayLike, plated_um: float, diffusivity_cm2_s: float, time_s: float
) -> np.ndarray:
    """Mg relative to the alloy, where the metal was plated at once a time ago.

    c(z) = ½ erfc[(h − z)/√(4Dt)] + ½ erfc[(h + z)/√(4Dt)]

    - `z_um` (array_like): distance from the electrolyte.
    - `plated_um`: h.
    """
    reach, z = _checked(plated_um, diffusivity_cm2_s, time_s), np.asarray(z_um, dtype=float)
    return 0.5 * (erfc((plated_um - z) / reach) + erfc((plated_um + z) / reach))


def film_share(plated_um: float, diffusivity_cm2_s: float, time_s: float) -> float:
    """Mean of `film_profile` over the plated metal, the share that has mixed.

    √(Dt)/h [1/√π − ierfc(2h/√(4Dt))]

    Examples
    --------
    After 10 h at 1e-11 cm²/s a quarter of the Mg of the alloy is in a film of 13 µm:

    >>> round(film_share(13.0, 1e-11, 36000.0), 2)
    0.26
    """
    reach = _checked(plated_um, diffusivity_cm2_s, time_s)
    x = 2 * plated_um / reach
    # The first integral of erfc, which scipy.special does not have.
    ierfc = math.exp(-x * x) / math.sqrt(math.pi) - x * math.erfc(x)
    return reach / (2 * plated_um) * (1 / math.sqrt(math.pi) - ierfc)


def growing_profile(
    z_um: ArrayLike, plated_um: float, diffusivity_cm2_s: float, time_s: float
) -> np.ndarray:
    """Mg relative to the alloy, where the metal is plated at the rate v = h/t all the time.

    1 − c = ½ erfc[(z − h)/l] + 2h/(l√π) exp[−(z − h)²/l²]
            − ½ (1 + 4hz/l² + 4h²/l²) exp(4hz/l²) erfc[(z + h)/l],   l = √(4Dt)

    Parameters as for `film_profile`.
    """
    reach, z = _checked(plated_um, diffusivity_cm2_s, time_s), np.asarray(z_um, dtype=float)
    h = plated_um / reach
    x = z / reach
    gauss = np.exp(-((x - h) ** 2))
    # exp(4hz/l²) erfc[(z + h)/l] without overflow
    last = 0.5 * (1 + 4 * h * x + 4 * h * h) * gauss * erfcx(x + h)
    return 1 - (0.5 * erfc(x - h) + 2 * h / math.sqrt(math.pi) * gauss - last)


def _checked(plated_um: float, diffusivity_cm2_s: float, time_s: float) -> float:
    values = (plated_um, diffusivity_cm2_s, time_s)
    for name, value in zip(("plated_um", "diffusivity_cm2_s", "time_s"), values, strict=True):
        if not (math.isfinite(value) and value > 0):
            raise InputError(f"{name} = {value:g} is out of range", advice="Give one above 0.")
    return length_um(diffusivity_cm2_s, time_s)
