"""`kmc image`: voids in micrographs."""

import os
import warnings
from pathlib import Path
from typing import Any

import click

import kmc
from kmc.cli import shared as ui
from kmc.common.formatting import figure, plural
from kmc.common.outputs import PICTURE_ENDINGS
from kmc.common.progress import frame_progress
from kmc.errors import InputError, KmcWarning

# Pictures with this name are those of `kmc image`: replaced, and never measured.
_OWN = "_kmc.png"
_SCALES_AGREE = 0.02


@click.command(epilog=ui.help_text("image"), short_help="Measure voids in SEM or CT images.")
@ui.files_argument
@ui.number("--scale", "Width of a pixel in nm; by default what a FILE states.", "NM")
@ui.number("--void", "Grey value of voids; by default 0, with --threshold the darkest.", "VALUE")
@ui.flag("--plan", "Images from above; runs of kmc upscale may stand beside them.")
@ui.option(
    "--threshold",
    "Of a grey image: what parts its phases, two values with --electrolyte.",
    "otsu|VALUE|VALUE,VALUE",
)
@ui.flag("--bright", "With --threshold: voids are the brightest phase.")
@ui.option(
    "--rim",
    "Most pixels of a false rim of the third phase around voids; found by itself by default.",
    "N",
    type=click.IntRange(0),
)
@ui.file_option("--picture", "With --plan: all of it against charge.", "FILE.png")
@ui.number("--electrolyte", "Grey value of the electrolyte.", "VALUE")
@ui.option(
    "--metal",
    "Where the metal lies, seen from the electrolyte.",
    type=click.Choice(["above", "below"]),
    default="above",
)
@ui.count_option("--min-size", "Fewest connected pixels that make a void.", default=4)
@ui.number(
    "--capacity capacities",
    "Charge passed at an image; once for each FILE, in their order.",
    "mAh/cm2",
    multiple=True,
)
@ui.option("--series", "Name of the sample; the first FILE by default.", "NAME")
@ui.output_option("Write a row for each image, for `kmc plot --data`.", "FILE.csv")
@ui.file_option("--voids single", "Write a row for each void.", "FILE.csv")
@ui.force_option("the outputs")
@ui.quiet_option
def image(
    files: tuple[Path, ...],
    scale: float | None,
    plan: bool,
    threshold: str | None,
    bright: bool,
    rim: int | None,
    picture: Path | None,
    void: float | None,
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
    """Measure voids along the interface in the images FILE..."""
    own = [path for path in files if path.name.endswith(_OWN)]
    files = tuple(path for path in files if path not in own)
    if own and not quiet:
        click.echo(f"Left out, as kmc image wrote them: {', '.join(map(str, own))}", err=True)
    # Runs have a scale and a charge of their own.
    pictures = [path for path in files if not (plan and path.suffix.lower() in (".h5", ".hdf5"))]
    ui.refuse(
        (not files, "no image is left", "Give images that kmc image has not written."),
        (not plan and picture, "--picture belongs to --plan", "It is drawn of views from above."),
        (bright and not threshold, "--bright belongs to --threshold", "Give --void VALUE."),
        (plan and electrolyte is not None, "--electrolyte has no meaning for a plan view", ""),
    )
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
    # Two files may differ in their endings alone.
    stems = [os.path.splitext(path)[0] for path in pictures]
    names = {
        path: path.stem if stems.count(stem) == 1 else path.name
        for path, stem in zip(pictures, stems, strict=True)
    }
    # Beside the image, or here where its folder is read-only.
    places = {path: path.parent if os.access(path.parent, os.W_OK) else Path() for path in pictures}
    seen = {path: places[path] / f"{names[path]}{_OWN}" for path in pictures}
    tables, drawn = ((output, (".csv",)), (single, (".csv",))), (picture, PICTURE_ENDINGS)
    ui.check_outputs(force, *tables, drawn)
    ui.check_outputs(True, *((path, (".png",)) for path in seen.values()))
    from kmc import plotting
    from kmc.analysis import export, measured, plan_view
    from kmc.analysis import segmented_image as images
    from kmc.analysis.image_files import read_micrograph

    # Charges belong to images in their order; runs among the files have their own.
    following = iter(charges)

    def measure(path: Path) -> list[tuple]:
        """Of each view of a file: series, charge, numbers, voids, and a line to print."""
        if path not in pictures:  # a run: each of its frames is a plan view
            views = plan_view.plans_of_run(kmc.load(path), min_size=min_size)
            return [_of_plan(*view) for view in views]
        shot, charge = read_micrograph(path), next(following)
        nm_per_pixel, notes = _scale_of(path, shot, scale)
        name = series or pictures[0].stem
        about: dict[str, Any] = {"void": void, "min_size": min_size, "threshold": threshold}
        about |= {"bright": bright, "rim": rim}
        if plan:
            shown: Any = plan_view.measure_plan_image(shot.pixels, nm_per_pixel / 1e3, **about)
            *row, text = _of_plan(name, charge, shown)
        else:
            about |= {"electrolyte": electrolyte, "metal": metal}
            shown = images.measure_image(shot.pixels, nm_per_pixel, **about)
            text = f": {_summary(shown)}"
            row = [name, charge, shown.measured_row(), shown.voids.assign(file=str(path))]
        notes = [*shot.notes, *notes, *shown.notes]
        heads = [line.strip() for line in text.removeprefix(": ").split("\n")]
        drawing = plotting.segmentation_picture(shown.views, path.name, [*heads, *notes])
        ui.write(drawing, seen[path])
        return [(*row, "\n  ".join([text, *notes]))]

    of_files: list[list[tuple]] = []
    with frame_progress("plan views" if plan else "images", not quiet) as progress:
        for path in files:
            try:
                of_files.append(measure(path))
            except InputError as problem:
                # Of many files the message has to name the one that cannot be measured.
                named = "" if str(path) in problem.message else f"{path}: "
                raise InputError(named + problem.message, advice=problem.advice) from None
            progress(len(of_files), len(files))
    views = [view for of_file in of_files for view in of_file]
    for path, of_file in zip(files, of_files, strict=True):
        for *_, text in of_file if not quiet else ():
            click.echo(f"{path}{text}")
    table, voids = measured.rows_of_pictures([v[:3] for v in views], [v[3] for v in views])
    if picture is not None:
        runs = [path.stem for path in files if path not in pictures]
        ui.write(plotting.plan_picture(table, runs), picture)
    for rows, to in ((table, output), (voids, single)):
        if to is not None:
            export.export_table(rows, to, overwrite=force)
    ui.say_written(*seen.values(), output, single, picture, quiet=quiet)


def _scale_of(path: Path, shot: Any, scale: float | None) -> tuple[float, list[str]]:
    """Width of a pixel in nm, and what there is to say of it."""
    stated = shot.nm_per_pixel
    if scale is None and stated is None:
        raise InputError(f"{path} states no scale", advice="Give --scale in nm a pixel.")
    if scale is None:
        return stated, [f"{figure(stated, 'nm')} a pixel, by {shot.scale_source}"]
    if stated is not None and abs(scale / stated - 1) > _SCALES_AGREE:
        message = f"{path}: --scale {scale:g} counts, and {shot.scale_source} says "
        message += f"{figure(stated, 'nm')} a pixel: all lengths differ by {figure(scale / stated)}"
        warnings.warn(message, KmcWarning, stacklevel=2)
    return scale, []


def _of_plan(name: str, charge: float, view: Any) -> tuple:
    """What `image` needs of a plan view."""
    from kmc.analysis.measured import CAPACITY

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


def _summary(cut: Any) -> str:
    """Number, contact loss, widths and heights of an image in one or two lines."""
    lines = plural(cut.n_lines, "line")
    text = f"{lines} of {figure(cut.line_length_nm / 1e3, 'µm')}, "
    text += f"{plural(int(cut.row['voids']), 'void')} "
    text += f"({figure(cut.row['voids_per_100um'])} per 100 µm), "
    text += f"contact loss {100 * cut.row['contact_loss']:.1f} %"
    if len(cut.voids):
        for name in ("width", "height"):
            mean, most = (cut.row[f"{name}_{what}_nm"] / 1e3 for what in ("mean", "max"))
            text += f"\n  {name} {figure(mean, 'µm')} on average, {figure(most, 'µm')} at most"
    # A void that the frame cuts has no width, only a bound.
    if edges := int(cut.voids["at_edge"].sum()):
        verb = "reaches" if edges == 1 else "reach"
        text += f"\n  {edges} of them {verb} the edge of the image and may be wider than seen"
    return text
