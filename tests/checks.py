"""Tools of the validation tests: runs to measure on, and runs with one thing 5 % wrong.

A check builds its engines through a `Maker`. The default one builds them right; the others are for
`validation/test_sensitivity.py`, which shows that every check notices physics that is 5 % wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import naive
import numpy as np
from numba import njit

from kmc.kernels import loop, tables
from kmc.model import rate_tables

FIVE_PERCENT = 1.05


@dataclass(frozen=True)
class Maker:
    """Builds engines from a `paired.Setup`.

    Parameters
    ----------
    scale : mapping of str to float
        Factors on parameters (and on fields of the setup), unknown to whoever checks.
    law, channels : callable, optional
        Change the tables of the kernel before they are used.
    """

    scale: Mapping[str, float] = field(default_factory=dict)
    law: Callable | None = None
    channels: Callable | None = None

    def model(self, setup):
        overrides, fields = dict(setup.overrides), {}
        for key, factor in self.scale.items():
            if key in setup.all_values:
                overrides[key] = setup.all_values[key] * factor
            elif hasattr(setup, key):
                fields[key] = getattr(setup, key) * factor
        model = replace(setup, overrides=overrides, **fields).model()
        for name, change in (("law", self.law), ("channels", self.channels)):
            if change is not None:
                object.__setattr__(model, f"wrong_{name}", change)
        return model

    def engine(self, setup, occupancy, seed, **arguments):
        return setup.engine(occupancy, seed, model=self.model(setup), **arguments)


def _changeable(name: str) -> None:
    """Let `rate_tables.law` and `.channels` make wrong tables of the models marked by a Maker."""
    right = getattr(rate_tables, name)

    def table(model, *arguments, **options):
        made = right(model, *arguments, **options)
        change = getattr(model, f"wrong_{name}", None)
        return made if change is None else change(made)

    setattr(rate_tables, name, table)


for _name in ("law", "channels"):
    _changeable(_name)

RIGHT = Maker()


def li_box(setup, *vacancies) -> np.ndarray:
    """Occupancy of Li with vacancies at these sites."""
    occupancy = np.full(setup.n_sites, naive.LI, dtype=np.uint8)
    occupancy[list(vacancies)] = naive.VACANCY
    return occupancy


def logs(engine, events, chunk=200_000):
    """Run so many events; yields (start time, log) for every `chunk` of them.

    The engine needs ``log_events=chunk``; the arrays of a log are reused by the next one.
    """
    done = engine.count(tables.EVENTS)
    while events > 0:
        step = min(chunk, events)
        start = engine.time_s
        engine.state.counters[tables.LOGGED] = 0
        reason = engine.advance(events=done + step)
        assert reason == tables.PAUSED
        n = engine.count(tables.LOGGED)
        assert n == step
        log = engine.log
        yield (
            start,
            tables.EventLog(
                log.kind[:n], log.site_from[:n], log.site_to[:n], log.species[:n], log.time_s[:n]
            ),
        )
        done += step
        events -= step


def hop_vectors(lattice, site_from, site_to) -> np.ndarray:
    """Displacement of the atom in each hop, Å, shape (n, 3), over the periodic images."""
    delta = lattice.positions_A[site_to] - lattice.positions_A[site_from]
    box = lattice.box_A
    for axis in range(3 if lattice.boundary == "periodic" else 2):
        delta[:, axis] -= box[axis] * np.round(delta[:, axis] / box[axis])
    return delta


@njit
def follow_atoms(site_from, site_to, step, total, last):
    """Add hops to the atoms' displacements and sum up cos θ of consecutive hops of an atom.

    Parameters
    ----------
    site_from, site_to : int64, shape (n,)
    step : float64, shape (n, 3)
        Displacement of each hop.
    total, last : float64, shape (n_sites, 3)
        Displacement so far, and last hop, of the atom now on each site; changed in place.
    """
    cosines = 0.0
    for k in range(site_from.size):
        a, b = site_from[k], site_to[k]
        product = 0.0
        length2 = 0.0
        for axis in range(3):
            d = step[k, axis]
            product += last[a, axis] * d
            length2 += d * d
            total[b, axis] = total[a, axis] + d
            last[b, axis] = d
            total[a, axis] = 0.0
            last[a, axis] = 0.0
        cosines += product / length2
    return cosines


@dataclass(frozen=True)
class Estimate:
    """A measured number with its standard error."""

    value: float
    error: float

    @classmethod
    def of_blocks(cls, numerators, denominators=None) -> Estimate:
        """Ratio of sums over blocks, error from the scatter of the blocks (delta method)."""
        numerators = np.asarray(numerators, dtype=float)
        if denominators is None:
            denominators = np.ones_like(numerators)
        denominators = np.asarray(denominators, dtype=float)
        n = len(numerators)
        ratio = numerators.sum() / denominators.sum()
        residual = numerators - ratio * denominators
        return cls(ratio, np.sqrt(n / (n - 1) * (residual**2).sum()) / denominators.sum())


class NotConclusive(Exception):
    """A check that would say nothing: its run was too short, or not what it is about."""


def agrees(estimate: Estimate, expected: float, *, sigmas=4.0, resolution=0.01):
    """Assert that a number is measured sharply enough, and that it is the expected one.

    Parameters
    ----------
    sigmas : float
        Allowed deviation in standard errors. 4: a right model passes with 99.994 % for each number.
    resolution : float
        Largest relative standard error allowed: at 1 %, a number that is 5 % wrong lies 5 standard
        errors off on average.

    Raises
    ------
    NotConclusive
        The standard error is larger.
    """
    deviation = (estimate.value - expected) / estimate.error
    assert abs(deviation) <= sigmas, f"{estimate} against {expected}: {deviation:+.1f} sigma"
    if not estimate.error <= resolution * abs(expected):
        raise NotConclusive(f"{estimate} is not sharp enough to be compared with {expected}")


class Frozen:
    """One state of an engine, put back before every draw."""

    def __init__(self, setup, occupancy, seed, make=RIGHT):
        self.engine = engine = make.engine(setup, occupancy, seed, log_events=4)
        alloy = isinstance(engine.law, tables.TwoSpecies)
        engine.state = rate_tables.new_state(engine.model, occupancy, alloy, capacity=64)
        loop.prepare(engine.geometry, engine.law, engine.channels, engine.state, engine.scratch)
        self.arrays = [array for array in _arrays(engine.state) if array.size]
        self.saved = [array.copy() for array in self.arrays]

    def draw(self) -> tuple[naive.Event, float]:
        """One event from the frozen state, and the time it took."""
        for array, saved in zip(self.arrays, self.saved, strict=True):
            array[...] = saved
        self.engine.state.clock[1:3] = self.engine.rng.random(
            2
        )  # drawn ahead, so part of the state
        self.engine.advance(events=1)
        log = self.engine.log
        kind = ("hop", "strip", "absorb", "emit", "close", "plate")[log.kind[0]]
        return (
            naive.Event(kind, int(log.site_from[0]), int(log.site_to[0]), int(log.species[0]), 0.0),
            self.engine.time_s,
        )


def _arrays(value):
    if isinstance(value, np.ndarray):
        yield value
    elif isinstance(value, tuple):
        for item in value:
            yield from _arrays(item)
