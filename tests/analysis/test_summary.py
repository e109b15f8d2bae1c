"""The summary: what it says, and that it stays readable."""

from __future__ import annotations

import io
import math

import fake
import numpy as np
import pytest
from cli_calls import output_of
from rich.console import Console

import kmc
from kmc import load
from kmc.cli.shared import print_panel
from kmc.model.parameters import load_parameters
from kmc.systems.electrode.summary import summary

QUIET = {"current": 0.0, "ratio": None, "floor_eV": 0.0}


def printed(trajectory, width=80, **options) -> str:
    console = Console(file=io.StringIO(), width=width, highlight=False, **options)
    print_panel(trajectory, summary(trajectory), console)
    return console.file.getvalue()


def words(trajectory) -> str:
    """The summary as one running text with plain spaces."""
    text = " ".join(f"{name}: {text}" for name, text in summary(trajectory))
    return text.replace("\u00a0", " ")


@pytest.fixture(scope="module")
def stripped(tmp_path_factory):
    box = fake.lattice(cells=(24, 24), layers=16)
    return load(fake.write(tmp_path_factory.mktemp("report") / "strip_li.h5", box=box))


def test_says_what_a_battery_scientist_asks(stripped):
    text = words(stripped)
    samples = stripped.samples
    assert "Ended: capacity of 2 monolayers reached" in text
    assert "Stripped: 2 monolayers, 7.2e-5 mAh/cm²" in text
    assert f"→ {100 * samples.contact_fraction[-1]:.3g} % of the interface" in text
    assert "2 in the last frame, the largest" in text
    assert f"→ {samples.vacancies[-1]} in the box" in text
    assert f"{1e3 * samples.overpotential_V[-1]:.3g} mV" in text
    assert "520 ms, 25 000 events" in text
    assert "21.5 for each stripped atom" in text
    assert "barriers were raised to at least 0.2 eV" in text
    assert "1e5 times as frequent" in text
    assert "Li: true barrier 0.055 eV, slowed 282 times" in text


def test_inputs_without_a_source_are_named_where_they_act(tmp_path):
    box = fake.lattice()
    settings = fake.resolved(box)
    values = load_parameters("li_dilatometry").resolved()
    assert values["creep_exponent"]["from_memory"]
    assert "from_memory" not in values["barrier_Li_eV"]

    def inputs(name):
        path = fake.write(tmp_path / name, box=box, settings=settings | {"parameters": values})
        return dict(kmc.load(path).summary(full=True))["Inputs"]

    text = inputs("a.h5")
    assert text.startswith("from memory, not looked up: exchange_current_density_mA_cm2; assumed:")
    assert "formation_energy_L1_eV, formation_energy_bulk_eV" in text
    settings["run"]["conditions"]["stack_pressure_MPa"] = 1.0
    assert "creep_activation_energy_kJ_mol, creep_exponent, creep_reference" in inputs("b.h5")
    settings["run"]["conditions"]["current_density_mA_cm2"] = 0.0
    assert "exchange_current" not in inputs("c.h5")


@pytest.mark.parametrize("width", [60, 80, 120])
def test_piped_output_keeps_its_frame_and_its_numbers(stripped, width):
    lines = printed(stripped, width).splitlines()
    assert all(len(line) <= width for line in lines)
    assert len({len(line) for line in lines}) == 1
    assert not any("\x1b" in line for line in lines)
    inside = [line.strip("│ ") for line in lines]
    assert not any(line.startswith(("mAh/cm²", "mA/cm²", "nm", "eV", "%")) for line in inside)
    assert "strip_li.h5" in lines[0]


def test_colour_only_on_a_terminal(stripped):
    assert "\x1b[" in printed(stripped, force_terminal=True, color_system="standard")


