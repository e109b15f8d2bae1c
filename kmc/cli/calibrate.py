"""`kmc calibrate`: which inputs a measurement leaves possible, and what to measure next."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from kmc.cli.shared import (
    INTERRUPTED,
    folder_option,
    named_argument,
    option,
    quiet_option,
    quoted,
    workers_option,
)
from kmc.cli.sweeps import cluster_options, workers_of

_EPILOG = """\
\b
A calibration file:
  [calibrate]
  points = 64                             # settings of a wave, a power of two
  waves = 2                               # each rules out more
  replicas = 2                            # runs of a setting: their scatter is noise
  posterior_runs = 16                     # runs at inputs that are left

\b
  [priors]                                # uniform, log_uniform = [low, high], normal = [mean, sd]
  sinks = { key = "conditions.sink_length_um", log_uniform = [1.5, 12] }
  flaws = { key = "upscale.flaw_density_per_um2", normal = [0.1, 0.03], experiments = ["cell"] }

\b
  [discrepancy]                           # what the model may be wrong by, one standard deviation
  voids_per_100um = "15 %"                # of each column that is fitted
  capacity_mAh_cm2 = "20 %"               # of charges at which something happens

\b
  [experiments.cell]
  run = "operando_li"                     # a shipped run, or a file of your own
  data = "images.csv"
  set = { "upscale.domain_um" = 30 }      # the same in all of its runs

\b
  [experiments.next]                      # not fitted: predicted, and laid beside the data
  run = "operando_li"
  data = "next.csv"
  held_out = true
  verified = "read in the paper"          # without it the comparison is shown, not judged

\b
The data, columns as of `kmc plot --data`, each number with its standard error:
  capacity_mAh_cm2,capacity_mAh_cm2_error,voids_per_100um,voids_per_100um_error,event
  0.125,,17,1,                            # a number at a charge
  1.25,0.1,,,gap                          # a charge: rise, coalescence, split or gap
  4.0,,,,no rise                          # had not happened by then

\b
Examples:
  kmc calibrate calibrate_operando --dry-run      how many runs, how long
  kmc calibrate calibrate_operando --waves 1      the second may follow later, in the same folder
  kmc calibrate calibrate_operando
  kmc calibrate my.toml -o fit --workers 4        again: goes on, and repeats no run
  kmc report fit                                  one HTML page
  kmc critical operando_li --calibration fit ...  where contact holds with 90 % probability

A number without a stated discrepancy is refused: the fit would look too certain. If no input is
left plausible, the model is wrong for these data, or priors, errors or discrepancies are too
narrow.

Exit codes: 0 done (no input left is a result, not a failure), 2 the input cannot be used, 130
interrupted; repeat the command to continue.
"""


@click.command(
    short_help="Find the inputs that a measurement leaves possible, and what they predict.",
    epilog=_EPILOG,
)
@named_argument("calibrations", name="file")
@folder_option("-o", "--output", help="Folder of the calibration; the name of FILE by default.")
@option("--dry-run", is_flag=True, help="Say what would run and how long; no more.")
@option(
    "--waves", type=click.IntRange(1, 10), help="In place of those of FILE; more may follow later."
)
@workers_option
@cluster_options
@quiet_option
def calibrate(
    file: str,
    output: Path | None,
    dry_run: bool,
    waves: int | None,
    workers: int | None,
    quiet: bool,
    **cluster: Any,
) -> None:
    """Find the inputs of a model that the data of FILE leave possible.

    FILE is a calibration file, or the name of a shipped one. Runs at Sobol points of the priors
    train emulators (Gaussian processes); history matching rules inputs out in waves, emcee samples
    the posterior on the emulators, and runs of the true code at its samples stand beside the data
    and beside experiments that were held out. The folder gets calibration.json, posterior.csv,
    predictions.csv, corner.png, predictions.png and samples.npz.
    """
    from kmc.campaign.calibration.calibrate import calibrate as run
    from kmc.campaign.calibration.problem import read_problem

    problem = read_problem(file, waves)
    folder = output or Path(problem.name)
    if dry_run or not quiet:
        _costs(problem, folder, workers)
    if dry_run:
        return
    say = (lambda text: None) if quiet else (lambda text: click.echo(text, err=True))
    make = workers_of(workers, **cluster)
    try:
        found = run(file, folder, waves=waves, make_workers=make, progress=not quiet, report=say)
    except KeyboardInterrupt:
        click.echo("Interrupted; repeat the command to continue.", err=True)
        sys.exit(INTERRUPTED)
    _draw(found)
    if not quiet:
        click.echo("\n".join(["", *found.lines()]))
        click.echo(f"\nResult  {found.folder / 'calibration.json'}")
        click.echo(f"\nNext:\n  kmc report {quoted(found.folder)}")


def _costs(problem: Any, folder: Path, workers: int | None) -> None:
    """Print how many runs are planned and done, and how long the rest takes."""
    from kmc.campaign.calibration.design import runs_left
    from kmc.campaign.local import cores
    from kmc.common.formatting import duration, plural

    left, total_s = runs_left(problem, folder), 0.0
    width = max(map(len, left))
    for place, (done, runs, seconds) in left.items():
        total_s += (runs - done) * seconds
        took = duration((runs - done) * seconds, 2)
        click.echo(f"{place:{width}} {done:4} of {runs:4} runs done, {took} of processor time left")
    count = workers or cores()
    took = duration(total_s / count, 2)
    click.echo(f"At most {took} with {plural(count, 'worker')}, in {folder}.")


def _draw(found: Any) -> None:
    """Draw what there is beside the result."""
    from kmc.plotting import save

    if found.plausible:
        save(found.plot("corner"), found.folder / "corner.png")
    if found.content["predictions"]:
        save(found.plot("predictions"), found.folder / "predictions.png")
