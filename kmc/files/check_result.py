"""What a verification finds: the checks that passed, and the first inconsistency."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from kmc.common.formatting import html_table
from kmc.files.integrity import H5PY_ERRORS, reason_of


@dataclass(frozen=True)
class Breach:
    """The first inconsistency of a file.

    Attributes
    ----------
    check : str
        Name of the check.
    dataset : str
        Such as ``/samples/energy_eV``; an attribute is written ``group@attribute``.
    row : int or None
        Row of the dataset, from 0; None where it does not concern one row.
    value, expected : str
        The stored value, and that computed from the rest of the file.
    """

    check: str
    dataset: str
    row: int | None
    value: str
    expected: str

    def __str__(self) -> str:
        place = self.dataset if self.row is None else f"{self.dataset}, row {self.row}"
        return f"{self.check}: {place} is {self.value}, expected {self.expected}"


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
        checks: Sequence[tuple[str, Callable[[], Iterable[Breach]]]],
        progress: Callable[[int, int], None] | None = None,
    ) -> Verification:
        """Make checks, each a claim and what yields breaches of it, up to the first breach."""
        for done, (claim, check) in enumerate(checks, 1):
            try:
                self.breach = next(iter(check()), None)
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

    def __str__(self) -> str:
        lines = [f"{self.path} {'passes' if self.passed else 'FAILS'}"]
        lines += [f"  ok    {text}" for text in self.checks]
        if self.breach is not None:
            lines.append(f"  FAIL  {self.breach}")
        elif not self.finished:
            lines.append("  The run is not finished; its rows so far are consistent.")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        rows = [("ok", text) for text in self.checks]
        if self.breach is not None:
            rows.append(("FAIL", str(self.breach)))
        elif not self.finished:
            rows.append(("", "The run is not finished; its rows so far are consistent."))
        return html_table(rows, caption=f"{self.path} {'passes' if self.passed else 'FAILS'}")
