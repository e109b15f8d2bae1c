"""Checks the consistency of a trajectory by recomputing its samples from its frames.

The event loop is not used: energies are summed bond by bond from the Hamiltonian in the file,
counts are those of its occupancies, and conservation is arithmetic on its rows.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from kmc.common.units import MICRO_eV
from kmc.files.check_result import Breach, differences, falls, first_breach, recomputed
from kmc.files.reader import Trajectory
from kmc.files.schema import FRAME_COLUMNS, HOP_CLASSES, HOPS_BY_WAY
from kmc.model import processes
from kmc.model.electrochemistry import capacity_mAh_cm2
from kmc.model.hamiltonian import LI, MG, VACANCY, Hamiltonian, total_energy_ueV
from kmc.runfile.protocol import Planned, plan_of, stored_blocks
from kmc.systems.electrode.verification.balances import (
    valence_of,
    wrong_rows,
    wrong_ways,
)
from kmc.systems.electrode.verification.interface import InterfaceColumns

_PART_ROWS = 2**22  # of the lattice, compared at once
_POSITION_A = 1e-6  # positions are stored as doubles
_CAPACITY = 1e-12  # relative; several roundings
_VOLTS = 1e-9  # relative to 1 or the value: sums in another order
# Counters that grow with every event of their kind, and those that `events` and `hops` sum up.
_HOPS = tuple(HOP_CLASSES.values())
_EVENTS = tuple(process.column for process in processes.PROCESSES)
_PARTS = tuple((process.column_Mg, process.column) for process in processes.WITH_MG)
_WITH_MG = tuple(part for part, _ in _PARTS)
_COUNTERS = ("events", *_EVENTS, *_HOPS, *_WITH_MG, *HOPS_BY_WAY)


def hamiltonians(run: Trajectory) -> list[Hamiltonian]:
    """The Hamiltonian of the file, once for each chemistry of the interface.

    Raises `ValueError`, `TypeError`, `LookupError`: the record holds no Hamiltonian.
    """
    table = run.resolved["hamiltonian"]
    hamiltonians = []
    for chemistry in run.resolved.get("interface", {}).get("chemistry") or [table]:
        phi = np.zeros((3, run.lattice.layers + 1), dtype=np.int64)
        for layer in (1, 2):
            phi[:, layer] = _integers(chemistry[f"phi_L{layer}"], (3,))
        # Energies of configurations need no counts of neighbours, which calibration has.
        counts = np.zeros((2, run.lattice.layers + 1), dtype=np.int64)
        bond1, bond2 = (_integers(table[name], (3, 3)) for name in ("bond1", "bond2"))
        chi = int(_integers(table["chi"], ()))
        # Sets of pairs alone do not have the other terms.
        K = _integers(table.get("coordination", np.zeros((4, 9, 7), dtype=int)), (4, 9, 7))
        bond_L1 = int(_integers(table.get("bond_L1", 0), ()))
        hamiltonians.append(Hamiltonian(bond1, bond2, phi, chi, counts, K, bond_L1))
    return hamiltonians


# --- record and lattice -----------------------------------------------------------------------


def record(run: Trajectory) -> Iterator[Breach]:
    """What `hamiltonians` raises is a breach of the check."""
    hamiltonians(run)
    return iter(())


def positions(run: Trajectory) -> Iterator[Breach]:
    """The lattice is built from its name and its cells: what the file states must agree."""
    for name in ("positions_A", "layer"):
        path, expected = f"lattice/{name}", getattr(run.lattice, name)
        # Files of schema 1 are whole arrays.
        arrays, datasets = run.arrays, run.datasets
        shape = arrays[path].shape if path in arrays else tuple(datasets[path][1])
        if shape != expected.shape:
            shapes = (f"of shape {shape}", f"of shape {expected.shape}")
            yield Breach("lattice", f"/{path}", None, *shapes)
            return
        # By parts: those of a box of 1e8 sites pack to a hundredth of what they are.
        for start in range(0, len(expected), _PART_ROWS):
            part = slice(start, start + _PART_ROWS)
            values = run.read(path, part)
            wrong = ~(np.abs(values - expected[part]) <= _POSITION_A)
            for row, *_ in np.argwhere(wrong)[:1]:
                where = int(start + row)
                yield Breach("lattice", f"/{path}", where, values[row], expected[where])
    listed = run.resolved.get("interface", {}).get("chemistry", [])
    sites = [entry["sites"] for entry in listed] or [run.lattice.sites_per_layer]
    counted = np.bincount(run.chemistry, minlength=len(sites)).tolist()
    if counted != sites:
        value = f"{counted} sites by chemistry"
        yield Breach("lattice", "/lattice/chemistry", None, value, sites)


# --- rows -------------------------------------------------------------------------------------


def monotone(run: Trajectory) -> Iterator[Breach]:
    if not len(run.samples):
        return
    for name in _present(run, (*_COUNTERS, "time_s", "vacancy_time_s")):
        values = run.samples[name]
        yield from differences("start", f"/samples/{name}", values[:1], 0)
        yield from falls("order", f"/samples/{name}", values)
    time_s = run.samples["time_s"]
    yield from first_breach("order", "/samples/time_s", ~np.isfinite(time_s), time_s, "a time")


def sums(run: Trajectory) -> Iterator[Breach]:
    rows = run.samples
    if not len(rows):
        return
    # Counters are integers: sums are compared exactly, without a tolerance.
    events = np.sum([rows[name] for name in _present(run, _EVENTS)], axis=0)
    yield from differences("sum of all events", "/samples/events", rows["events"], events)
    hops = np.sum([rows[name] for name in _HOPS], axis=0)
    yield from differences("sum of the hop classes", "/samples/hops", rows["hops"], hops)
    for part, total in _PARTS:
        if _present(run, (part,)):
            wrong, most = rows[part] > rows[total], f"at most as {total}"
            yield from first_breach("parts", f"/samples/{part}", wrong, rows[part], most)
    vacancies = rows["vacancies"][0] + processes.gained(_columns(run, _EVENTS), "vacancies")
    yield from differences(
        "conservation of vacancies", "/samples/vacancies", rows["vacancies"], vacancies
    )


def capacity(run: Trajectory) -> Iterator[Breach]:
    rows, lattice = run.samples, run.lattice
    # Net: what plating brings back is charge of the other sign.
    charged = processes.gained(_columns(run, _EVENTS), "electrons")
    valence = valence_of(run.resolved)
    capacities: dict[str, Any] = {
        "capacity_monolayers": charged / lattice.sites_per_layer,
        "capacity_mAh_cm2": capacity_mAh_cm2(charged, lattice.area_A2, valence),
    }
    for name, expected in capacities.items():
        close = _CAPACITY * np.abs(expected)
        yield from differences("capacity", f"/samples/{name}", rows[name], expected, close)


def integers(run: Trajectory) -> Iterator[Breach]:
    rows, n_L1 = run.samples, run.lattice.sites_per_layer
    shares = ("contact_fraction", "contact_fraction_Li")
    for name in shares:
        wrong = ~np.isnan(rows[name])
        if run.lattice.has_interface:
            atoms = rows[name] * n_L1
            wrong = ~((np.abs(atoms - np.rint(atoms)) < 1e-6) & (atoms > -0.5))
            wrong |= ~(rows[name] <= rows[shares[0]] + 1e-12) | (atoms > n_L1 + 0.5)
        expected = "a multiple of 1/sites, that of Li at most that of metal; NaN in bulk"
        yield from first_breach("contact", f"/samples/{name}", wrong, rows[name], expected)
    # The loop keeps energies in whole µeV, so that no sum of them drifts.
    energy = rows["energy_eV"] * MICRO_eV
    wrong = ~(np.abs(energy - np.rint(energy)) < 0.1)
    place = "/samples/energy_eV"
    yield from first_breach("energy", place, wrong, rows["energy_eV"], "whole µeV")


def _present(run: Trajectory, names: tuple[str, ...]) -> list[str]:
    """Those of the named columns that the file has; an older schema has fewer."""
    return [name for name in names if name in run.samples]


def _columns(run: Trajectory, names: tuple[str, ...]) -> dict[str, np.ndarray]:
    return {name: run.samples[name] for name in _present(run, names)}


# --- frames -----------------------------------------------------------------------------------


def moments(run: Trajectory) -> Iterator[Breach]:
    frames, rows, n = run.frames, run.samples, len(run.frames)
    for name in ("events", "time_s"):
        yield from falls("order", f"/frames/{name}", frames.columns[name])
    for index, row in enumerate(run.frame_columns["sample"]):
        # Exactly: both are copies of one number.
        for name in FRAME_COLUMNS:
            if (there := frames.columns[name][index]) != rows[name][row]:
                expected = f"{rows[name][row]}, as in row {row} of /samples"
                yield Breach("moment", f"/frames/{name}", index, there, expected)
    if run.finished and n and frames.events[-1] != (last := rows["events"][-1]):
        expected = f"{last}: a finished run ends with a frame"
        yield Breach("moment", "/frames/events", n - 1, frames.events[-1], expected)


def frames(run: Trajectory) -> Iterator[Any]:
    n, mg_at_start = len(run.frames), None
    energies = hamiltonians(run)
    interfaces, plan = _interfaces(run, energies), plan_of(stored_blocks(run.run))
    for index in recomputed(n):
        row = run.frame_columns["sample"][index]
        yield index, n
        occupancy = run.read_occupancy(index)
        # Without Mg among the species of the run a 2 is no atom of it.
        known, highest = MG if "Mg" in run.resolved.get("species", []) else LI, occupancy.max()
        if highest > known:
            value = f"{highest} at site {np.argmax(occupancy)}"
            yield Breach("species", "/frames/occupancy", index, value, f"0 to {known}")
        mg = int(np.count_nonzero(occupancy == MG))
        moved = {name: int(run.samples[name][row]) for name in _present(run, _WITH_MG)}
        exchanged = -processes.gained(moved, "vacancies", mg=True)
        # The first frame sets the reference: the file does not say how much Mg was drawn.
        mg_at_start = mg - exchanged if mg_at_start is None else mg_at_start
        if mg != mg_at_start + exchanged:
            expected = f"{mg_at_start + exchanged} by the balance of /samples, row {row}"
            yield Breach("Mg", "/frames/occupancy", index, f"{mg} Mg atoms", expected)
        yield from _sample_of(run, energies, occupancy, index, row)
        if interfaces:
            yield from _interface_of(run, interfaces, plan, occupancy, index, row)
    yield n, n


def _sample_of(
    run: Trajectory, energies: list[Hamiltonian], occupancy: np.ndarray, index: int, row: int
) -> Iterator[Breach]:
    """The sample of the time of a frame has its counts and its energy."""
    sample: Any = run.samples[row]  # type: ignore[index]
    lattice = run.lattice
    counted: dict[str, Any] = {"vacancies": int(np.count_nonzero(occupancy == VACANCY))}
    first = occupancy[: lattice.sites_per_layer]
    if lattice.has_interface:
        counted["contact_fraction"] = np.count_nonzero(first) / first.size
        counted["contact_fraction_Li"] = np.count_nonzero(first == LI) / first.size
        if _present(run, ("dead_Li",)):
            counted["dead_Li"] = run.collector.dead_li(occupancy)
    for name, expected in counted.items():
        if not abs(sample[name] - expected) <= 1e-12 * max(1, expected):
            counts = f"{expected} by frame {index}"
            yield Breach("count", f"/samples/{name}", row, sample[name], counts)
    # Bond by bond from the Hamiltonian in the file: the running sum of the loop takes no part.
    energy = total_energy_ueV(energies, run.chemistry, occupancy, lattice)
    if not abs(float(sample["energy_eV"]) * MICRO_eV - energy) < 0.5:
        value = f"{sample['energy_eV']:.6f} eV"
        expected = f"{energy / MICRO_eV:.6f} eV by frame {index}"
        yield Breach("energy", "/samples/energy_eV", row, value, expected)


def _interfaces(run: Trajectory, energies: list[Hamiltonian]) -> dict[float, InterfaceColumns]:
    """What recomputes the interface of a frame, by temperature in K.

    Empty where the file does not say enough.
    """
    resolved = run.resolved
    settings = resolved.get("charge_transfer")
    if not settings or not _present(run, ("overpotential_sites_V",)):
        return {}
    box = (run.lattice, energies, run.chemistry)
    of_run = {"charge_transfer": settings, **resolved["run"]["conditions"]}
    columns = {}
    # Those of the run, and of steps at temperatures of their own.
    for entry in (of_run, *resolved.get("temperatures", [])):
        kelvin, own = float(entry["temperature_K"]), entry["charge_transfer"]
        columns[kelvin] = InterfaceColumns(*box, own, kelvin, valence_of(resolved))
    return columns


def _interface_of(
    run: Trajectory,
    interfaces: dict[float, InterfaceColumns],
    plan: tuple[Planned, ...],
    occupancy: np.ndarray,
    index: int,
    row: int,
) -> Iterator[Breach]:
    """Weights, rims and the terms of the overpotential that a frame decides."""
    sample: Any = run.samples[row]  # type: ignore[index]
    conditions = run.resolved["run"]["conditions"]
    kelvin = conditions["temperature_K"]
    held = conditions.get("overpotential_V") is not None
    if plan:
        step = plan[min(max(int(sample["step"]), 1), len(plan)) - 1].step
        held = step.drive.overpotential_V is not None
        kelvin = kelvin if step.temperature_K is None else step.temperature_K
    current = float(sample["current_density_mA_cm2"])
    # Steps of a protocol spare dead lithium; elsewhere all metal takes part.
    reached = run.collector.reached(occupancy) if plan else None
    columns = interfaces[kelvin].columns(occupancy, current, reached)
    for name, expected in columns.items():
        if held and name == "overpotential_sites_V":
            continue  # at a held voltage the sites pass what they pass
        if sample[name] == expected:  # may be infinite
            continue
        if not abs(sample[name] - expected) <= _VOLTS * max(1.0, abs(expected)):
            follows = f"{expected} by frame {index}"
            yield Breach("interface", f"/samples/{name}", row, sample[name], follows)


def _integers(value: Any, shape: tuple[int, ...]) -> np.ndarray:
    array = np.array(value)
    if array.shape != shape or array.dtype.kind != "i":
        raise ValueError(f"{value!r} are no whole numbers of shape {shape}")
    return array


CHECKS = (
    ("record: its Hamiltonian", record),
    ("lattice: every site has its position in the lattice", positions),
    ("counters and time start at 0 and never decrease", monotone),
    ("sums of events, hops and vacancies are conserved", sums),
    ("hops from layer to layer account for the atoms of L1", wrong_ways),
    ("capacity is stripped charge over area", capacity),
    ("contact is that of whole atoms, energy in whole µeV", integers),
    ("voltage, current, stress and phase fit the settings", wrong_rows),
    ("each frame has the numbers of its sample", moments),
    (
        "vacancies, contact, Mg and energy, to the last µeV, follow from every site of the frames; "
        "so do constriction, rims and the balance of the sites",
        frames,
    ),
)
