"""Lattices in the form of the kernels: neighbour steps and packed site states."""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from kmc.kernels import tables
from kmc.model.lattice import Lattice

# Beyond this size waiting for memory costs more than asking for it ahead of time (8 bytes a site).
_CACHED_SITES = 400_000

Coordinates = tuple[int, int, int, int]  # layer, cell x, cell y, column


class _Around(NamedTuple):
    """The sites that feel a hop (see `tables.Geometry`), and how far away they are.

    ``places[variant, k, i]`` is the step to site i in layers, cells x, cells y and column.
    """

    places: np.ndarray
    beside: np.ndarray
    beyond: np.ndarray
    group_end: np.ndarray
    reach: tuple[int, int, int]


def _near(n: int, reach: int) -> np.ndarray:
    """Of n cells or layers in a row, those less than `reach` from either end, bool."""
    place = np.arange(n)
    return (place < reach) | (place >= n - reach)


def _cases(n: int, reach: int) -> np.ndarray:
    """Case of each of n cells in a row by how its surroundings wrap: 0 for those that do not."""
    case, near = np.zeros(n, dtype=np.int64), _near(n, reach)
    # Each cell near an end has a case of its own: its steps wrap as no other's do.
    case[near] = 1 + np.arange(near.sum())
    return case


def _representatives(cases: np.ndarray) -> np.ndarray:
    """One cell for every case in order; where every cell is near a boundary case 0 has none."""
    first = {int(case): cell for cell, case in reversed(list(enumerate(cases)))}
    return np.array([first.get(case, 0) for case in range(int(cases.max()) + 1)])


