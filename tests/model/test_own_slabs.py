"""Slabs and calculations as people have them, through `kmc params from-ase` and `from-dft`."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

pytest.importorskip("ase")

import johnson
from ase import Atoms
from ase.build import bulk
from ase.calculators.calculator import Calculator, all_changes
from ase.calculators.singlepoint import SinglePointCalculator
from ase.constraints import FixAtoms, FixBondLength, FixCartesian, FixScaled
from ase.io import read, write

from kmc.cli.app import main
from kmc.errors import InputError, KmcError, KmcWarning
from kmc.model.ase_configurations import AseSettings, changed, held_axes, layers_of, metal_of_slab
from kmc.model.ase_energies import Configurations
from kmc.model.ase_files import electronic_steps, largest_force, read_structure
from kmc.model.dft_energies import quantities_of, read_configurations
from kmc.model.parameters import load_parameters

A = johnson.A_A
E1, E2 = (-float(johnson.pair_eV(r)[0]) for r in (A * 3**0.5 / 2, A))  # bonds
BULK_eV = 4 * E1 + 3 * E2  # of an atom, which cuts 8 and 6 bonds and gains half of them
PLAIN = AseSettings(cells=(2,), repeats=(1,), relax=False)
QUICK = ("--cells", 2, "--repeat", 1, "--no-relax")


def slab(layers_of_Cl=2, vacuum_A=2 * A, cells=2) -> Atoms:
    """Twelve layers on one bcc lattice, the lower ones Cl; periodic, as every POSCAR is."""
    whole = bulk("Li", "bcc", a=A, cubic=True).repeat((cells, cells, 6))
    whole.symbols[whole.positions[:, 2] < (layers_of_Cl - 0.5) * A / 2] = "Cl"
    whole.set_cell([cells * A, cells * A, 6 * A + vacuum_A])
    return whole


def values(atoms, settings=PLAIN, folder=None) -> tuple[float, float]:
    found = Configurations(atoms, johnson.Johnson(), "johnson", settings, folder).run()
    return found["formation_energy_L1_eV"]["value"], found["formation_energy_L1_to_L2_eV"]["value"]


def call(*arguments):
    return CliRunner().invoke(main, ["params", *map(str, arguments)])


# --- where the interface is -----------------------------------------------------------------------

HELD = johnson.ELECTROLYTE
ON_CL = (4 * E1 + 5 * E2 + HELD * (4 * E1 + E2) - BULK_eV, 4 * (1 - HELD) * E1)
BARE = (4 * E1 + 5 * E2 - BULK_eV, 4 * E1)


@pytest.mark.parametrize("shift_A", [-0.02, pytest.param(0.31 * 8 * A, marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    ("kind", "wanted"),
    [("electrolyte", ON_CL), ("turned", ON_CL), ("sandwich", ON_CL), ("bare", BARE)],
)
def test_the_edge_of_a_periodic_cell_is_no_place(tmp_path, kind, wanted, shift_A):
    """Bonds counted by hand, wherever the cell is cut."""
    atoms = slab(0 if kind == "bare" else 2, 0.0 if kind == "sandwich" else 2 * A)
    if kind == "turned":
        atoms.positions[:, 2] *= -1
    atoms.positions[:, 2] += shift_A
    atoms.wrap(eps=0)
    assert values(atoms, folder=tmp_path / "c") == pytest.approx(wanted, abs=1e-3)


def test_metal_between_two_vacua_and_metal_without_any():
    """Of metal on both sides of its electrolyte the thicker; bulk has no interface."""
    settings = AseSettings()
    both = bulk("Li", "bcc", a=A, cubic=True).repeat((2, 2, 9))
    both.symbols[(both.positions[:, 2] > 5.9 * A) & (both.positions[:, 2] < 7.4 * A)] = "Cl"
    both.set_cell([2 * A, 2 * A, 12 * A])
    layers = layers_of(both, settings, A)
    assert len(layers) == 12
    heights = [both.positions[layer, 2].mean() / A for layer in layers[:2]]
    assert heights == pytest.approx([5.5, 5.0])
    with pytest.raises(InputError, match=r"neither an electrolyte nor a vacuum.*1\.43 Å"):
        metal_of_slab(bulk("Li", "bcc", a=A, cubic=True).repeat((2, 2, 6)), settings)


def test_metal_within_the_electrolyte_spoils_no_lattice_parameter(tmp_path):
    """Li between Cl at 0.4 of the distance of its neighbours in the metal."""
    atoms = slab(4)
    for x in (0.25, 0.45):
        atoms += Atoms("Li", [[x * A, 0.0, 0.25 * A]])
    computed = Configurations(atoms, johnson.Johnson(), "johnson", PLAIN, tmp_path / "c")
    assert computed.lattice_A == pytest.approx(A, abs=1e-4)


def test_a_tilt_of_a_tenth_of_a_degree_is_no_turn(tmp_path):
    atoms = slab()
    atoms.rotate(0.09, "x", rotate_cell=True)
    assert values(atoms, folder=tmp_path / "c") == pytest.approx(ON_CL, abs=1e-3)
    atoms.rotate(3, "x", rotate_cell=True)
    with pytest.raises(InputError, match="not in the plane z = 0"):
        Configurations(atoms, johnson.Johnson(), "johnson", PLAIN, tmp_path / "d")


def test_heights_of_the_metal_through_the_edge_of_the_cell():
    """An atom of Li of the electrolyte in front of L1 is left out by the range."""
    atoms = slab()
    atoms += Atoms("Li", [[0.3 * A, 0.3 * A, 0.6 * A]])
    atoms.positions[:, 2] += 3 * A
    atoms.wrap(eps=0)  # of 8 a: the metal from 4 a to the edge and, one layer of it, at 0.5 a
    with pytest.raises(InputError, match=r"lies in layers of 1, 4, 4"):
        layers_of(atoms, AseSettings(), A)
    for low, high in ((3.9 * A, 0.9 * A), (3.9 * A, 8.9 * A), (-4.1 * A, 0.9 * A)):
        layers = layers_of(atoms, AseSettings(metal_range_A=(low, high)), A)
        assert [len(layer) for layer in layers] == [4] * 10
        assert atoms.positions[layers[0], 2] == pytest.approx(4 * A)


def test_a_slab_without_periods_is_refused(tmp_path):
    for change in ({"pbc": False}, {"cell": None}):
        atoms = slab()
        for name, value in change.items():
            getattr(atoms, f"set_{name}")(value)
        with pytest.raises(InputError, match="the slab is periodic along"):
            Configurations(atoms, johnson.Johnson(), "johnson", PLAIN, tmp_path / "c")


# --- what a structure fixes -----------------------------------------------------------------------


def test_constraints_stay_with_their_atoms():
    atoms = slab(0)
    atoms.set_constraint([FixAtoms([46, 47]), FixCartesian([40], [True, False, False])])
    vacant, own = changed("interface_vacancy_L1", atoms, {"L1": 5}, "")
    held = held_axes(vacant)
    assert held[own == 46].all()
    assert held[own == 40].tolist() == [[True, False, False]]
    assert held.sum() == 7
    atoms.set_constraint(FixScaled(40, [False, True, False]))
    assert held_axes(atoms)[40].tolist() == [False, True, False]


def test_a_free_surface_is_the_one_that_is_not_fixed(tmp_path):
    """The lowest two layers fixed, as is usual: vacancies are at the top."""
    atoms = slab(0)
    low = np.flatnonzero(atoms.positions[:, 2] < 0.9 * A)
    atoms.set_constraint(FixAtoms(low))
    layers = layers_of(atoms, AseSettings(), A)
    assert atoms.positions[layers[0], 2].min() > 5 * A
    atoms.set_constraint(FixBondLength(0, 1))
    with pytest.raises(InputError, match="a constraint FixBondLength"):
        Configurations(atoms, johnson.Johnson(), "johnson", PLAIN, tmp_path / "c")
    atoms.set_constraint(FixAtoms([*low, *layers[1]]))
    with pytest.raises(InputError, match=r"fixes atom .* of its first two layers"):
        values(atoms, folder=tmp_path / "c")


@pytest.mark.slow
def test_what_is_fixed_stays_through_relaxations_bands_and_restarts(tmp_path):
    atoms = slab(0)
    low = np.flatnonzero(atoms.positions[:, 2] < 0.9 * A)
    atoms.positions[low, 2] += 0.03  # out of their places, to which they would go back
    atoms.set_constraint([FixAtoms(low), FixCartesian([40], [True, True, False])])
    settings = AseSettings(cells=(2,), repeats=(1,), fmax_eV_A=0.05)
    for _ in range(2):
        computed = Configurations(atoms, johnson.Johnson(), "johnson", settings, tmp_path)
        computed.run()
        (tmp_path / "interface_hop_saddle-1.extxyz").unlink()
    assert not computed.missing
    for name in ("interface", "interface_vacancy_L1", "interface_hop_saddle_end"):
        kept = read(tmp_path / f"{name}-1.extxyz")
        heights = np.sort(kept.positions[:, 2])[: len(low)]
        assert heights == pytest.approx(np.sort(atoms.positions[low, 2]), abs=1e-7)


# --- hops and calculators -------------------------------------------------------------------------


class Ramp(Calculator):
    """Energy of one atom along x: 0 at 0, 0.2 eV at 3 Å, with no slope at both and none between."""

    implemented_properties = ("energy", "forces")

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        (x, y, z), step_eV = self.atoms.positions[0], 0.2
        s = x / 3
        energy = step_eV * (3 * s**2 - 2 * s**3) + 2 * (y**2 + z**2)
        forces = [-step_eV * (6 * s - 6 * s**2) / 3, -4 * y, -4 * z]
        self.results = {"energy": energy, "forces": np.array([forces])}


def test_a_hop_without_a_saddle_has_the_energy_of_its_higher_end(tmp_path):
    """As max(E0 + ΔE/2, ΔE, 0) has; a hop in the bulk between equal ends is refused."""
    settings = AseSettings(cells=(2,), repeats=(1,))
    computed = Configurations(slab(), johnson.Johnson(), "johnson", settings, tmp_path / "c")
    computed.calculator = Ramp()
    ends = []
    for x in (0.0, 3.0):
        atoms = Atoms("Li", [[x, 0.0, 0.0]], cell=[20, 20, 20], pbc=True)
        atoms.calc = Ramp()
        ends.append(computed._finished(atoms))
    for name, pair in (("first", ends), ("second", ends[::-1])):
        top = computed._top(f"interface_hop_saddle_{name}-1", *pair)
        assert top.get_potential_energy() == pytest.approx(0.2, abs=1e-9)
        assert top.info["no_saddle"]
    with pytest.raises(KmcError, match="bulk_hop_saddle-2"):
        computed._top("bulk_hop_saddle-2", *ends)


class Breaks(johnson.Johnson):
    """Fails where two vacancies are beside each other, or where metal is on Mg."""

    def calculate(self, *arguments, **options):
        super().calculate(*arguments, **options)
        if len(self.atoms) == 14:
            raise RuntimeError("no such atoms")


def test_what_is_computed_is_kept_whatever_fails_later(tmp_path, monkeypatch):
    """The set is written, says which number is missing and why, and marks it as assumed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(johnson, "Breaks", Breaks, raising=False)
    write("slab.xyz", slab(), format="extxyz")
    done = call("from-ase", "slab.xyz", "--calculator", "johnson:Breaks", *QUICK)
    assert done.exit_code == 0, done.output
    assert "second_shell_ratio is not computed, as calculator johnson:Breaks fails" in done.stderr
    made = load_parameters("mine.toml")
    assert made.value("formation_energy_L1_eV") == pytest.approx(ON_CL[0], abs=1e-3)
    ratio = made["second_shell_ratio"]
    assert ratio.value == load_parameters("li_li2s").value("second_shell_ratio")
    assert ratio.assumed
    assert "no such atoms" in ratio.note
    assert made.description.endswith("without second_shell_ratio")


