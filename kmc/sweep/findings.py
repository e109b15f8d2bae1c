"""What a ladder of ratios says about one number: its rungs, whether it has converged, its law."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from kmc.sweep.equivalence import (
    CHANGING,
    CONVERGED,
    UNCLEAR,
    UNKNOWN,
    Comparison,
    compare,
)
from kmc.sweep.laws import (
    CONFIDENCE,
    COUNT,
    LEAST_RUNGS,
    ONSET,
    SHARE,
    SIZE,
    Family,
    Law,
    Runs,
    fit_law,
    line_of_two,
    values_of_other_lines,
)
from kmc.wording import figure, plural

_SHRINKS = 0.8  # a step that is at most that share of the one before is on its way to none
_USUAL = 4  # replicas
_FEW_VOIDS = 2.0  # a box with fewer cannot show how their density goes on


@dataclass(frozen=True)
class Observable:
    """A number of a run that a ladder follows.

    Attributes
    ----------
    name, words, unit : str
    family : Family
    least_margin : float
        Of a difference that matters, for a tolerance of 1: contact loss near zero is compared with
        a tenth of the interface, not with itself.
    """

    name: str
    words: str
    unit: str
    family: Family
    least_margin: float = 0.0

    @property
    def percent(self) -> bool:
        """Whether people read it in percent."""
        return self.family is SHARE


CONTACT_LOSS = Observable("contact_loss", "contact loss", "", SHARE, 0.1)
VOID_DENSITY = Observable("void_density_per_um2", "void density", "µm⁻²", COUNT)
WIDTH = Observable("mean_void_width_nm", "mean void width", "nm", SIZE)
ONSET_CAPACITY = Observable("onset_capacity_monolayers", "onset capacity", "monolayers", ONSET)
OBSERVABLES = (CONTACT_LOSS, VOID_DENSITY, WIDTH, ONSET_CAPACITY)


@dataclass(frozen=True)
class Rung:
    """One number at one ratio.

    Attributes
    ----------
    ratio : float
    n : int
        Runs that gave the number.
    mean, std : float
        Over the runs. With onsets that were not reached it is a lower bound.
    low, high : float
        95 % interval of the mean, Student's t over the replicas; NaN with one, or with a bound.
    censored : int
        Runs that ended before the onset.
    converged : bool
        Whether this rung and all above it agree with the last one within the tolerance.
    """

    ratio: float
    n: int
    mean: float
    std: float
    low: float
    high: float
    censored: int
    converged: bool


@dataclass(frozen=True)
class Extrapolation:
    """A number at the physical ratio.

    Attributes
    ----------
    value : float
        Of the law.
    low, high : float
        95 % interval of the bootstrap over the replicas, given that the law holds.
    widest_low, widest_high : float
        The same, widened to what the lines through all rungs, all but the lowest, … and the highest
        two say.
    """

    value: float
    low: float
    high: float
    widest_low: float
    widest_high: float


@dataclass(frozen=True)
class Needed:
    """A ladder that would decide what this one left open.

    Attributes
    ----------
    ratios : tuple of float
        Further rungs.
    replicas : int
        Runs at each rung.
    time_s : float
        It would take, about; NaN where the runs so far do not tell.
    """

    ratios: tuple[float, ...]
    replicas: int
    time_s: float


@dataclass(frozen=True)
class Finding:
    """What the ladder says about one number.

    Attributes
    ----------
    observable : Observable
    rungs : tuple of Rung
        In ascending order of their ratios.
    verdict : {"converged", "changing", "unclear", "unknown"}
        See `kmc.sweep.equivalence.Comparison`, of the last two rungs.
    last : Comparison or None
        These two compared, in the unit of the observable.
    law : Law or None
    physical : Extrapolation or None
    needed : Needed or None
    sentences : tuple of str
    """

    observable: Observable
    rungs: tuple[Rung, ...]
    verdict: str
    last: Comparison | None
    law: Law | None
    physical: Extrapolation | None
    needed: Needed | None
    sentences: tuple[str, ...]

    @property
    def converged_from(self) -> float:
        """Lowest ratio of the rungs that have converged; NaN where none has."""
        return next((rung.ratio for rung in self.rungs if rung.converged), math.nan)


def assess(
    observable: Observable,
    rungs: Sequence[Runs],
    *,
    tolerance: float,
    physical_ratio: float,
    unit: float = 1.0,
    time_s: Callable[[Sequence[float], int], float] = lambda ratios, replicas: math.nan,
) -> Finding:
    """Judge one number.

    Parameters
    ----------
    observable : Observable
    rungs : sequence of Runs
        One for each ratio, in ascending order.
    tolerance : float
        Change that a tenfold ratio may make, as a share of the number.
    physical_ratio : float
        Where nothing is slowed any more.
    unit : float
        The numbers are divided by it: the area of the box, of counts that become densities.
    time_s : callable
        Further ratios, and replicas at every rung → time such a ladder still takes, in seconds.
    """
    comparisons = [
        compare(rung, rungs[-1], _margin(observable, rung, rungs[-1], tolerance), observable.family)
        for rung in rungs[:-1]
    ]
    agree = len(rungs)
    for i in reversed(range(len(comparisons))):
        if comparisons[i].verdict != CONVERGED:
            break
        agree = i
    last = comparisons[-1] if comparisons else None
    verdict = last.verdict if last else UNKNOWN
    law = fit_law(rungs, observable.family, unit)
    shown = tuple(_rung(rung, observable, unit, i >= agree) for i, rung in enumerate(rungs))
    physical = _extrapolate(rungs, law, physical_ratio) if law else None
    needed = _needed(rungs, last, law, observable, tolerance, physical_ratio, time_s)
    scaled = _scaled(last, unit) if last else None
    sentences = (
        _verdict_words(observable, rungs, scaled, shown, tolerance),
        *_law_words(observable, rungs, law, physical, physical_ratio, unit),
        *_box_words(observable, rungs),
    )
    return Finding(observable, shown, verdict, scaled, law, physical, needed, sentences)


def _margin(observable: Observable, lower: Runs, upper: Runs, tolerance: float) -> float:
    """Difference that does not matter: for a tenfold ratio, less for rungs that are closer."""
    if not upper.n:
        return math.nan
    decades = math.log10(upper.ratio / lower.ratio)
    size = max(abs(float(upper.values.mean())), observable.least_margin)
    return tolerance * size * min(1.0, decades)


def _rung(rung: Runs, observable: Observable, unit: float, converged: bool) -> Rung:
    values, censored = rung.values / unit, int(rung.censored.sum())
    nan = math.nan
    mean = float(values.mean()) if rung.n else nan
    std, low, high = nan, nan, nan
    if rung.n > 1:
        from scipy.stats import t as student

        std = float(values.std(ddof=1))
        least = math.sqrt(observable.family.least_variance) / unit
        half = float(student.ppf(0.5 + CONFIDENCE / 2, rung.n - 1)) * max(std, least)
        half /= math.sqrt(rung.n)
        if not censored:
            low, high = max(0.0, mean - half), mean + half
            high = min(1.0, high) if observable.family is SHARE else high
    return Rung(rung.ratio, rung.n, mean, std, low, high, censored, converged)


def _scaled(last: Comparison, unit: float) -> Comparison:
    ends = (last.difference, last.margin, last.low, last.high, last.change_low, last.change_high)
    return Comparison(
        last.lower, last.upper, *(end / unit for end in ends), last.verdict, last.replicas
    )


def _extrapolate(rungs: Sequence[Runs], law: Law, ratio: float) -> Extrapolation:
    value, low, high = (float(part[0]) for part in law.at(ratio))
    others = values_of_other_lines(rungs, law, ratio)
    known = not math.isnan(low)
    widest = (min(low, *others), max(high, *others)) if known else (math.nan, math.nan)
    return Extrapolation(value, low, high, *widest)


# --- what is needed -------------------------------------------------------------------------------


def _needed(rungs, last, law, observable, tolerance, physical_ratio, time_s) -> Needed | None:
    """The ladder that would decide; None where this one does, or where no ladder can."""
    replicas = max((rung.n for rung in rungs), default=0)
    if not replicas:
        return None
    if last is None:
        nearest = (10.0 * rungs[-1].ratio,)
        return Needed(nearest, replicas, time_s(nearest, replicas))
    if last.verdict == UNKNOWN and replicas < 2:
        return Needed((), _USUAL, time_s((), _USUAL))
    if last.verdict == UNCLEAR:
        return Needed((), last.replicas, time_s((), last.replicas))
    if last.verdict != CHANGING:
        return None
    more = _further(rungs, law, observable.family, tolerance)
    top = rungs[-1].ratio
    ratios = tuple(top * 10.0**i for i in range(1, more + 1) if top * 10.0**i <= physical_ratio)
    return Needed(ratios, replicas, time_s(ratios, replicas)) if ratios else None


def _further(rungs: Sequence[Runs], law: Law | None, family: Family, tolerance: float) -> int:
    """Further rungs, ten times apart, after which nothing should change any more.

    Where the steps shrink they are taken to go on shrinking alike. Along a power law they do not,
    and a further rung only tests it; without a law three rungs have to be found that follow one.
    """
    eta = [float(family.link(rung.values.mean())) for rung in rungs[-3:] if rung.n]
    if len(eta) == 3:
        before, now = abs(eta[1] - eta[0]), abs(eta[2] - eta[1])
        if 0 < now <= _SHRINKS * before:
            return max(1, math.ceil(math.log(tolerance / now) / math.log(now / before)))
    return 1 if law else 2


# --- words ----------------------------------------------------------------------------------------


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


def _verdict_words(observable, rungs, last, shown, tolerance: float) -> str:
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


def _law_words(observable, rungs, law, physical, physical_ratio: float, unit: float) -> list[str]:
    if law is None:
        some = [rung for rung in rungs if rung.n and not rung.censored.all()]
        if len(some) < LEAST_RUNGS:
            return [f"No law: {LEAST_RUNGS} rungs are needed to test one, {len(some)} have it."]
        return [_no_law_words(observable, some, physical_ratio, unit)]
    what = "Loss/(1 − loss) goes" if observable.family is SHARE else "It goes"
    span = f"from {ratio_words(law.ratios[0])} to {ratio_words(law.ratios[-1])}"
    exponent = f"{law.exponent:.2f}"
    if not math.isnan(law.exponent_low):
        exponent += f" ({law.exponent_low:.2f} to {law.exponent_high:.2f})"
    told = f"{what} as ratio^{exponent} {span}".replace("-", "−")
    if math.isnan(law.p_value):
        told += ", not tested: one run a rung"
    if law.left_out:
        names = ", ".join(ratio_words(r) for r in law.left_out)
        told += f"; off that line and left out: {names}"
    scale, named = (100.0, "%") if observable.percent else (1.0, observable.unit)
    ends, widest = (
        f"{short(scale * low)} to {short(scale * high)}"
        for low, high in (
            (physical.low, physical.high),
            (physical.widest_low, physical.widest_high),
        )
    )
    end = f"At the physical ratio {ratio_words(physical_ratio)}: "
    end += short(scale * physical.value, named)
    if math.isnan(physical.low):
        return [f"{told}.", f"{end}, with an unknown error."]
    decades = math.log10(physical_ratio / law.ratios[-1])
    return [
        f"{told}.",
        f"{end} (95\u00a0%: {ends}; whichever rungs one trusts: {widest}), if the law goes on for "
        f"another {decades:.1f} decades, which no run here shows.",
    ]


def _no_law_words(observable, rungs: Sequence[Runs], ratio: float, area: float) -> str:
    """How the slope changes from rung to rung, and what follows if that goes on."""
    told = f"No power law: the {LEAST_RUNGS} highest rungs do not lie on one"
    nothing = "Nothing is said about the physical ratio."
    means = np.array([rung.values.mean() for rung in rungs])
    if (means <= 0).any() or any(rung.censored.any() for rung in rungs):
        return f"{told}. {nothing}"
    slopes = np.diff(observable.family.link(means)) / np.diff(np.log([r.ratio for r in rungs]))
    listed = ", ".join(f"{slope:.2f}" for slope in slopes).replace("-", "−")
    told += f"; from rung to rung the exponent is {listed}"
    steeper = np.diff(np.abs(slopes))
    if not ((slopes > 0).all() or (slopes < 0).all()) or not (steeper > 0).all():
        return f"{told}. {nothing}"
    end = line_of_two(rungs, observable.family, area).at(ratio)
    falls = slopes[-1] < 0
    bound = float((end.high if falls else end.low)[0])
    if math.isnan(bound):
        return f"{told}, ever steeper. {nothing}"
    scale, unit = (100.0, "%") if observable.percent else (1.0, observable.unit)
    return (
        f"{told}, ever steeper. If that goes on it is {'below' if falls else 'above'} "
        f"{short(scale * bound, unit)} at the physical ratio {ratio_words(ratio)}: there the line "
        "through the two highest rungs ends, within its error."
    )


def _box_words(observable: Observable, rungs: Sequence[Runs]) -> list[str]:
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


def measured(rungs: Sequence[Rung]) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Ratio, mean, low and high of the rungs that have a mean, for a picture."""
    rows = [(r.ratio, r.mean, r.low, r.high) for r in rungs if r.n]
    return tuple(np.array(rows, dtype=float).reshape(-1, 4).T)
