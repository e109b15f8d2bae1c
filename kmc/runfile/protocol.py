"""[[protocol]] of a run file: the steps of a cycler, as tables or as text.

A block is a step, or a list of steps, that is repeated; each pass of a block is a cycle. The text
of a step is in the manner of PyBaMM's experiments: "Strip at 0.5 mA/cm2 until 1 monolayer".
"""

import re
from collections.abc import Mapping
from numbers import Integral
from typing import Annotated, Any, Final, Literal, NamedTuple, Self

from pydantic import AfterValidator, Field, TypeAdapter, ValidationError, model_validator

from kmc.common.catalogue import nearest
from kmc.common.validation import LIST, Checked, Integer, Number, refuse, show
from kmc.errors import InputError
from kmc.model.electrochemistry import Drive
from kmc.runfile.sections import MAX_TIME_s

MAX_STEPS = 100_000  # of a protocol, all repeats counted
STRIP: Final = "strip"
PLATE: Final = "plate"
REST: Final = "rest"
HOLD: Final = "hold"
KINDS = (STRIP, PLATE, REST, HOLD)
CHARGES = ("capacity_monolayers", "capacity_mAh_cm2")
_CONDITIONS = ("temperature_K", "stack_pressure_MPa")  # of a step, beside its text
_GRAMMAR = (
    "Write it like \"Strip at 0.5 mA/cm2 until 1 monolayer or 0.1 V\": what to do, 'at' and "
    "current or voltage, 'for' or 'until' and an end, more ends after 'or'"
)
_EXAMPLE = '"Strip at 0.5 mA/cm2 until 1 monolayer", "Rest for 10 s" or "Hold at 0.05 V for 1 s"'
_DIRECTION: dict[str, Any] = {"reason": "the step says whether it strips or plates", "allowed": ""}
_CYCLE = {
    "steps": ["Strip at 0.5 mA/cm2 until 1 monolayer", "Plate at 0.5 mA/cm2 until 1 monolayer"],
    "repeat": 10,
}


class Until(Checked):
    """Ends of a step, whichever comes first; None where there is no such end."""

    capacity_monolayers: Number | None = Field(None, gt=0, le=1e9)
    capacity_mAh_cm2: Number | None = Field(None, gt=0, le=1e5)
    time_s: Number | None = Field(None, gt=0, le=MAX_TIME_s)
    overpotential_V: Number | None = Field(None, gt=0, le=1e6)
    contact_fraction: Number | None = Field(None, ge=0, le=1)


ENDS = tuple(Until.model_fields)


