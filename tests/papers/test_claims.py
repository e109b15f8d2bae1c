"""Verdicts follow from figures by the rule, and from nothing else."""

from __future__ import annotations

import json
import math
import re

import fake_results
import numpy as np
import pytest
from scipy import stats

from kmc.papers import (
    STUDIES,
    cathode,
    cathode_claims,
    interlayer,
    interlayer_claims,
    operando,
    operando_claims,
    operando_evidence,
)
from kmc.papers.claims import (
    NOT_ADDRESSABLE,
    NOT_REPRODUCED,
    NOT_RUN,
    RANK_ONLY,
    REPRODUCED,
    Claim,
    Evidence,
    Figure,
    Order,
    about,
)
from kmc.papers.operando import BOX_VARIANTS, METALS, OPERANDO, VARIANTS
from kmc.papers.operando_evidence import Runs, mixed
from kmc.papers.readings import (
    Measured,
    Reading,
    cathode_of,
    crossing,
    deposition_of,
    voids_of,
)

YES, NO = Order("a", True), Order("b", False)


def figure(low, high, paper):
    return Figure("x", "1", Measured((low + high) / 2, low, high, 3), paper)


# --- intervals ------------------------------------------------------------------------------------


def test_the_interval_is_students():
    values = [1.0, 2.0, 4.0, math.nan]
    found = Measured.of(values)
    expected = stats.t.interval(0.95, 2, loc=7 / 3, scale=stats.sem(values[:3]))
    assert (found.value, found.n) == (pytest.approx(7 / 3), 3)
    assert (found.low, found.high) == pytest.approx(expected)
    assert Measured.of([math.nan]) is None
    assert Measured.of([2.0]) == Measured(2.0, 2.0, 2.0, 1)


@pytest.mark.slow
def test_the_interval_holds_the_mean_in_95_percent():
    rng = np.random.default_rng(5)
    held = [m.low <= 0 <= m.high for m in (Measured.of(rng.normal(size=4)) for _ in range(2000))]
    assert abs(np.mean(held) - 0.95) < 4 * math.sqrt(0.95 * 0.05 / 2000)


def test_below_needs_intervals_apart():
    low, high, wide = Measured(1, 0.8, 1.2, 3), Measured(2, 1.5, 2.5, 3), Measured(2, 1.1, 2.9, 3)
    assert low.below(high)
    assert not low.below(wide)
    assert not high.below(low)
    assert not low.below(low)
    assert low.below(Measured(math.inf, math.inf, math.inf, 3))
    assert not Measured(math.inf, 3.0, math.inf, 3).below(Measured(math.inf, 1.0, math.inf, 3))
    assert Measured.exact(90).below(Measured.exact(90.1))
    assert Measured(1, 1, 1, 1).below(Measured(1.3, 1.3, 1.3, 1))
    assert not Measured(1, 1, 1, 1).below(Measured(1.2, 1.2, 1.2, 1))


# --- verdicts -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("figures", "orders", "verdict"),
    [
        ([figure(1, 2, (2, 3))], [], REPRODUCED),
        ([figure(1, 1.9, (2, 3))], [], NOT_REPRODUCED),
        ([figure(1, 1.9, (2, 3))], [YES], RANK_ONLY),
        ([figure(1, 2, (2, 3))], [YES], REPRODUCED),
        ([figure(1, 2, (2, 3))], [YES, NO], NOT_REPRODUCED),
        ([figure(1, 2, None)], [YES], REPRODUCED),
        ([figure(1, 2, None)], [NO], NOT_REPRODUCED),
        ([figure(1, 2, (2, 3)), Figure("y", "1", None)], [YES], NOT_RUN),
    ],
)
def test_the_rule(figures, orders, verdict):
    assert Evidence(figures, orders).verdict == verdict


def test_what_carries_a_verdict_is_what_changes_it():
    def judge(runs, variant):
        return Evidence([figure(0, 1, (0.5, 2) if variant in (None, "same") else (5, 6))])

    found = Claim("n", "t", "s", "w", judge, variants=("same", "other")).judged(None)
    assert [(e["input"], e["carries"]) for e in found["inputs"]] == [
        ("same", False),
        ("other", True),
    ]
    assert Claim("n", "t", "s", "w").judged(None)["verdict"] == NOT_ADDRESSABLE
    json.dumps(found, allow_nan=False)


