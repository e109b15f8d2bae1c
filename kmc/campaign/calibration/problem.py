"""Calibration files: experiments, priors, and what the model may be wrong by (docs/calibration.md).

`read_problem` checks the file, its data and its runs.
"""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import scipy
from numpy.typing import ArrayLike
from pydantic import Field, ValidationError, model_validator

from kmc.analysis.measured import CAPACITY, QUANTITIES, read_measured
from kmc.campaign.calibration.data import (
    EVENTS,
    NOT,
    Datum,
    Measurable,
    discrepancy_of,
    needs,
    relative,
)
from kmc.campaign.points import MAX_SEED, without_removed
from kmc.common import catalogue
from kmc.common.validation import Checked, raise_problems
from kmc.common.validation import Problem as Fault
from kmc.errors import InputError
from kmc.model.parameters import load_parameters
from kmc.runfile.load import load_run
from kmc.systems import SYSTEMS

Pair = Annotated[list[float], Field(min_length=2, max_length=2)]


class Prior(Checked):
    """What is known of an input before the data."""

    key: str | list[str]
    uniform: Pair | None = None
    log_uniform: Pair | None = None
    normal: Pair | None = None
    experiments: list[str] = Field([])

    @model_validator(mode="after")
    def _one_range(self) -> "Prior":
        kinds = ("uniform", "log_uniform", "normal")
        kinds_given = [kind for kind in kinds if getattr(self, kind) is not None]
        if len(kinds_given) != 1:
            raise ValueError("it needs one of uniform, log_uniform and normal")
        low, high = getattr(self, kinds_given[0])
        if kinds_given[0] == "normal":
            if not high > 0:
                raise ValueError(f"normal = [mean, {high:g}] has no width")
        elif not low < high or (kinds_given[0] == "log_uniform" and low <= 0):
            ends = (
                "above 0, the smaller first"
                if kinds_given[0] == "log_uniform"
                else "the smaller first"
            )
            raise ValueError(
                f"{kinds_given[0]} = [{low:g}, {high:g}] is no range: give its ends, {ends}"
            )
        return self

    @property
    def keys(self) -> list[str]:
        return [self.key] if isinstance(self.key, str) else self.key

    def value(self, share: ArrayLike) -> np.ndarray:
        """Values at shares of the probability, 0 to 1."""
        u = np.asarray(share, dtype=float)
        if self.normal is not None:
            # The last thousandth of either tail is left out: a design needs a bounded range.
            return self.normal[0] + self.normal[1] * scipy.special.ndtri(0.001 + 0.998 * u)
        if self.log_uniform is not None:
            low, high = self.log_uniform
            # Equal shares of probability are equal factors.
            return low * (high / low) ** u
        low, high = self.uniform or (0.0, 1.0)
        return low + (high - low) * u


class Experiment(Checked):
    """A run with changes, and what was measured there; one that is held out may have no data."""

    run: str
    data: str = ""
    series: str = ""
    set: dict[str, Any] = Field({})
    held_out: bool = False
    seen: bool = False  # with held_out: known when the form of the model was chosen
    source: str = ""
    verified: str = ""
    seconds: float | None = Field(None, gt=0, strict=False)


class CalibrationSettings(Checked):
    """How much is run, and where waves stop."""

    title: str = ""
    points: int = Field(64, ge=8, le=4096)
    waves: int = Field(2, ge=1, le=10)
    replicas: int = Field(2, ge=1, le=100)
    posterior_runs: int = Field(16, ge=0, le=1000)
    implausibility: float = Field(3.0, gt=0, le=10, strict=False)
    seed: int = Field(1, ge=0, le=MAX_SEED)
    candidates: list[str] = Field([])
    precision_percent: float = Field(10.0, gt=0, le=100, strict=False)


class _File(Checked):
    calibrate: CalibrationSettings = CalibrationSettings()
    priors: dict[str, Prior] = Field(min_length=1)
    discrepancy: dict[str, float | str] = Field({})
    experiments: dict[str, Experiment] = Field(min_length=1)


