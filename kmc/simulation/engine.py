"""The engine: kernel state, random generator, and the quantities computed from them."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from kmc.common.units import A_per_nm, MICRO_eV
from kmc.errors import KmcError
from kmc.kernels import connection, loop, selection, tables
from kmc.model import electrochemistry, processes, rate_tables
from kmc.model.connectivity import Collector
from kmc.model.constriction import Rim, Spreading
from kmc.model.electrochemistry import Drive
from kmc.model.model import Model
from kmc.simulation.charge_sites import ChargeSites
from kmc.simulation.growth import push_back
from kmc.trajectory.schema import HOP_CLASSES, HOP_WAYS

UNLIMITED = sys.maxsize
_RECOUNTED = [tables.VACANCIES, tables.VACANT_L1, tables.MG_L1, tables.ENERGY, tables.N_DIRTY]
_WITHOUT_CURRENT = {
    "overpotential_V": 0.0,
    "overpotential_concentration_V": 0.0,
    "overpotential_charge_transfer_V": 0.0,
    "overpotential_constriction_V": 0.0,
    "overpotential_series_V": 0.0,
    "overpotential_sites_V": 0.0,
}


@dataclass(frozen=True)
class Event:
    """One logged event. ``site_from`` or ``site_to`` is −1 where metal enters or leaves the box."""

    kind: str
    site_from: int
    site_to: int
    species: int
    time_s: float


class Engine:
    """Runs events on one configuration.

    Parameters
    ----------
    model : Model
    occupancy : array of uint8, shape (n_sites,)
        0 vacancy, 1 Li, 2 Mg.
    rng : numpy.random.Generator
        The only source of randomness; its state and the engine's determine everything to come.
    alloy : bool, optional
        Run with the tables for Mg. By default only if Mg is present or can come from the reservoir.
    log_events : int
        Record up to this many events (0: none).
    """

    def __init__(self, model: Model, occupancy, rng, *, alloy=None, log_events: int = 0):
        occupancy = np.asarray(occupancy, dtype=np.uint8)
        if alloy is None:
            alloy = bool((occupancy == tables.MG).any()) or model.reservoir_mg_fraction > 0
        self.model = model
        self.rng = rng
        geometry = model.kernel_lattice.geometry()
        self.geometry = geometry._replace(pairs=geometry.pairs and alloy)
        self.law = rate_tables.law(model, alloy)
        self.drive = model.drive  # of this moment; `set_drive` changes it
        self.interface_V = model.overpotential_V  # held at the interface, where a voltage is held
        self.conductive: np.ndarray | None = None  # columns above a scaffold (`Collector`)
        self.spares = False  # whether connected metal alone is stripped and plated on
        self.void_surfaces = False  # whether ions also reach the metal around open voids
        self.pushes = False  # whether plated ions push the metal back where no site is vacant
        self.place = (0, 0)  # step and cycle of a protocol, for the samples
        self.mixing = (1.0, 0, 0.0)  # supersaturation that moves Mg; net absorbed and time then
        self.channels = rate_tables.channels(model)
        walks = model.superbasins and not alloy and log_events == 0
        self.lone = rate_tables.lone_vacancy(model, walks)
        self.resting = False
        self.scratch = tables.Scratch(
            near=np.empty((3, tables.N_NEAR), dtype=np.int64),
            steps=np.empty(self.geometry.around.shape[-1], dtype=np.int32),
            touched=np.empty(256, dtype=np.int64),
            bins=np.empty(256, dtype=np.int64),
            rates=np.zeros((tables.N_KEPT, tables.N_FIRST + 2)),
            owner=np.full(tables.N_KEPT, -1, dtype=np.int64),
        )
        self.log = tables.EventLog(
            kind=np.empty(log_events, dtype=np.int8),
            site_from=np.empty(log_events, dtype=np.int64),
            site_to=np.empty(log_events, dtype=np.int64),
            species=np.empty(log_events, dtype=np.int8),
            time_s=np.empty(log_events),
        )
        self.state = rate_tables.new_state(model, occupancy, alloy)
        drawn = slice(tables.PLACE, tables.MEMBER + 1)
        self.state.clock[drawn] = rng.random(2)  # the loop draws one attempt ahead
        self.set_mixing(self.mixing)
        loop.prepare(self.geometry, self.law, self.channels, self.state, self.scratch)

    def advance(
        self,
        *,
        events: int = UNLIMITED,
        strips: int = UNLIMITED,
        attempts: int = UNLIMITED,
        vacant_L1: int = UNLIMITED,
        time_s: float = np.inf,
        pause_time_s: float = np.inf,
        before_strip: int = UNLIMITED,
    ) -> int:
        """Run until one of these absolute values is reached; returns the kernel's reason.

        Parameters
        ----------
        events, strips, attempts, vacant_L1 : int
            Returns once a counter has reached the value. Charge, here and in `before_strip`, is
            `net_charge`: it counts in the direction of the current.
        time_s, pause_time_s : float
            The clock stops exactly here, before the event that comes later; with `time_s` the
            reason is that time is up.
        before_strip : int
            Returns when so many atoms have been stripped and the next is about to leave (or as
            many plated and the next is about to arrive), the clock at that moment. As strips come
            at random, the state then is that of any moment; right after a strip there is always
            one vacancy that has not moved yet.
        """
        limits = tables.Limits(
            events=int(events),
            strips=int(strips),
            attempts=int(attempts),
            vacant_L1=int(vacant_L1),
            time_s=float(time_s),
            pause_time_s=float(pause_time_s),
            before_strip=int(before_strip),
        )
        while True:
            reason = self._advance(limits)
            if reason == tables.BINS_FULL:
                self._grow()
            elif reason != tables.NO_SITE or not self._push_back():
                return reason

    def _advance(self, limits: tables.Limits) -> int:
        tables_ = (self.geometry, self.law, self.channels, self.state, self.scratch, self.lone)
        return loop.advance(*tables_, limits, self.log, self._net, self.rng)

    def _push_back(self) -> bool:
        """Plate under an atom where no vacant site is left; whether that was possible."""
        waits = self.state.clock[tables.STRIP_DUE] == tables.WAITING  # and the next has come
        if not (self.pushes and push_back(self)):
            return False
        if not waits:
            self.state.clock[tables.STRIP_DUE] = 0.0
        return True

    @cached_property
    def _charge_sites(self) -> ChargeSites:
        return ChargeSites(self.model, self.collector, self.void_surfaces)

    @property
    def _net(self) -> connection.Connection:
        return self._charge_sites.net if self.spares else connection.NO_SEARCH

    def _grow(self):
        """Double the capacity of the hop bins."""
        old = self.state.hops.members
        most = selection.POSITION_MASK + 1
        capacity = min(rate_tables.row_length(2 * old.shape[1]), most)
        if capacity == old.shape[1]:
            raise KmcError(
                f"{old.shape[1]} vacancies are more than the event loop can hold",
                advice=f"At most {most} vacancies fit; use a smaller box.",
            )
        members = np.empty((old.shape[0], capacity), dtype=old.dtype)
        for b, n in enumerate(self.state.hops.count):
            members[b, :n] = old[b, :n]
        self.state = self.state._replace(hops=self.state.hops._replace(members=members))

    # --- quantities -----------------------------------------------------------------------------

    def count(self, counter: int) -> int:
        """Value of a counter of `kernels.tables`."""
        return int(self.state.counters[counter])

    @property
    def time_s(self) -> float:
        return float(self.state.clock[tables.TIME])

    @property
    def vacancy_time_s(self) -> float:
        """Time integral of the number of vacancies, up to now."""
        clock = self.state.clock
        since = clock[tables.TIME] - clock[tables.ATTEMPT_TIME]
        return float(clock[tables.VACANCY_TIME] + since * self.count(tables.VACANCIES))

    @property
    def strip_is_due(self) -> bool:
        """Whether the next event is a strip or plate that `before_strip` put off."""
        return bool(self.state.clock[tables.STRIP_DUE] not in (0.0, tables.WAITING))

    @property
    def events(self) -> int:
        return self.count(tables.EVENTS)

    @property
    def energy_ueV(self) -> int:
        return self.count(tables.ENERGY)

    def occupancy(self) -> np.ndarray:
        """Species of every site, uint8 of shape (n_sites,)."""
        return rate_tables.occupancy_of(self.model, self.state)

    @property
    def net_strips(self) -> int:
        """Atoms stripped less atoms plated."""
        return self.count(tables.STRIPS) - self.count(tables.PLATES)

    @property
    def net_charge(self) -> int:
        """Net charge in atoms in the direction of the current: plated atoms while it plates."""
        return -self.net_strips if self.drive.plates else self.net_strips

    def set_drive(self, drive: Drive) -> None:
        """Change current or voltage; everything else goes on as before.

        A strip or plate that was due, or waited, under the drive before does not happen.

        Raises
        ------
        ValueError
            The drive plates and the model keeps no weights for that (`Model.plating`).
        """
        if (drive.plates or drive.overpotential_V is not None) and not self.model.plates:
            raise ValueError(f"{drive} needs a model with plating = True")
        self.drive, self.interface_V = drive, drive.overpotential_V
        self.resting = not drive.flows
        self.state.clock[tables.STRIP_DUE] = 0.0
        self.channels = rate_tables.channels(self.model, drive)
        self.set_mixing(self.mixing)

    def set_model(self, model: Model) -> None:
        """Go on at the rates of another model of the same box, such as at another temperature.

        Waiting times have no memory; the activity of vacancies is measured anew, as other numbers
        are expected.
        """
        if model is self.model:
            return
        occupancy = self.occupancy()
        self.law = rate_tables.law(model, isinstance(self.law, tables.TwoSpecies))
        self.model = model
        self.lone = rate_tables.lone_vacancy(model, False)
        self.channels = rate_tables.channels(model, self.drive, self.interface_V)
        self.__dict__.pop("_charge_sites", None)
        self.rebuild(occupancy)
        self.state.clock[tables.PUT_OFF] = -1.0
        self.state.activity[:] = 0.0
        self.set_mixing(self.mixing)

    def rebuild(self, occupancy: np.ndarray) -> None:
        """Count and sort another configuration; counters, clock and activity go on."""
        old = self.state
        fresh = rate_tables.new_state(
            self.model,
            occupancy,
            isinstance(self.law, tables.TwoSpecies),
            capacity=old.hops.members.shape[1],
        )
        loop.prepare(self.geometry, self.law, self.channels, fresh, self.scratch)
        recounted = fresh.counters[_RECOUNTED]
        fresh.counters[:] = old.counters
        fresh.counters[_RECOUNTED] = recounted
        fresh.clock[:] = old.clock
        fresh.activity[:] = old.activity
        self.state = fresh

    def set_interface_V(self, volts: float) -> None:
        """Hold this overpotential at the interface from now on (a run at given voltage only).

        Raises
        ------
        ValueError
            The run has a current instead of a voltage, or this is no voltage.
        """
        if self.drive.overpotential_V is None or not np.isfinite(volts):
            raise ValueError(f"cannot hold {volts} V")
        self.interface_V = volts
        self.channels = rate_tables.channels(self.model, self.drive, volts)
        self.set_mixing(self.mixing)

    def set_mixing(self, mixing: tuple[float, int, float]) -> None:
        """Let Mg exchange with Li as vacancies of this supersaturation would make it."""
        supersaturation, absorbed, time_s = mixing
        self.mixing = (float(supersaturation), int(absorbed), float(time_s))
        rate_Hz = self.model.mg_exchange_rate_Hz * supersaturation
        if isinstance(self.law, tables.OneSpecies):
            rate_Hz = 0.0
        self.channels = self.channels._replace(mg_exchange=rate_Hz / self.model.unit_Hz)

    def update_mixing(self) -> None:
        """Take the supersaturation from what the reservoir has absorbed since the last call.

        In the steady state the net rate of absorption is k' c_eq (S − 1) for each site of the top
        layer; the box between it and L3 has its share of the resistance.
        """
        model = self.model
        if not model.mg_exchange or model.absorption_rate_Hz == 0.0:
            return
        _, absorbed, time_s = self.mixing
        now = self.count(tables.ABSORBED) - self.count(tables.EMITTED)
        if self.time_s <= time_s:
            return
        per_s = (now - absorbed) / (self.time_s - time_s) / model.lattice.sites_per_layer
        excess = per_s / model.emission_rate_per_site_Hz / (1.0 - model.box_share)
        self.set_mixing((max(0.0, 1.0 + excess), now, self.time_s))

    def mg_sites(self) -> np.ndarray:
        """Sites of the Mg atoms in the order of the kernel's list, if it keeps one."""
        mg = self.state.mg
        listed = mg.sites[: mg.length[0]].astype(np.int64)
        return self.model.kernel_lattice.lattice_sites(listed)

    def _sums_of_weights(self) -> tuple[float, float]:
        return loop.sums_of_weights(self.geometry, self.law, self.state, self.scratch, self._net)

    def exchange_rates_Hz(self) -> tuple[float, float]:
        """Rates of oxidation and of reduction of the whole box at η = 0, site by site, 1/s.

        Where dead lithium is spared, of what the current reaches.
        """
        strips, plates = self._sums_of_weights()
        per_strip, per_plate = self.model.charge_transfer_rates_Hz(0.0)
        return strips * per_strip, plates * per_plate

    def vacancy_activity(self) -> float:
        """Isolated vacancies in L1 and L2 over those of equilibrium, in the recent past.

        Where the metal is in equilibrium at vacancy activity S, a site among atoms is vacant
        S exp(−(B − B_k)/kT) times as often as it holds Li. Both numbers are summed over the strips
        of the last 0.1 monolayers (with exponential forgetting).
        """
        return float(electrochemistry.vacancy_activity(*self.state.activity))

    def rest(self) -> None:
        """Switch the current off; everything else goes on as before."""
        self.set_drive(Drive(stack_pressure_MPa=self.drive.stack_pressure_MPa))

    def split_voltage(self) -> None:
        """Leave to the interface what electrolyte and series resistance leave of the voltage held.

        What drops there follows from the contact of this moment and stays until the next call.
        Nothing happens in a run at given current, nor without any contact: what is electroactive
        then, if anything, goes on as before, and the loop sees when nothing is.
        """
        model = self.model
        applied_V = self.drive.overpotential_V
        if applied_V is None or not self.contact().any():
            return
        resistance = self.spreading_resistance_ohm_cm2() + model.series_resistance_ohm_cm2
        self.set_interface_V(
            electrochemistry.interface_part_V(
                applied_V,
                *self.exchange_rates_Hz(),
                electrochemistry.drop_V(self._current_density_mA_cm2(1.0), resistance),
                model.temperature_K,
                model.alpha,
            )
        )

    @cached_property
    def _spreading(self) -> Spreading:
        return Spreading(self.model.lattice)

    def contact(self) -> np.ndarray:
        """Which sites of L1 hold metal, bool of shape (sites_per_layer,)."""
        site_state = self.model.kernel_lattice.by_layer(self.state.site_state)[0]
        return (site_state >> tables.SPECIES_SHIFT) & 3 != tables.VACANCY

    def spreading_resistance_ohm_cm2(self) -> float:
        """Resistance of the electrolyte to the crowding of the current onto the contact left.

        0 for a parameter set that says nothing of the electrolyte's conductivity.
        """
        conductivity = self.model.conductivity_mS_cm
        if conductivity is None:
            return 0.0
        length_A = self._spreading.length_A(self.contact()) * self.model.pattern_scale
        return electrochemistry.spreading_resistance_ohm_cm2(length_A, conductivity)

    @cached_property
    def _rim(self) -> Rim:
        return Rim(self.model.lattice)

    @cached_property
    def collector(self) -> Collector:
        """Finds the metal that is not connected."""
        return Collector(self.model.lattice, self.conductive)

    def rim_per_A(self) -> float:
        """Length of the rims of the contact per area of the box, 1/Å."""
        return self._rim.length_per_area_per_A(self.contact())

    def _current_density_mA_cm2(self, rate_Hz: float) -> float:
        """Current density of so many atoms a second from the whole box."""
        return rate_Hz / electrochemistry.strip_rate_Hz(1.0, self.model.interface_area_A2)

    def interface_overpotential_V(self) -> float:
        """η at which the sites of this moment pass the current: Σ (r_ox − r_red) = j A/e."""
        model = self.model
        if self.resting or not model.has_interface:
            return 0.0
        if self.interface_V is not None:
            return self.interface_V
        per_site_Hz = electrochemistry.strip_rate_Hz(
            self.drive.current_density_mA_cm2, model.lattice.site_area_A2
        )
        return electrochemistry.net_rate_overpotential_V(
            per_site_Hz * model.lattice.sites_per_layer,
            *self.exchange_rates_Hz(),
            model.temperature_K,
            model.alpha,
        )

    def current_density_mA_cm2(self) -> float:
        """Current density of this moment: the one given, or what the voltage held drives."""
        if self.resting:
            return 0.0
        if self.interface_V is None:
            return self.drive.current_density_mA_cm2
        oxidation, reduction = self.exchange_rates_Hz()
        forward, backward = electrochemistry.charge_transfer_factors(
            self.interface_V, self.model.temperature_K, self.model.alpha
        )
        return self._current_density_mA_cm2(oxidation * forward - reduction * backward)

    def overpotentials(self) -> dict[str, float]:
        """Columns of a sample: the overpotential and its terms, V.

        The terms are those of an area of which a share is in contact. At a held voltage charge
        transfer is what the other terms leave of it.
        """
        model = self.model
        current = self.current_density_mA_cm2()
        idle = self.interface_V is None and current == 0.0
        if self.resting or idle or not model.has_interface:
            return dict(_WITHOUT_CURRENT)
        temperature_K, contact = model.temperature_K, self.contact_fraction()
        concentration = electrochemistry.concentration_overpotential_V(
            self.vacancy_activity(), temperature_K
        )
        resistance = self.spreading_resistance_ohm_cm2()
        constriction = electrochemistry.drop_V(current, resistance)
        series = electrochemistry.drop_V(current, model.series_resistance_ohm_cm2)
        sites = self.interface_overpotential_V()  # inf where nothing is left to oxidise
        if self.drive.overpotential_V is not None:
            total = self.drive.overpotential_V
            charge_transfer = total - concentration - constriction - series
        else:
            charge_transfer = electrochemistry.charge_transfer_overpotential_V(
                current,
                model.exchange_current_density_mA_cm2,
                model.effective_area(contact, self.rim_per_A()) if sites < np.inf else 0.0,
                temperature_K,
                model.alpha,
            )
            total = concentration + charge_transfer + constriction + series
        return {
            "overpotential_V": total,
            "overpotential_concentration_V": concentration,
            "overpotential_charge_transfer_V": charge_transfer,
            "overpotential_constriction_V": constriction,
            "overpotential_series_V": series,
            "overpotential_sites_V": sites,
        }

    def contact_fraction(self) -> float:
        """Share of L1 that holds metal; NaN without interface."""
        if not self.model.has_interface:
            return float("nan")
        return 1.0 - self.count(tables.VACANT_L1) / self.model.lattice.sites_per_layer

    def local_stress_MPa(self) -> float:
        """Stress that the remaining contact bears: stack pressure over contact, up to the limit."""
        return self.model.local_stress_MPa(self.count(tables.VACANT_L1), self.drive)

    def sample(self) -> dict:
        """One row of `/samples`."""
        model, count = self.model, self.count
        n_L1 = model.lattice.sites_per_layer
        mg = count(tables.MG_L1)
        strips, contact = self.net_strips, self.contact_fraction()
        return {
            "events": count(tables.EVENTS),
            **{process.column: count(process.counter) for process in processes.PROCESSES},
            "vacancies": count(tables.VACANCIES),
            "vacancy_time_s": self.vacancy_time_s,
            "time_s": self.time_s,
            "capacity_mAh_cm2": electrochemistry.capacity_mAh_cm2(strips, model.interface_area_A2),
            "capacity_monolayers": strips / n_L1,
            "contact_fraction": contact,
            "contact_fraction_Li": contact - mg / n_L1,
            **self.overpotentials(),
            "current_density_mA_cm2": self.current_density_mA_cm2(),
            "local_stress_MPa": self.local_stress_MPa(),
            "phase": int(self.resting),
            "step": self.place[0],
            "cycle": self.place[1],
            "energy_eV": self.energy_ueV / MICRO_eV,
            **{process.column_Mg: count(process.counter_Mg) for process in processes.WITH_MG},
            **self._hops_by_class(),
            **self._interface(),
        }

    def _interface(self) -> dict[str, float]:
        """Columns of what the terms of the overpotential follow from."""
        if not self.model.has_interface:
            return {
                "vacancy_activity": 1.0,
                "vacancies_seen": 0.0,
                "vacancies_expected": 0.0,
                "strip_weight": np.nan,
                "rim_per_nm": np.nan,
                "dead_Li": 0,
            }
        strips, _ = self._sums_of_weights()
        return {
            "vacancy_activity": self.vacancy_activity(),
            "vacancies_seen": float(self.state.activity[tables.SEEN]),
            "vacancies_expected": float(self.state.activity[tables.EXPECTED]),
            "strip_weight": strips / self.model.lattice.sites_per_layer,
            "rim_per_nm": self.rim_per_A() * A_per_nm,
            "dead_Li": self.collector.dead_li(self.occupancy()),
        }

    def _hops_by_class(self) -> dict[str, int]:
        """Columns of the hops of each class: all of them, and those that change the layer."""
        by_way = self.state.counters[tables.HOPS_BY_WAY : tables.HOPS_END].reshape(
            tables.N_KINDS, tables.N_WAYS
        )
        columns = {}
        for name, numbers in zip(HOP_CLASSES.values(), by_way.tolist(), strict=True):
            columns[name] = sum(numbers)
            for way, number in zip(HOP_WAYS, numbers[tables.FIRST_WAY :], strict=True):
                columns[f"{name}_{way}"] = number
        return columns

    def logged(self) -> list[Event]:
        """The events recorded so far."""
        n = self.count(tables.LOGGED)
        log = self.log
        rows = zip(
            log.kind[:n], log.site_from[:n], log.site_to[:n], log.species[:n], log.time_s[:n],
            strict=True,
        )  # fmt: skip
        return [
            Event(processes.KINDS[k], int(a), int(b), int(x), float(t)) for k, a, b, x, t in rows
        ]

    def vacancy_rates_Hz(self, site: int) -> np.ndarray:
        """Rates of the ten ways to fill a vacancy: 8 hops in neighbour order, Li, Mg absorbed."""
        rates = np.zeros(tables.N_FIRST + 2)
        loop.rates_of_vacancy(
            self.geometry,
            self.law,
            self.channels,
            self.state.site_state,
            self.model.kernel_lattice.kernel_sites(np.array([site]))[0],
            rates,
        )
        return rates * self.channels.unit_Hz

    def bin_members(self, which: str = "hops") -> dict[int, np.ndarray]:
        """Sites of every occupied bin in their order; `which` is "hops", "strips" or "plates"."""
        bins, lattice = getattr(self.state, which), self.model.kernel_lattice
        members = {int(b): bins.members[b, : bins.count[b]] for b in np.flatnonzero(bins.count)}
        sites = lattice.lattice_sites if which == "hops" else lattice.strip_sites
        return {b: sites(m) for b, m in members.items()}
