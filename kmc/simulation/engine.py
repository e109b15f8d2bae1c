"""A running configuration: kernel state, generator and what can be read off them."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from kmc.common.units import MICRO_eV
from kmc.errors import KmcError
from kmc.kernels import loop, selection, tables
from kmc.model import electrochemistry, processes, rate_tables
from kmc.model.constriction import Spreading
from kmc.model.model import Model
from kmc.trajectory.schema import HOP_CLASSES, HOP_WAYS

UNLIMITED = sys.maxsize
_MAGNIFICATION = "contact_magnification"


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
        self.geometry = model.kernel_lattice.geometry()
        self.law = rate_tables.law(model, alloy)
        self.charge_transfer_V = model.overpotential_V
        self.mixing = (1.0, 0, 0.0)  # supersaturation that moves Mg; net absorbed and time then
        self.channels = rate_tables.channels(model)
        walks = model.superbasins and not alloy and log_events == 0
        self.lone = rate_tables.lone_vacancy(model, walks)
        self.resting = False
        self.scratch = tables.Scratch(
            near=np.empty((3, tables.N_NEAR), dtype=np.int64),
            steps=np.empty(self.geometry.around.shape[-1], dtype=np.int32),
            touched=np.empty(256, dtype=np.int64),
            rates=np.zeros(tables.N_FIRST + 2),
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
            Comes back once a counter has reached the value.
        time_s, pause_time_s : float
            The clock stops exactly here, before the event that comes later; with `time_s` the
            reason is that time is up.
        before_strip : int
            Comes back when so many atoms have been stripped and the next is about to leave, the
            clock at that moment. As strips come at random, the state then is that of any moment;
            right after a strip there is always one vacancy that has not moved yet.
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
            reason = loop.advance(
                self.geometry,
                self.law,
                self.channels,
                self.state,
                self.scratch,
                self.lone,
                limits,
                self.log,
                self.rng,
            )
            if reason != tables.BINS_FULL:
                return reason
            self._grow()

    def _grow(self):
        """Double the room for vacancies."""
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

    # --- what can be read off -------------------------------------------------------------------

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
        """Whether the next event is a strip that `before_strip` put off."""
        return bool(self.state.clock[tables.STRIP_DUE] != 0.0)

    @property
    def events(self) -> int:
        return self.count(tables.EVENTS)

    @property
    def energy_ueV(self) -> int:
        return self.count(tables.ENERGY)

    def occupancy(self) -> np.ndarray:
        """Species of every site, uint8 of shape (n_sites,)."""
        return rate_tables.occupancy_of(self.model, self.state)

    def set_charge_transfer_V(self, volts: float) -> None:
        """Hold this charge-transfer overpotential from now on (a run at given voltage only).

        Raises
        ------
        ValueError
            The run has a current instead of a voltage, or the voltage is negative.
        """
        if self.model.overpotential_V is None or volts < 0:
            raise ValueError(f"cannot hold {volts} V")
        self.charge_transfer_V = volts
        self.channels = rate_tables.channels(self.model, volts)
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
        return self.lattice_sites(mg.sites[: mg.count[0]].astype(np.int64))

    def mean_strip_weight(self) -> float:
        """Σ w_i over the sites of L1: 1 for a flat interface of pure Li."""
        weights = loop.sum_of_strip_weights(self.geometry, self.law, self.state, self.scratch)
        return weights / self.model.lattice.sites_per_layer

    def rest(self) -> None:
        """Switch the current off; everything else goes on as before."""
        self.resting = True
        self.state.clock[tables.STRIP_DUE] = 0.0
        self.channels = self.channels._replace(strip=0.0, strip_per_weight=0.0)

    def split_voltage(self) -> None:
        """Leave to charge transfer what the electrolyte leaves of the voltage that is held.

        What drops there follows from the contact of this moment and stays until the next call.
        Nothing happens in a run at given current, nor without any contact: what is electroactive
        then, if anything, goes on as before, and the loop sees when nothing is.
        """
        model = self.model
        if model.overpotential_V is None or self.resting or not self.contact().any():
            return
        self.set_charge_transfer_V(
            electrochemistry.charge_transfer_part_V(
                model.overpotential_V,
                model.parameters.value("exchange_current_density_mA_cm2"),
                self.mean_strip_weight(),
                self.spreading_resistance_ohm_cm2(),
                model.temperature_K,
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
        values = self.model.parameters
        if not (values.has("electrolyte_conductivity_mS_cm") and values.has(_MAGNIFICATION)):
            return 0.0
        activation_eV = 0.0
        if values.has("electrolyte_activation_eV"):
            activation_eV = values.value("electrolyte_activation_eV")
        conductivity = electrochemistry.conductivity_mS_cm(
            values.value("electrolyte_conductivity_mS_cm"), activation_eV, self.model.temperature_K
        )
        length_A = self._spreading.length_A(self.contact()) * values.value(_MAGNIFICATION)
        return electrochemistry.spreading_resistance_ohm_cm2(length_A, conductivity)

    def constriction_V(self) -> float:
        """Overpotential of that resistance, V."""
        current = self.current_density_mA_cm2()
        if not self.model.has_interface or current == 0.0:
            return 0.0
        return electrochemistry.constriction_V(current, self.spreading_resistance_ohm_cm2())

    def charge_transfer_overpotential_V(self) -> float:
        """Charge-transfer overpotential of the present interface, V."""
        model = self.model
        if self.resting or not model.has_interface:
            return 0.0
        if self.charge_transfer_V is not None:
            return self.charge_transfer_V
        return electrochemistry.overpotential_V(
            model.current_density_mA_cm2,
            model.parameters.value("exchange_current_density_mA_cm2"),
            self.mean_strip_weight(),
            model.temperature_K,
        )

    def current_density_mA_cm2(self) -> float:
        """Current density of this moment: the one given, or what the voltage held drives."""
        if self.resting:
            return 0.0
        if self.charge_transfer_V is None:
            return self.model.current_density_mA_cm2
        return self.model.current_density_at_mA_cm2(
            self.charge_transfer_V, self.mean_strip_weight()
        )

    def local_stress_MPa(self) -> float:
        """Stress that the remaining contact bears: stack pressure over contact, up to the limit."""
        return self.model.local_stress_MPa(self.count(tables.VACANT_L1))

    def sample(self) -> dict:
        """One row of `/samples`."""
        model, count = self.model, self.count
        n_L1 = model.lattice.sites_per_layer
        vacant, mg = count(tables.VACANT_L1), count(tables.MG_L1)
        strips = count(tables.STRIPS)
        contact = 1.0 - vacant / n_L1 if model.has_interface else np.nan
        charge_transfer_V, constriction_V = (
            self.charge_transfer_overpotential_V(),
            self.constriction_V(),
        )
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
            "overpotential_V": charge_transfer_V + constriction_V,
            "overpotential_charge_transfer_V": charge_transfer_V,
            "overpotential_constriction_V": constriction_V,
            "current_density_mA_cm2": self.current_density_mA_cm2(),
            "local_stress_MPa": self.local_stress_MPa(),
            "phase": int(self.resting),
            "energy_eV": self.energy_ueV / MICRO_eV,
            **{process.column_Mg: count(process.counter_Mg) for process in processes.WITH_MG},
            **self._hops_by_class(),
        }

    def _hops_by_class(self) -> dict[str, int]:
        """Columns of the hops of each class: all of them, and those that change the layer."""
        by_way = self.state.counters[tables.HOPS_BY_WAY : tables.EXCHANGES].reshape(
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
            self.model.kernel_lattice.kernel_site(site),
            rates,
        )
        return rates * self.channels.unit_Hz

    def kernel_sites(self, sites: np.ndarray) -> np.ndarray:
        """Numbers that sites of the lattice have in the kernels."""
        layer, column = np.divmod(sites, self.geometry.sites_per_layer)
        return column * self.geometry.height + self.geometry.walls + layer

    def lattice_sites(self, members: np.ndarray) -> np.ndarray:
        """The reverse of `kernel_sites`."""
        column, height = np.divmod(members, self.geometry.height)
        return (height - self.geometry.walls) * self.geometry.sites_per_layer + column

    def bin_members(self, which: str = "hops") -> dict[int, np.ndarray]:
        """Sites of every occupied bin in their present order; `which` is "hops" or "strips"."""
        bins, geometry = getattr(self.state, which), self.geometry
        members = {int(b): bins.members[b, : bins.count[b]] for b in np.flatnonzero(bins.count)}
        if which == "strips":
            return {b: (m & 1) * geometry.sites_per_layer + (m >> 1) for b, m in members.items()}
        return {b: self.lattice_sites(m) for b, m in members.items()}
