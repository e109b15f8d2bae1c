"""`kmc nucleation`: free energies of clusters, nucleation at the true rates, and its burst."""

import json
from collections.abc import Callable
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kmc.cli import shared as ui
from kmc.common.formatting import count, duration, figure, plural
from kmc.common.outputs import PICTURE_ENDINGS

if TYPE_CHECKING:
    from kmc.nuclei.equilibrium_voids import EquilibriumVoid, EquilibriumVoids
    from kmc.nuclei.report import Nucleation


def _numbers(ctx: click.Context, option: click.Parameter, text: str | None) -> tuple[float, ...]:
    example = {"--voids": "30,100", "--temperatures": "273.15,333.15"}.get(option.opts[0])
    return ui.numbers_of(option.opts[0], text, example or "0.2,0.4,0.6")


@click.command(
    "nucleation",
    short_help="Nucleation of voids at the true rates, without an event loop.",
    epilog=ui.help_text("nucleation"),
)
@ui.named_argument("params", "runs", name="run_or_params")
@ui.option("--lattice", "Lattice and its face; the run's, or bcc_100.", "NAME")
@ui.number("--temperature temperature_K", "The run's, or 298.15.", "K")
@ui.number("--mg-coverage", "Share of Mg in L1 alone; the run's, or 0.", "X")
@ui.number("--mg-fraction", "Share of Mg in all other layers; or 0.", "X")
@ui.number("--current current_mA_cm2", "The run's, or 0.5 mA/cm².", "MA_CM2")
@ui.number("--thickness thickness_um", "The run's, or 100 µm of metal.", "UM")
@ui.number(
    "--sink-length sink_length_um",
    "λ of the interface as a sink of vacancies; the run's, or none.",
    "UM",
)
@ui.number(
    "--sink-depth sink_depth_um",
    "1/κ of the sinks in the metal, 1/√ρ of its dislocations; the run's, or none.",
    "UM",
)
@ui.option(
    "--n-max",
    "Largest cluster that is sampled; beyond, a cap law goes on.",
    "N",
    type=int,
    default=60,
)
@ui.option(
    "--capture",
    "How a void takes up vacancies: the field of metal and interface together, or the sum of "
    "the two side by side.",
    type=click.Choice(["field", "sum"]),
    default="field",
)
@ui.option(
    "--coverages",
    "Again at these coverages of L1, with a picture of the barrier against the coverage.",
    "X,X,...",
    callback=_numbers,
)
@ui.option("--temperatures", "Again at these temperatures.", "K,K,...", callback=_numbers)
@ui.option(
    "--voids",
    "Instead, voids of so many vacancies in equilibrium: S, footprint, height, free energy.",
    "N,N,...",
    callback=_numbers,
)
@ui.option("--seed", metavar="N", type=int, default=1)
@ui.file_option("--json json_file", "Also write JSON.")
@ui.output_option("Picture (.png, .svg or .pdf); NAME_nucleation.png (or _voids) by default.")
@ui.force_option("the picture and the JSON file")
@ui.quiet_option
def nucleation(
    run_or_params: str,
    json_file: Path | None,
    output: Path | None,
    force: bool,
    quiet: bool,
    coverages: tuple[float, ...],
    temperatures: tuple[float, ...],
    voids: tuple[float, ...],
    **options: Any,
) -> None:
    """Nucleation of voids at the interface of RUN_OR_PARAMS, at the true rates.

    RUN_OR_PARAMS is a parameter set (li_li2s), or a run, whose temperature, lattice, current,
    thickness, sinks and Mg are taken.

    Sums the weights Z_n of all clusters of n vacancies (enumerated for small n, sampled beyond),
    and from them works out the work of a void W(S, n), its critical size, the rate of nucleation,
    and under the current the burst: how many voids, at which supersaturation S, and when. Takes
    about half a minute on one core; Mg, other coverages and temperatures take longer.
    """
    from kmc.nuclei.nucleation_conditions import conditions_of
    from kmc.nuclei.study import nucleation as study

    ui.refuse(
        (
            voids and (coverages or temperatures),
            "--voids goes with one coverage and one temperature",
            "Give --mg-coverage and --temperature, once for each.",
        )
    )
    keys = ["current_mA_cm2", "thickness_um", "sink_length_um", "sink_depth_um"]
    keys += ["lattice", "temperature_K", "mg_coverage", "mg_fraction"] if voids else []
    conditions = conditions_of(run_or_params, **{key: options[key] for key in keys})
    name = conditions.name
    # Checked before the minutes that the sampling takes.
    picture = output or Path(f"{name}_{'voids' if voids else 'nucleation'}.png")
    ui.check_outputs(force, (picture, PICTURE_ENDINGS), (json_file, (".json",)))
    if voids:
        from kmc.nuclei.equilibrium_voids import equilibrium_voids

        sampled = equilibrium_voids(conditions, voids, seed=options["seed"], progress=not quiet)
        ui.write(sampled.plot(), picture)
        ui.write(json.dumps(sampled.to_json(), indent=1), json_file)
        if not quiet:
            print_voids(sampled)
            ui.say_written(picture, json_file)
        return
    if not quiet:
        # Each state of the interface is sampled anew.
        states = 1 + len(coverages) + len(temperatures)
        cost = f"{plural(states, 'state')} of the interface, about {duration(20.0 * states, 2)}"
        click.echo(f"{name}: {cost} of processor; with Mg several times as long", err=True)
    options |= {"coverages": coverages, "temperatures_K": temperatures}
    result = study(run_or_params, progress=not quiet, **options)
    drawn = ui.draw(result.plot, picture)
    ui.write(json.dumps(result.to_json(), indent=1, allow_nan=False), json_file)
    if not quiet:
        print_nucleation(result)
        click.echo()
        ui.say_written(drawn, json_file)


