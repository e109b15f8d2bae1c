"""Lattices: sites, layers and neighbours, computed from the geometry in `lattices/*.toml`."""

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np

from kmc.common import catalogue
from kmc.errors import InputError

BOUNDARIES = ("interface", "periodic")
MIN_CELLS = 4
MIN_LAYERS = 8
SHELL_SIZES = (8, 6)  # first and second neighbours of a bcc site
_RADII = (math.sqrt(0.75), 1.0)  # their distances, units of a
_TOLERANCE = 1e-6  # units of a; bcc distances differ by more than 0.1 a
_EDGES = (0.5, 50.0)  # of a cell, units of a; no plane of bcc repeats at less
MAX_SITES_A_CELL = 1000  # of a cell
_SITES_KEPT = 500_000  # of a box that keeps its tables of neighbours: 28 MB


@dataclass(frozen=True)
class UnitCell:
    """The orthogonal cell of a lattice, cut into atomic layers along the interface normal.

    A site of the cell is a *variant* ``v = layer_type * sites_per_layer_cell + column``; all
    sites of one variant see the same neighbourhood.
    """

    name: str
    description: str
    edges: np.ndarray  # shape (3,): edge lengths in units of the lattice parameter
    n_layer_types: int  # atomic layers per cell along the normal
    sites_per_layer_cell: int  # sites per cell and layer
    # shape (n_variants, 2): in-plane position of a variant inside its cell, units of a
    in_plane: np.ndarray
    # tuple of ndarray, shape (n_variants, 8 or 6, 4), int: for each shell the steps to the
    # neighbours: ``(d_layer, d_x, d_y, column)`` with d_x, d_y in cells and ``column`` the
    # neighbour's column in its own layer
    moves: tuple[np.ndarray, ...]

    @property
    def n_variants(self) -> int:
        return self.n_layer_types * self.sites_per_layer_cell


def load_unit_cell(name: str) -> UnitCell:
    """Read a lattice file and compute its layers and neighbours.

    - `name`: a shipped lattice (``bcc_100``, ``bcc_110``, ``bcc_111``) or the path of a lattice
      file.

    Raises `InputError`: the file does not describe a bcc lattice in an orthogonal cell.
    """
    path = catalogue.locate("lattices", name)
    return _unit_cell(path, catalogue.read_text(path))


@lru_cache(maxsize=8)  # a sweep opens thousands of files with the same lattice
def _unit_cell(path: Path, text: str) -> UnitCell:
    table = catalogue.parse_toml(text, str(path))
    try:
        cell = np.array(table["cell"], dtype=float)
        basis = np.array(table["basis"], dtype=float)
        shells = table["shells"]
        label, description = str(table["name"]), str(table.get("description", ""))
    except (KeyError, ValueError, TypeError, OverflowError) as problem:
        reason = "cell and basis must be lists of three numbers each"
        if isinstance(problem, KeyError):
            reason = f"it has no {problem.args[0]!r}"
        raise InputError(
            f"{path} is not a lattice file: {reason}",
            advice="It needs name, cell (three vectors), basis (a list of sites) and shells.",
        ) from None
    _check_shapes(path, cell, basis, shells)
    edges = np.sqrt(np.diag(cell @ cell.T))
    fractions = basis @ cell.T / edges**2
    # Into the cell; a site that is a rounding below its lower edge stays there.
    fractions -= np.floor(fractions + _TOLERANCE)
    heights = np.unique(np.round(fractions[:, 2], 6))
    order = np.lexsort((fractions[:, 0], fractions[:, 1], np.round(fractions[:, 2], 6)))
    positions = fractions[order] * edges
    per_layer, rest = divmod(len(positions), len(heights))
    moves = None if rest else _neighbour_moves(positions, edges, len(heights), per_layer)
    if moves is None:
        raise InputError(
            f"{path} is not a bcc lattice: a bcc site has {SHELL_SIZES[0]} neighbours at √3/2 a, "
            f"{SHELL_SIZES[1]} at a and none nearer, in every layer",
            advice="Check cell and basis.",
        )
    return UnitCell(
        name=label,
        description=description,
        edges=edges,
        n_layer_types=len(heights),
        sites_per_layer_cell=per_layer,
        in_plane=positions[:, :2].copy(),
        moves=moves,
    )


