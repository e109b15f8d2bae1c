"""Kinetic Monte Carlo of vacancies and voids at metal-electrolyte interfaces.

>>> import kmc
>>> t = kmc.run("strip_li")          # doctest: +SKIP
>>> t = kmc.load("strip_li.h5")      # doctest: +SKIP
>>> t.samples.contact_fraction       # doctest: +SKIP
"""

from typing import TYPE_CHECKING, Any

from kmc.common.figures import draw_by
from kmc.common.version import __version__ as __version__

if TYPE_CHECKING:
    from kmc.analysis.cross_section import cross_section as cross_section
    from kmc.analysis.history import voids as voids
    from kmc.analysis.profiles import profiles as profiles
    from kmc.analysis.transport import transport as transport
    from kmc.campaign.calibration.calibrate import calibrate as calibrate
    from kmc.campaign.compare import compare as compare
    from kmc.campaign.convergence.levels import converge as converge
    from kmc.campaign.critical.search import critical as critical
    from kmc.campaign.dataset import load_sweep as load_sweep
    from kmc.campaign.execute import sweep as sweep
    from kmc.model.dft_energies import parameters_from_dft as parameters_from_dft
    from kmc.model.parameter_file import write_parameters as write_parameters
    from kmc.nuclei.study import nucleation as nucleation
    from kmc.systems.run import extend as extend
    from kmc.systems.run import load as load
    from kmc.systems.run import resume as resume
    from kmc.systems.run import run as run
    from kmc.systems.run import upscale as upscale
    from kmc.systems.run import verify as verify
    from kmc.systems.simulation import Simulation as Simulation

# numba, numpy and h5py are imported with the first use, not with the package: `kmc --help` is fast.
_MODULES = {
    "load": "kmc.systems.run",
    "load_sweep": "kmc.campaign.dataset",
    "calibrate": "kmc.campaign.calibration.calibrate",
    "compare": "kmc.campaign.compare",
    "converge": "kmc.campaign.convergence.levels",
    "critical": "kmc.campaign.critical.search",
    "sweep": "kmc.campaign.execute",
    "Simulation": "kmc.systems.simulation",
    "resume": "kmc.systems.run",
    "extend": "kmc.systems.run",
    "run": "kmc.systems.run",
    "voids": "kmc.analysis.history",
    "cross_section": "kmc.analysis.cross_section",
    "profiles": "kmc.analysis.profiles",
    "transport": "kmc.analysis.transport",
    "verify": "kmc.systems.run",
    "write_parameters": "kmc.model.parameter_file",
    "parameters_from_dft": "kmc.model.dft_energies",
    "nucleation": "kmc.nuclei.study",
    "upscale": "kmc.systems.run",
}
__all__ = ["__version__", *_MODULES]


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name in _MODULES:
        return getattr(import_module(_MODULES[name]), name)
    raise AttributeError(f"module 'kmc' has no attribute {name!r}")


def _picture(name: str) -> Any:
    from kmc import plotting

    return getattr(plotting, name)


draw_by(_picture)


def __dir__() -> list[str]:
    return sorted(__all__)