def test_magnesium(tmp_path):
    box = fake.lattice(cells=(12, 12))
    text = words(load(fake.write(tmp_path / "mg.h5", box=box, species=("Li", "Mg"))))
    assert "; by Li " in text
    assert "Li beside Mg: true barrier 0.061 eV" in text
    assert "Mg: true barrier 0.102 eV" in text
    assert "L1 began as random as the bulk, an input that nobody has measured" in text
    assert "compare values of system.mg_coverage_L1" in text


@pytest.mark.parametrize(("coverage", "said"), [(0.6, "with 60 % Mg"), ("equilibrium", None)])
def test_the_first_layer_of_an_alloy(tmp_path, coverage, said):
    settings = fake.resolved(fake.lattice(), species=("Li", "Mg"))
    settings["run"]["system"]["mg_coverage_L1"] = coverage
    text = words(load(fake.write(tmp_path / "mg.h5", species=("Li", "Mg"), settings=settings)))
    assert ("Alloy: L1 began" in text) == (said is not None)
    assert said is None or said in text


def test_unfinished_says_how_to_go_on(tmp_path):
    text = words(load(fake.write(tmp_path / "a.h5", finished=None)))
    assert "Not finished: still running, or killed; kmc resume a.h5 goes on from here" in text
    text = words(load(fake.write(tmp_path / "b.h5", finished=False, stop_reason="interrupted")))
    assert "Not finished: interrupted; kmc resume b.h5 goes on from here" in text


def test_no_electroactive_atom(tmp_path):
    path = fake.write(tmp_path / "inf.h5", last={"overpotential_V": math.inf})
    text = words(load(path))
    assert "mV at the end" in text
    assert "; unlimited at the end: no atom is electroactive" in text


def test_no_current_and_no_interface(tmp_path):
    box = fake.lattice()
    settings = fake.resolved(box, **QUIET)
    rest = load(
        fake.write(tmp_path / "rest.h5", box=box, settings=settings, monolayers=0, time_s=3e-9)
    )
    text = words(rest)
    assert "no current" in text
    assert "Contact:" in text
    assert "Simulated: 3 ns" in text
    assert "Kinetics: exact: no barrier was raised" in text
    for absent in ("Stripped:", "Overpotential", "stripped atom"):
        assert absent not in text

    box = fake.lattice(boundary="periodic")
    settings = fake.resolved(box, **QUIET)
    bulk = load(
        fake.write(tmp_path / "bulk.h5", box=box, settings=settings, monolayers=0, time_s=3e-9)
    )
    text = words(bulk)
    assert "periodic (no interface)" in text
    assert "Contact:" not in text
    assert "of the contact" not in text
    printed(bulk)


def test_little_written_yet(tmp_path):
    empty = load(fake.write(tmp_path / "empty.h5", n_frames=0, finished=None))
    assert "Samples: none yet" in words(empty)
    printed(empty)
    one = load(fake.write(tmp_path / "one.h5", n_frames=1, monolayers=0.0, finished=None))
    text = words(one)
    assert "Voids: none of 4 vacancies or more" in text
    assert "stripped atom:" not in text


def test_voids_of_an_earlier_frame_are_dated(tmp_path):
    box = fake.lattice(cells=(24, 24), layers=16)
    path = fake.write(tmp_path / "a.h5", box=box, n_frames=3, extra_samples=2, finished=None)
    assert "in the last frame, at 1.6" in words(load(path))


def test_all_numbers_are_a_table_without_what_is_negligible(stripped):
    """They were forty lines of clauses, with a constriction of some nanovolts."""
    text = output_of("info", stripped.path, "--all")
    rows = [line.split() for line in text[text.index("start") :].splitlines()]
    last = {row[0]: row[1:] for row in rows if row}
    volts = stripped.samples.overpotential_V
    assert last["overpotential_V"][-1] == "V"
    assert float(last["overpotential_V"][1]) == pytest.approx(volts[-1], rel=5e-3)
    for name in (name for name in stripped.samples if name.endswith("_V")):
        largest = np.abs(stripped.samples[name]).max()
        assert (name in last) == (largest > 1e-3 * np.abs(volts).max())
    assert len({"phase", "step"} & last.keys()) == 0
