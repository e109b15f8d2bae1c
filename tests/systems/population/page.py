"""The runs behind docs/upscaling.md: each case of its tables, and the numbers printed there.

`python tests/systems/population/page.py [NAME ...]` prints them; a test marked
long compares them with the page.
"""

from __future__ import annotations

import math
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

import kmc

COLUMNS = ("cuts", "width", "half", "ninety", "gap", "highest", "mV")


@dataclass(frozen=True)
class Case:
    """A row of a table: a shipped run and what is changed in it."""

    run: str = "operando_li"
    changes: dict[str, Any] = field(default_factory=dict)


def _li(**changes) -> Case:
    return Case(
        changes={"upscale.domain_um": 40.0} | {k.replace("__", "."): v for k, v in changes.items()}
    )


CASES = {
    "operando_li": Case(),
    "operando_limg": Case("operando_limg"),
    "operando_li, all of the pressure": Case(changes={"upscale.pressure_share": 1.0}),
    "operando_limg, all of the pressure": Case("operando_limg", {"upscale.pressure_share": 1.0}),
    "on 40 µm": _li(),
    "another seed": _li(random__seed=2),
    "cells of 0.15 µm": _li(upscale__grid_um=0.15),
    "λ 1 µm": _li(conditions__sink_length_um=1.0),
    "λ 10 µm": _li(conditions__sink_length_um=10.0),
    "1/κ 1 µm": _li(conditions__sink_length_um=math.inf, conditions__sink_depth_um=1.0),
    "R* 1 µm": _li(upscale__rounding_length_um=1.0),
    "R* 3 µm": _li(upscale__rounding_length_um=3.0),
    "flaws 0.16 per µm²": _li(upscale__flaw_density_per_um2=0.16),
}


def measure(case: Case) -> dict[str, float]:
    """Numbers of a row; NaN for what does not happen.

    cuts and width at the first image, 0.125 mAh/cm²; charges at which half and nine tenths of the
    contact are lost, and all of it; the largest height until nine tenths are lost; and the
    overpotential at the first image.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run.h5"
        run = kmc.upscale(case.run, case.changes, output=path, progress=False)
        s, last = run.samples, run.stop_reason
    charge = s["capacity_mAh_cm2"]

    def at(name: str) -> float:
        return float(np.interp(0.125, charge, s[name], right=math.nan))

    ninety = run.charge_at_contact(0.1)
    before = charge <= (ninety if math.isfinite(ninety) else math.inf)
    return {
        "cuts": at("voids_per_100um"),
        "width": at("mean_width_um"),
        "half": run.charge_at_contact(0.5),
        "ninety": ninety,
        "gap": float(charge[-1]) if last == "no contact is left" else math.nan,
        "highest": float(np.nanmax(s["max_height_um"][before])),
        "mV": 1e3 * at("overpotential_V"),
    }


if __name__ == "__main__":
    for name in sys.argv[1:] or CASES:
        found = measure(CASES[name])
        texts = (f"{found[c]:.3g}" if math.isfinite(found[c]) else "–" for c in COLUMNS)
        print(f"| {name} | {' | '.join(texts)} |", flush=True)
