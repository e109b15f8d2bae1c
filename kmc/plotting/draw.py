"""Pictures by name (`draw`), and the `plot` methods of the results of the analysis."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import compress
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from kmc.analysis.cross_section import cross_section
from kmc.analysis.history import voids
from kmc.analysis.measured import Measured, measured_tables
from kmc.analysis.profiles import profiles as profiles_of
from kmc.analysis.voids import DEFAULT_MIN_SIZE
from kmc.common.progress import FrameProgress
from kmc.errors import InputError
from kmc.files.frame_selection import choose_frames
from kmc.files.reader import Trajectory
from kmc.plotting import microscope, pages, profile_panels, statistics, style
from kmc.plotting.cathode_panels import CATHODE_PICTURES
from kmc.plotting.deposition_panels import DEPOSITION_PICTURES
from kmc.plotting.upscale import POPULATION_PICTURES
from kmc.runfile.kinds import BOX
from kmc.systems import SYSTEMS

# What draws each picture of a box: of runs and frames, or of an analysis of each run.
_PLAIN = {
    "summary": pages.summary_picture,
    "contact": pages.contact_picture,
    "map": pages.map_picture,
    "section": pages.section_picture,
}
_OF_ANALYSES: dict[str, Callable[..., Figure]] = {
    "profiles": profile_panels.profiles_picture,
    "mixing": profile_panels.mixing_picture,
    "voids": statistics.voids_picture,
    "lifelines": statistics.lifelines_picture,
}
_WITH_INTERFACE = ("microscope", "profiles", "mixing")
# Of the other kinds: functions of runs, their names, and numbers of frames or None.
_TABLES: dict[str, Mapping[str, Callable[..., Figure]]] = {
    "population": POPULATION_PICTURES,
    "deposition": DEPOSITION_PICTURES,
    "cathode": CATHODE_PICTURES,
}


@style.styled()
def draw(
    what: str,
    runs: Any,
    *,
    frames: str | Sequence[int] | None = None,
    names: Sequence[str] | None = None,
    min_size: int = DEFAULT_MIN_SIZE,
    paper: bool = False,
    data: str | Path | Sequence[str | Path] = (),
    progress: FrameProgress | None = None,
) -> Figure:
    """A picture of one or several runs of one kind.

    Parameters
    ----------
    what : str
        One of ``run.system.pictures``; of boxes those of `PICTURES`.
    runs : Trajectory, PopulationRun, TableRun, or sequence of them
        Several are drawn in the same panels, or side by side.
    frames : str or sequence of int, optional
        Frames to use (`frame_selection.choose_frames`); the default depends on the picture.
    names : sequence of str, optional
        Of the runs; those of their files by default.
    min_size : int
        Smallest number of connected vacancies of a void of a box.
    paper : bool
        With ``microscope``: also the data of the operando paper.
    data : str, Path or sequence of them
        With ``microscope``: CSV files of measured data (`kmc.analysis.measured`).
    progress : callable, optional
        Called with the number of frames done and to do.

    Returns
    -------
    matplotlib.figure.Figure
        Shows itself in a notebook; `save` writes it.

    Raises
    ------
    InputError
        There is no such picture or frame, or the runs lack the data for it.
    """
    runs = list(runs) if isinstance(runs, list | tuple) else [runs]
    if not runs:
        raise InputError("no run was given", advice="Give at least one.")
    system = SYSTEMS[runs[0].kind]
    if what not in system.pictures:
        raise InputError(
            f"there is no picture {what!r} of {system.noun}",
            advice=f"Choose {', '.join(system.pictures)}.",
        )
    if (paper or data) and what != "microscope":
        raise InputError(
            f"measured data have no place in the picture {what!r}",
            advice="Draw microscope." if "microscope" in system.pictures else "Leave them out.",
        )
    names = list(names or style.run_names(runs))
    measured = measured_tables(data, paper)
    if system.name == BOX:
        return _of_boxes(what, runs, names, frames, min_size, measured, progress)
    for run in runs:
        rows = run.samples["time_s"]
        if not len(rows if system.name == "population" else run.frames["sample"]):
            raise InputError(f"{run.path} holds no sample yet", advice="Wait for the run to go on.")
    chosen = None if frames is None else choose_frames(frames, len(runs[0].frames["sample"]))
    # Several populations have one set of curves; the summary shows one run with its maps.
    if what == "microscope" or (what == "summary" and system.name == "population" and runs[1:]):
        return microscope.populations_picture(runs, names, measured)
    return (system.drawings or _TABLES[system.name])[what](runs, names, chosen)


def _of_boxes(
    what: str,
    runs: Sequence[Trajectory],
    names: Sequence[str],
    frames: str | Sequence[int] | None,
    min_size: int,
    measured: Sequence[Measured],
    progress: FrameProgress | None,
) -> Figure:
    """A picture of boxes of atoms; see `draw`."""
    if what in _PLAIN:
        chosen = None if frames is None else (lambda n: choose_frames(frames, n))
        return _PLAIN[what](runs, chosen)
    for t in runs:
        if not len(t.frames):
            raise InputError(f"{t.path} has no frames yet", advice="Wait for the run to continue.")
        if what in _WITH_INTERFACE and not t.has_interface:
            raise InputError(
                f"{t.path} is a periodic box without an interface: there is no picture {what!r}",
                advice="Use --what voids, sizes, lifelines, map or section.",
            )
    if what == "mixing":
        of_alloys = ["Mg" in t.species for t in runs]
        if not any(of_alloys):
            raise InputError(f"{runs[0].path} has no Mg", advice="Use a run of limg_li2s.")
        runs, names = list(compress(runs, of_alloys)), list(compress(names, of_alloys))
    some = [None if frames is None else choose_frames(frames, len(t.frames), t.path) for t in runs]
    # Of sizes, selected frames restrict the picture, not the tracking.
    used = [None] * len(runs) if what == "sizes" else some
    if what in ("profiles", "mixing"):
        found = _each(profiles_of, runs, used, progress)
    else:
        analyse = cross_section if what == "microscope" else voids
        found = _each(analyse, runs, used, progress, min_size=min_size)
    if what == "microscope":
        x_key, _, _ = style.table_axis([section.table for section in found])
        volts = [
            (t.samples[x_key], t.samples["overpotential_V"])
            for t in runs
            if x_key in t.samples and "overpotential_V" in t.samples
        ]
        metals = ["-".join(t.species) for t in runs]
        more: dict[str, Any] = {"measured": measured, "overpotentials": volts}
        return microscope.sections_picture(found, names, metals, runs, **more)
    if what == "sizes":
        only = [indices for indices in some if indices is not None]
        return statistics.sizes_picture(found, names, runs, only or None)
    return _OF_ANALYSES[what](found, names, runs)


def _each(
    analyse: Callable, runs: Sequence, frames: Sequence, progress: FrameProgress | None, **options
) -> list:
    """Result of an analysis for each run, with progress over all runs."""

    def part(index: int) -> FrameProgress | None:
        if progress is None:
            return None
        return lambda done, of: progress(index * of + done, len(runs) * of)

    pairs = enumerate(zip(runs, frames, strict=True))
    return [analyse(t, frames=some, progress=part(i), **options) for i, (t, some) in pairs]


# --- pictures of results of the analysis ---------------------------------------------


@style.styled()
def plot_voids(history: Any) -> Figure:
    """Number, volume and lifelines of the voids of one run; `VoidHistory.plot`."""
    return statistics.history_picture(history)


@style.styled()
def plot_cross_section(section: Any) -> Figure:
    """Contact loss, number, widths and heights on cross-section lines; `CrossSection.plot`."""
    return microscope.sections_picture([section])


@style.styled()
def plot_profiles(found: Any) -> Figure:
    """Mg and vacancies by layer, and Mg at the interface; `Profiles.plot`."""
    return profile_panels.profiles_picture([found])
