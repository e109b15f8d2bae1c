"""Other bcc metals than lithium: their sets, files, labels and every kind of run."""

from __future__ import annotations

import numpy as np
import pytest
import shipped
from marks import slow

import kmc
from kmc.common import catalogue
from kmc.common.metals import VALENCES
from kmc.common.units import unit_of
from kmc.errors import InputError
from kmc.model.dft_check import check_rows
from kmc.model.parameter_file import template, write_parameters
from kmc.model.parameters import load_parameters
from kmc.runfile.load import load_run
from kmc.systems.electrode.summary import summary
from kmc.systems.run import run_to_file

KINDS = {name: kind for name, kind in shipped.kinds().items() if not name.startswith("study_")}
NAMES = [name for name, kind in KINDS.items() if kind == "electrode"]
POPULATIONS = [name for name, kind in KINDS.items() if kind == "population"]


@pytest.fixture
def alloy(tmp_path):
    """Na-Mg whose Mg is that of Li-Mg: a set for the code, of no real alloy."""
    limg, path = load_parameters("limg_li2s"), tmp_path / "namg.toml"
    keys = [k for k in limg.quantities if "Mg" in k and k.endswith("_eV")]
    lines = ['name = "namg"', 'description = "x"', 'species = ["Na", "Mg"]', 'base = "na_nasicon"']
    for key in keys:
        name, value = key.replace("_Li_", "_Na_"), limg.value(key)
        lines.append(
            f"[quantities.{name}]\nvalue = {value}\nunit = 'eV'\nnote = 'x'\nassumed = true"
        )
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def test_a_set_of_sodium_is_written_and_read_by_its_symbol(tmp_path):
    na = load_parameters("na_nasicon", {"barrier_Na_eV": 0.06})
    assert na.metal == "Na"
    assert na.value("barrier_Na_eV") == na.value("barrier_Li_eV") == 0.06
    assert "# [quantities.barrier_Na_eV]" in template(base="na_nasicon")
    made = write_parameters(tmp_path / "mine.toml", {"barrier_Na_eV": 0.07}, base="na_nasicon")
    assert made.value("barrier_Li_eV") == 0.07
    assert any(row.name == "hop of Na in the bulk" and row.ok for row in check_rows(made))


def test_what_cannot_be_a_metal_is_refused(tmp_path):
    path = tmp_path / "x.toml"
    text = 'name = "x"\ndescription = "x"\nspecies = ["{}"]\nbase = "li_li2s"\n[quantities]\n'
    for metal, part in (("Ca", "not a set of species"), ("Na", "is of Li, and the set of Na")):
        path.write_text(text.format(metal), encoding="utf-8")
        with pytest.raises(InputError) as refused:
            load_parameters(path)
        assert part in refused.value.message
    twice = "[quantities.barrier_Li_eV]\n[quantities.barrier_Na_eV]\n"
    path.write_text('name = "x"\ndescription = "x"\nspecies = ["Na"]\n' + twice, encoding="utf-8")
    with pytest.raises(InputError, match="are one quantity"):
        load_parameters(path)


def _tiny(name, folder):
    alloy = "Mg" in load_run(name).parameter_set().species
    params = str(folder / "namg.toml") if alloy else "na_nasicon"
    changed = {"system.params": params, "system.size": [28, 28, 16], "stop.events": 3000}
    if load_run(name).interface.chemistry:
        write_parameters(folder / "philic.toml", {"formation_energy_L1_eV": 0.5}, base="na_nasicon")
        philic = {"params": str(folder / "philic.toml"), "fraction": 0.2}
        changed["interface.chemistry"] = [philic]
    if load_run(name).rest.time_s is not None:
        changed |= {"rest.time_s": 0.01, "rest.frame_every_s": 0.002}
    return changed


