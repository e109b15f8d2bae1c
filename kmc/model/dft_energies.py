"""Quantities of a parameter set from the total energies of named DFT configurations.

A configuration is an ``ase.Atoms`` with an energy, an entry of pymatgen (``ComputedEntry``,
``ComputedStructureEntry``), or a pair of an energy in eV and the atoms by element, such as
``(-101.2, {"Li": 53})``. Which energies are needed for which quantity stands in `QUANTITIES_OF`;
what cannot be computed is left to the set that the new one is based on.

A removed atom goes to the bulk: E_f = E(vacancy) − E(perfect) + E(bulk)/N(bulk), the definition of
the sets that come with kmc (docs/model/energy.md).
"""

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from kmc.common.catalogue import nearest, read_toml
from kmc.common.metals import METALS
from kmc.common.tables import read_table
from kmc.errors import InputError, KmcWarning
from kmc.model.ase_files import check_bcc, check_converged, energy_keys, of_file, read_structure
from kmc.model.dft_clusters import PATCH, SINGLES, SURFACE, of_patch, of_surface
from kmc.model.parameter_file import write_parameters
from kmc.model.parameters import ParameterSet
from kmc.model.quantities import QUANTITIES

_SAME_VOLUME = 0.02  # a vacancy in 54 atoms shrinks its cell by 0.6 %
_PAIRS = ("bulk_two_vacancies_shell1", "bulk_two_vacancies_shell2")


class Difference(NamedTuple):
    """A quantity as the energy of one configuration less that of another."""

    # end, start: configurations
    end: str
    start: str
    # atoms of the metal that `end` lacks; they count with their energy in the bulk
    removed: int = 0
    parts: int = 1  # of which the quantity is the energy of one


QUANTITIES_OF = {
    "formation_energy_bulk_eV": Difference("bulk_vacancy", "bulk", 1),
    "barrier_Li_eV": Difference("bulk_hop_saddle", "bulk_vacancy"),
    "formation_energy_L1_eV": Difference("interface_vacancy_L1", "interface", 1),
    "formation_energy_L1_to_L2_eV": Difference("interface_vacancy_L2", "interface_vacancy_L1"),
    "formation_energy_Mg_shell1_eV": Difference("bulk_Mg_vacancy_shell1", "bulk_Mg", 1),
    "formation_energy_Mg_shell2_eV": Difference("bulk_Mg_vacancy_shell2", "bulk_Mg", 1),
    "formation_energy_Mg_shell3_eV": Difference("bulk_Mg_vacancy_shell3", "bulk_Mg", 1),
    "barrier_Mg_eV": Difference("bulk_Mg_hop_saddle", "bulk_Mg_vacancy_shell1"),
    "barrier_Li_near_Mg_eV": Difference("bulk_Li_hop_near_Mg_saddle", "bulk_Mg_vacancy_shell1"),
    "fill_Li_near_Mg_eV": Difference("filled_by_Li_near_Mg", "interface_vacancy_L1_Mg_L2"),
    "fill_Mg_near_Mg_eV": Difference("filled_by_Mg", "interface_vacancy_L1_Mg_L2"),
    "fill_Li_far_from_Mg_eV": Difference("filled_by_Li_far_from_Mg", "interface_vacancy_L1_Mg_L2"),
} | {
    f"formation_energy_pair_shell{n}_eV": Difference(f"bulk_two_vacancies_shell{n}", "bulk", 2, 2)
    for n in range(1, 6)
}
CONFIGURATIONS = tuple(
    dict.fromkeys(
        [n for d in QUANTITIES_OF.values() for n in (d.end, d.start)] + [SURFACE, *SINGLES, PATCH]
    )
)


class DFTEnergy(NamedTuple):
    """Energy in eV, atoms by element, and volume in Å³ (None where it is not known)."""

    energy_eV: float
    atoms: dict[str, int]
    volume_A3: float | None


