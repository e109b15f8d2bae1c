"""Frames of a trajectory that an analysis uses, and their times and capacities."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from kmc.common.progress import FrameProgress
from kmc.files.frame_selection import choose_frames

if TYPE_CHECKING:
    from kmc.files.reader import Trajectory
    from kmc.files.samples import Frame


def chosen_frames(t: Trajectory, frames: slice | Sequence[int] | None) -> list[int]:
    """Numbers of the selected frames, ascending and each once; all by default.

    Raises `InputError`: the trajectory has no frames, or not these.
    """
    return sorted(set(choose_frames(frames, len(t.frames), t.path)))


def frame_columns(t: Trajectory, indices: Sequence[int]) -> dict[str, np.ndarray]:
    """Number, capacity and time of the frames, as columns of a table."""
    chosen = np.asarray(indices, dtype=int)
    return {
        "frame": chosen,
        "capacity_monolayers": t.frames.capacity_monolayers[chosen],
        "capacity_mAh_cm2": t.frames.capacity_mAh_cm2[chosen],
        "time_s": t.frames.time_s[chosen],
    }


def each_frame(
    t: Trajectory, indices: Sequence[int] | np.ndarray, progress: FrameProgress | None = None
) -> Iterator[Frame]:
    """The frames one after the other; `progress` is called after each."""
    for done, index in enumerate(indices):
        yield t.frames[index]
        if progress is not None:
            progress(done + 1, len(indices))