def test_a_bare_number_has_a_fifth_about_it():
    assert about(10) == (8, 12)


# --- numbers of a population ----------------------------------------------------------------------


def samples(**changes):
    q = np.linspace(0, 1, 101)
    columns = {
        "capacity_mAh_cm2": q,
        "contact_fraction": 1 - q,
        "voids_per_100um": np.where(q < 0.5, 40 * q, 40 * (1 - q)),
        "mean_width_um": 1 + q,
        "overpotential_V": np.where(q < 0.9, 0.01 * (1 + q), 0.019 + 0.1 * (q - 0.9)),
        "concentration_V": 0.05 * np.exp(-10 * q),
    }
    return columns | changes


def test_numbers_of_a_population():
    found = voids_of(samples(), "no contact is left")
    assert found["most_cuts_per_100um"] == pytest.approx(20)
    assert found["width_um"] == pytest.approx(1.45)  # nine tenths of 20 at 0.45
    assert found["coalescing_mAh_cm2"] == pytest.approx(0.5)
    assert found["cuts_left"] == pytest.approx(0)
    assert found["lost90_mAh_cm2"] == pytest.approx(0.9)
    assert found["gap_mAh_cm2"] == 1
    assert found["risen_mAh_cm2"] == pytest.approx(0.5)
    assert found["steepness"] == pytest.approx(10, rel=0.01)
    assert found["concentration_max_V"] == 0.05


def test_what_never_comes_is_infinite():
    found = voids_of(samples(contact_fraction=np.full(101, 0.5), overpotential_V=np.full(101, 0.1)))
    assert found["gap_mAh_cm2"] == found["lost90_mAh_cm2"] == found["risen_mAh_cm2"] == math.inf
    assert math.isnan(found["steepness"])


def test_a_level_is_crossed_between_rows():
    assert crossing(np.array([0.0, 1, 2]), np.array([0.0, 1, 3]), 2.0) == 1.5
    assert crossing(np.array([0.0, 1]), np.array([0.0, np.inf]), 2.0) == 1


# --- the claims of the operando paper -------------------------------------------------------------


def reading(metal, step="operando", numbers=None, **settings):
    return Reading(step, {**OPERANDO, **METALS[metal], "upscale.domain_um": 20, **settings},
                   {"most_cuts_per_100um": 1.0} | (numbers or {}))  # fmt: skip


def test_runs_are_found_by_metal_and_condition():
    hot = {"conditions.temperature_K": 333.15}
    runs = Runs(
        [
            *(reading("Li", numbers={"most_cuts_per_100um": 16.5 + i}) for i in range(2)),
            reading("Li", "conditions", **hot),
            reading("Li-Mg", numbers={"most_cuts_per_100um": 2.5}),
            reading("Li-Mg", "inputs", **VARIANTS["Mg coverage 0.9"][0]),
        ]
    )
    assert len(runs.population("Li")) == 2
    assert len(runs.population("Li-Mg", "Mg coverage 0.9")) == 1
    assert len(runs.population("Li", "Mg coverage 0.9")) == 2  # it does not apply to lithium
    assert runs.population("Li", pressure=7.0) == []
    found = operando_evidence.first_voids(runs, None)
    assert [f.measured.value for f in found.figures] == [17.0, 2.5]


@pytest.mark.parametrize(
    ("li", "limg", "verdict"),
    [
        ((16, 17, 18), (2, 2.5, 3), REPRODUCED),
        ((46, 47, 48), (2, 2.5, 3), RANK_ONLY),
        ((46, 47, 48), (46, 47, 48), NOT_REPRODUCED),
        ((16, 17, 18), (), NOT_RUN),
    ],
)
def test_the_first_claim(li, limg, verdict):
    runs = Runs(
        [reading("Li", numbers={"most_cuts_per_100um": n}) for n in li]
        + [reading("Li-Mg", numbers={"most_cuts_per_100um": n}) for n in limg]
    )
    assert operando_evidence.first_voids(runs, None).verdict == verdict


