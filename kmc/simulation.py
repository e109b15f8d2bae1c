"""A run: from a checked run file to a trajectory on disk."""

from __future__ import annotations

import signal
import threading
import time
from pathlib import Path

import numpy as np

from kmc.composition import initial_occupancy
from kmc.conditions import RunFile
from kmc.engine import UNLIMITED, Engine
from kmc.kernels import tables
from kmc.lattice import Lattice
from kmc.model import Model
from kmc.progress import Progress, progress_for
from kmc.stopping import Recorder, StopRules
from kmc.trajectory import Trajectory, TrajectoryWriter, load
from kmc.units import MICRO_eV

_CHUNK_S = 0.1  # the loop comes back this often for Ctrl-C, progress and flushes
_FLUSH_EVERY_S = 3.0  # a crash costs at most this and a chunk: below the promised 5 s
_FIRST_CHUNK = 20_000  # attempts
INTERRUPTED = "interrupted"


class Interruption:
    """Turns Ctrl-C and SIGTERM into a wish to stop, granted at the next safe moment.

    An exception raised while the loop is being compiled would be lost inside the compiler. A second
    signal interrupts at once, as if this were not here. Outside the main thread it does nothing.
    """

    def __init__(self):
        self.requested = False
        self._previous: dict = {}

    def __enter__(self) -> Interruption:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._previous[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *problem: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _handle(self, number, frame) -> None:
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True


class Simulation:
    """One run: the model, the running configuration, and when to record and to stop.

    Parameters
    ----------
    run : RunFile
        A checked run file (`kmc.conditions.load_run`).
    """

    def __init__(self, run: RunFile):
        self.run_file = run
        self.parameters = run.parameter_set()
        self.model = _model(run, self.parameters)
        system = run.system
        start, events = np.random.SeedSequence(run.random.seed).spawn(2)
        occupancy = initial_occupancy(
            self.model,
            np.random.default_rng(start),
            vacancy_fraction=system.vacancy_fraction,
            mg_fraction=system.mg_fraction,
            mg_coverage_L1=system.mg_coverage_L1,
        )
        self.engine = Engine(self.model, occupancy, np.random.default_rng(events))
        self.rules = StopRules(run.stop, self.model)
        n_L1 = self.model.lattice.sites_per_layer
        self._samples = Recorder(run.sample_cadence, n_L1)
        self._frames = Recorder(run.frame_cadence, n_L1)
        self._start_vacant_L1 = self.engine.count(tables.VACANT_L1)

    def run(
        self,
        writer: TrajectoryWriter,
        progress: Progress,
        interruption: Interruption | None = None,
    ) -> str:
        """Run to the first stop, recording into `writer`; returns why it stopped.

        The writer is closed whatever happens: an exception leaves a readable file that says it is
        not finished. A wish to stop comes through `interruption`, if there is one.
        """
        stop_reason = ""
        try:
            with progress:
                stop_reason = self._loop(writer, progress, interruption or Interruption())
        finally:
            writer.close(
                finished=bool(stop_reason) and stop_reason != INTERRUPTED, stop_reason=stop_reason
            )
        return stop_reason

    def _loop(
        self, writer: TrajectoryWriter, progress: Progress, interruption: Interruption
    ) -> str:
        engine, rules = self.engine, self.rules
        start = flushed = time.monotonic()
        loaded = None  # when the first chunk was done, and with it compilation
        chunk = _FIRST_CHUNK
        sample = self._record(writer, frame=True)
        while True:
            limits = dict(rules.limits)
            for recorder in (self._samples, self._frames):
                for key, value in recorder.limit().items():
                    limits[key] = min(value, limits.get(key, UNLIMITED))
            attempts = engine.count(tables.ATTEMPTS)
            before = time.monotonic()
            reason = engine.advance(**limits, attempts=attempts + chunk)
            now = time.monotonic()
            if loaded is None:
                loaded = (now, engine.count(tables.EVENTS))
            if engine.count(tables.ATTEMPTS) - attempts >= chunk:
                chunk = _next_chunk(chunk, now - before)

            stop_reason = rules.reached(reason, engine) or rules.wall_time_reached(now - start)
            if interruption.requested and not stop_reason:
                stop_reason = INTERRUPTED
            frame = self._frames.is_due(engine)
            if self._samples.is_due(engine) or frame or stop_reason:
                sample = self._record(writer, frame=frame or bool(stop_reason))
                overpotential = rules.overpotential_reached(sample["overpotential_V"])
                if overpotential and not stop_reason:
                    stop_reason = overpotential
                    if not frame:
                        writer.append_frame(self.engine.occupancy(), **_frame_values(sample))
            if stop_reason:
                return stop_reason
            if now - flushed >= _FLUSH_EVERY_S:
                writer.flush()
                flushed = time.monotonic()
            progress.update(
                rules.fraction(engine, self._start_vacant_L1, now - start),
                self._status(now - loaded[0], engine.count(tables.EVENTS) - loaded[1]),
            )

    def _record(self, writer: TrajectoryWriter, frame: bool) -> dict:
        """Append a sample, and a frame of the same moment if wanted."""
        sample = self.engine.sample()
        writer.append_sample(sample)
        if frame:
            writer.append_frame(self.engine.occupancy(), **_frame_values(sample))
        return sample

    def _status(self, wall_s: float, events: int) -> str:
        """How things stand, with the speed of so many events in this time."""
        engine, model = self.engine, self.model
        n_L1 = model.lattice.sites_per_layer
        words = []
        if model.has_interface:
            words.append(f"{engine.count(tables.STRIPS) / n_L1:.2f} monolayers")
            words.append(f"contact {1 - engine.count(tables.VACANT_L1) / n_L1:.2f}")
        else:
            words.append(f"{engine.time_s:.3g} s")
        if wall_s > 0:
            words.append(f"{events / wall_s / 1e6:.2f} M events/s")
        return "  ".join(words)

    def resolved(self) -> dict:
        """Everything the numbers of this run follow from, as plain JSON-able data."""
        h = self.model.hamiltonian
        acceleration = self.run_file.acceleration
        return {
            "run": self.run_file.resolved(),
            "parameter_set": self.parameters.name,
            "species": list(self.parameters.species),
            "parameters": self.parameters.resolved(),
            "hamiltonian": {
                "unit": "µeV",
                "species": ["vacancy", "Li", "Mg"],
                "bond1": h.bond1.tolist(),
                "bond2": h.bond2.tolist(),
                "phi_L1": h.phi[:, 1].tolist(),
                "phi_L2": h.phi[:, 2].tolist(),
                "chi": h.chi,
            },
            "acceleration": {
                "max_hops_per_strip_per_site": acceleration.max_hops_per_strip_per_site,
                "saddle_floor_eV": self.model.floor_ueV / MICRO_eV,
                "strip_rate_per_site_Hz": self.model.strip_rate_per_site_Hz,
                "fastest_hop_Hz": self.model.fastest_hop_Hz,
                "classes": self.model.hop_classes(),
            },
            "reservoir": {
                "absorption_rate_Hz": self.model.absorption_rate_Hz,
                "emission_rate_per_site_Hz": self.model.emission_rate_per_site_Hz,
            },
        }


def _model(run: RunFile, parameters) -> Model:
    system, conditions = run.system, run.conditions
    lattice = Lattice(
        system.lattice,
        system.size[:2],
        system.size[2],
        system.boundary,
        parameters.value("lattice_parameter_A"),
    )
    return Model(
        lattice,
        parameters,
        temperature_K=conditions.temperature_K,
        current_density_mA_cm2=conditions.current_density_mA_cm2,
        electrode_thickness_um=conditions.electrode_thickness_um,
        strip_weight_lambda=conditions.strip_weight_lambda,
        reservoir_mg_fraction=system.mg_fraction,
        saddle_floor_eV=run.acceleration.saddle_floor_eV,
        max_hops_per_strip_per_site=run.acceleration.max_hops_per_strip_per_site,
    )


def _frame_values(sample: dict) -> dict:
    names = ("events", "time_s", "capacity_monolayers", "capacity_mAh_cm2")
    return {name: sample[name] for name in names}


def _next_chunk(chunk: int, seconds: float) -> int:
    """Attempts that take about the time a chunk should."""
    return max(1000, int(chunk * min(4.0, max(0.25, _CHUNK_S / max(seconds, 1e-6)))))


def run_to_file(
    run: RunFile, output: str | Path, *, overwrite: bool = False, progress: bool | Progress = True
) -> Trajectory:
    """Run a checked run file and write its trajectory.

    Parameters
    ----------
    run : RunFile
    output : str or Path
        HDF5 file to write.
    overwrite : bool
        Replace an existing file.
    progress : bool or Progress
        Show progress on stderr, or tell it to this object.

    Returns
    -------
    Trajectory
        Of the file just written; unfinished with stop_reason "interrupted" after Ctrl-C.

    Raises
    ------
    InputError
        The output exists or cannot be written; nothing has been computed then.
    KmcError
        Writing failed on the way; what was flushed before stays readable.
    """
    with Interruption() as interruption:
        simulation = Simulation(run)
        if interruption.requested:
            raise KeyboardInterrupt
        writer = TrajectoryWriter(
            output,
            lattice=simulation.model.lattice,
            run_text=run.text,
            resolved=simulation.resolved(),
            seed=run.random.seed,
            overwrite=overwrite,
        )
        simulation.run(writer, progress_for(run.name, progress), interruption)
    return load(output)
