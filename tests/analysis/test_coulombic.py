"""Coulombic efficiency, by cycle and by Aurbach's protocol."""

from __future__ import annotations

import json

import fake
import numpy as np
import pytest

import kmc
from kmc.analysis import coulombic
from kmc.errors import InputError
from kmc.runfile.protocol import blocks_of

AURBACH = [
    "Plate at 0.5 mA/cm2 until 3 monolayers",
    {
        "steps": [
            "Strip at 0.5 mA/cm2 until 1 monolayer",
            "Plate at 0.5 mA/cm2 until 1 monolayer",
        ],
        "repeat": 10,
    },
    "Strip at 0.5 mA/cm2 until 0.5 V or 9 monolayers",
]


def test_aurbach_efficiency():
    """Plate 3 mAh/cm², 10 cycles of 1 mAh/cm², final strip of 2.7415."""
    found = coulombic.aurbach_efficiency(10, 3.0, 1.0, 2.7415)
    assert found == pytest.approx(12.7415 / 13.0, abs=1e-12)
    assert coulombic.aurbach_efficiency(10, 3.0, 1.0, 3.0) == 1.0
    with pytest.raises(InputError, match="nothing is plated"):
        coulombic.aurbach_efficiency(0, 0.0, 1.0, 0.0)
    with pytest.raises(InputError, match="Q_s = -1"):
        coulombic.aurbach_efficiency(1, 1.0, 1.0, -1.0)


def test_what_is_aurbachs_protocol():
    assert coulombic.is_aurbach(blocks_of(AURBACH))
    assert not coulombic.is_aurbach(blocks_of(AURBACH[1:]))
    assert not coulombic.is_aurbach(blocks_of([AURBACH[2], *AURBACH[1:]]))


def test_synthetic_aurbach_run(tmp_path):
    """Rows of the charges above, at the ends of the steps: the formula to 1e-12."""
    run = {"protocol": json.loads(json.dumps({"blocks": AURBACH}))}
    box = fake.lattice()
    path = fake.write(
        tmp_path / "aurbach.h5", box=box, n_frames=2, samples_per_frame=22,
        settings=fake.resolved(box, **run),
    )  # fmt: skip
    t = kmc.load(path)
    n = 1000
    strips, plates = [0], [0]
    for step in range(1, 23):
        stripping = step == 22 or (step > 1 and step % 2 == 0)
        charge = {1: 3 * n, 22: 2741}.get(step, n)
        strips.append(strips[-1] + charge * stripping)
        plates.append(plates[-1] + charge * (not stripping))
    columns = dict(t.samples._columns)
    columns["step"] = np.array([1, *range(1, 23)])
    columns["strips"], columns["plates"] = map(np.array, (strips, plates))
    t.samples._columns = columns
    expected = coulombic.aurbach_efficiency(10, 3 * n, n, 2741)
    assert coulombic.aurbach_of(t) == pytest.approx(expected, abs=1e-12)
    listed = coulombic.facts(t)
    assert listed["coulombic_efficiency"] == [None, *[1.0] * 10, None]
    assert listed["aurbach_efficiency"] == pytest.approx(12741 / 13000, abs=1e-12)
    assert json.loads(json.dumps(listed)) == listed
