"""The sections of a run file: their keys, defaults, ranges and meaning.

`kmc init`, the error messages and the documentation take their texts from here.
"""

import math
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field

from kmc.common.validation import (
    LIST,
    Checked,
    Count,
    Integer,
    Number,
    NumberOrInf,
    number_of,
    refuse,
)
from kmc.model import processes
from kmc.model.interphase import MAX_CHEMISTRIES
from kmc.model.lattice import MIN_CELLS, MIN_LAYERS

MAX_SITES = 2**31 - 1  # sites are numbered in int32
MAX_COUNT = 2**63 - 1  # counts are stored in int64
MAX_TIME_s = 1e12  # of ends and intervals: 30 000 years
MG_SOLUBILITY = 0.7  # atomic fraction, S4 (10.1038/s41467-025-59567-8)


class Cadence(NamedTuple):
    """Interval between two records: `every`, in units of `unit`."""

    every: float
    unit: Literal["monolayers", "events", "s"]


Positive = Annotated[Number, Field(gt=0)]
Share = Annotated[Number, Field(ge=0, le=1)]
Seconds = Annotated[Number, Field(gt=0, le=MAX_TIME_s)]


class Section(Checked):
    """A section of a run file; the text below a key is its meaning, in `kmc init` too."""

    model_config = ConfigDict(use_attribute_docstrings=True)


def _key(default: Any, **about: str) -> Any:
    """A key with a default, and `reason` or what is `allowed` of its range."""
    return Field(default, json_schema_extra=dict(about))


def _optional(example: Any, text: str | None = None, **about: str) -> Any:
    """A key that is not set by default, with an example of a value."""
    return Field(None, description=text, examples=[example], json_schema_extra=dict(about))


class SystemSection(Section):
    """A section that makes a run one of another system (`kmc.systems`).

    - `uses`: section → keys of it that such runs use; others are refused, and not stored.
    """

    uses: ClassVar[Mapping[str, tuple[str, ...]]] = {}


Cells = Annotated[Integer, Field(ge=MIN_CELLS, le=MAX_SITES)]
Layers = Annotated[Integer, Field(ge=MIN_LAYERS, le=MAX_SITES)]
_Patch = Annotated[tuple[Number, Number, Positive], LIST]
_Void = Annotated[tuple[Number, Number, Positive, Positive], LIST]


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


class System(Section):
    """Metal, lattice, size and initial composition."""

    params: str = "li_li2s"
    """parameter set: a shipped name (li_licl, li_lif, li_li2o: computed) or a file"""
    lattice: str = "bcc_100"
    """lattice and its face on the electrolyte: name or path"""
    size: Annotated[tuple[Cells, Cells, Layers], LIST] = _key(
        (32, 32, 24),
        allowed=f"three whole numbers below 2^31: at least {MIN_CELLS} cells, {MIN_CELLS} cells, "
        f"{MIN_LAYERS} layers",
    )
    """cells along x, cells along y, atomic layers along the normal"""
    boundary: Literal["interface", "periodic"] = "interface"
    """along the normal: electrolyte below and metal reservoir above, or periodic bulk"""
    mg_fraction: Annotated[Number, Field(ge=0, le=MG_SOLUBILITY)] = _key(
        0.0, reason="bcc Li dissolves no more Mg"
    )
    """atomic fraction of Mg, random over the metal"""
    mg_coverage_L1: Annotated[float | str | None, BeforeValidator(_coverage)] = _optional(
        0.6, allowed='from 0 to 1, or "equilibrium"'
    )
    """initial share of Mg in L1; without it L1 is as random as the rest"""
    mg_supply: Literal["metal", "vacancies"] = "metal"
    """what fills a vacancy that leaves at the top: the metal above, which follows as a whole with
    its Mg (mg_fraction), or the little Mg that vacancies on their way to a distant sink bring
    past"""
    vacancy_fraction: Annotated[Number, Field(ge=0, lt=1)] = 0.0
    """fraction of sites vacant at the start, random over all sites"""


