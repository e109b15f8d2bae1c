"""Growth at a full interface: a plated ion pushes a column of metal up by one layer.

Where no site is vacant an ion that has come takes the place of an electroactive Li, any of them
with the same probability, and the column above it moves up by one layer: as far as its first
vacancy, which is filled, or up to the top, where an atom goes into the reservoir. It is the reverse
of a closure by creep (`kmc.kernels.void_closure`). Li and Mg are counted at both ends, so that

    Li in the box = at the start − strips + plates − Li pushed out + what the reservoir exchanged.

The work against the stack pressure, pΩ, is 1e-4 eV at 1 MPa and left out. No rate of an atom or
vacancy stands behind it, so that while it carries the current the overpotential is undefined: NaN
in the row of its interval. This happens once for each ion between two calls of the event loop, and
the state is built again from the species.
"""

from typing import Any

import numpy as np

from kmc.kernels import tables
from kmc.model.lattice import Lattice


def push_back(engine: Any) -> bool:
    """Plate the ion that waits under an atom of an `Engine`; the one that has come since is due.

    False where there is no electroactive atom; then nothing has changed.
    """
    lattice = engine.model.lattice
    occupancy = engine.occupancy()
    # All alike: a column is lifted whole, and no rate of the model favours one over another.
    places = replaceable(occupancy, lattice)
    if engine.spares:
        places = places[engine.collector.connected(occupancy)[places]]
    if not len(places):
        return False
    # Rounding can make random() · n equal to n, a place that there is not.
    site = int(places[min(int(engine.rng.random() * len(places)), len(places) - 1)])
    out = raise_column(occupancy, site, lattice.sites_per_layer)
    engine.rebuild(occupancy)
    engine.state.clock[tables.STRIP_DUE] = -1.0
    engine.state.activity[:] = np.nan
    counters = engine.state.counters
    counters[[tables.PLATES, tables.PUSHES]] += 1
    counters[tables.EVENTS] += 2
    _log(engine, tables.PLATE, site, tables.LI)
    _log(engine, tables.PUSH, site, tables.LI)
    if out != tables.VACANCY:
        counters[tables.PUSHED_OUT] += 1
        counters[tables.PUSHED_OUT_MG] += out == tables.MG
        counters[tables.EVENTS] += 1
        top = lattice.n_sites - lattice.sites_per_layer + site % lattice.sites_per_layer
        _log(engine, tables.PUSH_OUT, top, out)
    return True


def replaceable(occupancy: np.ndarray, lattice: Lattice) -> np.ndarray:
    """Sites of Li at the electrolyte, in order: in L1, and in L2 above an Mg of L1."""
    n = lattice.sites_per_layer
    first = np.flatnonzero(occupancy[:n] == tables.LI)
    if not (occupancy[:n] == tables.MG).any():
        return first
    near = lattice.neighbours(np.arange(n, 2 * n), 1)
    over_mg = ((near >= 0) & (near < n) & (occupancy[near] == tables.MG)).any(axis=1)
    second = n + np.flatnonzero((occupancy[n : 2 * n] == tables.LI) & over_mg)
    return np.concatenate([first, second])


def raise_column(occupancy: np.ndarray, site: int, sites_per_layer: int) -> int:
    """Put a Li on a site and move what was there, and above it, up by one layer, in place.

    Returns the species that left the box at the top; 0 where a vacancy of the column was filled.
    """
    column = occupancy[site::sites_per_layer]
    vacant = np.flatnonzero(column == tables.VACANCY)
    end = int(vacant[0]) if len(vacant) else len(column) - 1
    out = int(column[end])
    # A copy: numpy would else read sites that it has just overwritten.
    column[1 : end + 1] = column[:end].copy()
    column[0] = tables.LI
    return out


def _log(engine: Any, kind: int, site: int, species: int) -> None:
    log, n = engine.log, engine.count(tables.LOGGED)
    if n >= log.kind.size:
        return
    leaves = kind == tables.PUSH_OUT
    log.kind[n], log.species[n], log.time_s[n] = kind, species, engine.time_s
    log.site_from[n], log.site_to[n] = (site, -1) if leaves else (-1, site)
    engine.state.counters[tables.LOGGED] += 1
