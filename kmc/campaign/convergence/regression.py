"""Straight lines: by weighted least squares, and through times that are partly not known.

A time that is only known to be later than the end of a run (right-censored) is taken as log-normal
about the line; the likeliest line is found by expectation and maximisation (Aitkin, Technometrics
23, 161 (1981)).
"""

from __future__ import annotations

import math

import numpy as np

ROUNDS = 60
FAR = 30.0  # beyond it a share is as good as 0 or 1, and 1 − share still has digits
TINY = 1e-300
_MIN_VARIANCE = 1e-12  # of logarithms: equal times do not make a likelihood infinite


def least_squares(
    u: np.ndarray, y: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Weighted lines through the rows of y.

    Parameters
    ----------
    u : ndarray, shape (n,)
    y, weights : ndarray, shape (sets, n)

    Returns
    -------
    a, b : ndarray, shape (sets,)
    """
    total = weights.sum(axis=1)
    mean_u, mean_y = (weights * u).sum(axis=1) / total, (weights * y).sum(axis=1) / total
    off = u - mean_u[:, None]
    spread = (weights * off**2).sum(axis=1)
    b = (weights * off * (y - mean_y[:, None])).sum(axis=1) / np.maximum(spread, TINY)
    b = np.clip(b, -FAR, FAR)
    return mean_y - b * mean_u, b


def censored_line(
    x: np.ndarray, times: np.ndarray, late: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Log-normal regression with right-censored times by expectation and maximisation.

    Parameters
    ----------
    x, weights : ndarray, shape (runs,)
    times : ndarray, shape (sets, runs)
    late : ndarray of bool, shape (sets, runs)
        Where the time is only known to be later than that.

    Returns
    -------
    a, b, sigma : ndarray, shape (sets,)
    """
    centre = x.mean()
    u, y = x - centre, np.log(times)
    weights = np.broadcast_to(weights, y.shape)
    a, b = least_squares(u, y, weights)
    variance = _residual(u, y, weights, a, b)
    for _ in range(ROUNDS if late.any() else 0):
        mu, sigma = a[:, None] + b[:, None] * u, np.sqrt(variance)[:, None]
        z, hazard = _hazard((y - mu) / sigma)
        # The mean of what lies beyond the end of a run, of a normal law cut off there.
        expected = np.where(late, mu + sigma * hazard, y)
        new_a, b = least_squares(u, expected, weights)
        settled = np.max(np.abs(new_a - a)) < 1e-6
        a = new_a
        # The cut-off law scatters less than the whole one; without this σ would shrink each round.
        missing = np.where(late, variance[:, None] * (1 + z * hazard - hazard**2), 0.0)
        unseen = (weights * missing).sum(axis=1) / weights.sum(axis=1)
        variance = _residual(u, expected, weights, a, b) + unseen
        if settled:
            break
    return a - b * centre, b, np.sqrt(variance)


def _residual(
    u: np.ndarray, y: np.ndarray, weights: np.ndarray, a: np.ndarray, b: np.ndarray
) -> np.ndarray:
    off = y - a[:, None] - b[:, None] * u
    return np.maximum((weights * off**2).sum(axis=1) / weights.sum(axis=1), _MIN_VARIANCE)


def _hazard(z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """z, kept from overflowing, and φ(z)/(1 − Φ(z))."""
    from scipy.special import log_ndtr

    z = np.clip(z, -30, 30)
    return z, np.exp(-0.5 * z**2 - 0.5 * math.log(2 * math.pi) - log_ndtr(-z))


def censored_means(
    times: np.ndarray, late: np.ndarray, group: np.ndarray, sigma: float
) -> tuple[np.ndarray, float]:
    """A mean of ln(time) for each group, and their common σ.

    Parameters
    ----------
    times, late, group : ndarray, shape (runs,)
        Groups are numbered from 0; each has a time that is known.
    sigma : float
        To begin with.
    """
    y, sizes = np.log(times), np.bincount(group)
    means = np.bincount(group, y) / sizes
    for _ in range(ROUNDS):
        mu = means[group]
        z, hazard = _hazard((y - mu) / sigma)
        means = np.bincount(group, np.where(late, mu + sigma * hazard, y)) / sizes
        squares = np.where(late, sigma**2 * (1 + z * hazard), (y - mu) ** 2)
        sigma = math.sqrt(max(float(squares.mean()), _MIN_VARIANCE))
    return means, sigma


def log_likelihood(times: np.ndarray, late: np.ndarray, mu: np.ndarray, sigma: float) -> float:
    """Of ln(times) about μ, but for a constant."""
    from scipy.special import log_ndtr

    z = (np.log(times) - mu) / sigma
    return float(np.where(late, log_ndtr(-z), -0.5 * z**2 - math.log(sigma)).sum())
