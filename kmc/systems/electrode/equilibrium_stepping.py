"""Equilibrium between strips: the limit in which hops are fast beside everything else.

At true rates the vacancies of a box of nanometres equilibrate between two strips, so that only slow
events are followed one by one: strips and plates, creep, exchange of Mg, and what passes between
the box and the metal behind it. The event loop does the first three with its hops switched off;
after each of them the vacancies are sampled from the Boltzmann distribution of the same Hamiltonian
(`kmc.model.equilibrium`).

Before the first void the box is a piece of an open interface: S follows from diffusion through the
whole electrode (`ElectrodeProfile`), lone vacancies stand at that S, and a void nucleates at the
rate I(S) of Becker and Döring (`kmc.nuclei`). From then on the box holds a number of vacancies, its
S is that of equilibrium at this number, and what flows into the metal at this S is taken from it.
"""

import math
import time
from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np

from kmc.errors import InputError
from kmc.kernels import loop, tables
from kmc.model.electrochemistry import Drive
from kmc.model.equilibrium import HOTTEST, VacancyEquilibrium
from kmc.model.model import Model
from kmc.model.parameters import ParameterSet
from kmc.nuclei.vapour import ClusterVapour, vapour_of
from kmc.systems.electrode.electrode_profile import ElectrodeProfile
from kmc.systems.electrode.engine import UNLIMITED, Engine

_FINE = 50.0  # steps at rest change ln S of an open interface by half of its inverse at most
_SMALLEST_S = 0.05  # below which the metal gives no vacancies, and ions push it up
_STRIPS = 4  # of a time step in which nothing happens …
_FINER = 16  # … before the first void so many times shorter
_FEWEST = 4  # vacancies of a box with a void; fewer are lone
_UNCOUNTED = 5  # share of the moves after an event in which S is not measured: a fifth
# Annealing: each time the void is larger or smaller by this factor, with so many pairs of flips for
# each vacancy. From 1.7 times the temperature, so few leave shapes whose contact scatters by 0.03.
# These two and `HOTTEST` were chosen among nine settings to meet the contacts of compact starts: a
# fit to them, as the docs say.
_GROWTH, _ANNEALED_PAIRS = 1.05, 28
_FORGOTTEN = 10.0  # an average of S forgets by e where n changes by the inverse of this
_MANY = 40.0  # times the lone vacancies of the box, from which on it holds a number
_LARGEST_S = 100.0  # of a void that can be told from lone vacancies
_ALL_Mg = 0.98  # coverage of L1 beyond which the free energies of clusters are not asked for
_OTHER_COVERAGE = 0.05  # change of it after which they are sampled anew, which takes seconds
_SHORTEST_STEP_s, _LONGEST_STEP_s = 1e-5, 0.1  # at rest; with a current
_CHUNK_S = 0.1
_NUMBERS = (  # of a state
    *("_relaxed_s", "_step_s", "_owed", "_credit", "_coverage", "_until_void", "_annealed"),
)


