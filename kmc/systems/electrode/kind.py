"""A box of atoms for the commands of kmc: the electrode that is stripped and plated."""

import math
from functools import partial
from typing import Any

import numpy as np

from kmc.analysis import coulombic, export, voids
from kmc.common.json_files import json_safe
from kmc.common.units import A_per_nm
from kmc.errors import InputError
from kmc.files.reader import Trajectory
from kmc.files.schema import TABLES
from kmc.kernels import tables
from kmc.runfile.kinds import BOX, KINDS
from kmc.runfile.run_file import RunFile
from kmc.runfile.sections import Rest, Stop
from kmc.systems.electrode import cost
from kmc.systems.electrode.phases import REST
from kmc.systems.electrode.run import ElectrodeJob
from kmc.systems.electrode.summary import summary
from kmc.systems.electrode.verification.trajectory import CHECKS
from kmc.systems.system import System

PICTURES = {
    "summary": "curves, the last map and a cross-section",
    "contact": "contact fraction and overpotential",
    "map": "the interface, with the height of the gaps",
    "section": "cross-sections: metal, voids, electrolyte",
    "microscope": "contact loss, voids per 100 µm, widths and heights on cross-section lines",
    "sizes": "void size distribution",
    "voids": "number, volume and largest void",
    "lifelines": "every void from nucleation to collapse, with coalescence and splitting",
    "profiles": "Mg and vacancies by layer, and Mg at the interface",
    "mixing": "Mg in plated lithium: diffusion beside the paper, and the layers of the box",
}
_ENDS = [
    f"{name}.{key}"
    for name, section in (("stop", Stop), ("rest", Rest))
    for key in section.model_fields
]
_LONGER = (
    "To go on with more cycles: kmc extend FILE --cycles N carries out the last entry of its "
    "protocol N more times. Other steps: write them in the run file, and start it with kmc run."
)
DERIVED = {
    "hops_per_strip": ("1", "Hops per stripped atom, so far"),
    "voids": ("1", "Number of voids in the frame nearest to that capacity"),
    "mean_void_width_nm": ("nm", "Mean width of these voids; NaN without any"),
    "max_void_width_nm": ("nm", "Width of the widest of these voids; NaN without any"),
    "mean_void_height_nm": ("nm", "Mean height of these voids; NaN without any"),
    "max_void_height_nm": ("nm", "Height of the highest of these voids; NaN without any"),
    "voids_per_um2": ("1/um2", "Voids per area of interface"),
    "void_area_nm2": ("nm2", "Area of the interface under these voids, all together"),
    "mean_void_area_nm2": ("nm2", "Mean area under one of these voids; NaN without any"),
    "frame_capacity_monolayers": ("1", "Capacity of the frame that the voids were counted in"),
    "aurbach_efficiency": ("1", "Coulombic efficiency of a finished run by Aurbach's protocol"),
}
_nm2_per_um2 = 1e6
_SLACK = 1e-9  # a capacity of 2 monolayers is met by 2 − 1e-12


def derived(t: Trajectory, row: dict[str, float], monolayers: float | None) -> dict[str, float]:
    """Voids of the last frame, or of the one nearest to a capacity, as `DERIVED` lists them."""
    if monolayers is None:
        frame = len(t.frames) - 1
    else:
        capacities = t.frames.capacity_monolayers
        beyond = np.flatnonzero(capacities >= monolayers - _SLACK)
        # Up to the first frame beyond it: where the current turns round a capacity comes again.
        near = np.abs(capacities[: beyond[0] + 1 if len(beyond) else None] - monolayers)
        frame = int(near.argmin()) if len(near) else -1
    numbers = dict.fromkeys(DERIVED, math.nan)
    del numbers["aurbach_efficiency"]  # no column of NaN in sweeps of other protocols
    if monolayers is None and (whole := coulombic.aurbach_of(t)) is not None:
        numbers["aurbach_efficiency"] = whole.efficiency
    if row["strips"]:
        numbers["hops_per_strip"] = row["hops"] / row["strips"]
    if frame < 0:
        return numbers
    shown = t.frames[frame]
    these = voids.find(shown.occupancy, t.lattice)
    numbers["frame_capacity_monolayers"] = shown.capacity_monolayers
    numbers["voids"] = float(len(these))
    numbers["voids_per_um2"] = len(these) / (t.lattice.area_A2 / A_per_nm**2) * _nm2_per_um2
    numbers["void_area_nm2"] = float(these.contact_area_nm2.sum())
    if len(these):
        numbers["mean_void_area_nm2"] = float(these.contact_area_nm2.mean())
        for name in ("width_nm", "height_nm"):
            values = getattr(these, name)
            numbers[f"mean_void_{name}"] = float(values.mean())
            numbers[f"max_void_{name}"] = float(values.max())
    return numbers


