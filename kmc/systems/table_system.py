"""Kinds of run whose file is tables and maps: from a job to a `System`.

`table_system` is all that such a kind calls; `docs/dev/add_a_kind.md` shows one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import kmc.systems.job as loop
from kmc.common.catalogue import nearest
from kmc.common.formatting import plural
from kmc.common.progress import Progress, progress_for
from kmc.errors import InputError, KmcError
from kmc.files.check_result import Breach, Verification, falls
from kmc.files.integrity import H5PY_ERRORS
from kmc.files.table_file import Tables, TableWriter
from kmc.files.table_run import TableRun, load
from kmc.runfile.kinds import RunKind
from kmc.runfile.load import restored_run
from kmc.runfile.protocol import longer
from kmc.runfile.run_file import RunFile
from kmc.systems.job import BY_THE_CLOCK, Job
from kmc.systems.system import MONOLAYERS, System

Checks = Sequence[tuple[str, Callable[[Any], Iterator[Breach]]]]
_ADVICE = {
    "extend": "Change its run file and run it again: kmc run {name} --force.",
}


def table_system(
    rules: RunKind,
    layout: Tables,
    prepare: Callable[[RunFile, Progress], Job],
    checks: Checks,
    summary: Callable[[Any], list[tuple[str, str]]],
    pictures: Mapping[str, str],
    drawings: Mapping[str, Callable[..., Any]] | None = None,
    *,
    ends: Sequence[str] = (),
    run_class: type[TableRun] = TableRun,
    **more: Any,
) -> System:
    """A kind of run with files of tables.

    - `rules`: its section in a run file.
    - `layout`: what its runs record.
    - `prepare`: a job from a checked run file, with its facts, parameters and constants.
    - `checks` (sequence of (str, callable)): a claim on a run, and a function that yields breaches
      of it: what `kmc verify` recomputes.
    - `ends`: keys of its run file that say when it ends: those that `kmc extend` may change.
    - `run_class`: a `TableRun` with properties of its own.
    - `summary`, `pictures`, `drawings`, `more`: fields of `System`, in place of those made here.
    """

    def verify(
        path: str | Path, *, progress: Callable[[int, int], None] | None = None
    ) -> Verification:
        run = load(Path(path), system)
        n_rows = sum(len(columns["time_s"]) for columns in run.replicas)
        found = Verification(run.path, run.finished, n_rows, len(run.frame_columns["sample"]))
        for name in sorted(layout.late & run.datasets.keys()):
            _read_all(run, name)
        parts = f"{plural(n_rows, 'sample')} and {plural(found.n_frames, 'frame')}"
        found.checks.append(f"record, {parts}: checksums of all datasets")
        # A file of an earlier kmc may lack what the checks need; its checksums were compared.
        recomputed = checks if run.is_complete else ()
        return found.after([(claim, partial(check, run)) for claim, check in recomputed], progress)

    made: dict[str, Any] = {
        "facts": lambda run: run.to_json(),
        "extend": partial(_extend, ends) if ends else None,
        "samples": layout.samples,
        "tables": {
            "samples": lambda run, **_: run.samples.table,
            **{name: lambda run, _of=name, **_: run.lists[_of].table for name in layout.lists},
        },
        # A kind without an interface, which passes no charge: the first of its own numbers.
        "charge": MONOLAYERS if MONOLAYERS.column in layout.samples else None,
        "headline": next((n for n in layout.samples if n != "time_s"), "time_s"),
        "next": tuple(f"--what {name}" for name in pictures if name == "map"),
    }
    system: System = System(
        rules=rules,
        layout=layout,
        prepare=prepare,
        load=lambda path, only="": load(path, system, only),
        writer=partial(_writer, rules.name, layout),
        resume=go_on,
        verify=verify,
        summary=summary,
        pictures=pictures,
        drawings=drawings,
        advice=_ADVICE | more.pop("advice", {}),
        result=run_class,
        **{**made, **more},
    )
    return system


def _read_all(run: TableRun, path: str) -> None:
    """Compare a dataset with its checksums, by parts: it may be more than fits into the memory."""
    step = 1 if path.startswith("frames/") else 2**20
    for start in range(0, run.datasets[path][1][0], step):
        run.read(path, slice(start, start + step))


# --- what several kinds recompute -----------------------------------------------------------------


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
    described: Callable[[TableRun, int], Mapping[str, float]],
) -> Callable[[TableRun], Iterator[Breach]]:
    """A check that the row of each frame has what ``described(run, frame)`` finds in its maps."""

    def agree(run: TableRun) -> Iterator[Breach]:
        for i, row in enumerate(run.frames["sample"]):
            for name, value in described(run, i).items():
                stored = run.samples[name][row]
                # Another order of a sum may change the last digits.
                if not np.isclose(stored, value, rtol=1e-12, atol=0, equal_nan=True):
                    yield Breach(f"{name} of a frame", f"/samples/{name}", row, stored, value)

    return agree


# --- running --------------------------------------------------------------------------------------


def go_on(
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
    path, system = found.path, found.system
    system.refuse_check(check_every)
    name = found.resolved.get("name", "RUN")
    if run is None and found.finished and not found.stop_reason.startswith(BY_THE_CLOCK):
        raise InputError(f"{path} is finished: {found.stop_reason}", advice=_beyond(system, found))
    if set(found.replicas[0]) != set(system.layout.samples):
        raise InputError(
            f"{path} was written by kmc {found.kmc_version} with another set of columns, and "
            "cannot be continued by this version",
            advice=f"Continue it with that version, or start it again: kmc run {name} --force.",
        )
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
        job = system.prepare(run, bar)
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
        writer = system.writer(path, run, job)
        try:
            writer.go_on_after(found, state)
            loop.carry_out(job, writer, bar, interruption)
        except H5PY_ERRORS as problem:
            writer.release()
            raise _misfit(found, problem) from problem
    return load(path, system)


def _beyond(system: System, found: TableRun) -> str:
    if system.extend is None:
        return "Nothing is left to do."
    return (
        f"To go on beyond that: kmc extend {found.path} --set KEY=VALUE with a later end, or "
        "--cycles N for N more passes of the last entry of its protocol."
    )


def _misfit(found: TableRun, problem: Exception) -> InputError:
    return InputError(
        f"{found.path} cannot be continued: its checkpoint does not fit the run ({problem})",
        advice=f"Go on with kmc {found.kmc_version}, which wrote it, or start it again: "
        f"kmc run {found.resolved.get('name', 'RUN')} --force.",
    )


def _extend(
    ends: Sequence[str],
    found: TableRun,
    overrides: Mapping[str, Any],
    *,
    cycles: int = 0,
    origins: Mapping[str, str] | None = None,
    progress: bool | Progress = True,
    check_every: int | None = None,
) -> Any:
    """Compute a run again with a later end, in place.

    From its beginning, as where its rows and frames stand follows from its end: the file is that of
    a run with the new end, and up to the old one the run is the same.
    """
    path, origins = found.path, dict(origins or {})
    system, settings = found.system, found.run
    system.refuse_check(check_every)
    for key, value in overrides.items():
        section, _, name = key.partition(".")
        then, text = settings.get(section, {}).get(name), origins.get(key, key)
        if key not in ends:
            raise InputError(
                f"{text} would change what the run has computed already",
                advice=f"Of {system.noun} its end alone can change: "
                f"{nearest(key, ends)}{', '.join((*ends, 'or the number of cycles'))}.",
            )
        if isinstance(value, int | float) and then is not None and value <= then:
            raise InputError(
                f"{text}: {path} was run to {then:g}", advice="Give an end beyond that."
            )
    if not (overrides or cycles):
        raise InputError(
            f"no new end is given for {path}",
            advice=f"Give one, for example --set {ends[0]}=VALUE, or --cycles 5 for a run with "
            "cycles.",
        )
    if cycles:
        settings = longer(settings, cycles, path)
    run = restored_run(settings, path, found.run_file, overrides, origins=origins)
    run._name = found.resolved["name"]
    return system.run(run, path, overwrite=True, progress=progress)


def _writer(kind: str, tables: Tables, path: Path, run: RunFile, job: Job) -> TableWriter:
    resolved = {"run": run.resolved(), "name": run.name, "parameters": job.parameters}
    resolved |= {"facts": job.facts, **job.resolved}
    head = {"system": kind, "run_file": run.text, "resolved": resolved, "seed": run.random.seed}
    return TableWriter(path, {**job.record, **head}, tables, job.constants)
