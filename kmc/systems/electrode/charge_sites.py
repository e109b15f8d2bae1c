"""Where dead lithium is spared: strips and plates at metal connected to the current collector."""

from __future__ import annotations

from typing import Any

import numpy as np

from kmc.kernels import connection, transfer
from kmc.model.connectivity import Collector
from kmc.model.model import Model


class ChargeSites:
    """What the event loop needs to tell connected metal from dead metal.

    `net` is that; `draw` draws the next site of a given current, for inspection.

    Parameters
    ----------
    model : Model
        With an interface.
    collector : Collector
    void_surfaces : bool
        Whether ions also reach the metal around voids that are open to the electrolyte.
    """

    def __init__(self, model: Model, collector: Collector, void_surfaces: bool = False):
        lattice, conductive = model.lattice, collector.conductive
        n_sites = lattice.sites_per_layer * model.kernel_lattice.height
        self.net = connection.Connection(
            spares=True,
            conductive=np.zeros(0, dtype=np.bool_) if conductive is None else conductive,
            top=collector.first_beside_top // lattice.sites_per_layer,
            void_surfaces=void_surfaces,
            seen=np.zeros(n_sites, dtype=np.int64),
            search=np.zeros(1, dtype=np.int64),
            stack=np.zeros(n_sites, dtype=np.int32),
            listed=np.zeros(n_sites, dtype=np.int32),
            weights=np.zeros(n_sites),
        )

    def draw(self, engine: Any) -> int:
        """Kernel number of the atom of an `Engine` that leaves, or of the site that is plated.

        −1 where no connected metal takes part.
        """
        return int(
            transfer.draw(
                engine.geometry,
                engine.law,
                engine.channels,
                engine.state,
                engine.scratch,
                self.net,
                engine.rng,
            )
        )
