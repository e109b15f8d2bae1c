"""The voids of a trajectory, tracked from frame to frame.

voids = kmc.voids(t)
voids.table, voids.events, voids.counts, voids.tracks    # DataFrames
voids.plot()
"""

from collections.abc import Iterable, Sequence
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np

from kmc.analysis import tracking
from kmc.analysis.voids import DEFAULT_MIN_SIZE, Voids, find
from kmc.common.figures import drawn
from kmc.common.formatting import plural
from kmc.common.late import pandas as pd
from kmc.common.progress import FrameProgress
from kmc.common.units import A_per_nm
from kmc.errors import InputError
from kmc.files.frame_selection import chosen_frames, each_frame, frame_columns, lattice_of
from kmc.files.reader import Trajectory
from kmc.model.lattice import Lattice

_LINK_COLUMNS = ["frame", "void", "next_frame", "next_void", "shared_sites", "by"]
_LINK_COLUMNS += ["track", "next_track"]
_MEASURES = (
    *("volume_nm3", "width_nm", "height_nm", "extent_x_nm", "extent_y_nm"),
    *("contact_sites", "contact_area_nm2", "aspect_ratio", "wetting_angle_deg"),
)


def voids(
    t: Trajectory,
    min_size: int = DEFAULT_MIN_SIZE,
    frames: slice | Sequence[int] | None = None,
    *,
    overlap: float = tracking.OVERLAP,
    reach_nm: float = tracking.REACH_nm,
    progress: FrameProgress | None = None,
) -> "VoidHistory":
    """Find the voids of a trajectory and track them from frame to frame.

    - `min_size`: smallest number of connected vacant sites (first and second neighbours) of a void.
    - `frames`: frames to analyse; all by default.
    - `overlap`, `reach_nm`: when two voids of consecutive frames are one: see
      `kmc.analysis.tracking`.
    - `progress`: called with the number of frames done and to do.

    Raises `InputError`: there are no such frames, or `min_size`, `overlap` or `reach_nm` is out of
    range.

    Examples
    --------
    >>> voids = kmc.voids(kmc.load("strip_li.h5"))                           # doctest: +SKIP
    >>> voids.events[voids.events.kind == "coalescence"]                     # doctest: +SKIP
    """
    advice = ".voids has those of each frame, .events what became of them."
    lattice = lattice_of(t, "kmc.voids", advice)
    if min_size < 1:
        raise InputError(f"min_size = {min_size}: a void has at least one site")
    # A share of the smaller void, which cannot share more than all of its sites.
    if not 0 <= overlap <= 1:
        raise InputError(f"overlap = {overlap}: a fraction between 0 and 1 is needed")
    if not reach_nm >= 0:
        raise InputError(f"reach_nm = {reach_nm}: a distance is not negative")
    indices = chosen_frames(t, frames)
    cavities = (
        find(frame.occupancy, lattice, min_size) for frame in each_frame(t, indices, progress)
    )
    columns = frame_columns(t, indices)
    return VoidHistory(cavities, columns, lattice, min_size, overlap=overlap, reach_nm=reach_nm)