def print_voids(result: "EquilibriumVoids") -> None:
    """Table of voids in equilibrium, and what must be known of it."""
    columns: dict[str, Callable[[EquilibriumVoid], str]] = {
        "n": lambda void: str(void.n),
        "S": lambda void: figure(void.S),
        "low": lambda void: figure(void.S_low),
        "high": lambda void: figure(void.S_high),
        "L1": lambda void: figure(void.footprint),
        "nm": lambda void: f"{void.height_nm:.2f}",
        "h/w": lambda void: f"{void.height_nm / (2 * void.radius_nm):.2f}",
        "V/R³": lambda void: f"{void.volume_over_R3:.2f}",
        "angle": lambda void: f"{void.angle_deg:.0f}°",
        "ln Z": lambda void: figure(void.ln_Z, digits=5),
    }
    c, out = result.conditions, ui.console()
    title = f"Voids in equilibrium: {c.name}, {c.lattice}, {c.temperature_K:g} K"
    out.print(ui.table(columns, result.voids, title))
    out.print(
        "S, its lowest and highest of the window, vacant sites of L1, height, height over width, "
        "volume over radius³ and contact angle of the metal above such a cap, ln Z per L1 site."
    )
    for line in result.statements():
        out.print(f"• {line}")


def print_nucleation(study: "Nucleation") -> None:
    """Tables of ln Z_n, of the work by S and of the burst, and their assumptions."""
    out = ui.console()
    c, model, free, maps = study.conditions, study.model, study.free, study.quenched
    mg = f", Mg: {c.mg_coverage:g} of L1, {c.mg_fraction:g} elsewhere" * free.surface.has_mg
    out.print(f"[bold]{c.name}[/bold]  {c.lattice}, {c.temperature_K:g} K{mg}")
    out.print(
        f"ln Z_n per L1 site: n ≤ {free.enumerated} enumerated, n ≤ {free.n_max} sampled by "
        f"{free.walkers} walks of {count(free.steps)} steps"
    )
    sizes = (1, 2, 3, 5, 7, 10, 15, 20, 30, 40, 60, 80, 100)
    shown = dict.fromkeys([*(n for n in sizes if n <= free.n_max), free.n_max])
    clusters: dict[str, Callable[[int], str]] = {
        "n": str,
        "ln Z_n": lambda n: f"{free.ln_Z[n - 1]:.3f}",
        # All clusters of an enumerated size are counted: they have no error of sampling.
        "error": lambda n: f"{free.ln_Z_error[n - 1]:.3f}" if n > free.enumerated else "exact",
        "S_eq(n)": lambda n: figure(float(model.S_eq(n))),
        "vacancies in L1": lambda n: f"{free.footprint[n - 1]:.1f}",
    }
    if maps is not None:
        clusters["on single maps"] = lambda n: f"{maps.mean[n - 1]:.2f}"
        clusters["spread"] = lambda n: f"{maps.spread[n - 1]:.2f}"
    # S_eq is the supersaturation at which a cluster of this size neither grows nor dissolves.
    out.print(ui.table(clusters, shown, "Clusters"))
    cap = model.cap
    out.print(
        f"As caps: γ = {cap.gamma_J_m2:.3f} J/m², height over width {cap.aspect:.2f}, angle inside "
        f"the void {cap.angle_deg:.0f}°; γ F^(1/3) = {cap.gamma_F_J_m2:.4f} J/m² rests on ln Z_n "
        f"alone (−ln Z_n = {model.law.surface:.2f} n^(2/3) {model.law.line:+.2f} n^(1/3), "
        f"scatter {model.law.rms:.2f}). Beyond n = {free.n_max} this law goes on."
    )
    out.print()
    rates: dict[str, Callable[[float], str]] = {
        "S": str,
        "n*": lambda S: figure(model.critical_size(S)),
        "W (kT)": lambda S: figure(model.barrier_kT(S)),
        "I (1/µm² s)": lambda S: figure(1e-8 * model.rate_per_cm2_s(S)),
        "lag": lambda S: duration(model.time_lag_s(S)),
        "kT ln S/e": lambda S: f"{1e3 * model.voltage_V(S):.0f} mV",
    }
    supersaturations = (10, 15, 20, 30, 50, 70, 100, 200)
    out.print(ui.table(rates, supersaturations, "Nucleation at the true rates"))
    scan = study.scan
    by_current: dict[str, Callable[[Any], str]] = {
        "mA/cm²": lambda row: figure(row[0].current_mA_cm2),
        "voids per µm²": lambda row: figure(row[0].density_per_um2, digits=2),
        "band": lambda row: f"{figure(row[1], digits=2)} – {figure(row[2], digits=2)}",
        "largest S": lambda row: figure(row[0].S),
        "at": lambda row: duration(row[0].time_s),
        "n* there": lambda row: figure(row[0].critical_size),
    }
    # Where vacancies end: "100 µm of metal, λ = 5 µm".
    sinks = {"{} of metal": c.thickness_um, "λ = {}": c.sink_length_um, "1/κ = {}": c.sink_depth_um}
    ends = ", ".join(
        text.format(figure(um, "µm")) for text, um in sinks.items() if um != float("inf")
    )
    bursts = zip(scan.bursts, scan.density_low, scan.density_high, strict=True)
    out.print(ui.table(by_current, bursts, f"The burst, {ends}"))
    burst = study.burst
    out.print(
        f"At {figure(burst.current_mA_cm2, 'mA/cm²')}: "
        f"[bold]{figure(burst.density_per_um2, 'voids per µm²')}[/bold], largest S "
        f"{figure(burst.S)} after {duration(burst.time_s)} "
        f"(without voids {figure(burst.S_steady)}). "
        f"Below {figure(study.threshold_mA_cm2, 'mA/cm²')} (S = {figure(study.threshold_S)}) less "
        "than one void per cm² nucleates in an hour. "
        "Band: γ ± 10 %, prefactor times and over 10."
    )
    for key, others, column in (
        ("Mg in L1", study.by_coverage, "mg_coverage"),
        ("K", study.by_temperature, "temperature_K"),
    ):
        states: dict[str, Callable[[Any], str]] = {
            key: lambda row: f"{row[0]:g}",
            "W(50) (kT)": lambda row: figure(row[1].model.barrier_kT(50)),
            "n*(50)": lambda row: figure(row[1].model.critical_size(50)),
            "voids per µm²": lambda row: figure(row[1].burst.density_per_um2, digits=2),
            "largest S": lambda row: figure(row[1].burst.S),
            "threshold mA/cm²": lambda row: figure(row[1].threshold_mA_cm2, digits=2),
        }
        ordered = [(getattr(state.conditions, column), state) for state in (study, *others)]
        if others:
            out.print(ui.table(states, sorted(ordered, key=itemgetter(0))))
    if maps is not None:
        out.print(
            "\nMg: ln Z_n is that of the mean of Z_n over all places and arrangements of Mg; Mg in "
            "equilibrium with the cluster has the same. The last columns are single maps "
            f"({len(maps.ln_Z)} of {maps.sites} L1 sites, Mg held), which lack the rarest pockets "
            "of Li: ln of their mean, and how they scatter. Two walks on one map that begin at "
            f"different places differ by {maps.start_difference[-1]:.2f} kT at n = "
            f"{len(maps.start_difference)}."
        )
    out.print()
    for line in study.statements():
        out.print(f"• {line}")
