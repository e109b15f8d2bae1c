"""Points of a sweep as the tasks of a Slurm job array: one script, and no scheduler process.

Task k of n runs the points k, k + n, k + 2n, … of the plan that are not done. One that was killed
leaves its points to the next submission of the same script, or to `kmc sweep`.
"""

import re
import shlex
import sys
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kmc.campaign.folder import SweepFolder, open_folder
from kmc.campaign.point_files import lock_of
from kmc.campaign.run_point import DONE, run_point
from kmc.errors import InputError

SCRIPT = "job_array.sh"
DEFAULTS = {"walltime": "24:00:00", "memory": "2GB", "cores": 1}
# Names of options as for dask-jobqueue → those of sbatch; any other is handed on as it is.
_SBATCH = {"walltime": "time", "memory": "mem", "cores": "cpus-per-task", "queue": "partition"}
_OURS = ("array", "output", "error", "job-name")


def write_script(folder: SweepFolder, tasks: int, options: Mapping[str, Any]) -> Path:
    """Write the script of a job array into the folder of a sweep.

    Options are those of `DEFAULTS` and ``queue``, or any of sbatch. Tasks of a script that was
    written before stop at their next point.
    """
    if folder.is_locked():
        raise InputError(
            f"another kmc sweep is running points of {folder.path}",
            advice="Wait for it, or stop it.",
        )
    lines = []
    for name, value in {**DEFAULTS, **options}.items():
        key = _SBATCH.get(name, name)
        if key in _OURS or not re.fullmatch("[A-Za-z0-9-]+", key):
            raise InputError(f"--cluster-option {name}={value} cannot be used with --job-array")
        # sbatch has 2G where dask-jobqueue has 2GB.
        text = str(value).removesuffix("B") if key == "mem" else str(value)
        lines.append(_directive(key, text, f"--cluster-option {name}={value}"))
    root = str(Path(__file__).resolve().parents[2])  # kmc need not be installed
    owner, place = uuid.uuid4().hex, folder.path.resolve()
    logs = place / "logs"
    pattern = f"{logs}/".replace("%", "%%") + "array-%A-%a.log"
    output = _directive("output", pattern, f"the folder {place}")
    title = re.sub(r"[^\w.+=-]+", "_", folder.plan.name)
    logs.mkdir(exist_ok=True)
    # With -P no file of the folder in which the tasks start is imported in place of a module.
    command = [sys.executable, "-P", "-m", "kmc.campaign.array", str(place), owner]
    script = "\n".join(
        [
            "#!/bin/bash",
            f"# {tasks} tasks of the sweep {title}; written by kmc sweep --job-array.",
            f"#SBATCH --job-name=kmc-{title}",
            f"#SBATCH --array=0-{tasks - 1}",
            output,
            *lines,
            "export NUMBA_NUM_THREADS=1 OMP_NUM_THREADS=1",
            f"export PYTHONPATH={shlex.quote(root)}${{PYTHONPATH:+:$PYTHONPATH}}",
            f'exec {shlex.join(command)} "$SLURM_ARRAY_TASK_ID" {tasks}',
            "",
        ]
    )
    # Here, as hundreds of tasks that begin at once would write the same files.
    for point in folder.plan.points:
        if not folder.run_file_path(point).exists():
            folder.prepare(point)
    # The tasks of an older script stop at their next point: they read another owner.
    folder.write("owner", owner)
    folder.write(SCRIPT, script)
    return folder.path / SCRIPT


def _directive(key: str, value: str, origin: str) -> str:
    """A line for sbatch; quoted where it would end at a space or a comment."""
    if not value.isprintable() or '"' in value or "\\" in value:
        raise InputError(
            f"{origin} has a quotation mark, a backslash or an unprintable character, such as a "
            "line break, which a job array cannot have",
            advice="Use another name; -o gives a sweep another folder.",
        )
    plain = re.fullmatch(r"[\w@%+=:,./-]*", value)
    return f"#SBATCH --{key}={value}" if plain else f'#SBATCH --{key}="{value}"'


def run_task(path: str | Path, owner: str, task: int, tasks: int) -> int:
    """Run the points of one task that are not done; returns the number that failed."""
    folder = open_folder(path)
    failed = 0
    # Every n-th point: neighbours on a grid take similar times, so that tasks end together.
    for point in folder.plan.points[task::tasks]:
        if folder.trajectory_path(point).exists():
            continue
        outcome = run_point(str(folder.path), point.name, owner)
        folder.forget_progress(point)
        print(f"{point.name}: {outcome['state']} {outcome['error']}".rstrip(), flush=True)
        error, wall_s = outcome["error"], outcome["wall_s"]
        failed += outcome["state"] != DONE
        # Tasks share one log, and wait for each other as long as it takes.
        with lock_of(folder.path / "running" / ".log.lock", -1):
            if outcome["state"] == DONE:
                folder.record_done(point, wall_s, outcome["numbers"])
            elif error:
                folder.record_failure(point, error, outcome["details"], wall_s)
    return failed


if __name__ == "__main__":
    place, owner, task, tasks = sys.argv[1:]
    sys.exit(1 if run_task(place, owner, int(task), int(tasks)) else 0)
