"""Runs of a deposition: file, checks, pictures, commands, cycling."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import shipped
from click.testing import CliRunner
from table_files import rewrite

import kmc
from kmc import plotting
from kmc.analysis.coulombic import aurbach_of, net_by_step
from kmc.analysis.shapes import labels
from kmc.cli.app import main
from kmc.errors import InputError
from kmc.model.dft_check import adatom_rows
from kmc.model.electrochemistry import strip_rate_Hz
from kmc.model.parameters import load_parameters
from kmc.plotting.deposition_panels import DEPOSITION_PICTURES
from kmc.plotting.report import report
from kmc.runfile.load import load_run
from kmc.runfile.protocol import plan_of, stored_blocks
from kmc.systems import SYSTEMS
from kmc.systems.deposition import shape
from kmc.systems.run import run_to_file

SMALL = {
    "system.size": [12, 12, 16],
    "stop.capacity_monolayers": 2,
    "acceleration.max_hops_per_strip_per_site": 1e4,
    "output.sample_every_monolayers": 0.25,
    "output.frame_every_monolayers": 1,
}
SIZE = {"system.size": [24, 24, 16], "stop.capacity_monolayers": 1}
RATIO = "acceleration.max_hops_per_strip_per_site"
SYSTEM_RUNS = [name for name, kind in shipped.kinds().items() if kind == "deposition"]


@pytest.fixture(scope="module")
def plated(tmp_path_factory):
    """Islands of ZnO on carbon, two monolayers."""
    path = tmp_path_factory.mktemp("plated") / "plated.h5"
    islands = {**SMALL, "deposition.island_diameter_nm": [1, 1.5]}
    return kmc.run("plate_zno_on_carbon", islands, output=path, progress=False)


@pytest.fixture(scope="module")
def cycled(tmp_path_factory):
    """Aurbach's protocol on ZnO (002)."""
    path = tmp_path_factory.mktemp("cycled") / "cycled.h5"
    small = {"system.size": [10, 10, 16], "acceleration.max_hops_per_strip_per_site": 1e4}
    return kmc.run("aurbach_zno_002", small, output=path, progress=False)


@pytest.mark.parametrize(("name", "keys", "took_s"), [
    # Seconds of a core, without what starting takes.
    ("plate_carbon", {}, 5.0),
    ("plate_zno_on_carbon", {}, 10.7),
    ("plate_carbon", {**SIZE, RATIO: 1e6}, 0.13),
    ("plate_carbon", {**SIZE, RATIO: 1e8}, 3.0),
    ("plate_carbon", {**SIZE, RATIO: math.inf}, 0.66),
])  # fmt: skip
def test_the_time_of_a_run_is_estimated_from_its_inputs(name, keys, took_s):
    """Depositions of a second were said to take 30 s."""
    found_s = SYSTEMS["deposition"].seconds(load_run(name, keys))
    assert took_s / 2 < found_s - 0.5 < 2 * took_s


def test_the_size_of_a_file_is_estimated_from_its_inputs(plated):
    run = load_run("plate_zno_on_carbon", SMALL)
    size = plated.path.stat().st_size
    assert size / 2 < SYSTEMS["deposition"].file_bytes(run) < 2 * size


def test_a_run_records_what_was_plated(plated):
    s = plated.samples
    assert plated.finished
    assert plated.stop_reason == "capacity_monolayers reached 2"
    assert s["plated"][-1] == 2 * 12 * 12
    assert (s["atoms"] == s["plated"]).all()
    assert len(s["time_s"]) == 9
    assert list(plated.frames["sample"]) == [0, 4, 8]
    assert plated.constants["substrate"].sum() == round(0.3 * 144)
    assert plated.frames["occupied"][-1].sum() == 288
    seconds = 2 / strip_rate_Hz(1.0, plated.facts["spacing_A"] ** 2)
    assert s["time_s"][-1] == pytest.approx(seconds, rel=4 / np.sqrt(288))
    assert "deposition" in repr(plated)


def test_equal_seeds_give_equal_bytes(plated, tmp_path):
    changes = {**SMALL, "deposition.island_diameter_nm": [1, 1.5]}
    again = kmc.run("plate_zno_on_carbon", changes, output=tmp_path / "again.h5", progress=False)
    assert again.path.read_bytes() == plated.path.read_bytes()
    changes["random.seed"] = 2
    other = kmc.run("plate_zno_on_carbon", changes, output=tmp_path / "other.h5", progress=False)
    assert other.samples["hops"][-1] != plated.samples["hops"][-1]


