"""Supersaturation at the interface and flux of vacancies into voids: a mixed boundary problem.

On contact the flux is given: stripping leaves vacancies there. Under a void the supersaturation is
given, that of its vapour of vacancies, and the flux into it is asked for. Footprints that the grid
resolves are sets of cells, each of which absorbs; smaller voids are points with the spreading
resistance of their disc. The unknown fluxes solve a symmetric positive system with the Fourier
kernels of `spreading`, by preconditioned conjugate gradients, as the current does in
`kmc.model.constriction`.

A cell of which a footprint covers the share f has a flux of its own too. It meets a resistance
beside that of a full cell: what a square of f times the area has more, times `_RIM`. The factor is
measured, on lone discs and on populations; it makes up for what an even flux in each cell leaves
out at a rim, where the true flux is singular. The resistance of a lone disc is then right to 3 % at
one cell of radius, 1 % at two and 0.3 % at five, without the layer and with one of λ up to a cell
(tests/nuclei/test_field.py).

Fluxes are vacancies per second; the equations are linear in the supersaturation S.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy

from kmc.common.threads import over_rows, threads_for
from kmc.kernels import discs
from kmc.nuclei.spreading import (
    between_discs_s,
    disc_resistance_s,
    grid_resistance,
    patch_resistance_s,
    smeared_s,
)

_WIDTH_CELLS = 1.0  # standard deviation of the Gaussian that stands for a point on the grid
_REACH_CELLS = 4
_NEAR_CELLS = 7.0  # pairs of points closer than this get what the Gaussians leave out
_RIM = 2.25
_MAX_STEPS = 400


def overlaps(
    x: np.ndarray, y: np.ndarray, radius: np.ndarray, edge: float
) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of discs in a periodic square whose distance is below the sum of their radii.

    Each pair once, with the lower index first, in order.
    """
    if len(x) < 2:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    places = np.column_stack([x, y]) % edge
    tree = scipy.spatial.cKDTree(places, boxsize=edge)
    pairs = tree.query_pairs(2 * float(np.max(radius)), output_type="ndarray")
    first, second = pairs[np.lexsort(pairs.T[::-1])].T
    away = places[first] - places[second]
    away -= edge * np.rint(away / edge)
    near = np.hypot(*away.T) < radius[first] + radius[second]
    return first[near], second[near]


@dataclass(frozen=True)
class Medium:
    """What vacancies move through: the metal above the interface, and its first layer."""

    bulk_per_um_s: float  #: κ_b = ρ D_v c_eq, vacancies per µm and s at S = 1
    interface_per_s: float  #: κ_i = N_s D_i c_eq,i, vacancies per s at S = 1
    #: ρ c_eq, vacancies in equilibrium with a flat surface, in the metal.
    bulk_storage_per_um3: float
    interface_storage_per_um2: float  #: N_s c_eq,i, the same in the first layer
    thickness_um: float  #: distance L to a perfect sink; infinite where there is none
    site_volume_um3: float  #: Ω, volume of a vacancy
    #: λ. Contact takes up κ_b (S − 1)/λ vacancies per µm² and s; infinite where it takes none.
    sink_length_um: float = math.inf
    #: 1/κ of the sinks in the metal, dislocations, which take up κ_b κ² (S − 1) per µm³ and s.
    sink_depth_um: float = math.inf

    @property
    def interface_sink_per_um2_s(self) -> float:
        """κ_b/λ."""
        return self.bulk_per_um_s / self.sink_length_um