class Chemistry(Checked):
    """A chemistry that parts of the interface have instead of that of [system].

    Of the parameter set `params`, with overrides of its values; on a `fraction` of the L1 sites,
    None where a mask says which. Electrons reach metal on a conductive one: a scaffold.
    """

    params: str
    fraction: Number | None = Field(None, ge=0, le=1)
    parameters: dict[str, Number] = Field(default_factory=dict)
    conductive: bool = False


class Interface(Section):
    """Initial state of the interface: flaws, and patches of other chemistries."""

    patch_density_per_um2: Annotated[Number, Field(gt=0, le=1e6)] | None = _optional(5000.0)
    """mean number of contactless patches, discs of L1 that are vacant; the number in the box is
    drawn (Poisson) and so are their places"""
    patch_radius_nm: Positive | None = _optional(1.5)
    """radius of those patches"""
    patches: Annotated[tuple[_Patch, ...], LIST, Field(min_length=1)] | None = _optional(
        [[3.0, 3.0, 1.5]], allowed="a list of [x_nm, y_nm, radius_nm], sizes above 0"
    )
    """patches at stated places, besides those drawn"""
    void_density_per_um2: Annotated[Number, Field(gt=0, le=1e6)] | None = _optional(5000.0)
    """mean number of voids, spherical caps that stand on the interface; drawn like patches"""
    void_radius_nm: Positive | None = _optional(2.0)
    """radius of the circle on which such a void stands"""
    void_height_nm: Positive | None = _optional(1.0)
    """its height; h = r tan(α/2) gives the void the angle α at its rim"""
    voids: Annotated[tuple[_Void, ...], LIST, Field(min_length=1)] | None = _optional(
        [[7.0, 7.0, 2.0, 1.0]],
        allowed="a list of [x_nm, y_nm, radius_nm, height_nm], sizes above 0",
    )
    """voids at stated places, besides those drawn"""
    chemistry: (
        Annotated[tuple[Chemistry, ...], LIST, Field(min_length=1, max_length=MAX_CHEMISTRIES - 1)]
        | None
    ) = _optional(
        [{"params": "li_philic_015", "fraction": 0.2}],
        allowed="a list of one to three tables with params, fraction, parameters, conductive",
    )
    """chemistries of parts of the interface, the rest being params of [system]: a parameter set,
    its fraction of the L1 sites (met to the site), values of it to replace, and whether it is a
    conductive scaffold that keeps metal on it connected"""
    correlation_length_nm: Annotated[Number, Field(ge=0)] = 0.0
    """size of their random patches: distance over which the field they are cut from falls to 1/e; 0
    draws each site by itself"""
    mask: str | None = _optional("map.png")
    """picture of the chemistries instead, stretched over the box: PNG, from black for params of
    [system] to white for the last chemistry; or NPY, whole numbers [y, x], 0 for [system]"""

    @property
    def has_flaws(self) -> bool:
        return any(
            (self.patch_density_per_um2, self.patches, self.void_density_per_um2, self.voids)
        )


