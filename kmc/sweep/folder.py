"""The folder of a sweep: what is planned, what is done, what failed.

    sweep.toml              the sweep file
    index.json              the plan: axes, points, seeds, the base run as it was read
    points/NAME.toml        a point as a run file of its own
    points/NAME.h5          its trajectory; it gets this name when it is finished, not before
    points/NAME.part.h5     an unfinished trajectory
    points/NAME.aside-1.h5  one that was of no use to the sweep: damaged, or of other settings
    failures/NAME.json      why a point failed
    running/NAME.json       how far a point is (while it runs)
    log.jsonl               one line for each point that ended
    lock, owner             one `kmc sweep` at a time works on the folder, and which

Nothing here is written in place: a kill at any moment leaves each file as it was before or after.
"""

from __future__ import annotations

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

from filelock import FileLock, Timeout

from kmc._version import __version__
from kmc.common.outputs import remove_drafts, replacing
from kmc.errors import InputError, KmcError, KmcWarning
from kmc.sweep.plan import Plan, Point, canonical
from kmc.sweep.point_files import Ended, Log, is_finished, looks_complete, set_aside, stems

INDEX_VERSION = 1
_ELSEWHERE = "Use another folder with -o."

_GO_ON = "Is the disk full? Points that are done are safe; the same command goes on."


class PointStatus(NamedTuple):
    """Where a point stands.

    Attributes
    ----------
    name : str
    state : {"done", "running", "failed", "missing"}
    error : str
        Why it failed, empty otherwise.
    point : Point
    """

    name: str
    state: str
    error: str
    point: Point


