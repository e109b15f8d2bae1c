"""Radius at which a lone void below a rigid body neither grows nor shrinks.

Vacancies arrive at a disc of radius a, where S = 1, below metal with sinks; the body comes down by
what ends at the sinks, K s∞/λ or K κ s∞ far away. In units of s∞ and K, v = s∞ − s is

    v(r, z) = ∫ A(k) J0(kr) exp(−qz) dk,    q² = k² + κ²,    v = 1 for r < a at z = 0,
    g(r) = ∫ (q + 1/λ) A(k) J0(kr) dk = 0 for r > a.

Dual integral equations (I. N. Sneddon, Mixed Boundary Value Problems in Potential Theory, 1966,
ch. 4), solved by Galerkin's method with g = Σ c_n (1 − r²/a²)^(n − 1/2), n = 0, 1, ..., whose
Hankel transforms are Bessel functions: a first term with the singularity of the rim, then smooth
ones, so that it converges exponentially in their number.
"""

from __future__ import annotations

import math

import numpy as np
from scipy import optimize, special


def growth(radius: float, interface: float, metal: float, *, column: bool = False, terms: int = 6):
    """Volume that a void gains in unit time, without Ω, K and s∞.

    Parameters
    ----------
    radius : float
    interface, metal : float
        1/λ and κ.
    column : bool
        Planes that dislocations take out above the void count, too: they go above it as well as
        beside it, where the field of vacancies is the same.
    terms : int
    """
    # Gauss's rule on panels in x = ka; the tail is that of products of two cosines over x^m.
    nodes, weights = np.polynomial.legendre.leggauss(16)
    ends = np.concatenate([[0.0], np.geomspace(1e-6, 1.0, 40), np.arange(2.0, 400.0)])
    half = np.diff(ends) / 2
    x = ((ends[1:] + ends[:-1])[:, None] / 2 + half[:, None] * nodes).ravel()
    w = (half[:, None] * weights).ravel()
    k = x / radius
    q = np.hypot(k, metal)
    orders = np.arange(terms) - 0.5
    # ∫ (1 − r²/a²)^ν J0(kr) r dr = a² 2^ν Γ(ν + 1) J_(ν+1)(x)/x^(ν+1)
    basis = np.array(
        [
            radius**2 * 2**m * special.gamma(m + 1) * special.jv(m + 1, x) / x ** (m + 1)
            for m in orders
        ]
    )
    whole = radius**2 / (2 * (orders + 1))  # the same at k = 0
    matrix = (basis * (w * k / radius / (q + interface))) @ basis.T
    # Beyond the last panel only the singular term counts: radius⁴ sin²x/x² k/(k + …) dk.
    matrix[0, 0] += radius**3 / (2 * ends[-1])
    found = np.linalg.solve(matrix, whole)
    disc = math.pi * radius**2
    supply = interface + metal
    arrives = 2 * math.pi * float(found @ whole) - supply * disc
    settles = supply * disc
    if column:
        # What dislocations above the disc take out is that far away without the missing part, κ²∫v.
        amplitude = (found @ basis) * k / (q + interface)
        lens = radius * special.j1(x) / k  # ∫ J0(kr) r dr over the disc
        missing = metal**2 * 2 * math.pi * float((amplitude * lens / q * w / radius).sum())
        settles = interface * disc + missing
    return arrives - settles


def stable_radius(interface: float, metal: float, **how) -> float:
    """The radius at which `growth` changes its sign from + to −."""
    scale = 1 / (interface + metal)
    return optimize.brentq(
        lambda a: growth(a, interface, metal, **how), 0.5 * scale, 4 * scale, xtol=1e-6
    )
