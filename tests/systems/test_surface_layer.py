"""Lithium that fresh surface takes for its layer: the balance to the atom."""

from __future__ import annotations

import math

import numpy as np
import pytest
from table_files import rewrite
from test_deposition_kernel import energies

import kmc
from kmc.errors import InputError
from kmc.kernels import deposition as kernel
from kmc.model.electrochemistry import zinc_oxide_mAh_cm2
from kmc.plotting.deposition_panels import DEPOSITION_PICTURES
from kmc.runfile.load import load_run
from kmc.systems.deposition.box import box_of, empty_state, law_of
from kmc.systems.deposition.summary import layer_of, summary

LAYER = {
    "system.size": [10, 10, 40],
    "deposition.surface_layer_nm": 0.05,
    "acceleration.max_hops_per_strip_per_site": 1e4,
}


@pytest.fixture(scope="module")
def cycled(tmp_path_factory):
    """Aurbach's protocol on carbon, with a layer."""
    path = tmp_path_factory.mktemp("layer") / "cycled.h5"
    run = {**LAYER, "system.params": "li_carbon"}
    return kmc.run("aurbach_zno_002", run, output=path, progress=False)


def faces_of(occupied: np.ndarray) -> int:
    """Faces of atoms towards vacant sites, of an array [z, y, x] that is periodic along y and x."""
    there = occupied > 0
    sides = sum((there & ~np.roll(there, step, axis)).sum() for axis in (1, 2) for step in (1, -1))
    above = np.concatenate([there[1:], np.zeros_like(there[:1])])
    return int(sides + (there & ~above).sum() + (there[1:] & ~there[:-1]).sum())


def test_the_layer_is_the_largest_area_less_what_was_kept():
    """Atom by atom without hops: plated, stripped, plated again; in every step to the atom."""
    size, e, each = (6, 6, 20), energies(), 0.3
    box = box_of(size, np.zeros((6, 6), dtype=np.uint8), e.places)
    state, rng = empty_state(box), np.random.default_rng(3)
    state.layer[kernel.EACH] = each
    kept, owed, charge = 0, 0.0, 0
    for what, atoms in ((kernel.PLATE, 200), (kernel.STRIP, 60), (kernel.PLATE, 80)):
        law = law_of(e, box, what, 1.0, hops=False)._replace(drive_Hz=1.0)
        before, largest, least = state.layer[kernel.TAKEN], kept, kept
        for _ in range(atoms):
            area = faces_of(state.occupied.reshape(20, 6, 6))
            largest = max(largest, area)  # as each ion finds it
            charge += 1
            assert kernel.advance(box, law, state, charge, math.inf, 100, rng) == kernel.CHARGE
            least = min(least, faces_of(state.occupied.reshape(20, 6, 6)))
        taken = state.layer[kernel.TAKEN] - before
        if what == kernel.PLATE:
            owed += each * (largest - kept)
            assert taken == math.floor(owed + 1e-9)
            assert taken > 0
            owed, kept = owed - taken, largest
        else:
            assert taken == 0
            kept = min(kept, least)
    counts = state.counts
    metal = counts[kernel.PLATED] - counts[kernel.STRIPPED] - state.layer[kernel.TAKEN]
    assert counts[kernel.ATOMS] == metal == state.occupied.sum()


def test_dead_metal_keeps_its_layer_and_gets_no_second_one():
    size, e = (6, 6, 8), energies()
    box = box_of(size, np.zeros((6, 6), dtype=np.uint8), e.places)
    state, rng = empty_state(box), np.random.default_rng(1)
    for z in range(3):
        kernel.add(box, state, (z * 6 + 2) * 6 + 2)
    for x in (1, 3):
        kernel.add(box, state, (2 * 6 + 2) * 6 + x)
    state.layer[kernel.EACH], state.layer[kernel.COVERED] = 1.0, 21
    assert faces_of(state.occupied.reshape(8, 6, 6)) == 21
    kernel.remove(box, state, 2 * 6 + 2)  # the foot: what stands on it is dead
    assert state.counts[kernel.DEAD] == 4
    state.layer[kernel.COVERED] = faces_of(state.occupied.reshape(8, 6, 6))
    kernel.add(box, state, 2 * 6 + 2)
    assert state.counts[kernel.DEAD] == 0
    law = law_of(e, box, kernel.PLATE, 1.0, hops=False)
    kernel.advance(box, law, state, 4, math.inf, 100, rng)
    # The foot alone has four fresh faces, less the one that it hides: three, which take three ions.
    assert state.layer[kernel.TAKEN] == 3


