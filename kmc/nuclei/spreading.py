"""Spreading resistances of vacancies at the interface: of a disc, between two points, of a grid.

Above the interface vacancies diffuse through the metal, along it through the first layer. A flux
J(r) into the interface raises the supersaturation there by

    Ŝ(k) = Ĵ(k) / (κ_b k + κ_i k²),    κ_b = ρ D_v c_eq,    κ_i = N_s D_i c_eq,i,

for a half-space (H. S. Carslaw and J. C. Jaeger, Conduction of Heat in Solids, 2nd ed., §8.2, with
a conducting skin). κ_b counts vacancies per µm and second and unit of supersaturation, κ_i per
second; their ratio λ = κ_i/κ_b is the length below which the layer carries more than the metal.
"""

import math
from functools import lru_cache

import numpy as np
import scipy
from numpy.typing import ArrayLike

_MIN, _MAX = 1e-4, 1e5  # λ/R between which the resistance of a disc is tabulated
_PER_DECADE = 12
_ASYMPTOTIC = 25.0  # r/λ beyond which Struve and Bessel functions cancel too well


def point_resistance_s(
    distance_um: ArrayLike, bulk_per_um_s: float, interface_per_s: float
) -> np.ndarray:
    """Supersaturation at a distance from a unit point source on the half-space, s.

    g(r) = (1/2π) ∫ J0(kr)/(κ_b + κ_i k) dk = [H0(r/λ) − Y0(r/λ)]/(4 κ_i), with Struve's H0: 1/(2π
    κ_b r) far away, −ln(r/λ)/(2π κ_i) nearby.
    """
    distance = np.asarray(distance_um, dtype=float)
    # Without the layer this is all; with it a factor that depends on r/λ alone.
    far = 1.0 / (2 * math.pi * bulk_per_um_s * distance)
    if interface_per_s == 0.0:
        return far
    # 2π κ_b r g(r) = (π/2) u [H0(u) − Y0(u)], u = r/λ.
    reduced = distance * (bulk_per_um_s / interface_per_s)
    table_log, table = _point_table()
    inside = np.interp(np.log(np.maximum(reduced, 1e-300)), table_log, table)
    with np.errstate(over="ignore"):
        # Asymptotic series of H0 − Y0: beyond the table the two cancel in all digits.
        squared = 1.0 / np.maximum(reduced, 1.0) ** 2
    series = 1 - squared * (1 - squared * (9 - 225 * squared))
    nearest = math.exp(table_log[0])
    log = np.log(2 / np.minimum(np.maximum(reduced, 1e-300), nearest)) - np.euler_gamma
    near = np.where(reduced < nearest, reduced * log, inside)
    return far * np.where(reduced > _ASYMPTOTIC, series, near)


@lru_cache(maxsize=1)
def _point_table() -> tuple[np.ndarray, np.ndarray]:
    u = np.geomspace(1e-5, 1.01 * _ASYMPTOTIC, 2400)
    return np.log(u), np.pi / 2 * u * (scipy.special.struve(0, u) - scipy.special.y0(u))


def disc_resistance_s(
    radius_um: ArrayLike, bulk_per_um_s: float, interface_per_s: float
) -> np.ndarray:
    """Spreading resistance of a disc of one supersaturation, s: (S − S_eq) over its flux.

    1/(4 κ_b R) without the layer, H. Weber's disc (J. reine angew. Math. 75, 75 (1873)); with it
    less, down to the logarithm of a sink in a plane. Accurate to 1e-4.
    """
    radius = np.asarray(radius_um, dtype=float)
    # 4 κ_b R times the resistance follows from λ/R alone.
    reduced = interface_per_s / (bulk_per_um_s * radius)
    table_log, table = _table()
    log = np.log(np.clip(reduced, _MIN, _MAX))
    inside = np.exp(np.interp(log, table_log, table))
    # Below the table the layer adds its share in proportion to λ/R, but for a logarithm.
    small = 1 - (1 - math.exp(table[0])) * reduced / _MIN
    # Above it the layer carries all: 1/(2π κ_i) (ln(2λ/R) − γ_E).
    many = np.maximum(reduced, 1.0)
    large = 2 / (math.pi * many) * (np.log(2 * many) - np.euler_gamma)
    shape = np.where(reduced < _MIN, small, np.where(reduced > _MAX, large, inside))
    return shape / (4 * bulk_per_um_s * radius)


