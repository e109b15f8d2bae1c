"""Transport of vacancies to a void: constants of the set, and the capture of a disc."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.special import j0

from kmc.common.units import K_B_eV
from kmc.errors import InputError
from kmc.model.parameters import load_parameters
from kmc.nuclei.capture import VacancyTransport
from kmc.nuclei.spreading import disc_resistance_s
from kmc.nuclei.surface import Surface

T_K = 298.15
KT = K_B_eV * T_K
A_CM = 3.506e-8


def transport(face="bcc_100", name="li_li2s", **options):
    mg = {k: options.pop(k) for k in ("mg_coverage", "mg_fraction") if k in options}
    return VacancyTransport(Surface(load_parameters(name), face, T_K, **mg), **options)


def test_constants_of_lithium():
    t = transport()
    assert t.diffusivity_cm2_s == pytest.approx(3.76e-4, rel=2e-3)
    assert t.bulk_vacancies == pytest.approx(3.53e-9, rel=2e-3)
    assert t.interface_diffusivity_cm2_s == pytest.approx(
        2.6e12 * A_CM**2 * math.exp(-0.15 / KT), rel=1e-3
    )
    assert t.L1_vacancies == pytest.approx(math.exp(-0.28 / KT), rel=1e-3)
    assert t.supersaturation(0.5, 1e-2) == pytest.approx(507, abs=1)


@pytest.mark.parametrize(
    ("face", "expected"),
    [
        # L1 to L1 by four first neighbours at (±a/2, ±a/√2), and by two of L2 at (±a/2, 0) and
        # back.
        ("bcc_110", None),
        # Three L2 neighbours, 0.8165 a away in plane, each there and back; straight up counts
        # nothing.
        ("bcc_111", 2.6e12 * A_CM**2 * math.exp(-0.15 / KT)),
    ],
)
def test_diffusion_along_other_faces(face, expected):
    found = transport(face).interface_diffusivity_cm2_s
    if expected is None:
        within, up = (2.6e12 * math.exp(-e / KT) for e in (0.055, 0.15))
        along = 0.5 * (4 * within + 2 * 2 * up) * 0.25
        across = 0.5 * 4 * within * 0.5
        expected = A_CM**2 * math.sqrt(along * across)
    assert found == pytest.approx(expected, rel=2e-3)


def test_raised_barriers_slow_the_interface_alone():
    plain, raised = transport(), transport(floor_eV=0.35)
    # From L1 to L2 the barrier is 0.15 eV and back 0: raising the lower one to 0.35 adds 0.35.
    ratio = raised.interface_diffusivity_cm2_s / plain.interface_diffusivity_cm2_s
    assert ratio == pytest.approx(math.exp(-0.35 / KT), rel=1e-3)
    assert raised.diffusivity_cm2_s == plain.diffusivity_cm2_s


def test_limits_of_the_capture():
    t = transport()
    wide = 2000 * t.sheet_length_cm
    assert t.conductance_per_s(wide) == pytest.approx(
        4 * t.bulk_conductance_per_cm_s * wide, rel=0.01
    )
    small = 1e-4 * t.sheet_length_cm
    euler = 0.5772156649
    expected = 2 * math.pi * t.sheet_conductance_per_s
    expected /= math.log(2 * t.sheet_length_cm / small) - euler
    assert t.conductance_per_s(small) == pytest.approx(expected, rel=0.005)


@pytest.mark.slow
@pytest.mark.parametrize("ratio", [0.03, 0.3, 3.0])
def test_capture_against_many_rings(ratio):
    """The same boundary problem solved with 24 rings of free strength: within 1.5 %."""
    radii = np.linspace(0.02, 1.0, 24) * ratio  # λ = 1, K = 1, K_i = 1
    k = np.concatenate((np.geomspace(1e-6, 1, 400), np.arange(1.01, 3000 / ratio, 0.02 / ratio)))
    weight = np.zeros_like(k)
    weight[:-1] += np.diff(k) / 2
    weight[1:] += np.diff(k) / 2
    bessel = j0(np.outer(radii, k))
    response = (bessel * (weight / (1 + k) / (2 * math.pi))) @ bessel.T
    strength = np.linalg.solve(response, np.ones(radii.size)).sum()
    assert 1 / disc_resistance_s(ratio, 1.0, 1.0) == pytest.approx(strength, rel=0.015)


def test_sum_of_metal_and_interface():
    """The simple sum of the two feeds is equal in both parts near 7 nm at 1 µm between voids."""
    t = transport(capture="sum")
    radius = 7e-7
    metal = 4 * t.bulk_conductance_per_cm_s * radius
    interface = 2 * math.pi * t.sheet_conductance_per_s / math.log(1e-4 / radius)
    assert t.conductance_per_s(radius) == pytest.approx(metal + interface, rel=1e-9)
    assert interface / metal == pytest.approx(1.0, abs=0.05)


def test_mg_holds_vacancies_off():
    plain, covered = transport(name="limg_li2s"), transport(name="limg_li2s", mg_coverage=0.3)
    repelled = 0.7 * (0.7 + 0.3 * math.exp(-0.015 / KT)) ** 4
    assert covered.L1_vacancies / plain.L1_vacancies == pytest.approx(repelled, rel=2e-3)
    assert covered.bulk_vacancies == plain.bulk_vacancies
    alloy = transport(name="limg_li2s", mg_fraction=0.03)
    first = (0.97 + 0.03 * math.exp(-0.03 / KT)) ** 8
    second = (0.97 + 0.03 * math.exp(-0.015 / KT)) ** 6
    assert alloy.bulk_vacancies / plain.bulk_vacancies == pytest.approx(
        0.97 * first * second, rel=2e-3
    )


def test_unknown_capture():
    with pytest.raises(InputError, match="capture"):
        transport(capture="both")
