"""Claims of a paper, judged by a stated rule from the runs of a study.

A claim has figures (numbers with a range from the paper) and orders (which of two is larger). The
verdict follows from them and is never written down by hand:

reproduced
    every figure's 95 % interval meets the paper's range, and every order holds
rank only
    every order holds, some figure is outside
not reproduced
    an order does not hold; or there is none, and a figure is outside
not addressable
    the model has nothing that could show it; the reason says what is missing
not run
    the runs that would show it are not there

An order holds where the 95 % intervals of the two means do not overlap (where one is of a single
run: where they differ by a fifth). The range of a figure is the paper's, ± its scatter where it
states one; a bare number has ± 20 %, unless the claim says otherwise.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from kmc.papers.readings import Measured

REPRODUCED, RANK_ONLY, NOT_REPRODUCED = "reproduced", "rank only", "not reproduced"
NOT_ADDRESSABLE, NOT_RUN = "not addressable", "not run"
VERDICTS = (REPRODUCED, RANK_ONLY, NOT_REPRODUCED, NOT_ADDRESSABLE, NOT_RUN)
SPREAD = 0.2  # of a number that the paper gives without its scatter


@dataclass(frozen=True)
class Figure:
    """A number of the runs beside that of the paper.

    Attributes
    ----------
    label, unit : str
    measured : Measured or None
        None where it was not run.
    paper : tuple of float, optional
        Lowest and highest value that the paper allows; None where it gives no number.
    """

    label: str
    unit: str
    measured: Measured | None
    paper: tuple[float, float] | None = None

    @property
    def inside(self) -> bool | None:
        """Whether the interval meets the paper's range; None where there is nothing to compare."""
        if self.paper is None:
            return None
        return self.measured is not None and self.measured.overlaps(*self.paper)


@dataclass(frozen=True)
class Order:
    """A statement of order, and whether it holds beyond the intervals."""

    text: str
    holds: bool


@dataclass(frozen=True)
class Evidence:
    """What the runs say of a claim."""

    figures: Sequence[Figure]
    orders: Sequence[Order] = ()

    @property
    def verdict(self) -> str:
        """See the head of this module."""
        if any(figure.measured is None for figure in self.figures):
            return NOT_RUN
        inside = all(figure.inside is not False for figure in self.figures)
        ordered = all(order.holds for order in self.orders)
        if inside and ordered:
            return REPRODUCED
        return RANK_ONLY if ordered and self.orders else NOT_REPRODUCED


@dataclass(frozen=True)
class Claim:
    """One statement of a paper.

    Attributes
    ----------
    name : str
        Key of the claim, such as ``voids_first``.
    title : str
    statement : str
        What the paper says, with its numbers.
    where : str
        Place in the paper: section, figure, and a few words of it.
    judge : callable, optional
        Evidence from the runs; with the name of a variant from those with one input changed.
        None where the model cannot show it.
    command : str
        What shows it, in the study folder.
    analysis : str
        Why the runs say what they say; where `judge` is None, what the model lacks.
    variants : sequence of str
        Inputs that are changed one at a time.
    """

    name: str
    title: str
    statement: str
    where: str
    judge: Callable[[Any, str | None], Evidence] | None = None
    command: str = ""
    analysis: str = ""
    variants: Sequence[str] = field(default=())

    def judged(self, runs: Any) -> dict[str, Any]:
        """The claim with its verdict, as plain data for claims.json."""
        told = {
            "name": self.name,
            "title": self.title,
            "statement": self.statement,
            "where": self.where,
            "command": self.command,
            "analysis": self.analysis,
        }
        if self.judge is None:
            return {**told, "verdict": NOT_ADDRESSABLE, "figures": [], "orders": [], "inputs": []}
        evidence = self.judge(runs, None)
        inputs = [_variant(self.judge(runs, name), name, evidence) for name in self.variants]
        return {
            **told,
            "verdict": evidence.verdict,
            **_plain(evidence),
            "inputs": [entry for entry in inputs if entry["verdict"] != NOT_RUN],
        }


def _variant(changed: Evidence, name: str, base: Evidence) -> dict[str, Any]:
    return {
        "input": name,
        "verdict": changed.verdict,
        "carries": changed.verdict not in (NOT_RUN, base.verdict),
        **_plain(changed),
    }


def _plain(evidence: Evidence) -> dict[str, Any]:
    figures = []
    for figure in evidence.figures:
        m = figure.measured
        figures.append(
            {
                "label": figure.label,
                "unit": figure.unit,
                "value": None if m is None else number_of(m.value),
                "low": None if m is None else number_of(m.low),
                "high": None if m is None else number_of(m.high),
                "runs": 0 if m is None else m.n,
                "paper": None if figure.paper is None else [number_of(x) for x in figure.paper],
                "inside": figure.inside,
            }
        )
    return {
        "figures": figures,
        "orders": [{"text": order.text, "holds": order.holds} for order in evidence.orders],
    }


def number_of(value: float) -> float | str | None:
    """Four digits are more than any interval here allows; infinite is text, as JSON has none."""
    if math.isnan(value):
        return None
    return float(f"{value:.4g}") if math.isfinite(value) else "never"


def about(value: float, spread: float = SPREAD) -> tuple[float, float]:
    """Range about a bare number of the paper."""
    return value * (1 - spread), value * (1 + spread)