class MeanField:
    """Mean supersaturation above 1 through the thickness of the metal: storage, flux to the sink.

    ∂c/∂t = D_v ∂²c/∂z² with the flux J at z = 0, where the first layer stores too, and c = c_eq at
    z = L; finite volumes, implicit in time, which keep count of every vacancy. Metal without a sink
    is `closed_depth_um` deep.
    """

    def __init__(self, medium: Medium, closed_depth_um: float):
        self.medium = medium
        self.closed = math.isinf(medium.thickness_um)
        depth = closed_depth_um if self.closed else medium.thickness_um
        n = 96
        first = min(depth / n, 0.02 * depth, 0.05)
        # Lengths that grow by one factor from the first: thin at the interface, where S changes
        # first when the current does.
        if first * n >= depth * (1 - 1e-9):
            steps = np.full(n, depth / n)
        else:
            factor = scipy.optimize.brentq(
                lambda f: first * (f**n - 1) / (f - 1) - depth, 1 + 1e-9, 100.0
            )
            steps = first * factor ** np.arange(n)
            steps = steps * (depth / steps.sum())
        widths = np.concatenate([[steps[0] / 2], (steps[1:] + steps[:-1]) / 2])
        self._store = medium.bulk_storage_per_um3 * widths  # per µm² and unit of S, node by node
        self._store[0] += medium.interface_storage_per_um2
        # Between nodes the steady profile with sinks, exp(±κz), is exact.
        kappa = 1 / medium.sink_depth_um
        across = kappa * steps
        shape = np.divide(
            across, np.sinh(np.minimum(across, 700.0)), where=across > 0, out=np.ones(n)
        )
        self._conduct = medium.bulk_per_um_s / steps * shape  # from node i to i + 1
        half = medium.bulk_per_um_s * kappa * np.tanh(across / 2)
        self._ends = half.copy()  # taken up at each node, per µm², s and unit of S
        self._ends[1:] += half[:-1]
        self._ends[0] += medium.interface_sink_per_um2_s
        if self.closed:
            self._store[-1] += medium.bulk_storage_per_um3 * steps[-1] / 2
            self._conduct[-1] = 0.0
        self.excess = np.zeros(n)  # S − 1 at the nodes; node 0 is the interface

    @property
    def stored_per_um2(self) -> float:
        """Vacancies beyond those of S = 1."""
        return float(self._store @ self.excess)

    def step(self, dt_s: float) -> tuple[float, float]:
        """(m, R): the mean S − 1 at the interface after `dt_s` of a flux J is m + R J."""
        past, unit = self._solved(dt_s)
        return float(past[0]), float(unit[0])

    def advance(self, dt_s: float, flux_per_um2_s: float) -> tuple[float, float]:
        """Go `dt_s` on under a flux.

        Returns what went to the far side of the metal, and what ended at the interface and at the
        sinks in the metal; vacancies per µm².
        """
        past, unit = self._solved(dt_s)
        before = self.stored_per_um2
        self.excess = past + flux_per_um2_s * unit
        near = float(self._ends @ self.excess) * dt_s
        return flux_per_um2_s * dt_s - (self.stored_per_um2 - before) - near, near

    def put(self, vacancies_per_um2: float) -> None:
        """Add vacancies (or take them, if negative) at the interface, at once."""
        self.excess = self.excess.copy()
        # Over some nodes: in the first alone, which holds next to nothing, S would leap.
        near = min(8, len(self.excess))
        self.excess[:near] += vacancies_per_um2 / self._store[:near].sum()

    def _solved(self, dt_s: float) -> tuple[np.ndarray, np.ndarray]:
        n = len(self.excess)
        matrix = np.zeros((3, n))
        matrix[1] = self._store / dt_s + self._conduct + self._ends
        matrix[1, 1:] += self._conduct[:-1]
        # Implicit Euler: stable for any step, and steps grow from microseconds to minutes.
        matrix[0, 1:] = matrix[2, :-1] = -self._conduct[:-1]
        right = np.zeros((n, 2))
        right[:, 0] = self._store * self.excess / dt_s
        # Both sides at once: the answer is linear in the flux, which the solver of the square
        # finds.
        right[0, 1] = 1.0
        out = scipy.linalg.solve_banded((1, 1), matrix, right)
        return out[:, 0], out[:, 1]


def _dot(first: np.ndarray, second: np.ndarray) -> float:
    """Scalar product; BLAS would spread it over threads, slower and in no fixed order."""
    return float((first * second).sum())


@dataclass
class Absorbers:
    """The voids as the field sees them."""

    #: Cells of the grid (flat numbers) that resolved footprints cover, wholly or in part.
    cells: np.ndarray
    cell_share: np.ndarray  #: share of each that is covered, above 0
    cell_supersaturation: np.ndarray  #: S_eq of the void of each such cell
    #: Of small voids, with the next three, place, radius of the disc that absorbs like them, S_eq;
    #: shape (n_points,).
    x_um: np.ndarray
    y_um: np.ndarray
    radius_um: np.ndarray
    supersaturation: np.ndarray


