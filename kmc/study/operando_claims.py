"""Claims of the operando paper, and what the runs of the study say of each.

Zhao et al., Nature Communications (2025), 10.1038/s41467-025-59567-8.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.special import erfc

from kmc.study import operando
from kmc.study.claims import Claim, Evidence, Figure, Order, about
from kmc.study.operando import BOX_VARIANTS, FOIL, METALS, NONE, OPERANDO, VARIANTS
from kmc.study.readings import Measured, Reading

PAPER = "Zhao et al., Nature Communications (2025), 10.1038/s41467-025-59567-8"
_PRESSURE, _CURRENT = "conditions.stack_pressure_MPa", "conditions.current_density_mA_cm2"
_SIZES = ("upscale.domain_um", "acceleration.slow_down_by")  # of a plan, not of a condition


@dataclass(frozen=True)
class Runs:
    """The runs of a study by metal and condition.

    Attributes
    ----------
    voids, boxes : sequence of Reading
        Of all steps with populations, and with boxes of atoms.
    checks : mapping of str to float
        The model's value for each row of `kmc params check`; NaN where it has none.
    """

    voids: Sequence[Reading] = ()
    boxes: Sequence[Reading] = ()
    checks: Mapping[str, float] = field(default_factory=dict)

    def population(self, metal: str, variant: str | None = None, **changed: Any) -> list[Reading]:
        """Populations of a metal at the operando conditions, but for what is changed."""
        row = {**OPERANDO, **METALS[metal], **{_key(k): v for k, v in changed.items()}}
        if variant is not None and metal in VARIANTS[variant][1]:
            row |= VARIANTS[variant][0]
        return [reading for reading in self.voids if _same(reading.settings, row)]

    def box(self, metal: Mapping[str, Any], variant: str | None = None, **changed: Any):
        """Boxes of a metal; with a variant those of the step that changes inputs."""
        row = {**OPERANDO, **metal, **{_key(k): v for k, v in changed.items()}}
        step = "box" if variant is None else "box_inputs"
        slow = False
        if variant is not None:
            settings = BOX_VARIANTS[variant]
            slow = "acceleration.slow_down_by" in settings
            needs_mg = any("mg_" in key or "_Mg_" in key for key in settings)
            if not (needs_mg and metal is operando.LI):
                row |= {k: v for k, v in settings.items() if k not in _SIZES}
        found = [r for r in self.boxes if r.step == step and _same(r.settings, row)]
        if variant is None or not found:
            return found
        factors = {float(r.settings["acceleration.slow_down_by"]) for r in found}
        chosen = max(factors) if slow else min(factors)
        return [r for r in found if float(r.settings["acceleration.slow_down_by"]) == chosen]


def _key(name: str) -> str:
    return {"pressure": _PRESSURE, "current": _CURRENT}[name]


def _same(settings: Mapping[str, Any], row: Mapping[str, Any]) -> bool:
    """Whether a point of a sweep is a row of the plan; its size does not matter."""
    keys = {*settings, *row} - set(_SIZES)
    return all(_value(settings, key) == _value(row, key) for key in keys)


def _value(settings: Mapping[str, Any], key: str) -> Any:
    value = settings.get(key, operando.DEFAULTS.get(key, NONE))
    return float(value) if isinstance(value, int | float) else value


def mean(readings: Sequence[Reading], name: str) -> Measured | None:
    """Mean of a number over runs; None without any run that has it."""
    return Measured.of([r.numbers[name] for r in readings if name in r.numbers])


def _less(low: Measured | None, high: Measured | None, text: str) -> Order:
    return Order(text, low is not None and high is not None and low.below(high))


# --- judges ---------------------------------------------------------------------------------------


def first_voids(runs: Runs, variant: str | None) -> Evidence:
    """Voids on a line, when they are most."""
    li, limg = (mean(runs.population(metal, variant), "most_cuts_per_100um") for metal in METALS)
    return Evidence(
        [
            Figure("Li", "1/100 µm", li, (16, 18)),
            Figure("Li-Mg", "1/100 µm", limg, (2, 3)),
        ],
        [_less(limg, li, "fewer voids in Li-Mg than in Li")],
    )


def width(runs: Runs, variant: str | None) -> Evidence:
    """Mean width of the cuts, where nine tenths of their largest number are first reached."""
    li, limg = (mean(runs.population(metal, variant), "width_um") for metal in METALS)
    return Evidence(
        [Figure("Li", "µm", li, (0.9, 3.5)), Figure("Li-Mg", "µm", limg, (2.8, 4.8))],
        [_less(li, limg, "wider voids in Li-Mg than in Li")],
    )


def coalescence(runs: Runs, variant: str | None) -> Evidence:
    """Where the number of cuts begins to fall, and how far it falls."""
    found = runs.population("Li", variant)
    start, left = mean(found, "coalescing_mAh_cm2"), mean(found, "cuts_left")
    half = Measured.exact(0.5)
    return Evidence(
        [Figure("Li, from", "mAh/cm²", start, about(0.25)),
         Figure("Li, cuts left at the end", "1", left)],
        [_less(left, half, "half of the voids of Li are gone by the end")],
    )  # fmt: skip


def one_gap(runs: Runs, variant: str | None) -> Evidence:
    """Where no contact is left."""
    li, limg = (mean(runs.population(metal, variant), "gap_mAh_cm2") for metal in METALS)
    return Evidence(
        [Figure("Li", "mAh/cm²", li, about(1.25)), Figure("Li-Mg", "mAh/cm²", limg)],
        [_less(li, limg, "Li ends in one gap, Li-Mg later or not")],
    )


def splits(runs: Runs, variant: str | None) -> Evidence:
    """Splits and collapses of voids in boxes of atoms."""
    li, limg = runs.box(METALS["Li"], variant), runs.box(METALS["Li-Mg"], variant)
    none = Measured.exact(0.0)
    split, fall = mean(limg, "splits"), mean(limg, "collapses")
    return Evidence(
        [
            Figure("Li-Mg, splits a run", "1", split),
            Figure("Li-Mg, collapses a run", "1", fall),
            Figure("Li, splits a run", "1", mean(li, "splits")),
            Figure("Li, collapses a run", "1", mean(li, "collapses")),
        ],
        [
            _less(none, split, "voids of Li-Mg split"),
            _less(none, fall, "voids of Li-Mg collapse"),
            _less(mean(li, "splits"), split, "more splits in Li-Mg than in Li"),
        ],
    )


def rise(runs: Runs, variant: str | None) -> Evidence:
    """Where the overpotential is half above its lowest value."""
    li, limg = (mean(runs.population(metal, variant), "risen_mAh_cm2") for metal in METALS)
    return Evidence(
        [
            Figure("Li", "mAh/cm²", li, about(1.0)),
            Figure("Li-Mg", "mAh/cm²", limg, (3.0, math.inf)),
        ],
        [_less(li, limg, "the overpotential of Li rises before that of Li-Mg")],
    )


def steep(runs: Runs, variant: str | None) -> Evidence:
    """Slope of the overpotential beyond nine tenths of contact loss over that before."""
    found = runs.population("Li", variant)
    lost, slope = mean(found, "lost90_mAh_cm2"), mean(found, "steepness")
    three = Measured.exact(3.0)
    reached = lost is not None and math.isfinite(lost.value)
    figures = [Figure("Li, nine tenths of the contact lost", "mAh/cm²", lost)]
    if reached:
        figures.append(Figure("Li, slope beyond over slope before", "1", slope))
    return Evidence(
        figures,
        [
            Order("Li loses nine tenths of its contact", reached),
            _less(three, slope, "the slope beyond is more than three times that before"),
        ],
    )


def voltage_start(runs: Runs, variant: str | None) -> Evidence:
    """Largest concentration term, which the cells do not show."""
    li, limg = (mean(runs.population(metal, variant), "concentration_max_V") for metal in METALS)
    return Evidence([Figure("Li", "V", li, (0.0, 0.02)), Figure("Li-Mg", "V", limg, (0.0, 0.02))])


def pressure(metal: str) -> Callable[[Runs, str | None], Evidence]:
    """Contact and overpotential at the end against pressure."""
    pressures = (0.2, *operando.PRESSURES_MPa[metal])

    def judge(runs: Runs, variant: str | None) -> Evidence:
        found = [runs.population(metal, variant, pressure=p) for p in pressures]
        contact = [mean(some, "contact_end") for some in found]
        volts = [mean(some, "overpotential_end_V") for some in found]
        figures = [
            Figure(f"contact at {p:g} MPa", "1", m) for p, m in zip(pressures, contact, strict=True)
        ]
        figures += [
            Figure(f"overpotential at {p:g} MPa", "V", m)
            for p, m in zip(pressures, volts, strict=True)
        ]
        return Evidence(
            figures,
            [
                _less(contact[0], contact[-1], "more contact at the highest pressure"),
                _less(volts[-1], volts[0], "less overpotential at the highest pressure"),
                _less(volts[2], volts[1], f"less at {pressures[2]:g} than at {pressures[1]:g} MPa"),
            ],
        )

    return judge


def enrichment(runs: Runs, variant: str | None) -> Evidence:
    """Mg in the metal of L1 over that of the bulk, from a random first layer, at two rates."""
    random = operando.alloy(FOIL, NONE)
    slow, fast = (runs.box(random, None, current=j) for j in (0.05, 0.5))
    one = Measured.exact(1.0)
    ends = [mean(some, "mg_enrichment_end") for some in (slow, fast)]
    same = None not in ends and ends[0].overlaps(ends[1].low, ends[1].high)  # type: ignore[union-attr]
    return Evidence(
        [Figure(f"{j:g} mA/cm²", "1", m) for j, m in zip((0.05, 0.5), ends, strict=True)],
        [
            _less(one, ends[0], "enriched at 0.05 mA/cm²"),
            _less(one, ends[1], "enriched at 0.5 mA/cm²"),
            Order("the same at both, within the intervals", same),
        ],
    )


def adhesion(runs: Runs, variant: str | None) -> Evidence:
    return Evidence([_checked(runs, "work of adhesion of Li on Li2S", "J/m²", about(0.39))])


def angle(runs: Runs, variant: str | None) -> Evidence:
    """Within 5°; lithiophobic is beyond 90°."""
    found = _checked(runs, "contact angle of Li on Li2S", "°", (88.6, 98.6))
    right = Measured.exact(90.0)
    return Evidence([found], [_less(right, found.measured, "Li does not wet Li2S")])


def diffusion(runs: Runs, variant: str | None) -> Evidence:
    """D of Mg at two temperatures, and their ratio."""
    cold = _checked(runs, "D of Mg at 25 °C", "cm²/s", about(2.06e-13))
    warm = _checked(runs, "D of Mg at 60 °C", "cm²/s", about(2.42e-12))
    ratio = None
    if cold.measured and warm.measured:
        value = warm.measured.value / cold.measured.value
        ratio = Figure("60 over 25 °C", "1", Measured.exact(value), about(11.75))
    figures = [cold, warm, ratio or Figure("60 over 25 °C", "1", None)]
    return Evidence(figures, [_less(cold.measured, warm.measured, "faster at 60 °C")])


def mixing(runs: Runs, variant: str | None) -> Evidence:
    """Mg in 13 µm of plated Li after 10 h, over that of the bulk.

    Diffusion across a step between two half-spaces, c = ½ erfc(x/√(4Dt)), averaged over the plated
    layer; D is the model's.
    """
    figures = []
    for T, share in ((25, 0.5), (60, 0.8)):
        found = _checked(runs, f"D of Mg at {T} °C", "cm²/s", None).measured
        value = None if found is None else Measured.exact(mixed(found.value, 36_000.0, 13e-4))
        figures.append(Figure(f"{T} °C", "1", value, about(share)))
    first, second = (figure.measured for figure in figures)
    return Evidence(figures, [_less(first, second, "more mixed at 60 °C")])


def mixed(D_cm2_s: float, time_s: float, layer_cm: float) -> float:
    """Mean of ½ erfc(x/√(4Dt)) over a layer: the share of the bulk's Mg in it."""
    x = np.linspace(0.0, layer_cm, 4001)
    return float(np.mean(0.5 * erfc(x / math.sqrt(4 * D_cm2_s * time_s))))


