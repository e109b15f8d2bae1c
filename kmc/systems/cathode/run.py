"""Runs a cathode: lithiation and delithiation at a constant rate, cycle by cycle."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from kmc.common.progress import Progress
from kmc.runfile.run_file import RunFile
from kmc.systems.cathode.contact import describe
from kmc.systems.cathode.creep import PORTIONS, Body
from kmc.systems.cathode.materials import materials_of
from kmc.systems.cathode.microstructure import build
from kmc.systems.record import INTERRUPTED, Record

START, LITHIATED, DELITHIATED = 0, 1, 2


class Cathode:
    """One cathode.

    Attributes
    ----------
    materials : Materials
    body : Body
    time_s, lithiation : float
    cycle, events, moved : int
        Cycle, from 1; events of creep and moves of portions so far.
    """

    def __init__(self, run: RunFile):
        section = run.cathode
        for_grains, for_events = np.random.SeedSequence(run.random.seed).spawn(2)
        self.section = section
        self.materials = materials_of(run)
        start = build(
            np.random.default_rng(for_grains),
            section.edge_sites,
            section.grain_sites,
            section.active_fraction,
            section.frame_fraction,
        )
        self.body = Body(start, self.materials.frame, section.wall_pressure_MPa)
        self.rng = np.random.default_rng(for_events)
        self.time_s = self.lithiation = 0.0
        self.cycle = self.events = self.moved = 0
        self.phase = START
        self.settle()

    def settle(self) -> None:
        """Sites that bear load, and the stress, at this lithiation."""
        active = self.materials.active(self.lithiation)
        swelling, out_of_plane = self.materials.swelling(self.lithiation)
        self.body.find_load(active, swelling)
        self.body.equilibrate(active, swelling, out_of_plane)

    def go_to(self, lithiation: float) -> None:
        """A step of (de)lithiation at the constant rate, with the creep of its time."""
        active = self.materials.active(lithiation)
        swelling, out_of_plane = self.materials.swelling(lithiation)
        seconds = 3600.0 * abs(lithiation - self.lithiation) / self.section.c_rate_per_h
        self.body.find_load(active, swelling, seconds)
        events, moved = self.body.creep(self.rng, active, swelling, seconds)
        self.body.equilibrate(active, swelling, out_of_plane)
        self.events += events
        self.moved += moved
        self.time_s += seconds
        self.lithiation = lithiation

    def maps(self) -> dict[str, np.ndarray]:
        """The maps of a frame."""
        body = self.body
        return {
            "portions": body.portions.astype(np.int32),
            "area_strain": body.area_strain,
            "bears_load": body.bears_load.astype(np.uint8),
            "open_area": body.open_area(self.materials.swelling(self.lithiation)[0]),
            "equivalent_GPa": body.equivalent_GPa,
            "mean_GPa": body.mean_GPa,
        }

    def row(self) -> dict[str, float]:
        """A row of `/samples`."""
        maps, start = self.maps(), self.body.start
        return {
            "time_s": self.time_s,
            "cycle": self.cycle,
            "phase": self.phase,
            "lithiation": self.lithiation,
            "swelling": self.materials.swelling(self.lithiation)[0],
            **describe(
                start.material,
                start.grain,
                maps["portions"],
                maps["open_area"],
                maps["equivalent_GPa"],
            ),
            "thickness": self.body.thickness,
            "events": self.events,
            "moved": self.moved,
            "factorizations": self.body.factorizations,
        }


def simulate(run: RunFile, record: Record, bar: Progress, stopped: Callable[[], bool]) -> str:
    """Run all cycles into a record; returns why it ended."""
    began, cathode = time.monotonic(), Cathode(run)
    section, body = run.cathode, cathode.body
    residual = section.residual_lithiation
    first, lithiated, frame = cathode.materials.sets
    record.parameters = {
        f"{role}.{key}": value
        for role, parameters in (("active", first), ("lithiated", lithiated), ("frame", frame))
        for key, value in parameters.resolved().items()
    }
    record.facts = {
        "materials": [first.name, lithiated.name, frame.name],
        "portions_per_site": PORTIONS,
        "active_sites": int(body.is_grain.sum()),
        "frame_sites": int(body.is_frame.sum()),
        "pore_sites": int((~body.is_grain & ~body.is_frame).sum()),
        "grains": int(body.start.grain.max()) + 1,
        "swelling_lithiated": cathode.materials.swelling(1.0)[0],
        "swelling_residual": cathode.materials.swelling(residual)[0],
        "norton_exponent": [cathode.materials.first.exponent, cathode.materials.lithiated.exponent],
    }
    record.constants = {"material": body.start.material, "grain": body.start.grain}
    kept = {1, 2, 5, 10, section.cycles, *range(20, section.cycles, 20)}
    record.sample(cathode.row())
    record.frame(cathode.maps())
    halves = (
        (LITHIATED, 1.0, section.steps),
        (DELITHIATED, residual, max(2, round(section.steps * (1.0 - residual)))),
    )
    of, done = section.cycles * sum(steps for *_, steps in halves), 0
    for cycle in range(1, section.cycles + 1):
        cathode.cycle = cycle
        for phase, target, steps in halves:
            cathode.phase = phase
            for lithiation in np.linspace(cathode.lithiation, target, steps + 1)[1:]:
                if stopped():
                    return INTERRUPTED
                if run.stop.wall_time_s and time.monotonic() - began > run.stop.wall_time_s:
                    return "wall_time_s reached"
                cathode.go_to(float(lithiation))
                done += 1
                bar.update(done / of, _text(cathode))
            cathode.settle()
            record.sample(cathode.row())
            if cycle in kept:
                record.frame(cathode.maps())
    return "all cycles done"


def _text(cathode: Cathode) -> str:
    return (
        f"cycle {cathode.cycle}, lithiation {cathode.lithiation:.2f}, {cathode.events} events, "
        f"{cathode.body.equivalent_GPa[cathode.body.is_grain].mean():.3f} GPa"
    )
