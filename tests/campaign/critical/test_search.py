"""Critical values: the question, the answer in words, and a search with real runs."""

from __future__ import annotations

import math

import numpy as np
import pytest

import kmc
from kmc.campaign.critical.question import Critical, Question, map_table, parse_criterion
from kmc.campaign.critical.search import find, find_against, parse_against
from kmc.campaign.critical.threshold import Scale, Search, fit
from kmc.errors import InputError

CURRENT = "conditions.current_density_mA_cm2"
TINY = {
    "system.size": [6, 6, 8],
    "acceleration.max_hops_per_strip_per_site": None,
    "acceleration.saddle_floor_eV": 0.45,
}


def question(**changes) -> Question:
    given = {
        "base": "strip_li",
        "vary": CURRENT,
        "scale": Scale.between(0.1, 1000.0),
        "criterion": parse_criterion("contact_fraction<0.5"),
        "at": 0.7,
        "replicas": 3,
        "tolerance": 0.5,
        "max_runs": 30,
        "settings": TINY,
    }
    return Question(**{**given, **changes})


def answer(values, hits, runs, **changes) -> Critical:
    asked = question(**changes)
    found = fit(values, hits, runs, asked.scale)
    reached = found.precision <= asked.tolerance
    return Critical(asked, Search(found, tuple(values), tuple(hits), tuple(runs), reached))


# --- questions ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"replicas": 1}, "--replicas 1: at least 2"),
        ({"tolerance": 0}, "--tolerance 0 is out of range"),
        ({"at": 0}, "--at 0: a capacity above 0"),
        ({"at": math.nan}, "--at nan"),
        ({"vary": "system.size"}, "system.size is varied and set at once"),
        ({"vary": "random.seed"}, "replicas vary it"),
        ({"vary": "conditions.current"}, "current_density_mA_cm2"),
        ({"vary": "conditions.current"}, "in --vary conditions.current --between"),
        ({"vary": "conditions.temperature_K", "scale": Scale.between(-1, 300)}, "--between -1 300"),
        ({"base": "strip_lii"}, "Did you mean 'strip_li'?"),
    ],
)
def test_questions_that_make_no_sense(changes, said):
    with pytest.raises(InputError) as caught:
        question(**changes).check()
    assert said in str(caught.value)


def test_the_capacity_ends_the_runs():
    run = question().check()
    assert run.stop.capacity_monolayers == 0.7
    assert run.acceleration.max_hops_per_strip_per_site is None


@pytest.mark.parametrize(
    "text",
    [
        "a.b",
        "a.b=",
        "a.b=[1]",
        "a.b=[1, 1.0]",
        "a.b=[1, 'x']",
        "a.b=[1, true]",
        "a.b=[1, 2",
        "a=\n",
    ],
)
def test_against_needs_a_list_of_numbers(text):
    with pytest.raises(InputError, match="no list of at least two"):
        parse_against(text)


def test_against():
    assert parse_against("parameters.x=[0.4, 0.28, 1]") == ("parameters.x", [0.28, 0.4, 1.0])


# --- answers in words -----------------------------------------------------------------------------


def test_a_bracketed_answer():
    found = answer([0.1, 5, 15, 1000], [0, 0, 8, 8], [8] * 4)
    assert found.bracketed
    assert found.side is None
    assert found.sentence.startswith("critical current density: 8.6")
    assert "mA/cm² (95 % interval 5.0" in found.sentence
    told = " ".join(found.lines())
    assert "more do above it" in told
    assert "32\u00a0runs at 4\u00a0values" in told


def test_an_answer_with_one_side():
    found = answer([0.1, 500, 1000], [0, 0, 3], [8, 8, 4])
    assert not found.bracketed
    bound, up = found.side
    assert up
    assert 10 < bound < 1000
    assert "above" in found.sentence
    assert "widen --between" in " ".join(found.lines())


@pytest.mark.parametrize(("hits", "word"), [(0, "less than"), (4, "more than")])
def test_no_threshold_gives_no_number(hits, word):
    """12 runs with the same outcome: the share is beyond 0.05^(1/12) = 78 %, or below 22 %."""
    found = answer([0.1, 10, 1000], [hits] * 3, [4] * 3)
    assert found.side is None
    assert found.sentence.startswith("critical current density: not bracketed between 0.1 and")
    told = " ".join(found.lines())
    assert word in told
    assert ("22" if not hits else "78") in told
    assert np.isnan(found.table()["probability"]).all()


def test_runs_judged_early_or_lost_are_counted():
    found = answer([0.1, 5, 15, 1000], [0, 0, 8, 8], [8] * 4)
    told = " ".join(Critical(found.question, found.search, early=1, failed=2).lines())
    assert "1\u00a0run ended before 0.7 monolayers" in told
    assert "2\u00a0runs failed" in told


def test_map_table():
    found = [
        answer([0.1, 5, 15, 1000], [0, 0, 8, 8], [8] * 4),
        answer([0.1, 1000], [0, 0], [4] * 2),
    ]
    table = map_table(found, "parameters.x", [1.0, 2.0])
    assert table["bracketed"].tolist() == [True, False]
    assert table["runs"].tolist() == [32, 8]
    assert math.isnan(table["critical_value"][1])


