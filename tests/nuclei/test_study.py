"""`kmc.nucleation` and `kmc nucleation`: conditions, results, files and messages."""

from __future__ import annotations

import json
import math
import re

import numpy as np
import pytest
from click.testing import CliRunner

import kmc
from kmc.cli.app import main
from kmc.errors import InputError
from kmc.model.parameters import load_parameters
from kmc.nuclei.nucleation_conditions import conditions_of, equilibrium_coverage
from kmc.nuclei.surface import Surface

QUICK = {"n_max": 12, "steps": 60_000, "walkers": 3, "progress": False}


@pytest.fixture(scope="module")
def found():
    return kmc.nucleation("li_li2s", currents_mA_cm2=(0.5, 5.0), **QUICK)


@pytest.fixture(scope="module")
def alloy():
    return kmc.nucleation(
        "limg_li2s",
        mg_coverage=0.3,
        currents_mA_cm2=(0.5, 5.0),
        coverages=(0.1,),
        temperatures_K=(333.15,),
        maps=2,
        **QUICK,
    )


def test_a_current_has_one_density_in_the_table_and_below_it(found):
    assert found.scan.bursts[0].density_per_um2 == found.burst.density_per_um2


def test_conditions_of_a_run():
    run = conditions_of("strip_limg")
    assert (run.lattice, run.temperature_K, run.thickness_um) == ("bcc_100", 298.15, 100.0)
    assert (run.mg_coverage, run.mg_fraction, run.current_mA_cm2) == (0.6, 0.03, 0.5)
    assert conditions_of("face_110").lattice == "bcc_110"
    assert conditions_of("temperature_60C").temperature_K == pytest.approx(333.15)
    assert conditions_of("li_li2s").current_mA_cm2 == 0.5


def test_conditions_of_files(tmp_path):
    run = tmp_path / "mine.toml"
    run.write_text(
        '[system]\nparams = "limg_li2s"\nmg_fraction = 0.03\nmg_coverage_L1 = "equilibrium"\n'
        "[conditions]\ntemperature_K = 400\n[stop]\ncapacity_monolayers = 1\n"
    )
    found = conditions_of(run)
    assert found.temperature_K == 400
    assert 0.99 < found.mg_coverage < 1
    with pytest.raises(InputError, match="neither a shipped parameter set nor a shipped run"):
        conditions_of("li_li2")


def test_coverage_in_equilibrium():
    """Langmuir and McLean with the 0.5 eV by which the DFT energies prefer Mg in L1."""
    surface = Surface(load_parameters("limg_li2s"), "bcc_100", 1200.0)
    h = surface.hamiltonian
    gain_eV = (h.binding_ueV(2, 1) - h.binding_ueV(1, 1)) / 1e6
    gain_eV -= (h.bulk_binding_ueV(2) - h.bulk_binding_ueV(1)) / 1e6
    assert 0.3 < gain_eV < 0.7
    odds = 0.03 / 0.97 * math.exp(gain_eV / (8.617333e-5 * 1200))
    assert equilibrium_coverage(surface, 0.03) == pytest.approx(odds / (1 + odds), rel=1e-3)


def test_what_must_stand_beside_the_results(found):
    text = "\n".join(found.statements())
    for piece in ("property of this parameter set", "94 kT", "160 mV", "flaws"):
        assert piece in text
    assert "none" not in text  # whether any nucleate is said by the burst alone


def test_how_near_a_sink_may_be(found):
    """Printed distances hold S at the burst's and at the threshold: S − 1 is linear in them."""
    line = next(line for line in found.statements() if line.startswith("Vacancies end"))
    far, burst_um, nearest_um = map(float, re.findall(r"([\d.]+)\sµm", line))
    assert far == 100.0
    for distance_um, S in ((burst_um, found.burst.S), (nearest_um, found.threshold_S)):
        held = found.model.transport.supersaturation(0.5, distance_um * 1e-4)
        assert held - 1 == pytest.approx(S - 1, rel=0.05)  # two digits are printed
    assert 10 < burst_um < 14


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ("current_density_mA_cm2 = 0.0", "strips at no given current"),
        ("overpotential_V = 0.05", "strips at no given current"),
        ("electrode_thickness_um = inf", "no other sink"),
    ],
)
def test_a_run_without_current_or_sink_needs_one(tmp_path, keys, message):
    """0.5 mA/cm² and 100 µm used to be taken in silence."""
    run = tmp_path / "mine.toml"
    run.write_text(f"[system]\nvacancy_fraction = 0.01\n[conditions]\n{keys}\n[stop]\nevents = 5\n")
    with pytest.raises(InputError, match=message):
        conditions_of(run)
    given = conditions_of(run, current_mA_cm2=2.0, sink_depth_um=3.0)
    assert (given.current_mA_cm2, given.sink_depth_um) == (2.0, 3.0)
    assert given.sink_distance_um == pytest.approx(3.0)


def test_sinks_of_a_run(tmp_path):
    run = tmp_path / "mine.toml"
    run.write_text(
        "[conditions]\nsink_length_um = 5\nsink_depth_um = 3\n[stop]\ncapacity_monolayers = 1\n"
    )
    found = conditions_of(run)
    assert found.sinks_um == {"thickness_um": 100.0, "sink_length_um": 5, "sink_depth_um": 3}
    assert found.sink_distance_um == pytest.approx(1 / (1 / 5 + 1 / 3))


