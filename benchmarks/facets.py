"""Shapes of one void that facets hold: which is stable, by parallel tempering from two starts.

A void that grows by single vacancies becomes a pyramid of (110), a compact start stays round, and
neither changes into the other at T for as long as a chain can last (docs/model/equilibrium.md). One
ladder of temperatures from T to twice T is run from each of the two starts at the same number of
vacancies; each step is a stretch of flips at every temperature, then swaps of neighbouring ones
(Swendsen and Wang, 10.1103/PhysRevLett.57.2607; Earl and Deem, 10.1039/b509983h). Where both
ladders give the same means at T, that is equilibrium.

Printed for each start and temperature: energy, contact and S with the standard error over ten
blocks, the first fifth left out, and how often a replica came from the hottest to T. Then what
either ladder ends with at T is heated, beside a compact void, until its energy is that of the
compact one: it has melted, so that there the compact one is at least as stable, and
∫ (E_compact − E) dβ from there to T is the most, in kT, by which it can be the stabler one at T.

    python benchmarks/facets.py --steps 300 --state facets.npz    # goes on from its state

What it gave is in docs/model/equilibrium.md.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from common import arguments, write_json

from kmc.kernels import equilibrium as kernel
from kmc.kernels.tables import LI, VACANCY
from kmc.model.equilibrium import HOTTEST, VacancyEquilibrium
from kmc.model.hamiltonian import calibrate
from kmc.model.lattice import Lattice
from kmc.model.parameters import load_parameters

STARTS = ("round", "grown")
CELLS, LAYERS = (40, 40), 24
PAIRS = 20_000  # of flips at each temperature between two swaps
PAIRS_PER_VACANCY = 243  # of a void that grows as in a run
BLOCKS, FORGOTTEN = 10, 0.2
HEATED_PAIRS = 1_200_000  # at each temperature
ALIKE_eV = 0.1  # difference of two energies that are the same but for sampling


def box_of(occupancy: np.ndarray, kelvin: float) -> VacancyEquilibrium:
    values = load_parameters("li_li2s")
    lattice = Lattice("bcc_100", CELLS, LAYERS, "interface", values.value("lattice_parameter_A"))
    if len(occupancy) == 0:
        occupancy = np.full(lattice.n_sites, LI)
    kT_ueV = 1e6 * 8.617333262145e-5 * kelvin
    return VacancyEquilibrium(lattice, [calibrate(values, lattice)], kT_ueV, occupancy)


def compact(n: int) -> np.ndarray:
    """The n sites nearest to the foot of a cap on the interface, vacant."""
    box = box_of(np.zeros(0), 298.15)
    x, y, z = box.lattice.positions_A.T
    half = box.lattice.box_A / 2
    squared = (x - half[0]) ** 2 + (y - half[1]) ** 2 + ((z - z.min()) / 0.76) ** 2
    occupancy = box.occupancy
    occupancy[np.argsort(squared, kind="stable")[:n]] = VACANCY
    return occupancy


def grown(n: int, kelvin: float, rng: np.random.Generator) -> np.ndarray:
    """One vacancy after the other, as in a run without annealing, from a compact void of 200."""
    box = box_of(compact(200), kelvin)
    n_L1 = box.lattice.sites_per_layer
    while box.vacancies < n:
        weights = np.exp(-box.formation_ueV[:n_L1] / (2 * 1e6 * 8.617333262145e-5 * kelvin))
        weights *= box.occupancy[:n_L1] == LI
        box.flip(int(np.searchsorted(np.cumsum(weights), rng.random() * weights.sum())))
        box.equilibrate(PAIRS_PER_VACANCY, rng)
    return box.occupancy


class Ladder:
    """Replicas of one start at a ladder of temperatures."""

    def __init__(self, occupancies: np.ndarray, kelvin: np.ndarray, rng: np.random.Generator):
        self.boxes = [box_of(o, k) for o, k in zip(occupancies, kelvin, strict=True)]
        self.halves = [box.box.half for box in self.boxes]
        self.betas = 2.0 * np.array(self.halves)  # in 1/µeV
        self.rng = rng
        self.was_hot = np.zeros(len(kelvin), dtype=bool)  # since it was last at T
        self.was_hot[-1] = True
        self.trips = self.tried = self.swapped = 0

    def step(self) -> np.ndarray:
        """Energy in eV, contact, ln S and the trips so far; shape (temperatures, 4)."""
        rows = [box.equilibrate(PAIRS, self.rng) for box in self.boxes]
        means = [(r.energy_ueV * 1e-6, r.contact_fraction, np.log(r.S), self.trips) for r in rows]
        for i in range(len(self.boxes) - 1):
            self._swap(i)
        return np.array(means)

    def _swap(self, i: int) -> None:
        a, b = self.boxes[i : i + 2]
        energies = [float(box.chain.numbers[kernel.ENERGY]) for box in (a, b)]
        ln_chance = (self.betas[i] - self.betas[i + 1]) * (energies[0] - energies[1])
        self.tried += 1
        if self.rng.random() >= np.exp(min(0.0, ln_chance)):
            return
        self.swapped += 1
        self.boxes[i : i + 2] = b, a
        self.was_hot[[i, i + 1]] = self.was_hot[[i + 1, i]]
        for place in (i, i + 1):
            box = self.boxes[place]
            box.box = box.box._replace(half=self.halves[place])
            kernel.refresh(box.box, box.chain)
        self.was_hot[-1] = True
        if self.was_hot[0]:
            self.trips += 1
            self.was_hot[0] = False


def mean_and_error(series: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard error over blocks, along the first axis."""
    kept = series[int(FORGOTTEN * len(series)) :]
    blocks = np.array([part.mean(axis=0) for part in np.array_split(kept, BLOCKS)])
    return blocks.mean(axis=0), blocks.std(axis=0, ddof=1) / np.sqrt(BLOCKS)


