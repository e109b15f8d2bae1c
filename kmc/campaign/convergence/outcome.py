"""The result of a convergence study as text, table, JSON and picture."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kmc.campaign.convergence.findings import Finding, Level, Needed
from kmc.campaign.convergence.sentences import open_text, ratio_text
from kmc.common.drawing import drawn
from kmc.common.formatting import duration, figure, html_table, listed, monolayers, plural
from kmc.common.json_files import json_safe

if TYPE_CHECKING:
    import pandas as pd

_NEAR = 0.05  # relative distance of a frame's capacity from the one asked for
_MANY = 64  # runs a level beyond which a larger box is the cheaper way
_OF_A_LAW = ("exponent", "exponent_low", "exponent_high", "p_value", "ratios", "left_out")
_SAME_END = 0.02  # monolayers; runs end at the event that reaches their capacity


@dataclass(frozen=True)
class Convergence:
    """What `kmc converge` found.

    Attributes
    ----------
    base : str
        The run.
    ratios : tuple of float
        Levels, ascending: rate of the fastest hop over the strip rate of a site.
    replicas : int
    at : float or None
        Capacity in monolayers at which contact and voids were read; None for the end of each run.
    tolerance : float
        Change for a tenfold ratio, as a share, below which a number counts as converged.
    physical_ratio : float
        Attempt frequency over strip rate of a site: there nothing is slowed.
    area_um2 : float
        Of the interface of the box.
    findings : dict of str to Finding
        ``contact_loss`` (1), ``void_density_per_um2`` (1/µm²), ``mean_void_width_nm`` (nm) and
        ``onset_capacity_monolayers``.
    runs, missing : int
        Runs that are done, and that failed or have not been run.
    early : int
        Runs that ended before `at`, which do not count.
    ends : tuple of float
        Lowest and highest capacity in monolayers at which the runs ended.
    frames_at : float
        Capacity in monolayers of the frames that the voids were counted in, on average.
    folder : Path or None
        Where the runs are.
    """

    base: str
    ratios: tuple[float, ...]
    replicas: int
    at: float | None
    tolerance: float
    physical_ratio: float
    area_um2: float
    findings: Mapping[str, Finding]
    runs: int
    missing: int
    early: int
    ends: tuple[float, float]
    frames_at: float
    folder: Path | None = None

    @property
    def converged(self) -> bool:
        """Whether every number has."""
        return all(found.verdict == "converged" for found in self.findings.values())

    @property
    def moment(self) -> str:
        """Where contact and voids were read."""
        if self.at is None:
            return "at the end of the runs"
        return f"at {monolayers(self.at)}"

    def lines(self) -> list[str]:
        """The verdicts in sentences, one paragraph a number."""
        lines = []
        for found in self.findings.values():
            first, *rest = found.sentences
            lines.append(" ".join([first[0].upper() + first[1:], *rest]))
        still_open = [
            found.observable.label for found in self.findings.values() if found.physical is None
        ]
        if still_open:
            lines.append(open_text(still_open, self.physical_ratio))
        lines += self.advice()
        if self.early and self.at is not None:
            lines.append(
                f"{plural(self.early, 'run')} ended before {figure(self.at)} monolayers and are "
                "left out of contact and voids."
            )
        if self.at is not None and abs(self.frames_at - self.at) > _NEAR * self.at:
            lines.append(
                f"Voids were counted in the frames nearest to {figure(self.at)} monolayers, at "
                f"{figure(self.frames_at)} on average; --set output.frame_every_monolayers sets "
                "where frames are recorded."
            )
        if self.at is None and self.ends[1] - self.ends[0] > _SAME_END:
            lines.append(
                f"The runs end at capacities from {figure(self.ends[0])} to "
                f"{figure(self.ends[1])} monolayers: compare them at one with --at."
            )
        if self.missing:
            have = "has" if self.missing == 1 else "have"
            lines.append(f"{plural(self.missing, 'run')} failed or {have} not been run.")
        return lines

    def advice(self) -> list[str]:
        """Further levels or replicas that would decide what is open, with their estimated time."""
        asked: dict[Needed, list[str]] = {}
        for found in self.findings.values():
            if found.needed is not None:
                asked.setdefault(found.needed, []).append(found.observable.label)
        lines = []
        for needed, names in asked.items():
            what = f"--replicas {needed.replicas}"
            if needed.ratios:
                what = f"--ratios {','.join(ratio_text(ratio) for ratio in needed.ratios)}"
            if not needed.ratios and needed.replicas > _MANY:
                lines.append(
                    f"To decide {listed(names)} some {needed.replicas} runs a level would be "
                    "needed: this box scatters too much. Its scatter falls as one over the root of "
                    "its area: use a larger system.size."
                )
                continue
            takes = ""
            if not math.isnan(needed.time_s):
                takes = f", about {duration(needed.time_s, 2)} more"
            lines.append(f"To decide {listed(names)}: {what} in the same folder{takes}.")
        return lines

    def table(self) -> pd.DataFrame:
        """One row for each number and ratio, and for the physical one of a converged number.

        Returns
        -------
        DataFrame
            ``observable``, ``unit``, ``kind`` ("measured" or "plateau"), ``ratio``, ``n``,
            ``mean``, ``std``, ``low`` and ``high`` (95 %), ``censored``, ``converged``.
        """
        import pandas as pd

        rows = []
        for found in self.findings.values():
            named = {"observable": found.observable.name, "unit": found.observable.unit or "1"}
            rows += [{**named, "kind": "measured", **asdict(level)} for level in found.levels]
            if (end := found.physical) is not None:
                ends = (end.value, math.nan, end.widest_low, end.widest_high)
                level = Level(self.physical_ratio, 0, *ends, 0, False)
                rows.append({**named, "kind": "plateau", **asdict(level)})
        return pd.DataFrame(rows)

    def to_json(self) -> str:
        """Everything as JSON text, which ``--json FILE`` writes; what is not known is null."""
        return json.dumps(self.to_dict(), indent=2, ensure_ascii=False, allow_nan=False)

    def to_dict(self) -> dict[str, Any]:
        """Everything, as JSON-able data; what is not known is None."""
        top = {
            "kind": "kmc converge",
            "run": self.base,
            "folder": None if self.folder is None else str(self.folder),
            "ratios": list(self.ratios),
            "replicas": self.replicas,
            "at_monolayers": self.at,
            "tolerance": self.tolerance,
            "confidence": 0.95,
            "physical_ratio": self.physical_ratio,
            "area_um2": self.area_um2,
            "runs_done": self.runs,
            "runs_missing": self.missing,
            "converged": self.converged,
        }
        return json_safe({**top, "observables": {n: _json(f) for n, f in self.findings.items()}})

    def _repr_html_(self) -> str:
        rows = [
            (found.observable.label, found.verdict, " ".join(found.sentences))
            for found in self.findings.values()
        ]
        ratios = ", ".join(ratio_text(ratio) for ratio in self.ratios)
        title = f"{self.base} at the ratios {ratios}, read {self.moment}"
        return html_table(rows, ("number", "verdict", ""), title)

    def plot(self) -> Any:
        """The picture of `kmc converge`, a matplotlib figure."""
        return drawn("convergence_picture", self)


def _json(found: Finding) -> dict[str, Any]:
    law, scale = found.law, "logit" if found.observable.family.name == "share" else "log"
    return {
        "unit": found.observable.unit or "1",
        "verdict": found.verdict,
        "converged_from": found.converged_from,
        "rungs": [asdict(level) for level in found.levels],  # key of the file format
        "last_two": None if found.last is None else asdict(found.last),
        "law": law and {"scale": scale, **{name: getattr(law, name) for name in _OF_A_LAW}},
        "physical": None if found.physical is None else asdict(found.physical),
        "needed": None if found.needed is None else asdict(found.needed),
        "sentences": found.sentences,
    }