@pytest.mark.parametrize("name", [name if name == "strip_na" else slow(name) for name in NAMES])
def test_every_shipped_run_of_a_box_runs_with_sodium(name, alloy, tmp_path):
    run = load_run(name, _tiny(name, alloy.parent))
    t = run_to_file(run, tmp_path / "run.h5", progress=False, check_every=1000)
    assert t.finished
    assert t.metal == "Na"
    assert not [text for _, text in summary(t) if "Li " in text or " Li" in text]
    frame = t.frames[-1]
    assert set(frame.to_ase().get_chemical_symbols()) <= {"Na", "Mg"}
    assert "contact_fraction_Li" in t.samples
    if t.has_interface:
        n = t.lattice.sites_per_layer
        share = np.count_nonzero(frame.occupancy[:n] == 1) / n
        row = int(np.argmin(abs(t.samples["time_s"] - frame.time_s)))
        assert t.samples["contact_fraction_Li"][row] == pytest.approx(share)


def test_charge_is_that_of_the_larger_cell(tmp_path):
    """One electron an atom: a monolayer of (100) is e/a²."""
    t = run_to_file(
        load_run("strip_na", {"system.size": [12, 12, 12], "stop.events": 2000}),
        tmp_path / "na.h5",
        progress=False,
    )
    per_monolayer = 1.602176634e-19 / (4.2886e-8) ** 2 / 3.6
    assert t.samples["capacity_mAh_cm2"][-1] == pytest.approx(
        per_monolayer * t.samples["capacity_monolayers"][-1], rel=1e-9
    )


# --- two electrons an atom ------------------------------------------------------------------------

A_Ba = 5.028  # Å, bcc barium at room temperature
J0_Ba, KAPPA_Ba = 3.0, 12.0
BOX = {
    "system.size": [12, 12, 12],
    "acceleration.max_hops_per_strip_per_site": 1e3,
    "stop.capacity_monolayers": 0.5,
}
SMALL = {
    "upscale.domain_um": 4.0,
    "upscale.contact_angle_deg": 106.0,
    "upscale.samples_per_decade": 0,  # they begin at a charge that is the same for every metal
}
CYCLES = """
[system]
size = [12, 12, 12]
boundary = "interface"
[conditions]
electrode_thickness_um = 100.0
[acceleration]
max_hops_per_strip_per_site = 1e3
[[protocol]]
steps = ["Strip at {j} mA/cm2 until {q} mAh/cm2", "Plate at {j} mA/cm2 until {q} mAh/cm2"]
repeat = 2
"""
# Run, changes, and what is given of currents, charges (twice) and voltages (half) with barium.
TWINS = {
    "current": ("strip_na", BOX, {"conditions.current_density_mA_cm2": (1.0, 0.5)}),
    "exchange": (
        "strip_na",
        BOX | {"conditions.exchange": True},
        {"conditions.current_density_mA_cm2": (1.0, 0.5)},
    ),
    "plating": (
        "strip_na",
        BOX | {"system.vacancy_fraction": 0.05},
        {"conditions.current_density_mA_cm2": (-1.0, -0.5)},
    ),
    "voltage": (
        "strip_na",
        BOX | {"conditions.current_density_mA_cm2": None},
        {"conditions.overpotential_V": (0.01, 0.02)},
    ),
    "cycles": ("cycles", {}, {}),
    "population": (
        "upscale_li",
        SMALL,
        {
            "conditions.current_density_mA_cm2": (1.0, 0.5),
            "upscale.capacity_mAh_cm2": (0.004, 0.002),
        },
    ),
}


def _twin(metal, folder):
    """The numbers of na_nasicon with the lattice of barium, of a metal of one electron or of two.

    Exchange current is given per electron, conductivity such that ohmic drops, too, halve.
    """
    folder.mkdir(exist_ok=True)
    text = catalogue.locate("params", "na_nasicon").read_text(encoding="utf-8")
    path = folder / f"{metal}.toml"
    path.write_text(
        text.replace('["Na"]', f'["{metal}"]').replace("_Na_", f"_{metal}_"), encoding="utf-8"
    )
    z = VALENCES[metal]
    keys = ("lattice_parameter_A", "exchange_current_density_mA_cm2")
    numbers = (A_Ba, J0_Ba * z / 2, KAPPA_Ba * z**2 / 4)
    named = zip((*keys, "electrolyte_conductivity_mS_cm"), numbers, strict=True)
    return {"system.params": str(path), **{f"parameters.{key}": value for key, value in named}}


