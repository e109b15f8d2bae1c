"""Which frames of a trajectory an analysis looks at, and when they were."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from kmc.errors import InputError

if TYPE_CHECKING:
    from kmc.trajectory.reader import Trajectory
    from kmc.trajectory.tables import Frame

Progress = Callable[[int, int], None]


def chosen_frames(t: Trajectory, frames: slice | Sequence[int] | None) -> list[int]:
    """Numbers of the frames asked for, ascending; all without a wish.

    Raises
    ------
    InputError
        The trajectory has no frames, or not these.
    """
    n_frames = len(t.frames)
    if not n_frames:
        raise InputError(
            f"{t.path} has no frames yet",
            advice="A run writes its first frame at the start; output.frame_every_… sets the rest.",
        )
    if frames is None or isinstance(frames, slice):
        indices = list(range(n_frames))[frames or slice(None)]
    else:
        asked = [int(index) for index in np.atleast_1d(np.asarray(frames))]
        outside = [index for index in asked if not -n_frames <= index < n_frames]
        if outside:
            raise InputError(
                f"frame {outside[0]}: {t.path} holds {n_frames} frames, 0 to {n_frames - 1}"
            )
        indices = sorted({index % n_frames for index in asked})
    if not indices:
        raise InputError(f"no frames are left of the {n_frames} in {t.path}: frames = {frames!r}")
    return indices


def frame_columns(t: Trajectory, indices: Sequence[int]) -> dict[str, np.ndarray]:
    """Frame number and the three clocks of these frames."""
    chosen = np.asarray(indices, dtype=int)
    return {
        "frame": chosen,
        "capacity_monolayers": t.frames.capacity_monolayers[chosen],
        "capacity_mAh_cm2": t.frames.capacity_mAh_cm2[chosen],
        "time_s": t.frames.time_s[chosen],
    }


def each_frame(
    t: Trajectory, indices: Sequence[int], progress: Progress | None = None
) -> Iterator[Frame]:
    """These frames; `progress` is told how many are done, and of how many."""
    for done, index in enumerate(indices):
        yield t.frames[index]
        if progress is not None:
            progress(done + 1, len(indices))
