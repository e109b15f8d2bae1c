"""What a trajectory says of voltage, current, stress and phase, held against its settings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from kmc.mechanics import local_stress_MPa

_ROUNDING = 1e-9
Wrong = tuple[str, int, float, float]  # column, row, value, expected


def wrong_rows(rows: np.ndarray, resolved: Mapping[str, Any], has_interface: bool) -> list[Wrong]:
    """The first row of each column that does not follow from the others and the settings.

    Parameters
    ----------
    rows : structured ndarray
        `/samples`; a column that an older schema lacks is left out.
    resolved : mapping
        `resolved` of the file.
    has_interface : bool
    """
    conditions = resolved.get("run", {}).get("conditions", {})
    found = []
    for column, expected in _expected(rows, resolved, conditions, has_interface):
        values = rows[column].astype(float)
        with np.errstate(invalid="ignore"):
            close = np.abs(values - expected) <= _ROUNDING * np.maximum(1.0, np.abs(expected))
        alike = close | (values == expected) | (np.isnan(values) & np.isnan(expected))
        for row in np.flatnonzero(~alike)[:1]:
            found.append((column, int(row), float(values[row]), float(expected[row])))
    return found


def _expected(rows, resolved, conditions, has_interface) -> Iterator[tuple[str, np.ndarray]]:
    there = rows.dtype.names
    resting = np.zeros(len(rows), dtype=bool)
    if "phase" in there:
        ever = any(resolved.get("run", {}).get("rest", {}).get(k) for k in ("time_s", "events"))
        phase = np.maximum.accumulate(np.clip(rows["phase"], 0, int(ever)))
        phase[:1] = 0
        resting = phase == 1
        yield "phase", phase.astype(float)
    if "overpotential_charge_transfer_V" in there:
        parts = rows["overpotential_charge_transfer_V"] + rows["overpotential_constriction_V"]
        yield "overpotential_V", parts
    if "current_density_mA_cm2" in there and conditions.get("overpotential_V") is None:
        given = float(conditions.get("current_density_mA_cm2", 0.0))
        yield "current_density_mA_cm2", np.where(resting, 0.0, given)
    if "local_stress_MPa" in there:
        pressure = float(conditions.get("stack_pressure_MPa", 0.0))
        limit = resolved.get("parameters", {}).get("creep_stress_limit_MPa", {}).get("value", 0.0)
        contact = rows["contact_fraction"] if has_interface else np.ones(len(rows))
        yield "local_stress_MPa", np.array([local_stress_MPa(pressure, c, limit) for c in contact])
