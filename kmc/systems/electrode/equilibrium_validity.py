"""Where equilibrium between strips holds: how fast a void rounds off, and how far S is one number.

A void of radius R is rounded off along the interface in R⁴/(C Γ Ω K_i) with the capillary length
Γ = γΩ/kT and K_i = N_s D_i c_i (`kmc.nuclei.capture`), which must be short beside the time in which
it grows by a tenth. Between two places a distance ℓ apart S differs by J/(K k + K_i k²), k = 2π/ℓ.
"""

import math

from kmc.model.electrochemistry import flux_per_cm2_s
from kmc.model.hamiltonian import LI
from kmc.model.model import Model
from kmc.nuclei.capture import VacancyTransport
from kmc.nuclei.surface import Surface
from kmc.nuclei.vapour import medium_of
from kmc.runfile.kind_sections import Upscale

_UM2_PER_CM2 = 1e8
_NM_PER_UM = 1e3


def validity(model: Model) -> dict[str, float]:
    """What the limits follow from: ``rounding_s_per_nm4``, time over R⁴, and
    ``lateral_difference_S`` across the box; γ of (100), half of the bonds cut."""
    surface = Surface(model.parameters, model.lattice.unit_cell.name, model.temperature_K)
    medium = medium_of(VacancyTransport(surface), model.electrode_thickness_um)
    h, a_um = model.hamiltonian, model.lattice.lattice_parameter_A * 1e-4
    gamma_ueV_um2 = (4 * int(h.bond1[LI, LI]) + int(h.bond2[LI, LI])) / 2 / a_um**2
    capillary_um = gamma_ueV_um2 * medium.site_volume_um3 / model.kT_ueV
    constant = Upscale.model_fields["relaxation_constant"].default
    per_um4 = constant * capillary_um * medium.site_volume_um3 * medium.interface_per_s
    flux = flux_per_cm2_s(abs(model.current_density_mA_cm2), model.parameters.valence)
    k = 2 * math.pi / (math.sqrt(model.lattice.area_A2) * 1e-4)
    conducted = medium.bulk_per_um_s * k + medium.interface_per_s * k * k
    return {
        "rounding_s_per_nm4": 1.0 / per_um4 / _NM_PER_UM**4,
        "lateral_difference_S": flux / _UM2_PER_CM2 / conducted,
    }
