"""Energies of named configurations from an ASE calculator, for a parameter set of one's own.

Vacancies in the bulk and in the first two layers of a slab, pairs of vacancies, a solute beside
them, and the saddles of hops by nudged elastic bands with a climbing image (G. Henkelman,
B. P. Uberuaga and H. Jónsson, J. Chem. Phys. 113, 9901 (2000), doi:10.1063/1.1329672). Each
configuration is relaxed, compared with the sites it should have, and kept in a folder, so that an
interrupted calculation goes on where it was. `kmc.model.dft_energies` makes quantities of them.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from kmc.common.metals import METALS
from kmc.common.outputs import replacing
from kmc.errors import InputError, KmcError
from kmc.model.dft_energies import quantities_of

# Distance of atomic layers and area of a site of one, in units of a and a², by face.
_FACES = {
    "bcc_100": (1 / 2, 1.0),
    "bcc_110": (1 / math.sqrt(2), 1 / math.sqrt(2)),
    "bcc_111": (1 / math.sqrt(12), math.sqrt(3)),
}
_MAX_STRAIN = 0.1  # along the interface; the wrong face shows 12 % and more
_MIN_LAYERS = 5  # L1, L2, and three that hold them as the bulk would
SADDLES = {  # saddle: configuration before the hop, and the sites that the atom leaves and takes
    "bulk_hop_saddle": ("bulk_vacancy", "first", "here"),
    "bulk_Mg_hop_saddle": ("bulk_Mg_vacancy_shell1", "here", "first"),
    "bulk_Li_hop_near_Mg_saddle": ("bulk_Mg_vacancy_shell1", "second", "first"),
    "interface_hop_saddle": ("interface_vacancy_L1", "L2", "L1"),
}
_SOLUTE, _VACANCY = "solute", ""
_QUIET: Any = {"logfile": None}
# Configuration: what stands on sites of the perfect bulk or slab instead of the metal.
CHANGES = {
    "bulk": {},
    "bulk_vacancy": {"here": _VACANCY},
    "bulk_two_vacancies_shell1": {"here": _VACANCY, "first": _VACANCY},
    "bulk_two_vacancies_shell2": {"here": _VACANCY, "second": _VACANCY},
    "bulk_Mg": {"here": _SOLUTE},
    "bulk_Mg_vacancy_shell1": {"here": _SOLUTE, "first": _VACANCY},
    "bulk_Mg_vacancy_shell2": {"here": _SOLUTE, "second": _VACANCY},
    "bulk_Mg_vacancy_shell3": {"here": _SOLUTE, "third": _VACANCY},
    "interface": {},
    "interface_vacancy_L1": {"L1": _VACANCY},
    "interface_vacancy_L2": {"L2": _VACANCY},
    "interface_vacancy_L1_Mg_L2": {"L1": _VACANCY, "L2": _SOLUTE},
    "filled_by_Li_near_Mg": {"L2": _SOLUTE, "L2b": _VACANCY},
    "filled_by_Mg": {"L1": _SOLUTE, "L2": _VACANCY},
}


@dataclass(frozen=True)
class Settings:
    """What is computed, and how well.

    Attributes
    ----------
    metal, solute : str
        Symbols; no solute by default.
    lattice : str
        Face of the metal at the interface.
    cells : tuple of int
        Edges of the bulk's supercells in cubic cells, the last one for the result.
    repeats : tuple of int
        Repeats of the slab along both directions of the interface, the last one for the result.
    fmax_eV_A : float
        Largest force that is left on an atom.
    images : int
        Images of a band between its ends.
    max_steps : int
        Steps of a relaxation at most.
    metal_range_A : tuple of float, optional
        Heights between which an atom of the metal's element belongs to the metal.
    site : int, optional
        Atom of the slab whose place in L1 becomes vacant; the one nearest the middle by default.
    relax : bool
        False for energies of atoms on their perfect places, without barriers.
    """

    metal: str = "Li"
    solute: str = ""
    lattice: str = "bcc_100"
    cells: tuple[int, ...] = (3, 4)
    repeats: tuple[int, ...] = (1, 2)
    fmax_eV_A: float = 0.01
    images: int = 5
    max_steps: int = 500
    metal_range_A: tuple[float, float] | None = None
    site: int | None = None
    relax: bool = True


class Configurations:
    """Configurations of one metal and one slab, computed when asked for.

    Parameters
    ----------
    slab : ase.Atoms
        Metal on its electrolyte, the normal along z; or metal alone, whose lower side is taken.
    calculator : ASE calculator
    name : str
        Of the calculator, for notes.
    settings : Settings
    folder : Path
        Where finished configurations are kept.
    tell : callable, optional
        Called with the share that is done (0 to 1) and a line of text.
    """

    def __init__(
        self,
        slab: Any,
        calculator: Any,
        name: str,
        settings: Settings,
        folder: Path,
        tell: Callable[[float, str], None] | None = None,
    ):
        self.slab, self.calculator, self.name = slab, calculator, name
        self.settings, self.folder, self.tell = settings, folder, tell or (lambda done, text: None)
        self._known: dict[str, Any] = {}
        self._share = 0.0
        _check(slab, settings)
        self._check_folder()

    def _check_folder(self) -> None:
        """Check that what is kept there belongs to the same calculation."""
        parts = (self.slab.positions, self.slab.cell.array, self.slab.numbers)
        key = hashlib.sha256(b"".join(np.round(p, 6).tobytes() for p in parts)).hexdigest()[:16]
        mine = json.loads(
            json.dumps({"slab": key, "calculator": self.name} | asdict(self.settings))
        )
        record = self.folder / "settings.json"
        if record.is_file():
            theirs = json.loads(record.read_text(encoding="utf-8"))
            differ = [k for k in mine if k not in ("cells", "repeats") and mine[k] != theirs.get(k)]
            if differ:
                raise InputError(
                    f"{self.folder} holds configurations with another {', '.join(differ)}",
                    advice="Remove the folder to compute them anew, or give another output.",
                )
        self._record = json.dumps(mine, indent=1)

    def names(self) -> list[str]:
        """Every configuration that is needed, as NAME-SIZE, smaller sizes first."""
        s = self.settings
        chosen = [name for name in CHANGES if s.solute or _SOLUTE not in CHANGES[name].values()]
        if s.relax:
            chosen += [n for n, (start, *_) in SADDLES.items() if start in chosen]
        found = []
        for name in chosen:
            sizes = s.cells if name.startswith("bulk") else s.repeats
            # The costly ones in the largest size only; but barriers in the bulk depend on it.
            once = name in SADDLES or _SOLUTE in CHANGES[name].values()
            once = once and name != "bulk_hop_saddle"
            found += [f"{name}-{size}" for size in sizes if not once or size == sizes[-1]]
        return found

    def run(self) -> dict[str, dict[str, Any]]:
        """Compute everything, and return the quantities that follow, each with value and note."""
        names = self.names()
        if abs(self.strain) > _MAX_STRAIN:
            raise InputError(
                f"an atom of L1 has {100 * self.strain:+.0f} % of strain along the interface "
                f"against {self.settings.lattice} with a = {self.lattice_A:.3f} Å",
                advice="Name the face of the slab with --lattice, or match the slab to its metal.",
            )
        for done, name in enumerate(names):
            self._share = done / len(names)
            self.get(name)
        self.tell(1.0, "done")
        s = self.settings
        last = self._of_sizes(s.cells[-1], s.repeats[-1])
        found = quantities_of(last)
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
        cell = self.slab.cell.array
        area = np.linalg.norm(np.cross(cell[0], cell[1])) / len(self._layers(self.slab)[0])
        return float(math.sqrt(area / (_FACES[self.settings.lattice][1] * self.lattice_A**2)) - 1)

    # --- one configuration ------------------------------------------------------------------------

    def get(self, name: str) -> Any:
        """A configuration NAME-SIZE with its energy: known, kept in the folder, or computed.

        Raises
        ------
        InputError
            It does not relax, or relaxes into another.
        """
        if name not in self._known:
            from ase.io import read, write

            path = self.folder / f"{name}.extxyz"
            if not path.is_file():
                self.tell(self._share, name)
                stem, _, size = name.partition("-")
                make = self._saddle if stem in SADDLES else self._minimum
                atoms = make(stem, int(size))
                self.folder.mkdir(parents=True, exist_ok=True)
                (self.folder / "settings.json").write_text(self._record, encoding="utf-8")
                with replacing(path) as draft:
                    write(draft, atoms, format="extxyz")
            self._known[name] = read(path, format="extxyz")
        return self._known[name]

    def _minimum(self, stem: str, size: int) -> Any:
        if stem in ("bulk", "interface"):
            atoms, own = self._perfect(stem, size), None
        else:
            perfect, sites = self._base(stem, size)
            atoms, own = perfect.copy(), np.arange(len(perfect))
            changed = {sites[place]: what for place, what in CHANGES[stem].items()}
            for site, what in changed.items():
                if what:
                    atoms[site].symbol = self.settings.solute
            gone = sorted(site for site, what in changed.items() if not what)
            del atoms[gone]
            own = np.delete(own, gone)
            return self._relaxed(f"{stem}-{size}", atoms, perfect, own)
        return self._relaxed(f"{stem}-{size}", atoms)

    def _perfect(self, stem: str, size: int) -> Any:
        from ase.build import bulk

        if stem == "interface":
            return self.slab.repeat((size, size, 1))
        return bulk(self.settings.metal, "bcc", a=self.lattice_A, cubic=True).repeat(size)

    def _base(self, stem: str, size: int) -> tuple[Any, dict[str, int]]:
        """The perfect bulk or slab of a configuration, and the atoms on the sites it names."""
        kind = "bulk" if stem.startswith("bulk") else "interface"
        perfect = self.get(f"{kind}-{size}")
        if kind == "bulk":
            away = {"here": (0, 0, 0), "first": (0.5, 0.5, 0.5), "second": (1, 0, 0)}
            away["third"] = (1, 1, 0)
            shifts = {place: np.array(shift) * self.lattice_A for place, shift in away.items()}
            return perfect, {p: _nearest(perfect, s) for p, s in shifts.items()}
        first, second = self._layers(perfect)
        middle = self.slab.cell.array[:2].sum(axis=0) / 2
        here = self.settings.site
        if here is None:
            mine = [i for i in first if i < len(self.slab)]
            here = min(mine, key=lambda i: np.hypot(*(perfect.positions[i] - middle)[:2]))
        away = perfect.get_distances(here, second, mic=True)
        above = [second[i] for i in np.argsort(away, kind="stable")]
        beside = above[0]
        apart = perfect.get_distances(beside, above[1:4], mic=True)
        return perfect, {"L1": here, "L2": beside, "L2b": above[1 + int(np.argmin(apart))]}

    def _layers(self, slab: Any) -> tuple[list[int], list[int]]:
        """Atoms of L1 and L2."""
        return layers_of(slab, self.settings, self.lattice_A)[:2]  # type: ignore[return-value]

    @cached_property
    def lattice_A(self) -> float:
        """Edge of the bcc cell with the least energy, from cells around that of the slab."""
        from ase.build import bulk
        from scipy.optimize import minimize_scalar

        record = self.folder / "lattice_A.json"
        if record.is_file():
            return float(json.loads(record.read_text(encoding="utf-8")))
        metal = self.settings.metal
        start = _lattice_of_slab(self.slab, metal)

        def energy(a: float) -> float:
            atoms = bulk(metal, "bcc", a=a, cubic=True).repeat(2)
            atoms.calc = self.calculator
            self.tell(self._share, f"lattice parameter, {a:.3f} Å")
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
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "settings.json").write_text(self._record, encoding="utf-8")
        record.write_text(json.dumps(float(found.x)), encoding="utf-8")
        return float(found.x)

    def _relaxed(self, name: str, atoms: Any, perfect: Any = None, own: Any = None) -> Any:
        """Relax a configuration in place and check that every atom kept its site."""
        from ase.optimize import LBFGS

        atoms.calc = self.calculator
        if self.settings.relax:
            try:
                self._converge(name, LBFGS(atoms, **_QUIET), self.settings.max_steps)
            except KmcError:  # that an atom left its site is the reason to name
                if perfect is not None:
                    check_sites(name, atoms, perfect, own)
                raise
        if perfect is not None:
            check_sites(name, atoms, perfect, own)
        return self._finished(atoms)

    def _converge(self, name: str, optimizer: Any, steps: int, fmax: float | None = None) -> None:
        """Run an optimizer with progress; a calculation that does not end is refused."""
        fmax = fmax or self.settings.fmax_eV_A
        done = False
        for step, done in enumerate(optimizer.irun(fmax=fmax, steps=steps)):  # noqa: B007
            self.tell(self._share, f"{name}, step {step}")
        if not done:
            raise KmcError(
                f"configuration {name} did not relax to {fmax:g} eV/Å in {steps} steps",
                advice="Raise --steps or --fmax; what is finished is kept.",
            )

    @staticmethod
    def _finished(atoms: Any) -> Any:
        from ase.calculators.singlepoint import SinglePointCalculator

        energy, forces = atoms.get_potential_energy(), atoms.get_forces()
        atoms.calc = SinglePointCalculator(atoms, energy=energy, forces=forces)
        atoms.info["fmax_eV_A"] = float(np.sqrt((forces**2).sum(axis=1).max()))
        return atoms

    def _saddle(self, stem: str, size: int) -> Any:
        """The highest image of a band between two minima."""
        from ase.mep import NEB
        from ase.optimize import FIRE

        before, leaves, takes = SADDLES[stem]
        perfect, sites = self._base(stem, size)
        start = self.get(f"{before}-{size}")
        changes = CHANGES[before]
        gone = sorted(sites[place] for place, what in changes.items() if not what)
        own = np.delete(np.arange(len(perfect)), gone)
        moving = int(np.flatnonzero(own == sites[leaves])[0])
        end, own = start.copy(), own.copy()
        end.positions[moving] = perfect.positions[sites[takes]]
        own[moving] = sites[takes]
        end = self._relaxed(f"{stem}_end-{size}", end, perfect, own)
        band = [start] + [start.copy() for _ in range(self.settings.images)] + [end]
        for image in band[1:-1]:
            image.calc = self.calculator
        neb = NEB(band, climb=False, allow_shared_calculator=True, method="improvedtangent")
        neb.interpolate(mic=True)
        name, steps, fmax = f"{stem}-{size}", self.settings.max_steps, self.settings.fmax_eV_A
        self._converge(name, FIRE(neb, **_QUIET), steps, max(0.1, 5 * fmax))
        neb.climb = True
        self._converge(name, FIRE(neb, **_QUIET), steps)
        saddle = max(band[1:-1], key=lambda image: image.get_potential_energy())
        found = self._finished(saddle)
        if found.get_potential_energy() < max(a.get_potential_energy() for a in (start, end)):
            raise InputError(
                f"configuration {name} is no saddle: the band falls from one of its ends",
                advice="The calculator has no barrier for this hop: is bcc stable with it? "
                "Look at the configurations that are kept, or use another calculator.",
            )
        return found


def _check(slab: Any, settings: Settings) -> None:
    for value, allowed, name in (
        (settings.metal, METALS, "metal"),
        (settings.solute, ("", "Mg"), "solute"),
        (settings.lattice, _FACES, "lattice"),
    ):
        if value not in allowed:
            listed = ", ".join(filter(None, allowed))
            raise InputError(f"{name} {value!r} is not known", advice=f"Use one of: {listed}.")
    if min((*settings.cells, *settings.repeats)) < 1 or min(settings.cells) < 2:
        raise InputError("cells must be 2 or more, repeats 1 or more")
    if np.abs(slab.cell.array[:2, 2]).max() > 1e-6 * np.abs(slab.cell.array).max():
        raise InputError(
            "the first two axes of the slab's cell are not in the plane z = 0",
            advice="Turn the slab so that the interface is normal to z.",
        )


def layers_of(slab: Any, settings: Settings, lattice_A: float) -> list[list[int]]:
    """Atoms of each layer of the metal, from the electrolyte up.

    Raises
    ------
    InputError
        There are too few layers, or L1 and L2 have not the same number of atoms.
    """
    z, symbols = slab.positions[:, 2], np.array(slab.get_chemical_symbols())
    metal = symbols == settings.metal
    others = z[~metal & (symbols != settings.solute)]
    side = -1 if others.size and z[metal].mean() < others.mean() else 1
    if settings.metal_range_A is not None:
        low, high = settings.metal_range_A
        metal &= (z >= low) & (z <= high)
    elif others.size:
        metal &= side * z > (side * others).max()
    mine = np.flatnonzero(metal | (symbols == settings.solute))
    mine = mine[np.argsort(side * z[mine], kind="stable")]
    gaps = np.diff(side * z[mine]) > 0.5 * _FACES[settings.lattice][0] * lattice_A
    layers = [list(map(int, part)) for part in np.split(mine, np.flatnonzero(gaps) + 1)]
    counts = [len(layer) for layer in layers]
    if len(layers) < _MIN_LAYERS or counts[0] != counts[1]:
        raise InputError(
            f"the {settings.metal} of the slab beyond its electrolyte lies in layers of "
            f"{', '.join(map(str, counts[:8]))} atoms",
            advice=f"It needs at least {_MIN_LAYERS} layers, as many atoms in L1 as in L2, and the "
            "face that --lattice names; --metal-range gives the heights where the metal is.",
        )
    return layers


def check_sites(name: str, atoms: Any, perfect: Any, own: np.ndarray) -> None:
    """Check that each atom is nearest to its own site.

    Parameters
    ----------
    atoms : ase.Atoms
    perfect : ase.Atoms
        Every site.
    own : array of int
        Site of each atom.

    Raises
    ------
    InputError
        An atom took another site: the configuration relaxed into another one.
    """
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


def _nearest(atoms: Any, shift_A: np.ndarray) -> int:
    """Atom at a shift from atom 0."""
    from ase.geometry import get_distances

    place = atoms.positions[:1] + shift_A
    return int(get_distances(place, atoms.positions, atoms.cell, atoms.pbc)[1][0].argmin())


def _lattice_of_slab(slab: Any, metal: str) -> float:
    """a from the median distance of nearest neighbours among the metal's atoms."""
    mine = slab[[symbol == metal for symbol in slab.get_chemical_symbols()]]
    if len(mine) < 2 * _MIN_LAYERS:
        raise InputError(
            f"the slab holds {len(mine)} atoms of {metal}",
            advice="Name its metal with --metal; a slab needs some tens of atoms.",
        )
    away = mine.get_all_distances(mic=True)
    np.fill_diagonal(away, np.inf)
    return float(2 * np.median(away.min(axis=1)) / math.sqrt(3))


def load_calculator(spec: str) -> Any:
    """An ASE calculator by its name in ASE, or as MODULE:OBJECT.

    Parameters
    ----------
    spec : str
        ``emt``, ``lj`` … of ASE, made without arguments; or an object of an importable module, a
        file of the current folder among them: a calculator, or what returns one when called.

    Raises
    ------
    InputError
        There is no such calculator, or it cannot be made.
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
