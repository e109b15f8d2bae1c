"""What a state of the cathode looks like: contact ratios, pores, stress.

A surface of active material is a side of a site in a grain whose neighbour is a pore or in another
grain. It looks along its normal, through pores, at the next grain, of active material or of the
frame. The contact ratio of a pair is the share of the surfaces looking at that kind whose open
width is at most `TOUCHING`. Surfaces that look at a wall belong to neither.
"""

from collections.abc import Mapping

import numpy as np
import scipy

from kmc.systems.cathode.microstructure import ACTIVE, FRAME, PORE

# Before they are cut by `cathode.refinement`, sites of a pore that is followed by itself, and the
# open width in sites up to which two surfaces are in contact.
SMALLEST, TOUCHING = 4, 0.1
DESCRIBED = ("portions", "open_area", "equivalent_GPa")


def contact_ratio(
    material: np.ndarray, grain: np.ndarray, open_area: np.ndarray, refinement: int = 1
) -> dict[int, float]:
    """Share of the active surfaces looking at `ACTIVE` and at `FRAME` that touch; NaN without any.

    - `material`, `grain` (ndarray, shape (edge, edge)): as in `Microstructure`.
    - `open_area` (ndarray, shape (edge, edge)): open share of each site; along a row of pores they
      add up to the open width.
    """
    seen: dict[int, list[bool]] = {ACTIVE: [], FRAME: []}
    edge = len(material)
    for x, y in np.argwhere(material == ACTIVE):
        for dx, dy in ((1, 0), (-1, 0), (0, 1), (0, -1)):
            a, b, width = x + dx, y + dy, 0.0
            # Along the normal through pores, to the first solid site or to a wall.
            while 0 <= a < edge and 0 <= b < edge and material[a, b] == PORE:
                width += open_area[a, b]
                a, b = a + dx, b + dy
            # A grain that looks at itself over a pore of its own is no contact of two.
            if 0 <= a < edge and 0 <= b < edge and grain[a, b] != grain[x, y]:
                seen[int(material[a, b])].append(width <= TOUCHING * refinement)
    return {kind: float(np.mean(found)) if found else np.nan for kind, found in seen.items()}


def single_pores(material: np.ndarray, open_area: np.ndarray, refinement: int = 1) -> np.ndarray:
    """Open area of each pore over its number of sites, [frame, pore].

    A pore is what pores of the start have in common by sides of sites; below `SMALLEST` sites it
    would not be outlined in a micrograph, and is left out.

    - `material`: ndarray, shape (edge, edge).
    - `open_area`: ndarray, shape (frames, edge, edge).
    """
    pores, n = scipy.ndimage.label(material == PORE)
    sites = np.bincount(pores.ravel(), minlength=n + 1)
    kept = 1 + np.flatnonzero(sites[1:] >= SMALLEST * refinement**2)
    return np.stack([scipy.ndimage.sum(one, pores, kept) / sites[kept] for one in open_area])


def describe(
    material: np.ndarray, grain: np.ndarray, maps: Mapping[str, np.ndarray], refinement: int
) -> dict[str, float]:
    """The columns of `/samples` that follow from the maps of a frame."""
    portions, open_area, stress_GPa = (maps[name] for name in DESCRIBED)
    contact = contact_ratio(material, grain, open_area, refinement)
    pore, active, frame = (material == kind for kind in (PORE, ACTIVE, FRAME))
    return {
        "contact_active_active": contact[ACTIVE],
        "contact_active_frame": contact[FRAME],
        "pore_area": float(open_area[pore].sum() / pore.sum()),
        "open_area": float(open_area.sum() / pore.sum()),
        "stress_active_GPa": float(stress_GPa[active].mean()),
        "stress_frame_GPa": float(stress_GPa[frame].mean()),
        "stress_active_99_GPa": float(np.quantile(stress_GPa[active], 0.99)),
        "portions": int(portions.sum()),
        "portions_in_pores": int(portions[pore].sum()),
    }
