"""The fit of energies of vacancies beside each other, as `benchmarks/energies/fit.py` makes it."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.append(str(Path(__file__).resolve().parents[2] / "benchmarks" / "energies"))

import fit

from kmc.model import ase_clusters


def test_the_shipped_table_is_what_the_command_prints(capsys, monkeypatch):
    monkeypatch.setattr("sys.argv", ["fit.py"])
    fit.main()
    assert "As in" in capsys.readouterr().out


def test_left_out_structures_are_met_within_five_percent():
    """RMS of structures that a fit has not seen, of E_f per vacancy or surface site."""
    rows = [row for row in fit.rows() if not row["energies"].startswith(fit.SET)]
    assert rows
    for row in rows:
        assert float(row["leave_one_out_rms"]) <= 0.05, row


def test_numbers_are_found_again():
    """Energies made with known numbers: the fit returns them, and leaves nothing."""
    known = np.array([0.02, (1 - 4 * 0.02 - 8.96 * 0.013) / 3, 0.013])
    names = [name for name in ase_clusters.CLUSTERS if name != "vacancy"]
    table = {name: float(fit.terms(name) @ known) for name in [*names, "surface_100"]}
    np.testing.assert_allclose(fit.fit(table), known, atol=1e-12)
    table["pair_200"] *= 1.05
    assert np.abs(fit.fit(table) / known - 1).max() > 0.01


def test_terms_by_hand():
    """Broken bonds and missing neighbours of a vacancy, a pair and a surface."""
    r = fit.WEIGHT
    assert fit.terms("vacancy") == pytest.approx([4, 3, 8 + 6 * r**2])
    assert fit.terms("pair_200") == pytest.approx([4, 2.5, 12 + 5 * r**2])
    assert fit.terms("surface_100") == pytest.approx([2, 1, (4 + r) ** 2 + r**2])
    assert fit.terms("surface_110") == pytest.approx([1, 1, 2 * 0 + (2 + 2 * r) ** 2])


def test_the_set_is_the_fit_of_dft_surface_and_vacancy():
    """ε1 of the shipped set is 0 within 0.001 E_f, and γ(100) is 0.416 J/m² of W and angle."""
    epsilon1, *_ = fit.of_set()
    assert abs(epsilon1) < 1e-3
    gamma = fit.terms("surface_100") @ fit.of_set() * 0.5 * 1.602176634e-19 / 3.506e-10**2
    assert gamma == pytest.approx(0.39 / (1 + np.cos(np.radians(93.6))), abs=5e-4)
