"""Other bcc metals than lithium: their sets, files, labels and every kind of run."""

from __future__ import annotations

import numpy as np
import pytest
from marks import slow

import kmc
from kmc.analysis.summary import summary
from kmc.common import catalogue
from kmc.errors import InputError
from kmc.model.dft_check import check_rows
from kmc.model.parameter_file import template, write_parameters
from kmc.model.parameters import load_parameters
from kmc.runfile.load import load_run
from kmc.systems.electrode.run import run_to_file

NAMES = [
    name
    for name in catalogue.names("runs")
    if not name.startswith(("study_", "upscale_")) and load_run(name).kind == "electrode"
]


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
