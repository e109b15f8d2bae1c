"""Claims of a paper, judged by one stated rule from the runs of its study.

A claim has figures (numbers, most with a range from the paper) and orders (which of two is larger).
The verdict follows from them by the rule of docs/studies.md and is never written down by hand.

Over a calibration the rule is the same, with a run of each row at each of some samples of the
posterior: a figure is their median with its 90 % interval, and an order holds where it does in nine
of ten samples, each compared as single runs are.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from kmc.papers.readings import RunMean, Runs, Sample, mean

REPRODUCED, RANK_ONLY, NOT_REPRODUCED = "reproduced", "rank only", "not reproduced"
BY_INPUT, BY_DEFINITION, BY_FIT = "by input", "by definition", "by fit"
NOT_ADDRESSABLE, NOT_RUN = "not addressable", "not run"
VERDICTS = (
    *(REPRODUCED, RANK_ONLY, NOT_REPRODUCED, BY_INPUT, BY_DEFINITION, BY_FIT),
    *(NOT_ADDRESSABLE, NOT_RUN),
)
SPREAD = 0.2  # of a number that the paper gives without its scatter
MIN_SHARE = 0.9  # of the samples of a calibration in which an order has to hold


@dataclass(frozen=True)
class Figure:
    """A number of the runs beside that of the paper."""

    label: str
    unit: str
    measured: RunMean | None  # None where it was not run
    # lowest and highest value that the paper allows; None where it gives no number
    paper: tuple[float, float] | None = None

    @property
    def inside(self) -> bool | None:
        """Whether it meets the paper's range; None where there is nothing to compare."""
        if self.paper is None or self.measured is None:
            return None if self.paper is None else False
        m, (low, high) = self.measured, self.paper
        if m.value == math.inf:  # in a run at least; the others have to be in the range, too
            return m.low >= low and high == math.inf
        # Two runs have an interval of ± 9 standard deviations, which meets nearly any range.
        sharp = m.high - m.low <= high - low
        return m.overlaps(low, high) and (sharp or low <= m.value <= high)

    def plain(self) -> dict[str, Any]:
        """As JSON, in claims.json."""
        m = self.measured
        ends = {key: number_of(m and getattr(m, key)) for key in ("value", "low", "high")}
        paper = None if self.paper is None else [number_of(x) for x in self.paper]
        about = {"label": self.label, "unit": self.unit, **ends, "runs": m.n if m else 0}
        return {**about, "paper": paper, "inside": self.inside}


@dataclass(frozen=True)
class Order:
    """A statement of order, and whether it holds beyond the intervals."""

    text: str
    holds: bool


@dataclass(frozen=True)
class Evidence:
    """What the runs say of a claim; `follows` is the verdict where they must say so."""

    figures: Sequence[Figure]
    orders: Sequence[Order] = ()
    follows: str = ""

    @property
    def verdict(self) -> str:
        """See the head of this module."""
        # A claim is judged by all of its figures: those that were run may be the easy ones.
        if any(figure.measured is None for figure in self.figures):
            return NOT_RUN
        # Figures without a number of the paper are shown beside the others, not judged.
        compared = [figure.inside for figure in self.figures if figure.inside is not None]
        ordered = all(order.holds for order in self.orders)
        if ordered and compared and all(compared):
            return self.follows or REPRODUCED
        return (self.follows or RANK_ONLY) if ordered and self.orders else NOT_REPRODUCED

    def plain(self) -> dict[str, Any]:
        """As JSON, in claims.json."""
        figures = [figure.plain() for figure in self.figures]
        return {"figures": figures, "orders": [asdict(order) for order in self.orders]}


