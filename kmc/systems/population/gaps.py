"""The interface as a field of gaps h(x, y, t) ≥ 0 on a periodic square, and its step in time.

Contact is where h = 0. Stripping leaves vacancies there; they end at sinks of the interface and of
the metal, in the gaps, or at the far side of the metal. Where they end near the interface lattice
planes go and the body follows:

    ∂h/∂t = r − u,    r: recession of the metal's surface,    u: velocity of the body,

u = r on contact. A rigid body has one u = V, the mean of r over contact, and its voids' roofs come
down with it. In voids surface diffusion carries matter, ∂h/∂t ⊃ −B ∇⁴h, with the contact slope and
no flux at the line (`kmc.kernels.outline`). Small slopes stand for real shapes: the slope is that
which gives a paraboloid the volume of the cap over the same footprint. Voids below two cells are
points, paraboloids of the same slope. Every vacancy is counted, as a height:

    stripped + initial = gaps + settled + sink + storage + filled + dead.

For example::

    gaps = Gaps(setting, np.random.default_rng(1))
    while gaps.time_s < 3600 and gaps.step(3600):
        pass
    gaps.h_um, gaps.contact_fraction, gaps.ledger.settled, gaps.imbalance
"""

import math

import numpy as np

from kmc.kernels import outline
from kmc.nuclei.field import Absorbers
from kmc.systems.population.life import gaps_of
from kmc.systems.population.state import FEWEST, FIRST_STEP_S, WEDGE, GapState

_LINE_SHARE = 0.35  # of what fills a wedge's cell, that a cell may gain or lose in a step
_HASTY_SHARE = 0.002  # of the line's cells, that may change by more
_GROWN_SHARE = 0.15  # of the volume of all gaps, that a step may add
_SETTLING_SHARE = 0.1  # of S − 1 on contact, that it may change by in a step
_REST_STEP_SHARE = 0.2
_NUCLEI = 1.0  # nuclei expected in a step, or this share of the points there are:
_NUCLEI_SHARE = 0.01
_TRIED = 2.0  # places tried for each nucleus that the grid expects; S at a place decides
_MIN_CONTACT = 1e-6
_WEDGE_SHARE = 0.2  # of what fills a wedge's cell, that it may gain before the line is found again
_OVERSHOOT = 0.3  # below this a cell of a receding line shows that a part of a step is too long ...
_SHORTEST_SHARE = 1 / 64  # ... down to this share of a step
_LEFT = 0.04  # radius over edge of contact that cannot stay: plating needs a rim to begin from
_TOLERANCE = 1e-3  # of S at the voids, relative to the largest excess


