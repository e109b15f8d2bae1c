"""Convergence studies: a run at several ratios of hops to strips.

The levels are the points of an ordinary sweep over ``acceleration.max_hops_per_strip_per_site``:
their runs are kept, `kmc.load_sweep` reads them, and a second call runs only what is missing.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kmc.campaign.convergence.findings import ratio_text
from kmc.campaign.convergence.outcome import (
    RATIO,
    TOLERANCE,
    Convergence,
    read_study,
)
from kmc.campaign.execute import run_plan
from kmc.campaign.folder import plan_along
from kmc.campaign.plan import MAX_POINTS, Plan, plan_of
from kmc.campaign.points import without_removed
from kmc.campaign.scalars import check_reading
from kmc.errors import InputError
from kmc.runfile.kinds import KINDS
from kmc.runfile.load import RunFile, load_run
from kmc.systems.slowing import FACTOR, FLOOR, small_model

_INSTEAD = (FLOOR, FACTOR)  # keys that state the lowest barrier without a ratio
LEVELS, REPLICAS = 5, 4
_MAX_LEVELS = 20


@dataclass(frozen=True)
class Levels:
    """Settings of a convergence study: the run and, as for `converge`, its levels."""

    base: str
    ratios: tuple[float, ...] | None = None
    levels: int = LEVELS
    replicas: int = REPLICAS
    settings: Mapping[str, Any] | None = None
    seed: int = 1

    def check(self) -> tuple[RunFile, tuple[float, ...]]:
        """The run at the highest ratio, and all ratios, ascending.

        `InputError` where the run has no ratio, or one is out of range.
        """
        if not 1 <= self.replicas <= MAX_POINTS:
            raise InputError(
                f"--replicas {self.replicas} is out of range",
                advice="Give at least 1; the scatter needs 2 or more.",
            )
        if not 1 <= self.levels <= _MAX_LEVELS:
            raise InputError(
                f"--levels {self.levels} is out of range", advice=f"Allowed: 1 to {_MAX_LEVELS}."
            )
        settings = dict(self.settings or {})
        run = load_run(self.base, settings, origins=_origins(settings))
        section = KINDS[run.kind].section
        if section:
            # Only boxes of atoms slow hops by this ratio and hold what the study reads.
            raise InputError(
                f"{run.name} is {KINDS[run.kind].noun}: it has no ratio of hops to strips to vary",
                advice=f"Vary a key of [{section}] or random.seed: kmc sweep --help, kmc compare.",
            )
        physical = physical_ratio_of(run)
        own = run.acceleration.max_hops_per_strip_per_site
        if self.ratios is None and own is None:
            given = {key: getattr(run.acceleration, key) for key in _INSTEAD}
            stated = [f"{key} = {value:g}" for key, value in given.items() if value is not None]
            has = f"{stated[0]}, not a ratio" if stated else "no ratio"
            advice = "Give the levels with --ratios, for example --ratios 1e4,1e5,1e6."
            if stated:
                model = small_model(run)
                ratio = physical * model.fastest_hop_Hz / model.attempt_frequency_Hz
                advice += f" Those barriers are a ratio of {ratio_text(ratio)}."
            raise InputError(
                f"{self.base} has {has}: the highest level is not given", advice=advice
            )
        ratios = self._levels(own, physical)
        # The highest ratio has the lowest barriers: if it can be run, the others can.
        top = {**self.fixed(run), RATIO: ratios[-1]}
        return load_run(self.base, top, origins=_origins(settings)), ratios

    def fixed(self, run: RunFile) -> dict[str, Any]:
        """Changes of the run at every level; the ratios replace any other lowest barrier."""
        replaced = {f"acceleration.{key}": getattr(run.acceleration, key) for key in _INSTEAD}
        settings = self.settings or {}
        kept = {key: v for key, v in settings.items() if key not in (RATIO, *replaced)}
        return kept | {key: None for key, value in replaced.items() if value is not None}

    def _levels(self, own: float | None, physical: float) -> tuple[float, ...]:
        if self.ratios is None:
            assert own is not None  # `check` has asked for it
            # Rounding to three digits must not exceed the physical ratio.
            top = min(10.0 * own, float(f"{0.995 * physical:.3g}"))
            # From ten times above the run: only a higher level shows whether its own is enough.
            ratios = [float(f"{top / 10.0**i:.6g}") for i in range(self.levels)]
        else:
            numbers = (int, float, np.number)  # NaN, for anything else, is refused below
            ratios = [float(v) if isinstance(v, numbers) else math.nan for v in self.ratios]
        for value in ratios:
            if not value >= 1:
                raise InputError(
                    f"a ratio of {value:g} is out of range",
                    advice="Ratios are at least 1: hops for each atom that is stripped from a site."
                    + (" Ask for fewer --levels." if self.ratios is None else ""),
                )
            if math.isfinite(value) and value > physical * (1 + 1e-9):
                raise InputError(
                    f"a ratio of {ratio_text(value)} is beyond the physical one, "
                    f"{ratio_text(physical)}",
                    advice="No barrier is raised from there on; leave it out.",
                )
        if len(set(ratios)) < len(ratios) or not any(map(math.isfinite, ratios)):
            raise InputError("--ratios needs different ratios", advice="Such as 1e4,1e5,1e6.")
        return tuple(sorted(ratios))

    def plan(self, folder: str | Path) -> Plan:
        """The sweep, with the levels and replicas that the folder has already."""
        # A sweep may only grow: levels and replicas of earlier calls stay.
        ratios, replicas = {*self.check()[1]}, self.replicas
        if plan := plan_along(folder, [RATIO]):
            # A second call with fewer levels must not lose runs that were paid for.
            ratios |= {float(value) for value in plan.axes[RATIO]}
            replicas = max(replicas, plan.replicas)
        study = {
            "run": self.base,
            "replicas": replicas,
            "seed": self.seed,
            "grid": {RATIO: sorted(ratios)},
            "set": self.fixed(load_run(self.base, self.settings)),
        }
        comment = "Written by kmc converge: a convergence study over ratios of hops to strips."
        return plan_of(study, "converge", comment, resolve=False)


def _origins(settings: Mapping[str, Any]) -> dict[str, str]:
    return {key: f"--set {key}={value}" for key, value in settings.items()}


def physical_ratio_of(run: RunFile) -> float:
    """Attempt frequency over strip rate of one site: the ratio at which no barrier is raised."""
    if run.system.boundary != "interface":
        raise InputError(
            f"system.boundary = {run.system.boundary!r}: without an interface nothing is stripped",
            advice='A convergence study needs boundary = "interface" and a current.',
        )
    model = small_model(run)
    if model.strip_rate_per_site_Hz <= 0:
        raise InputError(
            "without a current there is no ratio of hops to stripped atoms",
            advice="Set conditions.current_density_mA_cm2 or overpotential_V above 0.",
        )
    # No hop is faster than its attempts: from this ratio on no barrier is raised.
    return model.attempt_frequency_Hz / model.strip_rate_per_site_Hz


def converge(
    run: str | Path,
    *,
    ratios: Sequence[float] | None = None,
    levels: int = LEVELS,
    replicas: int = REPLICAS,
    settings: Mapping[str, Any] | None = None,
    at: float | None = None,
    tolerance: float = TOLERANCE,
    seed: int = 1,
    output: str | Path | None = None,
    workers: int | None = None,
    progress: bool = True,
    rungs: int | None = None,
) -> Convergence:
    """Run a convergence study over ratios; runs that the folder has are not repeated.

    Parameters
    ----------
    run, settings, seed, output, workers, progress
        As of `kmc.critical`; the folder is NAME_converge by default.
    ratios : sequence of float, optional
        Values of ``acceleration.max_hops_per_strip_per_site``; by default `levels` of them, ten
        times apart, up to ten times that of the run.
    levels, replicas : int
        Number of levels without `ratios`, and of runs at each; `rungs` was the name of `levels`.
    at : float, optional
        Capacity in monolayers at which contact and voids are read; the end of each run by default.
    tolerance : float
        Change that a tenfold ratio may make for a number to count as converged, as a share of it.

    Returns `kmc.campaign.convergence.outcome.Convergence`. Raises `InputError` before anything has
    been run, `KmcError` where every run failed.
    """
    if rungs is not None:
        warnings.warn(
            "kmc.converge(rungs=…) is deprecated: write levels=…", DeprecationWarning, stacklevel=2
        )
        levels = rungs
    check_reading(at, tolerance)
    chosen = None if ratios is None else tuple(ratios)
    asked = Levels(str(run), chosen, levels, replicas, without_removed(settings), seed)
    name = asked.check()[0].name
    folder = Path(f"{name}_converge" if output is None else output)
    tally = run_plan(asked.plan(folder), folder, workers=workers, progress=progress)
    if tally.interrupted:
        raise KeyboardInterrupt
    return read_study(folder, at=at, tolerance=tolerance, workers=workers)
