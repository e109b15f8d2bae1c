"""`kmc impedance`: the spectrum that a partial contact would show."""

from __future__ import annotations

from pathlib import Path

import click

from kmc.cli.shared import file_argument, file_option, force_option, option, quiet_option
from kmc.common.outputs import PICTURE_ENDINGS, TABLE_ENDINGS, check_output

_EPILOG = """\
\b
Examples:
  kmc impedance upscale_li.h5
  kmc impedance upscale_li.h5 --frames ::4 --double-layer 20 -o spectra.csv

Charge transfer and constriction follow from the map of contact and the parameter set; the
capacitances are inputs. docs/upscaling.md has the formula.
"""


@click.command(epilog=_EPILOG, short_help="Impedance of the interface of a population of voids.")
@file_argument
@option("--frames", metavar="N,N|START:STOP:STEP", help="Frames from 0; all by default.")
@option("--double-layer", type=float, default=10.0, metavar="µF/cm2", help="C_dl of the contact.")
@option("--permittivity", type=float, default=10.0, metavar="ε", help="Of the electrolyte.")
@file_option("--picture", help="A Nyquist picture; FILE_impedance.png beside FILE by default.")
@file_option("-o", "--output", help="All spectra as a table, .csv or .parquet.")
@force_option("the outputs")
@quiet_option
def impedance(
    file: Path,
    frames: str | None,
    double_layer: float,
    permittivity: float,
    picture: Path | None,
    output: Path | None,
    force: bool,
    quiet: bool,
) -> None:
    """Compute impedance spectra of the frames of FILE, a run of kmc upscale."""
    from kmc.common.formatting import figure
    from kmc.files.frame_selection import choose_frames
    from kmc.systems.population.impedance import impedances
    from kmc.systems.run import load

    picture = picture or file.with_name(f"{file.stem}_impedance.png")
    check_output(picture, force, PICTURE_ENDINGS, "picture")
    if output is not None:
        check_output(output, force, TABLE_ENDINGS)
    found = load(file)
    chosen = None
    if frames is not None:
        chosen = choose_frames(frames, len(getattr(found, "frames", {}).get("time_s", ())))
    table = impedances(
        found, chosen, double_layer_uF_cm2=double_layer, relative_permittivity=permittivity
    )
    from kmc import plotting
    from kmc.analysis.export import export_table

    plotting.save(plotting.impedance_picture(table), picture)
    if output is not None:
        export_table(table, output, overwrite=True)
    if quiet:
        return
    for _, rows in table.groupby("frame"):
        row = rows.iloc[0]
        click.echo(
            f"{figure(row['capacity_mAh_cm2'], 'mAh/cm²')}: contact "
            f"{100 * row['contact_fraction']:.1f} %, charge transfer "
            f"{figure(row['transfer_ohm_cm2'], 'Ω cm²')}, constriction "
            f"{figure(row['constriction_ohm_cm2'], 'Ω cm²')}"
        )
    for written in (picture, output):
        if written is not None:
            click.echo(f"Wrote {written}")
