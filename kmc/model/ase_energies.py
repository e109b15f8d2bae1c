"""Energies of configurations from an ASE calculator, for a parameter set of one's own.

Vacancies in the bulk and in the first two layers of a slab, pairs of vacancies, a solute beside
them, and the saddles of hops by nudged elastic bands, whose highest image climbs once the band is
roughly relaxed (G. Henkelman, B. P. Uberuaga and H. Jónsson, J. Chem. Phys. 113, 9901 (2000),
doi:10.1063/1.1329672), with the adaptive steps of S. Makri, C. Ortner and J. R. Kermode, J. Chem.
Phys. 150, 094109 (2019), doi:10.1063/1.5064465. Each configuration is kept in a folder, unfinished
ones too, so that an interrupted calculation goes on where it was. `kmc.model.dft_energies` makes
quantities of them.
"""

import hashlib
import json
import math
import os
import time
import warnings
from collections.abc import Callable
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import scipy

from kmc.common.json_files import check_contents, read_json
from kmc.common.outputs import replacing
from kmc.errors import InputError, KmcError
from kmc.model.ase_calculator import reference_energies, same_energies
from kmc.model.ase_configurations import (
    CHANGES,
    CLUSTERS,
    FACES,
    MAX_STRAIN,
    SADDLES,
    SOLUTE,
    AseSettings,
    changed,
    check_sites,
    check_slab,
    held_axes,
    hold,
    lattice_of_slab,
    layers_of,
    sites_of_bulk,
    sites_of_slab,
)
from kmc.model.ase_files import DamagedFileError, damaged, read_kept
from kmc.model.dft_clusters import PATCH, SURFACE
from kmc.model.dft_energies import QUANTITIES_OF, quantities_of