@lru_cache(maxsize=1)
def _table() -> tuple[np.ndarray, np.ndarray]:
    """ln(λ/R) and the logarithm of the shape factor, by Galerkin's method.

    The flux into the disc is a mixture of Weber's, rings at the rim and smooth parts; of all
    mixtures with unit flux the one of least dissipation is next to the true one, and its resistance
    next to the true one from above, to second order.
    """
    n = 1 + round(_PER_DECADE * math.log10(_MAX / _MIN))
    ratios = np.geomspace(_MIN, _MAX, n)
    # Gauss's rule on panels that become longer with t = kR, then the mean of what oscillates.
    nodes, weights = np.polynomial.legendre.leggauss(12)
    ends = np.concatenate([[0.0], np.geomspace(1e-9, 1.0, 40), np.arange(2.0, 401.0)])
    middle, half = (ends[1:] + ends[:-1]) / 2, np.diff(ends) / 2
    t = (middle[:, None] + half[:, None] * nodes).ravel()
    w = (half[:, None] * weights).ravel()
    basis = np.stack(
        [
            scipy.special.j0(t),  # a ring at the rim
            np.sinc(t / np.pi),  # 1/√(R² − r²)
            2 * scipy.special.j1(t) / t,  # even
            8 * scipy.special.jv(2, t) / t**2,  # 1 − (r/R)²
        ]
    )
    # Squares of J0 and sin(t)/t average 1/(πt) and 1/(2t²) beyond the last panel.
    last = ends[-1]
    found = np.empty(n)
    for i, ratio in enumerate(ratios):
        matrix = (basis * (w / (1 + ratio * t))) @ basis.T
        matrix[0, 0] += math.log1p(1 / (ratio * last)) / math.pi
        matrix[1, 1] += 0.5 * (1 / last - ratio * math.log1p(1 / (ratio * last)))
        found[i] = 2 / math.pi / np.linalg.solve(matrix, np.ones(4)).sum()
    return np.log(ratios), np.log(found)


def between_discs_s(
    distance_um: ArrayLike,
    first_um: ArrayLike,
    second_um: ArrayLike,
    bulk_per_um_s: float,
    interface_per_s: float,
) -> np.ndarray:
    """Mean supersaturation on one disc from unit flux into another, s.

    Each takes its flux like a lone disc in a half-space, whose potential at a distance d is
    asin(R/d)/(2π κ_b R); R² = R1² + R2² keeps the first correction, 1 + (R1² + R2²)/6d², of
    both. The layer's share is that at the distance at which a point would have that potential.
    """
    reach = np.hypot(first_um, second_um)
    distance = np.maximum(distance_um, 1e-300)
    angle = np.arcsin(np.minimum(1.0, reach / distance))
    # Discs of no size are points, for which the ratio is 0/0.
    effective = np.where(reach > 0, reach / np.where(reach > 0, angle, 1.0), distance)
    return point_resistance_s(effective, bulk_per_um_s, interface_per_s)


def smeared_s(
    distance_um: np.ndarray | float, width_um: float, bulk_per_um_s: float, interface_per_s: float
) -> np.ndarray:
    """Supersaturation that one point makes at another, both smeared by Gaussians, s.

    (1/2π) ∫ exp(−k² w²) J0(kd)/(κ_b + κ_i k) dk, w the standard deviation of either.
    """
    k = np.concatenate([np.geomspace(1e-12, 0.02, 400), np.linspace(0.02, 9.0, 4000)[1:]])
    k /= width_um
    weight = np.exp(-((k * width_um) ** 2)) / (bulk_per_um_s + interface_per_s * k) / (2 * np.pi)
    waves = scipy.special.j0(np.multiply.outer(np.asarray(distance_um, dtype=float), k))
    below = k[0] / (2 * np.pi * bulk_per_um_s)
    return scipy.integrate.trapezoid(waves * weight, k) + below


