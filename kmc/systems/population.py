"""A population of voids for the commands of kmc: micrometres of interface."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from kmc.common.drawing import drawn
from kmc.common.progress import Progress
from kmc.errors import InputError
from kmc.population import file, result
from kmc.population import run as upscale
from kmc.population.result import PopulationRun
from kmc.population.verify import verify
from kmc.runfile.kinds import KINDS
from kmc.runfile.run_file import RunFile
from kmc.runfile.upscale_section import Upscale
from kmc.systems.system import System
from kmc.trajectory.frame_selection import choose_frames

PICTURES = {
    "summary": "contact, voids, widths, heights and overpotential against charge",
    "microscope": "the same beside the operando images of Zhao et al., on their scales",
    "section": "cuts through the gap",
    "map": "the interface from above, with the height of the gap",
    "sizes": "sizes of the voids",
    "events": "voids that appear, split, meet and close",
}
_S_PER_um2, _BYTES_PER_um2 = 0.01, 600.0  # of upscale_li
_FILE_BYTES = 210_000
_VOIDS_PER_um2 = 0.7  # of lithium at 0.5 mA/cm² and 25 °C, where voids nucleate


def load(path: str | Path) -> PopulationRun:
    """Open the file of a population."""
    return _known(result.load(path))


def _known(found: PopulationRun) -> PopulationRun:
    found.system = POPULATION
    return found


def run(
    run_file: RunFile,
    output: str | Path,
    *,
    overwrite: bool = False,
    progress: bool | Progress = True,
    check_every: int | None = None,
    observer: Callable[..., bool] | None = None,
) -> PopulationRun:
    """Run a population into a file (`kmc.mesoscale.upscale`)."""
    _refuse_self_check(check_every)
    if observer is not None:
        raise InputError(
            f"the run {run_file.name} is a population of voids, which calls no callback",
            advice="Leave it out; the file can be read while the run goes on.",
        )
    return _known(upscale.run_to_file(run_file, output, overwrite=overwrite, progress=progress))


def resume(
    path: str | Path, *, progress: bool | Progress = True, check_every: int | None = None
) -> PopulationRun:
    """Go on with an interrupted run, in place."""
    _refuse_self_check(check_every)
    return _known(upscale.resume(path, progress=progress))


def _refuse_self_check(check_every: int | None) -> None:
    if check_every is not None:
        raise InputError(
            f"--check-every {check_every}: the self-check of the event loop is for boxes of atoms",
            advice="Leave it out; kmc verify checks the file.",
        )


def plot(
    runs: Sequence[PopulationRun],
    what: str = "summary",
    *,
    frames: str | Sequence[int] | None = None,
    min_size: int | None = None,
    progress: Any = None,
    **options: Any,
) -> Any:
    """A picture (`kmc.plotting.population_picture`)."""
    if frames is not None:
        options["frames"] = choose_frames(frames, len(runs[0].frames["time_s"]))
    return drawn("population_picture", runs, what=what, **options)


def movie(run: PopulationRun, path: str | Path, **options: Any) -> None:
    """A movie, see `kmc movie`."""
    drawn("save_population_movie", run, path, **options)


def columns(found: PopulationRun) -> dict[str, Any]:
    """Columns of the samples, with the capacity in monolayers too."""
    monolayers = found.samples["capacity_mAh_cm2"] / found.facts["monolayer_mAh_cm2"]
    return {**found.samples, "capacity_monolayers": monolayers}


def _area_um2(tables: Mapping[str, Any]) -> float:
    """Of the square, roughly where its edge follows from voids that nucleate."""
    defaults = {key: field.default for key, field in Upscale.model_fields.items()}
    given = defaults | dict(tables.get("upscale", {}))
    return Upscale.model_construct(**given).edge_um(_VOIDS_PER_um2) ** 2


def seconds(tables: Mapping[str, Any]) -> float:
    """Rough time of a run: by its area and its replicas."""
    replicas = float(tables.get("upscale", {}).get("replicas", 1))
    return (10.0 + _S_PER_um2 * _area_um2(tables)) * replicas


def file_bytes(tables: Mapping[str, Any]) -> float:
    """Rough size of its file."""
    return _FILE_BYTES + _BYTES_PER_um2 * _area_um2(tables)


POPULATION = System(
    rules=KINDS["population"],
    marker="population_schema",
    layout=file.LAYOUT,
    samples={**file.SAMPLES, "capacity_monolayers": ("1", "Charge in layers of atoms")},
    run=run,
    load=load,
    resume=resume,
    verify=verify,
    summary=lambda found: found.summary(),
    facts=lambda found: found.to_json(),
    plot=plot,
    pictures=PICTURES,
    columns=columns,
    tables={
        "samples": lambda found, **_: found.samples.table,
        "voids": lambda found, **_: found.voids.table,
    },
    movie=movie,
    seconds=seconds,
    file_bytes=file_bytes,
    more_frames="a larger upscale.frames",
    next=("--what microscope --paper",),
    advice={
        "at": "Say when it ends with --set upscale.capacity_mAh_cm2=..., in mAh/cm².",
        "extend": "Change capacity or steps in its run file and run it again: "
        "kmc run {name} --force.",
        "repair": "kmc verify {path} checks it; one that fails is run again: "
        "kmc run {name} --force.",
    },
)
