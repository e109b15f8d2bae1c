"""Energies of configurations from an ASE calculator, for a parameter set of one's own.

Vacancies in the bulk and in the first two layers of a slab, pairs of vacancies, a solute beside
them, and the saddles of hops by nudged elastic bands, whose highest image climbs once the band is
roughly relaxed (G. Henkelman, B. P. Uberuaga and H. Jónsson, J. Chem. Phys. 113, 9901 (2000),
doi:10.1063/1.1329672), with the adaptive steps of S. Makri, C. Ortner and J. R. Kermode, J. Chem.
Phys. 150, 094109 (2019), doi:10.1063/1.5064465. Each configuration is kept in a folder, unfinished
ones too, so that an interrupted calculation goes on where it was. `kmc.model.dft_energies` makes
quantities of them.
"""

from __future__ import annotations

import hashlib
import json
import math
import time
import warnings
from collections.abc import Callable
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from kmc.common.outputs import replacing
from kmc.errors import InputError, KmcError
from kmc.model.ase_configurations import (
    CHANGES,
    FACES,
    MAX_STRAIN,
    SADDLES,
    SOLUTE,
    AseSettings,
    changed,
    check_sites,
    check_slab,
    lattice_of_slab,
    layers_of,
    sites_of_bulk,
    sites_of_slab,
)
from kmc.model.dft_energies import quantities_of

_ROUGH_eV_A = 0.1  # forces left on a band before its highest image climbs
_STIFFNESS_eV_A2 = 20.0  # of LBFGS before it has learnt one; ASE's 70 takes twice the steps in Li
_PROBE_A = 0.02  # shift along the band by which a saddle is distinguished from a minimum
_SAVE_s = 5.0  # between two copies of an unfinished configuration
_UNFINISHED = ".unfinished.extxyz"  # end of their names


