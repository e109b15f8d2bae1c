"""The same configuration twice: as an engine of kmc and as the oracle."""

from __future__ import annotations

import contextlib
import math
from collections import Counter
from dataclasses import dataclass, field

import naive
import numpy as np
from observed import logged, vacancy_rates_Hz

from kmc.common.units import unit_of
from kmc.model.interphase import Interphase
from kmc.model.lattice import Lattice
from kmc.model.model import Model
from kmc.model.parameters import ParameterSet, Quantity
from kmc.systems.electrode.engine import Engine

KINDS = {
    "hop": "hop",
    "strip": "strip",
    "absorption": "absorb",
    "emission": "emit",
    "closure": "close",
    "plate": "plate",
    "mg_exchange": "mix",
}


def parameter_set(values) -> ParameterSet:
    """A parameter set of kmc holding the oracle's numbers."""
    quantities = {
        key: Quantity(value=float(value), unit=unit_of(key), note="for a test", assumed=True)
        for key, value in values.items()
    }
    return ParameterSet(
        name="test",
        description="numbers of a test",
        species=("Li", "Mg") if "barrier_Mg_eV" in values else ("Li",),
        quantities=quantities,
    )


def random_occupancy(n_sites, rng, vacancies=0, magnesium=0) -> np.ndarray:
    """Li with so many vacancies and Mg at random places; counts, not fractions."""
    occupancy = np.full(n_sites, naive.LI, dtype=np.uint8)
    places = rng.permutation(n_sites)
    occupancy[places[:vacancies]] = naive.VACANCY
    occupancy[places[vacancies : vacancies + magnesium]] = naive.MG
    return occupancy


@dataclass(frozen=True)
class Setup:
    """One box at given conditions, for kmc and for the oracle.

    `floor_eV` is the saddle floor; `overrides` replace parameters of `values`. `chemistry` is that
    of every column, chemistry k > 0 taking its differences from ``others[k - 1]``.
    """

    lattice: str = "bcc_100"
    cells: tuple[int, int] = (4, 4)
    layers: int = 8
    boundary: str = "interface"
    values: dict = field(default_factory=lambda: naive.LI_LI2S, hash=False)
    overrides: dict = field(default_factory=dict, hash=False)
    temperature_K: float = 298.15
    current_density_mA_cm2: float = 0.0
    electrode_thickness_um: float = math.inf
    strip_weight_lambda: float = 0.5
    mg_fraction: float = 0.0
    dragged_mg: bool = False
    floor_eV: float | None = None
    box_resistance_share: float = 0.2
    lateral_supersaturation: float | None = None
    mg_exchange: bool = False
    supersaturation: float = 1.0  # that moves Mg
    stack_pressure_MPa: float = 0.0
    overpotential_V: float | None = None
    exchange: bool = False
    spares: bool = False
    conductive: tuple[int, ...] = ()  # sites of L1
    others: tuple[dict, ...] = field(default=(), hash=False)
    chemistry: tuple[int, ...] = ()
    bin_unit_Hz: float | None = None

    @property
    def all_values(self) -> dict:
        return {**self.values, **self.overrides}

    @property
    def n_sites(self) -> int:
        return self.kmc_lattice().n_sites  # a large `box` takes long to make

    @property
    def box(self) -> naive.NaiveLattice:
        a = self.all_values["lattice_parameter_A"]
        return naive.lattice(self.lattice, self.cells, self.layers, self.boundary, a)

    def kmc_lattice(self) -> Lattice:
        a = self.all_values["lattice_parameter_A"]
        return Lattice(self.lattice, self.cells, self.layers, self.boundary, a)

    def model(self) -> Model:
        return Model(
            lattice=self.kmc_lattice(),
            parameters=parameter_set(self.all_values),
            temperature_K=self.temperature_K,
            current_density_mA_cm2=self.current_density_mA_cm2,
            electrode_thickness_um=self.electrode_thickness_um,
            strip_weight_lambda=self.strip_weight_lambda,
            reservoir_mg_fraction=self.mg_fraction,
            dragged_mg=self.dragged_mg,
            saddle_floor_eV=self.floor_eV,
            box_resistance_share=self.box_resistance_share,
            lateral_supersaturation=self.lateral_supersaturation,
            mg_exchange=self.mg_exchange,
            stack_pressure_MPa=self.stack_pressure_MPa,
            overpotential_V=self.overpotential_V,
            exchange=self.exchange,
            interphase=self.interphase(),
            bin_unit_Hz=self.bin_unit_Hz,
        )

    def interphase(self) -> Interphase | None:
        if not self.chemistry:
            return None
        sets = [parameter_set(self.all_values | other) for other in ({}, *self.others)]
        return Interphase(np.array(self.chemistry), tuple(sets))

    def energies(self) -> naive.Energies | None:
        """Energies of the oracle where they do not follow from the values alone."""
        if not self.chemistry:
            return None
        return naive.with_chemistries(self.box, self.all_values, self.others, self.chemistry)

    def engine(self, occupancy, seed=0, *, log_events=0, alloy=None, model=None) -> Engine:
        engine = Engine(
            model or self.model(),
            occupancy,
            np.random.default_rng(seed),
            alloy=alloy,
            log_events=log_events,
        )
        engine.spares = self.spares
        if self.conductive:
            columns = np.arange(self.kmc_lattice().sites_per_layer)
            engine.conductive = np.isin(columns, self.conductive)
        return engine

    def conditions(self) -> naive.Conditions:
        return naive.Conditions(
            temperature_K=self.temperature_K,
            current_density_mA_cm2=self.current_density_mA_cm2,
            electrode_thickness_um=self.electrode_thickness_um,
            strip_weight_lambda=self.strip_weight_lambda,
            mg_fraction=self.mg_fraction,
            refill_mg_fraction=self.model().refill_mg_fraction if self.dragged_mg else None,
            saddle_floor_eV=self.floor_eV,
            box_resistance_share=self.box_resistance_share,
            lateral_supersaturation=self.lateral_supersaturation,
            mg_exchange_Hz=self.model().mg_exchange_rate_Hz * self.supersaturation,
            stack_pressure_MPa=self.stack_pressure_MPa,
            overpotential_V=self.overpotential_V,
            exchange=self.exchange,
            spares=self.spares,
            conductive=self.conductive,
        )

    def naive(self, occupancy, **arguments) -> naive.NaiveSimulation:
        return naive.NaiveSimulation(
            self.box,
            self.all_values,
            self.conditions(),
            occupancy,
            **{"energies": self.energies(), **arguments},
        )


