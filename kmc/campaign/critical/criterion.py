"""Criteria of failure, such as ``contact_fraction<0.8``."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from kmc.common.catalogue import nearest
from kmc.errors import InputError
from kmc.systems import SYSTEMS

_COMPARE = {"<=": operator.le, ">=": operator.ge, "<": operator.lt, ">": operator.gt}
_MEASURED = {name: (*kind.samples, *kind.derived_columns) for name, kind in SYSTEMS.items()}
NAMES = tuple(dict.fromkeys(name for names in _MEASURED.values() for name in names))
_USUAL = ("contact_fraction", "overpotential_V", "voids", "max_width_um", "coverage", "pore_area")
_EXAMPLE = 'Write NAME, one of < <= > >=, and a number, for example "contact_fraction<0.8".'


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
        names = _MEASURED[kind]
        if self.name not in names:
            others = " and ".join(SYSTEMS[k].noun for k, m in _MEASURED.items() if self.name in m)
            raise InputError(
                f"the criterion names {self.name!r}, which {SYSTEMS[kind].noun} does not measure: "
                f"{others} does",
                advice=_advice(self.name, names),
            )

    def __str__(self) -> str:
        return f"{self.name} {self.sign} {self.bound:g}"


def _advice(name: str, names: Sequence[str]) -> str:
    """The nearest name, and the usual ones: there are ninety."""
    usual = ", ".join(one for one in _USUAL if one in names)
    return f"{nearest(name, names)}Usual are {usual}; docs/trajectory.md has every column."


def parse_criterion(text: str) -> Criterion:
    """Read ``NAME<NUMBER``.

    Examples
    --------
    >>> print(parse_criterion("contact_fraction<0.80"))
    contact_fraction < 0.8
    """
    found = re.fullmatch(r"\s*([A-Za-z_]\w*)\s*(<=|>=|<|>)\s*(\S+)\s*", text)
    if not found:
        raise InputError(f"the criterion {text!r} is not a comparison", advice=_EXAMPLE)
    name, sign, number = found.groups()
    if name not in NAMES:
        raise InputError(
            f"the criterion {text!r} names {name!r}, which is not measured",
            advice=_advice(name, NAMES),
        )
    try:
        bound = float(number)
    except ValueError:
        bound = math.nan
    if not math.isfinite(bound):
        raise InputError(f"the criterion {text!r} compares with {number!r}", advice=_EXAMPLE)
    return Criterion(name, sign, bound)