def _check_shapes(path: Path, cell: np.ndarray, basis: np.ndarray, shells: object) -> None:
    """Check the shapes and sizes of a cell and its sites, before anything is computed from them."""
    if cell.shape != (3, 3) or basis.shape[1:] != (3,) or len(basis) > MAX_SITES_A_CELL:
        raise InputError(
            f"cell and basis in {path} are not three vectors and a list of sites",
            advice=f"Each has three numbers; at most {MAX_SITES_A_CELL} sites.",
        )
    shortest, longest = _EDGES
    gram = cell @ cell.T if np.abs(cell).max() <= longest else np.ones((3, 3))
    if not np.abs(gram - np.diag(np.diag(gram))).max() <= _TOLERANCE:
        raise InputError(
            f"cell in {path} is not orthogonal", advice="Give three mutually perpendicular vectors."
        )
    edges = np.sqrt(np.diag(gram))
    if not (edges.min() >= shortest and edges.max() <= longest and np.abs(basis).max() <= longest):
        raise InputError(
            f"cell in {path} has edges of {edges.min():g} to {edges.max():g}, or sites far outside",
            advice=f"Edges are in units of the lattice parameter: from {shortest} to {longest:g}.",
        )
    if shells != len(SHELL_SIZES) or isinstance(shells, bool):
        raise InputError(
            f"shells in {path} is not {len(SHELL_SIZES)}",
            advice="Bonds reach to first and second neighbours: write shells = 2.",
        )


def _neighbour_moves(positions, edges, n_layers, per_layer):
    """Steps from each variant to the sites of its shells, found by distance; None if not bcc."""
    # Farther than any neighbour, a, from wherever a site lies in its cell.
    reach = [int(np.ceil(1.6 / edge)) for edge in edges]
    around = (range(-r, r + 1) for r in reversed(reach))
    shifts = np.array([(i, j, k) for k, j, i in itertools.product(*around)])
    images = (positions[None, :, :] + (shifts * edges)[:, None, :]).reshape(-1, 3)
    column = np.tile(np.arange(len(positions)), len(shifts))
    shift = np.repeat(shifts, len(positions), axis=0)
    shells: list[list[np.ndarray]] = [[] for _ in SHELL_SIZES]
    for variant, origin in enumerate(positions):
        distance = np.linalg.norm(images - origin, axis=1)
        if np.count_nonzero(distance < _RADII[-1] + _TOLERANCE) != 1 + sum(SHELL_SIZES):
            return None
        for shell, (radius, size) in enumerate(zip(_RADII, SHELL_SIZES, strict=True)):
            near = np.flatnonzero(np.abs(distance - radius) < _TOLERANCE)
            if len(near) != size:
                return None
            target = column[near]
            d_layer = target // per_layer - variant // per_layer + shift[near, 2] * n_layers
            # In an order of their own, whatever the order of sites in the file: events follow it.
            steps = np.column_stack((d_layer, shift[near, 0], shift[near, 1], target % per_layer))
            shells[shell].append(steps[np.lexsort(steps.T[::-1])])
    return tuple(np.array(shell, dtype=np.int32) for shell in shells)


