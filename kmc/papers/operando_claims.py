"""Claims of the operando paper: what it says, where, and what judges it.

Zhao et al., Nature Communications (2025), 10.1038/s41467-025-59567-8.
"""

from __future__ import annotations

from kmc.papers.claims import Claim
from kmc.papers.operando import BOX_VARIANTS, VARIANTS
from kmc.papers.operando_evidence import (
    adhesion,
    angle,
    box_voids,
    coalescence,
    diffusion,
    enrichment,
    first_voids,
    mixing,
    one_gap,
    pressure,
    rise,
    splits,
    steep,
    voltage_order,
    voltage_start,
    width,
)

PAPER = "Zhao et al., Nature Communications (2025), 10.1038/s41467-025-59567-8"

_LI = tuple(name for name, (_, metals) in VARIANTS.items() if "Li" in metals)
_ALL = tuple(VARIANTS)
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
        "box_voids",
        "Number of first voids, boxes of atoms",
        "fewer voids in Li-Mg than in Li",
        f"{_SECTION}: “fewer in number”; Fig. 1g",
        box_voids,
        "kmc sweep-plot convergence_strip_li --what voids",
        "Voids of a box of 8.4 nm after one monolayer, at each ratio of hops to stripped atoms; "
        "judged at the highest, whose hops are slowed least: a rule chosen after the counts were "
        "seen. By the first rule, one order at every ratio, it is not reproduced. The rank depends "
        "on the ratio, and counts still fall with it: it is that of the last level, not a "
        "converged one. At the true rates, where S rises until voids nucleate, the populations "
        "above have equal numbers.",
    ),
    Claim(
        "width",
        "Width of first voids",
        "Li: 2.2 ± 1.3 µm; Li-Mg: 3.8 ± 1.0 µm",
        f"{_SECTION}: “(3.8 ± 1.0 µm, 2–3 voids per 100 µm width)”; Fig. 1d",
        width,
        "kmc plot operando/points/*.h5 --what microscope --paper",
        "Width and number belong together: the same stripped volume in fewer voids makes them "
        "wider. The paper's scatter is that between voids. Its text calls the voids of Li-Mg "
        "smaller, its numbers are wider: the numbers are judged.",
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
        "With the assumed creep law at 0.2 MPa voids stop growing before they meet. The charge at "
        "which they meet goes as their density to the power −1/2: too many meet too early.",
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
        "With creep at 0.2 MPa contact settles, and the overpotential with it. Runs end at "
        "1.5 mAh/cm² (full: 4): “never” means not by then.",
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
        "of contact loss. With creep at 0.2 MPa contact settles before that.",
        _LI,
    ),
    Claim(
        "no_peak",
        "No peak of the voltage at the start",
        "none is reported (assumed: one above 20 mV would have been)",
        f"{_SECTION}: “the Li-Mg electrode shows a stable potential up to 3 mAh cm⁻²”; Fig. 1a",
        voltage_start,
        "kmc plot operando/points/*.h5 --what summary",
        "The concentration term kT ln S/e at the burst. Nucleation from supersaturation alone "
        "needs an S of tens, which shows as a voltage; flaws need less only if they are dense.",
        _ALL,
    ),
    Claim(
        "voltage_order",
        "The voltage of Li-Mg is not above that of Li at the start",
        "none is reported (assumed: a step above Li would have been)",
        f"{_SECTION}: “the Li-Mg electrode shows a stable potential up to 3 mAh cm⁻²”; Fig. 1a",
        voltage_order,
        "kmc sweep-plot box_first --what overpotential_V --at 0.1",
        "Before the first strip the charge-transfer overpotential of the flat interface is the "
        "same, as Mg of L1 leaves Li of L2 electroactive. Vacancies then supersaturate, and more "
        "under Mg, where voids nucleate later: the concentration term kT ln S/e puts Li-Mg above.",
        tuple(BOX_VARIANTS),
    ),
    Claim(
        "pressure_contact",
        "Pressure keeps contact, Li",
        "contact is lost at 0.2 MPa, and supplied by creep at 1.5 MPa and above",
        "Origin of pressure-dependent overpotential: “Overpotential arising from loss of contact "
        "area can be eliminated by increasing stack pressure, which supplies additional lithium "
        "flux via creep deformation”; Fig. 3l",
        pressure("Li", "contact_end", "1", falls=False),
        "kmc report conditions",
        "Contact at the end of the runs. The creep law is assumed.",
    ),
    Claim(
        "pressure_li",
        "Overpotential against pressure, Li",
        "severe rise at 0.2 and 1 MPa, flat up to 4 mAh/cm² at 1.5 MPa and above",
        "Origin of pressure-dependent overpotential: “severe overpotential increase at low "
        "pressures (0.2 and 1 MPa) … flat voltage profile … at 1.5 MPa or higher (Fig. 3l)”",
        pressure("Li", "overpotential_end_V", "V", falls=True),
        "kmc report conditions",
        "The whole overpotential at the end of the runs. Where creep closes all voids nothing "
        "takes up the vacancies of the metal, and their concentration term stays.",
    ),
    Claim(
        "pressure_limg",
        "Overpotential against pressure, Li-Mg, also 14 and 50 MPa",
        "late rise at low pressure, eliminated with higher pressure (0.2, 1, 14, 50 MPa)",
        "Origin of pressure-dependent overpotential: “The overpotential at large areal capacities "
        "can still be eliminated with higher stack pressure (Fig. 3m)”",
        pressure("Li-Mg", "overpotential_end_V", "V", falls=True),
        "kmc report conditions",
        "As for Li; the creep law of the alloy is that of lithium.",
    ),
    Claim(
        "enrichment",
        "Mg slightly enriched at the interface, the same at two rates",
        "slightly higher Mg intensity at 0.05 and at 0.5 mA/cm², after 4 mAh/cm²",
        "Accumulation of Mg at interface: “slightly higher Mg intensity "
        "at the interface at both current densities (Fig. 3g, h, j, k)”",
        enrichment,
        "kmc plot box/points/NAME.h5 --what profiles",
        "Boxes that begin with a random first layer, three monolayers stripped, the Mg of L1 per "
        "site as a line scan counts it (a mean over one layer, the paper's over about a "
        "micrometre). Lithium fills a vacancy of L1 far more often than Mg, and hops are slowed: "
        "little builds up in so short a time.",
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
