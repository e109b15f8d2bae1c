"""Results of many runs: `kmc sweep-plot`, `kmc compare` and `kmc critical`."""

from functools import partial
from pathlib import Path
from typing import Any

import click

import kmc
from kmc.cli import shared as ui
from kmc.common.formatting import plural
from kmc.common.outputs import PICTURE_ENDINGS

_LONGEST_NAME = 24  # of a column; longer ones stand above the table


@click.command(
    "sweep-plot",
    short_help="Draw the results of a sweep, and write them as CSV.",
    epilog=ui.help_text("sweep-plot"),
)
@click.argument("folder", type=click.Path(path_type=Path))
@ui.option("--x", "Axis along x; the first that varies by default.", "AXIS")
@ui.option("--y", "Second axis: one line for each of its values.", "AXIS")
@ui.option(
    "--what",
    "What is drawn: a column of the samples, a number of the voids, or a charge at which "
    "contact is lost; an unknown name lists them. By default contact_fraction, of populations "
    "without --at half_contact_mAh_cm2.",
    "NUMBER",
)
@ui.capacity_option("it is read", "the end of each run")
@ui.option(
    "--where",
    "Keep one value of an axis that is not drawn. May be repeated.",
    "AXIS=VALUE",
    multiple=True,
)
@ui.flag("--heatmap", "Colour over two axes in place of lines.")
@ui.number("--onset-contact", "Contact fraction whose loss is the onset.", default=0.9)
@ui.output_option("A .png, .svg or .pdf; FOLDER_NUMBER.png beside the folder by default.")
@ui.file_option("--csv", "Also write what is drawn: means and intervals.")
@ui.file_option("--runs-csv", "Also write every number of every run.")
@ui.force_option("the output")
@ui.quiet_option
def sweep_plot(
    folder: Path,
    what: str | None,
    at: float | None,
    where: tuple[str, ...],
    heatmap: bool,
    onset_contact: float,
    output: Path | None,
    csv: Path | None,
    runs_csv: Path | None,
    force: bool,
    quiet: bool,
    **axes: Any,
) -> None:
    """Draw the results of the sweep in FOLDER, of the points that are done.

    Lines are means over replicas, bands 95 % intervals of the mean (Student's t).
    """
    from kmc.campaign.dataset import charge_of, headline_of

    # What is drawn by default depends on the kind of run: of a population a charge.
    what = what or headline_of(folder, at)
    # Resolved, as the folder may be given as . or .. and the picture is named after it.
    beside = folder.resolve()
    beside = beside.with_name(f"{beside.name}_{what}.png")
    path = output or (Path(beside.name) if beside.parent == Path.cwd() else beside)
    ui.check_outputs(force, (path, PICTURE_ENDINGS), (csv, (".csv",)), (runs_csv, (".csv",)))
    pairs = [
        ui.key_and_value("--where", text, "--where temperature_K=298.15", "AXIS") for text in where
    ]
    asked = {} if at is None else {f"at_{charge_of(folder)}": at}
    ds = kmc.load_sweep(folder, **asked, onset_contact=onset_contact, progress=not quiet)
    from kmc.plotting.sweep_panels import sweep_picture, sweep_table

    options: dict[str, Any] = {"at": at, "where": dict(pairs), **axes}
    ui.write(sweep_picture(ds, what, heatmap=heatmap, **options), path)
    if csv is not None:
        ui.write(sweep_table(ds, what, **options), csv)
    if runs_csv is not None:
        ui.write(ds.to_dataframe().reset_index(), runs_csv)
    ui.say_written(path, csv, runs_csv, quiet=quiet)
    if quiet:
        return
    states = ds.state.values.ravel().tolist()
    # A picture of half a sweep must not pass for the whole.
    if gaps := sorted(set(states) - {"done"}):
        missing = ", ".join(f"{states.count(state)} {state}" for state in gaps)
        click.echo(
            f"{missing} of {len(states)} runs are not in it: `kmc sweep` runs what is missing.",
            err=True,
        )
    mask = ds[what].attrs.get("censored")
    if mask and (early := int(ds[mask].sum())):
        click.echo(
            f"{early} of {states.count('done')} runs ended before: their charge is a lower bound, "
            "drawn as a triangle.",
            err=True,
        )


@click.command(
    short_help="What differs between runs: inputs and results.", epilog=ui.help_text("compare")
)
@ui.files_argument
@ui.capacity_option("results are read", "the end of each run")
@ui.flag("--all everything", "Also what is the same in all of them.")
@ui.file_option("--csv", "Also write the table.")
@ui.file_option("--json json_file", "Also write every input and result.")
@ui.force_option("the output")
def compare(
    files: tuple[Path, ...],
    at: float | None,
    everything: bool,
    csv: Path | None,
    json_file: Path | None,
    force: bool,
) -> None:
    """Print the inputs in which the runs in FILEs differ, and their results; of any kind."""
    ui.check_outputs(force, (csv, (".csv",)), (json_file, (".json",)))
    from kmc.campaign.compare import text_of

    compared = kmc.compare(*files, at=at)
    names = list(compared.names)
    # Columns as wide as long names would leave no room for the numbers.
    if max(map(len, names)) > _LONGEST_NAME:
        names = [f"run {i}" for i in range(1, len(names) + 1)]
        for short, name in zip(names, compared.names, strict=True):
            click.echo(f"{short}: {name}")
    for what, title in (("input", "Inputs"), ("result", f"Results {compared.moment}")):
        # How many rows agree is printed, as the table leaves them out.
        every = [row for row in compared.rows(everything=True) if row[0] == what]
        rows = [row for row in compared.rows(everything=everything) if row[0] == what]
        units = what == "result"  # inputs have theirs in their names
        cells = [[name, *[unit] * units, *map(text_of, vs)] for _, name, unit, vs in rows]
        same = len(every) - len(rows)
        caption = f"{same} more agree (--all)" if same else ""
        heads = ["", *["unit"] * units, *names]
        ui.console().print(ui.table(heads, cells, title, caption, left=range(1 + units)))
    for note in compared.notes:
        click.echo(ui.paragraph(f"Note: {note}"))
    ui.write(compared.to_dataframe(everything=everything), csv)
    ui.write(compared.to_json(), json_file)


