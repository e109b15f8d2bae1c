"""Cost of an event: the cases of `kmc bench`, and functions for the scripts in benchmarks/.

Bulk cases are the plain lattice gas at kT = E0/2 = pair_bond/2, half the bond energy: random
vacancies that cluster during the run.
"""

import statistics
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np
from numba import njit

from kmc.common.units import K_B_eV
from kmc.kernels import tables
from kmc.model.lattice import Lattice
from kmc.model.model import Model
from kmc.model.parameters import load_parameters
from kmc.runfile.load import load_run
from kmc.systems.electrode.engine import Engine
from kmc.systems.electrode.run import ElectrodeJob

REPEATS = 5
_BOND_eV = 0.1
_CELLS = 40
_LAYERS = 80  # 128 000 sites


@dataclass(frozen=True)
class CaseCost:
    """Cost of one case on one core, after compilation."""

    name: str
    ns_per_event: float  # median over the repeats
    ns_lowest: float
    ns_highest: float
    events: int
    sites: int
    vacancies: int
    attempts_per_event: float  # draws, and vacancies whose rates were recomputed: on any machine
    refreshes_per_event: float


def bulk_engine(
    cells: int,
    layers: int,
    vacancies: int,
    *,
    pair_bond_eV: float = _BOND_eV,
    seed: int = 1,
) -> Engine:
    """Periodic bcc lattice gas with randomly placed vacancies at kT = E0/2."""
    parameters = load_parameters("lattice_gas", {"pair_bond_eV": pair_bond_eV})
    a = parameters.value("lattice_parameter_A")
    lattice = Lattice("bcc_100", (cells, cells), layers, "periodic", a)
    kT_eV = parameters.value("barrier_Li_eV") / 2
    model = Model(lattice, parameters, temperature_K=kT_eV / K_B_eV)
    rng = np.random.default_rng(seed)
    occupancy = np.ones(lattice.n_sites, dtype=np.uint8)
    occupancy[rng.choice(lattice.n_sites, vacancies, replace=False)] = 0
    return Engine(model, occupancy, rng)


def strip_engine(name: str, seed: int = 1, **overrides: Any) -> Engine:
    """The engine of a shipped run; override keys are written ``section__key``."""
    changes = {key.replace("__", "."): value for key, value in overrides.items()}
    return ElectrodeJob(load_run(name, {**changes, "random.seed": seed})).engine


def late_strip_engine(seed: int) -> Engine:
    """That of strip_li_hops after 0.2 monolayers: voids make an event cost more."""
    engine = strip_engine("strip_li_hops", seed)
    engine.advance(strips=round(0.2 * engine.model.lattice.sites_per_layer))
    return engine


def measure(
    name: str, make: Callable[[int], Engine], events: int, repeats: int = REPEATS
) -> CaseCost:
    """Time `events` events, repeated with different seeds, of the engines that `make` gives."""
    make(0).advance(events=10)  # compiles the loop
    counted = np.array([tables.EVENTS, tables.ATTEMPTS, tables.REFRESHES])
    costs: list[float] = []
    engine: Engine | None = None
    for seed in range(1, repeats + 1):
        engine = None  # frees the previous box: two of 16 million sites may not fit
        engine = make(seed)
        before = engine.state.counters[counted]
        start = time.perf_counter()
        engine.advance(events=int(before[0]) + events)
        took_s = time.perf_counter() - start
        done, attempts, refreshes = (engine.state.counters[counted] - before).tolist()
        costs.append(took_s / max(1, done) * 1e9)
    assert engine is not None
    return CaseCost(
        name=name,
        # Other processes slow some repeats, and none speeds one up; a mean would follow them.
        ns_per_event=statistics.median(costs),
        ns_lowest=min(costs),
        ns_highest=max(costs),
        events=done,
        sites=engine.model.lattice.n_sites,
        vacancies=engine.count(tables.VACANCIES),
        attempts_per_event=attempts / max(1, done),
        refreshes_per_event=refreshes / max(1, done),
    )


def _bulk(*box: int, **settings: float) -> Callable[[int], Engine]:
    return lambda seed: bulk_engine(*box, **settings, seed=seed)  # type: ignore[arg-type]


_SHIPPED = "the shipped run (strip_li_hops, strip_limg), from its start"
# What it is, its engine for a seed, events.
CASES: dict[str, tuple[str, Callable[[int], Engine], int]] = {
    name: (text, make, 1_000_000)
    for name, text, make in (
        ("bulk_dilute", "bulk, 128 000 sites, 12 vacancies", _bulk(_CELLS, _LAYERS, 12)),
        ("bulk_1pct", "bulk, 128 000 sites, 1 % vacancies", _bulk(_CELLS, _LAYERS, 1280)),
        ("bulk_5pct", "bulk, 128 000 sites, 5 % vacancies", _bulk(_CELLS, _LAYERS, 6400)),
        (
            "bulk_free",
            "the same as bulk_1pct without bonds",
            _bulk(_CELLS, _LAYERS, 1280, pair_bond_eV=0.0),
        ),
        ("bulk_1pct_1M", "bulk, 1 000 000 sites, 1 % vacancies", _bulk(100, 100, 10_000)),
        ("strip_li", _SHIPPED, partial(strip_engine, "strip_li_hops")),
        ("strip_li_late", "the same after 0.2 monolayers", late_strip_engine),
        ("strip_limg", _SHIPPED, partial(strip_engine, "strip_limg")),
    )
}


def run_cases(names: Iterable[str] | None = None, events: int | None = None) -> Iterator[CaseCost]:
    """Measure cases by name (default: all) one after the other; `events` replaces their length."""
    for name in names or CASES:
        _, make, n = CASES[name]
        yield measure(name, make, n if events is None else events)


@njit(nogil=True)
def yardstick_loop(table, n):
    """n steps of the yardstick: a multiplication and a read from a random place of the table."""
    x, total = 1, 0
    for _ in range(n):
        x = (x * 6364136223846793005 + 1442695040888963407) & 0x7FFFFFFFFFFFFFFF
        total += table[(x >> 20) % table.size]
    return total


def yardstick_ns() -> float:
    """Nanoseconds of a step of a fixed loop: one multiplication, one random read from 8 MB.

    Costs per event divided by this number compare between machines.
    """
    # Larger than the fast caches: the event loop waits for memory, not for arithmetic.
    table = np.ones(1 << 20, dtype=np.int64)
    yardstick_loop(table, 10)
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        yardstick_loop(table, 2_000_000)
        times.append((time.perf_counter() - start) / 2_000_000 * 1e9)
    return statistics.median(times)


def as_json(results: list[CaseCost], yardstick: float) -> dict:
    """Results as plain data: ``{"yardstick_ns": …, "cases": {name: {ns_per_event, …}}}``."""
    cases = {}
    for result in results:
        row = asdict(result)
        cases[row.pop("name")] = row
    return {"yardstick_ns": yardstick, "cases": cases}
