"""Checks of `kmc verify` that several kinds of run have."""

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from kmc.files.check_result import Breach, falls, recomputed
from kmc.files.table_run import TableRun


def of_rows(check: Callable[..., Iterator[Breach]]) -> Callable[[TableRun], Iterator[Breach]]:
    """A check ``check(run, columns, place)`` of the rows of one replica, for all of them."""

    def of_all(run: TableRun) -> Iterator[Breach]:
        for i, columns in enumerate(run.replicas):
            place = "/samples" if len(run.replicas) == 1 else f"/replicas/{i}"
            if len(columns["time_s"]):
                yield from check(run, columns, place)

    return of_all


def in_order(*names: str) -> Callable[[TableRun], Iterator[Breach]]:
    """A check that these columns of `/samples` never fall."""

    def ordered(run: TableRun, columns: Any, place: str) -> Iterator[Breach]:
        for name in names:
            yield from falls("order of the rows", f"{place}/{name}", columns[name])

    return of_rows(ordered)


def frames_give(
    described: Callable[[Any, int], Mapping[str, float]], close: float = 1e-12
) -> Callable[[Any], Iterator[Breach]]:
    """A check that each frame has the moment of its row, of its own replica.

    - `described`: ``described(run, frame)``, numbers of the row by its maps.
    - `close`: relative; another order of a sum may change the last digits. NaN is equal to NaN.
    """

    def agree(run: TableRun) -> Iterator[Breach]:
        frames = run.frames
        moments = [name for name in frames if name in run.samples and frames[name].ndim == 1]
        for i in recomputed(len(frames["sample"])):
            samples = (
                run.replicas[int(frames["replica"][i])] if "replica" in frames else run.samples
            )
            row = int(frames["sample"][i])
            for name in moments:
                if (there := frames[name][i]) != samples[name][row]:
                    yield Breach("frame", f"/frames/{name}", i, there, samples[name][row])
            for name, value in described(run, i).items():
                stored = samples[name][row]
                both_nan = stored != stored and value != value
                if not (
                    math.isclose(stored, value, rel_tol=close, abs_tol=1e-12 * close) or both_nan
                ):
                    yield Breach(f"{name} of a frame", f"/samples/{name}", row, stored, value)

    return agree