@dataclass(frozen=True)
class InverseProblem:
    """A checked calibration."""

    name: str  # stem of the file
    source: str  # its path
    settings: CalibrationSettings
    priors: Mapping[str, Prior]
    experiments: Mapping[str, Experiment]
    data: Sequence[Datum]  # of all experiments, those held out too
    discrepancy: Mapping[str, float | str] = field(default_factory=dict)  # as stated, by column
    candidates: Sequence[Measurable] = ()  # what might be measured next
    text: str = ""  # the file

    @property
    def fitted(self) -> list[Datum]:
        """Data that the inputs are fitted to."""
        return [d for d in self.data if not self.experiments[d.of.experiment].held_out]

    def observables(self, experiment: str) -> list[Measurable]:
        """What is read of the runs of an experiment: its data, and what might be measured."""
        every = [*(d.of for d in self.data), *self.candidates]
        return list(dict.fromkeys(o for o in every if o.experiment == experiment))

    def inputs_of(self, experiment: str) -> list[int]:
        """Places of the inputs that enter the runs of an experiment."""
        return [
            i
            for i, prior in enumerate(self.priors.values())
            if not prior.experiments or experiment in prior.experiments
        ]

    def settings_of(self, experiment: str, u: np.ndarray) -> dict[str, float]:
        """Keys of the run of an experiment at a place in the unit cube, 6 digits each."""
        priors = list(self.priors.values())
        return {
            # Few digits, so that a run file shows what was run, and a repeated design finds the
            # same runs.
            key: float(f"{float(priors[i].value(u[i])):.6g}")
            for i in self.inputs_of(experiment)
            for key in priors[i].keys
        }

    def values(self, u: np.ndarray) -> np.ndarray:
        """Inputs at places in the unit cube; both of shape (n, inputs)."""
        columns = [prior.value(u[:, i]) for i, prior in enumerate(self.priors.values())]
        return np.stack(columns, axis=1)

    def fingerprint(self) -> str:
        """Of everything that decides which runs are made; more waves and more held out may come."""
        kept = {name: e for name, e in self.experiments.items() if not e.held_out}
        parts = {
            # Experiments that are held out may come and go, also in the list of a prior.
            "priors": {
                name: p.model_dump() | {"experiments": [e for e in p.experiments if e in kept]}
                for name, p in self.priors.items()
            },
            "experiments": {n: (e.run, e.series, e.set) for n, e in kept.items()},
            "data": [(d.of.name, d.value, d.error, d.discrepancy, d.beyond) for d in self.fitted],
            "runs": [getattr(self.settings, key) for key in ("points", "replicas", "seed")],
        }
        text = json.dumps(parts, sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()


def read_problem(file: str | Path, waves: int | None = None) -> InverseProblem:
    """Read and check a calibration file (path or shipped name), its data and its runs.

    `waves` in place of those of the file. `InputError` before anything has been run, also where a
    quantity has no stated discrepancy.
    """
    path = catalogue.locate("calibrations", file)
    tables = catalogue.read_toml(path)
    try:
        found = _File.model_validate(tables)
    except ValidationError as error:
        item = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in item["loc"]) or "the file"
        raise InputError(
            f"{place} in {path}: {item['msg'].removeprefix('Value error, ')}",
            advice="A calibration has [calibrate], [priors], [discrepancy] and [experiments.NAME]; "
            "kmc calibrate --help shows one.",
        ) from None
    for name in found.experiments:
        if set(name) & set('/\\:*?"<>|') or name.startswith("."):
            raise InputError(
                f"experiments.{name!r} in {path} is no name of a folder",
                advice="Leave / and the like out of it.",
            )
    _check_priors(found, str(path))
    data = [d for name in found.experiments for d in _data_of(name, found, path)]
    if all(found.experiments[datum.of.experiment].held_out for datum in data):
        raise InputError(
            f"{path} fits nothing: every experiment is held out or has no number",
            advice="Leave held_out away from one of them.",
        )
    candidates = [_candidate(text, found, path) for text in found.calibrate.candidates]
    experiments = dict(found.experiments)
    for name, one in experiments.items():
        beside = path.parent / one.run
        if one.run.endswith(".toml") and beside.is_file():  # else the name of a shipped run
            experiments[name] = one.model_copy(update={"run": str(beside.resolve())})
    problem = InverseProblem(
        name=path.stem,
        source=str(path),
        settings=found.calibrate.model_copy(update={} if waves is None else {"waves": waves}),
        priors=found.priors,
        experiments=experiments,
        data=data,
        discrepancy=found.discrepancy,
        candidates=candidates,
        text=catalogue.read_text(path),
    )
    _check_runs(problem)
    return problem


def _check_priors(found: _File, source: str) -> None:
    """Whether priors name experiments, and none is set by two."""
    faults: list[Fault] = []
    owner: dict[tuple[str, str], str] = {}
    for name, prior in found.priors.items():
        where = f"priors.{name} in {source}"
        for experiment in prior.experiments or found.experiments:
            if experiment not in found.experiments:
                advice = catalogue.nearest(experiment, found.experiments)
                faults.append(Fault(f"{where} names the experiment {experiment!r}", advice))
                continue
            for key in prior.keys:
                if (experiment, key) in owner:
                    text = f"{where} and priors.{owner[experiment, key]} both set {key}"
                    faults.append(Fault(text, "Give each its experiments, or keep one."))
                owner[experiment, key] = name
    raise_problems(faults, source)


