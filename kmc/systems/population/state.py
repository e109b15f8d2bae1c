"""The state of a field of gaps h(x, y, t) ≥ 0 on a periodic square.

Contact is where h = 0. Voids below two cells are points, paraboloids of the contact slope; they
join each other and drawn voids, are drawn as they grow, and drawn voids that shrink become points.
`kmc.systems.population.gaps` steps it in time.
"""

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.ndimage import maximum_filter

from kmc.analysis.shapes import labels
from kmc.common.threads import over_rows, threads_for
from kmc.kernels import outline
from kmc.nuclei.field import MeanField, SurfaceField, overlaps
from kmc.systems.population.body import Body, Flow
from kmc.systems.population.setting import GapSetting

FIRST_STEP_S = 1e-4
FEWEST = 3.0  # vacancies of a void
_CLOCK = (
    *("time_s", "switched_s", "dt_s", "flux_per_um2_s", "pressure_MPa"),
    *("S_contact", "roof_velocity_um_s", "_moved", "raised_rim_fraction", "_set_at_um"),
)
_LIP_CELLS = 1.5  # thinnest lip of a moving rim that surface diffusion leaves on the grid
WEDGE = 2.0  # cells that a line moves by for a unit that its cells gain: a wedge fills at a half


@dataclass
class Ledger:
    """Vacancies or atoms per µm² since the beginning (times Ω: heights), and numbers of events.

    `settled` is the mean height by which the body has come down; `grown` what plating lifted it
    by; `filled` went into gaps, `dead` was cut off by plating.
    """

    stripped: float = 0.0
    initial: float = 0.0
    settled: float = 0.0
    sink: float = 0.0
    plated: float = 0.0
    filled: float = 0.0
    grown: float = 0.0
    dead: float = 0.0
    nucleated: int = 0
    met: int = 0
    dissolved: int = 0
    closed: int = 0
    steps: int = 0
    solver_steps: int = 0


@dataclass
class Points:
    """Voids below two cells: places, volumes in µm³, radius of the flaw at their foot or 0."""

    x_um: np.ndarray = field(default_factory=lambda: np.zeros(0))
    y_um: np.ndarray = field(default_factory=lambda: np.zeros(0))
    volume_um3: np.ndarray = field(default_factory=lambda: np.zeros(0))
    flaw_um: np.ndarray = field(default_factory=lambda: np.zeros(0))
    per_s: np.ndarray = field(default_factory=lambda: np.zeros(0))  # vacancies taken, of late

    def __len__(self) -> int:
        return len(self.x_um)

    def keep(self, which: np.ndarray) -> None:
        for part in fields(self):
            setattr(self, part.name, getattr(self, part.name)[which])

    def add(self, x: ArrayLike, y: ArrayLike, volume: ArrayLike, flaw: ArrayLike = 0.0) -> None:
        n = len(np.atleast_1d(x))
        for name, values in zip(
            ("x_um", "y_um", "volume_um3", "flaw_um", "per_s"),
            (x, y, volume, flaw, 0.0),
            strict=True,
        ):
            new = np.broadcast_to(np.asarray(values, dtype=float), (n,))
            setattr(self, name, np.concatenate([getattr(self, name), new]))


