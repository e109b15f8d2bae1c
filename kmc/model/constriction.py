"""Constriction of the current where the metal touches the electrolyte only in places.

The current is uniform far away in the electrolyte and enters the metal through the sites of L1 in
contact. Holm's resistance of one round spot on a half-space is 1/(4 κ a); several spots interact
(J. A. Greenwood, Br. J. Appl. Phys. 17, 1621 (1966), doi:10.1088/0508-3443/17/12/310), and large
contacts are a sheet with holes. The common problem, contacts of one potential on a conducting
half-space, is solved here for the actual map: every contact site is a source, the box is periodic,
and the resistance of full contact is exactly 0.

`kmc.nuclei.field` solves the same problem on square cells, which may be covered in part and have a
measured resistance of their rim. Sites of a lattice are no square grid, are whole, and each that is
lost must raise the resistance, so that boxes keep a solver of their own (and their bytes).
"""

import math

import numpy as np
import scipy

from kmc.model.lattice import Lattice

_IMAGES = 4  # reciprocal vectors to each side; what is left out is below 1e-3 of a site's own term
_TOLERANCE = 1e-7  # of the residual; the resistance, which is stationary, is known far better
_MAX_STEPS = 500


class Spreading:
    """Spreading resistance of contact maps on L1 of a lattice.

    A site in contact feeds current evenly through a rectangle of its own, and these rectangles
    tile the plane. Of all ways to share the current among the sites the one of least dissipation
    has the same mean potential on each (Thomson's principle). So the resistance can only rise
    when a site loses contact, and it lies above that of sites whose inside is resolved.

    - `lattice`: its L1 is the interface.
    """

    def __init__(self, lattice: Lattice):
        cell = lattice.unit_cell
        per_cell, cells = cell.sites_per_layer_cell, np.array(lattice.cells)
        self._n_sites = lattice.sites_per_layer
        # Rows and columns of the finest grid that has all sites among its points.
        fractions = cell.in_plane[:per_cell] / cell.edges[:2]
        fine = np.where(np.abs(fractions * 2 % 2 - 1).min(axis=0) < 0.5, 2, 1) * cells
        steps = lattice.box_A[:2] / fine
        places = np.rint(lattice.positions_A[: self._n_sites, :2] / steps).astype(int) % fine
        self._shape = (int(fine[1]), int(fine[0]))
        self._grid = places[:, 1] * fine[0] + places[:, 0]
        # Tiles the plane from the sites: a cell, or bricks of half of it, the less oblong ones.
        tiles = [cell.edges[:2] / parts for parts in ((1, 2), (2, 1)) if per_cell > 1]
        tile = min(tiles or [cell.edges[:2]], key=lambda t: abs(math.log(t[0] / t[1])))
        tile_A = tile * lattice.lattice_parameter_A
        # Mean potential on a tile from unit current of another, times conductivity and box area: a
        # current of wave vector k drops j/(κ k) in a half-space. Waves that agree on all sites are
        # summed; of the one without variation only the mean current is left, which costs nothing.
        kx = 2 * np.pi * np.fft.rfftfreq(fine[0], steps[0])
        ky = 2 * np.pi * np.fft.fftfreq(fine[1], steps[1])
        images = 2 * np.pi * np.arange(-_IMAGES, _IMAGES + 1)
        waves_A = np.zeros((ky.size, kx.size))
        for gx in images / steps[0]:
            for gy in images / steps[1]:
                x, y = (kx + gx)[None, :], (ky + gy)[:, None]
                shape = np.sinc(x * tile_A[0] / (2 * np.pi)) * np.sinc(y * tile_A[1] / (2 * np.pi))
                k = np.hypot(x, y)
                waves_A += np.where(k > 0, shape**2 / np.where(k > 0, k, 1.0), 0.0)
        kernel_A = np.fft.irfft2(waves_A, s=self._shape) * fine.prod()
        # A term for the mean current changes every potential alike, and makes the matrix regular.
        self._shift_A = float(np.ptp(kernel_A.flat[self._grid])) / self._n_sites
        net = np.zeros(self._shape)
        net.flat[self._grid] = 1.0
        self._kernel_A = np.fft.rfft2((kernel_A + self._shift_A) * net)
        self._smoother_per_A = 1.0 / self._kernel_A

    def length_A(self, contact: np.ndarray) -> float:
        """Area-specific spreading resistance times conductivity, a length in Å.

        - `contact` (array of bool, shape (sites_per_layer,)): which sites of L1 hold metal.

        Returns κ R A: 0 for full contact, infinite for none; at the scale of the lattice.
        """
        contact = np.asarray(contact, dtype=bool)
        n_contact = np.count_nonzero(contact)
        if n_contact == 0:
            return math.inf
        # Exactly, where the solver would leave its tolerance: full contact is the zero of all runs.
        if n_contact == self._n_sites:
            return 0.0
        # At unit potential the current is the conductance; resistances are stationary in its error.
        total = self._currents(self._grid[contact]).sum()
        return max(0.0, 1.0 / total - self._shift_A)

    def _currents(self, places: np.ndarray) -> np.ndarray:
        """Currents that raise all contacts to potential 1: preconditioned conjugate gradients."""
        currents = np.zeros(places.size)
        residual = np.ones(places.size)
        # The inverse of the full kernel: nearly that of the part on contact where most of it is
        # left.
        step = direction = self._apply(self._smoother_per_A, residual, places)
        product = residual @ step
        for _ in range(_MAX_STEPS):
            image = self._apply(self._kernel_A, direction, places)
            length = product / (direction @ image)
            currents = currents + length * direction
            residual = residual - length * image
            if np.abs(residual).max() < _TOLERANCE:
                break
            step = self._apply(self._smoother_per_A, residual, places)
            previous, product = product, residual @ step
            direction = step + (product / previous) * direction
        return currents

    def _apply(self, kernel: np.ndarray, values: np.ndarray, places: np.ndarray) -> np.ndarray:
        """Convolution of values at some places with a kernel, read at the same places."""
        grid = np.zeros(self._shape)
        grid.flat[places] = values
        return np.fft.irfft2(np.fft.rfft2(grid) * kernel, s=self._shape).flat[places]


