"""The README is true: every command and every Python block in it runs, and its numbers hold.

The lines that install and test kmc are run by `.ci/run`, in a fresh environment. Running the others
takes a minute or two and waits for the slow suite.
"""

from __future__ import annotations

import re
from pathlib import Path

import click
import numpy as np
import pytest
from pages import blocks, call, commands, python

import kmc
from kmc.analysis import voids
from kmc.cli import main
from kmc.model.electrochemistry import capacity_mAh_cm2
from kmc.model.lattice import Lattice
from kmc.model.model import Model
from kmc.model.parameters import load_parameters

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
VOLTAGES = (ROOT / "docs/model/electrochemistry.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "words",
    [words for _, text in blocks(README, "sh") for words in commands(text)],
    ids=" ".join,
)
def test_every_command_is_one(words):
    """Its name and options exist, and the values of the options are possible."""
    command, arguments = main, words[1:]
    while isinstance(command, click.Group):
        command, arguments = command.commands[arguments[0]], arguments[1:]
    command.make_parser(click.Context(command, help_option_names=["-h", "--help"])).parse_args(
        arguments
    )


def test_it_has_the_lines_that_ci_runs():
    """`.ci/run` takes set-up, main job and tests from here, and refuses a page without them."""
    script = (ROOT / ".ci/run").read_text(encoding="utf-8")
    lines = re.findall(r"in_readme '(.+)'", script)
    assert len(lines) == 2
    assert set(lines) <= set(README.splitlines())


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder in which everything of the README has been run, from top to bottom."""
    folder = tmp_path_factory.mktemp("readme")
    for language, text in blocks(README):
        if language == "python":
            python(text, folder)
        else:
            for words in commands(text):
                call(words, folder)
    return folder


def table_row(label: str) -> list[str]:
    """Cells of a row of the table of ratios, without its label."""
    line = next(line for line in README.splitlines() if line.startswith(f"| {label}"))
    return [cell.strip() for cell in line.strip("| ").split("|")][1:]


# --- what it says ---------------------------------------------------------------------------------


@pytest.mark.slow
def test_everything_in_it_runs(folder):
    written = {path.name for path in folder.iterdir()}
    for name in ("strip_li", "strip_li_hops", "cell_li", "my_run", "warm", "strip_limg", "second"):
        assert f"{name}.h5" in written
    assert {"my_run.toml", "strip_li.png", "warm.png"} <= written


@pytest.mark.slow
def test_numbers_of_the_shipped_ratio(folder):
    """Voids and contact of strip_li_hops.

    The README has means of 12 seeds; single runs scatter around them by 1.2 and 0.6 voids, 0.034 of
    contact and 1.4 mV (standard deviations).
    """
    t = kmc.load(folder / "strip_li_hops.h5")
    early, late, contact = table_row("1e6")
    assert t.acceleration["max_hops_per_strip_per_site"] == 1e6
    assert t.frames[1].capacity_monolayers == pytest.approx(0.2, abs=0.01)
    counts = [len(voids.find(t.frames[i].occupancy, t.lattice)) for i in (1, -1)]
    assert counts[0] == pytest.approx(int(early), abs=4)
    assert counts[1] == pytest.approx(int(late), abs=3)
    assert t.samples.contact_fraction[-1] == pytest.approx(float(contact), abs=0.06)


@pytest.mark.slow
def test_numbers_of_the_limit(folder):
    """One void, and the contact and S of it; facets make the contact uncertain by 0.03."""
    t = kmc.load(folder / "strip_li.h5")
    early, late, contact = table_row("inf")
    assert [len(voids.find(t.frames[i].occupancy, t.lattice)) for i in (1, -1)] == [
        int(early),
        int(late),
    ]
    assert t.samples.contact_fraction[-1] == pytest.approx(float(contact), abs=0.03)
    assert t.samples.vacancy_activity[-1] == pytest.approx(2, abs=0.8)


@pytest.mark.slow
def test_what_it_says_of_overpotential_and_size(folder):
    t = kmc.load(folder / "strip_li.h5")
    start, end = re.search(r"from (\d+) mV to about\s+(\d+) mV", README).groups()
    volts = t.samples.overpotential_charge_transfer_V
    assert 1e3 * volts[0] == pytest.approx(float(start), abs=0.5)
    assert 1e3 * volts[-1] == pytest.approx(float(end), abs=1.5)
    by_contact = np.argsort(-t.samples.contact_fraction)
    assert np.all(np.diff(volts[by_contact]) >= 0)  # what the contact costs never falls
    peak = float(re.search(r"peak of\s+about (\d+) mV", README)[1])
    concentration = t.samples.overpotential_concentration_V
    assert 1e3 * concentration.max() == pytest.approx(peak, abs=10)
    assert concentration[-1] < concentration.max() - 0.02
    wagner_mm = float(re.search(r"Wagner length .*? = (\S+) mm", VOLTAGES)[1])
    settings = t.resolved["charge_transfer"]
    assert settings["wagner_length_um"] / 1e3 == pytest.approx(wagner_mm, abs=0.05)
    width = re.search(r"The box is (\d+) nm wide", README)[1]
    assert t.lattice.box_A[0] / 10 == pytest.approx(float(width), abs=0.5)
    charge = re.search(r"strips (\S+) mAh/cm²", README)[1]
    assert t.samples.capacity_mAh_cm2[-1] == pytest.approx(float(charge), rel=0.05)
    area = t.lattice.box_A[0] * t.lattice.box_A[1]
    assert t.samples.capacity_mAh_cm2[-1] == pytest.approx(
        capacity_mAh_cm2(t.samples.strips[-1], area)
    )


@pytest.mark.slow
def test_what_it_says_of_the_cell(folder):
    lost = kmc.load(folder / "cell_li.h5")
    assert lost.stop_reason == "no contact is left"
    charge = float(re.search(r"no contact is left after (\S+) mAh/cm²", README)[1])
    assert lost.samples.capacity_mAh_cm2[-1] == pytest.approx(charge, abs=0.01)
    s = lost.samples
    volts = float(re.search(r"(\d+) mV at the start", README)[1])
    assert 1e3 * s.overpotential_V[np.searchsorted(s.time_s, 1.0)] == pytest.approx(volts, abs=1)
    settled = float(re.search(r"is theirs \((\d+) %", README)[1])
    image = np.searchsorted(s.capacity_mAh_cm2, 0.125)
    assert 100 * s.settled_um[image] / s.stripped_um[image] == pytest.approx(settled, abs=1)
    settings, percent, scatter = contact_under_pressure()
    assert f"kmc run cell_li --set {settings} -o pressed.h5" in README
    kept = kmc.load(folder / "pressed.h5")
    assert 100 * kept.samples.contact_fraction[-1] == pytest.approx(percent, abs=2 * scatter)


def contact_under_pressure() -> tuple[str, float, float]:
    """Setting, mean and standard deviation in per cent of what the README says of contact kept."""
    settings, percent, scatter = re.search(
        r"`kmc run cell_li --set\s+(\S+)` keeps (\d+) ± (\d+) % of the contact \(eight seeds\)",
        README,
    ).groups()
    return settings, float(percent), float(scatter)


@pytest.mark.long
def test_contact_under_pressure_over_seeds(tmp_path):
    settings, percent, scatter = contact_under_pressure()
    key, value = settings.split("=")
    kept = []
    for seed in range(1, 9):
        overrides = {key: float(value), "random.seed": seed}
        t = kmc.run("cell_li", overrides, output=tmp_path / f"{seed}.h5")
        kept.append(100 * t.samples.contact_fraction[-1])
    assert np.mean(kept) == pytest.approx(percent, abs=1.5)  # the mean's own error is 1.7
    assert np.std(kept, ddof=1) == pytest.approx(scatter, abs=1)


def test_how_far_the_true_ratio_is_away():
    """Rate of a hop of Li over the strip rate of a site, without any floor."""
    lattice = Lattice("bcc_100", (6, 6), 12, "interface", 3.506)
    model = Model(lattice, load_parameters("li_li2s"), 298.15, current_density_mA_cm2=0.5)
    (hop,) = model.hop_classes()
    rate = model.attempt_frequency_Hz * 10 ** (
        -hop["barrier_eV"] * 1e6 / model.kT_ueV / 2.302585092994046
    )
    true = rate / model.strip_rate_per_site_Hz
    assert true == pytest.approx(8e10, rel=0.02)
