"""Calibrates: designs waves of runs, rules inputs out, samples the rest, and predicts.

    calibration.json        the result; `load_calibration` reads it
    posterior.csv           median and 90 % interval of every input
    predictions.csv         predictions beside the data, fitted and held out
    samples.npz             arrays for simulation-based inference (sbi), and the posterior
    corner.png, predictions.png
    problem.json            fingerprint of the file, so that the folder is gone on with by no other
    wave_1/NAME, …          sweep folder of an experiment in a wave, with design.json beside it
    posterior_2/NAME        runs at samples of the posterior

Killed at any moment, the next call goes on from these files.
"""

import json
import math
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from kmc.campaign.calibration import posterior
from kmc.campaign.calibration.design import Results, Simulate, Sweeps, read_design, sobol
from kmc.campaign.calibration.emulator import Emulator, Emulators, one_thread, refusals, train
from kmc.campaign.calibration.posterior import IDLE
from kmc.campaign.calibration.problem import InverseProblem, read_problem
from kmc.campaign.calibration.sentences import lines_of
from kmc.common.figures import drawn
from kmc.common.formatting import figure, html_table, plural
from kmc.common.json_files import check_contents, json_safe, read_json
from kmc.common.late import pandas as pd
from kmc.common.outputs import claim_folder, csv_of, replacing, write_text
from kmc.common.provenance import collect
from kmc.errors import InputError

FORMAT, VERSION = "kmc calibration", 1
RESULT, SAMPLES, _PROBLEM = "calibration.json", "samples.npz", "problem.json"
_MAX_SAMPLES_BYTES = 2**28  # ten times what a million samples of three inputs take
Report = Callable[[str], None]


@dataclass(frozen=True)
class Calibration:
    """What a measurement leaves possible.

    To say which inputs fit your data, how surely, what they predict, and what to measure next.
    """

    folder: Path
    plausible: bool  # whether any input explains the data; without, there is no posterior
    # all of calibration.json: ``posterior``, ``predictions``, ``emulators``, ``waves``, ``sobol``,
    # ``next``, ``worst``
    content: Mapping[str, Any]
    # all of samples.npz: ``theta`` and ``x`` of the runs, ``posterior``, ``posterior_u``
    samples: Mapping[str, np.ndarray] = field(repr=False, default_factory=dict)

    @property
    def inputs(self) -> list[str]:
        """Names of the inputs, in the order of the file."""
        return list(self.content["inputs"])

    def settings(self, count: int, experiment: str) -> list[dict[str, float]]:
        """Keys of a run at some samples of the posterior, for an experiment of the file."""
        u = self.samples["posterior_u"]
        rows = self.samples["posterior"][np.linspace(0, len(u) - 1, count).astype(int)]
        about = self.content["inputs"].values()
        return [
            {
                key: float(f"{value:.6g}")
                for value, prior in zip(row, about, strict=True)
                if not prior["experiments"] or experiment in prior["experiments"]
                for key in prior["keys"]
            }
            for row in rows
        ]

    def table(self) -> "pd.DataFrame":
        """Median and 90 % interval of every input, and the share of the prior's width left."""
        return pd.DataFrame(self.content["posterior"])

    def predictions(self) -> "pd.DataFrame":
        """Predictions beside the data, fitted and held out."""
        return pd.DataFrame(self.content["predictions"])

    def plot(self, what: str = "corner") -> Any:
        """A matplotlib figure: "corner", or "predictions" beside the data."""
        return drawn("calibration_picture", self, what)

    def lines(self) -> list[str]:
        """The result as text, a line each."""
        return lines_of(self.content)

    def _repr_html_(self) -> str:
        return html_table([(line,) for line in self.lines()], caption=self.content["title"])


def calibrate(
    file: str | Path | InverseProblem,
    output: str | Path | None = None,
    *,
    waves: int | None = None,
    workers: int | None = None,
    progress: bool = True,
    make_workers: Any = None,
    simulate: Simulate | None = None,
    report: Report = lambda text: None,
) -> Calibration:
    """Find the inputs that a measurement leaves possible, and what they predict.

    - `file`: a calibration file (see docs/calibration.md), the name of a shipped one, or its
      content.
    - `output`, `workers`, `progress`: as of `kmc.sweep`; the folder is the name of the file by
      default.
    - `waves`: in place of that of the file; more of them go on in the same folder.
    - `make_workers`, `simulate`: where runs are carried out, as of `kmc sweep`, or what replaces
      them, such as a formula for a test: `kmc.campaign.calibration.design.Simulate`.
    - `report`: receives a line of text as each step ends.

    Raises `InputError`: the file, its data or its runs cannot be used, a discrepancy is not stated,
    the folder holds another calibration, or scikit-learn or emcee is missing. KeyboardInterrupt on
    Ctrl-C; the next call goes on and repeats no run.
    """
    problem = file if isinstance(file, InverseProblem) else read_problem(file, waves)
    folder = Path(problem.name if output is None else output)
    run = simulate or Sweeps(problem, make_workers, workers, progress)
    with one_thread():  # refused before the first run where scikit-learn is missing
        mark = {"format": FORMAT, "fingerprint": problem.fingerprint()}
        if not claim_folder(folder, _PROBLEM):
            write_text(folder / _PROBLEM, json.dumps(mark))
        elif read_json(folder / _PROBLEM) != mark:
            # Emulators of two sets of runs would be of neither.
            raise InputError(
                f"{folder} holds a calibration with other data, priors, runs or points",
                advice="Use another folder with -o. Waves, held-out experiments, candidates and "
                "posterior_runs may change in the same one.",
            )
        return _Study(problem, folder, run, report).result()


