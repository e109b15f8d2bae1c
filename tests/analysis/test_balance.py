"""Net against gross flux of hops, from columns made up and from runs."""

from __future__ import annotations

import math

import fake
import pytest

import kmc
from kmc import load
from kmc.analysis.balance import Exchange, exchanges
from kmc.systems.electrode.summary import summary

SMALL = {"system.size": [8, 8, 10], "acceleration.max_hops_per_strip_per_site": 3e3}


def words(trajectory) -> str:
    text = " ".join(f"{name}: {text}" for name, text in summary(trajectory))
    return text.replace("\u00a0", " ")


def counted(path, *, species=("Li",), **columns):
    """A synthetic run whose last sample has these hops."""
    return load(fake.write(path, box=fake.lattice(layers=13), species=species, last=columns))


@pytest.mark.parametrize(
    ("up", "down", "steps", "verdict"),
    [
        (5_000_000, 5_010_000, 1, "equilibrium"),  # 0.1 %, three times chance
        (5_000_000, 5_010_000, 20, "near"),  # 2 % over twenty layers
        (5_000_000, 5_000_000, 1, "equilibrium"),  # nothing, and chance hides less than 0.1 %
        (5_000, 5_000, 1, "near"),  # nothing, but chance could hide 3 %
        (500, 500, 1, "near"),  # 9.5 %
        (400, 400, 1, "unknown"),  # 10.6 %
        (56_000, 44_000, 1, "off"),  # 12 %
        (0, 10, 1, "off"),
        (0, 5, 1, "unknown"),  # five alike happen by chance
    ],
)
def test_verdicts(up, down, steps, verdict):
    exchange = Exchange("Li", "L1", up, down, steps)
    assert exchange.verdict == verdict
    assert exchange.index == pytest.approx(abs(up - down) / (up + down))
    assert exchange.noise == pytest.approx((up + down) ** -0.5)
    assert exchange.index <= exchange.at_most <= 1.0


def test_without_hops_nothing_is_known():
    exchange = Exchange("Mg", "L1", 0, 0)
    assert math.isnan(exchange.index)
    assert math.isnan(exchange.noise)
    assert not exchange.resolved
    assert exchange.verdict == "unknown"


def test_classes_and_stages(tmp_path):
    t = counted(
        tmp_path / "a.h5",
        species=("Li", "Mg"),
        hops_Li_L1_up=400,
        hops_Li_L1_down=600,
        hops_Li_deep_up=10,
        hops_Mg_L2_down=3,
    )
    assert exchanges(t) == [
        Exchange("Li", "L1", 400, 600),
        Exchange("Li", "deep", 10, 0, steps=10),
        Exchange("Mg", "L2", 0, 3),
    ]


def test_summary_says_what_is_harmless(tmp_path):
    t = counted(tmp_path / "a.h5", hops_Li_L1_up=4_990_000, hops_Li_L1_down=5_010_000)
    text = words(t)
    assert "Net flux: of the hops of Li 0.2 % at L1" in text
    assert "do not change the composition of the layers (number" in text
    assert "number and size of the voids depend on the ratio even so" in text


def test_summary_says_what_is_not(tmp_path):
    t = counted(
        tmp_path / "a.h5",
        species=("Li", "Mg"),
        hops_Li_near_Mg_L1_up=44_000,
        hops_Li_near_Mg_L1_down=56_000,
        hops_Mg_L1_down=12,
        hops_Mg_deep_up=7,
        hops_Mg_deep_down=7,
    )
    text = words(t)
    assert "of the hops of Li beside Mg 12 % at L1" in text
    assert "of the hops of Mg 100 % at L1, < 80.2 % a layer above L2" in text
    assert "(see kmc converge): Li beside Mg (at L1); Mg (at L1)" in text
    assert "Too few to resolve a net flux: Mg (above L2)" in text
    assert "harmless" not in text


