"""Parameter sets from total energies of configurations."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import kmc
from kmc.errors import InputError
from kmc.model.dft_check import check_rows
from kmc.model.dft_clusters import PATCH, SINGLES
from kmc.model.dft_energies import QUANTITIES_OF, _patch_bond, configuration, quantities_of
from kmc.model.hamiltonian import LI, VACANCY, calibrate
from kmc.model.lattice import Lattice
from kmc.model.parameters import load_parameters

MU_eV = -1.9  # of a Li atom in the bulk, any number
N = 54


def synthetic(name: str) -> dict[str, tuple[float, dict[str, int]]]:
    """Total energies of the configurations of a shipped set, around arbitrary references."""
    p = load_parameters(name)
    bulk, interface = N * MU_eV, -700.0
    substrate = {"Li": 90, "S": 18}
    found = {"bulk": (bulk, {"Li": N}), "interface": (interface, substrate)}
    vacancy = bulk - MU_eV + p.value("formation_energy_bulk_eV")
    found["bulk_vacancy"] = (vacancy, {"Li": N - 1})
    found["bulk_hop_saddle"] = (vacancy + p.value("barrier_Li_eV"), {"Li": N - 1})
    first = interface - MU_eV + p.value("formation_energy_L1_eV")
    found["interface_vacancy_L1"] = (first, {"Li": 89, "S": 18})
    second = first + p.value("formation_energy_L1_to_L2_eV")
    found["interface_vacancy_L2"] = (second, {"Li": 89, "S": 18})
    if "Mg" not in p.species:
        return found
    alloy, atoms = bulk + 0.4, {"Li": N - 1, "Mg": 1}
    found["bulk_Mg"] = (alloy, atoms)
    for shell in (1, 2, 3):
        energy = alloy - MU_eV + p.value(f"formation_energy_Mg_shell{shell}_eV")
        found[f"bulk_Mg_vacancy_shell{shell}"] = (energy, {"Li": N - 2, "Mg": 1})
    beside = found["bulk_Mg_vacancy_shell1"][0]
    for saddle, key in (
        ("bulk_Mg_hop_saddle", "barrier_Mg_eV"),
        ("bulk_Li_hop_near_Mg_saddle", "barrier_Li_near_Mg_eV"),
    ):
        found[saddle] = (beside + p.value(key), {"Li": N - 2, "Mg": 1})
    atoms = {"Li": 88, "Mg": 1, "S": 18}
    found["interface_vacancy_L1_Mg_L2"] = (-690.0, atoms)
    for end, key in (
        ("filled_by_Li_near_Mg", "fill_Li_near_Mg_eV"),
        ("filled_by_Mg", "fill_Mg_near_Mg_eV"),
        ("filled_by_Li_far_from_Mg", "fill_Li_far_from_Mg_eV"),
    ):
        found[end] = (-690.0 + p.value(key), atoms)
    return found


@pytest.mark.parametrize("name", ["li_li2s", "limg_li2s"])
def test_synthetic_configurations_give_the_numbers_back(name, tmp_path):
    made = kmc.parameters_from_dft(tmp_path / "mine.toml", synthetic(name), base=name)
    shipped = load_parameters(name)
    keys = [key for key in QUANTITIES_OF if shipped.has(key)]
    assert len(keys) >= 4
    for key in keys:
        assert made.value(key) == pytest.approx(shipped.value(key), abs=1e-6)
        assert made[key].assumed
    box = Lattice("bcc_100", (8, 8), 8, "interface", 3.506)
    ours, theirs = (calibrate(parameters, box) for parameters in (made, shipped))
    assert (ours.bond1 == theirs.bond1).all()
    assert (ours.phi == theirs.phi).all()
    assert ours.chi == theirs.chi


def test_one_energy_that_differs_is_noticed(tmp_path):
    changed = synthetic("li_li2s")
    energy, atoms = changed["interface_vacancy_L1"]
    changed["interface_vacancy_L1"] = (energy + 0.014, atoms)  # 5 % of 0.28 eV
    found = quantities_of(changed)
    assert found["formation_energy_L1_eV"]["value"] == pytest.approx(0.294)
    assert found["formation_energy_L1_to_L2_eV"]["value"] == pytest.approx(0.136)


def test_objects_of_ase(tmp_path):
    ase = pytest.importorskip("ase")
    from ase.build import bulk as crystal
    from ase.calculators.singlepoint import SinglePointCalculator

    cell = crystal("Li", "bcc", a=3.44, cubic=True).repeat(3)
    found = {}
    for name, (energy, atoms) in synthetic("li_li2s").items():
        if name.startswith("bulk"):
            one = cell[: atoms["Li"]]
        else:
            one = ase.Atoms("Li" * atoms["Li"] + "S" * atoms["S"])
        one.calc = SinglePointCalculator(one, energy=energy)
        found[name] = one
    source = {"citation": "Me (2026)", "title": "Mine", "doi": "10.1000/xyz"}
    made = kmc.parameters_from_dft(tmp_path / "ase.toml", found, source=source)
    assert made.value("formation_energy_L1_eV") == pytest.approx(0.28)
    assert made.value("lattice_parameter_A") == pytest.approx(3.44)
    assert not made["formation_energy_bulk_eV"].assumed


def test_entries_of_pymatgen(tmp_path):
    entries = pytest.importorskip("pymatgen.entries.computed_entries")
    found = {
        name: entries.ComputedEntry("".join(f"{e}{n}" for e, n in atoms.items()), energy)
        for name, (energy, atoms) in synthetic("limg_li2s").items()
    }
    assert quantities_of(found) == quantities_of(synthetic("limg_li2s"))


class Entry:
    """What `kmc` uses of an entry of pymatgen."""

    def __init__(self, energy, atoms):
        self.energy, self.composition = energy, self
        self.get_el_amt_dict = lambda: {e: float(n) for e, n in atoms.items()}


def test_objects_like_those_of_pymatgen():
    plain = synthetic("limg_li2s")
    assert quantities_of({k: Entry(*v) for k, v in plain.items()}) == quantities_of(plain)


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"bulk_vacansy": (0.0, {"Li": 1})}, "no configuration 'bulk_vacansy'"),
        ({"bulk_vacancy": (-1.0, {"Li": N})}, "bulk_vacancy must have 1 Li less than bulk"),
        ({"interface_vacancy_L2": (-1.0, {"Li": 89})}, "the atoms of interface_vacancy_L1"),
        ({"bulk": (-1.0, {"Li": 3, "Na": 3})}, "not one metal alone"),
        ({"bulk": "a file"}, "has no energy and atoms"),
        ({"bulk": (float("nan"), {"Li": N})}, "has the energy nan"),
    ],
)
def test_refused(change, part, tmp_path):
    with pytest.raises(InputError) as told:
        kmc.parameters_from_dft(tmp_path / "x.toml", synthetic("li_li2s") | change)
    assert part in f"{told.value.message} {told.value.advice}"
    assert not list(tmp_path.iterdir())


def test_the_example_of_the_docs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    page = (Path(__file__).parents[2] / "docs" / "parameters.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
    (code,) = (block for block in blocks if "parameters_from_dft" in block)
    exec(code, {})
    made = load_parameters("mine.toml")
    assert made.value("formation_energy_bulk_eV") == pytest.approx(0.5)
    assert made.value("formation_energy_L1_eV") == pytest.approx(0.28)
    assert all(f"`{key}`" in page or "shell" in key for key in QUANTITIES_OF)


def test_too_few_configurations():
    with pytest.raises(InputError, match="no quantity follows"):
        quantities_of({"interface": (-1.0, {"Li": 3})})


def test_a_surface_gives_the_curvature_of_coordination(tmp_path):
    """E_f = 0.50 eV and γ(100) = 0.416 J/m² give the energies of li_li2s_clusters, and these γ."""
    ase = pytest.importorskip("ase")
    from ase.calculators.singlepoint import SinglePointCalculator

    def atoms(places, cell, energy):
        made = ase.Atoms(f"Li{len(places)}", cell=cell, pbc=True, scaled_positions=places)
        made.calc = SinglePointCalculator(made, energy=energy)
        return made

    shipped = load_parameters("li_li2s_clusters")
    a = shipped.value("lattice_parameter_A")
    surface_eV = 2 * (2 * a) ** 2 * 0.416 / 16.02176634
    configurations = {
        "bulk": (2 * MU_eV, {"Li": 2}),
        "bulk_vacancy": (MU_eV + 0.5, {"Li": 1}),
        "surface_100": atoms(
            [(i / 32, 0, 0) for i in range(32)], (2 * a, 2 * a, 40), 32 * MU_eV + surface_eV
        ),
    }
    assert "coordination_curvature_eV" not in quantities_of(configurations)  # no edge is known
    configurations["bulk"] = atoms([(0, 0, 0), (0.5, 0.5, 0.5)], (a, a, a), 2 * MU_eV)
    made = kmc.parameters_from_dft(tmp_path / "mine.toml", configurations)
    for key in ("second_shell_bond_eV", "coordination_curvature_eV"):
        assert made.value(key) == pytest.approx(shipped.value(key), rel=2e-3)
    assert made["coordination_second_shell_weight"].assumed
    assert made["bond_L1_vacancies_eV"].assumed
    assert made.value("bond_L1_vacancies_eV") == 0
    rows = {row.name: row for row in check_rows(made)}
    assert rows["surface (100) of Li"].model == pytest.approx(0.416, abs=1e-4)
    assert rows["vacancy in the bulk"].model == pytest.approx(0.5, abs=1e-5)


def test_a_patch_gives_the_bond_in_L1():
    """Energies that the Hamiltonian of li_li2s_clusters gives: its bond, by five configurations."""
    shipped = load_parameters("li_li2s_clusters")
    box = Lattice("bcc_100", (8, 8), 18, "interface", shipped.value("lattice_parameter_A"))
    h = calibrate(shipped, box)
    half = np.rint(2 * box.positions_A[:, :2] / shipped.value("lattice_parameter_A")).astype(int)
    place = {tuple(xy): i for i, xy in enumerate(half.tolist()) if box.layer[i] == 1}
    four = [place[xy] for xy in ((4, 4), (6, 4), (4, 6), (6, 6))]

    def energy_eV(vacant):
        species = np.where(np.isin(np.arange(box.n_sites), vacant), VACANCY, LI)
        return h.energy_ueV(species, box) / 1e6

    def found_with(change_eV=0.0, names=SINGLES):
        given = {"bulk": (0.0, {"Li": 2}), "interface": (energy_eV([]), {"Li": 9})}
        for name, site in zip(SINGLES, four, strict=True):
            if name in names:
                given[name] = (energy_eV([site]), {"Li": 8})
        given[PATCH] = (energy_eV(four) + change_eV, {"Li": 5})
        given = {name: configuration(name, one) for name, one in given.items()}
        keys = ("second_shell_bond_eV", "coordination_curvature_eV")
        curved = {key: {"value": shipped.value(key)} for key in keys}
        return _patch_bond(given, "Li", curved)["bond_L1_vacancies_eV"]

    assert found_with()["value"] == pytest.approx(-0.0455, abs=2e-6)
    # 5 % of the bond, in four pairs.
    assert found_with(0.0091)["value"] == pytest.approx(-0.0455 * 1.05, abs=2e-6)
    assert "of 1 of its 4 sites" in found_with(names=SINGLES[:1])["note"]
    assert "assumed" not in found_with()
    assert found_with(names=())["assumed"]


def test_a_surface_without_a_cell_is_refused():
    pytest.importorskip("ase")
    from ase.build import bulk
    from ase.calculators.singlepoint import SinglePointCalculator

    perfect = bulk("Li", "bcc", a=3.5, cubic=True)
    perfect.calc = SinglePointCalculator(perfect, energy=2 * MU_eV)
    given = {"bulk": perfect, "bulk_vacancy": (MU_eV + 0.5, {"Li": 1})}
    with pytest.raises(InputError, match="'surface_100' is no slab of the metal alone"):
        quantities_of(given | {"surface_100": (-3.0, {"Li": 2})})
