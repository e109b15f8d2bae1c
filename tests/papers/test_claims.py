"""Verdicts follow from figures by the rule, and from nothing else."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from types import SimpleNamespace

import fake_results
import numpy as np
import pytest
from scipy import stats

from kmc.campaign.calibration.calibrate import load_calibration
from kmc.campaign.calibration.data import crossing
from kmc.campaign.calibration.problem import read_problem
from kmc.errors import InputError
from kmc.papers import NAMES, judge, paper
from kmc.papers import readings as readings_module
from kmc.papers.claims import (
    BY_FIT,
    BY_INPUT,
    NOT_ADDRESSABLE,
    NOT_REPRODUCED,
    NOT_RUN,
    RANK_ONLY,
    REPRODUCED,
    Claim,
    Evidence,
    Figure,
    Order,
    holds,
    range_of,
)
from kmc.papers.readings import (
    Reading,
    RunMean,
    Runs,
    Sample,
    cathode_of,
    check_values,
    deposition_of,
    mixed,
    population_of,
    read_samples,
    voids_of,
)
from kmc.runfile.load import load_run
from kmc.systems import SYSTEMS

YES, NO = Order("a", True), Order("b", False)


def figure(low, high, paper):
    return Figure("x", "1", RunMean((low + high) / 2, low, high, 3), paper)


def claim(study, name):
    return next(one for one in paper(study).claims if one.name == name)


# --- intervals ------------------------------------------------------------------------------------


def test_the_interval_is_students():
    values = [1.0, 2.0, 4.0, math.nan]
    found = RunMean.of(values)
    expected = stats.t.interval(0.95, 2, loc=7 / 3, scale=stats.sem(values[:3]))
    assert (found.value, found.n) == (pytest.approx(7 / 3), 3)
    assert (found.low, found.high) == pytest.approx(expected)
    assert RunMean.of([math.nan]) is None
    assert RunMean.of([2.0]) == RunMean(2.0, 2.0, 2.0, 1)


@pytest.mark.slow
def test_the_interval_holds_the_mean_in_95_percent():
    rng = np.random.default_rng(5)
    held = [m.low <= 0 <= m.high for m in (RunMean.of(rng.normal(size=4)) for _ in range(2000))]
    assert abs(np.mean(held) - 0.95) < 4 * math.sqrt(0.95 * 0.05 / 2000)


def test_below_needs_intervals_apart():
    low, high, wide = (
        RunMean(1, 0.8, 1.2, 3),
        RunMean(2, 1.5, 2.5, 3),
        RunMean(2, 1.1, 2.9, 3),
    )
    assert low.below(high)
    assert not low.below(wide)
    assert not high.below(low)
    assert not low.below(low)
    assert low.below(RunMean(math.inf, math.inf, math.inf, 3))
    assert not RunMean(math.inf, 3.0, math.inf, 3).below(RunMean(math.inf, 1.0, math.inf, 3))
    assert RunMean.exact(90).below(RunMean.exact(90.1))
    assert RunMean(1, 1, 1, 1).below(RunMean(1.3, 1.3, 1.3, 1))
    assert not RunMean(1, 1, 1, 1).below(RunMean(1.2, 1.2, 1.2, 1))


# --- verdicts -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("figures", "orders", "verdict"),
    [
        ([figure(1, 2, (2, 3))], [], REPRODUCED),
        ([figure(1, 1.9, (2, 3))], [], NOT_REPRODUCED),
        ([figure(1, 1.9, (2, 3))], [YES], RANK_ONLY),
        ([figure(1, 2, (2, 3))], [YES], REPRODUCED),
        ([figure(1, 2, (2, 3))], [YES, NO], NOT_REPRODUCED),
        ([figure(-9, 12, (2, 3))], [], NOT_REPRODUCED),  # an interval that meets any range
        ([figure(-9, 14, (2, 3))], [], REPRODUCED),  # but its mean lies in it
        ([figure(1, 2, None)], [YES], RANK_ONLY),  # no range: a rank at most
        ([figure(1, 2, None)], [NO], NOT_REPRODUCED),
        ([figure(1, 2, (2, 3)), Figure("y", "1", None)], [YES], NOT_RUN),
    ],
)
def test_the_rule(figures, orders, verdict):
    assert Evidence(figures, orders).verdict == verdict
    follows = Evidence(figures, orders, BY_INPUT).verdict
    assert follows == (BY_INPUT if verdict in (REPRODUCED, RANK_ONLY) else verdict)


def test_never_has_to_hold_for_every_run():
    """One of two runs that loses its contact at 1.6 is no contact until 3."""
    never, once = RunMean.of([math.inf, math.inf]), RunMean.of([1.6, math.inf])
    assert Figure("gap", "mAh/cm²", never, (3.0, math.inf)).inside
    assert not Figure("gap", "mAh/cm²", once, (3.0, math.inf)).inside
    assert not Figure("rise", "mAh/cm²", never, (0.0, 4.0)).inside


def test_orders_of_figures_and_numbers():
    found = {"a": figure(1, 2, None), "b": figure(3, 4, None), "c": figure(1.5, 3.5, None)}
    never = {"a": Figure("a", "1", RunMean.of([math.inf]))}
    assert holds({"text": "", "less": ["a", "b"]}, found)
    assert not holds({"text": "", "less": ["b", "a"]}, found)
    assert holds({"text": "", "not_less": ["b", "a"]}, found)
    assert not holds({"text": "", "not_less": ["a", "b"]}, found)
    assert holds({"text": "", "same": ["a", "c"]}, found)
    assert not holds({"text": "", "same": ["a", "b"]}, found)
    # Single runs have no intervals to overlap: they are the same within a fifth.
    alone = {n: Figure(n, "1", RunMean.of([x])) for n, x in (("a", 1.0), ("b", 1.2), ("c", 1.4))}
    assert holds({"text": "", "same": ["a", "b"]}, alone)
    assert not holds({"text": "", "same": ["a", "c"]}, alone)
    assert holds({"text": "", "less": [0, "a"]}, found)
    assert holds({"text": "", "less": ["a", math.inf]}, found)
    assert not holds({"text": "", "less": ["a", math.inf]}, never)
    assert not holds({"text": "", "less": ["missing", "a"]}, found)


def test_a_bare_number_has_a_fifth_about_it():
    assert range_of(10) == (8, 12)
    assert range_of([1, math.inf]) == (1, math.inf)
    assert range_of(None) is None


def test_texts_stand_under_the_verdict_they_were_written_for():
    one = Claim("n", "t", "s", "Abstract", note="Always.", why={NOT_REPRODUCED: "Too few."})
    assert one.texts(NOT_REPRODUCED)["analysis"] == "Always. Too few."
    assert one.texts(REPRODUCED)["analysis"] == "Always."
    assert one.judged(Runs(paper("cathode")))["verdict"] == NOT_ADDRESSABLE


@pytest.mark.parametrize("study", NAMES)
def test_every_claim_says_where_it_stands_and_what_shows_it(study):
    known = paper(study)
    assert len({one.name for one in known.claims}) == len(known.claims)
    steps = {step["name"] for step in known.steps} | set(known.families) | {"checks"}
    for one in known.claims:
        assert one.statement, one.name
        assert re.search("Fig|“|Table|[Aa]bstract", one.where), one.name
        assert one.note or one.why or one.rule_after, one.name
        assert one.command or not one.figures, one.name
        assert {*one.variants} <= {*known.inputs, "all"}, one.name
        assert one.follows in ("", "by input", "by definition", "by fit"), one.name
        assert {*one.why} <= {NOT_REPRODUCED, RANK_ONLY, REPRODUCED}, one.name
        labels = {given["label"] for given in one.figures}
        assert len(labels) == len(one.figures), one.name
        for given in one.figures:
            assert given["in"] in steps, (one.name, given["in"])
            known.row(given.get("row", ()))
        for order in one.orders:
            (names,) = (order[key] for key in ("less", "not_less", "same") if key in order)
            assert all(n in labels for n in names if isinstance(n, str)), (one.name, order)


@pytest.mark.parametrize("study", NAMES)
def test_without_runs_nothing_is_claimed(study):
    verdicts = {one.judged(Runs(paper(study)))["verdict"] for one in paper(study).claims}
    assert verdicts == {NOT_RUN, NOT_ADDRESSABLE}


# --- runs are found -------------------------------------------------------------------------------


def readings(study, step, parts, number, values, **settings):
    row = paper(study).row(parts) | settings
    return [Reading(step, row, {number: value}) for value in values]


def test_runs_are_found_by_row_and_changed_input():
    known, number = paper("interlayer"), "lost_percent"
    weak, sharp = (
        dict(known.inputs[name]["settings"]) for name in ("adsorption on carbon 1.20 eV", "λ 0")
    )
    runs = Runs(known, [
        *readings("interlayer", "efficiency", ["carbon"], number, [8.0]),
        *readings("interlayer", "efficiency", ["ZnO (002)"], number, [0.1]),
        *readings("interlayer", "inputs", ["carbon", weak], number, [70.0]),
        *readings("interlayer", "inputs", ["carbon", sharp], number, [5.0]),
    ])  # fmt: skip

    def loss(name, variant=None):
        return [r.numbers[number] for r in runs.of("protocol", [name], variant)]

    assert loss("carbon") == [8.0]
    assert loss("carbon", "adsorption on carbon 1.20 eV") == [70.0]
    assert loss("carbon", "λ 0") == [5.0]
    assert loss("ZnO (002)", "adsorption on carbon 1.20 eV") == [0.1]  # it does not apply to it
    assert loss("ZnO (002)", "λ 0") == []


def test_an_input_that_changes_the_verdict_carries_it():
    known = paper("cathode")

    def selenium(first, last, step="selenium", parts=()):
        values = {"contact_active_frame_first": first, "contact_active_frame_last": last,
                  "contact_active_frame_change": last - first}  # fmt: skip
        return [Reading(step, known.row(parts), {k: v + 0.001 * i for k, v in values.items()})
                for i in (-1, 0, 1)]  # fmt: skip

    runs = Runs(known, [
        *selenium(0.67, 0.795),
        *selenium(0.3, 0.4, "inputs", [dict(known.inputs["plane_share 0.6"]["settings"])]),
        *selenium(0.68, 0.79, "inputs", [dict(known.inputs["σ_ref × 2"]["settings"])]),
    ])  # fmt: skip
    found = claim("cathode", "contact_frame").judged(runs)
    assert found["verdict"] == REPRODUCED
    assert [(e["input"], e["verdict"], e["carries"]) for e in found["inputs"]] == [
        ("σ_ref × 2", REPRODUCED, False),
        ("plane_share 0.6", RANK_ONLY, True),
    ]
    json.dumps(found, allow_nan=False)


TRUE = "true rates"
LAYER_ROWS = [
    *(["ZnO (002)", "layer", TRUE], ["ZnO (202)", "layer"], ["ZnO (020)", "layer"]),
    *(["carbon", "layer", TRUE], ["ZnO (002)", "layer"]),
]


@pytest.mark.parametrize(
    ("losses", "efficiency", "faces"),
    [
        # Carbon's loss is fitted: it has no range, and only its order counts.
        ((0.11, 3.52, 4.47, 8.38, 0.11), REPRODUCED, RANK_ONLY),
        ((0.11, 3.52, 4.47, 60.0, 0.11), REPRODUCED, RANK_ONLY),
        ((0.11, 0.11, 0.11, 8.38, 0.11), RANK_ONLY, NOT_REPRODUCED),
        ((0.11, 3.52, 4.47, 0.1, 0.11), NOT_REPRODUCED, RANK_ONLY),
        # Faces are compared at one ratio of hops, whatever (002) loses at true rates.
        ((0.11, 3.52, 4.47, 8.38, 4.0), REPRODUCED, NOT_REPRODUCED),
    ],
)
def test_loss_by_aurbachs_protocol(losses, efficiency, faces):
    runs = Runs(paper("interlayer"), [
        reading
        for row, loss in zip(LAYER_ROWS, losses, strict=True)
        for reading in readings("interlayer", "layer", row, "lost_percent",
                                [loss * (1 + 0.01 * i) for i in (-1, 0, 1)])
    ])  # fmt: skip
    assert claim("interlayer", "efficiency").evidence(runs).verdict == efficiency
    assert claim("interlayer", "faces").evidence(runs).verdict == faces


def test_a_band_is_that_of_the_runs_and_computed_substrates_change_it():
    """Median, and 90 % of the runs: of six all, where a mean would have a narrower interval."""
    known, losses = paper("interlayer"), [7.0, 7.5, 8.0, 8.5, 9.0, 12.0]
    computed = known.inputs["carbon as graphene, computed"]["settings"]
    rows = [*LAYER_ROWS[:3], ["carbon", "layer", TRUE, dict(computed)]]
    runs = Runs(known, [
        *readings("interlayer", "layer", LAYER_ROWS[3], "lost_percent", losses),
        *(r for row in rows for r in readings("interlayer", "layer", row, "lost_percent", [3.0])),
    ])  # fmt: skip
    found = claim("interlayer", "efficiency").judged(runs)
    band = {f["label"]: f for f in found["figures"]}["carbon, lost (fitted)"]
    assert (band["value"], band["low"], band["high"], band["runs"]) == (8.0, 7.0, 12.0, 6)
    assert [e["input"] for e in found["inputs"]] == ["carbon as graphene, computed"]
    assert found["inputs"][0]["verdict"] == NOT_REPRODUCED


def test_a_gap_where_the_paper_sees_one_is_asked_for_at_its_pressure():
    """Contact of 0.355 at 0.2 MPa is no loss of contact, whatever it is at 7 MPa."""

    def verdict(contacts):
        pressures = ("0.2 MPa", "1 MPa", "1.5 MPa", "7 MPa")
        runs = Runs(paper("operando"), [
            reading
            for p, contact in zip(pressures, contacts, strict=True)
            for reading in readings("operando", "pressures", ["Li voids", p],
                                    "end_contact_fraction", contact + np.array([-0.01, 0, 0.01]))
        ])  # fmt: skip
        # Its form was chosen beside this claim, which is therefore by fit; the rule is the same.
        judged = claim("operando", "pressure_contact")
        assert judged.follows == BY_FIT
        return replace(judged, follows="").evidence(runs).verdict

    assert verdict((0.02, 0.05, 0.9, 1.0)) == REPRODUCED
    assert verdict((0.02, 0.85, 0.99, 1.0)) == RANK_ONLY  # the paper has a severe rise at 1 MPa
    assert verdict((0.355, 0.6, 0.95, 1.0)) == RANK_ONLY
    assert verdict((0.355, 0.95, 0.95, 1.0)) == NOT_REPRODUCED


@pytest.mark.parametrize("name", ["box_voids", "no_peak"])
def test_a_rule_chosen_after_the_counts_is_marked(name):
    from kmc.plotting.report.claims_page import verdict_text

    judged = claim("operando", name).judged(Runs(paper("operando")))
    assert verdict_text(judged).endswith("(rule chosen after the counts)")


def test_a_limit_that_is_not_the_papers_is_no_range():
    """The paper gives no voltage of a peak: below ours it is rank only, never reproduced."""

    def verdict(volts):
        runs = Runs(paper("operando"), [
            Reading("operando", paper("operando").row([f"{metal} voids"]),
                    {"concentration_max_V": volts + 0.001 * i, "concentration_first_V": volts})
            for metal in ("Li", "Li-Mg") for i in (-1, 0, 1)
        ])  # fmt: skip
        return claim("operando", "no_peak").evidence(runs).verdict

    assert verdict(0.005) == RANK_ONLY
    assert verdict(0.08) == NOT_REPRODUCED


@pytest.mark.parametrize("study", NAMES)
def test_never_is_judged_on_runs_that_go_far_enough(study):
    """A range without an end begins within the runs: "never" by 1.5 is no answer to 4 mAh/cm²."""
    known, judged = paper(study), 0
    for one in known.claims:
        for given in one.figures:
            paper_range = range_of(given.get("paper"))
            if paper_range is None or math.isfinite(paper_range[1]):
                continue
            judged += 1
            row = known.row(given["row"])
            assert row["upscale.capacity_mAh_cm2"] >= paper_range[0], (one.name, given["label"])
    assert (judged > 0) == (study == "operando")


def test_slight_enrichment_is_not_tenfold():
    def verdict(slow, fast):
        known = paper("operando")
        runs = Runs(known, [
            Reading("pressures", known.row(["Li-Mg voids", "1 MPa", *more]), {"mg_intensity": c})
            for more, mean in ((["slow"], slow), ([], fast))
            for c in (0.99 * mean, mean, 1.01 * mean)
        ])  # fmt: skip
        return claim("operando", "enrichment").evidence(runs).verdict

    assert verdict(1.2, 1.21) == RANK_ONLY
    assert verdict(13.6, 13.6) == NOT_REPRODUCED
    assert verdict(1.2, 1.6) == NOT_REPRODUCED


@pytest.mark.parametrize("study", NAMES)
def test_every_number_that_a_page_asks_for_is_one_of_the_runs(study):
    """Of a claim or a table: a column of the kind of run by its schema, or a number of its own."""
    known, own = paper(study), set(re.findall(r"``(\w+)``", (readings_module.__doc__ or "")))
    for function in ("voids_of", "population_of", "box_of", "deposition_of", "cathode_of"):
        own |= set(re.findall(r"``(\w+)``", getattr(readings_module, function).__doc__))
    columns = {n for system in SYSTEMS.values() for n in (*system.samples, *system.derived_columns)}
    asked = [(g["in"], g["number"]) for one in known.claims for g in one.figures]
    asked += [(table["in"][0], name) for table in known.tables for name in table["columns"]]
    for place, name in asked:
        if place == "checks" or name == "cycles" or study == "cathode":
            continue
        _, _, column = name.partition("_")
        assert name in own or column in columns, (study, name)


# --- numbers of the runs --------------------------------------------------------------------------


def samples(**changes):
    q = np.linspace(0, 1, 101)
    columns = {
        "time_s": 7200 * q,
        "capacity_mAh_cm2": q,
        "contact_fraction": 1 - q,
        "voids_per_100um": np.where(q < 0.5, 40 * q, 40 * (1 - q)),
        "mean_width_um": 1 + q,
        "overpotential_V": np.where(q < 0.9, 0.01 * (1 + q), 0.019 + 0.1 * (q - 0.9)),
        "concentration_V": 0.05 * np.exp(-10 * q),
        "splits": np.where(q > 0.405, 6, 0),
        "collapses": np.zeros(101),
    }
    return columns | changes


def test_numbers_of_a_population():
    found = voids_of(samples(), "no contact is left")
    assert found["cuts_first"] == pytest.approx(5)  # at 0.125 mAh/cm², between two rows
    assert found["cuts_second"] == pytest.approx(10)
    assert found["width_first_um"] == pytest.approx(1.125)
    assert found["cuts_growth"] == pytest.approx(2)
    q = np.linspace(0, 1, 101)
    # Images at 0.125, 0.25, …: up to 0.375, down at 0.5 and 0.625, up, and down at 1.
    wide = np.interp(q, [0, 0.375, 0.625, 0.875, 1], [0, 4, 2, 6, 5])
    falls = voids_of(samples(max_width_um=wide, max_height_um=np.ones(101)), "")
    assert [falls[f"width_fall_{k}_mAh_cm2"] for k in (1, 2, 3)] == [0.5, 1.0, math.inf]
    assert falls["height_fall_1_mAh_cm2"] == math.inf
    assert found["coalescing_mAh_cm2"] == 0.625  # the image after the most, at 0.5
    assert found["cuts_left"] == pytest.approx(0)
    assert found["lost90_mAh_cm2"] == pytest.approx(0.9)
    assert found["concentration_first_V"] == pytest.approx(0.05 * math.exp(-1.25), rel=0.01)
    assert found["gap_mAh_cm2"] == 1
    assert found["risen_mAh_cm2"] == 1  # by less than 50 mV before no contact is left
    higher = samples(overpotential_V=0.1 * (1 + np.linspace(0, 1, 101)))
    assert voids_of(higher, "")["risen_mAh_cm2"] == pytest.approx(0.51, abs=0.01)
    assert found["steepness"] == pytest.approx(10, rel=0.01)
    assert found["first_split_mAh_cm2"] == pytest.approx(0.4, abs=0.01)


@pytest.mark.slow
def test_mg_is_that_of_the_run_itself(tmp_path):
    """No coverage is put in: what the metal that settles brings, as `magnesium` has it."""
    import kmc

    changed = {"upscale.domain_um": 20, "upscale.capacity_mAh_cm2": 0.1,
               "conditions.stack_pressure_MPa": 1.0, "upscale.pressure_share": 1.0}  # fmt: skip
    run = kmc.run("operando_limg", changed, output=tmp_path / "a.h5", progress=False)
    found = population_of(run)["mg_intensity"]
    assert found == run.magnesium().line_scan([0.5], 1.0)[0] / 0.03
    assert found > 1.2  # 0.5 µm have settled


def test_a_peak_within_the_first_second_is_not_seen():
    """A cycler records from 1 s on: a burst within milliseconds gives it no peak."""
    volts = np.zeros(101)
    volts[0] = 0.08
    assert voids_of(samples(concentration_V=volts))["concentration_max_V"] == 0.0
    volts[1], volts[50] = 0.03, 0.09  # the second comes with the loss of contact
    assert voids_of(samples(concentration_V=volts))["concentration_max_V"] == 0.03


def test_what_never_comes_is_infinite():
    found = voids_of(samples(contact_fraction=np.full(101, 0.5), overpotential_V=np.full(101, 0.1)))
    assert found["gap_mAh_cm2"] == found["lost90_mAh_cm2"] == found["risen_mAh_cm2"] == math.inf
    assert math.isnan(found["steepness"])


def test_a_level_is_crossed_between_rows():
    assert crossing(np.array([0.0, 1, 2]), np.array([0.0, 1, 3]), 2.0) == 1.5
    assert crossing(np.array([0.0, 1]), np.array([0.0, np.inf]), 2.0) == 1


def test_mixing_is_that_of_a_step(monkeypatch):
    """Mean of ½ erfc over a layer: √(Dt/π) over its thickness where it is thick, ½ where thin."""
    D, t, thick = 2.06e-13, 36_000.0, 13e-4
    assert mixed(D, t, thick) == pytest.approx(math.sqrt(D * t / math.pi) / thick, rel=2e-3)
    assert mixed(D, t, 1e-9) == pytest.approx(0.5, rel=1e-3)
    rows = [
        SimpleNamespace(name=f"D of Mg at {T} °C", model=D * f) for T, f in ((25, 1), (60, 11.7))
    ]
    monkeypatch.setattr("kmc.model.dft_check.check_rows", lambda params: rows)
    found = check_values("limg_li2s")
    assert found["D of Mg, 60 over 25 °C"] == pytest.approx(11.7)
    assert found["Mg mixed at 25 °C"] == mixed(D, t, thick)


class _System:
    def __init__(self, samples, constants=None, frames=None):
        self.samples = {key: np.asarray(values, dtype=float) for key, values in samples.items()}
        self.constants, self.frames, self.run = constants, frames, {"cathode": {}}


def test_numbers_of_a_deposition():
    samples = {
        "step": [1, 1, 1, 2],
        "capacity_monolayers": [0, 1, 3, 2],
        "coverage": [0, 0.6, 0.9, 0.8],
        "roughness_layers": [0, 0.5, 0.7, 0.7],
        "max_height_layers": [0, 2, 4, 4],
        "dead_per_plated": [0, 0, 0, 0.25],
    }
    substrate = np.array([[1, 0], [0, 0]])
    occupied = np.array([[[[1, 1], [0, 0]]]])
    run = _System(samples, {"substrate": substrate}, {"occupied": occupied})
    found = deposition_of(run)
    assert (found["coverage_1"], found["coverage_3"], found["highest_3"]) == (0.6, 0.9, 4)
    assert found["dead_percent"] == 25
    assert math.isnan(found["lost_percent"])
    assert math.isnan(found["formation_lost_percent"])
    assert found["covered_islands"] == 1
    assert found["covered_between"] == pytest.approx(1 / 3)
    run.samples["capacity_monolayers"] *= 0.5
    assert math.isnan(deposition_of(run)["coverage_3"])


def test_numbers_of_a_cathode():
    names = ("contact_active_active", "contact_active_frame", "stress_active_GPa",
             "stress_frame_GPa", "stress_active_99_GPa")  # fmt: skip
    samples = {name: [0, 0.5, 0.1, 0.7, 0.2] for name in names}
    samples |= {"cycle": [0, 1, 1, 2, 2], "phase": [0, 1, 2, 1, 2], "thickness": [1, 1, 1, 1, 1.02],
                "pore_area": [1, 0.3, 0.6, 0.2, 0.5]}  # fmt: skip
    material = np.full((6, 6), 1)
    material[:2, :2] = material[4:, 4:] = material[:2, 4:] = 0  # three pores of four sites
    material[3, 0] = 0  # too small to be followed
    opened = np.zeros((3, 6, 6))
    opened[0][material == 0] = 1.0
    opened[1][:2, :2], opened[1][4:, 4:], opened[1][:2, 4:] = 0.2, 0.5, 0.9
    opened[2][:2, :2], opened[2][4:, 4:], opened[2][:2, 4:] = 0.6, 0.4, 0.95
    frames = {"sample": np.array([0, 1, 2]), "open_area": opened}
    found = cathode_of(_System(samples, {"material": material}, frames))
    assert (found["cycles"], found["stress_active_GPa_last"]) == (2, 0.7)
    assert found["contact_active_frame_change"] == pytest.approx(0.2)
    assert found["pores_change"] == pytest.approx(0.3)
    assert found["pores_below"] == pytest.approx(2 / 3)
    assert found["pores_shrinking"] == pytest.approx(1 / 3)
    assert found["thickness_change"] == pytest.approx(0.02)


# --- a folder -------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_study_is_judged_from_its_folder(tmp_path):
    folder = fake_results.study(tmp_path)
    found = json.loads((folder / "claims.json").read_text("utf-8"))
    first = found["claims"][0]
    assert first["name"] == "first_voids"
    assert first["figures"][0]["runs"] == 4
    assert first["verdict"] == NOT_REPRODUCED
    assert found["papers"] == {"operando": paper("operando").paper}
    assert found["runs"]["operando"] == [8, 8]
    assert found["runs"]["box_first"][0] == 0


# --- over a calibration ---------------------------------------------------------------------------


def test_over_samples_a_figure_is_its_median_and_never_is_no_number():
    assert RunMean.over([3.0, 1.0, 2.0, math.nan]) == RunMean(2.0, 1.0, 3.0, 3)
    assert RunMean.over([1.0, math.inf, math.inf]) == RunMean(math.inf, 1.0, math.inf, 3)
    assert RunMean.over([math.nan]) is None


@pytest.mark.parametrize(("held", "verdict"), [(10, BY_FIT), (9, BY_FIT), (8, NOT_REPRODUCED)])
def test_an_order_over_samples_holds_in_nine_of_ten(held, verdict):
    """Li is at 1, Li-Mg at 2 or below it: compared sample by sample, not interval by interval."""
    figures = [
        {"label": name, "in": "voids", "row": [name], "number": "x", "paper": range_}
        for name, range_ in (("Li", [0.5, 1.5]), ("Li-Mg", [1.5, 2.5]))
    ]
    one = Claim("n", "t", "s", "Abstract", figures=figures, fitted=True,
                orders=[{"text": "more", "less": ["Li", "Li-Mg"]}])  # fmt: skip
    drawn = [
        Sample({n: Reading(n, {}, {"x": v}) for n, v in (("Li", 1.0), ("Li-Mg", alloy))})
        for alloy in [2.0] * held + [1.0] * (10 - held)
    ]
    found = one.over(drawn)
    assert (found.verdict, found.figures[1].measured.n) == (verdict, 10)
    assert one.over([Sample({})]).verdict == NOT_RUN


def test_every_calibrated_row_is_an_experiment_and_a_row_of_the_study():
    """Its run is that of the row, but for inputs that are calibrated, the square and the end."""
    known, problem = paper("operando"), read_problem("calibrate_operando")
    assert set(known.calibrated.values()) <= set(problem.experiments)
    free = {key for prior in problem.priors.values() for key in prior.keys}
    for row, name in known.calibrated.items():
        parts = next(
            figure["row"]
            for one in known.claims
            for figure in one.figures
            if ", ".join(figure.get("row", ())) == row
        )
        about = problem.experiments[name]
        run = load_run(about.run, about.set)
        wanted = known.defaults | known.row(parts)
        for key, value in wanted.items():
            if key in {*free, *known.ignore, "acceleration.slow_down_by", "upscale.domain_um"}:
                continue
            section, _, last = key.partition(".")
            if section in ("conditions", "upscale") and key not in about.set:
                assert getattr(getattr(run, section), last) == pytest.approx(value), (row, key)
            elif key in about.set and last != "capacity_mAh_cm2":
                assert about.set[key] == pytest.approx(value), (row, key)


@pytest.mark.slow
def test_a_study_is_judged_over_a_calibration(tmp_path):
    folder, fit = fake_results.study(tmp_path), fake_results.calibration(tmp_path)
    head = json.loads((folder / "study.json").read_text("utf-8"))
    head["steps"].pop()  # a name that leads out of the folder
    (folder / "study.json").write_text(json.dumps(head))
    judge(folder, calibration=fit)
    found = json.loads((folder / "claims.json").read_text("utf-8"))
    assert (found["calibration"]["samples"], found["calibration"]["file"]) == (3, "fit")
    by_name = {one["name"]: one for one in found["claims"]}
    # Widths of Li are 2.0, 2.1 and 2.2 µm; there are none of Li-Mg, so that it is not judged.
    assert "calibrated" not in by_name["width"]
    steep = by_name["steep"]["calibrated"]
    assert steep["figures"][0]["runs"] == 3
    # S_f/k of the samples is 1, 2 and 3: D of Mg is e, e² and e³ times that of the set.
    figure = by_name["diffusion_ratio"]["calibrated"]["figures"][0]
    plain = check_values("limg_li2s")[figure_name(by_name)]
    assert figure["value"] == pytest.approx(plain * math.e**2, rel=1e-3)
    assert figure["low"] == pytest.approx(plain * math.e, rel=1e-3)
    with pytest.raises(InputError, match="names no experiments"):
        read_samples(paper("cathode"), load_calibration(fit))
    with pytest.raises(InputError, match="no posterior runs"):
        read_samples(replace(paper("operando"), calibrated={"x": "y"}), load_calibration(fit))


def figure_name(by_name):
    assert by_name["diffusion_ratio"]["figures"][0]["label"] == "25 °C"
    return "D of Mg at 25 °C"