def facts(trajectory: Trajectory) -> dict[str, Any]:
    """The state of a run as JSON-able data, for `kmc info FILE --json`; docs/trajectory.md.

    What is not known (NaN, infinity) is None. Keys end in their units, as columns of `/samples` and
    keys of a run file do.
    """
    samples = trajectory.samples
    has_rows, shown = len(samples) > 0, None
    if len(trajectory.frames):
        frame = trajectory.frames[-1]
        cavities = voids.find(frame.occupancy, trajectory.lattice)
        names = ("width_nm", "height_nm", "contact_sites")
        rows = [
            {"vacancies": v.volume} | {name: getattr(v, name) for name in names} for v in cavities
        ]
        clocks = ("index", "events", "time_s", "capacity_monolayers", "capacity_mAh_cm2")
        shown = {name: getattr(frame, name) for name in clocks}
        shown |= {"void_min_vacancies": cavities.min_size, "voids": rows}
    return json_safe(
        {
            "format": "kmc trajectory",
            "schema_version": trajectory.schema_version,
            "kmc_version": trajectory.kmc_version,
            "created": trajectory.provenance.get("created"),
            "path": str(trajectory.path),
            "finished": trajectory.finished,
            "stop_reason": trajectory.stop_reason,
            "seed": trajectory.seed,
            "species": list(trajectory.species),
            "run": trajectory.run,
            "box": trajectory.box,
            "acceleration": trajectory.acceleration,
            "parameters": {key: item.value for key, item in trajectory.params.items()},
            "units": {name: samples.units.get(name, "1") for name in samples},
            "n_samples": len(samples),
            "first": {name: samples[name][0] for name in samples} if has_rows else None,
            "final": {name: samples[name][-1] for name in samples} if has_rows else None,
            "n_frames": len(trajectory.frames),
            "last_frame": shown,
            **coulombic.facts(trajectory),
        }
    )


def extend(trajectory: Trajectory, run: RunFile, cycles: int = 0, **options: Any) -> Trajectory:
    """Continue a file to the end of another run, whose ``[stop]``, ``[rest]`` or ``repeat`` of the
    protocol's last entry is new.

    The trajectory becomes the one that this run, from the beginning, would have written.

    - `cycles`: how many more times the last entry of the run's protocol is carried out.
    - `options`: ``progress``, ``check_every``.
    """
    state = trajectory.checkpoint
    done = trajectory.stop_reason.startswith("all ")  # its last step ends where it ended
    if state is not None and cycles and done and len(state["ended"] or ()) < 4:
        raise InputError(
            f"{trajectory.path} was finished by a version of kmc that did not note why its last "
            "step ended, so no cycles can be added",
            advice="Start it again with a larger repeat in its run file: kmc run.",
        )
    # With another end, or after a pause, the run has not ended where its state says so.
    if state is not None and not (cycles and done):
        state["ended"] = None
    check = partial(_check_end, trajectory, cycles=cycles)
    return trajectory.system.go_on(trajectory, run, state, check=check, **options)


def _check_end(trajectory: Trajectory, job: ElectrodeJob, cycles: int) -> None:
    """Refuse a run that has no later end to go on to."""
    path, phase, reason = trajectory.path, job.phase, trajectory.stop_reason
    if phase.step is not None and trajectory.finished and reason.startswith("all ") and not cycles:
        raise InputError(f"{path} is finished: {reason}", advice=_LONGER)
    if phase.step is None and phase.beginning.phase == REST:
        raise InputError(
            f"{path} rests already: {phase.beginning.before}",
            advice="A run cannot be extended during its rest; start it again with other [stop] "
            "and [rest].",
        )
    reached = phase.ends.reached(tables.PAUSED, job.engine)
    if reached and phase.next(job.engine, reached) is None:
        raise InputError(f"{path} is there already: {reached}", advice="Give an end beyond that.")


ELECTRODE = System(
    KINDS[BOX],
    TABLES,
    lambda run, progress: ElectrodeJob(run),
    CHECKS,
    summary,
    PICTURES,
    run_class=Trajectory,
    checks_itself=True,
    ends=_ENDS,
    extends=extend,
    short=("Stripped", "Contact", "Voids", "Overpotential", "Supersaturation"),
    facts=facts,
    headline="contact_fraction",
    derived=derived,
    derived_columns=DERIVED,
    tables={name: partial(export.table_of, what=name) for name in ("samples", "voids", "events")},
    seconds=cost.seconds,
    file_bytes=cost.file_bytes,
    more_frames="a smaller output.frame_every_monolayers",
)