class SweepFolder:
    """A sweep on disk; made by `open_folder` and `make_folder`.

    Attributes
    ----------
    path : Path
    plan : Plan
    """

    def __init__(self, path: Path, plan: Plan):
        self.path = Path(path)
        self.plan = plan

    # --- where things are -------------------------------------------------------------------------

    def trajectory_path(self, point: Point) -> Path:
        """Trajectory of a point; the file is there once the point is done."""
        return self.path / "points" / f"{point.name}.h5"

    def run_file_path(self, point: Point) -> Path:
        """A point as a run file; it is there once the point has been started."""
        return self.path / "points" / f"{point.name}.toml"

    def failure_path(self, point: Point) -> Path:
        """Why a point failed, as JSON."""
        return self.path / "failures" / f"{point.name}.json"

    # --- where things stand -----------------------------------------------------------------------

    def done(self, *, look_inside: bool = False) -> set[str]:
        """Names of the points whose trajectory is finished.

        Parameters
        ----------
        look_inside : bool
            Read every trajectory. Otherwise only those are read that the log does not know, after a
            kill between the end of a point and its line in the log; the others must be neither
            empty nor cut short.
        """
        there = stems(self.path / "points", ".h5")
        logged = {line.name for line in self.log() if line.state == "done"}
        found = set()
        for point in self.plan.points:
            if point.name in there:
                known = point.name in logged and not look_inside
                if (looks_complete if known else is_finished)(self.trajectory_path(point)):
                    found.add(point.name)
        return found

    def clean_up(self) -> set[str]:
        """Names of the points that are done, once what is of no use is out of their way.

        A damaged trajectory is set aside with a warning; drafts that kills left behind, and what
        there is of a point besides its finished trajectory, are removed.
        """
        for folder in (self.path, self.path / "points", self.path / "failures"):
            remove_drafts(folder)
        done = self.done(look_inside=True)
        there = stems(self.path / "points", ".h5")
        for point in self.plan.points:
            if point.name in done:
                (self.path / "points" / f"{point.name}.part.h5").unlink(missing_ok=True)
            elif point.name in there:
                set_aside(self.trajectory_path(point), "it is empty, damaged or unfinished")
        if damaged := self._log.lines().count(None):
            warnings.warn(
                f"{self._log.path} has {damaged} lines that cannot be read; "
                "they are left out, and the points themselves were looked into",
                KmcWarning,
                stacklevel=2,
            )
        return done

    def status(self) -> list[PointStatus]:
        """Where every point stands, in the order of the plan."""
        done, failed = self.done(), stems(self.path / "failures", ".json")
        running = stems(self.path / "running", ".json") if self.is_locked() else set()
        rows = []
        for point in self.plan.points:
            state, error = "missing", ""
            if point.name in done:
                state = "done"
            elif point.name in running:
                state = "running"
            elif point.name in failed:
                state, error = "failed", self.failure(point).get("error", "")
            rows.append(PointStatus(point.name, state, error, point))
        return rows

    def failure(self, point: Point) -> dict[str, Any]:
        """What is known about a failed point; empty where there is nothing."""
        return _read_json(self.failure_path(point)) or {}

    def progress(self, point: Point) -> tuple[float, str] | None:
        """How far a running point is (0 to 1) and its own words; None before it has begun."""
        row = _read_json(self.path / "running" / f"{point.name}.json")
        try:
            return float(row["fraction"]), str(row["text"])
        except (TypeError, KeyError, ValueError):  # not there, or just being written
            return None

    def log(self) -> list[Ended]:
        """Points that ended, in the order in which they did; a line cut short is left out."""
        return [line for line in self._log.lines() if line is not None]

    @property
    def _log(self) -> Log:
        return Log(self.path / "log.jsonl")

    # --- one at a time ----------------------------------------------------------------------------

    @cached_property
    def _lock(self) -> FileLock:
        return FileLock(self.path / "lock", timeout=0)

    def is_locked(self) -> bool:
        """Whether a `kmc sweep` works on the folder at this moment."""
        other = FileLock(self.path / "lock", timeout=0)
        try:
            with other:
                return False
        except (Timeout, OSError):
            return True

    @contextlib.contextmanager
    def owned(self) -> Iterator[str]:
        """The folder for oneself; the lock goes with the process, however it ends.

        Yields
        ------
        str
            Who owns the folder now. Whoever still runs a point for an earlier owner sees that in
            the file ``owner`` and stops.

        Raises
        ------
        InputError
            Another process has it.
        """
        try:
            self._lock.acquire()
        except Timeout:
            raise InputError(
                f"another kmc sweep is at work in {self.path}",
                advice="Wait for it, or stop it first. " + _ELSEWHERE,
            ) from None
        except OSError as problem:
            raise _unwritable(self.path, problem) from None
        owner = uuid.uuid4().hex
        try:
            self.write("owner", owner)
            for name in stems(self.path / "running", ".json"):
                (self.path / "running" / f"{name}.json").unlink(missing_ok=True)
            yield owner
        finally:
            self.disown()
            self._lock.release()

    def disown(self) -> None:
        """Tell whoever runs a point of the folder to stop."""
        with contextlib.suppress(OSError):
            (self.path / "owner").unlink()

    # --- writing ----------------------------------------------------------------------------------

    def write(self, name: str, text: str) -> None:
        """Write a file of the folder, whole or not at all.

        Raises
        ------
        KmcError
            The disk is full or the folder is gone or read-only.
        """
        try:
            with replacing(self.path / name) as beside:
                beside.write_text(text, encoding="utf-8")
        except InputError as problem:
            raise KmcError(problem.message, advice=_GO_ON) from None

    def prepare(self, point: Point) -> None:
        """Write the run file of a point that is about to run; an earlier failure is forgotten."""
        self.write(f"points/{point.name}.toml", self.plan.run_toml(point))
        self.failure_path(point).unlink(missing_ok=True)

    def forget_progress(self, point: Point) -> None:
        """Remove what a point that ended has left besides its trajectory."""
        for name in (f"{point.name}.json", f".{point.name}.lock"):
            with contextlib.suppress(OSError):
                (self.path / "running" / name).unlink()

    def record_done(self, point: Point, wall_s: float) -> None:
        """Note that a point is done."""
        self._append(Ended(point.name, "done", wall_s))

    def record_failure(self, point: Point, error: str, details: str, wall_s: float) -> None:
        """Note why a point failed, with whatever helps to find the cause."""
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
        self._append(Ended(point.name, "failed", wall_s))

    def _append(self, ended: Ended) -> None:
        try:
            self._log.append(ended)
        except OSError as problem:
            raise _unwritable(self.path, problem) from None


def open_folder(path: str | Path) -> SweepFolder:
    """The folder of a sweep, as it is at this moment.

    Raises
    ------
    InputError
        It is not the folder of a sweep, or one of a newer kmc.
    """
    path = Path(path)
    index = _read_json(path / "index.json")
    if not isinstance(index, dict) or "plan" not in index:
        if (path / "index.json").exists():
            raise _damaged(path, "it cannot be read")
        what = "is not the folder of a sweep" if path.is_dir() else "is no folder"
        raise InputError(f"{path} {what}", advice="`kmc sweep FILE -o FOLDER` makes one.")
    if index.get("version") != INDEX_VERSION:
        raise InputError(
            f"{path} has an index of version {index.get('version')}, "
            f"but this kmc reads version {INDEX_VERSION}",
            advice="Update kmc.",
        )
    try:
        text = (path / "sweep.toml").read_text(encoding="utf-8")
        plan = Plan.from_json(index["plan"], text)
        if not (plan.keys and all(_is_usable(plan, point) for point in plan.points)):
            raise ValueError("a point has an impossible name or no settings")
        return SweepFolder(path, plan)
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as problem:
        raise _damaged(path, f"{type(problem).__name__}: {problem}") from None