class VoidHistory:
    """Voids of a sequence of frames; made by `voids`.

    To follow single voids: when each began, joined another or closed. What a microscope would count
    is in `kmc.cross_section`.

    - `table` (DataFrame): one row for each void and frame: frame, void (1 is the largest of the
      frame), track, capacity_monolayers, capacity_mAh_cm2, time_s, volume_sites, volume_nm3,
      width_nm, height_nm, extent_x_nm, extent_y_nm, contact_sites, contact_area_nm2, aspect_ratio,
      wetting_angle_deg, x_nm, y_nm, z_nm. See `kmc.analysis.voids.Void` for the measures.
    - `events` (DataFrame): events between two frames, listed with the later one: kind (nucleation,
      growth, shrinkage, coalescence, split, collapse), frame, capacity_monolayers,
      capacity_mAh_cm2, time_s, parents and children (tuples of tracks), parent_voids and
      child_voids (the same by void number in the frame before and in this one),
      volume_change_sites, volume_change_nm3. Voids that are there in the first frame have no
      nucleation.
    - `counts` (DataFrame): one row for each frame: frame, time and capacities, voids,
      lone_vacancies, small_clusters, vacancies, vacancies_in_voids, largest_sites, and mean, median
      and max of width and height.
    - `tracks` (DataFrame): one row for each track: track, first_frame, last_frame, frames, begin
      (start, nucleation or split), end (end, coalescence, split or collapse), times and capacities
      at both ends, max_sites, max_width_nm.
    - `graph` (DataFrame): the links between frames: frame, void, next_frame, next_void,
      shared_sites, by (overlap or distance), track, next_track.
    - `frames`: list of int.
    - `min_size`: int.
    - `overlap`, `reach_nm`: float.
    - `lattice`: Lattice.
    """

    def __init__(
        self,
        found: Iterable[Voids],
        columns: dict[str, np.ndarray],
        lattice: Lattice,
        min_size: int,
        *,
        overlap: float = tracking.OVERLAP,
        reach_nm: float = tracking.REACH_nm,
    ):
        self.lattice, self.min_size = lattice, min_size
        self.overlap, self.reach_nm = overlap, reach_nm
        self._columns = columns
        self.frames: list[int] = [int(frame) for frame in columns["frame"]]
        self._snapshots: list[tracking.Snapshot] = []
        self._measures: list[dict[str, np.ndarray]] = []
        self._counts: list[dict[str, Any]] = []
        for shapes in found:
            # Sites in voids alone, without the label array: hundreds of frames stay in memory.
            sites = np.flatnonzero(shapes.labels)
            members = shapes.labels[sites] - 1
            shot = tracking.Snapshot(
                sites.astype(np.int32), members, shapes.volume, shapes.centroid_nm
            )
            self._snapshots.append(shot)
            measures = {"volume_sites": shapes.volume}
            measures |= {name: getattr(shapes, name) for name in _MEASURES}
            measures |= {f"{axis}_nm": shapes.centroid_nm[:, k] for k, axis in enumerate("xyz")}
            self._measures.append(measures)
            row = {
                "voids": len(shapes),
                "lone_vacancies": shapes.n_lone,
                "small_clusters": shapes.n_small_clusters,
                "vacancies": shapes.n_vacancies,
                "vacancies_in_voids": shapes.n_vacancies - shapes.n_outside,
                "largest_sites": int(shapes.volume.max(initial=0)),
                "contact_area_lost_nm2": float(shapes.contact_area_nm2.sum()),
            }
            for name in ("width_nm", "height_nm"):
                values = getattr(shapes, name)
                for how, of in (("mean", np.mean), ("median", np.median), ("max", np.max)):
                    row[f"{how}_{name}"] = float(of(values)) if len(values) else np.nan
            self._counts.append(row)
        self._edges = self._links()
        first = self._snapshots[0] if self._snapshots else ()
        self._track = [np.arange(1, len(first) + 1)]
        tracks = len(first)
        for a, b, links in self._edges:
            # Tracks follow best matches alone: links of coalescence and splits stay in the graph.
            heir = tracking.heirs(self._snapshots[a], self._snapshots[b], links)
            # Numbers of tracks are never used again: a track that ended stays ended.
            track = np.where(heir >= 0, self._track[-1][heir] if len(self._track[-1]) else 0, 0)
            new = np.flatnonzero(heir < 0)
            # New tracks are numbered in the order of the voids, so that equal files give equal
            # tables.
            track[new] = tracks + 1 + np.arange(len(new))
            tracks += len(new)
            self._track.append(track)

    def _links(self, step: int = 1) -> list[tuple[int, int, tracking.Links]]:
        """Indices of frames `step` apart, and the links between their voids."""
        box = self.lattice.box_A / A_per_nm
        # A void at the interface has no image above the reservoir.
        periodic = (True, True, not self.lattice.has_interface)
        rules = {"overlap": self.overlap, "reach_nm": self.reach_nm}
        places = range(0, len(self._snapshots), step)
        return [
            (a, b, tracking.link(self._snapshots[a], self._snapshots[b], box, periodic, **rules))
            for a, b in pairwise(places)
        ]

    # --- tables ----------------------------------------------------------------------------------

    @cached_property
    def table(self) -> "pd.DataFrame":
        size = [len(snapshot) for snapshot in self._snapshots]
        columns: dict[str, np.ndarray] = {"frame": np.repeat(self._columns["frame"], size)}
        columns["void"] = np.concatenate([[], *(np.arange(1, n + 1) for n in size)]).astype(int)
        columns["track"] = np.concatenate([[], *self._track]).astype(int)
        for name, values in self._columns.items():
            columns[name] = np.repeat(values, size)
        for name in self._measures[0]:
            columns[name] = np.concatenate([measures[name] for measures in self._measures])
        return pd.DataFrame(columns)

    @cached_property
    def counts(self) -> "pd.DataFrame":
        clocks = pd.DataFrame(self._columns)
        return pd.concat([clocks, pd.DataFrame(self._counts)], axis=1)

    @cached_property
    def graph(self) -> "pd.DataFrame":
        parts = []
        for a, b, links in self._edges:
            part = {
                "frame": self.frames[a],
                "void": links.parent + 1,
                "next_frame": self.frames[b],
                "next_void": links.child + 1,
                "shared_sites": links.shared,
                "by": np.where(links.shared > 0, "overlap", "distance"),
                "track": self._track[a][links.parent],
                "next_track": self._track[b][links.child],
            }
            parts.append(pd.DataFrame(part))
        # A pair of frames without links keeps its columns, but would change their types.
        full = [part for part in parts if len(part)] or parts[:1]
        return pd.concat(full, ignore_index=True) if full else pd.DataFrame(columns=_LINK_COLUMNS)

    @cached_property
    def events(self) -> "pd.DataFrame":
        # Volume of a site: the area of one site of a layer times the distance of layers.
        site_nm3 = self.lattice.site_area_A2 * self.lattice.layer_spacing_A / A_per_nm**3
        rows = []
        for a, b, links in self._edges:
            clocks = {name: values[b] for name, values in self._columns.items()}
            for event in tracking.events(self._snapshots[a], self._snapshots[b], links):
                rows.append(
                    {
                        "kind": event.kind,
                        **clocks,
                        "parents": tuple(int(self._track[a][v]) for v in event.parents),
                        "children": tuple(int(self._track[b][v]) for v in event.children),
                        "parent_voids": tuple(void + 1 for void in event.parents),
                        "child_voids": tuple(void + 1 for void in event.children),
                        "volume_change_sites": event.volume_change,
                        "volume_change_nm3": event.volume_change * site_nm3,
                    }
                )
        names = ["kind", *self._columns, "parents", "children", "parent_voids", "child_voids"]
        return pd.DataFrame(rows, columns=[*names, "volume_change_sites", "volume_change_nm3"])

    @cached_property
    def tracks(self) -> "pd.DataFrame":
        by_track = self.table.groupby("track")
        rows = by_track.agg(
            first_frame=("frame", "first"),
            last_frame=("frame", "last"),
            frames=("frame", "size"),
            max_sites=("volume_sites", "max"),
            max_width_nm=("width_nm", "max"),
        )
        for name in ("capacity_monolayers", "capacity_mAh_cm2", "time_s"):
            if name in self.table:
                rows[f"first_{name}"] = by_track[name].first()
                rows[f"last_{name}"] = by_track[name].last()
        begin, end = {}, {}
        for event in self.events.itertuples():
            if event.kind in ("nucleation", "split"):
                # Of a split the largest part goes on as the parent's track; the others begin here.
                new = (track for track in event.children if track not in event.parents)
                begin.update(dict.fromkeys(new, event.kind))
            if event.kind in ("collapse", "coalescence"):
                # Of a coalescence the largest void goes on, the others end in it.
                gone = (track for track in event.parents if track not in event.children)
                end.update(dict.fromkeys(gone, event.kind))
        first, last = self.frames[:1], self.frames[-1:]
        begun, ended = rows.first_frame.items(), rows.last_frame.items()
        # A void of the first frame may have begun at any time before it, and one of the last goes
        # on.
        begin = {t: "start" if [f] == first else begin.get(t, "split") for t, f in begun}
        end = {t: "end" if [f] == last else end.get(t, "coalescence") for t, f in ended}
        rows.insert(0, "begin", list(begin.values()))
        rows.insert(1, "end", list(end.values()))
        return rows.reset_index()

    # --- single frames and cadence ---------------------------------------------------------------

    def labels(self, frame: int) -> np.ndarray:
        """Void of each site in a frame, int32 of shape (n_sites,): the void numbers of `table`.

        - `frame`: its number in the trajectory; negative ones count from the last frame here.

        Raises `InputError`: the frame is not part of the history.
        """
        number = self.frames[frame] if -len(self.frames) <= frame < 0 else frame
        if number not in self.frames:
            raise InputError(
                f"frame {frame} is not in this history of {plural(len(self.frames), 'frame')}",
                advice="Its `frames` lists those that are.",
            )
        snapshot = self._snapshots[self.frames.index(number)]
        labels = np.zeros(self.lattice.n_sites, dtype=np.int32)
        labels[snapshot.sites] = snapshot.members + 1
        return labels

    def cadence_report(self, every: Sequence[int] = (1, 2, 4)) -> "pd.DataFrame":
        """Numbers of events as a function of the number of frames.

        Counts that halve with half of the frames are artefacts of the cadence; constant counts are
        properties of the run. Voids that exist only between two frames are not seen.

        - `every`: look at every n-th of the frames only.

        Returns a table indexed by `every`: frames, monolayers_between and time_between_s (means),
        one column for each kind of event, tracks, by_distance (fraction of links without a shared
        site).
        """
        rows = []
        for step in every:
            if step < 1:
                raise InputError(f"every = {step}: frames are counted from 1")
            places = np.arange(0, len(self.frames), step)
            row: dict[str, Any] = {"every": step, "frames": len(places)}
            for name, column in (
                ("monolayers_between", "capacity_monolayers"),
                ("time_between_s", "time_s"),
            ):
                values = self._columns.get(column, np.zeros(0))
                span = np.diff(values[places]) if len(values) else values
                row[name] = float(np.mean(span)) if len(span) else np.nan
            row |= dict.fromkeys(tracking.KINDS, 0)
            tracks, linked, distant = len(self._snapshots[0]) if self._snapshots else 0, 0, 0
            for a, b, links in self._edges if step == 1 else self._links(step):
                before, after = self._snapshots[a], self._snapshots[b]
                for event in tracking.events(before, after, links):
                    row[event.kind] += 1
                tracks += int(np.sum(tracking.heirs(before, after, links) < 0))
                linked += len(links.shared)
                distant += int(np.sum(links.shared == 0))
            row |= {"tracks": tracks, "by_distance": distant / linked if linked else 0.0}
            rows.append(row)
        return pd.DataFrame(rows).set_index("every")

    def plot(self, **options: Any) -> Any:
        """Number, volume and lifelines of the voids; a matplotlib figure."""
        return drawn("plot_voids", self, **options)

    def __len__(self) -> int:
        return len(self.frames)

    def __repr__(self) -> str:
        n_tracks = max((int(track.max(initial=0)) for track in self._track), default=0)
        lines = [
            f"VoidHistory: {plural(n_tracks, 'void')} of {self.min_size} sites or more "
            f"in {plural(len(self), 'frame')}"
        ]
        kinds = self.events.kind.value_counts()
        counts = [f"{kind} {kinds[kind]}" for kind in tracking.KINDS if kind in kinds]
        lines.append(f"  events   {', '.join(counts) or 'none'}")
        if self._counts:
            last = self._counts[-1]
            lines.append(
                f"  at last  {plural(last['voids'], 'void')}, the largest of "
                f"{last['largest_sites']} sites; {last['lone_vacancies']} lone vacancies, "
                f"{plural(last['small_clusters'], 'small cluster')}"
            )
        lines.append("  see      .table, .events, .counts, .tracks, .graph, .cadence_report()")
        return "\n".join(lines)
