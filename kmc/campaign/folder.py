"""The folder of a sweep: its plan, and the points that are done or have failed.

    sweep.toml              the sweep file
    index.json              the plan: axes, points, seeds, the base run as it was read
    points/NAME.toml        a point as a run file of its own
    points/NAME.h5          its trajectory, under this name when it is finished
    points/NAME.part.h5     an unfinished trajectory
    points/NAME.aside-1.h5  a trajectory that the sweep cannot use: damaged, or of other settings
    failures/NAME.json      why a point failed
    running/NAME.json       progress of a running point
    log.jsonl               one line for each point that ended
    scalars.jsonl           summary numbers of each point that is done; may be deleted
    lock, owner             lock of the one `kmc sweep` that runs points here, and its identity

Files are replaced atomically: a kill at any moment leaves each as it was before or after a change.
"""

import contextlib
import json
import os
import re
import uuid
import warnings
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from filelock import BaseFileLock, SoftFileLock, Timeout

from kmc.campaign import point_files
from kmc.campaign.points import Plan, Point, canonical
from kmc.common.formatting import listed
from kmc.common.json_files import check_contents, read_json, read_text
from kmc.common.outputs import remove_drafts, write_text
from kmc.common.version import __version__
from kmc.errors import InputError, KmcError, KmcWarning, OutputError

INDEX_VERSION = 1
_ELSEWHERE = "Use another folder with -o."

_REPEAT = "Points that are done are safe; repeat the command to continue."


class PointStatus(NamedTuple):
    """State of a point."""

    name: str
    state: str  # "done", "running", "failed", "missing"
    error: str  # error of a failed point, else empty
    point: Point


