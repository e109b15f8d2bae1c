"""Coulombic efficiency, by cycle and by Aurbach's protocol."""

from __future__ import annotations

import json

import fake
import numpy as np
import pytest

import kmc
from kmc.analysis import coulombic
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


def test_aurbachs_efficiency_leaves_formation_out():
    """Plate 3 mAh/cm², 10 cycles of 1 mAh/cm², final strip of 2.7415; before, 2 of 3 came back."""
    cycles = [("strip", 10_000), ("plate", 10_000)] * 10
    counted = [("plate", 30_000), *cycles, ("strip", 27_415)]
    found = coulombic.aurbach(blocks_of(AURBACH), counted)
    assert found == (pytest.approx(12.7415 / 13.0, abs=1e-12), None, 2585)
    formed = [{"steps": ["Plate at 0.3 mA/cm2 until 3 monolayers",
                         "Strip at 0.3 mA/cm2 until 1 V or 9 monolayers"]}]  # fmt: skip
    passed = [("plate", 30_000), ("strip", 20_000), *counted]
    again = coulombic.aurbach(blocks_of([*formed, *AURBACH]), passed)
    assert again == (found.efficiency, pytest.approx(2 / 3), 2585)
    assert coulombic.aurbach(blocks_of([*formed, *AURBACH]), passed[:-1]) is None


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
    steps = [1, *range(1, 23)]
    t.samples.update(step=np.array(steps), strips=np.array(strips), plates=np.array(plates))
    assert coulombic.aurbach_of(t).efficiency == pytest.approx(12741 / 13000, abs=1e-12)
    listed = coulombic.facts(t)
    assert listed["coulombic_efficiency"] == [None, *[1.0] * 10, None]
    assert listed["aurbach_efficiency"] == pytest.approx(12741 / 13000, abs=1e-12)
    assert json.loads(json.dumps(listed)) == listed
