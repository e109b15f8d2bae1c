"""The runs behind docs/upscaling.md: each case of its tables, and the numbers printed there.

`python tests/mesoscale/page.py` prints them all; a test marked long compares them with the page.
"""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from kmc.mesoscale.cross_lines import cut
from kmc.mesoscale.population import Population
from kmc.mesoscale.schedule import stages
from kmc.mesoscale.setup import prepare
from kmc.mesoscale.vapour import ClusterVapour
from kmc.model.electrochemistry import capacity_mAh_cm2
from kmc.runfile.load import load_run


@dataclass(frozen=True)
class Case:
    """A row of a table: a shipped run, what is changed in it, and factors on its free energies."""

    run: str = "upscale_li"
    changes: dict[str, Any] = field(default_factory=dict)
    gamma_factor: float = 1.0
    prefactor: float = 1.0
    edge_um: float = 30.0
    least_contact: float = 0.01  # where it ends, as the command does


def _li(edge_um: float = 30.0, **changes) -> Case:
    return Case(changes={k.replace("__", "."): v for k, v in changes.items()}, edge_um=edge_um)


def _mg(coverage: float, edge_um: float = 30.0) -> Case:
    return Case("upscale_limg", {"system.mg_coverage_L1": coverage}, edge_um=edge_um)


def _aspect(value: float) -> Case:
    return Case(changes={"upscale.shape": "aspect", "upscale.aspect_ratio": value})


def _flaws(density: float, edge_um: float) -> Case:
    return Case("upscale_flaws", {"upscale.flaw_density_per_um2": density}, edge_um=edge_um)


CASES = {
    "upscale_li": Case(edge_um=100.0),
    "upscale_limg": Case("upscale_limg", edge_um=100.0),
    "as shipped": Case(),
    "γ − 10 %": Case(gamma_factor=0.9),
    "γ + 10 %": Case(gamma_factor=1.1),
    "prefactor / 10": Case(prefactor=0.1),
    "prefactor × 10": Case(prefactor=10.0),
    "no rounding": _li(upscale__relaxation="none"),
    "C = 1": _li(upscale__relaxation_constant=1.0),
    "C = 30": _li(upscale__relaxation_constant=30.0),
    "C = 300": _li(upscale__relaxation_constant=300.0),
    "instant rounding": _li(100.0, upscale__relaxation="instant"),
    "height 0.25 of the width": _aspect(0.25),
    "height 1 of the width": _aspect(1.0),
    "0.2 MPa": Case("upscale_pressure"),
    "flaws, 0.05 per µm²": _flaws(0.05, 100.0),
    "flaws, 0.005 per µm²": _flaws(0.005, 100.0),
    "Mg 0.3 of L1": _mg(0.3),
    "Mg 0.6 of L1": _mg(0.6),
    "Mg 0.9 of L1": _mg(0.9, 60.0),
    "0.05 mA/cm²": _li(60.0, conditions__current_density_mA_cm2=0.05),
    "0.2 mA/cm²": _li(conditions__current_density_mA_cm2=0.2),
    "1 mA/cm²": _li(conditions__current_density_mA_cm2=1.0),
    "5 mA/cm²": _li(15.0, conditions__current_density_mA_cm2=5.0, upscale__grid_um=0.1),
    "0 °C": _li(20.0, conditions__temperature_K=273.15, upscale__grid_um=0.1),
    "60 °C": _li(60.0, conditions__temperature_K=333.15),
    "100 °C": _li(100.0, conditions__temperature_K=373.15),
}


def measure(case: Case) -> dict[str, float]:
    """Run a case; its numbers, NaN where nothing of the kind happened.

    `voids`: most voids per µm². `S`, `S_mV`: the largest mean S on contact, of the burst. `met`:
    charge at which a tenth of the voids has met another. `half`, `ninety`, `end`: where so much of
    the contact is gone. `cuts`, `width`: most cuts per 100 µm of line, and their mean width in µm.
    """
    grid = {"upscale.grid_um": max(0.25, case.edge_um / 400)}
    changes = {"upscale.domain_um": case.edge_um, **grid, **case.changes}
    run = load_run(case.run, changes)
    prepared = prepare(run)
    setting = prepared.setting
    if (case.gamma_factor, case.prefactor) != (1.0, 1.0):
        model = prepared.vapour.model.varied(
            gamma_factor=case.gamma_factor, prefactor=case.prefactor
        )
        setting = replace(setting, vapour=ClusterVapour(model))
    seed = np.random.SeedSequence(run.random.seed).spawn(1)[0]
    population = Population(setting, np.random.default_rng(seed))
    found = dict.fromkeys(("voids", "S", "met", "half", "ninety", "end", "cuts", "width"), math.nan)
    found["voids"] = len(population.voids) / population.area_um2
    found["S"] = found["cuts"] = 0.0
    charge, contact = 0.0, population.contact_fraction
    for due in stages(run, prepared.monolayer_mAh_cm2)[0].due:
        alive = True
        while alive and population.time_s < due.time_s * (1 - 1e-12):
            alive = population.step(due.time_s)
            before, left = (charge, contact), population.contact_fraction
            charge, contact = capacity_mAh_cm2(population.ledger.stripped, 1e8), left
            for name, level in (("half", 0.5), ("ninety", 0.1), ("end", 0.01)):
                if left <= level and math.isnan(found[name]):
                    share = (before[1] - level) / (before[1] - left)
                    found[name] = before[0] + share * (charge - before[0])
            most = max(found["voids"], len(population.voids) / population.area_um2)
            found["voids"] = most
            ledger = population.ledger
            if math.isnan(found["met"]) and ledger.met > 0.1 * most * population.area_um2:
                found["met"] = charge
            if left > 0.9:  # of the burst, not of the last contact
                mean = population.S_contact
                found["S"] = max(found["S"], mean)
            alive = alive and left > case.least_contact
        cuts = cut(population.voids)
        if cuts.per_100um > found["cuts"]:
            found["cuts"], found["width"] = cuts.per_100um, cuts.mean_width_um
        if not alive:
            break
    found["S_mV"] = 1e3 * prepared.kinetics.thermal_V * math.log(max(found["S"], 1.0))
    found["contact"] = contact
    return found


if __name__ == "__main__":
    for name in sys.argv[1:] or CASES:
        numbers = "  ".join(f"{k} {v:.4g}" for k, v in measure(CASES[name]).items())
        print(f"{name:26}{numbers}", flush=True)
