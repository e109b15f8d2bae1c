"""What a ladder says about one number, in sentences."""

from __future__ import annotations

import math
from collections.abc import Sequence

from kmc.common.formatting import figure, plural
from kmc.sweep.convergence.equivalence import CHANGING, CONVERGED, UNKNOWN, Comparison
from kmc.sweep.convergence.findings import Bound, Extrapolation, Observable
from kmc.sweep.convergence.power_law import COUNT, LEAST_RUNGS, SHARE, Law, Runs

_FEW_VOIDS = 2.0  # a box with fewer cannot show how their density goes on


def short(value: float, unit: str = "") -> str:
    """Two digits, and plain as long as that is readable: 0.0057, 39, 1600, 2.2e6."""
    rounded = float(f"{value:.2g}")
    return figure(rounded, unit, digits=6 if 1 <= abs(rounded) < 1e6 else 2)


def ratio_words(value: float) -> str:
    """Ratios as powers of ten, as they are typed."""
    mantissa, exponent = f"{value:.1e}".split("e")
    return f"{float(mantissa):g}e{int(exponent)}"


def _change(last: Comparison, base: float) -> str:
    """A difference in percent with its 95 % interval."""

    def percent(value: float) -> str:
        share = 100 * value / base
        return (f"{share:+.0f}" if abs(share) >= 10 else f"{share:+.2g}").replace("-", "−")

    ends = f"{percent(last.change_low)} to {percent(last.change_high)}\u00a0%"
    return f"{percent(last.difference)}\u00a0% (95\u00a0%: {ends})"


def verdict_words(observable, rungs, last, shown, tolerance: float) -> str:
    """Whether it has converged, and by how much the last step changed it."""
    name = observable.words
    if last is None:
        return f"{name}: one rung alone does not tell what another ratio would give."
    between = f"from {ratio_words(last.lower)} to {ratio_words(last.upper)}"
    lower = shown[-2].mean
    if lower == shown[-1].mean == 0:
        return (
            f"{name}: none at the two highest ratios; a larger box or a longer run may have some."
        )
    if last.verdict == UNKNOWN:
        return f"{name}: not known {between}: {_unknown(rungs)}."
    change = _change(last, lower) if lower else figure(last.difference, observable.unit)
    if last.verdict == CONVERGED:
        first = next(rung.ratio for rung in shown if rung.converged)
        within = f"within {100 * tolerance:.3g}\u00a0%"
        if tolerance * shown[-1].mean < tolerance * observable.least_margin:
            within = (
                f"within {100 * tolerance * observable.least_margin:.3g}\u00a0% of the interface"
            )
        return f"{name}: converged {within} from {ratio_words(first)} on; {change} {between}."
    if last.verdict == CHANGING:
        return f"{name}: still changing, {change} {between}."
    return (
        f"{name}: not shown to have converged, the scatter is too wide: {change} {between}, and "
        f"{100 * tolerance:.3g}\u00a0% was to be shown."
    )


def _unknown(rungs: Sequence[Runs]) -> str:
    two = rungs[-2:]
    if any(rung.censored.any() for rung in two):
        early = sum(int(rung.censored.sum()) for rung in two)
        return (
            f"{early} of {plural(sum(rung.n for rung in two), 'run')} ended before it; "
            "a larger stop.capacity_monolayers lets them go on"
        )
    if any(not rung.n for rung in two):
        return "no run has it there"
    return "with one run a rung nobody knows the scatter"


def law_words(observable, rungs, law, physical, physical_ratio: float) -> list[str]:
    """Its law and where that leads; without one what else is known of the physical ratio."""
    if law is None:
        some = [rung for rung in rungs if rung.n and not rung.censored.all()]
        if len(some) < LEAST_RUNGS:
            return [f"No law: {LEAST_RUNGS} rungs are needed to test one, {len(some)} have it."]
        if isinstance(physical, Extrapolation):
            return [_plateau_words(observable, rungs[-1].ratio, physical, physical_ratio)]
        return [_no_law_words(observable, physical, physical_ratio)]
    what = "Loss/(1 − loss) goes" if observable.family is SHARE else "It goes"
    span = f"from {ratio_words(law.ratios[0])} to {ratio_words(law.ratios[-1])}"
    told = f"{what} as ratio^{exponent_words(law)} {span}"
    if math.isnan(law.p_value):
        told += ", not tested: one run a rung"
    if law.left_out:
        names = ", ".join(ratio_words(r) for r in law.left_out)
        told += f"; off that line and left out: {names}"
    value, ends, widest = _values_in_words(observable, physical)
    end = f"At the physical ratio {ratio_words(physical_ratio)}: {value}"
    if math.isnan(physical.low):
        return [f"{told}.", f"{end}, with an unknown error."]
    decades = math.log10(physical_ratio / law.ratios[-1])
    return [
        f"{told}.",
        f"{end} (95\u00a0%: {ends}; whichever rungs one trusts: {widest}), if the law goes on for "
        f"another {decades:.1f} decades, which no run here shows.",
    ]


def exponent_words(law: Law) -> str:
    """``−0.48 (−0.57 to −0.42)``."""

    def text(value: float) -> str:
        return f"{value + 0.0:.2f}".replace("-0.00", "0.00").replace("-", "−")

    ends = f" ({text(law.exponent_low)} to {text(law.exponent_high)})"
    return text(law.exponent) + ("" if math.isnan(law.exponent_low) else ends)


def _values_in_words(observable: Observable, end: Extrapolation) -> tuple[str, str, str]:
    """Value with its unit, its interval, and the widest one."""
    scale, unit = (100.0, "%") if observable.percent else (1.0, observable.unit)
    ends = (
        f"{short(scale * low)} to {short(scale * high)}"
        for low, high in ((end.low, end.high), (end.widest_low, end.widest_high))
    )
    return short(scale * end.value, unit), *ends


def _plateau_words(observable, top: float, end: Extrapolation, ratio: float) -> str:
    value, ends, widest = _values_in_words(observable, end)
    return (
        f"The rungs that agree have {value} (95\u00a0%: {ends}). If nothing changes above "
        f"{ratio_words(top)} that is so at the physical ratio {ratio_words(ratio)}; the tolerance "
        f"at every decade would leave {widest}."
    )


def _no_law_words(observable, bound: Bound | None, ratio: float) -> str:
    told = f"No power law: the {LEAST_RUNGS} highest rungs do not lie on one"
    if bound is None:
        return f"{told}. Nothing is said about the physical ratio."
    listed = ", ".join(f"{exponent:.2f}" for exponent in bound.exponents).replace("-", "−")
    scale, unit = (100.0, "%") if observable.percent else (1.0, observable.unit)
    return (
        f"{told}; from rung to rung the exponent is {listed}, ever steeper. If that goes on it is "
        f"{'below' if bound.below else 'above'} {short(scale * bound.value, unit)} at the physical "
        f"ratio {ratio_words(ratio)}: there the line through the two highest rungs ends, within "
        "its error."
    )


def box_words(observable: Observable, rungs: Sequence[Runs]) -> list[str]:
    """A warning where a box is too small for a density of voids."""
    if observable.family is not COUNT:
        return []
    few = [rung for rung in rungs if rung.n and 0 < rung.values.mean() < _FEW_VOIDS]
    if not few:
        return []
    names = ", ".join(ratio_words(rung.ratio) for rung in few)
    return [
        f"At {names} the box holds fewer than {_FEW_VOIDS:g} voids: where metal is lost one is the "
        "fewest it can show. There the box decides, not the ratio; use a larger system.size."
    ]
