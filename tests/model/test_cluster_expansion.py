"""Cluster expansions that reduce to points and pairs, and some that do not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

pytest.importorskip("ase")

from ase.neighborlist import neighbor_list

from kmc.cli.app import main
from kmc.errors import InputError
from kmc.model.cluster_expansion import Expansion, read_expansion, reduce_expansion
from kmc.model.parameters import load_parameters

DATA = Path(__file__).resolve().parents[1] / "data"
A, ATOM, E1, E2 = 3.5, -0.4, 0.09, 0.045
FORMATION = (8 * E1 + 6 * E2) / 2


def gas(third=0.0, triple=0.0):
    """A lattice gas: bonds, perhaps of the third shell, and of triangles of three atoms."""

    def energy(atoms):
        i, j, d = neighbor_list("ijd", atoms, 1.5 * A)
        metal = np.array([s != "X" for s in atoms.get_chemical_symbols()])
        pair = metal[i] & metal[j]
        bonds = E1 * (d < 0.95 * A) + E2 * (abs(d - A) < 0.1) + third * (d > 1.3 * A)
        near, next_ = (np.zeros((len(metal),) * 2) for _ in range(2))
        near[i[pair & (d < 0.95 * A)], j[pair & (d < 0.95 * A)]] = 1
        next_[i[pair & (abs(d - A) < 0.1)], j[pair & (abs(d - A) < 0.1)]] = 1
        triangles = ((near @ near) * next_).sum() / 2
        return float(ATOM * metal.sum() - 0.5 * (bonds * pair).sum() - triple * triangles)

    return Expansion("Li", A, energy, "gas")


def test_points_and_pairs_give_the_bonds():
    found, residual = reduce_expansion(gas())
    assert residual < 1e-6
    assert found["formation_energy_bulk_eV"]["value"] == pytest.approx(FORMATION, abs=1e-6)
    assert found["second_shell_ratio"]["value"] == pytest.approx(0.5, abs=1e-6)
    assert found["lattice_parameter_A"]["value"] == A
    assert "0.0900 eV as first, 0.0450 eV as second" in found["second_shell_ratio"]["note"]


def test_what_is_more_is_refused_by_name():
    with pytest.raises(InputError, match=r"shell 3 interact by 10.0 meV"):
        reduce_expansion(gas(third=0.01))
    with pytest.raises(InputError, match=r"beyond their points and pairs"):
        reduce_expansion(gas(triple=0.004), tolerance_meV=2.0)
    assert reduce_expansion(gas(third=0.001))[1] < 10


def slab(deep=0.0):
    """The gas on a layer of Cl: L1 bound by 0.19 eV less; perhaps L3 by `deep` more."""
    from ase import Atoms
    from ase.build import bulk

    metal = bulk("Li", "bcc", a=A, cubic=True).repeat((1, 1, 5))
    metal.positions[:, 2] += 2.0
    atoms = Atoms("Cl", positions=[[0, 0, 0]]) + metal
    atoms.set_cell([A, A, metal.positions[:, 2].max() + 12.0])
    atoms.pbc = True

    def energy(atoms):
        mine = atoms[[s != "Cl" for s in atoms.get_chemical_symbols()]]
        z = np.array([one.position[2] for one in mine if one.symbol != "X"])
        field = 0.19 * (abs(z - 2.0) < 0.1) - deep * (abs(z - 2.0 - A) < 0.1)
        return gas().energy_eV(mine) + float(field.sum())

    return Expansion("Li", np.nan, energy, "slab", atoms)


@pytest.mark.slow
def test_a_slab_gives_the_energies_of_its_layers():
    """(100): L1 has 4 and 5 bonds, L2 8 and 5; an atom of the bulk half of 8 and 6."""
    found, residual = reduce_expansion(gas(), slab=slab())
    assert residual < 1e-6
    assert found["formation_energy_bulk_eV"]["value"] == pytest.approx(FORMATION, abs=1e-6)
    L1 = found["formation_energy_L1_eV"]["value"]
    assert pytest.approx(4 * E1 + 5 * E2 - 0.19 - FORMATION, abs=1e-6) == L1
    step = found["formation_energy_L1_to_L2_eV"]["value"]
    assert step == pytest.approx(4 * E1 + 0.19, abs=1e-6)


@pytest.mark.slow
def test_a_slab_that_is_more_or_alone_is_refused():
    with pytest.raises(InputError, match=r"vacancy in L3 cost 20.0 meV other than in the bulk"):
        reduce_expansion(gas(), slab=slab(deep=0.02))
    with pytest.raises(InputError, match="is the expansion of a slab") as refused:
        reduce_expansion(slab())
    assert "from-ce BULK --slab SLAB" in refused.value.advice


def test_files_that_cannot_be_read(tmp_path):
    (tmp_path / "x.txt").touch()
    with pytest.raises(InputError, match="is no cluster expansion"):
        read_expansion(tmp_path / "x.txt")
    (tmp_path / "x.ce").write_text("nothing")
    with pytest.raises(InputError, match=r"icet is not installed|cannot be read by icet"):
        read_expansion(tmp_path / "x.ce")


@pytest.mark.slow
def test_files_of_icet(tmp_path, monkeypatch):
    """pairs.ce: the gas above, written by icet 4.0; triplets.ce: with triplets on top."""
    pytest.importorskip("icet")
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(main, ["params", "from-ce", str(DATA / "pairs.ce")])
    assert done.exit_code == 0, done.output
    assert load_parameters("mine.toml").value("formation_energy_bulk_eV") == pytest.approx(
        FORMATION
    )
    done = CliRunner().invoke(
        main, ["params", "from-ce", str(DATA / "triplets.ce"), "-o", "none.toml"]
    )
    assert done.exit_code == 2
    assert "beyond their points and pairs" in done.stderr


@pytest.mark.slow
def test_a_file_of_smol(tmp_path, monkeypatch):
    """The gas above, fitted by smol to points and pairs and read through the command."""
    cofe = pytest.importorskip("smol.cofe")
    from ase import Atoms
    from pymatgen.core import Lattice, Structure
    from smol.io import save_work

    axes = A / 2 * np.array([[-1, 1, 1], [1, -1, 1], [1, 1, -1]])
    prim = Structure(Lattice(axes), [{"Li": 0.5}], [[0, 0, 0]])
    space = cofe.ClusterSubspace.from_cutoffs(prim, {2: 1.1 * A}, basis="indicator")
    rng, rows, energies = np.random.default_rng(1), [], []
    matrix = np.array([[0, 4, 4], [4, 0, 4], [4, 4, 0]])
    places = prim.copy().make_supercell(matrix)
    for _ in range(12):
        kept = np.flatnonzero(rng.random(len(places)) < 0.8)
        made = Structure(places.lattice, ["Li"] * len(kept), places.frac_coords[kept])
        rows.append(space.corr_from_structure(made, normalized=False, scmatrix=matrix))
        atoms = Atoms("Li" * len(kept), made.cart_coords, cell=made.lattice.matrix, pbc=True)
        energies.append(gas().energy_eV(atoms))
    fit = np.linalg.lstsq(np.array(rows), np.array(energies), rcond=None)[0]
    save_work(str(tmp_path / "gas.json"), cofe.ClusterExpansion(space, fit))
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(main, ["params", "from-ce", "gas.json"])
    assert done.exit_code == 0, done.output
    assert load_parameters("mine.toml").value("formation_energy_bulk_eV") == pytest.approx(
        FORMATION, abs=1e-5
    )
