"""Claims of the interlayer paper: what it says, where, and what judges it.

Shen et al., Nature Communications (2025), 10.1038/s41467-025-60609-4.
"""

from __future__ import annotations

from kmc.papers.claims import Claim, Evidence, Figure, Order, about
from kmc.papers.interlayer import VARIANTS, Runs, map_row
from kmc.papers.readings import Measured, mean

PAPER = "Shen et al., Nature Communications (2025), 10.1038/s41467-025-60609-4"

# Coulombic efficiencies (%): text, section on electrochemical tests.
EFFICIENCIES = {"ZnO (002)": 99.89, "ZnO (202)": 96.48, "ZnO (020)": 95.53, "carbon": 91.62}
_ALL = tuple(VARIANTS)
_ZNO = tuple(name for name, (_, substrates) in VARIANTS.items() if substrates != ("carbon",))
_DEPOSITION = "The deposition observation of Li with SEM and in situ optical microscopy"
_TESTS = "Comprehensive electrochemical test"
_SIDE = (
    "The loss of the model is lost contact alone; side reactions and SEI, which carry most of a "
    "measured one, are not modelled. "
)


def _order(low: Measured | None, high: Measured | None, text: str) -> Order:
    return Order(text, low is not None and high is not None and low.below(high))


def evenness(runs: Runs, variant: str | None) -> Evidence:
    """Coverage and roughness on ZnO (002) and on carbon."""
    zno, carbon = (runs.substrate(name, variant) for name in ("ZnO (002)", "carbon"))
    covered = [mean(some, "coverage_1") for some in (zno, carbon)]
    rough = [mean(some, "roughness_3") for some in (zno, carbon)]
    return Evidence(
        [
            Figure("ZnO (002), covered at one monolayer", "1", covered[0]),
            Figure("carbon, covered", "1", covered[1]),
            Figure("ZnO (002), roughness at three", "layers", rough[0]),
            Figure("carbon, roughness", "layers", rough[1]),
        ],
        [
            _order(covered[1], covered[0], "ZnO (002) is covered more than carbon"),
            _order(rough[0], rough[1], "and is smoother"),
        ],
    )


def efficiency(runs: Runs, variant: str | None) -> Evidence:
    """Dead lithium over plated lithium, beside the loss that was measured."""
    loss = {name: mean(runs.substrate(name, variant), "dead_percent") for name in EFFICIENCIES}
    figures = [
        Figure(f"{name}, lost", "%", loss[name], about(100 - measured))
        for name, measured in EFFICIENCIES.items()
    ]
    faces = [name for name in EFFICIENCIES if name != "carbon"]
    orders = [
        _order(loss[face], loss["carbon"], f"less on {face} than on carbon") for face in faces
    ]
    return Evidence(figures, orders)


def faces(runs: Runs, variant: str | None) -> Evidence:
    """Order of the faces of ZnO in their loss."""
    names = ("ZnO (002)", "ZnO (202)", "ZnO (020)")
    loss = [mean(runs.substrate(name, variant), "dead_percent") for name in names]
    return Evidence(
        [Figure(f"{name}, lost", "%", value) for name, value in zip(names, loss, strict=True)],
        [
            _order(loss[0], loss[1], "less on (002) than on (202)"),
            _order(loss[1], loss[2], "less on (202) than on (020)"),
        ],
    )


def both_needed(runs: Runs, variant: str | None) -> Evidence:
    """Coverage of the first monolayer against adsorption and barrier."""

    def covered(adsorption: float, barrier: float) -> Measured | None:
        return mean(runs.of("map", map_row(adsorption, barrier)), "coverage_1")

    moderate, weak, strong = covered(3.4, 0.1), covered(1.61, 0.1), covered(4.32, 0.1)
    slow, carbon = covered(3.4, 0.6), covered(1.1, 0.1)
    return Evidence(
        [
            Figure("3.40 eV, low barrier", "1", moderate),
            Figure("1.61 eV, low barrier", "1", weak),
            Figure("4.32 eV, low barrier", "1", strong),
            Figure("3.40 eV, 0.6 eV", "1", slow),
            Figure("1.10 eV, low barrier", "1", carbon),
        ],
        [
            _order(carbon, moderate, "adsorption of 3.40 eV covers more than 1.10 eV"),
            _order(weak, moderate, "and more than 1.61 eV"),
            _order(strong, moderate, "and more than 4.32 eV"),
            _order(slow, moderate, "a low barrier covers more than 0.6 eV"),
        ],
    )


