"""[interface] of a run file: what it says, what it refuses, and what a run makes of it."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from kmc import load
from kmc.errors import InputError
from kmc.model.interphase import INTERFACE_KEYS
from kmc.runfile.load import load_run
from kmc.systems.electrode.run import ElectrodeJob
from kmc.systems.electrode.summary import summary
from kmc.systems.run import run_to_file

HEAD = """
[system]
size = [20, 20, 12]
[acceleration]
max_hops_per_strip_per_site = 1e4
[stop]
capacity_monolayers = 0.1
[interface]
"""
PATCHY = 'chemistry = [{ params = "li_philic_015", fraction = 0.2 }]\n'


@pytest.fixture
def write(tmp_path):
    """Writes a run file with this [interface] and returns its path."""

    def write_file(interface, head=HEAD):
        path = tmp_path / "mine.toml"
        path.write_text(head + interface, encoding="utf-8")
        return path

    return write_file


# --- what it says ---------------------------------------------------------------------------------


def test_resolved_is_json(write):
    text = "patches = [[1, 2, 0.5]]\nvoids = [[3, 4, 1, 0.5]]\n" + PATCHY
    resolved = load_run(write(text)).resolved()
    assert json.loads(json.dumps(resolved, allow_nan=False)) == resolved
    assert resolved["interface"]["voids"] == [[3, 4, 1, 0.5]]
    entry = {
        "params": "li_philic_015", "fraction": 0.2, "parameters": {}, "conductive": False
    }  # fmt: skip
    assert resolved["interface"]["chemistry"] == [entry]


def test_values_of_the_metal_hold_for_all_chemistries_those_of_the_interface_for_one(write):
    text = (
        'chemistry = [{ params = "li_philic_015", fraction = 0.2 }, { params = "li_neutral", '
        "fraction = 0.1, parameters.formation_energy_L1_eV = 0.45 }]\n"
        "[parameters]\nsecond_shell_ratio = 0.4\nformation_energy_L1_eV = 0.3\n"
    )
    sets = load_run(write(text)).chemistry_sets()
    assert [s.value("second_shell_ratio") for s in sets] == [0.4, 0.4, 0.4]
    assert [s.value("formation_energy_L1_eV") for s in sets] == [0.3, 0.65, 0.45]


def test_paths_are_those_seen_from_the_run_file(write, tmp_path, monkeypatch):
    np.save(tmp_path / "map.npy", np.eye(4, dtype=int))
    (tmp_path / "own.toml").write_text(
        'name = "own"\ndescription = "of ours"\nspecies = ["Li"]\nbase = "li_li2s"\n'
        '[quantities.formation_energy_L1_eV]\nvalue = 0.4\nunit = "eV"\nassumed = true\n'
        'note = "A guess of ours, to see."\n'
    )
    path = write('chemistry = [{ params = "own.toml" }]\nmask = "map.npy"\n')
    monkeypatch.chdir("/")
    run = load_run(path)
    assert run.chemistry_sets()[1].value("formation_energy_L1_eV") == 0.4
    assert ElectrodeJob(run).setup.interphase.chemistry.mean() == 0.25


@pytest.mark.parametrize("name", ["bcc_100", "bcc_110", "bcc_111"])
def test_fraction_and_seed(write, name):
    path = write(PATCHY + "correlation_length_nm = 1.5\n")
    maps = [
        ElectrodeJob(
            load_run(path, {"random.seed": seed, "system.lattice": name})
        ).setup.interphase.chemistry
        for seed in (1, 1, 2)
    ]
    assert maps[0].sum() == round(0.2 * maps[0].size)
    assert np.array_equal(maps[0], maps[1])
    assert not np.array_equal(maps[0], maps[2])


def test_a_picture_as_mask(write, tmp_path):
    pixels = np.zeros((20, 20), dtype=np.uint8)
    pixels[:5] = 255  # the upper quarter of the picture
    Image.fromarray(pixels).save(tmp_path / "map.png")
    run = load_run(write('chemistry = [{ params = "li_philic_015" }]\nmask = "map.png"\n'))
    simulation = ElectrodeJob(run)
    lattice = simulation.model.lattice
    y = lattice.positions_A[: lattice.sites_per_layer, 1] / lattice.box_A[1]
    assert np.array_equal(simulation.setup.interphase.chemistry == 1, y > 0.749)


def test_the_map_does_not_depend_on_flaws(write):
    flaws = "void_density_per_um2 = 1e5\nvoid_radius_nm = 1\nvoid_height_nm = 0.5\n"
    both, alone = (ElectrodeJob(load_run(write(PATCHY + more))) for more in (flaws, ""))
    assert len(both.setup.flaws.voids_nm)
    assert np.array_equal(both.setup.interphase.chemistry, alone.setup.interphase.chemistry)


# --- what it refuses ------------------------------------------------------------------------------

REFUSED = [
    ("patch_density_per_um2 = 5000", "needs patch_radius_nm", "Give all of"),
    ("void_density_per_um2 = 5\nvoid_radius_nm = 1", "needs void_height_nm", "or none"),
    ("patch_density_per_um2 = -1\npatch_radius_nm = 1", "out of range", "above 0"),
    ("patch_density_per_um2 = 10\npatch_radius_nm = 0.2", "may contain no site", "0.3506 nm"),
    ("patch_density_per_um2 = 10\npatch_radius_nm = 3.6", "periodic image", "half of the shorter"),
    ("patches = [[1, 1, 5]]", "periodic image", "Below 3.506 nm"),
    ("patches = [[1, 1]]", "entry 1: [1, 1] has 2\u00a0entries", "[x_nm, y_nm, radius_nm]"),
    (
        "patches = [[1, 1, -1]]",
        "entry 1: number 3: -1 is out of range",
        "radius_nm], sizes above 0",
    ),
    ("patches = [[1, 1, nan]]", "entry 1: number 3: nan is not a number", "radius_nm]"),
    ("patches = []", "has 0\u00a0entries", "list of"),
    ("patches = 3", "must be a list, not a number", "a list of [x_nm"),
    ("voids = [[1, 1, 1, 1.5]]", "leaves no metal above it", "At most 1.4 nm"),
    ("voids = [[1, 1, 1, 0.1]]", "so flat may contain no site", "at least the distance"),
    ("voids = [[1, 1, 1, 0.5], [1, 8, 1, 0.5]]", "[1.0, 8.0, 1.0, 0.5] of voids", "0 to 7.012 nm"),
    ("patches = [[-1, 1, 1]]", "lies outside the box", "x from 0"),
    ("voids = [[1, 1, 0.4, 20]]", "periodic image", ""),
    ("correlation_length_nm = 2", "needs chemistry", "Add chemistry"),
    ('mask = "map.png"', "needs chemistry", "Add chemistry"),
    (PATCHY + "correlation_length_nm = 4", "too long for the box", "At most 3.51 nm"),
    (PATCHY + 'mask = "map.npy"', "exclude each other", "Remove fraction"),
    ('chemistry = [{ params = "li_neutral" }]', "an entry without fraction", "a mask"),
    ('chemistry = [{ params = "li_neutrl", fraction = 1 }]', "not among the shipped", "li_neutral"),
    ('chemistry = [{ params = "limg_li2s", fraction = 1 }]', "is of Li and Mg", "same metal"),
    ('chemistry = [{ params = "lattice_gas", fraction = 1 }]', "", "differ only in"),
    ("chemistry = [{ fraction = 1 }]", "entry 1: params is missing", "Keys: params, "),
    ('chemistry = [{ param = "a" }]', "'param' is not a known key", "Did you mean 'params'?"),
    (
        'chemistry = [{ params = "li_neutral", fraction = 1.5 }]',
        "entry 1: fraction = 1.5 is out of range",
        "at most 1",
    ),
    ('chemistry = [{ params = "li_neutral", parameters = 3 }]', "must be a table", ""),
    (
        'chemistry = [{ params = "li_neutral", fraction = 1, parameters.barrier_Mg_eV = 1 }]',
        "'barrier_Mg_eV'",
        "It has",
    ),
    ("chemistry = []", "has 0\u00a0entries", "one to three"),
    ("chemistry = 3", "must be a list, not a number", "tables with params"),
    ("chemistry = [3]", "entry 1: must be a table, not a number", ""),
    (
        'chemistry = [{ params = "li_neutral", fraction = 0.6 }, '
        '{ params = "li_philic_015", fraction = 0.6 }]',
        "add up to 1.2",
        "at most 1",
    ),
    ('chemistry = [{ params = "li_neutral" }]\nmask = "none.png"', "does not exist", "relative"),
    ("patch_radius = 1", "'patch_radius' in section [interface]", "patch_radius_nm"),
]


@pytest.mark.parametrize(("text", "message", "advice"), REFUSED)
def test_refused(write, text, message, advice):
    path = write(text)
    with pytest.raises(InputError) as caught:
        load_run(path)
    assert message in str(caught.value)
    assert advice in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_mistake_on_the_command_line_is_told_in_plain_words(write, tmp_path):
    """As a real process: exit code 2, one message, no traceback, no file."""
    path = write("")
    command = [
        sys.executable,
        "-m",
        "kmc.cli",
        "run",
        str(path),
        "-o",
        str(tmp_path / "out.h5"),
    ]
    command += ["--set", "interface.voids=[[1, 1, 9, 1]]"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "--set interface.voids=[[1, 1, 9, 1]]: a flaw so wide" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out.h5").exists()


def test_a_periodic_box_has_no_interface(write):
    with pytest.raises(InputError, match='boundary is "periodic"'):
        load_run(
            write("patches = [[1, 1, 0.5]]"),
            {
                "system.boundary": "periodic",
                "conditions.current_density_mA_cm2": 0,
                "acceleration.max_hops_per_strip_per_site": None,
                "stop.events": 10,
            },
        )


def test_a_void_is_enough_for_a_closed_box_without_current(write):
    run = load_run(
        write("voids = [[3, 3, 1, 0.5]]"),
        {
            "conditions.current_density_mA_cm2": 0,
            "conditions.electrode_thickness_um": float("inf"),
            "acceleration.max_hops_per_strip_per_site": None,
            "stop.events": 10,
            "stop.capacity_monolayers": None,
        },
    )
    assert run.interface.has_flaws


# --- what a run makes of it -----------------------------------------------------------------------


@pytest.mark.parametrize("name", ["bcc_100", "bcc_110", "bcc_111"])
def test_a_run_starts_with_its_flaws_and_conserves_every_atom(write, tmp_path, name):
    path = write(PATCHY + "patches = [[5, 5, 0.8]]\nvoids = [[2, 2, 1.2, 0.7]]\n")
    run = load_run(path, {"system.lattice": name})
    t = run_to_file(run, tmp_path / "out.h5", progress=False)
    simulation = ElectrodeJob(run)
    first, last = t.frames[0].occupancy, t.frames[-1].occupancy
    assert np.array_equal(np.flatnonzero(first == 0), simulation.setup.flaws.sites)
    assert t.samples.vacancies[0] == len(simulation.setup.flaws.sites) > 20
    n = t.lattice.sites_per_layer
    assert t.samples.contact_fraction[0] == pytest.approx((first[:n] > 0).mean())
    change = int((last == 0).sum()) - int((first == 0).sum())
    s = {key: int(t.samples[key][-1]) for key in ("strips", "emitted", "absorbed")}
    assert change == s["strips"] + s["emitted"] - s["absorbed"]
    assert s["strips"] == np.ceil(0.1 * n)


def test_the_file_knows_its_interface(write, tmp_path):
    text = PATCHY + "correlation_length_nm = 2\npatches = [[5, 5, 0.8]]\n"
    text += "patch_density_per_um2 = 1\npatch_radius_nm = 1\n"
    t = run_to_file(load_run(write(text)), tmp_path / "out.h5", progress=False)
    simulation = ElectrodeJob(load_run(write(text)))
    again = load(t.path)
    assert np.array_equal(again.chemistry, simulation.setup.interphase.chemistry)
    assert again.chemistry.dtype == np.uint8
    assert again.chemistries == ("li_li2s", "li_philic_015")
    stored = again.resolved["interface"]
    assert stored["patches"] == [[5, 5, 0.8]]
    assert [entry["sites"] for entry in stored["chemistry"]] == [320, 80]
    assert set(stored["chemistry"][1]["parameters"]) <= set(INTERFACE_KEYS)
    said = dict(summary(again))["Interface"].replace("\u00a0", " ")
    assert said.startswith("80 % li_li2s; 20 % li_philic_015; 1 patch (of those drawn 4.92e-5 were")


def test_stop_by_contact_counts_from_the_flaws(write, tmp_path):
    run = load_run(
        write("patches = [[3, 3, 2.0]]"),
        {"stop.contact_fraction": 0.7, "stop.capacity_monolayers": None},
    )
    t = run_to_file(run, tmp_path / "out.h5", progress=False)
    assert t.stop_reason == "contact_fraction fell to 0.7"
    assert 0.7 < t.samples.contact_fraction[0] < 0.8
    assert t.samples.contact_fraction[-1] <= 0.7


# --- what the chemistries do ----------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "monolayers", "at_most"),
    [("bcc_100", 0.5, 0.75), ("bcc_110", 0.5, 0.75), ("bcc_111", 2.0, 0.9)],
)
def test_voids_open_beside_lithiophilic_patches(write, tmp_path, name, monolayers, at_most):
    """Half of the interface each, the seed fixed: the lithiophilic half keeps its contact.

    On bcc_111 more vacancies leave through the metal, and voids open later.
    """
    np.save(tmp_path / "map.npy", np.array([[0, 1]]))
    path = write('chemistry = [{ params = "li_philic_015" }]\nmask = "map.npy"\n')
    run = load_run(path, {"system.lattice": name, "stop.capacity_monolayers": monolayers})
    t = run_to_file(run, tmp_path / "out.h5", progress=False)
    model = ElectrodeJob(run).model
    L1 = t.frames[-1].occupancy[: t.lattice.sites_per_layer] > 0
    contact = [L1[t.chemistry == k].mean() for k in (0, 1)]
    assert contact[1] > 0.9
    assert contact[0] < at_most
    energies = dict(zip(t.samples.events, t.samples.energy_eV, strict=True))
    for frame in t.frames:
        assert round(energies[frame.events] * 1e6) == model.energy_ueV(frame.occupancy)


def test_mg_covers_each_chemistry_as_its_own_energies_ask(write):
    """Where the fill by Mg gains 0.5 eV less, Mg hardly prefers L1 any more."""
    text = (
        'chemistry = [{ params = "limg_li2s", fraction = 0.5, '
        "parameters.fill_Mg_near_Mg_eV = -0.17 }]\n"
    )
    alloy = '[system]\nparams = "limg_li2s"\nmg_fraction = 0.03\nmg_coverage_L1 = "equilibrium"\n'
    simulation = ElectrodeJob(load_run(write(text, HEAD.replace("[system]\n", alloy))))
    L1 = simulation.engine.occupancy()[:400]
    mg = [(L1[simulation.setup.interphase.chemistry == k] == 2).mean() for k in (0, 1)]
    assert mg[0] > 0.95
    # Gain per L1 site over the bulk, from the Hamiltonian; four standard errors of 200 sites.
    h, model = simulation.model.hamiltonians[1], simulation.model
    gain = h.binding_ueV(2, 1) - h.binding_ueV(1, 1)
    gain -= h.bulk_binding_ueV(2) - h.bulk_binding_ueV(1)
    odds = 0.03 / 0.97 * np.exp(gain / model.kT_ueV)
    expected = odds / (1 + odds)
    assert mg[1] == pytest.approx(expected, abs=4 * np.sqrt(expected * (1 - expected) / 200))
    assert 0.02 < expected < 0.9


def test_chemistries_that_change_chi_are_refused(write):
    head = HEAD.replace("[system]\n", '[system]\nparams = "limg_li2s"\n')
    text = 'chemistry = [{ params = "limg_li2s", fraction = 1, parameters.fill_Li_near_Mg_eV = 0 }]'
    with pytest.raises(InputError, match="chi"):
        ElectrodeJob(load_run(write(text + "\n", head)))