@click.command(
    short_help="Find the current, pressure, ... at which runs begin to fail.",
    epilog=ui.help_text("critical"),
)
@ui.named_argument("runs")
@ui.option("--vary", "What is varied: any numeric key of a run file.", "SECTION.KEY", required=True)
@ui.number("--between", "Range searched.", "LOW HIGH", required=True, nargs=2)
@ui.option(
    "--criterion",
    'What counts as failure: "contact_fraction<0.8", "overpotential_V>0.1", "voids>=2" ...',
    "TEST",
    required=True,
)
@ui.capacity_option("runs end and are judged", "that of the run file")
@ui.option(
    "--replicas", "Runs at each value, at least 2; 4 by default, 12 with --calibration.", type=int
)
@ui.folder_option(
    "--calibration",
    "Folder of kmc calibrate: the runs are at samples of its posterior, and the value is "
    "given up to which 9 of 10 keep clear of the criterion.",
)
@ui.option("--experiment", "Of the calibration, whose inputs the runs have.", "NAME")
@ui.number(
    "--tolerance",
    "Half of the 95 % interval at which the search ends: a share of the value, or of the "
    "range where its ends are less than a factor of 3 apart or not both positive.",
    default=0.2,
)
@ui.count_option("--max-runs", "Runs at which the search ends.", default=120)
@ui.option(
    "--against",
    "Search again for each value of a second key, and draw the map.",
    "KEY=[V1, V2, ...]",
)
@ui.every_run_option
@ui.seed_option
@ui.workers_option
@ui.folder_option(
    "-o --output", "Where the runs, the picture and the table go; NAME_critical by default."
)
@ui.dry_run_option
@ui.quiet_option
def critical(
    name_or_path: str,
    between: tuple[float, float],
    criterion: str,
    replicas: int | None,
    calibration: Path | None,
    experiment: str | None,
    against: str | None,
    settings: tuple[str, ...],
    workers: int | None,
    output: Path | None,
    dry_run: bool,
    quiet: bool,
    **search: Any,
) -> None:
    """Find where the runs of NAME_OR_PATH begin to fail, with a 95 % interval.

    The critical value is where half of the runs meet the criterion. Bisection with repeats finds
    the region, a logistic fit by maximum likelihood the value, its profile likelihood the interval.
    Whether failure becomes more or less frequent with the variable follows from the runs.
    """
    from kmc.campaign.critical import search as study
    from kmc.campaign.critical.question import Question, map_table, parse_criterion
    from kmc.campaign.critical.threshold import Scale
    from kmc.common.conditions import unsourced
    from kmc.plotting.campaign_pages import threshold_map_picture, threshold_picture

    # Runs at a value are samples of the posterior: four would not span it.
    replicas = replicas or (12 if calibration else 4)
    question = Question(
        base=name_or_path,
        scale=Scale.between(*between),
        criterion=parse_criterion(criterion),
        replicas=replicas,
        settings=ui.read_settings(settings)[0],
        **search,
        samples=study.posterior_samples(calibration, experiment, replicas),
    )
    run = question.check()
    name, inputs = run.name, {"run": run.resolved(), "parameters": run.parameter_set().resolved()}
    # A ratio of hops to strips follows the current: it may hide what is searched for.
    question.warn_of_hidden_effects()
    folder = output or Path(f"{name}_critical")
    if dry_run:
        from kmc.campaign.folder import check_folder
        from kmc.cli.sweeps import print_costs

        plan, searches = study.first_plan(question, folder), 1
        if against is not None:
            searches = len(study.parse_against(against)[1])
        print_costs(plan, check_folder(folder, plan), folder, workers)
        each = f", for each of the {searches} values of --against" if searches > 1 else ""
        most = plural(question.max_runs, "run")
        click.echo(f"These are the ends of the range; {most} at most are made in all{each}.")
        return
    report = (lambda text: None) if quiet else click.echo
    options: dict[str, Any] = {"workers": workers, "report": report, "progress": not quiet}
    if against is None:
        result = study.find(question, folder, **options)
        report("\n" + "\n".join(result.lines()))
        make, table = partial(threshold_picture, result), result.table()
    else:
        key, values = study.parse_against(against)
        several = study.find_against(question, key, values, folder, **options)
        report("")
        for value, answer in zip(values, several, strict=True):
            report(f"{key} = {value:g}: {answer.sentence}")
        make = partial(threshold_map_picture, several, key, values)
        table = map_table(several, key, values)
    for label, text in unsourced(inputs):
        report(f"{label}: {text}")
    file = folder / "critical.csv"
    ui.write(table, file)
    picture = ui.draw(make, folder / "critical.png")
    ui.say_written(picture, file, more=f"; the runs are in {folder}", quiet=quiet)