@pytest.mark.parametrize("which", ["plated", "cycled"])
def test_verify_passes_and_finds_a_changed_number(which, request, tmp_path):
    found = request.getfixturevalue(which)
    assert kmc.verify(found.path).passed
    for name in ("coverage", "atoms", "islands", "dead_Li", "roughness_layers"):
        broken = tmp_path / f"{name}.h5"

        def edit(arrays, name=name):
            arrays[f"samples/{name}"][-1] += 1

        rewrite(found.path, broken, edit)
        assert not kmc.verify(broken).passed


def test_the_charge_is_balanced_to_the_atom(cycled):
    s = cycled.samples
    assert (s["plated"] - s["stripped"] == s["atoms"]).all()
    for i, row in enumerate(cycled.frames["sample"]):
        assert cycled.frames["occupied"][i].sum() == s["atoms"][row]
    plan = plan_of(stored_blocks(cycled.run))
    net, _ = net_by_step(cycled)
    assert list(net) == [planned.number for planned in plan]
    plated = [net[planned.number] for planned in plan if planned.step.do == "plate"]
    assert -sum(plated) == s["plated"][-1]


def test_what_zno_002_holds_beyond_the_cutoff_stays(cycled):
    """A lone atom on ZnO (002) is held by 3.40 − 1.63 = 1.77 V more than in lithium, above 1 V."""
    assert cycled.samples["coverage"][-1] == 1.0
    assert cycled.samples["atoms"][-1] == 100
    assert net_by_step(cycled)[0][2] == 200  # of 300: one layer stays
    # Counted apart: formation keeps the layer, and nothing more is lost in the cycles.
    assert aurbach_of(cycled) == (1.0, pytest.approx(2 / 3), 0)


def test_islands_are_connected_over_the_edges():
    there = np.zeros((5, 5), dtype=bool)
    there[0, 0] = there[4, 0] = there[2, 2] = there[0, 4] = True
    assert labels(there, (0, 1))[1] == 2
    assert labels(there, ())[1] == 4
    assert labels(np.zeros((3, 3), dtype=bool), (0, 1))[1] == 0


def test_shape_of_a_known_deposit():
    occupied = np.zeros((4, 6, 6), dtype=np.uint8)
    occupied[:2, 1:3, 1:3] = 1  # an island of 2 × 2 columns and two layers
    occupied[2, 4, 4] = 1  # one atom in the electrolyte
    found = shape.describe(occupied, 0.5)
    assert found["atoms"] == 9
    assert found["dead_Li"] == 1
    assert found["islands"] == 2
    assert found["coverage"] == pytest.approx(4 / 36)
    assert found["island_height_layers"] == pytest.approx(11 / 5)
    assert found["max_height_layers"] == 3
    assert found["islands_per_um2"] == pytest.approx(2 / (36 * 0.25e-6))


@pytest.mark.slow
@pytest.mark.parametrize("what", DEPOSITION_PICTURES)
def test_every_picture_is_drawn(plated, cycled, what, tmp_path):
    for runs in ([plated], [plated, cycled]):
        picture = SYSTEMS["deposition"].plot(runs, what)
        plotting.save(picture, tmp_path / "picture.png")
        shown = [axes for axes in picture.axes if axes.get_visible()]
        assert all(axes.get_ylabel() for axes in shown)
    with pytest.raises(InputError, match="no picture 'lifelines'"):
        plated.plot("lifelines")


