"""Energies of vacancies beside each other, by an interatomic potential.

    python benchmarks/energies/cluster_energies.py chgnet --folder FOLDER --out TABLE.csv

relaxes the structures of `clusters.py`, or with `--on li2s_110` those at an electrolyte
of `interfaces.py`, one after another. Each is kept in FOLDER, so that an interrupted calculation
goes on where it was. Potentials: `chgnet`, `7net-0`, `7net-l3i5` of the packages chgnet and
sevenn, whose weights come with them, or MODULE:OBJECT, an ASE calculator.
"""

from __future__ import annotations

import argparse
import csv
import importlib.metadata
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import clusters
import interfaces
import numpy as np
from ase.constraints import FixAtoms
from ase.geometry import get_distances
from ase.io import read, write
from scipy.optimize import minimize_scalar

from kmc.model.ase_calculator import load_calculator

COLUMNS = (
    *("potential", "structure", "reference", "removed", "atoms", "cell_A", "area_A2"),
    *("energy_eV", "excess_eV", "free_atoms", "force_eV_A", "steps"),
)
FREE_A = 7.0  # from a vacancy at an interface to atoms that may move
SAVE_s = 20.0  # between two copies of an unfinished structure


def potential(name: str) -> tuple[Any, str]:
    """A calculator and its name with version."""
    warnings.simplefilter("ignore")
    if name == "chgnet":
        from chgnet.model.dynamics import CHGNetCalculator

        class EnergyAndForces(CHGNetCalculator):
            """Without stress and magnetic moments, which take a third of the time."""

            def calculate(self, *args: Any, **options: Any) -> None:
                super().calculate(*args, **options | {"task": "ef"})

        calculator = EnergyAndForces(use_device="cpu")
        return calculator, f"chgnet {importlib.metadata.version('chgnet')} (0.3.0)"
    if name.startswith("7net"):
        from sevenn.calculator import SevenNetCalculator

        version = importlib.metadata.version("sevenn")
        return SevenNetCalculator(name, device="cpu"), f"{name} (sevenn {version})"
    return load_calculator(name), name


class Relaxed:
    """Relaxed structures in a folder, computed where they are missing."""

    def __init__(self, folder: Path, calculator: Any, fmax_eV_A: float, max_steps: int):
        self.folder, self.calculator = folder, calculator
        self.fmax_eV_A, self.max_steps = fmax_eV_A, max_steps
        folder.mkdir(parents=True, exist_ok=True)

    def get(self, name: str, start: Callable[[], Any], optimizer: str = "FIRE") -> Any:
        """The relaxed structure `name`; `start` makes the one to begin with."""
        import ase.optimize

        path = self.folder / f"{name}.extxyz"
        if path.is_file():
            return read(path)
        part = self.folder / f"{name}.unfinished.extxyz"
        atoms = read(part) if part.is_file() else start()
        before = int(atoms.info.get("steps", 0))
        atoms.calc = self.calculator
        begun = saved = time.monotonic()
        # Of LBFGS before it has learnt the stiffness; that of ASE takes twice the steps in Li.
        softer = {"alpha": 20.0} if optimizer == "LBFGS" else {}
        steps = getattr(ase.optimize, optimizer)(atoms, logfile=None, **softer)

        def progress() -> None:
            nonlocal saved
            force = np.linalg.norm(atoms.get_forces(), axis=1).max()
            atoms.info["steps"] = before + steps.nsteps
            elapsed = time.monotonic() - begun
            text = f"{name}: {len(atoms)} atoms, step {atoms.info['steps']}, {force:.3f} eV/Å"
            energy = atoms.get_potential_energy()
            print(f"\r{text}, {energy:.4f} eV, {elapsed:.0f} s   ", end="", flush=True)
            if time.monotonic() - saved > SAVE_s:
                write(part, atoms, format="extxyz")
                saved = time.monotonic()

        steps.attach(progress)
        steps.run(fmax=self.fmax_eV_A, steps=max(self.max_steps - before, 0))
        print()
        write(part, atoms, format="extxyz")
        part.rename(path)
        return read(path)


def lattice_parameter(
    name: str, crystal: Callable[[float], Any], calculator: Any, folder: Path, guess_A: float
) -> float:
    """Edge of the cell with the least energy, in Å."""
    record = folder / f"lattice_{name}.txt"
    if not record.is_file():

        def energy(a: float) -> float:
            atoms = crystal(a)
            atoms.calc = calculator
            return atoms.get_potential_energy()

        bounds = (0.9 * guess_A, 1.1 * guess_A)
        a = minimize_scalar(energy, bounds=bounds, method="bounded", options={"xatol": 1e-4}).x
        record.write_text(f"{a:.4f}\n", encoding="utf-8")
    return float(record.read_text(encoding="utf-8"))


def solutes(bulk: Any, solute: str) -> list[clusters.Structure]:
    """A solute in the bulk, and vacancies in three shells of it."""
    alone = bulk.copy()
    alone.symbols[0] = solute
    made = [clusters.Structure("solute", alone, "", 0)]
    edge_A = bulk.cell.array[0, 0] / round((len(bulk) / 2) ** (1 / 3))
    away = bulk.get_distances(0, range(len(bulk)), mic=True) / edge_A
    for shell, distance in (("111", 0.75**0.5), ("200", 1.0), ("220", 2**0.5)):
        vacant = int(np.flatnonzero(np.abs(away - distance) < 0.01)[0])
        atoms = alone.copy()
        del atoms[vacant]
        made.append(clusters.Structure(f"vacancy_{shell}", atoms, "solute", 1))
    return made


