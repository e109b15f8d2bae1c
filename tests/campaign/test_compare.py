"""Runs side by side: what differs in inputs and results, of any kind."""

from __future__ import annotations

import json

import fake
import fake_results
import pytest
from click.testing import CliRunner

import kmc
from kmc.campaign.compare import differ
from kmc.cli.app import main
from kmc.errors import InputError


def box(folder, name, monolayers=2.0, **settings):
    given = fake.resolved(fake.lattice(), **settings)
    return fake.write(folder / f"{name}.h5", settings=given, monolayers=monolayers)


def test_inputs_and_results_that_differ_stand_in_the_table(tmp_path):
    one, other = box(tmp_path, "one", current=0.5), box(tmp_path, "other", 1.0, current=1.0)
    found = kmc.compare(one, other)
    assert found.names == ("one", "other")
    assert found.inputs["conditions.current_density_mA_cm2"] == (0.5, 1.0)
    assert found.results["capacity_monolayers"] == pytest.approx((2.0, 1.0))
    table = found.to_dataframe().set_index("name")
    assert table.loc["conditions.current_density_mA_cm2", ["one", "other"]].tolist() == [0.5, 1.0]
    assert table.loc["capacity_mAh_cm2", "unit"] == "mAh/cm2"
    assert "conditions.temperature_K" not in table.index
    everything = found.to_dataframe(everything=True).set_index("name")
    assert len(everything) == len(found.inputs) + len(found.results)
    assert "conditions.current_density_mA_cm2" in repr(found)
    assert len(repr(found).splitlines()) < 50
    assert json.loads(found.to_json())["results"]["capacity_monolayers"] == pytest.approx([2, 1])


def test_runs_under_one_ratio_are_warned_of_as_in_sweeps(tmp_path):
    """Hops are slowed less the larger the strip rate, which hides what the current changes."""
    one, other = box(tmp_path, "one", current=0.5), box(tmp_path, "other", current=1.0)
    notes = " ".join(kmc.compare(one, other).notes)
    assert "current_density_mA_cm2 varies under acceleration.max_hops_per_strip_per_site" in notes


def test_runs_of_different_lengths_are_compared_at_one_charge(tmp_path):
    one, other = box(tmp_path, "one"), box(tmp_path, "other", 1.0)
    assert "end at 2 monolayers and 1 monolayer" in kmc.compare(one, other).notes[-1].replace(
        "\u00a0", " "
    )
    found = kmc.compare(one, other, at=0.7)
    assert found.moment == "at 0.7 monolayers"
    assert found.results["capacity_monolayers"] == pytest.approx((0.7, 0.7))
    assert "did not reach" in kmc.compare(one, other, at=1.5).notes[-1]


def test_runs_of_two_kinds_are_laid_side_by_side(tmp_path):
    population = fake_results.voids(tmp_path, "population")
    found = kmc.compare(box(tmp_path, "one"), population)
    assert found.inputs["kind"] == ("a box of atoms", "a population of voids")
    assert found.results["half_contact_mAh_cm2"][0] is None
    assert found.results["half_contact_mAh_cm2"][1] == pytest.approx(0.5 * 0.5 / 0.98, rel=0.02)


def test_one_run_alone_is_refused(tmp_path):
    with pytest.raises(InputError, match="nothing to compare"):
        kmc.compare(box(tmp_path, "one"))


def test_equal_numbers_are_the_same():
    assert not differ((1.0, 1.0 + 1e-12, 1))
    assert not differ((float("nan"), float("nan")))
    assert differ((1.0, None))
    assert differ(("a", "b"))


def test_the_command_prints_both_tables_and_writes_them(tmp_path):
    one, other = box(tmp_path, "one", current=0.5), box(tmp_path, "other", 1.0, current=1.0)
    csv, json_file = tmp_path / "table.csv", tmp_path / "all.json"
    done = CliRunner().invoke(
        main, ["compare", str(one), str(other), "--csv", str(csv), "--json", str(json_file)]
    )
    assert done.exit_code == 0, done.output
    for text in ("Inputs", "Results at the end", "current_density_mA_cm2", "more agree (--all)"):
        assert text in done.output
    assert csv.read_text().splitlines()[0] == "what,name,unit,one,other"
    assert json.loads(json_file.read_text())["runs"] == ["one", "other"]
