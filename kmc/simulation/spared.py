"""Strips that spare dead lithium: no electron reaches metal that is not connected.

The event loop knows the neighbours of an atom, not what these are connected to. It stops before
each strip; the atom is drawn here, by its weight, among those that are connected, and the loop goes
on with it. Waiting times are those of the given current, as before; at a held voltage, where the
loop chooses when it strips, nothing is spared.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from kmc.kernels import charge, loop, rates, tables
from kmc.model.connectivity import Collector
from kmc.model.model import Model

_TRIES = 50  # draws by rejection, before all weights are listed


class Spared:
    """Draws the atom that a given current takes, among connected ones.

    Parameters
    ----------
    model : Model
        With an interface.
    collector : Collector
    """

    def __init__(self, model: Model, collector: Collector):
        lattice = model.lattice
        self.collector = collector
        self._lattice_sites = model.kernel_lattice.lattice_sites
        self._numbers = model.kernel_lattice.kernel_sites(np.arange(lattice.n_sites))
        self._near = np.concatenate([lattice.neighbour_table(shell) for shell in (1, 2)], axis=1)
        self._top = self.collector.first_beside_top
        n = lattice.sites_per_layer
        self._per_layer = n
        # Where the sites of a column are neighbours, metal all the way up is soon seen.
        above = np.arange(self._top) + n
        self._joined = bool((self._near[: self._top] == above[:, None]).any(axis=1).all())

    def draw(self, engine: Any) -> int:
        """Kernel number of the atom of an `Engine` that leaves, −1 where no connected one is
        electroactive."""
        state = engine.state
        loop.update_strip_weights(
            engine.geometry, engine.law, engine.channels, state, engine.scratch
        )
        if not state.strips.count.any():
            return -1
        charge.observe(engine.channels, state, 1.0)  # as the loop does before each strip
        for _ in range(_TRIES):
            site = charge.draw_strip_site(
                engine.geometry, state.strips, engine.law, state.site_state, engine.rng
            )
            if self.connected(int(self._lattice_sites(site)), state.site_state):
                return int(site)
        return self._among_all(engine)

    def connected(self, site: int, site_state: np.ndarray) -> bool:
        """Whether metal leads from a site (of the lattice) to the metal above the box."""
        if self._joined:
            column = site_state[self._numbers[site : self._top + self._per_layer : self._per_layer]]
            if ((column >> tables.SPECIES_SHIFT) & 3 != tables.VACANCY).all():
                return True
        seen, waiting = {site}, [site]
        while waiting:
            here = waiting.pop()  # the highest of those that were found last
            if here >= self._top or self._on_scaffold(here):
                return True
            near = self._near[here]
            near = near[near >= 0]
            metal = (site_state[self._numbers[near]] >> tables.SPECIES_SHIFT) & 3 != tables.VACANCY
            for other in sorted(near[metal].tolist()):
                if other not in seen:
                    seen.add(other)
                    waiting.append(other)
        return False

    def _on_scaffold(self, site: int) -> bool:
        conductive = self.collector.conductive
        return conductive is not None and site < len(conductive) and bool(conductive[site])

    def _among_all(self, engine: Any) -> int:
        """The same by the list of all weights."""
        alive = self.collector.connected(engine.occupancy())
        members = np.concatenate([*engine.bin_members("strips").values()]).astype(np.int64)
        members = np.sort(members[alive[members]])
        if not len(members):
            return -1
        sites = self._numbers[members]
        weights = [rates.strip_weight(engine.law, engine.state.site_state[s]) for s in sites]
        edges = np.cumsum(weights)
        place = np.searchsorted(edges, engine.rng.random() * edges[-1], side="right")
        return int(sites[min(int(place), len(sites) - 1)])
