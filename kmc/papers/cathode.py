"""The plan of the cathode study: which runs, and why.

Xiong et al., Nature Communications (2024), 10.1038/s41467-024-48174-8: selenium that creeps in a
rigid frame of Mo6Se8, beside LiCoO2, which does not creep, and FeS, which hardly does.
docs/cathode.md has the model, and the two inputs that nothing fixes: `creep_stress_factor` and
`plane_share`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from kmc.papers.claims import number_of
from kmc.papers.readings import Reading, mean, read_steps
from kmc.papers.steps import Step, sweep_step, sweep_text

REPLICAS, OTHERS, VARIANT_REPLICAS = 4, 3, 3
CYCLES = 20  # as in the paper

DEFAULTS = {
    "cathode.creep_stress_factor": 1.0,
    "cathode.plane_share": 2 / 3,
    "cathode.steps": 20,
}
# One input at a time.
VARIANTS: dict[str, dict[str, Any]] = {
    "σ_ref × 0.5": {"cathode.creep_stress_factor": 0.5},
    "σ_ref × 2": {"cathode.creep_stress_factor": 2.0},
    "plane_share 0.6": {"cathode.plane_share": 0.6},
    "plane_share 0.75": {"cathode.plane_share": 0.75},
    "40 steps a half-cycle": {"cathode.steps": 40},
}
_ELASTIC = {"cathode.creep_stress_factor": 1000.0, "cathode.cycles": 1}  # no creep at any stress


@dataclass(frozen=True)
class Runs:
    """The runs of the study."""

    readings: Sequence[Reading] = ()

    def of(self, step: str) -> list[Reading]:
        """Readings of a step."""
        return [reading for reading in self.readings if reading.step == step]

    def selenium(self, variant: str | None = None) -> list[Reading]:
        """Selenium over 20 cycles, with one input changed."""
        if variant is None:
            return self.of("selenium")
        row = DEFAULTS | VARIANTS[variant]
        return [r for r in self.of("inputs") if _same(r.settings, row)]


def _same(settings: Mapping[str, Any], row: Mapping[str, Any]) -> bool:
    return all(settings.get(key, DEFAULTS[key]) == value for key, value in row.items())


def read(folder: Path, progress: bool = False) -> Runs:
    """The runs that the claims are judged from."""
    steps = ("selenium", "elastic", "licoo2", "fes", "inputs")
    return Runs(read_steps(folder, steps, progress))


def steps() -> list[Step]:
    """Half an hour on two cores at most."""
    entries: tuple[tuple[str, str, str, list[dict[str, Any]], int], ...] = (
        ("licoo2", "LiCoO2, elastic", "cathode_licoo2", [{"cathode.cycles": 3}], OTHERS),
        ("elastic", "Selenium without creep, one cycle", "cathode_se", [_ELASTIC], OTHERS),
        ("fes", "FeS, five cycles", "cathode_fes", [{"cathode.cycles": 5}], OTHERS),
        ("selenium", "Selenium, 20 cycles", "cathode_se", [{"cathode.cycles": CYCLES}], REPLICAS),
        (
            "inputs",
            "Selenium with one input changed",
            "cathode_se",
            [{"cathode.cycles": CYCLES, **settings} for settings in VARIANTS.values()],
            VARIANT_REPLICAS,
        ),
    )
    return [
        sweep_step(
            name,
            what,
            partial(sweep_text, run=run, rows=rows, replicas=n, fixed={}, defaults=DEFAULTS),
        )
        for name, what, run, rows, n in entries
    ]


_COLUMNS = (
    "contact_active_active",
    "contact_active_frame",
    "stress_active_GPa",
    "stress_frame_GPa",
)


def conditions(runs: Runs) -> list[dict[str, Any]]:
    """Means for each material: lithiated, in the first and in the last cycle."""
    rows = []
    names = {"selenium": "Se", "elastic": "Se without creep", "fes": "FeS", "licoo2": "LiCoO2"}
    for step, name in names.items():
        found = runs.of(step)
        for which, cycle in (("first", 1), ("last", found[0].numbers["cycles"] if found else 1)):
            if found and not (which == "last" and cycle == 1):
                row: dict[str, Any] = {"active material": name, "cycle": int(cycle)}
                row["runs"] = len(found)
                for column in _COLUMNS:
                    m = mean(found, f"{column}_{which}")
                    row[column] = None if m is None else number_of(m.value)
                rows.append(row)
    return rows