def _checked(runs: Runs, row: str, unit: str, paper: tuple[float, float] | None) -> Figure:
    value = runs.checks.get(row, math.nan)
    return Figure(row, unit, None if math.isnan(value) else Measured.exact(value), paper)


# --- the list -------------------------------------------------------------------------------------

_LI = tuple(name for name, (_, metals) in VARIANTS.items() if "Li" in metals)
_ALL = tuple(VARIANTS)
_CREEP = ("no creep",)
_CHECK = "kmc params check limg_li2s"
_SECTION = "Void dynamics in Li and Li-Mg under 0.2 MPa"

CLAIMS = (
    Claim(
        "first_voids",
        "Number of first voids",
        "Li: 16–18 voids per 100 µm; Li-Mg: 2–3 per 100 µm",
        f"{_SECTION}: “a large number of small voids (2.2 ± 1.3 µm, 16–18 voids per 100 µm "
        "width)”, “fewer in number … 2–3 voids per 100 µm”; Fig. 1c, f, g",
        first_voids,
        "kmc plot operando/points/*.h5 --what microscope --paper",
        "Compared are the cuts of voids per 100 µm of line when they are most. The number follows "
        "from the nucleation rate at the largest S of the burst. Under Mg the barrier is higher, "
        "but S rises until voids nucleate after all.",
        _ALL,
    ),
    Claim(
        "width",
        "Width of first voids",
        "Li: 2.2 ± 1.3 µm; Li-Mg: 3.8 ± 1.0 µm",
        f"{_SECTION}: “(3.8 ± 1.0 µm, 2–3 voids per 100 µm width)”; Fig. 1d",
        width,
        "kmc plot operando/points/*.h5 --what microscope --paper",
        "Width and number belong together: the same stripped volume in fewer voids makes them "
        "wider. The paper's scatter is that between voids.",
        _ALL,
    ),
    Claim(
        "coalescence",
        "Voids of Li coalesce",
        "from 0.25 mAh/cm²",
        f"{_SECTION}: “coalesce into larger voids … as the stripped capacity increases "
        "(0.25 mAh cm⁻²)”; Fig. 1c",
        coalescence,
        "kmc plot operando/points/*.h5 --what microscope",
        "The charge at which voids meet goes as the density of voids to the power −1/2, so that "
        "too many voids meet too early.",
        _LI,
    ),
    Claim(
        "one_gap",
        "One gap in Li",
        "at 1.25 mAh/cm²; not in Li-Mg by 3 mAh/cm²",
        f"{_SECTION}: “At 1.25 mAh cm⁻², all voids coalesced into a single gap”; Fig. 1b, f",
        one_gap,
        "kmc plot operando/points/*.h5 --what map",
        "At 0.2 MPa the assumed creep law closes as much as is stripped once a part of the contact "
        "carries the pressure; the paper says that its 0.2 MPa could not close the gap.",
        _ALL,
    ),
    Claim(
        "splits",
        "Voids of Li-Mg split and collapse",
        "splits of large voids from 0.5 mAh/cm², collapses; in Li they coalesce",
        f"{_SECTION}: “tend to grow to ~20 µm in width, then split into smaller voids "
        "(0.5 mAh cm⁻²) or collapse … rather than coalesce”; Fig. 1d, e",
        splits,
        "kmc plot box/points/NAME.h5 --what lifelines",
        "Boxes of atoms in their first monolayers; the paper's voids are micrometres wide. A "
        "void of the population never splits: nothing in it opens contact within a void.",
        tuple(BOX_VARIANTS),
    ),
    Claim(
        "rise",
        "Overpotential against charge",
        "Li: rises at 1 mAh/cm²; Li-Mg: stable to 3 mAh/cm²",
        f"{_SECTION}: “rapid overpotential increase at a small areal capacity (1 mAh cm⁻²) … "
        "Li-Mg … stable potential up to 3 mAh cm⁻²”; Fig. 1a",
        rise,
        "kmc plot operando/points/*.h5 --what summary",
        "Compared is where the overpotential is half above its lowest value after voids began. "
        "Runs end at 1.5 mAh/cm² (full: 4): “never” means not by then.",
        _ALL,
    ),
    Claim(
        "steep",
        "Steep rise near 90 % contact loss",
        "the overpotential of Li increases drastically when nine tenths of the contact are lost",
        f"{_SECTION}: “The overpotential drastically increases when contact loss reaches 90%”; "
        "Fig. 1a, b",
        steep,
        "kmc plot operando/points/*.h5 --what microscope",
        "Counted as steep: a slope of more than three times that between a tenth and nine tenths "
        "of contact loss.",
        _LI,
    ),
    Claim(
        "no_peak",
        "No peak of the voltage at the start",
        "voltage profiles begin flat: no peak above 20 mV is visible",
        f"{_SECTION}: Fig. 1a (read from the figure)",
        voltage_start,
        "kmc plot operando/points/*.h5 --what summary",
        "The concentration term kT ln S/e at the burst. Nucleation from supersaturation alone "
        "needs an S of tens, which shows as a voltage; flaws need less only if they are dense.",
        _ALL,
    ),
    Claim(
        "pressure_li",
        "Order in pressure, Li",
        "severe rise at 0.2 and 1 MPa, flat up to 4 mAh/cm² at 1.5 MPa and above",
        "Origin of pressure-dependent overpotential: “severe overpotential increase at low "
        "pressures (0.2 and 1 MPa) … flat voltage profile … at 1.5 MPa or higher (Fig. 3l)”",
        pressure("Li"),
        "kmc report conditions",
        "Contact is kept by creep, whose law is assumed. Where creep closes all voids nothing "
        "takes up the vacancies of the metal, and their concentration term stays.",
        (),
    ),
    Claim(
        "pressure_limg",
        "Order in pressure, Li-Mg, also 14 and 50 MPa",
        "late rise at low pressure, eliminated with higher pressure (0.2, 1, 14, 50 MPa)",
        "Origin of pressure-dependent overpotential: “The overpotential at large areal capacities "
        "can still be eliminated with higher stack pressure (Fig. 3m)”",
        pressure("Li-Mg"),
        "kmc report conditions",
        "As for Li; the creep law of the alloy is that of lithium.",
        (),
    ),
    Claim(
        "enrichment",
        "Mg slightly enriched at the interface, the same at two rates",
        "slightly higher Mg intensity at 0.05 and at 0.5 mA/cm², after 4 mAh/cm²",
        "Mg suppresses the accumulation of vacancies at interface: “slightly higher Mg intensity "
        "at the interface at both current densities (Fig. 3g, h, j, k)”",
        enrichment,
        "kmc plot box/points/NAME.h5 --what profiles",
        "Boxes that begin with a random first layer, in their first monolayers: Mg stays as "
        "lithium leaves. The paper's intensity is a mean over about a micrometre, that of the box "
        "over one layer.",
        (),
    ),
    Claim(
        "adhesion",
        "Work of adhesion of Li on Li2S",
        "0.39 J/m²",
        "Mg suppresses …: “The DFT calculated work of adhesion is 0.39 J m⁻²”",
        adhesion,
        _CHECK,
        "From the site energies of L1 and L2, which come from vacancies; the model was not fitted "
        "to it.",
    ),
    Claim(
        "contact_angle",
        "Contact angle of Li on Li2S",
        "93.6° (± 5° counts as reproduced)",
        "Mg suppresses …: “a non-wetting interface with a wetting angle (θ) of 93.6°”",
        angle,
        _CHECK,
        "cos θ = W/γ − 1 with γ of all bonds cut: bonds from vacancy energies make γ smaller than "
        "the DFT implies.",
    ),
    Claim(
        "contact_angle_alloy",
        "Contact angle of Li-Mg on Li2S",
        "87.1°",
        "Mg suppresses …: “a lithiophilic Li-Mg/Li2S interface (θ = 87.1°, Supplementary Table 2)”",
        None,
        _CHECK,
        "The composition of the interface behind the 87.1° is in the supplement only, and the "
        "model's adhesion of the alloy depends on its coverage. It is used as an input: the shape "
        "of voids of Li-Mg.",
    ),
    Claim(
        "diffusion_ratio",
        "Diffusivity of Mg at 25 and 60 °C",
        "2.06e-13 and 2.42e-12 cm²/s, a ratio of 11.75",
        "Reversibility in morphology and composition: “2.06 × 10⁻¹³ and 2.42 × 10⁻¹² cm² s⁻¹ at "
        "25 and 60 °C”",
        diffusion,
        _CHECK,
        "The prefactor ν was taken from the paper's D with the vacancy of pure Li; in the model Mg "
        "repels vacancies by 0.03 eV, which costs a factor of three.",
    ),
    Claim(
        "mixing",
        "Mg mixes into plated Li",
        "after plating 13 µm: 50 % of the bulk's Mg at 25 °C, 80 % at 60 °C",
        "Reversibility in morphology and composition: “At 25 °C, the Mg intensity averaged between "
        "the dashed lines is 50% of the bulk intensity … 80% at 60 °C”; Fig. 4f",
        mixing,
        _CHECK,
        "Diffusion from the alloy into 13 µm of Li for 10 h. With the paper's own D it gives 4 and "
        "13 %: √(4Dt) is 1.7 and 5.9 µm, so that diffusion by vacancies in equilibrium does not "
        "carry the measured mixing either.",
    ),
    Claim(
        "plating",
        "Filaments in Li, pillars in Li-Mg while plating",
        "Li shorts at 1 mAh/cm², filaments of 1.1 ± 0.4 µm; Li-Mg plates more than 3 mAh/cm²",
        "Reversibility in morphology and composition: Fig. 4a–c",
        None,
        "",
        "Metal is plated into vacant sites only; growth into the electrolyte, fracture and shorts "
        "are not in the model.",
    ),
    Claim(
        "cycling",
        "Cycling of a full cell at 1 MPa",
        "76 % of the capacity after 260 cycles at 2 mA/cm²",
        "High-rate electrochemical cycling at 1 MPa: Fig. 5c",
        None,
        "",
        "The paper ascribes the loss to the cathode, which these runs do not have.",
    ),
)