class Gaps(GapState):
    """A field of gaps with its step in time."""

    def step(self, limit_s: float) -> bool:
        """One step, at most to `limit_s`; False where no contact is left to strip from."""
        remaining = limit_s - self.time_s
        dt = min(self.dt_s, remaining)
        # Two equal steps to the end, as a sliver of time would begin the next interval with tiny
        # steps.
        if remaining < 2 * dt:
            dt = remaining if remaining <= dt else remaining / 2
        theta = max(self.contact_fraction, _MIN_CONTACT)
        if self.strips and theta <= _MIN_CONTACT:
            return False
        # Fluxes first, at the shape of the beginning; the shape then follows from them (operator
        # splitting).
        absorbers = self._absorbers()
        rate, per_point, S = self._solve(absorbers, dt)
        nuclei = np.zeros(1)
        # Voids nucleate on contact alone, and only a current that strips supersaturates it.
        if self.setting.homogeneous and self.strips:
            nuclei = self.setting.vapour.rate_per_um2_s(S) * (1 - self.cover)
            nuclei = nuclei * self.setting.pitch_um**2
        expected = float(nuclei.sum()) * dt
        allowed = max(_NUCLEI, _NUCLEI_SHARE * len(self.points))
        # A step of many nuclei would start them all at the S of its beginning, which they
        # themselves lower.
        if expected > 1.5 * allowed:
            dt *= 1.5 * allowed / expected
            rate, per_point, S = self._solve(absorbers, dt)
        before, begun = self.S_contact, self.gaps_um
        near = self._count(absorbers, rate, per_point, S, dt)
        self.surface, self._flux, self.points.per_s = S, rate, per_point
        # The mean over contact: that of all cells without the shares that voids cover.
        free = S.size - float(absorbers.cell_share.sum())
        under = float((absorbers.cell_share * absorbers.cell_supersaturation).sum())
        self.S_contact = (float(S.sum()) - under) / free if free > 0 else 1.0
        # The body follows what ended near contact, and the roofs come down with it.
        site = self.setting.medium.site_volume_um3
        lower, torn, lower_points = self._follow(near * site / theta, S, absorbers, dt)
        # What comes down on contact and over roofs, less what has opened: the mean of the whole
        # body.
        settled = near * site + float((self.cover * lower - torn).mean())
        settled += float(lower_points.sum()) / self.area_um2
        # What voids could not give back is not settled: so the balance holds to rounding.
        missing = self._grow_points(per_point * site * dt, lower_points)
        missing += self._shape_step(rate * (site * dt) + torn * self.setting.pitch_um**2, lower, dt)
        self.ledger.settled += (settled - missing / self.area_um2) / site
        self._plate(dt)
        self._nucleate(nuclei * dt, S)
        self._meet()
        self.time_s += dt
        self.ledger.steps += 1
        self.dt_s = self._next_step(dt, before, begun, expected / dt)
        return True

    # --- vacancies --------------------------------------------------------------------------------

    def _absorbers(self) -> Absorbers:
        """The voids as the field of vacancies sees them."""
        site, vapour, points = self.setting.medium.site_volume_um3, self.setting.vapour, self.points
        names, count = self.parts
        volume = np.bincount(names.ravel(), self.h_um.ravel(), minlength=count + 1)
        over = np.ones(count + 1)
        if count:
            over[1:] = vapour.S_eq(volume[1:] * self.setting.pitch_um**2 / site)
        # All cells of a void have one supersaturation, that of its whole volume: surface diffusion
        # evens it out.
        cells = np.flatnonzero(names)
        patch = np.maximum(self.setting.volume_factor * points.flaw_um**3, points.volume_um3)
        return Absorbers(
            cells,
            self.cover.ravel()[cells],
            over[names.ravel()[cells]],
            points.x_um,
            points.y_um,
            self.point_radius_um,
            vapour.S_eq(np.maximum(patch / site, FEWEST)) if len(points) else np.zeros(0),
        )

    def _solve(self, known: Absorbers, dt: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Vacancies that each cell (n, n) and each point takes in a second, and S (n, n)."""
        pitch2, sink = self.setting.pitch_um**2, self.setting.medium.interface_sink_per_um2_s
        open_ = 1.0 - self.cover
        strips = max(self.flux_per_um2_s, 0.0)
        theta = self.contact_fraction
        # The current is given: what is left of contact carries all of it.
        density = strips / theta if theta > 0 else 0.0
        flux = density * pitch2 * open_
        # The solver counts the sink of the interface in every cell, and under a void there is none.
        flux.ravel()[known.cells] += (
            sink * pitch2 * known.cell_share * (known.cell_supersaturation - 1)
        )
        # The field of a point is that of a lone disc below an even flux, which runs on over it.
        own = (density - sink * (self._at_points(self.surface) - 1)) * self.point_area_um2
        mean = self.mean.step(dt)
        # The last answer: fluxes change by percents in a step, so that few iterations are left.
        guess = (self._flux.ravel()[known.cells], self.points.per_s + own)
        solved = self.field.solve(flux, mean, known, guess, _TOLERANCE)
        rate = np.zeros_like(flux)
        rate.ravel()[known.cells] = solved.cell_per_s
        self.ledger.solver_steps += solved.steps
        # A flaw that has not begun to grow takes and gives nothing.
        still = (solved.point_per_s - own < 0) & (self.points.volume_um3 <= self._flaw_volume())
        if still.any():
            live = ~still
            self.field.spread(known.x_um, known.y_um, -own * still, flux)
            fewer = Absorbers(
                *(known.cells, known.cell_share, known.cell_supersaturation),
                *(known.x_um[live], known.y_um[live]),
                *(known.radius_um[live], known.supersaturation[live]),
            )
            # Solved anew without the flaws at rest, as what they do not take goes to the others.
            again = self.field.solve(
                flux, mean, fewer, (solved.cell_per_s, solved.point_per_s[live]), _TOLERANCE
            )
            per_point = np.zeros(len(still))
            per_point[live] = again.point_per_s - own[live]
            rate.ravel()[known.cells] = again.cell_per_s
            self.ledger.solver_steps += again.steps
            return rate, per_point, again.supersaturation
        return rate, solved.point_per_s - own, solved.supersaturation

    def _count(
        self, known: Absorbers, rate: np.ndarray, per_point: np.ndarray, S: np.ndarray, dt: float
    ) -> float:
        """Book the vacancies of a step; returns those that ended near contact, per µm²."""
        sink, area = self.setting.medium.interface_sink_per_um2_s, self.area_um2
        flux = max(self.flux_per_um2_s, 0.0)
        taken = float(rate.sum() + per_point.sum()) / area
        # No sinks of the interface under voids, though the mean counts them everywhere.
        over = float((known.cell_share * (known.cell_supersaturation - 1)).sum())
        credit = sink * over / self.setting.n_cells**2
        credit += (
            sink * float((self.point_area_um2 * (self._at_points(self.surface) - 1)).sum()) / area
        )
        far, near = self.mean.advance(dt, flux - taken + credit)
        self.ledger.stripped += flux * dt
        self.ledger.sink += far
        return near - credit * dt

    # --- the body ---------------------------------------------------------------------------------

    def _follow(
        self, settled_um: float, S: np.ndarray, known: Absorbers, dt: float
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """How far roofs come down in a step and how far torn contact opens, µm, both (n, n), and
        the volume that points lose, µm³. `settled_um` is what contact recedes by, in its mean.
        """
        setting, area = self.setting, self.point_area_um2
        self.roof_velocity_um_s = settled_um / dt
        if self.body is None:
            return np.full_like(S, settled_um), np.zeros_like(S), settled_um * area
        contact = 1 - self.cover
        excess = S - 1
        mean = float((contact * excess).sum() / contact.sum())
        # Contact recedes where vacancies end, in proportion to S − 1; at S = 1 nothing ends
        # anywhere.
        local = excess / mean if abs(mean) > 1e-12 else np.ones_like(S)
        suction = self._suction_MPa()
        load = self.stack_pressure_MPa * setting.pressure_share
        recession = local * (settled_um / dt)
        self.flow = flow = self.body.flow(contact, recession, suction, load, self._radius_um)
        # γ sin φ × rim / area of a disc.
        drawn_in = 2 * self._line_tension / np.maximum(self.point_radius_um, 1e-9)
        pressing = flow.stress_MPa + drawn_in
        # A penny of radius a in a viscous half-space under P closes by (2/3) P a³/η, with the η of
        # its own size.
        law, stress = self.body.law, flow.stress_MPa
        eta = np.full(len(area), flow.viscosity_MPa_s)
        if law.threshold_hardness_MPa:
            eta[:] = [law.viscosity_MPa_s(stress, r) for r in self.point_radius_um.tolist()]
        closes = 2 / 3 * pressing * self.point_radius_um**3 / eta
        u = flow.velocity_um_s
        over = self.cover > 0
        if over.any():
            self.roof_velocity_um_s = float((u * self.cover).sum() / self.cover.sum())
        # Contact that opens keeps its own surface: the gap is what the body does not follow.
        torn = (contact - flow.contact) * np.maximum(recession - u, 0.0) * dt
        return u * dt, torn, settled_um * area + closes * dt

    @property
    def _line_tension(self) -> float:
        """γ sin φ, MPa µm (N/m)."""
        assert self.body is not None
        return self.body.law.surface_energy_J_m2 * self.setting.sin_angle

    @property
    def _radius_um(self) -> float:
        """Twice the area of voids, or of contact where it is less, over the length of the line."""
        line = float(self.outline.line_lengths().sum()) * self.setting.pitch_um
        line += 2 * math.pi * float(self.point_radius_um.sum())
        theta = self.contact_fraction
        return 2 * min(theta, 1 - theta) * self.area_um2 / line if line else math.inf

    def _suction_MPa(self) -> np.ndarray:
        """Capillary pressure on the roofs of drawn voids, (n, n).

        Mean curvature times γ over a footprint is γ sin φ × rim / area (divergence theorem), that
        of 2γ over the radius of curvature for a cap, whatever the shape and size of the square.
        """
        names, count = self.parts
        of, n_parts = names.ravel(), count + 1
        lengths = np.bincount(of, self.outline.line_lengths().ravel(), minlength=n_parts)
        areas = np.bincount(of, self.cover.ravel(), minlength=n_parts)
        lengths[0] = 0.0  # contact
        per_void = lengths / np.maximum(areas, 1e-9) / self.setting.pitch_um
        return self._line_tension * per_void[names]

    # --- volumes ----------------------------------------------------------------------------------

    def _grow_points(self, gained_um3: np.ndarray, lower: np.ndarray) -> float:
        """Small voids gain volume and come down; returns what they were too small to come down."""
        points = self.points
        if not len(points):
            return 0.0
        floor = self._flaw_volume() / (1 + 1e-9)
        begun = points.volume_um3 + gained_um3
        new = begun - lower
        # Flaws keep the volume with which they began, whatever pressure or undersaturation.
        short = np.maximum(0.0, floor - new)
        # What settling could not take is not settled; what a void could not give, the metal keeps.
        unsettled = np.minimum(short, lower)
        self.mean.put(-float((short - unsettled).sum()) / self._area_um3)
        points.volume_um3 = np.maximum(new, floor)
        return float(unsettled.sum())

    def _shape_step(self, gained_um3: np.ndarray, lower_um: np.ndarray, dt: float) -> float:
        """Drawn voids over a step; returns the volume by which roofs could not come down."""
        setting, shape = self.setting, self.outline
        pitch = setting.pitch_um
        unit = setting.slope * pitch
        h = self.h_um / unit
        # Without a line nothing has moved: the last void's motion would shorten steps for ever.
        self._moved = self.raised_rim_fraction = 0.0
        if not h.any():
            return 0.0
        step = gained_um3 / (pitch**2 * unit)
        down = shape.cover * (lower_um / unit)
        step -= down
        time = dt * setting.surface_um4_s / pitch**4
        shape.pin(h, step, setting.closing_slope)
        if setting.round_at_once:
            return self._round_step(step, down)
        shape.set_mobility(step, time, self.parts[0])
        self.raised_rim_fraction = shape.raised_fraction
        # The line is found anew before it has left its cell: its place decides where the flux goes.
        largest = float(np.abs(step[shape.kind == outline.LINE]).max(initial=0.0))
        longest = max(_SHORTEST_SHARE, 1 / max(1, math.ceil(largest / _WEDGE_SHARE)))
        lowers = float(np.maximum(down, 0.0).sum())
        short = left = done = 0.0
        share, begin = longest, h.copy()
        while done < 1:
            share = min(share, 1 - done)
            new = h.copy()
            shape.relax(new, step * share, time * share)
            # A cell far below 0 has given more than it held: the part is taken again, half as long.
            if float(new.min()) < -_OVERSHOOT and share > _SHORTEST_SHARE:
                share /= 2  # the line wants to go further than a cell
                continue
            lacking, thin = outline.clear(new)
            if lacking > lowers * share:  # not from roofs that came down: the gaps have to give it
                new *= 1 - (lacking - lowers * share) / float(new.sum())
                lacking = lowers * share
            h, short, left, done = new, short + lacking, left + thin, done + share
            shape.locate(h)
            shape.advance(h, time * share)
            shape.locate(h)
            share = min(1.5 * share, longest)
        line = np.flatnonzero(shape.kind == outline.LINE)
        moved = np.abs(h.ravel()[line] - begin.ravel()[line])
        if moved.size:  # a few cells where voids meet do not hold up all the others
            kept = int((1 - _HASTY_SHARE) * (moved.size - 1))
            self._moved = float(np.partition(moved, kept)[kept])
        self.h_um = h * unit
        per = unit * pitch**2
        self.mean.put(left * per / self._area_um3)
        return short * per

    def _round_step(self, step: np.ndarray, down: np.ndarray) -> float:
        """`_shape_step` of voids that surface diffusion makes discs at once, about their centres.

        Voids that touch join; one as wide as the square leaves a disc of contact.
        """
        setting = self.setting
        pitch, unit = setting.pitch_um, setting.slope * setting.pitch_um
        h = self.h_um / unit + step
        lacking, thin = outline.clear(h)
        short = min(lacking, float(np.maximum(down, 0.0).sum()))
        if lacking > short:  # not from roofs that came down: the gaps have to give it
            h *= 1 - (lacking - short) / float(h.sum())
        begun, (names, n), count = self.h_um, self.parts, -1
        radii = [
            np.cbrt(np.bincount(names.ravel(), a.ravel(), n + 1)[1:]) for a in (begun / unit, h)
        ]
        self.h_um = h * unit
        self._locate()
        while count != self.parts[1]:
            count = self.parts[1]
            voids = gaps_of(self.h_um, setting.edge_um, self.parts)
            widest = (
                np.cbrt(voids.volume_um3 / setting.volume_factor) >= setting.edge_um / 2 - pitch
            )
            self.h_um = np.zeros_like(h)
            for number in np.flatnonzero(widest) + 1:
                self._draw_around(voids.label != number, voids.volume_um3[number - 1])
            for x, y, volume in zip(
                *voids.centres_um()[:, ~widest], voids.volume_um3[~widest], strict=True
            ):
                self._draw(x, y, volume)
            self._locate()
        # Of growth alone: which voids touch decides how far the others' rims move, and no step.
        moved = np.abs(np.subtract(*radii)) * (4 / math.pi) ** (1 / 3)
        self._moved = float(moved.max(initial=0.0)) / WEDGE
        self.mean.put(thin * unit * pitch**2 / self._area_um3)
        return short * unit * pitch**2

    def _draw_around(self, contact: np.ndarray, volume_um3: float) -> None:
        """Draw a void around a disc of contact about the centre of `contact` (bool, shape (n, n)).

        Of one curvature in a round cell of the radius b: h' = c (b² − r²)/2r, h(a) = 0, and h'(a)
        is the contact slope. A void of more volume than such a shape can have takes all contact but
        less than that with which a run ends.
        """
        setting, fine = self.setting, 4
        edge, n = setting.edge_um, setting.n_cells
        b = edge / math.sqrt(math.pi)
        a = np.linspace(0.1, 0.5, 400) * edge
        c, ring = 2 * setting.slope * a / (b * b - a * a), b * b - a * a
        volumes = b * b * (b * b / 2 * np.log(b / a) - ring / 4) - (b**4 - a**4) / 8
        volumes = math.pi * c * (volumes + a * a * ring / 4)
        top = int(volumes.argmax())  # smaller discs of contact hold less: they cannot stay
        radius = a[top + np.count_nonzero(volumes[top + 1 :] > volume_um3)]
        if volume_um3 > volumes[top]:
            radius = _LEFT * edge
        places = np.exp(2j * np.pi * (np.arange(n) + 0.5) / n)
        centre = [np.angle((contact * w).sum()) * n / 2 / np.pi for w in (places, places[:, None])]
        at = (np.arange(n * fine) + 0.5) / fine
        x, y = (((at - place + n / 2) % n - n / 2) * setting.pitch_um for place in centre)
        # In (r / radius)², in place: roots and copies would take half of the time of a run.
        r2 = np.maximum((x[None, :] ** 2 + y[:, None] ** 2) / radius**2, 1.0)
        h = np.log(r2)
        h *= (b / radius) ** 2
        h -= r2
        h = (h.reshape(n, fine, n, fine).sum(axis=(1, 3)) + fine**2) / 2
        self.h_um += h * (volume_um3 / setting.pitch_um**2 / h.sum())

    # --- beginnings -------------------------------------------------------------------------------

    def _nucleate(self, expected: np.ndarray, S: np.ndarray) -> None:
        """Nucleate voids at random, and take their vacancies from the metal."""
        total = float(expected.sum())
        # Twice as many as expected, since S between the cells can be higher than their mean;
        # rejection then puts it right.
        tried = int(self.rng.poisson(_TRIED * total)) if total > 0 else 0
        if not tried:
            return
        n, pitch = self.setting.n_cells, self.setting.pitch_um
        edges = np.cumsum(expected.ravel())
        cells = np.searchsorted(edges, self.rng.random(tried) * edges[-1], side="right")
        row, column = np.divmod(np.minimum(cells, n * n - 1), n)
        x = (column + self.rng.random(tried)) * pitch
        y = (row + self.rng.random(tried)) * pitch
        points = self.points
        none, flaws = np.zeros(0), points.flaw_um
        small = Absorbers(none, none, none, points.x_um, points.y_um, self.point_radius_um, flaws)
        lower = self.field.beside_points(x, y, small, points.per_s)
        on_grid = S[row, column]
        there, rate = np.maximum(on_grid - lower, 1.0), self.setting.vapour.rate_per_um2_s
        # Thinning by the rate at the very place, which near small voids is far below that of the
        # grid.
        kept = self.rng.random(tried) * _TRIED * rate(on_grid) < rate(there)
        count = self.setting.vapour.nucleus(there[kept])
        self.mean.put(-float(np.sum(count)) / self.area_um2)
        points.add(x[kept], y[kept], count * self.setting.medium.site_volume_um3)
        self.ledger.nucleated += len(count)

    # --- plating ----------------------------------------------------------------------------------

    def _plate(self, dt: float) -> None:
        """Plated metal fills gaps from their rims, alike per length; the rest lifts the body."""
        if self.flux_per_um2_s >= 0:
            return
        setting, ledger, shape = self.setting, self.ledger, self.outline
        pitch = setting.pitch_um
        plated = -self.flux_per_um2_s * dt
        ledger.plated += plated
        left = plated * self._area_um3
        filled = dead = 0.0
        unit = setting.slope * pitch
        # A rim that reaches the middle of its void leaves metal over: it goes to the rims that are
        # left.
        for _ in range(20):
            shape.locate(self.h_um / unit)
            rim = np.empty_like(self.h_um)
            outline.rim_lengths(shape.nx, shape.ny, shape.kind, rim)
            rim *= pitch
            round_points = 2 * math.pi * self.point_radius_um
            floor = self._flaw_volume() / (1 + 1e-9)
            round_points[self.points.volume_um3 <= floor] = 0.0
            total = float(rim.sum() + round_points.sum())
            if total <= 0 or left <= 1e-12 * plated * self._area_um3:
                break
            # Of steep rims, those that surface diffusion has not rounded off, a part is cut off.
            steep = np.clip(self.h_um / unit - 0.5, 0.0, 1.0)
            lost = setting.cut_off_share * steep
            room = self.h_um * pitch**2
            into = np.minimum(left * rim / total, room * (1 - lost))
            gone = np.minimum(into * lost / (1 - lost), room - into)
            small = np.minimum(left * round_points / total, self.points.volume_um3 - floor)
            shape.pin(self.h_um, -(into + gone) / pitch**2, setting.closing_slope)
            self.h_um = np.maximum(0.0, self.h_um - (into + gone) / pitch**2)
            self.points.volume_um3 -= small
            part = float(into.sum() + small.sum())
            filled, dead, left = filled + part, dead + float(gone.sum()), left - part
        ledger.filled += filled / self._area_um3
        ledger.dead += dead / self._area_um3
        ledger.grown += left / self._area_um3

    # --- steps ------------------------------------------------------------------------------------

    def _next_step(self, dt: float, before: float, begun: float, nuclei_per_s: float) -> float:
        """How long the next step may be."""
        # Never more than twice the last step: the limits below look back and not ahead.
        limits = [2.0 * dt]
        if self._moved > 0:
            limits.append(dt * _LINE_SHARE / self._moved)
        if not self.flows:
            limits.append(max(FIRST_STEP_S, _REST_STEP_SHARE * (self.time_s - self.switched_s)))
        # S may jump when voids appear; relative to S − 1, as S itself is near 1 with sinks nearby.
        change = abs(self.S_contact - before) / max(abs(self.S_contact - 1), 1e-3)
        if change > 0:
            limits.append(max(dt * _SETTLING_SHARE / change, FIRST_STEP_S, 1e-3 * self.time_s))
        grown = abs(self.gaps_um - begun) / self.gaps_um if self.gaps_um > 0 else 0.0
        if grown > 0:
            limits.append(max(dt * _GROWN_SHARE / grown, FIRST_STEP_S))
        if nuclei_per_s > 0:
            allowed = max(_NUCLEI, _NUCLEI_SHARE * len(self.points))
            limits.append(max(1e-3 * self.time_s, allowed / nuclei_per_s))
        return min(limits)
