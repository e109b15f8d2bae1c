"""Lithium on ZnO, LiZn and graphene by an interatomic potential: atoms, films, paths.

    python benchmarks/energies/adsorption.py chgnet --folder FOLDER --out TABLE.csv

Rows of the table: adsorption of a lone atom, E(slab) + E(atom) − E(both), with the atom's energy
from that of the bulk and the measured cohesive energy of 1.63 eV, as no universal potential knows a
free atom; work of adhesion of a film of four layers of Li(100), strained to the slab, less the same
film alone; barrier between two equivalent sites (climbing image NEB, Henkelman, Uberuaga and
Jónsson, doi:10.1063/1.1329672). Each structure is kept in FOLDER, so that an interrupted
calculation goes on where it was.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import math
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.build import bulk, graphene, make_supercell, surface
from ase.calculators.singlepoint import SinglePointCalculator
from ase.constraints import FixAtoms
from ase.io import read, write
from ase.mep import NEB
from ase.optimize import FIRE
from cluster_energies import Relaxed, lattice_parameter, potential

COHESIVE_eV = 1.63
WIDEST_A = 6.0  # a slab is repeated until its edges are at least that
VACUUM_A = 16.0
COLUMNS = ("potential", "surface", "what", "value", "unit", "atoms", "cell_A", "force_eV_A", "note")
LAYERS = 4  # of a film
MOST_ATOMS = 120


def wurtzite(a: float) -> Atoms:
    return bulk("ZnO", "wurtzite", a=a, c=1.602 * a, u=0.382)


def zintl(a: float) -> Atoms:
    """LiZn: both species on diamond lattices (NaTl)."""
    places = [(x, x, x) for x in (0, 0.25, 0.5, 0.75)]
    cell = a / 2 * (1 - np.eye(3))
    return Atoms("Li2Zn2", scaled_positions=places, cell=cell, pbc=True)


def sheet(a: float) -> Atoms:
    atoms = graphene(a=a, vacuum=VACUUM_A / 2)
    atoms.pbc = True
    return atoms


ZINC_OXIDE, ALLOY, CARBON = ("ZnO", wurtzite, 3.25), ("LiZn", zintl, 6.22), ("C", sheet, 2.46)
# Crystal, Miller indices in its primitive cell (of LiZn not those of the cubic one), layers of the
# surface's cell, and whether the slab is turned over.
SURFACES: dict[str, tuple[Any, Any, int, bool]] = {
    "graphene": (CARBON, None, 1, False),
    "zno_002_Zn": (ZINC_OXIDE, (0, 0, 1), 2, True),
    "zno_020": (ZINC_OXIDE, (0, 1, 0), 3, False),
    "zno_202_Zn": (ZINC_OXIDE, (1, 0, 1), 4, False),
    "lizn_220": (ALLOY, (1, 1, 2), 4, False),
    "zno_002_O": (ZINC_OXIDE, (0, 0, 1), 2, False),
    "zno_202_O": (ZINC_OXIDE, (1, 0, 1), 4, True),
    "lizn_112": (ALLOY, (3, 3, 2), 6, False),
    "graphene_vacancy": (CARBON, None, 1, False),
    "graphene_carbonyl": (CARBON, None, 1, False),
}


def cut(crystal: Atoms, indices: tuple[int, int, int], layers: int, turned: bool) -> Atoms:
    """A slab of one cell, cut where planes of atoms are farthest apart."""
    slab = surface(crystal, indices, layers, periodic=True)
    heights = np.sort(slab.get_scaled_positions()[:, 2])
    gaps = np.diff(heights, append=heights[0] + 1)
    widest = int(np.flatnonzero(gaps > gaps.max() - 1e-6)[0])
    slab.positions -= (heights[widest] + gaps[widest] / 2) * slab.cell[2]
    slab.wrap()
    if turned:
        slab.positions[:, 2] *= -1
    slab.cell[2] = (0, 0, 1)
    slab.set_cell(shortest(slab.cell.array))
    slab.center(vacuum=VACUUM_A / 2, axis=2)
    slab.wrap()
    return slab


def shortest(cell: np.ndarray) -> np.ndarray:
    """The same lattice of a surface by its two shortest vectors (Gauss)."""
    u, v = cell[0].copy(), cell[1].copy()
    while True:
        if u @ u > v @ v:
            u, v = v, -u
        times = round((u @ v) / (u @ u))
        if times == 0:
            return np.array([u, v, cell[2]])
        v -= times * u


def held(slab: Atoms) -> Atoms:
    """The lower half does not move; of a sheet one atom."""
    z = slab.positions[:, 2]
    if np.ptp(z) < 2.0:
        below = [int(np.argmin(slab.positions[:, :2].sum(axis=1)))]
    else:
        below = list(np.flatnonzero(z < z.min() + 0.5 * np.ptp(z) - 0.1))
    slab.set_constraint(FixAtoms(below))
    return slab


def unit(name: str, a: float) -> Atoms:
    """One cell of the slab before relaxation."""
    (_, crystal, _), indices, layers, turned = SURFACES[name]
    return crystal(a) if indices is None else cut(crystal(a), indices, layers, turned)


def wide(name: str, a: float) -> Atoms:
    """A slab for lone atoms before relaxation; a defect is in the middle of a sheet."""
    one, sheets = unit(name, a), SURFACES[name][1] is None
    least = 9.0 if sheets else WIDEST_A
    slab = one.repeat((*(math.ceil(least / edge) for edge in one.cell.lengths()[:2]), 1))
    if sheets and "_" in name:
        centre = len(slab) // 2
        nearest = slab.get_distances(centre, range(len(slab)), mic=True).argsort()[1]
        gap = slab.get_distance(nearest, centre, mic=True, vector=True)
        at = slab.positions[nearest] + 0.9 * gap / np.linalg.norm(gap) + (0, 0, 0.8)
        if name.endswith("carbonyl"):
            slab += Atoms("O", [at])
        del slab[centre]
    return held(slab)


class Calculation:
    """All rows of one potential."""

    def __init__(self, kept: Relaxed, name: str, rows: list[dict[str, Any]], out: Path):
        self.kept, self.name, self.rows, self.out = kept, name, rows, out
        self.a_Li = self.edge("Li", lambda a: bulk("Li", "bcc", a=a), 3.45)
        metal = bulk("Li", "bcc", a=self.a_Li)
        metal.calc = kept.calculator
        self.metal_eV = metal.get_potential_energy()

    def edge(self, crystal: str, make: Any, guess_A: float) -> float:
        return lattice_parameter(crystal, make, self.kept.calculator, self.kept.folder, guess_A)

    def edge_of(self, name: str) -> float:
        return self.edge(*SURFACES[name][0])

    def slab(self, name: str) -> tuple[Atoms, np.ndarray]:
        """Relaxed slab for lone atoms, and the vectors of its surface cell."""
        a = self.edge_of(name)
        return self.kept.get(f"{name}.slab", lambda: wide(name, a)), unit(name, a).cell.array[:2]

    def add(self, name: str, what: str, value: float, unit: str, atoms: Atoms, note: str) -> None:
        force = float(np.linalg.norm(atoms.get_forces(), axis=1).max())
        cell = " ".join(f"{edge:.2f}" for edge in atoms.cell.lengths()[:2])
        values = (self.name, name, what, f"{value:.3f}", unit, len(atoms), cell, f"{force:.3f}")
        row = dict(zip(COLUMNS, (*values, note), strict=True))
        key = ("potential", "surface", "what")
        self.rows = [old for old in self.rows if any(old[k] != row[k] for k in key)] + [row]
        with self.out.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
            writer.writeheader()
            writer.writerows(self.rows)
        print(f"    {name} {what}: {value:.3f} {unit}, {force:.3f} eV/Å left", flush=True)

    def atom(self, name: str) -> None:
        """Adsorption of a lone atom at the best of a grid of places, relaxed."""
        slab, cell = self.slab(name)
        atoms = self.kept.get(f"{name}.atom", lambda: self.place(slab, cell))
        excess = atoms.get_potential_energy() - slab.get_potential_energy() - self.metal_eV
        top = slab.positions[:, 2].max()
        note = f"height {atoms.positions[-1, 2] - top:.2f} A"
        self.add(name, "adsorption", COHESIVE_eV - excess, "eV", atoms, note)

    def place(self, slab: Atoms, cell: np.ndarray) -> Atoms:
        """The slab with an atom where a rigid slab holds it best."""
        tried: list[tuple[float, Atoms]] = []
        # Defects are one a slab, so that all of it is looked at.
        one = cell if len(slab) % 4 == 0 else slab.cell.array[:2]
        n = 4 if one is cell else 6
        for i, j in itertools.product(range(n), repeat=2):
            at = i / n * one[0] + j / n * one[1]
            trial = slab.copy() + Atoms("Li", [(*at[:2], 0)])
            flat = trial.copy()
            flat.positions[:, 2] = 0
            beside = flat.get_distances(-1, range(len(slab)), mic=True)
            # Where a ball of 2.1 Å comes to lie on the atoms.
            over = np.sqrt(np.maximum(2.1**2 - beside**2, 0)) * (beside < 2.1)
            lies = (slab.positions[:, 2] + over)[beside < 2.1]
            trial.positions[-1, 2] = lies.max() if len(lies) else slab.positions[:, 2].max()
            trial.calc = self.kept.calculator
            tried.append((trial.get_potential_energy(), trial))
        best = min(tried, key=lambda pair: pair[0])[1]
        best.set_constraint(slab.constraints)
        return best

    def film(self, name: str) -> None:
        """Adhesion of Li(100), of the film that fits a slab with the least strain."""
        if "graphene_" in name:  # a film over a defect of a wider sheet costs too much here
            return
        one = unit(name, self.edge_of(name))
        repeats, turn, strain = fitting(one, self.a_Li)
        slab = self.kept.get(f"{name}.film_slab", lambda: held(make_supercell(one, repeats)))
        layers = make_supercell(
            bulk("Li", "bcc", a=self.a_Li, cubic=True),
            np.array([[*turn[0], 0], [*turn[1], 0], [0, 0, LAYERS // 2]]),
        )
        cell = slab.cell.array.copy()
        # The film keeps its volume, and the first layer lies 2.2 Å above the slab.
        height = layers.get_volume() / np.linalg.det(slab.cell.array[:2, :2])
        cell[2] = (0, 0, abs(height))
        layers.set_cell(cell, scale_atoms=True)
        layers.positions[:, 2] += slab.positions[:, 2].max() + 2.2 - layers.positions[:, 2].min()
        cell[2] = (0, 0, layers.positions[:, 2].max() - slab.positions[:, 2].min() + VACUUM_A)
        layers.set_cell(cell)
        layers.pbc = True
        both = slab.copy()
        both.set_cell(cell)
        both += layers
        both.set_constraint(slab.constraints)
        alone = self.kept.get(f"{name}.film_alone", lambda: layers)
        both = self.kept.get(f"{name}.film", lambda: both)
        parts = slab.get_potential_energy() + alone.get_potential_energy()
        area = abs(np.linalg.det(slab.cell.array[:2, :2]))
        adhesion = (parts - both.get_potential_energy()) / area * 16.0218
        moved = int((both.positions[len(slab) :, 2] < slab.positions[:, 2].max()).sum())
        note = f"strain {strain:.3f}, {moved} Li below the top of the slab"
        self.add(name, "film", adhesion, "J/m2", both, note)

    def own_surface(self) -> None:
        """Energy of Li(100), what a film costs that holds to nothing."""
        metal = bulk("Li", "bcc", a=self.a_Li, cubic=True).repeat((2, 2, 4))
        metal.center(vacuum=VACUUM_A / 2, axis=2)
        slab = self.kept.get("li_100", lambda: metal)
        excess = slab.get_potential_energy() - len(slab) * self.metal_eV
        gamma = excess / (2 * (2 * self.a_Li) ** 2) * 16.0218
        self.add("li_100", "surface", gamma, "J/m2", slab, f"a {self.a_Li:.3f} A")

    def path(self, name: str) -> None:
        """Lowest barrier from the site of `atom` to the next one like it."""
        if "graphene_" in name:  # one site a slab: there is no next one
            return
        slab, cell = self.slab(name)
        ideal = wide(name, self.edge_of(name)).positions
        start = self.kept.get(f"{name}.atom", lambda: self.place(slab, cell))
        vectors = cell[:1] if name.startswith(("zno_002", "graphene")) else cell
        for number, vector in enumerate(vectors):
            end = shifted(start, ideal, vector)
            images = self.band(f"{name}.path{number}", start, end, np.linalg.norm(vector))
            energies = [image.get_potential_energy() for image in images]
            top = int(np.argmax(energies))
            note = f"{len(images)} images over {np.linalg.norm(vector):.2f} A"
            # Paths follow each other, so that their deepest place counts, be it an end or not.
            barrier = max(energies) - min(energies)
            depth = min(energies) - min(energies[0], energies[-1])
            if depth < -0.001:
                note += f", {depth:.3f} eV below its ends"
            self.add(name, f"barrier{number}", barrier, "eV", images[top], note)

    def band(self, name: str, start: Atoms, end: Atoms, length_A: float) -> list[Atoms]:
        path, part = (self.kept.folder / f"{name}{end}" for end in (".extxyz", ".part.extxyz"))
        inner = 3 if length_A < 4 else 5
        if path.is_file():
            return read(path, ":")
        begun = part.is_file()
        images = read(part, ":") if begun else [start.copy() for _ in range(inner + 1)]
        if not begun:
            images.append(end.copy())
        for image in images:
            image.calc = self.kept.calculator
        neb = NEB(images, climb=True, allow_shared_calculator=True)
        if not begun:
            # Not to the nearest image: a hop may be as long as the slab is wide.
            neb.interpolate(apply_constraint=True)
        steps = FIRE(neb, logfile=None)
        steps.attach(lambda: write(part, images), interval=5)
        steps.run(fmax=self.kept.fmax_eV_A * 1.5, steps=self.kept.max_steps // 2)
        for image in images:  # the calculator they share knows the energy of the last one alone
            image.calc = self.kept.calculator
            results = {"energy": image.get_potential_energy()}
            results["forces"] = image.get_forces(apply_constraint=False)
            image.calc = SinglePointCalculator(image, **results)
        write(part, images)
        part.rename(path)
        return read(path, ":")


def fitting(one: Atoms, a: float) -> tuple[np.ndarray, np.ndarray, float]:
    """Repeats of a slab's cell, cell of Li(100) upon it, as integer matrices, and largest strain.

    Of all with at most so many atoms the one of the fewest whose strain is within 4 %, or of the
    least strain.
    """
    turns = np.array(list(itertools.product(range(-6, 7), repeat=4))).reshape(-1, 2, 2)
    areas = turns[:, 0, 0] * turns[:, 1, 1] - turns[:, 0, 1] * turns[:, 1, 0]
    turns, areas = turns[areas > 0], areas[areas > 0]
    found: list[tuple[float, int, np.ndarray, np.ndarray]] = []
    for p, q in itertools.product(range(1, 7), repeat=2):
        for shear in range(p):
            repeats = np.array([[p, 0, 0], [shear, q, 0], [0, 0, 1]])
            cell = repeats[:2, :2] @ one.cell.array[:2, :2]
            atoms = p * q * len(one) + areas * LAYERS
            fits = np.flatnonzero((atoms <= MOST_ATOMS) & (areas > 2))
            if not len(fits) or np.linalg.norm(cell, axis=1).min() < 5.0:
                continue
            # Stretches of what takes one cell to the other, whatever the rotation between them.
            change = np.linalg.solve(a * turns[fits].astype(float), cell[None])
            strain = np.abs(np.linalg.svd(change, compute_uv=False) - 1).max(axis=1)
            best = int(np.argmin(np.round(strain, 6)))
            found.append((float(strain[best]), int(atoms[fits[best]]), repeats, turns[fits[best]]))
    strain, _, repeats, turn = min(found, key=lambda f: (max(round(f[0], 4), 0.04), f[1]))
    return repeats, turn, strain


def shifted(start: Atoms, ideal: np.ndarray, vector: np.ndarray) -> Atoms:
    """The same state one cell of the surface on, with the atoms of the slab in their old order."""
    end = start.copy()
    inverse = np.linalg.inv(start.cell.array)
    for i, place in enumerate(ideal):
        away = (ideal + vector - place) @ inverse
        away = (away - np.round(away)) @ start.cell.array
        j = int(np.argmin((away**2).sum(axis=1)))
        moved = (start.positions[j] + vector - place) @ inverse
        end.positions[i] = place + (moved - np.round(moved)) @ start.cell.array
    end.positions[-1] += vector
    # Of a sheet one atom is held, which another one takes the place of: it has to stay, too.
    still = start.constraints[0].index
    end.positions -= (end.positions - start.positions)[still].mean(axis=0)
    return end


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("potential", help="chgnet, 7net-0 or MODULE:OBJECT")
    parser.add_argument("--folder", type=Path, required=True, help="keeps relaxed structures")
    parser.add_argument("--out", type=Path, required=True, help="table to write or to add to")
    parser.add_argument("--parts", nargs="+", default=["atom", "film", "path"])
    parser.add_argument("--surfaces", nargs="+", default=list(SURFACES), choices=SURFACES)
    parser.add_argument("--fmax", type=float, default=0.05, help="largest force left, eV/Å")
    parser.add_argument("--steps", type=int, default=200, help="of one relaxation at most")
    args = parser.parse_args()
    calculator, name = potential(args.potential)
    kept = Relaxed(args.folder / args.potential, calculator, args.fmax, args.steps)
    rows: list[dict[str, Any]] = []
    if args.out.is_file():
        with args.out.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    calculation = Calculation(kept, name, rows, args.out)
    calculation.own_surface()
    for part, surface_name in itertools.product(args.parts, args.surfaces):
        getattr(calculation, part)(surface_name)


if __name__ == "__main__":
    main()
