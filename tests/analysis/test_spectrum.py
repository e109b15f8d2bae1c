"""Measured impedance spectra: read in every form, fitted to what they were made of."""

from __future__ import annotations

import numpy as np
import pytest

from kmc.analysis.spectrum import contact_table, read_spectrum
from kmc.errors import InputError, KmcWarning

F = np.geomspace(1e6, 0.1, 71)
ARCS = ((8.0, 1e-5, 0.9), (30.0, 2e-3, 0.95))  # R in Ω cm², τ in s, exponent


def made(series=14.3, arcs=ARCS, noise=0.0) -> np.ndarray:
    """The formula of Cole and Cole, written out."""
    Z = np.full(len(F), series, dtype=complex)
    for R, tau, a in arcs:
        wt = (2 * np.pi * F * tau) ** a
        turn, other = np.cos(np.pi * a / 2), np.sin(np.pi * a / 2)
        Z += R * (1 + wt * turn - 1j * wt * other) / (1 + 2 * wt * turn + wt**2)
    rng = np.random.default_rng(3)
    return Z * (1 + noise * (rng.normal(size=len(F)) + 1j * rng.normal(size=len(F))))


def write(path, Z, head="freq/Hz,Re(Z)/Ohm,-Im(Z)/Ohm", sign=-1, area=0.5, scale=1.0):
    lines = [f"# area_cm2 = {area}", *[head] * bool(head)]
    cell = Z / area if "cm" not in head else Z
    rows = zip(F, cell.real * scale, sign * cell.imag * scale, strict=True)
    path.write_text("\n".join([*lines, *(f"{f:.6g},{x:.9g},{y:.9g}" for f, x, y in rows)]), "utf-8")
    return path


@pytest.mark.parametrize("arcs", [ARCS[:1], ARCS[1:], ARCS])
@pytest.mark.parametrize("noise", [0.0, 0.005])
def test_resistances_are_those_of_the_circuit(tmp_path, arcs, noise):
    """Within three standard deviations as the fit states them, and 3 %."""
    found = read_spectrum(write(tmp_path / "a.csv", made(arcs=arcs, noise=noise)))
    total = sum(R for R, *_ in arcs)
    assert len(found.tops_Hz) == len(arcs)
    assert found.interface_ohm_cm2 == pytest.approx(total, rel=0.03 if noise else 1e-4)
    assert found.series_ohm_cm2 == pytest.approx(14.3, rel=0.03 if noise else 1e-4)
    assert abs(found.interface_ohm_cm2 - total) < 3 * found.error_ohm_cm2 + 1e-3
    tops = sorted((1 / (2 * np.pi * tau) for _, tau, _ in arcs), reverse=True)
    assert found.tops_Hz == pytest.approx(tops, rel=0.2 if noise else 1e-3)


@pytest.mark.parametrize(
    ("head", "sign", "scale"),
    [
        ("freq/Hz,Re(Z)/Ohm,-Im(Z)/Ohm", -1, 1.0),
        ("Frequency (Hz),Z' (Ω),Z'' (Ω)", 1, 1.0),
        ("frequency_Hz,Z_real_ohm_cm2,Z_imag_ohm_cm2", 1, 1.0),
        ("f,Zreal/kOhm,Zimag/kOhm", 1, 1e-3),
        ("f,Z' (mΩ),Z'' (mΩ)", 1, 1e3),
        ("f,Z' (MΩ),Z'' (MΩ)", 1, 1e-6),
        ("Frequency,Zre,Zimg", 1, 1.0),  # Powersuite
        ("freq,Zr,Zi", 1, 1.0),
        ("Frequency [Hz],Zreal [Ohm],Zimag [Ohm]", 1, 1.0),
        ("Frequency,Real part,Imaginary part", 1, 1.0),
        ("f,Z′ (Ω),–Z″ (Ω)", -1, 1.0),  # a spreadsheet makes a dash of the minus
        ("", 1, 1.0),  # as impedance.py reads it
    ],
)
def test_names_signs_and_units(tmp_path, head, sign, scale):
    found = read_spectrum(write(tmp_path / "a.csv", made(), head, sign, scale=scale))
    assert found.interface_ohm_cm2 == pytest.approx(38.0, rel=1e-3)


def test_a_sign_that_its_name_does_not_say_is_said(tmp_path):
    with pytest.warns(KmcWarning, match="are taken as −Z''"):
        found = read_spectrum(write(tmp_path / "a.csv", made(), "f,Z',Z''", -1))
    assert found.interface_ohm_cm2 == pytest.approx(38.0, rel=1e-3)


def test_what_no_arcs_fit_is_said(tmp_path):
    """A tail of diffusion, −45°."""
    tail = made() + 300 / np.sqrt(2 * np.pi * F) * (1 - 1j)
    with pytest.warns(KmcWarning, match=r"misses the points by \d"):
        read_spectrum(write(tmp_path / "a.csv", tail))


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("f,Z'\n1,2\n", "not frequency, Z' and Z''"),
        ("freq/Hz,Re(Z)/Ohm,-Im(Z)/Ohm\n1,2,3\n", "does not state the area"),
        ("freq/Hz,Re(Z)/ohm cm2,-Im(Z)/ohm cm2\n1,2,3\n", "has 1 points"),
        ("freq/Hz,Re(Z)/ohm cm2,-Im(Z)/ohm cm2\n1,2,x\n", "'x' is no number"),
    ],
)
def test_refused(tmp_path, text, part):
    (tmp_path / "bad.csv").write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as told:
        read_spectrum(tmp_path / "bad.csv")
    assert part in told.value.message
    assert told.value.advice


def test_contact_is_inverse_to_resistance(tmp_path):
    """Both arcs twice as large: half of the contact is lost."""
    double = tuple((2 * R, tau, a) for R, tau, a in ARCS)
    pair = [made(noise=0.002), made(arcs=double, noise=0.002)]
    spectra = [read_spectrum(write(tmp_path / f"{i}.csv", Z)) for i, Z in enumerate(pair)]
    (second,) = contact_table(spectra, [0.0, 0.5]).to_dict("records")
    assert second["contact_loss_percent"] == pytest.approx(50.0, abs=1.0)
    assert 0.0 < second["contact_loss_percent_error"] < 1.0
