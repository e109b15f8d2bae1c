"""Sweeps whose acceleration hides what they vary."""

from __future__ import annotations

import math
import warnings

import pytest

from kmc.campaign.critical.question import Question, parse_criterion
from kmc.campaign.critical.threshold import Scale
from kmc.campaign.plan import read_plan
from kmc.campaign.points import combinations
from kmc.common import catalogue
from kmc.errors import KmcWarning
from kmc.systems.slowing import hidden_effects, warn_of_another_drive, warn_of_hidden_effects

CURRENT, TEMPERATURE = "conditions.current_density_mA_cm2", "conditions.temperature_K"
RATIO, FLOOR = "acceleration.max_hops_per_strip_per_site", "acceleration.saddle_floor_eV"
FACTOR = "acceleration.slow_down_by"
SHIPPED = {"acceleration": {"max_hops_per_strip_per_site": 1e5}, "stop": {"events": 10}}


def currents(*values):
    return [{CURRENT: value} for value in values]


def test_a_ratio_hides_the_current():
    (text,) = hidden_effects(SHIPPED, currents(0.5, 5.0))
    assert f"{CURRENT} varies under {RATIO} = 1e5" in text
    assert f"{RATIO} = none, acceleration.slow_down_by = 8e5" in text
    assert "\n" not in text


def test_temperature_under_a_ratio_and_under_a_floor():
    points = [{TEMPERATURE: value} for value in (298.15, 333.15)]
    (text,) = hidden_effects(SHIPPED, points)
    assert "same rate at every temperature" in text
    (text,) = hidden_effects(
        {"acceleration": {"saddle_floor_eV": 0.4}, **{"stop": {"events": 9}}}, points
    )
    assert "as activated as this barrier" in text
    assert "slow_down_by = 6.8e5" in text


@pytest.mark.parametrize(
    ("tables", "points"),
    [
        (SHIPPED, currents(0.5)),  # nothing varies
        (SHIPPED, [{CURRENT: 1, RATIO: 1e5}, {CURRENT: 10, RATIO: 1e4}]),  # along with it
        ({"acceleration": {"saddle_floor_eV": 0.4}}, currents(0.5, 5)),
        ({"acceleration": {"slow_down_by": 7e5}}, currents(0.5, 5)),
        ({"acceleration": {"max_hops_per_strip_per_site": math.inf}}, currents(0.5, 5)),
        (SHIPPED, [{CURRENT: c, RATIO: "none"} for c in (0.5, 5)]),
        (SHIPPED, [{"system.mg_fraction": m} for m in (0.0, 0.1)]),
    ],
)
def test_what_hides_nothing(tables, points):
    assert hidden_effects(tables, points) == []


def test_a_grid_of_currents_and_ratios_is_told_once():
    points = [{CURRENT: c, RATIO: r} for c in (0.5, 5) for r in (1e4, 1e5)]
    assert len(hidden_effects(SHIPPED, points)) == 1


def test_no_shipped_study_hides_what_it_varies():
    with warnings.catch_warnings():
        warnings.simplefilter("error", KmcWarning)
        for name in catalogue.names("studies"):
            plan = read_plan(name)
            warn_of_hidden_effects(plan.tables, combinations(plan.axes))


def test_a_search_warns(tmp_path):
    question = Question(
        base="strip_li_hops",
        vary=CURRENT,
        scale=Scale.between(0.5, 5),
        criterion=parse_criterion("contact_fraction<0.8"),
    )
    with pytest.warns(KmcWarning, match="slow_down_by = 8e4"):
        question.warn_of_hidden_effects()


def test_single_runs_at_another_current_are_warned_of_as_sweeps_are():
    """Whoever runs them one after the other compares them all the same."""
    with pytest.warns(KmcWarning, match=f"beside the run of the file, {CURRENT} varies"):
        warn_of_another_drive("strip_li_hops", {CURRENT: 5.0})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_another_drive("strip_li_hops", {CURRENT: 0.5, "random.seed": 2})
        warn_of_another_drive("strip_li_hops", {CURRENT: 5.0, RATIO: None, FACTOR: 8e5})
        warn_of_another_drive("cell_li", {CURRENT: 5.0})
        warn_of_another_drive("strip_li", {CURRENT: 5.0})  # in equilibrium between strips
        warn_of_another_drive("strip_li", {TEMPERATURE: 333.0})