@pytest.mark.slow
def test_commands_know_such_a_file(plated, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def call(*words):
        return CliRunner().invoke(main, [str(word) for word in words])

    assert len(call("info", plated.path).output.splitlines()) <= 10  # eight lines in a frame
    shown = call("info", plated.path, "--all")
    assert "Raised barriers" in shown.output
    assert "li_zno_002" in shown.output
    assert json.loads(call("info", plated.path, "--json").output)["system"] == "deposition"
    assert "passes" in call("verify", plated.path).output
    assert call("plot", plated.path, "--what", "map", "-o", "map.png").exit_code == 0
    assert call("movie", plated.path, "--frames", "0,-1", "-o", "film.gif").exit_code == 0
    assert call("export", plated.path, "--what", "samples", "-o", "s.csv").exit_code == 0
    for words in (
        ("resume", plated.path),
        ("export", plated.path, "-o", "a.xyz"),
        ("extend", plated.path, "--set", "conditions.temperature_K=300"),
    ):
        refused = call(*words)
        assert refused.exit_code == 2, refused.output
        assert "Traceback" not in refused.output
        assert "Error" in refused.output


def test_run_from_the_command_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = ["run", "plate_lizn", "-o", "mine.h5"]
    for key, value in SMALL.items():
        words += ["--set", f"{key}={value}"]
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 0, done.output
    assert (tmp_path / "mine.png").stat().st_size > 5000
    assert "kmc plot mine.h5 --what map" in done.output
    assert CliRunner().invoke(main, words).exit_code == 2  # it exists


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"system.params": "li_li2s"}, "a substrate needs adsorption_energy_eV"),
        ({"deposition.island_params": "nothing"}, "not among the shipped params"),
        ({"system.lattice": "bcc_110"}, "has no meaning in a run with .deposition"),
        ({"conditions.overpotential_V": 0.1}, "overpotential_V.* has no meaning"),
        ({"conditions.current_density_mA_cm2": 0}, "nothing is plated"),
        ({"stop.capacity_monolayers": None}, "never ends"),
        ({"stop.time_s": 1}, "time_s.* has no meaning"),
        ({"acceleration.saddle_floor_eV": 0.3}, "exclude each other"),
        ({"upscale.domain_um": 1}, "exclude each other"),
        ({"deposition.island_diameter_nm": [3, 2]}, "island_diameter_nm"),
        ({"system.size": [1000, 1000, 1000]}, "is 1000000000 sites"),
        ({"parameters.adsorption_energy_eV": -1}, "out of range"),
    ],
)
def test_what_cannot_be_run(changes, message):
    with pytest.raises(InputError, match=message):
        load_run("plate_zno_002", changes)


def test_more_frames_than_a_file_can_hold_are_refused_before_the_run(tmp_path):
    many = {
        "system.size": [120, 120, 100],
        "stop.capacity_monolayers": 90,
        "output.frame_every_monolayers": 1e-6,
    }
    with pytest.raises(InputError, match=r"makes 1.3e\+06 frames") as refused:
        kmc.run("plate_carbon", many, output=tmp_path / "run.h5", progress=False)
    assert "Use 0.000139 or more" in refused.value.advice
    assert not list(tmp_path.iterdir())


def test_a_protocol_has_no_held_voltage():
    with pytest.raises(InputError, match="neither held voltages"):
        load_run("aurbach_zno_002", {"protocol.blocks": ["Hold at 0.1 V for 1 s"]})


def test_a_population_or_a_box_is_not_run_as_a_system(tmp_path):
    with pytest.raises(InputError, match="is a deposition, not a box of atoms"):
        run_to_file(load_run("plate_zno_002"), tmp_path / "a.h5", kind="electrode")


SUBSTRATES = [
    *("li_carbon", "li_lizn", "li_zno_002", "li_zno_020", "li_zno_202", "li_graphene"),
    *("li_lizn_112", "li_lizn_220", "li_zno_002_computed", "li_zno_020_computed"),
]


@pytest.mark.parametrize("name", SUBSTRATES)
def test_parameter_sets_of_substrates(name):
    parameters = load_parameters(name)
    rows = adatom_rows(parameters)
    assert all(row.ok for row in rows if row.ok is not None)
    assert sum(row.ok is not None for row in rows) == 5


def test_numbers_of_the_paper():
    """Adsorption on three faces of ZnO and the barrier on LiZn, doi:10.1038/s41467-025-60609-4."""
    given = {
        ("li_zno_002", "adsorption_energy_eV"): 3.40,
        ("li_zno_020", "adsorption_energy_eV"): 1.61,
        ("li_zno_202", "adsorption_energy_eV"): 4.32,
        ("li_lizn", "surface_barrier_eV"): 0.017,
    }
    for (name, key), value in given.items():
        quantity = load_parameters(name)[key]
        assert quantity.value == value
        assert not quantity.assumed
    for name in ("li_zno_002", "li_zno_020", "li_zno_202"):
        assert load_parameters(name)["surface_barrier_eV"].assumed


@pytest.mark.slow
@pytest.mark.parametrize("name", SYSTEM_RUNS)
def test_the_whole_run(name, tmp_path):
    found = run_to_file(load_run(name), tmp_path / "run.h5", progress=False)
    assert found.finished
    assert kmc.verify(found.path).passed


@pytest.mark.slow
def test_a_report_shows_its_pictures_and_numbers(plated, tmp_path):
    page = report(plated.path, tmp_path / "page.html").read_text("utf-8")
    assert "A deposition (kmc run)" in page
    assert page.count("<img") == len(DEPOSITION_PICTURES)
    assert "Not drawn" not in page
    assert "coverage" in page