@dataclass
class Solution:
    """Fluxes of a moment."""

    #: S on the grid, means over the cells; near a small void that of a smeared sink. Its mean over
    #: the whole square is that of the fluxes, exactly; shape (n, n).
    supersaturation: np.ndarray
    #: Vacancies that each cell of a footprint takes in a second; then, that each small void does.
    cell_per_s: np.ndarray
    point_per_s: np.ndarray
    steps: int  #: of the conjugate gradients


class SurfaceField:
    """The interface as a periodic grid of `n_cells` along an edge."""

    def __init__(self, medium: Medium, edge_um: float, n_cells: int):
        self.medium, self.edge_um, self.n_cells = medium, edge_um, n_cells
        self.pitch_um = edge_um / n_cells
        self._threads = threads_for(n_cells)
        self._cells, waves = grid_resistance(
            *(n_cells, edge_um, medium.bulk_per_um_s, medium.interface_per_s),
            *(medium.thickness_um, medium.sink_length_um, medium.sink_depth_um),
        )
        # Single precision serves the iterations, whose tolerance is far above its rounding.
        self._single = self._cells.astype(np.float32)
        # Nearly the inverse of the mixed problem, too: it preconditions it.
        self._inverse = np.zeros_like(self._single)
        np.divide(1.0, self._single, out=self._inverse, where=self._single > 0)
        self._width_um = _WIDTH_CELLS * self.pitch_um
        # What the grid gives a point for its own flux, but for images: its smeared resistance.
        k = 2 * np.pi * np.fft.fftfreq(n_cells, self.pitch_um)
        kx = 2 * np.pi * np.fft.rfftfreq(n_cells, self.pitch_um)
        weight = np.exp(-((kx[None, :] ** 2 + k[:, None] ** 2) * self._width_um**2))
        twice = np.full(kx.size, 2.0)  # waves that rfft leaves out are those of −k
        twice[0] = 1.0
        if n_cells % 2 == 0:
            twice[-1] = 1.0
        alone = smeared_s(0.0, self._width_um, medium.bulk_per_um_s, medium.interface_per_s)
        self._own_s = float(alone + (weight * (self._cells - waves) * twice).sum() / edge_um**2)
        self._table = self._smeared_pairs(self._width_um)
        # Of one point at a place, in the mean over a cell: Gaussian and cell have these variances.
        self._alone = self._smeared_pairs(math.sqrt(self._width_um**2 / 2 + self.pitch_um**2 / 24))
        # Resistance of a covered cell, and what one has beside it that is covered in part.
        self._shares = np.arange(1, 65) / 64
        patch = patch_resistance_s(
            np.sqrt(self._shares) * self.pitch_um, medium.bulk_per_um_s, medium.interface_per_s
        )
        self._cell_s, self._rim_s = float(patch[-1]), _RIM * (patch - patch[-1])

    def _smeared_pairs(self, width_um: float) -> tuple[np.ndarray, np.ndarray]:
        """Supersaturation that one smeared point makes at another, by their distance."""
        distance = np.linspace(0, _NEAR_CELLS * self.pitch_um, 141)
        b, i = self.medium.bulk_per_um_s, self.medium.interface_per_s
        return distance, smeared_s(distance, width_um, b, i)

    def spread(
        self, x_um: np.ndarray, y_um: np.ndarray, per_s: np.ndarray, grid: np.ndarray
    ) -> None:
        """Add fluxes of points to a grid, as Gaussians."""
        discs.spread(x_um, y_um, per_s, self._width_um, _REACH_CELLS, self.edge_um, grid)

    def solve(
        self,
        flux_per_s: np.ndarray,
        mean: tuple[float, float],
        voids: Absorbers,
        guess: tuple[np.ndarray, np.ndarray] | None = None,
        tolerance: float = 1e-4,
        fluxes_alone: bool = False,
        total: float | None = None,
    ) -> Solution:
        """Fluxes into the voids, and the supersaturation that is left (0 with `fluxes_alone`).

        - `flux_per_s`: vacancies that stripping leaves in each cell in a second, shape (n, n).
        - `mean`: m and R of `MeanField.step`.
        - `guess`: fluxes of cells and points to begin with.
        - `tolerance`: of the supersaturation at each void, relative to the largest excess.
        - `total`: sum of the fluxes, of cells alone. Their supersaturations then are as given but
          for a number, the same for all, that the sum decides.
        """
        n_cells, n_points = len(voids.cells), len(voids.x_um)
        # S without voids; what they take is found from how far it lies above theirs.
        base = np.full(flux_per_s.shape, 1.0 + mean[0])
        if flux_per_s.any() and total is None:
            base += self.convolved(flux_per_s, mean[1])
        if not n_cells + n_points:
            return Solution(base, np.zeros(0), np.zeros(0), 0)
        near = self._near(voids)
        own = near[3]
        rim = np.interp(voids.cell_share, self._shares, self._rim_s)

        def apply(flux, kind=np.float32):
            image = self.convolved(self._on_grid(flux, voids, kind), mean[1])
            out = np.empty_like(flux)

            def gather(start, end):
                part = slice(start, end)
                out[part] = image.ravel()[voids.cells[part]] + rim[part] * flux[part]

            over_rows(gather, n_cells, self._threads)
            points = flux[n_cells:]
            out[n_cells:] = self._at_points(image, voids) + own * points
            out[n_cells:] += discs.pair_sums(near[0], near[1], near[2], points)
            return out

        wanted = np.empty(n_cells + n_points)
        wanted[:n_cells] = base.ravel()[voids.cells] - voids.cell_supersaturation
        wanted[n_cells:] = self._at_points(base, voids) - voids.supersaturation
        # A point far from others sees little but itself.
        diagonal = own + self._own_s
        eased = np.sqrt(self._cell_s / (self._cell_s + rim))
        scale = float(np.abs(wanted).max(initial=0.0)) or 1.0

        def precondition(residual):
            out = np.empty_like(residual)
            if n_cells:
                grid = np.zeros((self.n_cells, self.n_cells), np.float32)

                def gather(start, end):
                    part = slice(start, end)
                    out[part] = image.ravel()[voids.cells[part]] * eased[part]

                self._put(grid, voids.cells, residual[:n_cells] * eased)
                # The mean keeps its own resistance, unless waves have a larger one.
                largest = max(mean[1], self._cells[0, 1])
                image = self._filtered(grid, self._inverse, lambda total: total / largest)
                image *= self.pitch_um**2
                over_rows(gather, n_cells, self._threads)
            out[n_cells:] = residual[n_cells:] / diagonal
            return out

        def open_(values):
            # Conjugate gradients in the fluxes whose sum is 0: no residual along the others.
            return values if total is None else values - values.mean()

        flux = np.zeros_like(wanted)
        if guess is not None:
            flux[:n_cells], flux[n_cells:] = guess
        residual = wanted
        if total is not None:
            flux += total / n_cells - flux.mean()
            # What is given and the guess at once, in single precision, which the tolerance allows.
            given = (flux_per_s - self._on_grid(flux, voids)).astype(np.float32)
            residual += self.convolved(given, mean[1]).ravel()[voids.cells] - rim * flux
            scale = float(np.abs(residual).max()) or 1.0  # the level counts as an excess
        elif guess is not None:
            residual = wanted - apply(flux, np.float64)
        residual = open_(residual)
        steps = 0
        # In units of S at the worst void, not as a norm: no single void may be far off.
        if np.abs(residual).max() > tolerance * scale:
            step = direction = open_(precondition(residual))
            product = _dot(residual, step)
            for steps in range(1, _MAX_STEPS + 1):  # noqa: B007 - counted for the solution
                image = open_(apply(direction))
                length = product / _dot(direction, image)
                flux = flux + length * direction
                residual = residual - length * image
                if np.abs(residual).max() < tolerance * scale:
                    break
                step = open_(precondition(residual))
                previous, product = product, _dot(residual, step)
                direction = step + (product / previous) * direction
        left = np.zeros_like(base)
        if not fluxes_alone:
            left = base - self.convolved(self._on_grid(flux, voids), mean[1])
        return Solution(left, flux[:n_cells], flux[n_cells:], steps)

    def beside_points(
        self, x_um: np.ndarray, y_um: np.ndarray, voids: Absorbers, point_per_s: np.ndarray
    ) -> np.ndarray:
        """How much lower S is at some places than on the grid, which smears small voids.

        `point_per_s` is what each point of the voids takes.
        """
        n = len(x_um)
        reach = np.zeros(n + len(voids.x_um))
        reach[:n] = _REACH_CELLS * self.pitch_um
        x, y = np.append(x_um, voids.x_um), np.append(y_um, voids.y_um)
        first, second = overlaps(x, y, reach, self.edge_um)
        place, point = np.minimum(first, second), np.maximum(first, second) - n
        mixed = (place < n) & (point >= 0)
        order = np.lexsort((point[mixed], place[mixed]))
        place, point = place[mixed][order], point[mixed][order]
        distance = self._distance(
            (x_um[place], voids.x_um[point]), (y_um[place], voids.y_um[point])
        )
        radius = voids.radius_um[point]
        b, i = self.medium.bulk_per_um_s, self.medium.interface_per_s
        lower = between_discs_s(np.maximum(distance, radius), radius, 0.0, b, i)
        lower -= np.interp(distance, *self._alone)
        return np.bincount(place, lower * point_per_s[point], minlength=len(x_um))

    # --- parts of the equations -------------------------------------------------------------------

    def convolved(self, grid: np.ndarray, mean_s: float) -> np.ndarray:
        """S on the grid from fluxes per cell; `mean_s` is the resistance of their mean."""
        kernel = self._single if grid.dtype == np.float32 else self._cells
        out = self._filtered(grid, kernel, lambda total: total * mean_s)
        out /= self.pitch_um**2
        return out

    def _filtered(
        self, grid: np.ndarray, kernel: np.ndarray, of_sum: Callable[[float], float]
    ) -> np.ndarray:
        """A grid with each of its waves times `kernel`, and that of its sum as `of_sum` has it."""
        waves = scipy.fft.rfft2(grid, workers=self._threads)
        total = waves[0, 0].real

        def scale(start, end):
            waves[start:end] *= kernel[start:end]

        over_rows(scale, self.n_cells, self._threads)
        waves[0, 0] = of_sum(total)
        return scipy.fft.irfft2(waves, s=grid.shape, workers=self._threads)

    def _on_grid(self, flux: np.ndarray, voids: Absorbers, kind: type = np.float64) -> np.ndarray:
        has_points = bool(len(voids.x_um))
        # Points are added in double precision: their Gaussians overlap, and kernels are compiled
        # for one type.
        grid: np.ndarray = np.zeros(
            (self.n_cells, self.n_cells), np.float64 if has_points else kind
        )
        n_cells = len(voids.cells)
        self._put(grid, voids.cells, flux)
        if has_points:
            self.spread(voids.x_um, voids.y_um, flux[n_cells:], grid)
        return grid.astype(kind, copy=False)

    def _put(self, grid: np.ndarray, cells: np.ndarray, values: np.ndarray) -> None:
        """Set some cells of a grid to these values."""

        def scatter(start, end):
            grid.ravel()[cells[start:end]] = values[start:end]

        over_rows(scatter, len(cells), self._threads)

    def _at_points(self, grid: np.ndarray, voids: Absorbers) -> np.ndarray:
        x, y = voids.x_um, voids.y_um
        if not len(x):
            return np.zeros(0)
        grid = grid.astype(np.float64, copy=False)  # kernels are compiled for one type
        return discs.gather(x, y, grid, self._width_um, _REACH_CELLS, self.edge_um)

    def _distance(self, *of_axes: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
        """Between places of the periodic square, given as pairs of coordinates for each axis."""
        ways = [first - second for first, second in of_axes]
        return np.hypot(*(way - self.edge_um * np.rint(way / self.edge_um) for way in ways))

    def _near(self, voids: Absorbers) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Pairs of small voids with what their Gaussians leave out, and the same of each alone."""
        b, i = self.medium.bulk_per_um_s, self.medium.interface_per_s
        reach = np.full(len(voids.x_um), _NEAR_CELLS * self.pitch_um / 2)
        first, second = overlaps(voids.x_um, voids.y_um, reach, self.edge_um)
        distance = self._distance(*((a[first], a[second]) for a in (voids.x_um, voids.y_um)))
        # The grid has the pair smeared already: only the difference is added.
        true = between_discs_s(distance, voids.radius_um[first], voids.radius_um[second], b, i)
        coupling = true - np.interp(distance, *self._table)
        own = disc_resistance_s(voids.radius_um, b, i) - self._own_s
        return first, second, coupling, own
