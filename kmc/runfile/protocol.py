"""[[protocol]] of a run file: the steps of a cycler, as tables or as text.

A block is a step, or a list of steps, that is repeated; each pass of a block is a cycle. The text
of a step is in the manner of PyBaMM's experiments: "Strip at 0.5 mA/cm2 until 1 monolayer".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from numbers import Integral
from typing import Annotated, Any, NamedTuple

from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError

from kmc.common.catalogue import nearest
from kmc.common.validation import Checked, kind, number_of, refuse, show
from kmc.model.electrochemistry import Drive

MOST_STEPS = 100_000  # of a protocol, all repeats counted
STRIP, PLATE, REST, HOLD = "strip", "plate", "rest", "hold"
KINDS = (STRIP, PLATE, REST, HOLD)
CHARGES = ("capacity_monolayers", "capacity_mAh_cm2")
ENDS = (*CHARGES, "time_s", "overpotential_V", "contact_fraction")
_CONDITIONS: dict[str, tuple[float, float]] = {  # of a step, with the range of [conditions]
    "temperature_K": (1.0, 1e6),
    "stack_pressure_MPa": (0.0, 1000.0),
}
_STEP = ("do", "current_density_mA_cm2", "overpotential_V", "until", *_CONDITIONS)
_GRAMMAR = (
    "Write it like \"Strip at 0.5 mA/cm2 until 1 monolayer or 0.1 V\": what to do, 'at' and "
    "current or voltage, 'for' or 'until' and an end, more ends after 'or'"
)
_EXAMPLE = '"Strip at 0.5 mA/cm2 until 1 monolayer", "Rest for 10 s" or "Hold at 0.05 V for 1 s"'


@dataclass(frozen=True)
class Until:
    """Ends of a step, whichever comes first; None where there is no such end."""

    capacity_monolayers: float | None = None
    capacity_mAh_cm2: float | None = None
    time_s: float | None = None
    overpotential_V: float | None = None
    contact_fraction: float | None = None


@dataclass(frozen=True)
class Step:
    """One step of a protocol.

    Attributes
    ----------
    do : str
        "strip", "plate", "rest" or "hold".
    current_density_mA_cm2 : float or None
        Of a strip or plate, above 0.
    overpotential_V : float or None
        Of a hold: above 0 it strips, below 0 it plates.
    until : Until
    temperature_K, stack_pressure_MPa : float or None
        Those of [conditions] where None.
    """

    do: str
    current_density_mA_cm2: float | None
    overpotential_V: float | None
    until: Until
    temperature_K: float | None = None
    stack_pressure_MPa: float | None = None

    @property
    def drive(self) -> Drive:
        """Current, above 0 to strip and below 0 to plate, or voltage; pressure."""
        pressure = self.stack_pressure_MPa
        if self.do == HOLD:
            return Drive(0.0, self.overpotential_V, pressure)
        current = self.current_density_mA_cm2 or 0.0
        return Drive(-current if self.do == PLATE else current, None, pressure)

    def __str__(self) -> str:
        text = self.do
        if self.current_density_mA_cm2 is not None:
            text += f" at {self.current_density_mA_cm2:g} mA/cm²"
        if self.overpotential_V is not None:
            text += f" at {self.overpotential_V:g} V"
        if self.temperature_K is not None:
            text += f", {self.temperature_K:g} K"
        if self.stack_pressure_MPa is not None:
            text += f", {self.stack_pressure_MPa:g} MPa"
        return text


@dataclass(frozen=True)
class Block:
    """Steps that are carried out one after the other, so many times."""

    steps: tuple[Step, ...]
    repeat: int = 1


class Planned(NamedTuple):
    """A step in its place: its number, from 1, and its cycle, the pass of a block, from 1."""

    number: int
    cycle: int
    step: Step


# --- tables ---------------------------------------------------------------------------------------


def blocks_of(value: Any) -> tuple[Block, ...] | None:
    """Check [[protocol]]: a list of tables, each a step or a block of steps.

    Raises
    ------
    PydanticCustomError
        Naming the block and the step, what is wrong with it, and what is allowed.
    """
    if value is None:
        return None
    if not isinstance(value, list | tuple):
        raise refuse(f"must be a list of tables, not {kind(value)}", "Write [[protocol]]")
    if not value:
        raise refuse("is empty")
    found = tuple(_block(item, f"entry {n}: ") for n, item in enumerate(value, 1))
    number = sum(block.repeat * len(block.steps) for block in found)
    if number > MOST_STEPS:
        raise refuse(
            f"has {number} steps with all repeats; at most {MOST_STEPS} are possible",
            "Repeat less often",
        )
    return found


def _block(item: Any, at: str) -> Block:
    if isinstance(item, Block):
        return item
    if isinstance(item, str):
        return Block((_text_step(item, at),))
    if not isinstance(item, Mapping):
        raise refuse(f"{at}must be a table, not {kind(item)}")
    given = dict(item)
    repeat: Any = given.pop("repeat", 1)
    if isinstance(repeat, bool) or not isinstance(repeat, Integral) or repeat < 1:
        raise refuse(
            f"{at}repeat = {show(repeat)} is no whole number of at least 1",
            "Leave the entry out if it is not wanted, and repeat out to carry it out once",
        )
    if "steps" not in given:
        return Block((_step(given, at, ("repeat",)),), int(repeat))
    steps = given.pop("steps")
    if given:
        raise refuse(
            f"{at}{next(iter(given))!r} stands beside steps", "Keys of a block: steps, repeat"
        )
    if not isinstance(steps, list | tuple) or not steps:
        raise refuse(f"{at}steps must be a list of steps, not {show(steps)}", f"Such as {_EXAMPLE}")
    return Block(
        tuple(_any_step(step, f"{at}step {n}: ") for n, step in enumerate(steps, 1)), int(repeat)
    )


def _any_step(item: Any, at: str) -> Step:
    if isinstance(item, str):
        return _text_step(item, at)
    if not isinstance(item, Mapping):
        raise refuse(f"{at}must be a table or a text, not {kind(item)}", f"Such as {_EXAMPLE}")
    return _step(item, at)


def _step(item: Mapping, at: str, more: tuple[str, ...] = ()) -> Step:
    given = {key: value for key, value in item.items() if value is not None}
    if "step" in given:
        text = given.pop("step")
        if not isinstance(text, str):
            raise refuse(f"{at}step = {show(text)} must be a text", f"Such as {_EXAMPLE}")
        for key in given:
            if key not in _CONDITIONS:
                raise refuse(
                    f"{at}{key!r} cannot stand beside step = {show(text)}",
                    f"{nearest(key, _CONDITIONS)}Keys beside a step: {', '.join(_CONDITIONS)}",
                )
        plain, own = _text_step(text, at), _conditions(given, at)
        return Step(
            plain.do, plain.current_density_mA_cm2, plain.overpotential_V, plain.until, **own
        )
    keys = (*_STEP, "step", *more)
    for key in given:
        if key not in _STEP:
            close = nearest(key, keys)
            raise refuse(
                f"{at}{key!r} is not a known key", f"{close}Keys of a step: {', '.join(keys)}"
            )
    do = given.get("do")
    if do not in KINDS:
        close = nearest(do, KINDS) if isinstance(do, str) else ""
        if do is None:
            raise refuse(
                f"{at}there is no step, nor steps, nor do",
                f"Write step = {_EXAMPLE}, or do = one of {', '.join(map(repr, KINDS))}",
            )
        allowed = f"{close}Allowed: {', '.join(map(repr, KINDS))}"
        raise refuse(f"{at}do = {show(do)} is not a valid choice", allowed)
    current, voltage = _drive(given, do, at)
    until = _until(given.get("until", {}), do, at)
    return Step(do, current, voltage, until, **_conditions(given, at))


def _conditions(given: Mapping, at: str) -> dict[str, float]:
    """Temperature and stack pressure of a step that has its own."""
    found = {}
    for key, (low, high) in _CONDITIONS.items():
        if key in given:
            fits = partial(_between, low, high)
            found[key] = _number(given[key], key, at, f"from {low:g} to {high:g}", fits)
    return found


def _between(low: float, high: float, value: float) -> bool:
    return low <= value <= high


def _drive(given: Mapping, do: str, at: str) -> tuple[float | None, float | None]:
    """Current and voltage of a step: which are needed follows from what it does."""
    wanted = {HOLD: "overpotential_V", REST: ""}.get(do, "current_density_mA_cm2")
    for key in _STEP[1:3]:
        if key in given and key != wanted:
            raise refuse(f"{at}a {do} has no {key}", f"It needs {wanted}" if wanted else "")
    if not wanted:
        return None, None
    if wanted not in given:
        raise refuse(f"{at}a {do} needs {wanted}", f"Such as {_EXAMPLE}")
    if do == HOLD:
        volts = _number(given[wanted], wanted, at, "from -1 to 1, not 0", lambda x: 0 < abs(x) <= 1)
        return None, volts
    range_ = "above 0 and at most 1e6 (the step says whether it strips or plates)"
    return _number(given[wanted], wanted, at, range_, lambda x: 0 < x <= 1e6), None


def _until(item: Any, do: str, at: str) -> Until:
    if not isinstance(item, Mapping):
        raise refuse(
            f"{at}until must be a table, not {kind(item)}", "Such as { capacity_monolayers = 1 }"
        )
    ends: dict[str, float] = {}
    for key, value in item.items():
        if key not in ENDS:
            close = nearest(key, ENDS)
            raise refuse(
                f"{at}{key!r} in until is not a known key",
                f"{close}Keys of until: {', '.join(ENDS)}",
            )
        if value is None:
            continue
        if do == REST and key in (*CHARGES, "overpotential_V"):
            raise refuse(f"{at}a rest cannot last until {key}", "No charge passes; give time_s")
        if do == HOLD and key == "overpotential_V":
            raise refuse(f"{at}a hold cannot last until overpotential_V", "That is held")
        if key == "contact_fraction":
            ends[key] = _number(value, key, f"{at}until ", "from 0 to 1", lambda x: 0 <= x <= 1)
        else:
            ends[key] = _number(value, key, f"{at}until ", "above 0", lambda x: x > 0)
    certain = {REST: ("time_s",), HOLD: ("time_s",)}.get(do, (*CHARGES, "time_s"))
    if not set(ends) & set(certain):
        raise refuse(f"{at}a {do} may never end", f"Give until one of {', '.join(certain)}")
    return Until(**ends)


def _number(value: Any, key: str, at: str, allowed: str, fits: Callable[[float], bool]) -> float:
    number, problem = number_of(value)
    if problem:
        raise refuse(f"{at}{key} = {show(value)} {problem}", f"Allowed: {allowed}")
    if not fits(number):
        raise refuse(f"{at}{key} = {show(value)} is out of range", f"Allowed: {allowed}")
    return number


# --- texts ----------------------------------------------------------------------------------------

_CURRENTS = {"A/cm2": 1e3, "mA/cm2": 1.0, "uA/cm2": 1e-3}
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
_DRIVES = {
    **{unit: ("current_density_mA_cm2", factor) for unit, factor in _CURRENTS.items()},
    **{unit: ("overpotential_V", factor) for unit, factor in _VOLTS.items()},
}
_TEXT = re.compile(r"(?P<do>\S+)(?:\s+at\s+(?P<drive>.+?))?(?P<ends>(?:\s+(?:for|until)\s+.*)?)")
_QUANTITY = re.compile(r"(?P<number>[-+]?[\d.]+(?:[eE][-+]?\d+)?)\s*(?P<unit>[^\d\s.]\S*)")


def _text_step(text: str, at: str) -> Step:
    """A step from its text, checked like a table."""
    at = f"{at}{show(text)}: "
    plain = " ".join(text.replace("²", "2").replace("µ", "u").replace("μ", "u").split())
    match = _TEXT.fullmatch(plain)
    if match is None:
        raise refuse(f"{at}cannot be read as a step", _GRAMMAR)
    do = match["do"].lower()
    if do not in KINDS:
        names = [name.capitalize() for name in KINDS]
        raise refuse(
            f"{at}{match['do']!r} is no step", f"{nearest(match['do'], names)}Steps: "
            f"{', '.join(names)}",
        )  # fmt: skip
    given: dict[str, Any] = {"do": do}
    if match["drive"]:
        key, value = _quantity(match["drive"], _DRIVES, at)
        given[key] = value
    until: dict[str, float] = {}
    for part in re.split(r"\s+(?:or\s+)?(?:for|until)\s+|\s+or\s+", f" {match['ends'].strip()}")[
        1:
    ]:
        key, value = _quantity(part, _ENDS, at)
        if key in until:
            raise refuse(f"{at}has two ends by {key}", "Keep one of them")
        until[key] = value
    return _step({**given, "until": until}, at)


def _quantity(text: str, units: Mapping[str, tuple[str, float]], at: str) -> tuple[str, float]:
    """Key and value of "0.5 mA/cm2"."""
    match = _QUANTITY.fullmatch(text.strip())
    number, problem = (float("nan"), "?")
    if match:
        try:
            number, problem = float(match["number"]), ""
        except ValueError:
            problem = "?"
    if match is None or problem:
        raise refuse(f"{at}{text!r} is not a number and its unit", _GRAMMAR)
    if match["unit"] not in units:
        per_area = f"{match['unit']}/cm2"
        close = nearest(per_area if per_area in units else match["unit"], units)
        raise refuse(
            f"{at}unit {match['unit']!r} is not known here", f"{close}Units: {', '.join(units)}"
        )
    key, factor = units[match["unit"]]
    return key, number * factor


# --- section --------------------------------------------------------------------------------------


def _current_of_all(value: Any) -> float | None:
    if value is None:
        return None
    range_ = "above 0 and at most 1e6 (each step says whether it strips or plates)"
    number, problem = number_of(value)
    if problem or not 0 < number <= 1e6:
        raise refuse(problem or "is out of range", f"Allowed: {range_}")
    return number


def _at_current(step: Step, current_density_mA_cm2: float) -> Step:
    if step.current_density_mA_cm2 is None:
        return step
    return replace(step, current_density_mA_cm2=current_density_mA_cm2)


class Protocol(Checked):
    """Steps of a cycler, one after the other, instead of [stop] and [rest]."""

    blocks: Annotated[tuple[Block, ...] | None, BeforeValidator(blocks_of)] = Field(
        None,
        description="the tables [[protocol]]: each a step (a text `step`, or do, current or "
        "voltage, until), or a list of steps, and how often they are repeated",
        examples=[
            [
                {
                    "steps": [
                        "Strip at 0.5 mA/cm2 until 1 monolayer",
                        "Plate at 0.5 mA/cm2 until 1 monolayer",
                    ],
                    "repeat": 10,
                }
            ]
        ],
        json_schema_extra={"reason": "", "allowed": ""},
    )

    current_density_mA_cm2: Annotated[float | None, BeforeValidator(_current_of_all)] = Field(
        None,
        description="current of every strip and plate step in place of its own, for --set and "
        "the grid of a sweep",
        examples=[1.0],
        json_schema_extra={"reason": "", "allowed": "above 0 and at most 1e6"},
    )

    def model_post_init(self, context: Any) -> None:
        """Give the current to the steps, which alone are stored."""
        current = self.current_density_mA_cm2
        if current is None or not self.blocks:
            return
        self.__dict__["blocks"] = tuple(
            replace(block, steps=tuple(_at_current(step, current) for step in block.steps))
            for block in self.blocks
        )

    @property
    def plan(self) -> tuple[Planned, ...]:
        """All steps in their order; empty without a protocol."""
        return plan_of(self.blocks or ())


def plan_of(blocks: tuple[Block, ...]) -> tuple[Planned, ...]:
    """The steps of blocks in their order, each pass of a block counted as a cycle."""
    planned: list[Planned] = []
    cycle = 0
    for block in blocks:
        for _ in range(block.repeat):
            cycle += 1
            for step in block.steps:
                planned.append(Planned(len(planned) + 1, cycle, step))
    return tuple(planned)


def stored_blocks(run: Mapping[str, Any]) -> tuple[Block, ...]:
    """The protocol of a trajectory's run settings; empty where it has none that can be read.

    Parameters
    ----------
    run : mapping
        What `RunFile.resolved` returned.
    """
    try:
        return blocks_of(run.get("protocol", {}).get("blocks")) or ()
    except (PydanticCustomError, AttributeError, TypeError):
        return ()
