"""A configuration: occupied sites, counters and clock of a box, and what follows from them."""

from functools import cached_property

import numpy as np

from kmc.common.units import A_per_nm, MICRO_eV
from kmc.files.schema import HOP_CLASSES, HOP_WAYS
from kmc.kernels import connection, loop, rates, tables
from kmc.model import electrochemistry, processes, rate_tables
from kmc.model.connectivity import Collector
from kmc.model.constriction import Rim, Spreading
from kmc.model.model import Model

_TERMS = ("", "_concentration", "_charge_transfer", "_constriction", "_series", "_sites")
_MEMORY_AT_REST = 100.0  # observations after which the past is forgotten
_OVERPOTENTIALS = tuple(f"overpotential{term}_V" for term in _TERMS)


class Configuration:
    """The state of the kernels at one moment, and the quantities of a sample.

    `occupancy` is uint8 of shape (n_sites,): 0 vacancy, 1 Li, 2 Mg; `alloy` is whether there are
    tables for Mg.
    """

    def __init__(self, model: Model, occupancy: np.ndarray, alloy: bool):
        self.model = model
        self.law = rate_tables.law(model, alloy)
        self.geometry = self._geometry_of(model)
        self.drive = model.drive  # of this moment; `Engine.set_drive` changes it
        self.interface_V = model.overpotential_V  # held at the interface, where a voltage is held
        self.conductive: np.ndarray | None = None  # columns above a scaffold (`Collector`)
        self.spares = False  # whether connected metal alone is stripped and plated on
        self.void_surfaces = False  # whether ions also reach the metal around open voids
        self.place = (0, 0)  # step and cycle of a protocol, for the samples
        self.resting = False
        self.scratch = self._work_space()
        self.state = rate_tables.new_state(model, occupancy, alloy)

    def count(self, counter: int) -> int:
        """Value of a counter of `kernels.tables`."""
        return int(self.state.counters[counter])

    @property
    def events(self) -> int:
        return self.count(tables.EVENTS)

    @property
    def time_s(self) -> float:
        return float(self.state.clock[tables.TIME])

    @property
    def vacancy_time_s(self) -> float:
        """Time integral of the number of vacancies, up to now."""
        clock = self.state.clock
        # The loop adds up at attempts alone; a sample can stand between two of them.
        since = clock[tables.TIME] - clock[tables.ATTEMPT_TIME]
        return float(clock[tables.VACANCY_TIME] + since * self.count(tables.VACANCIES))

    @property
    def strip_is_due(self) -> bool:
        """Whether the next event is a strip or plate that `before_strip` put off."""
        return bool(self.state.clock[tables.STRIP_DUE] not in (0.0, tables.WAITING))

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

    def _geometry_of(self, model: Model) -> tables.Geometry:
        """Tables of neighbours; pairs of Mg and Li matter to an alloy alone."""
        geometry = model.kernel_lattice.geometry()
        if model.at_equilibrium:
            geometry = geometry._replace(**tables.NO_HOPS_OF_GEOMETRY)
        return geometry._replace(pairs=geometry.pairs and isinstance(self.law, tables.TwoSpecies))

    def _work_space(self) -> tables.Scratch | tables.WithoutHops:
        near = np.empty((3, tables.N_NEAR), dtype=np.int64)
        if self.model.at_equilibrium:
            return tables.WithoutHops(near)
        return tables.Scratch(
            near=near,
            steps=np.empty(self.geometry.around.shape[-1], dtype=np.int32),
            touched=np.empty(256, dtype=np.int64),
            bins=np.empty(256, dtype=np.int64),
            rates=np.zeros((tables.N_KEPT, tables.N_FIRST + 2)),
            owner=np.full(tables.N_KEPT, -1, dtype=np.int64),
        )

    @cached_property
    def _searches(self) -> connection.Connection:
        return connection_of(self.model, self.collector, self.void_surfaces)

    @property
    def _net(self) -> connection.Connection | None:
        return self._searches if self.spares else None

    def _sums_of_weights(self) -> tuple[float, float]:
        return loop.sums_of_weights(self.geometry, self.law, self.state, self.scratch, self._net)

    def exchange_rates_Hz(self) -> tuple[float, float]:
        """Rates of oxidation and of reduction of the whole box at η = 0, site by site, 1/s.

        Where dead lithium is spared, of what the current reaches.
        """
        strips, plates = self._sums_of_weights()
        # η = 0 leaves the bare exchange rates: what a voltage does to them is one factor each.
        per_strip, per_plate = self.model.charge_transfer_rates_Hz(0.0)
        return strips * per_strip, plates * per_plate

    def vacancy_activity(self) -> float:
        """Isolated vacancies in L1 and L2 over those of equilibrium, in the recent past.

        Where the metal is in equilibrium at vacancy activity S, a site among atoms is vacant
        S exp(−(B − B_k)/kT) times as often as it holds Li. Both numbers are summed over the strips
        of the last 0.1 monolayers, or the last 100 where these are more (with exponential
        forgetting); while a given current plates, over the ions since the row before; at rest, over
        the last 100 moments at which they are counted, 30 a row. NaN where ions pushed the metal
        up since then.
        """
        return float(electrochemistry.vacancy_activity(*self.state.activity))

    def observe_at_rest(self) -> None:
        """Add the isolated vacancies of this moment to those of the recent past.

        Without a current no strip observes them. The order of the bins stays as it is.
        """
        layers = self.model.kernel_lattice.by_layer(self.state.site_state)[:2]
        states, times = np.unique(np.concatenate(layers) & ~tables.DIRTY, return_counts=True)
        now = np.zeros(2)
        for packed, number in zip(states.tolist(), times.tolist(), strict=True):
            if packed & tables.MASK_VACANCIES:
                continue
            species = packed >> tables.SPECIES_SHIFT & 3
            if species == tables.VACANCY:
                now[tables.SEEN] += number
            elif species == tables.LI:
                each = int(rates.expected_vacancies(self.law, packed))
                now[tables.EXPECTED] += number * each * tables.EXPECTED_UNIT
        self.state.activity[:] = self.state.activity * (1.0 - 1.0 / _MEMORY_AT_REST) + now

    def contact(self) -> np.ndarray:
        """Which sites of L1 hold metal, bool of shape (sites_per_layer,)."""
        # Out of the states of the loop: the occupancy of the whole box would be built for one
        # layer.
        site_state = self.model.kernel_lattice.by_layer(self.state.site_state)[0]
        return (site_state >> tables.SPECIES_SHIFT) & 3 != tables.VACANCY

    def contact_fraction(self) -> float:
        """Share of L1 that holds metal; NaN without interface."""
        if not self.model.has_interface:
            return float("nan")
        return 1.0 - self.count(tables.VACANT_L1) / self.model.lattice.sites_per_layer

    def local_stress_MPa(self) -> float:
        """Stress that the remaining contact bears: stack pressure over contact, up to the limit."""
        return self.model.local_stress_MPa(self.count(tables.VACANT_L1), self.drive)

    @cached_property
    def _spreading(self) -> Spreading:
        return Spreading(self.model.lattice)

    def spreading_resistance_ohm_cm2(self) -> float:
        """Resistance of the electrolyte to the crowding of the current onto the contact left.

        0 for a parameter set that says nothing of the electrolyte's conductivity.
        """
        conductivity = self.model.conductivity_mS_cm
        if conductivity is None:
            return 0.0
        # A resistance per area grows with the size of the pattern: a cell's contacts are
        # micrometres apart, those of the box nanometres.
        length_A = self._spreading.length_A(self.contact()) * self.model.pattern_scale
        return electrochemistry.spreading_resistance_ohm_cm2(length_A, conductivity)

    @cached_property
    def _rim(self) -> Rim:
        return Rim(self.model.lattice)

    def rim_per_A(self) -> float:
        """Length of the rims of the contact per area of the box, 1/Å."""
        return self._rim.length_per_area_per_A(self.contact())

    @cached_property
    def collector(self) -> Collector:
        """Finds the metal that is not connected."""
        return Collector(self.model.lattice, self.conductive)

    def _current_density_mA_cm2(self, rate_Hz: float) -> float:
        """Current density of so many atoms a second from the whole box."""
        model = self.model
        return rate_Hz / electrochemistry.strip_rate_Hz(
            1.0, model.lattice.area_A2, model.parameters.valence
        )

    def current_density_mA_cm2(self) -> float:
        """Current density of this moment: the one given, or what the voltage held drives."""
        if self.resting:
            return 0.0
        if self.interface_V is None:
            return self.drive.current_density_mA_cm2
        # What the sites of this moment pass at the voltage held: the current is a result.
        oxidation, reduction = self.exchange_rates_Hz()
        forward, backward = electrochemistry.charge_transfer_factors(
            self.interface_V, self.model.thermal_V, self.model.alpha
        )
        return self._current_density_mA_cm2(oxidation * forward - reduction * backward)

    def interface_overpotential_V(self) -> float:
        """η at which the sites of this moment pass the current: Σ (r_ox − r_red) = j A/(ze)."""
        model = self.model
        if self.resting or not model.has_interface:
            return 0.0
        if self.interface_V is not None:
            return self.interface_V
        per_site_Hz = model.rate_per_site_Hz(self.drive.current_density_mA_cm2)
        return electrochemistry.net_rate_overpotential_V(
            per_site_Hz * model.lattice.sites_per_layer,
            *self.exchange_rates_Hz(),
            model.thermal_V,
            model.alpha,
        )

    def overpotentials(self) -> dict[str, float]:
        """Columns of a sample: the overpotential and its terms, V.

        The terms are those of an area of which a share is in contact. At a held voltage charge
        transfer is what the other terms leave of it; at rest the vacancies left in the metal are
        all there is.
        """
        model = self.model
        if not model.has_interface:
            return dict.fromkeys(_OVERPOTENTIALS, 0.0)
        concentration = electrochemistry.concentration_overpotential_V(
            self.vacancy_activity(), model.thermal_V
        )
        if not self.drive.flows:
            values = (concentration, concentration, 0.0, 0.0, 0.0, 0.0)
            return dict(zip(_OVERPOTENTIALS, values, strict=True))
        current = self.current_density_mA_cm2()
        contact = self.contact_fraction()
        resistance = self.spreading_resistance_ohm_cm2()
        constriction = electrochemistry.drop_V(current, resistance)
        series = electrochemistry.drop_V(current, model.series_resistance_ohm_cm2)
        sites = self.interface_overpotential_V()  # inf where nothing is left to oxidise
        if self.drive.overpotential_V is not None:
            total = self.drive.overpotential_V
            # The voltage is the sum: what the other terms leave is what drives charge transfer.
            charge_transfer = total - concentration - constriction - series
        else:
            charge_transfer = electrochemistry.charge_transfer_overpotential_V(
                current,
                model.exchange_current_density_mA_cm2,
                model.effective_area(contact, self.rim_per_A()) if sites < np.inf else 0.0,
                model.thermal_V,
                model.alpha,
            )
            total = concentration + charge_transfer + constriction + series
        values = (total, concentration, charge_transfer, constriction, series, sites)
        return dict(zip(_OVERPOTENTIALS, values, strict=True))

    def sample(self) -> dict:
        """One row of `/samples`."""
        model, count = self.model, self.count
        n_L1 = model.lattice.sites_per_layer
        mg = count(tables.MG_L1)
        # Hops of each class: all of them, and by way those that change the layer.
        by_way = self.state.counters[tables.HOPS_BY_WAY : tables.HOPS_END]
        hops: dict[str, int] = {}
        for name, numbers in zip(
            HOP_CLASSES.values(), by_way.reshape(tables.N_KINDS, -1).tolist(), strict=True
        ):
            ways = zip(HOP_WAYS, numbers[tables.FIRST_WAY :], strict=True)
            hops |= {name: sum(numbers), **{f"{name}_{way}": number for way, number in ways}}
        # Of what the terms of the overpotential follow from; nothing passes without an interface.
        there, activity = model.has_interface, self.state.activity
        seen = {
            "vacancy_activity": self.vacancy_activity() if there else 1.0,
            "vacancies_seen": float(activity[tables.SEEN]) if there else 0.0,
            "vacancies_expected": float(activity[tables.EXPECTED]) if there else 0.0,
            "strip_weight": self._sums_of_weights()[0] / n_L1 if there else np.nan,
            "rim_per_nm": self.rim_per_A() * A_per_nm if there else np.nan,
            "dead_Li": self.collector.dead_li(self.occupancy()) if there else 0,
        }
        strips, contact = self.net_strips, self.contact_fraction()
        return {
            "events": count(tables.EVENTS),
            **{process.column: count(process.counter) for process in processes.PROCESSES},
            "vacancies": count(tables.VACANCIES),
            "vacancy_time_s": self.vacancy_time_s,
            "time_s": self.time_s,
            "capacity_mAh_cm2": electrochemistry.capacity_mAh_cm2(
                strips, model.lattice.area_A2, model.parameters.valence
            ),
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
            **hops,
            **seen,
        }


def connection_of(
    model: Model, collector: Collector, void_surfaces: bool = False
) -> connection.Connection:
    """By what the event loop of a box with an interface finds connected metal."""
    lattice, conductive = model.lattice, collector.conductive
    n_sites = lattice.sites_per_layer * model.kernel_lattice.height
    return connection.Connection(
        spares=True,
        conductive=np.zeros(0, dtype=np.bool_) if conductive is None else conductive,
        top=collector.first_beside_top // lattice.sites_per_layer,
        void_surfaces=void_surfaces,
        seen=np.zeros(n_sites, dtype=np.int64),
        search=np.zeros(1, dtype=np.int64),
        stack=np.zeros(n_sites, dtype=np.int32),
        listed=np.zeros(n_sites, dtype=np.int32),
        weights=np.zeros(n_sites),
    )
