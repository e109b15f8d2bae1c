"""A deposition in plain Python, without kmc: slow, every number computed anew for every attempt.

It draws the same random numbers in the same order as the compiled loop and keeps the members of its
bins in the same order, so that both can be compared attempt by attempt.
"""

from __future__ import annotations

import math

NEIGHBOURS = [(1, 0, 0), (-1, 0, 0), (0, 1, 0), (0, -1, 0), (0, 0, 1), (0, 0, -1)]
SECOND = [
    *[(1, 1, 0), (1, -1, 0), (-1, 1, 0), (-1, -1, 0)],
    *[(1, 0, 1), (-1, 0, 1), (0, 1, 1), (0, -1, 1)],
    *[(1, 0, -1), (-1, 0, -1), (0, 1, -1), (0, -1, -1)],
]
REST, PLATE, STRIP = "rest", "plate", "strip"


class NaiveDeposition:
    """Atoms as a set of (x, y, z).

    Parameters
    ----------
    size : (nx, ny, nz)
    surface : list of lists
        Substrate of each column, [y][x], from 0.
    bond, substrate, barrier, step : float, list, list, float
        ε; φ of each substrate; b of each substrate and, last, of the metal; E_ES. All in eV.
    attempt_Hz, kT : float
    """

    def __init__(self, size, surface, bond, substrate, barrier, step, attempt_Hz, kT):
        self.size, self.surface = size, surface
        self.bond, self.substrate, self.barrier, self.step = bond, substrate, barrier, step
        self.attempt_Hz, self.kT = attempt_Hz, kT
        self.metal = len(substrate)
        self.atoms: set = set()
        self.bins: dict[int, list] = {}
        self.bin_of_atom: dict = {}
        self.time_s = 0.0
        self.plated = self.stripped = self.hops = 0

    # --- geometry ---------------------------------------------------------------------------------

    def away(self, site, d):
        nx, ny, _ = self.size
        return ((site[0] + d[0]) % nx, (site[1] + d[1]) % ny, site[2] + d[2])

    def inside(self, site):
        return 0 <= site[2] < self.size[2]

    def occupied_around(self, site, without=None):
        found = [self.away(site, d) for d in NEIGHBOURS]
        return [other for other in found if other in self.atoms and other != without]

    def place(self, site):
        return self.surface[site[1]][site[0]] if site[2] == 0 else self.metal

    # --- energies ---------------------------------------------------------------------------------

    def energy(self, atoms=None):
        """Total energy: minus all bonds, each counted once, and minus φ under the first layer."""
        atoms = self.atoms if atoms is None else atoms
        total = 0.0
        for site in atoms:
            for d in ((1, 0, 0), (0, 1, 0), (0, 0, 1)):
                if self.away(site, d) in atoms:
                    total -= self.bond
            if site[2] == 0:
                total -= self.substrate[self.place(site)]
        return total

    def binding(self, site, without=None):
        """What an atom at a site is bound by; `without` is an atom that is away."""
        held = self.bond * len(self.occupied_around(site, without))
        return held + (self.substrate[self.place(site)] if site[2] == 0 else 0.0)

    def saddle(self, here, there):
        """Highest energy on the way, the atom alone being 0."""

        def top(site):
            on = self.place(site)
            return self.barrier[on] - (self.bond if on == self.metal else self.substrate[on])

        return max(top(here), top(there)) + (self.step if here[2] != there[2] else 0.0)

    def rate(self, here, there, connection=True):
        """Rate of a hop, 0 where it is not possible, or changes what is connected."""
        d = [there[k] - here[k] for k in range(3)]
        for k in range(2):
            d[k] = (d[k] + 1) % self.size[k] - 1
        if not self.inside(there) or there in self.atoms:
            return 0.0
        if here[2] > 0 and not self.occupied_around(here):
            return 0.0
        if tuple(d) in NEIGHBOURS:
            if there[2] > 0 and not self.occupied_around(there, without=here):
                return 0.0
        elif tuple(d) in SECOND:
            parts = [[v if i == k else 0 for i, v in enumerate(d)] for k in range(3) if d[k]]
            between = [self.away(here, part) in self.atoms for part in parts]
            if sum(between) != 1:
                return 0.0
        else:
            return 0.0
        if connection and not self.keeps_connection(here, there):
            return 0.0
        barrier = self.saddle(here, there) + self.binding(here)
        return self.attempt_Hz * math.exp(-barrier / self.kT)

    def keeps_connection(self, here, there):
        """Whether a hop of a connected atom leaves all others as they were."""
        atoms, before = self.atoms, self.connected()
        self.atoms = (atoms - {here}) | {there}
        after = self.connected()
        alone = self.atoms - {there}
        self.atoms = alone
        between = self.connected()
        self.atoms = atoms
        return here in before and between == before - {here} and after == between | {there}

    def hops_from(self, here):
        """Every possible hop of an atom: target and rate."""
        found = [(self.away(here, d), 0.0) for d in (*NEIGHBOURS, *SECOND)]
        found = [(there, self.rate(here, there)) for there, _ in found]
        return [(there, rate) for there, rate in found if rate > 0]

    def connected(self):
        """Atoms from which neighbours lead to the substrate."""
        front = [site for site in self.atoms if site[2] == 0]
        seen = set(front)
        while front:
            for other in self.occupied_around(front.pop()):
                if other not in seen:
                    seen.add(other)
                    front.append(other)
        return seen

    # --- changes ----------------------------------------------------------------------------------

    def _into_bin(self, site):
        b = self.place(site) * 7 + len(self.occupied_around(site))
        self.bins.setdefault(b, []).append(site)
        self.bin_of_atom[site] = b

    def _out_of_bin(self, site):
        members = self.bins[self.bin_of_atom.pop(site)]
        members[members.index(site)] = members[-1]
        members.pop()

    def remove(self, site):
        self._out_of_bin(site)
        self.atoms.remove(site)
        for other in self.occupied_around(site):
            self._out_of_bin(other)
            self._into_bin(other)

    def add(self, site):
        self.atoms.add(site)
        self._into_bin(site)
        for other in self.occupied_around(site):
            self._out_of_bin(other)
            self._into_bin(other)

    # --- events -----------------------------------------------------------------------------------

    def bound(self, b):
        """Rate in one direction that no atom of a bin exceeds."""
        place, n = divmod(b, 7)
        if place == self.metal:
            if n == 0:
                return 0.0
            barrier = self.barrier[place] + (n - 1) * self.bond
        else:
            barrier = self.barrier[place] + n * self.bond
        return self.attempt_Hz * math.exp(-barrier / self.kT)

    def attempt(self, rng, drive, drive_Hz, strip_lambda=0.5, cutoff_V=math.inf):
        """One attempt; False where stripping finds nothing."""
        bins = sorted(b for b, members in self.bins.items() if members)
        mass = [len(self.bins[b]) * self.bound(b) for b in bins]
        total = drive_Hz + 18 * sum(mass)
        self.time_s += rng.standard_exponential() / total
        if rng.random() * total < drive_Hz:
            if drive == PLATE:
                self._plate(rng)
                return True
            return self._strip(rng, strip_lambda, cutoff_V)
        self._hop(rng, bins, mass)
        return True

    @staticmethod
    def _chosen(u, bins, parts):
        for b, part in zip(bins, parts, strict=True):
            if part > 0:
                chosen = b
                if u < part:
                    break
                u -= part
        return chosen

    def _hop(self, rng, bins, mass):
        b = self._chosen(rng.random() * sum(mass), bins, mass)
        members = self.bins[b]
        here = members[int(rng.random() * len(members))]
        there = self.away(here, (*NEIGHBOURS, *SECOND)[int(rng.random() * 18)])
        rate = self.rate(here, there, connection=False)
        if rate == 0.0:
            return
        if rate < self.bound(b) * (1 - 1e-12) and rng.random() >= rate / self.bound(b):
            return
        if here not in self.connected():
            return
        kept = self.keeps_connection(here, there)
        self.remove(here)
        self.add(there if kept else here)
        self.hops += kept

    def _plate(self, rng):
        nx, ny, _ = self.size
        held = self.connected()
        while True:
            column = int(rng.random() * nx * ny)
            x, y = column % nx, column // nx
            heights = [z for (ax, ay, z) in self.atoms if (ax, ay) == (x, y)]
            if not heights or (x, y, max(heights)) in held:
                self.add((x, y, max(heights) + 1 if heights else 0))
                self.plated += 1
                return

    def _strip(self, rng, strip_lambda, cutoff_V):
        held = self.connected()
        bins = sorted(b for b, members in self.bins.items() if members)
        least = min(0.0, *self.substrate)
        parts = []
        for b in bins:
            place, n = divmod(b, 7)
            binding = self.bond * n + (0.0 if place == self.metal else self.substrate[place])
            sides = 6 if place == self.metal else 5
            n_connected = sum(site in held for site in self.bins[b])
            allowed = n < sides and binding - 3 * self.bond <= cutoff_V
            weight = math.exp(-strip_lambda * (binding - least) / self.kT)
            parts.append(n_connected * weight if allowed else 0.0)
        if sum(parts) == 0:
            return False
        members = self.bins[self._chosen(rng.random() * sum(parts), bins, parts)]
        while True:
            site = members[int(rng.random() * len(members))]
            if site in held:
                self.remove(site)
                self.stripped += 1
                return True
