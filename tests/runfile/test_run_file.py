"""What is said of a run before its first event: where it ends, and that exact kinetics are slow."""

from __future__ import annotations

import pytest

from kmc.errors import InputError
from kmc.runfile.load import load_run
from kmc.runfile.run_file import ends
from kmc.runfile.template import template
from kmc.systems.electrode.cost import exact_kinetics


@pytest.mark.parametrize(
    ("name", "overrides", "text"),
    [
        ("strip_li", {}, "at 2 monolayers (7.24e-5 mAh/cm²)"),
        ("strip_li", {"stop.contact_fraction": 0.3},
         "at 2 monolayers (7.24e-5 mAh/cm²), or earlier when contact falls to 0.3"),
        ("strip_li", {"stop.capacity_mAh_cm2": 1}, "; kmc run cell_li follows such charges"),
        ("strip_li", {"stop.capacity_mAh_cm2": 1, "stop.capacity_monolayers": 2},
         "at 2 monolayers (7.24e-5 mAh/cm²)"),
        ("strip_li", {"stop.capacity_monolayers": None, "stop.events": 10},
         "when 10 events are done"),
        ("cell_li", {}, "at 1 mAh/cm², or earlier when no contact is left"),
        ("upscale_cycle", {}, "after 20 steps, or earlier when no contact is left"),
        ("upscale_cycle", {"upscale.contact_lost": "go_on"}, "after 20 steps"),
        ("plate_zno_002", {}, "at 6 monolayers"),
        ("cathode_se", {}, "after 20 cycles"),
    ],
)  # fmt: skip
def test_where_a_run_ends(name, overrides, text):
    said = ends(load_run(name, overrides)).replace("\u00a0", " ")
    assert said == text or (text.startswith(";") and said.endswith(text))


@pytest.mark.parametrize(
    ("name", "overrides", "days"),
    [
        ("strip_li", {"acceleration.max_hops_per_strip_per_site": None}, True),
        ("cycle_li", {"acceleration.max_hops_per_strip_per_site": None}, True),
        ("strip_li", {}, False),
        ("lithiophilic_exact", {}, False),
        ("cell_li", {}, False),
        ("strip_li",
         {"acceleration.max_hops_per_strip_per_site": None, "stop.events": 1000}, False),
    ],
)  # fmt: skip
def test_exact_kinetics_are_priced_and_the_remedy_named(name, overrides, days):
    note = exact_kinetics(load_run(name, overrides))
    assert bool(note) == days
    if days:
        assert "of processor" in note
        assert "--set acceleration.max_hops_per_strip_per_site=1e6" in note


def test_the_price_of_exact_kinetics_is_that_of_their_hops():
    """40 × 40 sites, 2 layers, 4e8 hops an atom at 0.4 µs: 5.9 days."""
    run = load_run("strip_li", {"acceleration.max_hops_per_strip_per_site": None})
    note = exact_kinetics(run).replace("\u00a0", " ")
    assert "4e8 hops for each stripped atom, about 5.9 d" in note


def test_a_template_with_a_protocol_names_the_keys_to_remove(tmp_path):
    """Those of a run with one current and one end; without them the file can be run."""
    steps = '[[protocol]]\nsteps = ["Strip at 0.5 mA/cm2 until 0.1 mAh/cm2", "Rest for 1 h"]\n'
    text = f"{template(scale='cell')}\n{steps}"
    path = tmp_path / "cycles.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match="Remove these keys") as refusal:
        load_run(path)
    for key in ("current_density_mA_cm2", "capacity_mAh_cm2"):
        assert f"\n{key} = " in text
        assert key in str(refusal.value)
        text = text.replace(f"\n{key} = ", f"\n# {key} = ")
    path.write_text(text, encoding="utf-8")
    assert len(load_run(path).protocol.plan) == 2