def patch_resistance_s(
    side_um: ArrayLike, bulk_per_um_s: float, interface_per_s: float
) -> np.ndarray:
    """Mean supersaturation on a square from an even unit flux into it, s.

    (1/4π²) ∫ [sin(k_x s/2) sin(k_y s/2)/(k_x k_y s²/4)]²/(κ_b k + κ_i k²) d²k, to 1e-3; without the
    layer 0.4732/(κ_b s).
    """
    # In polar coordinates u = k s, over an eighth of the directions, of which all others are
    # mirror images; logarithmic far out, where the square's edges alone are seen.
    angle = (np.arange(64) + 0.5) / 64 * (math.pi / 4)
    u = np.concatenate([np.arange(0.005, 40.0, 0.01), np.geomspace(40.0, 4e3, 4001)])
    du = np.concatenate([np.full(4000, 0.01), np.gradient(u[4000:])])
    du[4000] /= 2
    waves = np.sinc(np.outer(u, np.cos(angle)) / (2 * np.pi))
    waves *= np.sinc(np.outer(u, np.sin(angle)) / (2 * np.pi))
    weight = (waves**2).mean(axis=1) * du / (2 * np.pi)
    side = np.asarray(side_um, dtype=float)[..., None]
    return (weight / (bulk_per_um_s * side + interface_per_s * u)).sum(axis=-1)


def grid_resistance(
    n_cells: int,
    edge_um: float,
    bulk_per_um_s: float,
    interface_per_s: float,
    thickness_um: float,
    sink_length_um: float = math.inf,
    sink_depth_um: float = math.inf,
) -> tuple[np.ndarray, np.ndarray]:
    """Supersaturation from a flux, by wave vector, on a periodic square grid.

    Returns (cells, waves), float64 arrays of shape (n_cells, n_cells // 2 + 1). The waves are Ŝ/Ĵ
    in µm² s as `numpy.fft.rfft2` orders wave vectors, 1/(κ_b q coth(qL) + κ_i k² + κ_b/λ) with
    q² = k² + κ² and sinks at the interface (λ) and in the metal (1/κ); the cells are the mean over
    a cell of what an even flux into a cell does. k = 0 is left 0: it has a past
    (`field.MeanField`).
    """
    pitch = edge_um / n_cells
    kx = 2 * np.pi * np.fft.rfftfreq(n_cells, pitch)
    ky = 2 * np.pi * np.fft.fftfreq(n_cells, pitch)
    # Waves that agree on all cell centres: a flux that is even in a cell excites them, too.
    images = 2 * np.pi / pitch * np.arange(-3, 4)

    def wave(x, y):
        k = np.hypot(x, y)
        k = np.where(k > 0, k, np.inf)
        with np.errstate(over="ignore", invalid="ignore"):
            q = np.hypot(k, 1 / sink_depth_um)
            into = q / np.tanh(q * thickness_um) + 1 / sink_length_um
            out = 1 / (bulk_per_um_s * into + interface_per_s * k**2)
        return np.where(np.isfinite(k), out, 0.0)

    waves = wave(kx[None, :], ky[:, None])
    cells = np.zeros_like(waves)
    for gx in images:
        for gy in images:
            x, y = (kx + gx)[None, :], (ky + gy)[:, None]
            shape = np.sinc(x * pitch / (2 * np.pi)) * np.sinc(y * pitch / (2 * np.pi))
            cells += shape**2 * wave(x, y)
    cells[0, 0] = 0.0
    return cells, waves
