"""Nucleation: work against size, density of voids against current, and both against Mg in L1."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MultipleLocator, NullFormatter

from kmc.common.formatting import figure, percent
from kmc.nuclei.equilibrium_voids import EquilibriumVoids
from kmc.nuclei.nucleation import CapLaw
from kmc.nuclei.report import Nucleation
from kmc.plotting import style

_S_DRAWN = (15, 20, 30, 50, 100)
_PAPER_PER_UM2 = 0.061  # Li | argyrodite at 0.5 mA/cm², 10.1038/s41467-025-59567-8


@style.styled()
def nucleation_picture(found: Nucleation) -> Figure:
    """Work against size and density against current; a third panel where coverages were scanned."""
    third = bool(found.by_coverage)
    page = style.new_figure((2.75 if third else 1.95) * style.COLUMN_IN, 2.75)
    panels = page.subplots(1, 3 if third else 2)
    _work_panel(panels[0], found)
    _density_panel(panels[1], found)
    if third:
        _coverage_panel(panels[2], found)
    c = found.conditions
    words = [c.name, c.lattice.replace("bcc_", "bcc (") + ")", f"{c.temperature_K:g} K"]
    shares = {"Mg in L1": c.mg_coverage, "Mg elsewhere": c.mg_fraction}
    words += [f"{percent(share)} {where}" for where, share in shares.items() if share]
    page.suptitle(", ".join(words), fontsize=7.5, x=0.02, ha="left")
    return page


def _work_panel(axes: Axes, found: Nucleation) -> None:
    model = found.model
    drawn = [S for S in _S_DRAWN if np.isfinite(model.barrier_kT(S))]
    # Beyond the sampled sizes the cap law alone: far enough to show its barriers.
    last = 1.8 * found.free.n_max
    top = max(model.barrier_kT(S) for S in drawn) * 1.28
    for colour, S in zip(style.ramp(len(drawn)), drawn, strict=True):
        n = np.arange(1, found.free.n_max + 1)
        beyond = np.arange(found.free.n_max, last)
        work = model.work_kT(S, n)
        axes.plot(n, work, color=colour)
        axes.plot(beyond, model.work_kT(S, beyond), color=colour, ls=(0, (3, 2)), lw=1.0)
        critical, barrier = model.critical_size(S), model.barrier_kT(S)
        if critical <= last:
            axes.plot(critical, barrier, "o", color=colour, ms=3.5, zorder=3)
            text, at = f"S = {S:g}", (critical, barrier)
            style.beside(axes, text, at, (3, 4), color=colour, fontsize=6.5)
    exact = np.arange(1, found.free.enumerated + 1)
    for S in (drawn[0], drawn[-1]):
        axes.plot(exact, model.work_kT(S, exact), ".", color=style.BLACK, ms=2.5, zorder=4)
    axes.set(xlim=(0, last), ylim=(0, top))
    axes.set(xlabel="vacancies in the cluster n", ylabel="work W(S, n) (kT)")
    place: dict[str, Any] = {"transform": axes.transAxes, "ha": "right", "va": "top"}
    text = "dots: enumerated; line: sampled;\ndashed: cap law"
    axes.text(0.98, 0.98, text, fontsize=6, color=style.GREY, **place)


def _density_panel(axes: Axes, found: Nucleation) -> None:
    scan = found.scan
    current, density = scan.current_mA_cm2, scan.density_per_um2
    label = f"{found.conditions.temperature_K:g} K"
    if not (density > 0).any():
        style.empty(axes, "nothing nucleates")
        return
    labels = (label, "γ ± 10 %, prefactor × 10, ÷ 10")
    floor = _band(axes, current, density, scan.density_low, scan.density_high, labels)
    for k, other in enumerate(found.by_temperature, start=1):
        values = np.maximum(other.scan.density_per_um2, floor)
        name = f"{other.conditions.temperature_K:g} K"
        axes.plot(current, values, ms=2.5, marker="s", label=name, **style.run_style(k))
    threshold = found.threshold_mA_cm2
    axes.axvline(threshold, color=style.GREY, lw=0.8, ls=":")
    # The threshold may lie far below the currents scanned; its line stays in the panel.
    axes.set_xlim(min(threshold, current[0]) / 1.6, current[-1] * 1.3)
    lowest = np.maximum(scan.density_low, floor).min()
    axes.set_ylim(lowest / 3, np.nanmax(scan.density_high) * 4)
    text = f"below {figure(threshold, digits=2)} mA/cm²:\nnone per cm² and hour"
    look = {"xycoords": ("data", "axes fraction"), "va": "top", "fontsize": 6, "color": style.GREY}
    style.beside(axes, text, (threshold, 0.97), (4, 0), **look)
    surface = found.model.transport.surface
    if surface.parameters.metal == "Li" and not surface.has_mg:
        mark: dict[str, Any] = {"color": style.VERMILLION, "ms": 4, "zorder": 4}
        axes.plot(0.5, _PAPER_PER_UM2, "D", label="operando SEM, Li", **mark)
    style.plain_log_axis(axes.xaxis, *axes.get_xlim())
    axes.xaxis.set_major_formatter(lambda value, _: figure(value))
    axes.yaxis.set_major_locator(LogLocator(numticks=8))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.set(xlabel="current density (mA/cm²)", ylabel="voids of the burst (1/µm²)")
    axes.legend(loc="lower right", fontsize=6)


def _coverage_panel(axes: Axes, found: Nucleation) -> None:
    """Barrier at fixed S against the coverage of L1."""
    studies = sorted({s.conditions.mg_coverage: s for s in [found, *found.by_coverage]}.items())
    coverage = np.array([x for x, _ in studies])
    drawn = [S for S in (30, 50, 100, 200) if np.isfinite(found.model.barrier_kT(S))]
    for colour, S in zip(style.ramp(len(drawn)), drawn, strict=True):
        barrier = [s.model.barrier_kT(S) for _, s in studies]
        axes.plot(coverage, barrier, "o-", color=colour, ms=3)
        look = {"color": colour, "fontsize": 6.5, "annotation_clip": False}
        style.beside(axes, f"S = {S:g}", (coverage[-1], barrier[-1]), (4, -2), **look)
    axes.set_xlim(0, coverage[-1] * 1.22 if coverage[-1] else 1)
    axes.set_ylim(0, None)
    axes.set_xlabel("Mg coverage of L1")
    axes.set_ylabel("barrier W(S, n*) (kT)")
    other = axes.twinx()
    density = np.array([s.burst.density_per_um2 for _, s in studies])
    shown = density > 0
    other.plot(coverage[shown], density[shown], "s--", color=style.VERMILLION, ms=3, lw=1.0)
    other.set_yscale("log")
    # A decade and a half at least: a density that hardly changes must look so.
    low, high = density[shown].min(initial=1.0), density[shown].max(initial=1e-9)
    other.set_ylim(min(low / 3, high / 30), high * 3)
    other.yaxis.set_major_locator(LogLocator(numticks=8))
    other.yaxis.set_minor_formatter(NullFormatter())
    current = figure(found.conditions.current_mA_cm2)
    other.set_ylabel(f"voids at {current} mA/cm² (1/µm²)", color=style.VERMILLION)
    other.spines["right"].set_visible(True)
    other.tick_params(axis="y", colors=style.VERMILLION)


@style.styled()
def voids_picture(found: EquilibriumVoids) -> Figure:
    """S, shape and free energy of voids in equilibrium against their number of vacancies."""
    page = style.new_figure(2.75 * style.COLUMN_IN, 2.6)
    activity, shape, free = page.subplots(1, 3)
    c, voids, clusters = found.conditions, found.voids, found.clusters
    n, S = np.array([(void.n, void.S) for void in voids]).T
    spread = np.array([(void.S - void.S_low, void.S_high - void.S) for void in voids]).T
    activity.errorbar(n, S, spread, fmt="o", ms=3, lw=0.8, label="mean, and range in n ± 10 %")
    law = CapLaw.fit(clusters)
    sizes = np.geomspace(10, max(n.max(), clusters.n_max), 100)
    label = f"cap law of clusters, n ≤ {clusters.n_max}"
    activity.plot(sizes, np.exp(law.slope(sizes)), color=style.GREY, lw=1, label=label)
    activity.set(yscale="log", ylabel="S in equilibrium with the void", ylim=(1, None))
    style.plain_log_axis(activity.yaxis, *activity.get_ylim())
    shape.plot(n, [void.angle_deg for void in voids], "o", ms=3, label="cap of its V/R³")
    if c.parameters.has("contact_angle_deg"):
        angle = c.parameters.value("contact_angle_deg")
        label = "contact angle that the set quotes"
        shape.axhline(angle, color=style.GREY, lw=1, ls="--", label=label)
    shape.set(ylim=(0, 180), ylabel="contact angle of the metal (°)")
    shape.yaxis.set_major_locator(MultipleLocator(45))
    small = clusters.ln_Z[1:]
    label = f"clusters, n ≤ {clusters.n_max}"
    free.plot(np.arange(2, clusters.n_max + 1), -small, color=style.GREY, lw=1, label=label)
    free.plot(n, [-void.ln_Z for void in voids], "o", ms=3, label="and on by −∫ ln S dn")
    free.set(yscale="log", ylabel="free energy −ln Z$_n$ (kT)")
    for axes in (activity, shape, free):
        axes.set(xscale="log", xlabel="vacancies n")
        axes.legend(fontsize=6)
    face = c.lattice.replace("bcc_", "bcc (") + ")"
    page.suptitle(f"{c.name}, {face}, {c.temperature_K:g} K", fontsize=7.5, x=0.02, ha="left")
    return page


@style.styled()
def file_picture(found: Mapping[str, Any]) -> Figure:
    """ln Z_n and the density of voids against the current, from the JSON of `kmc nucleation`."""
    ln_Z, bursts, band = np.array(found["ln_Z"], float), found["burst_by_current"], found["band"]
    columns = ("current_mA_cm2", "density_per_um2")
    current, density = (np.array([burst[key] for burst in bursts], float) for key in columns)
    low, high = (np.array(band[f"density_{end}_per_um2"], float) for end in ("low", "high"))
    page = style.new_figure(style.COLUMN_IN, 4.6)
    top, bottom = page.subplots(2, 1)
    n, exact = np.arange(1, len(ln_Z) + 1), int(found["n_enumerated"])
    top.plot(n, -ln_Z, color=style.BLUE)
    top.plot(n[:exact], -ln_Z[:exact], "o", color=style.BLACK, ms=3, label="enumerated")
    top.set(xlabel="vacancies in the cluster n", ylabel="−ln Z$_n$ per L1 site")
    top.legend()
    if (density > 0).any():
        _band(bottom, current, density, low, high)
    else:
        style.empty(bottom, "nothing nucleates")
    bottom.set(xlabel="current density (mA/cm²)", ylabel="voids of the burst (1/µm²)")
    return page


def _band(
    axes: Axes,
    current: np.ndarray,
    density: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
    labels: tuple[str, str] = ("", ""),
) -> float:
    """Density against current with its band, both logarithmic; returns the least value drawn."""
    # A current at which nothing nucleates has no place on a logarithmic axis.
    floor = 1e-6 * float(density.max())
    look: dict[str, Any] = {"color": style.BLUE, "alpha": 0.15, "lw": 0, "label": labels[1]}
    axes.fill_between(current, np.maximum(low, floor), np.maximum(high, floor), **look)
    axes.plot(current, np.maximum(density, floor), "o-", color=style.BLUE, ms=3, label=labels[0])
    axes.set(xscale="log", yscale="log")
    return floor
