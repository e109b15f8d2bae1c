"""`kmc study`, plans of many runs beside the claims of a paper, and `kmc calibrate`, which inputs
a measurement leaves possible and what to measure next."""

from pathlib import Path
from typing import Any

import click

from kmc.cli import shared as ui
from kmc.cli.sweeps import cluster_options, workers_of
from kmc.common.formatting import duration, plural
from kmc.common.threads import cores

_STUDIES = {
    "operando": "Li and Li-Mg beside the operando paper.",
    "interlayer": "Lithium on carbon and ZnO beside the interlayer paper.",
    "cathode": "Creeping selenium beside the cathode paper.",
}


@click.command(
    short_help="Find the inputs that a measurement leaves possible, and what they predict.",
    epilog=ui.help_text("calibrate"),
)
@ui.named_argument("calibrations", name="file")
@ui.folder_option("-o --output", "Folder of the calibration; the name of FILE by default.")
@ui.dry_run_option
@ui.count_option("--waves", "In place of those of FILE; more may follow later.", most=10)
@ui.workers_option
@cluster_options
@ui.quiet_option
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
    # Calibrations take hours: the cost is printed before they begin.
    if dry_run or not quiet:
        _print_costs(problem, folder, workers)
    if dry_run:
        return
    options: dict[str, Any] = {"make_workers": workers_of(workers, **cluster), "waves": waves}
    result = run(file, folder, **options, progress=not quiet, report=ui.reporter(quiet))
    # Where no input is left there is no posterior to draw; that is a result.
    if result.plausible:
        ui.draw(lambda: result.plot("corner"), folder / "corner.png")
    if result.content["predictions"]:
        ui.draw(lambda: result.plot("predictions"), folder / "predictions.png")
    if not quiet:
        click.echo("\n".join(["", *result.lines()]))
        click.echo(f"\nResult  {folder / 'calibration.json'}")
        ui.print_next(f"kmc report {ui.quoted(folder)}")


def _print_costs(problem: Any, folder: Path, workers: int | None) -> None:
    """Print how many runs are planned and done, and how long the rest takes."""
    from kmc.campaign.calibration.design import runs_left

    places, total_s = runs_left(problem, folder), 0.0
    width = max(map(len, places))
    for place, (done, runs, seconds) in places.items():
        total_s += (todo_s := (runs - done) * seconds)
        took = f"{duration(todo_s, 2)} of processor time left"
        click.echo(f"{place:{width}} {done:4} of {runs:4} runs done, {took}")
    count = workers or cores()
    took = duration(total_s / count, 2)
    click.echo(f"At most {took} with {plural(count, 'worker')}, in {folder}.")


@click.group()
def study() -> None:
    """Many runs beside the claims of a paper."""


def _add(name: str, short: str) -> None:
    """Add the command of a paper."""

    def run(full: bool, plan: str | None, **options: Any) -> None:
        _run(name, "full" if full else plan, **options)

    text = ui.help_text(f"study-{name}")
    run.__doc__ = f"Run a study, and print the claims of the {name} paper.\n\n{text}"
    epilog = ui.help_text("study").replace("STUDY", name)
    command = study.command(name, short_help=short, epilog=epilog)
    options = ui.with_options(
        ui.folder_option("-o --output", "Folder of the study.", default=Path(f"study_{name}")),
        ui.dry_run_option,
        ui.flag("--judge-only", "Run nothing; judge what the folder has."),
        ui.folder_option("--calibration", "Of kmc calibrate: judge over its posterior runs, too."),
        ui.workers_option,
        cluster_options,
        ui.quiet_option,
        ui.option("--plan", "default, full or reduced, as far as the study has it."),
        ui.flag("--full", "The same as --plan full."),
    )
    command(options(run))


for _name, _short in _STUDIES.items():
    _add(_name, _short)


def _run(
    name: str,
    plan: str | None,
    output: Path,
    dry_run: bool,
    judge_only: bool,
    calibration: Path | None,
    workers: int | None,
    quiet: bool,
    **cluster: Any,
) -> None:
    """Run a study, or judge what its folder has, and print the claims."""
    from kmc.papers import judge, missing, plan_of, planned_lines, run_study

    # A folder goes on with its own plan: steps of two plans would not be one study.
    plan = plan or plan_of(output)
    if dry_run:
        click.echo("\n".join(planned_lines(output, plan, study=name, workers=workers)))
        return
    options: dict[str, Any] = {"progress": not quiet, "calibration": calibration}
    if judge_only:
        claims = judge(output, **options)
    else:
        options |= {"make_workers": workers_of(workers, **cluster), "report": ui.reporter(quiet)}
        claims = run_study(output, plan, study=name, **options)
    if not quiet:
        print_claims(claims)
        click.echo(f"\nClaims  {output / 'claims.json'}")
        lacking, steps = missing(output), [f"kmc report {ui.quoted(output)}"]
        if lacking:
            click.echo(f"Not run yet  {'; '.join(lacking)}")
            steps.insert(0, f"kmc study {name} -o {ui.quoted(output)}    runs what is missing")
        ui.print_next(*steps)


_STYLES = {"reproduced": "green", "rank only": "yellow", "not reproduced": "red"}


def print_claims(claims: list[dict[str, Any]]) -> None:
    """Print the claims with what the runs say, and how many have which verdict."""
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    from kmc.plotting.report.claims_page import calibrated_text, figure_text, verdict_text

    out = ui.console()
    for claim in claims:
        verdict = verdict_text(claim)
        changed = [entry["input"] for entry in claim["inputs"] if entry["carries"]]
        colour = _STYLES.get(claim["verdict"], "dim")
        out.print(Text.assemble((claim["title"], "bold"), "  ", (verdict, colour)))
        table = Table.grid(padding=(0, 2))
        for name, text in (
            ("paper", claim["statement"]),
            ("runs", "; ".join(figure_text(row) for row in claim["figures"])),
            ("changed by", ", ".join(changed)),
            ("calibrated", calibrated_text(claim)),
        ):
            if text:
                table.add_row(Text(name), Text(text))
        out.print(Padding(table, (0, 0, 1, 2)))
    # A tally, as a reader counts verdicts before reading them.
    verdicts = [claim["verdict"] for claim in claims]
    counts = ", ".join(f"{verdicts.count(v)} {v}" for v in dict.fromkeys(verdicts))
    out.print(f"{len(claims)} claims: {counts}")