def islands_first(runs: Runs, variant: str | None) -> Evidence:
    """Which share of islands of ZnO, and of the carbon between them, one monolayer covers."""
    on, between = (mean(runs.of("islands"), f"covered_{x}") for x in ("islands", "between"))
    return Evidence(
        [Figure("ZnO, covered", "1", on), Figure("carbon between, covered", "1", between)],
        [_order(between, on, "ZnO is covered more than the carbon between")],
    )


def carried_on(runs: Runs, variant: str | None) -> Evidence:
    """Whether carbon between islands is covered more than carbon alone."""
    between, alone = (
        mean(runs.of("islands"), "covered_between"),
        mean(runs.substrate("carbon"), "coverage_1"),
    )
    return Evidence(
        [Figure("carbon between islands, covered", "1", between),
         Figure("carbon alone", "1", alone)],
        [_order(alone, between, "carbon between islands is covered more than carbon alone")],
    )  # fmt: skip


def dead(runs: Runs, variant: str | None) -> Evidence:
    """Dead lithium on carbon and on ZnO (002)."""
    zno, carbon = (
        mean(runs.substrate(name, variant), "dead_percent") for name in ("ZnO (002)", "carbon")
    )
    return Evidence(
        [Figure("ZnO (002), dead over plated", "%", zno), Figure("carbon", "%", carbon)],
        [_order(zno, carbon, "less dead lithium on ZnO (002)")],
    )


def scaffold(runs: Runs, variant: str | None) -> Evidence:
    """Most dead atoms at an interface whose spots conduct, and where they do not."""
    without, conducting = (mean(runs.of(step), "dead_Li_most") for step in ("dead", "scaffold"))
    return Evidence(
        [Figure("without, most dead", "atoms", without), Figure("with", "atoms", conducting)],
        [_order(conducting, without, "less dead lithium with a scaffold")],
    )