def configuration(name: str, given: Any) -> DFTEnergy:
    """A configuration from an object of ASE or pymatgen, or from a pair.

    Raises `InputError`: it has no energy, or no atoms.
    """
    volume = None
    try:
        if hasattr(given, "get_potential_energy"):
            symbols = given.get_chemical_symbols()
            energy, atoms = given.get_potential_energy(), {s: symbols.count(s) for s in symbols}
            volume = float(given.get_volume()) if all(given.pbc) else None
        elif hasattr(given, "composition"):
            energy, atoms = given.energy, given.composition.get_el_amt_dict()
            structure = getattr(given, "structure", None)
            volume = None if structure is None else float(structure.volume)
        else:
            energy, atoms = given
        energy = float(energy)
        atoms = {str(element): round(float(n)) for element, n in dict(atoms).items()}
    except Exception as problem:  # calculators raise errors of their own
        raise InputError(
            f"configuration {name!r}{of_file(given)} has no energy and atoms: {problem}"
            f"{energy_keys(given)}",
            advice="Give an ase.Atoms with its energy, an entry of pymatgen, or a pair such as "
            '(-101.2, {"Li": 53}).',
        ) from None
    if not (np.isfinite(energy) and sum(atoms.values()) > 0):
        text = f"configuration {name!r}{of_file(given)} has the energy {energy} and atoms {atoms}"
        raise InputError(text, advice="Compute it again, or leave it out.")
    return DFTEnergy(energy, atoms, volume)


def metal_of(configurations: Mapping[str, Any]) -> str | None:
    """Element of the configuration bulk; None without one."""
    if "bulk" not in configurations:
        return None
    return next(iter(configuration("bulk", configurations["bulk"]).atoms))


