"""Pictures of runs of other systems (`kmc.systems`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure

from kmc.errors import InputError
from kmc.plotting import style
from kmc.plotting.cathode_panels import CATHODE_PICTURES
from kmc.plotting.deposition_panels import DEPOSITION_PICTURES
from kmc.systems.result import SystemRun
from kmc.trajectory.frame_selection import choose_frames

SYSTEM_PICTURES: dict[str, Mapping[str, Callable[..., Figure]]] = {
    "deposition": DEPOSITION_PICTURES,
    "cathode": CATHODE_PICTURES,
}
"""Section of a run file → name of a picture → function of runs, their names, and frames or None."""


def system_picture(
    runs: Sequence[Any],
    *,
    what: str = "summary",
    frames: str | None = None,
    names: Sequence[str] | None = None,
) -> Figure:
    """A picture of one or several runs of one system.

    Parameters
    ----------
    runs : sequence of SystemRun
    what : str
        One of the pictures of their system in `SYSTEM_PICTURES`.
    frames : str, optional
        Frames of pictures that show some, as in `kmc plot --frames`; chosen by the picture without.
    names : sequence of str, optional
        Names of the runs in the picture; those of the files by default.

    Raises
    ------
    InputError
        There is no such picture, runs of different kinds, or nothing to draw.
    """
    kinds = {run.kind if isinstance(run, SystemRun) else "box of atoms" for run in runs}
    if len(kinds) > 1:
        raise InputError(
            f"the files are of different kinds: {', '.join(sorted(kinds))}",
            advice="Draw the kinds by themselves.",
        )
    (kind,) = kinds
    pictures = SYSTEM_PICTURES[kind]
    if what not in pictures:
        raise InputError(
            f"there is no picture {what!r} of a run with [{kind}]",
            advice=f"Choose {', '.join(pictures)}.",
        )
    for run in runs:
        if not len(run.samples["time_s"]) or not len(run.frames["sample"]):
            raise InputError(f"{run.path} holds no sample yet", advice="Wait for the run to go on.")
    chosen = None if frames is None else choose_frames(frames, len(runs[0].frames["sample"]))
    with style.styled():
        return pictures[what](runs, names or style.run_names(runs), chosen)