CLAIMS = (
    Claim(
        "evenness",
        "Even on ZnO (002), gathered on bare carbon",
        "uniform within CP@ZnO(002); aggregates and dendrites on CP",
        f"{_DEPOSITION}: “confirm the uniform deposition of Li metal within the CP@ZnO(002) film "
        "framework”; Fig. 2g–l",
        evenness,
        "kmc sweep-plot efficiency --what coverage --at 1",
        "Adsorption decides: above 1.30 eV, that of an atom on a terrace of lithium, a film wets. "
        "The adsorption energy of carbon is assumed, and carries this claim.",
        _ALL,
    ),
    Claim(
        "efficiency",
        "Efficiency by Aurbach's protocol, ZnO and bare carbon",
        "(002) 99.89, (202) 96.48, (020) 95.53, bare carbon 91.62 %",
        f"{_TESTS}: “CP and O₃-CP exhibit average CEs of 91.62% and 90.66%, respectively, while "
        "CP@ZnO(002) achieved an impressive 99.89%”; Fig. 3a",
        efficiency,
        "kmc sweep-plot efficiency --what dead_per_plated",
        _SIDE
        + "Compared is what was measured as lost, 100 % less the efficiency, ± 20 % of it. On "
        "carbon stripping works inward along the foot of an island and the deposit comes off; in a "
        "cell it would be pressed back, here it stays dead, so that far too much is lost.",
        _ALL,
    ),
    Claim(
        "faces",
        "Order of the faces of ZnO",
        "(002) above (202) above (020)",
        f"{_TESTS}: “the average CEs for CP@ZnO(020), CP@ZnO(202), and CP@ZnO are 95.53%, 96.48%, "
        "and 96.46%, respectively”",
        faces,
        "kmc sweep-plot efficiency --what dead_per_plated",
        _SIDE + "Lithium wets all three faces, so that none loses contact.",
        _ZNO,
    ),
    Claim(
        "ozone",
        "Carbon after ozone below bare carbon",
        "90.66 against 91.62 %",
        f"{_TESTS}: “O₃-CP experiences low CE owing to its excessive adsorption affinity towards "
        "Li”",
        None,
        "",
        "No adsorption energy is given for it. In the model strong adsorption does no harm: see "
        "the next claim.",
    ),
    Claim(
        "both_needed",
        "Moderate adsorption and a low barrier are both needed",
        "3.40 eV and a low barrier, (002), beside 1.61 and 4.32 eV with higher ones",
        f"{_TESTS}: “strong adsorption and higher Li migration barriers impede the full "
        "utilization of Li”; Fig. 1e–j",
        both_needed,
        "kmc sweep-plot map --what coverage --x adsorption_energy_eV --heatmap",
        "Coverage of the first monolayer. Adsorption above that of lithium is enough, whatever the "
        "barrier up to 0.6 eV: hops are slowed until a lone atom makes 1e6 for each atom that "
        "arrives, which raises lower barriers to 0.34 eV, and the true ones leave more time still.",
    ),
    Claim(
        "lizn",
        "LiZn spreads lithium by its barrier",
        "0.017 eV, the lowest",
        "The thin Interlayer design and manufacture: “LiZn alloy with appropriate ionic "
        "conductivity (showing the lowest Li mobility barrier of 0.017 eV)”; Fig. 1k, l",
        None,
        "",
        "Barriers below 0.34 eV are raised to it, and the reaction of ZnO to LiZn is not modelled. "
        "The table has LiZn as a substrate: its adsorption energy, assumed, makes it wet.",
    ),
    Claim(
        "islands_first",
        "Islands of ZnO take lithium first",
        "particles of 5–10 nm with gaps promote preferential Li deposition",
        "The thin Interlayer design and manufacture: “average particle size of ZnO ranging "
        "between 5 and 10 nm. These gaps promote preferential Li deposition and facilitate radial "
        "diffusion”",
        islands_first,
        "kmc plot islands/points/NAME.h5 --what map",
        "Atoms that land on carbon and reach an island stay there. Sizes are those of the paper, "
        "the share of ZnO, 0.3, is assumed.",
    ),
    Claim(
        "carried_on",
        "and carry it on over the carbon",
        "facilitate radial diffusion of Li along the CNTs",
        "The thin Interlayer design and manufacture: “facilitate radial diffusion of Li along the "
        "CNTs”",
        carried_on,
        "kmc plot islands/points/NAME.h5 --what map",
        "At one monolayer. What the islands take is missing on the carbon, and a film on ZnO ends "
        "at its edge as long as it is one layer thick.",
    ),
    Claim(
        "dead",
        "Dead lithium collects on bare carbon, not on ZnO (002)",
        "a significant accumulation on CP surfaces; CP@ZnO(002) clean",
        f"{_TESTS}: “The cross–section SEM images show a significant accumulation of Li^D on CP "
        "surfaces after 200 cycles”",
        dead,
        "kmc sweep-plot efficiency --what dead_per_plated",
        "Ten cycles of one monolayer on a reservoir of three, in place of mAh/cm².",
        _ALL,
    ),
    Claim(
        "scaffold",
        "A conducting framework reconnects dead lithium",
        "the interwoven framework restores electron conductivity, enabling reutilization",
        "Introduction: “captures collapsed Li^D … while the interwoven CP@ZnO(002) framework "
        "restores electron conductivity, enabling Li^D reutilization”",
        scaffold,
        "kmc plot dead/points/*.h5 scaffold/points/*.h5 --what section",
        "A box of Li on Li2S whose lithiophilic spots, 15 % of it, conduct or not, stripped and "
        "plated by four monolayers twice. Lithium on a conducting spot is connected by definition; "
        "the runs say how much that is. Plating reconnects the rest in both.",
    ),
    Claim(
        "catalytic",
        "Dead lithium is converted “catalytically”",
        "Li^D “catalytic” conversion within CP@ZnO(002)",
        "Analysis and discussion of Li^D; Fig. 4",
        None,
        "",
        "Neither SEI nor reactions of ZnO are in the model.",
    ),
    Claim(
        "thickness",
        "Thickness, dendrites at high current",
        "80.6 against 43.8 µm at 5 mAh/cm²; dendrites at 18.75 mA/cm² on CP",
        f"{_DEPOSITION}; Fig. 2m–x",
        None,
        "",
        "Boxes of nanometres, without a field or a concentration in the electrolyte.",
    ),
)