class Step(Checked):
    """One step of a protocol: what to do, at which current or voltage, until when.

    A strip or plate has a current above 0; a hold has a voltage, above 0 to strip and below 0 to
    plate. Temperature and pressure are those of [conditions] where a step has none of its own.
    """

    do: Literal["strip", "plate", "rest", "hold"]
    current_density_mA_cm2: Number | None = Field(
        None, gt=0, le=1_000_000, json_schema_extra=_DIRECTION
    )
    overpotential_V: Number | None = Field(None, ge=-1, le=1)
    until: Until = Field(default_factory=Until)
    temperature_K: Number | None = Field(None, ge=1, le=1_000_000)
    stack_pressure_MPa: Number | None = Field(None, ge=0, le=1000)

    @model_validator(mode="before")
    @classmethod
    def _written_out(cls, item: Any) -> Any:
        """A text, alone or as ``step`` beside conditions, as the keys that it stands for."""
        if isinstance(item, str):
            return _of_text(item)
        if not isinstance(item, Mapping):
            return item
        # A stored step lists all keys, those without a value as None.
        keys = {key: value for key, value in item.items() if value is not None}
        if "step" in keys:
            text = keys.pop("step")
            if not isinstance(text, str):
                raise refuse(f"step = {show(text)} must be a text", f"Such as {_EXAMPLE}")
            for key in keys:
                if key not in _CONDITIONS:
                    raise refuse(
                        f"{key!r} cannot stand beside step = {show(text)}",
                        f"{nearest(key, _CONDITIONS)}Keys beside a step: {', '.join(_CONDITIONS)}",
                    )
            return _of_text(text) | keys
        if "do" not in keys and not keys.keys() - cls.model_fields.keys():
            raise refuse(
                "there is no step, nor steps, nor do",
                f"Write step = {_EXAMPLE}, or do = one of {', '.join(map(repr, KINDS))}",
            )
        return keys

    @model_validator(mode="after")
    def _fits(self) -> Self:
        do, until = self.do, self.until
        # What drives the step, which it must have, and no other.
        wanted = {HOLD: "overpotential_V", REST: ""}.get(do, "current_density_mA_cm2")
        for key in ("current_density_mA_cm2", "overpotential_V"):
            if key != wanted and getattr(self, key) is not None:
                raise refuse(f"a {do} has no {key}", f"It needs {wanted}" if wanted else "")
        if wanted and getattr(self, wanted) is None:
            raise refuse(f"a {do} needs {wanted}", f"Such as {_EXAMPLE}")
        if self.overpotential_V == 0:
            raise refuse("overpotential_V = 0.0 is out of range", "Allowed: from -1 to 1, not 0")
        ends = [key for key in ENDS if getattr(until, key) is not None]
        if do == REST and (wrong := [key for key in ends if key in (*CHARGES, "overpotential_V")]):
            raise refuse(f"a rest cannot last until {wrong[0]}", "No charge passes; give time_s")
        if do == HOLD and "overpotential_V" in ends:
            raise refuse("a hold cannot last until overpotential_V", "That is held")
        # A step must end whatever the interface does: voltage and contact may never get there.
        certain = ("time_s",) if do in (REST, HOLD) else (*CHARGES, "time_s")
        if not set(ends) & set(certain):
            raise refuse(f"a {do} may never end", f"Give until one of {', '.join(certain)}")
        return self

    @property
    def drive(self) -> Drive:
        """Current, above 0 to strip and below 0 to plate, or voltage; pressure."""
        pressure = self.stack_pressure_MPa
        if self.do == HOLD:
            return Drive(0.0, self.overpotential_V, pressure)
        current = self.current_density_mA_cm2 or 0.0
        return Drive(-current if self.do == PLATE else current, None, pressure)

    def __str__(self) -> str:
        text: str = self.do
        if self.current_density_mA_cm2 is not None:
            text += f" at {self.current_density_mA_cm2:g} mA/cm²"
        if self.overpotential_V is not None:
            text += f" at {self.overpotential_V:g} V"
        if self.temperature_K is not None:
            text += f", {self.temperature_K:g} K"
        if self.stack_pressure_MPa is not None:
            text += f", {self.stack_pressure_MPa:g} MPa"
        return text


class Block(Checked):
    """Steps that are carried out one after the other, so many times."""

    steps: tuple[Step, ...] = Field(min_length=1)
    repeat: Integer = Field(1, ge=1)

    @model_validator(mode="before")
    @classmethod
    def _of_one_step(cls, item: Any) -> Any:
        """A single step stands for a block of it."""
        if isinstance(item, str):
            return {"steps": (item,)}
        if not isinstance(item, Mapping):
            return item
        table = dict(item)
        if "steps" not in table:
            repeat = {"repeat": table.pop("repeat")} if "repeat" in table else {}
            return {"steps": (table,), **repeat}
        if beside := table.keys() - cls.model_fields.keys():
            keys = "Keys of a block: steps, repeat"
            raise refuse(f"{min(beside)!r} stands beside steps", keys)
        if isinstance(table["steps"], list):
            table["steps"] = tuple(table["steps"])
        return table


class Planned(NamedTuple):
    """A step in its place: its number, from 1, and its cycle, the pass of a block, from 1."""

    number: int
    cycle: int
    step: Step


