"""`kmc converge`: convergence of the numbers of a run with its ratio, cells or square."""

import sys
from pathlib import Path
from typing import Any

import click

from kmc.cli import shared as ui
from kmc.common.formatting import plural
from kmc.common.outputs import PICTURE_ENDINGS, check_ending, check_output


@click.command(
    short_help="Convergence of a run with the ratio of hops to strips.",
    epilog=ui.help_text("converge"),
)
@ui.named_argument("runs")
@ui.option(
    "--ratios",
    "Levels: values of acceleration.max_hops_per_strip_per_site; the last one may be inf, "
    "equilibrium between strips.",
    "R1,R2,...",
)
@ui.option("--cells", "Of a population of voids: widths of cells, grid_um.", "UM,UM,...")
@ui.option("--squares", "Of a population of voids: edges of its square, domain_um.", "UM,UM,...")
@ui.option(
    "--levels --rungs levels",
    "Number of levels without --ratios: ten times apart, up to ten times the ratio of the "
    "run; 5 by default. (--rungs is its former name.)",
    "N",
    type=int,
)
@ui.option("--replicas", "Runs at each level.", type=int, default=4)
@ui.number(
    "--at",
    "Monolayers, of a population mAh/cm², at which contact and voids are read; the end of "
    "each run by default.",
    "CAPACITY",
)
@ui.number(
    "--tolerance",
    "Change that a tenfold ratio may make, as a share of the number (of contact loss: or a "
    "tenth of that of the interface, if that is more).",
    default=0.1,
)
@ui.every_run_option
@ui.seed_option
@ui.workers_option
@ui.folder_option("-o --output", "Where the runs go; NAME_converge by default.")
@ui.file_option(
    "--plot picture", "The picture, .png, .svg or .pdf; converge.png in the folder by default."
)
@ui.flag("--no-plot", "Draw no picture.")
@ui.file_option("--csv", "Also write a table.")
@ui.file_option("--json json_file", "Also write everything as JSON.")
@ui.dry_run_option
@ui.quiet_option
def converge(
    name_or_path: str,
    ratios: str | None,
    cells: str | None,
    squares: str | None,
    levels: int | None,
    replicas: int,
    at: float | None,
    tolerance: float,
    settings: tuple[str, ...],
    seed: int,
    workers: int | None,
    output: Path | None,
    picture: Path | None,
    no_plot: bool,
    csv: Path | None,
    json_file: Path | None,
    dry_run: bool,
    quiet: bool,
) -> None:
    """Run NAME_OR_PATH at several ratios of hops to strips, and test its numbers for convergence.

    Barriers are raised until the fastest hop is RATIO times as frequent as stripping at one site.
    The study shows contact loss, void density, mean void width, onset capacity, supersaturation,
    overpotential and the share of vacancies that the electrode absorbs against that ratio, of
    Aurbach's protocol also its loss (1 − efficiency). It marks the numbers that have converged, and
    fits power laws to the others. The ratio inf is equilibrium between strips, where hops are
    fastest. Of a population of voids the cells of its grid or its square are varied instead, and
    the seed at each.
    """
    ui.refuse(
        (ratios and levels is not None, "--ratios and --levels exclude each other", "Give one."),
        (picture and no_plot, "--plot and --no-plot exclude each other", "Give one."),
    )
    endings_of = {picture: PICTURE_ENDINGS, csv: (".csv",), json_file: (".json",)}
    outputs = {file: endings for file, endings in endings_of.items() if file is not None}
    # Endings first: whether a file can be written is known where the folder of the runs is.
    for file, endings in outputs.items():
        check_ending(file, endings)

    from kmc.campaign.convergence import levels as study
    from kmc.campaign.convergence.outcome import check_reading, read_study
    from kmc.campaign.execute import run_plan
    from kmc.campaign.folder import check_folder
    from kmc.cli.sweeps import print_costs, print_failures

    # Before the runs: what cannot be read afterwards is refused before hours of computing.
    check_reading(at, tolerance)
    options = {
        "--ratios": (ratios, "1e4,1e5,1e6"),
        "--cells": (cells, "0.4,0.2"),
        "--squares": (squares, "20,40"),
    }
    axis, chosen = study.axis_and_levels(
        *(ui.numbers_of(option, *typed) or None for option, typed in options.items())
    )
    asked = study.Levels(
        name_or_path,
        chosen,
        study.LEVELS if levels is None else levels,
        replicas,
        ui.read_settings(settings)[0],
        seed,
        axis,
    )
    folder = output or Path(f"{asked.check()[0].name}_converge{'_squares' * (squares is not None)}")
    for file in outputs:
        if file.parent.resolve() != folder.resolve():  # which is made below
            check_output(file, True)
    # Levels and replicas of earlier calls in the folder stay part of the study.
    plan = asked.plan(folder)
    existing = check_folder(folder, plan)
    if dry_run:
        print_costs(plan, existing, folder, workers)
        return
    tally = run_plan(plan, folder, workers=workers, progress=not quiet)
    print_failures(tally, folder)
    # Levels that are not complete would look converged, or not, by chance.
    if tally.interrupted:
        sys.exit(ui.INTERRUPTED)
    # Reading is apart from running: `--at` reads runs that are there at another charge.
    study_result = read_study(folder, at=at, tolerance=tolerance, workers=workers)
    picture = None if no_plot else picture or folder / "converge.png"
    if picture is not None:
        picture = ui.draw(study_result.plot, picture)
    ui.write(study_result.table(), csv)
    ui.write(study_result.to_json(), json_file)
    if not quiet:
        click.echo(f"{study_result.base}: contact and voids {study_result.moment}")
        _print_table(study_result)
        for line in study_result.lines():
            click.echo(f"\n{ui.paragraph(line)}")
        click.echo()
        ui.say_written(picture, csv, json_file, folder)
        # The picture of the same moment, which --at decides, not that of the end.
        what = "voids" if study_result.axis.slows else "contact_fraction"
        what += "" if study_result.at is None else f" --at {study_result.at:g}"
        ui.print_next(
            f"kmc sweep-plot {ui.quoted(folder)} --what {what}",
            f'python: import kmc; kmc.load_sweep("{folder.as_posix()}")',
        )
    if tally.failed:
        sys.exit(1)


