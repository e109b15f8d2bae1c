"""Kinetic Monte Carlo of vacancies and voids at metal-electrolyte interfaces.

>>> import kmc
>>> t = kmc.run("strip_li")          # doctest: +SKIP
>>> t = kmc.load("strip_li.h5")      # doctest: +SKIP
>>> t.samples.contact_fraction       # doctest: +SKIP
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kmc._version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from kmc.analysis.cross_section import cross_section
    from kmc.analysis.history import voids
    from kmc.analysis.profiles import profiles
    from kmc.analysis.stepping import LiveSample, Simulation
    from kmc.analysis.transport import transport
    from kmc.campaign.convergence.levels import converge
    from kmc.campaign.critical.search import critical
    from kmc.campaign.dataset import load_sweep
    from kmc.campaign.sweep import sweep
    from kmc.mesoscale.study import nucleation
    from kmc.model.dft_energies import parameters_from_dft
    from kmc.model.parameter_file import write_parameters
    from kmc.population.run import upscale
    from kmc.simulation.resume import extend
    from kmc.systems.opening import load, resume, verify
    from kmc.systems.result import SystemRun
    from kmc.trajectory.reader import Trajectory

__all__ = [
    "Simulation",
    "__version__",
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
    "load": "kmc.systems.opening",
    "load_sweep": "kmc.campaign.dataset",
    "converge": "kmc.campaign.convergence.levels",
    "critical": "kmc.campaign.critical.search",
    "sweep": "kmc.campaign.sweep",
    "Simulation": "kmc.analysis.stepping",
    "resume": "kmc.systems.opening",
    "extend": "kmc.simulation.resume",
    "voids": "kmc.analysis.history",
    "cross_section": "kmc.analysis.cross_section",
    "profiles": "kmc.analysis.profiles",
    "transport": "kmc.analysis.transport",
    "verify": "kmc.systems.opening",
    "write_parameters": "kmc.model.parameter_file",
    "parameters_from_dft": "kmc.model.dft_energies",
    "nucleation": "kmc.mesoscale.study",
    "upscale": "kmc.population.run",
}


def run(
    name_or_path: str | Path | Mapping[str, Any],
    overrides: Mapping[str, Any] | None = None,
    *,
    output: str | Path | None = None,
    overwrite: bool = False,
    progress: bool = True,
    callback: Callable[[LiveSample], Any] | None = None,
) -> Trajectory | SystemRun:
    """Run a run file and return its trajectory.

    Parameters
    ----------
    name_or_path : str, Path or mapping
        A shipped run, such as ``"strip_li"``, the path of a run file, or its sections as a dict:
        ``{"conditions": {"temperature_K": 333.15}, "stop": {"capacity_monolayers": 1}}``.
    overrides : mapping, optional
        ``{"section.key": value}``, for example ``{"conditions.temperature_K": 333.15}``; None
        removes the key and restores its default.
    output : str or Path, optional
        HDF5 file to write; NAME.h5 in the current folder by default.
    overwrite : bool
        Replace `output` where it exists.
    progress : bool
        Show progress on stderr.
    callback : callable, optional
        Called with each sample as it is taken: its columns (``sample.contact_fraction``), the box
        at that moment (``sample.occupancy``, ``sample.lattice``, ``sample.voids()``). Returns True
        to end the run there; `kmc.resume` goes on with such a run. What it raises ends the run too,
        and leaves a readable, unfinished file. Boxes of atoms alone have it.

    Returns
    -------
    Trajectory, or SystemRun for a run with the section of another system, such as [deposition].

    Raises
    ------
    kmc.errors.InputError
        The run or its output is invalid; nothing has been written then.
    """
    from pathlib import Path

    from kmc.common.outputs import check_output, check_trajectory_name
    from kmc.runfile.load import load_run

    run_file = load_run(name_or_path, overrides)
    path = Path(f"{run_file.name}.h5" if output is None else output)
    check_trajectory_name(path)
    check_output(path, overwrite)
    if run_file.is_system and callback is None:
        from kmc.systems.run import run_to_file as run_system

        return run_system(run_file, path, overwrite=overwrite, progress=progress)
    from kmc.simulation.run import run_to_file

    observer = None
    if callback is not None:
        from kmc.analysis.stepping import observer_of

        observer = observer_of(callback)
    return run_to_file(run_file, path, overwrite=overwrite, progress=progress, observer=observer)


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name in _MODULES:
        return getattr(import_module(_MODULES[name]), name)
    raise AttributeError(f"module 'kmc' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
