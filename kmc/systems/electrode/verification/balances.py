"""Consistency of the columns of a trajectory with one another and with the settings of the run."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from kmc.common.metals import VALENCES
from kmc.common.units import A_per_nm
from kmc.files.check_result import Breach, differences, first_breach
from kmc.files.reader import Trajectory
from kmc.files.samples import Columns
from kmc.files.schema import HOP_CLASSES, HOP_WAYS, HOPS_BY_WAY
from kmc.model import electrochemistry
from kmc.model.creep import local_stress_MPa
from kmc.model.electrochemistry import Drive
from kmc.runfile.protocol import Planned, plan_of, stored_blocks

_ROUNDING = 1e-9


def wrong_rows(run: Trajectory) -> Iterator[Breach]:
    """The first row of each column that does not follow from the others and the settings.

    A column that an older schema lacks is left out.
    """
    rows, resolved, has_interface = run.samples, run.resolved, run.has_interface
    conditions = resolved.get("run", {}).get("conditions", {})
    plan = plan_of(stored_blocks(resolved.get("run", {})))
    if plan and not {"step", "cycle", "phase"} <= set(rows):
        missing = "a column, as the run has a protocol"
        yield Breach("settings", "/samples/step", None, "not there", missing)
        return
    for column, expected in _expected(rows, resolved, conditions, has_interface, plan):
        close = _ROUNDING * np.maximum(1.0, np.abs(expected))
        values = rows[column].astype(float)
        yield from differences("settings", f"/samples/{column}", values, expected, close, True)


def _expected(
    rows: Columns,
    resolved: Mapping[str, Any],
    conditions: Mapping[str, Any],
    has_interface: bool,
    plan: tuple[Planned, ...],
) -> Iterator[tuple[str, np.ndarray]]:
    resting = np.zeros(len(rows), dtype=bool)
    # Current density given and voltage held in each row, NaN where none is held.
    if plan:
        places = np.clip(rows["step"], 1, len(plan)) - 1
        drives = [planned.step.drive for planned in plan]
    else:
        current, volts = (
            conditions.get(key) for key in ("current_density_mA_cm2", "overpotential_V")
        )
        places = np.zeros(len(rows), dtype=np.int64)
        drives = [Drive(float(current or 0.0), volts)]
    currents = np.array([drive.current_density_mA_cm2 for drive in drives])
    held = np.array(
        [np.nan if d.overpotential_V is None else float(d.overpotential_V) for d in drives]
    )
    currents, held = currents[places], held[places]
    if plan:
        steps = np.maximum.accumulate(np.clip(rows["step"], 1, len(plan)))
        yield "step", steps.astype(float)
        yield "cycle", np.array([float(plan[n - 1].cycle) for n in steps])
        resting = np.array([not plan[n - 1].step.drive.flows for n in steps], dtype=bool)
        yield "phase", resting.astype(float)
        # A step at a given current strips or plates, a rest does neither.
        before = np.maximum(np.arange(len(rows)) - 1, 0)
        for column, plates in (("strips", False), ("plates", True)):
            if column in rows:
                # At a held voltage there are both strips and plates.
                still = [
                    d.overpotential_V is None and (not d.flows or d.plates != plates)
                    for d in (drives[n - 1] for n in steps)
                ]
                found = np.where(np.array(still, bool), rows[column][before], rows[column])
                yield column, found.astype(float)
    else:
        yield from ((name, np.zeros(len(rows))) for name in ("step", "cycle") if name in rows)
    if not plan and "phase" in rows:
        ever = any(resolved.get("run", {}).get("rest", {}).get(k) for k in ("time_s", "events"))
        # A rest is never left again, so that the running maximum is what the column must be.
        phase = np.maximum.accumulate(np.clip(rows["phase"], 0, int(ever)))
        phase[:1] = 0
        resting = phase == 1
        yield "phase", phase.astype(float)
    if "overpotential_charge_transfer_V" in rows:
        terms = ("concentration", "charge_transfer", "constriction", "series")
        columns = [f"overpotential_{term}_V" for term in terms]
        yield "overpotential_V", np.asarray(sum(rows[name] for name in columns if name in rows))
    if "vacancies_seen" in rows:
        seen, expected = rows["vacancies_seen"], rows["vacancies_expected"]
        yield "vacancy_activity", electrochemistry.vacancy_activity(seen, expected)
    if "overpotential_series_V" in rows and "charge_transfer" in resolved:
        flows = ~resting & (rows["current_density_mA_cm2"] != 0.0)
        thermal_V = [
            electrochemistry.thermal_voltage_V(kelvin, valence_of(resolved))
            for kelvin in _of_steps(rows, plan, "temperature_K", float(conditions["temperature_K"]))
        ]
        yield from _terms(rows, flows, resolved["charge_transfer"], thermal_V, held)
    if "current_density_mA_cm2" in rows:
        driven = np.where(np.isnan(held) | resting, currents, rows["current_density_mA_cm2"])
        yield "current_density_mA_cm2", np.where(resting, 0.0, driven)
    if "local_stress_MPa" in rows:
        # The contact that is left bears all of the stack; without an interface nothing is lost.
        pressure = float(conditions.get("stack_pressure_MPa", 0.0))
        limit = resolved.get("parameters", {}).get("creep_stress_limit_MPa", {}).get("value", 0.0)
        contact = rows["contact_fraction"] if has_interface else np.ones(len(rows))
        pressures = _of_steps(rows, plan, "stack_pressure_MPa", pressure)
        stresses = zip(pressures, contact, strict=True)
        yield "local_stress_MPa", np.array([local_stress_MPa(p, c, limit) for p, c in stresses])


def _of_steps(rows: Columns, plan: tuple[Planned, ...], name: str, default: float) -> np.ndarray:
    """A number of the step of each row; that of the run where a step has none of its own."""
    if not plan:
        return np.full(len(rows), default)
    own = [getattr(planned.step, name) for planned in plan]
    by_step = np.array([default if one is None else one for one in own])
    return by_step[np.clip(rows["step"], 1, len(plan)) - 1]


def valence_of(resolved: Mapping[str, Any]) -> int:
    """Electrons an atom of the metal of a file."""
    metal, *_ = resolved.get("species") or ["Li"]
    return VALENCES.get(metal, 1)  # a name that someone changed is a breach of the settings


def _terms(
    rows: Columns,
    flows: np.ndarray,
    settings: Mapping[str, Any],
    thermal_V: Sequence[float],
    held: np.ndarray,
) -> Iterator[tuple[str, np.ndarray]]:
    """Terms of the overpotential that follow from other columns, while current flows."""
    current = rows["current_density_mA_cm2"]
    # Rows in which ions pushed the metal up have no activity, and no concentration term.
    activity = np.where(rows["vacancy_activity"] > 0, rows["vacancy_activity"], np.nan)
    concentration = [
        electrochemistry.concentration_overpotential_V(s, kT_V)
        for s, kT_V in zip(activity, thermal_V, strict=True)
    ]
    # At rest, too, but for files of earlier versions, which have 0 there.
    measured = flows | (rows["overpotential_concentration_V"] != 0.0)
    yield "overpotential_concentration_V", np.where(measured, concentration, 0.0)
    series = settings["series_resistance_ohm_cm2"] * 1e-3 * current
    yield "overpotential_series_V", np.where(flows, series, 0.0)
    holds = flows & ~np.isnan(held)
    if holds.any():
        yield "overpotential_V", np.where(holds, held, rows["overpotential_V"])
        drops = rows["overpotential_constriction_V"] + rows["overpotential_series_V"]
        touching = holds & (rows["contact_fraction"] > 0) & np.isfinite(drops)
        sites = rows["overpotential_sites_V"]
        yield "overpotential_sites_V", np.where(touching, held - drops, sites)
    if np.all(holds | ~flows) and holds.any():
        return
    area = rows["contact_fraction"].copy()
    if settings["pattern_um"] is not None and settings["rim_exchange_weight"] is not None:
        spacing_nm = settings["lattice_parameter_A"] / A_per_nm
        rims = rows["rim_per_nm"] / settings["pattern_scale"]
        area += settings["rim_exchange_weight"] * spacing_nm * rims
    area[rows["overpotential_sites_V"] == np.inf] = 0.0  # nothing to oxidise
    volts = [
        electrochemistry.charge_transfer_overpotential_V(
            j, settings["exchange_current_density_mA_cm2"], a, kT_V, settings["alpha"]
        )
        for j, a, kT_V in zip(current, area, thermal_V, strict=True)
    ]
    stored = rows["overpotential_charge_transfer_V"]
    yield "overpotential_charge_transfer_V", np.where(holds, stored, np.where(flows, volts, 0.0))


def wrong_ways(run: Trajectory) -> Iterator[Breach]:
    """The first row of each count of hops by way that does not follow from the others.

    Nothing is checked where a file has no hops by way.
    """
    rows, lattice, resolved = run.samples, run.lattice, run.resolved
    if not len(rows) or not {*HOPS_BY_WAY} <= set(rows):
        return
    # Hops that change the layer are part of all; they are all where no neighbours share one. On bcc
    # (100) every first neighbour lies in another layer; on (110) some lie in the same.
    in_plane = bool((lattice.unit_cell.moves[0][..., 0] == 0).any())
    for name in HOP_CLASSES.values():
        part = np.sum([rows[f"{name}_{way}"] for way in HOP_WAYS], axis=0)
        wrong = part > rows[name] if in_plane else part != rows[name]
        place, expected = f"/samples/{name}_{HOP_WAYS[0]} + …", "at most " * in_plane + f"as {name}"
        yield from first_breach("layers", place, wrong, part, expected)
    # Ions that plate on the metal around voids come to layers beyond L1: its hops balance nothing.
    # Nor are there hops where vacancies are in equilibrium between strips.
    if resolved.get("acceleration", {}).get("equilibrium"):
        return
    on_voids = resolved.get("run", {}).get("conditions", {}).get("plate_on_void_surfaces")
    if on_voids or not lattice.has_interface:
        return
    # Atoms of L1 are those at the start, less those gone up or stripped, with those come down.
    # Creep, growth at a full interface and the exchange of Mg with Li move atoms without hops: rows
    # after the first say nothing.
    moved = rows["closures"].copy()
    for name in ("pushes", "mg_exchanges"):
        if name in rows:
            moved += rows[name]
    rows = Columns({name: values[moved == 0] for name, values in rows.items()})
    contact, by_li = (
        np.rint(rows[name] * lattice.sites_per_layer).astype(np.int64)
        for name in ("contact_fraction", "contact_fraction_Li")
    )
    left = {
        kind: rows[f"{name}_L1_up"] - rows[f"{name}_L1_down"] for kind, name in HOP_CLASSES.items()
    }
    mg = contact - by_li
    place = "/samples/contact_fraction_Li, as Mg in L1,"
    yield from differences("layers", place, mg, mg[0] - left["Mg"])
    stripped = by_li[0] - left["Li"] - left["Li_near_Mg"] - by_li
    plates = rows["plates"] if "plates" in rows else np.zeros(len(rows), np.int64)
    wrong = (stripped < -plates) | (stripped > rows["strips"])
    if not (contact != by_li).any() and not rows["hops_Mg"].any():
        wrong = stripped != rows["strips"] - plates  # without Mg only L1 is stripped
    for row in np.flatnonzero(wrong)[:1]:
        text = f"such that {stripped[row]} Li of L1 are stripped"
        expected = f"{rows['strips'][row] - plates[row]} as strips less plates"
        expected += " (L2 is stripped too beside Mg)"
        yield Breach("layers", "/samples/hops_Li_L1_up", row, text, expected)