class PairedEngines:
    """An engine and the oracle fed with the same random numbers, attempt by attempt.

    The oracle takes the order of first neighbours and of bin members from the engine: labels
    without meaning. Before it uses them it checks that they name the very sites it found itself.
    """

    def __init__(self, setup: Setup, occupancy, seed: int, *, attempts: int, alloy=None):
        self.engine = setup.engine(occupancy, seed, log_events=attempts, alloy=alloy)
        self.engine.set_mixing((setup.supersaturation, 0, 0.0))
        table = setup.kmc_lattice().neighbour_table(1)
        self.order: dict = {}
        self.mg = self.engine.mg_sites()
        self.oracle = setup.naive(
            occupancy,
            bounds=(self.engine.state.hops.bound * self.engine.model.unit_Hz).tolist(),
            weight_bounds=self.engine.state.strips.bound.tolist(),
            order=lambda b: self.order[b],
            weight_order=lambda b: self.engine.bin_members("strips")[b],
            plate_bounds=self.engine.state.plates.bound.tolist(),
            plate_order=lambda b: self.engine.bin_members("plates")[b],
            directions=lambda site: table[site],
            mg_order=(lambda: self.mg) if setup.mg_exchange else None,
        )
        self.rng = np.random.default_rng(seed)
        self.next_uniforms = self.rng.random(2)  # the engine draws them one attempt ahead
        self.attempts = 0
        self.logged = 0
        self.waited = 0  # ions that had to wait for a vacant site, and were plated

    def _plate_waiting(self):
        """An ion that waits is plated, as soon as it can be, before the attempt that follows."""
        event = self.oracle.plate_waiting(self.rng) if self._site_is_free() else None
        if event is None:
            return
        (found,) = self._news()
        assert found == tuple(event)[:4]
        self.oracle.apply(event)
        self.waited += 1

    def _site_is_free(self) -> bool:
        oracle = self.oracle
        if not (oracle.waiting and oracle.reached(oracle.plate_weights())):
            return False
        self.engine.advance(events=self.engine.events + 1)
        return True

    def _news(self) -> list[tuple]:
        """Events of the engine since the last call."""
        news = logged(self.engine)[self.logged :]
        self.logged += len(news)
        return [(KINDS[e.kind], e.site_from, e.site_to, e.species) for e in news]

    def attempt(self) -> naive.Event | None:
        """One attempt of both; they must agree on time and event. Returns the event."""
        self._plate_waiting()
        self.order = {b: members.copy() for b, members in self.engine.bin_members("hops").items()}
        self.mg = self.engine.mg_sites()
        self.attempts += 1
        self.engine.advance(attempts=self.attempts)
        exponential, uniforms = self.rng.standard_exponential(), self.next_uniforms
        self.next_uniforms = self.rng.random(2)
        dt, event = self.oracle.attempt(self.rng, exponential, uniforms)
        self.oracle.time_s += dt
        np.testing.assert_allclose(self.engine.time_s, self.oracle.time_s, rtol=1e-11)
        found = self._news()
        expected = [] if event is None else [tuple(event)[:4]]
        if event is not None and event.kind == "exchange":
            _, stripped, plated, species, _ = event
            expected = [("strip", stripped, -1, species), ("plate", -1, plated, species)]
        assert found == expected, f"attempt {self.attempts}: kmc {found}, oracle {expected}"
        if event is not None:
            self.oracle.apply(event)
        return event

    def follow(self, *, attempts=math.inf, events=math.inf, every=math.inf) -> Counter:
        """Both go on for so many attempts or events, or until none is left; compared in between.

        Returns how often each kind of event came; None: attempts without one.
        """
        kinds: Counter = Counter()
        with contextlib.suppress(naive.NoEvent):
            while kinds.total() < attempts and kinds.total() - kinds[None] < events:
                event = self.attempt()
                kinds[event and event.kind] += 1
                if self.attempts % every == 0:
                    self.compare_state()
        return kinds

    def compare_state(self, rates=True):
        """Occupancy, energy to the last µeV, rates of every vacancy, strip weights, η."""
        engine, oracle = self.engine, self.oracle
        np.testing.assert_array_equal(engine.occupancy(), oracle.occupancy)
        assert engine.energy_ueV == oracle.energy()
        assert hops(engine) == {name: oracle.hops[name] for name in hops(engine)}
        assert engine.rng.bit_generator.state == self.rng.bit_generator.state
        if rates:
            for vacancy in oracle.vacancies():
                np.testing.assert_allclose(
                    vacancy_rates_Hz(engine, vacancy), all_rates(oracle, vacancy), rtol=1e-11
                )
            reacts = oracle.plateable() if oracle.plating else oracle.electroactive()
            reacts = oracle.reached(reacts)
            if oracle.strip_rate > 0 and reacts:
                np.testing.assert_allclose(
                    engine.interface_overpotential_V(),
                    oracle.overpotential_V(),
                    rtol=1e-9,
                    atol=1e-14,
                )
                np.testing.assert_allclose(
                    engine.state.activity, [oracle.seen, oracle.expected], rtol=1e-5, atol=1e-9
                )


def hops(engine) -> dict[str, int]:
    """Columns of a sample that count hops by class, and by class and way."""
    return {name: n for name, n in engine.sample().items() if name.startswith("hops_")}


def all_rates(oracle, vacancy) -> np.ndarray:
    """The oracle's rates in the engine's form: 8 hops in neighbour order, absorption of Li, Mg."""
    rates = np.zeros(10)
    for k, atom in enumerate(oracle.directions(vacancy)):
        if atom >= 0:
            rates[k] = oracle.hop_rate(vacancy, int(atom))
    for species, rate in oracle.absorption_rates(vacancy):
        rates[7 + species] = rate
    return rates