def load_calibration(folder: str | Path) -> Calibration:
    """The result in a folder of `kmc calibrate`.

    Raises `InputError`: it holds none, or not yet.
    """
    path = Path(folder)
    if path.is_dir():
        check_contents(path)
    if not (path / RESULT).is_file():
        raise InputError(
            f"{path} holds no calibration" + (", yet" if (path / _PROBLEM).is_file() else ""),
            advice="kmc calibrate FILE makes one.",
        )
    try:
        content = read_json(path / RESULT)
        if content["format"] != FORMAT or content["version"] > VERSION:
            raise ValueError("it is of another kmc")
        for about in content["inputs"].values():
            if not all(isinstance(about[key], list) for key in ("keys", "experiments")):
                raise ValueError("its inputs are not those of a calibration")
        with zipfile.ZipFile(path / SAMPLES) as archive:
            size = sum(member.file_size for member in archive.infolist())
        if size > _MAX_SAMPLES_BYTES:
            raise ValueError(f"{SAMPLES} would take {size / 1e6:.0f} MB of memory")
        with np.load(path / SAMPLES, allow_pickle=False) as arrays:
            samples = dict(arrays)
        for name in ("theta", *(("posterior", "posterior_u") if content["plausible"] else ())):
            values = samples[name]
            shape = len(values) or 1, len(content["inputs"])
            if values.shape != shape or not np.isfinite(values).all():
                raise ValueError(f"{name} in {SAMPLES} is no table of numbers for each input")
        return Calibration(path, bool(content["plausible"]), content, samples)
    except Exception as problem:  # damage raises whatever zipfile, numpy and texts meet
        raise InputError(
            f"the calibration in {path} cannot be used: {type(problem).__name__} {problem}",
            advice="Repeat kmc calibrate: its runs are kept.",
        ) from None


