"""Runs, opens, continues and checks a run of any kind: `kmc.run`, `kmc.load` and so on."""

import math
import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from kmc.common.formatting import duration
from kmc.common.outputs import check_output, check_trajectory_name
from kmc.common.progress import Progress
from kmc.errors import FileFormatError, InputError, KmcError, KmcWarning
from kmc.files import integrity, table_reader
from kmc.files.check_result import Verification
from kmc.runfile.kinds import find_more
from kmc.runfile.load import dotted, load_run, restored_run
from kmc.runfile.run_file import RunFile
from kmc.systems import SYSTEMS
from kmc.systems.electrode.cost import exact_kinetics
from kmc.systems.simulation import observer_of
from kmc.systems.slowing import warn_of_another_drive
from kmc.systems.system import System

_LONG_s = 30 * 86400.0  # a run that takes longer has an end that nobody waits for


def run(
    name_or_path: str | Path | Mapping[str, Any],
    overrides: Mapping[str, Any] | None = None,
    *,
    output: str | Path | None = None,
    overwrite: bool = False,
    progress: bool = True,
    callback: Callable[[Any], Any] | None = None,
) -> Any:
    """Run a run file of any kind and return what its file holds.

    - `name_or_path`: a shipped run, such as ``"strip_li"``, the path of a run file, or its sections
      as a dict: ``{"conditions": {"temperature_K": 333.15}, "stop": {"capacity_monolayers": 1}}``.
    - `overrides`: ``{"conditions.temperature_K": 333.15}`` or ``{"conditions": {"temperature_K":
      333.15}}``; None removes the key and restores its default.
    - `output`: HDF5 file to write; NAME.h5 in the current folder by default.
    - `overwrite`: replace `output` where it exists.
    - `progress`: show progress on stderr.
    - `callback`: called with each sample as it is taken: its columns (``sample.contact_fraction``),
      and of a box of atoms the box at that moment (``sample.occupancy``, ``sample.lattice``,
      ``sample.voids()``). Returns True to end the run there; `kmc.resume` goes on with such a run.
      What it raises ends the run too, and leaves a readable, unfinished file.

    Returns Trajectory, PopulationRun or TableRun: by the kind of run; all have ``samples``,
    ``frames``, ``to_dataframe()``, ``to_xarray()``, ``summary()``, ``to_json()`` and ``plot()``.

    Raises `InputError`: the run or its output is invalid; nothing has been written then.

    Examples
    --------
    >>> t = kmc.run("strip_li")                                              # doctest: +SKIP
    >>> d = kmc.run("plate_carbon", {"stop.capacity_monolayers": 2})         # doctest: +SKIP
    """
    run_file = load_run(name_or_path, overrides)
    warn_of_another_drive(name_or_path, dotted(overrides))
    # Refused before anything is computed: a run may take days.
    path = Path(f"{run_file.name}.h5" if output is None else output)
    check_trajectory_name(path)
    check_output(path, overwrite)
    observer = None if callback is None else observer_of(callback)
    return run_to_file(run_file, path, overwrite=overwrite, progress=progress, observer=observer)


def upscale(
    name_or_path: str | Path | Mapping[str, Any],
    overrides: Mapping[str, Any] | None = None,
    **options: Any,
) -> Any:
    """Run a population of voids; `run`, whose options it has, takes other kinds, too.

    Raises `InputError`: as for `run`; also where the run file has no section [upscale].
    """
    _refuse_another(load_run(name_or_path, overrides), "population")
    return run(name_or_path, overrides, **options)


def _refuse_another(run: RunFile, kind: str) -> None:
    """Refuse a run of another kind, unless any is wanted."""
    if kind and run.kind != kind:
        raise InputError(
            f"the run {run.name} is {SYSTEMS[run.kind].noun}, not {SYSTEMS[kind].noun}",
            advice=f"kmc run {run.name} runs it; {SYSTEMS[kind].noun} has a section "
            f"[{SYSTEMS[kind].rules.section}] in its run file.",
        )


def run_to_file(
    run: RunFile,
    output: str | Path,
    *,
    kind: str = "",
    progress: bool | Progress = True,
    **options: Any,
) -> Any:
    """Run a checked run file of any kind, or of this one alone; see `run` and `System.run`."""
    _refuse_another(run, kind)
    cost_s = SYSTEMS[run.kind].seconds(run)
    cost_s = min(cost_s, run.stop.wall_time_s or math.inf)  # of NaN the cost is not known
    note = exact_kinetics(run)
    if not note and cost_s > _LONG_s:
        note = f"this run takes about {duration(cost_s, 2)} of processor: give it an earlier end"
    if note:
        warnings.warn(note, KmcWarning, stacklevel=2)
    return SYSTEMS[run.kind].run(run, output, progress=progress, **options)


