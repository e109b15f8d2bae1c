"""Runs a deposition: the steps of its protocol, one after the other."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import numpy as np

from kmc.common.progress import Progress
from kmc.common.units import A_per_nm, K_B_eV
from kmc.kernels import deposition as kernel
from kmc.model.adatoms import adatoms, lowest_barrier_eV, spacing_A
from kmc.model.electrochemistry import atoms_of_capacity, capacity_mAh_cm2, strip_rate_Hz
from kmc.runfile.protocol import PLATE, REST, STRIP, Step, Until
from kmc.runfile.run_file import RunFile
from kmc.systems.deposition import substrate
from kmc.systems.deposition.box import Drive, box_of, empty_state, law_of
from kmc.systems.deposition.shape import describe
from kmc.systems.record import INTERRUPTED, Record

_CHUNK = 200_000  # attempts between two looks at the clock
_REST_SAMPLES = 10
_WHAT = {PLATE: kernel.PLATE, STRIP: kernel.STRIP, REST: kernel.REST}
FULL = "the deposit reached the top of the box: a larger system.size has room"
BLOCKED = "no column is connected to the substrate any more"


def steps_of(run: RunFile) -> list[Step]:
    """The protocol, or plating to the capacity of [stop]."""
    if run.has_protocol:
        return [planned.step for planned in run.protocol.plan]
    until = Until(run.stop.capacity_monolayers, run.stop.capacity_mAh_cm2)
    return [Step(PLATE, run.conditions.current_density_mA_cm2, None, until)]


class Deposition:
    """One deposition.

    Attributes
    ----------
    energies : Adatoms
    box, state : kernel.Box, kernel.State
    """

    def __init__(self, run: RunFile):
        self.run = run
        for_map, for_events = np.random.SeedSequence(run.random.seed).spawn(2)
        self.sets = substrate.sets_of(run)
        self.surface = substrate.draw(run, self.sets, np.random.default_rng(for_map))
        self.rng = np.random.default_rng(for_events)
        self.energies = adatoms(self.sets, run.conditions.temperature_K, self._lowest_barrier_eV())
        self.box = box_of(run.system.size, self.surface, self.energies.places)
        self.state = empty_state(self.box)

    def _lowest_barrier_eV(self) -> float:
        acceleration, conditions = self.run.acceleration, self.run.conditions
        ratio = acceleration.max_hops_per_strip_per_site
        if ratio is None:
            return acceleration.saddle_floor_eV or 0.0
        return lowest_barrier_eV(
            self.sets[0], conditions.temperature_K, conditions.current_density_mA_cm2, ratio
        )

    @property
    def columns(self) -> int:
        return self.box.nx * self.box.ny

    @property
    def occupied(self) -> np.ndarray:
        """Atoms, uint8 [z, y, x]."""
        return self.state.occupied.reshape(self.box.nz, self.box.ny, self.box.nx)

    def count(self, which: int) -> int:
        return int(self.state.counts[which])

    def charge(self) -> int:
        """Atoms plated and stripped, in all."""
        return self.count(kernel.PLATED) + self.count(kernel.STRIPPED)

    def row(self, step: int, phase: int) -> dict[str, float]:
        """A row of `/samples`."""
        net = self.count(kernel.PLATED) - self.count(kernel.STRIPPED)
        shape = describe(self.occupied, self.energies.spacing_A / A_per_nm)
        return {
            "time_s": float(self.state.clock[kernel.TIME]),
            "capacity_monolayers": net / self.columns,
            "capacity_mAh_cm2": capacity_mAh_cm2(net, self.energies.area_A2 * self.columns),
            "step": step,
            "phase": phase,
            "plated": self.count(kernel.PLATED),
            "stripped": self.count(kernel.STRIPPED),
            "hops": self.count(kernel.HOPS),
            "attempts": self.count(kernel.ATTEMPTS),
            "dead_per_plated": shape["dead_Li"] / max(1, self.count(kernel.PLATED)),
            **shape,
        }

    def law(self, step: Step) -> kernel.Law:
        """Rates of a step."""
        drive = Drive(_WHAT[step.do], step.current_density_mA_cm2 or 0.0)
        return law_of(
            self.energies,
            self.box,
            drive,
            hops=self.run.deposition.hops,
            strip_weight_lambda=self.run.conditions.strip_weight_lambda,
            strip_cutoff_V=self.run.deposition.strip_cutoff_V,
        )

    def atoms_of(self, until: Until) -> int | None:
        """Charge of a step in atoms, None where it has no such end."""
        wanted = []
        if until.capacity_monolayers is not None:
            wanted.append(until.capacity_monolayers * self.columns)
        if until.capacity_mAh_cm2 is not None:
            area = self.energies.area_A2 * self.columns
            wanted.append(atoms_of_capacity(until.capacity_mAh_cm2, area))
        return max(1, round(min(wanted))) if wanted else None

    def facts(self) -> dict:
        """What follows from the input, with units in the names."""
        metal, e = self.sets[0], self.energies
        current = self.run.conditions.current_density_mA_cm2
        names = [*(s.name for s in self.sets), "metal"]
        given = [
            *(s.value("surface_barrier_eV") for s in self.sets),
            metal.value("metal_surface_barrier_eV"),
        ]
        per_site = strip_rate_Hz(current, e.area_A2)
        kT = K_B_eV * self.run.conditions.temperature_K
        return {
            "surfaces": names,
            "spacing_A": spacing_A(metal),
            "bond_eV": e.bond_eV,
            "substrate_eV": list(e.substrate_eV),
            "barrier_eV": given,
            "barrier_used_eV": list(e.barrier_eV),
            "hops_per_plated_and_site": [
                e.attempt_Hz * math.exp(-b / kT) / per_site for b in e.barrier_eV
            ],
            "monolayer_mAh_cm2": capacity_mAh_cm2(1.0, e.area_A2),
            "plating_per_site_Hz": per_site,
        }


def simulate(run: RunFile, record: Record, bar: Progress, stopped: Callable[[], bool]) -> str:
    """Run all steps; returns why it ended."""
    deposition = Deposition(run)
    record.facts = deposition.facts()
    record.parameters = deposition.sets[0].resolved()
    record.constants["substrate"] = deposition.surface
    started = time.monotonic()

    def full_stop() -> bool:
        limit = run.stop.wall_time_s
        return stopped() or (limit is not None and time.monotonic() - started > limit)

    steps = steps_of(run)
    _record(deposition, record, 1, _WHAT[steps[0].do], True)
    for number, step in enumerate(steps, 1):
        reason = _step(deposition, record, bar, full_stop, number, step, len(steps))
        if reason:
            wall = reason == INTERRUPTED and not stopped()
            return "wall_time_s reached" if wall else reason
    if run.has_protocol:
        return f"the last of {len(steps)} steps is done"
    key = "capacity_monolayers" if run.stop.capacity_monolayers else "capacity_mAh_cm2"
    return f"{key} reached {getattr(run.stop, key):g}"


def _record(deposition: Deposition, record: Record, step: int, phase: int, frame: bool) -> None:
    record.sample(deposition.row(step, phase))
    if frame:
        record.frame({"occupied": deposition.occupied})


def _step(
    deposition: Deposition,
    record: Record,
    bar: Progress,
    stopped: Callable[[], bool],
    number: int,
    step: Step,
    of: int,
) -> str:
    """One step; returns why the run ends with it, empty where it goes on."""
    law, begun = deposition.law(step), deposition.charge()
    clock = float(deposition.state.clock[kernel.TIME])
    wanted = deposition.atoms_of(step.until)
    end = math.inf if wanted is None else begun + wanted
    last_s = math.inf if step.until.time_s is None else clock + step.until.time_s
    every, every_frame = (
        max(1, round(interval * deposition.columns))
        for interval in (
            deposition.run.output.sample_every_monolayers or 0.02,
            deposition.run.output.frame_every_monolayers or 0.2,
        )
    )
    phase = _WHAT[step.do]
    rest_s = (last_s - clock) / _REST_SAMPLES if step.do == REST else math.inf
    due_s = clock + rest_s
    while True:
        charge = deposition.charge()
        due = min(end, (charge // every + 1) * every, (charge // every_frame + 1) * every_frame)
        most = 2**62 if step.do == REST else int(due)
        code = kernel.advance(
            deposition.box,
            law,
            deposition.state,
            most,
            min(last_s, due_s),
            _CHUNK,
            deposition.rng,
        )
        charge, now = deposition.charge(), float(deposition.state.clock[kernel.TIME])
        done = (charge - begun) / wanted if wanted else (now - clock) / (last_s - clock)
        bar.update(min(1.0, (number - 1 + done) / of), _text(deposition, step))
        if code == kernel.PAUSE:
            if stopped():
                return INTERRUPTED
            continue
        over = charge >= end or now >= last_s or code == kernel.EXHAUSTED
        over = over or code in (kernel.FULL, kernel.BLOCKED)
        _record(deposition, record, number, phase, over or charge % every_frame == 0)
        due_s += rest_s
        if code == kernel.FULL:
            return FULL
        if code == kernel.BLOCKED:
            return BLOCKED
        if over:
            return ""


def _text(deposition: Deposition, step: Step) -> str:
    net = deposition.count(kernel.ATOMS) / deposition.columns
    return f"{step.do}: {net:.2f} monolayers, {deposition.count(kernel.HOPS) / 1e6:.3g} M hops"
