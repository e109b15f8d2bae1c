"""The figures of docs/cathode.md, from the runs that it names."""

from pathlib import Path

import numpy as np
import pytest

import kmc

PAGE = (Path(__file__).parents[2] / "docs" / "cathode.md").read_text(encoding="utf-8")

# Contact Se–MSe, stress in Se and in the frame, lithiated, cycle 3, by settings: means and standard
# deviations of six seeds.
SEEDS = range(1, 7)
BAND = {
    "as shipped": ({}, (0.677, 0.037, 0.275), (0.045, 0.006, 0.065)),
    "σ_ref × 0.5": (
        {"cathode.creep_stress_factor": 0.5},
        (0.677, 0.032, 0.271),
        (0.057, 0.007, 0.062),
    ),
    "σ_ref × 2": (
        {"cathode.creep_stress_factor": 2},
        (0.676, 0.042, 0.281),
        (0.050, 0.005, 0.060),
    ),
    "`plane_share` 0.6": (
        {"cathode.plane_share": 0.6},
        (0.509, 0.036, 0.152),
        (0.065, 0.006, 0.033),
    ),
    "`plane_share` 0.75": (
        {"cathode.plane_share": 0.75},
        (0.833, 0.029, 0.470),
        (0.034, 0.003, 0.107),
    ),
    "`steps` 40 instead of 20": (
        {"cathode.steps": 40},
        (0.683, 0.025, 0.255),
        (0.048, 0.003, 0.068),
    ),
}
# Cycles 1 and 20 of selenium and the change between them: label, column, phase, means of six seeds,
# half widths of their 95 % confidence intervals.
CYCLES = [
    ("contact Se–Se", "contact_active_active", 1, (0.966, 0.968, 0.002), (0.028, 0.015, 0.020)),
    ("contact Se–MSe", "contact_active_frame", 1, (0.639, 0.701, 0.062), (0.061, 0.062, 0.038)),
    ("stress in Se (GPa)", "stress_active_GPa", 1, (0.048, 0.036, -0.013), (0.004, 0.009, 0.007)),
    ("stress in MSe (GPa)", "stress_frame_GPa", 1, (0.319, 0.256, -0.063), (0.060, 0.069, 0.028)),
    (
        "first pores still open, at x = 0.22",
        "pore_area",
        2,
        (0.560, 0.459, -0.101),
        (0.022, 0.029, 0.020),
    ),
]


def _row(label: str) -> list[str]:
    (line,) = (line for line in PAGE.splitlines() if line.startswith(f"| {label} |"))
    return [cell.strip() for cell in line.strip("|").split("|")]


def _at(run, cycle: int, phase: int, column: str) -> float:
    s = run.samples
    return float(s[column][(s.cycle == cycle) & (s.phase == phase)][0])


def test_the_tables_have_the_figures_that_are_tested():
    for label, (_, means, deviations) in BAND.items():
        cells = [f"{a:.3f} ± {b:.3f}" for a, b in zip(means, deviations, strict=True)]
        assert _row(label)[1:] == cells
    for label, *_, means, widths in CYCLES:
        signs = ("", "", "+")
        cells = [f"{a:{s}.3f} ± {b:.3f}" for a, b, s in zip(means, widths, signs, strict=True)]
        assert _row(label)[1:4] == [cell.replace("-", "−") for cell in cells]


@pytest.mark.long
@pytest.mark.parametrize("label", BAND)
def test_band_of_the_assumed_inputs(label, tmp_path):
    """On another processor a seed gives another course. The standard error of the difference of
    two means of six seeds is 0.58 deviations; all 18 lie within 1.8 deviations with 97 %."""
    settings, means, deviations = BAND[label]
    columns = ("contact_active_frame", "stress_active_GPa", "stress_frame_GPa")
    found = []
    for seed in SEEDS:
        given = {**settings, "cathode.cycles": 3, "random.seed": seed}
        run = kmc.run("cathode_se", given, output=tmp_path / f"{seed}.h5", progress=False)
        found.append([_at(run, 3, 1, column) for column in columns])
    for values, mean, deviation in zip(np.transpose(found), means, deviations, strict=True):
        assert values.mean() == pytest.approx(mean, abs=1.8 * deviation)


@pytest.mark.long
def test_twenty_cycles_of_selenium(tmp_path):
    """As above: 1.8 standard deviations are 1.7 half widths."""
    runs = [
        kmc.run("cathode_se", {"random.seed": i}, output=tmp_path / f"{i}.h5", progress=False)
        for i in SEEDS
    ]
    for _, column, phase, means, widths in CYCLES:
        first, last = (np.array([_at(run, n, phase, column) for run in runs]) for n in (1, 20))
        found = zip((first, last, last - first), means, widths, strict=True)
        for values, mean, width in found:
            assert values.mean() == pytest.approx(mean, abs=1.7 * width)
    rises = [
        _at(r, 20, 1, "contact_active_frame") > _at(r, 1, 1, "contact_active_frame") for r in runs
    ]
    assert sum(rises) >= 4


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "cycles", "columns"),
    [
        (
            "cathode_licoo2",
            2,
            {
                "contact_active_active": (0.085, 0.021),
                "contact_active_frame": (0.102, 0.018),
                "stress_active_GPa": (1.23, 0.07),
                "stress_active_99_GPa": (2.1, 0.8),
            },
        ),
        ("cathode_fes", 1, {"stress_active_GPa": (1.08, 0.06)}),
    ],
)
def test_the_cathodes_beside_it(name, cycles, columns, tmp_path):
    """Means and half widths of three seeds: a half width is three errors of a difference."""
    for column, (value, width) in columns.items():
        percent, plain = f"{100 * value:.1f} ± {100 * width:.1f}", f"{value:g} ± {width:g}"
        assert percent in PAGE or plain in PAGE, column
    runs = [
        kmc.run(
            name,
            {"random.seed": i, "cathode.cycles": cycles},
            output=tmp_path / f"{i}.h5",
            progress=False,
        )
        for i in (1, 2, 3)
    ]
    for column, (value, width) in columns.items():
        mean = sum(_at(run, 1, 1, column) for run in runs) / 3
        assert mean == pytest.approx(value, abs=width)
