"""The box of the event loop and a population under the box's own rates, reservoir and size.

`python tests/systems/population/overlap.py 1e7` prints the population's side.
"""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import elliprc

from kmc.model.lattice import Lattice
from kmc.nuclei.capture import VacancyTransport
from kmc.nuclei.field import Absorbers, Medium
from kmc.nuclei.nucleation import NucleationModel
from kmc.nuclei.vapour import ClusterVapour
from kmc.runfile.load import load_run
from kmc.systems.electrode.engine import Engine
from kmc.systems.electrode.run import ElectrodeJob
from kmc.systems.population.gaps import Gaps
from kmc.systems.population.setting import GapSetting
from kmc.systems.population.setup import prepare

SMALLEST_VOID = 4  # vacancies, as in kmc.analysis.voids
READ_AT = 0.2  # monolayers
FIRST_VOID = 12  # vacancies: larger than the critical size, so that it stays
APPROACH = (0.008, 0.013)  # monolayers: S nears its highest value, and voids are still rare
N_CELLS = 6  # so wide that voids of the box stay points
ROUND_nm = 1.5  # radius of a void at which the slow last hop is weighed against the way to it


@dataclass(frozen=True)
class RaisedTransport(VacancyTransport):
    """Transport with the raised barriers of an event loop.

    Hops with an end in L1 have the barrier `floor_eV` at least; hops in the metal are slower than
    the true ones by `slowed_by`.
    """

    slowed_by: float = 1.0

    @property
    def diffusivity_cm2_s(self) -> float:
        return super().diffusivity_cm2_s / self.slowed_by


@dataclass(frozen=True)
class Box:
    """What the event loop's box at a ratio says of its rates."""

    ratio: float
    cells: int = 64
    layers: int = 32

    def model(self):
        changes = {
            "acceleration.max_hops_per_strip_per_site": self.ratio,
            "system.size": [self.cells, self.cells, self.layers],
        }
        return ElectrodeJob(load_run("ladder_li", changes)).model

    def settings(self) -> dict[str, GapSetting]:
        """Populations with the metal at the lone vacancies' rate, the raised one, and between.

        Between: the way through the metal at the rate of lone vacancies and the last hop to a void
        at the raised rate, one after the other, for a half sphere of `ROUND_nm`.
        """
        model = self.model()
        kT = model.kT_ueV
        barrier = float(model.barriers_ueV[0])
        lone = math.exp(max(0.0, model.lone_floor_ueV - barrier) / kT)
        raised = math.exp(max(0.0, model.floor_ueV - barrier) / kT)
        a_nm = model.lattice.lattice_parameter_A / 10
        # 4 K R against 2π R² · 4 k/a² in series, K = (2/a³) a² k: ratio π (R/a) k_raised/k_lone.
        weight = math.pi * (ROUND_nm / a_nm) * lone / raised
        slowed = {"lone": lone, "between": lone * (1 + 1 / weight), "raised": raised}
        height_um = self.layers * model.lattice.layer_spacing_A * 1e-4
        return {name: self._setting(model, by, height_um) for name, by in slowed.items()}

    def _setting(self, model, slowed_by: float, height_um: float) -> GapSetting:
        run = load_run("upscale_li", {"upscale.domain_um": 30.0})
        shipped = prepare(run)
        free = shipped.setting.vapour.model.free
        true = shipped.setting.vapour.model.transport
        transport = RaisedTransport(
            true.surface, floor_eV=model.floor_ueV * 1e-6, slowed_by=slowed_by
        )
        nucleation = NucleationModel(free, transport)
        vapour = ClusterVapour(nucleation)
        old = shipped.setting.medium
        # The box and the reservoir above it have the electrode's resistance L/K together.
        thickness = max(old.thickness_um / slowed_by, 2 * height_um)
        medium = Medium(
            transport.bulk_conductance_per_cm_s * 1e-4,
            transport.sheet_conductance_per_s,
            old.bulk_storage_per_um3 * min(1.0, height_um / thickness),
            old.interface_storage_per_um2,
            thickness,
            old.site_volume_um3,
        )
        edge_um = self.cells * model.lattice.lattice_parameter_A * 1e-4
        return replace(
            shipped.setting,
            edge_um=edge_um,
            n_cells=N_CELLS,
            medium=medium,
            vapour=vapour,
            height_over_radius=2 * nucleation.cap.aspect,
        )


