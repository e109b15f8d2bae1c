"""`kmc image`: voids in segmented images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from kmc.cli import shared as ui
from kmc.common.outputs import PICTURE_ENDINGS
from kmc.errors import InputError

_EPILOG = """\
\b
Examples:
  kmc image cut.png --scale 12.5 --electrolyte 128
  kmc image ct.tif --scale 650 --void 1 --electrolyte 2 --metal below
  kmc image a.png b.png --scale 12.5 --capacity 0.1 --capacity 0.5 -o mine.csv
  kmc plot strip_li.h5 --what microscope --data mine.csv
  kmc image --plan top.png --scale 250 --void 0 --voids each.csv
  kmc image --plan a.tif b.tif upscale_li.h5 --scale 250 --threshold otsu \
      --capacity 0.1 --capacity 0.5 -o plan.csv --picture plan.png

An image is segmented: one grey value for each phase. The interface is the edge of the electrolyte,
column by column; without --electrolyte it is the lower edge of the image (with --metal below the
upper one). Each slice of a TIFF stack is a line. Widths and heights of the table are means, and
their errors standard deviations. docs/measured.md has the columns.
"""


@click.command(epilog=_EPILOG, short_help="Measure voids in segmented SEM or CT images.")
@ui.files_argument
@ui.option("--scale", type=float, metavar="NM", help="Width of a pixel in nm; of images alone.")
@ui.option("--void", type=float, default=0, metavar="VALUE", help="Grey value of voids.")
@ui.option(
    "--plan", is_flag=True, help="Images from above; runs of kmc upscale may stand beside them."
)
@ui.option("--threshold", metavar="VALUE|otsu", help="With --plan: voids are darker than this.")
@ui.option("--bright", is_flag=True, help="With --threshold: voids are brighter.")
@ui.file_option("--picture", metavar="FILE.png", help="With --plan: all of it against charge.")
@ui.option("--electrolyte", type=float, metavar="VALUE", help="Grey value of the electrolyte.")
@ui.option(
    "--metal",
    type=click.Choice(["above", "below"]),
    default="above",
    help="Where the metal lies, seen from the electrolyte.",
)
@ui.count_option("--min-size", default=4, help="Fewest connected pixels that make a void.")
@ui.option(
    "--capacity",
    "capacities",
    type=float,
    multiple=True,
    metavar="mAh/cm2",
    help="Charge passed at an image; once for each FILE, in their order.",
)
@ui.option("--series", metavar="NAME", help="Name of the sample; the first FILE by default.")
@ui.output_option("Write a row for each image, for `kmc plot --data`.", "FILE.csv")
@ui.file_option("--voids", "single", metavar="FILE.csv", help="Write a row for each void.")
@ui.force_option("the outputs")
@ui.quiet_option
def image(
    files: tuple[Path, ...],
    scale: float | None,
    plan: bool,
    threshold: str | None,
    bright: bool,
    picture: Path | None,
    void: float,
    electrolyte: float | None,
    metal: str,
    min_size: int,
    capacities: tuple[float, ...],
    series: str | None,
    output: Path | None,
    single: Path | None,
    force: bool,
    quiet: bool,
) -> None:
    """Measure voids along the interface of the segmented images FILE..."""
    # Runs have a scale and a charge of their own; images want both.
    pictures = [path for path in files if not (plan and path.suffix.lower() in (".h5", ".hdf5"))]
    if scale is None and pictures:
        raise InputError("images have no scale of their own", advice="Give --scale in nm a pixel.")
    if not plan and (threshold or bright or picture):
        raise InputError("--threshold, --bright and --picture belong to --plan")
    if plan and electrolyte is not None:
        raise InputError("--electrolyte has no meaning for a plan view")
    # A picture is drawn against the charge, so there each image needs one.
    if (picture or capacities) and len(capacities) != len(pictures):
        raise InputError(
            f"--capacity was given {len(capacities)} times for {len(pictures)} images",
            advice="Give it once for each image, in mAh/cm².",
        )
    # A first look wants no charge; rows without one hold at every capacity (`kmc plot --data`).
    charges = capacities or (float("nan"),) * len(pictures)
    if output and pictures and not capacities and not quiet:
        click.echo(
            f"No --capacity: the rows of {output} hold at every charge until capacity_mAh_cm2 is "
            "filled in",
            err=True,
        )
    if any(not 0 <= capacity < float("inf") for capacity in capacities):
        raise InputError("a --capacity is negative or infinite", advice="Give mAh/cm².")
    tables, drawn = ((output, (".csv",)), (single, (".csv",))), (picture, PICTURE_ENDINGS)
    ui.check_outputs(force, *tables, drawn)
    from kmc.analysis import export, measured, plan_view
    from kmc.analysis import segmented_image as images
    from kmc.common.progress import frame_progress

    # Charges belong to images in their order; runs among the files have their own.
    following = iter(charges)

    def measure(path: Path) -> list[tuple]:
        """Of each view of a file: series, charge, numbers, voids, and a line to print."""
        if path not in pictures:  # a run: each of its frames is a plan view
            from kmc.systems.run import load

            views = plan_view.plans_of_run(load(path), min_size=min_size)
            return [_of_plan(*view) for view in views]
        pixels, charge = images.read_image(path), next(following)
        name = series or pictures[0].stem
        assert scale is not None  # refused above, as one of the files is an image
        if plan:
            mask = plan_view.voids_of_image(pixels, void=void, threshold=threshold, bright=bright)
            view = plan_view.measure_plan(mask, scale / 1e3, min_size=min_size)
            return [_of_plan(name, charge, view)]
        options: dict[str, Any] = {"electrolyte": electrolyte, "metal": metal}
        one = images.measure_image(pixels, scale, void=void, min_size=min_size, **options)
        voids = one.voids.assign(file=str(path))
        return [(name, charge, one.measured_row(), voids, f": {_summary(one)}")]

    found: list[list[tuple]] = []
    with frame_progress("plan views" if plan else "images", not quiet) as progress:
        for path in files:
            try:
                found.append(measure(path))
            except InputError as problem:
                # Of many files the message has to name the one that cannot be measured.
                named = "" if str(path) in problem.message else f"{path}: "
                raise InputError(named + problem.message, advice=problem.advice) from None
            progress(len(found), len(files))
    views = [view for of_file in found for view in of_file]
    for path, of_file in zip(files, found, strict=True):
        for *_, text in of_file if not quiet else ():
            click.echo(f"{path}{text}")
    table, voids = measured.rows_of_pictures([v[:3] for v in views], [v[3] for v in views])
    if picture is not None:
        from kmc import plotting

        runs = [path.stem for path in files if path not in pictures]
        ui.write(plotting.plan_picture(table, runs), picture)
    for one, to in ((table, output), (voids, single)):
        if to is not None:
            export.export_table(one, to, overwrite=force)
    ui.say_written(output, single, picture, quiet=quiet)


def _of_plan(name: str, charge: float, view: Any) -> tuple:
    """What `image` needs of a plan view."""
    from kmc.analysis.measured import CAPACITY
    from kmc.common.formatting import figure, plural

    row = view.row
    text = f", {figure(charge, 'mAh/cm²')}" if charge == charge else ""
    text += f": {plural(len(view.voids), 'void')} ({figure(row['voids_per_mm2'])} per mm²)"
    text += f", contact loss {row['contact_loss_percent']:.1f} %"
    # Voids that the edge cuts have neither a diameter nor, alone, a density.
    if row["diameter_um"] == row["diameter_um"]:
        text += f", diameter {figure(row['diameter_um'], 'µm')}"
    if len(view.voids) > 1:  # a single void has no neighbour
        text += f", neighbours {figure(row['neighbour_um'], 'µm')} apart"
    if row["neighbour_ratio"] == row["neighbour_ratio"]:
        text += f", {row['neighbour_ratio']:.2f} times that of random places"
    return name, charge, row, view.voids.assign(series=name, **{CAPACITY: charge}), text


def _summary(one: Any) -> str:
    """Number, contact loss, widths and heights of an image in one or two lines."""
    from kmc.common.formatting import figure, plural

    lines = plural(one.n_lines, "line")
    text = f"{lines} of {figure(one.line_length_nm / 1e3, 'µm')}, "
    text += f"{plural(int(one.row['voids']), 'void')} "
    text += f"({figure(one.row['voids_per_100um'])} per 100 µm), "
    text += f"contact loss {100 * one.row['contact_loss']:.1f} %"
    if len(one.voids):
        for name in ("width", "height"):
            mean, most = (one.row[f"{name}_{what}_nm"] / 1e3 for what in ("mean", "max"))
            text += f"\n  {name} {figure(mean, 'µm')} on average, {figure(most, 'µm')} at most"
    # A void that the frame cuts has no width, only a bound.
    if edges := int(one.voids["at_edge"].sum()):
        verb = "reaches" if edges == 1 else "reach"
        text += f"\n  {edges} of them {verb} the edge of the image and may be wider than seen"
    return text
