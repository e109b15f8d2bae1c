"""The sections that make a run one of another kind than a box of atoms, with their keys."""

import math
from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field

from kmc.common.validation import LIST, Checked, Count, Integer, Number, NumberOrInf, refuse
from kmc.runfile.protocol import Protocol
from kmc.runfile.sections import (
    Conditions,
    Positive,
    Rest,
    Share,
    System,
    SystemSection,
    _key,
    _optional,
)

MAX_CELLS = 2048  # of the grid along an edge: 1 GB
FEWEST_CELLS = 16
NARROWEST_um, WIDEST_um = 5.0, 300.0  # of a square whose edge is not given


def _all_but(section: type[Checked], *left_out: str) -> tuple[str, ...]:
    return tuple(key for key in section.model_fields if key not in left_out)


class Upscale(SystemSection):
    """A population of voids on micrometres of interface, instead of a box of atoms."""

    uses: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "system": _all_but(System, "size", "vacancy_fraction"),
        "conditions": _all_but(
            Conditions, "strip_weight_lambda", "contact_pattern_um", "plate_on_void_surfaces"
        ),
        "stop": ("contact_fraction", "overpotential_V"),
        "rest": _all_but(Rest),
        "protocol": _all_but(Protocol),
        "random": ("seed",),
    }

    domain_um: Annotated[Number, Field(ge=0.5, le=5000)] | None = _optional(
        50.0, reason="see grid_um"
    )
    """edge of the periodic square of interface; without it that of the square on which voids_wanted
    are expected to begin"""
    voids_wanted: Annotated[Count, Field(ge=1, le=100_000)] = 200
    """voids for which the square has room, without domain_um"""
    capacity_mAh_cm2: Annotated[Number, Field(gt=0, le=1000)] = 1.5
    """charge at which the current ends"""
    rounding_length_um: Annotated[Number, Field(gt=0, le=1000)] | None = _optional(
        1.8, reason="without rounding the rim of a spreading void has no thickness"
    )
    """R* of R*(t) = (B t)^¼ after 1e4 s: capillarity rounds off what is smaller. B is uncertain by
    orders; without it that of relaxation"""
    relaxation: Literal["kinetic", "instant"] = "kinetic"
    """without rounding_length_um: R* of diffusion through metal and interface, or voids that are
    discs at once"""
    relaxation_constant: Annotated[Number, Field(gt=0, le=1e6)] = 10.0
    """C of the kinetic τ(R*) = R*³kT/(C D_v c_eq γΩ) = 1e4 s; of the order of 10"""
    body: Literal["rigid", "viscous"] | None = _optional("viscous")
    """how the metal above voids comes down: as a whole, or flowing by creep under the pressure;
    without it viscous where there is a pressure. The rigid body is that of a metal that does not
    creep, not the limit of no pressure: capillarity draws on a viscous one, too"""
    pressure_share: Share = 1.0
    """share of conditions.stack_pressure_MPa that this piece of interface carries, less than 1 near
    a free edge; 0 makes the body rigid unless it is given"""
    fixture_stiffness_MPa_per_um: Annotated[Number, Field(ge=0, le=1000)] = 0.0
    """by how much the stack pressure falls where the stack becomes 1 µm shorter, as metal settles;
    0 is a constant pressure, about 0.001 a spring, 0.12 a plastic bolt of 10 mm"""
    counter_electrode_share: Annotated[Number, Field(ge=0, le=5)] = 0.0
    """with fixture_stiffness_MPa_per_um: volume by which the counter electrode swells over the
    volume stripped here; 1 for plated metal, about 0.6 for indium"""
    dislocation_modulus_GPa: Annotated[Number, Field(gt=0, le=1000)] | None = _optional(0.85)
    """αG of Taylor's law: dislocations of the density (σ/αGb)², σ = pressure_share times the stack
    pressure, are sinks beside those of sink_depth_um; without it none. Lithium: 0.85, 0.3 of 2.83
    GPa, assumed"""
    adhesion_MPa: Annotated[NumberOrInf, Field(ge=0)] = math.inf
    """tension at which contact opens, with the viscous body; inf where it never does"""
    contact_lost: Literal["end", "plate_back", "go_on"] = "end"
    """when a strip step of a protocol ends early as no contact is left: the run ends, or later
    plate steps give back no more than was stripped, or they plate their full charge"""
    shape: Literal["cap", "aspect"] = "cap"
    """of a void: a spherical cap with the contact angle, or with a given aspect ratio"""
    contact_angle_deg: Annotated[Number, Field(gt=0, lt=180)] | None = _optional(93.6)
    """contact angle of the metal on the electrolyte; that of the parameter set without it"""
    contact_angle_hysteresis_deg: Annotated[Number, Field(ge=0, le=60)] = 0.0
    """advancing less receding contact angle: a rim spreads at half of it steeper, closes at half of
    it flatter, and is pinned between; rough, pressed electrolytes: 10 to 30, assumed"""
    aspect_ratio: Annotated[Number, Field(gt=0, le=5)] | None = _optional(0.25)
    """with shape = "aspect": height over width of a void"""
    nucleation: Literal["homogeneous", "flaws", "both"] = "homogeneous"
    """where voids begin: anywhere on contact at the rate I(S), on flaws, or both"""
    flaw_density_per_um2: Annotated[Number, Field(gt=0, le=1e4)] | None = _optional(0.06)
    """patches without contact at the start, at random places"""
    flaw_radius_nm: Annotated[Number, Field(gt=0, le=1e5)] | None = _optional(20.0)
    """radius of those patches; with flaw_radius_sigma their median"""
    flaw_radius_sigma: Annotated[Number, Field(ge=0, le=3)] = 0.0
    """width of the lognormal distribution of their radii: of ln r"""
    flaws_reopen: bool = True
    """whether flaws that plating has closed open again with the next strip step of a protocol;
    assumed: a place without bond stays one"""
    sharing: Literal["field"] = "field"
    """who gets the vacancies: those to whom diffusion leads them"""
    grid_um: Annotated[Number, Field(ge=1e-3, le=100)] | None = _optional(0.25)
    """cells of the grid, at most; without it as narrow as the voids to come and the rim of a
    spreading void (rounding_length_um) want them"""
    cells_per_rim: Annotated[Number, Field(ge=1.4, le=20)] | None = _optional(3.0)
    """without grid_um: cells across the rim of a spreading void; without it 2.9 for flaws and 1.4
    where voids nucleate, as fewer lose contact too late"""
    resolution_um: Annotated[Number, Field(ge=0, le=100)] = 0.0
    """of the microscope that counts voids on lines: it sees no narrower or lower void, and no
    narrower contact"""
    image_every_min: Annotated[Number, Field(gt=0, le=1e6)] | None = _optional(15.0)
    """frames at this interval while a current flows, as a microscope takes images, in place of
    frames"""
    replicas: Annotated[Count, Field(ge=1, le=200)] = 1
    """independent populations, averaged over"""
    samples: Annotated[Count, Field(ge=1, le=100_000)] = 100
    """rows of numbers, evenly spaced in charge, up to the capacity or in each step"""
    samples_per_decade: Annotated[Count, Field(ge=0, le=1000)] = 8
    """more rows, so many in each power of ten of charge from 1e-7 mAh/cm²"""
    frames: Annotated[Count, Field(ge=1, le=10_000)] = 20
    """fields of gaps, evenly spaced in charge; beside them three in each power of ten, and one
    whenever a tenth of the contact has gone"""

    def edge_um(self, voids_per_um2: float) -> float:
        """Edge of the square: as given, or with room for `voids_wanted`."""
        if self.domain_um is not None:
            return self.domain_um
        # Some density, where nothing nucleates: the widest square is the best that can be done.
        density = max(voids_per_um2, self.flaw_density_per_um2 or 0.0, 1e-9)
        return min(max(math.sqrt(self.voids_wanted / density), NARROWEST_um), WIDEST_um)