class WithoutForces(johnson.Johnson):
    implemented_properties = ("energy",)

    def calculate(self, *arguments, **options):
        super().calculate(*arguments, **options)
        del self.results["forces"]


def test_calculators_that_cannot_do_it_are_refused_before_any_work(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(johnson, "WithoutForces", WithoutForces, raising=False)
    write("slab.xyz", slab(), format="extxyz")
    sodium = slab()
    sodium.symbols[sodium.symbols == "Li"] = "Na"
    write("na.xyz", sodium, format="extxyz")
    none = call("from-ase", "slab.xyz", "--calculator", "johnson:WithoutForces", *QUICK[:4])
    assert none.exit_code == 2
    assert "johnson:WithoutForces fails for" in none.stderr
    emt = call("from-ase", "na.xyz", "--calculator", "emt", "--metal", "Na")
    assert emt.exit_code == 2
    assert "calculator emt fails for" in emt.stderr
    done = call("from-ase", "slab.xyz", "--calculator", "johnson:WithoutForces", *QUICK)
    assert "WithoutForces fails" not in done.stderr


class Softer(johnson.Johnson):
    """A potential that was changed, under the same name."""

    def calculate(self, *arguments, **options):
        super().calculate(*arguments, **options)
        self.results["energy"] *= 0.999


def test_a_folder_is_of_one_calculator_whatever_its_name(tmp_path):
    Configurations(slab(), johnson.Johnson(), "my_pot:calc", PLAIN, tmp_path / "c").run()
    with pytest.raises(InputError, match="another energy of the slab and of disordered Li"):
        Configurations(slab(), Softer(), "my_pot:calc", PLAIN, tmp_path / "c")
    fixed = slab()
    fixed.set_constraint(FixAtoms([len(fixed) - 1]))
    with pytest.raises(InputError, match="another slab"):
        Configurations(fixed, johnson.Johnson(), "my_pot:calc", PLAIN, tmp_path / "c")
    Configurations(slab(), johnson.Johnson(), "my_pot:calc", PLAIN, tmp_path / "c").run()


# --- a damaged folder -----------------------------------------------------------------------------

FILES = ("settings.json", "lattice_A.json", "bulk-2.extxyz", "interface_vacancy_L1-1.extxyz")
DAMAGES = {
    "empty": b"",
    "text": b"hello\n",
    "binary": bytes(range(256)) * 20,
    "list": b"[1, 2]",
    "number": b"1e308",
    "nan": b"NaN",
    "deep": b"[" * 100_000,
    "count": b"999999999\nProperties=species:S:1:pos:R:3\nLi 0 0 0\n",
    "no energy": b"1\nProperties=species:S:1:pos:R:3\nLi 0 0 0\n",
    "not finite": b"1\nProperties=species:S:1:pos:R:3 fmax_eV_A=nan energy=inf\nLi nan 0 0\n",
}


@pytest.fixture(scope="module")
def computed(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    Configurations(slab(), johnson.Johnson(), "johnson:Johnson", PLAIN, folder / "c").run()
    return folder / "c"


@pytest.mark.parametrize("file", FILES)
def test_a_damaged_folder_is_refused_by_the_name_of_its_file(computed, tmp_path, monkeypatch, file):
    monkeypatch.chdir(tmp_path)
    write("slab.xyz", slab(), format="extxyz")
    other = tmp_path / "of_mine.txt"
    other.write_text("mine", encoding="utf-8")
    command = ("from-ase", "slab.xyz", "--calculator", "johnson:Johnson", *QUICK)
    folder = Path("mine_configurations")
    whole = (computed / file).read_bytes()
    # Half of a number is a number.
    damages = DAMAGES if file == "lattice_A.json" else DAMAGES | {"half": whole[: len(whole) // 2]}
    for name in (*damages, "pipe", "link", "folder", "device"):
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(computed, folder)
        path = folder / file
        path.unlink()
        if name in damages:
            path.write_bytes(damages[name])
        elif name == "pipe":
            os.mkfifo(path)
        elif name == "folder":
            path.mkdir()
        else:
            path.symlink_to(other if name == "link" else "/dev/zero")
        done = call(*command, "--force")
        assert done.exit_code == 2, (name, done.output)
        assert str(path) in done.stderr, (name, done.output)
        assert isinstance(done.exception, SystemExit), name
    assert other.read_text(encoding="utf-8") == "mine"


# --- finished calculations ------------------------------------------------------------------------


def calculated(atoms: Atoms, energy=-1.0, force=None, **info) -> Atoms:
    results = {} if energy is None else {"energy": energy}
    if force is not None:
        results["forces"] = np.zeros((len(atoms), 3))
        results["forces"][0, :2] = np.array([0.6, 0.8]) * force
    atoms.calc = SinglePointCalculator(atoms, **results)
    atoms.info |= info
    return atoms


def perfect() -> Atoms:
    return bulk("Li", "bcc", a=3.44, cubic=True).repeat(2)


@pytest.mark.parametrize(
    ("force", "allow", "what"),
    [(0.049, False, ""), (0.06, False, "warn"), (0.21, False, "refuse"), (0.21, True, "warn")],
)
def test_forces_that_are_left_are_named(tmp_path, recwarn, force, allow, what):
    write(tmp_path / "bulk.xyz", calculated(perfect(), force=force), format="extxyz")
    (tmp_path / "t.csv").write_text("configuration,file\nbulk,bulk.xyz\n", encoding="utf-8")
    if what == "refuse":
        with pytest.raises(InputError, match=r"bulk.xyz\) has forces of up to 0\.21 eV/Å"):
            read_configurations(tmp_path / "t.csv", allow)
        return
    found = read_configurations(tmp_path / "t.csv", allow)
    texts = [str(w.message) for w in recwarn if issubclass(w.category, KmcWarning)]
    assert (f"has forces of up to {force:.3g}" in "".join(texts)) == (what == "warn")
    assert largest_force(found["bulk"]) == pytest.approx(force, abs=1e-6)


def test_forces_on_fixed_atoms_do_not_count():
    atoms = calculated(perfect(), force=0.5)
    assert largest_force(atoms) == pytest.approx(0.5)
    atoms.set_constraint(FixCartesian([0], [True, False, False]))
    assert largest_force(atoms) == pytest.approx(0.4)
    atoms.set_constraint(FixAtoms([0]))
    assert largest_force(atoms) == 0.0


def test_electronic_steps_that_ran_out(tmp_path):
    """Lines as VASP writes them; old versions write the last one where steps ran out, too."""
    lines = ["   NELM   =      3;   NELMIN=  2; NELMDL= -5     # of ELM steps"]
    for ionic, steps in enumerate((2, 3, 1), 1):
        lines += [f"-------- Iteration {ionic:6d}({n:4d})  ------" for n in range(1, steps + 1)]
        lines += ["------------------------ aborting loop because EDIFF is reached ------"]
    (tmp_path / "OUTCAR").write_text("\n".join(lines), encoding="utf-8")
    found = [electronic_steps(tmp_path / "OUTCAR", "vasp-out", image) for image in range(3)]
    assert found == [None, (3, 3), None]
    xml = ['<i type="int" name="NELM">     3</i>']
    xml += ['<i type="int" name="NELM">     1</i>']  # of response functions
    for steps in (2, 3):
        xml += ["<calculation>", *["<scstep>", "</scstep>"] * steps, "</calculation>"]
    path = tmp_path / "vasprun.xml"
    path.write_text("\n".join(xml), encoding="utf-8")
    assert [electronic_steps(path, "vasp-xml", n) for n in (0, 1)] == [None, (3, 3)]


def test_which_structure_of_a_file(tmp_path, monkeypatch):
    """A file of several is refused unless one is named, as ASE names it."""
    monkeypatch.chdir(tmp_path)
    write("all.xyz", [calculated(perfect(), energy) for energy in (-1.0, -2.0, -3.0)])
    with pytest.raises(InputError, match=r"holds 3 structures\n.*all\.xyz@0 is the first"):
        read_structure("all.xyz")
    energies = [read_structure(f"all.xyz@{n}").get_potential_energy() for n in (0, 1, -1)]
    assert energies == [-1.0, -2.0, -3.0]
    for image in (3, 7, -4):
        with pytest.raises(InputError, match=rf"it holds 3 structures, of which none is @{image}"):
            read_structure(f"all.xyz@{image}")
    write("vasprun.xml.relax1", bulk("Li"), format="vasp")
    with pytest.raises(InputError, match=r"vasprun\.xml\.relax1 cannot be read: neither its name"):
        read_structure("vasprun.xml.relax1")
    os.mkfifo("pipe.xyz")
    with pytest.raises(InputError, match="it is not a regular file"):
        read_structure("pipe.xyz")


def test_a_bulk_that_is_not_bcc_is_refused():
    for atoms in (bulk("Li", "bcc", a=3.44), perfect()):
        atoms.rattle(0.05, seed=1)
        assert quantities_of({"bulk": calculated(atoms)})["lattice_parameter_A"]
    for structure, options in (("fcc", {"cubic": True}), ("hcp", {})):
        atoms = bulk("Li", structure, a=4.3 if structure == "fcc" else 3.1, **options)
        with pytest.raises(InputError, match=r"'bulk' is not bcc: its ninth neighbour is 1.00"):
            quantities_of({"bulk": calculated(atoms)})


def test_energies_under_other_names_are_named(tmp_path):
    atoms = calculated(perfect(), None, REF_energy=-3.0)
    write(tmp_path / "bulk.xyz", atoms, format="extxyz")
    (tmp_path / "t.csv").write_text("configuration,file\nbulk,bulk.xyz\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"bulk\.xyz\).*the file has REF_energy: name it energy"):
        read_configurations(tmp_path / "t.csv")


def test_cells_of_two_sizes_are_no_difference_of_a_vacancy(recwarn):
    """Bulk at 1 % more than its lattice parameter, which 16 atoms make 0.1 eV of strain."""
    for share, warned in ((1.0, False), (1.004, False), (1.01, True)):
        whole, vacant = perfect(), perfect()
        whole.set_cell(whole.cell * share, scale_atoms=True)
        del vacant[0]
        both = {"bulk": calculated(whole, -16.0), "bulk_vacancy": calculated(vacant, -14.5)}
        quantities_of(both)
        texts = [str(w.message) for w in recwarn if issubclass(w.category, KmcWarning)]
        assert any("have cells of 325.66 and 335.53 Å³" in text for text in texts) == warned
