"""`kmc info FILE --json`: a trajectory in numbers; docs/trajectory.md lists the keys."""

from __future__ import annotations

from typing import Any

from kmc.analysis import coulombic, voids
from kmc.common.json_files import json_safe
from kmc.files.reader import Trajectory

FORMAT = "kmc trajectory"


def facts(trajectory: Trajectory) -> dict[str, Any]:
    """The state of a run as JSON-able data; what is not known (NaN, infinity) is None.

    Keys end in their units, as columns of `/samples` and keys of a run file do.
    """
    samples = trajectory.samples
    known = len(samples) > 0
    return json_safe(
        {
            "format": FORMAT,
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
            "first": {name: samples[name][0] for name in samples} if known else None,
            "final": {name: samples[name][-1] for name in samples} if known else None,
            "n_frames": len(trajectory.frames),
            "last_frame": _last_frame(trajectory),
            **coulombic.facts(trajectory),
        }
    )


def _last_frame(trajectory: Trajectory) -> dict[str, Any] | None:
    """Moment and voids of the last frame; None without one."""
    if not len(trajectory.frames):
        return None
    frame = trajectory.frames[-1]
    found = voids.find(frame.occupancy, trajectory.lattice)
    names = ("width_nm", "height_nm", "contact_sites")
    rows = [{"vacancies": v.volume} | {name: getattr(v, name) for name in names} for v in found]
    clocks = ("index", "events", "time_s", "capacity_monolayers", "capacity_mAh_cm2")
    row: dict[str, Any] = {name: getattr(frame, name) for name in clocks}
    return row | {"void_min_vacancies": found.min_size, "voids": rows}
