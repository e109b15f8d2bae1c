"""Claims of the cathode paper: what it says, where, and what judges it.

Xiong et al., Nature Communications (2024), 10.1038/s41467-024-48174-8.
"""

from __future__ import annotations

from collections.abc import Callable

from kmc.papers.cathode import VARIANTS, Runs
from kmc.papers.claims import Claim, Evidence, Figure, Order, about
from kmc.papers.readings import Measured, mean

PAPER = "Xiong et al., Nature Communications (2024), 10.1038/s41467-024-48174-8"

_ALL = tuple(VARIANTS)
_CREEP = "Creep behavior of Se inside the all-solid-state cathode"
_NONE = Measured.exact(0.0)


def _order(low: Measured | None, high: Measured | None, text: str) -> Order:
    return Order(text, low is not None and high is not None and low.below(high))


def cycled(
    column: str, unit: str, first: float, last: float, rises: bool
) -> Callable[[Runs, str | None], Evidence]:
    """A number of selenium in the first and in the last cycle, and its change run by run."""

    def judge(runs: Runs, variant: str | None) -> Evidence:
        found = runs.selenium(variant)
        change = mean(found, f"{column}_change")
        return Evidence(
            [
                Figure("cycle 1", unit, mean(found, f"{column}_first"), about(first)),
                Figure("cycle 20", unit, mean(found, f"{column}_last"), about(last)),
                Figure("change", unit, change),
            ],
            [
                _order(_NONE, change, "rises from cycle 1 to 20")
                if rises
                else _order(change, _NONE, "falls from cycle 1 to 20")
            ],
        )

    return judge


def pores(runs: Runs, variant: str | None) -> Evidence:
    """First pores still open after a cycle, beside selenium that does not creep."""
    creeping = mean(runs.selenium(variant), "pores_delithiated")
    elastic = mean(runs.of("elastic"), "pores_delithiated")
    return Evidence(
        [
            Figure("open after a cycle", "1", creeping, (0.0, 0.78)),
            Figure("without creep", "1", elastic, about(0.78)),
        ],
        [_order(creeping, elastic, "creep keeps pores smaller")],
    )


def shrinking(runs: Runs, variant: str | None) -> Evidence:
    """Whether pores shrink while selenium is delithiated."""
    change = mean(runs.selenium(variant), "pores_change")
    return Evidence(
        [Figure("change of the open area of pores", "1", change)],
        [_order(change, _NONE, "pores shrink during delithiation")],
    )


def control_contact(runs: Runs, variant: str | None) -> Evidence:
    """Contact ratios of LiCoO2, and how far they change."""
    found = runs.of("licoo2")
    figures, orders = [], []
    for column, name, paper in (
        ("contact_active_active", "LCO–LCO", 0.0384),
        ("contact_active_frame", "LCO–MSe", 0.0910),
    ):
        change = mean(found, f"{column}_change")
        figures.append(Figure(name, "1", mean(found, f"{column}_first"), about(paper)))
        constant = change is not None and change.overlaps(0.0, 0.0)
        orders.append(Order(f"{name} is constant", constant))
    return Evidence(figures, orders)


def control_stress(runs: Runs, variant: str | None) -> Evidence:
    """Stress of LiCoO2 that 1 % of its sites exceed, and its mean beside selenium."""
    lco = mean(runs.of("licoo2"), "stress_active_GPa_first")
    se = mean(runs.selenium(variant), "stress_active_GPa_first")
    high = mean(runs.of("licoo2"), "stress_active_99_GPa_first")
    return Evidence(
        [
            Figure("LiCoO2, exceeded by 1 % of sites", "GPa", high, about(3.0)),
            Figure("LiCoO2, mean", "GPa", lco),
            Figure("Se, mean", "GPa", se),
        ],
        [_order(se, lco, "less stress in Se than in LiCoO2")],
    )


def sulphide(runs: Runs, variant: str | None) -> Evidence:
    """Stress of FeS beside selenium."""
    fes = mean(runs.of("fes"), "stress_active_GPa_first")
    se = mean(runs.selenium(variant), "stress_active_GPa_first")
    return Evidence(
        [Figure("FeS", "GPa", fes), Figure("Se", "GPa", se)],
        [_order(se, fes, "less stress in Se than in FeS")],
    )


_CONTACT = (
    f"{_CREEP}: “the Se-Se and Se-MSe contact ratios … can reach 70.5% and 67.0% in the first "
    "cycle and gradually increase to 84.4% and 79.5% in the 20th cycle”; Fig. 4d"
)
_STRESS = (
    f"{_CREEP}: “the average equivalent stress developed in the Se and MSe particles … is only "
    "0.099 GPa and 0.171 GPa, respectively, and further drops to 0.067 GPa and 0.156 GPa at the "
    "20th cycle”; Fig. 4e"
)
_BY = "kmc sweep-plot selenium --what"

