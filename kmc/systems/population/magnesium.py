"""Mg in front of contact: carried along by the body that settles, diffusing back into the metal.

Metal whose vacancies end near the interface follows as a whole and brings its Mg along, which no
current strips (docs/model/transport.md, way 3). In the frame of the interface, z into the metal,

    ∂c/∂t = ∂/∂z (D ∂c/∂z + u c),    no flux at z = 0,    D = S(z) D_Mg,

u the velocity of settling; W. A. Tiller et al., Acta Metall. 1, 428 (1953), with no solute passing
the front. S − 1 falls with depth as the vacancies' steady profile does. As u and S − 1 follow the
current, c depends on the charge alone where S ≫ 1.
"""

import math

import numpy as np
from numpy.typing import ArrayLike
from scipy import linalg

from kmc.nuclei.field import Medium

_CELLS = 240
_SUBSTEPS = 4  # of each interval that is given


class MagnesiumProfile:
    """Mean profile of Mg above contact: `fraction` at the depths `z_um`.

    It begins as that of the alloy, a mole fraction. D_Mg is that at S = 1; sinks and thickness of
    the medium shape S(z). Metal deeper than `depth_um` has c of the alloy; cells grow with depth.
    """

    def __init__(
        self,
        fraction: float,
        diffusivity_um2_s: float,
        medium: Medium,
        depth_um: float = 100.0,
        first_um: float = 0.002,
    ):
        # Cells grow in proportion to depth: Mg piles up within nanometres and diffuses over
        # micrometres.
        faces = first_um * np.expm1(np.linspace(0, 1, _CELLS + 1) * math.log1p(depth_um / first_um))
        self._faces, self._width = faces, np.diff(faces)
        self.z_um = (faces[1:] + faces[:-1]) / 2
        self._alloy, self._D = fraction, diffusivity_um2_s
        self.fraction = np.full(_CELLS, fraction)
        deep = min(medium.thickness_um, 1e6)
        kappa = 1 / medium.sink_depth_um
        left = np.maximum(deep - faces[1:], 0.0)  # what is left of the way to the far sink
        # Of S − 1 at the interface: sinh κ(L − z)/sinh κL, without overflow.
        self._excess = np.exp(-kappa * faces[1:]) if kappa else left / deep
        if kappa:
            self._excess *= np.expm1(-2 * kappa * left) / math.expm1(-2 * kappa * deep)

    @property
    def coverage(self) -> float:
        """Share of Mg in the metal at contact; 1 where more has come than there is room for."""
        return float(min(1.0, self.fraction[0]))

    def advance(self, dt_s: float, velocity_um_s: float, supersaturation: float) -> None:
        """Go on under a velocity of settling and an S at contact; implicit in time.

        Between cells the flux is that of the exact steady profile (Scharfetter and Gummel, IEEE
        Trans. Electron Devices 16, 64 (1969)), so that steep fronts do not oscillate.
        """
        D = self._D * np.maximum(1 + (supersaturation - 1) * self._excess, 1e-12)
        far = self._faces[-1] - self.z_um[-1]
        apart = np.append(np.diff(self.z_um), far)
        peclet = velocity_um_s * apart / D
        # Flux towards the interface through a face: D/Δ [B(−P) c_deeper − B(P) c_nearer].
        deeper, nearer = D / apart * _bernoulli(-peclet), D / apart * _bernoulli(peclet)
        store = self._width / dt_s
        matrix = np.zeros((3, _CELLS))
        matrix[1] = store + nearer
        matrix[1, 1:] += deeper[:-1]
        matrix[0, 1:] = -deeper[:-1]
        matrix[2, :-1] = -nearer[:-1]
        right = store * self.fraction
        # Below the last cell the alloy is as it was: what the body brings has its c.
        right[-1] += deeper[-1] * self._alloy
        self.fraction = linalg.solve_banded((1, 1), matrix, right)

    def follow(self, time_s: ArrayLike, settled_um: ArrayLike, supersaturation: ArrayLike) -> None:
        """Go through the rows of a run: times, heights settled, S at contact."""
        steps, ways = np.diff(time_s), np.diff(settled_um)
        for dt, way, S in zip(steps, ways, np.asarray(supersaturation)[1:], strict=True):
            for _ in range(_SUBSTEPS if dt > 0 else 0):
                self.advance(dt / _SUBSTEPS, way / dt, float(S))

    def line_scan(self, z_um: ArrayLike, resolution_um: float = 1.0) -> np.ndarray:
        """What a line scan of this resolution sees at some depths: means over its width."""
        # From the integral, so that a window of any width between any cells has its exact mean.
        total = np.concatenate([[0.0], np.cumsum(self.fraction * self._width)])
        low = np.maximum(np.asarray(z_um) - resolution_um / 2, 0.0)
        high = np.asarray(z_um) + resolution_um / 2
        return (np.interp(high, self._faces, total) - np.interp(low, self._faces, total)) / (
            high - low
        )


def _bernoulli(x: np.ndarray) -> np.ndarray:
    """x/(exp x − 1)."""
    small = np.abs(x) < 1e-8
    safe = np.clip(np.where(small, 1.0, x), -700.0, 700.0)
    return np.where(small, 1 - x / 2, safe / np.expm1(safe))
