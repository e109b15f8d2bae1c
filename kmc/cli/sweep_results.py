"""`kmc sweep-plot` and `kmc critical`: results of sweeps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from kmc.cli.shared import (
    every_run_option,
    file_option,
    folder_option,
    force_option,
    named_argument,
    option,
    quiet_option,
    seed_option,
    workers_option,
)
from kmc.common.outputs import PICTURE_ENDINGS, check_output, replacing
from kmc.errors import InputError


@click.command(
    "sweep-plot",
    short_help="Draw the results of a sweep, and write them as CSV.",
    epilog="\b\nExamples:\n"
    "  kmc sweep-plot study_temperature\n"
    "  kmc sweep-plot study_temperature --what max_void_width_nm --at 0.5\n"
    "  kmc sweep-plot study_interface_energy --x current_density_mA_cm2 --heatmap -o map.png\n"
    "  kmc sweep-plot study_interface_energy --where formation_energy_L1_eV=0.4 --csv table.csv\n"
    "\n\b\nIn Python:\n"
    '  ds = kmc.load_sweep("study_temperature")      an xarray.Dataset of every number\n'
    '  ds.contact_fraction.mean("replica")\n',
)
@click.argument("folder", type=click.Path(path_type=Path))
@option("--x", metavar="AXIS", help="Axis along x; the first that varies by default.")
@option("--y", metavar="AXIS", help="Second axis: one line for each of its values.")
@option(
    "--what",
    metavar="NUMBER",
    help="What is drawn: a column of the samples, a number of the voids, or a charge at which "
    "contact is lost; an unknown name lists them. By default contact_fraction, of populations "
    "without --at half_contact_mAh_cm2.",
)
@option(
    "--at",
    type=float,
    metavar="CAPACITY",
    help="Charge at which it is read: mAh/cm² for populations of voids, monolayers for all others; "
    "the end of each run by default.",
)
@option(
    "--where",
    multiple=True,
    metavar="AXIS=VALUE",
    help="Keep one value of an axis that is not drawn. May be repeated.",
)
@option("--heatmap", is_flag=True, help="Colour over two axes in place of lines.")
@option(
    "--onset-contact", type=float, default=0.9, help="Contact fraction whose loss is the onset."
)
@file_option(
    "-o",
    "--output",
    help="A .png, .svg or .pdf; FOLDER_NUMBER.png beside the folder by default.",
)
@file_option("--csv", help="Also write what is drawn: means and intervals.")
@file_option("--runs-csv", help="Also write every number of every run.")
@force_option("the output")
@quiet_option
def sweep_plot(
    folder: Path,
    x: str | None,
    y: str | None,
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
) -> None:
    """Draw the results of the sweep in FOLDER, of the points that are done.

    Lines are means over replicas, bands 95 % intervals of the mean (Student's t).
    """
    from kmc.campaign.dataset import charge_of, headline_of, load_sweep

    what = what or headline_of(folder, at)
    beside = folder.resolve()
    beside = beside.with_name(f"{beside.name}_{what}.png")
    path = output or (Path(beside.name) if beside.parent == Path.cwd() else beside)
    outputs = {path: PICTURE_ENDINGS, **{table: (".csv",) for table in (csv, runs_csv) if table}}
    for file, endings in outputs.items():
        check_output(file, force, endings)
    chosen = dict(_pair(text) for text in where)

    asked = {} if at is None else {f"at_{charge_of(folder)}": at}
    ds = load_sweep(folder, **asked, onset_contact=onset_contact, progress=not quiet)
    from kmc.plotting.style import save
    from kmc.plotting.sweep_panels import sweep_picture, sweep_table

    options: dict[str, Any] = {"x": x, "y": y, "at": at, "where": chosen}
    save(sweep_picture(ds, what, heatmap=heatmap, **options), path)
    if csv is not None:
        _write_table(sweep_table(ds, what, **options), csv)
    if runs_csv is not None:
        _write_table(ds.to_dataframe().reset_index(), runs_csv)
    if not quiet:
        click.echo(f"Wrote {', '.join(str(file) for file in outputs)}")
        _print_gaps(ds, folder)
        _print_censored(ds, what)


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name.strip() or not value.strip():
        raise InputError(
            f"--where {text} is not AXIS=VALUE", advice="For example --where temperature_K=298.15."
        )
    return name.strip(), value.strip()


def _write_table(table: Any, path: Path) -> None:
    with replacing(path) as draft:
        table.to_csv(draft, index=False)


def _print_gaps(ds: Any, folder: Path) -> None:
    """Print the number of runs that are not in the picture."""
    states = ds.state.values.ravel()
    gaps = [(state, int((states == state).sum())) for state in sorted(set(states) - {"done"})]
    if gaps:
        missing = ", ".join(f"{n} {state}" for state, n in gaps)
        click.echo(
            f"{missing} of {len(states)} runs are not in it: `kmc sweep` runs what is missing.",
            err=True,
        )


def _print_censored(ds: Any, what: str) -> None:
    """Print how many runs give only a bound."""
    mask = ds[what].attrs.get("censored")
    if mask and (early := int(ds[mask].sum())):
        click.echo(
            f"{early} of {int((ds.state == 'done').sum())} runs ended before: their charge is a "
            "lower bound, drawn as a triangle.",
            err=True,
        )


_CRITICAL_EPILOG = """\
\b
Examples:
  kmc critical strip_li --vary conditions.current_density_mA_cm2 --between 0.1 100 \\
      --criterion "contact_fraction<0.7" --at 1 --set system.size="[20, 20, 16]" \\
      --set acceleration.max_hops_per_strip_per_site=none \\
      --set acceleration.slow_down_by=7e5
  kmc critical my_run.toml --vary conditions.temperature_K --between 270 370 \\
      --criterion "voids>=3" --at 0.5 --replicas 8
  kmc critical operando_li --calibration calibrate_operando --experiment "Li 7 MPa" \\
      --vary conditions.stack_pressure_MPa --between 0.2 10 --set upscale.pressure_share=1 \\
      --criterion "contact_fraction<0.5" --at 1
  kmc critical ... --against "parameters.formation_energy_L1_eV=[0.28, 0.4, 0.5]"

Quote the criterion for the shell. The runs are kept in the folder: a second call runs only what is
missing, and `kmc sweep-plot` and kmc.load_sweep read them.
"""


@click.command(
    short_help="Find the current, pressure, ... at which runs begin to fail.",
    epilog=_CRITICAL_EPILOG,
)
@named_argument("runs")
@option(
    "--vary",
    required=True,
    metavar="SECTION.KEY",
    help="What is varied: any numeric key of a run file.",
)
@option("--between", required=True, nargs=2, type=float, metavar="LOW HIGH", help="Range searched.")
@option(
    "--criterion",
    required=True,
    metavar="TEST",
    help='What counts as failure: "contact_fraction<0.8", "overpotential_V>0.1", "voids>=2" ...',
)
@option(
    "--at",
    type=float,
    metavar="CAPACITY",
    help="Charge at which runs end and are judged: mAh/cm² for populations of voids, monolayers "
    "for all others; by default the run file says when they end.",
)
@option(
    "--replicas",
    type=int,
    help="Runs at each value, at least 2; 4 by default, 12 with --calibration.",
)
@folder_option(
    "--calibration",
    help="Folder of kmc calibrate: the runs are at samples of its posterior, and the value is "
    "given up to which 9 of 10 keep clear of the criterion.",
)
@option("--experiment", metavar="NAME", help="Of the calibration, whose inputs the runs have.")
@option(
    "--tolerance",
    type=float,
    default=0.2,
    help="Half of the 95 % interval at which the search ends: a share of the value, or of the "
    "range where its ends are less than a factor of 3 apart or not both positive.",
)
@option(
    "--max-runs", type=click.IntRange(min=1), default=120, help="Runs at which the search ends."
)
@option(
    "--against",
    metavar="KEY=[V1, V2, ...]",
    help="Search again for each value of a second key, and draw the map.",
)
@every_run_option
@seed_option
@workers_option
@folder_option(
    "-o", "--output", help="Where the runs, the picture and the table go; NAME_critical by default."
)
@quiet_option
def critical(
    name_or_path: str,
    vary: str,
    between: tuple[float, float],
    criterion: str,
    replicas: int | None,
    calibration: Path | None,
    experiment: str | None,
    against: str | None,
    settings: tuple[str, ...],
    workers: int | None,
    output: Path | None,
    quiet: bool,
    **search: Any,
) -> None:
    """Find where the runs of NAME_OR_PATH begin to fail, with a 95 % interval.

    The critical value is where half of the runs meet the criterion. Bisection with repeats finds
    the region, a logistic fit by maximum likelihood the value, its profile likelihood the interval.
    Whether failure becomes more or less frequent with the variable follows from the runs.
    """
    from kmc.campaign.critical import search as study
    from kmc.campaign.critical.criterion import parse_criterion
    from kmc.campaign.critical.question import Question, map_table
    from kmc.campaign.critical.threshold import Scale
    from kmc.plotting.thresholds import threshold_map_picture, threshold_picture
    from kmc.runfile.load import parse_override

    replicas = replicas or (12 if calibration else 4)
    question = Question(
        base=name_or_path,
        vary=vary,
        scale=Scale.between(*between),
        criterion=parse_criterion(criterion),
        replicas=replicas,
        settings=dict(parse_override(text) for text in settings),
        **search,
        samples=study.posterior_samples(calibration, experiment, replicas),
    )
    name = question.check().name
    question.warn_of_hidden_effects()
    folder = output or Path(f"{name}_critical")
    report = (lambda text: None) if quiet else click.echo
    options: dict[str, Any] = {"workers": workers, "report": report, "progress": not quiet}
    if against is None:
        found = study.find(question, folder, **options)
        report("\n" + "\n".join(found.lines()))
        picture, table = threshold_picture(found), found.table()
    else:
        key, values = study.parse_against(against)
        several = study.find_against(question, key, values, folder, **options)
        report("")
        for value, one in zip(values, several, strict=True):
            report(f"{key} = {value:g}: {one.sentence}")
        picture = threshold_map_picture(several, key, values)
        table = map_table(several, key, values)
    from kmc.plotting.style import save

    save(picture, folder / "critical.png")
    _write_table(table, folder / "critical.csv")
    report(
        f"Wrote {folder / 'critical.png'} and {folder / 'critical.csv'}; the runs are in {folder}"
    )