class Conditions(Section):
    """Temperature, current and electrode."""

    temperature_K: Annotated[Number, Field(gt=0, le=1_000_000)] = 298.15
    """temperature"""
    current_density_mA_cm2: Annotated[Number, Field(ge=-1e6, le=1e6)] = 0.5
    """stripping current density, below 0 to plate; 0 lets the electrode relax; leave it out to hold
    a voltage"""
    overpotential_V: Annotated[Number, Field(gt=0, le=1)] | None = _optional(0.02)
    """held instead of a current: atoms are stripped and plated at the rates of their sites"""
    stack_pressure_MPa: Annotated[Number, Field(ge=0, le=1000)] = 0.0
    """pressure on the electrode, under which the metal creeps into voids"""
    electrode_thickness_um: Annotated[NumberOrInf, Field(ge=1e-6)] = 100.0
    """metal above the box, up to a perfect sink of vacancies; inf closes the box"""
    sink_length_um: Annotated[NumberOrInf, Field(ge=1e-6)] = _key(
        math.inf, reason="a sink at no distance holds S at 1"
    )
    """λ of the interface as a sink of vacancies: it takes K s/λ of them per area, s = S − 1 and K =
    ρ D_v c_eq, as much as metal of the thickness λ up to a perfect sink; inf for none"""
    sink_depth_um: Annotated[NumberOrInf, Field(ge=1e-6)] = _key(
        math.inf, reason="a sink at no distance holds S at 1"
    )
    """1/κ of the sinks in the metal, dislocations above all: the depth at which most vacancies have
    ended, 1/√ρ for ρ dislocations per area; inf for none below the perfect sink"""
    strip_weight_lambda: Share = 0.5
    """how strongly weakly bound atoms are stripped first; 0 is uniform"""
    contact_pattern_um: Annotated[Number, Field(gt=0, le=1e6)] | None = _optional(6.0)
    """edge of the square of the cell whose contacts the box stands for: scales constriction and
    rims; without it they are those of the box as it is, a few nanometres"""
    series_resistance_ohm_cm2: Annotated[Number, Field(ge=0, le=1e9)] = 0.0
    """in series with the interface: thickness of the electrolyte over its conductivity, the other
    electrode"""
    exchange: bool = False
    """at a given current, also strip and plate what oxidation and reduction exchange beyond it, in
    pairs; a held voltage always does"""
    plate_on_void_surfaces: bool = False
    """at a given current, also plate on the metal around voids that are open to the interface"""

    def model_post_init(self, context: Any) -> None:
        """Without a current of its own, a run at a held voltage has none."""
        if self.overpotential_V is not None and not self.current_is_given:
            # Not by assignment: the section is frozen, and the key must not count as given.
            self.__dict__["current_density_mA_cm2"] = 0.0

    @property
    def current_is_given(self) -> bool:
        """Whether the run names a current, rather than taking the default."""
        return "current_density_mA_cm2" in self.model_fields_set


def _finite_below(limit: float) -> AfterValidator:
    """Of a number that may be infinite: a finite one is at most `limit`."""

    def check(value: float) -> float:
        if limit < value < math.inf:
            text = f"{limit:g}".replace("e+", "e")
            raise refuse(
                "is out of range", f"Allowed: above 0, or inf; at most {text} where finite."
            )
        return value

    return AfterValidator(check)


class Acceleration(Section):
    """Barrier raising by a ratio, to a lowest barrier or by a factor; without, rates are exact."""

    max_hops_per_strip_per_site: Annotated[NumberOrInf, Field(gt=0), _finite_below(1e30)] | None = (
        _optional(1e6)
    )
    """rate of the fastest hop over the strip rate of one interface site; faster hops are slowed
    down to it, those of lone vacancies in the metal less; equilibrium stays exact; inf for
    equilibrium of the vacancies, or of a deposition's atoms, between strips"""
    saddle_floor_eV: Annotated[Number, Field(ge=0, le=10)] | None = _optional(0.25)
    """lowest barrier of any hop and its reverse, but for lone vacancies in the metal"""
    slow_down_by: Annotated[Number, Field(gt=1, le=1e30)] | None = _optional(7e5)
    """factor by which hops of the lowest barrier of the set are slowed (at ΔE = 0), the same at
    every current and temperature; no hop is faster than these, lone vacancies in the metal are
    slowed less"""
    box_resistance_share: Annotated[Number, Field(gt=0, le=0.9)] = _key(
        0.2, reason="the reservoir makes up the rest"
    )
    """lone vacancies in the metal are slowed only so far that the box keeps this share of the
    resistance L/D_v between interface and sink"""
    lateral_supersaturation: Annotated[Number, Field(gt=0, le=1e6)] | None = _optional(1.0)
    """slows lone vacancies at the interface only so far that S differs by this along the box; 1
    takes about six times the events, without it they are slowed like all hops"""
    mg_exchange: bool = False
    """Mg moves in the metal at its true rate, by exchange with Li beside it, instead of waiting for
    slowed vacancies"""
    superbasins: bool = False
    """draw the walk of the only vacancy of the box in one step, exactly; useful where the interface
    stays flat (pure Li, bcc_100)"""