_ROUGH_eV_A = 0.1  # forces left on a band before its highest image climbs
_STIFFNESS_eV_A2 = 20.0  # of LBFGS before it has learnt one; ASE's 70 takes twice the steps in Li
_VACUUM_A = 16.0  # from the last layer of (100) to where the next one of its image would be
_PROBE_A = 0.02  # shift along the band by which a saddle is distinguished from a minimum
_SAVE_s = 5.0  # between two copies of an unfinished configuration
_UNFINISHED = ".unfinished.extxyz"  # end of their names
_NEEDED = ("bulk", "bulk_vacancy")  # without them there is no parameter set
_SAME_ENDS_eV = 0.005  # ends of a hop whose energies differ by less are one minimum twice


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
        # What is left out, and why: configurations in the order of their computation.
        self.missing: dict[str, KmcError] = {}
        if os.path.lexists(folder):
            check_contents(folder)
        check_slab(slab, settings)
        held = held_axes(slab)
        hold(self.slab, held)
        # Energies of two calculations do not belong in one difference: what is kept must fit.
        parts = [self.slab.positions, self.slab.cell.array, self.slab.numbers]
        parts += [held.astype(int)] if held.any() else []
        key = hashlib.sha256(b"".join(np.round(p, 6).tobytes() for p in parts)).hexdigest()[:16]
        mine = json.loads(json.dumps({"slab": key, "calculator": name} | asdict(settings)))
        self.report(0.0, f"{name}, reference")
        asked = (settings.metal, lattice_of_slab(slab, settings), calculator, name, settings.relax)
        reference = reference_energies(slab, *asked)
        self._record = json.dumps(mine | {"reference_eV": reference}, indent=1)
        if theirs := self._json("settings.json"):
            if not isinstance(theirs, dict):
                raise damaged(folder / "settings.json", "it holds no settings")
            free = ("cells", "repeats", "max_steps", "clusters")
            differ = [k for k in mine if k not in free and mine[k] != theirs.get(k)]
            kept = theirs.get("reference_eV", reference)  # earlier versions wrote none
            if not same_energies(reference, kept):
                text = f"energy of the slab and of disordered {settings.metal}"
                differ.append(f"{text} (now {reference} eV an atom, then {kept})")
            if differ:
                raise InputError(
                    f"{self.folder} holds configurations with another {', '.join(differ)}",
                    advice="Remove the folder to compute them anew, or give another output.",
                )

    def names(self) -> list[str]:
        """Every configuration that is needed, as NAME-SIZE, smaller sizes first."""
        s = self.settings
        names = [name for name in CHANGES if s.clusters or name not in CLUSTERS]
        chosen = [name for name in names if s.solute or SOLUTE not in CHANGES[name].values()]
        if s.relax:
            chosen += [n for n, (start, *_) in SADDLES.items() if start in chosen]
        configurations = []
        for name in chosen:
            sizes = s.cells if name.startswith("bulk") else s.repeats
            # The costly ones in the largest size only; but barriers in the bulk depend on it.
            once = name in SADDLES or name in CLUSTERS or SOLUTE in CHANGES[name].values()
            once = once and name != "bulk_hop_saddle"
            configurations += [f"{name}-{size}" for size in sizes if not once or size == sizes[-1]]
        return configurations

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
            try:
                self.get(name)
            except KmcError as problem:
                if name.partition("-")[0] in _NEEDED or isinstance(problem, DamagedFileError):
                    raise
                # What follows from the others is worth having, and this may be no fault of theirs.
                self.missing[name] = problem
        self.report(1.0, "done")
        s = self.settings
        last = self._of_sizes(s.cells[-1], s.repeats[-1])
        quantities = quantities_of(last)
        with warnings.catch_warnings():  # what is wrong with the last size is known
            warnings.simplefilter("ignore")
            before = [quantities_of(self._of_sizes(c, s.repeats[-1])) for c in s.cells[-2:-1]]
            wider = [quantities_of(self._of_sizes(s.cells[-1], r)) for r in s.repeats[-2:-1]]
        for key, entry in quantities.items():
            entry["note"] = self._note(key, entry, before, wider)
        return quantities

    def _of_sizes(self, cells: int, repeat: int) -> dict[str, Any]:
        sizes = (cells, repeat)
        names = {n.partition("-")[0] for n in self.names()} - {"interface_hop_saddle"}
        wanted = {n: f"{n}-{sizes[not n.startswith('bulk')]}" for n in names}
        whole = set(self.names()) - set(self.missing)
        return {n: self.get(full) for n, full in wanted.items() if full in whole}

    def missing_quantities(self) -> dict[str, str]:
        """Quantities that do not follow as a configuration of theirs failed, and why."""
        failed = {name.rpartition("-")[0]: problem for name, problem in self.missing.items()}
        of_pairs = [n for n in failed if n.endswith(("vacancies_shell1", "vacancies_shell2"))]
        needed = {key: [d.end, d.start] for key, d in QUANTITIES_OF.items()}
        needed["second_shell_ratio"] = of_pairs
        needed |= {"coordination_curvature_eV": [SURFACE], "bond_L1_vacancies_eV": [PATCH]}
        reasons = {key: [failed[n] for n in names if n in failed] for key, names in needed.items()}
        return {key: problems[0].message for key, problems in reasons.items() if problems}

    def _note(self, key: str, entry: dict, before: list, wider: list) -> str:
        """Configurations, calculator and what the number is uncertain by."""
        s = self.settings
        parts = [entry["note"].rstrip("."), self.name]
        if key == "lattice_parameter_A":
            return f"{'; '.join(parts)}."
        left = max(a.info.get("fmax_eV_A", 0.0) for a in self._known.values())
        parts.append(f"forces of at most {left:.2g} eV/Å" if s.relax else "not relaxed")
        for noun, sizes, others in (("cells", s.cells, before), ("repeats", s.repeats, wider)):
            for other in others:
                if key in other and (change := entry["value"] - other[key]["value"]):
                    text = f"{change:+.4f} from {sizes[-2]} to {sizes[-1]} {noun}"
                    parts.append(text)
        if key == "formation_energy_L1_eV":
            parts.append(f"{round(100 * self.strain, 1) + 0.0:+.1f} % strain of the slab's metal")
        hop = f"interface_hop_saddle-{s.repeats[-1]}"
        if key == "barrier_Li_eV" and hop in self._known:
            text = f"the saddle between L1 and L2 lies {self.barrier_L1_L2_eV:.4f} eV above "
            text += "the mean of its ends, for which the model takes this barrier"
            if self._known[hop].info.get("no_saddle"):
                # That of the model is the higher end, too, where E0 + ΔE/2 lies below it.
                text = "there is no saddle between L1 and L2: the path ends at its highest point, "
                text += f"{self.barrier_L1_L2_eV:.4f} eV above the mean of its ends"
                # A vacancy that is held in L2 by symmetry alone, and relaxes on from a hop.
                alone = self.get(f"interface_vacancy_L2-{s.repeats[-1]}").get_potential_energy()
                below = float(alone - self._known[hop].get_potential_energy())
                if abs(below) > _SAME_ENDS_eV:
                    text += f", {below:.4f} eV below a vacancy in L2 that did not hop there"
            parts.append(text)
        elif key == "barrier_Li_eV" and hop in self.missing:
            parts.append(f"not computed between L1 and L2: {self.missing[hop].message}")
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
        edges = self.slab.cell.array[:2]
        area = np.linalg.norm(np.cross(*edges)) / len(self.layers[0])
        return float(math.sqrt(area / (FACES[self.settings.lattice][1] * self.lattice_A**2)) - 1)

    @cached_property
    def layers(self) -> list[list[int]]:
        """Atoms of the slab by layer of the metal, L1 first (`layers_of`)."""
        return layers_of(self.slab, self.settings, self.lattice_A)

    @cached_property
    def lattice_A(self) -> float:
        """Edge of the bcc cell with the least energy, from cells around that of the slab."""
        from ase.build import bulk

        metal = self.settings.metal
        start = lattice_of_slab(self.slab, self.settings)
        if (kept := self._json("lattice_A.json")) is not None:
            if not isinstance(kept, float) or not 0.85 * start < kept < 1.15 * start:
                raise damaged(self.folder / "lattice_A.json", f"{kept!r} is no lattice parameter")
            return kept

        def energy(a: float) -> float:
            atoms = bulk(metal, "bcc", a=a, cubic=True).repeat(2)
            atoms.calc = self.calculator
            self.report(self._share, f"lattice parameter, {a:.3f} Å")
            return float(atoms.get_potential_energy())

        least = scipy.optimize.minimize_scalar(
            energy, bounds=(0.85 * start, 1.15 * start), method="bounded", options={"xatol": 1e-5}
        )
        if not 0.86 * start < least.x < 1.14 * start:
            raise InputError(
                f"{self.name} has no bcc {metal} with a lattice parameter near the slab's, "
                f"{start:.2f} Å",
                advice="Relax the slab with the same calculator first, or use another calculator.",
            )
        self._write("lattice_A.json", json.dumps(float(least.x)))
        return float(least.x)

    # --- the folder -------------------------------------------------------------------------------

    def get(self, name: str) -> Any:
        """A configuration NAME-SIZE with its energy: known, kept in the folder, or computed.

        Raises `InputError`: it does not relax, or relaxes into another.
        """
        if name in self.missing:
            raise self.missing[name]
        if name not in self._known:
            stem, _, size = name.partition("-")
            make = self._saddle if stem in SADDLES else self._minimum
            try:
                self._known[name] = self._kept(name, lambda: make(stem, int(size)))
            except (KmcError, OSError, MemoryError):
                raise
            except Exception as problem:  # calculators raise errors of their own
                raise InputError(
                    f"calculator {self.name} fails at configuration {name}: "
                    f"{type(problem).__name__}: {problem}",
                    advice="What is finished is kept; the same command goes on.",
                ) from problem
        return self._known[name]

    def _kept(self, name: str, make: Callable[[], Any]) -> Any:
        """A configuration of the folder, or made and put there."""
        path = self.folder / f"{name}.extxyz"
        if not os.path.lexists(path):
            self.report(self._share, name)
            self._write(path.name, make())
            for old in self.folder.glob(f"{name}*{_UNFINISHED}"):
                old.unlink()
        atoms = read_kept(path)[-1]
        force = atoms.info.get("fmax_eV_A", 0.0)
        energy = atoms.calc and atoms.calc.results.get("energy")
        if not all(isinstance(n, float) and math.isfinite(n) for n in (force, energy)):
            raise damaged(path, "it has no energy, or no fmax_eV_A")
        return atoms

    def _json(self, file: str) -> Any:
        """What a small file of the folder holds; None where there is none."""
        path = self.folder / file
        return read_json(path) if os.path.lexists(path) else None

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
        path = self.folder / f"{name}{_UNFINISHED}"
        if not os.path.lexists(path):
            return False
        left = read_kept(path)
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
        if stem == SURFACE:
            slab = bulk(s.metal, "bcc", a=self.lattice_A, cubic=True).repeat((1, 1, 6))
            slab.center(_VACUUM_A / 2 + self.lattice_A / 4, axis=2)
            return self._relaxed(name, slab)
        perfect, sites = self._base(stem, size)
        if missing := set(CHANGES[stem]) - set(sites):
            raise InputError(
                f"L1 of the slab has no room for {', '.join(sorted(missing))} of {name}",
                advice="It needs nine sites: a wider slab, or more --repeat.",
            )
        atoms, own = changed(stem, perfect, sites, s.solute)
        return self._relaxed(name, atoms, perfect, own)

    def _base(self, stem: str, size: int) -> tuple[Any, dict[str, int]]:
        """The perfect bulk or slab of a configuration, and the atoms on the sites it names."""
        if stem.startswith("bulk"):
            perfect = self.get(f"bulk-{size}")
            return perfect, sites_of_bulk(perfect, self.lattice_A)
        perfect = self.get(f"interface-{size}")
        # An atom stays of its layer, however far the interface relaxes; so do those of repeats.
        repeats = range(0, len(perfect), len(self.slab))
        first, above = ([i + n for n in repeats for i in layer] for layer in self.layers[:2])
        middle = self.slab.cell.array[:2, :2].sum(axis=0) / 2
        here = self.settings.site
        if here is None:  # of the first repeat, nearest to its middle
            one = perfect.positions[self.layers[0], :2]
            here = self.layers[0][int(np.hypot(*(one - middle).T).argmin())]
        return perfect, sites_of_slab(perfect, first, above, here)

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

    def _finished(self, atoms: Any) -> Any:
        from ase.calculators.singlepoint import SinglePointCalculator

        results = {"energy": atoms.get_potential_energy()}
        if self.settings.relax:
            results["forces"] = atoms.get_forces()
            atoms.info["fmax_eV_A"] = float(np.sqrt((results["forces"] ** 2).sum(axis=1).max()))
        atoms.calc = SinglePointCalculator(atoms, **results)
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
            neb.interpolate(mic=True, apply_constraint=False)  # what is fixed is so in both ends
        for image in band[1:-1]:
            image.calc = self.calculator
        # The residual of a band is the largest component of a force, not the largest force.
        fine = self.settings.fmax_eV_A / math.sqrt(3)
        ends = [one.get_potential_energy() for one in (start, end)]
        # Downhill all the way, as a vacancy of L2 may fall into L1 of a free surface: the barrier
        # is the energy of the higher end, which max(E0 + ΔE/2, ΔE, 0) of the model has as well.
        downhill = whole and name.startswith("interface") and abs(ends[1] - ends[0]) > _SAME_ENDS_eV
        try:
            for neb.climb, most in ((False, max(_ROUGH_eV_A, 5 * fine)), (True, fine)):
                self._converge(name, NEBOptimizer(neb, logfile=None), band, most)
        except KmcError:  # an image that climbs to an end never rests
            if not downhill or max(neb.energies[1:-1]) >= max(ends):
                raise
        top = 1 + int(np.argmax(neb.energies[1:-1]))
        if downhill and neb.energies[top] < max(ends):
            higher = (start, end)[int(np.argmax(ends))]
            higher.info["no_saddle"] = True
            return higher
        highest, sides = band[top], band[top + 1].positions - band[top - 1].positions
        tangent = find_mic(sides, highest.cell, highest.pbc)[0]
        tangent /= np.linalg.norm(tangent)
        probe, push = highest.copy(), []
        probe.calc = self.calculator
        for shift in (-_PROBE_A, _PROBE_A):
            probe.positions = highest.positions + shift * tangent
            push.append(float((probe.get_forces() * tangent).sum()))
        if neb.energies[top] >= max(ends):
            if push[1] > push[0]:  # forces drive away from a saddle on both sides
                return self._finished(highest)
            if whole:
                # A minimum between the ends: two hops, of which the higher saddle counts.
                part = f"{name}_middle"
                middle = self._kept(part, lambda: self._relaxed(part, highest.copy()))
                halves = ((f"{name}_first", start, middle), (f"{name}_second", middle, end))
                tops = [self._top(half, one, other, whole=False) for half, one, other in halves]
                return max(tops, key=lambda atoms: atoms.get_potential_energy())
        raise InputError(
            f"configuration {name} is no saddle: the band has no highest point between its ends",
            advice="The calculator has no barrier for this hop: is bcc stable with it? "
            "Look at the configurations that are kept, or use another calculator.",
        )