def _print_table(found: Any) -> None:
    """A row for each number: its levels, the physical ratio where it has converged, the verdict."""
    from kmc.campaign.convergence.findings import ratio_text, short

    findings, axis = list(found.findings.values()), found.axis
    words = {"converged": "holds", "changing": "changes", "unclear": "not decided"}
    runs = [max(finding.all_levels[i].n for finding in findings) for i in range(len(found.ratios))]
    heads = [
        f"{axis.text(level)}\n{plural(n, 'run')}"
        for level, n in zip(found.ratios, runs, strict=True)
    ]
    physical = [f"{ratio_text(found.physical_ratio)}\nphysical"] * axis.slows
    rows = []
    for finding in findings:
        scale, end = finding.observable.scale, finding.physical
        unit = "%" if finding.observable.percent else finding.observable.unit
        cells = [_cell(level, scale) for level in finding.all_levels]
        ends = (
            [f"{short(scale * x)}" for x in (end.value, end.widest_low, end.widest_high)]
            if end
            else []
        )
        cells += ["\n".join([ends[0], " – ".join(ends[1:])]) if end else "open"] * axis.slows
        label = finding.observable.label + f", {unit}" * bool(unit)
        rows.append([label, *cells, words.get(finding.verdict, "not known")])
    caption = "means with 95 % intervals (Student's t); ✓ converged; ≥ some runs ended before it"
    if axis.slows:
        caption += "; physical: of the levels that agree, with the tolerance for every decade"
    heads = ["", *heads, *physical, f"with the {axis.noun}"]
    ui.console().print(ui.table(heads, rows, caption=caption))


def _cell(level: Any, scale: float) -> str:
    """The mean of a level and half of its interval; none is known of a single run."""
    from kmc.campaign.convergence.findings import short

    if not level.n:
        return "–"
    text = ("≥ " if level.censored else "") + f"{float(f'{scale * level.mean:.3g}'):.7g}"
    if level.low == level.low:
        text += f" ± {short(scale * (level.high - level.mean))}"
    return text + (" ✓" if level.converged else "")