@dataclass(frozen=True)
class KernelLattice:
    """A box with wall layers below and above it.

    - `shells`: neighbour shells whose occupation changes a hop's rate: 0, 1 or 2.
    - `pairs`: whether pairs of an L1 vacancy and an Mg in L2 have an energy of their own.
    """

    lattice: Lattice
    shells: int
    pairs: bool

    @cached_property
    def _moves(self) -> np.ndarray:
        """Steps to the 14 neighbours, int64 of shape (n_variants, 14, 4)."""
        return np.concatenate(self.lattice.unit_cell.moves, axis=1).astype(np.int64)

    def _neighbours(self, place: Coordinates, shell: int) -> list[Coordinates]:
        """Neighbours of a place in a box without ends."""
        cell = self.lattice.unit_cell
        layer, x, y, column = place
        variant = (layer % cell.n_layer_types) * cell.sites_per_layer_cell + column
        steps = cell.moves[shell - 1][variant]
        return [(layer + int(a), x + int(b), y + int(c), int(d)) for a, b, c, d in steps]

    # --- what feels a hop -------------------------------------------------------------------------

    def _affected(self, variant: int, k: int) -> list[list[Coordinates]]:
        """Groups A to F of `tables.Geometry`, then the other first neighbours of them all."""
        cell = self.lattice.unit_cell
        layer, column = divmod(variant, cell.sites_per_layer_cell)
        p = (layer, 0, 0, column)
        q = self._neighbours(p, 1)[k]
        first_p, first_q = set(self._neighbours(p, 1)), set(self._neighbours(q, 1))
        # Without bonds to the second shell its counts are not kept.
        second_p, second_q = (
            set(self._neighbours(x, 2) if self.shells == 2 else ()) for x in (p, q)
        )
        groups = [
            first_p & second_q,
            first_p - second_q - {q},
            second_p & first_q,
            first_q - second_p - {p},
            second_p - first_q,
            second_q - first_p,
        ]
        changed = {p, q}.union(*groups)
        near = (self._neighbours(site, 1) for site in changed) if self.shells else ()
        return [sorted(group) for group in (*groups, set().union(*near) - changed)]

    @cached_property
    def _around(self) -> _Around:
        """The sites that feel a hop, for every variant and direction."""
        cell = self.lattice.unit_cell
        lists, ends = [], np.zeros(6, dtype=np.int64)
        beside: list[int] = []  # masks of the sites that change, one after the other
        beyond: list[int] = []
        for variant in range(cell.n_variants):
            layer = variant // cell.sites_per_layer_cell
            for k in range(tables.N_FIRST):
                groups = self._affected(variant, k)
                ends = np.cumsum([len(group) for group in groups[:6]])
                changed = [p for group in groups[:6] for p in group]
                for masks, others in ((beside, changed), (beyond, groups[6])):
                    bit = {p: 1 << i for i, p in enumerate(others)}
                    masks += [sum(bit.get(n, 0) for n in self._neighbours(p, 1)) for p in changed]
                lists.append([(p[0] - layer, *p[1:]) for p in (*changed, *groups[6])])
        shape = (cell.n_variants, tables.N_FIRST, -1)
        places = np.array(lists).reshape(*shape, 4)
        d_layer, d_x, d_y = (int(r) for r in np.abs(places[..., :3]).max(axis=(0, 1, 2)))
        return _Around(
            places=places,
            beside=np.array(beside, dtype=np.int64).reshape(shape),
            beyond=np.array(beyond, dtype=np.int64).reshape(shape),
            group_end=ends,
            reach=(d_layer, d_x, d_y),
        )

    def _around_steps(self) -> tuple[np.ndarray, np.ndarray]:
        """`around` and `pattern` of `tables.Geometry`: all ways to cross the edges in plane."""
        lattice, cell = self.lattice, self.lattice.unit_cell
        nx, ny = lattice.cells
        columns, places = cell.sites_per_layer_cell, self._around.places
        own = np.tile(np.arange(columns), cell.n_layer_types)[:, None, None]
        _, reach_x, reach_y = self._around.reach
        cases_x, cases_y = _cases(nx, reach_x), _cases(ny, reach_y)
        around = []
        for iy in _representatives(cases_y):
            for ix in _representatives(cases_x):
                x = (ix + places[..., 1]) % nx - ix
                y = (iy + places[..., 2]) % ny - iy
                column = (y * nx + x) * columns + places[..., 3] - own
                around.append(column * self.height + places[..., 0])
        pattern = cases_y[:, None] * (cases_x.max() + 1) + cases_x[None, :]
        pattern = np.repeat(pattern.reshape(-1), columns)
        return np.array(around, dtype=np.int32), pattern.astype(np.int32)

    @cached_property
    def wall_layers(self) -> int:
        """Layers of wall sites below and above the box, as far as any step reaches."""
        return self._around.reach[0]

    @property
    def height(self) -> int:
        """Sites of a column, walls included."""
        return self.lattice.layers + 2 * self.wall_layers

    def by_layer(self, site_state: np.ndarray) -> np.ndarray:
        """The site states of the box as a view of shape (n_layers, sites_per_layer)."""
        columns = site_state.reshape(self.lattice.sites_per_layer, self.height)
        return columns[:, self.wall_layers : self.height - self.wall_layers].T

    # Numbers of sites: the lattice numbers them layer by layer, the kernels column by column, and
    # the strip bins as 2 * column + (0 for L1, 1 for L2).

    def kernel_sites(self, sites: np.ndarray) -> np.ndarray:
        """Kernel numbers of sites of the lattice."""
        layer, column = np.divmod(sites, self.lattice.sites_per_layer)
        return column * self.height + self.wall_layers + layer

    def lattice_sites(self, kernel_sites: np.ndarray) -> np.ndarray:
        """Lattice numbers of kernel sites, the inverse of `kernel_sites`."""
        column, height = np.divmod(kernel_sites, self.height)
        return (height - self.wall_layers) * self.lattice.sites_per_layer + column

    def strip_members(self, sites: np.ndarray) -> np.ndarray:
        """Members of the strip bins of sites of L1 and L2."""
        layer, column = np.divmod(sites, self.lattice.sites_per_layer)
        return 2 * column + layer

    def strip_sites(self, members: np.ndarray) -> np.ndarray:
        """Sites of members of the strip bins, the inverse of `strip_members`."""
        return (members & 1) * self.lattice.sites_per_layer + (members >> 1)

    # --- boundaries -------------------------------------------------------------------------------

    def _near_boundary(self, reach_x: int, reach_y: int) -> np.ndarray:
        """Sites of a layer from which a step may cross a boundary in plane, bool."""
        nx, ny = self.lattice.cells
        # Sites whose steps wrap have rows of their own; all others share those of their variant.
        near = _near(ny, reach_y)[:, None] | _near(nx, reach_x)[None, :]
        return np.repeat(near.reshape(-1), self.lattice.unit_cell.sites_per_layer_cell)

    def _near_ends(self, reach: int) -> np.ndarray:
        """Layers from which a step may cross a periodic boundary along z, bool."""
        return _near(self.lattice.layers, reach) & (not self.lattice.has_interface)

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
            # Only at periodic ends: elsewhere a layer stands for all of its key, and must not wrap.
            if ends[this_layer]:
                to_layer %= lattice.layers
            target = (to_y * nx + to_x) * columns + step[..., 3] - in_plane[special, None]
            offsets.append(target * self.height + to_layer - this_layer)
            rows[this_key, special] = n_rows + np.arange(special.sum())
            n_rows += int(special.sum())
        steps, pattern = self._around_steps()
        # Way of every hop by its variant, its direction and the classes of both ends.
        rise = self._moves[:, : tables.N_FIRST, 0, None]  # layers from the vacancy up to the atom
        class_to, class_from = np.divmod(np.arange(16), 4)
        stage_of = np.array([2, 0, 1, 2])  # of the class of the lower end
        stage = np.where(rise > 0, stage_of[class_to], stage_of[class_from])
        way = tables.FIRST_WAY + 2 * stage + (rise > 0)
        way = np.where(rise == 0, tables.IN_LAYER, way)
        # Change of the states around a Li or an Mg that hops, by the groups A to F.
        sizes = np.diff(self._around.group_end, prepend=0)
        first = np.repeat([1, 1, -1, -1, 0, 0], sizes)
        second = np.repeat([-1, 0, 1, 0, 1, -1], sizes)
        li = -tables.NV1 * first - tables.NV2 * second
        shift = np.array([li, li + tables.NM1 * first + tables.NM2 * second])
        # What to add to a step that ends beyond a periodic end of the box; none at an interface.
        wrap = np.arange(0 if self.lattice.has_interface else self.height)
        wrap[lattice.layers + self.wall_layers :] -= self.height  # negative ones stand at the end
        wrap = wrap % lattice.layers - wrap
        return tables.Geometry(
            sites_per_layer=sites_per_layer,
            n_layers=lattice.layers,
            columns=columns,
            layer_types=cell.n_layer_types,
            height=self.height,
            walls=self.wall_layers,
            active_layers=2 if self.lattice.has_interface else 0,
            looks_ahead=lattice.n_sites > _CACHED_SITES,
            shells=self.shells,
            pairs=self.pairs,
            offsets=np.concatenate(offsets).astype(np.int32),
            row=rows,
            layer_key=key.astype(np.int32),
            around=steps,
            around_layers=np.ascontiguousarray(self._around.places[..., 0]),
            beside=self._around.beside,
            beyond=self._around.beyond,
            group_end=self._around.group_end,
            shift=shift,
            pattern=pattern,
            wrap_layer=wrap.astype(np.int32),
            way=way.astype(np.int8),
        )

    def site_states(
        self, occupancy: np.ndarray, classes: np.ndarray, chemistry: np.ndarray | None = None
    ) -> np.ndarray:
        """Site states with species but without counts.

        - `occupancy`: ndarray of uint8, shape (n_sites,).
        - `classes` (ndarray of int, shape (n_layers,)): site class of each layer.
        - `chemistry` (ndarray of uint8, shape (sites_per_layer,), optional): interface chemistry of
          each column; all 0 by default.

        Returns ndarray of int32, shape (n_sites with walls,).
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

        # Walls are sites that never hold an atom: steps beyond the ends need no test in the loop.
        wall = tables.WALL * tables.SPECIES | tables.BLOCKED
        site_state = np.full(lattice.sites_per_layer * self.height, wall, dtype=np.int32)
        box = self.by_layer(site_state)
        occupancy = occupancy.reshape(lattice.layers, -1)
        code = np.arange(3, dtype=np.int32) * tables.SPECIES
        code[tables.VACANCY] |= tables.BLOCKED
        for layer in range(lattice.layers):
            of_layer = ((layer % cell.n_layer_types) * columns) << tables.VARIANT_SHIFT
            of_layer += int(classes[layer]) << tables.CLASS_SHIFT
            row = in_plane + of_layer
            if chemistry is not None and classes[layer] in (1, 2):
                row += chemistry.astype(row.dtype) << tables.CHEMISTRY_SHIFT
            if self.lattice.has_interface and layer == lattice.layers - 1:
                row |= tables.TOP
            if ends[layer]:
                row |= tables.EDGE
            if far_ends[layer]:
                row |= tables.FRINGE
            box[layer] = row.astype(np.int32) | code[occupancy[layer]]
        return site_state
