"""Kinetic Monte Carlo of vacancies and voids at metal-electrolyte interfaces.

>>> import kmc
>>> t = kmc.run("strip_li")          # doctest: +SKIP
>>> t = kmc.load("strip_li.h5")      # doctest: +SKIP
>>> t.samples.contact_fraction       # doctest: +SKIP
"""

from typing import TYPE_CHECKING, Any

from kmc.common.figures import draw_by
from kmc.common.version import __version__

if TYPE_CHECKING:
    from kmc.analysis.cross_section import cross_section
    from kmc.analysis.history import voids
    from kmc.analysis.profiles import profiles
    from kmc.analysis.transport import transport
    from kmc.campaign.calibration.calibrate import calibrate
    from kmc.campaign.compare import compare
    from kmc.campaign.convergence.levels import converge
    from kmc.campaign.critical.search import critical
    from kmc.campaign.dataset import load_sweep
    from kmc.campaign.execute import sweep
    from kmc.model.dft_energies import parameters_from_dft
    from kmc.model.parameter_file import write_parameters
    from kmc.nuclei.study import nucleation
    from kmc.systems.run import extend, load, resume, run, upscale, verify
    from kmc.systems.simulation import Simulation

__all__ = [
    "Simulation",
    "__version__",
    "calibrate",
    "compare",
    "converge",
    "critical",
    "cross_section",
    "extend",
    "load",
    "load_sweep",
    "nucleation",
    "parameters_from_dft",
    "profiles",
    "resume",
    "run",
    "sweep",
    "transport",
    "upscale",
    "verify",
    "voids",
    "write_parameters",
]

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