def _countable(blocks: tuple[Block, ...]) -> tuple[Block, ...]:
    number = sum(block.repeat * len(block.steps) for block in blocks)
    if number > MAX_STEPS:
        raise refuse(
            f"has {number} steps with all repeats; at most {MAX_STEPS} are possible",
            "Repeat less often",
        )
    return blocks


_Blocks = Annotated[tuple[Block, ...], LIST, Field(min_length=1), AfterValidator(_countable)]


def blocks_of(value: Any) -> tuple[Block, ...]:
    """The blocks of [[protocol]], a list of tables; `ValidationError` where it is none."""
    return TypeAdapter(_Blocks).validate_python(value)


_VOLTS = {"V": 1.0, "mV": 1e-3}
_TIMES = {
    **dict.fromkeys(("s", "second", "seconds"), 1.0),
    **dict.fromkeys(("min", "minute", "minutes"), 60.0),
    **dict.fromkeys(("h", "hour", "hours"), 3600.0),
    "ms": 1e-3,
    "us": 1e-6,
    "ns": 1e-9,
}
_ENDS: dict[str, tuple[str, float]] = {
    **{unit: ("time_s", factor) for unit, factor in _TIMES.items()},
    **{unit: ("overpotential_V", factor) for unit, factor in _VOLTS.items()},
    "monolayer": ("capacity_monolayers", 1.0),
    "monolayers": ("capacity_monolayers", 1.0),
    "mAh/cm2": ("capacity_mAh_cm2", 1.0),
    "contact": ("contact_fraction", 1.0),
}
_DRIVES: dict[str, tuple[str, float]] = {
    "A/cm2": ("current_density_mA_cm2", 1e3),
    "mA/cm2": ("current_density_mA_cm2", 1.0),
    "uA/cm2": ("current_density_mA_cm2", 1e-3),
    **{unit: ("overpotential_V", factor) for unit, factor in _VOLTS.items()},
}
# "Strip at 0.5 mA/cm2 until 1 monolayer or 0.1 V": what to do, the drive, the ends.
_TEXT = re.compile(r"(?P<do>\S+)(?:\s+at\s+(?P<drive>.+?))?(?P<ends>(?:\s+(?:for|until)\s+.*)?)")
_NEXT_END = re.compile(r"\s+(?:or\s+)?(?:for|until)\s+|\s+or\s+")
_QUANTITY = re.compile(r"(?P<number>[-+]?[\d.]+(?:[eE][-+]?\d+)?)\s*(?P<unit>[^\d\s.]\S*)")


def _of_text(text: str) -> dict[str, Any]:
    at = f"{show(text)}: "
    # Either micro sign, and powers as superscripts or as plain digits.
    plain = " ".join(text.replace("²", "2").replace("µ", "u").replace("μ", "u").split())
    match = _TEXT.fullmatch(plain)
    if match is None:
        raise refuse(f"{at}cannot be read as a step", _GRAMMAR)
    if match["do"].lower() not in KINDS:
        names = [name.capitalize() for name in KINDS]
        close = nearest(match["do"], names)
        raise refuse(f"{at}{match['do']!r} is no step", f"{close}Steps: {', '.join(names)}")
    step: dict[str, Any] = {"do": match["do"].lower()}
    if match["drive"]:
        key, value = _quantity(match["drive"], _DRIVES, at)
        step[key] = value
    until: dict[str, float] = {}
    for part in _NEXT_END.split(f" {match['ends'].strip()}")[1:]:
        key, value = _quantity(part, _ENDS, at)
        if key in until:
            raise refuse(f"{at}has two ends by {key}", "Keep one of them")
        until[key] = value
    return {**step, "until": until}


