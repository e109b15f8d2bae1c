"""The steps of the operando study, and what its claims are judged from."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kmc.common.json_files import read_json
from kmc.errors import InputError
from kmc.papers import operando
from kmc.papers.operando import Size
from kmc.papers.operando_evidence import Runs
from kmc.papers.readings import read_steps
from kmc.papers.steps import MakeWorkers, Step, levels_step, sweep_step, write

CHECKS_FILE = "checks.json"
POPULATIONS = ("operando", "conditions", "inputs")
BOXES = ("box_first", "box", "box_random", "box_inputs")
RATIOS = ("convergence_strip_li", "convergence_strip_limg")


def read_operando(folder: Path, progress: bool = False) -> Runs:
    """The runs that the claims of the operando paper are judged from."""
    checks = folder / CHECKS_FILE
    rows = read_json(checks) if checks.is_file() else []
    try:
        values = {row["name"]: math.nan if row["model"] is None else row["model"] for row in rows}
    except (KeyError, TypeError):
        raise InputError(
            f"{checks} is damaged", advice="Remove it, and repeat kmc study: it is written again."
        ) from None
    found = read_steps(folder, (*POPULATIONS, *BOXES, *RATIOS), progress)
    return Runs(
        [reading for reading in found if reading.step in POPULATIONS],
        [reading for reading in found if reading.step in BOXES],
        values,
        [reading for reading in found if reading.step in RATIOS],
    )


# --- steps ----------------------------------------------------------------------------------------


def steps_of(size: Size) -> list[Step]:
    """The steps of the operando study: what most claims are judged from comes first."""
    voids = operando.population_text
    populations = (
        (
            "operando",
            "Populations of voids, Li and Li0.97Mg0.03 as in the operando cell",
            lambda what: voids(what, operando.operando_rows(size), size.replicas, size),
        ),
        (
            "inputs",
            "Populations of voids with one input changed",
            lambda what: voids(what, operando.variant_rows(size), size.variants, size),
        ),
        (
            "conditions",
            "Populations of voids at other compositions, currents, pressures, temperatures",
            lambda what: voids(what, operando.condition_rows(size), size.others, size),
        ),
    )
    boxes = (
        (
            "box_first",
            "Boxes of atoms, Li and Li0.97Mg0.03 as in the operando cell",
            lambda what: operando.first_box_text(what, operando.first_box_rows(), size),
        ),
        (
            "box_inputs",
            "Boxes of atoms with one input changed",
            lambda what: operando.first_box_text(what, operando.box_variant_rows(size), size),
        ),
        (
            "box_random",
            "Boxes of atoms whose first layer begins as random as the bulk",
            lambda what: operando.random_text(what, operando.random_rows(), size),
        ),
    )
    grid = (
        "box",
        "Boxes of atoms at other compositions, currents, pressures, temperatures",
        lambda what: operando.box_text(what, operando.box_rows(size), size),
    )
    return [
        Step(
            "checks",
            "Energies, adhesion, contact angle and diffusivities of the parameter set",
            "kmc params check limg_li2s",
            _check,
        ),
        *(sweep_step(*entry) for entry in boxes),
        levels_step("strip_li", size.ratios, size.first_boxes, size.box),
        levels_step("strip_limg", size.ratios, size.first_boxes, size.box),
        *(sweep_step(*entry) for entry in populations),
        _nucleation("li", "li_li2s", {}),
        _nucleation(
            "limg",
            "limg_li2s",
            {"mg_coverage": operando.COVERAGE, "mg_fraction": operando.FOIL},
        ),
        sweep_step(*grid),
    ]


def _nucleation(metal: str, params: str, given: Mapping[str, Any]) -> Step:
    def run(folder: Path, make: MakeWorkers, progress: bool) -> bool:
        path = folder / f"nucleation_{metal}.json"
        if not path.is_file():
            from kmc.mesoscale.study import nucleation

            found = nucleation(params, **given, progress=progress)
            write(path, json.dumps(found.to_json(), indent=1, allow_nan=False))
        return False

    options = "".join(f" --{key.replace('_', '-')} {value:g}" for key, value in given.items())
    return Step(
        f"nucleation_{metal}",
        f"Nucleation at the true rates, {params}",
        f"kmc nucleation {params}{options} --json nucleation_{metal}.json",
        run,
    )


def _check(folder: Path, make: MakeWorkers, progress: bool) -> bool:
    from kmc.model.parameters import load_parameters
    from kmc.verification.dft import check_rows

    path = folder / CHECKS_FILE
    if not path.is_file():
        rows = [
            {"name": row.name, "unit": row.unit, "paper": row.dft, "model": row.model}
            for row in check_rows(load_parameters("limg_li2s"))
        ]
        write(path, json.dumps(rows, indent=1, ensure_ascii=False))
    return False
