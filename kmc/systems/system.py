"""What a kind of run hands over to the commands of kmc: a `System`."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import kmc.systems.job as loop
from kmc.common.conditions import unsourced
from kmc.common.figures import drawn
from kmc.common.outputs import check_output
from kmc.common.progress import Progress, progress_for
from kmc.errors import FileFormatError, InputError
from kmc.files.check_result import Verification
from kmc.files.integrity import H5PY_ERRORS, reason_of
from kmc.files.table_file import Table, Tables
from kmc.runfile.kinds import RunKind
from kmc.runfile.run_file import RunFile
from kmc.systems.job import Job


class Charge(NamedTuple):
    """How runs of a kind are compared at one charge: a column of the samples, such as
    ``capacity_mAh_cm2``, and the key of the run file at whose value a run ends."""

    column: str
    stop: str

    @property
    def unit(self) -> str:
        """The unit in the name of the column: "monolayers" or "mAh_cm2"."""
        return self.column.removeprefix("capacity_")


MONOLAYERS = Charge("capacity_monolayers", "stop.capacity_monolayers")


@dataclass(frozen=True)
class System:
    """A kind of run: how it runs, what its file holds, how that is checked, drawn and summed up.

    `kmc.systems.table_system` makes one from a job (`kmc.systems.job.Job`) and tables of
    what it records; a box of atoms has files of its own. A run is what `load` returns.
    """

    rules: RunKind
    samples: Table
    prepare: Callable[[RunFile, Progress], Job]  #: the run as a job
    #: ``writer(path, run_file, job)`` records it in a file, in the place of one that is there.
    writer: Callable[[Path, RunFile, Any], Any]
    load: Callable[..., Any]  #: of a path, or its datasets alone whose path begins so
    resume: Callable[..., Any]
    verify: Callable[..., Verification]
    #: Pairs of label and text of a run, for `kmc info --all`; JSON-able data, for `--json`.
    summary: Callable[[Any], list[tuple[str, str]]]
    facts: Callable[[Any], dict[str, Any]]
    pictures: Mapping[str, str]  #: name of a picture → what it shows
    #: Name of a picture → function of runs, their names, and the numbers of frames or None; None of
    #: the kinds that `kmc.plotting` draws.
    drawings: Mapping[str, Callable[..., Any]] | None = None
    #: Numbers of a run by name, one a sample, for sweeps; the column of `charge` among them.
    columns: Callable[[Any], Mapping[str, Any]] = lambda run: run.samples
    #: Unit of ``--at`` for sweeps of such runs; None where they pass no charge.
    charge: Charge | None = MONOLAYERS
    headline: str = "contact_fraction"  #: what the picture of a sweep shows by default
    #: ``derived(run, row, monolayers)`` gives more numbers at a row of those, with the frame
    #: nearest to a capacity, or the last frame where that is None; then what these are.
    derived: Callable[[Any, dict[str, float], float | None], dict[str, float]] | None = None
    derived_columns: Table = field(default_factory=dict)
    #: What `kmc export` writes, name → function of a run that gives a pandas table.
    tables: Mapping[str, Callable[..., Any]] = field(default_factory=dict)
    extend: Callable[..., Any] | None = None
    #: ``movie(run, path, frames=…, per_second=…, progress=…)`` saves one; returns its frames.
    movie: Callable[..., int] | None = None
    #: At most eight pairs of the summary, for `kmc info` and after a run.
    digest: Callable[[Any], list[tuple[str, str]]] | None = None
    #: Rough cost of a run, from the sections of its run file, for `kmc sweep --dry-run`.
    seconds: Callable[[Mapping[str, Any]], float] = lambda tables: math.nan
    file_bytes: Callable[[Mapping[str, Any]], float] = lambda tables: math.nan
    more_frames: str = ""  #: which key gives a run more frames, "a larger upscale.frames"
    next: tuple[str, ...] = ()  #: options of ``kmc plot`` to suggest after a run
    #: "extend" → what to do instead where a kind has no such command.
    advice: Mapping[str, str] = field(default_factory=dict)
    checks_itself: bool = False
    #: What its files hold, where they are tables (`kmc.files.table_file`).
    layout: Tables | None = None
    #: Adds to record and arrays of a file of an earlier version what such files lack.
    complete: Callable[[dict[str, Any], dict[str, Any]], None] | None = None
    result: Callable[..., Any] | None = None  #: makes the run, from path, record and arrays

    @property
    def measured(self) -> tuple[str, ...]:
        """Names of the numbers of a run that a sweep has."""
        return (*self.samples, *self.derived_columns)

    @property
    def name(self) -> str:
        """ "electrode", "population", "deposition", "cathode"."""
        return self.rules.name

    def run(
        self,
        run: RunFile,
        output: str | Path,
        *,
        overwrite: bool = False,
        progress: bool | Progress = True,
        check_every: int | None = None,
        observer: Callable[..., bool] | None = None,
    ) -> Any:
        """Run a checked run file into a file, and return what `load` does.

        After Ctrl-C the file is unfinished, with stop_reason "interrupted".

        - `check_every`: events between comparisons of the state with one rebuilt from scratch.
        - `observer`: called with each sample and the job; True ends the run there.

        Raises `InputError`: the output exists or cannot be written; nothing has been computed then.
        `KmcError`: writing failed, or a check found a difference; what was saved stays readable.
        """
        path = check_output(output, overwrite)
        self.refuse_check(check_every)
        bar = progress_for(run.name, progress)
        with loop.Interruption() as interruption, bar:
            job = self.prepare(run, bar)
            # Before anything is written: what was there stays as it is.
            if interruption.requested:
                raise KeyboardInterrupt
            job.check_every = check_every
            loop.carry_out(job, self.writer(path, run, job), bar, interruption, observer)
        return self.load(path)

    def refuse_check(self, check_every: int | None) -> None:
        """Refuse a self-check of the event loop of a kind that has none."""
        if check_every is not None and not self.checks_itself:
            raise InputError(
                f"--check-every {check_every}: the self-check of the event loop is for boxes of "
                f"atoms, and this is a run of kind {self.name!r}",
                advice="Leave it out; kmc verify checks the file.",
            )

    def summed_up(self, run: Any, full: bool = False) -> list[tuple[str, str]]:
        """The summary of a run, in full or in at most eight lines."""
        try:
            if full or self.digest is None:
                return self.summary(run) + unsourced(run.resolved)
            return self.digest(run)
        except H5PY_ERRORS as problem:
            raise FileFormatError(
                f"{run.path} is damaged: its record is not that of {self.noun} "
                f"({reason_of(problem)})"
            ) from None

    def plot(self, runs: Any, what: str = "summary", **options: Any) -> Any:
        """A picture of one or several runs, a matplotlib figure; see `kmc.plotting.draw`."""
        return drawn("draw", what, runs, **options)

    @property
    def noun(self) -> str:
        """ "a box of atoms"."""
        return self.rules.noun
