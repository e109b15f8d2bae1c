"""Metal that is connected to the current collector, and metal that is not.

The metal above the box is connected, and what stands in L1 on a conductive scaffold. An atom is
connected if a neighbour of its first or second shell is; the rest is dead: no electron reaches it.
"""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from kmc.errors import FileFormatError
from kmc.model.hamiltonian import LI, VACANCY
from kmc.model.lattice import Lattice


def conductive_columns(flags: Sequence[bool], chemistry: np.ndarray) -> np.ndarray | None:
    """Columns above a conductive chemistry; None where there is none.

    - `flags`: whether chemistries 1, 2, … of the interface are conductive; that of [system] never
      is.
    - `chemistry`: ndarray of uint8, shape (sites_per_layer,).
    """
    if not any(flags):
        return None
    if chemistry.max() > len(flags):
        raise FileFormatError(
            f"the map of the interface has chemistry {chemistry.max()}, and the run's settings "
            f"have {len(flags)}"
        )
    return np.array([False, *flags])[chemistry]


def conductive_flags(run: Any) -> list[bool]:
    """The flags of a run's settings, as a trajectory stores them.

    Raises `FileFormatError`: they are no settings of an interface.
    """
    interface = run.get("interface", {}) if isinstance(run, Mapping) else None
    entries = (interface.get("chemistry") or []) if isinstance(interface, Mapping) else None
    if isinstance(entries, list) and all(isinstance(entry, Mapping) for entry in entries):
        return [bool(entry.get("conductive", False)) for entry in entries]
    raise FileFormatError(f"the chemistries in the run's settings are no list of tables: {entries}")


class Collector:
    """Finds the dead metal of a box on an interface.

    Layer by layer from above, everything with a connected atom above it is connected; the few
    atoms under an overhang are then joined until nothing changes. The result is that of a flood
    fill, the cost that of one look at the neighbours above each site.

    - `lattice`: with an interface.
    - `conductive` (ndarray of bool, shape (sites_per_layer,), optional): columns above a conductive
      scaffold in the interface (`conductive_columns`).
    """

    def __init__(self, lattice: Lattice, conductive: np.ndarray | None = None):
        self.lattice, self.conductive = lattice, conductive
        self._n = lattice.sites_per_layer

    @cached_property
    def _above(self) -> list[np.ndarray]:
        """By type of layer: steps in site number to the neighbours above, from its first site.

        int64 of shape (sites_per_layer, k) each.
        """
        n, period = self._n, self.lattice.unit_cell.n_layer_types
        steps_up = []
        for kind in range(period):
            sites = kind * n + np.arange(n)
            near = np.concatenate([self.lattice.neighbours(sites, shell) for shell in (1, 2)], 1)
            higher = near >= (kind + 1) * n
            width = int(higher.sum(axis=1)[0])
            steps_up.append(near[higher].reshape(n, width) - kind * n)
        return steps_up

    @cached_property
    def _reach(self) -> int:
        """Layers between the farthest neighbours."""
        return max(int(steps.max()) // self._n for steps in self._above)

    @property
    def first_beside_top(self) -> int:
        """First site whose metal is beside the metal above the box."""
        return max(0, self.lattice.layers - self._reach) * self._n

    def connected(self, occupancy: np.ndarray) -> np.ndarray:
        """Which sites hold connected metal.

        - `occupancy` (array of uint8, shape (n_sites,)): 0 vacancy, 1 Li, 2 Mg.

        Returns ndarray of bool, shape (n_sites,).
        """
        n, layers = self._n, self.lattice.layers
        metal = np.asarray(occupancy) != VACANCY
        reached = np.zeros(metal.size + 1, dtype=bool)  # the last one stands for no neighbour
        top = max(0, layers - self._reach)
        reached[top * n : -1] = metal[top * n :]  # beside the metal above the box
        period = len(self._above)
        for layer in range(top - 1, -1, -1):
            here = slice(layer * n, (layer + 1) * n)
            above = self._above[layer % period] + layer * n
            reached[here] = metal[here] & reached[above].any(axis=1)
        if self.conductive is not None:
            reached[:n] |= metal[:n] & self.conductive
        # Overhangs alone are left: a sweep from above cannot see metal that hangs on metal below
        # it.
        left = np.flatnonzero(metal & ~reached[:-1])
        while left.size:
            near = np.concatenate([self.lattice.neighbours(left, shell) for shell in (1, 2)], 1)
            joined = reached[near].any(axis=1)
            if not joined.any():
                break
            reached[left[joined]] = True
            left = left[~joined]
        return reached[:-1]

    def reached(self, occupancy: np.ndarray) -> np.ndarray:
        """Which sites of L1 and L2 the current reaches.

        An atom that is connected; a vacant site beside one, or on a conductive scaffold. So an atom
        can be stripped just where, once it is gone, another can be plated.

        Returns ndarray of bool, shape (2 sites_per_layer,).
        """
        n, connected = self._n, self.connected(occupancy)
        sites = np.arange(2 * n)
        near = np.concatenate([self.lattice.neighbours(sites, shell) for shell in (1, 2)], 1)
        beside = ((near >= 0) & connected[near]).any(axis=1)
        if self.conductive is not None:
            beside[:n] |= self.conductive
        return np.where(np.asarray(occupancy)[: 2 * n] == VACANCY, beside, connected[: 2 * n])

    def dead(self, occupancy: np.ndarray) -> np.ndarray:
        """Sites of the metal that is not connected, int64, ascending."""
        return np.flatnonzero((np.asarray(occupancy) != VACANCY) & ~self.connected(occupancy))

    def dead_li(self, occupancy: np.ndarray) -> int:
        """Number of Li atoms in the metal that is not connected."""
        return int(np.count_nonzero(np.asarray(occupancy)[self.dead(occupancy)] == LI))
