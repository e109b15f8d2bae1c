"""What a study says about one number: verdicts, laws and words on numbers with a known truth."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from marks import slow

from kmc.campaign.convergence.findings import assess, ratio_text, short
from kmc.campaign.convergence.outcome import Convergence
from kmc.campaign.convergence.power_law import (
    CONTACT_LOSS,
    ONSET_CAPACITY,
    VOID_DENSITY,
    WIDTH,
    LevelRuns,
)

PHYSICAL = 6.8e11
RATIOS = (1e3, 1e4, 1e5, 1e6, 1e7)
NAN = math.nan


def found(observable, values, censored=None, ratios=RATIOS, **options):
    late = censored if censored is not None else [()] * len(values)
    levels = [LevelRuns.of(r, v, c) for r, v, c in zip(ratios, values, late, strict=False)]
    settings = {"tolerance": 0.1, "physical_ratio": PHYSICAL, **options}
    return assess(observable, levels, **settings)


def text_of(one):
    return " ".join(one.sentences).replace("\u00a0", " ")


def scattered(means, scatter, n=4, seed=2):
    rng = np.random.default_rng(seed)
    return [m * (1 + scatter * rng.standard_normal(n)) for m in means]


# --- converged, changing, unclear, unknown --------------------------------------------------------


def test_converged_levels_are_marked_from_the_first_that_agrees():
    one = found(WIDTH, scattered((1.0, 2.0, 3.0, 3.01, 3.0), 0.005))
    assert one.verdict == "converged"
    assert one.converged_from == 1e5
    assert [level.converged for level in one.levels] == [False, False, True, True, True]
    assert one.needed is None
    assert "mean void width: converged within 10 % from 1e5 on" in text_of(one)


def test_a_number_that_has_converged_is_that_of_the_physical_ratio():
    """Steps of 10 %, 0.5 % and none follow no law; the plateau is what is known."""
    one = found(WIDTH, scattered((1.0, 1.5, 1.98, 2.0, 2.0), 0.002))
    assert one.law is None
    assert one.physical.value == pytest.approx(1.993, abs=0.01)
    assert one.physical.low < one.physical.value < one.physical.high < 2.02
    decades = math.log10(PHYSICAL / 1e7)
    assert one.physical.widest_high == pytest.approx(one.physical.high * 1.1**decades)
    assert one.physical.widest_low == pytest.approx(one.physical.low * 0.9**decades)
    assert "The levels that agree have 2 nm" in text_of(one)


def test_a_law_of_converged_levels_does_not_lead_to_the_physical_ratio():
    """The plateau of the levels that agree does, whatever the slope of the law through them."""
    one = found(WIDTH, scattered((1.0, 2.0, 3.0, 3.0, 3.0), 0.005))
    assert one.verdict == "converged"
    assert one.law.left_out == (1e3, 1e4)
    assert one.physical.value == pytest.approx(3.0, rel=0.005)
    assert one.physical.high < 3.03


def test_a_level_that_agrees_by_chance_below_one_that_does_not_is_not_marked():
    one = found(WIDTH, scattered((3.0, 2.0, 3.0, 3.0), 0.005), ratios=RATIOS[:4])
    assert one.converged_from == 1e5


def test_still_changing_along_a_law_asks_for_one_more_level():
    one = found(WIDTH, scattered(2.0 * 1.5 ** np.arange(5), 0.02), time_s=lambda r, n: 100.0 * n)
    assert one.verdict == "changing"
    assert one.needed.ratios == (pytest.approx(1e8),)
    assert (one.needed.replicas, one.needed.time_s) == (4, 400.0)
    assert "still changing" in text_of(one)
    assert one.law.exponent == pytest.approx(math.log(1.5) / math.log(10), abs=0.02)
    assert one.physical is None  # no law is continued
    assert "physical" not in text_of(one)


def test_without_a_law_two_more_levels_are_asked_for():
    """Three levels that follow one are needed to find it."""
    one = found(WIDTH, scattered(np.exp([0.0, 0.8, 1.2, 1.4]), 0.002), ratios=RATIOS[:4])
    assert one.verdict == "changing"
    assert one.law is None
    assert one.needed.ratios == (pytest.approx(1e7), pytest.approx(1e8))


def test_no_level_is_asked_for_beyond_the_physical_ratio():
    values = scattered(2.0 * 1.5 ** np.arange(5), 0.02)
    assert found(WIDTH, values, physical_ratio=5e7).needed is None


def test_scatter_asks_for_replicas():
    one = found(WIDTH, scattered((1.0, 1.0, 1.0), 0.2), ratios=RATIOS[:3])
    assert one.verdict == "unclear"
    assert one.needed.replicas > 10
    assert one.needed.ratios == ()
    assert "the scatter is too wide" in text_of(one)


def test_contact_loss_near_zero_is_compared_with_the_interface():
    """0.3 and 0.4 % differ by a third, but by 0.1 % of the interface: 1 % is the margin."""
    one = found(CONTACT_LOSS, [[0.0030, 0.0031], [0.0040, 0.0041]], ratios=RATIOS[:2])
    assert one.verdict == "converged"
    assert "within 1 % of the interface" in text_of(one)
    one = found(CONTACT_LOSS, [[0.30, 0.31], [0.40, 0.41]], ratios=RATIOS[:2])
    assert one.verdict == "changing"


def test_levels_closer_than_a_decade_have_a_narrower_margin():
    values = [[1.0, 1.001], [1.06, 1.061]]
    assert found(WIDTH, values, ratios=(1e5, 1e6)).verdict == "converged"
    assert found(WIDTH, values, ratios=(1e5, 2e5)).verdict == "changing"


def test_one_level():
    one = found(WIDTH, [[1.0, 1.1]], ratios=(1e5,))
    assert one.verdict == "unknown"
    assert one.last is None
    assert one.needed.ratios == (1e6,)
    assert "one level alone" in text_of(one)


def test_one_replica():
    one = found(WIDTH, [[1.0], [2.0], [4.0], [8.0]])
    assert one.verdict == "unknown"
    assert one.needed.replicas == 4
    assert math.isnan(one.levels[0].low)
    assert one.law.exponent == pytest.approx(math.log10(2.0))
    assert one.physical is None
    assert "with one run a level" in text_of(one)
    assert "not tested: one run a level" in text_of(one)


def test_nothing_done_yet():
    one = found(WIDTH, [[NAN, NAN], [NAN, NAN]])
    assert one.verdict == "unknown"
    assert one.levels[0].n == 0
    assert one.needed is None
    assert "no run has it there" in text_of(one)


# --- counts ---------------------------------------------------------------------------------------


def test_voids_become_a_density():
    counts = [[40, 44, 38, 42], [20, 23, 19, 20], [10, 12, 9, 11], [5, 6, 5, 4]]
    one = found(VOID_DENSITY, counts, unit=2e-4)
    assert one.levels[0].mean == pytest.approx(41 / 2e-4)
    assert one.last.difference == pytest.approx((5 - 10.5) / 2e-4)
    assert one.law.exponent == pytest.approx(-0.3, abs=0.03)
    assert one.physical is None
    assert "fewer than 2 voids" not in text_of(one)


def test_a_box_with_one_void_says_so():
    one = found(VOID_DENSITY, [[8, 9, 7, 8], [3, 4, 3, 3], [1, 1, 1, 1]], ratios=RATIOS[2:])
    assert "At 1e7 the box holds fewer than 2 voids" in text_of(one)


def test_no_replicas_are_asked_of_a_box_that_is_too_small():
    """After "use a larger system.size" 542 more runs of the small one were advised."""
    one = found(VOID_DENSITY, [[1, 2, 0, 1], [0, 1, 1, 0]], ratios=RATIOS[:2])
    assert one.verdict == "unclear"
    assert "Use a larger system.size" in text_of(one)
    assert one.needed is None


def test_so_many_replicas_that_a_larger_box_is_cheaper_say_so():
    one = found(WIDTH, [[1.0, 3.0], [1.2, 3.1]], ratios=RATIOS[:2])
    assert one.needed.replicas > 64
    text = " ".join(answer(findings={"mean_void_width_nm": one}).advice())
    assert "--replicas" not in text
    assert "use a larger system.size" in text


def test_no_voids_anywhere():
    one = found(VOID_DENSITY, [[0, 0]] * 4)
    assert one.verdict == "unknown"
    assert one.law is None
    assert one.physical is None
    assert "none at the two highest ratios" in text_of(one)


def test_voids_that_vanish():
    one = found(VOID_DENSITY, [[30, 28, 33], [9, 8, 10], [3, 2, 3], [0, 0, 0]])
    assert one.verdict == "changing"
    assert one.levels[-1].mean == 0
    assert one.levels[-1].high > 0
    assert "−100 %" in text_of(one)


def test_a_curve_is_no_law():
    """The density falls ever faster, or the width goes up and down."""
    rng = np.random.default_rng(8)
    counts = [np.round(rng.normal(m, 0.02 * m, 4)) for m in (3000, 2000, 800, 150)]
    wavy = scattered((1.0, 2.0, 1.0, 2.0), 0.005)
    for one in (found(VOID_DENSITY, counts, ratios=RATIOS[1:]), found(WIDTH, wavy)):
        assert one.law is None
        assert one.physical is None
        assert "No power law: the 3 highest levels do not lie on one." in text_of(one)


def test_levels_left_out_are_named():
    one = found(WIDTH, scattered((1.0, 1.0, 1.0, 2.0, 4.0), 0.005))
    assert one.law.left_out == (1e3, 1e4)
    assert "off that line and left out: 1e3, 1e4" in text_of(one)


# --- onsets ---------------------------------------------------------------------------------------


def test_onsets_that_were_not_reached_are_bounds():
    values = [[0.20, 0.21], [0.30, 0.32], [0.44, 0.47], [0.68, 1.0], [1.0, 1.0]]
    late = [[False] * 2] * 3 + [[False, True], [True, True]]
    one = found(ONSET_CAPACITY, values, late)
    assert [level.censored for level in one.levels] == [0, 0, 0, 1, 2]
    assert math.isnan(one.levels[3].low)
    assert one.verdict == "unknown"
    assert "3 of 4 runs ended before it" in text_of(one)
    assert "stop.capacity_monolayers" in text_of(one)
    assert one.law is not None
    assert one.physical is None


# --- the whole answer -----------------------------------------------------------------------------


def answer(**changes):
    ones = [
        found(CONTACT_LOSS, [[0.4, 0.41], [0.3, 0.31], [0.2, 0.21]]),
        found(VOID_DENSITY, [[40, 41], [20, 22], [10, 11]], unit=1e-4),
        found(WIDTH, [[NAN, NAN], [1.0, 1.01], [1.0, 1.01]]),
        found(ONSET_CAPACITY, [[0.2, 0.3], [0.3, 1.0], [1.0, 1.0]], [[0, 0], [0, 1], [1, 1]]),
    ]
    given = {
        "base": "strip_li_hops",
        "ratios": RATIOS[:3],
        "replicas": 2,
        "at": None,
        "tolerance": 0.1,
        "physical_ratio": PHYSICAL,
        "area_um2": 1e-4,
        "findings": {one.observable.name: one for one in ones},
        "runs": 6,
        "missing": 0,
        "early": 0,
        "ends": (1.0, 1.0),
        "frames_at": 1.0,
    }
    return Convergence(**{**given, **changes})


def test_the_table_goes_to_the_physical_ratio_for_converged_numbers_alone():
    table = answer().table()
    assert len(table[table.kind == "measured"]) == 12
    ends = table[table.kind == "plateau"].set_index("observable")
    assert (ends["ratio"] == PHYSICAL).all()
    assert list(ends.index) == ["mean_void_width_nm"]
    assert ends.loc["mean_void_width_nm", "low"] < 1.0 < ends.loc["mean_void_width_nm", "high"]
    assert set(table["unit"]) == {"1", "µm⁻²", "nm", "monolayers"}


def test_json_has_no_nan():
    text = answer().to_json()
    data = json.loads(text)
    assert data["observables"]["mean_void_width_nm"]["rungs"][0]["mean"] is None
    assert data["observables"]["contact_loss"]["law"]["scale"] == "logit"
    assert data["converged"] is False
    assert data["physical_ratio"] == PHYSICAL


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"at": 0.5, "early": 2, "frames_at": 0.5}, "2 runs ended before 0.5 monolayers"),
        ({"ends": (0.4, 1.0)}, "compare them at one with --at"),
        ({"missing": 3}, "3 runs failed or have not been run"),
        ({"at": 0.1, "frames_at": 0.2}, "output.frame_every_monolayers"),
        ({}, "6.8e11 contact loss, void density and onset capacity are open. No power law leads"),
    ],
)
def test_what_else_is_to_be_known(changes, message):
    assert message in " ".join(answer(**changes).lines()).replace("\u00a0", " ")


def test_no_higher_ratio_is_asked_for_where_the_limit_was_run():
    """Neither a ratio nor what else leads to the physical one: equilibrium is there."""
    text = " ".join(answer(ratios=(*RATIOS[:3], math.inf)).lines())
    assert "open" not in text
    assert "--ratios" not in text
    assert "--ratios" in " ".join(answer().lines())


def test_what_to_do_next_is_said_once():
    text = " ".join(answer().lines())
    assert text.count("To decide contact loss and void density: --ratios 1e6") == 1


def test_the_picture_shows_itself_and_leaves_nothing_out(tmp_path):
    from kmc.plotting.style import save

    picture = answer().plot()
    assert len(picture.axes) == 4
    titles = [axes.get_title(loc="left") for axes in picture.axes]
    assert titles[0].startswith("still changing")
    assert titles[2].startswith("converged from 1e4 on")
    save(picture, tmp_path / "p.png")
    assert (tmp_path / "p.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("value", "text"),
    [(1e3, "1e3"), (6.78e11, "6.8e11"), (1e7, "1e7"), (99999.9, "1e5"), (5, "5e0")],
)
def test_ratios_as_text(value, text):
    assert ratio_text(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.00567, "0.0057"),
        (39.4, "39"),
        (1634, "1600"),
        (2.23e7, "2.2e7"),
        (0, "0"),
        (NAN, "unknown"),
    ],
)
def test_short_numbers(value, text):
    assert short(value) == text


# --- anything at all ------------------------------------------------------------------------------


def odd_study(rng, observable):
    """Levels as they should not be: zeros, ones, equal numbers, holes, no onset, one run."""
    ratios = sorted({float(f"{10 ** rng.uniform(1, 9):.3g}") for _ in range(rng.integers(1, 7))})
    n, kind = rng.integers(1, 6), observable.family.name
    base = (0.0, 1.0, rng.random(), 10 ** rng.uniform(-6, 3), 3.0)[rng.integers(5)]
    for ratio in ratios:
        late = rng.random(n) < rng.choice([0, 0.3, 1]) if kind == "onset" else ()
        if kind == "count":
            values = rng.poisson(base * ratio ** rng.choice([0, -0.3]), n).astype(float)
        elif kind == "share":
            values = np.clip(rng.normal(base, rng.choice([0, 0.1]), n), 0, 1)
        else:
            values = np.abs(rng.normal(base, rng.choice([0, 0.1]), n)) * ratio**0.1
        values[rng.random(n) < 0.1] = NAN
        yield LevelRuns.of(ratio, values, late)


@pytest.mark.slow
@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    "observable", [slow(CONTACT_LOSS), VOID_DENSITY, slow(WIDTH), ONSET_CAPACITY]
)
def test_no_study_is_too_odd(observable):
    rng = np.random.default_rng(17)
    for _ in range(40):
        levels = list(odd_study(rng, observable))
        one = assess(observable, levels, tolerance=0.1, physical_ratio=PHYSICAL)
        answer(findings={observable.name: one}).to_json()
        assert "nan" not in text_of(one)
        end = one.physical
        if end is not None and not math.isnan(end.low):
            assert end.widest_low <= end.low <= end.value <= end.high <= end.widest_high


def test_equilibrium_stands_beside_the_levels():
    """The ratio inf changes neither law nor verdict, and has its own mean and sentence."""
    levels = [LevelRuns.of(10.0**k, [2.0 + 0.1 * i + k for i in range(4)]) for k in (4, 5, 6)]
    options = {"tolerance": 0.1, "physical_ratio": 6.8e11}
    alone = assess(WIDTH, levels, **options)
    limit = LevelRuns.of(math.inf, [3.0, 5.0])
    found = assess(WIDTH, [*levels, limit], **options)
    assert (found.levels, found.law, found.verdict) == (alone.levels, alone.law, alone.verdict)
    assert alone.equilibrium is None
    assert found.equilibrium.mean == 4.0
    assert [level.ratio for level in found.all_levels] == [1e4, 1e5, 1e6, math.inf]
    assert "In equilibrium between strips it is 4" in found.sentences[-1]


def test_equilibrium_whose_runs_ended_before_the_onset_is_a_bound():
    runs = [LevelRuns.of(10.0**k, [0.2, 0.2], [True, True]) for k in (5, 6)]
    limit = LevelRuns.of(math.inf, [0.2, 0.2], [True, True])
    found = assess(ONSET_CAPACITY, [*runs, limit], tolerance=0.1, physical_ratio=6.8e11)
    assert "In equilibrium between strips it is at least 0.2" in found.sentences[-1]
