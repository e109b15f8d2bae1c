"""Settings, criterion (``contact_fraction<0.8``) and result of a search for a critical value."""

import math
import operator
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from kmc.campaign.critical.threshold import Scale, Search
from kmc.campaign.scalars import charge_text, check_reading
from kmc.common.catalogue import nearest
from kmc.common.figures import drawn
from kmc.common.formatting import figure, html_table, plural, quantity
from kmc.common.late import pandas as pd
from kmc.errors import InputError
from kmc.runfile.load import RunFile, load_run
from kmc.runfile.run_file import from_resolved
from kmc.systems import SYSTEMS
from kmc.systems.slowing import warn_of_hidden_effects
from kmc.systems.system import Charge

_COMPARE = {"<=": operator.le, ">=": operator.ge, "<": operator.lt, ">": operator.gt}
_USUAL = ("contact_fraction", "overpotential_V", "voids", "max_width_um", "coverage", "pore_area")
_EXAMPLE = 'Write NAME, one of < <= > >=, and a number, for example "contact_fraction<0.8".'
SAFE = 0.9  # probability with which safe operation keeps clear of a criterion
MIN_REPLICAS = 2  # one outcome at each end does not separate a threshold from scatter


@dataclass(frozen=True)
class Criterion:
    """A number of a run compared with a bound."""

    name: str
    sign: str
    bound: float

    def holds(self, values: ArrayLike) -> np.ndarray:
        """Whether numbers of runs meet it; NaN meets nothing."""
        return _COMPARE[self.sign](np.asarray(values, dtype=float), self.bound)

    def check(self, kind: str) -> None:
        """Refuse (`InputError`) a kind of run that does not measure it."""
        names = SYSTEMS[kind].measured
        if self.name not in names:
            others = " and ".join(s.noun for s in SYSTEMS.values() if self.name in s.measured)
            raise InputError(
                f"the criterion names {self.name!r}, which {SYSTEMS[kind].noun} does not measure: "
                f"{others} does",
                advice=_advice(self.name, names),
            )

    def __str__(self) -> str:
        return f"{self.name} {self.sign} {self.bound:g}"


def _advice(name: str, names: Sequence[str]) -> str:
    # The usual names beside the nearest one: there are ninety.
    usual = ", ".join(column for column in _USUAL if column in names)
    return f"{nearest(name, names)}Usual are {usual}; docs/trajectory.md has every column."


def parse_criterion(text: str) -> Criterion:
    """Read ``NAME<NUMBER``.

    >>> print(parse_criterion("contact_fraction<0.80"))
    contact_fraction < 0.8
    """
    match = re.fullmatch(r"\s*([A-Za-z_]\w*)\s*(<=|>=|<|>)\s*(\S+)\s*", text)
    if not match:
        raise InputError(f"the criterion {text!r} is not a comparison", advice=_EXAMPLE)
    name, sign, number = match.groups()
    names = dict.fromkeys(n for system in SYSTEMS.values() for n in system.measured)
    if name not in names:
        raise InputError(
            f"the criterion {text!r} names {name!r}, which is not measured",
            advice=_advice(name, tuple(names)),
        )
    try:
        bound = float(number)
    except ValueError:
        bound = math.nan
    if not math.isfinite(bound):
        raise InputError(f"the criterion {text!r} compares with {number!r}", advice=_EXAMPLE)
    return Criterion(name, sign, bound)


