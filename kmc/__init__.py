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
    from collections.abc import Mapping
    from pathlib import Path

    from kmc.analysis.cross_section import cross_section
    from kmc.analysis.history import voids
    from kmc.analysis.profiles import profiles
    from kmc.analysis.transport import transport
    from kmc.mesoscale.opening import load, resume, verify
    from kmc.mesoscale.study import nucleation
    from kmc.mesoscale.upscale import upscale
    from kmc.simulation.resume import extend
    from kmc.simulation.run import Simulation
    from kmc.sweep.convergence.study import converge
    from kmc.sweep.results import load_sweep
    from kmc.trajectory.reader import Trajectory

__all__ = [
    "Simulation",
    "__version__",
    "converge",
    "cross_section",
    "extend",
    "load",
    "load_sweep",
    "nucleation",
    "profiles",
    "resume",
    "run",
    "transport",
    "upscale",
    "verify",
    "voids",
]

# numba, numpy and h5py are imported with the first use, not with the package: `kmc --help` is fast.
_MODULES = {
    "load": "kmc.mesoscale.opening",
    "load_sweep": "kmc.sweep.results",
    "converge": "kmc.sweep.convergence.study",
    "Simulation": "kmc.simulation.run",
    "resume": "kmc.mesoscale.opening",
    "extend": "kmc.simulation.resume",
    "voids": "kmc.analysis.history",
    "cross_section": "kmc.analysis.cross_section",
    "profiles": "kmc.analysis.profiles",
    "transport": "kmc.analysis.transport",
    "verify": "kmc.mesoscale.opening",
    "nucleation": "kmc.mesoscale.study",
    "upscale": "kmc.mesoscale.upscale",
}


def run(
    name_or_path: str | Path,
    overrides: Mapping[str, Any] | None = None,
    *,
    output: str | Path | None = None,
    overwrite: bool = False,
    progress: bool = True,
) -> Trajectory:
    """Run a run file and return its trajectory.

    Parameters
    ----------
    name_or_path : str or Path
        A shipped run, such as ``"strip_li"``, or the path of a run file.
    overrides : mapping, optional
        ``{"section.key": value}``, for example ``{"conditions.temperature_K": 333.15}``; None
        removes the key and restores its default.
    output : str or Path, optional
        HDF5 file to write; NAME.h5 in the current folder by default.
    overwrite : bool
        Replace `output` where it exists.
    progress : bool
        Show progress on stderr.

    Raises
    ------
    kmc.errors.InputError
        The run or its output is invalid; nothing has been written then.
    """
    from pathlib import Path

    from kmc.common.outputs import check_output
    from kmc.runfile.load import load_run
    from kmc.simulation.run import run_to_file

    run_file = load_run(name_or_path, overrides)
    path = Path(f"{run_file.name}.h5" if output is None else output)
    check_output(path, overwrite)
    return run_to_file(run_file, path, overwrite=overwrite, progress=progress)


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        from importlib import import_module

        return getattr(import_module(_MODULES[name]), name)
    raise AttributeError(f"module 'kmc' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