class GapState:
    """The state of a field of gaps.

    - `h_um` (float64 array, shape (n, n)): gap, the mean over each cell; rows are y, columns x.
    - `cover` (the same shape): share of each cell under a drawn void; contact is where it is 0.
    - `parts`: number of the drawn void of each cell from 1, 0 on contact; how many there are.
    - `points` (Points).
    - `surface`, `S_contact`: S of each cell, and its mean over contact.
    - `roof_velocity_um_s`: V, at which the body comes down.
    - `pressure_MPa`: stack pressure to which the fixture was set, before `pressure_share`.
    - `raised_rim_fraction`: share of the contact line where the last step raised B, as its lip is
      thinner than the cells (`Outline.set_mobility`).
    """

    def __init__(self, setting: GapSetting, rng: np.random.Generator):
        self.setting, self.rng = setting, rng
        n = setting.n_cells
        self.field = SurfaceField(setting.medium, setting.edge_um, n)
        self.mean = MeanField(setting.medium, setting.edge_um)
        self.ledger = Ledger()
        self.points = Points()
        self.time_s = self.switched_s = 0.0
        self.dt_s = FIRST_STEP_S
        self.flux_per_um2_s = setting.strip_per_um2_s
        self.pressure_MPa = setting.pressure_MPa
        self.h_um = np.zeros((n, n))
        self.surface = np.ones((n, n))
        self.S_contact = 1.0
        self.roof_velocity_um_s = 0.0
        self._flux = np.zeros((n, n))  # vacancies that each cell took of late, 1/s
        self.body = Body(setting.body, setting.edge_um, n) if setting.body is not None else None
        self.flow: Flow | None = None
        self.outline = Outline(n)
        self.raised_rim_fraction = 0.0
        self.flaws_um = np.zeros((3, 0))  # places x, y and radii of the flaws
        self._set_at_um = 0.0  # shortening of the stack when the fixture was set
        self._moved = 0.0  # change of the line's cells in the last step, in wedges
        if (flaws := setting.flaws) is not None and flaws.number:
            x, y = rng.random((2, flaws.number)) * setting.edge_um
            # Drawn after all places, so that another width of radii leaves the places as they are.
            radius = flaws.radius_um * np.exp(flaws.sigma * rng.standard_normal(flaws.number))
            self.flaws_um = np.stack([x, y, radius])
            self._open(np.arange(flaws.number))
            self.ledger.initial = float(self.points.volume_um3.sum()) / self._area_um3
        self._locate()

    def _open(self, which: np.ndarray) -> None:
        """Begin voids at some of the flaws: patches of a layer without contact."""
        assert self.setting.flaws is not None
        x, y, radius = self.flaws_um[:, which]
        self.points.add(x, y, math.pi * radius**2 * self.setting.flaws.height_um, radius)

    def reopen(self) -> None:
        """Open all flaws that are in contact: an unbonded place stays one below plated metal.

        Their volume counts as `initial`, as at the start.
        """
        if self.setting.flaws is None or not self.setting.flaws.reopen:
            return
        begun, edge = self.in_voids_per_um2, self.setting.edge_um
        x, y, _ = self.flaws_um
        row, column = (np.stack([y, x]) / self.setting.pitch_um).astype(int) % len(self.h_um)
        closed = self.h_um[row, column] <= 0
        for x_um, y_um, radius in zip(
            self.points.x_um, self.points.y_um, self.point_radius_um, strict=True
        ):
            dx, dy = ((way + edge / 2) % edge - edge / 2 for way in (x - x_um, y - y_um))
            closed &= np.hypot(dx, dy) > radius
        self._open(np.flatnonzero(closed))
        self.ledger.initial += self.in_voids_per_um2 - begun
        self._meet()

    # --- what it is like --------------------------------------------------------------------------

    @property
    def area_um2(self) -> float:
        return self.setting.edge_um**2

    @property
    def _area_um3(self) -> float:
        """Volume of a vacancy per µm²."""
        return self.area_um2 * self.setting.medium.site_volume_um3

    @property
    def cover(self) -> np.ndarray:
        return self.outline.cover

    @property
    def contact(self) -> np.ndarray:
        """Cells that are wholly in contact but for points, shape (n, n)."""
        return self.outline.kind == outline.DRY

    @property
    def contact_fraction(self) -> float:
        # Points are smaller than cells: the grid does not see them, but contact does.
        under = float(self.cover.mean()) + float(self.point_area_um2.sum()) / self.area_um2
        return max(0.0, 1.0 - under)

    @property
    def point_radius_um(self) -> np.ndarray:
        """Radii of small voids; at least that of the flaw at their foot."""
        grown = np.cbrt(self.points.volume_um3 / self.setting.volume_factor)
        return np.maximum(grown, self.points.flaw_um)

    @property
    def point_area_um2(self) -> np.ndarray:
        return math.pi * self.point_radius_um**2

    @property
    def gaps_um(self) -> float:
        """Mean height of all gaps."""
        volume = float(self.h_um.sum()) * self.setting.pitch_um**2
        return (volume + float(self.points.volume_um3.sum())) / self.area_um2

    @property
    def in_voids_per_um2(self) -> float:
        return self.gaps_um / self.setting.medium.site_volume_um3

    @property
    def max_supersaturation(self) -> float:
        return float(self.surface.max())

    @property
    def strips(self) -> bool:
        return self.flux_per_um2_s > 0

    @property
    def flows(self) -> bool:
        return self.flux_per_um2_s != 0

    def switch(self, flux_per_um2_s: float, pressure_MPa: float | None = None) -> None:
        """Another current from now on, below 0 to plate; and another stack pressure."""
        self.flux_per_um2_s, self.switched_s = flux_per_um2_s, self.time_s
        # A new current changes S within milliseconds, whatever step the old one had reached.
        self.dt_s = min(self.dt_s, max(FIRST_STEP_S, 1e-3 * self.dt_s))
        if pressure_MPa is not None and pressure_MPa != self.pressure_MPa:
            self.pressure_MPa, self._set_at_um = pressure_MPa, self.shortening_um

    @property
    def shortening_um(self) -> float:
        """Height by which the stack has become shorter since the beginning.

        Metal that settles shortens it, metal that leaves a void or fills one does not; plating that
        lifts the body and a counter electrode that swells lengthen it.
        """
        ledger = self.ledger
        swells = self.setting.counter_electrode_share * (ledger.stripped - ledger.plated)
        return (ledger.settled - ledger.grown - swells) * self.setting.medium.site_volume_um3

    @property
    def stack_pressure_MPa(self) -> float:
        """P = P0 − k (shortening since the fixture was set to P0), at least 0."""
        gives = self.setting.fixture_stiffness_MPa_per_um
        return max(0.0, self.pressure_MPa - gives * (self.shortening_um - self._set_at_um))

    def _point_cells(self) -> tuple[np.ndarray, np.ndarray]:
        """Rows and columns of the cells in which points lie."""
        places = np.stack([self.points.y_um, self.points.x_um]) / self.setting.pitch_um
        row, column = places.astype(int) % self.setting.n_cells
        return row, column

    def _at_points(self, grid: np.ndarray) -> np.ndarray:
        return grid[self._point_cells()]

    def _flaw_volume(self) -> np.ndarray:
        height = self.setting.flaws.height_um if self.setting.flaws is not None else 0.0
        return math.pi * self.points.flaw_um**2 * height * (1 + 1e-9)

    # --- voids that meet, are drawn, or shrink ----------------------------------------------------

    def _locate(self) -> None:
        self.outline.locate(self.h_um / (self.setting.slope * self.setting.pitch_um))
        self.parts = labels(self.outline.kind != outline.DRY)

    def _meet(self) -> None:
        """Points join each other and drawn voids, grow to be drawn, dissolve; and the reverse."""
        points, setting = self.points, self.setting
        pitch = setting.pitch_um
        # A flaw stays where it is; only voids of a few vacancies go back into the metal.
        gone = (points.volume_um3 < FEWEST * setting.medium.site_volume_um3) & (points.flaw_um == 0)
        if gone.any():
            self.mean.put(float(points.volume_um3[gone].sum()) / self._area_um3)
            self.ledger.dissolved += int(gone.sum())
            points.keep(~gone)
        if len(points) > 1:
            self._join_points()
        if len(points):
            row, column = self._point_cells()
            inside = self.h_um[row, column] > 0
            volumes = points.volume_um3[inside] / pitch**2
            np.add.at(self.h_um, (row[inside], column[inside]), volumes)
            self.ledger.met += int(inside.sum())
            points.keep(~inside)
            drawn = self.point_radius_um >= pitch
            for x, y, volume in zip(
                points.x_um[drawn], points.y_um[drawn], points.volume_um3[drawn], strict=True
            ):
                self._draw(x, y, volume)
            points.keep(~drawn)
        self._shrink()

    def _join_points(self) -> None:
        points, edge = self.points, self.setting.edge_um
        first, second = overlaps(points.x_um, points.y_um, self.point_radius_um, edge)
        if not len(first):
            return
        kept = np.ones(len(points), bool)
        # Sorted, as which pair comes first decides who joins whom, and must not depend on the
        # search.
        for i, j in sorted(zip(first.tolist(), second.tolist(), strict=True)):
            if not (kept[i] and kept[j]):
                continue
            # The larger one keeps its place in the lists, moved to the centre of volume of both.
            a, b = (i, j) if points.volume_um3[i] >= points.volume_um3[j] else (j, i)
            share = points.volume_um3[b] / (points.volume_um3[a] + points.volume_um3[b])
            for axis in (points.x_um, points.y_um):
                # The shortest way round the periodic square.
                way = axis[b] - axis[a]
                axis[a] = (axis[a] + share * (way - edge * round(way / edge))) % edge
            points.volume_um3[a] += points.volume_um3[b]
            points.flaw_um[a] = max(points.flaw_um[a], points.flaw_um[b])
            kept[b] = False
            self.ledger.met += 1
        points.keep(kept)

    def _draw(self, x: float, y: float, volume: float) -> None:
        """Put a paraboloid of a volume onto the grid."""
        setting = self.setting
        pitch, n = setting.pitch_um, setting.n_cells
        radius = (volume / setting.volume_factor) ** (1 / 3) / pitch
        reach = math.ceil(radius) + 1
        column, row = math.floor(x / pitch), math.floor(y / pitch)
        # Eight points along an edge, so that cells at the rim hold their share.
        fine = (np.arange(-reach * 8, (reach + 1) * 8) + 0.5) / 8
        dx, dy = fine - (x / pitch - column), fine - (y / pitch - row)
        cap = np.maximum(0.0, radius**2 - dx[None, :] ** 2 - dy[:, None] ** 2)
        cap = cap.reshape(2 * reach + 1, 8, 2 * reach + 1, 8).mean(axis=(1, 3))
        # Scaled to the volume itself, which the sum over points misses a little: no vacancy is
        # lost.
        cap *= volume / pitch**2 / cap.sum()
        rows = (row + np.arange(-reach, reach + 1)) % n
        columns = (column + np.arange(-reach, reach + 1)) % n
        np.add.at(self.h_um, np.ix_(rows, columns), cap)

    def _shrink(self) -> None:
        """Drawn voids that have become narrower than two cells go on as points."""
        setting = self.setting
        pitch, n = setting.pitch_um, setting.n_cells
        self._locate()
        names, count = self.parts
        area = np.bincount(names.ravel(), self.cover.ravel(), minlength=count + 1)
        # Below the area at which points are drawn, so that no void goes to and fro between the two.
        narrow = area < 0.6 * math.pi
        narrow[0] = False  # contact
        cells = np.flatnonzero(narrow[names])
        if not len(cells):
            return
        # Sorted by void, so that the square is searched once and not for each of them.
        of = names.ravel()[cells]
        order = np.argsort(of, kind="stable")
        for own in np.split(cells[order], 1 + np.flatnonzero(np.diff(of[order]))):
            row, column = np.divmod(own, n)
            part = self.h_um[row, column]
            volume = float(part.sum()) * pitch**2
            place = []
            for index in (column, row):
                # Relative to its first cell, since the void may lie across the seam of the square.
                way = (index - index[0] + n // 2) % n - n // 2
                place.append(
                    ((index[0] + 0.5 + float((way * part).sum() / part.sum())) * pitch)
                    % setting.edge_um
                )
            self.h_um[row, column] = 0.0
            self.points.add(place[0], place[1], volume)
        self._locate()

    # --- stored -----------------------------------------------------------------------------------

    def arrays(self) -> dict[str, Any]:
        """Everything that a later `restore` needs to go on to the same bytes."""
        return {
            "h_um": self.h_um,
            **(self.body.arrays() if self.body is not None else {}),
            **({"rim_slope": self.outline.slope} if self.setting.closing_slope < 1 else {}),
            "surface": self.surface,
            "cell_flux": self._flux,
            "mean": self.mean.excess,
            **{f"point_{f.name}": getattr(self.points, f.name) for f in fields(Points)},
            "clock": np.array([getattr(self, name) for name in _CLOCK]),
            "ledger": np.array(list(asdict(self.ledger).values()), dtype=float),
        }

    def restore(self, arrays: dict[str, np.ndarray]) -> None:
        """Take up the state of `arrays`; the random numbers are the caller's."""
        self.h_um, self.surface = arrays["h_um"].copy(), arrays["surface"].copy()
        if self.body is not None:
            self.body.restore(arrays)
        self.outline.slope = arrays.get("rim_slope", self.outline.slope).copy()
        self._flux, self.mean.excess = arrays["cell_flux"].copy(), arrays["mean"].copy()
        for part in fields(Points):
            setattr(self.points, part.name, arrays[f"point_{part.name}"].copy())
        for name, value in zip(_CLOCK, arrays["clock"], strict=True):
            setattr(self, name, float(value))
        for part, value in zip(fields(Ledger), arrays["ledger"], strict=True):
            kind = type(getattr(self.ledger, part.name))
            setattr(self.ledger, part.name, kind(value))
        self._locate()


class Outline:
    """Cells of a field of gaps: kinds, covers, planes at the line (`kmc.kernels.outline`)."""

    def __init__(self, n: int):
        self.cover, self.place, self.nx, self.ny = (np.zeros((n, n)) for _ in range(4))
        self.kind = np.zeros((n, n), np.int8)
        self.slope = np.ones((n, n))  # of rims, over that of rims that spread
        self._work = np.zeros((6, n, n + 2))
        self.mobility, self.largest = np.ones((n, n)), 1.0  # of the surface, by cell
        self._threads = threads_for(n)

    def _over_rows(self, kernel: Callable[..., object], *given: Any) -> None:
        over_rows(lambda *rows: kernel(*given, *rows), len(self.kind), self._threads)

    def locate(self, h: np.ndarray) -> None:
        at_line = self.nx, self.ny, self.cover, self.place, self.kind
        self._over_rows(outline.locate, h, self.slope, *at_line)

    def pin(self, h: np.ndarray, gain: np.ndarray, closing_slope: float) -> None:
        """Turn the rims of voids that gain or lose volume, between the slopes at which they move.

        A footprint at rest keeps h over its volume, so that the slope goes with the volume: exact
        for voids below R*, and all rims of a wider void turn alike. `gain`, `h`: (n, n).
        """
        if closing_slope == 1:
            return
        names, count = labels(self.kind != outline.DRY)
        volume, gained = (np.bincount(names.ravel(), a.ravel(), count + 1) for a in (h, gain))
        turned = np.maximum(0.0, 1 + gained / np.maximum(volume, 1e-12))
        slope = np.clip(self.slope * turned[names], closing_slope, 1.0) * (names > 0)
        # A cell into which a rim spreads takes over its slope.
        near = maximum_filter(slope, 7, mode="wrap")
        self.slope = np.where(names > 0, slope, np.where(near > 0, near, 1.0))

    def line_lengths(self) -> np.ndarray:
        """Length of the contact line in each cell, in pitches: how its cover grows with its plane.

        Its plane has unit slope, so that this is the derivative of `outline.wedge_cover`.
        """
        steep, flat = np.maximum(abs(self.nx), abs(self.ny)), np.minimum(abs(self.nx), abs(self.ny))
        a, b = steep / 2, np.maximum(flat / 2, outline.FLAT)
        d = self.place / self.slope
        crossed = (self.kind == outline.LINE) & (abs(d) < a + b) & (steep > 0)
        length = d + a + b - np.maximum(0.0, d + a - b) - np.maximum(0.0, d - a + b)
        return np.where(crossed, length / np.maximum(4 * a * b, 1e-9), 0.0)

    def set_mobility(self, step: np.ndarray, time: float, names: np.ndarray) -> None:
        """Raise surface diffusion in voids whose lip the grid would not resolve.

        A rim of speed v has a lip of (B/v)^(1/3), v from what the cells of a void's line gain.
        Below about a cell and a half rims move faster along diagonals of the grid than along its
        axes, and voids become stars. `step` is what each cell gains in `time` (in units of
        pitch⁴/B), `names` the number of each cell's void, 0 on contact.
        """
        line = np.flatnonzero(self.kind == outline.LINE)
        of, gain = names.ravel()[line], step.ravel()[line]
        cells = np.bincount(of, minlength=int(names.max(initial=0)) + 1)
        speed = WEDGE * np.bincount(of, gain, minlength=len(cells)) / np.maximum(cells, 1) / time
        least = np.maximum(1.0, speed * _LIP_CELLS**3)
        least[0] = 1.0
        self.mobility, self.largest = least[names], float(least.max())

    @property
    def raised_fraction(self) -> float:
        """Share of the cells of the line where surface diffusion is raised."""
        line = self.kind == outline.LINE
        return float((self.mobility[line] > 1).mean()) if line.any() else 0.0

    def relax(self, h: np.ndarray, step: np.ndarray, time: float) -> None:
        """- `step`: what each cell gains in all of the time."""
        stages = max(3, math.ceil((math.sqrt(1 + 8 * 36 * time * self.largest) - 1) / 2))
        at_line, work = (self.place, self.slope, self.nx, self.ny, self.kind), self._work
        last = np.cumsum(np.count_nonzero(self.kind == outline.LINE, axis=1))
        first = np.append(0, last[:-1])
        lists = first, last, np.empty((last[-1], 6), np.int64), np.empty((last[-1], 5))
        self._over_rows(
            *(outline.faces, step / time, self.mobility, self.cover, self.place, self.kind, work)
        )
        self._over_rows(outline.bends, *at_line, work, *lists)
        for stage in range(1, stages + 1):
            self._over_rows(outline.relax, stage, stages, time, work, *lists)
        self._over_rows(outline.finish_relaxing, h, step, stages, self.place, self.kind, work)

    def advance(self, h: np.ndarray, time: float) -> None:
        outline.advance(
            *(h, time, self.mobility), *(self.slope, self.place, self.nx, self.ny, self.kind)
        )


def cover_of(h_um: np.ndarray, edge_um: float, slope: float) -> np.ndarray:
    """Share of each cell under the drawn voids of a field of gaps, shape (n, n)."""
    shape = Outline(len(h_um))
    shape.locate(h_um / (slope * edge_um / len(h_um)))
    return shape.cover