class Configurations:
    """Configurations of one metal and one slab, computed when asked for.

    - `slab`: metal on its electrolyte, the normal along z; or metal alone, whose lower side is
      taken.
    - `name`: of the calculator, for notes.
    - `folder`: where finished configurations are kept.
    - `report`: called with the share that is done (0 to 1) and a line of text.
    """

    def __init__(
        self,
        slab: Any,
        calculator: Any,
        name: str,
        settings: AseSettings,
        folder: Path,
        report: Callable[[float, str], None] | None = None,
    ):
        self.slab, self.calculator, self.name = slab, calculator, name
        self.settings, self.folder = settings, folder
        self.report = report or (lambda done, text: None)
        self._known: dict[str, Any] = {}
        self._share = 0.0
        check_slab(slab, settings)
        # Energies of two calculations do not belong in one difference: what is kept must fit.
        parts = (self.slab.positions, self.slab.cell.array, self.slab.numbers)
        key = hashlib.sha256(b"".join(np.round(p, 6).tobytes() for p in parts)).hexdigest()[:16]
        mine = json.loads(json.dumps({"slab": key, "calculator": name} | asdict(settings)))
        record = self.folder / "settings.json"
        if record.is_file():
            theirs = json.loads(record.read_text(encoding="utf-8"))
            free = ("cells", "repeats", "max_steps")
            differ = [k for k in mine if k not in free and mine[k] != theirs.get(k)]
            if differ:
                raise InputError(
                    f"{self.folder} holds configurations with another {', '.join(differ)}",
                    advice="Remove the folder to compute them anew, or give another output.",
                )
        self._record = json.dumps(mine, indent=1)

    def names(self) -> list[str]:
        """Every configuration that is needed, as NAME-SIZE, smaller sizes first."""
        s = self.settings
        chosen = [name for name in CHANGES if s.solute or SOLUTE not in CHANGES[name].values()]
        if s.relax:
            chosen += [n for n, (start, *_) in SADDLES.items() if start in chosen]
        found = []
        for name in chosen:
            sizes = s.cells if name.startswith("bulk") else s.repeats
            # The costly ones in the largest size only; but barriers in the bulk depend on it.
            once = name in SADDLES or SOLUTE in CHANGES[name].values()
            once = once and name != "bulk_hop_saddle"
            found += [f"{name}-{size}" for size in sizes if not once or size == sizes[-1]]
        return found

    def run(self) -> dict[str, dict[str, Any]]:
        """Compute everything, and return the quantities that follow, each with value and note."""
        names = self.names()
        if abs(self.strain) > MAX_STRAIN:
            raise InputError(
                f"an atom of L1 has {100 * self.strain:+.0f} % of strain along the interface "
                f"against {self.settings.lattice} with a = {self.lattice_A:.3f} Å",
                advice="Name the face of the slab with --lattice, or match the slab to its metal.",
            )
        # Atoms times images, which is what a configuration takes: the share of the progress.
        work = [0.0]
        for name in names:
            stem, _, size = name.partition("-")
            atoms = len(self.slab) * int(size) ** 2
            if stem.startswith("bulk"):
                atoms = 2 * int(size) ** 3
            work.append(work[-1] + atoms * (self.settings.images if stem in SADDLES else 1))
        for name, done in zip(names, work, strict=False):
            self._share = done / work[-1]
            self.get(name)
        self.report(1.0, "done")
        s = self.settings
        last = self._of_sizes(s.cells[-1], s.repeats[-1])
        found = quantities_of(last)
        with warnings.catch_warnings():  # what is wrong with the last size is known
            warnings.simplefilter("ignore")
            before = [quantities_of(self._of_sizes(c, s.repeats[-1])) for c in s.cells[-2:-1]]
            wider = [quantities_of(self._of_sizes(s.cells[-1], r)) for r in s.repeats[-2:-1]]
        for key, entry in found.items():
            entry["note"] = self._note(key, entry, before, wider)
        return found

    def _of_sizes(self, cells: int, repeat: int) -> dict[str, Any]:
        sizes = (cells, repeat)
        names = {n.partition("-")[0] for n in self.names()} - {"interface_hop_saddle"}
        wanted = {n: f"{n}-{sizes[not n.startswith('bulk')]}" for n in names}
        return {n: self.get(full) for n, full in wanted.items() if full in self.names()}

    def _note(self, key: str, entry: dict, before: list, wider: list) -> str:
        """Configurations, calculator and what the number is uncertain by."""
        s = self.settings
        parts = [entry["note"].rstrip("."), self.name]
        if key == "lattice_parameter_A":
            return f"{'; '.join(parts)}."
        left = max(a.info["fmax_eV_A"] for a in self._known.values())
        parts.append(f"forces of at most {left:.2g} eV/Å" if s.relax else "not relaxed")
        for noun, sizes, others in (("cells", s.cells, before), ("repeats", s.repeats, wider)):
            for other in others:
                if key in other and (change := entry["value"] - other[key]["value"]):
                    text = f"{change:+.4f} from {sizes[-2]} to {sizes[-1]} {noun}"
                    parts.append(text)
        if key == "formation_energy_L1_eV":
            parts.append(f"{round(100 * self.strain, 1) + 0.0:+.1f} % strain of the slab's metal")
        if key == "barrier_Li_eV" and "interface_hop_saddle-" + str(s.repeats[-1]) in self._known:
            parts.append(
                f"the saddle between L1 and L2 lies {self.barrier_L1_L2_eV:.4f} eV above "
                "the mean of its ends, for which the model takes this barrier"
            )
        return f"{'; '.join(parts)}."

    @property
    def barrier_L1_L2_eV(self) -> float:
        """Saddle between vacancies in L1 and L2 above the mean of both."""
        size = self.settings.repeats[-1]
        names = ("interface_hop_saddle", "interface_vacancy_L1", "interface_vacancy_L2")
        saddle, L1, L2 = (self.get(f"{n}-{size}").get_potential_energy() for n in names)
        return float(saddle - (L1 + L2) / 2)

    @property
    def strain(self) -> float:
        """Strain of the slab's metal along the interface, from the area of a site of L1."""
        first = layers_of(self.slab, self.settings, self.lattice_A)[0]
        edges = self.slab.cell.array[:2]
        area = np.linalg.norm(np.cross(*edges)) / len(first)
        return float(math.sqrt(area / (FACES[self.settings.lattice][1] * self.lattice_A**2)) - 1)

    @cached_property
    def lattice_A(self) -> float:
        """Edge of the bcc cell with the least energy, from cells around that of the slab."""
        from ase.build import bulk
        from scipy.optimize import minimize_scalar

        record = self.folder / "lattice_A.json"
        if record.is_file():
            return float(json.loads(record.read_text(encoding="utf-8")))
        metal = self.settings.metal
        start = lattice_of_slab(self.slab, metal)

        def energy(a: float) -> float:
            atoms = bulk(metal, "bcc", a=a, cubic=True).repeat(2)
            atoms.calc = self.calculator
            self.report(self._share, f"lattice parameter, {a:.3f} Å")
            return float(atoms.get_potential_energy())

        found = minimize_scalar(
            energy, bounds=(0.85 * start, 1.15 * start), method="bounded", options={"xatol": 1e-5}
        )
        if not 0.86 * start < found.x < 1.14 * start:
            raise InputError(
                f"{self.name} has no bcc {metal} with a lattice parameter near the slab's, "
                f"{start:.2f} Å",
                advice="Relax the slab with the same calculator first, or use another calculator.",
            )
        self._write("lattice_A.json", json.dumps(float(found.x)))
        return float(found.x)

    # --- the folder -------------------------------------------------------------------------------

    def get(self, name: str) -> Any:
        """A configuration NAME-SIZE with its energy: known, kept in the folder, or computed.

        Raises `InputError`: it does not relax, or relaxes into another.
        """
        if name not in self._known:
            stem, _, size = name.partition("-")
            make = self._saddle if stem in SADDLES else self._minimum
            self._known[name] = self._kept(name, lambda: make(stem, int(size)))
        return self._known[name]

    def _kept(self, name: str, make: Callable[[], Any]) -> Any:
        """A configuration of the folder, or made and put there."""
        from ase.io import read

        path = self.folder / f"{name}.extxyz"
        if not path.is_file():
            self.report(self._share, name)
            self._write(path.name, make())
            for old in self.folder.glob(f"{name}*{_UNFINISHED}"):
                old.unlink()
        return read(path, format="extxyz")

    def _write(self, file: str, content: Any) -> None:
        """Write a text, or atoms, whole, beside the settings they belong to."""
        from ase.io import write

        self.folder.mkdir(parents=True, exist_ok=True)
        for name, what in (("settings.json", self._record), (file, content)):
            with replacing(self.folder / name) as draft:
                if isinstance(what, str):
                    draft.write_text(what, encoding="utf-8")
                else:
                    write(draft, what, format="extxyz")

    def _keep(self, name: str, images: list[Any]) -> None:
        """Keep where an unfinished calculation is."""
        self._write(f"{name}{_UNFINISHED}", [image.copy() for image in images])

    def _go_on(self, name: str, images: list[Any]) -> bool:
        """Move images to where an interrupted calculation left them; whether there was one."""
        from ase.io import read

        path = self.folder / f"{name}{_UNFINISHED}"
        if not path.is_file():
            return False
        left = read(path, index=":", format="extxyz")
        if [len(image) for image in left] != [len(image) for image in images]:
            return False
        for image, old in zip(images, left, strict=True):
            image.positions = old.positions
        return True

    # --- one configuration ------------------------------------------------------------------------

    def _minimum(self, stem: str, size: int) -> Any:
        from ase.build import bulk

        name, s = f"{stem}-{size}", self.settings
        if stem == "bulk":
            perfect = bulk(s.metal, "bcc", a=self.lattice_A, cubic=True).repeat(size)
            return self._relaxed(name, perfect)
        if stem == "interface":
            # A larger slab starts from the relaxed one, which leaves it little to relax.
            one = self.slab if size == 1 or 1 not in s.repeats else self.get("interface-1")
            return self._relaxed(name, one.repeat((size, size, 1)))
        perfect, sites = self._base(stem, size)
        atoms, own = changed(stem, perfect, sites, s.solute)
        return self._relaxed(name, atoms, perfect, own)

    def _base(self, stem: str, size: int) -> tuple[Any, dict[str, int]]:
        """The perfect bulk or slab of a configuration, and the atoms on the sites it names."""
        if stem.startswith("bulk"):
            perfect = self.get(f"bulk-{size}")
            return perfect, sites_of_bulk(perfect, self.lattice_A)
        perfect = self.get(f"interface-{size}")
        first, second = layers_of(perfect, self.settings, self.lattice_A)[:2]
        mine = [i for i in first if i < len(self.slab)]
        middle = self.slab.cell.array[:2, :2].sum(axis=0) / 2
        return perfect, sites_of_slab(perfect, mine, second, self.settings.site, middle)

    def _relaxed(self, name: str, atoms: Any, perfect: Any = None, own: Any = None) -> Any:
        """Relax a configuration in place and check that every atom kept its site."""
        from ase.optimize import LBFGS

        atoms.calc = self.calculator
        try:
            if self.settings.relax:
                self._go_on(name, [atoms])
                silent: Any = None  # ase's types have no None for its log
                steps = LBFGS(atoms, logfile=silent, alpha=_STIFFNESS_eV_A2)
                self._converge(name, steps, [atoms])
        except KmcError:  # that an atom left its site is the reason to name
            if perfect is not None:
                check_sites(name, atoms, perfect, own)
            raise
        if perfect is not None:
            check_sites(name, atoms, perfect, own)
        return self._finished(atoms)

    def _converge(self, name: str, optimizer: Any, images: list, fmax: float | None = None) -> None:
        """Run an optimizer; unfinished images are kept, and one that does not end is refused."""
        fmax, saved = fmax or self.settings.fmax_eV_A, time.monotonic()

        def step() -> None:
            nonlocal saved
            self.report(self._share, f"{name}, step {optimizer.nsteps}")
            if time.monotonic() - saved > _SAVE_s:
                self._keep(name, images)
                saved = time.monotonic()

        optimizer.attach(step)
        try:
            done = optimizer.run(fmax=fmax, steps=self.settings.max_steps)
        finally:  # also at Ctrl-C
            self._keep(name, images)
        if not done:
            raise KmcError(
                f"configuration {name} did not relax to {fmax:g} eV/Å in "
                f"{self.settings.max_steps} steps",
                advice="Run again to go on from there, raise --steps or --fmax; what is finished "
                "is kept.",
            )

    @staticmethod
    def _finished(atoms: Any) -> Any:
        from ase.calculators.singlepoint import SinglePointCalculator

        energy, forces = atoms.get_potential_energy(), atoms.get_forces()
        atoms.calc = SinglePointCalculator(atoms, energy=energy, forces=forces)
        atoms.info["fmax_eV_A"] = float(np.sqrt((forces**2).sum(axis=1).max()))
        return atoms

    def _saddle(self, stem: str, size: int) -> Any:
        """The highest point on the way of one hop."""
        before, leaves, takes = SADDLES[stem]
        perfect, sites = self._base(stem, size)
        start = self.get(f"{before}-{size}")
        own = changed(before, perfect, sites, self.settings.solute)[1]
        moving = int(np.flatnonzero(own == sites[leaves])[0])
        end = start.copy()
        end.positions[moving] = perfect.positions[sites[takes]]
        own[moving] = sites[takes]
        last = f"{stem}_end-{size}"
        end = self._kept(last, lambda: self._relaxed(last, end, perfect, own))
        return self._top(f"{stem}-{size}", start, end)

    def _top(self, name: str, start: Any, end: Any, whole: bool = True) -> Any:
        """The highest point of a band between two minima; with a third between them, of two."""
        from ase.geometry import find_mic
        from ase.mep import NEB
        from ase.mep.neb import NEBOptimizer

        band = [start, *(start.copy() for _ in range(self.settings.images)), end]
        neb: Any = NEB(band, allow_shared_calculator=True, method="improvedtangent")
        if not self._go_on(name, band):
            neb.interpolate(mic=True)
        for image in band[1:-1]:
            image.calc = self.calculator
        # The residual of a band is the largest component of a force, not the largest force.
        fine = self.settings.fmax_eV_A / math.sqrt(3)
        for neb.climb, most in ((False, max(_ROUGH_eV_A, 5 * fine)), (True, fine)):
            self._converge(name, NEBOptimizer(neb, logfile=None), band, most)
        top = 1 + int(np.argmax(neb.energies[1:-1]))
        found, sides = band[top], band[top + 1].positions - band[top - 1].positions
        tangent = find_mic(sides, found.cell, found.pbc)[0]
        tangent /= np.linalg.norm(tangent)
        probe, push = found.copy(), []
        probe.calc = self.calculator
        for shift in (-_PROBE_A, _PROBE_A):
            probe.positions = found.positions + shift * tangent
            push.append(float((probe.get_forces() * tangent).sum()))
        ends = [one.get_potential_energy() for one in (start, end)]
        if neb.energies[top] >= max(ends):
            if push[1] > push[0]:  # forces drive away from a saddle on both sides
                return self._finished(found)
            if whole:
                # A minimum between the ends: two hops, of which the higher saddle counts.
                part = f"{name}_middle"
                middle = self._kept(part, lambda: self._relaxed(part, found.copy()))
                halves = ((f"{name}_first", start, middle), (f"{name}_second", middle, end))
                tops = [self._top(half, one, other, whole=False) for half, one, other in halves]
                return max(tops, key=lambda atoms: atoms.get_potential_energy())
        raise InputError(
            f"configuration {name} is no saddle: the band has no highest point between its ends",
            advice="The calculator has no barrier for this hop: is bcc stable with it? "
            "Look at the configurations that are kept, or use another calculator.",
        )