@dataclass(frozen=True)
class Question:
    """Settings of a search: those of `kmc.campaign.critical.search.critical`, checked by `check`.

    With `samples`, keys of the runs at samples of a posterior, one run of each is made at each
    value, in place of replicas: the share of runs is then a probability given what was measured.
    """

    base: str
    vary: str
    scale: Scale
    criterion: Criterion
    at: float | None = None
    replicas: int = 4
    tolerance: float = 0.2
    max_runs: int = 120
    settings: Mapping[str, Any] | None = None
    seed: int = 1
    samples: Sequence[Mapping[str, Any]] = ()

    @cached_property
    def charge(self) -> Charge | None:
        """How runs of this kind are compared at a charge."""
        return SYSTEMS[load_run(self.base).kind].charge

    @property
    def moment(self) -> str:
        """Where runs are judged: ``at 0.5 mAh/cm²``, ``at the end``."""
        if self.at is None or self.charge is None:
            return "at the end"
        return f"at {charge_text(self.at, self.charge.unit)}"

    def check(self) -> RunFile:
        """Run file of the low end; `InputError` where one end or a setting cannot be used."""
        if self.replicas < MIN_REPLICAS:
            raise InputError(
                f"--replicas {self.replicas}: at least {MIN_REPLICAS} runs at each value are "
                "needed",
                advice="Without replicas the scatter is unknown. 4 is usual.",
            )
        if self.samples and self.vary in self.samples[0]:
            raise InputError(
                f"{self.vary} is varied, and an input of the calibration at once",
                advice="Vary another key, or name an --experiment that does not have this input.",
            )
        check_reading(self.at, self.tolerance)
        if self.vary == "random.seed":
            raise InputError("random.seed is no physical quantity: replicas vary it")
        if self.vary in self.fixed():
            raise InputError(
                f"{self.vary} is varied and set at once",
                advice="Vary a key that is not fixed otherwise.",
            )
        if self.at is not None and self.charge is None:
            noun = SYSTEMS[load_run(self.base).kind].noun
            raise InputError(
                f"--at {self.at:g} is a charge, and {noun} passes none through an interface",
                advice="Leave --at away: runs are judged at their end.",
            )
        changes = {**self.fixed(), **(self.samples[0] if self.samples else {})}
        low, high = self.scale.low, self.scale.high
        origins = {self.vary: f"--vary {self.vary} --between {low:g} {high:g}"}
        # Both ends are read, as a value may be allowed at one and refused at the other.
        first, _ = (
            load_run(self.base, {**changes, self.vary: value}, origins=origins)
            for value in (low, high)
        )
        self.criterion.check(first.kind)
        return first

    def warn_of_hidden_effects(self) -> None:
        """Warn (`KmcWarning`) where the acceleration of the run hides the effect of `vary`."""
        run = self.check()
        ends = [{self.vary: value} for value in (self.scale.low, self.scale.high)]
        warn_of_hidden_effects(from_resolved(run.resolved()), ends)

    def fixed(self) -> dict[str, Any]:
        """Changes of the base run that hold at every value."""
        stop = {} if self.at is None or self.charge is None else {self.charge.stop: float(self.at)}
        return {**(self.settings or {}), **stop}


