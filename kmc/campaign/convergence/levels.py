"""Convergence studies: a run at several ratios of hops to strips, cells or squares.

The levels are the points of an ordinary sweep over one key (`findings.AXES`): their runs are kept,
`kmc.load_sweep` reads them, and a second call runs only what is missing.
"""

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kmc.campaign.convergence.findings import AXES, CELLS, RATIOS, SQUARES, Axis, ratio_text
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
from kmc.runfile.kinds import BOX, KINDS
from kmc.runfile.load import RunFile, load_run
from kmc.systems.slowing import FACTOR, FLOOR, small_model

_INSTEAD = (FLOOR, FACTOR)  # keys that state the lowest barrier without a ratio
LEVELS, REPLICAS = 5, 4
_MAX_LEVELS = 20
_AXES = {BOX: (RATIOS,), "population": (CELLS, SQUARES)}
_BELOW_LIMIT = 1e7  # highest of the other levels of a run in equilibrium between strips


@dataclass(frozen=True)
class Levels:
    """Settings of a convergence study: the run and, as for `converge`, its levels."""

    base: str
    ratios: tuple[float, ...] | None = None  # or cells or edges of squares, of another `axis`
    levels: int = LEVELS
    replicas: int = REPLICAS
    settings: Mapping[str, Any] | None = None
    seed: int = 1
    axis: Axis | None = None  # ratios for a box of atoms, cells for a population by default

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
        axis, noun = self.axis_of(run), KINDS[run.kind].noun
        # Only boxes of atoms slow hops by a ratio, only populations have a grid.
        if axis not in _AXES.get(run.kind, ()):
            options = " or ".join(one.option for one in _AXES.get(run.kind, ()))
            raise InputError(
                f"{run.name} is {noun}: it has no {axis.noun} to vary",
                advice=f"Give {options or 'other values in a sweep (kmc sweep --help)'}.",
            )
        if axis is not RATIOS:
            return run, self._of_squares(run, axis)
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

    def axis_of(self, run: RunFile) -> Axis:
        """What the levels differ in."""
        return self.axis or (CELLS if run.kind == "population" else RATIOS)

    def _of_squares(self, run: RunFile, axis: Axis) -> tuple[float, ...]:
        """Levels of a population: as given, or halved cells or doubled squares from its own."""
        own, ratios = getattr(run.upscale, axis.key.partition(".")[2]), self.ratios
        if ratios is None:
            if own is None:
                advice = f"Give them with {axis.option}."
                raise InputError(f"{run.name} has no {axis.key}: no levels follow", advice=advice)
            # One level better than the run: only that shows whether its own is enough.
            better = (axis.step ** (2 - i) * own for i in range(1, min(self.levels, 3) + 1))
            ratios = tuple(float(f"{value:.4g}") for value in better)
        levels = sorted(set(map(float, ratios)), reverse=axis is CELLS)
        if len(levels) < len(ratios):
            raise InputError(f"{axis.option} needs different values", advice="Leave one out.")
        for level in levels:
            origins = {axis.key: f"{axis.option} {level:g}"}
            load_run(self.base, {**(self.settings or {}), axis.key: level}, origins=origins)
        return tuple(levels)

    def fixed(self, run: RunFile) -> dict[str, Any]:
        """Changes of the run at every level; the ratios replace any other lowest barrier."""
        replaced = {f"acceleration.{key}": getattr(run.acceleration, key) for key in _INSTEAD}
        settings, own = self.settings or {}, self.axis_of(run).key
        kept = {key: v for key, v in settings.items() if key not in (own, *replaced)}
        return kept | {key: None for key, value in replaced.items() if value is not None}

    def _levels(self, own: float | None, physical: float) -> tuple[float, ...]:
        if self.ratios is None:
            assert own is not None  # `check` has asked for it
            limit = [own] if math.isinf(own) else []
            # Rounding to three digits must not exceed the physical ratio.
            top = min(_BELOW_LIMIT if limit else 10.0 * own, float(f"{0.995 * physical:.3g}"))
            # From ten times above the run: only a higher level shows whether its own is enough.
            ratios = [float(f"{top / 10.0**i:.6g}") for i in range(self.levels - len(limit))]
            ratios += limit
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
            raise InputError(
                "--ratios needs different ratios, some finite", advice="Such as 1e4,1e5,1e6."
            )
        return tuple(sorted(ratios))

    def plan(self, folder: str | Path) -> Plan:
        """The sweep, with the levels and replicas that the folder has already."""
        # A sweep may only grow: levels and replicas of earlier calls stay.
        run, levels = self.check()
        ratios, replicas, key = {*levels}, self.replicas, self.axis_of(run).key
        if plan := plan_along(folder, [key]):
            # A second call with fewer levels must not lose runs that were paid for.
            ratios |= {float(value) for value in plan.axes[key]}
            replicas = max(replicas, plan.replicas)
        study = {
            "run": self.base,
            "replicas": replicas,
            "seed": self.seed,
            "grid": {key: sorted(ratios)},
            "set": self.fixed(load_run(self.base, self.settings)),
        }
        comment = f"Written by kmc converge: a convergence study over {key}."
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


def axis_and_levels(*given: Sequence[float] | None) -> tuple[Axis | None, tuple[float, ...] | None]:
    """Axis and levels of ratios, cells or squares; none where all are None.

    Raises `InputError`: two of them are given.
    """
    some = [(axis, v) for axis, v in zip(AXES.values(), given, strict=True) if v is not None]
    if len(some) > 1:
        raise InputError(
            " and ".join(axis.option for axis, _ in some) + " exclude each other",
            advice="Give one, and the others in a study of their own.",
        )
    return (some[0][0], tuple(some[0][1])) if some else (None, None)


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
    cells: Sequence[float] | None = None,
    squares: Sequence[float] | None = None,
) -> Convergence:
    """Run a convergence study over ratios; runs that the folder has are not repeated.

    - `run`, `settings`, `seed`, `output`, `workers`, `progress`: as of `kmc.critical`; the folder
      is NAME_converge by default.
    - `ratios`: values of ``acceleration.max_hops_per_strip_per_site``; by default `levels` of them,
      ten times apart, up to ten times that of the run.
    - `levels`, `replicas`: number of levels without `ratios`, and of runs at each; `rungs` was the
      name of `levels`.
    - `at`: capacity in monolayers, of a population in mAh/cm², at which contact and voids are read;
      the end of each run by default.
    - `tolerance`: change that a tenfold ratio may make for a number to count as converged, as a
      share of it.
    - `cells`, `squares`: widths of cells, or edges of the square, in µm, of a population of voids;
      by default twice, once and half the ``upscale.grid_um`` of the run.

    Returns `kmc.campaign.convergence.outcome.Convergence`. Raises `InputError` before anything has
    been run, `KmcError` where every run failed.
    """
    if rungs is not None:
        warnings.warn(
            "kmc.converge(rungs=…) is deprecated: write levels=…", DeprecationWarning, stacklevel=2
        )
        levels = rungs
    check_reading(at, tolerance)
    axis, chosen = axis_and_levels(ratios, cells, squares)
    asked = Levels(str(run), chosen, levels, replicas, without_removed(settings), seed, axis)
    name = asked.check()[0].name
    folder = Path(f"{name}_converge" if output is None else output)
    tally = run_plan(asked.plan(folder), folder, workers=workers, progress=progress)
    if tally.interrupted:
        raise KeyboardInterrupt
    return read_study(folder, at=at, tolerance=tolerance, workers=workers)
