"""How often hops come back to where the box was: the most that a superbasin method could save.

A superbasin method replaces hops among known states by the exact time and place of leaving them
(an absorbing Markov chain). It has to work out the rates of each state once, which costs about what
an event of the plain loop costs. So it cannot win more than the number of hops per new state. That
number is counted here in logs of the shipped run strip_li_hops at several ratios, if a state is

pair         where an atom is that crosses one bond to and fro
walk         where one vacancy, or one atom, is, however far it walks (the longer walk counts)
patch        what is vacant in 8 × 8 cells, as if nothing outside mattered

Pairs and walks last until something else happens within reach of the rates of their states. `lone`
is the share of hops of vacancies with no other vacancy near, the ones that first-passage
propagation through empty surroundings could take over, and `no ΔE` that of hops between states of
the same energy, of which neither is the one to come back to.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from common import arguments, draw, show, write_json

from kmc.kernels import tables
from kmc.model import processes
from kmc.model.lattice import Lattice
from kmc.systems.electrode import benchmark
from kmc.systems.electrode.engine import Engine

RATIOS = (1e5, 1e6, 1e7, 1e8)
MONOLAYERS = 0.5
REACH = 2.9  # lattice parameters: what happens farther away changes no rate
PATCH = 8  # cells


class Walk(NamedTuple):
    """Numbers of the hops of one vacancy or atom, and the sites it was on."""

    hops: list[int]
    sites: set[int]


class Event(NamedTuple):
    """One event of the log of an engine."""

    kind: str
    site_from: int
    site_to: int


def logged(engine: Engine) -> list[Event]:
    """The events that an engine has logged."""
    log, n = engine.log, engine.count(tables.LOGGED)
    columns = (log.kind[:n].tolist(), log.site_from[:n].tolist(), log.site_to[:n].tolist())
    return [Event(processes.KINDS[kind], *sites) for kind, *sites in zip(*columns, strict=True)]


def ends_of(event: Event) -> list[int]:
    """The sites that an event changes."""
    return [site for site in (event.site_from, event.site_to) if site >= 0]


def walks(events: list[Event], lattice: Lattice, *, vacancies: bool, most: int) -> Iterable[Walk]:
    """Undisturbed walks of vacancies or atoms over `most` sites at most, as they end."""
    going: dict[int, Walk] = {}  # by the present site of the walker
    for number, event in enumerate(events):
        ends = ends_of(event)
        start, end = (ends[-1], ends[0]) if vacancies else (ends[0], ends[-1])
        own = going.pop(start, None) if event.kind == "hop" else None
        for place, walk in list(going.items()):
            sites = np.fromiter(walk.sites, np.int64)
            nearest_A = min(lattice.distance_A(sites, site).min() for site in ends)
            if nearest_A <= REACH * lattice.lattice_parameter_A:
                yield going.pop(place)
        if event.kind == "hop":
            if own and end not in own.sites and len(own.sites) == most:
                yield own
                own = None
            own = own or Walk([], {start})
            own.hops.append(number)
            own.sites.add(end)
            going[end] = own
    yield from going.values()


def hops_per_place(events: list[Event], lattice: Lattice, most: int) -> float:
    """Hops per new place of a walker: of the vacancy or the atom, whichever walks longer."""
    length, new = np.zeros(len(events)), np.ones(len(events))
    for vacancies in (True, False):
        for walk in walks(events, lattice, vacancies=vacancies, most=most):
            hops = np.array(walk.hops)
            hops = hops[length[hops] < len(walk.hops)]
            length[hops] = len(walk.hops)
            new[hops] = (len(walk.sites) - 1) / len(walk.hops)
    return 1 / float(new.mean())


def hops_per_patch_state(events: list[Event], lattice: Lattice) -> float:
    """Hops per state of a patch that had not been there before."""
    rng = np.random.default_rng(1)
    code = rng.integers(1, 2**62, lattice.n_sites)  # a state is the XOR of the sites that changed
    cells = np.floor(
        lattice.positions_A[:, :2] / (PATCH * lattice.lattice_parameter_A) + 1e-9
    ).astype(int)
    patch = cells[:, 0] * (cells[:, 1].max() + 1) + cells[:, 1]
    state = np.zeros(patch.max() + 1, dtype=np.int64)
    seen: list[set[int]] = [set() for _ in state]
    for event in events:
        ends = ends_of(event)
        for site in ends:
            state[patch[site]] ^= code[site]
        for number in {patch[site] for site in ends}:
            seen[number].add(int(state[number]))
    return len(events) / sum(map(len, seen))


def lone_share(events: list[Event], lattice: Lattice, occupancy: np.ndarray) -> float:
    """Share of hops before and after which no other vacancy is first or second neighbour."""
    near = np.concatenate([lattice.neighbour_table(1), lattice.neighbour_table(2)], axis=1)
    vacant, lone, hops = occupancy == tables.VACANCY, 0, 0

    def beside(site: int) -> int:
        neighbours = near[site]
        return int(vacant[neighbours[neighbours >= 0]].sum())

    for event in events:
        if event.kind == "hop":
            hops += 1
            lone += beside(event.site_to) == 0 and beside(event.site_from) == 1
        for site, is_vacant in ((event.site_to, False), (event.site_from, True)):
            if site >= 0:
                vacant[site] = is_vacant
    return lone / hops


def study(ratio: float, cells: int, n_events: int) -> dict[str, float]:
    """One ratio: the run up to MONOLAYERS, then a log of some more events."""
    run = benchmark.strip_engine(
        "strip_li_hops",
        system__size=[cells, cells, 24],
        acceleration__max_hops_per_strip_per_site=ratio,
    )
    lattice = run.model.lattice
    run.advance(strips=int(MONOLAYERS * lattice.sites_per_layer))
    occupancy = run.occupancy()
    engine = Engine(run.model, occupancy, np.random.default_rng(1), log_events=n_events)
    flat, before = 0, engine.energy_ueV
    for number in range(1, n_events + 1):
        engine.advance(events=number)
        flat += engine.energy_ueV == before
        before = engine.energy_ueV
    events = logged(engine)
    return {
        "ratio": ratio,
        "hops_per_strip": run.count(tables.HOPS) / run.count(tables.STRIPS),
        "vacancies": run.count(tables.VACANCIES),
        "flat": flat / n_events,
        "lone": lone_share(events, lattice, occupancy),
        "pair": hops_per_place(events, lattice, 2),
        "walk": hops_per_place(events, lattice, lattice.n_sites),
        "patch": hops_per_patch_state(events, lattice),
    }


def main() -> None:
    given = arguments(__doc__)
    cells, n_events = (24, 5_000) if given.quick else (32, 60_000)
    rows = []
    for ratio in RATIOS[:2] if given.quick else RATIOS:
        rows.append(study(ratio, cells, n_events))
        print(f"ratio {ratio:.0e} done", flush=True)
    headings = {
        "ratio": "ratio",
        "hops_per_strip": "hops/\nstrip",
        "vacancies": "vacant",
        "flat": "no\nΔE",
        "lone": "lone\nhops",
        "pair": "hops/\npair",
        "walk": "hops/\nplace",
        "patch": "hops/state\nof a patch",
    }
    show(f"strip_li, {cells} × {cells} cells, after {MONOLAYERS} monolayers", rows, headings)
    write_json(given.out, "revisits", rows, events=n_events, cells=cells)
    ratios = [row["ratio"] for row in rows]
    names = {"pair": "pair", "walk": "walk", "patch": "patch of 8 × 8 cells"}
    curves = {label: (ratios, [row[key] for row in rows]) for key, label in names.items()}
    draw(given.out, "revisits", curves, "max_hops_per_strip_per_site", "hops per new state", 1)


if __name__ == "__main__":
    main()
