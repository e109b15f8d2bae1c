"""What a state of the cathode looks like: contact ratios, pores, stress.

A surface of active material is a side of a site in a grain whose neighbour is a pore or in another
grain. It looks along its normal, through pores, at the next grain, of active material or of the
frame. The contact ratio of a pair is the share of the surfaces looking at that kind whose open
width is at most `TOUCHING`. Surfaces that look at a wall belong to neither.
"""

from __future__ import annotations

import numpy as np

from kmc.systems.cathode.microstructure import ACTIVE, FRAME, PORE

TOUCHING = 0.1  # open width, in sites, up to which two surfaces are in contact


def contact_ratio(
    material: np.ndarray, grain: np.ndarray, open_area: np.ndarray
) -> dict[int, float]:
    """Share of the active surfaces looking at `ACTIVE` and at `FRAME` that touch; NaN without any.

    Parameters
    ----------
    material, grain : ndarray, shape (edge, edge)
        As in `Microstructure`.
    open_area : ndarray, shape (edge, edge)
        Open share of each site; along a row of pores they add up to the open width.
    """
    seen: dict[int, list[bool]] = {ACTIVE: [], FRAME: []}
    edge = len(material)
    for x, y in np.argwhere(material == ACTIVE):
        for dx, dy in ((1, 0), (-1, 0), (0, 1), (0, -1)):
            a, b, width = x + dx, y + dy, 0.0
            while 0 <= a < edge and 0 <= b < edge and material[a, b] == PORE:
                width += open_area[a, b]
                a, b = a + dx, b + dy
            if 0 <= a < edge and 0 <= b < edge and grain[a, b] != grain[x, y]:
                seen[int(material[a, b])].append(width <= TOUCHING)
    return {kind: float(np.mean(found)) if found else np.nan for kind, found in seen.items()}


def describe(
    material: np.ndarray,
    grain: np.ndarray,
    portions: np.ndarray,
    open_area: np.ndarray,
    equivalent_GPa: np.ndarray,
) -> dict[str, float]:
    """The columns of `/samples` that follow from the maps of a frame."""
    contact = contact_ratio(material, grain, open_area)
    pore, active, frame = (material == kind for kind in (PORE, ACTIVE, FRAME))
    return {
        "contact_active_active": contact[ACTIVE],
        "contact_active_frame": contact[FRAME],
        "pore_area": float(open_area[pore].sum() / pore.sum()),
        "open_area": float(open_area.sum() / pore.sum()),
        "stress_active_GPa": float(equivalent_GPa[active].mean()),
        "stress_frame_GPa": float(equivalent_GPa[frame].mean()),
        "stress_active_99_GPa": float(np.quantile(equivalent_GPa[active], 0.99)),
        "portions": int(portions.sum()),
        "portions_in_pores": int(portions[pore].sum()),
    }
