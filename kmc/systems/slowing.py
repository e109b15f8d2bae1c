"""Warns where the acceleration of runs hides what differs between them.

A fixed ratio of hops to strips slows hops in proportion to the current and gives them one rate at
every temperature; a fixed lowest barrier makes every hop as activated as that barrier. A constant
factor (``slow_down_by``) does neither.
"""

import math
import warnings
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from kmc.common.formatting import figure
from kmc.common.validation import toml_value
from kmc.errors import InputError, KmcWarning
from kmc.model.lattice import Lattice
from kmc.model.model import Model
from kmc.runfile.load import checked_run, load_run
from kmc.runfile.run_file import RunFile, from_resolved

_REMOVED = (None, "none")  # a value that removes a key
RATIO, FLOOR, FACTOR = "max_hops_per_strip_per_site", "saddle_floor_eV", "slow_down_by"
_DRIVES = ("conditions.current_density_mA_cm2", "conditions.overpotential_V")
_TEMPERATURE = "conditions.temperature_K"
_OF_DRIVE = "hops are slowed less the larger the strip rate, which hides most of what it changes"
_WHY = {
    **{(RATIO, drive): _OF_DRIVE for drive in _DRIVES},
    (RATIO, _TEMPERATURE): "the fastest hops have the same rate at every temperature",
    (FLOOR, _TEMPERATURE): "the fastest hops are as activated as this barrier, not as their own",
}


def small_model(run: RunFile) -> Model:
    """The rates of a run with an interface, on a box of a few sites."""
    parameters, conditions = run.parameter_set(), run.conditions
    return Model(
        Lattice(
            run.system.lattice, (4, 4), 8, "interface", parameters.value("lattice_parameter_A")
        ),
        parameters,
        temperature_K=conditions.temperature_K,
        current_density_mA_cm2=run.drive.current_density_mA_cm2,
        overpotential_V=run.drive.overpotential_V,
        saddle_floor_eV=run.acceleration.saddle_floor_eV,
        max_hops_per_strip_per_site=run.acceleration.max_hops_per_strip_per_site,
        slow_down_by=run.acceleration.slow_down_by,
    )


def warn_of_hidden_effects(
    tables: Mapping[str, Mapping[str, Any]], points: Iterable[Mapping[str, Any]]
) -> None:
    """Warn (`KmcWarning`) of each of the `hidden_effects`."""
    for text in hidden_effects(tables, points):
        warnings.warn(text, KmcWarning, stacklevel=3)


def warn_of_another_drive(run: str | Path | Mapping[str, Any], changes: Mapping[str, Any]) -> None:
    """Warn where a run at another current or temperature is slowed by another factor than its file.

    `run` is as for `kmc.run`; `changes` maps ``"section.key"`` to its value.
    """
    changed = [key for key in (*_DRIVES, _TEMPERATURE) if key in changes]
    if not changed:
        return
    with suppress(InputError):  # the file alone may not be complete
        tables = from_resolved(load_run(run).resolved())
        before = {key: _value(tables, {}, key) for key in changed}
        for text in hidden_effects(tables, [before, changes]):
            warnings.warn(f"beside the run of the file, {text}", KmcWarning, stacklevel=3)


def hidden_effects(
    tables: Mapping[str, Mapping[str, Any]], points: Iterable[Mapping[str, Any]]
) -> list[str]:
    """Sentences on current and temperature that vary under a setting that hides their effect.

    Points count together where the ratio (or the lowest barrier) is the same: a ratio that is
    changed along with the current hides nothing. `tables` are the sections of the base run; points
    map ``"section.key"`` to the value of each.
    """
    effects, points = [], list(points)
    # A constant factor hides nothing: it slows every hop alike at each point. Nor does the ratio
    # inf: vacancies are in equilibrium between strips, and no hop is slowed.
    for (setting, key), why in _WHY.items():
        groups: dict[str, dict[str, Mapping[str, Any]]] = {}
        for point in points:
            value = _value(tables, point, f"acceleration.{setting}")
            if key in point and value not in (None, math.inf):
                groups.setdefault(toml_value(value), {}).setdefault(repr(point[key]), point)
        for held, group in [item for item in groups.items() if len(item[1]) > 1][:1]:
            effects.append(
                f"{key} varies under acceleration.{setting} = {held}: {why}. Slow hops by a "
                f"constant factor instead: acceleration.{setting} = none, acceleration.{FACTOR} = "
                f"{_factor(tables, next(iter(group.values())))}"
            )
    return effects


def _value(
    tables: Mapping[str, Mapping[str, Any]], point: Mapping[str, Any], key: str
) -> float | None:
    section, name = key.split(".")
    value = point[key] if key in point else tables.get(section, {}).get(name)
    return None if value in _REMOVED else value


def _factor(tables: Mapping[str, Mapping[str, Any]], point: Mapping[str, Any]) -> str:
    """The factor that slows hops as much as the setting of a point does."""
    changed = {name: dict(table) for name, table in tables.items()}
    for key, value in point.items():
        section, name = key.split(".")
        changed.setdefault(section, {})[name] = value
        if value in _REMOVED:
            del changed[section][name]
    try:
        model = small_model(checked_run(changed))
    except InputError:  # the point itself is refused where it is run
        return "a number above 1"
    # The fastest hops are slowed most: a factor for all of them must be theirs.
    slowed = max(entry["slowed_by"] for entry in model.hop_classes())
    return figure(slowed, digits=2) if slowed > 1 else "a number above 1"