_KNOWN = {
    "operando": {*VARIANTS, *BOX_VARIANTS},
    "interlayer": set(interlayer.VARIANTS),
    "cathode": set(cathode.VARIANTS),
}
_NO_RUNS = {"operando": Runs(), "interlayer": interlayer.Runs(), "cathode": cathode.Runs()}


@pytest.mark.parametrize("study", STUDIES)
def test_every_claim_says_where_it_stands_and_what_shows_it(study):
    claims = STUDIES[study].claims
    assert len({claim.name for claim in claims}) == len(claims)
    for claim in claims:
        assert claim.statement, claim.name
        assert re.search("Fig|“|Table|Abstract", claim.where), claim.name
        assert claim.analysis, claim.name
        assert claim.command or claim.judge is None, claim.name
        assert set(claim.variants) <= _KNOWN[study], claim.name


@pytest.mark.parametrize("study", STUDIES)
def test_without_runs_nothing_is_claimed(study):
    verdicts = {claim.judged(_NO_RUNS[study])["verdict"] for claim in STUDIES[study].claims}
    assert verdicts == {NOT_RUN, NOT_ADDRESSABLE}


def test_mixing_is_that_of_a_step():
    """Mean of ½ erfc over a layer: √(Dt/π) over its thickness where it is thick, ½ where thin."""
    D, t, thick = 2.06e-13, 36_000.0, 13e-4
    assert mixed(D, t, thick) == pytest.approx(math.sqrt(D * t / math.pi) / thick, rel=2e-3)
    assert mixed(D, t, 1e-9) == pytest.approx(0.5, rel=1e-3)


def test_a_study_is_judged_from_its_folder(tmp_path):
    folder = fake_results.study(tmp_path)
    found = json.loads((folder / "claims.json").read_text("utf-8"))
    first = found["claims"][0]
    assert first["name"] == "first_voids"
    assert first["figures"][0]["runs"] == 2
    assert first["verdict"] == NOT_REPRODUCED
    assert found["papers"] == {"operando": operando_claims.PAPER}


def boxes(metal, step="box", numbers=None, **settings):
    settings = {**OPERANDO, **metal, "acceleration.slow_down_by": 7e6, **settings}
    return Reading(step, settings, numbers or {})


@pytest.mark.parametrize(
    ("volts", "verdict"),
    [((0.3, 0.2, 0.1, 0.05), REPRODUCED), ((0.05, 0.1, 0.2, 0.3), NOT_REPRODUCED)],
)
def test_the_order_in_pressure(volts, verdict):
    runs = Runs(
        [
            reading("Li", numbers={"overpotential_end_V": v * (1 + 0.01 * i)},
                    **{"conditions.stack_pressure_MPa": p})
            for v, p in zip(volts, (0.2, 1.0, 1.5, 7.0), strict=True)
            for i in range(3)
        ]
    )  # fmt: skip
    judge = operando_evidence.pressure("Li", "overpotential_end_V", "V", falls=True)
    assert judge(runs, None).verdict == verdict


@pytest.mark.parametrize(
    ("slow", "fast", "verdict"),
    [(1.4, 1.5, REPRODUCED), (1.4, 2.5, NOT_REPRODUCED), (1.0, 1.0, NOT_REPRODUCED)],
)
def test_enrichment_is_above_one_and_the_same(slow, fast, verdict):
    random = operando.alloy(operando.FOIL, operando.NONE)
    runs = Runs(
        boxes=[
            boxes(random, "box_random", {"mg_intensity_end": value + shift},
                  **{"conditions.current_density_mA_cm2": j})
            for value, j in ((slow, 0.05), (fast, 0.5))
            for shift in (-0.1, 0.0, 0.1)
        ]
    )  # fmt: skip
    assert operando_evidence.enrichment(runs, None).verdict == verdict


