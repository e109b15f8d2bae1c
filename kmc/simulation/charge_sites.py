"""Where a given current strips and plates: at metal that is connected to the current collector.

`kmc.kernels.connection` draws the atom or the site; waiting times are those of the given current.
At a held voltage the event loop chooses when and where, and nothing is spared.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from kmc.kernels import connection
from kmc.model.connectivity import Collector
from kmc.model.model import Model


class ChargeSites:
    """Draws the atom that a given current takes, or the site that it plates on.

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
            connection.draw(
                engine.geometry,
                engine.law,
                engine.channels,
                engine.state,
                engine.scratch,
                self.net,
                engine.rng,
            )
        )