def cells_along_edge(edge_um: float, cell_um: float) -> int:
    """Cells along an edge, at most `cell_um` wide: an even number that FFTs like."""
    wanted = max(FEWEST_CELLS, math.ceil(edge_um / cell_um - 1e-9))
    # Refused by the checks, which name this number.
    if wanted > MAX_CELLS:
        return wanted
    # Products of 2, 3 and 5, which divide a high power of 30.
    return next(n for n in range(wanted + wanted % 2, 4 * wanted + 2, 2) if 30**32 % n == 0)


def _ascending(ends: tuple[float, float]) -> tuple[float, float]:
    # Equal ends are allowed: islands of one size.
    if ends[0] > ends[1]:
        raise refuse("has the largest first")
    return ends


class Deposition(SystemSection):
    """Lithium is plated on a substrate, and stripped again; params of [system] is the substrate."""

    uses: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "system": ("params", "size"),
        "conditions": ("temperature_K", "current_density_mA_cm2", "strip_weight_lambda"),
        "acceleration": ("max_hops_per_strip_per_site", "saddle_floor_eV"),
        "stop": ("capacity_monolayers", "capacity_mAh_cm2", "wall_time_s"),
        "protocol": ("blocks",),
        "output": ("sample_every_monolayers", "frame_every_monolayers"),
        "random": ("seed",),
    }

    hops: bool = True
    """whether atoms hop; without, they stay where they are plated (random deposition)"""
    strip_cutoff_V: Annotated[Number, Field(ge=0, le=10)] = 1.0
    """atoms that the substrate holds by more than this against lithium metal are not stripped"""
    island_params: str | None = _optional("li_zno_002")
    """parameter set of islands on the substrate: a shipped name or a path"""
    island_fraction: Share = 0.3
    """share of the substrate that the islands cover, met to the site"""
    island_diameter_nm: Annotated[tuple[Positive, Positive], LIST, AfterValidator(_ascending)] = (
        _key((5.0, 10.0), allowed="two numbers above 0, the smallest first")
    )
    """smallest and largest diameter of the islands, which are discs at random places"""
    surface_layer_nm: Annotated[Number, Field(gt=0, le=1000)] | None = _optional(0.1)
    """thickness of the lithium that fresh surface of the metal takes, once, for the layer on it
    (SEI); 0 without"""
    zinc_oxide_nm: Annotated[Number, Field(gt=0, le=1000)] | None = _optional(15.0)
    """thickness of the ZnO that has become the substrate, LiZn in Li2O, before lithium is plated;
    its charge stands apart, in no efficiency"""
    area_per_electrode_area: Annotated[Number, Field(gt=0, le=1e6)] | None = _optional(100.0)
    """area of the substrate in an area of the electrode, over which current density and mAh/cm²
    are spread, as of a scaffold; 1 without"""