def storing_small_clusters(setting: GapSetting, S: float) -> GapSetting:
    """The interface also stores what pairs and threes hold in equilibrium at S.

    Populations have single vacancies and voids past the critical size alone.
    """
    ln_Z = setting.vapour.model.free.ln_Z
    held = [n * math.exp(ln_Z[n - 1] + n * math.log(S)) for n in (1, 2, 3)]
    medium = setting.medium
    storage = medium.interface_storage_per_um2 * sum(held) / held[0]
    medium = replace(medium, interface_storage_per_um2=storage)
    return replace(setting, medium=medium)


class StandingVoids(Gaps):
    """Voids that take up vacancies as half spheroids of their height and footprint, not as discs.

    A void stands in the metal, and vacancies reach it on all of its surface. An oblate spheroid
    of half axes R and h has the capacity √(R² − h²)/arccos(h/R), a disc 2R/π (L. D. Landau and E.
    M. Lifshitz, Electrodynamics of Continuous Media, §4): voids have a radius larger by the ratio
    of the two, 1.45 for h = 0.78 R, π/2 for half a sphere.
    """

    def _absorbers(self) -> Absorbers:
        found = super()._absorbers()
        aspect = 2 * self.setting.vapour.model.cap.aspect
        # 1/R_C(h², R²) is that capacity, also of voids higher than wide (Carlson's R_C).
        wider = math.pi / 2 / float(elliprc(aspect**2, 1.0))
        return replace(found, radius_um=wider * found.radius_um)


@dataclass(frozen=True)
class FasterVapour:
    """A vapour whose voids nucleate `factor` times as fast."""

    vapour: ClusterVapour
    factor: float

    def rate_per_um2_s(self, supersaturation: np.ndarray) -> np.ndarray:
        return self.factor * self.vapour.rate_per_um2_s(supersaturation)

    def __getattr__(self, name: str):
        return getattr(self.vapour, name)


def populations(setting: GapSetting, seeds, kind: type[Gaps] = Gaps) -> np.ndarray:
    """Voids per µm², vacancies in voids, width in nm and contact lost in %, by seed."""
    per_monolayer = setting.vapour.model.transport.L1_density_cm2 * 1e-8
    end = READ_AT * per_monolayer / setting.strip_per_um2_s
    rows = []
    for seed in seeds:
        p = kind(setting, np.random.default_rng(seed))
        while p.time_s < end * (1 - 1e-12) and p.step(end):
            pass
        counts = p.points.volume_um3 / setting.medium.site_volume_um3
        n = np.count_nonzero(counts >= SMALLEST_VOID) / p.area_um2
        width = width_nm(n, p.contact_fraction)
        rows.append((n, counts.sum(), width, 100 * (1 - p.contact_fraction)))
    return np.array(rows)


def approach(setting: GapSetting, seeds) -> np.ndarray:
    """Monolayers until the first void of `FIRST_VOID`, and mean S over `APPROACH`, by seed."""
    per_monolayer = setting.vapour.model.transport.L1_density_cm2 * 1e-8
    rows = []
    for seed in seeds:
        p = Gaps(setting, np.random.default_rng(seed))
        seen, first, charge = [], math.nan, 0.0
        while charge < APPROACH[1] or math.isnan(first):
            p.step(math.inf)
            charge = p.time_s * setting.strip_per_um2_s / per_monolayer
            seen.append((charge, p.S_contact))
            if (
                math.isnan(first)
                and p.points.volume_um3.max(initial=0)
                >= FIRST_VOID * setting.medium.site_volume_um3
            ):
                first = charge
        grid = np.linspace(*APPROACH, 50)
        rows.append((first, float(np.interp(grid, *np.transpose(seen)).mean())))
    return np.array(rows)


