"""The sections of a run file: their keys, defaults, ranges and meaning.

`kmc init`, the error messages and the documentation take their texts from here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from numbers import Integral
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

from pydantic import BeforeValidator, Field

from kmc.common.validation import (
    Checked,
    Count,
    Integer,
    Number,
    NumberOrInf,
    kind,
    number_of,
    refuse,
    show,
)
from kmc.model import processes
from kmc.model.lattice import MIN_CELLS, MIN_LAYERS
from kmc.runfile.interface_entries import Chemistry, chemistries, places

MAX_SITES = 2**31 - 1  # sites are numbered in int32
MAX_COUNT = 2**63 - 1  # counts are stored in int64
MAX_TIME_s = 1e12  # of ends and intervals: 30 000 years
MG_SOLUBILITY = 0.7  # atomic fraction, S4 (10.1038/s41467-025-59567-8)


class Cadence(NamedTuple):
    """Interval between two records: `every`, in units of `unit`."""

    every: float
    unit: Literal["monolayers", "events", "s"]


def _key(default: Any, text: str, *, example: Any = None, reason: str = "", **bounds: Any) -> Any:
    """A key of a run file: its default, its meaning, an example where it has no default."""
    allowed = bounds.pop("allowed", "")
    return Field(
        default,
        description=text,
        examples=[example],
        json_schema_extra={"reason": reason, "allowed": allowed},
        **bounds,
    )


def _size(value: Any) -> tuple[int, int, int]:
    if not isinstance(value, list | tuple):
        raise refuse(f"must be a list of three whole numbers, not {kind(value)}")
    if len(value) != 3:
        raise refuse(f"must have exactly three entries, not {len(value)}")
    for item in value:
        if isinstance(item, bool) or not isinstance(item, Integral):
            raise refuse(f"must hold whole numbers only, not {show(item)}")
    if max(value) > MAX_SITES:
        raise refuse(f"has more than {MAX_SITES} sites along one edge")
    if min(value[:2]) < MIN_CELLS:
        raise refuse(f"has too few cells in plane: {min(value[:2])}")
    if value[2] < MIN_LAYERS:
        raise refuse(f"has too few layers: {value[2]}")
    nx, ny, layers = (int(item) for item in value)
    return nx, ny, layers


class SystemSection(Checked):
    """A section that makes a run one of another system (`kmc.systems`).

    - `uses`: section → keys of it that such runs use; others are refused, and not stored.
    """

    uses: ClassVar[Mapping[str, tuple[str, ...]]] = {}


_PATCH = ("x_nm", "y_nm", "radius_nm")
_VOID = (*_PATCH, "height_nm")


def _coverage(value: Any) -> float | str:
    if value == "equilibrium":
        return value
    number, problem = number_of(value)
    if isinstance(value, str):
        raise refuse("is neither a number nor 'equilibrium'")
    if problem:
        raise refuse(problem)
    if not 0 <= number <= 1:
        raise refuse("is out of range")
    return number


class System(Checked):
    """Metal, lattice, size and initial composition."""

    params: str = _key("li_li2s", "parameter set: a shipped name or the path of a parameter file")
    lattice: str = _key("bcc_100", "lattice and its face on the electrolyte: name or path")
    size: Annotated[tuple[int, int, int], BeforeValidator(_size)] = _key(
        (32, 32, 24),
        "cells along x, cells along y, atomic layers along the normal",
        allowed=f"three whole numbers: at least {MIN_CELLS} cells, {MIN_CELLS} cells, "
        f"{MIN_LAYERS} layers",
    )
    boundary: Literal["interface", "periodic"] = _key(
        "interface",
        "along the normal: electrolyte below and metal reservoir above, or periodic bulk",
    )
    mg_fraction: Number = _key(
        0.0,
        "atomic fraction of Mg, random over the metal",
        ge=0,
        le=MG_SOLUBILITY,
        reason="bcc Li dissolves no more Mg",
    )
    mg_coverage_L1: Annotated[float | str | None, BeforeValidator(_coverage)] = _key(
        None,
        "initial share of Mg in L1; without it L1 is as random as the rest",
        example=0.6,
        allowed='from 0 to 1, or "equilibrium"',
    )
    mg_supply: Literal["metal", "vacancies"] = _key(
        "metal",
        "what fills a vacancy that leaves at the top: the metal above, which follows as a whole "
        "with its Mg (mg_fraction), or the little Mg that vacancies on their way to a distant sink "
        "bring past",
    )
    vacancy_fraction: Number = _key(
        0.0, "fraction of sites vacant at the start, random over all sites", ge=0, lt=1
    )


class Interface(Checked):
    """Initial state of the interface: flaws, and patches of other chemistries."""

    patch_density_per_um2: Number | None = _key(
        None,
        "mean number of contactless patches, discs of L1 that are vacant; the number in the box "
        "is drawn (Poisson) and so are their places",
        example=5000.0,
        gt=0,
        le=1e6,
    )
    patch_radius_nm: Number | None = _key(None, "radius of those patches", example=1.5, gt=0)
    patches: Annotated[
        tuple[tuple[float, float, float], ...] | None,
        BeforeValidator(lambda value: places(value, _PATCH)),
    ] = _key(
        None,
        "patches at stated places, besides those drawn",
        example=[[3.0, 3.0, 1.5]],
        allowed=f"a list of [{', '.join(_PATCH)}]",
    )
    void_density_per_um2: Number | None = _key(
        None,
        "mean number of voids, spherical caps that stand on the interface; drawn like patches",
        example=5000.0,
        gt=0,
        le=1e6,
    )
    void_radius_nm: Number | None = _key(
        None, "radius of the circle on which such a void stands", example=2.0, gt=0
    )
    void_height_nm: Number | None = _key(
        None,
        "its height; h = r tan(α/2) gives the void the angle α at its rim",
        example=1.0,
        gt=0,
    )
    voids: Annotated[
        tuple[tuple[float, float, float, float], ...] | None,
        BeforeValidator(lambda value: places(value, _VOID)),
    ] = _key(
        None,
        "voids at stated places, besides those drawn",
        example=[[7.0, 7.0, 2.0, 1.0]],
        allowed=f"a list of [{', '.join(_VOID)}]",
    )
    chemistry: Annotated[tuple[Chemistry, ...] | None, BeforeValidator(chemistries)] = _key(
        None,
        "chemistries of parts of the interface, the rest being params of [system]: a parameter "
        "set, its fraction of the L1 sites (met to the site), values of it to replace, and whether "
        "it is a conductive scaffold that keeps metal on it connected",
        example=[{"params": "li_philic_015", "fraction": 0.2}],
        allowed="a list of one to three tables with params, fraction, parameters, conductive",
    )
    correlation_length_nm: Number = _key(
        0.0,
        "size of their random patches: distance over which the field they are cut from falls to "
        "1/e; 0 draws each site by itself",
        ge=0,
    )
    mask: str | None = _key(
        None,
        "picture of the chemistries instead, stretched over the box: PNG, from black for params of "
        "[system] to white for the last chemistry; or NPY, whole numbers [y, x], 0 for [system]",
        example="map.png",
    )

    @property
    def has_flaws(self) -> bool:
        return any(
            (self.patch_density_per_um2, self.patches, self.void_density_per_um2, self.voids)
        )


class Conditions(Checked):
    """Temperature, current and electrode."""

    temperature_K: Number = _key(298.15, "temperature", gt=0, le=1_000_000)
    current_density_mA_cm2: Number = _key(
        0.5,
        "stripping current density, below 0 to plate; 0 lets the electrode relax; leave it out to "
        "hold a voltage",
        ge=-1e6,
        le=1e6,
    )
    overpotential_V: Number | None = _key(
        None,
        "held instead of a current: atoms are stripped and plated at the rates of their sites",
        example=0.02,
        gt=0,
        le=1,
    )
    stack_pressure_MPa: Number = _key(
        0.0, "pressure on the electrode, under which the metal creeps into voids", ge=0, le=1000
    )
    electrode_thickness_um: NumberOrInf = _key(
        100.0,
        "metal above the box, up to a perfect sink of vacancies; inf closes the box",
        ge=1e-6,
    )
    sink_length_um: NumberOrInf = _key(
        math.inf,
        "λ of the interface as a sink of vacancies: it takes K s/λ of them per area, s = S − 1 and "
        "K = ρ D_v c_eq, as much as metal of the thickness λ up to a perfect sink; inf for none",
        ge=1e-6,
        reason="a sink at no distance holds S at 1",
    )
    sink_depth_um: NumberOrInf = _key(
        math.inf,
        "1/κ of the sinks in the metal, dislocations above all: the depth at which most vacancies "
        "have ended, 1/√ρ for ρ dislocations per area; inf for none below the perfect sink",
        ge=1e-6,
        reason="a sink at no distance holds S at 1",
    )
    strip_weight_lambda: Number = _key(
        0.5,
        "how strongly weakly bound atoms are stripped first; 0 is uniform",
        ge=0,
        le=1,
    )
    contact_pattern_um: Number | None = _key(
        None,
        "edge of the square of the cell whose contacts the box stands for: scales constriction and "
        "rims; without it they are those of the box as it is, a few nanometres",
        example=6.0,
        gt=0,
        le=1e6,
    )
    series_resistance_ohm_cm2: Number = _key(
        0.0,
        "in series with the interface: thickness of the electrolyte over its conductivity, the "
        "other electrode",
        ge=0,
        le=1e9,
    )
    exchange: bool = _key(
        False,
        "at a given current, also strip and plate what oxidation and reduction exchange beyond it, "
        "in pairs; a held voltage always does",
    )
    plate_on_void_surfaces: bool = _key(
        False,
        "at a given current, also plate on the metal around voids that are open to the interface",
    )

    def model_post_init(self, context: Any) -> None:
        """Without a current of its own, a run at a held voltage has none."""
        if self.overpotential_V is not None and not self.current_is_given:
            self.__dict__["current_density_mA_cm2"] = 0.0

    @property
    def current_is_given(self) -> bool:
        """Whether the run names a current, rather than taking the default."""
        return "current_density_mA_cm2" in self.model_fields_set


class Acceleration(Checked):
    """Barrier raising by a ratio, to a lowest barrier or by a factor; without, rates are exact."""

    max_hops_per_strip_per_site: Number | None = _key(
        None,
        "rate of the fastest hop over the strip rate of one interface site; faster hops are "
        "slowed down to it, those of lone vacancies in the metal less; equilibrium stays exact",
        example=1e6,
        gt=0,
        le=1e30,
    )
    saddle_floor_eV: Number | None = _key(
        None,
        "lowest barrier of any hop and its reverse, but for lone vacancies in the metal",
        example=0.25,
        ge=0,
        le=10,
    )
    slow_down_by: Number | None = _key(
        None,
        "factor by which hops of the lowest barrier of the set are slowed (at ΔE = 0), the same at "
        "every current and temperature; no hop is faster than these, lone vacancies in the metal "
        "are slowed less",
        example=7e5,
        gt=1,
        le=1e30,
    )
    box_resistance_share: Number = _key(
        0.2,
        "lone vacancies in the metal are slowed only so far that the box keeps this share of the "
        "resistance L/D_v between interface and sink",
        gt=0,
        le=0.9,
        reason="the reservoir makes up the rest",
    )
    mg_exchange: bool = _key(
        False,
        "Mg moves in the metal at its true rate, by exchange with Li beside it, instead of waiting "
        "for slowed vacancies",
    )
    superbasins: bool = _key(
        False,
        "draw the walk of the only vacancy of the box in one step, exactly; useful where the "
        "interface stays flat (pure Li, bcc_100)",
    )


class Stop(Checked):
    """End of the run: whichever comes first. At least one key."""

    capacity_monolayers: Number | None = _key(
        None, "charge passed, in monolayers of the interface", example=2.0, gt=0, le=1e9
    )
    capacity_mAh_cm2: Number | None = _key(
        None, "charge passed per area", example=1e-4, gt=0, le=1e5
    )
    contact_fraction: Number | None = _key(
        None,
        "ends when contact (metal sites of L1 over all its sites) falls to this",
        example=0.3,
        ge=0,
        lt=1,
    )
    overpotential_V: Number | None = _key(
        None, "ends when the overpotential rises to this", example=0.1, gt=0, le=1e6
    )
    events: Count | None = _key(
        None,
        f"number of events: {processes.listed()}",
        example=10_000_000,
        ge=1,
        le=MAX_COUNT,
    )
    time_s: Number | None = _key(None, "simulated time", example=1.0, gt=0, le=MAX_TIME_s)
    wall_time_s: Number | None = _key(
        None,
        "time on the clock; such a run does not repeat exactly",
        example=600.0,
        gt=0,
        le=MAX_TIME_s,
    )


class Rest(Checked):
    """After the first stop the run can continue without current: give time or events.

    Without either, the run ends at its first stop.
    """

    time_s: Number | None = _key(
        None, "simulated time of the rest", example=1.0, gt=0, le=MAX_TIME_s
    )
    events: Count | None = _key(
        None, "number of events of the rest", example=1_000_000, ge=1, le=MAX_COUNT // 2
    )
    sample_every_s: Number | None = _key(
        None,
        "a sample each interval of the rest; by default 100 over its time, or over its events",
        example=0.01,
        gt=0,
        le=MAX_TIME_s,
    )
    frame_every_s: Number | None = _key(
        None,
        "a frame each interval of the rest; by default 10 over its time, or over its events",
        example=0.1,
        gt=0,
        le=MAX_TIME_s,
    )

    @property
    def wanted(self) -> bool:
        """Whether the run has a rest."""
        return self.time_s is not None or self.events is not None

    def cadence(self, what: Literal["sample", "frame"]) -> Cadence:
        """Interval of samples or of frames in the rest."""
        every_s, parts = getattr(self, f"{what}_every_s"), {"sample": 100, "frame": 10}[what]
        if every_s is not None:
            return Cadence(every_s, "s")
        if self.time_s is not None:
            return Cadence(self.time_s / parts, "s")
        assert self.events is not None, "a run without a rest has no cadence of one"
        return Cadence(max(1, self.events // parts), "events")


_NOTHING_LESS = {"monolayers": "less is no atom", "s": "nothing is faster"}


def _every(what: str, unit: str, example: float, without: str = "", ge: float = 1) -> Any:
    """A key that sets the interval of samples or frames."""
    span = {
        "monolayers": "each time this charge has passed",
        "events": "each so many events",
        "s": "each interval of simulated time",
    }[unit]
    bounds = {"ge": ge, "le": {"events": MAX_COUNT, "monolayers": 1e9, "s": MAX_TIME_s}[unit]}
    text = f"a {what} {span}{without}"
    return _key(None, text, example=example, reason=_NOTHING_LESS.get(unit, ""), **bounds)


class Output(Checked):
    """Intervals of samples (a row of numbers) and frames (every site of the box): one key each."""

    sample_every_monolayers: Number | None = _every(
        "sample", "monolayers", 0.02, "; 0.02 unless another cadence is given", 1e-9
    )
    sample_every_events: Count | None = _every(
        "sample", "events", 10_000, "; without current 10000 unless another is given"
    )
    sample_every_s: Number | None = _every("sample", "s", 0.01, ge=1e-18)
    frame_every_monolayers: Number | None = _every(
        "frame", "monolayers", 0.2, "; 0.2 unless another cadence is given", 1e-9
    )
    frame_every_events: Count | None = _every(
        "frame", "events", 100_000, "; without current 100000 unless another is given"
    )
    frame_every_s: Number | None = _every("frame", "s", 0.1, ge=1e-18)


class Random(Checked):
    """The same seed gives the same trajectory, byte for byte."""

    seed: Integer = _key(1, "seed of the random numbers", ge=0, le=MAX_COUNT)