class Cathode(SystemSection):
    """A composite cathode is cycled; params of [system] is its active material, delithiated."""

    uses: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "system": ("params",),
        "stop": ("wall_time_s",),
        "random": ("seed",),
    }

    lithiated_params: str | None = _optional("li2se")
    """parameter set of the lithiated active material; that of [system] without"""
    frame_params: str = "mo6se8"
    """parameter set of the frame"""
    edge_sites: Annotated[Integer, Field(ge=16, le=256)] = 48
    """sites along an edge of the representative volume"""
    grain_sites: Annotated[Number, Field(ge=5, le=40)] = 10.0
    """mean distance between the middles of neighbouring grains, in sites"""
    refinement: Annotated[Count, Field(ge=1, le=8)] = 1
    """each of these sites is cut into refinement × refinement, so that the geometry stays and necks
    between grains are so many sites wide"""
    active_fraction: Annotated[Number, Field(ge=0.05, le=0.9)] = 0.356
    """volume fraction of the active material"""
    frame_fraction: Annotated[Number, Field(ge=0.05, le=0.9)] = 0.397
    """volume fraction of the frame"""
    cycles: Annotated[Count, Field(ge=1, le=1000)] = 20
    """lithiations, each followed by a delithiation"""
    c_rate_per_h: Annotated[Number, Field(gt=0, le=100)] = 0.1
    """C-rate: full lithiation takes 1/c_rate_per_h hours"""
    residual_lithiation: Annotated[Number, Field(ge=0, le=0.95)] = 0.22
    """lithiation at the end of a delithiation; 0.22 is that of the first charge of the paper's
    cell, and assumed for every cycle and material"""
    wall_pressure_MPa: Annotated[Number, Field(ge=0, le=1000)] | None = _optional(100.0)
    """pressure on one wall, which gives way; without, all walls are fixed as in the paper's
    simulation (its cells are pressed with 10 to 100 MPa)"""
    plane_share: Share = 2 / 3
    """share of the free swelling in the plane: its area grows to (1 + ΔV)^plane_share; 2/3 is
    isotropic swelling whose part out of the plane finds room there"""
    creep_stress_factor: Annotated[Number, Field(gt=0, le=1000)] = 1.0
    """factor on the reference stress of creep, of the active material in both states"""
    steps: Annotated[Count, Field(ge=4, le=1000)] = 20
    """steps of a lithiation, each with the creep of its time (backward Euler); a delithiation has
    steps of the same length"""
