"""Provenance of a result: versions, platform and time."""

import functools
import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version

from kmc.common.version import __version__

PACKAGES = ("numpy", "numba", "llvmlite", "scipy", "h5py", "pydantic")
_UNKNOWN = "unknown"
NUMERICAL = ("numpy", "scipy", "numba")  # on whose versions the last bits of a run depend


def collect() -> dict[str, str]:
    """Versions, platform and the present time in UTC (ISO 8601), as plain text for JSON.

    No user, host or path: a trajectory may be passed on. Versions are read from the metadata of the
    installed packages, so nothing is imported for them.
    """
    about = {"kmc": __version__, "python": platform.python_version()}
    # Of all packages whose version can change a number or a byte of a file.
    about |= {package: _installed(package) for package in PACKAGES}
    about["platform"] = f"{platform.system()} {platform.release()}"
    about["machine"] = platform.machine()
    about["created"] = datetime.now(UTC).isoformat(timespec="seconds")
    return about


@functools.cache  # a sweep asks for each of its points
def _installed(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:  # run from a checkout on a bare sys.path
        return _UNKNOWN


def numerical_versions(known: Mapping[str, str]) -> str:
    """``numpy 2.4.6, scipy 1.17.1, numba 0.68.1`` from what `collect` returned."""
    return ", ".join(f"{package} {known.get(package, _UNKNOWN)}" for package in NUMERICAL)