class Stop(Section):
    """End of the run: whichever comes first. At least one key."""

    capacity_monolayers: Annotated[Number, Field(gt=0, le=1e9)] | None = _optional(2.0)
    """charge passed, in monolayers of the interface"""
    capacity_mAh_cm2: Annotated[Number, Field(gt=0, le=1e5)] | None = _optional(1e-4)
    """charge passed per area"""
    contact_fraction: Annotated[Number, Field(ge=0, lt=1)] | None = _optional(0.3)
    """ends when contact (metal sites of L1 over all its sites) falls to this"""
    overpotential_V: Annotated[Number, Field(gt=0, le=1e6)] | None = _optional(0.1)
    """ends when the overpotential rises to this"""
    events: Annotated[Count, Field(ge=1, le=MAX_COUNT)] | None = _optional(
        10_000_000, f"number of events: {processes.listed()}"
    )
    time_s: Seconds | None = _optional(1.0)
    """simulated time"""
    wall_time_s: Seconds | None = _optional(600.0)
    """time on the clock; such a run does not repeat exactly"""


class Rest(Section):
    """After the first stop the run can continue without current: give time or events.

    Without either, the run ends at its first stop.
    """

    time_s: Seconds | None = _optional(1.0)
    """simulated time of the rest"""
    events: Annotated[Count, Field(ge=1, le=MAX_COUNT // 2)] | None = _optional(1_000_000)
    """number of events of the rest"""
    sample_every_s: Seconds | None = _optional(0.01)
    """a sample each interval of the rest; by default 100 over its time, or over its events"""
    frame_every_s: Seconds | None = _optional(0.1)
    """a frame each interval of the rest; by default 10 over its time, or over its events"""

    @property
    def wanted(self) -> bool:
        """Whether the run has a rest."""
        return self.time_s is not None or self.events is not None

    def cadence(self, what: Literal["sample", "frame"]) -> Cadence:
        """Interval of samples or of frames in the rest."""
        # As many rows of any rest: it relaxes within seconds or within days.
        every_s, parts = getattr(self, f"{what}_every_s"), {"sample": 100, "frame": 10}[what]
        if every_s is not None:
            return Cadence(every_s, "s")
        if self.time_s is not None:
            return Cadence(self.time_s / parts, "s")
        assert self.events is not None, "a run without a rest has no cadence of one"
        # At least one: a rest of few events has a row for each.
        return Cadence(max(1, self.events // parts), "events")


def _every(what: str, unit: str, example: float, without: str = "") -> Any:
    """Interval of samples or frames in a unit, with what holds `without` it."""
    span, reason = {
        "monolayers": ("each time this charge has passed", "less is no atom"),
        "events": ("each so many events", ""),
        "s": ("each interval of simulated time", "nothing is faster"),
    }[unit]
    return _optional(example, f"a {what} {span}{without}", reason=reason)


class Output(Section):
    """Intervals of samples (a row of numbers) and frames (every site of the box): one key each."""

    sample_every_monolayers: Annotated[Number, Field(ge=1e-9, le=1e9)] | None = _every(
        "sample", "monolayers", 0.02, "; 0.02 unless another cadence is given"
    )
    sample_every_events: Annotated[Count, Field(ge=1, le=MAX_COUNT)] | None = _every(
        "sample", "events", 10_000, "; without current 10000 unless another is given"
    )
    sample_every_s: Annotated[Number, Field(ge=1e-18, le=MAX_TIME_s)] | None = _every(
        "sample", "s", 0.01
    )
    frame_every_monolayers: Annotated[Number, Field(ge=1e-9, le=1e9)] | None = _every(
        "frame", "monolayers", 0.2, "; 0.2 unless another cadence is given"
    )
    frame_every_events: Annotated[Count, Field(ge=1, le=MAX_COUNT)] | None = _every(
        "frame", "events", 100_000, "; without current 100000 unless another is given"
    )
    frame_every_s: Annotated[Number, Field(ge=1e-18, le=MAX_TIME_s)] | None = _every(
        "frame", "s", 0.1
    )


class Random(Section):
    """The same seed gives the same trajectory, byte for byte."""

    seed: Annotated[Integer, Field(ge=0, le=MAX_COUNT)] = 1
    """seed of the random numbers"""
