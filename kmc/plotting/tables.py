"""Pictures of runs whose file is tables: each kind has functions of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure

from kmc.plotting import style
from kmc.plotting.cathode_panels import CATHODE_PICTURES
from kmc.plotting.deposition_panels import DEPOSITION_PICTURES

Drawings = Mapping[str, Callable[..., Figure]]
_SHIPPED: dict[str, Drawings] = {"deposition": DEPOSITION_PICTURES, "cathode": CATHODE_PICTURES}


def table_picture(
    drawings: str | Drawings,
    what: str,
    runs: Sequence[Any],
    names: Sequence[str] | None,
    frames: Sequence[int] | None,
) -> Figure:
    """A picture of one or several runs of one kind.

    Parameters
    ----------
    drawings : str or mapping
        Name of a picture → function of runs, their names, and frames or None; or the name of a kind
        that kmc itself draws.
    what : str
        Name of the picture.
    runs : sequence of TableRun
    names : sequence of str, optional
        Names of the runs in the picture; those of the files by default.
    frames : sequence of int, optional
        Frames to show; chosen by the picture without.
    """
    known = _SHIPPED[drawings] if isinstance(drawings, str) else drawings
    with style.styled():
        return known[what](runs, names or style.run_names(runs), frames)
