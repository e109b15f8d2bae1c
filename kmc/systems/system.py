"""What a kind of run hands over to the commands of kmc: a `System`."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import kmc.systems.job as loop
from kmc.common.catalogue import nearest
from kmc.common.conditions import unsourced
from kmc.common.figures import drawn
from kmc.common.formatting import plural
from kmc.common.outputs import check_output
from kmc.common.progress import Progress, progress_for
from kmc.errors import FileFormatError, InputError, KmcError
from kmc.files.check_result import Verification, recomputed
from kmc.files.integrity import H5PY_ERRORS, reason_of
from kmc.files.saving import WriteLock
from kmc.files.table_file import Table, Tables, TableWriter
from kmc.files.table_reader import load
from kmc.files.table_run import TableRun
from kmc.runfile.kinds import RunKind
from kmc.runfile.load import restored_run
from kmc.runfile.protocol import longer
from kmc.runfile.run_file import RunFile
from kmc.systems.job import BY_THE_CLOCK, Job


class Charge(NamedTuple):
    """How runs of a kind are compared at one charge: a column of the samples, such as
    ``capacity_mAh_cm2``, and the key of the run file at whose value a run ends."""

    column: str
    stop: str

    @property
    def unit(self) -> str:
        """The unit in the name of the column: "monolayers" or "mAh_cm2"."""
        return self.column.removeprefix("capacity_")


_ALWAYS = ("Ended", "Not finished", "Conditions", "Samples", "Trust")  # in every short summary
MONOLAYERS = Charge("capacity_monolayers", "stop.capacity_monolayers")


@dataclass(frozen=True)
class System:
    """A kind of run: how it runs, what its file holds, how that is checked, drawn and summed up.

    A run is what `load` returns. docs/dev/add_a_kind.md makes one.
    """

    rules: RunKind  #: its section in a run file
    layout: Tables  #: what its runs record
    #: A job from a checked run file, with its facts, parameters and constants.
    prepare: Callable[[RunFile, Progress], Job]
    #: A claim on a run, and a function that yields breaches of it: what `kmc verify` recomputes.
    checks: Sequence[tuple[str, Callable[[Any], Iterable[Any]]]]
    #: Pairs of label and text of a run, for `kmc info --all`; one without a label continues the one
    #: before it.
    summary: Callable[[Any], list[tuple[str, str]]]
    pictures: Mapping[str, str]  #: name of a picture → what it shows
    #: Name of a picture → function of runs, their names, and the numbers of frames or None; None of
    #: the kinds that `kmc.plotting` draws.
    drawings: Mapping[str, Callable[..., Any]] | None = None
    #: Keys of its run file that say when it ends: those that `kmc extend` may change.
    ends: Sequence[str] = ()
    #: ``extends(found, run, cycles, …)`` goes on with a file to the end of another checked run, in
    #: place of computing that from its beginning.
    extends: Callable[..., Any] | None = None
    #: Why a run ends for good, whatever its end, and what can be done instead.
    for_good: tuple[str, str] = ("\n", "")
    run_class: type[TableRun] = TableRun  #: makes the run, from path, system, record and arrays
    #: JSON-able data of a run, for `kmc info --json`; its own tables without it.
    facts: Callable[[Any], dict[str, Any]] | None = None
    #: Numbers of a run by name, one a sample, for sweeps; the column of `charge` among them.
    columns: Callable[[Any], Mapping[str, Any]] = lambda run: run.samples
    #: Unit of ``--at`` for sweeps of such runs; None where they pass no charge.
    charge: Charge | None = MONOLAYERS
    headline: str = ""  #: what the picture of a sweep shows by default; the first of its numbers
    #: ``derived(run, row, monolayers)`` gives more numbers at a row of those, with the frame
    #: nearest to a capacity, or the last frame where that is None; then what these are.
    derived: Callable[[Any, dict[str, float], float | None], dict[str, float]] | None = None
    derived_columns: Table = field(default_factory=dict)
    #: What `kmc export` writes, name → function of a run that gives a pandas table.
    tables: Mapping[str, Callable[..., Any]] = field(default_factory=dict)
    #: Beginnings of the labels of pairs that stand in eight lines, for `kmc info` and after a run,
    #: beside `_ALWAYS`; without any all do.
    short: tuple[str, ...] = ()
    #: Rough cost of a run, from its run file, for `kmc sweep --dry-run`.
    seconds: Callable[[RunFile], float] = lambda run: math.nan
    file_bytes: Callable[[RunFile], float] = lambda run: math.nan
    more_frames: str = ""  #: which key gives a run more frames, "a larger upscale.frames"
    next: tuple[str, ...] = ()  #: options of ``kmc plot`` to suggest after a run
    checks_itself: bool = False  #: whether its job knows ``check_every``
    #: Adds to record and arrays of a file of an earlier version what such files lack.
    complete: Callable[[dict[str, Any], dict[str, Any]], None] | None = None
    #: More columns that sweeps have of its runs, beside those of `layout`.
    more_columns: Table = field(default_factory=dict)

    def __post_init__(self) -> None:
        made: dict[str, Any] = {
            "headline": next((n for n in self.layout.samples if n != "time_s"), "time_s"),
            "tables": {"samples": lambda run, **_: run.samples.table}
            | {n: lambda run, _of=n, **_: run.lists[_of].table for n in self.layout.lists},
            "next": tuple(f"--what {name}" for name in self.pictures if name == "map"),
        }
        for name, value in made.items():
            if not getattr(self, name):
                object.__setattr__(self, name, value)
        # A kind without an interface passes no charge.
        if self.charge is not None and self.charge.column not in self.samples:
            object.__setattr__(self, "charge", None)

    @property
    def samples(self) -> Table:
        """Columns that sweeps have of its runs."""
        return {**self.layout.samples, **self.more_columns}

    @property
    def measured(self) -> tuple[str, ...]:
        """Names of the numbers of a run that a sweep has."""
        return (*self.samples, *self.derived_columns)

    @property
    def name(self) -> str:
        """ "electrode", "population", "deposition", "cathode"."""
        return self.rules.name

    @property
    def noun(self) -> str:
        """ "a box of atoms"."""
        return self.rules.noun

    # --- runs and their files ---------------------------------------------------------------------

    def load(self, path: str | Path, only: str = "") -> Any:
        """Open a file of this kind, or those of its datasets alone whose path begins so."""
        return load(path, self, only)

    def writer(self, path: str | Path, run: RunFile, job: Job) -> TableWriter:
        """What records a run in a file, in the place of one that is there."""
        resolved = {"run": run.resolved(), "name": run.name, "parameters": job.parameters}
        resolved |= {"facts": job.facts, **job.resolved}
        head = {"system": self.name, "run_file": run.text, "seed": run.random.seed}
        record = {**job.record, **head, "resolved": resolved}
        return TableWriter(Path(path), record, self.layout, job.constants)

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

    def go_on(
        self,
        found: TableRun,
        run: RunFile | None = None,
        state: Mapping[str, Any] | None = None,
        *,
        progress: bool | Progress = True,
        check_every: int | None = None,
        check: Callable[[Any], None] = lambda job: None,
    ) -> Any:
        """Go on with a run that was interrupted or killed, in place.

        - `run`, `state`: those of the file by default, which must not be at its end then.
        - `check`: called with the job in that state; may refuse it.
        """
        path = found.path
        self.refuse_check(check_every)
        name = found.resolved.get("name", "RUN")
        if run is None and found.finished and not found.stop_reason.startswith(BY_THE_CLOCK):
            raise InputError(f"{path} is finished: {found.stop_reason}", advice=self._beyond(found))
        if set(found.replicas[0]) != set(self.layout.samples):
            raise InputError(
                f"{path} was written by kmc {found.kmc_version} with another set of columns, and "
                "cannot be continued by this version",
                advice=f"Continue it with that version, or start it again: kmc run {name} --force.",
            )
        # Before the state is read: of a file that is being written it is another one at each save.
        WriteLock(path).release()
        state = found.checkpoint if state is None else state
        if state is None:
            raise InputError(
                f"{path} keeps no checkpoint from which this version could go on",
                advice=f"Run it again from its beginning: kmc run {name} --force.",
            )
        if run is None:
            run = restored_run(found.run, path, found.run_file)
        run._name = name  # of the run file, not of this one, which may have been renamed
        bar = progress_for(name, progress)
        with loop.Interruption() as interruption, bar:
            job = self.prepare(run, bar)
            job.check_every = check_every
            # The state is that of another version of the job, or of a file that someone edited: all
            # that can go wrong in taking it up is refused in words.
            try:
                job.restore(state)
            except (*H5PY_ERRORS, AssertionError, KmcError) as problem:
                job.compare(found)  # other settings are the likely reason
                raise _misfit(found, problem) from problem
            job.compare(found)
            check(job)
            writer = self.writer(path, run, job)
            try:
                writer.go_on_after(found, state)
                loop.carry_out(job, writer, bar, interruption)
            except H5PY_ERRORS as problem:
                writer.release()
                raise _misfit(found, problem) from problem
        return self.load(path)

    def _beyond(self, found: TableRun) -> str:
        path, (reason, remedy) = found.path, self.for_good
        if all(reason in one for one in found.stop_reason.split("; ")):
            return f"{remedy}, in a run of its own: kmc run {found.resolved.get('name', 'RUN')}."
        if not self.ends:
            return "Nothing is left to do."
        return (
            f"To go on beyond that: kmc extend {path} --set KEY=VALUE with a later end, or "
            "--cycles N for N more passes of the last entry of its protocol."
        )

    def extend(
        self,
        found: TableRun,
        overrides: Mapping[str, Any],
        *,
        cycles: int = 0,
        origins: Mapping[str, str] | None = None,
        progress: bool | Progress = True,
        check_every: int | None = None,
    ) -> Any:
        """Go on with a run to another end, in place.

        Without `extends` it is computed again from its beginning, as where its rows and frames
        stand follows from its end: up to the old one the run is the same.

        - `cycles`: how many more times the last entry of its protocol is carried out.
        - `origins`: key → its origin, for messages.
        """
        path, origins, settings = found.path, dict(origins or {}), found.run
        name = found.resolved.get("name", "RUN")
        self.refuse_check(check_every)
        if not self.ends:
            raise InputError(
                f"{path} is {self.noun}, of which there is no kmc extend",
                advice=f"Change its run file and run it again: kmc run {name} --force.",
            )
        for key, value in overrides.items():
            section, _, key_name = key.partition(".")
            then, text = settings.get(section, {}).get(key_name), origins.get(key, key)
            if key not in self.ends:
                raise InputError(
                    f"{text} would change what the run has computed already",
                    advice=f"Of {self.noun} its end alone can change: {nearest(key, self.ends)}"
                    f"{', '.join((*self.ends, 'or the number of cycles (--cycles)'))}.",
                )
            longer_than = self.extends is None and then is not None
            if longer_than and isinstance(value, int | float) and value <= then:
                raise InputError(
                    f"{text}: {path} was run to {then:g}", advice="Give an end beyond that."
                )
        if all(self.for_good[0] in reason for reason in found.stop_reason.split("; ")):
            raise InputError(f"{path} is finished: {found.stop_reason}", advice=self._beyond(found))
        if not (overrides or cycles):
            raise InputError(
                f"no new end is given for {path}",
                advice=f"Give one, for example --set {self.ends[0]}=VALUE, or --cycles 5 for a run "
                "with cycles.",
            )
        if cycles:
            settings = longer(settings, cycles, path)
        run = restored_run(settings, path, found.run_file, overrides, origins=origins)
        if self.extends is not None:
            options: dict[str, Any] = {"progress": progress, "check_every": check_every}
            return self.extends(found, run, cycles, **options)
        run._name = name
        return self.run(run, path, overwrite=True, progress=progress)

    def verify(
        self, path: str | Path, *, progress: Callable[[int, int], None] | None = None
    ) -> Verification:
        """Compare a file with its checksums, and make the checks of this kind."""
        run = self.load(path)
        n_rows = sum(len(columns["time_s"]) for columns in run.replicas)
        made = Verification(run.path, run.finished, n_rows, len(run.frame_columns["sample"]))
        for name in sorted(run.datasets.keys() - run.arrays.keys()):
            # By parts: a dataset may be more than fits into the memory.
            n, *row = run.datasets[name][1]
            step = max(1, 2**22 // max(1, math.prod(row)))
            for start in range(0, n, step):
                run.read(name, slice(start, start + step))
        parts = f"{plural(n_rows, 'sample')} and {plural(made.n_frames, 'frame')}"
        if len(last := recomputed(made.n_frames)) < made.n_frames:
            parts += f" (the last {len(last)} recomputed below)"
        made.checks.append(f"record, {parts}: checksums of all datasets")
        # A file of an earlier kmc may lack what the checks need; its checksums were compared.
        checks = self.checks if run.is_complete else ()
        return made.after([(claim, partial(check, run)) for claim, check in checks], progress)

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
            rows = self.summary(run)
            if full or not self.short:
                return rows + unsourced(run.resolved)
        except H5PY_ERRORS as problem:
            raise FileFormatError(
                f"{run.path} is damaged: its record is not that of {self.noun} "
                f"({reason_of(problem)})"
            ) from None
        kept, short = True, []
        for label, text in rows:
            kept = label.startswith(_ALWAYS + self.short) if label else kept
            short += [(label, text)] * kept
        return short

    def plot(self, runs: Any, what: str = "summary", **options: Any) -> Any:
        """A picture of one or several runs, a matplotlib figure; see `kmc.plotting.draw`."""
        return drawn("draw", what, runs, **options)


def _misfit(found: TableRun, problem: Exception) -> InputError:
    return InputError(
        f"{found.path} cannot be continued: its checkpoint does not fit the run ({problem})",
        advice=f"Go on with kmc {found.kmc_version}, which wrote it, or start it again: "
        f"kmc run {found.resolved.get('name', 'RUN')} --force.",
    )
