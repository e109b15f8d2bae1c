"""The plan of the interlayer study: which runs, and why.

Shen et al., Nature Communications (2025), 10.1038/s41467-025-60609-4: lithium on carbon nanotubes
with and without ZnO. Deposits by Aurbach's protocol answer for evenness, efficiency and dead
lithium; a map over adsorption energy and barrier for what decides; islands of ZnO on carbon; and an
interface whose spots conduct or not for a scaffold. docs/deposition.md has the model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from kmc.papers.claims import number_of
from kmc.papers.readings import Measured, Reading, mean, read_steps
from kmc.papers.steps import NONE, Row, Step, sweep_step, sweep_text

SUBSTRATES = {
    "ZnO (002)": "li_zno_002",
    "ZnO (202)": "li_zno_202",
    "ZnO (020)": "li_zno_020",
    "LiZn": "li_lizn",
    "carbon": "li_carbon",
}
REPLICAS, VARIANT_REPLICAS = 4, 3
ADSORPTION_eV, BARRIERS_eV = (1.1, 1.61, 3.4, 4.32), (0.1, 0.6)  # of carbon, and of the paper's ZnO

_PARAMS, _RATIO = "system.params", "acceleration.max_hops_per_strip_per_site"
_LAMBDA = "conditions.strip_weight_lambda"
_ADSORPTION, _BARRIER = "parameters.adsorption_energy_eV", "parameters.surface_barrier_eV"
_BOND = "parameters.formation_energy_bulk_eV"
DEFAULTS = {_RATIO: 1e6, _LAMBDA: 0.5}
_MEASURED = ("ZnO (002)", "ZnO (202)", "ZnO (020)", "carbon")

# One input at a time: name → (settings, substrates they apply to).
VARIANTS: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "adsorption on carbon 0.9 eV": ({_ADSORPTION: 0.9}, ("carbon",)),
    "adsorption on carbon 1.5 eV": ({_ADSORPTION: 1.5}, ("carbon",)),
    "barrier on ZnO (002) 0.6 eV": ({_BARRIER: 0.6}, ("ZnO (002)",)),
    "E_f 0.34 eV": ({_BOND: 0.34}, _MEASURED),
    "λ 0": ({_LAMBDA: 0.0}, _MEASURED),
    "ratio 1e5": ({_RATIO: 1e5}, _MEASURED),
}


@dataclass(frozen=True)
class Runs:
    """The runs of the study."""

    readings: Sequence[Reading] = ()

    def substrate(self, name: str, variant: str | None = None) -> list[Reading]:
        """Aurbach's protocol on a substrate, with one input changed where that applies to it."""
        row = {_PARAMS: SUBSTRATES[name]}
        if variant is not None and name in VARIANTS[variant][1]:
            return self.of("inputs", row | VARIANTS[variant][0])
        return self.of("efficiency", row)

    def of(self, step: str, row: Row | None = None) -> list[Reading]:
        """Readings of a step; with a row those with its settings, and defaults otherwise."""
        found = [reading for reading in self.readings if reading.step == step]
        return found if row is None else [r for r in found if _same(r.settings, row)]


def _same(settings: Mapping[str, Any], row: Row) -> bool:
    return all(
        settings.get(key, DEFAULTS.get(key, NONE)) == row.get(key, DEFAULTS.get(key, NONE))
        for key in {*settings, *row}
    )


def read(folder: Path, progress: bool = False) -> Runs:
    """The runs that the claims are judged from."""
    steps = ("efficiency", "inputs", "map", "islands", "dead", "scaffold")
    return Runs(read_steps(folder, steps, progress))


def map_row(adsorption_eV: float, barrier_eV: float) -> dict[str, Any]:
    """A point of the map."""
    return {_ADSORPTION: adsorption_eV, _BARRIER: barrier_eV}


def steps() -> list[Step]:
    """Half an hour on two cores at most."""
    inputs = [
        {_PARAMS: SUBSTRATES[name], **settings}
        for settings, names in VARIANTS.values()
        for name in names
    ]
    surfaces = [map_row(one, other) for one in ADSORPTION_eV for other in BARRIERS_eV]
    first = {
        "system.size": [24, 24, 16],
        "stop.capacity_monolayers": 1,
        "output.sample_every_monolayers": 0.1,
    }
    entries: tuple[tuple[str, str, str, list[dict[str, Any]], int, dict[str, Any]], ...] = (
        (
            "efficiency",
            "Aurbach's protocol on every substrate",
            "aurbach_zno_002",
            [{_PARAMS: params} for params in SUBSTRATES.values()],
            REPLICAS,
            {},
        ),
        (
            "map",
            "The first monolayer against adsorption energy and barrier",
            "plate_carbon",
            surfaces,
            VARIANT_REPLICAS,
            first,
        ),
        (
            "islands",
            "The first monolayer on islands of ZnO (002) on carbon",
            "plate_zno_on_carbon",
            [{"stop.capacity_monolayers": 1}],
            REPLICAS,
            {},
        ),
        ("dead", "Spots that hold lithium and do not conduct", "dead_lithium", [], REPLICAS, {}),
        ("scaffold", "The same spots conduct", "scaffold", [], REPLICAS, {}),
        (
            "inputs",
            "Aurbach's protocol with one input changed",
            "aurbach_zno_002",
            inputs,
            VARIANT_REPLICAS,
            {},
        ),
    )
    return [
        sweep_step(
            name,
            what,
            partial(sweep_text, run=run, rows=rows, replicas=n, fixed=fixed, defaults=DEFAULTS),
        )
        for name, what, run, rows, n, fixed in entries
    ]


_COLUMNS = ("coverage_1", "coverage_3", "roughness_3", "highest_3", "dead_percent")


def conditions(runs: Runs) -> list[dict[str, Any]]:
    """Means for each substrate: at one and three monolayers, and at the end of the protocol."""
    rows = []
    for name in SUBSTRATES:
        found = runs.substrate(name)
        if found:
            row: dict[str, Any] = {"substrate": name, "runs": len(found)}
            for column in _COLUMNS:
                m: Measured | None = mean(found, column)
                row[column] = None if m is None else number_of(m.value)
            rows.append(row)
    return rows