# --- with real runs -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    told = []
    folder = tmp_path_factory.mktemp("critical") / "found"
    return find(question(), folder, workers=2, report=told.append), told


@pytest.mark.slow
def test_a_real_search_brackets_the_current(searched):
    """In a box of 36 L1 sites contact falls below 0.5 between 0.1 and 1000 mA/cm² in most runs."""
    found, told = searched
    assert found.search.fit.rising is True
    assert found.search.hits[0] == 0
    assert found.search.hits[-1] >= 2
    assert len(told) == len(found.search.values)
    assert sum(found.search.runs) <= 30
    assert found.failed == 0


@pytest.mark.slow
def test_its_runs_are_a_sweep(searched):
    found, _ = searched
    ds = kmc.load_sweep(found.folder, at_monolayers=0.7)
    assert ds.current_density_mA_cm2.values.tolist() == list(found.search.values)
    assert (ds.state == "done").all()
    hits = (ds.contact_fraction_at.sel(at_monolayers=0.7) < 0.5).sum("replica")
    assert hits.values.tolist() == list(found.search.hits)


@pytest.mark.slow
def test_a_second_search_runs_nothing(searched):
    found, _ = searched
    before = {p: p.stat().st_mtime_ns for p in found.folder.glob("points/*.h5")}
    again = find(question(), found.folder, workers=2)
    assert again.search == found.search
    assert {p: p.stat().st_mtime_ns for p in found.folder.glob("points/*.h5")} == before


@pytest.mark.slow
def test_another_question_in_the_same_folder_is_refused(searched):
    found, _ = searched
    with pytest.raises(InputError, match="holds another sweep"):
        find(question(settings={**TINY, "system.size": [8, 6, 8]}), found.folder)
    with pytest.raises(InputError, match="varies"):
        find(question(vary="conditions.temperature_K", scale=Scale(280, 340, False)), found.folder)


@pytest.mark.slow
def test_another_criterion_uses_the_same_runs(searched):
    found, _ = searched
    asked = question(criterion=parse_criterion("contact_fraction>2"), max_runs=1)
    again = find(asked, found.folder)
    assert again.search.values == found.search.values
    assert sum(again.search.hits) == 0


def test_the_same_key_twice_is_refused(tmp_path):
    with pytest.raises(InputError, match="at once"):
        find_against(question(), CURRENT, [1.0, 2.0], tmp_path)


# --- what used to mislead -------------------------------------------------------------------------


def population(**changes) -> Question:
    given = {"base": "cell_li", "settings": {}, "scale": Scale.between(0.1, 2.0), "at": 0.3}
    return question(**{**given, **changes})


def test_populations_are_judged_at_mAh_cm2_and_end_there():
    asked = population()
    assert asked.fixed()["upscale.capacity_mAh_cm2"] == 0.3
    assert "stop.capacity_monolayers" not in asked.fixed()
    assert asked.charge.unit == "mAh_cm2"
    assert asked.check().upscale.capacity_mAh_cm2 == 0.3
    assert asked.moment.replace("\u00a0", " ") == "at 0.3 mAh/cm²"


def test_a_cathode_has_no_capacity_to_be_judged_at():
    with pytest.raises(InputError, match="a charge, and a cathode passes none"):
        question(base="cathode_se", settings={}, vary="cathode.c_rate_per_h",
                 criterion=parse_criterion("pore_area<0.5")).check()  # fmt: skip


def test_runs_judged_at_ends_of_their_own_are_advised_of_one_charge():
    """All of them fail because each goes on until it does: a wider range changes nothing."""
    asked = population(at=None)
    values = (0.1, 0.5, 2.0)
    search_ = Search(
        fit(values, [2, 2, 2], [2, 2, 2], asked.scale), values, (2,) * 3, (2,) * 3, False
    )
    ends = ((0.4, "no contact is left"), (0.8, "no contact is left"))
    text = " ".join(Critical(asked, search_, ends=ends).lines()).replace("\u00a0", " ")
    assert "judged at its own end, between 0.4 mAh/cm² and 0.8 mAh/cm² (no contact is left)" in text
    assert "--at 0.2" in text
    assert "Widen --between" not in text


def test_a_search_says_why_it_stopped():
    asked = question(max_runs=32)
    values, hits = (0.1, 10.0, 31.0, 50.0, 100.0, 300.0, 1000.0), (0, 0, 1, 2, 3, 4, 4)
    found = fit(values, hits, (4,) * 7, asked.scale)
    assert found.bracketed
    over = Search(found, values, hits, (4,) * 7, False, next_runs=8)
    text = " ".join(Critical(asked, over).lines()).replace("\u00a0", " ")
    assert "the next values need 8 runs on top of 28, more than --max-runs 32 allows" in text
    spent = Search(found, values, hits, (4,) * 7, False)
    assert "no value is left to try" in " ".join(Critical(asked, spent).lines())
    assert "more runs on both sides" not in text
    precise = " ".join(Critical(question(tolerance=50.0), over).lines())
    assert "was asked for, with more runs on both sides of the value: the next" in precise