def test_boxes_with_a_changed_input_are_those_of_their_step():
    slow = {"acceleration.slow_down_by": 7e7}
    li = METALS["Li"]
    runs = Runs(
        boxes=[
            boxes(li, numbers={"splits": 1.0}),
            boxes(li, "box_inputs", {"splits": 2.0}),
            boxes(li, "box_inputs", {"splits": 3.0}, **slow),
            boxes(li, "box_inputs", {"splits": 4.0}, **BOX_VARIANTS["λ 0"]),
        ]
    )

    def found(variant):
        return [r.numbers["splits"] for r in runs.box(li, variant)]

    assert found(None) == [1.0]
    assert found("λ 0") == [4.0]
    assert found("hops slowed ten times more") == [3.0]
    assert found("Mg coverage 0.3") == [2.0]  # lithium has none: it is unchanged


def test_the_steep_rise_needs_the_loss():
    def verdict(lost, slope):
        numbers = {"lost90_mAh_cm2": lost, "steepness": slope}
        runs = Runs([reading("Li", numbers=numbers | {"steepness": slope + 0.1 * i})
                     for i in range(3)])  # fmt: skip
        return operando_evidence.steep(runs, None).verdict

    assert verdict(0.9, 5.0) == REPRODUCED
    assert verdict(0.9, 2.0) == NOT_REPRODUCED
    assert verdict(math.inf, 5.0) == NOT_REPRODUCED


def test_splits_are_counted_against_those_of_lithium():
    def verdict(li, limg):
        runs = Runs(
            boxes=[
                boxes(METALS[metal], numbers={"splits": n + shift, "collapses": 2.0 + shift})
                for metal, n in (("Li", li), ("Li-Mg", limg))
                for shift in (-0.1, 0.0, 0.1)
            ]
        )
        return operando_evidence.splits(runs, None).verdict

    assert verdict(0.5, 3.0) == REPRODUCED
    assert verdict(3.0, 0.5) == NOT_REPRODUCED


def test_the_rank_of_voids_is_judged_at_the_highest_ratio():
    def counted(step, ratio, n):
        settings = {"acceleration.max_hops_per_strip_per_site": ratio}
        return [Reading(step, settings, {"voids_end": n + shift}) for shift in (-0.1, 0.0, 0.1)]

    li, limg = "convergence_strip_li", "convergence_strip_limg"
    runs = [*counted(li, 1e4, 3), *counted(limg, 1e4, 5)]
    judge = operando_evidence.box_voids
    assert judge(Runs(ratios=runs), None).verdict == NOT_REPRODUCED
    runs += [*counted(li, 1e5, 2), *counted(limg, 1e5, 1)]
    found = judge(Runs(ratios=runs), None)
    assert [figure.measured.value for figure in found.figures] == pytest.approx([3, 5, 2, 1])
    assert found.verdict == REPRODUCED


def test_the_first_voltage_is_that_of_boxes():
    def verdict(li, limg):
        runs = Runs(boxes=[
            boxes(METALS[metal], "box_first",
                  {"overpotential_start_V": 0.013, "overpotential_tenth_V": v + 0.001 * i})
            for metal, v in (("Li", li), ("Li-Mg", limg)) for i in range(3)
        ])  # fmt: skip
        return operando_evidence.voltage_order(runs, None).verdict

    assert verdict(0.18, 0.18) == REPRODUCED
    assert verdict(0.18, 0.22) == NOT_REPRODUCED


# --- the claims of the interlayer paper -----------------------------------------------------------


def deposits(losses, step="efficiency", **settings):
    """Three runs on each substrate, with their dead lithium."""
    return [
        Reading(step, {"system.params": interlayer.SUBSTRATES[name], **settings},
                {"dead_percent": loss * (1 + 0.01 * i)})
        for name, loss in losses.items() for i in (-1, 0, 1)
    ]  # fmt: skip


_MEASURED = {"ZnO (002)": 0.11, "ZnO (202)": 3.52, "ZnO (020)": 4.47, "carbon": 8.38}


