"""Configurations of one's own interface: which atoms stand on which sites of a bulk or a slab.

Layers of the metal are found from the heights of its atoms, L1 beside the electrolyte, wherever the
edge of a periodic cell lies; sites that a configuration changes are named by their place
(`CHANGES`), those of a hop by its ends (`SADDLES`). `kmc.model.ase_energies` computes their
energies.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from kmc.common.metals import METALS
from kmc.errors import InputError
from kmc.model.dft_clusters import PATCH, SINGLES, SURFACE

# Distance of atomic layers and area of a site of one, in units of a and a², by face.
FACES = {
    "bcc_100": (1 / 2, 1.0),
    "bcc_110": (1 / math.sqrt(2), 1 / math.sqrt(2)),
    "bcc_111": (1 / math.sqrt(12), math.sqrt(3)),
}
MAX_STRAIN = 0.1  # along the interface; the wrong face shows 12 % and more
_MIN_LAYERS = 5  # L1, L2, and three that hold them as the bulk would
_VACUUM_A = 5.0  # a gap wider than any spacing of bcc layers; (110) of Cs has 4.3 Å
_MAX_TILT = math.tan(math.radians(1.0))  # of the interface against the plane z = 0
SADDLES = {  # saddle: configuration before the hop, and the sites that the atom leaves and takes
    "bulk_hop_saddle": ("bulk_vacancy", "first", "here"),
    "bulk_Mg_hop_saddle": ("bulk_Mg_vacancy_shell1", "here", "first"),
    "bulk_Li_hop_near_Mg_saddle": ("bulk_Mg_vacancy_shell1", "second", "first"),
    "interface_hop_saddle": ("interface_vacancy_L1", "L2", "L1"),
}
SOLUTE, _VACANCY = "solute", ""
# Configuration: what stands on sites of the perfect bulk or slab instead of the metal.
CHANGES = {
    "bulk": {},
    "bulk_vacancy": {"here": _VACANCY},
    "bulk_two_vacancies_shell1": {"here": _VACANCY, "first": _VACANCY},
    "bulk_two_vacancies_shell2": {"here": _VACANCY, "second": _VACANCY},
    "bulk_Mg": {"here": SOLUTE},
    "bulk_Mg_vacancy_shell1": {"here": SOLUTE, "first": _VACANCY},
    "bulk_Mg_vacancy_shell2": {"here": SOLUTE, "second": _VACANCY},
    "bulk_Mg_vacancy_shell3": {"here": SOLUTE, "third": _VACANCY},
    "interface": {},
    "interface_vacancy_L1": {"L1": _VACANCY},
    "interface_vacancy_L2": {"L2": _VACANCY},
    "interface_vacancy_L1_Mg_L2": {"L1": _VACANCY, "L2": SOLUTE},
    "filled_by_Li_near_Mg": {"L2": SOLUTE, "L2b": _VACANCY},
    "filled_by_Mg": {"L1": SOLUTE, "L2": _VACANCY},
}
CLUSTERS = {  # of `AseSettings.clusters`
    "bulk_two_vacancies_shell3": {"here": _VACANCY, "third": _VACANCY},
    "bulk_two_vacancies_shell4": {"here": _VACANCY, "fourth": _VACANCY},
    "bulk_two_vacancies_shell5": {"here": _VACANCY, "fifth": _VACANCY},
    SURFACE: {},
    **{name: {name[-3:]: _VACANCY} for name in SINGLES[1:]},
    PATCH: {name.removeprefix("interface_vacancy_"): _VACANCY for name in SINGLES},
}
CHANGES |= CLUSTERS


@dataclass(frozen=True)
class AseSettings:
    """What is computed, and how well."""

    # metal, solute: symbols; no solute by default
    metal: str = "Li"
    solute: str = ""
    lattice: str = "bcc_100"  # face of the metal at the interface
    # edges of the bulk's supercells in cubic cells, the last one for the result
    cells: tuple[int, ...] = (3, 4)
    # repeats of the slab along both directions of the interface, the last one for the result
    repeats: tuple[int, ...] = (1, 2)
    fmax_eV_A: float = 0.01  # largest force that is left on an atom
    images: int = 5  # images of a band between its ends
    max_steps: int = 500  # steps of a relaxation at most
    # heights between which an atom of the metal's element belongs to the metal
    metal_range_A: tuple[float, float] | None = None
    # atom of the slab whose place in L1 becomes vacant; the one nearest the middle by default
    site: int | None = None
    relax: bool = True  # False for energies of atoms on their perfect places, without barriers
    clusters: bool = False  # also `CLUSTERS`


def changed(stem: str, perfect: Any, sites: dict[str, int], solute: str) -> tuple[Any, np.ndarray]:
    """A configuration of `CHANGES` on perfect places, and the site of each of its atoms."""
    atoms, gone, held = perfect.copy(), [], held_axes(perfect)
    atoms.set_constraint()  # ase deletes no atom of constraints along single axes
    for place, what in CHANGES[stem].items():
        if what:
            atoms[sites[place]].symbol = solute
        else:
            gone.append(sites[place])
    del atoms[gone]
    own = np.delete(np.arange(len(perfect)), gone)
    hold(atoms, held[own])
    return atoms, own


def held_axes(atoms: Any) -> np.ndarray:
    """Which coordinates the constraints of some atoms fix, shape (n, 3).

    Raises `InputError`: a constraint is none of single coordinates, so that no file would keep it.
    """
    held = np.zeros((len(atoms), 3), dtype=bool)
    straight = np.abs(atoms.cell.array - np.diag(np.diag(atoms.cell.array))).max() < 1e-6
    for constraint in atoms.constraints:
        kind = type(constraint).__name__
        if kind == "FixAtoms":
            held[constraint.index] = True
        elif kind == "FixCartesian" or (kind == "FixScaled" and straight):
            held[constraint.index] |= np.asarray(constraint.mask, dtype=bool)
        else:
            raise InputError(
                f"the slab has a constraint {kind}, which cannot be kept",
                advice="Fix whole atoms or their x, y or z (FixAtoms, FixCartesian, selective "
                "dynamics in a right-angled cell), or remove the constraint.",
            )
    return held


def hold(atoms: Any, held: np.ndarray) -> None:
    """Fix coordinates, as `held_axes` returns them."""
    from ase.constraints import FixAtoms, FixCartesian

    constraints: list[Any] = []
    for axes in sorted({tuple(row) for row in held.tolist()} - {(False,) * 3}):
        index = np.flatnonzero((held == axes).all(axis=1))
        constraints.append(FixAtoms(index) if all(axes) else FixCartesian(index, list(axes)))
    atoms.set_constraint(constraints)


def sites_of_bulk(perfect: Any, lattice_A: float) -> dict[str, int]:
    """An atom of a bulk (`here`), and its first to fifth neighbour."""
    from ase.geometry import get_distances

    shifts = {"here": (0, 0, 0), "first": (0.5, 0.5, 0.5), "second": (1, 0, 0), "third": (1, 1, 0)}
    shifts |= {"fourth": (1.5, 0.5, 0.5), "fifth": (1, 1, 1)}
    places = perfect.positions[0] + lattice_A * np.array(list(shifts.values()))
    away = get_distances(places, perfect.positions, perfect.cell, perfect.pbc)[1]
    return dict(zip(shifts, map(int, away.argmin(axis=1)), strict=True))


def sites_of_slab(perfect: Any, first: list[int], second: list[int], here: int) -> dict[str, int]:
    """An atom of L1 (`here`), the nearest of L2, another of L2 beside that, and three of L1 that
    make a square with the first where L1 has nine or more."""
    away = perfect.get_distances(here, second, mic=True)
    above = [second[i] for i in np.argsort(away, kind="stable")]
    apart = perfect.get_distances(above[0], above[1:4], mic=True)
    found = {"L1": here, "L2": above[0], "L2b": above[1 + int(np.argmin(apart))]}
    others = [i for i in first if i != here]
    if len(others) > 7:  # of fewer sites a square would touch its own images
        beside: Any = perfect.get_distances(here, others, mic=True, vector=True)
        edge = beside[np.argmin((beside**2).sum(axis=1))]
        turned = np.array([-edge[1], edge[0], edge[2]])
        for name, place in (("L1b", edge), ("L1c", turned), ("L1d", edge + turned)):
            found[name] = others[int(((beside - place) ** 2).sum(axis=1).argmin())]
    return found


def check_slab(slab: Any, settings: AseSettings) -> None:
    """Check that metal, solute and sizes are known and the interface is normal to z."""
    for value, allowed, name in (
        (settings.metal, METALS, "metal"),
        (settings.solute, ("", "Mg"), "solute"),
        (settings.lattice, FACES, "lattice"),
        (settings.lattice, ("bcc_100",) if settings.clusters else FACES, "with clusters, lattice"),
    ):
        if value not in allowed:
            listed = ", ".join(filter(None, allowed))
            raise InputError(f"{name} {value!r} is not known", advice=f"Use one of: {listed}.")
    if min((*settings.cells, *settings.repeats)) < 1 or min(settings.cells) < 2:
        raise InputError("cells must be 2 or more, repeats 1 or more")
    edges = slab.cell.array[:2]
    if not (slab.pbc[:2].all() and slab.cell.rank == 3):
        raise InputError(
            f"the slab is periodic along {slab.pbc} of the cell {slab.cell.array.tolist()}",
            advice="It must have a cell, and be periodic along the interface: in extended XYZ "
            'Lattice="…" and pbc="T T F".',
        )
    if not (np.abs(edges[:, 2]) <= _MAX_TILT * np.linalg.norm(edges, axis=1)).all():
        raise InputError(
            "the first two axes of the slab's cell are not in the plane z = 0",
            advice="Turn the slab so that the interface is normal to z.",
        )
    held_axes(slab)


def metal_of_slab(slab: Any, settings: AseSettings) -> tuple[np.ndarray, np.ndarray]:
    """The metal's atoms from the interface up, and their heights above the first in Å.

    A periodic direction has no beginning: the metal is what lies between two atoms of the
    electrolyte, or the largest part of it between vacua, wherever the edge of the cell is. Between
    two electrolytes the interface is that at its lower side. Metal alone has it at its lower side,
    or where no atom is fixed.

    Raises `InputError`: there is neither an electrolyte nor vacuum, or too little metal.
    """
    normal = np.cross(*slab.cell.array[:2])
    normal *= np.sign(normal[2]) / np.linalg.norm(normal)
    heights, symbols = slab.positions @ normal, np.array(slab.get_chemical_symbols())
    metal: Any = np.isin(symbols, list(filter(None, (settings.metal, settings.solute))))
    period = abs(float(slab.cell.array[2] @ normal)) if slab.pbc[2] else math.inf
    if settings.metal_range_A is not None:
        low, high = settings.metal_range_A
        # Of a periodic cell also through its edge, as from 35 to 12 Å of 40.
        metal &= (heights - low) % period <= (high - low) % period
    if metal.sum() < 2 * _MIN_LAYERS:
        raise InputError(
            f"the slab holds {metal.sum()} atoms of {settings.metal}",
            advice="Name its metal with --metal; a slab needs some tens of atoms.",
        )
    if slab.pbc[2]:
        heights = heights % period
    others = np.sort(heights[~metal])
    # Bounds of the parts between atoms that are no metal; the last part goes on at the other side.
    bounds = np.concatenate(([-math.inf], others, [math.inf]))
    if slab.pbc[2] and others.size:
        bounds = np.append(others, others[0] + period)
        heights = np.where(heights < others[0], heights + period, heights)
    elif slab.pbc[2]:
        ordered = np.sort(heights)
        gaps = np.diff(np.append(ordered, ordered[0] + period))
        if gaps.max() < _VACUUM_A:
            raise InputError(
                f"the slab has neither an electrolyte nor a vacuum: its widest gap along z is "
                f"{gaps.max():.2f} Å",
                advice=f"Metal alone needs {_VACUUM_A:g} Å of vacuum or more.",
            )
        start = ordered[(int(gaps.argmax()) + 1) % len(ordered)]
        heights = (heights - start) % period
    part = np.searchsorted(bounds, heights, side="right") - 1
    widest = int(np.bincount(part[metal]).argmax())
    low, high = bounds[widest], bounds[widest + 1]
    mine = np.flatnonzero(metal & (part == widest))
    mine = mine[np.argsort(heights[mine], kind="stable")]
    pieces = np.split(mine, np.flatnonzero(np.diff(heights[mine]) > _VACUUM_A) + 1)
    mine = max(pieces, key=len)
    below, above = heights[mine[0]] - low, high - heights[mine[-1]]
    turned = below > _VACUUM_A and above < below
    if math.isinf(below) and math.isinf(above):
        fixed = held_axes(slab)[mine].any(axis=1)
        turned = fixed.any() and heights[mine][fixed].mean() < heights[mine].mean()
    if turned:
        mine = mine[::-1]
    return mine, np.abs(heights[mine] - heights[mine[0]])


def layers_of(slab: Any, settings: AseSettings, lattice_A: float) -> list[list[int]]:
    """Atoms of each layer of the metal, from the electrolyte up.

    Raises `InputError`: there are too few layers, L1 and L2 have not the same number of atoms, or
    the structure fixes some of them.
    """
    mine, heights = metal_of_slab(slab, settings)
    # What lies closer than half a spacing is one layer, however it relaxed.
    gaps = np.diff(heights) > 0.5 * FACES[settings.lattice][0] * lattice_A
    layers = [list(map(int, part)) for part in np.split(mine, np.flatnonzero(gaps) + 1)]
    counts = [len(layer) for layer in layers]
    if len(layers) < _MIN_LAYERS or counts[0] != counts[1]:
        z = [f"{slab.positions[layer, 2].mean():.1f}" for layer in layers[:8]]
        heights_A = f" at z = {', '.join(z)} Å"
        raise InputError(
            f"the {settings.metal} of the slab beyond its electrolyte lies in layers of "
            f"{', '.join(map(str, counts[:8]))} atoms{heights_A}",
            advice=f"It needs at least {_MIN_LAYERS} layers, as many atoms in L1 as in L2, and the "
            "face that --lattice names; --metal-range gives the heights where the metal is.",
        )
    if settings.site not in (None, *layers[0]):
        raise InputError(
            f"atom {settings.site} of the slab is not in L1",
            advice=f"Give one of {', '.join(map(str, layers[0]))} with --site.",
        )
    fixed: Any = held_axes(slab).any(axis=1)
    if held := [i for i in (*layers[0], *layers[1]) if fixed[i]]:
        raise InputError(
            f"the slab fixes atom {held[0]} of its first two layers, where vacancies are",
            advice="Fix layers at the far side of the metal.",
        )
    return layers


def check_sites(name: str, atoms: Any, perfect: Any, own: np.ndarray) -> None:
    """Refuse a configuration that relaxed into another: each atom must be nearest to its `own` of
    the sites of `perfect`."""
    from ase.geometry import find_mic, get_distances

    moved, _ = find_mic(atoms.positions - perfect.positions[own], atoms.cell, atoms.pbc)
    drift = np.median(moved, axis=0)  # of everything together, which is no hop
    _, away = get_distances(atoms.positions - drift, perfect.positions, atoms.cell, atoms.pbc)
    nearest = away.argmin(axis=1)
    if (wrong := np.flatnonzero(nearest != own)).size:
        i = int(wrong[0])
        raise InputError(
            f"configuration {name} relaxed into another: {atoms[i].symbol} of site {own[i]} moved "
            f"{np.linalg.norm(moved[i] - drift):.2f} Å to site {nearest[i]}"
            + (f", and {len(wrong) - 1} more atoms changed sites" if len(wrong) > 1 else ""),
            advice="The calculator does not hold this vacancy on a bcc lattice. Look at the slab "
            "relaxed alone (interface), use a larger cell, or another calculator.",
        )


def lattice_of_slab(slab: Any, settings: AseSettings) -> float:
    """a from the median distance of nearest neighbours among the atoms of the metal."""
    mine = slab[metal_of_slab(slab, settings)[0]]
    away = mine.get_all_distances(mic=True)
    np.fill_diagonal(away, np.inf)
    return float(2 * np.median(away.min(axis=1)) / math.sqrt(3))
