"""Searches for a critical value, such as the current at which runs begin to fail.

Every value tried is a point of an ordinary sweep, whose grid grows during the search: its runs are
kept, `kmc.load_sweep` reads them, and a second call runs only what is missing.
"""

import tomllib
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from kmc.campaign.calibration.calibrate import load_calibration
from kmc.campaign.critical.question import Critical, Question, parse_criterion
from kmc.campaign.critical.threshold import Scale, search
from kmc.campaign.dataset import load_sweep
from kmc.campaign.execute import run_plan
from kmc.campaign.folder import plan_along
from kmc.campaign.plan import plan_of
from kmc.campaign.points import ZIP, Plan, without_removed
from kmc.common.late import xarray as xr
from kmc.errors import InputError, KmcError

CONFIDENCE = 0.95


def critical(
    run: str | Path,
    *,
    vary: str,
    between: tuple[float, float],
    criterion: str,
    at: float | None = None,
    settings: Mapping[str, Any] | None = None,
    replicas: int = 4,
    tolerance: float = 0.2,
    max_runs: int = 120,
    seed: int = 1,
    output: str | Path | None = None,
    workers: int | None = None,
    progress: bool = True,
    calibration: str | Path | None = None,
    experiment: str | None = None,
) -> Critical:
    """Find the value of one key at which half of the runs meet a criterion.

    - `run`, `settings`, `seed`, `output`, `workers`, `progress`: as of `kmc.sweep`;
      ``{"section.key": value}`` in every run. The folder is NAME_critical by default, and its runs
      are used again.
    - `vary`, `between`: numeric key, such as ``"conditions.current_density_mA_cm2"``, and the range
      searched.
    - `criterion`: such as ``"contact_fraction<0.7"`` or ``"voids>=3"``.
    - `at`: charge at which runs end and are judged, in mAh/cm² for populations of voids and in
      monolayers for all others; the end of the run by default.
    - `replicas`, `max_runs`: runs at each value, at least 2, and runs at which the search ends.
    - `tolerance`: half width of the 95 % interval at which the search ends, as a share of the
      value.
    - `calibration`, `experiment`: folder of `kmc calibrate`, and which of its experiments the runs
      are (the first): each replica is a sample of the posterior, and ``safe`` is the value up to
      which 9 of 10 do not meet the criterion.

    Returns `kmc.campaign.critical.question.Critical`. Raises `InputError` before anything has been
    run, `KmcError` where all runs at a value failed.
    """
    question = Question(
        base=str(run),
        vary=vary,
        scale=Scale.between(*between),
        criterion=parse_criterion(criterion),
        at=at,
        replicas=replicas,
        tolerance=tolerance,
        max_runs=max_runs,
        settings=without_removed(settings),
        seed=seed,
        samples=posterior_samples(calibration, experiment, replicas),
    )
    name = question.check().name
    question.warn_of_hidden_effects()
    folder = Path(f"{name}_critical" if output is None else output)
    return find(question, folder, workers=workers, progress=progress)


def posterior_samples(
    calibration: str | Path | None, experiment: str | None, count: int
) -> list[dict[str, float]]:
    """Keys of runs at samples of a calibration's posterior; none without a calibration."""
    if calibration is None:
        if experiment is not None:
            raise InputError(
                f"--experiment {experiment} names an experiment of no calibration",
                advice="Give --calibration, the folder of kmc calibrate.",
            )
        return []
    posterior = load_calibration(calibration)
    names = posterior.content["experiments"]
    if not posterior.plausible:
        raise InputError(f"{calibration} left no input plausible", advice="There is no posterior.")
    if experiment is not None and experiment not in names:
        raise InputError(
            f"{calibration} has no experiment {experiment!r}", advice=f"It has {', '.join(names)}."
        )
    return posterior.settings(count, experiment or names[0])


def find(
    question: Question,
    folder: str | Path,
    *,
    workers: int | None = None,
    report: Callable[[str], None] = lambda line: None,
    progress: bool = False,
) -> Critical:
    """Search, in a folder that keeps the runs.

    `folder` is new, or that of an earlier search of the same kind, whose runs count; `report` gets
    a line of text for each value tried. For the rest see `critical`.
    """
    question.check()
    runs, scale = _Runs(question, Path(folder), workers, progress, report), question.scale
    # Runs outside the range of today stay in the folder, and out of the fit.
    earlier = [value for value in runs.earlier() if scale.low <= value <= scale.high]
    result = search(
        runs.at,
        scale,
        replicas=question.replicas,
        tolerance=question.tolerance,
        max_runs=question.max_runs,
        confidence=CONFIDENCE,
        known=dict(zip(earlier, runs.at(earlier), strict=True)),
    )
    return Critical(question, result, runs.early, tuple(runs.ends), runs.failed, runs.path)


def first_plan(question: Question, folder: Path) -> Plan:
    """The sweep that a search begins with: both ends of the range."""
    question.check()
    return _Runs(question, folder, None, False, print).plan(
        [question.scale.low, question.scale.high]
    )