def system_of(path: str | Path) -> System:
    """The kind of run that a file is of.

    Raises `InputError`, `FileFormatError`: there is no such file, or it cannot be read.
    """
    # Kinds of other packages are found with the first question, not at import.
    find_more()
    name = integrity.read(Path(path), table_reader.kind_of)
    if name not in SYSTEMS:
        raise FileFormatError(
            f"{path} is of a kind {name!r} that this kmc does not know",
            advice=f"It knows {', '.join(SYSTEMS)}: update kmc, or register the kind first.",
        )
    return SYSTEMS[name]


def load(path: str | Path) -> Any:
    """Open a file written by ``kmc run``, of any kind.

    - `path`: str or Path.

    Returns Trajectory, PopulationRun or TableRun: as from `kmc.run`.

    Raises `InputError`: there is no such file, or it cannot be read. `FileFormatError`: it is not a
    file of kmc, is damaged, or of a newer schema.

    Examples
    --------
    >>> t = kmc.load("strip_li.h5")                                          # doctest: +SKIP
    >>> p = kmc.load("upscale_li.h5")                                        # doctest: +SKIP
    """
    return system_of(path).load(Path(path))


def resume(
    path: str | Path, *, progress: bool | Progress = True, check_every: int | None = None
) -> Any:
    """Continue a run that was interrupted, killed, or ended by its wall_time_s or a callback.

    The file becomes that of an uninterrupted run: every number in it is the same.

    - `path`: the file; it is continued in place.
    - `progress`: show progress on stderr, or pass it to this object.
    - `check_every`: of a box of atoms: interval in events at which the state is compared with one
      rebuilt from scratch.

    Raises `InputError`: the file cannot be read or written, the run is finished or still going on,
    or its parameters have changed.
    """
    run = load(path)
    return run.system.go_on(run, progress=progress, check_every=check_every)


def extend(path: str | Path, overrides: Mapping[str, Any], **options: Any) -> Any:
    """Continue a run of any kind to another end.

    A box of atoms goes on from its end. The others are computed again from their beginning, as
    where their rows and frames stand follows from the end: the file is that of the longer run.

    - `path`: the file; it is continued in place.
    - `overrides`: the new end: of a box ``{"stop.key": value}`` or ``{"rest.key": value}``, None
      removes a stop; ``upscale.capacity_mAh_cm2`` of a population, ``stop.capacity_…`` of a
      deposition, ``cathode.cycles`` of a cathode.
    - `**options`: ``cycles``, how many more times the last entry of the protocol is carried out;
      ``origins``, ``progress``, ``check_every``.

    Raises `InputError`: as for `resume`; also for other keys, and for an end already reached.
    """
    run = load(path)
    return run.system.extend(run, dotted(overrides), **options)


def verify(path: str | Path, *, progress: Callable[[int, int], None] | None = None) -> Verification:
    """Check a file of any kind against itself.

    - `path`: str or Path.
    - `progress`: called with what is done and to do.

    Raises `InputError`, `FileFormatError`: as for `load`.

    Examples
    --------
    >>> kmc.verify("strip_li.h5").passed                                     # doctest: +SKIP
    True
    """
    return system_of(path).verify(path, progress=progress)


def damage_in(words: Sequence[str]) -> KmcError | None:
    """What is wrong with the files of runs among the words of a command, or in its folders.

    For a command that failed over values that make no sense: whoever writes right checksums over
    them, or over settings of no run, gets past `load`.
    """
    for word in words:
        # By name, so that the same file is named each time.
        paths = sorted(Path(word).rglob("*.h5")) if os.path.isdir(word) else [Path(word)]
        for path in filter(integrity.is_hdf5, paths):
            try:
                verification, run = verify(path), load(path)
                restored_run(run.run, path, run.run_file)
                run.summary(full=True)
            except KmcError as refused:
                return refused
            except integrity.H5PY_ERRORS as problem:
                return FileFormatError(f"{path} is damaged: {integrity.reason_of(problem)}")
            if not verification.passed:
                advice = "`kmc verify` checks a file; run it again, or use an earlier copy."
                return FileFormatError(f"{path} is damaged: {verification.breach}", advice=advice)
    return None
