"""Result of a convergence study for one number: its levels, verdict, law, and what would decide it.

Two levels give the same number where the 90 % interval of their difference lies within ± the
margin (two one-sided tests; Schuirmann, J. Pharmacokinet. Biopharm. 15, 657 (1987),
10.1007/BF01068419), so that a difference larger than the margin is accepted in at most 5 % of
cases. A wide interval is no evidence of agreement. The intervals are those of Welch's t.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import scipy

from kmc.campaign.convergence import power_law as laws
from kmc.common.formatting import figure, listed, plural

CONVERGED, CHANGING, UNCLEAR, UNKNOWN = "converged", "changing", "unclear", "unknown"
_RISK = 0.05  # of accepting a difference beyond the margin, on either side
# Normal quantiles for the number of runs: risk 5 %, and 90 % power where there is no difference
# (both sides have to hold); 95 % two-sided and 80 % power where there is one.
_Z_SAME, _Z_DIFFERENT = 1.645 + 1.645, 1.960 + 0.842
_USUAL = 4  # replicas, where one alone gives no scatter
_FEW_VOIDS = 2.0  # mean number below which the box limits their density

TimeOf = Callable[[Sequence[float], int], float]
"""Further ratios, and replicas at every level → remaining wall time in seconds."""


def ratio_text(value: float) -> str:
    """A ratio in the form of the option --ratios: 1e6, 2.5e7, inf."""
    if math.isinf(value):
        return "inf"
    mantissa, exponent = f"{value:.1e}".split("e")
    return f"{float(mantissa):g}e{int(exponent)}"


@dataclass(frozen=True)
class Axis:
    """What the levels of a study differ in; their values are numbers of the run file."""

    key: str  # that is swept
    option: str  # of `kmc converge`, which takes the values
    noun: str
    text: Callable[[float], str] = ratio_text
    step: float = 10.0  # from a level to a better one; the tolerance is for so large a change
    cost: float = 1.0  # of a run: power of the value that its time goes with
    wider: str = "stop.capacity_monolayers"  # key that lets runs reach their onset

    def values(self, levels: Sequence[float]) -> str:
        """Levels as the option takes them."""
        return ",".join(map(ratio_text if self.slows else "{:.4g}".format, levels))

    @property
    def slows(self) -> bool:
        """Whether levels lead to a physical one, as a law might: hops are slowed below it."""
        return self.step == 10.0


RATIOS = Axis("acceleration.max_hops_per_strip_per_site", "--ratios", "ratio")
_OF_SQUARES = "upscale.capacity_mAh_cm2"
CELLS = Axis(
    *("upscale.grid_um", "--cells", "cells", "cells of {:g} µm".format, 0.5, -3.5, _OF_SQUARES)
)
SQUARES = Axis(
    *("upscale.domain_um", "--squares", "square", "{:g} µm squares".format, 2.0, 2.0, _OF_SQUARES)
)
AXES = {axis.key: axis for axis in (RATIOS, CELLS, SQUARES)}


@dataclass(frozen=True)
class Comparison:
    """The difference of two levels."""

    lower: float  # ratio of the lower level, or its cells or square in µm
    upper: float
    # mean at the upper level minus that at the lower one, and what counts as no difference
    difference: float
    margin: float
    # 90 % interval of the difference, by which it is judged, and its 95 % interval
    low: float = math.nan
    high: float = math.nan
    change_low: float = math.nan
    change_high: float = math.nan
    # "converged", "changing", "unclear", "unknown": same within the margin; different with 95 %
    # confidence; neither; or undecidable, as where all numbers are zero or censored
    verdict: str = UNKNOWN
    replicas: int | None = None  # where unclear: estimated runs at each level that would decide


@dataclass(frozen=True)
class Level:
    """One number at one ratio: mean, scatter and 95 % interval (Student's t) over `n` runs.

    The interval is NaN with one run. Where `censored` runs ended before their onset the mean is a
    lower bound without an interval.

    - `converged`: this level and all above it agree with the last one within the tolerance.
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
class Plateau:
    """A converged number at the physical ratio, if nothing changes above the highest level.

    The mean of the levels that agree, its 95 % interval (Student's t), and the same widened by the
    tolerance for every decade.
    """

    value: float
    low: float
    high: float
    widest_low: float
    widest_high: float


@dataclass(frozen=True)
class Needed:
    """Runs that would decide what is open: further levels, runs at each level, and wall time.

    The time is NaN without a run to estimate it from.
    """

    ratios: tuple[float, ...]
    replicas: int
    time_s: float


@dataclass(frozen=True)
class Finding:
    """Result for one number."""

    observable: laws.Observable
    levels: tuple[Level, ...]  # in ascending order of their ratios
    last: Comparison | None  # of the last two levels, in the unit of the observable
    law: laws.PowerLaw | None  # of the levels; it is not continued beyond them
    physical: Plateau | None  # of a converged number; None for all others
    needed: Needed | None
    sentences: tuple[str, ...]
    equilibrium: Level | None = None  # in equilibrium between strips: the ratio inf, if it was run

    @property
    def all_levels(self) -> tuple[Level, ...]:
        """The levels, and equilibrium behind them if it was run."""
        return (*self.levels, *filter(None, (self.equilibrium,)))

    @property
    def verdict(self) -> str:
        """See `Comparison`, of the last two levels."""
        return self.last.verdict if self.last else UNKNOWN

    @property
    def converged_from(self) -> float:
        """Lowest ratio of the levels that have converged; NaN where none has."""
        return next((level.ratio for level in self.levels if level.converged), math.nan)


def compare(
    lower: laws.LevelRuns, upper: laws.LevelRuns, margin: float, family: laws.Family
) -> Comparison:
    """Judge the difference of two levels against a margin in the unit of the numbers.

    Widths in nm at two ratios, and a difference of 0.2 nm that counts as none:

    >>> from kmc.campaign.convergence.power_law import SIZE, LevelRuns
    >>> lower = LevelRuns.of(1e5, [2.0, 2.1, 1.9, 2.0])
    >>> upper = LevelRuns.of(1e6, [2.05, 2.0, 1.95, 2.1])
    >>> compare(lower, upper, 0.2, SIZE).verdict
    'converged'
    """
    both = (lower, upper)
    difference = math.nan
    # A mean over runs that ended before their onset is a bound: two bounds have no difference.
    if all(level.n and not level.censored.any() for level in both):
        difference = float(upper.values.mean() - lower.values.mean())
    open_ = Comparison(lower.ratio, upper.ratio, difference, margin)
    # Two levels without any void agree in the number, and prove nothing of a larger box.
    nothing = not lower.values.any() and not upper.values.any()
    if math.isnan(difference) or min(lower.n, upper.n) < 2 or nothing:
        return open_
    # Counts that agree by chance have no scatter, yet the next run may differ: a least variance.
    # `scipy.stats.ttest_ind` takes none; else its intervals are these.
    variances = [max(float(level.values.var(ddof=1)), family.least_variance) for level in both]
    shares = [v / level.n for v, level in zip(variances, both, strict=True)]
    error = math.sqrt(sum(shares))
    free = lower.n + upper.n - 2.0
    if error > 0:
        spread = [s**2 / (level.n - 1) for s, level in zip(shares, both, strict=True)]
        free = sum(shares) ** 2 / sum(spread)  # Welch and Satterthwaite
    quantiles = scipy.stats.t.ppf((1 - _RISK, 0.5 + laws.CONFIDENCE / 2), free)
    judged, wide = (quantiles * error).tolist()
    replicas = None
    if abs(difference) + judged <= margin:
        verdict = CONVERGED
    elif abs(difference) > wide:
        verdict = CHANGING
    else:
        verdict = UNCLEAR
        # Runs that would separate the difference from zero or, if smaller, from the margin.
        small = abs(difference) <= margin
        size, z = (margin, _Z_SAME) if small else (abs(difference), _Z_DIFFERENT)
        enough = math.ceil(2 * float(np.mean(variances)) * (z / size) ** 2)
        # More than there are, as those have not decided it; the scatter was estimated from them.
        replicas = max(lower.n + 1, upper.n + 1, enough)
    ends = (difference - judged, difference + judged, difference - wide, difference + wide)
    return Comparison(lower.ratio, upper.ratio, difference, margin, *ends, verdict, replicas)


def assess(
    observable: laws.Observable,
    levels: Sequence[laws.LevelRuns],
    *,
    tolerance: float,
    physical_ratio: float,
    unit: float = 1.0,
    time_s: TimeOf = lambda ratios, replicas: math.nan,
    axis: Axis = RATIOS,
) -> Finding:
    """Evaluate one number over levels from the worst to the best.

    `tolerance` is the change that a tenfold ratio may make, as a share of the number; at
    `physical_ratio` nothing is slowed any more; the numbers are divided by `unit`, the area of the
    box for counts that become densities.
    """
    # Equilibrium is no ratio that a law could reach: it stands beside the levels.
    limit = [level for level in levels if math.isinf(level.ratio)]
    levels = [level for level in levels if not math.isinf(level.ratio)]
    *below, top = levels
    comparisons = []
    for level in below:
        # Levels closer than a decade must agree better: the tolerance is for a tenfold ratio.
        decades = min(1.0, math.log(top.ratio / level.ratio) / math.log(axis.step))
        size = max(abs(float(top.values.mean())), observable.least_margin) if top.n else math.nan
        comparisons.append(compare(level, top, tolerance * size * decades, observable.family))
    # All levels that agree with the last one, without a gap.
    agree = len(below)
    while agree and comparisons[agree - 1].verdict == CONVERGED:
        agree -= 1
    agree = len(levels) if agree == len(below) else agree
    last = comparisons[-1] if comparisons else None
    law = laws.fit_law(levels, observable.family, unit) if axis.slows else None
    most = 1.0 if observable.family is laws.SHARE else math.inf

    def shown_level(level: laws.LevelRuns, agrees: bool) -> Level:
        values, censored = level.values / unit, int(level.censored.sum())
        std = low = high = math.nan
        mean = float(values.mean()) if level.n else math.nan
        if level.n > 1:
            std = float(values.std(ddof=1))
            half = _half(max(std, math.sqrt(observable.family.least_variance) / unit), level.n)
            if not censored:  # the mean of bounds is a bound itself and has no interval
                low, high = max(0.0, mean - half), min(most, mean + half)
        return Level(level.ratio, level.n, mean, std, low, high, censored, agrees)

    shown = [shown_level(level, i >= agree) for i, level in enumerate(levels)]
    equilibrium = shown_level(limit[0], False) if limit else None
    physical = None
    if last and last.verdict == CONVERGED and axis.slows:
        together = np.concatenate([level.values for level in levels[agree:]]) / unit
        # The levels differ by less than the tolerance: their runs count as runs of one.
        value, half = float(together.mean()), _half(float(together.std(ddof=1)), len(together))
        low, high = max(0.0, value - half), min(most, value + half)
        # Between the last level and the physical ratio nothing was run: every decade may still
        # change the number by the tolerance.
        decades = max(0.0, math.log10(physical_ratio / top.ratio))
        widest = low * (1 - tolerance) ** decades, min(most, high * (1 + tolerance) ** decades)
        physical = Plateau(value, low, high, *widest)
    needed = _needed(levels, last, law, physical_ratio, time_s, axis)
    if last:
        names = ("difference", "margin", "low", "high", "change_low", "change_high")
        last = replace(last, **{name: getattr(last, name) / unit for name in names})
    # The density of voids of a box with fewer is set by the box, not by the ratio.
    few = [level for level in levels if level.n and 0 < level.values.mean() < _FEW_VOIDS]
    box = []
    if observable.family is laws.COUNT and few and axis.slows:
        box = [
            f"At {listed([ratio_text(level.ratio) for level in few])} the box holds fewer than "
            f"{_FEW_VOIDS:g} voids: the box limits their density, not the ratio. Use a larger "
            "system.size."
        ]
    if box and needed is not None and not needed.ratios:
        needed = None  # more runs of a box that is too small decide nothing
    sentences = (
        _verdict_text(observable, levels, last, shown, tolerance, axis),
        *(_law_texts(observable, levels, law, physical, physical_ratio) if axis.slows else ()),
        *box,
        *_limit_text(observable, equilibrium),
    )
    return Finding(observable, tuple(shown), last, law, physical, needed, sentences, equilibrium)


def _half(std: float, n: int) -> float:
    return float(scipy.stats.t.ppf(0.5 + laws.CONFIDENCE / 2, n - 1)) * std / math.sqrt(n)


def _needed(
    levels: Sequence[laws.LevelRuns],
    last: Comparison | None,
    law: laws.PowerLaw | None,
    physical_ratio: float,
    time_s: TimeOf,
    axis: Axis,
) -> Needed | None:
    """Further levels or replicas that would decide; None where decided, or where none can."""
    replicas = max((level.n for level in levels), default=0)
    if not replicas:
        return None
    top = levels[-1].ratio
    ratios: tuple[float, ...] = ()
    if last is None:
        # One level shows no change: another a decade above or, where nothing is, below.
        better = axis.step * top
        ratios = (better if better <= physical_ratio else top / axis.step,)
    elif last.verdict == UNKNOWN and replicas < 2:
        replicas = _USUAL
    elif last.replicas is not None:  # unclear
        replicas = last.replicas
    elif last.verdict == CHANGING:
        # A further level tests a law; three that follow one are needed.
        more = 1 if law or not axis.slows else 2
        further = [top * axis.step**i for i in range(1, more + 1)]
        ratios = tuple(ratio for ratio in further if ratio <= physical_ratio)
        if not ratios:
            return None
    else:
        return None
    return Needed(ratios, replicas, time_s(ratios, replicas))


def short(value: float, unit: str = "") -> str:
    """Two significant digits, without an exponent from 1 to 1e6: 0.0057, 39, 1600, 2.2e6."""
    rounded = float(f"{value:.2g}")
    return figure(rounded, unit, digits=6 if 1 <= abs(rounded) < 1e6 else 2)


def _limit_text(observable: laws.Observable, level: Level | None) -> list[str]:
    """The number in equilibrium between strips, where it was run."""
    if level is None or math.isnan(level.mean):
        return []
    unit = "%" if observable.percent else observable.unit
    shown = figure(observable.scale * level.mean, unit)
    bound = "at least " if level.censored else ""  # runs that ended before their onset
    return [f"In equilibrium between strips it is {bound}{shown}."]


def exponent_text(law: laws.PowerLaw) -> str:
    """``−0.48 (−0.57 to −0.42)``."""
    exponent, low, high = (
        f"{value + 0.0:.2f}".replace("-0.00", "0.00").replace("-", "−")
        for value in (law.exponent, law.exponent_low, law.exponent_high)
    )
    return exponent if math.isnan(law.exponent_low) else f"{exponent} ({low} to {high})"


def _verdict_text(
    observable: laws.Observable,
    levels: Sequence[laws.LevelRuns],
    last: Comparison | None,
    shown: Sequence[Level],
    tolerance: float,
    axis: Axis,
) -> str:
    """Whether the number has converged, and the change over the last step."""
    name = observable.label
    if last is None:
        return f"{name}: one level alone does not show the dependence on the {axis.noun}."
    between = f"from {axis.text(last.lower)} to {axis.text(last.upper)}"
    lower, upper = shown[-2].mean, shown[-1].mean
    if lower == upper == 0:
        return (
            f"{name}: none at the two highest {'ratios' if axis.slows else 'levels'}; a larger "
            "box or a longer run may have some."
        )
    if last.verdict == UNKNOWN:
        why = "with one run a level the scatter is unknown"
        if early := sum(int(level.censored.sum()) for level in levels[-2:]):
            runs = plural(sum(level.n for level in levels[-2:]), "run")
            why = f"{early} of {runs} ended before it; "
            why += f"a larger {axis.wider} lets them go on"
        elif not (levels[-2].n and levels[-1].n):
            why = "no run has it there"
        return f"{name}: not known {between}: {why}."
    change = figure(last.difference, observable.unit)
    if lower:
        percent = [
            (f"{share:+.0f}" if abs(share) >= 10 else f"{share:+.2g}").replace("-", "−")
            for share in (
                100 * value / lower
                for value in (last.difference, last.change_low, last.change_high)
            )
        ]
        change = "{}\u00a0% (95\u00a0%: {} to {}\u00a0%)".format(*percent)
    if last.verdict == CONVERGED:
        first = next(level.ratio for level in shown if level.converged)
        within = f"within {100 * tolerance:.3g}\u00a0%"
        if upper < observable.least_margin:
            share = 100 * tolerance * observable.least_margin
            within = f"within {share:.3g}\u00a0% of {observable.whole}"
        return f"{name}: converged {within} from {axis.text(first)} on; {change} {between}."
    if last.verdict == CHANGING:
        return f"{name}: still changing, {change} {between}."
    return (
        f"{name}: not shown to have converged, the scatter is too wide: {change} {between}, and "
        f"{100 * tolerance:.3g}\u00a0% was to be shown."
    )


def _law_texts(
    observable: laws.Observable,
    levels: Sequence[laws.LevelRuns],
    law: laws.PowerLaw | None,
    physical: Plateau | None,
    physical_ratio: float,
) -> list[str]:
    """The law of the levels, and the plateau of a converged number at the physical ratio."""
    texts = []
    some = [level for level in levels if level.n and not level.censored.all()]
    if law is not None:
        what = "Loss/(1 − loss) goes" if observable.family is laws.SHARE else "It goes"
        span = f"from {ratio_text(law.ratios[0])} to {ratio_text(law.ratios[-1])}"
        text = f"{what} as ratio^{exponent_text(law)} {span}"
        if math.isnan(law.p_value):
            text += ", not tested: one run a level"
        if law.left_out:
            names = ", ".join(ratio_text(r) for r in law.left_out)
            text += f"; off that line and left out: {names}"
        texts.append(f"{text}.")
    elif len(some) < laws.MIN_LEVELS:
        texts.append(
            f"No law: {laws.MIN_LEVELS} levels are needed to test one, {len(some)} have it."
        )
    elif physical is None:
        texts.append(f"No power law: the {laws.MIN_LEVELS} highest levels do not lie on one.")
    if physical is not None:
        scale, unit = (100.0, "%") if observable.percent else (1.0, observable.unit)
        ends, widest = (
            f"{short(scale * low)} to {short(scale * high)}"
            for low, high in (
                (physical.low, physical.high),
                (physical.widest_low, physical.widest_high),
            )
        )
        texts.append(
            f"The levels that agree have {short(scale * physical.value, unit)} (95\u00a0%: {ends})."
            f" If nothing changes above {ratio_text(levels[-1].ratio)} this holds at the physical "
            f"ratio {ratio_text(physical_ratio)}; the tolerance at every decade would allow "
            f"{widest}."
        )
    return texts


def open_text(labels: Sequence[str], physical_ratio: float) -> str:
    """Why no value at the physical ratio follows for numbers that have not converged."""
    verb = "is" if len(labels) == 1 else "are"
    return (
        f"At the physical ratio {ratio_text(physical_ratio)} {listed(labels)} {verb} open. No "
        "power law leads there: its exponent follows from the size of the critical void, which "
        "grows as the supersaturation falls with the ratio. kmc nucleation and kmc upscale work "
        "at the true rates (docs/upscaling.md)."
    )
