"""Makes the picture of docs/model/transport.md: Mg and contact of runs from the same random start.

``python docs/transport.py`` takes some minutes and writes docs/transport.png; the trajectories are
not kept. `tests/docs/test_transport.py` compares the page with the same runs.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import kmc

PICTURE = Path(__file__).resolve().parent / "transport.png"
ALLOY = {
    "system.mg_coverage_L1": None,  # as random as the rest
    "acceleration.max_hops_per_strip_per_site": None,
    "acceleration.slow_down_by": 8e4,  # the ratio 1e6 at 0.5 mA/cm²
    "output.frame_every_monolayers": 1,
}
EXCHANGE = {**ALLOY, "acceleration.mg_exchange": True}
LONG = {**EXCHANGE, "system.size": [12, 12, 48], "stop.capacity_monolayers": 20}
WIDE = {"system.size": [20, 20, 48], "stop.capacity_monolayers": 5}
LITHIUM = {"system.params": "li_li2s", "system.mg_fraction": 0}

RUNS = {
    "0.5": LONG,
    "0.05": {**LONG, "conditions.current_density_mA_cm2": 0.05},
    "vacancies": {**LONG, "system.mg_supply": "vacancies", "stop.capacity_monolayers": 5},
    "Li": {**ALLOY, **WIDE, **LITHIUM},
    "slowed": {**ALLOY, **WIDE},
}


def trajectory(name: str, folder: Path):
    """One of the runs."""
    path = folder / f"{name.replace(' ', '_')}.h5"
    return kmc.run("strip_limg", RUNS[name], output=path, progress=False)


def coverage(t):
    """Share of L1 that is Mg, in every sample."""
    return t.samples.contact_fraction[:] - t.samples.contact_fraction_Li[:]


def mg_monolayers(t) -> list[float]:
    """Mg of the box in monolayers, in every frame."""
    return [float((frame.occupancy == 2).sum() / t.lattice.sites_per_layer) for frame in t.frames]


def draw(runs: dict):
    """Coverage of L1 with Mg, and contact, against the capacity."""
    from kmc.plotting import style

    with style.styled():
        page = style.new_figure(1.7 * style.COLUMN_IN, 2.6)
        left, right = page.subplots(1, 2)
        for name, colour, dashes, label in (
            ("0.5", style.BLUE, "-", "0.5 mA/cm²"),
            ("0.05", style.VERMILLION, (0, (3, 2)), "0.05 mA/cm²"),
            ("slowed", style.GREY, ":", "0.5 mA/cm², Mg slowed"),
        ):
            t = runs[name]
            x = t.samples.capacity_monolayers[1:]
            left.plot(x, coverage(t)[1:], color=colour, ls=dashes, label=label)
        left.set_xscale("log")
        left.set_ylim(0, 1.05)
        left.set_ylabel("share of L1 that is Mg")
        for name, colour, dashes, label in (
            ("Li", style.BLUE, "-", "Li"),
            ("slowed", style.GREY, ":", "Li–Mg, Mg slowed"),
            ("0.5", style.VERMILLION, (0, (3, 2)), "Li–Mg, Mg at its true rate"),
        ):
            s = runs[name].samples
            x, y = s.capacity_monolayers, s.contact_fraction
            right.plot(x, y, color=colour, ls=dashes, label=label)
        right.set_xlim(0, 5)
        right.set_ylim(0, 1.05)
        right.set_ylabel("contact fraction")
        for axes in (left, right):
            axes.set_xlabel("capacity (monolayers)")
            axes.legend(fontsize=6)
        return page


def main() -> None:
    """Run everything and write the picture."""
    from kmc.plotting.style import save

    with tempfile.TemporaryDirectory() as folder:
        save(draw({name: trajectory(name, Path(folder)) for name in RUNS}), PICTURE)


if __name__ == "__main__":
    main()