@pytest.mark.parametrize("kind", [kind if kind == "current" else slow(kind) for kind in TWINS])
def test_two_electrons_an_atom(kind, tmp_path):
    """At twice the currents, half the voltages and a fourth of the resistances, z = 2 makes a run
    what it was with z = 1: the same events at the same times, twice the charge."""
    name, changes, driven = TWINS[kind]
    found = []
    for at, metal in enumerate(("Ba", "Na")):
        if kind == "cycles":
            name = tmp_path / f"cycles_{metal}.toml"
            text = CYCLES.format(j=(1.0, 0.5)[at], q=(4e-5, 2e-5)[at])
            name.write_text(text, encoding="utf-8")
        given = changes | {key: pair[at] for key, pair in driven.items()}
        given["conditions.series_resistance_ohm_cm2"] = (0.5, 2.0)[at]
        settings = given | _twin(metal, tmp_path / metal)
        found.append(kmc.run(name, settings, output=tmp_path / f"{metal}.h5", progress=False))
        assert kmc.verify(found[-1].path).passed
    ba, na = found
    assert ba.metal == "Ba"
    assert len(ba.samples["time_s"]) == len(na.samples["time_s"]) > 3
    for column in na.samples:
        unit = unit_of(column)
        factor = {"V": 0.5, "mAh/cm2": 2.0, "mA/cm2": 2.0}.get(unit, 1.0)
        expected = factor * np.asarray(na.samples[column], dtype=float)
        np.testing.assert_allclose(ba.samples[column], expected, rtol=1e-9, err_msg=column)
    atoms_cm2 = 2 / (A_Ba * 1e-8) ** 2 / 2  # of a layer of (100)
    layer = 2 * 1.602176634e-19 * atoms_cm2 / 3.6
    charge = np.abs(ba.samples["capacity_mAh_cm2"]).max()
    if kind == "population":
        assert ba.facts["monolayer_mAh_cm2"] == pytest.approx(layer, rel=1e-9)
        stripped_um = charge * 3.6 / (2 * 1.602176634e-19) * (A_Ba * 1e-8) ** 3 / 2 * 1e4
        assert ba.samples["stripped_um"][-1] == pytest.approx(stripped_um, rel=1e-9)
    else:
        assert charge == pytest.approx(
            layer * np.abs(ba.samples["capacity_monolayers"]).max(), rel=1e-9
        )
        assert ba.frames[-1].to_ase().get_atomic_numbers().max() == 56


@pytest.mark.slow
@pytest.mark.parametrize("name", POPULATIONS)
def test_every_shipped_population_runs_with_sodium(name, alloy, tmp_path):
    run = load_run(name)
    params = str(alloy) if "Mg" in run.parameter_set().species else "na_nasicon"
    settings = {"system.params": params, "upscale.contact_angle_deg": 106.0}
    settings |= {"upscale.domain_um": 5.0, "upscale.replicas": 1}
    if run.upscale.nucleation == "flaws":
        settings["upscale.flaw_density_per_um2"] = 0.1
    if not run.has_protocol:
        settings["upscale.capacity_mAh_cm2"] = 0.001
    found = kmc.run(name, settings, output=tmp_path / "run.h5", progress=False)
    assert found.metal == "Na"
    assert kmc.verify(found.path).passed
    texts = [text.replace("inferred from lithium cells, not Na", "") for _, text in found.summary()]
    assert not [text for text in texts if "Li " in text or "lithium" in text]


@pytest.mark.slow
def test_a_population_of_sodium(tmp_path):
    """One electron an atom of a³/2: the thickness that a charge takes away."""
    settings = {
        "system.params": "na_nasicon",
        "upscale.domain_um": 4.0,
        "upscale.capacity_mAh_cm2": 0.002,
        "upscale.contact_angle_deg": 106.0,
    }
    found = kmc.upscale("upscale_li", settings, output=tmp_path / "na.h5", progress=False)
    atoms_cm2 = 0.002 * 3.6 / 1.602176634e-19
    stripped_um = atoms_cm2 * (4.2886e-8) ** 3 / 2 * 1e4
    assert found.samples["stripped_um"][-1] == pytest.approx(stripped_um, rel=1e-9)
    assert kmc.verify(found.path).passed
