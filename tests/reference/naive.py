"""The model written out plainly: the oracle every kernel must match.

Slow and short on purpose. It shares nothing with `kmc`: sites come from the crystal directions,
neighbours from distances between all pairs, the calibration from linear conditions on the energy,
every rate from a difference of energies. Only two labels without meaning are taken from outside
when a run is compared event for event: the order of a site's first neighbours (`directions`) and
the order of the vacancies inside a selection bin (`order`).

Species: 0 vacancy, 1 Li, 2 Mg. Energies are integers in µeV unless the name says eV.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from naive_energy import (
    CURVED,
    E_C,
    K_B_EV,
    LATTICE_GAS,
    LI,
    LI_LI2S,
    LIMG_CURVED,
    LIMG_LI2S,
    MG,
    ORIENTATIONS,
    VACANCY,
    Energies,
    NaiveLattice,
    calibrate,
    energy_change,
    hamiltonian,
    lattice,
    micro,
    with_chemistries,
)

__all__ = [
    "CURVED",
    "E_C",
    "K_B_EV",
    "LATTICE_GAS",
    "LI",
    "LIMG_CURVED",
    "LIMG_LI2S",
    "LI_LI2S",
    "MG",
    "ORIENTATIONS",
    "VACANCY",
    "Conditions",
    "Energies",
    "Event",
    "NaiveLattice",
    "NaiveSimulation",
    "NoEvent",
    "bin_of",
    "calibrate",
    "energy_change",
    "floor_from_ratio_eV",
    "hamiltonian",
    "lattice",
    "with_chemistries",
]


POWERS_OF_TWO = tuple(2.0**k for k in range(-60, 80))


class Event(NamedTuple):
    """One event. `kind` is hop, strip, plate, absorb, emit, close or mix; −1 is outside.

    An exchange is a strip from `site_from` and, right after it, a plate onto `site_to`.

    A closure names the vacancy (`site_to`) and the atom that enters at the top of its column.
    """

    kind: str
    site_from: int
    site_to: int
    species: int
    dt: float


@dataclass(frozen=True)
class Conditions:
    """What the experimenter sets."""

    temperature_K: float = 298.15
    current_density_mA_cm2: float = 0.0
    electrode_thickness_um: float = math.inf
    strip_weight_lambda: float = 0.5
    mg_fraction: float = 0.0
    refill_mg_fraction: float | None = None  # of what fills absorbed vacancies; the same if None
    saddle_floor_eV: float | None = None
    box_resistance_share: float = 0.2
    lateral_supersaturation: float | None = None
    mg_exchange_Hz: float = 0.0  # of an Mg and a Li beside it in bulk Li
    stack_pressure_MPa: float = 0.0
    overpotential_V: float | None = None
    exchange: bool = False
    spares: bool = False  # whether connected metal alone is stripped and plated on
    conductive: tuple[int, ...] = ()  # sites of L1 on a conductive scaffold


class NoEvent(Exception):
    """Nothing can happen any more; the message says why."""


class NaiveSimulation:
    """Events one at a time, every rate from scratch before every event.

    Parameters
    ----------
    box : NaiveLattice
    values : mapping of str to float
        Parameters by the names of `LI_LI2S`.
    conditions : Conditions
    occupancy : array of int, shape (n_sites,)
    bounds : array, optional
        Tuning of the selection: bin b holds the rates (1/s) up to ``bounds[b]`` and above the
        bound before. Powers of two by default.
    weight_bounds : array, optional
        The same for the weights of the strip.
    plate_bounds : array, optional
        The same for the weights of the plate.
    order, weight_order, plate_order : callable, optional
        Members of a bin in the order of whoever is compared; ascending by default.
    directions : callable, optional
        First neighbours of a site in the order of whoever is compared; ascending by default.
    """

    def __init__(
        self,
        box,
        values,
        conditions,
        occupancy,
        *,
        bounds=POWERS_OF_TWO,
        weight_bounds=POWERS_OF_TWO,
        order=None,
        weight_order=None,
        plate_bounds=POWERS_OF_TWO,
        plate_order=None,
        directions=None,
        mg_order=None,
        energies=None,
    ):
        self.box, self.values, self.conditions = box, dict(values), conditions
        self.occupancy = [int(species) for species in occupancy]
        self.energies = calibrate(values, box) if energies is None else energies
        self.kT = K_B_EV * conditions.temperature_K
        self.nu = values["attempt_frequency_Hz"]
        self.bounds, self.order = bounds, order
        self.weight_bounds, self.weight_order = weight_bounds, weight_order
        self.plate_bounds, self.plate_order = plate_bounds, plate_order
        self.directions, self.mg_order = directions, mg_order
        self.time_s = 0.0
        self.waiting = False  # an ion for a vacant site, at a given current that plates
        self.spared = 0  # draws that fell on a site that no current reaches
        self.seen = self.expected = 0.0  # isolated vacancies over the strips of the recent past
        self.hops: Counter[str] = Counter()  # by class, and by class and way
        floor = conditions.saddle_floor_eV
        self.floor = 0 if floor is None else micro(floor)
        self.lone_floor = self._lone_floor()
        self.barrier = {
            (LI, False): micro(values["barrier_Li_eV"]),
            (LI, True): micro(values.get("barrier_Li_near_Mg_eV", values["barrier_Li_eV"])),
        }
        if "barrier_Mg_eV" in values:
            self.barrier[MG, False] = self.barrier[MG, True] = micro(values["barrier_Mg_eV"])
        # A kink atom of the bulk has half the bonds of a bulk atom.
        bonds = self.energies.bond[:, LI, LI]
        self.formation_bulk = (8 * bonds[0] + 6 * bonds[1]) / 2
        # A perfect pure-Li box gives the reference binding energies.
        perfect = [LI] * box.n_sites
        first = int(np.flatnonzero(box.layer == 1)[0])
        plain = self.energies._replace(own={})
        self.binding_reference = energy_change(box, plain, perfect, {first: VACANCY})
        self.interface_floor = self._interface_floor()

    # ---- energies and rates -------------------------------------------------------------------
    def energy(self) -> int:
        return hamiltonian(self.box, self.energies, self.occupancy)

    def change(self, changes) -> int:
        return energy_change(self.box, self.energies, self.occupancy, changes)

    def barrier_after(self, vacancy, atom) -> tuple[int, int]:
        """(E_a, ΔE) of the hop of the atom at `atom` into `vacancy`, in µeV."""
        species = self.occupancy[atom]
        near_mg = self.beside_mg(vacancy, atom)
        change = self.change({vacancy: species, atom: VACANCY})
        forward = max(self.barrier[species, near_mg] + change // 2, change, 0)
        floor = self.floor
        if self.alone(vacancy, atom):
            floor = self.interface_floor if self.leaves_L1(vacancy, atom) else self.lone_floor
        forward += max(0, floor - min(forward, forward - change))
        return forward, change

    def _lone_floor(self) -> int:
        """Floor of a lone vacancy in the metal: E0 + kT ln(s L/H), or that of all hops."""
        if not self.open:
            return self.floor
        height_um = self.box.layers * self.box.spacing * self.box.a_A * 1e-4
        share, thickness = (
            self.conditions.box_resistance_share,
            self.conditions.electrode_thickness_um,
        )
        if share * thickness <= height_um:
            return 0
        own = self.values["barrier_Li_eV"] + self.kT * math.log(share * thickness / height_um)
        return min(self.floor, math.floor(own * 1e6))

    def _interface_floor(self) -> int:
        """Floor of a lone vacancy at L1: S differs by what is allowed from the middle of a disc of
        the box's area to its rim, where vacancies end, with one vacancy a strip spread over it."""
        allowed, rate = self.conditions.lateral_supersaturation, abs(self.net_rate)
        if allowed is None or self.box.boundary != "interface" or rate == 0:
            return self.floor
        perfect, plain = [LI] * self.box.n_sites, self.energies._replace(own={})
        first = int(np.flatnonzero(self.box.layer == 1)[0])
        up = [j for j in self.box.in_box(first, 1) if self.box.layer[j] == 2]
        in_L1, in_L2 = (
            energy_change(self.box, plain, perfect, {site: VACANCY}) for site in (first, up[0])
        )
        barrier, change = self.barrier[LI, False], in_L2 - in_L1
        leave = max(barrier + change // 2, change, 0)
        enter = leave - change
        crossing = (
            len(up) * self.nu * math.exp(-(in_L1 - self.formation_bulk + leave) * 1e-6 / self.kT)
        )
        difference = rate / (4 * math.pi * crossing / 4)
        if difference >= allowed:
            return 0
        slowed = math.log(allowed / difference) * self.kT * 1e6
        return min(self.floor, math.floor(min(leave, enter) + slowed))

    def leaves_L1(self, vacancy, atom) -> bool:
        """Whether a hop has an end in L1, or both in L2."""
        if self.box.boundary != "interface":
            return False
        layers = sorted((int(self.box.layer[vacancy]), int(self.box.layer[atom])))
        return layers[0] == 1 or layers[1] == 2

    def alone(self, vacancy, atom) -> bool:
        """Whether no other vacancy is around either end of a hop: in the second shell only if it
        counts for an energy."""
        shells = (1, 2) if self.energies.bond[1].any() else (1,)
        return not any(
            self.occupancy[j] == VACANCY and j != vacancy
            for end in (vacancy, atom)
            for shell in shells
            for j in self.box.in_box(end, shell)
        )

    def beside_mg(self, vacancy, atom) -> bool:
        """Whether an Mg is a first neighbour of either end of a hop."""
        ends = (vacancy, atom)
        return any(self.occupancy[j] == MG for end in ends for j in self.box.in_box(end, 1))

    def count_hop(self, vacancy, atom) -> None:
        """Note the class of a hop that is about to happen, and which layers it joins."""
        near_mg = "_near_Mg" if self.beside_mg(vacancy, atom) else ""
        name = "hops_Mg" if self.occupancy[atom] == MG else f"hops_Li{near_mg}"
        self.hops[name] += 1
        here, there = int(self.box.layer[atom]), int(self.box.layer[vacancy])
        if here == there:
            return
        upwards = there > here
        lower = min(here, there)
        if self.box.boundary == "periodic":
            upwards ^= abs(there - here) > self.box.layers / 2  # around the end of the box
            lower = 3
        stage = {1: "L1", 2: "L2"}.get(lower, "deep")
        self.hops[f"{name}_{stage}_{'up' if upwards else 'down'}"] += 1

    def hop_rate(self, vacancy, atom) -> float:
        if self.occupancy[atom] == VACANCY:
            return 0.0
        return self.nu * math.exp(-self.barrier_after(vacancy, atom)[0] * 1e-6 / self.kT)

    def first_neighbours(self, site) -> list[int]:
        own = self.box.in_box(site, 1)
        if self.directions is None:
            return own
        given = [int(j) for j in self.directions(site) if j >= 0]
        assert sorted(given) == own, f"neighbours of {site}: {given}, expected {own}"
        return given

    @property
    def open(self) -> bool:
        return self.box.boundary == "interface" and math.isfinite(
            self.conditions.electrode_thickness_um
        )

    @property
    def k_absorb(self) -> float:
        """Rate at which an isolated vacancy of the top layer goes to the reservoir, 1/s."""
        if not self.open:
            return 0.0
        a_m = self.box.a_A * 1e-10
        diffusivity = a_m**2 * self.nu * math.exp(-self.values["barrier_Li_eV"] / self.kT)
        d = self.box.spacing * a_m
        resistance = self.conditions.electrode_thickness_um * 1e-6 / diffusivity
        slowed = max(0, self.lone_floor - micro(self.values["barrier_Li_eV"]))
        # what the layers above L3 make of it themselves
        in_box = (self.box.layers - 3) * d / diffusivity / math.exp(-slowed * 1e-6 / self.kT)
        if slowed > 0 or in_box >= 1e-3 * resistance:
            resistance = max(resistance - in_box, 0.1 * resistance)
        return 1.0 / (d * resistance)

    @property
    def k_emit(self) -> float:
        return self.k_absorb * math.exp(-self.formation_bulk * 1e-6 / self.kT)

    def top_sites(self) -> list[int]:
        return [int(i) for i in np.flatnonzero(self.box.layer == self.box.layers)]

    def absorption_rates(self, site) -> list[tuple[int, float]]:
        """(species, rate) of filling a vacant site of the top layer from the reservoir."""
        if not self.open or self.box.layer[site] != self.box.layers:
            return []
        fraction = self.conditions.refill_mg_fraction
        if fraction is None:
            fraction = self.conditions.mg_fraction
        rates = []
        for species, share in ((LI, 1.0 - fraction), (MG, fraction)):
            if share == 0.0:
                continue
            binding = -self.change({site: species})
            bonds = self.energies.bond[:, LI, species]
            bulk = int(8 * bonds[0] + 6 * bonds[1])
            rates.append(
                (species, self.k_absorb * share * math.exp((binding - bulk) * 1e-6 / self.kT))
            )
        return rates

    def electroactive(self) -> list[int]:
        active = []
        for site, layer in enumerate(self.box.layer):
            if layer > 2:
                break
            if self.occupancy[site] != LI:
                continue
            if self._meets_electrolyte(site) and self._has_metal(site):
                active.append(site)
        return active

    def plateable(self) -> list[int]:
        """Vacant sites that an ion can be reduced on: at the electrolyte, with metal beside."""
        return [
            site
            for site in range(2 * self.box.sites_per_layer)
            if self.occupancy[site] == VACANCY
            and self._meets_electrolyte(site)
            and self._has_metal(site)
        ]

    def _meets_electrolyte(self, site) -> bool:
        """L1, or L2 above an Mg of L1."""
        if self.box.layer[site] == 1:
            return True
        return any(
            self.box.layer[j] == 1 and self.occupancy[j] == MG for j in self.box.in_box(site, 1)
        )

    def _shells(self) -> tuple[int, ...]:
        return (1, 2) if self.energies.bond[1].any() else (1,)

    def _has_metal(self, site) -> bool:
        """Whether an atom stands beside a site; the reservoir above the box is metal."""
        return any(
            j >= self.box.n_sites or self.occupancy[j] != VACANCY
            for shell in self._shells()
            for j in self.box.neighbours[shell - 1][site]
        )

    def connected(self) -> set[int]:
        """Atoms that first and second neighbours connect to the reservoir or to a scaffold."""
        near = [
            [int(j) for shell in (0, 1) for j in self.box.neighbours[shell][site]]
            for site in range(self.box.n_sites)
        ]
        metal = {site for site, species in enumerate(self.occupancy) if species != VACANCY}
        found = {
            site
            for site in metal
            if site in self.conditions.conductive or any(j >= self.box.n_sites for j in near[site])
        }
        waiting = list(found)
        while waiting:
            for other in near[waiting.pop()]:
                if other in metal and other not in found:
                    found.add(other)
                    waiting.append(other)
        return found

    def reached(self, sites) -> set[int]:
        """Those of the sites that hold connected metal or, vacant, are beside it."""
        if not self.conditions.spares:
            return set(sites)
        reached = self.connected()
        found = set()
        for site in sites:
            near = [int(j) for shell in (0, 1) for j in self.box.neighbours[shell][site]]
            beside = site in self.conditions.conductive or any(j in reached for j in near)
            if beside if self.occupancy[site] == VACANCY else site in reached:
                found.add(site)
        return found

    def transferring(self, weights) -> dict[int, float]:
        """Weights of the sites that the current reaches, column by column."""
        n, reached = self.box.sites_per_layer, self.reached(weights)
        order = sorted(reached, key=lambda site: (site % n, site))
        return {site: weights[site] for site in order}

    def binding(self, site) -> int:
        """Energy to take a Li atom off this site, µeV, whether or not it is there now."""
        if self.occupancy[site] == VACANCY:
            return -self.change({site: LI})
        return self.change({site: VACANCY})

    def plate_weights(self) -> dict[int, float]:
        """Rate of reduction at η = 0 over k0, of every site that can take an atom."""
        strength = self.conditions.strip_weight_lambda
        return {
            site: math.exp(
                (1 - strength) * (self.binding(site) - self.binding_reference) * 1e-6 / self.kT
            )
            for site in self.plateable()
        }

    @property
    def exchange_rates(self) -> tuple[float, float]:
        """k0 of oxidation at weight 1 and of reduction at weight 1, η = 0, 1/s."""
        exchange = self.values["exchange_current_density_mA_cm2"] * 1e-3 * self.area_cm2 / E_C
        k0 = exchange / self.box.sites_per_layer
        to_kink = (self.binding_reference - self.formation_bulk) * 1e-6 / self.kT
        return k0, k0 * math.exp(to_kink)

    @property
    def voltage_rates(self) -> tuple[float, float]:
        """The same at the voltage that is held."""
        oxidation, reduction = self.exchange_rates
        eta, alpha = self.conditions.overpotential_V, self.alpha
        return (
            oxidation * math.exp(alpha * eta / self.kT),
            reduction * math.exp(-(1 - alpha) * eta / self.kT),
        )

    @property
    def alpha(self) -> float:
        return self.values.get("charge_transfer_coefficient", 0.5)

    def isolated(self) -> tuple[int, float]:
        """Vacancies of L1 and L2 among atoms, and how many equilibrium would have there."""
        seen, expected = 0, 0.0
        for site in range(2 * self.box.sites_per_layer):
            near = [j for shell in self._shells() for j in self.box.in_box(site, shell)]
            if any(self.occupancy[j] == VACANCY for j in near):
                continue
            if self.occupancy[site] == VACANCY:
                seen += 1
            elif self.occupancy[site] == LI:
                above_kink = (self.binding(site) - self.formation_bulk) * 1e-6
                expected += min(math.exp(-above_kink / self.kT), 4.0)
        return seen, expected

    def observe(self, weight=1.0) -> None:
        """Add the isolated vacancies of this moment to those of the recent past.

        While a given current plates nothing is forgotten: a row has what its own ions met.
        """
        kept = 1.0 - weight / max(100.0, 0.1 * self.box.sites_per_layer)
        if self.plating:
            kept = 1.0
        seen, expected = self.isolated()
        self.seen = self.seen * kept + seen * weight
        self.expected = self.expected * kept + expected * weight

    def strip_weights(self) -> dict[int, float]:
        """Weight of every electroactive site."""
        strength = self.conditions.strip_weight_lambda
        return {
            site: math.exp(
                -strength * (self.binding(site) - self.binding_reference) * 1e-6 / self.kT
            )
            for site in self.electroactive()
        }

    @property
    def area_cm2(self) -> float:
        return self.box.site_area_cm2 * self.box.sites_per_layer

    @property
    def strip_rate(self) -> float:
        """Atoms a second the current takes from the whole interface, or brings if it plates."""
        if self.box.boundary == "periodic":
            return 0.0
        if self.conditions.overpotential_V is not None:
            return self.voltage_rates[0] * sum(self.strip_weights().values())
        return abs(self.net_rate)

    @property
    def net_rate(self) -> float:
        """Atoms a second that the given current takes away, less those it brings."""
        return self.conditions.current_density_mA_cm2 * 1e-3 * self.area_cm2 / E_C

    @property
    def plating(self) -> bool:
        """Whether a given current plates."""
        return self.conditions.overpotential_V is None and self.net_rate < 0

    @property
    def plate_rate(self) -> float:
        """Ions a second that are reduced onto the whole interface, at a held voltage."""
        if self.box.boundary == "periodic" or self.conditions.overpotential_V is None:
            return 0.0
        return self.voltage_rates[1] * sum(self.plate_weights().values())

    def exchange_rate(self, strips=None, plates=None) -> float:
        """Reduction b/x with a x − b/x = j A/e, a and b from sums of weights (exact by default)."""
        strips = sum(self.strip_weights().values()) if strips is None else strips
        plates = sum(self.plate_weights().values()) if plates is None else plates
        k_ox, k_red = self.exchange_rates
        a, b = k_ox * strips, k_red * plates
        if a * b == 0.0:
            return 0.0
        x = (self.strip_rate + math.sqrt(self.strip_rate**2 + 4 * a * b)) / (2 * a)
        return b / x

    # ---- creep --------------------------------------------------------------------------------
    @property
    def closure_rate(self) -> float:
        """Rate at which creep closes each void vacancy, 1.5 A σ^n exp(−Q/RT).

        σ = 3P/(2n (1 − f^(1/n))) with f = (1 − contact)^1.5, up to a limit.
        """
        if self.conditions.stack_pressure_MPa == 0.0:
            return 0.0
        first = [i for i, layer in enumerate(self.box.layer) if layer == 1]
        contact = sum(self.occupancy[i] != VACANCY for i in first) / len(first)
        value = self.values
        stress = value["creep_stress_limit_MPa"]
        if contact > 0:
            n = value["creep_exponent"]
            solid = 1 - ((1 - contact) ** 1.5) ** (1 / n)
            stress = min(stress, 3 * self.conditions.stack_pressure_MPa / (2 * n * solid))
        per_kT = value["creep_activation_energy_kJ_mol"] * 1e3 / (E_C * 6.02214076e23)  # eV
        rate = value["creep_reference_rate_per_s"] * math.exp(
            per_kT / (K_B_EV * 298.15) - per_kT / self.kT
        )
        reduced = stress / value["creep_reference_stress_MPa"]
        return 1.5 * rate * reduced ** value["creep_exponent"]

    def voids(self) -> list[int]:
        """Vacancies with two or more vacancies among their neighbours."""
        shells = (1, 2) if self.energies.bond[1].any() else (1,)
        return [
            site
            for site in self.vacancies()
            if sum(self.occupancy[j] == VACANCY for s in shells for j in self.box.in_box(site, s))
            >= 2
        ]

    def _choose_closure(self, rng) -> Event | None:
        """A site of the box, column by column; its closure if it is part of a void."""
        n, layers = self.box.n_sites, self.box.layers
        column, layer = divmod(min(int(rng.random() * n), n - 1), layers)
        site = layer * self.box.sites_per_layer + column
        if site not in self.voids():
            return None
        share = self.conditions.mg_fraction
        species = MG if share > 0 and rng.random() < share else LI
        return Event("close", -1, site, species, 0.0)

    # ---- Mg moved by vacancies that are not followed -------------------------------------------
    def magnesium(self) -> list[int]:
        own = [site for site, species in enumerate(self.occupancy) if species == MG]
        if self.mg_order is None:
            return own
        given = [int(site) for site in self.mg_order()]
        assert sorted(given) == own
        return given

    def exchange_share(self, magnesium, lithium) -> float:
        """Rate at which Mg and Li beside it change places, over that in bulk Li.

        A vacancy comes to the place of the Li, which goes to a kink; the Mg hops into it; another
        Li from a kink fills the place of the Mg. The highest point is the hop's saddle. Both ways
        are raised alike until neither is faster than in bulk Li.
        """
        kink = round(self.formation_bulk)
        before = self.energy()
        without_li = self.change({lithium: VACANCY}) - kink
        after_hop = self.change({lithium: MG, magnesium: VACANCY}) - kink
        hop = after_hop - without_li
        saddle = without_li + max(self.barrier[MG, True] + hop // 2, hop, 0)
        end = self.change({lithium: MG, magnesium: LI})
        assert before == self.energy()
        bonds = self.energies.bond
        bulk = 8 * bonds[0, LI, LI] + 6 * bonds[1, LI, LI] + bonds[0, LI, MG] - bonds[0, LI, LI]
        floor = int(bulk) - kink + self.barrier[MG, True]
        activation = saddle + max(0, floor - min(saddle, saddle - end))
        return math.exp(-(activation - floor) * 1e-6 / self.kT)

    def _choose_mixing(self, rest) -> Event | None:
        """Mg and direction that hold `rest`, a place among pairs; None where they stay."""
        listed = self.magnesium()
        pair = min(int(rest), 8 * len(listed) - 1)
        site = listed[pair // 8]
        other = int(self.directions(site)[pair % 8])
        if other < 0 or self.occupancy[other] != LI:
            return None
        if rest - pair >= self.exchange_share(site, other):
            return None
        return Event("mix", site, other, MG, 0.0)

    def overpotential_V(self) -> float:
        """η with Σ r_ox − Σ r_red = j A/e, by halving an interval."""
        if self.conditions.overpotential_V is not None:
            return self.conditions.overpotential_V
        k_ox, k_red = self.exchange_rates
        strips = self.transferring(self.strip_weights())
        plates = self.transferring(self.plate_weights())
        a, b = k_ox * sum(strips.values()), k_red * sum(plates.values())
        low, high, alpha = -600 * self.kT, 600 * self.kT, self.alpha
        while high > low:
            eta = (low + high) / 2
            if eta in (low, high):
                break
            net = a * math.exp(alpha * eta / self.kT) - b * math.exp(-(1 - alpha) * eta / self.kT)
            low, high = (low, eta) if net > self.net_rate else (eta, high)
        return (low + high) / 2

    def vacancies(self) -> list[int]:
        return [site for site, species in enumerate(self.occupancy) if species == VACANCY]

    def vacancy_channels(self, vacancy) -> list[tuple[Event, float]]:
        """Events of one vacancy in order: hops by direction, then absorption of Li, of Mg."""
        channels = []
        for atom in self.first_neighbours(vacancy):
            if self.occupancy[atom] != VACANCY:
                event = Event("hop", atom, vacancy, self.occupancy[atom], 0.0)
                channels.append((event, self.hop_rate(vacancy, atom)))
        for species, rate in self.absorption_rates(vacancy):
            channels.append((Event("absorb", -1, vacancy, species, 0.0), rate))
        return channels

    def list_rates(self) -> list[tuple[Event, float]]:
        """Every event that changes the state, with its rate in 1/s."""
        listed = []
        for vacancy in self.vacancies():
            listed += self.vacancy_channels(vacancy)
        held = self.conditions.overpotential_V is not None
        if self.strip_rate > 0 and held:
            listed += [
                (Event("strip", site, -1, LI, 0.0), self.voltage_rates[0] * weight)
                for site, weight in self.transferring(self.strip_weights()).items()
            ]
        if self.strip_rate > 0 and not self.plating and not held:
            weights = self.transferring(self.strip_weights())
            total = sum(weights.values())
            listed += [
                (Event("strip", site, -1, LI, 0.0), self.strip_rate * weight / total)
                for site, weight in weights.items()
            ]
        if self.plating:
            weights = self.transferring(self.plate_weights())
            total = sum(weights.values())
            listed += [
                (Event("plate", -1, site, LI, 0.0), self.strip_rate * weight / total)
                for site, weight in weights.items()
            ]
        if self.plate_rate > 0:
            listed += [
                (Event("plate", -1, site, LI, 0.0), self.voltage_rates[1] * weight)
                for site, weight in self.transferring(self.plate_weights()).items()
            ]
        if self.open:
            listed += [
                (Event("emit", site, -1, self.occupancy[site], 0.0), self.k_emit)
                for site in self.top_sites()
                if self.occupancy[site] != VACANCY
            ]
        for site in self.voids():
            for species, share in (
                (LI, 1 - self.conditions.mg_fraction),
                (MG, self.conditions.mg_fraction),
            ):
                if share * self.closure_rate > 0:
                    event = Event("close", -1, site, species, 0.0)
                    listed.append((event, share * self.closure_rate))
        return listed

    # ---- one event ----------------------------------------------------------------------------
    def apply(self, event: Event) -> None:
        if event.kind == "close":
            column = range(event.site_to, self.box.n_sites, self.box.sites_per_layer)
            sunk = [self.occupancy[site] for site in column[1:]] + [event.species]
            for site, species in zip(column, sunk, strict=True):
                self.occupancy[site] = species
            return
        if event.kind == "exchange":  # between two sites of the box, or back onto the same
            self.occupancy[event.site_from] = VACANCY
            self.occupancy[event.site_to] = event.species
        if event.kind == "mix":
            self.occupancy[event.site_from], self.occupancy[event.site_to] = LI, MG
            return
        if event.kind == "hop":
            self.count_hop(event.site_to, event.site_from)
        if event.site_from >= 0:
            self.occupancy[event.site_from] = VACANCY
        if event.site_to >= 0:
            self.occupancy[event.site_to] = event.species

    def _bins(self, rates, bounds, order):
        """Bin number → members, rates being a dict of site → rate."""
        bins: dict[int, list[int]] = {}
        for site in sorted(rates):
            if rates[site] > 0.0:
                bins.setdefault(bin_of(rates[site], bounds), []).append(site)
        if order is not None:
            for b, members in bins.items():
                given = [int(site) for site in order(b)]
                assert sorted(given) == members, f"bin {b}: {given}, expected {members}"
                bins[b] = given
        return bins

    def attempt(self, rng, exponential=None, uniforms=None) -> tuple[float, Event | None]:
        """Waiting time of one attempt, and its event if it was accepted.

        The numbers of an attempt, a standard exponential and two uniform ones, come from `rng`
        unless whoever is compared has drawn them.
        """
        channels = {vacancy: self.vacancy_channels(vacancy) for vacancy in self.vacancies()}
        rates = {vacancy: _sum(rate for _, rate in listed) for vacancy, listed in channels.items()}
        bins, bound = self._bins(rates, self.bounds, self.order), self.bounds
        emission = self.k_emit * self.box.sites_per_layer if self.open else 0.0
        strip, plate = self._charge_transfer_bounds()
        creep = self.closure_rate * self.box.n_sites if self.vacancies() else 0.0
        mixing = 8 * self.conditions.mg_exchange_Hz * len(self.magnesium())
        total = _sum(len(bins[b]) * bound[b] for b in sorted(bins))
        total += strip + plate + emission + creep + mixing
        if total == 0.0:
            raise NoEvent("no event is possible")
        exponential = rng.standard_exponential() if exponential is None else exponential
        uniform, which = rng.random(2) if uniforms is None else uniforms
        dt = exponential / total
        # One number falls on a line of stretches: each bin has one of its count times its bound;
        # then come the strip, emission and creep. Another number takes a member of the bin. What
        # the first has left, scaled to one bound, falls on the member's channels or behind them.
        queue = [(b, len(bins[b]) * bound[b]) for b in sorted(bins, reverse=True)]
        queue += [("strip", strip)] if strip > 0 else []
        queue += [("plate", plate)] if plate > 0 else []
        queue += [("emit", emission)] if emission > 0 else []
        queue += [("close", creep)] if creep > 0 else []
        queue += [("mix", mixing)] if mixing > 0 else []
        channel, rest = _pick(queue, uniform * total)
        if channel == "strip":
            if self.conditions.overpotential_V is not None:
                self._observe_at_voltage(strip + plate)
                return dt, self._strip_at_voltage(rest / self.voltage_rates[0])
            if self.plating:
                return dt, self._plate_arriving(rng)
            if self.strip_weights():
                self.observe()
            return dt, self._choose_strip(rng)
        if channel == "plate":
            if self.conditions.overpotential_V is not None:
                self._observe_at_voltage(strip + plate)
                return dt, self._plate_at_voltage(rest / self.voltage_rates[1])
            return dt, self._choose_exchange(plate, rng)
        if channel == "mix":
            return dt, self._choose_mixing(rest / self.conditions.mg_exchange_Hz)
        if channel == "close":
            return dt, self._choose_closure(rng)
        if channel == "emit":
            top = self.top_sites()
            site = top[min(int(rest / emission * len(top)), len(top) - 1)]
            species = self.occupancy[site]
            return dt, None if species == VACANCY else Event("emit", site, -1, species, dt)
        members = bins[channel]
        vacancy, y = members[_place(len(members), which, rng)], rest / len(members)
        if y >= rates[vacancy]:
            return dt, None
        return dt, _pick(channels[vacancy], y)[0]

    def _charge_transfer_bounds(self) -> tuple[float, float]:
        """Shares of strip and plate in an attempt, each weight counting as its bound.

        At a given current the strip has its exact rate, and "plate" is the exchange beyond it.
        """
        held = self.conditions.overpotential_V is not None
        if not (held or (self.conditions.exchange and self.strip_rate > 0)):
            return self.strip_rate, 0.0
        strips, plates = (
            _sum(len(members) * bounds[b] for b, members in sorted(bins.items()))
            for bounds, bins in (
                (
                    self.weight_bounds,
                    self._bins(self.strip_weights(), self.weight_bounds, self.weight_order),
                ),
                (
                    self.plate_bounds,
                    self._bins(self.plate_weights(), self.plate_bounds, self.plate_order),
                ),
            )
        )
        if held:
            return self.voltage_rates[0] * strips, self.voltage_rates[1] * plates
        return self.strip_rate, self.exchange_rate(strips, plates)

    def _observe_at_voltage(self, bound) -> None:
        """Charge transfer is tried at a rate that varies: weighted by the time between."""
        most = max(100.0, 0.1 * self.box.sites_per_layer)
        self.observe(min(self.voltage_rates[0] * self.box.sites_per_layer / bound, most))

    def _plate_at_voltage(self, rest) -> Event | None:
        weights, bound = self.plate_weights(), self.plate_bounds
        bins = self._bins(weights, bound, self.plate_order)
        b, rest = _pick([(b, len(bins[b]) * bound[b]) for b in sorted(bins, reverse=True)], rest)
        site, y = _member(bins[b], bound[b], rest)
        return Event("plate", -1, site, LI, 0.0) if self._takes(site, y, weights) else None

    def _takes(self, site, y, weights) -> bool:
        """Whether a site drawn at a held voltage has the event: by its weight, and if reached."""
        if y >= weights[site]:
            return False
        if site in self.reached([site]):
            return True
        self.spared += 1
        if not (self.reached(self.strip_weights()) or self.reached(self.plate_weights())):
            raise NoEvent("dead metal alone is left")
        return False

    def _choose_exchange(self, bound, rng) -> Event | None:
        """A strip, and a plate onto a site drawn by its weight once the atom is gone."""
        if rng.random() * bound >= self.exchange_rate():
            return None
        strip = self._choose_strip(rng)
        self.occupancy[strip.site_from] = VACANCY
        weights, n = self.plate_weights(), self.box.sites_per_layer
        queue = sorted(weights.items(), key=lambda item: (item[0] % n, item[0]))  # by column
        site, _ = _pick(queue, rng.random() * _sum(weight for _, weight in queue))
        self.occupancy[strip.site_from] = LI
        return Event("exchange", strip.site_from, site, LI, 0.0)

    def _plate_arriving(self, rng) -> Event | None:
        """An ion of a given current: it is reduced, or waits for a vacant site."""
        if self.waiting:
            raise NoEvent("no vacant site left to plate on")
        self.observe()
        self.waiting = not self.plate_weights()
        return None if self.waiting else self._choose_plate(rng)

    def plate_waiting(self, rng) -> Event | None:
        """The ion that waits takes a vacant site as soon as there is one, before all else."""
        if not (self.waiting and self.reached(self.plate_weights())):
            return None
        self.waiting = False
        return self._choose_plate(rng)

    def _choose_plate(self, rng) -> Event:
        weights = self.plate_weights()
        bins, bound = self._bins(weights, self.plate_bounds, self.plate_order), self.plate_bounds
        queue = [(b, len(bins[b]) * bound[b]) for b in sorted(bins, reverse=True)]
        total = _sum(share for _, share in queue)
        while True:
            b, rest = _pick(queue, rng.random() * total)
            site, y = _member(bins[b], bound[b], rest)
            if y < weights[site]:
                return Event("plate", -1, self._or_another(site, weights, rng), LI, 0.0)

    def _strip_at_voltage(self, rest) -> Event | None:
        weights, bound = self.strip_weights(), self.weight_bounds
        bins = self._bins(weights, bound, self.weight_order)
        b, rest = _pick([(b, len(bins[b]) * bound[b]) for b in sorted(bins, reverse=True)], rest)
        site, y = _member(bins[b], bound[b], rest)
        return Event("strip", site, -1, LI, 0.0) if self._takes(site, y, weights) else None

    def _choose_strip(self, rng) -> Event:
        weights = self.strip_weights()
        if not weights:
            raise NoEvent("no electroactive atom left")
        bins, bound = self._bins(weights, self.weight_bounds, self.weight_order), self.weight_bounds
        queue = [(b, len(bins[b]) * bound[b]) for b in sorted(bins, reverse=True)]
        total = _sum(share for _, share in queue)
        while True:
            b, rest = _pick(queue, rng.random() * total)
            site, y = _member(bins[b], bound[b], rest)
            if y < weights[site]:
                return Event("strip", self._or_another(site, weights, rng), -1, LI, 0.0)

    def _or_another(self, site, weights, rng) -> int:
        """The site drawn at a given current; where it is not reached, one of all that are."""
        if site in self.reached([site]):
            return site
        self.spared += 1
        others = self.transferring(weights)
        if not others:
            raise NoEvent("dead metal alone is left")
        return _pick(list(others.items()), rng.random() * _sum(others.values()))[0]

    def step(self, rng) -> Event:
        """Advance by one accepted event and return it; dt is the time since the last event."""
        waited = 0.0
        while True:
            dt, event = self.attempt(rng)
            waited += dt
            self.time_s += dt
            if event is not None:
                self.apply(event)
                return event._replace(dt=waited)


def bin_of(rate, bounds) -> int:
    """First bin whose bound is not below the rate."""
    b = 0
    while rate > bounds[b]:
        b += 1
    return b


def _sum(numbers) -> float:
    """Plain left-to-right sum: the same rounding everywhere."""
    total = 0.0
    for number in numbers:
        total += number
    return total


def _pick(queue, x):
    """First entry whose share holds x, and what is left of x; the last one catches rounding."""
    for item, share in queue:
        if x < share:
            return item, x
        x -= share
    return queue[-1][0], x


def _member(members, bound, rest):
    """Member of a bin whose stretch holds `rest`, and the place within the stretch."""
    position = min(int(rest / bound), len(members) - 1)
    return members[position], rest - position * bound


def _place(count, uniform, rng):
    """Place among `count` of a uniform number: on a grid of as many cells as a power of two.

    Its leading digits name a cell, if that is empty the digits behind them do, and if that is empty
    too another number is drawn.
    """
    cells = 1
    while cells < count:
        cells *= 2
    while True:
        place, digits = divmod(uniform * cells, 1.0)
        if place >= count:
            place = digits * cells // 1.0
        if place < count:
            return int(place)
        uniform = rng.random()


def floor_from_ratio_eV(box, values, conditions, ratio) -> float:
    """Saddle floor at which the fastest hop is `ratio` times the strip rate of one L1 site."""
    per_site = conditions.current_density_mA_cm2 * 1e-3 * box.site_area_cm2 / E_C
    kT = K_B_EV * conditions.temperature_K
    return kT * math.log(values["attempt_frequency_Hz"] / (ratio * per_site))
