"""What a verification finds: the checks that passed, and the first inconsistency."""

import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from kmc.common.formatting import html_table
from kmc.files.integrity import H5PY_ERRORS, reason_of

_MAX_RECOMPUTED = 4096  # frames; of small ones this takes some seconds


@dataclass(frozen=True)
class Breach:
    """The first inconsistency of a file."""

    check: str  #: its name
    dataset: str  #: such as ``/samples/energy_eV``; an attribute is written ``group@attribute``
    row: int | None  #: of the dataset, from 0; None where it does not concern one row
    #: The stored value, and that computed from the rest of the file, as text.
    value: Any
    expected: Any

    def __post_init__(self) -> None:
        for name in ("value", "expected"):
            object.__setattr__(self, name, str(getattr(self, name)))
        object.__setattr__(self, "row", None if self.row is None else int(self.row))

    def __str__(self) -> str:
        place = self.dataset if self.row is None else f"{self.dataset}, row {self.row}"
        return f"{self.check}: {place} is {self.value}, expected {self.expected}"


def first_breach(
    check: str, dataset: str, wrong: np.ndarray, value: Any, expected: Any
) -> Iterator[Breach]:
    """A breach in the first row that is wrong, if there is one."""
    for row in np.flatnonzero(wrong)[:1]:
        there, wanted = (np.broadcast_to(x, np.shape(wrong))[row] for x in (value, expected))
        yield Breach(check, dataset, row, there, wanted)


def differences(
    check: str,
    dataset: str,
    stored: np.ndarray,
    expected: Any,
    tolerance: Any = 0.0,
    equal_nan: bool = False,
) -> Iterator[Breach]:
    """The first row in which two columns differ by more than a tolerance, if there is one."""
    with np.errstate(invalid="ignore"):
        gap = np.abs(stored - expected)
    # NaN differs from all; infinity equals itself alone, however wide its share as a tolerance is.
    alike = ((gap <= tolerance) & np.isfinite(gap)) | (stored == expected)
    if equal_nan:
        alike |= np.isnan(stored) & np.isnan(expected)
    yield from first_breach(check, dataset, ~alike, stored, expected)


def falls(check: str, dataset: str, values: np.ndarray) -> Iterator[Breach]:
    """The first row in which a column falls, or is no number, if there is one."""
    # Not `<`, which a NaN would pass: it compares false with every number.
    for row in np.flatnonzero(~(values[1:] >= values[:-1]))[:1] + 1:
        expected = f"{values[row - 1]} or more, as in the row before"
        yield Breach(check, dataset, row, values[row], expected)


def recomputed(n_frames: int) -> range:
    """Frames that `kmc verify` recomputes: all, or of very many the last ones."""
    return range(max(0, n_frames - _MAX_RECOMPUTED), n_frames)


def _first(found: Iterable[Any], progress: Callable[[int, int], None] | None) -> Breach | None:
    for item in found:
        if isinstance(item, Breach):
            return item
        if progress is not None:
            progress(*item)
    return None


@dataclass
class Verification:
    """Result of `verify`: the checks that passed, and the first inconsistency.

    Later checks were not made; a run that is not finished is checked up to its last row.
    """

    path: Path
    finished: bool
    n_samples: int
    n_frames: int
    checks: list[str] = field(default_factory=list)
    breach: Breach | None = None

    def after(
        self,
        checks: Sequence[tuple[str, Callable[[], Iterable[Any]]]],
        progress: Callable[[int, int], None] | None = None,
    ) -> "Verification":
        """Make checks, each a claim and what yields breaches of it, up to the first breach.

        A long one yields the number of parts that are done and to do between them, for `progress`.
        """
        for done, (claim, check) in enumerate(checks, 1):
            try:
                # NaN is found by the comparison, not by a warning.
                with np.errstate(all="ignore"), warnings.catch_warnings():
                    warnings.simplefilter("ignore", RuntimeWarning)
                    self.breach = _first(check(), progress)
            except H5PY_ERRORS as problem:  # the record is not that of such a run
                what = f"without what the check needs ({reason_of(problem)})"
                self.breach = Breach(claim, "/record", None, what, "that of a run of this kind")
            if self.breach is not None:
                return self
            self.checks.append(claim)
            if progress is not None:
                progress(done, len(checks))
        return self

    @property
    def passed(self) -> bool:
        return self.breach is None

    def _lines(self) -> list[tuple[str, str]]:
        lines = [("ok", text) for text in self.checks]
        if self.breach is not None:
            lines.append(("FAIL", str(self.breach)))
        elif not self.finished:
            lines.append(("", "The run is not finished; its rows so far are consistent."))
        return lines

    def _title(self) -> str:
        return f"{self.path} {'passes' if self.passed else 'FAILS'}"

    def __str__(self) -> str:
        lines = (f"  {mark:4}  {text}" if mark else f"  {text}" for mark, text in self._lines())
        return "\n".join([self._title(), *lines])

    def _repr_html_(self) -> str:
        return html_table(self._lines(), caption=self._title())
