"""What the runs of the operando study say of each claim: figures and orders, and nothing else."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.special import erfc

from kmc.campaign.convergence.sentences import ratio_text
from kmc.papers import operando
from kmc.papers.claims import Evidence, Figure, Order, about, number_of
from kmc.papers.operando import BOX_VARIANTS, FOIL, METALS, OPERANDO, VARIANTS
from kmc.papers.readings import Measured, Reading, mean
from kmc.papers.steps import NONE

_PRESSURE, _CURRENT = "conditions.stack_pressure_MPa", "conditions.current_density_mA_cm2"
_RATIO = "acceleration.max_hops_per_strip_per_site"
_SIZES = ("upscale.domain_um", "acceleration.slow_down_by")  # of a plan, not of a condition


@dataclass(frozen=True)
class Runs:
    """The runs of a study by metal and condition.

    Attributes
    ----------
    voids, boxes : sequence of Reading
        Of all steps with populations, and with boxes of atoms.
    ratios : sequence of Reading
        Of both convergence studies; the step tells the metal.
    checks : mapping of str to float
        The model's value for each row of `kmc params check`; NaN where it has none.
    """

    voids: Sequence[Reading] = ()
    boxes: Sequence[Reading] = ()
    checks: Mapping[str, float] = field(default_factory=dict)
    ratios: Sequence[Reading] = ()

    def population(self, metal: str, variant: str | None = None, **changed: Any) -> list[Reading]:
        """Populations of a metal at the operando conditions, but for what is changed."""
        row = {**OPERANDO, **METALS[metal], **{_key(k): v for k, v in changed.items()}}
        if variant is not None and metal in VARIANTS[variant][1]:
            row |= VARIANTS[variant][0]
        return [reading for reading in self.voids if _same(reading.settings, row)]

    def box(self, metal: Mapping[str, Any], variant: str | None = None, **changed: Any):
        """Boxes of a metal; with a variant those of the step that changes inputs."""
        row = {**OPERANDO, **metal, **{_key(k): v for k, v in changed.items()}}
        slow = False
        if variant is not None:
            settings = BOX_VARIANTS[variant]
            slow = "acceleration.slow_down_by" in settings
            needs_mg = any("mg_" in key or "_Mg_" in key for key in settings)
            if not (needs_mg and metal is operando.LI):
                row |= {k: v for k, v in settings.items() if k not in _SIZES}
        changed_step = variant is not None
        found = [
            reading
            for reading in self.boxes
            if (reading.step == "box_inputs") == changed_step and _same(reading.settings, row)
        ]
        if variant is None or not found:
            return found
        factors = {float(r.settings["acceleration.slow_down_by"]) for r in found}
        chosen = max(factors) if slow else min(factors)
        return [r for r in found if float(r.settings["acceleration.slow_down_by"]) == chosen]


def _key(name: str) -> str:
    return {"pressure": _PRESSURE, "current": _CURRENT}[name]


def _same(settings: Mapping[str, Any], row: Mapping[str, Any]) -> bool:
    """Whether a point of a sweep is a row of the plan; its size does not matter."""
    keys = {*settings, *row} - set(_SIZES)
    return all(_value(settings, key) == _value(row, key) for key in keys)


def _value(settings: Mapping[str, Any], key: str) -> Any:
    value = settings.get(key, operando.DEFAULTS.get(key, NONE))
    return float(value) if isinstance(value, int | float) else value


def _less(low: Measured | None, high: Measured | None, text: str) -> Order:
    return Order(text, low is not None and high is not None and low.below(high))


def conditions(runs: Runs) -> list[dict[str, Any]]:
    """Means of the populations at each condition, as plain data for claims.json."""
    return _means([r for r in runs.voids if r.step in ("operando", "conditions")], _TABLE)


def box_conditions(runs: Runs) -> list[dict[str, Any]]:
    """Means of the boxes at each condition, as plain data for claims.json."""
    return _means([r for r in runs.boxes if r.step in ("box_first", "box")], _BOX_TABLE)


def _means(readings: Sequence[Reading], columns: Sequence[str]) -> list[dict[str, Any]]:
    groups: dict[tuple, list[Reading]] = {}
    for reading in readings:
        keys = ("system.mg_fraction", _CURRENT, _PRESSURE, "conditions.temperature_K")
        place = tuple(float(_value(reading.settings, key)) for key in keys)
        groups.setdefault(place, []).append(reading)
    rows = []
    for (mg, current, stress, kelvin), some in sorted(groups.items()):
        row = {
            "mg_fraction": mg,
            "current_density_mA_cm2": current,
            "stack_pressure_MPa": stress,
            "temperature_K": kelvin,
            "runs": len(some),
        }
        for name in columns:
            found = mean(some, name)
            row[name] = None if found is None else number_of(found.value)
        rows.append(row)
    return rows


_TABLE = (
    *("most_cuts_per_100um", "width_um", "contact_end", "lost90_mAh_cm2"),
    *("overpotential_end_V", "concentration_max_V"),
)
_BOX_TABLE = (
    *("contact_end", "contact_Li_end", "mg_coverage_end", "voids_end", "splits", "collapses"),
    *("coalescences", "overpotential_start_V", "overpotential_end_V"),
)


# --- judges ---------------------------------------------------------------------------------------


def first_voids(runs: Runs, variant: str | None) -> Evidence:
    """Voids on a line, when they are most."""
    li, limg = (mean(runs.population(metal, variant), "most_cuts_per_100um") for metal in METALS)
    return Evidence(
        [
            Figure("Li", "per 100 µm", li, (16, 18)),
            Figure("Li-Mg", "per 100 µm", limg, (2, 3)),
        ],
        [_less(limg, li, "fewer voids in Li-Mg than in Li")],
    )


def box_voids(runs: Runs, variant: str | None) -> Evidence:
    """Voids of a box after one monolayer, at each ratio of hops to stripped atoms.

    The order counts at the highest ratio, that of the hops that are slowed least.
    """
    figures: list[Figure] = []
    orders: list[Order] = []
    for ratio in sorted({float(r.settings[_RATIO]) for r in runs.ratios}):
        li, limg = (
            mean(
                [r for r in runs.ratios if r.step == step and float(r.settings[_RATIO]) == ratio],
                "voids_end",
            )
            for step in ("convergence_strip_li", "convergence_strip_limg")
        )
        told = ratio_text(ratio)
        figures += [Figure(f"Li, {told}", "1", li), Figure(f"Li-Mg, {told}", "1", limg)]
        orders = [_less(limg, li, f"fewer voids in Li-Mg at the highest ratio, {told}")]
    return Evidence(figures or [Figure("Li", "1", None)], orders)


def voltage_order(runs: Runs, variant: str | None) -> Evidence:
    """Overpotential of a box, at the start and once vacancies have been made."""
    figures, orders = [], []
    for name, when in (("start", "at the start"), ("tenth", "after 0.1 monolayers")):
        li, limg = (
            mean(runs.box(METALS[metal], variant), f"overpotential_{name}_V") for metal in METALS
        )
        above = li is not None and limg is not None and li.below(limg)
        figures += [Figure(f"Li, {when}", "V", li), Figure(f"Li-Mg, {when}", "V", limg)]
        orders.append(Order(f"Li-Mg is not above Li {when}", not above))
    return Evidence(figures, orders)


def width(runs: Runs, variant: str | None) -> Evidence:
    """Mean width of the cuts, where nine tenths of their largest number are first reached."""
    li, limg = (mean(runs.population(metal, variant), "width_um") for metal in METALS)
    return Evidence(
        [Figure("Li", "µm", li, (0.9, 3.5)), Figure("Li-Mg", "µm", limg, (2.8, 4.8))],
        [_less(li, limg, "wider voids in Li-Mg than in Li")],
    )


def coalescence(runs: Runs, variant: str | None) -> Evidence:
    """Where the number of cuts begins to fall, and how far it falls."""
    found = runs.population("Li", variant)
    start, left = mean(found, "coalescing_mAh_cm2"), mean(found, "cuts_left")
    half = Measured.exact(0.5)
    return Evidence(
        [Figure("Li, from", "mAh/cm²", start, about(0.25)),
         Figure("Li, cuts left at the end", "1", left)],
        [_less(left, half, "half of the voids of Li are gone by the end")],
    )  # fmt: skip


def one_gap(runs: Runs, variant: str | None) -> Evidence:
    """Where no contact is left."""
    li, limg = (mean(runs.population(metal, variant), "gap_mAh_cm2") for metal in METALS)
    return Evidence(
        [Figure("Li", "mAh/cm²", li, about(1.25)), Figure("Li-Mg", "mAh/cm²", limg)],
        [_less(li, limg, "Li ends in one gap, Li-Mg later or not")],
    )


def splits(runs: Runs, variant: str | None) -> Evidence:
    """Splits and collapses of voids in boxes of atoms."""
    li, limg = runs.box(METALS["Li"], variant), runs.box(METALS["Li-Mg"], variant)
    none = Measured.exact(0.0)
    split, fall = mean(limg, "splits"), mean(limg, "collapses")
    return Evidence(
        [
            Figure("Li-Mg, splits a run", "1", split),
            Figure("Li-Mg, collapses a run", "1", fall),
            Figure("Li, splits a run", "1", mean(li, "splits")),
            Figure("Li, collapses a run", "1", mean(li, "collapses")),
        ],
        [
            _less(none, split, "voids of Li-Mg split"),
            _less(none, fall, "voids of Li-Mg collapse"),
            _less(mean(li, "splits"), split, "more splits in Li-Mg than in Li"),
        ],
    )


def rise(runs: Runs, variant: str | None) -> Evidence:
    """Where the overpotential is half above its lowest value."""
    li, limg = (mean(runs.population(metal, variant), "risen_mAh_cm2") for metal in METALS)
    return Evidence(
        [
            Figure("Li", "mAh/cm²", li, about(1.0)),
            Figure("Li-Mg", "mAh/cm²", limg, (3.0, math.inf)),
        ],
        [_less(li, limg, "the overpotential of Li rises before that of Li-Mg")],
    )


def steep(runs: Runs, variant: str | None) -> Evidence:
    """Slope of the overpotential beyond nine tenths of contact loss over that before."""
    found = runs.population("Li", variant)
    lost, slope = mean(found, "lost90_mAh_cm2"), mean(found, "steepness")
    three = Measured.exact(3.0)
    reached = lost is not None and math.isfinite(lost.value)
    figures = [Figure("Li, nine tenths of the contact lost", "mAh/cm²", lost)]
    if reached:
        figures.append(Figure("Li, slope beyond over slope before", "1", slope))
    return Evidence(
        figures,
        [
            Order("Li loses nine tenths of its contact", reached),
            _less(three, slope, "the slope beyond is more than three times that before"),
        ],
    )


def voltage_start(runs: Runs, variant: str | None) -> Evidence:
    """Largest concentration term, which the cells do not show."""
    li, limg = (mean(runs.population(metal, variant), "concentration_max_V") for metal in METALS)
    return Evidence([Figure("Li", "V", li, (0.0, 0.02)), Figure("Li-Mg", "V", limg, (0.0, 0.02))])


def pressure(metal: str, number: str, unit: str, falls: bool) -> Callable[..., Evidence]:
    """A number at the end against pressure, which is to fall or to rise with it."""
    pressures = (0.2, *operando.PAPER_PRESSURES_MPa[metal])

    def judge(runs: Runs, variant: str | None) -> Evidence:
        found = [mean(runs.population(metal, variant, pressure=p), number) for p in pressures]
        figures = [
            Figure(f"{metal}, {p:g} MPa", unit, m) for p, m in zip(pressures, found, strict=True)
        ]
        orders = []
        for other in (1, 2, 3):
            first, last = (other, 0) if falls else (0, other)
            text = f"{'less' if falls else 'more'} at {pressures[other]:g} than at 0.2 MPa"
            orders.append(_less(found[first], found[last], text))
        return Evidence(figures, orders)

    return judge


def enrichment(runs: Runs, variant: str | None) -> Evidence:
    """Mg per site of L1 over that of the alloy, from a random first layer, at two rates."""
    random = operando.alloy(FOIL, NONE)
    slow, fast = (runs.box(random, None, current=j) for j in (0.05, 0.5))
    one = Measured.exact(1.0)
    ends = [mean(some, "mg_intensity_end") for some in (slow, fast)]
    same = None not in ends and ends[0].overlaps(ends[1].low, ends[1].high)  # type: ignore[union-attr]
    return Evidence(
        [Figure(f"{j:g} mA/cm²", "1", m) for j, m in zip((0.05, 0.5), ends, strict=True)],
        [
            _less(one, ends[0], "enriched at 0.05 mA/cm²"),
            _less(one, ends[1], "enriched at 0.5 mA/cm²"),
            Order("the same at both, within the intervals", same),
        ],
    )


def adhesion(runs: Runs, variant: str | None) -> Evidence:
    return Evidence([_checked(runs, "work of adhesion of Li on Li2S", "J/m²", about(0.39))])


def angle(runs: Runs, variant: str | None) -> Evidence:
    """Within 5°; lithiophobic is beyond 90°."""
    found = _checked(runs, "contact angle of Li on Li2S", "°", (88.6, 98.6))
    right = Measured.exact(90.0)
    return Evidence([found], [_less(right, found.measured, "Li does not wet Li2S")])


def diffusion(runs: Runs, variant: str | None) -> Evidence:
    """D of Mg at two temperatures, and their ratio."""
    cold = _checked(runs, "D of Mg at 25 °C", "cm²/s", about(2.06e-13))
    warm = _checked(runs, "D of Mg at 60 °C", "cm²/s", about(2.42e-12))
    ratio = None
    if cold.measured and warm.measured:
        value = warm.measured.value / cold.measured.value
        ratio = Figure("60 over 25 °C", "1", Measured.exact(value), about(11.75))
    figures = [cold, warm, ratio or Figure("60 over 25 °C", "1", None)]
    return Evidence(figures, [_less(cold.measured, warm.measured, "faster at 60 °C")])


def mixing(runs: Runs, variant: str | None) -> Evidence:
    """Mg in 13 µm of plated Li after 10 h, over that of the bulk.

    Diffusion across a step between two half-spaces, c = ½ erfc(x/√(4Dt)), averaged over the plated
    layer; D is the model's.
    """
    figures = []
    for T, share in ((25, 0.5), (60, 0.8)):
        found = _checked(runs, f"D of Mg at {T} °C", "cm²/s", None).measured
        value = None if found is None else Measured.exact(mixed(found.value, 36_000.0, 13e-4))
        figures.append(Figure(f"{T} °C", "1", value, about(share)))
    first, second = (figure.measured for figure in figures)
    return Evidence(figures, [_less(first, second, "more mixed at 60 °C")])


def mixed(D_cm2_s: float, time_s: float, layer_cm: float) -> float:
    """Mean of ½ erfc(x/√(4Dt)) over a layer: the share of the bulk's Mg in it."""
    x = np.linspace(0.0, layer_cm, 4001)
    return float(np.mean(0.5 * erfc(x / math.sqrt(4 * D_cm2_s * time_s))))


def _checked(runs: Runs, row: str, unit: str, paper: tuple[float, float] | None) -> Figure:
    value = runs.checks.get(row, math.nan)
    return Figure(row, unit, None if math.isnan(value) else Measured.exact(value), paper)