def _quantity(text: str, units: Mapping[str, tuple[str, float]], at: str) -> tuple[str, float]:
    match = _QUANTITY.fullmatch(text.strip())
    try:
        number = float(match["number"] if match else "")
    except ValueError:
        raise refuse(f"{at}{text!r} is not a number and its unit", _GRAMMAR) from None
    assert match is not None
    if match["unit"] not in units:
        per_area = f"{match['unit']}/cm2"
        # "mA" is likely to be meant per area.
        close = nearest(per_area if per_area in units else match["unit"], units)
        raise refuse(
            f"{at}unit {match['unit']!r} is not known here", f"{close}Units: {', '.join(units)}"
        )
    key, factor = units[match["unit"]]
    return key, number * factor


class Protocol(Checked):
    """Steps of a cycler, one after the other, instead of [stop] and [rest]."""

    blocks: _Blocks | None = Field(
        None,
        description="the tables [[protocol]]: each a step (a text `step`, or do, current or "
        "voltage, until), or a list of steps, and how often they are repeated",
        examples=[[_CYCLE]],
    )
    current_density_mA_cm2: Number | None = Field(
        None,
        gt=0,
        le=1_000_000,
        description="current of every strip and plate step in place of its own, for --set and "
        "the grid of a sweep",
        examples=[1.0],
        json_schema_extra=_DIRECTION,
    )

    def model_post_init(self, context: Any) -> None:
        """Give the current to the steps, which alone are stored."""
        if self.current_density_mA_cm2 is None:
            return
        own = {"current_density_mA_cm2": self.current_density_mA_cm2}
        blocks = []
        for block in self.blocks or ():
            steps = (
                step if step.current_density_mA_cm2 is None else step.model_copy(update=own)
                for step in block.steps
            )
            blocks.append(block.model_copy(update={"steps": tuple(steps)}))
        self.__dict__["blocks"] = tuple(blocks) or self.blocks

    @property
    def plan(self) -> tuple[Planned, ...]:
        """All steps in their order; empty without a protocol."""
        return plan_of(self.blocks or ())


def plan_of(blocks: tuple[Block, ...]) -> tuple[Planned, ...]:
    """The steps of blocks in their order, each pass of a block counted as a cycle."""
    # Passes share their steps: nothing is copied for a thousand cycles.
    passes = (block for block in blocks for _ in range(block.repeat))
    places = [(cycle, step) for cycle, block in enumerate(passes, 1) for step in block.steps]
    return tuple(Planned(number, *place) for number, place in enumerate(places, 1))


def stored_blocks(run: Mapping[str, Any]) -> tuple[Block, ...]:
    """The protocol in the settings of a stored run; empty where it has none that can be read."""
    try:
        # Another version may have stored steps that this one refuses: summaries do without.
        return blocks_of(run["protocol"]["blocks"])
    except (ValidationError, LookupError, TypeError):
        return ()


def longer(run: Mapping[str, Any], cycles: int, path: Any) -> dict[str, Any]:
    """The settings of a stored run, from the file `path`, with so many more cycles at its end.

    Raises `InputError`: it has no cycles, or `cycles` is no whole number from 1.
    """
    if isinstance(cycles, bool) or not isinstance(cycles, Integral) or cycles < 1:
        raise InputError(
            f"cycles = {cycles!r} is no number of cycles to add",
            advice="Allowed: whole numbers from 1.",
        )
    for section, keys in run.items():  # of a cathode
        if isinstance(keys, Mapping) and "cycles" in keys:
            return {**run, section: {**keys, "cycles": keys["cycles"] + int(cycles)}}
    blocks = stored_blocks(run)
    if not blocks:
        raise InputError(
            f"{path} has no protocol whose cycles could be repeated",
            advice="Give another end, for example --set stop.capacity_monolayers=4.",
        )
    # The last block alone: those before it, such as formation, are not repeated.
    last = blocks[-1].model_copy(update={"repeat": blocks[-1].repeat + int(cycles)})
    return {**run, "protocol": {**run["protocol"], "blocks": (*blocks[:-1], last)}}
