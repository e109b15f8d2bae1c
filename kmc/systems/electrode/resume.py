"""Continues a run from its trajectory: after an interruption or a kill, or beyond its end."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

import kmc.systems.job as loop
from kmc.common.catalogue import nearest
from kmc.common.progress import Progress, progress_for
from kmc.errors import InputError, KmcError
from kmc.files import schema
from kmc.files.checkpoint import Table, checkpoint_of, held, writer_after
from kmc.files.integrity import H5PY_ERRORS
from kmc.files.reader import Trajectory, load
from kmc.kernels import tables
from kmc.model.quantities import RETIRED
from kmc.runfile.load import RunFile, restored_run
from kmc.runfile.protocol import longer
from kmc.runfile.sections import Checked, Rest, Stop
from kmc.systems.electrode.phases import REST
from kmc.systems.electrode.run import ElectrodeJob
from kmc.systems.job import BY_THE_CLOCK

_ENDS: dict[str, type[Checked]] = {"stop": Stop, "rest": Rest}
_KEYS = [f"{name}.{key}" for name, section in _ENDS.items() for key in section.model_fields]


_LONGER = (
    "To go on with more cycles: kmc extend FILE --cycles N carries out the last entry of its "
    "protocol N more times. Other steps: write them in the run file, and start it with kmc run."
)


def resume(
    path: str | Path, *, progress: bool | Progress = True, check_every: int | None = None
) -> Trajectory:
    """Continue a run that was interrupted or killed, see `kmc.systems.run.resume`.

    The trajectory becomes that of an uninterrupted run, byte for byte in every dataset.
    """
    return _continue(Path(path), None, {}, progress, check_every)


def extend(
    path: str | Path,
    overrides: Mapping[str, Any],
    *,
    cycles: int = 0,
    origins: Mapping[str, str] | None = None,
    progress: bool = True,
    check_every: int | None = None,
) -> Trajectory:
    """Continue a run to another end, see `kmc.systems.run.extend`.

    The trajectory becomes the one that a run with the new ``[stop]`` and ``[rest]``, or the new
    ``repeat`` of the protocol's last entry, from the beginning would have written.

    - `cycles`: how many more times the last entry of the run's protocol is carried out.
    - `origins`: ``"stop.key"`` → its origin, for messages.
    """
    origins = dict(origins or {})
    for key in overrides:
        section = str(key).partition(".")[0]
        if section == "protocol":
            raise InputError(
                f"{origins.get(key, key)} would change the steps of a run that continues",
                advice=_LONGER,
            )
        if section not in _ENDS:
            raise InputError(
                f"{origins.get(key, key)} would change what the run has computed already",
                advice="Only keys of [stop] and [rest] can change in a run that continues: "
                f"{nearest(str(key), _KEYS)}{', '.join(_KEYS)}.",
            )

    return _continue(Path(path), overrides, origins, progress, check_every, cycles)


def _continue(
    path: Path,
    overrides: Mapping[str, Any] | None,  # None resumes, others extend
    origins: Mapping[str, str],
    progress: bool | Progress,
    check_every: int | None,
    cycles: int = 0,
) -> Trajectory:
    with loop.Interruption() as interruption:
        with held(path) as trajectory:
            # Rows of other columns cannot stand in one table with those to come.
            columns = [entry.name for entry in schema.SAMPLE_COLUMNS]
            same = trajectory.schema_version == schema.SCHEMA_VERSION
            if not same or list(trajectory.samples) != columns:
                raise InputError(
                    f"{path} was written by kmc {trajectory.kmc_version} with another set of "
                    "columns, and cannot be continued by this version",
                    advice="Continue it with that version, or start the run again: "
                    "kmc run … --force.",
                )
            tables_ = longer(trajectory.run, cycles, path) if cycles else trajectory.run
            run = restored_run(tables_, path, trajectory.run_file, overrides or {}, origins=origins)
            state = checkpoint_of(trajectory)
            done = trajectory.stop_reason.startswith("all ")  # its last step ends where it ended
            if state and cycles and done and len(state["ended"] or ()) < 4:
                raise InputError(
                    f"{path} was finished by a version of kmc that did not note why its last step "
                    "ended, so no cycles can be added",
                    advice="Start it again with a larger repeat in its run file: kmc run.",
                )
            # With another end, or after a pause, the run has not ended where its state says so.
            if state and (trajectory.finished or overrides) and not (cycles and done):
                state["ended"] = None
            simulation = _simulation(trajectory, run, state, check_every)
            _check_end(trajectory, simulation, overrides, cycles)
            writer = writer_after(trajectory, state, simulation.setup.resolved())
        with progress_for(path.stem, progress) as bar:
            loop.carry_out(simulation, writer, bar, interruption)
    return load(path)


def _check_end(
    trajectory: Trajectory,
    simulation: ElectrodeJob,
    overrides: Mapping[str, Any] | None,
    cycles: int,
) -> None:
    """Refuse a run that is over, or has no later end to go on to."""
    path, phase, reason = trajectory.path, simulation.phase, trajectory.stop_reason
    with_steps = phase.step is not None and trajectory.finished and reason.startswith("all ")
    if overrides is None:
        if trajectory.finished and not reason.startswith(BY_THE_CLOCK):
            beyond = "To continue beyond that: kmc extend FILE --set stop.KEY=VALUE."
            raise InputError(
                f"{path} is finished: {reason}", advice=_LONGER if with_steps else beyond
            )
        return
    if with_steps and not cycles:
        raise InputError(f"{path} is finished: {reason}", advice=_LONGER)
    if not (overrides or cycles):
        raise InputError(
            f"no new end is given for {path}",
            advice="Give one, for example --set stop.capacity_monolayers=4 (none removes a "
            "stop), or --cycles 5 for a run with a protocol.",
        )
    if phase.step is None and phase.beginning.phase == REST:
        raise InputError(
            f"{path} rests already: {phase.beginning.before}",
            advice="A run cannot be extended during its rest; start it again with other [stop] "
            "and [rest].",
        )
    reached = phase.ends.reached(tables.PAUSED, simulation.engine)
    if reached and phase.next(simulation.engine, reached) is None:
        raise InputError(f"{path} is there already: {reached}", advice="Give an end beyond that.")


def _simulation(
    trajectory: Trajectory, run: RunFile, state: Table | None, check_every: int | None
) -> ElectrodeJob:
    """The run of a trajectory in the state of its checkpoint."""
    path = trajectory.path
    try:
        simulation = ElectrodeJob(run, state=state, check_every=check_every)
    except InputError:
        raise
    except (KmcError, AssertionError, *H5PY_ERRORS) as problem:
        with contextlib.suppress(*H5PY_ERRORS):
            _check_settings(trajectory, ElectrodeJob(run))  # other settings are the likely reason
        raise InputError(
            f"{path} cannot be continued: its checkpoint does not fit the run ({problem})",
            advice="Start the run again: kmc run … --force.",
        ) from None
    _check_settings(trajectory, simulation)
    return simulation


def _check_settings(trajectory: Trajectory, simulation: ElectrodeJob) -> None:
    """Refuse a run whose parameters, model or map differ from those in the file."""
    interphase = simulation.setup.interphase
    if interphase and np.any(interphase.chemistry != trajectory.chemistry):
        raise InputError(
            f"{trajectory.path} cannot be continued: its map of interface chemistries has changed "
            "since the run began",
            advice="Restore the mask.",
        )
    now, then = (
        {**settings, "parameters": _numbers(settings.get("parameters", {}), simulation.run_file)}
        for settings in (simulation.setup.resolved(), trajectory.resolved)
    )
    # The end of a run may have changed; what its events are computed from may not.
    for key in sorted(now.keys() | then.keys()):
        difference = "" if key == "run" else _difference(now.get(key), then.get(key), key)
        if difference:
            raise InputError(
                f"{trajectory.path} cannot be continued: {difference}",
                advice="Restore the parameter file, or use the version of kmc that wrote the "
                f"trajectory ({trajectory.kmc_version}).",
            )


def _numbers(parameters: dict[str, dict], run: RunFile) -> dict[str, dict]:
    """Values and units of parameters: a note that is reworded leaves a run what it is.

    Only creep asked for the quantities that are gone; without pressure nothing creeps.
    """
    steps = (planned.step.stack_pressure_MPa for planned in run.protocol.plan)
    pressed = bool(run.conditions.stack_pressure_MPa or any(steps))
    return {
        key: {part: table.get(part) for part in ("value", "unit")}
        for key, table in parameters.items()
        if pressed or key not in RETIRED
    }


def _difference(now: Any, then: Any, name: str) -> str:
    """The first value that has changed since the run began; empty if there is none."""
    if isinstance(now, dict) and isinstance(then, dict):
        for key in sorted(now.keys() | then.keys()):
            if found := _difference(now.get(key), then.get(key), f"{name}.{key}"):
                return found
        return ""
    # As JSON, in which the file has it: tuples are lists there, and NaN equals itself.
    same = json.dumps(now, sort_keys=True) == json.dumps(then, sort_keys=True)
    return "" if same else f"{name} was {then} when the run began and is {now} now"
