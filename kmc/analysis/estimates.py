"""Numbers with errors, by block averaging."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

BLOCKS = 20


@dataclass(frozen=True)
class Estimate:
    """A number with its standard error and unit; ``float()`` gives the number."""

    value: float
    error: float
    unit: str = "1"

    def __float__(self) -> float:
        return float(self.value)

    def __repr__(self) -> str:
        unit = "" if self.unit == "1" else f" {self.unit}"
        return f"{self.value:.4g} ± {self.error:.2g}{unit}"


def block_ratio(numerators, denominators, unit: str = "1", blocks: int = BLOCKS) -> Estimate:
    """Ratio of two sums over consecutive stretches of a run, with its error.

    The stretches are gathered into at most `blocks` equal blocks; the scatter of the blocks about
    the ratio gives the error (delta method). Blocks must be longer than what the run remembers.

    Parameters
    ----------
    numerators, denominators : array of float, shape (n,)
        In the order of time.
    """
    numerators = np.asarray(numerators, dtype=float)
    denominators = np.broadcast_to(np.asarray(denominators, dtype=float), numerators.shape)
    total = denominators.sum()
    if not len(numerators) or total == 0:
        return Estimate(np.nan, np.nan, unit)
    edges = np.linspace(0, len(numerators), min(blocks, len(numerators)) + 1).astype(int)[:-1]
    above = np.add.reduceat(numerators, edges)
    below = np.add.reduceat(denominators, edges)
    ratio, n = above.sum() / total, len(above)
    if n < 2:
        return Estimate(float(ratio), np.nan, unit)
    scatter = np.sqrt(n / (n - 1) * ((above - ratio * below) ** 2).sum())
    return Estimate(float(ratio), float(scatter / abs(total)), unit)
