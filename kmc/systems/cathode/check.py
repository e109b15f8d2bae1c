"""What `kmc verify` recomputes of a cathode."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from kmc.files.check_result import Breach, differences, falls
from kmc.files.table_run import TableRun
from kmc.systems.cathode.contact import describe
from kmc.systems.cathode.microstructure import ACTIVE, FRAME, counts

_CLOSED = 1e-9  # mean area strain: what a wall has moved, and zero but for rounding without


def _fractions(run: TableRun) -> Iterator[Breach]:
    section, material = run.run["cathode"], run.constants["material"]
    fractions = section["active_fraction"], section["frame_fraction"]
    of_section = counts(section["edge_sites"], *fractions)
    for kind, uncut in zip((ACTIVE, FRAME), of_section, strict=True):
        sites = uncut * section.get("refinement", 1) ** 2
        found = int((material == kind).sum())
        if found != sites:
            yield Breach("sites of a material", "/constants/material", None, found, sites)


def _portions(run: TableRun) -> Iterator[Breach]:
    material = run.constants["material"]
    total = int((material == ACTIVE).sum()) * run.facts["portions_per_site"]
    yield from differences("portions", "/samples/portions", run.samples["portions"], total)
    for i, portions in enumerate(run.frames["portions"]):
        if portions.sum() != total:
            where = f"/frames/portions, frame {i}"
            yield Breach("portions", where, None, portions.sum(), total)
        if (portions < 0).any() or portions[material == FRAME].any():
            where = f"/frames/portions, frame {i}"
            yield Breach("portions", where, None, "below 0, or on the frame", "neither")


def _area(run: TableRun) -> Iterator[Breach]:
    for i, strain in enumerate(run.frames["area_strain"]):
        row = run.frames["sample"][i]
        given = run.samples["thickness"][row] - 1.0 if "thickness" in run.samples else 0.0
        moves = run.run["cathode"].get("wall_pressure_MPa") is not None
        if not abs(strain.mean() - given) <= _CLOSED or (given and not moves):
            where = f"/frames/area_strain, frame {i}"
            found, wanted = f"{strain.mean():.3g}", f"{given if moves else 0.0:.3g}"
            yield Breach("area between the walls", where, None, found, wanted)
        fill = run.frames["portions"][i] * (1.0 + run.samples["swelling"][row])
        fill /= run.facts["portions_per_site"]
        loaded = run.frames["bears_load"][i].astype(bool)
        room = np.where(loaded, 0.0, np.maximum(1.0 + strain - fill, 0.0))
        wrong = ~(np.abs(room - run.frames["open_area"][i]) <= 1e-9)
        for x, y in np.argwhere(wrong)[:1]:
            where = f"/frames/open_area, frame {i}, site {x}, {y}"
            stored = run.frames["open_area"][i][x, y]
            yield Breach("open area", where, None, stored, room[x, y])


def _rows(run: TableRun) -> Iterator[Breach]:
    constants = run.constants["material"], run.constants["grain"]
    for i, row in enumerate(run.frames["sample"]):
        portions, opened, stress_GPa = (
            run.frames[name][i] for name in ("portions", "open_area", "equivalent_GPa")
        )
        cut = run.run["cathode"].get("refinement", 1)
        for name, value in describe(*constants, portions, opened, stress_GPa, cut).items():
            stored = run.samples[name][row]
            if not np.isclose(stored, value, rtol=1e-12, atol=0, equal_nan=True):
                yield Breach(name, f"/samples/{name}", row, stored, value)


def _order(run: TableRun) -> Iterator[Breach]:
    for name in ("time_s", "cycle", "events", "moved", "factorizations"):
        yield from falls("order of the rows", f"/samples/{name}", run.samples[name])


CHECKS = (
    ("sites of each material are those of the run file", _fractions),
    ("portions of active material are conserved, to the last one", _portions),
    ("area between the walls is conserved, and shared between material and openings", _area),
    ("contact ratios, pores and stresses of every frame", _rows),
    ("rows are in order", _order),
)