def quantities_of(configurations: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Quantities that follow from some configurations, each with its value and note.

    - `configurations`: name, one of `CONFIGURATIONS` → object with energy and atoms.

    Returns key of a quantity → ``value`` and ``note``; with the lattice parameter where the volume
    of the bulk is known.

    Raises `InputError`: a name is not known, the atoms of two configurations do not fit, or nothing
    follows.
    """
    for name in configurations:
        if name not in CONFIGURATIONS:
            raise InputError(
                f"there is no configuration {name!r}",
                advice=f"{nearest(str(name), CONFIGURATIONS)}Known: {', '.join(CONFIGURATIONS)}.",
            )
    by_name = {name: configuration(name, one) for name, one in configurations.items()}
    bulk = by_name.get("bulk")
    metal = "Li" if bulk is None else next(iter(bulk.atoms))
    if metal not in METALS or (bulk is not None and len(bulk.atoms) > 1):
        raise InputError(
            f"configuration 'bulk' holds {bulk and bulk.atoms}, not one metal alone",
            advice=f"kmc knows {', '.join(METALS)}, which are bcc.",
        )
    if bulk is not None and (atoms := _periodic_atoms(configurations["bulk"])) is not None:
        check_bcc(atoms)
    quantities: dict[str, dict[str, Any]] = {}
    for key, (end, start, removed, parts) in QUANTITIES_OF.items():
        if end not in by_name or start not in by_name or (removed and bulk is None):
            continue
        _check_atoms(by_name, end, start, removed, metal)
        value, note = by_name[end].energy_eV - by_name[start].energy_eV, f"E({end}) − E({start})"
        if removed and bulk is not None:
            value += removed * bulk.energy_eV / bulk.atoms[metal]
            note += f" + {removed} E(bulk)/{bulk.atoms[metal]}".replace(" 1 E", " E")
        note += f", per vacancy of {parts}" if parts > 1 else ""
        quantities[key] = {
            "value": round(value / parts, 6),
            "note": f"{note}, from total energies.",
        }
    if bulk is not None and bulk.volume_A3:
        edge = (2 * bulk.volume_A3 / bulk.atoms[metal]) ** (1 / 3)
        note = "(2 V/N)^(1/3) of the configuration bulk, two atoms to a bcc cell."
        quantities["lattice_parameter_A"] = {"value": round(edge, 6), "note": note}
    if bulk is not None and "bulk_vacancy" in by_name and all(name in by_name for name in _PAIRS):
        quantities |= _pair_ratio(by_name, metal)
    formation, edge = (
        quantities.get(k) for k in ("formation_energy_bulk_eV", "lattice_parameter_A")
    )
    if SURFACE in by_name and bulk is not None and formation and edge:
        mu = bulk.energy_eV / bulk.atoms[metal]
        quantities |= of_surface(formation["value"], mu, edge["value"], configurations[SURFACE])
        quantities |= _patch_bond(by_name, metal, quantities)
    elif PATCH in by_name:
        warnings.warn(f"{PATCH} gives no bond without bulk, bulk_vacancy, {SURFACE}", stacklevel=2)
    if not quantities:
        raise InputError(
            "no quantity follows from these configurations",
            advice="The least is bulk and bulk_vacancy, or bulk, interface and "
            "interface_vacancy_L1.",
        )
    return quantities


def _periodic_atoms(given: Any) -> Any:
    """Atoms of an object of ASE or pymatgen that has their places; None for energies alone."""
    structure = getattr(given, "structure", None)
    if structure is not None:
        try:
            from ase import Atoms
        except ImportError:  # pymatgen needs no ASE
            return None
        symbols, places = [site.species_string for site in structure], structure.cart_coords
        return Atoms(symbols, places, cell=structure.lattice.matrix, pbc=True)
    return given if hasattr(given, "get_potential_energy") and all(given.pbc) else None


def _pair_ratio(given: Mapping[str, DFTEnergy], metal: str) -> dict[str, dict[str, Any]]:
    """ε2/ε1 from what two vacancies gain as neighbours: the bond that need not be cut twice.

    The model has it from the formation energy and this ratio, so the bonds that the pairs
    themselves show stand in the note. Without attraction of first neighbours there is no ratio.
    """
    bonds = []
    for name in _PAIRS:
        _check_atoms(given, name, "bulk", 2, metal)
        pair = given[name].energy_eV + given["bulk"].energy_eV - 2 * given["bulk_vacancy"].energy_eV
        bonds.append(-pair)
    first, second = bonds
    text = (
        f"Pairs of vacancies bind by {first:.4f} eV as first, {second:.4f} eV as second neighbours"
    )
    if first <= 0 or not QUANTITIES["second_shell_ratio"].allows(second / first):
        warnings.warn(
            f"{text}: no second_shell_ratio follows, that of the base stays", stacklevel=3
        )
        return {}
    formation = given["bulk_vacancy"].energy_eV - given["bulk"].energy_eV * (
        1 - 1 / given["bulk"].atoms[metal]
    )
    from_formation = 2 * formation / (8 + 6 * second / first)
    note = f"{text}; the formation energy with this ratio gives a bond of {from_formation:.4f} eV."
    return {"second_shell_ratio": {"value": round(second / first, 6), "note": note}}


def _patch_bond(
    given: Mapping[str, DFTEnergy], metal: str, found: Mapping[str, Any]
) -> dict[str, dict[str, Any]]:
    """Bond between vacancies of L1, assumed without a patch."""
    if not {PATCH, "interface", SINGLES[0]} <= set(given):
        return of_patch(None, found)
    singles = [name for name in SINGLES if name in given]
    for name in (*singles, PATCH):
        _check_atoms(given, name, "interface", 4 if name == PATCH else 1, metal)
    # Sites of which there is no single vacancy cost what the mean of the others does.
    mean = sum(given[name].energy_eV for name in singles) / len(singles)
    beyond = given[PATCH].energy_eV - 4 * mean + 3 * given["interface"].energy_eV
    return of_patch(beyond, found, len(singles))


def _check_atoms(
    given: Mapping[str, DFTEnergy], end: str, start: str, removed: int, metal: str
) -> None:
    """Check that two configurations differ by so many atoms of the metal and nothing else."""
    after, before = given[end].atoms, dict(given[start].atoms)
    before[metal] = before.get(metal, 0) - removed
    if {e: n for e, n in before.items() if n} != {e: n for e, n in after.items() if n}:
        wanted = f"{removed} {metal} less than" if removed else "the atoms of"
        raise InputError(
            f"configuration {end!r} has the atoms {after}, and {start!r} {given[start].atoms}",
            advice=f"{end} must have {wanted} {start}; use one supercell for both.",
        )
    before_A3, after_A3 = given[start].volume_A3, given[end].volume_A3
    if before_A3 and after_A3 and abs(after_A3 / before_A3 - 1) > _SAME_VOLUME:
        text = f"configurations {end!r} and {start!r} have cells of {after_A3:.5g} and "
        text += f"{before_A3:.5g} Å³: their difference holds the energy of strain, too"
        warnings.warn(text, KmcWarning, stacklevel=3)


def read_configurations(path: str | Path, allow_unconverged: bool = False) -> dict[str, Any]:
    """Configurations named by a table, each read by ASE from the file of a finished calculation.

    - `path`: CSV with the columns configuration and file, or TOML with a table [configurations];
      files are beside it: OUTCAR, vasprun.xml, extended XYZ and whatever else ASE reads.
    - `allow_unconverged`: warn of calculations that are not relaxed or converged, only.

    Raises `InputError`: the table or a file cannot be read, or a file holds no energy, or one of a
    calculation that is not converged.
    """
    path = Path(path)
    if path.suffix.lower() == ".toml":
        rows = list(read_toml(path).get("configurations", {}).items())
    else:
        table = read_table(path)
        rows = list(zip(table.column("configuration"), table.column("file"), strict=True))
    if not rows or not all(isinstance(text, str) and text for row in rows for text in row):
        raise InputError(
            f"{path} names no configurations",
            advice="Give a CSV with the columns configuration,file, or a TOML with "
            '[configurations] and lines such as bulk = "bulk/OUTCAR".',
        )
    if twice := {name for name, _ in rows if [n for n, _ in rows].count(name) > 1}:
        raise InputError(f"{path} names {', '.join(sorted(twice))} twice", advice="Remove one.")
    structures = {}
    for name, file in rows:
        structures[name] = read_structure(path.parent / file, f" of configuration {name!r}")
        configuration(name, structures[name])
        check_converged(name, structures[name], allow_unconverged)
    return structures


def parameters_from_dft(
    path: str | Path,
    configurations: Mapping[str, Any],
    *,
    base: str = "li_li2s",
    source: Mapping[str, str] | None = None,
    description: str = "",
    overwrite: bool = False,
    allow_unconverged: bool = False,
) -> ParameterSet:
    """Write a parameter set from the total energies of named DFT configurations, and return it.

    - `path`: ends in ``.toml``.
    - `configurations`: name → ``ase.Atoms`` with an energy, entry of pymatgen, or
      ``(energy_eV, {"Li": 53})``; see `QUANTITIES_OF` and docs/parameters.md for the names.
    - `base`: set of which everything else is taken: ``limg_li2s`` for configurations with Mg. What
      is of another metal is copied as an assumption.
    - `source`: ``citation``, ``title`` and ``doi``; without it the values count as assumed.
    - `overwrite`: replace `path` where it exists.
    - `allow_unconverged`: warn of atoms with large forces (`kmc.model.ase_files`), only.

    Raises `InputError`: a configuration is not valid or not relaxed, or the set is not valid;
    nothing has been written then.

    Examples
    --------
    >>> kmc.parameters_from_dft("mine.toml", {"bulk": bulk, "bulk_vacancy": vacancy})
    ... # doctest: +SKIP
    """
    for name, one in configurations.items():
        check_converged(name, one, allow_unconverged)
    quantities = quantities_of(configurations)
    if source is not None:
        quantities = {
            k: e if e.get("assumed") else e | {"source": "DFT"} for k, e in quantities.items()
        }
    return write_parameters(
        path,
        quantities,
        base=base,
        metal=metal_of(configurations),
        description=description or f"{base} with energies of other DFT configurations",
        sources=None if source is None else {"DFT": source},
        overwrite=overwrite,
    )
