"""`kmc sweep`: many runs from one file."""

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from kmc.cli import shared as ui
from kmc.common.formatting import duration, plural
from kmc.common.progress import display_for
from kmc.common.threads import cores
from kmc.errors import InputError

_MAX_TASKS = 1000  # of a job array without --workers: the limit of many clusters
_SHOWN = 12  # points in a dry run, failures at the end
# Queueing systems and their classes in dask_jobqueue.
_QUEUES = {
    "slurm": "SLURMCluster",
    "pbs": "PBSCluster",
    "lsf": "LSFCluster",
    "sge": "SGECluster",
    "oar": "OARCluster",
    "moab": "MoabCluster",
    "htcondor": "HTCondorCluster",
}


# Options of commands whose runs may go to a Dask cluster; `workers_of` takes them.
cluster_options = ui.with_options(
    ui.option("--dask address", "Run on this Dask scheduler.", "ADDRESS"),
    ui.option(
        "--dask-jobqueue queue",
        "Run in jobs of a queueing system; --workers says in how many.",
        type=click.Choice(list(_QUEUES)),
    ),
    ui.file_option(
        "--dask-tls tls",
        "Certificate and key that scheduler, workers and kmc share; made if it is not there.",
        "FOLDER",
    ),
    ui.flag(
        "--trusted-network",
        "Without certificates: nobody else can reach the network of the cluster. Who could "
        "would run code as you.",
    ),
    ui.option(
        "--cluster-option options",
        "Option of the jobs, such as queue=short, memory=4GB or walltime=12:00:00: of the "
        "dask-jobqueue cluster, or of sbatch with --job-array.",
        "KEY=VALUE",
        multiple=True,
    ),
)


@click.command(
    epilog=ui.help_text("sweep"), short_help="Run every point of a sweep file, on all cores."
)
@ui.named_argument("studies", name="file")
@ui.output_option(
    "Folder of the sweep; the name of FILE without its ending, in the current folder, by default.",
    "FOLDER",
)
@ui.count_option(
    "--workers",
    "Points at once; all cores by default, or as many threads as the Dask cluster has.",
    most=100_000,
)
@ui.dry_run_option
@cluster_options
@ui.flag(
    "--job-array",
    "Run nothing: write a script for sbatch that runs the points as tasks of a job array, "
    "--workers of them, without a process that schedules.",
)
@ui.quiet_option
def sweep(
    file: str,
    output: Path | None,
    workers: int | None,
    dry_run: bool,
    job_array: bool,
    quiet: bool,
    **cluster: Any,
) -> None:
    """Run every point of the sweep FILE that is not done yet.

    FILE is the path of a sweep file or the name of a shipped one. Everything that can be checked
    is checked before anything is computed.
    """
    if job_array and (cluster["address"] or cluster["queue"]):
        raise InputError("--job-array takes no Dask cluster", advice="Leave --dask… away.")
    jobs = _job_options(cluster["options"])
    make = workers_of(workers, **cluster | ({"options": ()} if job_array else {}))

    from kmc.campaign.folder import check_folder, make_folder
    from kmc.campaign.plan import read_plan
    from kmc.campaign.points import combinations
    from kmc.systems.slowing import warn_of_hidden_effects

    plan = read_plan(file)
    path = Path(plan.name) if output is None else output
    # A ratio of hops to strips may follow what is varied, and hide its effect.
    warn_of_hidden_effects(plan.tables, combinations(plan.axes))
    # A folder of another sweep is refused before anything is written.
    existing = check_folder(path, plan)
    if job_array and min(workers or 0, len(plan.points)) > _MAX_TASKS and not quiet:
        text = (
            f"{workers} tasks: many clusters take {_MAX_TASKS} at most (MaxArraySize in scontrol "
        )
        click.echo(text + f"show config). --workers {_MAX_TASKS} gives each several points.")
    if dry_run:
        print_costs(plan, existing, path, workers)
        if cluster["queue"] or job_array:
            _describe_jobs(cluster["queue"], jobs)
        return

    from kmc.campaign.execute import run_sweep

    folder = make_folder(path, plan)
    if job_array:
        points = len(folder.plan.points) - len(folder.done())
        if not points:
            click.echo("Nothing to run.")
            return
        from kmc.campaign.array import write_script

        tasks = min(points, workers or _MAX_TASKS)
        script = write_script(folder, tasks, jobs)
        if not quiet:
            click.echo(f"Wrote {script}: {plural(tasks, 'task')} for {plural(points, 'point')}")
            _describe_jobs(None, jobs)
            again = f"sbatch {ui.quoted(script)}      again: what is missing then"
            ui.print_next(again, _in_python(folder.path))
        return
    tally = run_sweep(folder, make, display_for(path.name, not quiet))
    print_failures(tally, path)
    if not quiet:
        click.echo(f"{tally.done} of {plural(tally.total, 'point')} done in {path}")
        if tally.done and not tally.interrupted:
            ui.print_next(f"kmc sweep-plot {ui.quoted(path)}", _in_python(path))
    if tally.interrupted:
        sys.exit(ui.INTERRUPTED)
    if tally.failed:
        sys.exit(1)


def _in_python(path: Path) -> str:
    return f'python: import kmc; kmc.load_sweep("{path.as_posix()}")'