def begin(kept: Relaxed, structure: clusters.Structure) -> Any:
    """What a structure is relaxed from: as it is made, or its relaxed reference less some atoms."""
    if structure.atoms is not None:
        return structure.atoms
    atoms = read(kept.folder / f"{structure.reference}.extxyz")
    # An incoherent interface slides long before it is fully relaxed: what is far away is held, so
    # that the energies of single vacancies and of groups refer to the same surroundings.
    away = get_distances(
        atoms.positions, atoms.positions[list(structure.vacant)], atoms.cell, atoms.pbc
    )[1]
    atoms.set_constraint(FixAtoms(np.flatnonzero(away.min(axis=1) > FREE_A)))
    del atoms[list(structure.vacant)]
    atoms.info.pop("steps", None)
    return atoms


def rows(
    kept: Relaxed, structures: list, bulk_eV: float, name: str, optimizer: str
) -> Iterator[dict[str, Any]]:
    """A row for each structure when it is relaxed."""
    energies: dict[str, float] = {}
    for s in structures:
        atoms = kept.get(s.name, lambda s=s: begin(kept, s), optimizer)
        energy = energies[s.name] = atoms.get_potential_energy()
        if s.reference:
            reference = sum(energies[part] for part in s.reference.split("+"))
        elif s.name in ("electrolyte", "solute"):  # nothing to compare with
            reference = energy
        else:
            reference = len(atoms) * bulk_eV
        row = {
            "potential": name,
            "structure": s.name,
            "reference": s.reference,
            "removed": s.removed,
            "atoms": len(atoms),
            "cell_A": " ".join(f"{edge:.3f}" for edge in atoms.cell.lengths()),
            "area_A2": f"{s.area_A2:.3f}",
            "energy_eV": f"{energy:.4f}",
            "excess_eV": f"{energy - reference + s.removed * bulk_eV:.4f}",
            "free_atoms": len(atoms) - sum(len(c.index) for c in atoms.constraints),
            "force_eV_A": f"{np.linalg.norm(atoms.get_forces(), axis=1).max():.3f}",
            "steps": atoms.info.get("steps", 0),
        }
        print(f"    {s.name}: {row['excess_eV']} eV, {row['force_eV_A']} eV/Å left", flush=True)
        yield row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("potential", help="chgnet, 7net-0, 7net-l3i5 or MODULE:OBJECT")
    parser.add_argument("--metal", default="Li")
    parser.add_argument("--lattice-A", type=float, default=3.45, help="to begin with")
    parser.add_argument("--solute", help="such as Mg: beside vacancies of the bulk")
    parser.add_argument("--on", choices=interfaces.INTERFACES, help="at this electrolyte")
    parser.add_argument(
        "--only",
        default="",
        help="`singles` at an electrolyte, or names of structures, comma-separated, in this order",
    )
    parser.add_argument("--folder", type=Path, required=True, help="keeps relaxed structures")
    parser.add_argument("--out", type=Path, required=True, help="table to write or to add to")
    parser.add_argument("--fmax", type=float, default=0.03, help="largest force left, eV/Å")
    parser.add_argument("--steps", type=int, default=1000, help="of one relaxation at most")
    parser.add_argument("--optimizer", default="FIRE", help="one of ASE")
    args = parser.parse_args()
    calculator, name = potential(args.potential)
    kept = Relaxed(args.folder, calculator, args.fmax, args.steps)
    a = lattice_parameter(
        args.metal,
        lambda a: clusters.bulk(args.metal, a, 2),
        calculator,
        args.folder,
        args.lattice_A,
    )
    bulk = clusters.bulk(args.metal, a)
    bulk_eV = kept.get("bulk", lambda: bulk).get_potential_energy() / len(bulk)
    print(f"{name}: a = {a:.4f} Å, {bulk_eV:.4f} eV an atom", flush=True)
    if args.on:
        spec = interfaces.INTERFACES[args.on]
        b = lattice_parameter(args.on, spec.crystal, calculator, args.folder, spec.guess_A)
        structures = interfaces.structures(spec, a, b, args.only)
        kept.folder = args.folder / args.on
        kept.folder.mkdir(exist_ok=True)
    elif args.solute:
        structures = solutes(bulk, args.solute)
        kept.folder = args.folder / args.solute
        kept.folder.mkdir(exist_ok=True)
    else:
        structures = clusters.bulk_structures(args.metal, a)
        structures += clusters.surface_structures(args.metal, a)
    if args.only and args.only != "singles":
        by_name = {s.name: s for s in structures}
        if not set(args.only.split(",")) <= set(by_name):
            parser.error(f"--only takes {', '.join(by_name)}")
        structures = [by_name[name] for name in args.only.split(",")]
    others = []
    if args.out.is_file():
        with args.out.open(newline="", encoding="utf-8") as file:
            others = [row for row in csv.DictReader(file) if row["potential"] != name]
    made: list[dict[str, Any]] = []
    for row in rows(kept, structures, bulk_eV, name, args.optimizer):
        made.append(row)
        with args.out.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
            writer.writeheader()
            writer.writerows([*others, *made])


if __name__ == "__main__":
    main()
