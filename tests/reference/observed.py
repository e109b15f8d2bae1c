"""What tests look at in an engine beside what a run records: events, and rates of a vacancy."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from kmc.kernels import loop, tables
from kmc.model import processes
from kmc.systems.electrode.engine import Engine


class Event(NamedTuple):
    """One logged event. ``site_from`` or ``site_to`` is −1 where metal enters or leaves the box."""

    kind: str
    site_from: int
    site_to: int
    species: int
    time_s: float


def logged(engine: Engine) -> list[Event]:
    """The events recorded so far, of an engine that logs them."""
    n, log = engine.count(tables.LOGGED), engine.log
    columns = (log.kind, log.site_from, log.site_to, log.species, log.time_s)
    rows = zip(*(column[:n].tolist() for column in columns), strict=True)
    return [Event(processes.KINDS[kind], *others) for kind, *others in rows]


def vacancy_rates_Hz(engine: Engine, site: int) -> np.ndarray:
    """Rates of the ten ways to fill a vacancy: 8 hops in neighbour order, Li, Mg absorbed."""
    rates = np.zeros(tables.N_FIRST + 2)
    loop.rates_of_vacancy(
        engine.geometry,
        engine.law,
        engine.channels,
        engine.state.site_state,
        engine.model.kernel_lattice.kernel_sites(np.array([site]))[0],
        rates,
    )
    return rates * engine.channels.unit_Hz
