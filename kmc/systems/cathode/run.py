"""A cathode as a job: lithiation and delithiation at a constant rate, cycle by cycle."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from kmc.runfile.run_file import RunFile
from kmc.systems.cathode.cathode_body import PORTIONS, CathodeBody
from kmc.systems.cathode.contact import describe
from kmc.systems.cathode.materials import materials_of
from kmc.systems.cathode.microstructure import build
from kmc.systems.job import Ended, Frame, Item, Job, Row

START, LITHIATED, DELITHIATED = 0, 1, 2


class CathodeJob(Job):
    """One cathode.

    - `materials` (Materials)
    - `body` (CathodeBody)
    - `time_s`, `lithiation` (float)
    - `cycle`, `events`, `moved` (int): cycle, from 1; events of creep and moves of portions so far.
    """

    def __init__(self, run: RunFile):
        super().__init__()
        section = run.cathode
        for_grains, for_events = np.random.SeedSequence(run.random.seed).spawn(2)
        self.section = section
        self.materials = materials_of(run)
        fractions = section.active_fraction, section.frame_fraction
        rng = np.random.default_rng(for_grains)
        start = build(rng, section.edge_sites, section.grain_sites, *fractions, section.refinement)
        self.body = CathodeBody(start, self.materials.frame, section.wall_pressure_MPa)
        self.rng = np.random.default_rng(for_events)
        self.time_s = self.lithiation = 0.0
        self.cycle = self.events = self.moved = 0
        self.phase = START
        self.done = 0  # steps of (de)lithiation so far
        residual = section.residual_lithiation
        # Steps in proportion to the way, so that each takes the same time.
        self.halves = (
            (LITHIATED, 1.0, section.steps),
            (DELITHIATED, residual, max(2, round(section.steps * (1.0 - residual)))),
        )
        self._ahead: list[float] = []  # lithiations of the half cycle that is going on
        self.wall_time_s = run.stop.wall_time_s
        self.settle()
        # What the file records once.
        body = self.body
        first, lithiated, frame = self.materials.sets
        self.parameters = {
            f"{role}.{key}": value
            for role, parameters in (("active", first), ("lithiated", lithiated), ("frame", frame))
            for key, value in parameters.resolved().items()
        }
        # Creep of both ends of the composition: what lies between them is mixed at each step.
        exponents = [self.materials.first.exponent, self.materials.lithiated.exponent]
        self.facts = {
            "materials": [first.name, lithiated.name, frame.name],
            "portions_per_site": PORTIONS,
            "active_sites": int(body.is_grain.sum()),
            "frame_sites": int(body.is_frame.sum()),
            "pore_sites": int((~body.is_grain & ~body.is_frame).sum()),
            "grains": int(body.start.grain.max()) + 1,
            "swelling_lithiated": self.materials.swelling(1.0)[0],
            "swelling_residual": self.materials.swelling(section.residual_lithiation)[0],
            "norton_exponent": exponents,
        }
        self.constants = {"material": body.start.material, "grain": body.start.grain}

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
        # Creep goes by the stress at the end of the step, whose contacts are found first.
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
        start = self.body.start
        return {
            "time_s": self.time_s,
            "cycle": self.cycle,
            "phase": self.phase,
            "lithiation": self.lithiation,
            "swelling": self.materials.swelling(self.lithiation)[0],
            **describe(start.material, start.grain, self.maps(), self.section.refinement),
            "thickness": self.body.thickness,
            "events": self.events,
            "moved": self.moved,
            "factorizations": self.body.factorizations,
        }

    # --- the run ----------------------------------------------------------------------------------

    def advance(self) -> Iterator[Item]:
        """One step of (de)lithiation."""
        if not self.cycle:
            # The row and the frame of the undeformed section: every change is measured from it.
            self._enter(1, LITHIATED)
            yield Row({**self.row(), "cycle": 0, "phase": START})
            yield Frame(self.maps())
            return
        self.go_to(self._ahead.pop(0))
        self.done += 1
        if self._ahead:
            return
        self.settle()
        yield Row(self.row())
        cycles = self.section.cycles
        # The first cycles change most; later ones are alike, and maps are large.
        if self.cycle in {1, 2, 5, 10, cycles, *range(20, cycles, 20)}:
            yield Frame(self.maps())
        if self.phase == LITHIATED:
            self._enter(self.cycle, DELITHIATED)
        elif self.cycle < cycles:
            self._enter(self.cycle + 1, LITHIATED)
        else:
            yield Ended("all cycles done")

    def _enter(self, cycle: int, phase: int) -> None:
        """Begin half a cycle."""
        self.cycle, self.phase = cycle, phase
        _, target, steps = self.halves[phase - LITHIATED]
        self._ahead = np.linspace(self.lithiation, target, steps + 1)[1:].tolist()

    def progress(self) -> tuple[float, str]:
        of = self.section.cycles * sum(steps for *_, steps in self.halves)
        stress = self.body.equivalent_GPa[self.body.is_grain].mean()
        text = f"cycle {self.cycle} of {self.section.cycles}, lithiation {self.lithiation:.2f}"
        return self.done / of, f"{text}, {stress:.3f} GPa"

    def state(self) -> dict[str, Any]:
        """Every array of the body, and where in which cycle it is."""
        counts = [self.cycle, self.phase, self.done, self.events, self.moved]
        return {
            "rng": self.rng.bit_generator.state,
            "counts": [*counts, self.body.factorizations],
            "clock": np.array([self.time_s, self.lithiation]),
            "ahead": np.array(self._ahead),
            **{f"body_{name}": values for name, values in self._arrays().items()},
        }

    def _arrays(self) -> dict[str, np.ndarray]:
        attributes = vars(self.body).items()
        return {name: value for name, value in attributes if isinstance(value, np.ndarray)}

    def restore(self, state: Mapping[str, Any]) -> None:
        self.rng.bit_generator.state = state["rng"]
        *counts, self.body.factorizations = state["counts"]
        self.cycle, self.phase, self.done, self.events, self.moved = counts
        self.time_s, self.lithiation = state["clock"].tolist()
        self._ahead = state["ahead"].tolist()
        # Copied, as the state may still be compared with or written by its owner.
        for name in self._arrays():
            setattr(self.body, name, state[f"body_{name}"].copy())
