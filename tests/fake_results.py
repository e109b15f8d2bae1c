"""One result of every kind that `kmc report` knows, written without a run, with hostile texts."""

from __future__ import annotations

import json
from pathlib import Path

import fake
import numpy as np

from kmc.campaign.folder import make_folder
from kmc.campaign.plan import read_plan
from kmc.common.version import __version__
from kmc.files import table_file
from kmc.papers import judge, paper
from kmc.papers.run import STUDY_FILE, sweep_text
from kmc.systems.population.columns import TABLES

HOSTILE = "<script>alert(1)</script>\"'&$\\frac{x$\u202e\x00<img src=x onerror=alert(2)>"
NAME = "<img src=x onerror=alert(3)>$_{&amp;"  # of a file: everything but / and NUL is allowed

SWEEP = """
# {title}
run = "strip_li"
replicas = 2
[grid]
"{key}" = {values}
[set]
"stop.capacity_monolayers" = 2
"""


def trajectory(folder: Path, name: str = NAME) -> Path:
    """A run whose texts are hostile wherever a text may stand."""
    settings = fake.resolved(fake.lattice(), species=("Li", "Mg"))
    settings["parameters"]["second_shell_ratio"] |= {"note": HOSTILE}
    settings["run"]["system"]["params"] = HOSTILE
    return fake.write(
        folder / f"{name}.h5",
        settings=settings,
        species=("Li", "Mg"),
        n_frames=4,
        stop_reason=HOSTILE.replace("\x00", ""),
    )


def put_population(path: Path, head: dict, samples: dict, tables: dict) -> None:
    """Write the file of a population; `head` is what the record holds beside the usual."""
    record = {
        "format": TABLES.format,
        "system": "population",
        "kmc_version": __version__,
        "finished": True,
        "seed": 1,
        **head,
    }
    arrays = {
        f"{group}/{name}": values
        for group, columns in {"samples": samples, **tables}.items()
        for name, values in columns.items()
    }
    path.write_bytes(table_file.content(record, arrays, TABLES))


