"""What a cell model needs of an interface: contact and resistance against charge, and PyBaMM.

A cell model has one electrode potential per electrode; the contact that voids leave of a metal
electrode enters it as the share θ of the area that exchanges ions, and as the constriction in
series. Both are tables here, from populations at several currents, pressures and temperatures.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from kmc.common.json_files import read_json
from kmc.common.late import pandas as pd
from kmc.common.metals import VALENCES
from kmc.common.outputs import check_output, csv_of, write_text
from kmc.common.tables import read_table
from kmc.errors import InputError, optional_library
from kmc.model.electrochemistry import thermal_voltage_V
from kmc.systems.run import load

CONDITIONS = ("current_density_mA_cm2", "stack_pressure_MPa", "temperature_K")
NUMBERS = ("contact_fraction", "transfer_ohm_cm2", "constriction_ohm_cm2")
ENDINGS = (".csv", ".json")


def contact_table(runs: Iterable[Any]) -> "pd.DataFrame":
    """Contact and interfacial resistance of populations of voids against charge.

    Columns: `CONDITIONS`, capacity_mAh_cm2, contact_fraction, transfer_ohm_cm2 (kT/(e j0 θ), charge
    transfer near rest), constriction_ohm_cm2 (of the current in the electrolyte) and run, the name
    of the file. `InputError` for a run that is no population, or that has been plated or rested:
    its charge determines no state.
    """
    tables = []
    for run in runs:
        if getattr(run, "kind", "") != "population":
            raise InputError(
                f"{run.path} is no population of voids",
                advice="A box of atoms holds 1e-4 mAh/cm²; give runs of kmc upscale.",
            )
        samples, conditions = run.samples, run.run["conditions"]
        current = np.asarray(samples["current_density_mA_cm2"], dtype=float)
        if not len(current) or (current <= 0).any() or np.ptp(current) > 1e-9 * current.max():
            raise InputError(
                f"{run.path} has no constant stripping current",
                advice="Sweep runs that strip at one current each.",
            )
        j0 = float(run.params["exchange_current_density_mA_cm2"]["value"])
        kelvin, contact = float(conditions["temperature_K"]), samples["contact_fraction"]
        thermal_V = thermal_voltage_V(kelvin, VALENCES[run.metal])
        # Without contact the resistance is infinite: nothing that a table can hold.
        kept = np.asarray(contact, dtype=float) > 0
        table = {
            "current_density_mA_cm2": current[kept],
            "stack_pressure_MPa": float(conditions.get("stack_pressure_MPa") or 0.0),
            "temperature_K": kelvin,
            "capacity_mAh_cm2": samples["capacity_mAh_cm2"][kept],
            "contact_fraction": contact[kept],
            # Linear near rest: kT/(z e j0) over the share of the area that exchanges ions.
            "transfer_ohm_cm2": thermal_V / (j0 * 1e-3 * contact[kept]),
            "constriction_ohm_cm2": samples["constriction_V"][kept] / (1e-3 * current[kept]),
            "run": run.path.stem,
        }
        tables.append(pd.DataFrame(table))
    if not tables:
        raise InputError("no run was given")
    return pd.concat(tables, ignore_index=True).sort_values(
        [*CONDITIONS, "capacity_mAh_cm2"], kind="stable", ignore_index=True
    )


def write_contact(place: str | Path, output: str | Path, *, overwrite: bool = False) -> int:
    """Write `contact_table` of a run or of a folder of runs, as CSV or JSON; return its rows."""
    path, place = check_output(output, overwrite, ENDINGS), Path(place)
    # Below the folder too: that of a sweep holds its runs in one of its own.
    files = sorted(place.rglob("*.h5")) if place.is_dir() else [place]
    if not files:
        raise InputError(
            f"{place} holds no .h5 file", advice="Give a run or the folder of a sweep."
        )
    table = contact_table(map(load, files))
    of_json = path.suffix.lower() == ".json"
    write_text(path, json.dumps(table.to_dict("list"), indent=1) if of_json else csv_of(table))
    return len(table)


def read_contact(path: str | Path) -> "pd.DataFrame":
    """A table that `write_contact` wrote."""
    path = Path(path)
    if path.suffix.lower() == ".json":
        try:
            table = pd.DataFrame(read_json(path))
        except ValueError as problem:
            raise InputError(f"{path} cannot be read: {problem}") from None
    else:
        cells = read_table(path)
        columns = cells.numbers(name for name in cells.names if name != "run")
        table = pd.DataFrame(columns | {"run": cells.column("run")})
    if missing := [n for n in (*CONDITIONS, "capacity_mAh_cm2", *NUMBERS) if n not in table]:
        raise InputError(
            f"{path} lacks {', '.join(missing)}", advice="kmc export FOLDER --to pybamm writes it."
        )
    return table


def pybamm_interpolant(
    table: "pd.DataFrame | str | Path", number: str, capacity: Any, **conditions: float
) -> Any:
    """A number of the table, or of its file, as a `pybamm.Interpolant` of the charge passed.

    `number` is one of `NUMBERS`, `capacity` the charge passed in mAh/cm² as a `pybamm.Symbol`, at a
    constant current ``j * pybamm.t / 3600``. `CONDITIONS` are needed where the table has several;
    between two values of one of them the numbers are linear. Linear in charge; beyond the last one
    it stays what it was there. `InputError` where PyBaMM is not installed, or the table does not
    hold these conditions.
    """
    q, values = contact_curve(table, number, **conditions)
    with optional_library("PyBaMM", "pybamm"):
        import pybamm
    kept = pybamm.minimum(pybamm.maximum(capacity, float(q[0])), float(q[-1]))
    return pybamm.Interpolant(q, values, kept, name=number)


def contact_curve(
    table: "pd.DataFrame | str | Path", number: str, **conditions: float
) -> tuple[np.ndarray, np.ndarray]:
    """Charges in mAh/cm² and a number at them under some conditions, see `pybamm_interpolant`."""
    table = read_contact(table) if isinstance(table, str | Path) else table
    if number not in NUMBERS:
        raise InputError(f"there is no {number!r}", advice=f"Choose {', '.join(NUMBERS)}.")
    if unknown := set(conditions) - set(CONDITIONS):
        raise InputError(
            f"{', '.join(sorted(unknown))} is no condition", advice=f"Give {', '.join(CONDITIONS)}."
        )
    for index, name in enumerate(CONDITIONS):
        there = np.unique(table[name])
        if len(there) == 1 and name not in conditions:
            continue
        wanted = conditions.get(name)
        if wanted is None or not there[0] <= wanted <= there[-1]:
            raise InputError(
                f"{name} = {wanted} is not in the table",
                advice=f"It has {', '.join(f'{v:g}' for v in there)}.",
            )
        if wanted in there:
            table = table[table[name] == wanted]
            continue
        above = int(np.searchsorted(there, wanted))
        low, high = float(there[above - 1]), float(there[above])
        rest = {k: v for k, v in conditions.items() if k in CONDITIONS[index + 1 :]}
        (q0, v0), (q1, v1) = (
            contact_curve(table[table[name] == end], number, **rest) for end in (low, high)
        )
        q = np.union1d(q0, q1)
        q = q[q <= min(q0[-1], q1[-1])]  # where both are known
        share = (wanted - low) / (high - low)
        return q, (1 - share) * np.interp(q, q0, v0) + share * np.interp(q, q1, v1)
    curves = [
        (rows["capacity_mAh_cm2"].to_numpy(float), rows[number].to_numpy(float))
        for _, rows in table.groupby("run" if "run" in table else np.zeros(len(table)))
    ]
    q = np.unique(np.concatenate([charges for charges, _ in curves]))
    q = q[q <= min(charges[-1] for charges, _ in curves)]  # where every run is known
    # Replicas differ in the places of their voids: their mean is that of a larger piece.
    return q, np.mean([np.interp(q, charges, values) for charges, values in curves], axis=0)
