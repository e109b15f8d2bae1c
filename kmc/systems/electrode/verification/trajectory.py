"""Checks the consistency of a trajectory by recomputing its samples from its frames.

The event loop is not used: energies are summed bond by bond from the Hamiltonian in the file,
counts are those of its occupancies, and conservation is arithmetic on its rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np

from kmc.common.formatting import plural
from kmc.common.units import MICRO_eV
from kmc.errors import FileFormatError
from kmc.files import integrity as guard
from kmc.files import schema
from kmc.files.check_result import Breach, Verification, differences, falls, first_breach
from kmc.files.file import lattice_of
from kmc.files.reader import Stored, stored_in
from kmc.model import processes
from kmc.model.connectivity import Collector, conductive_columns, conductive_flags
from kmc.model.electrochemistry import capacity_mAh_cm2
from kmc.model.hamiltonian import LI, MG, VACANCY, Hamiltonian, total_energy_ueV
from kmc.model.lattice import Lattice
from kmc.runfile.protocol import Planned, plan_of, stored_blocks
from kmc.systems.electrode.verification.balances import valence_of, wrong_rows, wrong_ways
from kmc.systems.electrode.verification.completeness import altered, missing_rows
from kmc.systems.electrode.verification.interface import InterfaceColumns

_POSITION_A = 1e-6  # positions are stored as doubles
_CAPACITY = 1e-12  # relative; several roundings
_VOLTS = 1e-9  # relative to 1 or the value: sums in another order
# Counters that grow with every event of their kind, and those that `events` and `hops` sum up.
_HOPS = tuple(schema.HOP_CLASSES.values())
_EVENTS = tuple(process.column for process in processes.PROCESSES)
_PARTS = tuple((process.column_Mg, process.column) for process in processes.WITH_MG)
_WITH_MG = tuple(part for part, _ in _PARTS)
_COUNTERS = ("events", *_EVENTS, *_HOPS, *_WITH_MG, *schema.HOPS_BY_WAY)


def verify(path: str | Path, *, progress: Callable[[int, int], None] | None = None) -> Verification:
    """Check the consistency of a trajectory, finished or not; see `kmc.systems.run.verify`.

    `progress` is called with the number of frames checked and to check.
    """
    path = Path(path)
    stored = guard.read(path, stored_in)
    found = Verification(path, stored.record["finished"], len(stored.rows), len(stored.frames))
    audit = _Audit(path, stored, progress or (lambda done, of: None))
    return found.after(audit.checks())


class _Audit:
    """The checks, each an iterator over its inconsistencies."""

    def __init__(self, path: Path, stored: Stored, progress: Callable[[int, int], None]):
        self.path = path
        self.stored = stored
        self.rows = stored.rows
        self.progress = progress

    def checks(self) -> list[tuple[str, Callable[[], Iterator[Breach]]]]:
        rows, frames = plural(len(self.rows), "sample"), plural(len(self.stored.frames), "frame")
        of_rows = ("/samples/crc32", self.stored.row_checksums, schema.row_checksums(self.rows))
        return [
            ("record: seed, Hamiltonian, columns of equal length", self._record),
            ("lattice: every site has its position in the lattice", self._lattice),
            (f"{rows}: checksum of every row", partial(differences, "checksum", *of_rows)),
            (f"{rows}: counters and time start at 0 and never decrease", self._monotone),
            (f"{rows}: sums of events, hops and vacancies are conserved", self._sums),
            # Not before their turn: a record that says something else is found by the first check.
            (
                f"{rows}: hops from layer to layer account for the atoms of L1",
                lambda: wrong_ways(self.rows, self.lattice, self.resolved),
            ),
            (f"{rows}: capacity is stripped charge over area", self._capacity),
            (f"{rows}: contact is that of whole atoms, energy in whole µeV", self._integers),
            (
                f"{rows}: voltage, current, stress and phase fit the settings",
                lambda: wrong_rows(self.rows, self.resolved, self.lattice.has_interface),
            ),
            (f"{frames}: each belongs to a sample of the same time", self._moments),
            (
                f"{frames}: checksums; vacancies, contact, Mg and energy, to the last µeV, "
                "follow from every site; so do constriction, rims and the balance of the sites",
                self._frames,
            ),
            (
                "settings, texts, units, lattice and state are those that were written",
                partial(altered, self.path, self.stored.record),
            ),
            (f"{rows} and {frames}: none is missing", partial(missing_rows, self.stored)),
        ]

    @property
    def resolved(self) -> dict[str, Any]:
        return self.stored.record["resolved"]

    @cached_property
    def lattice(self) -> Lattice:
        return lattice_of(self.stored.record["lattice"])

    @cached_property
    def hamiltonians(self) -> list[Hamiltonian]:
        """The Hamiltonian of the file, once for each chemistry of the interface.

        Raises `ValueError`, `TypeError`, `LookupError`: the record holds no Hamiltonian.
        """
        table = self.resolved["hamiltonian"]
        found = []
        for chemistry in self.resolved.get("interface", {}).get("chemistry") or [table]:
            phi = np.zeros((3, self.lattice.layers + 1), dtype=np.int64)
            for layer in (1, 2):
                phi[:, layer] = _integers(chemistry[f"phi_L{layer}"], (3,))
            # Energies of configurations need no counts of neighbours, which calibration has.
            counts = np.zeros((2, self.lattice.layers + 1), dtype=np.int64)
            bond1, bond2 = (_integers(table[name], (3, 3)) for name in ("bond1", "bond2"))
            chi = int(_integers(table["chi"], ()))
            # Sets of pairs alone do not have the other terms.
            K = _integers(table.get("coordination", np.zeros((4, 9, 7), dtype=int)), (4, 9, 7))
            bond_L1 = int(_integers(table.get("bond_L1", 0), ()))
            found.append(Hamiltonian(bond1, bond2, phi, chi, counts, K, bond_L1))
        return found

    @cached_property
    def chemistry(self) -> np.ndarray:
        """Chemistry below each column, from the file."""
        none = np.zeros(self.lattice.sites_per_layer, dtype=np.uint8)
        return self._read(guard.lattice).get("chemistry", none)

    def _read(self, part: Callable[..., Any], *which: int) -> Any:
        """A part of the file that depends on its box: `/lattice`, or one occupancy."""
        return guard.read(self.path, lambda file: part(file, self.stored.record["lattice"], *which))

    # --- record and lattice -----------------------------------------------------------------------

    def _record(self) -> Iterator[Breach]:
        record, check = self.stored.record, "record"
        if self.stored.seed != record["seed"]:
            yield Breach(check, "/@seed", None, self.stored.seed, record["seed"])
        try:
            _ = self.hamiltonians
        except (ValueError, TypeError, LookupError, OverflowError) as problem:
            yield Breach(check, "/record", None, f"without a Hamiltonian ({problem})", "one")
        if self.stored.record["finished"]:  # the columns of a running one may differ in length
            for group in ("/samples/", "/frames/"):
                lengths = {k: n for k, n in self.stored.lengths.items() if k.startswith(group)}
                most = max(lengths.values())
                for name, n in lengths.items():
                    if n != most:
                        yield Breach(check, name, None, f"{n} rows long", f"{most} rows")

    def _lattice(self) -> Iterator[Breach]:
        check, box, lattice = "lattice", self.stored.record["lattice"], self.lattice
        # The lattice is built from its name and its cells: what the file states besides must agree.
        if not np.allclose(box["box_A"], lattice.box_A, rtol=1e-9):
            expected = f"{lattice.box_A.tolist()} of {lattice.name}"
            yield Breach(check, "/record (box_A)", None, box["box_A"], expected)
        try:
            stored = self._read(guard.lattice)
        except FileFormatError as damage:
            yield Breach(check, "/lattice", None, f"unreadable ({damage.message})", "numbers")
            return
        for name, values in stored.items():
            if name == "chemistry":  # with the sites of each chemistry that the record has
                listed = self.resolved.get("interface", {}).get("chemistry", [])
                sites = [entry["sites"] for entry in listed] or [lattice.sites_per_layer]
                counted = np.bincount(values.ravel(), minlength=len(sites)).tolist()
                if counted != sites:
                    place, value = "/lattice/chemistry", f"{counted} sites by chemistry"
                    yield Breach(check, place, None, value, sites)
                continue
            expected = getattr(lattice, name)
            if values.shape != expected.shape:
                shape = f"of shape {expected.shape}"
                yield Breach(check, f"/lattice/{name}", None, f"of shape {values.shape}", shape)
                return
            wrong = ~(np.abs(values - expected) <= _POSITION_A)
            if wrong.any():
                row = int(np.argwhere(wrong)[0][0])
                yield Breach(check, f"/lattice/{name}", row, values[row], expected[row])

    # --- rows -------------------------------------------------------------------------------------

    def _monotone(self) -> Iterator[Breach]:
        if not len(self.rows):
            return
        for name in self._present((*_COUNTERS, "time_s")):
            values = self.rows[name]
            yield from differences("start", f"/samples/{name}", values[:1], 0)
            yield from falls("order", f"/samples/{name}", values)
        time_s = self.rows["time_s"]
        yield from first_breach("order", "/samples/time_s", ~np.isfinite(time_s), time_s, "a time")

    def _sums(self) -> Iterator[Breach]:
        rows = self.rows
        if not len(rows):
            return
        # Counters are integers: sums are compared exactly, without a tolerance.
        events = np.sum([rows[name] for name in self._present(_EVENTS)], axis=0)
        yield from differences("sum of all events", "/samples/events", rows["events"], events)
        hops = np.sum([rows[name] for name in _HOPS], axis=0)
        yield from differences("sum of the hop classes", "/samples/hops", rows["hops"], hops)
        for part, total in _PARTS:
            if self._present((part,)):
                wrong, most = rows[part] > rows[total], f"at most as {total}"
                yield from first_breach("parts", f"/samples/{part}", wrong, rows[part], most)
        vacancies = rows["vacancies"][0] + processes.gained(self._columns(_EVENTS), "vacancies")
        yield from differences(
            "conservation of vacancies", "/samples/vacancies", rows["vacancies"], vacancies
        )

    def _capacity(self) -> Iterator[Breach]:
        rows, lattice = self.rows, self.lattice
        # Net: what plating brings back is charge of the other sign.
        charged = processes.gained(self._columns(_EVENTS), "electrons")
        valence = valence_of(self.resolved)
        capacities: dict[str, Any] = {
            "capacity_monolayers": charged / lattice.sites_per_layer,
            "capacity_mAh_cm2": capacity_mAh_cm2(charged, lattice.area_A2, valence),
        }
        for name, expected in capacities.items():
            close = _CAPACITY * np.abs(expected)
            yield from differences("capacity", f"/samples/{name}", rows[name], expected, close)

    def _integers(self) -> Iterator[Breach]:
        rows, n_L1 = self.rows, self.lattice.sites_per_layer
        shares = ("contact_fraction", "contact_fraction_Li")
        for name in shares:
            wrong = ~np.isnan(rows[name])
            if self.lattice.has_interface:
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

    def _present(self, names: tuple[str, ...]) -> list[str]:
        """Those of the named columns that the file has; an older schema has fewer."""
        return [name for name in names if name in (self.rows.dtype.names or ())]

    def _columns(self, names: tuple[str, ...]) -> dict[str, np.ndarray]:
        return {name: self.rows[name] for name in self._present(names)}

    # --- frames -----------------------------------------------------------------------------------

    def _moments(self) -> Iterator[Breach]:
        frames, rows = self.stored.frames, self.rows
        for name in ("events", "time_s"):
            yield from falls("order", f"/frames/{name}", frames[name])
        for index, frame in enumerate(frames):
            row = self._row_of(frame)
            if row is None:
                moment = f"{frame['time_s']} with {frame['events']} events"
                yield Breach("moment", "/frames/time_s", index, moment, "that of a sample")
                return
            # Exactly: both are copies of one number.
            for name in frames.dtype.names or ():
                if frame[name] != rows[name][row]:
                    expected = f"{rows[name][row]}, as in row {row} of /samples"
                    yield Breach("moment", f"/frames/{name}", index, frame[name], expected)
        if self.stored.record["finished"] and len(frames):
            there, last = frames["events"][-1], rows["events"][-1]
            if there != last:
                expected = f"{last}: a finished run ends with a frame"
                yield Breach("moment", "/frames/events", len(frames) - 1, there, expected)

    def _row_of(self, frame: np.void) -> int | None:
        """The sample of the same time: several can have the same number of events."""
        # By bisection, as times never fall; several rows may share one.
        times = self.rows["time_s"]
        first = int(np.searchsorted(times, frame["time_s"], side="left"))
        last = int(np.searchsorted(times, frame["time_s"], side="right"))
        same = np.flatnonzero(self.rows["events"][first:last] == frame["events"])
        return first + int(same[0]) if len(same) else None

    def _frames(self) -> Iterator[Breach]:
        frames = self.stored.frames
        mg_at_start = None
        for index, frame in enumerate(frames):
            self.progress(index, len(frames))
            try:
                occupancy = self._read(guard.occupancy, index)
            except FileFormatError as damage:
                where = "/frames/occupancy"
                yield Breach("frame", where, index, f"unreadable ({damage.message})", "a frame")
                return
            checksum = schema.frame_checksum(occupancy, frame)
            if checksum != self.stored.frame_checksums[index]:
                stored = self.stored.frame_checksums[index]
                yield Breach("checksum", "/frames/crc32", index, stored, checksum)
            # Without Mg among the species of the run a 2 is no atom of it.
            known, highest = MG if "Mg" in self.resolved.get("species", []) else LI, occupancy.max()
            if highest > known:
                value = f"{highest} at site {np.argmax(occupancy)}"
                yield Breach("species", "/frames/occupancy", index, value, f"0 to {known}")
            row = self._row_of(frame)
            if row is None:
                continue  # a breach of the moments
            mg = int(np.count_nonzero(occupancy == MG))
            moved = {name: int(self.rows[name][row]) for name in self._present(_WITH_MG)}
            exchanged = -processes.gained(moved, "vacancies", mg=True)
            # The first frame sets the reference: the file does not say how much Mg was drawn.
            mg_at_start = mg - exchanged if mg_at_start is None else mg_at_start
            if mg != mg_at_start + exchanged:
                expected = f"{mg_at_start + exchanged} by the balance of /samples, row {row}"
                yield Breach("Mg", "/frames/occupancy", index, f"{mg} Mg atoms", expected)
            yield from self._sample_of(occupancy, index, row)
            yield from self._interface_of(occupancy, index, row)
        self.progress(len(frames), len(frames))

    def _sample_of(self, occupancy: np.ndarray, index: int, row: int) -> Iterator[Breach]:
        """The sample of the time of a frame has its counts and its energy."""
        sample, lattice = self.rows[row], self.lattice
        counted: dict[str, Any] = {"vacancies": int(np.count_nonzero(occupancy == VACANCY))}
        first = occupancy[: lattice.sites_per_layer]
        if lattice.has_interface:
            counted["contact_fraction"] = np.count_nonzero(first) / first.size
            counted["contact_fraction_Li"] = np.count_nonzero(first == LI) / first.size
            if self._present(("dead_Li",)):
                counted["dead_Li"] = self._collector.dead_li(occupancy)
        for name, expected in counted.items():
            if not abs(sample[name] - expected) <= 1e-12 * max(1, expected):
                counts = f"{expected} by frame {index}"
                yield Breach("count", f"/samples/{name}", row, sample[name], counts)
        # Bond by bond from the Hamiltonian in the file: the running sum of the loop takes no part.
        energy = total_energy_ueV(self.hamiltonians, self.chemistry, occupancy, lattice)
        if not abs(float(sample["energy_eV"]) * MICRO_eV - energy) < 0.5:
            value = f"{sample['energy_eV']:.6f} eV"
            expected = f"{energy / MICRO_eV:.6f} eV by frame {index}"
            yield Breach("energy", "/samples/energy_eV", row, value, expected)

    @cached_property
    def _collector(self) -> Collector:
        run = self.resolved.get("run", {})
        return Collector(self.lattice, conductive_columns(conductive_flags(run), self.chemistry))

    @cached_property
    def plan(self) -> tuple[Planned, ...]:
        """Steps of the protocol, none for a run without one."""
        return plan_of(stored_blocks(self.resolved.get("run", {})))

    @cached_property
    def interfaces(self) -> dict[float, InterfaceColumns]:
        """What recomputes the interface of a frame, by temperature in K.

        Empty where the file does not say enough.
        """
        resolved = self.resolved
        settings = resolved.get("charge_transfer")
        if not settings or not self._present(("overpotential_sites_V",)):
            return {}
        box = (self.lattice, self.hamiltonians, self.chemistry)
        of_run = {"charge_transfer": settings, **resolved["run"]["conditions"]}
        found = {}
        # Those of the run, and of steps at temperatures of their own.
        for entry in (of_run, *resolved.get("temperatures", [])):
            kelvin, own = float(entry["temperature_K"]), entry["charge_transfer"]
            found[kelvin] = InterfaceColumns(*box, own, kelvin, valence_of(resolved))
        return found

    def _interface_of(self, occupancy: np.ndarray, index: int, row: int) -> Iterator[Breach]:
        """Weights, rims and the terms of the overpotential that a frame decides."""
        if not self.interfaces:
            return
        sample = self.rows[row]
        conditions = self.resolved["run"]["conditions"]
        kelvin = conditions["temperature_K"]
        held = conditions.get("overpotential_V") is not None
        if self.plan:
            step = self.plan[min(max(int(sample["step"]), 1), len(self.plan)) - 1].step
            held = step.drive.overpotential_V is not None
            kelvin = kelvin if step.temperature_K is None else step.temperature_K
        current = float(sample["current_density_mA_cm2"])
        # Steps of a protocol spare dead lithium; elsewhere all metal takes part.
        reached = self._collector.reached(occupancy) if self.plan else None
        found = self.interfaces[kelvin].columns(occupancy, current, reached)
        for name, expected in found.items():
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