class EquilibriumEngine(Engine):
    """Runs slow events on one configuration, its vacancies in equilibrium between them.

    The parameters are those of `Engine`.

    - `profile`: S of the metal behind the box; None where the metal has no sink.
    - `open`: whether the box has no void, so that its S is that of the profile.
    """

    def __init__(
        self, model: Model, occupancy: np.ndarray, rng: np.random.Generator, **options: Any
    ):
        super().__init__(model, occupancy, rng, **options)
        self._chain: VacancyEquilibrium | None = None
        self._metal: tuple[np.ndarray, np.ndarray] | None = None
        self._last, self._raw = self.occupancy(), self._species()
        self._passed = 0  # strips less plates at the last relaxation
        self._step_s = _SHORTEST_STEP_s
        self._annealed = 0.0  # vacancies when the void was annealed last
        self._gone = 0  # vacancies that left for the metal in this relaxation
        self._relaxed_s = self.time_s
        self._owed = self._credit = 0.0  # vacancies that the box owes the metal, or had too early
        self._sums = np.array([1.0, 1.0])  # residence with n and with n + 1 vacancies
        self._coverage = round(self._covered(), 2)
        self._until_void = rng.standard_exponential()  # ∫ I(S) A dt up to the first void
        self.profile = self._profile_of(model)
        self.open = self.profile is not None and self.count(tables.VACANCIES) == 0
        self.pairs_per_strip = model.relaxation.pairs_per_strip()
        self._begin_drive()

    # --- the loop ---------------------------------------------------------------------------------

    def advance(
        self,
        *,
        events: int = UNLIMITED,
        time_s: float = math.inf,
        pause_time_s: float = math.inf,
        **limits: Any,
    ) -> int:
        """Run until a limit is reached, as `Engine.advance` does, or for a moment.

        The vacancies are sampled after each event but exchanges of Mg, thousands of which happen
        between two strips, and where none happens after a time of its own, so that limits do not
        change what happens.
        """
        began, stop_s = time.monotonic(), min(time_s, pause_time_s)
        while True:
            # The rate of nucleation rises by half from one strip to the next of a small box.
            finer = _FINER if self.open and self.drive.flows else 1
            due_s, before = self._relaxed_s + self._step_s / finer, self.events
            exchanged = self.count(tables.MG_EXCHANGES)
            reason = super().advance(
                events=min(events, before + 1),
                time_s=time_s,
                pause_time_s=min(pause_time_s, due_s),
                **limits,
            )
            if reason == tables.NO_EVENT and math.isfinite(stop_s) and before < events:
                # Nothing is left but diffusion in the metal, which takes its time.
                self.state.clock[tables.TIME] = max(self.time_s, min(stop_s, due_s))
                ended = self.time_s >= time_s
                reason = tables.TIME_IS_UP if ended else tables.PAUSED
                if self.time_s < due_s:
                    return reason
            if self.events == before and self.time_s < due_s:
                return reason
            if self.count(tables.MG_EXCHANGES) == exchanged or self.time_s >= due_s:
                self._relax(self.events > before)
            if time.monotonic() - began > _CHUNK_S:
                return tables.PAUSED

    def _relax(self, happened: bool) -> None:
        """Let the vacancies come to equilibrium with one another, and with the metal behind."""
        clock = self.state.clock
        dt_s, self._relaxed_s = self.time_s - self._relaxed_s, self.time_s
        # The integral of the number of vacancies grows with the number before it changes here.
        clock[tables.VACANCY_TIME] = self.vacancy_time_s
        clock[tables.ATTEMPT_TIME] = self.time_s
        chain = self._chain_at_events()
        occupancy = self._last
        before = self._sums[0] / self._sums[1]
        if self.open:
            self._stand_open(chain, dt_s)
            change = _FINE * abs(math.log(self._sums[0] / self._sums[1] / before))
        else:
            change = self._stand_closed(chain, dt_s)
        new = chain.occupancy
        self._move_mg(new)
        self._put(occupancy, new)
        self._passed = self.net_strips
        self.state.activity[:] = self._sums
        if not happened and not self.drive.flows:  # longer, as the profile becomes flat
            factor = 0.5 if change > 0.5 else 1.2
            self._step_s = max(_SHORTEST_STEP_s, self._step_s * factor)

    def _chain_at_events(self) -> VacancyEquilibrium:
        """The chain at the occupancy that events have left, which `_last` then is."""
        now = self._species()
        changed = np.flatnonzero(now != self._raw)
        sites = self.model.kernel_lattice.lattice_sites(changed)
        moved_mg = (np.maximum(now[changed], self._raw[changed]) == tables.MG).any()
        self._last[sites] = now[changed]
        self._raw = now
        if abs(self._covered() - self._coverage) > _OTHER_COVERAGE:
            self._coverage = round(self._covered(), 2)
            vars(self).pop("_vapours", None)  # of the coverage before
        if self._chain is None or moved_mg:
            model = self.model
            chemistry = model.interphase.chemistry if model.interphase else None
            self._chain = VacancyEquilibrium(
                model.lattice, model.hamiltonians, model.kT_ueV, self._last, chemistry
            )
            self._metal = None
        else:
            self._chain.flip(sites)
        return self._chain

    def _covered(self) -> float:
        """Share of L1 that is Mg."""
        return self.count(tables.MG_L1) / self.model.lattice.sites_per_layer

    def _species(self) -> np.ndarray:
        """What each site holds, in the numbering of the kernels."""
        return (self.state.site_state >> tables.SPECIES_SHIFT) & 3

    def _put(self, old: np.ndarray, new: np.ndarray) -> None:
        """Give the event loop the occupancy that the chain has left."""
        sites = np.flatnonzero(old != new)
        if not sites.size:  # as most steps of an open interface; a call takes 0.1 ms
            return
        kernel_sites = self.model.kernel_lattice.kernel_sites(sites).astype(np.int64)
        loop.set_species_of(
            self.geometry,
            self.law,
            self.channels,
            self.state,
            self.scratch,
            kernel_sites,
            new[sites].astype(np.int64),
        )
        self._raw[kernel_sites] = new[sites]
        self._last = new

    # --- before the first void --------------------------------------------------------------------

    def _stand_open(self, chain: VacancyEquilibrium, dt_s: float) -> None:
        """Lone vacancies at the S of the electrode, and perhaps the first void."""
        assert self.profile is not None
        model, n_L1 = self.model, self.model.lattice.sites_per_layer
        source = (self.net_strips - self._passed) / n_L1
        if self.interface_V is None:  # the interface around the box is stripped evenly
            source = model.rate_per_site_Hz(self.current_density_mA_cm2()) * dt_s
        gives = self.profile.S > _SMALLEST_S
        if self.drive.plates and not gives:
            source = 0.0
        source, self._owed = source + self._owed / n_L1, 0.0
        self.profile.step(dt_s, source)
        self._until_void -= self.nucleation_rate_Hz(self.profile.S) * dt_s
        S = max(self.profile.S, 1e-9)
        self._sums[:] = 100.0 * S, 100.0
        before = chain.vacancies
        chain.flip(np.flatnonzero(chain.occupancy == tables.VACANCY))
        sites, weights = self._lone_weights(chain)
        if self._until_void <= 0.0:
            self._nucleate(chain, S)
        else:
            number = int(self.rng.poisson(S * weights[-1]))
            if self.drive.plates and gives:  # an ion takes the vacancy that comes first
                number = max(1, number)
            places = np.searchsorted(weights, self.rng.random(number) * weights[-1], side="right")
            chain.flip(sites[np.unique(np.minimum(places, len(sites) - 1))])
        self._exchanged(before - chain.vacancies)

    def _lone_weights(self, chain: VacancyEquilibrium) -> tuple[np.ndarray, np.ndarray]:
        """Sites of Li in metal without vacancies, and the running sum of exp(−ΔE/kT)."""
        if self._metal is None:
            sites = np.flatnonzero(chain.occupancy == tables.LI)
            each = np.exp(-chain.formation_ueV[sites] / self.model.kT_ueV)
            self._metal = sites, np.cumsum(each)
        return self._metal

    def nucleation_rate_Hz(self, S: float) -> float:
        """I(S) times the area of the box, of each chemistry its own share."""
        return float(sum(share * vapour.rate_per_um2_s(S) for share, vapour in self._vapours))

    @cached_property
    def _vapours(self) -> list[tuple[float, ClusterVapour]]:
        """Area in µm² and nucleation of each chemistry of the interface; seconds the first time."""
        model, area_um2 = self.model, self.model.lattice.area_A2 * 1e-8
        if self._coverage > _ALL_Mg:
            return []
        sets: list[ParameterSet] = [model.parameters]
        shares = np.ones(1)
        if model.interphase is not None:
            sets = list(model.interphase.parameters)
            sites = np.bincount(model.interphase.chemistry, minlength=len(sets))
            shares = sites / sites.sum()
        try:
            return [
                (
                    share * area_um2,
                    vapour_of(
                        each,
                        model.lattice.unit_cell.name,
                        model.temperature_K,
                        self._coverage,
                        model.reservoir_mg_fraction,
                        self.bar,
                    ),
                )
                for share, each in zip(shares, sets, strict=True)
            ]
        except InputError as problem:
            raise InputError(
                f"acceleration.max_hops_per_strip_per_site = inf needs the nucleation rate of this "
                f"interface: {problem.message}",
                advice="Give a ratio such as 1e6 instead.",
            ) from None

    def _nucleate(self, chain: VacancyEquilibrium, S: float) -> None:
        """The first void: a compact cluster of the size of a nucleus, at a place of L1."""
        n_L1 = self.model.lattice.sites_per_layer
        rates = [share * float(v.rate_per_um2_s(S)) for share, v in self._vapours]
        kind = int(np.searchsorted(np.cumsum(rates), self.rng.random() * sum(rates)))
        kind = min(kind, len(rates) - 1)
        size = max(_FEWEST + 1, round(float(self._vapours[kind][1].nucleus(S))))
        weights = np.exp(-chain.formation_ueV[:n_L1] / self.model.kT_ueV)
        weights *= chain.occupancy[:n_L1] == tables.LI
        if self.model.interphase is not None:
            weights *= self.model.interphase.chemistry == kind
        place = np.searchsorted(np.cumsum(weights), self.rng.random() * weights.sum())
        chain.flip(min(int(place), n_L1 - 1))
        while chain.vacancies < size:
            self._widen(chain)
        self.open, self._credit = False, float(size)

    # --- with a void ------------------------------------------------------------------------------

    def _stand_closed(self, chain: VacancyEquilibrium, dt_s: float) -> float:
        """Equilibrium at the number of vacancies there is, and what leaves for the metal."""
        flux, S = 0.0, self._S_of_nucleus(chain)
        if S > 0.0:
            self._gather(chain)
            self._sums[:] = 10.0 * S, 10.0
        elif chain.vacancies > 0:
            pairs = self.pairs_per_strip
            grown = not self._annealed / _GROWTH < chain.vacancies < self._annealed * _GROWTH
            if grown and chain.vacancies > _MANY * self._lone_hot:
                # Growing vacancy by vacancy a void keeps the facets on which no new layer begins.
                chain.anneal(_ANNEALED_PAIRS * chain.vacancies, self.rng)
                self._annealed = float(chain.vacancies)
            # What has just come is lone for a moment, which would count as S.
            chain.equilibrate(pairs // _UNCOUNTED, self.rng)
            means = chain.equilibrate(pairs - pairs // _UNCOUNTED, self.rng)
            memory = max(100.0, 0.1 * self.model.lattice.sites_per_layer)
            # S is of the n there is: what was measured before n changed by a tenth is forgotten.
            changed = _FORGOTTEN * abs(self.net_strips - self._passed) / chain.vacancies
            self._sums *= (1.0 - 1.0 / memory) / (1.0 + changed)
            self._sums += means.residence, means.residence_above
            S = means.S
        if self.profile is not None:
            flux = self.profile.step(dt_s, S=S) * self.model.lattice.sites_per_layer
            paid = min(self._credit, max(0.0, -flux))
            self._credit -= paid
            self._owed += flux + paid
            self._settle(chain)
            if chain.vacancies < _FEWEST:
                self.open, self._until_void = True, self.rng.standard_exponential()
                self._owed += chain.vacancies - self._credit
                self._credit = 0.0
        return abs(flux)

    def _S_of_nucleus(self, chain: VacancyEquilibrium) -> float:
        """S of a void of few vacancies by the free energies of clusters; 0 of a larger one.

        In the box itself lone vacancies, which the interface around it gives and takes, would have
        a share in so small a number that the void could dissolve into them.
        """
        n = chain.vacancies
        if self.profile is None or n > _MANY * _LARGEST_S * self._lone_per_S or not self._vapours:
            return 0.0
        S = float(self._vapours[0][1].S_eq(n))
        return S if n < _MANY * S * self._lone_per_S else 0.0

    def _gather(self, chain: VacancyEquilibrium) -> None:
        """Put lone vacancies to the void, where their atoms are bound least."""
        lattice = self.model.lattice
        for site in np.flatnonzero(chain.occupancy == tables.VACANCY):
            near = np.concatenate([lattice.neighbours(int(site), s) for s in (1, 2)])
            if (chain.occupancy[near[near >= 0]] == tables.VACANCY).any() or chain.vacancies < 2:
                continue
            chain.flip(site)
            self._widen(chain)

    def _widen(self, chain: VacancyEquilibrium) -> None:
        """Make a vacancy beside those there are, of the atom that is bound least."""
        occupancy = chain.occupancy
        inside = np.flatnonzero(occupancy == tables.VACANCY)
        tables_ = (self.model.lattice.neighbours(inside, shell) for shell in (1, 2))
        near = np.unique(np.concatenate([table.ravel() for table in tables_]))
        near = near[near >= 0]
        near = near[occupancy[near] == tables.LI]
        chain.flip(near[np.argmin(chain.formation_ueV[near])])

    def _settle(self, chain: VacancyEquilibrium) -> None:
        """Give the metal the whole vacancies that it is owed, or take those that it gives."""
        owed = min(math.trunc(self._owed), chain.vacancies)
        self._sums /= 1.0 + _FORGOTTEN * abs(owed) / max(chain.vacancies, 1)
        for _ in range(abs(owed)):
            gives = owed > 0
            wanted = tables.VACANCY if gives else tables.LI
            sites = np.flatnonzero(chain.occupancy == wanted)
            half = 0.5 if gives else -0.5
            rates = np.cumsum(np.exp(half * chain.formation_ueV[sites] / self.model.kT_ueV))
            place = int(np.searchsorted(rates, self.rng.random() * rates[-1], side="right"))
            chain.flip(sites[min(place, len(sites) - 1)])
        self._owed -= owed
        self._exchanged(owed)

    def _exchanged(self, absorbed: int) -> None:
        """Count vacancies that left for the metal, or came from there."""
        counters = self.state.counters
        counters[tables.ABSORBED if absorbed > 0 else tables.EMITTED] += abs(absorbed)
        counters[tables.EVENTS] += abs(absorbed)
        self._gone = absorbed

    def _move_mg(self, occupancy: np.ndarray) -> None:
        """Let metal of the reservoir's composition pass the top of the box with the vacancies.

        The share of Mg goes both ways alike, so that it follows the net number of vacancies.
        """
        gone, self._gone = self._gone, 0
        share = self.model.refill_mg_fraction
        if gone == 0 or share == 0.0:
            return
        brings = gone > 0
        old, new = (tables.LI, tables.MG) if brings else (tables.MG, tables.LI)
        top = self.model.lattice.n_sites - self.model.lattice.sites_per_layer
        sites = top + np.flatnonzero(occupancy[top:] == old)
        number = min(int(self.rng.binomial(abs(gone), share)), len(sites))
        if number:
            occupancy[self.rng.choice(sites, number, replace=False)] = new
            self.state.counters[tables.ABSORBED_MG if brings else tables.EMITTED_MG] += number
            self._chain = None  # of other energies

    # --- state ------------------------------------------------------------------------------------

    def _profile_of(self, model: Model) -> ElectrodeProfile | None:
        # Lone vacancies of L1 and L2 at S = 1; in a heated box a small void would dissolve in them.
        first = model.site_binding_ueV(tables.LI)[1:3] - model.kink_ueV
        self._lone_per_S, self._lone_hot = (
            float(np.exp(-first / (hotter * model.kT_ueV)).sum()) * model.lattice.sites_per_layer
            for hotter in (1.0, HOTTEST)
        )
        if not (model.has_interface and math.isfinite(model.sink_distance_um)):
            return None  # no sink behind the box
        return ElectrodeProfile(model, self._lone_per_S / model.lattice.sites_per_layer)

    def _begin_drive(self) -> None:
        """The first time step under a drive: that of a few strips, or short at rest."""
        per_s = abs(self.model.rate_per_site_Hz(self.current_density_mA_cm2()))
        per_s *= self.model.lattice.sites_per_layer
        self._step_s = _STRIPS / per_s if per_s > 0.0 else _SHORTEST_STEP_s
        if self.drive.flows:  # at a held voltage the net current may be next to none
            self._step_s = min(self._step_s, _LONGEST_STEP_s)

    def set_drive(self, drive: Drive) -> None:
        super().set_drive(drive)
        self.state.activity[:] = self._sums
        self._begin_drive()

    def set_model(self, model: Model) -> None:
        if model is self.model:
            return
        super().set_model(model)
        self._chain, before = None, self.profile
        vars(self).pop("_vapours", None)  # of the temperature before
        self.profile = self._profile_of(model)
        if self.profile is not None and before is not None:
            # The vacancies are those of before, at another temperature.
            self.profile.activity = before.activity * before.held / self.profile.held
        self.state.activity[:] = self._sums

    def begin_row(self) -> None:
        """Rows share one memory of S."""

    def observe_at_rest(self) -> None:
        """S is known without a count of lone vacancies."""

    def update_mixing(self) -> None:
        if self.model.mg_exchange:
            self.set_mixing((self._sums[0] / self._sums[1], 0, self.time_s))

    def extra_state(self) -> dict[str, Any]:
        return {
            "equilibrium": {
                "open": self.open,
                "numbers": [float(getattr(self, name)) for name in _NUMBERS],
                "sums": self._sums.tolist(),
                "profile": [] if self.profile is None else self.profile.activity.tolist(),
            }
        }

    def restore_extra(self, saved: Mapping[str, Any]) -> None:
        state = saved["equilibrium"]
        self.open = bool(state["open"])
        for name, number in zip(_NUMBERS, state["numbers"], strict=True):
            setattr(self, name, float(number))
        self._sums = np.array(state["sums"], dtype=float)
        if self.profile is not None:
            activity = np.array(state["profile"], dtype=float)
            if activity.shape != self.profile.activity.shape or not np.isfinite(activity).all():
                raise ValueError(f"a profile of {activity.size} layers")
            self.profile.activity = activity
        self._passed = self.net_strips


def engine_of(model: Model) -> type[Engine]:
    """What runs a model: every event, or the slow ones with equilibrium between them."""
    return EquilibriumEngine if model.at_equilibrium else Engine
