"""A population of voids on a periodic square of interface, from the first nuclei to one gap.

Stripping leaves vacancies on contact. They go to the voids, to the sink behind the metal, or stay
in the metal; voids nucleate where the supersaturation is high, exchange vacancies, meet, round off
and creep shut. Every vacancy is counted:

    stripped + at the start = in voids + gone to the sink + closed by creep + stored in the metal
                              + filled by plated metal + cut off by it.

Plating (`plating`) fills voids from their rims; what finds no void pushes the metal back.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, Protocol

import numpy as np

from kmc.kernels import discs
from kmc.mesoscale import coalescence, footprints, plating
from kmc.mesoscale.coalescence import Rounding
from kmc.mesoscale.field import MeanField, Medium, Solution, SurfaceField
from kmc.mesoscale.footprints import SMALLEST, Footprints
from kmc.mesoscale.voids import Shape, Voids

_FIRST_STEP_S = 1e-7
_STEP_SHARE = 0.04  # of the time since the current was switched on, that a step may take
_REST_STEP_SHARE = 0.2  # since it was switched off; ripening has limits of its own
_MOST_BORN = 1.0  # nuclei expected in a step, or this share of the lobes there are:
_MOST_BORN_SHARE = 0.01
_LEAST_STEP_SHARE = 1e-3  # of the time since the switch: births do not make steps shorter
_MOST_DYING_SHARE = 0.02  # of the voids, in a step
_MOST_EXCHANGED = 0.05  # of the volume in voids, in a step
_MOST_FILLED = 0.02  # of the volume in voids when plating began, in a step of it
_TRIED = 2.0  # places tried for each nucleus that the grid expects; S at a place decides


class Vapour(Protocol):
    """What voids and vacancies in equilibrium are like: nucleation, vapour pressure of a void."""

    capillary_um: float

    def S_eq(self, count: np.ndarray) -> np.ndarray:
        """Supersaturation at which a void of so many vacancies neither grows nor shrinks."""

    def rate_per_um2_s(self, supersaturation: np.ndarray) -> np.ndarray:
        """Voids nucleated on contact."""

    def nucleus(self, supersaturation: np.ndarray) -> np.ndarray:
        """Vacancies of a void that has just nucleated and will grow."""


@dataclass(frozen=True)
class Flaws:
    """Patches without contact from which voids grow: how many in the square, their radius in µm."""

    number: int
    radius_um: float
    count: float


@dataclass(frozen=True)
class Setting:
    """Everything a population follows from.

    Attributes
    ----------
    edge_um : float
    n_cells : int
        Cells of the grid along an edge.
    medium : Medium
    vapour : Vapour
    shape : Shape
    rounding : Rounding
    strip_per_um2_s : float
        Vacancies that stripping leaves per area and second, j/e, at the beginning.
    homogeneous : bool
        Whether voids nucleate on contact.
    flaws : Flaws, optional
    closure : callable
        Contact fraction → rate at which creep closes voids, 1/s.
    sharing : {"field", "equal"}
        Who gets the vacancies: whom the field leads them to, or every lobe the same share.
    cut_off_share : float
        Share of a round void that plating cuts off where nothing rounds it (`plating`).
    """

    edge_um: float
    n_cells: int
    medium: Medium
    vapour: Vapour
    shape: Shape
    rounding: Rounding
    strip_per_um2_s: float
    homogeneous: bool
    flaws: Flaws | None
    closure: Callable[[float], float]
    sharing: Literal["field", "equal"] = "field"
    cut_off_share: float = 0.0


@dataclass
class Ledger:
    """Vacancies, or plated atoms, per µm² since the beginning, and events.

    `plated` atoms have `filled` vacancies of voids or pushed the metal back, `grown`; `dead` are
    the vacancies of what plating cut off.
    """

    stripped: float = 0.0
    initial: float = 0.0
    sink: float = 0.0
    creep: float = 0.0
    plated: float = 0.0
    filled: float = 0.0
    grown: float = 0.0
    dead: float = 0.0
    closed: int = 0
    born: int = 0
    met: int = 0
    dissolved: int = 0
    steps: int = 0


class Population:
    """The state of a population, and its step in time.

    Parameters
    ----------
    setting : Setting
    rng : numpy Generator
    """

    def __init__(self, setting: Setting, rng: np.random.Generator):
        self.setting, self.rng = setting, rng
        self.field = SurfaceField(setting.medium, setting.edge_um, setting.n_cells)
        self.mean = MeanField(setting.medium, setting.edge_um)
        self.voids = Voids(setting.edge_um, setting.medium.site_volume_um3, setting.shape)
        self.ledger = Ledger()
        self.time_s = 0.0
        self.switched_s = 0.0  # when the current was switched on or off
        self.flux_per_um2_s = setting.strip_per_um2_s  # below 0 while plating
        self.at_switch = 0.0  # vacancies in voids then
        self.dt_s = _FIRST_STEP_S
        self.closure = setting.closure
        self._cell_flux = np.zeros((setting.n_cells, setting.n_cells))
        self._point_flux: tuple[np.ndarray, np.ndarray] = (np.zeros(0, np.int64), np.zeros(0))
        self.surface = np.ones((setting.n_cells, setting.n_cells))
        self.free = np.ones((setting.n_cells, setting.n_cells))  # share of each cell on contact
        self.S_contact = 1.0  # mean on contact
        if setting.flaws is not None and setting.flaws.number:
            x, y = rng.random((2, setting.flaws.number)) * setting.edge_um
            self.voids.add(x, y, setting.flaws.count, setting.flaws.radius_um)
            self.ledger.initial = setting.flaws.number * setting.flaws.count / self.area_um2
            coalescence.meet(self.voids, setting.rounding)

    @property
    def area_um2(self) -> float:
        return self.setting.edge_um**2

    @property
    def contact_fraction(self) -> float:
        return 1.0 - self.voids.covered

    @property
    def in_voids_per_um2(self) -> float:
        return float(self.voids.count.sum()) / self.area_um2

    @property
    def imbalance(self) -> float:
        """What the vacancies' ledger misses, relative to all that were made."""
        ledger = self.ledger
        gone = self.in_voids_per_um2 + ledger.sink + ledger.creep + self.mean.stored_per_um2
        gone += ledger.filled + ledger.dead
        made = ledger.stripped + ledger.initial
        return (made - gone) / made if made else 0.0

    @property
    def flows(self) -> bool:
        """Whether a current flows, in either direction."""
        return self.flux_per_um2_s != 0

    @property
    def strips(self) -> bool:
        return self.flux_per_um2_s > 0

    def switch(self, flux_per_um2_s: float) -> None:
        """Another current from now on: vacancies per area and second, below 0 to plate."""
        self.flux_per_um2_s, self.switched_s = flux_per_um2_s, self.time_s
        self.dt_s = _FIRST_STEP_S if self.strips else 1e-3 * self.dt_s
        self.at_switch = float(self.voids.count.sum())

    # --- a step -----------------------------------------------------------------------------------

    def step(self, limit_s: float) -> bool:
        """One step, at most to `limit_s`; False where no contact is left to strip from."""
        remaining = limit_s - self.time_s
        dt = min(self.dt_s, remaining)
        if remaining < 2 * dt:
            dt = min(dt, remaining) if remaining <= dt else remaining / 2
        if self.setting.sharing == "equal":
            return self._step_equal(dt)
        drawn = self._draw()
        if self.strips and not drawn.free.any():
            return False
        while True:
            solved = self._solve(drawn, dt)
            rate = self._birth_rates(drawn, solved)
            expected = float(rate.sum()) * dt
            most = max(_MOST_BORN, _MOST_BORN_SHARE * self.voids.lobes)
            shortest = max(_FIRST_STEP_S, _LEAST_STEP_SHARE * (self.time_s - self.switched_s))
            if expected <= 1.5 * most or dt <= shortest:
                break
            dt = max(shortest, dt * max(0.2, 0.8 * most / expected))
        if expected > 1.5 * most:  # so many would drink each other's vacancies within the step
            rate *= 1.5 * most / expected
            expected = 1.5 * most
        per_void, per_lobe = self._shares(drawn, solved)
        self._grow(per_lobe, dt)
        flux = max(self.flux_per_um2_s, 0.0)
        taken = float(per_void.sum()) / self.area_um2
        self.ledger.stripped += flux * dt
        self.ledger.sink += sum(self.mean.advance(dt, flux - taken))
        self._bury()
        self._plate(dt)
        self._bear(rate * dt, drawn, solved)
        self._meet(dt)
        self.surface = solved.supersaturation
        self.free, self.S_contact = drawn.free, drawn.mean_on_contact(solved.supersaturation)
        self._remember(drawn, solved)
        self.time_s += dt
        self.ledger.steps += 1
        self.dt_s = self._next_step(dt, per_void, expected / dt)
        return True

    def _step_equal(self, dt: float) -> bool:
        """All that is stripped, in equal parts to the lobes; no field, no sink, no storage."""
        flux = max(self.flux_per_um2_s, 0.0) * self.area_um2
        if self.strips and (self.contact_fraction <= 0 or not self.voids.lobes):
            return False
        self._grow(np.full(self.voids.lobes, flux / max(1, self.voids.lobes)), dt)
        self.ledger.stripped += flux * dt / self.area_um2
        self._plate(dt)
        self._meet(dt)
        self.time_s += dt
        self.ledger.steps += 1
        self.dt_s = max(_FIRST_STEP_S, _STEP_SHARE * (self.time_s - self.switched_s))
        return True

    # --- the field --------------------------------------------------------------------------------

    def _draw(self) -> Footprints:
        """The voids as the field sees them."""
        return footprints.draw(self.voids, self.field, self.setting.vapour.S_eq)

    def _solve(self, drawn: Footprints, dt: float) -> Solution:
        mean, old = self.mean.step(dt), drawn.drinkers
        flux = np.zeros(drawn.free.shape)
        own = np.zeros(len(drawn.points))
        if self.strips:
            # The field of a point is that of a lone disc below an even flux, which has to run on
            # over the disc; what it takes for itself so is not stripped there.
            density = self.flux_per_um2_s * self.area_um2 / drawn.free.sum()
            own = density * drawn.point_cells
            flux[:] = density
            flux.flat[old.cells] -= density * old.cell_share
        solved = self.field.solve(flux, mean, old, self._guess(drawn, own))
        solved.point_per_s -= own
        # A void cannot give more than it has: those that would, give all, and the rest is solved
        # again around them.
        spare = self._spare()[drawn.points]
        dying = solved.point_per_s * dt < -spare
        if not dying.any():
            return solved
        given = np.where(dying, -spare / dt, 0.0)
        source = np.zeros_like(flux)
        width, reach = self.field.smear
        out = np.where(dying, own + given, 0.0)
        discs.spread(old.x_um, old.y_um, -out, width, reach, self.setting.edge_um, source)
        live = ~dying
        fewer = replace(
            old,
            x_um=old.x_um[live],
            y_um=old.y_um[live],
            radius_um=old.radius_um[live],
            supersaturation=old.supersaturation[live],
        )
        begin = (solved.cell_per_s, (solved.point_per_s + own)[live])
        again = self.field.solve(flux + source, mean, fewer, begin)
        points = given.copy()
        points[live] = again.point_per_s - own[live]
        return Solution(again.supersaturation, again.cell_per_s, points, solved.steps + again.steps)

    def _spare(self) -> np.ndarray:
        """Vacancies that each void can give: all but the patch of a flaw."""
        voids = self.voids
        flaw = self.setting.flaws.count if self.setting.flaws is not None else 0.0
        return voids.counts - voids.total(np.where(voids.floor_um > 0, flaw, 0.0))

    def _guess(self, drawn: Footprints, own: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        numbers, flux = self._point_flux
        wanted = drawn.numbers
        points = np.zeros(len(wanted))
        if len(numbers):
            at = np.minimum(np.searchsorted(numbers, wanted), len(numbers) - 1)
            points = np.where(numbers[at] == wanted, flux[at], 0.0)
        return self._cell_flux.flat[drawn.drinkers.cells], points + own

    def _remember(self, drawn: Footprints, solved: Solution) -> None:
        self._cell_flux = np.zeros_like(self._cell_flux)
        self._cell_flux.flat[drawn.drinkers.cells] = solved.cell_per_s
        self._point_flux = (drawn.numbers, solved.point_per_s)

    def _shares(self, drawn: Footprints, solved: Solution) -> tuple[np.ndarray, np.ndarray]:
        """Vacancies per second of each void and of each of its lobes."""
        voids = self.voids
        of_lobe = np.bincount(drawn.lobes, solved.cell_per_s, minlength=voids.lobes)
        per_void = voids.total(of_lobe)
        per_void[drawn.points] = solved.point_per_s
        # Among the lobes: where it arrives, where it does; in points by their size.
        weight = np.maximum(of_lobe, 0.0)
        small = np.zeros(len(voids), bool)
        small[drawn.points] = True
        small |= (per_void <= 0) | (voids.total(weight) <= 0)
        by_size = np.where(
            per_void[voids.owner] > 0, voids.radius_um, np.maximum(voids.count, 1e-9)
        )
        weight = np.where(small[voids.owner], by_size, weight)
        per_lobe = per_void[voids.owner] * weight / voids.total(weight)[voids.owner]
        return per_void, per_lobe

    # --- changes ----------------------------------------------------------------------------------

    def _grow(self, per_lobe: np.ndarray, dt: float) -> None:
        """dV/dt = q − k V over a step, k by creep; what creep closed is booked."""
        voids = self.voids
        rate = float(self.closure(self.contact_fraction))
        if rate > 0:
            decay = -math.expm1(-rate * dt)
            grown = voids.count - voids.count * decay + per_lobe * (decay / rate)
            flaw = self.setting.flaws.count if self.setting.flaws is not None else 0.0
            least = np.where(voids.floor_um > 0, np.minimum(flaw, voids.count), 0.0)
            grown = np.maximum(grown, np.minimum(least, voids.count + per_lobe * dt))
            self.ledger.creep += float((voids.count + per_lobe * dt - grown).sum()) / self.area_um2
        else:
            grown = voids.count + per_lobe * dt
        voids.count = grown

    def _bury(self) -> None:
        """Take away voids that have dissolved; what is left of them goes into the metal."""
        voids = self.voids
        # A flaw keeps its patch until metal has filled all of it.
        gone = (voids.counts < SMALLEST) & (voids.total(voids.floor_um) == 0)
        gone |= voids.counts <= 0
        negative = voids.count < 0  # a lobe below nothing borrows from the others of its void
        if negative.any():
            owners = np.unique(voids.owner[negative])
            for owner in owners[~gone[owners]]:
                lobes = voids.owner == owner
                total = voids.count[lobes].sum()
                positive = np.maximum(voids.count[lobes], 0.0)
                voids.count[lobes] = positive * (total / positive.sum())
        if gone.any():
            left = float(voids.counts[gone].sum()) / self.area_um2
            self.mean.put(left)
            self.ledger.dissolved += int(np.count_nonzero(gone))
            voids.keep(~gone)

    def _birth_rates(self, drawn: Footprints, solved: Solution) -> np.ndarray:
        """Voids that nucleate in each cell in a second."""
        if not self.setting.homogeneous:
            return np.zeros(1)
        rate = self.setting.vapour.rate_per_um2_s(solved.supersaturation)
        return rate * drawn.free * self.field.pitch_um**2

    def _bear(self, expected: np.ndarray, drawn: Footprints, solved: Solution) -> None:
        """Nucleate voids at random, and take their vacancies from the metal."""
        total = float(expected.sum())
        born = int(self.rng.poisson(_TRIED * total)) if total > 0 else 0
        if not born:
            return
        n, pitch = self.setting.n_cells, self.field.pitch_um
        edges = np.cumsum(expected.ravel())
        cells = np.searchsorted(edges, self.rng.random(born) * edges[-1], side="right")
        cells = np.minimum(cells, n * n - 1)
        row, column = np.divmod(cells, n)
        # In a sub-cell on contact, each as likely.
        bits = np.ascontiguousarray(drawn.covered.flat[cells], dtype="<u8").view(np.uint8)
        open_ = np.cumsum(1 - np.unpackbits(bits, bitorder="little").reshape(born, 64), axis=1)
        place = (open_ > self.rng.random((born, 1)) * open_[:, -1:]).argmax(axis=1)
        x = (column + (place % 8 + self.rng.random(born)) / 8) * pitch
        y = (row + (place // 8 + self.rng.random(born)) / 8) * pitch
        # Close to a small void S is lower than on the grid, a few cells away a little higher.
        on_grid = solved.supersaturation.flat[cells]
        lower = self.field.beside_points(x, y, drawn.drinkers, solved.point_per_s)
        S, rate = np.maximum(on_grid - lower, 1.0), self.setting.vapour.rate_per_um2_s
        kept = self.rng.random(born) * _TRIED * rate(on_grid) < rate(S)
        count = self.setting.vapour.nucleus(S[kept])
        self.mean.put(-float(count.sum()) / self.area_um2)
        self.voids.add(x[kept], y[kept], count)
        self.ledger.born += len(count)

    def _plate(self, dt: float) -> None:
        """Metal plated in a step: into voids from their rims, the rest pushes the metal back."""
        if self.flux_per_um2_s >= 0:
            return
        voids, ledger, area = self.voids, self.ledger, self.area_um2
        flaw = self.setting.flaws.count if self.setting.flaws is not None else 0.0
        share = 0.0 if self.setting.rounding.relaxation == "instant" else self.setting.cut_off_share
        voids.measure()
        least = np.where(voids.floor_um > 0, flaw, 0.0)
        done = plating.plate(voids, -self.flux_per_um2_s * dt * area, share, least)
        ledger.plated += -self.flux_per_um2_s * dt
        ledger.filled += done.filled / area
        ledger.dead += done.cut_off / area
        ledger.grown += done.pushed / area
        ledger.closed += done.closed

    def _meet(self, dt: float) -> None:
        rounding = self.setting.rounding
        self.ledger.met += coalescence.meet(self.voids, rounding)
        coalescence.relax(self.voids, rounding, dt)

    def _next_step(self, dt: float, per_void: np.ndarray, births_per_s: float) -> float:
        """How long the next step may be."""
        since = self.time_s - self.switched_s
        share = _STEP_SHARE if self.strips else _REST_STEP_SHARE
        limits = [max(_FIRST_STEP_S, share * since), 2.0 * dt]
        most = max(_MOST_BORN, _MOST_BORN_SHARE * self.voids.lobes)
        if births_per_s > 0:
            limits.append(max(_LEAST_STEP_SHARE * since, most / births_per_s))
        if self.flux_per_um2_s < 0 and self.at_switch > 0:
            limits.append(_MOST_FILLED * self.at_switch / (-self.flux_per_um2_s * self.area_um2))
        if not self.strips and len(per_void):
            counts = self.voids.count.sum()
            exchanged = float(np.abs(per_void).sum())
            if exchanged > 0 and counts > 0:
                limits.append(_MOST_EXCHANGED * counts / exchanged)
        return min(limits)
