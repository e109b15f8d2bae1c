"""Everything that a field of gaps follows from."""

import math
from dataclasses import dataclass

from kmc.errors import InputError
from kmc.nuclei.field import Medium
from kmc.nuclei.vapour import ClusterVapour
from kmc.systems.population.body import Viscous

ROUNDING_TIME_s = 1e4  # in which capillarity rounds off what is smaller than R*
# Charges of a lone void are 33, 4 and 1 % too high at 0.75, 0.38 and 0.24 of a lip, as surface
# diffusion is raised where its lip is thinner than the cells (`Outline.set_mobility`).
FINE_CELL_OVER_LIP = 0.35


@dataclass(frozen=True)
class FlawPatches:
    """Patches without contact from which voids grow.

    Each grows only where S exceeds exp(2γΩ/kTr) of its own radius r; until then it stays as it is.
    """

    number: int  #: in the square, at random places
    radius_um: float  #: median of the radii
    sigma: float = 0.0  #: standard deviation of ln r; 0 for equal flaws
    height_um: float = 1.7e-4  #: of the patch, at the start, a layer of atoms
    reopen: bool = False  #: whether `GapState.reopen` opens them


@dataclass(frozen=True)
class GapSetting:
    """Everything that a field of gaps follows from."""

    edge_um: float
    n_cells: int  #: cells of the grid along an edge
    medium: Medium
    vapour: ClusterVapour  #: or what has its `S_eq`, `rate_per_um2_s`, `nucleus` and `capillary_um`
    #: Vacancies that stripping leaves per area and second, j/e, at the beginning.
    strip_per_um2_s: float
    homogeneous: bool = False  #: whether voids nucleate on contact
    flaws: FlawPatches | None = None
    #: Of a cap with the void's angle φ, tan φ/2: 180° less the contact angle of the metal.
    height_over_radius: float = 0.94
    #: Advancing less receding angle: a rim spreads at φ and half of it, closes at φ less that half.
    contact_angle_hysteresis_deg: float = 0.0
    #: R* = (B t)^(1/4), the size below which surface diffusion keeps voids round.
    rounding_length_um: float = 2.0
    rounding_time_s: float = ROUNDING_TIME_s  #: the time of that R*
    #: Whether voids become discs in each step; R* is that of voids as wide as the square.
    round_at_once: bool = False
    body: Viscous | None = None  #: None for a rigid body
    #: Stack pressure at the beginning, and then the share of it that the interface carries.
    pressure_MPa: float = 0.0
    pressure_share: float = 1.0
    #: k of P = P0 − k times the height by which the stack has become shorter; 0 for constant P.
    fixture_stiffness_MPa_per_um: float = 0.0
    #: Volume that the counter electrode gains, over the volume stripped here.
    counter_electrode_share: float = 0.0
    #: Share of a void that plating cuts off where surface diffusion does not round it.
    cut_off_share: float = 0.0

    def __post_init__(self) -> None:
        if min(self.slope, self.closing_slope) <= 0:
            raise InputError(
                f"contact_angle_hysteresis_deg = {self.contact_angle_hysteresis_deg:g}: half of it "
                "takes the angle of the void to 0 or to 180° and beyond",
                advice="Give less, or another contact_angle_deg.",
            )

    @property
    def slope(self) -> float:
        """Contact slope s of rims that spread: a paraboloid with the volume of the cap of φ.

        V/R³ = π s/4 = π t (3 + t²)/6 with t = tan φ/2: contact is lost by footprint for a volume. s
        is 2.43 for lithium that meets Li2S at 93.6° (φ = 86.4°), 2.88 for Li-Mg at 87.1°. Such a
        paraboloid is (3 + t²)/3 times as high as the cap, 1.29 times for lithium.
        """
        return self._slope_at(self.contact_angle_hysteresis_deg / 2)

    def _slope_at(self, turned_deg: float) -> float:
        t = self.height_over_radius
        if turned_deg:
            t = math.tan(math.atan(t) + math.radians(turned_deg) / 2)
        return 2 * t * (3 + t * t) / 3

    @property
    def closing_slope(self) -> float:
        """Slope of rims that close over that of rims that spread; pinned between."""
        return self._slope_at(-self.contact_angle_hysteresis_deg / 2) / self.slope

    @property
    def sin_angle(self) -> float:
        """sin φ, with which the surface pulls on the contact line across the interface."""
        t = self.height_over_radius
        return 2 * t / (1 + t * t)

    @property
    def surface_um4_s(self) -> float:
        """B of ∂h/∂t = −B ∇⁴h."""
        return self.rounding_length_um**4 / self.rounding_time_s

    @property
    def pitch_um(self) -> float:
        return self.edge_um / self.n_cells

    @property
    def volume_factor(self) -> float:
        """V/R³ of a small void."""
        return math.pi / 4 * self.slope