def _data_of(name: str, found: _File, path: Path) -> list[Datum]:
    experiment = found.experiments[name]
    if not experiment.data:
        if experiment.held_out:
            return []  # predicted, with nothing beside it
        raise InputError(
            f"experiments.{name} in {path} has no data",
            advice="Name a CSV file of measured numbers, or write held_out = true.",
        )
    file = path.parent / experiment.data
    shipped = Path(__file__).resolve().parents[2] / "analysis" / experiment.data
    file = shipped if not file.is_file() and shipped.is_file() else file
    table = read_measured(file).table
    if experiment.series:
        known = list(dict.fromkeys(table["series"]))
        table = table[table["series"] == experiment.series]
        if not len(table):
            raise InputError(
                f"experiments.{name} in {path}: {file.name} has no series {experiment.series!r}",
                advice=f"It has {', '.join(known)}.",
            )
    data: list[Datum] = []
    for number, row in table.iterrows():
        where = f"{file.name}, row {number + 1}"
        data += _of_row(name, row, where, found, path)
    return data


def _of_row(name: str, row: Any, where: str, found: _File, path: Path) -> list[Datum]:
    """Data of one row: a charge at which something happens, or numbers at a charge."""
    charge, error = float(row[CAPACITY]), float(row[f"{CAPACITY}_error"])
    numbers = [c for c in QUANTITIES.values() if not math.isnan(row[c])]

    def of_charge(event: str, beyond: bool = False) -> Datum:
        if not charge > 0 or (not error > 0 and not beyond):
            raise InputError(
                f"{where}: {event} needs a charge above 0 with an error",
                advice="Fill capacity_mAh_cm2 and capacity_mAh_cm2_error.",
            )
        of = Measurable(name, CAPACITY, event=event)
        allowed = discrepancy_of(of, charge, found.discrepancy, path)
        # Charges are compared as logarithms, in which a relative error is the standard deviation.
        sigma = 0.0 if math.isnan(error) else error / charge
        return Datum(of, math.log(charge), sigma, allowed, beyond)

    if row["event"]:
        event = str(row["event"])
        bare = event.removeprefix(NOT)
        if bare not in EVENTS:
            raise InputError(
                f"{where}: event = {event!r} is not known",
                advice=f"{catalogue.nearest(bare, EVENTS)}Events: {', '.join(EVENTS)}; with "
                f"{NOT!r} in front for what had not happened by this charge.",
            )
        return [of_charge(bare, event != bare)]
    # An error of the charge says that the charge was measured at a given value, not the value at a
    # charge.
    if not math.isnan(error) and len(numbers) == 1:
        return [of_charge(f"{numbers[0]}={row[numbers[0]]:g}")]
    data = []
    for column in numbers:
        value, sigma = float(row[column]), float(row[f"{column}_error"])
        for what, known in (("no capacity_mAh_cm2", charge), (f"no {column}_error", sigma)):
            if math.isnan(known):
                raise InputError(
                    f"{where}: {column} = {value:g} has {what}, so that it cannot be fitted",
                    advice="State the charge and the error of each number; a charge at which a "
                    "value is reached has capacity_mAh_cm2_error instead.",
                )
        if not sigma > 0:
            raise InputError(
                f"{where}: {column}_error = {sigma:g}; no measurement is exact",
                advice="Give its standard error, above 0.",
            )
        of = Measurable(name, column, charge)
        if of.log and value <= 0:
            raise InputError(f"{where}: {column} = {value:g} must be above 0")
        allowed = discrepancy_of(of, value, found.discrepancy, path)
        data.append(Datum(of, float(of.scaled(value)), relative(of, value, sigma), allowed))
    return data


def _candidate(text: str, found: _File, path: Path) -> Measurable:
    experiment, _, rest = (part.strip() for part in text.partition(":"))
    column, _, at = (part.strip() for part in rest.partition(" at "))
    try:
        of = Measurable(experiment, column, float(at))
    except ValueError:
        of = Measurable(experiment, column)
    fitted = [n for n, e in found.experiments.items() if not e.held_out]
    if math.isnan(of.charge) or column not in QUANTITIES.values() or experiment not in fitted:
        raise InputError(
            f"calibrate.candidates in {path} has {text!r}",
            advice='Write "EXPERIMENT: COLUMN at CHARGE", such as "Li: height_um at 0.25". '
            f"Experiments: {', '.join(fitted)}; columns: {', '.join(QUANTITIES.values())}.",
        )
    discrepancy_of(of, 1.0, found.discrepancy, path)
    return of


def _check_runs(problem: InverseProblem) -> None:
    """Whether each run can be read in the middle of the priors, and measures what is compared."""
    middle = np.full(len(problem.priors), 0.5)
    for name, experiment in problem.experiments.items():
        changes = {**without_removed(experiment.set), **problem.settings_of(name, middle)}
        origins = {key: f"{key} of {problem.source}" for key in changes}
        run = load_run(experiment.run, changes, origins=origins)
        load_parameters(run.system.params, run.parameters)
        columns = {*SYSTEMS[run.kind].samples, CAPACITY}
        for of in problem.observables(name):
            lacking = [column for column in needs(of) if column not in columns]
            if lacking:
                raise InputError(
                    f"{of.name} needs {', '.join(lacking)}, which {SYSTEMS[run.kind].noun} does "
                    "not measure",
                    advice="Leave the number out of the data of this experiment.",
                )
