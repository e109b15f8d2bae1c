"""`kmc run`, and its alias `kmc upscale`: a run file of any kind into a file and a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from kmc.cli.shared import (
    check_every_option,
    finish,
    named_argument,
    picture_of,
    quiet_option,
    read_settings,
    run_options,
)
from kmc.common.outputs import check_output, check_trajectory_name
from kmc.errors import InputError

_EPILOG = """\
\b
Examples:
  kmc run strip_li
  kmc run strip_limg -o alloy.h5 --seed 7
  kmc run strip_li --set system.size="[48, 48, 32]" --set stop.capacity_monolayers=1
  kmc run strip_li --set acceleration.max_hops_per_strip_per_site=1e6 --force
  kmc run strip_li --set stop.capacity_monolayers=none --set stop.contact_fraction=0.5
  kmc run my_run.toml --set parameters.second_shell_ratio=0.4
  kmc run upscale_li --set conditions.current_density_mA_cm2=0.2
  kmc run plate_zno_002
  kmc run cathode_se

A value of none removes the key. `kmc init -` prints every key with its unit and range; `kmc runs
list` names the runs that come with kmc.

Exit codes: 0 finished, 2 the input cannot be used (nothing was written), 1 the run failed,
130 interrupted; kmc resume goes on from what was recorded.
"""
_UPSCALE = """\
\b
Examples:
  kmc upscale upscale_li
  kmc upscale upscale_limg -o alloy.h5 --seed 7
  kmc upscale operando_li --set upscale.rounding_length_um=1 -o less_round.h5
  kmc upscale upscale_li --set conditions.current_density_mA_cm2=0.2 --force
  kmc plot upscale_li.h5 upscale_limg.h5 --what microscope --paper
  kmc info upscale_li.h5 --json

\b
In Python:
  p = kmc.run("upscale_li")
  p.samples.contact_fraction, p.gap_um(-1), p.voids.footprint_um2

What the numbers mean, and their assumptions: docs/upscaling.md.
"""


class _WithKinds(click.Command):
    """Lists the kinds of run in its help; they are imported only then."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        from kmc.runfile.kinds import KINDS, find_more

        find_more()
        rows = [
            (f"[{kind.section}]" if kind.section else "none of these", kind.noun)
            for kind in KINDS.values()
        ]
        with formatter.section("Kinds of run, by a section of the run file"):
            formatter.write_dl(rows)
        super().format_epilog(ctx, formatter)


@click.command("run", cls=_WithKinds, epilog=_EPILOG, short_help="Run a simulation of any kind.")
@named_argument("runs")
@run_options
@check_every_option
@quiet_option
def run(name_or_path: str, **options: Any) -> None:
    """Run NAME_OR_PATH: a shipped run, or the path of a run file.

    Everything is checked before anything is computed. Writes a file (HDF5) that can be read while
    the run goes on, a picture beside it, and prints a summary.
    """
    _run(name_or_path, **options)


@click.command(
    "upscale",
    epilog=_UPSCALE,
    short_help="A population of voids, from nanometres to what a microscope sees.",
)
@named_argument("runs")
@run_options
@quiet_option
def upscale(name_or_path: str, **options: Any) -> None:
    """Run NAME_OR_PATH, a run file with a section [upscale]; kmc run does the same.

    The gap between metal and electrolyte on a periodic square: voids nucleate at the true rates
    or begin on flaws, share the stripped volume through the diffusion of vacancies, round off,
    meet and split, and the metal comes down where vacancies end. Writes an HDF5 file and a picture
    beside it, and prints a summary.
    """
    _run(name_or_path, kind="population", **options)


def _run(
    name_or_path: str,
    *,
    output: Path | None,
    settings: tuple[str, ...],
    seed: int | None,
    force: bool,
    quiet: bool,
    check_every: int | None = None,
    kind: str = "",
) -> None:
    from kmc.runfile.load import load_run

    overrides, origins = read_settings(settings, seed)
    run_file = load_run(name_or_path, overrides, origins=origins)
    path = Path(f"{run_file.name}.h5") if output is None else output
    picture = picture_of(path)
    if path == picture:
        raise InputError(
            f"{path} would be both the file of the run and its picture",
            advice="Give the file a name that ends in .h5; the picture goes beside it.",
        )
    check_trajectory_name(path)
    check_output(path, force)
    check_output(picture, force, what="picture")
    if not quiet:
        _announce(run_file)
    from kmc.systems.run import run_to_file
    from kmc.systems.slowing import warn_of_another_drive

    if not quiet:
        warn_of_another_drive(name_or_path, overrides)

    found = run_to_file(
        run_file, path, kind=kind, overwrite=force, progress=not quiet, check_every=check_every
    )
    finish(found, quiet=quiet, checked=check_every)


def _announce(run_file: Any) -> None:
    """Say where the run will end and about how long it takes, before its first event."""
    from kmc.campaign.estimate import seconds_of
    from kmc.common.formatting import duration
    from kmc.runfile.ends import ends
    from kmc.runfile.run_file import from_resolved

    seconds = seconds_of(from_resolved(run_file.resolved()))
    cost = f"; about {duration(max(seconds, 1.0), 2)} of processor" if seconds == seconds else ""
    click.echo(f"{run_file.name} ends {ends(run_file)}{cost}", err=True)