@dataclass(frozen=True)
class Critical:
    """Result of a search.

    To state at which value of a key runs begin to meet a criterion, with the interval of that
    value.
    """

    question: Question
    search: Search  # values tried, runs, and the fit
    early: int = 0  # runs that ended before the capacity and were judged by their last sample
    # charge at which each run ended, in the unit of the question, and why
    ends: tuple[tuple[float, str], ...] = ()
    failed: int = 0  # runs that failed and were left out
    folder: Path | None = None  # where the runs are

    @property
    def vary(self) -> str:
        return self.question.vary

    @property
    def criterion(self) -> Criterion:
        return self.question.criterion

    @property
    def at(self) -> float | None:
        return self.question.at

    @property
    def value(self) -> float:
        """The critical value; NaN where the range holds no threshold or one side is open."""
        return self.search.fit.value if self.bracketed else math.nan

    @property
    def interval(self) -> tuple[float, float]:
        """Ends of the 95 % interval of the value; NaN where they are not known."""
        fit = self.search.fit
        return (fit.low, fit.high) if self.bracketed else (math.nan, math.nan)

    @property
    def bracketed(self) -> bool:
        """Whether both ends of the interval are known."""
        return self.search.fit.bracketed

    @property
    def side(self) -> tuple[float, bool] | None:
        """Where only one side is known: a bound, and whether the threshold is above it."""
        fit, scale = self.search.fit, self.search.fit.scale
        if fit.bracketed or fit.rising is None:
            return None
        if fit.low >= scale.low:
            return fit.low, True
        return (fit.high, False) if fit.high <= scale.high else None

    @property
    def sentence(self) -> str:
        """The result in one line."""
        name, unit = quantity(self.vary)
        fit, scale, side = self.search.fit, self.search.fit.scale, self.side
        sure = f"{fit.confidence:.0%}".replace("%", " %")
        between = f"between {figure(scale.low)} and {figure(scale.high, unit)}"
        if fit.bracketed:
            ends = f"{figure(fit.low)} to {figure(fit.high)}"
            return f"critical {name}: {figure(fit.value, unit)} ({sure} interval {ends})"
        if side is None:
            return f"critical {name}: not bracketed {between}"
        bounded, open_ = ("above", "upper") if side[1] else ("below", "lower")
        bound = f"{bounded} {figure(side[0], unit)} ({sure})"
        return f"critical {name}: {bound}; no {open_} end {between}"

    @property
    def safe(self) -> float:
        """Value where the criterion is met by a tenth of the runs; NaN outside the range."""
        fit = self.search.fit
        value = fit.quantile(1 - SAFE)
        # Outside the range no run supports the tail of the logistic curve.
        return value if fit.scale.low <= value <= fit.scale.high else math.nan

    def lines(self) -> list[str]:
        """The result and its uncertainty, for the terminal."""
        fit, question, tried = self.search.fit, self.question, self.search
        samples = question.samples
        n, hits = sum(tried.runs), sum(tried.hits)
        sentence = self.sentence
        lines = [sentence[0].upper() + sentence[1:]]
        moment = question.moment
        if fit.rising is not None:
            often = "above" if fit.rising else "below"
            lines.append(
                f"There half of the runs have {self.criterion} {moment}; more do {often} it."
            )
        else:
            lines.append(f"{hits} of {n} runs have {self.criterion} {moment}.")
            lines.append(self._why_none(hits, n))
        lines.append(f"{plural(n, 'run')} at {plural(len(tried.values), 'value')} of {self.vary}.")
        if samples and fit.rising is not None:
            share, side = f"{SAFE:.0%}".replace("%", " %"), "up" if fit.rising else "down"
            text = (
                f"With {share} probability, given the calibration, runs do not have "
                f"{self.criterion} {side} to {figure(self.safe, quantity(self.vary)[1])} (logistic "
                f"fit over {plural(len(samples), 'sample')} of its posterior)."
            )
            if math.isnan(self.safe):
                text = f"Where {share} of them do not have {self.criterion} is outside the range."
            lines.append(text)
        if fit.bracketed:
            kind = "of the value" if fit.scale.log else "of the range"
            reach = figure(100 * fit.precision, "%", 2)
            wanted = figure(100 * question.tolerance, "%", 2)
            lines.append(f"The interval is ±{reach} {kind}.")
            if not tried.reached:
                why = (
                    "no value is left to try between those that were, as values have few digits. "
                    "More --replicas narrow it; the runs so far are kept."
                )
                if tried.next_runs:
                    why = (
                        f"the next values need {plural(tried.next_runs, 'run')} on top of {n}, "
                        f"more than --max-runs {question.max_runs} allows. Call again with a "
                        "larger one: the runs so far are kept."
                    )
                asked = f"±{wanted} was asked for"
                if fit.precision <= question.tolerance:
                    asked += ", with more runs on both sides of the value"
                lines.append(f"{asked}: {why}")
        elif fit.rising is not None:
            inside = fit.scale.low < fit.value < fit.scale.high
            more = "more --replicas and --max-runs narrow it, or " if inside else ""
            lines.append(f"The interval leaves the range searched: {more}widen --between.")
        if self.early:
            lines.append(
                f"{plural(self.early, 'run')} ended before {moment.removeprefix('at ')} and were "
                "judged by their last sample."
            )
        if self.failed:
            lines.append(f"{plural(self.failed, 'run')} failed and were left out.")
        return lines

    def _why_none(self, hits: int, n: int) -> str:
        """What to change where no threshold was found."""
        if hits == n and self.at is None and self.ends and self.question.charge is not None:
            unit = self.question.charge.unit
            charges, reasons = zip(*self.ends, strict=True)
            low, high = (charge_text(end(charges), unit) for end in (min, max))
            span = f"between {low} and {high}" if low != high else low
            return (
                f"Each was judged at its own end, {span} "
                f"({'; '.join(sorted(set(reasons)))}): a run that goes on until it fails always "
                f"fails. Judge all at one charge: --at {figure(0.5 * min(charges), digits=2)}, say."
            )
        if hits not in (0, n):
            return (
                "The side of the threshold cannot be determined. Widen --between, or give more "
                "--replicas."
            )
        relation = "more" if hits else "less"
        # Of n runs all or none: exact limit of a binomial share, 3/n for many runs.
        bound = 0.05 ** (1 / n) if hits else 1 - 0.05 ** (1 / n)
        return (
            f"So the share is {relation} than {figure(100 * bound, '%', 2)} over the values tried "
            "(95 %): a threshold can only be outside. Widen --between."
        )

    def plot(self) -> Any:
        """The picture of `kmc critical`, a matplotlib figure."""
        return drawn("threshold_picture", self)

    def _repr_html_(self) -> str:
        rows = [(line,) for line in self.lines()]
        return html_table(rows, caption=f"{self.vary} where {self.criterion}")

    def table(self) -> "pd.DataFrame":
        """Values tried, runs that met the criterion, runs made, and the probability of the fit."""
        rows = {self.vary: self.search.values, "hits": self.search.hits, "runs": self.search.runs}
        fitted = self.search.fit
        determined = fitted.rising is not None
        return pd.DataFrame(rows).assign(
            probability=fitted.probability(self.search.values) if determined else math.nan
        )


def map_table(results: Sequence[Critical], key: str, values: Sequence[float]) -> "pd.DataFrame":
    """One row for each value of the second key: threshold, interval, whether it is bracketed."""
    fits = [result.search.fit for result in results]
    return pd.DataFrame(
        {
            key: list(values),
            "critical_value": [fit.value for fit in fits],
            "low": [fit.low for fit in fits],
            "high": [fit.high for fit in fits],
            "bracketed": [fit.bracketed for fit in fits],
            "runs": [sum(result.search.runs) for result in results],
        }
    )
