"""Impedance of a partial contact: its exact limits, and the command."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from kmc.analysis.measured import read_measured
from kmc.cli.app import main
from kmc.errors import InputError
from kmc.systems.population import voltage
from kmc.systems.population.impedance import impedance, impedances, kinetics_of
from kmc.systems.population.voltage import Constriction, Kinetics

KINETICS = Kinetics(298.15, 1.0, 3.5)
R_CT = 8.617333262e-5 * 298.15 / 1e-3  # Ω cm² at 1 mA/cm²
EDGE_UM, N = 100.0, 200
IMAGES = 3.90026492  # of a square lattice of unit charges on a uniform sheet, −4 ζ(1/2) β(1/2)


def Z_of(found: dict) -> np.ndarray:
    return found["Z_real_ohm_cm2"] + 1j * found["Z_imag_ohm_cm2"]


def test_full_contact_is_one_arc():
    found = impedance(np.ones((N, N)), EDGE_UM, KINETICS, double_layer_uF_cm2=20)
    omega = 2 * np.pi * found["frequency_Hz"]
    assert found["constriction_ohm_cm2"] == 0
    assert Z_of(found) == pytest.approx(R_CT / (1 + 1j * omega * R_CT * 20e-6), rel=1e-9)
    top = found["frequency_Hz"][np.argmax(-found["Z_imag_ohm_cm2"])]
    assert top == pytest.approx(1 / (2 * np.pi * R_CT * 20e-6), rel=0.06)


@pytest.mark.parametrize("open_share", [0.1, 0.6, 0.97])
def test_the_constriction_is_far_more_accurate_than_its_potential(open_share, monkeypatch):
    smooth = np.random.default_rng(3).standard_normal((64, 64))
    for axis in (0, 1):
        smooth = sum(np.roll(smooth, k, axis) for k in range(5))
    contact = (smooth > np.quantile(smooth, open_share)).astype(float)
    stopped = Constriction(20.0, 64).length_um(contact)
    monkeypatch.setattr(voltage, "_TOLERANCE", 1e-6)
    assert stopped == pytest.approx(Constriction(20.0, 64).length_um(contact), rel=2e-5)


@pytest.mark.validation
@pytest.mark.parametrize(
    ("shape", "times_size"), [("square", 0.4339), ("disc", 0.5)], ids=["square", "disc"]
)
def test_one_small_contact_has_holms_resistance(shape, times_size):
    """κR of a square of side w is 0.4339/w (its capacitance), of a disc 1/(2d), Holm.

    The next ones are at a distance L: A κR = A times_size/size − 3.9003 L/2π. The contact is 20
    cells wide: an even flux in each leaves out the singularity at its edge, of the first order in
    the cell (2 %), and a disc has an outline of steps besides (3 %).
    """
    cell, size = EDGE_UM / N, 10.0
    centres = (np.arange(N) + 0.5) * cell - EDGE_UM / 2
    x, y = np.meshgrid(centres, centres)
    square = (abs(x) < size / 2) & (abs(y) < size / 2)
    contact = square if shape == "square" else np.hypot(x, y) < size / 2
    found = impedance(contact, EDGE_UM, KINETICS)
    length_um = EDGE_UM**2 * times_size / size - IMAGES * EDGE_UM / (2 * math.pi)
    exact = length_um * 1e-4 / 3.5e-3
    transfer, constriction = found["transfer_ohm_cm2"], found["constriction_ohm_cm2"]
    assert constriction == pytest.approx(exact, rel=0.02 if shape == "square" else 0.03)
    assert transfer == pytest.approx(R_CT / contact.mean())
    # The capacitance of the double layer is that of the contact: the arc keeps its frequency. That
    # of the constriction has the relaxation time of the electrolyte, ε ε0/κ.
    omega = 2 * np.pi * found["frequency_Hz"]
    arcs = transfer / (1 + 1j * omega * R_CT * 10e-6)
    arcs += constriction / (1 + 1j * omega * 10 * 8.854e-14 / 3.5e-3)
    assert Z_of(found) == pytest.approx(arcs, rel=1e-3)


class Population:
    """What is used of a run of kmc upscale: all contact, half of it, none."""

    def __init__(self):
        self.path, self.edge_um, self.metal = Path("run.h5"), EDGE_UM, "Li"
        self.frames = {
            "sample": np.arange(3),
            "replica": np.zeros(3, int),
            "capacity_mAh_cm2": np.array([0.0, 0.3, 0.6]),
            "time_s": np.arange(3.0),
        }
        given = {
            "exchange_current_density_mA_cm2": 1.0,
            "electrolyte_conductivity_mS_cm": 3.5,
            "electrolyte_activation_eV": 0.309,
        }
        self.params = {key: {"value": value} for key, value in given.items()}
        conditions = {"temperature_K": 298.15, "series_resistance_ohm_cm2": 14.3}
        self.run = {"conditions": conditions}

    gap_um = None  # boxes have none

    def contact_map(self, index):
        contact = np.ones((64, 64))
        contact[:, : (0, 32, 64)[index]] = 0.0
        return contact


def test_frames_against_charge():
    table = impedances(Population())
    first = table.groupby("frame").first()
    assert first["capacity_mAh_cm2"].tolist() == [0.0, 0.3]  # the last has no contact
    assert first["contact_fraction"].tolist() == [1.0, 0.5]
    assert first["transfer_ohm_cm2"].tolist() == pytest.approx([R_CT, 2 * R_CT])
    assert first["constriction_ohm_cm2"][0] == 0
    # Strips that cover a share θ, by conformal mapping: κ R A = (L/π) ln(1/sin(πθ/2)).
    strips = EDGE_UM / np.pi * np.log(1 / np.sin(np.pi / 4)) * 1e-4 / 3.5e-3
    assert first["constriction_ohm_cm2"][1] == pytest.approx(strips, rel=0.03)
    assert table["Z_real_ohm_cm2"].min() > 14.29
    population = Population()
    del population.params["electrolyte_conductivity_mS_cm"]
    with pytest.raises(InputError, match="without electrolyte_conductivity_mS_cm"):
        kinetics_of(population)


def test_the_command_writes_table_and_picture(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("kmc.systems.run.load", lambda path, **_: Population())
    arguments = ["impedance", "run.h5", "--frames", "0,1", "-o", "z.csv"]
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 0, done.output
    assert "contact 50.0 %" in done.stdout
    assert set(pd.read_csv("z.csv")["frame"]) == {0, 1}
    assert Path("run_impedance.png").stat().st_size > 1000
    assert CliRunner().invoke(main, arguments).exit_code == 2  # exists already


def test_measured_spectra_are_laid_beside(tmp_path, monkeypatch):
    """Those of the run itself, as a cell of 0.785 cm² would give them: contact 100 and 50 %."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("kmc.systems.run.load", lambda path, **_: Population())
    found = CliRunner().invoke(main, ["impedance", "run.h5", "-o", "z.csv"])
    assert found.exit_code == 0, found.output
    whole = pd.read_csv("z.csv")
    # As pyimpspec and impedance.py read it: three columns, the sweeps of the frames one by one.
    f, real, imaginary = np.genfromtxt("z.csv", delimiter=",", skip_header=1)[:, :3].T
    assert (np.diff(f) > 0).sum() == 1
    assert real + 1j * imaginary == pytest.approx(
        whole["Z_real_ohm_cm2"] + 1j * whole["Z_imag_ohm_cm2"]
    )
    for name, frame in (("fresh", 0), ("used", 1)):
        rows = whole[whole["frame"] == frame]
        cell = rows[["Z_real_ohm_cm2", "Z_imag_ohm_cm2"]] / 0.785
        lines = [
            f"{f:.6g};{z.iloc[0]:.8g};{-z.iloc[1]:.8g}"
            for f, (_, z) in zip(rows["frequency_Hz"], cell.iterrows(), strict=True)
        ]
        text = "# area_cm2 = 0.785\nfreq/Hz;Re(Z)/Ohm;-Im(Z)/Ohm\n" + "\n".join(lines)
        Path(f"{name}.csv").write_text(text.replace(".", ",").replace("0,785", "0.785"), "utf-8")
    arguments = ["impedance", "run.h5", "--data", "fresh.csv", "--data", "used.csv"]
    arguments += ["--capacity", 0, "--capacity", 0.3, "--contact", "mine.csv", "--force"]
    done = CliRunner().invoke(main, list(map(str, arguments)))
    assert done.exit_code == 0, done.output
    lines = [line for line in done.stdout.splitlines() if line.startswith(("fresh", "used"))]
    for line, charge, contact in zip(lines, ("0", "0.3"), ("100.0", "50.0"), strict=True):
        assert f"at {charge} mAh/cm², contact {contact} %" in line
    measured = read_measured("mine.csv").table
    # Half of the contact is left; the constriction relaxes far above the measured frequencies.
    assert measured["contact_loss_percent"].tolist() == pytest.approx([50], abs=0.1)
    without = CliRunner().invoke(main, list(map(str, [*arguments[:-5], *arguments[-3:]])))
    assert "--contact has 2 spectra and 1 charges" in without.stderr