def box_approach(trajectory) -> tuple[float, float]:
    """The same of a trajectory: first frame with such a void, S from counts of `APPROACH` alone.

    `vacancy_activity` is a mean over the last 0.1 monolayers and lags behind a rise in a tenth of
    that; differences of its two counts, which begin with the run, do not.
    """
    from kmc.analysis import voids

    s, first = trajectory.samples, math.nan
    before = 0.0
    for frame in trajectory.frames:
        if len(voids.find(frame.occupancy, trajectory.lattice, min_size=FIRST_VOID)):
            first = 0.5 * (before + frame.capacity_monolayers)
            break
        before = frame.capacity_monolayers
    seen, expected = (
        np.diff(np.interp(APPROACH, s.capacity_monolayers, counts))[0]
        for counts in (s.vacancies_seen, s.vacancies_expected)
    )
    return first, float(seen / expected)


def width_nm(voids_per_um2: float, contact: float) -> float:
    """Diameter of a disc with the mean footprint of the voids."""
    if not voids_per_um2:
        return math.nan
    return 1e3 * math.sqrt(4 * (1 - contact) / (math.pi * voids_per_um2))


def numbers(occupancy: np.ndarray, lattice: Lattice) -> tuple[float, ...]:
    """The same of a configuration; contact that voids cover, without single vacancies of L1."""
    from kmc.analysis import voids

    found = voids.find(occupancy, lattice, min_size=SMALLEST_VOID)
    n = len(found) / (lattice.area_A2 * 1e-8)
    lost = np.count_nonzero(found.labels[: lattice.sites_per_layer]) / lattice.sites_per_layer
    return n, float(np.count_nonzero(found.labels)), width_nm(n, 1 - lost), 100 * lost


def relaxed(trajectory, events: int, seed: int = 1) -> tuple[np.ndarray, float]:
    """The same after hops at their true rates, without current in a closed box; and their time, s.

    Means over the last quarter of the events.
    """
    changes = {
        "conditions.current_density_mA_cm2": 0.0,
        "conditions.electrode_thickness_um": math.inf,
        "acceleration.max_hops_per_strip_per_site": None,
        "stop.capacity_monolayers": None,
        "stop.time_s": 1e9,
        "interface.voids": [[11.0, 11.0, 1.5, 1.2]],  # an empty box is refused
    }
    model = ElectrodeJob(load_run("ladder_li", changes)).model
    occupancy = np.asarray(trajectory.frames[-1].occupancy)
    engine, rows = Engine(model, occupancy, np.random.default_rng(seed)), []
    while engine.events < events:
        engine.advance(events=engine.events + 250_000)
        if engine.events >= 0.75 * events:
            rows.append(numbers(np.asarray(engine.occupancy()), model.lattice))
    return np.mean(rows, axis=0), engine.time_s


def told(rows) -> str:
    """Means and standard errors."""
    mean, error = np.mean(rows, axis=0), np.std(rows, axis=0, ddof=1) / math.sqrt(len(rows))
    names = ("per µm²", "vacancies", "nm", "% lost")
    parts = (f"{m:.4g} ± {e:.2g} {n}" for m, e, n in zip(mean, error, names, strict=True))
    return "  " + ", ".join(parts)


if __name__ == "__main__":
    for text in sys.argv[1].split(","):
        for name, setting in Box(float(text)).settings().items():
            m = setting.medium
            print(
                f"population at {text}, metal {name}: K {m.bulk_per_um_s:.4g}, "
                f"K_i {m.interface_per_s:.4g}, thickness {1e3 * m.thickness_um:.4g} nm"
            )
            print(told(populations(setting, range(64))), flush=True)
            print(told(populations(setting, range(64), StandingVoids)), flush=True)