def voids(folder: Path, name: str = "population", **changes) -> Path:
    """A population of three frames on 10 µm, which loses its contact."""
    rows, rng = 40, np.random.default_rng(1)
    share = np.linspace(0, 1, rows)
    columns = {key: np.full(rows, 1.0) for key in TABLES.samples}
    columns |= {
        "time_s": 3600 * share,
        "capacity_mAh_cm2": 0.5 * share,
        "phase": np.zeros(rows),
        "contact_fraction": 1 - 0.98 * share,
        "voids_per_um2": 0.3 * share,
        "voids_per_100um": 40 * share * (1.2 - share),
        "overpotential_V": 0.02 / (1.02 - share),
        **{key: np.asarray(value, dtype=float) for key, value in changes.items()},
    }
    at = np.array([0, rows // 2, rows - 1])
    h = np.zeros((3, 40, 40))
    x = (np.arange(40) + 0.5) / 4
    for cx, cy in 10 * rng.random((12, 2)):
        dx, dy = (np.minimum(abs(x - c), 10 - abs(x - c)) for c in (cx, cy))
        for frame, radius in ((1, 0.6), (2, 1.6)):
            rise = 1 - (dx**2 + dy[:, None] ** 2) / radius**2
            h[frame] = np.maximum(h[frame], 0.5 * radius * np.maximum(rise, 0))
    at_events = np.array([0.1, 0.2, 0.3, 0.4])
    resolved = fake.resolved(fake.lattice())
    run = resolved["run"] | {
        "upscale": {"domain_um": 10.0, "replicas": 1, "nucleation": "homogeneous"},
    }  # fmt: skip
    path = folder / f"{name}.h5"
    head = {
        "run_file": HOSTILE.replace("\x00", ""),
        "resolved": {
            "run": run,
            "name": name,
            "parameter_set": "li_li2s",
            "parameters": resolved["parameters"],
            "species": ["Li"],
            "facts": {"supersaturation_without_voids": 507.0, "monolayer_mAh_cm2": 3.6e-5},
        },
        "stop_reason": "no contact is left",
    }
    tables = {
        "frames": {
            "time_s": columns["time_s"][at],
            "capacity_mAh_cm2": columns["capacity_mAh_cm2"][at],
            "sample": at,
            "replica": np.zeros(3, int),
            "h_um": h.astype("f4"),
        },
        "points": {
            name: np.ones(1, int if name == "frame" else float) for name in TABLES.lists["points"]
        },
        "events": {name: np.ones(4, int) for name in TABLES.lists["events"]}
        | {"kind": np.arange(4), "capacity_mAh_cm2": at_events},
    }
    put_population(path, head, columns, tables)
    return path


def sweep(folder: Path, name: str = "study", *, key: str | None = None, values=None) -> Path:
    """The folder of a sweep, all points done but one, which failed."""
    key = key or "conditions.temperature_K"
    text = SWEEP.format(title=HOSTILE.replace("\x00", ""), key=key, values=values or [290, 310])
    file = folder / f"{name}.toml"
    file.write_text(text.replace("\u202e", ""), encoding="utf-8")
    made = make_folder(folder / name, read_plan(file))
    for point in made.plan.points:
        made.prepare(point)
        if point.index == 3:
            made.record_failure(point, HOSTILE, "", 0.1)
            continue
        settings = fake.resolved(fake.lattice())
        settings["parameters"]["attempt_frequency_Hz"] = {"value": 2.6e12, "unit": "Hz"}
        length = 1 + 0.1 * point.index
        path = made.trajectory_path(point)
        fake.write(path, settings=settings, monolayers=length, n_frames=3)
        made.record_done(point, 1.0)
    return made.path


def convergence(folder: Path) -> Path:
    """The folder of a convergence study."""
    key = "acceleration.max_hops_per_strip_per_site"
    return sweep(folder, "convergence", key=key, values=[1e4, 1e5, 1e6])


def nucleation(folder: Path) -> Path:
    """The JSON of `kmc nucleation`, some of its keys."""
    currents = [0.1, 0.5, 2.0]
    burst = {"current_mA_cm2": 0.5, "density_per_um2": 0.6, "S": 64.0, "time_s": 0.004}
    found = {
        "parameters": HOSTILE,
        "lattice": "bcc_100",
        "n_enumerated": 5,
        "ln_Z": [-10.9 * n**0.7 for n in range(1, 31)],
        "barrier_kT": {"30": 40.2, "50": 29.1},
        "critical_size": {"30": 30, "50": None},
        "law": {"gamma_J_m2": 0.26},
        "burst": burst,
        "burst_by_current": [burst | {"current_mA_cm2": j, "density_per_um2": j} for j in currents],
        "band": {
            "density_low_per_um2": [0.05, 0.3, 1.0],
            "density_high_per_um2": [0.2, 0.9, 4.0],
        },
        "threshold_current_mA_cm2": 0.018,
        "statements": [HOSTILE],
    }
    path = folder / "nucleation.json"
    path.write_text(json.dumps(found), encoding="utf-8")
    return path


def study(folder: Path) -> Path:
    """The folder of a study of which only the first populations are there, and a strange claim."""
    made = folder / "operando_study"
    made.mkdir()
    head: dict = {
        "format": "kmc study",
        "version": 1,
        "study": "operando",
        "plan": "reduced",
        "kmc": "0",
        "steps": [{"name": "operando", "what": HOSTILE, "command": "kmc sweep operando.toml"}],
    }
    (made / STUDY_FILE).write_text(json.dumps(head), encoding="utf-8")
    chosen = paper("operando").planned("reduced")
    step = next(step for step in chosen.steps if step["name"] == "operando")
    text = sweep_text(chosen, step)
    file = made / "operando.toml"
    file.write_text(text, encoding="utf-8")
    points = make_folder(made / "operando", read_plan(file))
    for point in points.plan.points:
        points.prepare(point)
        path = points.trajectory_path(point)
        voids(path.parent, path.stem, mean_width_um=np.full(40, 2.0 + 0.1 * point.index))
        points.record_done(point, 1.0)
    judge(made)
    head["steps"].append({"name": "../..", "what": "", "command": ""})
    (made / STUDY_FILE).write_text(json.dumps(head), encoding="utf-8")
    claims = json.loads((made / "claims.json").read_text("utf-8"))
    claims["claims"].append({"title": HOSTILE, "verdict": HOSTILE, "paper": HOSTILE,
                             "figures": [{"label": HOSTILE, "value": HOSTILE}]})  # fmt: skip
    (made / "claims.json").write_text(json.dumps(claims), encoding="utf-8")
    return made


def calibration(folder: Path) -> Path:
    """A calibration with three posterior runs of Li, and nothing of what led to them."""
    fit = folder / "fit"
    (fit / "posterior_1").mkdir(parents=True)
    content = {"format": "kmc calibration", "version": 1, "plausible": True, "file": "fit",
               "title": "fit", "kmc": "0", "experiments": ["Li"], "inputs": {}, "posterior": [],
               "waves": [{}], "worst": []}  # fmt: skip
    (fit / "calibration.json").write_text(json.dumps(content), encoding="utf-8")
    none = np.zeros((3, 0))  # of no input
    np.savez(fit / "samples.npz", theta=none, posterior=none, posterior_u=none)
    file = folder / "Li.toml"
    file.write_text(
        'run = "operando_li"\n[zip]\n"parameters.formation_entropy_bulk_k" = [1.0, 2.0, 3.0]\n'
    )
    points = make_folder(fit / "posterior_1" / "Li", read_plan(file))
    for point in points.plan.points:
        points.prepare(point)
        path = points.trajectory_path(point)
        voids(path.parent, path.stem, mean_width_um=np.full(40, 2.0 + 0.1 * point.index))
        points.record_done(point, 1.0)
    return fit


KINDS = {
    "study": study,
    "run": trajectory,
    "population": voids,
    "sweep": sweep,
    "convergence": convergence,
    "nucleation": nucleation,
}
