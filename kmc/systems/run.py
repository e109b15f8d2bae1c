"""Runs a system, and checks the file of one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from kmc.common.interruption import Interruption
from kmc.common.outputs import check_output
from kmc.common.progress import Progress, progress_for
from kmc.errors import FileFormatError
from kmc.runfile.run_file import RunFile
from kmc.systems import KINDS
from kmc.systems.kind import Kind
from kmc.systems.record import INTERRUPTED, Record
from kmc.systems.result import SystemRun, load
from kmc.verification.result import Verification


def run_to_file(
    run: RunFile,
    output: str | Path,
    *,
    overwrite: bool = False,
    progress: bool | Progress = True,
) -> SystemRun:
    """Run a checked run file of a system; after Ctrl-C the file holds what there was.

    Raises
    ------
    InputError
        Anything in the run or its output that cannot be used; nothing has been written then.
    """
    kind, path = KINDS[run.kind], Path(output)
    check_output(path, overwrite)
    tables = {"samples": kind.samples, "frames": kind.frames, "constants": kind.constants}
    record = Record(path, run, tables)
    bar = progress_for(run.name, progress)
    with Interruption() as interruption, bar:
        reason = kind.run(run, record, bar, lambda: interruption.requested)
        record.write(reason != INTERRUPTED, reason)
    return load(path)


def kind_of(found: SystemRun) -> Kind:
    """The kind of a file.

    Raises
    ------
    FileFormatError
        This kmc knows no such kind.
    """
    if found.kind not in KINDS:
        raise FileFormatError(
            f"{found.path} is of a system {found.kind!r}, and this kmc knows {', '.join(KINDS)}: "
            "update kmc"
        )
    return KINDS[found.kind]


def verify(path: str | Path, *, progress: Callable[[int, int], None] | None = None) -> Verification:
    """Check the file of a system against itself: what its `Kind` claims is recomputed.

    Raises
    ------
    InputError, FileFormatError
        As for `kmc.load`.
    """
    run = load(path)
    found = Verification(
        Path(path), run.finished, len(run.samples["time_s"]), len(run.frames["sample"])
    )
    found.checks.append("checksums of all datasets")
    checks = kind_of(run).checks
    for i, (claim, check) in enumerate(checks):
        for breach in check(run):
            found.breach = breach
            return found
        found.checks.append(claim)
        if progress is not None:
            progress(i + 1, len(checks))
    return found
