"""Continues a box of atoms beyond its end; `kmc.systems.system.System.go_on` takes it up."""

from collections.abc import Mapping
from typing import Any

from kmc.common.catalogue import nearest
from kmc.common.progress import Progress
from kmc.errors import InputError
from kmc.files.reader import Trajectory
from kmc.kernels import tables
from kmc.runfile.load import restored_run
from kmc.runfile.protocol import longer
from kmc.runfile.sections import Checked, Rest, Stop
from kmc.systems.electrode.phases import REST
from kmc.systems.electrode.run import ElectrodeJob

_ENDS: dict[str, type[Checked]] = {"stop": Stop, "rest": Rest}
_KEYS = [f"{name}.{key}" for name, section in _ENDS.items() for key in section.model_fields]


_LONGER = (
    "To go on with more cycles: kmc extend FILE --cycles N carries out the last entry of its "
    "protocol N more times. Other steps: write them in the run file, and start it with kmc run."
)


def extend(
    trajectory: Trajectory,
    overrides: Mapping[str, Any],
    *,
    cycles: int = 0,
    origins: Mapping[str, str] | None = None,
    progress: bool | Progress = True,
    check_every: int | None = None,
) -> Trajectory:
    """Continue a run to another end, see `kmc.systems.run.extend`.

    The trajectory becomes the one that a run with the new ``[stop]`` and ``[rest]``, or the new
    ``repeat`` of the protocol's last entry, from the beginning would have written.

    - `cycles`: how many more times the last entry of the run's protocol is carried out.
    - `origins`: ``"stop.key"`` → its origin, for messages.
    """
    path, origins = trajectory.path, dict(origins or {})
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
    settings = longer(trajectory.run, cycles, path) if cycles else trajectory.run
    run = restored_run(settings, path, trajectory.run_file, overrides, origins=origins)
    state = trajectory.checkpoint
    done = trajectory.stop_reason.startswith("all ")  # its last step ends where it ended
    if state is not None and cycles and done and len(state["ended"] or ()) < 4:
        raise InputError(
            f"{path} was finished by a version of kmc that did not note why its last step ended, "
            "so no cycles can be added",
            advice="Start it again with a larger repeat in its run file: kmc run.",
        )
    # With another end, or after a pause, the run has not ended where its state says so.
    if state is not None and not (cycles and done):
        state["ended"] = None

    def check(job: ElectrodeJob) -> None:
        _check_end(trajectory, job, bool(overrides), bool(cycles))

    options: dict[str, Any] = {"progress": progress, "check_every": check_every, "check": check}
    return trajectory.system.go_on(trajectory, run, state, **options)


def _check_end(trajectory: Trajectory, job: ElectrodeJob, overrides: bool, cycles: bool) -> None:
    """Refuse a run that has no later end to go on to."""
    path, phase, reason = trajectory.path, job.phase, trajectory.stop_reason
    if phase.step is not None and trajectory.finished and reason.startswith("all ") and not cycles:
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
    reached = phase.ends.reached(tables.PAUSED, job.engine)
    if reached and phase.next(job.engine, reached) is None:
        raise InputError(f"{path} is there already: {reached}", advice="Give an end beyond that.")