@dataclass(frozen=True)
class Lattice:
    """A box of bcc sites, periodic in plane.

    Sites are numbered layer by layer from the electrolyte:
    ``site = (layer - 1) * sites_per_layer + ((iy * nx + ix) * columns + column)``.
    """

    name: str  #: lattice file
    cells: tuple[int, int]  #: in plane, each at least 4
    layers: int  #: at least 8; a multiple of those of the cell when periodic
    #: Along z, "interface" (electrolyte below, metal reservoir above) or "periodic".
    boundary: str
    lattice_parameter_A: float
    unit_cell: UnitCell = field(init=False, repr=False, compare=False)
    _tables: dict[int, np.ndarray] = field(
        init=False, repr=False, compare=False, default_factory=dict
    )

    def __post_init__(self):
        unit_cell = load_unit_cell(self.name)
        object.__setattr__(self, "unit_cell", unit_cell)
        object.__setattr__(self, "cells", (int(self.cells[0]), int(self.cells[1])))
        object.__setattr__(self, "layers", int(self.layers))
        if self.boundary not in BOUNDARIES:
            advice = f"Choose one of {', '.join(BOUNDARIES)}."
            raise InputError(f"boundary = {self.boundary!r} is not known", advice=advice)
        size, period = f"size = {[*self.cells, self.layers]}", unit_cell.n_layer_types
        if min(self.cells) < MIN_CELLS:
            advice = f"Use at least {MIN_CELLS} cells in each direction of the interface."
            raise InputError(f"{size}: {min(self.cells)} cells in plane", advice=advice)
        if self.layers < MIN_LAYERS:
            advice = f"Use at least {MIN_LAYERS} layers."
            raise InputError(f"{size}: {self.layers} layers are too few", advice=advice)
        if self.boundary == "periodic" and self.layers % period:
            below = max(self.layers - self.layers % period, -(-MIN_LAYERS // period) * period)
            raise InputError(
                f"{size}: {self.layers} layers do not close a periodic {unit_cell.name} box, which "
                f"repeats every {period} layers",
                advice=f"Use {below} or {below + period} layers.",
            )

    @property
    def has_interface(self) -> bool:
        """Whether the box stands on an electrolyte; a periodic one does not."""
        return self.boundary == "interface"

    @cached_property
    def sites_per_layer(self) -> int:
        return self.cells[0] * self.cells[1] * self.unit_cell.sites_per_layer_cell

    @cached_property
    def n_sites(self) -> int:
        return self.sites_per_layer * self.layers

    @cached_property
    def box_A(self) -> np.ndarray:
        """Edges of the box in Å, shape (3,); along z the height of all layers."""
        edges = self.unit_cell.edges * self.lattice_parameter_A
        return np.array(
            [edges[0] * self.cells[0], edges[1] * self.cells[1], self.layer_spacing_A * self.layers]
        )

    @property
    def layer_spacing_A(self) -> float:
        """Distance between atomic layers in Å."""
        return self.unit_cell.edges[2] * self.lattice_parameter_A / self.unit_cell.n_layer_types

    @property
    def area_A2(self) -> float:
        """Area of the box in plane, that of its interface, in Å²."""
        return float(self.box_A[0] * self.box_A[1])

    @property
    def site_area_A2(self) -> float:
        """Interface area of one L1 site in Å²."""
        return self.area_A2 / self.sites_per_layer

    @cached_property
    def layer(self) -> np.ndarray:
        """Layer of each site, int32 of shape (n_sites,): 1 is L1, at the electrolyte."""
        return np.repeat(np.arange(1, self.layers + 1, dtype=np.int32), self.sites_per_layer)

    @cached_property
    def positions_A(self) -> np.ndarray:
        """Site positions in Å, float64 of shape (n_sites, 3); L1 lies at z = 0."""
        cell, columns = self.unit_cell, self.unit_cell.sites_per_layer_cell
        layer, ix, iy, column = self._coordinates(np.arange(self.n_sites))
        variant = (layer % cell.n_layer_types) * columns + column
        out = np.empty((self.n_sites, 3))
        out[:, 0] = (ix * cell.edges[0] + cell.in_plane[variant, 0]) * self.lattice_parameter_A
        out[:, 1] = (iy * cell.edges[1] + cell.in_plane[variant, 1]) * self.lattice_parameter_A
        out[:, 2] = layer * self.layer_spacing_A
        return out

    def _coordinates(self, sites):
        """Layer counted from 0, cell indices and column of sites."""
        columns = self.unit_cell.sites_per_layer_cell
        layer, rest = np.divmod(sites, self.sites_per_layer)
        cell, column = np.divmod(rest, columns)
        iy, ix = np.divmod(cell, self.cells[0])
        return layer, ix, iy, column

    def neighbours(self, sites: np.ndarray | int, shell: int) -> np.ndarray:
        """Neighbours of one site or of an array of sites.

        - `shell`: 1 for first neighbours (8), 2 for second ones (6).

        Returns ndarray of int32, shape (..., 8) or (..., 6): −1 where the box has no such site,
        below L1 and above the top layer.
        """
        sites = np.asarray(sites)
        flat = sites.reshape(-1)
        cell = self.unit_cell
        layer, ix, iy, column = self._coordinates(flat)
        variant = (layer % cell.n_layer_types) * cell.sites_per_layer_cell + column
        step = cell.moves[shell - 1][variant]
        to_layer = layer[:, None] + step[..., 0]
        to_x = (ix[:, None] + step[..., 1]) % self.cells[0]
        to_y = (iy[:, None] + step[..., 2]) % self.cells[1]
        in_plane = (to_y * self.cells[0] + to_x) * cell.sites_per_layer_cell + step[..., 3]
        if self.boundary == "periodic":
            to_layer %= self.layers
        table = to_layer * self.sites_per_layer + in_plane
        table[(to_layer < 0) | (to_layer >= self.layers)] = -1
        return table.astype(np.int32).reshape((*sites.shape, table.shape[1]))

    def neighbour_table(self, shell: int) -> np.ndarray:
        """Neighbours of every site, int32 of shape (n_sites, 8) or (n_sites, 6); −1 for none.

        Read-only: a box that is not large keeps it, as `kmc verify` asks for it with every frame.
        """
        table = self._tables.get(shell)
        if table is None:
            table = self.neighbours(np.arange(self.n_sites), shell)
            table.flags.writeable = False
            if self.n_sites <= _SITES_KEPT:
                self._tables[shell] = table
        return table

    def neighbour_parts(self, shell: int) -> Iterator[tuple[slice, np.ndarray]]:
        """The table by parts, each with its sites: that of a large box would fill the memory."""
        for start in range(0, self.n_sites, _SITES_KEPT):
            sites = np.arange(start, min(start + _SITES_KEPT, self.n_sites))
            whole = len(sites) == self.n_sites
            table = self.neighbour_table(shell) if whole else self.neighbours(sites, shell)
            yield slice(start, start + _SITES_KEPT), table

    def distance_A(self, i: np.ndarray | int, j: np.ndarray | int) -> np.ndarray:
        """Shortest distance in Å between sites i and j over the periodic images."""
        delta = self.positions_A[j] - self.positions_A[i]
        box = self.box_A
        axes = (0, 1, 2) if self.boundary == "periodic" else (0, 1)
        for axis in axes:
            delta[..., axis] -= box[axis] * np.round(delta[..., axis] / box[axis])
        return np.linalg.norm(delta, axis=-1)
