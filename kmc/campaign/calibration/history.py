"""History matching: which inputs the data rule out, whatever the distribution of errors.

The implausibility is the largest distance of the data from the emulator in standard deviations of
all that is uncertain (Craig et al. 1997; Vernon, Goldstein and Bower, Bayesian Anal. 5, 619 (2010),
10.1214/10-BA524); inputs above 3 are ruled out (three standard deviations hold 95 % of any
distribution with one peak: Pukelsheim 1994, 10.1080/00031305.1994.10476030).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kmc.campaign.calibration.data import Datum
from kmc.campaign.calibration.design import sobol
from kmc.campaign.calibration.emulator import Emulators

CANDIDATES = 2**13
_ROUNDS = 8  # of candidates and of refinement, where few are plausible
_STEP = 0.1  # of a refinement, in shares of the prior; halved each round


def distances(emulators: Emulators, data: Sequence[Datum], u: np.ndarray) -> np.ndarray:
    """Distance of each datum from the emulator in standard deviations, shape (data, n)."""
    rows = []
    for datum in data:
        mean, variance, scatter = emulators.predict(datum.of, u)
        z = (datum.value - mean) / np.sqrt(variance + scatter**2 + datum.variance)
        # A charge that is only known to be larger rules out smaller ones alone.
        rows.append(np.maximum(z, 0.0) if datum.beyond else np.abs(z))
    return np.array(rows)


def implausibility(emulators: Emulators, data: Sequence[Datum], u: np.ndarray) -> np.ndarray:
    """Largest distance over the data; infinite where runs are refused. Shape (n,)."""
    # The largest and no sum: one number that cannot be met rules an input out, however well others
    # fit.
    worst = distances(emulators, data, u).max(axis=0)
    return np.where(emulators.runs(u), worst, np.inf)


def match(
    emulators: Emulators, data: Sequence[Datum], inputs: int, limit: float, wanted: int, seed: int
) -> tuple[np.ndarray, float, float]:
    """Places of the unit cube with an implausibility below `limit`, shape (n, inputs).

    Empty where there is none. With the share of the priors that is plausible, by Sobol points, and
    the lowest implausibility found.
    """
    rng = np.random.default_rng(seed)
    u = sobol(CANDIDATES, inputs, seed)
    worst = implausibility(emulators, data, u)
    kept, share = u[worst < limit], float((worst < limit).mean())
    # Where nothing is plausible the search needs places to start from: the least implausible.
    best, lowest = u[np.argsort(worst)[:20]], float(worst.min())
    # Where few are found, the neighbourhood of the best is searched before "none" is the answer.
    for step in _STEP * 0.5 ** np.arange(_ROUNDS):
        if len(kept) >= 4 * wanted:
            break
        start = kept if len(kept) >= 20 else best
        near = start[rng.integers(len(start), size=CANDIDATES // 4)]
        near = np.clip(near + step * rng.standard_normal(near.shape), 0, 1)
        worst = implausibility(emulators, data, near)
        kept = np.concatenate([kept, near[worst < limit]])
        best = np.concatenate([best, near[np.argsort(worst)[:20]]])
        best = best[np.argsort(implausibility(emulators, data, best))[:20]]
        lowest = min(lowest, float(worst.min()))
    return kept, share, lowest


def spread(places: np.ndarray, points: int) -> np.ndarray:
    """Some of the places that lie as far from each other as they can: the next wave."""
    if len(places) <= points:
        return places
    chosen = [0]
    distance = np.linalg.norm(places - places[0], axis=1)
    while len(chosen) < points:
        # Farthest point first: as even as a design of the same size, in a region of any shape.
        chosen.append(int(np.argmax(distance)))
        distance = np.minimum(distance, np.linalg.norm(places - places[chosen[-1]], axis=1))
    return places[chosen]