def _job_options(options: tuple[str, ...]) -> dict[str, Any]:
    """Options of the jobs of a queueing system, by name; whole numbers as such."""
    pairs = [ui.key_and_value("--cluster-option", text, "queue=short") for text in options]
    for key, value in pairs:
        # Slurm reads 24 and 24:00 as minutes, other systems as seconds or hours.
        if key in ("walltime", "time") and not re.fullmatch(r"\d+:\d\d:\d\d|\d+-\d.*", value):
            raise InputError(
                f"--cluster-option {key}={value} does not say whether these are hours",
                advice=f"{key}=24:00:00 are 24 hours, {key}=0:24:00 are 24 minutes.",
            )
    return {key: int(value) if value.isdecimal() else value for key, value in pairs}


def workers_of(
    workers: int | None,
    address: str | None,
    queue: str | None,
    tls: Path | None,
    trusted_network: bool,
    options: tuple[str, ...],
) -> Callable[[Path, int], Any]:
    """Where the points of a sweep run, from the options of a command.

    Returns what starts workers for the folder of a sweep and a number of points, called once the
    folder is locked.

    Raises `InputError`: options that exclude or need each other.
    """
    job, remedy = "--dask-jobqueue", "Give one."
    own, name = f"{job} makes certificates of its own.", "Name the queueing system."
    ui.refuse(
        (address and queue, f"--dask and {job} exclude each other", remedy),
        (options and not queue, f"--cluster-option needs {job} or --job-array", name),
        (queue and not workers, f"{job} needs --workers", "Give the number of jobs to submit."),
        (tls and not address, "--dask-tls needs --dask", own),
        (tls and trusted_network, "--dask-tls and --trusted-network exclude each other", remedy),
    )
    job_options = _job_options(options)

    def start(folder: Path, points: int) -> Any:
        if address is None and queue is None:
            from kmc.campaign.local import local_workers

            return local_workers(workers)(folder, points)
        from kmc.campaign import cluster

        # Dask prints a traceback wherever a connection ends, between the lines of the progress.
        cluster.silence()
        if address is not None:
            client = cluster.connect(address, tls=tls, trusted_network=trusted_network)
            return cluster.DaskWorkers(client, most=workers)
        assert queue is not None
        assert workers is not None  # checked above
        # A job without a point would wait in the queue for nothing.
        count = min(points, workers)
        places: dict[str, Any] = {"shared": folder / "running", "logs": folder / "logs"}
        asked = (_QUEUES[queue], count, job_options)
        jobs = cluster.queue_cluster(*asked, **places, trusted_network=trusted_network)
        return cluster.DaskWorkers(jobs.get_client(), cluster=jobs, jobs=count)

    return start


def _describe_jobs(queue: str | None, options: dict) -> None:
    """Print what each job asks for."""
    if queue:
        from kmc.campaign.cluster import AGAIN, job_defaults

        asked = job_defaults(queue, options)
        click.echo(f"Lost    jobs are submitted again, {AGAIN} times each on average")
    else:
        from kmc.campaign.array import DEFAULTS

        asked = {k: f"{v} (default)" for k, v in DEFAULTS.items()}
    asked |= {key: str(value) for key, value in options.items()}
    click.echo("Jobs    " + ", ".join(f"{key} {value}" for key, value in asked.items()))


def print_costs(plan: Any, existing: Any, path: Path, workers: int | None) -> None:
    """Print what would run, how long and how much disk."""
    from kmc.campaign.plan import estimate

    done = existing.done() if existing else set()
    todo = [point for point in plan.points if point.name not in done]
    for axis, values in plan.axes.items():
        named = " and ".join(values[0]) if axis == "zip" else axis
        click.echo(f"{named}: {plural(len(values), 'value')}")
    repeated = f", {plural(plan.replicas, 'replica')} each" if plan.replicas > 1 else ""
    click.echo(f"{plural(len(plan.points), 'point')}{repeated}; {len(done)} done\n")
    # The first and the last points show what varies; thousands of lines would not.
    shown = todo if len(todo) <= _SHOWN else [*todo[: _SHOWN // 2], None, *todo[-_SHOWN // 2 :]]
    for point in shown:
        click.echo("  …" if point is None else f"  {point.name}  seed {point.seed}")
    if not todo:
        click.echo("Nothing to run.")
        return
    cost = estimate(plan, todo, existing)
    count = min(len(todo), workers or cores())
    if cost.compute_s == cost.compute_s:
        span = f"about {duration(cost.compute_s / count)} with {plural(count, 'worker')}"
        click.echo(f"\nTime    {span} ({cost.basis})")
    else:
        click.echo("\nTime    unknown: no stop of the sweep gives the number of events")
    click.echo(f"Disk    about {cost.disk_bytes / 1e6:.3g} MB in {path}")


def print_failures(tally: Any, path: Path) -> None:
    """Print the failed and the missing points on standard error."""
    # On standard error: the output of a sweep may be parsed.
    for note in tally.notes:
        click.echo(f"Note: {note}", err=True)
    if tally.failures:
        click.echo(f"{plural(len(tally.failures), 'point')} failed:", err=True)
        for point, error in tally.failures[:_SHOWN]:
            click.echo(f"  {point.name}: {error}", err=True)
            click.echo(f"    {path / 'points' / point.name}.toml", err=True)
        if len(tally.failures) > _SHOWN:
            click.echo(f"  … and more, see {path / 'failures'}", err=True)
    if tally.interrupted:
        more = tally.total - tally.done
        click.echo(f"Interrupted with {more} of {tally.total} points to go.", err=True)
        click.echo("Repeat the command to continue.", err=True)
