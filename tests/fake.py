"""Synthetic trajectories, written as a simulation would write them but in milliseconds."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from kmc.files.schema import FRAME_COLUMNS, SAMPLES, TABLES
from kmc.files.table_file import TableWriter
from kmc.model.lattice import Lattice
from kmc.systems.electrode.run import of_lattice

RUN_TEXT = (
    '[system]\nparams = "li_li2s"\nlattice = "bcc_100"\n\n[stop]\ncapacity_monolayers = 2.0\n'
)
KT_eV = 8.617333262e-5 * 298.15


def lattice(name="bcc_100", cells=(8, 8), layers=8, boundary="interface") -> Lattice:
    return Lattice(name, cells, layers, boundary, 3.506)


def resolved(box: Lattice, *, current=0.5, ratio=1e5, floor_eV=0.2, species=("Li",), **run) -> dict:
    """What the run used, with the layout of the schema."""
    barriers = {"Li": 0.055}
    if "Mg" in species:
        barriers |= {"Li_near_Mg": 0.061, "Mg": 0.102}
    return {
        "run": {
            "system": {
                "params": "li_li2s",
                "lattice": box.name,
                "size": [*box.cells, box.layers],
                "boundary": box.boundary,
                "mg_fraction": 0.03 if "Mg" in species else 0.0,
            },
            "conditions": {
                "temperature_K": 298.15,
                "current_density_mA_cm2": current,
                "electrode_thickness_um": 100.0,
            },
            "acceleration": {"max_hops_per_strip_per_site": ratio, "saddle_floor_eV": None},
            "random": {"seed": 1},
            **run,
        },
        "parameters": {
            "formation_energy_bulk_eV": {
                "value": 0.5,
                "unit": "eV",
                "source": ["S4"],
                "note": "Fig. 2c",
                "assumed": False,
            },
            "second_shell_ratio": {
                "value": 0.5,
                "unit": "1",
                "source": [],
                "note": "",
                "assumed": True,
            },
        },
        "hamiltonian": {},
        "acceleration": {
            "max_hops_per_strip_per_site": ratio,
            "saddle_floor_eV": floor_eV,
            "strip_rate_per_site_Hz": 7.6 * current,
            "fastest_hop_Hz": 2.6e12 * math.exp(-floor_eV / KT_eV),
            "classes": [
                {
                    "name": name,
                    "barrier_eV": barrier,
                    "floored_barrier_eV": max(barrier, floor_eV),
                    "slowed_by": math.exp((max(barrier, floor_eV) - barrier) / KT_eV),
                }
                for name, barrier in barriers.items()
            ],
        },
        "species": list(species),
    }


def stripped(box: Lattice, progress: float, seed: int = 1, mg: float = 0.0) -> np.ndarray:
    """An occupancy with lens-shaped voids at the interface that grow with progress 0…1."""
    rng = np.random.default_rng(seed)
    occupancy = np.ones(box.n_sites, dtype=np.uint8)
    if mg:
        occupancy[rng.random(box.n_sites) < mg] = 2
    size = box.box_A
    n_voids = max(1, int(size[0] * size[1] / 2500))
    centres = rng.random((n_voids, 2)) * size[:2]
    radii = 4 + rng.random(n_voids) * 22 * progress
    for centre, radius in zip(centres, radii, strict=True):
        offset = box.positions_A[:, :2] - centre
        offset -= size[:2] * np.round(offset / size[:2])
        height = box.positions_A[:, 2] + 0.25 * radius
        if progress:
            occupancy[(offset**2).sum(axis=1) + height**2 < radius**2] = 0
    occupancy[rng.random(box.n_sites) < 0.002] = 0
    return occupancy


def sample(box: Lattice, occupancy: np.ndarray, step: int, monolayers: float, **changes) -> dict:
    """A row whose numbers belong to an occupancy."""
    first_layer = occupancy[: box.sites_per_layer]
    interface = box.boundary == "interface"
    contact = float(np.mean(first_layer != 0)) if interface else math.nan
    contact_li = float(np.mean(first_layer == 1)) if interface else math.nan
    eta = 2 * KT_eV * math.asinh(0.25 / contact) if interface and contact else math.inf
    constriction = 0.02 * (1 - contact) if interface and contact else 0.0
    concentration = KT_eV * math.log(40.0) if interface else 0.0
    row = {
        "events": 1000 * step,
        "hops": 990 * step,
        "strips": round(monolayers * box.sites_per_layer),
        "absorbed": step,
        "emitted": 0,
        "vacancies": int(np.sum(occupancy == 0)),
        "time_s": 0.26 * monolayers,
        "capacity_mAh_cm2": 3.6e-5 * monolayers,
        "capacity_monolayers": monolayers,
        "contact_fraction": contact,
        "contact_fraction_Li": contact_li,
        "overpotential_V": concentration + eta + constriction if interface else 0.0,
        "overpotential_concentration_V": concentration,
        "overpotential_sites_V": 0.7 * eta + concentration if interface else 0.0,
        "vacancy_activity": 40.0,
        "vacancies_seen": 160.78,
        "vacancies_expected": 4.0,
        "strip_weight": 1.0 + 4 * (1 - contact) if interface else math.nan,
        "rim_per_nm": 0.1 * (1 - contact) if interface else math.nan,
        "overpotential_charge_transfer_V": eta if interface else 0.0,
        "overpotential_constriction_V": constriction,
        "phase": 0,
        "current_density_mA_cm2": 0.5 if interface else 0.0,
        "local_stress_MPa": 0.0,
        "energy_eV": -1.6 * float(np.sum(occupancy != 0)),
        "hops_Li": 990 * step,
        "hops_Li_near_Mg": 0,
        "hops_Mg": 0,
        "absorbed_Mg": 0,
        "emitted_Mg": 0,
        "closures": 0,
        "closures_Mg": 0,
    }
    return dict.fromkeys(SAMPLES, 0) | row | changes


def write(
    path: str | Path,
    *,
    box: Lattice | None = None,
    n_frames: int = 6,
    samples_per_frame: int = 5,
    monolayers: float = 2.0,
    species: tuple[str, ...] = ("Li",),
    settings: dict | None = None,
    finished: bool | None = True,
    stop_reason: str = "capacity of 2 monolayers reached",
    last: dict | None = None,
    extra_samples: int = 0,
    time_s: float | None = None,
    chemistry: np.ndarray | None = None,
) -> Path:
    """Write a whole trajectory.

    ``finished=None`` leaves it as a killed run does; ``last`` changes values of the last row;
    ``extra_samples`` follow the last frame; a ``time_s`` makes the time run to there whatever the
    capacity.
    """
    box = box or lattice()
    settings = settings or resolved(box, species=species)
    n_rows = (n_frames - 1) * samples_per_frame + 1 + extra_samples if n_frames else 0
    if chemistry is not None:
        names = ("li_li2s", "li_philic_015", "li_neutral")[: chemistry.max() + 1]
        listed = [{"params": f"params/{n}.toml", "fraction": 1 / len(names)} for n in names]
        settings |= {"interface": {"chemistry": listed}}
    writer = writer_of(path, box, settings, chemistry)
    for step in range(n_rows):
        progress = step / max(1, n_rows - 1)
        capacity = progress * monolayers
        occupancy = stripped(box, progress, mg=0.05 if "Mg" in species else 0.0)
        row = sample(box, occupancy, step, capacity)
        if time_s is not None:
            row["time_s"] = progress * time_s
        if step == n_rows - 1:
            row |= last or {}
        writer.append_sample(row)
        if step % samples_per_frame == 0:
            at = {key: row[key] for key in FRAME_COLUMNS}
            writer.append_frame(occupancy=occupancy, **at)
    writer.flush()
    if finished is not None:
        writer.close(finished=finished, stop_reason=stop_reason)
    writer.release()
    return Path(path)


def writer_of(
    path: str | Path,
    box: Lattice,
    settings: dict | None = None,
    chemistry: np.ndarray | None = None,
    seed: int = 1,
) -> TableWriter:
    """A writer of a file of such a box."""
    arrays, record = of_lattice(box, chemistry)
    settings = {"name": "strip_li", **(settings or resolved(box))}
    head = {"system": "electrode", "run_file": RUN_TEXT, "resolved": settings, "seed": seed}
    return TableWriter(Path(path), {**record, **head}, TABLES, arrays)