@pytest.mark.parametrize(
    ("contact", "options", "part"),
    [
        (np.zeros((4, 4)), {}, "no contact is left"),
        (np.ones((4, 8)), {}, "must be square"),
        (np.ones((4, 4)), {"double_layer_uF_cm2": 0.0}, "above 0"),
    ],
)
def test_refused(contact, options, part):
    with pytest.raises(InputError, match=part):
        impedance(contact, EDGE_UM, KINETICS, **options)


def test_equal_curves_are_one_and_the_last_is_there():
    from kmc import plotting

    def frame(number: int, ohm: float) -> pd.DataFrame:
        columns = {"frame": number, "capacity_mAh_cm2": 0.1 * number, "frequency_Hz": [1e6, 1.0]}
        columns |= {"Z_real_ohm_cm2": [1.0, ohm], "Z_imag_ohm_cm2": [-0.1, 0.0]}
        return pd.DataFrame(columns | {"transfer_ohm_cm2": ohm, "constriction_ohm_cm2": 0.1})

    ohms = (25.0, 25.0, 25.1, 30.0, 60.0, 400.0, 3000.0)
    page = plotting.impedance_picture(pd.concat([frame(i, r) for i, r in enumerate(ohms)]))
    labels = [
        [text.get_text() for text in axes.get_legend().get_texts()] for axes in page.axes[:-1]
    ]
    assert labels == [["0", "0.3", "0.4"], ["0.5", "0.6"]]