def test_plated_is_stripped_and_layer_and_metal_to_the_atom(cycled):
    s, layer = cycled.samples, layer_of(cycled)
    assert layer[-1] > 100
    for i, row in enumerate(cycled.frames["sample"]):
        metal = int(cycled.frames["occupied"][i].sum())
        assert s["plated"][row] == s["stripped"][row] + layer[row] + metal
    assert (np.diff(layer)[s["phase"][1:] == kernel.STRIP] == 0).all()
    assert kmc.verify(cycled.path).passed
    text = dict(summary(cycled))["Lost"]
    assert f"{layer[-1]:.0f} atoms in the surface layer" in text
    assert f"{s['dead_Li'][-1]:.0f} dead" in text


def test_verify_finds_an_atom_that_is_missing(cycled, tmp_path):
    for name, row in (("plated", 3), ("stripped", -1), ("atoms", 5)):
        broken = tmp_path / f"{name}.h5"

        def edit(arrays, name=name, row=row):
            arrays[f"samples/{name}"][row] += 1000

        rewrite(cycled.path, broken, edit)
        assert not kmc.verify(broken).passed


def test_a_scaffold_spreads_the_current(tmp_path):
    changes = {
        "deposition.area_per_electrode_area": 20.0,
        "system.size": [10, 10, 16],
        "stop.capacity_monolayers": None,
        "stop.capacity_mAh_cm2": 20 * 2 * 5.74e-5,
        "acceleration.max_hops_per_strip_per_site": 1e4,
    }
    run = kmc.run("plate_carbon", changes, output=tmp_path / "s.h5", progress=False)
    s = run.samples
    assert s["capacity_monolayers"][-1] == pytest.approx(2, abs=0.02)
    assert s["capacity_mAh_cm2"][-1] == pytest.approx(20 * 2 * 5.74e-5, rel=0.01)
    seconds = s["plated"][-1] / 100 / (run.facts["plating_per_site_Hz"])
    assert s["time_s"][-1] == pytest.approx(seconds, rel=0.4)
    assert run.facts["plating_per_site_Hz"] == pytest.approx(4.835 / 20, rel=1e-3)
    assert kmc.verify(run.path).passed
    assert "20 of its area" in dict(summary(run))["Scaffold"]


@pytest.mark.slow
def test_its_picture_is_drawn(cycled):
    page = DEPOSITION_PICTURES["summary"]([cycled], ["a"], None)
    shown = [axes.get_ylabel() for axes in page.axes]
    assert any("layer" in label and "dead" in label for label in shown)


def test_the_charge_of_zinc_oxide_is_that_of_its_atoms():
    """15 nm at 5.676 g/cm³ and 81.379 g/mol, three electrons each: 8.41 µAh/cm²."""
    mol_cm2 = 15e-7 * 5.6753 / 81.379
    assert zinc_oxide_mAh_cm2(15) == pytest.approx(3 * mol_cm2 * 96485.332 / 3.6, rel=2e-4)
    assert (
        f"{1000 * zinc_oxide_mAh_cm2(15):.2f} µAh/cm²" == "8.41 µAh/cm²"
    )  # as docs/deposition.md has it


def test_the_substrate_is_then_lizn(tmp_path):
    changes = {
        "deposition.zinc_oxide_nm": 15.0,
        "deposition.area_per_electrode_area": 10.0,
        "system.size": [8, 8, 8],
        "stop.capacity_monolayers": 0.5,
        "acceleration.max_hops_per_strip_per_site": 1e4,
    }
    run = kmc.run("plate_lizn", changes, output=tmp_path / "z.h5", progress=False)
    assert dict(summary(run))["ZnO"].startswith("0.0841")
    with pytest.raises(InputError, match="has become LiZn"):
        load_run("plate_zno_002", changes)