def _is_usable(plan: Plan, point: Point) -> bool:
    """Whether a point has settings, and a name that is that of a file in the folder."""
    safe = isinstance(point.name, str) and re.fullmatch(r"[^/\\\0.][^/\\\0]{0,239}", point.name)
    return bool(safe) and isinstance(plan.run_tables(point), dict)


def _damaged(path: Path, why: str) -> InputError:
    return InputError(
        f"{path / 'index.json'} is damaged: {why}",
        advice=f"Remove that file alone: then `kmc sweep FILE -o {path}` with the sweep file of "
        "that time writes it again and goes on; points that are done stay.",
    )


def check_folder(path: str | Path, plan: Plan) -> SweepFolder | None:
    """The folder as it is, if it is there and can take the plan; None if it has yet to be made.

    Raises
    ------
    InputError
        It is something else than the folder of a sweep, or that of a sweep that contradicts `plan`.
    """
    path = Path(path)
    if not path.exists():
        if not path.parent.is_dir():
            raise InputError(f"{path}: there is no folder {path.parent}", advice="Make it first.")
        return None
    begun = path.is_dir() and not (path / "index.json").exists()
    if begun and ((path / "sweep.toml").is_file() or all(map(_is_ours, os.listdir(path)))):
        _check_same_file(path, plan)
        return None
    existing = open_folder(path)
    problem = _contradiction(existing.plan, plan)
    if problem:
        raise InputError(
            f"{path} holds another sweep: {problem}",
            advice="A changed sweep file may add values and replicas, nothing else. " + _ELSEWHERE,
        )
    return existing


_OURS_EARLY = ("points", "failures", "running", "lock", "owner", "sweep.toml")


def _is_ours(name: str) -> bool:
    return name in _OURS_EARLY or (name.startswith(".") and ".part" in name)


def _check_same_file(path: Path, plan: Plan) -> None:
    """Without an index it must be the same sweep file, if there are points already."""
    if not stems(path / "points", ".h5"):
        return
    with contextlib.suppress(OSError, ValueError):
        if (path / "sweep.toml").read_text(encoding="utf-8") == plan.text:
            return
    raise InputError(
        f"{path} has no index.json, and its sweep.toml is another one than the sweep file given",
        advice="Give the sweep file of that time. " + _ELSEWHERE,
    )


def make_folder(path: str | Path, plan: Plan) -> SweepFolder:
    """Make the folder of a sweep, or extend the one there by what `plan` adds.

    Raises
    ------
    InputError
        See `check_folder`; also where the folder cannot be written.
    """
    path = Path(path)
    existing = check_folder(path, plan)
    try:
        for folder in (path, path / "points", path / "failures", path / "running"):
            folder.mkdir(exist_ok=True)
    except OSError as problem:
        raise _unwritable(path, problem) from None
    folder = SweepFolder(path, plan)
    if existing is None or canonical(existing.plan.to_json()) != canonical(plan.to_json()):
        index = {"version": INDEX_VERSION, "kmc_version": __version__, "plan": plan.to_json()}
        folder.write("sweep.toml", plan.text)
        folder.write("index.json", json.dumps(index, ensure_ascii=False))
    return folder


def _contradiction(old: Plan, new: Plan) -> str:
    """Why points of the old plan would be others in the new one; empty where they are the same."""
    if sorted(old.keys) != sorted(new.keys):
        return f"there {_listed(old.keys)} vary, here {_listed(new.keys)}"
    if old.seed != new.seed:
        return f"there seed = {old.seed}, here seed = {new.seed}"
    for section in sorted({*old.tables, *new.tables}):
        before, now = old.tables.get(section, {}), new.tables.get(section, {})
        for key in sorted({*before, *now}):
            if f"{section}.{key}" in new.keys or f"{section}.{key}" == "random.seed":
                continue
            if canonical(before.get(key)) != canonical(now.get(key)):
                return (
                    f"{section}.{key} is {_said(before.get(key))} there "
                    f"and {_said(now.get(key))} here"
                )
    for name, digest in old.inputs.items():
        if new.inputs.get(name, digest) != digest:
            return f"the file {name} has changed since"
    gone = {point.name for point in old.points} - {point.name for point in new.points}
    if gone:
        return f"it has {len(gone)} points that are not in this one, such as {min(gone)}"
    return ""


def _said(value: Any) -> str:
    return "not given" if value is None else json.dumps(value, ensure_ascii=False)


def _listed(keys: list[str]) -> str:
    return " and ".join(keys) if keys else "no keys"


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None


def _unwritable(path: Path, problem: OSError) -> KmcError:
    return KmcError(
        f"{path} cannot be written: {problem.strerror or problem}",
        advice=_GO_ON,
    )
