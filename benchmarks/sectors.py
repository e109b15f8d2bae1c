"""What domain decomposition could gain: events of one lattice by domain, sector and sector time.

The synchronous sublattice scheme (Shim and Amar, Phys. Rev. B 71, 125432 (2005),
doi:10.1103/PhysRevB.71.125432) cuts the box into domains, one for each core, and each domain into
sectors. In a turn every core follows one sector of its domain for the sector time, then all wait
for the slowest. Here the events of the loop as it is are counted the same way. Events over the sum
of the most events of a domain in each turn are the gain of cores that need no time to communicate:
a property of the run, not of the machine.
"""

from __future__ import annotations

import numpy as np
from common import arguments, show, write_json

from kmc.common.units import MICRO_eV
from kmc.kernels import tables
from kmc.model.lattice import Lattice
from kmc.model.model import Model
from kmc.model.parameters import load_parameters
from kmc.systems.electrode import benchmark
from kmc.systems.electrode.engine import Engine

CELLS = 256
DOMAINS = {2: (1, 2), 4: (2, 2), 16: (4, 4), 64: (8, 8)}  # cuts along x and y, by cores
EVENT_NS, BARRIER_NS = 450.0, 20.0  # an event; waiting for one another, of every core that waits
SECTOR_TIMES = (0.25, 1.0, 4.0, 16.0)  # over the mean time that the fastest hop takes
EVENTS = 1_000_000
HOPS_BEFORE = 200  # of every vacancy of the bulk
MONOLAYERS_BEFORE = 0.25  # that were stripped
RATIOS = (1e6, 1e7)  # hops per strip and site


def bulk(cells: int) -> Engine:
    """1 % vacancies in 64 layers of the metal of strip_li, at its barriers."""
    like = benchmark.strip_engine("strip_li_hops").model
    parameters = load_parameters("li_li2s")
    a = parameters.value("lattice_parameter_A")
    model = Model(
        Lattice("bcc_100", (cells, cells), 64, "periodic", a),
        parameters,
        temperature_K=like.temperature_K,
        saddle_floor_eV=like.floor_ueV / MICRO_eV,
    )
    rng = np.random.default_rng(1)
    occupancy = np.ones(model.lattice.n_sites, dtype=np.uint8)
    occupancy[rng.choice(occupancy.size, occupancy.size // 100, replace=False)] = tables.VACANCY
    engine = Engine(model, occupancy, rng)
    engine.advance(events=HOPS_BEFORE * engine.count(tables.VACANCIES))
    return engine


def stripped(cells: int, ratio: float) -> Engine:
    """strip_li in a larger box after a part of the first monolayer."""
    changes = {"system__size": [cells, cells, 24]}
    changes["acceleration__max_hops_per_strip_per_site"] = ratio
    engine = benchmark.strip_engine("strip_li_hops", **changes)
    engine.advance(strips=int(MONOLAYERS_BEFORE * engine.model.lattice.sites_per_layer))
    return engine


def events_of(engine: Engine) -> tuple[np.ndarray, np.ndarray]:
    """Place in plane as shares of the box, shape (2, n), and time in s of the next events."""
    lattice = engine.model.lattice
    logged = Engine(engine.model, engine.occupancy(), engine.rng, log_events=EVENTS)
    logged.advance(events=EVENTS)
    site = np.where(logged.log.site_to >= 0, logged.log.site_to, logged.log.site_from)
    cell = site % lattice.sites_per_layer // lattice.unit_cell.sites_per_layer_cell
    nx, ny = lattice.cells
    return np.array([cell % nx / nx, cell // nx / ny]), logged.log.time_s


def gain(places: np.ndarray, time_s: np.ndarray, sector_time_s: float, cuts: tuple) -> dict:
    """Events a turn, the most that the cores could gain, and less what waiting costs."""
    cores = cuts[0] * cuts[1]
    domain = sector = np.zeros(time_s.size, dtype=np.int64)
    sectors = 1
    for place, n in zip(places, cuts, strict=True):
        if n > 1:  # two sectors along this axis
            part = (place * 2 * n).astype(np.int64)
            domain, sector, sectors = domain * n + part // 2, sector * 2 + part % 2, sectors * 2
    turn = (time_s / sector_time_s).astype(np.int64) * sectors + sector
    turns = sectors * time_s[-1] / sector_time_s
    _, turn = np.unique(turn, return_inverse=True)
    events = np.bincount(turn * cores + domain, minlength=(turn.max() + 1) * cores)
    longest = events.reshape(-1, cores).max(axis=1).sum()
    waiting = turns * cores * BARRIER_NS / EVENT_NS  # as many events
    return {
        "events_per_turn": time_s.size / turns / cores,
        "gain": time_s.size / longest,
        "speed_up": time_s.size / (longest + waiting),
    }


def main() -> None:
    given = arguments(__doc__)
    cells = 64 if given.quick else CELLS
    cases = {"bulk, 1 %": lambda: bulk(cells)}
    for ratio in RATIOS[:1] if given.quick else RATIOS:
        cases[f"strip {ratio:.0e}"] = lambda ratio=ratio: stripped(cells, ratio)
    rows = []
    for name, make in cases.items():
        engine = make()
        fastest_Hz = engine.law.hop_rate.max() * engine.channels.unit_Hz
        places, time_s = events_of(engine)
        for share in SECTOR_TIMES:
            row = {"case": name, "sector_time": share, "vacancies": engine.count(tables.VACANCIES)}
            for cores, cuts in DOMAINS.items():
                found = gain(places, time_s, share / fastest_Hz, cuts)
                row |= {f"{key}_{cores}": value for key, value in found.items()}
            rows.append(row)
    headings = {"case": "case", "sector_time": "sector\ntime"}
    headings["events_per_turn_2"] = "events\na turn"
    headings |= {f"gain_{n}": f"most\n{n}" for n in DOMAINS}
    headings |= {f"speed_up_{n}": f"model\n{n}" for n in (2, 64)}
    show(f"Most that domains could gain, {cells} × {cells} cells", rows, headings)
    write_json(given.out, "sectors", rows)


if __name__ == "__main__":
    main()