@dataclass(frozen=True)
class Claim:
    """One statement of a paper, as its TOML file has it."""

    name: str
    title: str
    statement: str  # what the paper says, with its numbers
    section: str  # place in the paper
    quotation: str = ""  # words of it
    figure: str = ""  # its picture
    figures: Sequence[Mapping[str, Any]] = ()  # see docs/studies.md
    orders: Sequence[Mapping[str, Any]] = ()
    command: str = ""  # what shows it, in the study folder
    # how it is compared, whatever the verdict; where there are no figures, what the model lacks
    note: str = ""
    # verdict → why the runs say so. Another verdict has another reason, or none yet.
    why: Mapping[str, str] = field(default_factory=dict)
    follows: str = ""  # "by input", "by definition" or "by fit", see `Evidence`
    # why the rule was changed, of a claim whose rule was chosen after its counts were seen
    rule_after: str = ""
    # inputs that are changed one at a time; "all" for all of the study
    variants: Sequence[str] = ()
    # whether the calibration of the study is fitted to it: there it is no prediction
    fitted: bool = False
    apart: str = ""  # "others" or "ours": whose claim it is that the paper does not make

    @property
    def where(self) -> str:
        """Place in the paper, in one line."""
        quoted = f"{self.section}: “{self.quotation}”" if self.quotation else self.section
        return f"{quoted}; {self.figure}" if self.figure else quoted

    def texts(self, verdict: str) -> dict[str, str]:
        """The texts of claims.json: the reason is that of the verdict."""
        analysis = " ".join(filter(None, (self.note, self.why.get(verdict, ""))))
        kept = {k: getattr(self, k) for k in ("name", "title", "statement", "where", "apart")}
        more = {"command": self.command, "analysis": analysis, "rule_after": self.rule_after}
        return {**kept, **more, "verdict": verdict}

    def evidence(self, runs: Runs | Sample, variant: str | None = None) -> Evidence:
        """What the runs say, with an input changed where one is named."""
        figures: dict[str, Figure] = {}
        for entry in self.figures:
            readings = runs.of(entry["in"], entry.get("row", ()), variant)
            measured = mean(readings, entry["number"], entry.get("band", False))
            if measured is None and entry.get("optional"):
                continue  # such as a slope beyond nine tenths, which a run may never lose
            unit, paper = entry.get("unit", "1"), range_of(entry.get("paper"))
            figures[entry["label"]] = Figure(entry["label"], unit, measured, paper)
        orders = [Order(order["text"], holds(order, figures)) for order in self.orders]
        return Evidence(list(figures.values()), orders, self.follows)

    def over(self, samples: Sequence[Sample]) -> Evidence:
        """What runs at samples of a posterior say; a figure that no sample has is not run."""
        every = [self.evidence(sample) for sample in samples]
        figures = []
        for entry in self.figures:
            label, unit = entry["label"], entry.get("unit", "1")
            seen = [figure for e in every for figure in e.figures if figure.label == label]
            # A sample whose run failed has no figure, and takes no part in the median.
            measured = RunMean.over([f.measured.value for f in seen if f.measured is not None])
            if measured is not None or not entry.get("optional"):
                figures.append(Figure(label, unit, measured, range_of(entry.get("paper"))))
        shares = np.mean([[o.holds for o in figure.orders] for figure in every], axis=0)
        pairs = zip(self.orders, shares, strict=True)
        orders = [Order(o["text"], bool(share >= MIN_SHARE)) for o, share in pairs]
        return Evidence(figures, orders, BY_FIT if self.fitted else self.follows)

    def judged(self, runs: Runs) -> dict[str, Any]:
        """The claim with its verdict, as plain data for claims.json."""
        if not self.figures:
            return {**self.texts(NOT_ADDRESSABLE), "figures": [], "orders": [], "inputs": []}
        base = self.evidence(runs)
        inputs = []
        # One input at a time: of two changed together neither could be shown to decide it.
        for name in runs.study.inputs if "all" in self.variants else self.variants:
            changed = self.evidence(runs, name)
            # An input that belongs to none of the claim's rows leaves its figures as they are.
            if changed.verdict != NOT_RUN and changed != base:
                carries = changed.verdict != base.verdict
                about = {"input": name, "verdict": changed.verdict, "carries": carries}
                inputs.append({**about, **changed.plain()})
        return {**self.texts(base.verdict), **base.plain(), "inputs": inputs}


def holds(order: Mapping[str, Any], figures: Mapping[str, Figure]) -> bool:
    """Whether an order holds: ``less``, ``not_less``, ``same`` of two labels or numbers."""

    def value(side: Any) -> RunMean | None:
        if isinstance(side, str):
            return figures[side].measured if side in figures else None
        return RunMean.exact(float(side))

    (rule, sides), *_ = ((key, order[key]) for key in ("less", "not_less", "same") if key in order)
    # A bare number stands for what the paper states without an error.
    low, high = map(value, sides)
    if low is None or high is None:
        return False  # what was not run shows nothing
    if rule == "same":
        return not low.below(high) and not high.below(low)
    # "not less" holds as well where the intervals meet: it is what the runs do not refute.
    return low.below(high) == (rule == "less")


def range_of(paper: Any) -> tuple[float, float] | None:
    """Range of a number of the paper: as given, or ± 20 % of a bare one."""
    if paper is None:
        return None
    if isinstance(paper, int | float):
        return paper * (1 - SPREAD), paper * (1 + SPREAD)
    low, high = paper
    return float(low), float(high)


def number_of(value: RunMean | float | None) -> float | str | None:
    """Four digits are more than any interval here allows; infinite is text, as JSON has none."""
    plain = value.value if isinstance(value, RunMean) else value
    if plain is None or math.isnan(plain):
        return None
    return float(f"{plain:.4g}") if math.isfinite(plain) else "never"