class SweepFolder:
    """A sweep on disk; made by `open_folder` and `make_folder`."""

    def __init__(self, path: Path, plan: Plan):
        self.path = Path(path)
        self.plan = plan
        self._log = self.path / "log.jsonl"
        self._points = str(self.path / "points")  # joined for each of thousands of points

    # --- paths ------------------------------------------------------------------------------------

    def trajectory_path(self, point: Point) -> Path:
        """Trajectory of a point; the file exists once the point is done."""
        return Path(f"{self._points}/{point.name}.h5")

    def run_file_path(self, point: Point) -> Path:
        """Run file of a point; the file exists once the point has been started."""
        return self.path / "points" / f"{point.name}.toml"

    def failure_path(self, point: Point) -> Path:
        """Error report of a failed point, JSON."""
        return self.path / "failures" / f"{point.name}.json"

    # --- state ------------------------------------------------------------------------------------

    def done(self, *, look_inside: bool = False) -> set[str]:
        """Names of the points whose trajectory is finished, all of them read to `look_inside`."""
        there = point_files.stems(self.path / "points", ".h5")
        return {
            point.name
            for point in self.plan.points
            if point.name in there
            and point_files.is_finished(self.trajectory_path(point), look_inside=look_inside)
        }

    def clean_up(self) -> set[str]:
        """Names of the points that are done, after unusable files were set aside or removed.

        A damaged trajectory is set aside with a warning; drafts that kills left behind, and
        unfinished trajectories of points that are done, are removed.
        """
        for folder in (self.path, self.path / "points", self.path / "failures"):
            remove_drafts(folder)
        done = self.done(look_inside=True)
        there = point_files.stems(self.path / "points", ".h5")
        for point in self.plan.points:
            if point.name in done:
                (self.path / "points" / f"{point.name}.part.h5").unlink(missing_ok=True)
            elif point.name in there:
                point_files.set_aside(
                    self.trajectory_path(point), "it is empty, damaged or unfinished"
                )
        return done

    def status(self) -> list[PointStatus]:
        """State of every point, in the order of the plan."""
        done, failed = self.done(), point_files.stems(self.path / "failures", ".json")
        # Without a lock, reports of progress are those of a sweep that was killed.
        running = point_files.stems(self.path / "running", ".json") if self.is_locked() else set()
        rows = []
        for point in self.plan.points:
            state, error = "missing", ""
            if point.name in done:
                state = "done"
            elif point.name in running:
                state = "running"
            elif point.name in failed:
                state, error = "failed", str(self.failure(point).get("error", ""))
            rows.append(PointStatus(point.name, state, error, point))
        return rows

    def failure(self, point: Point) -> dict[str, Any]:
        """Error report of a failed point; empty without one."""
        report = _read_json(self.failure_path(point))
        return report if isinstance(report, dict) else {}

    def progress(self, point: Point) -> tuple[float, str] | None:
        """Fraction done and status line of a running point; None before its first report."""
        row = _read_json(self.path / "running" / f"{point.name}.json")
        try:
            return float(row["fraction"]), str(row["text"])
        except (TypeError, KeyError, ValueError):  # missing, or being written
            return None

    def log(self) -> list[point_files.EndedPoint]:
        """Points that ended, in that order; a damaged line is left out."""
        return point_files.read_log(self._log)

    def times_s(self) -> dict[str, float]:
        """Wall time of each point that is done."""
        return {line.name: line.wall_s for line in self.log() if line.state == "done"}

    # --- locking ----------------------------------------------------------------------------------

    @cached_property
    def _lock(self) -> BaseFileLock:
        return point_files.lock_of(self.path / "lock")

    def is_locked(self) -> bool:
        """Whether a process has locked the folder."""
        try:
            with point_files.lock_of(self.path / "lock"):
                return False
        except (Timeout, OSError):
            return True

    @contextlib.contextmanager
    def owned(self) -> Iterator[str]:
        """Exclusive use of the folder; the lock ends with the process at the latest.

        Gives the identity of the owner: a worker that still runs a point for an earlier one reads
        the file ``owner`` and stops. `InputError` where another process has locked the folder.
        """
        try:
            self._lock.acquire()
        except Timeout:
            advice = "Wait for it, or stop it first. " + _ELSEWHERE
            if isinstance(self._lock, SoftFileLock):
                advice += f" If there is none, it was killed: remove {self._lock.lock_file}."
            raise InputError(
                f"another kmc sweep is running points of {self.path}", advice=advice
            ) from None
        except OSError as problem:
            raise _not_begun(self.path, problem.strerror or problem) from None
        if isinstance(self._lock, SoftFileLock):
            warnings.warn(
                f"the file system of {self.path} has no locks: the file {self._lock.lock_file} "
                "keeps other sweeps out instead",
                KmcWarning,
                stacklevel=3,
            )
        owner = uuid.uuid4().hex
        try:
            self.write("owner", owner)
            # Left by a killed sweep, these would show its points as running.
            for name in point_files.stems(self.path / "running", ".json"):
                with contextlib.suppress(OSError):  # a folder of that name shows nothing
                    (self.path / "running" / f"{name}.json").unlink()
            yield owner
        finally:
            self.disown()
            self._lock.release()

    def disown(self) -> None:
        """Remove the owner, so that the workers of all points stop."""
        with contextlib.suppress(OSError):
            (self.path / "owner").unlink()

    # --- writing ----------------------------------------------------------------------------------

    def write(self, name: str, text: str) -> None:
        """Write a file of the folder atomically; `KmcError` where that is impossible."""
        try:
            write_text(self.path / name, text)
        except KmcError as problem:
            raise KmcError(problem.message, advice=_REPEAT) from None

    def prepare(self, point: Point) -> None:
        """Write the run file of a point, and remove the report of an earlier failure."""
        self.write(f"points/{point.name}.toml", self.plan.run_toml(point))
        self.failure_path(point).unlink(missing_ok=True)

    def forget_progress(self, point: Point) -> None:
        """Remove the progress and lock files of a point that ended."""
        for name in (f"{point.name}.json", f".{point.name}.lock"):
            with contextlib.suppress(OSError):
                (self.path / "running" / name).unlink()

    def record_done(
        self, point: Point, wall_s: float, numbers: dict[str, Any] | None = None
    ) -> None:
        """Log that a point is done, with its summary numbers (`kmc.campaign.scalars.entry_of`)."""
        if numbers:
            from kmc.campaign.scalars import append_entries

            append_entries(self.path, {point.name: numbers})
        self._append(point_files.EndedPoint(point.name, "done", wall_s))

    def record_failure(self, point: Point, error: str, details: str, wall_s: float) -> None:
        """Write the error report of a point, with its settings, and log the failure."""
        report = {
            "name": point.name,
            "error": error,
            "details": details,
            "run_file": f"points/{point.name}.toml",
            "settings": point.settings,
            "replica": point.replica,
            "seed": point.seed,
        }
        text = json.dumps(report, indent=1, ensure_ascii=False) + "\n"
        self.write(f"failures/{point.name}.json", text)
        self._append(point_files.EndedPoint(point.name, "failed", wall_s))

    def _append(self, ended: point_files.EndedPoint) -> None:
        """Add a line to the log, and wait until it is on the disk."""
        try:
            with open(self._log, "a+b") as file:
                end = file.seek(0, os.SEEK_END)
                file.seek(max(0, end - 1))
                # A full disk may have truncated the last line.
                separator = b"\n" if file.read(1) not in (b"", b"\n") else b""
                file.write(separator + json.dumps(ended._asdict()).encode() + b"\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as problem:
            message = f"{self.path} cannot be written: {problem.strerror or problem}"
            raise KmcError(message, advice=_REPEAT) from None


def open_folder(path: str | Path) -> SweepFolder:
    """The folder of a sweep; `InputError` where it is none, is damaged, or of a newer kmc."""
    path = Path(path)
    if os.path.isdir(path):  # unlike Path's, False for a name that is no name
        check_contents(path)
    index = _read_json(path / "index.json")
    if not isinstance(index, dict) or "plan" not in index:
        if os.path.exists(path / "index.json"):
            raise _damaged(path, "it cannot be read")
        what = "is not the folder of a sweep" if os.path.isdir(path) else "is no folder"
        raise InputError(f"{path} {what}", advice="`kmc sweep FILE -o FOLDER` makes one.")
    if index.get("version") != INDEX_VERSION:
        raise InputError(
            f"{path} has an index of version {index.get('version')}, "
            f"but this kmc reads version {INDEX_VERSION}",
            advice="Update kmc.",
        )
    try:
        text = read_text(path / "sweep.toml")
        plan = Plan.from_json(index["plan"], text)
        safe = re.compile(r"[^/\\\0.][^/\\\0]{0,239}")  # names are those of files here
        if not all(
            safe.fullmatch(p.name) and isinstance(plan.run_tables(p), dict) for p in plan.points
        ):
            raise ValueError("a point has an impossible name or settings")
        return SweepFolder(path, plan)
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as problem:
        raise _damaged(path, f"{type(problem).__name__}: {problem}") from None


def _damaged(path: Path, why: str) -> InputError:
    return InputError(
        f"{path / 'index.json'} is damaged: {why}",
        advice=f"Remove that file only, then repeat `kmc sweep FILE -o {path}` with the sweep file "
        "of that time: it writes the index again and continues; points that are done stay done.",
    )


def plan_along(path: str | Path, axes: list[str]) -> Plan | None:
    """The plan in a folder of a study whose values grow along some axes; None before its first run.

    `InputError` where the folder holds a sweep along other ones.
    """
    if not (Path(path) / "index.json").exists():
        return None
    plan = open_folder(path).plan
    if list(plan.axes) != axes:
        raise InputError(
            f"{path} holds another sweep: {' and '.join(plan.axes) or 'nothing'} varies there, "
            f"{' and '.join(axes)} here",
            advice=_ELSEWHERE,
        )
    return plan


def check_folder(path: str | Path, plan: Plan) -> SweepFolder | None:
    """The existing folder, None if there is none yet; `InputError` where it contradicts `plan`."""
    path = Path(path)
    if not path.exists():
        if not path.parent.is_dir():
            raise InputError(f"{path}: there is no folder {path.parent}", advice="Make it first.")
        return None
    if path.is_dir() and not (path / "index.json").exists():
        check_contents(path)
        # A kill before the index leaves these; anything else is somebody's folder.
        foreign = [
            name
            for name in os.listdir(path)
            if name not in _MADE_FIRST and not (name.startswith(".") and ".part" in name)
        ]
        if (path / "sweep.toml").is_file() or not foreign:
            same = False
            with contextlib.suppress(OSError, ValueError):
                same = read_text(path / "sweep.toml") == plan.text
            # Without an index the sweep file alone says which sweep the points there are of.
            if same or not point_files.stems(path / "points", ".h5"):
                return None
            raise InputError(
                f"{path} has no index.json, and its sweep.toml differs from the sweep file given",
                advice="Give the sweep file of that time. " + _ELSEWHERE,
            )
    existing = open_folder(path)
    problem = _contradiction(existing.plan, plan)
    if problem:
        raise InputError(
            f"{path} holds another sweep: {problem}",
            advice="A changed sweep file may only add values and replicas. " + _ELSEWHERE,
        )
    return existing


# Contents of a folder whose index has not been written yet.
_MADE_FIRST = ("points", "failures", "running", "lock", "owner", "sweep.toml")


def make_folder(path: str | Path, plan: Plan) -> SweepFolder:
    """Make the folder of a sweep, or extend an existing one by the new points of `plan`."""
    path = Path(path)
    existing = check_folder(path, plan)
    try:
        for folder in (path, path / "points", path / "failures", path / "running"):
            folder.mkdir(exist_ok=True)
    except OSError as problem:
        raise _not_begun(path, problem.strerror or problem) from None
    made = SweepFolder(path, plan)
    if existing is None or canonical(existing.plan.to_json()) != canonical(plan.to_json()):
        index = {"version": INDEX_VERSION, "kmc_version": __version__, "plan": plan.to_json()}
        # The index comes last: without it the folder is made again by the same sweep file.
        made.write("sweep.toml", plan.text)
        made.write("index.json", json.dumps(index, ensure_ascii=False))
    return made


def _contradiction(old: Plan, new: Plan) -> str:
    """Reason why points of the old plan differ in the new one; empty where they agree."""

    def shown(value: Any) -> str:
        return "not given" if value is None else json.dumps(value, ensure_ascii=False)

    if sorted(old.keys) != sorted(new.keys):
        there, here = (listed(plan.keys) if plan.keys else "no keys" for plan in (old, new))
        return f"there {there} vary, here {here}"
    if old.seed != new.seed:
        return f"there seed = {old.seed}, here seed = {new.seed}"
    for section in sorted({*old.tables, *new.tables}):
        before, now = old.tables.get(section, {}), new.tables.get(section, {})
        for key in sorted({*before, *now}):
            if f"{section}.{key}" in new.keys or f"{section}.{key}" == "random.seed":
                continue
            if canonical(before.get(key)) != canonical(now.get(key)):
                return (
                    f"{section}.{key} is {shown(before.get(key))} there "
                    f"and {shown(now.get(key))} here"
                )
    for name, digest in old.inputs.items():
        if new.inputs.get(name, digest) != digest:
            return f"the file {name} has changed since"
    gone = {point.name for point in old.points} - {point.name for point in new.points}
    if gone:
        return f"it has {len(gone)} points that are not in this one, such as {min(gone)}"
    return ""


def _read_json(path: Path) -> Any:
    with contextlib.suppress(InputError):
        return read_json(path)
    return None


def _not_begun(path: Path, why: object) -> OutputError:
    return OutputError(
        f"{path} cannot be written: {why}",
        advice="Nothing was computed. Choose a folder that you may write to with -o.",
    )