@pytest.mark.parametrize(
    ("changed", "efficiency", "faces"),
    [
        ({}, REPRODUCED, REPRODUCED),
        ({"carbon": 60.0}, RANK_ONLY, REPRODUCED),
        ({"ZnO (202)": 0.11, "ZnO (020)": 0.11}, RANK_ONLY, NOT_REPRODUCED),
        ({"carbon": 0.1}, NOT_REPRODUCED, REPRODUCED),
    ],
)
def test_loss_by_aurbachs_protocol(changed, efficiency, faces):
    runs = interlayer.Runs(deposits(_MEASURED | changed))
    assert interlayer_claims.efficiency(runs, None).verdict == efficiency
    assert interlayer_claims.faces(runs, None).verdict == faces


def test_a_changed_input_applies_to_its_substrates():
    weak = interlayer.VARIANTS["adsorption on carbon 0.9 eV"][0]
    runs = interlayer.Runs(
        deposits(_MEASURED) + deposits({"carbon": 70.0}, "inputs", **weak)
        + deposits({"carbon": 5.0}, "inputs", **interlayer.VARIANTS["λ 0"][0])
    )  # fmt: skip

    def loss(name, variant=None):
        return [round(r.numbers["dead_percent"]) for r in runs.substrate(name, variant)]

    assert loss("carbon")[1] == 8
    assert loss("carbon", "adsorption on carbon 0.9 eV")[1] == 70
    assert loss("carbon", "λ 0")[1] == 5
    assert loss("ZnO (002)", "adsorption on carbon 0.9 eV") == loss("ZnO (002)")


# --- the claims of the cathode paper --------------------------------------------------------------


def selenium(first, last, step="selenium", **settings):
    name = "contact_active_frame"
    return [
        Reading(step, settings, {f"{name}_first": first + 0.01 * i, f"{name}_last": last + 0.01 * i,
                                 f"{name}_change": last - first + 0.001 * i})
        for i in (-1, 0, 1)
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("first", "last", "verdict"),
    [(0.67, 0.795, REPRODUCED), (0.3, 0.4, RANK_ONLY), (0.67, 0.66, NOT_REPRODUCED)],
)
def test_contact_that_grows_with_cycles(first, last, verdict):
    judge = {claim.name: claim for claim in cathode_claims.CLAIMS}["contact_frame"].judge
    assert judge(cathode.Runs(selenium(first, last)), None).verdict == verdict


def test_selenium_with_a_changed_input():
    runs = cathode.Runs(
        selenium(0.6, 0.7)
        + selenium(0.5, 0.6, "inputs", **cathode.DEFAULTS | cathode.VARIANTS["plane_share 0.6"])
        + selenium(0.9, 0.95, "inputs", **cathode.DEFAULTS | cathode.VARIANTS["σ_ref × 2"])
    )  # fmt: skip
    for variant, value in ((None, 0.6), ("plane_share 0.6", 0.5), ("σ_ref × 2", 0.9)):
        found = [r.numbers["contact_active_frame_first"] for r in runs.selenium(variant)]
        assert found[1] == value


# --- numbers of the runs of systems ---------------------------------------------------------------


class _System:
    def __init__(self, samples, constants=None, frames=None):
        self.samples = {key: np.asarray(values, dtype=float) for key, values in samples.items()}
        self.constants, self.frames, self.run = constants, frames, {}


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
    assert math.isnan(found["efficiency_percent"])
    assert found["covered_islands"] == 1
    assert found["covered_between"] == pytest.approx(1 / 3)
    run.samples["capacity_monolayers"] *= 0.5
    assert math.isnan(deposition_of(run)["coverage_3"])


def test_numbers_of_a_cathode():
    names = ("contact_active_active", "contact_active_frame", "stress_active_GPa",
             "stress_frame_GPa", "stress_active_99_GPa")  # fmt: skip
    samples = {name: [0, 0.5, 0.1, 0.7, 0.2] for name in names}
    samples |= {"cycle": [0, 1, 1, 2, 2], "phase": [0, 1, 2, 1, 2],
                "pore_area": [1, 0.3, 0.6, 0.2, 0.5]}  # fmt: skip
    found = cathode_of(_System(samples))
    assert (found["cycles"], found["stress_active_GPa_last"]) == (2, 0.7)
    assert found["contact_active_frame_change"] == pytest.approx(0.2)
    assert found["pores_change"] == pytest.approx(0.3)