@dataclass
class _Runs:
    """Runs of a search, kept as a sweep whose grid grows."""

    question: Question
    path: Path
    workers: int | None
    progress: bool
    report: Callable[[str], None]
    early: int = 0
    failed: int = 0
    ends: list[tuple[float, str]] = field(default_factory=list)

    def earlier(self) -> list[float]:
        """Values of an earlier search in the folder."""
        vary = self.question.vary
        plan = plan_along(self.path, [vary, *([ZIP] if self.question.samples else [])])
        return [float(value) for value in plan.axes[vary]] if plan else []

    def at(self, values: Sequence[float]) -> list[tuple[int, int]]:
        """Runs that meet the criterion and runs made at each value; existing runs are reused."""
        if not values:
            return []
        plan = self.plan(values)
        tally = run_plan(plan, self.path, workers=self.workers, progress=self.progress)
        if tally.interrupted:
            raise KeyboardInterrupt
        return self._count(values)

    def plan(self, values: Sequence[float]) -> Plan:
        """The sweep of these values and of those of an earlier search in the folder."""
        question, fixed = self.question, self.question.fixed()
        study: dict[str, Any] = {
            "run": question.base,
            "seed": question.seed,
            # A sweep may only grow: values tried before stay in its grid.
            "grid": {question.vary: sorted({*self.earlier(), *values})},
        }
        if samples := question.samples:
            study["zip"] = {key: [row[key] for row in samples] for key in samples[0]}
            fixed = {key: value for key, value in fixed.items() if key not in samples[0]}
        else:
            study["replicas"] = question.replicas
        comment = f"Written by kmc critical: where {question.criterion} sets in."
        return plan_of(study | {"set": fixed}, "critical", comment, resolve=False)

    def _count(self, values: Sequence[float]) -> list[tuple[int, int]]:
        question, charge = self.question, self.question.charge
        at = {f"at_{charge.unit}": question.at} if charge and question.at is not None else {}
        ds = load_sweep(self.path, **at, progress=False)
        (axis,) = (n for n, c in ds.coords.items() if c.attrs.get("key") == question.vary)
        counts = []
        for value in values:
            runs = ds.sel({axis: value})
            done = runs.state.values.ravel() == "done"
            if not done.any():
                error = next(filter(None, runs.error.values.ravel()), "no run was made")
                raise KmcError(
                    f"every run at {question.vary} = {value:g} failed: {error}",
                    advice=f"{self.path}/failures has the details.",
                )
            self.failed += int((~done).sum())
            numbers = _column(runs, question.criterion.name)[done]
            if charge is not None and charge.column in runs:
                ends = runs[charge.column].values.ravel()[done]
                self.ends += zip(ends.tolist(), runs.stop_reason.values.ravel()[done], strict=True)
            if charge is not None and at:
                # A run that ended before the charge is judged by its last sample.
                reached = ~np.isnan(_column(runs, f"{charge.column}_at")[done])
                numbers = np.where(
                    reached, _column(runs, f"{question.criterion.name}_at")[done], numbers
                )
                self.early += int((~reached).sum())
            hits, n = int(question.criterion.holds(numbers).sum()), int(done.sum())
            self.report(
                f"{question.vary} = {value:<10g} {question.criterion} in {hits} of {n} runs"
            )
            counts.append((hits, n))
        return counts


def _column(runs: "xr.Dataset", name: str) -> np.ndarray:
    """A number of every run; NaN where none has it."""
    name = name if name in runs.data_vars else f"{name}_end"  # beside an axis of that name
    values = runs[name] if name in runs.data_vars else runs.seed * np.nan
    return values.values.ravel()


def parse_against(text: str) -> tuple[str, list[float]]:
    """Read ``KEY=[V1, V2, …]``: two or more different numbers."""
    key, _, listed = (part.strip() for part in text.partition("="))
    values = None
    with suppress(tomllib.TOMLDecodeError):
        values = tomllib.loads(f"values = {listed}").get("values")
    numbers = values if isinstance(values, list) else []
    plain = [isinstance(v, int | float) and not isinstance(v, bool) for v in numbers]
    if len(numbers) < 2 or not all(plain) or len({float(v) for v in numbers}) < len(numbers):
        raise InputError(
            f"--against {text} gives no list of at least two different numbers",
            advice='Write "parameters.formation_energy_L1_eV=[0.28, 0.4, 0.5]".',
        )
    return key, sorted(float(value) for value in numbers)


def find_against(
    question: Question,
    key: str,
    values: Sequence[float],
    folder: str | Path,
    *,
    report: Callable[[str], None] = lambda line: None,
    **options: Any,
) -> list[Critical]:
    """Search again for each value of a second key (``section.key``), in folders of their own."""
    if key == question.vary:
        raise InputError(f"{key} is varied and given with --against at once")
    questions = [
        replace(question, settings={**(question.settings or {}), key: value}) for value in values
    ]
    for asked in questions:
        asked.check()
    Path(folder).mkdir(exist_ok=True)
    results = []
    for value, asked in zip(values, questions, strict=True):
        report(f"\n{key} = {value:g}")
        place = Path(folder) / f"{key.rpartition('.')[2]}={value:g}"
        results.append(find(asked, place, report=report, **options))
    return results
