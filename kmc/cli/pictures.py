"""Pictures of results, and files for other programs: `kmc plot`, `movie`, `impedance`, `report`,
`export`."""

import os
import time
from pathlib import Path
from typing import Any

import click

import kmc
from kmc.cli import shared as ui
from kmc.common.formatting import figure
from kmc.common.outputs import (
    ATOM_ENDINGS,
    MOVIE_ENDINGS,
    PICTURE_ENDINGS,
    SURFACE_ENDINGS,
    TABLE_ENDINGS,
    check_output,
)
from kmc.common.progress import frame_progress
from kmc.errors import InputError

_FOLLOW_S = 10.0
_FEW_FRAMES = 20  # of a movie or a lifeline: fewer look coarse
EXPORTS = ("atoms", "samples", "voids", "events", "surface")


class _Plot(click.Command):
    """Its help lists the pictures of every kind of run, which are loaded only then."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        from kmc.systems import SYSTEMS

        parts = [
            "\b\nPictures of "
            + "\n".join([f"{kind.noun}:", *(f"  {n:<11} {t}" for n, t in kind.pictures.items())])
            for kind in SYSTEMS.values()
        ]
        self.epilog = "\n\n".join([*parts, ui.help_text("plot")])
        super().format_epilog(ctx, formatter)


@click.command(cls=_Plot, short_help="Draw pictures of one or several trajectories.")
@ui.files_argument
@ui.option("--what", "Which picture; listed below.", "PICTURE", default="summary")
@ui.output_option("A .png, .svg or .pdf; FILE_PICTURE.png beside the first trajectory by default.")
@ui.frames_option
@ui.min_size_option
@ui.flag(
    "--paper",
    "With microscope: the operando data of Zhao et al. (2025) beside it, on their own scales.",
)
@ui.file_option(
    "--data",
    "With microscope: your measured data beside it, a CSV table; may be repeated. "
    "docs/measured.md has its columns.",
    multiple=True,
)
@ui.flag("--follow", "Draw again every few seconds until the runs have ended.")
@ui.force_option("the output")
@ui.quiet_option
def plot(
    files: tuple[Path, ...],
    what: str,
    output: Path | None,
    follow: bool,
    force: bool,
    quiet: bool,
    **options: Any,
) -> None:
    """Draw a picture of one or several trajectories FILE..."""
    what = what.lower()
    option = "--paper" if options["paper"] else "--data" if options["data"] else ""
    message = f"{option} has no meaning for the picture {what!r}"
    ui.refuse((option and what != "microscope", message, "It belongs to --what microscope."))
    path = check_output(output or _beside(files, what, ".png"), force, PICTURE_ENDINGS)
    # Loaded anew each time: with --follow the files grow between two pictures.
    while True:
        runs = [kmc.load(file) for file in files]
        kinds = sorted({run.system.noun for run in runs})
        message = f"the files are of different kinds: {', '.join(kinds)}"
        ui.refuse((len(kinds) > 1, message, "Draw the kinds by themselves."))
        with frame_progress(what, not quiet) as progress:
            ui.write(runs[0].system.plot(runs, what, progress=progress, **options), path)
        if not follow or all(run.finished for run in runs):
            break
        time.sleep(_FOLLOW_S)
    ui.say_written(path, quiet=quiet)
    # Voids are tracked from frame to frame: with few frames they seem to come and go.
    if what in ("voids", "lifelines") and not quiet:
        for run in runs:
            _hint_at_frames(run)


@click.command(short_help="Make a movie of a trajectory.", epilog=ui.help_text("movie"))
@ui.file_argument
@ui.output_option("A .gif, or an .mp4 where ffmpeg is installed; FILE.gif beside it by default.")
@ui.frames_option
@ui.number("--fps", "Frames per second.", default=8.0)
@ui.force_option("the output")
@ui.quiet_option
def movie(
    file: Path, output: Path | None, frames: str | None, fps: float, force: bool, quiet: bool
) -> None:
    """Make a movie of the run FILE.

    What a run shows from above and in a cross-section, with two of its curves.
    """
    path = check_output(output or _beside([file], "", ".gif"), force, MOVIE_ENDINGS)
    from kmc.files.frame_selection import choose_frames
    from kmc.plotting import save_movie

    run = kmc.load(file)
    chosen = None if frames is None else choose_frames(frames, len(run.frames))
    with frame_progress(path.name, not quiet) as progress:
        n = save_movie(run, path, frames=chosen, per_second=fps, progress=progress)
    ui.say_written(path, more=f": {_frames(n)}", quiet=quiet)
    if not quiet:
        _hint_at_frames(run)


@click.command(
    short_help="Write atoms or tables for other programs.", epilog=ui.help_text("export")
)
@ui.file_argument
@ui.option(
    "--what",
    "atoms as extended XYZ or LAMMPS dump; samples, voids or events as a table; surface: the "
    "gap of a population. By default atoms, or samples where the output is a table.",
    type=click.Choice(EXPORTS),
)
@ui.output_option(
    "Its ending decides the format: .xyz, .extxyz, .dump, .lammpstrj, with .gz compressed; .csv, "
    ".parquet; .vtk. By default FILE.xyz or FILE_WHAT.csv beside the trajectory."
)
@ui.option(
    "--to",
    "Contact and resistance against charge, of a population or a folder of them.",
    type=click.Choice(["pybamm"]),
)
@ui.frames_option
@ui.flag("--vacancies", "Atoms: vacancies too, as particles X.")
@ui.min_size_option
@ui.force_option("the output")
@ui.quiet_option
def export(
    file: Path,
    what: str | None,
    output: Path | None,
    to: str | None,
    frames: str | None,
    vacancies: bool,
    min_size: int,
    force: bool,
    quiet: bool,
) -> None:
    """Write atoms (XYZ, LAMMPS), the gap (VTK) or tables (CSV, Parquet) of the run FILE."""
    if to is not None:
        from kmc.campaign.cell_model import write_contact

        path = output or Path(f"{file.stem}_contact.csv")
        rows = write_contact(file, path, overwrite=force)
        more = f": {rows} rows; docs/pybamm.ipynb puts it into a half cell"
        ui.say_written(path, more=more, quiet=quiet)
        return
    if what is None:
        table = output is not None and output.suffix.lower() in TABLE_ENDINGS
        # Who names a .csv wants a table: atoms have no such format.
        what = "samples" if table else "atoms"
    endings = {"atoms": ATOM_ENDINGS, "surface": SURFACE_ENDINGS}.get(what, TABLE_ENDINGS)
    path = output or _beside([file], "" if what == "atoms" else what, endings[0])
    check_output(path, force, endings)
    if what == "samples" and frames is not None:
        raise InputError("--frames has no meaning for samples", advice="Samples are no frames.")
    if vacancies and what != "atoms":
        raise InputError(f"--vacancies has no meaning for {what}", advice="It belongs to atoms.")
    from kmc.analysis import export as exporting

    run = kmc.load(file)
    allowed = [*(["atoms"] if hasattr(run, "read_occupancy") else []), *run.system.tables]
    allowed += ["surface"] if hasattr(run, "gap_um") else []
    if what not in allowed:
        raise InputError(
            f"{run.path} is {run.system.noun}: it holds no {what}",
            advice=f"Use {' or '.join(f'--what {name}' for name in allowed)}.",
        )
    # pyarrow may be missing: refused before the frames are analysed, not after.
    if path.suffix.lower() == ".parquet":
        exporting.check_parquet(path)
    if what == "surface":
        from kmc.files.frame_selection import choose_frames

        chosen = choose_frames(frames or "last", len(run.frames))
        message = f"a surface is of one frame, and {len(chosen)} are chosen"
        ui.refuse((len(chosen) > 1, message, "Give one, such as --frames -1."))
        exporting.export_surface(run.gap_um(chosen[0]), run.edge_um, path, overwrite=force)
        ui.say_written(path, quiet=quiet)
        return
    options: dict[str, Any] = {"frames": frames, "min_size": min_size}
    with frame_progress(path.name, not quiet) as options["progress"]:
        if what == "atoms":
            n = exporting.export_xyz(run, path, vacancies=vacancies, overwrite=force, **options)
            content = _frames(n)
        else:
            table = run.system.tables[what](run, **options)
            exporting.export_table(table, path, overwrite=force)
            content = f"{len(table)} rows of {what}"
    ui.say_written(path, more=f": {content}", quiet=quiet)


@click.command(
    epilog=ui.help_text("impedance"),
    short_help="The impedance spectrum that a partial contact would show.",
)
@ui.file_argument
@ui.frames_option
@ui.number("--double-layer", "C_dl of the contact.", "µF/cm2", default=10.0)
@ui.number("--permittivity", "Of the electrolyte.", "ε", default=10.0)
@ui.file_option("--picture", "A Nyquist picture; FILE_impedance.png beside FILE by default.")
@ui.output_option("All spectra as a table, .csv or .parquet.")
@ui.file_option(
    "--data",
    "A measured spectrum, to be fitted and laid beside: a table of frequency, Z' and Z'', or "
    "EC-Lab text; may be repeated.",
    multiple=True,
)
@ui.number("--capacity", "mAh/cm² of each --data, in its order.", multiple=True)
@ui.file_option("--contact", "Table of the loss of contact against the first --data.")
@ui.force_option("the outputs")
@ui.quiet_option
def impedance(
    file: Path,
    frames: str | None,
    double_layer: float,
    permittivity: float,
    picture: Path | None,
    output: Path | None,
    data: tuple[Path, ...],
    capacity: tuple[float, ...],
    contact: Path | None,
    force: bool,
    quiet: bool,
) -> None:
    """Compute impedance spectra of the frames of FILE, a run of kmc upscale."""
    from kmc.analysis.export import export_table
    from kmc.analysis.spectrum import contact_table, read_spectrum
    from kmc.files.frame_selection import choose_frames
    from kmc.systems.population.impedance import impedances, nearest_frame

    picture = picture or _beside([file], "impedance", ".png")
    outputs = (picture, PICTURE_ENDINGS), (output, TABLE_ENDINGS), (contact, (".csv",))
    ui.check_outputs(force, *outputs)
    ui.refuse(
        (
            contact and (len(data) < 2 or len(capacity) != len(data)),
            f"--contact has {len(data)} spectra and {len(capacity)} charges",
            "Give two or more --data, the first with full contact, and a --capacity for each.",
        )
    )
    with ui.notes():
        spectra = [read_spectrum(path) for path in data]
    run = kmc.load(file)
    chosen = None if frames is None else choose_frames(frames, len(run.frames))
    layer: Any = {"double_layer_uF_cm2": double_layer, "relative_permittivity": permittivity}
    table = impedances(run, chosen, **layer)
    from kmc import plotting

    ui.write(plotting.impedance_picture(table, spectra), picture)
    if contact is not None:
        ui.write(contact_table(spectra, capacity), contact)
    if output is not None:
        export_table(table, output, overwrite=True)
    # Resistances do not depend on the frequency: one line a frame says all.
    for _, rows in table.groupby("frame") if not quiet else ():
        row = rows.iloc[0]
        click.echo(
            f"{figure(row['capacity_mAh_cm2'], 'mAh/cm²')}: contact "
            f"{100 * row['contact_fraction']:.1f} %, charge transfer "
            f"{figure(row['transfer_ohm_cm2'], 'Ω cm²')}, constriction "
            f"{figure(row['constriction_ohm_cm2'], 'Ω cm²')}"
        )
    for arc in spectra if not quiet else ():
        tops = ", ".join(figure(top, "Hz") for top in arc.tops_Hz)
        click.echo(
            f"{arc.path}: series {figure(arc.series_ohm_cm2, 'Ω cm²')}, interface "
            f"{figure(arc.interface_ohm_cm2)} ± {figure(arc.error_ohm_cm2, 'Ω cm²', 2)}, tops of "
            f"its arcs at {tops}; {nearest_frame(table, arc.interface_ohm_cm2)}"
        )
    ui.say_written(picture, output, contact, quiet=quiet)


@click.command(
    short_help="One self-contained HTML page of a run, a sweep or a study.",
    epilog=ui.help_text("report"),
)
@click.argument("source", metavar="FILE_OR_FOLDER", type=click.Path(path_type=Path))
@ui.output_option("A .html file; NAME_report.html beside FILE_OR_FOLDER by default.")
@ui.force_option("the page")
@ui.quiet_option
def report(source: Path, output: Path | None, force: bool, quiet: bool) -> None:
    """Write one self-contained HTML page of FILE_OR_FOLDER.

    Inputs with their sources, convergence, figures, claims and versions of a trajectory, a
    population of voids, the JSON of a nucleation result, or the folder of a sweep, a convergence
    study, a search for a critical value or a study.
    """
    from kmc.plotting.report import report as write

    ui.say_written(write(source, output, overwrite=force), quiet=quiet)


def _hint_at_frames(run: Any) -> None:
    """Name the key that gives a run more frames, where it has few."""
    count = len(run.frames)
    # Of some kinds the frames follow from the run itself: no key gives more.
    if count >= _FEW_FRAMES or not run.system.more_frames:
        return
    output = run.run.get("output") or {}
    keys = [key for key in output if key.startswith("frame_every_") and output[key]]
    key = f"a smaller output.{keys[0]}" if keys else run.system.more_frames
    click.echo(f"{run.path} has {_frames(count)}: {key} gives a run more.")


def _beside(files: Any, what: str, ending: str) -> Path:
    """Default name of an output: in the folder of the first file, by the first three files."""
    if os.path.isdir(files[0]):  # unlike Path's, False for a name that is no name
        raise InputError(
            f"{files[0]} is a folder", advice="Give a file; kmc sweep-plot draws a sweep."
        )
    stems = list(dict.fromkeys(Path(file).stem for file in files))
    more = f"{len(stems) - 3}_more" if len(stems) > 3 else ""
    # A name of all files may be longer than the file system takes.
    name = "_".join(filter(None, (*stems[:3], more, what)))
    return Path(files[0]).with_name(name + ending)


def _frames(n: int) -> str:
    return "1 frame" if n == 1 else f"{n} frames"