class _Study:
    """The steps of a calibration, each from what the folder has of it."""

    def __init__(self, problem: InverseProblem, folder: Path, simulate: Simulate, report: Report):
        self.problem, self.folder = problem, folder
        self.simulate, self.report = simulate, report
        self.data, self.seed = problem.fitted, problem.settings.seed
        self.u = np.empty((0, len(problem.priors)))
        self.results: dict[str, Results] = {}
        self.waves: list[dict[str, Any]] = []

    def result(self) -> Calibration:
        """Run what is missing, and write the folder."""
        settings = self.problem.settings
        places = sobol(settings.points, len(self.problem.priors), self.seed)
        for wave in range(1, settings.waves + 1):
            self._run(wave, places)
            trained: list[Emulator] = []
            possible: list[tuple] = []
            for name, results in self.results.items():
                inputs = self.problem.inputs_of(name)
                for k, of in enumerate(self.problem.observables(name)):
                    trained.append(train(self.u, results, k, of, inputs, self.seed))
                possible += refusals(self.u, results, inputs)
            emulators = Emulators(trained, possible)
            plausible, share, lowest = posterior.match(
                emulators,
                self.data,
                len(self.problem.priors),
                settings.implausibility,
                settings.points,
                self.seed + wave,
            )
            self.waves.append({"settings": len(self.u), "plausible_share": share, "lowest": lowest})
            self.report(
                f"wave {wave}: {plural(len(self.u), 'setting')}, {figure(100 * share, '%', 2)} of "
                f"the priors plausible, lowest implausibility {lowest:.2g}"
            )
            if not len(plausible):
                break
            places = posterior.spread(plausible, settings.points)
        return self._conclude(emulators, plausible)

    def _run(self, wave: int, places: np.ndarray) -> None:
        # Make the runs of a wave whose design is kept: its places may not depend on rounding.
        folder = self.folder / f"wave_{wave}"
        folder.mkdir(exist_ok=True)
        if (folder / "design.json").is_file():
            places = read_design(folder / "design.json", places.shape[1])
        else:
            write_text(folder / "design.json", json.dumps(places.tolist()))
        self.u = np.concatenate([self.u, places])
        for name, about in self.problem.experiments.items():
            if about.held_out:
                continue
            rows = [self.problem.settings_of(name, u) for u in places]
            of, replicas = self.problem.observables(name), self.problem.settings.replicas
            results = self.simulate(name, rows, of, replicas, folder / name)
            earlier = self.results.get(name)
            self.results[name] = earlier.extended(results) if earlier else results

    def _conclude(self, emulators: Emulators, plausible: np.ndarray) -> Calibration:
        problem, explained = self.problem, len(plausible) > 0
        content: dict[str, Any] = {
            "format": FORMAT,
            "version": VERSION,
            "kmc": collect()["kmc"],
            "title": problem.settings.title or problem.name,
            "file": problem.name,
            "text": problem.text,
            "plausible": explained,
            "experiments": list(problem.experiments),
            "inputs": {
                name: {"keys": prior.keys, "experiments": prior.experiments}
                | {k: v for k, v in prior.model_dump().items() if k.endswith(("uniform", "normal"))}
                for name, prior in problem.priors.items()
            },
            "measured": [],
            "discrepancy": dict(problem.discrepancy),
            "waves": self.waves,
            "refused": {name: len(r.refused) for name, r in self.results.items()},
            "emulators": [],
            "posterior": [],
            "predictions": [],
            "next": [],
        }
        for datum in problem.data:
            value = float(datum.of.plain(datum.value))
            factor = value if datum.of.log else 1.0  # of a logarithm the errors are relative
            about = {"quantity": datum.of.name, "unit": datum.of.unit, "value": value}
            errors = {"error": factor * datum.error, "discrepancy": factor * datum.discrepancy}
            content["measured"].append(about | errors | {"beyond": datum.beyond})
        for emulator in emulators.emulators:
            # Of settings that it was not trained on: by leaving one out.
            z = emulator.errors
            content["emulators"].append(
                {
                    "quantity": emulator.of.name,
                    "settings": len(z),
                    "scatter": emulator.scatter,
                    "rms_error": float(np.sqrt(np.mean(z**2))) if len(z) else math.nan,
                    "beyond_2": float(np.mean(np.abs(z) > 2)) if len(z) else math.nan,
                    "widening": emulator.widening,
                }
            )
        inputs = list(problem.priors)
        content["sobol"] = {
            name: dict(zip(inputs, map(float, values), strict=True))
            for name, values in posterior.totals(emulators, len(inputs), self.seed).items()
        }
        content["idle"] = [
            name for name in inputs if max(row[name] for row in content["sobol"].values()) < IDLE
        ]
        arrays = {"theta": problem.values(self.u), "theta_u": self.u, "inputs": np.array(inputs)}
        # What simulation-based inference takes as x of every run, and as x_o.
        for name, results in self.results.items():
            arrays[f"x/{name}"], arrays[f"bound/{name}"] = results.values, results.bounds
            arrays[f"names/{name}"] = np.array([of.name for of in problem.observables(name)])
        arrays["observed_names"] = np.array([d.of.name for d in self.data])
        arrays["observed"] = np.array([float(d.of.plain(d.value)) for d in self.data])
        best = plausible if explained else self.u
        content["worst"] = posterior.worst(emulators, self.data, best)[:5]
        if explained:
            drawn_ = posterior.sample(emulators, self.data, plausible, self.seed)
            self.report("posterior sampled; runs at some of its samples")
            # Of each wave there is another posterior: its runs are those of another folder.
            place = self.folder / f"posterior_{len(self.waves)}"
            predicted = posterior.runs_of(problem, drawn_, self.simulate, place)
            content |= {
                "posterior": posterior.table(problem, drawn_),
                "chains": {"autocorrelation": drawn_.steps, "independent": drawn_.independent},
                "predictions": posterior.beside(problem, predicted, self.seed),
                "next": posterior.narrowing(problem, emulators, drawn_, self.seed),
            }
            arrays |= {"posterior": problem.values(drawn_.u), "posterior_u": drawn_.u}
        return self._save(content, arrays)

    def _save(self, content: dict[str, Any], arrays: dict[str, np.ndarray]) -> Calibration:
        with replacing(self.folder / SAMPLES) as draft, open(draft, "wb") as file:
            np.savez_compressed(file, **arrays)  # type: ignore[arg-type]
        content["sentences"] = lines_of(content)
        # What never happens in a run is infinite, which JSON cannot hold.
        text = json.dumps(
            json_safe(content, "never"), indent=1, ensure_ascii=False, allow_nan=False
        )
        write_text(self.folder / RESULT, text + "\n")
        saved = load_calibration(self.folder)
        if saved.plausible:
            for name, frame in (("posterior", saved.table()), ("predictions", saved.predictions())):
                write_text(self.folder / f"{name}.csv", csv_of(frame))
        return saved
