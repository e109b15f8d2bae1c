"""Lattices in the form the kernels walk on: neighbour steps, and words that name what a site is."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from kmc.kernels import tables
from kmc.lattice import Lattice

# Beyond this size waiting for memory costs more than asking for it ahead of time (8 bytes a site).
_CACHED_SITES = 400_000

Coordinates = tuple[int, int, int, int]  # layer, cell x, cell y, column


class _Around(NamedTuple):
    """Lists of `tables.Geometry`, and how far their steps reach in layers, cells x and y."""

    steps: np.ndarray
    cells: np.ndarray
    beside: np.ndarray
    group_end: np.ndarray
    reach: tuple[int, int, int]


def _wrap(n: int, reach: int, stride: int) -> np.ndarray:
    """What to add to a step that ends at index −reach … n + reach − 1, to come back into 0 … n − 1.

    Negative indices stand at the end, where Python finds them.
    """
    end = np.arange(n + 2 * reach)
    end[n + reach :] -= n + 2 * reach
    return ((end % n - end) * stride).astype(np.int32)


@dataclass(frozen=True)
class KernelLattice:
    """A box with wall layers below and above it.

    Parameters
    ----------
    lattice : Lattice
    shells : int
        Neighbour shells whose occupation changes a hop's rate: 0, 1 or 2.
    pairs : bool
        Whether pairs of an L1 vacancy and an Mg in L2 have an energy of their own.
    """

    lattice: Lattice
    shells: int
    pairs: bool

    @property
    def has_interface(self) -> bool:
        return self.lattice.boundary == "interface"

    @cached_property
    def _moves(self) -> np.ndarray:
        """Steps to the 14 neighbours, int64 of shape (n_variants, 14, 4)."""
        return np.concatenate(self.lattice.unit_cell.moves, axis=1).astype(np.int64)

    def _neighbours(self, place: Coordinates, shell: int) -> list[Coordinates]:
        """Neighbours of a place, over as many cells as it takes."""
        cell = self.lattice.unit_cell
        layer, x, y, column = place
        variant = (layer % cell.n_layer_types) * cell.sites_per_layer_cell + column
        steps = cell.moves[shell - 1][variant]
        return [(layer + int(a), x + int(b), y + int(c), int(d)) for a, b, c, d in steps]

    # --- what feels a hop -------------------------------------------------------------------------

    def _affected(self, variant: int, k: int) -> list[list[Coordinates]]:
        """Groups A to F of `tables.Geometry`, then the other first neighbours of them all."""
        cell = self.lattice.unit_cell
        p = (*divmod(variant, cell.sites_per_layer_cell),)
        p = (p[0], 0, 0, p[1])
        q = self._neighbours(p, 1)[k]
        first_p, first_q = set(self._neighbours(p, 1)), set(self._neighbours(q, 1))
        second_p, second_q = set(), set()
        if self.shells == 2:
            second_p, second_q = set(self._neighbours(p, 2)), set(self._neighbours(q, 2))
        groups = [
            first_p & second_q,
            first_p - second_q - {q},
            second_p & first_q,
            first_q - second_p - {p},
            second_p - first_q,
            second_q - first_p,
        ]
        changed = set().union({p, q}, *groups)
        rest = set()
        if self.shells:
            rest = {n for site in changed for n in self._neighbours(site, 1)} - changed
        return [sorted(group) for group in (*groups, rest)]

    @cached_property
    def _around(self) -> _Around:
        """The sites that feel a hop, for every variant and direction."""
        lattice, cell = self.lattice, self.lattice.unit_cell
        nx, columns = lattice.cells[0], cell.sites_per_layer_cell
        lists, masks = [], []
        ends, reach = np.zeros(6, dtype=np.int64), np.zeros(3, dtype=np.int64)
        for variant in range(cell.n_variants):
            layer, column = divmod(variant, columns)
            for k in range(tables.N_FIRST):
                groups = self._affected(variant, k)
                ends = np.cumsum([len(group) for group in groups[:6]])
                changed = {p: i for i, p in enumerate(p for g in groups[:6] for p in g)}
                masks.append(
                    [
                        sum(1 << changed[n] for n in self._neighbours(p, 1) if n in changed)
                        for group in groups
                        for p in group
                    ]
                )
                places = np.array([place for group in groups for place in group])
                places[:, 0] -= layer
                reach = np.maximum(reach, np.abs(places[:, :3]).max(axis=0))
                lists.append((places, column))
        shape = (cell.n_variants, tables.N_FIRST, -1)
        height = lattice.layers + 2 * int(reach[0])
        steps = [
            ((p[:, 2] * nx + p[:, 1]) * columns + p[:, 3] - own) * height + p[:, 0]
            for p, own in lists
        ]
        steps = np.array(steps, dtype=np.int32).reshape(shape)
        return _Around(
            steps=steps,
            cells=np.array([p[:, :3] for p, _ in lists]).reshape(*shape, 3),
            beside=np.array(masks, dtype=np.int32).reshape(shape),
            group_end=ends,
            reach=tuple(int(r) for r in reach),
        )

    @cached_property
    def wall_layers(self) -> int:
        """Layers of wall sites below and above the box, as far as any step reaches."""
        return self._around.reach[0]

    @property
    def height(self) -> int:
        """Sites of a column, walls included."""
        return self.lattice.layers + 2 * self.wall_layers

    def by_layer(self, words: np.ndarray) -> np.ndarray:
        """The words of the box as a view of shape (n_layers, sites_per_layer)."""
        columns = words.reshape(self.lattice.sites_per_layer, self.height)
        return columns[:, self.wall_layers : self.height - self.wall_layers].T

    def kernel_site(self, site: int) -> int:
        """Number a site of the lattice has in the kernels."""
        layer, column = divmod(site, self.lattice.sites_per_layer)
        return column * self.height + self.wall_layers + layer

    # --- boundaries -------------------------------------------------------------------------------

    def _near_boundary(self, reach_x: int, reach_y: int) -> np.ndarray:
        """Sites of a layer from which a step may cross a boundary in plane, bool."""
        nx, ny = self.lattice.cells
        ix, iy = np.arange(nx), np.arange(ny)
        near = ((iy < reach_y) | (iy >= ny - reach_y))[:, None]
        near = near | ((ix < reach_x) | (ix >= nx - reach_x))[None, :]
        return np.repeat(near.reshape(-1), self.lattice.unit_cell.sites_per_layer_cell)

    def _near_ends(self, reach: int) -> np.ndarray:
        """Layers from which a step may cross a periodic boundary along z, bool."""
        layer = np.arange(self.lattice.layers)
        ends = (layer < reach) | (layer >= self.lattice.layers - reach)
        return ends & (not self.has_interface)

    def geometry(self) -> tables.Geometry:
        """Neighbour steps of the box (see `tables.Geometry`)."""
        lattice, cell, moves = self.lattice, self.lattice.unit_cell, self._moves
        nx, ny = lattice.cells
        columns, sites_per_layer = cell.sites_per_layer_cell, lattice.sites_per_layer
        column = np.tile(np.arange(columns), cell.n_layer_types)
        inside = (moves[..., 2] * nx + moves[..., 1]) * columns + moves[..., 3] - column[:, None]
        offsets = [inside * self.height + moves[..., 0]]
        n_rows = cell.n_variants

        reach = np.abs(moves).max(axis=(0, 1))
        ends = self._near_ends(int(reach[0]))
        # A layer's key: its type, or one of its own where steps wrap around a periodic z.
        layer = np.arange(lattice.layers)
        key = layer % cell.n_layer_types
        key[ends] = cell.n_layer_types + np.arange(ends.sum())
        rows = np.empty((key.max() + 1, sites_per_layer), dtype=np.int32)
        in_plane = np.arange(sites_per_layer)
        iy, ix = np.divmod(in_plane // columns, nx)
        edge = self._near_boundary(int(reach[1]), int(reach[2]))
        for this_key, this_layer in zip(*np.unique(key, return_index=True), strict=True):
            variant = (this_layer % cell.n_layer_types) * columns + in_plane % columns
            rows[this_key] = variant
            special = edge | ends[this_layer]
            step = moves[variant[special]]
            to_x = (ix[special, None] + step[..., 1]) % nx
            to_y = (iy[special, None] + step[..., 2]) % ny
            to_layer = this_layer + step[..., 0]
            if not self.has_interface:
                to_layer %= lattice.layers
                # Away from the ends the layer that stands for its key must not wrap.
                if not ends[this_layer]:
                    to_layer = this_layer + step[..., 0]
            target = (to_y * nx + to_x) * columns + step[..., 3] - in_plane[special, None]
            offsets.append(target * self.height + to_layer - this_layer)
            rows[this_key, special] = n_rows + np.arange(special.sum())
            n_rows += int(special.sum())
        around = self._around
        return tables.Geometry(
            sites_per_layer=sites_per_layer,
            n_layers=lattice.layers,
            nx=nx,
            columns=columns,
            layer_types=cell.n_layer_types,
            height=self.height,
            walls=self.wall_layers,
            active_layers=2 if self.has_interface else 0,
            looks_ahead=lattice.n_sites > _CACHED_SITES,
            shells=self.shells,
            pairs=self.pairs,
            offsets=np.concatenate(offsets).astype(np.int32),
            row=rows,
            layer_key=key.astype(np.int32),
            around=around.steps,
            around_cells=around.cells,
            beside=around.beside,
            group_end=around.group_end,
            wrap_layer=_wrap(lattice.layers, around.reach[0], 0 if self.has_interface else 1),
            wrap_x=_wrap(nx, around.reach[1], columns * self.height),
            wrap_y=_wrap(ny, around.reach[2], nx * columns * self.height),
        )

    def words(self, occupancy: np.ndarray, classes: np.ndarray) -> np.ndarray:
        """Site words with species but without counts.

        Parameters
        ----------
        occupancy : ndarray of uint8, shape (n_sites,)
        classes : ndarray of int, shape (n_layers,)
            Site class of each layer.

        Returns
        -------
        ndarray of int32, shape (n_sites with walls,)
        """
        lattice, cell = self.lattice, self.lattice.unit_cell
        columns = cell.sites_per_layer_cell
        reach = np.abs(self._moves).max(axis=(0, 1))
        far = self._around.reach
        in_plane = np.tile(np.arange(columns), lattice.sites_per_layer // columns)
        in_plane <<= tables.VARIANT_SHIFT
        in_plane |= np.where(self._near_boundary(int(reach[1]), int(reach[2])), tables.EDGE, 0)
        in_plane |= np.where(self._near_boundary(far[1], far[2]), tables.FRINGE, 0)
        ends, far_ends = self._near_ends(int(reach[0])), self._near_ends(far[0])

        wall = tables.WALL * tables.SPECIES | tables.BLOCKED
        words = np.full(lattice.sites_per_layer * self.height, wall, dtype=np.int32)
        box = self.by_layer(words)
        occupancy = occupancy.reshape(lattice.layers, -1)
        code = np.arange(3, dtype=np.int32) * tables.SPECIES
        code[tables.VACANCY] |= tables.BLOCKED
        for layer in range(lattice.layers):
            of_layer = ((layer % cell.n_layer_types) * columns) << tables.VARIANT_SHIFT
            of_layer += int(classes[layer]) << tables.CLASS_SHIFT
            row = in_plane + of_layer
            if self.has_interface and layer == lattice.layers - 1:
                row |= tables.TOP
            if ends[layer]:
                row |= tables.EDGE
            if far_ends[layer]:
                row |= tables.FRINGE
            box[layer] = row.astype(np.int32) | code[occupancy[layer]]
        return words