def report(series: dict[str, np.ndarray], kelvin: np.ndarray) -> list[dict[str, object]]:
    """Print means of both ladders, and return them as rows."""
    rows: list[dict[str, object]] = []
    table = {start: mean_and_error(rows) for start, rows in series.items()}
    print("T/T0   " + "".join(f"{s:>7}: E, eV          contact          S    " for s in STARTS))
    for k, ratio in enumerate(kelvin / kelvin[0]):
        line = f"{ratio:5.3f}"
        for start in STARTS:
            (energy, contact, ln_S, _), error = (part[k] for part in table[start])
            line += f"  {energy:9.3f} ± {error[0]:.3f}  {contact:.4f} ± {error[1]:.4f}"
            line += f"  {np.exp(ln_S):6.3f} ± {np.exp(ln_S) * error[2]:.3f}"
            means = {"energy_eV": float(energy), "contact_fraction": float(contact)}
            means["vacancy_activity"] = float(np.exp(ln_S))
            rows.append({"start": start, "temperature_K": float(kelvin[k])} | means)
        print(line)
    return rows


def heated(occupancy: np.ndarray, kelvin: np.ndarray, rng: np.random.Generator) -> Iterator[tuple]:
    """Energy in eV, contact and S of a void that is heated from one temperature to the next."""
    for T in kelvin:
        box = box_of(occupancy, T)
        box.equilibrate(HEATED_PAIRS // 4, rng)
        row = box.equilibrate(HEATED_PAIRS, rng)
        occupancy = box.occupancy
        yield row.energy_ueV * 1e-6, row.contact_fraction, row.S


def report_heating(shapes: dict[str, np.ndarray], kelvin: np.ndarray, n: int) -> None:
    """Heat each shape beside a compact void; the most by which it is the stabler one at T."""
    beta, rng = 1.0 / (8.617333262145e-5 * kelvin), np.random.default_rng(2)
    compact_void = compact(n)
    for start, occupancy in shapes.items():
        differences: list[float] = []
        reference = heated(compact_void, kelvin, np.random.default_rng(3))
        for T, one, other in zip(kelvin, heated(occupancy, kelvin, rng), reference, strict=True):
            differences.append(other[0] - one[0])
            print(
                f"{start:6s} T/T0 {T / kelvin[0]:5.3f}  {one[0]:8.3f} eV, compact {other[0]:8.3f}; "
                f"contact {one[1]:.4f}, {other[1]:.4f}; S {one[2]:.3f}, {other[2]:.3f}",
                flush=True,
            )
            if abs(differences[-1]) < ALIKE_eV:
                break
        most = -np.trapezoid(differences, beta[: len(differences)])
        print(f"{start}: the stabler one at T by {most:.1f} kT at most")


def main() -> None:
    def more(parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--vacancies", type=int, default=3157)
        parser.add_argument("--temperatures", type=int, default=14)
        parser.add_argument("--steps", type=int, default=1000)
        parser.add_argument("--kelvin", type=float, default=298.15)
        parser.add_argument("--state", type=Path, default=None, help="default: facets.npz in --out")

    given = arguments(__doc__.splitlines()[0], more)
    if given.quick:
        given.vacancies, given.temperatures, given.steps = 300, 4, 20
    given.state = given.state or given.out / "facets.npz"
    kelvin = given.kelvin * np.geomspace(1.0, HOTTEST, given.temperatures)
    rng = np.random.default_rng(1)
    series: dict[str, list] = {start: [] for start in STARTS}
    if given.state.exists():
        kept = np.load(given.state)
        occupancies = {start: kept[start] for start in STARTS}
        series = {start: list(kept[f"series_{start}"]) for start in STARTS}
        rng = np.random.default_rng([1, len(series["round"])])
    else:
        one = {"round": compact(given.vacancies), "grown": grown(given.vacancies, kelvin[0], rng)}
        occupancies = {start: np.tile(one[start], (len(kelvin), 1)) for start in STARTS}
    ladders = {start: Ladder(occupancies[start], kelvin, rng) for start in STARTS}
    shown = time.monotonic()
    while len(series["round"]) < given.steps:
        for start, ladder in ladders.items():
            series[start].append(ladder.step())
        done = len(series["round"])
        if time.monotonic() - shown > 20.0 or done == given.steps:
            shown = time.monotonic()
            last = ", ".join(
                f"{s} contact {series[s][-1][0, 1]:.4f}, {ladders[s].trips} trips, "
                f"{ladders[s].swapped / ladders[s].tried:.2f} swapped"
                for s in STARTS
            )
            print(f"{done} of {given.steps}: {last}", file=sys.stderr, flush=True)
            arrays = {s: np.array([box.occupancy for box in ladders[s].boxes]) for s in STARTS}
            arrays |= {f"series_{s}": np.array(series[s]) for s in STARTS}
            partial = given.state.with_suffix(".part.npz")
            np.savez_compressed(partial, **arrays)
            partial.replace(given.state)
    rows = report({start: np.array(rows) for start, rows in series.items()}, kelvin)
    report_heating({s: ladders[s].boxes[0].occupancy for s in STARTS}, kelvin, given.vacancies)
    write_json(given.out, "facets", rows, vacancies=given.vacancies, steps=given.steps)


if __name__ == "__main__":
    main()
