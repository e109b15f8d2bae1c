"""Sentences on one number of a convergence study."""

from __future__ import annotations

import math
from collections.abc import Sequence

from kmc.campaign.convergence.findings import (
    CHANGING,
    CONVERGED,
    UNKNOWN,
    Comparison,
    Level,
    Plateau,
)
from kmc.campaign.convergence.observables import COUNT, SHARE, LevelRuns, Observable
from kmc.campaign.convergence.power_law import MIN_LEVELS, PowerLaw
from kmc.common.formatting import figure, listed, plural

_FEW_VOIDS = 2.0  # mean number below which the box limits their density


def short(value: float, unit: str = "") -> str:
    """Two significant digits, without an exponent from 1 to 1e6: 0.0057, 39, 1600, 2.2e6."""
    rounded = float(f"{value:.2g}")
    return figure(rounded, unit, digits=6 if 1 <= abs(rounded) < 1e6 else 2)


def ratio_text(value: float) -> str:
    """A ratio in the form of the option --ratios: 1e6, 2.5e7."""
    mantissa, exponent = f"{value:.1e}".split("e")
    return f"{float(mantissa):g}e{int(exponent)}"


def _change(last: Comparison, base: float) -> str:
    """A difference in percent with its 95 % interval."""

    def percent(value: float) -> str:
        share = 100 * value / base
        return (f"{share:+.0f}" if abs(share) >= 10 else f"{share:+.2g}").replace("-", "−")

    ends = f"{percent(last.change_low)} to {percent(last.change_high)}\u00a0%"
    return f"{percent(last.difference)}\u00a0% (95\u00a0%: {ends})"


def verdict_text(
    observable: Observable,
    levels: Sequence[LevelRuns],
    last: Comparison | None,
    shown: Sequence[Level],
    tolerance: float,
) -> str:
    """Whether the number has converged, and the change over the last step."""
    name = observable.label
    if last is None:
        return f"{name}: one level alone does not show the dependence on the ratio."
    between = f"from {ratio_text(last.lower)} to {ratio_text(last.upper)}"
    lower = shown[-2].mean
    if lower == shown[-1].mean == 0:
        return (
            f"{name}: none at the two highest ratios; a larger box or a longer run may have some."
        )
    if last.verdict == UNKNOWN:
        return f"{name}: not known {between}: {_unknown(levels)}."
    change = _change(last, lower) if lower else figure(last.difference, observable.unit)
    if last.verdict == CONVERGED:
        first = next(level.ratio for level in shown if level.converged)
        within = f"within {100 * tolerance:.3g}\u00a0%"
        if tolerance * shown[-1].mean < tolerance * observable.least_margin:
            within = (
                f"within {100 * tolerance * observable.least_margin:.3g}\u00a0% of the interface"
            )
        return f"{name}: converged {within} from {ratio_text(first)} on; {change} {between}."
    if last.verdict == CHANGING:
        return f"{name}: still changing, {change} {between}."
    return (
        f"{name}: not shown to have converged, the scatter is too wide: {change} {between}, and "
        f"{100 * tolerance:.3g}\u00a0% was to be shown."
    )


def _unknown(levels: Sequence[LevelRuns]) -> str:
    two = levels[-2:]
    if any(level.censored.any() for level in two):
        early = sum(int(level.censored.sum()) for level in two)
        return (
            f"{early} of {plural(sum(level.n for level in two), 'run')} ended before it; "
            "a larger stop.capacity_monolayers lets them go on"
        )
    if any(not level.n for level in two):
        return "no run has it there"
    return "with one run a level the scatter is unknown"


def law_text(
    observable: Observable,
    levels: Sequence[LevelRuns],
    law: PowerLaw | None,
    physical: Plateau | None,
    physical_ratio: float,
) -> list[str]:
    """The law of the levels, and the plateau of a converged number at the physical ratio."""
    texts = []
    if law is None:
        some = [level for level in levels if level.n and not level.censored.all()]
        if len(some) < MIN_LEVELS:
            texts.append(
                f"No law: {MIN_LEVELS} levels are needed to test one, {len(some)} have it."
            )
        elif physical is None:
            texts.append(f"No power law: the {MIN_LEVELS} highest levels do not lie on one.")
    else:
        texts.append(_law_of_levels_text(observable, law))
    if physical is not None:
        texts.append(_plateau_text(observable, levels[-1].ratio, physical, physical_ratio))
    return texts


def _law_of_levels_text(observable: Observable, law: PowerLaw) -> str:
    what = "Loss/(1 − loss) goes" if observable.family is SHARE else "It goes"
    span = f"from {ratio_text(law.ratios[0])} to {ratio_text(law.ratios[-1])}"
    text = f"{what} as ratio^{exponent_text(law)} {span}"
    if math.isnan(law.p_value):
        text += ", not tested: one run a level"
    if law.left_out:
        names = ", ".join(ratio_text(r) for r in law.left_out)
        text += f"; off that line and left out: {names}"
    return f"{text}."


def open_text(labels: Sequence[str], physical_ratio: float) -> str:
    """Why no value at the physical ratio follows for numbers that have not converged."""
    names = listed(labels)
    verb = "is" if len(labels) == 1 else "are"
    return (
        f"At the physical ratio {ratio_text(physical_ratio)} {names} {verb} open. No power law "
        "leads there: its exponent follows from the size of the critical void, which grows as the "
        "supersaturation falls with the ratio. kmc nucleation and kmc upscale work at the true "
        "rates (docs/upscaling.md)."
    )


def exponent_text(law: PowerLaw) -> str:
    """``−0.48 (−0.57 to −0.42)``."""

    def text(value: float) -> str:
        return f"{value + 0.0:.2f}".replace("-0.00", "0.00").replace("-", "−")

    ends = f" ({text(law.exponent_low)} to {text(law.exponent_high)})"
    return text(law.exponent) + ("" if math.isnan(law.exponent_low) else ends)


def _value_texts(observable: Observable, end: Plateau) -> tuple[str, str, str]:
    """Value with its unit, its interval, and the widest one."""
    scale, unit = (100.0, "%") if observable.percent else (1.0, observable.unit)
    ends = [
        f"{short(scale * low)} to {short(scale * high)}"
        for low, high in ((end.low, end.high), (end.widest_low, end.widest_high))
    ]
    return short(scale * end.value, unit), ends[0], ends[1]


def _plateau_text(observable: Observable, top: float, end: Plateau, ratio: float) -> str:
    value, ends, widest = _value_texts(observable, end)
    return (
        f"The levels that agree have {value} (95\u00a0%: {ends}). If nothing changes above "
        f"{ratio_text(top)} this holds at the physical ratio {ratio_text(ratio)}; the tolerance "
        f"at every decade would allow {widest}."
    )


def box_text(observable: Observable, levels: Sequence[LevelRuns]) -> list[str]:
    """A warning where a box is too small for a density of voids."""
    if observable.family is not COUNT:
        return []
    few = [level for level in levels if level.n and 0 < level.values.mean() < _FEW_VOIDS]
    if not few:
        return []
    names = ", ".join(ratio_text(level.ratio) for level in few)
    return [
        f"At {names} the box holds fewer than {_FEW_VOIDS:g} voids: the box limits their "
        "density, not the ratio. Use a larger system.size."
    ]
