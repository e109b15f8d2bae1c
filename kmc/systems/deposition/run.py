"""A deposition as a job: the steps of its protocol, one after the other."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from kmc.common.units import A_per_nm
from kmc.errors import InputError
from kmc.kernels import deposition as kernel
from kmc.kernels.deposition_equilibrium import equilibrate
from kmc.model.adatoms import adatoms, lowest_barrier_eV, spacing_A, times_of
from kmc.model.electrochemistry import atoms_of_capacity, capacity_mAh_cm2, strip_rate_Hz
from kmc.runfile.checks import MAX_FRAMES, MAX_SITES_IN_FRAMES
from kmc.runfile.protocol import CHARGES, PLATE, REST, STRIP, Step, Until
from kmc.runfile.run_file import RunFile
from kmc.systems.deposition import box as boxes
from kmc.systems.deposition.shape import describe
from kmc.systems.job import Ended, Frame, Item, Job, Row

_CHUNK = 200_000  # attempts between two looks at the clock
# In equilibrium: times that an atom leaves a kink while a monolayer is plated, as at 1 mA/cm² and
# 25 °C. Facets on which no layer begins stay for longer: coverage of droplets scatters by 0.05.
_EXCHANGES = 20_000.0
_REST_SAMPLES = 10
FRAME_EVERY = 0.2  # monolayers
_WHAT = {PLATE: kernel.PLATE, STRIP: kernel.STRIP, REST: kernel.REST}
FULL = "the deposit reached the top of the box: a larger system.size has room"
BLOCKED = "no column is connected to the substrate any more"
_STUCK = {kernel.FULL: FULL, kernel.BLOCKED: BLOCKED}


def steps_of(run: RunFile) -> list[Step]:
    """The protocol, or plating to the capacity of [stop]."""
    if run.has_protocol:
        return [planned.step for planned in run.protocol.plan]
    ends = {key: getattr(run.stop, key) for key in CHARGES}
    current = run.conditions.current_density_mA_cm2
    return [Step(do=PLATE, current_density_mA_cm2=current, until=Until(**ends))]


class DepositionJob(Job):
    """One deposition.

    - `energies` (Adatoms)
    - `box` (kernel.Box)
    - `atoms` (kernel.DepositState)
    """

    def __init__(self, run: RunFile):
        super().__init__()
        self.run = run
        # A stream each: another map of the substrate must not change the events.
        for_map, for_events = np.random.SeedSequence(run.random.seed).spawn(2)
        self.sets = boxes.sets_of(run)
        self.surface = boxes.draw_substrate(run, self.sets, np.random.default_rng(for_map))
        self.rng = np.random.default_rng(for_events)
        metal, kelvin = self.sets[0], run.conditions.temperature_K
        self.roughness = run.deposition.area_per_electrode_area or 1.0
        current = run.drive.current_density_mA_cm2 / self.roughness
        # Barriers below the lowest one are raised to it: fast hops slow down, slow ones stay true.
        lowest_eV = run.acceleration.saddle_floor_eV or 0.0
        ratio = run.acceleration.max_hops_per_strip_per_site
        self.at_equilibrium = ratio == math.inf
        if ratio is not None and not self.at_equilibrium:
            lowest_eV = lowest_barrier_eV(metal, kelvin, current, ratio)
        self.energies = e = adatoms(self.sets, kelvin, lowest_eV)
        self.box = boxes.box_of(run.system.size, self.surface, self.energies.places)
        self.atoms = boxes.empty_state(self.box)
        layer_A = (run.deposition.surface_layer_nm or 0.0) * A_per_nm
        self.atoms.layer[kernel.EACH] = layer_A / e.spacing_A
        if self.at_equilibrium:
            self._vacant, self._rates = boxes.vacant_sites(self.atoms), boxes.exchange_rates(e)
        per_site = strip_rate_Hz(current, e.area_A2, e.valence)
        self.facts = {
            "surfaces": [*(s.name for s in self.sets), "metal"],
            "spacing_A": spacing_A(metal),
            "bond_eV": e.bond_eV,
            "substrate_eV": list(e.substrate_eV),
            "barrier_eV": [
                *(s.value("surface_barrier_eV") for s in self.sets),
                metal.value("metal_surface_barrier_eV"),
            ],
            "barrier_used_eV": list(e.barrier_eV),
            "hops_per_plated_and_site": [
                e.attempt_Hz * math.exp(-b / e.kT_eV) / per_site for b in e.barrier_eV
            ],
            "monolayer_mAh_cm2": self.roughness * capacity_mAh_cm2(1.0, e.area_A2, e.valence),
            "plating_per_site_Hz": per_site,
        }
        if self.at_equilibrium:
            self.facts["equilibrium"] = times_of(e, per_site)._asdict()
        self.parameters = self.sets[0].resolved()
        self.resolved = {"metal": self.sets[0].metal}
        self.constants = {"substrate": self.surface}
        self.wall_time_s = run.stop.wall_time_s
        self.steps = steps_of(run)
        self.number = 0  # of the step, from 1; 0 before the first row
        self._check_frames()

    def _check_frames(self) -> None:
        """Refuse a run of more frames than a file should hold, before it begins."""
        every = self.run.output.frame_every_monolayers or FRAME_EVERY
        charge = sum(self.atoms_of(step.until) or 0 for step in self.steps)
        n_frames = charge / max(1, round(every * self.columns))
        most = min(MAX_FRAMES, MAX_SITES_IN_FRAMES // self.atoms.occupied.size)
        if n_frames > most:
            raise InputError(
                f"frame_every_monolayers = {every:g} makes {n_frames:.2g} frames, and a file "
                f"should not hold more than {most}",
                advice=f"Use {math.ceil(charge / most) / self.columns:.3g} or more.",
            )

    @property
    def columns(self) -> int:
        return self.box.nx * self.box.ny

    @property
    def occupied(self) -> np.ndarray:
        """Atoms, uint8 [z, y, x]."""
        return self.atoms.occupied.reshape(self.box.nz, self.box.ny, self.box.nx)

    def count(self, which: int) -> int:
        return int(self.atoms.counts[which])

    def charge(self) -> int:
        """Atoms plated and stripped, in all."""
        return self.count(kernel.PLATED) + self.count(kernel.STRIPPED)

    def row(self, step: int, phase: int) -> dict[str, float]:
        """A row of `/samples`."""
        net = self.count(kernel.PLATED) - self.count(kernel.STRIPPED)
        shape = describe(self.occupied, self.energies.spacing_A / A_per_nm)
        return {
            "time_s": float(self.atoms.clock[kernel.TIME]),
            "capacity_monolayers": net / self.columns,
            "capacity_mAh_cm2": self.roughness
            * capacity_mAh_cm2(net, self.energies.area_A2 * self.columns, self.energies.valence),
            "step": step,
            "phase": phase,
            "plated": self.count(kernel.PLATED),
            "stripped": self.count(kernel.STRIPPED),
            "hops": self.count(kernel.HOPS),
            "attempts": self.count(kernel.ATTEMPTS),
            "dead_per_plated": shape["dead_Li"] / max(1, self.count(kernel.PLATED)),
            **shape,
        }

    def atoms_of(self, until: Until) -> int | None:
        """Charge of a step in atoms, None where it has no such end."""
        wanted = []
        if until.capacity_monolayers is not None:
            wanted.append(until.capacity_monolayers * self.columns)
        if until.capacity_mAh_cm2 is not None:
            area = self.energies.area_A2 * self.columns
            local = until.capacity_mAh_cm2 / self.roughness
            wanted.append(atoms_of_capacity(local, area, self.energies.valence))
        # At least one atom: a charge below half an atom would end a step before it begins.
        return max(1, round(min(wanted))) if wanted else None

    # --- the run ----------------------------------------------------------------------------------

    def advance(self) -> Iterator[Item]:
        if not self.number:
            self._enter(1)
            yield from self._recorded(True)
            return
        step, charge = self.step, self.charge()
        output = self.run.output
        cadences = (
            output.sample_every_monolayers or 0.02,
            output.frame_every_monolayers or FRAME_EVERY,
        )
        # In atoms; of a small box an interval may hold less than one.
        every, every_frame = (max(1, round(interval * self.columns)) for interval in cadences)
        # Multiples of the charge passed in all, so that rows do not shift from step to step.
        due = min(
            self.end, (charge // every + 1) * every, (charge // every_frame + 1) * every_frame
        )
        # In equilibrium atom by atom, and what has come to rest is moved after each.
        until = charge + 1 if self.at_equilibrium else int(due)
        code = kernel.advance(
            self.box,
            self._law,
            self.atoms,
            # A rest passes no charge, which must not end it: only the time does.
            2**62 if step.do == REST else until,
            min(self.last_s, self.due_s),
            _CHUNK,
            self.rng,
        )
        if self.at_equilibrium:
            self._equilibrate()
        charge = self.charge()
        if code == kernel.PAUSE or (code == kernel.CHARGE and charge < due):
            return
        over = charge >= self.end or self.time_s >= self.last_s or code == kernel.EXHAUSTED
        # What stops a run is recorded as its end, whatever the cadence.
        over = over or code in (kernel.FULL, kernel.BLOCKED)
        yield from self._recorded(over or charge % every_frame == 0)
        self.due_s += self.rest_s
        if code in _STUCK:
            yield Ended(_STUCK[code])
        elif over and self.number == len(self.steps):
            yield Ended(self._end())
        elif over:
            self._enter(self.number + 1)

    def _equilibrate(self) -> None:
        """Let the connected atoms come to equilibrium with one another."""
        time = _EXCHANGES / self.columns
        moves = equilibrate(self.box, self.atoms, self._vacant, *self._rates, time, self.rng)
        self.atoms.counts[kernel.ATTEMPTS] += moves

    @property
    def step(self) -> Step:
        return self.steps[self.number - 1]

    @property
    def time_s(self) -> float:
        return float(self.atoms.clock[kernel.TIME])

    def _enter(self, number: int) -> None:
        """Begin a step: its rates and its ends."""
        self.number, self.begun, self.clock = number, self.charge(), self.time_s
        self._limits()
        self.due_s = self.clock + self.rest_s

    def _limits(self) -> None:
        """What follows from the step and from where it began."""
        step, conditions = self.step, self.run.conditions
        self._law = boxes.law_of(
            *(self.energies, self.box, _WHAT[step.do]),
            (step.current_density_mA_cm2 or 0.0) / self.roughness,
            hops=self.run.deposition.hops and not self.at_equilibrium,
            strip_weight_lambda=conditions.strip_weight_lambda,
            strip_cutoff_V=self.run.deposition.strip_cutoff_V,
        )
        self.wanted = self.atoms_of(step.until)
        self.end = math.inf if self.wanted is None else self.begun + self.wanted
        self.last_s = math.inf if step.until.time_s is None else self.clock + step.until.time_s
        # A rest passes no charge by which rows could be spaced: theirs are even in time.
        self.rest_s = (self.last_s - self.clock) / _REST_SAMPLES if step.do == REST else math.inf

    def _recorded(self, frame: bool) -> Iterator[Item]:
        yield Row(self.row(self.number, _WHAT[self.step.do]))
        if frame:
            yield Frame({"occupied": self.occupied})

    def _end(self) -> str:
        if self.run.has_protocol:
            return f"the last of {len(self.steps)} steps is done"
        stop = self.run.stop
        key = "capacity_monolayers" if stop.capacity_monolayers else "capacity_mAh_cm2"
        return f"{key} reached {getattr(stop, key):g}"

    def progress(self) -> tuple[float, str]:
        if self.wanted:
            done = (self.charge() - self.begun) / self.wanted
        else:
            done = (self.time_s - self.clock) / (self.last_s - self.clock)
        net, hops = self.count(kernel.ATOMS) / self.columns, self.count(kernel.HOPS) / 1e6
        text = f"{self.step.do}: {net:.2f} monolayers, {hops:.3g} M hops"
        return min(1.0, (self.number - 1 + done) / len(self.steps)), text

    def state(self) -> dict[str, Any]:
        return {
            "rng": self.rng.bit_generator.state,
            "step": [self.number, self.begun, self.clock],
            "due": np.array([self.due_s]),
            **{f"atoms_{name}": values for name, values in self._arrays().items()},
        }

    def _arrays(self) -> dict[str, np.ndarray]:
        """Arrays of the state; that of the layer where there is one, as in earlier checkpoints."""
        arrays = self.atoms._asdict()
        if not self.atoms.layer[kernel.EACH]:
            del arrays["layer"]
        return arrays

    def restore(self, state: Mapping[str, Any]) -> None:
        self.rng.bit_generator.state = state["rng"]
        self.number, self.begun, self.clock = state["step"]
        # In place: `atoms` is a named tuple, whose arrays cannot be replaced.
        n_sites, n_bins = self.atoms.occupied.size, len(self.atoms.size)
        # The loop trusts what these arrays say of places in others.
        ends = {**dict.fromkeys(("members", "where", "stack"), n_sites), "neighbours": n_bins}
        ends |= {**dict.fromkeys(("size", "n_connected"), n_sites + 1), "top": n_sites}
        for name, values in self._arrays().items():
            stored = state[f"atoms_{name}"]
            if stored.shape != values.shape:
                raise ValueError(f"{name} has shape {stored.shape}")
            if name in ends and not -1 <= stored.min() <= stored.max() < ends[name]:
                raise ValueError(f"{name} is out of range")
            values[:] = stored
        self._limits()
        self.due_s = float(state["due"][0])