def test_an_exact_run_has_nothing_to_say(tmp_path):
    box = fake.lattice()
    settings = fake.resolved(box, ratio=None, floor_eV=0.0)
    t = load(fake.write(tmp_path / "a.h5", settings=settings, last={"hops_Li_L1_up": 9}))
    assert exchanges(t)
    assert "Net flux" not in words(t)


@pytest.mark.slow
def test_only_what_happened_while_current_flowed(tmp_path):
    """A rest after it has fluxes of its own, back to equilibrium."""
    overrides = {**SMALL, "stop.capacity_monolayers": 0.5, "rest.events": 5000}
    path = tmp_path / "a.h5"
    t = kmc.run("strip_li_hops", overrides, output=path, progress=False)
    last = int((t.samples.phase == 0).nonzero()[0][-1])
    assert 0 < last < len(t.samples) - 1
    (at_L1,) = [e for e in exchanges(t) if e.stage == "L1"]
    assert at_L1.up == t.samples.hops_Li_L1_up[last] < t.samples.hops_Li_L1_up[-1]
    # In a pure metal what comes down into L1 is what is stripped, less the contact lost.
    lost = round((1 - t.samples.contact_fraction[last]) * t.lattice.sites_per_layer)
    assert -at_L1.net == t.samples.strips[last] - lost


CLOSED = {
    "system.size": [6, 6, 12],
    "system.vacancy_fraction": 0.02,
    "conditions.temperature_K": 900.0,
    "conditions.current_density_mA_cm2": 0.0,
    "conditions.electrode_thickness_um": math.inf,
    "acceleration.max_hops_per_strip_per_site": None,
    "acceleration.saddle_floor_eV": 0.3,
    "stop.capacity_monolayers": None,
    "stop.events": 60_000,
    "output.sample_every_monolayers": None,
    "output.frame_every_monolayers": None,
    "output.sample_every_events": 20_000,
    "output.frame_every_events": 60_000,
}
ALLOY = {"system.mg_coverage_L1": None, "system.mg_fraction": 0.2}


@pytest.mark.parametrize("lattice", ["bcc_100", "bcc_110", "bcc_111"])
@pytest.mark.parametrize(
    ("name", "boundary"),
    [("strip_li_hops", "interface"), ("strip_li_hops", "periodic"), ("strip_limg", "periodic")],
)
def test_a_closed_box_has_no_net_flux(tmp_path, name, boundary, lattice):
    """Each class by itself; at an interface net is what L1 has lost, whatever the traffic."""
    overrides = {**CLOSED, "system.lattice": lattice, "system.boundary": boundary}
    overrides |= ALLOY if name == "strip_limg" else {}
    t = kmc.run(name, overrides, output=tmp_path / "a.h5", progress=False)
    found = exchanges(t)
    in_layer = t.samples.hops[-1] - sum(e.gross for e in found)
    half = (0.4, 0.8) if lattice == "bcc_110" else (0.0, 0.0)
    assert half[0] <= in_layer / t.samples.hops[-1] <= half[1]
    assert not [e for e in found if e.gross > 1000 and e.index > 4 * e.noise]
    if boundary == "periodic":
        assert [e.stage for e in found] == ["deep"] * (3 if name == "strip_limg" else 1)
        return
    (at_L1,) = [e for e in found if e.stage == "L1"]
    contact = t.samples.contact_fraction
    assert at_L1.net == round((contact[0] - contact[-1]) * t.lattice.sites_per_layer)


def test_numbers_that_make_no_sense_are_left_out(tmp_path):
    """A file whose checksums fit may still hold anything; the summary is no place to fail."""
    t = counted(tmp_path / "a.h5", hops_Li_L1_up=-7, hops_Li_L2_up=4, hops_Mg_L1_down=-1)
    assert exchanges(t) == [Exchange("Li", "L2", 4, 0)]
    path = fake.write(tmp_path / "b.h5", n_frames=1, last={"phase": 1})
    assert exchanges(load(path)) == []
    words(load(path))
