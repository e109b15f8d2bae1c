"""The plan of the operando study: which runs, of which size, and why.

Zhao et al., Nature Communications (2025), 10.1038/s41467-025-59567-8: Li and Li0.97Mg0.03 stripped
and plated against Li6PS5Cl in a scanning electron microscope. The box of atoms answers what happens
within the first monolayers (Mg at the interface, splits and collapses), the population of voids
what the microscope sees. Every step is an ordinary sweep, convergence study or nucleation result,
and the study folder holds the sweep files that `kmc sweep` takes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

from kmc.papers.steps import NONE, Row, sweep_text

# Shares of Mg in the bulk; the foil of the paper is Li0.97Mg0.03.
MG_FRACTIONS = (0.01, 0.03, 0.1, 0.2)
FOIL = 0.03
# ASSUMED, as in the shipped runs upscale_limg and strip_limg: nobody has measured it. The
# sensitivity sweep shows what it decides.
COVERAGE = 0.6
OPERANDO = {
    "conditions.current_density_mA_cm2": 0.5,
    "conditions.stack_pressure_MPa": 0.2,
    "conditions.temperature_K": 298.15,
}
CURRENTS_mA_cm2 = (0.05, 0.5, 2.0)
PRESSURES_MPa = (1.0, 1.5, 7.0)  # beside 0.2
# Those of the paper's voltage profiles, beside 0.2: Fig. 3l, m.
PAPER_PRESSURES_MPa = {"Li": (1.0, 1.5, 7.0), "Li-Mg": (1.0, 14.0, 50.0)}
TEMPERATURES_K = (298.15, 333.15)


@dataclass(frozen=True)
class Size:
    """How much a plan runs.

    Attributes
    ----------
    domain_um : float
        Edge of the square of a population with about one void per µm².
    wide_um : float
        Edge where voids are rarer: at 0.05 mA/cm², at 60 °C, on flaws.
    dense_um : float
        Edge from 7 MPa on, where creep closes voids of a few nm as fast as others begin: 25 per µm²
        in the foil, for hours.
    capacity_mAh_cm2 : float
        Charge at which a population ends.
    replicas : int
        Populations of Li and of the foil at the conditions of the operando cell.
    others : int
        Populations at each other condition.
    variants : int
        Populations with each changed input.
    whole_grid : bool
        Boxes of every alloy at every current, pressure and temperature. Otherwise lithium and the
        foil at two rates, other alloys at one.
    factorial : bool
        Every combination of alloy, current, pressure and temperature as a population.
    box : tuple of int
        Cells, cells and layers of a box of atoms.
    box_replicas : int
        Boxes at each other condition.
    first_boxes : int
        Boxes of lithium and of the foil at the conditions of the operando cell, with each changed
        input, and at each ratio of the convergence study: splits and voids are rare in them.
    monolayers : float
        Stripped from a box.
    random_replicas : int
        Boxes that begin with a random first layer, for the growth of its Mg, three monolayers.
    slow_down_by : float
        Factor by which every hop of a box is slowed, the same at every current and temperature.
    ratios : tuple of float
        Of the convergence study.
    """

    domain_um: float
    wide_um: float
    dense_um: float
    capacity_mAh_cm2: float
    replicas: int
    others: int
    variants: int
    whole_grid: bool
    factorial: bool
    box: tuple[int, int, int]
    box_replicas: int
    first_boxes: int
    monolayers: float
    random_replicas: int
    slow_down_by: float
    ratios: tuple[float, ...]


# "default" was sized by the processor time of its runs: half an hour on two idle cores.
_RATIOS = (1e4, 1e5, 1e6, 1e7)
_BOX = (24, 24, 16)
PLANS = {
    "reduced": Size(20, 40, 5, 1.5, 3, 2, 1, False, False, _BOX, 4, 4, 2.0, 24, 7e6, _RATIOS[:2]),
    "default": Size(20, 40, 5, 1.5, 4, 2, 3, True, False, _BOX, 2, 8, 2.0, 24, 7e6, _RATIOS[:3]),
    "full": Size(60, 120, 20, 4.0, 8, 4, 4, True, True, (32, 32, 24), 8, 8, 2.0, 24, 7e5, _RATIOS),
}


def alloy(mg_fraction: float, coverage: Any = COVERAGE) -> dict[str, Any]:
    """Settings of lithium (0) or of an alloy."""
    if not mg_fraction:
        return {"system.params": "li_li2s", "system.mg_fraction": 0.0}
    return {
        "system.params": "limg_li2s",
        "system.mg_fraction": mg_fraction,
        "system.mg_coverage_L1": coverage,
    }


LI, LIMG = alloy(0.0), alloy(FOIL)
METALS = {"Li": LI, "Li-Mg": LIMG}

# One input at a time: name → (settings, metals they apply to). `wide` gives the larger square.
_BOTH = ("Li", "Li-Mg")
VARIANTS: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "E_f 0.34 eV": (
        {"parameters.formation_energy_bulk_eV": 0.34, "parameters.formation_energy_L1_eV": 0.12},
        _BOTH,
    ),
    "ε2/ε1 0.4": ({"parameters.second_shell_ratio": 0.4}, _BOTH),
    "ε2/ε1 0.6": ({"parameters.second_shell_ratio": 0.6}, _BOTH),
    "face (111)": ({"system.lattice": "bcc_111"}, _BOTH),
    "height 0.25 of the width": ({"upscale.shape": "aspect", "upscale.aspect_ratio": 0.25}, _BOTH),
    "height 1 of the width": ({"upscale.shape": "aspect", "upscale.aspect_ratio": 1.0}, _BOTH),
    "instant rounding": ({"upscale.relaxation": "instant"}, _BOTH),
    "no rounding": ({"upscale.relaxation": "none"}, _BOTH),
    "flaws, 0.05 per µm²": (
        {
            "upscale.nucleation": "flaws",
            "upscale.flaw_density_per_um2": 0.05,
            "upscale.flaw_radius_nm": 20.0,
        },
        _BOTH,
    ),
    "no creep": ({"conditions.stack_pressure_MPa": 0.0}, _BOTH),
    "Mg coverage 0.3": ({"system.mg_coverage_L1": 0.3}, ("Li-Mg",)),
    "Mg coverage 0.9": ({"system.mg_coverage_L1": 0.9}, ("Li-Mg",)),
    "χ from a fill energy of −0.06 eV": (
        {"parameters.fill_Li_near_Mg_eV": -0.06},
        ("Li-Mg",),
    ),
}
_WIDE_VARIANTS = ("flaws, 0.05 per µm²", "Mg coverage 0.9")

# The same for the box of atoms.
BOX_VARIANTS: dict[str, dict[str, Any]] = {
    "λ 0": {"conditions.strip_weight_lambda": 0.0},
    "λ 1": {"conditions.strip_weight_lambda": 1.0},
    "ε2/ε1 0.4": {"parameters.second_shell_ratio": 0.4},
    "ε2/ε1 0.6": {"parameters.second_shell_ratio": 0.6},
    "face (110)": {"system.lattice": "bcc_110"},
    "χ from a fill energy of −0.06 eV": {"parameters.fill_Li_near_Mg_eV": -0.06},
    "hops slowed ten times more": {"acceleration.slow_down_by": "×10"},
    "Mg coverage 0.3": {"system.mg_coverage_L1": 0.3},
    "Mg coverage 0.9": {"system.mg_coverage_L1": 0.9},
}

# Defaults of keys that a row does not name, so that every row of a sweep names the same keys.
DEFAULTS = {
    "system.lattice": "bcc_100",
    "upscale.shape": "cap",
    "upscale.relaxation": "kinetic",
    "upscale.nucleation": "homogeneous",
    "conditions.strip_weight_lambda": 0.5,
    **OPERANDO,
}


# --- rows of the sweeps ---------------------------------------------------------------------------


def operando_rows(size: Size) -> list[Row]:
    """Lithium and the foil at 0.5 mA/cm², 0.2 MPa and 25 °C."""
    return [_voids(size, metal) for metal in METALS.values()]


def condition_rows(size: Size) -> list[Row]:
    """Other alloys, currents, pressures and temperatures, one at a time; all of them in `full`."""
    rows = [_voids(size, alloy(x)) for x in MG_FRACTIONS if x != FOIL]
    for name, metal in METALS.items():
        for current in CURRENTS_mA_cm2:
            if current != OPERANDO["conditions.current_density_mA_cm2"]:
                rows.append(_voids(size, metal, {"conditions.current_density_mA_cm2": current}))
        for pressure in sorted({*PRESSURES_MPa, *PAPER_PRESSURES_MPa[name]}):
            rows.append(_voids(size, metal, {"conditions.stack_pressure_MPa": pressure}))
        rows.append(_voids(size, metal, {"conditions.temperature_K": TEMPERATURES_K[1]}))
    if size.factorial:
        pressures = (0.2, *PRESSURES_MPa)
        fractions = (0.0, *MG_FRACTIONS)
        for x, j, p, T in product(fractions, CURRENTS_mA_cm2, pressures, TEMPERATURES_K):
            changed = {
                "conditions.current_density_mA_cm2": j,
                "conditions.stack_pressure_MPa": p,
                "conditions.temperature_K": T,
            }
            rows.append(_voids(size, alloy(x), changed))
    return _distinct(rows, [*operando_rows(size)])


def variant_rows(size: Size) -> list[Row]:
    """One input changed, for lithium and the foil."""
    rows: list[Row] = []
    for name, (settings, metals) in VARIANTS.items():
        for metal in metals:
            row = _voids(size, METALS[metal], settings)
            wide = name in _WIDE_VARIANTS
            rows.append({**row, "upscale.domain_um": size.wide_um if wide else size.domain_um})
    return rows


def _voids(size: Size, metal: Row, changed: Row | None = None) -> dict[str, Any]:
    row = {**OPERANDO, **metal, **(changed or {})}
    if row["conditions.stack_pressure_MPa"] >= 7:
        return {**row, "upscale.domain_um": size.dense_um}
    rare = row["conditions.current_density_mA_cm2"] < 0.2 or row["conditions.temperature_K"] > 320
    return {**row, "upscale.domain_um": size.wide_um if rare else size.domain_um}


def first_box_rows() -> list[Row]:
    """Boxes of lithium and of the foil at the conditions of the operando cell."""
    return [{**OPERANDO, **metal} for metal in METALS.values()]


def box_rows(size: Size) -> list[Row]:
    """Boxes of atoms: alloys, currents, pressures and temperatures, but for the first boxes."""
    metals = [LI, *(alloy(x) for x in MG_FRACTIONS)]
    currents = CURRENTS_mA_cm2 if size.whole_grid else CURRENTS_mA_cm2[:2]
    temperatures = TEMPERATURES_K if size.whole_grid else TEMPERATURES_K[:1]
    # Creep faster than every hop costs hours: 14 and 50 MPa; and 7 MPa when slow or warm.
    pressures = (0.2, *PRESSURES_MPa) if size.whole_grid else (0.2,)
    rows = [
        {
            **metal,
            "conditions.current_density_mA_cm2": current,
            "conditions.stack_pressure_MPa": pressure,
            "conditions.temperature_K": temperature,
        }
        for metal, current, pressure, temperature in product(
            metals, currents, pressures, temperatures
        )
        if (size.whole_grid or current == 0.5 or metal["system.mg_fraction"] in (0.0, FOIL))
        and (pressure < 7 or size.factorial or (current > 0.05 and temperature < 300))
    ]
    return _distinct(rows, first_box_rows())


def random_rows() -> list[Row]:
    """The foil with a first layer as random as its bulk, at the two rates of the paper."""
    random = alloy(FOIL, NONE)
    return [
        {**OPERANDO, **random, "conditions.current_density_mA_cm2": current}
        for current in CURRENTS_mA_cm2[:2]
    ]


def box_variant_rows(size: Size) -> list[Row]:
    """One input of the box changed, for lithium and the foil; the first two rows are unchanged."""
    rows = first_box_rows()
    for settings in BOX_VARIANTS.values():
        for metal in METALS.values():
            needs_mg = any("mg_" in key or "_Mg_" in key for key in settings)
            if not (needs_mg and metal is LI):
                rows.append({**OPERANDO, **metal, **settings})
    return [_slowed(row, size) for row in rows]


def _slowed(row: Row, size: Size) -> dict[str, Any]:
    times = 10.0 if row.get("acceleration.slow_down_by") else 1.0
    return {**row, "acceleration.slow_down_by": times * size.slow_down_by}


def _distinct(rows: Sequence[Row], without: Sequence[Row]) -> list[Row]:
    kept: list[Row] = []
    for row in rows:
        if row not in kept and row not in without:
            kept.append(row)
    return kept


# --- sweep files ----------------------------------------------------------------------------------


def population_text(title: str, rows: Sequence[Row], replicas: int, size: Size) -> str:
    """A sweep of populations."""
    fixed = {"upscale.capacity_mAh_cm2": size.capacity_mAh_cm2, "upscale.frames": 6}
    return sweep_text(title, "upscale_li", rows, replicas, fixed, DEFAULTS)


def first_box_text(title: str, rows: Sequence[Row], size: Size) -> str:
    """A sweep of the boxes at the conditions of the operando cell."""
    return box_text(title, rows, replace(size, box_replicas=size.first_boxes))


def random_text(title: str, rows: Sequence[Row], size: Size) -> str:
    """A sweep of boxes that begin with a random first layer."""
    more = replace(size, monolayers=3.0, box_replicas=size.random_replicas)
    return box_text(title, rows, more)


def box_text(title: str, rows: Sequence[Row], size: Size) -> str:
    """A sweep of boxes of atoms."""
    fixed: dict[str, Any] = {
        "system.size": list(size.box),
        "acceleration.max_hops_per_strip_per_site": NONE,
        "stop.capacity_monolayers": size.monolayers,
    }
    if not any("acceleration.slow_down_by" in row for row in rows):
        fixed["acceleration.slow_down_by"] = size.slow_down_by
    return sweep_text(title, "strip_li", rows, size.box_replicas, fixed, DEFAULTS)