def load_calculator(spec: str) -> Any:
    """An ASE calculator by its name in ASE, or as MODULE:OBJECT.

    - `spec`: ``emt``, ``lj`` … of ASE, made without arguments; or an object of an importable
      module, a file of the current folder among them: a calculator, or what returns one when
      called.

    Raises `InputError`: there is no such calculator, or it cannot be made.
    """
    import pkgutil
    import sys

    from ase.calculators.calculator import get_calculator_class

    try:
        if ":" not in spec:
            found = get_calculator_class(spec)
        else:
            sys.path.insert(0, "")
            try:
                found = pkgutil.resolve_name(spec.replace(".py:", ":"))
            finally:
                sys.path.remove("")
        made = (
            found
            if hasattr(found, "get_potential_energy") and not isinstance(found, type)
            else found()
        )
    except Exception as problem:  # whatever a module of the user raises
        raise InputError(
            f"calculator {spec!r} cannot be made: {type(problem).__name__}: {problem}",
            advice="Give the name of one of ASE, such as emt, or MODULE:OBJECT, such as "
            "my_potential:calculator for an object of my_potential.py in this folder.",
        ) from None
    if not hasattr(made, "get_potential_energy"):
        raise InputError(
            f"calculator {spec!r} is a {type(made).__name__} without get_potential_energy",
            advice="Give an ASE calculator, or a function that returns one.",
        )
    return made