CLAIMS = (
    Claim(
        "contact_frame",
        "Contact Se–MSe",
        "67.0 % in cycle 1, 79.5 % in cycle 20",
        _CONTACT,
        cycled("contact_active_frame", "1", 0.670, 0.795, True),
        f"{_BY} contact_active_frame",
        "It follows the swelling in the plane (`plane_share`, assumed), not the creep law.",
        _ALL,
    ),
    Claim(
        "contact_active",
        "Contact Se–Se",
        "70.5 % in cycle 1, 84.4 % in cycle 20",
        _CONTACT,
        cycled("contact_active_active", "1", 0.705, 0.844, True),
        f"{_BY} contact_active_active",
        "Closed from the first cycle: grains of ten sites touch along whole sites, and surfaces "
        "count as touching below a tenth of a site.",
        _ALL,
    ),
    Claim(
        "stress_active",
        "Stress in Se",
        "0.099 GPa in cycle 1, 0.067 GPa in cycle 20",
        _STRESS,
        cycled("stress_active_GPa", "GPa", 0.099, 0.067, False),
        f"{_BY} stress_active_GPa",
        "An upper bound: it falls with more steps, as it relaxes between them. The paper's "
        "hardness and exponent are in a figure; those of the parameter set are assumed.",
        _ALL,
    ),
    Claim(
        "stress_frame",
        "Stress in MSe",
        "0.171 GPa in cycle 1, 0.156 GPa in cycle 20",
        _STRESS,
        cycled("stress_frame_GPa", "GPa", 0.171, 0.156, False),
        f"{_BY} stress_frame_GPa",
        "It follows the swelling in the plane: the walls do not give way, and the frame takes what "
        "selenium does not creep away.",
        _ALL,
    ),
    Claim(
        "pores",
        "Pores reopen less than without creep",
        "most of 20 pores well below 78 % of their first area",
        f"{_CREEP}: “if there is no irreversible creep deformation, the pores volume should "
        "re-expand to 78% of the initial volume … most pore sizes are much smaller than 78%”; "
        "Fig. 3d",
        pores,
        f"{_BY} pore_area",
        "The first pores, all together. Between walls that do not give way the volume of all "
        "openings is the same with and without creep: what the first pores lose opens between "
        "grains.",
        _ALL,
    ),
    Claim(
        "shrinking",
        "Pores shrink further while delithiating",
        "eight of 20 pores undergo further shrinkage during delithiation",
        f"{_CREEP}: “the actual porosity further contracts during charge (delithiation, Fig. "
        "3c-IV, V)”; Fig. 3d",
        shrinking,
        f"{_BY} pore_area",
        "All first pores together: delithiated selenium shrinks by more than half of its swelling, "
        "and between fixed walls the room must open somewhere. Single pores are not followed.",
        _ALL,
    ),
    Claim(
        "control_contact",
        "Contact of LiCoO2",
        "3.84 % LCO–LCO, 9.10 % LCO–MSe, constant",
        f"{_CREEP}: “The LCO-LCO and LCO-MSe contact ratios in the fully lithiated LCO-MSe "
        "cathode are 3.84% and 9.10%, respectively (Fig. 4d) … remain constant”",
        control_contact,
        "kmc sweep-plot licoo2 --what contact_active_frame",
        "Grains touch at single sites at the start: the ratio is that of one site a contact, and "
        "so depends on the resolution. Constant, as nothing creeps.",
    ),
    Claim(
        "control_stress",
        "Stress in LiCoO2",
        "up to about 3.0 GPa, that of Se about a tenth of a GPa",
        f"{_CREEP}: “the developed stress can reach as high as ~3.0 GPa”; Fig. 4f",
        control_stress,
        "kmc sweep-plot licoo2 --what stress_active_99_GPa",
        "Modulus and volume change of LiCoO2 are assumed; “up to” is what 1 % of the sites exceed.",
    ),
    Claim(
        "sulphide",
        "More stress in FeS than in Se",
        "accumulated stress fragments FeS, which does not creep; Se holds",
        "the section on FeS: “the accumulated stress would eventually cause the particles to "
        "fragment”; Fig. 5",
        sulphide,
        "kmc sweep-plot fes --what stress_active_GPa",
        "The stress alone: fracture is not modelled.",
        _ALL,
    ),
    Claim(
        "cycle_life",
        "Capacity and cycle life",
        "more than 3000 cycles at 0.5 C",
        "Abstract; Fig. 5",
        None,
        "",
        "No electrochemistry of the cathode, no fracture, no loss of active material.",
    ),
)
