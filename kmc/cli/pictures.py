"""`kmc plot`, `kmc movie` and `kmc export`: pictures, and files for other programs."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import click

from kmc.cli.shared import (
    file_argument,
    file_option,
    files_argument,
    force_option,
    min_size_option,
    option,
    quiet_option,
)
from kmc.common.outputs import (
    ATOM_ENDINGS,
    MOVIE_ENDINGS,
    PICTURE_ENDINGS,
    PICTURES,
    TABLE_ENDINGS,
    check_output,
)
from kmc.common.progress import frame_progress
from kmc.errors import InputError
from kmc.files.frame_selection import HELP

_FOLLOW_S = 10.0
_FEW_FRAMES = 20  # of a movie or a lifeline: fewer look coarse
EXPORTS = ("atoms", "samples", "voids", "events")

_FRAMES = option("--frames", metavar="WHICH", help=f"Frames: {HELP}, such as ::5.")
_FORCE = force_option("the output")


def _epilog(examples: str) -> str:
    return "\b\nExamples:\n" + examples


_OF_POPULATIONS = {"events": "of a population: voids that split, met or closed, by charge and size"}
_PICTURE_LIST = "\n".join(
    f"  {name:<11} {text}" for name, text in (PICTURES | _OF_POPULATIONS).items()
)


@click.command(
    short_help="Draw pictures of one or several trajectories.",
    epilog=f"\b\nPictures:\n{_PICTURE_LIST}\n\n"
    + _epilog(
        "  kmc plot strip_li.h5\n"
        "  kmc plot strip_li.h5 --what map --frames 0,5,10 -o maps.pdf\n"
        "  kmc plot strip_li.h5 strip_limg.h5 --what microscope --paper\n"
        "  kmc plot strip_li.h5 --what microscope --data mine.csv\n"
        "  kmc plot strip_li.h5 --follow               of a run that goes on\n"
    ),
)
@files_argument
@option(
    "--what",
    default="summary",
    metavar="PICTURE",
    help="Which picture; listed below.",
)
@file_option(
    "-o",
    "--output",
    help="A .png, .svg or .pdf; FILE_PICTURE.png beside the first trajectory by default.",
)
@_FRAMES
@min_size_option
@option(
    "--paper",
    is_flag=True,
    help="With microscope: the operando data of Zhao et al. (2025) beside it, on their own scales.",
)
@file_option(
    "--data",
    multiple=True,
    help="With microscope: your measured data beside it, a CSV table; may be repeated. "
    "docs/measured.md has its columns.",
)
@option("--follow", is_flag=True, help="Draw again every few seconds until the runs have ended.")
@_FORCE
@quiet_option
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
    paper, data = options["paper"], options["data"]
    what = what.lower()
    if (paper or data) and what != "microscope":
        raise InputError(
            f"{'--paper' if paper else '--data'} has no meaning for the picture {what!r}",
            advice="It belongs to --what microscope.",
        )
    path = output or _beside(files, what, ".png")
    check_output(path, force, PICTURE_ENDINGS)
    runs = _load(files)
    system = _one_kind(runs)
    from kmc import plotting

    while True:
        with frame_progress(what, not quiet) as progress:
            plotting.save(system.plot(runs, what, progress=progress, **options), path)
        if not follow or all(run.finished for run in runs):
            break
        time.sleep(_FOLLOW_S)
        runs = _load(files)
    _report(f"Wrote {path}", quiet)
    if what in ("voids", "lifelines"):
        for one in runs:
            _hint_at_frames(one, quiet)


@click.command(
    short_help="Make a movie of a trajectory.",
    epilog=_epilog(
        "  kmc movie strip_li.h5\n"
        "  kmc movie strip_li.h5 -o strip_li.mp4 --fps 12\n"
        "  kmc movie strip_li.h5 --frames ::5\n"
    ),
)
@file_argument
@file_option(
    "-o",
    "--output",
    help="A .gif, or an .mp4 where ffmpeg is installed; FILE.gif beside it by default.",
)
@_FRAMES
@option("--fps", type=float, default=8.0, help="Frames per second.")
@_FORCE
@quiet_option
def movie(
    file: Path, output: Path | None, frames: str | None, fps: float, force: bool, quiet: bool
) -> None:
    """Make a movie of the run FILE.

    What a run shows from above and in a cross-section, with two of its curves.
    """
    path = output or file.with_suffix(".gif")
    check_output(path, force, MOVIE_ENDINGS)
    (found,) = _load([file])
    from kmc.files.frame_selection import choose_frames

    if found.system.movie is None:
        raise InputError(
            f"{file} is {found.system.noun}, of which there are no movies",
            advice=f"kmc plot {file} --what map shows its frames.",
        )
    chosen = None if frames is None else choose_frames(frames, _n_frames(found))
    with frame_progress(path.name, not quiet) as progress:
        n = found.system.movie(found, path, frames=chosen, per_second=fps, progress=progress)
    _report(f"Wrote {path}: {_frames(n)}", quiet)
    _hint_at_frames(found, quiet)


@click.command(
    short_help="Write atoms or tables for other programs.",
    epilog=_epilog(
        "  kmc export strip_li.h5                        atoms of all frames: strip_li.xyz\n"
        "  kmc export strip_li.h5 --frames -1 --vacancies -o last.xyz\n"
        "  kmc export strip_li.h5 -o samples.csv\n"
        "  kmc export strip_li.h5 --what voids -o voids.parquet\n"
        "  kmc export my_sweep --to pybamm -o contact.csv    for a cell model\n"
    ),
)
@file_argument
@option(
    "--what",
    type=click.Choice(EXPORTS),
    help="atoms as extended XYZ; samples, voids or events as a table. By default atoms, or samples "
    "where the output is a table.",
)
@file_option(
    "-o",
    "--output",
    help="Its ending decides the format: .xyz, .extxyz, .xyz.gz (compressed); .csv, .parquet. By "
    "default FILE.xyz or FILE_WHAT.csv beside the trajectory.",
)
@option(
    "--to",
    type=click.Choice(["pybamm"]),
    help="Contact and resistance against charge, of a population or a folder of them.",
)
@_FRAMES
@option("--vacancies", is_flag=True, help="Atoms: vacancies too, as particles X.")
@min_size_option
@_FORCE
@quiet_option
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
    """Write the trajectory FILE as extended XYZ (OVITO, ASE), or its tables as CSV or Parquet."""
    if to is not None:
        from kmc.campaign.cell_model import write_contact

        path = output or Path(f"{file.stem}_contact.csv")
        rows = write_contact(file, path, overwrite=force)
        _report(f"Wrote {path}: {rows} rows; docs/pybamm.ipynb puts it into a half cell", quiet)
        return
    if what is None:
        table = output is not None and output.suffix.lower() in TABLE_ENDINGS
        what = "samples" if table else "atoms"
    endings = ATOM_ENDINGS if what == "atoms" else TABLE_ENDINGS
    path = output or _beside([file], "" if what == "atoms" else what, endings[0])
    check_output(path, force, endings)
    if what == "samples" and frames is not None:
        raise InputError("--frames has no meaning for samples", advice="Samples are no frames.")
    if vacancies and what != "atoms":
        raise InputError(f"--vacancies has no meaning for {what}", advice="It belongs to atoms.")
    (trajectory,) = _load([file])
    allowed = [*(["atoms"] if trajectory.kind == "electrode" else []), *trajectory.system.tables]
    if what not in allowed:
        raise InputError(
            f"{trajectory.path} is {trajectory.system.noun}: it holds no {what}",
            advice=f"Use {' or '.join(f'--what {name}' for name in allowed)}.",
        )
    from kmc.analysis import export as exporting

    if path.suffix.lower() == ".parquet":
        exporting.check_parquet(path)
    with frame_progress(path.name, not quiet) as progress:
        if what == "atoms":
            n = exporting.export_xyz(
                trajectory,
                path,
                frames=frames,
                vacancies=vacancies,
                min_size=min_size,
                overwrite=force,
                progress=progress,
            )
            content = _frames(n)
        else:
            table = trajectory.system.tables[what](
                trajectory, frames=frames, min_size=min_size, progress=progress
            )
            exporting.export_table(table, path, overwrite=force)
            content = f"{len(table)} rows of {what}"
    _report(f"Wrote {path}: {content}", quiet)


# --- helpers --------------------------------------------------------------------------------------


def _load(files: Any) -> list[Any]:
    from kmc.systems.run import load

    return [load(file) for file in files]


def _hint_at_frames(found: Any, quiet: bool) -> None:
    """Name the key that gives a run more frames, where it has few."""
    count = _n_frames(found)
    output = found.run.get("output")
    if count >= _FEW_FRAMES or not found.system.more_frames:
        return
    given = [key for key in output or {} if key.startswith("frame_every_") and output[key]]
    key = f"a smaller output.{given[0]}" if given else found.system.more_frames
    _report(f"{found.path} has {_frames(count)}: {key} gives a run more.", quiet)


def _n_frames(found: Any) -> int:
    """Frames of a run: a sequence, or columns by name."""
    frames = found.frames
    return len(frames["sample"]) if isinstance(frames, dict) else len(frames)


def _one_kind(runs: list[Any]) -> Any:
    """The kind of all of them; pictures do not mix kinds."""
    kinds = {run.system.noun: run.system for run in runs}
    if len(kinds) > 1:
        raise InputError(
            f"the files are of different kinds: {', '.join(sorted(kinds))}",
            advice="Draw the kinds by themselves.",
        )
    return runs[0].system


def _beside(files: Any, what: str, ending: str) -> Path:
    """Default name of an output: in the folder of the first file, by the first three files."""
    stems = list(dict.fromkeys(Path(file).stem for file in files))
    more = [f"{len(stems) - 3}_more"] if len(stems) > 3 else []
    return Path(files[0]).with_name(
        "_".join([*stems[:3], *more, *([what] if what else [])]) + ending
    )


def _frames(n: int) -> str:
    return "1 frame" if n == 1 else f"{n} frames"


def _report(text: str, quiet: bool) -> None:
    if not quiet:
        click.echo(text)