def test_a_protocol_strips_at_its_largest_current():
    assert conditions_of("cycle_li").current_mA_cm2 == 0.5


@pytest.mark.parametrize("name", ["li_neutral", "li_philic_008"])
def test_voids_that_barely_touch_the_interface(name):
    """Sets that bind the metal well: clusters stay round, and everything is still a number."""
    found = kmc.nucleation(name, currents_mA_cm2=(0.5,), **{**QUICK, "n_max": 20})
    assert np.isfinite(found.model.radius_cm(np.geomspace(1, 1e9, 50))).all()
    assert np.isfinite([found.burst.S, found.threshold_mA_cm2]).all()


def test_a_face_that_is_not_wetted_is_told():
    found = kmc.nucleation("li_li2s", lattice="bcc_110", currents_mA_cm2=(0.5,), **QUICK)
    assert any("does not wet bcc_110" in line for line in found.statements())


def test_numbers_as_json(found):
    data = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert data["temperature_K"] == 298.15
    assert data["lattice"] == "bcc_100"
    assert data["mg_coverage"] == 0.0
    assert len(data["ln_Z"]) == len(data["ln_Z_error"]) == 12
    assert data["ln_Z"][0] == pytest.approx(-10.898, abs=1e-3)
    assert data["ln_Z_error"][:7] == [0.0] * 7
    assert data["barrier_kT"]["100"] == found.model.barrier_kT(100)
    assert data["critical_size"]["100"] == 10
    assert set(data["burst"]) >= {"density_per_um2", "S", "time_s"}
    assert [b["current_mA_cm2"] for b in data["burst_by_current"]] == [0.5, 5.0]


def test_dataset_and_picture(found):
    ds = found.to_xarray()
    assert ds.ln_Z.dims == ("n",)
    assert ds.work_kT.dims == ("S", "n")
    assert ds.density_per_um2.attrs["units"] == "1/µm2"
    np.testing.assert_allclose(ds.barrier_kT.sel(S=50.0), found.model.barrier_kT(50))
    assert (ds.density_low_per_um2 <= ds.density_high_per_um2).all()
    assert len(found.plot().axes) == 2


@pytest.mark.slow
def test_alloy(alloy):
    """The walk among held Mg agrees with the mean within what maps differ by, from any start."""
    maps = alloy.quenched
    assert maps.ln_Z.shape == (2, 2, 12)
    assert maps.sites == 4096
    assert np.abs(maps.mean - alloy.free.ln_Z)[:8].max() < 0.5
    assert maps.start_difference[:10].max() < 0.3
    assert len(alloy.plot().axes) == 4  # three panels, one with two scales
    assert alloy.by_coverage[0].conditions.mg_coverage == 0.1
    assert alloy.by_coverage[0].model.barrier_kT(100) < alloy.model.barrier_kT(100)
    assert alloy.by_temperature[0].conditions.temperature_K == 333.15
    data = alloy.to_json()
    assert len(data["quenched_maps"]["ln_Z_mean"]) == 12
    assert len(data["by_coverage"]) == len(data["by_temperature"]) == 1
    json.dumps(data, allow_nan=False)


def run(*arguments):
    return CliRunner().invoke(main, ["nucleation", *arguments])


def test_command(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("kmc.nuclei.clusters.STEPS_PER_SIZE", 4_000)
    done = run("li_li2s", "--n-max", "10", "--json", "out.json")
    assert done.exit_code == 0, done.output
    assert "1\u00a0state of the interface, about 20\u00a0s of processor" in done.stderr
    for piece in ("ln Z_n", "-10.898", "exact", "voids per µm²", "Homogeneous nucleation"):
        assert piece in done.output
    assert (tmp_path / "li_li2s_nucleation.png").stat().st_size > 10_000
    assert len(json.loads((tmp_path / "out.json").read_text())["ln_Z"]) == 10
    again = run("li_li2s", "--n-max", "10")
    assert again.exit_code == 2
    assert "exists already" in again.output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("li_li2",), "Did you mean 'li_li2s'?"),
        (("nowhere.toml",), "no such file"),
        (("li_li2s", "--mg-coverage", "0.3"), "has no Mg"),
        (("limg_li2s", "--mg-coverage", "1"), "mg_coverage = 1"),
        (("limg_li2s", "--coverages", "0.2,many"), "is no list of numbers"),
        (("limg_li2s", "--coverages", "0.2,1.5"), "mg_coverage = 1.5"),
        (("li_li2s", "--temperature", "0"), "temperature_K"),
        (("li_li2s", "--temperature", "nan"), "temperature_K"),
        (("li_li2s", "--current", "-1"), "current_mA_cm2"),
        (("li_li2s", "--thickness", "inf"), "thickness_um"),
        (("li_li2s", "--n-max", "3"), "n_max = 3"),
        (("li_li2s", "--lattice", "fcc"), "fcc"),
        (("lattice_gas",), "lattice gas"),
        (("li_li2s", "-o", "picture.txt"), "ends in .txt"),
    ],
)
def test_bad_input_is_told_without_a_traceback(arguments, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = run(*arguments)
    assert done.exit_code == 2, done.output
    assert said in done.output
    assert "Traceback" not in done.output
    assert not list(tmp_path.iterdir())


def test_help_teaches():
    done = run("--help")
    assert done.exit_code == 0
    assert "kmc nucleation limg_li2s --mg-coverage 0.3" in done.output