class Rim:
    """Length of the rims of contact maps on L1 of a lattice.

    Pairs of neighbouring sites of which one is in contact, each with the length that a rim crossing
    it stands for: A Δφ/(2 d), A the area of a site, d the distance of the pair and Δφ the range of
    angles nearest to its direction. That is the formula of Cauchy and Crofton on a lattice, exact
    for rims that run every way alike (Boykov and Kolmogorov, Proc. ICCV 2003, 26,
    doi:10.1109/ICCV.2003.1238310).
    """

    def __init__(self, lattice: Lattice):
        self._box_A = lattice.box_A[:2]
        n = lattice.sites_per_layer
        sites = lattice.positions_A[:n, :2] % self._box_A
        tree = scipy.spatial.cKDTree(sites, boxsize=self._box_A)
        # Steps to the sites whose cells (of all points nearest to them) share an edge with a
        # site's: the middle between two sites lies on an edge of both if no third site is nearer.
        near_A = 2 * lattice.lattice_parameter_A
        steps = sites - sites[0]
        steps -= self._box_A * np.round(steps / self._box_A)
        steps = steps[(np.hypot(*steps.T) > 0) & (np.hypot(*steps.T) < near_A)]
        others = np.hypot(*np.moveaxis(steps[:, None, :] / 2 - steps[None, :, :], -1, 0))
        np.fill_diagonal(others, np.inf)
        own = np.hypot(*steps.T) / 2
        steps = steps[own < others.min(axis=1) - 1e-6 * lattice.lattice_parameter_A]
        # One of each pair of opposite steps, by angle: a rim has no sense, so that directions go
        # round within π.
        angles = np.arctan2(steps[:, 1], steps[:, 0])
        order = np.argsort(angles)
        order = order[(angles[order] > -1e-9) & (angles[order] < np.pi - 1e-9)]
        steps, angles = steps[order], angles[order]
        gaps = np.diff(angles, append=angles[0] + np.pi)
        nearest = (gaps + np.roll(gaps, 1)) / 2
        self._length_A = self._box_A.prod() / n * nearest / (2 * np.hypot(*steps.T))
        self._neighbour = [tree.query((sites + step) % self._box_A)[1] for step in steps]

    def length_per_area_per_A(self, contact: np.ndarray) -> float:
        """Length of rims over the area of the box, 1/Å.

        - `contact`: array of bool, shape (sites_per_layer,).
        """
        contact = np.asarray(contact, dtype=bool)
        pairs = [np.count_nonzero(contact != contact[other]) for other in self._neighbour]
        return float(self._length_A @ pairs / self._box_A.prod())
